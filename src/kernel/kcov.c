/* SPDX-License-Identifier: Apache-2.0 */
/* kcov.c: the kcov device: which code of the kernel a task's system calls execute, for fuzzers.
 *
 * OVERVIEW: KCOV_INIT_TRACE makes the area, a memfd that this process maps and guests may map. KCOV_ENABLE points the calling task's fiber at it;
 * sched/kcov.c writes. Its first word counts the entries behind it, each an address as the linker numbered it: relative to the image's start.
 * LIFECYCLE: counted: the open file, mappings, the task that is being traced, which drops its reference by KCOV_DISABLE or when it exits. So a close
 * does not end a trace. fork does not inherit it, exec keeps it.
 * The area is a guest's to write, so nothing that is read there is believed. It cannot shrink (sealed) and its pages are allocated at once: no
 * store into it can fault.
 * LOCKS: kcov.lock, a leaf: the mode. The area is set once, under it. task.kcov is its own fiber's. */
#include "kernel/kcov.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/kcov.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ENOTSUPP_K 524 /* Linux's own, which it lets out here */

enum kcov_mode { KCOV_DISABLED, KCOV_INIT, KCOV_TRACING };
struct kcov {
	struct mappable mappable;
	struct refcount ref;
	struct mutex lock; /* RANK_LEAF */
	enum kcov_mode mode;
	_Atomic uint64_t *area; /* NULL: not yet; owned */
	uint64_t size;		/* words */
	int fd;			/* owned */
};

static struct kcov *of(struct mappable *m) { return container_of(m, struct kcov, mappable); }
static size_t area_bytes(uint64_t words) { return PAGE_UP(words * sizeof(uint64_t)); }

static void area_free(int fd, void *area, uint64_t words)
{
	if (area)
		munmap(area, area_bytes(words));
	if (fd >= 0)
		close(fd);
}

static void kcov_put(struct kcov *k)
{
	if (!refcount_put(&k->ref))
		return;
	area_free(k->fd, k->area, k->size);
	free(k);
}

/* ---- as something to map ---- */

static void map_get(struct mappable *m) { refcount_get(&of(m)->ref); }
static void map_put(struct mappable *m) { kcov_put(of(m)); }

static int map_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared_write, int *fd, uint64_t *host_off)
{
	*fd = of(m)->fd;
	*host_off = off;
	return 0;
}

static void map_describe(struct mappable *m, char *buf, size_t size, uint64_t *dev, uint64_t *ino)
{
	snprintf(buf, size, "/sys/kernel/debug/kcov");
	*dev = *ino = 1;
}

static uint64_t map_id(struct mappable *m) { return (uintptr_t)of(m); }
static uint64_t map_size(struct mappable *m) { return area_bytes(of(m)->size); }

static const struct mappable_ops map_ops = {
	.get = map_get, .put = map_put, .host_fd = map_host_fd, .describe = map_describe, .id = map_id, .size = map_size,
};

static int kcov_mmap(struct file *f, struct vm_map *m)
{
	struct kcov *k = f->private;

	guard(mutex)(&k->lock);
	/* A size that is not whole pages can be set up, and never mapped: as on Linux. */
	if (!k->area || m->off || m->len != k->size * sizeof(uint64_t))
		return -EINVAL;
	refcount_get(&k->ref);
	m->mappable = &k->mappable;
	return 0;
}

/* ---- commands ---- */

static int area_create(uint64_t words, int *fd, void **area)
{
	int r = 0;

	*area = NULL;
	worker_block_begin();
	*fd = memfd_create("bailey-kcov", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (*fd < 0 || fallocate(*fd, 0, 0, area_bytes(words)) || fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		r = -ENOMEM;
	if (!r) {
		void *p = mmap(NULL, area_bytes(words), PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);

		if (p == MAP_FAILED)
			r = -ENOMEM;
		else
			*area = p;
	}
	worker_block_end();
	if (r)
		area_free(*fd, NULL, 0);
	return r;
}

static long init_trace(struct kcov *k, uint64_t words)
{
	void *area;
	int fd, r;

	if (words < 2 || words > INT_MAX / sizeof(uint64_t))
		return -EINVAL;
	r = area_create(words, &fd, &area);
	if (r)
		return r;
	mutex_lock(&k->lock);
	if (k->mode == KCOV_DISABLED) {
		k->fd = fd;
		k->area = area;
		k->size = words;
		k->mode = KCOV_INIT;
		area = NULL;
	}
	mutex_unlock(&k->lock);
	if (!area)
		return 0;
	area_free(fd, area, words);
	return -EBUSY;
}

static long enable(struct kcov *k, struct task *t, uint64_t how)
{
	struct fiber_context *c = fiber_context();

	mutex_lock(&k->lock);
	int r = k->mode != KCOV_INIT ? -EINVAL : t->kcov ? -EBUSY : how == KCOV_TRACE_CMP ? -ENOTSUPP_K : how != KCOV_TRACE_PC ? -EINVAL : 0;
	if (!r)
		k->mode = KCOV_TRACING;
	mutex_unlock(&k->lock);
	if (r)
		return r;
	refcount_get(&k->ref);
	t->kcov = k;
	c->kcov_size = k->size;
	c->kcov_area = k->area;
	return 0;
}

static void disable(struct task *t)
{
	struct kcov *k = t->kcov;

	fiber_context()->kcov_area = NULL;
	t->kcov = NULL;
	mutex_lock(&k->lock);
	k->mode = KCOV_INIT;
	mutex_unlock(&k->lock);
	kcov_put(k);
}

void kcov_task_exit(struct task *t)
{
	if (t->kcov)
		disable(t);
}

static long kcov_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct kcov *k = f->private;

	switch (cmd) {
	case KCOV_INIT_TRACE: return init_trace(k, arg);
	case KCOV_ENABLE: return enable(k, current, arg);
	case KCOV_DISABLE:
		if (arg || current->kcov != k)
			return -EINVAL;
		disable(current);
		return 0;
	}
	return -ENOIOCTLCMD;
}

static void kcov_release(struct file *f) { kcov_put(f->private); }

static const struct file_ops kcov_ops = { .llseek = noop_llseek, .mmap = kcov_mmap, .ioctl = kcov_ioctl, .release = kcov_release };

int kcov_open(struct file *f)
{
	struct kcov *k = new(struct kcov);

	k->mappable.ops = &map_ops;
	refcount_init(&k->ref);
	mutex_init(&k->lock, RANK_LEAF);
	k->fd = -1;
	f->private = k;
	f->ops = &kcov_ops;
	return 0;
}
