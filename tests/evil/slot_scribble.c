/* SPDX-License-Identifier: Apache-2.0 */
/* Overwrites everything writable in the high area at random while other threads make calls; each round in a process of its own. */
#include "evil.h"
#include <fcntl.h>
static void *calls(void *x)
{
	char b[256];
	for (;;) {
		int fd = open("/etc/passwd", O_RDONLY);
		(void)!read(fd, b, sizeof b);
		close(fd);
		getppid();
		void *m = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m != MAP_FAILED)
			munmap(m, 65536);
	}
	return x;
}
int main(void)
{
	struct range r[64];
	probe_init();
	int n = find_high(r, 64), rounds = 20;
	printf("%d ranges\n", n);
	for (int k = 0; k < rounds; k++) {
		rnd();
		pid_t p = fork();
		if (!p) {
			alarm(2);
			signal(SIGALRM, SIG_DFL);
			pthread_t t;
			for (int i = 0; i < 3; i++)
				pthread_create(&t, NULL, calls, NULL);
			for (int i = 0; i < k; i++)
				rnd();
			for (long c = 0; c < 200000; c++) {
				int i = rnd() % (n ? n : 1);
				if (!n || !r[i].w)
					continue;
				uint64_t a = r[i].start + rnd() % (r[i].end - r[i].start - 8);
				if (k & 1)
					a = r[i].start + rnd() % 128;
				probe_on = 1;
				if (!sigsetjmp(probe_jb, 0))
					*(volatile uint64_t *)a = k % 3 == 0 ? rnd() : k % 3 == 1 ? rnd() % 16 : ~0UL;
			}
			_exit(0);
		}
		int st;
		waitpid(p, &st, 0);
	}
	/* the high area itself: mapping over it, changing its protection, unmapping it must be refused to guests */
	for (int i = 0; i < n; i++) {
		if (!mprotect((void *)r[i].start, 4096, PROT_READ | PROT_WRITE | PROT_EXEC))
			printf("EVIL: mprotect of %#lx\n", r[i].start);
		if (!munmap((void *)r[i].start, 4096))
			printf("EVIL: munmap of %#lx\n", r[i].start);
		if (mmap((void *)r[i].start, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED)
			printf("EVIL: mmap over %#lx\n", r[i].start);
	}
	printf("done\n");
	return 0;
}
