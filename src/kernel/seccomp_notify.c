/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_notify.c: listeners of filters (seccomp_unotify(2)).
 *
 * LIFECYCLE: a listener is held by its filter and by its file. A call that a filter hands over waits in a struct notif on its fiber's
 * stack, in the listener's list until it is answered or gives up. Without a file calls fail with ENOSYS; without tasks under the filter
 * the file hangs up.
 * LOCKS: listener.lock guards the list and the states; fibers and poll waiters are woken under it.
 */
#include "kernel/internal.h"
#include "kernel/seccomp.h"
#include "mm/uaccess.h"
#include <fcntl.h>
#include <sys/ioctl.h>

enum state { NOTIF_NEW, NOTIF_SENT, NOTIF_DONE };

struct notif { /* listener.lock */
	TAILQ_ENTRY(notif) link;
	uint64_t id;
	enum state state;
	struct task *task;    /* borrowed: it waits */
	struct fiber *fiber;
	struct seccomp_data data;
	int64_t result;
	bool go_on;
};

struct seccomp_listener {
	struct refcount ref;
	struct mutex lock; /* RANK_FUTEX: below are only wait queues and the scheduler */
	struct wait_queue wq;
	TAILQ_HEAD(, notif) notifs;
	uint64_t next_id;
	bool killable; /* immutable */
	bool closed, no_filter;
};

void seccomp_listener_put(struct seccomp_listener *l)
{
	if (l && refcount_put(&l->ref))
		free(l);
}

void seccomp_listener_no_filter(struct seccomp_listener *l)
{
	mutex_lock(&l->lock);
	l->no_filter = true;
	wait_queue_wake_all(&l->wq, EPOLLHUP);
	mutex_unlock(&l->lock);
}

/* ---- the caller's side ---- */

bool seccomp_notify(struct task *t, struct seccomp_listener *l, const struct seccomp_data *d, int64_t *result)
{
	struct notif n = { .task = t, .fiber = fiber_self(), .data = *d };
	int err = 0;

	*result = -ENOSYS;
	mutex_lock(&l->lock);
	if (l->closed) {
		mutex_unlock(&l->lock);
		return false;
	}
	n.id = ++l->next_id;
	TAILQ_INSERT_TAIL(&l->notifs, &n, link);
	wait_queue_wake(&l->wq, EPOLLIN | EPOLLRDNORM);
	mutex_unlock(&l->lock);
	task_will_block(t);
	for (;;) {
		mutex_lock(&l->lock);
		bool wait_on = n.state != NOTIF_DONE && (!err || (l->killable && n.state == NOTIF_SENT && !t->killed));
		enum park_mode mode = l->killable && n.state == NOTIF_SENT ? PARK_KILLABLE : PARK_INTERRUPTIBLE;

		if (!wait_on)
			TAILQ_REMOVE(&l->notifs, &n, link);
		mutex_unlock(&l->lock);
		if (!wait_on)
			break;
		err = fiber_park(mode, KTIME_MAX);
	}
	if (n.state != NOTIF_DONE) {
		*result = -ERESTARTSYS;
		return false;
	}
	*result = n.result;
	return n.go_on;
}

/* ---- the listener's side ---- */

static struct notif *find_locked(struct seccomp_listener *l, uint64_t id)
{
	struct notif *n;

	TAILQ_FOREACH(n, &l->notifs, link)
		if (n->id == id)
			return n;
	return NULL;
}

static struct notif *first_locked(struct seccomp_listener *l, enum state s)
{
	struct notif *n;

	TAILQ_FOREACH(n, &l->notifs, link)
		if (n->state == s)
			return n;
	return NULL;
}

static bool has_new(struct seccomp_listener *l)
{
	guard(mutex)(&l->lock);
	return l->no_filter || first_locked(l, NOTIF_NEW);
}

static void done_locked(struct notif *n, int64_t result, bool go_on)
{
	n->state = NOTIF_DONE;
	n->result = result;
	n->go_on = go_on;
	fiber_wake(n->fiber);
}

static long receive(struct seccomp_listener *l, uaddr_t arg)
{
	struct seccomp_notif out;
	int r;

	if (copy_from_user(&out, arg, sizeof(out)))
		return -EFAULT;
	for (size_t i = 0; i < sizeof(out); i++)
		if (((char *)&out)[i])
			return -EINVAL;
	r = task_wait(&l->wq, has_new(l), KTIME_MAX);
	if (r)
		return r;
	mutex_lock(&l->lock);
	struct notif *n = first_locked(l, NOTIF_NEW);

	if (!n) {
		mutex_unlock(&l->lock);
		return -ENOENT;
	}
	n->state = NOTIF_SENT;
	out.id = n->id;
	out.pid = (uint32_t)task_tid(n->task, task_pid_ns(current));
	out.data = n->data;
	if (l->killable)
		fiber_wake(n->fiber); /* to wait without being interrupted from now on */
	wait_queue_wake(&l->wq, EPOLLOUT | EPOLLWRNORM);
	mutex_unlock(&l->lock);
	if (!copy_to_user(arg, &out, sizeof(out)))
		return 0;
	mutex_lock(&l->lock);
	n = find_locked(l, out.id);
	if (n && n->state == NOTIF_SENT) {
		n->state = NOTIF_NEW;
		wait_queue_wake(&l->wq, EPOLLIN | EPOLLRDNORM);
	}
	mutex_unlock(&l->lock);
	return -EFAULT;
}

static long answer(struct seccomp_listener *l, uaddr_t arg)
{
	struct seccomp_notif_resp resp;

	if (copy_from_user(&resp, arg, sizeof(resp)))
		return -EFAULT;
	if (resp.flags & ~SECCOMP_USER_NOTIF_FLAG_CONTINUE)
		return -EINVAL;
	if ((resp.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE) && (resp.error || resp.val))
		return -EINVAL;
	guard(mutex)(&l->lock);
	struct notif *n = find_locked(l, resp.id);

	if (!n)
		return -ENOENT;
	if (n->state != NOTIF_SENT)
		return -EINPROGRESS;
	done_locked(n, resp.error ? resp.error : resp.val, resp.flags & SECCOMP_USER_NOTIF_FLAG_CONTINUE);
	return 0;
}

static long id_valid(struct seccomp_listener *l, uaddr_t arg)
{
	uint64_t id;

	if (get_user(id, arg))
		return -EFAULT;
	guard(mutex)(&l->lock);
	struct notif *n = find_locked(l, id);

	return n && n->state == NOTIF_SENT ? 0 : -ENOENT;
}

/* The table of the task that waits in id; counted. */
static int target_table(struct seccomp_listener *l, uint64_t id, struct fd_table **out)
{
	guard(mutex)(&l->lock);
	struct notif *n = find_locked(l, id);

	if (!n)
		return -ENOENT;
	if (n->state != NOTIF_SENT)
		return -EINPROGRESS;
	fd_table_get(n->task->fdt);
	*out = n->task->fdt;
	return 0;
}

static long add_fd(struct seccomp_listener *l, uaddr_t arg, unsigned size)
{
	struct seccomp_notif_addfd a;
	struct fd_table *fdt;
	long r, fd;

	if (size < sizeof(a) || size >= GUEST_PAGE_SIZE)
		return -EINVAL;
	r = copy_struct_from_user(&a, sizeof(a), arg, size);
	if (r)
		return r;
	if ((a.newfd_flags & ~(uint32_t)O_CLOEXEC) || (a.flags & ~(SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND)) ||
	    (a.newfd && !(a.flags & SECCOMP_ADDFD_FLAG_SETFD)))
		return -EINVAL;
	__free(file) struct file *f = fd_get(current->fdt, (int)a.srcfd);

	if (!f)
		return -EBADF;
	r = target_table(l, a.id, &fdt);
	if (r)
		return r;
	if (a.flags & SECCOMP_ADDFD_FLAG_SETFD)
		fd = fd_replace(fdt, (int)a.newfd, f, a.newfd_flags & O_CLOEXEC);
	else
		fd = fd_install_from(fdt, f, 0, fd_table_limit(fdt), a.newfd_flags & O_CLOEXEC);
	fd_table_put(fdt);
	if (fd < 0 || !(a.flags & SECCOMP_ADDFD_FLAG_SEND))
		return fd;
	guard(mutex)(&l->lock);
	struct notif *n = find_locked(l, a.id);

	if (!n || n->state != NOTIF_SENT)
		return -ENOENT;
	done_locked(n, fd, false);
	return fd;
}

static long listener_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct seccomp_listener *l = f->private;

	switch (cmd) {
	case SECCOMP_IOCTL_NOTIF_RECV: return receive(l, arg);
	case SECCOMP_IOCTL_NOTIF_SEND: return answer(l, arg);
	case SECCOMP_IOCTL_NOTIF_ID_VALID:
	case SECCOMP_IOR(2, uint64_t): /* its number when it was new */
		return id_valid(l, arg);
	case SECCOMP_IOW(4, uint64_t): /* SECCOMP_IOCTL_NOTIF_SET_FLAGS: on which CPU to wake is the host's matter */
		return arg & ~1ULL ? -EINVAL : 0;
	}
	if ((cmd & ~(IOC_INOUT | IOCSIZE_MASK)) == (SECCOMP_IOCTL_NOTIF_ADDFD & ~(IOC_INOUT | IOCSIZE_MASK)))
		return add_fd(l, arg, _IOC_SIZE(cmd));
	return -EINVAL;
}

static unsigned listener_poll(struct file *f, struct poll_table *pt)
{
	struct seccomp_listener *l = f->private;

	poll_wait(f, &l->wq, pt);
	guard(mutex)(&l->lock);
	return (first_locked(l, NOTIF_NEW) ? EPOLLIN | EPOLLRDNORM : 0) | (first_locked(l, NOTIF_SENT) ? EPOLLOUT | EPOLLWRNORM : 0) |
	       (l->no_filter ? EPOLLHUP : 0);
}

static void listener_release(struct file *f)
{
	struct seccomp_listener *l = f->private;
	struct notif *n;

	mutex_lock(&l->lock);
	l->closed = true;
	TAILQ_FOREACH(n, &l->notifs, link)
		if (n->state != NOTIF_DONE)
			done_locked(n, -ENOSYS, false);
	mutex_unlock(&l->lock);
	seccomp_listener_put(l);
}

static const struct file_ops listener_ops = {
	.ioctl = listener_ioctl,
	.poll = listener_poll,
	.release = listener_release,
	.llseek = noop_llseek,
	.stream = true,
};

int seccomp_listener_create(bool killable, struct seccomp_listener **out, struct file **file)
{
	struct seccomp_listener *l = new(struct seccomp_listener);

	refcount_init(&l->ref);
	mutex_init(&l->lock, RANK_FUTEX);
	wait_queue_init(&l->wq);
	TAILQ_INIT(&l->notifs);
	l->killable = killable;
	refcount_get(&l->ref); /* the file's */
	int r = anon_file("anon_inode:seccomp notify", S_IFREG | 0600, &listener_ops, l, O_RDWR, file);

	if (r) {
		free(l);
		return r;
	}
	*out = l;
	return 0;
}
