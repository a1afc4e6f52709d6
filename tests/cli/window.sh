#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bulk reads of a file of the host's tree go on rightly when it gets data of its own, and of one that the host changes.
. "$(dirname "$0")/common.bash"
d=$tmp
head -c 300000 /dev/zero | tr '\0' a >"$d/f"
cat >"$d/t.py" <<'PY'
import os, sys
p = sys.argv[1]
a = os.open(p, os.O_RDONLY)
def warm(fd, c):
    for i in range(300):
        if os.pread(fd, 65536, 0) != c * 65536: sys.exit(f'not {c}')
warm(a, b'a')
w = os.open(p, os.O_RDWR)
warm(w, b'a')
os.pwrite(w, b'b' * 65536, 0)
warm(a, b'b'); warm(w, b'b')
os.ftruncate(w, 1000)
assert os.pread(a, 65536, 0) == b'b' * 1000
os.close(os.open(p, os.O_WRONLY | os.O_TRUNC))
assert os.pread(a, 65536, 0) == b''
print('fine')
PY
out=$(timeout 60 "$BAILEY" run -- python3 "$d/t.py" "$d/f" 2>&1)
[[ $out == fine ]] || fail "copied up: $out"
[[ $(stat -c %s "$d/f") -eq 300000 ]] || fail "the host's file was changed"
cat >"$d/u.py" <<'PY'
import os, sys, time
fd = os.open('/m/f', os.O_RDONLY)
for i in range(300): os.pread(fd, 65536, 0)
print('warm', flush=True)
sys.stdin.readline()
for i in range(300): n = len(os.pread(fd, 65536, 0))
print(n, flush=True)
PY
coproc B { timeout 60 "$BAILEY" run --bind "$d:/m" -- python3 /m/u.py 2>&1; }
read -r -t 30 line <&"${B[0]}"
[[ $line == warm ]] || fail "no window: $line"
: >"$d/f"
echo >&"${B[1]}"
read -r -t 30 line <&"${B[0]}"
[[ $line == 0 ]] || fail "a file that the host cut short read $line bytes"
finish
