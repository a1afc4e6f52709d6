/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp.c: strict mode and filters (seccomp(2)).
 *
 * OVERVIEW: a task has a mode and its newest filter, which leads to the older ones. Every call runs all of them and the strictest
 * answer counts. A task's filter is only ever replaced by one that was put on top of it (by itself, or by a sibling with
 * SECCOMP_FILTER_FLAG_TSYNC), so the own fiber reads it without a lock and what it reads stays.
 * LOCKS: task.seccomp and seccomp_mode change under the signal lock.
 */
#include "kernel/ptrace.h"
#include "kernel/seccomp.h"
#include "kernel/internal.h"
#include "mm/uaccess.h"
#include "mm/window.h"
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/ptrace.h>

#define PATH_MAX_INSNS 32768 /* of all filters of a task, at their cost */
#define FILTER_PENALTY 4
#define SYS_SECCOMP_CODE 1

static struct seccomp_filter *filter_get(struct seccomp_filter *f)
{
	if (f)
		refcount_get(&f->ref);
	return f;
}

static void filter_put(struct seccomp_filter *f)
{
	while (f && refcount_put(&f->ref)) {
		struct seccomp_filter *prev = f->prev;

		if (f->listener) {
			seccomp_listener_no_filter(f->listener);
			seccomp_listener_put(f->listener);
		}
		free(f);
		f = prev;
	}
}

void seccomp_inherit(struct task *c, struct task *t)
{
	c->seccomp = filter_get(t->seccomp);
	c->seccomp_mode = t->seccomp_mode;
	c->no_new_privs |= t->no_new_privs;
}

void seccomp_release(struct task *t)
{
	signal_lock(t);
	struct seccomp_filter *f = t->seccomp;

	t->seccomp = NULL;
	signal_unlock(t);
	filter_put(f);
}

unsigned seccomp_filters(struct task *t)
{
	unsigned n = 0;

	signal_lock(t);
	for (struct seccomp_filter *f = t->seccomp; f; f = f->prev)
		n++;
	signal_unlock(t);
	return n;
}

/* ---- for a tracer ---- */

static bool may_look(struct task *t) { return cred_has_cap(t->cred, CAP_SYS_ADMIN) && !t->seccomp_mode; }

/* Counted. */
static long nth_filter(struct task *t, struct task *o, uint64_t n, struct seccomp_filter **out)
{
	struct seccomp_filter *f;
	uint64_t count = 0;

	if (!may_look(t))
		return -EACCES;
	signal_lock(o);
	for (f = o->seccomp; f; f = f->prev)
		count++;
	if (n < count)
		for (f = o->seccomp; --count > n;)
			f = f->prev;
	*out = filter_get(f);
	signal_unlock(o);
	return READ_ONCE(o->seccomp_mode) != SECCOMP_MODE_FILTER ? -EINVAL : f ? 0 : -ENOENT;
}

long seccomp_get_filter(struct task *t, struct task *o, uint64_t n, uaddr_t to)
{
	struct seccomp_filter *f = NULL;
	long r = nth_filter(t, o, n, &f);

	if (!r)
		r = to && copy_to_user(to, f->prog, f->len * sizeof(f->prog[0])) ? -EFAULT : (long)f->len;
	filter_put(f);
	return r;
}

long seccomp_get_metadata(struct task *t, struct task *o, uint64_t size, uaddr_t at)
{
	struct seccomp_metadata md = { 0 };
	struct seccomp_filter *f = NULL;
	long r;

	if (!may_look(t))
		return -EACCES;
	if (size < sizeof(md.filter_off))
		return -EINVAL;
	if (get_user(md.filter_off, at))
		return -EFAULT;
	r = nth_filter(t, o, md.filter_off, &f);
	if (!r) {
		md.flags = f->log ? SECCOMP_FILTER_FLAG_LOG : 0;
		size = MIN(size, sizeof(md));
		r = copy_to_user(at, &md, size) ? -EFAULT : (long)size;
	}
	filter_put(f);
	return r;
}

/* ---- a call ---- */

static bool strict_check(struct task *t, uint32_t nr)
{
	switch (nr) {
	case 0: case 1: case 15: case 60: /* read, write, rt_sigreturn, exit */
		return true;
	}
	task_exit(t, SIGKILL);
	return false;
}

static uint32_t run_filters(struct seccomp_filter *f, struct seccomp_data *d, struct seccomp_filter **match)
{
	uint32_t best = SECCOMP_RET_ALLOW;

	*match = NULL;
	for (; f; f = f->prev) {
		uint32_t r = seccomp_bpf_run(f->prog, d);

		if ((int32_t)(r & SECCOMP_RET_ACTION_FULL) < (int32_t)(best & SECCOMP_RET_ACTION_FULL)) {
			best = r;
			*match = f;
		}
	}
	return best;
}

static const char *action_name(uint32_t action)
{
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS: return "kill_process";
	case SECCOMP_RET_KILL_THREAD: return "kill_thread";
	case SECCOMP_RET_TRAP: return "trap";
	case SECCOMP_RET_ERRNO: return "errno";
	case SECCOMP_RET_USER_NOTIF: return "user_notif";
	case SECCOMP_RET_TRACE: return "trace";
	case SECCOMP_RET_LOG: return "log";
	}
	return "allow";
}

static void trap_info(struct task *t, siginfo_k *info, const struct seccomp_data *d, int reason)
{
	struct pl_regs r;

	memset(info, 0, sizeof(*info));
	info->si_signo = SIGSYS;
	info->si_code = SYS_SECCOMP_CODE;
	info->si_errno = reason;
	pl_get_regs(t->thread, &r);
	info->sys.call_addr = r.rip;
	info->sys.nr = d->nr;
	info->sys.arch = AUDIT_ARCH_X86_64;
}

static __attribute__((noinline)) void trap(struct task *t, const struct seccomp_data *d, int reason)
{
	siginfo_k info;

	trap_info(t, &info, d, reason);
	task_force_signal(t, &info);
}

static __attribute__((noinline)) uint64_t ip_of(struct task *t)
{
	struct pl_regs r;

	pl_get_regs(t->thread, &r);
	return r.rip;
}

/* No handler and no tracer sees this SIGSYS; a core may be written. */
static void kill_process(struct task *t, const struct seccomp_data *d, int reason)
{
	siginfo_k info;

	trap_info(t, &info, d, reason);
	task_die(t, SIGSYS, &info);
}

static bool check(struct task *t, uint32_t nr, int64_t *result, bool again)
{
	struct seccomp_filter *f = READ_ONCE(t->seccomp), *match;
	struct seccomp_data d = { .nr = (int)nr, .arch = AUDIT_ARCH_X86_64 };
	uint32_t r, action, data;
	bool ip = false, log = false;

	*result = -ENOSYS;
	if (unlikely(READ_ONCE(t->trace_calls)) && ptrace_suspends_seccomp(t))
		return true;
	if (READ_ONCE(t->seccomp_mode) == SECCOMP_MODE_STRICT)
		return strict_check(t, nr);
	for (struct seccomp_filter *i = f; i; i = i->prev)
		ip |= i->needs_ip;
	if (ip)
		d.instruction_pointer = ip_of(t);
	memcpy(d.args, t->args.a, sizeof(d.args));
	r = run_filters(f, &d, &match);
	action = r & SECCOMP_RET_ACTION_FULL;
	data = r & SECCOMP_RET_DATA;
	if (likely(action == SECCOMP_RET_ALLOW))
		return true;
	log = match && match->log;
	if (log || action == SECCOMP_RET_LOG)
		log_info("%s[%d]: seccomp: %s of system call %u", t->comm, task_tgid(t, t->kernel->tasks.root), action_name(action), nr);
	switch (action) {
	case SECCOMP_RET_LOG:
		return true;
	case SECCOMP_RET_ERRNO:
		*result = -(int64_t)MIN(data, 4095U);
		return false;
	case SECCOMP_RET_TRAP:
		*result = (int32_t)nr; /* the registers as they were at the call */
		trap(t, &d, (int)data);
		return false;
	case SECCOMP_RET_TRACE:
		if (again)
			return true;
		/* What the tracer made of it has to pass, too. */
		if (ptrace_seccomp(t, data))
			return check(t, (uint32_t)t->syscall_nr, result, true);
		*result = t->result;
		return false;
	case SECCOMP_RET_USER_NOTIF:
		if (!match->listener)
			return false;
		d.instruction_pointer = ip_of(t);
		return seccomp_notify(t, match->listener, &d, result);
	case SECCOMP_RET_KILL_THREAD:
		if (READ_ONCE(t->tg->ntasks) > 1) {
			task_exit(t, SIGSYS);
			return false;
		}
		break;
	}
	kill_process(t, &d, (int)data); /* KILL_PROCESS, and whatever nobody knows */
	return false;
}

bool seccomp_check(struct task *t, uint32_t nr, int64_t *result) { return check(t, nr, result, false); }

/* ---- setting it ---- */

static bool may_assign(struct task *t, uint8_t mode) { return !t->seccomp_mode || t->seccomp_mode == mode; }

long seccomp_set_strict(struct task *t)
{
	long r = 0;

	signal_lock(t);
	if (!may_assign(t, SECCOMP_MODE_STRICT))
		r = -EINVAL;
	else
		t->seccomp_mode = SECCOMP_MODE_STRICT;
	task_recall_mask_locked(t); /* the stub answers nothing that a filter has to see */
	signal_unlock(t);
	mm_windows_close(t->mm); /* what calls no longer give is not to be found in memory */
	task_recall_actions(t);
	return r;
}

static bool is_ancestor(const struct seccomp_filter *a, const struct seccomp_filter *f)
{
	if (!a)
		return true;
	for (; f; f = f->prev)
		if (f == a)
			return true;
	return false;
}

/* The first thread that cannot follow, or NULL. Signal lock. */
static struct task *tsync_obstacle(struct task *t)
{
	struct task *o;

	TAILQ_FOREACH(o, &t->tg->tasks, tg_link) {
		if (o == t || o->exit_state != TASK_EXIT_NONE)
			continue;
		if (!o->seccomp_mode || (o->seccomp_mode == SECCOMP_MODE_FILTER && is_ancestor(o->seccomp, t->seccomp)))
			continue;
		return o;
	}
	return NULL;
}

static void tsync(struct task *t, struct seccomp_filter **gone, unsigned *ngone)
{
	struct task *o;

	TAILQ_FOREACH(o, &t->tg->tasks, tg_link) {
		if (o == t || o->exit_state != TASK_EXIT_NONE)
			continue;
		gone[(*ngone)++] = o->seccomp;
		WRITE_ONCE(o->seccomp, filter_get(t->seccomp));
		if (t->no_new_privs)
			o->no_new_privs = true;
		full_fence();
		WRITE_ONCE(o->seccomp_mode, SECCOMP_MODE_FILTER);
		task_mask_asks_locked(o);
		if (o->thread) { /* its stub may have been answering by itself for long */
			pl_ids_recall(o->thread);
			pl_rseq_lend(o->thread, false);
		}
	}
}

static int load(struct task *t, uaddr_t fprog, struct seccomp_filter **out)
{
	struct { uint16_t len, pad[3]; uint64_t filter; } p;
	struct seccomp_filter *f;
	int r;

	_Static_assert(sizeof(p) == sizeof(struct sock_fprog), "struct sock_fprog");
	if (copy_from_user(&p, fprog, sizeof(p)))
		return -EFAULT;
	if (!p.len || p.len > BPF_MAXINSNS)
		return -EINVAL;
	if (!t->no_new_privs && !ns_capable(t->cred, t->cred->user_ns, CAP_SYS_ADMIN))
		return -EACCES;
	if (!p.filter)
		return -EINVAL;
	f = xzalloc(sizeof(*f) + p.len * sizeof(f->prog[0]));
	refcount_init(&f->ref);
	f->len = p.len;
	r = copy_from_user(f->prog, p.filter, p.len * sizeof(f->prog[0])) ? -EFAULT : seccomp_bpf_check(f->prog, f->len);
	if (r) {
		free(f);
		return r;
	}
	f->cost = seccomp_bpf_cost(f->prog, f->len);
	for (unsigned i = 0; i < f->len; i++)
		if (f->prog[i].code == (BPF_LD | BPF_W | BPF_ABS) && f->prog[i].k >= offsetof(struct seccomp_data, instruction_pointer) &&
		    f->prog[i].k < offsetof(struct seccomp_data, args))
			f->needs_ip = true;
	*out = f;
	return 0;
}

static long attach(struct task *t, unsigned flags, struct seccomp_filter *f, struct seccomp_filter **gone, unsigned *ngone)
{
	unsigned total = f->cost;

	for (struct seccomp_filter *i = t->seccomp; i; i = i->prev) {
		total += i->cost + FILTER_PENALTY;
		if (f->listener && i->listener)
			return -EBUSY;
	}
	if (total > PATH_MAX_INSNS)
		return -ENOMEM;
	if (!may_assign(t, SECCOMP_MODE_FILTER))
		return -EINVAL;
	if (flags & SECCOMP_FILTER_FLAG_TSYNC) {
		struct task *o = tsync_obstacle(t);

		if (o)
			return flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : task_tid(o, task_pid_ns(t));
	}
	f->prev = t->seccomp; /* its reference goes along */
	t->seccomp = f;
	t->seccomp_mode = SECCOMP_MODE_FILTER;
	task_recall_actions(t);
	task_recall_mask_locked(t);
	if (flags & SECCOMP_FILTER_FLAG_TSYNC)
		tsync(t, gone, ngone);
	return 0;
}

#define KNOWN_FLAGS (SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_NEW_LISTENER | \
	SECCOMP_FILTER_FLAG_TSYNC_ESRCH | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV)

long seccomp_set_filter(struct task *t, unsigned flags, uaddr_t fprog)
{
	struct seccomp_filter *f = NULL, **gone;
	__free(file) struct file *file = NULL;
	__free(mem) void *mem = NULL;
	unsigned ngone = 0;
	int fd = -1;
	long r;

	if (flags & ~(unsigned)KNOWN_FLAGS)
		return -EINVAL;
	if ((flags & SECCOMP_FILTER_FLAG_TSYNC) && (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) && !(flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH))
		return -EINVAL;
	if ((flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) && !(flags & SECCOMP_FILTER_FLAG_NEW_LISTENER))
		return -EINVAL;
	r = load(t, fprog, &f);
	if (r)
		return r;
	mm_windows_close(t->mm);
	f->log = flags & SECCOMP_FILTER_FLAG_LOG;
	if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) {
		r = seccomp_listener_create(flags & SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &f->listener, &file);
		if (r) {
			free(f);
			return r;
		}
		fd = fd_install(t->fdt, file, true);
		if (fd < 0) {
			filter_put(f);
			return fd;
		}
	}
	/* Room for what the other threads give up; the tree lock keeps their number. */
	mutex_lock(&t->kernel->tasks.lock);
	gone = mem = xcalloc(MAX(t->tg->ntasks, 1U), sizeof(*gone));
	signal_lock(t);
	r = attach(t, flags, f, gone, &ngone);
	signal_unlock(t);
	mutex_unlock(&t->kernel->tasks.lock);
	for (unsigned i = 0; i < ngone; i++)
		filter_put(gone[i]);
	if (r) {
		filter_put(f);
		if (fd >= 0)
			fd_close(t->fdt, fd);
		return r;
	}
	return fd >= 0 ? fd : 0;
}

long seccomp_action_avail(uint32_t action)
{
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_USER_NOTIF:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return 0;
	}
	return -EOPNOTSUPP;
}
