/* SPDX-License-Identifier: Apache-2.0 */
/* tcp.c: TCP connections both whose ends are here: everything that a short way for the bytes could get wrong. */
#include "harness.h"
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

static char big[1 << 20];

static int listener(struct sockaddr_in *a)
{
	socklen_t n = sizeof *a;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(!bind(l, (void *)a, n) && !listen(l, 10) && !getsockname(l, (void *)a, &n) && a->sin_port);
	return l;
}

struct pair { int l, c, s; struct sockaddr_in a; };
static struct pair connected(void)
{
	struct pair p;
	p.l = listener(&p.a);
	p.c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(p.c, (void *)&p.a, sizeof p.a));
	CHECK((p.s = accept(p.l, NULL, NULL)) >= 0);
	return p;
}

static int ready(int fd, int timeout)
{
	struct pollfd f = { fd, POLLIN | POLLOUT | POLLPRI | POLLRDHUP, 0 };
	CHECK(poll(&f, 1, timeout) >= 0);
	return f.revents;
}

/* Until the bits are there: what the peer did is on its way. */
static int ready_with(int fd, int bits)
{
	int r = 0;
	for (int i = 0; i < 200 && ((r = ready(fd, 0)) & bits) != bits; i++)
		msleep(5);
	return r;
}

static int error_of(int fd)
{
	int v = -1;
	socklen_t n = sizeof v;
	CHECK(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &v, &n));
	return v;
}

static int state_of(int fd)
{
	struct tcp_info t = { 0 };
	socklen_t n = sizeof t;
	CHECK(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &n));
	return t.tcpi_state;
}

static int queued(int fd)
{
	int v = -1;
	CHECK(!ioctl(fd, FIONREAD, &v));
	return v;
}

static void nonblocking(int fd) { CHECK(!fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK)); }

static void fill(char *b, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		b[i] = (seed + i * 7 + (i >> 8)) & 0xff;
}

static size_t read_all(int fd, char *b, size_t n)
{
	size_t got = 0;
	ssize_t r;
	while (got < n && (r = read(fd, b + got, n - got)) > 0)
		got += r;
	return got;
}

TEST(sent_before_accept)
{
	static const int sizes[] = { 1, 10, 4096, 60000, 65536, 65537, 200000 };
	static char in[300000], out[300000];
	struct sockaddr_in a;
	int l = listener(&a);
	fill(out, sizeof out, 3);
	for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		int c = socket(AF_INET, SOCK_STREAM, 0), n = sizes[i];
		CHECK(!connect(c, (void *)&a, sizeof a));
		for (int at = 0, k; at < n; at += k)
			CHECK((k = write(c, out + at, n - at > 5000 ? 5000 : n - at)) > 0);
		int s = accept(l, NULL, NULL);
		CHECK(s >= 0 && write(c, out + n, 1000) == 1000);
		CHECK(write(s, "answer", 6) == 6);
		shutdown(c, SHUT_WR);
		memset(in, 0, sizeof in);
		CHECK_EQ(read_all(s, in, sizeof in), n + 1000);
		CHECK(!memcmp(in, out, n + 1000));
		CHECK(read(c, in, 10) == 6 && !memcmp(in, "answer", 6));
		close(s);
		CHECK_EQ(read(c, in, 10), 0);
		close(c);
	}
	/* gone before it is accepted: the data is there, then the end */
	int c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(c, (void *)&a, sizeof a) && write(c, "last words", 10) == 10 && !close(c));
	int s = accept(l, NULL, NULL);
	CHECK(s >= 0 && read(s, in, 100) == 10 && read(s, in, 100) == 0);
	/* half closed before it is accepted */
	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(c, (void *)&a, sizeof a) && write(c, "half", 4) == 4 && !shutdown(c, SHUT_WR));
	s = accept(l, NULL, NULL);
	CHECK(s >= 0 && read(s, in, 100) == 4 && read(s, in, 100) == 0 && write(s, "back", 4) == 4 && read(c, in, 100) == 4);
}

/* Those who sleep on the client before it is accepted. */
TEST(sleepers_before_accept)
{
	struct sockaddr_in a;
	int l = listener(&a);
	char b[8];
	for (int how = 0; how < 4; how++) {
		int c = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(!connect(c, (void *)&a, sizeof a));
		pid_t p = fork();
		if (!p) {
			if (how == 0) {
				CHECK(recv(c, b, 8, 0) == 5);
			} else if (how == 1) {
				struct pollfd f = { c, POLLIN, 0 };
				CHECK(poll(&f, 1, 5000) == 1 && f.revents == POLLIN);
			} else if (how == 2) {
				int ep = epoll_create1(0);
				struct epoll_event e = { .events = EPOLLIN | EPOLLET };
				CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, c, &e) && epoll_wait(ep, &e, 1, 5000) == 1 && e.events == EPOLLIN);
			} else {
				fd_set r;
				FD_ZERO(&r);
				FD_SET(c, &r);
				CHECK(select(c + 1, &r, NULL, NULL, NULL) == 1);
			}
			_exit(0);
		}
		msleep(30);
		int s = accept(l, NULL, NULL), st;
		msleep(10);
		CHECK(s >= 0 && write(s, "hello", 5) == 5);
		CHECK(waitpid(p, &st, 0) == p && !st);
		close(c);
		close(s);
	}
	/* a sender that fills everything before it is accepted */
	int c = socket(AF_INET, SOCK_STREAM, 0), st;
	CHECK(!connect(c, (void *)&a, sizeof a));
	pid_t p = fork();
	if (!p) {
		for (int i = 0; i < 12; i++) {
			memset(big, i, sizeof big);
			CHECK_EQ(send(c, big, sizeof big, 0), sizeof big);
		}
		_exit(0);
	}
	close(c);
	msleep(100);
	int s = accept(l, NULL, NULL);
	for (int i = 0; i < 12; i++) {
		CHECK_EQ(recv(s, big, sizeof big, MSG_WAITALL), sizeof big);
		CHECK(big[0] == i && big[sizeof big - 1] == i);
	}
	CHECK(read(s, b, 1) == 0 && waitpid(p, &st, 0) == p && !st);
}

TEST(half_close)
{
	struct pair p = connected();
	char b[64];
	CHECK_EQ(state_of(p.c), TCP_ESTABLISHED);
	CHECK_EQ(ready(p.c, 0), POLLOUT);
	CHECK(write(p.c, "one", 3) == 3 && write(p.c, "two", 3) == 3 && !shutdown(p.c, SHUT_WR));
	CHECK_ERRNO(send(p.c, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_EQ(ready_with(p.s, POLLIN | POLLRDHUP), POLLIN | POLLOUT | POLLRDHUP);
	CHECK(queued(p.s) == 6 && read(p.s, b, 4) == 4 && !memcmp(b, "onet", 4));
	CHECK(read(p.s, b, 4) == 2 && read(p.s, b, 4) == 0 && read(p.s, b, 4) == 0);
	CHECK(ready(p.s, 0) == (POLLIN | POLLOUT | POLLRDHUP) && state_of(p.s) == TCP_CLOSE_WAIT);
	for (int i = 0; i < 100 && state_of(p.c) != TCP_FIN_WAIT2; i++)
		msleep(5);
	CHECK_EQ(state_of(p.c), TCP_FIN_WAIT2);
	for (int i = 0; i < 100; i++)
		CHECK(write(p.s, "back", 4) == 4 && read(p.c, b, 64) == 4);
	CHECK_EQ(ready(p.c, 0), POLLOUT);
	CHECK(!shutdown(p.s, SHUT_WR));
	CHECK_EQ(ready_with(p.c, POLLHUP), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
	CHECK(read(p.c, b, 4) == 0);
	/* the other half: what comes is read still, then there is the end */
	p = connected();
	CHECK(!shutdown(p.s, SHUT_RD) && ready(p.s, 0) == (POLLIN | POLLOUT | POLLRDHUP) && read(p.s, b, 4) == 0);
	CHECK(write(p.c, "more", 4) == 4 && read(p.s, b, 64) == 4 && read(p.s, b, 64) == 0 && ready(p.c, 0) == POLLOUT);
	CHECK(write(p.s, "ok", 2) == 2 && read(p.c, b, 64) == 2);
	/* with something unread */
	p = connected();
	CHECK(write(p.c, "left", 4) == 4 && !shutdown(p.s, SHUT_RD) && read(p.s, b, 2) == 2 && queued(p.s) == 2);
	CHECK(write(p.c, "over", 4) == 4 && queued(p.s) == 6 && recv(p.s, b, 64, MSG_PEEK) == 6 && read(p.s, b, 64) == 6);
	CHECK(!memcmp(b, "ftover", 6) && read(p.s, b, 64) == 0);
}

TEST(close_and_reset)
{
	struct linger lg = { 1, 0 };
	char b[64];
	signal(SIGPIPE, SIG_IGN);
	/* closed with everything read: the end, and then a reset for what is sent */
	struct pair p = connected();
	CHECK(write(p.s, "bye", 3) == 3 && !close(p.s));
	CHECK(ready_with(p.c, POLLRDHUP) == (POLLIN | POLLOUT | POLLRDHUP) && read(p.c, b, 64) == 3 && read(p.c, b, 64) == 0);
	CHECK_EQ(write(p.c, "x", 1), 1);
	CHECK_EQ(ready_with(p.c, POLLERR), POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP);
	CHECK_ERRNO(write(p.c, "x", 1), EPIPE);
	CHECK_EQ(read(p.c, b, 64), 0);
	socklen_t n = sizeof p.a;
	CHECK_ERRNO(getpeername(p.c, (void *)&p.a, &n), ENOTCONN);
	/* closed with something unread: what was sent is there, then a reset */
	p = connected();
	CHECK(write(p.c, "never read", 10) == 10 && write(p.s, "bye", 3) == 3 && !close(p.s));
	CHECK(ready_with(p.c, POLLERR) == (POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP) && state_of(p.c) == TCP_CLOSE);
	CHECK_EQ(read(p.c, b, 64), 3);
	CHECK_ERRNO(read(p.c, b, 64), ECONNRESET);
	CHECK_EQ(read(p.c, b, 64), 0);
	CHECK_ERRNO(write(p.c, "x", 1), EPIPE);
	/* half of it read */
	p = connected();
	CHECK(write(p.c, "never read", 10) == 10 && read(p.s, b, 5) == 5 && !close(p.s));
	CHECK(ready_with(p.c, POLLERR) & POLLERR && error_of(p.c) == ECONNRESET && error_of(p.c) == 0 && read(p.c, b, 64) == 0);
	CHECK_ERRNO(write(p.c, "x", 1), EPIPE);
	/* the same after the end has been sent */
	p = connected();
	CHECK(write(p.c, "never read", 10) == 10 && !shutdown(p.s, SHUT_WR) && ready_with(p.c, POLLRDHUP) & POLLIN && !close(p.s));
	CHECK(ready_with(p.c, POLLERR) & POLLERR && read(p.c, b, 64) == 0 && error_of(p.c) == EPIPE);
	/* SO_LINGER 0 */
	p = connected();
	CHECK(!setsockopt(p.s, SOL_SOCKET, SO_LINGER, &lg, sizeof lg) && !close(p.s));
	CHECK(ready_with(p.c, POLLERR) & POLLERR);
	CHECK_ERRNO(write(p.c, "x", 1), ECONNRESET);
	CHECK_ERRNO(write(p.c, "x", 1), EPIPE);
	/* it is the last descriptor that counts */
	p = connected();
	int d = dup(p.s);
	CHECK(!close(p.s) && write(p.c, "still", 5) == 5 && read(d, b, 64) == 5 && write(d, "here", 4) == 4 && read(p.c, b, 64) == 4);
	CHECK(!close(d) && read(p.c, b, 64) == 0);
	/* a signal for who did not ask to be spared */
	p = connected();
	CHECK(!close(p.s) && write(p.c, "x", 1) == 1 && ready_with(p.c, POLLERR) & POLLERR);
	int st = CHILD_STATUS(signal(SIGPIPE, SIG_DFL); write(p.c, "x", 1));
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGPIPE);
	/* not accepted, and the listener goes */
	int l = listener(&p.a), c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(c, (void *)&p.a, sizeof p.a) && write(c, "x", 1) == 1 && !close(l));
	CHECK(ready_with(c, POLLERR) & POLLERR);
	CHECK_ERRNO(read(c, b, 1), ECONNRESET);
	/* the connection given up: a reset, and the socket serves for another */
	p = connected();
	struct sockaddr un = { .sa_family = AF_UNSPEC };
	CHECK(write(p.s, "unread", 6) == 6 && write(p.c, "data", 4) == 4 && !connect(p.c, &un, sizeof un));
	CHECK(read(p.s, b, 64) == 4);
	CHECK_ERRNO(read(p.s, b, 64), ECONNRESET);
	CHECK(!connect(p.c, (void *)&p.a, sizeof p.a));
	close(p.s);
	CHECK((p.s = accept(p.l, NULL, NULL)) >= 0 && write(p.c, "again", 5) == 5 && read(p.s, b, 64) == 5 && write(p.s, "and back", 8) == 8);
	CHECK(read(p.c, b, 64) == 8);
}

TEST(a_sleeper_hears_of_the_end)
{
	char b[8];
	for (int how = 0; how < 4; how++) {
		struct pair p = connected();
		pid_t k = fork();
		if (!k) {
			close(p.c);
			msleep(50);
			if (how == 0)
				CHECK(!shutdown(p.s, SHUT_WR));
			else if (how == 1)
				CHECK(!shutdown(p.s, SHUT_RDWR));
			else if (how == 2)
				CHECK(write(p.s, "x", 1) == 1);
			_exit(0); /* the parent closed its s */
		}
		close(p.s);
		ssize_t r = recv(p.c, b, 8, MSG_WAITALL);
		CHECK_EQ(r, how == 2);
		int st;
		CHECK(waitpid(k, &st, 0) == k && !st);
		close(p.c);
	}
	/* own shutdown, by another */
	struct pair p = connected();
	pid_t k = fork();
	if (!k) {
		msleep(50);
		CHECK(!shutdown(p.c, SHUT_RD));
		_exit(0);
	}
	CHECK_EQ(read(p.c, b, 8), 0);
	wait(NULL);
	/* a sender that waits for room */
	p = connected();
	k = fork();
	if (!k) {
		close(p.c);
		msleep(100);
		read(p.s, b, 8);
		_exit(0);
	}
	close(p.s);
	signal(SIGPIPE, SIG_IGN);
	ssize_t r, sum = 0;
	while ((r = write(p.c, big, sizeof big)) > 0)
		sum += r;
	CHECK(r == -1 && (errno == ECONNRESET || errno == EPIPE) && sum > 0);
	wait(NULL);
}

TEST(flags)
{
	struct pair p = connected();
	char b[64] = "";
	CHECK_ERRNO(recv(p.s, b, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_ERRNO(recv(p.s, b, 0, MSG_DONTWAIT), EAGAIN);
	CHECK(send(p.c, "", 0, 0) == 0 && send(p.c, "abcdef", 6, MSG_MORE) == 6 && send(p.c, "ghi", 3, MSG_EOR) == 3);
	CHECK(recv(p.s, b, 4, MSG_PEEK) == 4 && recv(p.s, b, 64, MSG_PEEK) == 9 && !memcmp(b, "abcdefghi", 9) && recv(p.s, b, 0, 0) == 0);
	CHECK(recv(p.s, NULL, 2, MSG_TRUNC) == 2 && recv(p.s, b, 3, 0) == 3 && !memcmp(b, "cde", 3) && queued(p.s) == 4);
	CHECK_EQ(recv(p.s, b, 64, MSG_TRUNC | MSG_DONTWAIT), 4);
	CHECK_ERRNO(recv(p.s, b, 1, MSG_OOB), EINVAL);
	CHECK_ERRNO(recv(p.s, b, 1, MSG_ERRQUEUE), EAGAIN);
	/* all of it, in pieces, by a vector */
	pid_t k = fork();
	if (!k) {
		for (int i = 0; i < 10; i++) {
			CHECK(write(p.c, "0123456789" + i % 3, 5) == 5);
			msleep(3);
		}
		_exit(0);
	}
	char x[10], y[40];
	struct iovec v[2] = { { x, 10 }, { y, 40 } };
	struct msghdr m = { .msg_iov = v, .msg_iovlen = 2, .msg_name = b, .msg_namelen = sizeof b };
	CHECK(recvmsg(p.s, &m, MSG_WAITALL) == 50 && m.msg_flags == 0 && m.msg_namelen == 0 && !memcmp(y + 35, "01234", 5));
	wait(NULL);
	v[0] = (struct iovec){ "vec", 3 };
	v[1] = (struct iovec){ "tor", 3 };
	CHECK(writev(p.c, v, 2) == 6);
	v[0] = (struct iovec){ x, 2 };
	v[1] = (struct iovec){ y, 40 };
	CHECK(readv(p.s, v, 2) == 6 && x[1] == 'e' && !memcmp(y, "ctor", 4));
	/* bad memory */
	CHECK_ERRNO(write(p.c, (void *)8, 4), EFAULT);
	CHECK(write(p.c, "data", 4) == 4);
	CHECK_ERRNO(read(p.s, (void *)8, 4), EFAULT);
	CHECK(read(p.s, b, 64) == 4 && !memcmp(b, "data", 4)); /* nothing was lost by that */
	/* time limits */
	p = connected();
	struct timeval tv = { 0, 50000 };
	CHECK(!setsockopt(p.s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv) && !setsockopt(p.c, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof tv));
	double t = now_s();
	CHECK_ERRNO(read(p.s, b, 1), EAGAIN);
	CHECK(now_s() - t > .045 && write(p.c, "ab", 2) == 2 && recv(p.s, b, 5, MSG_WAITALL) == 2);
	ssize_t r;
	do {
		t = now_s();
		r = write(p.c, big, sizeof big);
	} while (r > 0);
	CHECK(r == -1 && errno == EAGAIN && now_s() - t > .045);
}

TEST(counted)
{
	struct pair p = connected();
	struct { uint8_t b[8]; uint32_t w[24]; uint64_t rate[2], acked, received; } i = { 0 };
	socklen_t n = sizeof i;
	char b[64];
	CHECK(write(p.c, "12345", 5) == 5 && write(p.s, "123", 3) == 3 && read(p.s, b, 64) == 5 && read(p.c, b, 64) == 3);
	CHECK(!getsockopt(p.c, IPPROTO_TCP, TCP_INFO, &i, &n) && n == sizeof i);
	CHECK(i.b[0] == TCP_ESTABLISHED && i.received == 3 && i.acked >= 5 && i.acked <= 6);
}

TEST(low_water)
{
	struct pair p = connected();
	char b[64];
	int v = 8;
	CHECK(!setsockopt(p.s, SOL_SOCKET, SO_RCVLOWAT, &v, sizeof v));
	int ep = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN };
	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, p.s, &e));
	CHECK(write(p.c, "1234567", 7) == 7 && ready(p.s, 20) == POLLOUT && epoll_wait(ep, &e, 1, 20) == 0);
	CHECK_EQ(recv(p.s, b, 64, MSG_PEEK | MSG_DONTWAIT), 7);
	CHECK(write(p.c, "8", 1) == 1 && ready(p.s, 0) == (POLLIN | POLLOUT) && epoll_wait(ep, &e, 1, 1000) == 1 && read(p.s, b, 64) == 8);
	CHECK(write(p.c, "123", 3) == 3 && recv(p.s, b, 64, MSG_DONTWAIT) == 3);
	CHECK(write(p.c, "123", 3) == 3 && read(p.s, b, 2) == 2 && read(p.s, b, 1) == 1);
	pid_t k = fork();
	if (!k) {
		for (int i = 0; i < 4; i++) {
			msleep(10);
			CHECK(write(p.c, "123", 3) == 3);
		}
		_exit(0);
	}
	CHECK(recv(p.s, b, 64, MSG_PEEK) == 9 && read(p.s, b, 64) == 9);
	wait(NULL);
	CHECK(!shutdown(p.c, SHUT_WR) && read(p.s, b, 64) == 3 && read(p.s, b, 64) == 0);
}

TEST(urgent)
{
	struct pair p = connected();
	char b[64];
	int at = -1;
	CHECK(write(p.c, "ab", 2) == 2 && send(p.c, "cX", 2, MSG_OOB) == 2 && write(p.c, "de", 2) == 2);
	CHECK_EQ(ready_with(p.s, POLLPRI), POLLIN | POLLOUT | POLLPRI);
	CHECK(!ioctl(p.s, SIOCATMARK, &at) && at == 0);
	CHECK(recv(p.s, b, 64, 0) >= 2 && !memcmp(b, "ab", 2));
	if (!ioctl(p.s, SIOCATMARK, &at) && !at)
		CHECK(recv(p.s, b, 64, 0) == 1 && b[0] == 'c');
	CHECK(!ioctl(p.s, SIOCATMARK, &at) && at == 1);
	CHECK(recv(p.s, b, 64, MSG_OOB) == 1 && b[0] == 'X');
	CHECK_ERRNO(recv(p.s, b, 64, MSG_OOB), EINVAL);
	CHECK(recv(p.s, b, 64, 0) == 2 && !memcmp(b, "de", 2));
	CHECK(write(p.s, "fine", 4) == 4 && read(p.c, b, 64) == 4);
	/* before it was accepted */
	int c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(c, (void *)&p.a, sizeof p.a) && write(c, "ab", 2) == 2 && send(c, "X", 1, MSG_OOB) == 1);
	int s = accept(p.l, NULL, NULL);
	CHECK(s >= 0 && recv(s, b, 64, MSG_OOB) == 1 && b[0] == 'X' && read(s, b, 64) == 2);
}

TEST(backpressure)
{
	struct pair p = connected();
	ssize_t r;
	size_t sent = 0, got = 0;
	nonblocking(p.c);
	nonblocking(p.s);
	int ep = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLOUT | EPOLLET };
	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, p.c, &e) && epoll_wait(ep, &e, 1, 0) == 1 && epoll_wait(ep, &e, 1, 0) == 0);
	while ((r = write(p.c, big, 30000)) > 0)
		sent += r;
	CHECK(r == -1 && errno == EAGAIN && sent > 65536 && sent < 64 << 20);
	CHECK(!(ready(p.c, 0) & POLLOUT) && epoll_wait(ep, &e, 1, 20) == 0 && queued(p.s) > 0);
	int out = -1;
	CHECK(!ioctl(p.c, TIOCOUTQ, &out) && out > 0);
	for (int i = 0; i < 500 && got < sent; i++) {
		while ((r = read(p.s, big, sizeof big)) > 0)
			got += r;
		CHECK(r == -1 && errno == EAGAIN);
		msleep(got < sent);
	}
	CHECK(got == sent && ready_with(p.c, POLLOUT) == POLLOUT && epoll_wait(ep, &e, 1, 1000) == 1 && e.events == EPOLLOUT);
	for (int i = 0; i < 100 && !ioctl(p.c, TIOCOUTQ, &out) && out; i++)
		msleep(5);
	CHECK_EQ(out, 0);
	/* small buffers bound it */
	p = connected();
	int v = 8192;
	CHECK(!setsockopt(p.c, SOL_SOCKET, SO_SNDBUF, &v, sizeof v) && !setsockopt(p.s, SOL_SOCKET, SO_RCVBUF, &v, sizeof v));
	nonblocking(p.c);
	for (sent = 0; (r = write(p.c, big, 1000)) > 0;)
		sent += r;
	CHECK(errno == EAGAIN && sent > 4000 && sent < 300000);
	while (sent > 0 && (r = read(p.s, big, sizeof big)) > 0)
		sent -= r;
	CHECK(sent == 0 && ready_with(p.c, POLLOUT) == POLLOUT);
}

struct stream { int in, out; unsigned seed; size_t n; bool bad; };
static void *sends(void *arg)
{
	struct stream *s = arg;
	char *b = malloc(100000);
	for (size_t at = 0, k; at < s->n; at += k) {
		k = 1 + (at * 31 + s->seed) % 99999;
		if (k > s->n - at)
			k = s->n - at;
		for (size_t i = 0; i < k; i++)
			b[i] = ((at + i) * 2654435761u + s->seed) >> 13;
		if (send(s->out, b, k, 0) != (ssize_t)k)
			s->bad = true;
	}
	return NULL;
}
static void *receives(void *arg)
{
	struct stream *s = arg;
	char *b = malloc(100000);
	ssize_t r;
	for (size_t at = 0; at < s->n && !s->bad; at += r) {
		r = recv(s->in, b, 1 + (at * 17 + s->seed) % 99999, 0);
		if (r <= 0)
			s->bad = true;
		for (ssize_t i = 0; i < r; i++)
			if (b[i] != (char)(((at + i) * 2654435761u + s->seed) >> 13))
				s->bad = true;
	}
	return NULL;
}

TEST(both_ways_at_once)
{
	struct pair p = connected();
	struct stream up = { p.s, p.c, 1, 20 << 20, false }, down = { p.c, p.s, 2, 20 << 20, false };
	pthread_t t[4];
	CHECK(!pthread_create(&t[0], NULL, sends, &up) && !pthread_create(&t[1], NULL, receives, &up));
	CHECK(!pthread_create(&t[2], NULL, sends, &down) && !pthread_create(&t[3], NULL, receives, &down));
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	CHECK(!up.bad && !down.bad && queued(p.c) == 0 && queued(p.s) == 0);
}

TEST(edges)
{
	struct pair p = connected();
	char b[8];
	int ep = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET | EPOLLRDHUP };
	CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, p.s, &e) && epoll_wait(ep, &e, 1, 0) == 1 && e.events == EPOLLOUT);
	for (int i = 0; i < 20; i++) {
		CHECK(epoll_wait(ep, &e, 1, 0) == 0 && write(p.c, "abc", 3) == 3);
		CHECK(epoll_wait(ep, &e, 1, 1000) == 1 && e.events == (EPOLLIN | EPOLLOUT));
		CHECK(epoll_wait(ep, &e, 1, 0) == 0 && write(p.c, "abc", 3) == 3); /* news, though nothing was read */
		CHECK(epoll_wait(ep, &e, 1, 1000) == 1 && epoll_wait(ep, &e, 1, 0) == 0);
		CHECK(read(p.s, b, 4) == 4 && epoll_wait(ep, &e, 1, 0) == 0 && read(p.s, b, 4) == 2);
	}
	CHECK(!shutdown(p.c, SHUT_WR) && epoll_wait(ep, &e, 1, 1000) == 1 && e.events == (EPOLLIN | EPOLLOUT | EPOLLRDHUP));
	CHECK(epoll_wait(ep, &e, 1, 0) == 0 && !close(p.c));
}

TEST(shared_and_passed)
{
	struct pair p = connected();
	char b[64];
	pid_t k = fork();
	if (!k) {
		for (int i = 0; i < 200; i++)
			CHECK(read(p.s, b, 64) == 4 && write(p.s, "pong!", 5) == 5);
		_exit(0);
	}
	for (int i = 0; i < 200; i++)
		CHECK(write(p.c, "ping", 4) == 4 && read(p.c, b, 64) == 5);
	wait(NULL);
	/* by a message, with data in it */
	int u[2], fd, one = 1;
	CHECK(!setsockopt(p.c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, u) && write(p.c, "queued", 6) == 6);
	char c[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec io = { &byte, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
	*CMSG_FIRSTHDR(&m) = (struct cmsghdr){ .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int)) };
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &p.s, sizeof fd);
	CHECK(sendmsg(u[0], &m, 0) == 1 && !close(p.s) && write(p.c, " more", 5) == 5);
	CHECK(recvmsg(u[1], &m, 0) == 1);
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
	CHECK_EQ(recv(fd, b, 11, MSG_WAITALL), 11);
	CHECK(!memcmp(b, "queued more", 11) && write(fd, "ok", 2) == 2 && read(p.c, b, 64) == 2);
}

TEST(other_families)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6 }, n6;
	struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000203) };
	socklen_t n = sizeof a6;
	char b[64];
	int l = socket(AF_INET6, SOCK_STREAM, 0), off = 0;
	if (l < 0)
		SKIP("no IPv6");
	CHECK(!setsockopt(l, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) && !bind(l, (void *)&a6, n) && !listen(l, 5) && !getsockname(l, (void *)&a6, &n));
	a4.sin_port = a6.sin6_port;
	for (int how = 0; how < 3; how++) {
		int c = socket(how == 0 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
		if (how == 0) {
			CHECK(!connect(c, (void *)&a4, sizeof a4));
		} else {
			a6.sin6_addr = (struct in6_addr)IN6ADDR_LOOPBACK_INIT;
			if (how == 2) {
				memset(&a6.sin6_addr, 0, 16);
				a6.sin6_addr.s6_addr[10] = a6.sin6_addr.s6_addr[11] = 0xff;
				a6.sin6_addr.s6_addr[12] = 127, a6.sin6_addr.s6_addr[15] = 9;
			}
			CHECK(!connect(c, (void *)&a6, sizeof a6));
		}
		n = sizeof n6;
		int s = accept(l, (void *)&n6, &n);
		CHECK(s >= 0 && n == sizeof n6 && n6.sin6_family == AF_INET6);
		struct sockaddr_in6 mine = { 0 };
		n = sizeof mine;
		CHECK(!getsockname(c, (void *)&mine, &n));
		CHECK_EQ(((struct sockaddr_in *)&mine)->sin_port, n6.sin6_port);
		for (int i = 0; i < 10; i++)
			CHECK(write(c, "request", 7) == 7 && read(s, b, 64) == 7 && write(s, "reply", 5) == 5 && read(c, b, 64) == 5);
		close(c);
		CHECK(read(s, b, 64) == 0);
		close(s);
	}
	/* to itself */
	int c = socket(AF_INET, SOCK_STREAM, 0);
	a4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a4.sin_port = 0;
	n = sizeof a4;
	CHECK(!bind(c, (void *)&a4, n) && !getsockname(c, (void *)&a4, &n) && !connect(c, (void *)&a4, n));
	CHECK(write(c, "echo", 4) == 4 && read(c, b, 64) == 4 && !shutdown(c, SHUT_WR) && read(c, b, 64) == 0);
}

TEST(nonblocking_connect)
{
	struct sockaddr_in a;
	int l = listener(&a);
	char b[64];
	for (int i = 0; i < 10; i++) {
		int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), ep = epoll_create1(0);
		struct epoll_event e = { .events = EPOLLIN | EPOLLOUT | EPOLLET };
		CHECK(!epoll_ctl(ep, EPOLL_CTL_ADD, c, &e));
		CHECK_ERRNO(connect(c, (void *)&a, sizeof a), EINPROGRESS);
		int s = -1;
		if (i & 1)
			CHECK((s = accept(l, NULL, NULL)) >= 0);
		do
			CHECK(epoll_wait(ep, &e, 1, 1000) == 1);
		while (!(e.events & EPOLLOUT) || e.events & EPOLLHUP);
		CHECK(e.events == EPOLLOUT && error_of(c) == 0);
		if (i & 2) {
			CHECK_EQ(connect(c, (void *)&a, sizeof a), 0);
			CHECK_ERRNO(connect(c, (void *)&a, sizeof a), EISCONN);
		}
		CHECK_ERRNO(read(c, b, 64), EAGAIN);
		if (s < 0)
			CHECK((s = accept(l, NULL, NULL)) >= 0);
		CHECK(write(s, "news", 4) == 4 && epoll_wait(ep, &e, 1, 1000) == 1 && e.events & EPOLLIN && read(c, b, 64) == 4);
		CHECK_ERRNO(read(c, b, 64), EAGAIN);
		close(c), close(s), close(ep);
	}
	/* many wait for accept(), and some are gone by then; who comes is who connected */
	int c[8];
	for (int i = 0; i < 8; i++) {
		c[i] = socket(AF_INET, SOCK_STREAM, 0);
		CHECK(!connect(c[i], (void *)&a, sizeof a) && write(c[i], &i, 4) == 4);
	}
	close(c[2]), close(c[5]);
	for (int i = 0; i < 8; i++) {
		struct sockaddr_in from, name;
		socklen_t n = sizeof from;
		int s = accept(l, (void *)&from, &n), who = -1;
		CHECK(s >= 0 && read(s, &who, 4) == 4 && who == i);
		if (i != 2 && i != 5) {
			CHECK(!getsockname(c[i], (void *)&name, &n) && name.sin_port == from.sin_port);
			CHECK(write(c[i], "to", 2) == 2 && read(s, b, 64) == 2 && write(s, "fro", 3) == 3 && read(c[i], b, 64) == 3);
		} else {
			CHECK_EQ(read(s, b, 64), 0);
		}
		close(s);
	}
}

TEST(options_and_pipes)
{
	struct pair p = connected();
	char b[4096];
	int one = 1, fd[2];
	for (int i = 0; i < 2; i++) {
		int s = i ? p.s : p.c;
		CHECK(!setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) && !setsockopt(s, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one));
		CHECK(!setsockopt(s, IPPROTO_TCP, TCP_CORK, &one, sizeof one) && !setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one));
	}
	int zero = 0;
	CHECK(write(p.c, "corked", 6) == 6 && queued(p.s) == 0 && ready(p.s, 50) == POLLOUT);
	CHECK(!setsockopt(p.c, IPPROTO_TCP, TCP_CORK, &zero, sizeof zero) && ready_with(p.s, POLLIN) & POLLIN && read(p.s, b, 64) == 6);
	CHECK(send(p.c, "more", 4, MSG_MORE) == 4 && ready(p.s, 50) == POLLOUT);
	CHECK_ERRNO(recv(p.s, b, 64, MSG_DONTWAIT), EAGAIN);
	CHECK(write(p.c, "over", 4) == 4 && recv(p.s, b, 8, MSG_WAITALL) == 8);
	CHECK(send(p.c, "more", 4, MSG_MORE) == 4 && ready(p.s, 0) == POLLOUT && read(p.s, b, 64) == 4); /* it takes a while */
	CHECK(send(p.c, big, 100000, MSG_MORE) == 100000 && ready_with(p.s, POLLIN) & POLLIN);
	CHECK(!shutdown(p.c, SHUT_WR) && read_all(p.s, big, sizeof big) == 100000);
	close(p.c);
	close(p.s);
	p = connected();
	/* what makes time stamps: nothing is lost or out of order */
	CHECK(write(p.c, "abc", 3) == 3 && !setsockopt(p.s, SOL_SOCKET, SO_TIMESTAMP, &one, sizeof one) && write(p.c, "def", 3) == 3);
	CHECK(queued(p.s) == 6 && recv(p.s, b, 5, MSG_PEEK) == 5 && !memcmp(b, "abcde", 5));
	CHECK(read(p.s, b, 2) == 2 && read(p.s, b + 2, 64) == 4 && !memcmp(b, "abcdef", 6));
	CHECK(write(p.s, "back", 4) == 4 && read(p.c, b, 64) == 4);
	p = connected();
	CHECK(!pipe(fd) && write(fd[1], "through", 7) == 7);
	CHECK(splice(fd[0], NULL, p.c, NULL, 64, 0) == 7 && splice(p.s, NULL, fd[1], NULL, 64, 0) == 7 && read(fd[0], b, 64) == 7);
	CHECK(!memcmp(b, "through", 7));
	int f = open("file", O_RDWR | O_CREAT, 0600);
	fill(big, 300000, 5);
	CHECK(f >= 0 && write(f, big, 300000) == 300000);
	off_t at = 0;
	CHECK(sendfile(p.c, f, &at, 300000) == 300000 && at == 300000);
	static char in[300000];
	CHECK(recv(p.s, in, 300000, MSG_WAITALL) == 300000 && !memcmp(in, big, 300000));
	nonblocking(p.s);
	CHECK_ERRNO(splice(p.s, NULL, fd[1], NULL, 64, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK(!close(p.c) && splice(p.s, NULL, fd[1], NULL, 64, 0) == 0);
}

static volatile sig_atomic_t got_io;
static void on_io(int sig) { got_io++; }
TEST(signal_driven)
{
	struct pair p = connected();
	signal(SIGIO, on_io);
	CHECK(!fcntl(p.s, F_SETOWN, getpid()) && !fcntl(p.s, F_SETFL, O_ASYNC | O_NONBLOCK));
	got_io = 0;
	CHECK(write(p.c, "x", 1) == 1);
	for (int i = 0; i < 200 && !got_io; i++)
		msleep(5);
	CHECK(got_io);
	got_io = 0;
	CHECK(!close(p.c));
	for (int i = 0; i < 200 && !got_io; i++)
		msleep(5);
	CHECK(got_io);
}
