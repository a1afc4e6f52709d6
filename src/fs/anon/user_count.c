/* SPDX-License-Identifier: Apache-2.0 */
/* user_count.c: see user_count.h. */
#include "fs/anon/user_count.h"
#include "vfs/vfs.h"

#define SLOTS 64

struct user_count {
	struct user_count *next;
	kuid_t uid;
	unsigned refs;
	unsigned n[USER_COUNT_KINDS];
};

static const unsigned limits[USER_COUNT_KINDS] = { [USER_INOTIFY_INSTANCES] = 128, [USER_INOTIFY_WATCHES] = 65536, [USER_EPOLL_WATCHES] = 3633920 };
static struct user_count *slot[SLOTS];
static struct mutex lock = { .rank = RANK_LEAF }; /* all of it */

struct user_count *user_count_get(void)
{
	kuid_t uid = fiber_context()->cred->euid;

	guard(mutex)(&lock);
	struct user_count **p = &slot[uid % SLOTS];
	while (*p && (*p)->uid != uid)
		p = &(*p)->next;
	if (!*p) {
		*p = new(struct user_count);
		(*p)->uid = uid;
	}
	(*p)->refs++;
	return *p;
}

void user_count_put(struct user_count *u)
{
	guard(mutex)(&lock);
	if (--u->refs)
		return;
	struct user_count **p = &slot[u->uid % SLOTS];
	while (*p != u)
		p = &(*p)->next;
	*p = u->next;
	free(u);
}

bool user_count_charge(struct user_count *u, enum user_count_kind kind)
{
	guard(mutex)(&lock);
	if (u->n[kind] >= limits[kind])
		return false;
	u->n[kind]++;
	return true;
}

void user_count_uncharge(struct user_count *u, enum user_count_kind kind)
{
	guard(mutex)(&lock);
	u->n[kind]--;
}
