/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
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
