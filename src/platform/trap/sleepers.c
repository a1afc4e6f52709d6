/* SPDX-License-Identifier: Apache-2.0 */
/* sleepers.c: only so many stubs sleep in notifications.
 *
 * OVERVIEW
 * The host keeps the notifications of a listener in one list and walks it at every RECV, SEND and poll: each call of a guest would pay for
 * every thread and process of the sandbox that sleeps. When there are many, the one that has slept for longest is sent out of its
 * notification to sleep on the state word of its line (SLOT_DOZE). It is answered as any other, with a futex wake-up; when the kernel wants
 * it in a notification again (a descriptor is to be installed), it says SLOT_PARK. Its state word says which way it sleeps next, so that
 * nothing is lost if a signal gets it out of either. */
#include "platform/trap/trap.h"
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>


#define SLEEPERS_MAX 64
#define LOOK_MAX 8

static void doze_locked(struct pl_thread *t)
{
	uint64_t id = t->nid;

	sleeps_no_more(t);
	t->dozing = true;
	__atomic_store_n(&t->slot->line.state, SLOT_DOZE, __ATOMIC_RELEASE);
	notif_send(t->p, id, 0, 0);
}

/* t's stub has come in with a notification. */
void sleeps_in(struct pl_thread *t, uint64_t nid)
{
	struct platform *p = t->p;

	if (t->nid)
		sleeps_no_more(t);
	t->nid = nid;
	t->dozing = false;
	TAILQ_INSERT_TAIL(&p->sleepers, t, sleep_link);
	if (likely(++p->nsleepers <= SLEEPERS_MAX))
		return;
	for (int i = 0; i < LOOK_MAX; i++) {
		struct pl_thread *o = TAILQ_FIRST(&p->sleepers);

		if (o != t && !o->hello && !o->wanted && atomic_load_explicit(&o->phase, memory_order_relaxed) == PH_KERNEL)
			return doze_locked(o);
		TAILQ_REMOVE(&p->sleepers, o, sleep_link);
		TAILQ_INSERT_TAIL(&p->sleepers, o, sleep_link);
	}
}

void sleeps_no_more(struct pl_thread *t)
{
	t->nid = 0;
	TAILQ_REMOVE(&t->p->sleepers, t, sleep_link);
	t->p->nsleepers--;
}

/* Its state word says already what it is to do. */
void wake_dozing(struct pl_thread *t)
{
	if (!t->dozing)
		return;
	t->dozing = false;
	syscall(SYS_futex, &t->slot->line.state, FUTEX_WAKE, 1, NULL, NULL, 0);
}
