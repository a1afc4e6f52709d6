/* SPDX-License-Identifier: Apache-2.0 */
/* The same random calls natively and inside, one line a call: number, arguments, result, what was written, signals that came. One thread, and
 * nothing that depends on time or chance; natively by a user (or the root of a user namespace) who may do no harm.
 * fuzz_diff FIRST COUNT [CALLS [AREA]]: COUNT sequences; scripts/fuzz-diff compares. */
#include "../evil/fuzz.h"
#include <grp.h>
#include <net/if.h>
#include <sys/utsname.h>

#define LOG 0x10000000UL
#define MAX_CALLS 2000
struct record { const struct fcall *c; uint64_t a[6]; long ret; uint64_t hash, sigs; char bytes[64], names[96]; };
static struct log {
	volatile unsigned n; /* calls begun */
	volatile unsigned ended;
	unsigned stuck;
	struct record r[MAX_CALLS];
} *const log_ = (void *)LOG;
static int show_bytes;

static void on_signal(int s)
{
	if (s != WAKE_SIG)
		log_->r[log_->n - 1].sigs = log_->r[log_->n - 1].sigs * 67 + (unsigned)s;
	else
		log_->r[log_->n - 1].sigs |= 1UL << 63;
}

static uint64_t hash_memory(void)
{
	uint64_t h = 1469598103934665603UL;
	for (const uint64_t *p = (void *)ARENA; p < (const uint64_t *)ARENA_NONE; p++)
		h = (h ^ *p) * 1099511628211UL, h ^= h >> 29;
	for (const uint64_t *p = (void *)ARENA_SHARED; p < (const uint64_t *)ARENA_END; p++)
		h = (h ^ *p) * 1099511628211UL, h ^= h >> 29;
	return h;
}

static void sleeper(void)
{
	signal(WAKE_SIG, SIG_DFL);
	for (;;)
		pause();
}

static void subject(uint64_t seed, unsigned calls, unsigned area, int in, int out)
{
	struct fuzz f = { .x = (seed + 1) * 0x9E3779B97F4A7C15UL, .det = 1, .area = area };
	static char before[ARENA_RW * PG];
	char c = 0;
	r64(&f);
	setgroups(0, NULL);
	(void)!setresgid(54321, 54321, 54321);
	(void)!setresuid(54321, 54321, 54321);
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	if (seed & 1) { /* all powers, over nothing */
		if (unshare(CLONE_NEWUSER))
			_exit(90);
		(void)!write(out, &c, 1);
		(void)!read(in, &c, 1);
		if (setresgid(0, 0, 0) || setresuid(0, 0, 0) || setgroups(0, NULL))
			_exit(91);
		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
	}
	for (int s = 1; s < 65; s++)
		if (s != SIGKILL && s != SIGSTOP && s != SIGSEGV && s != SIGBUS)
			sigaction(s, &(struct sigaction){ .sa_handler = on_signal, .sa_flags = s % 2 && s != WAKE_SIG ? SA_RESTART : 0 }, NULL);
	fuzz_files();
	f.pid[0] = getpid();
	for (int i = 1; i < 3; i++)
		if (!(f.pid[i] = fork()))
			sleeper();
	f.pid[3] = 9999;
	fuzz_fds(&f);
	for (int i = 0; i < 3; i++)
		dup2(FD_BASE + 48, i); /* /dev/null */
	fuzz_memory(1);
	for (unsigned i = 0; i < calls; i++) {
		const struct fcall *fc = fuzz_next(&f);
		uint64_t a[6];
		fuzz_args(&f, fc, a);
		struct record *rec = &log_->r[i];
		rec->c = fc;
		memcpy(rec->a, a, sizeof a);
		for (int k = 0, n = 0; k < fc->nargs; k++)
			if ((fc->arg[k] == PATH || fc->arg[k] == XNAME || fc->arg[k] == STR) && a[k] >= ARENA && a[k] < ARENA_NONE)
				n += snprintf(rec->names + n, n < 90 ? sizeof rec->names - n : 0, " \"%.20s\"", (char *)a[k]);
		if (show_bytes)
			memcpy(before, (void *)ARENA, sizeof before);
		log_->n = i + 1;
		long ret = fuzz_do(fc, a);
		if (fc->flags & FORKS && ret == 0)
			sleeper();
		if (ret == -1 && fc->nr == SYS_kill)
			ret = -1;
		if (ret > 0 && (fc->flags & NORET) && !(ret >= (long)SCRATCH && ret < (long)(SCRATCH + SCRATCH_PAGES * PG)))
			ret = 1;
		rec->ret = ret;
		if (fc->flags & A_SIG || fc->flags & FORKS) /* the other one has to see it, and we what comes of it */
			usleep(1000);
		if (fc->flags & NOOUT)
			fuzz_memory(0);
		else
			rec->hash = hash_memory();
		if (show_bytes && !(fc->flags & NOOUT)) {
			unsigned n = 0;
			for (unsigned k = 0; k < sizeof before && n < 15; k++)
				if (before[k] != ((char *)ARENA)[k])
					n++, snprintf(rec->bytes + strlen(rec->bytes), sizeof rec->bytes - strlen(rec->bytes), "%s%02x", n == 1 ? (char[8]){ 0 } : "", (unsigned char)((char *)ARENA)[k]);
		}
		log_->ended = i + 1;
	}
	_exit(0);
}

static long ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void write_file(const char *path, const char *s)
{
	int fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, s, strlen(s)) < 0)
		_exit(92);
	close(fd);
}

/* Init of the sequence's PID namespace: wakes its subject when it blocks. */
static int keeper(uint64_t seed, unsigned calls, unsigned area)
{
	static const struct { int what; unsigned long v; } l[] = { { RLIMIT_AS, 2UL << 30 }, { RLIMIT_FSIZE, 1 << 20 }, { RLIMIT_NPROC, 500 }, { RLIMIT_NOFILE, 512 }, { RLIMIT_CORE, 0 },
		{ RLIMIT_MEMLOCK, 65536 }, { RLIMIT_SIGPENDING, 1000 }, { RLIMIT_MSGQUEUE, 819200 }, { RLIMIT_NICE, 0 }, { RLIMIT_RTPRIO, 0 }, { RLIMIT_STACK, 8 << 20 }, { RLIMIT_RTTIME, -1UL },
		{ RLIMIT_CPU, -1UL }, { RLIMIT_DATA, -1UL }, { RLIMIT_LOCKS, -1UL }, { RLIMIT_RSS, -1UL } };
	int in[2], out[2], st = 0;
	char b[64], c;
	setsid();
	umask(022);
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("none", "/tmp", "tmpfs", 0, "size=64m,mode=755") || mount("proc", "/proc", "proc", 0, NULL))
		return perror("mount"), 93;
	(void)!mkdir("/tmp/w", 0777);
	(void)!chdir("/tmp/w");
	(void)!chown(".", seed & 1 ? 100000 : 54321, seed & 1 ? 100000 : 54321);
	for (unsigned i = 0; i < COUNT(l); i++)
		if (setrlimit(l[i].what, &(struct rlimit){ l[i].v, l[i].v }))
			return perror("setrlimit"), 94;
	(void)!pipe(in);
	(void)!pipe(out);
	pid_t p = fork();
	if (!p)
		subject(seed, calls, area, in[0], out[1]);
	if (seed & 1) {
		(void)!read(out[0], &c, 1);
		snprintf(b, sizeof b, "/proc/%d/uid_map", p);
		write_file(b, "0 100000 65536");
		snprintf(b, sizeof b, "/proc/%d/gid_map", p);
		write_file(b, "0 100000 65536");
		(void)!write(in[1], &c, 1);
	}
	unsigned seen = 0;
	for (long since = ms();;) {
		pid_t w = waitpid(p, &st, WNOHANG);
		if (w == p || w < 0)
			break;
		if (log_->ended + log_->n != seen)
			seen = log_->ended + log_->n, since = ms();
		else if (ms() - since > 2000) {
			kill(p, SIGKILL);
			log_->stuck = 1;
		} else if (ms() - since > 200) {
			kill(p, SIGCONT);
			kill(p, WAKE_SIG);
			usleep(20000);
		}
		usleep(500);
	}
	return st ? 1 : 0;
}

static void show(unsigned long seed, int st)
{
	for (unsigned i = 0; i < log_->n; i++) {
		struct record *r = &log_->r[i];
		printf("%lu %u %s(", seed, i, r->c->name);
		for (int k = 0; k < r->c->nargs; k++)
			printf(r->a[k] < 256 || r->a[k] > -256UL ? "%s%ld" : "%s%#lx", k ? ", " : "", (long)r->a[k]);
		if (i >= log_->ended)
			printf(") = ?");
		else if (r->ret < 0 && r->ret > -4096)
			printf(") = %s", strerrorname_np((int)-r->ret) ?: "E?");
		else
			printf(") = %#lx", r->ret);
		printf(" %lx %lx %s%s\n", r->hash, r->sigs, r->bytes, r->names);
	}
	printf("%lu end %d %s\n", seed, st, log_->stuck ? "stuck" : "");
}

int main(int argc, char **argv)
{
	struct utsname u;
	unsigned long first = argc > 1 ? strtoul(argv[1], NULL, 0) : 1, count = argc > 2 ? strtoul(argv[2], NULL, 0) : 1, calls = argc > 3 ? strtoul(argv[3], NULL, 0) : 200;
	int area = argc > 4 ? atoi(argv[4]) : -1;
	show_bytes = getenv("FUZZ_BYTES") != NULL;
	uname(&u);
	if (!strstr(u.release, "bailey")) { /* a network of its own; inside there is one already */
		struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
		if (unshare(CLONE_NEWNET))
			return perror("unshare"), 2;
		ioctl(socket(AF_INET, SOCK_DGRAM, 0), SIOCSIFFLAGS, &ifr);
	}
	close_range(3, ~0U, 0);
	if (mmap((void *)LOG, sizeof(struct log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return 2;
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	for (unsigned long s = first; s < first + count; s++) {
		int st;
		fflush(stdout);
		log_->n = log_->ended = log_->stuck = 0;
		memset(log_->r, 0, sizeof(struct record) * (calls < MAX_CALLS ? calls : MAX_CALLS));
		pid_t p = (pid_t)syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0);
		if (!p)
			_exit(keeper(s, calls < MAX_CALLS ? calls : MAX_CALLS, area == -1 ? 1U << s / 2 % 16 : (unsigned)area));
		if (p < 0 || waitpid(p, &st, 0) != p)
			return perror("clone"), 2;
		show(s, st);
	}
	return 0;
}
