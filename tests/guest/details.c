/* SPDX-License-Identifier: Apache-2.0 */
/* Corners of signals, timers, futexes and waiting. */
#include "harness.h"
#include <linux/futex.h>
#include <pthread.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/timex.h>

static volatile int got;
static siginfo_t last;
static void on_info(int s, siginfo_t *i, void *u)
{
	(void)s;
	(void)u;
	got++;
	last = *i;
}
static void catch(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_info, .sa_flags = SA_SIGINFO };
	CHECK(!sigaction(sig, &sa, NULL));
}
static long queue(int pid, int sig, siginfo_t *i) { return syscall(SYS_rt_sigqueueinfo, pid, sig, i); }
static long queue_thread(int tgid, int tid, int sig, siginfo_t *i) { return syscall(SYS_rt_tgsigqueueinfo, tgid, tid, sig, i); }

static void *queue_to_leader(void *arg)
{
	siginfo_t i = { .si_code = SI_USER };
	(void)arg;
	CHECK_ERRNO(queue(getpid(), SIGUSR1, &i), EPERM);	/* to oneself is to the thread itself */
	CHECK(!queue_thread(getpid(), (int)syscall(SYS_gettid), SIGUSR1, &i));
	return NULL;
}
TEST(queue_to_oneself)
{
	siginfo_t i = { .si_code = SI_USER, .si_errno = 4 };
	pthread_t t;
	catch(SIGUSR1);
	i.si_pid = 5;
	i.si_uid = 6;
	i.si_value.sival_int = 9;
	CHECK(!queue(getpid(), SIGUSR1, &i));
	CHECK(got == 1 && last.si_code == SI_USER && last.si_errno == 4 && last.si_pid == 5 && last.si_uid == 6 && last.si_value.sival_int == 9);
	CHECK(!pthread_create(&t, NULL, queue_to_leader, NULL) && !pthread_join(t, NULL));
	memset(&i, 0x11, sizeof(i));
	i.si_code = 3;
	CHECK(!queue(getpid(), SIGUSR1, &i));	/* a code that Linux knows the layout of: SIGIO's */
	i.si_code = 9;
	CHECK_ERRNO(queue(getpid(), SIGUSR1, &i), E2BIG);
}

TEST(signalfd_layouts)
{
	struct signalfd_siginfo s;
	siginfo_t i = { .si_code = SI_SIGIO };
	sigset_t set;
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int fd = signalfd(-1, &set, SFD_NONBLOCK);
	i.si_band = 5;
	i.si_fd = 7;
	CHECK(!queue(getpid(), SIGRTMIN, &i) && read(fd, &s, sizeof(s)) == sizeof(s));
	CHECK(s.ssi_band == 5 && s.ssi_fd == 7 && !s.ssi_pid);
	memset(&i, 0x11, sizeof(i));
	i.si_code = SEGV_MAPERR;
	CHECK(!queue(getpid(), SIGSEGV, &i) && read(fd, &s, sizeof(s)) == sizeof(s));
	CHECK(s.ssi_addr == 0x1111111111111111 && !s.ssi_addr_lsb);
	i.si_code = BUS_MCEERR_AR;
	CHECK(!queue(getpid(), SIGBUS, &i) && read(fd, &s, sizeof(s)) == sizeof(s));
	CHECK_EQ(s.ssi_addr_lsb, 0x1111);
}

TEST(sigio_of_pipes)
{
	int p[2];
	char b[8];
	catch(SIGRTMIN);
	CHECK(!pipe(p) && !fcntl(p[0], F_SETSIG, SIGRTMIN) && !fcntl(p[0], F_SETOWN, getpid()) && !fcntl(p[0], F_SETFL, O_ASYNC));
	for (int k = 1; k < 4; k++) {	/* each write, not only the first */
		CHECK(write(p[1], "x", 1) == 1);
		CHECK(got == k && last.si_code == POLL_IN && last.si_fd == p[0]);
	}
	CHECK(!pipe(p) && !fcntl(p[1], F_SETSIG, SIGRTMIN) && !fcntl(p[1], F_SETOWN, getpid()) && !fcntl(p[1], F_SETFL, O_ASYNC));
	CHECK(write(p[1], "xy", 2) == 2);
	got = 0;
	CHECK(read(p[0], b, 1) == 1 && got == 1 && last.si_code == POLL_OUT);
}

TEST(sigio_of_sockets)
{
	int s[2];
	char b[8];
	catch(SIGRTMIN);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK(!fcntl(s[0], F_SETSIG, SIGRTMIN) && !fcntl(s[0], F_SETOWN, getpid()) && !fcntl(s[0], F_SETFL, O_ASYNC | O_NONBLOCK));
	CHECK(write(s[0], "x", 1) == 1 && read(s[1], b, 1) == 1);
	msleep(20);
	CHECK_EQ(got, 0);	/* there was room before */
	static char big[1 << 20];
	while (write(s[0], big, sizeof(big)) > 0)
		;
	while (recv(s[1], big, sizeof(big), MSG_DONTWAIT) > 0)
		;
	for (int k = 0; k < 200 && !got; k++)
		msleep(10);
	CHECK(got && last.si_code == POLL_OUT);
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	CHECK_EQ(read(s[0], b, 0), 0);	/* does not wait */
}

TEST(timer_signal_of_an_earlier_setting)
{
	timer_t id;
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	struct itimerspec it = { .it_value.tv_nsec = 1 };
	sigset_t set, old;
	siginfo_t i;
	catch(SIGRTMIN);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &set, &old);
	CHECK(!timer_create(CLOCK_MONOTONIC, &ev, &id) && !timer_settime(id, 0, &it, NULL));
	msleep(20);
	it.it_value.tv_nsec = 0;
	CHECK(!timer_settime(id, 0, &it, NULL));
	struct timespec none = { 0, 0 };
	int r = sigtimedwait(&set, &i, &none);
	if (r > 0)
		SKIP("before Linux 6.13");
	it.it_value.tv_nsec = 1;
	CHECK(!timer_settime(id, 0, &it, NULL));
	msleep(20);
	CHECK(!timer_settime(id, 0, &it, NULL));	/* and again, while the first is queued */
	msleep(20);
	CHECK(sigtimedwait(&set, &i, &none) == SIGRTMIN && !i.si_overrun);
	CHECK_ERRNO(sigtimedwait(&set, &i, &none), EAGAIN);
}

TEST(alarm_clocks)
{
	timer_t id;
	struct timespec ts, near = { 0, 1000000 };
	if (clock_gettime(CLOCK_BOOTTIME_ALARM, &ts) || timer_create(CLOCK_BOOTTIME_ALARM, NULL, &id))
		SKIP("no clock that wakes the machine");
	catch(SIGALRM);
	struct itimerspec it = { .it_value = { 0, 1000000 } };
	CHECK(!timer_settime(id, 0, &it, NULL));
	for (int k = 0; k < 200 && !got; k++)
		msleep(10);
	CHECK_EQ(got, 1);
	CHECK_EQ(clock_nanosleep(CLOCK_REALTIME_ALARM, 0, &near, NULL), 0);
	CHECK(!clock_gettime(CLOCK_REALTIME, &ts));
	CHECK_EQ(clock_nanosleep(CLOCK_REALTIME_ALARM, TIMER_ABSTIME, &ts, NULL), 0);
	int fd = timerfd_create(CLOCK_REALTIME_ALARM, 0);
	uint64_t n;
	CHECK(fd >= 0 && !timerfd_settime(fd, 0, &it, NULL) && read(fd, &n, 8) == 8 && n == 1);
	if (geteuid())
		return;
	CHECK_EQ(CHILD_STATUS({
		CHECK(!setuid(54321));
		CHECK_ERRNO(timer_create(CLOCK_BOOTTIME_ALARM, NULL, &id), EPERM);
		CHECK_EQ(clock_nanosleep(CLOCK_BOOTTIME_ALARM, 0, &near, NULL), EPERM);
		CHECK_ERRNO(timerfd_create(CLOCK_BOOTTIME_ALARM, 0), EPERM);
		CHECK_ERRNO(timerfd_settime(fd, 0, &it, NULL), EPERM);
	}), 0);
}

TEST(clock_errors)
{
	struct timex tx = { 0 };
	clockid_t device = (clockid_t)(~3u << 3 | 3), mine = (clockid_t)(~(unsigned)getpid() << 3 | 2);
	struct timespec ts = { 0, 5 };
	timer_t id;
	CHECK_ERRNO(clock_adjtime(CLOCK_MONOTONIC, (void *)8), EFAULT);
	CHECK_ERRNO(clock_adjtime(CLOCK_MONOTONIC, &tx), EOPNOTSUPP);
	CHECK_ERRNO(clock_adjtime(99, &tx), EINVAL);
	CHECK_ERRNO(clock_adjtime(mine, &tx), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_clock_settime, mine, (void *)8), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_settime, mine, &ts), EPERM);
	CHECK_EQ(clock_nanosleep(device, 0, &ts, NULL), EOPNOTSUPP);
	CHECK_ERRNO(timer_create(device, NULL, &id), EOPNOTSUPP);
}

/* ---- futexes ---- */

static uint32_t f1, f2;
static volatile int pi_result, pi_errno;
static long fx(uint32_t *u, int op, uint32_t v, void *t) { return syscall(SYS_futex, u, op, v, t, NULL, 0); }
static void *second_locker(void *arg)
{
	(void)arg;
	CHECK(!fx(&f2, FUTEX_LOCK_PI, 0, NULL));
	pi_result = fx(&f1, FUTEX_LOCK_PI, 0, NULL);
	pi_errno = errno;
	CHECK(!fx(&f2, FUTEX_UNLOCK_PI, 0, NULL));
	if (!pi_result)
		CHECK(!fx(&f1, FUTEX_UNLOCK_PI, 0, NULL));
	return NULL;
}
TEST(circle_of_pi_locks)
{
	pthread_t t;
	CHECK(!fx(&f1, FUTEX_LOCK_PI, 0, NULL));
	CHECK(!pthread_create(&t, NULL, second_locker, NULL));
	while (!(__atomic_load_n(&f1, __ATOMIC_SEQ_CST) & FUTEX_WAITERS))
		msleep(5);
	msleep(20);
	CHECK_ERRNO(fx(&f2, FUTEX_LOCK_PI, 0, NULL), EDEADLK);
	CHECK(!fx(&f1, FUTEX_UNLOCK_PI, 0, NULL));
	CHECK(!pthread_join(t, NULL) && !pi_result);
}

static void *plain_waiter(void *arg)
{
	fx(arg, FUTEX_WAIT, 0, NULL);
	return NULL;
}
static void *tries(void *arg)
{
	CHECK_ERRNO(fx(arg, FUTEX_TRYLOCK_PI, 0, NULL), EAGAIN);
	return NULL;
}
TEST(pi_words)
{
	uint32_t me = (uint32_t)syscall(SYS_gettid), f = 0;
	struct timespec soon = { 1, 0 };
	pthread_t t;
	CHECK(!pthread_create(&t, NULL, plain_waiter, &f));
	msleep(50);
	f = 0x20000000 | me;
	CHECK_ERRNO(fx(&f, FUTEX_UNLOCK_PI, 0, NULL), EPERM);
	f = 0;
	CHECK_ERRNO(fx(&f, FUTEX_LOCK_PI, 0, &soon), EINVAL);
	CHECK_EQ(fx(&f, FUTEX_WAKE, 1, NULL), 1);
	CHECK(!pthread_join(t, NULL));
	CHECK(!fx(&f, FUTEX_LOCK_PI, 0, NULL) && f == me);
	CHECK(!pthread_create(&t, NULL, tries, &f) && !pthread_join(t, NULL));
	CHECK_EQ(f, me | FUTEX_WAITERS);
	f = 0x3ffffff0;
	CHECK_ERRNO(fx(&f, FUTEX_LOCK_PI, 0, NULL), ESRCH);
	CHECK_EQ(f, 0x3ffffff0 | FUTEX_WAITERS);
	CHECK_ERRNO(fx((void *)((char *)&f + 1), FUTEX_UNLOCK_PI, 0, NULL), EPERM);
	CHECK_ERRNO(fx(&f, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 0, &soon), ENOSYS);
}

TEST(waitid_info)
{
	siginfo_t i;
	memset(&i, 0x55, sizeof(i));
	CHECK_ERRNO(waitid(P_ALL, 0, &i, WEXITED), ECHILD);
	CHECK(!i.si_signo && !i.si_code && !i.si_pid && !i.si_uid && !i.si_status);
	CHECK_ERRNO(syscall(SYS_waitid, P_ALL, 0, (void *)8, WEXITED, NULL), EFAULT);
	memset(&i, 0x55, sizeof(i));
	CHECK_ERRNO(waitid(P_ALL, 0, &i, 0), EINVAL);
	CHECK(!i.si_signo);
}
