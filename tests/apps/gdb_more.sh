# SPDX-License-Identifier: Apache-2.0
# timeout: 240
# gdb: watchpoints, hardware breakpoints, catchpoints, both sides of a fork, threads, a crash's core file, registers, gdbserver.
command -v gdb >/dev/null || { echo "no gdb"; exit 1; }
cat > w.c <<'X'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
int counter;
struct pt { int x, y; double d; char name[8]; } p = { 1, 2, 3.5, "point" };
static int child_work(int n) { return n * 3; }
static void *th(void *a) { counter += (int)(long)a; return a; }
static void crash(int *q) { *q = 1; }
static void *sleeper(void *a) { for (;;) pause(); return a; }
static void *spinner(void *a) { for (;;) counter++; return a; }
static void *crasher(void *a) { usleep(100000); crash(a); return a; }
int main(int c, char **v)
{
	char how = c > 1 ? v[1][0] : 0;
	pthread_t t[5];
	int st;
	if (how == 'f') {
		pid_t k = fork();
		if (!k) { int r = child_work(7); _exit(r); }
		waitpid(k, &st, 0);
		printf("child %d\n", WEXITSTATUS(st));
		k = vfork();
		if (!k) { execl("/bin/true", "true", NULL); _exit(1); }
		waitpid(k, &st, 0);
		printf("true %d\n", WEXITSTATUS(st));
		return 0;
	}
	if (how == 't') {
		for (long i = 0; i < 5; i++) { pthread_create(&t[i], 0, th, (void *)i); pthread_join(t[i], 0); }
		printf("%d\n", counter);
		return 0;
	}
	if (how == 'c')
		crash(0);
	if (how == 'm') {
		pthread_create(&t[0], 0, sleeper, 0);
		pthread_create(&t[1], 0, spinner, 0);
		pthread_create(&t[2], 0, crasher, 0);
		sleep(100);
	}
	for (int i = 0; i < 5; i++)
		counter += i;
	p.x = counter;
	printf("%d\n", counter);
	return 0; /* the last line */
}
X
gcc -g -O0 -pthread -o w w.c
last=$(grep -n 'the last line' w.c | cut -d: -f1)
g() { timeout 100 gdb -nx -batch -ex 'set pagination off' -ex 'set debuginfod enabled off' "$@" 2>&1 |
	sed -E 's/0x[0-9a-f]+/P/g; s/(process|LWP) [0-9]+/\1 N/g; s/ +Frame/ Frame/; s/ +\(?native\)?/ native/; s/ {2,}/ /g' | grep -v '^$\|New process\|New inferior\|sysdeps\|libthread_db\|debug_info\|nptl/\|^warning'; }
echo "== watch"; g -ex 'break main' -ex run -ex 'watch counter' -ex c -ex c -ex 'info watchpoints' -ex 'delete 2' -ex 'watch counter if counter > 5' -ex c -ex 'print counter' -ex 'delete 3' \
	-ex 'set can-use-hw-watchpoints 0' -ex 'watch p.x' -ex c -ex 'delete 4' -ex "hbreak $((last - 1))" -ex c -ex 'info breakpoints' -ex "thbreak $last" -ex c -ex 'print p' -ex 'set var p.y = 77' -ex 'print p' \
	-ex 'ptype p' -ex 'x/3i $pc' -ex 'print $_siginfo.si_signo' -ex 'catch syscall exit_group' -ex c -ex 'info breakpoints 6' -ex c ./w
echo "== random addresses off"; for i in 1 2; do g -ex 'break main' -ex run -ex 'print $fs_base' -ex 'print (long)&p' -ex kill ./w | grep '^\$' > at$i; done; cmp at1 at2 && wc -l < at1
echo "== forks"; g -ex 'catch fork' -ex 'catch vfork' -ex 'catch syscall write' -ex 'run f' -ex c -ex c -ex c -ex 'delete 3' -ex c ./w | grep -v '^[0-9]*.in'
echo "== the child"; g -ex 'set follow-fork-mode child' -ex 'break child_work' -ex 'run f' -ex bt -ex 'print n' -ex finish -ex c ./w | sort
echo "== its exec"; g -ex 'catch vfork' -ex 'run f' -ex 'set follow-fork-mode child' -ex 'catch exec' -ex c -ex 'info inferiors' -ex c ./w | grep -v '^[0-9]*.in' | sort
echo "== threads"; g -ex 'break th' -ex 'run t' -ex 'thread apply all print $_thread' -ex disable -ex 'set scheduler-locking on' -ex finish -ex 'set scheduler-locking off' -ex c ./w | grep -v 'New Thread\|exited\]'
echo "== signal"; g -ex 'catch signal SIGSEGV' -ex 'run c' -ex bt -ex 'print $_siginfo._sifields._sigfault.si_addr' -ex 'generate-core-file gc' -ex c ./w; g -ex bt -ex 'print p' ./w gc
g -ex 'break crash' -ex 'run c' -ex return -ex c ./w
echo "== core of a crash"; (ulimit -c unlimited; ./w m; echo "st $?") 2>/dev/null; ls core*
g -ex bt -ex 'print q' -ex 'print p' -ex 'thread apply all bt' -ex 'info sharedlibrary' -ex 'print $_siginfo.si_signo' -ex 'print $_siginfo._sifields._sigfault.si_addr' -ex 'info proc exe' ./w core |
	grep -v '^#0\|^P in\|counter++' | grep -v 'xstate\|New LWP\|pthread_create\|clone3\|nanosleep\|pause\|usleep\|sleep (' | sort
echo "== gdbserver"
if command -v gdbserver >/dev/null; then
	gdbserver --once localhost:7411 ./w t > gs 2>&1 & s=$!
	for i in $(seq 100); do grep -q Listening gs && break; sleep .1; done
	g -ex 'target remote localhost:7411' -ex 'break th' -ex c -ex 'print a' -ex 'bt 1' -ex 'delete 1' -ex c ./w | grep -E '^\$|hit Breakpoint|exited normally|th \(a='
	wait $s; echo $?; grep -c '^10$' gs
fi
echo "== attach"
cat > a.c <<'X'
#include <pthread.h>
#include <unistd.h>
volatile int go = 1;
static void *work(void *a) { while (go) usleep(1000); return a; }
int main(void) { pthread_t t[50]; for (int i = 0; i < 50; i++) pthread_create(&t[i], 0, work, 0); for (int i = 0; i < 50; i++) pthread_join(t[i], 0); return 5; }
X
gcc -g -O0 -pthread -o a a.c; ./a & p=$!
sleep .5
for i in 1 2; do gdb -nx -batch -ex 'set debuginfod enabled off' -p $p -ex 'thread apply all bt' > out 2>&1; echo $?; grep -c '^Thread ' out; grep -c 'in work (' out; grep '^State' /proc/$p/status | grep -c '[RS]'; done
gdb -nx -batch -ex 'set debuginfod enabled off' -p $p -ex 'thread 7' -ex 'set var go = 0' > out 2>&1; wait $p; echo $?
