#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The cost of a start: at most 20 ms and 12 MB of private memory over all processes. Prints what it measured; fails beyond three times that.
. "$(dirname "$0")/common.bash"
best=999999 sum=0
for i in {1..30}; do
	t=$(date +%s%N); "$BAILEY" run -- true; t=$(( ($(date +%s%N) - t) / 1000 ))
	sum=$((sum + t)); ((t < best)) && best=$t
done
echo "start, run and end of true: best $((best / 1000)).$(printf %03d $((best % 1000))) ms, mean $((sum / 30000)) ms"
((sum / 30 < 60000)) || fail "the mean of 30 starts is $((sum / 30)) us"
"$BAILEY" run -- sleep 5 & p=$!
sleep 0.5
k=$(pgrep -P $p | head -1)
total=0
for q in $p $k $(pgrep -P "$k"); do
	m=$(awk '/^Private/ { s += $2 } END { print s }' "/proc/$q/smaps_rollup")
	echo "$(cat "/proc/$q/comm") ($q): $m KiB private"
	total=$((total + m))
done
echo "together $total KiB"
((total < 3 * 12 * 1024)) || fail "$total KiB of private memory"
kill $p; wait $p 2>/dev/null
finish
