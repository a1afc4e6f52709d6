/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a tracee: struct user, register sets of all sizes, what a system call stop says and how it is changed. */
#include "harness.h"
#include <asm/prctl.h>
#include <elf.h>
#include <linux/ptrace.h>
#include <stddef.h>
#include <sys/uio.h>
#include <sys/user.h>

#ifndef PTRACE_SET_SYSCALL_INFO
#define PTRACE_SET_SYSCALL_INFO 0x4212
#endif
#define REG(f) offsetof(struct user_regs_struct, f)

static long pt(long req, pid_t p, unsigned long addr, unsigned long data) { return syscall(SYS_ptrace, req, p, addr, data); }
static pid_t traced(void (*fn)(void), unsigned long options)
{
	int st;
	pid_t p = fork();
	if (!p) {
		if (pt(PTRACE_TRACEME, 0, 0, 0))
			_exit(99);
		raise(SIGSTOP);
		fn();
		_exit(7);
	}
	CHECK(waitpid(p, &st, 0) == p && st == (SIGSTOP << 8 | 0x7f));
	CHECK(!pt(PTRACE_SETOPTIONS, p, 0, PTRACE_O_EXITKILL | options));
	return p;
}
static void nothing(void) { }
static long get(pid_t p, int type, void *buf, size_t n, size_t *len)
{
	struct iovec v = { buf, n };
	long r = pt(PTRACE_GETREGSET, p, type, (long)&v);
	*len = v.iov_len;
	return r;
}
static long set(pid_t p, int type, void *buf, size_t n, size_t *len)
{
	struct iovec v = { buf, n };
	long r = pt(PTRACE_SETREGSET, p, type, (long)&v);
	*len = v.iov_len;
	return r;
}

TEST(bad_addresses)
{
	static const int requests[] = { PTRACE_GETREGS, PTRACE_SETREGS, PTRACE_GETFPREGS, PTRACE_SETFPREGS, PTRACE_GETREGSET, PTRACE_SETREGSET };
	pid_t p = traced(nothing, 0);
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		CHECK_ERRNO(pt(requests[i], p, NT_PRSTATUS, 8), EFAULT);
}

TEST(words)
{
	pid_t p = traced(nothing, 0);
	unsigned long v = 0;
	struct user_regs_struct r;
	CHECK_ERRNO(pt(PTRACE_PEEKUSR, p, 4, (long)&v), EIO);
	CHECK_ERRNO(pt(PTRACE_PEEKUSR, p, 928, (long)&v), EIO);
	CHECK_ERRNO(pt(PTRACE_PEEKUSR, p, 0, 8), EFAULT);
	CHECK_ERRNO(pt(PTRACE_POKEUSR, p, REG(cs), 0), EIO);
	CHECK_ERRNO(pt(PTRACE_POKEUSR, p, REG(ss), 0x28), EIO);
	CHECK_ERRNO(pt(PTRACE_POKEUSR, p, REG(ds), 1), EIO);
	CHECK(!pt(PTRACE_POKEUSR, p, REG(gs), 0));
	CHECK_ERRNO(pt(PTRACE_POKEUSR, p, REG(fs_base), 0x7ffffffff000), EIO);
	CHECK_ERRNO(pt(PTRACE_POKEUSR, p, REG(gs_base), -1), EIO);
	CHECK_ERRNO(pt(PTRACE_POKEUSR, p, sizeof(struct user_regs_struct), 0), EIO);
	/* Only the flags that are a program's own. */
	CHECK(!pt(PTRACE_POKEUSR, p, REG(eflags), -1 & ~(0x4000 | 0x10000 | 0x100)));
	CHECK(!pt(PTRACE_PEEKUSR, p, REG(eflags), (long)&v));
	CHECK_EQ(v & ~0x14000, 0x40ed7 & ~0x100UL);
	/* What comes before a word that is refused has been set. */
	CHECK(!pt(PTRACE_GETREGS, p, 0, (long)&r));
	r.r15 = 0x1234;
	r.cs = 0;
	r.rsp = 1;
	CHECK_ERRNO(pt(PTRACE_SETREGS, p, 0, (long)&r), EIO);
	CHECK(!pt(PTRACE_GETREGS, p, 0, (long)&r));
	CHECK(r.r15 == 0x1234 && r.rsp != 1);
	CHECK(!pt(PTRACE_PEEKUSR, p, offsetof(struct user, u_debugreg) + 48, (long)&v) && v == 0xffff0ff0);
}

TEST(sets)
{
	pid_t p = traced(nothing, 0);
	static char buf[16384] __attribute__((aligned(64))), x[16384];
	struct user_regs_struct r, was;
	size_t n, full;
	CHECK(!get(p, NT_PRSTATUS, buf, sizeof(buf), &n) && n == sizeof(r));
	memcpy(&was, buf, sizeof(was));
	CHECK(!get(p, NT_PRSTATUS, buf, 104, &n) && n == 104);
	CHECK(!get(p, NT_PRSTATUS, buf, 0, &n) && n == 0);
	CHECK_ERRNO(get(p, NT_PRSTATUS, buf, 12, &n), EINVAL);
	CHECK_ERRNO(get(p, 0x200, buf, 16, &n), EINVAL);
	CHECK_ERRNO(get(p, 0x201, buf, 12, &n), EINVAL);
	CHECK_ERRNO(get(p, 0x201, buf, 16, &n), ENXIO);
	memcpy(buf, &was, sizeof(was));
	((struct user_regs_struct *)buf)->r15 = 77;
	((struct user_regs_struct *)buf)->rbx = 78;
	CHECK(!set(p, NT_PRSTATUS, buf, 8, &n));
	CHECK(!get(p, NT_PRSTATUS, &r, sizeof(r), &n) && r.r15 == 77 && r.rbx == was.rbx);

	CHECK(!get(p, NT_PRFPREG, buf, 104, &n) && n == 104);
	CHECK(!get(p, NT_PRFPREG, buf, sizeof(buf), &n) && n == 512);
	CHECK_ERRNO(set(p, NT_PRFPREG, buf, 504, &n), EINVAL);
	CHECK(!set(p, NT_PRFPREG, buf, 1024, &n) && n == 512);
	*(unsigned *)(buf + 24) = 0xffff1f80;
	CHECK_ERRNO(set(p, NT_PRFPREG, buf, 512, &n), EINVAL);
	CHECK_ERRNO(pt(PTRACE_SETFPREGS, p, 0, (long)buf), EINVAL);

	CHECK(!get(p, NT_X86_XSTATE, x, sizeof(x), &full) && full >= 576);
	CHECK(*(unsigned long *)(x + 464));
	CHECK_ERRNO(set(p, NT_X86_XSTATE, x, full - 8, &n), EFAULT);
	CHECK(!set(p, NT_X86_XSTATE, x, sizeof(x), &n) && n == full);
	memcpy(buf, x, full);
	buf[520] = 1; /* XCOMP_BV */
	CHECK_ERRNO(set(p, NT_X86_XSTATE, buf, full, &n), EINVAL);
	memcpy(buf, x, full);
	buf[519] = 0x40; /* a component that there is not */
	CHECK_ERRNO(set(p, NT_X86_XSTATE, buf, full, &n), EINVAL);
	memcpy(buf, x, full);
	*(unsigned *)(buf + 24) = 0xffff1f80;
	CHECK_ERRNO(set(p, NT_X86_XSTATE, buf, full, &n), EINVAL);
}

TEST(bases)
{
	pid_t p = traced(nothing, 0);
	unsigned long fs = 0, v = 0;
	CHECK(!pt(30, p, (long)&fs, ARCH_GET_FS) && fs);
	CHECK(!pt(PTRACE_PEEKUSR, p, REG(fs_base), (long)&v) && v == fs);
	CHECK(!pt(30, p, 0x1000, ARCH_SET_GS));
	CHECK(!pt(30, p, (long)&v, ARCH_GET_GS) && v == 0x1000);
	CHECK(!pt(30, p, 0, ARCH_SET_GS));
	CHECK_ERRNO(pt(30, p, 0x7ffffffff000, ARCH_SET_FS), EPERM);
	CHECK_ERRNO(pt(30, p, 0, 99), EINVAL);
}

static void ask(void) { _exit(syscall(SYS_getppid) == 77 ? 0 : 1); }
static int next(pid_t p)
{
	int st;
	CHECK(!pt(PTRACE_SYSCALL, p, 0, 0) && waitpid(p, &st, 0) == p);
	return st;
}
/* Without PTRACE_O_TRACESYSGOOD nothing tells that it is a system call stop. */
TEST(info_without_sysgood)
{
	struct ptrace_syscall_info s;
	unsigned long m = 0;
	pid_t p = traced(ask, 0);
	CHECK_EQ(next(p), SIGTRAP << 8 | 0x7f);
	CHECK_EQ(pt(PTRACE_GET_SYSCALL_INFO, p, sizeof(s), (long)&s), 24);
	CHECK_EQ(s.op, PTRACE_SYSCALL_INFO_NONE);
	CHECK(!pt(PTRACE_GETEVENTMSG, p, 0, (long)&m) && m == PTRACE_EVENTMSG_SYSCALL_ENTRY);
	CHECK(pt(PTRACE_GET_SYSCALL_INFO, p, 0, 8) == 24);
	CHECK_ERRNO(pt(PTRACE_GET_SYSCALL_INFO, p, 8, 8), EFAULT);
}

TEST(info_set)
{
	struct ptrace_syscall_info s;
	pid_t p = traced(ask, PTRACE_O_TRACESYSGOOD);
	if (pt(PTRACE_SET_SYSCALL_INFO, p, 0, 0) && errno == EIO)
		SKIP("no PTRACE_SET_SYSCALL_INFO");
	CHECK_ERRNO(pt(PTRACE_SET_SYSCALL_INFO, p, sizeof(s) - 1, (long)&s), EINVAL);
	CHECK_ERRNO(pt(PTRACE_SET_SYSCALL_INFO, p, sizeof(s), 8), EFAULT);
	memset(&s, 0, sizeof(s));
	CHECK_ERRNO(pt(PTRACE_SET_SYSCALL_INFO, p, sizeof(s), (long)&s), EINVAL);
	CHECK_EQ(next(p), (SIGTRAP | 0x80) << 8 | 0x7f);
	CHECK(pt(PTRACE_GET_SYSCALL_INFO, p, sizeof(s), (long)&s) == 80 && s.entry.nr == SYS_getppid);
	s.op = PTRACE_SYSCALL_INFO_EXIT;
	CHECK_ERRNO(pt(PTRACE_SET_SYSCALL_INFO, p, sizeof(s), (long)&s), EINVAL);
	s.op = PTRACE_SYSCALL_INFO_ENTRY;
	((char *)&s)[1] = 1;
	CHECK_ERRNO(pt(PTRACE_SET_SYSCALL_INFO, p, sizeof(s), (long)&s), EINVAL);
	((char *)&s)[1] = 0;
	s.entry.nr = 1UL << 40;
	CHECK_ERRNO(pt(PTRACE_SET_SYSCALL_INFO, p, sizeof(s), (long)&s), ERANGE);
	s.entry.nr = SYS_getpgid;
	s.entry.args[0] = (unsigned)-1;
	CHECK(!pt(PTRACE_SET_SYSCALL_INFO, p, sizeof(s), (long)&s));
	CHECK_EQ(next(p), (SIGTRAP | 0x80) << 8 | 0x7f);
	CHECK(pt(PTRACE_GET_SYSCALL_INFO, p, sizeof(s), (long)&s) == 33 && s.exit.is_error && s.exit.rval == -ESRCH);
	s.exit.is_error = 0;
	s.exit.rval = 77;
	CHECK(!pt(PTRACE_SET_SYSCALL_INFO, p, sizeof(s), (long)&s));
	CHECK_EQ(next(p), (SIGTRAP | 0x80) << 8 | 0x7f);
	/* A call that is skipped: its arguments stay. */
	CHECK(pt(PTRACE_GET_SYSCALL_INFO, p, sizeof(s), (long)&s) == 80 && s.entry.nr == SYS_exit_group && s.entry.args[0] == 0);
}

static void vforks(void)
{
	pid_t c = vfork();
	if (!c)
		_exit(0);
	waitpid(c, NULL, 0);
}
TEST(vfork_done_alone_tells_the_child)
{
	pid_t p = traced(vforks, PTRACE_O_TRACEVFORKDONE);
	unsigned long m = 0;
	int st;
	CHECK(!pt(PTRACE_CONT, p, 0, 0) && waitpid(p, &st, 0) == p);
	CHECK_EQ(st >> 8, SIGTRAP | PTRACE_EVENT_VFORK_DONE << 8);
	CHECK(!pt(PTRACE_GETEVENTMSG, p, 0, (long)&m));
	CHECK(m > 1 && m != (unsigned long)p && m != (unsigned long)getpid());
}

/* ---- steps ---- */

extern const char after_call[], after_popf[], popf_here[];
static void steps(void)
{
	__asm__ volatile("int3\nmov $110, %%eax\nsyscall\nafter_call: nop\npushf\npopf_here: popf\nafter_popf: nop" : : : "rax", "rcx", "r11", "memory");
	_exit(0);
}
static void step_to(pid_t p, int request, const char *where, siginfo_t *si)
{
	unsigned long rip = 0;
	int st;
	for (int i = 0; i < 100 && rip != (unsigned long)where; i++) {
		CHECK(!pt(request, p, 0, 0) && waitpid(p, &st, 0) == p && st == (SIGTRAP << 8 | 0x7f));
		CHECK(!pt(PTRACE_PEEKUSR, p, REG(rip), (long)&rip));
	}
	CHECK_EQ(rip, (unsigned long)where);
	CHECK(!pt(PTRACE_GETSIGINFO, p, 0, (long)si));
}
TEST(single_steps)
{
	unsigned long flags;
	siginfo_t si;
	int st;
	pid_t p = traced(steps, 0);
	CHECK(!pt(PTRACE_CONT, p, 0, 0) && waitpid(p, &st, 0) == p && WSTOPSIG(st) == SIGTRAP);
	step_to(p, PTRACE_SINGLESTEP, after_call, &si);
	CHECK(si.si_code == TRAP_BRKPT && si.si_addr == after_call); /* over a system call */
	step_to(p, PTRACE_SINGLESTEP, popf_here, &si);
	CHECK_EQ(si.si_code, TRAP_TRACE);
	CHECK(!pt(PTRACE_PEEKUSR, p, REG(eflags), (long)&flags) && !(flags & 0x100));
	/* pushf has seen the tracer's flag; what popf loads is the program's own. */
	step_to(p, PTRACE_SINGLESTEP, after_popf, &si);
	CHECK(!pt(PTRACE_PEEKUSR, p, REG(eflags), (long)&flags) && (flags & 0x100));
}

TEST(emulated_steps)
{
	unsigned long rip;
	siginfo_t si;
	int st;
	pid_t p = traced(steps, PTRACE_O_TRACESYSGOOD);
	CHECK(!pt(PTRACE_CONT, p, 0, 0) && waitpid(p, &st, 0) == p && WSTOPSIG(st) == SIGTRAP);
	CHECK(!pt(PTRACE_SYSEMU, p, 0, 0) && waitpid(p, &st, 0) == p && WSTOPSIG(st) == (SIGTRAP | 0x80));
	/* From such a stop it is the next instruction that is stepped over. */
	CHECK(!pt(PTRACE_SYSEMU_SINGLESTEP, p, 0, 0) && waitpid(p, &st, 0) == p && WSTOPSIG(st) == SIGTRAP);
	CHECK(!pt(PTRACE_PEEKUSR, p, REG(rip), (long)&rip) && rip == (unsigned long)after_call + 1);
	CHECK(!pt(PTRACE_GETSIGINFO, p, 0, (long)&si) && si.si_code == TRAP_TRACE);
}

/* Its tracer waits for a child even where a parent would not have to. */
TEST(children_ignored)
{
	int st;
	signal(SIGCHLD, SIG_IGN);
	pid_t p = traced(nothing, 0);
	CHECK(!kill(p, SIGKILL));
	CHECK(waitpid(p, &st, 0) == p && st == SIGKILL);
}

TEST(nothing_remote)
{
	char b[8];
	struct iovec l = { b, 8 }, none = { b, 0 };
	CHECK_EQ(syscall(SYS_process_vm_readv, 1 << 22, &l, 1, &none, 1, 0), 0);
	CHECK_ERRNO(syscall(SYS_process_vm_readv, 1 << 22, &l, 1, &l, 1, 0), ESRCH);
}
