/* SPDX-License-Identifier: Apache-2.0 */
/* coredump.c: the core file of a process that a signal ends (core(5)): "core" in its working directory, registers of the thread that
 * took the signal, and what coredump_filter names. */
#include "kernel/internal.h"
#include "mm/uaccess.h"
#include <elf.h>
#include <fcntl.h>
#include <sys/procfs.h>

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
	bool anon = !v->ino, shared = v->flags & VMA_SHARED;
	/* What a private file mapping shows is anonymous once it can have been written; a file in memory is a file. */
	unsigned kind = shared ? (anon ? CORE_ANON_SHARED : CORE_FILE_SHARED) : anon || (v->flags & VMA_WRITE) ? CORE_ANON_PRIVATE : CORE_FILE_PRIVATE;
	bool dump = !(v->flags & VMA_DONTDUMP) && (v->flags & VMA_READ) && (filter & kind);

	/* Of a mapped file its first page: the debugger finds the program by it. */
	uint64_t size = dump ? v->end - v->start : (filter & CORE_ELF_HEADERS) && !anon && !v->off && (v->flags & VMA_READ) && !shared ? GUEST_PAGE_SIZE : 0;

	if (c->n == MAX_SEGMENTS)
		return false;
	if (c->n == c->room) {
		c->room = c->room ? c->room * 2 : 64;
		c->ph = xrealloc(c->ph, c->room * sizeof(*c->ph));
	}
	c->ph[c->n++] = (Elf64_Phdr){
		.p_type = PT_LOAD, .p_vaddr = v->start, .p_memsz = v->end - v->start, .p_filesz = size, .p_align = GUEST_PAGE_SIZE,
		.p_flags = (v->flags & VMA_READ ? PF_R : 0) | (v->flags & VMA_WRITE ? PF_W : 0) | (v->flags & VMA_EXEC ? PF_X : 0),
	};
	return true;
}

static void note(struct strbuf *b, unsigned type, const void *p, size_t n)
{
	Elf64_Nhdr h = { .n_namesz = 5, .n_descsz = (Elf64_Word)n, .n_type = type };
	static const char pad[8];

	strbuf_write(b, (const char *)&h, sizeof(h));
	strbuf_write(b, "CORE\0\0\0", 8);
	strbuf_write(b, p, n);
	strbuf_write(b, pad, ALIGN_UP(n, 4) - n);
}

static void notes(struct task *t, int sig, const siginfo_k *info, struct strbuf *b)
{
	struct elf_prstatus ps = { 0 };
	struct elf_prpsinfo pi = { 0 };
	struct pid_namespace *ns = task_pid_ns(t);
	struct pl_regs r;
	size_t fp_size = pl_xsave_size(t->kernel->platform) + 64;
	__free(mem) void *fp = xzalloc(fp_size);

	_Static_assert(sizeof(r) == sizeof(ps.pr_reg), "user_regs_struct");
	pl_get_regs(t->thread, &r);
	ps.pr_info.si_signo = sig;
	ps.pr_info.si_code = info->si_code;
	ps.pr_info.si_errno = info->si_errno;
	ps.pr_cursig = (short)sig;
	ps.pr_sighold = t->blocked;
	ps.pr_pid = pi.pr_pid = task_tid(t, ns);
	ps.pr_ppid = pi.pr_ppid = task_ppid(t, ns);
	memcpy(&ps.pr_reg, &r, sizeof(r));
	pi.pr_sname = 'R';
	pi.pr_uid = t->cred->uid;
	pi.pr_gid = t->cred->gid;
	memcpy(pi.pr_fname, t->comm, sizeof(pi.pr_fname));
	memcpy(pi.pr_psargs, t->comm, sizeof(t->comm));
	ps.pr_fpvalid = pl_get_xsave(t->thread, fp, fp_size) > 0;
	note(b, NT_PRSTATUS, &ps, sizeof(ps));
	note(b, NT_PRPSINFO, &pi, sizeof(pi));
	note(b, NT_SIGINFO, info, sizeof(*info));
	note(b, NT_AUXV, mm_layout(t->mm)->auxv, sizeof(mm_layout(t->mm)->auxv));
	if (ps.pr_fpvalid)
		note(b, NT_FPREGSET, fp, 512);
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

static bool write_core(struct core *c, int sig, const siginfo_k *info)
{
	struct strbuf b = { 0 };
	uint64_t at;
	bool ok;

	mm_for_each_vma(c->t->mm, add_segment, c);
	notes(c->t, sig, info, &b);

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
			break; /* cut short by the limit or a full disk: as Linux, a core all the same */
	if (ok && at <= c->limit)
		(void)vfs_truncate(&c->f->path, c->f, at);
	return ok;
}

bool task_core_dump(struct task *t, int sig, const siginfo_k *info)
{
	struct core c = { .t = t, .limit = task_rlimit(t, RLIMIT_CORE) };
	struct open_how_k how = { .flags = O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK, .mode = 0600 };
	bool ok = false;

	if (c.limit < GUEST_PAGE_SIZE || !mm_layout(t->mm)->dumpable || READ_ONCE(t->tg->exiting))
		return false;
	c.limit = MIN(c.limit, (uint64_t)INT64_MAX);
	if (vfs_open(AT_FDCWD_K, "core", &how, &c.f))
		return false;
	/* Not into a link, a device or somebody else's file. */
	if (S_ISREG(c.f->inode->mode) && c.f->inode->nlink == 1 && c.f->inode->uid == t->cred->fsuid && !vfs_truncate(&c.f->path, c.f, 0))
		ok = write_core(&c, sig, info);
	file_put(c.f);
	free(c.ph);
	return ok;
}
