/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl.c: socket ioctls: the sandbox's own interfaces, read only. */
#include "net/inet/inet.h"
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

/* The ioctls of interfaces, which any socket has. */
long net_dev_ioctl(int fd, unsigned cmd, uint64_t arg)
{
	struct ifreq ifr;
	int r;
	switch (cmd) {
	case SIOCGIFFLAGS:
	case SIOCGIFADDR:
	case SIOCGIFDSTADDR:
	case SIOCGIFBRDADDR:
	case SIOCGIFNETMASK:
	case SIOCGIFMETRIC:
	case SIOCGIFMTU:
	case SIOCGIFHWADDR:
	case SIOCGIFINDEX:
	case SIOCGIFNAME:
	case SIOCGIFTXQLEN:
		if (copy_from_user(&ifr, arg, sizeof(ifr)))
			return -EFAULT;
		if ((r = host_result(ioctl(fd, cmd, &ifr))))
			return r;
		return copy_to_user(arg, &ifr, sizeof(ifr));
	case SIOCGIFCONF: {
		struct { int32_t len; int32_t pad; uaddr_t buf; } u;
		if (copy_from_user(&u, arg, sizeof(u)))
			return -EFAULT;
		if (u.len < 0)
			return -EINVAL;
		struct ifreq reqs[32];
		struct ifconf c = { .ifc_len = u.buf ? MIN((size_t)u.len, sizeof(reqs)) : 0, .ifc_req = u.buf ? reqs : NULL };
		if ((r = host_result(ioctl(fd, cmd, &c))))
			return r;
		if (u.buf && copy_to_user(u.buf, reqs, c.ifc_len))
			return -EFAULT;
		u.len = c.ifc_len;
		return copy_to_user(arg, &u, sizeof(u));
	}
	case SIOCSIFFLAGS: { /* no change is none */
		if (copy_from_user(&ifr, arg, sizeof(ifr)))
			return -EFAULT;
		short flags = ifr.ifr_flags;
		if ((r = host_result(ioctl(fd, SIOCGIFFLAGS, &ifr))))
			return r;
		const short settable = IFF_UP | IFF_DEBUG | IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | IFF_MULTICAST;
		return cred_has_cap(current->cred, CAP_NET_ADMIN_) && !((flags ^ ifr.ifr_flags) & settable) ? 0 : -EPERM;
	}
	case SIOCSIFADDR:
	case SIOCSIFNETMASK:
	case SIOCSIFMTU:
	case SIOCSIFHWADDR:
	case SIOCSIFNAME:
	case SIOCADDRT:
	case SIOCDELRT:
		return -EPERM; /* the sandbox's interfaces are not the guest's to change */
	}
	return -ENOIOCTLCMD;
}

long inet_ioctl(struct socket *s, unsigned cmd, uint64_t arg)
{
	struct inet_sock *i = s->private;
	int v, r;
	switch (cmd) {
	case FIONREAD:
	case TIOCOUTQ:
	case SIOCATMARK:
	case SIOCOUTQNSD:
		v = 0;
		if (!inet_fused(i) && (r = host_result(ioctl(i->fd, cmd, &v))))
			return r;
		if (cmd == FIONREAD)
			v += (int)fuse_unread(i);
		else if (cmd == SIOCATMARK)
			v = v && !fuse_unread(i);
		else
			v += (int)fuse_unsent(i);
		return put_user(v, arg);
	}
	return net_dev_ioctl(i->fd, cmd, arg);
}
