/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.c: pipes and FIFOs.
 *
 * OVERVIEW  A pipe is a ring of page-sized slots, as on Linux: each holds a run of bytes; a small write joins the last slot if
 * it fits there entirely. Everything a guest can observe about fullness (poll, EAGAIN, PIPE_BUF atomicity, packets) follows
 * from counting slots, not bytes. The slots' pages lie in one buffer, so that a large transfer is one copy.
 *
 * LIFECYCLE  The pipe lives while files are open on its inode (inode->pipe); a FIFO's data goes with its last file.
 *
 * LOCKS  pipe.lock is a plain mutex, held across copies from and to guests: these never park, so the usual 1-byte transfer
 * pays no sleep lock. inode->pipe and pipe.files are under inode->attr_lock. Sleepers look at the counters without the lock
 * and check again with it.
 */
#include "fs/pipe/pipe.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>

#define PAGE GUEST_PAGE_SIZE
#define PIPE_DEF_SLOTS 16u
#define IN_KEY (EPOLLIN | EPOLLRDNORM)
#define OUT_KEY (EPOLLOUT | EPOLLWRNORM)

struct pipe_slot { uint32_t off, len; bool packet; };

struct pipe {
	struct mutex lock; /* RANK_PIPE */
	unsigned nslots;   /* power of two */
	unsigned tail;	   /* the oldest slot */
	unsigned nused;	   /* read without the lock by sleepers */
	size_t bytes;
	char *buf; /* nslots pages; NULL before the first write */
	struct pipe_slot *slots;
	unsigned readers, writers;     /* open ends; read without the lock by sleepers */
	unsigned r_counter, w_counter; /* opens so far: a FIFO's rendezvous */
	bool poll_usage;	       /* somebody polls: wake at each transfer, for edge-triggered epolls */
	bool anonymous;
	unsigned nasync;
	struct file **async; /* O_ASYNC files */
	struct wait_queue rd_wait, wr_wait;
	unsigned files; /* inode attr_lock */
	struct pipe_slot inline_slots[PIPE_DEF_SLOTS];
};

static const struct file_ops pipe_file_ops;

static struct pipe *pipe_alloc(void)
{
	struct pipe *p = kzalloc(sizeof(*p));

	if (!p)
		return NULL;
	mutex_init(&p->lock, RANK_PIPE);
	wait_queue_init(&p->rd_wait);
	wait_queue_init(&p->wr_wait);
	p->nslots = PIPE_DEF_SLOTS;
	p->slots = p->inline_slots;
	return p;
}

static void pipe_free(struct pipe *p)
{
	if (p->slots != p->inline_slots)
		free(p->slots);
	free(p->async);
	free(p->buf);
	free(p);
}

static inline bool pipe_full(const struct pipe *p) { return READ_ONCE(p->nused) >= p->nslots; }
static inline bool pipe_readable(struct pipe *p) { return READ_ONCE(p->nused) || !READ_ONCE(p->writers); }
static inline bool pipe_writable(struct pipe *p) { return !pipe_full(p) || !READ_ONCE(p->readers); }

static void pipe_sigio(struct pipe *p, int code)
{
	if (likely(!READ_ONCE(p->nasync)))
		return;
	guard(mutex)(&p->lock);
	for (unsigned i = 0; i < p->nasync; i++)
		if ((code == POLL_IN ? FMODE_READ : FMODE_WRITE) & p->async[i]->mode && vfs_hooks.kill_fasync)
			vfs_hooks.kill_fasync(p->async[i], code);
}

static inline void wake_readers(struct pipe *p, unsigned key)
{
	if (wait_queue_active(&p->rd_wait))
		wait_queue_wake(&p->rd_wait, key);
}

static inline void wake_writers(struct pipe *p, unsigned key)
{
	if (wait_queue_active(&p->wr_wait))
		wait_queue_wake(&p->wr_wait, key);
}

/* Exclusive sleep: one byte wakes one of many readers (make's jobserver). Who was woken passes the rest on. */
static int pipe_sleep(struct pipe *p, struct wait_queue *wq, bool (*cond)(struct pipe *))
{
	struct wait_entry e;
	int r = 0;

	vfs_will_block();
	wait_entry_init_fiber(&e, fiber_self());
	e.exclusive = true;
	for (;;) {
		wait_queue_add(wq, &e); /* a wake-up took it off the queue, and may have been for a poller alone */
		if (cond(p))
			break;
		r = fiber_park(PARK_INTERRUPTIBLE, KTIME_MAX);
		if (r) {
			r = cond(p) ? 0 : -ERESTARTSYS;
			break;
		}
	}
	wait_queue_del(wq, &e);
	return r;
}

static inline struct pipe_slot *slot_at(struct pipe *p, unsigned i) { return &p->slots[(p->tail + i) & (p->nslots - 1)]; }
static inline char *slot_mem(struct pipe *p, struct pipe_slot *s) { return p->buf + (size_t)(s - p->slots) * PAGE + s->off; }

static inline void drop_first(struct pipe *p)
{
	p->nused--;
	p->tail = p->nused ? (p->tail + 1) & (p->nslots - 1) : 0; /* an empty pipe starts again with the warm page */
}

/* ---- reading ---- */

/* The run of bytes in front that lies together in memory, at most `want`. */
static size_t front_run(struct pipe *p, size_t want)
{
	struct pipe_slot *s = slot_at(p, 0);
	size_t n = s->len;

	if (s->packet)
		return MIN(n, want);
	for (unsigned i = 1; n < want && i < p->nused && s->off + s->len == PAGE; i++) {
		s++;
		if (s == p->slots + p->nslots || s->off || s->packet)
			break;
		n += s->len;
	}
	return MIN(n, want);
}

/* Take n bytes of the front run away. whole: only entire slots count (a copy that faulted). Returns the bytes taken. */
static size_t consume(struct pipe *p, size_t n, bool whole)
{
	size_t done = 0;

	while (n) {
		struct pipe_slot *s = slot_at(p, 0);
		size_t k = MIN((size_t)s->len, n);
		if (k < s->len && whole)
			break;
		s->off += k;
		s->len -= k;
		n -= k;
		done += k;
		if (!s->len)
			drop_first(p);
	}
	p->bytes -= done;
	return done;
}

static ssize_t pipe_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct pipe *p = f->private;
	bool wake_writer = false, slept = false;
	ssize_t ret = 0;

	if (!to->count)
		return 0;
	mutex_lock(&p->lock);
	for (;;) {
		if (p->nused) {
			bool was_full = pipe_full(p);
			unsigned before = p->nused;
			struct pipe_slot *s = slot_at(p, 0);
			bool packet = s->packet;
			size_t n = front_run(p, to->count);
			size_t m = copy_to_iter(slot_mem(p, s), n, to);
			if (m == n && packet) { /* the rest of a packet is lost */
				p->bytes -= s->len;
				drop_first(p);
				ret += n;
			} else if (m == n || !packet) {
				ret += consume(p, m, m < n);
			}
			wake_writer |= was_full && p->nused < before;
			if (m < n) {
				if (!ret)
					ret = -EFAULT;
				break;
			}
			if (packet || !to->count)
				break;
			continue;
		}
		if (!p->writers || ret)
			break;
		if (f->flags & O_NONBLOCK) {
			ret = -EAGAIN;
			break;
		}
		mutex_unlock(&p->lock);
		if (wake_writer)
			wake_writers(p, OUT_KEY);
		wake_writer = false;
		slept = true;
		ret = pipe_sleep(p, &p->rd_wait, pipe_readable);
		if (ret)
			goto out;
		mutex_lock(&p->lock);
	}
	bool more = slept && p->nused;
	bool poll_usage = p->poll_usage;
	mutex_unlock(&p->lock);
	if (more)
		wake_readers(p, IN_KEY);
	if (wake_writer || (unlikely(poll_usage) && ret > 0))
		wake_writers(p, OUT_KEY);
	pipe_sigio(p, POLL_OUT); /* of any read, as of any write */
out:
	return ret;
}

/* ---- writing ---- */

/* Account for `n` bytes that were copied to the pages behind the last slot. */
static void commit(struct pipe *p, size_t n, bool packet)
{
	p->bytes += n;
	while (n) {
		struct pipe_slot *s = slot_at(p, p->nused);
		size_t k = MIN(n, PAGE);
		*s = (struct pipe_slot){ .len = k, .packet = packet };
		p->nused++;
		n -= k;
	}
}

/* Pages free behind the last slot without wrapping, and where they are. */
static size_t free_run(struct pipe *p, char **mem)
{
	unsigned at = (p->tail + p->nused) & (p->nslots - 1);

	*mem = p->buf + (size_t)at * PAGE;
	return MIN(p->nslots - p->nused, p->nslots - at) * PAGE;
}

static inline bool pipe_have_buf(struct pipe *p)
{
	if (unlikely(!p->buf))
		p->buf = malloc((size_t)p->nslots * PAGE);
	return p->buf;
}

static ssize_t pipe_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct pipe *p = f->private;
	bool packet = f->flags & O_DIRECT, was_empty, slept = false;
	ssize_t ret = 0;
	size_t chars = from->count % PAGE;

	if (!from->count)
		return 0;
	mutex_lock(&p->lock);
	was_empty = !p->nused;
	if (!p->readers) {
		ret = -EPIPE;
		goto out;
	}
	if (chars && !was_empty) { /* the odd bytes join the last page if they fit entirely */
		struct pipe_slot *s = slot_at(p, p->nused - 1);
		if (!s->packet && !packet && s->off + s->len + chars <= PAGE) {
			if (copy_from_iter(slot_mem(p, s) + s->len, chars, from) < chars) {
				ret = -EFAULT;
				goto out;
			}
			s->len += chars;
			p->bytes += chars;
			ret = chars;
		}
	}
	while (from->count) {
		if (!p->readers) {
			if (!ret)
				ret = -EPIPE;
			break;
		}
		if (!pipe_full(p)) {
			char *mem;
			if (!pipe_have_buf(p)) {
				if (!ret)
					ret = -ENOMEM;
				break;
			}
			size_t n = MIN(free_run(p, &mem), from->count);
			size_t m = copy_from_iter(mem, n, from);
			size_t good = m < n ? ALIGN_DOWN(m, PAGE) : n;
			commit(p, good, packet);
			ret += good;
			if (m < n) {
				if (!ret)
					ret = -EFAULT;
				break;
			}
			continue;
		}
		if (f->flags & O_NONBLOCK) {
			if (!ret)
				ret = -EAGAIN;
			break;
		}
		mutex_unlock(&p->lock);
		if (was_empty)
			wake_readers(p, IN_KEY);
		pipe_sigio(p, POLL_IN);
		slept = true;
		int r = pipe_sleep(p, &p->wr_wait, pipe_writable);
		mutex_lock(&p->lock);
		was_empty = !p->nused;
		if (r) {
			if (!ret)
				ret = r;
			break;
		}
	}
out:;
	bool more = slept && !pipe_full(p);
	bool poll_usage = p->poll_usage;
	mutex_unlock(&p->lock);
	if ((was_empty && ret > 0) || unlikely(poll_usage))
		wake_readers(p, IN_KEY);
	pipe_sigio(p, POLL_IN);
	if (more)
		wake_writers(p, OUT_KEY);
	if (ret == -EPIPE && vfs_hooks.send_sigpipe)
		vfs_hooks.send_sigpipe();
	return ret;
}

/* ---- poll, ioctl, size ---- */

static unsigned pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = f->private;
	unsigned mask = 0;

	if (pt && pt->queue) {
		WRITE_ONCE(p->poll_usage, true);
		if (f->mode & FMODE_READ)
			poll_wait(f, &p->rd_wait, pt);
		if (f->mode & FMODE_WRITE)
			poll_wait(f, &p->wr_wait, pt);
	}
	guard(mutex)(&p->lock);
	if (f->mode & FMODE_READ) {
		if (p->nused)
			mask |= EPOLLIN | EPOLLRDNORM;
		/* pos: writers that had come when this end was opened without one; it hangs up only after a later one */
		if (!p->writers && f->pos != (int64_t)p->w_counter)
			mask |= EPOLLHUP;
	}
	if (f->mode & FMODE_WRITE) {
		if (!pipe_full(p))
			mask |= EPOLLOUT | EPOLLWRNORM;
		if (!p->readers)
			mask |= EPOLLERR;
	}
	return mask;
}

static long pipe_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pipe *p = f->private;

	if (cmd != FIONREAD)
		return -ENOIOCTLCMD;
	mutex_lock(&p->lock);
	int n = MIN(p->bytes, (size_t)INT_MAX);
	mutex_unlock(&p->lock);
	return put_user(n, arg);
}

static long pipe_set_size(struct pipe *p, uint64_t arg)
{
	struct pipe_slot *slots, *old_slots;
	char *buf = NULL, *old_buf;
	unsigned n = 1;

	if (arg > 1u << 31)
		return -EINVAL;
	while ((uint64_t)n * PAGE < arg)
		n *= 2;
	if (n > p->nslots && (uint64_t)n * PAGE > PIPE_MAX_SIZE && !cred_has_cap(fiber_context()->cred, CAP_SYS_RESOURCE))
		return -EPERM;
	if (n > (256u << 20) / PAGE)
		return -ENOMEM; /* the sandbox's own memory is bounded */
	slots = kzalloc(n * sizeof(*slots));
	buf = malloc((size_t)n * PAGE);
	if (!slots || !buf) {
		free(slots);
		free(buf);
		return -ENOMEM;
	}
	mutex_lock(&p->lock);
	if (n < p->nused) {
		mutex_unlock(&p->lock);
		free(slots);
		free(buf);
		return -EBUSY;
	}
	for (unsigned i = 0; i < p->nused; i++) {
		struct pipe_slot *s = slot_at(p, i);
		slots[i] = *s;
		memcpy(buf + (size_t)i * PAGE + s->off, slot_mem(p, s), s->len);
	}
	bool was_full = pipe_full(p);
	old_slots = p->slots != p->inline_slots ? p->slots : NULL;
	old_buf = p->buf;
	p->slots = slots;
	p->buf = buf;
	p->tail = 0;
	p->nslots = n;
	bool room = was_full && !pipe_full(p);
	mutex_unlock(&p->lock);
	free(old_slots);
	free(old_buf);
	if (room)
		wait_queue_wake_all(&p->wr_wait, OUT_KEY);
	return (long)n * PAGE;
}

static long pipe_fcntl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pipe *p = f->private;

	switch (cmd) {
	case F_SETPIPE_SZ: return pipe_set_size(p, (unsigned)arg);
	case F_GETPIPE_SZ: return (long)p->nslots * PAGE;
	}
	return -EINVAL;
}

static int pipe_fasync(struct file *f, bool on)
{
	struct pipe *p = f->private;
	unsigned i;

	if (vfs_hooks.fasync_set)
		vfs_hooks.fasync_set(f, on);
	guard(mutex)(&p->lock);
	for (i = 0; i < p->nasync && p->async[i] != f; i++)
		;
	if (on && i == p->nasync) {
		p->async = xrealloc(p->async, (p->nasync + 1) * sizeof(f));
		p->async[p->nasync++] = f;
	} else if (!on && i < p->nasync) {
		p->async[i] = p->async[--p->nasync];
	}
	return 0;
}

/* ---- open and release ---- */

static void pipe_put(struct inode *inode, struct pipe *p)
{
	mutex_lock(&inode->attr_lock);
	bool last = --p->files == 0;
	if (last)
		atomic_store(&inode->pipe, NULL);
	mutex_unlock(&inode->attr_lock);
	if (last)
		pipe_free(p);
}

static void pipe_release(struct file *f)
{
	struct pipe *p = f->private;

	mutex_lock(&p->lock);
	if (f->mode & FMODE_READ)
		p->readers--;
	if (f->mode & FMODE_WRITE)
		p->writers--;
	bool tell = !p->readers != !p->writers;
	mutex_unlock(&p->lock);
	if (tell) {
		wait_queue_wake_all(&p->rd_wait, IN_KEY | EPOLLERR | EPOLLHUP);
		wait_queue_wake_all(&p->wr_wait, OUT_KEY | EPOLLERR | EPOLLHUP);
		pipe_sigio(p, POLL_IN);
		pipe_sigio(p, POLL_OUT);
	}
	pipe_put(f->inode, p);
}

int pipe_create(unsigned flags, struct file **reader, struct file **writer)
{
	struct pipe *p = pipe_alloc();

	if (!p)
		return -ENOMEM;
	p->anonymous = true;
	p->readers = p->writers = p->r_counter = p->w_counter = 1;
	p->files = 2;
	/* The name holds the number, so that it is chosen here: a range of its own among the anonymous inodes. */
	static _Atomic uint64_t next_ino = 1u << 24;
	uint64_t ino = atomic_fetch_add_explicit(&next_ino, 1, memory_order_relaxed);
	char name[32];
	snprintf(name, sizeof(name), "pipe:[%llu]", (unsigned long long)ino);
	int r = anon_file(name, S_IFIFO | 0600, &pipe_file_ops, p, O_WRONLY | (flags & (O_NONBLOCK | O_DIRECT)), writer);
	if (r) {
		pipe_free(p);
		return r;
	}
	struct inode *inode = (*writer)->inode;
	inode->ino = ino;
	inode->uid = fiber_context()->cred->fsuid;
	inode->gid = fiber_context()->cred->fsgid;
	atomic_store(&inode->pipe, p);
	*reader = file_alloc(&(*writer)->path, O_RDONLY | (flags & O_NONBLOCK), &pipe_file_ops, p);
	if (!*reader) {
		p->files = 1;
		p->readers = 0;
		file_put(*writer);
		return -ENOMEM;
	}
	return 0;
}

/* Sleep until the other side was opened, even if it is gone again since. */
static int wait_for_partner(struct pipe *p, unsigned *counter)
{
	unsigned seen = *counter;

	mutex_unlock(&p->lock);
	int r = vfs_wait(&p->rd_wait, READ_ONCE(*counter) != seen, KTIME_MAX);
	mutex_lock(&p->lock);
	return r;
}

static int fifo_open(struct inode *inode, struct file *f)
{
	struct pipe *p, *fresh = NULL;
	int r = 0;

	mutex_lock(&inode->attr_lock);
	p = atomic_load(&inode->pipe);
	if (!p) {
		mutex_unlock(&inode->attr_lock);
		fresh = pipe_alloc();
		if (!fresh)
			return -ENOMEM;
		mutex_lock(&inode->attr_lock);
		p = atomic_load(&inode->pipe);
		if (!p) {
			p = fresh;
			fresh = NULL;
			atomic_store(&inode->pipe, p);
		}
	}
	p->files++;
	mutex_unlock(&inode->attr_lock);
	if (fresh)
		pipe_free(fresh);

	f->pos = 0;
	mutex_lock(&p->lock);
	switch (f->mode & (FMODE_READ | FMODE_WRITE)) {
	case FMODE_READ:
		p->r_counter++;
		if (p->readers++ == 0)
			wait_queue_wake_all(&p->rd_wait, 0);
		if (!p->anonymous && !p->writers) {
			if (f->flags & O_NONBLOCK) {
				f->pos = p->w_counter;
			} else {
				r = wait_for_partner(p, &p->w_counter);
				if (r && --p->readers == 0)
					wait_queue_wake_all(&p->wr_wait, OUT_KEY | EPOLLERR);
			}
		}
		break;
	case FMODE_WRITE:
		if (!p->anonymous && (f->flags & O_NONBLOCK) && !p->readers) {
			r = -ENXIO;
			break;
		}
		p->w_counter++;
		if (p->writers++ == 0)
			wait_queue_wake_all(&p->rd_wait, 0);
		if (!p->anonymous && !p->readers) {
			r = wait_for_partner(p, &p->r_counter);
			if (r && --p->writers == 0)
				wait_queue_wake_all(&p->rd_wait, IN_KEY | EPOLLHUP);
		}
		break;
	case FMODE_READ | FMODE_WRITE: /* POSIX leaves it open; Linux lets it succeed at once */
		p->readers++;
		p->writers++;
		p->r_counter++;
		p->w_counter++;
		if (p->readers == 1 || p->writers == 1)
			wait_queue_wake_all(&p->rd_wait, 0);
		break;
	default:
		r = -EINVAL;
	}
	mutex_unlock(&p->lock);
	if (r) {
		pipe_put(inode, p);
		return r;
	}
	f->ops = &pipe_file_ops;
	f->private = p;
	return 0;
}

static const struct file_ops pipe_file_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.fcntl = pipe_fcntl,
	.fasync = pipe_fasync,
	.release = pipe_release,
	.stream = true,
};

void pipe_init(void) { register_fifo_open(fifo_open); }

/* ---- for splice, tee and vmsplice ---- */

bool file_is_pipe(struct file *f) { return f->ops == &pipe_file_ops; }
bool pipe_is_same(struct file *a, struct file *b) { return file_is_pipe(a) && file_is_pipe(b) && a->private == b->private; }

int pipe_wait_readable(struct file *f, bool nonblock)
{
	struct pipe *p = f->private;

	for (;;) {
		if (READ_ONCE(p->nused))
			return 1;
		if (!READ_ONCE(p->writers))
			return 0;
		if (nonblock)
			return -EAGAIN;
		int r = pipe_sleep(p, &p->rd_wait, pipe_readable);
		if (r)
			return r;
	}
}

int pipe_wait_writable(struct file *f, bool nonblock)
{
	struct pipe *p = f->private;

	for (;;) {
		if (!READ_ONCE(p->readers)) {
			if (vfs_hooks.send_sigpipe)
				vfs_hooks.send_sigpipe();
			return -EPIPE;
		}
		if (!pipe_full(p))
			return 1;
		if (nonblock)
			return -EAGAIN;
		int r = pipe_sleep(p, &p->wr_wait, pipe_writable);
		if (r)
			return r;
	}
}

size_t pipe_pull(struct file *f, void *buf, size_t n)
{
	struct pipe *p = f->private;
	size_t done = 0;

	mutex_lock(&p->lock);
	bool was_full = pipe_full(p);
	while (done < n && p->nused) {
		size_t k = front_run(p, n - done);
		memcpy((char *)buf + done, slot_mem(p, slot_at(p, 0)), k);
		consume(p, k, false);
		done += k;
	}
	bool wake = (was_full && !pipe_full(p)) || p->poll_usage, more = p->nused;
	mutex_unlock(&p->lock);
	if (more)
		wake_readers(p, IN_KEY);
	if (wake)
		wake_writers(p, OUT_KEY);
	return done;
}

static size_t push_locked(struct pipe *p, const void *buf, size_t n)
{
	size_t done = 0;

	if (!pipe_have_buf(p))
		return 0;
	while (done < n && !pipe_full(p)) {
		char *mem;
		size_t k = MIN(free_run(p, &mem), n - done);
		memcpy(mem, (const char *)buf + done, k);
		commit(p, k, false);
		done += k;
	}
	return done;
}

size_t pipe_push(struct file *f, const void *buf, size_t n)
{
	struct pipe *p = f->private;

	mutex_lock(&p->lock);
	size_t done = push_locked(p, buf, n);
	bool more = !pipe_full(p);
	mutex_unlock(&p->lock);
	if (done)
		wake_readers(p, IN_KEY);
	if (more)
		wake_writers(p, OUT_KEY);
	return done;
}

void pipe_unpull(struct file *f, const void *buf, size_t n)
{
	struct pipe *p = f->private;

	if (!n)
		return;
	mutex_lock(&p->lock);
	/* Grow as needed: bytes that a guest has written are never lost. */
	unsigned need = p->nused + (n + PAGE - 1) / PAGE, slots = p->nslots;
	while (slots < need)
		slots *= 2;
	char *mem = malloc((size_t)slots * PAGE);
	struct pipe_slot *sl = xcalloc(slots, sizeof(*sl));
	unsigned at = 0;
	BUG_ON(!mem);
	for (size_t off = 0; off < n; off += PAGE, at++) {
		sl[at].len = MIN(n - off, PAGE);
		memcpy(mem + at * PAGE, (const char *)buf + off, sl[at].len);
	}
	for (unsigned i = 0; i < p->nused; i++, at++) {
		struct pipe_slot *s = slot_at(p, i);
		sl[at] = *s;
		memcpy(mem + at * PAGE + s->off, slot_mem(p, s), s->len);
	}
	if (p->slots != p->inline_slots)
		free(p->slots);
	free(p->buf);
	p->slots = sl;
	p->buf = mem;
	p->nslots = slots;
	p->tail = 0;
	p->nused = at;
	p->bytes += n;
	mutex_unlock(&p->lock);
	wake_readers(p, IN_KEY);
}

ssize_t pipe_tee(struct file *in, struct file *out, size_t n, bool nonblock)
{
	struct pipe *a = in->private, *b = out->private;

	for (;;) {
		int r = pipe_wait_readable(in, nonblock);
		if (r <= 0)
			return r;
		r = pipe_wait_writable(out, nonblock);
		if (r < 0)
			return r;
		if (a < b) {
			mutex_lock(&a->lock);
			mutex_lock_nested(&b->lock);
		} else {
			mutex_lock(&b->lock);
			mutex_lock_nested(&a->lock);
		}
		size_t done = 0;
		for (unsigned i = 0; i < a->nused && done < n && !pipe_full(b); i++) {
			struct pipe_slot *s = slot_at(a, i);
			size_t k = push_locked(b, slot_mem(a, s), MIN((size_t)s->len, n - done));
			done += k;
			if (!k)
				break;
		}
		mutex_unlock(&a->lock);
		mutex_unlock(&b->lock);
		if (done) {
			wake_readers(b, IN_KEY);
			return done;
		}
	}
}
