/* SPDX-License-Identifier: Apache-2.0 */
/* wait.c: wait4(2), waitid(2), getrusage(2). */
#include "kernel/pidfd.h"
#include "kernel/wait.h"
#include "syscalls/proto.h"
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#define KNOWN_WNOTHREAD 0x20000000u
#define KNOWN_WALL 0x40000000u
#define KNOWN_WCLONE 0x80000000u
#define P_PIDFD_ 3

struct rusage_k { int64_t utime[2], stime[2], maxrss, zero1[3], minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv, nsignals, nvcsw, nivcsw; };
_Static_assert(sizeof(struct rusage_k) == 144, "struct rusage");

static int put_rusage(uaddr_t addr, const struct task_usage *u)
{
	struct rusage_k r = {
		.utime = { u->utime / NSEC_PER_SEC, u->utime % NSEC_PER_SEC / 1000 },
		.stime = { u->stime / NSEC_PER_SEC, u->stime % NSEC_PER_SEC / 1000 },
		.maxrss = u->maxrss, .minflt = u->minflt, .majflt = u->majflt, .inblock = u->inblock, .oublock = u->oublock,
		.nvcsw = u->nvcsw, .nivcsw = u->nivcsw,
	};
	return copy_to_user(addr, &r, sizeof(r));
}

long sys_wait4(struct task *t, const struct syscall_args *a)
{
	int upid = (int)a->a[0];
	unsigned options = (unsigned)a->a[2];
	struct wait_request w = { 0 };
	if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | KNOWN_WNOTHREAD | KNOWN_WCLONE | KNOWN_WALL))
		return -EINVAL;
	if (upid == INT32_MIN)
		return -ESRCH;
	if (upid == -1) {
		w.type = WAIT_ANY;
	} else if (upid > 0) {
		w.type = WAIT_PID;
		w.pid = pidns_find(t->kernel, task_pid_ns(t), upid);
	} else if (upid < 0) {
		w.type = WAIT_PGRP;
		w.pid = pidns_find(t->kernel, task_pid_ns(t), -upid);
	} else {
		w.type = WAIT_PGRP;
		mutex_lock(&t->kernel->tasks.lock);
		w.pid = t->tg->pgrp->pid;
		pid_get(w.pid);
		mutex_unlock(&t->kernel->tasks.lock);
	}
	w.options = options | WEXITED;
	long r = task_wait_children(t, &w);
	if (w.pid)
		pid_put(w.pid);
	if (r > 0 || w.found) {
		if (a->a[1] && put_user(w.r_wstatus, a->a[1]))
			return -EFAULT;
		if (a->a[3] && put_rusage(a->a[3], &w.r_usage))
			return -EFAULT;
	}
	return r;
}

static long do_waitid(struct task *t, const struct syscall_args *a, struct wait_request *w);
long sys_waitid(struct task *t, const struct syscall_args *a)
{
	struct wait_request w = { 0 };
	long r = do_waitid(t, a, &w);

	if (!r && w.found && a->a[4] && put_rusage(a->a[4], &w.r_usage))
		return -EFAULT;
	if (a->a[2]) { /* whatever came of it */
		siginfo_k info;
		memset(&info, 0, sizeof(info));
		if (!r && w.found) {
			info.si_signo = SIGCHLD;
			info.si_code = w.r_code;
			info.chld.pid = w.r_pid;
			info.chld.uid = w.r_uid;
			info.chld.status = w.r_status;
		}
		/* Linux writes these fields only. */
		if (copy_to_user(a->a[2], &info, 12) || copy_to_user(a->a[2] + 16, (char *)&info + 16, 12))
			return -EFAULT;
	}
	return r;
}

static long do_waitid(struct task *t, const struct syscall_args *a, struct wait_request *w)
{
	int which = (int)a->a[0], upid = (int)a->a[1];
	unsigned options = (unsigned)a->a[3];
	if (options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | KNOWN_WNOTHREAD | KNOWN_WCLONE | KNOWN_WALL))
		return -EINVAL;
	if (!(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	switch (which) {
	case P_ALL:
		w->type = WAIT_ANY;
		break;
	case P_PID:
		if (upid <= 0)
			return -EINVAL;
		w->type = WAIT_PID;
		w->pid = pidns_find(t->kernel, task_pid_ns(t), upid);
		break;
	case P_PGID:
		if (upid < 0)
			return -EINVAL;
		w->type = WAIT_PGRP;
		if (upid) {
			w->pid = pidns_find(t->kernel, task_pid_ns(t), upid);
		} else {
			mutex_lock(&t->kernel->tasks.lock);
			w->pid = t->tg->pgrp->pid;
			pid_get(w->pid);
			mutex_unlock(&t->kernel->tasks.lock);
		}
		break;
	case P_PIDFD_: {
		if (upid < 0)
			return -EINVAL;
		__free(file) struct file *f = fd_get(t->fdt, upid);
		struct pid *p = f ? pidfd_pid(f) : NULL;
		if (!p)
			return -EBADF;
		w->type = WAIT_PID;
		w->nonblock = f->flags & O_NONBLOCK;
		w->pid = p;
		pid_get(p);
		break;
	}
	default:
		return -EINVAL;
	}
	w->options = options;
	long r = task_wait_children(t, w);
	if (w->pid)
		pid_put(w->pid);
	return MIN(r, 0L);
}

long sys_getrusage(struct task *t, const struct syscall_args *a)
{
	struct task_usage u;
	switch ((int)a->a[0]) {
	case RUSAGE_SELF:
		group_usage(t->tg, &u);
		break;
	case RUSAGE_CHILDREN:
		mutex_lock(&t->kernel->tasks.lock);
		u = t->tg->children;
		mutex_unlock(&t->kernel->tasks.lock);
		break;
	case RUSAGE_THREAD:
		task_usage(t, &u);
		break;
	default:
		return -EINVAL;
	}
	if ((int)a->a[0] != RUSAGE_CHILDREN && t->mm)
		u.maxrss = MAX(u.maxrss, mm_peak_rss(t->mm) / 1024);
	return put_rusage(a->a[1], &u);
}
