/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd.c: a 64-bit counter behind a descriptor. The counter changes under its own small lock; wake-ups come after it. */
#include "fs/anon/eventfd.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>

struct eventfd {
	struct mutex lock; /* RANK_FS */
	uint64_t count;	   /* read without the lock by sleepers */
	bool semaphore;
	unsigned id;
	struct wait_queue wq;
};

static ssize_t eventfd_fread(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct eventfd *e = f->private;
	uint64_t v;

	if (to->count < sizeof(v))
		return -EINVAL;
	for (;;) {
		mutex_lock(&e->lock);
		v = e->semaphore ? e->count > 0 : e->count;
		e->count -= v;
		mutex_unlock(&e->lock);
		if (v)
			break;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		int r = vfs_wait(&e->wq, READ_ONCE(e->count), KTIME_MAX);
		if (r)
			return r;
	}
	if (wait_queue_active(&e->wq))
		wait_queue_wake_all(&e->wq, EPOLLOUT);
	return copy_to_iter(&v, sizeof(v), to) == sizeof(v) ? (ssize_t)sizeof(v) : -EFAULT;
}

static ssize_t eventfd_fwrite(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct eventfd *e = f->private;
	uint64_t v;

	if (from->count < sizeof(v))
		return -EINVAL;
	if (copy_from_iter(&v, sizeof(v), from) != sizeof(v))
		return -EFAULT;
	if (v == UINT64_MAX)
		return -EINVAL;
	for (;;) {
		mutex_lock(&e->lock);
		bool fits = UINT64_MAX - e->count > v;
		if (fits)
			e->count += v;
		mutex_unlock(&e->lock);
		if (fits)
			break;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		int r = vfs_wait(&e->wq, UINT64_MAX - READ_ONCE(e->count) > v, KTIME_MAX);
		if (r)
			return r;
	}
	if (wait_queue_active(&e->wq))
		wait_queue_wake_all(&e->wq, EPOLLIN);
	return sizeof(v);
}

static unsigned eventfd_poll(struct file *f, struct poll_table *pt)
{
	struct eventfd *e = f->private;
	unsigned mask = 0;

	poll_wait(f, &e->wq, pt);
	uint64_t v = READ_ONCE(e->count);
	if (v > 0)
		mask |= EPOLLIN;
	if (v == UINT64_MAX)
		mask |= EPOLLERR;
	if (UINT64_MAX - 1 > v)
		mask |= EPOLLOUT;
	return mask;
}

static void eventfd_release(struct file *f)
{
	struct eventfd *e = f->private;

	wait_queue_wake_all(&e->wq, EPOLLHUP);
	free(e);
}

static void eventfd_show(struct file *f, char *buf, size_t size)
{
	struct eventfd *e = f->private;

	snprintf(buf, size, "eventfd-count: %16llx\neventfd-id: %u\neventfd-semaphore: %d\n", (unsigned long long)READ_ONCE(e->count),
		 e->id, e->semaphore);
}

static const struct file_ops eventfd_ops = {
	.read = eventfd_fread,
	.write = eventfd_fwrite,
	.poll = eventfd_poll,
	.release = eventfd_release,
	.llseek = noop_llseek,
	.stream = true,
	.show_fdinfo = eventfd_show,
};

bool file_is_eventfd(struct file *f) { return f->ops == &eventfd_ops; }

void eventfd_signal(struct file *f, uint64_t n)
{
	struct eventfd *e = f->private;

	mutex_lock(&e->lock);
	if (UINT64_MAX - e->count < n)
		n = UINT64_MAX - e->count;
	e->count += n;
	mutex_unlock(&e->lock);
	wait_queue_wake_all(&e->wq, EPOLLIN | (e->count == UINT64_MAX ? EPOLLERR : 0));
}

int eventfd_create(unsigned count, unsigned flags, struct file **out)
{
	struct eventfd *e = kzalloc(sizeof(*e));

	if (!e)
		return -ENOMEM;
	mutex_init(&e->lock, RANK_FS);
	wait_queue_init(&e->wq);
	e->count = count;
	e->semaphore = flags & EFD_SEMAPHORE;
	int r = anon_file("anon_inode:[eventfd]", 0600, &eventfd_ops, e, O_RDWR | (flags & EFD_NONBLOCK), out);
	if (r)
		free(e);
	else
		e->id = (*out)->inode->ino;
	return r;
}
