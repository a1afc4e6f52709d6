/* SPDX-License-Identifier: Apache-2.0 */
/* exec.c: execve(2).
 *
 * OVERVIEW: exec_prepare() opens, checks and reads everything, follows #! lines, copies the arguments and gets a fresh host space; it
 * may fail with an errno and has changed nothing. Then run_exec, a state of its own, ends the sibling threads (de-threading), makes
 * the caller the leader, and passes the point of no return: the task moves to the new space, its image is loaded there, and what fails
 * now kills it.
 */
#include "kernel/internal.h"
#include "kernel/ptrace.h"
#include "kernel/trace.h"
#include "platform/bind.h"
#include <limits.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/personality.h>

#define MAX_ARG_STRLEN 131072
#define ARG_MAX_MIN 131072
#define MAX_INTERP_DEPTH 5
#define PER_CLEAR_ON_SETID (READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE | MMAP_PAGE_ZERO | 0x0200000 /* ADDR_COMPAT_LAYOUT */)

/* ---- arguments ---- */

void exec_args_free(struct exec_args *a)
{
	free(a->buf);
	a->buf = NULL;
}

int exec_args_reserve(struct exec_args *a, size_t more)
{
	if (a->cap - a->len >= more)
		return 0;
	size_t cap = MAX(a->cap * 2, 4096UL);
	while (cap - a->len < more)
		cap *= 2;
	char *b = realloc(a->buf, cap);
	if (!b)
		return -ENOMEM;
	a->buf = b;
	a->cap = cap;
	return 0;
}

int exec_args_add(struct exec_args *a, const char *s)
{
	size_t n = strlen(s) + 1;
	if (n > MAX_ARG_STRLEN || a->len + n > a->limit)
		return -E2BIG;
	int r = exec_args_reserve(a, n);
	if (r)
		return r;
	memcpy(a->buf + a->len, s, n);
	a->len += n;
	return 0;
}

/* The strings of a vector mostly lie side by side in the guest: a piece is read at once and the strings are cut from it. */
struct string_window { uaddr_t base; size_t len; char buf[8192]; };

static int add_user_string(struct exec_args *a, struct string_window *w, uaddr_t s)
{
	size_t total = 0;
	for (;;) {
		if (s < w->base || s >= w->base + w->len) {
			size_t want = sizeof(w->buf);
			w->base = s;
			w->len = copy_from_user_partial(w->buf, s, want);
			if (!w->len) {
				/* The piece may run off the end of the mapping: what is left of the page is enough to go on. */
				w->len = copy_from_user_partial(w->buf, s, GUEST_PAGE_SIZE - (s & (GUEST_PAGE_SIZE - 1)));
				if (!w->len)
					return -EFAULT;
			}
		}
		const char *p = w->buf + (s - w->base);
		size_t have = w->base + w->len - s;
		const char *nul = memchr(p, 0, have);
		size_t n = nul ? (size_t)(nul - p) + 1 : have;
		if (total + n > MAX_ARG_STRLEN || a->len + n > a->limit)
			return -E2BIG;
		int r = exec_args_reserve(a, n);
		if (r)
			return r;
		memcpy(a->buf + a->len, p, n);
		a->len += n;
		if (nul)
			return 0;
		total += n;
		s += n;
	}
}

/* Pointers first, all of them: their number counts against the limit of the strings. */
static int read_vector(uaddr_t vec, uint64_t **out, unsigned *n)
{
	unsigned cap = 0, cnt = 0;
	uint64_t *v = NULL;
	*out = NULL;
	*n = 0;
	if (!vec)
		return 0;
	for (;;) {
		if (cnt == cap) {
			cap = cap ? cap * 2 : 64;
			uint64_t *nv = cap > (16U << 20) ? NULL : realloc(v, cap * sizeof(*v));
			if (!nv) {
				free(v);
				return -E2BIG;
			}
			v = nv;
		}
		size_t got = copy_from_user_partial(v + cnt, vec + cnt * 8ULL, MIN((cap - cnt) * 8UL, 512UL)) / 8;
		if (!got && copy_from_user(v + cnt, vec + cnt * 8ULL, 8) == 0)
			got = 1;
		if (!got) {
			free(v);
			return -EFAULT;
		}
		for (size_t i = 0; i < got; i++, cnt++)
			if (!v[cnt]) {
				*out = v;
				*n = cnt;
				return 0;
			}
	}
}

static void set_limit(struct task *t, struct exec_args *a)
{
	uint64_t stack = task_rlimit(t, RLIMIT_STACK);
	uint64_t limit = MIN((uint64_t)6 << 20, stack / 4);
	a->limit = MAX(limit, (uint64_t)ARG_MAX_MIN);
}

int exec_args_from_user(struct task *t, struct exec_args *a, uaddr_t argv, uaddr_t envp)
{
	uint64_t *av = NULL, *ev = NULL;
	struct string_window *w = NULL;
	unsigned ac, ec;
	memset(a, 0, sizeof(*a));
	set_limit(t, a);
	int r = read_vector(argv, &av, &ac);
	if (!r)
		r = read_vector(envp, &ev, &ec);
	if (r)
		goto out;
	size_t ptrs = ((size_t)MAX(ac, 1U) + ec) * 8;
	if (ptrs >= a->limit) {
		r = -E2BIG;
		goto out;
	}
	a->limit -= ptrs;
	w = malloc(sizeof(*w));
	if (!w) {
		r = -ENOMEM;
		goto out;
	}
	w->base = w->len = 0;
	if (!ac) /* since 5.18: a program always has an argv[0] */
		r = exec_args_add(a, "");
	a->argc = MAX(ac, 1U);
	for (unsigned i = 0; i < ac && !r; i++)
		r = add_user_string(a, w, av[i]);
	a->envoff = a->len;
	for (unsigned i = 0; i < ec && !r; i++)
		r = add_user_string(a, w, ev[i]);
	a->envc = ec;
out:
	free(av);
	free(ev);
	free(w);
	if (r)
		exec_args_free(a);
	return r;
}

/* argv[0] goes; interp, arg (may be NULL) and the script's name come in its place. */
static int args_for_script(struct exec_args *a, const char *interp, const char *arg, const char *script)
{
	struct exec_args n = { .limit = a->limit };
	size_t first = strlen(a->buf) + 1;
	int r = exec_args_add(&n, interp);
	if (!r && arg)
		r = exec_args_add(&n, arg);
	if (!r)
		r = exec_args_add(&n, script);
	if (!r && n.len + (a->len - first) > a->limit)
		r = -E2BIG;
	if (!r)
		r = exec_args_reserve(&n, a->len - first);
	if (r) {
		exec_args_free(&n);
		return r;
	}
	n.envoff = n.len + a->envoff - first;
	memcpy(n.buf + n.len, a->buf + first, a->len - first);
	n.len += a->len - first;
	n.argc = a->argc + 1 + !!arg;
	n.envc = a->envc;
	free(a->buf);
	*a = n;
	return 0;
}

/* ---- opening ---- */

static int open_checked(const struct path *p, struct file **out)
{
	__free(file) struct file *look = NULL; /* O_PATH: the inode without opening it, which a FIFO or device would notice */
	int r = vfs_open_path(p, O_PATH, &look);
	if (r)
		return r;
	if (!S_ISREG(look->inode->mode) || (vfs_mnt_flags(p) & MS_NOEXEC))
		return -EACCES;
	r = inode_permission(look->inode, MAY_EXEC);
	if (r)
		return r;
	r = vfs_open_path(p, O_RDONLY, out);
	if (r == -EACCES) {
		/* A program may be executed without being readable: the kernel reads it, not the caller. */
		struct fiber_context *c = fiber_context();
		struct cred *mine = c->cred, *all = cred_dup(mine);
		all->effective = CAP_FULL_SET;
		c->cred = all;
		r = vfs_open_path(p, O_RDONLY, out);
		c->cred = mine;
		cred_put(all);
	}
	if (r)
		return r;
	r = inode_deny_write((*out)->inode);
	if (r) {
		file_put(*out);
		*out = NULL;
	}
	return r;
}

static int open_exec(int dfd, const char *name, int flags, struct file **out)
{
	if (flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
		return -EINVAL;
	struct path p;
	unsigned lf = (flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
	int r = path_lookup(dfd, name, lf, &p);
	if (r)
		return r;
	struct kstat st;
	if ((flags & AT_SYMLINK_NOFOLLOW) && vfs_stat(&p, &st) == 0 && S_ISLNK(st.mode))
		r = -ELOOP;
	else
		r = open_checked(&p, out);
	path_put(&p);
	return r;
}

/* Named by a file. Without a name it is the working directory, which is no program. */
static int open_interp(const char *name, struct file **out)
{
	return *name ? open_exec(AT_FDCWD_, name, 0, out) : -EACCES;
}

static void close_exec(struct file *f)
{
	inode_allow_write(f->inode);
	file_put(f);
}

/* The #! line: 0 and the parts (in line, cut by NULs), -ENOEXEC. */
static int parse_script(char *line, size_t n, char **interp, char **arg)
{
	char *end = memchr(line, '\n', n), *p = line + 2;
	if (!end) {
		/* Cut off at the buffer's end: fine only if the interpreter's name is whole. */
		end = line + n;
		char *q = p;
		while (q < end && (*q == ' ' || *q == '\t'))
			q++;
		if (q == end)
			return -ENOEXEC;
		while (q < end && *q != ' ' && *q != '\t' && *q)
			q++;
		if (q == end)
			return -ENOEXEC;
	}
	while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	*end = 0;
	while (*p == ' ' || *p == '\t')
		p++;
	if (p == end)
		return -ENOEXEC;
	*interp = p;
	while (*p && *p != ' ' && *p != '\t')
		p++;
	*arg = NULL;
	if (*p) {
		*p++ = 0;
		while (*p == ' ' || *p == '\t')
			p++;
		if (*p)
			*arg = p;
	}
	return 0;
}

void exec_state_free(struct exec_state *e)
{
	if (!e)
		return;
	exec_args_free(&e->args);
	elf_image_free(&e->elf);
	elf_image_free(&e->interp);
	if (e->cred)
		cred_put(e->cred);
	if (e->thread)
		pl_thread_destroy(e->thread);
	if (e->mm)
		mm_put(e->mm);
	free(e->filename);
	free(e->comm_from);
	free(e->interp_name);
	free(e);
}

/* Set-ID bits of the file that is really loaded, and what exec does to capabilities. */
static int exec_creds(struct task *t, struct exec_state *e)
{
	struct cred *c = cred_dup(t->cred);
	struct inode *i = e->elf.file->inode;
	bool root_by_bit = false;
	uint32_t mode = i->mode;
	if (!t->no_new_privs && !(vfs_mnt_flags(&e->elf.file->path) & MS_NOSUID) &&
	    from_kuid(c->user_ns, i->uid) != OVERFLOW_ID && from_kgid(c->user_ns, i->gid) != OVERFLOW_ID) {
		if (mode & S_ISUID) {
			root_by_bit = from_kuid(c->user_ns, i->uid) == 0 && from_kuid(c->user_ns, c->euid) != 0;
			c->euid = i->uid;
		}
		if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
			c->egid = i->gid;
	}
	cred_exec(c, root_by_bit);
	e->secure = c->euid != c->uid || c->egid != c->gid;
	e->cred = c;
	return 0;
}

/* Follow #! lines down to an ELF file. e->filename is the name the caller gave. */
static int open_image(struct task *t, struct exec_state *e, struct file *f)
{
	char *head = xzalloc(256 + 1);
	char *iname = NULL;
	int r;
	for (int depth = 0;; depth++) {
		memset(head, 0, 257);
		ssize_t n = kernel_read(f, head, 256, 0);
		if (n < 0) {
			r = n;
			break;
		}
		if (head[0] != '#' || head[1] != '!') {
			r = elf_read(f, head, false, &e->elf, &iname, &e->exec_stack);
			if (!r) {
				e->elf.file = f;
				f = NULL;
			}
			break;
		}
		char *interp, *arg;
		r = parse_script(head, 256, &interp, &arg);
		if (!r && depth >= MAX_INTERP_DEPTH)
			r = -ELOOP;
		if (!r && e->path_inaccessible) /* the interpreter could not open /dev/fd/N after close-on-exec */
			r = -ENOENT;
		if (!r)
			r = args_for_script(&e->args, interp, arg, e->script_name);
		if (r)
			break;
		struct file *next;
		r = open_interp(interp, &next);
		if (r)
			break;
		free(e->interp_name);
		e->interp_name = xstrdup(interp);
		e->script_name = e->interp_name;
		close_exec(f);
		f = next;
	}
	if (!r && iname) {
		struct file *fi;
		r = open_interp(iname, &fi);
		if (!r) {
			memset(head, 0, 257);
			ssize_t n = kernel_read(fi, head, 256, 0);
			r = n < 0 ? n : n < 64 ? -EIO : elf_read(fi, head, true, &e->interp, NULL, NULL);
			if (r) {
				close_exec(fi);
			} else {
				e->interp.file = fi;
				e->have_interp = true;
			}
		}
	}
	free(iname);
	free(head);
	if (f)
		close_exec(f);
	return r;
}

long exec_prepare(struct task *t, int dfd, const char *name, int flags, struct exec_args *args, uaddr_t argv, uaddr_t envp)
{
	struct file *f = NULL;
	struct exec_state *e = new(struct exec_state);
	long r = open_exec(dfd, name, flags, &f);
	if (r)
		goto out;
	/* What AT_EXECFN and scripts see (execveat(2)). */
	if (dfd == AT_FDCWD_ || name[0] == '/') {
		e->filename = xstrdup(name);
		e->comm_from = xstrdup(name);
	} else {
		e->filename = name[0] ? xasprintf("/dev/fd/%d/%s", dfd, name) : xasprintf("/dev/fd/%d", dfd);
		e->path_inaccessible = fd_get_cloexec(t->fdt, dfd) == 1;
		e->comm_from = xstrdup(e->filename);
	}
	e->script_name = e->filename;
	if (args) {
		e->args = *args;
		memset(args, 0, sizeof(*args));
	} else {
		r = exec_args_from_user(t, &e->args, argv, envp);
	}
	if (r) {
		close_exec(f);
		goto out;
	}
	r = open_image(t, e, f);
	if (!r)
		r = exec_creds(t, e);
	if (!r)
		r = pl_space_create(t->kernel->platform, &e->space, &e->thread);
	if (!r)
		e->mm = mm_create(t->kernel->platform, e->space);
out:
	if (args)
		exec_args_free(args);
	if (r) {
		exec_state_free(e);
		return r;
	}
	t->exec = e;
	return 0;
}

static int args_from_vectors(struct task *t, struct exec_args *a, char *const *argv, char *const *envv)
{
	int r = 0;
	memset(a, 0, sizeof(*a));
	set_limit(t, a);
	for (; argv && argv[a->argc] && !r; a->argc++)
		r = exec_args_add(a, argv[a->argc]);
	if (!a->argc && !r) {
		r = exec_args_add(a, "");
		a->argc = 1;
	}
	a->envoff = a->len;
	for (; envv && envv[a->envc] && !r; a->envc++)
		r = exec_args_add(a, envv[a->envc]);
	if (r)
		exec_args_free(a);
	return r;
}

long task_execve(struct task *t, struct file *f, int dfd, const char *name, char **argv, char **envv, int flags)
{
	struct exec_args a;
	(void)f;
	int r = args_from_vectors(t, &a, argv, envv);
	if (r)
		return r;
	r = exec_prepare(t, dfd, name, flags, &a, 0, 0);
	if (!r)
		t->after_syscall = &run_exec;
	return r;
}

long task_execve_user(struct task *t, int dfd, const char *name, uaddr_t argv, uaddr_t envp, int flags)
{
	long r = exec_prepare(t, dfd, name, flags, NULL, argv, envp);
	if (!r)
		t->after_syscall = &run_exec;
	return r;
}

/* ---- de-threading ---- */

/* t takes the old leader's place: its number, its parent, its place among the children; the old leader dies unseen. */
static void take_leadership_locked(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct task *old = tg->leader;
	struct pid *p = t->pid;
	mutex_lock(&tg->sighand->lock);
	t->pid = old->pid;
	old->pid = p;
	t->pid->task = t;
	old->pid->task = old;
	tg->leader = t;
	TAILQ_REMOVE(&tg->tasks, t, tg_link);
	TAILQ_INSERT_HEAD(&tg->tasks, t, tg_link);
	mutex_unlock(&tg->sighand->lock);
	t->parent = old->parent;
	if (old->parent) {
		TAILQ_INSERT_BEFORE(old, t, sibling);
		TAILQ_REMOVE(&old->parent->children, old, sibling);
	}
	old->parent = NULL;
	if (pid_ns_of(t->pid)->init == old)
		pid_ns_of(t->pid)->init = t;
	t->start_time = old->start_time;
	old->exit_parent_notified = old->exit_parent_acked = true;
	task_reap_locked(old);
}

/* 0, or -EAGAIN when the group is dying (or another thread execs) and this task with it. */
static int de_thread(struct task *t)
{
	struct kernel *k = t->kernel;
	struct thread_group *tg = t->tg;
	struct task *o;
	mutex_lock(&k->tasks.lock);
	signal_lock(t);
	if (tg->exiting || tg->exec_task || t->killed) {
		signal_unlock(t);
		mutex_unlock(&k->tasks.lock);
		return -EAGAIN;
	}
	if (tg->ntasks > 1) {
		tg->exec_task = t;
		TAILQ_FOREACH(o, &tg->tasks, tg_link)
			if (o != t && o->exit_state == TASK_EXIT_NONE)
				task_kill_locked(o);
	}
	signal_unlock(t);
	int r = 0;
	while (tg->nlive > 1) {
		mutex_unlock(&k->tasks.lock);
		r = fiber_park(PARK_KILLABLE, KTIME_MAX);
		mutex_lock(&k->tasks.lock);
		if (r == -EINTR && tg->nlive > 1)
			break;
		r = 0;
	}
	if (!r && tg->leader != t)
		take_leadership_locked(t);
	/* Threads that became zombies but are still listed (none without a tracer) would keep the group from being alone. */
	tg->exec_task = NULL;
	mutex_unlock(&k->tasks.lock);
	return r ? -EAGAIN : 0;
}

/* ---- the point of no return ---- */

static void unshare_sighand(struct task *t)
{
	struct thread_group *tg = t->tg;
	struct signal_handlers *old = tg->sighand;
	if (refcount_read(&old->ref) > 1) {
		struct signal_handlers *n = sighand_dup(old);
		mutex_lock(&t->kernel->tasks.lock);
		mutex_lock(&old->lock);
		tg->sighand = n;
		mutex_unlock(&old->lock);
		mutex_unlock(&t->kernel->tasks.lock);
		sighand_put(old);
	}
	sighand_reset_exec(tg->sighand, false);
}

static void set_comm(struct task *t, const char *path)
{
	const char *base = strrchr(path, '/');
	base = base ? base + 1 : path;
	mutex_lock(&t->lock);
	memset(t->comm, 0, sizeof(t->comm));
	memcpy(t->comm, base, strnlen(base, sizeof(t->comm) - 1));
	mutex_unlock(&t->lock);
}

static void exe_get(void *p)
{
	struct file *f = p;
	file_get(f);
	/* Each space that runs the program denies writing to it. The first did it, so this cannot fail. */
	(void)inode_deny_write(f->inode);
}
static void exe_put(void *p) { close_exec(p); }

/* Move to the new space. */
static void switch_space(struct task *t, struct exec_state *e)
{
	struct pl_thread *old_thread = t->thread;
	struct mm *old_mm = t->mm;
	task_recall_mask(t); /* before others find the new thread here */
	mutex_lock(&t->lock);
	if (old_thread)
		t->past_utime += pl_thread_cpu_time(old_thread);
	t->thread = e->thread;
	t->mm = e->mm;
	pl_thread_bind(t->thread, t->cpu_mask, sizeof(t->cpu_mask));
	mutex_unlock(&t->lock);
	e->thread = NULL;
	e->mm = NULL;
	task_set_fiber_context(t, t->fiber);
	if (old_thread)
		pl_thread_destroy(old_thread);
	if (old_mm)
		mm_put(old_mm);
	pl_thread_attach(t->thread, t->fiber);
	task_vfork_complete(t);
}

static int load(struct task *t, struct exec_state *e)
{
	struct mm_layout *l = mm_layout(t->mm);
	rlimits_apply(t);
	l->exe_get = exe_get;
	l->exe_put = exe_put;
	file_get(e->elf.file);
	l->exe = e->elf.file;
	(void)inode_deny_write(e->elf.file->inode);
	l->dumpable = !e->secure;
	int r = elf_load(t, e);
	if (r)
		return r;
	struct pl_regs regs;
	memset(&regs, 0, sizeof(regs));
	regs.orig_rax = 59; /* for a tracer: the call that made this image */
	regs.rip = e->entry;
	regs.rsp = e->sp;
	regs.cs = 0x33;
	regs.ss = 0x2b;
	regs.eflags = 0x202;
	pl_set_regs(t->thread, &regs);
	pl_rseq_lend(t->thread, task_lends(t));
	return 0;
}

/* What a new program does not inherit in the task. */
static void reset_task(struct task *t, struct exec_state *e)
{
	if (e->secure || e->cred->euid != t->cred->euid || e->cred->egid != t->cred->egid) {
		t->pdeath_signal = 0;
		t->personality &= ~PER_CLEAR_ON_SETID;
	}
	task_set_cred(t, e->cred);
	e->cred = NULL;
	set_comm(t, e->comm_from);
	t->clear_child_tid = 0;
	t->robust_list = 0;
	t->did_exec = true;
	t->mm_shared = t->actions_lent = t->ids_lent = false;
	t->syscall_nr = -1;
	t->have_restart_mask = false;
}

static void close_on_exec(struct task *t)
{
	/* A table that others share stays theirs (unshare_files). */
	if (fd_table_shared(t->fdt)) {
		struct fd_table *n = fd_table_dup(t->fdt, UINT32_MAX), *old = t->fdt;
		mutex_lock(&t->lock);
		t->fdt = n;
		mutex_unlock(&t->lock);
		fiber_context()->fdt = n;
		fd_table_put(old);
	}
	fd_close_on_exec(t->fdt);
}

/* As its tracer knows it. */
static int ptrace_tid(struct task *t)
{
	guard(mutex)(&t->kernel->tasks.lock);
	return t->tracer ? pid_nr(t->pid, task_pid_ns(t->tracer)) : 0;
}

static const struct run_state *exec_run(struct task *t)
{
	struct exec_state *e = t->exec;
	int old_nr = READ_ONCE(t->trace_calls) ? ptrace_tid(t) : 0;
	if (de_thread(t)) {
		t->exec = NULL;
		exec_state_free(e);
		t->result = -EAGAIN;
		return &run_interrupt;
	}
	task_mm_release(t, true);
	close_on_exec(t);
	unshare_sighand(t);
	task_exec_signals(t);
	switch_space(t, e);
	reset_task(t, e);
	mutex_lock(&t->kernel->tasks.lock);
	t->tg->did_exec = true;
	t->tg->exec_id++;
	t->tg->termination_signal = SIGCHLD;
	t->tg->membarriers = 0;
	mutex_unlock(&t->kernel->tasks.lock);
	int r = load(t, e);
	if (!r)
		trace_point(t, TRACE_EXEC, .args = &e->args);
	t->exec = NULL;
	exec_state_free(e);
	if (r) {
		log_info("%s[%d]: exec failed after the point of no return: %s", t->comm, task_tgid(t, t->kernel->tasks.root),
			 strerrorname_np(-r) ? strerrorname_np(-r) : "?");
		task_group_exit(t, SIGSEGV);
		return &run_exit;
	}
	t->result = 0;
	if (unlikely(READ_ONCE(t->trace_calls)))
		ptrace_exec(t, old_nr);
	return &run_syscall_exit;
}

int exec_load_first(struct task *t)
{
	struct exec_state *e = t->exec;
	reset_task(t, e);
	t->did_exec = false;
	int r = load(t, e);
	if (!r)
		trace_point(t, TRACE_START, .args = &e->args);
	t->exec = NULL;
	exec_state_free(e);
	if (r) {
		log_error("the first program could not be loaded: %s", strerrorname_np(-r) ? strerrorname_np(-r) : "?");
		task_group_exit(t, SIGSEGV);
	}
	return r;
}

const struct run_state run_exec = { "exec", exec_run };
