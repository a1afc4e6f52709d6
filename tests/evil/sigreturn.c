/* SPDX-License-Identifier: Apache-2.0 */
/* Forged rt_sigreturn frames, given to Bailey and, through the stub's own restorer, to the host. One masks the kick signal and spins:
 * kill must work within a bound all the same. */
#include "evil.h"
#include <time.h>
#include <ucontext.h>
static unsigned char *restorer;
static void find_restorer(void)
{
	static const unsigned char code[] = { 0xb8, 15, 0, 0, 0, 0x0f, 0x05 }; /* mov $15, %eax; syscall */
	struct range r[64];
	int n = find_high(r, 64);
	for (int i = 0; i < n; i++)
		for (uint64_t a = r[i].start; !r[i].w && a + sizeof code < r[i].end; a++)
			if (!memcmp((void *)a, code, sizeof code)) {
				restorer = (void *)a;
				return;
			}
}
static void spin(void) { for (;;) __asm__ volatile("pause"); }
static char stack[1 << 16];
/* The frame of a signal handler, as the host lays it out: ucontext with the kernel's mask at its end. */
static char frame_room[16384] __attribute__((aligned(64)));
static ucontext_t *frame(void)
{
	ucontext_t *uc = (void *)(frame_room + 4096);
	memset(uc, 0, sizeof *uc);
	uc->uc_mcontext.gregs[REG_CSGSFS] = 0x2b000000000033L | 0x2bL << 48;
	uc->uc_mcontext.gregs[REG_EFL] = 0x202;
	uc->uc_mcontext.gregs[REG_RSP] = (long)(stack + 60000);
	uc->uc_mcontext.gregs[REG_RIP] = (long)spin;
	return uc;
}
static void jump(void *to, void *sp)
{
	__asm__ volatile("mov %0, %%rsp; jmp *%1" : : "r"(sp), "r"(to));
	__builtin_unreachable();
}
static void by_bailey(void *sp)
{
	__asm__ volatile("mov %0, %%rsp; mov $15, %%eax; syscall; ud2" : : "r"(sp));
	__builtin_unreachable();
}
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }
int main(void)
{
	probe_init();
	find_restorer();
	printf("restorer %s\n", restorer ? "found" : "not found");
	fflush(stdout);
	for (int k = 0; k < 200; k++) {
		rnd();
		pid_t p = fork();
		if (!p) {
			for (int i = 0; i < k; i++)
				rnd();
			signal(SIGALRM, SIG_DFL);
			alarm(1);
			ucontext_t *uc = frame();
			uint64_t *w = (uint64_t *)uc;
			int words = 1 + rnd() % 40;
			for (int i = 0; i < words; i++) {
				uint64_t v = rnd();
				uint64_t at = rnd() % (sizeof *uc / 8);
				if (at != ((char *)&uc->uc_sigmask - (char *)uc) / 8) /* the last test's: it costs the whole bound */
					w[at] = v % 4 == 0 ? v : v % 4 == 1 ? HIGH_START + v % (HIGH_END - HIGH_START) : v % 4 == 2 ? (uint64_t)stack + v % 60000 : v % 64;
			}
			if (k % 4 == 0) { /* a true address, a false state */
				uc = frame();
				uc->uc_mcontext.fpregs = (void *)(k % 8 ? HIGH_START + (rnd() & 0xffffff) : (uint64_t)stack + 64);
				for (unsigned i = 0; i < sizeof stack / 8; i++)
					((uint64_t *)stack)[i] = rnd();
			}
			/* every run ends: the program spins no longer than the alarm */
			if (k & 1 && restorer)
				jump(restorer, uc);
			by_bailey(uc);
		}
		int st;
		if (k % 4 == 0) { /* a spinning one */
			usleep(2000);
			kill(p, SIGKILL);
		}
		for (double t = now(); waitpid(p, &st, WNOHANG) == 0; usleep(500))
			if (now() - t > 0.05)
				kill(p, SIGKILL);
	}
	if (!restorer)
		return 0;
	pid_t p = fork();
	if (!p) {
		ucontext_t *uc = frame();
		*(uint64_t *)&uc->uc_sigmask = 1UL << (10 - 1); /* the kick; what is forced (SIGSYS) stays open */
		jump(restorer, uc);
	}
	usleep(300000);
	double t = now();
	kill(p, SIGKILL);
	int st;
	while (waitpid(p, &st, WNOHANG) == 0 && now() - t < 20)
		usleep(10000);
	t = now() - t;
	printf("a thread that masks the kick ended after %s\n", t < 20 ? "a bounded time" : "NOTHING");
	if (t > 15)
		printf("EVIL: kill took %.1f s\n", t);
	return 0;
}
