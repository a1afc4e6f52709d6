/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp.h: what a guest's own filters let it call (seccomp(2)). */
#ifndef BAILEY_KERNEL_SECCOMP_H
#define BAILEY_KERNEL_SECCOMP_H
#include "kernel/task.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

struct seccomp_listener;

/* Immutable but for the count and the listener's end. A filter holds the one that was there before it: a tree with its root in the past. */
struct seccomp_filter {
	struct refcount ref;
	struct seccomp_filter *prev;	   /* counted */
	struct seccomp_listener *listener; /* counted; NULL: none */
	bool log, needs_ip;
	unsigned len, cost;
	struct sock_filter prog[];
};

/* bpf.c of it: 0 or -EINVAL. */
int seccomp_bpf_check(const struct sock_filter *f, unsigned len);
unsigned seccomp_bpf_cost(const struct sock_filter *f, unsigned len);
uint32_t seccomp_bpf_run(const struct sock_filter *f, const struct seccomp_data *d);

/* A call under a mode: true: it goes on. Else *result is what it returns, or after_syscall or a signal says how it ends. Own fiber. */
bool seccomp_check(struct task *t, uint32_t nr, int64_t *result);
long seccomp_set_strict(struct task *t);
long seccomp_set_filter(struct task *t, unsigned flags, uaddr_t fprog);
long seccomp_action_avail(uint32_t action);
/* Signal lock of t's group held, when c is linked to the tree. */
void seccomp_inherit(struct task *c, struct task *t);
void seccomp_release(struct task *t); /* exit, or a task that was never linked */
unsigned seccomp_filters(struct task *t); /* how many; for /proc */
/* ptrace(2): the nth filter of o, the oldest first: its instructions to `to` (0: only how many), or a description of it. */
long seccomp_get_filter(struct task *t, struct task *o, uint64_t n, uaddr_t to);
long seccomp_get_metadata(struct task *t, struct task *o, uint64_t size, uaddr_t at);

/* seccomp_notify.c: a filter's listener, to which SECCOMP_RET_USER_NOTIF hands calls. */
int seccomp_listener_create(bool killable, struct seccomp_listener **out, struct file **file);
void seccomp_listener_put(struct seccomp_listener *l);
void seccomp_listener_no_filter(struct seccomp_listener *l); /* the last task under the filter is gone */
/* Parks. True: the call goes on; else *result. */
bool seccomp_notify(struct task *t, struct seccomp_listener *l, const struct seccomp_data *d, int64_t *result);

#endif
