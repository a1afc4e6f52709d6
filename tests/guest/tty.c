/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <termios.h>

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

static int open_master(char *name, size_t size)
{
	int m = posix_openpt(O_RDWR | O_NOCTTY);
	CHECK(m >= 0 && !grantpt(m) && !unlockpt(m) && !ptsname_r(m, name, size));
	return m;
}

static volatile sig_atomic_t got[65];
static void note(int s) { got[s]++; }
static void wait_for(int sig)
{
	for (int i = 0; i < 300 && !got[sig]; i++)
		msleep(10);
	CHECK(got[sig]);
}

TEST(pair)
{
	char name[64], b[64], tn[64];
	int m = open_master(name, sizeof name), n;
	int s = open(name, O_RDWR | O_NOCTTY);
	CHECK(s >= 0 && isatty(m) && isatty(s));
	CHECK(!ttyname_r(s, tn, sizeof tn) && !strcmp(tn, name));
	struct stat st;
	CHECK(!fstat(s, &st) && S_ISCHR(st.st_mode) && st.st_rdev >> 8 == 136);
	CHECK(write(m, "hi\n", 3) == 3 && read(s, b, sizeof b) == 3 && !memcmp(b, "hi\n", 3));
	CHECK(read(m, b, sizeof b) == 4 && !memcmp(b, "hi\r\n", 4));
	CHECK(write(s, "x\n", 2) == 2);
	struct pollfd out = { m, POLLIN, 0 };
	CHECK(poll(&out, 1, 2000) == 1); /* the host passes output on from a work queue */
	CHECK(!ioctl(m, FIONREAD, &n) && n == 3);
	CHECK(read(m, b, sizeof b) == 3);
	int p = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY);
	CHECK(p >= 0 && isatty(p));
	close(p);
	struct winsize w = { 10, 20, 0, 0 }, r;
	CHECK(!ioctl(m, TIOCSWINSZ, &w) && !ioctl(s, TIOCGWINSZ, &r) && r.ws_row == 10 && r.ws_col == 20);
	CHECK_ERRNO(lseek(s, 0, SEEK_CUR), ESPIPE);
	close(s);
	struct pollfd pf = { m, POLLIN, 0 };
	CHECK(poll(&pf, 1, 0) == 1 && (pf.revents & POLLHUP));
	CHECK_ERRNO(read(m, b, 1), EIO);
	s = open(name, O_RDWR | O_NOCTTY);
	close(m);
	CHECK_EQ(read(s, b, 1), 0);
	CHECK_ERRNO(write(s, b, 1), EIO);
	CHECK(open(name, O_RDWR | O_NOCTTY) < 0);
}

TEST(locked)
{
	int m = posix_openpt(O_RDWR | O_NOCTTY), n;
	char name[64];
	CHECK(m >= 0 && !ioctl(m, TIOCGPTN, &n));
	snprintf(name, sizeof name, "/dev/pts/%d", n);
	CHECK_ERRNO(open(name, O_RDWR | O_NOCTTY), EIO);
}

/* The session leader of a new session on a new terminal: the child's half of the tests below. */
static int lead(char *name)
{
	CHECK(setsid() > 0);
	CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
	int s = open(name, O_RDWR);
	CHECK(s >= 0);
	CHECK_EQ(tcgetpgrp(s), getpid());
	CHECK_EQ(tcgetsid(s), getpid());
	return s;
}

TEST(controlling)
{
	char name[64];
	int m = open_master(name, sizeof name);
	CHECK_EQ(CHILD_STATUS({
		int s = lead(name);
		int t = open("/dev/tty", O_RDWR);
		CHECK(t >= 0 && isatty(t));
		CHECK(!ioctl(s, TIOCSCTTY, 0));
		signal(SIGHUP, SIG_IGN);
		CHECK(!ioctl(s, TIOCNOTTY));
		CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
		CHECK_ERRNO(tcgetpgrp(s), ENOTTY);
		CHECK(!ioctl(s, TIOCSCTTY, 0));
		CHECK_EQ(tcgetpgrp(s), getpid());
		CHECK_ERRNO(tcsetpgrp(s, 999999), ESRCH);
		CHECK_ERRNO(tcsetpgrp(s, -1), EINVAL);
		CHECK_ERRNO(tcsetpgrp(s, getppid()), EPERM);
	}), 0);
	close(m);
}

TEST(noctty)
{
	char name[64];
	open_master(name, sizeof name);
	CHECK_EQ(CHILD_STATUS({
		setsid();
		CHECK(open(name, O_RDWR | O_NOCTTY) >= 0);
		CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
		CHECK(open(name, O_WRONLY) >= 0);
		CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
	}), 0);
}

TEST(keyboard_signals)
{
	char name[64], c;
	int m = open_master(name, sizeof name), p[2];
	CHECK(!pipe(p));
	pid_t k = fork();
	if (!k) {
		lead(name);
		signal(SIGINT, note);
		signal(SIGQUIT, note);
		signal(SIGWINCH, note);
		CHECK(write(p[1], "r", 1) == 1);
		wait_for(SIGINT);
		wait_for(SIGQUIT);
		wait_for(SIGWINCH);
		_exit(0);
	}
	CHECK(read(p[0], &c, 1) == 1);
	CHECK(write(m, "\003", 1) == 1);
	msleep(20);
	CHECK(write(m, "\034", 1) == 1);
	struct winsize w = { 33, 44, 0, 0 };
	CHECK(!ioctl(m, TIOCSWINSZ, &w));
	int st;
	CHECK(waitpid(k, &st, 0) == k && st == 0);
}

TEST(background)
{
	char name[64];
	open_master(name, sizeof name);
	CHECK_EQ(CHILD_STATUS({
		int s = lead(name);
		int st;
		pid_t k = fork();
		if (!k) {
			setpgid(0, 0);
			char b;
			read(s, &b, 1); /* stops it */
			_exit(7);
		}
		setpgid(k, k);
		CHECK(waitpid(k, &st, WUNTRACED) == k && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTTIN);
		kill(k, SIGKILL);
		waitpid(k, &st, 0);
		/* ignored: EIO; an attempt to take the foreground stops, unless SIGTTOU is ignored */
		k = fork();
		if (!k) {
			setpgid(0, 0);
			signal(SIGTTIN, SIG_IGN);
			char b;
			CHECK_ERRNO(read(s, &b, 1), EIO);
			CHECK(write(s, "ok", 2) == 2);
			signal(SIGTTOU, SIG_IGN);
			CHECK(!tcsetpgrp(s, getpid()));
			_exit(0);
		}
		CHECK(waitpid(k, &st, 0) == k && st == 0);
		CHECK_EQ(tcgetpgrp(s), k);
		signal(SIGTTOU, SIG_IGN);
		CHECK(!tcsetpgrp(s, getpid()));
		signal(SIGTTOU, SIG_DFL);
		/* TOSTOP */
		struct termios t;
		CHECK(!tcgetattr(s, &t));
		t.c_lflag |= TOSTOP;
		CHECK(!tcsetattr(s, TCSANOW, &t));
		k = fork();
		if (!k) {
			setpgid(0, 0);
			write(s, "x", 1);
			_exit(7);
		}
		CHECK(waitpid(k, &st, WUNTRACED) == k && WIFSTOPPED(st) && WSTOPSIG(st) == SIGTTOU);
		kill(k, SIGKILL);
		waitpid(k, &st, 0);
	}), 0);
}

TEST(hangup)
{
	char name[64], c;
	int m = open_master(name, sizeof name), p[2];
	CHECK(!pipe(p));
	pid_t k = fork();
	if (!k) {
		close(m);
		int s = lead(name);
		signal(SIGHUP, note);
		signal(SIGCONT, note);
		CHECK(write(p[1], "r", 1) == 1);
		wait_for(SIGHUP);
		wait_for(SIGCONT);
		CHECK_EQ(read(s, &c, 1), 0);
		CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
		_exit(0);
	}
	CHECK(read(p[0], &c, 1) == 1);
	close(m);
	int st;
	CHECK(waitpid(k, &st, 0) == k && st == 0);
}

TEST(leader_exit)
{
	char name[64], c;
	int m = open_master(name, sizeof name), p[2];
	CHECK(!pipe(p));
	pid_t k = fork();
	if (!k) {
		lead(name);
		if (!fork()) {
			signal(SIGHUP, note);
			CHECK(write(p[1], "r", 1) == 1);
			wait_for(SIGHUP);
			CHECK(write(p[1], "h", 1) == 1);
			_exit(0);
		}
		msleep(100);
		_exit(0);
	}
	CHECK(read(p[0], &c, 1) == 1 && c == 'r');
	CHECK(read(p[0], &c, 1) == 1 && c == 'h');
	waitpid(k, NULL, 0);
	CHECK_ERRNO(read(m, &c, 1), EIO);
}

TEST(raw_and_epoll)
{
	char name[64], b[16];
	int m = open_master(name, sizeof name), s = open(name, O_RDWR | O_NOCTTY), e = epoll_create1(0);
	struct epoll_event x = { .events = EPOLLIN };
	struct termios t;
	CHECK(!tcgetattr(s, &t));
	cfmakeraw(&t);
	t.c_cc[VMIN] = 3;
	t.c_cc[VTIME] = 0;
	CHECK(!tcsetattr(s, TCSAFLUSH, &t));
	CHECK(!epoll_ctl(e, EPOLL_CTL_ADD, s, &x));
	CHECK(write(m, "ab", 2) == 2);
	CHECK_EQ(epoll_wait(e, &x, 1, 50), 0); /* VMIN not reached */
	CHECK(write(m, "c", 1) == 1);
	CHECK_EQ(epoll_wait(e, &x, 1, 2000), 1);
	CHECK(read(s, b, sizeof b) == 3);
	t.c_cc[VMIN] = 0;
	t.c_cc[VTIME] = 2;
	CHECK(!tcsetattr(s, TCSANOW, &t));
	double t0 = now_s();
	CHECK_EQ(read(s, b, 1), 0);
	CHECK(now_s() - t0 > 0.15);
}

TEST(sigio)
{
	char name[64];
	int m = open_master(name, sizeof name), s = open(name, O_RDWR | O_NOCTTY), p[2];
	signal(SIGIO, note);
	CHECK(!fcntl(s, F_SETOWN, getpid()) && !fcntl(s, F_SETFL, O_RDWR | O_ASYNC));
	CHECK(write(m, "a\n", 2) == 2);
	wait_for(SIGIO);
	got[SIGIO] = 0;
	CHECK(!pipe(p) && !fcntl(p[0], F_SETOWN, getpid()) && !fcntl(p[0], F_SETFL, O_ASYNC));
	CHECK(write(p[1], "x", 1) == 1);
	wait_for(SIGIO);
	signal(SIGRTMIN, note);
	CHECK(!fcntl(p[0], F_SETSIG, SIGRTMIN));
	CHECK(read(p[0], name, 1) == 1 && write(p[1], "x", 1) == 1);
	wait_for(SIGRTMIN);
}

struct ktermios { uint32_t iflag, oflag, cflag, lflag; uint8_t line, cc[19]; }; /* the kernel's, 36 bytes */

TEST(locked_settings)
{
	char name[64];
	int m = open_master(name, sizeof name), s = open(name, O_RDWR | O_NOCTTY);
	struct ktermios lock, none = { 0 };
	struct termios tio;

	CHECK_EQ(ioctl(s, TIOCGLCKTRMIOS, &lock), 0);
	CHECK(!memcmp(&lock, &none, sizeof(lock)));
	lock.lflag = ECHO;
	lock.cc[VINTR] = 1;
	if (geteuid()) {
		CHECK_ERRNO(ioctl(s, TIOCSLCKTRMIOS, &lock), EPERM);
		return;
	}
	CHECK_EQ(ioctl(m, TIOCSLCKTRMIOS, &lock), 0);
	CHECK_EQ(ioctl(s, TIOCGLCKTRMIOS, &none), 0);
	CHECK(!memcmp(&lock, &none, sizeof(lock)));
	CHECK_EQ(tcgetattr(s, &tio), 0);
	tio.c_lflag &= ~(unsigned)(ECHO | ICANON);
	tio.c_cc[VINTR] = 7;
	tio.c_cc[VQUIT] = 8;
	CHECK_EQ(tcsetattr(s, TCSANOW, &tio), 0);
	CHECK_EQ(tcgetattr(s, &tio), 0);
	CHECK((tio.c_lflag & (ECHO | ICANON)) == ECHO && tio.c_cc[VINTR] == 3 && tio.c_cc[VQUIT] == 8);
	CHECK_ERRNO(ioctl(s, TIOCSLCKTRMIOS, 8), EFAULT);
}

TEST(leader_exit_is_no_hangup)
{
	char name[64], b[32];
	int m = open_master(name, sizeof name), p[2], q[2];
	CHECK(!pipe(p) && !pipe(q));
	pid_t k = fork();
	if (!k) {
		int s = lead(name);
		if (!fork()) {
			char c;
			signal(SIGHUP, note);
			signal(SIGCONT, note);
			CHECK(write(p[1], "r", 1) == 1);
			wait_for(SIGHUP);
			CHECK(read(q[0], &c, 1) == 1); /* until the leader was waited for */
			CHECK(!got[SIGCONT]);
			CHECK(write(s, "still", 5) == 5);
			CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
			CHECK_ERRNO(tcgetpgrp(s), ENOTTY);
			CHECK(write(p[1], "d", 1) == 1);
			_exit(0);
		}
		CHECK(read(p[0], b, 1) == 1);
		_exit(0);
	}
	CHECK(waitpid(k, NULL, 0) == k);
	CHECK(write(q[1], "g", 1) == 1);
	CHECK(read(p[0], b, 1) == 1 && b[0] == 'd');
	CHECK(read(m, b, sizeof b) == 5);
	int n = 0;
	CHECK_ERRNO(ioctl(m, TIOCGSID, &n), ENOTTY);
}

TEST(foreground_hears_when_leader_ends)
{
	char name[64], c;
	int m = open_master(name, sizeof name), p[2], q[2];
	CHECK(!pipe(p) && !pipe(q));
	pid_t k = fork();
	if (!k) {
		close(m);
		int s = lead(name);
		signal(SIGHUP, note);
		pid_t f = fork();
		if (!f) {
			setpgid(0, 0);
			signal(SIGHUP, note);
			signal(SIGCONT, note);
			CHECK(write(p[1], "r", 1) == 1);
			CHECK(read(q[0], &c, 1) == 1);
			CHECK(!got[SIGHUP]); /* the leader has had its own, and lives */
			CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
			CHECK(write(p[1], "n", 1) == 1);
			wait_for(SIGHUP);
			wait_for(SIGCONT);
			CHECK(write(p[1], "h", 1) == 1);
			_exit(0);
		}
		setpgid(f, f);
		signal(SIGTTOU, SIG_IGN);
		CHECK(!tcsetpgrp(s, f));
		CHECK(write(p[1], "l", 1) == 1);
		wait_for(SIGHUP);
		CHECK(write(q[1], "x", 1) == 1);
		msleep(50);
		CHECK(read(q[0], &c, 1) == 1 && c == 'e');
		_exit(0);
	}
	CHECK(read(p[0], &c, 1) == 1 && read(p[0], &c, 1) == 1);
	close(m);
	CHECK(read(p[0], &c, 1) == 1 && c == 'n');
	CHECK(write(q[1], "e", 1) == 1);
	CHECK(read(p[0], &c, 1) == 1 && c == 'h');
	CHECK(waitpid(k, NULL, 0) == k);
}

TEST(foreground_of_any_process)
{
	char name[64];
	int m = open_master(name, sizeof name);
	CHECK_EQ(CHILD_STATUS({
		int s = lead(name);
		pid_t k = fork();
		if (!k)
			for (;;)
				pause();
		CHECK(!tcsetpgrp(s, k)); /* in the leader's own group */
		CHECK_EQ(tcgetpgrp(s), k);
		CHECK_EQ(tcgetpgrp(m), k);
		signal(SIGTTOU, SIG_IGN);
		CHECK(!tcsetpgrp(s, getpid()));
		kill(k, SIGKILL);
		waitpid(k, NULL, 0);
		CHECK_ERRNO(tcsetpgrp(s, k), ESRCH);
		/* A group that is gone stays the foreground. */
		k = fork();
		if (!k)
			for (;;)
				pause();
		CHECK(!setpgid(k, k) && !tcsetpgrp(s, k));
		kill(k, SIGKILL);
		waitpid(k, NULL, 0);
		CHECK_EQ(tcgetpgrp(s), k);
	}), 0);
	/* By the master a leader gets the slave. */
	CHECK_EQ(CHILD_STATUS({
		m = open_master(name, sizeof name);
		CHECK(setsid() > 0);
		CHECK(!ioctl(m, TIOCSCTTY, 0));
		CHECK_EQ(tcgetpgrp(m), getpid());
		int t = open("/dev/tty", O_RDWR);
		CHECK(t >= 0 && !fcntl(t, F_SETFL, O_RDWR | O_ASYNC));
		CHECK_EQ(fcntl(t, F_GETOWN), -getpid()); /* the foreground group */
		CHECK_ERRNO(setpgid(-1, 0), EINVAL);
	}), 0);
}
