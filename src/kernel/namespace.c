/* SPDX-License-Identifier: Apache-2.0 */
/* namespace.c: UTS, IPC, mount and PID namespaces through clone, unshare and setns. What does not exist here (network, cgroup and
 * time namespaces made by guests) answers EINVAL, as a Linux kernel built without it does. */
#include "kernel/namespace.h"
#include "kernel/internal.h"
#include "kernel/ipc_ns.h"
#include <linux/capability.h>
#include <linux/sched.h>

#define NS_HERE (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUSER)
#define NS_ALL (NS_HERE | CLONE_NEWNET | CLONE_NEWUSER | CLONE_NEWCGROUP | CLONE_NEWTIME)

void uts_ns_get(struct uts_namespace *u) { refcount_get(&u->ref); }

void uts_ns_put(struct uts_namespace *u)
{
	if (!u || !refcount_put(&u->ref))
		return;
	user_ns_put(u->user_ns);
	free(u);
}

struct uts_namespace *uts_ns_create(struct kernel *k, const struct uts_namespace *from, struct user_namespace *user_ns)
{
	struct uts_namespace *u = new(struct uts_namespace);
	refcount_init(&u->ref);
	mutex_init(&u->lock, RANK_LEAF);
	if (from) {
		memcpy(u->nodename, from->nodename, sizeof(u->nodename));
		memcpy(u->domainname, from->domainname, sizeof(u->domainname));
	}
	user_ns_get(user_ns);
	u->user_ns = user_ns;
	u->ns_ino = kernel_new_ns_ino(k);
	return u;
}

int namespaces_check(struct task *t, uint64_t flags)
{
	if (!(flags & NS_ALL))
		return 0;
	/* With a user namespace the others are made in it, and by its almighty root. */
	if (!(flags & CLONE_NEWUSER) && !ns_capable(t->cred, t->cred->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if (flags & NS_ALL & ~NS_HERE)
		return -EINVAL;
	return 0;
}

int namespaces_copy(struct task *c, struct task *t, uint64_t flags)
{
	struct user_namespace *owner = c->cred ? c->cred->user_ns : t->cred->user_ns;

	if (flags & CLONE_NEWPID) {
		c->pid_ns_for_children = pidns_create(t->kernel, t->pid_ns_for_children, owner);
		if (!c->pid_ns_for_children)
			return -ENOSPC;
	} else {
		pidns_get(t->pid_ns_for_children);
		c->pid_ns_for_children = t->pid_ns_for_children;
	}
	if (flags & CLONE_NEWUTS) {
		mutex_lock(&t->uts->lock);
		struct uts_namespace from = *t->uts;
		mutex_unlock(&t->uts->lock);
		c->uts = uts_ns_create(t->kernel, &from, owner);
	} else {
		uts_ns_get(t->uts);
		c->uts = t->uts;
	}
	if (flags & CLONE_NEWIPC) {
		c->ipc_ns = ipc_ns_new(t->kernel, owner);
	} else {
		ipc_ns_get(t->ipc_ns);
		c->ipc_ns = t->ipc_ns;
	}
	if (!(flags & CLONE_NEWNS)) {
		mount_ns_get(t->mnt_ns);
		c->mnt_ns = t->mnt_ns;
	}
	return 0;
}

int namespaces_copy_mnt(struct task *c, struct task *t)
{
	c->mnt_ns = mount_ns_dup(t->mnt_ns, c->fs);
	return c->mnt_ns ? 0 : -ENOMEM;
}

void namespaces_put(struct task *t)
{
	if (t->mnt_ns)
		mount_ns_put(t->mnt_ns);
	if (t->uts)
		uts_ns_put(t->uts);
	if (t->ipc_ns)
		ipc_ns_put(t->ipc_ns);
	if (t->pid_ns_for_children)
		pidns_put(t->pid_ns_for_children);
	t->mnt_ns = NULL;
	t->uts = NULL;
	t->ipc_ns = NULL;
	t->pid_ns_for_children = NULL;
}

void namespaces_swap(struct task *t, struct task *from, struct task *old)
{
	old->mnt_ns = t->mnt_ns;
	old->uts = t->uts;
	old->ipc_ns = t->ipc_ns;
	old->pid_ns_for_children = t->pid_ns_for_children;
	t->mnt_ns = from->mnt_ns;
	t->uts = from->uts;
	t->ipc_ns = from->ipc_ns;
	t->pid_ns_for_children = from->pid_ns_for_children;
}

/* ---- setns(2) by a pidfd ---- */

static long setns_check_pid(struct task *t, struct pid_namespace *ns)
{
	/* Only downwards: a process may not leave the namespace whose number it has. */
	return pidns_is_ancestor(task_pid_ns(t), ns) ? 0 : -EINVAL;
}

long task_setns(struct task *t, struct task *o, uint64_t flags)
{
	if (!flags || (flags & ~(uint64_t)NS_ALL))
		return -EINVAL;
	if (flags & ~(uint64_t)NS_HERE || flags & CLONE_NEWUSER) /* a user namespace: by its own file */
		return -EINVAL;
	if (!task_may_access(t, o))
		return -EPERM;
	if (!ns_capable(t->cred, t->cred->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	if ((flags & CLONE_NEWNS) && refcount_read(&t->fs->ref) > 1)
		return -EINVAL;
	struct task copy = { .kernel = t->kernel }, old = { .kernel = t->kernel };
	mutex_lock(&o->lock);
	bool gone = !o->mnt_ns || !o->uts;
	if (!gone) {
		copy.mnt_ns = flags & CLONE_NEWNS ? o->mnt_ns : t->mnt_ns;
		copy.uts = flags & CLONE_NEWUTS ? o->uts : t->uts;
		copy.ipc_ns = flags & CLONE_NEWIPC ? o->ipc_ns : t->ipc_ns;
		mount_ns_get(copy.mnt_ns);
		uts_ns_get(copy.uts);
		ipc_ns_get(copy.ipc_ns);
	}
	mutex_unlock(&o->lock);
	if (gone)
		return -ESRCH;
	mutex_lock(&t->kernel->tasks.lock);
	copy.pid_ns_for_children = flags & CLONE_NEWPID ? task_pid_ns(o) : t->pid_ns_for_children;
	pidns_get(copy.pid_ns_for_children);
	mutex_unlock(&t->kernel->tasks.lock);
	long r = flags & CLONE_NEWPID ? setns_check_pid(t, copy.pid_ns_for_children) : 0;
	if (r) {
		namespaces_put(&copy);
		return r;
	}
	if (flags & CLONE_NEWNS)
		fs_context_enter(t->fs, copy.mnt_ns);
	if (flags & CLONE_NEWIPC)
		task_exit_sem(t);
	mutex_lock(&t->lock);
	namespaces_swap(t, &copy, &old);
	mutex_unlock(&t->lock);
	namespaces_put(&old);
	return 0;
}
