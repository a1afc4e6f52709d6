/* SPDX-License-Identifier: Apache-2.0 */
/* Files that the stub has mapped for this process to be read from, and files that it mapped read-only itself: nobody writes through them,
 * and what was closed, or belongs to the parent, is not there. */
#include "stub_code.h"
#include <fcntl.h>
#include <sys/stat.h>
#define WINDOWS 0x7fff80000000UL
#define WINDOW (64UL << 20)

static char buf[65536];

static int count(void)
{
	int n = 0;
	for (int k = 0; k < 8; k++)
		n += can_read(WINDOWS + (uint64_t)k * WINDOW);
	return n;
}

static void evil(const char *what)
{
	printf("EVIL: %s\n", what);
	fflush(stdout);
}

static int warm(const char *path)
{
	int fd = open(path, O_RDONLY);
	for (int i = 0; i < 1000; i++)
		if (pread(fd, buf, sizeof buf, 0) <= 0)
			perror(path);
	return fd;
}

static void body(void)
{
	/* a file that root left for everybody to read */
	int fd = open("/tmp/evil-window", O_RDWR | O_CREAT, 0644), st;
	memset(buf, 'r', sizeof buf);
	(void)!write(fd, buf, sizeof buf);
	fchmod(fd, 0644);
	pid_t p = fork();
	if (!p) {
		if (setresuid(1000, 1000, 1000))
			_exit(1);
		close(fd);
		int ro = warm("/tmp/evil-window");
		printf("%d windows\n", count());
		char *m = mmap(NULL, sizeof buf, PROT_READ, MAP_SHARED, ro, 0), *q = mmap(NULL, sizeof buf, PROT_READ, MAP_PRIVATE, ro, 0);
		char *at[] = { m, q, (char *)WINDOWS };
		for (int i = 0; i < 3; i++) {
			long r = call(10, (long)at[i], 4096, 3); /* mprotect */
			printf("mprotect %d: %ld\n", i, r);
			if (can_write((uint64_t)at[i]))
				at[i][0] = 'w';
		}
		fflush(stdout);
		_exit(0);
	}
	waitpid(p, &st, 0);
	(void)!pread(fd, buf, 1, 0);
	printf("it reads %c\n", buf[0]);
	fflush(stdout);
	if (buf[0] != 'r')
		evil("a file was written through a mapping of who may only read it");
}

int main(void)
{
	int st;
	probe_init();
	memset(buf, 'x', sizeof buf);
	int out = open("/tmp/evil-window-2", O_RDWR | O_CREAT, 0600);
	(void)!write(out, buf, sizeof buf);
	close(out);
	int a = warm("/bin/sh"), b = warm("/tmp/evil-window-2");
	int n = count();
	printf("%d windows\n", n);
	if (n != 2)
		printf("expected two\n");
	pid_t p = fork();
	if (!p) {
		if (count())
			evil("a child sees its parent's windows");
		_exit(0);
	}
	waitpid(p, &st, 0);
	close(a);
	if (count() != n - 1)
		evil("a window stays after close");
	dup2(0, b);
	if (count())
		evil("a window stays after dup2");
	a = warm("/bin/sh");
	p = vfork();
	if (!p)
		_exit(0);
	waitpid(p, &st, 0);
	close_range((unsigned)a, (unsigned)a, 0);
	if (count())
		evil("a window stays after close_range");
	with_stub_code(body);
	return 0;
}
