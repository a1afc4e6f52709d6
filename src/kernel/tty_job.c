/* SPDX-License-Identifier: Apache-2.0 */
/* tty_job.c: terminals, sessions and process groups (credentials(7), tty_ioctl(4), setsid(2)).
 *
 * A terminal knows the session whose controlling terminal it is and its foreground group's identity; each process knows its terminal.
 * The identity need not be a group's: tcsetpgrp(3) takes the number of any process of the session.
 * LOCKS  tty->session, tty->pgrp, thread_group.tty and thread_group.tty_old_pgrp are under task_set.lock, which comes after
 * tty.lock. References that fall away under it are dropped after it is released.
 */
#include "kernel/internal.h"
#include "kernel/tty_internal.h"
#include <linux/capability.h>

static inline struct mutex *set_lock(struct tty *t) { return &t->kernel->tasks.lock; }

static inline bool is_session_leader(struct thread_group *tg) { return tg->pgrp && tg->pgrp->session->leader == tg; }

struct pid *tty_get_foreground(struct tty *t)
{
	guard(mutex)(set_lock(t));

	if (t->pgrp)
		pid_get(t->pgrp);
	return t->pgrp;
}

struct process_group *tty_foreground_locked(struct thread_group *tg)
{
	return tg->tty && tg->tty->session == tg->pgrp->session && tg->tty->pgrp ? tg->tty->pgrp->pgrp : NULL;
}

/* To the group with this identity, if there is one. */
static void signal_group_locked(struct pid *pgrp, int sig)
{
	siginfo_k info = { .si_signo = sig, .si_code = SI_KERNEL };

	if (pgrp && pgrp->pgrp)
		pgrp_signal_locked(pgrp->pgrp, &info);
}

void tty_signal_foreground(struct tty *t, int sig)
{
	guard(mutex)(set_lock(t));
	signal_group_locked(t->pgrp, sig);
}

int tty_check_change(struct tty *t, int sig)
{
	struct task *me = current;
	bool ignored;

	if (likely(READ_ONCE(me->tg->tty) != t))
		return 0;
	guard(mutex)(set_lock(t));
	struct process_group *pg = me->tg->pgrp;
	if (me->tg->tty != t || !pg || !t->pgrp)
		return 0;
	/* Who is in the foreground here is not when all of the sandbox is in the background outside. */
	if (t->pgrp == pg->pid && !(sig == SIGTTIN && t->host && tty_host_background(t)))
		return 0;
	signal_lock(me);
	ignored = (me->blocked & SIGMASK(sig)) || me->tg->sighand->action[sig].handler == 1 /* SIG_IGN */;
	signal_unlock(me);
	if (ignored)
		return sig == SIGTTIN ? -EIO : 0;
	if (pgrp_is_orphaned_locked(pg))
		return -EIO;
	signal_group_locked(pg->pid, sig);
	return -ERESTARTSYS;
}

/* ---- getting and losing a controlling terminal ---- */

/* What has to be dropped once task_set.lock is released. */
struct dropped {
	struct session *session;
	struct pid *pgrp, *old_pgrp;
	struct tty *tty;
	unsigned ttys;
};

static void drop(struct dropped *d)
{
	pid_put(d->pgrp);
	pid_put(d->old_pgrp);
	if (d->session)
		session_put(d->session);
	while (d->ttys--)
		tty_put(d->tty);
}

/* All processes of the session lose t. task_set.lock held. */
static void session_clear_locked(struct session *s, struct tty *t, struct dropped *d)
{
	struct process_group *pg;
	struct pgrp_member *m;

	LIST_FOREACH(pg, &s->groups, session_link)
		LIST_FOREACH(m, &pg->members, link)
			if (m->tg->tty == t) {
				m->tg->tty = NULL;
				d->tty = t;
				d->ttys++;
			}
}

/* The terminal has no session any more. task_set.lock held; d is fresh. */
static void detach_locked(struct tty *t, struct dropped *d)
{
	if (t->session)
		session_clear_locked(t->session, t, d);
	d->pgrp = t->pgrp;
	d->session = t->session;
	t->pgrp = NULL;
	t->session = NULL;
}

/* A leader without a terminal takes t. task_set.lock held; t has no session; the old_pgrp of d is free. */
static void attach_locked(struct tty *t, struct thread_group *tg, struct dropped *d)
{
	session_get(tg->pgrp->session);
	t->session = tg->pgrp->session;
	pid_get(tg->pgrp->pid);
	t->pgrp = tg->pgrp->pid;
	tty_get(t);
	tg->tty = t;
	d->old_pgrp = tg->tty_old_pgrp;
	tg->tty_old_pgrp = NULL;
}

int tty_acquire(struct tty *t, struct task *me, bool steal, bool readable)
{
	struct thread_group *tg = me->tg;
	bool admin = cred_has_cap(me->cred, CAP_SYS_ADMIN);
	struct dropped d = { 0 };
	int r = 0;

	mutex_lock(set_lock(t));
	if (is_session_leader(tg) && t->session == tg->pgrp->session) {
		r = 0; /* it is already */
	} else if (!is_session_leader(tg) || tg->tty) {
		r = -EPERM;
	} else if (t->session && !(steal && admin)) {
		r = -EPERM;
	} else {
		if (t->session) /* a theft sends no signals */
			session_clear_locked(t->session, t, &d);
		if (!readable && !admin) {
			r = -EPERM;
		} else {
			detach_locked(t, &d);
			attach_locked(t, tg, &d);
		}
	}
	mutex_unlock(set_lock(t));
	drop(&d);
	return r;
}

int tty_set_controlling(struct thread_group *tg, struct tty *t)
{
	struct dropped d = { 0 };
	int r = -EPERM;

	mutex_lock(set_lock(t));
	if (is_session_leader(tg) && !tg->tty && !t->session) {
		attach_locked(t, tg, &d);
		r = 0;
	}
	mutex_unlock(set_lock(t));
	drop(&d);
	return r;
}

/* open(2) of a terminal by a session leader that has none. */
void tty_open_acquires(struct tty *t, struct file *f)
{
	if (READ_ONCE(current->tg->tty) || !(f->mode & FMODE_READ))
		return;
	tty_set_controlling(current->tg, t);
}

/* A session leader gives its terminal up, or has exited. */
static void disassociate(struct thread_group *tg, bool on_exit)
{
	struct mutex *lock = &tg->kernel->tasks.lock;
	struct dropped d = { 0 };

	mutex_lock(lock);
	if (is_session_leader(tg)) {
		struct tty *t = tg->tty;
		if (t) {
			signal_group_locked(t->pgrp, SIGHUP);
			if (!on_exit)
				signal_group_locked(t->pgrp, SIGCONT);
			if (t->session == tg->pgrp->session)
				detach_locked(t, &d);
		} else if (on_exit) { /* it went by a hang-up: what was the foreground then hears of it now */
			signal_group_locked(tg->tty_old_pgrp, SIGHUP);
			signal_group_locked(tg->tty_old_pgrp, SIGCONT);
		}
		d.old_pgrp = tg->tty_old_pgrp;
		tg->tty_old_pgrp = NULL;
	}
	mutex_unlock(lock);
	drop(&d);
}

int tty_notty(struct tty *t, struct task *me)
{
	bool had;

	if (READ_ONCE(me->tg->tty) != t)
		return -ENOTTY;
	disassociate(me->tg, false);
	mutex_lock(set_lock(t));
	had = me->tg->tty == t; /* not the leader: only its own goes */
	if (had)
		me->tg->tty = NULL;
	mutex_unlock(set_lock(t));
	if (had)
		tty_put(t);
	return 0;
}

void tty_do_hangup(struct tty *t)
{
	struct dropped d = { 0 };

	mutex_lock(&t->lock);
	t->gen++;
	flip_flush(&t->slave.flip);
	tty_flush_output(t);
	tty_hangup_settings(t);
	wait_queue_wake_all(&t->slave.read_wait, TTY_IN | EPOLLHUP | EPOLLERR);
	wait_queue_wake_all(&t->slave.write_wait, TTY_OUT | EPOLLHUP | EPOLLERR);
	mutex_unlock(&t->lock);

	mutex_lock(set_lock(t));
	struct thread_group *leader = t->session ? t->session->leader : NULL;
	if (leader) {
		siginfo_k info = { .si_signo = SIGHUP, .si_code = SI_KERNEL };
		tg_send_signal(leader, &info);
		info.si_signo = SIGCONT;
		tg_send_signal(leader, &info);
		/* The foreground group gets its signals when the leader ends. */
		d.old_pgrp = leader->tty_old_pgrp;
		leader->tty_old_pgrp = t->pgrp;
		if (t->pgrp)
			pid_get(t->pgrp);
	}
	detach_locked(t, &d);
	mutex_unlock(set_lock(t));
	drop(&d);
}

void tty_hangup(struct tty *t) { tty_do_hangup(t); }

/* TIOCVHANGUP at the master's end: only its files. */
void tty_hangup_master(struct tty *t)
{
	guard(mutex)(&t->lock);
	t->master_gen++;
	t->out.head = t->out.tail = 0;
	flip_flush(&t->master.flip);
	flip_flush(&t->slave.flip);
	wait_queue_wake_all(&t->master.read_wait, TTY_IN | EPOLLHUP | EPOLLERR);
	wait_queue_wake_all(&t->master.write_wait, TTY_OUT | EPOLLHUP | EPOLLERR);
}

int tty_vhangup_current(struct task *t)
{
	mutex_lock(&t->kernel->tasks.lock);
	struct tty *tty = t->tg->tty;
	if (tty)
		tty_get(tty);
	mutex_unlock(&t->kernel->tasks.lock);
	if (tty) {
		tty_do_hangup(tty);
		tty_put(tty);
	}
	return 0;
}

void tty_session_put(struct tty *t)
{
	/* The last reference: no process has it as its terminal, so that a session can only be a left-over. */
	struct dropped d = { 0 };

	if (!t->session && !t->pgrp)
		return;
	mutex_lock(set_lock(t));
	detach_locked(t, &d);
	mutex_unlock(set_lock(t));
	d.ttys = 0;
	drop(&d);
}

/* ---- TIOCGPGRP and kin ---- */

int tty_get_pgrp(struct tty *t, struct task *me, bool master)
{
	guard(mutex)(set_lock(t));
	if (!master && me->tg->tty != t)
		return -ENOTTY;
	return pid_nr(t->pgrp, task_pid_ns(me));
}

int tty_set_pgrp(struct tty *t, struct task *me, int nr)
{
	struct session *mine, *s;
	struct pid *old;

	mutex_lock(set_lock(t));
	mine = me->tg->pgrp->session;
	if (me->tg->tty != t || t->session != mine) {
		mutex_unlock(set_lock(t));
		return -ENOTTY;
	}
	struct pid *p = pidns_find_locked(task_pid_ns(me), nr);
	s = !p ? NULL : p->pgrp ? p->pgrp->session : p->task && p->task->tg->pgrp ? p->task->tg->pgrp->session : NULL;
	if (s != mine) {
		mutex_unlock(set_lock(t));
		return p ? -EPERM : -ESRCH;
	}
	old = t->pgrp;
	t->pgrp = p;
	pid_get(p);
	mutex_unlock(set_lock(t));
	pid_put(old);
	return 0;
}

int tty_get_sid(struct tty *t, struct task *me, bool master)
{
	guard(mutex)(set_lock(t));
	if (!master && me->tg->tty != t)
		return -ENOTTY;
	return t->session ? pid_nr(t->session->pid, task_pid_ns(me)) : -ENOTTY;
}

void tty_proc_info(struct thread_group *tg, struct pid_namespace *ns, unsigned *dev, int *pgrp)
{
	guard(mutex)(&tg->kernel->tasks.lock);
	*dev = 0;
	*pgrp = -1;
	if (!tg->tty)
		return;
	*dev = tty_dev(tg->tty);
	*pgrp = tg->tty->pgrp ? pid_nr(tg->tty->pgrp, ns) : 0;
}

void tty_job_init(struct kernel *k) { k->tty_disassociate = disassociate; }
