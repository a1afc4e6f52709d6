/* SPDX-License-Identifier: Apache-2.0 */
/* How processes end and who hears of it: exit notification, wait, reparenting. */
#include "harness.h"
#include <pthread.h>
#include <sys/ptrace.h>

#ifndef __WNOTHREAD
#define __WNOTHREAD 0x20000000
#endif

static void *sleeper(void *arg)
{
	msleep((int)(intptr_t)arg);
	return NULL;
}
static char state_of(pid_t p)
{
	char path[64], b[512], *s;
	snprintf(path, sizeof(path), "/proc/%d/stat", p);
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? 0 : read(fd, b, sizeof(b) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	b[n] = 0;
	s = strrchr(b, ')');
	return s ? s[2] : 0;
}
static pid_t spawn(int signo, unsigned long flags, void (*fn)(void))
{
	pid_t p = syscall(SYS_clone, flags | signo, NULL, NULL, NULL, 0);
	if (!p) {
		if (fn)
			fn();
		_exit(0);
	}
	CHECK(p > 0);
	return p;
}
static void wait_zombie(pid_t p)
{
	for (int i = 0; i < 500 && state_of(p) != 'Z'; i++)
		msleep(5);
	CHECK_EQ(state_of(p), 'Z');
}
static volatile sig_atomic_t nsig[65], last_code, last_status, last_pid;
static void count(int sig, siginfo_t *si, void *u)
{
	(void)u;
	nsig[sig]++;
	last_code = si->si_code;
	last_status = si->si_status;
	last_pid = si->si_pid;
}
static void catch(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = count, .sa_flags = SA_SIGINFO | flags };
	CHECK(!sigaction(sig, &sa, NULL));
}

static void leader_leaves(void)
{
	pthread_t t;
	pthread_create(&t, NULL, sleeper, (void *)300);
	syscall(SYS_exit, 3); /* the leader alone */
}
TEST(leader_waits_for_its_threads)
{
	siginfo_t si = { 0 };
	pid_t p = spawn(SIGCHLD, 0, leader_leaves);
	msleep(150);
	CHECK_EQ(state_of(p), 'Z');
	CHECK(!waitid(P_PID, p, &si, WEXITED | WNOHANG) && !si.si_pid);
	CHECK(!waitid(P_PID, p, &si, WEXITED) && si.si_pid == p && si.si_code == CLD_EXITED);
	CHECK_EQ(si.si_status, 0); /* of the last one that left */
}

TEST(nowait_leaves_it)
{
	siginfo_t si;
	int st;
	pid_t p = fork();
	if (!p)
		_exit(5);
	for (int i = 0; i < 3; i++)
		CHECK(!waitid(P_ALL, 0, &si, WEXITED | WNOWAIT) && si.si_pid == p && si.si_status == 5 && si.si_signo == SIGCHLD);
	CHECK(waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 5);
	CHECK_ERRNO(waitid(P_ALL, 0, &si, WEXITED), ECHILD);
	CHECK_ERRNO(waitid(P_PID, 0, &si, WEXITED), EINVAL);
	CHECK_ERRNO(waitid(P_ALL, 0, &si, 0), EINVAL);
	CHECK_ERRNO(waitid(P_ALL, 0, &si, WNOHANG), EINVAL);
	CHECK_ERRNO(waitid(P_PGID, -1, &si, WEXITED), EINVAL);
	CHECK_ERRNO(waitid(9, 0, &si, WEXITED), EINVAL);
	CHECK_ERRNO(waitpid(-1, &st, 0x1000), EINVAL);
	CHECK_ERRNO(syscall(SYS_wait4, INT32_MIN, &st, 0, 0), ESRCH);
}

TEST(by_group)
{
	siginfo_t si;
	pid_t a = spawn(SIGCHLD, 0, NULL), b = fork();
	if (!b) {
		setpgid(0, 0);
		pause();
	}
	setpgid(b, b);
	CHECK(!waitid(P_PGID, 0, &si, WEXITED) && si.si_pid == a); /* the own one */
	CHECK_ERRNO(waitpid(0, NULL, 0), ECHILD);
	kill(b, SIGKILL);
	CHECK(!waitid(P_PGID, b, &si, WEXITED | WNOWAIT) && si.si_pid == b && si.si_code == CLD_KILLED && si.si_status == SIGKILL);
	CHECK_EQ(waitpid(-b, NULL, 0), b);
	CHECK_ERRNO(waitpid(-b, NULL, 0), ECHILD);
}

TEST(clone_children)
{
	int st;
	catch(SIGUSR1, 0);
	catch(SIGCHLD, 0);
	pid_t p = spawn(SIGUSR1, 0, NULL);
	wait_zombie(p);
	CHECK(nsig[SIGUSR1] == 1 && !nsig[SIGCHLD] && last_pid == p && last_code == CLD_EXITED);
	CHECK_ERRNO(waitpid(p, &st, 0), ECHILD); /* it does not tell by SIGCHLD */
	CHECK_EQ(waitpid(p, &st, __WCLONE), p);
	p = spawn(0, 0, NULL);
	wait_zombie(p);
	CHECK_EQ(nsig[SIGUSR1], 1);
	CHECK_EQ(waitpid(p, &st, __WALL), p);
	p = spawn(SIGCHLD, 0, NULL);
	wait_zombie(p);
	CHECK_ERRNO(waitpid(p, &st, __WCLONE), ECHILD);
	CHECK_EQ(waitpid(p, &st, 0), p);
	/* exec makes an ordinary child of it. */
	nsig[SIGUSR1] = nsig[SIGCHLD] = 0;
	p = syscall(SYS_clone, SIGUSR1, NULL, NULL, NULL, 0);
	if (!p)
		execl("/bin/true", "true", NULL);
	while (!nsig[SIGCHLD] && !nsig[SIGUSR1])
		msleep(5);
	CHECK(nsig[SIGCHLD] == 1 && !nsig[SIGUSR1]);
	CHECK_EQ(waitpid(p, &st, 0), p);
}

static pid_t thread_child;
static void *fork_in_thread(void *arg)
{
	thread_child = spawn(SIGCHLD, 0, NULL);
	wait_zombie(thread_child);
	pthread_barrier_wait(arg);
	pthread_barrier_wait(arg);
	return NULL;
}
TEST(children_of_threads)
{
	pthread_barrier_t b;
	pthread_t t;
	int st;
	pthread_barrier_init(&b, NULL, 2);
	pthread_create(&t, NULL, fork_in_thread, &b);
	pthread_barrier_wait(&b);
	CHECK_ERRNO(waitpid(-1, &st, __WNOTHREAD | WNOHANG), ECHILD);
	CHECK_ERRNO(waitpid(thread_child, &st, __WNOTHREAD | WNOHANG), ECHILD);
	pthread_barrier_wait(&b);
	pthread_join(t, NULL);
	msleep(20); /* pthread_join does not wait for the last of it */
	/* Its thread is gone: another thread of the process has it now. */
	CHECK_EQ(waitpid(thread_child, &st, __WNOTHREAD), thread_child);
}

static void pdeath_child(void)
{
	prctl(PR_SET_PDEATHSIG, SIGUSR2);
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR2);
	sigprocmask(SIG_BLOCK, &s, NULL);
	kill(getppid(), SIGUSR1);
	struct timespec t = { 5, 0 };
	siginfo_t si;
	_exit(sigtimedwait(&s, &si, &t) == SIGUSR2 && si.si_pid == getppid() ? 17 : 18);
}
static void *fork_and_leave(void *arg)
{
	*(pid_t *)arg = spawn(SIGCHLD, 0, pdeath_child);
	while (!nsig[SIGUSR1])
		msleep(5);
	return NULL;
}
TEST(death_signal_comes_when_the_thread_ends)
{
	pthread_t t;
	pid_t p;
	int st;
	catch(SIGUSR1, SA_RESTART);
	pthread_create(&t, NULL, fork_and_leave, &p);
	pthread_join(t, NULL);
	CHECK(waitpid(p, &st, 0) == p);
	CHECK_EQ(WEXITSTATUS(st), 17);
}

TEST(nocldwait)
{
	struct sigaction sa = { .sa_sigaction = count, .sa_flags = SA_SIGINFO | SA_NOCLDWAIT | SA_RESTART };
	CHECK(!sigaction(SIGCHLD, &sa, NULL));
	pid_t p = fork();
	if (!p) {
		msleep(100);
		_exit(3);
	}
	CHECK_ERRNO(waitpid(p, NULL, 0), ECHILD); /* when it has gone */
	CHECK_EQ(nsig[SIGCHLD], 1); /* Linux tells all the same */
	CHECK(last_code == CLD_EXITED && last_status == 3);
	/* A zombie that is there already stays. */
	signal(SIGCHLD, SIG_DFL);
	p = spawn(SIGCHLD, 0, NULL);
	wait_zombie(p);
	signal(SIGCHLD, SIG_IGN);
	CHECK_EQ(waitpid(p, NULL, 0), p);
	/* Another signal than SIGCHLD: it has to be waited for. */
	p = spawn(0, 0, NULL);
	wait_zombie(p);
	CHECK_EQ(waitpid(p, NULL, __WALL), p);
}

TEST(stops_and_continues)
{
	siginfo_t si;
	int st;
	catch(SIGCHLD, SA_RESTART);
	pid_t p = fork();
	if (!p)
		for (;;)
			pause();
	kill(p, SIGSTOP);
	CHECK(!waitid(P_PID, p, &si, WSTOPPED | WNOWAIT) && si.si_code == CLD_STOPPED && si.si_status == SIGSTOP);
	CHECK(last_code == CLD_STOPPED && last_pid == p);
	CHECK(waitpid(p, &st, WUNTRACED) == p && WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
	CHECK_EQ(waitpid(p, &st, WUNTRACED | WNOHANG), 0); /* told once */
	kill(p, SIGCONT);
	CHECK(!waitid(P_PID, p, &si, WCONTINUED) && si.si_code == CLD_CONTINUED && si.si_status == SIGCONT);
	CHECK_EQ(waitpid(p, &st, WCONTINUED | WNOHANG), 0);
	for (int i = 0; i < 200 && last_code != CLD_CONTINUED; i++) /* the parent may be woken before the signal is sent */
		msleep(5);
	CHECK_EQ(last_code, CLD_CONTINUED);
	/* A stop that nobody took before the end is not told any more. */
	kill(p, SIGSTOP);
	for (int i = 0; i < 200 && state_of(p) != 'T'; i++)
		msleep(5);
	kill(p, SIGKILL);
	wait_zombie(p);
	CHECK_ERRNO(waitid(P_PID, p, &si, WSTOPPED | WNOHANG), ECHILD); /* nor will there be another */
	CHECK_ERRNO(waitid(P_ALL, 0, &si, WSTOPPED | WCONTINUED), ECHILD);
	CHECK(waitpid(p, &st, WUNTRACED) == p && WIFSIGNALED(st));
}

static int up[2];
static pid_t grandchild_through(void (*between)(void))
{
	pid_t g = 0, c = fork();
	if (!c) {
		if (between)
			between();
		g = fork();
		if (!g) {
			char b;
			(void)read(up[0], &b, 1); /* until the middle one is gone */
			pid_t pp = getppid();
			(void)write(up[1], &pp, sizeof(pp));
			_exit(9);
		}
		_exit(0);
	}
	CHECK_EQ(waitpid(c, NULL, 0), c);
	return c;
}
TEST(orphans)
{
	int sv[2], st;
	pid_t pp, got;
	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	CHECK(!pipe(sv) && !pipe(up));
	int back = dup(up[0]);
	up[0] = sv[0];
	grandchild_through(NULL);
	(void)write(sv[1], "x", 1);
	CHECK(read(back, &pp, sizeof(pp)) == sizeof(pp) && pp == getpid());
	got = waitpid(-1, &st, 0);
	CHECK(got > 0 && WEXITSTATUS(st) == 9);
	CHECK_ERRNO(waitpid(-1, &st, 0), ECHILD);
	/* Taken back: on to whoever is above. */
	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 0));
	grandchild_through(NULL);
	(void)write(sv[1], "x", 1);
	CHECK(read(back, &pp, sizeof(pp)) == sizeof(pp) && pp != getpid());
}

static void zombie_then_leave(void)
{
	pid_t p = spawn(SIGUSR1, 0, NULL); /* a clone child */
	wait_zombie(p);
}
TEST(zombies_are_inherited_as_ordinary_children)
{
	catch(SIGCHLD, SA_RESTART);
	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	pid_t p = spawn(SIGCHLD, 0, zombie_then_leave), q;
	CHECK_EQ(waitpid(p, NULL, 0), p);
	q = waitpid(-1, NULL, 0); /* without __WALL */
	CHECK(q > 0 && q != p);
	CHECK(nsig[SIGCHLD] >= 1);
}

static pthread_barrier_t two;
static _Atomic int reaped;
static void *wait_for_one(void *arg)
{
	pthread_barrier_wait(&two);
	if (waitpid(*(pid_t *)arg, NULL, 0) > 0)
		reaped++;
	return NULL;
}
TEST(one_waiter_gets_it)
{
	for (int i = 0; i < 20; i++) {
		pthread_t a, b;
		pid_t p = fork();
		if (!p) {
			msleep(5);
			_exit(0);
		}
		reaped = 0;
		pthread_barrier_init(&two, NULL, 2);
		pthread_create(&a, NULL, wait_for_one, &p);
		pthread_create(&b, NULL, wait_for_one, &p);
		pthread_join(a, NULL);
		pthread_join(b, NULL);
		CHECK_EQ(reaped, 1);
	}
}

static void *exec_thread(void *arg)
{
	execl("/bin/sh", "sh", "-c", "exit $(($$ == $0 ? 21 : 22))", arg, NULL);
	return NULL;
}
TEST(exec_of_a_thread_keeps_the_process)
{
	int st;
	pid_t p = fork();
	if (!p) {
		pthread_t t;
		char me[16];
		snprintf(me, sizeof(me), "%d", getpid());
		pthread_create(&t, NULL, sleeper, (void *)10000);
		pthread_create(&t, NULL, exec_thread, me);
		pause();
	}
	CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st) && WEXITSTATUS(st) == 21);
}

TEST(tracer_hears_before_the_parent)
{
	int st, ready[2];
	char b;
	siginfo_t si = { 0 };
	CHECK(!pipe(ready));
	pid_t p = fork();
	if (!p)
		for (;;)
			pause();
	pid_t tracer = fork();
	if (!tracer) {
		if (ptrace(PTRACE_SEIZE, p, 0, 0))
			_exit(1);
		(void)write(ready[1], "x", 1);
		msleep(300);
		_exit(waitpid(p, &st, __WALL) == p && WIFSIGNALED(st) ? 0 : 2);
	}
	CHECK(read(ready[0], &b, 1) == 1);
	kill(p, SIGKILL);
	msleep(100);
	CHECK(!waitid(P_PID, p, &si, WEXITED | WNOHANG) && !si.si_pid); /* not yet the parent's */
	CHECK(waitpid(tracer, &st, 0) == tracer && WIFEXITED(st) && !WEXITSTATUS(st));
	CHECK(waitpid(p, &st, 0) == p && WTERMSIG(st) == SIGKILL);
}

TEST(usage_of_the_dead)
{
	struct rusage r, before, after;
	int st;
	getrusage(RUSAGE_CHILDREN, &before);
	pid_t p = fork();
	if (!p) {
		if (!fork()) { /* a grandchild that was waited for counts too */
			memset(mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, 32 << 20);
			for (double t = now_s(); now_s() - t < 0.15;)
				;
			_exit(0);
		}
		wait(NULL);
		_exit(0);
	}
	CHECK(wait4(p, &st, 0, &r) == p);
	getrusage(RUSAGE_CHILDREN, &after);
	CHECK(r.ru_utime.tv_sec * 1000000 + r.ru_utime.tv_usec + r.ru_stime.tv_sec * 1000000 + r.ru_stime.tv_usec > 20000);
	CHECK(r.ru_maxrss > 30000 && after.ru_maxrss >= r.ru_maxrss);
	CHECK(after.ru_utime.tv_sec * 1000000 + after.ru_utime.tv_usec > before.ru_utime.tv_sec * 1000000 + before.ru_utime.tv_usec);
}

TEST(memory_of_the_dead)
{
	static char word[] = "here";
	char path[64], b[8] = "";
	pid_t p = fork();
	if (!p)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "/proc/%d/mem", p);
	int fd = open(path, O_RDONLY);
	CHECK(pread(fd, b, 4, (off_t)(uintptr_t)word) == 4 && !memcmp(b, "here", 4));
	kill(p, SIGKILL);
	CHECK_EQ(waitpid(p, NULL, 0), p);
	CHECK_EQ(pread(fd, b, 4, (off_t)(uintptr_t)word), 0);
}
