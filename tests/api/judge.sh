#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# examples/judge.c: the verdict on good and bad programs, and nothing left behind.
set -u
judge=$BUILD/examples/judge
tmp=$(mktemp -d /tmp/bailey-judge.XXXXXX)
chmod 755 "$tmp"
trap 'rm -rf "$tmp"' EXIT
failed=0
verdict() { # STATUS PATTERN WORDS...
	local want=$1 pattern=$2 out st
	shift 2
	out=$(timeout 60 "$judge" "$@" 2>&1)
	st=$?
	# shellcheck disable=SC2053
	[[ $st -eq $want && $out == $pattern ]] || { echo "FAIL: judge $*: status $st (not $want), \"$out\" (not \"$pattern\")"; failed=1; }
}
printf '3 4\n' >"$tmp/in"
printf '7\n' >"$tmp/answer"
printf 'a, b = map(int, input().split())\nprint(a + b)\n' >"$tmp/add.py"
box=(--bind "$tmp:/box:ro" --input "$tmp/in" --expect "$tmp/answer" --cpu 5)
verdict 0 'accepted  cpu 0.* wall * memory * KiB' "${box[@]}" -- python3 /box/add.py
verdict 1 'wrong answer *' "${box[@]}" -- echo 8
verdict 1 'wrong answer *' "${box[@]}" -- true
verdict 0 'accepted *' "${box[@]}" -- printf '7 \n\n'
verdict 1 'runtime error (exit status 1) *' "${box[@]}" -- python3 -c 'raise Exception()'
verdict 1 'runtime error (signal 11, *' --cpu 5 -- sh -c 'kill -SEGV $$'
verdict 1 'time limit  cpu 0.[3-9]*' --cpu 0.3 --wall 30 -- sh -c 'while :; do :; done'
verdict 1 'time limit  cpu 0.[3-9]*' --cpu 0.3 --wall 30 -- sh -c 'for i in 1 2 3; do sh -c "while :; do :; done" & done; wait'
verdict 1 'time limit  cpu 0.0*' --cpu 5 --wall 0.5 -- sleep 100
verdict 1 'memory limit *' --cpu 20 --memory 100m -- python3 -c 'b = bytearray(1 << 30)'
verdict 1 'memory limit *' --cpu 20 --memory 100m --output 1g -- sh -c 'head -c 900000000 /dev/zero >/tmp/big'
verdict 1 'output limit *' --cpu 20 --output 1m -- yes
verdict 1 'output limit *' --cpu 20 --output 1m -- sh -c 'exec head -c 2000000 /dev/zero >/tmp/big'
verdict 1 'time limit *' --cpu 1 --wall 5 --tasks 50 -- bash -c 'f() { f | f & f; }; f 2>/dev/null; while :; do :; done'
verdict 0 'accepted *' --cpu 5 -- sh -c 'setsid sleep 1000 & exit 0' # what it leaves behind does not stay
verdict 1 'not run (no-such-program: command not found)' -- no-such-program
verdict 3 'judge: *' --rootfs /no/such -- true
verdict 2 'usage*' --cpu 0 -- true
exit $failed
