/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace_user.c: ptrace(2), the tracer's side of registers: Linux's struct user word by word, register sets, what a system call stop says. */
#include "kernel/internal.h"
#include "kernel/ptrace.h"
#include "kernel/user_dispatch.h"
#include "mm/uaccess.h"
#include <asm/prctl.h>
#include <elf.h>
#include <stddef.h>
#include <sys/uio.h>
#include <sys/user.h>

#ifndef PTRACE_SET_SYSCALL_INFO
#define PTRACE_SET_SYSCALL_INFO 0x4212
#endif
#define PTRACE_ARCH_PRCTL_K 30
#define PTRACE_SET_SUD_CONFIG 0x4210 /* syscall user dispatch */
#define PTRACE_GET_SUD_CONFIG 0x4211
#define DEBUGREG offsetof(struct user, u_debugreg)
#define USER_AREA 928 /* Linux's struct user has two fields behind them */
#define DR6_RESERVED 0xffff0ff0ULL

_Static_assert(sizeof(struct pl_regs) == sizeof(struct user_regs_struct), "the same fields");

static long do_getregs(struct task *o, void *p)
{
	ptrace_get_user_regs(o, p);
	return 0;
}
struct regs_arg { const void *buf; size_t n; };
static long do_setregs(struct task *o, void *p)
{
	struct regs_arg *a = p;
	return ptrace_set_user_regs(o, a->buf, a->n);
}
struct fp_arg { void *buf; bool xstate; };
static long do_getfp(struct task *o, void *p) { return ptrace_get_fp(o, ((struct fp_arg *)p)->buf, ((struct fp_arg *)p)->xstate); }
static long do_setfp(struct task *o, void *p) { return ptrace_set_fp(o, ((struct fp_arg *)p)->buf, ((struct fp_arg *)p)->xstate); }

static long getregs(struct task *t, struct task *o, struct pl_regs *r) { return ptrace_on_tracee(t, o, do_getregs, r); }
static long setregs(struct task *t, struct task *o, const struct pl_regs *r, size_t n)
{
	struct regs_arg a = { r, n };
	return ptrace_on_tracee(t, o, do_setregs, &a);
}

/* ---- struct user ---- */

static long peek_user(struct task *t, struct task *o, uint64_t addr, uint64_t data)
{
	uint64_t v = 0;
	struct pl_regs r;
	if ((addr & 7) || addr >= USER_AREA)
		return -EIO;
	if (addr < sizeof(r)) {
		long e = getregs(t, o, &r);
		if (e)
			return e;
		v = ((uint64_t *)&r)[addr / 8];
	} else if (addr >= DEBUGREG && addr < DEBUGREG + 64) {
		v = o->ptrace->debugreg[(addr - DEBUGREG) / 8] ^ (addr == DEBUGREG + 48 ? DR6_RESERVED : 0);
	}
	return put_user(v, data);
}

static long poke_user(struct task *t, struct task *o, uint64_t addr, uint64_t data)
{
	struct pl_regs r;
	if ((addr & 7) || addr >= USER_AREA)
		return -EIO;
	if (addr < sizeof(r)) {
		long e = getregs(t, o, &r);
		if (e)
			return e;
		((uint64_t *)&r)[addr / 8] = data;
		return setregs(t, o, &r, sizeof(r));
	}
	if (addr >= DEBUGREG && addr < DEBUGREG + 64) {
		unsigned n = (addr - DEBUGREG) / 8;
		return ptrace_set_debugreg(o->ptrace, n, n == 6 ? data ^ DR6_RESERVED : data);
	}
	return -EIO;
}

/* arch_prctl(2) for it: its arguments the other way round. */
static long bases(struct task *t, struct task *o, uint64_t addr, uint64_t option)
{
	struct pl_regs r;
	long e = getregs(t, o, &r);
	if (e)
		return e;
	switch ((int)option) {
	case ARCH_GET_FS:
		return put_user(r.fs_base, addr);
	case ARCH_GET_GS:
		return put_user(r.gs_base, addr);
	case ARCH_SET_FS:
	case ARCH_SET_GS:
		if (addr >= PL_TASK_SIZE)
			return -EPERM;
		*((int)option == ARCH_SET_FS ? &r.fs_base : &r.gs_base) = addr;
		return setregs(t, o, &r, sizeof(r));
	}
	return -EINVAL;
}

/* ---- sets ---- */

static long regset(struct task *t, struct task *o, unsigned type, struct iovec *iov, bool set)
{
	size_t max, n;
	char *buf;
	long r;
	switch (type) {
	case NT_PRSTATUS: max = sizeof(struct pl_regs); break;
	case NT_PRFPREG: max = sizeof(struct user_fpregs_struct); break;
	case NT_X86_XSTATE: max = pl_xsave_size(t->kernel->platform) - 4; break;
	case 0x201: return iov->iov_len % 8 ? -EINVAL : -ENXIO; /* NT_386_IOPERM: nobody has such a map */
	default: return -EINVAL;
	}
	if (iov->iov_len % 8)
		return -EINVAL;
	n = iov->iov_len = MIN(iov->iov_len, max);
	if (set && type != NT_PRSTATUS && n != max)
		return type == NT_PRFPREG ? -EINVAL : -EFAULT;
	buf = xzalloc(max);
	struct fp_arg fp = { buf, type == NT_X86_XSTATE };
	struct regs_arg regs = { buf, n };
	r = set && type != NT_PRSTATUS ? 0 : ptrace_on_tracee(t, o, type == NT_PRSTATUS ? do_getregs : do_getfp, type == NT_PRSTATUS ? (void *)buf : &fp);
	if (r >= 0 && !set)
		r = copy_to_user((uaddr_t)iov->iov_base, buf, n);
	if (r >= 0 && set) {
		r = copy_from_user(buf, (uaddr_t)iov->iov_base, n);
		if (!r)
			r = ptrace_on_tracee(t, o, type == NT_PRSTATUS ? do_setregs : do_setfp, type == NT_PRSTATUS ? (void *)&regs : &fp);
	}
	free(buf);
	return r < 0 ? r : 0;
}

static long regset_user(struct task *t, struct task *o, unsigned type, uaddr_t at, bool set)
{
	struct iovec iov;
	if (copy_from_user(&iov, at, sizeof(iov)))
		return -EFAULT;
	long r = regset(t, o, type, &iov, set);
	return r ? r : put_user(iov.iov_len, at + offsetof(struct iovec, iov_len));
}

/* SETREGS of a whole struct; GETREGS. */
static long regs_user(struct task *t, struct task *o, unsigned type, uaddr_t at, bool set)
{
	struct iovec iov = { .iov_base = (void *)at, .iov_len = type == NT_PRSTATUS ? sizeof(struct pl_regs) : sizeof(struct user_fpregs_struct) };
	return regset(t, o, type, &iov, set);
}

/* ---- system call stops ---- */

/* What the siginfo of the stop says: without PTRACE_O_TRACESYSGOOD nothing, and its tracer may have changed it. */
static uint8_t stop_op(struct task *o)
{
	struct ptrace_state *p = o->ptrace;
	uint8_t op = PTRACE_SYSCALL_INFO_NONE;
	signal_lock(o);
	if (p->have_info && p->info.si_code == (SIGTRAP | 0x80))
		op = p->message == PTRACE_EVENTMSG_SYSCALL_ENTRY  ? PTRACE_SYSCALL_INFO_ENTRY
		     : p->message == PTRACE_EVENTMSG_SYSCALL_EXIT ? PTRACE_SYSCALL_INFO_EXIT
								  : PTRACE_SYSCALL_INFO_NONE;
	else if (p->have_info && p->info.si_code == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8))
		op = PTRACE_SYSCALL_INFO_SECCOMP;
	signal_unlock(o);
	return op;
}

static long get_syscall_info(struct task *t, struct task *o, uint64_t size, uaddr_t at)
{
	struct ptrace_syscall_info s;
	struct pl_regs r;
	long e = getregs(t, o, &r);
	size_t n = offsetof(struct ptrace_syscall_info, entry);
	if (e)
		return e;
	memset(&s, 0, sizeof(s));
	s.op = stop_op(o);
	s.arch = 0xc000003e; /* AUDIT_ARCH_X86_64 */
	s.instruction_pointer = r.rip;
	s.stack_pointer = r.rsp;
	uint64_t args[6] = { r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9 };
	switch (s.op) {
	case PTRACE_SYSCALL_INFO_ENTRY:
		s.entry.nr = (uint64_t)(int32_t)r.orig_rax;
		memcpy(s.entry.args, args, sizeof(args));
		n = sizeof(s.entry) + n;
		break;
	case PTRACE_SYSCALL_INFO_EXIT:
		s.exit.rval = (int64_t)r.rax;
		s.exit.is_error = r.rax >= (uint64_t)-4095L;
		n = offsetof(struct ptrace_syscall_info, exit.is_error) + 1;
		break;
	case PTRACE_SYSCALL_INFO_SECCOMP:
		s.seccomp.nr = (uint64_t)(int32_t)r.orig_rax;
		memcpy(s.seccomp.args, args, sizeof(args));
		s.seccomp.ret_data = (uint32_t)o->ptrace->message;
		n = offsetof(struct ptrace_syscall_info, seccomp.ret_data) + 4;
		break;
	}
	if (copy_to_user(at, &s, MIN(size, n)))
		return -EFAULT;
	return (long)n;
}

static long set_syscall_info(struct task *t, struct task *o, uint64_t size, uaddr_t at)
{
	struct ptrace_syscall_info s;
	struct pl_regs r;
	long e;
	if (size < sizeof(s))
		return -EINVAL;
	if (copy_from_user(&s, at, sizeof(s)))
		return -EFAULT;
	if (((uint8_t *)&s)[1] | ((uint8_t *)&s)[2] | ((uint8_t *)&s)[3]) /* reserved, flags */
		return -EINVAL;
	if (s.op != stop_op(o) || s.op == PTRACE_SYSCALL_INFO_NONE)
		return -EINVAL;
	e = getregs(t, o, &r);
	if (e)
		return e;
	if (s.op == PTRACE_SYSCALL_INFO_EXIT) {
		r.rax = (uint64_t)s.exit.rval;
		return setregs(t, o, &r, sizeof(r));
	}
	/* Of a seccomp stop the same fields. */
	if ((uint64_t)(int64_t)(int32_t)s.entry.nr != s.entry.nr)
		return -ERANGE;
	r.orig_rax = s.entry.nr;
	if ((int32_t)s.entry.nr != -1) {
		r.rdi = s.entry.args[0];
		r.rsi = s.entry.args[1];
		r.rdx = s.entry.args[2];
		r.r10 = s.entry.args[3];
		r.r8 = s.entry.args[4];
		r.r9 = s.entry.args[5];
	}
	return setregs(t, o, &r, sizeof(r));
}

long ptrace_user_request(struct task *t, struct task *o, long request, uint64_t addr, uint64_t data)
{
	switch (request) {
	case PTRACE_PEEKUSR:
		return peek_user(t, o, addr, data);
	case PTRACE_POKEUSR:
		return poke_user(t, o, addr, data);
	case PTRACE_GETREGS:
	case PTRACE_SETREGS:
		return regs_user(t, o, NT_PRSTATUS, data, request == PTRACE_SETREGS);
	case PTRACE_GETFPREGS:
	case PTRACE_SETFPREGS:
		return regs_user(t, o, NT_PRFPREG, data, request == PTRACE_SETFPREGS);
	case PTRACE_GETREGSET:
	case PTRACE_SETREGSET:
		return regset_user(t, o, (unsigned)addr, data, request == PTRACE_SETREGSET);
	case PTRACE_ARCH_PRCTL_K:
		return bases(t, o, addr, data);
	case PTRACE_GET_SYSCALL_INFO:
		return get_syscall_info(t, o, addr, data);
	case PTRACE_SET_SYSCALL_INFO:
		return set_syscall_info(t, o, addr, data);
	case PTRACE_SET_SUD_CONFIG:
	case PTRACE_GET_SUD_CONFIG:
		return user_dispatch_ptrace(t, o, request == PTRACE_SET_SUD_CONFIG, addr, data);
	}
	return -EIO;
}
