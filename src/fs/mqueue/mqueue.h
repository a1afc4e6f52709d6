/* SPDX-License-Identifier: Apache-2.0 */
/* mqueue.h: POSIX message queues (mq_overview(7)) and the "mqueue" file system that shows them. */
#ifndef BAILEY_FS_MQUEUE_H
#define BAILEY_FS_MQUEUE_H
#include "kernel/task.h"

struct mq_attr_k { int64_t flags, maxmsg, msgsize, curmsgs, reserved[4]; };
_Static_assert(sizeof(struct mq_attr_k) == 64, "mq_attr");

void mqueue_register(void);
/* name: without the leading slash, as the C library hands it over. attr: NULL for the defaults. */
long mqueue_open(struct task *t, const char *name, int oflag, uint32_t mode, const struct mq_attr_k *attr);
long mqueue_unlink(struct task *t, const char *name);
/* deadline: ktime_mono */
long mqueue_send(struct task *t, int fd, uaddr_t msg, size_t len, unsigned prio, ktime_t deadline);
long mqueue_receive(struct task *t, int fd, uaddr_t msg, size_t len, uaddr_t prio, ktime_t deadline);
/* how: SIGEV_SIGNAL, SIGEV_NONE, or SIGEV_THREAD: then the cookie goes by `post` to `sock`, which is counted and taken over on success. Its
 * last byte says why. */
#define MQ_COOKIE_LEN 32
enum { MQ_WOKENUP = 1, MQ_REMOVED = 2 };
struct mq_notify_k {
	uint64_t value;
	int signo, how;
	struct file *sock;
	void (*post)(struct file *sock, const uint8_t *cookie);
	uint8_t cookie[MQ_COOKIE_LEN];
};
long mqueue_notify(struct task *t, int fd, const struct mq_notify_k *n /* NULL: no more */);
long mqueue_getsetattr(struct task *t, int fd, const struct mq_attr_k *set, struct mq_attr_k *old);

#endif
