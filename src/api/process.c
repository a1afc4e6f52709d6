/* SPDX-License-Identifier: Apache-2.0 */
/* process.c: processes of libbailey. A handle stays what it is when the process ends; events find it by the kernel's id. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/api.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail(int r) { return api_fail(r, "%s", r == -EPIPE ? "the kernel is gone" : strerror(-r)); }

/* ---- ends ---- */

static void convert_usage(struct bailey_usage *to, const struct ctl_usage *u)
{
	*to = (struct bailey_usage){ .user_ns = u->utime_ns, .system_ns = u->stime_ns, .max_rss = u->maxrss, .memory = u->memory_now,
				     .memory_peak = u->memory_peak, .oom_kills = u->oom_kills, .tasks = u->tasks };
}

/* The lock is held, and given up for the callback. */
static void ended_locked(struct bailey_process *p)
{
	struct bailey_kernel *k = p->k;

	p->ended = true;
	pthread_cond_broadcast(&k->c.changed);
	if (!p->exited)
		return;
	p->refs++;
	pthread_mutex_unlock(&k->c.lock);
	p->exited(p->arg, p, &p->exit);
	pthread_mutex_lock(&k->c.lock);
	api_process_put(p);
}

static void on_exited(struct bailey_kernel *k, const struct ctl_msg *m)
{
	struct bailey_process *p;
	struct ctl_exited e;

	if (m->head.len != sizeof(e))
		return;
	memcpy(&e, m->payload, sizeof(e));
	pthread_mutex_lock(&k->c.lock);
	for (p = k->processes; p && p->id != e.process; p = p->next)
		;
	if (p && !p->ended) {
		if (WIFSIGNALED(e.status))
			p->exit = (struct bailey_exit){ .kind = BAILEY_KILLED, .value = WTERMSIG(e.status), .core = WCOREDUMP(e.status) != 0 };
		else
			p->exit = (struct bailey_exit){ .kind = BAILEY_EXITED, .value = WEXITSTATUS(e.status) };
		convert_usage(&p->exit.usage, &e.usage);
		ended_locked(p);
	}
	pthread_mutex_unlock(&k->c.lock);
}

void api_event(void *arg, const struct ctl_msg *m)
{
	struct bailey_kernel *k = arg;
	struct bailey_process *p;

	if (m && m->head.type == CTL_EXITED)
		on_exited(k, m);
	if (m)
		return;
	pthread_mutex_lock(&k->c.lock);
	do { /* callbacks give up the lock: from the start again after each */
		for (p = k->processes; p && p->ended; p = p->next)
			;
		if (p) {
			p->exit = (struct bailey_exit){ .kind = BAILEY_LOST };
			ended_locked(p);
		}
	} while (p);
	pthread_mutex_unlock(&k->c.lock);
}

int api_wait(struct bailey_kernel *k, bool (*done)(void *), void *arg, int timeout_ms)
{
	int64_t now = ctl_now();
	int r = ctl_wait(&k->c, done, arg, timeout_ms < 0 ? CTL_FOREVER : now + (int64_t)timeout_ms * 1000000);

	return r == -ETIMEDOUT ? api_fail(r, "timed out") : r ? fail(r) : 0;
}

static bool has_ended(void *arg) { return ((struct bailey_process *)arg)->ended; }

int bailey_process_wait(bailey_process *p, int timeout_ms, struct bailey_exit *e)
{
	int r = api_wait(p->k, has_ended, p, timeout_ms);

	if (r && r != -EPIPE)
		return r;
	if (e) {
		pthread_mutex_lock(&p->k->c.lock);
		*e = p->ended ? p->exit : (struct bailey_exit){ .kind = BAILEY_LOST };
		pthread_mutex_unlock(&p->k->c.lock);
	}
	return 0;
}

/* ---- making them ---- */

static unsigned count(const char *const *v)
{
	unsigned n = 0;

	while (v && v[n])
		n++;
	return n;
}

static int pack(const struct bailey_process_options *o, struct ctl_buf *b, int *fds)
{
	static const char *const default_env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	const char *const *envp = o->envp ? o->envp : default_env;
	struct ctl_process c = {
		.flags = o->flags & BAILEY_PROCESS_INIT ? CTL_PROCESS_INIT : 0, .uid = o->uid, .gid = o->gid, .umask = o->umask, .argc = count(o->argv),
		.envc = count(envp), .ngroups = o->ngroups, .nlimits = o->nlimits, .nfds = o->nfds,
	};

	if (!c.argc || !o->argv[0][0])
		return api_fail(-EINVAL, "no program to run");
	if (o->flags & ~(unsigned)BAILEY_PROCESS_INIT || o->umask > 0777 || (o->cwd && o->cwd[0] != '/'))
		return api_fail(-EINVAL, "unknown flags, a umask beyond 0777, or a relative working directory");
	if (o->nfds > CTL_MAX_FDS - 1 || (o->nfds && !o->fds) || (o->nlimits && !o->limits) || (o->ngroups && !o->groups) || o->ngroups > 65536)
		return api_fail(-EINVAL, "descriptors, limits or groups are too many or not there");
	if (o->uid == UINT32_MAX || o->gid == UINT32_MAX)
		return api_fail(-EINVAL, "no such user or group");
	ctl_put(b, &c, sizeof(c));
	ctl_put(b, o->groups, o->ngroups * sizeof(uint32_t));
	for (unsigned i = 0; i < o->nlimits; i++) {
		struct ctl_limit l = { .resource = (uint32_t)o->limits[i].resource, .soft = o->limits[i].soft, .hard = o->limits[i].hard };
		if (o->limits[i].resource < 0 || o->limits[i].resource > 15 || l.soft > l.hard)
			return api_fail(-EINVAL, "limit %u: no such resource, or the soft limit is above the hard one", i);
		ctl_put(b, &l, sizeof(l));
	}
	for (unsigned i = 0; i < o->nfds; i++) {
		struct ctl_fd f = { o->fds[i].guest, (int32_t)i + 1 };
		for (unsigned j = 0; j < i; j++)
			if (o->fds[j].guest == f.guest)
				return api_fail(-EINVAL, "the guest's descriptor %d is given twice", f.guest);
		if (f.guest < 0 || f.guest > 1023)
			return api_fail(-EINVAL, "the guest's descriptor %d is not one of 0 to 1023", f.guest);
		if (fcntl(o->fds[i].host, F_GETFD) < 0)
			return api_fail(-EBADF, "the guest's descriptor %d: the host's descriptor %d is not open", f.guest, o->fds[i].host);
		fds[i + 1] = o->fds[i].host;
		ctl_put(b, &f, sizeof(f));
	}
	for (unsigned i = 0; i < c.argc; i++)
		ctl_put_string(b, o->argv[i]);
	for (unsigned i = 0; i < c.envc; i++)
		ctl_put_string(b, envp[i]);
	ctl_put_string(b, o->cwd ? o->cwd : "/");
	return b->failed ? api_fail(-E2BIG, "arguments and environment are too large") : 0;
}

static int create(struct bailey_process *p, const struct bailey_process_options *o)
{
	struct ctl_created c = { 0 };
	struct ctl_buf b = { 0 };
	struct ctl_msg m = { 0 };
	int fds[CTL_MAX_FDS], pipes[2], r = pack(o, &b, fds);

	if (!r && pipe2(pipes, O_CLOEXEC))
		r = fail(-errno);
	if (r) {
		ctl_buf_free(&b);
		return r;
	}
	fds[0] = pipes[1];
	r = ctl_call(&p->k->c, CTL_CREATE, b.p, b.len, fds, o->nfds + 1, &m);
	ctl_buf_free(&b);
	close(pipes[1]);
	if (m.payload && m.head.len == sizeof(c))
		memcpy(&c, m.payload, sizeof(c));
	else if (!r)
		r = -EPROTO;
	c.text[sizeof(c.text) - 1] = 0;
	ctl_msg_free(&m);
	if (r) {
		close(pipes[0]);
		return c.text[0] ? api_fail(r, "%s", c.text) : fail(r);
	}
	p->id = c.process;
	p->pid = c.pid;
	p->container = c.container;
	p->exit_fd = pipes[0];
	return 0;
}

int bailey_process_create(bailey_kernel *k, const struct bailey_process_options *theirs, bailey_process **out)
{
	struct bailey_process_options o;
	struct bailey_process *p;
	int r;

	if (!out)
		return api_fail(-EINVAL, "nowhere to put the process");
	*out = NULL;
	r = api_take_options(&o, sizeof(o), theirs);
	if (r)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return fail(-ENOMEM);
	p->k = k;
	p->refs = 1;
	p->exited = o.exited;
	p->arg = o.arg;
	r = create(p, &o);
	if (r) {
		free(p);
		return r;
	}
	pthread_mutex_lock(&k->c.lock);
	p->next = k->processes;
	k->processes = p;
	pthread_mutex_unlock(&k->c.lock);
	*out = p;
	return 0;
}

int bailey_exit_status_of_error(int error)
{
	switch (error < 0 ? -error : error) {
	case ENOENT: case ENOTDIR: return 127;
	case EACCES: case EPERM: case ENOEXEC: case ELIBBAD: case EISDIR: case ELOOP: case ENAMETOOLONG: case E2BIG: return 126;
	default: return 125;
	}
}

/* The lock is held. */
void api_process_put(bailey_process *p)
{
	if (--p->refs)
		return;
	close(p->exit_fd);
	free(p);
}

void bailey_process_free(bailey_process *p)
{
	struct bailey_process **q;
	struct bailey_kernel *k;

	if (!p)
		return;
	k = p->k;
	(void)ctl_call(&k->c, CTL_RELEASE, &p->id, sizeof(p->id), NULL, 0, NULL);
	pthread_mutex_lock(&k->c.lock);
	for (q = &k->processes; *q && *q != p; q = &(*q)->next)
		;
	if (*q)
		*q = p->next;
	api_process_put(p);
	pthread_mutex_unlock(&k->c.lock);
}

/* ---- what is done to them ---- */

int bailey_process_start(bailey_process *p)
{
	int r = ctl_call(&p->k->c, CTL_START, &p->id, sizeof(p->id), NULL, 0, NULL);

	return r ? fail(r) : 0;
}

int bailey_process_fd(const bailey_process *p) { return p->exit_fd; }
int bailey_process_pid(const bailey_process *p) { return p->pid; }
uint64_t bailey_process_container(const bailey_process *p) { return p->container; }

static int scoped(bailey_process *p, uint32_t type, enum bailey_scope scope, int value)
{
	static const uint32_t scopes[] = { [BAILEY_PROCESS] = CTL_SCOPE_PROCESS, [BAILEY_GROUP] = CTL_SCOPE_GROUP,
					   [BAILEY_SESSION] = CTL_SCOPE_SESSION, [BAILEY_CONTAINER] = CTL_SCOPE_CONTAINER };

	if ((unsigned)scope > BAILEY_CONTAINER)
		return api_fail(-EINVAL, "no such scope");
	uint32_t v[3] = { p->id, scopes[scope], (uint32_t)value };
	int r = ctl_call(&p->k->c, type, v, sizeof(v), NULL, 0, NULL);
	return r ? fail(r) : 0;
}

int bailey_process_signal(bailey_process *p, int signo, enum bailey_scope scope) { return scoped(p, CTL_SIGNAL, scope, signo); }
int bailey_process_pause(bailey_process *p, enum bailey_scope scope) { return scoped(p, CTL_PAUSE, scope, 0); }
int bailey_process_unpause(bailey_process *p, enum bailey_scope scope) { return scoped(p, CTL_UNPAUSE, scope, 0); }

int api_usage(struct bailey_kernel *k, uint32_t id, enum ctl_scope scope, struct bailey_usage *u)
{
	uint32_t v[2] = { id, scope };
	struct ctl_usage cu;
	struct ctl_msg m;
	int r = ctl_call(&k->c, CTL_USAGE, v, sizeof(v), NULL, 0, &m);

	if (!r && m.head.len != sizeof(cu))
		r = -EPROTO;
	if (!r) {
		memcpy(&cu, m.payload, sizeof(cu));
		convert_usage(u, &cu);
	}
	ctl_msg_free(&m);
	return r ? fail(r) : 0;
}

int bailey_process_usage(bailey_process *p, enum bailey_scope scope, struct bailey_usage *u)
{
	if (scope != BAILEY_PROCESS && scope != BAILEY_CONTAINER)
		return api_fail(-EINVAL, "usage is of a process or of a container");
	return api_usage(p->k, p->id, scope == BAILEY_PROCESS ? CTL_SCOPE_PROCESS : CTL_SCOPE_CONTAINER, u);
}
