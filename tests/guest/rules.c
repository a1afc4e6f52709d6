/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of the process model that other programs touch only in passing: groups, reaping, subreapers, stops, init. */
#include "harness.h"
#include <linux/sched.h>
#include <pthread.h>
#include <sys/socket.h>

static int fd_wait(int fd)
{
	char c;
	return (int)read(fd, &c, 1);
}
static void fd_tell(int fd) { (void)!write(fd, "x", 1); }

TEST(setpgid_rules)
{
	int up[2], down[2], st;
	CHECK(pipe(up) == 0 && pipe(down) == 0);
	CHECK_ERRNO(setpgid(0, -1), EINVAL);
	CHECK_ERRNO(setpgid(-1, 0), EINVAL);
	CHECK_ERRNO(setpgid(-1, 5), ESRCH);
	CHECK_ERRNO(setpgid(getppid(), 0), ESRCH); /* not a child */
	CHECK_ERRNO(getpgid(-5), ESRCH);
	CHECK_ERRNO(getsid(0x3fffffff), ESRCH);
	pid_t a = fork();
	if (!a) {
		setsid();
		fd_tell(up[1]);
		fd_wait(down[0]);
		_exit(0);
	}
	fd_wait(up[0]);
	CHECK_ERRNO(setpgid(a, 0), EPERM); /* another session, and its leader */
	pid_t b = fork();
	if (!b) {
		fd_wait(down[0]);
		_exit(0);
	}
	CHECK_ERRNO(setpgid(b, 0x3fffffff), EPERM); /* no such group */
	CHECK_ERRNO(setpgid(b, a), EPERM);	    /* a group of another session */
	CHECK(setpgid(b, b) == 0 && getpgid(b) == b);
	CHECK(setpgid(b, getpgrp()) == 0 && getpgid(b) == getpgrp());
	CHECK(setpgid(b, 0) == 0 && getpgid(b) == b);
	/* a leader of a group cannot make a session, one of its members can */
	pid_t c = fork();
	if (!c) {
		setpgid(0, 0);
		int bad = setsid() != -1 || errno != EPERM;
		setpgid(0, b);
		bad |= setsid() != getpid() || getsid(0) != getpid() || getpgrp() != getpid();
		bad |= setsid() != -1 || errno != EPERM;
		bad |= setpgid(0, 0) != -1 || errno != EPERM; /* a session's leader */
		_exit(bad);
	}
	CHECK(waitpid(c, &st, 0) == c && st == 0);
	/* A child that has made an exec is out of reach. */
	int hold[2];
	CHECK(pipe(hold) == 0);
	c = fork();
	if (!c) {
		dup2(hold[0], 0);
		dup2(up[1], 1);
		close(hold[1]);
		execl("/bin/sh", "sh", "-c", "echo; read x", NULL);
		_exit(99);
	}
	fd_wait(up[0]);
	CHECK_ERRNO(setpgid(c, c), EACCES);
	close(hold[1]);
	close(hold[0]);
	CHECK(waitpid(c, &st, 0) == c);
	fd_tell(down[1]);
	fd_tell(down[1]);
	CHECK(waitpid(a, &st, 0) == a && waitpid(b, &st, 0) == b);
	CHECK_ERRNO(setpgid(b, b), ESRCH);
}

/* The group's number lives on without its leader, and cannot be anybody's process number meanwhile. */
TEST(group_outlives_its_leader)
{
	int st, up[2], down[2];
	CHECK(pipe(up) == 0 && pipe(down) == 0);
	pid_t a = fork();
	if (!a) {
		setpgid(0, 0);
		if (!fork()) {
			fd_tell(up[1]);
			fd_wait(down[0]);
			_exit(0);
		}
		_exit(0);
	}
	fd_wait(up[0]);
	CHECK(waitpid(a, &st, 0) == a);
	CHECK_ERRNO(kill(a, 0), ESRCH);
	CHECK(kill(-a, 0) == 0);
	CHECK(setpgid(0, a) == 0 && getpgrp() == a);
	fd_tell(down[1]);
}

static volatile sig_atomic_t got_chld, got_usr1;
static void on_chld(int s) { got_chld++; }
static void on_usr1(int s) { got_usr1++; }
static pid_t clone_with(int sig)
{
	return (pid_t)syscall(SYS_clone, sig, 0, 0, 0, 0);
}

/* Ignoring SIGCHLD, or SA_NOCLDWAIT, reaps at once only children whose end is told by SIGCHLD. */
TEST(reaped_at_once_or_not)
{
	siginfo_t si;
	signal(SIGUSR1, on_usr1);
	signal(SIGCHLD, SIG_IGN);
	pid_t p = clone_with(SIGUSR1);
	if (!p)
		_exit(5);
	CHECK(waitid(P_PID, p, &si, WEXITED | __WALL) == 0 && si.si_status == 5);
	CHECK(got_usr1 == 1);
	p = clone_with(0);
	if (!p)
		_exit(6);
	CHECK(waitid(P_PID, p, &si, WEXITED | __WALL) == 0 && si.si_status == 6);
	p = fork();
	if (!p)
		_exit(7);
	CHECK_ERRNO(waitpid(p, NULL, 0), ECHILD);
	/* With a handler and SA_NOCLDWAIT the signal comes all the same. */
	struct sigaction sa = { .sa_handler = on_chld, .sa_flags = SA_NOCLDWAIT };
	sigset_t set, old;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	CHECK(sigaction(SIGCHLD, &sa, NULL) == 0);
	p = fork();
	if (!p)
		_exit(8);
	while (!got_chld)
		sigsuspend(&old);
	CHECK_ERRNO(waitpid(p, NULL, 0), ECHILD);
}

/* A process becomes a subreaper: also of those that its children had already. */
TEST(subreaper_of_older_descendants)
{
	int up[2], go[2], st;
	pid_t grandchild;
	CHECK(pipe(up) == 0 && pipe(go) == 0);
	pid_t child = fork();
	if (!child) {
		pid_t g = fork();
		if (!g) {
			fd_wait(go[0]); /* until its parent is gone */
			pid_t pp = getppid();
			(void)!write(up[1], &pp, sizeof(pp));
			_exit(9);
		}
		(void)!write(up[1], &g, sizeof(g));
		fd_wait(go[0]);
		_exit(0);
	}
	CHECK(read(up[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	kill(child, SIGKILL);
	CHECK(waitpid(child, &st, 0) == child && WIFSIGNALED(st));
	fd_tell(go[1]);
	pid_t pp;
	CHECK(read(up[0], &pp, sizeof(pp)) == sizeof(pp) && pp == getpid());
	CHECK(waitpid(grandchild, &st, 0) == grandchild && WEXITSTATUS(st) == 9);
	/* No longer one: the next orphan goes further up. */
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

/* An orphan goes to a living thread of its parent's process, whichever made it. */
static int thread_pipe[2];
static pid_t threads_child;
static void *forks_and_ends(void *arg)
{
	threads_child = fork();
	if (!threads_child) {
		fd_wait(thread_pipe[0]);
		_exit(getppid() == *(pid_t *)arg ? 3 : 4);
	}
	return NULL;
}
TEST(orphan_goes_to_a_sibling_thread)
{
	pthread_t t;
	pid_t me = getpid();
	int st;
	CHECK(pipe(thread_pipe) == 0);
	CHECK(pthread_create(&t, NULL, forks_and_ends, &me) == 0 && pthread_join(t, NULL) == 0);
	fd_tell(thread_pipe[1]);
	CHECK(waitpid(threads_child, &st, 0) == threads_child && WEXITSTATUS(st) == 3);
}

/* SIGCONT takes pending stop signals away and the reverse, blocked or not. */
TEST(stop_and_continue_cancel_each_other)
{
	sigset_t all, pend;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	kill(getpid(), SIGTSTP);
	syscall(SYS_tgkill, getpid(), gettid(), SIGTTIN);
	CHECK(sigpending(&pend) == 0 && sigismember(&pend, SIGTSTP) && sigismember(&pend, SIGTTIN));
	kill(getpid(), SIGCONT);
	CHECK(sigpending(&pend) == 0 && !sigismember(&pend, SIGTSTP) && !sigismember(&pend, SIGTTIN) && sigismember(&pend, SIGCONT));
	kill(getpid(), SIGTTOU);
	CHECK(sigpending(&pend) == 0 && sigismember(&pend, SIGTTOU) && !sigismember(&pend, SIGCONT));
}

/* A group whose last link into its session goes: SIGHUP and SIGCONT if somebody in it is stopped, nothing otherwise. */
static int hup_cont(bool stop)
{
	int up[2], ready[2], st, n = 0;
	char log[8] = "";
	CHECK(pipe(up) == 0 && pipe(ready) == 0);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	pid_t a = fork();
	if (!a) {
		setsid();
		pid_t link = fork(); /* the link: in the session, in another group than its child */
		if (!link) {
			setpgid(0, 0);
			pid_t b = fork();
			if (!b) {
				setpgid(0, 0);
				sigset_t set;
				sigemptyset(&set);
				sigaddset(&set, SIGHUP);
				sigaddset(&set, SIGCONT);
				sigaddset(&set, SIGUSR2);
				sigprocmask(SIG_BLOCK, &set, NULL);
				fd_tell(ready[1]);
				if (stop)
					raise(SIGSTOP);
				for (int i = 0; i < 2; i++) {
					struct timespec ts = { stop ? 10 : 0, 200000000 };
					int s = sigtimedwait(&set, NULL, &ts);
					(void)!write(up[1], s == SIGHUP ? "H" : s == SIGCONT ? "C" : "-", 1);
				}
				_exit(0);
			}
			fd_wait(ready[0]);
			if (stop)
				CHECK(waitpid(b, &st, WUNTRACED) == b && WIFSTOPPED(st));
			_exit(0);
		}
		waitpid(link, &st, 0);
		pause();
	}
	while (n < 2 && read(up[0], log + n, 1) == 1)
		n++;
	kill(a, SIGKILL);
	while (waitpid(-1, &st, 0) > 0)
		;
	return stop ? strcmp(log, "HC") && strcmp(log, "CH") : strcmp(log, "--");
}
TEST(orphaned_group_is_told_if_it_is_stopped) { CHECK(hup_cont(true) == 0); }
TEST(orphaned_group_that_runs_is_not_told) { CHECK(hup_cont(false) == 0); }

/* The status of a process is that of its first group exit; threads that die by it do not change it. */
static void *exits(void *arg)
{
	pthread_barrier_wait(arg);
	syscall(SYS_exit_group, 21);
	return NULL;
}
TEST(one_status)
{
	for (int i = 0; i < 20; i++) {
		int st;
		pid_t p = fork();
		if (!p) {
			pthread_barrier_t b;
			pthread_t t[3];
			pthread_barrier_init(&b, NULL, 4);
			for (int j = 0; j < 3; j++)
				pthread_create(&t[j], NULL, exits, &b);
			pthread_barrier_wait(&b);
			syscall(SYS_exit, 5); /* this thread alone */
		}
		CHECK(waitpid(p, &st, 0) == p);
		CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 21);
	}
}

/* Process 1 of a namespace: signals from inside need a handler, those from outside are fatal only if they cannot be caught. Clones into a dead
 * namespace fail. */
static int init_of_namespace(void *arg)
{
	int *fd = arg;
	signal(SIGUSR1, SIG_DFL);
	kill(1, SIGKILL);
	kill(1, SIGUSR1);
	kill(1, SIGSTOP);
	if (!fork()) {
		kill(1, SIGKILL);
		kill(1, SIGTERM);
		_exit(0);
	}
	wait(NULL);
	fd_tell(fd[1]);
	pause();
	return 0;
}
TEST(signals_of_init)
{
	int up[2], st;
	if (geteuid())
		SKIP("not root");
	CHECK(pipe(up) == 0);
	CHECK(unshare(CLONE_NEWPID) == 0);
	pid_t p = fork();
	if (!p)
		_exit(init_of_namespace(up));
	CHECK(fd_wait(up[0]) == 1);
	kill(p, SIGUSR1); /* its default action is nothing to init, even from outside */
	kill(p, SIGTERM);
	usleep(50000);
	CHECK(waitpid(p, &st, WNOHANG) == 0);
	kill(p, SIGSTOP);
	CHECK(waitpid(p, &st, WUNTRACED) == p && WIFSTOPPED(st));
	kill(p, SIGKILL);
	CHECK(waitpid(p, &st, 0) == p && WTERMSIG(st) == SIGKILL);
	CHECK_ERRNO(fork(), ENOMEM);
}

/* A thread that is not the leader becomes it at exec: its number goes, and the parent never sees the old leader end. */
static void *execs(void *arg)
{
	execl("/bin/sh", "sh", "-c", "kill -USR1 $PPID; [ $$ = $WANT ] && exit 17", NULL);
	return NULL;
}
TEST(exec_takes_the_leaders_number)
{
	int st;
	sigset_t set;
	siginfo_t si;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid_t p = fork();
	if (!p) {
		char s[30];
		pthread_t t;
		snprintf(s, sizeof(s), "%d", getpid());
		setenv("WANT", s, 1);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		pthread_create(&t, NULL, execs, NULL);
		syscall(SYS_exit, 3); /* the leader may be a zombie already */
	}
	CHECK(sigwaitinfo(&set, &si) == SIGUSR1 && si.si_pid == p);
	CHECK(waitpid(p, &st, 0) == p && WIFEXITED(st) && WEXITSTATUS(st) == 17);
}

/* vfork: signals to the parent wait until the child is gone or has made an exec. */
TEST(vfork_parent_cannot_be_interrupted)
{
	int st;
	struct itimerval it = { .it_value = { 0, 20000 } };
	struct timespec t0, t1;
	struct sigaction sa = { .sa_handler = on_usr1 };
	sigaction(SIGALRM, &sa, NULL);
	clock_gettime(CLOCK_MONOTONIC, &t0);
	setitimer(ITIMER_REAL, &it, NULL);
	pid_t p = (pid_t)syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0); /* its own memory: what it does is its own */
	if (!p) {
		usleep(150000);
		_exit(1);
	}
	clock_gettime(CLOCK_MONOTONIC, &t1);
	CHECK(p > 0 && got_usr1 == 1);
	CHECK((t1.tv_sec - t0.tv_sec) * 1000 + (t1.tv_nsec - t0.tv_nsec) / 1000000 >= 149);
	CHECK(waitpid(p, &st, 0) == p);
}
