/* SPDX-License-Identifier: Apache-2.0 */
/* process.c: how a program starts, as `bailey run` and `bailey exec` are told it, and the request that creates it. */
#include "cmd/cmd.h"
#include "lib/lib.h"
#include "sandbox/sandbox.h"
#include <ctype.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;

_Noreturn void wrong(const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "bailey: %s: ", command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, " (see `bailey %s --help`)\n", command);
	exit(EXIT_BAILEY);
}

uint32_t parse_u32(const char *command, const char *arg, char **end, const char *what)
{
	errno = 0;
	unsigned long long v = strtoull(arg, end, 10);
	if (errno || *end == arg || !isdigit((unsigned char)*arg) || v >= UINT32_MAX)
		wrong(command, "%s: not a %s", arg, what);
	return (uint32_t)v;
}

static void env_set(struct program *r, const char *k, size_t klen, char *entry /* owned; NULL: remove */)
{
	unsigned n = 0;

	for (unsigned i = 0; i < r->nenv; i++)
		if (strncmp(r->env[i], k, klen) || r->env[i][klen] != '=')
			r->env[n++] = r->env[i];
	r->env = xrealloc(r->env, (n + 2) * sizeof(*r->env));
	if (entry)
		r->env[n++] = entry;
	r->env[n] = NULL;
	r->nenv = n;
}

void program_env(struct program *p, const char *command, char *arg)
{
	char *end = strchr(arg, '=');

	if (end == arg || !*arg) {
		wrong(command, "--env %s: no name", arg);
	} else if (end) {
		env_set(p, arg, (size_t)(end - arg), arg);
	} else {
		const char *v = getenv(arg);
		env_set(p, arg, strlen(arg), v ? xasprintf("%s=%s", arg, v) : NULL);
	}
}

void program_user(struct program *p, const char *command, char *arg)
{
	char *end;

	p->uid = parse_u32(command, arg, &end, "user id");
	p->gid = p->uid;
	if (*end == ':')
		p->gid = parse_u32(command, end + 1, &end, "group id");
	if (*end)
		wrong(command, "--user %s: UID[:GID] is wanted", arg);
	p->user_given = true;
}

void program_cwd(struct program *p, const char *command, char *arg)
{
	if (*arg != '/')
		wrong(command, "--cwd %s: not an absolute path", arg);
	p->cwd = arg;
	p->cwd_given = true;
}

void program_inherit(struct program *r)
{
	struct sigaction sa;

	r->uid = geteuid();
	r->gid = getegid();
	for (char **e = environ; *e; e++)
		r->nenv++;
	r->env = xcalloc(r->nenv + 1, sizeof(*r->env));
	memcpy(r->env, environ, r->nenv * sizeof(*r->env));
	for (int sig = 1; sig <= 64; sig++)
		if (!sigaction(sig, NULL, &sa) && sa.sa_handler == SIG_IGN)
			r->ignored |= 1ULL << (sig - 1);
	r->umask = umask(0);
	umask(r->umask);
	/* What is closed must not become one of our own descriptors, and is closed for the guest too. */
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0) {
			r->closed_fds |= 1u << fd;
			open("/dev/null", O_RDWR);
		}
}

void program_finish(struct program *p, bool own_root)
{
	static char cwd[4096];

	if (!p->user_given) {
		int n = getgroups(0, NULL);
		p->groups = xcalloc(n > 0 ? (size_t)n : 1, sizeof(*p->groups));
		n = getgroups(n, p->groups);
		p->ngroups = n > 0 ? (unsigned)n : 0;
	}
	if (!p->cwd && !own_root)
		p->cwd = getcwd(cwd, sizeof(cwd));
}

int program_create(const struct program *r, struct ctl_client *c, uint32_t flags, bool tty, int exit_fd, uint32_t *process, char *text)
{
	struct ctl_process p = { .flags = flags | (r->cwd_given ? 0 : CTL_PROCESS_CWD_OPTIONAL), .uid = r->uid, .gid = r->gid, .umask = r->umask,
				 .ignored = r->ignored, .envc = r->nenv, .ngroups = r->ngroups };
	struct ctl_fd map[3];
	struct ctl_buf b = { 0 };
	struct ctl_msg m = { 0 };
	int fds[4], n = 1, err, status = EXIT_BAILEY;

	fds[0] = exit_fd;
	for (int fd = 0; fd < 3; fd++) {
		if (r->closed_fds >> fd & 1)
			continue;
		bool theirs = tty && isatty(fd);
		map[p.nfds++] = (struct ctl_fd){ fd, theirs ? -1 : n };
		if (!theirs)
			fds[n++] = fd;
	}
	while (r->argv[p.argc])
		p.argc++;
	ctl_put(&b, &p, sizeof(p));
	ctl_put(&b, r->groups, p.ngroups * sizeof(*r->groups));
	ctl_put(&b, map, p.nfds * sizeof(*map));
	for (uint32_t i = 0; i < p.argc; i++)
		ctl_put_string(&b, r->argv[i]);
	for (uint32_t i = 0; i < p.envc; i++)
		ctl_put_string(&b, r->env[i]);
	ctl_put_string(&b, r->cwd ? r->cwd : "/");
	struct ctl_created created = { .status = EXIT_BAILEY };
	err = b.failed ? -E2BIG : ctl_call(c, CTL_CREATE, b.p, b.len, fds, (unsigned)n, &m);
	if (m.payload && m.head.len == sizeof(created)) {
		memcpy(&created, m.payload, sizeof(created));
		created.text[sizeof(created.text) - 1] = 0;
		status = created.status;
	} else if (b.failed) {
		snprintf(created.text, sizeof(created.text), "%.400s: %s", r->argv[0], strerror(E2BIG));
		status = EXIT_CANNOT_EXEC;
	} else if (!err) {
		err = -EPROTO;
	}
	ctl_buf_free(&b);
	ctl_msg_free(&m);
	*process = created.process;
	if (!err)
		err = ctl_call(c, CTL_START, &created.process, sizeof(created.process), NULL, 0, NULL);
	if (!err || err == -EPIPE) /* its end is looked at later */
		return 0;
	snprintf(text, 500, "%s", created.text[0] ? created.text : strerror(-err));
	return status ? status : EXIT_BAILEY;
}
