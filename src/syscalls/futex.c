/* SPDX-License-Identifier: Apache-2.0 */
/* futex.c: futex(2), futex_waitv(2), the futex2 calls, robust lists. */
#include "ipc/futex.h"
#include "kernel/internal.h"
#include "kernel/signal.h"
#include "kernel/timer.h"
#include "mm/uaccess.h"
#include "syscalls/proto.h"
#include <linux/capability.h>
#include <linux/futex.h>

#define FUTEX_LOCK_PI2_K 13

static long restart_wait(struct task *t)
{
	__typeof__(t->restart.futex) f = t->restart.futex;
	long ret = futex_wait(t->kernel->futexes, f.uaddr, f.private_, f.val, f.bitset, f.deadline);

	if (ret != -EINTR)
		return ret;
	t->restart.fn = restart_wait;
	return -ERESTART_RESTARTBLOCK;
}

static long do_wait(struct task *t, uaddr_t addr, bool private_, uint32_t val, uint32_t bitset, ktime_t deadline)
{
	long ret = futex_wait(t->kernel->futexes, addr, private_, val, bitset, deadline);

	if (ret != -EINTR)
		return ret;
	if (deadline == KTIME_MAX)
		return -ERESTARTSYS;
	/* The time that has passed must not be waited for again. */
	t->restart.futex.uaddr = addr;
	t->restart.futex.val = val;
	t->restart.futex.bitset = bitset;
	t->restart.futex.deadline = deadline;
	t->restart.futex.private_ = private_;
	t->restart.fn = restart_wait;
	return -ERESTART_RESTARTBLOCK;
}

/* A time-out as the call means it, as a deadline. 0 or -errno */
static int get_deadline(uaddr_t uts, bool relative, bool realtime, ktime_t *deadline)
{
	struct timespec ts;
	ktime_t now = ktime_mono();

	*deadline = KTIME_MAX;
	if (!uts)
		return 0;
	if (get_user(ts, uts))
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	ktime_t v = timespec_to_ktime(&ts);

	if (relative)
		*deadline = ktime_add_sat(now, v);
	else if (realtime)
		*deadline = v == KTIME_MAX ? v : v - (ktime_real() - now);
	else
		*deadline = clock_to_host(current, CLOCK_MONOTONIC, v);
	return 0;
}

static long pi_result(long ret)
{
	return ret == -EINTR ? -ERESTARTNOINTR : ret;
}

long sys_futex(struct task *t, const struct syscall_args *a)
{
	struct futex_table *ft = t->kernel->futexes;
	uaddr_t addr = a->a[0], addr2 = a->a[4];
	unsigned op = (unsigned)a->a[1], cmd = op & FUTEX_CMD_MASK;
	uint32_t val = (uint32_t)a->a[2], val3 = (uint32_t)a->a[5];
	int val2 = (int)a->a[3];
	bool priv = op & FUTEX_PRIVATE_FLAG, realtime = op & FUTEX_CLOCK_REALTIME;
	struct futex_self who;
	ktime_t deadline = KTIME_MAX;
	int err;

	if (realtime && cmd != FUTEX_WAIT_BITSET && cmd != FUTEX_WAIT_REQUEUE_PI && cmd != FUTEX_LOCK_PI2_K)
		return -ENOSYS;
	switch (cmd) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2_K:
	case FUTEX_WAIT_REQUEUE_PI:
		err = get_deadline(a->a[3], cmd == FUTEX_WAIT, cmd == FUTEX_LOCK_PI || realtime, &deadline);
		if (err)
			return err;
	}
	switch (cmd) {
	case FUTEX_WAIT:
		return do_wait(t, addr, priv, val, FUTEX_BITSET_ANY, deadline);
	case FUTEX_WAIT_BITSET:
		return do_wait(t, addr, priv, val, val3, deadline);
	case FUTEX_WAKE:
		return futex_wake(ft, addr, priv, (int)val, FUTEX_BITSET_ANY);
	case FUTEX_WAKE_BITSET:
		return futex_wake(ft, addr, priv, (int)val, val3);
	case FUTEX_REQUEUE:
		return futex_requeue(ft, addr, priv, addr2, priv, (int)val, val2, NULL);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(ft, addr, priv, addr2, priv, (int)val, val2, &val3);
	case FUTEX_WAKE_OP:
		return pi_result(futex_wake_op(ft, addr, addr2, priv, (int)val, val2, val3));
	case FUTEX_LOCK_PI:
	case FUTEX_LOCK_PI2_K:
	case FUTEX_TRYLOCK_PI:
		task_futex_self(t, &who);
		return pi_result(futex_lock_pi(ft, addr, priv, &who, cmd == FUTEX_TRYLOCK_PI, deadline));
	case FUTEX_UNLOCK_PI:
		task_futex_self(t, &who);
		return pi_result(futex_unlock_pi(ft, addr, priv, &who));
	case FUTEX_WAIT_REQUEUE_PI:
		task_futex_self(t, &who);
		return pi_result(futex_wait_requeue_pi(ft, addr, addr2, priv, val, val3 ? val3 : FUTEX_BITSET_ANY, &who, deadline));
	case FUTEX_CMP_REQUEUE_PI:
		return futex_cmp_requeue_pi(ft, addr, addr2, priv, (int)val, val2, val3);
	}
	return -ENOSYS;
}

/* ---- futex2 ---- */

enum { FUTEX2_SIZE_MASK_K = 3, FUTEX2_SIZE_U32_K = 2, FUTEX2_PRIVATE_K = 128 };

static int check_flags(uint32_t flags, uint64_t val)
{
	/* Only 32-bit words, as Linux; NUMA nodes are not told apart. */
	if (flags & ~(uint32_t)(FUTEX2_SIZE_MASK_K | FUTEX2_PRIVATE_K))
		return -EINVAL;
	if ((flags & FUTEX2_SIZE_MASK_K) != FUTEX2_SIZE_U32_K || val > UINT32_MAX)
		return -EINVAL;
	return 0;
}

static int get_deadline2(uaddr_t uts, int clock, ktime_t *deadline)
{
	if (!uts) {
		*deadline = KTIME_MAX;
		return 0;
	}
	if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
		return -EINVAL;
	return get_deadline(uts, false, clock == CLOCK_REALTIME, deadline);
}

static int get_waitv(uaddr_t uvec, unsigned n, struct futex_vec *out)
{
	struct futex_waitv_k w;

	for (unsigned i = 0; i < n; i++) {
		if (get_user(w, uvec + i * sizeof(w)))
			return -EFAULT;
		if (w.reserved || check_flags(w.flags, w.val))
			return -EINVAL;
		out[i] = (struct futex_vec){ .addr = w.uaddr, .val = (uint32_t)w.val, .private_ = w.flags & FUTEX2_PRIVATE_K };
	}
	return 0;
}

#define FUTEX_WAITV_MAX_K 128

long sys_futex_waitv(struct task *t, const struct syscall_args *a)
{
	unsigned n = (unsigned)a->a[1];
	ktime_t deadline;
	int err;

	if ((unsigned)a->a[2])
		return -EINVAL;
	if (!n || n > FUTEX_WAITV_MAX_K || !a->a[0])
		return -EINVAL;
	err = get_deadline2(a->a[3], (int)a->a[4], &deadline);
	if (err)
		return err;
	__free(mem) void *mem = xcalloc(n, sizeof(struct futex_vec));

	err = get_waitv(a->a[0], n, mem);
	if (err)
		return err;
	long ret = futex_wait_multiple(t->kernel->futexes, mem, n, deadline);

	return ret == -EINTR ? -ERESTARTSYS : ret; /* the time-out is absolute: a plain restart will do */
}

long sys_futex_wake(struct task *t, const struct syscall_args *a)
{
	uint32_t flags = (uint32_t)a->a[3];
	int err = check_flags(flags, a->a[1]);

	return err ? err : futex_wake(t->kernel->futexes, a->a[0], flags & FUTEX2_PRIVATE_K, (int)a->a[2], (uint32_t)a->a[1]);
}

long sys_futex_wait(struct task *t, const struct syscall_args *a)
{
	uint32_t flags = (uint32_t)a->a[3];
	ktime_t deadline;
	int err = check_flags(flags, a->a[1]);

	if (err || (err = check_flags(flags, a->a[2])))
		return err;
	err = get_deadline2(a->a[4], (int)a->a[5], &deadline);
	if (err)
		return err;
	long ret = futex_wait(t->kernel->futexes, a->a[0], flags & FUTEX2_PRIVATE_K, (uint32_t)a->a[1], (uint32_t)a->a[2], deadline);

	return ret == -EINTR ? -ERESTARTSYS : ret;
}

long sys_futex_requeue(struct task *t, const struct syscall_args *a)
{
	struct futex_vec v[2];
	int err;

	if ((unsigned)a->a[1] || !a->a[0])
		return -EINVAL;
	err = get_waitv(a->a[0], 2, v);
	if (err)
		return err;
	return futex_requeue(t->kernel->futexes, v[0].addr, v[0].private_, v[1].addr, v[1].private_, (int)a->a[2], (int)a->a[3], &v[0].val);
}

/* ---- robust lists ---- */

#define ROBUST_HEAD_SIZE 24

long sys_set_robust_list(struct task *t, const struct syscall_args *a)
{
	if (a->a[1] != ROBUST_HEAD_SIZE)
		return -EINVAL;
	t->robust_list = a->a[0];
	return 0;
}

long sys_get_robust_list(struct task *t, const struct syscall_args *a)
{
	int tid = (int)a->a[0];
	uaddr_t head = t->robust_list;

	if (tid) {
		struct task *o = pidns_task_with_id(task_pid_ns(t), tid);

		if (!o)
			return -ESRCH;
		bool ok = task_may_access(t, o);

		head = READ_ONCE(o->robust_list);
		task_put(o);
		if (!ok)
			return -EPERM;
	}
	if (put_user((uint64_t)ROBUST_HEAD_SIZE, a->a[2]))
		return -EFAULT;
	return put_user(head, a->a[1]);
}
