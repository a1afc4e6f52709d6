/* SPDX-License-Identifier: Apache-2.0 */
/* control.c: the kernel process's end of the control socket (control/protocol.h).
 *
 * OVERVIEW. One fiber serves one request after the other, and sends what it has to say from a queue, since the other end may be slow: while
 * replies wait, no request is read, so the queue is bounded by the processes that end meanwhile. A process that was made here is a struct
 * served: the watch of its thread group and the writing end of its exit pipe. Ends are noted by whoever reaps, under task_set.lock, and told by
 * the fiber.
 * No guest can reach the socket; what comes from it is checked all the same, since a library's caller may be broken.
 */
#include "sandbox/control.h"
#include "control/protocol.h"
#include "fs/host/hostfd.h"
#include "fs/proc/proc.h"
#include "kernel/internal.h"
#include "kernel/tty.h"
#include "mm/mm.h"
#include "sandbox/sandbox.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

#define GUEST_FDS 1024 /* the default RLIMIT_NOFILE */

struct served {
	TAILQ_ENTRY(served) link;
	struct control *c;
	uint32_t id;
	struct thread_group *tg; /* counted */
	int exit_fd;		 /* owned; -1: told */
	bool started, told;
	/* task_set.lock */
	struct process_watch watch;
	bool ended;
	int status, stop_signal /* 0: told */;
	struct task_usage usage;
};
struct out { STAILQ_ENTRY(out) link; uint32_t type, id; int32_t result; size_t len; char payload[]; };

struct control {
	struct kernel *k;
	struct tty *tty;
	int sock;
	struct mount_namespace *ns;
	struct cred *root_cred;
	struct host_poll hp;
	struct wait_queue wq;
	_Atomic bool news; /* somebody ended */
	uint32_t next_id;
	TAILQ_HEAD(, served) served;
	STAILQ_HEAD(, out) out;
};

static void queue(struct control *c, uint32_t type, uint32_t id, int32_t result, const void *payload, size_t len)
{
	struct out *o = xzalloc(sizeof(*o) + len);

	o->type = type;
	o->id = id;
	o->result = result;
	o->len = len;
	if (len)
		memcpy(o->payload, payload, len);
	STAILQ_INSERT_TAIL(&c->out, o, link);
}

static struct served *find(struct control *c, uint32_t id)
{
	struct served *s;

	TAILQ_FOREACH(s, &c->served, link)
		if (s->id == id)
			return s;
	return NULL;
}

/* ---- the first image of a process ---- */

static int can_exec(const char *path)
{
	struct path p;
	struct kstat st;
	int r = path_lookup(AT_FDCWD_, path, LOOKUP_FOLLOW, &p);

	if (r)
		return r;
	r = vfs_stat(&p, &st);
	if (!r && !S_ISREG(st.mode))
		r = -EACCES;
	struct file *f;
	if (!r && !(r = vfs_open_path(&p, O_PATH, &f))) {
		r = inode_permission(f->inode, MAY_EXEC);
		file_put(f);
	}
	path_put(&p);
	return r;
}

/* The command as a shell would look it up: 0 and an owned path, or the errno of the best candidate. */
static int find_command(const char *cmd, char **envv, char **out)
{
	const char *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	int best = -ENOENT;

	if (strchr(cmd, '/')) {
		*out = xstrdup(cmd);
		return can_exec(cmd);
	}
	for (char **e = envv; *e; e++)
		if (!strncmp(*e, "PATH=", 5))
			path = *e + 5;
	while (*cmd) {
		size_t n = strcspn(path, ":");
		char *name = n ? xasprintf("%.*s/%s", (int)n, path, cmd) : xasprintf("./%s", cmd);
		int r = can_exec(name);
		if (!r) {
			*out = name;
			return 0;
		}
		free(name);
		if (r != -ENOENT && r != -ENOTDIR)
			best = r;
		if (!path[n])
			break;
		path += n + 1;
	}
	return best;
}

/* A request to create a process, taken apart; strings lie in the message. */
struct spec {
	struct ctl_process p;
	uint32_t *groups;
	struct ctl_limit *limits;
	struct ctl_fd *fds;
	char **argv, **envv;
	const char *cwd;
};

static void spec_free(struct spec *s)
{
	free(s->groups);
	free(s->limits);
	free(s->fds);
	free(s->argv);
	free(s->envv);
}

static int spec_read(struct spec *s, const struct ctl_msg *m)
{
	struct ctl_reader r = { m->payload, m->head.len, false };
	struct ctl_process *p = &s->p;

	ctl_get(&r, p, sizeof(*p));
	if (r.bad || p->ngroups > 65536 || p->nlimits > RLIM_NLIMITS || p->nfds > CTL_MAX_FDS || !p->argc || m->nfds < 1)
		return -EINVAL;
	if (!ctl_fits(&r, p->ngroups, sizeof(uint32_t)) || !ctl_fits(&r, p->argc, 1) || !ctl_fits(&r, p->envc, 1))
		return -EINVAL;
	s->groups = xcalloc(p->ngroups + 1, sizeof(*s->groups));
	s->limits = xcalloc(p->nlimits + 1, sizeof(*s->limits));
	s->fds = xcalloc(p->nfds + 1, sizeof(*s->fds));
	s->argv = xcalloc((size_t)p->argc + 1, sizeof(char *));
	s->envv = xcalloc((size_t)p->envc + 1, sizeof(char *));
	ctl_get(&r, s->groups, p->ngroups * sizeof(*s->groups));
	ctl_get(&r, s->limits, p->nlimits * sizeof(*s->limits));
	ctl_get(&r, s->fds, p->nfds * sizeof(*s->fds));
	for (uint32_t i = 0; i < p->argc; i++)
		s->argv[i] = (char *)ctl_get_string(&r);
	for (uint32_t i = 0; i < p->envc; i++)
		s->envv[i] = (char *)ctl_get_string(&r);
	s->cwd = ctl_get_string(&r);
	if (r.bad || r.left || !*s->cwd || !*s->argv[0] || p->uid == UINT32_MAX || p->gid == UINT32_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < p->nlimits; i++)
		if (s->limits[i].resource >= RLIM_NLIMITS || s->limits[i].soft > s->limits[i].hard ||
		    (s->limits[i].resource == RLIMIT_NOFILE && s->limits[i].hard > 1048576))
			return -EINVAL;
	for (uint32_t i = 0; i < p->nfds; i++)
		if (s->fds[i].guest < 0 || s->fds[i].guest >= GUEST_FDS || s->fds[i].index < -1 || s->fds[i].index == 0 ||
		    s->fds[i].index >= (int)m->nfds)
			return -EINVAL;
	return 0;
}

static struct cred *spec_cred(const struct spec *s, struct kernel *k)
{
	struct cred *c = cred_create_root(k->root_user_ns);

	c->uid = c->euid = c->suid = c->fsuid = s->p.uid;
	c->gid = c->egid = c->sgid = c->fsgid = s->p.gid;
	if (s->p.uid)
		c->permitted = c->effective = c->inheritable = c->ambient = 0;
	if (s->p.ngroups) {
		c->groups = xcalloc(s->p.ngroups, sizeof(*c->groups));
		memcpy(c->groups, s->groups, s->p.ngroups * sizeof(*c->groups));
		c->ngroups = s->p.ngroups;
	}
	return c;
}

static int install_fds(struct control *c, const struct spec *s, const struct ctl_msg *m, struct fd_table *fdt, int *which)
{
	for (uint32_t i = 0; i < s->p.nfds; i++) {
		const struct ctl_fd *e = &s->fds[i];
		struct file *f = NULL;
		int r, copy;

		*which = e->guest;
		if (e->index < 0) {
			r = c->tty ? tty_file(c->tty, O_RDWR, &f) : -ENOTTY;
		} else {
			copy = fcntl(m->fds[e->index], F_DUPFD_CLOEXEC, 10);
			r = copy < 0 ? -errno : host_fd_file(c->k, copy, &f);
			if (r && copy >= 0)
				close(copy);
		}
		if (r)
			return r;
		/* Just this number, or it is given twice. */
		r = fd_install_from(fdt, f, e->guest, (uint64_t)e->guest + 1, false);
		file_put(f);
		if (r < 0)
			return r == -EMFILE ? -EINVAL : r;
	}
	return 0;
}

static int fail(struct ctl_created *out, int status, int err, const char *fmt, ...) __attribute__((format(printf, 4, 5)));
static int fail(struct ctl_created *out, int status, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out->text, sizeof(out->text), fmt, ap);
	va_end(ap);
	out->status = status;
	return err;
}

static bool not_executable(int r) { return r == -EACCES || r == -ENOEXEC || r == -EPERM || r == -ELIBBAD; }

/* With the fiber's context being root's in the root directory, as it was found. */
static int create_from(struct control *c, struct spec *s, const struct ctl_msg *m, struct process_watch *watch, struct thread_group **tg,
		       struct ctl_created *out)
{
	struct fiber_context *ctx = fiber_context();
	struct cred *cred = spec_cred(s, c->k);
	struct fd_table *fdt = fd_table_create();
	const char *cmd = s->argv[0], *cwd = s->cwd;
	struct process_options o = {
		.argv = s->argv, .envv = s->envv, .cred = cred, .mnt_ns = c->ns, .foreground_tty = s->p.flags & CTL_PROCESS_TTY && c->tty,
		.init = s->p.flags & CTL_PROCESS_INIT, .second = s->p.flags & CTL_PROCESS_SECOND, .ignored = s->p.ignored, .umask = s->p.umask & 0777, .watch = watch,
	};
	char *found = NULL;
	struct path p;
	int which = 0, r = install_fds(c, s, m, fdt, &which);

	if (r) {
		r = fail(out, EXIT_BAILEY, r, "handing descriptor %d to the guest: %s", which, strerror(-r));
		goto out;
	}
	for (uint32_t i = 0; i < s->p.nlimits; i++) {
		o.rlimits_set |= 1u << s->limits[i].resource;
		o.rlimits[s->limits[i].resource][0] = s->limits[i].soft;
		o.rlimits[s->limits[i].resource][1] = s->limits[i].hard;
	}
	ctx->cred = cred;
	r = path_lookup(AT_FDCWD_, cwd, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);
	if (r && !(s->p.flags & CTL_PROCESS_CWD_OPTIONAL)) {
		r = fail(out, EXIT_BAILEY, r, "--cwd %s: %s", cwd, strerror(-r));
		goto out;
	}
	if (!r) {
		fs_context_set_cwd(ctx->fs, &p);
		path_put(&p);
	} else {
		cwd = "/";
	}
	r = find_command(cmd, s->envv, &found);
	if (r) {
		r = fail(out, r == -ENOENT || r == -ENOTDIR ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC, r, "%s: %s", cmd,
			 r == -ENOENT && !strchr(cmd, '/') ? "command not found" : strerror(-r));
		goto out;
	}
	ctx->cred = c->root_cred;
	o.filename = found;
	o.cwd = cwd;
	o.fdt = fdt;
	fdt = NULL; /* taken over */
	r = kernel_create_process(c->k, &o, tg);
	if (r)
		r = fail(out, r == -ENOENT ? EXIT_NOT_FOUND : not_executable(r) ? EXIT_CANNOT_EXEC : EXIT_BAILEY, r, "%s: %s%s", cmd, strerror(-r),
			 r == -ENOENT ? " (its interpreter is not in the root file system?)" : "");
out:
	ctx->cred = c->root_cred;
	fs_context_enter(ctx->fs, c->ns);
	if (fdt)
		fd_table_put(fdt);
	cred_put(cred);
	free(found);
	return r;
}

static void on_end(struct process_watch *w, int status, const struct task_usage *u)
{
	struct served *s = container_of(w, struct served, watch);

	s->ended = true;
	s->status = status;
	s->usage = *u;
	atomic_store(&s->c->news, true);
	wait_queue_wake_all(&s->c->wq, EPOLLIN);
}

static void on_stop(struct process_watch *w, int sig)
{
	struct served *s = container_of(w, struct served, watch);

	s->stop_signal = sig;
	atomic_store(&s->c->news, true);
	wait_queue_wake_all(&s->c->wq, EPOLLIN);
}

static int create(struct control *c, struct ctl_msg *m, struct ctl_created *out)
{
	struct spec s = { 0 };
	struct served *sv = new(struct served);
	int r = spec_read(&s, m);

	sv->c = c;
	sv->watch.ended = on_end;
	sv->watch.stopped = on_stop;
	sv->exit_fd = -1;
	if (r)
		fail(out, EXIT_BAILEY, r, "the request to create a process is malformed");
	else
		r = create_from(c, &s, m, &sv->watch, &sv->tg, out);
	spec_free(&s);
	if (r) {
		free(sv);
		return r;
	}
	sv->id = ++c->next_id ? c->next_id : ++c->next_id;
	sv->exit_fd = m->fds[0];
	m->fds[0] = m->fds[--m->nfds];
	TAILQ_INSERT_TAIL(&c->served, sv, link);
	out->process = sv->id;
	out->pid = sv->tg->pid->numbers[0].nr;
	out->container = sv->tg->container->id;
	return 0;
}

/* ---- the other requests ---- */

static int start(struct served *s)
{
	if (s->started)
		return -EALREADY;
	s->started = true;
	kernel_start_process(s->tg);
	return 0;
}

static void release(struct control *c, struct served *s)
{
	if (!s->started) {
		kernel_signal_scope(c->k, s->tg, SCOPE_PROCESS, SIGKILL);
		start(s);
	}
	mutex_lock(&c->k->tasks.lock);
	s->tg->watch = NULL;
	mutex_unlock(&c->k->tasks.lock);
	if (s->exit_fd >= 0)
		close(s->exit_fd);
	TAILQ_REMOVE(&c->served, s, link);
	tg_put(s->tg);
	free(s);
}

static void fill_usage(struct control *c, struct ctl_usage *o, const struct task_usage *u)
{
	o->utime_ns = (uint64_t)u->utime;
	o->stime_ns = (uint64_t)u->stime;
	o->maxrss = u->maxrss << 10;
	o->memory_now = atomic_load(&c->k->memory_used);
	o->memory_peak = atomic_load(&c->k->memory_peak);
	o->oom_kills = atomic_load(&c->k->oom_kills);
	o->tasks = READ_ONCE(c->k->tasks.ntasks);
}

static void fill_task(struct task *t, struct ctl_task *o)
{
	struct thread_group *tg = t->tg;
	struct task_usage u;

	memset(o, 0, sizeof(*o));
	group_usage(tg, &u);
	o->state = task_state_char(t);
	o->paused = tg_paused(tg);
	o->ppid = task_ppid(t, t->kernel->tasks.root);
	o->utime_ns = (uint64_t)u.utime;
	o->stime_ns = (uint64_t)u.stime;
	o->start_ns = (uint64_t)(t->start_time - t->kernel->boot_time);
	o->container = tg->container->id;
	mutex_lock(&t->kernel->tasks.lock);
	o->pid = tg->pid->numbers[0].nr;
	o->threads = tg->ntasks;
	if (tg->pgrp) {
		o->pgid = tg->pgrp->pid->numbers[0].nr;
		o->sid = tg->pgrp->session->pid->numbers[0].nr;
	}
	mutex_unlock(&t->kernel->tasks.lock);
	mutex_lock(&t->lock);
	o->uid = t->cred->uid;
	snprintf(o->name, sizeof(o->name), "%.15s", t->comm);
	mutex_unlock(&t->lock);
}

static void list_tasks(struct control *c, uint32_t from, struct ctl_buf *b)
{
	uint32_t next = 0;
	int nr = from > INT32_MAX ? -1 : pidns_next_tgid(c->k->tasks.root, (int)from);

	ctl_put_u32(b, 0);
	for (; nr > 0; nr = pidns_next_tgid(c->k->tasks.root, nr + 1)) {
		struct task *t = pidns_task_with_id(c->k->tasks.root, nr);
		struct ctl_task o;
		if (b->len + sizeof(o) > CTL_INLINE) {
			next = (uint32_t)nr;
			if (t)
				task_put(t);
			break;
		}
		if (!t)
			continue;
		fill_task(t, &o);
		ctl_put(b, &o, sizeof(o));
		task_put(t);
	}
	if (!b->failed)
		memcpy(b->p, &next, sizeof(next));
}

/* The process of a request that names one with a scope; *s NULL for all. */
static int scoped(struct control *c, struct ctl_reader *r, struct served **s, enum external_scope *scope)
{
	static const enum external_scope scopes[CTL_SCOPE_COUNT] = { SCOPE_PROCESS, SCOPE_GROUP, SCOPE_SESSION, SCOPE_CONTAINER, SCOPE_ALL };
	uint32_t id = ctl_get_u32(r), sc = ctl_get_u32(r);

	if (r->bad || sc >= CTL_SCOPE_COUNT)
		return -EINVAL;
	*scope = scopes[sc];
	*s = *scope == SCOPE_ALL ? NULL : find(c, id);
	return *scope == SCOPE_ALL || *s ? 0 : -ESRCH;
}

/* To the process with this number in the sandbox. */
static int signal_number(struct control *c, uint32_t nr, uint32_t sig)
{
	struct task *t = nr && nr <= INT32_MAX ? pidns_task_with_id(c->k->tasks.root, (int)nr) : NULL;
	int r = -ESRCH;

	if (t && sig && sig <= NSIG_K)
		r = kernel_signal_scope(c->k, t->tg, SCOPE_PROCESS, (int)sig) ? 0 : -ESRCH;
	else if (t)
		r = -EINVAL;
	if (t)
		task_put(t);
	return r;
}

static int serve(struct control *c, struct ctl_msg *m, struct ctl_buf *b)
{
	struct ctl_reader r = { m->payload, m->head.len, false };
	enum external_scope scope;
	struct served *s;
	struct thread_group *tg;
	uint32_t a, v;
	int err;

	switch (m->head.type) {
	case CTL_CREATE: {
		struct ctl_created out = { 0 };
		err = create(c, m, &out);
		ctl_put(b, &out, sizeof(out));
		return err;
	}
	case CTL_START:
	case CTL_RELEASE:
		s = find(c, ctl_get_u32(&r));
		if (!s)
			return -ESRCH;
		if (m->head.type == CTL_START)
			return start(s);
		release(c, s);
		return 0;
	case CTL_SIGNAL:
	case CTL_PAUSE:
	case CTL_UNPAUSE:
	case CTL_USAGE:
		if (m->head.len == 8 && m->head.type != CTL_SIGNAL && m->head.type != CTL_USAGE) {
			a = ctl_get_u32(&r);
			if (ctl_get_u32(&r) == CTL_SCOPE_TASK)
				return a > INT32_MAX ? -ESRCH : m->head.type == CTL_PAUSE ? kernel_pause_task(c->k, (int)a) : kernel_unpause_task(c->k, (int)a);
			r = (struct ctl_reader){ m->payload, m->head.len, false };
		}
		if (m->head.len == 12 && m->head.type == CTL_SIGNAL) {
			a = ctl_get_u32(&r);
			if (ctl_get_u32(&r) == CTL_SCOPE_TASK)
				return signal_number(c, a, ctl_get_u32(&r));
			r = (struct ctl_reader){ m->payload, m->head.len, false };
		}
		err = scoped(c, &r, &s, &scope);
		if (err)
			return err;
		tg = s ? s->tg : NULL;
		if (m->head.type == CTL_PAUSE)
			return kernel_pause(c->k, tg, scope);
		if (m->head.type == CTL_UNPAUSE)
			return kernel_unpause(c->k, tg, scope);
		if (m->head.type == CTL_SIGNAL) {
			v = ctl_get_u32(&r);
			if (r.bad || !v || v > NSIG_K)
				return -EINVAL;
			return kernel_signal_scope(c->k, tg, scope, (int)v) || scope == SCOPE_ALL ? 0 : -ESRCH;
		}
		if (scope == SCOPE_GROUP || scope == SCOPE_SESSION)
			return -EINVAL;
		struct task_usage u;
		struct ctl_usage cu = { 0 };
		kernel_usage(c->k, tg, scope, &u);
		fill_usage(c, &cu, &u);
		ctl_put(b, &cu, sizeof(cu));
		return 0;
	case CTL_TASKS:
		list_tasks(c, ctl_get_u32(&r), b);
		return 0;
	case CTL_TERMINAL_SIGNAL:
	case CTL_JOB:
	case CTL_WINSIZE:
		a = ctl_get_u32(&r);
		v = ctl_get_u32(&r);
		if (r.bad)
			return -EINVAL;
		if (m->head.type == CTL_WINSIZE && c->tty)
			tty_set_winsize(c->tty, a, v);
		if (m->head.type == CTL_JOB) {
			atomic_store(&c->k->outer_jobs, v != 0);
			struct termios tio;
			if (c->tty && m->head.len == 8 + sizeof(tio)) {
				memcpy(&tio, m->payload + 8, sizeof(tio));
				tty_set_termios(c->tty, &tio);
			}
			if (c->tty)
				tty_host_foreground(c->tty, a);
		} else if (m->head.type == CTL_TERMINAL_SIGNAL && a && a <= NSIG_K)
			kernel_send_external_signal(c->k, (int)a, v);
		return 0;
	}
	return -ENOSYS;
}

/* ---- the fiber ---- */

static void tell_ended(struct control *c)
{
	struct served *s;

	if (!atomic_exchange(&c->news, false))
		return;
	TAILQ_FOREACH(s, &c->served, link) {
		mutex_lock(&c->k->tasks.lock);
		bool ended = s->ended;
		uint32_t stop[2] = { s->id, (uint32_t)s->stop_signal };
		s->stop_signal = 0;
		mutex_unlock(&c->k->tasks.lock);
		if (stop[1] && !ended)
			queue(c, CTL_STOPPED, 0, 0, stop, sizeof(stop));
		if (!ended || s->told)
			continue;
		struct ctl_exited e = { .process = s->id, .status = s->status };
		fill_usage(c, &e.usage, &s->usage);
		s->told = true;
		queue(c, CTL_EXITED, 0, 0, &e, sizeof(e));
	}
}

/* Exit pipes close behind what tells more, which whoever was woken by them will look for. */
static void close_pipes(struct control *c)
{
	struct served *s;

	TAILQ_FOREACH(s, &c->served, link)
		if (s->told && s->exit_fd >= 0) {
			close(s->exit_fd);
			s->exit_fd = -1;
		}
}

/* 0: all is sent; -EAGAIN; -EPIPE */
static int flush(struct control *c)
{
	struct out *o;
	bool any = false;

	while ((o = STAILQ_FIRST(&c->out))) {
		int r = ctl_send(c->sock, o->type, o->id, o->result, o->payload, o->len, NULL, 0, true);
		if (r == -EAGAIN || r == -EPIPE)
			return r;
		STAILQ_REMOVE_HEAD(&c->out, link);
		free(o);
		any = true;
	}
	if (any)
		sched_expect_host();
	return 0;
}

/* True: somebody is still there. */
static bool turn(struct control *c)
{
	struct ctl_msg m;
	struct ctl_buf b = { 0 };
	unsigned want = EPOLLIN;

	tell_ended(c);
	int r = flush(c);
	close_pipes(c);
	if (r == -EPIPE)
		return false;
	if (r) {
		want = EPOLLOUT;
	} else {
		r = ctl_recv(c->sock, &m, true);
		if (!r) {
			r = serve(c, &m, &b);
			if (m.head.id)
				queue(c, CTL_REPLY, m.head.id, r, b.p, b.failed ? 0 : b.len);
			ctl_buf_free(&b);
			ctl_msg_free(&m);
			return true;
		}
		if (r == -EPIPE)
			return false;
		if (r != -EAGAIN) {
			log_warn("control socket: a message that cannot be read (%s)", strerror(-r));
			return true;
		}
	}
	wait_event(&c->wq, host_poll_now(c->sock, want | EPOLLHUP | EPOLLERR) || atomic_load(&c->news), PARK_UNINTERRUPTIBLE, KTIME_MAX);
	return true;
}

static void control_fiber(void *arg)
{
	struct control *c = arg;
	struct fiber_context *ctx = fiber_context();
	struct path p;

	ctx->cred = c->root_cred = cred_create_root(c->k->root_user_ns);
	mount_ns_root(c->ns, &p);
	ctx->fs = fs_context_create(&p);
	path_put(&p);
	while (turn(c))
		;
	sched_stop(c->k->sched, SIGKILL); /* nobody is there to take a status */
}

int control_start(struct kernel *k, struct mount_namespace *ns, struct tty *tty, int sock)
{
	struct control *c = new(struct control);

	c->k = k;
	c->ns = ns;
	c->tty = tty;
	c->sock = sock;
	wait_queue_init(&c->wq);
	TAILQ_INIT(&c->served);
	STAILQ_INIT(&c->out);
	int r = host_poll_add(&c->hp, k->sched, sock, &c->wq);
	struct fiber *f = r ? NULL : fiber_create(k->sched, 0, "control", control_fiber, c);
	if (!f)
		return r ? r : -ENOMEM;
	fiber_wake(f);
	return 0;
}
