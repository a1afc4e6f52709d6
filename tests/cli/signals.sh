#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Signals to the command line reach the program.
. "$(dirname "$0")/common.bash"
B=$BAILEY
# job control in scripts ignores SIGINT in background jobs: python starts it
sig() { /usr/bin/python3 - "$@" <<'P'
import os, signal, subprocess, sys, time
b, sig, how, want = sys.argv[1], getattr(signal, sys.argv[2]), sys.argv[3], int(sys.argv[4])
for s in (signal.SIGINT, signal.SIGQUIT): signal.signal(s, signal.SIG_DFL)
p = subprocess.Popen([b, 'run', '--', 'sh', '-c', {'plain': 'echo up; exec sleep 30', 'trap': 'trap "echo got; exit 7" ' + sys.argv[2][3:] + '; echo up; while :; do sleep 0.05; done',
    'ignore': 'trap "" ' + sys.argv[2][3:] + '; echo up; sleep 0.5; exit 9', 'shell': 'echo up; sleep 30; echo not here'}[how]], stdout=subprocess.PIPE, text=True)
p.stdout.readline()
time.sleep(0.05)
t = time.time()
p.send_signal(sig)
try:
    p.wait(10)
except subprocess.TimeoutExpired:
    print('FAIL:', sys.argv[2], how, 'did not end'); p.kill(); sys.exit(1)
if p.returncode != want:
    print('FAIL:', sys.argv[2], how, 'status', p.returncode, 'instead of', want); sys.exit(1)
P
}
for s in HUP INT QUIT TERM USR1 USR2 ALRM; do
	n=$((128 + $(kill -l $s)))
	sig "$B" SIG$s plain $n || failed=1
	sig "$B" SIG$s trap 7 || failed=1
	sig "$B" SIG$s ignore 9 || failed=1
done
sig "$B" SIGTERM shell 143 || failed=1
# while it starts
for i in {1..20}; do
	timeout -s TERM 0.00$i "$B" run -- sleep 30
	st=$?
	[[ $st -eq 124 || $st -eq 125 || $st -eq 143 ]] || fail "SIGTERM at the start: status $st"
done
finish
