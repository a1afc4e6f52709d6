/* SPDX-License-Identifier: Apache-2.0 */
/* user_ns.c: user namespaces and their id maps (user_namespaces(7)). Maps are kept towards the root namespace of the sandbox:
 * lower_first counts there, so translation is one step at any depth. */
#include "auth/cred.h"

struct user_namespace *user_ns_create_root(void)
{
	struct user_namespace *ns = new(struct user_namespace);

	refcount_init(&ns->ref);
	mutex_init(&ns->lock, RANK_LEAF);
	ns->nuid = ns->ngid = 1;
	ns->uid_map[0] = ns->gid_map[0] = (struct id_map_extent){ 0, 0, UINT32_MAX };
	ns->ns_ino = 0xeffffffd; /* as Linux's first user namespace */
	return ns;
}

struct user_namespace *user_ns_create(struct user_namespace *parent, kuid_t owner, kgid_t group)
{
	if (parent->level >= 32)
		return NULL;
	struct user_namespace *ns = new(struct user_namespace);

	refcount_init(&ns->ref);
	mutex_init(&ns->lock, RANK_LEAF);
	user_ns_get(parent);
	ns->parent = parent;
	ns->level = parent->level + 1;
	ns->owner = owner;
	ns->group = group;
	ns->setgroups_denied = parent->setgroups_denied;
	return ns;
}

void user_ns_get(struct user_namespace *ns) { refcount_get(&ns->ref); }

void user_ns_put(struct user_namespace *ns)
{
	while (ns && refcount_put(&ns->ref)) {
		struct user_namespace *parent = ns->parent;
		free(ns);
		ns = parent;
	}
}

static uint32_t down(const struct id_map_extent *m, unsigned n, uint32_t id)
{
	for (unsigned i = 0; i < n; i++)
		if (id - m[i].first < m[i].count)
			return m[i].lower_first + (id - m[i].first);
	return KID_INVALID;
}

static uint32_t up(const struct id_map_extent *m, unsigned n, uint32_t kid)
{
	for (unsigned i = 0; i < n; i++)
		if (kid - m[i].lower_first < m[i].count)
			return m[i].first + (kid - m[i].lower_first);
	return KID_INVALID;
}

kuid_t make_kuid(struct user_namespace *ns, uint32_t uid)
{
	if (likely(!ns->level))
		return uid;
	guard(mutex)(&ns->lock);
	return down(ns->uid_map, ns->nuid, uid);
}

kgid_t make_kgid(struct user_namespace *ns, uint32_t gid)
{
	if (likely(!ns->level))
		return gid;
	guard(mutex)(&ns->lock);
	return down(ns->gid_map, ns->ngid, gid);
}

uint32_t from_kuid(struct user_namespace *ns, kuid_t k)
{
	if (likely(!ns->level))
		return k;
	guard(mutex)(&ns->lock);
	uint32_t id = up(ns->uid_map, ns->nuid, k);
	return id == KID_INVALID ? OVERFLOW_ID : id;
}

uint32_t from_kgid(struct user_namespace *ns, kgid_t k)
{
	if (likely(!ns->level))
		return k;
	guard(mutex)(&ns->lock);
	uint32_t id = up(ns->gid_map, ns->ngid, k);
	return id == KID_INVALID ? OVERFLOW_ID : id;
}
