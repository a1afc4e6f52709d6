/* SPDX-License-Identifier: Apache-2.0 */
/* prctl_mm.c: prctl(PR_SET_MM): where the parts of a program are said to be, one by one or all at once. */
#include "syscalls/proto.h"
#include <linux/capability.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>

_Static_assert(offsetof(struct prctl_mm_map, auxv) == 11 * sizeof(uint64_t), "addresses first");

static void map_of(const struct mm_layout *l, struct prctl_mm_map *m)
{
	*m = (struct prctl_mm_map){
		.start_code = l->start_code, .end_code = l->end_code, .start_data = l->start_data, .end_data = l->end_data, .start_brk = l->start_brk,
		.brk = l->brk, .start_stack = l->start_stack, .arg_start = l->arg_start, .arg_end = l->arg_end, .env_start = l->env_start,
		.env_end = l->env_end, .exe_fd = (uint32_t)-1,
	};
}

static void map_to(struct mm_layout *l, const struct prctl_mm_map *m)
{
	l->start_code = m->start_code;
	l->end_code = m->end_code;
	l->start_data = m->start_data;
	l->end_data = m->end_data;
	l->start_brk = m->start_brk;
	l->brk = m->brk;
	l->start_stack = m->start_stack;
	l->arg_start = m->arg_start;
	l->arg_end = m->arg_end;
	l->env_start = m->env_start;
	l->env_end = m->env_end;
}

static long check(struct task *t, const struct prctl_mm_map *m)
{
	uint64_t v[11], limit = task_rlimit(t, RLIMIT_DATA);

	memcpy(v, m, sizeof(v));
	for (int i = 0; i < 11; i++)
		if (v[i] >= PL_TASK_SIZE || v[i] < PL_MIN_ADDR)
			return -EINVAL;
	if (m->start_code >= m->end_code || m->start_data > m->end_data || m->start_brk > m->brk || m->arg_start > m->arg_end ||
	    m->env_start > m->env_end)
		return -EINVAL;
	return limit != RLIM64_INFINITY && m->brk - m->start_brk + (m->end_data - m->start_data) > limit ? -EINVAL : 0;
}

static long read_auxv(uint64_t v[static ARRAY_SIZE(((struct mm_layout *)0)->auxv)], uaddr_t from, uint64_t size)
{
	const size_t n = ARRAY_SIZE(((struct mm_layout *)0)->auxv);

	if (size > n * sizeof(v[0]))
		return -EINVAL;
	memset(v, 0, n * sizeof(v[0]));
	if (copy_from_user(v, from, size))
		return -EFAULT;
	v[n - 2] = v[n - 1] = 0;
	return 0;
}

static void set_auxv(struct mm_layout *l, const uint64_t *v, uint64_t size)
{
	memcpy(l->auxv, v, size);
	for (l->auxc = 0; l->auxc + 2 < ARRAY_SIZE(l->auxv) && l->auxv[l->auxc]; l->auxc += 2)
		;
	l->auxc += 2;
}

static long set_all(struct task *t, uaddr_t from, uint64_t size)
{
	struct mm_layout *l = mm_layout(t->mm);
	uint64_t auxv[ARRAY_SIZE(l->auxv)];
	struct prctl_mm_map m;
	long r;

	if (size != sizeof(m))
		return -EINVAL;
	if (copy_from_user(&m, from, sizeof(m)))
		return -EFAULT;
	r = check(t, &m);
	if (!r && m.auxv_size)
		r = m.auxv ? read_auxv(auxv, (uaddr_t)m.auxv, m.auxv_size) : -EINVAL;
	if (!r && m.exe_fd != (uint32_t)-1) /* see prctl_set_mm() */
		r = ns_capable(t->cred, t->cred->user_ns, CAP_SYS_ADMIN) || ns_capable(t->cred, t->cred->user_ns, CAP_CHECKPOINT_RESTORE) ? -EBUSY : -EPERM;
	if (r)
		return r;
	map_to(l, &m);
	if (m.auxv_size)
		set_auxv(l, auxv, sizeof(auxv));
	return 0;
}

struct at { uaddr_t addr; bool below; };

static bool below(void *arg, const struct vma_info *v)
{
	struct at *a = arg;

	a->below = v->end > a->addr;
	return !a->below;
}

static bool any_vma(struct task *t, uaddr_t addr)
{
	struct at a = { addr, false };

	mm_for_each_vma(t->mm, below, &a);
	return a.below;
}

long prctl_set_mm(struct task *t, uint64_t opt, uint64_t addr, uint64_t a4, uint64_t a5)
{
	struct mm_layout *l = mm_layout(t->mm);
	uint64_t auxv[ARRAY_SIZE(l->auxv)];
	struct prctl_mm_map m;
	bool in_vma = false;
	long r;

	if (a5 || (a4 && opt != PR_SET_MM_AUXV && opt != PR_SET_MM_MAP && opt != PR_SET_MM_MAP_SIZE))
		return -EINVAL;
	if (opt == PR_SET_MM_MAP_SIZE)
		return put_user((uint32_t)sizeof(m), addr);
	if (opt == PR_SET_MM_MAP)
		return set_all(t, addr, a4);
	if (!cred_has_cap(t->cred, CAP_SYS_RESOURCE))
		return -EPERM;
	if (opt == PR_SET_MM_EXE_FILE) /* which a program may only do after it unmapped itself: never here */
		return -EBUSY;
	if (opt == PR_SET_MM_AUXV) {
		r = read_auxv(auxv, addr, a4);
		if (!r)
			set_auxv(l, auxv, a4);
		return r;
	}
	if (addr >= PL_TASK_SIZE || addr < PL_MIN_ADDR)
		return -EINVAL;
	map_of(l, &m);
	switch (opt) {
	case PR_SET_MM_START_CODE: m.start_code = addr; break;
	case PR_SET_MM_END_CODE: m.end_code = addr; break;
	case PR_SET_MM_START_DATA: m.start_data = addr; break;
	case PR_SET_MM_END_DATA: m.end_data = addr; break;
	case PR_SET_MM_START_STACK: m.start_stack = addr; in_vma = true; break;
	case PR_SET_MM_START_BRK: m.start_brk = addr; break;
	case PR_SET_MM_BRK: m.brk = addr; break;
	case PR_SET_MM_ARG_START: m.arg_start = addr; in_vma = true; break;
	case PR_SET_MM_ARG_END: m.arg_end = addr; in_vma = true; break;
	case PR_SET_MM_ENV_START: m.env_start = addr; in_vma = true; break;
	case PR_SET_MM_ENV_END: m.env_end = addr; in_vma = true; break;
	default: return -EINVAL;
	}
	r = check(t, &m);
	if (!r && in_vma && !any_vma(t, addr))
		r = -EFAULT;
	if (!r)
		map_to(l, &m);
	return r;
}
