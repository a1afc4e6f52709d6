/* SPDX-License-Identifier: Apache-2.0 */
/* cred.c: credentials and what id changes and exec do to capabilities (capabilities(7)). */
#include "auth/cred.h"
#include <linux/capability.h>
#include <linux/securebits.h>

struct cred *cred_create_root(struct user_namespace *ns)
{
	struct cred *c = new(struct cred);

	refcount_init(&c->ref);
	user_ns_get(ns);
	c->user_ns = ns;
	c->permitted = c->effective = c->bounding = CAP_FULL_SET;
	return c;
}

RACY struct cred *cred_dup(const struct cred *o) /* which others count meanwhile */
{
	struct cred *c = new(struct cred);

	*c = *o;
	refcount_init(&c->ref);
	user_ns_get(c->user_ns);
	if (o->ngroups) {
		c->groups = xcalloc(o->ngroups, sizeof(*c->groups));
		memcpy(c->groups, o->groups, o->ngroups * sizeof(*c->groups));
	} else {
		c->groups = NULL;
	}
	return c;
}

struct cred *cred_get(struct cred *c)
{
	refcount_get(&c->ref);
	return c;
}

void cred_put(struct cred *c)
{
	if (!c || !refcount_put(&c->ref))
		return;
	user_ns_put(c->user_ns);
	free(c->groups);
	free(c);
}

bool cred_in_group(const struct cred *c, kgid_t gid)
{
	if (c->fsgid == gid)
		return true;
	unsigned lo = 0, hi = c->ngroups;
	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		if (c->groups[mid] == gid)
			return true;
		if (c->groups[mid] < gid)
			lo = mid + 1;
		else
			hi = mid;
	}
	return false;
}

bool ns_capable(const struct cred *c, struct user_namespace *target, int cap)
{
	for (struct user_namespace *ns = target;; ns = ns->parent) {
		if (ns == c->user_ns)
			return cred_has_own_cap(c, cap);
		if (!ns->parent || ns->level <= c->user_ns->level)
			return false;
		/* the owner of a namespace, seen from its parent, has every capability in it */
		if (ns->parent == c->user_ns && ns->owner == c->euid)
			return true;
	}
}

void cred_fix_setuid(struct cred *c, const struct cred *old)
{
	kuid_t root = make_kuid(c->user_ns, 0);
	bool was_root = old->uid == root || old->euid == root || old->suid == root;
	bool is_root = c->uid == root || c->euid == root || c->suid == root;

	if (!(c->securebits & SECBIT_NO_SETUID_FIXUP)) {
		if (was_root && !is_root) {
			if (!(c->securebits & SECBIT_KEEP_CAPS)) {
				c->permitted = 0;
				c->effective = 0;
			}
			c->ambient = 0; /* keep-caps does not save the ambient set */
		}
		if (old->euid == root && c->euid != root)
			c->effective = 0;
		if (old->euid != root && c->euid == root)
			c->effective = c->permitted;
	}
}

/* The caller has already applied set-user-ID and set-group-ID bits to euid, egid, suid, fsuid... of this private copy. There are
 * no file capabilities here, so only the rules for root and the ambient set remain. */
void cred_exec(struct cred *c, bool setuid_root)
{
	kuid_t root = make_kuid(c->user_ns, 0);
	bool id_changed = c->euid != c->uid || c->egid != c->gid;

	if (setuid_root || id_changed)
		c->ambient = 0;
	if (!(c->securebits & SECBIT_NOROOT) && (c->uid == root || c->euid == root)) {
		c->permitted = (c->inheritable | c->bounding);
		c->effective = c->euid == root ? c->permitted : 0;
		if (c->euid == root || c->uid == root)
			c->ambient &= c->inheritable & c->permitted;
	} else {
		c->permitted = c->ambient;
		c->effective = c->ambient;
	}
	c->suid = c->fsuid = c->euid;
	c->sgid = c->fsgid = c->egid;
	c->securebits &= ~SECBIT_KEEP_CAPS;
}
