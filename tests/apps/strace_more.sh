# SPDX-License-Identifier: Apache-2.0
# timeout: 180
# strace of a gcc build, call by call of each process; counts, injected results, classes, signals, threads, execs from threads; ltrace.
command -v strace >/dev/null || { echo "no strace"; exit 1; }
exec 2>/dev/null # process ids
n() { sed -E 's/0x[0-9a-f]+/P/g; s/[0-9]{3,}/N/g; s/si_(pid|utime|stime)=[0-9]+/si_\1=N/g; s/[0-9]* vars/V vars/'; }
printf '#include <stdio.h>\nint main(void) { puts("hi"); return 0; }\n' > a.c
cat > calls.py <<'P'
import collections, re, sys
order, calls, name = [], collections.defaultdict(collections.Counter), {}
for l in open(sys.argv[1]):
    m = re.match(r'(\d+) +(\w+)\(', l)
    if m:
        if m[1] not in order:
            order.append(m[1])
        calls[m[1]][m[2]] += 1
        if m[2] == 'execve' and '= 0' in l:
            name[m[1]] = re.search(r'"([^"]*)"', l)[1].split('/')[-1]
    m = re.match(r'(\d+) +(---|\+\+\+) (.*)', l)
    if m:
        calls[m[1]][re.sub(r'si_pid=\d+', 'si_pid', re.sub(r', si_utime=.*', '', m[3]))] += 1
for p in order:
    print(name.get(p), sorted(calls[p].items()))
P
echo "== gcc"; strace -f -o t gcc -O2 a.c -o a; echo $?; ./a; python3 calls.py t
strace -f --seccomp-bpf -c -e trace=openat,clone,vfork,execve -o t gcc a.c -o a; awk 'NR>2 {print $NF, $4}' t | sort
strace -c -o t true; awk 'NR>2 {print $NF, $4}' t | sort
echo "== inject"
strace -o t -e inject=openat:error=EACCES:when=3+ cat a.c; echo $?
strace -o t -e trace=write -e inject=write:retval=1 sh -c 'echo one; echo two'; echo $?; n < t
strace -f -o t -e trace=kill -e inject=kill:signal=USR1 sh -c 'trap "echo got" USR1; kill -0 $$'; echo $?
strace -o t -e trace=execve,close -e fault=close:error=EIO:when=1 true; n < t
echo "== classes"; for c in %file %process %network %signal %ipc %desc %memory %creds %stat /open; do strace -e trace=$c -o t sh -c 'ls >/dev/null; date >/dev/null; true'; echo "$c $? $(grep -c '(' t)"; done
strace -y -o t -e trace=read,openat cat a.c > /dev/null; sed "s#$PWD#D#; s/0x[0-9a-f]*/P/g; s/<char [^>]*>/C/" t | tail -4
strace -z -o t -e trace=openat cat nosuch a.c > /dev/null; tail -1 t | n; strace -Z -o t -e trace=openat cat nosuch; grep nosuch t
for d in -D -DD -DDD; do strace $d -o t true; sleep .3; tail -1 t; done
strace -f -ff -o tf sh -c '/bin/true; /bin/true; (exit 3); :'; ls tf.* | wc -l
strace -b execve -f -o t sh -c 'exec true'; tail -1 t | sed -E 's/^[0-9]+ +//' | n
strace -k -o t -e trace=write /bin/echo; grep -c '> .*write' t
echo "== signals"
strace -e trace=none -e signal=all -o t sh -c 'trap : USR1; kill -USR1 $$; sleep 0 & wait; kill -TERM $$'; echo $?; n < t
cat > th.c <<'X'
#include <pthread.h>
#include <unistd.h>
static void *f(void *a) { for (;;) { getppid(); usleep(2000); } return a; }
static void *g(void *a) { pause(); return a; }
static void *e(void *a) { execl("/bin/true", "true", NULL); return a; }
int main(int c, char **v) { pthread_t t; for (int i = 0; i < 6; i++) pthread_create(&t, 0, c > 1 ? g : f, 0); if (c > 1) pthread_create(&t, 0, e, 0); pause(); }
X
gcc -pthread -o th th.c
echo "== attach"; ./th & p=$!; sleep .3; timeout -s INT 2 strace -f -o t -p $p; echo $?; cut -d' ' -f1 t | sort -u | wc -l; timeout -s INT 1 strace -f -c -o t -p $p; awk 'NR>2 {print $NF}' t | sort; kill $p; wait $p; echo $?
echo "== exec in a thread"; strace -f -o t ./th x; echo $?; grep -E 'execve|superseded|exited' t | sed -E 's/^[0-9]+ +//; s/pid [0-9]+/pid N/' | n | sort
echo "== the tracer dies"; sleep 5 & p=$!; strace -o t -p $p & s=$!; sleep .5; kill -9 $s; wait $s; echo $?; sleep .2; grep -E '^(State|TracerPid)' /proc/$p/status; kill $p; wait $p; echo $?
echo "== traced twice"; strace -f -o t strace -o t2 true; tail -1 t2; grep -c 'ptrace(PTRACE_SYSCALL' t | grep -vc '^0$'
echo "== ltrace"
command -v ltrace >/dev/null || { echo "no ltrace"; exit 1; }
cat > l.c <<'X'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void) { char *p = malloc(10); strcpy(p, "abc"); puts(p); free(p); if (!fork()) { puts("kid"); exit(3); } int st; wait(&st); printf("%d\n", st); return 0; }
X
gcc -O0 -o l l.c
ltrace -f -o t ./l; echo $?; sed -E 's/^[0-9]+ //; s/ += .*/ =/' t | n | sort
ltrace -S -c -o t ./l; awk '{print $NF}' t | sort
ltrace -e malloc+free -o t ./l; n < t
