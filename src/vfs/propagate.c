/* SPDX-License-Identifier: Apache-2.0 */
/* propagate.c: shared, slave, private and unbindable mounts (mount_namespaces(7)).
 *
 * OVERVIEW  Mounts of one peer group stand in a ring and have the group's number; what is mounted or unmounted below one of them is
 * below all. A slave hangs on the list of one mount of its master group and gets what happens there; nothing goes the other way. A slave
 * may be shared itself: then its peers get it too.
 * LOCKS  mount_lock.
 */
#include "vfs/internal.h"
#include <sys/mount.h>

static unsigned next_group = 1; /* mount_lock */

void mnt_set_shared_locked(struct mount *m)
{
	if (!m->group)
		m->group = next_group++;
	m->unbindable = false;
}

static void set_master(struct mount *m, struct mount *master)
{
	if (m->master)
		LIST_REMOVE(m, slave_link);
	m->master = master;
	if (master)
		LIST_INSERT_HEAD(&master->slaves, m, slave_link);
}

/* Leave the peer group. Slaves stay with a peer, or fall to the master. */
static void leave_group(struct mount *m, bool become_slave)
{
	struct mount *heir = m->peer_next != m ? m->peer_next : NULL, *s;

	while ((s = LIST_FIRST(&m->slaves)))
		set_master(s, heir ? heir : m->master);
	m->peer_next->peer_prev = m->peer_prev;
	m->peer_prev->peer_next = m->peer_next;
	m->peer_next = m->peer_prev = m;
	m->group = 0;
	if (!become_slave)
		set_master(m, NULL);
	else if (heir)
		set_master(m, heir);
}

void mnt_change_propagation_locked(struct mount *m, unsigned long type)
{
	if (type == MS_SHARED) {
		mnt_set_shared_locked(m);
		return;
	}
	if (m->group || type != MS_SLAVE)
		leave_group(m, type == MS_SLAVE);
	m->unbindable = type == MS_UNBINDABLE;
}

void mnt_join_locked(struct mount *new, struct mount *old, bool slave)
{
	if (slave && old->group) {
		set_master(new, old);
		return;
	}
	if (old->group) {
		new->group = old->group;
		new->peer_next = old->peer_next;
		new->peer_prev = old;
		new->peer_next->peer_prev = new;
		old->peer_next = new;
	}
	if (old->master)
		set_master(new, old->master);
}

/* ---- who gets what happens below `from` ---- */

static int ring_add(struct targets *t, int parent, bool shared, unsigned group)
{
	if (t->nrings == t->rcap)
		t->rings = xrealloc(t->rings, (t->rcap = t->rcap ? t->rcap * 2 : 8) * sizeof(*t->rings));
	t->rings[t->nrings] = (struct target_ring){ .parent = parent, .shared = shared, .group = group };
	return t->nrings++;
}

static void target_add(struct targets *t, struct mount *m, int ring)
{
	if (t->n == t->cap)
		t->v = xrealloc(t->v, (t->cap = t->cap ? t->cap * 2 : 8) * sizeof(*t->v));
	t->v[t->n++] = (struct target){ m, ring };
}

static bool ring_known(struct targets *t, unsigned group)
{
	for (int i = 0; i < t->nrings; i++)
		if (t->rings[i].group == group)
			return true;
	return false;
}

/* A ring is its members' mounts; masters' rings stand before those of their slaves. */
void propagation_targets_locked(struct mount *from, struct targets *t)
{
	struct mount *p, *s, *q;

	*t = (struct targets){ 0 };
	if (!from->group)
		return;
	ring_add(t, -1, true, from->group);
	t->rings[0].first = from;
	for (p = from->peer_next; p != from; p = p->peer_next)
		target_add(t, p, 0);
	for (int r = 0; r < t->nrings; r++) {
		struct mount *first = t->rings[r].first;
		if (!t->rings[r].shared)
			continue;
		p = first;
		do {
			LIST_FOREACH(s, &p->slaves, slave_link) {
				if (s->group && ring_known(t, s->group))
					continue;
				int n = ring_add(t, r, s->group, s->group);
				t->rings[n].first = s;
				target_add(t, s, n);
				for (q = s->peer_next; q != s; q = q->peer_next)
					target_add(t, q, n);
			}
			p = p->peer_next;
		} while (p != first);
	}
}

void targets_done(struct targets *t)
{
	for (int i = 1; i < t->nrings; i++)
		free(t->rings[i].copy); /* the first ring's is the caller's */
	free(t->v);
	free(t->rings);
}
