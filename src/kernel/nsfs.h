/* SPDX-License-Identifier: Apache-2.0 */
/* nsfs.h: namespaces as files: what /proc/PID/ns/ leads to, ioctl_ns(2), and setns(2) by them. */
#ifndef BAILEY_KERNEL_NSFS_H
#define BAILEY_KERNEL_NSFS_H
#include "kernel/task.h"

enum ns_which { NS_MNT, NS_UTS, NS_IPC, NS_NET, NS_PID, NS_PID_FOR_CHILDREN, NS_USER, NS_TIME, NS_TIME_FOR_CHILDREN, NS_CGROUP };
struct ns_ref { unsigned type; /* CLONE_NEW* */ void *ns; /* counted; NULL for the network's: there is one */ };
/* t's namespace: counted, or -ESRCH when t has let go of it. */
int ns_of_task(struct task *t, enum ns_which which, struct ns_ref *out);
void ns_ref_put(struct ns_ref *r);
uint64_t ns_ref_ino(const struct ns_ref *r);
const char *ns_ref_name(const struct ns_ref *r); /* "mnt" */
int ns_path(struct ns_ref *r /* taken over */, struct path *out); /* where the link leads: counted */
long ns_open_fd(struct ns_ref *r /* taken over */); /* a new descriptor of the caller */
const struct ns_ref *file_ns(struct file *f); /* borrowed; NULL: not a namespace */
long task_setns_ref(struct task *t, const struct ns_ref *r, unsigned type /* 0: any */);

#endif
