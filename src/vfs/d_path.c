/* SPDX-License-Identifier: Apache-2.0 */
/* d_path.c: from a path back to its name. */
#include "vfs/internal.h"

char *path_string(const struct path *p, const struct path *root, char *buf, size_t size, struct path_string_info *info)
{
	struct mount *m = p->mnt;
	struct dentry *d = p->dentry;
	char *s = buf + size - 1;
	bool fits = true;

	*s = 0;
	info->reached_root = false;
	info->deleted = d->deleted || (d->sb->no_dcache && d->inode && !READ_ONCE(d->inode->nlink));
	mutex_lock(&mount_lock);
	struct dcache *dc = d->sb->dcache;
	mutex_lock(&dc->lock);
	for (;;) {
		if (root && m == root->mnt && d == root->dentry) {
			info->reached_root = true;
			break;
		}
		if (d == m->root || d->parent == d) {
			if (d != m->root || !m->parent) {
				if (!root)
					info->reached_root = true;
				break;
			}
			mutex_unlock(&dc->lock);
			d = m->mountpoint;
			m = m->parent;
			dc = d->sb->dcache;
			mutex_lock(&dc->lock);
			continue;
		}
		if ((size_t)(s - buf) < (size_t)d->len + 1) {
			fits = false;
			break;
		}
		s -= d->len;
		memcpy(s, d->name, d->len);
		*--s = '/';
		d = d->parent;
	}
	mutex_unlock(&dc->lock);
	mutex_unlock(&mount_lock);
	if (!fits)
		return NULL;
	if (!*s) {
		if (s == buf)
			return NULL;
		*--s = '/';
	}
	return s;
}

ssize_t d_path(const struct path *p, const struct path *root, char *buf, size_t size)
{
	struct path_string_info info;
	struct path r = { 0 };
	ssize_t n;

	if (p->dentry->anon) {
		n = p->dentry->len;
		if ((size_t)n + 1 > size)
			return -ENAMETOOLONG;
		memcpy(buf, p->dentry->name, n + 1);
		return n;
	}
	if (!size)
		return -ENAMETOOLONG;
	if (!root && fiber_self() && fiber_context()->fs) {
		fs_get_root(&r);
		root = &r;
	}
	char *s = path_string(p, root, buf, size, &info);
	if (r.mnt)
		path_put(&r);
	if (!s)
		return -ENAMETOOLONG;
	n = strlen(s);
	memmove(buf, s, n + 1);
	if (info.deleted) {
		static const char suffix[] = " (deleted)";
		if ((size_t)n + sizeof(suffix) > size)
			return -ENAMETOOLONG;
		memcpy(buf + n, suffix, sizeof(suffix));
		n += sizeof(suffix) - 1;
	}
	return n;
}

ssize_t file_d_path(struct file *f, char *buf, size_t size) { return d_path(&f->path, NULL, buf, size); }

ssize_t vfs_getcwd(char *buf, size_t size)
{
	static const char unreachable[] = "(unreachable)";
	struct path_string_info info;
	struct path root, cwd;
	ssize_t n = -ENOENT;

	fs_get_root(&root);
	fs_get_pwd(&cwd);
	char *s = path_string(&cwd, &root, buf, size, &info);
	if (!info.deleted) {
		size_t len = s ? strlen(s) + 1 : 0, pre = info.reached_root ? 0 : sizeof(unreachable) - 1;
		n = -ERANGE;
		if (s && len + pre <= size) {
			memmove(buf + pre, s, len);
			memcpy(buf, unreachable, pre);
			n = len + pre;
		}
	}
	path_put(&cwd);
	path_put(&root);
	return n;
}

bool path_is_under(const struct path *p, const struct path *anc)
{
	guard(mutex)(&mount_lock);
	struct mount *m = p->mnt;
	struct dentry *d = p->dentry;
	while (m != anc->mnt && m->parent) {
		d = m->mountpoint;
		m = m->parent;
	}
	if (m != anc->mnt)
		return false;
	guard(mutex)(&d->sb->dcache->lock);
	return d_is_ancestor(anc->dentry, d);
}
