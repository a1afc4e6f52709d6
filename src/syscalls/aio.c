/* SPDX-License-Identifier: Apache-2.0 */
/* aio.c: io_setup(2), io_destroy(2), io_submit(2), io_cancel(2), io_getevents(2), io_pgetevents(2). */
#include "kernel/aio.h"
#include "syscalls/proto.h"

long sys_io_setup(struct task *t, const struct syscall_args *a)
{
	uint64_t id;
	long r;

	if (get_user(id, a->a[1]))
		return -EFAULT;
	if (id)
		return -EINVAL;
	r = aio_setup(t, (unsigned)a->a[0], &id);
	if (!r && put_user(id, a->a[1])) {
		aio_destroy(t, id);
		r = -EFAULT;
	}
	return r;
}

long sys_io_destroy(struct task *t, const struct syscall_args *a) { return aio_destroy(t, a->a[0]); }
long sys_io_submit(struct task *t, const struct syscall_args *a) { return aio_submit(t, a->a[0], (long)a->a[1], a->a[2]); }
long sys_io_cancel(struct task *t, const struct syscall_args *a) { return aio_cancel(t, a->a[0], a->a[1]); }

static int get_deadline(uaddr_t addr, ktime_t *out)
{
	struct timespec ts;
	ktime_t d;

	*out = KTIME_MAX;
	if (!addr)
		return 0;
	if (get_user(ts, addr))
		return -EFAULT;
	/* Linux takes what it gets here; a negative time has passed. */
	d = ts.tv_sec < 0 || ts.tv_nsec < 0 ? 0 : ts.tv_sec >= KTIME_MAX / NSEC_PER_SEC ? KTIME_MAX : ktime_add_sat(ts.tv_sec * NSEC_PER_SEC, ts.tv_nsec);
	*out = d ? ktime_add_sat(ktime_mono(), d) : 0;
	return 0;
}

long sys_io_getevents(struct task *t, const struct syscall_args *a)
{
	ktime_t deadline;
	long r = get_deadline(a->a[4], &deadline);

	return r ? r : aio_getevents(t, a->a[0], (long)a->a[1], (long)a->a[2], a->a[3], deadline);
}

long sys_io_pgetevents(struct task *t, const struct syscall_args *a)
{
	struct { uint64_t mask, size; } sig = { 0 };
	ktime_t deadline;
	long r = get_deadline(a->a[4], &deadline);

	if (r)
		return r;
	if (a->a[5] && get_user(sig, a->a[5]))
		return -EFAULT;
	r = task_set_user_sigmask(t, sig.mask, sig.size);
	if (r)
		return r;
	r = aio_getevents(t, a->a[0], (long)a->a[1], (long)a->a[2], a->a[3], deadline);
	return r == -EINTR ? -ERESTARTNOHAND : r;
}
