/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/log.h"
#include "lib/lib.h"
#ifdef BAILEY_DEBUG
#include <execinfo.h>
#endif
#include <stdio.h>
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

/* One write(2) a record, so that records of several processes do not mix. */
void log_write(enum log_level level, const char *fmt, ...)
{
	static const char *const names[] = { "", "warning: ", "info: ", "debug: " };
	int saved = errno;
	char buf[1024];
	va_list ap;
	int n = snprintf(buf, sizeof(buf), "bailey: %s", names[level]);

	va_start(ap, fmt);
	int m = vsnprintf(buf + n, sizeof(buf) - (size_t)n, fmt, ap);
	va_end(ap);
	n = MIN(n + MAX(m, 0), (int)sizeof(buf) - 3);
	if (log_crlf)
		buf[n++] = '\r';
	buf[n++] = '\n';
	(void)!write(log_fd_, buf, (size_t)n);
	errno = saved;
}
