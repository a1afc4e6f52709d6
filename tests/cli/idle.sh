#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A sandbox whose guest sleeps uses no CPU.
. "$(dirname "$0")/common.bash"
cpu() { local t=0 q; for q in "$@"; do t=$((t + $(awk '{ split($0, a, ") "); split(a[2], f, " "); print f[12] + f[13] }' "/proc/$q/stat" 2>/dev/null || echo 0))); done; echo $t; }
ns() { local t=0 q f; for q in "$@"; do for f in /proc/$q/task/*/schedstat; do t=$((t + $(cut -d' ' -f1 "$f" 2>/dev/null || echo 0))); done; done; echo $t; }
check() {
	"$BAILEY" run "$@" <&0 & p=$!
	sleep 0.7
	k=$(pgrep -P $p | head -1)
	all="$p $k $(pgrep -P "$k" | tr '\n' ' ')"
	a=$(ns $all); sleep 3; b=$(ns $all)
	echo "$*: $(((b - a) / 1000)) us of CPU in 3 s"
	((b - a < 20000000)) || fail "$*: $(((b - a) / 1000)) us of CPU while idle"
	kill -9 $p; wait $p 2>/dev/null
}
check -- sleep 5
check -- sh -c 'sleep 5 | cat; true'
check --memory 1g -- /usr/bin/python3 -c 'import threading, time
for i in range(8): threading.Thread(target=time.sleep, args=(5,)).start()'
mkfifo "$tmp/fifo"; sleep 20 >"$tmp/fifo" & w=$!
check -- cat <"$tmp/fifo"
kill $w
finish
