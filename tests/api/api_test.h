/* SPDX-License-Identifier: Apache-2.0 */
/* api_test.h: what the tests of libbailey share. A failed CHECK is printed, and the program ends with 1 when all is done. */
#ifndef API_TEST_H
#define API_TEST_H
#include <bailey.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int failures, checks;
#define CHECK(c) (checks++, (c) ? 1 : (failures++, printf("%s:%d: %s failed (bailey: %s; errno: %s)\n", __FILE__, __LINE__, #c, bailey_error(), strerror(errno)), fflush(stdout), 0))
#define CHECK_INT(a, b)                                                                                                       \
	({                                                                                                                     \
		long long a_ = (a), b_ = (b);                                                                                  \
		checks++;                                                                                                      \
		if (a_ != b_) {                                                                                                \
			failures++;                                                                                            \
			printf("%s:%d: %s is %lld, not %lld (bailey: %s)\n", __FILE__, __LINE__, #a, a_, b_, bailey_error()); \
			fflush(stdout);                                                                                        \
		}                                                                                                              \
		a_ == b_;                                                                                                      \
	})

static inline double seconds(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}
static inline void msleep(int ms) { nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000L }, NULL); }

static inline void print_log(void *arg, const char *line) { fprintf(stderr, "  log: %s\n", line); }
static inline bailey_kernel *make_kernel(void)
{
	struct bailey_kernel_options o = BAILEY_KERNEL_OPTIONS_INIT;
	bailey_kernel *k = NULL;

	o.log = print_log;
	if (!CHECK(bailey_kernel_create(&o, &k) == 0))
		exit(1);
	return k;
}

/* sh -c with these descriptors as 0 to 2 (-1: none). */
static inline bailey_process *make_sh(bailey_kernel *k, const char *script, int in, int out, int err, struct bailey_process_options *with)
{
	struct bailey_process_options o = BAILEY_PROCESS_OPTIONS_INIT;
	const char *argv[] = { "sh", "-c", script, NULL };
	struct bailey_fd fds[3];
	bailey_process *p = NULL;

	if (with)
		o = *with;
	o.argv = argv;
	o.fds = fds;
	o.nfds = 0;
	if (in >= 0)
		fds[o.nfds++] = (struct bailey_fd){ 0, in };
	if (out >= 0)
		fds[o.nfds++] = (struct bailey_fd){ 1, out };
	if (err >= 0)
		fds[o.nfds++] = (struct bailey_fd){ 2, err };
	CHECK(bailey_process_create(k, &o, &p) == 0);
	return p;
}
static inline bailey_process *run_sh(bailey_kernel *k, const char *script, int out)
{
	bailey_process *p = make_sh(k, script, -1, out, 2, NULL);
	if (p)
		CHECK(bailey_process_start(p) == 0);
	return p;
}

/* Runs it to its end: what it printed (static), and *e. */
static inline const char *output_of(bailey_kernel *k, const char *script, struct bailey_process_options *with, struct bailey_exit *e)
{
	static char buf[65536];
	size_t len = 0;
	ssize_t n;
	int p[2];

	if (!CHECK(pipe2(p, O_CLOEXEC) == 0))
		return "";
	bailey_process *pr = make_sh(k, script, -1, p[1], p[1], with);
	close(p[1]);
	if (pr && CHECK(bailey_process_start(pr) == 0)) {
		while (len < sizeof(buf) - 1 && (n = read(p[0], buf + len, sizeof(buf) - 1 - len)) > 0)
			len += (size_t)n;
		CHECK(bailey_process_wait(pr, 20000, e) == 0);
	}
	bailey_process_free(pr);
	close(p[0]);
	buf[len] = 0;
	return buf;
}
#define CHECK_OUTPUT(k, script, with, want)                                                                            \
	({                                                                                                             \
		struct bailey_exit e_;                                                                                 \
		const char *o_ = output_of(k, script, with, &e_);                                                      \
		if (strcmp(o_, want))                                                                                  \
			printf("output: \"%s\", not \"%s\"\n", o_, want);                                              \
		CHECK(!strcmp(o_, want));                                                                              \
	})

static inline int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}
static inline long rss_kb(void)
{
	long size, rss;
	FILE *f = fopen("/proc/self/statm", "r");
	if (!f || fscanf(f, "%ld %ld", &size, &rss) != 2)
		rss = -1;
	if (f)
		fclose(f);
	return rss * 4;
}

/* A sanitizer's quarantine grows for long. */
#ifdef __SANITIZE_ADDRESS__
#define RSS_SLACK (64 << 10)
#else
#define RSS_SLACK 256
#endif

static inline int done(void)
{
	printf("%d checks, %d failed\n", checks, failures);
	return failures != 0;
}

#endif
