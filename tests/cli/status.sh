#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The exit status is the program's, or 128 plus its signal: as a shell gives it natively.
. "$(dirname "$0")/common.bash"
for n in 0 1 2 42 125 126 127 128 255; do run $n '' -- sh -c "exit $n"; done
for s in HUP INT QUIT KILL USR1 USR2 SEGV PIPE ALRM TERM ABRT; do run $((128 + $(kill -l $s))) '' -- sh -c "kill -$s \$\$"; done
run 139 '' -- /usr/bin/python3 -c 'import ctypes; ctypes.string_at(0)'
# Orphans are nobody's children, and end with the sandbox.
run 0 'none' -- /usr/bin/python3 -c '
import os, time
if os.fork() == 0:
    if os.fork() == 0:
        time.sleep(0.1)
        os._exit(0 if os.getppid() == 1 else 1)
    os._exit(3)
pid, st = os.wait()
time.sleep(0.3)
try:
    print(os.wait())
except ChildProcessError:
    print("none")'
t0=$(date +%s%N)
run 0 '' -- sh -c 'sleep 100 & exit 0'
(( ($(date +%s%N) - t0) / 1000000 < 5000 )) || fail "an orphan kept the sandbox"
# An init of a PID namespace of its own is immune, and reaps.
run 0 'immune' -- unshare -pf sh -c 'kill -TERM $$; echo immune'
finish
