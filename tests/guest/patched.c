/* SPDX-License-Identifier: Apache-2.0 */
/* patched.c: system calls whose sites Bailey patches (trap/patch.c) while mappings come to lie where it keeps the tables for that. Built
 * twice: patched_fixed is not position-independent and covers PATCH_TABLE_MOV from the start. cli/patched.sh looks whether its calls are
 * patched all the same. */
#include "harness.h"
#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>
#include <ucontext.h>

#define TABLE_MOV 0x050f0000UL
#define TABLE_HOP 0x7efe0000UL
#define TABLE_LEN 0x10000UL

#ifndef __PIE__
static unsigned char covering[0x400000];
#endif

static void calls(int n)
{
	int p[2];
	char b[8];

	CHECK(!pipe(p));
	for (int i = 0; i < n; i++) {
		CHECK_EQ(getppid(), syscall(SYS_getppid));
		CHECK_EQ(write(p[1], "x", 1), 1);
		CHECK_EQ(read(p[0], b, 8), 1);
		CHECK_ERRNO(syscall(SYS_lseek, p[0], 0, SEEK_CUR), ESPIPE);
		CHECK_ERRNO(close(-1), EBADF);
	}
	close(p[0]);
	close(p[1]);
}

static void in_child(int n)
{
	int st;
	pid_t c = fork();

	CHECK(c >= 0);
	if (!c) {
		calls(n);
		_exit(7);
	}
	CHECK_EQ(waitpid(c, &st, 0), c);
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 7);
}

TEST(covers)
{
	unsigned char *t = (unsigned char *)TABLE_MOV;

#ifdef __PIE__
	SKIP("position-independent");
#else
	CHECK(covering <= t && t + 0x50000 <= covering + sizeof covering);
#endif
	memset(t, 0x5a, 0x50000);
	calls(500);
	in_child(100);
	for (int i = 0; i < 0x50000; i++)
		CHECK_EQ(t[i], 0x5a);
}

static void *thread_calls(void *arg)
{
	calls(200);
	return arg;
}

TEST(threads)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&t[i], NULL, thread_calls, NULL));
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_join(t[i], NULL));
}

static volatile int ticks, strange, shallow;
static volatile unsigned long last;
static void tick(int s, siginfo_t *si, void *v)
{
	ucontext_t *uc = v;
	Dl_info info;
	void *f[32];

	ticks++;
	/* Where the signal came is in this program or its libraries, whatever the call there has become; and unwinding finds main. */
	if (!dladdr((void *)uc->uc_mcontext.gregs[REG_RIP], &info)) {
		strange++;
		last = (unsigned long)uc->uc_mcontext.gregs[REG_RIP];
	}
	if (backtrace(f, 32) < 5)
		shallow++;
}
TEST_TIMEOUT(signals, 30)
{
	struct sigaction a = { .sa_sigaction = tick, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct itimerval it = { { 0, 300 }, { 0, 300 } };
	void *f[4];

	backtrace(f, 4); /* loads what it needs */
	CHECK(!sigaction(SIGALRM, &a, NULL));
	CHECK(!setitimer(ITIMER_REAL, &it, NULL));
	while (ticks < 500)
		for (int i = 0; i < 100; i++)
			getppid(), syscall(SYS_lseek, -1, 0, SEEK_CUR);
	it = (struct itimerval){ 0 };
	CHECK(!setitimer(ITIMER_REAL, &it, NULL));
	if (strange)
		harness_fail(__FILE__, __LINE__, "%d signals came at strange places, one at %#lx", strange, last);
	CHECK_EQ(shallow, 0);
}

/* Two copies of libc, each with its own errno: calls return into the one that they came from. */
TEST(text_mapped_twice)
{
	void *h = dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_NOW);
	long (*lseek2)(int, long, int);
	int *(*errno2)(void);

	CHECK(h);
	lseek2 = (long (*)(int, long, int))dlsym(h, "lseek");
	errno2 = (int *(*)(void))dlsym(h, "__errno_location");
	CHECK(lseek2 && errno2);
	for (int i = 0; i < 200; i++) {
		errno = *errno2() = 0;
		CHECK_ERRNO(lseek(-1, 0, SEEK_SET), EBADF);
		CHECK_EQ(*errno2(), 0);
		errno = 0;
		CHECK_EQ(lseek2(-1, 0, SEEK_SET), -1);
		CHECK_EQ(errno, 0);
		CHECK_EQ(*errno2(), EBADF);
	}
}

TEST(mapped_over)
{
	unsigned char *t = (unsigned char *)TABLE_HOP;

	calls(100);
	CHECK(mmap(t, TABLE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == t);
	for (unsigned i = 0; i < TABLE_LEN; i++)
		CHECK_EQ(t[i], 0);
	memset(t, 0xa5, TABLE_LEN);
	calls(100);
	in_child(100);
	for (unsigned i = 0; i < TABLE_LEN; i++)
		CHECK_EQ(t[i], 0xa5);
	CHECK(!munmap(t, TABLE_LEN));
	calls(100);
	in_child(100);
}

TEST(both_mapped_over)
{
	unsigned char *t = (unsigned char *)TABLE_MOV;

	calls(100);
	CHECK(mmap(t, TABLE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == t);
	memset(t, 0xa5, TABLE_LEN);
	calls(100);
	in_child(100);
	for (unsigned i = 0; i < TABLE_LEN; i++)
		CHECK_EQ(t[i], 0xa5);
	CHECK(mmap((void *)TABLE_HOP, TABLE_LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	memset((void *)TABLE_HOP, 0xa5, TABLE_LEN);
	calls(100);
	in_child(100);
}
