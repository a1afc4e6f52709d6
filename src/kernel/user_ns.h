/* SPDX-License-Identifier: Apache-2.0 */
/* user_ns.h: user namespaces of guests. */
#ifndef BAILEY_KERNEL_USER_NS_H
#define BAILEY_KERNEL_USER_NS_H
#include "kernel/task.h"

int user_ns_new_cred(struct task *t, struct cred **out); /* t's in a new namespace, with every capability there */
/* /proc/PID/{uid_map,gid_map,setgroups}: text is scribbled on. 0 or -errno */
int user_ns_write_map(struct task *t, struct user_namespace *ns, bool gid, char *text);
int user_ns_write_setgroups(struct task *t, struct user_namespace *ns, const char *text);
bool user_ns_may_setgroups(struct user_namespace *ns);

#endif
