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
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

static const struct file_ops slave_ops, master_ops;

static const struct termios2 default_termios = {
	.c_iflag = ICRNL | IXON,
	.c_oflag = OPOST | ONLCR,
	.c_cflag = B38400 | CS8 | CREAD | HUPCL,
	.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
	.c_cc = { [VINTR] = 3, [VQUIT] = 28, [VERASE] = 127, [VKILL] = 21, [VEOF] = 4, [VTIME] = 0, [VMIN] = 1, [VSTART] = 17,
		  [VSTOP] = 19, [VSUSP] = 26, [VREPRINT] = 18, [VDISCARD] = 15, [VWERASE] = 23, [VLNEXT] = 22 },
	.c_ispeed = 38400,
	.c_ospeed = 38400,
};

struct tty *tty_alloc(struct kernel *k)
{
	struct tty *t = kzalloc(sizeof(*t));

	if (!t)
		return NULL;
	refcount_init(&t->ref);
	t->kernel = k;
	t->index = -1;
	mutex_init(&t->lock, RANK_TTY);
	t->termios = default_termios;
	t->out = (struct tty_ring){ .buf = malloc(TTY_OUT_BUF), .size = TTY_OUT_BUF };
	t->inq = (struct tty_ring){ .buf = malloc(TTY_INQ_BUF), .size = TTY_INQ_BUF };
	t->echo = (struct tty_ring){ .buf = malloc(TTY_ECHO_BUF), .size = TTY_ECHO_BUF };
	wait_queue_init(&t->read_wait);
	wait_queue_init(&t->write_wait);
	wait_queue_init(&t->master_read_wait);
	wait_queue_init(&t->master_write_wait);
	t->gen = 1;
	if (!t->out.buf || !t->inq.buf || !t->echo.buf) {
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
	free(t->inq.buf);
	free(t->echo.buf);
	free(t->async);
	free(t);
}

struct tty *tty_pty_create(struct kernel *k, int index)
{
	struct tty *t = tty_alloc(k);

	if (t) {
		t->index = index;
		t->pt_locked = true;
		t->master_open = true;
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

struct tty *file_tty(struct file *f) { return f->ops == &slave_ops || f->ops == &master_ops ? f->private : NULL; }

static void owner_pid_put(void *p) { pid_put(p); }

/* ---- the slave's side ---- */

static inline bool other_closed(struct tty *t) { return !t->host && !t->master_open; }

/* Up to one line for a canonical reader: bytes, or -EFAULT. */
static ssize_t read_canon(struct tty *t, struct iov_iter *to)
{
	unsigned avail = t->canon - t->tail, n = 0;
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
	unsigned at = t->tail % N_TTY_BUF, first = MIN(bytes, N_TTY_BUF - at);
	if (copy_to_iter(t->in + at, first, to) != first || copy_to_iter(t->in, bytes - first, to) != bytes - first)
		return -EFAULT;
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

static ssize_t read_raw(struct tty *t, struct iov_iter *to)
{
	unsigned n = MIN((size_t)(t->head - t->tail), to->count), at = t->tail % N_TTY_BUF, first = MIN(n, N_TTY_BUF - at);

	if (copy_to_iter(t->in + at, first, to) != first || copy_to_iter(t->in, n - first, to) != n - first)
		return -EFAULT;
	t->tail += n;
	if ((int)(t->canon - t->tail) < 0)
		t->canon = t->tail;
	return n;
}

static bool read_wake(struct tty *t, struct file *f)
{
	guard(mutex)(&t->lock);
	return ldisc_input_available(t, false) || tty_hung_up(f, t) || other_closed(t);
}

static ssize_t slave_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct tty *t = f->private;
	ktime_t deadline = KTIME_MAX, gap = 0;
	unsigned min = 0;
	ssize_t done = 0, r;

	if (tty_hung_up(f, t))
		return 0;
	r = tty_check_change(t, SIGTTIN);
	if (r)
		return r;
	mutex_lock(&t->lock);
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
	while (to->count) {
		if (!ldisc_input_available(t, false)) {
			r = 0;
			if (tty_hung_up(f, t))
				break;
			if (other_closed(t)) {
				r = -EIO;
				break;
			}
			if (deadline == 0)
				break;
			if (f->flags & O_NONBLOCK) {
				r = -EAGAIN;
				break;
			}
			mutex_unlock(&t->lock);
			r = task_wait(&t->read_wait, read_wake(t, f), deadline);
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
		if (L_FLAG(t, ICANON) && !L_FLAG(t, EXTPROC)) {
			r = read_canon(t, to);
			if (r > 0)
				done += r;
			break;
		}
		r = read_raw(t, to);
		if (r < 0)
			break;
		done += r;
		r = 0;
		if (done >= min)
			break;
		if (gap)
			deadline = ktime_add_sat(ktime_mono(), gap);
	}
	ldisc_pull_inq(t);
	mutex_unlock(&t->lock);
	if (t->host && ring_used(&t->inq) == 0)
		wait_queue_wake_all(&t->master_write_wait, TTY_OUT);
	return done ? done : r < 0 ? r : 0;
}

static bool write_wake(struct tty *t, struct file *f)
{
	guard(mutex)(&t->lock);
	return (!t->stopped && ring_room(&t->out) >= 256) || tty_hung_up(f, t) || other_closed(t);
}

static ssize_t slave_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct tty *t = f->private;
	uint8_t buf[1024];
	ssize_t done = 0;
	int r = 0;

	if (tty_hung_up(f, t))
		return -EIO;
	if (L_FLAG(t, TOSTOP)) {
		r = tty_check_change(t, SIGTTOU);
		if (r)
			return r;
	}
	mutex_lock(&t->lock);
	while (t->writing) { /* writes do not mix */
		mutex_unlock(&t->lock);
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		r = task_wait(&t->write_wait, !READ_ONCE(t->writing), KTIME_MAX);
		if (r)
			return r;
		mutex_lock(&t->lock);
	}
	t->writing = true;
	while (from->count && !r) {
		unsigned n = MIN(from->count, sizeof(buf)), off = 0;
		mutex_unlock(&t->lock);
		n = copy_from_iter(buf, n, from);
		mutex_lock(&t->lock);
		if (!n) {
			r = -EFAULT;
			break;
		}
		while (off < n) {
			if (tty_hung_up(f, t) || other_closed(t)) {
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
			if (t->host && !t->stopped)
				r = tty_host_drain(t, false, KTIME_MAX);
			if (!r)
				r = task_wait(&t->write_wait, write_wake(t, f), KTIME_MAX);
			mutex_lock(&t->lock);
			if (r)
				break;
		}
	}
	t->writing = false;
	mutex_unlock(&t->lock);
	if (wait_queue_active(&t->write_wait))
		wait_queue_wake(&t->write_wait, TTY_OUT);
	if (t->host && done)
		tty_host_drain(t, true, 0);
	return done ? done : r;
}

static unsigned slave_poll(struct file *f, struct poll_table *pt)
{
	struct tty *t = f->private;
	unsigned mask = 0;

	poll_wait(f, &t->read_wait, pt);
	poll_wait(f, &t->write_wait, pt);
	if (tty_hung_up(f, t))
		return EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLRDNORM | EPOLLWRNORM;
	guard(mutex)(&t->lock);
	if (ldisc_input_available(t, true))
		mask |= TTY_IN;
	if (other_closed(t))
		mask |= EPOLLHUP;
	if (!t->stopped && !t->writing && ring_room(&t->out) >= 256)
		mask |= TTY_OUT;
	return mask;
}

static void slave_release(struct file *f)
{
	struct tty *t = f->private;

	mutex_lock(&t->lock);
	bool last = --t->slave_count == 0;
	if (last) {
		t->exclusive = false;
		wait_queue_wake_all(&t->master_read_wait, TTY_IN | EPOLLHUP);
		wait_queue_wake_all(&t->master_write_wait, TTY_OUT | EPOLLHUP);
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

/* Who switches O_ASYNC on without having named an owner gets the signals itself. */
static int tty_fasync(struct file *f, bool on)
{
	struct tty *t = f->private;
	unsigned i;

	if (vfs_hooks.fasync_set)
		vfs_hooks.fasync_set(f, on);
	if (on && fiber_context()->task) {
		guard(mutex)(&f->owner_lock);
		if (!f->owner_pid) {
			f->owner_pid = current->tg->pid;
			pid_get(f->owner_pid);
			f->owner_put = owner_pid_put;
			f->owner_type = F_OWNER_PID;
			f->owner_uid = current->cred->uid;
			f->owner_euid = current->cred->euid;
		}
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
		if ((t->async[i]->ops == &master_ops) == master && vfs_hooks.kill_fasync)
			vfs_hooks.kill_fasync(t->async[i], code);
}

static const struct file_ops slave_ops = {
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
	if (t->pt_locked || other_closed(t)) {
		mutex_unlock(&t->lock);
		return -EIO;
	}
	if (t->exclusive && !cred_has_cap(fiber_context()->cred, CAP_SYS_ADMIN)) {
		mutex_unlock(&t->lock);
		return -EBUSY;
	}
	tty_get(t);
	t->slave_count++;
	t->slave_opened = true;
	f->ops = &slave_ops;
	f->private = t;
	f->pos = t->gen;
	mutex_unlock(&t->lock);
	if (!(f->flags & O_NOCTTY) && fiber_context()->task)
		tty_open_acquires(t, f);
	return 0;
}

/* ---- the master's side ---- */

static inline bool slave_gone(struct tty *t) { return t->slave_opened && !t->slave_count; }

static bool master_readable(struct tty *t)
{
	guard(mutex)(&t->lock);
	return ring_used(&t->out) || (t->packet && t->pktstatus) || slave_gone(t);
}

static ssize_t master_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct tty *t = f->private;
	ssize_t done = 0;

	if (!to->count)
		return 0;
	mutex_lock(&t->lock);
	for (;;) {
		if (t->packet && t->pktstatus) {
			uint8_t st = t->pktstatus;
			t->pktstatus = 0;
			done = copy_to_iter(&st, 1, to) == 1 ? 1 : -EFAULT;
			break;
		}
		ldisc_flush_echoes(t);
		if (ring_used(&t->out)) {
			uint8_t data = TIOCPKT_DATA;
			if (t->packet) {
				if (copy_to_iter(&data, 1, to) != 1) {
					done = -EFAULT;
					break;
				}
				done = 1;
			}
			struct tty_ring *r = &t->out;
			unsigned n = MIN((size_t)ring_used(r), to->count), at = r->tail & (r->size - 1), first = MIN(n, r->size - at);
			unsigned m = copy_to_iter(r->buf + at, first, to);
			if (m == first)
				m += copy_to_iter(r->buf, n - first, to);
			if (m < n && !m) {
				done = -EFAULT;
				break;
			}
			r->tail += m;
			done += m;
			break;
		}
		if (slave_gone(t)) {
			done = -EIO;
			break;
		}
		if (f->flags & O_NONBLOCK) {
			done = -EAGAIN;
			break;
		}
		mutex_unlock(&t->lock);
		int r = task_wait(&t->master_read_wait, master_readable(t), KTIME_MAX);
		if (r)
			return r;
		mutex_lock(&t->lock);
	}
	if (done > 0) {
		ldisc_flush_echoes(t);
		if (!t->stopped && wait_queue_active(&t->write_wait))
			wait_queue_wake_all(&t->write_wait, TTY_OUT);
	}
	mutex_unlock(&t->lock);
	return done;
}

static ssize_t master_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct tty *t = f->private;
	uint8_t buf[1024];
	ssize_t done = 0;
	int r = 0;

	while (from->count && !r) {
		unsigned n = copy_from_iter(buf, MIN(from->count, sizeof(buf)), from), off = 0;
		if (!n) {
			r = -EFAULT;
			break;
		}
		mutex_lock(&t->lock);
		while (off < n) {
			if (slave_gone(t)) {
				r = -EIO;
				break;
			}
			if (!ring_used(&t->inq))
				off += ldisc_receive(t, buf + off, n - off);
			while (off < n && ring_room(&t->inq))
				ring_put(&t->inq, buf[off++]);
			if (off == n)
				break;
			if (f->flags & O_NONBLOCK) {
				r = -EAGAIN;
				break;
			}
			mutex_unlock(&t->lock);
			r = task_wait(&t->master_write_wait, ring_room(&t->inq) || slave_gone(t), KTIME_MAX);
			mutex_lock(&t->lock);
			if (r)
				break;
		}
		done += off;
		mutex_unlock(&t->lock);
	}
	return done ? done : r;
}

static unsigned master_poll(struct file *f, struct poll_table *pt)
{
	struct tty *t = f->private;
	unsigned mask = 0;

	poll_wait(f, &t->master_read_wait, pt);
	poll_wait(f, &t->master_write_wait, pt);
	guard(mutex)(&t->lock);
	if (ring_used(&t->out))
		mask |= TTY_IN;
	if (t->packet && t->pktstatus)
		mask |= EPOLLPRI | TTY_IN;
	if (slave_gone(t))
		mask |= EPOLLHUP;
	if (ring_room(&t->inq))
		mask |= TTY_OUT;
	return mask;
}

static void master_release(struct file *f)
{
	struct tty *t = f->private;

	mutex_lock(&t->lock);
	t->master_open = false;
	t->packet = false;
	struct devpts_hooks h = t->devpts;
	t->devpts = (struct devpts_hooks){ 0 };
	mutex_unlock(&t->lock);
	if (h.master_closed)
		h.master_closed(t, h.arg);
	tty_do_hangup(t, false);
	tty_put(t);
}

static long master_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct tty *t = f->private;
	int v;

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

static const struct file_ops master_ops = {
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
	.fasync = tty_fasync,
	.release = master_release,
	.stream = true,
};

int tty_open_master(struct tty *t, struct file *f)
{
	f->ops = &master_ops;
	f->private = t;
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

void tty_init(struct kernel *k)
{
	k->tty_get = tty_get;
	k->tty_put = tty_put;
	tty_job_init(k);
	fasync_init();
	register_chrdev(5, 0, 1, dev_tty_open);
}
