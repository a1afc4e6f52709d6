/* SPDX-License-Identifier: Apache-2.0 */
/* time_ns.h: time namespaces (time_namespaces(7)): what is added to the monotonic and boot clocks of those in it; cgroup namespaces. */
#ifndef BAILEY_KERNEL_TIME_NS_H
#define BAILEY_KERNEL_TIME_NS_H
#include "kernel/task.h"

struct time_namespace {
	struct refcount ref;
	struct user_namespace *user_ns; /* counted */
	uint64_t ns_ino;
	struct mutex lock; /* RANK_LEAF: until it is frozen */
	bool frozen;	   /* somebody is in it: the offsets stay */
	ktime_t mono, boot;
};
struct time_namespace *time_ns_create(struct kernel *k, struct time_namespace *from /* NULL: the first */, struct user_namespace *user_ns);
void time_ns_get(struct time_namespace *ns);
void time_ns_put(struct time_namespace *ns);
/* t, which nobody else knows or whose own fiber this is, goes into the namespace for its children (fork, exec). */
void time_ns_enter_children(struct task *t);
/* Own fiber: the vDSO of its address space knows no offsets, so clocks are asked for by a call there. */
void time_ns_set_vdso(struct task *t);
/* What t sees of a clock, less what the kernel does. */
ktime_t time_ns_offset(struct task *t, int clock);
/* /proc/PID/timens_offsets of what o's children will be in. */
int time_ns_show_offsets(struct task *o, struct strbuf *b);
int time_ns_write_offsets(struct task *t, struct task *o, char *text);

/* There is one cgroup, so every cgroup namespace has it as its root: they differ by number and owner. */
struct cgroup_namespace {
	struct refcount ref;
	struct user_namespace *user_ns; /* counted */
	uint64_t ns_ino;
};
struct cgroup_namespace *cgroup_ns_create(struct kernel *k, struct user_namespace *user_ns);
void cgroup_ns_get(struct cgroup_namespace *ns);
void cgroup_ns_put(struct cgroup_namespace *ns);

#endif
