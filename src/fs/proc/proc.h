/* SPDX-License-Identifier: Apache-2.0 */
/* proc.h: the "proc" file system, proc(5). */
#ifndef BAILEY_FS_PROC_H
#define BAILEY_FS_PROC_H
#include "vfs/vfs.h"

struct kernel;
struct task;

/* Before the jail closes: remembers the host's /proc/cpuinfo and the like, which the kernel process cannot reach later. */
void proc_read_host(void);
char task_state_char(struct task *t); /* as in /proc/PID/stat */
/* Registers "proc" (data ignored; shows the PID namespace of the task that mounts it, the root one's outside tasks) and "sysfs". */
void proc_register(void);
void sys_register(void);
void debugfs_register(void);
/* A file in /proc/net (of every network namespace): show writes its text. t: the task whose namespace is looked at, counted by
 * the caller (t->net_ns). From init functions only. */
void proc_net_register(const char *name, int (*show)(struct task *t, struct strbuf *b));
/* The same for /proc/sysvipc (t: the reader). */
void proc_sysvipc_register(const char *name, int (*show)(struct task *t, struct strbuf *b));

#endif
