/* SPDX-License-Identifier: Apache-2.0 */
/* socket.h: the socket core: what socket(2) and its family do before and after a family's own work.
 * A family is a folder that fills socket_family and socket_ops. Results: 0 or positive, or -errno. Ops may park. */
#ifndef BAILEY_NET_SOCKET_H
#define BAILEY_NET_SOCKET_H
#include "kernel/task.h"
#include <fcntl.h>
#include <sys/socket.h>

#define MSG_CMSG_COMPAT_ 0x80000000U
#define MAX_RW 0x7ffff000UL /* the most bytes of one call, MAX_RW_COUNT */
#define SOCKET_CONTROL_MAX (128 * 1024) /* bytes of control data in one message */

struct socket;
struct sock_async;
/* One message on its way. Addresses and control data are in kernel memory. */
struct kmsg {
	struct iov_iter *iter;
	unsigned flags;		      /* MSG_ of the call, MSG_DONTWAIT set for O_NONBLOCK */
	unsigned out_flags;	      /* recv: msg_flags for the caller */
	struct sockaddr_storage name; /* send: destination (name_len 0: none); recv: source */
	socklen_t name_len;
	bool want_name;
	uint8_t *control;	      /* send: the caller's; recv: room of control_cap bytes, filled by kmsg_put_cmsg */
	size_t control_len, control_cap;
};
/* recv: append a control message; sets MSG_CTRUNC when there is no room. Bytes of payload that fit. */
size_t kmsg_put_cmsg(struct kmsg *m, int level, int type, const void *data, size_t len);

struct socket_ops {
	int (*bind)(struct socket *s, const struct sockaddr_storage *a, socklen_t len);
	int (*connect)(struct socket *s, const struct sockaddr_storage *a, socklen_t len, bool nonblock);
	int (*listen)(struct socket *s, int backlog);
	int (*accept)(struct socket *s, bool nonblock, struct socket **out); /* name: the peer's, through getname */
	int (*getname)(struct socket *s, struct sockaddr_storage *a, bool peer); /* length or -errno */
	ssize_t (*sendmsg)(struct socket *s, struct kmsg *m);
	ssize_t (*recvmsg)(struct socket *s, struct kmsg *m);
	int (*shutdown)(struct socket *s, int how);
	int (*setsockopt)(struct socket *s, int level, int opt, const void *val, socklen_t len); /* -ENOPROTOOPT: not mine */
	int (*getsockopt)(struct socket *s, int level, int opt, void *val, socklen_t *len);
	unsigned (*poll)(struct socket *s, struct file *f, struct poll_table *pt);
	long (*ioctl)(struct socket *s, unsigned cmd, uint64_t arg);
	void (*release)(struct socket *s);
	int (*pair)(struct socket *a, struct socket *b); /* socketpair(2); NULL: EOPNOTSUPP */
};
struct socket {
	int family, type, protocol; /* immutable */
	const struct socket_ops *ops;
	void *private;
	struct file *file;   /* borrowed; NULL until there is one */
	uint64_t ino;	     /* of its file */
	ktime_t rcvtimeo, sndtimeo; /* ns; KTIME_MAX: none */
	bool passcred; /* netlink; unix has its own */
	struct { int keepalive, broadcast, reuseaddr, reuseport, dontroute, oobinline, priority, rcvlowat; struct linger linger; } opt; /* socket_keep_option */
	_Atomic bool nospace; /* AF_UNIX: a sender found it full, so that room is worth a SIGIO */
	struct sock_async *async; /* owned; O_ASYNC: inode.lock of the file */
};
struct socket_family {
	int family;
	int (*create)(struct kernel *k, struct socket *s); /* type and protocol are set; fills ops and private */
};
extern const struct socket_family unix_family, inet_family, inet6_family, netlink_family;

/* task_wait() for a waiter of which one is enough. */
#define socket_wait_exclusive(wq, cond, deadline)                                                                      \
	({                                                                                                             \
		int sw_ret_ = 0;                                                                                       \
		if (!(cond)) {                                                                                         \
			task_will_block(current);                                                                      \
			sw_ret_ = wait_event_exclusive((wq), (cond), PARK_INTERRUPTIBLE, (deadline));                  \
			if (sw_ret_ == -EINTR)                                                                         \
				sw_ret_ = -ERESTARTSYS;                                                                \
		}                                                                                                      \
		sw_ret_;                                                                                               \
	})

struct net_namespace; /* what hangs off a network namespace; the root's is kernel.net */
void net_open_host(void); /* inside the network namespace, before the jail closes */
int net_init(struct kernel *k); /* from boot, after kernel_init */
int socket_create(struct kernel *k, int family, int type, int protocol, struct socket **out);
int socket_setsockopt(struct socket *s, int level, int opt, const void *val, socklen_t len);
int socket_getsockopt(struct socket *s, int level, int opt, void *val, socklen_t *len);
struct socket *socket_new(int family, int type, int protocol);
int socket_file(struct socket *s, unsigned flags, struct file **out); /* takes the socket over */
struct socket *file_socket(struct file *f); /* NULL: not a socket */
void netlink_post(struct socket *s, const void *data, size_t n); /* a message of the kernel's own to an AF_NETLINK socket */
ktime_t socket_deadline(ktime_t timeout); /* ktime_mono deadline of a timeout that starts now */
int socket_sigpipe(struct kmsg *m); /* sends SIGPIPE unless MSG_NOSIGNAL: -EPIPE */
/* SOL_SOCKET options that a family without use for them remembers, as Linux does for every socket. -ENOPROTOOPT: none of these. */
int socket_keep_option(struct socket *s, int opt, const void *val, socklen_t len);
int socket_kept_option(struct socket *s, int opt, void *val, socklen_t *len);
/* Get and set an int option with Linux's length rules. */
int sockopt_put_int(void *val, socklen_t *len, int v);

#endif
