/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels: their options and errors, two at once, many in a row, and every way to end. */
#include "api_test.h"
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* ---- options ---- */

static int log_lines, trace_lines, trace_write;
static void on_log(void *arg, const char *line)
{
	log_lines++;
	CHECK(arg == &log_lines && !strchr(line, '\n'));
}
static void on_trace(void *arg, const char *line)
{
	trace_lines++;
	trace_write += strstr(line, "write(1, \"traced") != NULL;
}

static int event_lines, event_exec, event_enter;
static void on_event(void *arg, const char *line)
{
	event_lines++;
	event_exec += strstr(line, "\"event\":\"exec\"") && strstr(line, "\"argv\":[\"nproc\"]");
	event_enter += strstr(line, "\"event\":\"enter\"") && strstr(line, "\"call\":\"execve\"");
	CHECK(line[0] == '{' && line[strlen(line) - 1] == '}');
}

static void test_events(void)
{
	struct bailey_kernel_options o = BAILEY_KERNEL_OPTIONS_INIT;
	bailey_kernel *k;

	o.event = on_event;
	o.cpus = 1;
	CHECK_INT(bailey_kernel_create(&o, &k), 0);
	CHECK_OUTPUT(k, "nproc; :", NULL, "1\n");
	while (!bailey_kernel_dispatch(k, 50))
		;
	CHECK_INT(event_exec, 1);
	CHECK_INT(event_enter, 0);
	CHECK_INT(event_lines, 5); /* start, clone, exec, two ends */
	bailey_kernel_free(k);
	o.calls = "execve";
	CHECK_INT(bailey_kernel_create(&o, &k), 0);
	CHECK_OUTPUT(k, "nproc; :", NULL, "1\n");
	while (!bailey_kernel_dispatch(k, 50))
		;
	CHECK_INT(event_exec, 2);
	CHECK_INT(event_enter, 1);
	bailey_kernel_free(k);
	o.calls = "execve,nothing";
	CHECK_INT(bailey_kernel_create(&o, &k), -EIO);
	CHECK(strstr(bailey_error(), "nothing") != NULL);
}

static void test_options(void)
{
	struct bailey_kernel_options o = BAILEY_KERNEL_OPTIONS_INIT;
	char dir[] = "/tmp/bailey-api.XXXXXX", file[64], text[20] = "";
	bailey_kernel *k;

	CHECK(mkdtemp(dir) != NULL);
	chmod(dir, 0755);
	struct bailey_bind binds[] = { { dir, "/mnt/a", 0 }, { "/etc/hostname", "/mnt/hn", BAILEY_BIND_READ_ONLY } };
	o.binds = binds;
	o.nbinds = 2;
	o.hostname = "judge-7";
	o.log_level = BAILEY_LOG_INFO;
	o.log = on_log;
	o.trace = on_trace;
	o.arg = &log_lines;
	CHECK_INT(bailey_kernel_create(&o, &k), 0);
	CHECK(bailey_kernel_tier(k) >= BAILEY_TIER_ROOT && bailey_kernel_tier(k) <= BAILEY_TIER_BARE);
	CHECK_OUTPUT(k, "hostname; echo data >/mnt/a/file; echo x >/mnt/hn || echo read-only", NULL, "judge-7\nsh: 1: cannot create /mnt/hn: Read-only file system\nread-only\n");
	CHECK_OUTPUT(k, "echo traced; echo gone >/etc/new; cat /etc/new", NULL, "traced\ngone\n");
	while (!bailey_kernel_dispatch(k, 50))
		;
	CHECK(log_lines > 0);
	CHECK(trace_lines > 20);
	CHECK(trace_write > 0);
	bailey_kernel_free(k);
	snprintf(file, sizeof(file), "%s/file", dir);
	int fd = open(file, O_RDONLY);
	CHECK(read(fd, text, sizeof(text)) == 5);
	close(fd);
	unlink(file);
	CHECK(access("/etc/new", F_OK) < 0);

	/* another root: there is no shell in it */
	o = (struct bailey_kernel_options)BAILEY_KERNEL_OPTIONS_INIT;
	o.rootfs = dir;
	CHECK_INT(bailey_kernel_create(&o, &k), 0);
	struct bailey_process_options po = BAILEY_PROCESS_OPTIONS_INIT;
	const char *argv[] = { "/bin/sh", NULL };
	bailey_process *p;
	po.argv = argv;
	CHECK_INT(bailey_process_create(k, &po, &p), -ENOENT);
	bailey_kernel_free(k);
	rmdir(dir);

	for (enum bailey_tier t = BAILEY_TIER_ROOT; t <= BAILEY_TIER_BARE; t++) {
		o = (struct bailey_kernel_options)BAILEY_KERNEL_OPTIONS_INIT;
		o.tier = t;
		CHECK_INT(bailey_kernel_create(&o, &k), 0);
		CHECK(bailey_kernel_tier(k) >= t);
		CHECK_OUTPUT(k, "echo $(sh -c 'echo tier')", NULL, "tier\n");
		bailey_kernel_free(k);
	}
}

static void refuse(const struct bailey_kernel_options *o, int want, const char *text)
{
	bailey_kernel *k = (void *)1;
	int fds = count_fds();

	CHECK_INT(bailey_kernel_create(o, &k), want);
	CHECK(k == NULL);
	if (!CHECK(strstr(bailey_error(), text) != NULL))
		printf("\"%s\" is not in the text\n", text);
	CHECK_INT(count_fds(), fds);
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void test_errors(void)
{
	struct bailey_kernel_options o = BAILEY_KERNEL_OPTIONS_INIT;

	o.helper = "/no/such/helper";
	refuse(&o, -ENOENT, "/no/such/helper");
	o.helper = "/etc/passwd";
	refuse(&o, -EACCES, "/etc/passwd");
	o.helper = "/bin/true";
	refuse(&o, -EIO, "helper");
	o.helper = NULL;
	o.rootfs = "/no/such/root";
	refuse(&o, -EIO, "/no/such/root");
	o.rootfs = "";
	refuse(&o, -EINVAL, "root");
	o.rootfs = NULL;
	struct bailey_bind b = { "/no/such/source", "/mnt", 0 };
	o.binds = &b;
	o.nbinds = 1;
	refuse(&o, -EIO, "/no/such/source");
	b.target = "relative";
	refuse(&o, -EINVAL, "bind 0");
	o.nbinds = 0;
	o.hostname = "";
	refuse(&o, -EINVAL, "host name");
	o.hostname = NULL;
	o.network = 9;
	refuse(&o, -EINVAL, "network");
	o.network = 0;
	o.size = 1;
	refuse(&o, -EINVAL, "size");
	refuse(NULL, -EINVAL, "options");
}

/* ---- two at once ---- */

static void *one_of_two(void *arg)
{
	long n = (long)arg;
	char script[100], want[50];
	bailey_kernel *k = make_kernel();

	for (int i = 0; i < 20; i++) {
		int out[2];
		char buf[50] = "";
		struct bailey_exit e;
		CHECK_INT(pipe2(out, O_CLOEXEC), 0);
		snprintf(script, sizeof(script), "[ -e /tmp/mine ] || echo %ld >/tmp/mine; echo $(cat /tmp/mine) %d", n, i);
		snprintf(want, sizeof(want), "%ld %d\n", n, i);
		bailey_process *p = run_sh(k, script, out[1]);
		close(out[1]);
		CHECK_INT(bailey_process_wait(p, 20000, &e), 0);
		CHECK(read(out[0], buf, sizeof(buf) - 1) > 0);
		CHECK(!strcmp(buf, want));
		bailey_process_free(p);
		close(out[0]);
	}
	bailey_kernel_free(k);
	return NULL;
}

/* Several threads in one kernel, each waiting for its own. */
static bailey_kernel *shared;
static _Atomic int ends, no_more;
static void count_end(void *arg, bailey_process *p, const struct bailey_exit *e)
{
	CHECK(bailey_process_pid(p) > 1);
	ends++;
}
static void *one_of_many(void *arg)
{
	struct bailey_process_options o = BAILEY_PROCESS_OPTIONS_INIT;

	o.exited = count_end;
	for (int i = 0; i < 10; i++) {
		struct bailey_exit e = { 0 };
		char script[50];
		snprintf(script, sizeof(script), "sleep 0.0%d; exit %d", rand() % 9, i + 1);
		bailey_process *p = make_sh(shared, script, -1, -1, 2, &o);
		CHECK_INT(bailey_process_start(p), 0);
		CHECK_INT(bailey_process_wait(p, 20000, &e), 0);
		CHECK_INT(e.value, i + 1);
		bailey_process_free(p);
	}
	return NULL;
}

static void *dispatcher(void *arg)
{
	while (!no_more)
		bailey_kernel_dispatch(shared, 20);
	return NULL;
}

static void test_threads(void)
{
	pthread_t t[6], d;

	for (long i = 0; i < 2; i++)
		pthread_create(&t[i], NULL, one_of_two, (void *)(i + 1));
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	shared = make_kernel();
	for (int i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, one_of_many, NULL);
	pthread_create(&d, NULL, dispatcher, NULL);
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
	no_more = 1;
	pthread_join(d, NULL);
	CHECK_INT(ends, 60); /* each once, whoever read it */
	bailey_kernel_free(shared);
}

/* ---- ends ---- */

/* What runs below a process: helpers, kernel processes, stubs. */
static int descendants(pid_t of, pid_t *list, int max)
{
	int n = 0;
	list[n++] = of;
	for (int i = 0; i < n; i++) {
		char path[64];
		int c;
		snprintf(path, sizeof(path), "/proc/%d/task/%d/children", list[i], list[i]);
		FILE *f = fopen(path, "r");
		while (f && n < max && fscanf(f, "%d", &c) == 1)
			list[n++] = c;
		if (f)
			fclose(f);
	}
	return n;
}

/* Those of the list, without the first, that still are. */
static int remaining(const pid_t *list, int n, int expect)
{
	int left = 0;
	for (int round = 0; round < 40; round++, msleep(50)) {
		left = 0;
		for (int i = 1; i < n; i++) {
			char path[32], line[200] = "";
			snprintf(path, sizeof(path), "/proc/%d/stat", list[i]);
			FILE *f = fopen(path, "r");
			if (f && fgets(line, sizeof(line), f) && !strstr(line, ") Z "))
				left++;
			if (f)
				fclose(f);
		}
		if (left <= expect)
			break;
	}
	return left;
}

/* The helper (1) or the kernel process (2) is killed. */
static void test_killed(enum bailey_tier tier, int which)
{
	struct bailey_kernel_options o = BAILEY_KERNEL_OPTIONS_INIT;
	struct bailey_exit e = { 0 };
	pid_t list[100];
	bailey_kernel *k;

	o.tier = tier;
	if (!CHECK_INT(bailey_kernel_create(&o, &k), 0))
		return;
	bailey_process *p = run_sh(k, "sh -c 'while :; do :; done' & sleep 100", -1);
	msleep(100);
	int n = descendants(getpid(), list, 100);
	CHECK(n >= 5);
	kill(list[which], SIGKILL);
	CHECK_INT(bailey_process_wait(p, 10000, &e), 0);
	CHECK_INT(e.kind, BAILEY_LOST);
	bailey_kernel_free(k);
	CHECK_INT(remaining(list, n, 0), 0);
}

static void test_ends(void)
{
	struct bailey_exit e;
	struct bailey_usage u;
	bailey_kernel *k = make_kernel();
	bailey_process *p = run_sh(k, "sleep 100", -1);

	CHECK_INT(bailey_kernel_kill(k), 0);
	CHECK_INT(bailey_process_wait(p, 10000, &e), 0);
	CHECK_INT(e.kind, BAILEY_LOST);
	struct pollfd pf = { .fd = bailey_process_fd(p) };
	CHECK_INT(poll(&pf, 1, 5000), 1);
	CHECK_INT(bailey_kernel_usage(k, &u), -EPIPE);
	CHECK_INT(bailey_kernel_dispatch(k, 0), -EPIPE);
	CHECK_INT(bailey_process_signal(p, SIGTERM, BAILEY_PROCESS), -EPIPE);
	bailey_process_free(p);
	bailey_kernel_free(k);

	/* a program that ignores SIGCHLD, and one that reaps whatever it finds */
	signal(SIGCHLD, SIG_IGN);
	k = make_kernel();
	CHECK_OUTPUT(k, "echo $(echo ignored)", NULL, "ignored\n");
	bailey_kernel_free(k);
	signal(SIGCHLD, SIG_DFL);
	k = make_kernel();
	CHECK_INT(waitpid(-1, NULL, WNOHANG), 0);
	bailey_kernel_free(k);
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

static void test_sudden_death(enum bailey_tier tier, int with_child)
{
	struct bailey_kernel_options o = BAILEY_KERNEL_OPTIONS_INIT;
	pid_t list[100];
	int ready[2], n;
	char c;

	CHECK_INT(pipe(ready), 0);
	pid_t pid = fork();
	if (!pid) {
		bailey_kernel *k;
		o.tier = tier;
		if (bailey_kernel_create(&o, &k))
			_exit(1);
		run_sh(k, "sh -c 'while :; do :; done' & sleep 100", -1);
		if (with_child && !fork()) { /* holds copies of every descriptor for longer */
			close(ready[1]);
			sleep(4);
			_exit(0);
		}
		msleep(200);
		(void)!write(ready[1], "r", 1);
		for (;;)
			pause();
	}
	close(ready[1]);
	CHECK_INT(read(ready[0], &c, 1), 1);
	close(ready[0]);
	n = descendants(pid, list, 100);
	CHECK(n >= 5);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	CHECK_INT(remaining(list, n, with_child), with_child);
}

static void test_many(void)
{
	int fds = 0;
	long rss = 0;

	for (int i = 0; i < 200; i++) {
		struct bailey_kernel_options o = BAILEY_KERNEL_OPTIONS_INIT;
		struct bailey_exit e;
		bailey_kernel *k;
		o.log = print_log;
		if (!CHECK(bailey_kernel_create(&o, &k) == 0))
			break;
		bailey_process *p = run_sh(k, "exit 1", -1);
		CHECK_INT(bailey_process_wait(p, 20000, &e), 0);
		CHECK_INT(e.value, 1);
		if (i & 1)
			bailey_process_free(p);
		bailey_kernel_free(k);
		CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
		if (i == 20) {
			fds = count_fds();
			rss = rss_kb();
		}
	}
	CHECK_INT(count_fds(), fds);
	CHECK(rss_kb() < rss + RSS_SLACK);
	if (rss_kb() >= rss + RSS_SLACK)
		printf("RSS %ld KiB after 20 kernels, %ld after 200\n", rss, rss_kb());
}

int main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_DFL);
	test_options();
	test_events();
	test_errors();
	test_threads();
	test_ends();
	for (int i = 0; i < 2; i++) {
		test_killed(BAILEY_TIER_BEST, i + 1);
		test_killed(BAILEY_TIER_BARE, i + 1);
		test_sudden_death(BAILEY_TIER_BEST, i);
		test_sudden_death(BAILEY_TIER_BARE, i);
	}
	test_many();
	return done();
}
