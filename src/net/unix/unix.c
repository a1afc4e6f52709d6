/* SPDX-License-Identifier: Apache-2.0 */
/* unix.c: AF_UNIX stream, seqpacket and datagram sockets (unix(7)).
 *
 * OVERVIEW  Every socket has a queue of received messages (struct skb). Sending appends to the peer's queue: a message carries its
 *   bytes, the sender's credentials and the files of SCM_RIGHTS. A stream connect makes the server's end at once and queues it at the
 *   listener; accept hands it out.
 * LIFECYCLE  A unix_sock is counted: by its socket, by the peer's pointer, by the listener's queue, by the names table.
 * LOCKS  unix_sock.lock (RANK_SOCKET) guards one socket; two are only taken by address order (lock_two). net_namespace.unix_lock is a leaf
 *   and guards the table of abstract names and inode->unix_sock. Files in messages are released outside locks.
 */
#include "net/net_ns.h"
#include "net/socket.h"
#include "vfs/internal.h"
#include <netinet/in.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/un.h>

#define UNIX_SNDBUF 212992
#define UNIX_MAX_DGRAM_QLEN 10
#define SCM_MAX_FD_K 253

struct scm { /* what travels beside the bytes */
	struct pid *pid; /* counted; NULL: no credentials */
	kuid_t uid;
	kgid_t gid;
	unsigned nfiles;
	struct file **files; /* counted; owned array */
};
struct skb {
	TAILQ_ENTRY(skb) link;
	struct scm scm;
	struct unix_sock *from; /* counted: a datagram's sender, for its name and to wake it */
	size_t len, off;
	uint8_t data[];
};
TAILQ_HEAD(skb_list, skb);

enum unix_state { UNIX_CLOSED, UNIX_LISTEN, UNIX_CONNECTED };
struct unix_sock {
	struct refcount ref;
	int type;	 /* immutable */
	struct net_namespace *net;
	struct mutex lock; /* guards all below but `wait` and the name */
	enum unix_state state;
	struct unix_sock *peer;	 /* counted */
	bool peer_gone;		 /* a connected peer was closed */
	bool dead;		 /* released */
	struct skb_list rx;
	size_t rx_bytes;
	unsigned rx_count, shutdown; /* RCV_SHUTDOWN 1, SEND_SHUTDOWN 2 */
	int error, sndbuf, rcvbuf;
	unsigned backlog, nqueued;
	TAILQ_HEAD(, unix_sock) accept_queue;
	TAILQ_ENTRY(unix_sock) accept_link;
	struct wait_queue wait;	      /* readers, writers, pollers of this socket */
	struct wait_queue peer_wait;  /* senders that wait for room in this socket's queue */
	struct pid *peer_pid;	      /* SO_PEERCRED; counted */
	kuid_t peer_uid;
	kgid_t peer_gid;
	struct pid *listen_pid;	      /* credentials that connectors see: the listener's at listen(2) */
	kuid_t listen_uid;
	kgid_t listen_gid;
	/* net.unix_lock */
	struct sockaddr_un name;
	int name_len; /* 0: unnamed */
	struct path bound;    /* counted; dentry NULL unless bound to a file */
	LIST_ENTRY(unix_sock) abstract_link;
	bool abstract;
};
enum { RCV_SHUTDOWN = 1, SEND_SHUTDOWN = 2 };

static void sock_put(struct unix_sock *u);

static struct unix_sock *sock_hold(struct unix_sock *u)
{
	refcount_get(&u->ref);
	return u;
}

static struct unix_sock *sock_new(struct net_namespace *net, int type)
{
	struct unix_sock *u = new(struct unix_sock);
	refcount_init(&u->ref);
	u->type = type;
	u->net = net;
	mutex_init(&u->lock, RANK_SOCKET);
	TAILQ_INIT(&u->rx);
	TAILQ_INIT(&u->accept_queue);
	wait_queue_init(&u->wait);
	wait_queue_init(&u->peer_wait);
	u->sndbuf = u->rcvbuf = UNIX_SNDBUF;
	return u;
}

static void scm_free(struct scm *s)
{
	for (unsigned i = 0; i < s->nfiles; i++)
		file_put(s->files[i]);
	free(s->files);
	if (s->pid)
		pid_put(s->pid);
	memset(s, 0, sizeof(*s));
}

static void skb_free(struct skb *b)
{
	scm_free(&b->scm);
	if (b->from)
		sock_put(b->from);
	free(b);
}

static void sock_put(struct unix_sock *u)
{
	if (!refcount_put(&u->ref))
		return;
	struct skb *b;
	while ((b = TAILQ_FIRST(&u->rx))) {
		TAILQ_REMOVE(&u->rx, b, link);
		skb_free(b);
	}
	if (u->peer)
		sock_put(u->peer);
	if (u->peer_pid)
		pid_put(u->peer_pid);
	if (u->listen_pid)
		pid_put(u->listen_pid);
	if (u->bound.dentry)
		path_put(&u->bound);
	free(u);
}

static void lock_two(struct unix_sock *a, struct unix_sock *b)
{
	if (a == b) {
		mutex_lock(&a->lock);
		return;
	}
	if (a > b) {
		struct unix_sock *x = a;
		a = b;
		b = x;
	}
	mutex_lock(&a->lock);
	mutex_lock_nested(&b->lock);
}

static void unlock_two(struct unix_sock *a, struct unix_sock *b)
{
	mutex_unlock(&a->lock);
	if (a != b)
		mutex_unlock(&b->lock);
}

/* The peer, counted, or NULL. */
static struct unix_sock *peer_get(struct unix_sock *u)
{
	guard(mutex)(&u->lock);
	return u->peer ? sock_hold(u->peer) : NULL;
}

static void set_peercred(struct unix_sock *u, struct pid *pid, kuid_t uid, kgid_t gid)
{
	if (u->peer_pid)
		pid_put(u->peer_pid);
	if (pid)
		pid_get(pid);
	u->peer_pid = pid;
	u->peer_uid = uid;
	u->peer_gid = gid;
}

static struct pid *current_tgid(void)
{
	return current->tg->leader->pid;
}

static struct inode *path_inode(const struct path *p)
{
	return p->dentry->inode;
}

/* ---- names ---- */

/* The length of a valid address, normalised; a path gets a NUL. -EINVAL otherwise. */
static int check_name(const struct sockaddr_storage *a, socklen_t len, struct sockaddr_un *un)
{
	if (len < offsetof(struct sockaddr_un, sun_path) || len > sizeof(*un) || a->ss_family != AF_UNIX)
		return -EINVAL;
	memset(un, 0, sizeof(*un));
	memcpy(un, a, len);
	if (len > offsetof(struct sockaddr_un, sun_path) && un->sun_path[0])
		len = offsetof(struct sockaddr_un, sun_path) + strnlen(un->sun_path, len - offsetof(struct sockaddr_un, sun_path)) + 1;
	return len;
}

static unsigned unix_hash(const struct sockaddr_un *un, int len)
{
	uint32_t h = 2166136261u;
	for (int i = 0; i < len; i++)
		h = (h ^ ((const uint8_t *)un)[i]) * 16777619u;
	return h % UNIX_HASH_SIZE;
}

static struct unix_sock *abstract_find_locked(struct net_namespace *net, const struct sockaddr_un *un, int len)
{
	struct unix_sock *u;
	LIST_FOREACH(u, &net->unix_names[unix_hash(un, len)], abstract_link)
		if (u->name_len == len && !memcmp(&u->name, un, len))
			return u;
	return NULL;
}

/* The socket with that name, counted: 0, -ECONNREFUSED, or what the path walk says. */
static int find_name(struct net_namespace *net, const struct sockaddr_un *un, int len, int type, struct unix_sock **out)
{
	struct unix_sock *u = NULL;
	if (len <= (int)offsetof(struct sockaddr_un, sun_path))
		return -EINVAL; /* unnamed */
	if (!un->sun_path[0]) {
		guard(mutex)(&net->unix_lock);
		u = abstract_find_locked(net, un, len);
		if (!u || !refcount_try_get(&u->ref))
			return -ECONNREFUSED;
	} else {
		char path[sizeof(un->sun_path) + 1] = { 0 };
		memcpy(path, un->sun_path, sizeof(un->sun_path));
		__free(path) struct path p = { NULL, NULL };
		int r = path_lookup(AT_FDCWD_, path, LOOKUP_FOLLOW, &p);
		if (r) {
			p.dentry = NULL;
			return r;
		}
		struct inode *i = path_inode(&p);
		if ((r = inode_permission(i, MAY_WRITE)))
			return r;
		if (!S_ISSOCK(i->mode))
			return -ECONNREFUSED;
		guard(mutex)(&net->unix_lock);
		u = atomic_load(&i->unix_sock);
		if (!u || !refcount_try_get(&u->ref))
			return -ECONNREFUSED;
	}
	if (u->type != type) {
		sock_put(u);
		return -EPROTOTYPE;
	}
	*out = u;
	return 0;
}

static int autobind(struct unix_sock *u)
{
	guard(mutex)(&u->net->unix_lock);
	if (u->name_len)
		return 0;
	for (int tries = 0; tries < 0x100000; tries++) {
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		char num[8];
		int len = offsetof(struct sockaddr_un, sun_path) + 6;
		snprintf(num, sizeof(num), "%05x", u->net->unix_next++ & 0xfffff);
		memcpy(un.sun_path + 1, num, 5);
		if (abstract_find_locked(u->net, &un, len))
			continue;
		u->name = un;
		u->name_len = len;
		u->abstract = true;
		LIST_INSERT_HEAD(&u->net->unix_names[unix_hash(&un, len)], u, abstract_link);
		return 0;
	}
	return -ENOSPC;
}

static int unix_bind(struct socket *s, const struct sockaddr_storage *a, socklen_t alen)
{
	struct unix_sock *u = s->private;
	struct sockaddr_un un;
	int len = check_name(a, alen, &un);
	if (len < 0)
		return len;
	if (len == offsetof(struct sockaddr_un, sun_path))
		return autobind(u);
	if (!un.sun_path[0]) {
		guard(mutex)(&u->net->unix_lock);
		if (u->name_len)
			return -EINVAL;
		if (abstract_find_locked(u->net, &un, len))
			return -EADDRINUSE;
		u->name = un;
		u->name_len = len;
		u->abstract = true;
		LIST_INSERT_HEAD(&u->net->unix_names[unix_hash(&un, len)], u, abstract_link);
		return 0;
	}
	mutex_lock(&u->net->unix_lock);
	bool bound = u->name_len;
	mutex_unlock(&u->net->unix_lock);
	if (bound)
		return -EINVAL;
	char path[sizeof(un.sun_path) + 1] = { 0 };
	memcpy(path, un.sun_path, sizeof(un.sun_path));
	struct path p;
	mutex_lock(&current->fs->lock);
	uint32_t umask = current->fs->umask;
	mutex_unlock(&current->fs->lock);
	int r = vfs_mknod(AT_FDCWD_, path, S_IFSOCK | (0777 & ~umask), 0, &p);
	if (r)
		return r == -EEXIST ? -EADDRINUSE : r;
	guard(mutex)(&u->net->unix_lock);
	u->name = un;
	u->name_len = len;
	u->bound = p;
	atomic_store(&path_inode(&p)->unix_sock, u);
	return 0;
}

static int copy_name(struct unix_sock *u, struct sockaddr_storage *out)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	guard(mutex)(&u->net->unix_lock);
	int len = u->name_len;
	if (len)
		un = u->name;
	else
		len = offsetof(struct sockaddr_un, sun_path);
	memset(out, 0, sizeof(*out));
	memcpy(out, &un, sizeof(un));
	return len;
}

static int unix_getname(struct socket *s, struct sockaddr_storage *a, bool peer)
{
	struct unix_sock *u = s->private;
	if (!peer)
		return copy_name(u, a);
	struct unix_sock *p = peer_get(u);
	if (!p)
		return -ENOTCONN;
	int len = copy_name(p, a);
	sock_put(p);
	return len;
}

/* ---- connections ---- */

static void make_pair(struct unix_sock *a, struct unix_sock *b)
{
	a->peer = sock_hold(b);
	b->peer = sock_hold(a);
	a->state = b->state = UNIX_CONNECTED;
}

static int unix_pair(struct socket *a, struct socket *b)
{
	struct unix_sock *x = a->private, *y = b->private;
	make_pair(x, y);
	set_peercred(x, current_tgid(), current->cred->euid, current->cred->egid);
	set_peercred(y, current_tgid(), current->cred->euid, current->cred->egid);
	return 0;
}

static int unix_listen(struct socket *s, int backlog)
{
	struct unix_sock *u = s->private;
	if (u->type == SOCK_DGRAM)
		return -EOPNOTSUPP;
	mutex_lock(&u->net->unix_lock);
	bool bound = u->name_len;
	mutex_unlock(&u->net->unix_lock);
	if (!bound)
		return -EINVAL;
	mutex_lock(&u->lock);
	int r = 0;
	if (u->state == UNIX_CONNECTED) {
		r = -EINVAL;
	} else {
		u->state = UNIX_LISTEN;
		u->backlog = backlog;
		if (u->listen_pid)
			pid_put(u->listen_pid);
		u->listen_pid = current_tgid();
		pid_get(u->listen_pid);
		u->listen_uid = current->cred->euid;
		u->listen_gid = current->cred->egid;
	}
	mutex_unlock(&u->lock);
	wait_queue_wake_all(&u->peer_wait, EPOLLOUT);
	return r;
}

static int unix_accept(struct socket *s, bool nonblock, struct socket **out)
{
	struct unix_sock *u = s->private, *n = NULL;
	ktime_t deadline = socket_deadline(s->rcvtimeo);
	for (;;) {
		mutex_lock(&u->lock);
		int r = 0;
		if (u->state != UNIX_LISTEN)
			r = -EINVAL;
		else if ((n = TAILQ_FIRST(&u->accept_queue))) {
			TAILQ_REMOVE(&u->accept_queue, n, accept_link);
			u->nqueued--;
		} else if (u->shutdown & RCV_SHUTDOWN)
			r = -EINVAL;
		mutex_unlock(&u->lock);
		if (r)
			return r;
		if (n)
			break;
		if (nonblock)
			return -EAGAIN;
		r = task_wait(&u->wait, READ_ONCE(u->nqueued) || READ_ONCE(u->shutdown), deadline);
		if (r)
			return r == -ETIMEDOUT ? -EAGAIN : r == -ERESTARTSYS && deadline != KTIME_MAX ? -EINTR : r;
	}
	wait_queue_wake(&u->peer_wait, EPOLLOUT);
	struct socket *ns = socket_new(AF_UNIX, u->type, 0);
	ns->ops = s->ops;
	ns->private = n; /* the queue's reference */
	ns->passcred = s->passcred;
	*out = ns;
	return 0;
}

static int stream_connect(struct socket *s, const struct sockaddr_un *un, int len, bool nonblock)
{
	struct unix_sock *u = s->private, *l, *n;
	ktime_t deadline = socket_deadline(s->sndtimeo);
	int r;
	if (s->passcred && (r = autobind(u)))
		return r;
	for (;;) {
		if ((r = find_name(u->net, un, len, u->type, &l)))
			return r;
		n = sock_new(u->net, u->type);
		lock_two(u, l);
		if (u->state == UNIX_CONNECTED)
			r = -EISCONN;
		else if (u->state == UNIX_LISTEN)
			r = -EINVAL;
		else if (l->state != UNIX_LISTEN || l->dead || l->shutdown & RCV_SHUTDOWN)
			r = -ECONNREFUSED;
		else if (l->nqueued > l->backlog)
			r = -EAGAIN;
		if (!r) {
			u->peer_gone = false;
			make_pair(u, n);
			set_peercred(n, current_tgid(), current->cred->euid, current->cred->egid);
			set_peercred(u, l->listen_pid, l->listen_uid, l->listen_gid);
			mutex_lock(&u->net->unix_lock);
			n->name = l->name; /* the server's end answers to the listener's name */
			n->name_len = l->name_len;
			mutex_unlock(&u->net->unix_lock);
			TAILQ_INSERT_TAIL(&l->accept_queue, n, accept_link);
			l->nqueued++;
		}
		unlock_two(u, l);
		if (!r) {
			wait_queue_wake(&l->wait, EPOLLIN);
			sock_put(l);
			return 0;
		}
		sock_put(n);
		if (r == -EAGAIN && !nonblock) {
			r = task_wait(&l->peer_wait, READ_ONCE(l->nqueued) <= READ_ONCE(l->backlog) || READ_ONCE(l->dead) || READ_ONCE(l->shutdown),
				      deadline);
			sock_put(l);
			if (r)
				return r == -ETIMEDOUT ? -EAGAIN : r == -ERESTARTSYS && deadline != KTIME_MAX ? -EINTR : r;
			continue;
		}
		sock_put(l);
		return r;
	}
}

static int dgram_connect(struct socket *s, const struct sockaddr_storage *a, socklen_t alen)
{
	struct unix_sock *u = s->private, *p = NULL, *old;
	struct sockaddr_un un;
	int r;
	if (alen >= sizeof(sa_family_t) && a->ss_family != AF_UNSPEC) {
		int len = check_name(a, alen, &un);
		if (len < 0)
			return len;
		if (s->passcred && (r = autobind(u)))
			return r;
		if ((r = find_name(u->net, &un, len, u->type, &p)))
			return r;
		mutex_lock(&p->lock);
		/* only the peer that it is connected to may send to a connected socket */
		bool ok = !p->peer || p->peer == u;
		mutex_unlock(&p->lock);
		if (!ok) {
			sock_put(p);
			return -EPERM;
		}
	}
	mutex_lock(&u->lock);
	old = u->peer;
	u->peer = p;
	u->state = p ? UNIX_CONNECTED : UNIX_CLOSED;
	u->peer_gone = false;
	mutex_unlock(&u->lock);
	if (old)
		sock_put(old);
	return 0;
}

static int unix_connect(struct socket *s, const struct sockaddr_storage *a, socklen_t alen, bool nonblock)
{
	struct sockaddr_un un;
	if (s->type == SOCK_DGRAM)
		return alen < sizeof(sa_family_t) ? -EINVAL : dgram_connect(s, a, alen);
	int len = check_name(a, alen, &un);
	return len < 0 ? len : stream_connect(s, &un, len, nonblock);
}

static int unix_shutdown(struct socket *s, int how)
{
	struct unix_sock *u = s->private, *p;
	unsigned bits = how == SHUT_RD ? RCV_SHUTDOWN : how == SHUT_WR ? SEND_SHUTDOWN : 3, other;
	mutex_lock(&u->lock);
	u->shutdown |= bits;
	p = u->peer ? sock_hold(u->peer) : NULL;
	mutex_unlock(&u->lock);
	if (p) {
		if (u->type != SOCK_DGRAM) {
			other = (bits & RCV_SHUTDOWN ? SEND_SHUTDOWN : 0) | (bits & SEND_SHUTDOWN ? RCV_SHUTDOWN : 0);
			mutex_lock(&p->lock);
			p->shutdown |= other;
			mutex_unlock(&p->lock);
			wait_queue_wake_all(&p->wait, EPOLLIN | EPOLLOUT | EPOLLRDHUP | (p->shutdown == 3 ? EPOLLHUP : 0));
			wait_queue_wake_all(&p->peer_wait, EPOLLOUT);
		}
		sock_put(p);
	}
	wait_queue_wake_all(&u->wait, EPOLLIN | EPOLLOUT | EPOLLHUP);
	wait_queue_wake_all(&u->peer_wait, EPOLLOUT);
	return 0;
}

static void close_embryo(struct unix_sock *n);

/* The last descriptor is gone. */
static void unix_close(struct unix_sock *u)
{
	struct unix_sock *p, *n;
	struct skb_list rx = TAILQ_HEAD_INITIALIZER(rx);
	struct skb *b;
	mutex_lock(&u->net->unix_lock);
	if (u->abstract) {
		LIST_REMOVE(u, abstract_link);
		u->abstract = false;
	}
	if (u->bound.dentry) {
		struct unix_sock *x = atomic_load(&path_inode(&u->bound)->unix_sock);
		if (x == u)
			atomic_store(&path_inode(&u->bound)->unix_sock, NULL);
	}
	mutex_unlock(&u->net->unix_lock);
	mutex_lock(&u->lock);
	u->dead = true;
	u->state = UNIX_CLOSED;
	u->shutdown = 3;
	p = u->peer;
	u->peer = NULL;
	bool unread = !TAILQ_EMPTY(&u->rx);
	TAILQ_CONCAT(&rx, &u->rx, link);
	u->rx_bytes = u->rx_count = 0;
	mutex_unlock(&u->lock);
	if (p) {
		struct unix_sock *mine = NULL;
		mutex_lock(&p->lock);
		if (p->peer == u) {
			if (u->type != SOCK_DGRAM) {
				p->shutdown = 3;
				p->peer_gone = true;
				if (unread)
					p->error = ECONNRESET;
			} else {
				mine = p->peer;
				p->peer = NULL;
				p->error = ECONNRESET;
				p->peer_gone = true;
			}
		}
		mutex_unlock(&p->lock);
		wait_queue_wake_all(&p->wait, EPOLLIN | EPOLLOUT | EPOLLHUP | EPOLLRDHUP);
		wait_queue_wake_all(&p->peer_wait, EPOLLOUT);
		if (mine)
			sock_put(mine);
		sock_put(p);
	}
	while ((b = TAILQ_FIRST(&rx))) {
		TAILQ_REMOVE(&rx, b, link);
		skb_free(b);
	}
	while ((n = TAILQ_FIRST(&u->accept_queue))) { /* nobody will accept these */
		TAILQ_REMOVE(&u->accept_queue, n, accept_link);
		close_embryo(n);
	}
	wait_queue_wake_all(&u->wait, EPOLLIN | EPOLLOUT | EPOLLHUP);
	wait_queue_wake_all(&u->peer_wait, EPOLLOUT);
	sock_put(u);
}

static void close_embryo(struct unix_sock *n)
{
	struct unix_sock *p = peer_get(n);
	if (p) {
		mutex_lock(&p->lock);
		p->error = ECONNRESET;
		mutex_unlock(&p->lock);
		sock_put(p);
	}
	unix_close(n);
}

static void unix_release(struct socket *s)
{
	struct unix_sock *u = s->private;
	/* A stream peer keeps pointing here until it closes, as it may still ask for our name: break the cycle. */
	unix_close(u);
}

/* ---- control messages ---- */

static int scm_send(struct kmsg *m, struct scm *scm, bool want_cred)
{
	struct task *t = current;
	size_t at = 0;
	bool cred = want_cred;
	kuid_t uid = t->cred->euid;
	kgid_t gid = t->cred->egid;
	struct pid *pid = NULL;
	int r = 0;
	memset(scm, 0, sizeof(*scm));
	while (m->control_len - at >= sizeof(struct cmsghdr)) {
		struct cmsghdr h;
		memcpy(&h, m->control + at, sizeof(h));
		if (h.cmsg_len < sizeof(h) || h.cmsg_len > m->control_len - at) {
			r = -EINVAL;
			goto fail;
		}
		const uint8_t *data = m->control + at + sizeof(h);
		size_t len = h.cmsg_len - sizeof(h);
		if (h.cmsg_level == SOL_SOCKET && h.cmsg_type == SCM_RIGHTS) {
			unsigned n = len / sizeof(int);
			if (n + scm->nfiles > SCM_MAX_FD_K) {
				r = -EINVAL;
				goto fail;
			}
			if (n && !scm->files)
				scm->files = xcalloc(SCM_MAX_FD_K, sizeof(*scm->files));
			for (unsigned i = 0; i < n; i++) {
				int fd;
				memcpy(&fd, data + i * sizeof(int), sizeof(fd));
				struct file *f = fd_get_raw(fiber_context()->fdt, fd);
				if (!f) {
					r = -EBADF;
					goto fail;
				}
				scm->files[scm->nfiles++] = f;
			}
		} else if (h.cmsg_level == SOL_SOCKET && h.cmsg_type == SCM_CREDENTIALS) {
			struct { int32_t pid; uint32_t uid, gid; } uc;
			if (len != sizeof(uc)) {
				r = -EINVAL;
				goto fail;
			}
			memcpy(&uc, data, sizeof(uc));
			struct cred *c = t->cred;
			kuid_t ku = make_kuid(c->user_ns, uc.uid);
			kgid_t kg = make_kgid(c->user_ns, uc.gid);
			if (ku == KID_INVALID || kg == KID_INVALID) {
				r = -EINVAL;
				goto fail;
			}
			struct pid *np = pidns_find(t->kernel, task_pid_ns(t), uc.pid);
			bool own = np && np == current_tgid();
			if ((!own && !cred_has_cap(c, CAP_SYS_ADMIN_)) ||
			    (ku != c->uid && ku != c->euid && ku != c->suid && !cred_has_cap(c, CAP_SETUID_)) ||
			    (kg != c->gid && kg != c->egid && kg != c->sgid && !cred_has_cap(c, CAP_SETGID_))) {
				if (np)
					pid_put(np);
				r = -EPERM;
				goto fail;
			}
			if (!np) {
				r = -ESRCH;
				goto fail;
			}
			if (pid)
				pid_put(pid);
			pid = np;
			uid = ku;
			gid = kg;
			cred = true;
		} else if (h.cmsg_level == SOL_SOCKET) {
			r = -EINVAL;
			goto fail;
		}
		size_t step = ALIGN_UP(h.cmsg_len, sizeof(size_t));
		if (step > m->control_len - at)
			break;
		at += step;
	}
	if (cred) {
		if (!pid) {
			pid = current_tgid();
			pid_get(pid);
		}
		scm->pid = pid;
		scm->uid = uid;
		scm->gid = gid;
	}
	return 0;
fail:
	if (pid)
		pid_put(pid);
	scm_free(scm);
	return r;
}

/* Hand what came with a message to the receiver. Takes the files out of scm unless peeking. */
static void scm_recv(struct socket *s, struct kmsg *m, struct scm *scm)
{
	struct task *t = current;
	if (s->passcred) {
		struct { int32_t pid; uint32_t uid, gid; } uc = { 0, OVERFLOW_ID, OVERFLOW_ID };
		if (scm->pid) {
			uc.pid = pid_nr(scm->pid, task_pid_ns(t));
			uc.uid = from_kuid(t->cred->user_ns, scm->uid);
			uc.gid = from_kgid(t->cred->user_ns, scm->gid);
		}
		if (m->control_cap)
			kmsg_put_cmsg(m, SOL_SOCKET, SCM_CREDENTIALS, &uc, sizeof(uc));
		else
			m->out_flags |= MSG_CTRUNC;
	}
	if (!scm->nfiles)
		return;
	size_t at = ALIGN_UP(m->control_len, sizeof(size_t));
	size_t room = m->control_cap > at + sizeof(struct cmsghdr) ? (m->control_cap - at - sizeof(struct cmsghdr)) / sizeof(int) : 0;
	int fds[SCM_MAX_FD_K];
	unsigned n = 0;
	while (n < scm->nfiles && n < room) {
		int fd = fd_install(fiber_context()->fdt, scm->files[n], m->flags & MSG_CMSG_CLOEXEC);
		if (fd < 0)
			break;
		fds[n++] = fd;
	}
	if (n < scm->nfiles)
		m->out_flags |= MSG_CTRUNC;
	if (n)
		kmsg_put_cmsg(m, SOL_SOCKET, SCM_RIGHTS, fds, n * sizeof(int));
}

/* ---- sending ---- */

static int sock_error(struct unix_sock *u)
{
	guard(mutex)(&u->lock);
	int e = u->error;
	u->error = 0;
	return -e;
}

static size_t queue_room(struct unix_sock *u, struct unix_sock *p)
{
	size_t cap = MAX(u->sndbuf, 4096), used = READ_ONCE(p->rx_bytes);
	return used < cap ? cap - used : 0;
}

static ssize_t stream_send(struct socket *s, struct kmsg *m)
{
	struct unix_sock *u = s->private, *p;
	struct scm scm = { 0 };
	ssize_t sent = 0, r = 0;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->name_len)
		return READ_ONCE(u->state) == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	p = peer_get(u);
	if (!p)
		return -ENOTCONN;
	if (m->control_len && (r = scm_send(m, &scm, false))) {
		sock_put(p);
		return r;
	}
	ktime_t deadline = KTIME_MAX;
	while (m->iter->count || (u->type == SOCK_SEQPACKET && !sent)) {
		if (READ_ONCE(u->shutdown) & SEND_SHUTDOWN || READ_ONCE(p->dead)) {
			r = -EPIPE;
			break;
		}
		size_t room = queue_room(u, p), n = m->iter->count;
		if (u->type == SOCK_SEQPACKET) {
			if (n > (size_t)u->sndbuf) {
				r = -EMSGSIZE;
				break;
			}
			if (n > room && READ_ONCE(p->rx_count))
				room = 0;
			else
				room = MAX(room, n);
			if (!n)
				room = 1;
		} else {
			n = MIN(n, MIN(room, (size_t)65536));
		}
		if (!room) {
			if (m->flags & MSG_DONTWAIT) {
				r = -EAGAIN;
				break;
			}
			if (deadline == KTIME_MAX)
				deadline = socket_deadline(s->sndtimeo);
			r = task_wait(&p->peer_wait, queue_room(u, p) > 0 || READ_ONCE(u->shutdown) & SEND_SHUTDOWN || READ_ONCE(p->dead), deadline);
			if (r) {
				r = r == -ETIMEDOUT ? -EAGAIN : r == -ERESTARTSYS && s->sndtimeo != KTIME_MAX ? -EINTR : r;
				break;
			}
			continue;
		}
		struct skb *b = malloc(sizeof(*b) + n);
		if (!b) {
			r = -ENOBUFS;
			break;
		}
		memset(b, 0, sizeof(*b));
		b->len = copy_from_iter(b->data, n, m->iter);
		if (b->len < n && (!b->len || u->type == SOCK_SEQPACKET)) {
			free(b);
			r = -EFAULT;
			break;
		}
		if (!sent)
			b->scm = scm, memset(&scm, 0, sizeof(scm));
		if (!b->scm.pid) { /* who wrote it, in case the reader wants to know */
			b->scm.pid = current_tgid();
			pid_get(b->scm.pid);
			b->scm.uid = current->cred->euid;
			b->scm.gid = current->cred->egid;
		}
		size_t put = b->len;
		mutex_lock(&p->lock);
		bool gone = p->dead || p->shutdown & RCV_SHUTDOWN;
		if (!gone) {
			TAILQ_INSERT_TAIL(&p->rx, b, link);
			p->rx_bytes += put;
			p->rx_count++;
		}
		mutex_unlock(&p->lock);
		if (gone) {
			skb_free(b);
			r = -EPIPE;
			break;
		}
		sent += put;
		wait_queue_wake(&p->wait, EPOLLIN | EPOLLRDNORM);
		if (u->type == SOCK_SEQPACKET || put < n)
			break;
	}
	scm_free(&scm);
	sock_put(p);
	if (sent)
		return sent;
	return r == -EPIPE ? socket_sigpipe(m) : r;
}

static ssize_t dgram_send(struct socket *s, struct kmsg *m)
{
	struct unix_sock *u = s->private, *p = NULL;
	struct scm scm;
	ssize_t r;
	size_t n = m->iter->count;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if ((r = sock_error(u)))
		return r;
	if (READ_ONCE(u->shutdown) & SEND_SHUTDOWN)
		return socket_sigpipe(m);
	if (n > (size_t)u->sndbuf - 32)
		return -EMSGSIZE;
	if (s->passcred && (r = autobind(u)))
		return r;
	if (m->name_len) {
		struct sockaddr_un un;
		int len = check_name(&m->name, m->name_len, &un);
		if (len < 0)
			return len;
		if ((r = find_name(u->net, &un, len, SOCK_DGRAM, &p)))
			return r;
	} else if (!(p = peer_get(u))) {
		return READ_ONCE(u->peer_gone) ? -ECONNREFUSED : -ENOTCONN;
	}
	if ((r = scm_send(m, &scm, true))) {
		sock_put(p);
		return r;
	}
	struct skb *b = malloc(sizeof(*b) + n);
	if (!b) {
		scm_free(&scm);
		sock_put(p);
		return -ENOBUFS;
	}
	memset(b, 0, sizeof(*b));
	b->scm = scm;
	b->from = sock_hold(u);
	b->len = copy_from_iter(b->data, n, m->iter);
	if (b->len < n) {
		r = -EFAULT;
		goto out;
	}
	ktime_t deadline = socket_deadline(s->sndtimeo);
	for (;;) {
		mutex_lock(&p->lock);
		if (p->dead)
			r = -ECONNREFUSED;
		else if (p->peer && p->peer != u)
			r = -EPERM;
		else if (p->shutdown & RCV_SHUTDOWN)
			r = -EPIPE;
		else if (p != u && p->rx_count > UNIX_MAX_DGRAM_QLEN)
			r = -EAGAIN;
		else {
			TAILQ_INSERT_TAIL(&p->rx, b, link);
			p->rx_bytes += n;
			p->rx_count++;
			b = NULL;
			r = n;
		}
		mutex_unlock(&p->lock);
		if (r != -EAGAIN || m->flags & MSG_DONTWAIT)
			break;
		r = task_wait(&p->peer_wait, READ_ONCE(p->rx_count) <= UNIX_MAX_DGRAM_QLEN || READ_ONCE(p->dead) || READ_ONCE(p->shutdown), deadline);
		if (r) {
			r = r == -ETIMEDOUT ? -EAGAIN : r == -ERESTARTSYS && deadline != KTIME_MAX ? -EINTR : r;
			break;
		}
	}
	if (r >= 0)
		wait_queue_wake(&p->wait, EPOLLIN | EPOLLRDNORM);
	else if (r == -EPIPE)
		socket_sigpipe(m);
out:
	if (b)
		skb_free(b);
	sock_put(p);
	return r;
}

static ssize_t unix_sendmsg(struct socket *s, struct kmsg *m)
{
	return s->type == SOCK_DGRAM ? dgram_send(s, m) : stream_send(s, m);
}

/* ---- receiving ---- */

static bool rx_ready(struct unix_sock *u)
{
	return !TAILQ_EMPTY(&u->rx) || READ_ONCE(u->shutdown) & RCV_SHUTDOWN || READ_ONCE(u->error);
}

/* Wait for something to read. 1: there is a message; 0: end of file; else -errno. */
static int rx_wait(struct socket *s, struct kmsg *m, ktime_t *deadline)
{
	struct unix_sock *u = s->private;
	for (;;) {
		mutex_lock(&u->lock);
		bool have = !TAILQ_EMPTY(&u->rx);
		int err = have ? 0 : u->error;
		bool eof = u->shutdown & RCV_SHUTDOWN;
		if (err)
			u->error = 0;
		mutex_unlock(&u->lock);
		if (have)
			return 1;
		if (err)
			return -err;
		if (eof)
			return 0;
		if (m->flags & MSG_DONTWAIT)
			return -EAGAIN;
		if (*deadline == 0)
			*deadline = socket_deadline(s->rcvtimeo);
		int r = task_wait(&u->wait, rx_ready(u), *deadline);
		if (r)
			return r == -ETIMEDOUT ? -EAGAIN : r == -ERESTARTSYS && s->rcvtimeo != KTIME_MAX ? -EINTR : r;
	}
}

static bool same_writer(const struct scm *a, const struct scm *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}

static ssize_t stream_recv(struct socket *s, struct kmsg *m)
{
	struct unix_sock *u = s->private;
	ktime_t deadline = 0;
	size_t want = m->flags & MSG_WAITALL && !(m->flags & MSG_DONTWAIT) ? m->iter->count : 1, peek_skip = 0;
	ssize_t got = 0;
	bool have_scm = false, room_made = false;
	struct scm first = { 0 };
	if (m->flags & MSG_OOB)
		return -EINVAL;
	if (READ_ONCE(u->state) != UNIX_CONNECTED)
		return -EINVAL;
	while (m->iter->count && (!got || (size_t)got < want || u->rx_count)) {
		struct skb *done = NULL;
		mutex_lock(&u->lock);
		struct skb *b = TAILQ_FIRST(&u->rx);
		size_t skip = peek_skip;
		while (b && m->flags & MSG_PEEK && skip >= b->len - b->off) {
			skip -= b->len - b->off;
			b = TAILQ_NEXT(b, link);
		}
		if (!b) {
			mutex_unlock(&u->lock);
			if (got && ((size_t)got >= want || READ_ONCE(u->shutdown) & RCV_SHUTDOWN))
				break;
			if (got && m->flags & MSG_PEEK)
				break;
			int r = rx_wait(s, m, &deadline);
			if (r <= 0) {
				if (!got)
					got = r;
				break;
			}
			continue;
		}
		if (have_scm && s->passcred && !same_writer(&first, &b->scm)) {
			mutex_unlock(&u->lock);
			break;
		}
		if (!have_scm) {
			have_scm = true;
			first = b->scm;
			if (first.pid)
				pid_get(first.pid);
			first.files = NULL;
			first.nfiles = 0;
		}
		size_t avail = b->len - b->off - skip, n = copy_to_iter(b->data + b->off + skip, MIN(avail, m->iter->count), m->iter);
		if (!n) {
			mutex_unlock(&u->lock);
			if (!got)
				got = -EFAULT;
			break;
		}
		got += n;
		bool files = b->scm.nfiles != 0;
		if (files) { /* a message with files is not glued to the next one */
			first.nfiles = b->scm.nfiles;
			if (m->flags & MSG_PEEK) {
				first.files = xcalloc(first.nfiles, sizeof(*first.files));
				for (unsigned i = 0; i < first.nfiles; i++) {
					file_get(b->scm.files[i]);
					first.files[i] = b->scm.files[i];
				}
			} else {
				first.files = b->scm.files;
				b->scm.files = NULL;
				b->scm.nfiles = 0;
			}
		}
		if (m->flags & MSG_PEEK) {
			peek_skip += n;
		} else {
			b->off += n;
			u->rx_bytes -= n;
			if (b->off == b->len) {
				TAILQ_REMOVE(&u->rx, b, link);
				u->rx_count--;
				done = b;
			}
			room_made = true;
		}
		mutex_unlock(&u->lock);
		if (done)
			skb_free(done);
		if (files || n < avail)
			break;
	}
	if (room_made) {
		wait_queue_wake(&u->peer_wait, EPOLLOUT);
		struct unix_sock *p = peer_get(u);
		if (p) {
			if (wait_queue_active(&p->wait))
				wait_queue_wake(&p->wait, EPOLLOUT | EPOLLWRNORM);
			sock_put(p);
		}
	}
	if (got >= 0)
		scm_recv(s, m, &first);
	scm_free(&first);
	return got;
}

static ssize_t packet_recv(struct socket *s, struct kmsg *m)
{
	struct unix_sock *u = s->private, *from = NULL;
	ktime_t deadline = 0;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (u->type == SOCK_SEQPACKET && READ_ONCE(u->state) != UNIX_CONNECTED)
		return -ENOTCONN;
	for (;;) {
		int r = rx_wait(s, m, &deadline);
		if (r <= 0)
			return r;
		mutex_lock(&u->lock);
		struct skb *b = TAILQ_FIRST(&u->rx);
		if (!b) {
			mutex_unlock(&u->lock);
			continue;
		}
		size_t n = MIN(b->len, m->iter->count), len = b->len;
		size_t c = copy_to_iter(b->data, n, m->iter);
		struct scm scm = b->scm;
		if (b->from)
			from = sock_hold(b->from);
		if (m->flags & MSG_PEEK) {
			if (scm.pid)
				pid_get(scm.pid);
			if (scm.nfiles) {
				struct file **files = xcalloc(scm.nfiles, sizeof(*files));
				for (unsigned i = 0; i < scm.nfiles; i++) {
					file_get(scm.files[i]);
					files[i] = scm.files[i];
				}
				scm.files = files;
			}
			b = NULL;
		} else {
			TAILQ_REMOVE(&u->rx, b, link);
			u->rx_bytes -= b->len;
			u->rx_count--;
			memset(&b->scm, 0, sizeof(b->scm));
		}
		mutex_unlock(&u->lock);
		if (b) {
			wait_queue_wake(&u->peer_wait, EPOLLOUT);
			if (from && wait_queue_active(&from->wait))
				wait_queue_wake(&from->wait, EPOLLOUT | EPOLLWRNORM);
			else if (!from) {
				struct unix_sock *p = peer_get(u);
				if (p) {
					wait_queue_wake(&p->wait, EPOLLOUT | EPOLLWRNORM);
					sock_put(p);
				}
			}
			skb_free(b);
		}
		if (n < len)
			m->out_flags |= MSG_TRUNC;
		if (u->type == SOCK_SEQPACKET)
			m->out_flags |= MSG_EOR;
		if (m->want_name && from) {
			m->name_len = copy_name(from, &m->name);
			if (m->name_len == offsetof(struct sockaddr_un, sun_path))
				m->name_len = 0;
		}
		if (from)
			sock_put(from);
		if (c == n)
			scm_recv(s, m, &scm);
		scm_free(&scm);
		if (c < n)
			return -EFAULT;
		return m->flags & MSG_TRUNC ? len : n;
	}
}

static ssize_t unix_recvmsg(struct socket *s, struct kmsg *m)
{
	return s->type == SOCK_STREAM ? stream_recv(s, m) : packet_recv(s, m);
}

/* ---- the rest ---- */

static unsigned unix_poll(struct socket *s, struct file *f, struct poll_table *pt)
{
	struct unix_sock *u = s->private;
	unsigned ev = 0;
	poll_wait(f, &u->wait, pt);
	guard(mutex)(&u->lock);
	if (u->error)
		ev |= EPOLLERR;
	if (u->shutdown == 3)
		ev |= EPOLLHUP;
	if (u->shutdown & RCV_SHUTDOWN)
		ev |= EPOLLRDHUP | EPOLLIN | EPOLLRDNORM;
	if (u->state == UNIX_LISTEN)
		return ev | (u->nqueued ? EPOLLIN | EPOLLRDNORM : 0);
	if (!TAILQ_EMPTY(&u->rx))
		ev |= EPOLLIN | EPOLLRDNORM;
	if (u->type != SOCK_DGRAM && u->state == UNIX_CLOSED && !u->peer)
		ev |= EPOLLHUP;
	struct unix_sock *p = u->peer;
	bool room;
	if (!p)
		room = true;
	else if (u->type == SOCK_DGRAM)
		room = p == u || READ_ONCE(p->rx_count) <= UNIX_MAX_DGRAM_QLEN || (p->peer && p->peer != u);
	else
		room = READ_ONCE(p->rx_bytes) * 2 <= (size_t)u->sndbuf || u->shutdown & SEND_SHUTDOWN;
	if (room)
		ev |= EPOLLOUT | EPOLLWRNORM | EPOLLWRBAND;
	return ev;
}

static long unix_ioctl(struct socket *s, unsigned cmd, uint64_t arg)
{
	struct unix_sock *u = s->private;
	int v;
	switch (cmd) {
	case FIONREAD:
		mutex_lock(&u->lock);
		if (u->state == UNIX_LISTEN)
			v = -1;
		else if (u->type == SOCK_STREAM || u->type == SOCK_SEQPACKET)
			v = u->rx_bytes;
		else
			v = TAILQ_EMPTY(&u->rx) ? 0 : TAILQ_FIRST(&u->rx)->len;
		mutex_unlock(&u->lock);
		return v < 0 ? -EINVAL : put_user(v, arg);
	case TIOCOUTQ: {
		struct unix_sock *p = peer_get(u);
		v = p ? READ_ONCE(p->rx_bytes) : 0;
		if (p)
			sock_put(p);
		return put_user(v, arg);
	}
	}
	return -ENOIOCTLCMD;
}

static int unix_setsockopt(struct socket *s, int level, int opt, const void *val, socklen_t len)
{
	struct unix_sock *u = s->private;
	int v;
	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	memcpy(&v, val, sizeof(v));
	switch (opt) {
	case SO_SNDBUFFORCE:
	case SO_RCVBUFFORCE:
		if (!cred_has_cap(current->cred, CAP_NET_ADMIN_))
			return -EPERM;
		/* fall through */
	case SO_SNDBUF:
	case SO_RCVBUF:
		if (v < 0 || v > 212992)
			v = 212992;
		if (opt == SO_SNDBUF || opt == SO_SNDBUFFORCE)
			u->sndbuf = MAX(v * 2, 4608);
		else
			u->rcvbuf = MAX(v * 2, 2304);
		return 0;
	case SO_REUSEADDR:
	case SO_KEEPALIVE:
	case SO_BROADCAST:
	case SO_LINGER:
	case SO_PRIORITY:
	case SO_DONTROUTE:
	case SO_OOBINLINE:
	case SO_RCVLOWAT:
		return 0; /* kept by Linux for every socket and without effect on these */
	}
	return -ENOPROTOOPT;
}

static int unix_getsockopt(struct socket *s, int level, int opt, void *val, socklen_t *len)
{
	struct unix_sock *u = s->private;
	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	switch (opt) {
	case SO_ERROR:
		return sockopt_put_int(val, len, -sock_error(u));
	case SO_SNDBUF:
		return sockopt_put_int(val, len, u->sndbuf);
	case SO_RCVBUF:
		return sockopt_put_int(val, len, u->rcvbuf);
	case SO_ACCEPTCONN:
		return sockopt_put_int(val, len, u->state == UNIX_LISTEN);
	case SO_REUSEADDR:
	case SO_KEEPALIVE:
	case SO_BROADCAST:
	case SO_PRIORITY:
	case SO_DONTROUTE:
	case SO_OOBINLINE:
		return sockopt_put_int(val, len, 0);
	case SO_RCVLOWAT:
	case SO_SNDLOWAT:
		return sockopt_put_int(val, len, 1);
	case SO_LINGER: {
		struct linger l = { 0, 0 };
		*len = MIN(*len, (socklen_t)sizeof(l));
		memcpy(val, &l, *len);
		return 0;
	}
	case SO_PEERCRED: {
		struct { int32_t pid; uint32_t uid, gid; } uc = { 0, (uint32_t)-1, (uint32_t)-1 };
		mutex_lock(&u->lock);
		if (u->peer_pid) {
			uc.pid = pid_nr(u->peer_pid, task_pid_ns(current));
			uc.uid = from_kuid(current->cred->user_ns, u->peer_uid);
			uc.gid = from_kgid(current->cred->user_ns, u->peer_gid);
		}
		mutex_unlock(&u->lock);
		*len = MIN(*len, (socklen_t)sizeof(uc));
		memcpy(val, &uc, *len);
		return 0;
	}
	}
	return -ENOPROTOOPT;
}

static const struct socket_ops unix_ops = {
	.bind = unix_bind,
	.connect = unix_connect,
	.listen = unix_listen,
	.accept = unix_accept,
	.getname = unix_getname,
	.sendmsg = unix_sendmsg,
	.recvmsg = unix_recvmsg,
	.shutdown = unix_shutdown,
	.setsockopt = unix_setsockopt,
	.getsockopt = unix_getsockopt,
	.poll = unix_poll,
	.ioctl = unix_ioctl,
	.release = unix_release,
	.pair = unix_pair,
};

static int unix_create(struct kernel *k, struct socket *s)
{
	if (s->protocol && s->protocol != PF_UNIX)
		return -EPROTONOSUPPORT;
	if (s->type == SOCK_RAW)
		s->type = SOCK_DGRAM;
	if (s->type != SOCK_STREAM && s->type != SOCK_DGRAM && s->type != SOCK_SEQPACKET)
		return -ESOCKTNOSUPPORT;
	s->ops = &unix_ops;
	s->private = sock_new(k->net, s->type);
	return 0;
}

const struct socket_family unix_family = { AF_UNIX, unix_create };
