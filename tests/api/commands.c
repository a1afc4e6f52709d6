/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to processes from outside: signals, pauses, lists, accounts, limits. */
#include "api_test.h"
#include <stdbool.h>

static int alive(bailey_kernel *k, const char *name, char *state)
{
	struct bailey_task *l;
	size_t n;
	int found = 0;

	CHECK_INT(bailey_kernel_tasks(k, &l, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (!strcmp(l[i].name, name)) {
			found++;
			if (state)
				*state = l[i].state;
		}
	bailey_tasks_free(l);
	return found;
}
static int wait_alive(bailey_kernel *k, const char *name, int want)
{
	int n = -1;
	for (int i = 0; i < 100 && n != want; i++, msleep(20))
		n = alive(k, name, NULL);
	return n;
}
static uint64_t cpu(bailey_process *p, enum bailey_scope scope)
{
	struct bailey_usage u = { 0 };
	CHECK_INT(bailey_process_usage(p, scope, &u), 0);
	return u.user_ns + u.system_ns;
}

static void test_signals(bailey_kernel *k)
{
	struct bailey_exit e;
	/* A tree: a child in the group, one in a session of its own, both called sleep. */
	bailey_process *p = run_sh(k, "trap 'exit 42' USR1; sleep 100 & setsid sleep 100 & while :; do wait; done", -1), *other = run_sh(k, "exec sleep 99", -1);

	CHECK_INT(wait_alive(k, "sleep", 3), 3);
	CHECK_INT(bailey_process_signal(p, SIGUSR1, BAILEY_PROCESS), 0);
	CHECK_INT(bailey_process_wait(p, 10000, &e), 0);
	CHECK_INT(e.kind, BAILEY_EXITED);
	CHECK_INT(e.value, 42);
	CHECK_INT(alive(k, "sleep", NULL), 3); /* they do not die with it */
	CHECK_INT(bailey_process_signal(p, SIGKILL, BAILEY_PROCESS), -ESRCH);
	CHECK_INT(bailey_process_signal(p, SIGTERM, BAILEY_CONTAINER), 0);
	CHECK_INT(wait_alive(k, "sleep", 1), 1);
	CHECK_INT(bailey_process_signal(p, SIGTERM, BAILEY_CONTAINER), -ESRCH);
	bailey_process_free(p);

	/* its group, and its session with another group in it (job control makes one) */
	p = run_sh(k, "exec bash -c 'set -m; sleep 100 & set +m; sleep 100 & wait'", -1);
	CHECK_INT(wait_alive(k, "sleep", 3), 3);
	CHECK_INT(bailey_process_signal(p, SIGTERM, BAILEY_GROUP), 0);
	CHECK_INT(bailey_process_wait(p, 10000, &e), 0);
	CHECK_INT(e.value, SIGTERM);
	CHECK_INT(wait_alive(k, "sleep", 2), 2);
	bailey_process_signal(p, SIGKILL, BAILEY_CONTAINER);
	bailey_process_free(p);
	CHECK_INT(wait_alive(k, "sleep", 1), 1);
	p = run_sh(k, "exec bash -c 'set -m; sleep 100 & set +m; sleep 100 & wait'", -1);
	CHECK_INT(wait_alive(k, "sleep", 3), 3);
	CHECK_INT(bailey_process_signal(p, SIGTERM, BAILEY_SESSION), 0);
	CHECK_INT(wait_alive(k, "sleep", 1), 1);
	bailey_process_free(p);

	CHECK_INT(bailey_process_signal(other, 0, BAILEY_PROCESS), -EINVAL);
	CHECK_INT(bailey_process_signal(other, 65, BAILEY_PROCESS), -EINVAL);
	CHECK_INT(bailey_process_signal(other, SIGTERM, 99), -EINVAL);
	CHECK_INT(bailey_kernel_signal(k, SIGKILL), 0);
	CHECK_INT(bailey_process_wait(other, 10000, &e), 0);
	CHECK_INT(e.value, SIGKILL);
	bailey_process_free(other);
	CHECK_INT(bailey_kernel_signal(k, SIGKILL), 0); /* nobody is fine */
	/* a signal before the start waits for it */
	p = make_sh(k, "exit 0", -1, -1, -1, NULL);
	CHECK_INT(bailey_process_signal(p, SIGTERM, BAILEY_PROCESS), 0);
	CHECK_INT(bailey_process_wait(p, 50, NULL), -ETIMEDOUT);
	CHECK_INT(bailey_process_start(p), 0);
	CHECK_INT(bailey_process_wait(p, 10000, &e), 0);
	CHECK_INT(e.kind, BAILEY_KILLED);
	CHECK_INT(e.value, SIGTERM);
	bailey_process_free(p);
}

/* Does it run? By its CPU time, over 150 ms on the clock. */
static int runs(bailey_process *p)
{
	uint64_t a, b;
	msleep(30);
	a = cpu(p, BAILEY_CONTAINER);
	msleep(150);
	b = cpu(p, BAILEY_CONTAINER);
	return b - a > 2000000;
}

static void test_pause(bailey_kernel *k)
{
	struct bailey_exit e;
	bailey_process *p = run_sh(k, "while :; do :; done & while :; do :; done", -1);

	CHECK(runs(p));
	CHECK_INT(bailey_process_pause(p, BAILEY_CONTAINER), 0);
	CHECK(!runs(p));
	CHECK_INT(bailey_process_pause(p, BAILEY_CONTAINER), 0);
	CHECK_INT(bailey_process_unpause(p, BAILEY_CONTAINER), 0);
	CHECK(!runs(p)); /* they nest */
	CHECK_INT(bailey_process_unpause(p, BAILEY_CONTAINER), 0);
	CHECK(runs(p));
	CHECK_INT(bailey_process_unpause(p, BAILEY_CONTAINER), -EINVAL);
	/* the process alone: its child goes on */
	CHECK_INT(bailey_process_pause(p, BAILEY_PROCESS), 0);
	CHECK(runs(p));
	CHECK_INT(bailey_kernel_pause(k), 0);
	CHECK(!runs(p));
	CHECK_INT(bailey_process_unpause(p, BAILEY_PROCESS), 0);
	CHECK(!runs(p));
	/* started into a pause: nothing runs, and what was started runs afterwards */
	bailey_process *q = run_sh(k, "exit 4", -1);
	CHECK_INT(bailey_process_wait(q, 200, NULL), -ETIMEDOUT);
	struct bailey_task *l;
	size_t n;
	CHECK_INT(bailey_kernel_tasks(k, &l, &n), 0);
	CHECK(n == 3 && l[0].paused && l[1].paused && l[2].paused);
	bailey_tasks_free(l);
	CHECK_INT(bailey_kernel_unpause(k), 0);
	CHECK_INT(bailey_process_wait(q, 10000, &e), 0);
	CHECK_INT(e.value, 4);
	bailey_process_free(q);
	CHECK(runs(p));
	CHECK_INT(bailey_kernel_unpause(k), -EINVAL);
	CHECK_INT(bailey_process_pause(p, BAILEY_GROUP), -EINVAL);
	/* one that is paused before it starts, then is not; sleepers keep their time */
	q = make_sh(k, "exit 6", -1, -1, -1, NULL);
	CHECK_INT(bailey_process_pause(q, BAILEY_PROCESS), 0);
	CHECK_INT(bailey_process_unpause(q, BAILEY_PROCESS), 0);
	CHECK_INT(bailey_process_wait(q, 50, NULL), -ETIMEDOUT);
	CHECK_INT(bailey_process_start(q), 0);
	CHECK_INT(bailey_process_wait(q, 10000, &e), 0);
	CHECK_INT(e.value, 6);
	bailey_process_free(q);
	q = run_sh(k, "sleep 0.3; exit $?", -1);
	msleep(100);
	CHECK_INT(bailey_process_pause(q, BAILEY_CONTAINER), 0);
	CHECK_INT(bailey_process_wait(q, 500, NULL), -ETIMEDOUT);
	CHECK_INT(bailey_process_unpause(q, BAILEY_CONTAINER), 0);
	CHECK_INT(bailey_process_wait(q, 10000, &e), 0);
	CHECK_INT(e.value, 0);
	bailey_process_free(q);
	/* one thread alone */
	q = run_sh(k, "exec python3 -c 'import threading\nf = lambda: [0 for i in iter(int, 1)]\nt = threading.Thread(target=f)\nt.start()'", -1);
	for (int i = 0; i < 200 && !alive(k, "python3", NULL); i++)
		msleep(20);
	int pid = bailey_process_pid(q), tid = pid + 1;
	int r;
	for (int i = 0; (r = bailey_kernel_pause_task(k, tid)) == -ESRCH && i < 500; i++)
		msleep(20);
	CHECK_INT(r, 0);
	bool still = true;
	for (int i = 0; still && i < 50; i++) /* the other thread gets to pthread_join() */
		still = runs(q);
	CHECK(!still);
	CHECK_INT(bailey_kernel_pause_task(k, tid), 0);
	CHECK_INT(bailey_kernel_unpause_task(k, tid), 0);
	CHECK(!runs(q));
	CHECK_INT(bailey_kernel_unpause_task(k, tid), 0);
	CHECK(runs(q));
	CHECK_INT(bailey_kernel_unpause_task(k, tid), -EINVAL);
	CHECK_INT(bailey_kernel_pause_task(k, pid), 0); /* the other one sleeps in pthread_join() */
	CHECK(runs(q));
	CHECK_INT(bailey_kernel_pause_task(k, tid), 0);
	CHECK_INT(bailey_process_signal(q, SIGKILL, BAILEY_PROCESS), 0);
	CHECK_INT(bailey_process_wait(q, 10000, &e), 0);
	CHECK_INT(bailey_kernel_pause_task(k, tid), -ESRCH);
	CHECK_INT(bailey_kernel_pause_task(k, -1), -ESRCH);
	bailey_process_free(q);
	/* killing works on the paused */
	CHECK_INT(bailey_process_pause(p, BAILEY_CONTAINER), 0);
	CHECK_INT(bailey_process_signal(p, SIGKILL, BAILEY_CONTAINER), 0);
	CHECK_INT(bailey_process_wait(p, 10000, &e), 0);
	CHECK_INT(e.value, SIGKILL);
	bailey_process_free(p);
}

static void test_list_and_usage(bailey_kernel *k)
{
	struct bailey_exit e;
	struct bailey_task *l;
	struct bailey_usage u;
	size_t n;
	bailey_process *p = run_sh(k, "sleep 100 & exec cat /proc/self/fd/1 /dev/null - <&1", -1);

	bailey_process_signal(p, SIGKILL, BAILEY_CONTAINER);
	bailey_process_wait(p, 10000, NULL);
	bailey_process_free(p);
	p = run_sh(k, "sleep 100 & while :; do wait; done", -1);
	CHECK_INT(wait_alive(k, "sleep", 1), 1);
	CHECK_INT(bailey_kernel_tasks(k, &l, &n), 0);
	if (CHECK_INT(n, 2)) {
		CHECK(!strcmp(l[0].name, "sh") && !strcmp(l[1].name, "sleep"));
		CHECK_INT(l[0].pid, bailey_process_pid(p));
		CHECK_INT(l[0].pgid, l[0].pid);
		CHECK_INT(l[0].sid, l[0].pid);
		CHECK_INT(l[1].ppid, l[0].pid);
		CHECK_INT(l[1].sid, l[0].pid);
		CHECK_INT(l[0].threads, 1);
		CHECK_INT(l[0].uid, 0);
		CHECK_INT(l[0].state, 'S');
		CHECK_INT(l[1].state, 'S');
		CHECK_INT(l[0].paused, 0);
		CHECK(l[0].container == bailey_process_container(p) && l[1].container == l[0].container);
		CHECK(l[1].start_ns >= l[0].start_ns);
	}
	bailey_tasks_free(l);
	bailey_process_signal(p, SIGKILL, BAILEY_CONTAINER);
	bailey_process_wait(p, 10000, NULL);
	bailey_process_free(p);

	/* CPU time: of the process and the children it waited for; of the container with those that it did not */
	p = run_sh(k, "timeout 0.3 sh -c 'while :; do :; done'; exit 0", -1);
	CHECK_INT(bailey_process_wait(p, 20000, &e), 0);
	CHECK(e.usage.user_ns + e.usage.system_ns > 50000000);
	uint64_t c = cpu(p, BAILEY_CONTAINER);
	CHECK(c > 50000000 && c < 2000000000);
	CHECK(cpu(p, BAILEY_PROCESS) > 50000000);
	bailey_process_free(p);
	p = run_sh(k, "exec python3 -c 'b = bytearray(60 << 20)'", -1);
	CHECK_INT(bailey_process_wait(p, 20000, &e), 0);
	CHECK_INT(e.value, 0);
	CHECK(e.usage.max_rss > 60 << 20 && e.usage.max_rss < 160 << 20);
	bailey_process_free(p);
	p = run_sh(k, "exit 0", -1);
	CHECK_INT(bailey_process_wait(p, 20000, &e), 0);
	CHECK(e.usage.max_rss > 100 << 10 && e.usage.max_rss < 16 << 20);
	CHECK_INT(bailey_process_usage(p, BAILEY_GROUP, &u), -EINVAL);
	bailey_process_free(p);
	CHECK_INT(bailey_kernel_usage(k, &u), 0);
	CHECK(u.user_ns + u.system_ns > 100000000 && u.max_rss > 60 << 20);
	CHECK_INT(u.oom_kills, 0);
	CHECK_INT(u.tasks, 0);

	/* more than a packet of them */
	p = run_sh(k, "i=0; while [ $i -lt 900 ]; do sleep 100 & i=$((i+1)); done; wait", -1);
	for (int i = 0; i < 500 && alive(k, "sleep", NULL) < 900; i++)
		msleep(50);
	CHECK_INT(alive(k, "sleep", NULL), 900);
	bailey_process_signal(p, SIGKILL, BAILEY_CONTAINER);
	bailey_process_wait(p, 10000, NULL);
	CHECK_INT(wait_alive(k, "sleep", 0), 0);
	bailey_process_free(p);
}

static void limited(bailey_kernel *k, int resource, uint64_t soft, uint64_t hard, uint32_t uid, const char *script, const char *want, int status)
{
	struct bailey_process_options o = BAILEY_PROCESS_OPTIONS_INIT;
	struct bailey_limit l = { resource, soft, hard };
	struct bailey_exit e = { 0 };

	o.limits = &l;
	o.nlimits = 1;
	o.uid = o.gid = uid;
	const char *out = output_of(k, script, &o, &e);
	if (want && !CHECK(!strcmp(out, want)))
		printf("\"%s\" instead of \"%s\"\n", out, want);
	CHECK_INT(e.kind == BAILEY_KILLED ? 128 + e.value : e.value, status);
}

static void test_limits(bailey_kernel *k)
{
	limited(k, RLIMIT_CPU, 1, 3, 0, "while :; do :; done", "", 128 + SIGXCPU);
	limited(k, RLIMIT_CPU, 1, 1, 0, "trap '' XCPU; while :; do :; done", "", 128 + SIGKILL);
	limited(k, RLIMIT_FSIZE, 4096, 4096, 0, "exec head -c 10000 /dev/zero >/tmp/limited", NULL, 128 + SIGXFSZ);
	limited(k, RLIMIT_FSIZE, 4096, 4096, 0, "wc -c </tmp/limited", "4096\n", 0);
	limited(k, RLIMIT_AS, 64 << 20, 64 << 20, 0, "exec python3 -c 'b = bytearray(100 << 20)' 2>/dev/null", "", 1);
	limited(k, RLIMIT_NPROC, 1, 1, 4321, "sleep 0 & wait", NULL, 2);
	limited(k, RLIMIT_NOFILE, 5, 5, 0, "ulimit -n; ulimit -Hn", "5\n5\n", 0);
	limited(k, RLIMIT_CORE, 0, 0, 0, "ulimit -c; ulimit -Hc", "0\n0\n", 0);
	limited(k, RLIMIT_STACK, UINT64_MAX, UINT64_MAX, 0, "ulimit -s", "unlimited\n", 0);
}

static int oom_lines;
static void on_log(void *arg, const char *line) { oom_lines += strstr(line, "out of memory") != NULL; }

static void test_kernel_limits(void)
{
	struct bailey_kernel_options o = BAILEY_KERNEL_OPTIONS_INIT;
	struct bailey_usage u = { 0 };
	struct bailey_exit e;
	bailey_kernel *k;

	o.memory_limit = 100 << 20;
	o.max_tasks = 5;
	o.log = on_log;
	CHECK_INT(bailey_kernel_create(&o, &k), 0);
	bailey_process *p = run_sh(k, "exec python3 -c 'b = bytearray(1 << 30)'", -1);
	CHECK_INT(bailey_process_wait(p, 20000, &e), 0);
	/* The process was killed; or, should that have taken too long, the kernel gave up. */
	CHECK(e.kind == BAILEY_LOST || (e.kind == BAILEY_KILLED && e.value == SIGKILL));
	if (e.kind != BAILEY_LOST) {
		CHECK(e.usage.oom_kills == 1 && oom_lines == 1);
		CHECK_INT(bailey_kernel_usage(k, &u), 0);
		CHECK(u.memory_peak > 100 << 20);
	}
	bailey_process_free(p);
	bailey_kernel_free(k);

	o.memory_limit = 0;
	CHECK_INT(bailey_kernel_create(&o, &k), 0);
	p = run_sh(k, "sleep 100 & sleep 100 & sleep 100 & sleep 100 & wait", -1);
	CHECK_INT(wait_alive(k, "sleep", 4), 4);
	struct bailey_process_options po = BAILEY_PROCESS_OPTIONS_INIT;
	const char *argv[] = { "true", NULL };
	bailey_process *q;
	po.argv = argv;
	CHECK_INT(bailey_process_create(k, &po, &q), -EAGAIN);
	bailey_kernel_signal(k, SIGKILL);
	bailey_process_wait(p, 10000, NULL);
	CHECK_INT(wait_alive(k, "sleep", 0), 0);
	CHECK_INT(bailey_process_create(k, &po, &q), 0);
	CHECK_INT(bailey_process_start(q), 0);
	CHECK_INT(bailey_process_wait(q, 10000, &e), 0);
	CHECK_INT(e.value, 0);
	bailey_kernel_free(k);
}

/* A long life: many processes in one kernel leave nothing in it. */
static void test_long_life(void)
{
	struct bailey_exit e;
	bailey_kernel *k = make_kernel();
	int fds = 0;
	long rss = 0;

	for (int i = 0; i < 500; i++) {
		bailey_process *p = run_sh(k, i % 3 ? "exit 2" : "/bin/true & wait; exit 2", -1);
		if (!p)
			break;
		CHECK_INT(bailey_process_wait(p, 20000, &e), 0);
		CHECK_INT(e.value, 2);
		bailey_process_free(p);
		if (i == 50) {
			fds = count_fds();
			rss = rss_kb();
		}
	}
	CHECK_INT(count_fds(), fds);
	CHECK(rss_kb() < rss + RSS_SLACK);
	bailey_kernel_free(k);
}

int main(void)
{
	bailey_kernel *k = make_kernel();

	test_signals(k);
	test_pause(k);
	bailey_kernel_free(k);
	k = make_kernel();
	test_list_and_usage(k);
	test_limits(k);
	bailey_kernel_free(k);
	test_kernel_limits();
	test_long_life();
	return done();
}
