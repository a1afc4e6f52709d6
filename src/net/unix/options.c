/* SPDX-License-Identifier: Apache-2.0 */
/* options.c: setsockopt and getsockopt of AF_UNIX. */
#include "net/unix/unix.h"
#include "kernel/pidfd.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#define SO_PEERPIDFD 77
#endif
#define MEM_MAX 212992 /* net.core.wmem_max, rmem_max */

int unix_setsockopt(struct socket *s, int level, int opt, const void *val, socklen_t len)
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
		v = MAX(v, 0);
		v = MIN(v, INT32_MAX / 2);
		break;
	case SO_SNDBUF:
	case SO_RCVBUF:
		v = (int)MIN((unsigned)v, (unsigned)MEM_MAX);
		break;
	case SO_PASSCRED:
		WRITE_ONCE(u->passcred, v != 0);
		return 0;
	case SO_PASSPIDFD:
		WRITE_ONCE(u->passpidfd, v != 0);
		return 0;
	case SO_PEERCRED:
	case SO_PEERPIDFD:
	case SO_PEERGROUPS:
		return -ENOPROTOOPT;
	default:
		return socket_keep_option(s, opt, val, len);
	}
	mutex_lock(&u->lock);
	if (opt == SO_SNDBUF || opt == SO_SNDBUFFORCE)
		u->sndbuf = MAX(v * 2, 4608);
	else
		u->rcvbuf = MAX(v * 2, 2304);
	mutex_unlock(&u->lock);
	wait_queue_wake_all(&u->wait, EPOLLOUT | EPOLLWRNORM);
	return 0;
}

static int get_peercred(struct unix_sock *u, void *val, socklen_t *len)
{
	struct { int32_t pid; uint32_t uid, gid; } uc = { 0, (uint32_t)-1, (uint32_t)-1 };
	struct pid *pid = NULL;
	mutex_lock(&u->lock);
	if (u->peer_pid) {
		pid = u->peer_pid;
		pid_get(pid);
		uc.uid = from_kuid(current->cred->user_ns, u->peer_cred->euid);
		uc.gid = from_kgid(current->cred->user_ns, u->peer_cred->egid);
	}
	mutex_unlock(&u->lock);
	if (pid) {
		uc.pid = pid_nr(pid, task_pid_ns(current));
		pid_put(pid);
	}
	*len = MIN(*len, (socklen_t)sizeof(uc));
	memcpy(val, &uc, *len);
	return 0;
}

static int get_peerpidfd(struct unix_sock *u, void *val, socklen_t *len)
{
	struct pid *pid;
	struct file *f;
	mutex_lock(&u->lock);
	if ((pid = u->peer_pid))
		pid_get(pid);
	mutex_unlock(&u->lock);
	if (!pid)
		return -ENODATA;
	int fd = pidfd_file(pid, 0, &f);
	pid_put(pid);
	if (fd)
		return fd;
	fd = fd_install(fiber_context()->fdt, f, true);
	file_put(f);
	return fd < 0 ? fd : sockopt_put_int(val, len, fd);
}

static int get_peergroups(struct unix_sock *u, void *val, socklen_t *len)
{
	struct cred *c;
	mutex_lock(&u->lock);
	c = u->peer_cred ? cred_get(u->peer_cred) : NULL;
	mutex_unlock(&u->lock);
	if (!c)
		return -ENODATA;
	socklen_t need = c->ngroups * sizeof(uint32_t);
	int r = 0;
	if (*len < need) {
		r = -ERANGE;
	} else {
		for (unsigned i = 0; i < c->ngroups; i++)
			((uint32_t *)val)[i] = from_kgid(current->cred->user_ns, c->groups[i]);
	}
	*len = need;
	cred_put(c);
	return r;
}

int unix_getsockopt(struct socket *s, int level, int opt, void *val, socklen_t *len)
{
	struct unix_sock *u = s->private;
	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	switch (opt) {
	case SO_ERROR:
		return sockopt_put_int(val, len, -unix_sock_error(u));
	case SO_SNDBUF:
		return sockopt_put_int(val, len, READ_ONCE(u->sndbuf));
	case SO_RCVBUF:
		return sockopt_put_int(val, len, READ_ONCE(u->rcvbuf));
	case SO_ACCEPTCONN:
		return sockopt_put_int(val, len, atomic_load(&u->state) == UNIX_LISTEN);
	case SO_PASSCRED:
		return sockopt_put_int(val, len, READ_ONCE(u->passcred));
	case SO_PASSPIDFD:
		return sockopt_put_int(val, len, READ_ONCE(u->passpidfd));
	case SO_PEERCRED:
		return get_peercred(u, val, len);
	case SO_PEERPIDFD:
		return get_peerpidfd(u, val, len);
	case SO_PEERGROUPS:
		return get_peergroups(u, val, len);
	}
	return socket_kept_option(s, opt, val, len);
}
