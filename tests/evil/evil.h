/* SPDX-License-Identifier: Apache-2.0 */
/* evil.h: what hostile guests share. A guest that gets something it must not have prints a line "EVIL: ..."; whatever else it does,
 * it may only end itself. */
#ifndef BAILEY_TESTS_EVIL_H
#define BAILEY_TESTS_EVIL_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define HIGH_START 0x7fff00000000UL /* above what guests may map: stub, slots, host vDSO */
#define HIGH_END 0x7ffffffff000UL
static sigjmp_buf probe_jb;
static volatile int probe_on;
static void probe_fault(int s) { if (probe_on) siglongjmp(probe_jb, s); _exit(99); }
static inline void probe_init(void)
{
	static char alt[65536];
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof alt };
	struct sigaction a = { .sa_handler = probe_fault, .sa_flags = SA_ONSTACK | SA_NODEFER };
	sigaltstack(&ss, NULL);
	for (int s = 1; s < 32; s++)
		if (s == SIGSEGV || s == SIGBUS || s == SIGILL || s == SIGTRAP || s == SIGFPE || s == SIGSYS)
			sigaction(s, &a, NULL);
}
static inline int can_read(uint64_t a)
{
	volatile int ok = 0;
	probe_on = 1;
	if (!sigsetjmp(probe_jb, 1)) {
		(void)*(volatile char *)a;
		ok = 1;
	}
	probe_on = 0;
	return ok;
}
static inline int can_write(uint64_t a)
{
	volatile int ok = 0;
	probe_on = 1;
	if (!sigsetjmp(probe_jb, 1)) {
		*(volatile char *)a = *(volatile char *)a;
		ok = 1;
	}
	probe_on = 0;
	return ok;
}
struct range { uint64_t start, end; int w; };
/* Pages of the high area that are mapped: found by touching every page in steps, then at the edges. */
static inline int find_high(struct range *r, int max)
{
	volatile int n = 0;
	for (uint64_t a = HIGH_START; a < HIGH_END && n < max;) {
		if (!can_read(a)) {
			a += 0x10000;
			continue;
		}
		uint64_t s = a, e = a;
		while (s > HIGH_START && can_read(s - 4096))
			s -= 4096;
		while (e < HIGH_END && e - s < (64UL << 20) && can_read(e))
			e += 4096;
		r[n].start = s;
		r[n].end = e;
		r[n].w = can_write(s);
		n++;
		a = (e + 0xffff) & ~0xffffUL;
	}
	return n;
}
static inline uint64_t rnd(void)
{
	static uint64_t x = 88172645463325252ULL;
	x ^= x << 13, x ^= x >> 7, x ^= x << 17;
	return x;
}
#endif
