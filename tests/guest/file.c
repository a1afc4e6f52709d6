/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"
#include <dirent.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/statfs.h>
#include <sys/xattr.h>

static int put(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	return fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd);
}
TEST(vectors_of_a_directory)
{
	char b[8];
	struct iovec v = { b, sizeof(b) }, none = { b, 0 };
	int f = open("/tmp", O_RDONLY | O_DIRECTORY);

	CHECK(f >= 0);
	CHECK_ERRNO(readv(f, &v, 1), EISDIR);
	CHECK_ERRNO(preadv(f, &v, 1, 0), EISDIR);
	CHECK_EQ(readv(f, &none, 1), 0);
	close(f);
}

TEST(open_flags)
{
	CHECK_ERRNO(open("no", O_RDONLY), ENOENT);
	int fd = open("f", O_CREAT | O_EXCL | O_RDWR, 0640);
	CHECK(fd >= 0);
	CHECK_ERRNO(open("f", O_CREAT | O_EXCL, 0600), EEXIST);
	CHECK_ERRNO(open("f", O_DIRECTORY), ENOTDIR);
	CHECK_ERRNO(open("f/x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open(".", O_WRONLY), EISDIR);
	CHECK_ERRNO(open("", O_RDONLY), ENOENT);
	struct stat st;
	CHECK(!fstat(fd, &st) && (st.st_mode & 0777) == (0640 & ~022) && st.st_nlink == 1 && st.st_size == 0);
	CHECK(write(fd, "hello", 5) == 5 && lseek(fd, 0, SEEK_CUR) == 5);
	int ap = open("f", O_WRONLY | O_APPEND);
	CHECK(write(ap, "!", 1) == 1 && !fstat(fd, &st) && st.st_size == 6);
	CHECK_ERRNO(read(ap, &st, 1), EBADF);
	CHECK(!symlink("f", "l"));
	CHECK_ERRNO(open("l", O_NOFOLLOW), ELOOP);
	CHECK(open("l", O_PATH | O_NOFOLLOW) >= 0);
	CHECK(!symlink("loop", "loop"));
	CHECK_ERRNO(open("loop", O_RDONLY), ELOOP);
	char longname[300];
	memset(longname, 'x', 299);
	longname[299] = 0;
	CHECK_ERRNO(open(longname, O_CREAT, 0600), ENAMETOOLONG);
	CHECK(open("f", O_TRUNC | O_WRONLY) >= 0 && !fstat(fd, &st) && st.st_size == 0);
}

TEST(seek_and_holes)
{
	int fd = open("h", O_CREAT | O_RDWR, 0600);
	char b[10];
	CHECK(pwrite(fd, "end", 3, 100000) == 3);
	CHECK(pread(fd, b, 10, 50000) == 10 && b[0] == 0);
	CHECK_EQ(pread(fd, b, 10, 100000), 3);
	CHECK_EQ(pread(fd, b, 10, 200000), 0);
	CHECK_EQ(lseek(fd, -1, SEEK_END), 100002);
	CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERRNO(lseek(fd, 0, 99), EINVAL);
	CHECK_ERRNO(pread(fd, b, 1, -1), EINVAL);
	CHECK(!ftruncate(fd, 10) && lseek(fd, 0, SEEK_END) == 10);
	CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
	CHECK(!fallocate(fd, 0, 0, 5000) && lseek(fd, 0, SEEK_END) == 5000);
	int p[2];
	CHECK(!pipe(p));
	CHECK_ERRNO(lseek(p[0], 0, SEEK_SET), ESPIPE);
}

TEST(directories)
{
	CHECK(!mkdir("d", 0755));
	CHECK_ERRNO(mkdir("d", 0755), EEXIST);
	CHECK_ERRNO(mkdir("x/y", 0755), ENOENT);
	CHECK(!put("d/a", "1") && !put("d/b", "2") && !mkdir("d/s", 0700));
	CHECK_ERRNO(rmdir("d"), ENOTEMPTY);
	CHECK_ERRNO(unlink("d"), EISDIR);
	CHECK_ERRNO(rmdir("d/a"), ENOTDIR);
	struct stat st;
	CHECK(!stat("d", &st) && S_ISDIR(st.st_mode));
	int n = 0, bits = 0;
	DIR *d = opendir("d");
	for (struct dirent *e; (e = readdir(d)); n++) {
		if (!strcmp(e->d_name, "a") && e->d_type == DT_REG)
			bits |= 1;
		if (!strcmp(e->d_name, "b"))
			bits |= 2;
		if (!strcmp(e->d_name, "s") && e->d_type == DT_DIR)
			bits |= 4;
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			bits |= 8;
	}
	closedir(d);
	CHECK(n == 5 && bits == 15);
	char cwd[4096], was[4096];
	CHECK(getcwd(was, sizeof was) && !chdir("d/s") && getcwd(cwd, sizeof cwd));
	CHECK(!strncmp(cwd, was, strlen(was)) && !strcmp(cwd + strlen(was), "/d/s"));
	CHECK(!chdir("../..") && !unlink("d/a") && !unlink("d/b") && !rmdir("d/s") && !rmdir("d"));
	CHECK_ERRNO(rmdir("."), EINVAL);
}

TEST(rename_)
{
	CHECK(!put("a", "a") && !put("b", "b") && !mkdir("d", 0755) && !mkdir("e", 0755));
	CHECK(!rename("a", "b"));
	CHECK_ERRNO(access("a", F_OK), ENOENT);
	CHECK_ERRNO(rename("b", "d"), EISDIR);
	CHECK_ERRNO(rename("d", "b"), ENOTDIR);
	CHECK_ERRNO(rename("d", "d/sub"), EINVAL);
	CHECK(!rename("b", "d/x") && !rename("d", "f") && !access("f/x", R_OK));
	CHECK_ERRNO(rename("e", "f"), ENOTEMPTY);
	CHECK(!put("p", "p") && !put("q", "q"));
	CHECK_ERRNO(syscall(SYS_renameat2, AT_FDCWD, "p", AT_FDCWD, "q", 1), EEXIST);
	CHECK(!syscall(SYS_renameat2, AT_FDCWD, "p", AT_FDCWD, "q", 2));
	char c;
	CHECK(read(open("p", O_RDONLY), &c, 1) == 1 && c == 'q');
}

TEST(links)
{
	CHECK(!put("a", "x") && !link("a", "b"));
	struct stat s, t;
	CHECK(!stat("a", &s) && !stat("b", &t) && s.st_ino == t.st_ino && s.st_nlink == 2);
	int fd = open("a", O_RDONLY);
	CHECK(!unlink("a") && !unlink("b") && !fstat(fd, &s) && s.st_nlink == 0);
	char c, l[64];
	CHECK(read(fd, &c, 1) == 1 && c == 'x');
	CHECK(!symlink("tar/get", "sl") && readlink("sl", l, 64) == 7 && !memcmp(l, "tar/get", 7));
	CHECK(!lstat("sl", &s) && S_ISLNK(s.st_mode) && s.st_size == 7);
	CHECK_ERRNO(stat("sl", &s), ENOENT);
	CHECK_ERRNO(link("nosuch", "z"), ENOENT);
}

TEST(attributes)
{
	CHECK(!put("a", "x") && !chmod("a", 0604));
	struct stat s;
	CHECK(!stat("a", &s) && (s.st_mode & 07777) == 0604);
	struct timespec t[2] = { { 1000, 5 }, { 2000, 7 } };
	CHECK(!utimensat(AT_FDCWD, "a", t, 0) && !stat("a", &s));
	CHECK(s.st_atim.tv_sec == 1000 && s.st_mtim.tv_sec == 2000 && s.st_mtim.tv_nsec == 7);
	if (!getuid()) {
		CHECK(!chown("a", 12, 34) && !stat("a", &s) && s.st_uid == 12 && s.st_gid == 34);
		CHECK(!access("a", R_OK | W_OK));
		CHECK_ERRNO(access("a", X_OK), EACCES);
	}
	CHECK_ERRNO(chmod("nosuch", 0), ENOENT);
	struct statx sx;
	CHECK(!statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &sx) && sx.stx_size == 1 && (sx.stx_mask & STATX_BASIC_STATS) == STATX_BASIC_STATS);
	umask(077);
	close(open("m", O_CREAT | O_WRONLY, 0666));
	CHECK(!stat("m", &s) && (s.st_mode & 0777) == 0600);
}

TEST(permissions_of_others)
{
	if (getuid())
		SKIP("needs root");
	CHECK(!put("secret", "x") && !chmod("secret", 0600) && !mkdir("closed", 0700) && !put("closed/f", "x") && !chmod(".", 0755));
	int st = CHILD_STATUS({
		CHECK(!setgid(1000) && !setuid(1000));
		CHECK_ERRNO(open("secret", O_RDONLY), EACCES);
		CHECK_ERRNO(open("closed/f", O_RDONLY), EACCES);
		CHECK_ERRNO(open("new", O_CREAT | O_WRONLY, 0600), EACCES);
		CHECK_ERRNO(unlink("secret"), EACCES);
		CHECK_ERRNO(chmod("secret", 0777), EPERM);
		CHECK_ERRNO(setuid(0), EPERM);
	});
	CHECK_EQ(st, 0);
}

TEST(vectors_and_copies)
{
	int fd = open("v", O_CREAT | O_RDWR, 0600), out = open("o", O_CREAT | O_RDWR, 0600);
	struct iovec io[3] = { { "ab", 2 }, { "", 0 }, { "cde", 3 } };
	CHECK_EQ(writev(fd, io, 3), 5);
	CHECK_ERRNO(writev(fd, io, -1), EINVAL);
	off_t off = 1;
	CHECK(sendfile(out, fd, &off, 100) == 4 && off == 5);
	char b[8] = "";
	CHECK(pread(out, b, 8, 0) == 4 && !strcmp(b, "bcde"));
	loff_t in = 0;
	CHECK(copy_file_range(fd, &in, out, NULL, 5, 0) == 5);
}

TEST(descriptors)
{
	int fd = open("f", O_CREAT | O_RDWR, 0600);
	int d = dup(fd);
	CHECK(d > fd && write(fd, "x", 1) == 1 && lseek(d, 0, SEEK_CUR) == 1);
	CHECK(dup2(fd, 100) == 100 && fcntl(100, F_GETFD) == 0);
	CHECK(fcntl(fd, F_DUPFD_CLOEXEC, 200) == 200 && fcntl(200, F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) == (O_RDWR | 0100000) || fcntl(fd, F_GETFL) == O_RDWR);
	CHECK(!fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK) && fcntl(d, F_GETFL) & O_APPEND);
	CHECK_ERRNO(dup2(fd, -1), EBADF);
	CHECK_ERRNO(close(999), EBADF);
	CHECK(!syscall(SYS_close_range, 100, 300, 0) && fcntl(200, F_GETFD) == -1);
}

TEST(locks)
{
	int fd = open("f", O_CREAT | O_RDWR, 0600), other = open("f", O_RDWR);
	CHECK(!flock(fd, LOCK_EX));
	CHECK_ERRNO(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK(!flock(fd, LOCK_UN) && !flock(other, LOCK_SH | LOCK_NB));
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 10 };
	CHECK(!fcntl(fd, F_SETLK, &l));
	int st = CHILD_STATUS({
		struct flock k = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1 };
		CHECK_ERRNO(fcntl(fd, F_SETLK, &k), EAGAIN);
		CHECK(!fcntl(fd, F_GETLK, &k) && k.l_type == F_WRLCK && k.l_pid == getppid() && k.l_start == 10);
		k.l_type = F_WRLCK, k.l_start = 0, k.l_len = 5;
		CHECK(!fcntl(fd, F_SETLK, &k));
	});
	CHECK_EQ(st, 0);
}

TEST(o_tmpfile_and_proc_fd)
{
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);
	CHECK(fd >= 0 && write(fd, "abc", 3) == 3);
	char p[64], l[256];
	snprintf(p, sizeof p, "/proc/self/fd/%d", fd);
	CHECK(readlink(p, l, sizeof l) > 0);
	CHECK(!linkat(AT_FDCWD, p, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
	struct stat s;
	CHECK(!stat("named", &s) && s.st_size == 3);
}

TEST(devices)
{
	char b[16] = "xxxxxxxxxxxxxxx";
	int z = open("/dev/zero", O_RDWR), n = open("/dev/null", O_RDWR), f = open("/dev/full", O_RDWR), u = open("/dev/urandom", O_RDONLY);
	CHECK(read(z, b, 16) == 16 && b[0] == 0 && b[15] == 0);
	CHECK(read(n, b, 16) == 0 && write(n, b, 16) == 16);
	CHECK_ERRNO(write(f, b, 1), ENOSPC);
	CHECK(read(u, b, 16) == 16);
	struct stat s;
	CHECK(!stat("/dev/null", &s) && S_ISCHR(s.st_mode) && s.st_rdev == 0x103);
}

TEST(proc_basics)
{
	char b[4096], l[4096];
	int fd = open("/proc/self/stat", O_RDONLY);
	ssize_t n = read(fd, b, sizeof b - 1);
	CHECK(n > 0);
	b[n] = 0;
	CHECK_EQ(atoi(b), getpid());
	CHECK(readlink("/proc/self/exe", l, sizeof l) > 0 && readlink("/proc/self/cwd", l, sizeof l) > 0);
	CHECK((fd = open("/proc/self/maps", O_RDONLY)) >= 0 && (n = read(fd, b, sizeof b - 1)) > 100);
	b[n] = 0;
	CHECK((fd = open("/proc/self/cmdline", O_RDONLY)) >= 0 && read(fd, b, sizeof b) > 3);
	CHECK(!access("/proc/meminfo", R_OK) && !access("/proc/cpuinfo", R_OK) && !access("/proc/mounts", R_OK) && !access("/proc/sys/kernel/pid_max", R_OK));
	CHECK_ERRNO(open("/proc/999999/stat", O_RDONLY), ENOENT);
}
TEST(direct_and_append)
{
	CHECK_ERRNO(open("/dev/null", O_RDONLY | O_DIRECT), EINVAL);
	CHECK_ERRNO(open("/proc/self/maps", O_RDONLY | O_DIRECT), EINVAL);
	mkdir("dd", 0755);
	CHECK_ERRNO(fcntl(open("/dev/null", O_RDONLY), F_SETFL, O_DIRECT), EINVAL);
	CHECK(!put("ap", "12345"));
	int fd = open("ap", O_RDWR);
	struct iovec v = { "X", 1 };
	struct stat st;
	CHECK(pwritev2(fd, &v, 1, 0, 0x10 /* RWF_APPEND */) == 1 && lseek(fd, 0, SEEK_CUR) == 0);
	CHECK(!fstat(fd, &st) && st.st_size == 6);
	CHECK(pwritev2(fd, &v, 1, -1, 0x10) == 1 && lseek(fd, 0, SEEK_CUR) == 7);
	CHECK_ERRNO(pwritev2(fd, &v, 1, 0, 0x4000), EOPNOTSUPP);
	char b[16];
	CHECK(pread(fd, b, 16, 0) == 7 && !memcmp(b, "12345XX", 7));
}
TEST(mounts_poll)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		SKIP("no mount namespaces");
	struct pollfd p = { .fd = open("/proc/self/mounts", O_RDONLY), .events = POLLPRI };
	CHECK(poll(&p, 1, 0) == 0);
	mkdir("mp", 0755);
	CHECK(!mount("t", "mp", "tmpfs", 0, NULL) && poll(&p, 1, 0) == 1 && (p.revents & POLLPRI) && poll(&p, 1, 0) == 0);
	CHECK(!umount("mp") && poll(&p, 1, 0) == 1);
}
