/* SPDX-License-Identifier: Apache-2.0 */
/* /proc: what is there, in which form, who may, and what becomes of it when the process goes. */
#include "harness.h"
#include <dirent.h>
#include <grp.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/sysinfo.h>
#include <sys/uio.h>

static char text[1 << 16];
static const char *slurp(const char *fmt, ...)
{
	char path[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	int fd = open(path, O_RDONLY), n = 0, r;
	text[0] = 0;
	if (fd < 0)
		return NULL;
	while (n < (int)sizeof(text) - 1 && (r = read(fd, text + n, sizeof(text) - 1 - n)) > 0)
		n += r;
	close(fd);
	text[n] = 0;
	return text;
}
static long long value(const char *t, const char *name)
{
	size_t n = strlen(name);
	for (const char *p = t; p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
		if (!strncmp(p, name, n) && p[n] == ':')
			return strtoll(p + n + 1, NULL, 10);
	return -1;
}

TEST(names_and_modes)
{
	static const struct { const char *name; mode_t mode; } want[] = {
		{ "attr", 040555 }, { "auxv", 0100400 }, { "clear_refs", 0100200 }, { "cmdline", 0100444 }, { "comm", 0100644 }, { "coredump_filter", 0100644 },
		{ "cwd", 0120777 }, { "environ", 0100400 }, { "exe", 0120777 }, { "fd", 040500 }, { "fdinfo", 040555 }, { "gid_map", 0100644 }, { "io", 0100400 },
		{ "limits", 0100444 }, { "map_files", 040500 }, { "maps", 0100444 }, { "mem", 0100600 }, { "mountinfo", 0100444 }, { "mounts", 0100444 },
		{ "mountstats", 0100400 }, { "ns", 040511 }, { "oom_adj", 0100644 }, { "oom_score", 0100444 }, { "oom_score_adj", 0100644 }, { "pagemap", 0100400 },
		{ "personality", 0100400 }, { "projid_map", 0100644 }, { "root", 0120777 }, { "schedstat", 0100444 }, { "setgroups", 0100644 }, { "smaps", 0100444 },
		{ "smaps_rollup", 0100444 }, { "stat", 0100444 }, { "statm", 0100444 }, { "status", 0100444 }, { "syscall", 0100400 }, { "task", 040555 },
		{ "timens_offsets", 0100644 }, { "timers", 0100444 }, { "timerslack_ns", 0100666 }, { "uid_map", 0100644 }, { "wchan", 0100444 },
	};
	char path[64];
	struct stat st;
	for (unsigned i = 0; i < sizeof(want) / sizeof(*want); i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", want[i].name);
		CHECK(lstat(path, &st) == 0);
		if (st.st_mode != want[i].mode)
			printf("# %s: %o\n", path, st.st_mode);
		CHECK(st.st_mode == want[i].mode && st.st_blocks == 0);
	}
	CHECK(stat("/proc/self/fd", &st) == 0);
	int n = st.st_size, fd = open("/dev/null", O_RDONLY);
	CHECK(n >= 3 && stat("/proc/self/fd", &st) == 0 && st.st_size == n + 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(lstat(path, &st) == 0 && st.st_mode == 0120500 && st.st_size == 64);
}

TEST(input_and_output_are_counted)
{
	char buf[1000];
	int p[2], fd;
	pid_t c;
	CHECK(pipe(p) == 0 && slurp("/proc/self/io"));
	long long r = value(text, "rchar"), w = value(text, "wchar"), sr = value(text, "syscr"), sw = value(text, "syscw");
	CHECK(write(p[1], buf, 1000) == 1000 && write(p[1], buf, 10) == 10 && read(p[0], buf, 700) == 700);
	CHECK(write(-1, buf, 5) == -1);
	struct iovec v[2] = { { buf, 100 }, { buf, 50 } };
	CHECK(readv(p[0], v, 2) == 150);
	fd = open("/proc/self/io", O_RDONLY);
	int n = pread(fd, text, sizeof(text) - 1, 0);
	text[n] = 0;
	close(fd);
	CHECK(value(text, "wchar") == w + 1010 && value(text, "syscw") == sw + 2);
	/* What the first look itself read counts too: it was three reads at most. */
	CHECK(value(text, "rchar") >= r + 850 && value(text, "rchar") < r + 850 + 400);
	CHECK(value(text, "syscr") >= sr + 2 && value(text, "syscr") <= sr + 5);
	/* A child's is added when it is waited for; a thread has its own. */
	w = value(text, "wchar");
	if (!(c = fork()))
		_exit(write(p[1], buf, 321) != 321);
	CHECK(waitpid(c, NULL, 0) == c && slurp("/proc/self/io") && value(text, "wchar") >= w + 321);
	CHECK(slurp("/proc/self/task/%d/io", gettid()) && value(text, "wchar") == w);
}

TEST(after_the_end)
{
	static const char *const gone[] = { "stat", "status", "comm", "cmdline", "limits", "cgroup", "oom_score", "schedstat", "maps", "wchan", "loginuid" };
	char path[64], c;
	int fds[16], maps, dir, task_dir, mem, p[2];
	CHECK(pipe(p) == 0);
	pid_t pid = fork();
	if (!pid) {
		close(p[1]);
		(void)!read(p[0], &c, 1);
		_exit(0);
	}
	unsigned n = sizeof(gone) / sizeof(*gone);
	for (unsigned i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, gone[i]);
		CHECK((fds[i] = open(path, O_RDONLY)) >= 0);
	}
	snprintf(path, sizeof(path), "/proc/%d/uid_map", pid);
	CHECK((maps = open(path, O_RDONLY)) >= 0);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	CHECK((mem = open(path, O_RDONLY)) >= 0);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	CHECK((dir = open(path, O_RDONLY | O_DIRECTORY)) >= 0);
	CHECK((task_dir = openat(dir, "task", O_RDONLY | O_DIRECTORY)) >= 0);
	close(p[1]);
	siginfo_t si;
	CHECK(waitid(P_PID, pid, &si, WEXITED | WNOWAIT) == 0);
	/* a zombie: it has no memory, but is there */
	CHECK(pread(fds[0], &c, 1, 0) == 1 && openat(dir, "environ", O_RDONLY) == -1 && errno == ESRCH);
	CHECK_ERRNO(openat(dir, "mounts", O_RDONLY), EINVAL);
	CHECK_ERRNO(openat(dir, "net/dev", O_RDONLY), ENOENT);
	CHECK(readlinkat(dir, "ns/user", path, sizeof(path)) > 0);
	CHECK_ERRNO(readlinkat(dir, "ns/mnt", path, sizeof(path)), ENOENT);
	CHECK_ERRNO(readlinkat(dir, "exe", path, sizeof(path)), ENOENT);
	CHECK(pread(mem, &c, 1, (off_t)(uintptr_t)&c) == 0);
	CHECK(slurp("/proc/%d/cmdline", pid) && !*text);
	CHECK(slurp("/proc/%d/status", pid) && strstr(text, "State:\tZ (zombie)\n") && !strstr(text, "VmRSS"));
	CHECK(waitpid(pid, NULL, 0) == pid);
	for (unsigned i = 0; i < n; i++)
		CHECK_ERRNO(pread(fds[i], &c, 1, 0), ESRCH);
	CHECK(pread(maps, &c, 1, 0) == 1); /* it is about the user namespace that there was */
	CHECK_ERRNO(syscall(SYS_getdents64, dir, text, 4096), ENOENT);
	CHECK_ERRNO(syscall(SYS_getdents64, task_dir, text, 4096), ENOENT);
	CHECK(openat(dir, "stat", O_RDONLY) == -1 && (errno == ESRCH || errno == ENOENT));
	snprintf(path, sizeof(path), "/proc/%d", pid);
	CHECK_ERRNO(open(path, O_RDONLY), ENOENT);
}

TEST(hidden_processes)
{
	char dir[] = "/tmp/procfs.XXXXXX", path[64];
	int st;
	if (geteuid() || unshare(CLONE_NEWNS))
		SKIP("not root");
	CHECK(mkdtemp(dir) && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	if (mount("proc", dir, "proc", 0, "hidepid=2,gid=77"))
		SKIP("proc cannot be mounted");
	CHECK(slurp("/proc/self/mounts") && strstr(text, "gid=77,hidepid=invisible"));
	snprintf(path, sizeof(path), "%s/%d", dir, getpid());
	pid_t p = fork();
	if (!p) {
		gid_t g = 77;
		CHECK(setgroups(1, &g) == 0 && syscall(SYS_setresgid, 1234, 1234, 1234) == 0);
		CHECK(syscall(SYS_setresuid, 1234, 1234, 1234) == 0 && access(path, F_OK) == 0); /* of the group */
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	p = fork();
	if (!p) {
		char file[80];
		setgroups(0, NULL);
		CHECK(syscall(SYS_setresgid, 1234, 1234, 1234) == 0 && syscall(SYS_setresuid, 1234, 1234, 1234) == 0);
		CHECK_ERRNO(access(path, F_OK), ENOENT);
		DIR *d = opendir(dir);
		int n = 0;
		for (struct dirent *e; (e = readdir(d));)
			n += e->d_name[0] >= '1' && e->d_name[0] <= '9';
		CHECK(n == 1); /* itself */
		snprintf(file, sizeof(file), "%s/self/stat", dir);
		CHECK(access(file, R_OK) == 0);
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	CHECK(mount(NULL, dir, NULL, MS_REMOUNT, "hidepid=noaccess,gid=0") == 0);
	p = fork();
	if (!p) {
		char file[80];
		setgroups(0, NULL);
		CHECK(syscall(SYS_setresgid, 1234, 1234, 1234) == 0 && syscall(SYS_setresuid, 1234, 1234, 1234) == 0);
		struct stat sb;
		snprintf(file, sizeof(file), "%s/stat", path);
		CHECK(stat(path, &sb) == 0);
		CHECK_ERRNO(open(file, O_RDONLY), EPERM);
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	CHECK_ERRNO(mount(NULL, dir, NULL, MS_REMOUNT, "hidepid=3"), EINVAL);
	CHECK(umount(dir) == 0);
	CHECK(mount("proc", dir, "proc", 0, "subset=pid") == 0);
	snprintf(path, sizeof(path), "%s/meminfo", dir);
	CHECK_ERRNO(access(path, F_OK), ENOENT);
	snprintf(path, sizeof(path), "%s/self/status", dir);
	CHECK(access(path, F_OK) == 0);
	CHECK(umount(dir) == 0 && rmdir(dir) == 0);
}

TEST(mapped_files_and_peaks)
{
	char want[64] = "", path[128], to[256];
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long a = 0, b = 0;
	while (fgets(text, sizeof(text), f))
		if (strchr(text, '/') && sscanf(text, "%lx-%lx", &a, &b) == 2)
			break;
	fclose(f);
	snprintf(want, sizeof(want), "%lx-%lx", a, b);
	snprintf(path, sizeof(path), "/proc/self/map_files/%s", want);
	int n = readlink(path, to, sizeof(to) - 1);
	CHECK(n > 0);
	to[n] = 0;
	CHECK(strstr(text, to));
	DIR *d = opendir("/proc/self/map_files");
	int found = 0;
	for (struct dirent *e; (e = readdir(d));)
		found += !strcmp(e->d_name, want);
	closedir(d);
	CHECK(found == 1);
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", a, b + 4096);
	CHECK_ERRNO(readlink(path, to, sizeof(to)), ENOENT);
	snprintf(path, sizeof(path), "/proc/self/map_files/0%lx-%lx", a, b);
	CHECK_ERRNO(readlink(path, to, sizeof(to)), ENOENT);
	CHECK(slurp("/proc/self/numa_maps") == NULL || strstr(text, " stack"));
	/* the peak goes with clear_refs */
	char *m = mmap(NULL, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(m, 1, 64 << 20);
	munmap(m, 64 << 20);
	CHECK(slurp("/proc/self/status") && value(text, "VmHWM") > 60 << 10 && value(text, "VmPeak") >= value(text, "VmSize") + (60 << 10));
	int fd = open("/proc/self/clear_refs", O_WRONLY);
	CHECK(write(fd, "5\n", 2) == 2);
	CHECK_ERRNO(write(fd, "6", 1), EINVAL);
	CHECK_ERRNO(write(fd, "x", 1), EINVAL);
	CHECK(slurp("/proc/self/status") && value(text, "VmHWM") < 40 << 10);
}

TEST(locks_are_listed)
{
	char path[] = "/tmp/procfs.XXXXXX", line[80];
	int fd = mkstemp(path);
	struct flock l = { .l_type = F_WRLCK, .l_start = 5, .l_len = 10 };
	CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0 && fcntl(fd, F_SETLK, &l) == 0);
	CHECK(slurp("/proc/self/fdinfo/%d", fd));
	snprintf(line, sizeof(line), ": FLOCK  ADVISORY  WRITE %d ", getpid());
	CHECK(strstr(text, "lock:\t1: ") && strstr(text, line) && strstr(text, " 0 EOF\n"));
	snprintf(line, sizeof(line), ": POSIX  ADVISORY  WRITE %d ", getpid());
	CHECK(strstr(text, line) && strstr(text, " 5 14\n"));
	CHECK(slurp("/proc/locks") && strstr(text, line) && strstr(text, " 5 14\n") && !strstr(text, "lock:"));
	CHECK(flock(fd, LOCK_UN) == 0 && slurp("/proc/self/fdinfo/%d", fd) && !strstr(text, "FLOCK"));
	unlink(path);
}

TEST(fields_of_stat)
{
	int n = 0;
	unsigned long long f[60] = { 0 };
	CHECK(slurp("/proc/self/stat"));
	for (char *p = strrchr(text, ')') + 2; *p; n++) {
		f[n + 3] = strtoull(p, NULL, 10);
		p += strcspn(p, " \n");
		p += *p != 0;
	}
	CHECK(n == 50);
	CHECK((int)f[4] == getppid() && (int)f[5] == getpgrp() && (int)f[6] == getsid(0) && f[20] == 1);
	CHECK(f[10] > 0);			/* minflt */
	CHECK(f[26] <= (uintptr_t)&slurp && f[27] > (uintptr_t)&slurp && f[28] > (uintptr_t)&n);
	CHECK(f[45] <= (uintptr_t)text && f[46] < (uintptr_t)text + sizeof(text)); /* data, without bss */
	CHECK(f[48] < f[49] && f[49] <= f[50] && f[50] <= f[51]);
	double one, two, three;
	CHECK(slurp("/proc/loadavg") && sscanf(text, "%lf %lf %lf", &one, &two, &three) == 3 && one >= 0);
	struct sysinfo si;
	CHECK(sysinfo(&si) == 0 && si.loads[0] / 65536.0 < one + 0.5 && si.loads[0] / 65536.0 > one - 0.5);
	CHECK(slurp("/proc/self/sched") == NULL || strstr(text, "nr_switches"));
	unsigned long long run, wait, times;
	CHECK(slurp("/proc/self/schedstat") && sscanf(text, "%llu %llu %llu", &run, &wait, &times) == 3 && run > 0);
}
