/* SPDX-License-Identifier: Apache-2.0 */
/* The line discipline and the buffers of pseudo-terminals: what is typed, what is echoed, what is read. */
#include "harness.h"
#include <sys/ioctl.h>
#include <termios.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif
#ifndef EXTPROC
#define EXTPROC 0200000
#endif

static int m, s;
static char name[64];
static void make(void)
{
	m = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK(m >= 0 && !grantpt(m) && !unlockpt(m) && !ptsname_r(m, name, sizeof name));
	s = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK(s >= 0);
}
static void flags(unsigned in, unsigned out, unsigned local)
{
	struct termios t;
	CHECK(!tcgetattr(s, &t));
	t.c_iflag = in;
	t.c_oflag = out;
	t.c_lflag = local;
	CHECK(!tcsetattr(s, TCSANOW, &t));
}
static int queued(int fd)
{
	int n = -1;
	CHECK(!ioctl(fd, FIONREAD, &n));
	return n;
}
/* Bytes pass through a work queue of the host: until nothing has moved for a while. */
static void settle(void)
{
	for (int same = 0, a = -1, b = -1; same < 4; msleep(3)) {
		int x = queued(m), y = queued(s);
		same = x == a && y == b ? same + 1 : 0;
		a = x;
		b = y;
	}
}
static const char *show(const char *b, ssize_t n)
{
	static char o[4 * 300];
	char *p = o;
	for (ssize_t i = 0; i < n && i < 250; i++)
		p += sprintf(p, b[i] < 32 || b[i] > 126 ? "\\%03o" : "%c", b[i] & 255);
	*p = 0;
	return o;
}
static void want(int line, int fd, const char *what, size_t len)
{
	char b[300];
	ssize_t n = 0;
	for (int i = 0; i < 300 && n < (ssize_t)len; i++) {
		ssize_t r = read(fd, b + n, sizeof b - n);
		if (r >= 0)
			n += r;
		if (r <= 0)
			msleep(5);
	}
	if (n != (ssize_t)len || memcmp(b, what, len))
		harness_fail(__FILE__, line, "%s gives \"%s\"", fd == m ? "master" : "slave", show(b, n));
}
#define TYPE(t) do { CHECK_EQ(write(m, t, sizeof(t) - 1), sizeof(t) - 1); settle(); } while (0)
#define WRITE(t) do { CHECK_EQ(write(s, t, sizeof(t) - 1), sizeof(t) - 1); settle(); } while (0)
#define SEEN(t) want(__LINE__, m, t, sizeof(t) - 1)
#define READ(t) want(__LINE__, s, t, sizeof(t) - 1)
#define NOTHING(fd) do { char b_; CHECK_ERRNO(read(fd, &b_, 1), EAGAIN); } while (0)
#define COOKED (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN)

TEST(defaults)
{
	struct termios t;
	make();
	CHECK(!tcgetattr(s, &t));
	CHECK_EQ(t.c_iflag, ICRNL | IXON);
	CHECK_EQ(t.c_oflag, OPOST | ONLCR);
	CHECK_EQ(t.c_cflag, B38400 | CS8 | CREAD);
	CHECK_EQ(t.c_lflag, COOKED);
}

TEST(signal_characters)
{
	make();
	TYPE("abc\003def"); /* the echo of what is thrown away in one go is not shown */
	SEEN("^Cdef");
	TYPE("\n");
	READ("def\n");
	SEEN("\r\n");
	WRITE("out\n"); /* what the other end has received is not taken back */
	TYPE("x\032");
	SEEN("out\r\n^Z");
	flags(ICRNL, OPOST | ONLCR, COOKED | NOFLSH);
	TYPE("ab\003c\n");
	READ("abc\n");
	SEEN("ab^Cc\r\n");
}

TEST(erasing)
{
	make();
	TYPE("a\tb\010\177\177\177x\n"); /* ^H is an ordinary character here */
	SEEN("a\tb^H\b \b\b \b\b \b\b\b\b\b\b\b\bx\r\n");
	READ("ax\n");
	TYPE("one two_2-\027\027z\n");
	SEEN("one two_2-\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \b\b \bz\r\n");
	READ("z\n");
	flags(ICRNL | IUTF8, OPOST | ONLCR, COOKED);
	TYPE("\303\251\342\202\254\177\177\n");
	SEEN("\303\251\342\202\254\b \b\b \b\r\n");
	READ("\n");
	flags(ICRNL, OPOST | ONLCR, ICANON | ECHO | ECHOPRT | ECHOE | ECHOCTL);
	TYPE("abc\177\177d\n");
	SEEN("abc\\cb/d\r\n");
	READ("ad\n");
	flags(ICRNL, OPOST | ONLCR, ICANON | ECHO | ECHOK);
	TYPE("abc\025d\n");
	SEEN("abc\025\r\nd\r\n");
	READ("d\n");
	flags(ICRNL, OPOST | ONLCR, ICANON | ECHO);
	TYPE("abc\177d\n"); /* without ECHOE: the erase character itself */
	SEEN("abc\177d\r\n");
	READ("abd\n");
	flags(ICRNL, OPOST | ONLCR, COOKED);
	TYPE("ab\022c\026\003\n");
	SEEN("ab^R\r\nabc^\b^C\r\n");
	READ("abc\003\n");
}

TEST(columns)
{
	make();
	flags(ICRNL, OPOST | ONLCR | TAB3, COOKED);
	WRITE("ab\tc\n\303\251\t.\n");
	SEEN("ab      c\r\n\303\251      .\r\n");
	flags(ICRNL | IUTF8, OPOST | TAB3, COOKED);
	WRITE("\r\303\251\t.\rx\b\t");
	SEEN("\r\303\251       .\rx\b        ");
	flags(0, OPOST | ONOCR | OCRNL, 0);
	WRITE("\rab\rc\r");
	SEEN("\nab\nc\n");
	flags(0, OPOST | OLCUC, 0);
	WRITE("aZ\351\337\367");
	SEEN("AZ\311\277\367"); /* Latin-1 */
	flags(IUCLC | IGNCR, 0, IEXTEN);
	TYPE("AZ\311\r\327");
	READ("az\351\327");
	/* The prompt in front of what is typed counts for a tab that is taken back. */
	flags(ICRNL, OPOST | ONLCR, COOKED);
	WRITE("\n> ");
	TYPE("x\t\177\177");
	SEEN("\r\n> x\t\b\b\b\b\b\b \b");
}

TEST(flow)
{
	make();
	TYPE("\023abc"); /* echoes wait */
	NOTHING(m);
	CHECK_ERRNO(write(s, "x", 1), EAGAIN);
	struct pollfd p = { s, POLLOUT, 0 };
	CHECK_EQ(poll(&p, 1, 0), 0);
	TYPE("\021");
	SEEN("abc");
	TYPE("\025");
	SEEN("\b \b\b \b\b \b");
	flags(ICRNL | IXON | IXANY, OPOST | ONLCR, COOKED);
	TYPE("\023a");
	SEEN("a");
	CHECK(!tcflow(s, TCOOFF));
	TYPE("\021b");
	NOTHING(m);
	CHECK(!tcflow(s, TCIOFF) && !tcflow(s, TCION)); /* not while stopped by hand */
	NOTHING(m);
	CHECK(!tcflow(s, TCOON));
	NOTHING(m); /* the echo goes with what is written next */
	WRITE("w");
	SEEN("bw");
	CHECK(!tcflow(s, TCIOFF));
	SEEN("\023");
	/* At the master's end it is the master's output. */
	CHECK(!ioctl(m, TCXONC, TCOOFF));
	CHECK_ERRNO(write(m, "q", 1), EAGAIN);
	WRITE("still");
	SEEN("still");
	CHECK(!ioctl(m, TCXONC, TCOON));
	CHECK(!ioctl(m, TCXONC, TCIOFF)); /* ^S to the slave */
	msleep(30);
	CHECK_ERRNO(write(s, "x", 1), EAGAIN);
	CHECK_ERRNO(ioctl(m, TCXONC, 4), EINVAL);
}

TEST(flushing)
{
	make();
	TYPE("line\n");
	SEEN("line\r\n");
	CHECK(!ioctl(m, TCFLSH, TCIOFLUSH)); /* of the master's end: not what the slave has received */
	READ("line\n");
	WRITE("seen");
	CHECK(!tcflush(s, TCOFLUSH)); /* received by the master already */
	SEEN("seen");
	WRITE("gone");
	CHECK(!ioctl(m, TCFLSH, TCIFLUSH));
	NOTHING(m);
	TYPE("gone\n");
	CHECK(!tcflush(s, TCIFLUSH));
	NOTHING(s);
	CHECK_ERRNO(tcflush(s, 3), EINVAL);
	int n = 7;
	CHECK(!ioctl(m, TIOCOUTQ, &n) && n == 0);
}

TEST(reading_in_parts)
{
	char b[300];
	struct termios t;
	make();
	TYPE("abc\004\004d\n");
	CHECK_EQ(read(s, b, 3), 3); /* with the mark behind it */
	CHECK_EQ(read(s, b, 9), 0);
	CHECK_EQ(read(s, b, 1), 1);
	CHECK_EQ(read(s, b, 9), 1);
	TYPE("one\ntwo");
	CHECK_EQ(queued(s), 4);
	flags(0, 0, 0); /* raw: all of it */
	CHECK_EQ(queued(s), 7);
	CHECK_EQ(read(s, b, 5), 5);
	flags(0, 0, ICANON); /* what is there is a line */
	READ("wo");
	/* more than VMIN in pieces: the first holds 64 */
	CHECK(!tcgetattr(s, &t));
	t.c_lflag = 0;
	t.c_cc[VMIN] = 100;
	CHECK(!tcsetattr(s, TCSANOW, &t));
	memset(b, 'x', 70);
	CHECK_EQ(write(m, b, 70), 70);
	settle();
	struct pollfd p = { s, POLLIN, 0 };
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_EQ(read(s, b, 200), 64);
	CHECK_EQ(queued(s), 6);
	t.c_cc[VMIN] = 1;
	t.c_lflag = ICANON | EXTPROC;
	CHECK(!tcsetattr(s, TCSANOW, &t));
	READ("xxxxxx");
	TYPE("a\003b"); /* lines are made elsewhere */
	READ("a\003b");
	TYPE("\004");
	CHECK_EQ(read(s, b, 9), 0);
}

TEST(full)
{
	static char b[40000];
	make();
	memset(b, 'q', sizeof b);
	CHECK_EQ(write(m, b, 5000), 5000);
	TYPE("\n");
	CHECK_EQ(queued(s), 4096); /* the end of a line that is too long still gets in */
	CHECK_EQ(read(s, b, sizeof b), 4096);
	CHECK(b[4094] == 'q' && b[4095] == '\n');
	CHECK(!ioctl(m, TCFLSH, TCIOFLUSH));
	flags(0, 0, 0);
	/* One byte at a time: a full reader, and what twenty and some blocks hold. */
	int total = 0;
	while (write(m, b, 1) == 1)
		if (++total % 500 == 0)
			msleep(1);
	settle();
	CHECK(total > 16384);
	CHECK_EQ(queued(s), 4095);
	struct pollfd p = { m, POLLOUT, 0 };
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_EQ(read(s, b, 100), 100); /* too little for the writer to be told */
	int got = 100;
	for (ssize_t n; (n = read(s, b, sizeof b)) > 0 || got < total; got += n > 0 ? n : 0)
		msleep(2);
	CHECK_EQ(got, total);
	CHECK_EQ(poll(&p, 1, 1000), 1);
	while (write(s, b, 1000) > 0)
		msleep(2);
	settle();
	CHECK_EQ(queued(m), 4095);
	p.fd = s;
	CHECK_EQ(poll(&p, 1, 0), 0);
	CHECK_EQ(read(m, b, sizeof b), 4095);
	CHECK_EQ(poll(&p, 1, 1000), 1);
}

TEST(packets)
{
	int on = 1;
	make();
	CHECK(!ioctl(m, TIOCPKT, &on));
	WRITE("data");
	CHECK_EQ(read(m, name, 1), 1); /* the header alone */
	CHECK_EQ(name[0], 0);
	SEEN("\0data");
	struct pollfd p = { m, POLLIN | POLLPRI, 0 };
	CHECK(!tcflow(s, TCOOFF) && poll(&p, 1, 100) == 1 && p.revents == (POLLIN | POLLPRI));
	SEEN("\004"); /* stop */
	CHECK(!tcflow(s, TCOON) && !tcflush(s, TCIFLUSH));
	SEEN("\011"); /* start, read queue flushed */
	CHECK(!tcflush(s, TCOFLUSH));
	SEEN("\002");
	flags(0, 0, 0);
	SEEN("\020"); /* no ^S any more */
	flags(IXON, 0, EXTPROC);
	SEEN("\140"); /* ^S again, and settings under EXTPROC */
	TYPE("\003");
	NOTHING(m);
	flags(IXON, 0, ISIG);
	SEEN("\100");
	TYPE("\003");
	SEEN("\003");
	NOTHING(m);
}

TEST(failed_opening)
{
	int on = 1, n;
	char b[8];
	make();
	CHECK_EQ(write(m, "in\n", 3), 3);
	settle();
	CHECK(!ioctl(m, TIOCSPTLCK, &on) && !ioctl(m, TIOCGPTLCK, &n) && n == 1);
	CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO);
	CHECK_ERRNO(read(s, b, 1), EIO); /* for who has it open, too */
	CHECK_ERRNO(write(s, b, 1), EIO);
	on = 0;
	CHECK(!ioctl(m, TIOCSPTLCK, &on));
	CHECK(open(name, O_RDWR | O_NOCTTY) >= 0);
	READ("in\n");
}

TEST(closing)
{
	char b[8], path[64];
	int n;
	make();
	CHECK(!ioctl(s, TIOCEXCL) && !ioctl(m, TIOCGEXCL, &n) && n == 0 && !ioctl(s, TIOCGEXCL, &n) && n == 1);
	flags(0, 0, 0);
	close(s);
	CHECK_ERRNO(read(m, b, 1), EIO);
	CHECK_EQ(write(m, "kept", 4), 4); /* for who opens it next */
	msleep(20);
	s = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	CHECK(s >= 0 && !ioctl(s, TIOCGEXCL, &n));
	CHECK_EQ(n, 1);
	READ("kept");
	NOTHING(m);
	CHECK_ERRNO(ioctl(s, TIOCGPTPEER, O_RDWR), EIO);
	snprintf(path, sizeof path, "/proc/self/fd/%d", s);
	struct stat st;
	CHECK(!fstat(s, &st) && st.st_nlink == 1);
	close(m);
	char l[80] = "";
	CHECK(readlink(path, l, sizeof l - 1) > 0 && strstr(l, " (deleted)"));
	CHECK_ERRNO(fcntl(s, F_SETFL, O_RDWR | O_ASYNC), ENOTTY);
	CHECK_ERRNO(write(s, "", 0), EIO);
	/* Who reads when the master goes hears of it otherwise than who comes later. */
	make();
	fcntl(s, F_SETFL, O_RDWR);
	int p[2];
	CHECK(!pipe(p));
	pid_t k = fork();
	if (!k) {
		close(m);
		close(p[0]);
		close(p[1]);
		CHECK_ERRNO(read(s, b, 1), EIO);
		CHECK_EQ(read(s, b, 1), 0);
		_exit(0);
	}
	close(p[1]);
	CHECK_EQ(read(p[0], b, 1), 0);
	msleep(100);
	close(m);
	CHECK(waitpid(k, &n, 0) == k && n == 0);
}

TEST(pushed_back)
{
	char c = 'c', b[8], enabled = '1';
	make();
	flags(0, 0, 0);
	CHECK_ERRNO(ioctl(s, TIOCSTI, 8), EFAULT);
	CHECK(!ioctl(s, TIOCSTI, &c));
	READ("c");
	int fd = open("/proc/sys/dev/tty/legacy_tiocsti", O_RDONLY);
	if (fd >= 0)
		CHECK_EQ(read(fd, &enabled, 1), 1);
	CHECK_EQ(CHILD_STATUS({
		if (setuid(1000))
			SKIP("not root");
		CHECK_ERRNO(ioctl(s, TIOCSTI, &c), enabled == '1' ? EPERM : EIO); /* not ours */
		int other = posix_openpt(O_RDWR | O_NOCTTY);
		CHECK(!unlockpt(other) && setsid() > 0);
		s = ioctl(other, TIOCGPTPEER, O_RDWR);
		CHECK(s >= 0);
		if (enabled != '1') {
			CHECK_ERRNO(ioctl(s, TIOCSTI, &c), EIO);
		} else {
			flags(0, 0, 0);
			CHECK(!ioctl(s, TIOCSTI, &c));
			CHECK_EQ(read(s, b, 8), 1);
		}
	}), 0);
}

TEST(one_reader)
{
	char b[8];
	make();
	pid_t k = fork();
	if (!k) {
		s = open(name, O_RDWR | O_NOCTTY);
		CHECK_EQ(read(s, b, 8), 3);
		_exit(0);
	}
	msleep(100);
	CHECK_EQ(write(m, "it\n", 3), 3);
	int st;
	CHECK(waitpid(k, &st, 0) == k && st == 0);
	NOTHING(s);
}

TEST(odd_requests)
{
	int n = 2, fd;
	char b[300], path[64];
	make();
	CHECK_ERRNO(ioctl(s, TIOCSPGRP, 8), EFAULT);
	n = -1;
	CHECK_ERRNO(ioctl(s, TIOCSPGRP, &n), EINVAL);
	n = 1;
	CHECK_ERRNO(ioctl(s, TIOCSPGRP, &n), ENOTTY);
	CHECK_ERRNO(ioctl(s, TIOCSETD, 8), EFAULT);
	CHECK(!ioctl(s, 2 /* FIGETBSZ */, &n) && n > 0);
	CHECK_ERRNO(ioctl(s, TIOCMGET, &n), ENOTTY);
	CHECK_ERRNO(ioctl(s, TIOCSSERIAL, 8), EFAULT);
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", m);
	fd = open(path, O_RDONLY);
	n = read(fd, b, sizeof b - 1);
	b[n > 0 ? n : 0] = 0;
	CHECK(!strncmp(b, "pos:\t0\n", 7) && strstr(b, "tty-index:\t"));
}
