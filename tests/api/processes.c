/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: how they start, what they are given, how they end; every option and its errors. */
#include "api_test.h"

static int ended_calls;
static struct bailey_exit ended_with;
static void on_ended(void *arg, bailey_process *p, const struct bailey_exit *e)
{
	ended_calls++;
	ended_with = *e;
	CHECK(arg == &ended_calls);
	CHECK(bailey_process_pid(p) > 1);
	/* A callback may call: also what waits. */
	struct bailey_usage u;
	CHECK_INT(bailey_process_usage(p, BAILEY_PROCESS, &u), 0);
	CHECK_INT(bailey_process_wait(p, 0, NULL), 0);
}

static void test_ends(bailey_kernel *k)
{
	struct bailey_exit e;
	bailey_process *p = run_sh(k, "exit 7", -1);

	CHECK_INT(bailey_process_wait(p, -1, &e), 0);
	CHECK_INT(e.kind, BAILEY_EXITED);
	CHECK_INT(e.value, 7);
	CHECK_INT(bailey_process_wait(p, 0, &e), 0); /* again */
	CHECK_INT(bailey_process_start(p), -EALREADY);
	CHECK_INT(bailey_process_signal(p, SIGTERM, BAILEY_PROCESS), -ESRCH);
	bailey_process_free(p);

	p = run_sh(k, "kill -9 $$", -1);
	CHECK_INT(bailey_process_wait(p, -1, &e), 0);
	CHECK_INT(e.kind, BAILEY_KILLED);
	CHECK_INT(e.value, SIGKILL);
	CHECK_INT(e.core, 0);
	bailey_process_free(p);

	/* not before it is started; waiting with a timeout */
	p = make_sh(k, "exit 0", -1, -1, -1, NULL);
	double t = seconds();
	CHECK_INT(bailey_process_wait(p, 100, &e), -ETIMEDOUT);
	CHECK(seconds() - t >= 0.099 && seconds() - t < 5);
	struct pollfd pf = { .fd = bailey_process_fd(p) };
	CHECK_INT(poll(&pf, 1, 0), 0);
	CHECK_INT(bailey_process_start(p), 0);
	CHECK_INT(poll(&pf, 1, 10000), 1);
	CHECK(pf.revents & POLLHUP);
	CHECK_INT(bailey_process_wait(p, 0, &e), 0);
	CHECK_INT(e.value, 0);
	bailey_process_free(p);

	/* one that never starts, or whose handle goes first */
	bailey_process_free(make_sh(k, "exit 0", -1, -1, -1, NULL));
	bailey_process_free(run_sh(k, "sleep 0.05", -1));
	bailey_process_free(NULL);

	/* callbacks, by dispatch and its descriptor */
	struct bailey_process_options o = BAILEY_PROCESS_OPTIONS_INIT;
	o.exited = on_ended;
	o.arg = &ended_calls;
	p = make_sh(k, "exit 3", -1, -1, -1, &o);
	CHECK_INT(bailey_process_start(p), 0);
	struct pollfd kf = { .fd = bailey_kernel_fd(k), .events = POLLIN };
	t = seconds();
	while (!ended_calls && seconds() - t < 10) {
		CHECK(poll(&kf, 1, 10000) == 1);
		bailey_kernel_dispatch(k, 0);
	}
	CHECK_INT(ended_calls, 1);
	CHECK_INT(ended_with.value, 3);
	CHECK_INT(bailey_kernel_dispatch(k, 30), -ETIMEDOUT);
	CHECK_INT(ended_calls, 1);
	bailey_process_free(p);
}

static void test_options(bailey_kernel *k)
{
	struct bailey_process_options o = BAILEY_PROCESS_OPTIONS_INIT;
	const char *env[] = { "A=1", "PATH=/usr/bin:/bin", "B=two words", NULL };
	uint32_t groups[] = { 5, 6 };

	CHECK_OUTPUT(k, "echo hello", NULL, "hello\n");
	CHECK_OUTPUT(k, "env | sort | grep -v ^PWD | grep -v ^SHLVL | grep -v ^_", NULL, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n");
	o.envp = env;
	CHECK_OUTPUT(k, "echo $A $B", &o, "1 two words\n");
	o.cwd = "/usr/share";
	CHECK_OUTPUT(k, "pwd", &o, "/usr/share\n");
	o.uid = 1234;
	o.gid = 77;
	o.groups = groups;
	o.ngroups = 2;
	CHECK_OUTPUT(k, "echo $(id -u) $(id -g) $(id -G)", &o, "1234 77 77 5 6\n");
	CHECK_OUTPUT(k, "cat /etc/shadow >/dev/null 2>&1 || echo refused", &o, "refused\n");
	o.umask = 077;
	CHECK_OUTPUT(k, "umask", &o, "0077\n");
	CHECK_OUTPUT(k, "hostname; cat /proc/sys/kernel/hostname", NULL, "bailey\nbailey\n");
	/* no others are open: 0 is missing here */
	CHECK_OUTPUT(k, "for i in 0 1 2 3 4 9; do [ -e /proc/self/fd/$i ] && echo $i; done 2>&1 | grep -c [012]", NULL, "2\n");
	CHECK_OUTPUT(k, "exec 3<&0; echo $?", NULL, "sh: 1: 0: Bad file descriptor\n");
	/* large arguments */
	char *big = malloc(300001);
	memset(big, 'x', 300000);
	big[300000] = 0;
	char *script = NULL;
	const char *many[200];
	for (int i = 0; i < 199; i++)
		many[i] = "VAR=0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789";
	many[199] = NULL;
	o = (struct bailey_process_options)BAILEY_PROCESS_OPTIONS_INIT;
	o.envp = many;
	if (asprintf(&script, "#%.100000s\nset -- %.20000s; echo ${#1}", big, big) > 0)
		CHECK_OUTPUT(k, script, &o, "20000\n");
	free(script);
	const char *argv[] = { "/bin/true", big, NULL };
	o.argv = argv;
	bailey_process *p;
	CHECK_INT(bailey_process_create(k, &o, &p), -E2BIG); /* one string of more than 128 KiB */
	free(big);
}

static void test_descriptors(bailey_kernel *k)
{
	struct bailey_process_options o = BAILEY_PROCESS_OPTIONS_INIT;
	const char *argv[] = { "sh", "-c", "read x; echo got $x; echo seven >&7; cat <&9 >&7", NULL };
	struct bailey_fd fds[5];
	bailey_process *p;
	struct bailey_exit e;
	int in[2], out[2], seven[2];
	char buf[200];

	CHECK_INT(pipe(in) | pipe(out) | pipe(seven), 0);
	int file = open("/etc/hostname", O_RDONLY);
	char hostname[100];
	ssize_t hl = pread(file, hostname, sizeof(hostname) - 1, 0);
	hostname[hl < 0 ? 0 : hl] = 0;
	fds[0] = (struct bailey_fd){ 0, in[0] };
	fds[1] = (struct bailey_fd){ 7, seven[1] };
	fds[2] = (struct bailey_fd){ 1, out[1] };
	fds[3] = (struct bailey_fd){ 9, file };
	o.argv = argv;
	o.fds = fds;
	o.nfds = 4;
	CHECK_INT(bailey_process_create(k, &o, &p), 0);
	close(out[1]);
	close(seven[1]);
	CHECK_INT(bailey_process_start(p), 0);
	CHECK_INT(write(in[1], "line\n", 5), 5);
	CHECK_INT(bailey_process_wait(p, 10000, &e), 0);
	ssize_t n = read(out[0], buf, sizeof(buf));
	CHECK(n == 9 && !memcmp(buf, "got line\n", 9));
	n = read(seven[0], buf, sizeof(buf) - 1);
	buf[n < 0 ? 0 : n] = 0;
	CHECK(!strncmp(buf, "seven\n", 6) && !strcmp(buf + 6, hostname));
	bailey_process_free(p);
	/* the guest's are closed with it: the pipe ends */
	CHECK_INT(read(out[0], buf, 1), 0);

	fds[1].host = fds[2].host = in[1];
	fds[0].host = 999;
	CHECK_INT(bailey_process_create(k, &o, &p), -EBADF);
	CHECK(p == NULL);
	fds[0] = (struct bailey_fd){ 1, in[0] };
	CHECK_INT(bailey_process_create(k, &o, &p), -EINVAL); /* 1 twice */
	fds[0] = (struct bailey_fd){ 1024, in[0] };
	CHECK_INT(bailey_process_create(k, &o, &p), -EINVAL);
	int dir = open("/", O_RDONLY | O_DIRECTORY);
	fds[0] = (struct bailey_fd){ 0, dir };
	CHECK_INT(bailey_process_create(k, &o, &p), -EISDIR);
	close(dir);
	close(file);
	close(in[0]);
	close(in[1]);
	close(out[0]);
	close(seven[0]);
}

static void refuse(bailey_kernel *k, const char *path, int want, int status)
{
	struct bailey_process_options o = BAILEY_PROCESS_OPTIONS_INIT;
	const char *argv[] = { path, NULL };
	bailey_process *p = (void *)1;

	o.argv = argv;
	CHECK_INT(bailey_process_create(k, &o, &p), want);
	CHECK(p == NULL);
	CHECK(bailey_error()[0]);
	CHECK_INT(bailey_exit_status_of_error(want), status);
}

static void test_errors(bailey_kernel *k)
{
	struct bailey_process_options o = BAILEY_PROCESS_OPTIONS_INIT;
	bailey_process *p;

	refuse(k, "/no/such/program", -ENOENT, 127);
	refuse(k, "no-such-program", -ENOENT, 127);
	CHECK(strstr(bailey_error(), "no-such-program"));
	refuse(k, "/etc/passwd", -EACCES, 126);
	refuse(k, "/etc", -EACCES, 126);
	refuse(k, "/etc/passwd/x", -ENOTDIR, 127);
	refuse(k, "", -EINVAL, 125);
	CHECK_INT(bailey_process_create(k, &o, &p), -EINVAL);
	const char *argv[] = { "true", NULL };
	o.argv = argv;
	o.cwd = "/no/such";
	CHECK_INT(bailey_process_create(k, &o, &p), -ENOENT);
	CHECK(strstr(bailey_error(), "/no/such"));
	o.cwd = "relative";
	CHECK_INT(bailey_process_create(k, &o, &p), -EINVAL);
	o.cwd = NULL;
	o.flags = 0x100;
	CHECK_INT(bailey_process_create(k, &o, &p), -EINVAL);
	o.flags = BAILEY_PROCESS_INIT; /* there have been others */
	CHECK_INT(bailey_process_create(k, &o, &p), -EBUSY);
	o.flags = 0;
	o.umask = 01000;
	CHECK_INT(bailey_process_create(k, &o, &p), -EINVAL);
	o.umask = 0;
	o.uid = UINT32_MAX;
	CHECK_INT(bailey_process_create(k, &o, &p), -EINVAL);
	o.uid = 0;
	struct bailey_limit l = { 99, 1, 1 };
	o.limits = &l;
	o.nlimits = 1;
	CHECK_INT(bailey_process_create(k, &o, &p), -EINVAL);
	l = (struct bailey_limit){ RLIMIT_FSIZE, 2, 1 };
	CHECK_INT(bailey_process_create(k, &o, &p), -EINVAL);
	o.size = 3;
	CHECK_INT(bailey_process_create(k, &o, &p), -EINVAL);
	/* a program of tomorrow, with an option that we do not have; and one that does not use it */
	struct { struct bailey_process_options o; long more; } later = { BAILEY_PROCESS_OPTIONS_INIT, 1 };
	later.o.size = sizeof(later);
	later.o.argv = argv;
	CHECK_INT(bailey_process_create(k, &later.o, &p), -E2BIG);
	later.more = 0;
	CHECK_INT(bailey_process_create(k, &later.o, &p), 0);
	bailey_process_free(p);
}

/* With an init, the rest ends when it does; the kernel goes on answering. */
static void test_init(void)
{
	struct bailey_process_options o = BAILEY_PROCESS_OPTIONS_INIT;
	struct bailey_task *list;
	struct bailey_exit e;
	size_t n;
	bailey_kernel *k = make_kernel();

	o.flags = BAILEY_PROCESS_INIT;
	bailey_process *p = make_sh(k, "setsid sleep 100 & sleep 100 & sleep 0.3; exit 5", -1, -1, -1, &o), *q;
	CHECK_INT(bailey_process_pid(p), 1);
	CHECK_INT(bailey_process_start(p), 0);
	q = run_sh(k, "sleep 100", -1);
	bailey_process *r = make_sh(k, "exit 0", -1, -1, -1, NULL); /* never started */
	CHECK_INT(bailey_process_pid(q) > 1, 1);
	CHECK_INT(bailey_process_wait(p, 10000, &e), 0);
	CHECK_INT(e.value, 5);
	CHECK_INT(bailey_process_wait(q, 10000, &e), 0);
	CHECK_INT(e.kind, BAILEY_KILLED);
	CHECK_INT(e.value, SIGKILL);
	CHECK_INT(bailey_process_wait(r, 10000, &e), 0);
	CHECK_INT(e.kind, BAILEY_KILLED);
	CHECK_INT(bailey_process_start(r), 0);
	CHECK_INT(bailey_kernel_tasks(k, &list, &n), 0);
	CHECK_INT(n, 0);
	bailey_tasks_free(list);
	const char *argv[] = { "true", NULL };
	struct bailey_process_options o2 = BAILEY_PROCESS_OPTIONS_INIT;
	bailey_process *none;
	o2.argv = argv;
	CHECK(bailey_process_create(k, &o2, &none) < 0); /* as on Linux: no new ones in a namespace without init */
	bailey_kernel_free(k);
}

int main(void)
{
	bailey_kernel *k = make_kernel();

	CHECK(bailey_version()[0]);
	test_ends(k);
	test_options(k);
	test_descriptors(k);
	test_errors(k);
	bailey_kernel_free(k);
	bailey_kernel_free(NULL);
	test_init();
	return done();
}
