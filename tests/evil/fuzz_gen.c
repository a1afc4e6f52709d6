/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_gen.c: arguments for random system calls. Every choice comes from the seed; memory is at fixed addresses. */
#include "fuzz.h"

static const char *const paths[] = { "f0", "f1", "f2", "f3", "new", "new2", "d0", "d1", "d0/f", "d0/new", "d1/d", "l0", "ldir", "loop1", "dang", "fifo", "sock", "", ".", "..",
	"./d0/../f0", "d0/", "f0/", "f0/x", "ldir/f", "l0/", "none/x", "d0/.", "d0/..", "dang/", "loop1/x", "//", "d1/../d1/new" };
static const char *const proc_paths[] = { "/", "/proc/self/fd/10", "/proc/self/fd/14", "/proc/self/exe", "/proc/self/mem", "/proc/self/ns/user", "/proc/self/ns/mnt", "/proc/self/root/proc",
	"/proc/thread-self/stat", "/proc/self/task", "/proc/1/maps", "/proc/self/oom_score_adj", "/proc/sys/kernel/hostname", "/proc/self/uid_map", "/proc/self/setgroups", "/proc/mounts",
	"/proc/self/timerslack_ns", "/proc/self/coredump_filter", "/proc/self/comm", "/proc/self/clear_refs", "/proc/self/attr/current", "/dev/ptmx", "/dev/pts/0", "/dev/tty", "/dev/null", "/dev/zero",
	"/dev/full", "/dev/shm/x", "/dev/mqueue/q", "/dev/mqueue", "/tmp", "/sys", "/etc/passwd", "/bin/true", "/proc/self/fd", "/proc/self/cwd/f0", "/proc/self/map_files", "/proc/net/tcp", "/dev/stdin",
	"/proc/sysvipc/shm", "/proc/self/fdinfo/36", "/proc/self/mountinfo", "/proc/self/smaps", "/dev/random", "/dev/console", "/proc/self/syscall", "/proc/self/stack" };
static const char *const xnames[] = { "user.a", "user.b", "user.", "trusted.a", "security.a", "system.posix_acl_access", "none", "", "user.abcdefghijklmnop", "security.capability" };
static const char *const strs[] = { "", "x", "q", "/q", "q2", "none", "mode=0700", "size=1m", "size=-1,nr_inodes=9", "lowerdir=d0", "a/b", "." };
static const char *const fstypes[] = { "tmpfs", "proc", "devpts", "sysfs", "overlay", "mqueue", "none", "ext4", "cgroup2", "ramfs", "bind", "" };

static void poke(uint64_t at, const void *p, size_t n)
{
	uint64_t end = at >= ARENA && at < ARENA_NONE ? ARENA_NONE : at >= ARENA_SHARED && at < ARENA_END ? ARENA_END : 0;
	if (end)
		memcpy((void *)at, p, n < end - at ? n : end - at);
}

static uint64_t bad_pointer(struct fuzz *f)
{
	static const uint64_t bad[] = { 0, 0, 1, 8, ARENA_NONE, ARENA_RO, ARENA_END, SCRATCH + 5 * PG, 0x7fffffffe000, 0x7ffffffff000, 0x7fffffffefff, 0x800000000000,
		0xffff800000000000, 0xffffffffff600000, -1UL, -8UL, -4096UL, 0x8000000000000000, 0x7fff00000000, 0x7fff80001000, 0xffffffff };
	return bad[r(f, COUNT(bad))];
}

/* Room for N bytes that the caller may fill with poke(). */
static uint64_t room(struct fuzz *f, size_t n)
{
	unsigned k = r(f, 64);
	if (k == 0)
		return bad_pointer(f);
	if (k == 1)
		return ARENA_NONE - (n > 1 ? r(f, n) : 0); /* partly there */
	if (k == 2)
		return ARENA_RO + r(f, PG - 8);
	if (k < 5)
		return ARENA_SHARED + r(f, 2 * PG / 8) * 8;
	if (n > 4 * PG)
		return ARENA + r(f, PG);
	unsigned at = f->next;
	f->next = (at + (unsigned)n + 15) & ~7U;
	if (at + n > ARENA_RW * PG)
		at = 0, f->next = ((unsigned)n + 15) & ~7U;
	return ARENA + at + (one_in(f, 24) ? 1 : 0);
}

static uint64_t put(struct fuzz *f, const void *p, size_t n)
{
	unsigned char b[512];
	memcpy(b, p, n);
	if (one_in(f, 12) && n) /* a field that is not what it should be */
		for (unsigned k = 1 + r(f, 2); k; k--) {
			unsigned at = r(f, n);
			if (one_in(f, 2))
				b[at] ^= 1 << r(f, 8);
			else
				b[at] = one_in(f, 2) ? 0xff : r(f, 256);
		}
	uint64_t at = room(f, n);
	poke(at, b, n);
	return at;
}

static uint64_t small(struct fuzz *f)
{
	static const uint64_t v[] = { 0, 0, 1, 2, 3, 4, 5, 8, 10, 16, 100, 255, 4096, -1UL, -2UL, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 1UL << 63, 0x7fffffffffffffff };
	return v[r(f, COUNT(v))];
}

static uint64_t len(struct fuzz *f)
{
	static const uint64_t v[] = { 0, 1, 2, 3, 4, 7, 8, 9, 12, 16, 24, 32, 64, 100, 128, 255, 256, 512, 4095, 4096, 4097, 8192, 65536, 65537 };
	static const uint64_t big[] = { 1 << 20, 0x7ffff000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, -1UL, 1UL << 63, 0x7fffffffffffffff, -4096UL };
	return one_in(f, 16) ? big[r(f, COUNT(big))] : v[r(f, COUNT(v))];
}

/* Descriptors: fixed numbers by fuzz_fds(), and the ones that come beside. */
enum { D_FILE = 0, D_DIR = 4, D_PIPE = 6, D_SOCK = 10, D_EV = 25, D_EP = 27, D_TFD = 29, D_SFD = 31, D_IN = 32, D_MEM = 33, D_PIDFD = 35, D_TTY = 37, D_PROC = 39, D_NS = 44, D_MQ = 47,
	D_DEV = 48, D_FIFO = 52, D_OTHER = 53, D_END = 56 };

static uint64_t fd_any(struct fuzz *f)
{
	unsigned k = r(f, 32);
	if (k == 0)
		return (uint64_t[]){ -1UL, 0x7fffffff, 1000, AT_FDCWD, 0xffffffff, 0x80000000, 9, 0x100000000UL + FD_BASE }[r(f, 8)];
	if (k < 5)
		return FD_BASE + D_END + r(f, 12);
	if (k < 6 && !f->det)
		return r(f, 10);
	return FD_BASE + r(f, D_END);
}

static uint64_t fd_of(struct fuzz *f, int from, int n) { return one_in(f, 6) ? fd_any(f) : (uint64_t)FD_BASE + from + r(f, n); }

static uint64_t path(struct fuzz *f)
{
	char b[8192];
	unsigned k = r(f, 40);
	if (k == 0)
		return bad_pointer(f);
	if (k == 1) { /* long names and paths */
		unsigned n = (unsigned[]){ 255, 256, 4094, 4095, 4096, 5000 }[r(f, 6)];
		for (unsigned i = 0; i < n; i++)
			b[i] = n < 300 ? 'n' : i % 2 ? '/' : '.';
		b[n] = 0;
	} else if (k < 12 && !f->det)
		strcpy(b, proc_paths[r(f, COUNT(proc_paths))]);
	else
		strcpy(b, paths[r(f, COUNT(paths))]);
	if (one_in(f, 100))
		strcat(b, "/");
	size_t n = strlen(b) + 1;
	uint64_t at = room(f, n);
	poke(at, b, n);
	return at;
}

static uint64_t str(struct fuzz *f, const char *const *v, unsigned n)
{
	const char *s = v[r(f, n)];
	return put(f, s, strlen(s) + 1);
}

static void ts(struct fuzz *f, struct timespec *t)
{
	*t = (struct timespec){ .tv_nsec = (long[]){ 0, 0, 1, 1000, 1000000 }[r(f, 5)] };
	if (one_in(f, 10))
		t->tv_nsec = (long[]){ -1, 1000000000, 999999999, 1L << 62 }[r(f, 4)];
	if (one_in(f, 20))
		t->tv_sec = (long[]){ -1, 1L << 40, 0x7fffffffffffffff, 1L << 63 }[r(f, 4)];
}

static uint64_t mask_of(struct fuzz *f)
{
	uint64_t v = one_in(f, 3) ? r64(f) : one_in(f, 3) ? 0 : 1UL << r(f, 64) | 1UL << r(f, 64);
	return v & ~(1UL << (WAKE_SIG - 1) | 1UL << (SIGSEGV - 1) | 1UL << (SIGBUS - 1) | 1UL << (SIGABRT - 1));
}

static uint64_t iovec(struct fuzz *f, int lens)
{
	struct iovec v[8];
	for (int i = 0; i < 8; i++) {
		v[i].iov_len = one_in(f, 24) ? len(f) : (unsigned[]){ 0, 1, 8, 100, 1000 }[r(f, lens)];
		v[i].iov_base = (void *)room(f, v[i].iov_len < 4096 ? v[i].iov_len : 8);
	}
	return put(f, v, sizeof v);
}

static unsigned sockaddr(struct fuzz *f, void *b)
{
	memset(b, 0, 128);
	switch (r(f, 7)) {
	case 0:
	case 1: {
		struct sockaddr_un *u = b;
		u->sun_family = AF_UNIX;
		const char *s = (const char *[]){ "sock", "new", "f0", "d0", "sock2" }[r(f, 5)];
		strcpy(u->sun_path, s);
		return 2 + strlen(s) + one_in(f, 2);
	}
	case 2: {
		struct sockaddr_un *u = b;
		u->sun_family = AF_UNIX;
		memcpy(u->sun_path + 1, "abs", 3);
		u->sun_path[3] = 'a' + r(f, 3);
		return 2 + 4;
	}
	case 3:
	case 4: {
		struct sockaddr_in *s = b;
		s->sin_family = one_in(f, 8) ? AF_UNSPEC : AF_INET;
		s->sin_port = htons(((unsigned[]){ 0, 5001, 5002, 5003, 80 }[r(f, 5)]));
		s->sin_addr.s_addr = htonl(((unsigned[]){ 0x7f000001, 0, 0x7f000002, 0xe0000001, 0x01020304 }[r(f, 5)]));
		return sizeof *s;
	}
	case 5: {
		struct sockaddr_in6 *s = b;
		s->sin6_family = AF_INET6;
		s->sin6_port = htons(((unsigned[]){ 0, 5001, 5002 }[r(f, 3)]));
		s->sin6_addr = one_in(f, 2) ? in6addr_loopback : in6addr_any;
		return sizeof *s;
	}
	default: {
		uint32_t v[3] = { AF_NETLINK, 0, 0 };
		memcpy(b, v, 12);
		return 12;
	}
	}
}

static void msghdr(struct fuzz *f, struct msghdr *m)
{
	char sa[128], cb[128] = { 0 };
	*m = (struct msghdr){ .msg_iov = (void *)iovec(f, 4), .msg_iovlen = one_in(f, 12) ? len(f) : r(f, 4) };
	if (one_in(f, 3)) {
		m->msg_namelen = sockaddr(f, sa);
		m->msg_name = (void *)put(f, sa, m->msg_namelen);
	}
	if (one_in(f, 2)) {
		struct cmsghdr *c = (void *)cb;
		size_t n = 0;
		for (unsigned k = 1 + r(f, 2); k; k--) {
			int fds = 1 + r(f, 3), creds = one_in(f, 3);
			c->cmsg_level = one_in(f, 10) ? IPPROTO_IP : SOL_SOCKET;
			c->cmsg_type = creds ? SCM_CREDENTIALS : SCM_RIGHTS;
			c->cmsg_len = CMSG_LEN(creds ? 12 : 4 * fds);
			for (int i = 0; i < 3; i++)
				((int *)CMSG_DATA(c))[i] = creds ? (int[]){ f->pid[0], 54321, 54321 }[i] : (int)fd_any(f);
			n += CMSG_SPACE(creds ? 12 : 4 * fds);
			c = (void *)(cb + n);
		}
		m->msg_control = (void *)put(f, cb, n);
		m->msg_controllen = one_in(f, 8) ? len(f) : n;
	}
}

static uint64_t filter(struct fuzz *f)
{
	struct sock_filter p[8];
	unsigned n = 0;
	p[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
	for (unsigned k = 1 + r(f, 3); k; k--) {
		p[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, fuzz_calls[r(f, NCALLS)].nr, 0, 1);
		static const uint32_t actions[] = { SECCOMP_RET_ERRNO | 1, SECCOMP_RET_ERRNO | 4095, SECCOMP_RET_TRAP, SECCOMP_RET_LOG, SECCOMP_RET_ALLOW, SECCOMP_RET_TRACE,
			SECCOMP_RET_USER_NOTIF, SECCOMP_RET_KILL_THREAD };
		p[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, actions[r(f, one_in(f, 4) ? 8 : 2)]);
	}
	p[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog g = { .len = one_in(f, 20) ? (unsigned short)len(f) : n, .filter = (void *)put(f, p, n * sizeof *p) };
	return put(f, &g, sizeof g);
}

static uint64_t sigev(struct fuzz *f)
{
	struct sigevent e = { .sigev_notify = (int[]){ SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD, SIGEV_THREAD_ID }[r(f, 4)], .sigev_signo = (int[]){ 10, 12, 34, 0, 65, -1 }[r(f, one_in(f, 4) ? 6 : 3)] };
	e._sigev_un._tid = f->pid[0];
	return one_in(f, 4) ? 0 : put(f, &e, sizeof e);
}

/* Anything: for arguments whose meaning depends on another one. */
static uint64_t any(struct fuzz *f)
{
	switch (r(f, 8)) {
	case 0: return fd_any(f);
	case 1: return room(f, 64);
	case 2: return f->pid[r(f, 4)];
	case 3: return 1UL << r(f, 64);
	case 4: return one_in(f, 4) ? r64(f) : r(f, 70);
	case 5: {
		int v = (int)small(f);
		return put(f, &v, sizeof v);
	}
	default: return small(f);
	}
}

static void noise(struct fuzz *f, uint64_t at, size_t n)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = one_in(f, 4) ? r64(f) : small(f);
		poke(at + i, &v, 8);
	}
}

static uint64_t of_set(struct fuzz *f, int s)
{
	if (one_in(f, 40))
		return one_in(f, 2) ? r64(f) : 1UL << r(f, 33);
	if (fuzz_sets[s].how == PICK)
		return fuzz_sets[s].v[r(f, fuzz_sets[s].n)];
	uint64_t v = 0;
	for (unsigned k = r(f, 4); k; k--)
		v |= fuzz_sets[s].v[r(f, fuzz_sets[s].n)];
	return v;
}

static uint64_t arg(struct fuzz *f, int kind)
{
	if (kind < NSETS)
		return of_set(f, kind);
	switch (kind) {
	case ZERO: return one_in(f, 30) ? small(f) : 0;
	case FD: return fd_any(f);
	case SOCK: return fd_of(f, D_SOCK, D_EV - D_SOCK);
	case DIRFD: return one_in(f, 2) ? (uint64_t)AT_FDCWD : fd_of(f, D_DIR, 2);
	case EPFD: return fd_of(f, D_EP, 2);
	case TFD: return fd_of(f, D_TFD, 2);
	case SFD: return one_in(f, 2) ? -1UL : fd_of(f, D_SFD, 1);
	case INFD: return fd_of(f, D_IN, 1);
	case MQD: return fd_of(f, D_MQ, 1);
	case PIDFD: return fd_of(f, D_PIDFD, 2);
	case PIPE: return fd_of(f, D_PIPE, 4);
	case NSFD: return fd_of(f, D_NS, 3);
	case TTYFD: return fd_of(f, D_TTY, 2);
	case FILEFD: return fd_of(f, D_FILE, 4);
	case NEWFD: return one_in(f, 8) ? fd_any(f) : FD_BASE + r(f, D_END + 12);
	case LEN: return len(f);
	case BUFLEN: return one_in(f, 30) ? len(f) : (unsigned[]){ 0, 1, 4, 8, 16, 64, 100, 128, 512, 1000, 4096, 8192 }[r(f, 12)];
	case OFF: return one_in(f, 6) ? len(f) : (unsigned[]){ 0, 0, 1, 10, 100, 4096, 5000, 8192 }[r(f, 8)];
	case PGOFF: return one_in(f, 8) ? len(f) : (unsigned[]){ 0, 0, 0, 4096, 8192, 65536 }[r(f, 6)];
	case ADDR: return one_in(f, 12) ? (one_in(f, 2) ? bad_pointer(f) : SCRATCH + r(f, SCRATCH_PAGES * PG)) : one_in(f, 12) ? 0 : SCRATCH + r(f, SCRATCH_PAGES) * PG;
	case MLEN: return one_in(f, 8) ? len(f) : (1 + r(f, one_in(f, 4) ? SCRATCH_PAGES : 4)) * PG - (one_in(f, 8) ? r(f, PG) : 0);
	case PID: return one_in(f, 6) ? 0 : one_in(f, 12) ? small(f) : (uint64_t)f->pid[r(f, 4)];
	case PGID: { /* never -1: that is everybody */
		int64_t v = one_in(f, 4) ? 0 : f->pid[r(f, 4)];
		return one_in(f, 4) && v > 1 ? -v : v;
	}
	case PTR: return room(f, 64);
	case PATH: return path(f);
	case STR: return str(f, strs, COUNT(strs));
	case XNAME: return str(f, xnames, COUNT(xnames));
	case FSTYPE: return str(f, fstypes, COUNT(fstypes));
	case BUF: {
		uint64_t at = room(f, 256);
		noise(f, at, 64);
		return at;
	}
	case IOVEC: return iovec(f, 5);
	case SOCKADDR: {
		char b[128];
		sockaddr(f, b);
		return one_in(f, 6) ? 0 : put(f, b, 128);
	}
	case SALEN: return one_in(f, 8) ? len(f) : (unsigned[]){ 2, 3, 6, 7, 12, 16, 28, 110 }[r(f, 8)];
	case SALENP: {
		int n = one_in(f, 8) ? (int)len(f) : (int[]){ 0, 2, 4, 8, 16, 28, 110, 128 }[r(f, 8)];
		return put(f, &n, 4);
	}
	case MSGHDR: {
		struct msghdr m;
		msghdr(f, &m);
		return put(f, &m, sizeof m);
	}
	case MMSGHDR: {
		struct mmsghdr m[3] = { 0 };
		for (int i = 0; i < 3; i++)
			msghdr(f, &m[i].msg_hdr);
		return put(f, m, sizeof m);
	}
	case TS: {
		struct timespec t;
		ts(f, &t);
		return one_in(f, 40) ? 0 : put(f, &t, sizeof t);
	}
	case TV2: {
		struct timespec t[2];
		ts(f, &t[0]), ts(f, &t[1]);
		return one_in(f, 40) ? 0 : put(f, t, sizeof t);
	}
	case TIMES: {
		struct timespec t[2];
		ts(f, &t[0]), ts(f, &t[1]);
		if (one_in(f, 4))
			t[r(f, 2)].tv_nsec = one_in(f, 2) ? UTIME_NOW : UTIME_OMIT;
		return one_in(f, 8) ? 0 : put(f, t, sizeof t);
	}
	case ITS: {
		struct itimerspec t;
		ts(f, &t.it_value), ts(f, &t.it_interval);
		if (f->det)
			t.it_value.tv_sec += 1000, t.it_interval.tv_sec += t.it_interval.tv_nsec ? 1000 : 0;
		return one_in(f, 12) ? 0 : put(f, &t, sizeof t);
	}
	case ITV: {
		struct itimerval t = { .it_value.tv_usec = one_in(f, 3) ? 0 : 1000 * r(f, 20) };
		if (f->det)
			t.it_value.tv_sec += 1000;
		return one_in(f, 12) ? 0 : put(f, &t, sizeof t);
	}
	case SIGSET: {
		uint64_t v = mask_of(f);
		uint64_t at = one_in(f, 10) ? 0 : room(f, 8);
		poke(at, &v, 8);
		return at;
	}
	case SIGACT: {
		struct { uint64_t handler, flags, restorer, mask; } a = { one_in(f, 3) ? 1 : 0, 0, 0, mask_of(f) };
		a.flags = r64(f) & (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_ONSTACK | SA_RESTART | SA_NODEFER);
		uint64_t at = one_in(f, 5) ? 0 : room(f, sizeof a);
		poke(at, &a, sizeof a);
		return at;
	}
	case SIGINFO: {
		siginfo_t si = { 0 };
		si.si_signo = 10, si.si_code = (int[]){ SI_QUEUE, SI_USER, SI_TKILL, SI_TIMER, -10 }[r(f, 5)], si.si_pid = f->pid[0], si.si_value.sival_int = 7;
		return one_in(f, 8) ? 0 : put(f, &si, sizeof si);
	}
	case STACK: {
		stack_t s = { .ss_sp = (void *)(SCRATCH + r(f, 32) * PG), .ss_size = (size_t[]){ 8192, 2048, 65536, 100, 0 }[r(f, 5)], .ss_flags = (int[]){ 0, 0, 1, 2, 4, 1 << 31 }[r(f, 6)] };
		return one_in(f, 6) ? 0 : put(f, &s, sizeof s);
	}
	case EPEV: {
		struct epoll_event e = { .events = one_in(f, 4) ? r64(f) : 1 << r(f, 5), .data.u64 = r(f, 100) };
		return put(f, &e, sizeof e);
	}
	case POLLFD: {
		struct pollfd p[16];
		for (int i = 0; i < 16; i++)
			p[i] = (struct pollfd){ .fd = (int)fd_any(f), .events = one_in(f, 4) ? (short)r64(f) : 1 << r(f, 5) };
		return put(f, p, sizeof p);
	}
	case FDSET: {
		uint64_t v[16] = { one_in(f, 2) ? 1UL << (FD_BASE + r(f, 54)) : one_in(f, 4) ? r64(f) : 0 };
		return one_in(f, 3) ? 0 : put(f, v, sizeof v);
	}
	case SEMBUF: {
		struct sembuf s[4];
		for (int i = 0; i < 4; i++)
			s[i] = (struct sembuf){ r(f, 3), (short[]){ 1, 1, -1, 0, 2, 32767 }[r(f, 6)], (short[]){ IPC_NOWAIT, IPC_NOWAIT | SEM_UNDO, IPC_NOWAIT, IPC_NOWAIT, 0 }[r(f, f->det ? 4 : 5)] };
		return put(f, s, sizeof s);
	}
	case RLIMP: {
		uint64_t v[2] = { one_in(f, 2) ? 1 << r(f, 30) : small(f), one_in(f, 2) ? -1UL : small(f) };
		return one_in(f, 2) ? 0 : put(f, v, sizeof v);
	}
	case SCHEDATTR: {
		struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t prio; uint64_t rt, dl, per; } a = { 48, (unsigned[]){ 0, 1, 2, 3, 5, 6 }[r(f, 6)], r(f, 8), (int)r(f, 40) - 20, r(f, 3), 1000000, 10000000, 10000000 };
		if (one_in(f, 6))
			a.size = (unsigned[]){ 0, 47, 56, 4096, 5000, 52 }[r(f, 6)];
		return put(f, &a, sizeof a);
	}
	case CLONEARGS: {
		struct clone_args a = { .flags = of_set(f, CLONE) & ~0xffUL, .exit_signal = one_in(f, 3) ? (uint64_t)r(f, 66) : SIGCHLD, .pidfd = room(f, 4), .child_tid = room(f, 4), .parent_tid = room(f, 4) };
		if (one_in(f, 4))
			a.set_tid_size = r(f, 4), a.set_tid = room(f, 16);
		if (one_in(f, 4) || a.flags & CLONE_VM)
			a.stack = SCRATCH + 40 * PG, a.stack_size = r(f, 4) * PG;
		return put(f, &a, sizeof a);
	}
	case FPROG: return one_in(f, 8) ? put(f, &(uint64_t){ small(f) }, 8) : filter(f);
	case ARGV: {
		uint64_t v[6] = { 0 };
		for (unsigned i = 0, n = r(f, 5); i < n; i++)
			v[i] = str(f, strs, COUNT(strs));
		if (one_in(f, 16))
			v[5] = bad_pointer(f);
		return one_in(f, 8) ? 0 : put(f, v, sizeof v);
	}
	case INTP: {
		int v = (int)small(f);
		return one_in(f, 6) ? 0 : put(f, &v, 4);
	}
	case OFFP: {
		uint64_t v = arg(f, OFF);
		return one_in(f, 2) ? 0 : put(f, &v, 8);
	}
	case OPENHOW: {
		struct open_how h = { .flags = of_set(f, OFLAGS) & 0xffffff, .mode = one_in(f, 2) ? 0600 : 0, .resolve = one_in(f, 2) ? 1UL << r(f, 6) : 0 };
		return put(f, &h, sizeof h);
	}
	case SZ16: return one_in(f, 4) ? len(f) : sizeof(struct open_how);
	case CAPHDR: {
		uint32_t v[2] = { (uint32_t[]){ 0x19980330, 0x20071026, 0x20080522, 0 }[r(f, 4)], one_in(f, 3) ? (uint32_t)f->pid[r(f, 4)] : 0 };
		return put(f, v, sizeof v);
	}
	case CAPDATA: {
		uint32_t v[6] = { r64(f), r64(f), r64(f), r64(f), r64(f), r64(f) };
		if (one_in(f, 2))
			memset(v, 0, sizeof v);
		return one_in(f, 8) ? 0 : put(f, v, sizeof v);
	}
	case MQATTR: {
		long v[8] = { one_in(f, 2) ? O_NONBLOCK : 0, r(f, 12), (long[]){ 1, 100, 8192, 0, 8193 }[r(f, 5)], 0 };
		return one_in(f, 4) ? 0 : put(f, v, sizeof v);
	}
	case SIGEV: return sigev(f);
	case MSGBUF: {
		long v[16] = { one_in(f, 8) ? (long)small(f) : 1 + r(f, 3) };
		return put(f, v, sizeof v);
	}
	case SPARAM: {
		int v = (int[]){ 0, 1, 0, 99, 100, -1 }[r(f, 6)];
		return one_in(f, 10) ? 0 : put(f, &v, 4);
	}
	case GROUPS: {
		int v[32];
		for (int i = 0; i < 32; i++)
			v[i] = (int)arg(f, ID);
		return put(f, v, sizeof v);
	}
	case PSEL: {
		uint64_t v[2] = { arg(f, SIGSET), arg(f, SIGSZ) };
		return one_in(f, 2) ? 0 : put(f, v, sizeof v);
	}
	case HANDLE: {
		uint32_t v[34] = { (uint32_t[]){ 0, 8, 12, 128, 129 }[r(f, 5)], 1 };
		return put(f, v, sizeof v);
	}
	case WAITV: {
		uint64_t v[6] = { 0 };
		for (int i = 0; i < 2; i++)
			v[i * 3] = small(f), v[i * 3 + 1] = arg(f, INTP), v[i * 3 + 2] = of_set(f, FUTEX2) & 0xffffffff;
		return put(f, v, sizeof v);
	}
	case AIOCTX: return put(f, &(uint64_t){ one_in(f, 4) ? small(f) : 0 }, 8);
	case IOCB: {
		struct iocb c = { .aio_lio_opcode = r(f, 9), .aio_fildes = (unsigned)fd_any(f), .aio_buf = room(f, 64), .aio_nbytes = arg(f, BUFLEN), .aio_offset = r(f, 4096) };
		uint64_t v[2] = { put(f, &c, sizeof c), put(f, &c, sizeof c) };
		return put(f, v, sizeof v);
	}
	case ANY:
	default: return any(f);
	}
}

/* Arguments that belong together. */
static void related(struct fuzz *f, const struct fcall *c, uint64_t a[6])
{
	switch (c->nr) {
	case SYS_fcntl:
		switch ((int)a[1]) {
		case F_SETFD: case F_SETFL: case F_SETSIG: case F_SETLEASE: case F_NOTIFY: a[2] = one_in(f, 2) ? of_set(f, OFLAGS) : r(f, 4); break;
		case F_DUPFD: case F_DUPFD_CLOEXEC: a[2] = one_in(f, 6) ? small(f) : FD_BASE + r(f, 70); break;
		case F_ADD_SEALS: a[2] = of_set(f, SEALS); break;
		case F_SETPIPE_SZ: a[2] = len(f); break;
		case F_SETOWN: a[2] = arg(f, PGID); break;
		case F_GETLK: case F_SETLK: case F_SETLKW: case F_OFD_GETLK: case F_OFD_SETLK: case F_OFD_SETLKW: {
			struct flock l = { .l_type = (short[]){ 0, 1, 2, 3 }[r(f, one_in(f, 9) ? 4 : 3)], .l_whence = r(f, one_in(f, 9) ? 4 : 3), .l_start = (long)arg(f, OFF), .l_len = one_in(f, 2) ? 0 : (long)arg(f, OFF) };
			if (one_in(f, 12))
				l.l_len = -l.l_len;
			a[2] = put(f, &l, sizeof l);
			break;
		}
		case F_GETOWN_EX: case F_SETOWN_EX: case 1035 ... 1038: {
			int v[2] = { r(f, 4), (int)f->pid[r(f, 4)] };
			a[2] = put(f, v, 8);
			break;
		}
		default: break;
		}
		break;
	case SYS_getsockopt:
	case SYS_setsockopt:
		if (one_in(f, 8))
			break;
		a[2] = (int)a[1] == SOL_SOCKET ? (unsigned)r(f, 80) : (int)a[1] == IPPROTO_TCP ? r(f, 45) : (int)a[1] == IPPROTO_IPV6 ? r(f, 81) : r(f, 51);
		if (c->nr == SYS_setsockopt && !one_in(f, 6)) {
			a[3] = one_in(f, 4) ? put(f, &(struct timeval){ 0, 1000 }, 16) : arg(f, INTP);
			a[4] = (unsigned[]){ 4, 4, 4, 8, 16, 1, 0 }[r(f, 7)];
			if ((int)a[1] == SOL_SOCKET && (a[2] == SO_RCVTIMEO || a[2] == SO_SNDTIMEO))
				a[3] = put(f, &(struct timeval){ 0, 1000 }, 16);
		}
		break;
	case SYS_ioctl:
		if (f->det && (a[1] == TIOCSTI || a[1] == 0x8912))
			a[1] = FIONREAD;
		if (one_in(f, 2))
			a[2] = arg(f, one_in(f, 2) ? INTP : BUF);
		if (one_in(f, 3) && (a[1] >> 8 & 0xff) == 'T')
			a[0] = arg(f, TTYFD);
		break;
	case SYS_prctl:
		if (one_in(f, 3))
			a[1] = r(f, 70);
		if (one_in(f, 2))
			a[2] = r(f, 5) * !one_in(f, 2);
		if (one_in(f, 2))
			a[3] = a[4] = 0;
		if (f->det && (a[1] & 0xffffffff) == 9) /* death signals arrive when they like */
			a[1] = 0;
		break;
	case SYS_rt_sigaction:
		if ((int)a[0] == WAKE_SIG || a[0] == SIGSEGV)
			a[0] = SIGUSR1;
		break;
	case SYS_socket:
	case SYS_socketpair:
		if (!one_in(f, 3))
			a[1] = (1 + r(f, 2)) | (one_in(f, 2) ? SOCK_NONBLOCK : 0) | (one_in(f, 4) ? SOCK_CLOEXEC : 0), a[2] = 0;
		break;
	case SYS_mmap:
		if (a[0] < SCRATCH || a[0] > SCRATCH + SCRATCH_PAGES * PG || a[1] > SCRATCH_PAGES * PG)
			a[3] &= ~(uint64_t)MAP_FIXED;
		if (!one_in(f, 8) && !(a[3] & 3))
			a[3] |= 1 + r(f, 2);
		break;
	case SYS_mremap:
		if (a[4] < SCRATCH || a[4] > SCRATCH + SCRATCH_PAGES * PG)
			a[3] &= ~2UL;
		break;
	case SYS_close_range:
		if (f->det || !one_in(f, 16))
			a[1] = a[0] + r(f, 3);
		break;
	case SYS_clone:
		if (a[0] & CLONE_VM)
			a[1] = SCRATCH + 40 * PG;
		a[0] = (a[0] & ~0xffUL) | (one_in(f, 3) ? r(f, 66) : SIGCHLD);
		break;
	case SYS_shmctl:
	case SYS_semctl:
	case SYS_msgctl:
		if (c->nr == SYS_semctl && one_in(f, 2))
			a[3] = one_in(f, 2) ? r(f, 5) : arg(f, BUF);
		break;
	case SYS_prlimit64:
	case SYS_setrlimit:
		break;
	default:
		break;
	}
}

static int reachable(struct fuzz *f, const struct fcall *c) { return !(c->flags & NEVER) && !(f->det && c->flags & NODET); }

const struct fcall *fuzz_next(struct fuzz *f)
{
	for (;;) {
		const struct fcall *c = &fuzz_calls[r(f, NCALLS)];
		if (!reachable(f, c) || (f->area && !(c->flags & f->area) && !one_in(f, 12)))
			continue;
		if ((c->nr == SYS_exit || c->nr == SYS_exit_group || c->nr == SYS_pause || c->nr == SYS_execve || c->nr == SYS_execveat || c->nr == SYS_rt_sigreturn ||
			    c->flags & FORKS || c->nr == SYS_brk || c->nr == SYS_chroot || c->nr == SYS_seccomp) && !one_in(f, 30))
			continue;
		return c;
	}
}

void fuzz_args(struct fuzz *f, const struct fcall *c, uint64_t a[6])
{
	for (int i = 0; i < 6; i++)
		a[i] = i < c->nargs ? arg(f, c->arg[i]) : 0;
	related(f, c, a);
	if (!f->det && one_in(f, 50))
		a[r(f, 6)] = one_in(f, 2) ? r64(f) : bad_pointer(f);
}

long fuzz_do(const struct fcall *c, const uint64_t a[6])
{
	register long r10 __asm__("r10") = (long)a[3], r8 __asm__("r8") = (long)a[4], r9 __asm__("r9") = (long)a[5];
	long ret;
	__asm__ volatile("syscall" : "=a"(ret) : "a"((long)c->nr), "D"(a[0]), "S"(a[1]), "d"(a[2]), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return ret;
}

void fuzz_memory(int fresh)
{
	if (fresh) {
		mmap((void *)ARENA, ARENA_RW * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		mmap((void *)ARENA_NONE, PG, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		mmap((void *)ARENA_RO, PG, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		mmap((void *)ARENA_SHARED, 2 * PG, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		munmap((void *)ARENA_END, PG);
		mmap((void *)SCRATCH, SCRATCH_PAGES * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	}
	memset((void *)ARENA, 0, ARENA_RW * PG);
	memset((void *)ARENA_SHARED, 0, 2 * PG);
}

void fuzz_files(void)
{
	mkdir("d0", 0755), mkdir("d1", 0755), mkdir("d1/d", 0700);
	for (int i = 0; i < 4; i++) {
		int fd = open((const char *[]){ "f0", "f1", "f2", "d0/f" }[i], O_RDWR | O_CREAT, 0644);
		char b[6000];
		for (unsigned k = 0; k < sizeof b; k++)
			b[k] = "abcdefghijklmnop"[(k + i) % 16];
		(void)!write(fd, b, i == 2 ? 0 : sizeof b);
		close(fd);
	}
	(void)!symlink("f0", "l0");
	(void)!symlink("d0", "ldir");
	(void)!symlink("loop2", "loop1");
	(void)!symlink("loop1", "loop2");
	(void)!symlink("nothing", "dang");
	(void)!mkfifo("fifo", 0600);
}

void fuzz_fds(struct fuzz *f)
{
	int at = FD_BASE, p[2];
	struct sockaddr_un un = { AF_UNIX, "" };
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof in;
	sigset_t m;
	sigemptyset(&m);
	sigaddset(&m, SIGUSR1);
#define KEEP(e) ({ int k_ = (e); if (k_ < 0) k_ = open("/dev/null", O_RDWR); dup2(k_, at); close(k_); at++; })
#define KEEP2(call) ({ if (call) p[0] = p[1] = -1; KEEP(p[0]); KEEP(p[1]); })
	close_range(3, at - 1, 0);
	for (int i = 3; i < 8; i++) /* low numbers are taken, so that what comes new goes above */
		(void)!open("/dev/null", O_RDONLY);
	KEEP(open("f0", O_RDWR));
	KEEP(open("f1", O_RDONLY));
	KEEP(open("f2", O_WRONLY | O_APPEND));
	KEEP(open("f0", O_RDWR | O_NONBLOCK));
	KEEP(open("d0", O_RDONLY | O_DIRECTORY));
	KEEP(open(".", O_PATH));
	KEEP2(pipe2(p, O_NONBLOCK));
	KEEP2(pipe2(p, O_NONBLOCK));
	if (!f->det) {
		fcntl(at - 2, F_SETFL, 0);
		fcntl(at - 1, F_SETFL, 0);
	}
	KEEP2(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p));
	KEEP2(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, p));
	KEEP2(socketpair(AF_UNIX, SOCK_SEQPACKET | (f->det ? SOCK_NONBLOCK : 0), 0, p));
	KEEP(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
	un.sun_path[1] = 'l';
	bind(at - 1, (void *)&un, 4);
	listen(at - 1, 2);
	KEEP(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	KEEP(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
	bind(at - 1, (void *)&in, sizeof in);
	listen(at - 1, 2);
	KEEP(socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	KEEP(socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0));
	KEEP(socket(AF_INET6, SOCK_DGRAM | SOCK_NONBLOCK, 0));
	KEEP(socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, 0));
	getsockname(at - 5, (void *)&in, &n);
	KEEP(socket(AF_INET, SOCK_STREAM, 0));
	connect(at - 1, (void *)&in, sizeof in);
	fcntl(at - 1, F_SETFL, O_NONBLOCK);
	KEEP(accept4(at - 6, NULL, NULL, SOCK_NONBLOCK));
	KEEP(eventfd(0, EFD_NONBLOCK));
	KEEP(eventfd(3, EFD_NONBLOCK | EFD_SEMAPHORE));
	KEEP(epoll_create1(0));
	KEEP(epoll_create1(0));
	KEEP(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
	KEEP(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
	KEEP(signalfd(-1, &m, SFD_NONBLOCK));
	KEEP(inotify_init1(IN_NONBLOCK));
	KEEP(memfd_create("m", 0));
	KEEP(memfd_create("s", MFD_ALLOW_SEALING));
	KEEP(syscall(SYS_pidfd_open, getpid(), 0));
	KEEP(syscall(SYS_pidfd_open, f->pid[1], 0));
	KEEP(open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
	int zero = 0;
	ioctl(at - 1, TIOCSPTLCK, &zero);
	KEEP(ioctl(at - 1, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_NONBLOCK));
	KEEP(open(f->det ? "/dev/null" : "/proc/self/status", O_RDONLY));
	KEEP(open(f->det ? "/dev/null" : "/proc/self/mem", O_RDWR));
	KEEP(open(f->det ? "/dev/null" : "/proc/self/maps", O_RDONLY));
	KEEP(open(f->det ? "/dev/null" : "/proc/self/fd", O_RDONLY));
	KEEP(open(f->det ? "/dev/null" : "/proc/self/comm", O_RDWR));
	KEEP(open("/proc/self/ns/user", O_RDONLY));
	KEEP(open("/proc/self/ns/pid", O_RDONLY));
	KEEP(open("/proc/self/ns/mnt", O_RDONLY));
	KEEP(mq_open("/q", O_RDWR | O_CREAT | O_NONBLOCK, 0600, NULL));
	KEEP(open("/dev/null", O_RDWR));
	KEEP(open("/dev/zero", O_RDWR));
	KEEP(open("/dev/full", O_RDWR));
	KEEP(open("/dev/urandom", O_RDONLY));
	KEEP(open("fifo", O_RDWR | O_NONBLOCK));
	KEEP(open(".", O_RDWR | O_TMPFILE, 0600));
	KEEP(open("f0", O_PATH));
	KEEP(open("l0", O_PATH | O_NOFOLLOW));
	close_range(at, ~0U, 0);
}
