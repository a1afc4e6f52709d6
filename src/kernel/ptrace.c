/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace.c: ptrace(2), the tracer's side.
 *
 * OVERVIEW: a tracee hangs on its tracer's list (task.tracees) from TRACEME, ATTACH, SEIZE or a traced clone until DETACH, its reaping
 * or the tracer's death. Requests need a tracee in a ptrace stop; those that touch its registers or memory run on its own fiber
 * (ptrace_on_tracee), the others here.
 * LOCKS: task.tracer and the list under task_set.lock and the tracee's signal lock to change, either to read.
 */
#include "kernel/ptrace.h"
#include "kernel/internal.h"
#include "kernel/seccomp.h"
#include "mm/uaccess.h"
#include <elf.h>
#include <linux/capability.h>
#include <linux/sched.h>
#include <stddef.h>
#include <sys/uio.h>
#include <sys/user.h>

#define PTRACE_TRACEME_ 0
#define PTRACE_SINGLEBLOCK 33 /* steps over an instruction, as where the CPU does not tell of branches */
#define OPTIONS_KNOWN (PTRACE_O_MASK)

/* ---- linking ---- */

static struct ptrace_state *state_get(struct task *t)
{
	if (!t->ptrace)
		t->ptrace = new(struct ptrace_state);
	return t->ptrace;
}

void ptrace_link_locked(struct task *t, struct task *tracer, unsigned options, bool seized)
{
	struct ptrace_state *p = state_get(t);
	mutex_assert_held(&t->kernel->tasks.lock);
	p->options = options;
	p->seized = seized;
	p->calls = TRACE_NO_CALLS;
	p->step = p->listening = p->waitable = p->watch = false;
	memset(p->debugreg, 0, sizeof(p->debugreg));
	WRITE_ONCE(t->tracer, tracer);
	__atomic_store_n(&t->trace_calls, true, __ATOMIC_RELEASE); /* the task may run: with what it needs */
	TAILQ_INSERT_TAIL(&tracer->tracees, t, tracee_link);
}

/* Signal lock held. A tracee that is let go goes back into the group stop it would be in. */
static void release_locked(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct ptrace_state *p = t->ptrace;
	TAILQ_REMOVE(&t->tracer->tracees, t, tracee_link);
	WRITE_ONCE(t->tracer, NULL);
	WRITE_ONCE(t->trace_calls, false);
	t->trap_stop_pending = false;
	p->options = 0;
	p->calls = TRACE_NO_CALLS;
	p->step = p->listening = p->seized = false;
	if (t->exit_state == TASK_EXIT_NONE && (tg->group_stop_complete || tg->group_stop_remaining)) {
		t->group_stop_pending = true;
		atomic_store(&t->work_pending, true);
	}
	if (t->stop == STOP_PTRACE)
		task_set_stop(t, STOP_NONE);
}

void ptrace_unlink_locked(struct task *t)
{
	if (!t->tracer)
		return;
	signal_lock(t);
	release_locked(t);
	signal_unlock(t);
}

void ptrace_exit_tracer_locked(struct task *t)
{
	struct task *c, *next;
	TAILQ_FOREACH_SAFE(c, &t->tracees, tracee_link, next) {
		bool kill = c->ptrace->options & PTRACE_O_EXITKILL;
		signal_lock(c);
		c->ptrace->code = 0;
		release_locked(c);
		if (kill && c->exit_state == TASK_EXIT_NONE) {
			siginfo_k i = { .si_signo = SIGKILL, .si_code = SI_KERNEL };
			task_send_signal_locked(c, &i, true);
		}
		signal_unlock(c);
		if (c->exit_state == TASK_EXIT_ZOMBIE && !c->exit_parent_notified)
			exit_notify_locked(c);
	}
}

int ptrace_clone_event(struct task *t, uint64_t flags, int exit_signal)
{
	int event;
	if (!READ_ONCE(t->tracer) || (flags & CLONE_UNTRACED))
		return 0;
	event = flags & CLONE_VFORK ? PTRACE_EVENT_VFORK : exit_signal != SIGCHLD || (flags & CLONE_THREAD) ? PTRACE_EVENT_CLONE : PTRACE_EVENT_FORK;
	return ptrace_event_enabled(t, event) ? event : 0;
}

void ptrace_clone_locked(struct task *c, struct task *t, uint64_t flags, int event)
{
	if (!t->tracer || (!event && !(flags & CLONE_PTRACE)))
		return;
	ptrace_link_locked(c, t->tracer, t->ptrace->options, t->ptrace->seized);
	if (c->ptrace->seized)
		c->trap_stop_pending = true;
	else
		c->pending.set |= SIGMASK(SIGSTOP);
	atomic_store(&c->work_pending, true);
}

/* ---- who may ---- */

static bool descends(struct task *o, struct task *t)
{
	for (struct task *p = o->tg->leader; p; p = p->tg->leader ? p->tg->leader->parent : NULL)
		if (p->tg == t->tg)
			return true;
	return false;
}

/* PR_SET_PTRACER: o's process names one whose descendants may, or everybody. */
static bool declared(struct thread_group *o, struct task *t)
{
	struct task *p = o->ptracer ? o->ptracer->task : NULL;
	return o->ptracer_any || (p && descends(t, p));
}

long ptrace_set_ptracer(struct task *t, int64_t nr)
{
	struct pid *old, *p = NULL;
	mutex_lock(&t->kernel->tasks.lock);
	if (nr && nr != -1) {
		p = pidns_find_locked(task_pid_ns(t), (int)nr);
		if (!p || !p->task) {
			mutex_unlock(&t->kernel->tasks.lock);
			return -EINVAL;
		}
		p = p->task->tg->pid;
		pid_get(p);
	}
	old = t->tg->ptracer;
	t->tg->ptracer = p;
	t->tg->ptracer_any = nr == -1;
	mutex_unlock(&t->kernel->tasks.lock);
	pid_put(old);
	return 0;
}

static bool capable_over(struct task *t, struct task *o)
{
	guard(mutex)(&o->lock);
	return ns_capable(t->cred, o->cred->user_ns, CAP_SYS_PTRACE);
}

static bool yama_allows_locked(struct task *t, struct task *o)
{
	switch (atomic_load(&t->kernel->yama_scope)) {
	case 0:
		return true;
	case 1:
		return descends(o, t) || declared(o->tg, t) || capable_over(t, o);
	case 2:
		return capable_over(t, o);
	}
	return false;
}

static long traceme(struct task *t)
{
	long r = -EPERM;
	guard(mutex)(&t->kernel->tasks.lock);
	signal_lock(t);
	struct task *parent = t->parent;
	if (!t->tracer && parent && parent->exit_state == TASK_EXIT_NONE &&
	    (atomic_load(&t->kernel->yama_scope) < 2 || (t->kernel->yama_scope == 2 && capable_over(parent, t)))) {
		ptrace_link_locked(t, parent, 0, false);
		r = 0;
	}
	signal_unlock(t);
	return r;
}

static long check_options(struct task *t, uint64_t options)
{
	if (options & ~(uint64_t)OPTIONS_KNOWN)
		return -EINVAL;
	/* Only who is not under filters himself. */
	if ((options & PTRACE_O_SUSPEND_SECCOMP) && (!cred_has_cap(t->cred, CAP_SYS_ADMIN) || t->seccomp_mode || ptrace_suspends_seccomp(t)))
		return -EPERM;
	return 0;
}

/* A stopped one is stopped when this returns, as its tracer's. */
static void await_stop(struct task *t, struct task *o)
{
	for (;;) {
		signal_lock(o);
		bool there = o->tracer != t || o->stop == STOP_PTRACE || o->exit_state != TASK_EXIT_NONE || o->killed;
		signal_unlock(o);
		if (there || fiber_park(PARK_KILLABLE, ktime_mono() + NSEC_PER_SEC / 5000) == -EINTR)
			return;
	}
}

static long attach(struct task *t, struct task *o, bool seize, uint64_t addr, uint64_t flags)
{
	if (seize && (addr || (flags & ~(uint64_t)OPTIONS_KNOWN)))
		return -EIO;
	if (seize && check_options(t, flags))
		return -EPERM;
	if (o->tg == t->tg || !task_may_access(t, o))
		return -EPERM;
	mutex_lock(&t->kernel->tasks.lock);
	signal_lock(o);
	if (!yama_allows_locked(t, o) || o->tracer || o->exit_state != TASK_EXIT_NONE) {
		signal_unlock(o);
		mutex_unlock(&t->kernel->tasks.lock);
		return -EPERM;
	}
	ptrace_link_locked(o, t, seize ? flags : 0, seize);
	if (!seize) {
		siginfo_k i = { .si_signo = SIGSTOP, .si_code = SI_KERNEL };
		task_send_signal_locked(o, &i, false);
	}
	bool moving = o->stop == STOP_GROUP;
	if (moving) { /* out of one stop, into the other */
		o->trap_stop_pending = true;
		atomic_store(&o->work_pending, true);
		task_set_stop(o, STOP_NONE);
	} else {
		atomic_store(&o->work_pending, true);
	}
	signal_unlock(o);
	mutex_unlock(&t->kernel->tasks.lock);
	if (moving)
		await_stop(t, o);
	return 0;
}

/* ---- requests on the stopped tracee ---- */

static bool stopped_for(struct task *o, struct task *t)
{
	return o->tracer == t && o->stop == STOP_PTRACE && !o->ptrace->listening && !o->killed;
}

long ptrace_on_tracee(struct task *t, struct task *o, long (*fn)(struct task *, void *), void *arg)
{
	struct ptrace_request q = { .fn = fn, .arg = arg, .waiter = current->fiber };
	signal_lock(o);
	while (stopped_for(o, t) && o->ptrace->request) { /* another thread's, by /proc/PID/mem */
		signal_unlock(o);
		fiber_park(PARK_UNINTERRUPTIBLE, ktime_mono() + NSEC_PER_SEC / 1000);
		signal_lock(o);
	}
	if (!stopped_for(o, t)) {
		signal_unlock(o);
		return -ESRCH;
	}
	o->ptrace->request = &q;
	fiber_wake(o->fiber);
	signal_unlock(o);
	while (!__atomic_load_n(&q.done, __ATOMIC_ACQUIRE))
		fiber_park(PARK_UNINTERRUPTIBLE, KTIME_MAX);
	return q.result;
}

struct mem_arg { uaddr_t addr; void *buf; size_t n; bool write; };
static long do_mem(struct task *o, void *p)
{
	struct mem_arg *a = p;
	return (long)ptrace_access(o, a->addr, a->buf, a->n, a->write);
}
static long do_setmask(struct task *o, void *p)
{
	task_set_blocked(o, *(sigset_k *)p & ~SIG_UNBLOCKABLE);
	if (o->have_restart_mask)
		o->saved_mask = *(sigset_k *)p & ~SIG_UNBLOCKABLE;
	return 0;
}

/* A stopped tracee of this process that lives in mm: counted, or NULL. */
static struct task *tracee_in(struct task *t, struct mm *mm, struct task **tracer)
{
	struct task *th, *o;
	guard(mutex)(&t->kernel->tasks.lock);
	TAILQ_FOREACH(th, &t->tg->tasks, tg_link)
		TAILQ_FOREACH(o, &th->tracees, tracee_link) {
			mutex_lock(&o->lock);
			bool same = o->mm == mm;
			mutex_unlock(&o->lock);
			signal_lock(o);
			bool ok = same && stopped_for(o, th);
			signal_unlock(o);
			if (ok) {
				task_get(o);
				*tracer = th;
				return o;
			}
		}
	return NULL;
}

size_t ptrace_mm_access(struct mm *mm, uaddr_t addr, void *buf, size_t n, bool write)
{
	struct mem_arg a = { addr, buf, n, write };
	struct task *tracer, *o;
	if (current->mm == mm)
		return ptrace_access(current, addr, buf, n, write);
	o = tracee_in(current, mm, &tracer);
	if (!o)
		return 0;
	long r = ptrace_on_tracee(tracer, o, do_mem, &a);
	task_put(o);
	return r < 0 ? 0 : (size_t)r;
}

bool ptrace_yama_allows(struct task *t, struct task *o)
{
	guard(mutex)(&t->kernel->tasks.lock);
	return o->tg == t->tg || yama_allows_locked(t, o);
}

static long peek_poke(struct task *t, struct task *o, uint64_t addr, uint64_t *word, bool write)
{
	struct mem_arg a = { addr, word, 8, write };
	long r = ptrace_on_tracee(t, o, do_mem, &a);
	return r < 0 ? r : r == 8 ? 0 : -EIO;
}

static long getsiginfo(struct task *t, struct task *o, uaddr_t at)
{
	siginfo_k i;
	signal_lock(o);
	bool ok = stopped_for(o, t), have = ok && o->ptrace->have_info;
	if (have)
		i = o->ptrace->info;
	signal_unlock(o);
	return !ok ? -ESRCH : !have ? -EINVAL : copy_to_user(at, &i, sizeof(i));
}

static long setsiginfo(struct task *t, struct task *o, uaddr_t at)
{
	siginfo_k i;
	if (copy_from_user(&i, at, sizeof(i)))
		return -EFAULT;
	signal_lock(o);
	bool ok = stopped_for(o, t), have = ok && o->ptrace->have_info;
	if (have)
		o->ptrace->info = i;
	signal_unlock(o);
	return !ok ? -ESRCH : !have ? -EINVAL : 0;
}

static long peeksiginfo(struct task *o, uaddr_t addr, uaddr_t data)
{
	struct ptrace_peeksiginfo_args a;
	int got = 0;
	if (copy_from_user(&a, addr, sizeof(a)))
		return -EFAULT;
	if ((a.flags & ~(unsigned)PTRACE_PEEKSIGINFO_SHARED) || a.nr < 0)
		return -EINVAL;
	for (; got < a.nr; got++) {
		struct sigqueue *q;
		siginfo_k i;
		uint64_t n = a.off + (uint64_t)got;
		bool found = false;
		if (n < a.off)
			break;
		signal_lock(o);
		TAILQ_FOREACH(q, a.flags & PTRACE_PEEKSIGINFO_SHARED ? &o->tg->pending.queue : &o->pending.queue, link)
			if (!n--) {
				i = q->info;
				found = true;
				break;
			}
		signal_unlock(o);
		if (!found)
			break;
		if (copy_to_user(data + (uint64_t)got * sizeof(i), &i, sizeof(i)))
			return got ? got : -EFAULT;
	}
	return got;
}

static long resume(struct task *t, struct task *o, long request, uint64_t data)
{
	struct ptrace_state *p = o->ptrace;
	long r = -ESRCH;
	if (data > NSIG_K)
		return -EIO;
	signal_lock(o);
	if (stopped_for(o, t)) {
		p->calls = request == PTRACE_SYSCALL ? TRACE_CALLS :
			   request == PTRACE_SYSEMU || request == PTRACE_SYSEMU_SINGLESTEP ? TRACE_EMULATE : TRACE_NO_CALLS;
		p->step = request == PTRACE_SINGLESTEP || request == PTRACE_SINGLEBLOCK || request == PTRACE_SYSEMU_SINGLESTEP;
		p->code = (int)data;
		p->waitable = false;
		task_set_stop(o, STOP_NONE);
		r = 0;
	}
	signal_unlock(o);
	return r;
}

static long detach(struct task *t, struct task *o, uint64_t data)
{
	long r = -ESRCH;
	if (data > NSIG_K)
		return -EIO;
	guard(mutex)(&t->kernel->tasks.lock);
	signal_lock(o);
	if (stopped_for(o, t)) {
		o->ptrace->code = (int)data;
		o->ptrace->waitable = false;
		release_locked(o);
		r = 0;
	}
	signal_unlock(o);
	return r;
}

static long interrupt(struct task *o)
{
	if (!o->ptrace->seized)
		return -EIO;
	signal_lock(o);
	o->trap_stop_pending = true;
	atomic_store(&o->work_pending, true);
	if (o->stop == STOP_PTRACE) {
		if (o->ptrace->listening)
			task_set_stop(o, STOP_NONE);
	} else if (o->exit_state == TASK_EXIT_NONE) {
		task_interrupt(o);
	}
	signal_unlock(o);
	return 0;
}

static long listen_for(struct task *t, struct task *o)
{
	struct ptrace_state *p = o->ptrace;
	long r = -EIO;
	if (!p->seized)
		return -EIO;
	signal_lock(o);
	if (!stopped_for(o, t)) {
		r = -ESRCH;
	} else if (p->have_info && p->code >> 8 == PTRACE_EVENT_STOP) {
		p->listening = true;
		p->waitable = false;
		if (o->trap_stop_pending)
			task_set_stop(o, STOP_NONE);
		r = 0;
	}
	signal_unlock(o);
	return r;
}

static long rseq_configuration(struct task *o, uint64_t size, uaddr_t at)
{
	struct pl_rseq r = pl_rseq_get(o->thread);
	struct ptrace_rseq_configuration c = { .rseq_abi_pointer = r.len ? r.addr : 0, .rseq_abi_size = r.len, .signature = r.len ? r.sig : 0 };
	return copy_to_user(at, &c, MIN(size, sizeof(c))) ? -EFAULT : (long)sizeof(c);
}

static long request_stopped(struct task *t, struct task *o, long request, uint64_t addr, uint64_t data)
{
	uint64_t word;
	sigset_k set;
	long r;
	switch (request) {
	case PTRACE_PEEKTEXT:
	case PTRACE_PEEKDATA:
		r = peek_poke(t, o, addr, &word, false);
		return r ? r : put_user(word, data);
	case PTRACE_POKETEXT:
	case PTRACE_POKEDATA:
		return peek_poke(t, o, addr, &data, true);
	case PTRACE_GETSIGINFO:
		return getsiginfo(t, o, data);
	case PTRACE_SETSIGINFO:
		return setsiginfo(t, o, data);
	case PTRACE_PEEKSIGINFO:
		return peeksiginfo(o, addr, data);
	case PTRACE_GETSIGMASK:
		if (addr != sizeof(set))
			return -EINVAL;
		set = o->have_restart_mask ? o->saved_mask : o->blocked;
		return put_user(set, data);
	case PTRACE_SETSIGMASK:
		if (addr != sizeof(set))
			return -EINVAL;
		if (get_user(set, data))
			return -EFAULT;
		return ptrace_on_tracee(t, o, do_setmask, &set);
	case PTRACE_OLDSETOPTIONS:
	case PTRACE_SETOPTIONS:
		r = check_options(t, data);
		if (!r)
			WRITE_ONCE(o->ptrace->options, data);
		return r;
	case PTRACE_GETEVENTMSG:
		return put_user(o->ptrace->message, data);
	case PTRACE_GET_RSEQ_CONFIGURATION:
		return rseq_configuration(o, addr, data);
	case PTRACE_SECCOMP_GET_FILTER:
		return seccomp_get_filter(t, o, addr, data);
	case PTRACE_SECCOMP_GET_METADATA:
		return seccomp_get_metadata(t, o, addr, data);
	case PTRACE_LISTEN:
		return listen_for(t, o);
	case PTRACE_CONT:
	case PTRACE_SYSCALL:
	case PTRACE_SINGLESTEP:
	case PTRACE_SINGLEBLOCK:
	case PTRACE_SYSEMU:
	case PTRACE_SYSEMU_SINGLESTEP:
		return resume(t, o, request, data);
	case PTRACE_DETACH:
		return detach(t, o, data);
	}
	return ptrace_user_request(t, o, request, addr, data);
}

long task_ptrace(struct task *t, long request, int pid, uint64_t addr, uint64_t data)
{
	if (request == PTRACE_TRACEME_)
		return traceme(t);
	struct task *o = pidns_task_with_id(task_pid_ns(t), pid);
	long r = -ESRCH;
	if (!o)
		return -ESRCH;
	if (request == PTRACE_ATTACH || request == PTRACE_SEIZE) {
		r = attach(t, o, request == PTRACE_SEIZE, addr, data);
	} else {
		signal_lock(o);
		bool mine = o->tracer == t, stopped = stopped_for(o, t);
		signal_unlock(o);
		if (mine && request == PTRACE_KILL) {
			siginfo_k i = { .si_signo = SIGKILL, .si_code = SI_KERNEL };
			task_send_signal(o, &i, false);
			r = 0;
		} else if (mine && request == PTRACE_INTERRUPT) {
			r = interrupt(o);
		} else if (stopped) {
			r = request_stopped(t, o, request, addr, data);
		}
	}
	task_put(o);
	return r;
}
