/* SPDX-License-Identifier: Apache-2.0 */
/* attr.c: attributes. Owner, mode, links and xattrs are the overlay inode's own; size and times of a written file are those of the
 * upper inode that holds its data. */
#include "fs/overlay/overlay_internal.h"
#include <sys/xattr.h>

static bool ts_after(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

int ovl_getattr(struct inode *i, struct kstat *st)
{
	struct ovl_inode *oi = ovl_i(i);
	struct inode *up = atomic_load_explicit(&oi->upper, memory_order_acquire);

	generic_getattr(i, st);
	if (up) {
		struct kstat u __attribute__((uninitialized)); /* generic_getattr() is where they all begin */

		if ((up->ops->getattr ? up->ops->getattr(up, &u) : generic_getattr(up, &u)) == 0) {
			st->size = u.size;
			st->blocks = u.blocks;
			st->atime = u.atime;
			st->mtime = u.mtime;
			if (ts_after(&u.ctime, &st->ctime))
				st->ctime = u.ctime;
		}
	} else if (oi->lower)
		st->blocks = oi->lower_blocks;
	else
		st->blocks = 0;
	return 0;
}

int ovl_setattr(struct inode *i, const struct iattr *a)
{
	struct ovl_inode *oi = ovl_i(i);
	struct inode *up;
	struct iattr own = *a, in = *a;
	int r = 0;

	ovl_pin(oi);
	if (a->valid & ATTR_SIZE) {
		r = ovl_copy_up(oi, NULL, a->size);
		if (r)
			return r;
	}
	up = atomic_load_explicit(&oi->upper, memory_order_acquire);
	if (up) {
		in.file = NULL;
		in.valid &= ATTR_SIZE | ATTR_ATIME | ATTR_MTIME | ATTR_CTIME;
		if (in.valid) {
			r = up->ops->setattr ? up->ops->setattr(up, &in) : generic_setattr(up, &in);
			if (r)
				return r;
		}
		if (a->valid & ATTR_SIZE) {
			mutex_lock(&i->attr_lock);
			WRITE_ONCE(i->size, READ_ONCE(up->size)); /* as size_changed() */
			i->mtime = READ_TIME(up->mtime);
			i->ctime = vfs_now();
			mutex_unlock(&i->attr_lock);
		}
	}
	own.valid &= ~ATTR_SIZE;
	return generic_setattr(i, &own);
}

/* A pinned inode stays in memory, and its flags with it. */
int ovl_keep_flags(struct inode *i, unsigned flags)
{
	ovl_pin(ovl_i(i));
	return 0;
}

ssize_t ovl_readlink(struct inode *i, char *buf, size_t size)
{
	struct ovl_inode *oi = ovl_i(i);
	size_t n;

	if (!i->link)
		return oi->lower && oi->lower->ops->readlink ? oi->lower->ops->readlink(oi->lower, buf, size) : -EINVAL;
	n = MIN(size, strlen(i->link));
	memcpy(buf, i->link, n);
	return n;
}

/* ---- xattrs: a list of what was set or removed here, over what the lower file has ---- */

#define XATTR_BYTES_MAX (1u << 20) /* of one inode: it is our memory */

static struct ovl_xattr *xattr_find(struct ovl_inode *oi, const char *name)
{
	struct ovl_xattr *x;

	LIST_FOREACH(x, &oi->xattrs, link)
		if (!strcmp(x->name, name))
			return x;
	return NULL;
}

static ssize_t lower_getxattr(struct ovl_inode *oi, const char *name, void *buf, size_t size)
{
	if (!oi->lower || !oi->lower->ops->getxattr)
		return -ENODATA;
	return oi->lower->ops->getxattr(oi->lower, name, buf, size);
}

static int xattr_name_ok(struct inode *i, const char *name)
{
	if (!strncmp(name, "user.", 5)) {
		if (!S_ISREG(i->mode) && !S_ISDIR(i->mode))
			return -EPERM;
		return name[5] ? 0 : -EINVAL;
	}
	if (!strncmp(name, "trusted.", 8) || !strncmp(name, "security.", 9))
		return 0;
	return -EOPNOTSUPP;
}

ssize_t ovl_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
	struct ovl_inode *oi = ovl_i(i);
	struct ovl_xattr *x;
	int r = xattr_name_ok(i, name);

	if (r)
		return r == -EPERM ? -ENODATA : r;
	mutex_lock(&oi->lock);
	x = xattr_find(oi, name);
	if (x) {
		ssize_t n = x->removed ? -ENODATA : size && x->size > size ? -ERANGE : (ssize_t)x->size;

		if (n > 0 && size)
			memcpy(buf, x->value, n);
		mutex_unlock(&oi->lock);
		return n;
	}
	mutex_unlock(&oi->lock);
	return lower_getxattr(oi, name, buf, size);
}

static int xattr_set(struct inode *i, const char *name, const void *buf, size_t size, int flags, bool remove)
{
	struct ovl_inode *oi = ovl_i(i);
	struct ovl_xattr *x;
	bool in_lower, exists;
	char *value = NULL;
	int r = xattr_name_ok(i, name);

	if (r)
		return r;
	in_lower = lower_getxattr(oi, name, NULL, 0) >= 0;
	if (!remove) {
		value = kzalloc(size);
		if (!value)
			return -ENOMEM;
		memcpy(value, buf, size);
	}
	ovl_pin(oi);
	mutex_lock(&oi->lock);
	x = xattr_find(oi, name);
	exists = x ? !x->removed : in_lower;
	if (exists && (flags & XATTR_CREATE))
		r = -EEXIST;
	else if (!exists && (remove || (flags & XATTR_REPLACE)))
		r = -ENODATA;
	else if (!remove && oi->xattr_bytes + size + strlen(name) > XATTR_BYTES_MAX)
		r = -ENOSPC;
	else if (remove && !in_lower) {
		LIST_REMOVE(x, link);
		oi->xattr_bytes -= x->size + strlen(name);
		free(x->value);
		free(x);
	} else {
		if (!x) {
			x = xzalloc(sizeof(*x) + strlen(name) + 1);
			strcpy(x->name, name);
			LIST_INSERT_HEAD(&oi->xattrs, x, link);
			oi->xattr_bytes += strlen(name);
		}
		oi->xattr_bytes += (remove ? 0 : size) - x->size;
		free(x->value);
		x->value = value;
		x->size = remove ? 0 : size;
		x->removed = remove;
		value = NULL;
	}
	mutex_unlock(&oi->lock);
	free(value);
	if (!r)
		inode_touch(i, ATTR_CTIME);
	return r;
}

int ovl_setxattr(struct inode *i, const char *name, const void *buf, size_t size, int flags)
{
	return xattr_set(i, name, buf, size, flags, false);
}

int ovl_removexattr(struct inode *i, const char *name)
{
	return xattr_set(i, name, NULL, 0, 0, true);
}

ssize_t ovl_listxattr(struct inode *i, char *buf, size_t size)
{
	struct ovl_inode *oi = ovl_i(i);
	struct ovl_xattr *x;
	char *low = NULL;
	ssize_t n = 0, len = 0;

	if (oi->lower && oi->lower->ops->listxattr) {
		low = xzalloc(65536);
		n = oi->lower->ops->listxattr(oi->lower, low, 65536);
	}
	mutex_lock(&oi->lock);
	for (ssize_t at = 0; at < n; at += strlen(low + at) + 1) {
		size_t l = strlen(low + at) + 1;

		if (xattr_find(oi, low + at))
			continue;
		if (size && len + l > size)
			goto range;
		if (size)
			memcpy(buf + len, low + at, l);
		len += l;
	}
	LIST_FOREACH(x, &oi->xattrs, link) {
		size_t l = strlen(x->name) + 1;

		if (x->removed)
			continue;
		if (size && len + l > size)
			goto range;
		if (size)
			memcpy(buf + len, x->name, l);
		len += l;
	}
	mutex_unlock(&oi->lock);
	free(low);
	return len;
range:
	mutex_unlock(&oi->lock);
	free(low);
	return -ERANGE;
}

void ovl_xattr_evict(struct ovl_inode *oi)
{
	struct ovl_xattr *x;

	while ((x = LIST_FIRST(&oi->xattrs))) {
		LIST_REMOVE(x, link);
		free(x->value);
		free(x);
	}
}
