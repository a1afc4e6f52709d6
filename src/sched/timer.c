/* SPDX-License-Identifier: Apache-2.0 */
/* timer.c: one binary heap of timers a scheduler, looked at by every worker between fibers and before it sleeps. */
#include "sched/internal.h"
#include <sched.h>
#include <time.h>

static ktime_t clock_ns(clockid_t c)
{
	struct timespec ts;

	clock_gettime(c, &ts);
	return ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

ktime_t ktime_mono(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

ktime_t ktime_real(void)
{
	return clock_ns(CLOCK_REALTIME);
}

ktime_t ktime_add_sat(ktime_t a, ktime_t b)
{
	ktime_t r;

	return __builtin_add_overflow(a, b, &r) ? KTIME_MAX : r;
}

void timers_init(struct sched *s)
{
	mutex_init(&s->timer_lock, RANK_NONE);
	s->heap_cap = 64;
	s->heap = xcalloc(s->heap_cap, sizeof(*s->heap));
	atomic_init(&s->next_expiry, KTIME_MAX);
}

static void heap_set(struct sched *s, uint32_t i, struct timer_slot v)
{
	s->heap[i] = v;
	v.t->index = i;
}

static void heap_up(struct sched *s, uint32_t i, struct timer_slot v)
{
	for (; i > 1 && s->heap[i / 2].expires > v.expires; i /= 2)
		heap_set(s, i, s->heap[i / 2]);
	heap_set(s, i, v);
}

static void heap_down(struct sched *s, uint32_t i, struct timer_slot v)
{
	for (;;) {
		uint32_t c = i * 2;
		if (c > s->ntimers)
			break;
		if (c < s->ntimers && s->heap[c + 1].expires < s->heap[c].expires)
			c++;
		if (s->heap[c].expires >= v.expires)
			break;
		heap_set(s, i, s->heap[c]);
		i = c;
	}
	heap_set(s, i, v);
}

static void heap_remove(struct sched *s, struct ktimer *t)
{
	uint32_t i = t->index;
	struct timer_slot last = s->heap[s->ntimers--];

	t->index = 0;
	if (last.t == t)
		return;
	if (i > 1 && s->heap[i / 2].expires > last.expires)
		heap_up(s, i, last);
	else
		heap_down(s, i, last);
}

static void heap_publish(struct sched *s)
{
	ktime_t next = s->ntimers ? s->heap[1].expires : KTIME_MAX;

	if (atomic_load_explicit(&s->next_expiry, memory_order_relaxed) != next)
		atomic_store(&s->next_expiry, next);
}

void ktimer_init(struct ktimer *t, struct sched *s, void (*fn)(struct ktimer *))
{
	*t = (struct ktimer){ .fn = fn, .sched = s };
}

void ktimer_start(struct ktimer *t, ktime_t expires)
{
	struct sched *s = t->sched;

	mutex_lock(&s->timer_lock);
	if (t->index)
		heap_remove(s, t);
	if (s->ntimers + 1 >= s->heap_cap) {
		s->heap_cap *= 2;
		s->heap = xrealloc(s->heap, s->heap_cap * sizeof(*s->heap));
	}
	t->expires = expires;
	heap_up(s, ++s->ntimers, (struct timer_slot){ expires, t });
	bool first = s->heap[1].t == t;
	heap_publish(s);
	mutex_unlock(&s->timer_lock);
	/* A worker looks again before it sleeps; anybody else must wake one that sleeps towards a later deadline. */
	struct thread *th = thread_self();
	if (first && !(th && th->worker && th->worker->sched == s))
		worker_kick(&s->workers[0]);
}

bool ktimer_cancel(struct ktimer *t)
{
	struct sched *s = t->sched;

	mutex_lock(&s->timer_lock);
	bool queued = t->index != 0;
	if (queued) {
		heap_remove(s, t);
		heap_publish(s);
	}
	mutex_unlock(&s->timer_lock);
	return queued;
}

void ktimer_cancel_sync(struct ktimer *t)
{
	struct sched *s = t->sched;

	for (;;) {
		ktimer_cancel(t);
		bool busy = false;
		for (int i = 0; i < s->nworkers; i++)
			busy |= atomic_load(&s->workers[i].running_timer) == t;
		/* It may have started itself again just before it was done. */
		if (!busy && !ktimer_cancel(t))
			return;
		if (busy)
			sched_yield();
	}
}

/* How many ran. Only by the worker's owner, outside fibers. */
int timers_expire(struct worker *w)
{
	struct sched *s = w->sched;
	ktime_t now = ktime_mono();
	int n = 0;

	if (atomic_load_explicit(&s->next_expiry, memory_order_relaxed) > now)
		return 0;
	mutex_lock(&s->timer_lock);
	while (s->ntimers && s->heap[1].expires <= now) {
		struct ktimer *t = s->heap[1].t;
		heap_remove(s, t);
		n++;
		if (fiber_deadline_locked(t))
			continue;
		heap_publish(s);
		/* Published before the lock goes, so that ktimer_cancel_sync sees either the queue place or this. */
		atomic_store(&w->running_timer, t);
		mutex_unlock(&s->timer_lock);
		t->fn(t); /* may free t */
		atomic_store(&w->running_timer, NULL);
		mutex_lock(&s->timer_lock);
	}
	heap_publish(s);
	mutex_unlock(&s->timer_lock);
	return n;
}
