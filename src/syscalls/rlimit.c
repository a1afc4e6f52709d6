/* SPDX-License-Identifier: Apache-2.0 */
/* rlimit.c: getrlimit(2), setrlimit(2), prlimit(2). */
#include "kernel/rlimit.h"
#include "syscalls/proto.h"
#include <linux/capability.h>

long sys_getrlimit(struct task *t, const struct syscall_args *a)
{
	struct rlimit64 l;
	long r = task_prlimit(t, t, (unsigned)a->a[0], NULL, &l);
	return r ? r : copy_to_user(a->a[1], &l, sizeof(l));
}

long sys_setrlimit(struct task *t, const struct syscall_args *a)
{
	struct rlimit64 l;
	if (copy_from_user(&l, a->a[1], sizeof(l)))
		return -EFAULT;
	return task_prlimit(t, t, (unsigned)a->a[0], &l, NULL);
}

/* prlimit(2): all the target's ids must be the caller's real ones, or CAP_SYS_RESOURCE. */
static bool may_prlimit(const struct cred *c, const struct cred *o)
{
	if (c->uid == o->euid && c->uid == o->suid && c->uid == o->uid && c->gid == o->egid && c->gid == o->sgid && c->gid == o->gid)
		return true;
	return ns_capable(c, o->user_ns, CAP_SYS_RESOURCE);
}

long sys_prlimit64(struct task *t, const struct syscall_args *a)
{
	struct rlimit64 new, old;
	int pid = (int)a->a[0];
	if (a->a[2] && copy_from_user(&new, a->a[2], sizeof(new)))
		return -EFAULT;
	struct task *o = t;
	if (pid && pid != task_tid(t, task_pid_ns(t))) {
		o = pidns_task_with_id(task_pid_ns(t), pid);
		if (!o)
			return -ESRCH;
		mutex_lock(&o->lock);
		bool ok = may_prlimit(t->cred, o->cred);
		mutex_unlock(&o->lock);
		if (!ok) {
			task_put(o);
			return -EPERM;
		}
	}
	long r = task_prlimit(t, o, (unsigned)a->a[1], a->a[2] ? &new : NULL, a->a[3] ? &old : NULL);
	if (o != t)
		task_put(o);
	if (!r && a->a[3])
		r = copy_to_user(a->a[3], &old, sizeof(old));
	return r;
}
