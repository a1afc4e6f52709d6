/* SPDX-License-Identifier: Apache-2.0 */
/* Every system call number from guest instructions of both architectures: none may reach the host. What the host would have done shows
 * in ids and names that differ from the sandbox's. */
#include "evil.h"
static long raw(long nr, long a, long b, long c)
{
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "r8", "r9", "r10", "memory");
	return r;
}
static long raw32(long nr, long a, long b, long c)
{
	long r;
	__asm__ volatile("push %%rbx; mov %2, %%ebx; int $0x80; pop %%rbx" : "=a"(r) : "a"(nr), "r"((int)a), "c"(b), "d"(c) : "r8", "r9", "r10", "r11", "memory");
	return r;
}
int main(void)
{
	probe_init();
	pid_t me = getpid();
	for (long nr = 0; nr < 520; nr++) {
		if (nr == SYS_exit || nr == SYS_exit_group || nr == SYS_pause || nr == SYS_rt_sigreturn || nr == SYS_vfork)
			continue;
		pid_t p = fork();
		if (!p) {
			alarm(1);
			signal(SIGALRM, SIG_DFL);
			raw(nr, -1, 8, 8);
			_exit(0);
		}
		int st;
		waitpid(p, &st, 0);
	}
	for (long nr = 0; nr < 460; nr++) {
		pid_t p = fork();
		if (!p) {
			alarm(1);
			long r = raw32(nr, -1, 8, 8);
			if (nr == 20 && r == getpid()) /* getpid of the 32-bit table answered by the host would be another number */
				_exit(0);
			if (nr == 20 && r > 0)
				printf("EVIL: int 0x80 getpid gave %ld\n", r), fflush(stdout);
			_exit(0);
		}
		int st;
		waitpid(p, &st, 0);
	}
	for (unsigned long nr = 0x40000000; nr < 0x40000000 + 550; nr++) { /* x32 */
		long r = raw(nr, 0, 0, 0);
		if (r >= 0)
			printf("EVIL: x32 number %#lx gave %ld\n", nr, r);
	}
	static const long odd[] = { 335, 336, -1, 0x7fffffff, 0x80000000, 0xffffffff, 424242, 1L << 32 };
	for (unsigned i = 0; i < sizeof odd / sizeof *odd; i++) {
		probe_on = 1;
		if (!sigsetjmp(probe_jb, 1)) {
			long r = raw(odd[i], 0, 0, 0);
			if (r >= 0 && odd[i] != 1L << 32)
				printf("EVIL: number %ld gave %ld\n", odd[i], r);
		}
		probe_on = 0;
	}
	probe_on = 1;
	if (!sigsetjmp(probe_jb, 1))
		__asm__ volatile("sysenter");
	probe_on = 1;
	if (!sigsetjmp(probe_jb, 1))
		((long (*)(void *))0xffffffffff600000UL)(NULL); /* vsyscall gettimeofday */
	probe_on = 0;
	if (getpid() != me)
		printf("EVIL: another pid\n");
	return 0;
}
