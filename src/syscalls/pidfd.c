/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd.c: pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2), setns(2). */
#include "kernel/nsfs.h"
#include "kernel/pidfd.h"
#include "syscalls/proto.h"
#include <fcntl.h>

#define PIDFD_THREAD_ O_EXCL
enum { PIDFD_SELF_THREAD_ = -10000, PIDFD_SELF_THREAD_GROUP_ = -10001 };
enum { PIDFD_SIGNAL_THREAD_ = 1, PIDFD_SIGNAL_THREAD_GROUP_ = 2, PIDFD_SIGNAL_PROCESS_GROUP_ = 4 };

/* The process behind a descriptor: of pidfd_open, or a directory /proc/PID. Counted. */
static struct pid *pid_from_fd(struct task *t, int fd, unsigned *flags)
{
	if (fd == PIDFD_SELF_THREAD_ || fd == PIDFD_SELF_THREAD_GROUP_) {
		struct pid *self = fd == PIDFD_SELF_THREAD_ ? t->pid : t->tg->pid;
		*flags = fd == PIDFD_SELF_THREAD_ ? PIDFD_THREAD_ : 0;
		pid_get(self);
		return self;
	}
	__free(file) struct file *f = fd_get(t->fdt, fd);
	if (!f)
		return NULL;
	struct pid *p = pidfd_pid(f);
	*flags = f->flags;
	if (p)
		pid_get(p);
	else if (pidfd_proc_hook)
		p = pidfd_proc_hook(f);
	return p;
}

long sys_pidfd_open(struct task *t, const struct syscall_args *a)
{
	int pid = (int)a->a[0];
	unsigned flags = (unsigned)a->a[1];
	if (flags & ~(unsigned)(O_NONBLOCK | PIDFD_THREAD_))
		return -EINVAL;
	if (pid <= 0)
		return -EINVAL;
	mutex_lock(&t->kernel->tasks.lock);
	struct pid *p = pidns_find_locked(task_pid_ns(t), pid);
	long r = 0;
	if (!p || !p->task)
		r = -ESRCH;
	else if (!(flags & PIDFD_THREAD_) && p->task->tg->pid != p)
		r = -ENOENT; /* a thread that is no leader: since 6.9 */
	else
		pid_get(p);
	mutex_unlock(&t->kernel->tasks.lock);
	if (r)
		return r;
	__free(file) struct file *f = NULL;
	r = pidfd_file(p, flags, &f);
	pid_put(p);
	return r ? r : fd_install(t->fdt, f, true);
}

long sys_pidfd_send_signal(struct task *t, const struct syscall_args *a)
{
	int sig = (int)a->a[1];
	unsigned flags = (unsigned)a->a[3], fflags = 0;
	siginfo_k info;
	if (flags & ~7u || (flags & (flags - 1)))
		return -EINVAL;
	struct pid *p = pid_from_fd(t, (int)a->a[0], &fflags);
	if (!p)
		return -EBADF;
	long r = -EINVAL;
	struct pid_namespace *ns = p->numbers[p->level].ns;
	struct task *o = NULL;
	if (!pidns_is_ancestor(task_pid_ns(t), ns))
		goto out;
	bool thread = flags & PIDFD_SIGNAL_THREAD_ || (!flags && (fflags & PIDFD_THREAD_));
	if (a->a[2]) {
		r = -EFAULT;
		if (copy_from_user(&info, a->a[2], sizeof(info)))
			goto out;
		r = -EINVAL;
		if (info.si_signo != sig)
			goto out;
		/* Only oneself may be sent what looks like the kernel's or kill's. */
		r = -EPERM;
		if (p != t->tg->pid && p != t->pid && (info.si_code >= 0 || info.si_code == SI_TKILL))
			goto out;
	} else {
		siginfo_user(&info, sig, thread ? SI_TKILL : SI_USER, t, t);
	}
	r = -EINVAL;
	if (sig < 0 || sig > NSIG_K)
		goto out;
	mutex_lock(&t->kernel->tasks.lock);
	r = -ESRCH;
	if (flags & PIDFD_SIGNAL_PROCESS_GROUP_) {
		struct process_group *pg = p->pgrp;
		struct pgrp_member *m;
		bool sent = false;
		if (pg)
			LIST_FOREACH(m, &pg->members, link) {
				struct task *l = m->tg->leader;
				long one = signal_permission_locked(t, l, sig);
				if (!one && sig)
					one = tg_send_signal(m->tg, &info);
				sent |= !one;
				r = one;
			}
		if (sent)
			r = 0;
		mutex_unlock(&t->kernel->tasks.lock);
		goto out;
	}
	o = p->task;
	if (o)
		task_get(o);
	mutex_unlock(&t->kernel->tasks.lock);
	if (!o)
		goto out;
	r = signal_permission(t, o, sig);
	if (!r && sig) {
		if (!a->a[2]) {
			int code = info.si_code;
			siginfo_user(&info, sig, code, t, o);
		}
		r = task_send_signal(o, &info, !thread);
	}
	task_put(o);
out:
	pid_put(p);
	return r;
}

long sys_pidfd_getfd(struct task *t, const struct syscall_args *a)
{
	if ((unsigned)a->a[2])
		return -EINVAL;
	__free(file) struct file *pf = fd_get(t->fdt, (int)a->a[0]);
	struct pid *p = pf ? pidfd_pid(pf) : NULL;
	if (!p)
		return -EBADF;
	mutex_lock(&t->kernel->tasks.lock);
	struct task *o = p->task;
	if (o)
		task_get(o);
	mutex_unlock(&t->kernel->tasks.lock);
	if (!o)
		return -ESRCH;
	long r = -ESRCH;
	if (!task_may_access(t, o)) {
		r = -EPERM;
	} else {
		mutex_lock(&o->lock);
		struct fd_table *fdt = o->fdt;
		if (fdt)
			fd_table_get(fdt);
		mutex_unlock(&o->lock);
		if (fdt) {
			__free(file) struct file *f = fd_get_raw(fdt, (int)a->a[1]);
			fd_table_put(fdt);
			r = f ? fd_install(t->fdt, f, true) : -EBADF;
		}
	}
	task_put(o);
	return r;
}

/* By the file of a namespace or, several at once, by a pidfd. */
long sys_setns(struct task *t, const struct syscall_args *a)
{
	unsigned fflags;
	__free(file) struct file *f = fd_get(t->fdt, (int)a->a[0]);
	if (!f)
		return -EBADF;
	if (file_ns(f))
		return task_setns_ref(t, file_ns(f), (uint32_t)a->a[1]);
	if (!pidfd_pid(f))
		return -EINVAL;
	struct pid *p = pid_from_fd(t, (int)a->a[0], &fflags);
	if (!p)
		return -EBADF;
	mutex_lock(&t->kernel->tasks.lock);
	struct task *o = p->task;
	if (o)
		task_get(o);
	mutex_unlock(&t->kernel->tasks.lock);
	pid_put(p);
	if (!o)
		return -ESRCH;
	long r = task_setns(t, o, (uint32_t)a->a[1]);
	task_put(o);
	return r;
}
