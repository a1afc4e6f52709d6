#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Every option of `bailey run` does what it says.
. "$(dirname "$0")/common.bash"

# --env, --clear-env
export OUTER=outer
run 0 outer -- sh -c 'echo $OUTER'
run 0 'A=1' --clear-env --env A=1 -- /usr/bin/env
run 0 '' --env A=1 --clear-env -- /usr/bin/env
run 0 'OUTER=outer' --clear-env --env OUTER -- /usr/bin/env
run 0 '' --clear-env --env NOT_SET_ANYWHERE -- /usr/bin/env
run 0 '2' --env A=1 --env A=2 -- sh -c 'echo $A'
run 0 'x=y' --env A=x=y -- sh -c 'echo $A'
# --cwd
run 0 /tmp --cwd /tmp -- pwd
run 0 /usr/bin --cwd=/usr/bin -- pwd
out=$(cd "$tmp" && "$BAILEY" run -- pwd)
[[ $out = "$tmp" ]] || fail "without --cwd: $out"
# --user
run 0 '1000 1001 1001' --user 1000:1001 -- sh -c 'echo $(id -u) $(id -g) $(id -G)'
run 0 '77 77' --user 77 -- sh -c 'echo $(id -u) $(id -g)'
run 1 '*Permission denied*' --user 1000 -- sh -c 'cat /etc/shadow || exit 1'
# --init
run 0 '1 0' -- sh -c 'echo $$ $PPID'
run 0 'got 2 1' --init -- sh -c 'trap "printf \"got \"" TERM; kill -TERM -$$; echo $$ $PPID'
run 143 '' --init -- sh -c 'kill -TERM -$$; sleep 5'
run 0 1 --init -- sh -c '(sh -c "sleep 0.2; exec sh -c \"echo \\\$PPID\"" &); sleep 0.6'
# --workers
run 0 hi --workers 3 -- sh -c 'sh -c "echo hi" | cat'
run 125 '*not a number*' --workers 0 -- true
# --hostname
run 0 bailey -- hostname
run 0 box --hostname box -- hostname
# --network
run 0 lo --network none -- sh -c 'ls /sys/class/net 2>/dev/null || echo lo'
run 0 '*' --network host -- true
port=$((20000 + RANDOM % 20000))
server='import socket,sys; s=socket.create_server(("127.0.0.1", int(sys.argv[1]))); print("up", flush=True); c=s.accept()[0]; c.sendall(b"hello")'
client='import socket,sys; print(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 2).recv(9).decode())'
python3 -c "$server" $port >"$tmp/up" & srv=$!
for _ in {1..50}; do [[ -s $tmp/up ]] && break; sleep 0.05; done
run 1 '*refused*' --network none -- /usr/bin/python3 -c "$client" $port
run 0 hello --network host -- /usr/bin/python3 -c "$client" $port
kill $srv 2>/dev/null
# --bind: directories and files, ro and rw
mkdir "$tmp/d"; echo one >"$tmp/d/f"; echo two >"$tmp/single"
run 0 one --bind "$tmp/d:/mnt/a/b" -- cat /mnt/a/b/f
run 0 '*Read-only*0' --bind "$tmp/d:/mnt:ro" -- sh -c 'echo x >/mnt/new; ls /mnt/new 2>/dev/null | wc -l'
run 0 '' --bind "$tmp/d:/mnt" -- sh -c 'echo new >/mnt/new; mv /mnt/new /mnt/newer; mkdir /mnt/sub; chmod 700 /mnt/sub'
[[ $(cat "$tmp/d/newer") = new && -d $tmp/d/sub ]] || fail "--bind: what was written is not there"
run 0 two --bind "$tmp/single:/mnt/x:ro" -- cat /mnt/x
run 0 two --bind "$tmp/single:/etc/hosts" -- cat /etc/hosts
run 2 '*Read-only*' --bind "$tmp/single:/mnt/x:ro" -- sh -c 'echo x >/mnt/x'
run 0 '' --bind "$tmp/single:/mnt/x:rw" -- sh -c 'echo three >/mnt/x'
[[ $(cat "$tmp/single") = three ]] || fail "--bind of a file: what was written is not there"
run 0 '1' --bind "$tmp/single:/q/x" -- sh -c 'ls /q | wc -l'
run 0 '0' --bind "$tmp/single:/q/x" -- sh -c 'ls -a / | grep -c bailey; true'
run 0 'three
one' --bind "$tmp/single:/q/x" --bind "$tmp/d:/q/d" -- cat /q/x /q/d/f
# --strace
run 0 '' --strace="$tmp/trace" -- true
grep -q 'execve\|mmap' "$tmp/trace" || fail "--strace=FILE: no calls in it"
run 0 '*exit_group*' --strace -- true
run 0 '' --strace="$tmp/trace" -- sh -c 'trap : USR1; kill -USR1 $$; exec head -c 5 /etc/passwd >/dev/null'
grep -q 'read(3, "root:' "$tmp/trace" || fail "--strace: a buffer is not what the call filled it with"
grep -q 'rt_sigreturn()' "$tmp/trace" || fail "--strace: no rt_sigreturn"
grep 'syscall_4294967295' "$tmp/trace" && fail "--strace: a number that there is not"
# --hostname in /etc/hosts
run 0 '127.0.0.1*box7*' --hostname box7 -- getent hosts box7
run 0 "$(cat /etc/hosts)" --hostname localhost -- cat /etc/hosts
# --log
run 0 '' --log error -- true
run 0 '*jail: tier*' --log info -- true
run 0 '*events*' --log debug -- true
# --no-patch
run 0 '1000' --no-patch -- sh -c 'i=0; while [ $i -lt 1000 ]; do i=$((i+1)); done; echo $i'
# --pids
run 0 '*EAGAIN*' --pids 8 -- /usr/bin/python3 -c '
import os, errno
n = 0
try:
    while n < 100:
        if os.fork() == 0:
            import time; time.sleep(60)
        n += 1
except OSError as e:
    print(errno.errorcode[e.errno], n)
os._exit(0 if n == 7 else 1)'
# The words after CMD are its own; -- is not needed.
run 0 '--env A=1' echo --env A=1
run 0 '-- x' -- echo -- x
# --help
run 0 'usage: bailey run*--rootfs*--no-patch*' --help
expect 0 'usage:*' "$BAILEY" --help
expect 0 'bailey [0-9]*' "$BAILEY" --version
expect 0 'bailey*tier*' "$BAILEY" doctor
expect 0 '*getppid*full*' "$BAILEY" syscalls
# What is inherited: the umask, ignored signals
out=$(umask 027; "$BAILEY" run -- sh -c umask)
[[ $out = 0027 ]] || fail "umask: $out"
out=$(trap '' HUP; "$BAILEY" run -- sh -c 'kill -HUP $$; echo survived')
[[ $out = survived ]] || fail "an ignored SIGHUP: $out"
finish
