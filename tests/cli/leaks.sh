#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 600
# Sandboxes leave nothing behind: processes, mounts, descriptors, files, terminal settings. BAILEY_LEAK_RUNS: how many runs in a row.
. "$(dirname "$0")/common.bash"
runs=${BAILEY_LEAK_RUNS:-300}
# A name of our own, so that sandboxes of others do not matter. Stubs carry no name: they are found by their kernel process.
B=$tmp/bailey-leak-test
cp "$BAILEY" "$B"
mine() { # what runs from our copy, and all below it
	ps -eo pid=,ppid=,comm=,args= | awk -v b="$B" '
		{ pid[NR] = $1; ppid[$1] = $2; if (index($0, b) && !index($0, "awk")) m[$1] = 1 }
		END { do { c = 0; for (i in pid) { p = pid[i]; if (!(p in m) && (ppid[p] in m)) { m[p] = 1; c = 1 } } } while (c); for (p in m) print p }'
}
stubs() { ps -eo pid=,args= | awk '/memfd:bailey-stub|bailey-stub/ && !/awk/ { print $1 }' | sort; }
nothing() { # what, and the stubs that were there before and are ours: those whose pid we saw
	local i left
	for i in {1..20}; do
		left=
		for p in $(mine) $seen; do [[ -e /proc/$p/stat && $(awk '{print $3}' "/proc/$p/stat" 2>/dev/null) != Z ]] && left+=" $p"; done
		[[ -z $left ]] && return
		sleep 0.05
	done
	fail "$1 left processes:$(ps -o pid,ppid,stat,args -p ${left// /,} | tail -n +2)"
	kill -9 $left 2>/dev/null
}
seen=
mounts=$(wc -l </proc/self/mountinfo)
files=$(ls /tmp /dev/shm /run | wc -l)
shm=$(ls /dev/shm)
for ((i = 0; i < runs; i++)); do "$B" run -- true || { fail "run $i: status $?"; break; }; done
nothing "$runs runs"
pids=()
for i in {1..200}; do "$B" run -- true & pids+=($!); done
for p in "${pids[@]}"; do wait "$p" || fail "one of 200 at once: status $?"; done
nothing '200 at once'
[[ $(wc -l </proc/self/mountinfo) -eq $mounts ]] || fail "mounts: $(wc -l </proc/self/mountinfo) instead of $mounts"
[[ $(ls /dev/shm) = "$shm" ]] || fail "/dev/shm: $(ls /dev/shm)"
# Inside a long-lived kernel process: descriptors and stubs of guests that ended
"$B" run -- sh -c 'i=0; while [ $i -lt 200 ]; do /bin/true; i=$((i+1)); done; echo up; sleep 3' >"$tmp/up" & p=$!
for i in {1..200}; do [[ -s $tmp/up ]] && break; sleep 0.05; done
k=$(pgrep -P $p | head -1)
sleep 0.2
n=$(ls "/proc/$k/fd" | wc -l); c=$(pgrep -P "$k" | wc -l)
((n < 300)) || fail "the kernel process holds $n descriptors after 200 guest processes"
((c < 12)) || fail "the kernel process has $c children after 200 guest processes"
kill -9 $p; wait $p 2>/dev/null
nothing 'kill -9 of the command line'
# kill -9 of each of the processes, at random moments
guest='while :; do /bin/true; (sleep 0.01) & wait; done'
for tier in 1 3; do
	export BAILEY_TIER=$tier
	for what in cli kernel zygote stub busy; do
		for round in {1..20}; do
			if [[ $what = busy ]]; then set -- sh -c 'while :; do :; done & while :; do :; done'; else set -- sh -c "$guest"; fi
			"$B" run --log error -- "$@" 2>/dev/null & p=$!
			sleep 0.0$((RANDOM % 9))$((RANDOM % 10))
			k=$(pgrep -P $p | head -1)
			below=$(pgrep -P "${k:-999999999}" | sort -n)
			seen="$k $below"
			case $what in
			cli) kill -9 $p ;;
			kernel | busy) kill -9 ${k:-$p} 2>/dev/null ;;
			zygote) z=$(head -1 <<<"$below"); kill -9 ${z:-$p} 2>/dev/null; sleep 0.02; kill $p 2>/dev/null; sleep 0.02; kill -9 $p 2>/dev/null ;;
			stub) s=$(tail -1 <<<"$below"); kill -9 ${s:-$p} 2>/dev/null; sleep 0.02; kill $p 2>/dev/null; sleep 0.02; kill -9 $p 2>/dev/null ;;
			esac
			wait $p 2>/dev/null
			nothing "tier $tier: kill -9 of $what, round $round"
			((failed)) && break 3
		done
	done
done
unset BAILEY_TIER
finish
