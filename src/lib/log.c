/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/log.h"
#include "lib/lib.h"
#ifdef BAILEY_DEBUG
#include <execinfo.h>
#endif
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum log_level log_level = LOG_WARN;
static int log_fd_ = STDERR_FILENO;
static bool log_crlf;

void log_init(int fd, enum log_level level)
{
	log_fd_ = fd;
	log_level = level;
#ifdef BAILEY_DEBUG
	void *frame;
	backtrace(&frame, 1);
#endif
}

void log_set_crlf(void)
{
	log_crlf = true;
}

int log_fd(void)
{
	return log_fd_;
}

/* Guests can cause warnings: no more than a screenful a second. False: drop it; *lost is how many were, when they may flow again. */
static bool within_rate(enum log_level level, unsigned *lost)
{
	static _Atomic int64_t second;
	static _Atomic unsigned count, dropped;
	struct timespec ts;

	*lost = 0;
	if (level != LOG_WARN || log_level > LOG_WARN)
		return true;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	if (atomic_exchange(&second, ts.tv_sec) != ts.tv_sec) {
		atomic_store(&count, 0);
		*lost = atomic_exchange(&dropped, 0);
	}
	if (atomic_fetch_add(&count, 1) < 40)
		return true;
	atomic_fetch_add(&dropped, 1);
	return false;
}

/* One write(2) a record, so that records of several processes do not mix. */
void log_write(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = { "", "warning: ", "info: ", "debug: " };
	int saved = errno;
	unsigned lost;
	char buf[1024];
	va_list ap;

	if (!within_rate(level, &lost))
		return;
	if (lost)
		log_write(LOG_WARN, "%u more warnings in between", lost);
	int n = snprintf(buf, sizeof(buf), "bailey: %s", names[level]);

	va_start(ap, fmt);
	int m = vsnprintf(buf + n, sizeof(buf) - (size_t)n, fmt, ap);
	va_end(ap);
	n = MIN(n + MAX(m, 0), (int)sizeof(buf) - 3);
	/* Names of guest programs stand in records: they must not drive a terminal, or look like a record. */
	for (int i = 0; i < n; i++)
		if ((unsigned char)buf[i] < 32 || buf[i] == 127)
			buf[i] = '?';
	if (log_crlf)
		buf[n++] = '\r';
	buf[n++] = '\n';
	(void)!write(log_fd_, buf, (size_t)n);
	errno = saved;
}
