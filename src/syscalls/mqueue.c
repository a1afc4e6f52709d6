/* SPDX-License-Identifier: Apache-2.0 */
/* mqueue.c: POSIX message queues: mq_open(2), mq_unlink(2), mq_timedsend(2), mq_timedreceive(2), mq_notify(2), mq_getsetattr(2). */
#include "fs/mqueue/mqueue.h"
#include "net/socket.h"
#include "syscalls/proto.h"
#include <fcntl.h>
#include <limits.h>

static int get_name(uaddr_t addr, char **out)
{
	char *name = xzalloc(PATH_MAX);
	ssize_t n = strncpy_from_user(name, addr, PATH_MAX);

	if (n < 0) {
		free(name);
		return n;
	}
	*out = name;
	return 0;
}

long sys_mq_open(struct task *t, const struct syscall_args *a)
{
	struct mq_attr_k attr;
	char *name;
	long r;

	if (a->a[3] && get_user(attr, a->a[3]))
		return -EFAULT;
	r = get_name(a->a[0], &name);
	if (r)
		return r;
	r = mqueue_open(t, name, (int)a->a[1], (uint32_t)a->a[2], a->a[3] ? &attr : NULL);
	free(name);
	return r;
}

long sys_mq_unlink(struct task *t, const struct syscall_args *a)
{
	char *name;
	long r = get_name(a->a[0], &name);

	if (r)
		return r;
	r = mqueue_unlink(t, name);
	free(name);
	return r;
}

/* An absolute time of CLOCK_REALTIME, as a deadline of the kernel's clock. */
static int get_deadline(uaddr_t addr, ktime_t *out)
{
	struct timespec ts;

	*out = KTIME_MAX;
	if (!addr)
		return 0;
	if (get_user(ts, addr))
		return -EFAULT;
	if (!timespec_valid(&ts))
		return -EINVAL;
	ktime_t left = timespec_to_ktime(&ts) - ktime_real();
	*out = left <= 0 ? 1 : ktime_add_sat(ktime_mono(), left);
	return 0;
}

long sys_mq_timedsend(struct task *t, const struct syscall_args *a)
{
	ktime_t deadline;
	long r = get_deadline(a->a[4], &deadline);

	return r ? r : mqueue_send(t, (int)a->a[0], a->a[1], a->a[2], (unsigned)a->a[3], deadline);
}

long sys_mq_timedreceive(struct task *t, const struct syscall_args *a)
{
	ktime_t deadline;
	long r = get_deadline(a->a[4], &deadline);

	return r ? r : mqueue_receive(t, (int)a->a[0], a->a[1], a->a[2], a->a[3], deadline);
}

static void post_cookie(struct file *sock, const uint8_t *cookie)
{
	netlink_post(file_socket(sock), cookie, MQ_COOKIE_LEN);
}

long sys_mq_notify(struct task *t, const struct syscall_args *a)
{
	struct { uint64_t value; int32_t signo, notify; uint64_t pad[6]; } ev;
	struct mq_notify_k n;

	_Static_assert(sizeof(ev) == 64, "sigevent");
	if (!a->a[1])
		return mqueue_notify(t, (int)a->a[0], NULL);
	if (get_user(ev, a->a[1]))
		return -EFAULT;
	if (ev.notify != SIGEV_NONE && ev.notify != SIGEV_SIGNAL && ev.notify != SIGEV_THREAD)
		return -EINVAL;
	if (ev.notify == SIGEV_SIGNAL && (ev.signo < 0 || ev.signo > NSIG_K))
		return -EINVAL;
	n = (struct mq_notify_k){ .value = ev.value, .signo = ev.signo, .how = ev.notify };
	if (ev.notify == SIGEV_THREAD) { /* the value is the cookie's address, the number a netlink socket where glibc's thread waits */
		if (copy_from_user(n.cookie, ev.value, sizeof(n.cookie)))
			return -EFAULT;
		n.sock = fd_get(t->fdt, ev.signo);
		if (!n.sock)
			return -EBADF;
		struct socket *s = file_socket(n.sock);
		int err = !s ? -ENOTSOCK : s->family != AF_NETLINK ? -EINVAL : 0;

		if (err) {
			file_put(n.sock);
			return err;
		}
		n.post = post_cookie;
	}
	long r = mqueue_notify(t, (int)a->a[0], &n);

	if (r && n.sock)
		file_put(n.sock);
	return r;
}

long sys_mq_getsetattr(struct task *t, const struct syscall_args *a)
{
	struct mq_attr_k set, old;
	long r;

	if (a->a[1] && get_user(set, a->a[1]))
		return -EFAULT;
	r = mqueue_getsetattr(t, (int)a->a[0], a->a[1] ? &set : NULL, &old);
	if (!r && a->a[2] && copy_to_user(a->a[2], &old, sizeof(old)))
		return -EFAULT;
	return r;
}
