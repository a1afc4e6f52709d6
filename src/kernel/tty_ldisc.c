/* SPDX-License-Identifier: Apache-2.0 */
/* tty_ldisc.c: the line discipline (termios(3), Linux's drivers/tty/n_tty.c for what it leaves open).
 *
 * OVERVIEW  Bytes of the keyboard come in through ldisc_receive(): signals, flow control, line editing and echo happen there.
 * `in` is a ring with three places: tail (next to be read), canon (end of the last complete line), head. In canonical mode
 * a reader sees only what lies before canon; delim bits mark where lines end, an end-of-file mark is a NUL with its bit set.
 * Bytes of programs go out through ldisc_output(), which does the OPOST work and keeps the column.
 * LOCKS  Everything runs under tty->lock; signals are sent under it (task_set.lock comes after it).
 */
#include "kernel/tty_internal.h"
#include <ctype.h>
#include <signal.h>
#include <sys/ioctl.h>

#define MASK (N_TTY_BUF - 1)
#define EOF_MARK 0 /* _POSIX_VDISABLE */

static inline bool ctrl(uint8_t c) { return c < 32 || c == 127; }
static inline bool continuation(const struct tty *t, uint8_t c) { return I_FLAG(t, IUTF8) && (c & 0xc0) == 0x80; }
static inline uint8_t in_at(const struct tty *t, unsigned pos) { return t->in[pos & MASK]; }
static inline bool delim_at(const struct tty *t, unsigned pos) { return t->delim[(pos & MASK) / 64] >> (pos % 64) & 1; }
static inline void delim_set(struct tty *t, unsigned pos) { t->delim[(pos & MASK) / 64] |= 1ULL << (pos % 64); }
static inline void delim_clear(struct tty *t, unsigned pos) { t->delim[(pos & MASK) / 64] &= ~(1ULL << (pos % 64)); }

/* ---- output ---- */

void tty_wake_output(struct tty *t)
{
	if (wait_queue_active(&t->master_read_wait))
		wait_queue_wake_all(&t->master_read_wait, TTY_IN);
	if (unlikely(t->nasync))
		tty_sigio(t, true, POLL_IN);
}

/* One byte with the OPOST work into r, which has room for 8. */
static void post_process(struct tty *t, struct tty_ring *r, uint8_t c)
{
	switch (c) {
	case '\n':
		if (O_FLAG(t, ONLRET))
			t->column = 0;
		if (O_FLAG(t, ONLCR)) {
			t->column = t->canon_column = 0;
			ring_put(r, '\r');
			break;
		}
		t->canon_column = t->column;
		break;
	case '\r':
		if (O_FLAG(t, ONOCR) && t->column == 0)
			return;
		if (O_FLAG(t, OCRNL)) {
			c = '\n';
			if (O_FLAG(t, ONLRET))
				t->canon_column = t->column = 0;
			break;
		}
		t->canon_column = t->column = 0;
		break;
	case '\t': {
		unsigned spaces = 8 - (t->column & 7);
		t->column += spaces;
		if (O_FLAG(t, TABDLY) == XTABS) {
			while (spaces--)
				ring_put(r, ' ');
			return;
		}
		break;
	}
	case '\b':
		if (t->column > 0)
			t->column--;
		break;
	default:
		if (!ctrl(c)) {
			if (O_FLAG(t, OLCUC))
				c = toupper(c);
			if (!continuation(t, c))
				t->column++;
		}
	}
	ring_put(r, c);
}

unsigned ldisc_output(struct tty *t, const uint8_t *buf, unsigned n)
{
	unsigned done = 0;

	ldisc_flush_echoes(t);
	if (t->stopped || ring_used(&t->echo))
		return 0;
	if (!O_FLAG(t, OPOST)) {
		done = MIN(n, ring_room(&t->out));
		for (unsigned i = 0; i < done; i++)
			ring_put(&t->out, buf[i]);
	} else {
		while (done < n && ring_room(&t->out) >= 8)
			post_process(t, &t->out, buf[done++]);
	}
	if (done)
		tty_wake_output(t);
	return done;
}

/* ---- echo ---- */

/* A byte of echo goes out at once, or waits while output is stopped. What does not fit is lost, as on a slow line. */
static void echo_out(struct tty *t, uint8_t c)
{
	struct tty_ring *r = t->stopped || ring_used(&t->echo) ? &t->echo : &t->out;

	if (ring_room(r) < 8)
		r = &t->echo;
	if (ring_room(r) < 8)
		return;
	if (O_FLAG(t, OPOST))
		post_process(t, r, c);
	else
		ring_put(r, c);
}

void ldisc_flush_echoes(struct tty *t)
{
	if (likely(!ring_used(&t->echo)) || t->stopped)
		return;
	while (ring_used(&t->echo) && ring_room(&t->out))
		ring_put(&t->out, ring_get(&t->echo));
	tty_wake_output(t);
}

static void echo_char(struct tty *t, uint8_t c)
{
	if (L_FLAG(t, ECHOCTL) && ctrl(c) && c != '\t') {
		echo_out(t, '^');
		echo_out(t, c ^ 0100);
	} else {
		echo_out(t, c);
	}
}

static void finish_erasing(struct tty *t)
{
	if (t->erasing)
		echo_out(t, '/');
	t->erasing = false;
}

static void echo_backspace(struct tty *t)
{
	echo_out(t, '\b');
	echo_out(t, ' ');
	echo_out(t, '\b');
}

/* Go back over a tab: its width is what the rest of the line leaves of eight. */
static void echo_erase_tab(struct tty *t, unsigned upto)
{
	unsigned chars = 0, pos = upto;
	bool after_tab = false;

	while (pos != t->canon) {
		uint8_t c = in_at(t, --pos);
		if (c == '\t') {
			after_tab = true;
			break;
		}
		if (ctrl(c))
			chars += L_FLAG(t, ECHOCTL) ? 2 : 0;
		else if (!continuation(t, c))
			chars++;
	}
	if (!after_tab)
		chars += t->canon_column;
	for (unsigned n = 8 - (chars & 7); n; n--) {
		if (ring_room(&t->out) < 8)
			return;
		ring_put(t->stopped ? &t->echo : &t->out, '\b');
		if (t->column > 0)
			t->column--;
	}
}

/* VERASE, VWERASE, VKILL */
static void erase(struct tty *t, uint8_t c)
{
	bool word = is_cc(t, VWERASE, c) && L_FLAG(t, IEXTEN), one = is_cc(t, VERASE, c), kill = !one && !word, seen_word = false;

	if (t->head == t->canon)
		return;
	if (kill && (!L_FLAG(t, ECHO) || !L_FLAG(t, ECHOK) || !L_FLAG(t, ECHOKE) || !L_FLAG(t, ECHOE))) {
		t->head = t->canon;
		if (!L_FLAG(t, ECHO))
			return;
		finish_erasing(t);
		echo_char(t, CC(t, VKILL));
		if (L_FLAG(t, ECHOK)) /* a line that cannot be wiped ends here */
			echo_out(t, '\n');
		return;
	}
	while (t->head != t->canon) {
		unsigned at = t->head;
		uint8_t e;

		do { /* a character may be several bytes */
			e = in_at(t, --at);
		} while (continuation(t, e) && at != t->canon);
		if (continuation(t, e))
			break;
		if (word) {
			if (isalnum(e) || e == '_')
				seen_word = true;
			else if (seen_word)
				break;
		}
		unsigned bytes = t->head - at;
		t->head = at;
		if (L_FLAG(t, ECHO)) {
			if (L_FLAG(t, ECHOPRT)) {
				if (!t->erasing)
					echo_out(t, '\\');
				t->erasing = true;
				echo_char(t, e);
				for (unsigned i = 1; i < bytes; i++)
					echo_out(t, in_at(t, at + i));
			} else if (one && !L_FLAG(t, ECHOE)) {
				echo_char(t, CC(t, VERASE));
			} else if (e == '\t') {
				echo_erase_tab(t, at);
			} else {
				if (ctrl(e) && L_FLAG(t, ECHOCTL))
					echo_backspace(t);
				if (!ctrl(e) || L_FLAG(t, ECHOCTL))
					echo_backspace(t);
			}
		}
		if (one)
			break;
	}
	if (t->head == t->canon && L_FLAG(t, ECHO))
		finish_erasing(t);
}

/* ---- flow control and flushing ---- */

void tty_pkt(struct tty *t, uint8_t set, uint8_t clear)
{
	if (!t->packet)
		return;
	t->pktstatus = (t->pktstatus & ~clear) | set;
	wait_queue_wake_all(&t->master_read_wait, TTY_IN | EPOLLPRI);
}

void tty_stop(struct tty *t)
{
	if (t->stopped)
		return;
	t->stopped = true;
	tty_pkt(t, TIOCPKT_STOP, TIOCPKT_START);
}

void tty_start(struct tty *t)
{
	if (!t->stopped || t->tco_stopped)
		return;
	t->stopped = false;
	tty_pkt(t, TIOCPKT_START, TIOCPKT_STOP);
	ldisc_flush_echoes(t);
	wait_queue_wake_all(&t->write_wait, TTY_OUT);
}

void ldisc_flush_input(struct tty *t)
{
	t->head = t->tail = t->canon = 0;
	memset(t->delim, 0, sizeof(t->delim));
	t->lnext = t->erasing = t->push = false;
	t->inq.head = t->inq.tail = 0;
	tty_pkt(t, TIOCPKT_FLUSHREAD, 0);
	wait_queue_wake_all(&t->master_write_wait, TTY_OUT);
}

void tty_flush_output(struct tty *t)
{
	t->out.head = t->out.tail = 0;
	t->echo.head = t->echo.tail = 0;
	tty_pkt(t, TIOCPKT_FLUSHWRITE, 0);
	wait_queue_wake_all(&t->write_wait, TTY_OUT);
}

/* ---- input ---- */

static inline void put_in(struct tty *t, uint8_t c) { t->in[t->head++ & MASK] = c; }

static inline void wake_reader(struct tty *t)
{
	if (wait_queue_active(&t->read_wait))
		wait_queue_wake_all(&t->read_wait, TTY_IN);
	if (unlikely(t->nasync))
		tty_sigio(t, false, POLL_IN);
}

static void put_parmrk(struct tty *t, uint8_t c)
{
	if (c == 0377 && I_FLAG(t, PARMRK))
		put_in(t, c);
	put_in(t, c);
}

static void end_line(struct tty *t, uint8_t c)
{
	if (c == 0377 && I_FLAG(t, PARMRK))
		put_in(t, c);
	delim_set(t, t->head);
	put_in(t, c);
	t->canon = t->head;
	wake_reader(t);
}

static void ordinary(struct tty *t, uint8_t c)
{
	if (L_FLAG(t, ECHO)) {
		finish_erasing(t);
		if (c == '\n' && !t->lnext) {
			echo_out(t, '\n');
		} else {
			if (t->canon == t->head)
				t->canon_column = t->column;
			echo_char(t, c);
		}
	}
	delim_clear(t, t->head);
	put_parmrk(t, c);
}

static bool input_signal(struct tty *t, uint8_t c)
{
	int sig = is_cc(t, VINTR, c) ? SIGINT : is_cc(t, VQUIT, c) ? SIGQUIT : is_cc(t, VSUSP, c) ? SIGTSTP : 0;

	if (!sig)
		return false;
	if (!L_FLAG(t, NOFLSH)) {
		tty_flush_output(t);
		ldisc_flush_input(t);
	}
	tty_signal_foreground(t, sig);
	if (I_FLAG(t, IXON))
		tty_start(t);
	if (L_FLAG(t, ECHO))
		echo_char(t, c);
	return true;
}

/* Line editing; false: an ordinary character. */
static bool canonical(struct tty *t, uint8_t c)
{
	bool ext = L_FLAG(t, IEXTEN);

	if (is_cc(t, VERASE, c) || is_cc(t, VKILL, c) || (ext && is_cc(t, VWERASE, c))) {
		erase(t, c);
		return true;
	}
	if (ext && is_cc(t, VLNEXT, c)) {
		t->lnext = true;
		if (L_FLAG(t, ECHO)) {
			finish_erasing(t);
			if (L_FLAG(t, ECHOCTL)) {
				echo_out(t, '^');
				echo_out(t, '\b');
			}
		}
		return true;
	}
	if (ext && L_FLAG(t, ECHO) && is_cc(t, VREPRINT, c)) {
		finish_erasing(t);
		echo_char(t, c);
		echo_out(t, '\n');
		for (unsigned p = t->canon; p != t->head; p++)
			echo_char(t, in_at(t, p));
		return true;
	}
	if (c == '\n') {
		if (L_FLAG(t, ECHO) || L_FLAG(t, ECHONL))
			echo_out(t, '\n');
		end_line(t, c);
		return true;
	}
	if (is_cc(t, VEOF, c)) {
		end_line(t, EOF_MARK);
		return true;
	}
	if (is_cc(t, VEOL, c) || (ext && is_cc(t, VEOL2, c))) {
		if (L_FLAG(t, ECHO)) {
			if (t->canon == t->head)
				t->canon_column = t->column;
			echo_char(t, c);
		}
		end_line(t, c);
		return true;
	}
	return false;
}

static void receive_char(struct tty *t, uint8_t c)
{
	if (I_FLAG(t, ISTRIP))
		c &= 0177;
	if (I_FLAG(t, IUCLC) && L_FLAG(t, IEXTEN))
		c = tolower(c);
	if (L_FLAG(t, EXTPROC)) {
		delim_clear(t, t->head);
		put_in(t, c);
		return;
	}
	if (t->lnext) {
		ordinary(t, c);
		t->lnext = false;
		return;
	}
	if (I_FLAG(t, IXON)) {
		if (is_cc(t, VSTART, c)) {
			tty_start(t);
			return;
		}
		if (is_cc(t, VSTOP, c)) {
			tty_stop(t);
			return;
		}
	}
	if (L_FLAG(t, ISIG) && input_signal(t, c))
		return;
	if (t->stopped && I_FLAG(t, IXON) && I_FLAG(t, IXANY))
		tty_start(t);
	if (c == '\r') {
		if (I_FLAG(t, IGNCR))
			return;
		if (I_FLAG(t, ICRNL))
			c = '\n';
	} else if (c == '\n' && I_FLAG(t, INLCR)) {
		c = '\r';
	}
	if (L_FLAG(t, ICANON) && canonical(t, c))
		return;
	ordinary(t, c);
}

unsigned ldisc_receive(struct tty *t, const uint8_t *buf, unsigned n)
{
	unsigned done = 0, before = t->head;

	while (done < n) {
		int room = (int)(N_TTY_BUF - (t->head - t->tail));
		if (I_FLAG(t, PARMRK))
			room = (room + 2) / 3;
		room--;
		if (room <= 0) {
			/* A line that fills the buffer can still be ended or edited: its last character gives way. */
			if (!L_FLAG(t, ICANON) || t->canon != t->tail)
				break;
			if (room < 0)
				t->head--;
		}
		receive_char(t, buf[done++]);
	}
	if (!L_FLAG(t, ICANON) && t->head != before)
		wake_reader(t);
	if (ring_used(&t->out))
		tty_wake_output(t);
	return done;
}

void ldisc_pull_inq(struct tty *t)
{
	bool any = false;

	while (ring_used(&t->inq)) {
		uint8_t c = t->inq.buf[t->inq.tail & (t->inq.size - 1)];
		if (!ldisc_receive(t, &c, 1))
			break;
		if (ring_used(&t->inq)) /* VINTR flushes it */
			t->inq.tail++;
		any = true;
	}
	if (any)
		wait_queue_wake_all(&t->master_write_wait, TTY_OUT);
}

bool ldisc_input_available(struct tty *t, bool poll)
{
	unsigned want = poll && !CC(t, VTIME) && CC(t, VMIN) ? CC(t, VMIN) : 1;

	if (L_FLAG(t, ICANON) && !L_FLAG(t, EXTPROC))
		return t->canon != t->tail;
	return t->head - t->tail >= want;
}

unsigned ldisc_inq_bytes(struct tty *t)
{
	if (!L_FLAG(t, ICANON) || L_FLAG(t, EXTPROC))
		return t->head - t->tail;
	unsigned n = 0;
	for (unsigned p = t->tail; p != t->canon; p++)
		n += !(delim_at(t, p) && in_at(t, p) == EOF_MARK);
	return n;
}

void ldisc_termios_changed(struct tty *t, const struct termios2 *old)
{
	if ((old->c_lflag ^ t->termios.c_lflag) & (ICANON | EXTPROC)) {
		memset(t->delim, 0, sizeof(t->delim));
		if (!L_FLAG(t, ICANON) || t->head == t->tail) {
			t->canon = t->tail;
			t->push = false;
		} else { /* what was typed so far is a line */
			delim_set(t, t->head - 1);
			t->canon = t->head;
			t->push = true;
		}
		t->erasing = t->lnext = false;
	}
	if (!I_FLAG(t, IXON) && (old->c_iflag & IXON))
		tty_start(t);
	wait_queue_wake_all(&t->read_wait, TTY_IN);
	wait_queue_wake_all(&t->write_wait, TTY_OUT);
}
