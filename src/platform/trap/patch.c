/* SPDX-License-Identifier: Apache-2.0 */
/* patch.c: call sites that jump into the stub instead of trapping.
 *
 * OVERVIEW
 * `mov $nr,%eax; syscall` is b8 imm32 0f 05, seven bytes: as long as `jmp *disp32` through a pointer at an absolute address
 * (ff 24 25 disp32). The table of pointers lies at 0x050f0000, so that the upper half of disp32 reads 0f 05: the two bytes of
 * the syscall instruction stay what they were. Only the five bytes of the mov change, and code that jumps to the syscall itself
 * still traps and works.
 * Entry k of the table leads to trampoline k, at a fixed address in memory that is private to the process:
 *	mov $nr,%eax; movabs $return,%rcx; jmp *table[0]	(table[0] is the stub's patched_entry)
 * The table is the same for all processes. Indices are given out per (file, offset), so that a site has one index wherever it is
 * mapped. This replaces the design's trampolines within 2 GiB of the text: those need room next to every mapping.
 * A thread caught in a trampoline is reported as standing at its site: all its instructions may be executed again. */
#include "platform/trap/trap.h"
#include <sys/mman.h>

#define PATCH_AFTER 10 /* traps from one address before it is patched: what patching costs, so that short-lived processes do not pay */

struct patch_site_rec {
	uint64_t id, off;
};

void patch_init(struct platform *p)
{
	uint64_t *table = (uint64_t *)((uint8_t *)p->kpage + STUB_KPAGE_LEN);

	table[0] = STUB_PATCHED;
	for (uint64_t k = 1; k < PATCH_SITES; k++)
		table[k] = PATCH_TRAMP + k * PATCH_TRAMP_SIZE;
}

void platform_set_patch_ops(struct platform *p, const struct patch_ops *ops, void *arg)
{
	if (p->no_patch || !p->fsgsbase)
		return;
	p->sites = xcalloc(PATCH_SITES, sizeof(*p->sites));
	p->nsites = 1;
	p->patch_arg = arg;
	p->patch_ops = ops;
}

void platform_patch_off(struct pl_space *s) { s->gs_used = true; }

/* The index of a site; 0 = no room. */
static uint32_t site_index(struct platform *p, uint64_t id, uint64_t off)
{
	uint32_t k;

	mutex_lock(&p->lock);
	/* A linear walk, once per learned site and process. */
	for (k = 1; k < p->nsites; k++)
		if (p->sites[k].id == id && p->sites[k].off == off)
			break;
	if (k == p->nsites) {
		if (p->nsites == PATCH_SITES)
			k = 0;
		else
			p->sites[p->nsites++] = (struct patch_site_rec){ .id = id, .off = off };
	}
	mutex_unlock(&p->lock);
	return k;
}

static uint64_t jump_bytes(uint32_t index) { return 0x2524ffUL | (uint64_t)((PATCH_TABLE + 8 * index) & 0xffff) << 24; }

/* Rewrite the site whose syscall instruction ends at ret. */
static void patch_site(struct pl_thread *t, uint64_t ret)
{
	struct platform *p = t->p;
	struct pl_space *s = t->space;
	uint64_t site = ret - 7, id, off, value = 0;
	uint8_t b[8], tramp[PATCH_TRAMP_SIZE];
	uint32_t nr, k;

	if ((site - 1) / GUEST_PAGE_SIZE != (ret - 1) / GUEST_PAGE_SIZE || !p->patch_ops->text(p->patch_arg, t, site, &id, &off) ||
	    pl_space_read(s, b, site - 1, sizeof(b)) != sizeof(b))
		return;
	/* The trap says that 0f 05 is an instruction; that the number in eax is the mov's says that the mov is one, unless a prefix
	 * makes it another register's. */
	memcpy(&nr, b + 2, 4);
	if (b[1] != 0xb8 || b[6] != 0x0f || b[7] != 0x05 || nr != t->line.nr || (b[0] & 0xf0) == 0x40 || b[0] == 0x66)
		return;
	if (site % 8 > 3 && s->nthreads > 1)
		return; /* not in one aligned word: not while other threads may execute it */
	k = site_index(p, id, off);
	if (!k)
		return;
	memset(tramp, 0xcc, sizeof(tramp));
	tramp[0] = 0xb8;
	memcpy(tramp + 1, &nr, 4);
	tramp[5] = 0x48;
	tramp[6] = 0xb9;
	memcpy(tramp + 7, &ret, 8);
	tramp[15] = 0xff;
	tramp[16] = 0x24;
	tramp[17] = 0x25;
	memcpy(tramp + 18, &(uint32_t){ PATCH_TABLE }, 4);
	if (pl_space_write(s, PATCH_TRAMP + k * PATCH_TRAMP_SIZE, tramp, sizeof(tramp)) != sizeof(tramp))
		return;
	t->slot->patch_addr = site;
	t->slot->patch_bytes = jump_bytes(k);
	uint32_t streak = t->streak;

	if (exchange(t, ANS_PATCH, &value) || value)
		log_debug("patching %#lx: %ld", site, (long)value);
	else {
		p->stats.sites++;
		s->patched = xrealloc(s->patched, (s->npatched + 1) * sizeof(*s->patched));
		s->patched[s->npatched].site = site;
		s->patched[s->npatched].nr = nr;
		s->patched[s->npatched++].index = k;
	}
	t->streak = streak;
}

/* The guest is about to map, unmap or protect something where table and trampolines are: put its code back as it was. A thread
 * that is inside a trampoline at this very moment is lost; it takes a guest that maps fixed addresses there while it makes calls. */
void patch_undo(struct pl_thread *t)
{
	struct pl_space *s = t->space;

	s->gs_used = true;
	while (s->npatched) {
		uint64_t site = s->patched[--s->npatched].site, now = 0, value;

		if (pl_space_read(s, &now, site, 5) != 5 || now != jump_bytes(s->patched[s->npatched].index))
			continue; /* the text went long ago */
		t->slot->patch_addr = site;
		t->slot->patch_bytes = 0xb8UL | (uint64_t)s->patched[s->npatched].nr << 8;
		exchange(t, ANS_PATCH, &value);
	}
}

void patch_inherit(struct pl_space *child, const struct pl_space *parent)
{
	if (!parent->npatched)
		return;
	child->patched = xcalloc(parent->npatched, sizeof(*child->patched));
	memcpy(child->patched, parent->patched, parent->npatched * sizeof(*child->patched));
	child->npatched = parent->npatched;
}

void patch_trapped(struct pl_thread *t)
{
	struct pl_space *s = t->space;
	uint64_t rip = READ_ONCE(t->slot->regs.rip);
	unsigned i = (unsigned)(rip ^ rip >> 6 ^ rip >> 12) % TRAP_COUNTERS;

	if (s->gs_used || rip < 0x1000 || rip >= PL_TASK_SIZE)
		return;
	if (!s->traps)
		s->traps = xcalloc(TRAP_COUNTERS, sizeof(*s->traps));
	if (s->traps[i].rip != rip) {
		s->traps[i].rip = rip;
		s->traps[i].count = 0;
	}
	if (++s->traps[i].count == PATCH_AFTER)
		patch_site(t, rip);
}

uint64_t patch_canonical_rip(struct pl_thread *t, uint64_t rip)
{
	uint64_t tramp = ALIGN_DOWN(rip, (uint64_t)PATCH_TRAMP_SIZE), ret;

	if (pl_space_read(t->space, &ret, tramp + 7, 8) != 8 || ret < 0x1000 || ret >= PL_TASK_SIZE)
		return rip;
	return ret - 7;
}
