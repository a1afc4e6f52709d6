/* SPDX-License-Identifier: Apache-2.0 */
/* socket.c: socket(2) and its family: decode, copy, call the socket core. */
#include "net/socket.h"
#include "syscalls/proto.h"
#include <limits.h>

/* A counted file that is a socket: 0 or -EBADF, -ENOTSOCK. */
static int sock_get(int fd, struct file **f, struct socket **s)
{
	*f = fd_get(fiber_context()->fdt, fd);
	if (!*f)
		return -EBADF;
	*s = file_socket(*f);
	if (!*s) {
		file_put(*f);
		*f = NULL;
		return -ENOTSOCK;
	}
	return 0;
}

/* The same for the calls that are made often: borrowed when the table is not shared. */
struct sock_ref { struct file *f; struct socket *s; bool counted; };
static void sock_ref_put(struct sock_ref *r)
{
	if (r->f)
		fd_put_light(r->f, r->counted);
}
static int sock_ref_get(struct sock_ref *r, int fd)
{
	r->f = fd_get_light(fiber_context()->fdt, fd, &r->counted);
	if (!r->f)
		return -EBADF;
	r->s = file_socket(r->f);
	return r->s ? 0 : -ENOTSOCK;
}
#define SOCK_REF(name, fd)                                                                                             \
	__attribute__((cleanup(sock_ref_put))) struct sock_ref name = { 0 };                                           \
	r = sock_ref_get(&name, fd)

static int get_sockaddr(struct sockaddr_storage *out, uaddr_t addr, int len)
{
	if (len < 0 || (size_t)len > sizeof(*out))
		return -EINVAL;
	memset(out, 0, sizeof(*out));
	return len ? copy_from_user(out, addr, len) : 0;
}

/* move_addr_to_user: the caller's length is in and out. */
static int put_sockaddr(const struct sockaddr_storage *a, int len, uaddr_t addr, uaddr_t lenp)
{
	int room;
	if (get_user(room, lenp))
		return -EFAULT;
	if (room < 0)
		return -EINVAL;
	return put_user(len, lenp) || copy_to_user(addr, a, MIN(room, len)) ? -EFAULT : 0;
}

static int split_type(int type, int *base, unsigned *flags)
{
	if (type & ~0xf & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	*base = type & 0xf;
	*flags = type & (SOCK_CLOEXEC | SOCK_NONBLOCK);
	return 0;
}

static int install(struct file *f, unsigned flags)
{
	return fd_install(fiber_context()->fdt, f, flags & SOCK_CLOEXEC);
}

long sys_socket(struct task *t, const struct syscall_args *a)
{
	int type, r;
	unsigned flags;
	struct socket *s;
	if ((r = split_type(a->a[1], &type, &flags)) || (r = socket_create(t->kernel, a->a[0], type, a->a[2], &s)))
		return r;
	__free(file) struct file *f = NULL;
	if ((r = socket_file(s, flags & SOCK_NONBLOCK, &f)))
		return r;
	return install(f, flags);
}

long sys_socketpair(struct task *t, const struct syscall_args *a)
{
	int type, r, fds[2];
	unsigned flags;
	struct socket *s[2];
	if ((r = split_type(a->a[1], &type, &flags)) || (r = socket_create(t->kernel, a->a[0], type, a->a[2], &s[0])))
		return r;
	__free(file) struct file *f0 = NULL;
	__free(file) struct file *f1 = NULL;
	if ((r = socket_file(s[0], flags & SOCK_NONBLOCK, &f0)))
		return r;
	if (!s[0]->ops->pair)
		return -EOPNOTSUPP;
	if ((r = socket_create(t->kernel, a->a[0], type, a->a[2], &s[1])) || (r = socket_file(s[1], flags & SOCK_NONBLOCK, &f1)))
		return r;
	if ((r = s[0]->ops->pair(s[0], s[1])))
		return r;
	struct fd_table *fdt = fiber_context()->fdt;
	if ((fds[0] = install(f0, flags)) < 0)
		return fds[0];
	if ((fds[1] = install(f1, flags)) < 0) {
		fd_close(fdt, fds[0]);
		return fds[1];
	}
	if (copy_to_user(a->a[3], fds, sizeof(fds))) {
		fd_close(fdt, fds[0]);
		fd_close(fdt, fds[1]);
		return -EFAULT;
	}
	return 0;
}

long sys_bind(struct task *t, const struct syscall_args *a)
{
	__free(file) struct file *f = NULL;
	struct socket *s;
	struct sockaddr_storage addr;
	int r = sock_get(a->a[0], &f, &s);
	if (r || (r = get_sockaddr(&addr, a->a[1], a->a[2])))
		return r;
	return s->ops->bind ? s->ops->bind(s, &addr, (int)a->a[2]) : -EOPNOTSUPP;
}

long sys_connect(struct task *t, const struct syscall_args *a)
{
	__free(file) struct file *f = NULL;
	struct socket *s;
	struct sockaddr_storage addr;
	int r = sock_get(a->a[0], &f, &s), ar;
	if (r != -EBADF && (ar = get_sockaddr(&addr, a->a[1], a->a[2]))) /* before it has to be a socket */
		return ar;
	if (r)
		return r;
	return s->ops->connect ? s->ops->connect(s, &addr, (int)a->a[2], f->flags & O_NONBLOCK) : -EOPNOTSUPP;
}

long sys_listen(struct task *t, const struct syscall_args *a)
{
	__free(file) struct file *f = NULL;
	struct socket *s;
	int r = sock_get(a->a[0], &f, &s);
	if (r)
		return r;
	return s->ops->listen ? s->ops->listen(s, MIN((unsigned)a->a[1], 4096U)) : -EOPNOTSUPP;
}

static long do_accept(struct task *t, int fd, uaddr_t addr, uaddr_t lenp, unsigned flags)
{
	__free(file) struct file *f = NULL;
	__free(file) struct file *nf = NULL;
	struct socket *s, *ns;
	if (flags & ~(SOCK_CLOEXEC | SOCK_NONBLOCK))
		return -EINVAL;
	int r = sock_get(fd, &f, &s);
	if (r)
		return r;
	if (!s->ops->accept)
		return -EOPNOTSUPP;
	if (fd_table_full(fiber_context()->fdt))
		return -EMFILE;
	if ((r = s->ops->accept(s, f->flags & O_NONBLOCK, &ns)))
		return r;
	if ((r = socket_file(ns, flags & SOCK_NONBLOCK, &nf)))
		return r;
	if (addr) {
		struct sockaddr_storage sa;
		int len = ns->ops->getname(ns, &sa, true);
		if (len < 0)
			return -ECONNABORTED;
		if ((r = put_sockaddr(&sa, len, addr, lenp)))
			return r;
	}
	return install(nf, flags);
}

long sys_accept(struct task *t, const struct syscall_args *a)
{
	return do_accept(t, a->a[0], a->a[1], a->a[2], 0);
}

long sys_accept4(struct task *t, const struct syscall_args *a)
{
	return do_accept(t, a->a[0], a->a[1], a->a[2], a->a[3]);
}

static long do_getname(const struct syscall_args *a, bool peer)
{
	__free(file) struct file *f = NULL;
	struct socket *s;
	struct sockaddr_storage sa;
	int r = sock_get(a->a[0], &f, &s);
	if (r || (r = s->ops->getname(s, &sa, peer)) < 0)
		return r;
	return put_sockaddr(&sa, r, a->a[1], a->a[2]);
}

long sys_getsockname(struct task *t, const struct syscall_args *a)
{
	return do_getname(a, false);
}

long sys_getpeername(struct task *t, const struct syscall_args *a)
{
	return do_getname(a, true);
}

long sys_shutdown(struct task *t, const struct syscall_args *a)
{
	__free(file) struct file *f = NULL;
	struct socket *s;
	int r = sock_get(a->a[0], &f, &s), how = a->a[1];
	if (r)
		return r;
	if ((how < SHUT_RD || how > SHUT_RDWR) && s->family != AF_NETLINK)
		return -EINVAL;
	return s->ops->shutdown ? s->ops->shutdown(s, how) : -EOPNOTSUPP;
}

/* ---- sending and receiving ---- */

struct user_msghdr { uaddr_t name; int32_t name_len; int32_t pad; uaddr_t iov; uint64_t iov_len; uaddr_t control; uint64_t control_len; uint32_t flags; uint32_t pad2; };
_Static_assert(sizeof(struct user_msghdr) == 56, "struct msghdr");

static unsigned call_flags(struct file *f, unsigned flags)
{
	return (flags & ~(unsigned)MSG_CMSG_COMPAT_) | (f->flags & O_NONBLOCK ? MSG_DONTWAIT : 0);
}

long sys_sendto(struct task *t, const struct syscall_args *a)
{
	struct iov_iter it;
	int r;
	if (a->a[2] > MAX_RW)
		iov_iter_user(&it, a->a[1], MAX_RW);
	else
		iov_iter_user(&it, a->a[1], a->a[2]);
	SOCK_REF(ref, a->a[0]);
	if (r)
		return r;
	struct kmsg m = { .iter = &it, .flags = call_flags(ref.f, a->a[3]) };
	if (a->a[4]) {
		if ((r = get_sockaddr(&m.name, a->a[4], a->a[5])))
			return r;
		m.name_len = a->a[5];
	}
	return ref.s->ops->sendmsg(ref.s, &m);
}

long sys_recvfrom(struct task *t, const struct syscall_args *a)
{
	struct iov_iter it;
	int r;
	iov_iter_user(&it, a->a[1], MIN(a->a[2], MAX_RW));
	SOCK_REF(ref, a->a[0]);
	if (r)
		return r;
	struct kmsg m = { .iter = &it, .flags = call_flags(ref.f, a->a[3]), .want_name = a->a[4] != 0 };
	ssize_t n = ref.s->ops->recvmsg(ref.s, &m);
	if (n >= 0 && a->a[4] && (r = put_sockaddr(&m.name, m.name_len, a->a[4], a->a[5])))
		return r;
	return n;
}

static int copy_msghdr(struct user_msghdr *u, uaddr_t p)
{
	if (copy_from_user(u, p, sizeof(*u)))
		return -EFAULT;
	if (!u->name)
		u->name_len = 0;
	if (u->name_len < 0)
		return -EINVAL;
	if (u->name_len > (int)sizeof(struct sockaddr_storage))
		u->name_len = sizeof(struct sockaddr_storage);
	return u->iov_len > UIO_MAXIOV ? -EMSGSIZE : 0;
}

static ssize_t do_sendmsg(struct file *f, struct socket *s, uaddr_t p, unsigned flags)
{
	struct user_msghdr u;
	struct iov_iter it;
	struct kmsg m = { .iter = &it, .flags = call_flags(f, flags) };
	int r = copy_msghdr(&u, p);
	if (r)
		return r;
	if (u.name_len) {
		if ((r = get_sockaddr(&m.name, u.name, u.name_len)))
			return r;
		m.name_len = u.name_len;
	}
	if ((r = iov_iter_import(&it, u.iov, u.iov_len)) < 0)
		return r;
	ssize_t n;
	if (u.control_len > SOCKET_CONTROL_MAX) {
		n = -ENOBUFS;
	} else {
		if (u.control_len && u.control) {
			m.control = xzalloc(u.control_len);
			m.control_len = u.control_len;
		}
		n = m.control && copy_from_user(m.control, u.control, u.control_len) ? -EFAULT : s->ops->sendmsg(s, &m);
		free(m.control);
	}
	iov_iter_done(&it);
	return n;
}

static ssize_t do_recvmsg(struct file *f, struct socket *s, uaddr_t p, unsigned flags)
{
	struct user_msghdr u;
	struct iov_iter it;
	struct kmsg m = { .iter = &it, .flags = call_flags(f, flags) };
	int r = copy_msghdr(&u, p);
	if (r)
		return r;
	if ((r = iov_iter_import(&it, u.iov, u.iov_len)) < 0)
		return r;
	m.want_name = u.name != 0;
	m.control_cap = u.control ? MIN(u.control_len, (uint64_t)SOCKET_CONTROL_MAX) : 0;
	if (m.control_cap)
		m.control = xzalloc(m.control_cap);
	ssize_t n = s->ops->recvmsg(s, &m);
	if (n >= 0) {
		uint64_t clen = m.control_len;
		uint32_t out = m.out_flags | (flags & MSG_CMSG_CLOEXEC);
		if (u.name && put_sockaddr(&m.name, m.name_len, u.name, p + offsetof(struct user_msghdr, name_len)))
			n = -EFAULT;
		else if (put_user(out, p + offsetof(struct user_msghdr, flags)) ||
			 put_user(clen, p + offsetof(struct user_msghdr, control_len)) ||
			 (clen && copy_to_user(u.control, m.control, clen)))
			n = -EFAULT;
	}
	free(m.control);
	iov_iter_done(&it);
	return n;
}

long sys_sendmsg(struct task *t, const struct syscall_args *a)
{
	int r;
	SOCK_REF(ref, a->a[0]);
	return r ? r : do_sendmsg(ref.f, ref.s, a->a[1], a->a[2]);
}

long sys_recvmsg(struct task *t, const struct syscall_args *a)
{
	int r;
	SOCK_REF(ref, a->a[0]);
	return r ? r : do_recvmsg(ref.f, ref.s, a->a[1], a->a[2]);
}

#define MMSG_SIZE 64 /* sizeof(struct mmsghdr) */
long sys_sendmmsg(struct task *t, const struct syscall_args *a)
{
	__free(file) struct file *f = NULL;
	struct socket *s;
	int r = sock_get(a->a[0], &f, &s);
	unsigned n = MIN((unsigned)a->a[2], (unsigned)UIO_MAXIOV), i;
	ssize_t done = 0;
	if (r)
		return r;
	for (i = 0; i < n; i++) {
		uaddr_t p = a->a[1] + (uint64_t)i * MMSG_SIZE;
		done = do_sendmsg(f, s, p, a->a[3]);
		uint32_t len = done;
		if (done >= 0 && put_user(len, p + 56))
			done = -EFAULT;
		if (done < 0)
			break;
	}
	return i ? (long)i : done;
}

long sys_recvmmsg(struct task *t, const struct syscall_args *a)
{
	__free(file) struct file *f = NULL;
	struct socket *s;
	ktime_t deadline = KTIME_MAX;
	unsigned n = MIN((unsigned)a->a[2], (unsigned)UIO_MAXIOV), i, flags = a->a[3];
	ssize_t done = 0;
	if (a->a[4]) {
		struct timespec ts;
		if (get_user(ts, a->a[4]))
			return -EFAULT;
		if (!timespec_valid(&ts))
			return -EINVAL;
		deadline = ktime_add_sat(ktime_mono(), timespec_to_ktime(&ts));
	}
	int r = sock_get(a->a[0], &f, &s);
	if (r)
		return r;
	for (i = 0; i < n; i++) {
		uaddr_t p = a->a[1] + (uint64_t)i * MMSG_SIZE;
		done = do_recvmsg(f, s, p, flags & ~MSG_WAITFORONE);
		uint32_t len = done;
		if (done >= 0 && put_user(len, p + 56))
			done = -EFAULT;
		if (done < 0)
			break;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		if (deadline != KTIME_MAX && ktime_mono() >= deadline) {
			i++;
			break;
		}
	}
	if (a->a[4] && i) {
		ktime_t left = deadline - ktime_mono();
		struct timespec ts = ktime_to_timespec(left > 0 ? left : 0);
		if (put_user(ts, a->a[4]))
			return -EFAULT;
	}
	return i ? (long)i : done;
}

long sys_setsockopt(struct task *t, const struct syscall_args *a)
{
	__free(file) struct file *f = NULL;
	struct socket *s;
	uint8_t buf[1024];
	int len = a->a[4], r = sock_get(a->a[0], &f, &s);
	if (r)
		return r;
	if (len < 0)
		return -EINVAL;
	if (len > (int)sizeof(buf))
		return -ENOBUFS;
	memset(buf, 0, sizeof(buf));
	if (len && copy_from_user(buf, a->a[3], len))
		return -EFAULT;
	return socket_setsockopt(s, a->a[1], a->a[2], buf, len);
}

long sys_getsockopt(struct task *t, const struct syscall_args *a)
{
	__free(file) struct file *f = NULL;
	struct socket *s;
	uint8_t buf[1024];
	int len, r = sock_get(a->a[0], &f, &s);
	if (r)
		return r;
	if ((int)a->a[1] != SOL_SOCKET && s->family == AF_UNIX)
		return -EOPNOTSUPP;
	if (get_user(len, a->a[4]))
		return -EFAULT;
	if (len < 0)
		return -EINVAL;
	socklen_t n = MIN(len, (int)sizeof(buf));
	memset(buf, 0, sizeof(buf));
	if ((r = socket_getsockopt(s, a->a[1], a->a[2], buf, &n)))
		return r;
	if (copy_to_user(a->a[3], buf, n))
		return -EFAULT;
	len = n;
	return put_user(len, a->a[4]);
}
