/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel/user_dispatch.h"
#include "kernel/internal.h"
#include "kernel/ptrace.h"
#include "mm/uaccess.h"
#include <linux/audit.h>

enum { DISPATCH_OFF, DISPATCH_EXCLUSIVE, DISPATCH_INCLUSIVE };
enum { FILTER_ALLOW, FILTER_BLOCK };
#define SYS_USER_DISPATCH_CODE 2

void user_dispatch_clear(struct task *t)
{
	t->dispatched = false;
	free(t->dispatch);
	t->dispatch = NULL;
}

long user_dispatch_set(struct task *t, uint64_t mode, uint64_t offset, uint64_t len, uint64_t selector)
{
	switch (mode) {
	case DISPATCH_OFF:
		if (offset | len | selector)
			return -EINVAL;
		user_dispatch_clear(t);
		return 0;
	case DISPATCH_EXCLUSIVE: /* this range may call; 0, 0: nothing may */
		if (offset && offset + len <= offset)
			return -EINVAL;
		break;
	case DISPATCH_INCLUSIVE: /* all but this range may */
		if (offset + len <= offset)
			return -EINVAL;
		offset += len;
		len = -len;
		break;
	default:
		return -EINVAL;
	}
	if (selector >= PL_TASK_SIZE)
		return -EFAULT;
	if (!t->dispatch)
		t->dispatch = new(struct user_dispatch);
	*t->dispatch = (struct user_dispatch){ selector, offset, len };
	t->dispatched = true;
	/* The stub answers nothing by itself any more. */
	signal_lock(t);
	task_recall_mask_locked(t);
	signal_unlock(t);
	task_recall_actions(t);
	return 0;
}

static void sigsys(struct task *t, uint32_t nr, uint64_t rip)
{
	siginfo_k i;

	memset(&i, 0, sizeof(i));
	i.si_signo = SIGSYS;
	i.si_code = SYS_USER_DISPATCH_CODE;
	i.sys.call_addr = rip;
	i.sys.nr = (int32_t)nr;
	i.sys.arch = AUDIT_ARCH_X86_64;
	task_force_signal(t, &i);
}

static void die(struct task *t, int sig)
{
	siginfo_k i = { .si_signo = sig, .si_code = SI_KERNEL };

	task_die(t, sig, &i);
}

bool user_dispatch_check(struct task *t, uint32_t nr, int64_t *result)
{
	const struct user_dispatch *d = t->dispatch;
	struct pl_regs r;
	uint8_t state;

	pl_get_regs(t->thread, &r);
	if (r.rip - d->offset < d->len)
		return true;
	*result = (int32_t)nr;
	if (d->selector) {
		if (get_user(state, d->selector)) {
			die(t, SIGSEGV);
			return false;
		}
		if (state == FILTER_ALLOW)
			return true;
		if (state != FILTER_BLOCK) {
			die(t, SIGSYS);
			return false;
		}
	}
	sigsys(t, nr, r.rip);
	return false;
}

/* ---- by a tracer ---- */

struct sud_config { uint64_t mode, selector, offset, len; };

static long do_set(struct task *o, void *arg)
{
	const struct sud_config *c = arg;

	return user_dispatch_set(o, c->mode, c->offset, c->len, c->selector);
}

static long do_get(struct task *o, void *arg)
{
	struct sud_config *c = arg;

	c->mode = o->dispatched;
	if (o->dispatch)
		*c = (struct sud_config){ o->dispatched, o->dispatch->selector, o->dispatch->offset, o->dispatch->len };
	return 0;
}

long user_dispatch_ptrace(struct task *t, struct task *o, bool set, uint64_t size, uaddr_t at)
{
	struct sud_config c = { 0 };
	long r;

	if (size != sizeof(c))
		return -EINVAL;
	if (set)
		return copy_from_user(&c, at, sizeof(c)) ? -EFAULT : ptrace_on_tracee(t, o, do_set, &c);
	r = ptrace_on_tracee(t, o, do_get, &c);
	return r ? r : copy_to_user(at, &c, sizeof(c));
}
