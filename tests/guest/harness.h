/* SPDX-License-Identifier: Apache-2.0 */
/* harness.h: guest tests. Each TEST() is a case in a process of its own with a timeout; the program prints TAP and exits 0 when all
 * passed. The runner runs every program natively first and then inside Bailey: a case that fails natively is wrong.
 *
 *   TEST(name) { CHECK(x == y); CHECK_ERRNO(open(...), ENOENT); }        TEST_TIMEOUT(name, 30) { ... }
 *   int main() is supplied. `program NAME...` runs only those cases. SKIP("why") leaves a case out.
 */
#ifndef BAILEY_TESTS_HARNESS_H
#define BAILEY_TESTS_HARNESS_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct harness_case { const char *name; void (*fn)(void); int timeout; struct harness_case *next; };
static struct harness_case *harness_cases, **harness_tail = &harness_cases;
static inline void harness_add(struct harness_case *c)
{
	*harness_tail = c;
	harness_tail = &c->next;
}
#define TEST_TIMEOUT(name_, secs)                                                                                      \
	static void test_##name_(void);                                                                                \
	static struct harness_case case_##name_ = { #name_, test_##name_, secs, NULL };                                \
	static void __attribute__((constructor)) reg_##name_(void) { harness_add(&case_##name_); }                     \
	static void test_##name_(void)
#define TEST(name_) TEST_TIMEOUT(name_, 20)

static inline void __attribute__((noreturn, format(printf, 3, 4))) harness_fail(const char *file, int line, const char *fmt, ...)
{
	char b[512];
	int n = snprintf(b, sizeof b, "# %s:%d: ", file, line);
	va_list ap;
	va_start(ap, fmt);
	n += vsnprintf(b + n, sizeof b - n - 1, fmt, ap);
	va_end(ap);
	if (n > (int)sizeof b - 2)
		n = sizeof b - 2;
	b[n++] = '\n';
	(void)!write(1, b, n);
	_exit(1);
}
#define CHECK(cond)                                                                                                    \
	do {                                                                                                           \
		if (!(cond))                                                                                           \
			harness_fail(__FILE__, __LINE__, "%s (errno %d %s)", #cond, errno, strerror(errno));            \
	} while (0)
#define CHECK_EQ(a, b)                                                                                                 \
	do {                                                                                                           \
		long long a_ = (long long)(a), b_ = (long long)(b);                                                    \
		if (a_ != b_)                                                                                          \
			harness_fail(__FILE__, __LINE__, "%s is %lld, not %s = %lld (errno %d %s)", #a, a_, #b, b_, errno, strerror(errno)); \
	} while (0)
#define CHECK_ERRNO(call, err)                                                                                         \
	do {                                                                                                           \
		errno = 0;                                                                                             \
		long long r_ = (long long)(call);                                                                      \
		if (r_ != -1 || errno != (err))                                                                        \
			harness_fail(__FILE__, __LINE__, "%s gave %lld, errno %d %s, not %s", #call, r_, errno, strerror(errno), #err); \
	} while (0)
#define SKIP(why)                                                                                                      \
	do {                                                                                                           \
		printf("# skip: %s\n", why);                                                                           \
		fflush(stdout);                                                                                        \
		_exit(77);                                                                                             \
	} while (0)
/* A child that runs the block and exits 0, waited for: CHILD_OK({ ... }) */
#define CHILD_STATUS(...)                                                                                              \
	({                                                                                                             \
		fflush(stdout);                                                                                        \
		pid_t p_ = fork();                                                                                     \
		if (!p_) {                                                                                             \
			__VA_ARGS__;                                                                                   \
			_exit(0);                                                                                      \
		}                                                                                                      \
		int st_ = -1;                                                                                          \
		CHECK(p_ > 0 && waitpid(p_, &st_, 0) == p_);                                                           \
		st_;                                                                                                   \
	})
static inline void msleep(int ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000L };
	while (nanosleep(&t, &t) && errno == EINTR)
		;
}
static inline double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	int n = 0, bad = 0;
	char dir[] = "/tmp/guest.XXXXXX";
	if (!mkdtemp(dir) || chdir(dir)) {
		perror(dir);
		return 2;
	}
	for (struct harness_case *c = harness_cases; c; c = c->next) {
		bool wanted = argc < 2;
		for (int i = 1; i < argc; i++)
			wanted |= !strcmp(argv[i], c->name);
		if (!wanted)
			continue;
		n++;
		fflush(stdout);
		pid_t p = fork();
		if (p < 0) {
			perror("fork");
			return 2;
		}
		if (!p) {
			setpgid(0, 0);
			alarm(c->timeout);
			if (mkdir(c->name, 0755) || chdir(c->name)) /* each case has a directory of its own */
				_exit(2);
			c->fn();
			fflush(stdout);
			_exit(0);
		}
		int st;
		while (waitpid(p, &st, 0) < 0 && errno == EINTR)
			;
		kill(-p, SIGKILL);
		bool skip = WIFEXITED(st) && WEXITSTATUS(st) == 77, ok = skip || (WIFEXITED(st) && !WEXITSTATUS(st));
		if (!ok && WIFSIGNALED(st))
			printf("# killed by signal %d%s\n", WTERMSIG(st), WTERMSIG(st) == SIGALRM ? " (timeout)" : "");
		printf("%sok %d %s%s\n", ok ? "" : "not ", n, c->name, skip ? " # SKIP" : "");
		bad += !ok;
	}
	printf("1..%d\n", n);
	fflush(stdout);
	(void)!chdir("/");
	execl("/bin/sh", "sh", "-c", "rm -rf \"$0\"; exit $1", dir, bad ? "1" : "0", NULL);
	return 1;
}
#endif
