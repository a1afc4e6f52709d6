/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <sys/fsuid.h>
#include <linux/capability.h>
#include <grp.h>

static int put(const char *path, const char *s)
{
	int fd = open(path, O_WRONLY), r;
	if (fd < 0)
		return -1;
	r = write(fd, s, strlen(s)) == (ssize_t)strlen(s) ? 0 : -1;
	int e = errno;
	close(fd);
	errno = e;
	return r;
}
static void become(unsigned id)
{
	CHECK(!setgroups(0, NULL) && !setresgid(id, id, id) && !setresuid(id, id, id));
	prctl(PR_SET_DUMPABLE, 1);
}

TEST(map_oneself)
{
	char b[64] = "";
	become(1234);
	CHECK(!unshare(CLONE_NEWUSER));
	CHECK_EQ(getuid(), 65534);
	CHECK_EQ(getgid(), 65534);
	CHECK_ERRNO(put("/proc/self/gid_map", "0 1234 1"), EPERM); /* setgroups is still allowed */
	CHECK(!put("/proc/self/setgroups", "deny"));
	CHECK_ERRNO(put("/proc/self/setgroups", "allow"), EPERM);
	CHECK_ERRNO(put("/proc/self/uid_map", "0 1235 1"), EPERM);
	CHECK_ERRNO(put("/proc/self/uid_map", "0 1234 2"), EPERM);
	CHECK_ERRNO(put("/proc/self/uid_map", "0 1234"), EINVAL);
	CHECK_ERRNO(put("/proc/self/uid_map", "0 1234 0"), EINVAL);
	CHECK_ERRNO(put("/proc/self/uid_map", "0 1234 1 x"), EINVAL);
	CHECK(!put("/proc/self/uid_map", "0 1234 1"));
	CHECK_ERRNO(put("/proc/self/uid_map", "0 1234 1"), EPERM); /* once */
	CHECK(!put("/proc/self/gid_map", "0 1234 1\n"));
	CHECK(getuid() == 0 && getgid() == 0);
	CHECK_ERRNO(setgroups(0, NULL), EPERM);
	CHECK_ERRNO(setuid(5), EINVAL);
	/* Root here is nobody there. */
	CHECK_ERRNO(sethostname("x", 1), EPERM);
	CHECK_ERRNO(chroot("/nonexistent"), ENOENT);
	CHECK(!unshare(CLONE_NEWUTS));
	CHECK(!sethostname("inside", 6));
	CHECK(!gethostname(b, sizeof b) && !strcmp(b, "inside"));
	struct rlimit rl = { 1000000, 2000000 };
	getrlimit(RLIMIT_NPROC, &rl);
	int fd = open("/proc/self/uid_map", O_RDONLY);
	unsigned x, y, z;
	memset(b, 0, sizeof b);
	CHECK(read(fd, b, sizeof b - 1) > 0 && sscanf(b, "%u %u %u", &x, &y, &z) == 3);
	CHECK(x == 0 && y == 1234 && z == 1);
}

TEST(clone_with_others)
{
	int st, up[2], down[2];
	char c, path[64];
	CHECK(!pipe(up) && !pipe(down));
	pid_t p = syscall(SYS_clone, CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | SIGCHLD, 0, 0, 0, 0);
	if (!p) {
		if (getpid() != 1 || getuid() != 65534)
			_exit(1);
		write(up[1], "x", 1);
		read(down[0], &c, 1);
		if (getuid() != 65534 || setresuid(7, 7, 7))
			_exit(2);
		_exit(getuid() == 7 ? 0 : 3);
	}
	CHECK(p > 0);
	CHECK(read(up[0], &c, 1) == 1);
	snprintf(path, sizeof path, "/proc/%d/uid_map", p);
	CHECK(!put(path, "0 100000 10\n10 200000 10\n"));
	CHECK_ERRNO(put(path, "0 100000 10\n"), EPERM);
	snprintf(path, sizeof path, "/proc/%d/gid_map", p);
	CHECK_ERRNO(put(path, "0 100 10\n5 200 10\n"), EINVAL); /* overlap */
	CHECK(!put(path, "0 100000 10\n"));
	write(down[1], "x", 1);
	CHECK(waitpid(p, &st, 0) == p);
	CHECK_EQ(st, 0);
}

TEST(no_power_outside)
{
	int fd;
	CHECK(!mkdir("userns.d", 0700));
	fd = open("userns.d/f", O_CREAT | O_WRONLY, 0600);
	CHECK(fd >= 0);
	chmod("userns.d", 0755);
	become(4321);
	CHECK(!unshare(CLONE_NEWUSER));
	CHECK_ERRNO(open("userns.d/f", O_RDONLY), EACCES);
	CHECK_ERRNO(chown("userns.d/f", 0, 0), EINVAL); /* no such id here */
	CHECK_ERRNO(mknod("/tmp/userns.dev", S_IFCHR | 0600, 0x103), EPERM);
	CHECK_ERRNO(kill(getppid(), 0), EPERM);
	CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, -5), EACCES);
}

TEST(nesting)
{
	for (int i = 0; i < 3; i++) {
		CHECK(!unshare(CLONE_NEWUSER));
		CHECK(!put("/proc/self/uid_map", "0 0 1"));
		CHECK(!put("/proc/self/setgroups", "deny"));
		CHECK(!put("/proc/self/gid_map", "0 0 1"));
		CHECK_EQ(getuid(), 0);
	}
	CHECK_ERRNO(unshare(CLONE_NEWUSER | CLONE_VM | 0x1), EINVAL);
}

/* Only setfsuid(2) takes and gives the capabilities of the file system's user. */
TEST(setfsuid_and_capabilities)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];
	if (geteuid())
		SKIP("not root");
#define HAS(c) (!syscall(SYS_capget, &h, d) && (d[0].effective >> (c) & 1))
	CHECK(HAS(CAP_CHOWN));
	setfsuid(1000);
	CHECK(!HAS(CAP_CHOWN) && HAS(CAP_SETUID));
	CHECK(!setreuid(-1, -1)); /* the file system's user is root again */
	CHECK(!HAS(CAP_CHOWN));
	setfsuid(1000);
	setfsuid(0);
	CHECK(HAS(CAP_CHOWN));
	/* A probe for the version needs no data. */
	h.version = 0;
	CHECK(!syscall(SYS_capget, &h, NULL) && h.version == _LINUX_CAPABILITY_VERSION_3);
	CHECK(!syscall(SYS_capget, &h, NULL));
	CHECK_ERRNO(syscall(SYS_capget, NULL, NULL), EFAULT);
}
