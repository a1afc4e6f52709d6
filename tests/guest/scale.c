/* SPDX-License-Identifier: Apache-2.0 */
/* Many threads, many processes, many of them one after the other. SCALE=full: as many as the project promises (tests/scale). */
#include "harness.h"
#include <pthread.h>
#include <stdatomic.h>

static int scale(int small, int full)
{
	const char *s = getenv("SCALE");

	return s && !strcmp(s, "full") ? full : small;
}

static _Atomic int started, signalled;
static __thread int mine;
static void count(int sig)
{
	mine++;
	atomic_fetch_add(&signalled, 1);
}
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static bool end;
static void *sleeper(void *a)
{
	atomic_fetch_add(&started, 1);
	pthread_mutex_lock(&lock);
	while (!end)
		pthread_cond_wait(&cond, &lock);
	pthread_mutex_unlock(&lock);
	return (void *)(long)mine;
}

static void wait_for(_Atomic int *what, int n)
{
	for (int i = 0; *what < n && i < 100000; i++)
		usleep(1000);
	CHECK_EQ(*what, n);
}

TEST_TIMEOUT(threads_start_take_signals_and_end, 100)
{
	int n = scale(2000, 10000);
	pthread_t *t = calloc(n, sizeof(*t));
	pthread_attr_t at;

	pthread_attr_init(&at);
	pthread_attr_setstacksize(&at, 65536);
	signal(SIGUSR1, count);
	for (int i = 0; i < n; i++)
		CHECK_EQ(pthread_create(&t[i], &at, sleeper, NULL), 0);
	wait_for(&started, n);
	for (int i = 0; i < n; i++)
		CHECK_EQ(pthread_kill(t[i], SIGUSR1), 0);
	wait_for(&signalled, n);
	pthread_mutex_lock(&lock);
	end = true;
	pthread_cond_broadcast(&cond);
	pthread_mutex_unlock(&lock);
	for (int i = 0; i < n; i++) {
		void *took;

		CHECK_EQ(pthread_join(t[i], &took), 0);
		CHECK_EQ((long)took, 1);
	}
}

TEST_TIMEOUT(threads_end_with_their_process, 100)
{
	int n = scale(2000, 10000), st;
	pid_t p = fork();

	if (!p) {
		pthread_attr_t at;
		pthread_t t;

		pthread_attr_init(&at);
		pthread_attr_setstacksize(&at, 65536);
		for (int i = 0; i < n; i++)
			if (pthread_create(&t, &at, sleeper, NULL))
				_exit(1);
		wait_for(&started, n);
		_exit(9);
	}
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 9);
}

static _Atomic int *shared; /* processes there, processes signalled, forks left */
static void __attribute__((noreturn)) node(int depth)
{
	sigset_t usr1;
	pid_t kids[6];
	int nkids = 0, st, sig, bad = 0;

	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	while (depth > 0 && nkids < 6 && atomic_fetch_add(&shared[2], -1) > 0) {
		pid_t p = fork();

		CHECK(p >= 0);
		if (!p) {
			depth--;
			nkids = 0;
			continue;
		}
		kids[nkids++] = p;
	}
	atomic_fetch_add(&shared[0], 1);
	CHECK_EQ(sigwait(&usr1, &sig), 0);
	atomic_fetch_add(&shared[1], 1);
	for (int i = 0; i < nkids; i++)
		CHECK_EQ(kill(kids[i], SIGUSR1), 0);
	for (int i = 0; i < nkids; i++) {
		CHECK_EQ(waitpid(kids[i], &st, 0), kids[i]);
		bad += !WIFEXITED(st) || WEXITSTATUS(st) != 7;
	}
	_exit(bad ? 8 : 7);
}

TEST_TIMEOUT(a_tree_of_processes, 100)
{
	int n = scale(1000, 5000), st;
	sigset_t usr1;
	pid_t p;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	shared[2] = n - 1;
	sigemptyset(&usr1);
	sigaddset(&usr1, SIGUSR1);
	sigprocmask(SIG_BLOCK, &usr1, NULL);
	p = fork();
	if (!p)
		node(20);
	wait_for(&shared[0], n);
	CHECK_EQ(kill(p, SIGUSR1), 0);
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 7);
	CHECK_EQ(shared[1], n);
}

TEST_TIMEOUT(children_killed_at_once, 100)
{
	int n = scale(1000, 5000), got = 0, st;
	pid_t first = 0;

	for (int i = 0; i < n; i++) {
		pid_t p = fork();

		CHECK(p >= 0);
		if (!first)
			first = p ? p : getpid();
		setpgid(p, first);
		if (!p)
			for (;;)
				pause();
	}
	CHECK_EQ(kill(-first, SIGTERM), 0);
	while (wait(&st) > 0)
		got += WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM;
	CHECK_EQ(got, n);
}

TEST_TIMEOUT(fork_and_wait, 1000)
{
	int n = scale(3000, 1000000);
	const char *s = getenv("SCALE_CYCLES");

	if (s)
		n = atoi(s);
	for (int i = 0; i < n; i++) {
		pid_t p = fork();
		int st;

		CHECK(p >= 0);
		if (!p)
			_exit(i & 127);
		CHECK_EQ(waitpid(p, &st, 0), p);
		CHECK(WIFEXITED(st) && WEXITSTATUS(st) == (i & 127));
		if (s && i == n / 8) {
			printf("# warm\n");
			fflush(stdout);
		}
	}
}
