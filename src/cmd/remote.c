/* SPDX-License-Identifier: Apache-2.0 */
/* remote.c: `bailey exec`, `ps`, `kill`, `pause` and `resume`: what is done to a sandbox that `bailey run --name` started (serve.c). */
#include "cmd/cmd.h"
#include "lib/lib.h"
#include "sandbox/sandbox.h"
#include <dirent.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* 0, or -1 with the reason said. */
static int open_sandbox(const char *command, const char *name, struct ctl_client *c)
{
	int sock = serve_name_ok(name) ? serve_connect(name) : -EINVAL;
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct ctl_msg m;
	uint32_t version = 0;

	if (sock < 0) {
		fprintf(stderr, "bailey: %s: %s: %s\n", command, name,
			sock == -ENOENT || sock == -ECONNREFUSED ? "no sandbox of this name is running" :
			sock == -ENXIO ? "XDG_RUNTIME_DIR is not set" : strerror(-sock));
		return -1;
	}
	/* It may be starting. */
	int r = poll(&p, 1, 60000) > 0 ? ctl_recv(sock, &m, false) : -ETIMEDOUT;
	if (!r) {
		if (m.head.type == CTL_REPLY && m.head.len == sizeof(version))
			memcpy(&version, m.payload, sizeof(version));
		ctl_msg_free(&m);
	}
	if (r || version != CTL_VERSION) {
		close(sock);
		fprintf(stderr, "bailey: %s: %s: %s\n", command, name, r == -EPIPE ? "it ends, or does not let us" : r ? strerror(-r) : "it is of another version of Bailey");
		return -1;
	}
	return ctl_client_init(c, sock) ? -1 : 0;
}

static int said(const char *command, const char *name, int r)
{
	if (!r)
		return 0;
	fprintf(stderr, "bailey: %s: %s: %s\n", command, name, r == -EPIPE ? "the sandbox has ended" : strerror(-r));
	return EXIT_BAILEY;
}

static bool is_help(int argc, char **argv) { return argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")); }

/* ---- exec ---- */

static const int forwarded[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM };

struct ending { uint32_t process; bool ended; int status; };

static void on_event(void *arg, const struct ctl_msg *m)
{
	struct ending *e = arg;
	struct ctl_exited x;

	if (!m || m->head.type != CTL_EXITED || m->head.len != sizeof(x))
		return;
	memcpy(&x, m->payload, sizeof(x));
	/* The only process that this connection made: it may end before we know its number. */
	e->ended = true;
	e->status = x.status;
}

static int watch(struct ctl_client *c, struct ending *e, int sigfd)
{
	struct pollfd p[2] = { { .fd = c->sock, .events = POLLIN }, { .fd = sigfd, .events = POLLIN } };
	struct signalfd_siginfo si;

	while (!e->ended) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents & POLLIN && read(sigfd, &si, sizeof(si)) == sizeof(si)) {
			uint32_t v[3] = { e->process, CTL_SCOPE_GROUP, si.ssi_signo };
			(void)ctl_post(c, CTL_SIGNAL, v, sizeof(v));
		}
		if (p[0].revents && ctl_wait(c, NULL, NULL, 0) == -EPIPE)
			return -EPIPE;
	}
	return 0;
}

int cmd_exec(int argc, char **argv)
{
	static const struct option lo[] = { { "env", required_argument, NULL, 'e' }, { "clear-env", no_argument, NULL, 'c' }, { "cwd", required_argument, NULL, 'd' },
					    { "user", required_argument, NULL, 'u' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct program p = { 0 };
	struct ending e = { 0 };
	struct ctl_client c;
	char text[500];
	sigset_t set;
	int key, pipefd[2];

	program_inherit(&p);
	opterr = 0;
	while ((key = getopt_long(argc, argv, "+:", lo, NULL)) != -1)
		switch (key) {
		case 'e': program_env(&p, "exec", optarg); break;
		case 'c': p.nenv = 0; p.env[0] = NULL; break;
		case 'd': program_cwd(&p, "exec", optarg); break;
		case 'u': program_user(&p, "exec", optarg); break;
		case 'h':
			puts("usage: bailey exec [OPTION...] NAME [--] CMD [ARG...]\nRun CMD in the sandbox that `bailey run --name NAME` started.\n\n"
			     "  --env=K=V, --clear-env, --cwd=DIR, --user=UID[:GID]    as for `bailey run`\n\n"
			     "The exit status is as that of `bailey run`. Terminals are plain streams to CMD: job control is the sandbox's own.");
			return 0;
		default: wrong("exec", key == ':' ? "%s wants a value" : "no option %s", argv[optind - 1]);
		}
	if (optind >= argc)
		wrong("exec", "no sandbox is named");
	const char *name = argv[optind++];
	if (optind < argc && !strcmp(argv[optind], "--"))
		optind++;
	if (optind >= argc || !*argv[optind])
		wrong("exec", "no command to run");
	p.argv = argv + optind;
	program_finish(&p, false);
	sigemptyset(&set);
	for (unsigned i = 0; i < ARRAY_SIZE(forwarded); i++)
		sigaddset(&set, forwarded[i]);
	sigprocmask(SIG_BLOCK, &set, NULL);
	int sigfd = signalfd(-1, &set, SFD_CLOEXEC);
	if (sigfd < 0 || pipe2(pipefd, O_CLOEXEC))
		return said("exec", name, -errno);
	if (open_sandbox("exec", name, &c))
		return EXIT_BAILEY;
	c.arg = &e;
	c.event = on_event;
	int status = program_create(&p, &c, 0, false, pipefd[1], &e.process, text);
	if (status) {
		fprintf(stderr, "bailey: %s\n", text);
		return status;
	}
	if (watch(&c, &e, sigfd) && !e.ended)
		return said("exec", name, -EPIPE);
	return WIFSIGNALED(e.status) ? 128 + WTERMSIG(e.status) : WEXITSTATUS(e.status);
}

/* ---- ps ---- */

/* Calls fn with each process; 0 or -errno. */
static int each_task(struct ctl_client *c, void (*fn)(const struct ctl_task *t, void *arg), void *arg)
{
	uint32_t from = 1, next;

	do {
		struct ctl_msg m;
		int r = ctl_call(c, CTL_TASKS, &from, sizeof(from), NULL, 0, &m);
		struct ctl_reader rd = { m.payload, m.head.len, false };
		next = r ? 0 : ctl_get_u32(&rd);
		if (!r && (rd.bad || rd.left % sizeof(struct ctl_task) || (next && next <= from)))
			r = -EPROTO;
		while (!r && rd.left) {
			struct ctl_task t;
			ctl_get(&rd, &t, sizeof(t));
			t.name[sizeof(t.name) - 1] = 0;
			for (char *s = t.name; *s; s++) /* guests choose their names: nothing that drives a terminal */
				if ((unsigned char)*s < 32 || (unsigned char)*s > 126)
					*s = '?';
			fn(&t, arg);
		}
		ctl_msg_free(&m);
		if (r)
			return r;
		from = next;
	} while (next);
	return 0;
}

static void print_task(const struct ctl_task *t, void *arg)
{
	uint64_t ms = (t->utime_ns + t->stime_ns) / 1000000;

	printf("%7d %7d %6u %c%c %7u %6llu.%02llu %s\n", t->pid, t->ppid, t->uid, t->state >= 'A' && t->state <= 'z' ? t->state : '?', t->paused ? 'p' : ' ', t->threads,
	       (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000 / 10), t->name);
}

static void count_task(const struct ctl_task *t, void *arg) { ++*(unsigned *)arg; }

static int list_sandboxes(void)
{
	int fd = serve_dir(false);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;

	puts("PROCESSES NAME");
	for (struct dirent *e; d && (e = readdir(d));) {
		struct ctl_client c;
		unsigned n = 0;
		int sock = serve_name_ok(e->d_name) ? serve_connect(e->d_name) : -EINVAL;
		if (sock < 0)
			continue; /* what was left behind */
		close(sock);
		if (open_sandbox("ps", e->d_name, &c))
			continue;
		if (!each_task(&c, count_task, &n))
			printf("%9u %s\n", n, e->d_name);
		ctl_client_destroy(&c);
	}
	if (d)
		closedir(d);
	return fflush(stdout) ? EXIT_BAILEY : 0;
}

int cmd_ps(int argc, char **argv)
{
	struct ctl_client c;

	if (is_help(argc, argv)) {
		puts("usage: bailey ps [NAME]\nList the processes of the sandbox NAME, or the sandboxes that have names. p: paused.");
		return 0;
	}
	if (argc > 2)
		wrong("ps", "one name is wanted");
	if (argc < 2)
		return list_sandboxes();
	if (open_sandbox("ps", argv[1], &c))
		return EXIT_BAILEY;
	puts("    PID    PPID    UID S  THREADS      TIME NAME");
	int r = each_task(&c, print_task, NULL);
	ctl_client_destroy(&c);
	return fflush(stdout) ? EXIT_BAILEY : said("ps", argv[1], r);
}

/* ---- kill, pause, resume ---- */

static int signal_by_name(const char *s)
{
	char *end;
	long v = strtol(s, &end, 10);

	if (*s && !*end)
		return v >= 1 && v <= 64 ? (int)v : -1;
	if (!strncmp(s, "SIG", 3))
		s += 3;
	for (int sig = 1; sig < 32; sig++)
		if (sigabbrev_np(sig) && !strcmp(sigabbrev_np(sig), s))
			return sig;
	return -1;
}

int cmd_kill(int argc, char **argv)
{
	static const struct option lo[] = { { "signal", required_argument, NULL, 's' }, { "all", no_argument, NULL, 'a' }, { "help", no_argument, NULL, 'h' }, { 0 } };
	struct ctl_client c;
	int key, sig = SIGTERM, r = 0;
	bool all = false;

	opterr = 0;
	while ((key = getopt_long(argc, argv, "+:s:", lo, NULL)) != -1)
		switch (key) {
		case 's':
			sig = signal_by_name(optarg);
			if (sig < 0)
				wrong("kill", "%s: not a signal", optarg);
			break;
		case 'a': all = true; break;
		case 'h':
			puts("usage: bailey kill [-s SIGNAL] NAME [PID...]\n       bailey kill [-s SIGNAL] --all NAME\n"
			     "Send a signal (TERM) to the first process of the sandbox NAME, to those with these numbers, or to all.");
			return 0;
		default: wrong("kill", key == ':' ? "%s wants a value" : "no option %s", argv[optind - 1]);
		}
	if (optind >= argc)
		wrong("kill", "no sandbox is named");
	const char *name = argv[optind++];
	if (all && optind < argc)
		wrong("kill", "--all and numbers do not go together");
	uint32_t *pids = xcalloc((size_t)(argc - optind) + 1, sizeof(*pids));
	unsigned n = 0;
	for (; optind < argc; optind++) {
		char *end;
		pids[n++] = parse_u32("kill", argv[optind], &end, "process number");
		if (*end)
			wrong("kill", "%s: not a process number", argv[optind]);
	}
	if (open_sandbox("kill", name, &c)) {
		free(pids);
		return EXIT_BAILEY;
	}
	if (all || !n) {
		uint32_t v[3] = { 0, CTL_SCOPE_ALL, (uint32_t)sig }, first[2] = { (uint32_t)sig, 0 };
		r = all ? ctl_call(&c, CTL_SIGNAL, v, sizeof(v), NULL, 0, NULL) : ctl_call(&c, CTL_TERMINAL_SIGNAL, first, sizeof(first), NULL, 0, NULL);
	}
	for (unsigned i = 0; i < n; i++) {
		uint32_t v[3] = { pids[i], CTL_SCOPE_TASK, (uint32_t)sig };
		int one = ctl_call(&c, CTL_SIGNAL, v, sizeof(v), NULL, 0, NULL);
		r = one ? one : r;
	}
	free(pids);
	ctl_client_destroy(&c);
	/* What kills the sandbox may come before the answer. */
	return r == -EPIPE ? 0 : said("kill", name, r);
}

int cmd_pause(int argc, char **argv)
{
	bool pause = !strcmp(argv[0], "pause");
	uint32_t v[2] = { 0, CTL_SCOPE_ALL };
	struct ctl_client c;

	if (is_help(argc, argv)) {
		printf("usage: bailey %s NAME\n%s the sandbox NAME. Pauses nest.\n", argv[0], pause ? "Stop everything in" : "End one pause of");
		return 0;
	}
	if (argc != 2)
		wrong(argv[0], "one name is wanted");
	if (open_sandbox(argv[0], argv[1], &c))
		return EXIT_BAILEY;
	int r = ctl_call(&c, pause ? CTL_PAUSE : CTL_UNPAUSE, v, sizeof(v), NULL, 0, NULL);
	ctl_client_destroy(&c);
	if (r == -EINVAL && !pause) {
		fprintf(stderr, "bailey: resume: %s: it is not paused\n", argv[1]);
		return EXIT_BAILEY;
	}
	return said(argv[0], argv[1], r);
}
