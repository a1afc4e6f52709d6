/* SPDX-License-Identifier: Apache-2.0 */
/* sched.c: scheduling calls. Guest threads are scheduled by the host: a CPU mask binds a thread there; classes, priorities and niceness are kept
 * and shown exactly, with Linux's checks, but do not steer it (what the jailed kernel process gives up for a thread it cannot take back). */
#include "platform/bind.h"
#include "syscalls/proto.h"
#include <linux/capability.h>
#include <sched.h>
#include <sys/resource.h>

#define SCHED_NORMAL_ 0
#define SCHED_FIFO_ 1
#define SCHED_RR_ 2
#define SCHED_BATCH_ 3
#define SCHED_IDLE_ 5
#define SCHED_DEADLINE_ SCHED_DEADLINE_K
#define SCHED_EXT_ 7 /* known to Linux by its bounds even where it cannot be had */
#define SCHED_RESET_ON_FORK_ 0x40000000

static struct task *find_task(struct task *t, int pid)
{
	if (pid)
		return pidns_task_with_id(task_pid_ns(t), pid);
	task_get(t);
	return t;
}

static bool same_owner(struct task *t, struct task *o)
{
	guard(mutex)(&o->lock);
	return t->cred->euid == o->cred->euid || t->cred->euid == o->cred->uid;
}

/* Nobody gives orders to a process that has more capabilities than he has himself. */
static bool safe_nice(struct task *t, struct task *o)
{
	guard(mutex)(&o->lock);
	return !(o->cred->permitted & ~t->cred->permitted) || ns_capable(t->cred, o->cred->user_ns, CAP_SYS_NICE);
}

long sys_sched_yield(struct task *t, const struct syscall_args *a)
{
	(void)t;
	(void)a;
	fiber_yield();
	return 0;
}

/* ---- affinity ---- */

static size_t cpumask_bytes(struct kernel *k) { return ((k->ncpus + 63) / 64) * 8; }

long sys_sched_setaffinity(struct task *t, const struct syscall_args *a)
{
	uint64_t mask[16] = { 0 };
	size_t len = MIN((size_t)(uint32_t)a->a[1], sizeof(mask));
	if (copy_from_user(mask, a->a[2], len) && len)
		return -EFAULT;
	struct task *o = find_task(t, (int)a->a[0]);
	if (!o)
		return -ESRCH;
	long r = 0;
	bool any = false;
	for (int i = 0; i < 16; i++) {
		int lo = i * 64;
		uint64_t have = t->kernel->ncpus >= lo + 64 ? ~0ULL : t->kernel->ncpus > lo ? (1ULL << (t->kernel->ncpus - lo)) - 1 : 0;
		mask[i] &= have;
		any |= mask[i] != 0;
	}
	if (!same_owner(t, o) && !ns_capable(t->cred, o->cred->user_ns, CAP_SYS_NICE)) {
		r = -EPERM;
	} else if (!safe_nice(t, o)) {
		r = -EPERM;
	} else if (!any) {
		r = -EINVAL;
	} else if (o->sched_policy == SCHED_DEADLINE_) { /* admitted for all of them */
		uint64_t all = o->kernel->ncpus >= 64 ? ~0ULL : (1ULL << o->kernel->ncpus) - 1;

		r = (mask[0] & all) == all ? 0 : -EBUSY;
	} else {
		mutex_lock(&o->lock);
		memcpy(o->cpu_mask, mask, sizeof(mask));
		if (o->thread)
			pl_thread_bind(o->thread, mask, sizeof(mask));
		mutex_unlock(&o->lock);
	}
	task_put(o);
	return r;
}

long sys_sched_getaffinity(struct task *t, const struct syscall_args *a)
{
	uint32_t len = a->a[1];
	uint64_t mask[16];
	size_t n = cpumask_bytes(t->kernel);
	if (len * 8 < (uint32_t)t->kernel->ncpus || (len & 7)) /* cut to 32 bits, as on Linux */
		return -EINVAL;
	struct task *o = find_task(t, (int)a->a[0]);
	if (!o)
		return -ESRCH;
	mutex_lock(&o->lock);
	memcpy(mask, o->cpu_mask, sizeof(mask));
	mutex_unlock(&o->lock);
	task_put(o);
	n = MIN(n, (size_t)len);
	return copy_to_user(a->a[2], mask, n) ? -EFAULT : (long)n;
}

long sys_getcpu(struct task *t, const struct syscall_args *a)
{
	(void)t;
	unsigned cpu = 0, node = 0;
	int c = sched_getcpu();
	if (c > 0)
		cpu = c;
	if (a->a[0] && put_user(cpu, a->a[0]))
		return -EFAULT;
	if (a->a[1] && put_user(node, a->a[1]))
		return -EFAULT;
	return 0;
}

/* ---- classes ---- */

static bool rt_policy(int p) { return p == SCHED_FIFO_ || p == SCHED_RR_; }
static bool fair_policy(int p) { return p == SCHED_NORMAL_ || p == SCHED_BATCH_; }

/* What is asked for; slice: how long a normal task runs in one go (sched_attr.sched_runtime of such), 0 for the usual. */
struct sched_change { int policy, prio, nice; bool reset_on_fork, keep_policy, keep_params, clamp; uint64_t slice; __typeof__(((struct task *)0)->sched_dl) dl; };

#define DL_RUNTIME_MIN 1024
#define DL_PERIOD_MIN (100 * NSEC_PER_USEC)
#define DL_PERIOD_MAX ((1ULL << 22) * NSEC_PER_USEC)

/* What a deadline task may ask for. */
static bool dl_valid(const struct sched_change *c)
{
	uint64_t period = c->dl.period ? c->dl.period : c->dl.deadline;

	return c->dl.deadline && c->dl.runtime >= DL_RUNTIME_MIN && !((c->dl.deadline | period) >> 63) && c->dl.runtime <= c->dl.deadline &&
	       c->dl.deadline <= period && period >= (uint64_t)DL_PERIOD_MIN && period <= DL_PERIOD_MAX;
}

/* The part of a CPU that it asks for, in millionths. */
static uint64_t dl_bandwidth(const __typeof__(((struct task *)0)->sched_dl) *dl)
{
	uint64_t period = dl->period ? dl->period : dl->deadline;

	return period ? dl->runtime / (period / 1000000.0) : 0;
}

/* Linux promises 95 % of the CPUs, no more. task_set.lock held. */
static bool dl_fits_locked(struct task *o, const struct sched_change *c)
{
	struct pid_namespace *root = o->kernel->tasks.root;
	uint64_t sum = dl_bandwidth(&c->dl);

	for (int nr = 1; nr < root->map_size; nr++) {
		struct task *p = root->map[nr] ? root->map[nr]->task : NULL;

		if (p && p != o && p->sched_policy == SCHED_DEADLINE_ && p->exit_state == TASK_EXIT_NONE)
			sum += dl_bandwidth(&p->sched_dl);
	}
	return sum <= 950000ULL * (uint64_t)o->kernel->ncpus;
}

static int nice_limit(struct task *o)
{
	uint64_t l = task_rlimit(o, RLIMIT_NICE);
	return l == RLIM64_INFINITY ? -20 : 20 - (int)MIN(l, 40);
}

static bool can_nice(struct task *t, struct task *o, int nice)
{
	return nice >= nice_limit(o) || cred_has_cap(t->cred, CAP_SYS_NICE);
}

static uint64_t base_slice(struct task *o)
{
	unsigned n = (unsigned)MIN(o->kernel->ncpus, 8), log = 0;

	while (n >>= 1)
		log++;
	return 700000ULL * (1 + log);
}

static uint64_t slice_of(struct task *o) { return o->sched_slice ?: base_slice(o); }

static bool may_schedule(struct task *t, struct task *o, const struct sched_change *c, int policy, bool reset_on_fork)
{
	if (cred_has_cap(t->cred, CAP_SYS_NICE))
		return true;
	if (fair_policy(policy) && c->nice < o->nice && !can_nice(t, o, c->nice))
		return false;
	if (rt_policy(policy)) {
		uint64_t lim = task_rlimit(o, RLIMIT_RTPRIO);

		if ((policy != o->sched_policy && !lim) || (c->prio > o->sched_priority && (uint64_t)c->prio > lim))
			return false;
	}
	if (policy == SCHED_DEADLINE_ || (o->sched_policy == SCHED_IDLE_ && policy != SCHED_IDLE_ && !can_nice(t, o, o->nice)))
		return false;
	return same_owner(t, o) && (!o->sched_reset_on_fork || reset_on_fork);
}

static long set_scheduler(struct task *t, struct task *o, struct sched_change *c)
{
	int policy = c->keep_policy ? o->sched_policy : c->policy;
	bool dl = policy == SCHED_DEADLINE_, reset_on_fork = c->keep_policy ? o->sched_reset_on_fork : c->reset_on_fork;
	if (!rt_policy(policy) && !fair_policy(policy) && policy != SCHED_IDLE_ && !dl)
		return -EINVAL;
	if (c->prio < 0 || c->prio > 99 || (dl && !dl_valid(c)) || rt_policy(policy) != (c->prio != 0))
		return -EINVAL;
	if (!may_schedule(t, o, c, policy, reset_on_fork) || !safe_nice(t, o))
		return -EPERM;
	if (c->clamp) /* as a kernel built without utilisation clamps */
		return -EOPNOTSUPP;
	if (dl) { /* it must be let run everywhere */
		uint64_t all = o->kernel->ncpus >= 64 ? ~0ULL : (1ULL << o->kernel->ncpus) - 1;

		if ((o->cpu_mask[0] & all) != all)
			return -EPERM;
	}
	guard(mutex)(&o->kernel->tasks.lock);
	if (dl && !dl_fits_locked(o, c))
		return -EBUSY;
	guard(mutex)(&o->lock);
	o->sched_reset_on_fork = reset_on_fork;
	if (c->keep_params) /* Linux takes the policy for one of the parameters */
		return 0;
	o->sched_policy = policy;
	memset(&o->sched_dl, 0, sizeof(o->sched_dl));
	if (dl) {
		o->sched_dl = c->dl;
		if (!o->sched_dl.period)
			o->sched_dl.period = o->sched_dl.deadline;
	} else if (fair_policy(policy)) {
		o->nice = c->nice;
		o->sched_slice = c->slice ? MAX(100 * NSEC_PER_USEC, MIN(100 * NSEC_PER_MSEC, (int64_t)MIN(c->slice, (uint64_t)INT64_MAX))) : 0;
	}
	o->sched_priority = c->prio;
	if (dl || rt_policy(policy))
		o->timer_slack = 0;
	else if (!o->timer_slack)
		o->timer_slack = o->timer_slack_default;
	return 0;
}

long sys_sched_setscheduler(struct task *t, const struct syscall_args *a)
{
	int policy = (int)a->a[1], prio;
	if (policy < 0)
		return -EINVAL;
	if (!a->a[2] || (int)a->a[0] < 0)
		return -EINVAL;
	if (get_user(prio, a->a[2]))
		return -EFAULT;
	struct task *o = find_task(t, (int)a->a[0]);
	if (!o)
		return -ESRCH;
	struct sched_change c = { .policy = policy & ~SCHED_RESET_ON_FORK_, .prio = prio, .nice = o->nice, .slice = o->sched_slice,
				  .reset_on_fork = policy & SCHED_RESET_ON_FORK_ };
	long r = set_scheduler(t, o, &c);
	task_put(o);
	return r;
}

long sys_sched_setparam(struct task *t, const struct syscall_args *a)
{
	int prio;
	if (!a->a[1] || (int)a->a[0] < 0)
		return -EINVAL;
	if (get_user(prio, a->a[1]))
		return -EFAULT;
	struct task *o = find_task(t, (int)a->a[0]);
	if (!o)
		return -ESRCH;
	struct sched_change c = { .prio = prio, .nice = o->nice, .slice = o->sched_slice, .keep_policy = true };
	long r = set_scheduler(t, o, &c);
	task_put(o);
	return r;
}

long sys_sched_getscheduler(struct task *t, const struct syscall_args *a)
{
	if ((int)a->a[0] < 0)
		return -EINVAL;
	struct task *o = find_task(t, (int)a->a[0]);
	if (!o)
		return -ESRCH;
	long r = o->sched_policy | (o->sched_reset_on_fork ? SCHED_RESET_ON_FORK_ : 0);
	task_put(o);
	return r;
}

long sys_sched_getparam(struct task *t, const struct syscall_args *a)
{
	if (!a->a[1] || (int)a->a[0] < 0)
		return -EINVAL;
	struct task *o = find_task(t, (int)a->a[0]);
	if (!o)
		return -ESRCH;
	int prio = o->sched_priority;
	task_put(o);
	return put_user(prio, a->a[1]);
}

static long prio_bound(int policy, bool max)
{
	if (rt_policy(policy))
		return max ? 99 : 1;
	return fair_policy(policy) || policy == SCHED_IDLE_ || policy == SCHED_DEADLINE_ || policy == SCHED_EXT_ ? 0 : -EINVAL;
}
long sys_sched_get_priority_max(struct task *t, const struct syscall_args *a) { (void)t; return prio_bound((int)a->a[0], true); }
long sys_sched_get_priority_min(struct task *t, const struct syscall_args *a) { (void)t; return prio_bound((int)a->a[0], false); }

long sys_sched_rr_get_interval(struct task *t, const struct syscall_args *a)
{
	if ((int)a->a[0] < 0)
		return -EINVAL;
	struct task *o = find_task(t, (int)a->a[0]);
	if (!o)
		return -ESRCH;
	bool fair = fair_policy(o->sched_policy) || o->sched_policy == SCHED_IDLE_;
	int64_t tick = 4 * NSEC_PER_MSEC, ns = o->sched_policy == SCHED_RR_ ? 100 * NSEC_PER_MSEC : fair ? (int64_t)slice_of(o) / tick * tick : 0;
	int64_t ts[2] = { 0, ns };
	task_put(o);
	return copy_to_user(a->a[1], ts, sizeof(ts));
}

struct sched_attr_k {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t util_min, util_max;
};
_Static_assert(sizeof(struct sched_attr_k) == 56, "struct sched_attr");
enum { SCHED_FLAG_RESET_ON_FORK = 1, SCHED_FLAG_DL = 6 /* RECLAIM, DL_OVERRUN */, SCHED_FLAG_UTIL_MIN = 32, SCHED_FLAG_UTIL_MAX = 64, SCHED_FLAG_KEEP_POLICY = 8, SCHED_FLAG_KEEP_PARAMS = 16, SCHED_FLAG_ALL_ = 0x7f };

long sys_sched_setattr(struct task *t, const struct syscall_args *a)
{
	struct sched_attr_k at;
	uint32_t size;
	if (!a->a[1] || (int)a->a[0] < 0 || a->a[2])
		return -EINVAL;
	if (get_user(size, a->a[1]))
		return -EFAULT;
	if (!size)
		size = 48;
	if (size < 48 || size > GUEST_PAGE_SIZE)
		goto too_big;
	int r = copy_struct_from_user(&at, sizeof(at), a->a[1], size);
	if (r == -E2BIG)
		goto too_big;
	if (r)
		return r;
	if ((int)at.policy < 0)
		return -EINVAL;
	bool clamp = at.flags & (SCHED_FLAG_UTIL_MIN | SCHED_FLAG_UTIL_MAX);
	if (clamp && size < sizeof(at))
		return -EINVAL;
	struct task *o = find_task(t, (int)a->a[0]);
	if (!o)
		return -ESRCH;
	if (at.flags & ~(uint64_t)SCHED_FLAG_ALL_) {
		task_put(o);
		return -EINVAL;
	}
	struct sched_change c = {
		.policy = at.policy, .prio = (int)MIN(at.priority, 100), .nice = MAX(-20, MIN(19, at.nice)), .slice = at.runtime, .clamp = clamp,
		.reset_on_fork = at.flags & SCHED_FLAG_RESET_ON_FORK, .keep_policy = at.flags & SCHED_FLAG_KEEP_POLICY,
		.dl = { at.runtime, at.deadline, at.period, at.flags & SCHED_FLAG_DL },
	};
	if (at.flags & SCHED_FLAG_KEEP_PARAMS) {
		c.keep_params = true;
		if (o->sched_policy == SCHED_DEADLINE_)
			c.dl = o->sched_dl;
		else if (rt_policy(o->sched_policy))
			c.prio = o->sched_priority;
		else
			c.nice = o->nice;
	}
	long ret = set_scheduler(t, o, &c);
	task_put(o);
	return ret;
too_big:
	size = sizeof(at);
	(void)put_user(size, a->a[1]);
	return -E2BIG;
}

long sys_sched_getattr(struct task *t, const struct syscall_args *a)
{
	uint32_t usize = a->a[2];
	if (!a->a[1] || (int)a->a[0] < 0 || usize < 48 || usize > GUEST_PAGE_SIZE || a->a[3])
		return -EINVAL;
	struct task *o = find_task(t, (int)a->a[0]);
	if (!o)
		return -ESRCH;
	struct sched_attr_k at = {
		.size = MIN(usize, (uint32_t)sizeof(at)), .policy = o->sched_policy, .priority = o->sched_priority,
		.flags = (o->sched_reset_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0) | o->sched_dl.flags,
		.nice = rt_policy(o->sched_policy) || o->sched_policy == SCHED_DEADLINE_ ? 0 : o->nice,
		.runtime = o->sched_policy == SCHED_DEADLINE_ ? o->sched_dl.runtime : rt_policy(o->sched_policy) ? 0 : slice_of(o), .deadline = o->sched_dl.deadline, .period = o->sched_dl.period,
	};
	task_put(o);
	return copy_to_user(a->a[1], &at, at.size) || (usize > sizeof(at) && clear_user(a->a[1] + sizeof(at), usize - sizeof(at))) ? -EFAULT : 0;
}

/* ---- niceness ---- */

/* Calls fn for every process or thread that (which, who) names; which as getpriority(2). -ESRCH when there is none. */
static long for_priority(struct task *t, int which, int who, long (*fn)(struct task *t, struct task *o, long acc, int arg), int arg)
{
	long acc = -ESRCH;
	struct pid_namespace *ns = task_pid_ns(t);
	if (which < PRIO_PROCESS || which > PRIO_USER)
		return -EINVAL;
	if (which == PRIO_PROCESS) {
		struct task *o = find_task(t, who);
		if (!o)
			return -ESRCH;
		acc = fn(t, o, acc, arg);
		task_put(o);
		return acc;
	}
	kuid_t uid = who ? make_kuid(t->cred->user_ns, who) : t->cred->uid;
	struct pid *pg = NULL;
	if (which == PRIO_PGRP) {
		mutex_lock(&t->kernel->tasks.lock);
		pg = who ? pidns_find_locked(ns, who) : t->tg->pgrp->pid;
		if (pg)
			pid_get(pg);
		mutex_unlock(&t->kernel->tasks.lock);
		if (!pg)
			return -ESRCH;
	}
	for (int id = pidns_next_tgid(ns, 1); id > 0; id = pidns_next_tgid(ns, id + 1)) {
		struct task *leader = pidns_task_with_id(ns, id);
		if (!leader)
			continue;
		for (int tid = task_next_tid(leader->tg, ns, 1); tid > 0; tid = task_next_tid(leader->tg, ns, tid + 1)) {
			struct task *o = pidns_task_with_id(ns, tid);
			if (!o)
				continue;
			mutex_lock(&t->kernel->tasks.lock);
			bool hit = pg ? o->tg->pgrp && o->tg->pgrp->pid == pg : o->cred->uid == uid;
			mutex_unlock(&t->kernel->tasks.lock);
			if (hit)
				acc = fn(t, o, acc, arg);
			task_put(o);
		}
		task_put(leader);
	}
	if (pg)
		pid_put(pg);
	return acc;
}

static long get_one(struct task *t, struct task *o, long acc, int arg)
{
	(void)t;
	(void)arg;
	return MAX(acc, (long)(20 - o->nice));
}

static long set_one(struct task *t, struct task *o, long acc, int nice)
{
	if (!same_owner(t, o) && !ns_capable(t->cred, o->cred->user_ns, CAP_SYS_NICE))
		return -EPERM;
	if (nice < o->nice && !can_nice(t, o, nice))
		return -EACCES;
	if (!safe_nice(t, o))
		return -EPERM;
	o->nice = nice;
	return acc == -ESRCH ? 0 : acc;
}

long sys_getpriority(struct task *t, const struct syscall_args *a)
{
	return for_priority(t, (int)a->a[0], (int)a->a[1], get_one, 0);
}

long sys_setpriority(struct task *t, const struct syscall_args *a)
{
	int nice = MAX(-20, MIN(19, (int)a->a[2]));
	return for_priority(t, (int)a->a[0], (int)a->a[1], set_one, nice);
}

/* ---- I/O priority: kept, and nothing more ---- */

#define IOPRIO_VALUE(class, level) ((class) << 13 | (level))
#define IOPRIO_CLASS(p) ((p) >> 13 & 7)
/* What counts for a task that has set none follows from its niceness, once it has an I/O context. */
static int ioprio_effective(struct task *o)
{
	guard(mutex)(&o->lock);
	int p = o->ioc ? o->ioc->ioprio : 0, policy = o->sched_policy;

	if (!o->ioc || IOPRIO_CLASS(p))
		return p;
	return IOPRIO_VALUE(policy == SCHED_IDLE_ ? 3 : rt_policy(policy) || policy == SCHED_DEADLINE_ ? 1 : 2, (o->nice + 20) / 5);
}
static long ioprio_get_raw(struct task *t, struct task *o, long acc, int arg)
{
	(void)t;
	(void)acc;
	(void)arg;
	guard(mutex)(&o->lock);
	return o->ioc ? o->ioc->ioprio : 0;
}
static long ioprio_get_one(struct task *t, struct task *o, long acc, int arg)
{
	(void)t;
	(void)arg;
	int p = ioprio_effective(o);
	return acc < 0 ? p : MIN(acc, (long)p);
}
static long ioprio_set_one(struct task *t, struct task *o, long acc, int prio)
{
	if (acc != -ESRCH && acc)
		return acc; /* the first error ends it */
	mutex_lock(&o->lock);
	bool own = o->cred->uid == t->cred->euid || o->cred->uid == t->cred->uid;
	mutex_unlock(&o->lock);
	if ((!own && !cred_has_cap(t->cred, CAP_SYS_NICE)) || !safe_nice(t, o))
		return -EPERM;
	guard(mutex)(&o->lock);
	if (!o->ioc) {
		o->ioc = xzalloc(sizeof(*o->ioc));
		refcount_init(&o->ioc->ref);
	}
	o->ioc->ioprio = prio;
	return 0;
}
long sys_ioprio_get(struct task *t, const struct syscall_args *a)
{
	int which = (int)a->a[0] - 1;
	return for_priority(t, which, (int)a->a[1], which == PRIO_PROCESS ? ioprio_get_raw : ioprio_get_one, 0);
}
long sys_ioprio_set(struct task *t, const struct syscall_args *a)
{
	int prio = (int)a->a[2] & 0xffff, class = IOPRIO_CLASS(prio);
	if (class == 1 && !cred_has_cap(t->cred, CAP_SYS_ADMIN) && !cred_has_cap(t->cred, CAP_SYS_NICE))
		return -EPERM;
	if (class > 3 || (class == 0 && (prio & 7)))
		return -EINVAL;
	return for_priority(t, (int)a->a[0] - 1, (int)a->a[1], ioprio_set_one, prio);
}
