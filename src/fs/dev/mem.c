/* SPDX-License-Identifier: Apache-2.0 */
/* mem.c: the memory devices, mem(4), null(4), full(4), random(4). */
#include "fs/dev/dev_internal.h"
#include "mm/mm.h"
#include <linux/random.h>
#include <sys/mman.h>
#include <sys/random.h>

void random_bytes(void *buf, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = getrandom((char *)buf + done, n - done, 0);

		if (r < 0 && errno == EINTR)
			continue;
		BUG_ON(r <= 0);
		done += r;
	}
}

static ssize_t null_read(struct file *f, struct iov_iter *to, int64_t *pos) { return 0; }

static ssize_t null_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	size_t n = from->count;

	iov_iter_advance(from, n);
	return n;
}

static ssize_t zero_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	size_t want = to->count, n = iov_iter_zero(want, to);

	return n || !want ? (ssize_t)n : -EFAULT;
}

static ssize_t full_write(struct file *f, struct iov_iter *from, int64_t *pos) { return -ENOSPC; }

static int64_t null_llseek(struct file *f, int64_t off, int whence) { return f->pos = 0; }

static int zero_mmap(struct file *f, struct vm_map *m)
{
	struct shm_object *o;

	/* A private mapping of it is anonymous memory; a shared one is an object that nobody else can name. */
	if (!(m->flags & MAP_SHARED)) {
		m->mappable = NULL;
		return 0;
	}
	if (m->off + m->len < m->off)
		return -EINVAL;
	o = shm_object_create("dev/zero");
	if (!o)
		return -ENOMEM;
	if (shm_object_truncate(o, m->off + m->len) < 0) {
		shm_object_put(o);
		return -ENOMEM;
	}
	m->mappable = shm_object_mappable(o);
	return 0;
}

static ssize_t random_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	char buf[1024];
	ssize_t done = 0;

	if (!to->count)
		return 0;
	while (to->count) {
		size_t n = MIN(to->count, sizeof(buf)), got;

		random_bytes(buf, n);
		got = copy_to_iter(buf, n, to);
		done += got;
		if (got < n)
			break;
		if (done % (64 << 10) == 0) { /* it takes its time: others come in between */
			if (fiber_interrupted(PARK_INTERRUPTIBLE))
				break;
			fiber_yield();
		}
	}
	explicit_bzero(buf, sizeof(buf));
	return done ? done : -EFAULT;
}

/* Seeds are welcome and ignored: the source is the host's. */
static ssize_t random_write(struct file *f, struct iov_iter *from, int64_t *pos) { return null_write(f, from, pos); }

static long random_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case RNDGETENTCNT:
		return put_user((int)256, arg);
	case RNDADDTOENTCNT:
	case RNDADDENTROPY:
	case RNDZAPENTCNT:
	case RNDCLEARPOOL:
	case RNDRESEEDCRNG:
		return -EPERM; /* belongs to the host's administrator */
	}
	return -EINVAL; /* the driver's own word for what it does not know */
}

/* The kernel log: what programs write is dropped with a debug line, and there is nothing to read. */
static ssize_t kmsg_read(struct file *f, struct iov_iter *to, int64_t *pos) { return f->flags & 04000 /* O_NONBLOCK */ ? -EAGAIN : 0; }

static ssize_t kmsg_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	char line[1024];
	size_t n = from->count;

	if (n >= sizeof(line))
		return -EINVAL;
	if (copy_from_iter(line, n, from) != n)
		return -EFAULT;
	line[n] = 0;
	log_debug("guest kmsg: %s", line);
	return n;
}

static const struct file_ops null_ops = { .read = null_read, .write = null_write, .llseek = null_llseek };
static const struct file_ops zero_ops = { .read = zero_read, .write = null_write, .llseek = null_llseek, .mmap = zero_mmap };
static const struct file_ops full_ops = { .read = zero_read, .write = full_write, .llseek = null_llseek };
static const struct file_ops random_ops = { .read = random_read, .write = random_write, .llseek = noop_llseek, .ioctl = random_ioctl };
static const struct file_ops kmsg_ops = { .read = kmsg_read, .write = kmsg_write, .llseek = noop_llseek };

static int mem_open(struct inode *i, struct file *f)
{
	switch (i->rdev & 0xff) {
	case 3: f->ops = &null_ops; return 0;
	case 5: f->ops = &zero_ops; return 0;
	case 7: f->ops = &full_ops; return 0;
	case 8:
	case 9: f->ops = &random_ops; return 0;
	case 11: f->ops = &kmsg_ops; return 0;
	}
	return -ENXIO;
}

void mem_register(void)
{
	static const unsigned char minors[] = { 3, 5, 7, 8, 9, 11 };

	for (unsigned i = 0; i < ARRAY_SIZE(minors); i++)
		register_chrdev(1, minors[i], 1, mem_open);
}
