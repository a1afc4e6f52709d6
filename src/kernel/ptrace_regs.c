/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace_regs.c: registers and memory of a stopped tracee, on its own fiber. */
#include "kernel/internal.h"
#include "kernel/ptrace.h"
#include "mm/uaccess.h"
#include "platform/platform.h"
#include <stddef.h>
#include <sys/mman.h>

void ptrace_get_user_regs(struct task *t, struct pl_regs *r) { pl_get_regs(t->thread, r); }

#define FLAGS_SETTABLE 0x54dd5ULL /* CF PF AF ZF SF TF DF OF NT RF AC */

static bool selector_ok(uint64_t v) { return !(v & 0xffff) || (v & 3) == 3; }

/* Word by word from the start of the struct: what is in front of one that is refused has been set. */
long ptrace_set_user_regs(struct task *t, const void *buf, size_t n)
{
	struct pl_regs r, w = { 0 };
	size_t done = 0;
	long err = 0;

	pl_get_regs(t->thread, &r);
	memcpy(&w, buf, n);
	for (; done < n && !err; done += 8) {
		uint64_t v = ((uint64_t *)&w)[done / 8];

		switch (done) {
		case offsetof(struct pl_regs, cs):
		case offsetof(struct pl_regs, ss):
			err = (v & 3) == 3 ? 0 : -EIO;
			break;
		case offsetof(struct pl_regs, ds):
		case offsetof(struct pl_regs, es):
		case offsetof(struct pl_regs, fs):
		case offsetof(struct pl_regs, gs):
			err = selector_ok(v) ? 0 : -EIO;
			break;
		case offsetof(struct pl_regs, fs_base):
		case offsetof(struct pl_regs, gs_base):
			err = v < PL_TASK_SIZE ? 0 : -EIO;
			break;
		case offsetof(struct pl_regs, eflags):
			v = (r.eflags & ~FLAGS_SETTABLE) | (v & FLAGS_SETTABLE);
			break;
		}
		if (!err)
			((uint64_t *)&r)[done / 8] = v;
	}
	pl_set_regs(t->thread, &r);
	/* A debugger that saves and restores registers around a call of its own carries a pending restart with them: orig_rax says
	 * whether rax may still be a restart code (-1: no). */
	t->syscall_nr = (int32_t)r.orig_rax >= 0 ? (int64_t)(int32_t)r.orig_rax : -1;
	t->result = (int64_t)r.rax;
	return err;
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

static size_t fp_size(size_t xsize, bool xstate) { return xstate && xsize > FXSAVE_SIZE + 64 ? xsize - 4 : FXSAVE_SIZE; }

long ptrace_get_fp(struct task *t, void *buf, bool xstate)
{
	size_t xsize;
	uint8_t *x = xsave_copy(t, &xsize);
	uint64_t bv = 3, features = pl_xfeatures(t->kernel->platform);

	if (!x)
		return -EIO;
	if (xsize > FXSAVE_SIZE + 64)
		memcpy(&bv, x + FXSAVE_SIZE, 8);
	/* What is in its initial state was perhaps not written. */
	if (!(bv & 1)) {
		memset(x, 0, 24);
		memset(x + 32, 0, 128);
		*(uint16_t *)(void *)x = 0x37f;
	}
	if (!(bv & 2))
		memset(x + 160, 0, 256);
	memset(x + SW_OFFSET, 0, FXSAVE_SIZE - SW_OFFSET);
	if (xstate)
		memcpy(x + SW_OFFSET, &features, 8);
	memcpy(buf, x, fp_size(xsize, xstate));
	free(x);
	return 0;
}

/* Features that the CPU does not have, the compacted format, and what is reserved. */
static bool xstate_header_ok(struct task *t, const uint8_t *x)
{
	uint64_t h[8];

	memcpy(h, x + FXSAVE_SIZE, sizeof(h));
	for (int i = 1; i < 8; i++)
		if (h[i])
			return false;
	return !(h[0] & ~pl_xfeatures(t->kernel->platform));
}

long ptrace_set_fp(struct task *t, const void *buf, bool xstate)
{
	size_t xsize, size;
	uint8_t *x = xsave_copy(t, &xsize), sw[FXSAVE_SIZE - SW_OFFSET];
	uint64_t bv;
	long r;

	if (!x)
		return -EIO;
	size = fp_size(xsize, xstate);
	if (size > FXSAVE_SIZE && !xstate_header_ok(t, buf)) {
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
