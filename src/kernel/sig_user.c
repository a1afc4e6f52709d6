/* SPDX-License-Identifier: Apache-2.0 */
/* sig_user.c: queued signals and POSIX timers by user, for RLIMIT_SIGPENDING.
 *
 * What is queued for a task counts for its user's real id. A few users of whom nothing is queued are kept: the next signal comes soon.
 * LOCKS: a leaf of its own, because signals are sent outside fibers and under the signal lock. */
#include "kernel/internal.h"
#include "kernel/signal.h"

#define SLOTS 64
#define IDLE_KEPT 64
struct sig_user {
	struct sig_users *all;
	struct sig_user *next;
	kuid_t uid;
	unsigned n;
};
struct sig_users {
	struct mutex lock; /* RANK_LEAF */
	unsigned idle;
	struct sig_user *slot[SLOTS];
};

struct sig_users *sig_users_create(void)
{
	struct sig_users *s = new(struct sig_users);

	mutex_init(&s->lock, RANK_LEAF);
	return s;
}

static struct sig_user **find(struct sig_users *s, kuid_t uid)
{
	struct sig_user **p = &s->slot[uid % SLOTS];

	while (*p && (*p)->uid != uid)
		p = &(*p)->next;
	return p;
}

static kuid_t uid_of(struct task *t)
{
	if (t->fiber == fiber_self())
		return t->cred->uid;
	guard(mutex)(&t->lock);
	return t->cred->uid;
}

struct sig_user *sig_user_charge(struct task *t, bool unlimited)
{
	struct sig_users *s = t->kernel->sig_users;
	uint64_t limit = unlimited ? UINT64_MAX : READ_ONCE(t->tg->limits[RLIMIT_SIGPENDING].rlim_cur);
	kuid_t uid = uid_of(t);

	guard(mutex)(&s->lock);
	struct sig_user **p = find(s, uid), *u = *p;

	if (u ? u->n >= limit : !limit)
		return NULL;
	if (!u) {
		u = *p = new(struct sig_user);
		u->all = s;
		u->uid = uid;
	} else if (!u->n) {
		s->idle--;
	}
	u->n++;
	return u;
}

void sig_user_uncharge(struct sig_user *u)
{
	struct sig_users *s = u->all;

	guard(mutex)(&s->lock);
	if (--u->n)
		return;
	if (s->idle < IDLE_KEPT) {
		s->idle++;
		return;
	}
	*find(s, u->uid) = u->next;
	free(u);
}

unsigned sig_user_count(struct task *t)
{
	struct sig_users *s = t->kernel->sig_users;
	kuid_t uid = uid_of(t);

	guard(mutex)(&s->lock);
	struct sig_user *u = *find(s, uid);

	return u ? u->n : 0;
}
