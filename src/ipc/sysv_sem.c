/* SPDX-License-Identifier: Apache-2.0 */
/* sysv_sem.c: System V semaphores: semget(2), semop(2), semctl(2), and SEM_UNDO.
 *
 * OVERVIEW: an operation that cannot be done now waits in its array's list; whoever changes a value carries out for the others what has
 * become possible, in order of arrival, and wakes them with the result. A woken fiber changes nothing itself.
 * LIFECYCLE: an array goes with IPC_RMID or its namespace: its waiters get EIDRM and its undo entries are dropped. An undo list belongs
 * to a process or to tasks that share it by CLONE_SYSVSEM, all in one namespace; its last reference applies what it holds.
 * LOCKS: ids[IPC_SEM].lock for all of it. */
#include "ipc/sysv.h"
#include <stdio.h>
#include <sys/sem.h>

#define SEM_VALUE_MAX_K 32767
#define SEM_ADJUST_MAX 16384
#define FAST_OPS 16

struct sem { uint16_t val; void *pid; };
struct sem_undo {
	LIST_ENTRY(sem_undo) of_array, of_list;
	struct sem_array *array;
	int16_t adj[];
};
struct sem_undo_list {
	struct refcount ref;
	struct ipc_namespace *ns; /* its memory is counted */
	LIST_HEAD(, sem_undo) undos;
};
struct sem_waiter {
	struct ipc_waiter w;
	TAILQ_ENTRY(sem_waiter) link;
	struct sembuf *ops;
	unsigned nops, blocking; /* the operation that it waits for */
	struct sem_undo *undo;
	void *pid; /* borrowed for the wait */
};
struct sem_array {
	struct ipc_object o;
	TAILQ_HEAD(, sem_waiter) waiters;
	LIST_HEAD(, sem_undo) undos;
	int64_t otime, ctime;
	unsigned nsems;
	struct sem sems[];
};
struct semid64_ds_k {
	struct ipc64_perm_k perm;
	uint64_t otime, unused1, ctime, unused2, nsems, unused3[2];
};
_Static_assert(sizeof(struct semid64_ds_k) == 104, "semid64_ds");

/* ---- the operation itself ---- */

static void take_pid(struct ipc_namespace *ns, struct sem *s) { ipc_set_pid(ns, &s->pid); }

/* 0: done; 1: must wait, for *blocking; -errno. Nothing has changed unless it is done. */
static int try_ops(struct sem_array *a, const struct sembuf *ops, unsigned n, struct sem_undo *un, unsigned *blocking)
{
	int r = 0, val, adj;
	unsigned i;

	for (i = 0; i < n; i++) {
		struct sem *s = &a->sems[ops[i].sem_num];

		val = s->val + ops[i].sem_op;
		if ((!ops[i].sem_op && s->val) || val < 0) {
			*blocking = i;
			r = ops[i].sem_flg & IPC_NOWAIT ? -EAGAIN : 1;
			break;
		}
		if (val > SEM_VALUE_MAX_K) {
			r = -ERANGE;
			break;
		}
		if (ops[i].sem_flg & SEM_UNDO) {
			adj = un->adj[ops[i].sem_num] - ops[i].sem_op;
			if (adj < -SEM_ADJUST_MAX * 2 || adj >= SEM_ADJUST_MAX * 2) {
				r = -ERANGE;
				break;
			}
			un->adj[ops[i].sem_num] = adj;
		}
		s->val = val;
	}
	if (!r)
		return 0;
	while (i--) {
		a->sems[ops[i].sem_num].val -= ops[i].sem_op;
		if (ops[i].sem_flg & SEM_UNDO)
			un->adj[ops[i].sem_num] += ops[i].sem_op;
	}
	return r;
}

static bool alters(const struct sembuf *ops, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (ops[i].sem_op)
			return true;
	return false;
}

/* Values changed: carry out what has become possible. */
static void run_waiters(struct sem_array *a)
{
	struct sem_waiter *w, *next;
	int r;
again:
	TAILQ_FOREACH_SAFE(w, &a->waiters, link, next) {
		r = try_ops(a, w->ops, w->nops, w->undo, &w->blocking);
		if (r == 1)
			continue;
		TAILQ_REMOVE(&a->waiters, w, link);
		a->otime = ipc_seconds();
		ipc_complete(&w->w, r);
		if (!r && alters(w->ops, w->nops))
			goto again;
	}
}

/* ---- undo ---- */

struct sem_undo_list *sem_undo_list_create(struct ipc_namespace *ns)
{
	struct sem_undo_list *l = new(struct sem_undo_list);

	refcount_init(&l->ref);
	refcount_get(&ns->mem_ref);
	l->ns = ns;
	return l;
}

void sem_undo_list_get(struct sem_undo_list *l) { refcount_get(&l->ref); }

void sem_undo_list_put(struct sem_undo_list *l)
{
	struct ipc_namespace *ns;
	struct sem_undo *un;
	int val;

	if (!l || !refcount_put(&l->ref))
		return;
	ns = l->ns;
	mutex_lock(&ns->ids[IPC_SEM].lock);
	while ((un = LIST_FIRST(&l->undos))) {
		struct sem_array *a = un->array;

		LIST_REMOVE(un, of_list);
		LIST_REMOVE(un, of_array);
		for (unsigned i = 0; i < a->nsems; i++) {
			if (!un->adj[i])
				continue;
			/* What cannot be undone in full is undone as far as it goes (semop(2), BUGS). */
			val = a->sems[i].val + un->adj[i];
			a->sems[i].val = val < 0 ? 0 : MIN(val, SEM_VALUE_MAX_K);
			take_pid(ns, &a->sems[i]);
		}
		a->otime = ipc_seconds();
		free(un);
		run_waiters(a);
	}
	mutex_unlock(&ns->ids[IPC_SEM].lock);
	ipc_ns_mem_put(ns);
	free(l);
}

static struct sem_undo *undo_find(struct sem_undo_list *l, struct sem_array *a)
{
	struct sem_undo *un;

	LIST_FOREACH(un, &l->undos, of_list)
		if (un->array == a)
			return un;
	un = kzalloc(sizeof(*un) + a->nsems * sizeof(un->adj[0]));
	if (!un)
		return NULL;
	un->array = a;
	LIST_INSERT_HEAD(&l->undos, un, of_list);
	LIST_INSERT_HEAD(&a->undos, un, of_array);
	return un;
}

/* ---- semop ---- */

static long semop_locked(struct ipc_namespace *ns, struct sem_undo_list *undo, int semid, struct sembuf *ops, unsigned n, ktime_t deadline)
{
	struct ipc_ids *ids = &ns->ids[IPC_SEM];
	struct sem_array *a = (void *)ipc_find(ids, semid);
	struct sem_waiter w = { .ops = ops, .nops = n, .w = { .fiber = fiber_self(), .status = 1 } };
	bool alter = alters(ops, n);
	int r;

	if (!a)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (ops[i].sem_num >= a->nsems)
			return -EFBIG;
	r = ipc_permission(ns, &a->o, alter ? 0222 : 0444);
	if (r)
		return r;
	if (undo) {
		w.undo = undo_find(undo, a);
		if (!w.undo)
			return -ENOMEM;
	}
	r = try_ops(a, ops, n, w.undo, &w.blocking);
	if (!r) {
		for (unsigned i = 0; i < n; i++)
			take_pid(ns, &a->sems[ops[i].sem_num]);
		a->otime = ipc_seconds();
		if (alter)
			run_waiters(a);
		return 0;
	}
	if (r != 1)
		return r;
	TAILQ_INSERT_TAIL(&a->waiters, &w, link);
	r = ipc_wait(ns, &ids->lock, &w.w, deadline);
	if (r) { /* still in the list, so the array is still there */
		TAILQ_REMOVE(&a->waiters, &w, link);
		return r == -ETIMEDOUT ? -EAGAIN : -EINTR; /* never restarted: signal(7) */
	}
	if (w.w.status)
		return w.w.status;
	/* Done by another; who did it is this process. */
	if ((a = (void *)ipc_find(ids, semid)))
		for (unsigned i = 0; i < n; i++)
			take_pid(ns, &a->sems[ops[i].sem_num]);
	return 0;
}

long ipc_semtimedop(struct ipc_namespace *ns, struct sem_undo_list **undo, int semid, uaddr_t sops, unsigned nsops,
		    const struct timespec *timeout)
{
	struct sembuf fast[FAST_OPS], *ops = fast;
	ktime_t deadline = KTIME_MAX;
	bool undos = false;
	long r;

	if (nsops > (unsigned)READ_ONCE(ns->semopm))
		return -E2BIG;
	if (nsops < 1)
		return -EINVAL;
	if (nsops > FAST_OPS) {
		ops = kzalloc(nsops * sizeof(*ops));
		if (!ops)
			return -ENOMEM;
	}
	r = copy_from_user(ops, sops, nsops * sizeof(*ops));
	if (!r && semid < 0)
		r = -EINVAL;
	if (!r && timeout) {
		if (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= NSEC_PER_SEC)
			r = -EINVAL;
		else if (timeout->tv_sec < KTIME_MAX / NSEC_PER_SEC)
			deadline = ktime_add_sat(ktime_mono(), timeout->tv_sec * NSEC_PER_SEC + timeout->tv_nsec);
	}
	for (unsigned i = 0; !r && i < nsops; i++)
		undos |= (ops[i].sem_flg & SEM_UNDO) != 0;
	if (!r) {
		if (undos && !*undo)
			*undo = sem_undo_list_create(ns);
		mutex_lock(&ns->ids[IPC_SEM].lock);
		r = semop_locked(ns, undos ? *undo : NULL, semid, ops, nsops, deadline);
		mutex_unlock(&ns->ids[IPC_SEM].lock);
	}
	if (ops != fast)
		free(ops);
	return r;
}

/* ---- semget ---- */

static int check_size(struct ipc_object *o, uint64_t nsems) { return nsems > ((struct sem_array *)o)->nsems ? -EINVAL : 0; }

long ipc_semget(struct ipc_namespace *ns, int32_t key, int nsems, int flags)
{
	struct ipc_ids *ids = &ns->ids[IPC_SEM];
	struct sem_array *a;
	bool create;
	long r;

	if (nsems < 0 || nsems > READ_ONCE(ns->semmsl))
		return -EINVAL;
	guard(mutex)(&ids->lock);
	r = ipc_get(ns, IPC_SEM, key, flags, check_size, nsems, &create);
	if (!create)
		return r;
	if (!nsems)
		return -EINVAL;
	if (ns->used_sems + nsems > ns->semmns)
		return -ENOSPC;
	a = kzalloc(sizeof(*a) + nsems * sizeof(a->sems[0]));
	if (!a)
		return -ENOMEM;
	TAILQ_INIT(&a->waiters);
	a->nsems = nsems;
	a->ctime = ipc_seconds();
	r = ipc_add(ids, &a->o, key, flags, ns->semmni);
	if (r < 0)
		free(a);
	else
		ns->used_sems += nsems;
	return r;
}

/* ---- semctl ---- */

static void destroy(struct ipc_namespace *ns, struct sem_array *a)
{
	struct sem_waiter *w;
	struct sem_undo *un;

	while ((w = TAILQ_FIRST(&a->waiters))) {
		TAILQ_REMOVE(&a->waiters, w, link);
		ipc_complete(&w->w, -EIDRM);
	}
	while ((un = LIST_FIRST(&a->undos))) {
		LIST_REMOVE(un, of_array);
		LIST_REMOVE(un, of_list);
		free(un);
	}
	for (unsigned i = 0; i < a->nsems; i++)
		if (a->sems[i].pid)
			ns->ops->pid_put(a->sems[i].pid);
	ns->used_sems -= a->nsems;
	ipc_remove(&ns->ids[IPC_SEM], &a->o);
	free(a);
}

void ipc_sem_destroy_all(struct ipc_namespace *ns)
{
	struct sem_array *a;

	guard(mutex)(&ns->ids[IPC_SEM].lock);
	ipc_for_each(a, &ns->ids[IPC_SEM])
		destroy(ns, a);
}

static long sem_info(struct ipc_namespace *ns, int cmd, uaddr_t arg)
{
	struct ipc_ids *ids = &ns->ids[IPC_SEM];
	struct seminfo i = { .semvmx = SEM_VALUE_MAX_K, .semaem = SEM_VALUE_MAX_K, .semusz = 20, .semume = 500 };
	int max;

	mutex_lock(&ids->lock);
	i.semmni = ns->semmni;
	i.semmns = i.semmap = i.semmnu = ns->semmns;
	i.semmsl = ns->semmsl;
	i.semopm = ns->semopm;
	if (cmd == SEM_INFO) {
		i.semusz = ids->in_use;
		i.semaem = ns->used_sems;
	}
	max = ipc_max_idx(ids);
	mutex_unlock(&ids->lock);
	return copy_to_user(arg, &i, sizeof(i)) ? -EFAULT : MAX(max, 0);
}

static long sem_stat(struct ipc_namespace *ns, int semid, int cmd, uaddr_t arg)
{
	struct ipc_ids *ids = &ns->ids[IPC_SEM];
	struct semid64_ds_k ds = { 0 };
	struct sem_array *a;
	long r;

	mutex_lock(&ids->lock);
	a = (void *)(cmd == IPC_STAT ? ipc_find(ids, semid) : ipc_find_idx(ids, semid));
	r = !a ? -EINVAL : cmd == SEM_STAT_ANY ? 0 : ipc_permission(ns, &a->o, 0444);
	if (!r) {
		ipc_perm_out(&a->o, &ds.perm);
		ds.otime = a->otime;
		ds.ctime = a->ctime;
		ds.nsems = a->nsems;
		r = cmd == IPC_STAT ? 0 : a->o.id;
	}
	mutex_unlock(&ids->lock);
	return r >= 0 && copy_to_user(arg, &ds, sizeof(ds)) ? -EFAULT : r;
}

static long sem_setval(struct ipc_namespace *ns, int semid, int semnum, int val)
{
	struct ipc_ids *ids = &ns->ids[IPC_SEM];
	struct sem_array *a;
	struct sem_undo *un;
	int r;

	if (val < 0 || val > SEM_VALUE_MAX_K)
		return -ERANGE;
	guard(mutex)(&ids->lock);
	a = (void *)ipc_find(ids, semid);
	if (!a)
		return -EINVAL;
	if (semnum < 0 || (unsigned)semnum >= a->nsems)
		return -EINVAL;
	r = ipc_permission(ns, &a->o, 0222);
	if (r)
		return r;
	LIST_FOREACH(un, &a->undos, of_array)
		un->adj[semnum] = 0;
	a->sems[semnum].val = val;
	take_pid(ns, &a->sems[semnum]);
	a->ctime = ipc_seconds();
	run_waiters(a);
	return 0;
}

/* GETALL and SETALL: as many values as the array has, which may be another one by the time they are copied. */
static long sem_all(struct ipc_namespace *ns, int semid, int cmd, uaddr_t arg)
{
	struct ipc_ids *ids = &ns->ids[IPC_SEM];
	struct sem_array *a;
	struct sem_undo *un;
	unsigned n;
	long r;

	mutex_lock(&ids->lock);
	a = (void *)ipc_find(ids, semid);
	r = !a ? -EINVAL : ipc_permission(ns, &a->o, cmd == SETALL ? 0222 : 0444);
	n = a ? a->nsems : 0;
	mutex_unlock(&ids->lock);
	if (r)
		return r;
	void *buf __free(mem) = kzalloc(n * sizeof(uint16_t));
	uint16_t *vals = buf;
	if (!vals)
		return -ENOMEM;
	if (cmd == SETALL) {
		if (copy_from_user(vals, arg, n * sizeof(*vals)))
			return -EFAULT;
		for (unsigned i = 0; i < n; i++)
			if (vals[i] > SEM_VALUE_MAX_K)
				return -ERANGE;
	}
	mutex_lock(&ids->lock);
	a = (void *)ipc_find(ids, semid);
	for (unsigned i = 0; a && i < n; i++) {
		if (cmd == GETALL) {
			vals[i] = a->sems[i].val;
		} else {
			a->sems[i].val = vals[i];
			take_pid(ns, &a->sems[i]);
		}
	}
	if (a && cmd == SETALL) {
		LIST_FOREACH(un, &a->undos, of_array)
			memset(un->adj, 0, n * sizeof(un->adj[0]));
		a->ctime = ipc_seconds();
		run_waiters(a);
	}
	mutex_unlock(&ids->lock);
	if (!a)
		return -EIDRM;
	return cmd == GETALL ? copy_to_user(arg, vals, n * sizeof(*vals)) : 0;
}

static long sem_get_one(struct ipc_namespace *ns, int semid, int semnum, int cmd)
{
	struct ipc_ids *ids = &ns->ids[IPC_SEM];
	struct sem_array *a;
	struct sem_waiter *w;
	int r, n = 0;

	guard(mutex)(&ids->lock);
	a = (void *)ipc_find(ids, semid);
	if (!a)
		return -EINVAL;
	r = ipc_permission(ns, &a->o, 0444);
	if (r)
		return r;
	if (semnum < 0 || (unsigned)semnum >= a->nsems)
		return -EINVAL;
	if (cmd == GETVAL)
		return a->sems[semnum].val;
	if (cmd == GETPID)
		return ns->ops->pid_nr(a->sems[semnum].pid);
	TAILQ_FOREACH(w, &a->waiters, link) {
		const struct sembuf *op = &w->ops[w->blocking];

		n += op->sem_num == semnum && (op->sem_op ? cmd == GETNCNT : cmd == GETZCNT);
	}
	return n;
}

static long sem_change(struct ipc_namespace *ns, int semid, int cmd, uaddr_t arg)
{
	struct ipc_ids *ids = &ns->ids[IPC_SEM];
	struct semid64_ds_k ds;
	struct sem_array *a;
	int r;

	if (cmd == IPC_SET && copy_from_user(&ds, arg, sizeof(ds)))
		return -EFAULT;
	guard(mutex)(&ids->lock);
	a = (void *)ipc_find(ids, semid);
	if (!a)
		return -EINVAL;
	if (!ipc_is_owner(ns, &a->o, CAP_SYS_ADMIN))
		return -EPERM;
	if (cmd == IPC_RMID) {
		destroy(ns, a);
		return 0;
	}
	r = ipc_perm_set(&a->o, &ds.perm);
	if (!r)
		a->ctime = ipc_seconds();
	return r;
}

long ipc_semctl(struct ipc_namespace *ns, int semid, int semnum, int cmd, uint64_t arg)
{
	if (semid < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case SEM_INFO: return sem_info(ns, cmd, arg);
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY: return sem_stat(ns, semid, cmd, arg);
	case GETALL:
	case SETALL: return sem_all(ns, semid, cmd, arg);
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT: return sem_get_one(ns, semid, semnum, cmd);
	case SETVAL: return sem_setval(ns, semid, semnum, (int)arg);
	case IPC_RMID:
	case IPC_SET: return sem_change(ns, semid, cmd, arg);
	default: return -EINVAL;
	}
}

void ipc_show_sem(struct ipc_namespace *ns, struct strbuf *b)
{
	struct sem_array *a;
	struct ipc64_perm_k p;

	strbuf_puts(b, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n");
	guard(mutex)(&ns->ids[IPC_SEM].lock);
	ipc_for_each(a, &ns->ids[IPC_SEM]) {
		ipc_perm_out(&a->o, &p);
		strbuf_printf(b, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lld %10lld\n", p.key, a->o.id, p.mode, a->nsems, p.uid, p.gid, p.cuid,
			      p.cgid, (long long)a->otime, (long long)a->ctime);
	}
}
