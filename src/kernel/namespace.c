/* SPDX-License-Identifier: Apache-2.0 */
/* namespace.c: the namespaces of a task through clone and unshare. Network namespaces made by guests do not exist here: EINVAL, as a
 * Linux kernel built without them says. */
#include "kernel/namespace.h"
#include "kernel/internal.h"
#include "kernel/ipc_ns.h"
#include "kernel/time_ns.h"
#include <linux/capability.h>
#include <linux/sched.h>

#define NS_HERE (CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWCGROUP | CLONE_NEWTIME)
#define NS_ALL (NS_HERE | CLONE_NEWNET)

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
		if (t->pid_ns_for_children != task_pid_ns(t))
			return -EINVAL;
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
	if (flags & CLONE_NEWCGROUP) {
		c->cgroup_ns = cgroup_ns_create(t->kernel, owner);
	} else {
		cgroup_ns_get(t->cgroup_ns);
		c->cgroup_ns = t->cgroup_ns;
	}
	time_ns_get(t->time_ns);
	c->time_ns = t->time_ns;
	if (flags & CLONE_NEWTIME) {
		c->time_ns_for_children = time_ns_create(t->kernel, t->time_ns_for_children, owner);
	} else {
		time_ns_get(t->time_ns_for_children);
		c->time_ns_for_children = t->time_ns_for_children;
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
	time_ns_put(t->time_ns);
	time_ns_put(t->time_ns_for_children);
	cgroup_ns_put(t->cgroup_ns);
	t->time_ns = t->time_ns_for_children = NULL;
	t->cgroup_ns = NULL;
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
	old->time_ns = t->time_ns;
	old->time_ns_for_children = t->time_ns_for_children;
	old->cgroup_ns = t->cgroup_ns;
	t->mnt_ns = from->mnt_ns;
	t->uts = from->uts;
	t->ipc_ns = from->ipc_ns;
	t->pid_ns_for_children = from->pid_ns_for_children;
	t->time_ns = from->time_ns;
	t->time_ns_for_children = from->time_ns_for_children;
	t->cgroup_ns = from->cgroup_ns;
}
