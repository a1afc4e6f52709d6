/* SPDX-License-Identifier: Apache-2.0 */
/* tty.c: open terminals: reading, writing, polling; both ends of pseudo-terminals.
 *
 * OVERVIEW  One struct tty stands for a terminal: a pseudo-terminal (master and slave) or the sandbox's own one, whose master is
 * the host. The slave's files use the line discipline; the master's read `out` and feed the line discipline.
 * LIFECYCLE  Counted: by each open file, by each process whose controlling terminal it is, by devpts while it has a name.
 * A hang-up raises tty->gen: files opened before see end of file and EIO from then on.
 * LOCKS  tty.lock (RANK_TTY) guards all but the session, which is under task_set.lock. It is held across copies to guests,
 * which do not park.
 */
#include "kernel/fasync.h"
#include "kernel/tty_internal.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

const struct termios2 tty_default_termios = {
	.c_iflag = ICRNL | IXON,
	.c_oflag = OPOST | ONLCR,
	.c_cflag = B38400 | CS8 | CREAD,
	.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.c_cc = { [VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VTIME] = 0, [VMIN] = 1, [VSTART] = 17,
		  [VSTOP] = 19, [VSUSP] = 26, [VREPRINT] = 18, [VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22 },
	.c_ispeed = 38400,
	.c_ospeed = 38400,
};

struct tty *tty_alloc(struct kernel *k, bool host)
{
	struct tty *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	refcount_init(&t->ref);
	t->kernel = k;
	t->index = -1;
	mutex_init(&t->lock, RANK_TTY);
	t->termios = tty_default_termios;
	wait_queue_init(&t->slave.read_wait);
	wait_queue_init(&t->slave.write_wait);
	wait_queue_init(&t->master.read_wait);
	wait_queue_init(&t->master.write_wait);
	t->gen = t->master_gen = 1;
	t->io_error = true;
	t->out.size = host ? TTY_HOST_OUT : N_TTY_BUF;
	t->out.buf = malloc(t->out.size);
	if (!t->out.buf) {
		tty_put(t);
		return NULL;
	}
	return t;
}

void tty_get(struct tty *t) { refcount_get(&t->ref); }

void tty_put(struct tty *t)
{
	if (!t || !refcount_put(&t->ref))
		return;
	tty_session_put(t);
	if (t->host)
		tty_host_free(t->host);
	free(t->out.buf);
	flip_free(&t->slave.flip);
	flip_free(&t->master.flip);
	free(t->async);
	free(t);
}

struct tty *tty_pty_create(struct kernel *k, int index)
{
	struct tty *t = tty_alloc(k, false);

	if (t) {
		t->index = index;
		t->pt_locked = true;
	}
	return t;
}

void tty_set_devpts(struct tty *t, const struct devpts_hooks *h, int index)
{
	guard(mutex)(&t->lock);
	t->devpts = *h;
	t->index = index;
}

int tty_index(struct tty *t) { return t->index; }
unsigned tty_dev(struct tty *t) { return t->index >= 0 ? makedev(136 + t->index / 256, t->index % 256) : makedev(5, 1); }

struct tty *file_tty(struct file *f) { return f->ops == &tty_slave_ops || f->ops == &tty_master_ops ? f->private : NULL; }

static void owner_pid_put(void *p) { pid_put(p); }

/* /dev/console is not for job control. */
static bool is_console(struct file *f) { return f->inode->rdev == makedev(5, 1); }

/* Only one at a time reads or writes an end. 0 with tty->lock held; else an error without it. */
static int busy_begin(struct tty *t, bool *busy, struct wait_queue *wq, bool nonblock)
{
	mutex_lock(&t->lock);
	while (*busy) {
		mutex_unlock(&t->lock);
		if (nonblock)
			return -EAGAIN;
		int r = task_wait(wq, !READ_ONCE(*busy), KTIME_MAX);
		if (r)
			return r;
		mutex_lock(&t->lock);
	}
	*busy = true;
	return 0;
}

/* lock held; dropped */
static void busy_end(struct tty *t, bool *busy, struct wait_queue *wq, unsigned events)
{
	*busy = false;
	mutex_unlock(&t->lock);
	if (wait_queue_active(wq))
		wait_queue_wake_all(wq, events);
}

/* The times in a terminal's node say when somebody was there last, but not how fast they type. */
static void touch(struct tty *t, struct file *f, bool written)
{
	time_t now = ktime_real() / NSEC_PER_SEC;
	struct timespec *ts = written ? &f->inode->mtime : &f->inode->atime;

	if ((now ^ ts->tv_sec) & ~7L)
		ts->tv_sec = now;
}

/* Somebody may write again to where `reader` has read: what waits there is received, and so on. lock held */
static void read_some(struct tty *t, bool master, unsigned left)
{
	struct tty_end *writer = master ? &t->slave : &t->master;

	if (master)
		master_receive(t);
	else
		slave_receive(t);
	if (left > TTY_WAKE_BELOW)
		return;
	if (unlikely(writer->want_out)) {
		writer->want_out = false;
		tty_sigio(t, !master, POLL_OUT);
	}
	if (wait_queue_active(&writer->write_wait))
		wait_queue_wake_all(&writer->write_wait, TTY_OUT);
}

/* ---- the slave's side ---- */

#define READ_PIECE 64u /* a reader that wants more than that is served in pieces: VMIN counts in the first only */

/* From a ring into the caller's memory: bytes that are gone from the ring. *copied: that arrived. */
static unsigned copy_ring(const uint8_t *buf, unsigned size, unsigned tail, unsigned n, struct iov_iter *to, unsigned *copied)
{
	unsigned at = tail & (size - 1), first = MIN(n, size - at);

	*copied = copy_to_iter(buf + at, first, to);
	if (*copied == first && n > first)
		*copied += copy_to_iter(buf, n - first, to);
	return *copied == n ? n : MIN(n, (*copied / READ_PIECE + 1) * READ_PIECE);
}

/* Up to one line for a canonical reader: bytes, or -EFAULT. */
static ssize_t read_canon(struct tty *t, struct iov_iter *to)
{
	unsigned avail = t->canon - t->tail, n = 0, copied;
	bool found = false;

	while (n < avail && n < to->count) {
		unsigned p = t->tail + n;
		n++;
		if (t->delim[(p % N_TTY_BUF) / 64] >> (p % 64) & 1) {
			found = true;
			break;
		}
	}
	unsigned last = t->tail + n - 1, bytes = n;
	if (found && t->in[last % N_TTY_BUF] == 0)
		bytes--; /* the end-of-file mark itself is not read */
	unsigned gone = copy_ring(t->in, N_TTY_BUF, t->tail, bytes, to, &copied);
	if (copied < bytes) {
		t->tail += gone;
		return copied ? (ssize_t)copied : -EFAULT;
	}
	t->tail += n;
	if (found) {
		t->delim[(last % N_TTY_BUF) / 64] &= ~(1ULL << (last % 64));
	} else if (t->tail != t->canon) {
		/* exactly filled: an end-of-file mark right behind belongs to what was read */
		unsigned p = t->tail % N_TTY_BUF;
		if ((t->delim[p / 64] >> (p % 64) & 1) && t->in[p] == 0) {
			t->delim[p / 64] &= ~(1ULL << (p % 64));
			t->tail++;
		}
	}
	return bytes;
}

/* At most `most` bytes; a lone end-of-file character under EXTPROC ends the reading (*eof). */
static ssize_t read_raw(struct tty *t, struct iov_iter *to, size_t most, bool *eof)
{
	unsigned n = MIN((size_t)(t->head - t->tail), MIN(most, to->count)), copied;

	if (L_FLAG(t, ICANON) && n == 1 && t->head - t->tail == 1 && t->in[t->tail % N_TTY_BUF] == CC(t, VEOF)) {
		t->tail++;
		*eof = true;
		return 0;
	}
	t->tail += copy_ring(t->in, N_TTY_BUF, t->tail, n, to, &copied);
	return copied || !n ? (ssize_t)copied : -EFAULT;
}

static bool read_wake(struct tty *t, struct file *f)
{
	guard(mutex)(&t->lock);
	return ldisc_input_available(t, false) || tty_hung_up(f, t) || t->slave.other_closed;
}

static ssize_t slave_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct tty *t = f->private;
	ktime_t deadline = KTIME_MAX, gap = 0;
	unsigned min = 0, piece = MIN(to->count, READ_PIECE);
	ssize_t done = 0, r;

	if (tty_hung_up(f, t))
		return 0;
	if (t->io_error)
		return -EIO;
	r = is_console(f) ? 0 : tty_check_change(t, SIGTTIN);
	if (!r)
		r = busy_begin(t, &t->slave.reading, &t->slave.read_wait, f->flags & O_NONBLOCK);
	if (r)
		return r;
	if (!L_FLAG(t, ICANON)) {
		ktime_t time = CC(t, VTIME) * (NSEC_PER_SEC / 10);
		min = CC(t, VMIN);
		if (min) {
			gap = time; /* between bytes */
		} else {
			min = 1;
			deadline = time ? ktime_add_sat(ktime_mono(), time) : 0;
		}
	}
	while (done < piece) {
		if (!ldisc_input_available(t, false)) {
			r = t->slave.other_closed ? -EIO : 0;
			if (r || tty_hung_up(f, t) || deadline == 0)
				break;
			if (f->flags & O_NONBLOCK) {
				r = -EAGAIN;
				break;
			}
			mutex_unlock(&t->lock);
			r = task_wait(&t->slave.read_wait, read_wake(t, f), deadline);
			mutex_lock(&t->lock);
			if (r == -ETIMEDOUT) {
				r = 0;
				if (!ldisc_input_available(t, false))
					break;
			}
			if (r)
				break;
			continue;
		}
		bool eof = false, raw = !lines(t);
		r = raw ? read_raw(t, to, piece - done, &eof) : read_canon(t, to);
		if (r > 0)
			done += r;
		if (raw && r > 0 && done >= min && t->head != t->tail) { /* the rest of what is there */
			r = read_raw(t, to, SIZE_MAX, &eof);
			if (r > 0)
				done += r;
		}
		read_some(t, false, lines(t) ? t->canon - t->tail : t->head - t->tail);
		if (r < 0 || !raw || eof || done >= min)
			break;
		if (gap)
			deadline = ktime_add_sat(ktime_mono(), gap);
	}
	bool host_waits = t->host && flip_empty(&t->slave.flip);
	busy_end(t, &t->slave.reading, &t->slave.read_wait, 0);
	if (host_waits)
		wait_queue_wake_all(&t->master.write_wait, TTY_OUT);
	if (done > 0)
		touch(t, f, false);
	return done ? done : r < 0 ? r : 0;
}

static bool write_wake(struct tty *t, struct file *f)
{
	guard(mutex)(&t->lock);
	return tty_write_space(t) > 0 || tty_hung_up(f, t);
}

static ssize_t slave_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct tty *t = f->private;
	uint8_t buf[2048];
	ssize_t done = 0;
	int r = 0;

	if (tty_hung_up(f, t) || t->io_error)
		return -EIO;
	r = busy_begin(t, &t->slave.writing, &t->slave.write_wait, f->flags & O_NONBLOCK);
	if (r)
		return r;
	if (L_FLAG(t, TOSTOP) && !is_console(f)) {
		mutex_unlock(&t->lock);
		r = tty_check_change(t, SIGTTOU);
		mutex_lock(&t->lock);
	}
	if (!r)
		ldisc_process_echoes(t);
	while (from->count && !r) {
		unsigned n = MIN(from->count, sizeof(buf)), off = 0;
		mutex_unlock(&t->lock);
		n = copy_from_iter(buf, n, from);
		mutex_lock(&t->lock);
		if (!n) {
			r = -EFAULT;
			break;
		}
		for (;;) {
			if (tty_hung_up(f, t)) {
				r = -EIO;
				break;
			}
			unsigned k = ldisc_output(t, buf + off, n - off);
			off += k;
			done += k;
			if (off == n)
				break;
			if (f->flags & O_NONBLOCK) {
				r = -EAGAIN;
				break;
			}
			mutex_unlock(&t->lock);
			if (t->host && !t->slave.stopped)
				r = tty_host_drain(t, false, KTIME_MAX);
			if (!r)
				r = task_wait(&t->slave.write_wait, write_wake(t, f), KTIME_MAX);
			mutex_lock(&t->lock);
			if (r)
				break;
		}
		if (off < n && t->nasync)
			t->slave.want_out = true;
	}
	busy_end(t, &t->slave.writing, &t->slave.write_wait, TTY_OUT);
	if (t->host && done)
		tty_host_drain(t, true, 0);
	if (done > 0)
		touch(t, f, true);
	return done ? done : r;
}

#define HUNG_UP_MASK (EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLWRNORM)

static unsigned slave_poll(struct file *f, struct poll_table *pt)
{
	struct tty *t = f->private;
	unsigned mask = 0;

	poll_wait(f, &t->slave.read_wait, pt);
	poll_wait(f, &t->slave.write_wait, pt);
	if (tty_hung_up(f, t))
		return HUNG_UP_MASK;
	guard(mutex)(&t->lock);
	if (ldisc_input_available(t, true))
		mask |= TTY_IN;
	if (t->slave.other_closed)
		mask |= EPOLLHUP;
	if (!t->slave.writing && tty_write_space(t) > (t->host ? 255 : 0))
		mask |= TTY_OUT;
	return mask;
}

static void slave_release(struct file *f)
{
	struct tty *t = f->private;

	mutex_lock(&t->lock);
	if (--t->slave.opens == 0 && !t->io_error) {
		t->io_error = true;
		t->master.other_closed = true;
		wait_queue_wake_all(&t->master.read_wait, TTY_IN | EPOLLHUP);
		wait_queue_wake_all(&t->master.write_wait, TTY_OUT | EPOLLHUP);
	}
	mutex_unlock(&t->lock);
	tty_put(t);
}

static long hung_ioctl(unsigned cmd) { return cmd == TIOCSPGRP ? -ENOTTY : -EIO; }

static long slave_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct tty *t = f->private;

	return tty_hung_up(f, t) ? hung_ioctl(cmd) : tty_ioctl_common(t, f, cmd, arg, false);
}

/* Who switches O_ASYNC on without having named an owner: the signals go to the foreground group, or to the caller if there is none. */
static int tty_fasync(struct file *f, bool on)
{
	struct tty *t = f->private;
	unsigned i;

	if (on && tty_hung_up(f, t))
		return -ENOTTY;
	if (vfs_hooks.fasync_set)
		vfs_hooks.fasync_set(f, on);
	if (on && fiber_context()->task) {
		struct pid *group = tty_is_master(f) ? NULL : tty_get_foreground(t);
		guard(mutex)(&f->owner_lock);
		if (!f->owner_pid) {
			f->owner_pid = group ? group : current->tg->pid;
			pid_get(f->owner_pid);
			f->owner_put = owner_pid_put;
			f->owner_type = group ? F_OWNER_PGRP : F_OWNER_PID;
			f->owner_uid = current->cred->uid;
			f->owner_euid = current->cred->euid;
		}
		pid_put(group);
	}
	guard(mutex)(&t->lock);
	for (i = 0; i < t->nasync && t->async[i] != f; i++)
		;
	if (on && i == t->nasync) {
		t->async = xrealloc(t->async, (t->nasync + 1) * sizeof(f));
		t->async[t->nasync++] = f;
	} else if (!on && i < t->nasync) {
		t->async[i] = t->async[--t->nasync];
	}
	return 0;
}

void tty_sigio(struct tty *t, bool master, int code)
{
	for (unsigned i = 0; i < t->nasync; i++)
		if (tty_is_master(t->async[i]) == master && vfs_hooks.kill_fasync)
			vfs_hooks.kill_fasync(t->async[i], code);
}

const struct file_ops tty_slave_ops = {
	.read = slave_read,
	.write = slave_write,
	.poll = slave_poll,
	.ioctl = slave_ioctl,
	.fasync = tty_fasync,
	.release = slave_release,
	.stream = true,
};

int tty_open_slave(struct tty *t, struct file *f)
{
	mutex_lock(&t->lock);
	if (t->slave.exclusive && !cred_has_cap(fiber_context()->cred, CAP_SYS_ADMIN)) {
		mutex_unlock(&t->lock);
		return -EBUSY;
	}
	if (t->pt_locked || t->slave.other_closed) {
		t->io_error = true; /* for those too who have it open */
		mutex_unlock(&t->lock);
		return -EIO;
	}
	tty_get(t);
	t->slave.opens++;
	t->io_error = false;
	t->master.other_closed = false;
	f->ops = &tty_slave_ops;
	f->private = t;
	f->pos = t->gen;
	mutex_unlock(&t->lock);
	if (!(f->flags & O_NOCTTY) && fiber_context()->task)
		tty_open_acquires(t, f);
	return 0;
}

/* ---- the master's side ---- */

static bool master_readable(struct tty *t, struct file *f)
{
	guard(mutex)(&t->lock);
	return ring_used(&t->out) || (t->packet && t->pktstatus) || t->master.other_closed || tty_hung_up(f, t);
}

static ssize_t master_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct tty *t = f->private;
	struct tty_ring *ring = &t->out;
	ssize_t done = 0;
	unsigned copied;

	if (tty_hung_up(f, t))
		return 0;
	int r = busy_begin(t, &t->master.reading, &t->master.read_wait, f->flags & O_NONBLOCK);
	if (r)
		return r;
	bool packet = t->packet;
	while (to->count) {
		if (packet && t->pktstatus) {
			uint8_t st = t->pktstatus;
			t->pktstatus = 0;
			done = copy_to_iter(&st, 1, to) == 1 ? 1 : -EFAULT;
			break;
		}
		if (ring_used(ring)) {
			uint8_t data = TIOCPKT_DATA;
			if (packet && copy_to_iter(&data, 1, to) != 1) {
				done = -EFAULT;
				break;
			}
			done = packet;
			unsigned n = MIN((size_t)ring_used(ring), to->count);
			ring->tail += copy_ring(ring->buf, ring->size, ring->tail, n, to, &copied);
			done += copied;
			if (n && !copied && !packet)
				done = -EFAULT;
			read_some(t, true, ring_used(ring));
			break;
		}
		done = t->master.other_closed ? -EIO : tty_hung_up(f, t) ? 0 : f->flags & O_NONBLOCK ? -EAGAIN : 1;
		if (done <= 0)
			break;
		done = 0;
		mutex_unlock(&t->lock);
		r = task_wait(&t->master.read_wait, master_readable(t, f), KTIME_MAX);
		mutex_lock(&t->lock);
		if (r) {
			done = r;
			break;
		}
	}
	busy_end(t, &t->master.reading, &t->master.read_wait, 0);
	if (done > 0)
		touch(t, f, false);
	return done;
}

/* The master's driver: what it took goes through the line discipline as far as there is room. */
static unsigned master_put(struct tty *t, const uint8_t *buf, unsigned n)
{
	if (t->master.stopped)
		return 0;
	n = flip_insert(&t->slave.flip, buf, n);
	slave_receive(t); /* new settings may let in what is there even if nothing was added */
	return n;
}

static bool master_writable(struct tty *t, struct file *f)
{
	guard(mutex)(&t->lock);
	return (!t->master.stopped && flip_space(&t->slave.flip)) || tty_hung_up(f, t);
}

static ssize_t master_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct tty *t = f->private;
	uint8_t buf[2048];
	ssize_t done = 0;

	if (tty_hung_up(f, t))
		return -EIO;
	int r = busy_begin(t, &t->master.writing, &t->master.write_wait, f->flags & O_NONBLOCK);
	if (r)
		return r;
	while (from->count && !r) {
		mutex_unlock(&t->lock);
		unsigned n = copy_from_iter(buf, MIN(from->count, sizeof(buf)), from), off = 0;
		mutex_lock(&t->lock);
		if (!n) {
			r = -EFAULT;
			break;
		}
		for (;;) {
			if (tty_hung_up(f, t)) {
				r = -EIO;
				break;
			}
			for (unsigned k; off < n && (k = master_put(t, buf + off, n - off)); off += k)
				;
			if (off == n)
				break;
			if (f->flags & O_NONBLOCK) {
				r = -EAGAIN;
				break;
			}
			mutex_unlock(&t->lock);
			r = task_wait(&t->master.write_wait, master_writable(t, f), KTIME_MAX);
			mutex_lock(&t->lock);
			if (r)
				break;
		}
		if (off < n && t->nasync)
			t->master.want_out = true;
		done += off;
	}
	busy_end(t, &t->master.writing, &t->master.write_wait, TTY_OUT);
	if (done > 0)
		touch(t, f, true);
	return done ? done : r;
}

static unsigned master_poll(struct file *f, struct poll_table *pt)
{
	struct tty *t = f->private;
	unsigned mask = 0;

	poll_wait(f, &t->master.read_wait, pt);
	poll_wait(f, &t->master.write_wait, pt);
	if (tty_hung_up(f, t))
		return HUNG_UP_MASK;
	guard(mutex)(&t->lock);
	if (ring_used(&t->out))
		mask |= TTY_IN;
	if (t->packet && t->pktstatus)
		mask |= EPOLLPRI | TTY_IN;
	if (t->master.other_closed)
		mask |= EPOLLHUP;
	if (!t->master.writing && !t->master.stopped && flip_space(&t->slave.flip))
		mask |= TTY_OUT;
	return mask;
}

static void master_release(struct file *f)
{
	struct tty *t = f->private;

	mutex_lock(&t->lock);
	t->packet = false;
	t->slave.other_closed = true;
	wait_queue_wake_all(&t->slave.read_wait, TTY_IN | EPOLLHUP);
	struct devpts_hooks h = t->devpts;
	t->devpts = (struct devpts_hooks){ 0 };
	mutex_unlock(&t->lock);
	if (h.master_closed)
		h.master_closed(t, h.arg);
	tty_do_hangup(t);
	tty_put(t);
}

static long master_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct tty *t = f->private;
	int v;

	if (tty_hung_up(f, t))
		return hung_ioctl(cmd);
	switch (cmd) {
	case TIOCGPTN: return put_user((unsigned)t->index, arg);
	case TIOCSPTLCK:
		if (get_user(v, arg))
			return -EFAULT;
		t->pt_locked = v;
		return 0;
	case TIOCGPTLCK: return put_user((int)t->pt_locked, arg);
	case TIOCPKT:
		if (get_user(v, arg))
			return -EFAULT;
		mutex_lock(&t->lock);
		if (v && !t->packet)
			t->pktstatus = 0;
		t->packet = v;
		mutex_unlock(&t->lock);
		return 0;
	case TIOCGPKT: return put_user((int)t->packet, arg);
	case TIOCSIG:
		v = (int)arg;
		if (v != SIGINT && v != SIGQUIT && v != SIGTSTP)
			return -EINVAL;
		tty_signal_foreground(t, v);
		return 0;
	case TIOCGPTPEER: {
		struct file *peer;
		if (!t->devpts.open_peer)
			return -EIO;
		int r = t->devpts.open_peer(t, f, (unsigned)arg, &peer);
		if (r)
			return r;
		r = fd_install(fiber_context()->fdt, peer, arg & O_CLOEXEC);
		file_put(peer);
		return r;
	}
	}
	return tty_ioctl_common(t, f, cmd, arg, true);
}

static void master_fdinfo(struct file *f, char *buf, size_t size) { snprintf(buf, size, "tty-index:\t%d\n", tty_index(f->private)); }

const struct file_ops tty_master_ops = {
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
	.fasync = tty_fasync,
	.show_fdinfo = master_fdinfo,
	.release = master_release,
	.stream = true,
};

int tty_open_master(struct tty *t, struct file *f)
{
	f->ops = &tty_master_ops;
	f->private = t;
	f->pos = t->master_gen;
	return 0;
}

/* ---- /dev/tty ---- */

static int dev_tty_open(struct inode *inode, struct file *f)
{
	struct task *me = current;
	struct tty *t;

	mutex_lock(&me->kernel->tasks.lock);
	t = me->tg->tty;
	if (t)
		tty_get(t);
	mutex_unlock(&me->kernel->tasks.lock);
	if (!t)
		return -ENXIO;
	int r = tty_open_slave(t, f);
	tty_put(t);
	return r;
}

/* May anybody push input back (TIOCSTI)? As on the host; always before there was a switch. */
static int host_tiocsti(void)
{
	char b[4] = "1";
	int fd = open("/proc/sys/dev/tty/legacy_tiocsti", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!read(fd, b, sizeof(b) - 1);
		close(fd);
	}
	return b[0] == '1';
}

void tty_init(struct kernel *k)
{
	atomic_store(&k->legacy_tiocsti, host_tiocsti());
	atomic_store(&k->ldisc_autoload, 1);
	atomic_store(&k->pty_max, 4096);
	atomic_store(&k->pty_reserve, 1024);
	k->tty_get = tty_get;
	k->tty_put = tty_put;
	tty_job_init(k);
	fasync_init();
	register_chrdev(5, 0, 1, dev_tty_open);
}
