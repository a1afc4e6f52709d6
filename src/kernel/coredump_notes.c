/* SPDX-License-Identifier: Apache-2.0 */
/* coredump_notes.c: the notes of a core file: registers of all threads, the process, the signal, the auxiliary vector, mapped files. */
#include "kernel/coredump.h"
#include "kernel/ptrace.h"
#include "mm/uaccess.h"

static void note(struct strbuf *b, const char *name, unsigned type, const void *p, size_t n)
{
	Elf64_Nhdr h = { .n_namesz = (Elf64_Word)strlen(name) + 1, .n_descsz = (Elf64_Word)n, .n_type = type };
	static const char pad[8];

	strbuf_write(b, (const char *)&h, sizeof(h));
	strbuf_write(b, name, h.n_namesz);
	strbuf_write(b, pad, ALIGN_UP((size_t)h.n_namesz, 4) - h.n_namesz);
	strbuf_write(b, p, n);
	strbuf_write(b, pad, ALIGN_UP(n, 4) - n);
}

static struct timeval tv_of(ktime_t t) { return (struct timeval){ .tv_sec = t / NSEC_PER_SEC, .tv_usec = t % NSEC_PER_SEC / 1000 }; }

static void set_ids(struct task *t, int *ppid, int *pgrp, int *sid)
{
	struct pid_namespace *ns = task_pid_ns(t);

	*ppid = task_ppid(t, ns);
	*pgrp = (int)task_getpgid(t, 0, false);
	*sid = (int)task_getpgid(t, 0, true);
}

void core_thread_fill(struct core_thread *c, struct task *t, int sig)
{
	struct task_usage u;
	struct pl_regs r;

	_Static_assert(sizeof(r) == sizeof(c->ps.pr_reg), "user_regs_struct");
	pl_get_regs(t->thread, &r);
	memcpy(&c->ps.pr_reg, &r, sizeof(r));
	c->ps.pr_info.si_signo = c->ps.pr_cursig = (short)sig;
	c->ps.pr_sigpend = t->pending.set;
	c->ps.pr_sighold = t->blocked;
	c->ps.pr_pid = task_tid(t, task_pid_ns(t));
	set_ids(t, &c->ps.pr_ppid, &c->ps.pr_pgrp, &c->ps.pr_sid);
	if (t == t->tg->leader)
		group_usage(t->tg, &u);
	else
		task_usage(t, &u);
	c->ps.pr_utime = tv_of(u.utime);
	c->ps.pr_stime = tv_of(u.stime);
	c->ps.pr_cutime = tv_of(t->tg->children.utime);
	c->ps.pr_cstime = tv_of(t->tg->children.stime);
	c->xstate_size = MAX(pl_xsave_size(t->kernel->platform) - 4, 512UL);
	c->fp = xzalloc(512);
	c->xstate = xzalloc(c->xstate_size);
	c->have_fp = !ptrace_get_fp(t, c->fp, false) && !ptrace_get_fp(t, c->xstate, true);
	c->ps.pr_fpvalid = c->have_fp;
}

void core_thread_free(struct core_thread *c)
{
	free(c->fp);
	free(c->xstate);
}

static void thread_notes(struct strbuf *b, const struct core_thread *c)
{
	if (!c->have_fp)
		return;
	note(b, "CORE", NT_FPREGSET, c->fp, 512);
	note(b, "LINUX", NT_X86_XSTATE, c->xstate, c->xstate_size);
}

static void process_note(struct strbuf *b, struct task *t)
{
	struct mm_layout *l = mm_layout(t->mm);
	struct elf_prpsinfo pi = { 0 };
	size_t n = MIN(l->arg_end - l->arg_start, sizeof(pi.pr_psargs) - 1);

	pi.pr_sname = 'R';
	pi.pr_nice = (char)t->nice;
	pi.pr_uid = from_kuid(t->cred->user_ns, t->cred->uid);
	pi.pr_gid = from_kgid(t->cred->user_ns, t->cred->gid);
	pi.pr_pid = task_tgid(t, task_pid_ns(t));
	set_ids(t, &pi.pr_ppid, &pi.pr_pgrp, &pi.pr_sid);
	memcpy(pi.pr_fname, t->comm, sizeof(pi.pr_fname));
	n = l->arg_end > l->arg_start ? mm_read(t->mm, pi.pr_psargs, l->arg_start, n) : 0;
	for (size_t i = 0; i < n; i++)
		if (!pi.pr_psargs[i])
			pi.pr_psargs[i] = ' ';
	note(b, "CORE", NT_PRPSINFO, &pi, sizeof(pi));
}

/* NT_FILE: how many, the unit of offsets; start, end and offset of each; then their names. */
struct files { struct strbuf at, names; uint64_t n; };

static bool add_file(void *arg, const struct vma_info *v)
{
	struct files *f = arg;
	uint64_t w[3] = { v->start, v->end, v->off / GUEST_PAGE_SIZE };

	if (!v->ino || !v->name || !v->name[0])
		return true;
	strbuf_write(&f->at, w, sizeof(w));
	strbuf_write(&f->names, v->name, strlen(v->name) + 1);
	f->n++;
	return true;
}

static void files_note(struct strbuf *b, struct task *t)
{
	struct files f = { 0 };
	struct strbuf all = { 0 };

	mm_for_each_vma(t->mm, add_file, &f);
	if (f.n) {
		uint64_t head[2] = { f.n, GUEST_PAGE_SIZE };

		strbuf_write(&all, head, sizeof(head));
		strbuf_write(&all, f.at.s, f.at.len);
		strbuf_write(&all, f.names.s, f.names.len);
		note(b, "CORE", NT_FILE, all.s, all.len);
	}
	strbuf_free(&f.at);
	strbuf_free(&f.names);
	strbuf_free(&all);
}

void core_notes(struct task *t, const struct core_thread *first, const struct core_state *s, const siginfo_k *info, struct strbuf *b)
{
	struct mm_layout *l = mm_layout(t->mm);
	const struct core_thread *c;

	note(b, "CORE", NT_PRSTATUS, &first->ps, sizeof(first->ps));
	process_note(b, t);
	note(b, "CORE", NT_SIGINFO, info, sizeof(*info));
	note(b, "CORE", NT_AUXV, l->auxv, MIN((size_t)l->auxc * 8, sizeof(l->auxv)));
	files_note(b, t);
	thread_notes(b, first);
	TAILQ_FOREACH(c, &s->threads, link) {
		note(b, "CORE", NT_PRSTATUS, &c->ps, sizeof(c->ps));
		thread_notes(b, c);
	}
}
