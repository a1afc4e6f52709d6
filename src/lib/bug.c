/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/lib.h"
#include <stdarg.h>
#ifdef BAILEY_DEBUG
#include <execinfo.h>
#endif
#include <stdio.h>
#include <unistd.h>

/* No stdio streams: the lock of one may be what is broken. */
void bug(const char *file, int line, const char *fmt, ...)
{
	char msg[512];
	va_list ap;
	int n = snprintf(msg, sizeof(msg), "bailey: BUG at %s:%d: ", file, line);

	va_start(ap, fmt);
	int m = vsnprintf(msg + n, sizeof(msg) - (size_t)n - 1, fmt, ap);
	va_end(ap);
	n = MIN(n + MAX(m, 0), (int)sizeof(msg) - 2);
	msg[n++] = '\n';
	if (write(log_fd(), msg, (size_t)n) < 0)
		(void)!write(STDERR_FILENO, msg, (size_t)n);
#ifdef BAILEY_DEBUG
	void *frames[40]; /* log_init() has loaded what this needs, before the jail closed */
	backtrace_symbols_fd(frames, backtrace(frames, ARRAY_SIZE(frames)), log_fd());
#endif
	abort();
}
