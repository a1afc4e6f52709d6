/* SPDX-License-Identifier: Apache-2.0 */
/* time_ns.c: time namespaces, and cgroup namespaces, of which less can be said.
 *
 * OVERVIEW: unshare(CLONE_NEWTIME) makes a namespace for children; its offsets can be set until the first of them is in it. Kernel code
 * works on the host's clocks; what a guest names or reads is translated where it is read (clock.c, futex, timerfd, /proc).
 */
#include "kernel/time_ns.h"
#include "kernel/internal.h"
#include "kernel/timer.h"
#include <linux/capability.h>
#include <stdio.h>

struct time_namespace *time_ns_create(struct kernel *k, struct time_namespace *from, struct user_namespace *user_ns)
{
	struct time_namespace *ns = new(struct time_namespace);

	refcount_init(&ns->ref);
	mutex_init(&ns->lock, RANK_LEAF);
	user_ns_get(user_ns);
	ns->user_ns = user_ns;
	ns->ns_ino = kernel_new_ns_ino(k);
	if (from) {
		guard(mutex)(&from->lock);
		ns->mono = from->mono;
		ns->boot = from->boot;
	} else {
		ns->frozen = true;
	}
	return ns;
}

void time_ns_get(struct time_namespace *ns) { refcount_get(&ns->ref); }

void time_ns_put(struct time_namespace *ns)
{
	if (!ns || !refcount_put(&ns->ref))
		return;
	user_ns_put(ns->user_ns);
	free(ns);
}

void time_ns_enter_children(struct task *t)
{
	struct time_namespace *old = t->time_ns, *ns = t->time_ns_for_children;

	if (likely(old == ns))
		return;
	mutex_lock(&ns->lock);
	ns->frozen = true;
	mutex_unlock(&ns->lock);
	time_ns_get(ns);
	mutex_lock(&t->lock);
	t->time_ns = ns;
	mutex_unlock(&t->lock);
	time_ns_put(old);
}

void time_ns_set_vdso(struct task *t)
{
	if (unlikely(t->time_ns != t->kernel->root_time_ns) && fiber_context()->mm)
		mm_vdso_no_clocks(fiber_context()->mm);
}

ktime_t time_ns_offset(struct task *t, int clock)
{
	if (likely(t->time_ns == t->kernel->root_time_ns) || !t->time_ns)
		return 0;
	switch (clock) {
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
		return t->time_ns->mono;
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		return t->time_ns->boot;
	}
	return 0;
}

/* ---- /proc/PID/timens_offsets ---- */

static struct time_namespace *for_children(struct task *o)
{
	guard(mutex)(&o->lock);
	if (o->time_ns_for_children)
		time_ns_get(o->time_ns_for_children);
	return o->time_ns_for_children;
}

static void show_one(struct strbuf *b, const char *name, ktime_t v)
{
	int64_t sec = v / NSEC_PER_SEC, ns = v % NSEC_PER_SEC;

	if (ns < 0) {
		sec--;
		ns += NSEC_PER_SEC;
	}
	strbuf_printf(b, "%-10s %10lld %9lld\n", name, (long long)sec, (long long)ns);
}

int time_ns_show_offsets(struct task *o, struct strbuf *b)
{
	struct time_namespace *ns = for_children(o);

	if (!ns)
		return 0;
	mutex_lock(&ns->lock);
	ktime_t mono = ns->mono, boot = ns->boot;
	mutex_unlock(&ns->lock);
	show_one(b, "monotonic", mono);
	show_one(b, "boottime", boot);
	time_ns_put(ns);
	return 0;
}

struct offset { int clock; int64_t sec, nsec; };

/* A line: a clock by number or name, seconds, nanoseconds. */
static int parse_line(char *s, struct offset *o)
{
	char name[16];
	long long sec, nsec;

	if (sscanf(s, "%15s %lld %lld", name, &sec, &nsec) != 3 || nsec < 0 || nsec >= NSEC_PER_SEC)
		return -EINVAL;
	if (!strcmp(name, "monotonic") || !strcmp(name, "1"))
		o->clock = CLOCK_MONOTONIC;
	else if (!strcmp(name, "boottime") || !strcmp(name, "7"))
		o->clock = CLOCK_BOOTTIME;
	else
		return -EINVAL;
	o->sec = sec;
	o->nsec = nsec;
	return 0;
}

/* Neither below zero now nor so far that it could ever overflow. */
static int check_range(const struct offset *o)
{
	const int64_t max = KTIME_MAX / NSEC_PER_SEC;
	struct timespec now;

	clock_gettime(o->clock, &now);
	if (o->sec > max || o->sec < -max)
		return -ERANGE;
	now.tv_sec += o->sec + (now.tv_nsec + o->nsec) / NSEC_PER_SEC;
	return now.tv_sec < 0 || now.tv_sec > max / 2 ? -ERANGE : 0;
}

static int write_offsets(struct time_namespace *ns, const struct offset *o, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int r = check_range(&o[i]);
		if (r)
			return r;
	}
	guard(mutex)(&ns->lock);
	if (ns->frozen)
		return -EACCES;
	for (unsigned i = 0; i < n; i++)
		*(o[i].clock == CLOCK_MONOTONIC ? &ns->mono : &ns->boot) = o[i].sec * NSEC_PER_SEC + o[i].nsec;
	return 0;
}

int time_ns_write_offsets(struct task *t, struct task *o, char *text)
{
	struct offset off[2];
	unsigned n = 0;
	int r;

	for (char *line = text, *end; *line; line = end) {
		end = strchrnul(line, '\n');
		if (*end)
			*end++ = '\0';
		if (n == 2)
			return -EINVAL;
		r = parse_line(line, &off[n++]);
		if (r)
			return r;
	}
	if (!n)
		return -EINVAL;
	struct time_namespace *ns = for_children(o);

	if (!ns)
		return -ESRCH;
	r = ns_capable(t->cred, ns->user_ns, CAP_SYS_TIME) ? write_offsets(ns, off, n) : -EPERM;
	time_ns_put(ns);
	return r;
}

/* ---- cgroup namespaces ---- */

struct cgroup_namespace *cgroup_ns_create(struct kernel *k, struct user_namespace *user_ns)
{
	struct cgroup_namespace *ns = new(struct cgroup_namespace);

	refcount_init(&ns->ref);
	user_ns_get(user_ns);
	ns->user_ns = user_ns;
	ns->ns_ino = kernel_new_ns_ino(k);
	return ns;
}

void cgroup_ns_get(struct cgroup_namespace *ns) { refcount_get(&ns->ref); }

void cgroup_ns_put(struct cgroup_namespace *ns)
{
	if (!ns || !refcount_put(&ns->ref))
		return;
	user_ns_put(ns->user_ns);
	free(ns);
}
