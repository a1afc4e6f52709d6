/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: the run loop of a task.
 *
 * OVERVIEW: a task's fiber runs states until one returns NULL. run_app is the hot one: it lets the guest run, serves its system calls
 * and goes round, leaving only when there is something else to do. Every place where a stop or a kill may come between two halves of
 * an operation (exec after de-threading, the vfork parent's wait, exit) is a state of its own.
 */
#include "kernel/internal.h"
#include "kernel/ptrace.h"
#include "kernel/seccomp.h"
#include "kernel/time_ns.h"
#include "kernel/user_dispatch.h"
#include "kernel/trace.h"

/* Once a task and number: programs probe in loops. */
static void log_missing(struct task *t, uint32_t nr, const struct syscall_row *row)
{
	if (nr < SYSCALL_MAX) {
		uint64_t bit = 1ULL << nr % 64, *word = &t->missing_logged[nr / 64];

		if (*word & bit)
			return;
		*word |= bit;
	}
	log_info("%s[%d]: system call %u (%s) is not implemented", t->comm, task_tgid(t, t->kernel->tasks.root), nr,
		 row && row->name ? row->name : "unknown");
	trace_point(t, TRACE_NO_CALL, .nr = nr);
}

/* What a call that is not in the table gets. */
static __attribute__((cold, noinline)) int64_t no_syscall(struct task *t, uint32_t nr)
{
	const struct syscall_table *st = t->kernel->syscalls;
	log_missing(t, nr, nr < st->count ? &st->rows[nr] : NULL);
	return -ENOSYS;
}

static __attribute__((cold, noinline)) const struct run_state *guest_fault(struct task *t)
{
	struct pl_event *ev = &t->event;
	int code = ev->code;
	/* The host reports page faults as SEGV or BUS with an address; only those may be the mm's to repair. */
	if ((ev->signo == SIGSEGV || ev->signo == SIGBUS) && ev->trapno == 14 && mm_fault(t->mm, ev->addr, ev->err, &code))
		return &run_app;
	if (unlikely(READ_ONCE(t->trace_calls)) && ev->signo == SIGTRAP && ev->trapno == 1 && ptrace_watch_step(t, &code))
		return &run_app;
	siginfo_k info = { .si_signo = ev->signo, .si_code = code };
	info.fault.addr = ev->addr;
	task_force_signal(t, &info);
	return &run_interrupt;
}

static __attribute__((cold, noinline)) const struct run_state *stub_dead(struct task *t)
{
	int signo = t->event.signo > 0 && t->event.signo <= NSIG_K ? t->event.signo : SIGKILL;
	if (!t->event.signo && !t->tg->exiting)
		log_warn("%s[%d]: the process broke the platform's protocol and was killed", t->comm,
			 task_tgid(t, t->kernel->tasks.root));
	task_group_exit(t, signo);
	return &run_exit;
}

static __attribute__((cold, noinline)) const struct run_state *compat_call(struct task *t)
{
	/* 32-bit entries are never dispatched by number: the kernel is built without them, as Linux without IA32_EMULATION. */
	siginfo_k info = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };
	log_info("%s[%d]: 32-bit system call %u refused", t->comm, task_tgid(t, t->kernel->tasks.root), t->event.nr);
	task_force_signal(t, &info);
	return &run_interrupt;
}

/* Debug builds: what no system call may leave behind. */
static inline void check_syscall_exit(struct task *t)
{
	(void)t;
	DEBUG_BUG_ON(t->mm && fiber_context()->mm != t->mm);
	DEBUG_BUG_ON(fiber_context()->thread != t->thread);
	DEBUG_BUG_ON(fiber_context()->cred != t->cred);
	DEBUG_BUG_ON(fiber_context()->fdt != t->fdt);
	DEBUG_BUG_ON(fiber_context()->fs != t->fs);
}

/* System time: one call in a few is timed, and counts for those that were not; dear ones are timed each. */
#define TIME_EVERY 8
#define TIME_DEAR 5000 /* ticks */

static __attribute__((noinline)) int64_t call_timed(struct task *t, syscall_fn *fn)
{
	struct fiber_context *c = fiber_context();
	uint64_t weight = t->time_weight, start, ticks;
	int64_t r;

	c->parked_ticks = 0;
	c->timed = true;
	start = __builtin_ia32_rdtsc();
	r = fn(t, &t->args);
	ticks = __builtin_ia32_rdtsc() - start;
	c->timed = false;
	ticks -= MIN(ticks, c->parked_ticks);
	t->kernel_ticks += ticks * MAX(weight, 1);
	t->time_weight = t->time_in = ticks > TIME_DEAR ? 1 : MIN(weight + 1 + (start >> 4 & 1), TIME_EVERY);
	return r;
}

/* The copy from a file window failed, or may not be left to the stub: the read is made once more, through the kernel process. */
static __attribute__((cold, noinline)) int64_t read_again(struct task *t)
{
	struct fiber_context *c = fiber_context();
	bool was = c->no_windows;
	struct task_io io = t->io; /* counted the first time */
	c->no_windows = c->window_read.again = true;
	int64_t r = t->kernel->syscalls->rows[t->event.nr].fn(t, &t->args);
	c->no_windows = was;
	c->window_read.again = false;
	t->io = io;
	pl_set_result(t->thread, r);
	return r;
}

/* What the registers say, also behind the call's own arguments. */
static __attribute__((cold, noinline)) void all_args(struct task *t)
{
	struct pl_regs r;
	pl_get_regs(t->thread, &r);
	t->args = (struct syscall_args){ { r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9 } };
}

/* What the last call wrote is there from now on, as on Linux: the task stops, dies, or is looked at. */
void task_settle_copies(struct task *t)
{
	if (unlikely(pl_window_cancel(t->thread)))
		t->result = read_again(t);
	if (likely(!pl_copies_wait(t->thread)))
		return;
	mm_settle(t->mm);
	if (!pl_copies_flush(t->thread)) {
		t->result = -EFAULT;
		pl_set_result(t->thread, -EFAULT);
	}
}

static inline bool is_restart(int64_t r) { return r <= -ERESTARTSYS && r >= -ERESTART_RESTARTBLOCK; }

static const struct run_state *app(struct task *t)
{
	struct pl_event *ev = &t->event;
	const struct syscall_row *rows = t->kernel->syscalls->rows;
	unsigned count = t->kernel->syscalls->count;
	bool traced = t->kernel->calls_traced;

	for (;;) {
		t->syscall_nr = -1;
		if (unlikely(atomic_load_explicit(&t->work_pending, memory_order_acquire)))
			return &run_interrupt;
		pl_thread_run(t->thread, ev);
		if (likely(ev->kind == PL_SYSCALL)) {
			uint32_t nr = ev->nr;
			int64_t r;
			if (unlikely(ev->lent))
				task_take_lent(t);
			if (unlikely(ev->compat))
				return compat_call(t);
			t->syscall_nr = nr;
			t->blocked_notice = false;
			memcpy(&t->args, ev->args, sizeof(t->args));
			if (unlikely(READ_ONCE(t->seccomp_mode) | READ_ONCE(t->trace_calls) | traced | t->dispatched)) {
				if (ev->inlined)
					all_args(t);
				if (traced)
					trace_call(t, TRACE_CALL_ENTER, nr, 0);
				if (t->dispatched && !user_dispatch_check(t, nr, &r))
					goto made; /* a signal, which tracers and filters see nothing of */
				if (READ_ONCE(t->trace_calls))
					return &run_syscall_enter;
				if (t->seccomp_mode && !seccomp_check(t, nr, &r))
					goto made; /* r, or how it ends, is set */
			}
			if (likely(nr < count && rows[nr].fn))
				r = unlikely(t->time_in-- <= 1) ? call_timed(t, rows[nr].fn) : rows[nr].fn(t, &t->args);
			else
				r = no_syscall(t, nr);
		made:
			if (unlikely(r == -ENOIOCTLCMD))
				r = -ENOTTY;
			if (unlikely(traced))
				trace_call(t, TRACE_CALL_EXIT, nr, r); /* (rt_sigreturn forgets the number) */
			check_syscall_exit(t);
			pl_set_result(t->thread, r);
			if (likely(!t->after_syscall && !is_restart(r) && !t->have_restart_mask &&
				   !atomic_load_explicit(&t->work_pending, memory_order_acquire)))
				continue;
			t->result = r;
			if (t->after_syscall) {
				const struct run_state *next = t->after_syscall;
				t->after_syscall = NULL;
				return next;
			}
			return &run_interrupt;
		}
		task_take_lent(t);
		switch (ev->kind) {
		case PL_FAULT: {
			const struct run_state *next = guest_fault(t);
			if (next != &run_app)
				return next;
			break;
		}
		case PL_KICK:
			t->nivcsw++;
			return &run_interrupt;
		case PL_FRAME:
			if (sigframe_failed(t))
				return &run_interrupt;
			break;
		case PL_ORDER:
			if (mm_order_failed(t->mm, ev->order_index, ev->order_error))
				break;
			task_group_exit(t, SIGSEGV);
			return &run_exit;
		case PL_SHORT:
			(void)read_again(t);
			break;
		case PL_DEAD:
			return stub_dead(t);
		default:
			BUG("event %d", ev->kind);
		}
	}
}

static const struct run_state *interrupt(struct task *t)
{
	/* Cleared before the work is looked at: what comes later sets them again. */
	atomic_store_explicit(&t->work_pending, false, memory_order_seq_cst);
	fiber_clear_interrupt(t->fiber);
	task_settle_copies(t);
	if (unlikely(task_external_stopped(t)))
		task_wait_external_stops(t);
	if (unlikely(READ_ONCE(t->killed))) {
		task_group_exit(t, SIGKILL);
		return &run_exit;
	}
	return task_deliver_signals(t);
}

/* A system call of a tracee: the stops around it. */
static const struct run_state *syscall_enter(struct task *t)
{
	const struct syscall_table *st = t->kernel->syscalls;
	int64_t r;
	if (ptrace_call_enter(t)) {
		uint32_t nr = (uint32_t)t->syscall_nr;
		if (READ_ONCE(t->seccomp_mode) && !seccomp_check(t, nr, &r)) {
			t->result = r;
		} else {
			nr = (uint32_t)t->syscall_nr; /* the tracer may have replaced it */
			struct fiber_context *c = fiber_context();
			c->no_windows = true; /* the tracer will look at once */
			t->result = nr < st->count && st->rows[nr].fn ? st->rows[nr].fn(t, &t->args) : no_syscall(t, nr);
			c->no_windows = t->kernel->calls_traced;
		}
		if (t->result == -ENOIOCTLCMD)
			t->result = -ENOTTY;
		if (unlikely(t->kernel->calls_traced))
			trace_call(t, TRACE_CALL_EXIT, nr, t->result);
	}
	if (t->after_syscall) {
		const struct run_state *next = t->after_syscall;
		pl_set_result(t->thread, t->result);
		t->after_syscall = NULL;
		return next;
	}
	return &run_syscall_exit;
}

/* Where a call that was taken apart by a state (exec, vfork) comes together again. */
static const struct run_state *syscall_exit(struct task *t)
{
	check_syscall_exit(t);
	pl_set_result(t->thread, t->result);
	if (unlikely(READ_ONCE(t->trace_calls)))
		ptrace_call_exit(t);
	if (t->have_restart_mask)
		return &run_interrupt;
	if (is_restart(t->result) || atomic_load_explicit(&t->work_pending, memory_order_acquire))
		return &run_interrupt;
	return &run_app;
}

static const struct run_state *vfork_wait(struct task *t)
{
	struct vfork_done *v = t->vfork_waiting;
	if (!atomic_load(&v->done)) {
		task_will_block(t);
		/* Killable only: signals wait for the child (vfork(2)). */
		(void)wait_event(&v->wq, atomic_load(&v->done), PARK_KILLABLE, KTIME_MAX);
	}
	t->vfork_waiting = NULL;
	if (unlikely(READ_ONCE(t->trace_calls)))
		ptrace_event(t, PTRACE_EVENT_VFORK_DONE, ptrace_event_nr(t, v->pid));
	vfork_done_put(v);
	return &run_syscall_exit;
}

const struct run_state run_app = { "app", app };
const struct run_state run_interrupt = { "interrupt", interrupt };
const struct run_state run_syscall_enter = { "syscall enter", syscall_enter };
const struct run_state run_syscall_exit = { "syscall exit", syscall_exit };
const struct run_state run_vfork_wait = { "vfork wait", vfork_wait };

/* First steps of a new task on its own fiber. */
static void task_begin(struct task *t)
{
	pl_thread_attach(t->thread, t->fiber);
	if (t->start.stack) {
		struct pl_regs r;
		pl_get_regs(t->thread, &r);
		r.rsp = t->start.stack;
		pl_set_regs(t->thread, &r);
	}
	if (t->start.set_tls)
		pl_set_fs_base(t->thread, t->start.tls);
	time_ns_set_vdso(t);
	if (t->start.child_tid) {
		int tid = task_tid(t, task_pid_ns(t));
		(void)put_user(tid, t->start.child_tid); /* as Linux: a bad pointer is not reported */
	}
}

void task_main(void *arg)
{
	struct task *t = arg;
	if (t->start.abandoned) {
		task_put(t);
		fiber_exit();
	}
	if (t->start.exec) {
		/* The first process: its image was loaded by kernel_create_process() with this thread. */
		pl_thread_attach(t->thread, t->fiber);
		t->state = exec_load_first(t) ? &run_exit : &run_app;
	} else {
		task_begin(t);
		t->state = &run_app;
	}
	while (t->state) {
		const struct run_state *s = t->state;
		t->state = s->run(t);
	}
	mutex_lock(&t->lock);
	t->fiber = NULL;
	mutex_unlock(&t->lock);
	task_put(t);
	fiber_exit();
}
