/* SPDX-License-Identifier: Apache-2.0 */
/* epoll.h: epoll(7). */
#ifndef BAILEY_FS_ANON_EPOLL_H
#define BAILEY_FS_ANON_EPOLL_H
#include "vfs/vfs.h"

struct epoll_event_k { uint32_t events; uint64_t data; } __attribute__((packed)); /* struct epoll_event, x86-64 */
_Static_assert(sizeof(struct epoll_event_k) == 12, "struct epoll_event");

void epoll_init(void); /* at start: vfs_hooks.epoll_release, and inotify_register() */
int epoll_create_file(struct file **out);
bool file_is_epoll(struct file *f);
/* epoll_ctl(2) on open files; ev is not used by EPOLL_CTL_DEL. */
int epoll_ctl_file(struct file *epf, int op, struct file *target, int fd, const struct epoll_event_k *ev);
/* epoll_wait(2): events to the guest at uev. deadline: ktime_mono, 0: do not wait. Number, -EFAULT or -EINTR. */
long epoll_wait_file(struct file *epf, uaddr_t uev, int maxevents, ktime_t deadline);

/* The skip-th file watched under number fd, to compare its address; -EINVAL: epf is no epoll instance, -ENOENT. */
int epoll_watched(struct file *epf, int fd, unsigned skip, const struct file **out);

/* wait_queue_wake_nr() from a wake-up callback, for a queue outside the one whose lock is held. Was anybody woken? */
bool wait_queue_wake_nested(struct wait_queue *q, unsigned key, int nr_exclusive);

#endif
