/* SPDX-License-Identifier: Apache-2.0 */
/* direct.c: the worker sleeps in the listener itself.
 *
 * OVERVIEW
 * In synchronous mode nearly every sleep ends with a notification: ppoll on the listener, the kick descriptor and the host poller before
 * each RECV costs more than the RECV. After a number of such sleeps the worker blocks in RECV alone. The rest is watched by a thread of
 * its own: host descriptors, the next deadline, SIGCHLD. It kicks the worker, and after a host event the worker goes back to ppoll until
 * things are calm again, so that a busy host descriptor does not cost two switches an event. Dead children: see reap().
 *
 * A kick reaches a thread inside RECV as a signal. Between the look at the kick flag and the host call lies a range of instructions from
 * which the handler jumps away; the host restarts an interrupted RECV by going back into that range. `direct` says whether the
 * worker may be there; whoever kicks it moves the word to KICKED first, and the worker then waits for the signal, so that it never strikes
 * another host call. */
#include "platform/trap/trap.h"
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define CALM_SLEEPS 64
#define DIRECT_SIGNAL 40
#define SHORT_SLEEP (500 * NSEC_PER_USEC)

enum { DIRECT_OFF, DIRECT_IN, DIRECT_KICKED };

static __thread pid_t my_tid __attribute__((tls_model("initial-exec"))); /* set once this thread takes the signal */
static __thread volatile sig_atomic_t signal_came __attribute__((tls_model("initial-exec")));

/* RECV, unless *kicked. 0 or -errno. */
long bailey_recv(int fd, struct seccomp_notif *n, _Atomic bool *kicked) __attribute__((visibility("hidden")));
extern const char bailey_recv_start[] __attribute__((visibility("hidden"))), bailey_recv_end[] __attribute__((visibility("hidden"))),
	bailey_recv_abort[] __attribute__((visibility("hidden")));
__asm__(".text\n"
	".p2align 4\n"
	".hidden bailey_recv, bailey_recv_start, bailey_recv_end, bailey_recv_abort\n"
	".globl bailey_recv, bailey_recv_start, bailey_recv_end, bailey_recv_abort\n"
	".type bailey_recv,@function\n"
	"bailey_recv:\n"
	"	movq %rdx, %r8\n"
	"	movq %rsi, %rdx\n"
	"	movl $0xc0502100, %esi\n" /* SECCOMP_IOCTL_NOTIF_RECV */
	"bailey_recv_start:\n"
	"	movl $16, %eax\n"
	"	cmpb $0, (%r8)\n"
	"	jne bailey_recv_abort\n"
	"	syscall\n"
	"bailey_recv_end:\n"
	"	ret\n"
	"bailey_recv_abort:\n"
	"	movq $-4, %rax\n"
	"	ret\n"
	".size bailey_recv,.-bailey_recv\n");
_Static_assert(SECCOMP_IOCTL_NOTIF_RECV == 0xc0502100, "");

static void on_kick(int sig, siginfo_t *info, void *context)
{
	greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

	if (*rip >= (greg_t)bailey_recv_start && *rip < (greg_t)bailey_recv_end)
		*rip = (greg_t)bailey_recv_abort;
	signal_came = 1;
}

/* ---- the watcher ---- */

static void *watch(void *arg)
{
	struct platform *p = arg;
	sigset_t all, mask;

	prctl(PR_SET_TIMERSLACK, 1);
	sigfillset(&all);
	mask = all;
	sigdelset(&mask, SIGCHLD);
	for (;;) {
		struct pollfd f[2] = { { .fd = p->worker ? -1 : sched_epoll_fd(p->sched), .events = POLLIN }, { .fd = p->watch_fd, .events = POLLIN } };
		ktime_t deadline, now;
		struct timespec ts;
		uint64_t v;
		bool muted;
		int n;

		while (!atomic_load(&p->watch_armed) && !atomic_load(&p->watch_end))
			syscall(SYS_futex, &p->watch_armed, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, NULL, NULL, 0);
		if (atomic_load(&p->watch_end))
			return NULL;
		deadline = atomic_load(&p->watch_deadline);
		muted = atomic_load(&p->nkilled);
		now = deadline == KTIME_MAX && !muted ? 0 : ktime_mono();
		if (muted)
			deadline = MIN(deadline, now + REAP_WAIT);
		ts = (struct timespec){ MAX(deadline - now, (ktime_t)0) / NSEC_PER_SEC, MAX(deadline - now, (ktime_t)0) % NSEC_PER_SEC };
		n = ppoll(f, 2, deadline == KTIME_MAX ? NULL : &ts, muted ? &all : &mask);
		if (n > 0 && f[1].revents && read(p->watch_fd, &v, sizeof(v)) < 0) {
			/* it was told something: looked at below, or at the next turn */
		}
		if (n > 0 && f[0].revents) {
			atomic_store(&p->watch_armed, 0);
			kick_lane(p);
		} else if (n < 0 ? !atomic_load(&p->nkilled) : n == 0 && muted) {
			atomic_store(&p->child_died, true);
			kick_lane(p);
		} else if (deadline != KTIME_MAX && deadline <= ktime_mono() && atomic_compare_exchange_strong(&p->watch_deadline, &deadline, KTIME_MAX)) {
			kick_lane(p);
		}
	}
}

static void tell_watcher(struct platform *p)
{
	uint64_t one = 1;

	if (write(p->watch_fd, &one, sizeof(one)) < 0) {
		/* full: it has been told */
	}
}

static bool watcher_start(struct platform *p)
{
	struct sigaction sa = { .sa_sigaction = on_kick, .sa_flags = SA_SIGINFO | SA_RESTART };
	sigset_t all, old;
	int err;

	sigaction(DIRECT_SIGNAL, &sa, NULL);
	p->watch_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->watch_fd < 0)
		return false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = pthread_create(&p->watcher, NULL, watch, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		close(p->watch_fd);
	p->watching = !err;
	return !err;
}

/* A host thread sleeps in RECV for the first time. */
static void thread_start(void)
{
	sigset_t one;

	sigemptyset(&one);
	sigaddset(&one, DIRECT_SIGNAL);
	pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	my_tid = (pid_t)syscall(SYS_gettid);
}

void direct_exit(struct platform *p)
{
	if (!p->watching)
		return;
	atomic_store(&p->watch_end, true);
	atomic_store(&p->watch_armed, 1);
	syscall(SYS_futex, &p->watch_armed, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
	tell_watcher(p);
	pthread_join(p->watcher, NULL);
	close(p->watch_fd);
}

/* ---- the worker ---- */

/* May the worker sleep in RECV until something comes, with the watcher in charge of the rest? */
bool direct_ready(struct platform *p, ktime_t deadline)
{
#ifdef __SANITIZE_THREAD__
	return false; /* it delivers signals when it likes */
#endif
	if (p->watch_failed)
		return false;
	if (!atomic_load_explicit(&p->watch_armed, memory_order_relaxed)) {
		if (++p->calm < CALM_SLEEPS)
			return false;
		if (!p->watching && !watcher_start(p)) {
			p->watch_failed = true;
			return false;
		}
		p->calm = 0;
		atomic_store(&p->watch_deadline, deadline);
		atomic_store(&p->watch_armed, 1);
		syscall(SYS_futex, &p->watch_armed, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
		return true;
	}
	if (deadline < atomic_load(&p->watch_deadline)) {
		if (deadline - ktime_mono() < SHORT_SLEEP)
			return false;
		atomic_store(&p->watch_deadline, deadline);
		tell_watcher(p);
	}
	return true;
}

/* Sleep there. True: *n is a notification. */
bool direct_receive(struct platform *p, struct seccomp_notif *n)
{
	int in = DIRECT_IN;
	long r;

	if (unlikely(!my_tid))
		thread_start();
	p->direct_tid = my_tid;
	atomic_store(&p->direct, DIRECT_IN);
	r = bailey_recv(p->listener, n, &p->kicked);
	if (unlikely(!atomic_compare_exchange_strong(&p->direct, &in, DIRECT_OFF))) {
		while (!signal_came)
			__builtin_ia32_pause();
		signal_came = 0;
		atomic_store(&p->direct, DIRECT_OFF);
	}
	return r == 0;
}

/* Any thread, after kicked was set. */
void direct_kick(struct platform *p)
{
	int in = DIRECT_IN;

	if (atomic_load(&p->direct) == DIRECT_IN && atomic_compare_exchange_strong(&p->direct, &in, DIRECT_KICKED))
		syscall(SYS_tgkill, getpid(), p->direct_tid, DIRECT_SIGNAL);
}
