/* SPDX-License-Identifier: Apache-2.0 */
/* tty_ioctl.c: tty_ioctl(4), for both ends of a terminal: a master's requests act on the slave. */
#include "kernel/tty_internal.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/ioctl.h>

struct termio_k { uint16_t c_iflag, c_oflag, c_cflag, c_lflag; uint8_t c_line, c_cc[8]; };
_Static_assert(sizeof(struct termios) == 36 && sizeof(struct termios2) == 44 && sizeof(struct termio_k) == 18, "termios layouts");

/* Wait until what was written has left (TCSETSW, tcdrain): for a pseudo-terminal it is out as soon as it is written. */
static int drain(struct tty *t)
{
	return t->host ? tty_host_drain(t, false, KTIME_MAX) : 0;
}

static unsigned speed_of(unsigned code, unsigned other)
{
	static const struct { unsigned code, speed; } table[] = {
		{ B0, 0 }, { B50, 50 }, { B75, 75 }, { B110, 110 }, { B134, 134 }, { B150, 150 }, { B200, 200 }, { B300, 300 },
		{ B600, 600 }, { B1200, 1200 }, { B1800, 1800 }, { B2400, 2400 }, { B4800, 4800 }, { B9600, 9600 }, { B19200, 19200 },
		{ B38400, 38400 }, { B57600, 57600 }, { B115200, 115200 }, { B230400, 230400 }, { B460800, 460800 },
		{ B500000, 500000 }, { B576000, 576000 }, { B921600, 921600 }, { B1000000, 1000000 }, { B1152000, 1152000 },
		{ B1500000, 1500000 }, { B2000000, 2000000 }, { B2500000, 2500000 }, { B3000000, 3000000 }, { B3500000, 3500000 },
		{ B4000000, 4000000 },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].code == code)
			return table[i].speed;
	return other; /* BOTHER: as given */
}

enum { SET_NOW, SET_WAIT, SET_FLUSH };

/* What TIOCSLCKTRMIOS locked stays as it is. */
static void keep_locked(const struct tty *t, struct termios2 *new, const struct termios2 *old)
{
	const struct termios *l = &t->locked;

#define KEEP(f) new->f = (new->f & ~l->f) | (old->f & l->f)
	KEEP(c_iflag);
	KEEP(c_oflag);
	KEEP(c_cflag);
	KEEP(c_lflag);
#undef KEEP
	if (l->c_line)
		new->c_line = old->c_line;
	for (unsigned i = 0; i < NCCS; i++)
		if (l->c_cc[i])
			new->c_cc[i] = old->c_cc[i];
}

/* A pseudo-terminal is always 8-bit without parity; a packet mode master is told of what concerns it. lock held */
static void pty_termios_changed(struct tty *t, const struct termios2 *old)
{
	struct termios2 *new = &t->termios;

	if (t->packet) {
		bool was = (old->c_iflag & IXON) && old->c_cc[VSTOP] == 19 && old->c_cc[VSTART] == 17;
		bool is = (new->c_iflag & IXON) && new->c_cc[VSTOP] == 19 && new->c_cc[VSTART] == 17;
		if (was != is)
			tty_pkt(t, is ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP, TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
		if ((old->c_lflag | new->c_lflag) & EXTPROC)
			tty_pkt(t, TIOCPKT_IOCTL, 0);
	}
	new->c_cflag = (new->c_cflag & ~(CSIZE | PARENB)) | CS8 | CREAD;
}

/* lock held */
static void change_termios(struct tty *t, struct termios2 *new)
{
	struct termios2 old = t->termios;

	keep_locked(t, new, &old);
	t->termios = *new;
	if (!t->host)
		pty_termios_changed(t, &old);
	ldisc_termios_changed(t, &old);
}

static long set_termios(struct tty *t, struct termios2 *new, int how)
{
	new->c_ispeed = new->c_cflag >> IBSHIFT & CBAUD ? speed_of(new->c_cflag >> IBSHIFT & CBAUD, new->c_ispeed)
							 : speed_of(new->c_cflag & CBAUD, new->c_ospeed);
	new->c_ospeed = speed_of(new->c_cflag & CBAUD, new->c_ospeed);
	while (how != SET_NOW) {
		long r = drain(t);
		if (!r)
			r = task_wait(&t->slave.write_wait, !READ_ONCE(t->slave.writing), KTIME_MAX);
		if (r)
			return r;
		mutex_lock(&t->lock);
		if (!t->slave.writing)
			break;
		mutex_unlock(&t->lock);
	}
	if (how == SET_NOW)
		mutex_lock(&t->lock);
	if (how == SET_FLUSH)
		ldisc_flush_input(t);
	change_termios(t, new);
	if (how == SET_FLUSH)
		slave_receive(t); /* what follows is read by the new rules */
	mutex_unlock(&t->lock);
	return 0;
}

static long tcsets(struct tty *t, uaddr_t arg, size_t size, int how)
{
	struct termios2 new;
	long r = tty_check_change(t, SIGTTOU);

	if (r)
		return r;
	mutex_lock(&t->lock);
	new = t->termios;
	mutex_unlock(&t->lock);
	if (size == sizeof(struct termio_k)) {
		struct termio_k old;
		if (copy_from_user(&old, arg, sizeof(old)))
			return -EFAULT;
		new.c_iflag = (new.c_iflag & 0xffff0000) | old.c_iflag;
		new.c_oflag = (new.c_oflag & 0xffff0000) | old.c_oflag;
		new.c_cflag = (new.c_cflag & 0xffff0000) | old.c_cflag;
		new.c_lflag = (new.c_lflag & 0xffff0000) | old.c_lflag;
		new.c_line = old.c_line;
		memcpy(new.c_cc, old.c_cc, sizeof(old.c_cc));
	} else if (copy_from_user(&new, arg, size)) {
		return -EFAULT;
	}
	return set_termios(t, &new, how);
}

static long tcgets(struct tty *t, uaddr_t arg, size_t size)
{
	struct termios2 cur;

	mutex_lock(&t->lock);
	cur = t->termios;
	mutex_unlock(&t->lock);
	if (size == sizeof(struct termio_k)) {
		struct termio_k old = { cur.c_iflag, cur.c_oflag, cur.c_cflag, cur.c_lflag, cur.c_line, { 0 } };
		memcpy(old.c_cc, cur.c_cc, sizeof(old.c_cc));
		return copy_to_user(arg, &old, sizeof(old));
	}
	return copy_to_user(arg, &cur, size);
}

static void resize(struct tty *t, const struct winsize_k *ws)
{
	mutex_lock(&t->lock);
	bool same = !memcmp(&t->winsize, ws, sizeof(*ws));
	t->winsize = *ws;
	mutex_unlock(&t->lock);
	if (!same)
		tty_signal_foreground(t, SIGWINCH);
}

void tty_set_winsize(struct tty *t, unsigned rows, unsigned cols)
{
	struct winsize_k ws = { .row = rows, .col = cols };

	resize(t, &ws);
}

/* A start or stop character to the other end, even when output is stopped. */
static long send_xchar(struct tty *t, uint8_t c, bool master)
{
	struct tty_end *end = master ? &t->master : &t->slave;

	if (!c)
		return 0;
	for (;;) {
		long r = task_wait(&end->write_wait, !READ_ONCE(end->writing), KTIME_MAX);
		if (r)
			return r;
		mutex_lock(&t->lock);
		if (!end->writing)
			break;
		mutex_unlock(&t->lock);
	}
	if (master) {
		if (!t->master.stopped && flip_insert(&t->slave.flip, &c, 1))
			slave_receive(t);
	} else {
		bool was = t->slave.stopped;
		if (was)
			tty_start(t);
		tty_driver_write(t, &c, 1);
		if (was)
			tty_stop(t);
	}
	mutex_unlock(&t->lock);
	if (t->host && !master)
		tty_host_drain(t, true, 0);
	return 0;
}

/* The master's own output, to the slave: nobody is told. */
static void master_flow(struct tty *t, bool stop)
{
	if (t->master.tco_stopped == stop)
		return;
	t->master.tco_stopped = t->master.stopped = stop;
	if (!stop)
		wait_queue_wake_all(&t->master.write_wait, TTY_OUT);
}

static long tcxonc(struct tty *t, int what, bool master)
{
	long r = master ? 0 : tty_check_change(t, SIGTTOU);

	if (r)
		return r;
	/* The master's own settings cannot be changed. */
	switch (what) {
	case TCIOFF: return send_xchar(t, master ? 19 : CC(t, VSTOP), master);
	case TCION: return send_xchar(t, master ? 17 : CC(t, VSTART), master);
	}
	if (what != TCOOFF && what != TCOON)
		return -EINVAL;
	guard(mutex)(&t->lock);
	if (master) {
		master_flow(t, what == TCOOFF);
	} else if (what == TCOOFF && !t->slave.tco_stopped) {
		t->slave.tco_stopped = true;
		tty_stop(t);
	} else if (what == TCOON && t->slave.tco_stopped) {
		t->slave.tco_stopped = false;
		tty_start(t);
	}
	return 0;
}

static long tcflsh(struct tty *t, int what, bool master)
{
	bool in = what == TCIFLUSH || what == TCIOFLUSH, out = what == TCOFLUSH || what == TCIOFLUSH;

	if (in) { /* what nobody has received goes even if the rest may not be done */
		guard(mutex)(&t->lock);
		flip_flush(master ? &t->master.flip : &t->slave.flip);
	}
	long r = master ? 0 : tty_check_change(t, SIGTTOU);
	if (r)
		return r;
	if (!in && !out)
		return -EINVAL;
	guard(mutex)(&t->lock);
	if (in && master)
		t->out.head = t->out.tail = 0;
	else if (in)
		ldisc_flush_input(t);
	if (in)
		wait_queue_wake_all(master ? &t->slave.write_wait : &t->master.write_wait, TTY_OUT);
	if (out && master)
		flip_flush(&t->slave.flip);
	else if (out)
		tty_flush_output(t);
	return 0;
}

/* A character as if it had been typed at this end. */
static long tiocsti(struct tty *t, struct task *me, uaddr_t arg, bool master)
{
	bool admin = cred_has_cap(me->cred, CAP_SYS_ADMIN);
	uint8_t c;

	if (!admin && !atomic_load(&me->kernel->legacy_tiocsti))
		return -EIO;
	if (!admin && (master || READ_ONCE(me->tg->tty) != t))
		return -EPERM;
	if (get_user(c, arg))
		return -EFAULT;
	guard(mutex)(&t->lock);
	if (!master) {
		ldisc_receive(t, &c, 1);
	} else if (ring_room(&t->out) > 1) {
		ring_put(&t->out, c);
		wait_queue_wake_all(&t->master.read_wait, TTY_IN);
	}
	return 0;
}

long tty_ioctl_common(struct tty *t, struct file *f, unsigned cmd, uint64_t arg, bool master)
{
	struct tty_end *end = master ? &t->master : &t->slave;
	struct task *me = current;
	int v;

	switch (cmd) {
	case TCGETS: return tcgets(t, arg, sizeof(struct termios));
	case TCSETS: return tcsets(t, arg, sizeof(struct termios), SET_NOW);
	case TCSETSW: return tcsets(t, arg, sizeof(struct termios), SET_WAIT);
	case TCSETSF: return tcsets(t, arg, sizeof(struct termios), SET_FLUSH);
	case TCGETA: return tcgets(t, arg, sizeof(struct termio_k));
	case TCSETA: return tcsets(t, arg, sizeof(struct termio_k), SET_NOW);
	case TCSETAW: return tcsets(t, arg, sizeof(struct termio_k), SET_WAIT);
	case TCSETAF: return tcsets(t, arg, sizeof(struct termio_k), SET_FLUSH);
	case TCGETS2: return tcgets(t, arg, sizeof(struct termios2));
	case TCSETS2: return tcsets(t, arg, sizeof(struct termios2), SET_NOW);
	case TCSETSW2: return tcsets(t, arg, sizeof(struct termios2), SET_WAIT);
	case TCSETSF2: return tcsets(t, arg, sizeof(struct termios2), SET_FLUSH);
	case TIOCGLCKTRMIOS: {
		mutex_lock(&t->lock);
		struct termios l = t->locked;
		mutex_unlock(&t->lock);
		return copy_to_user(arg, &l, sizeof(l));
	}
	case TIOCSLCKTRMIOS: {
		struct termios l;
		if (!cred_has_cap(me->cred, CAP_SYS_ADMIN) && !cred_has_cap(me->cred, CAP_CHECKPOINT_RESTORE))
			return -EPERM;
		if (copy_from_user(&l, arg, sizeof(l)))
			return -EFAULT;
		guard(mutex)(&t->lock);
		t->locked = l;
		return 0;
	}
	case TIOCGWINSZ: {
		mutex_lock(&t->lock);
		struct winsize_k ws = t->winsize;
		mutex_unlock(&t->lock);
		return copy_to_user(arg, &ws, sizeof(ws));
	}
	case TIOCSWINSZ: {
		struct winsize_k ws;
		if (copy_from_user(&ws, arg, sizeof(ws)))
			return -EFAULT;
		resize(t, &ws);
		return 0;
	}
	case TIOCSCTTY: return tty_acquire(t, me, arg == 1, f->mode & FMODE_READ);
	case TIOCNOTTY: return master ? -ENOTTY : tty_notty(t, me);
	case TIOCGPGRP:
		v = tty_get_pgrp(t, me, master);
		return v < 0 ? v : put_user(v, arg);
	case TIOCSPGRP: {
		int r = tty_check_change(t, SIGTTOU);
		if (r)
			return r == -EIO ? -ENOTTY : r;
		if (get_user(v, arg))
			return -EFAULT;
		return v < 0 ? -EINVAL : tty_set_pgrp(t, me, v);
	}
	case TIOCGSID:
		v = tty_get_sid(t, me, master);
		return v < 0 ? v : put_user(v, arg);
	case TIOCEXCL:
		end->exclusive = true;
		return 0;
	case TIOCNXCL:
		end->exclusive = false;
		return 0;
	case TIOCGEXCL: return put_user((int)end->exclusive, arg);
	case TIOCOUTQ: {
		mutex_lock(&t->lock);
		v = t->host ? (int)ring_used(&t->out) : 0; /* a pseudo-terminal's output is elsewhere at once */
		mutex_unlock(&t->lock);
		return put_user(v, arg);
	}
	case FIONREAD:
		mutex_lock(&t->lock);
		v = master ? (int)ring_used(&t->out) : (int)ldisc_inq_bytes(t);
		mutex_unlock(&t->lock);
		return put_user(v, arg);
	case TCFLSH: return tcflsh(t, (int)arg, master);
	case TCXONC: return tcxonc(t, (int)arg, master);
	case TCSBRK: /* 0: a break, which is nothing here; else: tcdrain(3) */
	case TCSBRKP:
	case TIOCSBRK:
	case TIOCCBRK: {
		long r = master ? 0 : tty_check_change(t, SIGTTOU);
		return r ? r : cmd == TIOCCBRK ? 0 : drain(t);
	}
	case TIOCGETD: return put_user(0 /* N_TTY */, arg);
	case TIOCSETD: {
		long r = master ? 0 : tty_check_change(t, SIGTTOU);
		if (!r)
			r = drain(t);
		if (r)
			return r;
		if (get_user(v, arg))
			return -EFAULT;
		return v == 0 ? 0 : -EINVAL;
	}
	case TIOCGSOFTCAR:
		mutex_lock(&t->lock);
		v = !!(t->termios.c_cflag & CLOCAL);
		mutex_unlock(&t->lock);
		return put_user(v, arg);
	case TIOCSSOFTCAR: {
		if (get_user(v, arg))
			return -EFAULT;
		mutex_lock(&t->lock);
		struct termios2 old = t->termios;
		t->termios.c_cflag = (t->termios.c_cflag & ~CLOCAL) | (v ? CLOCAL : 0);
		if (!t->host)
			pty_termios_changed(t, &old);
		mutex_unlock(&t->lock);
		return 0;
	}
	case TIOCSSERIAL: { /* of no terminal here; the argument is looked at first */
		uint8_t serial[72];
		return copy_from_user(serial, arg, sizeof(serial)) ? -EFAULT : -ENOTTY;
	}
	case TIOCGDEV: return put_user(tty_dev(t), arg);
	case TIOCSTI: return tiocsti(t, me, arg, master);
	case TIOCVHANGUP:
		if (!cred_has_cap(me->cred, CAP_SYS_ADMIN))
			return -EPERM;
		if (master)
			tty_hangup_master(t);
		else
			tty_do_hangup(t);
		return 0;
	case TIOCGPTPEER: /* what follows is of masters only */
		return -EIO;
	case TIOCPKT:
	case TIOCGPTN:
	case TIOCSPTLCK:
	case TIOCGPTLCK:
		return -ENOTTY;
	}
	return -ENOIOCTLCMD;
}

/* After a hang-up. The host's terminal keeps its settings. */
void tty_hangup_settings(struct tty *t)
{
	if (!t->host)
		t->termios = tty_default_termios;
	ldisc_reset(t);
	t->pktstatus = 0;
}

void tty_set_termios_raw(struct tty *t, const uint32_t flags[4], uint8_t line, const uint8_t *cc, unsigned ncc);
void tty_set_termios_raw(struct tty *t, const uint32_t flags[4], uint8_t line, const uint8_t *cc, unsigned ncc)
{
	struct termios2 old;

	guard(mutex)(&t->lock);
	old = t->termios;
	t->termios.c_iflag = flags[0];
	t->termios.c_oflag = flags[1];
	t->termios.c_cflag = flags[2];
	t->termios.c_lflag = flags[3];
	t->termios.c_line = line;
	memcpy(t->termios.c_cc, cc, MIN(ncc, (unsigned)sizeof(t->termios.c_cc)));
	t->termios.c_ospeed = t->termios.c_ispeed = speed_of(flags[2] & CBAUD, 38400);
	ldisc_termios_changed(t, &old);
}
