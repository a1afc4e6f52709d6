/* SPDX-License-Identifier: Apache-2.0 */
/* Much-read files: after enough bulk reads the data may come another way (file windows), which nobody may notice. */
#include "harness.h"
#include <pthread.h>
#include <sys/uio.h>

#define SIZE (256 << 10)
#define CHUNK (16 << 10)

static char buf[SIZE], name[64];

static unsigned char at(unsigned seed, size_t off) { return (unsigned char)(off * 7 + off / 4096 * 13 + seed); }

static void fill(int fd, unsigned seed, size_t from, size_t to)
{
	static char b[SIZE];
	for (size_t i = from; i < to; i++)
		b[i - from] = (char)at(seed, i);
	CHECK(pwrite(fd, b, to - from, (off_t)from) == (ssize_t)(to - from));
}

static int make(unsigned seed)
{
	snprintf(name, sizeof name, "/tmp/window.%d", getpid());
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0);
	fill(fd, seed, 0, SIZE);
	return fd;
}

static void verify(const char *b, unsigned seed, size_t off, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)b[i] != at(seed, off + i))
			harness_fail(__FILE__, __LINE__, "byte %zu: %u instead of %u", off + i, (unsigned char)b[i], at(seed, off + i));
}

/* Often enough that a window is worth it. */
static void warm(int fd, unsigned seed)
{
	for (int i = 0; i < 400; i++) {
		size_t off = (size_t)i * CHUNK % SIZE;
		memset(buf, 0xee, CHUNK);
		CHECK(pread(fd, buf, CHUNK, (off_t)off) == CHUNK);
		verify(buf, seed, off, CHUNK);
	}
}

TEST(read_and_position)
{
	int fd = make(1);
	warm(fd, 1);
	CHECK(lseek(fd, 100, SEEK_SET) == 100);
	for (size_t pos = 100; pos < SIZE;) {
		ssize_t n = read(fd, buf, 30000);
		CHECK(n == (ssize_t)(SIZE - pos < 30000 ? SIZE - pos : 30000));
		verify(buf, 1, pos, (size_t)n);
		pos += (size_t)n;
		CHECK(lseek(fd, 0, SEEK_CUR) == (off_t)pos);
	}
	CHECK(read(fd, buf, 100) == 0);
	CHECK(pread(fd, buf, SIZE, SIZE - 10) == 10);
	CHECK(pread(fd, buf, 1, SIZE) == 0);
	CHECK(pread(fd, buf, 0, 0) == 0);
	CHECK(pread(fd, buf, 1, 4097) == 1 && (unsigned char)buf[0] == at(1, 4097));
	struct iovec v[3] = { { buf, 5000 }, { buf + 5000, 1 }, { buf + 5001, 60000 } };
	CHECK(preadv(fd, v, 3, 77) == 65001);
	verify(buf, 1, 77, 65001);
	CHECK(preadv(fd, v + 2, 1, 99) == 60000);
	verify(buf + 5001, 1, 99, 60000);
	unlink(name);
}

TEST(writes_are_seen)
{
	int fd = make(1), other = open(name, O_RDWR);
	warm(fd, 1);
	fill(other, 2, 0, SIZE);
	warm(fd, 2);
	CHECK(pwrite(fd, "hello", 5, 4094) == 5);
	CHECK(pread(fd, buf, CHUNK, 0) == CHUNK && !memcmp(buf + 4094, "hello", 5));
	fill(fd, 3, 0, SIZE);
	char *m = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, other, 0);
	CHECK(m != MAP_FAILED);
	m[70000] = 'x';
	CHECK(pread(fd, buf, CHUNK, 65536) == CHUNK && buf[70000 - 65536] == 'x');
	/* it grows */
	CHECK(ftruncate(other, 0) == 0);
	CHECK(pread(fd, buf, CHUNK, 0) == 0);
	fill(other, 4, 0, SIZE);
	warm(fd, 4);
	CHECK(pwrite(other, "end", 3, SIZE) == 3);
	CHECK(pread(fd, buf, CHUNK, SIZE - 2) == 5 && !memcmp(buf + 2, "end", 3));
	unlink(name);
}

TEST(truncation)
{
	int fd = make(1);
	warm(fd, 1);
	CHECK(ftruncate(fd, 5000) == 0);
	memset(buf, 0xee, sizeof buf);
	CHECK(pread(fd, buf, CHUNK, 0) == 5000);
	verify(buf, 1, 0, 5000);
	CHECK((unsigned char)buf[5000] == 0xee);
	CHECK(pread(fd, buf, CHUNK, 8192) == 0);
	/* what was cut off does not come back */
	CHECK(ftruncate(fd, SIZE) == 0);
	CHECK(pread(fd, buf, CHUNK, 0) == CHUNK);
	verify(buf, 1, 0, 5000);
	for (int i = 5000; i < CHUNK; i++)
		CHECK(buf[i] == 0);
	int other = open(name, O_WRONLY | O_TRUNC);
	CHECK(other >= 0 && pread(fd, buf, CHUNK, 0) == 0);
	unlink(name);
}

static volatile bool stop;
static void *truncator(void *arg)
{
	int fd = *(int *)arg;
	while (!stop) {
		(void)!ftruncate(fd, 4096 + 100);
		fill(fd, 1, 0, SIZE);
	}
	return NULL;
}

TEST_TIMEOUT(truncation_meanwhile, 60)
{
	int fd = make(1);
	pthread_t t;
	warm(fd, 1);
	CHECK(!pthread_create(&t, NULL, truncator, &fd));
	static char b[SIZE];
	for (int i = 0; i < 3000; i++) {
		size_t off = (size_t)i * 4096 % SIZE;
		ssize_t n = pread(fd, b, 65536, (off_t)off);
		CHECK(n >= 0);
		/* a file is written in pieces: what is not there yet reads as what was, or as nothing */
		for (ssize_t k = 0; k < n; k++)
			if (b[k] && (unsigned char)b[k] != at(1, off + (size_t)k))
				CHECK(!"a byte of no version");
	}
	stop = true;
	pthread_join(t, NULL);
	unlink(name);
}

TEST(bad_buffers)
{
	int fd = make(1);
	long page = 4096;
	warm(fd, 1);
	char *m = mmap(NULL, 16 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(m + 4 * page, page);
	mprotect(m + 10 * page, page, PROT_READ);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	/* part of it, and the position moves by that */
	CHECK(read(fd, m, 8 * page) == 4 * page);
	verify(m, 1, 0, 4 * page);
	CHECK(lseek(fd, 0, SEEK_CUR) == 4 * page);
	CHECK_ERRNO(read(fd, m + 4 * page, 2 * page), EFAULT);
	CHECK(lseek(fd, 0, SEEK_CUR) == 4 * page);
	CHECK_ERRNO(pread(fd, m + 10 * page, page, 0), EFAULT);
	CHECK(pread(fd, m + 9 * page, 2 * page, 0) == page);
	CHECK_ERRNO(pread(fd, (void *)(-4096L), page, 0), EFAULT);
	CHECK_ERRNO(pread(fd, (void *)0x7fff80000000, page, 0), EFAULT);
	CHECK_ERRNO(read(fd, NULL, page), EFAULT);
	CHECK(lseek(fd, 0, SEEK_CUR) == 4 * page);
	/* a buffer in a file that is too short for it */
	char other[80];
	snprintf(other, sizeof other, "%s.b", name);
	int b = open(other, O_RDWR | O_CREAT, 0600);
	CHECK(ftruncate(b, page) == 0);
	char *f = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE, MAP_SHARED, b, 0);
	CHECK(read(fd, f, 3 * page) == page);
	CHECK(lseek(fd, 0, SEEK_CUR) == 5 * page);
	/* two mappings are as good as one */
	mprotect(m, page, PROT_READ | PROT_WRITE | PROT_EXEC);
	CHECK(pread(fd, m + 100, 2 * page, 0) == 2 * page);
	verify(m + 100, 1, 0, 2 * page);
	/* the file's own mapping */
	char *own = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(pread(fd, own + 8192, 4096, 0) == 4096);
	verify(own + 8192, 1, 0, 4096);
	unlink(name);
	unlink(other);
}

TEST(descriptors)
{
	int fd = make(1), b;
	char other[80];
	snprintf(other, sizeof other, "%s.b", name);
	warm(fd, 1);
	/* the number means another file now */
	b = open(other, O_RDWR | O_CREAT, 0600);
	fill(b, 5, 0, SIZE);
	int d = dup(fd);
	CHECK(dup2(b, fd) == fd);
	warm(fd, 5);
	warm(d, 1);
	close(fd);
	CHECK_ERRNO(pread(fd, buf, CHUNK, 0), EBADF);
	CHECK(open(other, O_RDONLY) == fd);
	warm(fd, 5);
	warm(d, 1);
	close(d);
	close(fd);
	for (int i = 0; i < 10; i++) { /* more than there can be windows, of few numbers */
		int fds[12];
		for (int k = 0; k < 12; k++) {
			fds[k] = open(k % 2 ? other : name, O_RDONLY);
			for (int j = 0; j < 30; j++)
				CHECK(pread(fds[k], buf, SIZE, 0) == SIZE);
			verify(buf, k % 2 ? 5 : 1, 0, SIZE);
		}
		for (int k = 0; k < 12; k++)
			close(fds[k]);
	}
	int w = open(name, O_WRONLY);
	CHECK_ERRNO(pread(w, buf, CHUNK, 0), EBADF);
	unlink(name);
	unlink(other);
	CHECK(pread(b, buf, CHUNK, 0) == CHUNK); /* without a name */
	verify(buf, 5, 0, CHUNK);
}

TEST_TIMEOUT(fork_and_exec, 60)
{
	int fd = make(1), p[2], st;
	warm(fd, 1);
	CHECK(lseek(fd, 1000, SEEK_SET) == 1000);
	CHECK(read(fd, buf, CHUNK) == CHUNK);
	pid_t c = fork();
	if (!c) {
		warm(fd, 1);
		CHECK(lseek(fd, 0, SEEK_CUR) == 1000 + CHUNK);
		CHECK(read(fd, buf, CHUNK) == CHUNK); /* one position for both */
		verify(buf, 1, 1000 + CHUNK, CHUNK);
		close(fd);
		CHECK_ERRNO(pread(fd, buf, CHUNK, 0), EBADF);
		_exit(0);
	}
	CHECK(waitpid(c, &st, 0) == c && st == 0);
	CHECK(lseek(fd, 0, SEEK_CUR) == 1000 + 2 * CHUNK);
	CHECK(read(fd, buf, CHUNK) == CHUNK);
	verify(buf, 1, 1000 + 2 * CHUNK, CHUNK);
	warm(fd, 1);
	c = vfork();
	if (!c) {
		close(fd); /* its own table */
		_exit(0);
	}
	CHECK(waitpid(c, &st, 0) == c && st == 0);
	warm(fd, 1);
	/* inherited over exec */
	CHECK(!pipe(p));
	lseek(fd, 0, SEEK_SET);
	c = fork();
	if (!c) {
		dup2(fd, 0);
		dup2(p[1], 1);
		execlp("sh", "sh", "-c", "head -c 200000; cat", NULL);
		_exit(1);
	}
	close(p[1]);
	size_t off = 0;
	for (ssize_t n; (n = read(p[0], buf, sizeof buf)) > 0; off += (size_t)n)
		verify(buf, 1, off, (size_t)n);
	CHECK(off == SIZE);
	CHECK(waitpid(c, &st, 0) == c && st == 0);
	unlink(name);
}

struct reader { int fd; unsigned seed; volatile bool *stop; };
static void *reading(void *arg)
{
	struct reader *r = arg;
	char *b = malloc(CHUNK);
	for (unsigned i = 0; !*r->stop; i++) {
		size_t off = i * 4096ul % (SIZE - CHUNK);
		ssize_t n = pread(r->fd, b, CHUNK, (off_t)off);
		if (n < 0) {
			CHECK(errno == EBADF);
			continue;
		}
		CHECK(n == CHUNK);
		/* all of it of one of the two files that the number may stand for */
		unsigned seed = (unsigned char)(b[0] - (char)at(0, off));
		CHECK(seed == 1 || seed == 2);
		verify(b, seed, off, CHUNK);
	}
	return NULL;
}

TEST_TIMEOUT(threads_close_and_reopen, 60)
{
	volatile bool end = false;
	int fd = make(2);
	char other[80];
	snprintf(other, sizeof other, "%s.b", name);
	CHECK(!rename(name, other));
	close(fd);
	fd = make(1);
	struct reader r = { fd, 0, &end };
	pthread_t t[3];
	for (int i = 0; i < 3; i++)
		CHECK(!pthread_create(&t[i], NULL, reading, &r));
	struct timespec ms = { 0, 1000000 };
	for (int i = 0; i < 300; i++) {
		int o = open(i % 2 ? name : other, O_RDONLY);
		CHECK(o >= 0);
		if (i % 3) {
			CHECK(dup2(o, fd) == fd);
			close(o);
		} else {
			close(fd);
			if (o != fd) {
				CHECK(dup2(o, fd) == fd);
				close(o);
			}
		}
		nanosleep(&ms, NULL);
	}
	end = true;
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	unlink(name);
	unlink(other);
}

static volatile int alarms;
static void on_alarm(int sig) { alarms++; (void)sig; }

TEST_TIMEOUT(signals_meanwhile, 60)
{
	int fd = make(1);
	struct itimerval it = { { 0, 300 }, { 0, 300 } };
	struct sigaction a = { .sa_handler = on_alarm };
	warm(fd, 1);
	sigaction(SIGALRM, &a, NULL);
	setitimer(ITIMER_REAL, &it, NULL);
	for (int i = 0; i < 20000 && alarms < 500; i++) {
		memset(buf, 0xee, 65536);
		CHECK(lseek(fd, i % 1000, SEEK_SET) == i % 1000);
		CHECK(read(fd, buf, 65536) == 65536);
		CHECK(lseek(fd, 0, SEEK_CUR) == i % 1000 + 65536);
		verify(buf, 1, (size_t)(i % 1000), 65536);
	}
	unlink(name);
}

TEST(holes)
{
	int fd = make(1);
	struct stat a, b;
	warm(fd, 1);
	CHECK(!ftruncate(fd, 0));
	CHECK(!ftruncate(fd, 8 << 20));
	CHECK(!fstat(fd, &a));
	for (int i = 0; i < 1000; i++) {
		CHECK(pread(fd, buf, 65536, i % 100 * 65536) == 65536);
		CHECK(!buf[0] && !buf[65535]);
	}
	CHECK(!fstat(fd, &b) && a.st_blocks == b.st_blocks); /* reading fills none */
	unlink(name);
}

/* A file of the system, and a copy of it that is written to while it is open for reading. */
TEST(system_file)
{
	static char want[300000], got[300000];
	int fd = open("/bin/sh", O_RDONLY);
	ssize_t n = pread(fd, want, sizeof want, 0);
	CHECK(n > 65536);
	for (int i = 0; i < 200; i++)
		CHECK(pread(fd, got, sizeof got, 0) == n && !memcmp(got, want, (size_t)n));
	struct stat st;
	CHECK(!fstat(fd, &st));
	CHECK(pread(fd, got, sizeof got, st.st_size - 100) == 100);
	CHECK(pread(fd, got, sizeof got, st.st_size) == 0);
}
