/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>

struct info {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
	uint32_t coredump_mask, spare;
};
#define GET_INFO(size) _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, size)
#define GET_NS(nr) _IO(0xff, nr)
#define P_PIDFD_ 3

static int pidfd_open_(pid_t p, unsigned flags) { return syscall(SYS_pidfd_open, p, flags); }
static int send_(int fd, int sig, siginfo_t *i, unsigned flags) { return syscall(SYS_pidfd_send_signal, fd, sig, i, flags); }
static int waitid_(int fd, siginfo_t *i, int options) { return syscall(SYS_waitid, P_PIDFD_, fd, i, options, NULL); }
static int readable(int fd)
{
	struct pollfd p = { fd, POLLIN, 0 };
	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}
static void fdinfo(int fd, char *b, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	int f = open(path, O_RDONLY);
	ssize_t n = read(f, b, size - 1);
	CHECK(n > 0);
	b[n] = 0;
	close(f);
}
static pid_t sleeper(void)
{
	pid_t c = fork();
	if (!c) {
		for (;;)
			pause();
	}
	CHECK(c > 0);
	return c;
}

TEST(open)
{
	struct stat a, b;
	struct statfs sf;
	int me = pidfd_open_(getpid(), 0), again = pidfd_open_(getpid(), O_NONBLOCK), thread = pidfd_open_(getpid(), O_EXCL);
	CHECK(me >= 0 && again >= 0 && thread >= 0);
	CHECK_EQ(fcntl(me, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(me, F_GETFL), O_RDWR);
	CHECK_EQ(fcntl(again, F_GETFL), O_RDWR | O_NONBLOCK);
	CHECK_EQ(fcntl(thread, F_GETFL), O_RDWR | O_EXCL);
	CHECK(!fstat(me, &a) && !fstat(again, &b) && a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	pid_t c = sleeper();
	int other = pidfd_open_(c, 0);
	CHECK(!fstat(other, &b) && a.st_ino != b.st_ino);
	CHECK(!fstatfs(me, &sf) && sf.f_type == 0x50494446);
	CHECK_ERRNO(fchmod(me, 0777), EOPNOTSUPP);
	CHECK_ERRNO(read(me, &b, 8), EINVAL);
	CHECK_ERRNO(pidfd_open_(0, 0), EINVAL);
	CHECK_ERRNO(pidfd_open_(-1, 0), EINVAL);
	CHECK_ERRNO(pidfd_open_(4194303, 0), ESRCH);
	CHECK_ERRNO(pidfd_open_(getpid(), 1), EINVAL);
	/* Opened again by its name it is the same. */
	char path[64], text[512], want[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", other);
	int copy = open(path, O_RDWR);
	CHECK(copy >= 0 && !send_(copy, SIGKILL, NULL, 0));
	CHECK(waitpid(c, NULL, 0) == c);
	fdinfo(me, text, sizeof(text));
	snprintf(want, sizeof(want), "Pid:\t%d\nNSpid:\t%d\n", getpid(), getpid());
	CHECK(strstr(text, want));
	fdinfo(other, text, sizeof(text));
	CHECK(strstr(text, "Pid:\t-1\nNSpid:\t-1\n") || strstr(text, "Pid:\t-1\n"));
}

TEST(signals)
{
	siginfo_t si;
	int me = pidfd_open_(getpid(), 0);
	pid_t c = sleeper();
	int child = pidfd_open_(c, 0);
	signal(SIGUSR1, SIG_IGN);
	CHECK(!send_(me, 0, NULL, 0) && !send_(me, SIGUSR1, NULL, 0) && !send_(child, 0, NULL, 0));
	for (unsigned f = 1; f <= 4; f *= 2)
		CHECK(!send_(me, SIGUSR1, NULL, f));
	CHECK_ERRNO(send_(me, 0, NULL, 8), EINVAL);
	CHECK_ERRNO(send_(me, 0, NULL, 3), EINVAL);
	CHECK_ERRNO(send_(me, 65, NULL, 0), EINVAL);
	CHECK_ERRNO(send_(me, -1, NULL, 0), EINVAL);
	CHECK_ERRNO(send_(0, 0, NULL, 0), EBADF);
	CHECK_ERRNO(send_(-1, 0, NULL, 0), EBADF);
	CHECK_ERRNO(send_(child, 0, NULL, 4), ESRCH); /* it leads no group */
	memset(&si, 0, sizeof(si));
	si.si_signo = SIGUSR1;
	si.si_code = SI_QUEUE;
	CHECK(!send_(me, SIGUSR1, &si, 0));
	CHECK_ERRNO(send_(me, SIGUSR2, &si, 0), EINVAL);
	CHECK_ERRNO(send_(me, SIGUSR1, (void *)8, 0), EFAULT);
	si.si_code = SI_USER;
	CHECK(!send_(me, SIGUSR1, &si, 0)); /* oneself may be told anything */
	CHECK_ERRNO(send_(child, SIGUSR1, &si, 0), EPERM);
	si.si_code = SI_TKILL;
	CHECK_ERRNO(send_(child, SIGUSR1, &si, 0), EPERM);
	/* The current thread and process, without a descriptor. */
	CHECK(!send_(-10000, SIGUSR1, NULL, 0) && !send_(-10001, SIGUSR1, NULL, 0));
	CHECK_ERRNO(send_(-10002, 0, NULL, 0), EBADF);
	/* Directories of /proc. */
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d", getpid());
	int d = open(path, O_RDONLY | O_DIRECTORY), op = open(path, O_PATH | O_DIRECTORY), proc = open("/proc", O_RDONLY);
	CHECK(!send_(d, SIGUSR1, NULL, 0));
	CHECK_ERRNO(send_(op, 0, NULL, 0), EBADF);
	CHECK_ERRNO(send_(proc, 0, NULL, 0), EBADF);
	CHECK(!send_(child, SIGKILL, NULL, 0) && waitpid(c, NULL, 0) == c);
	CHECK_ERRNO(send_(child, 0, NULL, 0), ESRCH);
}

static pthread_barrier_t barrier;
static volatile pid_t tid;
static void *thread_fn(void *arg)
{
	tid = syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return arg;
}

TEST(threads)
{
	pthread_t t;
	signal(SIGUSR1, SIG_IGN);
	pthread_barrier_init(&barrier, NULL, 2);
	CHECK(!pthread_create(&t, NULL, thread_fn, NULL));
	pthread_barrier_wait(&barrier);
	CHECK_ERRNO(pidfd_open_(tid, 0), ENOENT);
	int fd = pidfd_open_(tid, O_EXCL);
	CHECK(fd >= 0 && !readable(fd));
	CHECK(!send_(fd, SIGUSR1, NULL, 0) && !send_(fd, SIGUSR1, NULL, 2));
	CHECK_ERRNO(send_(fd, 0, NULL, 4), ESRCH);
	pthread_barrier_wait(&barrier);
	struct pollfd p = { fd, POLLIN, 0 };
	CHECK(poll(&p, 1, 5000) == 1);
	CHECK(!pthread_join(t, NULL));
	for (int i = 0; i < 100 && !(readable(fd) & POLLHUP); i++)
		msleep(10);
	CHECK_EQ(readable(fd), POLLIN | POLLHUP);
	CHECK_ERRNO(send_(fd, 0, NULL, 0), ESRCH);
}

TEST(wait_and_poll)
{
	siginfo_t si;
	pid_t c = sleeper();
	int fd = pidfd_open_(c, 0), nb = pidfd_open_(c, O_NONBLOCK);
	CHECK_EQ(readable(fd), 0);
	CHECK(!waitid_(fd, &si, WEXITED | WNOHANG));
	CHECK_ERRNO(waitid_(nb, &si, WEXITED), EAGAIN);
	CHECK(!waitid_(nb, &si, WEXITED | WNOHANG));
	CHECK(!send_(fd, SIGKILL, NULL, 0));
	struct pollfd p = { fd, POLLIN, 0 };
	CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLIN);
	CHECK(!send_(fd, 0, NULL, 0)); /* a zombie can be signalled */
	CHECK(!waitid_(fd, &si, WEXITED | WNOWAIT));
	CHECK(si.si_code == CLD_KILLED && si.si_status == SIGKILL && si.si_pid == c);
	CHECK(!waitid_(nb, &si, WEXITED));
	CHECK_EQ(readable(fd), POLLIN | POLLHUP);
	CHECK_ERRNO(waitid_(fd, &si, WEXITED), ECHILD);
	CHECK_ERRNO(waitid_(0, &si, WEXITED), EBADF);
	CHECK_ERRNO(waitid_(-1, &si, WEXITED), EINVAL);
}

TEST(info)
{
	struct info i;
	siginfo_t si;
	pid_t c = sleeper();
	int fd = pidfd_open_(c, 0);
	memset(&i, 0, sizeof(i));
	CHECK(!ioctl(fd, GET_INFO(64), &i));
	CHECK_EQ(i.mask, 7);
	CHECK(i.pid == (unsigned)c && i.tgid == (unsigned)c && i.ppid == (unsigned)getpid() && i.euid == geteuid());
	i.mask = ~0ULL;
	CHECK(!ioctl(fd, GET_INFO(72), &i));
	CHECK_EQ(i.mask & 0x1f, 0x17);
	CHECK_EQ(i.coredump_mask, 4);
	CHECK_ERRNO(ioctl(fd, GET_INFO(63), &i), ENOTTY);
	CHECK_ERRNO(ioctl(fd, GET_INFO(64), NULL), EINVAL);
	CHECK_ERRNO(ioctl(fd, GET_INFO(64), 8), EFAULT);
	CHECK_ERRNO(ioctl(fd, GET_NS(0), 0), ENOTTY);
	CHECK(!send_(fd, SIGKILL, NULL, 0) && !waitid_(fd, &si, WEXITED | WNOWAIT));
	i.mask = 8;
	CHECK(!ioctl(fd, GET_INFO(64), &i) && i.mask == 7); /* not before it is reaped */
	CHECK(!waitid_(fd, &si, WEXITED));
	i.mask = 8;
	CHECK(!ioctl(fd, GET_INFO(64), &i) && i.mask == 12 && i.exit_code == SIGKILL);
	i.mask = 0;
	CHECK_ERRNO(ioctl(fd, GET_INFO(64), &i), ESRCH);
}

TEST(namespaces)
{
	static const char *const names[] = { NULL, "cgroup", "ipc", "mnt", "net", "pid", "pid_for_children", "time", "time_for_children", "user", "uts" };
	pid_t c = fork();
	if (!c) {
		if (unshare(CLONE_NEWUTS | CLONE_NEWIPC))
			_exit(1);
		pause();
	}
	int fd = pidfd_open_(c, 0);
	msleep(100);
	for (int n = 1; n <= 10; n++) {
		char path[64];
		struct stat a, b;
		int ns = ioctl(fd, GET_NS(n), 0);
		CHECK(ns >= 0 && fcntl(ns, F_GETFD) == FD_CLOEXEC);
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", c, names[n]);
		CHECK(!fstat(ns, &a) && !stat(path, &b));
		CHECK_EQ(a.st_ino, b.st_ino);
		close(ns);
	}
	CHECK_ERRNO(ioctl(fd, GET_NS(1), 1), EINVAL);
	CHECK_ERRNO(ioctl(fd, GET_NS(12), 0), ENOTTY);
	struct statfs sf;
	CHECK(!statfs("/proc/self/ns/uts", &sf) && sf.f_type == 0x6e736673);
	CHECK_EQ(CHILD_STATUS({
		CHECK(!setresuid(65534, 65534, 65534));
		CHECK_ERRNO(ioctl(fd, GET_NS(2), 0), EACCES);
		CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 0, 0), EPERM);
	}), 0);
	kill(c, SIGKILL);
	siginfo_t si;
	CHECK(!waitid_(fd, &si, WEXITED | WNOWAIT));
	CHECK_ERRNO(ioctl(fd, GET_NS(2), 0), ESRCH);
	CHECK(!waitid_(fd, &si, WEXITED));
}

TEST(getfd)
{
	int p[2];
	char b;
	CHECK(!pipe(p));
	pid_t c = fork();
	if (!c) {
		dup2(p[1], 77);
		open("/", O_PATH);
		(void)write(77, "x", 1);
		pause();
	}
	CHECK(read(p[0], &b, 1) == 1);
	int fd = pidfd_open_(c, 0), got = syscall(SYS_pidfd_getfd, fd, 77, 0);
	CHECK(got >= 0 && fcntl(got, F_GETFD) == FD_CLOEXEC);
	CHECK(write(got, "y", 1) == 1 && read(p[0], &b, 1) == 1 && b == 'y');
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 78, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 77, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, 0, 77, 0), EBADF);
	kill(c, SIGKILL);
	CHECK(waitpid(c, NULL, 0) == c);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 77, 0), ESRCH);
}

TEST(handles)
{
	struct { struct file_handle h; char data[128]; } fh;
	int mnt;
	pid_t c = sleeper();
	int fd = pidfd_open_(c, 0), again;
	struct stat a, b;
	fh.h.handle_bytes = 0;
	CHECK_ERRNO(name_to_handle_at(fd, "", &fh.h, &mnt, AT_EMPTY_PATH), EOVERFLOW);
	CHECK_EQ(fh.h.handle_bytes, 8);
	CHECK(!name_to_handle_at(fd, "", &fh.h, &mnt, AT_EMPTY_PATH));
	again = open_by_handle_at(fd, &fh.h, O_RDWR | O_CLOEXEC);
	CHECK(again >= 0 && !fstat(fd, &a) && !fstat(again, &b) && a.st_ino == b.st_ino);
	CHECK(open_by_handle_at(-10002, &fh.h, O_RDWR) >= 0);
	CHECK(!send_(again, SIGKILL, NULL, 0) && waitpid(c, NULL, 0) == c);
	CHECK_ERRNO(open_by_handle_at(fd, &fh.h, O_RDWR), ESTALE);
}

static void *exit_later(void *go)
{
	char c;
	(void)read(*(int *)go, &c, 1);
	syscall(SYS_exit, 0);
	return NULL;
}
/* A leader that is gone while others of its threads live: not told of, by either kind of descriptor. */
TEST(leader_gone_early)
{
	int go[2];
	CHECK(!pipe(go));
	pid_t p = fork();
	if (!p) {
		pthread_t t;
		pthread_create(&t, NULL, exit_later, &go[0]);
		syscall(SYS_exit, 0);
	}
	char stat[64], state = 0;
	snprintf(stat, sizeof(stat), "/proc/%d/stat", p);
	while (state != 'Z') {
		FILE *f = fopen(stat, "r");
		CHECK(fscanf(f, "%*d (%*[^)]) %c", &state) == 1);
		fclose(f);
		msleep(2);
	}
	struct pollfd fds[2] = { { .fd = pidfd_open_(p, 0), .events = POLLIN }, { .fd = pidfd_open_(p, O_EXCL /* PIDFD_THREAD */), .events = POLLIN } };
	if (fds[1].fd < 0)
		SKIP("no PIDFD_THREAD");
	CHECK_EQ(poll(fds, 2, 20), 0);
	CHECK(write(go[1], "x", 1) == 1);
	CHECK(poll(fds, 1, 5000) == 1 && poll(fds + 1, 1, 5000) == 1);
	CHECK(waitpid(p, NULL, 0) == p);
}

TEST(clone_flags)
{
	struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup; } a;
	int fd = -1, tidv = -1;
	CHECK_ERRNO(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &fd, NULL, 0), EINVAL);
	memset(&a, 0, sizeof(a));
	a.flags = CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_VFORK;
	a.pidfd = (uint64_t)(uintptr_t)&fd;
	a.parent_tid = (uint64_t)(uintptr_t)&tidv;
	a.exit_signal = SIGCHLD;
	pid_t c = syscall(SYS_clone3, &a, sizeof(a));
	if (!c)
		_exit(3);
	siginfo_t si;
	CHECK(c > 0 && tidv == c && fd >= 0);
	CHECK(!waitid_(fd, &si, WEXITED) && si.si_status == 3);
	/* No descriptor is left when it fails. */
	a.set_tid = (uint64_t)(uintptr_t)&tidv;
	a.set_tid_size = 33;
	CHECK_ERRNO(syscall(SYS_clone3, &a, sizeof(a)), EINVAL);
}
