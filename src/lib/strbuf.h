/* SPDX-License-Identifier: Apache-2.0 */
/* strbuf.h: a string that grows. Start from a zeroed struct; s is NUL-terminated once anything was written, NULL before. */
#ifndef BAILEY_LIB_STRBUF_H
#define BAILEY_LIB_STRBUF_H
#include <stddef.h>

struct strbuf { char *s; size_t len, cap; };
void strbuf_printf(struct strbuf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strbuf_write(struct strbuf *b, const void *p, size_t n);
void strbuf_puts(struct strbuf *b, const char *s);
void strbuf_free(struct strbuf *b);

#endif
