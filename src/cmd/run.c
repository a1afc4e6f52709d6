/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: `bailey run`: the command line's process. It decodes options, starts the kernel process, passes signals on, keeps the terminal,
 * and takes the status. It holds no guest state. */
#include "cmd/cmd.h"
#include "sandbox/sandbox.h"
#include <argp.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { OPT_ROOTFS = 256, OPT_BIND, OPT_ENV, OPT_CLEAR_ENV, OPT_CWD, OPT_USER, OPT_HOSTNAME, OPT_NETWORK, OPT_MEMORY, OPT_PIDS, OPT_STRACE, OPT_LOG,
       OPT_NO_PATCH };
static const struct argp_option options[] = {
	{ "rootfs", OPT_ROOTFS, "DIR", 0, "read-only lower tree of the root file system (default: the host's /); writes stay in memory", 0 },
	{ "bind", OPT_BIND, "SRC:DST[:ro]", 0, "show the host directory SRC at DST", 0 },
	{ "env", OPT_ENV, "K=V", 0, "set an environment variable; K alone: take the caller's", 0 },
	{ "clear-env", OPT_CLEAR_ENV, NULL, 0, "start from an empty environment", 0 },
	{ "cwd", OPT_CWD, "DIR", 0, "working directory (default: the present one, if the guest has it)", 0 },
	{ "user", OPT_USER, "UID[:GID]", 0, "user to run as (default: the caller)", 0 },
	{ "hostname", OPT_HOSTNAME, "NAME", 0, "host name (default: bailey)", 0 },
	{ "network", OPT_NETWORK, "none|host", 0, "none: loopback only (default)", 0 },
	{ "memory", OPT_MEMORY, "SIZE", 0, "bound on the guest's memory: bytes, or with k, m, g", 0 },
	{ "pids", OPT_PIDS, "N", 0, "bound on the number of tasks", 0 },
	{ "strace", OPT_STRACE, "FILE", OPTION_ARG_OPTIONAL, "trace system calls (default: to standard error)", 0 },
	{ "log", OPT_LOG, "LEVEL", 0, "error, warn (default), info or debug", 0 },
	{ "no-patch", OPT_NO_PATCH, NULL, 0, "leave the guest's system call instructions as they are", 0 },
	{ 0 },
};

struct run {
	struct sandbox_options o;
	char **env;
	unsigned nenv;
	bool user_given;
};

static void env_set(struct run *r, const char *k, size_t klen, char *entry /* owned; NULL: remove */)
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

static uint64_t parse_size(struct argp_state *st, const char *arg)
{
	char *end;

	errno = 0;
	unsigned long long v = strtoull(arg, &end, 10);
	unsigned shift = 0;
	switch (tolower((unsigned char)*end)) {
	case 'k': shift = 10; end++; break;
	case 'm': shift = 20; end++; break;
	case 'g': shift = 30; end++; break;
	}
	if (errno || end == arg || *end || !isdigit((unsigned char)*arg) || v > UINT64_MAX >> shift)
		argp_error(st, "%s: not a size", arg);
	return (uint64_t)v << shift;
}

static uint32_t parse_u32(struct argp_state *st, const char *arg, char **end, const char *what)
{
	errno = 0;
	unsigned long long v = strtoull(arg, end, 10);
	if (errno || *end == arg || !isdigit((unsigned char)*arg) || v >= UINT32_MAX)
		argp_error(st, "%s: not a %s", arg, what);
	return (uint32_t)v;
}

static void parse_bind(struct argp_state *st, struct run *r, const char *arg)
{
	char *s = xstrdup(arg), *dst = strchr(s, ':'), *opt;
	struct sandbox_bind b = { .source = s, .fd = -1 };

	if (!dst || dst == s || dst[1] != '/')
		argp_error(st, "--bind %s: SRC:DST[:ro] with an absolute DST is wanted", arg);
	*dst++ = 0;
	b.target = dst;
	opt = strchr(dst, ':');
	if (opt) {
		*opt++ = 0;
		if (!strcmp(opt, "ro"))
			b.ro = true;
		else if (strcmp(opt, "rw"))
			argp_error(st, "--bind %s: \"%s\" is neither ro nor rw", arg, opt);
	}
	r->o.binds = xrealloc(r->o.binds, (r->o.nbinds + 1) * sizeof(b));
	r->o.binds[r->o.nbinds++] = b;
}

static error_t parse(int key, char *arg, struct argp_state *st)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	struct run *r = st->input;
	struct sandbox_options *o = &r->o;
	char *end;

	switch (key) {
	case OPT_ROOTFS: o->rootfs = arg; break;
	case OPT_BIND: parse_bind(st, r, arg); break;
	case OPT_ENV:
		end = strchr(arg, '=');
		if (end == arg || !*arg) {
			argp_error(st, "--env %s: no name", arg);
		} else if (end) {
			env_set(r, arg, (size_t)(end - arg), arg);
		} else {
			const char *v = getenv(arg);
			env_set(r, arg, strlen(arg), v ? xasprintf("%s=%s", arg, v) : NULL);
		}
		break;
	case OPT_CLEAR_ENV: r->nenv = 0; r->env[0] = NULL; break;
	case OPT_CWD:
		if (*arg != '/')
			argp_error(st, "--cwd %s: not an absolute path", arg);
		o->cwd = arg;
		o->cwd_must_exist = true;
		break;
	case OPT_USER:
		o->uid = parse_u32(st, arg, &end, "user id");
		o->gid = o->uid;
		if (*end == ':')
			o->gid = parse_u32(st, end + 1, &end, "group id");
		if (*end)
			argp_error(st, "--user %s: UID[:GID] is wanted", arg);
		r->user_given = true;
		break;
	case OPT_HOSTNAME:
		if (!*arg || strlen(arg) > 64)
			argp_error(st, "--hostname: 1 to 64 characters are wanted");
		o->hostname = arg;
		break;
	case OPT_NETWORK:
		if (strcmp(arg, "none") && strcmp(arg, "host"))
			argp_error(st, "--network %s: neither none nor host", arg);
		o->host_network = !strcmp(arg, "host");
		break;
	case OPT_MEMORY: o->memory_limit = parse_size(st, arg); break;
	case OPT_PIDS:
		o->max_pids = parse_u32(st, arg, &end, "number");
		if (*end || !o->max_pids)
			argp_error(st, "--pids %s: not a number", arg);
		break;
	case OPT_STRACE:
		o->strace_fd = arg ? open(arg, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644) : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
		if (o->strace_fd < 0)
			argp_failure(st, EXIT_BAILEY, errno, "--strace=%s", arg ? arg : "");
		break;
	case OPT_LOG:
		for (unsigned i = 0; i < ARRAY_SIZE(levels); i++)
			if (!strcmp(arg, levels[i])) {
				o->log_level = (enum log_level)i;
				return 0;
			}
		argp_error(st, "--log %s: error, warn, info or debug is wanted", arg);
		break;
	case OPT_NO_PATCH: o->no_patch = true; break;
	case ARGP_KEY_ARGS: o->argv = st->argv + st->next; break;
	case ARGP_KEY_NO_ARGS: argp_error(st, "no command to run"); break;
	default: return ARGP_ERR_UNKNOWN;
	}
	return 0;
}

/* ---- the terminal ---- */

static struct termios saved_termios;
static bool raw;

static void terminal_restore(void)
{
	if (raw)
		tcsetattr(STDOUT_FILENO, TCSADRAIN, &saved_termios);
	raw = false;
}

static void terminal_raw(struct sandbox_options *o)
{
	struct termios t;

	if (!isatty(STDOUT_FILENO) || tcgetattr(STDOUT_FILENO, &saved_termios))
		return;
	o->tty = true;
	o->termios = t = saved_termios;
	cfmakeraw(&t);
	raw = tcsetattr(STDOUT_FILENO, TCSADRAIN, &t) == 0;
}

/* ---- the kernel process ---- */

static void send_ctl(int fd, int type, int a, int b)
{
	struct ctl_msg m = { type, a, b };

	(void)!send(fd, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_winsize(int fd)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0)
		send_ctl(fd, CTL_WINSIZE, w.ws_row, w.ws_col);
}

/* Tier 3: stubs that outlived the kernel process have become our children. */
static void kill_orphans(void)
{
	char path[64];
	int pid, n;

	for (int round = 0; round < 100; round++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
		FILE *f = fopen(path, "re");
		n = 0;
		while (f && fscanf(f, "%d", &pid) == 1) {
			kill(pid, SIGKILL);
			n++;
		}
		if (f)
			fclose(f);
		while (waitpid(-1, NULL, __WALL | (n ? 0 : WNOHANG)) > 0)
			;
		if (!n)
			return;
	}
}

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH };

static int watch(const struct sandbox_options *o, int ctl, int sigfd, pid_t child)
{
	struct pollfd p[2] = { { .fd = ctl, .events = POLLIN }, { .fd = sigfd, .events = POLLIN } };
	struct ctl_status m = { 0 };
	bool failed = false, ready = false;
	int status = 0, failure = 0;

	if (o->tty)
		send_winsize(ctl);
	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents & POLLIN) {
			struct signalfd_siginfo si;
			if (read(sigfd, &si, sizeof(si)) == sizeof(si)) {
				if (si.ssi_signo == SIGWINCH && o->tty)
					send_winsize(ctl);
				else if (si.ssi_signo != SIGWINCH)
					/* What the keyboard sent goes to the guest's foreground group, as the terminal would do it. */
					send_ctl(ctl, CTL_SIGNAL, (int)si.ssi_signo, si.ssi_code == SI_KERNEL);
			}
		}
		if (p[0].revents) {
			ssize_t n = recv(ctl, &m, sizeof(m), MSG_DONTWAIT);
			if (n == sizeof(m) && m.type == CTL_READY) {
				ready = true;
			} else if (n == sizeof(m) && m.type == CTL_FAILED) {
				failed = true;
				failure = m.status;
				m.text[sizeof(m.text) - 1] = 0;
				terminal_restore();
				log_error("%s", m.text);
			} else if (n <= 0 && !(n < 0 && (errno == EAGAIN || errno == EINTR))) {
				break;
			}
		}
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	terminal_restore();
	if (o->tier == TIER_BARE)
		kill_orphans();
	if (failed)
		return failure;
	if (WIFSIGNALED(status)) {
		log_error("the kernel process was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
		return EXIT_BAILEY;
	}
	if (!ready && WEXITSTATUS(status) == 0) {
		log_error("the kernel process ended before the guest ran");
		return EXIT_BAILEY;
	}
	return WEXITSTATUS(status);
}

int cmd_run(int argc, char **argv)
{
	static const struct argp argp = { options, parse, "CMD [ARG...]",
		"Run CMD in a sandbox of its own.\vThe exit status is CMD's, 128 plus the signal that killed it, 125 if Bailey itself failed, "
		"126 if CMD cannot be executed, 127 if it is not found.", NULL, NULL, NULL };
	struct run r = { .o = { .strace_fd = -1, .log_level = LOG_WARN, .hostname = "bailey", .uid = geteuid(), .gid = getegid() } };
	static char reason[256], cwd[4096];
	sigset_t set, old;
	int sv[2];

	for (char **e = environ; *e; e++)
		r.nenv++;
	r.env = xcalloc(r.nenv + 1, sizeof(*r.env));
	memcpy(r.env, environ, r.nenv * sizeof(*r.env));
	argp_err_exit_status = EXIT_BAILEY;
	char name[] = "bailey run";
	argv[0] = name;
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &r);
	struct sandbox_options *o = &r.o;
	o->envv = r.env;
	if (!r.user_given) {
		int n = getgroups(0, NULL);
		o->groups = xcalloc(n > 0 ? (size_t)n : 1, sizeof(*o->groups));
		n = getgroups(n, o->groups);
		o->ngroups = n > 0 ? (unsigned)n : 0;
	}
	if (!o->cwd && !o->rootfs)
		o->cwd = getcwd(cwd, sizeof(cwd));
	/* What closes before we open anything must not become one of our own descriptors. */
	for (int fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null", O_RDWR);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) {
		log_error("creating the control socket: %s", strerror(errno));
		return EXIT_BAILEY;
	}
	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, &old);
	o->tier = jail_prepare(reason, sizeof(reason));
	o->tier_reason = reason;
	terminal_raw(o);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		close(sv[0]);
		o->control_fd = sv[1];
		_exit(sandbox_run(o));
	}
	int err = errno;
	close(sv[1]);
	if (child < 0) {
		terminal_restore();
		log_error("starting the kernel process: %s", strerror(err));
		return EXIT_BAILEY;
	}
	int sigfd = signalfd(-1, &set, SFD_CLOEXEC);
	if (sigfd < 0) {
		err = errno;
		kill(child, SIGKILL);
		terminal_restore();
		log_error("signalfd: %s", strerror(err));
		return EXIT_BAILEY;
	}
	log_init(STDERR_FILENO, o->log_level);
	return watch(o, sv[0], sigfd, child);
}
