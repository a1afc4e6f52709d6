/* SPDX-License-Identifier: Apache-2.0 */
/* shm.c: shared memory objects: the bytes under tmpfs files, memfds, System V segments and shared anonymous mappings.
 *
 * OVERVIEW: an object begins on the heap, where reads and writes are memcpy. It moves into a host memfd when it is first mapped or grows
 * beyond HEAP_MAX, and stays there; reads and writes are then host calls, and what a guest writes through a mapping is seen by both.
 * Pages never written (holes) of a heap object are known from a bitmap; a memfd's the host knows.
 * LOCKS: lock guards everything on the heap and the move. fd is set once, with release order, after which the object needs no lock
 * for data: the host's memfd has its own. size is only changed under lock. */
#include "mm/uaccess.h"
#include "mm/vma.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAP_MAX (1UL << 20)
#define HEAP_PAGES (HEAP_MAX / GUEST_PAGE_SIZE)
#define SHM_SIZE_MAX (INT64_MAX & ~(GUEST_PAGE_SIZE - 1))
#define BOUNCE (64UL << 10)

enum { HOLES_UNKNOWN, HOLES_NONE, HOLES_SOME };

struct shm_object {
	struct mappable mappable;
	struct refcount ref;
	uint64_t id;
	struct mutex lock; /* RANK_MAPPING */
	_Atomic int fd;	   /* -1: on the heap */
	_Atomic int ro_fd; /* the memfd opened for reading only, -1: not yet; set once. Owned */
	_Atomic int holes; /* in the memfd, as far as known: HOLES_ */
	_Atomic uint64_t size;
	char *heap;	   /* lock; heap_cap bytes, zero beyond size */
	size_t heap_cap;
	uint64_t present[HEAP_PAGES / 64]; /* lock; pages of the heap that were written */
	_Atomic unsigned npresent;	   /* written under lock */
	/* Of a memfd: the size at which it had a block for each page, and no other; 0: not known. Written under lock; not set while it is
	 * mapped to be written */
	_Atomic uint64_t full;
	_Atomic unsigned writable_maps;
	_Atomic bool sealed_write;
	char *name;
	void (*describe)(void *arg, char *, size_t, uint64_t *, uint64_t *);
	void *describe_arg;
};

static struct shm_object *of(struct mappable *m) { return container_of(m, struct shm_object, mappable); }
static int object_fd(struct shm_object *o) { return atomic_load_explicit(&o->fd, memory_order_acquire); }

static bool is_present(const struct shm_object *o, uint64_t page) { return o->present[page / 64] >> page % 64 & 1; }

static void mark_present(struct shm_object *o, uint64_t off, uint64_t len)
{
	for (uint64_t p = off / GUEST_PAGE_SIZE; len && p <= (off + len - 1) / GUEST_PAGE_SIZE; p++)
		if (!is_present(o, p)) {
			o->present[p / 64] |= 1ULL << p % 64;
			o->npresent++;
		}
}

static void mark_absent(struct shm_object *o, uint64_t from, uint64_t to)
{
	for (uint64_t p = from; p < to; p++)
		if (is_present(o, p)) {
			o->present[p / 64] &= ~(1ULL << p % 64);
			o->npresent--;
		}
}

/* ---- the move into a memfd ---- */

static int write_all(int fd, const char *p, size_t n, uint64_t off)
{
	while (n) {
		ssize_t r = pwrite(fd, p, n, off);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r ? -errno : -ENOSPC;
		p += r;
		n -= r;
		off += r;
	}
	return 0;
}

static int to_memfd_locked(struct shm_object *o)
{
	uint64_t size = o->size, off;
	int fd, r = 0;

	if (object_fd(o) >= 0)
		return 0;
	fd = memfd_create("bailey-shm", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, size))
		r = -errno;
	/* The file may be longer than what was ever written of it. */
	for (off = 0; !r && off < MIN(size, o->heap_cap); off += GUEST_PAGE_SIZE)
		if (is_present(o, off / GUEST_PAGE_SIZE))
			r = write_all(fd, o->heap + off, MIN(GUEST_PAGE_SIZE, MIN(size, o->heap_cap) - off), off);
	if (r) {
		close(fd);
		return r;
	}
	free(o->heap);
	o->heap = NULL;
	o->heap_cap = 0;
	atomic_store_explicit(&o->fd, fd, memory_order_release);
	return 0;
}

/* Room on the heap for size bytes, or the move. */
static int reserve_locked(struct shm_object *o, uint64_t size)
{
	size_t cap = o->heap_cap ? o->heap_cap : 512;
	char *p;

	if (size <= o->heap_cap)
		return 0;
	if (size > HEAP_MAX)
		return to_memfd_locked(o);
	while (cap < size)
		cap *= 2;
	p = realloc(o->heap, cap);
	if (!p)
		return -ENOMEM;
	memset(p + o->heap_cap, 0, cap - o->heap_cap);
	o->heap = p;
	o->heap_cap = cap;
	return 0;
}

/* ---- as something to map ---- */

static void shm_get(struct mappable *m) { refcount_get(&of(m)->ref); }
static void shm_put(struct mappable *m) { shm_object_put(of(m)); }

/* What is not mapped to be written is mapped from this: a guest that gets at the stub's mprotect() gets no further. */
static int read_only_fd(struct shm_object *o)
{
	struct fiber_context *c = fiber_context();
	int fd = atomic_load_explicit(&o->ro_fd, memory_order_acquire), none = -1;

	if (fd >= 0 || !c || !c->mm)
		return fd >= 0 ? fd : object_fd(o);
	fd = platform_reopen(c->mm->platform, object_fd(o));
	if (fd < 0) {
		log_debug("a memory file cannot be opened read-only: %s", strerror(-fd));
		return object_fd(o);
	}
	if (!atomic_compare_exchange_strong(&o->ro_fd, &none, fd)) {
		close(fd);
		fd = none;
	}
	return fd;
}

static int shm_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared_write, int *fd, uint64_t *host_off)
{
	struct shm_object *o = of(m);
	int r = 0;

	(void)len;
	if (object_fd(o) < 0) {
		mutex_lock(&o->lock);
		r = to_memfd_locked(o);
		mutex_unlock(&o->lock);
	}
	*fd = shared_write || r ? object_fd(o) : read_only_fd(o);
	*host_off = off;
	return r;
}

static void shm_describe(struct mappable *m, char *buf, size_t size, uint64_t *dev, uint64_t *ino)
{
	struct shm_object *o = of(m);

	*dev = 1;
	*ino = o->id;
	if (o->describe)
		o->describe(o->describe_arg, buf, size, dev, ino);
	else
		snprintf(buf, size, "%s", o->name);
}

/* Kernel addresses are no identity to show, but good keys: the low bit pattern of a pointer leaves the top bit clear. */
static uint64_t shm_id(struct mappable *m) { return (uintptr_t)of(m); }
static uint64_t shm_size(struct mappable *m) { return shm_object_size(of(m)); }

/* No lock: called under vma_lock. The seal is set before the count is looked at, and the count raised before the seal is. */
static int shm_mapped(struct mappable *m, bool shared_write)
{
	struct shm_object *o = of(m);

	if (!shared_write)
		return 0;
	if (!atomic_fetch_add(&o->writable_maps, 1) && atomic_load(&o->sealed_write)) {
		atomic_fetch_sub(&o->writable_maps, 1);
		return -EPERM;
	}
	atomic_store(&o->full, 0);
	return 0;
}

static void shm_unmapped(struct mappable *m, bool shared_write)
{
	if (shared_write)
		atomic_fetch_sub(&of(m)->writable_maps, 1);
}

static const struct mappable_ops shm_ops = {
	.get = shm_get,
	.put = shm_put,
	.host_fd = shm_host_fd,
	.describe = shm_describe,
	.id = shm_id,
	.size = shm_size,
	.mapped = shm_mapped,
	.unmapped = shm_unmapped,
};

/* ---- life ---- */

struct shm_object *shm_object_create(const char *name)
{
	struct shm_object *o = new(struct shm_object);

	o->mappable.ops = &shm_ops;
	refcount_init(&o->ref);
	mutex_init(&o->lock, RANK_MAPPING);
	o->fd = o->ro_fd = -1;
	o->id = (uintptr_t)o >> 4 & 0xffffffff;
	o->name = xstrdup(name ? name : "");
	return o;
}

void shm_object_get(struct shm_object *o) { refcount_get(&o->ref); }

void shm_object_put(struct shm_object *o)
{
	if (!refcount_put(&o->ref))
		return;
	if (o->fd >= 0)
		close(o->fd);
	if (o->ro_fd >= 0)
		close(o->ro_fd);
	free(o->heap);
	free(o->name);
	free(o);
}

struct mappable *shm_object_mappable(struct shm_object *o) { return &o->mappable; }
struct shm_object *mappable_shm(struct mappable *m) { return m->ops == &shm_ops ? of(m) : NULL; }

void shm_object_set_describe(struct shm_object *o, void (*fn)(void *arg, char *, size_t, uint64_t *, uint64_t *), void *arg)
{
	o->describe_arg = arg;
	o->describe = fn;
}

uint64_t shm_object_size(struct shm_object *o) { return atomic_load_explicit(&o->size, memory_order_acquire); }

static __attribute__((noinline)) uint64_t host_blocks(struct shm_object *o)
{
	struct stat st;

	guard(mutex)(&o->lock);
	if (fstat(object_fd(o), &st))
		return 0;
	if ((uint64_t)st.st_blocks * 512 == PAGE_UP(st.st_size) && !atomic_load(&o->writable_maps)) {
		atomic_store(&o->full, st.st_size);
		if (atomic_load(&o->writable_maps)) /* its maker may have cleared it before */
			atomic_store(&o->full, 0);
	}
	return st.st_blocks;
}

uint64_t shm_object_blocks(struct shm_object *o)
{
	uint64_t size = shm_object_size(o);

	if (object_fd(o) < 0)
		return atomic_load_explicit(&o->npresent, memory_order_relaxed) * (GUEST_PAGE_SIZE / 512);
	if (size && atomic_load_explicit(&o->full, memory_order_acquire) == size)
		return PAGE_UP(size) / 512;
	return host_blocks(o);
}

int shm_object_seal_write(struct shm_object *o)
{
	bool was = atomic_exchange(&o->sealed_write, true);

	if (!atomic_load(&o->writable_maps))
		return 0;
	atomic_store(&o->sealed_write, was);
	return -EBUSY;
}

bool shm_object_has_writable_maps(struct shm_object *o) { return atomic_load(&o->writable_maps) != 0; }

/* ---- data ---- */

/* Bytes that a read at off may have: 0 at the end. */
static size_t readable(struct shm_object *o, size_t n, uint64_t off)
{
	uint64_t size = shm_object_size(o);

	return off >= size ? 0 : MIN(n, size - off);
}

ssize_t shm_object_read(struct shm_object *o, void *buf, size_t n, uint64_t off)
{
	ssize_t r;
	int fd;

	if (object_fd(o) < 0) {
		guard(mutex)(&o->lock);
		if (object_fd(o) < 0) {
			uint64_t have;

			n = readable(o, n, off);
			/* A heap object may be sparse: what was never written may have no room. */
			have = off < o->heap_cap ? MIN(n, o->heap_cap - off) : 0;
			if (have)
				memcpy(buf, o->heap + off, have);
			memset((char *)buf + have, 0, n - have);
			return n;
		}
	}
	fd = object_fd(o);
	n = readable(o, n, off);
	do
		r = n ? pread(fd, buf, n, off) : 0;
	while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* Size must not go beyond what off_t holds. */
static ssize_t clamp_write(size_t n, uint64_t off)
{
	if (off >= SHM_SIZE_MAX)
		return -EFBIG;
	return MIN(n, SHM_SIZE_MAX - off);
}

static void grow_size(struct shm_object *o, uint64_t size)
{
	if (size > o->size)
		atomic_store_explicit(&o->size, size, memory_order_release);
}

ssize_t shm_object_write(struct shm_object *o, const void *buf, size_t n, uint64_t off)
{
	ssize_t r = clamp_write(n, off);
	int fd;

	if (r <= 0)
		return r;
	n = r;
	mutex_lock(&o->lock);
	if (object_fd(o) < 0) {
		r = reserve_locked(o, off + n);
		if (!r && object_fd(o) < 0) {
			memcpy(o->heap + off, buf, n);
			mark_present(o, off, n);
			grow_size(o, off + n);
			r = n;
		}
		if (r || object_fd(o) < 0)
			goto out;
	}
	fd = object_fd(o);
	if (off > o->size || atomic_load_explicit(&o->holes, memory_order_relaxed) == HOLES_SOME)
		atomic_store(&o->holes, HOLES_UNKNOWN);
	do
		r = pwrite(fd, buf, n, off);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		r = -errno;
	else
		grow_size(o, off + r);
out:
	mutex_unlock(&o->lock);
	return r;
}

static bool has_holes(struct shm_object *o)
{
	int holes = atomic_load_explicit(&o->holes, memory_order_relaxed);
	uint64_t pages;
	struct stat st;

	if (likely(holes != HOLES_UNKNOWN))
		return holes == HOLES_SOME;
	guard(mutex)(&o->lock);
	pages = PAGE_UP(o->size) / GUEST_PAGE_SIZE;
	if (object_fd(o) < 0) {
		for (uint64_t p = 0; p < pages; p++)
			if (!is_present(o, p))
				return true;
		return false; /* asked again once it is a memfd */
	}
	holes = fstat(object_fd(o), &st) || (uint64_t)st.st_blocks * 512 < pages * GUEST_PAGE_SIZE ? HOLES_SOME : HOLES_NONE;
	atomic_store(&o->holes, holes);
	return holes == HOLES_SOME;
}

const void *shm_object_window(struct shm_object *o, uint64_t off, size_t *n)
{
	*n = readable(o, *n, off);
	return *n && !has_holes(o) ? o : NULL;
}

ssize_t shm_object_read_iter(struct shm_object *o, struct iov_iter *to, uint64_t off)
{
	size_t n = readable(o, to->count, off), done = 0, k;
	char *bounce = NULL;
	ssize_t r = 0;

	if (!n)
		return 0;
	if (fiber_context()->mm)
		mm_settle(fiber_context()->mm); /* it may park, which copies under the lock must not */
	if (object_fd(o) < 0) {
		mutex_lock(&o->lock);
		if (object_fd(o) < 0) {
			n = readable(o, n, off);
			k = off < o->heap_cap ? MIN(n, o->heap_cap - off) : 0;
			done = k ? copy_to_iter(o->heap + off, k, to) : 0;
			mutex_unlock(&o->lock);
			if (done == k && n > k)
				done += iov_iter_zero(n - k, to);
			return done || !n ? (ssize_t)done : -EFAULT;
		}
		mutex_unlock(&o->lock);
	}
	bounce = kzalloc(MIN(n, BOUNCE));
	if (!bounce)
		return -ENOMEM;
	while (done < n) {
		r = shm_object_read(o, bounce, MIN(n - done, BOUNCE), off + done);
		if (r <= 0)
			break;
		k = copy_to_iter(bounce, r, to);
		done += k;
		if (k < (size_t)r) {
			r = -EFAULT;
			break;
		}
	}
	free(bounce);
	return done ? (ssize_t)done : r;
}

ssize_t shm_object_write_iter(struct shm_object *o, struct iov_iter *from, uint64_t off)
{
	ssize_t r = clamp_write(from->count, off);
	size_t n, done = 0, k;
	char *bounce;

	if (r <= 0)
		return r;
	n = r;
	if (fiber_context()->mm)
		mm_settle(fiber_context()->mm);
	if (object_fd(o) < 0 && off + n <= HEAP_MAX) {
		mutex_lock(&o->lock);
		if (object_fd(o) < 0) {
			r = reserve_locked(o, off + n);
			if (!r) {
				/* Beyond the size the room must stay zero: a short copy leaves what it got behind the new size only. */
				done = copy_from_iter(o->heap + off, n, from);
				mark_present(o, off, done);
				grow_size(o, off + done);
				if (done < n && off + done >= o->size)
					memset(o->heap + off + done, 0, n - done);
				r = done ? (ssize_t)done : -EFAULT;
			}
			mutex_unlock(&o->lock);
			return r;
		}
		mutex_unlock(&o->lock);
	}
	bounce = kzalloc(MIN(n, BOUNCE));
	if (!bounce)
		return -ENOMEM;
	while (done < n) {
		k = copy_from_iter(bounce, MIN(n - done, BOUNCE), from);
		if (!k) {
			r = -EFAULT;
			break;
		}
		r = shm_object_write(o, bounce, k, off + done);
		if (r <= 0)
			break;
		done += r;
		if (k < BOUNCE && done < n) {
			r = -EFAULT;
			break;
		}
	}
	free(bounce);
	return done ? (ssize_t)done : r;
}

int shm_object_truncate(struct shm_object *o, uint64_t size)
{
	uint64_t old;
	int r = 0;

	if (size > SHM_SIZE_MAX)
		return -EFBIG;
	guard(mutex)(&o->lock);
	old = o->size;
	if (object_fd(o) < 0 && size > HEAP_MAX)
		r = to_memfd_locked(o);
	if (r)
		return r;
	if (object_fd(o) >= 0) {
		if (ftruncate(object_fd(o), size))
			return -errno;
		atomic_store(&o->holes, HOLES_UNKNOWN);
		atomic_store(&o->full, 0);
	} else if (size < old) {
		if (size < o->heap_cap)
			memset(o->heap + size, 0, MIN(o->heap_cap, old) - size);
		mark_absent(o, PAGE_UP(size) / GUEST_PAGE_SIZE, HEAP_PAGES);
		if (!size) {
			free(o->heap);
			o->heap = NULL;
			o->heap_cap = 0;
		}
	}
	atomic_store_explicit(&o->size, size, memory_order_release);
	return 0;
}

static int heap_fallocate_locked(struct shm_object *o, int mode, uint64_t off, uint64_t len)
{
	uint64_t end = off + len;
	int r;

	if (mode & FALLOC_FL_PUNCH_HOLE) {
		if (off < o->heap_cap)
			memset(o->heap + off, 0, MIN(end, o->heap_cap) - off);
		mark_absent(o, PAGE_UP(off) / GUEST_PAGE_SIZE, MIN(end / GUEST_PAGE_SIZE, HEAP_PAGES));
		return 0;
	}
	r = reserve_locked(o, end);
	if (r)
		return r;
	mark_present(o, off, len);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grow_size(o, end);
	return 0;
}

int shm_object_fallocate(struct shm_object *o, int mode, uint64_t off, uint64_t len)
{
	uint64_t end;
	int r = 0;

	/* As Linux's shmem: no collapse, insert or zero range. */
	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	if (!len || ((mode & FALLOC_FL_PUNCH_HOLE) && !(mode & FALLOC_FL_KEEP_SIZE)))
		return -EINVAL;
	if (add_overflow(off, len, &end) || end > SHM_SIZE_MAX)
		return -EFBIG;
	guard(mutex)(&o->lock);
	if (object_fd(o) < 0 && end > HEAP_MAX && !(mode & FALLOC_FL_PUNCH_HOLE))
		r = to_memfd_locked(o);
	if (r)
		return r;
	if (object_fd(o) < 0)
		return heap_fallocate_locked(o, mode, off, len);
	do
		r = fallocate(object_fd(o), mode, off, len) ? -errno : 0;
	while (r == -EINTR);
	if (!r && !(mode & FALLOC_FL_KEEP_SIZE))
		grow_size(o, end);
	atomic_store(&o->holes, HOLES_UNKNOWN);
	atomic_store(&o->full, 0);
	return r;
}

int64_t shm_object_seek_data(struct shm_object *o, uint64_t off, bool hole)
{
	uint64_t size, p;
	off_t r;

	guard(mutex)(&o->lock);
	size = o->size;
	if (off >= size)
		return -ENXIO;
	if (object_fd(o) >= 0) {
		/* The descriptor's position is nobody's. */
		r = lseek(object_fd(o), off, hole ? SEEK_HOLE : SEEK_DATA);
		return r < 0 ? -errno : r;
	}
	for (p = off / GUEST_PAGE_SIZE; p * GUEST_PAGE_SIZE < size; p++)
		if (is_present(o, p) != hole)
			return MAX(off, p * GUEST_PAGE_SIZE);
	return hole ? (int64_t)size : -ENXIO;
}
