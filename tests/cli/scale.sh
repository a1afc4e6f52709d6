#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 200
# Processes that come and go leave nothing in the kernel process: its memory and descriptors stay what they are. The long version (10,000
# threads, 5,000 processes, a million of fork and wait: some ten minutes): SCALE=full BAILEY=build/bailey BUILD=build tests/cli/scale.sh
. "$(dirname "$0")/common.bash"
scale=${BUILD:?the build directory}/tests/guest/scale
cycles=12000
if [[ ${SCALE-} = full ]]; then
	"$BAILEY" run -- "$scale" || fail "status $?"
	cycles=1000000
fi
sample() { # resident kB of all processes, of the kernel process, its descriptors
	local p sum=0 r kernel
	for p in $main $k $(pgrep -P "$k"); do
		r=$(awk '/^VmRSS/ { print $2 }' "/proc/$p/status" 2>/dev/null)
		sum=$((sum + ${r:-0}))
		[[ $p = "$k" ]] && kernel=$r
	done
	echo $sum "$kernel" "$(ls "/proc/$k/fd" | wc -l)"
}
SCALE_CYCLES=$cycles "$BAILEY" run -- "$scale" fork_and_wait >"$tmp/out" 2>&1 & main=$!
while kill -0 $main 2>/dev/null && ! grep -q warm "$tmp/out"; do sleep 0.1; done
k=$(pgrep -P $main)
read -r sum0 kernel0 fds0 < <(sample)
n=0 sum=0 kernel=0 fds=0
while kill -0 $main 2>/dev/null; do
	read -r s ke f < <(sample)
	[[ -n ${f-} && $f -gt 0 ]] || break
	n=$((n + 1)) sum=$s kernel=$ke fds=$f
	[[ ${SCALE-} = full ]] && sleep 10 || sleep 0.2
done 2>/dev/null
wait $main || fail "status $?: $(<"$tmp/out")"
echo "at first $sum0 kB in all, the kernel process $kernel0 kB and $fds0 descriptors; after $n samples $sum kB, $kernel kB, $fds"
((n > 0)) || fail "it ended before anything could be measured"
((kernel < kernel0 + 1500)) || fail "the kernel process grew from $kernel0 kB to $kernel kB"
((fds < fds0 + 10)) || fail "the kernel process had $fds0 descriptors and has $fds"
finish
