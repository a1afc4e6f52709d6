/* SPDX-License-Identifier: Apache-2.0 */
/* sysv.h: what the three kinds of System V objects share; for src/ipc only. All of it under the kind's ids.lock. */
#ifndef BAILEY_IPC_SYSV_H
#define BAILEY_IPC_SYSV_H
#include "ipc/ipc.h"
#include <linux/capability.h>
#include <sys/ipc.h>
#include <sys/stat.h>

struct ipc_object {
	int id, idx;
	int32_t key;
	uint16_t seq;
	uint32_t mode; /* permissions, and SHM_DEST, SHM_LOCKED */
	kuid_t uid, cuid;
	kgid_t gid, cgid;
};

/* Linux's struct ipc64_perm */
struct ipc64_perm_k {
	int32_t key;
	uint32_t uid, gid, cuid, cgid, mode;
	uint16_t seq, pad;
	uint64_t unused[2];
};
_Static_assert(sizeof(struct ipc64_perm_k) == 48, "ipc64_perm");

int ipc_permission(struct ipc_namespace *ns, const struct ipc_object *o, unsigned mode /* S_IRUGO and the like */);
bool ipc_is_owner(struct ipc_namespace *ns, const struct ipc_object *o, int cap); /* or has cap: IPC_SET, IPC_RMID */
struct ipc_object *ipc_find(struct ipc_ids *ids, int id);	 /* by full id, NULL */
struct ipc_object *ipc_find_idx(struct ipc_ids *ids, int idx); /* by slot only: the _STAT commands */
struct ipc_object *ipc_find_key(struct ipc_ids *ids, int32_t key);
/* Gives o an id: it, or -ENOSPC. Fills in owner and mode. */
int ipc_add(struct ipc_ids *ids, struct ipc_object *o, int32_t key, int flags, int limit);
void ipc_remove(struct ipc_ids *ids, struct ipc_object *o);
int ipc_max_idx(struct ipc_ids *ids); /* the highest slot in use, or -1 */
void ipc_perm_out(const struct ipc_object *o, struct ipc64_perm_k *p); /* as the running task's user namespace shows it */
int ipc_perm_set(struct ipc_object *o, const struct ipc64_perm_k *p);  /* IPC_SET: 0 or -EINVAL */
#define ipc_for_each(o, ids) for (unsigned i_ = 0; i_ < (ids)->nslots; i_++) if (((o) = (void *)(ids)->slot[i_]))

/* semget and friends: the id of an existing object with this key that may be used, 0 with *create, or -errno. */
int ipc_get(struct ipc_namespace *ns, enum ipc_kind kind, int32_t key, int flags, int (*check)(struct ipc_object *o, uint64_t arg), uint64_t arg,
	    bool *create);
static inline int64_t ipc_seconds(void) { return ktime_real() / NSEC_PER_SEC; }
static inline void ipc_set_pid(struct ipc_namespace *ns, void **where)
{
	void *old = *where;

	*where = ns->ops->self();
	if (old)
		ns->ops->pid_put(old);
}

/* A call that sleeps: completed by somebody else, under the lock. */
struct ipc_waiter {
	struct fiber *fiber;
	int status; /* 1: still waiting; else the result */
};
static inline void ipc_complete(struct ipc_waiter *w, int status)
{
	w->status = status;
	fiber_wake(w->fiber);
}
/* Called with the lock and returns with it: 0 once status is set, -EINTR, -ETIMEDOUT. */
int ipc_wait(struct ipc_namespace *ns, struct mutex *lock, struct ipc_waiter *w, ktime_t deadline);

void ipc_sem_destroy_all(struct ipc_namespace *ns);
void ipc_msg_destroy_all(struct ipc_namespace *ns);
void ipc_shm_destroy_all(struct ipc_namespace *ns);

#endif
