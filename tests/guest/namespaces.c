/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <linux/futex.h>
#include <sys/sysinfo.h>
#include <sys/timerfd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static int put(const char *path, const char *s)
{
	int fd = open(path, O_WRONLY), r, e;
	if (fd < 0)
		return -1;
	r = write(fd, s, strlen(s));
	e = errno;
	close(fd);
	errno = e;
	return r < 0 ? -1 : 0;
}
static char *get(const char *path)
{
	static char b[512];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, b, sizeof(b) - 1);
	close(fd);
	b[n > 0 ? n : 0] = 0;
	return b;
}
static unsigned long ino(const char *path)
{
	struct stat st;
	return stat(path, &st) ? 0 : st.st_ino;
}
static long secs(int clock)
{
	struct timespec t;
	CHECK(!clock_gettime(clock, &t));
	return t.tv_sec;
}
static long syscall_secs(int clock)
{
	struct timespec t;
	CHECK(!syscall(SYS_clock_gettime, clock, &t));
	return t.tv_sec;
}
#define NEAR(a, b) CHECK(labs((long)(a) - (long)(b)) <= 30)

TEST(time_offsets)
{
	long mono = secs(CLOCK_MONOTONIC), boot = secs(CLOCK_BOOTTIME);
	struct sysinfo si, si2;
	unsigned long old = ino("/proc/self/ns/time");
	CHECK(!sysinfo(&si));
	CHECK_EQ(ino("/proc/self/ns/time_for_children"), old);
	CHECK_ERRNO(put("/proc/self/timens_offsets", "monotonic 1 0\n"), EACCES); /* the first one's are fixed */
	CHECK(!unshare(CLONE_NEWTIME));
	CHECK_EQ(ino("/proc/self/ns/time"), old);
	CHECK(ino("/proc/self/ns/time_for_children") != old);
	CHECK(!strcmp(get("/proc/self/timens_offsets"), "monotonic           0         0\nboottime            0         0\n"));
	CHECK_ERRNO(put("/proc/self/timens_offsets", "monotonic 1 1000000000\n"), EINVAL);
	CHECK_ERRNO(put("/proc/self/timens_offsets", "realtime 1 0\n"), EINVAL);
	CHECK_ERRNO(put("/proc/self/timens_offsets", "0 1 0\n"), EINVAL);
	CHECK_ERRNO(put("/proc/self/timens_offsets", "monotonic 1\n"), EINVAL);
	CHECK_ERRNO(put("/proc/self/timens_offsets", "monotonic -999999999 0\n"), ERANGE);
	CHECK_ERRNO(put("/proc/self/timens_offsets", "monotonic 9223372036 0\n"), ERANGE);
	CHECK(!put("/proc/self/timens_offsets", "monotonic 86400 5\n7 -5 500000000\n"));
	CHECK(!strcmp(get("/proc/self/timens_offsets"), "monotonic       86400         5\nboottime           -5 500000000\n"));
	CHECK(!put("/proc/self/timens_offsets", "boottime 864000 0"));
	NEAR(secs(CLOCK_MONOTONIC), mono); /* only for children */
	CHECK_EQ(CHILD_STATUS({
		CHECK(ino("/proc/self/ns/time") != old);
		CHECK_EQ(ino("/proc/self/ns/time_for_children"), ino("/proc/self/ns/time"));
		NEAR(secs(CLOCK_MONOTONIC), mono + 86400);
		NEAR(secs(CLOCK_MONOTONIC_COARSE), mono + 86400);
		NEAR(secs(CLOCK_BOOTTIME), boot + 864000);
		NEAR(secs(CLOCK_REALTIME), time(NULL));
		NEAR(syscall_secs(CLOCK_MONOTONIC), mono + 86400);
		NEAR(syscall_secs(CLOCK_MONOTONIC_RAW), mono + 86400);
		CHECK(!sysinfo(&si2));
		NEAR(si2.uptime, si.uptime + 864000);
		NEAR(atol(get("/proc/uptime")), si.uptime + 864000);
		CHECK_ERRNO(put("/proc/self/timens_offsets", "monotonic 1 0\n"), EACCES);
		/* Points of the clock are those that are seen. */
		struct timespec t;
		double a = now_s();
		clock_gettime(CLOCK_MONOTONIC, &t);
		t.tv_nsec += 200000000;
		if (t.tv_nsec >= 1000000000) {
			t.tv_sec++;
			t.tv_nsec -= 1000000000;
		}
		CHECK(!clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL));
		CHECK(now_s() - a >= 0.19);
		t.tv_sec++;
		int word = 0;
		CHECK_ERRNO(syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, 0, &t, NULL, ~0), ETIMEDOUT);
		double b = now_s() - a;
		CHECK(b >= 1.19 && b < 10);
		int fd = timerfd_create(CLOCK_BOOTTIME, 0);
		struct itimerspec it = { .it_value.tv_sec = secs(CLOCK_BOOTTIME) + 2 }, cur;
		CHECK(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL));
		CHECK(!timerfd_gettime(fd, &cur));
		CHECK(cur.it_value.tv_sec <= 2);
		uint64_t n;
		CHECK(read(fd, &n, 8) == 8 && n == 1);
		it.it_value.tv_sec = 1; /* long past */
		CHECK(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &it, NULL));
		CHECK(read(fd, &n, 8) == 8 && n == 1);
		timer_t id;
		struct sigevent ev = { .sigev_notify = SIGEV_NONE };
		CHECK(!timer_create(CLOCK_MONOTONIC, &ev, &id));
		it.it_value.tv_sec = secs(CLOCK_MONOTONIC) + 100;
		CHECK(!timer_settime(id, TIMER_ABSTIME, &it, NULL) && !timer_gettime(id, &cur));
		NEAR(cur.it_value.tv_sec, 100);
		/* Inherited; and kept by exec. */
		CHECK_EQ(CHILD_STATUS({ NEAR(secs(CLOCK_MONOTONIC), mono + 86400); }), 0);
		char cmd[128];
		snprintf(cmd, sizeof(cmd), "read u r </proc/uptime; u=${u%%.*}; test $((u - %ld)) -lt 864030 -a $((u - %ld)) -ge 864000", si.uptime, si.uptime);
		CHECK_EQ(system(cmd), 0);
	}), 0);
}

TEST(time_setns)
{
	long mono = secs(CLOCK_MONOTONIC);
	int home = open("/proc/self/ns/time", O_RDONLY), there;
	CHECK(home >= 0);
	CHECK(!unshare(CLONE_NEWTIME));
	CHECK(!put("/proc/self/timens_offsets", "1 1000 0"));
	there = open("/proc/self/ns/time_for_children", O_RDONLY);
	CHECK(!setns(there, CLONE_NEWTIME)); /* at once */
	NEAR(secs(CLOCK_MONOTONIC), mono + 1000);
	CHECK_ERRNO(put("/proc/self/timens_offsets", "1 1001 0"), EACCES);
	CHECK(!setns(home, 0));
	NEAR(secs(CLOCK_MONOTONIC), mono);
	CHECK_EQ(CHILD_STATUS({ NEAR(secs(CLOCK_MONOTONIC), mono); }), 0);
	CHECK_ERRNO(setns(home, CLONE_NEWUTS), EINVAL);
}

TEST(cgroup)
{
	unsigned long a = ino("/proc/self/ns/cgroup");
	CHECK(a);
	int fd = open("/proc/self/ns/cgroup", O_RDONLY);
	CHECK(!unshare(CLONE_NEWCGROUP));
	CHECK(ino("/proc/self/ns/cgroup") != a);
	CHECK_EQ(CHILD_STATUS({ CHECK(ino("/proc/self/ns/cgroup") != a); }), 0);
	CHECK(!setns(fd, CLONE_NEWCGROUP));
	CHECK_EQ(ino("/proc/self/ns/cgroup"), a);
}

TEST(several_by_pidfd)
{
	int p[2];
	CHECK(!pipe(p));
	pid_t c = fork();
	if (!c) {
		CHECK(!unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP));
		sethostname("inner", 5);
		(void)write(p[1], "x", 1);
		pause();
	}
	char b, path[64], name[65];
	CHECK(read(p[0], &b, 1) == 1);
	int fd = syscall(SYS_pidfd_open, c, 0);
	snprintf(path, sizeof(path), "/proc/%d/ns/ipc", c);
	CHECK_ERRNO(setns(fd, 0), EINVAL);
	CHECK_ERRNO(setns(fd, 1), EINVAL);
	CHECK(!setns(fd, CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP | CLONE_NEWTIME));
	gethostname(name, sizeof(name));
	CHECK(!strcmp(name, "inner"));
	CHECK_EQ(ino(path), ino("/proc/self/ns/ipc"));
	kill(c, SIGKILL);
	waitpid(c, NULL, 0);
	CHECK_ERRNO(setns(fd, CLONE_NEWUTS), ESRCH);
}

TEST(next_number)
{
	int st;
	if (unshare(CLONE_NEWPID))
		SKIP("no PID namespaces");
	pid_t p = fork();
	if (!p) {
		CHECK(!put("/proc/sys/kernel/ns_last_pid", "600\n") && atoi(get("/proc/sys/kernel/ns_last_pid")) == 600);
		pid_t c = fork();
		if (!c)
			_exit(0);
		CHECK_EQ(c, 601);
		waitpid(c, NULL, 0);
		CHECK(put("/proc/sys/kernel/ns_last_pid", "-1") && errno == EINVAL);
		CHECK(put("/proc/sys/kernel/ns_last_pid", "x") && errno == EINVAL);
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && !st);
}
