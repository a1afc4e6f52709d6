/* SPDX-License-Identifier: Apache-2.0 */
/* pid.h: struct pid, the counted identity behind every number, and PID namespaces (pid_namespaces(7)). */
#ifndef BAILEY_KERNEL_PID_H
#define BAILEY_KERNEL_PID_H
#include "lib/lib.h"
#include "sched/sched.h"

struct task;
struct process_group;
struct session;
struct pid_namespace {
	struct refcount ref;
	struct pid_namespace *parent; /* counted; immutable */
	struct user_namespace *user_ns;
	struct kernel *kernel;
	int level;		      /* 0: root */
	uint64_t ns_ino;
	/* task_set.lock */
	struct pid **map;	      /* by number */
	int map_size, last, max;
	struct task *init;	      /* the child reaper; NULL before it starts and after it died */
	bool dying;		      /* no new tasks */
	struct task *zapper;	      /* of its init, waiting for the others to end; tasks.lock */
	bool begun;		      /* it has or had an init; read without the lock */
	int reboot;		      /* how its init is to have ended: a signal's number (reboot(2)) */
	unsigned ntasks;
};
struct upid { int nr; struct pid_namespace *ns; };
/* A number stays taken while its struct pid is hashed: as a thread, a process group or a session. A handle (pidfd, F_SETOWN)
 * holds a reference, so reuse of the number never reaches the wrong process. */
struct pid {
	struct refcount ref;
	int level;		      /* numbers[0..level] */
	uint64_t unique;	      /* never reused */
	/* task_set.lock */
	struct task *task;	      /* the thread with this id; NULL once dead */
	struct process_group *pgrp;   /* the group with this id */
	struct session *session;
	bool reaped;		      /* the process with this id is gone: */
	int exit_status;	      /* as wait(2) shows it */
	struct wait_queue *exit_wait; /* pidfd's poll of the process */
	struct upid numbers[];
};
void pid_get(struct pid *p);
void pid_put(struct pid *p);
int pid_nr(struct pid *p, struct pid_namespace *ns); /* 0 if invisible */
struct pid *pidns_find_locked(struct pid_namespace *ns, int nr); /* borrowed, task_set.lock */
struct pid *pidns_find(struct kernel *k, struct pid_namespace *ns, int nr); /* counted or NULL */
void pidns_get(struct pid_namespace *ns);
void pidns_put(struct pid_namespace *ns);
bool pidns_has_begun(struct pid_namespace *ns); /* it has or had an init */
bool pidns_is_ancestor(struct pid_namespace *anc, struct pid_namespace *ns); /* or the same */

#endif
