#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Standard input, output and error: pipes, files, /dev/null, closed, broken.
. "$(dirname "$0")/common.bash"
B=$BAILEY
is() { [[ $2 == "$3" ]] || fail "$1: \"$2\" instead of \"$3\""; }
is pipe "$(echo foo | "$B" run -- cat)" foo
is file "$("$B" run -- cat </etc/hostname)" "$(cat /etc/hostname)"
is null "$("$B" run -- cat </dev/null)" ''
"$B" run -- cat </etc/hostname >"$tmp/out"; is 'file to file' "$(cat "$tmp/out")" "$(cat /etc/hostname)"
echo a >"$tmp/app"; "$B" run -- echo b >>"$tmp/app"; is append "$(cat "$tmp/app")" $'a\nb'
{ echo 1; "$B" run -- echo 2; echo 3; } >"$tmp/order"; is order "$(cat "$tmp/order")" $'1\n2\n3'
{ "$B" run -- head -c 2 >/dev/null; cat; } < <(printf 'abcdef') >"$tmp/rest"
is 'errors apart' "$("$B" run -- sh -c 'echo e >&2; echo o' 2>/dev/null)" o
is 'big pipe' "$(head -c 3000000 /dev/urandom | tee "$tmp/big" | "$B" run -- cat | md5sum)" "$(md5sum <"$tmp/big")"
is 'big file' "$("$B" run -- md5sum <"$tmp/big")" "$(md5sum <"$tmp/big")"
is 'to a full pipe' "$("$B" run -- head -c 3000000 /dev/zero | { sleep 0.3; wc -c; })" 3000000
# closed ones are closed for the guest too
is 'closed stdin' "$("$B" run -- /usr/bin/python3 -c 'import os
for fd in 0, 1, 2:
    try: os.fstat(fd); print(fd, end=" ")
    except OSError as e: print("-", end=" ")' <&-)" '- 1 2 '
"$B" run -- sh -c '[ ! -e /proc/self/fd/1 ]' >&- || fail 'closed stdout is open'
"$B" run -- true <&- >&- 2>&- || fail 'all closed'
"$B" run -- sh -c 'exit 3' <&- >&- 2>&-; [[ $? -eq 3 ]] || fail 'all closed: status'
# a broken pipe
set -o pipefail
out=$(timeout 20 "$B" run -- yes 2>/dev/null | head -1); is 'yes | head' "$out" y
timeout 20 bash -c '"$BAILEY" run -- sh -c "exec yes" 2>/dev/null | head -1 >/dev/null; exit ${PIPESTATUS[0]}'; st=$?
[[ $st -eq 141 || $st -eq 1 ]] || fail "yes with a broken pipe: status $st"
# a full device
"$B" run -- sh -c 'echo x' >/dev/full 2>/dev/null && fail '/dev/full was written to'
# a reader that never comes does not matter to what only writes elsewhere
mkfifo "$tmp/fifo"
sleep 100 >"$tmp/fifo" & p=$!
timeout 10 "$B" run -- true <"$tmp/fifo" || fail 'an idle fifo as stdin'
kill $p
finish
