/* SPDX-License-Identifier: Apache-2.0 */
/* vdso.c: the shared object that every guest finds through AT_SYSINFO_EHDR. Freestanding, position independent, no data, no relocations.
 *
 * The functions jump to the host vDSO's, which is mapped in every stub; they are tail calls, so the guest pays for one indirect jump.
 * Where the host has none, the system call is made, which Bailey serves. */
#include "params.h"

extern const volatile struct vdso_params params __attribute__((visibility("hidden"))); /* vdso.lds: the page before the image */

#define PUBLIC __attribute__((visibility("default")))

static inline long syscall2(long nr, long a, long b)
{
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b) : "rcx", "r11", "memory");
	return r;
}

static inline long syscall3(long nr, long a, long b, long c)
{
	register long d __asm__("rdx") = c;
	long r;

	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(d) : "rcx", "r11", "memory");
	return r;
}

typedef int clock_fn(int clock, void *ts);
typedef int gtod_fn(void *tv, void *tz);
typedef long time_fn(long *t);
typedef long getcpu_fn(unsigned *cpu, unsigned *node, void *unused);

PUBLIC int __vdso_clock_gettime(int clock, void *ts);
PUBLIC int __vdso_clock_getres(int clock, void *ts);
PUBLIC int __vdso_gettimeofday(void *tv, void *tz);
PUBLIC long __vdso_time(long *t);
PUBLIC long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

int __vdso_clock_gettime(int clock, void *ts)
{
	uint64_t f = params.clock_gettime;

	if (__builtin_expect(f != 0, 1))
		return ((clock_fn *)f)(clock, ts);
	return syscall2(228, clock, (long)ts);
}

int __vdso_clock_getres(int clock, void *ts)
{
	uint64_t f = params.clock_getres;

	if (__builtin_expect(f != 0, 1))
		return ((clock_fn *)f)(clock, ts);
	return syscall2(229, clock, (long)ts);
}

int __vdso_gettimeofday(void *tv, void *tz)
{
	uint64_t f = params.gettimeofday;

	if (__builtin_expect(f != 0, 1))
		return ((gtod_fn *)f)(tv, tz);
	return syscall2(96, (long)tv, (long)tz);
}

long __vdso_time(long *t)
{
	uint64_t f = params.time;

	if (__builtin_expect(f != 0, 1))
		return ((time_fn *)f)(t);
	return syscall2(201, (long)t, 0);
}

long __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
	uint64_t f = params.getcpu;

	if (__builtin_expect(f != 0, 1))
		return ((getcpu_fn *)f)(cpu, node, unused);
	return syscall3(309, (long)cpu, (long)node, (long)unused);
}

#define WEAK(name, to) extern __typeof__(to) name __attribute__((weak, alias(#to), visibility("default")))
WEAK(clock_gettime, __vdso_clock_gettime);
WEAK(clock_getres, __vdso_clock_getres);
WEAK(gettimeofday, __vdso_gettimeofday);
WEAK(time, __vdso_time);
WEAK(getcpu, __vdso_getcpu);
