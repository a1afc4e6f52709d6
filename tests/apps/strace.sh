# SPDX-License-Identifier: Apache-2.0
# timeout: 60
# strace: calls, children, threads, a seccomp filter of its own, changed results, attaching.
command -v strace >/dev/null || { echo "no strace"; exit 0; }
exec 2>/dev/null # process ids
strace -o t1 -e trace=execve,exit_group true; sed 's/0x[0-9a-f]*/P/; s/[0-9]* vars/N vars/' t1
echo 'int main(void) { return 0; }' > a.c
strace -f -o t2 gcc a.c -o a; echo $?; ./a; echo $?
grep -c 'execve(.*/as"' t2; grep -c 'exited with 0' t2
strace --seccomp-bpf -f -e trace=execve -o t3 sh -c 'true; /bin/true; /bin/true'; grep -c 'execve(' t3
strace -o /dev/null -e trace=getppid -e inject=getppid:retval=77 sh -c 'echo $PPID'
sleep 30 &
strace -o t4 -p $! & s=$!
sleep 0.5; kill -USR1 %1; wait %1; echo $?; wait $s; echo $?; grep -c 'killed by SIGUSR1' t4
