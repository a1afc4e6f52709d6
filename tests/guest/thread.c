/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>

static int n;
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;
static void *add(void *x)
{
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&mu);
		n++;
		pthread_mutex_unlock(&mu);
	}
	return x;
}
TEST(mutex_and_join)
{
	pthread_t t[20];
	for (long i = 0; i < 20; i++)
		CHECK(!pthread_create(&t[i], NULL, add, (void *)i));
	for (long i = 0; i < 20; i++) {
		void *r;
		CHECK(!pthread_join(t[i], &r) && r == (void *)i);
	}
	CHECK_EQ(n, 40000);
}

TEST(many_short_threads)
{
	for (int i = 0; i < 300; i++) {
		pthread_t t;
		CHECK(!pthread_create(&t, NULL, add, NULL) && !pthread_join(t, NULL));
	}
}

static void *waiter(void *x)
{
	pthread_mutex_lock(&mu);
	while (n < 1)
		pthread_cond_wait(&cv, &mu);
	n++;
	pthread_cond_signal(&cv);
	pthread_mutex_unlock(&mu);
	return x;
}
TEST(condition)
{
	pthread_t t[4];
	for (int i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, waiter, NULL);
	msleep(20);
	pthread_mutex_lock(&mu);
	n = 1;
	pthread_cond_broadcast(&cv);
	pthread_mutex_unlock(&mu);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK_EQ(n, 5);
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	pthread_mutex_lock(&mu);
	CHECK_EQ(pthread_cond_timedwait(&cv, &mu, &ts), ETIMEDOUT);
}

TEST(futex_errors)
{
	int w = 5;
	struct timespec t = { 0, 10000000 };
	CHECK_ERRNO(syscall(SYS_futex, &w, FUTEX_WAIT, 4, NULL), EAGAIN);
	CHECK_ERRNO(syscall(SYS_futex, &w, FUTEX_WAIT, 5, &t), ETIMEDOUT);
	CHECK_EQ(syscall(SYS_futex, &w, FUTEX_WAKE, 1), 0);
	CHECK_ERRNO(syscall(SYS_futex, (char *)&w + 1, FUTEX_WAIT, 5, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_futex, 8, FUTEX_WAIT, 5, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_futex, &w, 99, 5, NULL), ENOSYS);
}

TEST(futex_between_processes)
{
	int *w = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t p = fork();
	if (!p) {
		while (*(volatile int *)w == 0)
			syscall(SYS_futex, w, FUTEX_WAIT, 0, NULL);
		_exit(3);
	}
	msleep(50);
	*w = 1;
	syscall(SYS_futex, w, FUTEX_WAKE, 10);
	int st;
	CHECK(waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 3);
}

static void *sleeper(void *x) { for (;;) pause(); return x; }
static void *leaver(void *x) { msleep(50); exit(7); return x; }
static int prio_word;
static _Atomic int prio_woken;
static void *prio_waiter(void *arg)
{
	struct sched_param sp = { .sched_priority = (int)(intptr_t)arg };

	if (sched_setscheduler(0, sp.sched_priority ? SCHED_FIFO : SCHED_OTHER, &sp))
		return (void *)1;
	syscall(SYS_futex, &prio_word, FUTEX_WAIT, 0, NULL, NULL, 0);
	prio_woken = prio_woken * 10 + (int)(intptr_t)arg;
	return NULL;
}

/* Real-time waiters first, the highest first; the others as they came. */
TEST(futex_wakes_by_priority)
{
	static const int prios[] = { 0, 1, 3, 2 };
	pthread_t th[4];
	void *refused = NULL;
	int woken = 0;

	for (int i = 0; i < 4; i++) {
		CHECK_EQ(pthread_create(&th[i], NULL, prio_waiter, (void *)(intptr_t)prios[i]), 0);
		usleep(50000);
	}
	for (int i = 0; i < 4; i++) {
		woken += (int)syscall(SYS_futex, &prio_word, FUTEX_WAKE, 1, NULL, NULL, 0);
		usleep(50000);
	}
	for (int i = 0; i < 4; i++) {
		void *r;

		CHECK_EQ(pthread_join(th[i], &r), 0);
		refused = r ? r : refused;
	}
	if (refused) /* without the right to real-time policies there is nothing to see */
		return;
	CHECK_EQ(woken, 4);
	CHECK_EQ(prio_woken, 3210);
}

TEST(exit_group_from_a_thread)
{
	int st = CHILD_STATUS({
		pthread_t t;
		for (int i = 0; i < 5; i++)
			pthread_create(&t, NULL, sleeper, NULL);
		pthread_create(&t, NULL, leaver, NULL);
		for (;;)
			pause();
	});
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 7);
}

static void *execer(void *x) { execl("/bin/sh", "sh", "-c", "exit 11", (char *)NULL); return x; }
TEST(exec_from_a_thread)
{
	int st = CHILD_STATUS({
		pthread_t t;
		pthread_create(&t, NULL, sleeper, NULL);
		pthread_create(&t, NULL, execer, NULL);
		for (;;)
			pause();
	});
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 11);
}

static volatile pid_t hit;
static void on(int s) { (void)s; hit = syscall(SYS_gettid); }
static volatile pid_t tid;
static void *target(void *x) { tid = syscall(SYS_gettid); while (!hit) msleep(5); return x; }
TEST(signal_to_a_thread)
{
	signal(SIGUSR1, on);
	pthread_t t;
	pthread_create(&t, NULL, target, NULL);
	while (!tid)
		msleep(1);
	CHECK(!syscall(SYS_tgkill, getpid(), tid, SIGUSR1));
	pthread_join(t, NULL);
	CHECK_EQ(hit, tid);
}

TEST(semaphore_and_robust)
{
	sem_t s;
	CHECK(!sem_init(&s, 0, 0));
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 10000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	CHECK_ERRNO(sem_timedwait(&s, &ts), ETIMEDOUT);
	pthread_mutexattr_t a;
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(!pthread_mutex_init(m, &a));
	int st = CHILD_STATUS(pthread_mutex_lock(m));
	CHECK(st == 0 && pthread_mutex_lock(m) == EOWNERDEAD);
	CHECK(!pthread_mutex_consistent(m) && !pthread_mutex_unlock(m));
}

static pthread_key_t key;
static void *tls(void *x)
{
	static __thread int v;
	v = (int)(long)x;
	pthread_setspecific(key, x);
	sched_yield();
	return (void *)(long)(v == (int)(long)x && pthread_getspecific(key) == x);
}
TEST(thread_local)
{
	pthread_t t[10];
	pthread_key_create(&key, NULL);
	for (long i = 0; i < 10; i++)
		pthread_create(&t[i], NULL, tls, (void *)(i + 1));
	for (int i = 0; i < 10; i++) {
		void *r;
		pthread_join(t[i], &r);
		CHECK(r);
	}
}

TEST(busy_threads_share_the_cpus)
{
	double t0 = now_s();
	for (int i = 0; i < 4; i++)
		if (!fork()) {
			double t = now_s();
			while (now_s() - t < 0.2)
				getppid();
			_exit(0);
		}
	while (wait(NULL) > 0)
		;
	CHECK(now_s() - t0 < 20);
}
