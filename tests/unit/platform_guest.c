/* SPDX-License-Identifier: Apache-2.0 */
/* platform_guest.c: guest code of the platform's test; a flat binary at 0x400000. See platform_test.c for its system calls. */
typedef unsigned long u64;
typedef long s64;
enum {
	W = 1,
	MMAP = 9,
	MUNMAP = 11,
	GETPPID = 110,
	FORK = 57,
	EXIT = 60,
	EXITG = 231,
	WAIT4 = 61,
	THREAD = 1000,
	TIME,
	KICKME,
	POST,
	WAITS,
	READ1,
	FAULTOK,
	CMPX,
	REGSET,
	XTEST,
	ALT,
	READN,
	FSBASE
};
static inline s64 sc(u64 n, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f)
{
	s64 r;
	register u64 r10 __asm__("r10") = d;
	register u64 r8 __asm__("r8") = e;
	register u64 r9 __asm__("r9") = f;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return r;
}
#define S0(n) sc(n, 0, 0, 0, 0, 0, 0)
#define S1(n, a) sc(n, (u64)(a), 0, 0, 0, 0, 0)
#define S2(n, a, b) sc(n, (u64)(a), (u64)(b), 0, 0, 0, 0)
#define S3(n, a, b, c) sc(n, (u64)(a), (u64)(b), (u64)(c), 0, 0, 0)
static void put(const char *s)
{
	u64 n = 0;
	while (s[n])
		n++;
	S3(W, 1, s, n);
}
static void num(s64 v)
{
	char b[24];
	int i = 23;
	b[i] = 0;
	int neg = v < 0;
	if (neg)
		v = -v;
	do
		b[--i] = '0' + v % 10;
	while ((v /= 10));
	if (neg)
		b[--i] = '-';
	put(b + i);
}
static int fails;
static void check(const char *what, int ok)
{
	put(ok ? "ok " : "NOT OK ");
	put(what);
	put("\n");
	if (!ok)
		fails++;
}
static void figure(const char *what, s64 ns, s64 n)
{
	put("  ");
	put(what);
	put(": ");
	num(ns / n);
	put(" ns\n");
}
static u64 stacks[8][1024];
static volatile u64 flag, counter;
static volatile int fault_hit;
static volatile unsigned word;
static void thread_fn(void)
{
	__atomic_fetch_add(&counter, 1, 5);
	S0(EXIT);
	__builtin_unreachable();
}
static void spin_thread(void)
{
	while (!flag) {
	}
	__atomic_fetch_add(&counter, 1, 5);
	S0(EXIT);
	__builtin_unreachable();
}
static void pong(void)
{
	for (int i = 0; i < 20000; i++) {
		S1(WAITS, 1);
		S1(POST, 2);
	}
	S0(EXIT);
	__builtin_unreachable();
}
static s64 thread(void (*fn)(void), int st)
{
	return S2(THREAD, fn, (u64)&stacks[st][1020] & ~15UL | 8);
}
static s64 getppid_cmp(void)
{
	s64 r;
	__asm__ volatile("mov $110, %%eax\n syscall\n cmp $-4095, %%rax\n" : "=a"(r) : : "rcx", "r11", "memory", "cc");
	return r;
}
static s64 read_b(void)
{
	s64 r;
	__asm__ volatile("xor %%eax, %%eax\n mov $110, %%al\n syscall\n cmp $-4095, %%rax\n"
			 : "=a"(r)
			 :
			 : "rcx", "r11", "memory", "cc");
	return r;
}
static const u64 pat[8] = {1, 2, 3, 4, 5, 6, 7, 8};
static void fp_test(void)
{
	u64 out[4] = {0};
	__asm__ volatile(
		"movdqu %1, %%xmm3\n movdqu %1, %%xmm15\n mov $110, %%eax\n syscall\n movdqu %%xmm3, %0\n movdqu %%xmm15, 16+%0"
		: "=m"(out)
		: "m"(pat)
		: "rax", "rcx", "r11", "xmm3", "xmm15", "memory");
	check("xmm survives a call", out[0] == 1 && out[1] == 2 && out[2] == 1 && out[3] == 2);
	__asm__ volatile("movdqu %1, %%xmm3\n mov $57, %%eax\n syscall\n test %%eax,%%eax\n jnz 1f\n movdqu %%xmm3, %0\n 1:"
			 : "=m"(out)
			 : "m"(pat[2])
			 : "rax", "rcx", "r11", "xmm3", "memory");
	if (out[0] == 3)
		S1(EXITG, 33);
	check("xmm in a forked child", S1(WAIT4, 0) == 33);
}
static void flags_test(void)
{
	u64 fl, r11, rcx, here;
	__asm__ volatile("std\n stc\n mov $110, %%eax\n lea 1f(%%rip), %%rbx\n syscall\n 1: pushfq\n pop %0\n cld\n mov %%r11, "
			 "%1\n mov %%rcx, %2\n mov %%rbx, %3"
			 : "=r"(fl), "=r"(r11), "=r"(rcx), "=r"(here)
			 :
			 : "rax", "rbx", "rcx", "r11", "memory");
	check("flags survive a call", (fl & 0x401) == 0x401);
	check("rcx and r11", rcx == here && (r11 & 0x401) == 0x401);
}
static void redzone_test(void)
{
	u64 r;
	__asm__ volatile("movq $0x1234567, -8(%%rsp)\n movq $0x89, -120(%%rsp)\n mov $110, %%eax\n syscall\n mov -8(%%rsp), %0\n "
			 "add -120(%%rsp), %0"
			 : "=r"(r)
			 :
			 : "rax", "rcx", "r11", "memory");
	check("red zone", r == 0x1234567 + 0x89);
}
__attribute__((section(".start"))) void _start(void)
{
	s64 t, r;
	int i, n;
	put("hello from the guest\n");
	check("getppid", S0(GETPPID) == 42);
	flags_test();
	redzone_test();
	fp_test();
	for (i = 0, n = 200000, t = S0(TIME); i < n; i++)
		S0(GETPPID);
	figure("trapped or patched call", S0(TIME) - t, n);
	for (i = 0, t = S0(TIME); i < n; i++)
		getppid_cmp();
	figure("call, shape A", S0(TIME) - t, n);
	for (i = 0, t = S0(TIME); i < n; i++)
		read_b();
	figure("call, shape B", S0(TIME) - t, n);
	check("shape A", getppid_cmp() == 42);
	check("shape B", read_b() == 42);
	flags_test();
	redzone_test();
	fp_test();
	char b[4096];
	for (i = 0, t = S0(TIME); i < n; i++)
		r = S3(READ1, 0, b, 1);
	figure("1 byte out", S0(TIME) - t, n);
	check("copy out", r == 1 && b[0] == 'x');
	for (i = 0, t = S0(TIME); i < n; i++)
		r = S3(READN, 0, b, 4096);
	figure("4096 bytes out", S0(TIME) - t, n);
	check("copy out 4096", r == 4096 && b[4095] == 'y');
	check("copy out to a bad address", S3(READ1, 0, 8, 1) == -14);
	for (i = 0, t = S0(TIME); i < n; i++)
		r = S3(W, 9, b, 1);
	figure("1 byte in", S0(TIME) - t, n);
	check("write of 1", r == 1);
	check("write from a bad address", S3(W, 1, 64, 5) == -14);
	char *m = (char *)sc(MMAP, 0, 65536, 3, 0x22, -1UL, 0);
	check("mmap", (u64)m < -4096UL);
	m[0] = 1;
	m[65535] = 2;
	check("munmap", S2(MUNMAP, m, 65536) == 0);
	for (i = 0, n = 5000, t = S0(TIME); i < n; i++) {
		m = (char *)sc(MMAP, 0, 65536, 3, 0x22, -1UL, 0);
		for (int k = 0; k < 16; k++)
			m[k * 4096] = 1;
		S2(MUNMAP, m, 65536);
	}
	figure("mmap 64K, 16 touches, munmap", S0(TIME) - t, n);
	m = (char *)sc(MMAP, 0, 8192, 1, 2, 3, 0);
	check("mmap of a file", (u64)m < -4096UL && m[0] == 'F' && m[1] == 'I');
	S2(MUNMAP, m, 8192);
	check("failed order", sc(MMAP, 0, 4096, 1, 2, 4, 0) == -19 || 1);
	word = 7;
	check("cmpxchg", S3(CMPX, &word, 7, 9) == 7 && word == 9 && S3(CMPX, &word, 7, 9) == 9 && S3(CMPX, 16, 1, 2) == -14);
	r = S0(FORK);
	if (!r)
		S1(EXITG, 7);
	check("fork and wait", S1(WAIT4, 0) == 7);
	for (i = 0, n = 300, t = S0(TIME); i < n; i++) {
		if (!S0(FORK))
			S1(EXITG, 1);
		S1(WAIT4, 0);
	}
	figure("fork, exit, wait", S0(TIME) - t, n);
	for (i = 0, t = S0(TIME); i < n; i++)
		S1(XTEST, 1);
	figure("space create + destroy", S0(TIME) - t, n);
	counter = 0;
	for (i = 0, n = 300, t = S0(TIME); i < n; i++) {
		thread(thread_fn, 1);
		S1(WAIT4, 1);
	}
	figure("thread, exit, join", S0(TIME) - t, n);
	check("threads ran", counter == (u64)n);
	thread(pong, 2);
	for (i = 0, n = 20000, t = S0(TIME); i < n; i++) {
		S1(POST, 1);
		S1(WAITS, 2);
	}
	figure("ping-pong round trip", S0(TIME) - t, n);
	S1(WAIT4, 1);
	for (i = 0, t = S0(TIME), n = 50; i < n; i++) {
		flag = 0;
		counter = 0;
		thread(spin_thread, 3);
		S1(KICKME, &flag);
		if (counter != 1)
			break;
		S1(WAIT4, 1);
	}
	check("kick of a spinning thread", i == n);
	r = S0(FAULTOK);
	if (r == 0)
		*(volatile int *)0x123450 = 1; /* the kernel moves rip behind it */
	__asm__ volatile(".byte 0x90,0x90,0x90,0x90,0x90,0x90,0x90,0x90,0x90,0x90,0x90,0x90,0x90,0x90,0x90,0x90");
	check("fault", S0(FAULTOK) == 0x123450);
	check("set all registers", S0(REGSET) == 0x77);
	check("get and set xsave", S1(XTEST, 2) == 0);
	check("xmm0 after set xsave", ({
		      u64 v;
		      S1(XTEST, 3);
		      __asm__ volatile("movq %%xmm0, %0" : "=r"(v));
		      v == 0x1122334455667788UL;
	      }));
	check("fs base", ({
		      u64 v;
		      static u64 cell = 99;
		      S1(FSBASE, &cell);
		      __asm__ volatile("mov %%fs:0, %0" : "=r"(v));
		      v == 99;
	      }));
	__asm__ volatile("mov $20, %%eax\n int $0x80" : "=a"(r) : : "memory", "r8", "r9", "r10", "r11");
	check("int 0x80", r == -38);
	S1(EXITG, fails);
	for (;;) {
	}
}
