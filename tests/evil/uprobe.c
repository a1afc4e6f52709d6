/* SPDX-License-Identifier: Apache-2.0 */
/* uretprobe (335) and uprobe (336) are passed around seccomp by newer hosts on purpose. Outside of a probe the host answers with SIGILL
 * or ENXIO; older ones know no such number, and Bailey answers ENOSYS. */
#include "evil.h"
int main(void)
{
	for (long nr = 335; nr <= 336; nr++) {
		pid_t p = fork();
		if (!p) {
			long r;
			__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(0), "S"(0), "d"(0) : "rcx", "r11", "memory");
			_exit(r == -ENOSYS || r == -ENXIO ? 0 : 1);
		}
		int st;
		waitpid(p, &st, 0);
		if (!(WIFEXITED(st) && WEXITSTATUS(st) == 0) && !(WIFSIGNALED(st) && WTERMSIG(st) == SIGILL))
			printf("EVIL: number %ld: status %#x\n", nr, st);
	}
	printf("done\n");
	return 0;
}
