/* SPDX-License-Identifier: Apache-2.0 */
/* inet.h: AF_INET, AF_INET6 and AF_NETLINK (route) on the host's stack, inside the sandbox's own network namespace.
 *
 * OVERVIEW  A guest socket is a non-blocking host socket. A call that the host answers with EAGAIN parks the fiber until the poller
 *   says that the descriptor is ready. Addresses, options and control messages are checked against what is known here: nothing else
 *   reaches the host.
 *   The bytes of a connection both whose ends are in this kernel do not go there: fuse.c.
 * READINESS  From the first time that somebody sleeps, the poller (edge-triggered) writes what it saw into `ready`. A call that uses
 *   something up takes its bit away *before* it asks the host, so that whatever arrives later sets it again; where the answer does not tell
 *   what is left, INET_IN_UNKNOWN or INET_OUT_UNKNOWN takes the bit's place. Thus a reader of a drained socket sleeps, and an event loop
 *   learns the state of all its sockets, without a host call. A caller that does not sleep is not content with that: what was sent a moment
 *   ago may not have been seen by the poller. It asks the host.
 * LOCKS  inet_sock.lock (RANK_SOCKET) guards the registration with the poller; the host serialises the rest.
 */
#ifndef BAILEY_NET_INET_H
#define BAILEY_NET_INET_H
#include "net/net_ns.h"
#include "net/socket.h"
#include <sys/queue.h>

#define INET_IN_UNKNOWN (1u << 24)
#define INET_OUT_UNKNOWN (1u << 25)
#define INET_ERR_UNKNOWN (1u << 26)
#define INET_UNKNOWN (INET_IN_UNKNOWN | INET_OUT_UNKNOWN | INET_ERR_UNKNOWN)
#define INET_TROUBLE (EPOLLERR | EPOLLHUP | EPOLLRDHUP | EPOLLPRI | INET_ERR_UNKNOWN) /* ask the host */
#define INET_READABLE (EPOLLIN | INET_IN_UNKNOWN | INET_TROUBLE)
#define INET_WRITABLE (EPOLLOUT | INET_OUT_UNKNOWN | EPOLLERR | EPOLLHUP | INET_ERR_UNKNOWN)

struct fuse_end;
struct fuse_table;
struct fuse_key { uint8_t client[16], server[16]; uint16_t client_port, server_port; };

struct inet_sock {
	int fd; /* owned, non-blocking */
	_Atomic bool polled;
	_Atomic unsigned ready; /* EPOLL bits, INET_*_UNKNOWN; means nothing before polled */
	struct wait_queue wait;
	struct mutex lock;
	struct host_poll poll; /* lock */
	struct netlink_note *notes; /* AF_NETLINK: messages of this kernel, oldest first; lock */

	/* fuse.c */
	_Atomic(struct fuse_end *) end; /* of a connection that is, or was, fused; set once, by accept() */
	_Atomic(struct fuse_table *) noted; /* waits there for its accept(); written with the table lock, as the next three */
	LIST_ENTRY(inet_sock) fuse_link;
	struct fuse_key fuse_key;
	size_t host_sent;
	bool no_fuse, corked, sndbuf_set, rcvbuf_set; /* accepted sockets have their listener's */
};

/* ---- fuse.c: connections inside this kernel ---- */
#define FUSE_BUF_MAX 65536
struct fuse_buf {
	STAILQ_ENTRY(fuse_buf) link;
	uint32_t off, len, cap;
	uint8_t data[];
};
#define FUSE_OFF (-4095) /* not by this way: ask the host */
struct fuse_table *fuse_table_create(void);
bool inet_fused(struct inet_sock *i);
void fuse_note_connect(struct socket *s); /* the host has begun a connection */
ssize_t fuse_send_noted(struct inet_sock *i, const void *buf, size_t n, unsigned flags); /* through the host, while it is noted; or FUSE_OFF */
void fuse_forget(struct inet_sock *i);	  /* it is not to be fused */
void fuse_accept(struct socket *s, const struct sockaddr_storage *peer);
void fuse_defuse(struct inet_sock *i);
void fuse_close(struct inet_sock *i, bool disconnect);
void fuse_release(struct inet_sock *i);
struct fuse_buf *fuse_buf_new(struct inet_sock *i, size_t n); /* n <= FUSE_BUF_MAX; of a socket that has an `end` */
void fuse_buf_free(struct inet_sock *i, struct fuse_buf *b);
ssize_t fuse_push(struct socket *s, struct kmsg *m, const void *buf, size_t n, struct fuse_buf **own, ktime_t *deadline);
ssize_t fuse_recv(struct socket *s, struct kmsg *m, size_t n, unsigned flags, ktime_t *deadline);
unsigned fuse_poll(struct socket *s);
size_t fuse_unread(struct inet_sock *i);
size_t fuse_unsent(struct inet_sock *i);
void fuse_counts(struct inet_sock *i, uint64_t *sent, uint64_t *received);
void fuse_uncork(struct inet_sock *i);
void fuse_bounds_changed(struct inet_sock *i);

static inline long host_result(long r) { return r < 0 ? -errno : r; }
int inet_watch(struct inet_sock *i);	   /* from now on the poller keeps `ready` and wakes `wait` */
unsigned inet_refresh(struct inet_sock *i); /* asks the host for everything */
static inline void inet_forget(struct inet_sock *i) { atomic_fetch_or(&i->ready, INET_UNKNOWN); } /* the state changed otherwise */
static inline int inet_wait_error(int r, ktime_t timeout)
{
	return r == -ETIMEDOUT ? -EAGAIN : r == -ERESTARTSYS && timeout != KTIME_MAX ? -EINTR : r;
}
/* Sleep until something in `bits` may be so. 0 or the call's error. */
int inet_wait(struct inet_sock *i, unsigned bits, ktime_t *deadline, ktime_t timeout);
int inet_socket(struct socket *s); /* makes the host's socket */

ssize_t inet_sendmsg(struct socket *s, struct kmsg *m);
ssize_t inet_recvmsg(struct socket *s, struct kmsg *m);
int inet_setsockopt(struct socket *s, int level, int opt, const void *val, socklen_t len);
int inet_getsockopt(struct socket *s, int level, int opt, void *val, socklen_t *len);
long inet_ioctl(struct socket *s, unsigned cmd, uint64_t arg);
/* Messages to the host's routing tables: one that changes nothing is made to say so. */
void netlink_check(uint8_t *buf, size_t n);
ssize_t netlink_take_note(struct inet_sock *i, struct msghdr *h, unsigned flags); /* a message of this kernel, or -EAGAIN */
void netlink_drop_notes(struct inet_sock *i);
#endif
