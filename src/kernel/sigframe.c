/* SPDX-License-Identifier: Apache-2.0 */
/* sigframe.c: signal frames of x86-64 as Linux lays them out (arch/x86/kernel/signal_64.c, fpu/signal.c), and rt_sigreturn.
 *
 *   high    red zone of the interrupted code (128 bytes)
 *           XSAVE area with its software bytes and FP_XSTATE_MAGIC2, 64-byte aligned
 *           struct rt_sigframe: return address (the restorer), ucontext, siginfo
 *   rsp ->  so that rsp % 16 == 8, as behind a call
 *
 * What is not FP state is built in kernel memory and travels with the answer; the stub writes it, and saves and loads the FP state where the
 * frame has it, without the kernel process seeing any of that. A frame that cannot be written is noticed before the handler runs: then all is
 * put back as it was before (sigframe_fault). Unwinders, Go and Java read frames, and hostile guests write them: what comes back is
 * sanitised by pl_set_regs(), and FP state by the CPU.
 */
#include "kernel/internal.h"
#include "kernel/signal.h"
#include "mm/uaccess.h"

struct sigcontext_k {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
_Static_assert(sizeof(struct sigcontext_k) == 256, "struct sigcontext");

struct ucontext_k {
	uint64_t uc_flags, uc_link;
	struct stack_k uc_stack;
	struct sigcontext_k mc;
	uint64_t sigmask;
};
_Static_assert(sizeof(struct ucontext_k) == 304, "struct ucontext");

struct rt_sigframe_k {
	uint64_t pretcode;
	struct ucontext_k uc;
	siginfo_k info;
};
_Static_assert(sizeof(struct rt_sigframe_k) == 440, "struct rt_sigframe");

enum { UC_FP_XSTATE_K = 1, UC_SIGCONTEXT_SS_K = 2, UC_STRICT_RESTORE_SS_K = 4 };
#define SA_RESTORER_K 0x04000000ULL
#define SS_AUTODISARM_K (1U << 31)
#define MINSIGSTKSZ_K 2048
#define RED_ZONE 128
#define USER_CS 0x33
#define USER_DS 0x2b
#define EFLAGS_TF 0x100ULL
#define EFLAGS_DF 0x400ULL
#define EFLAGS_RF 0x10000ULL

/* What the last answer's frame needs if it fails. */
struct sig_scratch {
	bool put;		/* a frame was written; else the FP state of one loaded */
	uaddr_t at, fp;
	size_t len;
	struct pl_regs regs;	/* put: before */
	sigset_k blocked;
	bool have_restart_mask;
	int sig;
	struct stack_k sas;
};

/* From the frame's start to its FP area: what the two alignments always leave between them. */
#define FP_OFFSET (ALIGN_UP(sizeof(struct rt_sigframe_k), 16UL) + 8)

static struct sig_scratch *scratch_get(struct task *t)
{
	if (unlikely(!t->sig_scratch))
		t->sig_scratch = xzalloc(sizeof(struct sig_scratch));
	return t->sig_scratch;
}

/* ---- the alternate stack ---- */

static bool range_holds(struct task *t, uint64_t sp)
{
	return sp > t->sas_ss_sp && sp - t->sas_ss_sp <= t->sas_ss_size;
}

static bool on_sig_stack(struct task *t, uint64_t sp)
{
	/* With SS_AUTODISARM it is off while a handler runs on it: whoever is there has switched away. */
	return !(t->sas_ss_flags & SS_AUTODISARM_K) && range_holds(t, sp);
}

static int sas_ss_flags(struct task *t, uint64_t sp)
{
	if (!t->sas_ss_size)
		return SS_DISABLE;
	return on_sig_stack(t, sp) ? SS_ONSTACK : 0;
}

static void set_stack(struct task *t, uint64_t sp, uint64_t size, uint32_t flags)
{
	t->sas_ss_sp = sp;
	t->sas_ss_size = size;
	t->sas_ss_flags = flags;
	if (t->mask_lent)
		pl_mask_sas(t->thread, sp, size, flags);
}

int task_sigaltstack(struct task *t, const struct stack_k *ss, struct stack_k *old, uint64_t sp, uint64_t min_size)
{
	if (old)
		*old = (struct stack_k){ .ss_sp = t->sas_ss_sp, .ss_size = t->sas_ss_size,
					 .ss_flags = sas_ss_flags(t, sp) | (int)(t->sas_ss_flags & SS_AUTODISARM_K) };
	if (!ss)
		return 0;
	uint32_t mode = (uint32_t)ss->ss_flags & ~SS_AUTODISARM_K;
	uint64_t size = ss->ss_size, start = ss->ss_sp;

	if (on_sig_stack(t, sp))
		return -EPERM;
	if (mode != SS_DISABLE && mode != SS_ONSTACK && mode != 0)
		return -EINVAL;
	if (t->sas_ss_sp == start && t->sas_ss_size == size && t->sas_ss_flags == (uint32_t)ss->ss_flags)
		return 0;
	if (mode == SS_DISABLE)
		start = size = 0;
	else if (size < min_size)
		return -ENOMEM;
	set_stack(t, start, size, (uint32_t)ss->ss_flags);
	return 0;
}

/* ---- set-up ---- */

static void fill_context(struct sigcontext_k *sc, struct task *t, const struct pl_regs *r)
{
	sc->r8 = r->r8, sc->r9 = r->r9, sc->r10 = r->r10, sc->r11 = r->r11;
	sc->r12 = r->r12, sc->r13 = r->r13, sc->r14 = r->r14, sc->r15 = r->r15;
	sc->rdi = r->rdi, sc->rsi = r->rsi, sc->rbp = r->rbp, sc->rbx = r->rbx;
	sc->rdx = r->rdx, sc->rax = r->rax, sc->rcx = r->rcx, sc->rsp = r->rsp;
	sc->rip = r->rip, sc->eflags = r->eflags;
	sc->cs = r->cs, sc->gs = 0, sc->fs = 0, sc->ss = r->ss;
	sc->err = t->fault.err;
	sc->trapno = t->fault.trapno;
	sc->cr2 = t->fault.cr2;
}

int sigframe_setup(struct task *t, struct pl_regs *r, const struct sigaction_k *ka, const siginfo_k *info, sigset_k mask)
{
	struct sig_scratch *s = scratch_get(t);
	struct rt_sigframe_k f;
	uint64_t sp = r->rsp - RED_ZONE, fp;
	bool nested = on_sig_stack(t, r->rsp), entering = false;

	if (!(ka->flags & SA_RESTORER_K))
		return -EFAULT; /* x86-64 has no other way back */
	if ((ka->flags & SA_ONSTACK) && sas_ss_flags(t, sp) == 0) {
		sp = t->sas_ss_sp + t->sas_ss_size;
		entering = true;
	}
	fp = ALIGN_DOWN(sp - pl_xsave_size(t->kernel->platform), 64UL);
	sp = fp - FP_OFFSET;
	/* An alternate stack that is too small must not be run over. */
	if ((nested || entering) && !range_holds(t, sp))
		return -EFAULT;
	if (sp >= PL_TASK_SIZE || fp >= PL_TASK_SIZE - pl_xsave_size(t->kernel->platform))
		return -EFAULT;

	/* What the interrupted call mapped must be there. */
	mm_settle(t->mm);
	memset(&f, 0, sizeof(f));
	f.pretcode = ka->restorer;
	f.uc.uc_flags = UC_FP_XSTATE_K | UC_SIGCONTEXT_SS_K | UC_STRICT_RESTORE_SS_K;
	f.uc.uc_stack = (struct stack_k){ .ss_sp = t->sas_ss_sp, .ss_flags = t->sas_ss_flags, .ss_size = t->sas_ss_size };
	fill_context(&f.uc.mc, t, r);
	f.uc.mc.oldmask = mask;
	f.uc.mc.fpstate = fp;
	f.uc.sigmask = mask;
	f.info = *info;
	f.info.pad0 = 0;
	s->put = true;
	s->at = sp;
	s->fp = fp;
	s->len = ka->flags & SA_SIGINFO ? sizeof(f) : offsetof(struct rt_sigframe_k, info);
	s->regs = *r;
	s->blocked = t->blocked;
	s->have_restart_mask = t->have_restart_mask;
	s->sig = info->si_signo;
	s->sas = f.uc.uc_stack;
	pl_frame_put(t->thread, sp, &f, s->len, fp);

	if (t->sas_ss_flags & SS_AUTODISARM_K)
		set_stack(t, 0, 0, SS_DISABLE);
	r->rdi = info->si_signo;
	r->rax = 0;
	r->rsi = sp + offsetof(struct rt_sigframe_k, info);
	r->rdx = sp + offsetof(struct rt_sigframe_k, uc);
	r->rip = ka->handler;
	r->rsp = sp;
	r->cs = USER_CS;
	r->ss = USER_DS;
	r->eflags &= ~(EFLAGS_DF | EFLAGS_RF | EFLAGS_TF);
	return 0;
}

/* No frame for sig: SIGSEGV, and if it was that, not to a handler: it would have the same stack. */
void sigframe_refused(struct task *t, int sig)
{
	siginfo_k segv = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };

	if (sig == SIGSEGV) {
		signal_lock(t);
		t->tg->sighand->action[SIGSEGV].handler = 0;
		task_recall_actions(t);
		signal_unlock(t);
	}
	task_force_signal(t, &segv);
}

/* The stub met a fault in a frame. True: a fault like any other, which is repaired: once more. False: SIGSEGV was sent. */
static bool sigframe_fault(struct task *t)
{
	struct sig_scratch *s = scratch_get(t);
	struct pl_fault f;
	struct pl_regs r;
	int code;

	pl_frame_fault(t->thread, &f);
	if (f.trapno == 14 && mm_fault(t->mm, f.addr, f.err, &code)) {
		if (s->put)
			pl_frame_put(t->thread, s->at, NULL, s->len, s->fp);
		else
			pl_frame_fp(t->thread, s->fp);
		return true;
	}
	log_debug("task %d (%s): bad signal frame at %#lx", task_tid(t, task_pid_ns(t)), t->comm, (unsigned long)s->at);
	set_stack(t, s->sas.ss_sp, s->sas.ss_size, (uint32_t)s->sas.ss_flags);
	t->syscall_nr = -1;
	if (s->put) {
		t->have_restart_mask = s->have_restart_mask;
		task_set_blocked(t, s->blocked);
		pl_set_regs(t->thread, &s->regs);
		sigframe_refused(t, s->sig);
	} else {
		pl_get_regs(t->thread, &r);
		r.rax = 0;
		pl_set_regs(t->thread, &r);
		sigframe_refused(t, 0);
	}
	return false;
}

bool sigframe_failed(struct task *t) { return !sigframe_fault(t); }

bool sigframe_flush(struct task *t)
{
	int err;

	while (pl_frame_waits(t->thread)) {
		err = pl_frame_flush(t->thread);
		if (err == -EFAULT && !sigframe_fault(t))
			return false;
		if (err && err != -EFAULT)
			break; /* the stub is dead, which the next run will find */
	}
	return true;
}

/* ---- rt_sigreturn ---- */

/* AC, OF, DF, TF, SF, ZF, AF, PF, CF, RF: what user code may set */
#define FIX_EFLAGS 0x50dd5ULL

static void restore_context(struct pl_regs *r, const struct sigcontext_k *sc)
{
	r->r8 = sc->r8, r->r9 = sc->r9, r->r10 = sc->r10, r->r11 = sc->r11;
	r->r12 = sc->r12, r->r13 = sc->r13, r->r14 = sc->r14, r->r15 = sc->r15;
	r->rdi = sc->rdi, r->rsi = sc->rsi, r->rbp = sc->rbp, r->rbx = sc->rbx;
	r->rdx = sc->rdx, r->rax = sc->rax, r->rcx = sc->rcx, r->rsp = sc->rsp;
	r->rip = sc->rip;
	r->cs = sc->cs | 3;
	r->ss = sc->ss | 3;
	r->eflags = (r->eflags & ~FIX_EFLAGS) | (sc->eflags & FIX_EFLAGS);
	r->orig_rax = -1ULL;
}

static long bad_frame(struct task *t, uint64_t at)
{
	log_debug("task %d (%s): bad signal frame at %#lx", task_tid(t, task_pid_ns(t)), t->comm, (unsigned long)at);
	t->syscall_nr = -1;
	sigframe_refused(t, 0);
	return 0;
}

long sigframe_return(struct task *t)
{
	struct sig_scratch *s = scratch_get(t);
	struct ucontext_k uc;
	struct pl_regs r;

	pl_get_regs(t->thread, &r);
	uint64_t at = r.rsp - 8; /* the restorer's address has been popped */

	/* The stub sent it along. */
	if (at >= PL_TASK_SIZE - sizeof(struct rt_sigframe_k) || get_user(uc, r.rsp))
		return bad_frame(t, at);
	restore_context(&r, &uc.mc);
	task_set_blocked(t, uc.sigmask);
	if (uc.mc.fpstate > PL_TASK_SIZE - pl_xsave_size(t->kernel->platform)) {
		r.rax = 0;
		pl_set_regs(t->thread, &r);
		return bad_frame(t, at);
	}
	*s = (struct sig_scratch){ .at = at, .fp = uc.mc.fpstate,
				   .sas = { .ss_sp = t->sas_ss_sp, .ss_flags = (int)t->sas_ss_flags, .ss_size = t->sas_ss_size } };
	pl_frame_fp(t->thread, uc.mc.fpstate);
	/* Errors of a bad uc_stack do not matter, as on Linux. */
	task_sigaltstack(t, &uc.uc_stack, NULL, r.rsp, MINSIGSTKSZ_K);
	pl_set_regs(t->thread, &r);
	t->syscall_nr = -1; /* rax is the guest's own: never a restart code */
	if (unlikely(t->ptrace) && !sigframe_flush(t))
		return 0;
	task_lend_mask(t);
	return r.rax;
}
