/* SPDX-License-Identifier: Apache-2.0 */
/* pid_fd.c: /proc/PID/{fd,fdinfo,exe,cwd,root,ns}: links that lead to objects, not to names. */
#include "fs/host/hostfd.h"
#include "fs/proc/proc_internal.h"
#include "kernel/pidfd.h"
#include "kernel/nsfs.h"
#include "vfs/locks.h"
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct file *node_file(struct pnode *n)
{
	struct task *t __free(task) = pnode_task(n);
	struct fd_table *fdt __free(fdt) = NULL;

	if (!t)
		return NULL;
	fdt = task_fdt_get(t);
	return fdt ? fd_get_raw(fdt, (int)n->n) : NULL;
}

/* Own threads always, others by the ptrace check. */
int proc_fd_may(struct pnode *n, int mask)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	if (t->tg == current->tg)
		return 1; /* whatever the owner is, as proc_fd_permission() says */
	return proc_may_access(t);
}

static int fd_link(struct pnode *n, struct path *out)
{
	struct task *t __free(task) = pnode_task(n);
	struct file *f;

	if (!t || proc_may_access(t))
		return -EACCES;
	f = node_file(n);
	if (!f)
		return -ENOENT;
	*out = f->path;
	path_get(out);
	file_put(f);
	return 0;
}

static ssize_t fd_readlink(struct pnode *n, char *buf, size_t size)
{
	struct task *t __free(task) = pnode_task(n);
	struct file *f;
	char *tmp;
	ssize_t r;

	if (!t || proc_may_access(t))
		return -EACCES;
	f = node_file(n);
	if (!f)
		return -ENOENT;
	tmp = xzalloc(4096);
	r = file_d_path(f, tmp, 4096);
	if (r > 0) {
		r = MIN((size_t)r, size);
		memcpy(buf, tmp, r);
	}
	free(tmp);
	file_put(f);
	return r;
}

static int fd_fill(struct pnode *n)
{
	struct file *f = node_file(n);
	struct task *t __free(task) = pnode_task(n);

	if (f) { /* the mode of the link tells how the file is open */
		n->inode->mode = S_IFLNK | (f->mode & FMODE_READ ? 0500 : 0) | (f->mode & FMODE_WRITE ? 0300 : 0);
		file_put(f);
	}
	if (t) {
		struct cred *c __free(cred) = task_cred_get(t);

		n->inode->uid = c->euid;
		n->inode->gid = c->egid;
	}
	n->inode->size = 64;
	return 0;
}

static int show_fdinfo(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	struct fd_table *fdt __free(fdt) = NULL;
	struct file *f;
	struct kstat st;
	int64_t pos;
	int cloexec;

	if (!t)
		return -ENOENT;
	fdt = task_fdt_get(t);
	f = fdt ? fd_get_raw(fdt, (int)n->n) : NULL;
	if (!f)
		return -ENOENT;
	cloexec = fd_get_cloexec(fdt, (int)n->n);
	memset(&st, 0, sizeof(st));
	vfs_fstat(f, &st);
	pos = f->ops && f->ops->stream ? 0 : READ_ONCE(f->pos);
	if (pos == HOSTFD_POS) /* not by vfs_llseek(): this may be a read of the very file, or of one that reads us */
		pos = f->ops->llseek(f, 0, SEEK_CUR);
	strbuf_printf(b, "pos:\t%lli\nflags:\t0%o\nmnt_id:\t%llu\nino:\t%llu\n", (long long)pos,
		      f->flags | (cloexec > 0 ? O_CLOEXEC : 0), (unsigned long long)st.mnt_id,
		      (unsigned long long)st.ino);
	struct pid *pid = pidfd_pid(f);
	if (pid || (f->ops && f->ops->show_fdinfo && !(f->mode & FMODE_PATH))) {
		char *more = xzalloc(8192);

		if (pid)
			pidfd_show(pid, pnode_ns(n), more, 8192);
		else
			f->ops->show_fdinfo(f, more, 8192);
		strbuf_write(b, more, strnlen(more, 8191));
		free(more);
	}
	if (f->inode && atomic_load(&f->inode->locks)) {
		int nr = 0;
		locks_show(f->inode, (const void *const[]){ f, fdt }, "lock:\t", &nr, b);
	}
	file_put(f);
	return 0;
}

static int fdinfo_fill(struct pnode *n)
{
	struct task *t __free(task) = pnode_task(n);

	if (t) {
		struct cred *c __free(cred) = task_cred_get(t);

		n->inode->uid = c->euid;
		n->inode->gid = c->egid;
	}
	return 0;
}

/* As large as there are descriptors. */
int proc_fd_dir_fill(struct pnode *n)
{
	struct task *t __free(task) = pnode_task(n);
	struct fd_table *fdt __free(fdt) = t ? task_fdt_get(t) : NULL;

	n->inode->size = 0;
	for (int fd = -1; fdt && (fd = fd_next(fdt, fd + 1)) >= 0;)
		n->inode->size++;
	return fdinfo_fill(n);
}

static const struct pentry fd_entry = { .name = "", .mode = S_IFLNK | 0700, .get_link = fd_link, .readlink = fd_readlink, .fill = fd_fill };
static const struct pentry fdinfo_entry = { .name = "", .mode = S_IFREG | 0444, .show = show_fdinfo, .fill = fdinfo_fill };

static int lookup_fd(struct pnode *dir, const char *name, const struct pentry *e, struct inode **out)
{
	struct task *t __free(task) = pnode_task(dir);
	struct fd_table *fdt __free(fdt) = NULL;
	struct file *f;
	uint64_t fd = 0;

	if (!t || !*name || (*name == '0' && name[1]))
		return -ENOENT;
	for (const char *s = name; *s; s++) {
		if (*s < '0' || *s > '9' || (fd = fd * 10 + (*s - '0')) > INT32_MAX)
			return -ENOENT;
	}
	fdt = task_fdt_get(t);
	f = fdt ? fd_get_raw(fdt, (int)fd) : NULL;
	if (!f)
		return -ENOENT;
	file_put(f);
	*out = pseudo_inode(dir->inode->sb, dir, e, name, dir->pid, fd);
	return 0;
}

int proc_fd_lookup(struct pnode *dir, const char *name, struct inode **out) { return lookup_fd(dir, name, &fd_entry, out); }
int proc_fdinfo_lookup(struct pnode *dir, const char *name, struct inode **out) { return lookup_fd(dir, name, &fdinfo_entry, out); }

int proc_fd_iterate(struct pnode *dir, struct dir_context *c)
{
	struct task *t __free(task) = pnode_task(dir);
	struct fd_table *fdt __free(fdt) = NULL;
	unsigned type = dir->e->lookup == proc_fd_lookup ? DT_LNK : DT_REG;
	char name[16];
	int fd;

	if (!t)
		return -ENOENT;
	fdt = task_fdt_get(t);
	while (fdt && (fd = fd_next(fdt, c->pos - PSEUDO_DYN)) >= 0) {
		int n = snprintf(name, sizeof(name), "%d", fd);

		if (!c->emit(c, name, n, fd + 0x20000ULL, type, PSEUDO_DYN + fd + 1))
			return 0;
		c->pos = PSEUDO_DYN + fd + 1;
	}
	return 0;
}

/* ---- exe, cwd, root ---- */

int proc_exe_link(struct pnode *n, struct path *out)
{
	struct task *t __free(task) = pnode_task(n);
	struct mm *mm __free(mm) = NULL;
	struct file *exe;

	if (!t)
		return -ENOENT;
	if (proc_may_access(t))
		return -EACCES;
	mm = task_mm_get(t);
	exe = mm ? mm_layout(mm)->exe : NULL;
	if (!exe)
		return -ENOENT;
	*out = exe->path;
	path_get(out);
	return 0;
}

static int fs_link(struct pnode *n, struct path *out, bool root)
{
	struct task *t __free(task) = pnode_task(n);
	int r = -ENOENT;

	if (!t)
		return -ENOENT;
	if (proc_may_access(t))
		return -EACCES;
	mutex_lock(&t->lock);
	if (t->fs) {
		mutex_lock(&t->fs->lock);
		*out = root ? t->fs->root : t->fs->cwd;
		path_get(out);
		mutex_unlock(&t->fs->lock);
		r = 0;
	}
	mutex_unlock(&t->lock);
	return r;
}

int proc_cwd_link(struct pnode *n, struct path *out) { return fs_link(n, out, false); }
int proc_root_link(struct pnode *n, struct path *out) { return fs_link(n, out, true); }

ssize_t proc_path_readlink(struct pnode *n, char *buf, size_t size)
{
	struct path p;
	char *tmp;
	ssize_t r = n->e->get_link(n, &p);

	if (r)
		return r;
	tmp = xzalloc(4096);
	r = d_path(&p, NULL, tmp, 4096);
	path_put(&p);
	if (r > 0) {
		r = MIN((size_t)r, size);
		memcpy(buf, tmp, r);
	}
	free(tmp);
	return r;
}

/* ---- ns: which namespaces ---- */

static int ns_ref(struct pnode *n, struct ns_ref *r)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ENOENT;
	if (proc_may_access(t))
		return -EACCES;
	return ns_of_task(t, n->e->arg, r) ? -ENOENT : 0;
}

static ssize_t ns_readlink(struct pnode *n, char *buf, size_t size)
{
	struct ns_ref r;
	char s[64];
	int len = ns_ref(n, &r);

	if (len)
		return len;
	len = snprintf(s, sizeof(s), "%s:[%llu]", ns_ref_name(&r), (unsigned long long)ns_ref_ino(&r));
	ns_ref_put(&r);
	len = MIN((size_t)len, size);
	memcpy(buf, s, len);
	return len;
}

static int ns_link(struct pnode *n, struct path *out)
{
	struct ns_ref r;
	int ret = ns_ref(n, &r);

	return ret ? ret : ns_path(&r, out);
}

#define NS(n, a) { .name = n, .mode = S_IFLNK | 0777, .readlink = ns_readlink, .get_link = ns_link, .fill = fdinfo_fill, .arg = a }
const struct pentry proc_ns_table[] = {
	NS("cgroup", NS_CGROUP),
	NS("ipc", NS_IPC),
	NS("mnt", NS_MNT),
	NS("net", NS_NET),
	NS("pid", NS_PID),
	NS("pid_for_children", NS_PID_FOR_CHILDREN),
	NS("time", NS_TIME),
	NS("time_for_children", NS_TIME_FOR_CHILDREN),
	NS("user", NS_USER),
	NS("uts", NS_UTS),
	{ 0 },
};
