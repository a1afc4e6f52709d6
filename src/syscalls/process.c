/* SPDX-License-Identifier: Apache-2.0 */
/* process.c: making, changing and ending processes and threads; their ids. */
#include "syscalls/proto.h"
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/reboot.h>
#include <linux/sched.h>

/* ---- clone ---- */

long sys_fork(struct task *t, const struct syscall_args *a)
{
	struct clone_args_k c = { .exit_signal = SIGCHLD };
	(void)a;
	return task_clone(t, &c);
}

long sys_vfork(struct task *t, const struct syscall_args *a)
{
	struct clone_args_k c = { .flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD };
	(void)a;
	return task_clone(t, &c);
}

long sys_clone(struct task *t, const struct syscall_args *a)
{
	/* The number of a 64-bit call is the low half of the first argument; the old call's flags stop there. */
	uint64_t flags = (uint32_t)a->a[0];
	struct clone_args_k c = {
		.flags = flags & ~(uint64_t)CSIGNAL,
		.exit_signal = flags & CSIGNAL,
		.stack = a->a[1],
		.parent_tid = a->a[2],
		.pidfd = a->a[2], /* clone(2): shares parent_tid's argument */
		.child_tid = a->a[3],
		.tls = a->a[4],
	};
	if ((flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID))
		return -EINVAL;
	return task_clone(t, &c);
}

struct clone_args_user { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup; };
_Static_assert(sizeof(struct clone_args_user) == 88, "struct clone_args");

long sys_clone3(struct task *t, const struct syscall_args *a)
{
	struct clone_args_user u;
	uint64_t size = a->a[1];
	if (size > GUEST_PAGE_SIZE)
		return -E2BIG;
	if (size < 64)
		return -EINVAL;
	int r = copy_struct_from_user(&u, sizeof(u), a->a[0], size);
	if (r)
		return r;
	if (u.set_tid_size > 32)
		return -EINVAL;
	if ((!u.set_tid) != (!u.set_tid_size))
		return -EINVAL;
	if ((u.exit_signal & ~(uint64_t)CSIGNAL) || u.exit_signal > NSIG_K)
		return -EINVAL;
	if ((u.flags & CLONE_INTO_CGROUP) && (u.cgroup > INT_MAX || size < 88))
		return -EINVAL;
	if (u.flags & ~(uint64_t)(0xffffffffULL | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP))
		return -EINVAL;
	if (u.flags & (CLONE_DETACHED | (CSIGNAL & ~CLONE_NEWTIME)))
		return -EINVAL;
	if ((u.flags & (CLONE_THREAD | CLONE_PARENT)) && u.exit_signal)
		return -EINVAL;
	if (!u.stack != !u.stack_size)
		return -EINVAL;
	if (u.stack && (u.stack > PL_TASK_SIZE || u.stack_size > PL_TASK_SIZE - u.stack))
		return -EINVAL;
	struct clone_args_k c = {
		.flags = u.flags, .stack = u.stack, .stack_size = u.stack_size, .tls = u.tls, .pidfd = u.pidfd,
		.child_tid = u.child_tid, .parent_tid = u.parent_tid, .cgroup = u.cgroup, .exit_signal = u.exit_signal,
		.nset_tid = u.set_tid_size,
	};
	if ((u.flags & CLONE_PIDFD) && (u.flags & CLONE_PARENT_SETTID) && u.pidfd == u.parent_tid)
		return -EINVAL;
	if (u.set_tid && copy_from_user(c.set_tid, u.set_tid, u.set_tid_size * sizeof(int)))
		return -EFAULT;
	return task_clone(t, &c);
}

long sys_unshare(struct task *t, const struct syscall_args *a) { return task_unshare(t, a->a[0]); }

/* ---- exec ---- */

static long do_exec(struct task *t, int dfd, uaddr_t name, uaddr_t argv, uaddr_t envp, int flags)
{
	char *path = malloc(PATH_MAX);
	if (!path)
		return -ENOMEM;
	ssize_t n = strncpy_from_user(path, name, PATH_MAX);
	long r = n < 0 ? n : n == 0 && !(flags & AT_EMPTY_PATH) ? -ENOENT : task_execve_user(t, dfd, path, argv, envp, flags);
	free(path);
	return r;
}

long sys_execve(struct task *t, const struct syscall_args *a) { return do_exec(t, AT_FDCWD, a->a[0], a->a[1], a->a[2], 0); }
long sys_execveat(struct task *t, const struct syscall_args *a) { return do_exec(t, a->a[0], a->a[1], a->a[2], a->a[3], a->a[4]); }

/* ---- exit ---- */

long sys_exit(struct task *t, const struct syscall_args *a)
{
	task_exit(t, (a->a[0] & 0xff) << 8);
	return 0;
}

long sys_exit_group(struct task *t, const struct syscall_args *a)
{
	task_group_exit(t, (a->a[0] & 0xff) << 8);
	return 0;
}

/* ---- ids ---- */

long sys_getpid(struct task *t, const struct syscall_args *a)
{
	struct pid *p = t->tg->pid;
	(void)a;
	task_lend_ids(t);
	return p->numbers[p->level].nr;
}

long sys_gettid(struct task *t, const struct syscall_args *a)
{
	(void)a;
	task_lend_ids(t);
	return task_tid(t, task_pid_ns(t));
}

long sys_getppid(struct task *t, const struct syscall_args *a)
{
	(void)a;
	return task_ppid(t, task_pid_ns(t));
}

long sys_getpgrp(struct task *t, const struct syscall_args *a) { (void)a; return task_getpgid(t, 0, false); }
long sys_getpgid(struct task *t, const struct syscall_args *a) { return task_getpgid(t, (int)a->a[0], false); }
long sys_getsid(struct task *t, const struct syscall_args *a) { return task_getpgid(t, (int)a->a[0], true); }
long sys_setpgid(struct task *t, const struct syscall_args *a) { return task_setpgid(t, (int)a->a[0], (int)a->a[1]); }
long sys_setsid(struct task *t, const struct syscall_args *a) { (void)a; return task_setsid(t); }

long sys_set_tid_address(struct task *t, const struct syscall_args *a)
{
	t->clear_child_tid = a->a[0];
	return task_tid(t, task_pid_ns(t));
}

/* As in every PID namespace but a machine's first: its init ends. */
long sys_reboot(struct task *t, const struct syscall_args *a)
{
	unsigned magic = a->a[0], magic2 = a->a[1], cmd = a->a[2];

	if (!ns_capable(t->cred, task_pid_ns(t)->user_ns, CAP_SYS_BOOT))
		return -EPERM;
	if (magic != LINUX_REBOOT_MAGIC1 || (magic2 != LINUX_REBOOT_MAGIC2 && magic2 != LINUX_REBOOT_MAGIC2A &&
					     magic2 != LINUX_REBOOT_MAGIC2B && magic2 != LINUX_REBOOT_MAGIC2C))
		return -EINVAL;
	switch (cmd) {
	case LINUX_REBOOT_CMD_RESTART:
	case LINUX_REBOOT_CMD_RESTART2: return task_reboot(t, SIGHUP);
	case LINUX_REBOOT_CMD_POWER_OFF:
	case LINUX_REBOOT_CMD_HALT: return task_reboot(t, SIGINT);
	}
	return -EINVAL;
}
