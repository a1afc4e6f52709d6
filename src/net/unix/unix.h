/* SPDX-License-Identifier: Apache-2.0 */
/* unix.h: AF_UNIX stream, seqpacket and datagram sockets (unix(7)): what the files of this folder share.
 *
 * OVERVIEW  Every socket has a queue of received messages (struct skb). Sending appends to the peer's queue: a message carries its
 *   bytes, the sender's credentials and the files of SCM_RIGHTS. A sender is charged for its messages until they are read (wmem against
 *   sndbuf); a datagram socket that is not its sender's own peer also bounds the number of messages in its queue. A stream connect makes
 *   the server's end at once and queues it at the listener; accept hands it out.
 * LIFECYCLE  A unix_sock is counted: by its socket, by the peer's pointer, by the listener's queue, by messages that it sent. The tables
 *   of names do not count: a socket leaves them when it is closed. A stream's peer pointer stays until the socket itself is closed, so that
 *   getpeername works on; a closed socket has no peer, which breaks the cycle. Files on their way are collected by gc.c.
 * LOCKS  unix_core.gc_lock (RANK_SOCKET) outside unix_sock.lock (RANK_SOCKET, two by address: lock_two) outside net.unix_lock (leaf).
 *   unix_sock.recv_lock (sleep) serialises the readers of a stream and is held while bytes are copied. Only the reader takes messages out
 *   of the queue, but for close, when there are no readers. Files and messages are released outside locks.
 */
#ifndef BAILEY_NET_UNIX_H
#define BAILEY_NET_UNIX_H
#include "net/net_ns.h"
#include "net/socket.h"
#include "vfs/internal.h"
#include <sys/un.h>

#define UNIX_SNDBUF 212992
#define UNIX_MAX_DGRAM_QLEN 10
#define SCM_MAX_FD_K 253
#define SUN_PATH_AT ((int)offsetof(struct sockaddr_un, sun_path))

struct scm_files { /* of one message */
	struct scm_files *next;	/* gc.c */
	struct unix_user *user;	/* whose files are in flight; NULL: not counted yet */
	unsigned n;
	struct file *f[]; /* counted */
};
struct scm { /* what travels beside the bytes */
	struct pid *pid; /* counted; NULL: no credentials */
	kuid_t uid;
	kgid_t gid;
	struct scm_files *files; /* owned */
};
struct skb {
	TAILQ_ENTRY(skb) link;
	struct scm scm;
	struct unix_sock *from; /* counted: who sent it and pays for it */
	uint32_t len, off, truesize;
	uint8_t data[];
};
TAILQ_HEAD(skb_list, skb);

enum unix_state { UNIX_CLOSED, UNIX_LISTEN, UNIX_CONNECTED };
enum { RCV_SHUTDOWN = 1, SEND_SHUTDOWN = 2 };
struct unix_sock {
	struct refcount ref;
	int type;	 /* immutable */
	struct net_namespace *net;
	_Atomic uint32_t wmem;	 /* truesize of what it sent and nobody has read */
	struct wait_queue wait;	     /* readers, writers, pollers of this socket */
	struct wait_queue peer_wait; /* who waits for room in this socket's queue (messages, or connections) */
	struct sleeplock recv_lock;
	struct mutex lock; /* guards until the next heading */
	_Atomic enum unix_state state;
	struct unix_sock *peer;	 /* counted; of a stream: immutable until close once connected */
	bool dead;		 /* released */
	bool passcred, passpidfd;
	struct skb_list rx;
	size_t rx_bytes;
	unsigned rx_count, shutdown; /* RCV_SHUTDOWN, SEND_SHUTDOWN */
	_Atomic int error;
	int sndbuf, rcvbuf;
	unsigned backlog, nqueued;
	TAILQ_HEAD(, unix_sock) accept_queue;
	TAILQ_ENTRY(unix_sock) accept_link;
	struct wait_entry relay; /* in the full peer's peer_wait: wakes `wait` */
	struct unix_sock *relay_on;
	struct pid *peer_pid;	 /* SO_PEERCRED; of a listener: what connectors see. Counted */
	struct cred *peer_cred;	 /* counted */
	/* net.unix_lock */
	struct socket *sk; /* borrowed; NULL before accept and after close */
	struct sockaddr_un name;
	int name_len; /* 0: unnamed */
	struct path bound; /* counted; dentry NULL unless bound to a file */
	LIST_ENTRY(unix_sock) abstract_link, all_link;
	bool abstract;
	bool binding;
	/* gc_lock */
	unsigned inflight; /* how often its file is in queues */
	unsigned gc_refs;
	struct file *gc_file; /* borrowed while inflight */
	LIST_ENTRY(unix_sock) inflight_link;
	struct unix_sock *gc_next;
	bool gc_candidate;
};

/* sock.c */
struct unix_sock *unix_sock_new(struct net_namespace *net, int type);
struct unix_sock *unix_sock_hold(struct unix_sock *u);
void unix_sock_put(struct unix_sock *u);
void lock_two(struct unix_sock *a, struct unix_sock *b);
void unlock_two(struct unix_sock *a, struct unix_sock *b);
struct unix_sock *unix_peer_get(struct unix_sock *u); /* counted or NULL */
struct skb *skb_new(struct unix_sock *from, size_t len); /* charged; NULL: no memory */
void skb_free(struct skb *b);
void unix_relay_off_locked(struct unix_sock *u);
int unix_sock_error(struct unix_sock *u); /* takes SO_ERROR's value: 0 or -errno */
extern const struct socket_ops unix_ops;

/* name.c */
int unix_check_name(const struct sockaddr_storage *a, socklen_t len, struct sockaddr_un *un);
int unix_find(struct net_namespace *net, const struct sockaddr_un *un, int len, int type, struct unix_sock **out);
int unix_autobind(struct unix_sock *u);
int unix_bind(struct socket *s, const struct sockaddr_storage *a, socklen_t len);
int unix_copy_name(struct unix_sock *u, struct sockaddr_storage *out);
int unix_getname(struct socket *s, struct sockaddr_storage *a, bool peer);
void unix_unname(struct unix_sock *u); /* at close */

/* connect.c */
int unix_pair(struct socket *a, struct socket *b);
int unix_listen(struct socket *s, int backlog);
int unix_accept(struct socket *s, bool nonblock, struct socket **out);
int unix_connect(struct socket *s, const struct sockaddr_storage *a, socklen_t len, bool nonblock);
void unix_dgram_disconnected(struct unix_sock *u, struct unix_sock *other);

/* send.c, recv.c */
ssize_t unix_sendmsg(struct socket *s, struct kmsg *m);
ssize_t unix_recvmsg(struct socket *s, struct kmsg *m);
static inline bool unix_dgram_full(struct unix_sock *u, struct unix_sock *p) /* may u not send to p now? */
{
	return p != u && READ_ONCE(p->peer) != u && READ_ONCE(p->rx_count) > UNIX_MAX_DGRAM_QLEN;
}
/* What a wait that ended with r (0, -ETIMEDOUT, -ERESTARTSYS) means for a call with this timeout. */
static inline int unix_wait_error(int r, ktime_t timeout)
{
	return r == -ETIMEDOUT ? -EAGAIN : r == -ERESTARTSYS && timeout != KTIME_MAX ? -EINTR : r;
}

/* scm.c */
int unix_scm_send(struct unix_sock *u, struct kmsg *m, struct scm *scm);
void unix_scm_add_creds(struct scm *scm); /* the running task's */
void unix_scm_recv(struct unix_sock *u, struct kmsg *m, struct scm *scm);
void unix_scm_free(struct unix_core *c, struct scm *scm);
struct scm_files *unix_scm_files_dup(struct unix_core *c, struct skb *b); /* for a peek: new references; b->from's lock held by nobody */

/* gc.c */
int unix_inflight_add(struct unix_core *c, struct scm_files *fs); /* -ETOOMANYREFS */
void unix_inflight_del(struct unix_core *c, struct scm_files *fs);
void unix_files_free(struct unix_core *c, struct scm_files *fs);
void unix_gc_tick(struct unix_core *c); /* something happened after which there may be garbage: collect, now and then */
void unix_gc_barrier_lock(struct unix_core *c);
void unix_gc_barrier_unlock(struct unix_core *c);

/* options.c */
int unix_setsockopt(struct socket *s, int level, int opt, const void *val, socklen_t len);
int unix_getsockopt(struct socket *s, int level, int opt, void *val, socklen_t *len);

static inline struct inode *unix_path_inode(const struct path *p) { return dentry_inode(p->dentry); }
#endif
