/* SPDX-License-Identifier: Apache-2.0 */
/* systable.h: the shape of the system call table. The kernel is handed one at kernel_init(); its rows are in syscalls/table.c. */
#ifndef BAILEY_KERNEL_SYSTABLE_H
#define BAILEY_KERNEL_SYSTABLE_H
#include "kernel/task.h"

typedef long syscall_fn(struct task *t, const struct syscall_args *a);

enum support { SUPPORT_NONE, SUPPORT_PARTIAL, SUPPORT_FULL };
/* How strace shows an argument, and (STR, IN_*) what travels with the call. */
enum arg_format {
	ARG_NONE, ARG_INT, ARG_LONG, ARG_UNSIGNED, ARG_HEX, ARG_OCTAL, ARG_FD, ARG_DIRFD, ARG_POINTER,
	ARG_PATH,	/* string in */
	ARG_STRV,	/* char *argv[] */
	ARG_BUF_IN,	/* length in the next argument */
	ARG_BUF_OUT,	/* length: the result */
	ARG_OPEN_FLAGS, ARG_MMAP_PROT, ARG_MMAP_FLAGS, ARG_SIGNAL, ARG_SIGSET, ARG_CLONE_FLAGS, ARG_WHENCE, ARG_PID,
	ARG_TIMESPEC_IN, ARG_TIMEVAL_IN, ARG_SOCKADDR_IN /* length next */, ARG_EPOLL_EVENT_IN, ARG_FUTEX_OP, ARG_IOCTL, ARG_AF,
	ARG_IN_8, ARG_IN_16, ARG_IN_24, ARG_IN_32, ARG_IN_64 /* structs of that many bytes, in */,
};
struct syscall_row {
	const char *name;
	syscall_fn *fn;	   /* NULL: -ENOSYS and one log line */
	uint8_t support;   /* enum support */
	uint8_t args[6];   /* enum arg_format */
	const char *note;  /* why it is partial or absent: shown to the operator */
};
#define SYSCALL_MAX 512
struct syscall_table { const struct syscall_row *rows; unsigned count; };

#endif
