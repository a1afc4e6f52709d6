/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace_stop.c: the tracee's side of ptrace(2): its stops.
 *
 * OVERVIEW: a tracee stops on its own fiber: at a system call, at an event, before a signal is delivered, in a group stop. It tells its
 * tracer and parks until it is resumed or killed. Meanwhile it works for its tracer: registers and memory belong to this fiber, so a
 * request that needs them is handed over (ptrace_state.request) and carried out here.
 * LOCKS: the state under the tracee's signal lock; task_set.lock around the telling, so that the tracer cannot go meanwhile.
 */
#include "kernel/internal.h"
#include "kernel/ptrace.h"
#include "platform/patch.h"

#define EFLAGS_TF 0x100ULL

/* SIGCHLD to the tracer, and its wait. */
void ptrace_signal_tracer_locked(struct task *t, int code, int status)
{
	struct task *tr = t->tracer;
	if (!tr)
		return;
	signal_lock(tr);
	struct sigaction_k *sa = &tr->tg->sighand->action[SIGCHLD];
	bool exited = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
	if (sa->handler != (uint64_t)(uintptr_t)SIG_IGN && (exited || !(sa->flags & SA_NOCLDSTOP))) {
		siginfo_k info;
		memset(&info, 0, sizeof(info));
		info.si_signo = SIGCHLD;
		info.si_code = code;
		info.chld.pid = pid_nr(t->pid, task_pid_ns(tr));
		info.chld.uid = from_kuid(tr->cred->user_ns, t->cred->uid);
		info.chld.status = status;
		task_send_signal_locked(tr, &info, true);
	}
	signal_unlock(tr);
	wait_queue_wake_all(&tr->tg->child_wait, 0);
}

/* Carry out what the tracer hands over, until it resumes us. */
static void serve(struct task *t, struct ptrace_state *p)
{
	int err = 0;
	for (;;) {
		signal_lock(t);
		struct ptrace_request *q = p->request;
		if (err || t->killed)
			t->stop = STOP_NONE;
		bool over = t->stop == STOP_NONE;
		p->request = NULL;
		signal_unlock(t);
		if (q) {
			q->result = over ? -ESRCH : q->fn(t, q->arg);
			struct fiber *w = q->waiter;
			__atomic_store_n(&q->done, true, __ATOMIC_RELEASE);
			fiber_wake(w);
		}
		if (over)
			return;
		if (!q)
			err = fiber_park(PARK_KILLABLE, KTIME_MAX);
	}
}

int ptrace_stop(struct task *t, int code, int why, uint64_t message, const siginfo_k *info)
{
	struct kernel *k = t->kernel;
	struct ptrace_state *p = t->ptrace;
	if (!t->tracer || !p || READ_ONCE(t->killed))
		return 0;
	/* Whoever looks at it now must find what its calls did, its own code, and registers without our trap flag. */
	if (t->mm)
		mm_settle(t->mm);
	if (t->thread)
		task_settle_copies(t);
	task_take_lent(t);
	task_recall_actions(t);
	task_recall_mask(t);
	if (t->thread)
		platform_patch_undo(t->thread);
	ptrace_step_clear(t);
	task_will_block(t);
	mutex_lock(&k->tasks.lock);
	signal_lock(t);
	if (!t->tracer || t->killed) {
		signal_unlock(t);
		mutex_unlock(&k->tasks.lock);
		return 0;
	}
	p->code = code;
	p->why = why;
	p->message = message;
	p->have_info = info != NULL;
	if (info)
		p->info = *info;
	p->waitable = true;
	p->listening = false;
	p->step = false;
	p->calls = TRACE_NO_CALLS;
	task_set_stop(t, STOP_PTRACE);
	signal_unlock(t);
	ptrace_signal_tracer_locked(t, why, code & 0x7f);
	mutex_unlock(&k->tasks.lock);
	serve(t, p);
	signal_lock(t);
	code = t->killed ? 0 : p->code;
	p->waitable = p->listening = p->have_info = false;
	signal_unlock(t);
	return code;
}

static void trap_info(struct task *t, siginfo_k *i, int code)
{
	siginfo_user(i, SIGTRAP, code, t, t);
}

bool ptrace_event_enabled(struct task *t, int event)
{
	struct ptrace_state *p = t->ptrace;
	return t->tracer && p && (READ_ONCE(p->options) & (1u << event));
}

int ptrace_event_nr(struct task *t, struct pid *p)
{
	guard(mutex)(&t->kernel->tasks.lock);
	return t->tracer ? pid_nr(p, task_pid_ns(t->tracer)) : 0;
}

void ptrace_event(struct task *t, int event, uint64_t message)
{
	siginfo_k i;
	if (!ptrace_event_enabled(t, event))
		return;
	trap_info(t, &i, SIGTRAP | event << 8);
	ptrace_stop(t, SIGTRAP | event << 8, CLD_TRAPPED, message, &i);
}

bool ptrace_suspends_seccomp(struct task *t)
{
	struct ptrace_state *p = t->ptrace;

	return t->tracer && p && (READ_ONCE(p->options) & PTRACE_O_SUSPEND_SECCOMP);
}

void ptrace_exit(struct task *t)
{
	if (!ptrace_event_enabled(t, PTRACE_EVENT_EXIT))
		return;
	/* The kill has been taken, and there is no second one: only its tracer lets it go on. */
	signal_lock(t);
	bool killed = t->killed;
	t->killed = false;
	sigpending_flush_mask(&t->pending, SIGMASK(SIGKILL));
	fiber_clear_kill(t->fiber);
	signal_unlock(t);
	ptrace_event(t, PTRACE_EVENT_EXIT, (unsigned)t->exit_code);
	signal_lock(t);
	t->killed |= killed;
	signal_unlock(t);
}

void ptrace_exec(struct task *t, int old_nr)
{
	if (!t->tracer)
		return;
	memset(t->ptrace->debugreg, 0, sizeof(t->ptrace->debugreg));
	t->ptrace->watch = false;
	if (ptrace_event_enabled(t, PTRACE_EVENT_EXEC)) {
		ptrace_event(t, PTRACE_EVENT_EXEC, old_nr);
	} else if (!t->ptrace->seized) {
		siginfo_k i;
		siginfo_user(&i, SIGTRAP, SI_USER, t, t);
		task_send_signal(t, &i, false);
	}
}

int ptrace_signal(struct task *t, int sig, siginfo_k *info)
{
	int r = ptrace_stop(t, sig, CLD_TRAPPED, 0, info);
	struct ptrace_state *p = t->ptrace;
	if (t->killed || r <= 0 || r > NSIG_K)
		return 0;
	*info = p->info; /* PTRACE_SETSIGINFO */
	if (r != info->si_signo) {
		mutex_lock(&t->kernel->tasks.lock);
		siginfo_user(info, r, SI_USER, t->tracer, t);
		mutex_unlock(&t->kernel->tasks.lock);
	}
	if (t->blocked & SIGMASK(r)) {
		task_send_signal(t, info, false);
		return 0;
	}
	return r;
}

/* A group stop that t takes part in, or the trap that PTRACE_INTERRUPT and SIGCONT ask of a seized one. */
void ptrace_trap(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct ptrace_state *p = t->ptrace;
	signal_lock(t);
	bool stopped = tg->group_stop_complete || tg->group_stop_remaining || t->group_stop_acked;
	int sig = stopped ? tg->group_stop_signal : SIGTRAP;
	bool seized = p->seized;
	t->trap_stop_pending = false;
	signal_unlock(t);
	if (!seized) {
		ptrace_stop(t, stopped ? sig : SIGSTOP, CLD_STOPPED, 0, NULL);
		return;
	}
	siginfo_k i;
	trap_info(t, &i, sig | PTRACE_EVENT_STOP << 8);
	i.si_signo = sig;
	ptrace_stop(t, sig | PTRACE_EVENT_STOP << 8, stopped ? CLD_STOPPED : CLD_TRAPPED, 0, &i);
}

void ptrace_notify_locked(struct task *t)
{
	struct ptrace_state *p = t->ptrace;
	if (!t->tracer || !p || !p->seized || t->exit_state != TASK_EXIT_NONE)
		return;
	t->trap_stop_pending = true;
	atomic_store(&t->work_pending, true);
	if (t->stop != STOP_PTRACE)
		task_interrupt(t);
	else if (p->listening)
		task_set_stop(t, STOP_NONE);
}

/* ---- system calls ---- */

static void call_stop(struct task *t, uint64_t message)
{
	struct ptrace_state *p = t->ptrace;
	int code = SIGTRAP | (p->options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0), sig;
	siginfo_k i;
	trap_info(t, &i, code);
	sig = ptrace_stop(t, code, CLD_TRAPPED, message, &i);
	if (sig > 0 && sig <= NSIG_K) {
		siginfo_user(&i, sig, SI_USER, NULL, t);
		i.si_code = SI_KERNEL;
		task_send_signal(t, &i, false);
	}
}

/* The tracer may have changed number and arguments. */
static bool reload_call(struct task *t)
{
	struct pl_regs r;
	pl_get_regs(t->thread, &r);
	t->syscall_nr = (uint32_t)r.orig_rax;
	t->args = (struct syscall_args){ { r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9 } };
	if ((int32_t)r.orig_rax >= 0)
		return true;
	t->result = (int64_t)r.rax;
	return false;
}

bool ptrace_call_enter(struct task *t)
{
	struct ptrace_state *p = t->ptrace;
	uint8_t calls;
	if (!p || !READ_ONCE(t->tracer))
		return true;
	calls = READ_ONCE(p->calls);
	ptrace_step_clear(t);
	if (calls == TRACE_NO_CALLS)
		return true;
	pl_set_result(t->thread, -ENOSYS);
	t->result = -ENOSYS;
	call_stop(t, PTRACE_EVENTMSG_SYSCALL_ENTRY);
	if (t->killed) {
		t->result = -EINTR;
		return false;
	}
	bool go = reload_call(t);
	if (calls == TRACE_EMULATE) {
		struct pl_regs r;
		pl_get_regs(t->thread, &r);
		t->result = (int64_t)r.rax;
		t->syscall_nr = -1;
		return false;
	}
	return go;
}

bool ptrace_seccomp(struct task *t, uint32_t data)
{
	siginfo_k i;
	int code = SIGTRAP | PTRACE_EVENT_SECCOMP << 8;
	pl_set_result(t->thread, -ENOSYS);
	t->result = -ENOSYS;
	if (!ptrace_event_enabled(t, PTRACE_EVENT_SECCOMP))
		return false;
	trap_info(t, &i, code);
	ptrace_stop(t, code, CLD_TRAPPED, data, &i);
	return !t->killed && reload_call(t);
}

void ptrace_call_exit(struct task *t)
{
	struct ptrace_state *p = t->ptrace;
	siginfo_k i;
	if (!p || !READ_ONCE(t->tracer))
		return;
	if (READ_ONCE(p->calls) == TRACE_CALLS) {
		call_stop(t, PTRACE_EVENTMSG_SYSCALL_EXIT);
		if (p->step || p->watch)
			atomic_store(&t->work_pending, true);
	} else if (p->watch && !p->step) {
		atomic_store(&t->work_pending, true);
	} else if (p->step && p->calls == TRACE_EMULATE) {
		atomic_store(&t->work_pending, true); /* the next instruction is what it steps over */
	} else if (p->step) {
		/* Stepping over the instruction: the next one has not run. */
		memset(&i, 0, sizeof(i));
		struct pl_regs r;
		pl_get_regs(t->thread, &r);
		i.si_signo = SIGTRAP;
		i.si_code = TRAP_BRKPT; /* so does x86 */
		i.fault.addr = r.rip;
		p->step = false;
		task_force_signal(t, &i);
	}
}

/* ---- single steps ---- */

void ptrace_step_clear(struct task *t)
{
	struct ptrace_state *p = t->ptrace;
	struct pl_regs r;
	if (!p || !p->forced_tf || !t->thread)
		return;
	p->forced_tf = false;
	pl_get_regs(t->thread, &r);
	r.eflags &= ~EFLAGS_TF;
	pl_set_regs(t->thread, &r);
}

/* ---- debug registers ----
 * The CPU's own are out of reach from the jail, so a tracee that has some switched on is stepped, and looked at after each
 * instruction: execution breakpoints by rip, watched writes by what they change. Reads cannot be seen. */

enum { DR_EXECUTE, DR_WRITE, DR_IO, DR_READ_WRITE };
static bool dr_on(uint64_t dr7, unsigned n) { return dr7 >> 2 * n & 3; }
static unsigned dr_type(uint64_t dr7, unsigned n) { return dr7 >> (16 + 4 * n) & 3; }
static unsigned dr_len(uint64_t dr7, unsigned n)
{
	static const uint8_t len[] = { 1, 2, 8, 4 };
	return len[dr7 >> (18 + 4 * n) & 3];
}

static int dr_check(uint64_t dr7, unsigned n, uint64_t addr)
{
	if (!dr_on(dr7, n))
		return 0;
	unsigned len = dr_len(dr7, n), type = dr_type(dr7, n);
	if (type == DR_IO || addr >= PL_TASK_SIZE || (addr & (len - 1)) || (type == DR_EXECUTE && len != 1))
		return -EINVAL;
	return type == DR_READ_WRITE ? -ENOSPC : 0;
}

long ptrace_set_debugreg(struct ptrace_state *p, unsigned n, uint64_t v)
{
	uint64_t dr7 = n == 7 ? v : p->debugreg[7];
	int r = 0;
	if (n == 4 || n == 5)
		return -EIO;
	if (n < 4 && v >= PL_TASK_SIZE)
		return -EINVAL;
	for (unsigned i = 0; i < 4 && !r && n != 6; i++)
		r = dr_check(dr7, i, n == i ? v : p->debugreg[i]);
	if (r)
		return r;
	p->debugreg[n] = v;
	p->watch = dr7 & 0xff;
	return 0;
}

static uint64_t watched_value(struct task *t, struct ptrace_state *p, unsigned n)
{
	uint64_t v = 0;
	(void)mm_read(t->mm, &v, p->debugreg[n], dr_len(p->debugreg[7], n));
	return v;
}

static void watch_load(struct task *t, struct ptrace_state *p)
{
	for (unsigned n = 0; n < 4; n++)
		if (dr_on(p->debugreg[7], n) && dr_type(p->debugreg[7], n) == DR_WRITE)
			p->watched[n] = watched_value(t, p, n);
}

bool ptrace_watch_step(struct task *t, int *code)
{
	struct ptrace_state *p = t->ptrace;
	struct pl_regs r;
	unsigned hits = 0;
	if (!p || !t->tracer || !p->watch || !p->forced_tf)
		return false;
	pl_get_regs(t->thread, &r);
	for (unsigned n = 0; n < 4; n++) {
		uint64_t v;
		if (!dr_on(p->debugreg[7], n))
			continue;
		if (dr_type(p->debugreg[7], n) == DR_EXECUTE) {
			hits |= (r.rip == p->debugreg[n]) << n;
			continue;
		}
		v = watched_value(t, p, n);
		hits |= (v != p->watched[n]) << n;
		p->watched[n] = v;
	}
	if (!hits)
		return !p->step;
	p->debugreg[6] = (p->debugreg[6] & ~0xfULL) | hits;
	*code = TRAP_HWBKPT;
	return false;
}

/* Is the next instruction popf or iret? The trap flag is what it says then, not ours to take away. */
static bool sets_trap_flag(struct task *t, uint64_t rip)
{
	uint8_t b[15];
	size_t n = mm_read(t->mm, b, rip, sizeof(b));
	for (size_t i = 0; i < n; i++)
		switch (b[i]) {
		case 0x9d: case 0xcf:
			return true;
		case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64 ... 0x67: case 0xf0: case 0xf2: case 0xf3: case 0x40 ... 0x4f:
			continue; /* prefixes */
		default:
			return false;
		}
	return false;
}

void ptrace_step_set(struct task *t)
{
	struct ptrace_state *p = t->ptrace;
	struct pl_regs r;
	if (!p || !(p->step || p->watch) || !t->tracer)
		return;
	if (p->watch)
		watch_load(t, p);
	pl_get_regs(t->thread, &r);
	if (r.eflags & EFLAGS_TF)
		return;
	p->forced_tf = p->watch || !sets_trap_flag(t, r.rip);
	r.eflags |= EFLAGS_TF;
	pl_set_regs(t->thread, &r);
}

void ptrace_step_report(struct task *t)
{
	struct ptrace_state *p = t->ptrace;
	siginfo_k i;
	if (!p || !t->tracer || !p->step)
		return;
	trap_info(t, &i, SIGTRAP);
	int sig = ptrace_stop(t, SIGTRAP, CLD_TRAPPED, 0, &i);
	if (sig > 0 && sig <= NSIG_K) {
		siginfo_user(&i, sig, SI_USER, NULL, t);
		task_send_signal(t, &i, false);
	}
}
