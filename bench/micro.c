/* SPDX-License-Identifier: Apache-2.0 */
// micro: cost of single kernel operations as a guest program sees them.
//
// Prints one line a case: NAME <tab> NANOSECONDS PER OPERATION (the median of
// five batches). Run the same binary natively and inside a sandbox, and compare.
//
//   cc -O2 -pthread -o micro micro.c && ./micro [-t MS] [NAME...]
//
// -t is the time spent on one batch, in milliseconds (default 40).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;
static char dir[64], file[96], buf[65536];
static int fd = -1, a[2], b[2], efd, epfd;
static pid_t echo_pid;

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "micro: %s: %s\n", what, strerror(errno));
		exit(1);
	}
}

/* An echo peer in another process, on a pair of descriptors. */
static void echo_start(int in, int out, int shut1, int shut2)
{
	echo_pid = fork();
	must(echo_pid >= 0, "fork");
	if (echo_pid)
		return;
	if (shut1 >= 0)
		close(shut1);
	if (shut2 >= 0)
		close(shut2);
	char c;
	while (read(in, &c, 1) == 1 && write(out, &c, 1) == 1)
		;
	_exit(0);
}

static void echo_stop(void)
{
	kill(echo_pid, SIGKILL);
	waitpid(echo_pid, NULL, 0);
}

static void file_up(void)
{
	fd = open(file, O_CREAT | O_RDWR | O_TRUNC, 0600);
	must(fd >= 0 && write(fd, buf, sizeof buf) == sizeof buf, file);
}
static void file_down(void) { close(fd); unlink(file); }

static void pipe_up(void) { must(!pipe(a) && !pipe(b), "pipe"); }
static void pipe_down(void) { close(a[0]); close(a[1]); close(b[0]); close(b[1]); }
static void pipes_up(void) { pipe_up(); echo_start(a[0], b[1], a[1], b[0]); }
static void pipes_down(void) { echo_stop(); pipe_down(); }
static void unix_up(void)
{
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, a), "socketpair");
	echo_start(a[1], a[1], a[0], -1);
}
static void unix_down(void) { echo_stop(); close(a[0]); close(a[1]); }
static void tcp_up(void)
{
	int l = socket(AF_INET, SOCK_STREAM, 0), one = 1;
	struct sockaddr_in s = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof s;
	must(l >= 0 && !bind(l, (void *)&s, n) && !listen(l, 1) && !getsockname(l, (void *)&s, &n), "tcp listen");
	a[0] = socket(AF_INET, SOCK_STREAM, 0);
	must(!connect(a[0], (void *)&s, n), "tcp connect");
	a[1] = accept(l, NULL, NULL);
	must(a[1] >= 0, "tcp accept");
	close(l);
	setsockopt(a[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(a[1], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	echo_start(a[1], a[1], a[0], -1);
}

static void c_getppid(void) { syscall(SYS_getppid); }
static void c_clock(void) { struct timespec t; clock_gettime(CLOCK_REALTIME, &t); }
static void c_pread1(void) { (void)!pread(fd, buf, 1, 0); }
static void c_pread4k(void) { (void)!pread(fd, buf, 4096, 0); }
static void c_pread64k(void) { (void)!pread(fd, buf, 65536, 0); }
static void c_pwrite4k(void) { (void)!pwrite(fd, buf, 4096, 0); }
static void c_lseek(void) { lseek(fd, 0, SEEK_SET); }
static void c_fstat(void) { struct stat s; fstat(fd, &s); }
static void c_stat(void) { struct stat s; stat(file, &s); }
static void c_openclose(void) { close(open(file, O_RDONLY)); }
static void c_create(void)
{
	char p[128];
	snprintf(p, sizeof p, "%s/new", dir);
	close(open(p, O_CREAT | O_WRONLY, 0600));
	unlink(p);
}
static void c_readdir(void)
{
	DIR *d = opendir("/usr/bin");
	while (d && readdir(d))
		;
	if (d)
		closedir(d);
}
static void c_mmap(void)
{
	char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 16; i++)
		p[i * 4096] = 1;
	munmap(p, 65536);
}
static char *page;
static void page_up(void) { page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); *page = 1; }
static void page_down(void) { munmap(page, 4096); }
static void c_mprotect(void) { mprotect(page, 4096, PROT_READ); mprotect(page, 4096, PROT_READ | PROT_WRITE); }
static void c_mmapfile(void)
{
	volatile char *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	(void)*p;
	munmap((void *)p, 4096);
}
static void c_pipe(void) { (void)!write(a[1], buf, 1); (void)!read(a[0], buf, 1); }
static void c_pingpong(void) { (void)!write(a[1], buf, 1); (void)!read(b[0], buf, 1); }
static void c_sockpong(void) { (void)!write(a[0], buf, 1); (void)!read(a[0], buf, 1); }
static void epoll_up(void)
{
	efd = eventfd(0, 0);
	epfd = epoll_create1(0);
	struct epoll_event e = { .events = EPOLLIN };
	epoll_ctl(epfd, EPOLL_CTL_ADD, efd, &e);
}
static void epoll_down(void) { close(efd); close(epfd); }
static void c_epoll(void)
{
	uint64_t v = 1;
	struct epoll_event e;
	(void)!write(efd, &v, 8);
	epoll_wait(epfd, &e, 1, -1);
	(void)!read(efd, &v, 8);
}
static void on_sig(int s) { (void)s; }
static void sig_up(void) { signal(SIGUSR1, on_sig); }
static void sig_down(void) { signal(SIGUSR1, SIG_DFL); }
static void c_signal(void) { kill(getpid(), SIGUSR1); }
static void c_sigmask(void) { sigset_t s; sigemptyset(&s); sigprocmask(SIG_BLOCK, &s, NULL); }
static void *nothing(void *x) { return x; }
static void c_thread(void) { pthread_t t; pthread_create(&t, NULL, nothing, NULL); pthread_join(t, NULL); }
static pthread_mutex_t mu = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cv = PTHREAD_COND_INITIALIZER;
static int turn;
static pthread_t peer;
static void *bounce(void *x)
{
	pthread_mutex_lock(&mu);
	while (turn >= 0) {
		while (turn == 0)
			pthread_cond_wait(&cv, &mu);
		if (turn == 1)
			turn = 0;
		pthread_cond_signal(&cv);
	}
	pthread_mutex_unlock(&mu);
	return x;
}
static void cond_up(void) { turn = 0; pthread_create(&peer, NULL, bounce, NULL); }
static void cond_down(void)
{
	pthread_mutex_lock(&mu);
	turn = -1;
	pthread_cond_signal(&cv);
	pthread_mutex_unlock(&mu);
	pthread_join(peer, NULL);
}
static void c_cond(void)
{
	pthread_mutex_lock(&mu);
	turn = 1;
	pthread_cond_signal(&cv);
	while (turn == 1)
		pthread_cond_wait(&cv, &mu);
	pthread_mutex_unlock(&mu);
}
static void c_yield(void) { sched_yield(); }
static void c_fork(void)
{
	pid_t p = fork();
	if (!p)
		_exit(0);
	waitpid(p, NULL, 0);
}
static char *big;
static void big_up(void)
{
	big = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(big, 64 << 20, MADV_NOHUGEPAGE);
	memset(big, 1, 64 << 20);
}
static void big_down(void) { munmap(big, 64 << 20); }
static void c_spawn(void)
{
	char *v[] = { "true", NULL };
	pid_t p;
	if (!posix_spawn(&p, "/bin/true", NULL, NULL, v, environ))
		waitpid(p, NULL, 0);
}
static void c_shell(void)
{
	char *v[] = { "sh", "-c", "echo a b | cat >/dev/null", NULL };
	pid_t p;
	if (!posix_spawn(&p, "/bin/sh", NULL, NULL, v, environ))
		waitpid(p, NULL, 0);
}
static void c_fault(void)
{
	static char *m;
	static size_t at, len = 4 << 20;
	if (!m || at == len) {
		if (m)
			munmap(m, len);
		m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		madvise(m, len, MADV_NOHUGEPAGE);
		at = 0;
	}
	m[at] = 1;
	at += 4096;
}
static void none(void) {}

static struct {
	const char *name;
	void (*up)(void), (*op)(void), (*down)(void);
} cases[] = {
	{ "getppid", none, c_getppid, none },
	{ "clock_gettime", none, c_clock, none },
	{ "lseek", file_up, c_lseek, file_down },
	{ "fstat", file_up, c_fstat, file_down },
	{ "stat", file_up, c_stat, file_down },
	{ "open_close", file_up, c_openclose, file_down },
	{ "create_unlink", none, c_create, none },
	{ "pread_1", file_up, c_pread1, file_down },
	{ "pread_4k", file_up, c_pread4k, file_down },
	{ "pread_64k", file_up, c_pread64k, file_down },
	{ "pwrite_4k", file_up, c_pwrite4k, file_down },
	{ "readdir_usr_bin", none, c_readdir, none },
	{ "page_fault", none, c_fault, none },
	{ "mmap_touch_munmap", none, c_mmap, none },
	{ "mmap_file", file_up, c_mmapfile, file_down },
	{ "mprotect_pair", page_up, c_mprotect, page_down },
	{ "sigprocmask", none, c_sigmask, none },
	{ "signal_self", sig_up, c_signal, sig_down },
	{ "sched_yield", none, c_yield, none },
	{ "pipe_self", pipe_up, c_pipe, pipe_down },
	{ "pipe_pingpong", pipes_up, c_pingpong, pipes_down },
	{ "unix_pingpong", unix_up, c_sockpong, unix_down },
	{ "tcp_pingpong", tcp_up, c_sockpong, unix_down },
	{ "epoll_eventfd", epoll_up, c_epoll, epoll_down },
	{ "thread_create_join", none, c_thread, none },
	{ "cond_pingpong", cond_up, c_cond, cond_down },
	{ "fork_wait", none, c_fork, none },
	{ "fork_wait_64m", big_up, c_fork, big_down },
	{ "spawn_true", none, c_spawn, none },
	{ "shell_pipeline", none, c_shell, none },
};

static int cmp(const void *x, const void *y)
{
	double d = *(double *)x - *(double *)y;
	return d < 0 ? -1 : d > 0;
}

static double batch(void (*op)(void), double budget, long *n)
{
	double t0 = now(), t;
	long i = 0;
	do {
		long step = *n / 8 + 1;
		for (long k = 0; k < step; k++)
			op();
		i += step;
		t = now() - t0;
	} while (t < budget);
	*n = i;
	return t / i;
}

int main(int argc, char **argv)
{
	double ms = 40;
	int first = 1;
	if (argc > 2 && !strcmp(argv[1], "-t")) {
		ms = atof(argv[2]);
		first = 3;
	}
	snprintf(dir, sizeof dir, "/tmp/micro.XXXXXX");
	must(mkdtemp(dir) != NULL, dir);
	snprintf(file, sizeof file, "%s/file", dir);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int wanted = first >= argc;
		for (int k = first; k < argc; k++)
			wanted |= !strcmp(argv[k], cases[i].name);
		if (!wanted)
			continue;
		cases[i].up();
		long n = 1;
		double r[5];
		batch(cases[i].op, ms * 1e6 / 4, &n);
		for (int k = 0; k < 5; k++)
			r[k] = batch(cases[i].op, ms * 1e6, &n);
		qsort(r, 5, sizeof *r, cmp);
		printf("%s\t%.1f\n", cases[i].name, r[2]);
		fflush(stdout);
		cases[i].down();
	}
	rmdir(dir);
	return 0;
}
