/* SPDX-License-Identifier: Apache-2.0 */
/* cred.h: credentials, capabilities, user namespaces and their id maps (credentials(7), capabilities(7), user_namespaces(7)). */
#ifndef BAILEY_AUTH_CRED_H
#define BAILEY_AUTH_CRED_H
#include "lib/lib.h"
#include "sched/sched.h"

typedef uint32_t kuid_t; /* an id in the root user namespace of the sandbox */
typedef uint32_t kgid_t;
#define KID_INVALID ((uint32_t)-1)
#define OVERFLOW_ID 65534

struct id_map_extent { uint32_t first, lower_first, count; };
struct user_namespace {
	struct refcount ref;
	struct user_namespace *parent; /* counted; NULL for the root */
	int level;
	kuid_t owner;
	kgid_t group;
	uint64_t ns_ino;
	struct mutex lock; /* RANK_LEAF: the maps until they are written once */
	unsigned nuid, ngid;
	struct id_map_extent uid_map[340], gid_map[340];
	bool setgroups_denied;
	bool parent_could_setfcap; /* its maker had CAP_SETFCAP: may map the root of the parent; immutable */
};
struct user_namespace *user_ns_create_root(void); /* identity map */
/* Empty maps, to be written once; NULL when nested deeper than 32. */
struct user_namespace *user_ns_create(struct user_namespace *parent, kuid_t owner, kgid_t group);
void user_ns_get(struct user_namespace *ns);
void user_ns_put(struct user_namespace *ns);
kuid_t make_kuid(struct user_namespace *ns, uint32_t uid); /* KID_INVALID if unmapped */
kgid_t make_kgid(struct user_namespace *ns, uint32_t gid);
uint32_t from_kuid(struct user_namespace *ns, kuid_t k);   /* OVERFLOW_ID if unmapped */
uint32_t from_kgid(struct user_namespace *ns, kgid_t k);

typedef uint64_t cap_set_t;
#define CAP_BIT(c) (1ULL << (c))
#define CAP_FULL_SET ((1ULL << 41) - 1)

/* Immutable once a task has it: changes make a copy (cred_dup) and install that. Counted. */
struct cred {
	struct refcount ref;
	kuid_t uid, euid, suid, fsuid;
	kgid_t gid, egid, sgid, fsgid;
	cap_set_t permitted, effective, inheritable, bounding, ambient;
	uint32_t securebits;
	struct user_namespace *user_ns; /* counted */
	unsigned ngroups;
	kgid_t *groups; /* owned, sorted */
};
struct cred *cred_create_root(struct user_namespace *ns); /* uid 0, all capabilities */
struct cred *cred_dup(const struct cred *c);
struct cred *cred_get(struct cred *c);
void cred_put(struct cred *c);
bool cred_in_group(const struct cred *c, kgid_t gid); /* fsgid or supplementary */
bool ns_capable(const struct cred *c, struct user_namespace *target, int cap);
/* In its own user namespace, whichever that is. */
static inline bool cred_has_own_cap(const struct cred *c, int cap) { return c->effective & CAP_BIT(cap); }
/* Over the whole sandbox: who has it only in a namespace that a guest made does not. */
static inline bool cred_has_cap(const struct cred *c, int cap) { return cred_has_own_cap(c, cap) && !c->user_ns->level; }
/* Effects of uid changes on capabilities, and of exec (capabilities(7)); act on a private copy. */
void cred_fix_setuid(struct cred *c, const struct cred *old);
void cred_exec(struct cred *c, bool setuid_root);

#endif
