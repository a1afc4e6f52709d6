/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
TEST(mmap_basic)
{
	char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, ANON, -1, 0);
	CHECK(p != MAP_FAILED && p[0] == 0 && p[3 * 4096 - 1] == 0);
	memset(p, 1, 3 * 4096);
	CHECK(!munmap(p + 4096, 4096));
	CHECK(p[0] == 1 && p[2 * 4096] == 1);
	CHECK_ERRNO(syscall(SYS_mincore, p + 4096, 4096, p), ENOMEM);
	CHECK(mmap(p + 4096, 4096, PROT_READ, ANON | MAP_FIXED, -1, 0) == p + 4096 && p[4096] == 0);
	CHECK(mmap(p, 4096, PROT_READ, ANON | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
	CHECK(mmap(NULL, 0, PROT_READ, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 99, 0) == MAP_FAILED && errno == EBADF);
	CHECK(mmap(NULL, 1UL << 60, PROT_READ, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK_ERRNO(munmap(p + 1, 4096), EINVAL);
	CHECK(!munmap(p, 3 * 4096));
}

TEST(mprotect_)
{
	char *p = mmap(NULL, 2 * 4096, PROT_READ | PROT_WRITE, ANON, -1, 0);
	p[0] = 1;
	CHECK(!mprotect(p, 4096, PROT_READ));
	int st = CHILD_STATUS(p[0] = 2);
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
	CHECK(!mprotect(p, 4096, PROT_READ | PROT_WRITE));
	p[0] = 3;
	CHECK_ERRNO(mprotect(p + 1, 4096, PROT_READ), EINVAL);
	munmap(p + 4096, 4096);
	CHECK_ERRNO(mprotect(p, 2 * 4096, PROT_READ), ENOMEM);
	unsigned char *x = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, ANON, -1, 0);
	memcpy(x, "\xb8\x2a\0\0\0\xc3", 6);
	CHECK_EQ(((int (*)(void))x)(), 42);
}

TEST(mremap_)
{
	char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, ANON, -1, 0);
	memset(p, 5, 4 * 4096);
	char *q = mremap(p, 4 * 4096, 2 * 4096, 0);
	CHECK(q == p);
	q = mremap(p, 2 * 4096, 64 * 4096, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q[0] == 5 && q[2 * 4096 - 1] == 5 && q[2 * 4096] == 0);
	char *to = mmap(NULL, 64 * 4096, PROT_NONE, ANON, -1, 0);
	CHECK(mremap(q, 64 * 4096, 64 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to && to[0] == 5);
	CHECK(mremap(to + 1, 4096, 4096, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mremap(q, 4096, 8192, 0) == MAP_FAILED && errno == EFAULT);
}

/* What was moved, then grown in its place, is one mapping still. */
TEST(mremap_moved_and_grown)
{
	char *room = mmap(NULL, 256 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *p = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(room != MAP_FAILED && p != MAP_FAILED && !munmap(room, 256 * 4096));
	memset(p, 7, 8 * 4096);
	CHECK(mremap(p, 8 * 4096, 8 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room);
	CHECK(mremap(room, 8 * 4096, 16 * 4096, 0) == room && room[8 * 4096 - 1] == 7 && room[8 * 4096] == 0);
	room[16 * 4096 - 1] = 9;
	CHECK(mremap(room, 16 * 4096, 32 * 4096, MREMAP_MAYMOVE | MREMAP_FIXED, room + 100 * 4096) == room + 100 * 4096);
	p = room + 100 * 4096;
	CHECK(p[0] == 7 && p[8 * 4096] == 0 && p[16 * 4096 - 1] == 9 && p[32 * 4096 - 1] == 0);
	CHECK(!munmap(p, 32 * 4096));
}

TEST(shared_between_processes)
{
	volatile int *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int st = CHILD_STATUS(*p = 77);
	CHECK(st == 0 && *p == 77);
}

TEST(file_mappings)
{
	int fd = open("f", O_CREAT | O_RDWR, 0600);
	char page[4096];
	memset(page, 'a', sizeof page);
	CHECK(write(fd, page, 4096) == 4096 && write(fd, "tail", 4) == 4);
	char *s = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), *v = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(s != MAP_FAILED && v != MAP_FAILED && s[0] == 'a' && !memcmp(v + 4096, "tail", 5));
	v[0] = 'p';
	CHECK(s[0] == 'a');
	s[1] = 's';
	char c;
	CHECK(pread(fd, &c, 1, 1) == 1 && c == 's');
	CHECK(pwrite(fd, "W", 1, 2) == 1 && s[2] == 'W');
	int st = CHILD_STATUS({ s[3] = 'c'; _exit(0); });
	CHECK(st == 0 && s[3] == 'c');
	CHECK(!msync(s, 8192, MS_SYNC));
	int ro = open("f", O_RDONLY);
	CHECK(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, ro, 0) == MAP_FAILED && errno == EACCES);
	char *r = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ro, 0);
	CHECK_ERRNO(mprotect(r, 4096, PROT_WRITE), EACCES);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 1) == MAP_FAILED && errno == EINVAL);
	CHECK(!ftruncate(fd, 0));
	close(fd);
}

/* Files are mapped again and again, through new descriptors of old files and old descriptors of files that go, by parents and children. */
TEST_TIMEOUT(files_mapped_again, 60)
{
	char name[4][32], *host;
	int fd[4] = { -1, -1, -1, -1 }, gen[4], hfd = open("/proc/self/exe", O_RDONLY);
	unsigned x = 12345;

	for (int i = 0; i < 4; i++) {
		sprintf(name[i], "/tmp/again.%d.%d", getpid(), i);
		gen[i] = -1;
	}
	for (int turn = 0; turn < 3000; turn++) {
		int i = (x = x * 1103515245 + 12345) >> 16 & 3, op = x >> 20 & 15;
		volatile int *p;

		if (op == 0 || gen[i] < 0) { /* another file of that name; maybe nobody has the old one any more */
			int w = open(name[i], O_CREAT | O_RDWR, 0600), v[2048] = { turn };

			CHECK(w >= 0);
			unlink(name[i]);
			close(w);
			w = open(name[i], O_CREAT | O_EXCL | O_RDWR, 0600);
			v[1024] = turn + 1;
			CHECK(w >= 0 && write(w, v, sizeof v) == sizeof v);
			if (fd[i] >= 0)
				close(fd[i]);
			fd[i] = x & 0x1000000 ? w : open(name[i], O_RDONLY);
			if (fd[i] != w)
				close(w);
			gen[i] = turn;
		} else if (op == 1) {
			int again = open(name[i], O_RDONLY);

			CHECK(again >= 0 && dup2(again, fd[i]) == fd[i]);
			close(again);
		} else if (op == 2 && !(x & 0xf000000)) {
			int st = CHILD_STATUS({
				for (int k = 0; k < 4; k++) {
					p = gen[k] < 0 ? NULL : mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd[k], 4096);
					if (p && (p == MAP_FAILED || *p != gen[k] + 1))
						_exit(1);
					close(fd[k]);
				}
				_exit(0);
			});
			CHECK_EQ(st, 0);
		} else {
			p = mmap(NULL, 4096, PROT_READ | (x & 0x10000000 ? PROT_WRITE : 0), x & 0x20000000 && !(x & 0x10000000) ? MAP_SHARED : MAP_PRIVATE,
				 fd[i], x & 0x40000000 ? 4096 : 0);
			CHECK(p != MAP_FAILED);
			CHECK_EQ(*p, gen[i] + !!(x & 0x40000000));
			if (x & 0x10000000)
				*p = -1;
			CHECK(!munmap((void *)p, 4096));
			host = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, hfd, 0);
			CHECK(host != MAP_FAILED && !memcmp(host, "\177ELF", 4) && !munmap(host, 4096));
		}
	}
	for (int i = 0; i < 4; i++) {
		unlink(name[i]);
		errno = 0;
		char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd[i], 0);
		CHECK(p == MAP_FAILED ? errno == EACCES && (fcntl(fd[i], F_GETFL) & O_ACCMODE) == O_RDONLY : (p[4] = 1));
	}
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, hfd, 0) == MAP_FAILED && errno == EACCES);
}

/* Nothing but zeros behind what was written, however the file got longer. */
TEST(mapped_after_truncate)
{
	int dirt = 0, fds[64];
	for (int i = 0; i < 64; i++) {
		char buf[1024];
		memset(buf, 0x55, sizeof buf);
		fds[i] = memfd_create("m", 0);
		CHECK(fds[i] >= 0 && write(fds[i], buf, i % 2 ? sizeof buf : 10) == (i % 2 ? (ssize_t)sizeof buf : 10));
	}
	for (int i = 0; i < 64; i += 2) {
		CHECK(!ftruncate(fds[i], 8192 - i));
		char *p = mmap(NULL, 8192, PROT_READ, MAP_SHARED, fds[i], 0);
		CHECK(p != MAP_FAILED && p[9] == 0x55);
		for (int k = 10; k < 8192; k++)
			dirt += p[k] != 0;
		CHECK(!munmap(p, 8192));
	}
	for (int i = 0; i < 64; i++)
		close(fds[i]);
	CHECK_EQ(dirt, 0);
}

TEST(brk_)
{
	char *b = sbrk(0);
	CHECK(sbrk(100000) == b);
	b[99999] = 1;
	CHECK(sbrk(-100000) == b + 100000);
	/* More than the machine has, and still so when it grows by less afterwards. */
	long now = syscall(SYS_brk, 0);
	for (int i = 0; i < 3; i++)
		CHECK_EQ(syscall(SYS_brk, now + (4L << 40)), now);
	CHECK_EQ(syscall(SYS_brk, now + 4096), now + 4096);
	*(volatile char *)now = 1;
}

TEST(advice)
{
	char *p = mmap(NULL, 4 * 4096, PROT_READ | PROT_WRITE, ANON, -1, 0);
	memset(p, 1, 4 * 4096);
	CHECK(!madvise(p, 4096, MADV_DONTNEED) && p[0] == 0 && p[4096] == 1);
	CHECK_ERRNO(madvise(p, 4096, 9999), EINVAL);
	CHECK(!madvise(p, 4096, MADV_DONTFORK));
	int st = CHILD_STATUS(*(volatile char *)p = 1);
	CHECK(WIFSIGNALED(st));
	unsigned char vec[4];
	CHECK(!mincore(p, 4 * 4096, vec));
	CHECK(!mlock(p + 4096, 4096) && !munlock(p + 4096, 4096));
}

static int deep(int n) { volatile char pad[4096]; pad[0] = n; return n ? deep(n - 1) + pad[0] * 0 : 0; }
TEST(stack_grows) { CHECK_EQ(deep(1500), 0); }

TEST(stack_limit)
{
	int st = CHILD_STATUS(deep(100000));
	CHECK(WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

TEST(bad_pointers)
{
	int fd = open("/dev/zero", O_RDONLY);
	CHECK_ERRNO(read(fd, (void *)8, 10), EFAULT);
	CHECK_ERRNO(read(fd, (void *)0xffff800000000000UL, 10), EFAULT);
	char *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, ANON, -1, 0);
	munmap(p + 4096, 4096);
	CHECK_ERRNO(open((char *)p + 4096, O_RDONLY), EFAULT);
	memset(p, 'x', 4096);
	CHECK_ERRNO(open(p + 4000, O_RDONLY), EFAULT);
	int pfd[2];
	CHECK(!pipe(pfd) && write(pfd[1], "abc", 3) == 3);
	CHECK_ERRNO(write(pfd[1], p + 4090, 100), EFAULT);
	CHECK_ERRNO(pipe((int *)(p + 4096)), EFAULT);
	CHECK_ERRNO(stat("/", (struct stat *)(p + 4090)), EFAULT);
}

TEST(limits)
{
	struct rlimit r = { 64 << 20, 64 << 20 };
	CHECK(!setrlimit(RLIMIT_AS, &r));
	CHECK(mmap(NULL, 128 << 20, PROT_READ, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
}

TEST(many_maps)
{
	char *p = mmap(NULL, 2000 * 4096, PROT_NONE, ANON, -1, 0);
	for (int i = 0; i < 2000; i += 2)
		CHECK(!mprotect(p + i * 4096L, 4096, PROT_READ | PROT_WRITE));
	for (int i = 0; i < 2000; i += 2)
		p[i * 4096L] = i;
	for (int i = 0; i < 2000; i += 2)
		CHECK(p[i * 4096L] == (char)i);
	CHECK(!munmap(p, 2000 * 4096));
}
TEST(residency)
{
	long ps = 4096;
	unsigned char vec[16];
	char *p = mmap(NULL, 16 * ps, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(p, 16 * ps, MADV_NOHUGEPAGE);
	p[ps] = p[5 * ps] = 1;
	CHECK(!mincore(p, 16 * ps, vec));
	for (int i = 0; i < 16; i++)
		CHECK((vec[i] & 1) == (i == 1 || i == 5));
	CHECK(!mlock(p, 4 * ps) && !mincore(p, 16 * ps, vec) && (vec[0] & 1) && (vec[3] & 1) && !(vec[4] & 1));
	CHECK(!munlock(p, 4 * ps) && !madvise(p, 16 * ps, MADV_DONTNEED) && !mincore(p, 16 * ps, vec) && !(vec[1] & 1));
	char *s = mmap(NULL, 16 * ps, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	s[2 * ps] = 1;
	CHECK(!mincore(s, 16 * ps, vec) && !(vec[0] & 1) && (vec[2] & 1) && !(vec[3] & 1));
	CHECK(!munmap(s + ps, ps));
	CHECK_ERRNO(mincore(s, 16 * ps, vec), ENOMEM);
	CHECK_ERRNO(mincore(p + 1, ps, vec), EINVAL);
	CHECK_ERRNO(mincore(p, ps, (void *)8), EFAULT);
	/* the same by pagemap and smaps */
	p[ps] = 1;
	uint64_t w[2];
	int fd = open("/proc/self/pagemap", O_RDONLY);
	CHECK(fd >= 0 && pread(fd, w, 16, (long)p / ps * 8) == 16 && !(w[0] >> 63) && (w[1] >> 63));
	CHECK_ERRNO(pread(fd, w, 7, 0), EINVAL);
	char line[256], want[64];
	bool in = false;
	long rss = -1;
	FILE *f = fopen("/proc/self/smaps", "r");
	while (fgets(line, sizeof line, f)) {
		snprintf(want, sizeof want, "%lx-", (long)p);
		unsigned long a, b;
		if (sscanf(line, "%lx-%lx ", &a, &b) == 2)
			in = a <= (unsigned long)p && (unsigned long)p < b;
		if (in && rss < 0)
			sscanf(line, "Rss: %ld", &rss);
	}
	CHECK(rss >= 4);
}
