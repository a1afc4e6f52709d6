/* SPDX-License-Identifier: Apache-2.0 */
/* Everything that can be had many times: descriptors of each kind, in many processes. What runs out is refused; the sandbox goes on. */
#include "evil.h"
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
static int make(int kind, int i)
{
	int p[2];
	char name[64];
	sigset_t m;
	sigemptyset(&m);
	switch (kind) {
	case 0: return open("/etc/passwd", O_RDONLY);
	case 1: return eventfd(0, 0);
	case 2: return pipe(p) ? -1 : p[0];
	case 3: return socketpair(AF_UNIX, SOCK_STREAM, 0, p) ? -1 : p[0];
	case 4: return epoll_create1(0);
	case 5: return timerfd_create(CLOCK_MONOTONIC, 0);
	case 6: return signalfd(-1, &m, 0);
	case 7: return inotify_init();
	case 8: {
		int fd = memfd_create("x", 0);
		if (fd >= 0 && i < 3000) { /* mapped: a host descriptor stands behind it */
			(void)!ftruncate(fd, 4096);
			char *a = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
			if (a != MAP_FAILED)
				*a = 1;
		}
		return fd;
	}
	case 9: return socket(AF_INET, SOCK_DGRAM, 0);
	case 10: return socket(AF_INET, SOCK_STREAM, 0);
	case 11:
		snprintf(name, sizeof name, "/tmp/exhaust.%d.%d", getpid(), i);
		return open(name, O_RDWR | O_CREAT, 0600);
	case 12: return open("/proc/self/status", O_RDONLY);
	case 13: return open("/dev/ptmx", O_RDWR | O_NOCTTY);
	case 14: return syscall(SYS_pidfd_open, getpid(), 0);
	case 15: return open("/usr/bin", O_RDONLY | O_DIRECTORY);
	default: return -1;
	}
}
int main(void)
{
	struct rlimit l;
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = l.rlim_max < 70000 ? l.rlim_max : 70000;
	setrlimit(RLIMIT_NOFILE, &l);
	for (int k = 0; k < 16; k++) {
		int st;
		pid_t p = fork();
		if (!p) {
			int n = 0, e;
			while (n < 20000 && make(k, n) >= 0)
				n++;
			e = errno;
			if (n < 20000 && e != EMFILE && e != ENFILE && e != ENOMEM && e != ENOSPC && e != ENOBUFS && e != EAGAIN && n < 100)
				printf("kind %d: %d, then %s\n", k, n, strerror(e)), fflush(stdout);
			/* with everything taken, others must still live */
			pid_t c = fork();
			if (!c) {
				execl("/bin/true", "true", NULL);
				_exit(1);
			}
			if (c > 0 && (waitpid(c, &st, 0) != c || st))
				printf("kind %d: %d held: a child ended with %#x\n", k, n, st), fflush(stdout);
			_exit(0);
		}
		waitpid(p, &st, 0);
		if (!WIFEXITED(st))
			printf("kind %d: the holder ended with %#x\n", k, st);
	}
	/* and after all of it, with several holders at once */
	for (int k = 0; k < 16; k++)
		if (!fork()) {
			for (int n = 0; n < 5000 && make(k, n) >= 0; n++)
				;
			usleep(300000);
			_exit(0);
		}
	usleep(200000);
	int fd = open("/etc/passwd", O_RDONLY);
	char b[16];
	if (fd < 0 || read(fd, b, 16) != 16)
		printf("EVIL: nobody else can open a file: %s\n", strerror(errno));
	while (wait(NULL) > 0)
		;
	printf("done\n");
	return 0;
}
