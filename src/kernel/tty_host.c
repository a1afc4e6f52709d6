/* SPDX-License-Identifier: Apache-2.0 */
/* tty_host.c: the sandbox's own terminal.
 *
 * OVERVIEW  A fiber reads the host's terminal (raw already) into the line discipline. Output is written by whoever produced it:
 * a guest's write drains `out` at once; the fiber drains what echoes left. The host's descriptors are shared with other programs,
 * so their O_NONBLOCK is never touched: poll first, then read, or write no more than a terminal takes without blocking.
 * LOCKS  drain_lock (sleep, outermost) keeps the order of output; tty.lock is not held across host calls.
 */
#include "kernel/tty_internal.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define HOST_CHUNK 1024u /* small enough for a slow terminal that says it is writable */

struct tty_host {
	struct tty *tty; /* borrowed: freed with it */
	int in_fd, out_fd; /* own duplicates */
	struct sleeplock drain_lock;
	struct host_poll in_poll, out_poll;
	struct wait_queue in_wait, out_wait;
	struct fiber *fiber;
	bool eof, dead;
	_Atomic bool background;
};

struct tty_kernel { /* kernel->tty */
	struct mutex lock;
	struct tty *host;     /* counted */
	struct tty *unplaced; /* counted: not in a devpts yet */
	void *devpts;	      /* the first one: for ptmx nodes elsewhere; borrowed */
	void (*place)(void *devpts, struct tty *t);
};

static long host_call(long r) { return r < 0 ? -errno : r; }

static bool host_writable(struct tty_host *h) { return host_poll_now(h->out_fd, EPOLLOUT) != 0; }

int tty_host_drain(struct tty *t, bool nonblock, ktime_t deadline)
{
	struct tty_host *h = t->host;
	char buf[HOST_CHUNK];
	int r = 0;

	if (!ring_used(&t->out))
		return 0;
	if (nonblock) {
		if (!sleeplock_trylock(&h->drain_lock))
			return 0; /* somebody does it; the fiber looks again */
	} else {
		sleeplock_lock(&h->drain_lock);
	}
	for (;;) {
		unsigned n = 0;
		mutex_lock(&t->lock);
		for (unsigned at = t->out.tail; n < sizeof(buf) && at != t->out.head; at++)
			buf[n++] = t->out.buf[at & (t->out.size - 1)];
		unsigned from = t->out.tail;
		mutex_unlock(&t->lock);
		if (!n)
			break;
		long w;
		if (h->dead) {
			w = n; /* nobody to read it */
		} else {
			if (!host_writable(h)) {
				if (nonblock) {
					wait_queue_wake_all(&h->in_wait, 0); /* the fiber goes on */
					break;
				}
				r = task_wait(&h->out_wait, host_writable(h), deadline);
				if (r)
					break;
			}
			w = host_call(write(h->out_fd, buf, n));
			if (w == -EINTR || w == -EAGAIN)
				continue;
			if (w < 0) {
				h->dead = true;
				continue;
			}
		}
		mutex_lock(&t->lock);
		if (t->out.tail == from) /* a flush may have come between */
			t->out.tail += w;
		ldisc_process_echoes(t);
		mutex_unlock(&t->lock);
		if (wait_queue_active(&t->slave.write_wait))
			wait_queue_wake_all(&t->slave.write_wait, TTY_OUT);
	}
	sleeplock_unlock(&h->drain_lock);
	return r;
}

/* The fiber has no task: its own waiting. */
static void pump_output(struct tty *t)
{
	struct tty_host *h = t->host;

	tty_host_drain(t, true, 0);
	if (ring_used(&t->out) && !h->dead && !host_writable(h))
		wait_event(&h->out_wait, host_writable(h), PARK_KILLABLE, ktime_add_sat(ktime_mono(), NSEC_PER_SEC / 10));
}

static bool pump_has_work(struct tty *t)
{
	struct tty_host *h = t->host;

	if (ring_used(&t->out) && !t->slave.stopped)
		return true;
	return !h->eof && !atomic_load(&h->background) && flip_empty(&t->slave.flip) && host_poll_now(h->in_fd, EPOLLIN);
}

static void pump(void *arg)
{
	struct tty *t = arg;
	struct tty_host *h = t->host;
	uint8_t buf[HOST_CHUNK];

	for (;;) {
		struct wait_entry e2;
		wait_entry_init_fiber(&e2, fiber_self());
		wait_queue_add(&t->master.read_wait, &e2); /* output came */
		struct wait_entry e3;
		wait_entry_init_fiber(&e3, fiber_self());
		wait_queue_add(&t->master.write_wait, &e3); /* the line discipline has room again */
		wait_event(&h->in_wait, pump_has_work(t), PARK_KILLABLE, KTIME_MAX);
		wait_queue_del(&t->master.read_wait, &e2);
		wait_queue_del(&t->master.write_wait, &e3);
		if (!h->eof && !atomic_load(&h->background) && flip_empty(&t->slave.flip) && host_poll_now(h->in_fd, EPOLLIN)) {
			long n = host_call(read(h->in_fd, buf, sizeof(buf)));
			if (n > 0) {
				mutex_lock(&t->lock);
				flip_insert(&t->slave.flip, buf, n); /* it is empty */
				slave_receive(t);
				mutex_unlock(&t->lock);
			} else if (n != -EAGAIN && n != -EINTR) {
				h->eof = true; /* the host's terminal is gone */
				if (n < 0)
					h->dead = true;
				tty_do_hangup(t);
			}
		}
		pump_output(t);
	}
}

void tty_host_foreground(struct tty *t, bool yes)
{
	atomic_store(&t->host->background, !yes);
	wait_queue_wake_all(&t->host->in_wait, 0);
}

bool tty_host_background(struct tty *t) { return atomic_load(&t->host->background); }

void tty_host_free(struct tty_host *h)
{
	host_poll_del(&h->in_poll);
	host_poll_del(&h->out_poll);
	close(h->in_fd);
	close(h->out_fd);
	free(h);
}

static struct tty_kernel *tty_kernel(struct kernel *k)
{
	struct tty_kernel *tk = k->tty;

	if (!tk) {
		tk = new(struct tty_kernel);
		mutex_init(&tk->lock, RANK_LEAF);
		k->tty = tk;
	}
	return tk;
}

static struct tty *host_tty_of(struct kernel *k) { return k->tty ? ((struct tty_kernel *)k->tty)->host : NULL; }

void *tty_first_devpts(struct kernel *k, void *fresh, void (*place)(void *devpts, struct tty *t))
{
	struct tty_kernel *tk = tty_kernel(k);
	guard(mutex)(&tk->lock);

	if (!tk->devpts && fresh) {
		tk->devpts = fresh;
		tk->place = place;
	}
	return tk->devpts;
}

void tty_forget_devpts(struct kernel *k, void *devpts)
{
	struct tty_kernel *tk = tty_kernel(k);
	guard(mutex)(&tk->lock);

	if (tk->devpts == devpts)
		tk->devpts = NULL;
}

static int console_open(struct inode *inode, struct file *f)
{
	struct tty *t = host_tty_of(current->kernel);

	if (!t)
		return -ENODEV;
	f->flags |= O_NOCTTY; /* the console is taken by nobody who did not ask for it */
	return tty_open_slave(t, f);
}

/* A description of our own, which may be non-blocking; a duplicate where the host has no /proc. */
static int host_reopen(int fd, int mode)
{
	char name[32];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	int r = isatty(fd) ? open(name, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
	return r >= 0 ? r : (int)host_call(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

int tty_create_host(struct kernel *k, int in_fd, int out_fd, struct tty **out)
{
	struct tty *t = tty_alloc(k, true);
	struct tty_host *h = kzalloc(sizeof(*h));
	int r;

	if (!t || !h) {
		tty_put(t);
		free(h);
		return -ENOMEM;
	}
	h->tty = t;
	h->in_fd = host_reopen(in_fd, O_RDONLY);
	h->out_fd = host_reopen(out_fd, O_WRONLY);
	if (h->in_fd < 0 || h->out_fd < 0) {
		r = h->in_fd < 0 ? h->in_fd : h->out_fd;
		if (h->in_fd >= 0)
			close(h->in_fd);
		if (h->out_fd >= 0)
			close(h->out_fd);
		tty_put(t);
		free(h);
		return r;
	}
	sleeplock_init(&h->drain_lock, RANK_FILE_POS);
	wait_queue_init(&h->in_wait);
	wait_queue_init(&h->out_wait);
	host_poll_add(&h->in_poll, k->sched, h->in_fd, &h->in_wait); /* a file is always ready: no poll then */
	host_poll_add(&h->out_poll, k->sched, h->out_fd, &h->out_wait);
	t->host = h;
	struct winsize_k ws;
	if (!syscall(SYS_ioctl, in_fd, TIOCGWINSZ, &ws))
		t->winsize = ws;
	h->fiber = fiber_create(k->sched, 0, "tty", pump, t);
	if (!h->fiber) {
		tty_put(t);
		return -ENOMEM;
	}
	tty_get(t); /* the fiber's, for good */
	struct tty_kernel *tk = tty_kernel(k);
	tk->host = t;
	tty_get(t);
	tty_get(t);
	if (tk->devpts)
		tk->place(tk->devpts, t);
	else
		tk->unplaced = t;
	register_chrdev(5, 1, 1, console_open);
	fiber_wake(h->fiber);
	*out = t;
	return 0;
}

struct tty *tty_take_host(struct kernel *k)
{
	struct tty_kernel *tk = tty_kernel(k);
	guard(mutex)(&tk->lock);
	struct tty *t = tk->unplaced;

	tk->unplaced = NULL;
	return t;
}

/* The scheduler has stopped: nobody else writes. */
static void flush_alone(struct tty *t, ktime_t deadline)
{
	struct tty_host *h = t->host;

	while (ring_used(&t->out) && !h->dead) {
		struct pollfd p = { .fd = h->out_fd, .events = POLLOUT };
		ktime_t left = deadline - ktime_mono();
		if (left <= 0 || poll(&p, 1, (int)(left / NSEC_PER_MSEC) + 1) <= 0)
			return;
		unsigned at = t->out.tail & (t->out.size - 1), n = MIN(MIN(ring_used(&t->out), t->out.size - at), HOST_CHUNK);
		long w = host_call(write(h->out_fd, t->out.buf + at, n));
		if (w > 0)
			t->out.tail += w;
		else if (w != -EAGAIN && w != -EINTR)
			return;
	}
}

void tty_host_flush(struct tty *t, ktime_t deadline)
{
	struct tty_host *h = t->host;

	if (!h)
		return;
	if (!fiber_self()) {
		flush_alone(t, deadline);
		return;
	}
	while (ring_used(&t->out) && !h->dead && ktime_mono() < deadline) {
		tty_host_drain(t, true, 0);
		if (ring_used(&t->out))
			wait_event(&h->out_wait, host_writable(h), PARK_KILLABLE, MIN(deadline, ktime_add_sat(ktime_mono(), 50 * NSEC_PER_MSEC)));
	}
}

/* ---- an open file on it ---- */

static int console_fstat_file(struct tty *t, unsigned flags, struct file **out)
{
	static const struct file_ops none;
	struct file *f;
	int r = anon_file("/dev/console", S_IFCHR | 0620, &none, NULL, flags, &f);

	if (r)
		return r;
	f->inode->rdev = tty_dev(t);
	f->flags |= O_NOCTTY;
	r = tty_open_slave(t, f);
	f->flags &= ~O_NOCTTY;
	if (r) {
		file_put(f);
		return r;
	}
	*out = f;
	return 0;
}

int tty_file(struct tty *t, unsigned flags, struct file **out)
{
	struct fiber_context *c = fiber_context();
	struct fs_context *saved_fs = c->fs, *fs = NULL;
	struct cred *saved_cred = c->cred, *cred = NULL;
	struct path root;
	char name[32];
	int r = -ENOENT;

	if (!saved_fs && t->kernel->root_mnt_ns) {
		mount_ns_root(t->kernel->root_mnt_ns, &root);
		c->fs = fs = fs_context_create(&root);
		path_put(&root);
	}
	if (!saved_cred)
		c->cred = cred = cred_create_root(t->kernel->root_user_ns);
	struct open_how_k how = { .flags = flags | O_NOCTTY };
	for (int i = 0; i < 2 && r && c->fs; i++) {
		if (i == 0 && t->index < 0)
			continue;
		if (i == 0)
			snprintf(name, sizeof(name), "/dev/pts/%d", t->index);
		else
			strcpy(name, "/dev/console");
		r = vfs_open(AT_FDCWD, name, &how, out);
		if (!r && file_tty(*out) != t) {
			file_put(*out);
			r = -ENOENT;
		}
	}
	if (r)
		r = console_fstat_file(t, flags, out);
	c->fs = saved_fs;
	c->cred = saved_cred;
	if (fs)
		fs_context_put(fs);
	if (cred)
		cred_put(cred);
	return r;
}
