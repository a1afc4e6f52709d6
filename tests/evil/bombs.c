/* SPDX-License-Identifier: Apache-2.0 */
/* Fork and thread bombs, and an address space filled up: the sandbox ends with its init. */
#include "evil.h"
static void *sleeper(void *x) { pause(); return x; }
int main(void)
{
	int threads = 0, kids = 0, maps = 0;
	pthread_attr_t a;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 65536);
	pid_t p = fork();
	if (!p) {
		pthread_t t;
		while (threads < 3000 && !pthread_create(&t, &a, sleeper, NULL))
			threads++;
		printf("threads %d\n", threads);
		fflush(stdout);
		_exit(0);
	}
	waitpid(p, NULL, 0);
	p = fork();
	if (!p) {
		setpgid(0, 0);
		while (kids < 600 && (p = fork()) > 0)
			kids++;
		if (!p)
			for (;;)
				pause();
		printf("children %d\n", kids);
		fflush(stdout);
		kill(0, SIGKILL);
	}
	waitpid(p, NULL, 0);
	p = fork();
	if (!p) {
		while (maps < 70000 && mmap(NULL, 4096, maps & 1 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
			maps++;
		printf("maps %d\n", maps);
		while (mmap(NULL, 1UL << 40, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
			;
		while (mmap(NULL, 1UL << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED)
			;
		getppid();
		fflush(stdout);
		_exit(0);
	}
	waitpid(p, NULL, 0);
	printf("done\n");
	return 0;
}
