# SPDX-License-Identifier: Apache-2.0
# timeout: 120
# gdb: a breakpoint with a condition, steps, values, calls in the program, a backtrace through a signal frame, threads, attaching.
command -v gdb >/dev/null || { echo "no gdb"; exit 0; }
cat > g.c <<'X'
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
static int depth(int n)
{
	int loc = n * 2;
	if (n == 0)
		return loc + 1;
	return depth(n - 1) + loc;
}
static void handler(int s) { (void)s; }
static void *thread(void *a)
{
	for (;;)
		usleep(1000);
	return a;
}
int main(int c, char **v)
{
	(void)v;
	if (c > 1) {
		pthread_t t[3];
		for (int i = 0; i < 3; i++)
			pthread_create(&t[i], 0, thread, 0);
		sleep(100);
	}
	signal(SIGUSR1, handler);
	printf("%d\n", depth(3));
	raise(SIGUSR1);
	return 3;
}
X
gcc -g -O0 -pthread -o g g.c
gdb -nx -batch -ex 'set pagination off' -ex 'set debuginfod enabled off' -ex 'break depth if n==0' -ex 'break handler' -ex run -ex bt -ex next -ex next \
	-ex 'print loc' -ex 'print depth(2)' -ex 'delete 1' -ex 'handle SIGUSR1 nostop' -ex c -ex bt -ex stepi -ex finish -ex c ./g 2>&1 |
	sed -E 's/0x[0-9a-f]+/P/g' | grep -E '^#|^\$|^[0-9]|Breakpoint|exited|signal handler'
./g threads & p=$!
sleep 0.5
gdb -nx -batch -ex 'set debuginfod enabled off' -p $p -ex 'thread apply all bt' > out 2>&1; echo $?
grep -c '^Thread ' out; grep -c 'in thread (' out; grep -c 'in main (' out
kill -0 $p && kill $p; wait $p; echo $?
