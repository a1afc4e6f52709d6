/* SPDX-License-Identifier: Apache-2.0 */
/* serve.c: the socket by which other processes of its owner reach a sandbox that has a name.
 *
 * OVERVIEW. `bailey run --name X` listens on X in $XDG_RUNTIME_DIR/bailey, or /run/bailey for the superuser: a folder that only the owner can
 * enter. It relays: each request of a connection becomes one on the sandbox's control socket, and the reply goes back. Ends of processes go to the
 * connection that made them. Connections are told apart by what they made: none can name another's processes, or those of `bailey run`.
 * A run that was killed leaves its socket behind, on which nobody listens: the next one with the name takes it away. Two that start at once
 * are kept apart by a lock on the folder.
 * Who connects is the owner or the superuser (SO_PEERCRED); guests cannot see the folder's sockets as sockets, let alone connect. Messages are
 * checked as those of hostile programs would be: by ctl_recv() here, and by the kernel process behind us.
 */
#include "cmd/cmd.h"
#include "lib/lib.h"
#include "sandbox/sandbox.h"
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define OWNED_MAX 4096

struct conn {
	int sock; /* -1: free */
	uint32_t *owned; /* processes that it made */
	unsigned nowned;
};
struct serve {
	int dir, sock;
	char name[65];
	struct ctl_client *c;
	struct conn conns[SERVE_CONNECTIONS];
};

bool serve_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n && n <= 64 && name[0] != '.' && name[0] != '-' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") == n;
}

int serve_dir(bool make)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	__free(mem) void *mem = NULL;
	struct stat st;
	int fd;

	if (!base || *base != '/') {
		if (geteuid())
			return -ENXIO;
		base = "/run";
	}
	mem = xasprintf("%s/bailey", base);
	if (make && mkdir(mem, 0700) && errno != EEXIST)
		return -errno;
	fd = open(mem, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || st.st_uid != geteuid() || (st.st_mode & 022)) {
		close(fd);
		return -EACCES;
	}
	return fd;
}

/* By the open folder: the path may be longer than a socket's address. */
static void address(struct sockaddr_un *a, int dir, const char *name)
{
	*a = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/%s", dir, name);
}

static int connect_in(int dir, const char *name)
{
	struct sockaddr_un a;
	int sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0), r;

	if (sock < 0)
		return -errno;
	address(&a, dir, name);
	r = connect(sock, (struct sockaddr *)&a, sizeof(a)) ? -errno : 0;
	if (r) {
		close(sock);
		return r;
	}
	return sock;
}

int serve_connect(const char *name)
{
	int dir = serve_dir(false), sock;

	if (dir < 0)
		return dir;
	sock = connect_in(dir, name);
	close(dir);
	return sock;
}

int serve_start(const char *name, struct serve **out, char *text)
{
	struct serve *s = new(struct serve);
	struct sockaddr_un a;
	int other, r = 0;

	snprintf(s->name, sizeof(s->name), "%s", name);
	for (int i = 0; i < SERVE_CONNECTIONS; i++)
		s->conns[i].sock = -1;
	s->dir = serve_dir(true);
	s->sock = s->dir < 0 ? -1 : socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->dir < 0 || s->sock < 0 || flock(s->dir, LOCK_EX)) {
		r = s->dir < 0 ? s->dir : -errno;
		snprintf(text, 500, "--name: the folder for sockets: %s", r == -ENXIO ? "XDG_RUNTIME_DIR is not set" : strerror(-r));
		goto fail;
	}
	other = connect_in(s->dir, name);
	if (other >= 0 || other == -EAGAIN) {
		if (other >= 0)
			close(other);
		r = -EADDRINUSE;
		snprintf(text, 500, "--name: a sandbox called %s is running", name);
		goto fail;
	}
	unlinkat(s->dir, name, 0); /* left by one that was killed */
	address(&a, s->dir, name);
	if (bind(s->sock, (struct sockaddr *)&a, sizeof(a)) || fchmodat(s->dir, name, 0600, 0) || listen(s->sock, 16)) {
		r = -errno;
		snprintf(text, 500, "--name: listening as %s: %s", name, strerror(errno));
		goto fail;
	}
	flock(s->dir, LOCK_UN);
	*out = s;
	return 0;
fail:
	if (s->sock >= 0)
		close(s->sock);
	if (s->dir >= 0)
		close(s->dir);
	free(s);
	return EXIT_BAILEY;
}

/* ---- connections ---- */

static void drop(struct serve *s, struct conn *n)
{
	/* What it started runs on; nobody will ask for it. */
	for (unsigned i = 0; i < n->nowned; i++)
		(void)ctl_post(s->c, CTL_RELEASE, &n->owned[i], sizeof(n->owned[i]));
	close(n->sock);
	free(n->owned);
	*n = (struct conn){ .sock = -1 };
}

static bool owns(const struct conn *n, uint32_t id)
{
	for (unsigned i = 0; i < n->nowned; i++)
		if (n->owned[i] == id)
			return true;
	return false;
}

static void forget(struct conn *n, uint32_t id)
{
	for (unsigned i = 0; i < n->nowned; i++)
		if (n->owned[i] == id) {
			n->owned[i] = n->owned[--n->nowned];
			return;
		}
}

static bool may(const struct conn *n, const struct ctl_msg *m)
{
	struct ctl_reader r = { m->payload, m->head.len, false };
	struct ctl_process p;
	uint32_t id, scope;

	switch (m->head.type) {
	case CTL_CREATE:
		ctl_get(&r, &p, sizeof(p));
		return !r.bad && !(p.flags & ~(uint32_t)CTL_PROCESS_CWD_OPTIONAL) && n->nowned < OWNED_MAX;
	case CTL_START:
	case CTL_RELEASE:
		id = ctl_get_u32(&r);
		return !r.bad && owns(n, id);
	case CTL_SIGNAL:
	case CTL_PAUSE:
	case CTL_UNPAUSE:
	case CTL_USAGE:
		id = ctl_get_u32(&r);
		scope = ctl_get_u32(&r);
		return !r.bad && (scope == CTL_SCOPE_ALL || scope == CTL_SCOPE_TASK || owns(n, id));
	case CTL_TASKS:
	case CTL_TERMINAL_SIGNAL:
		return true;
	}
	return false;
}

static void relay(struct serve *s, struct conn *n)
{
	struct ctl_msg m, reply = { 0 };
	struct ctl_created made;
	int r = ctl_recv(n->sock, &m, true);

	if (r == -EAGAIN)
		return;
	if (r) {
		drop(s, n);
		return;
	}
	r = may(n, &m) ? ctl_call(s->c, m.head.type, m.payload, m.head.len, m.fds, m.nfds, &reply) : -EPERM;
	if (!r && m.head.type == CTL_CREATE && reply.head.len == sizeof(made)) {
		memcpy(&made, reply.payload, sizeof(made));
		n->owned = xrealloc(n->owned, (n->nowned + 1) * sizeof(*n->owned));
		n->owned[n->nowned++] = made.process;
	}
	if (!r && m.head.type == CTL_RELEASE) {
		uint32_t id;
		memcpy(&id, m.payload, sizeof(id)); /* may() has seen it */
		forget(n, id);
	}
	if (m.head.id && ctl_send(n->sock, CTL_REPLY, m.head.id, r, reply.payload, reply.payload ? reply.head.len : 0, NULL, 0, true))
		drop(s, n); /* it does not read its replies */
	ctl_msg_free(&m);
	ctl_msg_free(&reply);
}

static void take(struct serve *s)
{
	int sock = accept4(s->sock, NULL, NULL, SOCK_CLOEXEC);
	struct ucred u;
	socklen_t len = sizeof(u);
	uint32_t version = CTL_VERSION;

	if (sock < 0)
		return;
	for (int i = 0; i < SERVE_CONNECTIONS; i++) {
		if (s->conns[i].sock >= 0)
			continue;
		if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &u, &len) || (u.uid && u.uid != geteuid()))
			break;
		if (ctl_send(sock, CTL_REPLY, 0, 0, &version, sizeof(version), NULL, 0, true))
			break;
		s->conns[i] = (struct conn){ .sock = sock };
		return;
	}
	close(sock);
}

void serve_event(struct serve *s, const struct ctl_msg *m)
{
	uint32_t id;

	if (m->head.type != CTL_EXITED || m->head.len < sizeof(id))
		return;
	memcpy(&id, m->payload, sizeof(id));
	for (int i = 0; i < SERVE_CONNECTIONS; i++)
		if (s->conns[i].sock >= 0 && owns(&s->conns[i], id)) {
			(void)ctl_send(s->conns[i].sock, CTL_EXITED, 0, 0, m->payload, m->head.len, NULL, 0, true);
			(void)ctl_post(s->c, CTL_RELEASE, &id, sizeof(id)); /* nobody has to ask for it again */
			forget(&s->conns[i], id);
			return;
		}
}

void serve_client(struct serve *s, struct ctl_client *c) { s->c = c; }

unsigned serve_poll(struct serve *s, struct pollfd *p, unsigned room)
{
	unsigned n = 0;

	p[n++] = (struct pollfd){ .fd = s->sock, .events = POLLIN };
	for (int i = 0; i < SERVE_CONNECTIONS && n < room; i++)
		if (s->conns[i].sock >= 0)
			p[n++] = (struct pollfd){ .fd = s->conns[i].sock, .events = POLLIN };
	return n;
}

void serve_handle(struct serve *s, const struct pollfd *p, unsigned n)
{
	for (unsigned k = 1; k < n; k++)
		for (int i = 0; p[k].revents && i < SERVE_CONNECTIONS; i++)
			if (s->conns[i].sock == p[k].fd) {
				relay(s, &s->conns[i]);
				break;
			}
	if (p[0].revents)
		take(s);
}

void serve_stop(struct serve *s)
{
	if (!s)
		return;
	flock(s->dir, LOCK_EX);
	unlinkat(s->dir, s->name, 0); /* ours: while we listen nobody takes the name */
	flock(s->dir, LOCK_UN);
	for (int i = 0; i < SERVE_CONNECTIONS; i++)
		if (s->conns[i].sock >= 0)
			close(s->conns[i].sock);
	close(s->sock);
	close(s->dir);
	free(s);
}
