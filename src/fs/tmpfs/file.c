/* SPDX-License-Identifier: Apache-2.0 */
/* file.c: regular files of tmpfs: a shared memory object each. */
#include "fs/tmpfs/internal.h"
#include "mm/mm.h"
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

int tmpfs_reserve(struct inode *i, uint64_t size)
{
	struct tmpfs_super *ts = TS(i->sb);
	struct tmpfs_inode *ti = TI(i);
	uint64_t want = (size + 4095) / 4096;

	if (likely(want <= ti->charged))
		return 0;
	uint64_t more = want - ti->charged;
	if (atomic_fetch_add(&ts->pages, more) + more > ts->max_pages && ts->max_pages) {
		atomic_fetch_sub(&ts->pages, more);
		return -ENOSPC;
	}
	ti->charged = want;
	return 0;
}

void tmpfs_settle(struct inode *i)
{
	struct tmpfs_super *ts = TS(i->sb);
	struct tmpfs_inode *ti = TI(i);
	uint64_t used = ti->shm ? (shm_object_blocks(ti->shm) + 7) / 8 : 0;

	if (used > ti->charged)
		atomic_fetch_add(&ts->pages, used - ti->charged);
	else
		atomic_fetch_sub(&ts->pages, ti->charged - used);
	ti->charged = used;
}

/* relatime(8): often read files need not be touched each time */
static void accessed(struct file *f)
{
	struct inode *i = f->inode;
	unsigned mf;

	if (f->flags & O_NOATIME)
		return;
	struct timespec now = vfs_now(), atime = READ_TIME(i->atime), mtime = READ_TIME(i->mtime), ctime = READ_TIME(i->ctime);
	/* Times are whatever somebody has set. */
	if (likely((int64_t)((uint64_t)now.tv_sec - (uint64_t)atime.tv_sec) < 24 * 3600 &&
		   (atime.tv_sec > mtime.tv_sec || (atime.tv_sec == mtime.tv_sec && atime.tv_nsec > mtime.tv_nsec)) &&
		   (atime.tv_sec > ctime.tv_sec || (atime.tv_sec == ctime.tv_sec && atime.tv_nsec > ctime.tv_nsec))))
		return;
	mf = vfs_mnt_flags(&f->path);
	if (mf & (MS_RDONLY | MS_NOATIME))
		return;
	if ((mf & MS_NODIRATIME) && S_ISDIR(i->mode))
		return;
	guard(mutex)(&i->attr_lock);
	i->atime = now;
}

static ssize_t tmpfs_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct inode *i = f->inode;
	ssize_t n = shm_object_read_iter(TI(i)->shm, to, *pos);

	if (n >= 0) {
		*pos += n;
		accessed(f);
	}
	return n;
}

static const void *tmpfs_window(struct file *f, int64_t pos, size_t *n)
{
	accessed(f);
	return shm_object_window(TI(f->inode)->shm, pos, n);
}

static ssize_t tmpfs_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct inode *i = f->inode;
	struct shm_object *o = TI(i)->shm;
	ssize_t n = 0;

	if (!from->count)
		return 0;
	sleeplock_lock(&i->lock);
	if (write_appends(f, from))
		*pos = shm_object_size(o);
	uint64_t end = (uint64_t)*pos + from->count;
	if (end > INT64_MAX - 4096)
		n = -EFBIG;
	else
		n = tmpfs_reserve(i, end);
	if (n == -ENOSPC) { /* what still fits */
		struct tmpfs_super *ts = TS(i->sb);
		uint64_t used = atomic_load(&ts->pages), room = ts->max_pages > used ? ts->max_pages - used : 0;
		uint64_t top = (TI(i)->charged + room) * 4096;
		if (top > (uint64_t)*pos && top < end) {
			from->count = top - *pos;
			n = tmpfs_reserve(i, top);
		}
	}
	if (!n)
		n = shm_object_write_iter(o, from, *pos);
	if (n > 0) {
		*pos += n;
		struct timespec now = vfs_now();
		guard(mutex)(&i->attr_lock);
		i->mtime = i->ctime = now;
		i->size = shm_object_size(o);
	}
	sleeplock_unlock(&i->lock);
	return n;
}

static int64_t tmpfs_llseek(struct file *f, int64_t off, int whence)
{
	if (whence == SEEK_DATA || whence == SEEK_HOLE) {
		struct shm_object *o = TI(f->inode)->shm;
		if (off < 0 || (uint64_t)off >= shm_object_size(o))
			return -ENXIO;
		int64_t r = shm_object_seek_data(o, off, whence == SEEK_HOLE);
		if (r >= 0)
			f->pos = r;
		return r;
	}
	return generic_llseek(f, off, whence);
}

static int tmpfs_mmap(struct file *f, struct vm_map *m)
{
	m->mappable = shm_object_mappable(TI(f->inode)->shm);
	m->mappable->ops->get(m->mappable);
	if (!(f->flags & O_NOATIME))
		accessed(f);
	return 0;
}

static int tmpfs_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	struct inode *i = f->inode;
	int ret = 0;

	if (mode & ~(1 | 2)) /* KEEP_SIZE, PUNCH_HOLE: as Linux's */
		return -EOPNOTSUPP;
	sleeplock_lock(&i->lock);
	if (!(mode & 2))
		ret = tmpfs_reserve(i, off + len);
	if (!ret)
		ret = shm_object_fallocate(TI(i)->shm, mode, off, len);
	if (mode & 2)
		tmpfs_settle(i);
	if (!ret) {
		struct timespec now = vfs_now();
		guard(mutex)(&i->attr_lock);
		i->size = shm_object_size(TI(i)->shm);
		i->mtime = i->ctime = now;
	}
	sleeplock_unlock(&i->lock);
	return ret;
}

static int tmpfs_fsync(struct file *f, bool datasync) { return 0; }

const struct file_ops tmpfs_file_ops = {
	.read = tmpfs_read,
	.write = tmpfs_write,
	.llseek = tmpfs_llseek,
	.mmap = tmpfs_mmap,
	.window = tmpfs_window,
	.fsync = tmpfs_fsync,
	.fallocate = tmpfs_fallocate,
};

/* ---- directories ---- */

/* The tree of offsets is generated in tmpfs.c for changes; reading needs only the search. */
static struct tmpfs_entry *first_from(struct tmpfs_inode *ti, int64_t off)
{
	struct tmpfs_entry *e = RB_ROOT(&ti->offs), *best = NULL;

	while (e) {
		if (e->off >= off) {
			best = e;
			e = RB_LEFT(e, by_off);
		} else {
			e = RB_RIGHT(e, by_off);
		}
	}
	return best;
}

static unsigned d_type(uint32_t mode) { return (mode & S_IFMT) >> 12; }

static int tmpfs_iterate(struct file *f, struct dir_context *c)
{
	struct inode *i = f->inode;
	struct tmpfs_inode *ti = TI(i);
	struct tmpfs_entry *e;

	guard(sleeplock)(&i->lock);
	if (c->pos == 0) {
		if (!c->emit(c, ".", 1, i->ino, 4, 1))
			return 0;
		c->pos = 1;
	}
	if (c->pos == 1) {
		if (!c->emit(c, "..", 2, ti->parent->ino, 4, 2))
			return 0;
		c->pos = 2;
	}
	while ((e = first_from(ti, c->pos))) {
		if (!c->emit(c, e->name, e->len, e->inode->ino, d_type(e->inode->mode), e->off + 1))
			break;
		c->pos = e->off + 1;
	}
	accessed(f);
	return 0;
}

static ssize_t dir_read(struct file *f, struct iov_iter *to, int64_t *pos) { return -EISDIR; }

static int64_t dir_llseek(struct file *f, int64_t off, int whence)
{
	if (whence == SEEK_CUR)
		off += f->pos;
	else if (whence == SEEK_END)
		off += TI(f->inode)->next_off;
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (off < 0)
		return -EINVAL;
	return f->pos = off;
}

const struct file_ops tmpfs_dir_ops = { .read = dir_read, .iterate = tmpfs_iterate, .llseek = dir_llseek, .fsync = tmpfs_fsync };
