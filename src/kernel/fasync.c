/* SPDX-License-Identifier: Apache-2.0 */
/* fasync.c: signal-driven I/O (fcntl(2): F_SETOWN, F_SETSIG, O_ASYNC). */
#include "kernel/fasync.h"
#include <fcntl.h>
#include <poll.h>

struct fasync { int fd; };

void fasync_set(struct file *f, bool on)
{
	struct fd_table *fdt = fiber_self() ? fiber_context()->fdt : NULL;
	int nr = -1;

	if (!on)
		return; /* O_ASYNC decides; the memory goes with the file */
	for (int fd = fdt ? fd_next(fdt, 0) : -1; fd >= 0 && nr < 0; fd = fd_next(fdt, fd + 1)) {
		struct file *g = fd_get_raw(fdt, fd);
		if (g == f)
			nr = fd;
		if (g)
			file_put(g);
	}
	guard(mutex)(&f->owner_lock);
	if (!f->fasync)
		f->fasync = new(struct fasync);
	f->fasync->fd = nr;
}

static void fasync_release(struct file *f)
{
	free(f->fasync);
	f->fasync = NULL;
}

/* kill(2)'s rule with the ids that the owner was set with. */
static bool may_signal(struct task *t, kuid_t uid, kuid_t euid)
{
	guard(mutex)(&t->lock);
	const struct cred *c = t->cred;

	return euid == 0 || !c || euid == c->suid || euid == c->uid || uid == c->suid || uid == c->uid;
}

static long band_of(int code)
{
	switch (code) {
	case POLL_IN: return POLLIN | POLLRDNORM;
	case POLL_OUT: return POLLOUT | POLLWRNORM | POLLWRBAND;
	case POLL_MSG: return POLLIN | POLLRDNORM | POLLMSG;
	case POLL_ERR: return POLLERR;
	case POLL_PRI: return POLLPRI | POLLRDBAND;
	case POLL_HUP: return POLLHUP | POLLERR;
	}
	return 0;
}

/* fd: si_fd; -2: as O_ASYNC was switched on with. */
void send_sigio(struct file *f, int fd, int code)
{
	siginfo_k info = { 0 };
	struct pid *pid;
	kuid_t uid, euid;
	int type, sig;

	{
		guard(mutex)(&f->owner_lock);
		pid = f->owner_pid;
		if (!pid)
			return;
		pid_get(pid);
		type = f->owner_type;
		sig = f->owner_sig;
		uid = f->owner_uid;
		euid = f->owner_euid;
		if (fd == -2)
			fd = f->fasync ? f->fasync->fd : -1;
	}
	info.si_signo = sig ? sig : SIGIO;
	if (sig) {
		info.si_code = code;
		info.poll.band = band_of(code);
		info.poll.fd = fd;
	} else {
		info.si_code = SI_KERNEL;
	}
	struct kernel *k = pid->numbers[0].ns->kernel;
	if (type == F_OWNER_PGRP) {
		struct process_group *pg;
		mutex_lock(&k->tasks.lock);
		pg = pid->pgrp;
		if (pg)
			pgrp_get(pg);
		mutex_unlock(&k->tasks.lock);
		if (pg) {
			pgrp_send_signal(pg, &info);
			pgrp_put(pg);
		}
	} else {
		struct task *t;
		mutex_lock(&k->tasks.lock);
		t = pid->task;
		if (t)
			task_get(t);
		mutex_unlock(&k->tasks.lock);
		if (t) {
			if (may_signal(t, uid, euid) && task_send_signal(t, &info, type != F_OWNER_TID) == -EAGAIN) {
				siginfo_k plain = { .si_signo = SIGIO, .si_code = SI_KERNEL }; /* the queue is full: fcntl(2) */
				task_send_signal(t, &plain, type != F_OWNER_TID);
			}
			task_put(t);
		}
	}
	pid_put(pid);
}

void kill_fasync(struct file *f, int code)
{
	if (atomic_load_explicit(&f->flags, memory_order_relaxed) & O_ASYNC)
		send_sigio(f, -2, code);
}

static void hook_will_block(void)
{
	if (fiber_self() && fiber_context()->task)
		task_will_block(current);
}

static void hook_sigpipe(void)
{
	siginfo_k info;

	if (!fiber_context()->task)
		return;
	siginfo_user(&info, SIGPIPE, SI_USER, current, current);
	task_send_signal(current, &info, false);
}

void fasync_init(void)
{
	vfs_hooks.will_block = hook_will_block;
	vfs_hooks.send_sigpipe = hook_sigpipe;
	vfs_hooks.fasync_set = fasync_set;
	vfs_hooks.kill_fasync = kill_fasync;
	vfs_hooks.send_sigio = send_sigio;
	vfs_hooks.fasync_release = fasync_release;
}
