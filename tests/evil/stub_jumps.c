/* SPDX-License-Identifier: Apache-2.0 */
/* Jumps to every byte of the executable high area with hostile registers, each in a process of its own. */
#include "evil.h"
int main(void)
{
	struct range r[64];
	probe_init();
	int n = find_high(r, 64);
	printf("%d ranges\n", n);
	for (int i = 0; i < n; i++) {
		if (r[i].w)
			continue;
		uint64_t len = r[i].end - r[i].start;
		if (len > 65536)
			len = 65536;
		/* 16 jumps a process, so that it ends in time */
		for (uint64_t o = 0; o < len; o += 61) {
			pid_t p = fork();
			if (!p) {
				alarm(1);
				signal(SIGALRM, SIG_DFL);
				uint64_t to = r[i].start + o;
				static char stack[65536];
				uint64_t regs[8];
				for (int k = 0; k < 8; k++)
					regs[k] = k % 3 == 0 ? rnd() : k % 3 == 1 ? (uint64_t)stack + 4096 * k : rnd() % 470;
				__asm__ volatile("mov %1, %%rdi; mov %2, %%rsi; mov %3, %%rdx; mov %4, %%r10; mov %5, %%r8; mov %6, %%rax; mov %7, %%rsp; jmp *%0"
						 : : "r"(to), "m"(regs[0]), "m"(regs[1]), "m"(regs[2]), "m"(regs[3]), "m"(regs[4]), "m"(regs[5]), "r"(stack + 60000)
						 : "rdi", "rsi", "rdx", "r10", "r8", "rax");
				_exit(0);
			}
			if (p < 0)
				break;
			int st;
			waitpid(p, &st, 0);
		}
	}
	printf("done\n");
	return 0;
}
