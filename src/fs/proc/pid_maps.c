/* SPDX-License-Identifier: Apache-2.0 */
/* pid_maps.c: /proc/PID/{map_files,numa_maps,clear_refs,ksm_*}. */
#include "fs/proc/proc_internal.h"
#include <dirent.h>
#include <linux/capability.h>
#include <stdio.h>

/* ---- map_files: a link a mapped file ---- */

struct find { uint64_t start, end; unsigned flags; char *name; /* 4096 bytes, or NULL */ bool found; };

/* Memory without a name in the file system has no link. */
static bool is_file(const struct vma_info *v) { return v->name && (v->name[0] == '/' || !strncmp(v->name, "anon_inode:", 11)); }

static bool find_vma(void *arg, const struct vma_info *v)
{
	struct find *f = arg;

	if (v->start != f->start)
		return v->start < f->start;
	if (v->end == f->end && is_file(v)) {
		f->found = true;
		f->flags = v->flags;
		if (f->name)
			snprintf(f->name, 4096, "%s", v->name);
	}
	return false;
}

static bool parse_range(const char *s, struct find *f)
{
	char *end, again[40];

	f->start = strtoull(s, &end, 16);
	if (*end != '-')
		return false;
	f->end = strtoull(end + 1, &end, 16);
	snprintf(again, sizeof(again), "%llx-%llx", (unsigned long long)f->start, (unsigned long long)f->end);
	return !*end && !strcmp(again, s); /* just this spelling */
}

/* n->n is where the mapping begins; where it ends now is looked for again. */
static bool first_at(void *arg, const struct vma_info *v)
{
	struct find *f = arg;

	if (v->start == f->start) {
		f->end = v->end;
		return find_vma(arg, v);
	}
	return v->start < f->start;
}

static int find_link(struct pnode *n, char *name)
{
	struct task *t __free(task) = pnode_task(n);
	struct mm *mm __free(mm) = t ? task_mm_get(t) : NULL;
	struct find f = { .start = n->n, .name = name };

	if (!t)
		return -ENOENT;
	if (proc_may_access(t))
		return -EACCES;
	if (mm)
		mm_for_each_vma(mm, first_at, &f);
	return f.found ? 0 : -ENOENT;
}

static ssize_t map_readlink(struct pnode *n, char *buf, size_t size)
{
	__free(mem) void *mem = xzalloc(4096);
	char *name = mem;
	int r = find_link(n, name);

	if (r)
		return r;
	size = MIN(size, strlen(name));
	memcpy(buf, name, size);
	return (ssize_t)size;
}

/* By its name as of now. */
static int map_link(struct pnode *n, struct path *out)
{
	__free(mem) void *mem = xzalloc(4096);
	int r;

	if (!cred_has_cap(current->cred, CAP_SYS_ADMIN) && !cred_has_cap(current->cred, 40 /* CAP_CHECKPOINT_RESTORE */))
		return -EPERM;
	r = find_link(n, mem);
	return r ? r : path_lookup(AT_FDCWD_, mem, 0, out);
}

static const struct pentry map_entry = { .name = "", .mode = S_IFLNK | 0500, .readlink = map_readlink, .get_link = map_link };

int proc_map_files_lookup(struct pnode *dir, const char *name, struct inode **out)
{
	struct task *t __free(task) = pnode_task(dir);
	struct mm *mm __free(mm) = t ? task_mm_get(t) : NULL;
	struct find f = { 0 };

	if (!t || !mm || !parse_range(name, &f))
		return -ENOENT;
	if (proc_may_access(t))
		return -EACCES;
	mm_for_each_vma(mm, find_vma, &f);
	if (!f.found)
		return -ENOENT;
	*out = pseudo_inode(dir->inode->sb, dir, &map_entry, name, dir->pid, f.start);
	(*out)->mode = S_IFLNK | (f.flags & VMA_READ ? 0400 : 0) | (f.flags & VMA_WRITE ? 0200 : 0);
	(*out)->size = 64;
	(*out)->uid = dir->inode->uid;
	(*out)->gid = dir->inode->gid;
	return 0;
}

struct list { struct strbuf b; };

static bool list_vma(void *arg, const struct vma_info *v)
{
	uint64_t range[2] = { v->start, v->end };

	if (is_file(v))
		strbuf_write(&((struct list *)arg)->b, range, sizeof(range));
	return true;
}

int proc_map_files_iterate(struct pnode *dir, struct dir_context *c)
{
	struct task *t __free(task) = pnode_task(dir);
	struct mm *mm __free(mm) = t ? task_mm_get(t) : NULL;
	struct list l = { 0 };
	char name[40];

	if (!t)
		return -ENOENT;
	if (mm)
		mm_for_each_vma(mm, list_vma, &l); /* emit() may touch the guest's memory: not under the mm's lock */
	for (size_t i = 0; i * 16 < l.b.len; i++) {
		const uint64_t *range = (const uint64_t *)l.b.s + 2 * i;
		int64_t pos = PSEUDO_DYN + (int64_t)(range[0] >> 12) + 1;
		if (pos <= c->pos)
			continue;
		int n = snprintf(name, sizeof(name), "%llx-%llx", (unsigned long long)range[0], (unsigned long long)range[1]);
		if (!c->emit(c, name, n, range[0] >> 12, DT_LNK, pos))
			break;
		c->pos = pos;
	}
	strbuf_free(&l.b);
	return 0;
}

/* ---- numa_maps: there is one node ---- */

struct numa { struct strbuf *b; struct mm *mm; };

static bool numa_vma(void *arg, const struct vma_info *v)
{
	struct numa *a = arg;
	struct mm_resident r = { 0 };

	if (v->flags & (VMA_READ | VMA_WRITE | VMA_EXEC))
		mm_range_resident(a->mm, v->start, v->end, &r);
	strbuf_printf(a->b, "%08llx default", (unsigned long long)v->start);
	if (is_file(v)) {
		strbuf_puts(a->b, " file=");
		for (const char *s = v->name; *s; s++)
			strbuf_printf(a->b, strchr("\n\t= \\", *s) ? "\\%03o" : "%c", *s);
	} else if (!strcmp(v->name, "[heap]")) {
		strbuf_puts(a->b, " heap");
	} else if (!strcmp(v->name, "[stack]")) {
		strbuf_puts(a->b, " stack");
	}
	if (r.rss) {
		uint64_t anon = r.anon / 4096, all = r.rss / 4096;
		if (anon)
			strbuf_printf(a->b, " anon=%llu dirty=%llu", (unsigned long long)anon, (unsigned long long)anon);
		if (all != anon)
			strbuf_printf(a->b, " mapped=%llu", (unsigned long long)all);
		strbuf_printf(a->b, " active=0 N0=%llu kernelpagesize_kB=4", (unsigned long long)all);
	}
	strbuf_puts(a->b, "\n");
	return true;
}

int proc_show_numa_maps(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	struct mm *mm __free(mm) = t ? task_mm_get(t) : NULL;
	struct numa a = { b, mm };

	if (!t)
		return -ESRCH;
	if (proc_may_access(t))
		return -EACCES;
	if (mm)
		mm_for_each_vma(mm, numa_vma, &a);
	return 0;
}

/* ---- clear_refs ---- */

ssize_t proc_write_clear_refs(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	struct mm *mm __free(mm) = NULL;
	char *end;
	long v = strtol(s, &end, 10);

	while (*end == ' ' || *end == '\n')
		end++;
	if (end == s || *end || v < 1 || v > 5)
		return -EINVAL;
	if (!t)
		return -ESRCH;
	mm = task_mm_get(t);
	/* Which pages were touched is not kept here: all that are there count as touched. */
	if (mm && v == 5)
		mm_reset_peak_rss(mm);
	return (ssize_t)len;
}

/* ---- ksm: nothing is merged ---- */

int proc_show_ksm(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	struct mm *mm __free(mm) = t ? task_mm_get(t) : NULL;

	if (!t)
		return -ESRCH;
	if (!mm)
		return 0;
	strbuf_puts(b, n->e->arg ? "ksm_rmap_items 0\nksm_zero_pages 0\nksm_merging_pages 0\nksm_process_profit 0\nksm_merge_any: no\nksm_mergeable: no\n" : "0\n");
	return 0;
}
