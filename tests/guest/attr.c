/* SPDX-License-Identifier: Apache-2.0 */
/* Inode flags (ioctl_iflags(2)). */
#include "harness.h"
#include <sys/ioctl.h>
#include <sys/xattr.h>

#define GETFLAGS _IOR('f', 1, long)
#define SETFLAGS _IOW('f', 2, long)
#define IMMUTABLE 0x10
#define APPEND 0x20

static int set(int fd, int on)
{
	int v;
	if (ioctl(fd, GETFLAGS, &v))
		return -1;
	v = (v & ~(IMMUTABLE | APPEND)) | on;
	return ioctl(fd, SETFLAGS, &v);
}
static int start(const char *name)
{
	int fd = open(name, O_CREAT | O_RDWR, 0644);
	if (set(fd, IMMUTABLE) || set(fd, 0))
		return -1;
	return fd;
}

TEST(immutable)
{
	int fd = start("i");
	if (fd < 0)
		SKIP("no inode flags here");
	int v = 0;
	struct statx sx;
	CHECK(!set(fd, IMMUTABLE) && !ioctl(fd, GETFLAGS, &v) && (v & IMMUTABLE));
	CHECK(!statx(AT_FDCWD, "i", 0, STATX_BASIC_STATS, &sx) && (sx.stx_attributes & STATX_ATTR_IMMUTABLE));
	CHECK_ERRNO(open("i", O_WRONLY), EPERM);
	CHECK_ERRNO(truncate("i", 0), EPERM);
	CHECK_ERRNO(unlink("i"), EPERM);
	CHECK_ERRNO(rename("i", "j"), EPERM);
	CHECK_ERRNO(link("i", "j"), EPERM);
	CHECK_ERRNO(chmod("i", 0600), EPERM);
	CHECK_ERRNO(utimensat(AT_FDCWD, "i", NULL, 0), EPERM);
	CHECK_ERRNO(setxattr("i", "user.a", "x", 1, 0), EPERM);
	CHECK(open("i", O_RDONLY) >= 0);
	CHECK(!set(fd, 0) && !chmod("i", 0600));
	/* only CAP_LINUX_IMMUTABLE, or root, may */
	pid_t pid = fork();
	if (!pid) {
		if (fchown(fd, 1000, 1000) || setresuid(1000, 1000, 1000))
			_exit(1);
		int none = v & ~IMMUTABLE, imm = v | IMMUTABLE;
		_exit(!(ioctl(fd, SETFLAGS, &imm) && errno == EPERM && !ioctl(fd, SETFLAGS, &none)));
	}
	int st;
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	mkdir("d", 0755);
	int d = open("d", O_RDONLY);
	CHECK(!close(open("d/f", O_CREAT | O_WRONLY, 0644)) && !set(d, IMMUTABLE));
	CHECK_ERRNO(open("d/g", O_CREAT | O_WRONLY, 0644), EPERM);
	CHECK_ERRNO(unlink("d/f"), EPERM);
	CHECK(open("d/f", O_WRONLY) >= 0);
	CHECK(!set(d, 0) && !unlink("d/f"));
	CHECK_ERRNO(ioctl(fd, SETFLAGS, NULL), EFAULT);
}
TEST(append_only)
{
	int fd = start("a");
	if (fd < 0)
		SKIP("no inode flags here");
	CHECK(!set(fd, APPEND));
	CHECK_ERRNO(open("a", O_WRONLY), EPERM);
	CHECK_ERRNO(open("a", O_WRONLY | O_APPEND | O_TRUNC), EPERM);
	int w = open("a", O_WRONLY | O_APPEND);
	CHECK(w >= 0 && write(w, "x", 1) == 1);
	CHECK_ERRNO(ftruncate(w, 0), EPERM);
	CHECK_ERRNO(fcntl(w, F_SETFL, 0), EPERM);
	CHECK_ERRNO(unlink("a"), EPERM);
	CHECK_ERRNO(chmod("a", 0600), EPERM);
	CHECK(!utimensat(AT_FDCWD, "a", NULL, 0));
	CHECK(!set(fd, 0) && !unlink("a"));
}
