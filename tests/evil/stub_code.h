/* SPDX-License-Identifier: Apache-2.0 */
/* stub_code.h: code of the guest's own at a stub address, by memory that the stub's own instructions map there. */
#ifndef BAILEY_TESTS_EVIL_STUB_CODE_H
#define BAILEY_TESTS_EVIL_STUB_CODE_H
#include "evil.h"
#define STUB_TEXT 0x7fffb0000000UL
#define PAGE (STUB_TEXT + 0xe000) /* inside the filter's range, behind the stub's code */
static uint64_t gadgets[64];
static int ngadgets;
static char stacks[64][32768] __attribute__((aligned(16)));
static void landing(void) { for (;;) usleep(100000); }
static void *jumper(void *x)
{
	long g = (long)x;
	uint64_t *s = (uint64_t *)stacks[g];
	for (int i = 0; i < 4096; i++)
		s[i] = (uint64_t)landing;
	register uint64_t to __asm__("r11") = gadgets[g];
	__asm__ volatile("mov %0, %%rsp; mov $9, %%eax; mov $4096, %%esi; mov $7, %%edx; mov $0x32, %%r10d; mov $-1, %%r8; xor %%r9d, %%r9d;"
			 "mov %0, %%rbx; mov %0, %%rbp; mov %0, %%r12; mov %0, %%r13; mov %0, %%r14; mov %0, %%r15; jmp *%2"
			 : : "c"(s + 2048), "D"(PAGE), "r"(to) : "memory");
	return NULL;
}
static inline long call(long nr, long a, long b, long c)
{
	static const unsigned char code[] = { 0x0f, 0x05, 0xc3 }; /* syscall; ret */
	long r;
	memcpy((void *)PAGE, code, sizeof code);
	__asm__ volatile("call *%2" : "=a"(r) : "a"(nr), "r"(PAGE), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "r8", "r9", "r10", "memory");
	return r;
}
/* body() in a process in which call() works; false if that was not to be had. */
static inline int with_stub_code(void (*body)(void))
{
	struct range r[64];
	int tried = 0, won = 0, n = find_high(r, 64);
	for (int i = 0; i < n; i++)
		for (uint64_t a = r[i].start; !r[i].w && a + 2 < r[i].end; a++)
			if (a >= STUB_TEXT && a < STUB_TEXT + 0x10000 && !memcmp((void *)a, "\x0f\x05", 2) && ngadgets < 64)
				gadgets[ngadgets++] = a;
	printf("%d gadgets\n", ngadgets);
	fflush(stdout);
	for (int g = 0; g < ngadgets && !won; g++) {
		int p[2];
		if (pipe(p))
			return 0;
		tried++;
		pid_t pid = fork();
		if (!pid) {
			pthread_t t;
			signal(SIGALRM, SIG_DFL);
			alarm(10);
			pthread_create(&t, NULL, jumper, (void *)(long)g);
			usleep(30000);
			if (!can_write(PAGE))
				_exit(0);
			(void)!write(p[1], "w", 1);
			body();
			_exit(0);
		}
		close(p[1]);
		char b;
		won = read(p[0], &b, 1) == 1;
		close(p[0]);
		int st;
		waitpid(pid, &st, 0);
	}
	printf("%d tried, %s\n", tried, won ? "code of our own ran at a stub address" : "none led to memory there");
	return won;
}
#endif
