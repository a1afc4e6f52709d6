/* SPDX-License-Identifier: Apache-2.0 */
/* patch.c: what platform/ asks before it rewrites a system call site (platform/patch.h). */
#include "mm/vma.h"
#include "platform/patch.h"

static bool text(void *arg, struct pl_thread *t, uaddr_t addr, uint64_t *id, uint64_t *off)
{
	struct mm *mm = fiber_context()->mm;
	struct vma *v;
	bool ok;

	if (!mm)
		return false;
	mutex_lock(&mm->vma_lock);
	v = vma_tree_find(&mm->vmas, addr);
	ok = v && v->start <= addr && v->mappable && v->mappable->ops->id && (v->flags & (VMA_EXEC | VMA_WRITE | VMA_SHARED | VMA_SPECIAL)) == VMA_EXEC;
	if (ok) {
		*id = v->mappable->ops->id(v->mappable);
		*off = v->off + (addr - v->start);
	}
	mutex_unlock(&mm->vma_lock);
	return ok;
}

static const struct patch_ops ops = { text };

void mm_allow_patching(struct platform *p) { platform_set_patch_ops(p, &ops, NULL); }
