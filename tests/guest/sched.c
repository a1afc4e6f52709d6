/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
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
