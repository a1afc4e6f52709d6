/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz.h: random system calls from a seed: which calls there are, what kinds of arguments they take, and how an argument is made up.
 * Used by fuzz.c (hostile: many threads, memory that changes) and fuzz_diff.c (one thread, the same calls natively and inside). */
#ifndef BAILEY_TESTS_FUZZ_H
#define BAILEY_TESTS_FUZZ_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define PG 4096UL
#define ARENA 0x20000000UL  /* arguments: RW pages, one without access, one read-only, shared ones, a hole */
#define ARENA_RW 8
#define ARENA_NONE (ARENA + ARENA_RW * PG)
#define ARENA_RO (ARENA_NONE + PG)
#define ARENA_SHARED (ARENA_RO + PG)
#define ARENA_END (ARENA_SHARED + 2 * PG)
#define SCRATCH 0x30000000UL /* what mmap, munmap, mprotect and the like play with */
#define SCRATCH_PAGES 64
#define FD_BASE 10
#define WAKE_SIG 63 /* ends blocking calls: never blocked, never given another handler */

struct fuzz {
	uint64_t x; /* the generator's state */
	int det;    /* for comparing: nothing that depends on time, addresses or chance */
	unsigned area; /* calls of which area come more often */
	unsigned next; /* where in the arena the next argument goes */
	pid_t pid[4];  /* to be named in calls: own, two children, one that does not exist */
};

static inline uint64_t r64(struct fuzz *f)
{
	f->x ^= f->x << 13, f->x ^= f->x >> 7, f->x ^= f->x << 17;
	return f->x * 0x2545F4914F6CDD1DUL;
}
static inline unsigned r(struct fuzz *f, unsigned n) { return (unsigned)(r64(f) >> 33) % n; }
#define one_in(f, n) (r(f, n) == 0)
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* Values of one kind each: PICK takes one of them, OR several together. Both take something else at times. */
#define SETS \
	S(OFLAGS, OR, O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND, O_NONBLOCK, O_DIRECTORY, O_NOFOLLOW, O_CLOEXEC, O_PATH, \
		O_TMPFILE, O_DIRECT, O_NOATIME, O_SYNC, O_NOCTTY, O_ASYNC) \
	S(FMODE, PICK, 0, 0644, 0600, 0777, 01777, 04755, 02755, 0444, 07777, 0100644, 0170000) \
	S(NODTYPE, PICK, S_IFREG | 0600, S_IFIFO | 0600, S_IFSOCK | 0600, S_IFCHR | 0600, S_IFBLK | 0600, S_IFDIR | 0700, 0600, S_IFLNK) \
	S(DEV, PICK, 0, 0x103, 0x105, 0x500, 0x501, 0xffffffff) \
	S(WHENCE, PICK, 0, 1, 2, 3, 4, 5) \
	S(ATFLAGS, OR, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH, AT_REMOVEDIR, AT_NO_AUTOMOUNT, 0x2000, 0x4000, 0x8000) \
	S(ACC, PICK, 0, 1, 2, 4, 7, 3, 8, -1) \
	S(PROT, OR, 1, 2, 4, 8, 0x01000000, 0x02000000, 1 | 2, 1 | 2) \
	S(MFLAGS, OR, MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED, 3, MAP_FIXED, MAP_FIXED, MAP_ANONYMOUS, MAP_ANONYMOUS, MAP_GROWSDOWN, MAP_NORESERVE, MAP_POPULATE, \
		MAP_FIXED_NOREPLACE, MAP_LOCKED, MAP_STACK, MAP_HUGETLB, MAP_SYNC, 0x40) \
	S(MREMAP, OR, 1, 2, 4) \
	S(MSYNC, OR, 1, 2, 4) \
	S(ADVICE, PICK, 0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 100, 101, 5, 6, 7) \
	S(MLOCKALL, OR, 1, 2, 4) \
	S(SIG, PICK, 0, 1, 2, 3, 10, 12, 13, 14, 15, 17, 18, 19, 20, 21, 23, 28, 34, 35, 64, 65, -1, 10, 12, 34) \
	S(HOW, PICK, 0, 1, 2, 3) \
	S(SIGSZ, PICK, 8, 8, 8, 8, 8, 8, 4, 128, 0) \
	S(DOMAIN, PICK, AF_UNIX, AF_UNIX, AF_INET, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, 0, 45, 99) \
	S(SOCKTYPE, OR, 1, 2, 3, 5, 1, 2, SOCK_NONBLOCK, SOCK_CLOEXEC, 4, 10) \
	S(SOCKPROTO, PICK, 0, 0, 0, 6, 17, 1, 58, 255, 256, -1) \
	S(MSGFLAGS, OR, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MSG_OOB, MSG_NOSIGNAL, MSG_CTRUNC, MSG_EOR, MSG_MORE, MSG_ERRQUEUE, MSG_CMSG_CLOEXEC, \
		MSG_WAITFORONE, MSG_CONFIRM, MSG_FASTOPEN, MSG_DONTROUTE) \
	S(SHUT, PICK, 0, 1, 2, 3, -1) \
	S(SOL, PICK, SOL_SOCKET, SOL_SOCKET, SOL_SOCKET, IPPROTO_TCP, IPPROTO_IP, IPPROTO_IPV6, IPPROTO_UDP, 270, 999) \
	S(CLONE, OR, CLONE_VM, CLONE_FS, CLONE_FILES, CLONE_SIGHAND, CLONE_PIDFD, CLONE_PTRACE, CLONE_VFORK, CLONE_PARENT, CLONE_THREAD, CLONE_NEWNS, CLONE_SYSVSEM, \
		CLONE_SETTLS, CLONE_PARENT_SETTID, CLONE_CHILD_CLEARTID, CLONE_UNTRACED, CLONE_CHILD_SETTID, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC, \
		CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET, CLONE_IO, CLONE_CLEAR_SIGHAND, CLONE_INTO_CGROUP, CLONE_NEWTIME) \
	S(UNSHARE, OR, CLONE_FS, CLONE_FILES, CLONE_NEWNS, CLONE_SYSVSEM, CLONE_NEWUTS, CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWCGROUP, \
		CLONE_THREAD, CLONE_VM, CLONE_SIGHAND) \
	S(WOPT, OR, WNOHANG, WNOHANG, WNOHANG, WUNTRACED, WCONTINUED, WEXITED, WEXITED, WNOWAIT, __WALL, __WCLONE, __WNOTHREAD) \
	S(IDTYPE, PICK, 0, 1, 2, 3, 4) \
	S(RWHO, PICK, 0, -1, 1, 2, -2) \
	S(RLIM, PICK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, -1) \
	S(FCNTL, PICK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 17, 36, 37, 38, 1024, 1025, 1026, 1027, 1028, 1029, 1030, 1031, 1032, 1033, 1034, 1035, 1036, 1037, \
		1038, 12, 13, 14) \
	S(FLOCKOP, PICK, 1, 2, 8, 5, 6, 4, 12, 32, 0, 64) \
	S(IOCTL, PICK, FIONREAD, FIONBIO, FIOCLEX, FIONCLEX, FIOASYNC, FIOQSIZE, TCGETS, TCSETS, TCSETSW, TCSETSF, TIOCGWINSZ, TIOCSWINSZ, TIOCGPTN, TIOCSPTLCK, TIOCGPTLCK, \
		TIOCGPTPEER, TIOCPKT, TIOCGPKT, TIOCSCTTY, TIOCNOTTY, TIOCGPGRP, TIOCSPGRP, TIOCGSID, TIOCSTI, TIOCOUTQ, TIOCEXCL, TIOCNXCL, TIOCGEXCL, TCFLSH, TCXONC, TCSBRK, \
		TCSBRKP, TIOCVHANGUP, TIOCSIG, TIOCGETD, TIOCSETD, TIOCMGET, TIOCMSET, TIOCCBRK, TIOCSBRK, TIOCCONS, 0x5410, 0x8901, 0x8902, 0x8903, 0x8904, 0x8905, 0x8906, \
		0x8912, 0x8913, 0x8914, 0x8915, 0x8927, 0x8933, 0x8910, 0x8916, 0xb701, 0xb702, 0xb703, 0xb704, 0x5452, 0x80086601, 0x40086602, 0x801c581f, 0xc020660b, 0x40049409, \
		0x4020940d, 0x1260, 0x80081272, 0x40085400, 0xc0502100, 0x80082102, 0x40182103, 0x40042104, 0x802c542a, 0xff00, 0xff0b, 0xc004ff10, 0x8008ff0a) \
	S(PRCTL, PICK, 1, 2, 3, 4, 5, 6, 7, 8, 13, 14, 15, 16, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, \
		46, 47, 52, 53, 55, 57, 58, 59, 62, 63, 65, 66, 67, 68, 70, 71, 72, 0x53564d41, 0x59616d61) \
	S(ARCHPRCTL, PICK, 0x1001, 0x1002, 0x1003, 0x1004, 0x1011, 0x1012, 0x2001, 0x1021, 0x1022, 0x1023, 0x5005, 0) \
	S(POLICY, PICK, 0, 1, 2, 3, 5, 6, 7, 4, -1, 0x40000000, 0x40000001) \
	S(PRIOWHICH, PICK, 0, 1, 2, 3, -1) \
	S(NICE, PICK, 0, 1, -1, 19, -20, 20, -21, 10, 5, 1000, -1000) \
	S(CLOCK, PICK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, -1, -2, -6, -10, 16) \
	S(ITIMER, PICK, 0, 1, 2, 3, -1) \
	S(TIMERID, PICK, 0, 1, 2, 3, 4, 100, -1) \
	S(TFLAGS, OR, 1, 2, 4) \
	S(TFDFLAGS, OR, TFD_NONBLOCK, TFD_CLOEXEC, 1) \
	S(EFDFLAGS, OR, 1, EFD_NONBLOCK, EFD_CLOEXEC, 2) \
	S(CLOEXEC, OR, O_CLOEXEC, O_CLOEXEC, O_NONBLOCK, 1) \
	S(PIPEFLAGS, OR, O_CLOEXEC, O_NONBLOCK, O_DIRECT, 0200, 1) \
	S(EPOP, PICK, 1, 2, 3, 1, 3, 0, 4) \
	S(COUNTS, PICK, 0, 1, 1, 2, 3, 4, 8, 16, 1024, 1025, -1, 0x7fffffff) \
	S(MSEC, PICK, 0, 0, 0, 1, 1, 2) \
	S(SPLICEF, OR, 1, 2, 4, 8, 16) \
	S(FALLOC, OR, 1, 2, 8, 16, 32, 64, 1 | 2, 4) \
	S(FADV, PICK, 0, 1, 2, 3, 4, 5, 6, -1) \
	S(SFR, OR, 1, 2, 4, 8) \
	S(RWF, OR, 1, 2, 4, 8, 16, 32, 64, 128) \
	S(XATTRF, PICK, 0, 1, 2, 3, 4) \
	S(INMASK, OR, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 0x01000000, 0x02000000, 0x04000000, 0x10000000, 0x20000000, 0x80000000) \
	S(WD, PICK, 1, 2, 3, 0, -1, 100) \
	S(KEY, PICK, 0, 0, 1, 2, 3, 4, 0x1234) \
	S(IPCFLG, OR, 0600, 0600, 0600, IPC_CREAT, IPC_CREAT, IPC_EXCL, IPC_NOWAIT, 010000, 04000, 0400, 0) \
	S(IPCID, PICK, 0, 1, 2, 3, 32768, 32769, -1, 0x7fffffff) \
	S(IPCCMD, PICK, 0, 1, 2, 3, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 256 | 2, 99) \
	S(SEMNUM, PICK, 0, 1, 2, 3, 250, -1, 32000, 32001) \
	S(SHMSZ, PICK, 0, 1, PG, PG * 4, PG * 16, -1, 1UL << 60) \
	S(SHMFLG, OR, 010000, 020000, 040000, 0100000) \
	S(MSGTYPE, PICK, 0, 1, 2, 3, -1, -2, -100, 1L << 63) \
	S(MSGFLG, OR, 04000, 04000, 010000, 020000, 040000) \
	S(FUTEXOP, PICK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 128, 129, 131, 132, 133, 137, 138, 256 | 9, 256 | 0, 384 | 9, 256 | 11, 14) \
	S(FUTEX2, OR, 2, 128, 2, 4, 0, 1, 3) \
	S(ID, PICK, 0, 0, 1, 1000, 54321, 54321, 54322, 100, -1, 65534, 65535, 0x7fffffff) \
	S(NGROUPS, PICK, 0, 1, 2, 3, 32, 65536, 65537, -1) \
	S(PERS, PICK, 0, 0xffffffff, 0x0040000, 0x0400000, 8, 0x0200000) \
	S(CAPV, PICK, 0) \
	S(PTRACE, PICK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15, 16, 17, 24, 25, 30, 31, 32, 33, 0x4200, 0x4201, 0x4202, 0x4203, 0x4204, 0x4205, 0x4206, 0x4207, \
		0x4208, 0x4209, 0x420a, 0x420b, 0x420c, 0x420d, 0x420e, 0x420f, 0x4210, 0x4211, 0x4212) \
	S(CLOSERANGE, OR, 2, 4, 1) \
	S(MEMFD, OR, 1, 2, 4, 8, 16, 0) \
	S(SEALS, OR, 1, 2, 4, 8, 16, 32) \
	S(RANDF, OR, 1, 2, 4, 8) \
	S(SECCOMPOP, PICK, 1, 1, 1, 2, 3, 4, 0) \
	S(SECCOMPF, OR, 1, 2, 4, 8, 16, 32, 64) \
	S(MEMB, PICK, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 3) \
	S(KCMP, PICK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9) \
	S(MNTFLAGS, OR, MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_BIND, MS_MOVE, MS_REC, MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, MS_SILENT, \
		MS_NOATIME, MS_STRICTATIME) \
	S(UMNT, OR, 1, 2, 4, 8) \
	S(PKEY, PICK, 0, 1, -1, 15, 16, 2) \
	S(MPOL, PICK, 0, 1, 2, 3, 4, 5, 6, 0x8000, 0x4000, -1) \
	S(IOPRIOWHO, PICK, 1, 2, 3, 0) \
	S(IOPRIO, PICK, 0, 0x2004, 0x6000, 0x4007, 0x2008, 0xffff, 0x8000) \
	S(RSEQLEN, PICK, 32, 28, 64, 0, 33) \
	S(PIDFDFLAGS, OR, O_NONBLOCK, O_EXCL, 1, 2) \
	S(LOGTYPE, PICK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, -1) \
	S(SMALL, PICK, 0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 17, 255, -1)

#define TYPES /* what is not one of a set */ \
	T(FD) T(SOCK) T(DIRFD) T(EPFD) T(TFD) T(SFD) T(INFD) T(MQD) T(PIDFD) T(PIPE) T(NSFD) T(TTYFD) T(FILEFD) T(NEWFD) T(LEN) T(BUFLEN) T(OFF) T(PGOFF) T(ADDR) T(MLEN) T(PID) T(PGID) T(ANY) T(PTR) \
	T(PATH) T(STR) T(BUF) T(IOVEC) T(SOCKADDR) T(SALEN) T(SALENP) T(MSGHDR) T(MMSGHDR) T(TS) T(TV2) T(ITS) T(ITV) T(SIGSET) T(SIGACT) T(SIGINFO) T(STACK) T(EPEV) T(POLLFD) \
	T(FDSET) T(SEMBUF) T(RLIMP) T(SCHEDATTR) T(CLONEARGS) T(FPROG) T(ARGV) T(INTP) T(OFFP) T(OPENHOW) T(CAPHDR) T(CAPDATA) T(MQATTR) T(SIGEV) T(MSGBUF) T(TIMES) T(PSEL) \
	T(HANDLE) T(WAITV) T(IOCB) T(AIOCTX) T(XNAME) T(SPARAM) T(GROUPS) T(FSTYPE) T(ZERO) T(SZ16)

enum { PICK, OR };
enum {
#define S(name, how, ...) name,
	SETS
#undef S
	NSETS,
#define T(name) name,
	TYPES
#undef T
};
static const struct { int how; unsigned n; const uint64_t *v; } fuzz_sets[] = {
#define S(name, how, ...) { how, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8, (const uint64_t[]){ __VA_ARGS__ } },
	SETS
#undef S
};

/* Areas, for sequences that stay with one thing; and what is known of a call. */
enum { A_PROC = 1, A_SIG = 2, A_FD = 4, A_MEM = 8, A_SOCK = 16, A_POLL = 32, A_TIME = 64, A_SCHED = 128, A_ID = 256, A_IPC = 512, A_XATTR = 1024, A_FILE = 2048,
	A_RW = 4096, A_PRCTL = 8192, A_NS = 16384, A_TRACE = 32768,
	NODET = 1 << 20,  /* not to be compared at all: depends on time or chance, or is dangerous natively */
	NOOUT = 1 << 21,  /* what it writes depends on time, addresses or the machine */
	NORET = 1 << 22,  /* so does what it returns (errors are compared) */
	FORKS = 1 << 23,  /* returns twice */
	NEVER = 1 << 24 }; /* ends or stops the caller for sure */
struct fcall { const char *name; int nr; unsigned flags; short arg[6]; signed char nargs; };
#define NARGS(...) (sizeof((short[]){ __VA_ARGS__ }) / 2)
#define C(name, flags, ...) { #name, SYS_##name, flags, { __VA_ARGS__ }, NARGS(__VA_ARGS__) }
#define N(name, nr, flags, ...) { #name, nr, flags, { __VA_ARGS__ }, NARGS(__VA_ARGS__) }

static const struct fcall fuzz_calls[] = {
	C(read, A_RW | A_FD, FD, BUF, BUFLEN), C(write, A_RW | A_FD, FD, BUF, BUFLEN), C(open, A_FILE, PATH, OFLAGS, FMODE), C(close, A_FD, FD),
	C(stat, A_FILE | NOOUT, PATH, BUF), C(fstat, A_FD | A_FILE | NOOUT, FD, BUF), C(lstat, A_FILE | NOOUT, PATH, BUF), C(poll, A_POLL, POLLFD, COUNTS, MSEC),
	C(lseek, A_FD | A_RW, FD, OFF, WHENCE), C(mmap, A_MEM | NORET, ADDR, MLEN, PROT, MFLAGS, FD, PGOFF), C(mprotect, A_MEM, ADDR, MLEN, PROT),
	C(munmap, A_MEM, ADDR, MLEN), C(brk, NODET, ANY), C(rt_sigaction, A_SIG, SIG, SIGACT, BUF, SIGSZ), C(rt_sigprocmask, A_SIG, HOW, SIGSET, BUF, SIGSZ),
	C(rt_sigreturn, NODET), C(ioctl, A_FD, FD, IOCTL, ANY), C(pread64, A_RW, FD, BUF, BUFLEN, OFF), C(pwrite64, A_RW, FD, BUF, BUFLEN, OFF),
	C(readv, A_RW, FD, IOVEC, COUNTS), C(writev, A_RW, FD, IOVEC, COUNTS), C(access, A_FILE, PATH, ACC), C(pipe, A_FD, BUF),
	C(select, A_POLL | NOOUT, COUNTS, FDSET, FDSET, FDSET, TV2), C(sched_yield, A_SCHED, ZERO), C(mremap, A_MEM | NORET, ADDR, MLEN, MLEN, MREMAP, ADDR),
	C(msync, A_MEM, ADDR, MLEN, MSYNC), C(mincore, A_MEM | NOOUT, ADDR, MLEN, BUF), C(madvise, A_MEM, ADDR, MLEN, ADVICE), C(shmget, A_IPC | NORET, KEY, SHMSZ, IPCFLG),
	C(shmat, A_IPC | NORET, IPCID, ADDR, SHMFLG), C(shmctl, A_IPC | NOOUT, IPCID, IPCCMD, BUF), C(dup, A_FD, FD), C(dup2, A_FD, FD, NEWFD), C(pause, NODET),
	C(nanosleep, A_TIME | NOOUT, TS, BUF), C(getitimer, A_TIME | NOOUT, ITIMER, BUF), C(alarm, NODET, SMALL), C(setitimer, A_TIME | NOOUT, ITIMER, ITV, BUF),
	C(getpid, A_ID, ZERO), C(sendfile, A_RW, FD, FILEFD, OFFP, BUFLEN), C(socket, A_SOCK, DOMAIN, SOCKTYPE, SOCKPROTO), C(connect, A_SOCK, SOCK, SOCKADDR, SALEN),
	C(accept, A_SOCK, SOCK, SOCKADDR, SALENP), C(sendto, A_SOCK, SOCK, BUF, BUFLEN, MSGFLAGS, SOCKADDR, SALEN),
	C(recvfrom, A_SOCK, SOCK, BUF, BUFLEN, MSGFLAGS, SOCKADDR, SALENP), C(sendmsg, A_SOCK, SOCK, MSGHDR, MSGFLAGS), C(recvmsg, A_SOCK, SOCK, MSGHDR, MSGFLAGS),
	C(shutdown, A_SOCK, SOCK, SHUT), C(bind, A_SOCK, SOCK, SOCKADDR, SALEN), C(listen, A_SOCK, SOCK, SMALL), C(getsockname, A_SOCK, SOCK, SOCKADDR, SALENP),
	C(getpeername, A_SOCK, SOCK, SOCKADDR, SALENP), C(socketpair, A_SOCK, DOMAIN, SOCKTYPE, SOCKPROTO, BUF), C(setsockopt, A_SOCK, SOCK, SOL, SMALL, BUF, BUFLEN),
	C(getsockopt, A_SOCK, SOCK, SOL, SMALL, BUF, SALENP), C(clone, A_PROC | FORKS | NODET, CLONE, ZERO, INTP, INTP, ANY), C(fork, A_PROC | FORKS, ZERO),
	C(vfork, NEVER | FORKS, ZERO), C(execve, A_PROC | NODET, PATH, ARGV, ARGV), C(exit, NODET, SMALL), C(wait4, A_PROC, PID, INTP, WOPT, BUF),
	C(kill, A_SIG, PGID, SIG), C(uname, NOOUT, BUF), C(semget, A_IPC | NORET, KEY, SEMNUM, IPCFLG), C(semop, A_IPC, IPCID, SEMBUF, COUNTS),
	C(semctl, A_IPC | NOOUT, IPCID, SEMNUM, IPCCMD, ANY), C(shmdt, A_IPC, ADDR), C(msgget, A_IPC | NORET, KEY, IPCFLG), C(msgsnd, A_IPC, IPCID, MSGBUF, BUFLEN, MSGFLG),
	C(msgrcv, A_IPC, IPCID, MSGBUF, BUFLEN, MSGTYPE, MSGFLG), C(msgctl, A_IPC | NOOUT, IPCID, IPCCMD, BUF), C(fcntl, A_FD, FD, FCNTL, ANY), C(flock, A_FD, FD, FLOCKOP),
	C(fsync, A_FILE, FD), C(fdatasync, A_FILE, FD), C(truncate, A_FILE, PATH, OFF), C(ftruncate, A_FILE, FD, OFF), C(getdents, A_FILE | NOOUT | NORET, DIRFD, BUF, BUFLEN),
	C(getcwd, A_FILE | NOOUT | NORET, BUF, BUFLEN), C(chdir, A_FILE, PATH), C(fchdir, A_FILE, DIRFD), C(rename, A_FILE, PATH, PATH), C(mkdir, A_FILE, PATH, FMODE), C(rmdir, A_FILE, PATH),
	C(creat, A_FILE, PATH, FMODE), C(link, A_FILE, PATH, PATH), C(unlink, A_FILE, PATH), C(symlink, A_FILE, PATH, PATH), C(readlink, A_FILE | NOOUT, PATH, BUF, BUFLEN),
	C(chmod, A_FILE, PATH, FMODE), C(fchmod, A_FILE, FD, FMODE), C(chown, A_FILE, PATH, ID, ID), C(fchown, A_FILE, FD, ID, ID), C(lchown, A_FILE, PATH, ID, ID),
	C(umask, A_FILE, FMODE), C(gettimeofday, NOOUT, BUF, BUF), C(getrlimit, A_PROC | NOOUT, RLIM, BUF), C(getrusage, NOOUT, RWHO, BUF), C(sysinfo, NOOUT, BUF),
	C(times, NOOUT | NORET, BUF), C(ptrace, A_TRACE | NODET, PTRACE, PID, PTR, ANY), C(getuid, A_ID, ZERO), C(syslog, NODET, LOGTYPE, BUF, BUFLEN), C(getgid, A_ID, ZERO),
	C(setuid, A_ID, ID), C(setgid, A_ID, ID), C(geteuid, A_ID, ZERO), C(getegid, A_ID, ZERO), C(setpgid, A_ID | A_PROC, PID, PID), C(getppid, A_ID, ZERO), C(getpgrp, A_ID, ZERO),
	C(setsid, A_ID, ZERO), C(setreuid, A_ID, ID, ID), C(setregid, A_ID, ID, ID), C(getgroups, A_ID, NGROUPS, BUF), C(setgroups, A_ID, NGROUPS, GROUPS), C(setresuid, A_ID, ID, ID, ID),
	C(getresuid, A_ID, BUF, BUF, BUF), C(setresgid, A_ID, ID, ID, ID), C(getresgid, A_ID, BUF, BUF, BUF), C(getpgid, A_ID, PID), C(setfsuid, A_ID, ID), C(setfsgid, A_ID, ID),
	C(getsid, A_ID, PID), C(capget, A_ID, CAPHDR, CAPDATA), C(capset, A_ID, CAPHDR, CAPDATA), C(rt_sigpending, A_SIG, BUF, SIGSZ), C(rt_sigtimedwait, A_SIG, SIGSET, BUF, TS, SIGSZ),
	C(rt_sigqueueinfo, A_SIG, PID, SIG, SIGINFO), C(rt_sigsuspend, NODET, SIGSET, SIGSZ), C(sigaltstack, A_SIG, STACK, BUF), C(utime, A_FILE, PATH, TV2), C(mknod, A_FILE, PATH, NODTYPE, DEV),
	C(personality, A_PRCTL, PERS), C(statfs, A_FILE | NOOUT, PATH, BUF), C(fstatfs, A_FD | NOOUT, FD, BUF), C(getpriority, A_SCHED, PRIOWHICH, PID), C(setpriority, A_SCHED, PRIOWHICH, PID, NICE),
	C(sched_setparam, A_SCHED, PID, SPARAM), C(sched_getparam, A_SCHED, PID, BUF), C(sched_setscheduler, A_SCHED, PID, POLICY, SPARAM), C(sched_getscheduler, A_SCHED, PID),
	C(sched_get_priority_max, A_SCHED, POLICY), C(sched_get_priority_min, A_SCHED, POLICY), C(sched_rr_get_interval, A_SCHED | NOOUT, PID, BUF), C(mlock, A_MEM, ADDR, MLEN),
	C(munlock, A_MEM, ADDR, MLEN), C(mlockall, A_MEM | NODET, MLOCKALL), C(munlockall, A_MEM, ZERO), C(vhangup, NODET, ZERO), C(pivot_root, A_NS | NODET, PATH, PATH),
	C(prctl, A_PRCTL, PRCTL, ANY, ANY, ANY, ANY), C(arch_prctl, NODET, ARCHPRCTL, ANY), C(adjtimex, NODET, BUF), C(setrlimit, A_PROC | NODET, RLIM, RLIMP), C(chroot, A_FILE | NODET, PATH), C(sync, NODET, ZERO),
	C(mount, A_NS | NODET, PATH, PATH, FSTYPE, MNTFLAGS, STR), C(umount2, A_NS | NODET, PATH, UMNT), C(reboot, NODET, ANY, ANY, ANY, ANY), C(sethostname, A_NS, BUF, LEN),
	C(setdomainname, A_NS, BUF, LEN), C(gettid, A_ID, ZERO), C(readahead, A_FILE, FD, OFF, LEN), C(setxattr, A_XATTR, PATH, XNAME, BUF, BUFLEN, XATTRF), C(lsetxattr, A_XATTR, PATH, XNAME, BUF, BUFLEN, XATTRF),
	C(fsetxattr, A_XATTR, FD, XNAME, BUF, BUFLEN, XATTRF), C(getxattr, A_XATTR, PATH, XNAME, BUF, BUFLEN), C(lgetxattr, A_XATTR, PATH, XNAME, BUF, BUFLEN), C(fgetxattr, A_XATTR, FD, XNAME, BUF, BUFLEN),
	C(listxattr, A_XATTR | NOOUT, PATH, BUF, BUFLEN), C(llistxattr, A_XATTR | NOOUT, PATH, BUF, BUFLEN), C(flistxattr, A_XATTR | NOOUT, FD, BUF, BUFLEN), C(removexattr, A_XATTR, PATH, XNAME),
	C(lremovexattr, A_XATTR, PATH, XNAME), C(fremovexattr, A_XATTR, FD, XNAME), C(tkill, A_SIG, PID, SIG), C(time, NOOUT | NORET, BUF), C(futex, A_IPC, INTP, FUTEXOP, SMALL, TS, INTP, SMALL),
	C(sched_setaffinity, A_SCHED, PID, LEN, BUF), C(sched_getaffinity, A_SCHED | NOOUT | NORET, PID, LEN, BUF), C(io_setup, A_RW | NOOUT, SMALL, AIOCTX), C(io_destroy, A_RW, ANY),
	C(io_getevents, NODET, ANY, SMALL, SMALL, BUF, TS), C(io_submit, NODET, ANY, SMALL, IOCB), C(io_cancel, NODET, ANY, IOCB, BUF), C(epoll_create, A_POLL, SMALL), C(remap_file_pages, A_MEM | NODET, ADDR, MLEN, PROT, SMALL, MFLAGS),
	C(getdents64, A_FILE | NOOUT | NORET, DIRFD, BUF, BUFLEN), C(set_tid_address, NODET, INTP), C(restart_syscall, A_SIG, ZERO), C(semtimedop, A_IPC, IPCID, SEMBUF, COUNTS, TS), C(fadvise64, A_FILE, FD, OFF, OFF, FADV),
	C(timer_create, A_TIME, CLOCK, SIGEV, INTP), C(timer_settime, A_TIME | NOOUT, TIMERID, TFLAGS, ITS, BUF), C(timer_gettime, A_TIME | NOOUT, TIMERID, BUF), C(timer_getoverrun, A_TIME, TIMERID),
	C(timer_delete, A_TIME, TIMERID), C(clock_settime, NODET, CLOCK, TS), C(clock_gettime, A_TIME | NOOUT, CLOCK, BUF), C(clock_getres, A_TIME | NOOUT, CLOCK, BUF), C(clock_nanosleep, A_TIME | NOOUT, CLOCK, TFLAGS, TS, BUF),
	C(exit_group, NODET, SMALL), C(epoll_wait, A_POLL, EPFD, BUF, COUNTS, MSEC), C(epoll_ctl, A_POLL, EPFD, EPOP, FD, EPEV), C(tgkill, A_SIG, PID, PID, SIG), C(utimes, A_FILE, PATH, TV2),
	C(mbind, A_MEM, ADDR, MLEN, MPOL, BUF, SMALL, SMALL), C(set_mempolicy, A_MEM, MPOL, BUF, SMALL), C(get_mempolicy, A_MEM, INTP, BUF, SMALL, ADDR, SMALL), C(mq_open, A_IPC, STR, OFLAGS, FMODE, MQATTR), C(mq_unlink, A_IPC, STR),
	C(mq_timedsend, A_IPC, MQD, BUF, BUFLEN, SMALL, TS), C(mq_timedreceive, A_IPC, MQD, BUF, BUFLEN, INTP, TS), C(mq_notify, A_IPC, MQD, SIGEV), C(mq_getsetattr, A_IPC, MQD, MQATTR, BUF),
	C(waitid, A_PROC, IDTYPE, PID, BUF, WOPT, BUF), C(ioprio_set, A_SCHED, IOPRIOWHO, PID, IOPRIO), C(ioprio_get, A_SCHED, IOPRIOWHO, PID), C(inotify_init, A_POLL, ZERO),
	C(inotify_add_watch, A_POLL, INFD, PATH, INMASK), C(inotify_rm_watch, A_POLL, INFD, WD), C(openat, A_FILE, DIRFD, PATH, OFLAGS, FMODE), C(mkdirat, A_FILE, DIRFD, PATH, FMODE),
	C(mknodat, A_FILE, DIRFD, PATH, NODTYPE, DEV), C(fchownat, A_FILE, DIRFD, PATH, ID, ID, ATFLAGS), C(futimesat, A_FILE, DIRFD, PATH, TV2), C(newfstatat, A_FILE | NOOUT, DIRFD, PATH, BUF, ATFLAGS),
	C(unlinkat, A_FILE, DIRFD, PATH, ATFLAGS), C(renameat, A_FILE, DIRFD, PATH, DIRFD, PATH), C(linkat, A_FILE, DIRFD, PATH, DIRFD, PATH, ATFLAGS), C(symlinkat, A_FILE, PATH, DIRFD, PATH),
	C(readlinkat, A_FILE | NOOUT, DIRFD, PATH, BUF, BUFLEN), C(fchmodat, A_FILE, DIRFD, PATH, FMODE), C(faccessat, A_FILE, DIRFD, PATH, ACC), C(pselect6, A_POLL | NOOUT, COUNTS, FDSET, FDSET, FDSET, TS, PSEL),
	C(ppoll, A_POLL | NOOUT, POLLFD, COUNTS, TS, SIGSET, SIGSZ), C(unshare, A_NS | NODET, UNSHARE), C(set_robust_list, A_PROC, PTR, SMALL), C(get_robust_list, A_PROC | NOOUT, PID, BUF, BUF), C(splice, A_RW, FD, OFFP, FD, OFFP, BUFLEN, SPLICEF),
	C(tee, A_RW, PIPE, PIPE, BUFLEN, SPLICEF), C(sync_file_range, A_FILE, FD, OFF, OFF, SFR), C(vmsplice, A_RW, PIPE, IOVEC, COUNTS, SPLICEF), C(utimensat, A_FILE, DIRFD, PATH, TIMES, ATFLAGS),
	C(epoll_pwait, A_POLL, EPFD, BUF, COUNTS, MSEC, SIGSET, SIGSZ), C(signalfd, A_SIG | A_POLL, SFD, SIGSET, SIGSZ), C(timerfd_create, A_TIME, CLOCK, TFDFLAGS), C(eventfd, A_POLL, SMALL), C(fallocate, A_FILE, FD, FALLOC, OFF, OFF),
	C(timerfd_settime, A_TIME | NOOUT, TFD, TFLAGS, ITS, BUF), C(timerfd_gettime, A_TIME | NOOUT, TFD, BUF), C(accept4, A_SOCK, SOCK, SOCKADDR, SALENP, SOCKTYPE), C(signalfd4, A_SIG | A_POLL, SFD, SIGSET, SIGSZ, CLOEXEC),
	C(eventfd2, A_POLL, SMALL, EFDFLAGS), C(epoll_create1, A_POLL, CLOEXEC), C(dup3, A_FD, FD, NEWFD, CLOEXEC), C(pipe2, A_FD, BUF, PIPEFLAGS), C(inotify_init1, A_POLL, CLOEXEC), C(preadv, A_RW, FD, IOVEC, COUNTS, OFF, ZERO),
	C(pwritev, A_RW, FD, IOVEC, COUNTS, OFF, ZERO), C(rt_tgsigqueueinfo, A_SIG, PID, PID, SIG, SIGINFO), C(recvmmsg, A_SOCK, SOCK, MMSGHDR, SMALL, MSGFLAGS, TS), C(prlimit64, A_PROC | NODET, PID, RLIM, RLIMP, BUF),
	C(name_to_handle_at, A_FILE | NODET, DIRFD, PATH, HANDLE, INTP, ATFLAGS), C(open_by_handle_at, A_FILE | NODET, DIRFD, HANDLE, OFLAGS), C(clock_adjtime, NODET, CLOCK, BUF), C(syncfs, A_FILE | NODET, FD),
	C(sendmmsg, A_SOCK, SOCK, MMSGHDR, SMALL, MSGFLAGS), C(setns, A_NS, NSFD, UNSHARE), C(getcpu, NOOUT, BUF, BUF, ZERO), C(process_vm_readv, A_TRACE, PID, IOVEC, COUNTS, IOVEC, COUNTS, ZERO),
	C(process_vm_writev, A_TRACE, PID, IOVEC, COUNTS, IOVEC, COUNTS, ZERO), C(kcmp, A_PROC | NODET, PID, PID, KCMP, FD, FD), C(sched_setattr, A_SCHED, PID, SCHEDATTR, ZERO), C(sched_getattr, A_SCHED, PID, BUF, LEN, ZERO),
	C(renameat2, A_FILE, DIRFD, PATH, DIRFD, PATH, SPLICEF), C(seccomp, A_PROC | NODET, SECCOMPOP, SECCOMPF, FPROG), C(getrandom, NOOUT, BUF, LEN, RANDF), C(memfd_create, A_FILE, STR, MEMFD),
	C(execveat, A_PROC | NODET, DIRFD, PATH, ARGV, ARGV, ATFLAGS), C(membarrier, A_SCHED, MEMB, ZERO, ZERO), C(mlock2, A_MEM, ADDR, MLEN, SPLICEF), C(copy_file_range, A_RW, FD, OFFP, FD, OFFP, BUFLEN, ZERO),
	C(preadv2, A_RW, FD, IOVEC, COUNTS, OFF, ZERO, RWF), C(pwritev2, A_RW, FD, IOVEC, COUNTS, OFF, ZERO, RWF), C(pkey_mprotect, A_MEM, ADDR, MLEN, PROT, PKEY), C(pkey_alloc, A_MEM | NODET, SMALL, SMALL), C(pkey_free, A_MEM | NODET, PKEY),
	C(statx, A_FILE | NOOUT, DIRFD, PATH, ATFLAGS, ANY, BUF), N(io_pgetevents, 333, NODET, ANY, SMALL, SMALL, BUF, TS, PSEL), C(rseq, NODET, PTR, RSEQLEN, SMALL, ANY), C(pidfd_send_signal, A_SIG | A_PROC, PIDFD, SIG, SIGINFO, SPLICEF),
	C(pidfd_open, A_PROC, PID, PIDFDFLAGS), C(clone3, A_PROC | FORKS | NODET, CLONEARGS, LEN), C(close_range, A_FD, FD, FD, CLOSERANGE), C(openat2, A_FILE, DIRFD, PATH, OPENHOW, SZ16), C(pidfd_getfd, A_FD | A_PROC, PIDFD, FD, ZERO),
	C(faccessat2, A_FILE, DIRFD, PATH, ACC, ATFLAGS), C(epoll_pwait2, A_POLL, EPFD, BUF, COUNTS, TS, SIGSET, SIGSZ), N(futex_waitv, 449, A_IPC, WAITV, SMALL, ZERO, TS, CLOCK), N(fchmodat2, 452, A_FILE, DIRFD, PATH, FMODE, ATFLAGS),
	N(futex_wake, 454, A_IPC, INTP, ANY, SMALL, FUTEX2), N(futex_wait, 455, A_IPC, INTP, SMALL, ANY, FUTEX2, TS, CLOCK), N(futex_requeue, 456, A_IPC, WAITV, ZERO, SMALL, SMALL), N(nosuch, 500, NODET, ANY, ANY, ANY, ANY, ANY, ANY),
	N(absent, 425, NODET, ANY, ANY, ANY, ANY, ANY, ANY), N(x32, 0x40000001, NODET, ANY, ANY, ANY, ANY, ANY, ANY),
};
#define NCALLS COUNT(fuzz_calls)

void fuzz_args(struct fuzz *f, const struct fcall *c, uint64_t a[6]);
const struct fcall *fuzz_next(struct fuzz *f);
void fuzz_memory(int fresh);
void fuzz_fds(struct fuzz *f);
void fuzz_files(void);
long fuzz_do(const struct fcall *c, const uint64_t a[6]);
#endif
