/* SPDX-License-Identifier: Apache-2.0 */
/* memfd.c: memory as a file, with seals (memfd_create(2), fcntl(2) "File Sealing").
 * Seals change under inode->lock, which changes of size and contents hold too. */
#include "fs/anon/memfd.h"
#include "mm/mm.h"
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#define MFD_EXEC 0x10U
#endif
#define SEALS_ALL (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)
#define SEALS_WRITE (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

struct memfd {
	struct shm_object *shm; /* counted */
	unsigned seals;		/* inode->lock */
};
static const struct file_ops memfd_ops;

static inline struct memfd *memfd_of(struct inode *i) { return i->private; }

static void written(struct inode *i)
{
	struct timespec now = vfs_now();

	guard(mutex)(&i->attr_lock);
	i->mtime = i->ctime = now;
	i->size = shm_object_size(memfd_of(i)->shm);
}

static ssize_t memfd_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	ssize_t n = shm_object_read_iter(memfd_of(f->inode)->shm, to, *pos);

	if (n > 0)
		*pos += n;
	return n;
}

static const void *memfd_window(struct file *f, int64_t pos, size_t *n)
{
	return shm_object_window(memfd_of(f->inode)->shm, pos, n);
}

static ssize_t memfd_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct memfd *m = memfd_of(f->inode);

	if (!from->count)
		return 0;
	guard(sleeplock)(&f->inode->lock);
	uint64_t size = shm_object_size(m->shm);
	if (write_appends(f, from))
		*pos = size;
	if (m->seals & SEALS_WRITE)
		return -EPERM;
	if ((m->seals & F_SEAL_GROW) && *pos + from->count > size) {
		/* whole pages below the end go through, as Linux's page by page */
		uint64_t end = size & ~4095UL;
		if (end <= (uint64_t)*pos)
			return -EPERM;
		from->count = end - *pos;
	}
	ssize_t n = shm_object_write_iter(m->shm, from, *pos);
	if (n > 0) {
		*pos += n;
		written(f->inode);
	}
	return n;
}

static int64_t memfd_llseek(struct file *f, int64_t off, int whence)
{
	struct memfd *m = memfd_of(f->inode);

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_llseek(f, off, whence);
	if (off < 0 || (uint64_t)off >= shm_object_size(m->shm))
		return -ENXIO;
	int64_t r = shm_object_seek_data(m->shm, off, whence == SEEK_HOLE);
	if (r >= 0)
		f->pos = r;
	return r;
}

static int memfd_mmap(struct file *f, struct vm_map *map)
{
	struct memfd *m = memfd_of(f->inode);

	if ((m->seals & SEALS_WRITE) && (map->flags & MAP_TYPE) != MAP_PRIVATE) {
		if (map->prot & PROT_WRITE)
			return -EPERM;
		map->may_write = false;
	}
	map->mappable = shm_object_mappable(m->shm);
	map->mappable->ops->get(map->mappable);
	return 0;
}

static int memfd_fallocate(struct file *f, int mode, int64_t off, int64_t len)
{
	struct memfd *m = memfd_of(f->inode);

	if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE))
		return -EOPNOTSUPP;
	guard(sleeplock)(&f->inode->lock);
	if ((mode & FALLOC_FL_PUNCH_HOLE) && (m->seals & SEALS_WRITE))
		return -EPERM;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && (m->seals & F_SEAL_GROW) && (uint64_t)(off + len) > shm_object_size(m->shm))
		return -EPERM;
	int r = shm_object_fallocate(m->shm, mode, off, len);
	if (!r)
		written(f->inode);
	return r;
}

static long add_seals(struct file *f, unsigned seals)
{
	struct memfd *m = memfd_of(f->inode);

	if (!(f->mode & FMODE_WRITE))
		return -EPERM;
	if (seals & ~SEALS_ALL)
		return -EINVAL;
	guard(sleeplock)(&f->inode->lock);
	if (m->seals & F_SEAL_SEAL)
		return -EPERM;
	if ((seals & F_SEAL_WRITE) && !(m->seals & F_SEAL_WRITE)) {
		int r = shm_object_seal_write(m->shm);
		if (r)
			return r;
	}
	/* Sealing the mode bits of a file that can be executed seals its contents too. */
	if ((seals & F_SEAL_EXEC) && (f->inode->mode & 0111))
		seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	m->seals |= seals;
	return 0;
}

static long memfd_fcntl(struct file *f, unsigned cmd, uint64_t arg)
{
	switch (cmd) {
	case F_ADD_SEALS: return arg > UINT32_MAX ? -EINVAL : add_seals(f, (unsigned)arg);
	case F_GET_SEALS: return memfd_of(f->inode)->seals;
	}
	return -EINVAL;
}

static int memfd_fsync(struct file *f, bool datasync) { return 0; }

static const struct file_ops memfd_ops = {
	.read = memfd_read,
	.write = memfd_write,
	.llseek = memfd_llseek,
	.mmap = memfd_mmap,
	.window = memfd_window,
	.fsync = memfd_fsync,
	.fallocate = memfd_fallocate,
	.fcntl = memfd_fcntl,
};

/* ---- the inode ---- */

static int memfd_open(struct inode *i, struct file *f) /* through /proc/PID/fd */
{
	f->ops = &memfd_ops;
	return 0;
}

static int memfd_getattr(struct inode *i, struct kstat *st)
{
	int r = generic_getattr(i, st);

	st->size = shm_object_size(memfd_of(i)->shm);
	st->blocks = shm_object_blocks(memfd_of(i)->shm);
	return r;
}

static int memfd_setattr(struct inode *i, const struct iattr *a)
{
	struct memfd *m = memfd_of(i);
	struct iattr rest = *a;

	if ((a->valid & ATTR_MODE) && (m->seals & F_SEAL_EXEC) && ((i->mode ^ a->mode) & 0111))
		return -EPERM;
	if (a->valid & ATTR_SIZE) {
		/* The walk to here may hold the lock already. */
		bool held = sleeplock_is_held(&i->lock);
		if (!held)
			sleeplock_lock(&i->lock);
		uint64_t size = shm_object_size(m->shm);
		int r = 0;
		if ((a->size < size && (m->seals & F_SEAL_SHRINK)) || (a->size > size && (m->seals & F_SEAL_GROW)))
			r = -EPERM;
		else
			r = shm_object_truncate(m->shm, a->size);
		if (!held)
			sleeplock_unlock(&i->lock);
		if (r)
			return r;
		written(i);
		rest.valid &= ~ATTR_SIZE;
	}
	return generic_setattr(i, &rest);
}

static void memfd_evict(struct inode *i)
{
	struct memfd *m = memfd_of(i);

	shm_object_put(m->shm);
	free(m);
}

static const struct inode_ops memfd_inode_ops = {
	.open = memfd_open,
	.getattr = memfd_getattr,
	.setattr = memfd_setattr,
	.evict = memfd_evict,
};

int memfd_create_file(const char *name, unsigned flags, struct file **out)
{
	struct memfd *m = new(struct memfd);
	char *full = xasprintf("/memfd:%s (deleted)", name);

	m->shm = shm_object_create(full);
	if (!m->shm) {
		free(m);
		free(full);
		return -ENOMEM;
	}
	m->seals = flags & (MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL) ? 0 : F_SEAL_SEAL;
	if (flags & MFD_NOEXEC_SEAL)
		m->seals |= F_SEAL_EXEC;
	int r = anon_file(full, S_IFREG | (flags & MFD_NOEXEC_SEAL ? 0666 : 0777), &memfd_ops, NULL, O_RDWR | O_LARGEFILE, out);
	free(full);
	if (r) {
		shm_object_put(m->shm);
		free(m);
		return r;
	}
	struct inode *i = (*out)->inode;
	i->private = m;
	i->ops = &memfd_inode_ops;
	i->nlink = 0;
	i->uid = fiber_context()->cred->fsuid;
	i->gid = fiber_context()->cred->fsgid;
	return 0;
}
