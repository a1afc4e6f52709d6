/* SPDX-License-Identifier: Apache-2.0 */
/* aio.c: Linux's asynchronous I/O, io_setup(2) and its family.
 *
 * OVERVIEW: io_submit(2) carries the operation out before it returns, which Linux too does for whatever a file cannot do asynchronously;
 * the completions wait in the context for io_getevents(2). IOCB_CMD_POLL, which is of no use that way, is refused.
 * LIFECYCLE: a context is something that is mapped: its id is the address of a page, as on Linux, where the C library of libaio looks for
 * the ring (ours has no magic number, so that it makes the call). io_destroy(2), exec and exit unmap it; fork does not copy it.
 * LOCKS: aio_context.lock, a leaf: the completions. */
#include "kernel/aio.h"
#include "fs/anon/eventfd.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <sys/mman.h>
#include <sys/uio.h>

struct event { STAILQ_ENTRY(event) link; struct io_event e; };
struct aio_context {
	struct mappable mappable;
	struct refcount ref;
	struct kernel *kernel;
	struct shm_object *page;
	unsigned max; /* events; immutable */
	struct mutex lock; /* RANK_FS */
	STAILQ_HEAD(, event) events;
	unsigned nevents, reserved; /* done; room held for operations under way */
	bool dead;
	struct wait_queue wait;
};
_Static_assert(sizeof(struct io_event) == 32 && sizeof(struct iocb) == 64, "aio_abi");

static struct aio_context *of(struct mappable *m) { return container_of(m, struct aio_context, mappable); }
static struct mappable *inner(struct mappable *m) { return shm_object_mappable(of(m)->page); }

static void context_put(struct aio_context *c)
{
	struct event *e;

	if (!refcount_put(&c->ref))
		return;
	while ((e = STAILQ_FIRST(&c->events))) {
		STAILQ_REMOVE_HEAD(&c->events, link);
		free(e);
	}
	atomic_fetch_sub(&c->kernel->aio_nr, c->max);
	shm_object_put(c->page);
	free(c);
}
DEFINE_FREE(aio, struct aio_context *, if (_p) context_put(_p));

static void map_get(struct mappable *m) { refcount_get(&of(m)->ref); }
static void map_put(struct mappable *m) { context_put(of(m)); }

static int map_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared_write, int *fd, uint64_t *host_off)
{
	return inner(m)->ops->host_fd(inner(m), off, len, shared_write, fd, host_off);
}

static void map_describe(struct mappable *m, char *buf, size_t size, uint64_t *dev, uint64_t *ino)
{
	inner(m)->ops->describe(inner(m), buf, size, dev, ino);
}

static uint64_t map_id(struct mappable *m) { return inner(m)->ops->id(inner(m)); }
static uint64_t map_size(struct mappable *m) { return inner(m)->ops->size(inner(m)); }

static const struct mappable_ops context_ops = {
	.get = map_get, .put = map_put, .host_fd = map_host_fd, .describe = map_describe, .id = map_id, .size = map_size,
};

static struct aio_context *context_get(struct task *t, uint64_t id)
{
	struct mappable *m = id % GUEST_PAGE_SIZE ? NULL : mm_mappable_at(t->mm, id, &context_ops);

	return m ? of(m) : NULL;
}

long aio_setup(struct task *t, unsigned nr, uint64_t *id)
{
	struct kernel *k = t->kernel;
	struct aio_context *c;
	int64_t r;

	if (!nr || nr > 0x10000000U / sizeof(struct io_event))
		return -EINVAL;
	if (atomic_fetch_add(&k->aio_nr, nr) + nr > atomic_load(&k->aio_max_nr)) {
		atomic_fetch_sub(&k->aio_nr, nr);
		return -EAGAIN;
	}
	c = new(struct aio_context);
	c->mappable.ops = &context_ops;
	refcount_init(&c->ref);
	c->kernel = k;
	c->max = nr;
	c->page = shm_object_create("/[aio] (deleted)");
	mutex_init(&c->lock, RANK_FS);
	STAILQ_INIT(&c->events);
	wait_queue_init(&c->wait);
	r = shm_object_truncate(c->page, GUEST_PAGE_SIZE);
	if (!r)
		r = mm_mmap(t->mm, 0, GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, &c->mappable, 0, true, false);
	if (r >= 0) {
		(void)mm_madvise(t->mm, r, GUEST_PAGE_SIZE, MADV_DONTFORK);
		*id = r;
		r = 0;
	}
	context_put(c);
	return r;
}

long aio_destroy(struct task *t, uint64_t id)
{
	struct aio_context *c __free(aio) = context_get(t, id);

	if (!c)
		return -EINVAL;
	mutex_lock(&c->lock);
	bool was = c->dead;
	c->dead = true;
	mutex_unlock(&c->lock);
	if (was)
		return -EINVAL;
	wait_queue_wake_all(&c->wait, 0);
	return mm_munmap(t->mm, id, GUEST_PAGE_SIZE);
}

/* ---- submission ---- */

static bool reserve(struct aio_context *c)
{
	guard(mutex)(&c->lock);
	if (c->nevents + c->reserved >= c->max)
		return false;
	c->reserved++;
	return true;
}

static void unreserve(struct aio_context *c)
{
	mutex_lock(&c->lock);
	c->reserved--;
	mutex_unlock(&c->lock);
}

static void complete(struct aio_context *c, uaddr_t iocb, uint64_t data, long res)
{
	struct event *e = new(struct event);

	e->e = (struct io_event){ .data = data, .obj = iocb, .res = res };
	mutex_lock(&c->lock);
	c->reserved--;
	c->nevents++;
	STAILQ_INSERT_TAIL(&c->events, e, link);
	mutex_unlock(&c->lock);
	wait_queue_wake_all(&c->wait, 0);
}

/* Is the operation one that this file has? What is found here, io_submit(2) returns; later errors are the completion's. */
static int check_op(const struct iocb *i, struct file *f)
{
	switch (i->aio_lio_opcode) {
	case IOCB_CMD_PREAD:
	case IOCB_CMD_PREADV:
		if (!(f->mode & FMODE_READ))
			return -EBADF;
		return f->ops->read ? 0 : -EINVAL;
	case IOCB_CMD_PWRITE:
	case IOCB_CMD_PWRITEV:
		if (!(f->mode & FMODE_WRITE))
			return -EBADF;
		return f->ops->write ? 0 : -EINVAL;
	case IOCB_CMD_FSYNC:
	case IOCB_CMD_FDSYNC:
		if (i->aio_buf || i->aio_offset || i->aio_nbytes || i->aio_rw_flags)
			return -EINVAL;
		return f->ops->fsync ? 0 : -EINVAL;
	default: return -EINVAL;
	}
}

static int import(const struct iocb *i, struct iov_iter *it)
{
	bool vec = i->aio_lio_opcode == IOCB_CMD_PREADV || i->aio_lio_opcode == IOCB_CMD_PWRITEV;

	if (vec)
		return iov_iter_import(it, i->aio_buf, i->aio_nbytes);
	if (i->aio_buf > PL_TASK_SIZE || i->aio_nbytes > PL_TASK_SIZE - i->aio_buf)
		return -EFAULT;
	iov_iter_user(it, i->aio_buf, MIN(i->aio_nbytes, 0x7ffff000UL));
	return 0;
}

static int carry_out(const struct iocb *i, struct file *f, long *res)
{
	bool write = i->aio_lio_opcode == IOCB_CMD_PWRITE || i->aio_lio_opcode == IOCB_CMD_PWRITEV;
	struct iov_iter it = { 0 };
	int64_t pos = i->aio_offset;
	int r;

	if (i->aio_lio_opcode == IOCB_CMD_FSYNC || i->aio_lio_opcode == IOCB_CMD_FDSYNC) {
		*res = vfs_fsync(f, i->aio_lio_opcode == IOCB_CMD_FDSYNC);
		return 0;
	}
	r = import(i, &it);
	if (r)
		return r;
	if (pos < 0 && !f->ops->stream)
		r = -EINVAL;
	else
		*res = write ? vfs_write(f, &it, f->ops->stream ? NULL : &pos) : vfs_read(f, &it, f->ops->stream ? NULL : &pos);
	iov_iter_done(&it);
	if (!r && (*res == -ERESTARTSYS || *res == -ERESTARTNOINTR || *res == -ERESTARTNOHAND || *res == -ERESTART_RESTARTBLOCK))
		*res = -EINTR; /* the call itself goes on: nothing restarts it */
	return r;
}

/* RWF_NOWAIT: can it be done without waiting for somebody? */
static bool ready_now(const struct iocb *i, struct file *f)
{
	bool write = i->aio_lio_opcode == IOCB_CMD_PWRITE || i->aio_lio_opcode == IOCB_CMD_PWRITEV;

	return vfs_poll(f, NULL) & (write ? EPOLLOUT | EPOLLERR : EPOLLIN | EPOLLERR | EPOLLHUP);
}

static long submit_one(struct task *t, struct aio_context *c, uaddr_t addr)
{
	__free(file) struct file *f = NULL, *event = NULL;
	struct iocb i;
	uint32_t key = 0;
	long res = 0;
	int r;

	if (copy_from_user(&i, addr, sizeof(i)))
		return -EFAULT;
	if (i.aio_reserved2 || (int64_t)i.aio_nbytes < 0)
		return -EINVAL;
	if (!reserve(c))
		return -EAGAIN;
	f = fd_get(t->fdt, (int)i.aio_fildes);
	r = f ? 0 : -EBADF;
	if (!r && (i.aio_flags & IOCB_FLAG_RESFD)) {
		event = fd_get(t->fdt, (int)i.aio_resfd);
		r = !event ? -EBADF : !file_is_eventfd(event) ? -EINVAL : 0;
	}
	if (!r && put_user(key, addr + offsetof(struct iocb, aio_key)))
		r = -EFAULT;
	if (!r)
		r = check_op(&i, f);
	if (!r && i.aio_rw_flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
		r = -EOPNOTSUPP;
	if (!r && (i.aio_rw_flags & RWF_NOWAIT) && !ready_now(&i, f))
		res = -EAGAIN;
	else if (!r)
		r = carry_out(&i, f, &res);
	if (!r && res >= 0 && (i.aio_rw_flags & (RWF_DSYNC | RWF_SYNC)) && f->ops->fsync) {
		int s = vfs_fsync(f, !(i.aio_rw_flags & RWF_SYNC));

		if (s)
			res = s;
	}
	if (r) {
		unreserve(c);
		return r;
	}
	complete(c, addr, i.aio_data, res);
	if (event)
		eventfd_signal(event, 1);
	return 0;
}

long aio_submit(struct task *t, uint64_t id, long nr, uaddr_t iocbs)
{
	struct aio_context *c __free(aio) = NULL;
	uaddr_t p;
	long i, r = 0;

	if (nr < 0)
		return -EINVAL;
	c = context_get(t, id);
	if (!c)
		return -EINVAL;
	nr = MIN(nr, (long)c->max);
	for (i = 0; i < nr; i++) {
		r = get_user(p, iocbs + i * sizeof(p));
		if (!r)
			r = submit_one(t, c, p);
		if (r)
			break;
	}
	return i ? i : r;
}

long aio_cancel(struct task *t, uint64_t id, uaddr_t iocb)
{
	struct aio_context *c __free(aio) = NULL;
	uint32_t key;

	if (get_user(key, iocb + offsetof(struct iocb, aio_key)))
		return -EFAULT;
	if (key)
		return -EINVAL;
	c = context_get(t, id);
	return -EINVAL; /* a wrong context, or what was submitted is done already */
}

/* ---- completions ---- */

static bool ready(struct aio_context *c, unsigned want)
{
	guard(mutex)(&c->lock);
	return c->dead || c->nevents >= want;
}

static long take(struct aio_context *c, long nr, uaddr_t events)
{
	struct event *e;
	long n = 0;

	while (n < nr) {
		mutex_lock(&c->lock);
		e = STAILQ_FIRST(&c->events);
		if (e) {
			STAILQ_REMOVE_HEAD(&c->events, link);
			c->nevents--;
		}
		mutex_unlock(&c->lock);
		if (!e)
			break;
		if (copy_to_user(events + n * sizeof(e->e), &e->e, sizeof(e->e))) {
			mutex_lock(&c->lock);
			STAILQ_INSERT_HEAD(&c->events, e, link);
			c->nevents++;
			mutex_unlock(&c->lock);
			return n ? n : -EFAULT;
		}
		free(e);
		n++;
	}
	return n;
}

long aio_getevents(struct task *t, uint64_t id, long min, long nr, uaddr_t events, ktime_t deadline)
{
	struct aio_context *c __free(aio) = context_get(t, id);
	long got = 0, r;
	int w = 0;

	if (!c || min < 0 || min > nr)
		return -EINVAL;
	for (;;) {
		r = take(c, nr - got, events + got * sizeof(struct io_event));
		if (r < 0)
			return got ? got : r;
		got += r;
		if (got >= min || w || !deadline || READ_ONCE(c->dead))
			break;
		/* Events may come from other threads only: each operation ends before its submission returns. */
		w = task_wait(&c->wait, ready(c, 1), deadline);
	}
	return got ? got : w == -ERESTARTSYS ? -EINTR : 0;
}
