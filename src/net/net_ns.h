/* SPDX-License-Identifier: Apache-2.0 */
/* net_ns.h: what hangs off a network namespace. */
#ifndef BAILEY_NET_NET_NS_H
#define BAILEY_NET_NET_NS_H
#include "lib/lib.h"
#include "sched/sched.h"

#define UNIX_HASH_SIZE 256
struct unix_sock;
struct net_namespace {
	struct refcount ref;
	struct mutex unix_lock; /* RANK_LEAF: names of AF_UNIX sockets */
	LIST_HEAD(, unix_sock) unix_names[UNIX_HASH_SIZE];
	unsigned unix_next;
};

enum { CAP_SETGID_ = 6, CAP_SETUID_ = 7, CAP_NET_BIND_SERVICE_ = 10, CAP_NET_ADMIN_ = 12, CAP_NET_RAW_ = 13, CAP_SYS_ADMIN_ = 21 };

#endif
