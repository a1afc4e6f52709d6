/* SPDX-License-Identifier: Apache-2.0 */
/* Random system calls, by many threads and processes, with arguments that change while the kernel looks at them. Whatever they do, they may only
 * end themselves: another process goes on being served, what was killed ends, and nothing is left. fuzz [SEED [SECONDS [JOBS]]] */
#include "fuzz.h"
#include <grp.h>
#include <pthread.h>
#include <sys/utsname.h>

static struct shared {
	volatile uint64_t calls, answered, errors;
	volatile long slowest_us;
	char slowest[32];
	volatile int quit;
} *sh;

static long now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* One that is no part of it: how long do its calls take? */
static void bystander(void)
{
	char b[64];
	int p[2], st;
	(void)!pipe(p);
	while (!sh->quit) {
		for (int k = 0; k < 6; k++) {
			long t = now_us(), d;
			int fd;
			pid_t c;
			switch (k) {
			case 0: syscall(SYS_getppid); break;
			case 1: if ((fd = open("/etc/passwd", O_RDONLY)) >= 0) { (void)!read(fd, b, 64); close(fd); } break;
			case 2: (void)!write(p[1], b, 64); (void)!read(p[0], b, 64); break;
			case 3: { void *a = mmap(NULL, 65536, 3, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); if (a != MAP_FAILED) { *(volatile char *)a = 1; munmap(a, 65536); } break; }
			case 4: if ((fd = open("/proc/self/stat", O_RDONLY)) >= 0) { (void)!read(fd, b, 64); close(fd); } break;
			default: if (!(c = fork())) _exit(0); if (c > 0) waitpid(c, &st, 0); break;
			}
			d = now_us() - t;
			if (d > sh->slowest_us)
				sh->slowest_us = d, snprintf(sh->slowest, sizeof sh->slowest, "%s", (const char *[]){ "getppid", "open", "pipe", "mmap", "proc", "fork" }[k]);
		}
		usleep(2000);
	}
	_exit(0);
}

static int trace;

static void calls(struct fuzz *f, unsigned n)
{
	uint64_t a[6];
	while (n--) {
		const struct fcall *c = fuzz_next(f);
		fuzz_args(f, c, a);
		if (trace) {
			char b[160];
			int k = snprintf(b, sizeof b, "%d %s(%#lx, %#lx, %#lx, %#lx, %#lx, %#lx)\n", (int)syscall(SYS_gettid), c->name, a[0], a[1], a[2], a[3], a[4], a[5]);
			(void)!write(2, b, k);
		}
		__atomic_add_fetch(&sh->calls, 1, __ATOMIC_RELAXED);
		long ret;
		if (c->flags & FORKS) {
			if (a[0] & CLONE_VM && c->nr == SYS_clone)
				continue; /* a thread without a stack of its own would go on on ours: thread_main does those */
			if (c->nr == SYS_clone3 && a[0] >= ARENA && a[0] < ARENA_NONE && ((struct clone_args *)a[0])->flags & CLONE_VM)
				continue;
			pid_t me = (pid_t)syscall(SYS_gettid);
			ret = fuzz_do(c, a);
			if (ret == 0 && syscall(SYS_gettid) != me) {
				f->pid[0] = getpid();
				if (n > 40)
					n = 40;
				calls(f, n);
				_exit(0);
			}
			if (ret > 0)
				f->pid[1 + r(f, 2)] = (pid_t)ret;
		} else
			ret = fuzz_do(c, a);
		__atomic_add_fetch(ret < 0 && ret > -4096 ? &sh->errors : &sh->answered, 1, __ATOMIC_RELAXED);
	}
}

static void *thread_main(void *p)
{
	struct fuzz f = *(struct fuzz *)p;
	f.pid[1] = (pid_t)syscall(SYS_gettid);
	for (;;)
		calls(&f, 1000);
	return NULL;
}

/* Changes arguments while others have given them to the kernel. */
static void *scribbler(void *p)
{
	struct fuzz f = *(struct fuzz *)p;
	for (unsigned i = 0;; i++) {
		uint64_t *q = (uint64_t *)(ARENA + r(&f, ARENA_RW * PG / 8) * 8);
		*(volatile uint64_t *)q = one_in(&f, 3) ? r64(&f) : one_in(&f, 2) ? *(uint64_t *)(ARENA + r(&f, ARENA_RW * PG / 8) * 8) : r(&f, 100);
		if (i % 64 == 0)
			usleep(1);
	}
	return NULL;
}

/* Takes the memory itself away and gives it back. */
static void *mapper(void *p)
{
	struct fuzz f = *(struct fuzz *)p;
	for (;;) {
		void *a = (void *)(ARENA + r(&f, ARENA_RW) * PG);
		mprotect(a, PG, r(&f, 4));
		if (one_in(&f, 4))
			mmap(a, PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		usleep(r(&f, 200));
		mprotect((void *)ARENA, ARENA_RW * PG, PROT_READ | PROT_WRITE);
		usleep(r(&f, 400));
	}
	return NULL;
}

static void nothing(int s) { (void)s; }
/* The arena was taken away under our own hands: it comes back at once. */
static void fault(int s)
{
	static __thread int again;
	if (again++ > 50)
		_exit(1);
	(void)s;
	syscall(SYS_mmap, ARENA, ARENA_RW * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	syscall(SYS_mmap, ARENA_SHARED, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void handlers(void)
{
	for (int s = 1; s < 65; s++)
		if (s != SIGKILL && s != SIGSTOP && s != SIGCHLD)
			sigaction(s, &(struct sigaction){ .sa_handler = s == SIGSEGV || s == SIGBUS ? fault : nothing, .sa_flags = s % 2 ? SA_RESTART : 0 }, NULL);
}

static void limits(void)
{
	static const struct { int what; unsigned long v; } l[] = { { RLIMIT_AS, 1UL << 30 }, { RLIMIT_FSIZE, 16 << 20 }, { RLIMIT_NPROC, 100 }, { RLIMIT_NOFILE, 512 }, { RLIMIT_CORE, 1 << 20 } };
	for (unsigned i = 0; i < COUNT(l); i++)
		setrlimit(l[i].what, &(struct rlimit){ l[i].v, l[i].v });
}

static void write_file(const char *path, const char *s)
{
	int fd = open(path, O_WRONLY);
	(void)!write(fd, s, strlen(s));
	close(fd);
}

/* A job is init of a PID namespace of its own: when it ends, all that it started ends. */
static int job(uint64_t seed)
{
	struct fuzz f = { .x = seed * 0x9E3779B97F4A7C15UL + 1 };
	char dir[64];
	int kind = r(&f, 4);
	setsid(); /* its group is its own */
	r64(&f);
	snprintf(dir, sizeof dir, "/tmp/fuzz.%lu", (unsigned long)seed);
	mkdir(dir, 0777);
	(void)!chdir(dir);
	if (kind != 1)
		mount("none", dir, "tmpfs", 0, "size=64m"), (void)!chdir(dir);
	mount("proc", "/proc", "proc", 0, NULL);
	chmod(".", 0777);
	limits();
	if (kind >= 2) {
		setgroups(0, NULL);
		(void)!setresgid(54321, 54321, 54321);
		(void)!setresuid(54321, 54321, 54321);
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	}
	if (kind == 3 && !unshare(CLONE_NEWUSER)) {
		write_file("/proc/self/setgroups", "deny");
		write_file("/proc/self/uid_map", "0 54321 1");
		write_file("/proc/self/gid_map", "0 54321 1");
	}
	signal(SIGCHLD, SIG_DFL);
	for (int s = 1; s < 65; s++)
		if (s != SIGCHLD)
			signal(s, SIG_IGN); /* as init: only its children play */
	fuzz_files();
	int null = open("/dev/null", O_RDWR);
	for (int i = 0; i < 3; i++)
		if (!trace || i != 2)
			dup2(null, i);
	pid_t kids[3];
	for (int i = 0; i < 3; i++) {
		uint64_t s = r64(&f);
		kids[i] = fork();
		if (kids[i])
			continue;
		f.x = s | 1;
		handlers();
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		f.pid[0] = getpid(), f.pid[1] = i ? kids[0] : getpid() + 1, f.pid[2] = i > 1 ? kids[1] : getpid() + 2, f.pid[3] = 9999;
		f.area = one_in(&f, 3) ? 0 : 1U << r(&f, 16);
		fuzz_memory(1);
		fuzz_fds(&f);
		setitimer(ITIMER_REAL, &(struct itimerval){ { 0, 2000 }, { 0, 2000 } }, NULL);
		pthread_t t;
		struct fuzz tf[5];
		int n = r(&f, 4);
		for (int k = 0; k < 5; k++)
			tf[k] = f, tf[k].x = r64(&f) | 1, tf[k].next = k * 4096;
		for (int k = 0; k < n; k++)
			pthread_create(&t, NULL, thread_main, &tf[k]);
		if (n && one_in(&f, 2))
			pthread_create(&t, NULL, scribbler, &tf[3]);
		if (n && one_in(&f, 4))
			pthread_create(&t, NULL, mapper, &tf[4]);
		for (;;)
			calls(&f, 1000);
	}
	/* On a busy machine a job has longer, until it has done something. */
	long start = now_us(), least = 300000 + r(&f, 700000);
	uint64_t before = sh->calls;
	while (now_us() - start < least || (sh->calls - before < 1000 && now_us() - start < 5000000))
		if (waitpid(-1, NULL, WNOHANG) < 0)
			break;
		else
			usleep(20000);
	if (kind != 1)
		return 0;
	kill(-1, SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}

int main(int argc, char **argv)
{
	struct utsname u;
	uname(&u);
	if (!strstr(u.release, "bailey")) {
		fprintf(stderr, "only to be run inside\n");
		return 2;
	}
	uint64_t seed = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	int secs = argc > 2 ? atoi(argv[2]) : 10, jobs = argc > 3 ? atoi(argv[3]) : 2;
	trace = getenv("FUZZ_TRACE") != NULL;
	sh = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	pid_t by = fork();
	if (!by)
		bystander();
	pid_t run[16] = { 0 };
	long since[16] = { 0 }, start = now_us(), end = start + secs * 1000000L;
	uint64_t which[16];
	unsigned done = 0;
	if (jobs > 16)
		jobs = 16;
	for (int busy = 1; busy;) {
		busy = 0;
		for (int i = 0; i < jobs; i++) {
			if (!run[i] && now_us() < end) {
				which[i] = seed++;
				since[i] = now_us();
				run[i] = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0);
				if (!run[i])
					_exit(job(which[i]));
				if (run[i] < 0) {
					run[i] = 0;
					usleep(10000);
				}
			}
			if (!run[i])
				continue;
			busy = 1;
			int st;
			if (waitpid(run[i], &st, WNOHANG) == run[i])
				run[i] = 0, done++;
			else if (now_us() - since[i] > 15000000 && now_us() - since[i] < 60000000)
				kill(run[i], SIGKILL);
			else if (now_us() - since[i] >= 60000000) {
				printf("EVIL: seed %lu does not end\n", (unsigned long)which[i]);
				(void)!system("cd /proc; for p in [0-9]*; do head -1 $p/task/*/syscall; grep -E 'Name|State|Pid|SigQ|Pnd|SigBlk' $p/task/*/status; done");
				return 1;
			}
		}
		usleep(20000);
	}
	sh->quit = 1;
	waitpid(by, NULL, 0);
	long took = now_us() - start;
	printf("%u jobs to seed %lu, %lu calls (%lu answered, %lu errors), %lu a second; slowest of a bystander's: %s, %ld ms\n", done, (unsigned long)seed - 1, sh->calls, sh->answered,
		sh->errors, sh->calls * 1000000 / took, sh->slowest, sh->slowest_us / 1000);
	if (sh->slowest_us > 30000000)
		printf("EVIL: a bystander's call took %ld ms\n", sh->slowest_us / 1000);
	return 0;
}
