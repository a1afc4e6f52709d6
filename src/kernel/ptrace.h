/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace.h: a task that is traced, and what the rest of the kernel tells ptrace about. task.tracer tells whether t is traced; the
 * functions for "own fiber" may be called with any task, traced or not. */
#ifndef BAILEY_KERNEL_PTRACE_H
#define BAILEY_KERNEL_PTRACE_H
#include "kernel/task.h"
#include <linux/ptrace.h>

enum ptrace_syscall_mode { TRACE_NO_CALLS, TRACE_CALLS, TRACE_EMULATE };

struct ptrace_request { /* what the tracer asks the tracee's fiber to do while it is stopped; on the tracer's stack */
	long (*fn)(struct task *t, void *arg);
	void *arg;
	long result;
	bool done;
	struct fiber *waiter;
};

struct ptrace_state { /* of a tracee; allocated when it is first traced, freed with the task */
	/* signal lock of the tracee; the own fiber reads what only its tracer changes while it is stopped */
	unsigned options;	      /* PTRACE_O_* */
	bool seized, listening, have_info;
	uint8_t calls;		      /* enum ptrace_syscall_mode: how it was resumed */
	bool step;
	int code;		      /* of the stop: what wait tells, then the signal that it was resumed with */
	bool waitable;
	int why;		      /* CLD_TRAPPED or CLD_STOPPED */
	uint64_t message;
	siginfo_k info;		      /* have_info: last_siginfo */
	struct ptrace_request *request;
	/* own fiber */
	bool forced_tf;		      /* the trap flag is ours, not the guest's */
	uint64_t debugreg[8];	      /* its tracer writes them while it is stopped */
	bool watch;		      /* some of them are switched on */
	uint64_t watched[4];	      /* what was there before the instruction */
};

/* ---- ptrace.c ---- */
long task_ptrace(struct task *t, long request, int pid, uint64_t addr, uint64_t data);
/* What the mappings of mm forbid, if mm is the caller's or that of a stopped tracee of his (/proc/PID/mem). Bytes. */
size_t ptrace_mm_access(struct mm *mm, uaddr_t addr, void *buf, size_t n, bool write);
long ptrace_set_ptracer(struct task *t, int64_t nr); /* PR_SET_PTRACER: a process, 0: nobody, -1: everybody */
bool ptrace_yama_allows(struct task *t, struct task *o); /* /proc/sys/kernel/yama/ptrace_scope; for accesses as by an attach */
void ptrace_link_locked(struct task *t, struct task *tracer, unsigned options, bool seized); /* task_set.lock and signal lock */
void ptrace_unlink_locked(struct task *t);   /* task_set.lock; the tracee is dead or dying, or has been resumed */
void ptrace_exit_tracer_locked(struct task *t); /* task_set.lock: t dies, what it traced goes on */
/* clone: under task_set.lock and the signal lock of t; child is linked to the tree but has not run. */
void ptrace_clone_locked(struct task *child, struct task *t, uint64_t clone_flags, int event);
int ptrace_clone_event(struct task *t, uint64_t clone_flags, int exit_signal); /* PTRACE_EVENT_* to tell, or 0 */

long ptrace_on_tracee(struct task *t, struct task *o, long (*fn)(struct task *, void *), void *arg); /* on its fiber; it is t's, and stopped */

/* ---- ptrace_user.c ---- */
long ptrace_user_request(struct task *t, struct task *o, long request, uint64_t addr, uint64_t data); /* registers; -EIO: not one of them */

/* ---- ptrace_stop.c: own fiber unless it says _locked ---- */
/* Stop until the tracer goes on: the signal it was resumed with. No locks held. Returns at once, 0, when nobody traces or t is killed. */
int ptrace_stop(struct task *t, int code, int why, uint64_t message, const siginfo_k *info);
void ptrace_event(struct task *t, int event, uint64_t message); /* if its option is set */
int ptrace_event_nr(struct task *t, struct pid *p); /* as its tracer sees it */
bool ptrace_event_enabled(struct task *t, int event);
void ptrace_exec(struct task *t, int old_nr);
int ptrace_signal(struct task *t, int sig, siginfo_k *info); /* signal-delivery-stop: the number to deliver, or 0 */
void ptrace_trap(struct task *t);  /* group stops and INTERRUPT */
bool ptrace_call_enter(struct task *t); /* false: the call is not made, t->result is its result */
void ptrace_call_exit(struct task *t);
void ptrace_step_clear(struct task *t);
void ptrace_step_set(struct task *t); /* before the guest runs on */
/* A trap after one instruction. True: it was only made to look at the debug registers, and they say nothing. Else *code is its si_code. */
bool ptrace_watch_step(struct task *t, int *code);
long ptrace_set_debugreg(struct ptrace_state *p, unsigned n, uint64_t v); /* of a stopped tracee */
void ptrace_step_report(struct task *t); /* a handler's first instruction */
void ptrace_notify_locked(struct task *t); /* signal lock: SIGCONT, INTERRUPT: a stopped listener stops anew */
bool ptrace_suspends_seccomp(struct task *t); /* PTRACE_O_SUSPEND_SECCOMP */
void ptrace_exit(struct task *t); /* PTRACE_EVENT_EXIT, also of one that was killed */
bool ptrace_seccomp(struct task *t, uint32_t data); /* SECCOMP_RET_TRACE: false: the call is not made, t->result */
void ptrace_signal_tracer_locked(struct task *t, int code, int status); /* task_set.lock */

/* ---- ptrace_regs.c: own fiber of the stopped tracee ---- */
struct user_fp;
void ptrace_get_user_regs(struct task *t, struct pl_regs *r);
long ptrace_set_user_regs(struct task *t, const void *regs, size_t n); /* the first n bytes of them */
/* FP state as NT_PRFPREG has it, or as NT_X86_XSTATE: pl_xsave_size() - 4 bytes, but at least 512 */
long ptrace_get_fp(struct task *t, void *buf, bool xstate);
long ptrace_set_fp(struct task *t, const void *buf, bool xstate);
/* The debugger's view of memory: reads and writes what its mappings forbid, as FOLL_FORCE. Bytes. */
size_t ptrace_access(struct task *t, uaddr_t addr, void *buf, size_t n, bool write);

#endif
