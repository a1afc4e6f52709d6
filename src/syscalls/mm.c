/* SPDX-License-Identifier: Apache-2.0 */
/* mm.c: the system calls on memory. The work is in mm/. */
#include "kernel/ptrace.h"
#include "mm/mm.h"
#include "mm/uaccess.h"
#include "syscalls/proto.h"
#include "vfs/vfs.h"
#include <limits.h>
#include <linux/capability.h>
#include <sys/mman.h>

#define MAP_TYPE_MASK 0xf
#ifndef MAP_SHARED_VALIDATE
#define MAP_SHARED_VALIDATE 3
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

/* ---- mmap ---- */

/* What Linux checks of the file before it asks the file (do_mmap). */
static int check_file_map(struct file *f, int prot, int flags)
{
	switch (flags & MAP_TYPE_MASK) {
	case MAP_SHARED:
	case MAP_SHARED_VALIDATE:
		if ((prot & PROT_WRITE) && !(f->mode & FMODE_WRITE))
			return -EACCES;
		break;
	case MAP_PRIVATE:
		break;
	default:
		return -EINVAL;
	}
	if (!(f->mode & FMODE_READ))
		return -EACCES;
	if (!f->ops->mmap)
		return -ENODEV;
	if (flags & MAP_GROWSDOWN)
		return -EINVAL;
	return 0;
}

static long mmap_file(struct task *t, uaddr_t addr, uint64_t len, int prot, int flags, int fd, uint64_t off)
{
	struct vm_map m;
	struct file *f;
	int64_t r;

	f = fd_get(t->fdt, fd);
	if (!f)
		return -EBADF;
	r = -EINVAL;
	if (flags & MAP_HUGETLB)
		goto out;
	if (!len)
		goto out;
	r = -ENOMEM;
	if (len > UINT64_MAX - GUEST_PAGE_SIZE)
		goto out;
	if (PAGE_UP(len) > PL_TASK_SIZE || ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && addr > PL_TASK_SIZE - PAGE_UP(len)))
		goto out;
	r = -EINVAL;
	if ((flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && addr % GUEST_PAGE_SIZE)
		goto out;
	r = -EOVERFLOW;
	if (off > INT64_MAX - PAGE_UP(len))
		goto out;
	r = check_file_map(f, prot, flags);
	if (r)
		goto out;
	m = (struct vm_map){ .off = off, .len = PAGE_UP(len), .prot = prot, .flags = flags, .may_write = f->mode & FMODE_WRITE, .may_exec = true };
	r = f->ops->mmap(f, &m);
	if (r)
		goto out;
	r = mm_mmap(t->mm, addr, len, prot, m.flags, m.mappable, m.off, m.may_write, m.may_exec);
	if (m.mappable)
		m.mappable->ops->put(m.mappable);
out:
	file_put(f);
	return r;
}

long sys_mmap(struct task *t, const struct syscall_args *a)
{
	int prot = a->a[2], flags = a->a[3], fd = a->a[4];
	if (unlikely(t->tg->mdwe) && (prot & PROT_EXEC) && (prot & PROT_WRITE))
		return -EACCES;
	uint64_t off = a->a[5];

	if (off % GUEST_PAGE_SIZE)
		return -EINVAL;
	if (!(flags & MAP_ANONYMOUS))
		return mmap_file(t, a->a[0], a->a[1], prot, flags, fd, off);
	if (flags & MAP_HUGETLB)
		/* No huge page pool: the default size has no free pages, others do not exist. */
		return (unsigned)flags >> 26 ? -EINVAL : -ENOMEM;
	/* There is no descriptor, so off only takes part in the overflow check. */
	return mm_mmap(t->mm, a->a[0], a->a[1], prot, flags, NULL, off, true, true);
}

long sys_munmap(struct task *t, const struct syscall_args *a) { return mm_munmap(t->mm, a->a[0], a->a[1]); }
long sys_brk(struct task *t, const struct syscall_args *a) { return mm_brk(t->mm, a->a[0]); }
struct exec_gain { uint64_t start, end; bool gains; };

static bool gains_exec(void *arg, const struct vma_info *v)
{
	struct exec_gain *g = arg;

	if (v->start < g->end && v->end > g->start && !(v->flags & PROT_EXEC))
		g->gains = true;
	return v->start < g->end && !g->gains;
}

/* PR_SET_MDWE: nothing that can be written, or could not be executed, becomes executable. */
static bool mdwe_forbids(struct task *t, uaddr_t addr, uint64_t len, int prot)
{
	struct exec_gain g = { addr, addr + PAGE_UP(len), prot & PROT_WRITE };

	if (!(prot & PROT_EXEC))
		return false;
	mm_for_each_vma(t->mm, gains_exec, &g);
	return g.gains;
}

long sys_mprotect(struct task *t, const struct syscall_args *a)
{
	if (unlikely(t->tg->mdwe) && mdwe_forbids(t, a->a[0], a->a[1], (int)a->a[2]))
		return -EACCES;
	return mm_mprotect(t->mm, a->a[0], a->a[1], a->a[2]);
}

long sys_mremap(struct task *t, const struct syscall_args *a)
{
	if (a->a[3] >> 32)
		return -EINVAL;
	return mm_mremap(t->mm, a->a[0], a->a[1], a->a[2], a->a[3], a->a[4]);
}

long sys_madvise(struct task *t, const struct syscall_args *a) { return mm_madvise(t->mm, a->a[0], a->a[1], a->a[2]); }
long sys_msync(struct task *t, const struct syscall_args *a) { return mm_msync(t->mm, a->a[0], a->a[1], a->a[2]); }
long sys_mincore(struct task *t, const struct syscall_args *a) { return mm_mincore(t->mm, a->a[0], a->a[1], a->a[2]); }

/* ---- mlock ---- */

long sys_mlock(struct task *t, const struct syscall_args *a) { return mm_mlock(t->mm, a->a[0], a->a[1], 0, true); }

long sys_mlock2(struct task *t, const struct syscall_args *a)
{
	int flags = a->a[2];

	return flags & ~MLOCK_ONFAULT ? -EINVAL : mm_mlock(t->mm, a->a[0], a->a[1], flags, true);
}

long sys_munlock(struct task *t, const struct syscall_args *a) { return mm_mlock(t->mm, a->a[0], a->a[1], 0, false); }

long sys_mlockall(struct task *t, const struct syscall_args *a)
{
	int flags = a->a[0];

	if (!flags || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) || flags == MCL_ONFAULT)
		return -EINVAL;
	return mm_mlockall(t->mm, flags);
}

long sys_munlockall(struct task *t, const struct syscall_args *a)
{
	(void)a;
	return mm_mlockall(t->mm, 0);
}

/* ---- process_vm_readv, process_vm_writev ---- */

#define VM_CHUNK (64UL << 10)

/* Remote pieces one after the other; stops at the first byte that cannot be reached. */
static ssize_t copy_process_vm(struct mm *mm, struct iov_iter *local, const struct iovec *remote, unsigned n, bool write)
{
	char *buf = kzalloc(VM_CHUNK);
	size_t done = 0, k, r = 0;

	if (!buf)
		return -ENOMEM;
	for (unsigned i = 0; i < n && local->count; i++) {
		uaddr_t at = (uaddr_t)remote[i].iov_base;
		size_t left = remote[i].iov_len;

		while (left && local->count) {
			k = MIN(MIN(left, VM_CHUNK), local->count);
			if (write) {
				struct iov_iter saved = *local;
				size_t got = copy_from_iter(buf, k, local);

				r = got ? mm_write(mm, at, buf, got) : 0;
				if (r < got)
					iov_iter_revert(local, got - r, &saved);
			} else {
				size_t got = mm_read(mm, buf, at, k);

				r = got ? copy_to_iter(buf, got, local) : 0;
			}
			done += r;
			if (r < k)
				goto out;
			at += r;
			left -= r;
		}
	}
	r = 1;
out:
	free(buf);
	return done ? (ssize_t)done : r ? 0 : -EFAULT;
}

/* Linux ptrace_may_access(PTRACE_MODE_ATTACH_REALCREDS): 0 or -EPERM. */
static int may_attach(struct task *t, struct task *target)
{
	const struct cred *c = t->cred;
	struct cred *tc;
	bool same, dumpable;
	int r = 0;

	mutex_lock(&target->lock);
	tc = cred_get(target->cred);
	dumpable = !target->mm || mm_layout(target->mm)->dumpable;
	mutex_unlock(&target->lock);
	same = c->uid == tc->euid && c->uid == tc->suid && c->uid == tc->uid && c->gid == tc->egid && c->gid == tc->sgid &&
	       c->gid == tc->gid;
	if (!((same && dumpable && !(tc->permitted & ~c->permitted)) || ns_capable(c, tc->user_ns, CAP_SYS_PTRACE)))
		r = -EPERM;
	cred_put(tc);
	return r;
}

static long process_vm(struct task *t, const struct syscall_args *a, bool write)
{
	unsigned long nlocal = a->a[2], nremote = a->a[4];
	struct iov_iter local, remote;
	struct task *target;
	struct mm *mm = NULL;
	ssize_t r;

	if (a->a[5])
		return -EINVAL;
	r = iov_iter_import(&local, a->a[1], (uint32_t)nlocal);
	if (r)
		return r;
	if (!local.count) {
		iov_iter_done(&local);
		return 0;
	}
	/* The remote addresses are checked where they are used, as on Linux. */
	r = iov_iter_import(&remote, a->a[3], nremote);
	if (r) {
		iov_iter_done(&local);
		return r;
	}
	r = 0;
	if (!remote.count)
		goto out;
	r = -ESRCH;
	target = pidns_task_with_id(task_pid_ns(t), (int)a->a[0]);
	if (!target)
		goto out;
	if (target->tg != t->tg)
		r = ptrace_yama_allows(t, target) ? may_attach(t, target) : -EPERM;
	else
		r = 0;
	if (!r) {
		mutex_lock(&target->lock);
		mm = target->mm;
		if (mm)
			mm_get(mm);
		mutex_unlock(&target->lock);
		r = mm ? 0 : -ESRCH;
	}
	task_put(target);
	if (mm) {
		r = copy_process_vm(mm, &local, remote.iov, remote.nr, write);
		mm_put(mm);
	}
out:
	iov_iter_done(&local);
	iov_iter_done(&remote);
	return r;
}

long sys_process_vm_readv(struct task *t, const struct syscall_args *a) { return process_vm(t, a, false); }
long sys_process_vm_writev(struct task *t, const struct syscall_args *a) { return process_vm(t, a, true); }

/* ---- protection keys: as on a CPU without them ---- */

long sys_pkey_mprotect(struct task *t, const struct syscall_args *a)
{
	if ((int)a->a[3] != -1 && !a->a[1] && !(a->a[0] % GUEST_PAGE_SIZE)) /* nothing to do, so no key is needed */
		return 0;
	return (int)a->a[3] == -1 ? mm_mprotect(t->mm, a->a[0], a->a[1], a->a[2]) : -EINVAL;
}

long sys_pkey_alloc(struct task *t, const struct syscall_args *a)
{
	(void)t;
	return a->a[0] || a->a[1] & ~3UL ? -EINVAL : -ENOSPC;
}

long sys_pkey_free(struct task *t, const struct syscall_args *a)
{
	(void)t;
	(void)a;
	return -EINVAL;
}

/* ---- NUMA: one node, number 0, so that every policy that can be asked for is the one there is ---- */

enum { POL_DEFAULT, POL_PREFERRED, POL_BIND, POL_INTERLEAVE, POL_LOCAL, POL_PREFERRED_MANY, POL_WEIGHTED_INTERLEAVE, POL_MAX };
#define POL_MODE_FLAGS 0xe000
#define POL_BALANCING 0x2000
#define POL_STATIC_AND_RELATIVE 0xc000

/* Linux get_nodes(), cut to one word: 0 or -errno. */
static int get_nodes(uint64_t *nodes, uaddr_t mask, unsigned long maxnode)
{
	uint64_t word;

	*nodes = 0;
	--maxnode;
	if (!maxnode || !mask)
		return 0;
	if (maxnode > 8 * GUEST_PAGE_SIZE)
		return -EINVAL;
	for (unsigned long i = 0; i < (maxnode + 63) / 64; i++) {
		if (copy_from_user(&word, mask + 8 * i, 8))
			return -EFAULT;
		if (maxnode - 64 * i < 64)
			word &= (1ULL << (maxnode - 64 * i)) - 1;
		if (i >= 1024 / 64 && word) /* more than any machine has */
			return -EINVAL;
		if (!i)
			*nodes = word;
	}
	return 0;
}

static int check_policy(int mode, uaddr_t mask, unsigned long maxnode, uint64_t *out)
{
	unsigned m = mode & ~POL_MODE_FLAGS;
	uint64_t nodes;
	int r;

	if (m >= POL_MAX || (mode & POL_STATIC_AND_RELATIVE) == POL_STATIC_AND_RELATIVE)
		return -EINVAL;
	if ((mode & POL_BALANCING) && m != POL_BIND && m != POL_PREFERRED_MANY)
		return -EINVAL;
	r = get_nodes(&nodes, mask, maxnode);
	*out = nodes;
	if (r)
		return r;
	switch (m) {
	case POL_DEFAULT:
		return nodes ? -EINVAL : 0;
	case POL_LOCAL:
		return nodes || (mode & POL_STATIC_AND_RELATIVE) ? -EINVAL : 0;
	case POL_PREFERRED:
		if (!nodes)
			return mode & POL_STATIC_AND_RELATIVE ? -EINVAL : 0;
		break;
	default:
		break;
	}
	/* Of those that are named, those count that are there. */
	return nodes & 1 ? 0 : -EINVAL;
}

long sys_set_mempolicy(struct task *t, const struct syscall_args *a)
{
	int mode = (int)a->a[0], r;
	uint64_t nodes;

	r = check_policy(mode, a->a[1], a->a[2], &nodes);
	if (r)
		return r;
	if (!(mode & ~POL_MODE_FLAGS))
		mode = POL_DEFAULT;
	else if (mode == POL_PREFERRED && !nodes)
		mode = POL_LOCAL;
	t->numa_mode = (uint16_t)mode;
	t->numa_nodes = nodes;
	return 0;
}

long sys_mbind(struct task *t, const struct syscall_args *a)
{
	uint64_t start = a->a[0], len = a->a[1];
	unsigned flags = a->a[5];
	uint64_t nodes;
	int r, mode = (int)a->a[2];

	if ((mode & ~POL_MODE_FLAGS) >= POL_MAX || (mode & POL_STATIC_AND_RELATIVE) == POL_STATIC_AND_RELATIVE)
		return -EINVAL;
	if ((r = get_nodes(&nodes, a->a[3], a->a[4])))
		return r;
	if (flags & ~7U)
		return -EINVAL;
	if ((flags & 4) && !cred_has_cap(t->cred, CAP_SYS_NICE)) /* MPOL_MF_MOVE_ALL */
		return -EPERM;
	if (start % GUEST_PAGE_SIZE || start + PAGE_UP(len) < start)
		return -EINVAL;
	return check_policy(a->a[2], a->a[3], a->a[4], &nodes);
}

long sys_get_mempolicy(struct task *t, const struct syscall_args *a)
{
	enum { F_NODE = 1, F_ADDR = 2, F_MEMS_ALLOWED = 4 };
	unsigned long maxnode = a->a[2], flags = a->a[4];
	uint64_t nodes = 0;
	int mode = POL_DEFAULT;
	uint8_t byte;

	if (a->a[1] && !maxnode)
		return -EINVAL;
	if (flags & ~7UL)
		return -EINVAL;
	if (flags & F_MEMS_ALLOWED) {
		if (flags & (F_NODE | F_ADDR))
			return -EINVAL;
		nodes = 1;
	} else if (flags & F_ADDR) {
		if (copy_from_user(&byte, a->a[3], 1))
			return -EFAULT;
		/* With F_NODE the answer is the page's node: 0. */
	} else if (a->a[3]) {
		return -EINVAL;
	} else {
		unsigned m = t->numa_mode & ~POL_MODE_FLAGS;
		nodes = t->numa_nodes;
		mode = t->numa_mode;
		if (flags & F_NODE) { /* where the next page comes from */
			if (m != POL_INTERLEAVE && m != POL_WEIGHTED_INTERLEAVE)
				return -EINVAL;
			mode = 0;
		}
	}
	if (a->a[0] && copy_to_user(a->a[0], &mode, sizeof(mode)))
		return -EFAULT;
	if (a->a[1]) {
		/* A mask has room for maxnode - 1 nodes, in whole words; there is one node. */
		size_t bytes = ALIGN_UP(maxnode - 1, 64UL) / 8;
		if (bytes > GUEST_PAGE_SIZE)
			return -EINVAL;
		if (copy_to_user(a->a[1], &nodes, MIN(bytes, sizeof(nodes))) || (bytes > 8 && clear_user(a->a[1] + 8, bytes - 8)))
			return -EFAULT;
	}
	return 0;
}
