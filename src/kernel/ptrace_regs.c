/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace_regs.c: registers and memory of a stopped tracee, on its own fiber. */
#include "kernel/internal.h"
#include "kernel/ptrace.h"
#include "mm/uaccess.h"
#include "platform/platform.h"
#include <sys/mman.h>

void ptrace_get_user_regs(struct task *t, struct pl_regs *r) { pl_get_regs(t->thread, r); }

long ptrace_set_user_regs(struct task *t, const struct pl_regs *r)
{
	if ((r->cs & 3) != 3 || (r->ss & 3) != 3 || r->fs_base >= PL_TASK_SIZE || r->gs_base >= PL_TASK_SIZE)
		return -EIO;
	pl_set_regs(t->thread, r);
	/* A debugger that saves and restores registers around a call of its own carries a pending restart with them: orig_rax says
	 * whether rax may still be a restart code (-1: no). */
	t->syscall_nr = (int64_t)r->orig_rax >= 0 ? (int64_t)(int32_t)r->orig_rax : -1;
	t->result = (int64_t)r->rax;
	return 0;
}

/* ---- floating point ---- */

#define FXSAVE_SIZE 512
#define SW_OFFSET 464

static uint8_t *xsave_copy(struct task *t, size_t *size)
{
	uint8_t *x;

	*size = pl_xsave_size(t->kernel->platform);
	x = xzalloc(ALIGN_UP(*size, (size_t)64));
	int n = pl_get_xsave(t->thread, x, *size);

	if (n < 0) {
		free(x);
		return NULL;
	}
	return x;
}

long ptrace_get_fp(struct task *t, void *buf, size_t size)
{
	size_t xsize;
	uint8_t *x = xsave_copy(t, &xsize);
	uint64_t bv = 3, features = pl_xfeatures(t->kernel->platform);
	uint32_t mxcsr;

	if (!x)
		return -EIO;
	if (xsize > FXSAVE_SIZE + 64)
		memcpy(&bv, x + FXSAVE_SIZE, 8);
	memcpy(&mxcsr, x + 24, 4);
	/* What is in its initial state was perhaps not written. */
	if (!(bv & 1)) {
		memset(x, 0, 24);
		memset(x + 32, 0, 128);
		*(uint16_t *)(void *)x = 0x37f;
	}
	if (!(bv & 2))
		memset(x + 160, 0, 256);
	memset(x + SW_OFFSET, 0, FXSAVE_SIZE - SW_OFFSET);
	memcpy(x + SW_OFFSET, &features, 8);
	size = MIN(size, xsize > FXSAVE_SIZE + 64 ? xsize - 4 : FXSAVE_SIZE);
	memcpy(buf, x, size);
	free(x);
	return (long)size;
}

long ptrace_set_fp(struct task *t, const void *buf, size_t size)
{
	size_t xsize;
	uint8_t *x = xsave_copy(t, &xsize), sw[FXSAVE_SIZE - SW_OFFSET];
	uint64_t bv;
	long r;

	if (!x)
		return -EIO;
	if (size > (xsize > FXSAVE_SIZE + 64 ? xsize - 4 : FXSAVE_SIZE)) {
		free(x);
		return -EINVAL;
	}
	memcpy(sw, x + SW_OFFSET, sizeof(sw));
	memcpy(x, buf, size);
	memcpy(x + SW_OFFSET, sw, sizeof(sw));
	if (size == FXSAVE_SIZE && xsize > FXSAVE_SIZE + 64) {
		memcpy(&bv, x + FXSAVE_SIZE, 8);
		bv |= 3;
		memcpy(x + FXSAVE_SIZE, &bv, 8);
	}
	r = pl_set_xsave(t->thread, x, xsize);
	free(x);
	return r < 0 ? -EINVAL : 0;
}

/* ---- memory ---- */

struct find_vma { uaddr_t addr, start, end; unsigned flags; bool found; };

static bool find_vma(void *arg, const struct vma_info *v)
{
	struct find_vma *f = arg;

	if (v->end <= f->addr)
		return true;
	if (v->start <= f->addr) {
		f->found = true;
		f->start = v->start;
		f->end = v->end;
		f->flags = v->flags;
	}
	return false;
}

/* One page, against its protection: opened for the moment by an order. */
static size_t access_forced(struct task *t, uaddr_t addr, void *buf, size_t n, bool write)
{
	struct find_vma f = { .addr = addr };
	uaddr_t page = ALIGN_DOWN(addr, (uint64_t)GUEST_PAGE_SIZE);
	size_t done;

	mm_for_each_vma(t->mm, find_vma, &f);
	if (!f.found || (f.flags & VMA_SPECIAL))
		return 0;
	/* A private page becomes the tracee's own copy; a shared one that it may not write stays as it is. */
	if (write ? !(f.flags & VMA_MAYWRITE) || (f.flags & VMA_SHARED) : !(f.flags & VMA_MAYREAD))
		return 0;
	unsigned prot = f.flags & (PROT_READ | PROT_WRITE | PROT_EXEC);
	struct pl_order o = { .op = PL_MPROTECT, .prot = prot | PROT_READ | (write ? PROT_WRITE : 0), .addr = page, .len = GUEST_PAGE_SIZE };

	if (o.prot == prot || pl_order_sync(t->thread, &o))
		return 0;
	done = write ? mm_write(t->mm, addr, buf, n) : mm_read(t->mm, buf, addr, n);
	o.prot = prot;
	(void)pl_order_sync(t->thread, &o);
	return done;
}

size_t ptrace_access(struct task *t, uaddr_t addr, void *buf, size_t n, bool write)
{
	size_t done = 0;

	if (!t->mm || addr >= PL_TASK_SIZE || n > PL_TASK_SIZE - addr)
		return 0;
	while (done < n) {
		size_t k = MIN(n - done, GUEST_PAGE_SIZE - (addr + done) % GUEST_PAGE_SIZE);
		size_t r = write ? mm_write(t->mm, addr + done, (char *)buf + done, k) : mm_read(t->mm, (char *)buf + done, addr + done, k);

		if (r < k)
			r = access_forced(t, addr + done, (char *)buf + done, k, write);
		done += r;
		if (r < k)
			break;
	}
	return done;
}
