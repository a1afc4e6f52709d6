/* SPDX-License-Identifier: Apache-2.0 */
/* listener.c: events in, answers out; the two-mode policy; the worker's idle operations; reaping.
 *
 * OVERVIEW
 * Synchronous mode (the default): workers sleep on the listener (direct.c: in it); an answer that wakes a stub is synchronous (the stub
 * runs on this CPU as soon as the worker sleeps). Polling mode: one worker, pinned to its CPU, watches the lines of the threads in guest
 * code; stubs are kept off that CPU and spin for their answers. It starts after a streak of calls of one thread that were answered without
 * blocking while guests leave a CPU free, or when the calls of all threads come fast enough to pay for one; it ends when calls stop
 * coming, when a sleeping stub has to be woken on a CPU that is likely to be idle, or when it does not pay (docs/performance.md).
 *
 * No lost event: a stub publishes its event, then looks at the polling flag; leaving, the worker drops the flag, then looks at
 * all lines once more. A *wait* for a line that was answered meanwhile is answered at once.
 */
#include "platform/bind.h"
#include "platform/trap/trap.h"
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#endif

#define CLONES_MAX 16	 /* per order */
#define POLL_IDLE_NS 100000 /* without an event before it stops */
#define POLL_FIRST_LOOK 16
#define POLL_LOOK 256	 /* turns between looks at everything else */
#define RATE_EVENTS 32
#define HOT_NS 8000	 /* an event that often: most of the time goes into hand-offs */
#define SLOW_NS 5000	 /* less often: polling does not pay for a CPU that guests want */
#define SLOW_WINDOWS 4
#define WARM_MAX 1024
#define GAP_UNIT 16 /* of pl_thread.gap: to a pause */
#define GAP_MISS 16
#define GAP_MAX 320
#define GAP_NEAR 32 /* turns: a call that comes later is no longer a call after a call */

/* ---- CPUs ----
 * While a worker polls it stays on its CPU and the stubs stay off it: hosts with few CPUs do not look for an idle one when they wake a
 * task, and a stub behind the poller waits for the next tick. */

static void confine(struct platform *p, pid_t tid, int only, int but)
{
	cpu_set_t c = p->cpus;

	if (only >= 0) {
		CPU_ZERO(&c);
		CPU_SET(only, &c);
	} else if (but >= 0) {
		CPU_CLR(but, &c);
	}
	sched_setaffinity(tid, sizeof(c), &c);
}

static bool cpus_left(const cpu_set_t *c, int but)
{
	return CPU_COUNT(c) > (but >= 0 && CPU_ISSET(but, c));
}

/* Where a stub may run: where its guest thread may, but not on the poller's CPU if it is to keep off that. platform.lock */
void confine_stub(struct pl_thread *t)
{
	cpu_set_t c = t->bound ? t->bound_to : t->p->cpus;
	int but = t->placed ? t->p->poll_cpu : -1;

	if (but >= 0 && cpus_left(&c, but))
		CPU_CLR(but, &c);
	sched_setaffinity(t->tid, sizeof(c), &c);
}

void pl_thread_bind(struct pl_thread *t, const void *mask, size_t bytes)
{
	struct platform *p = t->p;
	cpu_set_t c;

	CPU_ZERO(&c);
	memcpy(&c, mask, MIN(bytes, sizeof(c)));
	CPU_AND(&c, &c, &p->cpus);
	guard(mutex)(&p->lock);
	bool bound = CPU_COUNT(&c) && !CPU_EQUAL(&c, &p->cpus);

	if (!bound && !t->bound)
		return;
	t->bound = bound;
	t->bound_to = c;
	if (t->tid)
		confine_stub(t);
}

/* A thread that is bound to the poller's CPU and no other: to poll there is to keep it from running. */
static bool under_poller(const struct pl_thread *t)
{
	return unlikely(t->bound) && !cpus_left(&t->bound_to, t->p->poll_cpu);
}

/* In synchronous mode: where this stub wakes next. Hosts wake a thread where it ran last, start a new one on an idle CPU, and move
 * one that is handed a descriptor to an idle CPU: a hand-off to another CPU costs ten times one on the same. */
void wake_here(struct pl_thread *t, bool here)
{
	int cpu = here ? sched_getcpu() : -1;

	if (unlikely(t->bound)) /* there, and the host decides */
		return;
	if (t->p->ncpu > 1 && t->tid && !t->placed)
		confine(t->p, t->tid, cpu, -1);
}

/* The same for both sides: this worker sleeps while a stub installs a descriptor, and would be woken on an idle CPU. */
static void stay_here(struct pl_thread *t, bool here)
{
	struct platform *p = t->p;

	if (p->ncpu > 1 && atomic_load_explicit(&p->mode, memory_order_relaxed) == MODE_SYNC)
		confine(p, 0, here ? sched_getcpu() : -1, -1);
	wake_here(t, here);
}

/* While several stubs share what the poller leaves them, the one that is woken waits until the one that runs sleeps: to push that off
 * its CPU costs an interrupt there, two switches, and its spinning. */
static void set_policy(struct pl_thread *t, int policy)
{
	if (t->p->batch)
		syscall(SYS_sched_setscheduler, t->tid, policy, &(struct sched_param){ 0 });
}

static void place(struct pl_thread *t)
{
	t->placed = t->tid != 0;
	if (t->tid) {
		confine_stub(t);
		set_policy(t, SCHED_BATCH);
	}
}

static void unplace(struct pl_thread *t)
{
	t->placed = false;
	confine_stub(t);
	set_policy(t, SCHED_OTHER);
}

/* Does its stub run or spin, or at least stand in a CPU's queue? */
void set_awake(struct pl_thread *t, bool on)
{
	if (t->awake == on)
		return;
	t->awake = on;
	t->p->nawake += on ? 1 : -1;
}

/* ---- notifications ---- */

int notif_send(struct platform *p, uint64_t id, int64_t val, uint32_t flags)
{
	struct seccomp_notif_resp r = { .id = id, .val = val, .flags = flags };

	p->stats.answers++;
	return ioctl(p->listener, SECCOMP_IOCTL_NOTIF_SEND, &r) ? -errno : 0;
}

static void set_sync(struct platform *p, bool sync)
{
	if (!p->sync_wake || p->sync_flag == sync)
		return;
	p->sync_flag = sync;
	ioctl(p->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, (unsigned long)sync);
}

static int add_fd(struct platform *p, uint64_t id, int fd, int as)
{
	struct seccomp_notif_addfd a = {
		.id = id, .srcfd = (uint32_t)fd, .flags = as < 0 ? 0 : SECCOMP_ADDFD_FLAG_SETFD, .newfd = as < 0 ? 0 : (uint32_t)as,
	};
	int r = ioctl(p->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a);

	return r < 0 ? -errno : r;
}

/* Install fd as number `as`, or any (-1), and let the notified call return it: one wake-up instead of three. The number or -errno. */
static int add_fd_send(struct platform *p, uint64_t id, int fd, int as)
{
	struct seccomp_notif_addfd a = {
		.id = id, .srcfd = (uint32_t)fd, .flags = SECCOMP_ADDFD_FLAG_SEND | (as < 0 ? 0 : SECCOMP_ADDFD_FLAG_SETFD),
		.newfd = as < 0 ? 0 : (uint32_t)as,
	};
	int r = -EINVAL;

	if (!p->no_addfd_send) {
		p->stats.answers++;
		r = ioctl(p->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
		r = r < 0 ? -errno : r;
	}
	if (r == -EINVAL) { /* Linux before 5.14 */
		int err;

		p->no_addfd_send = true;
		r = add_fd(p, id, fd, as);
		err = notif_send(p, id, r, 0);
		if (r >= 0 && err)
			r = err;
	}
	return r;
}

/* ---- phases ---- */

static void active_add_locked(struct pl_thread *t)
{
	struct platform *p = t->p;

	if (t->active_at)
		return;
	if (p->nactive == p->active_room) {
		p->active_room = p->active_room ? p->active_room * 2 : 64;
		p->active = xrealloc(p->active, p->active_room * sizeof(*p->active));
	}
	uint32_t n = atomic_load_explicit(&p->nactive, memory_order_relaxed);

	p->active[n] = t;
	t->active_at = n + 1;
	atomic_store_explicit(&p->nactive, n + 1, memory_order_relaxed);
}

static void active_del_locked(struct pl_thread *t)
{
	struct platform *p = t->p;

	if (!t->active_at)
		return;
	uint32_t n = atomic_load_explicit(&p->nactive, memory_order_relaxed) - 1;

	p->active[t->active_at - 1] = p->active[n];
	p->active[t->active_at - 1]->active_at = t->active_at;
	atomic_store_explicit(&p->nactive, n, memory_order_relaxed);
	t->active_at = 0;
}

/* Once in RATE_EVENTS events: is it worth polling, or still? */
static void rate_window(struct platform *p)
{
	ktime_t now = ktime_mono(), took = now - p->rate_since;

	p->rate_since = now;
	p->rate_n = 0;
	p->hot = took < RATE_EVENTS * HOT_NS ? p->hot + 1 : 0;
	p->slow = took > RATE_EVENTS * SLOW_NS ? p->slow + 1 : 0;
}

/* The line holds an event: take it out, once. */
static void take_event(struct pl_thread *t)
{
	const volatile struct slot_line *l = &t->slot->line;

	t->line.nr = l->nr;
	t->line.info = l->info;
	for (int i = 0; i < 6; i++)
		t->line.args[i] = l->args[i];
	active_del_locked(t);
	t->p->stats.events++;
	t->p->rate_n++;
	atomic_store_explicit(&t->phase, PH_KERNEL, memory_order_release);
}

static void event_arrived_locked(struct pl_thread *t)
{
	take_event(t);
	if (t->p->rate_n >= RATE_EVENTS)
		rate_window(t->p);
	if (t->fiber)
		fiber_wake(t->fiber);
}

static inline uint32_t line_state(struct pl_thread *t) { return __atomic_load_n(&t->slot->line.state, __ATOMIC_ACQUIRE); }

void space_end_locked(struct pl_space *s)
{
	s->killed = true;
	atomic_fetch_add(&s->p->nkilled, 1);
	kill(s->pid, SIGKILL);
}

void space_kill_locked(struct pl_space *s)
{
	struct pl_thread *t;

	if (s->killed || s->dead)
		return;
	space_end_locked(s);
	LIST_FOREACH(t, &s->threads, space_link)
		if (t->fiber)
			fiber_wake(t->fiber);
}

/* The sender of a notification broke the protocol. Its id keeps the number from being another process's by now. */
static void protocol_error(struct platform *p, const struct seccomp_notif *n, const char *what)
{
	struct pl_space *s = NULL;
	uint64_t id = n->id;

	for (uint32_t i = 0; i < p->nthreads && !s; i++)
		if (p->threads[i] && p->threads[i]->tid == (pid_t)n->pid)
			s = p->threads[i]->space;
	if (s) /* else it is the last word of a thread that was let go: its host process is on its way out */
		log_warn("a guest process broke the stub protocol (%s; call %d, host thread %u): killed", what, n->data.nr, n->pid);
	if (s)
		space_kill_locked(s);
	else if (!ioctl(p->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id))
		kill((pid_t)n->pid, SIGKILL);
}

/* Wake a stub that sleeps in `nid`; its line has the answer. */
static void answer_locked(struct pl_thread *t)
{
	uint64_t id = t->nid;
	int64_t val = 0;

	sleeps_no_more(t);
	set_awake(t, true);
	if (t->hello) {
		if (t->space->pid == t->tid) { /* a process: it maps its own slots now */
			val = add_fd_send(t->p, id, t->space->area_fd, STUB_HELLO_FD);
			if (val < 0 && val != -ENOENT) /* else it says hello again */
				log_warn("handing a slot area to a stub: %s", strerror((int)-val));
		} else {
			val = notif_send(t->p, id, 0, 0);
		}
		if (val >= 0)
			t->hello = false;
		return;
	}
	/* -ENOENT: a signal got it out of the call; it looks at its line again before it waits. */
	notif_send(t->p, id, 0, 0);
}

static void got_wait(struct platform *p, struct pl_thread *t, const struct seccomp_notif *n)
{
	uint32_t st;

	if (t->tid != (pid_t)n->pid)
		return protocol_error(p, n, "wait for another thread's slot");
	t->hello = t->parked = false;
	sleeps_in(t, n->id);
	set_awake(t, false);
	if (atomic_load_explicit(&t->phase, memory_order_relaxed) == PH_KERNEL) {
		if (t->fiber)
			fiber_wake(t->fiber); /* it may want the notification for a descriptor */
		return;
	}
	st = line_state(t);
	if (st == SLOT_EVENT)
		event_arrived_locked(t);
	else if (st == SLOT_RUN)
		answer_locked(t);
	else
		protocol_error(p, n, "state of its slot");
}

static void got_hello(struct platform *p, struct pl_thread *t, const struct seccomp_notif *n)
{
	struct pl_space *s = t->space;

	if (t->tid && t->tid != (pid_t)n->pid)
		return protocol_error(p, n, "second thread for a slot");
	if (!t->tid) {
		if (!s->pid) {
			s->pid = (pid_t)n->pid;
			space_hash_locked(s);
		} else if (syscall(SYS_tgkill, s->pid, n->pid, 0)) {
			return protocol_error(p, n, "thread of another process");
		}
		t->tid = (pid_t)n->pid;
		if (t->cloned_by)
			t->cloned_by->clone_ordered = 0;
		/* Mask and policy are its parent's. */
		if (atomic_load_explicit(&p->mode, memory_order_relaxed) == MODE_POLL)
			place(t);
		else if (p->stats.polls_entered || t->bound)
			unplace(t);
	} else if (!t->hello) {
		return protocol_error(p, n, "hello twice");
	}
	t->hello = true;
	sleeps_in(t, n->id);
	if (atomic_load_explicit(&t->phase, memory_order_relaxed) == PH_GUEST)
		answer_locked(t);
	else if (t->fiber)
		fiber_wake(t->fiber);
}

/* clone(flags, stack, handle, cookie): let through only what was ordered. A signal (a kick, or a stop from outside) can take a thread out of
 * clone before it has made anything: then it asks again, but not once there is a child, nor for ever. */
static void got_clone(struct platform *p, struct pl_thread *t, const struct seccomp_notif *n)
{
	uint64_t flags = n->data.args[0], stack = n->data.args[1];
	uint32_t ordered = t->clone_ordered;
	bool ok = t->tid == (pid_t)n->pid;

	if (ordered == ANS_FORK)
		ok = ok && flags == 0x8011 && stack == 0;
	else if (ordered == ANS_THREAD)
		ok = ok && flags == 0x50f00 && stack > STUB_SLOTS && stack <= STUB_SLOTS + STUB_SLOTS_LEN &&
		     stack % STUB_SLOT_SIZE == 0;
	else
		ok = false;
	if (!ok)
		return protocol_error(p, n, "clone that was not ordered");
	if (t->clones_let)
		stray_locked(t, ordered);
	if (!strays_allow_locked(t, ordered))
		return protocol_error(p, n, "children that never said hello");
	if (notif_send(p, n->id, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE) == 0 && ++t->clones_let == CLONES_MAX)
		t->clone_ordered = 0;
}

static void received(struct platform *p, const struct seccomp_notif *n)
{
	struct pl_thread *t = NULL;
	uint64_t handle = n->data.args[n->data.nr == SYS_clone ? 2 : 0], cookie = n->data.args[n->data.nr == SYS_clone ? 3 : 1];

	mutex_lock(&p->lock);
	p->stats.notifications++;
	if (handle < p->nthreads)
		t = p->threads[handle];
	if (t && t->space->cookie != cookie)
		t = NULL;
	if (!t)
		protocol_error(p, n, "unknown thread");
	else if (n->data.nr == STUB_NR_WAIT)
		got_wait(p, t, n);
	else if (n->data.nr == STUB_NR_HELLO)
		got_hello(p, t, n);
	else if (n->data.nr == SYS_clone)
		got_clone(p, t, n);
	else
		protocol_error(p, n, "unexpected call");
	mutex_unlock(&p->lock);
}

/* One notification, known to be there. */
static bool receive(struct platform *p)
{
	struct seccomp_notif n = { 0 };

	if (ioctl(p->listener, SECCOMP_IOCTL_NOTIF_RECV, &n))
		return false;
	received(p, &n);
	return true;
}

static bool listener_ready(struct platform *p)
{
	struct pollfd f = { .fd = p->listener, .events = POLLIN };
	struct timespec zero = { 0 };

	return ppoll(&f, 1, &zero, NULL) == 1 && f.revents & POLLIN;
}

/* Everything that is there now. False: nothing was. */
bool drain_listener(struct platform *p)
{
	bool any = false;

	for (int i = 0; i < 64 && listener_ready(p) && receive(p); i++)
		any = true;
	return any;
}

/* ---- answers ---- */

int scan_active(struct platform *p)
{
	int found = 0;
	uint32_t n = atomic_load_explicit(&p->nactive, memory_order_relaxed);

	/* Nobody else takes threads away: a look without the lock does not make a waiting stub wait. */
	for (uint32_t i = 0;; i++) {
		if (i == n)
			return 0;
		if (line_state(p->active[i]) == SLOT_EVENT)
			break;
	}
	mutex_lock(&p->lock);
	for (uint32_t i = 0; i < p->nactive;) {
		struct pl_thread *t = p->active[i];

		if (line_state(t) == SLOT_EVENT) {
			event_arrived_locked(t); /* moves the last one to place i */
			found++;
		} else {
			i++;
		}
	}
	mutex_unlock(&p->lock);
	p->stats.polled += (uint64_t)found;
	return found;
}

/* Where to poll: here if every bound thread that runs has another CPU, else wherever that is so, or -1. */
static int choose_poll_cpu(struct platform *p)
{
	int here = sched_getcpu();

	for (int k = -1; k < CPU_SETSIZE; k++) {
		int cpu = k < 0 ? here : k;
		bool free = cpu >= 0 && CPU_ISSET(cpu, &p->cpus);

		for (uint32_t i = 0; i < p->nactive && free; i++)
			free = !p->active[i]->bound || cpus_left(&p->active[i]->bound_to, cpu);
		if (free)
			return cpu;
	}
	return -1;
}

static void enter_polling(struct platform *p)
{
	int cpu = choose_poll_cpu(p);

	if (unlikely(cpu < 0)) {
		for (uint32_t i = 0; i < p->nactive; i++)
			p->active[i]->streak = 0;
		p->hot = 0;
		return;
	}
	for (unsigned i = 0; i < p->nlanes; i++) /* two on one CPU would only wait for each other */
		if (p->lanes[i] != p && atomic_load_explicit(&p->lanes[i]->mode, memory_order_relaxed) == MODE_POLL && p->lanes[i]->poll_cpu == cpu)
			return;
	p->stats.polls_entered++;
	p->polled_at_entry = p->stats.polled;
	p->slow = 0;
	p->poller = (pid_t)syscall(SYS_gettid);
	p->poll_cpu = cpu;
	confine(p, p->poller, p->poll_cpu, -1);
	for (uint32_t i = 0; i < p->nactive; i++)
		place(p->active[i]);
	set_sync(p, false);
	atomic_store(&p->mode, MODE_POLL);
	__atomic_store_n(&p->kpage->polling, 1, __ATOMIC_RELEASE);
}

void leave_polling(struct platform *p)
{
	uint64_t served = p->stats.polled - p->polled_at_entry;
	bool idle = served < 32;

	if (atomic_load(&p->mode) != MODE_POLL)
		return;
	atomic_store(&p->mode, MODE_SYNC);
	__atomic_store_n(&p->kpage->polling, 0, __ATOMIC_SEQ_CST);
	p->stats.polls_left++;
	/* A phase that served little cost more than it gave (bursts, or a loaded host that lets the stub wait): be slower to start
	 * the next one. */
	if (served < 256 || p->slow >= SLOW_WINDOWS) {
		p->streak_needed = MIN(p->streak_needed * 2, 1024U);
		p->hot_needed = MIN(p->hot_needed * 2, 256U);
	} else {
		p->streak_needed = STREAK;
		p->hot_needed = 1;
	}
	p->hot = 0;
	mutex_lock(&p->lock);
	for (uint32_t i = 0; i < p->nthreads; i++) {
		if (!p->threads[i])
			continue;
		if (idle) /* a thread that calls rarely has the longest of streaks some day */
			p->threads[i]->streak = 0;
		if (p->threads[i]->placed)
			unplace(p->threads[i]);
	}
	mutex_unlock(&p->lock);
	confine(p, p->poller, -1, -1);
	set_sync(p, true);
	scan_active(p);
}

/* How many CPUs the other lanes have something for: their threads in guest code, and those who poll. */
static uint32_t others_busy(struct platform *p)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < p->nlanes; i++)
		if (p->lanes[i] && p->lanes[i] != p)
			n += atomic_load_explicit(&p->lanes[i]->nactive, memory_order_relaxed) +
			     (atomic_load_explicit(&p->lanes[i]->mode, memory_order_relaxed) == MODE_POLL);
	return n;
}

static uint32_t others_polling(struct platform *p)
{
	uint32_t n = 0;

	for (unsigned i = 0; i < p->nlanes; i++)
		n += p->lanes[i] && p->lanes[i] != p && atomic_load_explicit(&p->lanes[i]->mode, memory_order_relaxed) == MODE_POLL;
	return n;
}

static bool polling_pays(struct platform *p, const struct pl_thread *t)
{
	/* A poller takes a CPU from everybody's guests. */
	if (p->ncpu < 2 * (others_polling(p) + 1))
		return false;
	return p->hot >= p->hot_needed || (t->streak >= p->streak_needed && p->nactive + others_busy(p) < p->ncpu);
}

void linger_end(struct pl_thread *t)
{
	struct platform *p = t->p;

	for (uint32_t i = 0; t->lingers && i < p->nlingering; i++)
		if (p->lingering[i] == t)
			p->lingering[i] = p->lingering[--p->nlingering];
	t->lingers = false;
}

/* t's call blocks. In polling mode a stub that has a CPU for itself goes on spinning for its answer, or until another one wants that CPU,
 * which thus does not fall idle: to wake a thread on an idle CPU costs more than anything else here. */
void pl_thread_will_block(struct pl_thread *t)
{
	struct platform *p = t->p;

	t->streak = t->nsnap = 0;
	if (t->nid || t->dozing || t->lingers)
		return;
	if (p->nawake + others_busy(p) < p->ncpu && t->awake && p->nlingering < MAX_LINGERING &&
	    atomic_load_explicit(&p->mode, memory_order_relaxed) == MODE_POLL) {
		t->lingers = true;
		p->lingering[p->nlingering++] = t;
	} else {
		tell_to_sleep(t);
	}
}

/* A sleeping stub is about to be woken: it needs a CPU. */
static void stop_lingering(struct platform *p)
{
	while (p->nlingering && p->nawake >= p->ncpu - 1) {
		struct pl_thread *t = p->lingering[0];

		linger_end(t);
		if (!t->nid)
			tell_to_sleep(t);
	}
}

/* The stub, asleep in a notification, gets the descriptors that its orders map from. It wakes for each, but for the last one, which goes with
 * the answer: that one's number in the kernel process is returned, or -1, and in *as the number that it is to have. */
static int install_descriptors(struct pl_thread *t, int *as)
{
	int from = -1, fd = -1, end = -1, send = -1;

	for (uint32_t i = 0; i < t->norders; i++)
		if (t->orders[i].op == PL_MMAP_FD && !t->orders[i].kept)
			end = t->orders[i].fd;
	for (uint32_t i = 0, last = 0; i < t->norders; i++) {
		const struct pl_order *o = &t->orders[i];
		int number = o->place ? kept_number(o) : -1;

		if (o->op != PL_MMAP_FD || o->kept)
			continue;
		if (o->fd == from && fd >= 0)
			WRITE_ONCE(t->slot->orders[last].keep, 1);
		else if ((from = o->fd) == end && !t->hello)
			*as = fd = number < 0 ? send_number(t) : number, send = end;
		else
			fd = add_fd(t->p, t->nid, from, number);
		last = i;
		WRITE_ONCE(t->slot->orders[i].fd, fd < 0 ? -1 : fd);
	}
	return send;
}

/* Publish an answer: the phase becomes GUEST. */
void thread_go(struct pl_thread *t, uint32_t ans, uint64_t result)
{
	struct platform *p = t->p;
	struct slot_line *l = &t->slot->line;
	bool here = t->nid && t->hello, sleeps = false;
	int send = -1, as = -1;
	uint32_t kick;

	if (unlikely(t->parked)) { /* has its notification come? */
		for (int i = 0; i < 64 && t->parked && listener_ready(p); i++)
			receive(p);
		t->parked = false;
	}
	if (here)
		stay_here(t, true);
	if (ans & ANS_ORDERS && orders_need_fd(t)) {
		/* descriptors can only be installed while the stub sleeps in a notification: the caller saw to it */
		if (!here)
			stay_here(t, here = true);
		send = install_descriptors(t, &as);
		sleeps = true;
	}
	active_add_locked(t);
	if (atomic_load_explicit(&p->mode, memory_order_relaxed) == MODE_SYNC) {
		uint32_t usual = ANS_RESULT | ANS_COPYOUT | ANS_COPY1 | ANS_ORDERS;

		if (ans & (ANS_FRAME | ANS_FPLOAD)) /* a signal to oneself, and back */
			usual |= ANS_FRAME | ANS_FPLOAD | ANS_FULL;
		if (unlikely(polling_pays(p, t)) && !sleeps && !(ans & ~usual))
			enter_polling(p);
	} else {
		/* If no other stub is awake, a sleeping one's CPU is likely to be idle, and to wake it there costs ten times what waking it
		 * here does. Else, with two CPUs, it stands in that CPU's queue until the other one sleeps. */
		if (unlikely(((t->nid || t->dozing) && (sleeps || t->hello || !p->nawake)) || (p->slow >= SLOW_WINDOWS && p->nactive + others_busy(p) >= p->ncpu) ||
			     under_poller(t))) {
			leave_polling(p);
		} else if (unlikely(!t->placed)) {
			place(t);
		}
	}
	if (unlikely(t->lingers))
		linger_end(t);
	if (!t->awake)
		stop_lingering(p);
	set_awake(t, true);
	atomic_store(&t->phase, PH_GUEST);
	/* In one go: a stub that spins on the line takes it back between two stores that are far apart. */
	kick = atomic_load(&t->kick);
	l->info = ans;
	l->args[0] = result;
	if (ans & ANS_COPY1) {
		l->args[1] = t->copies[0].addr;
		l->args[2] = (uint64_t)t->copies[0].off << 32 | t->copies[0].len;
		memcpy(l->args + 3, t->small, SLOT_INLINE);
	}
	WRITE_ONCE(l->kick, kick);
	__atomic_store_n(&l->state, SLOT_RUN, __ATOMIC_RELEASE);
	if (unlikely(!kick && atomic_load(&t->kick)))
		WRITE_ONCE(l->kick, 1); /* its maker may have seen the phase before and left it to us, or both set it */
	if (send >= 0) {
		uint64_t id = t->nid;

		sleeps_no_more(t);
		(void)add_fd_send(p, id, send, as);
	} else if (t->nid) {
		answer_locked(t);
	} else if (unlikely(t->dozing)) {
		wake_dozing(t);
	}
	t->wanted = false;
	if (here)
		stay_here(t, false);
}

/* thread_go() for what is most frequent: polling goes on, and the answer is all in the line. False: not for this one. */
bool thread_go_polled(struct pl_thread *t, uint32_t ans, uint64_t result)
{
	struct platform *p = t->p;
	struct slot_line *l = &t->slot->line;

	if (atomic_load_explicit(&p->mode, memory_order_relaxed) != MODE_POLL || t->nid || !t->awake ||
	    !t->placed || unlikely(t->bound) || t->lingers || p->slow >= SLOW_WINDOWS || (ans & ~(uint32_t)(ANS_RESULT | ANS_COPYOUT | ANS_COPY1)))
		return false;
	t->warm = ans & ANS_COPY1 && t->copies[0].off != SLOT_COPY_WINDOW && t->copies[0].len > SLOT_INLINE && t->copies[0].len <= WARM_MAX ? t->copies[0].len - SLOT_INLINE : 0;
	active_add_locked(t);
	/* Plain stores: a kick that comes meanwhile is found when the stub has not come back for a while (pl_thread_run). */
	atomic_store_explicit(&t->phase, PH_GUEST, memory_order_release);
	l->args[0] = result;
	if (ans & ANS_COPY1) {
		l->args[1] = t->copies[0].addr;
		l->args[2] = (uint64_t)t->copies[0].off << 32 | t->copies[0].len;
		memcpy(l->args + 3, t->small, SLOT_INLINE);
	}
	l->info = ans;
	WRITE_ONCE(l->kick, 0);
	__atomic_store_n(&l->state, SLOT_RUN, __ATOMIC_RELEASE);
	return true;
}

/* In polling mode, with this thread the only one in guest code and nothing else to run here: watch its line from its own fiber,
 * which saves two fiber switches and a turn of the scheduler. */
bool spin_for_event(struct pl_thread *t)
{
	struct platform *p = t->p;

	if (sched_has_runnable() || sched_expects_host(p->sched))
		return false;
	if (p->rate_n >= RATE_EVENTS) /* here nobody waits for it */
		rate_window(p);
	for (uint32_t i = t->gap / GAP_UNIT; i; i--)
		__builtin_ia32_pause();
	if (likely(line_state(t) == SLOT_EVENT)) {
		t->gap -= t->gap != 0;
		goto event;
	}
	for (int i = 0; i < 200; i++) {
		__builtin_ia32_pause();
		if (line_state(t) == SLOT_EVENT) {
			if (i < GAP_NEAR && t->gap < GAP_MAX)
				t->gap += GAP_MISS;
			goto event;
		}
	}
	return false;
event:
	for (uint32_t i = 0; i < t->warm; i += 64)
		__asm__ volatile("prefetchw %0" : : "m"(t->slot->buf[SLOT_COPY1_AT + SLOT_INLINE + i]));
	take_event(t);
	p->stats.polled++;
	return true;
}

/* ---- idle operations ---- */

static int trap_poll(void *arg, int worker)
{
	struct platform *p = ((struct platform **)arg)[worker];
	int n;

	if (atomic_load_explicit(&p->mode, memory_order_relaxed) == MODE_POLL) {
		n = scan_active(p);
		if (n)
			return n;
		if (++p->busy_polls % 64 == 0)
			return drain_listener(p);
		return 0;
	}
	if (p->busy_polls % 4096 == 0)
		reap(p);
	/* Busy with other fibers: events are looked at now and then; before sleeping wait() looks anyway. */
	if (++p->busy_polls % 16 == 0)
		return drain_listener(p);
	return 0;
}

static void trap_wait(void *arg, int worker, ktime_t deadline)
{
	struct platform *p = ((struct platform **)arg)[worker];
	struct pollfd f[3];
	struct timespec ts, *tsp = NULL;
	sigset_t none;
	int n = 0;

	if (atomic_load_explicit(&p->mode, memory_order_relaxed) == MODE_POLL) {
		ktime_t until = 0;

		for (int idle = 0;; idle++) {
			if (scan_active(p))
				return;
			__builtin_ia32_pause();
			if (idle % POLL_LOOK == POLL_LOOK - 1 || idle == POLL_FIRST_LOOK) {
				ktime_t now = ktime_mono();

				if (drain_listener(p) || atomic_load(&p->kicked) || now >= deadline)
					goto out;
				if (!until)
					until = now + POLL_IDLE_NS;
				if (now >= until)
					break;
			}
			if (!worker && sched_has_host_waiters(p->sched) && idle % POLL_LOOK == POLL_LOOK - 1) {
				f[0] = (struct pollfd){ .fd = sched_epoll_fd(p->sched), .events = POLLIN };
				if (poll(f, 1, 0) > 0) {
					sched_poll_host(p->sched);
					return;
				}
			}
		}
		uint32_t before = atomic_load(&p->nactive);

		leave_polling(p);
		if (atomic_load(&p->nactive) != before)
			return;
	}

	if (atomic_load_explicit(&p->npool, memory_order_relaxed) < POOL_MAX && !p->pool_wanted && !p->pool_failed && !p->closing &&
	    (deadline == KTIME_MAX || deadline - ktime_mono() > NSEC_PER_MSEC)) {
		if (!p->pool_fiber)
			p->pool_fiber = fiber_create(p->sched, worker, "pool", pool_fill, p);
		p->pool_wanted = true;
		fiber_wake(p->pool_fiber);
		return;
	}
	if (atomic_load_explicit(&p->nkilled, memory_order_relaxed) >= REAP_AT)
		reap(p);
	if (direct_ready(p, deadline)) {
		struct seccomp_notif notif = { 0 };

		if (direct_receive(p, &notif))
			received(p, &notif);
		goto out;
	}
	f[n++] = (struct pollfd){ .fd = p->kick_fd, .events = POLLIN };
	f[n++] = (struct pollfd){ .fd = p->listener, .events = POLLIN };
	if (!worker)
		f[n++] = (struct pollfd){ .fd = sched_epoll_fd(p->sched), .events = POLLIN };
	if (deadline != KTIME_MAX) {
		ktime_t d = deadline - ktime_mono();

		if (d < 0)
			d = 0;
		ts.tv_sec = d / NSEC_PER_SEC;
		ts.tv_nsec = d % NSEC_PER_SEC;
		tsp = &ts;
	}
	sigemptyset(&none);
	if (atomic_load(&p->nkilled)) {
		sigaddset(&none, SIGCHLD);
		if (deadline > ktime_mono() + REAP_WAIT)
			ts = (struct timespec){ 0, REAP_WAIT }, tsp = &ts;
	}
	if (atomic_load(&p->kicked))
		ts = (struct timespec){ 0 }, tsp = &ts;
	n = ppoll(f, (nfds_t)n, tsp, &none);
	if (n > 0 && f[1].revents & POLLIN)
		receive(p);
	if (n > 0 && !worker && f[2].revents & POLLIN) {
		sched_poll_host(p->sched);
		p->calm = 0;
	}
	if (n < 0 || (n == 0 && atomic_load(&p->nkilled)))
		reap(p);
out:
	if (unlikely(atomic_load_explicit(&p->child_died, memory_order_relaxed)) && atomic_exchange(&p->child_died, false))
		reap(p);
	if (atomic_exchange(&p->kicked, false)) {
		uint64_t v;

		if (read(p->kick_fd, &v, sizeof(v)) < 0) {
			/* nothing there */
		}
	}
}

void kick_lane(struct platform *p)
{
	uint64_t one = 1;

	if (atomic_exchange(&p->kicked, true))
		return;
	if (write(p->kick_fd, &one, sizeof(one)) < 0) {
		/* full: it is awake anyway */
	}
	direct_kick(p);
}

static void trap_kick(void *arg, int worker)
{
	kick_lane(((struct platform **)arg)[worker]);
}

const struct idle_ops trap_idle_ops = { trap_poll, trap_wait, trap_kick };

/* Is it time to give t up? Much may be waiting to be looked at: only if its answer is not among that. */
bool late(struct pl_thread *t, struct patience *w, bool (*cond)(struct pl_thread *))
{
	if (likely(!patience_ends(t, w)))
		return false;
	while (!cond(t) && (scan_active(t->p) || drain_listener(t->p)))
		;
	return !cond(t);
}

int await(struct pl_thread *t, bool (*cond)(struct pl_thread *))
{
	struct platform *p = t->p;
	struct patience w = { 0 };

	while (!cond(t)) {
		if (late(t, &w, cond))
			return -ETIMEDOUT;
		if (fiber_self()) {
			fiber_park(PARK_UNINTERRUPTIBLE, w.step_end);
		} else {
			struct pollfd f = { .fd = p->listener, .events = POLLIN };

			if (poll(&f, 1, 20) == 1 && f.revents & POLLIN)
				receive(p);
			scan_active(p);
			reap(p);
		}
	}
	return 0;
}

/* ---- the dead ---- */

/* Stub processes are children of this process and in a process group of their own, so other children are left alone.
 * Those that were killed here, as every one is in the end, are reaped some at a time, and SIGCHLD is blocked as long as there are any: to be
 * told of each at once costs more than its death. One that died for another reason is then found after REAP_WAIT. */
void reap(struct platform *p)
{
	for (;;) {
		siginfo_t si = { 0 };
		struct pl_space *s, *gone = NULL;
		struct pl_thread *t;

		if (waitid(P_PGID, (id_t)p->zygote_pid, &si, WEXITED | WNOHANG) || !si.si_pid)
			return;
		mutex_lock(&p->lock);
		s = space_by_pid_locked(p, si.si_pid);
		if (s) {
			s->dead = true;
			if (s->killed)
				atomic_fetch_sub(&p->nkilled, 1);
			s->dead_signal = si.si_code == CLD_EXITED ? 0 : si.si_status;
			if (!s->killed && s->nthreads && !p->closing)
				log_warn("stub process %d died: %s %d", (int)si.si_pid, si.si_code == CLD_EXITED ? "exit" : "signal", si.si_status);
			LIST_FOREACH(t, &s->threads, space_link)
				if (t->fiber)
					fiber_wake(t->fiber);
			LIST_REMOVE(s, hash_link);
			s->hashed = false;
			if (!s->nthreads)
				gone = s;
		}
		if (!s && si.si_pid == p->zygote_pid && !p->closing)
			log_error("the zygote died: no new process can be started");
		mutex_unlock(&p->lock);
		if (gone)
			space_free(gone);
	}
}
