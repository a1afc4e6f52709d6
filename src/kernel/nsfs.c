/* SPDX-License-Identifier: Apache-2.0 */
/* nsfs.c: namespaces as files (namespaces(7), ioctl_ns(2), setns(2)).
 *
 * OVERVIEW: a link of /proc/PID/ns leads to an inode without a name that holds a namespace; two inodes of one namespace show the same number.
 * LIFECYCLE: the inode's reference keeps the namespace, as an open descriptor or a bind mount does on Linux. */
#include "kernel/nsfs.h"
#include "kernel/internal.h"
#include "kernel/ipc_ns.h"
#include "kernel/namespace.h"
#include "kernel/time_ns.h"
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <stdio.h>

#define NET_INO 0xeffffff9ULL /* the network namespace's */

static const struct inode_ops ns_inode_ops;
static const struct file_ops ns_file_ops;

static void ns_ref_get(const struct ns_ref *r)
{
	switch (r->type) {
	case CLONE_NEWNS: mount_ns_get(r->ns); break;
	case CLONE_NEWUTS: uts_ns_get(r->ns); break;
	case CLONE_NEWIPC: ipc_ns_get(r->ns); break;
	case CLONE_NEWPID: pidns_get(r->ns); break;
	case CLONE_NEWUSER: user_ns_get(r->ns); break;
	case CLONE_NEWTIME: time_ns_get(r->ns); break;
	case CLONE_NEWCGROUP: cgroup_ns_get(r->ns); break;
	}
}

void ns_ref_put(struct ns_ref *r)
{
	switch (r->type) {
	case CLONE_NEWNS: mount_ns_put(r->ns); break;
	case CLONE_NEWUTS: uts_ns_put(r->ns); break;
	case CLONE_NEWIPC: ipc_ns_put(r->ns); break;
	case CLONE_NEWPID: pidns_put(r->ns); break;
	case CLONE_NEWUSER: user_ns_put(r->ns); break;
	case CLONE_NEWTIME: time_ns_put(r->ns); break;
	case CLONE_NEWCGROUP: cgroup_ns_put(r->ns); break;
	}
	r->type = 0;
}

uint64_t ns_ref_ino(const struct ns_ref *r)
{
	switch (r->type) {
	case CLONE_NEWNS: return mount_ns_ino(r->ns);
	case CLONE_NEWUTS: return ((struct uts_namespace *)r->ns)->ns_ino;
	case CLONE_NEWIPC: return ((struct ipc_namespace *)r->ns)->ns_ino;
	case CLONE_NEWPID: return ((struct pid_namespace *)r->ns)->ns_ino;
	case CLONE_NEWUSER: return ((struct user_namespace *)r->ns)->ns_ino;
	case CLONE_NEWTIME: return ((struct time_namespace *)r->ns)->ns_ino;
	case CLONE_NEWCGROUP: return ((struct cgroup_namespace *)r->ns)->ns_ino;
	default: return NET_INO;
	}
}

const char *ns_ref_name(const struct ns_ref *r)
{
	switch (r->type) {
	case CLONE_NEWNS: return "mnt";
	case CLONE_NEWUTS: return "uts";
	case CLONE_NEWIPC: return "ipc";
	case CLONE_NEWPID: return "pid";
	case CLONE_NEWUSER: return "user";
	case CLONE_NEWTIME: return "time";
	case CLONE_NEWCGROUP: return "cgroup";
	default: return "net";
	}
}

/* Whose it is: borrowed. Mount and network namespaces have no owner of their own here. */
static struct user_namespace *owner_of(struct task *t, const struct ns_ref *r)
{
	switch (r->type) {
	case CLONE_NEWUTS: return ((struct uts_namespace *)r->ns)->user_ns;
	case CLONE_NEWIPC: return ((struct ipc_namespace *)r->ns)->user_ns;
	case CLONE_NEWPID: return ((struct pid_namespace *)r->ns)->user_ns;
	case CLONE_NEWUSER: return ((struct user_namespace *)r->ns)->parent;
	case CLONE_NEWTIME: return ((struct time_namespace *)r->ns)->user_ns;
	case CLONE_NEWCGROUP: return ((struct cgroup_namespace *)r->ns)->user_ns;
	default: return t->kernel->root_user_ns;
	}
}

int ns_of_task(struct task *t, enum ns_which which, struct ns_ref *out)
{
	static const unsigned types[] = {
		[NS_MNT] = CLONE_NEWNS, [NS_UTS] = CLONE_NEWUTS, [NS_IPC] = CLONE_NEWIPC, [NS_NET] = CLONE_NEWNET, [NS_PID] = CLONE_NEWPID,
		[NS_PID_FOR_CHILDREN] = CLONE_NEWPID, [NS_USER] = CLONE_NEWUSER, [NS_TIME] = CLONE_NEWTIME,
		[NS_TIME_FOR_CHILDREN] = CLONE_NEWTIME, [NS_CGROUP] = CLONE_NEWCGROUP,
	};
	bool dead;

	out->type = types[which];
	mutex_lock(&t->lock);
	dead = !t->mnt_ns && which != NS_PID && which != NS_USER; /* the others are let go of at exit, all at once */
	switch (which) {
	case NS_MNT: out->ns = t->mnt_ns; break;
	case NS_UTS: out->ns = t->uts; break;
	case NS_IPC: out->ns = t->ipc_ns; break;
	case NS_NET: out->ns = NULL; break;
	case NS_PID: out->ns = t->pid ? task_pid_ns(t) : NULL; break;
	case NS_PID_FOR_CHILDREN:
		out->ns = t->pid_ns_for_children;
		if (out->ns && !pidns_has_begun(out->ns)) { /* nobody to be found there yet */
			mutex_unlock(&t->lock);
			return -ENOENT;
		}
		break;
	case NS_USER: out->ns = t->cred->user_ns; break;
	case NS_TIME: out->ns = t->time_ns; break;
	case NS_TIME_FOR_CHILDREN: out->ns = t->time_ns_for_children; break;
	case NS_CGROUP: out->ns = t->cgroup_ns; break;
	}
	if (which == NS_PID || which == NS_USER) /* of a zombie too */
		dead = false;
	dead |= !out->ns && which != NS_NET;
	if (!dead)
		ns_ref_get(out);
	mutex_unlock(&t->lock);
	return dead ? -ESRCH : 0;
}

/* ---- the file ---- */

int ns_path(struct ns_ref *r, struct path *out)
{
	char name[48];
	struct file *f;
	int ret;

	snprintf(name, sizeof(name), "%s:[%llu]", ns_ref_name(r), (unsigned long long)ns_ref_ino(r));
	struct mount *m = current->kernel->nsfs;
	struct inode *i = inode_new(nameless_super(m), S_IFREG | 0444, &ns_inode_ops);
	struct ns_ref *own = new(struct ns_ref);
	*own = *r;
	i->private = own;
	i->ino = ns_ref_ino(r);
	i->uid = 0;
	i->gid = 0;
	ret = nameless_file(m, name, i, &ns_file_ops, NULL, O_RDONLY, &f);
	if (ret)
		return ret;
	*out = f->path;
	path_get(out);
	file_put(f);
	return 0;
}

const struct ns_ref *file_ns(struct file *f) { return f->inode->ops == &ns_inode_ops ? f->inode->private : NULL; }

static int ns_open(struct inode *i, struct file *f)
{
	(void)i;
	f->ops = &ns_file_ops;
	return 0;
}

static void ns_evict(struct inode *i)
{
	ns_ref_put(i->private);
	free(i->private);
}

static int ns_setattr(struct inode *i, const struct iattr *a)
{
	(void)i, (void)a;
	return -EPERM;
}

long ns_open_fd(struct ns_ref *r)
{
	struct path p;
	struct file *f;
	long ret = ns_path(r, &p);

	if (ret)
		return ret;
	ret = vfs_open_path(&p, O_RDONLY, &f);
	path_put(&p);
	if (ret)
		return ret;
	ret = fd_install(current->fdt, f, true);
	file_put(f);
	return ret;
}

static bool user_ns_visible(struct user_namespace *u)
{
	struct user_namespace *mine = current->cred->user_ns;

	for (; u; u = u->parent)
		if (u == mine)
			return true;
	return false;
}

static long get_user_ns(struct user_namespace *u)
{
	if (!u || !user_ns_visible(u))
		return -EPERM;
	user_ns_get(u);
	return ns_open_fd(&(struct ns_ref){ CLONE_NEWUSER, u });
}

static long get_parent(const struct ns_ref *r)
{
	if (r->type == CLONE_NEWUSER)
		return get_user_ns(((struct user_namespace *)r->ns)->parent);
	if (r->type != CLONE_NEWPID)
		return -EINVAL;
	struct pid_namespace *p = ((struct pid_namespace *)r->ns)->parent;
	if (!p || !pidns_is_ancestor(task_pid_ns(current), p))
		return -EPERM;
	pidns_get(p);
	return ns_open_fd(&(struct ns_ref){ CLONE_NEWPID, p });
}

/* Numbers of a process there and here (ioctl_nsfs(2)). */
#define NS_PID_FROM _IOR(0xb7, 6, int)
#define NS_TGID_FROM _IOR(0xb7, 7, int)
#define NS_PID_IN _IOR(0xb7, 8, int)
#define NS_TGID_IN _IOR(0xb7, 9, int)
static long translate(const struct ns_ref *r, unsigned cmd, int nr)
{
	struct pid_namespace *here = task_pid_ns(current), *there = r->ns;
	bool in = cmd == NS_PID_IN || cmd == NS_TGID_IN;

	if (r->type != CLONE_NEWPID)
		return -EINVAL;
	guard(mutex)(&here->kernel->tasks.lock);
	struct pid *p = pidns_find_locked(in ? here : there, nr);
	if (!p || !p->task)
		return -ESRCH;
	nr = pid_nr(cmd == NS_PID_FROM || cmd == NS_PID_IN ? p : p->task->tg->pid, in ? there : here);
	return nr ? nr : -ESRCH;
}

static long ns_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	const struct ns_ref *r = file_ns(f);
	struct user_namespace *u;
	uint32_t uid;

	switch (cmd) {
	case NS_GET_USERNS: return get_user_ns(owner_of(current, r));
	case NS_GET_PARENT: return get_parent(r);
	case NS_GET_NSTYPE: return r->type;
	case NS_GET_OWNER_UID:
		if (r->type != CLONE_NEWUSER)
			return -EINVAL;
		u = r->ns;
		uid = from_kuid(current->cred->user_ns, u->owner);
		return put_user(uid, arg);
	case _IOR(0xb7, 5, uint64_t): { /* NS_GET_MNTNS_ID */
		uint64_t id = ns_ref_ino(r);
		return r->type == CLONE_NEWNS ? put_user(id, arg) : -EINVAL;
	}
	case NS_PID_FROM:
	case NS_TGID_FROM:
	case NS_PID_IN:
	case NS_TGID_IN: return translate(r, cmd, (int)arg);
	default: return -ENOTTY;
	}
}

static const struct file_ops ns_file_ops = { .ioctl = ns_ioctl };
static const struct inode_ops ns_inode_ops = { .open = ns_open, .evict = ns_evict, .setattr = ns_setattr };

/* ---- setns ---- */

/* Others may run in this process, or in its memory. */
static bool alone(struct task *t)
{
	guard(mutex)(&t->kernel->tasks.lock);
	return t->tg->ntasks == 1 && refcount_read(&t->tg->sighand->ref) == 1;
}

static long user_ns_cred(struct task *t, struct user_namespace *u, struct cred **out)
{
	struct cred *c;

	if (u == t->cred->user_ns || !alone(t) || refcount_read(&t->fs->ref) > 1)
		return -EINVAL;
	if (!ns_capable(t->cred, u, CAP_SYS_ADMIN))
		return -EPERM;
	c = cred_dup(t->cred);
	user_ns_get(u);
	user_ns_put(c->user_ns);
	c->user_ns = u;
	c->securebits = 0;
	c->inheritable = c->ambient = 0;
	c->permitted = c->effective = c->bounding = CAP_FULL_SET;
	*out = c;
	return 0;
}

/* Where several are entered at once, `into` is the user namespace that t will then be in. */
static long check_entry(struct task *t, const struct ns_ref *r, struct user_namespace *into)
{
	if (r->type == CLONE_NEWTIME && !alone(t))
		return -EUSERS;
	if (!ns_capable(t->cred, owner_of(t, r), CAP_SYS_ADMIN) || !ns_capable(t->cred, into, CAP_SYS_ADMIN))
		return -EPERM;
	if (r->type == CLONE_NEWNS) {
		if (!ns_capable(t->cred, into, CAP_SYS_CHROOT))
			return -EPERM;
		return refcount_read(&t->fs->ref) > 1 ? -EINVAL : 0;
	}
	/* Only downwards: a process may not leave the namespace whose number it has. */
	if (r->type == CLONE_NEWPID && !pidns_is_ancestor(task_pid_ns(t), r->ns))
		return -EINVAL;
	return 0;
}

static void enter_mount_root(struct task *t, struct mount_namespace *ns)
{
	struct path root, cwd, was_root, was_cwd;

	mount_ns_root(ns, &root);
	cwd = root;
	path_get(&cwd);
	mutex_lock(&t->fs->lock);
	was_root = t->fs->root;
	was_cwd = t->fs->cwd;
	t->fs->root = root;
	t->fs->cwd = cwd;
	mutex_unlock(&t->fs->lock);
	path_put(&was_root);
	path_put(&was_cwd);
}

/* Exchange the one pointer: the old namespace is put without locks. */
static void exchange(struct task *t, void **where, const struct ns_ref *r)
{
	struct ns_ref old = { .type = r->type };

	ns_ref_get(r);
	mutex_lock(&t->lock);
	old.ns = *where;
	*where = r->ns;
	mutex_unlock(&t->lock);
	ns_ref_put(&old);
}

static void enter(struct task *t, const struct ns_ref *r)
{
	switch (r->type) {
	case CLONE_NEWNS:
		exchange(t, (void **)&t->mnt_ns, r);
		enter_mount_root(t, r->ns);
		break;
	case CLONE_NEWUTS: exchange(t, (void **)&t->uts, r); break;
	case CLONE_NEWIPC:
		task_exit_sem(t);
		exchange(t, &t->ipc_ns, r);
		break;
	case CLONE_NEWPID: exchange(t, (void **)&t->pid_ns_for_children, r); break;
	case CLONE_NEWCGROUP: exchange(t, (void **)&t->cgroup_ns, r); break;
	case CLONE_NEWTIME:
		exchange(t, (void **)&t->time_ns_for_children, r);
		time_ns_enter_children(t);
		time_ns_set_vdso(t);
		break;
	default: break; /* the only network namespace */
	}
}

/* All or nothing; a user namespace comes first. */
static long enter_all(struct task *t, const struct ns_ref *refs, unsigned n)
{
	struct cred *c = NULL;
	long r = 0;

	for (unsigned i = 0; i < n && !r; i++)
		r = refs[i].type == CLONE_NEWUSER ? user_ns_cred(t, refs[i].ns, &c) : check_entry(t, &refs[i], c ? c->user_ns : t->cred->user_ns);
	if (r) {
		cred_put(c);
		return r;
	}
	if (c)
		task_set_cred(t, c);
	for (unsigned i = 0; i < n; i++)
		enter(t, &refs[i]);
	return 0;
}

long task_setns_ref(struct task *t, const struct ns_ref *r, unsigned type)
{
	return type && type != r->type ? -EINVAL : enter_all(t, r, 1);
}

long task_setns(struct task *t, struct task *o, uint64_t flags)
{
	static const struct { unsigned flag; enum ns_which which; } all[] = {
		{ CLONE_NEWUSER, NS_USER }, { CLONE_NEWNS, NS_MNT }, { CLONE_NEWUTS, NS_UTS }, { CLONE_NEWIPC, NS_IPC }, { CLONE_NEWPID, NS_PID },
		{ CLONE_NEWCGROUP, NS_CGROUP }, { CLONE_NEWNET, NS_NET }, { CLONE_NEWTIME, NS_TIME },
	};
	struct ns_ref refs[ARRAY_SIZE(all)];
	uint64_t known = 0;
	unsigned n = 0;
	long r = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
		known |= all[i].flag;
	if (!flags || (flags & ~known))
		return -EINVAL;
	if (!task_may_access(t, o))
		return -EPERM;
	for (unsigned i = 0; i < ARRAY_SIZE(all) && !r; i++) {
		if (!(flags & all[i].flag))
			continue;
		r = ns_of_task(o, all[i].which, &refs[n]);
		n += !r;
	}
	if (!r)
		r = enter_all(t, refs, n);
	while (n)
		ns_ref_put(&refs[--n]);
	return r;
}
