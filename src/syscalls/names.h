/* SPDX-License-Identifier: Apache-2.0 */
/* names.h: path arguments. Most are short: they stay on the stack. */
#ifndef BAILEY_SYSCALLS_NAMES_H
#define BAILEY_SYSCALLS_NAMES_H
#include "mm/uaccess.h"
#include "syscalls/proto.h"
#include "vfs/vfs.h"

struct name {
	char *s;
	char small[256];
};
#define DECLARE_NAME(n) __attribute__((cleanup(name_done), uninitialized)) struct name n; (n).s = (n).small

static inline void name_done(struct name *n)
{
	if (unlikely(n->s != n->small))
		free(n->s);
}

/* 0, -EFAULT or -ENAMETOOLONG */
static inline int name_get(struct name *n, uaddr_t addr)
{
	ssize_t len = strncpy_from_user(n->small, addr, sizeof(n->small));

	if (unlikely(len == -ENAMETOOLONG)) {
		char *s = malloc(4096);
		if (!s)
			return -ENOMEM;
		n->s = s;
		len = strncpy_from_user(s, addr, 4096);
	}
	return len < 0 ? (int)len : 0;
}

static inline struct file *arg_file(struct task *t, uint64_t fd, bool *counted) { return fd_get_light(t->fdt, (int)fd, counted); }

#endif
