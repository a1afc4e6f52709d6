/* SPDX-License-Identifier: Apache-2.0 */
/* coredump.c: the core file of a process that a signal ends (core(5)): its name by kernel.core_pattern, registers of all threads, and the
 * memory that coredump_filter names.
 *
 * OVERVIEW: the thread that took the signal begins the group's exit and waits for its siblings, which come to task_core_join() on their way
 * out, leave their registers and wait there until the file is written. Siblings that were already past it have no registers in the file.
 * LOCKS: struct core_state and core_thread.done under the signal lock.
 */
#include "kernel/coredump.h"
#include "mm/uaccess.h"
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#define AT_FDCWD_K (-100)
#define CHUNK 65536UL
#define MAX_SEGMENTS 65000

enum { CORE_ANON_PRIVATE = 1, CORE_ANON_SHARED = 2, CORE_FILE_PRIVATE = 4, CORE_FILE_SHARED = 8, CORE_ELF_HEADERS = 16 };

struct core {
	struct task *t;
	struct file *f;
	uint64_t limit;
	unsigned n, room;
	Elf64_Phdr *ph;
};

static bool put(struct core *c, const void *p, size_t n, int64_t pos)
{
	struct iov_iter it;

	if ((uint64_t)pos + n > c->limit)
		return false;
	iov_iter_kernel(&it, (void *)p, n);
	return vfs_write(c->f, &it, &pos) == (ssize_t)n;
}

static bool add_segment(void *arg, const struct vma_info *v)
{
	struct core *c = arg;
	unsigned filter = c->t->tg->coredump_filter;
	bool anon = !v->ino, shared = v->flags & VMA_SHARED, vdso = !strcmp(v->name, "[vdso]");
	/* What a private file mapping shows is anonymous once it can have been written; a file in memory is a file. */
	unsigned kind = shared ? (anon ? CORE_ANON_SHARED : CORE_FILE_SHARED) : anon || (v->flags & VMA_WRITTEN) ? CORE_ANON_PRIVATE : CORE_FILE_PRIVATE;
	bool dump = !(v->flags & VMA_DONTDUMP) && (v->flags & VMA_READ) && (filter & kind);

	/* Of a mapped program its first page: the debugger finds the file by it (elf_heads()). */
	bool head = !dump && !vdso && (filter & CORE_ELF_HEADERS) && !anon && !v->off && (v->flags & VMA_READ) && !shared;
	uint64_t size = dump || vdso ? v->end - v->start : head ? GUEST_PAGE_SIZE : 0;

	if (c->n == MAX_SEGMENTS)
		return false;
	if (c->n == c->room) {
		c->room = c->room ? c->room * 2 : 64;
		c->ph = xrealloc(c->ph, c->room * sizeof(*c->ph));
	}
	c->ph[c->n++] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_vaddr = v->start, .p_memsz = v->end - v->start, .p_filesz = size, .p_paddr = head, .p_align = GUEST_PAGE_SIZE,
		.p_flags = (v->flags & VMA_READ ? PF_R : 0) | (v->flags & VMA_WRITE ? PF_W : 0) | (v->flags & VMA_EXEC ? PF_X : 0),
	};
	return true;
}

static bool memory(struct core *c, const Elf64_Phdr *p)
{
	__free(mem) void *mem = xzalloc(CHUNK);
	char *buf = mem;

	for (uint64_t done = 0; done < p->p_filesz; done += CHUNK) {
		size_t n = MIN(CHUNK, p->p_filesz - done), got = mm_read(c->t->mm, buf, p->p_vaddr + done, n);

		if (READ_ONCE(c->t->killed))
			return false;
		fiber_yield();
		if (got && !(buf[0] == 0 && !memcmp(buf, buf + 1, got - 1)) && !put(c, buf, got, (int64_t)(p->p_offset + done)))
			return false;
	}
	return true;
}

/* Only what is a program is known by its first page. */
static void elf_heads(struct core *c)
{
	for (unsigned i = 0; i < c->n; i++) {
		char magic[SELFMAG];

		if (c->ph[i].p_paddr && (mm_read(c->t->mm, magic, c->ph[i].p_vaddr, sizeof(magic)) != sizeof(magic) || memcmp(magic, ELFMAG, SELFMAG)))
			c->ph[i].p_filesz = 0;
		c->ph[i].p_paddr = 0;
	}
}

/* What does not fit into the limit or on the disk is missing: a core all the same. */
static void write_core(struct core *c, const struct core_thread *first, const struct core_state *s, const siginfo_k *info)
{
	struct strbuf b = { 0 };
	uint64_t at;
	bool ok;

	mm_for_each_vma(c->t->mm, add_segment, c);
	elf_heads(c);
	core_notes(c->t, first, s, info, &b);

	Elf64_Ehdr eh = {
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
		.e_type = ET_CORE, .e_machine = EM_X86_64, .e_version = EV_CURRENT, .e_phoff = sizeof(eh), .e_ehsize = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr), .e_phnum = (Elf64_Half)(c->n + 1),
	};
	Elf64_Phdr pn = { .p_type = PT_NOTE, .p_offset = sizeof(eh) + (c->n + 1) * sizeof(pn), .p_filesz = b.len };

	at = ALIGN_UP(pn.p_offset + b.len, (uint64_t)GUEST_PAGE_SIZE);
	for (unsigned i = 0; i < c->n; i++) {
		c->ph[i].p_offset = at;
		at += c->ph[i].p_filesz;
	}
	ok = put(c, &eh, sizeof(eh), 0) && put(c, &pn, sizeof(pn), sizeof(eh)) &&
	     (!c->n || put(c, c->ph, c->n * sizeof(pn), sizeof(eh) + sizeof(pn))) && put(c, b.s, b.len, (int64_t)pn.p_offset);
	strbuf_free(&b);
	for (unsigned i = 0; ok && i < c->n; i++)
		if (!memory(c, &c->ph[i]))
			break;
	if (ok && at <= c->limit)
		(void)vfs_truncate(&c->f->path, c->f, at);
}

/* ---- its name ---- */

/* A name that others chose becomes one component of a path. */
static void put_component(struct strbuf *b, const char *s)
{
	if (!strcmp(s, ".") || !strcmp(s, ".."))
		strbuf_printf(b, "!%s", s + 1);
	else
		for (; *s; s++)
			strbuf_write(b, *s == '/' ? "!" : s, 1);
}

static void put_exe(struct strbuf *b, struct task *t, bool whole)
{
	struct file *f = mm_layout(t->mm)->exe;
	__free(mem) void *mem = xzalloc(PATH_MAX);
	char *path = mem;

	if (!f || d_path(&f->path, NULL, path, PATH_MAX) < 0 || !path[0]) {
		put_component(b, t->comm);
		return;
	}
	if (whole)
		put_component(b, path);
	else
		put_component(b, strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
}

static void put_field(struct strbuf *b, char c, struct task *t, int sig, uint64_t limit, bool *pid_told)
{
	struct pid_namespace *ns = task_pid_ns(t), *root = t->kernel->tasks.root;
	char host[65];

	switch (c) {
	case 'p':
		*pid_told = true;
		strbuf_printf(b, "%d", task_tgid(t, ns));
		break;
	case 'P': strbuf_printf(b, "%d", task_tgid(t, root)); break;
	case 'i': strbuf_printf(b, "%d", task_tid(t, ns)); break;
	case 'I': strbuf_printf(b, "%d", task_tid(t, root)); break;
	case 'u': strbuf_printf(b, "%u", t->cred->uid); break;
	case 'g': strbuf_printf(b, "%u", t->cred->gid); break;
	case 'd': strbuf_printf(b, "%d", mm_layout(t->mm)->dumpable); break;
	case 's': strbuf_printf(b, "%d", sig); break;
	case 't': strbuf_printf(b, "%lld", (long long)(ktime_real() / NSEC_PER_SEC)); break;
	case 'c': strbuf_printf(b, "%llu", (unsigned long long)limit); break;
	case 'C': strbuf_printf(b, "0"); break;
	case 'e': put_component(b, t->comm); break;
	case 'f': put_exe(b, t, false); break;
	case 'E': put_exe(b, t, true); break;
	case 'h':
		mutex_lock(&t->uts->lock);
		memcpy(host, t->uts->nodename, sizeof(host));
		mutex_unlock(&t->uts->lock);
		put_component(b, host);
		break;
	case '%': strbuf_write(b, "%", 1); break;
	}
}

static void core_name(struct strbuf *b, struct task *t, int sig, uint64_t limit)
{
	struct kernel *k = t->kernel;
	char pattern[sizeof(k->core_pattern)];
	bool pid_told = false;

	mutex_lock(&k->tasks.lock);
	memcpy(pattern, k->core_pattern, sizeof(pattern));
	mutex_unlock(&k->tasks.lock);
	for (const char *p = pattern; *p; p++) {
		if (*p != '%')
			strbuf_write(b, p, 1);
		else if (!*++p)
			break;
		else
			put_field(b, *p, t, sig, limit, &pid_told);
	}
	if (!pid_told && atomic_load(&k->core_uses_pid) && pattern[0] != '|')
		strbuf_printf(b, ".%d", task_tgid(t, task_pid_ns(t)));
}

/* ---- the threads ---- */

void task_core_join(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct core_thread c = { .fiber = t->fiber };

	if (likely(!READ_ONCE(tg->core))) {
		signal_lock(t);
		if (!tg->core)
			t->past_core = true;
		signal_unlock(t);
		if (t->past_core)
			return;
	}
	/* No dump begins or ends before this one has arrived. */
	if (t->thread)
		core_thread_fill(&c, t, tg->exit_status & 0x7f);
	signal_lock(t);
	t->past_core = true;
	TAILQ_INSERT_TAIL(&tg->core->threads, &c, link);
	if (++tg->core->arrived == tg->core->expected)
		fiber_wake(tg->core->dumper->fiber);
	while (!c.done) {
		signal_unlock(t);
		fiber_park(PARK_UNINTERRUPTIBLE, KTIME_MAX);
		signal_lock(t);
	}
	signal_unlock(t);
	core_thread_free(&c);
}

/* Begin the group's exit and collect its threads. False: it ends already, or a thread of it is in an exec. */
static bool gather(struct task *t, int sig, struct core_state *s)
{
	struct thread_group *tg = t->tg;
	struct task *o;
	bool there;

	signal_lock(t);
	if (tg->exiting || tg->exec_task) {
		signal_unlock(t);
		return false;
	}
	TAILQ_FOREACH(o, &tg->tasks, tg_link)
		s->expected += o != t && o->exit_state == TASK_EXIT_NONE && !o->past_core;
	tg->core = s;
	tg_start_exit_locked(tg, sig, t);
	do {
		there = s->arrived == s->expected;
		signal_unlock(t);
		if (!there)
			fiber_park(PARK_UNINTERRUPTIBLE, KTIME_MAX);
		signal_lock(t);
	} while (!there);
	signal_unlock(t);
	return true;
}

static void let_go(struct task *t, struct core_state *s, bool dumped)
{
	struct core_thread *c, *next;

	signal_lock(t);
	t->tg->core = NULL;
	if (dumped)
		t->tg->exit_status |= 0x80; /* nobody has seen it yet: all who could tell are here */
	TAILQ_FOREACH_SAFE(c, &s->threads, link, next) {
		struct fiber *f = c->fiber;

		c->done = true;
		fiber_wake(f);
	}
	signal_unlock(t);
}

static bool dump_to_file(struct task *t, struct core *c, const char *name, const struct core_state *s, int sig, const siginfo_k *info)
{
	struct open_how_k how = { .flags = O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_NONBLOCK, .mode = 0600 };
	struct core_thread first = { 0 };
	bool ok = false;

	/* Never into what is there: it may be somebody else's too. */
	(void)vfs_unlink(AT_FDCWD_K, name);
	if (vfs_open(AT_FDCWD_K, name, &how, &c->f))
		return false;
	if (S_ISREG(c->f->inode->mode) && c->f->inode->nlink == 1 && c->f->inode->uid == t->cred->fsuid && (c->f->inode->mode & 0677) == 0600) {
		core_thread_fill(&first, t, sig);
		write_core(c, &first, s, info);
		ok = true;
		core_thread_free(&first);
	}
	file_put(c->f);
	free(c->ph);
	return ok;
}

void task_die(struct task *t, int sig, const siginfo_k *info)
{
	if (task_core_dump(t, sig, info))
		sig |= 0x80;
	task_group_exit(t, sig);
}

bool task_core_dump(struct task *t, int sig, const siginfo_k *info)
{
	struct core c = { .t = t, .limit = task_rlimit(t, RLIMIT_CORE) };
	struct core_state s = { .dumper = t };
	struct strbuf name = { 0 };
	bool ok = false;

	/* (A program as the reader of cores, "|...", is not there: no core.) */
	if (c.limit < GUEST_PAGE_SIZE || !mm_layout(t->mm)->dumpable)
		return false;
	TAILQ_INIT(&s.threads);
	if (!gather(t, sig, &s))
		return false;
	core_name(&name, t, sig, c.limit);
	c.limit = MIN(c.limit, (uint64_t)INT64_MAX);
	if (name.s && name.s[0] != '|' && name.s[0] != '@')
		ok = dump_to_file(t, &c, name.s, &s, sig, info);
	strbuf_free(&name);
	let_go(t, &s, ok);
	return ok;
}
