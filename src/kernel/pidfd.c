/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd.c: the file behind a pidfd: a counted struct pid, so a reused number never reaches the wrong process. */
#include "kernel/pidfd.h"
#include "kernel/internal.h"
#include "kernel/nsfs.h"
#include "mm/uaccess.h"
#include <sys/ioctl.h>

struct pid *(*pidfd_proc_hook)(struct file *f);

static bool exited(struct pid *p)
{
	guard(mutex)(&pid_ns_of(p)->kernel->tasks.lock);
	struct task *t = p->task;
	if (!t)
		return true;
	/* A leader is told of when all its threads are gone, with PIDFD_THREAD too: one of them may take its number by an exec. */
	return t->exit_state >= TASK_EXIT_ZOMBIE && (t != t->tg->leader || t->tg->ntasks == 1);
}

static struct wait_queue *exit_queue(struct pid *p)
{
	guard(mutex)(&pid_ns_of(p)->kernel->tasks.lock);
	if (!p->exit_wait) {
		p->exit_wait = new(struct wait_queue);
		wait_queue_init(p->exit_wait);
	}
	return p->exit_wait;
}

static unsigned pidfd_poll(struct file *f, struct poll_table *pt)
{
	struct pid *p = f->private;
	poll_wait(f, exit_queue(p), pt);
	if (!exited(p))
		return 0;
	guard(mutex)(&pid_ns_of(p)->kernel->tasks.lock);
	return EPOLLIN | EPOLLRDNORM | (p->task ? 0 : EPOLLHUP);
}

void pidfd_show(struct pid *p, struct pid_namespace *ns, char *buf, size_t size)
{
	int nr = exited(p) && !p->task ? -1 : pid_nr(p, ns);
	struct strbuf b = { 0 };
	strbuf_printf(&b, "Pid:\t%d\nNSpid:\t%d", nr, nr);
	if (nr > 0)
		for (int l = ns->level + 1; l <= p->level; l++)
			strbuf_printf(&b, "\t%d", p->numbers[l].nr);
	strbuf_printf(&b, "\n");
	if (size) {
		size_t n = MIN(b.len, size - 1);
		memcpy(buf, b.s, n);
		buf[n] = 0;
	}
	strbuf_free(&b);
}

/* ---- ioctl(2): what is known about the process (Linux fs/pidfs.c) ---- */

struct pidfd_info_k {
	uint64_t mask, cgroupid;
	uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
	int32_t exit_code;
	uint32_t coredump_mask, spare;
};
_Static_assert(sizeof(struct pidfd_info_k) == 72, "struct pidfd_info");
enum { INFO_PID = 1, INFO_CREDS = 2, INFO_CGROUPID = 4, INFO_EXIT = 8, INFO_COREDUMP = 16 };
enum { COREDUMPED = 1, COREDUMP_SKIP = 2, COREDUMP_USER = 4 };
#define CGROUP_ID 1 /* there is one */
#define INFO_SIZE_MIN 64
#define PIDFS_MAGIC 0xff
#define PIDFS_GET_INFO 11

static void fill_info_locked(struct pidfd_info_k *i, struct task *t)
{
	struct pid_namespace *ns = task_pid_ns(current);
	struct user_namespace *uns = current->cred->user_ns;
	i->pid = (uint32_t)pid_nr(t->pid, ns);
	i->tgid = (uint32_t)pid_nr(t->tg->pid, ns);
	i->ppid = t->tg->leader->parent ? (uint32_t)pid_nr(t->tg->leader->parent->tg->pid, ns) : 0;
	mutex_lock(&t->lock);
	const struct cred *c = t->cred;
	i->ruid = from_kuid(uns, c->uid);
	i->rgid = from_kgid(uns, c->gid);
	i->euid = from_kuid(uns, c->euid);
	i->egid = from_kgid(uns, c->egid);
	i->suid = from_kuid(uns, c->suid);
	i->sgid = from_kgid(uns, c->sgid);
	i->fsuid = from_kuid(uns, c->fsuid);
	i->fsgid = from_kgid(uns, c->fsgid);
	mutex_unlock(&t->lock);
	i->mask |= INFO_PID | INFO_CREDS;
}

static void fill_coredump_locked(struct pidfd_info_k *i, struct task *t)
{
	guard(mutex)(&t->lock);
	if (t->tg->exiting && W_SIGNALED(t->tg->exit_status) && (t->tg->exit_status & 0x80))
		i->coredump_mask = COREDUMPED | COREDUMP_USER;
	else if (t->mm)
		i->coredump_mask = mm_layout(t->mm)->dumpable ? COREDUMP_USER : COREDUMP_SKIP;
}

static long get_info(struct pid *p, unsigned cmd, uint64_t arg)
{
	size_t size = _IOC_SIZE(cmd);
	uint64_t mask;
	struct pidfd_info_k i = { 0 };
	if (size < INFO_SIZE_MIN)
		return -ENOTTY;
	if (!arg)
		return -EINVAL;
	if (get_user(mask, arg))
		return -EFAULT;
	if (!pid_nr(p, task_pid_ns(current)))
		return -ESRCH;
	mutex_lock(&pid_ns_of(p)->kernel->tasks.lock);
	if ((mask & INFO_EXIT) && p->reaped) {
		i.mask |= INFO_EXIT;
		i.exit_code = p->exit_status;
	}
	if (p->task) {
		fill_info_locked(&i, p->task);
		if (mask & INFO_COREDUMP)
			fill_coredump_locked(&i, p->task);
	} else if (p->reaped && W_SIGNALED(p->exit_status) && (p->exit_status & 0x80) && (mask & INFO_COREDUMP)) {
		i.coredump_mask = COREDUMPED | COREDUMP_USER;
	}
	mutex_unlock(&pid_ns_of(p)->kernel->tasks.lock);
	if (!i.mask)
		return -ESRCH;
	i.mask |= INFO_CGROUPID | (mask & INFO_COREDUMP);
	i.cgroupid = CGROUP_ID;
	size_t n = MIN(size, sizeof(i));
	if (copy_to_user(arg, &i, n) || (size > n && clear_user(arg + n, size - n)))
		return -EFAULT;
	return 0;
}

/* A descriptor of one of its namespaces. */
static long get_namespace(struct pid *p, unsigned nr, uint64_t arg)
{
	static const enum ns_which which[] = {
		[1] = NS_CGROUP, [2] = NS_IPC, [3] = NS_MNT, [4] = NS_NET, [5] = NS_PID, [6] = NS_PID_FOR_CHILDREN, [7] = NS_TIME,
		[8] = NS_TIME_FOR_CHILDREN, [9] = NS_USER, [10] = NS_UTS,
	};
	struct ns_ref r;
	long ret;

	mutex_lock(&pid_ns_of(p)->kernel->tasks.lock);
	struct task *t = p->task;
	if (t)
		task_get(t);
	mutex_unlock(&pid_ns_of(p)->kernel->tasks.lock);
	if (!t)
		return -ESRCH;
	ret = arg ? -EINVAL : !task_may_access(current, t) ? -EACCES : ns_of_task(t, which[nr], &r);
	task_put(t);
	return ret ? ret : ns_open_fd(&r);
}

static long pidfd_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pid *p = f->private;
	uint32_t generation = (uint32_t)(p->unique >> 32);

	if (cmd == _IOR('v', 1, long)) /* FS_IOC_GETVERSION */
		return arg ? put_user(generation, arg) : -EINVAL;
	if (_IOC_TYPE(cmd) != PIDFS_MAGIC)
		return -ENOIOCTLCMD;
	if (_IOC_NR(cmd) == PIDFS_GET_INFO && _IOC_DIR(cmd) == (_IOC_READ | _IOC_WRITE))
		return get_info(p, cmd, arg);
	if (_IOC_NR(cmd) >= 1 && _IOC_NR(cmd) <= 10 && cmd == _IO(PIDFS_MAGIC, _IOC_NR(cmd)))
		return get_namespace(p, _IOC_NR(cmd), arg);
	return -ENOIOCTLCMD;
}

static const struct file_ops pidfd_ops = {
	.ioctl = pidfd_ioctl,
	.poll = pidfd_poll,
	.stream = true,
};

/* ---- the inode: all descriptors of a process show the same number ---- */

static int pidfs_open(struct inode *i, struct file *f)
{
	f->ops = &pidfd_ops;
	f->private = i->private; /* held by the inode, as long as the file holds that */
	return 0;
}

static int pidfs_setattr(struct inode *i, const struct iattr *a)
{
	(void)i, (void)a;
	return -EOPNOTSUPP;
}

static void pidfs_evict(struct inode *i) { pid_put(i->private); }

static const struct inode_ops pidfs_inode_ops = { .open = pidfs_open, .setattr = pidfs_setattr, .evict = pidfs_evict };

int pidfd_file(struct pid *p, unsigned flags, struct file **out)
{
	struct mount *m = pid_ns_of(p)->kernel->pidfs;
	struct inode *i = inode_new(nameless_super(m), 0700, &pidfs_inode_ops);

	pid_get(p);
	i->private = p;
	i->ino = p->unique;
	i->uid = 0;
	i->gid = 0;
	int r = nameless_file(m, "anon_inode:[pidfd]", i, &pidfd_ops, p, O_RDWR | (flags & O_NONBLOCK), out);
	if (!r)
		(*out)->flags |= flags & PIDFD_THREAD_FLAG;
	return r;
}

struct pid *pidfd_pid(struct file *f) { return f->ops == &pidfd_ops ? f->private : NULL; }

/* ---- file handles: the inode's number ---- */

bool pidfd_handle(const struct path *p, uint64_t *handle)
{
	struct inode *i = path_inode(p);

	if (i->ops != &pidfs_inode_ops)
		return false;
	*handle = i->ino;
	return true;
}

int pidfd_by_handle(struct task *t, uint64_t handle, unsigned flags, struct file **out)
{
	struct pid_namespace *root = t->kernel->tasks.root;
	struct pid *p = NULL;

	mutex_lock(&t->kernel->tasks.lock);
	for (int nr = 1; nr < root->map_size && !p; nr++)
		if (root->map[nr] && root->map[nr]->unique == handle && root->map[nr]->task && pid_nr(root->map[nr], task_pid_ns(t)))
			p = root->map[nr];
	if (p)
		pid_get(p);
	mutex_unlock(&t->kernel->tasks.lock);
	if (!p)
		return -ESTALE;
	int r = pidfd_file(p, flags, out);
	pid_put(p);
	return r;
}
