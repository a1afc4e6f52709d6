/* SPDX-License-Identifier: Apache-2.0 */
/* net_ns.h: what hangs off a network namespace. */
#ifndef BAILEY_NET_NET_NS_H
#define BAILEY_NET_NET_NS_H
#include "lib/lib.h"
#include "sched/sched.h"

#define UNIX_HASH_SIZE 256
struct unix_sock;
struct fuse_table; /* TCP connections whose two ends are in this kernel; inet/fuse.c */
struct unix_core; /* AF_UNIX's files in flight, of the whole kernel; unix/gc.c */
struct net_namespace {
	struct refcount ref;
	struct unix_core *unix_core; /* immutable */
	struct mutex unix_lock; /* RANK_LEAF: names of AF_UNIX sockets, and the list of all */
	LIST_HEAD(, unix_sock) unix_names[UNIX_HASH_SIZE];
	LIST_HEAD(, unix_sock) unix_socks;
	unsigned unix_next;
	struct fuse_table *fuse; /* immutable */
	int control_fd; /* a host socket for the ioctls of interfaces, or -1; immutable */
};
struct unix_core *unix_core_create(void);
void net_proc_init(void); /* registers the files of /proc/net */
struct strbuf;
struct task;
long net_dev_ioctl(int fd, unsigned cmd, uint64_t arg); /* on the host's socket fd; -ENOIOCTLCMD: not one of interfaces */
int unix_proc_show(struct task *t, struct strbuf *b);

enum { CAP_SETGID_ = 6, CAP_SETUID_ = 7, CAP_NET_BIND_SERVICE_ = 10, CAP_NET_ADMIN_ = 12, CAP_NET_RAW_ = 13, CAP_SYS_ADMIN_ = 21,
       CAP_SYS_RESOURCE_ = 24 };

#endif
