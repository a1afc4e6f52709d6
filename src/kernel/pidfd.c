/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd.c: the file behind a pidfd: a counted struct pid, so a reused number never reaches the wrong process. */
#include "kernel/pidfd.h"
#include "kernel/internal.h"
#include "mm/uaccess.h"
#include <sys/ioctl.h>

struct pid *(*pidfd_proc_hook)(struct file *f);

static bool exited(struct pid *p, bool thread)
{
	guard(mutex)(&pid_ns_of(p)->kernel->tasks.lock);
	struct task *t = p->task;
	if (!t)
		return true;
	/* A process's descriptor is readable when all its threads are gone; PIDFD_THREAD's when the thread is. */
	if (t->exit_state < TASK_EXIT_ZOMBIE)
		return false;
	return thread || t->tg->ntasks == 1;
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
	if (!exited(p, f->flags & PIDFD_THREAD_FLAG))
		return 0;
	guard(mutex)(&pid_ns_of(p)->kernel->tasks.lock);
	return EPOLLIN | EPOLLRDNORM | (p->task ? 0 : EPOLLHUP);
}

static void pidfd_release(struct file *f) { pid_put(f->private); }

static void pidfd_fdinfo(struct file *f, char *buf, size_t size)
{
	struct pid *p = f->private;
	struct pid_namespace *ns = task_pid_ns(current);
	int nr = exited(p, true) && !p->task ? -1 : pid_nr(p, ns);
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
enum { INFO_PID = 1, INFO_CREDS = 2, INFO_CGROUPID = 4, INFO_EXIT = 8 };
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

static long get_info(struct pid *p, unsigned cmd, uint64_t arg)
{
	size_t size = _IOC_SIZE(cmd);
	uint64_t mask;
	struct pidfd_info_k i = { 0 };
	if (!arg || size < INFO_SIZE_MIN)
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
	if (p->task)
		fill_info_locked(&i, p->task);
	mutex_unlock(&pid_ns_of(p)->kernel->tasks.lock);
	if (!i.mask)
		return -ESRCH;
	size_t n = MIN(size, sizeof(i));
	if (copy_to_user(arg, &i, n) || (size > n && clear_user(arg + n, size - n)))
		return -EFAULT;
	return 0;
}

/* Descriptors of namespaces (PIDFD_GET_*_NAMESPACE) do not exist here. */
static long pidfd_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct pid *p = f->private;
	if (_IOC_TYPE(cmd) != PIDFS_MAGIC)
		return -ENOIOCTLCMD;
	if (_IOC_NR(cmd) == PIDFS_GET_INFO && _IOC_DIR(cmd) == (_IOC_READ | _IOC_WRITE))
		return get_info(p, cmd, arg);
	return -ENOIOCTLCMD;
}

static const struct file_ops pidfd_ops = {
	.ioctl = pidfd_ioctl,
	.poll = pidfd_poll,
	.release = pidfd_release,
	.show_fdinfo = pidfd_fdinfo,
	.llseek = noop_llseek,
	.stream = true,
};

int pidfd_file(struct pid *p, unsigned flags, struct file **out)
{
	pid_get(p);
	int r = anon_file("anon_inode:[pidfd]", S_IFREG | 0600, &pidfd_ops, p, O_RDWR | (flags & (O_NONBLOCK | PIDFD_THREAD_FLAG)), out);
	if (r)
		pid_put(p);
	return r;
}

struct pid *pidfd_pid(struct file *f) { return f->ops == &pidfd_ops ? f->private : NULL; }
