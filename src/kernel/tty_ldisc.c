/* SPDX-License-Identifier: Apache-2.0 */
/* tty_ldisc.c: the line discipline (termios(3); for what that leaves open, as Linux's behaves).
 *
 * OVERVIEW  Bytes of the keyboard come in through ldisc_receive(): signals, flow control, line editing and echo happen there.
 * `in` is a ring with three places: tail (next to be read), canon (end of the last complete line), head. In canonical mode
 * a reader sees only what lies before canon; delim bits mark where lines end, an end-of-file mark is a NUL with its bit set.
 * Bytes of programs go out through ldisc_output(), which does the OPOST work and keeps the column.
 * Echoes are not written as they arise but noted in `echo` and written when a batch of input is through: a signal character drops
 * those of its batch, stopped output keeps them, and what depends on the column is computed when they are written.
 * LOCKS  Everything runs under tty->lock; signals are sent under it (task_set.lock comes after it).
 */
#include "kernel/tty_internal.h"
#include <signal.h>
#include <sys/ioctl.h>

#define MASK (N_TTY_BUF - 1)
#define EOF_MARK 0 /* _POSIX_VDISABLE */

/* In `echo`: ECHO_OP and one of these, or a control character to be shown as ^X, or ECHO_OP for the byte itself. */
#define ECHO_OP 0xff
enum { ECHO_BACK_COLUMN = 0x80, ECHO_CANON_COLUMN = 0x81, ECHO_ERASE_TAB = 0x82 /* and the columns since a tab (bit 7) or the start */ };
#define ECHO_BATCH 256u /* so many are written before a batch of input is through */
#define ECHO_KEPT (N_TTY_BUF - ECHO_BATCH - 32)

/* Characters are Latin-1. */
static inline bool ctrl(uint8_t c) { return c < 32 || c == 127; }
static inline bool upper(uint8_t c) { return (c >= 'A' && c <= 'Z') || (c >= 0xc0 && c <= 0xde && c != 0xd7); }
static inline bool lower(uint8_t c) { return (c >= 'a' && c <= 'z') || (c >= 0xdf && c != 0xf7); }
static inline bool word_char(uint8_t c) { return upper(c) || lower(c) || (c >= '0' && c <= '9') || c == '_'; }
static inline bool continuation(const struct tty *t, uint8_t c) { return I_FLAG(t, IUTF8) && (c & 0xc0) == 0x80; }
static inline uint8_t in_at(const struct tty *t, unsigned pos) { return t->in[pos & MASK]; }
static inline bool delim_at(const struct tty *t, unsigned pos) { return t->delim[(pos & MASK) / 64] >> (pos % 64) & 1; }
static inline void delim_set(struct tty *t, unsigned pos) { t->delim[(pos & MASK) / 64] |= 1ULL << (pos % 64); }

/* ---- output ---- */

void master_receive(struct tty *t)
{
	bool any = false;
	uint8_t *p;
	unsigned n;

	if (t->host)
		return;
	while ((n = flip_peek(&t->master.flip, &p))) {
		n = MIN(n, ring_room(&t->out) - 1);
		if (!n)
			break;
		for (unsigned i = 0; i < n; i++)
			ring_put(&t->out, p[i]);
		t->master.flip.head->read += n;
		any = true;
	}
	if (!any)
		return;
	if (wait_queue_active(&t->master.read_wait))
		wait_queue_wake_all(&t->master.read_wait, TTY_IN);
	if (unlikely(t->nasync))
		tty_sigio(t, true, POLL_IN);
}

int tty_write_space(struct tty *t)
{
	if (t->slave.stopped)
		return 0;
	return t->host ? (int)ring_room(&t->out) : flip_space(&t->master.flip);
}

static unsigned put_driver(struct tty *t, const void *buf, unsigned n)
{
	if (t->slave.stopped)
		return 0;
	if (!t->host)
		return flip_insert(&t->master.flip, buf, n);
	n = MIN(n, ring_room(&t->out));
	for (unsigned i = 0; i < n; i++)
		ring_put(&t->out, ((const uint8_t *)buf)[i]);
	return n;
}

/* What put_driver() took is on its way; while input is received, only when all of it is through: a signal character may still drop it. */
static void push_driver(struct tty *t)
{
	if (t->receiving)
		return;
	if (!t->host)
		master_receive(t);
	else if (wait_queue_active(&t->master.read_wait))
		wait_queue_wake_all(&t->master.read_wait, TTY_IN);
}

unsigned tty_driver_write(struct tty *t, const uint8_t *buf, unsigned n)
{
	n = put_driver(t, buf, n);
	if (n)
		push_driver(t);
	return n;
}

/* One byte with the OPOST work: bytes of output, or -1 if there is no space for all of them. */
static int output_char(struct tty *t, uint8_t c, int space)
{
	if (space <= 0)
		return -1;
	switch (c) {
	case '\n':
		if (O_FLAG(t, ONLRET))
			t->column = 0;
		if (O_FLAG(t, ONLCR)) {
			if (space < 2)
				return -1;
			t->column = t->canon_column = 0;
			put_driver(t, "\r\n", 2);
			return 2;
		}
		t->canon_column = t->column;
		break;
	case '\r':
		if (O_FLAG(t, ONOCR) && t->column == 0)
			return 0;
		if (O_FLAG(t, OCRNL)) {
			c = '\n';
			if (O_FLAG(t, ONLRET))
				t->canon_column = t->column = 0;
			break;
		}
		t->canon_column = t->column = 0;
		break;
	case '\t': {
		int spaces = 8 - (t->column & 7);
		if (O_FLAG(t, TABDLY) == XTABS) {
			if (space < spaces)
				return -1;
			t->column += spaces;
			put_driver(t, "        ", spaces);
			return spaces;
		}
		t->column += spaces;
		break;
	}
	case '\b':
		if (t->column > 0)
			t->column--;
		break;
	default:
		if (!ctrl(c)) {
			if (O_FLAG(t, OLCUC) && lower(c))
				c -= 32;
			if (!continuation(t, c))
				t->column++;
		}
	}
	put_driver(t, &c, 1);
	return 1;
}

/* Leading bytes that go out as they are; keeps the column. */
static unsigned plain_run(struct tty *t, const uint8_t *buf, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		uint8_t c = buf[i];
		if (c == '\t')
			break;
		if (c == '\n') {
			if (O_FLAG(t, ONLRET))
				t->column = 0;
			if (O_FLAG(t, ONLCR))
				break;
			t->canon_column = t->column;
		} else if (c == '\r') {
			if (O_FLAG(t, OCRNL) || (O_FLAG(t, ONOCR) && t->column == 0))
				break;
			t->canon_column = t->column = 0;
		} else if (c == '\b') {
			if (t->column > 0)
				t->column--;
		} else if (!ctrl(c)) {
			if (O_FLAG(t, OLCUC))
				break;
			if (!continuation(t, c))
				t->column++;
		}
	}
	return i;
}

unsigned ldisc_output(struct tty *t, const uint8_t *buf, unsigned n)
{
	unsigned done = 0;

	if (!O_FLAG(t, OPOST))
		return tty_driver_write(t, buf, n);
	while (done < n) {
		int space = tty_write_space(t);
		if (space <= 0)
			break;
		unsigned run = plain_run(t, buf + done, MIN(n - done, (unsigned)space));
		run = run ? put_driver(t, buf + done, run) : 0;
		done += run;
		if (done == n || output_char(t, buf[done], tty_write_space(t)) < 0)
			break;
		done++;
	}
	if (done)
		push_driver(t);
	return done;
}

/* ---- echo ---- */

static inline uint8_t echo_at(const struct tty *t, unsigned pos) { return t->echo[pos & MASK]; }
static inline void echo_put(struct tty *t, uint8_t c) { t->echo[t->echo_head++ & MASK] = c; }

/* One echo at `at`: its length there, or 0 if there is no space for it now. */
static unsigned write_echo(struct tty *t, unsigned at, int *space)
{
	uint8_t c = echo_at(t, at);
	int n;

	if (c != ECHO_OP) {
		if (O_FLAG(t, OPOST)) {
			n = output_char(t, c, *space);
			if (n < 0)
				return 0;
			*space -= n;
		} else {
			if (*space <= 0)
				return 0;
			put_driver(t, &c, 1);
			--*space;
		}
		return 1;
	}
	switch (c = echo_at(t, at + 1)) {
	case ECHO_ERASE_TAB:
		n = echo_at(t, at + 2);
		if (!(n & 0x80)) /* since the start of the line, which is anywhere on the screen */
			n += t->canon_column;
		n = 8 - (n & 7);
		if (n > *space)
			return 0;
		*space -= n;
		while (n--) {
			put_driver(t, "\b", 1);
			if (t->column > 0)
				t->column--;
		}
		return 3;
	case ECHO_CANON_COLUMN:
		t->canon_column = t->column;
		return 2;
	case ECHO_BACK_COLUMN:
		if (t->column > 0)
			t->column--;
		return 2;
	case ECHO_OP:
		if (*space <= 0)
			return 0;
		put_driver(t, &c, 1);
		t->column++;
		--*space;
		return 2;
	}
	if (*space < 2)
		return 0;
	put_driver(t, "^", 1);
	c ^= 0100;
	put_driver(t, &c, 1);
	t->column += 2;
	*space -= 2;
	return 2;
}

static void write_echoes(struct tty *t)
{
	int space = tty_write_space(t), before = space;
	unsigned n;

	while ((t->echo_commit & MASK) != (t->echo_tail & MASK)) {
		n = write_echo(t, t->echo_tail, &space);
		if (!n)
			break;
		t->echo_tail += n;
	}
	/* The oldest are lost when too many wait. */
	while ((int)(t->echo_commit - t->echo_tail) >= (int)ECHO_KEPT)
		t->echo_tail += echo_at(t, t->echo_tail) != ECHO_OP ? 1 : echo_at(t, t->echo_tail + 1) == ECHO_ERASE_TAB ? 3 : 2;
	if (space != before)
		push_driver(t);
}

static void commit_echoes(struct tty *t)
{
	unsigned old = t->echo_commit - t->echo_tail, n = t->echo_head - t->echo_tail;

	t->echo_mark = t->echo_head;
	if (n < ECHO_BATCH || n % ECHO_BATCH > old % ECHO_BATCH)
		return;
	t->echo_commit = t->echo_head;
	write_echoes(t);
}

void ldisc_process_echoes(struct tty *t)
{
	if (likely(t->echo_mark == t->echo_tail))
		return;
	t->echo_commit = t->echo_mark;
	write_echoes(t);
}

static void flush_echoes(struct tty *t)
{
	if (!L_FLAG(t, ECHO | ECHONL) || t->echo_commit == t->echo_head)
		return;
	t->echo_commit = t->echo_head;
	write_echoes(t);
}

static void echo_op(struct tty *t, uint8_t op)
{
	echo_put(t, ECHO_OP);
	echo_put(t, op);
}

static void echo_raw(struct tty *t, uint8_t c)
{
	if (c == ECHO_OP)
		echo_put(t, ECHO_OP);
	echo_put(t, c);
}

static void echo_char(struct tty *t, uint8_t c)
{
	if (c == ECHO_OP || (L_FLAG(t, ECHOCTL) && ctrl(c) && c != '\t'))
		echo_put(t, ECHO_OP);
	echo_put(t, c);
}

static void finish_erasing(struct tty *t)
{
	if (t->erasing)
		echo_raw(t, '/');
	t->erasing = false;
}

static void echo_backspace(struct tty *t)
{
	echo_raw(t, '\b');
	echo_raw(t, ' ');
	echo_raw(t, '\b');
}

/* Go back over a tab: its width is what the rest of the line leaves of eight. */
static void echo_erase_tab(struct tty *t)
{
	unsigned columns = 0, pos = t->head;
	bool after_tab = false;

	while (pos != t->canon) {
		uint8_t c = in_at(t, --pos);
		if (c == '\t') {
			after_tab = true;
			break;
		}
		if (ctrl(c))
			columns += L_FLAG(t, ECHOCTL) ? 2 : 0;
		else if (!continuation(t, c))
			columns++;
	}
	echo_op(t, ECHO_ERASE_TAB);
	echo_put(t, (columns & 7) | (after_tab ? 0x80 : 0));
}

/* VERASE, VWERASE, VKILL */
static void erase(struct tty *t, uint8_t c)
{
	bool one = is_cc(t, VERASE, c), word = !one && is_cc(t, VWERASE, c), kill = !one && !word, seen_word = false;

	if (t->head == t->canon)
		return;
	if (kill && (!L_FLAG(t, ECHO) || !L_FLAG(t, ECHOK) || !L_FLAG(t, ECHOKE) || !L_FLAG(t, ECHOE))) {
		t->head = t->canon;
		if (!L_FLAG(t, ECHO))
			return;
		finish_erasing(t);
		echo_char(t, CC(t, VKILL));
		if (L_FLAG(t, ECHOK)) /* a line that cannot be wiped ends here */
			echo_raw(t, '\n');
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
			if (word_char(e))
				seen_word = true;
			else if (seen_word)
				break;
		}
		unsigned bytes = t->head - at;
		t->head = at;
		if (L_FLAG(t, ECHO)) {
			if (L_FLAG(t, ECHOPRT)) {
				if (!t->erasing)
					echo_raw(t, '\\');
				t->erasing = true;
				echo_char(t, e);
				for (unsigned i = 1; i < bytes; i++) {
					echo_raw(t, in_at(t, at + i));
					echo_op(t, ECHO_BACK_COLUMN);
				}
			} else if (one && !L_FLAG(t, ECHOE)) {
				echo_char(t, CC(t, VERASE));
			} else if (e == '\t') {
				echo_erase_tab(t);
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
	wait_queue_wake_all(&t->master.read_wait, TTY_IN | EPOLLPRI);
}

void tty_stop(struct tty *t)
{
	if (t->slave.stopped)
		return;
	t->slave.stopped = true;
	tty_pkt(t, TIOCPKT_STOP, TIOCPKT_START);
}

void tty_start(struct tty *t)
{
	if (!t->slave.stopped || t->slave.tco_stopped)
		return;
	t->slave.stopped = false;
	tty_pkt(t, TIOCPKT_START, TIOCPKT_STOP);
	if (t->slave.want_out) {
		t->slave.want_out = false;
		tty_sigio(t, false, POLL_OUT);
	}
	wait_queue_wake_all(&t->slave.write_wait, TTY_OUT);
	if (t->host)
		wait_queue_wake_all(&t->master.read_wait, TTY_IN);
}

static void reset_input(struct tty *t)
{
	t->head = t->tail = t->canon = 0;
	memset(t->delim, 0, sizeof(t->delim));
	t->erasing = false;
	t->lookahead = 0;
}

void ldisc_flush_input(struct tty *t)
{
	reset_input(t);
	tty_pkt(t, TIOCPKT_FLUSHREAD, 0);
}

void tty_flush_output(struct tty *t)
{
	if (t->host)
		t->out.head = t->out.tail = 0;
	flip_flush(&t->master.flip);
	tty_pkt(t, TIOCPKT_FLUSHWRITE, 0);
}

void ldisc_reset(struct tty *t)
{
	reset_input(t);
	t->lnext = false;
	t->column = t->canon_column = 0;
	t->echo_head = t->echo_mark = t->echo_commit = t->echo_tail = 0;
}

/* ---- input ---- */

static inline void put_in(struct tty *t, uint8_t c) { t->in[t->head++ & MASK] = c; }

static inline void wake_reader(struct tty *t)
{
	if (wait_queue_active(&t->slave.read_wait))
		wait_queue_wake_all(&t->slave.read_wait, TTY_IN);
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
	delim_set(t, t->head);
	put_in(t, c);
	t->canon = t->head;
	wake_reader(t);
}

static void restart_any(struct tty *t)
{
	if (t->slave.stopped && !t->slave.tco_stopped && I_FLAG(t, IXON) && I_FLAG(t, IXANY)) {
		tty_start(t);
		ldisc_process_echoes(t);
	}
}

static void mark_canon_column(struct tty *t)
{
	if (t->canon == t->head)
		echo_op(t, ECHO_CANON_COLUMN);
}

/* A character without a meaning of its own. */
static void ordinary(struct tty *t, uint8_t c)
{
	restart_any(t);
	if (L_FLAG(t, ECHO)) {
		finish_erasing(t);
		mark_canon_column(t);
		echo_char(t, c);
		commit_echoes(t);
	}
	put_parmrk(t, c);
}

static bool flow_control(struct tty *t, uint8_t c, bool done)
{
	if (!is_cc(t, VSTART, c) && !is_cc(t, VSTOP, c))
		return false;
	if (done)
		return true;
	if (is_cc(t, VSTART, c)) {
		tty_start(t);
		ldisc_process_echoes(t);
	} else {
		tty_stop(t);
	}
	return true;
}

static bool input_signal(struct tty *t, uint8_t c)
{
	int sig = is_cc(t, VINTR, c) ? SIGINT : is_cc(t, VQUIT, c) ? SIGQUIT : is_cc(t, VSUSP, c) ? SIGTSTP : 0;

	if (!sig)
		return false;
	tty_signal_foreground(t, sig);
	if (!L_FLAG(t, NOFLSH)) {
		t->echo_head = t->echo_mark = t->echo_commit = t->echo_tail = 0;
		tty_flush_output(t);
		reset_input(t);
		tty_pkt(t, TIOCPKT_FLUSHREAD, 0);
	}
	if (I_FLAG(t, IXON))
		tty_start(t);
	if (L_FLAG(t, ECHO)) {
		echo_char(t, c);
		commit_echoes(t);
	} else {
		ldisc_process_echoes(t);
	}
	return true;
}

/* Line editing; false: an ordinary character. */
static bool canonical(struct tty *t, uint8_t c)
{
	bool ext = L_FLAG(t, IEXTEN);

	if (is_cc(t, VERASE, c) || is_cc(t, VKILL, c) || (ext && is_cc(t, VWERASE, c))) {
		erase(t, c);
		commit_echoes(t);
		return true;
	}
	if (ext && is_cc(t, VLNEXT, c)) {
		t->lnext = true;
		if (L_FLAG(t, ECHO)) {
			finish_erasing(t);
			if (L_FLAG(t, ECHOCTL)) {
				echo_raw(t, '^');
				echo_raw(t, '\b');
				commit_echoes(t);
			}
		}
		return true;
	}
	if (ext && L_FLAG(t, ECHO) && is_cc(t, VREPRINT, c)) {
		finish_erasing(t);
		echo_char(t, c);
		echo_raw(t, '\n');
		for (unsigned p = t->canon; (p & MASK) != (t->head & MASK); p++)
			echo_char(t, in_at(t, p));
		commit_echoes(t);
		return true;
	}
	if (c == '\n') {
		if (L_FLAG(t, ECHO | ECHONL)) {
			echo_raw(t, '\n');
			commit_echoes(t);
		}
		end_line(t, c);
		return true;
	}
	if (is_cc(t, VEOF, c)) {
		end_line(t, EOF_MARK);
		return true;
	}
	if (is_cc(t, VEOL, c) || (ext && is_cc(t, VEOL2, c))) {
		if (L_FLAG(t, ECHO)) {
			mark_canon_column(t);
			echo_char(t, c);
			commit_echoes(t);
		}
		if (c == 0377 && I_FLAG(t, PARMRK))
			put_in(t, c);
		end_line(t, c);
		return true;
	}
	return false;
}

/* Characters that the settings give a meaning. (VERASE and so on: in canonical mode only.) */
static bool is_special(const struct tty *t, uint8_t c)
{
	bool ext = L_FLAG(t, IEXTEN);

	if (!c)
		return false;
	if (c == '\r' && I_FLAG(t, IGNCR | ICRNL))
		return true;
	if (c == '\n' && (I_FLAG(t, INLCR) || L_FLAG(t, ICANON)))
		return true;
	if (L_FLAG(t, ICANON)) {
		if (CC(t, VERASE) == c || CC(t, VKILL) == c || CC(t, VEOF) == c || CC(t, VEOL) == c)
			return true;
		if (ext && (CC(t, VWERASE) == c || CC(t, VLNEXT) == c || CC(t, VEOL2) == c || (L_FLAG(t, ECHO) && CC(t, VREPRINT) == c)))
			return true;
	}
	if (I_FLAG(t, IXON) && (CC(t, VSTART) == c || CC(t, VSTOP) == c))
		return true;
	return L_FLAG(t, ISIG) && (CC(t, VINTR) == c || CC(t, VQUIT) == c || CC(t, VSUSP) == c);
}

static void special(struct tty *t, uint8_t c, bool looked_ahead)
{
	if (I_FLAG(t, IXON) && flow_control(t, c, looked_ahead))
		return;
	if (L_FLAG(t, ISIG) && input_signal(t, c))
		return;
	restart_any(t);
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
	if (L_FLAG(t, ECHO)) {
		finish_erasing(t);
		if (c == '\n') {
			echo_raw(t, '\n');
		} else {
			mark_canon_column(t);
			echo_char(t, c);
		}
		commit_echoes(t);
	}
	put_parmrk(t, c);
}

static void receive_char(struct tty *t, uint8_t c, bool looked_ahead)
{
	bool literal = t->lnext && !L_FLAG(t, EXTPROC);

	if (I_FLAG(t, ISTRIP))
		c &= 0177;
	if (I_FLAG(t, IUCLC) && L_FLAG(t, IEXTEN) && upper(c))
		c += 32;
	if (L_FLAG(t, EXTPROC)) {
		put_in(t, c);
	} else if (literal) {
		t->lnext = false;
		ordinary(t, c);
	} else if (is_special(t, c)) {
		special(t, c, looked_ahead);
	} else {
		ordinary(t, c);
	}
}

/* Nothing looks at single characters. */
static bool is_raw(const struct tty *t)
{
	if (L_FLAG(t, EXTPROC) && !I_FLAG(t, ISTRIP) && !(I_FLAG(t, IUCLC) && L_FLAG(t, IEXTEN)))
		return true;
	return !I_FLAG(t, ISTRIP | IUCLC | IGNCR | ICRNL | INLCR | IXON | PARMRK) && !L_FLAG(t, ICANON | ISIG | ECHO);
}

unsigned ldisc_receive(struct tty *t, const uint8_t *buf, unsigned n)
{
	unsigned done = 0;

	while (done < n) {
		int room = (int)(N_TTY_BUF - (t->head - t->tail));
		bool overflow = false;
		if (I_FLAG(t, PARMRK)) /* a byte may become three */
			room = (room + 2) / 3;
		room--;
		if (room <= 0) {
			/* A line that fills the buffer can still be ended or edited: its last character gives way. */
			overflow = L_FLAG(t, ICANON) && t->canon == t->tail;
			if (overflow && room < 0)
				t->head--;
			room = overflow;
		}
		unsigned batch = MIN((unsigned)room, n - done), looked = MIN(t->lookahead, batch);
		if (!batch)
			break;
		if (is_raw(t)) {
			for (unsigned i = 0; i < batch; i++)
				put_in(t, buf[done + i]);
		} else {
			for (unsigned i = 0; i < batch; i++)
				receive_char(t, buf[done + i], i < looked);
		}
		t->lookahead -= MIN(looked, t->lookahead);
		flush_echoes(t);
		done += batch;
		if (!lines(t) && t->head != t->tail)
			wake_reader(t);
	}
	return done;
}

/* What cannot be received yet: start and stop characters work nevertheless. */
static void look_ahead(struct tty *t)
{
	for (struct flip_block *b = t->slave.flip.head; b; b = b->next) {
		b->seen = MAX(b->seen, b->read);
		t->lookahead += b->used - b->seen;
		for (; b->seen < b->used; b->seen++)
			if (I_FLAG(t, IXON))
				flow_control(t, b->data[b->seen], false);
	}
}

void slave_receive(struct tty *t)
{
	uint8_t *p;
	unsigned n;

	t->receiving = true;
	while ((n = flip_peek(&t->slave.flip, &p))) {
		unsigned took = ldisc_receive(t, p, n);
		t->slave.flip.head->read += took;
		if (took < n)
			look_ahead(t);
		if (!took)
			break;
	}
	t->receiving = false;
	push_driver(t);
}

bool ldisc_input_available(struct tty *t, bool poll)
{
	unsigned want = poll && !CC(t, VTIME) && CC(t, VMIN) ? CC(t, VMIN) : 1;

	return lines(t) ? t->canon != t->tail : t->head - t->tail >= want;
}

unsigned ldisc_inq_bytes(struct tty *t)
{
	unsigned n = 0;

	if (!lines(t))
		return t->head - t->tail;
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
		} else { /* what was typed so far is a line */
			delim_set(t, t->head - 1);
			t->canon = t->head;
		}
		t->erasing = t->lnext = false;
	}
	if (!I_FLAG(t, IXON) && (old->c_iflag & IXON) && !t->slave.tco_stopped) {
		tty_start(t);
		ldisc_process_echoes(t);
	}
	wait_queue_wake_all(&t->slave.write_wait, TTY_OUT);
	wait_queue_wake_all(&t->slave.read_wait, TTY_IN);
}
