/* SPDX-License-Identifier: Apache-2.0 */
/* sysv_shm.c: System V shared memory: shmget(2), shmop(2), shmctl(2).
 *
 * OVERVIEW: a segment is a shared memory object of mm with a number. What address spaces map is the segment's own mappable, so that they
 * tell it of each mapping that comes and goes: that is the attach count, over fork, exec and exit.
 * LIFECYCLE: the table's reference goes with IPC_RMID when nothing is attached, else with the last detach; mappings hold references too.
 * LOCKS: ids[IPC_SHM].lock; nattch and atime are atomic, because mm tells of a new mapping with a leaf lock held. */
#include "ipc/sysv.h"
#include <stdio.h>
#include <sys/mman.h>
#include <sys/shm.h>

struct shm_segment {
	struct ipc_object o;
	struct mappable mappable;
	struct refcount ref;
	struct ipc_namespace *ns; /* its memory is counted */
	struct shm_object *data;
	uint64_t size;
	_Atomic uint64_t nattch;  /* mappings, and calls that are about to map it */
	_Atomic int64_t atime;
	int64_t dtime, ctime;
	void *cpid, *lpid;
	bool gone; /* out of the table */
};
struct shmid64_ds_k {
	struct ipc64_perm_k perm;
	uint64_t segsz, atime, dtime, ctime;
	int32_t cpid, lpid;
	uint64_t nattch, unused[2];
};
_Static_assert(sizeof(struct shmid64_ds_k) == 112, "shmid64_ds");

static struct shm_segment *of(struct mappable *m) { return container_of(m, struct shm_segment, mappable); }
static struct mappable *inner(struct mappable *m) { return shm_object_mappable(of(m)->data); }
static uint64_t pages(const struct shm_segment *s) { return s->size / GUEST_PAGE_SIZE + (s->size % GUEST_PAGE_SIZE != 0); }

static void segment_put(struct shm_segment *s)
{
	if (!refcount_put(&s->ref))
		return;
	shm_object_put(s->data);
	if (s->cpid)
		s->ns->ops->pid_put(s->cpid);
	if (s->lpid)
		s->ns->ops->pid_put(s->lpid);
	ipc_ns_mem_put(s->ns);
	free(s);
}

/* Out of the table; the caller puts the table's reference once the lock is dropped. */
static void take_out(struct shm_segment *s)
{
	s->gone = true;
	s->ns->shm_total -= pages(s);
	ipc_remove(&s->ns->ids[IPC_SHM], &s->o);
}

static bool unused(struct shm_segment *s) { return !s->gone && !atomic_load(&s->nattch) && (s->o.mode & SHM_DEST); }

/* ---- as something that is mapped ---- */

static void seg_get(struct mappable *m) { refcount_get(&of(m)->ref); }
static void seg_put(struct mappable *m) { segment_put(of(m)); }
static int seg_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared_write, int *fd, uint64_t *host_off)
{
	return inner(m)->ops->host_fd(inner(m), off, len, shared_write, fd, host_off);
}

static void seg_describe(struct mappable *m, char *buf, size_t size, uint64_t *dev, uint64_t *ino)
{
	snprintf(buf, size, "/SYSV%08x (deleted)", (unsigned)of(m)->o.key);
	*dev = 1;
	*ino = of(m)->o.id;
}

static uint64_t seg_id(struct mappable *m) { return inner(m)->ops->id(inner(m)); }
static uint64_t seg_size(struct mappable *m) { return of(m)->size; }

static int seg_mapped(struct mappable *m, bool shared_write)
{
	struct shm_segment *s = of(m);

	(void)shared_write;
	atomic_fetch_add(&s->nattch, 1);
	atomic_store(&s->atime, ipc_seconds());
	return 0;
}

static void detach(struct shm_segment *s)
{
	struct mutex *lock = &s->ns->ids[IPC_SHM].lock;
	bool last;

	mutex_lock(lock);
	atomic_fetch_sub(&s->nattch, 1);
	if (s->ns->shm_rmid_forced && !atomic_load(&s->nattch))
		s->o.mode |= SHM_DEST;
	last = unused(s);
	if (last)
		take_out(s);
	mutex_unlock(lock);
	if (last)
		segment_put(s);
}

static void seg_unmapped(struct mappable *m, bool shared_write)
{
	struct shm_segment *s = of(m);

	(void)shared_write;
	mutex_lock(&s->ns->ids[IPC_SHM].lock);
	s->dtime = ipc_seconds();
	if (fiber_context() && fiber_context()->task)
		ipc_set_pid(s->ns, &s->lpid);
	mutex_unlock(&s->ns->ids[IPC_SHM].lock);
	detach(s); /* the mapping's own reference keeps s */
}

static const struct mappable_ops segment_ops = {
	.get = seg_get,
	.put = seg_put,
	.host_fd = seg_host_fd,
	.describe = seg_describe,
	.id = seg_id,
	.size = seg_size,
	.mapped = seg_mapped,
	.unmapped = seg_unmapped,
};

/* ---- shmget ---- */

static int check_size(struct ipc_object *o, uint64_t size) { return ((struct shm_segment *)o)->size < size ? -EINVAL : 0; }

static long create_locked(struct ipc_namespace *ns, int32_t key, size_t size, int flags, struct shm_object *data)
{
	struct ipc_ids *ids = &ns->ids[IPC_SHM];
	struct shm_segment *s = new(struct shm_segment);
	long r;

	s->mappable.ops = &segment_ops;
	refcount_init(&s->ref);
	s->ns = ns;
	s->size = size;
	s->ctime = ipc_seconds();
	r = ipc_add(ids, &s->o, key, flags, ns->shmmni);
	if (r < 0) {
		free(s);
		return r;
	}
	refcount_get(&ns->mem_ref);
	shm_object_get(data);
	s->data = data;
	s->cpid = ns->ops->self();
	ns->shm_total += pages(s);
	return r;
}

long ipc_shmget(struct ipc_namespace *ns, int32_t key, size_t size, int flags)
{
	struct ipc_ids *ids = &ns->ids[IPC_SHM];
	struct shm_object *data;
	uint64_t npages, total;
	bool create;
	long r;

	mutex_lock(&ids->lock);
	r = ipc_get(ns, IPC_SHM, key, flags, check_size, size, &create);
	if (!create) {
		mutex_unlock(&ids->lock);
		return r;
	}
	npages = size / GUEST_PAGE_SIZE + (size % GUEST_PAGE_SIZE != 0);
	if (size < 1 || size > ns->shmmax)
		r = -EINVAL;
	else if (npages > UINT64_MAX / GUEST_PAGE_SIZE || add_overflow(ns->shm_total, npages, &total) || total > ns->shmall)
		r = -ENOSPC;
	else if (ids->in_use >= (unsigned)ns->shmmni)
		r = -ENOSPC;
	else if (flags & SHM_HUGETLB)
		r = -ENOMEM; /* no huge pages are set aside: /proc/sys/vm/nr_hugepages */
	mutex_unlock(&ids->lock);
	if (r)
		return r;
	data = shm_object_create("SYSV");
	r = shm_object_truncate(data, size);
	if (r) {
		shm_object_put(data);
		return r == -EFBIG ? -ENOMEM : r;
	}
	mutex_lock(&ids->lock);
	/* The look-up again: another may have made it meanwhile. */
	r = ipc_get(ns, IPC_SHM, key, flags, check_size, size, &create);
	if (create)
		r = create_locked(ns, key, size, flags, data);
	mutex_unlock(&ids->lock);
	shm_object_put(data);
	return r;
}

/* ---- shmat, shmdt ---- */

long ipc_shmat(struct ipc_namespace *ns, int shmid, uaddr_t addr, int flags)
{
	struct ipc_ids *ids = &ns->ids[IPC_SHM];
	int prot = flags & SHM_RDONLY ? PROT_READ : PROT_READ | PROT_WRITE, access = flags & SHM_RDONLY ? 0444 : 0666, mflags = MAP_SHARED;
	struct shm_segment *s;
	int64_t r;

	if (shmid < 0)
		return -EINVAL;
	if (addr) {
		if (addr % GUEST_PAGE_SIZE) {
			if (!(flags & SHM_RND))
				return -EINVAL;
			addr = PAGE_DOWN(addr);
			if (!addr && (flags & SHM_REMAP))
				return -EINVAL;
		}
		mflags |= flags & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	} else if (flags & SHM_REMAP) {
		return -EINVAL;
	}
	if (flags & SHM_EXEC) {
		prot |= PROT_EXEC;
		access |= 0111;
	}
	mutex_lock(&ids->lock);
	s = (void *)ipc_find(ids, shmid);
	r = s ? ipc_permission(ns, &s->o, access) : -EINVAL;
	if (!r) {
		refcount_get(&s->ref);
		atomic_fetch_add(&s->nattch, 1); /* no detach destroys it meanwhile */
	}
	mutex_unlock(&ids->lock);
	if (r)
		return r;
	r = mm_mmap(fiber_context()->mm, addr, PAGE_UP(s->size), prot, mflags, &s->mappable, 0, !(flags & SHM_RDONLY), true);
	if (r >= 0) {
		mutex_lock(&ids->lock);
		ipc_set_pid(ns, &s->lpid);
		mutex_unlock(&ids->lock);
	}
	detach(s);
	segment_put(s);
	return r == -EEXIST ? -EINVAL : r;
}

long ipc_shmdt(uaddr_t addr) { return mm_detach(fiber_context()->mm, addr, &segment_ops); }

/* ---- shmctl ---- */

void ipc_shm_destroy_all(struct ipc_namespace *ns)
{
	struct ipc_ids *ids = &ns->ids[IPC_SHM];
	struct shm_segment *s;

	for (unsigned i = 0;; i++) {
		mutex_lock(&ids->lock);
		if (i >= ids->nslots) {
			mutex_unlock(&ids->lock);
			return;
		}
		s = (void *)ids->slot[i];
		if (s)
			take_out(s);
		mutex_unlock(&ids->lock);
		if (s)
			segment_put(s);
	}
}

void ipc_shm_destroy_orphans(struct ipc_namespace *ns)
{
	struct ipc_ids *ids = &ns->ids[IPC_SHM];
	struct shm_segment *s;

	for (unsigned i = 0; i < IPC_IDX_MAX; i++) {
		mutex_lock(&ids->lock);
		s = i < ids->nslots ? (void *)ids->slot[i] : NULL;
		if (s && !atomic_load(&s->nattch))
			take_out(s);
		else
			s = NULL;
		mutex_unlock(&ids->lock);
		if (s)
			segment_put(s);
	}
}

static long info(struct ipc_namespace *ns, uaddr_t buf)
{
	struct ipc_ids *ids = &ns->ids[IPC_SHM];
	struct shminfo i = { .shmmin = 1 };
	int max;

	mutex_lock(&ids->lock);
	i.shmmax = ns->shmmax;
	i.shmmni = i.shmseg = ns->shmmni;
	i.shmall = ns->shmall;
	max = ipc_max_idx(ids);
	mutex_unlock(&ids->lock);
	return copy_to_user(buf, &i, sizeof(i)) ? -EFAULT : MAX(max, 0);
}

static uint64_t resident(struct shm_segment *s) { return shm_object_blocks(s->data) / (GUEST_PAGE_SIZE / 512); }

static long shm_usage(struct ipc_namespace *ns, uaddr_t buf)
{
	struct ipc_ids *ids = &ns->ids[IPC_SHM];
	struct shm_info i = { 0 };
	struct shm_segment *s;
	int max;

	mutex_lock(&ids->lock);
	i.used_ids = ids->in_use;
	i.shm_tot = ns->shm_total;
	ipc_for_each(s, ids)
		i.shm_rss += resident(s);
	max = ipc_max_idx(ids);
	mutex_unlock(&ids->lock);
	return copy_to_user(buf, &i, sizeof(i)) ? -EFAULT : MAX(max, 0);
}

static long stat_segment(struct ipc_namespace *ns, int id, int cmd, uaddr_t buf)
{
	struct ipc_ids *ids = &ns->ids[IPC_SHM];
	struct shmid64_ds_k ds = { 0 };
	struct shm_segment *s;
	long r;

	mutex_lock(&ids->lock);
	s = (void *)(cmd == IPC_STAT ? ipc_find(ids, id) : ipc_find_idx(ids, id));
	r = !s ? -EINVAL : cmd == SHM_STAT_ANY ? 0 : ipc_permission(ns, &s->o, 0444);
	if (!r) {
		ipc_perm_out(&s->o, &ds.perm);
		ds.segsz = s->size;
		ds.atime = atomic_load(&s->atime);
		ds.dtime = s->dtime;
		ds.ctime = s->ctime;
		ds.cpid = ns->ops->pid_nr(s->cpid);
		ds.lpid = ns->ops->pid_nr(s->lpid);
		ds.nattch = atomic_load(&s->nattch);
		r = cmd == IPC_STAT ? 0 : s->o.id;
	}
	mutex_unlock(&ids->lock);
	return r >= 0 && copy_to_user(buf, &ds, sizeof(ds)) ? -EFAULT : r;
}

static long lock_segment(struct ipc_namespace *ns, int id, bool on)
{
	struct shm_segment *s;

	guard(mutex)(&ns->ids[IPC_SHM].lock);
	s = (void *)ipc_find(&ns->ids[IPC_SHM], id);
	if (!s)
		return -EINVAL;
	if (!ns_capable(fiber_context()->cred, ns->user_ns, CAP_IPC_LOCK)) {
		const struct cred *c = fiber_context()->cred;

		if (c->euid != s->o.uid && c->euid != s->o.cuid)
			return -EPERM;
		if (on && !ns->ops->memlock_limit())
			return -EPERM;
	}
	if (on)
		s->o.mode |= SHM_LOCKED;
	else
		s->o.mode &= ~SHM_LOCKED;
	return 0;
}

static long change_segment(struct ipc_namespace *ns, int id, int cmd, uaddr_t buf)
{
	struct ipc_ids *ids = &ns->ids[IPC_SHM];
	struct shmid64_ds_k ds;
	struct shm_segment *s;
	bool last = false;
	long r = 0;

	if (cmd == IPC_SET && copy_from_user(&ds, buf, sizeof(ds)))
		return -EFAULT;
	mutex_lock(&ids->lock);
	s = (void *)ipc_find(ids, id);
	if (!s) {
		r = -EINVAL;
	} else if (!ipc_is_owner(ns, &s->o, CAP_SYS_ADMIN)) {
		r = -EPERM;
	} else if (cmd == IPC_SET) {
		r = ipc_perm_set(&s->o, &ds.perm);
		if (!r)
			s->ctime = ipc_seconds();
	} else {
		s->o.mode |= SHM_DEST;
		s->o.key = IPC_PRIVATE; /* nobody finds it any more */
		last = unused(s);
		if (last)
			take_out(s);
	}
	mutex_unlock(&ids->lock);
	if (last)
		segment_put(s);
	return r;
}

long ipc_shmctl(struct ipc_namespace *ns, int shmid, int cmd, uaddr_t buf)
{
	if (cmd < 0 || shmid < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO: return info(ns, buf);
	case SHM_INFO: return shm_usage(ns, buf);
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY: return stat_segment(ns, shmid, cmd, buf);
	case SHM_LOCK:
	case SHM_UNLOCK: return lock_segment(ns, shmid, cmd == SHM_LOCK);
	case IPC_SET:
	case IPC_RMID: return change_segment(ns, shmid, cmd, buf);
	default: return -EINVAL;
	}
}

void ipc_show_shm(struct ipc_namespace *ns, struct strbuf *b)
{
	struct shm_segment *s;
	struct ipc64_perm_k p;

	strbuf_puts(b, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      "
		       "ctime                   rss                  swap\n");
	guard(mutex)(&ns->ids[IPC_SHM].lock);
	ipc_for_each(s, &ns->ids[IPC_SHM]) {
		ipc_perm_out(&s->o, &p);
		strbuf_printf(b, "%10d %10d  %4o %21llu %5d %5d  %5llu %5u %5u %5u %5u %10lld %10lld %10lld %21llu %21u\n", p.key, s->o.id, p.mode,
			      (unsigned long long)s->size, ns->ops->pid_nr(s->cpid), ns->ops->pid_nr(s->lpid),
			      (unsigned long long)atomic_load(&s->nattch), p.uid, p.gid, p.cuid, p.cgid, (long long)atomic_load(&s->atime),
			      (long long)s->dtime, (long long)s->ctime, (unsigned long long)resident(s) * GUEST_PAGE_SIZE, 0);
	}
}
