/* SPDX-License-Identifier: Apache-2.0 */
/* judge.c: what an online judge does with one submission: runs an untrusted program with bounds on CPU time, time on the clock, memory, processes and
 * output, compares what it prints with what is expected, and says a verdict. One line on standard output:
 *
 *     VERDICT  cpu 0.012 s  wall 0.020 s  memory 3456 KiB
 *
 * accepted, wrong answer, time limit, memory limit, output limit, runtime error (exit status N | signal N), not run (reason).
 * Exit status: 0 accepted, 1 any other verdict, 2 wrong use, 3 the judge itself failed.
 *
 *     judge --cpu 2 --memory 256m --expect answer.txt --input in.txt --bind $PWD:/box:ro -- /box/solution
 */
#include <bailey.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct limits { double cpu, wall; uint64_t memory, output, file; unsigned tasks; };
struct output { char *data; size_t len; int over; };

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void usage(void)
{
	fputs("usage: judge [--cpu SECONDS] [--wall SECONDS] [--memory SIZE] [--output SIZE] [--tasks N] [--input FILE] [--expect FILE]\n"
	      "             [--rootfs DIR] [--bind SRC:DST[:ro]]... [--] PROGRAM [ARG...]\n", stderr);
	exit(2);
}

static uint64_t size_of(const char *s)
{
	char *end;
	uint64_t v = strtoull(s, &end, 10);

	switch (*end) {
	case 'k': v <<= 10; end++; break;
	case 'm': v <<= 20; end++; break;
	case 'g': v <<= 30; end++; break;
	}
	if (end == s || *end || !v)
		usage();
	return v;
}

/* ---- output ---- */

/* What is there, up to the bound. 0: more may come, 1: that was all. */
static int read_output(int fd, struct output *o, uint64_t limit)
{
	char buf[65536];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (o->over)
			continue;
		if (o->len + (size_t)n > limit) {
			o->over = 1;
			n = (ssize_t)(limit - o->len);
		}
		char *p = realloc(o->data, o->len + (size_t)n + 1);
		if (!p)
			exit(3);
		o->data = p;
		memcpy(o->data + o->len, buf, (size_t)n);
		o->len += (size_t)n;
		if (o->over)
			return 0;
	}
	return n == 0;
}

/* Without spaces and newlines at the end, as judges do. */
static size_t trimmed(const char *s, size_t n)
{
	while (n && strchr(" \t\r\n", s[n - 1]))
		n--;
	return n;
}

static int matches(const struct output *o, const char *path)
{
	struct output want = { 0 };
	int fd = open(path, O_RDONLY);

	if (fd < 0) {
		fprintf(stderr, "judge: %s: %s\n", path, strerror(errno));
		exit(3);
	}
	while (!read_output(fd, &want, UINT64_MAX))
		;
	close(fd);
	size_t n = trimmed(o->data, o->len), m = trimmed(want.data, want.len);
	int same = n == m && !memcmp(o->data ? o->data : "", want.data ? want.data : "", n);
	free(want.data);
	return same;
}

/* ---- a run ---- */

enum verdict { RUNNING, TIME, OUTPUT };

/* Until the program has ended, by itself or by us. */
static enum verdict supervise(bailey_process *p, int out, const struct limits *l, struct output *o, struct bailey_usage *u, double start)
{
	struct pollfd fds[2] = { { .fd = bailey_process_fd(p) }, { .fd = out, .events = POLLIN } };
	enum verdict v = RUNNING;

	for (;;) {
		poll(fds, 2, 10);
		if (fds[1].fd >= 0 && fds[1].revents && read_output(out, o, l->output))
			fds[1].fd = -1;
		if (!bailey_process_wait(p, 0, NULL))
			return v;
		if (bailey_process_usage(p, BAILEY_CONTAINER, u))
			continue;
		if (v == RUNNING && o->over)
			v = OUTPUT;
		if (v == RUNNING && ((u->user_ns + u->system_ns) / 1e9 > l->cpu || now() - start > l->wall))
			v = TIME;
		if (v != RUNNING)
			bailey_process_signal(p, SIGKILL, BAILEY_CONTAINER);
	}
}

static int judge(bailey_kernel *k, const char *const *argv, const struct limits *l, const char *input, const char *expect)
{
	struct bailey_process_options po = BAILEY_PROCESS_OPTIONS_INIT;
	struct bailey_limit limits[] = {
		{ RLIMIT_CPU, (uint64_t)l->cpu + 2, (uint64_t)l->cpu + 3 }, /* should we be late */
		{ RLIMIT_FSIZE, l->file, l->file },
		{ RLIMIT_CORE, 0, 0 },
	};
	int in = open(input, O_RDONLY | O_CLOEXEC), null = open("/dev/null", O_WRONLY | O_CLOEXEC), out[2];
	struct output o = { 0 };
	struct bailey_usage u = { 0 };
	struct bailey_exit e = { 0 };
	bailey_process *p;
	char verdict[300];

	if (in < 0 || null < 0 || pipe(out)) {
		fprintf(stderr, "judge: %s: %s\n", input, strerror(errno));
		return 3;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	struct bailey_fd fds[] = { { 0, in }, { 1, out[1] }, { 2, null } };
	po.argv = argv;
	po.fds = fds;
	po.nfds = 3;
	po.limits = limits;
	po.nlimits = 3;
	po.flags = BAILEY_PROCESS_INIT; /* what it leaves behind ends with it */
	if (bailey_process_create(k, &po, &p)) {
		printf("not run (%s)\n", bailey_error());
		return 1;
	}
	close(out[1]); /* the guest has its own now */
	double start = now(), wall;
	if (bailey_process_start(p)) {
		fprintf(stderr, "judge: %s\n", bailey_error());
		return 3;
	}
	enum verdict v = supervise(p, out[0], l, &o, &u, start);
	wall = now() - start;
	read_output(out[0], &o, l->output);
	bailey_process_wait(p, -1, &e);
	/* A kernel that had to give up for want of memory answers no more. */
	int over = e.kind == BAILEY_LOST || e.usage.oom_kills || bailey_process_usage(p, BAILEY_CONTAINER, &u) || u.oom_kills;
	if (over)
		strcpy(verdict, "memory limit");
	else if (v == OUTPUT || o.over || (e.kind == BAILEY_KILLED && e.value == SIGXFSZ))
		strcpy(verdict, "output limit");
	else if (v == TIME || (u.user_ns + u.system_ns) / 1e9 > l->cpu || wall > l->wall || (e.kind == BAILEY_KILLED && e.value == SIGXCPU))
		strcpy(verdict, "time limit");
	else if (e.kind == BAILEY_KILLED)
		snprintf(verdict, sizeof(verdict), "runtime error (signal %d, %s)", e.value, strsignal(e.value));
	else if (e.value)
		snprintf(verdict, sizeof(verdict), "runtime error (exit status %d)", e.value);
	else
		strcpy(verdict, !expect || matches(&o, expect) ? "accepted" : "wrong answer");
	printf("%s  cpu %.3f s  wall %.3f s  memory %llu KiB\n", verdict, (u.user_ns + u.system_ns) / 1e9, wall, (unsigned long long)u.max_rss >> 10);
	free(o.data);
	close(out[0]);
	close(in);
	close(null);
	return strcmp(verdict, "accepted") != 0;
}

int main(int argc, char **argv)
{
	static const struct option lo[] = { { "cpu", 1, 0, 'c' }, { "wall", 1, 0, 'w' }, { "memory", 1, 0, 'm' }, { "output", 1, 0, 'o' },
					    { "tasks", 1, 0, 't' }, { "input", 1, 0, 'i' }, { "expect", 1, 0, 'e' }, { "rootfs", 1, 0, 'r' },
					    { "bind", 1, 0, 'b' }, { 0 } };
	struct limits l = { .cpu = 1, .wall = 0, .memory = 256 << 20, .output = 16 << 20, .tasks = 64 };
	struct bailey_kernel_options ko = BAILEY_KERNEL_OPTIONS_INIT;
	struct bailey_bind binds[16];
	const char *input = "/dev/null", *expect = NULL;
	bailey_kernel *k;
	int c;

	while ((c = getopt_long(argc, argv, "+", lo, NULL)) != -1) {
		switch (c) {
		case 'c': l.cpu = atof(optarg); break;
		case 'w': l.wall = atof(optarg); break;
		case 'm': l.memory = size_of(optarg); break;
		case 'o': l.output = size_of(optarg); break;
		case 't': l.tasks = (unsigned)atoi(optarg); break;
		case 'i': input = optarg; break;
		case 'e': expect = optarg; break;
		case 'r': ko.rootfs = optarg; break;
		case 'b': {
			char *dst = strchr(optarg, ':'), *ro = dst ? strchr(dst + 1, ':') : NULL;
			if (!dst || ko.nbinds == 16 || (ro && strcmp(ro, ":ro")))
				usage();
			*dst++ = 0;
			if (ro)
				*ro = 0;
			binds[ko.nbinds++] = (struct bailey_bind){ optarg, dst, ro ? BAILEY_BIND_READ_ONLY : 0 };
			break;
		}
		default: usage();
		}
	}
	if (optind == argc || l.cpu <= 0 || !l.tasks)
		usage();
	if (l.wall <= 0)
		l.wall = 3 * l.cpu + 1;
	l.file = l.output;
	ko.binds = binds;
	ko.memory_limit = l.memory;
	ko.max_tasks = l.tasks;
	if (bailey_kernel_create(&ko, &k)) {
		fprintf(stderr, "judge: %s\n", bailey_error());
		return 3;
	}
	int r = judge(k, (const char *const *)argv + optind, &l, input, expect);
	bailey_kernel_free(k);
	return r;
}
