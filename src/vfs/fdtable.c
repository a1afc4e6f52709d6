/* SPDX-License-Identifier: Apache-2.0 */
/* fdtable.c: descriptor tables.
 *
 * A table that only one task has is read without its lock: nobody else can change it while its task is in a system call
 * (others that want a look, as /proc/PID/fd and pidfd_getfd, only read, and count the table first). Growing a table
 * replaces its arrays, so readers of a shared table take the lock. */
#include "mm/window.h"
#include "vfs/internal.h"

#define MAX_FDS (1u << 20)
#define BITS 64

struct fd_table {
	struct refcount ref;
	struct mutex lock; /* RANK_FD_TABLE */
	struct file **files;
	uint64_t *open, *cloexec; /* bitmaps of size / 64 words */
	unsigned size, next;	  /* next: no free descriptor below */
	unsigned count;
	_Atomic uint64_t limit;
	_Atomic bool foreign;	  /* shared by tasks that do not share their memory */
};

static struct fd_table *table_alloc(unsigned size)
{
	struct fd_table *t = new(struct fd_table);

	refcount_init(&t->ref);
	mutex_init(&t->lock, RANK_FD_TABLE);
	t->size = size;
	t->files = xcalloc(size, sizeof(*t->files));
	t->open = xcalloc(size / BITS, sizeof(uint64_t));
	t->cloexec = xcalloc(size / BITS, sizeof(uint64_t));
	atomic_init(&t->limit, 1024);
	return t;
}

struct fd_table *fd_table_create(void) { return table_alloc(BITS); }
void fd_table_get(struct fd_table *t) { refcount_get(&t->ref); }
/* A counted look from outside (/proc/PID/fd) makes it shared for a moment: exec then copies a table that it need not have. */
bool fd_table_shared(struct fd_table *t) { return refcount_read(&t->ref) > 1; }
unsigned fd_table_users(struct fd_table *t) { return atomic_load(&t->foreign) ? 0 : refcount_read(&t->ref); }
void fd_table_set_foreign(struct fd_table *t) { atomic_store(&t->foreign, true); }
void fd_table_set_limit(struct fd_table *t, uint64_t nofile) { atomic_store(&t->limit, nofile); }
uint64_t fd_table_limit(struct fd_table *t) { return atomic_load(&t->limit); }

static inline bool bit(const uint64_t *m, unsigned fd) { return m[fd / BITS] >> (fd % BITS) & 1; }
static inline void set_bit(uint64_t *m, unsigned fd) { m[fd / BITS] |= 1ULL << (fd % BITS); }
static inline void clear_bit(uint64_t *m, unsigned fd) { m[fd / BITS] &= ~(1ULL << (fd % BITS)); }

struct fd_table *fd_table_dup(struct fd_table *t, unsigned upto)
{
	guard(mutex)(&t->lock);
	unsigned top = 0;
	for (unsigned w = 0; w < t->size / BITS; w++)
		if (t->open[w])
			top = (w + 1) * BITS;
	if (upto < top)
		top = ALIGN_UP(upto, BITS);
	struct fd_table *n = table_alloc(MAX(top, (unsigned)BITS));
	for (unsigned w = 0; w < top / BITS; w++) {
		uint64_t m = t->open[w];
		while (m) {
			unsigned fd = w * BITS + __builtin_ctzll(m);
			m &= m - 1;
			if (fd >= upto)
				break;
			file_get(t->files[fd]);
			n->files[fd] = t->files[fd];
			set_bit(n->open, fd);
			n->count++;
		}
		n->cloexec[w] = t->cloexec[w] & n->open[w];
	}
	n->limit = atomic_load(&t->limit);
	return n;
}

/* What close(2) does with the table's reference. */
static int filp_close(struct fd_table *t, struct file *f)
{
	int ret = 0;

	uint64_t window = atomic_load_explicit(&f->window_id, memory_order_relaxed);

	if (unlikely(window))
		mm_window_close(window);
	if (f->ops && f->ops->flush && !(f->mode & FMODE_PATH))
		ret = f->ops->flush(f);
	if (f->inode && atomic_load_explicit(&f->inode->locks, memory_order_acquire))
		locks_remove_posix(f->inode, t);
	if (f->inode && unlikely(atomic_load_explicit(&f->inode->watches, memory_order_acquire)) && vfs_hooks.dnotify_flush)
		vfs_hooks.dnotify_flush(f, t);
	file_put(f);
	return ret;
}

void fd_table_put(struct fd_table *t)
{
	if (!t || !refcount_put(&t->ref))
		return;
	for (unsigned w = 0; w < t->size / BITS; w++)
		for (uint64_t m = t->open[w]; m; m &= m - 1)
			filp_close(t, t->files[w * BITS + __builtin_ctzll(m)]);
	free(t->files);
	free(t->open);
	free(t->cloexec);
	free(t);
}

struct file *fd_get_raw(struct fd_table *t, int fd)
{
	guard(mutex)(&t->lock);
	if ((unsigned)fd >= t->size || !t->files[fd])
		return NULL;
	file_get(t->files[fd]);
	return t->files[fd];
}

struct file *fd_get(struct fd_table *t, int fd)
{
	struct file *f = fd_get_raw(t, fd);

	if (f && (f->mode & FMODE_PATH)) {
		file_put(f);
		return NULL;
	}
	return f;
}

struct file *fd_get_light(struct fd_table *t, int fd, bool *counted)
{
	if (likely(refcount_read(&t->ref) == 1)) {
		*counted = false;
		if (unlikely((unsigned)fd >= t->size))
			return NULL;
		struct file *f = t->files[fd];
		return likely(f && !(f->mode & FMODE_PATH)) ? f : NULL;
	}
	*counted = true;
	return fd_get(t, fd);
}

struct file *fd_get_raw_light(struct fd_table *t, int fd, bool *counted)
{
	if (likely(refcount_read(&t->ref) == 1)) {
		*counted = false;
		return likely((unsigned)fd < t->size) ? t->files[fd] : NULL;
	}
	*counted = true;
	return fd_get_raw(t, fd);
}

static int grow_locked(struct fd_table *t, unsigned fd)
{
	unsigned size = t->size;

	if (fd >= MAX_FDS)
		return -EMFILE;
	while (size <= fd)
		size *= 2;
	struct file **files = kzalloc(size * sizeof(*files));
	uint64_t *open = kzalloc(size / 8), *cloexec = kzalloc(size / 8);
	if (!files || !open || !cloexec) {
		free(files);
		free(open);
		free(cloexec);
		return -ENOMEM;
	}
	memcpy(files, t->files, t->size * sizeof(*files));
	memcpy(open, t->open, t->size / 8);
	memcpy(cloexec, t->cloexec, t->size / 8);
	free(t->files);
	free(t->open);
	free(t->cloexec);
	t->files = files;
	t->open = open;
	t->cloexec = cloexec;
	t->size = size;
	return 0;
}

static unsigned find_free(const struct fd_table *t, unsigned from)
{
	for (unsigned w = from / BITS; w < t->size / BITS; w++) {
		uint64_t m = ~t->open[w];
		if (w == from / BITS)
			m &= ~0ULL << (from % BITS);
		if (m)
			return w * BITS + __builtin_ctzll(m);
	}
	return MAX(t->size, from);
}

bool fd_table_full(struct fd_table *t)
{
	guard(mutex)(&t->lock);
	return find_free(t, t->next) >= MIN(atomic_load(&t->limit), (uint64_t)MAX_FDS);
}

int fd_install_from(struct fd_table *t, struct file *f, int from, uint64_t limit, bool cloexec)
{
	guard(mutex)(&t->lock);
	unsigned fd = find_free(t, MAX((unsigned)from, t->next));
	if (fd >= limit)
		return -EMFILE;
	if (fd >= t->size) {
		int ret = grow_locked(t, fd);
		if (ret)
			return ret;
	}
	file_get(f);
	t->files[fd] = f;
	set_bit(t->open, fd);
	if (cloexec)
		set_bit(t->cloexec, fd);
	else
		clear_bit(t->cloexec, fd);
	if ((unsigned)from <= t->next)
		t->next = fd + 1;
	t->count++;
	return fd;
}

int fd_install(struct fd_table *t, struct file *f, bool cloexec)
{
	return fd_install_from(t, f, 0, atomic_load_explicit(&t->limit, memory_order_relaxed), cloexec);
}

int fd_replace(struct fd_table *t, int fd, struct file *f, bool cloexec)
{
	struct file *old;

	if ((unsigned)fd >= fd_table_limit(t))
		return -EBADF;
	{
		guard(mutex)(&t->lock);
		if ((unsigned)fd >= t->size) {
			int ret = grow_locked(t, fd);
			if (ret)
				return ret == -EMFILE ? -EBADF : ret;
		}
		old = t->files[fd];
		file_get(f);
		t->files[fd] = f;
		if (!old)
			t->count++;
		set_bit(t->open, fd);
		if (cloexec)
			set_bit(t->cloexec, fd);
		else
			clear_bit(t->cloexec, fd);
	}
	if (old)
		filp_close(t, old);
	return fd;
}

static struct file *take_locked(struct fd_table *t, unsigned fd)
{
	struct file *f = t->files[fd];

	if (f) {
		t->files[fd] = NULL;
		clear_bit(t->open, fd);
		clear_bit(t->cloexec, fd);
		if (fd < t->next)
			t->next = fd;
		t->count--;
	}
	return f;
}

int fd_close(struct fd_table *t, int fd)
{
	struct file *f = NULL;

	mutex_lock(&t->lock);
	if ((unsigned)fd < t->size)
		f = take_locked(t, fd);
	mutex_unlock(&t->lock);
	return f ? filp_close(t, f) : -EBADF;
}

int fd_close_range(struct fd_table *t, unsigned first, unsigned last, bool only_mark)
{
	mutex_lock(&t->lock);
	for (unsigned fd = first; fd < t->size && fd <= last; fd++) {
		if (!(t->open[fd / BITS] >> (fd % BITS))) {
			fd |= BITS - 1;
			continue;
		}
		if (!t->files[fd])
			continue;
		if (only_mark) {
			set_bit(t->cloexec, fd);
			continue;
		}
		struct file *f = take_locked(t, fd);
		mutex_unlock(&t->lock);
		filp_close(t, f);
		mutex_lock(&t->lock);
	}
	mutex_unlock(&t->lock);
	return 0;
}

void fd_close_on_exec(struct fd_table *t)
{
	mutex_lock(&t->lock);
	for (unsigned w = 0; w < t->size / BITS; w++) {
		uint64_t m;
		while ((m = t->cloexec[w] & t->open[w])) {
			struct file *f = take_locked(t, w * BITS + __builtin_ctzll(m));
			mutex_unlock(&t->lock);
			filp_close(t, f);
			mutex_lock(&t->lock);
		}
	}
	mutex_unlock(&t->lock);
}

int fd_get_cloexec(struct fd_table *t, int fd)
{
	guard(mutex)(&t->lock);
	if ((unsigned)fd >= t->size || !t->files[fd])
		return -EBADF;
	return bit(t->cloexec, fd);
}

int fd_set_cloexec(struct fd_table *t, int fd, bool on)
{
	guard(mutex)(&t->lock);
	if ((unsigned)fd >= t->size || !t->files[fd])
		return -EBADF;
	if (on)
		set_bit(t->cloexec, fd);
	else
		clear_bit(t->cloexec, fd);
	return 0;
}

int fd_next(struct fd_table *t, int fd)
{
	guard(mutex)(&t->lock);
	for (unsigned i = fd < 0 ? 0 : fd; i < t->size; i++)
		if (t->files[i])
			return i;
	return -1;
}

unsigned fd_table_count(struct fd_table *t)
{
	guard(mutex)(&t->lock);
	return t->count;
}
