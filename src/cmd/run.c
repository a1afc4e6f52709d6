/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: `bailey run`: the command line's process. It decodes options, starts the kernel process, passes signals on, keeps the terminal,
 * and takes the status. It holds no guest state. */
#include "cmd/cmd.h"
#include "control/client.h"
#include "kernel/trace.h"
#include "sandbox/sandbox.h"
#include "syscalls/syscalls.h"
#include <ctype.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPT_ROOTFS = 256, OPT_BIND, OPT_ENV, OPT_CLEAR_ENV, OPT_CWD, OPT_USER, OPT_HOSTNAME, OPT_NETWORK, OPT_MEMORY, OPT_PIDS, OPT_WORKERS, OPT_STRACE, OPT_EVENTS, OPT_CALLS, OPT_CPUS, OPT_LOG,
       OPT_NO_PATCH, OPT_INIT, OPT_NAME, OPT_HELP };
static const struct { const char *name; int key, has_arg; const char *arg, *help; } options[] = {
	{ "rootfs", OPT_ROOTFS, required_argument, "DIR", "read-only lower tree of the root file system (default: the host's /); writes stay in memory" },
	{ "bind", OPT_BIND, required_argument, "SRC:DST[:ro]", "show the host's directory or file SRC at DST" },
	{ "env", OPT_ENV, required_argument, "K=V", "set an environment variable; K alone: take the caller's" },
	{ "clear-env", OPT_CLEAR_ENV, no_argument, NULL, "start from an empty environment" },
	{ "cwd", OPT_CWD, required_argument, "DIR", "working directory (default: the present one, if the guest has it)" },
	{ "user", OPT_USER, required_argument, "UID[:GID]", "user to run as (default: the caller)" },
	{ "hostname", OPT_HOSTNAME, required_argument, "NAME", "host name (default: bailey); unless --network host, it is in /etc/hosts too" },
	{ "name", OPT_NAME, required_argument, "NAME", "what `bailey exec`, ps, kill, pause and resume call it" },
	{ "network", OPT_NETWORK, required_argument, "none|host", "none: loopback only (default)" },
	{ "memory", OPT_MEMORY, required_argument, "SIZE", "bound on the guest's memory: bytes, or with k, m, g" },
	{ "pids", OPT_PIDS, required_argument, "N", "bound on the number of tasks" },
	{ "cpus", OPT_CPUS, required_argument, "N", "CPUs that the guest has (default: all that the caller may use)" },
	{ "workers", OPT_WORKERS, required_argument, "N", "host threads that serve system calls (default: $BAILEY_WORKERS, or 1)" },
	{ "init", OPT_INIT, no_argument, NULL, "CMD is process 2, as below an init, instead of process 1" },
	{ "strace", OPT_STRACE, optional_argument, "FILE", "trace system calls (default: to standard error)" },
	{ "events", OPT_EVENTS, required_argument, "FILE", "tell of starts, clones, execs and exits: a line of JSON each" },
	{ "calls", OPT_CALLS, required_argument, "NAME,...", "these system calls only in --strace, and also in --events" },
	{ "log", OPT_LOG, required_argument, "LEVEL", "error, warn (default), info or debug" },
	{ "no-patch", OPT_NO_PATCH, no_argument, NULL, "leave the guest's system call instructions as they are" },
	{ "help", OPT_HELP, no_argument, NULL, "this text" },
};

static void help(void)
{
	puts("usage: bailey run [OPTION...] [--] CMD [ARG...]\nRun CMD in a sandbox of its own.\n");
	for (unsigned i = 0; i < ARRAY_SIZE(options); i++) {
		char left[64];
		bool opt = options[i].has_arg == optional_argument;
		snprintf(left, sizeof(left), "--%s%s%s%s", options[i].name, opt ? "[" : "", options[i].arg ? "=" : "", options[i].arg ? options[i].arg : "");
		printf("  %s%-*s %s\n", left, (int)(strlen(left) < 26 ? 26 - strlen(left) : 0), opt ? "]" : "", options[i].help);
	}
	puts("\nThe exit status is CMD's, 128 plus the signal that killed it, 125 if Bailey itself failed,\n"
	     "126 if CMD cannot be executed, 127 if it is not found.");
}

struct run {
	struct sandbox_options o;
	struct program p;
	bool second;
	const char *name; /* NULL: none */
	struct serve *serve;
	uint32_t process; /* CMD, as the kernel process calls it */
};

static uint64_t parse_size(const char *arg)
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
		wrong("run", "%s: not a size", arg);
	return (uint64_t)v << shift;
}

static void parse_bind(struct run *r, const char *arg)
{
	char *s = xstrdup(arg), *dst = strchr(s, ':'), *opt;
	struct sandbox_bind b = { .source = s, .fd = -1 };

	if (!dst || dst == s || dst[1] != '/')
		wrong("run", "--bind %s: SRC:DST[:ro] with an absolute DST is wanted", arg);
	*dst++ = 0;
	b.target = dst;
	opt = strchr(dst, ':');
	if (opt) {
		*opt++ = 0;
		if (!strcmp(opt, "ro"))
			b.ro = true;
		else if (strcmp(opt, "rw"))
			wrong("run", "--bind %s: \"%s\" is neither ro nor rw", arg, opt);
	}
	r->o.binds = xrealloc(r->o.binds, (r->o.nbinds + 1) * sizeof(b));
	r->o.binds[r->o.nbinds++] = b;
}

static void parse(struct run *r, int key, char *arg)
{
	static const char *const levels[] = { "error", "warn", "info", "debug" };
	struct sandbox_options *o = &r->o;
	char *end;

	switch (key) {
	case OPT_ROOTFS: o->rootfs = arg; break;
	case OPT_BIND: parse_bind(r, arg); break;
	case OPT_ENV: program_env(&r->p, "run", arg); break;
	case OPT_CLEAR_ENV: r->p.nenv = 0; r->p.env[0] = NULL; break;
	case OPT_CWD: program_cwd(&r->p, "run", arg); break;
	case OPT_USER: program_user(&r->p, "run", arg); break;
	case OPT_NAME:
		if (!serve_name_ok(arg))
			wrong("run", "--name %s: letters, digits and _ . - are wanted", arg);
		r->name = arg;
		break;
	case OPT_HOSTNAME:
		if (!*arg || strlen(arg) > 64)
			wrong("run", "--hostname: 1 to 64 characters are wanted");
		o->hostname = arg;
		break;
	case OPT_NETWORK:
		if (strcmp(arg, "none") && strcmp(arg, "host"))
			wrong("run", "--network %s: neither none nor host", arg);
		o->host_network = !strcmp(arg, "host");
		break;
	case OPT_MEMORY: o->memory_limit = parse_size(arg); break;
	case OPT_PIDS:
		o->max_pids = parse_u32("run", arg, &end, "number");
		if (*end || !o->max_pids)
			wrong("run", "--pids %s: not a number", arg);
		break;
	case OPT_WORKERS:
		o->workers = parse_u32("run", arg, &end, "number");
		if (*end || !o->workers || o->workers > WORKERS_MAX)
			wrong("run", "--workers %s: not a number from 1 to %d", arg, WORKERS_MAX);
		break;
	case OPT_STRACE:
		o->strace_fd = arg ? open(arg, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644) : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
		if (o->strace_fd < 0)
			wrong("run", "--strace=%s: %s", arg ? arg : "", strerror(errno));
		break;
	case OPT_EVENTS:
		o->events_fd = open(arg, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
		if (o->events_fd < 0)
			wrong("run", "--events=%s: %s", arg, strerror(errno));
		break;
	case OPT_CALLS: {
		uint64_t set[TRACE_WORDS];
		const char *unknown = syscall_set_parse(arg, set);
		if (unknown)
			wrong("run", "--calls: there is no system call \"%s\"", unknown);
		o->calls = arg;
		break;
	}
	case OPT_CPUS:
		o->ncpus = parse_u32("run", arg, &end, "number");
		if (*end || !o->ncpus)
			wrong("run", "--cpus %s: not a number", arg);
		break;
	case OPT_LOG:
		for (unsigned i = 0; i < ARRAY_SIZE(levels); i++)
			if (!strcmp(arg, levels[i])) {
				o->log_level = (enum log_level)i;
				return;
			}
		wrong("run", "--log %s: error, warn, info or debug is wanted", arg);
		break;
	case OPT_INIT: r->second = true; break;
	case OPT_NO_PATCH: o->no_patch = true; break;
	case OPT_HELP:
		help();
		exit(fflush(stdout) ? EXIT_BAILEY : 0);
	}
}

/* Options end at the first word that is none. */
static void parse_words(struct run *r, int argc, char **argv)
{
	struct option lo[ARRAY_SIZE(options) + 1] = { 0 };
	int key;

	for (unsigned i = 0; i < ARRAY_SIZE(options); i++)
		lo[i] = (struct option){ options[i].name, options[i].has_arg, NULL, options[i].key };
	opterr = 0;
	optind = 1;
	while ((key = getopt_long(argc, argv, "+:", lo, NULL)) != -1) {
		if (key == ':')
			wrong("run", "%s wants a value", argv[optind - 1]);
		if (key == '?' && optopt && optopt < 256)
			wrong("run", "no option -%c", optopt);
		if (key == '?')
			wrong("run", optopt ? "%s takes no value" : "no option %s, or short for several", argv[optind - 1]);
		parse(r, key, optarg);
	}
	if (optind == argc)
		wrong("run", "no command to run");
	if (!*argv[optind])
		wrong("run", "the command is empty");
	r->p.argv = argv + optind;
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

/* Or a terminal that is not ours to be in the background of. */
static bool in_foreground(void)
{
	pid_t pg = tcgetpgrp(STDOUT_FILENO);

	return pg < 0 || pg == getpgrp();
}

/* Again after a stop: the shell may have set it to rights meanwhile. */
static void terminal_raw(void)
{
	struct termios t;

	if (!raw && tcgetattr(STDOUT_FILENO, &saved_termios))
		return;
	t = saved_termios;
	cfmakeraw(&t);
	raw = tcsetattr(STDOUT_FILENO, TCSADRAIN, &t) == 0;
}

static void terminal_begin(struct sandbox_options *o)
{
	if (!isatty(STDOUT_FILENO) || tcgetattr(STDOUT_FILENO, &saved_termios))
		return;
	o->tty = true;
	o->termios = saved_termios;
	if (in_foreground())
		terminal_raw();
}

/* ---- the kernel process ---- */

static void post(struct ctl_client *c, uint32_t type, int a, int b)
{
	uint32_t v[2] = { (uint32_t)a, (uint32_t)b };

	(void)ctl_post(c, type, v, sizeof(v));
}

static void send_winsize(struct ctl_client *c)
{
	struct winsize w;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0)
		post(c, CTL_WINSIZE, w.ws_row, w.ws_col);
}

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH, SIGTSTP, SIGCONT };

/* Creates and starts CMD. 0, or the exit status with the reason said. */
static int start(struct run *r, struct ctl_client *c)
{
	char text[500];
	int pipefd[2];

	if (pipe2(pipefd, O_CLOEXEC)) {
		log_error("pipe: %s", strerror(errno));
		return EXIT_BAILEY;
	}
	/* The end of the kernel process says enough: nobody reads the pipe. */
	int status = program_create(&r->p, c, CTL_PROCESS_INIT | (r->second ? CTL_PROCESS_SECOND : 0) | (r->o.tty ? CTL_PROCESS_TTY : 0), r->o.tty, pipefd[1],
				    &r->process, text);
	close(pipefd[0]);
	close(pipefd[1]);
	if (status) {
		terminal_restore();
		log_error("%s", text);
	}
	return status;
}

/* ---- a job of the shell ---- */

static volatile int stopped_by; /* the guest's process, by this signal */
static bool foreground = true;  /* as the kernel process was told */

/* Started in the background, we saw the settings that the shell has for itself: the program's are those of its first time in the foreground. */
static void send_job(struct ctl_client *c)
{
	static bool began;
	struct { uint32_t v[2]; struct termios tio; } m = { { foreground, getpgrp() != getsid(0) }, saved_termios };

	(void)ctl_post(c, CTL_JOB, &m, raw && !began ? sizeof(m) : sizeof(m.v));
	began |= raw;
}

static void on_event(void *arg, const struct ctl_msg *m)
{
	struct run *r = arg;
	uint32_t v[2];

	if (m && m->head.type == CTL_EXITED && r->serve)
		serve_event(r->serve, m);
	if (!m || m->head.type != CTL_STOPPED || m->head.len != sizeof(v))
		return;
	memcpy(v, m->payload, sizeof(v));
	if (v[0] != r->process) /* one of `bailey exec` */
		return;
	if (v[1] == SIGSTOP || v[1] == SIGTSTP || v[1] == SIGTTIN || v[1] == SIGTTOU)
		stopped_by = (int)v[1];
}

/* The program has stopped: so do we, for the shell to see, with the terminal as it was. Returns when continued. */
static void stop_too(struct run *r, struct ctl_client *c, int sig)
{
	sigset_t set, pending;

	terminal_restore();
	foreground = false;
	if (r->o.tty)
		send_job(c);
	sigemptyset(&set);
	sigaddset(&set, sig);
	if (sig != SIGSTOP) {
		signal(sig, SIG_DFL);
		if (r->o.tty)
			kill(0, sig); /* all of the job, as the keyboard would */
		else
			raise(sig);
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		if (sig == SIGTSTP)
			sigprocmask(SIG_BLOCK, &set, NULL);
	}
	/* Nobody's job: no default action stops us. */
	if (!sigpending(&pending) && !sigismember(&pending, SIGCONT))
		raise(SIGSTOP);
}

/* Maybe in the foreground again. */
static void resume(struct run *r, struct ctl_client *c)
{
	if (!r->o.tty || !in_foreground())
		return;
	foreground = true;
	terminal_raw();
	send_job(c);
	send_winsize(c);
}

/* Passes signals on until the kernel process is gone. */
static void watch(struct run *r, struct ctl_client *c, int sigfd)
{
	struct pollfd p[2 + SERVE_POLLS] = { { .fd = c->sock, .events = POLLIN }, { .fd = sigfd, .events = POLLIN } };
	struct signalfd_siginfo si;

	if (r->o.tty)
		send_winsize(c);
	for (;;) {
		unsigned served = r->serve ? serve_poll(r->serve, p + 2, SERVE_POLLS) : 0;
		/* A shell may bring a running job to the foreground without a word. */
		int n = poll(p, 2 + served, foreground || !r->o.tty ? -1 : 200);
		if (n < 0)
			continue;
		if (n == 0) {
			resume(r, c);
			continue;
		}
		if (p[1].revents & POLLIN && read(sigfd, &si, sizeof(si)) == sizeof(si)) {
			if (si.ssi_signo == SIGWINCH && r->o.tty)
				send_winsize(c);
			if (si.ssi_signo == SIGCONT)
				resume(r, c);
			if (si.ssi_signo != SIGWINCH)
				/* What the keyboard sent goes to the guest's foreground group, as the terminal would do it. */
				post(c, CTL_TERMINAL_SIGNAL, (int)si.ssi_signo, si.ssi_code == SI_KERNEL);
		}
		if (served)
			serve_handle(r->serve, p + 2, served);
		if ((p[0].revents || served) && ctl_wait(c, NULL, NULL, 0) == -EPIPE)
			return;
		if (stopped_by) {
			int sig = stopped_by;
			stopped_by = 0;
			stop_too(r, c, sig);
		}
	}
}

static int run(struct run *r, const sigset_t *set)
{
	struct ctl_status st;
	struct ctl_client c;
	struct launch l;
	int sigfd = signalfd(-1, set, SFD_CLOEXEC);

	if (sigfd < 0) {
		terminal_restore();
		log_error("signalfd: %s", strerror(errno));
		return EXIT_BAILEY;
	}
	char text[500];
	if (r->name && serve_start(r->name, &r->serve, text)) {
		terminal_restore();
		log_error("%s", text);
		return EXIT_BAILEY;
	}
	if (!sandbox_launch(&r->o, -1, &l, &st)) {
		terminal_restore();
		log_error("%s", st.text);
		serve_stop(r->serve);
		return st.status;
	}
	if (ctl_client_init(&c, l.control_fd))
		return EXIT_BAILEY;
	c.arg = r;
	c.event = on_event;
	foreground = !r->o.tty || raw;
	send_job(&c);
	if (r->serve)
		serve_client(r->serve, &c);
	int failed = start(r, &c);
	if (!failed)
		watch(r, &c, sigfd);
	serve_stop(r->serve);
	ctl_client_destroy(&c);
	int status = sandbox_reap(&l);
	terminal_restore();
	if (failed)
		return failed;
	if (WIFSIGNALED(status)) {
		log_error("the kernel process was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
		return EXIT_BAILEY;
	}
	return WEXITSTATUS(status);
}

int cmd_run(int argc, char **argv)
{
	struct run r = { .o = { .strace_fd = -1, .events_fd = -1, .log_level = LOG_WARN, .hostname = "bailey", .host_uid = geteuid(), .host_gid = getegid() } };
	sigset_t set;

	program_inherit(&r.p);
	parse_words(&r, argc, argv);
	struct sandbox_options *o = &r.o;
	program_finish(&r.p, o->rootfs);
	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	log_init(STDERR_FILENO, o->log_level);
	terminal_begin(o);
	/* The best jail that the host allows. */
	const char *first = getenv("BAILEY_TIER"); /* for tests: not a better one than this */
	o->tier = first && *first >= '1' && *first <= '3' && !first[1] ? (enum jail_tier)(*first - '0') : TIER_ROOT;
	return run(&r, &set);
}
