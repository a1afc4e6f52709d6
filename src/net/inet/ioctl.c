/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl.c: socket ioctls: the sandbox's own interfaces, read only. */
#include "net/inet/inet.h"
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

long inet_ioctl(struct socket *s, unsigned cmd, uint64_t arg)
{
	struct inet_sock *i = s->private;
	int v, r;
	struct ifreq ifr;
	switch (cmd) {
	case FIONREAD:
	case TIOCOUTQ:
	case SIOCATMARK:
	case SIOCOUTQNSD:
		if ((r = host_result(ioctl(i->fd, cmd, &v))))
			return r;
		return put_user(v, arg);
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
		if ((r = host_result(ioctl(i->fd, cmd, &ifr))))
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
		if ((r = host_result(ioctl(i->fd, cmd, &c))))
			return r;
		if (u.buf && copy_to_user(u.buf, reqs, c.ifc_len))
			return -EFAULT;
		u.len = c.ifc_len;
		return copy_to_user(arg, &u, sizeof(u));
	}
	}
	return -ENOIOCTLCMD;
}

