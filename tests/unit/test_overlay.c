/* SPDX-License-Identifier: Apache-2.0 */
/* test_overlay.c: the overlay over a host tree, and writable host trees, through vfs on one fiber. Prints TAP. */
#include "fs/host/host.h"
#include "fs/overlay/overlay.h"
#include "fs/tmpfs/tmpfs.h"
#include "kernel/kernel.h"
#include "mm/window.h"
#include "vfs/vfs.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <unistd.h>

/* Kernel memory only: there are no guests here. */
void iov_iter_kernel(struct iov_iter *it, void *buf, size_t n)
{
	memset(it, 0, sizeof(*it));
	it->kernel = true;
	it->direct = false;
	it->iov = it->inline_iov;
	it->iov[0] = (struct iovec){ buf, n };
	it->nr = 1;
	it->count = n;
}
void iov_iter_done(struct iov_iter *it) { free(it->heap); }
static size_t step(void *mem, size_t n, struct iov_iter *it, int how)
{
	char *at = (char *)it->iov[0].iov_base + it->iov_off;

	n = MIN(n, it->count);
	if (how == 0)
		memcpy(at, mem, n);
	else if (how == 1)
		memcpy(mem, at, n);
	else
		memset(at, 0, n);
	it->iov_off += n;
	it->count -= n;
	return n;
}
size_t copy_to_iter(const void *src, size_t n, struct iov_iter *it) { return step((void *)src, n, it, 0); }
size_t copy_from_iter(void *dst, size_t n, struct iov_iter *it) { return step(dst, n, it, 1); }
size_t iov_iter_zero(size_t n, struct iov_iter *it) { return step(NULL, n, it, 2); }
int copy_from_user(void *dst, uaddr_t src, size_t n) { return -EFAULT; }
int copy_to_user(uaddr_t dst, const void *src, size_t n) { return -EFAULT; }
ssize_t strncpy_from_user(char *dst, uaddr_t src, size_t size) { return -EFAULT; }
void iov_iter_advance(struct iov_iter *it, size_t n)
{
	it->iov_off += n;
	it->count -= n;
}
void iov_iter_revert(struct iov_iter *it, size_t n, const struct iov_iter *saved) { *it = *saved; }
void mm_settle(struct mm *mm) {}
/* no file windows */
bool mm_window_read(uint64_t file, const void *object, uint64_t off, uaddr_t dst, size_t n) { return false; }
int mm_window_open(uint64_t file, const void *object, struct mappable *m, uint64_t off, unsigned table_users) { return -EAGAIN; }
void mm_window_close(uint64_t file) {}
int platform_reopen(struct platform *p, int fd) { return -ENOENT; }

static int checks, failures;
static char base[64];
static struct kernel kernel;

static void check(bool ok, int line, const char *what)
{
	failures += !ok;
	printf("%sok %d - line %d: %s\n", ok ? "" : "not ", ++checks, line, what);
}
#define OK(c) check(c, __LINE__, #c)
#define EQ(a, b) check((long)(a) == (long)(b), __LINE__, #a " == " #b)
#define STREQ(a, b) check(!strcmp(a, b), __LINE__, #a " is " #b)

static char text[4096];
static int open_at(const char *name, unsigned flags, struct file **f)
{
	struct open_how_k how = { .flags = flags, .mode = 0644, .lookup = LOOKUP_FOLLOW };

	return vfs_open(AT_FDCWD_, name, &how, f);
}

static long put(const char *name, unsigned flags, const char *s)
{
	struct iov_iter it;
	struct file *f;
	long r = open_at(name, O_WRONLY | flags, &f);

	if (r)
		return r;
	iov_iter_kernel(&it, (void *)s, strlen(s));
	r = vfs_write(f, &it, NULL);
	file_put(f);
	return r;
}

static const char *get_file(struct file *f)
{
	struct iov_iter it;
	int64_t pos = 0;
	ssize_t r;

	iov_iter_kernel(&it, text, sizeof(text) - 1);
	r = vfs_read(f, &it, &pos);
	if (r < 0)
		snprintf(text, sizeof(text), "read error %zd", r);
	else
		text[r] = 0;
	return text;
}

static const char *get(const char *name)
{
	struct file *f;
	int r = open_at(name, O_RDONLY, &f);

	if (r) {
		snprintf(text, sizeof(text), "open error %d", r);
		return text;
	}
	get_file(f);
	file_put(f);
	return text;
}

static int get_stat(const char *name, struct kstat *st)
{
	struct path p;
	int r = path_lookup(AT_FDCWD_, name, 0, &p);

	if (r)
		return r;
	r = vfs_stat(&p, st);
	path_put(&p);
	return r;
}

struct lister { struct dir_context c; char names[64][32]; int n, max; };
static bool emit(struct dir_context *c, const char *name, size_t len, uint64_t ino, unsigned type, int64_t next)
{
	struct lister *l = container_of(c, struct lister, c);

	if (l->n == l->max)
		return false;
	snprintf(l->names[l->n++], 32, "%.*s", (int)len, name);
	return true;
}

static int by_name(const void *a, const void *b) { return strcmp(a, b); }

/* The sorted names without . and .. */
static const char *list(const char *name)
{
	static struct lister l;
	static char out[2048];
	struct file *f;
	int r = open_at(name, O_RDONLY | O_DIRECTORY, &f);

	if (r)
		return "error";
	l = (struct lister){ .c.emit = emit, .max = 64 };
	r = vfs_readdir(f, &l.c);
	file_put(f);
	qsort(l.names, l.n, 32, by_name);
	out[0] = 0;
	for (int i = 0; i < l.n; i++)
		if (strcmp(l.names[i], ".") && strcmp(l.names[i], "..")) {
			strcat(out, l.names[i]);
			strcat(out, " ");
		}
	return r ? "error" : out;
}

static void host_file(const char *name, const char *s)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", base, name);
	f = fopen(path, "w");
	if (f) {
		fputs(s, f);
		fclose(f);
	}
}

static int host_dir(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", base, name);
	mkdir(path, 0755);
	return open(path, O_PATH | O_DIRECTORY);
}

static void test_files(void)
{
	struct kstat a, b;
	struct file *f;
	struct path p;

	STREQ(get("/f"), "hello");
	EQ(get_stat("/f", &a), 0);
	EQ(open_at("/f", O_RDONLY, &f), 0);
	EQ(put("/f", O_APPEND, " more"), 5);
	STREQ(get("/f"), "hello more");
	STREQ(get_file(f), "hello more"); /* opened before the copy-up */
	file_put(f);
	EQ(get_stat("/f", &b), 0);
	OK(a.ino == b.ino && a.dev == b.dev && b.size == 10);
	EQ(open_at("/f", O_RDWR, &f), 0);
	EQ(vfs_unlink(AT_FDCWD_, "/f"), 0);
	STREQ(get_file(f), "hello more");
	EQ(vfs_fstat(f, &a), 0);
	EQ(a.nlink, 0);
	file_put(f);

	EQ(get_stat("/h1", &a), 0);
	EQ(get_stat("/h2", &b), 0);
	OK(a.ino == b.ino && a.nlink == 2);
	EQ(put("/h1", O_TRUNC, "new"), 3);
	STREQ(get("/h2"), "new");
	EQ(vfs_unlink(AT_FDCWD_, "/h1"), 0);
	EQ(get_stat("/h1", &a), -ENOENT);
	EQ(get_stat("/h2", &b), 0);
	EQ(b.nlink, 1);

	EQ(put("/big", O_CREAT, "0123456789"), 10);
	EQ(path_lookup(AT_FDCWD_, "/big", 0, &p), 0);
	EQ(vfs_truncate(&p, NULL, 4), 0);
	path_put(&p);
	STREQ(get("/big"), "0123");
	EQ(put("/none", O_CREAT, ""), 0);
	STREQ(get("/none"), "");
}

static void test_dirs(void)
{
	struct kstat a, b;

	EQ(vfs_rmdir(AT_FDCWD_, "/sub"), -ENOTEMPTY);
	EQ(get_stat("/", &a), 0);
	EQ(vfs_mkdir(AT_FDCWD_, "/nd", 0755), 0);
	EQ(get_stat("/", &b), 0);
	OK(a.nlink == 1 || b.nlink == a.nlink + 1);
	EQ(vfs_rename(AT_FDCWD_, "/sub", AT_FDCWD_, "/nd", 0), 0); /* a lower directory over an empty new one */
	EQ(get_stat("/sub", &a), -ENOENT);
	STREQ(list("/nd"), "deep s1 s2 ");
	STREQ(get("/nd/deep/z"), "zed");
	EQ(vfs_mkdir(AT_FDCWD_, "/sub", 0755), 0); /* opaque */
	STREQ(list("/sub"), "");
	EQ(vfs_rmdir(AT_FDCWD_, "/sub"), 0);
	EQ(vfs_unlink(AT_FDCWD_, "/nd/s1"), 0);
	EQ(put("/nd/s1", O_CREAT, "again"), 5);
	EQ(vfs_rename(AT_FDCWD_, "/nd/s1", AT_FDCWD_, "/nd/s2", RENAME_NOREPLACE), -EEXIST);
	EQ(vfs_rename(AT_FDCWD_, "/nd/s1", AT_FDCWD_, "/nd/s2", RENAME_EXCHANGE), 0);
	STREQ(get("/nd/s2"), "again");
	STREQ(get("/nd/s1"), "two");
	EQ(vfs_rename(AT_FDCWD_, "/nd/s1", AT_FDCWD_, "/nd/s2", 0), 0);
	STREQ(get("/nd/s2"), "two");
	STREQ(list("/nd"), "deep s2 ");
}

/* rm -r: names go while they are read in small pieces */
static void test_iteration(void)
{
	static struct lister l;
	struct file *f;
	char name[64];
	int total = 0;

	EQ(vfs_mkdir(AT_FDCWD_, "/many", 0755), 0);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "/many/%d", i);
		put(name, O_CREAT, "x");
	}
	EQ(open_at("/many", O_RDONLY | O_DIRECTORY, &f), 0);
	for (;;) {
		l = (struct lister){ .c.emit = emit, .max = 7 };
		if (vfs_readdir(f, &l.c) || !l.n)
			break;
		total += l.n;
		for (int i = 0; i < l.n; i++)
			if (l.names[i][0] != '.') {
				snprintf(name, sizeof(name), "/many/%s", l.names[i]);
				vfs_unlink(AT_FDCWD_, name);
			}
	}
	file_put(f);
	EQ(total, 52);
	EQ(vfs_rmdir(AT_FDCWD_, "/many"), 0);
}

static void test_bind(int fd)
{
	struct super_block *sb;
	struct path p;

	EQ(host_fs_create(&kernel, fd, false, "rw", &sb), 0);
	EQ(vfs_mkdir(AT_FDCWD_, "/rw", 0755), 0);
	EQ(path_lookup(AT_FDCWD_, "/rw", 0, &p), 0);
	EQ(do_mount_at(&p, sb, 0), 0);
	path_put(&p);
	EQ(put("/rw/a", O_CREAT, "abc"), 3);
	EQ(put("/rw/a", O_APPEND, "def"), 3);
	EQ(vfs_mkdir(AT_FDCWD_, "/rw/d", 0755), 0);
	EQ(vfs_rename(AT_FDCWD_, "/rw/a", AT_FDCWD_, "/rw/d/b", 0), 0);
	STREQ(get("/rw/d/b"), "abcdef");
	host_file("rw/h", "host");
	STREQ(get("/rw/h"), "host");
	host_file("rw/h", "changed");
	STREQ(get("/rw/h"), "changed");
	EQ(vfs_symlink("../../../../../../etc/passwd", AT_FDCWD_, "/rw/out"), 0);
	STREQ(get("/rw/out"), "open error -2"); /* a link is followed in the guest's tree, never in the host's */
	EQ(vfs_unlink(AT_FDCWD_, "/rw/out"), 0);
	EQ(vfs_unlink(AT_FDCWD_, "/rw/h"), 0);
	EQ(vfs_unlink(AT_FDCWD_, "/rw/d/b"), 0);
	EQ(vfs_rmdir(AT_FDCWD_, "/rw/d"), 0);
	STREQ(list("/rw"), "");
}

static void run(void *arg)
{
	struct fiber_context *fc = fiber_context();
	struct super_block *lower, *upper, *sb;
	struct path root;
	char from[256], to[256];
	int fd;

	fc->cred = cred_create_root(user_ns_create_root());
	fc->fdt = fd_table_create();
	tmpfs_register();
	strcpy(base, "/tmp/bailey-overlay-XXXXXX");
	OK(mkdtemp(base) != NULL);
	fd = host_dir("lower");
	close(host_dir("lower/sub"));
	close(host_dir("lower/sub/deep"));
	host_file("lower/f", "hello");
	host_file("lower/h1", "link");
	host_file("lower/sub/s1", "one");
	host_file("lower/sub/s2", "two");
	host_file("lower/sub/deep/z", "zed");
	snprintf(from, sizeof(from), "%s/lower/h1", base);
	snprintf(to, sizeof(to), "%s/lower/h2", base);
	EQ(link(from, to), 0);
	EQ(host_fs_create(&kernel, fd, true, "lower", &lower), 0);
	EQ(tmpfs_create(&kernel, "mode=755", &upper), 0);
	EQ(overlay_create(&kernel, lower, upper, &sb), 0);
	super_put(lower);
	super_put(upper);
	mount_ns_root(mount_ns_create(sb, 0), &root);
	fc->fs = fs_context_create(&root);
	STREQ(list("/"), "f h1 h2 sub ");
	test_files();
	test_dirs();
	test_iteration();
	test_bind(host_dir("rw"));
	printf("1..%d\n", checks);
	fflush(stdout);
	snprintf(from, sizeof(from), "rm -rf %s", base);
	_exit(system(from) != 0 || failures);
}

static int idle_poll(void *arg, int worker) { return 0; }
static void idle_wait(void *arg, int worker, ktime_t deadline) { usleep(1000); }
static void idle_kick(void *arg, int worker) {}

int main(void)
{
	static const struct idle_ops ops = { idle_poll, idle_wait, idle_kick };
	struct sched *s = sched_create(1);

	log_init(2, LOG_WARN);
	kernel.sched = s;
	sched_set_idle(s, &ops, NULL);
	fiber_wake(fiber_create(s, 0, "test", run, NULL));
	return sched_run(s);
}
