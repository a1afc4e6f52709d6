/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd.c: the file behind a pidfd: a counted struct pid, so a reused number never reaches the wrong process. */
#include "kernel/pidfd.h"
#include "kernel/internal.h"

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

static const struct file_ops pidfd_ops = {
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
