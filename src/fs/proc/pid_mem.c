/* SPDX-License-Identifier: Apache-2.0 */
/* pid_mem.c: /proc/PID/{maps,smaps,smaps_rollup,cmdline,environ,auxv,mem,pagemap}. */
#include "kernel/ptrace.h"
#include "fs/proc/proc_internal.h"
#include <stdio.h>

static unsigned dev_major(uint64_t d) { return ((d >> 8) & 0xfff) | ((d >> 32) & ~0xfffu); }
static unsigned dev_minor(uint64_t d) { return (d & 0xff) | ((d >> 12) & ~0xffu); }

static void map_line(struct strbuf *b, const struct vma_info *v)
{
	size_t start = b->len;

	strbuf_printf(b, "%08llx-%08llx %c%c%c%c %08llx %02x:%02x %llu ", (unsigned long long)v->start, (unsigned long long)v->end,
		      v->flags & VMA_READ ? 'r' : '-', v->flags & VMA_WRITE ? 'w' : '-', v->flags & VMA_EXEC ? 'x' : '-',
		      v->flags & VMA_SHARED ? 's' : 'p', (unsigned long long)v->off, dev_major(v->dev), dev_minor(v->dev),
		      (unsigned long long)v->ino);
	if (v->name && v->name[0]) {
		while (b->len - start < 73)
			strbuf_write(b, " ", 1);
		for (const char *s = v->name; *s; s++) {
			if (*s == '\n')
				strbuf_write(b, "\\012", 4);
			else
				strbuf_write(b, s, 1);
		}
	}
	strbuf_write(b, "\n", 1);
}

struct maps_arg { struct strbuf *b; struct mm *mm; uint64_t first, last; struct mm_resident sum; uint64_t locked; };

static bool maps_vma(void *arg, const struct vma_info *v)
{
	map_line(((struct maps_arg *)arg)->b, v);
	return true;
}

/* How many share a page the host does not tell: one that is shared counts half. */
static void smap_body(struct strbuf *b, uint64_t size, const struct mm_resident *r, uint64_t locked)
{
	uint64_t pss = r->private_clean + r->private_dirty + r->shared / 2;
	uint64_t shared_anon = r->anon > r->private_dirty ? r->anon - r->private_dirty : 0;
	const struct { const char *name; uint64_t v; } f[] = {
		{ "Rss:", r->rss }, { "Pss:", pss }, { "Pss_Dirty:", r->private_dirty }, { "Shared_Clean:", r->shared - MIN(r->shared, shared_anon) },
		{ "Shared_Dirty:", shared_anon }, { "Private_Clean:", r->private_clean }, { "Private_Dirty:", r->private_dirty },
		{ "Referenced:", r->rss }, { "Anonymous:", r->anon }, { "KSM:", 0 }, { "LazyFree:", 0 }, { "AnonHugePages:", 0 },
		{ "ShmemPmdMapped:", 0 }, { "FilePmdMapped:", 0 }, { "Shared_Hugetlb:", 0 }, { "Private_Hugetlb:", 0 }, { "Swap:", r->swap },
		{ "SwapPss:", r->swap }, { "Locked:", locked },
	};

	if (size)
		strbuf_printf(b, "Size:           %8llu kB\nKernelPageSize: %8d kB\nMMUPageSize:    %8d kB\n", (unsigned long long)size >> 10, 4, 4);
	for (unsigned i = 0; i < ARRAY_SIZE(f); i++)
		strbuf_printf(b, "%-15s %8llu kB\n", f[i].name, (unsigned long long)f[i].v >> 10);
}

static void resident(struct maps_arg *a, const struct vma_info *v, struct mm_resident *r)
{
	*r = (struct mm_resident){ 0 };
	if (v->flags & (VMA_READ | VMA_WRITE | VMA_EXEC)) /* what is only reserved may be very large */
		mm_range_resident(a->mm, v->start, v->end, r);
}

static bool smaps_vma(void *arg, const struct vma_info *v)
{
	static const struct { unsigned flag; char s[3]; } names[] = {
		{ VMA_READ, "rd" }, { VMA_WRITE, "wr" }, { VMA_EXEC, "ex" }, { VMA_SHARED, "sh" }, { VMA_MAYREAD, "mr" }, { VMA_MAYWRITE, "mw" },
		{ VMA_MAYEXEC, "me" }, { VMA_GROWSDOWN, "gd" }, { VMA_LOCKED, "lo" }, { VMA_DONTFORK, "dc" }, { VMA_NORESERVE, "nr" },
		{ VMA_DONTDUMP, "dd" }, { VMA_WIPEONFORK, "wf" },
	};
	struct maps_arg *a = arg;
	struct strbuf *b = a->b;
	struct mm_resident r;

	resident(a, v, &r);
	map_line(b, v);
	smap_body(b, v->end - v->start, &r, v->flags & VMA_LOCKED ? r.rss : 0);
	strbuf_printf(b, "THPeligible:           0\nVmFlags: ");
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
		if (v->flags & names[i].flag)
			strbuf_printf(b, "%s ", names[i].s);
	strbuf_printf(b, "\n");
	return true;
}

static bool range_vma(void *arg, const struct vma_info *v)
{
	struct maps_arg *a = arg;

	if (!a->first)
		a->first = v->start;
	a->last = v->end;
	struct mm_resident r;
	resident(a, v, &r);
	a->sum.rss += r.rss;
	a->sum.anon += r.anon;
	a->sum.shared += r.shared;
	a->sum.private_clean += r.private_clean;
	a->sum.private_dirty += r.private_dirty;
	a->sum.swap += r.swap;
	if (v->flags & VMA_LOCKED)
		a->locked += r.rss;
	return true;
}

/* Permission was checked at open by the entry's `may`; exec of a privileged program since then is checked again. */
static int node_mm(struct pnode *n, struct mm **mm)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	if (proc_may_access(t))
		return -EACCES;
	*mm = task_mm_get(t);
	return 0;
}

int proc_show_maps(struct pnode *n, struct strbuf *b)
{
	struct mm *mm __free(mm) = NULL;
	struct maps_arg a = { .b = b };
	int r = node_mm(n, &mm);

	if (!r && mm)
		mm_for_each_vma(mm, maps_vma, &a);
	return r;
}

int proc_show_smaps(struct pnode *n, struct strbuf *b)
{
	struct mm *mm __free(mm) = NULL;
	struct maps_arg a = { .b = b };
	int r = node_mm(n, &mm);

	a.mm = mm;
	if (!r && mm)
		mm_for_each_vma(mm, smaps_vma, &a);
	return r;
}

int proc_mm_hold(struct pnode *n, void **state)
{
	struct task *t __free(task) = pnode_task(n);

	*state = t ? task_mm_get(t) : NULL;
	return *state ? 0 : -ESRCH;
}

void proc_mm_drop(void *state) { mm_put(state); }

int proc_show_smaps_rollup(struct pnode *n, void *mm, struct strbuf *b)
{
	struct maps_arg a = { .b = b, .mm = mm };
	struct vma_info v = { .name = "[rollup]" };

	if (!mm_alive(mm))
		return -ESRCH;
	mm_for_each_vma(mm, range_vma, &a);
	v.start = a.first;
	v.end = a.last;
	map_line(b, &v);
	smap_body(b, 0, &a.sum, a.locked);
	return 0;
}

/* ---- argument and environment strings: the process's memory as it is now ---- */

static int copy_range(struct mm *mm, struct strbuf *b, uaddr_t start, uaddr_t end, size_t max)
{
	char *page;

	if (end <= start)
		return 0;
	if (end - start > max)
		end = start + max;
	page = xzalloc(4096);
	while (start < end) {
		size_t n = MIN(4096 - start % 4096, end - start), got = mm_read(mm, page, start, n);

		strbuf_write(b, page, got);
		if (got < n)
			break;
		start += n;
	}
	free(page);
	return 0;
}

int proc_show_cmdline(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	struct mm *mm __free(mm) = NULL;
	struct mm_layout *l;

	if (!t)
		return -ESRCH;
	mm = task_mm_get(t);
	if (!mm)
		return 0;
	l = mm_layout(mm);
	copy_range(mm, b, l->arg_start, l->arg_end, 4u << 20);
	/* A program that overwrote the end of its arguments (setproctitle) goes on in the environment, up to a NUL. */
	if (b->len && b->s[b->len - 1] && l->env_end > l->arg_end) {
		size_t i;

		copy_range(mm, b, l->arg_end, l->env_end, 4096);
		for (i = strnlen(b->s, b->len); i < b->len && b->s[i]; i++)
			;
		b->len = MIN(i + 1, b->len);
	}
	return 0;
}

int proc_show_environ(struct pnode *n, void *mm, struct strbuf *b)
{
	return mm_alive(mm) ? copy_range(mm, b, mm_layout(mm)->env_start, mm_layout(mm)->env_end, 4u << 20) : 0;
}

int proc_show_auxv(struct pnode *n, void *mm, struct strbuf *b)
{
	struct mm_layout *l = mm_layout(mm);

	for (unsigned i = 0; i + 1 < ARRAY_SIZE(l->auxv); i += 2) {
		strbuf_write(b, &l->auxv[i], 16);
		if (!l->auxv[i])
			break;
	}
	return 0;
}

/* ---- mem: the address space that the process had at open ---- */

#define MEM_CHUNK (64u << 10)

static ssize_t mem_rw(struct file *f, struct iov_iter *it, int64_t *pos, bool write)
{
	struct mm *mm = f->private;
	ssize_t done = 0;
	char *buf;

	if (!mm || !it->count || !mm_alive(mm))
		return 0;
	buf = malloc(MEM_CHUNK);
	if (!buf)
		return -ENOMEM;
	while (it->count) {
		size_t n = MIN(it->count, MEM_CHUNK), got;

		if (write) {
			n = copy_from_iter(buf, n, it);
			if (!n) {
				done = done ? done : -EFAULT;
				break;
			}
			got = mm_write(mm, *pos, buf, n);
			if (got < n)
				got += ptrace_mm_access(mm, *pos + got, buf + got, n - got, true);
		} else {
			got = mm_read(mm, buf, *pos, n);
			if (got < n)
				got += ptrace_mm_access(mm, *pos + got, buf + got, n - got, false);
			if (got) {
				size_t c = copy_to_iter(buf, got, it);

				if (!c) {
					done = done ? done : -EFAULT;
					break;
				}
				got = c;
			}
		}
		*pos += got;
		done += got;
		if (got < n) {
			if (!done)
				done = -EIO;
			break;
		}
	}
	free(buf);
	return done;
}

static ssize_t mem_read(struct file *f, struct iov_iter *to, int64_t *pos) { return mem_rw(f, to, pos, false); }
static ssize_t mem_write(struct file *f, struct iov_iter *from, int64_t *pos) { return mem_rw(f, from, pos, true); }

static int64_t mem_llseek(struct file *f, int64_t off, int whence)
{
	if (whence == SEEK_CUR)
		off += f->pos;
	else if (whence != SEEK_SET)
		return -EINVAL;
	return f->pos = off; /* an address: the sign says nothing */
}

static void mem_release(struct file *f)
{
	if (f->private)
		mm_put(f->private);
}

static const struct file_ops mem_ops = { .read = mem_read, .write = mem_write, .llseek = mem_llseek, .release = mem_release };

int proc_open_mem(struct pnode *n, struct file *f)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	if (proc_may_access(t) || !ptrace_yama_allows(current, t))
		return -EACCES;
	f->private = task_mm_get(t);
	if (!f->private)
		return -ESRCH;
	f->ops = &mem_ops;
	return 0;
}

/* ---- pagemap: a word a page (proc_pid_pagemap(5)), without frame numbers ---- */

#define PAGEMAP_CHUNK 512

static ssize_t pagemap_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct mm *mm = f->private;
	ssize_t done = 0;

	if (!mm_alive(mm))
		return 0;
	if (*pos % 8 || to->count % 8)
		return -EINVAL;
	uint64_t pages = mm ? PL_TASK_SIZE / GUEST_PAGE_SIZE : 0;
	uint64_t *w = malloc(PAGEMAP_CHUNK * sizeof(*w));
	if (!w)
		return -ENOMEM;
	while (to->count && (uint64_t)*pos / 8 < pages) {
		size_t n = MIN(MIN(to->count / 8, (uint64_t)PAGEMAP_CHUNK), pages - (uint64_t)*pos / 8);
		mm_pagemap(mm, (uint64_t)*pos / 8 * GUEST_PAGE_SIZE, n, w);
		size_t c = copy_to_iter(w, n * 8, to);
		*pos += c;
		done += c;
		if (c < n * 8) {
			done = done ? done : -EFAULT;
			break;
		}
	}
	free(w);
	return done;
}

static const struct file_ops pagemap_ops = { .read = pagemap_read, .llseek = mem_llseek, .release = mem_release };

int proc_open_pagemap(struct pnode *n, struct file *f)
{
	int r = proc_open_mem(n, f);

	if (!r)
		f->ops = &pagemap_ops;
	return r;
}
