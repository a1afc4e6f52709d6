/* SPDX-License-Identifier: Apache-2.0 */
/* aio.h: Linux's asynchronous I/O, io_setup(2) and its family. */
#ifndef BAILEY_KERNEL_AIO_H
#define BAILEY_KERNEL_AIO_H
#include "kernel/task.h"

long aio_setup(struct task *t, unsigned nr, uint64_t *id);
long aio_destroy(struct task *t, uint64_t id);
long aio_submit(struct task *t, uint64_t id, long nr, uaddr_t iocbs);
long aio_cancel(struct task *t, uint64_t id, uaddr_t iocb);
/* -EINTR: interrupted before there was any. deadline: ktime_mono, 0: do not wait */
long aio_getevents(struct task *t, uint64_t id, long min, long nr, uaddr_t events, ktime_t deadline);

#endif
