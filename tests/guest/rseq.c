/* SPDX-License-Identifier: Apache-2.0 */
/* rseq(2), with what the C library has registered. */
#include "harness.h"
#include <pthread.h>
#include <stddef.h>
#include <sys/auxv.h>

struct area { uint32_t cpu_start, cpu; uint64_t cs; uint32_t flags, node, mm_cid, end; } __attribute__((aligned(32)));
#define SIG 0x53053053U
extern const ptrdiff_t __rseq_offset;
extern const unsigned __rseq_size;
static volatile struct area *mine(void) { return (struct area *)((char *)__builtin_thread_pointer() + __rseq_offset); }
static long rseq(volatile void *a, unsigned len, int flags, unsigned sig) { return syscall(SYS_rseq, a, len, flags, sig); }
#define LEN sizeof(struct area)

TEST(errors)
{
	static struct area other;

	CHECK(__rseq_size && mine()->cpu == mine()->cpu_start);
	CHECK(getauxval(27) >= 20 && getauxval(28) >= 32);
	CHECK_ERRNO(rseq(mine(), LEN, 0, SIG), EBUSY);
	CHECK_ERRNO(rseq(mine(), LEN, 0, SIG + 1), EPERM);
	CHECK_ERRNO(rseq(&other, LEN, 0, SIG), EINVAL);
	CHECK_ERRNO(rseq(mine(), LEN, 3, SIG), EINVAL);
	CHECK_ERRNO(rseq(mine(), LEN, 1, SIG + 1), EPERM);
	CHECK_ERRNO(rseq(mine(), LEN * 2, 1, SIG), EINVAL);
	CHECK_ERRNO(rseq(&other, LEN, 1, SIG), EINVAL);
	CHECK(!rseq(mine(), LEN, 1, SIG));
	CHECK_EQ(mine()->cpu, UINT32_MAX);
	CHECK_EQ(mine()->cpu_start, 0);
	CHECK_ERRNO(rseq(mine(), LEN, 1, SIG), EINVAL);
	CHECK_ERRNO(rseq(&other, 16, 0, SIG), EINVAL);
	CHECK_ERRNO(rseq((char *)&other + 16, LEN, 0, SIG), EINVAL);
	CHECK_ERRNO(rseq(&other, LEN, 2, SIG), EINVAL);
	CHECK_ERRNO(rseq((void *)(1UL << 63), LEN, 0, SIG), EFAULT);
	char *gone = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(gone, 4096);
	CHECK_ERRNO(rseq(gone, LEN, 0, SIG), EFAULT);
	CHECK(!rseq(&other, LEN, 0, SIG));
	CHECK(((volatile struct area *)&other)->cpu < 4096);
}

static void on_every_cpu(void)
{
	cpu_set_t all, one;

	CHECK(!sched_getaffinity(0, sizeof all, &all));
	for (int turn = 0; turn < 3; turn++)
		for (int c = 0; c < CPU_SETSIZE; c++) {
			unsigned now;

			if (!CPU_ISSET(c, &all))
				continue;
			CPU_ZERO(&one);
			CPU_SET(c, &one);
			CHECK(!sched_setaffinity(0, sizeof one, &one));
			CHECK(!syscall(SYS_getcpu, &now, NULL, NULL));
			if (now == (unsigned)c) /* else the mask is only a wish here */
				CHECK_EQ(mine()->cpu, c);
			CHECK_EQ(sched_getcpu(), (int)mine()->cpu);
		}
	sched_setaffinity(0, sizeof all, &all);
}
static void *in_thread(void *x)
{
	CHECK_ERRNO(rseq(mine(), LEN, 0, SIG), EBUSY);
	on_every_cpu();
	return x;
}

TEST(cpu_number)
{
	pthread_t t;

	on_every_cpu();
	CHECK(!pthread_create(&t, NULL, in_thread, NULL) && !pthread_join(t, NULL));
	CHECK_EQ(CHILD_STATUS({ /* a child has its parent's */
		CHECK_ERRNO(rseq(mine(), LEN, 0, SIG), EBUSY);
		on_every_cpu();
		CHECK(!pthread_create(&t, NULL, in_thread, NULL) && !pthread_join(t, NULL));
	}), 0);
}

/* Threads come and go, each with an area that is unmapped afterwards. */
static void *little(void *x) { return mine()->cpu < 4096 ? x : NULL; }
TEST(threads_with_own_stacks)
{
	for (int i = 0; i < 300; i++) {
		pthread_t t[4];
		char *stack[4];
		pthread_attr_t a;
		void *r;

		for (int k = 0; k < 4; k++) {
			stack[k] = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			pthread_attr_init(&a);
			pthread_attr_setstack(&a, stack[k], 65536);
			CHECK(!pthread_create(&t[k], &a, little, stack[k]));
		}
		for (int k = 0; k < 4; k++)
			CHECK(!pthread_join(t[k], &r) && r == stack[k] && !munmap(stack[k], 65536));
	}
}

/* One more in *v, unless somebody came between: 0. Only the store at the end counts. */
static int add_on(volatile long *v, unsigned cpu)
{
	volatile struct area *r = mine();

	__asm__ goto(".pushsection .data.rel.cs, \"aw\"\n.balign 32\n3: .long 0, 0\n.quad 1f, 2f - 1f, 4f\n.popsection\n"
		     "lea 3b(%%rip), %%rax\nmov %%rax, 8(%0)\n"
		     "1: cmpl %1, 4(%0)\njne 4f\nmov (%2), %%rax\ninc %%rax\nmov %%rax, (%2)\n2:\n"
		     ".pushsection .text.aborted, \"ax\"\n.byte 0x0f, 0xb9, 0x3d\n.long 0x53053053\n4: jmp %l[aborted]\n.popsection"
		     : : "r"(r), "r"(cpu), "r"(v) : "rax", "memory", "cc" : aborted);
	return 1;
aborted:
	return 0;
}

static struct { volatile long n; char pad[120]; } counter[CPU_SETSIZE];
static void *count(void *x)
{
	for (long i = 0; i < 300000; i++) {
		unsigned cpu;

		do
			cpu = mine()->cpu_start;
		while (!add_on(&counter[cpu].n, cpu));
		if (i % 1024 == 0)
			sched_yield();
	}
	return x;
}
TEST_TIMEOUT(counters_of_cpus, 60)
{
	pthread_t t[5];
	long sum = 0;

	for (int i = 0; i < 5; i++)
		CHECK(!pthread_create(&t[i], NULL, count, NULL));
	for (int i = 0; i < 5; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < CPU_SETSIZE; i++)
		sum += counter[i].n;
	CHECK_EQ(sum, 5 * 300000);
}

/* A critical section that never ends by itself. */
static volatile int handled;
static void on_alarm(int s) { handled++; }
TEST(a_signal_aborts)
{
	volatile struct area *r = mine();
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval it = { { 0, 1000 }, { 0, 1000 } };

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	for (int i = 0; i < 50; i++)
		__asm__ volatile(".pushsection .data.rel.cs, \"aw\"\n.balign 32\n3: .long 0, 0\n.quad 1f, 2f - 1f, 4f\n.popsection\n"
				 "lea 3b(%%rip), %%rax\nmov %%rax, 8(%0)\n"
				 "1: jmp 1b\nnop\n2: ud2\n.byte 0x0f, 0xb9, 0x3d\n.long 0x53053053\n4:\n"
				 : : "r"(r) : "rax", "memory", "cc");
	it = (struct itimerval){ { 0, 0 }, { 0, 0 } };
	setitimer(ITIMER_REAL, &it, NULL);
	CHECK(handled > 5);
}

/* ---- membarrier(2): the forms that reach the other threads of a process ---- */
#define MB(cmd, flags, cpu) syscall(SYS_membarrier, cmd, flags, cpu)
static volatile long spins, stop_spinning;
static void *spinner(void *x)
{
	while (!stop_spinning)
		spins++;
	return x;
}
static void *blocked_reader(void *fd)
{
	char c;
	errno = 0;
	return (void *)(long)(read(*(int *)fd, &c, 1) == 1 && !errno ? 0 : 1);
}
TEST(membarrier_private)
{
	static const int commands[] = { 8, 32, 128 };
	pthread_t spin, reader;
	int fds[2];
	void *r;
	if (MB(0, 0, 0) < 1023)
		SKIP("not all commands here");
	for (int i = 0; i < 3; i++)
		CHECK_ERRNO(MB(commands[i], 0, 0), EPERM);
	CHECK_ERRNO(MB(0, 1, 0), EINVAL);
	CHECK_ERRNO(MB(32, 1, 0), EINVAL);
	CHECK_ERRNO(MB(128, 2, 0), EINVAL);
	CHECK_ERRNO(MB(3, 0, 0), EINVAL);
	CHECK_ERRNO(MB(1024, 0, 0), EINVAL);
	CHECK_EQ(MB(512, 0, 0), 0);
	CHECK(!MB(64, 0, 0));
	CHECK_EQ(MB(512, 0, 0), 64 | 16);
	CHECK_ERRNO(MB(8, 0, 0), EPERM);
	CHECK_ERRNO(MB(128, 0, 0), EPERM);
	CHECK(!MB(256, 0, 0));
	CHECK_EQ(MB(512, 0, 0), 256 | 64 | 16);
	CHECK(!pipe(fds) && !pthread_create(&spin, NULL, spinner, NULL) && !pthread_create(&reader, NULL, blocked_reader, &fds[0]));
	while (!spins)
		msleep(1);
	for (int i = 0; i < 20; i++)
		CHECK(!MB(32, 0, 0) && !MB(128, 0, 0) && !MB(128, 1, 0));
	long before = spins;
	while (spins == before)
		msleep(1);
	CHECK(!MB(128, 1, 9999)); /* no such CPU, so nobody runs there */
	CHECK_EQ(CHILD_STATUS({ CHECK_EQ(MB(512, 0, 0), 256 | 64 | 16); }), 0);
	stop_spinning = 1;
	CHECK(write(fds[1], "x", 1) == 1);
	CHECK(!pthread_join(reader, &r) && !r);
	CHECK(!pthread_join(spin, NULL));
}
