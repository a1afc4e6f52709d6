/* SPDX-License-Identifier: Apache-2.0 */
/* sigframe.c: signal frames of x86-64 as Linux lays them out (arch/x86/kernel/signal_64.c, fpu/signal.c), and rt_sigreturn.
 *
 *   high    red zone of the interrupted code (128 bytes)
 *           XSAVE area with its software bytes and FP_XSTATE_MAGIC2, 64-byte aligned
 *           struct rt_sigframe: return address (the restorer), ucontext, siginfo
 *   rsp ->  so that rsp % 16 == 8, as behind a call
 *
 * The whole frame is built in kernel memory and goes out in one copy; it comes back in one copy too. Unwinders, Go and Java read
 * it, and hostile guests write it: nothing in it is used before pl_set_regs() or pl_set_xsave() has sanitised it.
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
#define FP_MAGIC1 0x46505853U
#define FP_MAGIC2 0x46505845U
#define FXSAVE_SIZE 512

/* The scratch memory of a task: the clean FP state that a handler starts with, and room for one frame. */
struct sig_scratch {
	size_t xsize;
	uint8_t *init_fp;
	uint8_t frame[] __attribute__((aligned(16)));
};

static void fp_software_bytes(struct task *t, uint8_t *fp, size_t size)
{
	struct { uint32_t magic1, extended_size; uint64_t xfeatures; uint32_t xstate_size, pad[7]; } sw = {
		.magic1 = FP_MAGIC1, .extended_size = size, .xfeatures = pl_xfeatures(t->kernel->platform), .xstate_size = size - 4,
	};
	uint32_t magic2 = FP_MAGIC2;

	memcpy(fp + 464, &sw, sizeof(sw));
	memcpy(fp + size - 4, &magic2, 4);
}

/* From the frame's start to its FP area: what the two alignments always leave between them. */
#define FP_OFFSET (ALIGN_UP(sizeof(struct rt_sigframe_k), 16UL) + 8)

static size_t frame_room(size_t xsize)
{
	return FP_OFFSET + xsize;
}

static struct sig_scratch *scratch_get(struct task *t)
{
	struct sig_scratch *s = t->sig_scratch;

	if (likely(s))
		return s;
	size_t xsize = pl_xsave_size(t->kernel->platform);
	size_t room = ALIGN_UP(frame_room(xsize), (size_t)64);

	s = xzalloc(sizeof(*s) + room + xsize);
	s->xsize = xsize;
	s->init_fp = s->frame + room;
	/* FCW and MXCSR as after FNINIT; no component is marked as in use. */
	*(uint16_t *)(void *)s->init_fp = 0x37f;
	*(uint32_t *)(void *)(s->init_fp + 24) = 0x1f80;
	if (xsize > FXSAVE_SIZE + 64)
		fp_software_bytes(t, s->init_fp, xsize);
	t->sig_scratch = s;
	return s;
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
	t->sas_ss_sp = start;
	t->sas_ss_size = size;
	t->sas_ss_flags = ss->ss_flags;
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
	struct rt_sigframe_k *f = (void *)s->frame;
	uint64_t sp = r->rsp - RED_ZONE, fp;
	bool nested = on_sig_stack(t, r->rsp), entering = false;

	if (!(ka->flags & SA_RESTORER_K))
		return -EFAULT; /* x86-64 has no other way back */
	if ((ka->flags & SA_ONSTACK) && sas_ss_flags(t, sp) == 0) {
		sp = t->sas_ss_sp + t->sas_ss_size;
		entering = true;
	}
	fp = ALIGN_DOWN(sp - s->xsize, 64UL);
	sp = fp - FP_OFFSET;
	/* An alternate stack that is too small must not be run over. */
	if ((nested || entering) && !range_holds(t, sp))
		return -EFAULT;
	if (sp >= PL_TASK_SIZE || fp >= PL_TASK_SIZE)
		return -EFAULT;

	memset(f, 0, FP_OFFSET);
	f->pretcode = ka->restorer;
	f->uc.uc_flags = UC_FP_XSTATE_K | UC_SIGCONTEXT_SS_K | UC_STRICT_RESTORE_SS_K;
	f->uc.uc_stack = (struct stack_k){ .ss_sp = t->sas_ss_sp, .ss_flags = t->sas_ss_flags, .ss_size = t->sas_ss_size };
	fill_context(&f->uc.mc, t, r);
	f->uc.mc.oldmask = mask;
	f->uc.mc.fpstate = fp;
	f->uc.sigmask = mask;
	f->info = *info;
	f->info.pad0 = 0;
	int n = pl_get_xsave(t->thread, s->frame + FP_OFFSET, s->xsize);

	if (n < 0)
		return n;
	/* Written at once where another thread may take the page away before the answer: a frame that is not there must be noticed now. */
	if (t->mm_shared ? mm_write(t->mm, sp, s->frame, frame_room(s->xsize)) != frame_room(s->xsize)
			 : copy_to_user(sp, s->frame, frame_room(s->xsize)))
		return -EFAULT;
	/* The handler starts with a clean FP unit, as on Linux. */
	pl_set_xsave(t->thread, s->init_fp, s->xsize);

	if (t->sas_ss_flags & SS_AUTODISARM_K) {
		t->sas_ss_sp = t->sas_ss_size = 0;
		t->sas_ss_flags = SS_DISABLE;
	}
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

/* fp: at most n bytes of the guest's FP area, at least FXSAVE_SIZE. */
static int restore_fp(struct task *t, struct sig_scratch *s, uint8_t *fp, size_t n)
{
	uint32_t magic1, magic2 = 0;

	memcpy(&magic1, fp + 464, 4);
	if (n >= s->xsize)
		memcpy(&magic2, fp + s->xsize - 4, 4);
	if (magic1 == FP_MAGIC1 && magic2 == FP_MAGIC2)
		return pl_set_xsave(t->thread, fp, s->xsize);
	/* A frame without (or with another) extended area: x87 and SSE from it, the rest clean. */
	uint8_t *buf = s->frame;

	memmove(buf, fp, FXSAVE_SIZE);
	memset(buf + FXSAVE_SIZE, 0, s->xsize - FXSAVE_SIZE);
	if (s->xsize > FXSAVE_SIZE + 64) {
		uint64_t bv = 3;

		fp_software_bytes(t, buf, s->xsize);
		memcpy(buf + FXSAVE_SIZE, &bv, 8);
	}
	return pl_set_xsave(t->thread, buf, s->xsize);
}

static long bad_frame(struct task *t, uint64_t at)
{
	siginfo_k info = { .si_signo = SIGSEGV, .si_code = SI_KERNEL };

	log_debug("task %d (%s): bad signal frame at %#lx", task_tid(t, task_pid_ns(t)), t->comm, (unsigned long)at);
	t->syscall_nr = -1;
	task_force_signal(t, &info);
	return 0;
}

long sigframe_return(struct task *t)
{
	struct sig_scratch *s = scratch_get(t);
	struct rt_sigframe_k *f = (void *)s->frame;
	struct pl_regs r;

	pl_get_regs(t->thread, &r);
	uint64_t at = r.rsp - 8; /* the restorer's address has been popped */
	size_t got = copy_from_user_partial(s->frame, at, frame_room(s->xsize));

	if (got < sizeof(*f))
		return bad_frame(t, at);
	uint64_t fpaddr = f->uc.mc.fpstate;
	sigset_k mask = f->uc.sigmask;
	struct stack_k ss = f->uc.uc_stack;

	restore_context(&r, &f->uc.mc);
	task_set_blocked(t, mask);
	int err = 0;

	if (!fpaddr) {
		err = pl_set_xsave(t->thread, s->init_fp, s->xsize);
	} else if (fpaddr >= at && fpaddr - at <= got && got - (fpaddr - at) >= s->xsize) {
		err = restore_fp(t, s, s->frame + (fpaddr - at), s->xsize);
	} else {
		/* Not where we put it: a frame that the guest made or moved. f is not used any more. */
		got = copy_from_user_partial(s->frame, fpaddr, s->xsize);
		err = got < FXSAVE_SIZE ? -EFAULT : restore_fp(t, s, s->frame, got);
	}
	if (err < 0)
		return bad_frame(t, at);
	/* Errors of a bad uc_stack do not matter, as on Linux. */
	task_sigaltstack(t, &ss, NULL, r.rsp, MINSIGSTKSZ_K);
	pl_set_regs(t->thread, &r);
	t->syscall_nr = -1; /* rax is the guest's own: never a restart code */
	return r.rax;
}
