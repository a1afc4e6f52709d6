/* SPDX-License-Identifier: Apache-2.0 */
/* pipe.h: pipes and FIFOs (pipe(7), fifo(7)). */
#ifndef BAILEY_FS_PIPE_PIPE_H
#define BAILEY_FS_PIPE_PIPE_H
#include "vfs/vfs.h"

#define PIPE_MAX_SIZE (1u << 20) /* /proc/sys/fs/pipe-max-size */

void pipe_init(void); /* at start: tells vfs how FIFOs are opened */
/* Both ends, counted. flags: O_NONBLOCK, O_DIRECT. 0 or -errno */
int pipe_create(unsigned flags, struct file **reader, struct file **writer);

/* For splice(2), tee(2), vmsplice(2). */
bool file_is_pipe(struct file *f);
/* Two ends of one pipe? splice and tee refuse that. */
bool pipe_is_same(struct file *a, struct file *b);
/* Wait for something to read (room to write): 1, 0 at end of file (reader only), -EAGAIN, -EPIPE (with SIGPIPE), -ERESTARTSYS. */
int pipe_wait_readable(struct file *f, bool nonblock);
int pipe_wait_writable(struct file *f, bool nonblock);
/* Take bytes out to kernel memory or put them in, without waiting: bytes, 0 when empty (full). */
size_t pipe_pull(struct file *f, void *buf, size_t n);
size_t pipe_push(struct file *f, const void *buf, size_t n);
/* Undo the tail of a pipe_pull() that could not be delivered: the bytes are read next. The pipe may be over-full then. */
void pipe_unpull(struct file *f, const void *buf, size_t n);
/* tee(2): copies up to n bytes that stay in `in`. Bytes, 0 at end of file, or -errno. */
ssize_t pipe_tee(struct file *in, struct file *out, size_t n, bool nonblock);

#endif
