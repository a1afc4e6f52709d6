/* SPDX-License-Identifier: Apache-2.0 */
/* test_vfs.c: path walk, directory changes, descriptors, locks and mounts on tmpfs, on real fibers. User memory is this program's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake_user.h"
#include "fs/tmpfs/tmpfs.h"
#include "vfs/locks.h"
#include "vfs/internal.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

/* ---- a world: a tmpfs as root ---- */

static struct mount_namespace *ns;
static struct fs_context *fs;
static struct cred *root_cred, *user_cred;
static struct fd_table *fdt;

static void set_context(void)
{
	struct fiber_context *c = fiber_context();
	c->cred = root_cred;
	c->fs = fs;
	c->fdt = fdt;
}
static void become(struct cred *c) { fiber_context()->cred = c; }

static void world(void *arg)
{
	struct super_block *sb;
	struct path root;

	(void)arg;
	struct user_namespace *uns = user_ns_create_root();
	root_cred = cred_create_root(uns);
	user_ns_put(uns);
	user_cred = cred_dup(root_cred);
	user_cred->uid = user_cred->euid = user_cred->suid = user_cred->fsuid = 1000;
	user_cred->gid = user_cred->egid = user_cred->sgid = user_cred->fsgid = 1000;
	user_cred->permitted = user_cred->effective = 0;
	fiber_context()->cred = root_cred;
	assert_int_equal(tmpfs_create(NULL, "mode=755", &sb), 0);
	ns = mount_ns_create(sb, 0);
	super_put(sb);
	mount_ns_root(ns, &root);
	fs = fs_context_create(&root);
	path_put(&root);
	fdt = fd_table_create();
	tmpfs_register();
	set_context();
	body();
	fd_table_put(fdt);
	fs_context_put(fs);
	mount_ns_put(ns);
	cred_put(root_cred);
	cred_put(user_cred);
	sched_stop(S, 0);
}

static int opn(const char *name, unsigned flags, uint32_t mode)
{
	struct open_how_k how = { .flags = flags, .mode = mode };
	struct file *f;
	int ret = vfs_open(AT_FDCWD, name, &how, &f);
	if (ret)
		return ret;
	ret = fd_install(fdt, f, false);
	file_put(f);
	return ret;
}
static int touch(const char *name)
{
	int fd = opn(name, O_CREAT | O_WRONLY, 0644);
	return fd < 0 ? fd : fd_close(fdt, fd);
}
static ssize_t wr(int fd, const char *s)
{
	struct file *f = fd_get(fdt, fd);
	struct iov_iter it;
	iov_iter_kernel(&it, (void *)s, strlen(s));
	ssize_t n = f ? vfs_write(f, &it, NULL) : -EBADF;
	file_put(f);
	return n;
}
static ssize_t rd(int fd, char *buf, size_t n)
{
	struct file *f = fd_get(fdt, fd);
	struct iov_iter it;
	iov_iter_kernel(&it, buf, n);
	n = f ? vfs_read(f, &it, NULL) : -EBADF;
	file_put(f);
	return n;
}
static int st(const char *name, struct kstat *k)
{
	struct path p;
	int ret = path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &p);
	if (ret)
		return ret;
	ret = vfs_stat(&p, k);
	path_put(&p);
	return ret;
}
static int look(const char *name, unsigned flags)
{
	struct path p;
	int ret = path_lookup(AT_FDCWD, name, flags, &p);
	if (!ret)
		path_put(&p);
	return ret;
}
static char *path_of(const char *name, char *buf)
{
	struct path p;
	assert_int_equal(path_lookup(AT_FDCWD, name, LOOKUP_FOLLOW, &p), 0);
	assert_true(d_path(&p, NULL, buf, 4096) > 0);
	path_put(&p);
	return buf;
}

/* ---- walking ---- */

static void walk_body(void)
{
	char buf[4096], name[300];
	struct kstat k;

	assert_int_equal(vfs_mkdir(AT_FDCWD, "/a", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/a/b", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/a/b/", 0755), -EEXIST);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/a/c/", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/", 0755), -EEXIST);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/a/.", 0755), -EEXIST);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/x/y", 0755), -ENOENT);
	assert_int_equal(touch("/a/b/f"), 0);
	assert_int_equal(look("/a/b/f", 0), 0);
	assert_int_equal(look("/a/b/f/", 0), -ENOTDIR);
	assert_int_equal(look("/a/b/f/..", 0), -ENOTDIR);
	assert_int_equal(look("/a/b/nope", 0), -ENOENT);
	assert_int_equal(look("/a/b/nope", 0), -ENOENT); /* cached this time */
	assert_int_equal(look("", 0), -ENOENT);
	assert_int_equal(look("//a/./b/../b///f", 0), 0);
	assert_int_equal(look("/../../a", 0), 0);
	memset(name, 'n', sizeof(name));
	name[0] = '/';
	name[256] = 0;
	assert_int_equal(look(name, 0), -ENOENT);
	name[256] = 'n';
	name[257] = 0;
	assert_int_equal(look(name, 0), -ENAMETOOLONG);
	assert_int_equal(touch(name), -ENAMETOOLONG);
	/* links */
	assert_int_equal(vfs_symlink("b", AT_FDCWD, "/a/l"), 0);
	assert_int_equal(vfs_symlink("/a/l/f", AT_FDCWD, "/lf"), 0);
	assert_int_equal(vfs_symlink("loop", AT_FDCWD, "/loop"), 0);
	assert_int_equal(look("/a/l/f", 0), 0);
	assert_int_equal(look("/lf", LOOKUP_FOLLOW), 0);
	assert_string_equal(path_of("/lf", buf), "/a/b/f");
	assert_string_equal(path_of("/a/l/../c", buf), "/a/c");
	assert_int_equal(look("/loop", LOOKUP_FOLLOW), -ELOOP);
	assert_int_equal(look("/loop", 0), 0);
	assert_int_equal(look("/loop/", 0), -ELOOP);
	assert_int_equal(look("/a/l", LOOKUP_NO_SYMLINKS), 0);
	assert_int_equal(look("/a/l/f", LOOKUP_NO_SYMLINKS), -ELOOP);
	assert_int_equal(look("a/l/f", LOOKUP_BENEATH | LOOKUP_FOLLOW), 0);
	assert_int_equal(look("lf", LOOKUP_BENEATH | LOOKUP_FOLLOW), -EXDEV);
	assert_int_equal(look("..", LOOKUP_BENEATH), -EXDEV);
	assert_int_equal(look("lf", LOOKUP_IN_ROOT | LOOKUP_FOLLOW), 0);
	/* a chain of forty is still fine, forty-one is not */
	assert_int_equal(touch("/c0"), 0);
	for (int i = 1; i <= 41; i++) {
		char from[16], to[16];
		snprintf(to, sizeof(to), "c%d", i - 1);
		snprintf(from, sizeof(from), "/c%d", i);
		assert_int_equal(vfs_symlink(to, AT_FDCWD, from), 0);
	}
	assert_int_equal(look("/c40", LOOKUP_FOLLOW), 0);
	assert_int_equal(look("/c41", LOOKUP_FOLLOW), -ELOOP);
	/* open */
	assert_int_equal(opn("/a", O_RDWR, 0), -EISDIR);
	assert_int_equal(opn("/a", O_CREAT, 0644), -EISDIR);
	assert_int_equal(opn("/a/b/f", O_DIRECTORY, 0), -ENOTDIR);
	assert_int_equal(opn("/a/b/f", O_CREAT | O_EXCL, 0644), -EEXIST);
	assert_int_equal(opn("/a/new/", O_CREAT, 0644), -EISDIR);
	assert_int_equal(opn("/loop", O_CREAT, 0644), -ELOOP);
	assert_int_equal(opn("/lf", O_NOFOLLOW, 0), -ELOOP);
	assert_int_equal(opn("/lf", O_CREAT | O_EXCL, 0644), -EEXIST);
	assert_int_equal(vfs_symlink("target", AT_FDCWD, "/dangling"), 0);
	assert_int_equal(opn("/dangling", O_RDONLY, 0), -ENOENT);
	assert_int_equal(opn("/dangling", O_CREAT | O_WRONLY, 0644), 0);
	assert_int_equal(st("/target", &k), 0);
	assert_int_equal(k.mode, S_IFREG | 0644);
	int fd = opn("/lf", O_PATH | O_NOFOLLOW, 0);
	assert_int_equal(fd, 1);
	assert_null(fd_get(fdt, fd));
	struct file *f = fd_get_raw(fdt, fd);
	assert_true(S_ISLNK(f->inode->mode));
	file_put(f);
	/* cwd */
	struct path p;
	assert_int_equal(path_lookup(AT_FDCWD, "/a/b", 0, &p), 0);
	fs_context_set_cwd(fs, &p);
	path_put(&p);
	assert_int_equal(vfs_getcwd(buf, sizeof(buf)), 5);
	assert_string_equal(buf, "/a/b");
	assert_int_equal(look("f", 0), 0);
	assert_int_equal(look("../c", 0), 0);
	assert_int_equal(vfs_unlink(AT_FDCWD, "f"), 0);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/a/b"), 0);
	assert_int_equal(vfs_getcwd(buf, sizeof(buf)), -ENOENT);
	assert_int_equal(touch("g"), -ENOENT);
	assert_int_equal(look("..", 0), 0);
	assert_string_equal(path_of(".", buf), "/a/b (deleted)");
}
static void test_walk(void **s) { (void)s; in_world(walk_body); }

/* ---- names ---- */

static void names_body(void)
{
	struct kstat k, k2;
	char buf[4096];

	assert_int_equal(vfs_mkdir(AT_FDCWD, "/d", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/d/e", 0755), 0);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/x", 0755), 0);
	assert_int_equal(touch("/d/f"), 0);
	assert_int_equal(st("/d", &k), 0);
	assert_int_equal(k.nlink, 3);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/d"), -ENOTEMPTY);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/d/f"), -ENOTDIR);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/d/."), -EINVAL);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/d/.."), -ENOTEMPTY);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/"), -EBUSY);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/d"), -EISDIR);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/d/f/"), -ENOTDIR);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/nope"), -ENOENT);
	/* links */
	assert_int_equal(vfs_link(AT_FDCWD, "/d/f", AT_FDCWD, "/x/g", 0), 0);
	assert_int_equal(vfs_link(AT_FDCWD, "/d/f", AT_FDCWD, "/x/g", 0), -EEXIST);
	assert_int_equal(vfs_link(AT_FDCWD, "/d", AT_FDCWD, "/dd", 0), -EPERM);
	assert_int_equal(st("/x/g", &k), 0);
	assert_int_equal(st("/d/f", &k2), 0);
	assert_int_equal(k.ino, k2.ino);
	assert_int_equal(k.nlink, 2);
	/* rename */
	assert_int_equal(vfs_rename(AT_FDCWD, "/d/f", AT_FDCWD, "/x/g", 0), 0); /* one file: nothing happens */
	assert_int_equal(look("/d/f", 0), 0);
	assert_int_equal(vfs_rename(AT_FDCWD, "/d", AT_FDCWD, "/d/e/z", 0), -EINVAL);
	assert_int_equal(vfs_rename(AT_FDCWD, "/d/e", AT_FDCWD, "/d", 0), -ENOTEMPTY);
	assert_int_equal(vfs_rename(AT_FDCWD, "/d/f", AT_FDCWD, "/d/e", 0), -EISDIR);
	assert_int_equal(vfs_rename(AT_FDCWD, "/d/e", AT_FDCWD, "/d/f", 0), -ENOTDIR);
	assert_int_equal(vfs_rename(AT_FDCWD, "/d/f", AT_FDCWD, "/d/f2/", 0), -ENOTDIR);
	assert_int_equal(vfs_rename(AT_FDCWD, "/nope", AT_FDCWD, "/z", 0), -ENOENT);
	assert_int_equal(vfs_rename(AT_FDCWD, "/d/.", AT_FDCWD, "/z", 0), -EBUSY);
	assert_int_equal(vfs_rename(AT_FDCWD, "/d/f", AT_FDCWD, "/x", 1), -EEXIST);
	int fd = opn("/d/e", O_RDONLY | O_DIRECTORY, 0);
	assert_int_equal(vfs_rename(AT_FDCWD, "/d/e", AT_FDCWD, "/x/moved", 0), 0);
	struct file *f = fd_get(fdt, fd);
	assert_true(file_d_path(f, buf, sizeof(buf)) > 0);
	assert_string_equal(buf, "/x/moved");
	file_put(f);
	assert_int_equal(st("/d", &k), 0);
	assert_int_equal(k.nlink, 2);
	assert_int_equal(st("/x", &k), 0);
	assert_int_equal(k.nlink, 3);
	assert_int_equal(look("/d/e", 0), -ENOENT);
	assert_int_equal(vfs_rename(AT_FDCWD, "/x", AT_FDCWD, "/d/f", 2), 0); /* exchange a directory and a file */
	assert_string_equal(path_of("/d/f/moved", buf), "/d/f/moved");
	assert_int_equal(st("/x", &k), 0);
	assert_true(S_ISREG(k.mode));
	assert_int_equal(st("/d", &k), 0);
	assert_int_equal(k.nlink, 3);
	vfs_mkdir(AT_FDCWD, "/over", 0755);
	vfs_mkdir(AT_FDCWD, "/old", 0755);
	touch("/old/kept");
	assert_int_equal(vfs_rename(AT_FDCWD, "/old", AT_FDCWD, "/over", 0), 0);
	assert_int_equal(look("/over/kept", 0), 0);
	assert_int_equal(look("/old", 0), -ENOENT);
	vfs_mkdir(AT_FDCWD, "/old", 0755);
	assert_int_equal(vfs_rename(AT_FDCWD, "/old", AT_FDCWD, "/over", 0), -ENOTEMPTY);
	/* unlinked but open */
	fd = opn("/gone", O_CREAT | O_RDWR, 0600);
	assert_int_equal(wr(fd, "still here"), 10);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/gone"), 0);
	f = fd_get(fdt, fd);
	assert_true(file_d_path(f, buf, sizeof(buf)) > 0);
	assert_string_equal(buf, "/gone (deleted)");
	assert_int_equal(vfs_fstat(f, &k), 0);
	assert_int_equal(k.nlink, 0);
	assert_int_equal(vfs_llseek(f, 6, SEEK_SET), 6);
	file_put(f);
	assert_int_equal(rd(fd, buf, 100), 4);
	assert_int_equal(look("/gone", 0), -ENOENT);
	/* O_TMPFILE gets a name */
	fd = opn("/d", O_TMPFILE | O_RDWR, 0600);
	assert_true(fd >= 0);
	char self[32];
	snprintf(self, sizeof(self), "/named");
	assert_int_equal(vfs_link(fd, "", AT_FDCWD, self, AT_EMPTY_PATH), 0);
	assert_int_equal(st("/named", &k), 0);
	assert_int_equal(k.nlink, 1);
}
static void test_names(void **s) { (void)s; in_world(names_body); }

/* ---- permission ---- */

static void perm_body(void)
{
	struct kstat k;
	struct path p;

	assert_int_equal(vfs_mkdir(AT_FDCWD, "/t", 0777), 0);
	assert_int_equal(path_lookup(AT_FDCWD, "/t", 0, &p), 0);
	assert_int_equal(vfs_chmod(&p, 01777), 0);
	path_put(&p);
	assert_int_equal(vfs_mkdir(AT_FDCWD, "/private", 0700), 0);
	assert_int_equal(touch("/private/f"), 0);
	assert_int_equal(touch("/t/roots"), 0);
	become(user_cred);
	assert_int_equal(look("/private/f", 0), -EACCES);
	assert_int_equal(touch("/new"), -EACCES);
	assert_int_equal(touch("/t/mine"), 0);
	assert_int_equal(vfs_unlink(AT_FDCWD, "/t/roots"), -EPERM);
	assert_int_equal(opn("/t/roots", O_WRONLY, 0), -EACCES);
	assert_int_equal(vfs_rename(AT_FDCWD, "/t/mine", AT_FDCWD, "/t/roots", 0), -EPERM);
	assert_int_equal(path_lookup(AT_FDCWD, "/t/mine", 0, &p), 0);
	assert_int_equal(vfs_chown(&p, 0, KID_INVALID), -EPERM);
	assert_int_equal(vfs_chown(&p, KID_INVALID, 0), -EPERM);
	assert_int_equal(vfs_chown(&p, 1000, 1000), 0);
	assert_int_equal(vfs_chmod(&p, 06755), 0);
	assert_int_equal(st("/t/mine", &k), 0);
	assert_int_equal(k.mode & 07777, 06755);
	int fd = opn("/t/mine", O_WRONLY, 0);
	assert_int_equal(wr(fd, "x"), 1); /* a write takes the set-ID bits */
	assert_int_equal(st("/t/mine", &k), 0);
	assert_int_equal(k.mode & 07777, 0755);
	assert_int_equal(inode_deny_write(p.dentry->inode), -ETXTBSY);
	fd_close(fdt, fd);
	assert_int_equal(inode_deny_write(p.dentry->inode), 0);
	assert_int_equal(opn("/t/mine", O_WRONLY, 0), -ETXTBSY);
	inode_allow_write(p.dentry->inode);
	path_put(&p);
	become(root_cred);
	assert_int_equal(look("/private/f", 0), 0);
	/* xattrs */
	assert_int_equal(path_lookup(AT_FDCWD, "/t/mine", 0, &p), 0);
	char v[16];
	assert_int_equal(vfs_getxattr(&p, "user.k", v, sizeof(v)), -ENODATA);
	assert_int_equal(vfs_setxattr(&p, "user.k", "abc", 3, 0), 0);
	assert_int_equal(vfs_setxattr(&p, "user.k", "abc", 3, XATTR_CREATE), -EEXIST);
	assert_int_equal(vfs_setxattr(&p, "odd.k", "abc", 3, 0), -EOPNOTSUPP);
	assert_int_equal(vfs_getxattr(&p, "user.k", NULL, 0), 3);
	assert_int_equal(vfs_getxattr(&p, "user.k", v, 2), -ERANGE);
	assert_int_equal(vfs_listxattr(&p, v, sizeof(v)), 7);
	assert_int_equal(vfs_removexattr(&p, "user.k"), 0);
	path_put(&p);
}
static void test_perm(void **s) { (void)s; in_world(perm_body); }

/* ---- descriptors, positions ---- */

static void files_body(void)
{
	char buf[64];
	int fd = opn("/f", O_CREAT | O_RDWR | O_APPEND, 0644);

	assert_int_equal(fd, 0);
	assert_int_equal(wr(fd, "hello "), 6);
	struct file *f = fd_get(fdt, fd);
	assert_int_equal(vfs_llseek(f, 0, SEEK_SET), 0);
	assert_int_equal(wr(fd, "world"), 5); /* O_APPEND */
	assert_int_equal(vfs_llseek(f, 0, SEEK_CUR), 11);
	int64_t pos = 6;
	struct iov_iter it;
	iov_iter_kernel(&it, buf, 20);
	assert_int_equal(vfs_read(f, &it, &pos), 5);
	assert_memory_equal(buf, "world", 5);
	assert_int_equal(vfs_llseek(f, -1, SEEK_SET), -EINVAL);
	assert_int_equal(vfs_llseek(f, 100, SEEK_DATA), -ENXIO);
	assert_int_equal(vfs_llseek(f, 0, SEEK_HOLE), 11);
	assert_int_equal(fd_install_from(fdt, f, 100, 1024, true), 100);
	assert_int_equal(fd_install_from(fdt, f, 100, 101, true), -EMFILE);
	assert_int_equal(fd_replace(fdt, 3, f, false), 3);
	assert_int_equal(fd_replace(fdt, 2000, f, false), -EBADF);
	assert_int_equal(fd_get_cloexec(fdt, 100), 1);
	struct fd_table *copy = fd_table_dup(fdt, UINT32_MAX);
	assert_int_equal(fd_table_count(copy), 3);
	fd_close_on_exec(copy);
	assert_int_equal(fd_table_count(copy), 2);
	assert_int_equal(fd_next(copy, 1), 3);
	fd_close_range(copy, 0, UINT32_MAX, false);
	assert_int_equal(fd_table_count(copy), 0);
	fd_table_put(copy);
	assert_int_equal(fd_close(fdt, 3), 0);
	assert_int_equal(fd_close(fdt, 3), -EBADF);
	assert_int_equal(fd_install(fdt, f, false), 1);
	file_put(f);
	/* O_TRUNC, and a directory's entries */
	fd = opn("/f", O_RDONLY | O_TRUNC, 0);
	assert_int_equal(rd(fd, buf, 10), 0);
}
static void test_files(void **s) { (void)s; in_world(files_body); }

static unsigned seen;
static bool count_names(struct dir_context *c, const char *name, size_t len, uint64_t ino, unsigned type, int64_t off)
{
	(void)c, (void)name, (void)len, (void)ino, (void)type, (void)off;
	seen++;
	return seen % 10 != 0; /* the buffer is full now and then */
}
static void readdir_body(void)
{
	char name[32];
	struct dir_context c = { .emit = count_names };

	vfs_mkdir(AT_FDCWD, "/dir", 0755);
	for (int i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "/dir/%d", i);
		assert_int_equal(touch(name), 0);
	}
	int fd = opn("/dir", O_RDONLY, 0);
	struct file *f = fd_get(fdt, fd);
	unsigned before;
	do {
		before = seen;
		assert_int_equal(vfs_readdir(f, &c), 0);
		if (seen != before && seen % 10 == 0)
			seen--; /* refused: it comes again */
		if (seen == 500)
			vfs_unlink(AT_FDCWD, "/dir/999"); /* not yet seen */
		if (seen % 10 == 9)
			seen += 1000;
	} while (before != seen && seen < 20000);
	file_put(f);
	for (int i = 0; i < 999; i++) {
		snprintf(name, sizeof(name), "/dir/%d", i);
		assert_int_equal(vfs_unlink(AT_FDCWD, name), 0);
	}
	vfs_unlink(AT_FDCWD, "/dir/999");
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/dir"), 0);
}
static void test_readdir(void **s) { (void)s; in_world(readdir_body); }

/* ---- mounts ---- */

static void mounts_body(void)
{
	struct path p;
	struct kstat a, b;
	struct statfs sf;
	char buf[4096];

	vfs_mkdir(AT_FDCWD, "/m", 0755);
	vfs_mkdir(AT_FDCWD, "/b", 0755);
	touch("/m/below");
	assert_int_equal(vfs_mount("none", "/m", "nofs", 0, NULL), -ENODEV);
	assert_int_equal(vfs_mount("none", "/m", "tmpfs", MS_NOSUID, "size=64k,nr_inodes=8"), 0);
	assert_int_equal(look("/m/below", 0), -ENOENT);
	assert_int_equal(st("/", &a), 0);
	assert_int_equal(st("/m", &b), 0);
	assert_true(a.dev != b.dev);
	assert_int_equal(look("/m", LOOKUP_NO_XDEV), -EXDEV);
	vfs_mkdir(AT_FDCWD, "/m/sub", 0755);
	assert_string_equal(path_of("/m/sub", buf), "/m/sub");
	assert_string_equal(path_of("/m/sub/../../b", buf), "/b");
	assert_int_equal(vfs_rename(AT_FDCWD, "/m/sub", AT_FDCWD, "/sub", 0), -EXDEV);
	assert_int_equal(vfs_rmdir(AT_FDCWD, "/m"), -EBUSY);
	/* limits */
	assert_int_equal(path_lookup(AT_FDCWD, "/m", 0, &p), 0);
	assert_int_equal(vfs_statfs(&p, &sf), 0);
	assert_int_equal(sf.f_blocks, 16);
	path_put(&p);
	int fd = opn("/m/big", O_CREAT | O_WRONLY, 0644);
	char *big = calloc(1, 100001);
	memset(big, 'x', 100000);
	assert_int_equal(wr(fd, big), 65536);
	assert_int_equal(wr(fd, big), -ENOSPC);
	free(big);
	/* bind, read-only */
	assert_int_equal(vfs_mount("/m", "/b", NULL, MS_BIND, NULL), 0);
	assert_int_equal(look("/b/big", 0), 0);
	assert_int_equal(vfs_mount(NULL, "/b", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_int_equal(touch("/b/new"), -EROFS);
	assert_int_equal(opn("/b/big", O_WRONLY, 0), -EROFS);
	assert_int_equal(touch("/m/new"), 0);
	struct strbuf sb = { 0 };
	struct path root;
	fs_get_root(&root);
	mount_ns_show(ns, &root, &sb, 1);
	path_put(&root);
	assert_non_null(strstr(sb.s, " /b ro"));
	strbuf_free(&sb);
	/* a copy of the namespace is its own */
	struct fs_context *fs2 = fs_context_dup(fs);
	struct mount_namespace *ns2 = mount_ns_dup(ns, fs2);
	assert_int_equal(path_lookup(AT_FDCWD, "/b", 0, &p), 0);
	assert_int_equal(vfs_umount(&p, 0), 0);
	path_put(&p);
	assert_int_equal(look("/b/big", 0), -ENOENT);
	fiber_context()->fs = fs2;
	assert_int_equal(look("/b/big", 0), 0);
	fiber_context()->fs = fs;
	fs_context_put(fs2);
	mount_ns_put(ns2);
	assert_int_equal(path_lookup(AT_FDCWD, "/m", 0, &p), 0);
	assert_int_equal(vfs_umount(&p, 0), -EBUSY); /* big is open */
	assert_int_equal(vfs_umount(&p, MNT_DETACH), 0);
	path_put(&p);
	assert_int_equal(look("/m/below", 0), 0);
	fd_close(fdt, fd);
}
static void test_mounts(void **s) { (void)s; in_world(mounts_body); }

/* ---- locks ---- */

static struct file *lf;
static bool got;
static void blocked(void *arg)
{
	set_context();
	assert_int_equal(vfs_setlk(lf, LOCK_KIND_POSIX, arg, 2, F_WRLCK, 0, 9, true), 0);
	got = true;
}
static void locks_body(void)
{
	struct lock_info li;
	int owner1, owner2;
	int fd = opn("/l", O_CREAT | O_RDWR, 0644);

	lf = fd_get(fdt, fd);
	assert_int_equal(vfs_setlk(lf, LOCK_KIND_POSIX, &owner1, 1, F_WRLCK, 0, 99, false), 0);
	assert_int_equal(vfs_setlk(lf, LOCK_KIND_POSIX, &owner2, 2, F_RDLCK, 50, 60, false), -EAGAIN);
	assert_true(vfs_getlk(lf, LOCK_KIND_POSIX, &owner2, F_RDLCK, 50, 60, &li));
	assert_int_equal(li.pid, 1);
	assert_int_equal(vfs_setlk(lf, LOCK_KIND_POSIX, &owner1, 1, F_UNLCK, 40, 59, false), 0);
	assert_int_equal(vfs_setlk(lf, LOCK_KIND_POSIX, &owner2, 2, F_WRLCK, 40, 59, false), 0);
	assert_true(vfs_getlk(lf, LOCK_KIND_POSIX, &owner1, F_RDLCK, 0, 99, &li));
	assert_int_equal(li.start, 40);
	assert_int_equal(li.end, 59);
	assert_int_equal(vfs_flock(lf, LOCK_EX, 1), 0); /* another world */
	fiber_wake(fiber_create(S, 0, "locker", blocked, &owner2));
	fiber_yield();
	fiber_yield();
	assert_false(got);
	/* owner2 waits for owner1: owner1 may not wait for owner2 */
	assert_int_equal(vfs_setlk(lf, LOCK_KIND_POSIX, &owner1, 1, F_WRLCK, 45, 46, true), -EDEADLK);
	locks_remove_posix(lf->inode, &owner1);
	for (int i = 0; i < 10 && !got; i++)
		fiber_yield();
	assert_true(got);
	file_put(lf);
}
static void test_locks(void **s) { (void)s; in_world(locks_body); }

/* ---- speed: not a check, only shown ---- */

static void speed_body(void)
{
	struct kstat k;
	char buf[1];
	enum { N = 200000 };

	vfs_mkdir(AT_FDCWD, "/usr", 0755);
	vfs_mkdir(AT_FDCWD, "/usr/lib", 0755);
	vfs_mkdir(AT_FDCWD, "/usr/lib/deep", 0755);
	int fd = opn("/usr/lib/deep/file", O_CREAT | O_RDWR, 0644);
	wr(fd, "0123456789");
	ktime_t t0 = ktime_mono();
	for (int i = 0; i < N; i++)
		st("/usr/lib/deep/file", &k);
	ktime_t t1 = ktime_mono();
	for (int i = 0; i < N; i++)
		fd_close(fdt, opn("/usr/lib/deep/file", O_RDONLY, 0));
	ktime_t t2 = ktime_mono();
	for (int i = 0; i < N; i++) {
		bool c;
		struct file *f = fd_get_light(fdt, fd, &c);
		struct iov_iter it;
		int64_t pos = 3;
		iov_iter_kernel(&it, buf, 1);
		vfs_read(f, &it, &pos);
		fd_put_light(f, c);
	}
	ktime_t t3 = ktime_mono();
	print_message("# stat %d ns, open and close %d ns, pread of one byte %d ns\n", (int)((t1 - t0) / N), (int)((t2 - t1) / N), (int)((t3 - t2) / N));
}
static void test_speed(void **s) { (void)s; in_world(speed_body); }

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk), cmocka_unit_test(test_names), cmocka_unit_test(test_perm), cmocka_unit_test(test_files),
		cmocka_unit_test(test_readdir), cmocka_unit_test(test_mounts), cmocka_unit_test(test_locks), cmocka_unit_test(test_speed),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
