/* SPDX-License-Identifier: Apache-2.0 */
/* patch.c: call sites that jump into the stub instead of trapping.
 *
 * OVERVIEW
 * `mov $nr,%eax; syscall` is b8 imm32 0f 05, seven bytes: as long as `jmp *disp32` through a pointer at an absolute address
 * (ff 24 25 disp32). The table of pointers lies at 0x050f0000, so that the upper half of disp32 reads 0f 05: the two bytes of
 * the syscall instruction stay what they were. Only the five bytes of the mov change, and code that jumps to the syscall itself
 * still traps and works.
 * Any other `syscall`, whatever stands around it, becomes a short jump of two bytes to a hop: the seven-byte jump, in padding
 * between functions that nothing executes, at most 127 bytes away (insn.c looks for it), or to a jump of five bytes in such padding, which
 * leads to a hop farther away. It goes through the same table at another
 * address, because images that are not position-independent and their heaps may well cover the first one; these have hops only.
 * Entry k of the table leads to trampoline k, at a fixed address above the guest's, in memory that is private to the process:
 *	mov $nr,%eax (or a nop as long); movabs $return,%rcx; jmp patched_entry
 * The table is the same for all processes. Indices are given out per (file, offset, shape), so that a site has one index wherever it
 * is mapped. This replaces the design's trampolines within 2 GiB of the text: those need room next to every mapping.
 * A thread caught in a trampoline or a hop is reported as standing at its site: all its instructions may be executed again. */
#include "platform/trap/trap.h"
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PATCH_AFTER 10 /* traps from one address before it is patched: what patching costs, so that short-lived processes do not pay */

struct patch_site_rec {
	uint64_t id, off;
};

void patch_init(struct platform *p)
{
	uint64_t *table = (uint64_t *)((uint8_t *)p->kpage + STUB_KPAGE_LEN);

	for (uint64_t k = 1; k < PATCH_SITES; k++)
		table[k] = PATCH_TRAMP + k * PATCH_TRAMP_SIZE;
}

void platform_set_patch_ops(struct platform *p, const struct patch_ops *ops, void *arg)
{
	if (p->no_patch || !p->fsgsbase)
		return;
	for (unsigned i = 0; i < p->nlanes; i++) {
		struct platform *l = p->lanes[i];

		l->sites = xcalloc(PATCH_SITES, sizeof(*l->sites));
		l->nsites = 1;
		l->patch_arg = arg;
		l->patch_ops = ops;
	}
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

/* jmp *table[index] */
static uint64_t jump_bytes(uint64_t table, uint32_t index) { return 0x2524ffUL | (table + 8 * index) << 24; }

static bool write_text(struct pl_thread *t, uint64_t at, uint64_t bytes, uint32_t len)
{
	uint32_t streak = t->streak;
	uint64_t value = 0;
	int err;

	t->slot->patch_addr = at;
	t->slot->patch_bytes = bytes & ((1UL << 8 * len) - 1);
	t->slot->patch_len = len;
	err = exchange(t, ANS_PATCH, &value);
	t->streak = streak;
	if (err || value)
		log_debug("patching %#lx: %d, %ld", (unsigned long)at, err, (long)value);
	return !err && !value;
}

static uint8_t shape_of(const struct patched_site *ps) { return ps->hop ? PATCH_HOP : PATCH_MOV; }

/* Trampolines lie where pl_space_write() does not go. */
static bool write_trampoline(struct pl_space *s, uint32_t k, const struct patched_site *ps, uint64_t ret)
{
	uint8_t b[PATCH_TRAMP_SIZE];
	uint64_t at = PATCH_TRAMP + k * PATCH_TRAMP_SIZE;
	struct iovec l = { b, sizeof(b) }, r = { (void *)at, sizeof(b) };

	memset(b, 0xcc, sizeof(b));
	memcpy(b, ps->hop ? "\x0f\x1f\x44\0\0" : (const void *)&ps->was, 5);
	b[5] = 0x48;
	b[6] = 0xb9;
	memcpy(b + 7, &ret, 8);
	b[15] = 0xe9;
	memcpy(b + 16, &(int32_t){ (int32_t)((int64_t)STUB_PATCHED - (int64_t)(at + 20)) }, 4);
	return process_vm_writev(s->pid, &l, 1, &r, 1, 0) == sizeof(b);
}

static bool read_trampoline(struct pl_space *s, uint64_t at, uint8_t b[PATCH_TRAMP_SIZE])
{
	struct iovec l = { b, PATCH_TRAMP_SIZE }, r = { (void *)at, PATCH_TRAMP_SIZE };

	return process_vm_readv(s->pid, &l, 1, &r, 1, 0) == PATCH_TRAMP_SIZE;
}

#define BEFORE 8 /* bytes that are read in front of the return address */
#define REACH 127
#define FAR 1000
struct site {
	struct pl_thread *t;
	uint64_t ret;
	size_t n; /* bytes there are of text */
	uint8_t text[BEFORE + FAR + 8 + 16];
};

static bool same_page(uint64_t a, uint64_t b) { return a / GUEST_PAGE_SIZE == b / GUEST_PAGE_SIZE; }

/* Other threads may execute the bytes meanwhile: one store must do. */
static bool writable_now(struct site *s, uint64_t at, uint32_t len) { return s->t->space->nthreads == 1 || at % 16 + len <= 16; }

static bool shape_mov(struct site *s, struct patched_site *ps)
{
	const uint8_t *b = s->text;
	uint32_t nr;

	/* The trap says that 0f 05 is an instruction; that the number in eax is the mov's says that the mov is one, unless a prefix
	 * makes it another register's. */
	memcpy(&nr, b + BEFORE - 6, 4);
	if (b[BEFORE - 7] != 0xb8 || nr != s->t->line.nr || (b[BEFORE - 8] & 0xf0) == 0x40 || b[BEFORE - 8] == 0x66)
		return false;
	ps->at = s->ret - 7;
	ps->near = ps->hop = 0;
	ps->len = 5;
	ps->was = 0xb8UL | (uint64_t)nr << 8;
	return same_page(ps->at - 1, s->ret - 1) && writable_now(s, ps->at, 5);
}

static bool shape_any(struct site *s, struct patched_site *ps)
{
	const uint8_t *after = s->text + BEFORE;
	/* Code that looks at flags from before the call would find others: jumps, moves and sets on conditions, pushf, lahf. */
	uint8_t high = after[0] == 0x0f ? after[1] & 0xf0 : 0;
	int off, near;

	if ((after[0] & 0xf0) == 0x70 || high == 0x40 || high == 0x80 || high == 0x90 || after[0] == 0x9c || after[0] == 0x9f)
		return false;
	off = near = insn_find_padding(after, s->n - BEFORE, s->ret, 7, REACH);
	if (off < 0) {
		near = insn_find_padding(after, s->n - BEFORE, s->ret, 5, REACH);
		off = insn_find_padding(after, s->n - BEFORE, s->ret, 7, FAR);
	}
	if (near < 0 || off < 0)
		return false;
	ps->at = s->ret - 2;
	ps->hop = s->ret + (uint64_t)off;
	ps->near = near != off ? s->ret + (uint64_t)near : 0;
	ps->len = 2;
	ps->was = 0x050f;
	ps->now = 0xebUL | (uint64_t)near << 8;
	return same_page(ps->at, s->ret - 1) && same_page(ps->hop, ps->hop + 6) && same_page(ps->near, ps->near + 4) && writable_now(s, ps->at, 2);
}

/* Is trampoline k that of a site in another mapping of the same file? The trampoline knows one way back. */
static bool returns_elsewhere(struct pl_space *s, uint32_t k, uint64_t at)
{
	for (uint32_t i = 0; i < s->npatched; i++) {
		const struct patched_site *o = &s->patched[i];
		uint64_t now = 0;

		if (o->index == k && o->at != at && pl_space_read(s, &now, o->at, o->len) == o->len && now == o->now)
			return true;
	}
	return false;
}

/* Rewrite the site whose syscall instruction ends at ret. */
static void patch_site(struct pl_thread *t, uint64_t ret)
{
	struct platform *p = t->p;
	struct pl_space *s = t->space;
	struct site site = { .t = t, .ret = ret };
	struct patched_site ps;
	uint64_t id, off, ignored;
	uint32_t k;

	/* Unwinders know signal frames by the bytes of this call. */
	if (t->line.nr == SYS_rt_sigreturn || !p->patch_ops->text(p->patch_arg, t, ret - 2, &id, &off))
		return;
	site.n = pl_space_read(s, site.text, ret - BEFORE, sizeof(site.text));
	if (site.n < BEFORE + 8 || site.text[BEFORE - 2] != 0x0f || site.text[BEFORE - 1] != 0x05)
		return;
	if (!(!(s->patch_lost & PATCH_MOV) && shape_mov(&site, &ps)) && !(!(s->patch_lost & PATCH_HOP) && shape_any(&site, &ps)))
		return;
	if (ps.hop && (!p->patch_ops->text(p->patch_arg, t, ps.hop, &ignored, &ignored) ||
		       !p->patch_ops->text(p->patch_arg, t, ps.near ? ps.near : ps.hop, &ignored, &ignored)))
		return;
	k = site_index(p, id, off << 1 | !!ps.hop);
	if (!k)
		return;
	if (returns_elsewhere(s, k, ps.at))
		return;
	ps.index = k;
	if (!ps.hop)
		ps.now = jump_bytes(PATCH_TABLE_MOV, k) & 0xffffffffffUL;
	if (!write_trampoline(s, k, &ps, ret) || (ps.hop && !write_text(t, ps.hop, jump_bytes(PATCH_TABLE_HOP, k), 7)) ||
	    (ps.near && !write_text(t, ps.near, 0xe9UL | (ps.hop - ps.near - 5) << 8, 5)) || !write_text(t, ps.at, ps.now, ps.len))
		return;
	p->stats.sites++;
	s->patched = xrealloc(s->patched, (s->npatched + 1) * sizeof(*s->patched));
	s->patched[s->npatched++] = ps;
}

/* Put the guest's code back as it was (but for the hops, which nothing leads to any more). */
void patch_undo(struct pl_thread *t, uint8_t shapes)
{
	struct pl_space *s = t->space;

	s->patch_lost |= shapes;
	sleeplock_lock(&s->patch_lock);
	for (uint32_t i = s->npatched; i--;) {
		struct patched_site ps;
		uint64_t now = 0;

		if (!(shape_of(&s->patched[i]) & shapes))
			continue;
		ps = s->patched[i];
		s->patched[i] = s->patched[--s->npatched];
		if (pl_space_read(s, &now, ps.at, ps.len) == ps.len && now == ps.now) /* else the text went long ago */
			write_text(t, ps.at, ps.was, ps.len);
	}
	sleeplock_unlock(&s->patch_lock);
	if (s->traps) /* what was patched may be once more, in the other shape */
		memset(s->traps, 0, TRAP_COUNTERS * sizeof(*s->traps));
}

static bool overlap(uint64_t addr, uint64_t len, uint64_t table) { return addr < table + PATCH_TABLE_LEN && addr + len > table; }

/* The guest is about to map, unmap or protect something. If that is where a table is, the sites that jump through it are put back. A thread
 * that is just about to make that jump is lost; it takes a guest that maps fixed addresses there while it makes calls. */
void patch_order(struct pl_thread *t, const struct pl_order *o)
{
	static const struct { uint32_t table; uint8_t shape; } tables[] = { { PATCH_TABLE_MOV, PATCH_MOV }, { PATCH_TABLE_HOP, PATCH_HOP } };

	for (unsigned i = 0; i < ARRAY_SIZE(tables); i++)
		if (unlikely(overlap(o->addr, o->len, tables[i].table) ||
			     (o->op == PL_MREMAP && overlap(o->new_addr, o->new_len, tables[i].table))) &&
		    !(t->space->patch_lost & tables[i].shape))
			patch_undo(t, tables[i].shape);
}

void platform_patch_undo(struct pl_thread *t)
{
	/* Once: several threads of a space may stop at the same time. */
	if (!atomic_exchange(&t->space->undone, true))
		patch_undo(t, PATCH_MOV | PATCH_HOP);
}

void patch_inherit(struct pl_space *child, const struct pl_space *parent)
{
	child->patch_lost = parent->patch_lost;
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
	unsigned h = (unsigned)(rip ^ rip >> 6 ^ rip >> 12), i = h % TRAP_COUNTERS;

	if (s->gs_used || s->patch_lost == (PATCH_MOV | PATCH_HOP) || rip < 0x1000 || rip >= PL_TASK_SIZE)
		return;
	if (!s->traps)
		s->traps = xcalloc(TRAP_COUNTERS, sizeof(*s->traps));
	/* Sites that cannot be patched go on trapping: they must not keep a neighbour from it. */
	for (unsigned n = 1; n < 4 && s->traps[i].rip != rip && s->traps[i].rip; n++)
		i = (h + n) % TRAP_COUNTERS;
	if (s->traps[i].rip != rip) {
		s->traps[i].rip = rip;
		s->traps[i].count = 0;
	}
	if (++s->traps[i].count == PATCH_AFTER) {
		if (sleeplock_trylock(&s->patch_lock)) {
			patch_site(t, rip);
			sleeplock_unlock(&s->patch_lock);
		} else {
			s->traps[i].count--; /* another thread is at it: next time */
		}
	}
}

uint64_t patch_canonical_rip(struct pl_thread *t, uint64_t rip)
{
	struct pl_space *s = t->space;
	uint8_t tramp[PATCH_TRAMP_SIZE];
	uint64_t ret;

	if (rip < PATCH_TRAMP || rip >= PATCH_TRAMP + PATCH_TRAMP_LEN) {
		for (uint32_t i = 0; i < s->npatched; i++)
			if (s->patched[i].hop == rip || s->patched[i].near == rip)
				return s->patched[i].at;
		return rip;
	}
	if (!read_trampoline(s, ALIGN_DOWN(rip, (uint64_t)PATCH_TRAMP_SIZE), tramp))
		return rip;
	memcpy(&ret, tramp + 7, 8);
	if (ret < 0x1000 || ret >= PL_TASK_SIZE)
		return rip;
	return ret - (tramp[0] == 0xb8 ? 7 : 2);
}
