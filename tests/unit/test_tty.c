/* SPDX-License-Identifier: Apache-2.0 */
/* test_tty.c: the line discipline and both ends of a pseudo-terminal, without tasks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake_user.h"
#include "kernel/fasync.h"
#include "kernel/tty_internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>

/* ---- what tty_job.c, tty_host.c and tasks would do ---- */

static int signals[8], nsignals;
void tty_signal_foreground(struct tty *t, int sig) { (void)t; signals[nsignals++ % 8] = sig; }
int tty_check_change(struct tty *t, int sig) { (void)t; (void)sig; return 0; }
int tty_acquire(struct tty *t, struct task *me, bool steal, bool readable) { (void)t; (void)me; (void)steal; (void)readable; return 0; }
void tty_open_acquires(struct tty *t, struct file *f) { (void)t; (void)f; }
int tty_notty(struct tty *t, struct task *me) { (void)t; (void)me; return 0; }
int tty_get_pgrp(struct tty *t, struct task *me, bool m) { (void)t; (void)me; (void)m; return 1; }
int tty_set_pgrp(struct tty *t, struct task *me, int nr) { (void)t; (void)me; (void)nr; return 0; }
int tty_get_sid(struct tty *t, struct task *me, bool m) { (void)t; (void)me; (void)m; return 1; }
void tty_do_hangup(struct tty *t)
{
	t->gen++;
	wait_queue_wake_all(&t->slave.read_wait, 0);
}
void tty_hangup_master(struct tty *t) { t->master_gen++; }
struct pid *tty_get_foreground(struct tty *t) { (void)t; return NULL; }
void tty_job_init(struct kernel *k) { (void)k; }
void tty_session_put(struct tty *t) { (void)t; }
int tty_host_drain(struct tty *t, bool n, ktime_t d) { (void)t; (void)n; (void)d; return 0; }
void tty_host_free(struct tty_host *h) { (void)h; }
void fasync_init(void) { }
void task_will_block(struct task *t) { (void)t; }
void pid_get(struct pid *p) { (void)p; }
void pid_put(struct pid *p) { (void)p; }

static struct tty *T;
static struct file *M, *SL;
static struct cred *cred;

static ssize_t rd(struct file *f, void *b, size_t n)
{
	struct iov_iter it;
	iov_iter_kernel(&it, b, n);
	return vfs_read(f, &it, NULL);
}
static ssize_t wr(struct file *f, const char *b)
{
	struct iov_iter it;
	iov_iter_kernel(&it, (void *)b, strlen(b));
	return vfs_write(f, &it, NULL);
}
/* What the slave reads next, without waiting; "" for nothing, "<EOF>" for end of file. */
static const char *in(void)
{
	static char b[8192];
	ssize_t n = rd(SL, b, sizeof(b) - 1);
	if (n == -EAGAIN)
		return "";
	if (n < 0)
		return "<error>";
	if (n == 0)
		return "<EOF>";
	b[n] = 0;
	return b;
}
/* What the master sees. */
static const char *out(void)
{
	static char b[8192];
	ssize_t n = rd(M, b, sizeof(b) - 1);
	b[n > 0 ? n : 0] = 0;
	return b;
}
static void mode(unsigned iflag, unsigned oflag, unsigned lflag)
{
	struct termios2 tio;
	assert_int_equal(SL->ops->ioctl(SL, TCGETS2, (uint64_t)&tio), 0);
	tio.c_iflag = iflag;
	tio.c_oflag = oflag;
	tio.c_lflag = lflag;
	assert_int_equal(SL->ops->ioctl(SL, TCSETS2, (uint64_t)&tio), 0);
}

static void world(void *arg)
{
	(void)arg;
	static const struct file_ops none;
	int off = 0;
	struct user_namespace *u = user_ns_create_root();
	cred = cred_create_root(u);
	fiber_context()->cred = cred;
	T = tty_pty_create(NULL, 0);
	assert_int_equal(anon_file("m", S_IFCHR | 0600, &none, NULL, O_RDWR | O_NONBLOCK, &M), 0);
	assert_int_equal(tty_open_master(T, M), 0);
	assert_int_equal(anon_file("s", S_IFCHR | 0600, &none, NULL, O_RDWR | O_NONBLOCK, &SL), 0);
	assert_int_equal(tty_open_slave(T, SL), -EIO); /* locked */
	assert_int_equal(M->ops->ioctl(M, TIOCSPTLCK, (uint64_t)&off), 0);
	assert_int_equal(tty_open_slave(T, SL), 0);
	body();
	file_put(SL);
	file_put(M);
	fiber_context()->cred = NULL;
	cred_put(cred);
	user_ns_put(u);
	sched_stop(S, 0);
}
static void canon_body(void)
{
	wr(M, "hello");
	assert_string_equal(in(), "");
	assert_string_equal(out(), "hello");
	wr(M, "\r");
	assert_string_equal(out(), "\r\n");
	assert_string_equal(in(), "hello\n");
	wr(M, "ab\177c\n"); /* erase */
	assert_string_equal(out(), "ab\b \bc\r\n");
	assert_string_equal(in(), "ac\n");
	wr(M, "one two\027X\n"); /* word erase */
	assert_string_equal(in(), "one X\n");
	wr(M, "junk\025good\n"); /* kill */
	assert_string_equal(in(), "good\n");
	out();
	wr(M, "a\026\177b\n"); /* literal next */
	assert_string_equal(out(), "a^\b^?b\r\n");
	assert_string_equal(in(), "a\177b\n");
	wr(M, "par\004"); /* end of file in a line: what is there */
	assert_string_equal(in(), "par");
	wr(M, "\004");
	assert_string_equal(in(), "<EOF>");
	char b[4];
	wr(M, "abc\004");
	assert_int_equal(rd(SL, b, 3), 3);
	assert_string_equal(in(), ""); /* the mark went with the exact fill */
	wr(M, "l1\nl2\n");
	int n;
	assert_int_equal(SL->ops->ioctl(SL, FIONREAD, (uint64_t)&n), 0);
	assert_int_equal(n, 6);
	assert_string_equal(in(), "l1\n");
	assert_string_equal(in(), "l2\n");
	out();
	wr(M, "x\003y\n"); /* signal, flush, echo */
	assert_int_equal(nsignals, 1);
	assert_int_equal(signals[0], SIGINT);
	assert_string_equal(out(), "^Cy\r\n");
	assert_string_equal(in(), "y\n");
	wr(M, "\034\032");
	assert_int_equal(signals[1], SIGQUIT);
	assert_int_equal(signals[2], SIGTSTP);
	out();
	wr(M, "\n"); /* column 0 again */
	in();
	out();
	wr(M, "a\tb\177\177\n"); /* a tab is wiped at its width */
	assert_string_equal(out(), "a\tb\b \b\b\b\b\b\b\b\b\r\n");
	in();
	/* UTF-8 */
	mode(ICRNL | IXON | IUTF8, OPOST | ONLCR, ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN);
	wr(M, "\303\251\177z\n");
	assert_string_equal(out(), "\303\251\b \bz\r\n");
	assert_string_equal(in(), "z\n");
	/* a line too long keeps its end */
	static char longline[5001];
	memset(longline, 'q', 5000);
	wr(M, longline);
	wr(M, "\n");
	assert_int_equal(strlen(in()), 4096);
	out();
	out();
}
static void test_canon(void **s) { (void)s; nsignals = 0; in_world(canon_body); }

static void modes_body(void)
{
	mode(0, 0, 0); /* raw */
	wr(M, "a\r\003\177");
	assert_string_equal(in(), "a\r\003\177");
	assert_string_equal(out(), "");
	wr(SL, "x\n");
	assert_string_equal(out(), "x\n");
	mode(ICRNL | IXON, OPOST | ONLCR | XTABS, ICANON | ECHOPRT | ECHO | ECHOE);
	wr(SL, "a\tb\n");
	assert_string_equal(out(), "a       b\r\n");
	wr(M, "ab\177\177c\n");
	assert_string_equal(out(), "ab\\ba/c\r\n");
	assert_string_equal(in(), "c\n");
	/* flow control */
	wr(M, "\023");
	assert_int_equal(wr(SL, "late"), -EAGAIN);
	assert_string_equal(out(), "");
	wr(M, "\021");
	assert_int_equal(wr(SL, "late"), 4);
	assert_string_equal(out(), "late");
	/* VMIN and VTIME */
	mode(0, 0, 0);
	T->termios.c_cc[VMIN] = 0;
	T->termios.c_cc[VTIME] = 1;
	SL->flags &= ~O_NONBLOCK;
	ktime_t t0 = ktime_mono();
	assert_string_equal(in(), "<EOF>");
	assert_true(ktime_mono() - t0 >= 100 * NSEC_PER_MSEC);
	SL->flags |= O_NONBLOCK;
	/* leaving raw mode: what was typed is a line */
	T->termios.c_cc[VMIN] = 1;
	wr(M, "typed");
	mode(ICRNL, OPOST, ICANON);
	assert_string_equal(in(), "typed");
	/* packet mode */
	int on = 1;
	assert_int_equal(M->ops->ioctl(M, TIOCPKT, (uint64_t)&on), 0);
	wr(SL, "data");
	char b[16];
	assert_int_equal(rd(M, b, sizeof(b)), 5);
	assert_int_equal(b[0], TIOCPKT_DATA);
	assert_int_equal(SL->ops->ioctl(SL, TCFLSH, TCIFLUSH), 0);
	assert_true(vfs_poll(M, NULL) & EPOLLPRI);
	assert_int_equal(rd(M, b, sizeof(b)), 1);
	assert_int_equal(b[0], TIOCPKT_FLUSHREAD);
	/* window size */
	struct winsize_k ws = { 24, 80, 0, 0 }, got;
	nsignals = 0;
	assert_int_equal(M->ops->ioctl(M, TIOCSWINSZ, (uint64_t)&ws), 0);
	assert_int_equal(nsignals, 1);
	assert_int_equal(SL->ops->ioctl(SL, TIOCGWINSZ, (uint64_t)&got), 0);
	assert_memory_equal(&ws, &got, sizeof(ws));
	assert_int_equal(M->ops->ioctl(M, TIOCSWINSZ, (uint64_t)&ws), 0);
	assert_int_equal(nsignals, 1);
	/* back-pressure */
	on = 0;
	M->ops->ioctl(M, TIOCPKT, (uint64_t)&on);
	static char big[40001];
	memset(big, 'x', 40000);
	assert_in_range(wr(SL, big), 12000, 16000);
	assert_int_equal(vfs_poll(SL, NULL) & EPOLLOUT, 0);
	while (*out())
		;
	assert_true(vfs_poll(SL, NULL) & EPOLLOUT);
	mode(0, 0, 0);
	int taken = wr(M, big);
	assert_in_range(taken, 12000, 16000);
	int total = 0;
	for (const char *p = in(); *p; p = in())
		total += strlen(p);
	assert_int_equal(total, taken);
}
static void test_modes(void **s) { (void)s; in_world(modes_body); }

static void close_body(void)
{
	char b[4];
	file_get(SL);
	SL->ops->release(SL);
	tty_get(T);
	assert_int_equal(rd(M, b, 1), -EIO);
	assert_true(vfs_poll(M, NULL) & EPOLLHUP);
	assert_int_equal(tty_open_slave(T, SL), 0);
	file_put(SL);
	tty_put(T);
	assert_int_equal(rd(M, b, 1), -EAGAIN);
	tty_get(T);
	file_put(M);
	assert_int_equal(rd(SL, b, 1), 0);
	assert_int_equal(wr(SL, "x"), -EIO);
	assert_int_equal(SL->ops->ioctl(SL, TIOCGWINSZ, (uint64_t)b), -EIO);
	static const struct file_ops none;
	assert_int_equal(anon_file("m", S_IFCHR | 0600, &none, NULL, O_RDWR, &M), 0);
	tty_put(T);
}
static void test_close(void **s) { (void)s; in_world(close_body); }

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_canon), cmocka_unit_test(test_modes), cmocka_unit_test(test_close) };
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
