/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <pthread.h>
#include <sys/timex.h>

struct attr { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t prio; uint64_t runtime, deadline, period; uint32_t umin, umax; };
static long set(struct attr *a) { return syscall(SYS_sched_setattr, 0, a, 0); }
static long get(struct attr *a, unsigned size) { return syscall(SYS_sched_getattr, 0, a, size, 0); }

TEST(deadline)
{
	struct attr a = { .size = 48, .policy = 6, .runtime = 10000000, .deadline = 30000000 }, b;
	struct timespec ts;
	if (set(&a) && errno == EPERM)
		SKIP("needs a CPU of its own");
	CHECK_EQ(sched_getscheduler(0), 6);
	CHECK(!get(&b, 48) && b.policy == 6 && b.runtime == 10000000 && b.deadline == 30000000 && b.period == 30000000 && !b.nice);
	CHECK(!sched_rr_get_interval(0, &ts) && !ts.tv_nsec);
	CHECK_ERRNO(fork(), EAGAIN);
	a.runtime = 0;
	CHECK_ERRNO(set(&a), EINVAL);
	a.runtime = 100;
	CHECK_ERRNO(set(&a), EINVAL);
	a.runtime = 40000000;
	CHECK_ERRNO(set(&a), EINVAL);
	a.runtime = 10000000;
	a.period = 20000000; /* shorter than the deadline */
	CHECK_ERRNO(set(&a), EINVAL);
	a.period = 0;
	a.prio = 1;
	CHECK_ERRNO(set(&a), EINVAL);
	a.prio = 0;
	a.flags = 1; /* reset on fork */
	CHECK(!set(&a));
	CHECK_EQ(CHILD_STATUS({ CHECK_EQ(sched_getscheduler(0), 0); }), 0);
	struct sched_param p = { 0 };
	CHECK_ERRNO(sched_setscheduler(0, 6, &p), EINVAL);
	CHECK(!sched_setscheduler(0, 0, &p));
	CHECK(!get(&b, 48) && !b.policy);
}

TEST(attributes)
{
	struct attr a = { .size = 48, .nice = 5 };
	CHECK(!set(&a));
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 5);
	a.flags = 6; /* options of deadline tasks do not matter */
	CHECK(!set(&a));
	a.flags = 0x20;
	CHECK_ERRNO(set(&a), EINVAL); /* too short for it */
	a.flags = 0x80;
	CHECK_ERRNO(set(&a), EINVAL);
	a.flags = 0;
	a.policy = 9;
	CHECK_ERRNO(set(&a), EINVAL);
	a.policy = 4;
	CHECK_ERRNO(set(&a), EINVAL);
	a.policy = 1;
	CHECK_ERRNO(set(&a), EINVAL);
	a.policy = 0;
	a.prio = 1;
	CHECK_ERRNO(set(&a), EINVAL);
	a.size = 47;
	CHECK_ERRNO(set(&a), E2BIG);
	CHECK_ERRNO(get(&a, 47), EINVAL);
	CHECK_ERRNO(get(&a, 5000), EINVAL);
}

TEST(prctl_options)
{
	CHECK_EQ(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_DEFAULT);
	CHECK(!prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0));
	CHECK_EQ(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_EARLY);
	CHECK_ERRNO(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, 3, 0, 0), EINVAL);
	CHECK(!prctl(PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0));
	CHECK(!prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
	CHECK_EQ(CHILD_STATUS({ CHECK_EQ(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1); }), 0);
	CHECK(!prctl(PR_TASK_PERF_EVENTS_DISABLE));
	CHECK_ERRNO(prctl(9999), EINVAL);
}

TEST(no_exec_gain)
{
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *x = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && x != MAP_FAILED);
	CHECK_ERRNO(prctl(65, 2, 0, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(65, 4, 0, 0, 0), EINVAL);
	CHECK(!prctl(65, 1, 0, 0, 0));
	CHECK_EQ(prctl(66, 0, 0, 0, 0), 1);
	CHECK_ERRNO(prctl(65, 0, 0, 0, 0), EPERM); /* for good */
	CHECK_ERRNO(mprotect(p, 4096, PROT_READ | PROT_EXEC), EACCES);
	CHECK_ERRNO(mprotect(x, 4096, PROT_READ | PROT_WRITE | PROT_EXEC), EACCES);
	CHECK(!mprotect(x, 4096, PROT_READ | PROT_EXEC));
	CHECK(mmap(NULL, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	CHECK_EQ(CHILD_STATUS({ CHECK_ERRNO(mprotect(p, 4096, PROT_EXEC), EACCES); }), 0);
}

TEST(timer_ids_restored)
{
	int id = 7;
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	if (prctl(77, 1, 0, 0, 0))
		SKIP("an older kernel");
	CHECK_EQ(prctl(77, 2, 0, 0, 0), 1);
	CHECK(!syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id) && id == 7);
	CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EBUSY);
	id = -1;
	CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id), EINVAL);
	CHECK(!prctl(77, 0, 0, 0, 0));
	CHECK(!syscall(SYS_timer_create, CLOCK_MONOTONIC, &ev, &id) && id != 7);
}

/* ---- small files of /proc/PID ---- */

static int put(const char *path, const char *s)
{
	int fd = open(path, O_WRONLY), e;
	if (fd < 0)
		return -1;
	ssize_t r = write(fd, s, strlen(s));
	e = errno;
	close(fd);
	errno = e;
	return r < 0 ? -1 : 0;
}
static char *text(const char *path)
{
	static char b[1024];
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, b, sizeof(b) - 1);
	close(fd);
	b[n > 0 ? n : 0] = 0;
	return b;
}

TEST(autogroup)
{
	if (access("/proc/self/autogroup", F_OK))
		SKIP("built without it");
	CHECK_EQ(CHILD_STATUS({
		CHECK(setsid() > 0); /* a group of its own */
		CHECK(strstr(text("/proc/self/autogroup"), " nice 0\n"));
		CHECK(!put("/proc/self/autogroup", "5"));
		CHECK(!strncmp(text("/proc/self/autogroup"), "/autogroup-", 11) && strstr(text("/proc/self/autogroup"), " nice 5\n"));
		CHECK_EQ(CHILD_STATUS({ CHECK(strstr(text("/proc/self/autogroup"), " nice 5\n")); }), 0);
		CHECK_ERRNO(put("/proc/self/autogroup", "20"), EINVAL);
		CHECK_ERRNO(put("/proc/self/autogroup", "x"), EINVAL);
	}), 0);
}

TEST(oom)
{
	int plain = atoi(text("/proc/self/oom_score"));
	CHECK(plain >= 600 && plain < 1000);
	CHECK(!put("/proc/self/oom_score_adj", "500"));
	int more = atoi(text("/proc/self/oom_score"));
	CHECK(more > plain + 300 && more < plain + 360);
	CHECK(!strcmp(text("/proc/self/oom_adj"), "8\n"));
	CHECK_ERRNO(put("/proc/self/oom_score_adj", "1001"), EINVAL);
}

TEST(kept_numbers)
{
	CHECK(!strcmp(text("/proc/self/coredump_filter"), "00000033\n"));
	CHECK(!put("/proc/self/coredump_filter", "0x7f"));
	CHECK_EQ(CHILD_STATUS({ CHECK(!strcmp(text("/proc/self/coredump_filter"), "0000007f\n")); }), 0);
	CHECK_ERRNO(put("/proc/self/coredump_filter", "zz"), EINVAL);
	CHECK(!put("/proc/self/timerslack_ns", "1000"));
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 1000);
	CHECK(!put("/proc/self/timerslack_ns", "0"));
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 50000);
	CHECK(!put("/proc/self/loginuid", "1234"));
	CHECK_EQ(CHILD_STATUS({ CHECK_EQ(atoi(text("/proc/self/loginuid")), 1234); }), 0);
	CHECK(strcmp(text("/proc/self/sessionid"), "4294967295"));
}

TEST(timers)
{
	timer_t id;
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = 34, .sigev_value.sival_int = 0x77 };
	CHECK(!*text("/proc/self/timers"));
	CHECK(!timer_create(CLOCK_BOOTTIME, &ev, &id));
	char want[64], *b = text("/proc/self/timers");
	CHECK(strstr(b, "signal: 34/0000000000000077\n"));
	snprintf(want, sizeof(want), "notify: signal/pid.%d\nClockID: 7\n", getpid());
	CHECK(strstr(b, want));
}

TEST(next_number)
{
	if (CHILD_STATUS({ CHECK(!unshare(CLONE_NEWPID)); }))
		SKIP("no right to");
	CHECK_EQ(CHILD_STATUS({
		CHECK(!unshare(CLONE_NEWPID));
		CHECK_EQ(CHILD_STATUS({
			CHECK(!put("/proc/sys/kernel/ns_last_pid", "700"));
			CHECK_EQ(CHILD_STATUS({ CHECK_EQ(getpid(), 701); }), 0);
			CHECK_ERRNO(put("/proc/sys/kernel/ns_last_pid", "-1"), EINVAL);
		}), 0);
	}), 0);
}

TEST(clone_arguments)
{
	struct { uint64_t flags, pidfd, ctid, ptid, sig, stack, ssz, tls, set_tid, nset, cg; } a = { .sig = SIGCHLD };
	int tids[40] = { 20000, 20001 };
#define C3 syscall(SYS_clone3, &a, sizeof(a))
	a.set_tid = (uint64_t)(uintptr_t)tids;
	CHECK_ERRNO(C3, EINVAL);
	a.nset = 33;
	CHECK_ERRNO(C3, EINVAL);
	a.set_tid = a.nset = 0;
	a.flags = 0x200000000; /* CLONE_INTO_CGROUP */
	a.cg = (uint64_t)-1;
	CHECK_ERRNO(C3, EINVAL);
	a.cg = 0;
	CHECK_ERRNO(C3, EBADF);
	a.flags = CLONE_SETTLS;
	a.tls = (uint64_t)-1;
	CHECK_ERRNO(C3, EPERM);
	a.flags = 1ULL << 40;
	CHECK_ERRNO(C3, EINVAL);
	a.flags = CLONE_PARENT;
	CHECK_ERRNO(C3, EINVAL);
	a.flags = 0;
	a.stack = 4096;
	CHECK_ERRNO(C3, EINVAL);
}

static int numa_is(int mode, unsigned long nodes)
{
	unsigned long m[16] = { ~0UL };
	int got = -1;
	return syscall(SYS_get_mempolicy, &got, m, 1024, 0, 0) == 0 && got == mode && m[0] == nodes && !m[1];
}
TEST(numa_policy)
{
	enum { DEFAULT, PREFERRED, BIND, INTERLEAVE, LOCAL, PREFERRED_MANY, WEIGHTED, BALANCING = 0x2000, RELATIVE = 0x4000, STATIC = 0x8000 };
	static const struct { int mode; unsigned long nodes; int shows; unsigned long then; } ok[] = {
		{ BIND, 1, BIND, 1 }, { INTERLEAVE, 1, INTERLEAVE, 1 }, { PREFERRED, 1, PREFERRED, 1 }, { PREFERRED, 0, LOCAL, 0 }, { LOCAL, 0, LOCAL, 0 },
		{ PREFERRED | STATIC, 1, PREFERRED | STATIC, 1 }, { BIND | RELATIVE, 1, BIND | RELATIVE, 1 }, { PREFERRED_MANY, 1, PREFERRED_MANY, 1 },
		{ BIND | BALANCING, 1, BIND | BALANCING, 1 }, { DEFAULT | STATIC, 0, DEFAULT, 0 }, { BIND, 1, BIND, 1 },
	}, bad[] = {
		{ BIND, 0 }, { LOCAL, 1 }, { 7, 1 }, { INTERLEAVE | STATIC | RELATIVE, 1 }, { DEFAULT, 1 }, { LOCAL | STATIC, 0 }, { PREFERRED | STATIC, 0 }, { INTERLEAVE | BALANCING, 1 },
		{ BIND, 1UL << 40 },
	};
	unsigned long m = 0;
	int mode, st;
	if (syscall(SYS_get_mempolicy, &mode, &m, 64, 0, 4))
		SKIP("no NUMA");
	CHECK(m & 1);
	CHECK(numa_is(DEFAULT, 0));
	for (unsigned i = 0; i < sizeof(ok) / sizeof(*ok); i++) {
		CHECK(syscall(SYS_set_mempolicy, ok[i].mode, &ok[i].nodes, 64) == 0);
		CHECK(numa_is(ok[i].shows, ok[i].then));
	}
	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK_ERRNO(syscall(SYS_set_mempolicy, bad[i].mode, &bad[i].nodes, 64), EINVAL);
	pid_t p = fork();
	if (!p)
		_exit(!numa_is(BIND, 1));
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	CHECK_ERRNO(syscall(SYS_get_mempolicy, &mode, 0, 0, 0, 1), EINVAL);
	m = 1;
	CHECK(syscall(SYS_set_mempolicy, INTERLEAVE, &m, 64) == 0);
	CHECK(syscall(SYS_get_mempolicy, &mode, 0, 0, 0, 1) == 0 && mode >= 0);
	CHECK_ERRNO(syscall(SYS_get_mempolicy, &mode, &m, 0, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_get_mempolicy, &mode, &m, 64, &m, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_get_mempolicy, &mode, &m, 64, 0, 5), EINVAL);
	CHECK_ERRNO(syscall(SYS_get_mempolicy, &mode, &m, 64, 0, 2), EFAULT);
}

TEST(normal_classes)
{
	struct sched_param p = { 0 };
	struct attr a = { .size = 48, .policy = SCHED_IDLE, .nice = 7 }, b;
	CHECK(!setpriority(PRIO_PROCESS, 0, 3));
	CHECK(!set(&a)); /* a niceness is of SCHED_OTHER and SCHED_BATCH */
	CHECK(!get(&b, 48) && b.policy == SCHED_IDLE && b.nice == 3);
	CHECK_EQ(syscall(SYS_sched_get_priority_max, 6), 0);
	CHECK_ERRNO(syscall(SYS_sched_get_priority_max, 8), EINVAL);
	a.flags = 0x10; /* keep the parameters: the policy is one of them */
	a.policy = SCHED_BATCH;
	CHECK(!set(&a) && sched_getscheduler(0) == SCHED_IDLE);
	a.flags = 0x18; /* keep both */
	a.policy = 77;
	CHECK(!set(&a) && sched_getscheduler(0) == SCHED_IDLE);
	CHECK(!sched_setscheduler(0, SCHED_BATCH | 0x40000000, &p)); /* reset on fork: of real time classes and negative niceness */
	CHECK_EQ(CHILD_STATUS({ CHECK(sched_getscheduler(0) == SCHED_BATCH && getpriority(PRIO_PROCESS, 0) == 3); }), 0);
	a.flags = 8; /* keep the policy, and this too */
	CHECK(!set(&a) && sched_getscheduler(0) == (SCHED_BATCH | 0x40000000));
	a.flags = 0x20;
	a.policy = 0;
	CHECK_ERRNO(set(&a), EINVAL); /* clamps need the longer form */
	char big[4200];
	memset(big, 1, sizeof(big));
	CHECK(!syscall(SYS_sched_getattr, 0, big, 52, 0) && *(int *)big == 52 && big[52] == 1);
	CHECK_ERRNO(syscall(SYS_sched_getattr, 0, big, 4097, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getattr, 0, big, 47, 0), EINVAL);
}

TEST(slices)
{
	struct attr a = { .size = 48 }, b, c;
	CHECK(!get(&b, 48));
	if (!b.runtime)
		SKIP("before Linux 6.12");
	a.runtime = 20000000;
	CHECK(!set(&a) && !get(&c, 48) && c.runtime == 20000000);
	CHECK_EQ(CHILD_STATUS({ CHECK(!get(&c, 48) && c.runtime == 20000000); }), 0);
	a.runtime = 1;
	CHECK(!set(&a) && !get(&c, 48) && c.runtime == 100000);
	a.runtime = ~0ULL;
	CHECK(!set(&a) && !get(&c, 48) && c.runtime == 100000000);
	a.runtime = 0;
	CHECK(!set(&a) && !get(&c, 48) && c.runtime == b.runtime);
}

TEST(timer_slack)
{
	struct sched_param p = { 1 };
	CHECK(!prctl(PR_SET_TIMERSLACK, 1234));
	if (sched_setscheduler(0, SCHED_FIFO, &p))
		SKIP("no right to");
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 0);
	CHECK(!prctl(PR_SET_TIMERSLACK, 77) && !prctl(PR_GET_TIMERSLACK));
	p.sched_priority = 0;
	CHECK(!sched_setscheduler(0, SCHED_OTHER, &p));
	CHECK_EQ(prctl(PR_GET_TIMERSLACK), 50000);
}

static long ioprio_get(int which, int who) { return syscall(SYS_ioprio_get, which, who); }
static long ioprio_set(int which, int who, int v) { return syscall(SYS_ioprio_set, which, who, v); }
static int io_child(void *arg)
{
	return ioprio_set(1, 0, *(int *)arg) ? 1 : 0;
}
static void io_priority(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int v = 3 << 13 | 1, st;
	CHECK(setsid() > 0);
	CHECK(!setpriority(PRIO_PROCESS, 0, 5));
	CHECK(!ioprio_set(1, 0, 0) && ioprio_get(1, 0) == 0);	/* one thread: as it was set */
	CHECK_EQ(ioprio_get(2, 0), 2 << 13 | 5);			/* a group: as it counts */
	CHECK_ERRNO(ioprio_set(1, 0, 1), EINVAL);
	CHECK_ERRNO(ioprio_set(1, 0, 4 << 13), EINVAL);
	CHECK(!ioprio_set(1, 0, 1 << 16 | 2 << 13 | 1 << 3 | 2) && ioprio_get(1, 0) == (2 << 13 | 1 << 3 | 2));
	CHECK_EQ(CHILD_STATUS({ CHECK(ioprio_get(1, 0) == (2 << 13 | 1 << 3 | 2) && !ioprio_set(1, 0, 3 << 13)); }), 0);
	CHECK_EQ(ioprio_get(1, 0), 2 << 13 | 1 << 3 | 2);
	pid_t c = clone(io_child, stack + sizeof(stack), CLONE_IO | SIGCHLD, &v); /* one context for both */
	CHECK(c > 0 && waitpid(c, &st, 0) == c && !st);
	CHECK_EQ(ioprio_get(1, 0), v);
	CHECK_ERRNO(ioprio_get(0, 0), EINVAL);
	CHECK_ERRNO(ioprio_get(1, 99999999), ESRCH);
}
TEST(io_priorities)
{
	CHECK_EQ(CHILD_STATUS({ io_priority(); }), 0);
}

TEST(threads_count_for_nproc)
{
	if (geteuid())
		SKIP("no right to");
	CHECK_EQ(CHILD_STATUS({
		struct rlimit l = { 1, 1 };
		CHECK(!setrlimit(RLIMIT_NPROC, &l) && !setresgid(54321, 54321, 54321) && !setresuid(54321, 54321, 54321));
		CHECK_ERRNO(fork(), EAGAIN);
		CHECK_ERRNO(syscall(SYS_clone, CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, 0, 0, 0, 0), EAGAIN);
	}), 0);
}

/* ---- CPUs ---- */

static int strayed(int cpu, int calls)
{
	int bad = 0;
	for (int i = 0; i < calls; i++) {
		syscall(SYS_getppid);
		bad += sched_getcpu() != cpu;
	}
	return bad;
}
static void *strayed_thread(void *arg)
{
	return (void *)(intptr_t)strayed(*(int *)arg, 500);
}
TEST_TIMEOUT(bound_to_a_cpu, 60)
{
	cpu_set_t all, one;
	CHECK(!sched_getaffinity(0, sizeof(all), &all));
	for (int cpu = 0; cpu < 4; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		pthread_t t;
		void *bad;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		CHECK(!sched_setaffinity(0, sizeof(one), &one));
		CHECK_EQ(sched_getcpu(), cpu);
		CHECK_EQ(strayed(cpu, 3000), 0);
		CHECK_EQ(CHILD_STATUS({ CHECK_EQ(strayed(cpu, 500), 0); }), 0);
		CHECK(!pthread_create(&t, NULL, strayed_thread, &cpu) && !pthread_join(t, &bad) && !bad);
		char self[512];
		ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
		CHECK(n > 0);
		self[n] = 0;
		CHECK_EQ(CHILD_STATUS({ /* and what it executes */
			char number[16];
			snprintf(number, sizeof(number), "%d", cpu);
			setenv("STRAYED", number, 1);
			dup2(open("/dev/null", O_WRONLY), 1);
			execl(self, self, "bound_after_exec", NULL);
		}), 0);
	}
	CHECK(!sched_setaffinity(0, sizeof(all), &all));
	pid_t p = fork();
	if (!p)
		for (;;)
			syscall(SYS_getppid);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	if (CPU_ISSET(0, &all)) /* somebody else, who is busy */
		CHECK(!sched_setaffinity(p, sizeof(one), &one));
	kill(p, SIGKILL);
	CHECK(waitpid(p, NULL, 0) == p);
}
TEST(bound_after_exec)
{
	const char *cpu = getenv("STRAYED");
	if (cpu)
		CHECK_EQ(strayed(atoi(cpu), 500), 0);
}
