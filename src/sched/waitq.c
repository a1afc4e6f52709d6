/* SPDX-License-Identifier: Apache-2.0 */
#include "sched/internal.h"

void wait_queue_init(struct wait_queue *q)
{
	mutex_init(&q->lock, RANK_WAITQ);
	TAILQ_INIT(&q->entries);
}

static bool wake_fiber(struct wait_entry *e, unsigned key)
{
	(void)key;
	fiber_wake(e->fiber);
	return true;
}

void wait_entry_init_fiber(struct wait_entry *e, struct fiber *f)
{
	*e = (struct wait_entry){ .func = wake_fiber, .fiber = f };
}

void wait_queue_add(struct wait_queue *q, struct wait_entry *e)
{
	mutex_lock(&q->lock);
	if (!e->queued) {
		/* Seen by wait_queue_wake_nr without the lock: the mutex's own atomics order it before the caller's look at its condition. */
		if (e->exclusive)
			TAILQ_INSERT_TAIL(&q->entries, e, link);
		else
			TAILQ_INSERT_HEAD(&q->entries, e, link);
		e->queued = true;
	}
	mutex_unlock(&q->lock);
}

void wait_queue_del(struct wait_queue *q, struct wait_entry *e)
{
	mutex_lock(&q->lock);
	if (e->queued) {
		TAILQ_REMOVE(&q->entries, e, link);
		e->queued = false;
	}
	mutex_unlock(&q->lock);
}

void wait_queue_wake_nr(struct wait_queue *q, unsigned key, int nr_exclusive)
{
	struct wait_entry *e, *next;

#ifndef BAILEY_TSAN
	/* The common case, nobody waits, for the price of a fence: whoever queues itself after our look sees what we published before it. */
	full_fence();
	if (!READ_ONCE(q->entries.tqh_first))
		return;
#endif
	mutex_lock(&q->lock);
	TAILQ_FOREACH_SAFE(e, &q->entries, link, next) {
		bool exclusive = e->exclusive;
		/* An exclusive sleeper leaves the queue here: a second event before it has run must wake the next one. */
		if (exclusive && e->func == wake_fiber) {
			TAILQ_REMOVE(&q->entries, e, link);
			e->queued = false;
		}
		if (e->func(e, key) && exclusive && --nr_exclusive <= 0)
			break;
	}
	mutex_unlock(&q->lock);
}

bool wait_queue_active(struct wait_queue *q)
{
#ifdef BAILEY_TSAN
	mutex_lock(&q->lock);
	bool r = !TAILQ_EMPTY(&q->entries);
	mutex_unlock(&q->lock);
	return r;
#else
	full_fence();
	return READ_ONCE(q->entries.tqh_first) != NULL;
#endif
}
