/* SPDX-License-Identifier: Apache-2.0 */
/* elf.c: reading, checking and mapping ELF64 programs and their interpreter, and the first stack (elf(5), Linux fs/binfmt_elf.c).
 *
 * What the file says is read once into kernel memory and checked there: the file may change meanwhile. Reading comes before the point
 * of no return and gives ENOEXEC and the like; mapping comes after it, and what fails there kills the process. */
#include "kernel/internal.h"
#include "kernel/time_ns.h"
#include <elf.h>
#include <limits.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/random.h>

#define ELF_ET_DYN_BASE 0x555555554000UL /* as on Linux, and clear of everything mmap chooses */
#define ELF_RND_BITS 28
#define BRK_RND_SIZE 0x2000000UL
#define STACK_EXPAND (128UL << 10)
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
#define AT_RSEQ_FEATURE_SIZE_ 27
#define AT_RSEQ_ALIGN_ 28
#define HWCAP2_FSGSBASE 2 /* guests must not set the GS base by themselves: the platform keeps its slot there */

static uint64_t random_below(struct task *t, uint64_t n)
{
	uint64_t r = 0;
	if (t->personality & ADDR_NO_RANDOMIZE)
		return 0;
	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r = (uint64_t)ktime_mono() * 0x9e3779b97f4a7c15ULL;
	return n ? r % n : r;
}

void elf_image_free(struct elf_image *img)
{
	free(img->phdrs);
	img->phdrs = NULL;
	if (img->file) {
		inode_allow_write(img->file->inode);
		file_put(img->file);
	}
	img->file = NULL;
}

/* Check a header and read the program headers; bad: what a broken file gets. Takes no reference on f. */
static int read_phdrs(struct file *f, const char head[256], struct elf_image *img, int bad)
{
	Elf64_Ehdr eh;
	memcpy(&eh, head, sizeof(eh));
	/* Of the class Linux takes no notice. */
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) || eh.e_machine != EM_X86_64 ||
	    (eh.e_type != ET_EXEC && eh.e_type != ET_DYN) || !f->ops->mmap)
		return bad;
	if (eh.e_phentsize != sizeof(Elf64_Phdr) || eh.e_phnum < 1 || eh.e_phnum > 65536 / sizeof(Elf64_Phdr))
		return bad;
	size_t size = eh.e_phnum * sizeof(Elf64_Phdr);
	img->phdrs = xzalloc(size);
	img->phnum = eh.e_phnum;
	img->entry = eh.e_entry;
	img->phoff = eh.e_phoff;
	img->pie = eh.e_type == ET_DYN;
	if (eh.e_phoff <= 256 && size <= 256 - eh.e_phoff) {
		memcpy(img->phdrs, head + eh.e_phoff, size);
		return 0;
	}
	ssize_t n = eh.e_phoff > INT64_MAX - size ? 0 : kernel_read(f, img->phdrs, size, eh.e_phoff);
	if (n != (ssize_t)size) {
		free(img->phdrs);
		img->phdrs = NULL;
		return bad;
	}
	return 0;
}

int elf_read(struct file *f, const char head[256], bool interp, struct elf_image *img, char **interp_name, bool *exec_stack)
{
	int r = read_phdrs(f, head, img, interp ? -ELIBBAD : -ENOEXEC);
	if (r)
		return r;
	if (interp)
		return 0;
	Elf64_Phdr *ph = img->phdrs;
	for (unsigned i = 0; i < img->phnum; i++) {
		if (ph[i].p_type == PT_GNU_STACK) {
			*exec_stack = ph[i].p_flags & PF_X;
		} else if (ph[i].p_type == PT_INTERP && !*interp_name) {
			if (ph[i].p_filesz > PATH_MAX || ph[i].p_filesz < 2)
				return -ENOEXEC;
			if (ph[i].p_offset > INT64_MAX - ph[i].p_filesz)
				return -EINVAL;
			char *name = xzalloc(ph[i].p_filesz);
			ssize_t n = kernel_read(f, name, ph[i].p_filesz, ph[i].p_offset);
			if (n != (ssize_t)ph[i].p_filesz || name[n - 1]) {
				free(name);
				return n < 0 ? n : n != (ssize_t)ph[i].p_filesz ? -EIO : -ENOEXEC;
			}
			*interp_name = name;
		}
	}
	return 0;
}

/* ---- mapping ---- */

static int map_file(struct mm *mm, struct file *f, uint64_t addr, uint64_t len, int prot, uint64_t off)
{
	struct vm_map m = { .off = off, .len = len, .prot = prot, .flags = MAP_PRIVATE | MAP_FIXED };
	int r = f->ops->mmap(f, &m);
	if (r)
		return r;
	/* As any private mapping of a file that is open for reading. */
	int64_t a = mm_mmap(mm, addr, len, prot, MAP_PRIVATE | MAP_FIXED, m.mappable, m.off, true, true);
	if (m.mappable)
		m.mappable->ops->put(m.mappable);
	return a < 0 ? a : 0;
}

static int map_anon(struct mm *mm, uint64_t addr, uint64_t len, int prot)
{
	int64_t a = mm_mmap(mm, addr, len, prot, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, NULL, 0, true, true);
	return a < 0 ? a : 0;
}

struct extent { uint64_t lo, hi, align; };

static bool load_extent(const struct elf_image *img, struct extent *x)
{
	const Elf64_Phdr *ph = img->phdrs;
	bool any = false;
	x->align = GUEST_PAGE_SIZE;
	for (unsigned i = 0; i < img->phnum; i++) {
		if (ph[i].p_type != PT_LOAD)
			continue;
		if (ph[i].p_filesz > ph[i].p_memsz || ph[i].p_memsz > PL_TASK_SIZE || ph[i].p_vaddr > PL_TASK_SIZE - ph[i].p_memsz)
			return false;
		uint64_t lo = PAGE_DOWN(ph[i].p_vaddr), hi = PAGE_UP(ph[i].p_vaddr + ph[i].p_memsz);
		x->lo = any ? MIN(x->lo, lo) : lo;
		x->hi = any ? MAX(x->hi, hi) : hi;
		uint64_t al = ph[i].p_align;
		if (al > x->align && !(al & (al - 1)) && al <= (1UL << 30))
			x->align = al;
		any = true;
	}
	return any;
}

struct loaded { uint64_t bias, phdr, end_code, start_code, start_data, end_data, brk; };

static int map_segments(struct mm *mm, const struct elf_image *img, uint64_t bias, struct loaded *out)
{
	const Elf64_Phdr *ph = img->phdrs;
	*out = (struct loaded){ .bias = bias, .phdr = bias, .start_code = UINT64_MAX };
	for (unsigned i = 0; i < img->phnum; i++) {
		if (ph[i].p_type != PT_LOAD || !ph[i].p_memsz)
			continue;
		int prot = (ph[i].p_flags & PF_R ? PROT_READ : 0) | (ph[i].p_flags & PF_W ? PROT_WRITE : 0) |
			   (ph[i].p_flags & PF_X ? PROT_EXEC : 0);
		uint64_t va = ph[i].p_vaddr + bias, page = PAGE_DOWN(va), in_page = va - page;
		uint64_t file_end = va + ph[i].p_filesz, mem_end = va + ph[i].p_memsz, map_end = page;
		int r;
		if (va < PL_MIN_ADDR || mem_end > PL_TASK_SIZE)
			return -ENOMEM;
		if (ph[i].p_filesz) {
			if (ph[i].p_offset < in_page || ph[i].p_offset > INT64_MAX - ph[i].p_filesz ||
			    (ph[i].p_offset - in_page) % GUEST_PAGE_SIZE)
				return -EINVAL;
			map_end = PAGE_UP(file_end);
			r = map_file(mm, img->file, page, map_end - page, prot, ph[i].p_offset - in_page);
			if (r)
				return r;
			/* The rest of the last page is the program's bss, not the file's bytes. */
			if (mem_end > file_end && file_end < map_end && (prot & PROT_WRITE)) {
				if (PAGE_DOWN(ph[i].p_offset + ph[i].p_filesz) >= img->file->inode->size)
					return -EFAULT;
				r = mm_fill_new(file_end, NULL, map_end - file_end);
				if (r)
					return r;
			}
		}
		if (PAGE_UP(mem_end) > map_end) {
			r = map_anon(mm, map_end, PAGE_UP(mem_end) - map_end, PROT_READ | PROT_WRITE | (prot & PROT_EXEC));
			if (r)
				return r;
		}
		/* PT_PHDR is not asked, and the last one wins. */
		if (ph[i].p_offset <= img->phoff && img->phoff < ph[i].p_offset + ph[i].p_filesz)
			out->phdr = img->phoff - ph[i].p_offset + va;
		if (ph[i].p_flags & PF_X)
			out->start_code = MIN(out->start_code, va);
		out->start_data = MAX(out->start_data, va);
		if (ph[i].p_flags & PF_X)
			out->end_code = MAX(out->end_code, file_end);
		out->end_data = MAX(out->end_data, file_end);
		out->brk = MAX(out->brk, mem_end);
	}
	return 0;
}

/* ---- the first stack ---- */

struct auxv { uint64_t v[64]; unsigned n; };
static void aux(struct auxv *a, uint64_t id, uint64_t val)
{
	a->v[a->n++] = id;
	a->v[a->n++] = val;
}

static int make_stack(struct task *t, struct exec_state *e, const struct loaded *prog, uint64_t interp_base)
{
	struct mm_layout *l = mm_layout(t->mm);
	struct exec_args *as = &e->args;
	static const char platform[] = "x86_64";
	size_t fnlen = strlen(e->filename) + 1;
	uint64_t top = mm_random_stack_top(t->mm);
	uint64_t execfn = top - 8 - fnlen, strings = execfn - as->len;
	uint64_t p = (strings - random_below(t, 8192)) & ~15UL;
	uint64_t plat = p - sizeof(platform), rnd = plat - 16;

	struct auxv av = { .n = 0 };
	if (l->vdso)
		aux(&av, AT_SYSINFO_EHDR, l->vdso);
	aux(&av, AT_HWCAP, getauxval(AT_HWCAP));
	aux(&av, AT_PAGESZ, GUEST_PAGE_SIZE);
	aux(&av, AT_CLKTCK, 100);
	aux(&av, AT_PHDR, prog->phdr);
	aux(&av, AT_PHENT, sizeof(Elf64_Phdr));
	aux(&av, AT_PHNUM, e->elf.phnum);
	aux(&av, AT_BASE, interp_base);
	aux(&av, AT_FLAGS, 0);
	aux(&av, AT_ENTRY, e->elf.entry + prog->bias);
	aux(&av, AT_UID, from_kuid(t->cred->user_ns, t->cred->uid));
	aux(&av, AT_EUID, from_kuid(t->cred->user_ns, t->cred->euid));
	aux(&av, AT_GID, from_kgid(t->cred->user_ns, t->cred->gid));
	aux(&av, AT_EGID, from_kgid(t->cred->user_ns, t->cred->egid));
	aux(&av, AT_SECURE, e->secure);
	aux(&av, AT_RANDOM, rnd);
	aux(&av, AT_HWCAP2, getauxval(AT_HWCAP2) & ~(uint64_t)HWCAP2_FSGSBASE);
	aux(&av, AT_EXECFN, execfn);
	aux(&av, AT_PLATFORM, plat);
	aux(&av, AT_MINSIGSTKSZ, getauxval(AT_MINSIGSTKSZ) ? getauxval(AT_MINSIGSTKSZ) : 2048);
	if (getauxval(AT_RSEQ_FEATURE_SIZE_)) {
		aux(&av, AT_RSEQ_FEATURE_SIZE_, getauxval(AT_RSEQ_FEATURE_SIZE_));
		aux(&av, AT_RSEQ_ALIGN_, getauxval(AT_RSEQ_ALIGN_));
	}
	aux(&av, AT_NULL, 0);

	size_t words = 1 + as->argc + 1 + as->envc + 1 + av.n;
	uint64_t sp = (rnd - words * 8) & ~15UL;
	size_t low_len = p - sp;
	uint64_t vma_start = PAGE_DOWN(sp);
	uint64_t stack_limit = task_rlimit(t, RLIMIT_STACK);
	if (top - vma_start + STACK_EXPAND <= stack_limit || stack_limit == RLIM64_INFINITY)
		vma_start -= STACK_EXPAND;
	int prot = PROT_READ | PROT_WRITE | (e->exec_stack ? PROT_EXEC : 0);
	int64_t a = mm_mmap(t->mm, vma_start, PAGE_UP(top) - vma_start, prot,
			    MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_STACK, NULL, 0, true, true);
	if (a < 0)
		return a;

	char *low = xzalloc(low_len + 16);
	uint64_t *w = (uint64_t *)low, at = strings;
	const char *s = as->buf;
	*w++ = as->argc;
	for (unsigned i = 0; i < as->argc; i++) {
		*w++ = at;
		size_t n = strlen(s) + 1;
		s += n;
		at += n;
	}
	*w++ = 0;
	uint64_t env = at;
	for (unsigned i = 0; i < as->envc; i++) {
		*w++ = at;
		size_t n = strlen(s) + 1;
		s += n;
		at += n;
	}
	*w++ = 0;
	memcpy(w, av.v, av.n * 8);
	if (getrandom(low + (rnd - sp), 16, GRND_NONBLOCK) != 16)
		memset(low + (rnd - sp), 0x5a, 16);
	memcpy(low + (plat - sp), platform, sizeof(platform));
	int r = mm_fill_new(sp, low, low_len);
	free(low);
	if (r)
		return r;
	/* Strings, the file's name and eight zero bytes lie behind one another. */
	if (exec_args_reserve(as, fnlen + 8))
		return -ENOMEM;
	memcpy(as->buf + as->len, e->filename, fnlen);
	memset(as->buf + as->len + fnlen, 0, 8);
	r = mm_fill_new(strings, as->buf, as->len + fnlen + 8);
	if (r)
		return r;
	l->start_stack = sp;
	l->arg_start = strings;
	l->arg_end = l->env_start = env;
	l->env_end = execfn;
	l->auxc = MIN(av.n, ARRAY_SIZE(l->auxv));
	memcpy(l->auxv, av.v, l->auxc * 8);
	e->sp = sp;
	return 0;
}

int elf_load(struct task *t, struct exec_state *e)
{
	struct mm *mm = t->mm;
	struct mm_layout *l = mm_layout(mm);
	struct extent x;
	struct loaded prog, interp = { 0 };
	uint64_t bias = 0, entry;
	int r;

	if (!load_extent(&e->elf, &x))
		return -EINVAL;
	if (e->elf.pie) {
		uint64_t base = ELF_ET_DYN_BASE + (random_below(t, 1UL << ELF_RND_BITS) << 12);
		if (!e->have_interp) { /* a dynamic loader run by name, or static-pie: where mmap puts things */
			uint64_t gap = mm_find_gap(mm, x.hi - x.lo + x.align);
			if (gap)
				base = ALIGN_UP(gap, x.align);
		}
		bias = ALIGN_DOWN(base, x.align) - x.lo;
	}
	r = map_segments(mm, &e->elf, bias, &prog);
	if (r)
		return r;
	entry = e->elf.entry + bias;
	if (e->have_interp) {
		struct extent ix;
		if (!load_extent(&e->interp, &ix))
			return -EINVAL;
		uint64_t ibias = 0;
		if (e->interp.pie) {
			uint64_t gap = mm_find_gap(mm, ix.hi - ix.lo + ix.align - GUEST_PAGE_SIZE);
			if (!gap)
				return -ENOMEM;
			ibias = ALIGN_UP(gap, ix.align) - ix.lo;
		}
		r = map_segments(mm, &e->interp, ibias, &interp);
		if (r)
			return r;
		entry = e->interp.entry + ibias;
	}
	l->start_code = prog.start_code;
	l->end_code = prog.end_code;
	l->start_data = prog.start_data;
	l->end_data = prog.end_data;
	uint64_t brk = PAGE_UP(prog.brk);
	if (e->elf.pie && !e->have_interp)
		brk = ELF_ET_DYN_BASE; /* room to grow, which the mmap area has not */
	brk += PAGE_DOWN(random_below(t, BRK_RND_SIZE));
	l->start_brk = l->brk = brk;
	r = mm_map_vdso(mm);
	if (r)
		return r;
	time_ns_enter_children(t);
	time_ns_set_vdso(t);
	r = make_stack(t, e, &prog, interp.bias);
	if (r)
		return r;
	e->entry = entry;
	return 0;
}
