/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <pthread.h>

static volatile int n;
static void on(int s) { (void)s; n++; }
TEST(clocks)
{
	struct timespec a, b, r;
	CHECK(!clock_gettime(CLOCK_MONOTONIC, &a) && !clock_gettime(CLOCK_MONOTONIC, &b));
	CHECK(b.tv_sec > a.tv_sec || (b.tv_sec == a.tv_sec && b.tv_nsec >= a.tv_nsec));
	CHECK(!syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &r) && r.tv_sec - a.tv_sec <= 1);
	CHECK(!clock_gettime(CLOCK_REALTIME, &a) && a.tv_sec > 1600000000 && time(NULL) - a.tv_sec <= 1);
	CHECK(!clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a) && !clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b) && !clock_gettime(CLOCK_BOOTTIME, &r));
	CHECK_ERRNO(clock_gettime(99, &a), EINVAL);
	CHECK(!clock_getres(CLOCK_MONOTONIC, &r) && r.tv_nsec == 1);
	struct timeval tv;
	CHECK(!gettimeofday(&tv, NULL) && tv.tv_sec - time(NULL) <= 1);
}

TEST(sleeps)
{
	double t = now_s();
	msleep(50);
	double d = now_s() - t;
	CHECK(d >= 0.05 && d < 1);
	struct timespec ts, bad = { 0, 1000000000 };
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	CHECK(!clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL));
	CHECK_ERRNO(nanosleep(&bad, NULL), EINVAL);
}

TEST(interval_timer)
{
	signal(SIGALRM, on);
	struct itimerval it = { { 0, 10000 }, { 0, 10000 } }, cur;
	CHECK(!setitimer(ITIMER_REAL, &it, NULL));
	double t = now_s();
	while (n < 5 && now_s() - t < 20)
		pause();
	CHECK(n >= 5 && !getitimer(ITIMER_REAL, &cur) && cur.it_interval.tv_usec == 10000);
	CHECK_EQ(alarm(0), 1);
	it.it_value.tv_usec = 1000000;
	CHECK_ERRNO(setitimer(ITIMER_REAL, &it, NULL), EINVAL);
}

TEST(cpu_timer)
{
	signal(SIGVTALRM, on);
	signal(SIGPROF, on);
	struct itimerval it = { { 0, 0 }, { 0, 30000 } };
	CHECK(!setitimer(ITIMER_PROF, &it, NULL));
	double t = now_s();
	while (!n && now_s() - t < 20)
		;
	CHECK(n == 1);
}

static volatile int value;
static void oninfo(int s, siginfo_t *i, void *u) { (void)s; (void)u; n++; value = i->si_value.sival_int; CHECK(i->si_code == SI_TIMER); }
TEST(posix_timer)
{
	struct sigaction a = { .sa_sigaction = oninfo, .sa_flags = SA_SIGINFO };
	sigaction(SIGRTMIN, &a, NULL);
	struct sigevent e = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 55 };
	timer_t t;
	CHECK(!timer_create(CLOCK_MONOTONIC, &e, &t));
	struct itimerspec it = { { 0, 10000000 }, { 0, 10000000 } };
	CHECK(!timer_settime(t, 0, &it, NULL));
	double s = now_s();
	while (n < 3 && now_s() - s < 20)
		pause();
	CHECK(n >= 3 && value == 55);
	CHECK(timer_getoverrun(t) >= 0 && !timer_delete(t));
	CHECK_ERRNO(timer_delete(t), EINVAL);
}

TEST(cpu_limit)
{
	int st = CHILD_STATUS({
		struct rlimit r = { 1, 2 };
		setrlimit(RLIMIT_CPU, &r);
		for (;;)
			;
	});
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGXCPU);
}

TEST(cpu_limit_goes_on)
{
	struct rlimit r = { 0, 5 };
	CHECK_EQ(CHILD_STATUS({
		signal(SIGXCPU, SIG_IGN);
		CHECK(!setrlimit(RLIMIT_CPU, &r));
		struct timespec t;
		do
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
		while (t.tv_nsec < 100000000);
		CHECK(!getrlimit(RLIMIT_CPU, &r));
		CHECK_EQ(r.rlim_cur, 1); /* a second more with each signal */
	}), 0);
}

static void *one_end(void *arg)
{
	pthread_barrier_wait(arg);
	pthread_barrier_wait(arg);
	return NULL;
}

TEST(clock_of_a_thread_that_ended)
{
	pthread_barrier_t b;
	pthread_t t;
	clockid_t c;
	timer_t id;
	struct itimerspec it = { .it_value.tv_sec = 1 };
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	struct timespec ts;
	pthread_barrier_init(&b, NULL, 2);
	CHECK(!pthread_create(&t, NULL, one_end, &b));
	pthread_barrier_wait(&b);
	CHECK(!pthread_getcpuclockid(t, &c) && !timer_create(c, &ev, &id) && !timer_settime(id, 0, &it, NULL));
	pthread_barrier_wait(&b);
	pthread_join(t, NULL);
	msleep(50);
	CHECK_ERRNO(clock_gettime(c, &ts), EINVAL);
	CHECK_ERRNO(timer_settime(id, 0, &it, NULL), ESRCH);
	CHECK(!timer_gettime(id, &it));
}
