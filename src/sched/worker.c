/* SPDX-License-Identifier: Apache-2.0 */
/* worker.c: run queues, host threads, the scheduler loop, blocking sections and the monitor. See internal.h for the ideas. */
#include "sched/internal.h"
#include <linux/futex.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#define CLOCK_TICKS 2000       /* TSC: look at the clock for timers about every microsecond */
#define HOST_POLL_TICKS 100000 /* and at host descriptors, while there is always something to run, every 50 us or less */
#define MONITOR_TICK_NS 50000
#define MONITOR_TICK_MAX_NS 1000000
#define MONITOR_IDLE_TICKS 40

void thread_set_self(struct thread *t);

struct sched *sched_create(int nworkers)
{
	struct sched *s = new(struct sched);

	s->nworkers = MAX(nworkers, 1);
	s->workers = aligned_alloc(64, ALIGN_UP(sizeof(struct worker), 64) * (size_t)s->nworkers);
	BUG_ON(!s->workers);
	memset(s->workers, 0, sizeof(struct worker) * (size_t)s->nworkers);
	for (int i = 0; i < s->nworkers; i++) {
		struct worker *w = &s->workers[i];
		w->sched = s;
		w->id = i;
		w->tail = &w->head;
		w->eventfd = -1;
	}
	mutex_init(&s->thread_lock, RANK_NONE);
	mutex_init(&s->cache_lock, RANK_NONE);
	timers_init(s);
	host_poll_init(s);
	return s;
}

void sched_set_idle(struct sched *s, const struct idle_ops *ops, void *arg)
{
	s->idle = ops;
	s->idle_arg = arg;
}

int sched_nworkers(struct sched *s) { return s->nworkers; }

int sched_worker_id(void)
{
	struct thread *t = thread_self();

	return t && t->worker ? t->worker->id : -1;
}

/* ---- run queues ---- */

static inline void local_push(struct worker *w, struct fiber *f)
{
	f->next = NULL;
	*w->tail = f;
	w->tail = &f->next;
}

static inline struct fiber *local_pop(struct worker *w)
{
	struct fiber *f = w->head;

	if (f) {
		w->head = f->next;
		if (!w->head)
			w->tail = &w->head;
	}
	return f;
}

static void inbox_drain(struct worker *w)
{
	struct fiber *f = atomic_exchange(&w->inbox, NULL), *order = NULL;

	while (f) { /* last in first out: turn it round */
		struct fiber *next = f->next;
		f->next = order;
		order = f;
		f = next;
	}
	while (order) {
		struct fiber *next = order->next;
		local_push(w, order);
		order = next;
	}
}

static void worker_kick_now(struct worker *w)
{
	struct sched *s = w->sched;

	if (s->idle) {
		s->idle->kick(s->idle_arg, w->id);
	} else if (w->eventfd >= 0) {
		uint64_t one = 1;
		(void)!write(w->eventfd, &one, sizeof(one));
	}
}

/* After something was published that the worker would see if it looked. */
void worker_kick(struct worker *w)
{
	full_fence();
	if (atomic_load(&w->sleeping) && atomic_exchange(&w->sleeping, 0))
		worker_kick_now(w);
}

void fiber_enqueue(struct fiber *f)
{
	struct worker *w = f->worker;
	struct thread *t = thread_self();

	if (likely(t && t->worker == w)) {
		local_push(w, f);
		return;
	}
	struct fiber *head = atomic_load_explicit(&w->inbox, memory_order_relaxed);
	do
		f->next = head;
	while (!atomic_compare_exchange_weak(&w->inbox, &head, f));
	worker_kick(w);
}

bool sched_has_runnable(void)
{
	struct thread *t = thread_self();

	return t && t->worker && (t->worker->head || atomic_load_explicit(&t->worker->inbox, memory_order_relaxed));
}

/* ---- the loop ---- */

static void default_wait(struct worker *w, ktime_t deadline)
{
	struct pollfd p[2] = { { .fd = w->eventfd, .events = POLLIN }, { .fd = w->sched->epfd, .events = POLLIN } };
	struct timespec ts, *tsp = NULL;

	if (deadline != KTIME_MAX) {
		ktime_t d = MAX(deadline - ktime_mono(), (ktime_t)0);
		ts = (struct timespec){ d / NSEC_PER_SEC, d % NSEC_PER_SEC };
		tsp = &ts;
	}
	if (ppoll(p, 2, tsp, NULL) > 0 && p[0].revents) {
		uint64_t n;
		(void)!read(w->eventfd, &n, sizeof(n));
	}
}

static void worker_sleep(struct worker *w)
{
	struct sched *s = w->sched;

	atomic_exchange(&w->sleeping, 1);
	/* Whoever queues or arms something after this sees `sleeping` and kicks; what came before is seen here. */
	if (!atomic_load(&w->inbox) && !atomic_load(&s->stop)) {
		ktime_t deadline = atomic_load(&s->next_expiry);
		if (s->idle) {
			s->idle->wait(s->idle_arg, w->id, deadline);
			w->last_host_poll = tsc(); /* it looked, or somebody does for it */
		} else {
			default_wait(w, deadline);
		}
	}
	atomic_store_explicit(&w->sleeping, 0, memory_order_relaxed);
}

/* Nothing is runnable: look everywhere, then sleep. */
static void worker_idle(struct worker *w)
{
	struct sched *s = w->sched;

	if (atomic_load_explicit(&s->next_expiry, memory_order_relaxed) != KTIME_MAX)
		timers_expire(w);
	if (!w->head && sched_has_host_waiters(s) && atomic_exchange_explicit(&s->expect_host, false, memory_order_relaxed))
		sched_poll_host(s);
	if (!w->head)
		worker_sleep(w);
}

/* Between fibers: what must not wait for the queue to run dry. */
static inline void worker_tick(struct worker *w)
{
	struct sched *s = w->sched;
	bool timers = atomic_load_explicit(&s->next_expiry, memory_order_relaxed) != KTIME_MAX;
	bool host = sched_has_host_waiters(s);

	if (!timers && !host)
		return;
	uint64_t now = tsc();
	if (timers && now - w->last_clock > CLOCK_TICKS) {
		w->last_clock = now;
		timers_expire(w);
	}
	if (host && now - w->last_host_poll > HOST_POLL_TICKS) {
		w->last_host_poll = now;
		sched_poll_host(s);
	}
}

/* Runs t's worker until sched_stop, or until a blocking section lost it. */
static void worker_loop(struct thread *t)
{
	struct worker *w = t->worker;
	struct sched *s = w->sched;

	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		if (atomic_load_explicit(&w->inbox, memory_order_relaxed))
			inbox_drain(w);
		if (s->idle)
			s->idle->poll(s->idle_arg, w->id);
		struct fiber *f = local_pop(w);
		if (!f) {
			worker_idle(w);
			continue;
		}
		fiber_run(t, f);
		switch (t->action) {
		case ACT_NONE:
			break;
		case ACT_YIELD:
			local_push(w, f);
			break;
		case ACT_MOVE:
			fiber_enqueue(f);
			break;
		case ACT_EXIT:
			fiber_free(f);
			break;
		case ACT_LOST_WORKER:
			fiber_enqueue(f);
			return;
		}
		worker_tick(w);
	}
}

/* ---- threads ---- */

/* Waits for a worker that lost its thread. false: the scheduler stops. */
static bool thread_standby(struct thread *t)
{
	struct sched *s = t->sched;

	t->worker = NULL;
	mutex_lock(&s->thread_lock);
	t->next = s->standby;
	s->standby = t;
	mutex_unlock(&s->thread_lock);
	while (!atomic_exchange(&t->assigned, 0)) {
		if (atomic_load(&s->stop))
			return false;
		futex(&t->assigned, FUTEX_WAIT, 0, NULL);
	}
	if (atomic_load(&s->stop))
		return false;
	t->worker = t->next_worker;
	return true;
}

static void thread_wake(struct thread *t)
{
	atomic_store(&t->assigned, 1);
	futex(&t->assigned, FUTEX_WAKE, 1, NULL);
}

static void thread_setup(struct thread *t)
{
	thread_set_self(t);
	prctl(PR_SET_TIMERSLACK, 1);
#ifdef BAILEY_ASAN
	pthread_attr_t attr;
	void *bottom;
	pthread_getattr_np(pthread_self(), &attr);
	pthread_attr_getstack(&attr, &bottom, &t->stack_size);
	t->stack_bottom = bottom;
	pthread_attr_destroy(&attr);
#endif
}

static void thread_run(struct thread *t)
{
	while (!atomic_load(&t->sched->stop)) {
		if (!t->worker && !thread_standby(t))
			break;
		worker_loop(t);
	}
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	thread_setup(t);
	thread_run(t);
	thread_set_self(NULL);
	atomic_store(&t->finished, true);
	return NULL;
}

static int spawn(pthread_t *out, void *(*fn)(void *), void *arg)
{
	sigset_t all, old;
	pthread_attr_t attr;

	/* Host signals belong to the main thread. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_attr_init(&attr);
#if !defined(BAILEY_ASAN) && !defined(BAILEY_TSAN)
	pthread_attr_setstacksize(&attr, 256 << 10);
#endif
	int r = pthread_create(out, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r;
}

static struct thread *thread_create(struct sched *s, struct worker *w)
{
	struct thread *t = new(struct thread);

	t->sched = s;
	t->worker = w;
	mutex_lock(&s->thread_lock);
	t->all = s->threads;
	s->threads = t;
	mutex_unlock(&s->thread_lock);
	int r = spawn(&t->pthread, thread_main, t);
	if (r) {
		log_warn("cannot start a host thread: %s", strerror(r));
		atomic_store(&t->finished, true);
		return NULL;
	}
	t->joinable = true;
	return t;
}

/* ---- blocking sections ---- */

void worker_block_begin(void)
{
	struct thread *t = thread_self();

	if (!t || !t->fiber)
		return;
	held_check_park("worker_block_begin");
	struct worker *w = t->worker;
	BUG_ON(!w);
	t->section_worker = w;
	t->section = ++w->section_count << 1 | 1;
	t->worker = NULL;
	atomic_store(&w->section, t->section);
	if (unlikely(!atomic_load(&w->sched->monitor_word)))
		monitor_poke(w->sched);
}

void worker_block_end(void)
{
	struct thread *t = thread_self();

	if (!t || !t->section_worker)
		return;
	struct worker *w = t->section_worker;
	uint64_t mine = t->section;
	t->section_worker = NULL;
	if (likely(atomic_compare_exchange_strong(&w->section, &mine, 0))) {
		t->worker = w;
		return;
	}
	/* Somebody else runs the worker now. Only off this stack may the fiber be queued there. */
	fiber_leave(t, t->fiber, ACT_LOST_WORKER);
}

static struct thread *standby_take(struct sched *s)
{
	mutex_lock(&s->thread_lock);
	struct thread *t = s->standby;
	if (t)
		s->standby = t->next;
	mutex_unlock(&s->thread_lock);
	return t;
}

static void standby_give_back(struct sched *s, struct thread *t)
{
	mutex_lock(&s->thread_lock);
	t->next = s->standby;
	s->standby = t;
	mutex_unlock(&s->thread_lock);
}

/* Gives w, whose owner has been inside section `mine` for too long, to another thread. */
static void section_take(struct sched *s, struct worker *w, uint64_t mine)
{
	struct thread *t = standby_take(s);

	if (!t) {
		/* One that starts as a standby: it comes to be taken at the next tick. */
		thread_create(s, NULL);
		return;
	}
	if (!atomic_compare_exchange_strong(&w->section, &mine, 0)) {
		standby_give_back(s, t);
		return;
	}
	t->next_worker = w;
	thread_wake(t);
}

/* Watches sections while there are any. Short ones stretch its tick, so that a stream of them costs little; a long one shortens it. */
static void *monitor_main(void *arg)
{
	struct sched *s = arg;
	uint64_t *last = xcalloc((size_t)s->nworkers, sizeof(*last)), *count = xcalloc((size_t)s->nworkers, sizeof(*count));
	long tick = MONITOR_TICK_NS;
	int quiet = 0;

	prctl(PR_SET_TIMERSLACK, 1);
	while (!atomic_load(&s->stop)) {
		struct timespec ts = { 0, tick };
		nanosleep(&ts, NULL);
		bool busy = false, taken = false;
		for (int i = 0; i < s->nworkers; i++) {
			struct worker *w = &s->workers[i];
			uint64_t sec = atomic_load(&w->section);
			if (sec & 1) {
				busy = true;
				if (sec == last[i]) {
					section_take(s, w, sec);
					taken = true;
				}
			}
			last[i] = sec;
		}
		if (taken)
			tick = MONITOR_TICK_NS;
		else if (busy)
			tick = MIN(tick * 2, (long)MONITOR_TICK_MAX_NS);
		quiet = busy ? 0 : quiet + 1;
		if (quiet < MONITOR_IDLE_TICKS)
			continue;
		quiet = 0;
		tick = MONITOR_TICK_NS;
		atomic_exchange(&s->monitor_word, 0);
		for (int i = 0; i < s->nworkers; i++)
			busy |= atomic_load(&s->workers[i].section) & 1;
		while (!busy && !atomic_load(&s->monitor_word) && !atomic_load(&s->stop))
			futex(&s->monitor_word, FUTEX_WAIT, 0, NULL);
		atomic_store(&s->monitor_word, 1);
	}
	free(last);
	free(count);
	return NULL;
}

void monitor_poke(struct sched *s)
{
	if (atomic_exchange(&s->monitor_word, 1))
		return;
	mutex_lock(&s->thread_lock);
	bool start = !s->monitor_started;
	s->monitor_started = true;
	mutex_unlock(&s->thread_lock);
	if (!start) {
		futex(&s->monitor_word, FUTEX_WAKE, 1, NULL);
		return;
	}
	int r = spawn(&s->monitor, monitor_main, s);
	if (r) {
		log_warn("cannot start the monitor thread: %s", strerror(r));
		s->monitor_started = false;
	}
}

/* ---- start and stop ---- */

int sched_run(struct sched *s)
{
	struct thread *main = new(struct thread);

	if (!s->idle)
		for (int i = 0; i < s->nworkers; i++) {
			s->workers[i].eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
			BUG_ON(s->workers[i].eventfd < 0);
		}
	main->sched = s;
	main->worker = &s->workers[0];
	main->is_main = true;
	main->next = NULL;
	mutex_lock(&s->thread_lock);
	main->all = s->threads;
	s->threads = main;
	mutex_unlock(&s->thread_lock);
	for (int i = 1; i < s->nworkers; i++)
		if (!thread_create(s, &s->workers[i]))
			BUG("cannot start worker %d", i);
	thread_setup(main);
	thread_run(main);
	thread_set_self(NULL);
	/* Nobody is in the middle of anything when the caller goes on, but for who is stuck in the host. */
	for (int i = 0; s->nworkers > 1 && i < 1000; i++) {
		bool running = false;

		mutex_lock(&s->thread_lock);
		for (struct thread *t = s->threads; t; t = t->all)
			running |= t->joinable && !atomic_load(&t->finished);
		mutex_unlock(&s->thread_lock);
		if (!running)
			break;
		nanosleep(&(struct timespec){ 0, 100000 }, NULL);
	}
	return atomic_load(&s->code);
}

void sched_stop(struct sched *s, int code)
{
	atomic_store(&s->code, code);
	atomic_store(&s->stop, true);
	for (int i = 0; i < s->nworkers; i++)
		worker_kick(&s->workers[i]);
	mutex_lock(&s->thread_lock);
	for (struct thread *t = s->threads; t; t = t->all)
		thread_wake(t);
	mutex_unlock(&s->thread_lock);
	atomic_store(&s->monitor_word, 1);
	futex(&s->monitor_word, FUTEX_WAKE, 1, NULL);
}

/* After sched_run. Fibers that are still parked are lost with their stacks: the process is about to end. A thread that is stuck in
 * a host call still uses the scheduler: then nothing is freed. */
void sched_destroy(struct sched *s)
{
	bool stuck = false;

	if (s->monitor_started)
		pthread_join(s->monitor, NULL);
	for (struct thread *t = s->threads; t; t = t->all) {
		for (int i = 0; t->joinable && !atomic_load(&t->finished) && i < 1000; i++)
			nanosleep(&(struct timespec){ 0, 100000 }, NULL);
		if (t->joinable && !atomic_load(&t->finished))
			stuck = true;
		else if (t->joinable)
			pthread_join(t->pthread, NULL);
		t->joinable = false;
	}
	if (stuck)
		return;
	for (struct thread *t = s->threads, *next; t; t = next) {
		next = t->all;
		free(t);
	}
	fiber_cache_drain(s);
	for (int i = 0; i < s->nworkers; i++)
		if (s->workers[i].eventfd >= 0)
			close(s->workers[i].eventfd);
	host_poll_exit(s);
	free(s->heap);
	free(s->workers);
	free(s);
}
