/* SPDX-License-Identifier: Apache-2.0 */
/* fd.c: calls on descriptors: dup(2), fcntl(2), flock(2), ioctl(2), fsync(2), fallocate(2); and what vfs asks about the task. */
#include "fs/anon/inotify.h"
#include "fs/pipe/pipe.h"
#include "syscalls/names.h"
#include "vfs/locks.h"
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY 1027
#endif
#ifndef F_CREATED_QUERY
#define F_CREATED_QUERY 1028
#endif

/* ---- hooks of vfs ---- */

static uint64_t fsize_limit(void)
{
	struct task *t = fiber_self() ? fiber_context()->task : NULL;

	return t ? READ_ONCE(t->tg->limits[RLIMIT_FSIZE].rlim_cur) : UINT64_MAX;
}

static void send_sigxfsz(void)
{
	struct task *t = fiber_self() ? fiber_context()->task : NULL;
	siginfo_k si;

	if (!t)
		return;
	siginfo_user(&si, SIGXFSZ, SI_USER, t, t);
	task_send_signal(t, &si, false);
}

static __attribute__((constructor)) void set_hooks(void)
{
	vfs_hooks.fsize_limit = fsize_limit;
	vfs_hooks.send_sigxfsz = send_sigxfsz;
}

/* ---- dup ---- */

long sys_dup(struct task *t, const struct syscall_args *a)
{
	bool c;
	struct file *f = fd_get_raw_light(t->fdt, (int)a->a[0], &c);

	if (!f)
		return -EBADF;
	long fd = fd_install(t->fdt, f, false);
	fd_put_light(f, c);
	return fd;
}

static long do_dup2(struct task *t, int old, int new, bool cloexec)
{
	struct file *f = fd_get_raw(t->fdt, old);

	if (!f)
		return -EBADF;
	long fd = fd_replace(t->fdt, new, f, cloexec);
	file_put(f);
	mm_forget_files(t->mm);
	return fd;
}

long sys_dup2(struct task *t, const struct syscall_args *a)
{
	if ((int)a->a[0] == (int)a->a[1]) {
		int ret = fd_get_cloexec(t->fdt, (int)a->a[0]);
		return ret < 0 ? ret : (int)a->a[1];
	}
	return do_dup2(t, (int)a->a[0], (int)a->a[1], false);
}

long sys_dup3(struct task *t, const struct syscall_args *a)
{
	unsigned flags = a->a[2];

	if ((flags & ~O_CLOEXEC) || (int)a->a[0] == (int)a->a[1])
		return -EINVAL;
	return do_dup2(t, (int)a->a[0], (int)a->a[1], flags & O_CLOEXEC);
}

/* ---- record locks ---- */

/* The range in absolute offsets. 0, -EINVAL or -EOVERFLOW. */
static int lock_range(struct file *f, const struct flock *l, int64_t *start, int64_t *end)
{
	int64_t base = 0;

	switch (l->l_whence) {
	case SEEK_SET:
		break;
	case SEEK_CUR:
		base = f->pos;
		break;
	case SEEK_END: {
		struct kstat st;
		int ret = vfs_fstat(f, &st);
		if (ret)
			return ret;
		base = st.size;
		break;
	}
	default:
		return -EINVAL;
	}
	if (add_overflow(base, l->l_start, start))
		return -EOVERFLOW;
	if (*start < 0)
		return -EINVAL;
	if (l->l_len > 0) {
		if (add_overflow(*start, l->l_len - 1, end))
			return -EOVERFLOW;
	} else if (l->l_len < 0) {
		*end = *start - 1;
		if (add_overflow(*start, l->l_len, start) || *start < 0)
			return -EINVAL;
	} else {
		*end = INT64_MAX;
	}
	return 0;
}

static struct pid_namespace *root_ns(struct task *t) { return t->kernel->tasks.root; }

static long do_getlk(struct task *t, struct file *f, uaddr_t arg, bool ofd)
{
	struct flock l;
	struct lock_info li;
	int64_t start, end;

	if (get_user(l, arg))
		return -EFAULT;
	if (ofd && l.l_pid)
		return -EINVAL;
	if (l.l_type != F_RDLCK && l.l_type != F_WRLCK)
		return -EINVAL;
	int ret = lock_range(f, &l, &start, &end);
	if (ret)
		return ret;
	if (!vfs_getlk(f, ofd ? LOCK_KIND_OFD : LOCK_KIND_POSIX, ofd ? (void *)f : (void *)t->fdt, l.l_type, start, end, &li)) {
		l.l_type = F_UNLCK;
	} else {
		l.l_type = li.type;
		l.l_whence = SEEK_SET;
		l.l_start = li.start;
		l.l_len = li.end == INT64_MAX ? 0 : li.end - li.start + 1;
		l.l_pid = li.pid;
		if (li.pid > 0 && task_pid_ns(t) != root_ns(t)) {
			struct pid *p = pidns_find(t->kernel, root_ns(t), li.pid);
			l.l_pid = p ? pid_nr(p, task_pid_ns(t)) : 0;
			if (p)
				pid_put(p);
		}
	}
	return put_user(l, arg);
}

static long do_setlk(struct task *t, struct file *f, uaddr_t arg, bool ofd, bool wait)
{
	struct flock l;
	int64_t start, end;

	if (get_user(l, arg))
		return -EFAULT;
	int ret = lock_range(f, &l, &start, &end);
	if (ret)
		return ret;
	if (ofd && l.l_pid)
		return -EINVAL;
	switch (l.l_type) {
	case F_RDLCK:
		if (!(f->mode & FMODE_READ))
			return -EBADF;
		break;
	case F_WRLCK:
		if (!(f->mode & FMODE_WRITE))
			return -EBADF;
		break;
	case F_UNLCK:
		break;
	default:
		return -EINVAL;
	}
	if (wait)
		task_will_block(t);
	return vfs_setlk(f, ofd ? LOCK_KIND_OFD : LOCK_KIND_POSIX, ofd ? (void *)f : (void *)t->fdt, task_tgid(t, root_ns(t)), l.l_type, start, end, wait);
}

long sys_flock(struct task *t, const struct syscall_args *a)
{
	int op = a->a[1], kind = op & ~LOCK_NB;

	if (op & LOCK_MAND) /* once meant something: done, whatever the rest says */
		return 0;
	if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
		return -EINVAL;
	struct file *f = fd_get(t->fdt, (int)a->a[0]); /* counted: another thread may close it while this one waits */

	if (!f)
		return -EBADF;
	if (!(op & LOCK_NB))
		task_will_block(t);
	long ret = vfs_flock(f, op, task_tgid(t, root_ns(t)));
	file_put(f);
	return ret;
}

/* ---- who gets SIGIO ---- */

enum { OWNER_TID, OWNER_PID, OWNER_PGRP };

static void owner_pid_put(void *p) { pid_put(p); }

static void set_owner(struct file *f, struct pid *pid /* taken over; may be NULL */, int type)
{
	struct cred *c = fiber_context()->cred;
	void *old;
	{
		guard(mutex)(&f->owner_lock);
		old = f->owner_pid;
		f->owner_pid = pid;
		f->owner_put = owner_pid_put;
		f->owner_type = type;
		f->owner_uid = c->uid;
		f->owner_euid = c->euid;
	}
	if (old)
		pid_put(old);
}

static long owner_by_number(struct task *t, struct file *f, int type, int nr)
{
	struct pid *p = NULL;

	if (nr && !(p = pidns_find(t->kernel, task_pid_ns(t), nr)))
		return -ESRCH;
	set_owner(f, p, type);
	return 0;
}

/* A lease and F_NOTIFY tell the process that asked, unless the file has an owner. */
static void own_if_nobody_does(struct task *t, struct file *f)
{
	if (!READ_ONCE(f->owner_pid))
		owner_by_number(t, f, OWNER_PID, task_tgid(t, task_pid_ns(t)));
}

static int owner_number(struct task *t, struct file *f, int *type)
{
	guard(mutex)(&f->owner_lock);
	*type = f->owner_pid ? f->owner_type : OWNER_TID;
	return f->owner_pid ? pid_nr(f->owner_pid, task_pid_ns(t)) : 0;
}

/* ---- fcntl ---- */

static long do_fcntl(struct task *t, int fd, struct file *f, unsigned cmd, uint64_t arg)
{
	struct { int type, pid; } ex;
	struct file *g;
	int nr, type;

	switch (cmd) {
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		if ((int)arg < 0 || arg >= fd_table_limit(t->fdt))
			return -EINVAL;
		return fd_install_from(t->fdt, f, (int)arg, fd_table_limit(t->fdt), cmd == F_DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_get_cloexec(t->fdt, fd);
	case F_SETFD:
		return fd_set_cloexec(t->fdt, fd, arg & FD_CLOEXEC);
	case F_GETFL:
		return f->flags;
	}
	if (f->mode & FMODE_PATH)
		return -EBADF;
	switch (cmd) {
	case F_SETFL:
		return vfs_set_flags(f, arg);
	case F_GETLK:
		return do_getlk(t, f, arg, false);
	case F_SETLK:
	case F_SETLKW:
		return do_setlk(t, f, arg, false, cmd == F_SETLKW);
	case F_OFD_GETLK:
		return do_getlk(t, f, arg, true);
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return do_setlk(t, f, arg, true, cmd == F_OFD_SETLKW);
	case F_GETOWN:
		nr = owner_number(t, f, &type);
		return type == OWNER_PGRP ? -nr : nr;
	case F_SETOWN:
		nr = arg;
		if (nr == INT32_MIN)
			return -EINVAL;
		return owner_by_number(t, f, nr < 0 ? OWNER_PGRP : OWNER_PID, nr < 0 ? -nr : nr);
	case F_GETOWN_EX:
		ex.pid = owner_number(t, f, &ex.type);
		return put_user(ex, arg);
	case F_SETOWN_EX:
		if (get_user(ex, arg))
			return -EFAULT;
		if (ex.type < OWNER_TID || ex.type > OWNER_PGRP)
			return -EINVAL;
		return owner_by_number(t, f, ex.type, ex.pid);
	case F_GETSIG:
		return f->owner_sig;
	case F_SETSIG:
		if (arg > NSIG_K)
			return -EINVAL;
		f->owner_sig = arg;
		return 0;
	case F_GETLEASE:
		return vfs_getlease(f);
	case F_SETLEASE:
		nr = vfs_setlease(f, fd, (int)arg);
		if (!nr && (int)arg != F_UNLCK)
			own_if_nobody_does(t, f);
		return nr;
	case F_NOTIFY:
		nr = dnotify_set(f, fd, t->fdt, arg);
		if (!nr && (arg & ~DN_MULTISHOT))
			own_if_nobody_does(t, f);
		return nr;
	case F_DUPFD_QUERY:
		g = fd_get_raw(t->fdt, (int)arg);
		if (!g)
			return -EBADF;
		nr = f == g;
		file_put(g);
		return nr;
	case F_CREATED_QUERY:
		return !!(f->mode & FMODE_CREATED);
	}
	if ((cmd == F_SETPIPE_SZ || cmd == F_GETPIPE_SZ) && !file_is_pipe(f))
		return -EBADF;
	return f->ops->fcntl ? f->ops->fcntl(f, cmd, arg) : -EINVAL;
}

long sys_fcntl(struct task *t, const struct syscall_args *a)
{
	unsigned cmd = a->a[1];
	bool c;
	bool blocks = cmd == F_SETLKW || cmd == F_OFD_SETLKW;
	struct file *f;

	if (blocks) {
		f = fd_get_raw(t->fdt, (int)a->a[0]);
		c = true;
	} else {
		f = fd_get_raw_light(t->fdt, (int)a->a[0], &c);
	}
	if (!f)
		return -EBADF;
	long ret = do_fcntl(t, (int)a->a[0], f, cmd, a->a[2]);
	fd_put_light(f, c);
	return ret;
}

/* ---- ioctl ---- */

long sys_ioctl(struct task *t, const struct syscall_args *a)
{
	unsigned cmd = a->a[1];
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);
	long ret;

	if (!f)
		return -EBADF;
	if (cmd == FIOCLEX || cmd == FIONCLEX)
		ret = fd_set_cloexec(t->fdt, (int)a->a[0], cmd == FIOCLEX);
	else
		ret = vfs_ioctl(f, cmd, a->a[2]);
	fd_put_light(f, c);
	return ret;
}

/* ---- writing back ---- */

static long do_fsync(struct task *t, uint64_t fd, bool datasync)
{
	bool c;
	struct file *f = arg_file(t, fd, &c);

	if (!f)
		return -EBADF;
	long ret = vfs_fsync(f, datasync);
	fd_put_light(f, c);
	return ret;
}

long sys_fsync(struct task *t, const struct syscall_args *a) { return do_fsync(t, a->a[0], false); }
long sys_fdatasync(struct task *t, const struct syscall_args *a) { return do_fsync(t, a->a[0], true); }

long sys_sync(struct task *t, const struct syscall_args *a)
{
	mount_ns_sync(t->mnt_ns);
	return 0;
}

long sys_syncfs(struct task *t, const struct syscall_args *a)
{
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);

	if (!f)
		return -EBADF;
	struct super_block *sb = f->inode->sb;
	long ret = sb->ops && sb->ops->sync ? sb->ops->sync(sb) : 0;
	fd_put_light(f, c);
	return ret;
}

long sys_sync_file_range(struct task *t, const struct syscall_args *a)
{
	int64_t off = a->a[1], len = a->a[2], end;
	unsigned flags = a->a[3];
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);
	long ret;

	if (!f)
		return -EBADF;
	if ((flags & ~7u) || off < 0 || len < 0 || add_overflow(off, len, &end))
		ret = -EINVAL;
	else if (S_ISFIFO(f->inode->mode) || f->ops->stream)
		ret = -ESPIPE;
	else if (!S_ISREG(f->inode->mode) && !S_ISDIR(f->inode->mode) && !S_ISBLK(f->inode->mode) && !S_ISLNK(f->inode->mode))
		ret = -ESPIPE;
	else
		ret = flags && f->ops->fsync ? vfs_fsync(f, true) : 0;
	fd_put_light(f, c);
	return ret;
}

long sys_fallocate(struct task *t, const struct syscall_args *a)
{
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);

	if (!f)
		return -EBADF;
	long ret = vfs_fallocate(f, (int)a->a[1], a->a[2], a->a[3]);
	fd_put_light(f, c);
	return ret;
}
