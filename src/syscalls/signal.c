/* SPDX-License-Identifier: Apache-2.0 */
/* signal.c: the system calls of signal(7). */
#include "kernel/internal.h"
#include "kernel/signal.h"
#include "mm/uaccess.h"
#include "syscalls/proto.h"

#define MINSIGSTKSZ_K 2048
#define SI_TKILL_K (-6)

long sys_rt_sigaction(struct task *t, const struct syscall_args *a)
{
	struct sigaction_k act, old;
	uaddr_t uact = a->a[1], uold = a->a[2];

	if (a->a[3] != sizeof(sigset_k))
		return -EINVAL;
	if (uact && get_user(act, uact))
		return -EFAULT;
	long ret = task_sigaction(t, (int)a->a[0], uact ? &act : NULL, uold ? &old : NULL);

	if (!uact)
		task_lend_actions(t);
	if (ret == 0 && uold && copy_to_user(uold, &old, sizeof(old)))
		return -EFAULT;
	return ret;
}

long sys_rt_sigprocmask(struct task *t, const struct syscall_args *a)
{
	sigset_k old = t->blocked, set;

	if (a->a[3] != sizeof(sigset_k))
		return -EINVAL;
	if (a->a[1]) {
		if (get_user(set, a->a[1]))
			return -EFAULT;
		switch ((int)a->a[0]) {
		case SIG_BLOCK:
			set |= old;
			break;
		case SIG_UNBLOCK:
			set = old & ~set;
			break;
		case SIG_SETMASK:
			break;
		default:
			return -EINVAL;
		}
		task_set_blocked(t, set);
	}
	task_lend_mask(t);
	return a->a[2] ? put_user(old, a->a[2]) : 0;
}

long sys_rt_sigpending(struct task *t, const struct syscall_args *a)
{
	uint64_t size = a->a[1];

	if (size > sizeof(sigset_k))
		return -EINVAL;
	signal_lock(t);
	sigset_k set = (t->pending.set | t->tg->pending.set) & t->blocked;
	signal_unlock(t);
	return copy_to_user(a->a[0], &set, size);
}

/* Sleep until a signal is there to be delivered. */
static void wait_for_signal(struct task *t)
{
	task_will_block(t);
	while (!signal_pending(t))
		if (fiber_park(PARK_INTERRUPTIBLE, KTIME_MAX))
			break;
}

long sys_rt_sigsuspend(struct task *t, const struct syscall_args *a)
{
	sigset_k set;

	if (a->a[1] != sizeof(set))
		return -EINVAL;
	if (get_user(set, a->a[0]))
		return -EFAULT;
	t->saved_mask = t->blocked;
	t->have_restart_mask = true;
	task_set_blocked(t, set);
	wait_for_signal(t);
	return -ERESTARTNOHAND;
}

long sys_pause(struct task *t, const struct syscall_args *a)
{
	wait_for_signal(t);
	return -ERESTARTNOHAND;
}

long sys_rt_sigtimedwait(struct task *t, const struct syscall_args *a)
{
	sigset_k set;
	siginfo_k info;
	struct timespec ts;
	ktime_t deadline = KTIME_MAX;

	if (a->a[3] != sizeof(set))
		return -EINVAL;
	if (get_user(set, a->a[0]))
		return -EFAULT;
	if (a->a[2]) {
		if (get_user(ts, a->a[2]))
			return -EFAULT;
		if (!timespec_valid(&ts))
			return -EINVAL;
		deadline = timespec_to_ktime(&ts);
		if (deadline)
			deadline = ktime_add_sat(ktime_mono(), deadline);
	}
	long ret = task_sigtimedwait(t, set, &info, deadline);

	if (ret > 0 && a->a[1] && copy_to_user(a->a[1], &info, sizeof(info)))
		return -EFAULT;
	return ret;
}

static siginfo_k kill_info(int sig, int code)
{
	return (siginfo_k){ .si_signo = sig, .si_code = code, .pad0 = SIGINFO_SENDER };
}

long sys_kill(struct task *t, const struct syscall_args *a)
{
	siginfo_k info = kill_info((int)a->a[1], SI_USER);

	return kill_something(t, &info, (int)a->a[0]);
}

long sys_tkill(struct task *t, const struct syscall_args *a)
{
	siginfo_k info = kill_info((int)a->a[1], SI_TKILL_K);
	int tid = (int)a->a[0];

	return tid <= 0 ? -EINVAL : kill_thread(t, &info, 0, tid, false);
}

long sys_tgkill(struct task *t, const struct syscall_args *a)
{
	siginfo_k info = kill_info((int)a->a[2], SI_TKILL_K);
	int tgid = (int)a->a[0], tid = (int)a->a[1];

	return tid <= 0 || tgid <= 0 ? -EINVAL : kill_thread(t, &info, tgid, tid, false);
}

/* Nobody may pretend to be kill(), tkill() or the kernel, but a thread towards itself. */
static bool may_queue(struct task *t, const siginfo_k *info, int id)
{
	return !(info->si_code >= 0 || info->si_code == SI_TKILL_K) || task_tid(t, task_pid_ns(t)) == id;
}

/* What Linux has no place for must be zero where it does not know what is in there. */
static bool info_read(siginfo_k *info, int sig)
{
	info->si_signo = sig;
	info->pad0 = 0;
	if (siginfo_known(sig, info->si_code))
		return true;
	for (size_t i = 48; i < sizeof(*info); i++)
		if (((const char *)info)[i])
			return false;
	return true;
}

long sys_rt_sigqueueinfo(struct task *t, const struct syscall_args *a)
{
	siginfo_k info;
	int tgid = (int)a->a[0];

	if (get_user(info, a->a[2]))
		return -EFAULT;
	if (!info_read(&info, (int)a->a[1]))
		return -E2BIG;
	if (!may_queue(t, &info, tgid))
		return -EPERM;
	return tgid <= 0 ? -ESRCH : kill_thread(t, &info, 0, tgid, true);
}

long sys_rt_tgsigqueueinfo(struct task *t, const struct syscall_args *a)
{
	siginfo_k info;
	int tgid = (int)a->a[0], tid = (int)a->a[1];

	if (get_user(info, a->a[3]))
		return -EFAULT;
	if (!info_read(&info, (int)a->a[2]))
		return -E2BIG;
	if (tid <= 0 || tgid <= 0)
		return -EINVAL;
	if (!may_queue(t, &info, tid))
		return -EPERM;
	return kill_thread(t, &info, tgid, tid, false);
}

long sys_rt_sigreturn(struct task *t, const struct syscall_args *a)
{
	return sigframe_return(t);
}

long sys_sigaltstack(struct task *t, const struct syscall_args *a)
{
	struct stack_k ss, old;
	struct pl_regs r;

	if (a->a[0] && get_user(ss, a->a[0]))
		return -EFAULT;
	pl_get_regs(t->thread, &r);
	memset(&old, 0, sizeof(old));
	long ret = task_sigaltstack(t, a->a[0] ? &ss : NULL, a->a[1] ? &old : NULL, r.rsp, MINSIGSTKSZ_K);

	if (ret == 0 && a->a[1] && copy_to_user(a->a[1], &old, sizeof(old)))
		return -EFAULT;
	return ret;
}

long sys_restart_syscall(struct task *t, const struct syscall_args *a)
{
	long (*fn)(struct task *) = t->restart.fn;

	t->restart.fn = NULL;
	return fn ? fn(t) : -EINTR;
}
