/* SPDX-License-Identifier: Apache-2.0 */
/* timerfd.c: timers behind descriptors.
 *
 * Times are kept on the timer's own clock; the ktimer runs on the host's monotonic clock. An interval timer is not restarted
 * on each expiry: like Linux's, it is moved forward when somebody reads or asks, so a fast one costs nothing while nobody looks.
 * LOCKS  timerfd.lock (RANK_FS). The ktimer's function takes it.
 */
#include "fs/anon/timerfd.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/timerfd.h>

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS _IOW('T', 0, uint64_t)
#endif

struct timerfd {
	struct mutex lock; /* RANK_FS */
	struct ktimer timer;
	int clock, settime_flags;
	bool armed, expired; /* expired: the ktimer has fired and was not moved forward yet */
	ktime_t expires;     /* on the clock */
	ktime_t interval;
	uint64_t ticks; /* read without the lock by sleepers */
	struct wait_queue wq;
};
static const struct file_ops timerfd_ops;

static ktime_t clock_now(const struct timerfd *t)
{
	struct timespec ts;

	switch (t->clock) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_ALARM:
		return ktime_real();
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		clock_gettime(CLOCK_BOOTTIME, &ts);
		return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
	}
	return ktime_mono();
}

static void start(struct timerfd *t, ktime_t now)
{
	ktime_t delta = t->expires > now ? t->expires - now : 0;

	t->expired = false;
	ktimer_start(&t->timer, ktime_add_sat(ktime_mono(), delta));
}

static void timerfd_fire(struct ktimer *k)
{
	struct timerfd *t = container_of(k, struct timerfd, timer);

	mutex_lock(&t->lock);
	if (!t->armed || t->expired) {
		mutex_unlock(&t->lock);
		return;
	}
	ktime_t now = clock_now(t);
	if (now < t->expires) { /* the wall clock went back, or the start lost a race with a new setting */
		start(t, now);
		mutex_unlock(&t->lock);
		return;
	}
	t->expired = true;
	WRITE_ONCE(t->ticks, t->ticks + 1);
	mutex_unlock(&t->lock);
	wait_queue_wake_all(&t->wq, EPOLLIN);
}

/* Count the periods that passed since it fired and start it again. */
static uint64_t forward_locked(struct timerfd *t)
{
	uint64_t n = 0;

	if (!t->expired)
		return 0;
	if (!t->interval) {
		t->armed = false;
		t->expired = false;
		return 0;
	}
	ktime_t now = clock_now(t);
	if (now >= t->expires) {
		n = (uint64_t)(now - t->expires) / t->interval + 1;
		t->expires = ktime_add_sat(t->expires, n * t->interval);
	}
	start(t, now);
	return n ? n - 1 : 0;
}

static ssize_t timerfd_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct timerfd *t = f->private;
	uint64_t ticks;

	if (to->count < sizeof(ticks))
		return -EINVAL;
	for (;;) {
		mutex_lock(&t->lock);
		ticks = t->ticks;
		if (ticks) {
			ticks += forward_locked(t);
			t->ticks = 0;
		}
		mutex_unlock(&t->lock);
		if (ticks)
			break;
		if (f->flags & O_NONBLOCK)
			return -EAGAIN;
		int r = vfs_wait(&t->wq, READ_ONCE(t->ticks), KTIME_MAX);
		if (r)
			return r;
	}
	return copy_to_iter(&ticks, sizeof(ticks), to) == sizeof(ticks) ? (ssize_t)sizeof(ticks) : -EFAULT;
}

static unsigned timerfd_poll(struct file *f, struct poll_table *pt)
{
	struct timerfd *t = f->private;

	poll_wait(f, &t->wq, pt);
	return READ_ONCE(t->ticks) ? EPOLLIN : 0;
}

static void fill_current(struct timerfd *t, struct itimerspec_k *c)
{
	ktime_t left = 0;

	if (t->armed) {
		left = t->expires - clock_now(t);
		if (left <= 0)
			left = t->expired ? 0 : 1; /* armed, about to fire: never 0 */
	}
	c->value.sec = left / NSEC_PER_SEC;
	c->value.nsec = left % NSEC_PER_SEC;
	c->interval.sec = t->interval / NSEC_PER_SEC;
	c->interval.nsec = t->interval % NSEC_PER_SEC;
}

static ktime_t to_ktime(int64_t sec, int64_t nsec)
{
	return sec >= KTIME_MAX / NSEC_PER_SEC ? KTIME_MAX : sec * NSEC_PER_SEC + nsec;
}

int timerfd_clock(struct file *f) { return f->ops == &timerfd_ops ? ((struct timerfd *)f->private)->clock : -EINVAL; }

int timerfd_set(struct file *f, int flags, const struct itimerspec_k *new, struct itimerspec_k *old)
{
	if (f->ops != &timerfd_ops)
		return -EINVAL;
	struct timerfd *t = f->private;
	guard(mutex)(&t->lock);
	if (t->expired) /* the old setting is shown as it stands now */
		t->ticks += forward_locked(t);
	if (old)
		fill_current(t, old);
	ktimer_cancel(&t->timer);
	t->ticks = 0;
	t->expired = false;
	t->settime_flags = flags;
	t->interval = to_ktime(new->interval.sec, new->interval.nsec);
	ktime_t v = to_ktime(new->value.sec, new->value.nsec), now = clock_now(t);
	t->armed = v != 0;
	if (t->armed) {
		t->expires = flags & TFD_TIMER_ABSTIME ? v : ktime_add_sat(now, v);
		start(t, now);
	}
	return 0;
}

int timerfd_get(struct file *f, struct itimerspec_k *cur)
{
	if (f->ops != &timerfd_ops)
		return -EINVAL;
	struct timerfd *t = f->private;
	guard(mutex)(&t->lock);
	if (t->expired)
		t->ticks += forward_locked(t);
	fill_current(t, cur);
	return 0;
}

static long timerfd_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct timerfd *t = f->private;
	uint64_t ticks;

	if (cmd != TFD_IOC_SET_TICKS)
		return -ENOIOCTLCMD;
	if (get_user(ticks, arg))
		return -EFAULT;
	if (!ticks)
		return -EINVAL;
	mutex_lock(&t->lock);
	t->ticks = ticks;
	mutex_unlock(&t->lock);
	wait_queue_wake_all(&t->wq, EPOLLIN);
	return 0;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->private;

	mutex_lock(&t->lock);
	t->armed = false;
	mutex_unlock(&t->lock);
	ktimer_cancel_sync(&t->timer);
	free(t);
}

static void timerfd_show(struct file *f, char *buf, size_t size)
{
	struct timerfd *t = f->private;
	struct itimerspec_k c;

	guard(mutex)(&t->lock);
	fill_current(t, &c);
	snprintf(buf, size,
		 "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%llu, %llu)\nit_interval: (%llu, %llu)\n", t->clock,
		 (unsigned long long)t->ticks, t->settime_flags, (unsigned long long)c.value.sec, (unsigned long long)c.value.nsec,
		 (unsigned long long)c.interval.sec, (unsigned long long)c.interval.nsec);
}

static const struct file_ops timerfd_ops = {
	.read = timerfd_read,
	.poll = timerfd_poll,
	.ioctl = timerfd_ioctl,
	.release = timerfd_release,
	.llseek = noop_llseek,
	.stream = true,
	.show_fdinfo = timerfd_show,
};

int timerfd_create_file(struct sched *s, int clock, unsigned flags, struct file **out)
{
	struct timerfd *t = kzalloc(sizeof(*t));

	if (!t)
		return -ENOMEM;
	mutex_init(&t->lock, RANK_FS);
	wait_queue_init(&t->wq);
	ktimer_init(&t->timer, s, timerfd_fire);
	t->clock = clock;
	int r = anon_file("anon_inode:[timerfd]", 0600, &timerfd_ops, t, O_RDWR | (flags & TFD_NONBLOCK), out);
	if (r)
		free(t);
	return r;
}
