/* SPDX-License-Identifier: Apache-2.0 */
/* tty_job.c: terminals, sessions and process groups (credentials(7), tty_ioctl(4), setsid(2)).
 *
 * LOCKS  tty->session, session->foreground, session->tty and thread_group.tty are under task_set.lock, which comes after
 * tty.lock. References that fall away under it are dropped after it is released.
 */
#include "kernel/tty_internal.h"
#include <linux/capability.h>

static inline struct mutex *set_lock(struct tty *t) { return &t->kernel->tasks.lock; }

static inline bool is_session_leader(struct thread_group *tg) { return tg->pgrp && tg->pgrp->session->leader == tg; }

/* The foreground group, counted; NULL if there is none. */
static struct process_group *get_foreground(struct tty *t)
{
	guard(mutex)(set_lock(t));
	struct process_group *pg = t->session ? t->session->foreground : NULL;
	if (pg)
		pgrp_get(pg);
	return pg;
}

static void kernel_signal(struct process_group *pg, int sig)
{
	siginfo_k info = { .si_signo = sig, .si_code = SI_KERNEL };

	pgrp_send_signal(pg, &info);
}

void tty_signal_foreground(struct tty *t, int sig)
{
	struct process_group *pg = get_foreground(t);

	if (!pg)
		return;
	kernel_signal(pg, sig);
	pgrp_put(pg);
}

int tty_check_change(struct tty *t, int sig)
{
	struct task *me = current;
	struct process_group *pg;
	bool ignored, orphaned;

	if (likely(READ_ONCE(me->tg->tty) != t))
		return 0;
	mutex_lock(set_lock(t));
	pg = me->tg->pgrp;
	if (me->tg->tty != t || !pg || !t->session || !t->session->foreground || t->session->foreground == pg) {
		mutex_unlock(set_lock(t));
		return 0;
	}
	pgrp_get(pg);
	orphaned = pgrp_is_orphaned_locked(pg);
	mutex_unlock(set_lock(t));
	signal_lock(me);
	ignored = (me->blocked & SIGMASK(sig)) || me->tg->sighand->action[sig].handler == 1 /* SIG_IGN */;
	signal_unlock(me);
	int r = 0;
	if (ignored) {
		r = sig == SIGTTIN ? -EIO : 0;
	} else if (orphaned) {
		r = -EIO;
	} else {
		kernel_signal(pg, sig);
		r = -ERESTARTSYS;
	}
	pgrp_put(pg);
	return r;
}

/* ---- getting and losing a controlling terminal ---- */

/* All processes of the session lose t. Returns how many references the caller has to drop. task_set.lock held. */
static unsigned session_clear_locked(struct session *s, struct tty *t)
{
	struct process_group *pg;
	struct pgrp_member *m;
	unsigned n = 0;

	LIST_FOREACH(pg, &s->groups, session_link)
		LIST_FOREACH(m, &pg->members, link)
			if (m->tg->tty == t) {
				m->tg->tty = NULL;
				n++;
			}
	s->tty = NULL;
	return n;
}

/* What has to be dropped once task_set.lock is released. */
struct dropped {
	struct session *session;
	struct process_group *pg;
	struct tty *tty;
	unsigned ttys;
};

static void drop(struct dropped *d)
{
	if (d->pg)
		pgrp_put(d->pg);
	if (d->session)
		session_put(d->session);
	while (d->ttys--)
		tty_put(d->tty);
}

/* The terminal has no session any more. task_set.lock held. */
static void detach_locked(struct tty *t, struct dropped *d)
{
	struct session *s = t->session;

	*d = (struct dropped){ .tty = t };
	if (!s)
		return;
	d->ttys = session_clear_locked(s, t);
	d->pg = s->foreground;
	s->foreground = NULL;
	d->session = s;
	t->session = NULL;
}

/* A leader without a terminal takes t. task_set.lock held; t has no session. */
static void attach_locked(struct tty *t, struct thread_group *tg)
{
	struct session *s = tg->pgrp->session;

	session_get(s);
	t->session = s;
	s->tty = t;
	s->foreground = tg->pgrp; /* it was NULL: a session without a terminal has none */
	pgrp_get(tg->pgrp);
	tty_get(t);
	tg->tty = t;
}

int tty_acquire(struct tty *t, struct task *me, bool steal, bool readable)
{
	struct thread_group *tg = me->tg;
	bool admin = cred_has_cap(me->cred, CAP_SYS_ADMIN);
	struct dropped d = { 0 };

	mutex_lock(set_lock(t));
	struct session *s = tg->pgrp->session;
	int r = 0;
	if (is_session_leader(tg) && t->session == s) {
		r = 0; /* it is already */
	} else if (!is_session_leader(tg) || tg->tty) {
		r = -EPERM;
	} else if (t->session && !(steal && admin)) {
		r = -EPERM;
	} else if (!readable && !admin) {
		r = -EPERM;
	} else {
		detach_locked(t, &d); /* a theft sends no signals */
		struct process_group *stale = s->foreground;
		attach_locked(t, tg);
		mutex_unlock(set_lock(t));
		if (stale)
			pgrp_put(stale);
		drop(&d);
		return 0;
	}
	mutex_unlock(set_lock(t));
	return r;
}

/* open(2) of a terminal by a session leader that has none. */
void tty_open_acquires(struct tty *t, struct file *f)
{
	struct task *me = current;
	struct process_group *stale = NULL;

	if (READ_ONCE(me->tg->tty) || !(f->mode & FMODE_READ))
		return;
	mutex_lock(set_lock(t));
	if (is_session_leader(me->tg) && !me->tg->tty && !t->session) {
		stale = me->tg->pgrp->session->foreground;
		attach_locked(t, me->tg);
	}
	mutex_unlock(set_lock(t));
	if (stale)
		pgrp_put(stale);
}

int tty_set_controlling(struct thread_group *tg, struct tty *t)
{
	struct process_group *stale = NULL;
	int r = -EPERM;

	mutex_lock(set_lock(t));
	if (is_session_leader(tg) && !tg->tty && !t->session) {
		stale = tg->pgrp->session->foreground;
		attach_locked(t, tg);
		r = 0;
	}
	mutex_unlock(set_lock(t));
	if (stale)
		pgrp_put(stale);
	return r;
}

/* A session leader gives its terminal up, or has exited. */
static void disassociate(struct thread_group *tg, bool on_exit)
{
	struct mutex *lock = &tg->kernel->tasks.lock;
	struct dropped d;

	mutex_lock(lock);
	struct tty *t = tg->tty;
	if (!t || !tg->pgrp || tg->pgrp->session->leader != tg || t->session != tg->pgrp->session) {
		mutex_unlock(lock);
		return;
	}
	tty_get(t);
	mutex_unlock(lock);
	if (on_exit) {
		tty_do_hangup(t, true);
	} else {
		tty_signal_foreground(t, SIGHUP);
		tty_signal_foreground(t, SIGCONT);
	}
	mutex_lock(lock);
	if (t->session && t->session == tg->pgrp->session)
		detach_locked(t, &d);
	else
		d = (struct dropped){ 0 };
	mutex_unlock(lock);
	drop(&d);
	tty_put(t);
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

void tty_do_hangup(struct tty *t, bool exit_session)
{
	struct dropped d;
	struct thread_group *leader = NULL;

	mutex_lock(&t->lock);
	t->gen++;
	ldisc_flush_input(t);
	t->stopped = t->tco_stopped = false;
	t->echo.head = t->echo.tail = 0;
	mutex_unlock(&t->lock);
	wait_queue_wake_all(&t->read_wait, TTY_IN | EPOLLHUP | EPOLLERR);
	wait_queue_wake_all(&t->write_wait, TTY_OUT | EPOLLHUP | EPOLLERR);

	mutex_lock(set_lock(t));
	struct session *s = t->session;
	if (s && s->leader) {
		leader = s->leader;
		tg_get(leader);
	}
	detach_locked(t, &d);
	mutex_unlock(set_lock(t));
	if (leader) {
		siginfo_k info = { .si_signo = SIGHUP, .si_code = SI_KERNEL };
		if (!exit_session) {
			tg_send_signal(leader, &info);
			info.si_signo = SIGCONT;
			tg_send_signal(leader, &info);
		}
		tg_put(leader);
	}
	/* Linux signals the foreground group once the leader dies of its SIGHUP; the group is forgotten here, so do it now. */
	if (d.pg) {
		kernel_signal(d.pg, SIGHUP);
		kernel_signal(d.pg, SIGCONT);
	}
	drop(&d);
}

void tty_hangup(struct tty *t) { tty_do_hangup(t, false); }

int tty_vhangup_current(struct task *t)
{
	mutex_lock(&t->kernel->tasks.lock);
	struct tty *tty = t->tg->tty;
	if (tty)
		tty_get(tty);
	mutex_unlock(&t->kernel->tasks.lock);
	if (tty) {
		tty_do_hangup(tty, false);
		tty_put(tty);
	}
	return 0;
}

void tty_session_put(struct tty *t)
{
	/* The last reference: no process has it as its terminal, so that a session can only be a left-over. */
	struct dropped d;

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
	return t->session && t->session->foreground ? pid_nr(t->session->foreground->pid, task_pid_ns(me)) : 0;
}

int tty_set_pgrp(struct tty *t, struct task *me, int nr)
{
	struct process_group *old;

	mutex_lock(set_lock(t));
	if (me->tg->tty != t || !t->session || t->session != me->tg->pgrp->session) {
		mutex_unlock(set_lock(t));
		return -ENOTTY;
	}
	if (nr < 0) {
		mutex_unlock(set_lock(t));
		return -EINVAL;
	}
	struct pid *p = pidns_find_locked(task_pid_ns(me), nr);
	if (!p || !p->pgrp) {
		mutex_unlock(set_lock(t));
		return -ESRCH;
	}
	if (p->pgrp->session != t->session) {
		mutex_unlock(set_lock(t));
		return -EPERM;
	}
	old = t->session->foreground;
	t->session->foreground = p->pgrp;
	pgrp_get(p->pgrp);
	mutex_unlock(set_lock(t));
	if (old)
		pgrp_put(old);
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
	if (tg->tty->session && tg->tty->session->foreground)
		*pgrp = pid_nr(tg->tty->session->foreground->pid, ns);
}

void tty_job_init(struct kernel *k) { k->tty_disassociate = disassociate; }
