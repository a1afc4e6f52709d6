/* SPDX-License-Identifier: Apache-2.0 */
/* PID namespaces: numbers in every place where one appears, init, /proc. */
#include "harness.h"
#include <sys/ptrace.h>
#include <pthread.h>
#include <mqueue.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Runs fn as process 1 of a new namespace: what it returns is its status. The outer number is in *outer. */
static int in_namespace(int (*fn)(void), void (*outside)(pid_t p))
{
	int st;
	fflush(stdout);
	pid_t p = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
	if (!p)
		_exit(fn());
	CHECK(p > 0);
	if (outside)
		outside(p);
	CHECK_EQ(waitpid(p, &st, 0), p);
	return WIFSIGNALED(st) ? 1000 + WTERMSIG(st) : WEXITSTATUS(st);
}
static int expect(bool ok, int code) { return ok ? 0 : code; }
#define WANT(cond) do { if (!(cond)) { printf("# %s:%d: %s (errno %d)\n", __FILE__, __LINE__, #cond, errno); fflush(stdout); return __LINE__ % 200 + 1; } } while (0)

static int first(void)
{
	int st;
	WANT(getpid() == 1 && getppid() == 0 && syscall(SYS_gettid) == 1);
	pid_t c = fork();
	if (!c)
		_exit(expect(getpid() == 2 && getppid() == 1, 1));
	WANT(c == 2 && waitpid(2, &st, 0) == 2 && !st);
	WANT(setsid() < 0 || getsid(0) == 1);
	WANT(kill(2, 0) < 0 && errno == ESRCH);
	return 0;
}
TEST(numbers) { CHECK_EQ(in_namespace(first, NULL), 0); }

static int nest(void)
{
	if (unshare(CLONE_NEWPID))
		return errno == ENOSPC ? 0 : -1;
	int st;
	pid_t p = fork();
	if (!p) {
		int r = nest();
		_exit(r < 0 ? 255 : r + 1);
	}
	if (p < 0 || waitpid(p, &st, 0) != p || !WIFEXITED(st) || WEXITSTATUS(st) == 255)
		return -1;
	return WEXITSTATUS(st);
}
static int nspids(void)
{
	char b[4096], *s;
	int fd = open("/proc/self/status", O_RDONLY), n = 0;
	ssize_t len = read(fd, b, sizeof(b) - 1);
	b[len > 0 ? len : 0] = 0;
	s = strstr(b, "NSpid:");
	for (; s && *s && *s != '\n'; s++)
		n += *s == '\t';
	return n;
}
TEST(depth)
{
	/* 32 below the first one. */
	CHECK_EQ(nest() + nspids(), 33);
}

static int pair[2];
static pid_t peer_pid(int fd)
{
	struct ucred c = { 0 };
	socklen_t l = sizeof(c);
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &l) ? -1 : c.pid;
}
static pid_t credentials(int fd)
{
	char b, ctl[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = { &b, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	if (recvmsg(fd, &m, 0) != 1)
		return -1;
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	return c && c->cmsg_type == SCM_CREDENTIALS ? ((struct ucred *)CMSG_DATA(c))->pid : -2;
}
static int sockets_inside(void)
{
	WANT(peer_pid(pair[1]) == 0); /* it was made outside: nobody here has that number */
	WANT(write(pair[1], "x", 1) == 1);
	WANT(credentials(pair[1]) == 0);
	int own[2];
	WANT(!socketpair(AF_UNIX, SOCK_STREAM, 0, own) && peer_pid(own[0]) == 1);
	return 0;
}
static void sockets_outside(pid_t p)
{
	CHECK_EQ(credentials(pair[0]), p);
	CHECK(write(pair[0], "y", 1) == 1);
}
TEST(sockets)
{
	int on = 1;
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(!setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) && !setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
	CHECK_EQ(in_namespace(sockets_inside, sockets_outside), 0);
}

static volatile sig_atomic_t from = -1, got;
static void note(int sig, siginfo_t *si, void *u)
{
	(void)u;
	from = si->si_pid;
	got = sig;
}
static void catch(int sig)
{
	struct sigaction sa = { .sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART };
	sigaction(sig, &sa, NULL);
}
static int signals_inside(void)
{
	from = -1;
	catch(SIGUSR1);
	write(pair[1], "r", 1);
	for (int i = 0; i < 1000 && from < 0; i++)
		msleep(5);
	WANT(from == 0); /* from outside */
	from = -1;
	pid_t c = fork();
	if (!c) {
		kill(1, SIGUSR1);
		kill(1, SIGTERM); /* it has no handler: does not reach init */
		kill(1, SIGKILL); /* never */
		kill(1, SIGSTOP);
		_exit(0);
	}
	WANT(waitpid(c, NULL, 0) == c || errno == EINTR);
	for (int i = 0; i < 200 && from < 0; i++)
		msleep(5);
	WANT(from == c);
	write(pair[1], "e", 1);
	for (;;)
		pause();
	return 0;
}
static void signals_outside(pid_t p)
{
	char b;
	CHECK(read(pair[0], &b, 1) == 1);
	CHECK(!kill(p, SIGUSR1));
	CHECK(read(pair[0], &b, 1) == 1 && b == 'e');
	CHECK(!kill(p, SIGTERM)); /* from outside neither without a handler */
	msleep(50);
	CHECK_EQ(waitpid(p, NULL, WNOHANG), 0);
	CHECK(!kill(p, SIGKILL));
}
TEST(signals)
{
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK_EQ(in_namespace(signals_inside, signals_outside), 1000 + SIGKILL);
}

static int owners(void)
{
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int fd = open("lock", O_RDWR), own;
	WANT(!fcntl(fd, F_GETLK, &l) && l.l_type == F_WRLCK);
	WANT(l.l_pid == 0); /* of the parent, outside */
	WANT(fcntl(pair[1], F_GETOWN) == 0);
	WANT(!fcntl(pair[1], F_SETOWN, 1) && fcntl(pair[1], F_GETOWN) == 1);
	WANT(fcntl(pair[1], F_SETOWN, 12345) < 0 && errno == ESRCH);
	int id = msgget(IPC_PRIVATE, 0600), shm = shmget(IPC_PRIVATE, 4096, 0600);
	struct { long t; char c; } m = { 1, 'x' };
	struct msqid_ds q;
	struct shmid_ds s;
	WANT(!msgsnd(id, &m, 1, 0) && !msgctl(id, IPC_STAT, &q) && q.msg_lspid == 1);
	WANT(!shmctl(shm, IPC_STAT, &s) && s.shm_cpid == 1 && s.shm_lpid == 0);
	msgctl(id, IPC_RMID, NULL);
	shmctl(shm, IPC_RMID, NULL);
	own = fork();
	if (!own) {
		fcntl(fd, F_SETLK, &(struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1 });
		pause();
	}
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100 };
	for (int i = 0; i < 200; i++) {
		WANT(!fcntl(fd, F_GETLK, &l));
		if (l.l_type != F_UNLCK)
			break;
		l.l_type = F_WRLCK;
		msleep(5);
	}
	WANT(l.l_pid == own);
	return 0;
}
static void owners_outside(pid_t p)
{
	(void)p;
}
TEST(owners)
{
	int fd = open("lock", O_RDWR | O_CREAT, 0600);
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	CHECK(!fcntl(fd, F_SETLK, &(struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 10 }));
	CHECK(!fcntl(pair[1], F_SETOWN, getpid()));
	CHECK_EQ(in_namespace(owners, owners_outside), 0);
}

static int init_leaves(void)
{
	for (int i = 0; i < 5; i++)
		if (!fork()) {
			signal(SIGTERM, SIG_IGN);
			if (!fork())
				setsid();
			for (;;)
				pause();
		}
	msleep(50);
	return 7;
}
TEST(death_of_init)
{
	/* Everybody holds the pipe: its end is theirs. */
	int p[2];
	char b;
	CHECK(!pipe(p));
	CHECK(!unshare(CLONE_NEWPID));
	pid_t c = fork();
	if (!c) {
		close(p[0]);
		_exit(init_leaves());
	}
	close(p[1]);
	int st;
	CHECK(waitpid(c, &st, 0) == c && WEXITSTATUS(st) == 7);
	CHECK_EQ(read(p[0], &b, 1), 0);
	/* Nobody is born there any more. */
	CHECK_ERRNO(fork(), ENOMEM);
}

static int orphans(void)
{
	int st;
	if (!fork()) {
		if (!fork()) {
			msleep(50);
			_exit(getppid() == 1 ? 33 : 34);
		}
		_exit(0);
	}
	WANT(wait(&st) > 0 && !st);
	WANT(wait(&st) > 0 && WEXITSTATUS(st) == 33);
	return 0;
}
TEST(orphans_come_to_init) { CHECK_EQ(in_namespace(orphans, NULL), 0); }

static int own_proc(void)
{
	char b[64];
	WANT(!unshare(CLONE_NEWNS));
	WANT(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	WANT(!mkdir("proc", 0755) && !mount("proc", "proc", "proc", 0, NULL));
	ssize_t n = readlink("proc/self", b, sizeof(b));
	WANT(n == 1 && b[0] == '1');
	pid_t c = fork();
	if (!c) {
		n = readlink("proc/thread-self", b, sizeof(b));
		_exit(expect(n == 8 && !memcmp(b, "2/task/2", 8) && !access("proc/1/stat", F_OK) && access("proc/3", F_OK), 1));
	}
	int st;
	WANT(waitpid(c, &st, 0) == c && !st);
	WANT(readlink("/proc/self", b, sizeof(b)) > 0); /* the outer one still knows us by another number */
	return 0;
}
TEST(proc) { CHECK_EQ(in_namespace(own_proc, NULL), 0); }

TEST(rules)
{
	int home = open("/proc/self/ns/pid", O_RDONLY), st;
	CHECK(!unshare(CLONE_NEWPID));
	CHECK_ERRNO(unshare(CLONE_NEWPID), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM, malloc(65536) + 65000, NULL, NULL, 0), EINVAL);
	CHECK(!setns(home, CLONE_NEWPID)); /* its own is allowed: back again */
	CHECK_EQ(CHILD_STATUS({ CHECK(getppid() > 0); }), 0);
	/* Into a namespace below, and not out of it. */
	pid_t c = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0);
	if (!c)
		for (;;)
			pause();
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", c);
	int below = open(path, O_RDONLY), fd = syscall(SYS_pidfd_open, getpid(), 0);
	CHECK(!setns(below, 0));
	pid_t d = fork();
	if (!d) {
		if (getpid() < 2 || getppid() != 0 || kill(1, 0))
			_exit(1);
		if (setns(home, 0) != -1 || errno != EINVAL)
			_exit(2);
		/* A process that has no number here cannot be signalled from here. */
		if (syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) != -1 || errno != EINVAL)
			_exit(3);
		_exit(0);
	}
	CHECK(waitpid(d, &st, 0) == d);
	CHECK_EQ(st, 0);
	kill(c, SIGKILL);
	CHECK_EQ(waitpid(c, NULL, 0), c);
}

static uint64_t dir_ino(pid_t p)
{
	char path[64];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d", p);
	return stat(path, &st) ? 0 : st.st_ino;
}
TEST(a_number_that_comes_back)
{
	/* In the namespace that /proc shows. */
	struct { uint64_t flags, pidfd, ctid, ptid, sig, stack, ssz, tls, set_tid, nset, cg; } a = { .sig = SIGCHLD };
	pid_t tid = 0, p = fork();
	if (!p)
		pause();
	int dir, old = syscall(SYS_pidfd_open, p, 0);
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d", p);
	dir = open(path, O_RDONLY | O_DIRECTORY);
	uint64_t ino = dir_ino(p);
	CHECK(ino && dir >= 0 && ino == dir_ino(p));
	kill(p, SIGKILL);
	CHECK_EQ(waitpid(p, NULL, 0), p);
	tid = p;
	a.set_tid = (uint64_t)(uintptr_t)&tid;
	a.nset = 1;
	p = syscall(SYS_clone3, &a, sizeof(a));
	if (!p)
		pause();
	if (p < 0 && (errno == EEXIST || errno == EPERM))
		SKIP("somebody else got it");
	CHECK_EQ(p, tid);
	CHECK(dir_ino(p) && dir_ino(p) != ino);
	CHECK(syscall(SYS_pidfd_send_signal, old, 0, NULL, 0) == -1 && errno == ESRCH);
	CHECK(syscall(SYS_pidfd_send_signal, dir, 0, NULL, 0) == -1 && errno == ESRCH);
	kill(p, SIGKILL);
	CHECK_EQ(waitpid(p, NULL, 0), p);
}

static int chosen(void)
{
	struct { uint64_t flags, pidfd, ctid, ptid, sig, stack, ssz, tls, set_tid, nset, cg; } a = { .sig = SIGCHLD };
	pid_t tids[3] = { 77, 0, 0 };
	int st;
	a.set_tid = (uint64_t)(uintptr_t)tids;
	a.nset = 1;
	pid_t p = syscall(SYS_clone3, &a, sizeof(a));
	if (!p)
		_exit(expect(getpid() == 77, 1));
	WANT(p == 77);
	WANT(syscall(SYS_clone3, &a, sizeof(a)) == -1 && errno == EEXIST);
	WANT(waitpid(77, &st, 0) == 77 && !st);
	tids[0] = 0;
	WANT(syscall(SYS_clone3, &a, sizeof(a)) == -1 && errno == EINVAL);
	return 0;
}
TEST(chosen_numbers) { CHECK_EQ(in_namespace(chosen, NULL), 0); }

/* A thread that init traces ends as a zombie that waits for its tracer; init, which ends, does not come to wait for it. */
static volatile int *traced_ready;
static void *traced_thread(void *p)
{
	*traced_ready = ptrace(PTRACE_TRACEME, 0, 0, 0) ? 2 : 1;
	for (;;)
		pause();
	return NULL;
}

static int init_that_traces(void)
{
	if (!fork()) {
		pthread_t th;
		pthread_create(&th, NULL, traced_thread, NULL);
		for (;;)
			pause();
	}
	while (!*traced_ready)
		usleep(1000);
	return *traced_ready - 1;
}

TEST(init_ends_with_a_traced_thread)
{
	traced_ready = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(traced_ready != MAP_FAILED);
	CHECK_EQ(in_namespace(init_that_traces, NULL), 0);
}

static void *pausing_thread(void *p)
{
	(void)p;
	for (;;)
		pause();
	return NULL;
}

/* Threads of a killed init end in any order, also before others of its namespace do. */
static int init_of_many_threads(void)
{
	for (int i = 0; i < 60; i++) {
		pthread_t th;

		if (i % 4 == 0 && fork() == 0)
			for (;;)
				pause();
		pthread_create(&th, NULL, pausing_thread, NULL);
	}
	for (;;)
		pause();
	return 0;
}
static void kill_soon(pid_t p)
{
	usleep(30000);
	kill(p, SIGKILL);
}
TEST(init_of_many_threads_is_killed)
{
	for (int i = 0; i < 8; i++)
		CHECK_EQ(in_namespace(init_of_many_threads, kill_soon), 1000 + SIGKILL);
}

static char *field(const char *path, const char *name, char *b, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, b, size - 1);
	close(fd);
	b[n > 0 ? n : 0] = 0;
	char *s = strstr(b, name);
	if (s) {
		s += strlen(name);
		s[strcspn(s, "\n")] = 0;
	}
	return s ? s : "";
}
static int group_of_outside(void)
{
	char b[4096], *s;
	WANT(getpgrp() == 0 && getsid(0) == 0 && killpg(0, 0) == 0);
	/* A column for each namespace of the process, also where the group has no number. */
	s = field("/proc/self/status", "\nNSpgid:\t", b, sizeof b);
	WANT(atoi(s) > 1 && strchr(s, '\t') && !strcmp(strchr(s, '\t'), "\t0"));
	s = field("/proc/self/status", "\nNSsid:\t", b, sizeof b);
	WANT(strchr(s, '\t') && !strcmp(strchr(s, '\t'), "\t0"));
	signal(SIGUSR1, SIG_IGN);
	WANT(!kill(0, SIGUSR1));
	return 0;
}
TEST(group_of_outside)
{
	setpgid(0, 0);
	catch(SIGUSR1);
	CHECK_EQ(in_namespace(group_of_outside, NULL), 0);
	for (int i = 0; i < 400 && from < 0; i++)
		msleep(5);
	CHECK_EQ(from, 1); /* the sender's own number, though it has another one here */
}

TEST(children_of_a_new_namespace)
{
	char b[64];
	CHECK(!unshare(CLONE_NEWPID));
	CHECK_ERRNO(readlink("/proc/self/ns/pid_for_children", b, sizeof b), ENOENT); /* nobody is there yet */
	CHECK_ERRNO(open("/proc/self/ns/pid_for_children", O_RDONLY), ENOENT);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0), EINVAL);
	pid_t c = fork();
	if (!c)
		_exit(0);
	CHECK(waitpid(c, NULL, 0) == c);
	CHECK(readlink("/proc/self/ns/pid_for_children", b, sizeof b) > 0);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, 0), EINVAL);
	CHECK_ERRNO(unshare(CLONE_NEWPID), EINVAL);
}

TEST(namespaces_of_the_dead)
{
	char path[64], b[64];
	pid_t c = fork();
	if (!c)
		_exit(0);
	siginfo_t si;
	CHECK(!waitid(P_PID, c, &si, WEXITED | WNOWAIT));
	snprintf(path, sizeof path, "/proc/%d/ns/pid", c);
	CHECK(readlink(path, b, sizeof b) > 0);
	snprintf(path, sizeof path, "/proc/%d/ns/mnt", c);
	CHECK_ERRNO(readlink(path, b, sizeof b), ENOENT);
}

static int pauses(void)
{
	for (;;)
		pause();
	return 0;
}
static void numbers_of(pid_t p)
{
	char path[64], b[512];
	uint64_t id;
	snprintf(path, sizeof path, "/proc/%d/ns/pid", p);
	int ns = open(path, O_RDONLY), fd;
	CHECK(ns >= 0);
	CHECK_ERRNO(ioctl(ns, _IOR(0xb7, 5, uint64_t), &id), EINVAL); /* NS_GET_MNTNS_ID */
	int n = ioctl(ns, _IOR(0xb7, 6, int), 1); /* NS_GET_PID_FROM_PIDNS; not on every host */
	if (n >= 0 || errno != ENOTTY) {
		CHECK_EQ(n, p);
		CHECK_EQ(ioctl(ns, _IOR(0xb7, 7, int), 1), p);
		CHECK_EQ(ioctl(ns, _IOR(0xb7, 8, int), p), 1);
		CHECK_EQ(ioctl(ns, _IOR(0xb7, 9, int), p), 1);
		CHECK_ERRNO(ioctl(ns, _IOR(0xb7, 6, int), 4242), ESRCH);
		CHECK_ERRNO(ioctl(ns, _IOR(0xb7, 8, int), getpid()), ESRCH);
	}
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd = syscall(SYS_pidfd_open, p, 0));
	CHECK(fd >= 0);
	snprintf(path + 32, 32, "%d\t1", p);
	CHECK(!strcmp(field(path, "\nNSpid:\t", b, sizeof b), path + 32));
	kill(p, SIGKILL);
}
TEST(numbers_from_outside) { CHECK_EQ(in_namespace(pauses, numbers_of), 1000 + SIGKILL); }

static int how;
static int reboots(void)
{
	if (getpid() != 1) /* not on the machine itself */
		abort();
	if (fork())
		return pauses();
	WANT(syscall(SYS_reboot, 1, 0x28121969, how, 0) == -1 && errno == EINVAL);
	WANT(syscall(SYS_reboot, 0xfee1dead, 0x28121969, 0x1234, 0) == -1 && errno == EINVAL);
	WANT(syscall(SYS_reboot, 0xfee1dead, 0x28121969, 0 /* Ctrl-Alt-Del */, 0) == -1 && errno == EINVAL);
	syscall(SYS_reboot, 0xfee1dead, 0x28121969, how, 0);
	kill(1, SIGTERM);
	return 1;
}
TEST(reboot)
{
	CHECK_EQ(CHILD_STATUS({
		if (setuid(1000))
			_exit(1);
		CHECK_ERRNO(syscall(SYS_reboot, 1, 2, 3, 0), EPERM);
	}), 0);
	how = 0x01234567;
	CHECK_EQ(in_namespace(reboots, NULL), 1000 + SIGHUP);
	how = 0x4321fedc;
	CHECK_EQ(in_namespace(reboots, NULL), 1000 + SIGINT);
}
