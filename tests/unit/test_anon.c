/* SPDX-License-Identifier: Apache-2.0 */
/* test_anon.c: pipes, epoll, eventfd, timerfd and inotify on real fibers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "fake_user.h"
#include "fs/anon/epoll.h"
#include "fs/anon/eventfd.h"
#include "fs/anon/inotify.h"
#include "fs/anon/timerfd.h"
#include "fs/pipe/pipe.h"
#include "fs/tmpfs/tmpfs.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

static struct cred *cred;
static struct fd_table *fdt;
static struct fs_context *fs;
static int sigpipes;

static void sigpipe(void) { sigpipes++; }
static void context(void)
{
	struct fiber_context *c = fiber_context();
	c->cred = cred;
	c->fdt = fdt;
	c->fs = fs;
}

static void world(void *arg)
{
	struct super_block *sb;
	struct path root;

	(void)arg;
	struct user_namespace *u = user_ns_create_root();
	cred = cred_create_root(u);
	fiber_context()->cred = cred;
	tmpfs_register();
	assert_int_equal(get_fs_type("tmpfs")->mount(NULL, "none", 0, "mode=755", &sb), 0);
	struct mount_namespace *ns = mount_ns_create(sb, 0);
	super_put(sb);
	mount_ns_root(ns, &root);
	fs = fs_context_create(&root);
	path_put(&root);
	fdt = fd_table_create();
	context();
	pipe_init();
	epoll_init();
	vfs_hooks.send_sigpipe = sigpipe;
	body();
	fd_table_put(fdt);
	fs_context_put(fs);
	mount_ns_put(ns);
	fiber_context()->cred = NULL;
	cred_put(cred);
	user_ns_put(u);
	sched_stop(S, 0);
}

static ssize_t rd(struct file *f, void *b, size_t n)
{
	struct iov_iter it;
	iov_iter_kernel(&it, b, n);
	return vfs_read(f, &it, NULL);
}
static ssize_t wr(struct file *f, const void *b, size_t n)
{
	struct iov_iter it;
	iov_iter_kernel(&it, (void *)b, n);
	return vfs_write(f, &it, NULL);
}
static unsigned ask(struct file *f) { return vfs_poll(f, NULL); }

/* ---- pipes ---- */

static struct file *PR, *PW;
static char seen[64];

static void late_reader(void *arg)
{
	(void)arg;
	context();
	ssize_t n = rd(PR, seen, sizeof(seen));
	seen[n] = 0;
}

static void slow_drain(void *arg)
{
	static char b[300000];
	size_t total = 0;
	(void)arg;
	context();
	while (total < 200000)
		total += rd(PR, b, 5000);
}

static void pipe_body(void)
{
	static char big[200000], back[200000];

	assert_int_equal(pipe_create(0, &PR, &PW), 0);
	assert_int_equal(ask(PR), 0);
	assert_int_equal(ask(PW), EPOLLOUT | EPOLLWRNORM);
	assert_int_equal(wr(PW, "abc", 3), 3);
	assert_int_equal(wr(PW, "def", 3), 3);
	assert_int_equal(rd(PR, back, 4), 4);
	assert_int_equal(rd(PR, back + 4, 10), 2);
	assert_memory_equal(back, "abcdef", 6);
	/* a sleeper is woken */
	fiber_wake(fiber_create(S, 0, "r", late_reader, NULL));
	fiber_yield();
	assert_int_equal(wr(PW, "hello", 5), 5);
	fiber_yield();
	assert_string_equal(seen, "hello");
	/* fullness counts pages */
	PW->flags |= O_NONBLOCK;
	PR->flags |= O_NONBLOCK;
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 13 + i / 4096);
	assert_int_equal(wr(PW, big, sizeof(big)), 65536);
	assert_int_equal(wr(PW, big, 1), -EAGAIN);
	assert_int_equal(ask(PW), 0);
	assert_int_equal(rd(PR, back, 4095), 4095);
	assert_int_equal(ask(PW), 0);
	assert_int_equal(rd(PR, back + 4095, 1), 1);
	assert_int_equal(ask(PW), EPOLLOUT | EPOLLWRNORM);
	assert_int_equal(wr(PW, big + 65536, 5000), 4096);
	assert_int_equal(rd(PR, back + 4096, sizeof(back)), 65536);
	assert_memory_equal(back, big, 65536 + 4096);
	assert_int_equal(rd(PR, back, 1), -EAGAIN);
	/* a writer larger than the pipe, against a reader */
	PW->flags &= ~O_NONBLOCK;
	PR->flags &= ~O_NONBLOCK;
	fiber_wake(fiber_create(S, 0, "d", slow_drain, NULL));
	assert_int_equal(wr(PW, big, sizeof(big)), sizeof(big));
	for (int i = 0; i < 100; i++)
		fiber_yield();
	/* size */
	assert_int_equal(PR->ops->fcntl(PR, F_GETPIPE_SZ, 0), 65536);
	assert_int_equal(wr(PW, big, 10000), 10000);
	assert_int_equal(PR->ops->fcntl(PR, F_SETPIPE_SZ, 4096), -EBUSY);
	assert_int_equal(PR->ops->fcntl(PR, F_SETPIPE_SZ, 100000), 131072);
	assert_int_equal(rd(PR, back, 20000), 10000);
	assert_memory_equal(back, big, 10000);
	/* unpull puts bytes first */
	assert_int_equal(wr(PW, "world", 5), 5);
	pipe_unpull(PR, "hello ", 6);
	assert_int_equal(rd(PR, back, 20), 11);
	assert_memory_equal(back, "hello world", 11);
	/* ends */
	file_put(PW);
	assert_int_equal(ask(PR), EPOLLHUP);
	assert_int_equal(rd(PR, back, 1), 0);
	file_put(PR);
	assert_int_equal(pipe_create(O_DIRECT, &PR, &PW), 0);
	wr(PW, "one", 3);
	wr(PW, "two", 3);
	assert_int_equal(rd(PR, back, 2), 2);
	assert_int_equal(rd(PR, back, 20), 3);
	assert_memory_equal(back, "two", 3);
	file_put(PR);
	assert_int_equal(wr(PW, "x", 1), -EPIPE);
	assert_int_equal(sigpipes, 1);
	assert_true(ask(PW) & EPOLLERR);
	file_put(PW);
	/* speed */
	assert_int_equal(pipe_create(0, &PR, &PW), 0);
	enum { N = 500000 };
	ktime_t t0 = ktime_mono();
	for (int i = 0; i < N; i++) {
		wr(PW, "x", 1);
		rd(PR, back, 1);
	}
	print_message("# write and read of 1 byte: %d ns\n", (int)((ktime_mono() - t0) / N));
	file_put(PR);
	file_put(PW);
}
static void test_pipe(void **s) { (void)s; in_world(pipe_body); }

/* ---- FIFOs ---- */

static struct file *open_fifo(unsigned flags, int *err)
{
	struct open_how_k how = { .flags = flags };
	struct file *f = NULL;
	*err = vfs_open(AT_FDCWD, "/fifo", &how, &f);
	return f;
}
static struct file *FW;
static void fifo_writer(void *arg)
{
	int e;
	(void)arg;
	context();
	FW = open_fifo(O_WRONLY, &e);
}
static void fifo_body(void)
{
	char b[8];
	int e;

	assert_int_equal(vfs_mknod(AT_FDCWD, "/fifo", S_IFIFO | 0666, 0, NULL), 0);
	assert_null(open_fifo(O_WRONLY | O_NONBLOCK, &e));
	assert_int_equal(e, -ENXIO);
	fiber_wake(fiber_create(S, 0, "w", fifo_writer, NULL));
	fiber_yield();
	assert_null(FW);
	struct file *r = open_fifo(O_RDONLY, &e);
	assert_non_null(r);
	fiber_yield();
	assert_non_null(FW);
	assert_int_equal(wr(FW, "hi", 2), 2);
	assert_int_equal(rd(r, b, 8), 2);
	file_put(FW);
	assert_true(ask(r) & EPOLLHUP);
	file_put(r);
	r = open_fifo(O_RDONLY | O_NONBLOCK, &e);
	assert_int_equal(ask(r), 0); /* no writer came yet: no hang-up */
	file_put(r);
	struct file *rw = open_fifo(O_RDWR, &e);
	assert_int_equal(wr(rw, "a", 1), 1);
	assert_int_equal(rd(rw, b, 1), 1);
	file_put(rw);
}
static void test_fifo(void **s) { (void)s; in_world(fifo_body); }

/* ---- epoll ---- */

static struct file *EP;
static struct epoll_event_k got[8];
static long got_n;
static void waiter(void *arg)
{
	(void)arg;
	context();
	got_n = epoll_wait_file(EP, (uaddr_t)got, 8, KTIME_MAX);
}
static long now(struct file *ep) { return epoll_wait_file(ep, (uaddr_t)got, 8, 0); }

static void epoll_body(void)
{
	struct epoll_event_k in = { EPOLLIN, 7 }, et = { EPOLLIN | EPOLLET, 8 }, one = { EPOLLIN | EPOLLONESHOT, 9 };
	struct file *e2, *chain[7];
	char b[16];

	assert_int_equal(epoll_create_file(&EP), 0);
	assert_int_equal(pipe_create(0, &PR, &PW), 0);
	assert_int_equal(epoll_ctl_file(EP, EPOLL_CTL_ADD, PR, 3, &in), 0);
	assert_int_equal(epoll_ctl_file(EP, EPOLL_CTL_ADD, PR, 3, &in), -EEXIST);
	assert_int_equal(epoll_ctl_file(EP, EPOLL_CTL_ADD, EP, 9, &in), -EINVAL);
	assert_int_equal(epoll_ctl_file(EP, EPOLL_CTL_MOD, PR, 4, &in), -ENOENT);
	assert_int_equal(now(EP), 0);
	wr(PW, "x", 1);
	assert_int_equal(now(EP), 1);
	assert_int_equal(got[0].events, EPOLLIN);
	assert_int_equal(got[0].data, 7);
	assert_int_equal(now(EP), 1); /* level */
	rd(PR, b, 1);
	assert_int_equal(now(EP), 0);
	/* edge */
	assert_int_equal(epoll_ctl_file(EP, EPOLL_CTL_MOD, PR, 3, &et), 0);
	wr(PW, "x", 1);
	assert_int_equal(now(EP), 1);
	assert_int_equal(now(EP), 0);
	wr(PW, "y", 1); /* each write is an edge */
	assert_int_equal(now(EP), 1);
	rd(PR, b, 16);
	/* one shot */
	assert_int_equal(epoll_ctl_file(EP, EPOLL_CTL_MOD, PR, 3, &one), 0);
	wr(PW, "x", 1);
	assert_int_equal(now(EP), 1);
	wr(PW, "x", 1);
	assert_int_equal(now(EP), 0);
	assert_int_equal(epoll_ctl_file(EP, EPOLL_CTL_MOD, PR, 3, &one), 0);
	assert_int_equal(now(EP), 1);
	rd(PR, b, 16);
	/* a sleeper, through a nested instance */
	assert_int_equal(epoll_ctl_file(EP, EPOLL_CTL_MOD, PR, 3, &in), 0);
	struct file *inner = EP;
	assert_int_equal(epoll_create_file(&e2), 0);
	assert_int_equal(epoll_ctl_file(e2, EPOLL_CTL_ADD, inner, 5, &in), 0);
	assert_int_equal(epoll_ctl_file(inner, EPOLL_CTL_ADD, e2, 6, &in), -ELOOP);
	EP = e2;
	got_n = -1;
	fiber_wake(fiber_create(S, 0, "w", waiter, NULL));
	fiber_yield();
	assert_int_equal(got_n, -1);
	wr(PW, "z", 1);
	for (int i = 0; i < 5 && got_n < 0; i++)
		fiber_yield();
	assert_int_equal(got_n, 1);
	assert_int_equal(ask(inner), EPOLLIN | EPOLLRDNORM);
	/* a closed file leaves */
	file_put(PR);
	assert_int_equal(now(inner), 0);
	file_put(PW);
	file_put(inner);
	assert_int_equal(now(e2), 0);
	file_put(e2);
	/* depth */
	for (int i = 0; i < 7; i++)
		assert_int_equal(epoll_create_file(&chain[i]), 0);
	int made = 0;
	for (int i = 0; i < 6; i++)
		made += epoll_ctl_file(chain[i + 1], EPOLL_CTL_ADD, chain[i], 1, &in) == 0;
	assert_int_equal(made, 5); /* the fifth is too deep, the sixth begins a new chain */
	for (int i = 0; i < 7; i++)
		file_put(chain[i]);
	/* timeout */
	assert_int_equal(epoll_create_file(&EP), 0);
	ktime_t t0 = ktime_mono();
	assert_int_equal(epoll_wait_file(EP, (uaddr_t)got, 8, t0 + 20 * NSEC_PER_MSEC), 0);
	assert_true(ktime_mono() - t0 >= 20 * NSEC_PER_MSEC);
	/* many items; only the ready one costs */
	enum { MANY = 20000, N = 100000 };
	static struct file *ev[MANY];
	for (int i = 0; i < MANY; i++) {
		struct epoll_event_k e = { EPOLLIN, (uint64_t)i };
		assert_int_equal(eventfd_create(0, 0, &ev[i]), 0);
		assert_int_equal(epoll_ctl_file(EP, EPOLL_CTL_ADD, ev[i], i, &e), 0);
	}
	uint64_t v = 1;
	t0 = ktime_mono();
	for (int i = 0; i < N; i++) {
		wr(ev[i % MANY], &v, 8);
		assert_int_equal(now(EP), 1);
		assert_int_equal(got[0].data, i % MANY);
		rd(ev[i % MANY], &v, 8);
	}
	print_message("# eventfd write, epoll_wait, read among %d: %d ns\n", MANY, (int)((ktime_mono() - t0) / N));
	for (int i = 0; i < MANY; i++)
		file_put(ev[i]);
	file_put(EP);
}
static void test_epoll(void **s) { (void)s; in_world(epoll_body); }

/* ---- eventfd, timerfd ---- */

static void fds_body(void)
{
	struct file *f;
	uint64_t v = UINT64_MAX;

	assert_int_equal(eventfd_create(2, EFD_SEMAPHORE | EFD_NONBLOCK, &f), 0);
	assert_int_equal(wr(f, &v, 8), -EINVAL);
	assert_int_equal(rd(f, &v, 4), -EINVAL);
	assert_int_equal(rd(f, &v, 8), 8);
	assert_int_equal(v, 1);
	assert_int_equal(rd(f, &v, 8), 8);
	assert_int_equal(rd(f, &v, 8), -EAGAIN);
	v = UINT64_MAX - 1;
	assert_int_equal(wr(f, &v, 8), 8);
	v = 1;
	assert_int_equal(wr(f, &v, 8), -EAGAIN);
	assert_int_equal(ask(f), EPOLLIN);
	file_put(f);

	struct itimerspec_k its = { .value = { 0, 10000000 }, .interval = { 0, 10000000 } }, old;
	assert_int_equal(timerfd_create_file(S, CLOCK_MONOTONIC, 0, &f), 0);
	assert_int_equal(timerfd_set(f, 0, &its, &old), 0);
	assert_int_equal(old.value.nsec, 0);
	assert_int_equal(rd(f, &v, 8), 8);
	assert_int_equal(v, 1);
	usleep(35000);
	assert_int_equal(rd(f, &v, 8), 8);
	assert_in_range(v, 2, 50);
	assert_int_equal(timerfd_get(f, &old), 0);
	assert_true(old.value.nsec > 0 && old.value.nsec <= 10000000 && old.interval.nsec == 10000000);
	file_put(f);
}
static void test_fds(void **s) { (void)s; in_world(fds_body); }

/* ---- inotify ---- */

static void inotify_body(void)
{
	struct open_how_k how = { .flags = O_CREAT | O_RDWR, .mode = 0644 };
	char b[4096] __attribute__((aligned(8)));
	struct inotify_event *e = (void *)b;
	struct file *in, *f;
	struct path p;

	assert_int_equal(inotify_create(IN_NONBLOCK, &in), 0);
	vfs_mkdir(AT_FDCWD, "/d", 0755);
	assert_int_equal(path_lookup(AT_FDCWD, "/d", 0, &p), 0);
	assert_int_equal(inotify_add(in, dentry_inode(p.dentry), IN_CREATE | IN_MODIFY | IN_DELETE | IN_CLOSE_WRITE), 1);
	assert_int_equal(rd(in, b, sizeof(b)), -EAGAIN);
	assert_int_equal(vfs_open(AT_FDCWD, "/d/file", &how, &f), 0);
	wr(f, "x", 1);
	wr(f, "y", 1); /* merged */
	file_put(f);
	vfs_unlink(AT_FDCWD, "/d/file");
	assert_int_equal(rd(in, b, 10), -EINVAL);
	assert_int_equal(rd(in, b, sizeof(b)), 4 * 32);
	assert_int_equal(e->mask, IN_CREATE);
	assert_string_equal(e->name, "file");
	e = (void *)(b + 32);
	assert_int_equal(e->mask, IN_MODIFY);
	e = (void *)(b + 64);
	assert_int_equal(e->mask, IN_CLOSE_WRITE);
	e = (void *)(b + 96);
	assert_int_equal(e->mask, IN_DELETE);
	assert_int_equal(inotify_rm(in, 1), 0);
	assert_int_equal(inotify_rm(in, 1), -EINVAL);
	assert_int_equal(rd(in, b, sizeof(b)), 16);
	e = (void *)b;
	assert_int_equal(e->mask, IN_IGNORED);
	assert_int_equal(inotify_add(in, dentry_inode(p.dentry), IN_CREATE | IN_ONESHOT), 2);
	path_put(&p);
	vfs_mkdir(AT_FDCWD, "/d/sub", 0755);
	assert_int_equal(rd(in, b, sizeof(b)), 48);
	assert_int_equal(e->mask, IN_CREATE | IN_ISDIR);
	assert_int_equal(vfs_watch_count, 0);
	file_put(in);
}
static void test_inotify(void **s) { (void)s; in_world(inotify_body); }

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_pipe), cmocka_unit_test(test_fifo), cmocka_unit_test(test_epoll),
					    cmocka_unit_test(test_fds), cmocka_unit_test(test_inotify) };
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
