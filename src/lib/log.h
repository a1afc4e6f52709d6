/* SPDX-License-Identifier: Apache-2.0 */
/* log.h: one line a record, to the descriptor that the command line chose (text; standard error by default). */
#ifndef BAILEY_LIB_LOG_H
#define BAILEY_LIB_LOG_H
#include <stdarg.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
extern enum log_level log_level; /* set before the first worker starts, immutable afterwards */
void log_init(int fd, enum log_level level);
int log_fd(void);
void log_set_crlf(void); /* the descriptor is a terminal in raw mode */
void log_write(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
#define log_at(l, ...)                                                                                                 \
	do {                                                                                                           \
		if (__builtin_expect((l) <= log_level, 0))                                                             \
			log_write((l), __VA_ARGS__);                                                                   \
	} while (0)
#define log_error(...) log_at(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_at(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_at(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_at(LOG_DEBUG, __VA_ARGS__)

#endif
