#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# timeout: 90
# A sandbox with a name, and what is done to it from other processes: exec, ps, kill, pause, resume.
. "$(dirname "$0")/common.bash"
export XDG_RUNTIME_DIR=$tmp/runtime
mkdir -m 700 "$XDG_RUNTIME_DIR"
sockets=$XDG_RUNTIME_DIR/bailey
wait_for() { for _ in {1..200}; do eval "$1" && return; sleep 0.05; done; fail "waited for $1"; }
"$BAILEY" run --name box -- sh -c 'echo inside >/tmp/mark; trap "exit 9" USR1; while :; do sleep 0.05; done' & p=$!
wait_for "$BAILEY exec box true 2>/dev/null"
[[ $(stat -c '%a %F' "$sockets") = '700 directory' && $(stat -c '%a' "$sockets/box") = 600 ]] || fail "modes: $(ls -la "$sockets")"
# exec: same files, status, descriptors, environment, folder, user
wait_for '[[ $("$BAILEY" exec box cat /tmp/mark 2>/dev/null) = inside ]]'
expect 7 '' "$BAILEY" exec box -- sh -c 'exit 7'
expect 137 '' "$BAILEY" exec box sh -c 'kill -9 $$'
expect 127 '*command not found*' "$BAILEY" exec box nonsense-command
expect 126 '*' "$BAILEY" exec box /etc/passwd
expect 0 'K=v /tmp 77 78' "$BAILEY" exec --clear-env --env K=v --cwd /tmp --user 77:78 box sh -c 'echo "K=$K $(pwd) $(id -u) $(id -g)"'
[[ $(echo piped | "$BAILEY" exec box cat) = piped ]] || fail "exec: standard input"
expect 0 'out
err' "$BAILEY" exec box sh -c 'echo out; echo err >&2'
head -c 300000 /dev/urandom >"$tmp/data"
[[ $("$BAILEY" exec box sha256sum <"$tmp/data") = $(sha256sum <"$tmp/data") ]] || fail "exec: much data"
# as many at once as there may be, and more in a row
for i in {1..12}; do "$BAILEY" exec box sh -c "sleep 0.3; exit $i" & q[i]=$!; done
for i in {1..12}; do wait "${q[i]}"; st=$?; [[ $st = "$i" ]] || fail "exec $i at once: $st"; done
# signals of the client go to what it runs
"$BAILEY" exec box sh -c 'trap "exit 33" TERM; echo up; while :; do sleep 0.05; done' >"$tmp/up" & q=$!
wait_for '[[ -s $tmp/up ]]'
kill -TERM $q; wait $q; st=$?
[[ $st = 33 ]] || fail "a signal to exec: $st"
# ps
"$BAILEY" ps box >"$tmp/ps"
grep -qE '^ +1 +0 +[0-9]+ [RS]  +1 +[0-9]+\.[0-9]+ sh$' "$tmp/ps" || fail "ps: $(<"$tmp/ps")"
"$BAILEY" ps | grep -qE '^ +[12] box$' || fail "ps without a name: $("$BAILEY" ps)"
# pause and resume
"$BAILEY" exec box sh -c 'while :; do echo x; sleep 0.02; done' >"$tmp/ticks" & q=$!
wait_for '[[ -s $tmp/ticks ]]'
"$BAILEY" pause box || fail pause
sleep 0.1; a=$(wc -c <"$tmp/ticks"); sleep 0.4; b=$(wc -c <"$tmp/ticks")
[[ $a = "$b" ]] || fail "it runs while it is paused: $a $b"
"$BAILEY" ps box | grep -qE ' [RS]p ' || fail "ps of the paused: $("$BAILEY" ps box)"
"$BAILEY" resume box || fail resume
expect 125 '*not paused*' "$BAILEY" resume box
wait_for '[[ $(wc -c <"$tmp/ticks") -gt $b ]]'
kill -9 $q; wait $q 2>/dev/null
# kill: by number, by name of the signal; what was killed on the host's side runs on until then
pid=$("$BAILEY" ps box | awk '$1 > 1 && $NF == "sh" { print $1; exit }')
[[ -n $pid ]] || fail "no process to kill: $("$BAILEY" ps box)"
expect 0 '' "$BAILEY" kill -s KILL box "$pid"
wait_for '! "$BAILEY" ps box | grep -q "^ *$pid "'
expect 125 '*No such process*' "$BAILEY" kill box 99999
expect 125 '*not a signal*' "$BAILEY" kill -s NONSENSE box
# a second one cannot have the name; others and absent ones are told apart
expect 125 '*a sandbox called box is running*' "$BAILEY" run --name box -- true
expect 125 '*letters*' "$BAILEY" run --name ../box -- true
expect 125 '*no sandbox of this name*' "$BAILEY" exec other true
expect 125 '*no command*' "$BAILEY" exec box
# hostile words on the socket: nothing of it harms
python3 - "$sockets/box" <<'PY' || fail "words of a hostile client"
import os, random, socket, struct, sys
random.seed(5)
def connect():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(sys.argv[1])
    return s
for i in range(200):
    s = connect()
    try:
        for j in range(5):
            n = random.choice([0, 3, 16, 40, 2000])
            s.send(os.urandom(n) if i % 2 else struct.pack("IIiI", random.choice([1, 2, 3, 4, 7, 8, 9, 10, 77]), 1, 0, n) + os.urandom(n))
    except OSError:
        pass
    s.close()
# process 1 of the control socket is not this client's: it may not start, release or pause it as its own
s = connect()
s.recv(100)
for t in (2, 3, 7):
    s.send(struct.pack("IIiI", t, 5, 0, 8) + struct.pack("II", 1, 0))
    head = struct.unpack("IIiI", s.recv(1000)[:16])
    assert head[1] == 5 and head[2] == -1, head
keep = [connect() for i in range(40)]
PY
while "$BAILEY" resume box 2>/dev/null; do :; done
expect 0 'still here' "$BAILEY" exec box echo still here
# the first process by a signal
expect 0 '' "$BAILEY" kill -s USR1 box
wait $p; st=$?
[[ $st = 9 ]] || fail "kill -s USR1: $st"
[[ -z $(ls "$sockets") ]] || fail "left behind: $(ls "$sockets")"
# killed: the socket stays, and is in nobody's way
"$BAILEY" run --name box -- sleep 100 & p=$!
wait_for "$BAILEY exec box true 2>/dev/null"
kill -9 $p; wait $p 2>/dev/null
expect 125 '*no sandbox of this name*' "$BAILEY" ps box
"$BAILEY" ps | grep -q box && fail "ps shows a dead sandbox"
expect 0 'new' "$BAILEY" run --name box -- echo new
# a sandbox that ends under an exec
"$BAILEY" run --name box -- sh -c 'while ! [ -e /tmp/go ]; do sleep 0.05; done' & p=$!
wait_for "$BAILEY exec box true 2>/dev/null"
"$BAILEY" exec box sh -c 'touch /tmp/go; sleep 100' 2>"$tmp/err"; st=$?
[[ $st = 137 || ($st = 125 && $(<"$tmp/err") = *ended*) ]] || fail "the sandbox ended under an exec: $st $(<"$tmp/err")"
wait $p
# somebody else's folder is not used
chmod 777 "$sockets"
expect 125 '*Permission denied*' "$BAILEY" run --name box -- true
finish
