/* SPDX-License-Identifier: Apache-2.0 */
/* sysv.c: what semaphores, message queues and shared memory of System V have in common: ids, keys, permissions, namespaces. */
#include "ipc/sysv.h"

#define MIN_CYCLE 64 /* slots that are gone through before one is used again, so that stale ids are noticed */
#define SEQ_MAX (INT32_MAX >> IPC_IDX_BITS)

/* ---- permissions ---- */

int ipc_permission(struct ipc_namespace *ns, const struct ipc_object *o, unsigned mode)
{
	const struct cred *c = fiber_context()->cred;
	unsigned want = (mode >> 6) | (mode >> 3) | mode, have = o->mode;

	if (c->euid == o->cuid || c->euid == o->uid)
		have >>= 6;
	else if (cred_in_group(c, o->cgid) || cred_in_group(c, o->gid))
		have >>= 3;
	if ((want & ~have & 7) && !ns_capable(c, ns->user_ns, CAP_IPC_OWNER))
		return -EACCES;
	return 0;
}

bool ipc_is_owner(struct ipc_namespace *ns, const struct ipc_object *o, int cap)
{
	const struct cred *c = fiber_context()->cred;

	return c->euid == o->cuid || c->euid == o->uid || ns_capable(c, ns->user_ns, cap);
}

void ipc_perm_out(const struct ipc_object *o, struct ipc64_perm_k *p)
{
	struct user_namespace *u = fiber_context()->cred->user_ns;

	*p = (struct ipc64_perm_k){
		.key = o->key,
		.uid = from_kuid(u, o->uid),
		.gid = from_kgid(u, o->gid),
		.cuid = from_kuid(u, o->cuid),
		.cgid = from_kgid(u, o->cgid),
		.mode = o->mode,
		.seq = o->seq,
	};
}

int ipc_perm_set(struct ipc_object *o, const struct ipc64_perm_k *p)
{
	struct user_namespace *u = fiber_context()->cred->user_ns;
	kuid_t uid = make_kuid(u, p->uid);
	kgid_t gid = make_kgid(u, p->gid);

	if (uid == KID_INVALID || gid == KID_INVALID)
		return -EINVAL;
	o->uid = uid;
	o->gid = gid;
	o->mode = (o->mode & ~0777U) | (p->mode & 0777);
	return 0;
}

/* ---- ids ---- */

struct ipc_object *ipc_find_idx(struct ipc_ids *ids, int idx)
{
	mutex_assert_held(&ids->lock);
	if (idx < 0)
		return NULL;
	idx &= IPC_IDX_MAX - 1;
	return (unsigned)idx < ids->nslots ? ids->slot[idx] : NULL;
}

struct ipc_object *ipc_find(struct ipc_ids *ids, int id)
{
	struct ipc_object *o = id < 0 ? NULL : ipc_find_idx(ids, id & (IPC_IDX_MAX - 1));

	return o && o->id == id ? o : NULL;
}

struct ipc_object *ipc_find_key(struct ipc_ids *ids, int32_t key)
{
	struct ipc_object *o;

	ipc_for_each(o, ids)
		if (o->key == key && key != IPC_PRIVATE)
			return o;
	return NULL;
}

static void grow(struct ipc_ids *ids, unsigned n)
{
	unsigned size = MAX(ids->nslots, 16U);

	if (n <= ids->nslots)
		return;
	while (size < n)
		size *= 2;
	ids->slot = xrealloc(ids->slot, size * sizeof(*ids->slot));
	memset(ids->slot + ids->nslots, 0, (size - ids->nslots) * sizeof(*ids->slot));
	ids->nslots = size;
}

static int free_slot(struct ipc_ids *ids, int from, int end)
{
	for (int i = from; i < end; i++)
		if ((unsigned)i >= ids->nslots || !ids->slot[i])
			return i;
	return -1;
}

/* Linux goes round through some more slots than are in use, so that a slot rests before it is used again. */
static int next_slot(struct ipc_ids *ids)
{
	int max = MIN(MAX((int)ids->in_use * 3 / 2, MIN_CYCLE), IPC_IDX_MAX), idx;

	idx = ids->next_idx < max ? free_slot(ids, ids->next_idx, max) : -1;
	if (idx < 0)
		idx = free_slot(ids, 0, max);
	if (idx < 0)
		return idx;
	ids->next_idx = idx + 1;
	if (idx <= ids->last_idx && ++ids->seq > SEQ_MAX)
		ids->seq = 0;
	ids->last_idx = idx;
	return idx;
}

int ipc_add(struct ipc_ids *ids, struct ipc_object *o, int32_t key, int flags, int limit)
{
	const struct cred *c = fiber_context()->cred;
	unsigned seq;
	int idx;

	mutex_assert_held(&ids->lock);
	if (ids->in_use >= (unsigned)MIN(limit, IPC_IDX_MAX))
		return -ENOSPC;
	if (ids->next_id >= 0) { /* what a restored process asks for */
		idx = free_slot(ids, ids->next_id & (IPC_IDX_MAX - 1), IPC_IDX_MAX);
		seq = ids->next_id >> IPC_IDX_BITS;
		ids->next_id = -1;
	} else {
		idx = next_slot(ids);
		seq = ids->seq;
	}
	if (idx < 0)
		return -ENOSPC;
	grow(ids, idx + 1);
	ids->slot[idx] = o;
	ids->in_use++;
	o->idx = idx;
	o->seq = seq;
	o->id = (int)(seq << IPC_IDX_BITS) + idx;
	o->key = key;
	o->mode = flags & 0777;
	o->uid = o->cuid = c->euid;
	o->gid = o->cgid = c->egid;
	return o->id;
}

void ipc_remove(struct ipc_ids *ids, struct ipc_object *o)
{
	mutex_assert_held(&ids->lock);
	BUG_ON(ids->slot[o->idx] != o);
	ids->slot[o->idx] = NULL;
	ids->in_use--;
}

int ipc_max_idx(struct ipc_ids *ids)
{
	for (int i = (int)ids->nslots - 1; i >= 0; i--)
		if (ids->slot[i])
			return i;
	return -1;
}

int ipc_get(struct ipc_namespace *ns, enum ipc_kind kind, int32_t key, int flags, int (*check)(struct ipc_object *o, uint64_t arg), uint64_t arg,
	    bool *create)
{
	struct ipc_object *o = key == IPC_PRIVATE ? NULL : ipc_find_key(&ns->ids[kind], key);
	int r;

	*create = false;
	if (!o) {
		if (key != IPC_PRIVATE && !(flags & IPC_CREAT))
			return -ENOENT;
		*create = true;
		return 0;
	}
	if ((flags & IPC_CREAT) && (flags & IPC_EXCL))
		return -EEXIST;
	r = check ? check(o, arg) : 0;
	if (!r)
		r = ipc_permission(ns, o, flags);
	return r ? r : o->id;
}

int ipc_wait(struct ipc_namespace *ns, struct mutex *lock, struct ipc_waiter *w, ktime_t deadline)
{
	int r = 0;

	mutex_assert_held(lock);
	mutex_unlock(lock);
	ns->ops->will_block();
	mutex_lock(lock);
	while (w->status == 1 && !r) {
		mutex_unlock(lock);
		r = fiber_park(PARK_INTERRUPTIBLE, deadline);
		mutex_lock(lock);
	}
	return w->status == 1 ? r : 0;
}

/* ---- namespaces ---- */

struct ipc_namespace *ipc_ns_create(const struct ipc_ops *ops, struct user_namespace *user_ns, uint64_t ns_ino)
{
	struct ipc_namespace *ns = new(struct ipc_namespace);

	refcount_init(&ns->ref);
	refcount_init(&ns->mem_ref);
	ns->ops = ops;
	user_ns_get(user_ns);
	ns->user_ns = user_ns;
	ns->ns_ino = ns_ino;
	for (int i = 0; i < IPC_KINDS; i++) {
		mutex_init(&ns->ids[i].lock, RANK_FS);
		ns->ids[i].last_idx = ns->ids[i].next_id = -1;
	}
	/* Linux's defaults */
	ns->shmmax = ns->shmall = UINT64_MAX - (1UL << 24);
	ns->shmmni = 4096;
	ns->semmsl = 32000;
	ns->semmns = 1024000000;
	ns->semopm = 500;
	ns->semmni = 32000;
	ns->msgmax = 8192;
	ns->msgmnb = 16384;
	ns->msgmni = 32000;
	mutex_init(&ns->mq_lock, RANK_LEAF);
	ns->mq_queues_max = 256;
	ns->mq_msg_max = ns->mq_msg_default = 10;
	ns->mq_msgsize_max = ns->mq_msgsize_default = 8192;
	return ns;
}

void ipc_ns_get(struct ipc_namespace *ns) { refcount_get(&ns->ref); }

void ipc_ns_mem_put(struct ipc_namespace *ns)
{
	if (!refcount_put(&ns->mem_ref))
		return;
	for (int i = 0; i < IPC_KINDS; i++)
		free(ns->ids[i].slot);
	user_ns_put(ns->user_ns);
	free(ns);
}

void ipc_ns_put(struct ipc_namespace *ns)
{
	if (!ns || !refcount_put(&ns->ref))
		return;
	if (ns->mq_release)
		ns->mq_release(ns);
	ipc_sem_destroy_all(ns);
	ipc_msg_destroy_all(ns);
	ipc_shm_destroy_all(ns);
	ipc_ns_mem_put(ns);
}
