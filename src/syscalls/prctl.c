/* SPDX-License-Identifier: Apache-2.0 */
/* prctl.c: prctl(2), arch_prctl(2), personality(2), membarrier(2). */
#include "kernel/ptrace.h"
#include "kernel/seccomp.h"
#include "kernel/user_dispatch.h"
#include "syscalls/proto.h"
#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif
#ifndef PR_GET_AUXV
#define PR_GET_AUXV 0x41555856
#endif
#define PR_SET_MDWE_ 65
#define PR_GET_MDWE_ 66
#define PR_SET_MEMORY_MERGE_ 67
#define PR_SET_IO_FLUSHER_ 57
#define PR_GET_IO_FLUSHER_ 58
#define PR_TIMER_CREATE_RESTORE_IDS_ 77
#define PR_GET_MEMORY_MERGE_ 68

static long set_securebits(struct task *t, uint64_t v)
{
	const struct cred *c = t->cred;
	uint32_t old = c->securebits;
	/* Locks stay, locked bits do not change, nothing unknown, and only with CAP_SETPCAP. */
	if (((old & SECURE_ALL_LOCKS) >> 1) & (old ^ v))
		return -EPERM;
	if ((old & SECURE_ALL_LOCKS & ~v) || (v & ~(uint64_t)(SECURE_ALL_LOCKS | SECURE_ALL_BITS)))
		return -EPERM;
	if (!cred_has_own_cap(c, CAP_SETPCAP))
		return -EPERM;
	struct cred *n = cred_dup(c);
	n->securebits = v;
	task_set_cred(t, n);
	return 0;
}

static long cap_ambient(struct task *t, uint64_t op, uint64_t cap, uint64_t a4, uint64_t a5)
{
	if (op == PR_CAP_AMBIENT_CLEAR_ALL) {
		if (cap | a4 | a5)
			return -EINVAL;
		struct cred *n = cred_dup(t->cred);
		n->ambient = 0;
		task_set_cred(t, n);
		return 0;
	}
	if (a4 | a5)
		return -EINVAL;
	if (cap > CAP_LAST_CAP)
		return -EINVAL;
	if (op == PR_CAP_AMBIENT_IS_SET)
		return !!(t->cred->ambient & CAP_BIT(cap));
	if (op != PR_CAP_AMBIENT_RAISE && op != PR_CAP_AMBIENT_LOWER)
		return -EINVAL;
	if (op == PR_CAP_AMBIENT_RAISE && (!(t->cred->permitted & t->cred->inheritable & CAP_BIT(cap)) ||
					   (t->cred->securebits & (1 << SECURE_NO_CAP_AMBIENT_RAISE))))
		return -EPERM;
	struct cred *n = cred_dup(t->cred);
	if (op == PR_CAP_AMBIENT_RAISE)
		n->ambient |= CAP_BIT(cap);
	else
		n->ambient &= ~CAP_BIT(cap);
	task_set_cred(t, n);
	return 0;
}

static void mark_subreaper(struct thread_group *tg, bool on)
{
	struct task *th, *c;
	TAILQ_FOREACH(th, &tg->tasks, tg_link)
		TAILQ_FOREACH(c, &th->children, sibling) {
			if (c->tg->is_init || c->tg->child_subreaper)
				continue;
			c->tg->has_child_subreaper = on;
			mark_subreaper(c->tg, on);
		}
}

static long set_subreaper(struct task *t, bool on)
{
	guard(mutex)(&t->kernel->tasks.lock);
	t->tg->child_subreaper = on;
	if (on) /* as Linux: the mark of the descendants stays when it is taken back */
		mark_subreaper(t->tg, true);
	return 0;
}

static long mce_kill(struct task *t, uint64_t op, uint64_t policy, uint64_t rest)
{
	if (rest)
		return -EINVAL;
	if (op == PR_MCE_KILL_CLEAR) {
		if (policy)
			return -EINVAL;
		t->tg->mce_policy = 0;
		return 0;
	}
	if (op != PR_MCE_KILL_SET || policy > PR_MCE_KILL_DEFAULT)
		return -EINVAL;
	t->tg->mce_policy = policy + 1;
	return 0;
}

/* What the host does about speculation, of which nothing is under the control of a guest thread. */
static long speculation(struct task *t, uint64_t which)
{
	int v = t->kernel->speculation[which];

	return v < 0 ? -ENODEV : v & ~PR_SPEC_PRCTL;
}

static long set_speculation(struct task *t, uint64_t which, uint64_t ctrl)
{
	if (which >= ARRAY_SIZE(t->kernel->speculation) || speculation(t, which) < 0)
		return -ENODEV;
	if (which == PR_SPEC_STORE_BYPASS)
		return -ENXIO;
	if (which == PR_SPEC_L1D_FLUSH)
		return -EPERM;
	if (ctrl == PR_SPEC_ENABLE)
		return speculation(t, which) & PR_SPEC_ENABLE ? 0 : -EPERM;
	return ctrl == PR_SPEC_DISABLE || ctrl == PR_SPEC_FORCE_DISABLE ? -EPERM : -ERANGE;
}

long sys_prctl(struct task *t, const struct syscall_args *a)
{
	uint64_t a2 = a->a[1], a3 = a->a[2], a4 = a->a[3], a5 = a->a[4];
	struct cred *n;
	switch ((int)a->a[0]) {
	case PR_SET_PDEATHSIG:
		if (a2 > NSIG_K)
			return -EINVAL;
		mutex_lock(&t->kernel->tasks.lock);
		t->pdeath_signal = a2;
		mutex_unlock(&t->kernel->tasks.lock);
		return 0;
	case PR_GET_PDEATHSIG:
		return put_user((int)t->pdeath_signal, a2);
	case PR_GET_DUMPABLE:
		return mm_layout(t->mm)->dumpable;
	case PR_SET_DUMPABLE:
		if (a2 > 1)
			return -EINVAL;
		mm_layout(t->mm)->dumpable = a2;
		return 0;
	case PR_SET_NAME: {
		char name[16];
		ssize_t len = strncpy_from_user(name, a2, sizeof(name));
		if (len == -EFAULT)
			return -EFAULT;
		if (len == -ENAMETOOLONG) { /* Linux cuts it */
			if (copy_from_user(name, a2, 15))
				return -EFAULT;
			len = 15;
		}
		memset(name + len, 0, sizeof(name) - len);
		mutex_lock(&t->lock);
		memcpy(t->comm, name, sizeof(name));
		mutex_unlock(&t->lock);
		return 0;
	}
	case PR_GET_NAME: {
		char name[16];
		mutex_lock(&t->lock);
		memcpy(name, t->comm, sizeof(name));
		mutex_unlock(&t->lock);
		return copy_to_user(a2, name, sizeof(name));
	}
	case PR_GET_KEEPCAPS:
		return !!(t->cred->securebits & (1 << SECURE_KEEP_CAPS));
	case PR_SET_KEEPCAPS:
		if (a2 > 1)
			return -EINVAL;
		if (t->cred->securebits & (1 << SECURE_KEEP_CAPS_LOCKED))
			return -EPERM;
		n = cred_dup(t->cred);
		n->securebits = (n->securebits & ~(1U << SECURE_KEEP_CAPS)) | (uint32_t)a2 << SECURE_KEEP_CAPS;
		task_set_cred(t, n);
		return 0;
	case PR_CAPBSET_READ:
		return a2 > CAP_LAST_CAP ? -EINVAL : !!(t->cred->bounding & CAP_BIT(a2));
	case PR_CAPBSET_DROP:
		if (!ns_capable(t->cred, t->cred->user_ns, CAP_SETPCAP))
			return -EPERM;
		if (a2 > CAP_LAST_CAP)
			return -EINVAL;
		n = cred_dup(t->cred);
		n->bounding &= ~CAP_BIT(a2);
		task_set_cred(t, n);
		return 0;
	case PR_GET_SECUREBITS:
		return t->cred->securebits;
	case PR_SET_SECUREBITS:
		return set_securebits(t, a2);
	case PR_CAP_AMBIENT:
		return cap_ambient(t, a2, a3, a4, a5);
	case PR_SET_NO_NEW_PRIVS:
		if (a2 != 1 || a3 | a4 | a5)
			return -EINVAL;
		t->no_new_privs = true;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return a2 | a3 | a4 | a5 ? -EINVAL : t->no_new_privs;
	case PR_SET_CHILD_SUBREAPER:
		return set_subreaper(t, a2);
	case PR_GET_CHILD_SUBREAPER:
		return put_user((int)t->tg->child_subreaper, a2);
	case PR_SET_TIMERSLACK:
		if (t->sched_policy != SCHED_FIFO && t->sched_policy != SCHED_RR && t->sched_policy != SCHED_DEADLINE_K) /* those have none */
			t->timer_slack = a2 ?: t->timer_slack_default;
		return 0;
	case PR_GET_TIMERSLACK:
		return (int64_t)t->timer_slack;
	case PR_GET_TID_ADDRESS:
		return put_user((uint64_t)t->clear_child_tid, a2);
	case PR_SET_VMA: /* names of anonymous maps: not kept, and said so as a kernel without CONFIG_ANON_VMA_NAME does */
		return -EINVAL;
	case PR_SET_MM:
		return prctl_set_mm(t, a2, a3, a4, a5);
	case PR_GET_AUXV: {
		if (a4 | a5)
			return -EINVAL;
		struct mm_layout *l = mm_layout(t->mm);
		size_t full = sizeof(l->auxv);
		return copy_to_user(a2, l->auxv, MIN(full, (size_t)a3)) ? -EFAULT : (long)full;
	}
	case PR_GET_TSC:
		return put_user((int)PR_TSC_ENABLE, a2);
	case PR_SET_TSC: /* the instruction cannot be trapped here: allowing it is all there is */
		return a2 == PR_TSC_ENABLE ? 0 : -EINVAL;
	case PR_GET_TIMING:
		return PR_TIMING_STATISTICAL;
	case PR_SET_TIMING:
		return a2 == PR_TIMING_STATISTICAL ? 0 : -EINVAL;
	case PR_SET_THP_DISABLE: /* the host's pages are the host's matter: kept and shown */
		if (a3 | a4 | a5)
			return -EINVAL;
		t->tg->thp_disabled = a2;
		return 0;
	case PR_GET_THP_DISABLE:
		return a2 | a3 | a4 | a5 ? -EINVAL : t->tg->thp_disabled;
	case PR_TASK_PERF_EVENTS_DISABLE: /* there are none */
	case PR_TASK_PERF_EVENTS_ENABLE:
		return 0;
	case PR_SET_IO_FLUSHER_:
	case PR_GET_IO_FLUSHER_:
		if (!cred_has_cap(t->cred, CAP_SYS_RESOURCE))
			return -EPERM;
		if (a3 | a4 | a5)
			return -EINVAL;
		if ((int)a->a[0] == PR_GET_IO_FLUSHER_)
			return a2 ? -EINVAL : t->tg->io_flusher;
		if (a2 > 1)
			return -EINVAL;
		t->tg->io_flusher = a2;
		return 0;
	case PR_TIMER_CREATE_RESTORE_IDS_:
		if (a3 | a4 | a5 || a2 > 2)
			return -EINVAL;
		if (a2 == 2)
			return t->tg->restore_timer_ids;
		t->tg->restore_timer_ids = a2;
		return 0;
	case PR_GET_SECCOMP:
		return t->seccomp_mode;
	case PR_SET_SECCOMP:
		return a2 == SECCOMP_MODE_STRICT ? seccomp_set_strict(t) : a2 == SECCOMP_MODE_FILTER ? seccomp_set_filter(t, 0, a3) : -EINVAL;
	case PR_GET_SPECULATION_CTRL:
		return a3 | a4 | a5 ? -EINVAL : a2 < ARRAY_SIZE(t->kernel->speculation) ? speculation(t, a2) : -ENODEV;
	case PR_SET_SPECULATION_CTRL:
		return a4 | a5 ? -EINVAL : set_speculation(t, a2, a3);
	case PR_MCE_KILL: /* memory of the host that failed is never reported to a guest: kept and shown */
		return mce_kill(t, a2, a3, a4 | a5);
	case PR_MCE_KILL_GET:
		return a2 | a3 | a4 | a5 ? -EINVAL : t->tg->mce_policy ? t->tg->mce_policy - 1 : PR_MCE_KILL_DEFAULT;
	case PR_SET_PTRACER:
		return ptrace_set_ptracer(t, (int64_t)a2);
	case PR_SET_MEMORY_MERGE_: /* which pages the host merges is the host's matter: kept and shown */
		if (a3 | a4 | a5)
			return -EINVAL;
		t->tg->memory_merge = a2;
		return 0;
	case PR_GET_MEMORY_MERGE_:
		return a2 | a3 | a4 | a5 ? -EINVAL : t->tg->memory_merge;
	case PR_SET_SYSCALL_USER_DISPATCH:
		return user_dispatch_set(t, a2, a3, a4, a5);
	case PR_SET_MDWE_:
		if (a3 | a4 | a5 || (a2 & ~3ULL) || a2 == PR_MDWE_NO_INHERIT_)
			return -EINVAL;
		if (t->tg->mdwe && t->tg->mdwe != a2)
			return -EPERM;
		t->tg->mdwe = a2;
		return 0;
	case PR_GET_MDWE_:
		return a2 | a3 | a4 | a5 ? -EINVAL : t->tg->mdwe;
	default:
		log_debug("%s: prctl(%d) is not implemented", t->comm, (int)a->a[0]);
		return -EINVAL;
	}
}

/* ---- arch_prctl ---- */

long sys_arch_prctl(struct task *t, const struct syscall_args *a)
{
	struct pl_regs r;
	switch ((int)a->a[0]) {
	case ARCH_SET_FS:
		if (a->a[1] >= PL_TASK_SIZE)
			return -EPERM;
		pl_set_fs_base(t->thread, a->a[1]);
		return 0;
	case ARCH_GET_FS:
		pl_get_regs(t->thread, &r);
		return put_user(r.fs_base, a->a[1]);
	case ARCH_SET_GS:
		if (a->a[1] >= PL_TASK_SIZE)
			return -EPERM;
		return pl_set_gs_base(t->thread, a->a[1]);
	case ARCH_GET_GS:
		pl_get_regs(t->thread, &r);
		return put_user(r.gs_base, a->a[1]);
	case 0x1011: /* ARCH_GET_CPUID: the instruction is enabled */
		return 1;
	case 0x1012: /* ARCH_SET_CPUID: no faulting here */
		return -ENODEV;
	case 0x1021: /* ARCH_GET_XCOMP_SUPP */
	case 0x1022: /* ARCH_GET_XCOMP_PERM */
	case 0x1024: { /* ARCH_GET_XCOMP_GUEST_PERM */
		uint64_t f = pl_xfeatures(t->kernel->platform);
		return put_user(f, a->a[1]);
	}
	case 0x1023: /* ARCH_REQ_XCOMP_PERM: what a thread may have it has from the start, and nothing needs to be asked for */
	case 0x1025: /* ARCH_REQ_XCOMP_GUEST_PERM */
		return a->a[1] >= 20 ? -EINVAL : -EOPNOTSUPP;
	default:
		return -EINVAL;
	}
}

long sys_personality(struct task *t, const struct syscall_args *a)
{
	uint32_t p = a->a[0], old = t->personality;
	if (p != 0xffffffff)
		t->personality = p;
	return old;
}

/* ---- membarrier ---- */

long sys_membarrier(struct task *t, const struct syscall_args *a)
{
	int cmd = (int)a->a[0];
	unsigned flags = (unsigned)a->a[1];

	/* One CPU only (and none that there is not): then all are reached too. */
	if (cmd == MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ ? flags & ~(unsigned)MEMBARRIER_CMD_FLAG_CPU : flags)
		return -EINVAL;
	return task_membarrier(t, cmd);
}
