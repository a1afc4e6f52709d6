/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <elf.h>
#include <pthread.h>

TEST(fork_exit_status)
{
	int st = CHILD_STATUS(_exit(42));
	CHECK(WIFEXITED(st) && WEXITSTATUS(st) == 42);
	st = CHILD_STATUS(raise(SIGKILL));
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
	st = CHILD_STATUS(*(volatile int *)8 = 1);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

TEST(fork_memory_is_private)
{
	volatile int x = 1;
	int st = CHILD_STATUS({ x = 2; _exit(x == 2 ? 0 : 1); });
	CHECK(st == 0 && x == 1);
}

TEST(many_children)
{
	for (int i = 0; i < 50; i++)
		if (!fork())
			_exit(i);
	int sum = 0, st;
	for (int i = 0; i < 50; i++) {
		CHECK(wait(&st) > 0);
		sum += WEXITSTATUS(st);
	}
	CHECK_EQ(sum, 49 * 50 / 2);
	CHECK_ERRNO(wait(&st), ECHILD);
}

TEST(wait_options)
{
	int st;
	pid_t p = fork();
	if (!p) {
		msleep(100);
		_exit(5);
	}
	CHECK_EQ(waitpid(p, &st, WNOHANG), 0);
	siginfo_t si = { 0 };
	CHECK_EQ(waitid(P_PID, p, &si, WEXITED | WNOWAIT), 0);
	CHECK(si.si_pid == p && si.si_code == CLD_EXITED && si.si_status == 5 && si.si_signo == SIGCHLD);
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_ERRNO(waitpid(p, &st, 0), ECHILD);
	CHECK_ERRNO(waitpid(-1, &st, 0x1000000), EINVAL);
	CHECK_ERRNO(waitid(P_ALL, 0, &si, 0), EINVAL);
}

TEST(stop_and_continue)
{
	int st;
	pid_t p = fork();
	if (!p)
		for (;;)
			pause();
	CHECK(!kill(p, SIGSTOP));
	CHECK_EQ(waitpid(p, &st, WUNTRACED), p);
	CHECK(WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
	CHECK(!kill(p, SIGCONT));
	CHECK_EQ(waitpid(p, &st, WCONTINUED), p);
	CHECK(WIFCONTINUED(st));
	CHECK(!kill(p, SIGTERM));
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
}

TEST(exec)
{
	int pfd[2], st;
	char b[64] = "";
	CHECK(!pipe(pfd));
	pid_t p = fork();
	if (!p) {
		dup2(pfd[1], 1);
		execl("/bin/sh", "sh", "-c", "echo $0 $1; exit 6", "zero", (char *)NULL);
		_exit(99);
	}
	close(pfd[1]);
	CHECK(waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 6);
	CHECK(read(pfd[0], b, sizeof b) == 5 && !strcmp(b, "zero\n"));
	CHECK_ERRNO(execl("/nosuch", "x", (char *)NULL), ENOENT);
	CHECK_ERRNO(execl("/etc", "x", (char *)NULL), EACCES);
	CHECK_ERRNO(execl("/etc/passwd", "x", (char *)NULL), EACCES);
	int fd = open("junk", O_CREAT | O_WRONLY, 0755);
	CHECK(write(fd, "\1\2\3\4junk", 8) == 8 && !close(fd));
	CHECK_ERRNO(execl("./junk", "x", (char *)NULL), ENOEXEC);
}

TEST(exec_script_and_cloexec)
{
	int st, fd = open("script", O_CREAT | O_WRONLY, 0755);
	const char s[] = "#!/bin/sh -e\n[ \"$1\" = arg ] || exit 1\n[ -e /proc/self/fd/50 ] && exit 2\n[ -e /proc/self/fd/51 ] || exit 3\nexit 9\n";
	CHECK(write(fd, s, sizeof s - 1) == sizeof s - 1 && !close(fd));
	CHECK(dup3(0, 50, O_CLOEXEC) == 50 && dup2(0, 51) == 51);
	st = CHILD_STATUS(execl("./script", "./script", "arg", (char *)NULL));
	CHECK_EQ(WEXITSTATUS(st), 9);
}

TEST(vfork_and_spawn)
{
	volatile int x = 0;
	pid_t p = vfork();
	if (!p) {
		x = 7;
		_exit(3);
	}
	int st;
	CHECK(x == 7 && waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 3);
}

TEST(process_groups)
{
	CHECK_EQ(getpgid(0), getpgrp());
	pid_t p = fork();
	if (!p) {
		CHECK(setsid() == getpid());
		CHECK(getsid(0) == getpid() && getpgrp() == getpid());
		CHECK_ERRNO(setsid(), EPERM);
		CHECK_ERRNO(setpgid(0, 0), EPERM);
		_exit(0);
	}
	int st;
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	CHECK_ERRNO(setpgid(999999, 0), ESRCH);
	CHECK_ERRNO(getpgid(999999), ESRCH);
	CHECK_ERRNO(setpgid(0, -1), EINVAL);
}

TEST(orphans_go_to_the_subreaper)
{
	CHECK(!prctl(PR_SET_CHILD_SUBREAPER, 1));
	pid_t p = fork();
	if (!p) {
		if (!fork()) {
			msleep(100);
			_exit(getppid() == 1 ? 1 : 8);
		}
		_exit(0);
	}
	int st;
	CHECK(waitpid(p, &st, 0) == p);
	CHECK(wait(&st) > 0 && WEXITSTATUS(st) == 8);
}

TEST(sigchld_ignored_reaps)
{
	signal(SIGCHLD, SIG_IGN);
	pid_t p = fork();
	if (!p)
		_exit(0);
	CHECK_ERRNO(waitpid(p, NULL, 0), ECHILD);
}

TEST(rusage_and_times)
{
	int st = CHILD_STATUS({
		struct timespec t;
		do
			clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
		while (t.tv_nsec < 60000000 && !t.tv_sec);
	});
	CHECK_EQ(st, 0);
	struct rusage ru;
	CHECK(!getrusage(RUSAGE_CHILDREN, &ru));
	CHECK(ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec + ru.ru_stime.tv_usec > 20000);
	CHECK_ERRNO(getrusage(99, &ru), EINVAL);
}

TEST(rlimits)
{
	struct rlimit r;
	CHECK(!getrlimit(RLIMIT_NOFILE, &r));
	struct rlimit n = { 10, r.rlim_max };
	CHECK(!setrlimit(RLIMIT_NOFILE, &n));
	int last = -1;
	for (int i = 0; i < 20; i++)
		if ((last = dup(0)) < 0)
			break;
	CHECK(last == -1 && errno == EMFILE);
	n.rlim_cur = r.rlim_max + 1;
	n.rlim_max = r.rlim_max;
	if (r.rlim_max != RLIM_INFINITY)
		CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &n), EINVAL);
}

TEST(ids)
{
	CHECK_EQ(getpid(), syscall(SYS_gettid));
	CHECK_EQ(getuid(), geteuid());
	pid_t me = getpid();
	int st = CHILD_STATUS(_exit(getppid() == me ? 0 : 1));
	CHECK_EQ(st, 0);
}

/* Often: after some time nobody may have to be asked. */
static int same_ids(long pid, long tid, long uid, long euid, long gid, long egid)
{
	for (int i = 0; i < 50; i++)
		if (syscall(SYS_getpid) != pid || syscall(SYS_gettid) != tid || getuid() != uid || geteuid() != euid || getgid() != gid ||
		    getegid() != egid)
			return 0;
	return 1;
}

static void *ids_of_thread(void *arg)
{
	long *leader = arg, tid = syscall(SYS_gettid);

	if (tid == *leader || !same_ids(*leader, tid, 11, 12, 21, 22))
		*leader = -1;
	syscall(SYS_setresuid, -1, 11, -1); /* this thread's only */
	if (!same_ids(*leader, tid, 11, 11, 21, 22))
		*leader = -1;
	return NULL;
}

static void ids_change(pid_t parent)
{
	long pid = syscall(SYS_getpid);
	pthread_t t;
	int st;

	if (pid == parent || !same_ids(pid, pid, 0, 0, 0, 0) || setresgid(21, 22, 23) || !same_ids(pid, pid, 0, 0, 21, 22) || setresuid(11, 12, 11) ||
	    !same_ids(pid, pid, 11, 12, 21, 22))
		_exit(1);
	if (pthread_create(&t, NULL, ids_of_thread, &pid) || pthread_join(t, NULL) || pid < 0)
		_exit(2);
	if (!same_ids(pid, pid, 11, 12, 21, 22))
		_exit(3);
	pid_t c = fork();
	if (!c)
		_exit(syscall(SYS_getpid) != pid && same_ids(syscall(SYS_getpid), syscall(SYS_getpid), 11, 12, 21, 22) ? 0 : 1);
	_exit(waitpid(c, &st, 0) == c && !st && same_ids(pid, pid, 11, 12, 21, 22) ? 0 : 4);
}

TEST(ids_asked_often)
{
	pid_t me = getpid();
	CHECK(same_ids(me, me, getuid(), geteuid(), getgid(), getegid()));
	if (getuid())
		SKIP("needs root");
	int st = CHILD_STATUS(ids_change(me));
	CHECK_EQ(st, 0);
}

TEST(unknown_call)
{
	CHECK_ERRNO(syscall(5000), ENOSYS);
	CHECK_ERRNO(syscall(-1), ENOSYS);
}

/* ---- programs that are none ---- */

static int outcome(const void *b, size_t n) /* of executing a file with these bytes: -errno or the wait status */
{
	char name[64];
	int p[2], e = 0, fd, st;
	struct rlimit none = { 0 };

	sprintf(name, "/tmp/malformed.%d", getpid());
	fd = open(name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0755);
	CHECK(fd >= 0 && write(fd, b, n) == (ssize_t)n && !close(fd) && !pipe2(p, O_CLOEXEC));
	pid_t c = fork();
	if (!c) {
		setrlimit(RLIMIT_CORE, &none);
		execve(name, (char *[]){ "x", NULL }, (char *[]){ NULL });
		(void)!write(p[1], &errno, sizeof e);
		_exit(0);
	}
	close(p[1]);
	(void)!read(p[0], &e, sizeof e);
	close(p[0]);
	CHECK(waitpid(c, &st, 0) == c && !unlink(name));
	return e ? -e : st;
}

enum { EHDR = 0, TEXT = 64 + 56, DATA = 64 + 2 * 56, EXTRA = 64 + 3 * 56, PROGRAM_SIZE = 0x2008 };
static void program(char *b) /* exits with 7 */
{
	static const unsigned char code[] = { 0xb8, 60, 0, 0, 0, 0xbf, 7, 0, 0, 0, 0x0f, 0x05 };
	Elf64_Ehdr h = { .e_ident = "\177ELF\2\1\1", .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1, .e_entry = 0x401000, .e_phoff = 64,
		.e_ehsize = 64, .e_phentsize = 56, .e_phnum = 4 };
	Elf64_Phdr ph[4] = {
		{ PT_LOAD, PF_R, 0, 0x400000, 0x400000, 0x140, 0x140, 4096 },
		{ PT_LOAD, PF_R | PF_X, 0x1000, 0x401000, 0x401000, sizeof code, sizeof code, 4096 },
		{ PT_LOAD, PF_R | PF_W, 0x2000, 0x402000, 0x402000, 8, 0x1390, 4096 },
		{ PT_NOTE, PF_R, 0x400, 0, 0, 16, 16, 1 },
	};
	memset(b, 0, PROGRAM_SIZE);
	memcpy(b, &h, sizeof h);
	memcpy(b + 64, ph, sizeof ph);
	memcpy(b + 0x1000, code, sizeof code);
}

TEST_TIMEOUT(exec_malformed, 60)
{
	static const struct { int at, size; uint64_t value; int want; } mutants[] = {
		{ EHDR + 3, 1, 'G', -ENOEXEC }, { EHDR + 4, 1, 0, 7 << 8 }, { EHDR + 16, 2, ET_REL, -ENOEXEC }, { EHDR + 18, 2, 0, -ENOEXEC },
		{ EHDR + 32, 8, 1UL << 63, -ENOEXEC }, { EHDR + 32, 8, PROGRAM_SIZE, -ENOEXEC }, { EHDR + 54, 2, 57, -ENOEXEC },
		{ EHDR + 56, 2, 0, -ENOEXEC }, { EHDR + 56, 2, 0xffff, -ENOEXEC }, { EHDR + 24, 8, 0x403fff, SIGSEGV },
		{ TEXT + 40, 8, 1, SIGSEGV }, { TEXT + 8, 8, 0x1001, SIGSEGV }, { TEXT + 16, 8, 1UL << 63, SIGSEGV },
		{ DATA + 8, 8, 0x100000, SIGSEGV }, { DATA + 40, 8, 0x555555554000, SIGSEGV }, { DATA + 40, 8, 1UL << 63, SIGSEGV },
		{ DATA + 4, 4, PF_R, 7 << 8 }, { DATA + 32, 8, 0, 7 << 8 }, { DATA + 48, 8, 3, 7 << 8 },
		/* an interpreter: without a name, of which there is no file */
		{ EXTRA, 4, PT_INTERP, -EACCES }, { EXTRA + 8, 8, 1UL << 63, -EINVAL }, { EXTRA + 8, 8, INT64_MAX, -EINVAL }, { EXTRA + 32, 8, 1, -ENOEXEC },
		{ EXTRA + 32, 8, 4097, -ENOEXEC }, { EXTRA + 8, 8, 0xffc, -ENOEXEC }, { EXTRA + 8, 8, 0x2000, -EIO }, { EXTRA + 8, 8, 0, -ENOENT },
	};
	static const struct { const char *text; int want; } scripts[] = {
		{ "", -ENOEXEC }, { "#", -ENOEXEC }, { "\n", -ENOEXEC }, { "#!", -EACCES }, { "#! ", -EACCES }, { "#!\t", -EACCES }, { "#!\n", -ENOEXEC },
		{ "#! \t\n/bin/true", -ENOEXEC }, { "#!/nonexistent\n", -ENOENT }, { "#!/\n", -EACCES }, { "#!/tmp", -EACCES },
		{ "#!/bin/true\r\n", -ENOENT }, { "#!/bin/true", 0 }, { "#! /bin/true  x y \n", 0 },
	};
	static const int cut[] = { 1, 4, 63, 64, 120, 64 + 4 * 56 - 1 }, cut_late[] = { 64 + 4 * 56, 4096, 0x1800, 0x2000 };
	char *b = malloc(PROGRAM_SIZE);

	program(b);
	CHECK_EQ(outcome(b, PROGRAM_SIZE), 7 << 8);
	for (unsigned i = 0; i < sizeof cut / sizeof *cut; i++)
		CHECK_EQ(outcome(b, cut[i]), -ENOEXEC);
	for (unsigned i = 0; i < sizeof cut_late / sizeof *cut_late; i++) /* the end of its last page cannot be cleared */
		CHECK_EQ(outcome(b, cut_late[i]), SIGSEGV);
	for (unsigned i = 0; i < sizeof mutants / sizeof *mutants; i++) {
		program(b);
		if (mutants[i].at > EXTRA)
			memcpy(b + EXTRA, &(int){ PT_INTERP }, 4);
		memcpy(b + mutants[i].at, &mutants[i].value, mutants[i].size);
		int got = outcome(b, PROGRAM_SIZE);
		if (got != mutants[i].want)
			harness_fail(__FILE__, __LINE__, "mutant %u: %d, expected %d", i, got, mutants[i].want);
	}
	for (unsigned i = 0; i < sizeof scripts / sizeof *scripts; i++) {
		int got = outcome(scripts[i].text, strlen(scripts[i].text));
		if (got != scripts[i].want)
			harness_fail(__FILE__, __LINE__, "script %u: %d, expected %d", i, got, scripts[i].want);
	}
}

/* ---- PR_SET_MM ---- */
#ifndef PR_SET_MM
#define PR_SET_MM 35
#endif
static void stat_field(int n, unsigned long *v)
{
	char b[1024], *p;
	int fd = open("/proc/self/stat", O_RDONLY);
	ssize_t len = read(fd, b, sizeof(b) - 1);
	CHECK(len > 0);
	b[len] = 0;
	close(fd);
	p = strrchr(b, ')') + 2;
	for (int i = 3; i < n; i++)
		p = strchr(p, ' ') + 1;
	*v = strtoul(p, NULL, 10);
}
TEST(set_mm)
{
	struct { uint64_t at[11], auxv; uint32_t auxv_size, exe_fd; } m;
	unsigned size = 0;
	unsigned long v;
	char *args = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const size_t args_len = sprintf(args, "another name") + 1;
	char b[64];
	CHECK_ERRNO(prctl(PR_SET_MM, 15, &size, 0, 1), EINVAL);
	if (prctl(PR_SET_MM, 15, &size, 0, 0)) /* PR_SET_MM_MAP_SIZE */
		SKIP("no PR_SET_MM_MAP");
	CHECK_EQ(size, sizeof(m));
	CHECK_ERRNO(prctl(PR_SET_MM, 15, 8, 0, 0), EFAULT);
	CHECK_ERRNO(prctl(PR_SET_MM, 14, &m, sizeof(m) - 8, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_MM, 14, 8, sizeof(m), 0), EFAULT);
	static const int fields[] = { 26, 27, 45, 46, 47, 0, 28, 48, 49, 50, 51 }; /* of /proc/PID/stat */
	for (int i = 0; i < 11; i++) {
		v = (unsigned long)sbrk(0);
		if (fields[i])
			stat_field(fields[i], &v);
		m.at[i] = v;
	}
	m.auxv = m.auxv_size = 0;
	m.exe_fd = -1;
	CHECK(!prctl(PR_SET_MM, 14, &m, sizeof(m), 0));
	m.at[7] = (uint64_t)args; /* arg_start, arg_end */
	m.at[8] = (uint64_t)args + args_len;
	CHECK(!prctl(PR_SET_MM, 14, &m, sizeof(m), 0));
	int fd = open("/proc/self/cmdline", O_RDONLY);
	CHECK(read(fd, b, sizeof(b)) == (ssize_t)args_len && !memcmp(b, args, args_len));
	close(fd);
	m.at[8] = m.at[7] - 1;
	CHECK_ERRNO(prctl(PR_SET_MM, 14, &m, sizeof(m), 0), EINVAL);
	m.at[8] = m.at[7] + 1;
	m.at[1] = m.at[0];
	CHECK_ERRNO(prctl(PR_SET_MM, 14, &m, sizeof(m), 0), EINVAL);
	if (prctl(PR_SET_MM, 1, 8, 0, 0) && errno == EPERM) /* the fields one by one need CAP_SYS_RESOURCE */
		return;
	CHECK_ERRNO(prctl(PR_SET_MM, 1, 8, 0, 0), EINVAL); /* PR_SET_MM_START_CODE */
	CHECK_ERRNO(prctl(PR_SET_MM, 99, args, 0, 0), EINVAL);
	CHECK(!prctl(PR_SET_MM, 8, args, 0, 0)); /* PR_SET_MM_ARG_START */
	CHECK_ERRNO(prctl(PR_SET_MM, 9, args - 1, 0, 0), EINVAL);
	CHECK_ERRNO(prctl(PR_SET_MM, 12, args, 1 << 20, 0), EINVAL); /* PR_SET_MM_AUXV */
	CHECK_ERRNO(prctl(PR_SET_MM, 12, 8, 32, 0), EFAULT);
	if (!setresuid(-1, 1000, -1))
		CHECK_ERRNO(prctl(PR_SET_MM, 1, args, 0, 0), EPERM);
}
