/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/inotify.h>
#include <sys/uio.h>
#include <sys/timerfd.h>

TEST(pipe_basics)
{
	int p[2];
	char b[70000];
	CHECK(!pipe(p) && write(p[1], "abc", 3) == 3);
	int n;
	CHECK(!ioctl(p[0], FIONREAD, &n) && n == 3);
	CHECK(read(p[0], b, 2) == 2 && read(p[0], b, 10) == 1);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	CHECK_ERRNO(read(p[0], b, 1), EAGAIN);
	CHECK_EQ(write(p[1], b, sizeof b), 65536);
	CHECK_ERRNO(write(p[1], b, 1), EAGAIN);
	CHECK(read(p[0], b, sizeof b) == 65536);
	close(p[1]);
	CHECK_EQ(read(p[0], b, 1), 0);
	CHECK(!pipe(p));
	close(p[0]);
	signal(SIGPIPE, SIG_IGN);
	CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
	signal(SIGPIPE, SIG_DFL);
	int st = CHILD_STATUS(write(p[1], "x", 1));
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGPIPE);
	CHECK_ERRNO(pipe2(p, 0x7777), EINVAL);
}

TEST(pipe_big_transfer)
{
	int p[2];
	CHECK(!pipe(p));
	pid_t c = fork();
	if (!c) {
		close(p[0]);
		char *b = malloc(1 << 20);
		for (int i = 0; i < 1 << 20; i++)
			b[i] = i * 7;
		for (int i = 0; i < 10; i++)
			CHECK_EQ(write(p[1], b, 1 << 20), 1 << 20);
		_exit(0);
	}
	close(p[1]);
	char b[10000];
	long total = 0, r;
	while ((r = read(p[0], b, sizeof b)) > 0)
		for (long i = 0; i < r; i++, total++)
			CHECK(b[i] == (char)((total % (1 << 20)) * 7));
	CHECK_EQ(total, 10 << 20);
}

TEST(fifo)
{
	CHECK(!mkfifo("f", 0600));
	CHECK_ERRNO(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
	pid_t c = fork();
	if (!c) {
		int fd = open("f", O_WRONLY);
		CHECK(write(fd, "hi", 2) == 2);
		_exit(0);
	}
	char b[8];
	int fd = open("f", O_RDONLY);
	CHECK(read(fd, b, 8) == 2 && read(fd, b, 8) == 0);
}

TEST(poll_)
{
	int p[2];
	CHECK(!pipe(p));
	struct pollfd f[3] = { { p[0], POLLIN, 0 }, { p[1], POLLOUT, 0 }, { 999, POLLIN, 0 } };
	CHECK_EQ(poll(f, 3, 0), 2);
	CHECK(!f[0].revents && f[1].revents == POLLOUT && f[2].revents == POLLNVAL);
	double t = now_s();
	CHECK_EQ(poll(f, 1, 50), 0);
	CHECK(now_s() - t >= 0.045);
	if (!fork()) {
		msleep(50);
		write(p[1], "x", 1);
		_exit(0);
	}
	CHECK(poll(f, 1, 5000) == 1 && f[0].revents == POLLIN);
	close(p[1]);
	wait(NULL);
	char c;
	read(p[0], &c, 1);
	CHECK(poll(f, 1, 0) == 1 && f[0].revents == POLLHUP);
	fd_set r;
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	struct timeval tv = { 1, 0 };
	CHECK(select(p[0] + 1, &r, NULL, NULL, &tv) == 1 && FD_ISSET(p[0], &r));
	FD_SET(50, &r);
	CHECK_ERRNO(select(51, &r, NULL, NULL, &tv), EBADF);
}

TEST(epoll_)
{
	int p[2], e = epoll_create1(0);
	struct epoll_event ev = { .events = EPOLLIN, .data.u64 = 42 }, out[4];
	CHECK(!pipe(p) && !epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev));
	CHECK_ERRNO(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev), EEXIST);
	CHECK_ERRNO(epoll_ctl(e, EPOLL_CTL_MOD, p[1], &ev), ENOENT);
	CHECK_ERRNO(epoll_ctl(e, EPOLL_CTL_ADD, e, &ev), EINVAL);
	int fd = open("plain", O_CREAT | O_RDWR, 0600);
	CHECK_ERRNO(epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev), EPERM);
	CHECK_EQ(epoll_wait(e, out, 4, 0), 0);
	CHECK(write(p[1], "a", 1) == 1);
	CHECK(epoll_wait(e, out, 4, 1000) == 1 && out[0].data.u64 == 42 && out[0].events == EPOLLIN);
	CHECK_EQ(epoll_wait(e, out, 4, 0), 1);
	ev.events = EPOLLIN | EPOLLET;
	CHECK(!epoll_ctl(e, EPOLL_CTL_MOD, p[0], &ev));
	CHECK_EQ(epoll_wait(e, out, 4, 0), 1);
	CHECK_EQ(epoll_wait(e, out, 4, 0), 0);
	CHECK(write(p[1], "b", 1) == 1 && epoll_wait(e, out, 4, 0) == 1);
	ev.events = EPOLLIN | EPOLLONESHOT;
	CHECK(!epoll_ctl(e, EPOLL_CTL_MOD, p[0], &ev) && epoll_wait(e, out, 4, 0) == 1 && epoll_wait(e, out, 4, 0) == 0);
	CHECK_ERRNO(epoll_wait(e, out, 0, 0), EINVAL);
	close(p[1]);
	close(p[0]);
	CHECK_EQ(epoll_wait(e, out, 4, 0), 0);
}

TEST(eventfd_)
{
	int e = eventfd(3, EFD_NONBLOCK);
	uint64_t v;
	CHECK(read(e, &v, 8) == 8 && v == 3);
	CHECK_ERRNO(read(e, &v, 8), EAGAIN);
	v = UINT64_MAX;
	CHECK_ERRNO(write(e, &v, 8), EINVAL);
	CHECK_ERRNO(read(e, &v, 4), EINVAL);
	int s = eventfd(2, EFD_SEMAPHORE);
	CHECK(read(s, &v, 8) == 8 && v == 1);
	eventfd_t x;
	CHECK(!eventfd_write(s, 5) && !eventfd_read(s, &x) && x == 1);
}

TEST(timerfd_)
{
	int t = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec it = { { 0, 20000000 }, { 0, 20000000 } }, cur;
	CHECK(!timerfd_settime(t, 0, &it, NULL));
	uint64_t v;
	CHECK(read(t, &v, 8) == 8 && v >= 1);
	msleep(70);
	CHECK(read(t, &v, 8) == 8 && v >= 3);
	CHECK(!timerfd_gettime(t, &cur) && cur.it_interval.tv_nsec == 20000000);
	CHECK_ERRNO(timerfd_create(99, 0), EINVAL);
}

TEST(signalfd_)
{
	sigset_t s;
	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	int fd = signalfd(-1, &s, SFD_NONBLOCK);
	struct signalfd_siginfo si;
	CHECK_ERRNO(read(fd, &si, sizeof si), EAGAIN);
	raise(SIGUSR1);
	struct pollfd f = { fd, POLLIN, 0 };
	CHECK(poll(&f, 1, 0) == 1);
	CHECK(read(fd, &si, sizeof si) == sizeof si && si.ssi_signo == SIGUSR1 && si.ssi_pid == (unsigned)getpid());
}

TEST(inotify_)
{
	int fd = inotify_init1(IN_NONBLOCK);
	CHECK(fd >= 0);
	int wd = inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO);
	CHECK(wd > 0);
	close(open("a", O_CREAT | O_WRONLY, 0600));
	rename("a", "b");
	unlink("b");
	char b[4096];
	ssize_t n = read(fd, b, sizeof b);
	uint32_t want[] = { IN_CREATE, IN_MOVED_FROM, IN_MOVED_TO, IN_DELETE };
	int k = 0;
	for (char *p = b; p < b + n; k++) {
		struct inotify_event *e = (void *)p;
		CHECK(k < 4 && e->mask == want[k] && e->wd == wd);
		p += sizeof *e + e->len;
	}
	CHECK_EQ(k, 4);
}

TEST(epoll_wakes_sleepers)
{
	int e = epoll_create1(0), ev = eventfd(0, 0);
	struct epoll_event x = { .events = EPOLLIN };
	CHECK(!epoll_ctl(e, EPOLL_CTL_ADD, ev, &x));
	if (!fork()) {
		msleep(50);
		eventfd_write(ev, 1);
		_exit(0);
	}
	CHECK_EQ(epoll_wait(e, &x, 1, 5000), 1);
}

TEST(inotify_instances_are_limited)
{
	char b[32] = "";
	int f = open("/proc/sys/fs/inotify/max_user_instances", O_RDONLY), n = 0, max;
	CHECK(f >= 0 && read(f, b, sizeof b - 1) > 0);
	max = atoi(b);
	CHECK(max > 0);
	struct rlimit l;
	CHECK(!getrlimit(RLIMIT_NOFILE, &l));
	if (l.rlim_cur < (unsigned)max + 20)
		SKIP("few descriptors");
	while (n <= max && inotify_init() >= 0)
		n++;
	CHECK(n <= max);
	CHECK(errno == EMFILE);
}

TEST(select_takes_path_descriptors_for_ready)
{
	int fd = open(".", O_PATH);
	fd_set in, out, ex;
	CHECK(fd >= 0);
	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_ZERO(&ex);
	FD_SET(fd, &in), FD_SET(fd, &out), FD_SET(fd, &ex);
	struct timeval tv = { 0, 0 };
	CHECK(select(fd + 1, &in, &out, &ex, &tv) == 3);
	close(fd);
	CHECK_ERRNO(select(fd + 1, &in, NULL, NULL, &tv), EBADF);
}

TEST(seeking_event_descriptors)
{
	int fd[] = { eventfd(0, 0), epoll_create1(0), inotify_init() };
	for (int i = 0; i < 3; i++) {
		CHECK(fd[i] >= 0);
		CHECK(lseek(fd[i], 10, SEEK_SET) == 0);
		CHECK_ERRNO(pread(fd[i], &i, 0, 0), ESPIPE);
		CHECK_ERRNO(lseek(fd[i], 0, 9), EINVAL);
	}
	int p[2];
	CHECK(!pipe(p));
	CHECK_ERRNO(lseek(p[0], 0, SEEK_SET), ESPIPE);
	CHECK_ERRNO(lseek(p[0], 0, 9), EINVAL);
	CHECK_ERRNO(fcntl(fd[0], F_GETPIPE_SZ), EBADF);
	/* nothing at all to do is done before flags are looked at, after the descriptor is */
	struct iovec v = { p, 0 };
	CHECK(syscall(SYS_pwritev2, p[1], &v, 1, -1L, 0, 0x4000) == 0);
	CHECK_ERRNO(syscall(SYS_preadv2, p[1], &v, 2000, -1L, 0, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_preadv2, p[0], &v, 2000, -1L, 0, 0), EINVAL);
}
