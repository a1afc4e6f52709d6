/* SPDX-License-Identifier: Apache-2.0 */
/* user_ns.c: how guests make user namespaces and write their maps (user_namespaces(7); rules after Linux's kernel/user_namespace.c). */
#include "kernel/user_ns.h"
#include "kernel/internal.h"
#include <linux/capability.h>

int user_ns_new_cred(struct task *t, struct cred **out)
{
	struct user_namespace *parent = t->cred->user_ns, *ns;
	struct path root, top;
	bool chrooted;

	if (parent->level && (from_kuid(parent, t->cred->euid) == OVERFLOW_ID || from_kgid(parent, t->cred->egid) == OVERFLOW_ID))
		return -EPERM;
	/* Who was confined by chroot does not get the power to leave it. */
	mutex_lock(&t->fs->lock);
	root = t->fs->root;
	path_get(&root);
	mutex_unlock(&t->fs->lock);
	mount_ns_root(t->mnt_ns, &top);
	chrooted = root.mnt != top.mnt || root.dentry != top.dentry;
	path_put(&root);
	path_put(&top);
	if (chrooted)
		return -EPERM;
	ns = user_ns_create(parent, t->cred->euid, t->cred->egid);
	if (!ns)
		return -ENOSPC;
	ns->ns_ino = kernel_new_ns_ino(t->kernel);
	ns->parent_could_setfcap = t->cred->effective & CAP_BIT(CAP_SETFCAP);

	struct cred *c = cred_dup(t->cred);

	user_ns_put(c->user_ns);
	c->user_ns = ns;
	c->securebits = 0;
	c->inheritable = c->ambient = 0;
	c->permitted = c->effective = c->bounding = CAP_FULL_SET;
	*out = c;
	return 0;
}

/* ---- maps ---- */

#define MAX_EXTENTS 340

/* One number and what follows it: a blank, or the end of the line when it is the last. */
static bool number(char **s, uint32_t *v, bool last)
{
	char *end;
	unsigned long long n;

	while (**s == ' ' || **s == '\t')
		(*s)++;
	if (**s < '0' || **s > '9')
		return false;
	errno = 0;
	n = strtoull(*s, &end, 10);
	if (errno || n > UINT32_MAX)
		return false;
	*v = (uint32_t)n;
	*s = end;
	if (!last)
		return *end == ' ' || *end == '\t';
	while (**s == ' ' || **s == '\t')
		(*s)++;
	if (**s == '\n')
		(*s)++;
	else if (**s)
		return false;
	return true;
}

static bool overlaps(uint32_t a, uint32_t b, uint32_t na, uint32_t nb)
{
	return (uint64_t)a < (uint64_t)b + nb && (uint64_t)b < (uint64_t)a + na;
}

static int parse(char *s, struct id_map_extent *map, unsigned *count)
{
	unsigned n = 0;

	while (*s) {
		struct id_map_extent e;

		if (!number(&s, &e.first, false) || !number(&s, &e.lower_first, false) || !number(&s, &e.count, true))
			return -EINVAL;
		if (e.first == UINT32_MAX || e.lower_first == UINT32_MAX || !e.count || e.first + e.count <= e.first ||
		    e.lower_first + e.count <= e.lower_first)
			return -EINVAL;
		for (unsigned i = 0; i < n; i++)
			if (overlaps(map[i].first, e.first, map[i].count, e.count) ||
			    overlaps(map[i].lower_first, e.lower_first, map[i].count, e.count))
				return -EINVAL;
		if (n == MAX_EXTENTS)
			return -EINVAL;
		map[n++] = e;
	}
	*count = n;
	return n ? 0 : -EINVAL;
}

static bool setgroups_denied(struct user_namespace *ns)
{
	guard(mutex)(&ns->lock);
	return ns->setgroups_denied;
}

/* Who may map these ids of the parent? */
static bool permitted(struct task *t, struct user_namespace *ns, bool gid, const struct id_map_extent *map, unsigned n)
{
	const struct cred *c = t->cred;
	struct user_namespace *parent = ns->parent;

	/* The parent's root lets file capabilities be made that count there. */
	for (unsigned i = 0; !gid && i < n; i++)
		if (!map[i].lower_first && !(c->user_ns == ns ? ns->parent_could_setfcap : ns_capable(c, parent, CAP_SETFCAP)))
			return false;
	/* Everybody may map himself. */
	if (n == 1 && map[0].count == 1 && ns->owner == c->euid) {
		if (!gid && make_kuid(parent, map[0].lower_first) == c->euid)
			return true;
		if (gid && setgroups_denied(ns) && make_kgid(parent, map[0].lower_first) == c->egid)
			return true;
	}
	return ns_capable(c, parent, gid ? CAP_SETGID : CAP_SETUID);
}

/* Ids of the parent to ids of the root: a range may not be torn apart. */
static bool lower(struct user_namespace *parent, bool gid, struct id_map_extent *e)
{
	uint32_t first = gid ? make_kgid(parent, e->lower_first) : make_kuid(parent, e->lower_first);
	uint32_t last = gid ? make_kgid(parent, e->lower_first + e->count - 1) : make_kuid(parent, e->lower_first + e->count - 1);

	if (first == KID_INVALID || last == KID_INVALID || last - first != e->count - 1)
		return false;
	e->lower_first = first;
	return true;
}

int user_ns_write_map(struct task *t, struct user_namespace *ns, bool gid, char *text)
{
	__free(mem) void *mem = xcalloc(MAX_EXTENTS, sizeof(struct id_map_extent));
	struct id_map_extent *map = mem;
	unsigned n;
	int r;

	if (!ns->parent || (t->cred->user_ns != ns && t->cred->user_ns != ns->parent))
		return -EPERM;
	if (!ns_capable(t->cred, ns, CAP_SYS_ADMIN))
		return -EPERM;
	r = parse(text, map, &n);
	if (r)
		return r;
	if (!permitted(t, ns, gid, map, n))
		return -EPERM;
	for (unsigned i = 0; i < n; i++)
		if (!lower(ns->parent, gid, &map[i]))
			return -EPERM;
	guard(mutex)(&ns->lock);
	if (gid ? ns->ngid : ns->nuid)
		return -EPERM;
	memcpy(gid ? ns->gid_map : ns->uid_map, map, n * sizeof(*map));
	if (gid)
		ns->ngid = n;
	else
		ns->nuid = n;
	return 0;
}

int user_ns_write_setgroups(struct task *t, struct user_namespace *ns, const char *text)
{
	bool deny = !strncmp(text, "deny", 4);
	size_t n = deny ? 4 : 5;

	if (!ns_capable(t->cred, ns, CAP_SYS_ADMIN))
		return -EACCES;
	if (!deny && strncmp(text, "allow", 5))
		return -EINVAL;
	if (text[n + strspn(text + n, " \t\n")])
		return -EINVAL;
	guard(mutex)(&ns->lock);
	if (deny && ns->ngid)
		return -EPERM;
	if (!deny && ns->setgroups_denied)
		return -EPERM;
	if (deny)
		ns->setgroups_denied = true;
	return 0;
}

bool user_ns_may_setgroups(struct user_namespace *ns)
{
	guard(mutex)(&ns->lock);
	return ns->ngid && !ns->setgroups_denied;
}
