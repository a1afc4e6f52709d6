/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd.c: signals of whoever reads, through a descriptor.
 *
 * poll() puts waiters into the polling process's queue. An epoll instance may outlive that process, so that the file keeps
 * a reference to each process that polled it: the queue stays where it is as long as the file does. */
#include "kernel/signalfd.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/signalfd.h>

_Static_assert(sizeof(struct signalfd_siginfo) == 128, "struct signalfd_siginfo");

struct signalfd {
	_Atomic sigset_k mask;
	struct mutex lock; /* RANK_LEAF: the processes that polled, counted */
	unsigned ntgs;
	struct thread_group **tgs;
};
static const struct file_ops signalfd_ops;

static inline bool pending(struct task *t, sigset_k mask)
{
	return (READ_ONCE(t->pending.set) | READ_ONCE(t->tg->pending.set)) & mask;
}

static void convert(struct signalfd_siginfo *s, const siginfo_k *i)
{
	memset(s, 0, sizeof(*s));
	s->ssi_signo = i->si_signo;
	s->ssi_errno = i->si_errno;
	s->ssi_code = i->si_code;
	if (i->si_code == SI_TIMER) {
		s->ssi_tid = i->timer.tid;
		s->ssi_overrun = i->timer.overrun;
		s->ssi_ptr = i->timer.value;
		s->ssi_int = (int)i->timer.value;
	} else if (i->si_code <= 0 && i->si_code != SI_SIGIO) {
		s->ssi_pid = i->rt.pid;
		s->ssi_uid = i->rt.uid;
		if (i->si_code != SI_USER) {
			s->ssi_ptr = i->rt.u.value;
			s->ssi_int = (int)i->rt.u.value;
		}
	} else if (i->si_code == SI_KERNEL || !siginfo_known(i->si_signo, i->si_code)) {
		s->ssi_pid = i->rt.pid;
		s->ssi_uid = i->rt.uid;
	} else {
		switch (i->si_code == SI_SIGIO ? SIGIO : i->si_signo) {
		case SIGCHLD:
			s->ssi_pid = i->chld.pid;
			s->ssi_uid = i->chld.uid;
			s->ssi_status = i->chld.status;
			s->ssi_utime = i->chld.utime;
			s->ssi_stime = i->chld.stime;
			break;
		case SIGILL:
		case SIGFPE:
		case SIGSEGV:
		case SIGBUS:
		case SIGTRAP:
			s->ssi_addr = i->fault.addr;
			if (i->si_signo == SIGBUS && i->si_code >= BUS_MCEERR_AR)
				s->ssi_addr_lsb = i->fault.addr_lsb;
			break;
		case SIGSYS:
			s->ssi_call_addr = i->sys.call_addr;
			s->ssi_syscall = i->sys.nr;
			s->ssi_arch = i->sys.arch;
			break;
		default: /* F_SETSIG's */
			s->ssi_band = i->poll.band;
			s->ssi_fd = i->poll.fd;
		}
	}
}

static ssize_t signalfd_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct signalfd *s = f->private;
	struct task *t = current;
	struct signalfd_siginfo out;
	ssize_t done = 0;
	siginfo_k info;

	if (to->count < sizeof(out))
		return -EINVAL;
	while (to->count >= sizeof(out)) {
		sigset_k mask = atomic_load(&s->mask);
		if (!pending(t, mask) || !task_dequeue_signal(t, mask, &info)) {
			if (done)
				break;
			if (f->flags & O_NONBLOCK)
				return -EAGAIN;
			int r = task_wait(&t->tg->signalfd_wait, pending(t, atomic_load(&s->mask)), KTIME_MAX);
			if (r)
				return r;
			continue;
		}
		convert(&out, &info);
		if (copy_to_iter(&out, sizeof(out), to) != sizeof(out))
			return done ? done : -EFAULT;
		done += sizeof(out);
	}
	return done;
}

static unsigned signalfd_poll(struct file *f, struct poll_table *pt)
{
	struct signalfd *s = f->private;
	struct task *t = current;

	if (pt && pt->queue) {
		unsigned i;
		mutex_lock(&s->lock);
		for (i = 0; i < s->ntgs && s->tgs[i] != t->tg; i++)
			;
		if (i == s->ntgs) {
			s->tgs = xrealloc(s->tgs, (s->ntgs + 1) * sizeof(*s->tgs));
			s->tgs[s->ntgs++] = t->tg;
			tg_get(t->tg);
		}
		mutex_unlock(&s->lock);
		poll_wait(f, &t->tg->signalfd_wait, pt);
	}
	return pending(t, atomic_load(&s->mask)) ? EPOLLIN : 0;
}

static void signalfd_release(struct file *f)
{
	struct signalfd *s = f->private;

	for (unsigned i = 0; i < s->ntgs; i++)
		tg_put(s->tgs[i]);
	free(s->tgs);
	free(s);
}

static void signalfd_show(struct file *f, char *buf, size_t size)
{
	struct signalfd *s = f->private;

	snprintf(buf, size, "sigmask:\t%016llx\n", (unsigned long long)atomic_load(&s->mask));
}

static const struct file_ops signalfd_ops = {
	.read = signalfd_read,
	.poll = signalfd_poll,
	.release = signalfd_release,
	.llseek = noop_llseek,
	.stream = true,
	.show_fdinfo = signalfd_show,
};

int signalfd_create(sigset_k mask, unsigned flags, struct file **out)
{
	struct signalfd *s = kzalloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	mutex_init(&s->lock, RANK_LEAF);
	atomic_init(&s->mask, mask & ~SIG_UNBLOCKABLE);
	int r = anon_file("anon_inode:[signalfd]", 0600, &signalfd_ops, s, O_RDWR | (flags & SFD_NONBLOCK), out);
	if (r)
		free(s);
	return r;
}

int signalfd_set_mask(struct file *f, sigset_k mask)
{
	if (f->ops != &signalfd_ops)
		return -EINVAL;
	struct signalfd *s = f->private;
	atomic_store(&s->mask, mask & ~SIG_UNBLOCKABLE);
	wait_queue_wake_all(&current->tg->signalfd_wait, EPOLLIN);
	return 0;
}
