/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <stddef.h>

TEST(socketpair_stream)
{
	int s[2];
	char b[100];
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK(write(s[0], "one", 3) == 3 && write(s[0], "two", 3) == 3 && read(s[1], b, 100) == 6);
	CHECK(send(s[0], "peek", 4, 0) == 4 && recv(s[1], b, 100, MSG_PEEK) == 4 && recv(s[1], b, 100, 0) == 4);
	CHECK_ERRNO(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN);
	CHECK(!shutdown(s[0], SHUT_WR) && read(s[1], b, 1) == 0);
	CHECK(write(s[1], "x", 1) == 1 && read(s[0], b, 1) == 1);
	close(s[1]);
	CHECK_ERRNO(send(s[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK_ERRNO(socketpair(AF_INET, SOCK_STREAM, 0, s), EOPNOTSUPP);
	CHECK_ERRNO(socket(999, SOCK_STREAM, 0), EAFNOSUPPORT);
}

TEST(unix_named)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "sock" }, b;
	socklen_t n = sizeof b;
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(connect(c, (void *)&a, sizeof a), ENOENT);
	CHECK(!bind(l, (void *)&a, sizeof a));
	CHECK_ERRNO(connect(c, (void *)&a, sizeof a), ECONNREFUSED);
	CHECK(!listen(l, 5) && !connect(c, (void *)&a, sizeof a));
	int s = accept(l, (void *)&b, &n);
	CHECK(s >= 0 && n == sizeof(sa_family_t));
	struct ucred uc;
	n = sizeof uc;
	CHECK(!getsockopt(s, SOL_SOCKET, SO_PEERCRED, &uc, &n) && uc.pid == getpid() && uc.uid == getuid());
	char x[8];
	CHECK(write(c, "hey", 3) == 3 && read(s, x, 8) == 3);
	n = sizeof b;
	CHECK(!getpeername(c, (void *)&b, &n) && !strcmp(b.sun_path, "sock"));
	int d = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(bind(d, (void *)&a, sizeof a), EADDRINUSE);
	memcpy(a.sun_path, "\0abstract-name", 14);
	socklen_t al = offsetof(struct sockaddr_un, sun_path) + 14;
	CHECK(!bind(d, (void *)&a, al) && !listen(d, 1));
	int e = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!connect(e, (void *)&a, al));
}

TEST(unix_datagram)
{
	int s[2];
	char b[16];
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	CHECK(send(s[0], "first", 5, 0) == 5 && send(s[0], "", 0, 0) == 0 && send(s[0], "third!", 6, 0) == 6);
	CHECK(recv(s[1], b, 16, 0) == 5 && recv(s[1], b, 16, 0) == 0);
	CHECK_EQ(recv(s[1], b, 2, MSG_TRUNC), 6);
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	CHECK(send(s[0], "ab", 2, 0) == 2 && send(s[0], "cd", 2, 0) == 2 && recv(s[1], b, 16, 0) == 2);
}

TEST(pass_descriptors)
{
	int s[2], p[2];
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s) && !pipe(p));
	char c[CMSG_SPACE(sizeof(int))] = { 0 }, byte = 'x';
	struct iovec io = { &byte, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c };
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(h), &p[1], sizeof(int));
	int st = CHILD_STATUS(CHECK_EQ(sendmsg(s[0], &m, 0), 1));
	CHECK_EQ(st, 0);
	memset(c, 0, sizeof c);
	m.msg_controllen = sizeof c;
	CHECK_EQ(recvmsg(s[1], &m, 0), 1);
	int fd;
	h = CMSG_FIRSTHDR(&m);
	CHECK(h && h->cmsg_type == SCM_RIGHTS);
	memcpy(&fd, CMSG_DATA(h), sizeof fd);
	CHECK(fd != p[1] && write(fd, "ok", 2) == 2);
	char b[4];
	CHECK(read(p[0], b, 4) == 2);
}

static int tcp_listener(struct sockaddr_in *a)
{
	socklen_t n = sizeof *a;
	int l = socket(AF_INET, SOCK_STREAM, 0);
	*a = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	CHECK(!bind(l, (void *)a, n) && !listen(l, 10) && !getsockname(l, (void *)a, &n) && a->sin_port);
	return l;
}
TEST(tcp)
{
	struct sockaddr_in a, peer;
	int l = tcp_listener(&a);
	pid_t p = fork();
	if (!p) {
		int c = socket(AF_INET, SOCK_STREAM, 0), one = 1;
		CHECK(!connect(c, (void *)&a, sizeof a));
		CHECK(!setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
		char *b = malloc(300000);
		memset(b, 'z', 300000);
		CHECK_EQ(send(c, b, 300000, 0), 300000);
		shutdown(c, SHUT_WR);
		CHECK(read(c, b, 10) == 4 && !memcmp(b, "done", 4));
		_exit(0);
	}
	socklen_t n = sizeof peer;
	int s = accept(l, (void *)&peer, &n);
	CHECK(s >= 0 && peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	char b[5000];
	long total = 0, r;
	while ((r = recv(s, b, sizeof b, 0)) > 0)
		total += r;
	CHECK_EQ(total, 300000);
	CHECK(write(s, "done", 4) == 4);
	int st;
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	a.sin_port = htons(1);
	int c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK_ERRNO(connect(c, (void *)&a, sizeof a), ECONNREFUSED);
	CHECK_ERRNO(send(socket(AF_INET, SOCK_STREAM, 0), "x", 1, MSG_NOSIGNAL), EPIPE);
}

TEST(tcp_nonblocking)
{
	struct sockaddr_in a;
	int l = tcp_listener(&a);
	fcntl(l, F_SETFL, O_NONBLOCK);
	CHECK_ERRNO(accept(l, NULL, NULL), EAGAIN);
	int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	int r = connect(c, (void *)&a, sizeof a);
	CHECK(r == 0 || errno == EINPROGRESS);
	struct pollfd f[2] = { { l, POLLIN, 0 }, { c, POLLOUT, 0 } };
	CHECK(poll(f, 1, 2000) == 1 && poll(f + 1, 1, 2000) == 1);
	int err = 1;
	socklen_t n = sizeof err;
	CHECK(!getsockopt(c, SOL_SOCKET, SO_ERROR, &err, &n) && err == 0);
	int s = accept(l, NULL, NULL);
	struct timeval tv = { 0, 50000 };
	CHECK(!setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
	char x;
	CHECK_ERRNO(recv(s, &x, 1, 0), EAGAIN);
}

TEST(udp)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) }, from;
	socklen_t n = sizeof a;
	int u = socket(AF_INET, SOCK_DGRAM, 0), v = socket(AF_INET, SOCK_DGRAM, 0);
	CHECK(!bind(u, (void *)&a, n) && !getsockname(u, (void *)&a, &n));
	CHECK(sendto(v, "data", 4, 0, (void *)&a, sizeof a) == 4);
	char b[16];
	CHECK(recvfrom(u, b, 16, 0, (void *)&from, &n) == 4 && from.sin_port);
	CHECK(sendto(u, "re", 2, 0, (void *)&from, n) == 2 && recv(v, b, 16, 0) == 2);
	int s6 = socket(AF_INET6, SOCK_STREAM, 0);
	CHECK(s6 >= 0 || errno == EAFNOSUPPORT);
}

/* ---- descriptors in messages ---- */

static int send_fds(int s, const int *fds, int n)
{
	union { char b[CMSG_SPACE(sizeof(int) * 253)]; struct cmsghdr h; } c = { 0 };
	struct iovec io = { "x", 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = CMSG_SPACE(sizeof(int) * n) };
	c.h.cmsg_level = SOL_SOCKET;
	c.h.cmsg_type = SCM_RIGHTS;
	c.h.cmsg_len = CMSG_LEN(sizeof(int) * n);
	memcpy(CMSG_DATA(&c.h), fds, sizeof(int) * n);
	return sendmsg(s, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
}
static int recv_fd(int s, int flags, int *out_flags)
{
	union { char b[CMSG_SPACE(sizeof(int) * 4)]; struct cmsghdr h; } c = { 0 };
	char x;
	struct iovec io = { &x, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c };
	int fd = -1;
	if (recvmsg(s, &m, flags) < 0)
		return -1;
	if (out_flags)
		*out_flags = m.msg_flags;
	if (m.msg_controllen && c.h.cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(&c.h), sizeof fd);
	return fd;
}

/* Sockets sent to each other and closed are garbage; the pipe that travels with them tells when they are gone. */
TEST(rights_cycle)
{
	int p[2], s[2], q[2];
	CHECK(!pipe(p));
	for (int round = 0; round < 50; round++) {
		CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
		CHECK_EQ(send_fds(s[0], (int[]){ s[0], p[1] }, 2), 1); /* in s[1]'s queue */
		CHECK_EQ(send_fds(s[1], (int[]){ s[1] }, 1), 1);
		close(s[0]);
		close(s[1]);
	}
	close(p[1]);
	for (int i = 0; i < 20; i++) { /* the collector runs as sockets are closed */
		CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, q));
		close(q[0]);
		close(q[1]);
		struct pollfd f = { p[0], POLLIN, 0 };
		if (poll(&f, 1, 50) == 1 && f.revents & POLLHUP)
			return;
	}
	CHECK(!"the pipe's other end is closed");
}

/* What somebody can still receive stays. */
TEST(rights_reachable)
{
	int a[2], b[2], q[2];
	char c;
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, a) && !socketpair(AF_UNIX, SOCK_STREAM, 0, b));
	CHECK_EQ(send_fds(b[0], (int[]){ a[1] }, 1), 1); /* a[1] in b[1]'s queue */
	CHECK_EQ(send_fds(a[0], (int[]){ b[1] }, 1), 1); /* b[1] in a[1]'s queue: a cycle, but b[1] is held below */
	int keep = dup(b[1]);
	close(a[1]);
	close(b[1]);
	for (int i = 0; i < 10; i++) {
		CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, q));
		close(q[0]);
		close(q[1]);
	}
	int x = recv_fd(keep, 0, NULL);
	CHECK(x >= 0);
	int y = recv_fd(x, 0, NULL);
	CHECK(y >= 0 && write(b[0], "z", 1) == 1 && read(y, &c, 1) == 1 && c == 'z');
}

TEST(rights_listener_and_depth)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "l" };
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), p[2], prev[2], s[2];
	CHECK(!pipe(p) && !bind(l, (void *)&a, sizeof a) && !listen(l, 1) && !connect(c, (void *)&a, sizeof a));
	CHECK_EQ(send_fds(c, (int[]){ l, c, p[1] }, 3), 1); /* the listener in the queue of its own embryo */
	close(l);
	close(c);
	/* a chain: each socket in the queue of the next */
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, prev));
	for (int i = 0; i < 500; i++) {
		CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
		CHECK_EQ(send_fds(s[0], (int[]){ prev[1], p[1] }, 2), 1);
		close(prev[0]);
		close(prev[1]);
		prev[0] = s[0];
		prev[1] = s[1];
	}
	close(p[1]);
	close(prev[0]);
	close(prev[1]);
	for (int i = 0; i < 200; i++) {
		CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
		close(s[0]);
		close(s[1]);
	}
	struct pollfd f = { p[0], POLLIN, 0 };
	CHECK(poll(&f, 1, 2000) == 1 && f.revents & POLLHUP);
}

TEST(rights_peek_and_truncation)
{
	int s[2], fl, p[2];
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s) && !pipe(p));
	CHECK_EQ(send_fds(s[0], p, 2), 1);
	int a = recv_fd(s[1], MSG_PEEK, &fl), b = recv_fd(s[1], MSG_CMSG_CLOEXEC, &fl);
	CHECK(a >= 0 && b >= 0 && a != b && fcntl(b, F_GETFD) == FD_CLOEXEC);
	CHECK_EQ(send_fds(s[0], p, 2), 1);
	char x;
	struct iovec io = { &x, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	CHECK(recvmsg(s[1], &m, 0) == 1 && m.msg_flags & MSG_CTRUNC);
	CHECK_ERRNO(send_fds(s[0], (int[]){ 999 }, 1), EBADF);
	/* a message with files ends a read, and is not glued to the next */
	char buf[16];
	CHECK(write(s[0], "ab", 2) == 2 && send_fds(s[0], p, 1) == 1 && write(s[0], "cd", 2) == 2);
	CHECK_EQ(read(s[1], buf, 16), 3);
	CHECK_EQ(read(s[1], buf, 16), 2);
}

/* ---- stream, packet and datagram details ---- */

TEST(unix_flow)
{
	int s[2], fl = 1;
	char buf[4096] = { 0 };
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s));
	long total = 0, r;
	while ((r = write(s[0], buf, sizeof buf)) > 0)
		total += r;
	CHECK(errno == EAGAIN && total >= 100000);
	struct pollfd f = { s[0], POLLOUT, 0 };
	CHECK_EQ(poll(&f, 1, 0), 0);
	long back = 0;
	while ((r = read(s[1], buf, sizeof buf)) > 0)
		back += r;
	CHECK_EQ(back, total);
	CHECK(poll(&f, 1, 1000) == 1 && f.revents == POLLOUT);
	/* tiny messages are bounded as well */
	for (fl = 0; write(s[0], "x", 1) == 1; fl++)
		;
	CHECK(fl < 100000);
	CHECK(ioctl(s[1], FIONREAD, &r) == 0 && (int)r == fl);
}

TEST(unix_stream_details)
{
	int s[2];
	char b[32];
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	CHECK(write(s[0], "abc", 3) == 3 && write(s[0], "def", 3) == 3);
	CHECK(recv(s[1], b, 5, MSG_PEEK) == 5 && !memcmp(b, "abcde", 5));
	CHECK(recv(s[1], b, 2, 0) == 2 && recv(s[1], b, 32, 0) == 4 && !memcmp(b, "cdef", 4));
	int low = 4;
	CHECK(!setsockopt(s[1], SOL_SOCKET, SO_RCVLOWAT, &low, sizeof low));
	pid_t p = fork();
	if (!p) {
		msleep(50);
		write(s[0], "12", 2);
		msleep(50);
		write(s[0], "34", 2);
		msleep(50);
		write(s[0], "5678", 4);
		_exit(0);
	}
	CHECK_EQ(recv(s[1], b, 32, 0), 4);
	CHECK_EQ(recv(s[1], b, 4, MSG_WAITALL), 4);
	waitpid(p, NULL, 0);
	CHECK(write(s[1], "unread", 6) == 6);
	close(s[0]);
	CHECK_ERRNO(recv(s[1], b, 1, 0), ECONNRESET); /* the peer did not read all */
	CHECK_EQ(recv(s[1], b, 1, 0), 0);
	struct pollfd f = { s[1], POLLIN | POLLOUT | POLLRDHUP, 0 };
	CHECK(poll(&f, 1, 0) == 1 && (f.revents & (POLLHUP | POLLRDHUP | POLLIN)) == (POLLHUP | POLLRDHUP | POLLIN));
	int u = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(recv(u, b, 1, 0), EINVAL);
	CHECK_ERRNO(send(u, b, 1, 0), ENOTCONN);
	CHECK_ERRNO(listen(u, 1), EINVAL);
}

TEST(unix_packet_details)
{
	int s[2];
	char b[32];
	struct iovec io = { b, 2 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1 };
	CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, s));
	CHECK(send(s[0], "packet", 6, 0) == 6 && recvmsg(s[1], &m, 0) == 2 && m.msg_flags == MSG_TRUNC);
	CHECK_ERRNO(recv(s[1], b, 1, MSG_DONTWAIT), EAGAIN);
	CHECK_ERRNO(send(s[0], b, 1 << 20, 0), EMSGSIZE);
	close(s[0]);
	CHECK_EQ(recv(s[1], b, 1, MSG_DONTWAIT), 0);
	CHECK_ERRNO(send(s[1], b, 1, 0), EPIPE); /* no SIGPIPE for packets */
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	for (int i = 0; i < 20; i++) /* connected to each other: no bound on the number */
		CHECK_EQ(send(s[0], b, 1, MSG_DONTWAIT), 1);
	close(s[1]);
	CHECK_ERRNO(send(s[0], b, 1, MSG_NOSIGNAL), ECONNREFUSED);
	CHECK_ERRNO(send(s[0], b, 1, MSG_NOSIGNAL), ENOTCONN);
	CHECK_ERRNO(recv(s[0], b, 1, MSG_DONTWAIT), EAGAIN);
}

TEST(unix_datagram_queue)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "dg" }, from;
	socklen_t n = sizeof from;
	int r = socket(AF_UNIX, SOCK_DGRAM, 0), w = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0), k = 0;
	char c;
	CHECK(!bind(r, (void *)&a, sizeof a) && !connect(w, (void *)&a, sizeof a));
	while (send(w, "m", 1, 0) == 1)
		k++;
	CHECK(errno == EAGAIN && k > 1);
	struct pollfd f = { w, POLLOUT, 0 };
	CHECK_EQ(poll(&f, 1, 0), 0);
	pid_t p = fork();
	if (!p) {
		msleep(100);
		for (int i = 0; i < k; i++)
			recv(r, &c, 1, 0);
		_exit(0);
	}
	CHECK(poll(&f, 1, 5000) == 1 && f.revents & POLLOUT);
	waitpid(p, NULL, 0);
	CHECK(!bind(w, (void *)&(struct sockaddr_un){ .sun_family = AF_UNIX }, sizeof(sa_family_t))); /* autobind */
	CHECK(send(w, "m", 1, 0) == 1 && recvfrom(r, &c, 1, 0, (void *)&from, &n) == 1);
	CHECK(n == sizeof(sa_family_t) + 6 && !from.sun_path[0]);
	int t = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK_ERRNO(connect(t, (void *)&a, sizeof a), EPROTOTYPE);
}

TEST(unix_credentials)
{
	int s[2], one = 1;
	CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, s) && !setsockopt(s[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
	pid_t p = fork();
	if (!p) {
		write(s[0], "x", 1);
		_exit(0);
	}
	union { char b[CMSG_SPACE(sizeof(struct ucred))]; struct cmsghdr h; } c = { 0 };
	char x;
	struct iovec io = { &x, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c };
	CHECK_EQ(recvmsg(s[1], &m, 0), 1);
	struct ucred uc;
	CHECK(c.h.cmsg_type == SCM_CREDENTIALS);
	memcpy(&uc, CMSG_DATA(&c.h), sizeof uc);
	CHECK(uc.pid == p && uc.uid == getuid() && uc.gid == getgid());
	waitpid(p, NULL, 0);
}

TEST(names_and_options)
{
	char link[64] = { 0 }, want[64];
	struct stat st;
	int s = socket(AF_UNIX, SOCK_STREAM, 0), v = 1;
	socklen_t n = sizeof v;
	snprintf(link, sizeof link, "/proc/self/fd/%d", s);
	CHECK(!fstat(s, &st) && S_ISSOCK(st.st_mode));
	snprintf(want, sizeof want, "socket:[%lu]", (unsigned long)st.st_ino);
	char got[64] = { 0 };
	CHECK(readlink(link, got, 63) > 0 && !strcmp(got, want));
	CHECK(!setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &v, n) && (v = 0, !getsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &v, &n)) && v == 1);
	v = 5000;
	CHECK(!setsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, n) && !getsockopt(s, SOL_SOCKET, SO_SNDBUF, &v, &n) && v == 10000);
	CHECK_ERRNO(getsockopt(s, IPPROTO_TCP, TCP_NODELAY, &v, &n), EOPNOTSUPP);
	/* no descriptor for the connection: it is not accepted */
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "emfile" };
	int c = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(!bind(s, (void *)&a, sizeof a) && !listen(s, 1) && !connect(c, (void *)&a, sizeof a));
	struct rlimit rl = { c + 1, 1024 };
	CHECK(!setrlimit(RLIMIT_NOFILE, &rl));
	CHECK_ERRNO(accept(s, NULL, NULL), EMFILE);
	rl.rlim_cur = 1024;
	CHECK(!setrlimit(RLIMIT_NOFILE, &rl) && fcntl(s, F_SETFL, O_NONBLOCK) == 0 && accept(s, NULL, NULL) >= 0);
}

/* ---- TCP and UDP on the loopback ---- */

TEST(tcp_readiness)
{
	struct sockaddr_in a;
	int l = tcp_listener(&a), c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(c, (void *)&a, sizeof a));
	int s = accept(l, NULL, NULL), ep = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 7 };
	char b[64];
	CHECK(s >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, s, &e));
	for (int i = 0; i < 200; i++) { /* what was sent is seen by calls that do not sleep */
		CHECK_EQ(epoll_wait(ep, &e, 1, 0), 0);
		CHECK_EQ(write(c, "hello", 5), 5);
		if (i % 3 == 0)
			CHECK_EQ(epoll_wait(ep, &e, 1, 0), 1);
		else if (i % 3 == 1)
			CHECK_EQ(epoll_wait(ep, &e, 1, 1000), 1);
		if (i % 4 == 0) {
			struct pollfd f = { s, POLLIN, 0 };
			CHECK(poll(&f, 1, 0) == 1 && f.revents == POLLIN);
		}
		CHECK_EQ(recv(s, b, 3, i % 2 ? 0 : MSG_DONTWAIT), 3);
		if (i % 5 == 0)
			CHECK_EQ(epoll_wait(ep, &e, 1, 1000), 1); /* the rest is there still */
		CHECK_EQ(recv(s, b, 64, MSG_DONTWAIT), 2);
		CHECK_ERRNO(recv(s, b, 1, MSG_DONTWAIT), EAGAIN);
	}
	pid_t p = fork();
	if (!p) {
		for (int i = 0; i < 300; i++) {
			CHECK_EQ(write(c, b, 1 + i % 50), 1 + i % 50);
			if (i % 10 == 0)
				msleep(1);
		}
		shutdown(c, SHUT_WR);
		_exit(0);
	}
	long total = 0, r, want = 0;
	for (int i = 0; i < 300; i++)
		want += 1 + i % 50;
	while ((r = recv(s, b, sizeof b, 0)) > 0)
		total += r;
	CHECK(r == 0 && total == want);
	waitpid(p, NULL, 0);
	CHECK(epoll_wait(ep, &e, 1, 0) == 1 && e.events & EPOLLIN);
}

TEST(tcp_backpressure)
{
	struct sockaddr_in a;
	int l = tcp_listener(&a), c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(c, (void *)&a, sizeof a));
	int s = accept(l, NULL, NULL);
	char *b = calloc(1, 1 << 20);
	pid_t p = fork();
	if (!p) { /* blocks in the middle */
		for (int i = 0; i < 20; i++)
			CHECK_EQ(send(c, b, 1 << 20, 0), 1 << 20);
		_exit(0);
	}
	close(c);
	msleep(100);
	CHECK_EQ(recv(s, b, 1 << 20, MSG_WAITALL), 1 << 20);
	long total = 1 << 20, r;
	while ((r = read(s, b, 1 << 20)) > 0)
		total += r;
	CHECK_EQ(total, 20L << 20);
	int st;
	CHECK(waitpid(p, &st, 0) == p && !st);
	/* a reset wakes a sleeper */
	c = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!connect(c, (void *)&a, sizeof a));
	s = accept(l, NULL, NULL);
	if (!(p = fork())) {
		close(s);
		msleep(100);
		struct linger lg = { 1, 0 };
		setsockopt(c, SOL_SOCKET, SO_LINGER, &lg, sizeof lg);
		_exit(0);
	}
	close(c);
	CHECK_ERRNO(recv(s, b, 1, 0), ECONNRESET);
	waitpid(p, NULL, 0);
}

TEST(udp_error_and_v6)
{
	struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(9) };
	socklen_t n = sizeof a6;
	char b[64];
	int u = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	CHECK(!connect(u, (void *)&a, sizeof a) && !setsockopt(u, SOL_IP, IP_RECVERR, &one, sizeof one) && send(u, "x", 1, 0) == 1);
	CHECK_ERRNO(recv(u, b, 1, 0), ECONNREFUSED);
	union { char b[512]; struct cmsghdr h; } c;
	struct sockaddr_in to;
	struct iovec io = { b, sizeof b };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c, .msg_name = &to, .msg_namelen = sizeof to };
	CHECK(recvmsg(u, &m, MSG_ERRQUEUE) == 1 && m.msg_flags & MSG_ERRQUEUE && c.h.cmsg_type == IP_RECVERR && to.sin_port == htons(9));
	int s6 = socket(AF_INET6, SOCK_DGRAM, 0);
	if (s6 < 0 || bind(s6, (void *)&a6, sizeof a6))
		return; /* a host without IPv6 */
	CHECK(!getsockname(s6, (void *)&a6, &n) && sendto(s6, "six", 3, 0, (void *)&a6, sizeof a6) == 3 && recv(s6, b, 64, 0) == 3);
	CHECK_EQ(sendto(s6, b, 0, 0, (void *)&a6, sizeof a6), 0);
	CHECK_EQ(recv(s6, b, 64, 0), 0);
	int p1 = socket(AF_INET, SOCK_STREAM, 0), p2 = socket(AF_INET, SOCK_STREAM, 0);
	a.sin_port = 0;
	n = sizeof a;
	CHECK(!setsockopt(p1, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one) && !setsockopt(p2, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one));
	CHECK(!bind(p1, (void *)&a, n) && !getsockname(p1, (void *)&a, &n) && !bind(p2, (void *)&a, n) && !listen(p1, 1) && !listen(p2, 1));
}

TEST(interfaces)
{
	struct ifaddrs *ifa, *i;
	bool lo = false;
	CHECK(!getifaddrs(&ifa));
	for (i = ifa; i; i = i->ifa_next)
		lo |= !strcmp(i->ifa_name, "lo") && i->ifa_addr && i->ifa_addr->sa_family == AF_INET;
	CHECK(lo && if_nametoindex("lo") == 1);
	FILE *f = fopen("/proc/net/tcp", "r");
	char line[256];
	CHECK(f && fgets(line, sizeof line, f) && strstr(line, "local_address"));
	f = fopen("/proc/net/unix", "r");
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "in-proc-net-unix" };
	bool seen = false;
	CHECK(!bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&a, sizeof a));
	while (f && fgets(line, sizeof line, f))
		seen |= strstr(line, a.sun_path) != NULL;
	CHECK(seen);
}
