/* SPDX-License-Identifier: Apache-2.0 */
/* The kcov device, where there is one: in a kernel that was built with it. */
#include "harness.h"
#include <linux/kcov.h>
#include <pthread.h>
#include <sys/ioctl.h>

#define DEVICE "/sys/kernel/debug/kcov"
#define WORDS (64UL << 10)
#define NOTSUPP 524

static int open_kcov(void)
{
	int fd = open(DEVICE, O_RDWR);

	if (fd < 0 && (errno == ENOENT || errno == EACCES))
		SKIP("no kcov device");
	CHECK(fd >= 0);
	return fd;
}

static uint64_t *set_up(int *fd)
{
	*fd = open_kcov();
	CHECK(!ioctl(*fd, KCOV_INIT_TRACE, WORDS));
	uint64_t *a = mmap(NULL, WORDS * 8, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
	CHECK(a != MAP_FAILED);
	return a;
}

static uint64_t count(uint64_t *a) { return __atomic_load_n(a, __ATOMIC_RELAXED); }
/* Some calls, as getpid(2), need not get into the kernel each time. */
static void call(void) { syscall(SYS_fchmod, -1, 0); }
static void reset(uint64_t *a) { __atomic_store_n(a, 0, __ATOMIC_RELAXED); }

/* Without the device there is no name either, whatever one asks for; with it, it is root's. */
TEST(absent_or_complete)
{
	struct stat st;

	if (geteuid())
		SKIP("not root");
	if (stat(DEVICE, &st)) {
		CHECK_EQ(errno, ENOENT);
		CHECK_ERRNO(open(DEVICE, O_RDWR), ENOENT);
		CHECK_ERRNO(open(DEVICE, O_RDONLY), ENOENT);
		CHECK_ERRNO(access(DEVICE, F_OK), ENOENT);
		return;
	}
	CHECK_EQ(st.st_mode, S_IFREG | 0600);
	CHECK_EQ(st.st_uid, 0);
	int fd = open_kcov();
	char c;
	CHECK_ERRNO(read(fd, &c, 1), EINVAL);
	CHECK_ERRNO(write(fd, "a", 1), EINVAL);
}

TEST(set_up)
{
	int fd = open_kcov();

	CHECK_ERRNO(ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC), EINVAL); /* no area yet */
	CHECK_ERRNO(ioctl(fd, KCOV_DISABLE, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	CHECK_ERRNO(ioctl(fd, KCOV_INIT_TRACE, 0), EINVAL);
	CHECK_ERRNO(ioctl(fd, KCOV_INIT_TRACE, 1), EINVAL);
	CHECK_ERRNO(ioctl(fd, KCOV_INIT_TRACE, 0x7fffffffUL / 8 + 1), EINVAL);
	CHECK_ERRNO(ioctl(fd, KCOV_INIT_TRACE, -1UL), EINVAL);
	CHECK(!ioctl(fd, KCOV_INIT_TRACE, 1024));
	CHECK_ERRNO(ioctl(fd, KCOV_INIT_TRACE, 1024), EBUSY);
	CHECK_ERRNO(ioctl(fd, KCOV_INIT_TRACE, 1), EINVAL);
	CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, 16384, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 4096), EINVAL);
	CHECK(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0) != MAP_FAILED);
	CHECK_ERRNO(ioctl(fd, _IO('c', 99), 0), ENOTTY);

	int odd = open_kcov(); /* not whole pages: nothing fits */
	CHECK(!ioctl(odd, KCOV_INIT_TRACE, 100));
	CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_SHARED, odd, 0), EINVAL);
}

TEST(traces)
{
	int fd;
	uint64_t *a = set_up(&fd), n, other;

	call();
	CHECK_EQ(count(a), 0);
	CHECK(!ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC));
	reset(a);
	call();
	n = count(a);
	CHECK(n > 0 && n < 1000);
	for (uint64_t i = 1; i <= n; i++)
		CHECK(a[i]);
	CHECK(!a[WORDS - 1]);
	reset(a);
	int f = open("/proc/self/status", O_RDONLY);
	char b[4096];
	CHECK(read(f, b, sizeof b) > 0);
	other = count(a);
	CHECK(other > 2 * n); /* more happens there */
	if (getenv("KCOV_DUMP"))
		for (uint64_t i = 1; i <= other; i++)
			fprintf(stderr, "0x%lx\n", a[i]);
	CHECK(!ioctl(fd, KCOV_DISABLE, 0));
	reset(a);
	call();
	CHECK_EQ(count(a), 0);
	CHECK_ERRNO(ioctl(fd, KCOV_DISABLE, 0), EINVAL);
	CHECK(!ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC)); /* again */
	reset(a);
	call();
	CHECK(count(a) > 0);
}

TEST(one_task_one_kcov)
{
	int fd, fd2;

	set_up(&fd);
	set_up(&fd2);
	int r = ioctl(fd, KCOV_ENABLE, KCOV_TRACE_CMP); /* without support, or with */
	CHECK(!r || errno == NOTSUPP);
	if (!r)
		CHECK(!ioctl(fd, KCOV_DISABLE, 0));
	CHECK_ERRNO(ioctl(fd, KCOV_ENABLE, 2), EINVAL);
	CHECK_ERRNO(ioctl(fd, KCOV_ENABLE, -1UL), EINVAL);
	CHECK(!ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC));
	CHECK_ERRNO(ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC), EINVAL);
	CHECK_ERRNO(ioctl(fd2, KCOV_ENABLE, KCOV_TRACE_PC), EBUSY);
	CHECK_ERRNO(ioctl(fd2, KCOV_ENABLE, 77), EBUSY);
	CHECK_ERRNO(ioctl(fd2, KCOV_DISABLE, 0), EINVAL);
	CHECK_ERRNO(ioctl(fd, KCOV_DISABLE, 1), EINVAL);
	CHECK_ERRNO(ioctl(fd, KCOV_INIT_TRACE, WORDS), EBUSY);
	CHECK(!ioctl(fd, KCOV_DISABLE, 0));
	CHECK(!ioctl(fd2, KCOV_ENABLE, KCOV_TRACE_PC));
}

static int thread_fd;
static void *other_thread(void *arg)
{
	uint64_t *a = arg;

	reset(a);
	for (int i = 0; i < 100; i++)
		call();
	CHECK_ERRNO(ioctl(thread_fd, KCOV_DISABLE, 0), EINVAL);
	CHECK_ERRNO(ioctl(thread_fd, KCOV_ENABLE, KCOV_TRACE_PC), EINVAL);
	return NULL;
}

static void *tracing_thread(void *arg)
{
	CHECK(!ioctl(thread_fd, KCOV_ENABLE, KCOV_TRACE_PC));
	reset(arg);
	call();
	CHECK(count(arg) > 0);
	return NULL;
}

TEST(only_the_enabling_task)
{
	uint64_t *a = set_up(&thread_fd);
	pthread_t t;

	CHECK(!pthread_create(&t, NULL, tracing_thread, a)); /* its end frees the kcov */
	CHECK(!pthread_join(t, NULL));
	for (int i = 0; ioctl(thread_fd, KCOV_ENABLE, KCOV_TRACE_PC); i++) {
		CHECK(errno == EINVAL && i < 1000);
		msleep(1);
	}
	int st = CHILD_STATUS({ /* fork does not inherit it; the mapping it does */
		reset(a);
		for (int i = 0; i < 100; i++)
			call();
		CHECK_ERRNO(ioctl(thread_fd, KCOV_DISABLE, 0), EINVAL);
		int fd;
		uint64_t *own = set_up(&fd);
		CHECK(!ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC));
		reset(own);
		call();
		CHECK(count(own) > 0);
	});
	CHECK_EQ(st, 0);
	CHECK(!pthread_create(&t, NULL, other_thread, a));
	CHECK(!pthread_join(t, NULL));
	CHECK(!ioctl(thread_fd, KCOV_DISABLE, 0));
}

TEST(close_does_not_end_it)
{
	int fd;
	uint64_t *a = set_up(&fd);

	CHECK(!ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC));
	close(fd);
	reset(a);
	call();
	CHECK(count(a) > 0);
	CHECK(!munmap(a, WORDS * 8)); /* what is written now nobody sees */
	call();
	a = set_up(&fd);
	CHECK_ERRNO(ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC), EBUSY);
}

/* The count is the program's to write: whatever it is, nothing is written outside. */
TEST(hostile_count)
{
	static const uint64_t bad[] = { -1UL, -2UL, WORDS, WORDS - 1, WORDS - 2, WORDS + 1, 1UL << 61, 1UL << 63, (1UL << 63) - 1 };
	int fd;
	uint64_t *a = set_up(&fd);

	CHECK(!ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC));
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		a[0] = bad[i];
		for (int k = 0; k < 10; k++)
			call();
		CHECK(bad[i] == -1UL || count(a) == (bad[i] == WORDS - 2 ? WORDS - 1 : bad[i]));
	}
	reset(a);
	while (count(a) < WORDS - 1) /* full */
		call();
	uint64_t last = a[WORDS - 1];
	CHECK(last);
	call();
	CHECK_EQ(count(a), WORDS - 1);
	CHECK_EQ(a[WORDS - 1], last);
}

TEST(exec_keeps_it)
{
	int fd;

	set_up(&fd);
	CHECK(!ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC));
	fcntl(fd, F_SETFD, 0);
	execl("/bin/true", "true", NULL);
	CHECK(0);
}
