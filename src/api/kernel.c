/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c: kernels of libbailey: the helper, the control socket, what concerns everything in a kernel. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/api.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- errors ---- */

static __thread char error_text[600];

const char *bailey_error(void) { return error_text; }

const char *bailey_version(void) { return BAILEY_VERSION; }

int api_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(error_text, sizeof(error_text), fmt, ap);
	va_end(ap);
	api_clean_text(error_text);
	return err;
}

void api_clean_text(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < 32 || *s == 127)
			*s = '?';
}

int api_take_options(void *ours, size_t size, const void *theirs)
{
	size_t n;

	if (!theirs)
		return api_fail(-EINVAL, "no options");
	memcpy(&n, theirs, sizeof(n));
	if (n < 2 * sizeof(size_t) || n > 65536)
		return api_fail(-EINVAL, "options.size is not the size of the options");
	for (size_t i = size; i < n; i++)
		if (((const char *)theirs)[i])
			return api_fail(-E2BIG, "options that this version of the library does not know");
	memset(ours, 0, size);
	memcpy(ours, theirs, n < size ? n : size);
	return 0;
}

/* ---- start ---- */

static void on_line(void *arg, int side, char *text, size_t len)
{
	struct bailey_kernel *k = arg;
	void (*fn)(void *, const char *) = side == 2 ? k->event : side ? k->trace : k->log;
	char *next;

	/* A crash report of the helper is one write of several lines. */
	for (; text && fn; text = next) {
		next = strchr(text, '\n');
		if (next)
			*next++ = 0;
		api_clean_text(text);
		fn(k->arg, text);
	}
}

static int pack_options(const struct bailey_kernel_options *o, struct ctl_buf *b)
{
	struct ctl_options c = {
		.version = CTL_VERSION, .log_level = o->log_level, .host_network = o->network == BAILEY_NETWORK_HOST, .max_tasks = o->max_tasks,
		.tier = o->tier ? o->tier : BAILEY_TIER_ROOT, .nbinds = o->nbinds, .trace = o->trace != NULL, .events = o->event != NULL, .ncpus = o->cpus, .memory_limit = o->memory_limit,
	};

	if (o->network > BAILEY_NETWORK_HOST || o->tier > BAILEY_TIER_BARE || o->log_level > BAILEY_LOG_DEBUG)
		return api_fail(-EINVAL, "network, tier or log level out of range");
	if (o->hostname && (!*o->hostname || strlen(o->hostname) > 64))
		return api_fail(-EINVAL, "a host name has 1 to 64 characters");
	if (o->rootfs && !*o->rootfs)
		return api_fail(-EINVAL, "the path of the root file system is empty");
	if (o->nbinds && !o->binds)
		return api_fail(-EINVAL, "no binds");
	ctl_put(b, &c, sizeof(c));
	for (unsigned i = 0; i < o->nbinds; i++) {
		struct ctl_bind_flags f = { .read_only = o->binds[i].flags & BAILEY_BIND_READ_ONLY };
		if (!o->binds[i].source || !*o->binds[i].source || !o->binds[i].target || o->binds[i].target[0] != '/' ||
		    o->binds[i].flags & ~(unsigned)BAILEY_BIND_READ_ONLY)
			return api_fail(-EINVAL, "bind %u: a source, an absolute target and known flags are wanted", i);
		ctl_put(b, &f, sizeof(f));
	}
	ctl_put_string(b, o->rootfs ? o->rootfs : "");
	ctl_put_string(b, o->hostname ? o->hostname : "");
	ctl_put_string(b, o->calls ? o->calls : "");
	for (unsigned i = 0; i < o->nbinds; i++) {
		ctl_put_string(b, o->binds[i].source);
		ctl_put_string(b, o->binds[i].target);
	}
	return b->failed ? api_fail(-ENOMEM, "no memory for the options") : 0;
}

/* What the helper says: 0 and the control socket. */
static int hear_helper(struct bailey_kernel *k, int *sock)
{
	struct pollfd p = { .fd = k->lifeline, .events = POLLIN };
	struct ctl_status st;
	struct ctl_msg m;
	int r;

	do {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return api_fail(-errno, "waiting for the helper: %s", strerror(errno));
		r = ctl_recv(k->lifeline, &m, true);
	} while (r == -EAGAIN);
	if (r)
		return api_fail(-EIO, "the helper ended before it had started a kernel");
	if (m.head.type != CTL_REPLY || m.head.len != sizeof(st)) {
		ctl_msg_free(&m);
		return api_fail(-EPROTO, "what was started as the helper is not this version's bailey");
	}
	memcpy(&st, m.payload, sizeof(st));
	st.text[sizeof(st.text) - 1] = 0;
	if (st.type != CTL_READY || m.nfds != 1) {
		r = api_fail(st.error == EINVAL ? -EINVAL : -EIO, "%s", st.text);
	} else {
		*sock = m.fds[0];
		m.nfds = 0;
		k->tier = st.tier >= BAILEY_TIER_ROOT && st.tier <= BAILEY_TIER_BARE ? (enum bailey_tier)st.tier : BAILEY_TIER_BARE;
	}
	ctl_msg_free(&m);
	return r;
}

static int side_pair(int sv[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv)) {
		sv[0] = sv[1] = -1;
		return -errno;
	}
	return 0;
}

static void watch_fd(struct bailey_kernel *k, int fd)
{
	struct epoll_event e = { .events = EPOLLIN };

	if (fd >= 0)
		epoll_ctl(k->epoll, EPOLL_CTL_ADD, fd, &e);
}

/* Ends the helper, and with it all. */
static void end_helper(struct bailey_kernel *k)
{
	struct pollfd p = { .fd = k->pidfd, .events = POLLIN };
	int64_t until = ctl_now() + 10000000000LL;
	siginfo_t si;

	shutdown(k->lifeline, SHUT_RDWR);
	while (poll(&p, 1, 100) <= 0)
		if (ctl_now() > until)
			syscall(SYS_pidfd_send_signal, k->pidfd, SIGKILL, NULL, 0);
	/* Somebody else may have reaped it, or nobody has to (SIGCHLD ignored). */
	while (waitid(P_PIDFD, (id_t)k->pidfd, &si, WEXITED) < 0 && errno == EINTR)
		;
	close(k->pidfd);
	close(k->lifeline);
}

static int start(struct bailey_kernel *k, const struct bailey_kernel_options *o, const struct ctl_buf *b)
{
	const char *path = o->helper ? o->helper : secure_getenv("BAILEY_HELPER");
	int life[2], log[2] = { -1, -1 }, trace[2] = { -1, -1 }, events[2] = { -1, -1 }, sock = -1, r;
	pid_t pid;

	if (!path || !*path)
		path = BAILEY_HELPER_PATH;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, life))
		return api_fail(-errno, "creating a socket: %s", strerror(errno));
	r = o->log ? side_pair(log) : 0;
	if (!r && o->trace)
		r = side_pair(trace);
	if (!r && o->event)
		r = side_pair(events);
	if (r)
		api_fail(r, "creating a socket: %s", strerror(-r));
	else if ((r = api_spawn(path, life[1], log[1], trace[1], events[1], &pid, &k->pidfd)))
		api_fail(r, "starting the helper %s: %s", path, strerror(-r));
	close(life[1]);
	if (log[1] >= 0)
		close(log[1]);
	if (trace[1] >= 0)
		close(trace[1]);
	if (events[1] >= 0)
		close(events[1]);
	if (!r) {
		k->lifeline = life[0];
		r = ctl_send(k->lifeline, CTL_CREATE, 0, 0, b->p, b->len, NULL, 0, false);
		if (r)
			api_fail(r, "telling the helper what to start: %s", strerror(-r));
		else
			r = hear_helper(k, &sock);
		if (r)
			end_helper(k);
	} else {
		close(life[0]);
	}
	if (!r && (r = ctl_client_init(&k->c, sock))) {
		api_fail(r, "%s", strerror(-r));
		end_helper(k);
		close(sock);
	}
	if (r) {
		if (log[0] >= 0)
			close(log[0]);
		if (trace[0] >= 0)
			close(trace[0]);
		if (events[0] >= 0)
			close(events[0]);
		return r;
	}
	k->c.side[0] = log[0];
	k->c.side[1] = trace[0];
	k->c.side[2] = events[0];
	k->c.arg = k;
	k->c.event = api_event;
	k->c.line = on_line;
	watch_fd(k, sock);
	watch_fd(k, log[0]);
	watch_fd(k, trace[0]);
	watch_fd(k, events[0]);
	return 0;
}

int bailey_kernel_create(const struct bailey_kernel_options *theirs, bailey_kernel **out)
{
	struct bailey_kernel_options o;
	struct ctl_buf b = { 0 };
	struct bailey_kernel *k;
	int r;

	if (!out)
		return api_fail(-EINVAL, "nowhere to put the kernel");
	*out = NULL;
	r = api_take_options(&o, sizeof(o), theirs);
	if (!r)
		r = pack_options(&o, &b);
	k = r ? NULL : calloc(1, sizeof(*k));
	if (!r && !k)
		r = api_fail(-ENOMEM, "no memory for a kernel");
	if (!r) {
		k->log = o.log;
		k->trace = o.trace;
		k->event = o.event;
		k->arg = o.arg;
		k->epoll = epoll_create1(EPOLL_CLOEXEC);
		r = k->epoll < 0 ? api_fail(-errno, "epoll_create1: %s", strerror(errno)) : start(k, &o, &b);
		if (r && k->epoll >= 0)
			close(k->epoll);
	}
	ctl_buf_free(&b);
	if (r)
		free(k);
	else
		*out = k;
	return r;
}

void bailey_kernel_free(bailey_kernel *k)
{
	if (!k)
		return;
	end_helper(k);
	while (k->processes) {
		struct bailey_process *p = k->processes;
		k->processes = p->next;
		close(p->exit_fd);
		free(p);
	}
	close(k->epoll);
	ctl_client_destroy(&k->c);
	free(k);
}

int bailey_kernel_kill(bailey_kernel *k)
{
	shutdown(k->lifeline, SHUT_RDWR);
	return 0;
}

/* ---- the rest ---- */

enum bailey_tier bailey_kernel_tier(const bailey_kernel *k) { return k->tier; }
int bailey_kernel_fd(const bailey_kernel *k) { return k->epoll; }
int bailey_kernel_dispatch(bailey_kernel *k, int timeout_ms) { return api_wait(k, NULL, NULL, timeout_ms); }

static int all(bailey_kernel *k, uint32_t type, int value)
{
	uint32_t v[3] = { 0, CTL_SCOPE_ALL, (uint32_t)value };
	int r = ctl_call(&k->c, type, v, sizeof(v), NULL, 0, NULL);

	return r ? api_fail(r, "%s", r == -EPIPE ? "the kernel is gone" : strerror(-r)) : 0;
}
int bailey_kernel_signal(bailey_kernel *k, int signo) { return all(k, CTL_SIGNAL, signo); }
int bailey_kernel_pause(bailey_kernel *k) { return all(k, CTL_PAUSE, 0); }
int bailey_kernel_unpause(bailey_kernel *k) { return all(k, CTL_UNPAUSE, 0); }
static int one_task(bailey_kernel *k, uint32_t type, int tid)
{
	uint32_t v[2] = { (uint32_t)tid, CTL_SCOPE_TASK };
	int r = tid <= 0 ? -ESRCH : ctl_call(&k->c, type, v, sizeof(v), NULL, 0, NULL);

	return r ? api_fail(r, "%s", r == -EPIPE ? "the kernel is gone" : strerror(-r)) : 0;
}
int bailey_kernel_pause_task(bailey_kernel *k, int tid) { return one_task(k, CTL_PAUSE, tid); }
int bailey_kernel_unpause_task(bailey_kernel *k, int tid) { return one_task(k, CTL_UNPAUSE, tid); }
int bailey_kernel_usage(bailey_kernel *k, struct bailey_usage *u) { return api_usage(k, 0, CTL_SCOPE_ALL, u); }

static void convert_task(struct bailey_task *to, const struct ctl_task *t)
{
	*to = (struct bailey_task){ .pid = t->pid, .ppid = t->ppid, .pgid = t->pgid, .sid = t->sid, .threads = t->threads, .uid = t->uid,
				    .container = t->container, .state = t->state, .paused = t->paused != 0, .user_ns = t->utime_ns,
				    .system_ns = t->stime_ns, .start_ns = t->start_ns };
	memcpy(to->name, t->name, sizeof(t->name) - 1);
	to->name[sizeof(t->name) - 1] = 0;
	api_clean_text(to->name);
}

int bailey_kernel_tasks(bailey_kernel *k, struct bailey_task **list, size_t *n)
{
	struct bailey_task *all = NULL;
	size_t count = 0;
	uint32_t from = 1, next;

	*list = NULL;
	*n = 0;
	do {
		struct ctl_msg m;
		int r = ctl_call(&k->c, CTL_TASKS, &from, sizeof(from), NULL, 0, &m);
		struct ctl_reader rd = { m.payload, m.head.len, false };
		next = r ? 0 : ctl_get_u32(&rd);
		size_t more = rd.left / sizeof(struct ctl_task);
		/* Numbers only grow, so this ends. */
		if (!r && (rd.bad || rd.left % sizeof(struct ctl_task) || (next && next <= from) || next > INT32_MAX))
			r = -EPROTO;
		struct bailey_task *q = r ? NULL : realloc(all, (count + more + 1) * sizeof(*q));
		if (!r && !q)
			r = -ENOMEM;
		if (r) {
			free(all);
			ctl_msg_free(&m);
			return api_fail(r, "%s", r == -EPIPE ? "the kernel is gone" : strerror(-r));
		}
		all = q;
		while (more--) {
			struct ctl_task t;
			ctl_get(&rd, &t, sizeof(t));
			convert_task(&all[count++], &t);
		}
		ctl_msg_free(&m);
		from = next;
	} while (next);
	*list = all;
	*n = count;
	return 0;
}

void bailey_tasks_free(struct bailey_task *list) { free(list); }
