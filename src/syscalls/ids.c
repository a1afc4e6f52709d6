/* SPDX-License-Identifier: Apache-2.0 */
/* ids.c: user and group ids and capabilities of the caller (credentials(7), capabilities(7)). Each change makes a copy of the
 * credentials, checks and changes it, and installs it whole. */
#include "syscalls/proto.h"
#include <linux/capability.h>
#include <linux/securebits.h>

/* ---- getting ---- */

#define UID(t, f) from_kuid((t)->cred->user_ns, (t)->cred->f)
#define GID(t, f) from_kgid((t)->cred->user_ns, (t)->cred->f)
long sys_getuid(struct task *t, const struct syscall_args *a) { (void)a; return UID(t, uid); }
long sys_geteuid(struct task *t, const struct syscall_args *a) { (void)a; return UID(t, euid); }
long sys_getgid(struct task *t, const struct syscall_args *a) { (void)a; return GID(t, gid); }
long sys_getegid(struct task *t, const struct syscall_args *a) { (void)a; return GID(t, egid); }

long sys_getresuid(struct task *t, const struct syscall_args *a)
{
	uint32_t r = UID(t, uid), e = UID(t, euid), s = UID(t, suid);
	return put_user(r, a->a[0]) || put_user(e, a->a[1]) || put_user(s, a->a[2]) ? -EFAULT : 0;
}

long sys_getresgid(struct task *t, const struct syscall_args *a)
{
	uint32_t r = GID(t, gid), e = GID(t, egid), s = GID(t, sgid);
	return put_user(r, a->a[0]) || put_user(e, a->a[1]) || put_user(s, a->a[2]) ? -EFAULT : 0;
}

/* ---- setting ---- */

static bool cap_setuid(struct task *t) { return ns_capable(t->cred, t->cred->user_ns, CAP_SETUID); }
static bool cap_setgid(struct task *t) { return ns_capable(t->cred, t->cred->user_ns, CAP_SETGID); }

/* A change of ids makes the process undumpable and takes its parent-death signal (Linux commit_creds). */
static long commit(struct task *t, struct cred *n)
{
	const struct cred *o = t->cred;
	if (o->euid != n->euid || o->egid != n->egid || o->fsuid != n->fsuid || o->fsgid != n->fsgid || (n->permitted & ~o->permitted)) {
		mm_layout(t->mm)->dumpable = false;
		t->pdeath_signal = 0;
	}
	task_set_cred(t, n);
	return 0;
}

static long commit_uid(struct task *t, struct cred *n)
{
	/* Linux flags a process that switches to a user over its limit; exec would then fail. Here the check is at clone alone. */
	cred_fix_setuid(n, t->cred);
	return commit(t, n);
}

long sys_setuid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	kuid_t k = make_kuid(o->user_ns, (uint32_t)a->a[0]);
	if (k == KID_INVALID)
		return -EINVAL;
	bool priv = cap_setuid(t);
	if (!priv && k != o->uid && k != o->suid)
		return -EPERM;
	struct cred *n = cred_dup(o);
	if (priv)
		n->uid = n->suid = k;
	n->euid = n->fsuid = k;
	return commit_uid(t, n);
}

long sys_setgid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	kgid_t k = make_kgid(o->user_ns, (uint32_t)a->a[0]);
	if (k == KID_INVALID)
		return -EINVAL;
	bool priv = cap_setgid(t);
	if (!priv && k != o->gid && k != o->sgid)
		return -EPERM;
	struct cred *n = cred_dup(o);
	if (priv)
		n->gid = n->sgid = k;
	n->egid = n->fsgid = k;
	return commit(t, n);
}

long sys_setreuid(struct task *t, const struct syscall_args *a)
{
	uint32_t ur = a->a[0], ue = a->a[1];
	const struct cred *o = t->cred;
	kuid_t r = make_kuid(o->user_ns, ur), e = make_kuid(o->user_ns, ue);
	if ((ur != (uint32_t)-1 && r == KID_INVALID) || (ue != (uint32_t)-1 && e == KID_INVALID))
		return -EINVAL;
	bool priv = cap_setuid(t);
	if (ur != (uint32_t)-1 && !priv && r != o->uid && r != o->euid)
		return -EPERM;
	if (ue != (uint32_t)-1 && !priv && e != o->uid && e != o->euid && e != o->suid)
		return -EPERM;
	struct cred *n = cred_dup(o);
	if (ur != (uint32_t)-1)
		n->uid = r;
	if (ue != (uint32_t)-1)
		n->euid = e;
	if (ur != (uint32_t)-1 || (ue != (uint32_t)-1 && e != o->uid))
		n->suid = n->euid;
	n->fsuid = n->euid;
	return commit_uid(t, n);
}

long sys_setregid(struct task *t, const struct syscall_args *a)
{
	uint32_t ur = a->a[0], ue = a->a[1];
	const struct cred *o = t->cred;
	kgid_t r = make_kgid(o->user_ns, ur), e = make_kgid(o->user_ns, ue);
	if ((ur != (uint32_t)-1 && r == KID_INVALID) || (ue != (uint32_t)-1 && e == KID_INVALID))
		return -EINVAL;
	bool priv = cap_setgid(t);
	if (ur != (uint32_t)-1 && !priv && r != o->gid && r != o->egid)
		return -EPERM;
	if (ue != (uint32_t)-1 && !priv && e != o->gid && e != o->egid && e != o->sgid)
		return -EPERM;
	struct cred *n = cred_dup(o);
	if (ur != (uint32_t)-1)
		n->gid = r;
	if (ue != (uint32_t)-1)
		n->egid = e;
	if (ur != (uint32_t)-1 || (ue != (uint32_t)-1 && e != o->gid))
		n->sgid = n->egid;
	n->fsgid = n->egid;
	return commit(t, n);
}

long sys_setresuid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	kuid_t k[3], old[3] = { o->uid, o->euid, o->suid };
	bool priv = cap_setuid(t);
	for (int i = 0; i < 3; i++) {
		uint32_t u = a->a[i];
		k[i] = make_kuid(o->user_ns, u);
		if (u == (uint32_t)-1)
			k[i] = old[i];
		else if (k[i] == KID_INVALID)
			return -EINVAL;
	}
	for (int i = 0; i < 3; i++)
		if (!priv && k[i] != o->uid && k[i] != o->euid && k[i] != o->suid)
			return -EPERM;
	struct cred *n = cred_dup(o);
	n->uid = k[0];
	n->euid = n->fsuid = k[1];
	n->suid = k[2];
	return commit_uid(t, n);
}

long sys_setresgid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	kgid_t k[3], old[3] = { o->gid, o->egid, o->sgid };
	bool priv = cap_setgid(t);
	for (int i = 0; i < 3; i++) {
		uint32_t u = a->a[i];
		k[i] = make_kgid(o->user_ns, u);
		if (u == (uint32_t)-1)
			k[i] = old[i];
		else if (k[i] == KID_INVALID)
			return -EINVAL;
	}
	for (int i = 0; i < 3; i++)
		if (!priv && k[i] != o->gid && k[i] != o->egid && k[i] != o->sgid)
			return -EPERM;
	struct cred *n = cred_dup(o);
	n->gid = k[0];
	n->egid = n->fsgid = k[1];
	n->sgid = k[2];
	return commit(t, n);
}

long sys_setfsuid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	uint32_t was = from_kuid(o->user_ns, o->fsuid);
	kuid_t k = make_kuid(o->user_ns, (uint32_t)a->a[0]);
	if (k == KID_INVALID || k == o->fsuid || (k != o->uid && k != o->euid && k != o->suid && !cap_setuid(t)))
		return was;
	struct cred *n = cred_dup(o);
	n->fsuid = k;
	commit_uid(t, n);
	return was;
}

long sys_setfsgid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	uint32_t was = from_kgid(o->user_ns, o->fsgid);
	kgid_t k = make_kgid(o->user_ns, (uint32_t)a->a[0]);
	if (k == KID_INVALID || k == o->fsgid || (k != o->gid && k != o->egid && k != o->sgid && !cap_setgid(t)))
		return was;
	struct cred *n = cred_dup(o);
	n->fsgid = k;
	commit(t, n);
	return was;
}

/* ---- supplementary groups ---- */

#define NGROUPS_MAX_ 65536

long sys_getgroups(struct task *t, const struct syscall_args *a)
{
	int size = (int)a->a[0];
	const struct cred *c = t->cred;
	if (size < 0)
		return -EINVAL;
	if (!size)
		return c->ngroups;
	if ((unsigned)size < c->ngroups)
		return -EINVAL;
	__free(mem) void *buf = kzalloc(c->ngroups * sizeof(uint32_t));
	uint32_t *g = buf;
	if (!g)
		return -ENOMEM;
	for (unsigned i = 0; i < c->ngroups; i++)
		g[i] = from_kgid(c->user_ns, c->groups[i]);
	return c->ngroups && copy_to_user(a->a[1], g, c->ngroups * sizeof(*g)) ? -EFAULT : (long)c->ngroups;
}

static int by_number(const void *x, const void *y)
{
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
	return a < b ? -1 : a > b;
}

long sys_setgroups(struct task *t, const struct syscall_args *a)
{
	unsigned size = (unsigned)a->a[0];
	const struct cred *c = t->cred;
	if (!cap_setgid(t) || c->user_ns->setgroups_denied)
		return -EPERM;
	if (size > NGROUPS_MAX_)
		return -EINVAL;
	kgid_t *g = kzalloc(size * sizeof(*g));
	if (!g)
		return -ENOMEM;
	if (size && copy_from_user(g, a->a[1], size * sizeof(*g))) {
		free(g);
		return -EFAULT;
	}
	for (unsigned i = 0; i < size; i++) {
		g[i] = make_kgid(c->user_ns, g[i]);
		if (g[i] == KID_INVALID) {
			free(g);
			return -EINVAL;
		}
	}
	qsort(g, size, sizeof(*g), by_number);
	struct cred *n = cred_dup(c);
	free(n->groups);
	n->groups = g;
	n->ngroups = size;
	return commit(t, n);
}

/* ---- capabilities ---- */

#define CAP_V1 0x19980330
#define CAP_V2 0x20071026
#define CAP_V3 0x20080522
struct cap_header { uint32_t version; int32_t pid; };
struct cap_data { uint32_t effective, permitted, inheritable; };

static int cap_words(uaddr_t hdrp, struct cap_header *h, int *words)
{
	if (copy_from_user(h, hdrp, sizeof(*h)))
		return -EFAULT;
	switch (h->version) {
	case CAP_V1:
		*words = 1;
		return 0;
	case CAP_V2:
	case CAP_V3:
		*words = 2;
		return 0;
	default: {
		uint32_t v = CAP_V3;
		return put_user(v, hdrp) ? -EFAULT : -EINVAL;
	}
	}
}

long sys_capget(struct task *t, const struct syscall_args *a)
{
	struct cap_header h;
	struct cap_data d[2] = { 0 };
	int words;
	int r = cap_words(a->a[0], &h, &words);
	if (r) /* a probe with no data pointer only asks for the version */
		return r == -EINVAL && !a->a[1] ? 0 : r;
	if (h.pid < 0)
		return -EINVAL;
	cap_set_t e, p, i;
	struct task *o = t;
	if (h.pid && h.pid != task_tid(t, task_pid_ns(t))) {
		o = pidns_task_with_id(task_pid_ns(t), h.pid);
		if (!o)
			return -ESRCH;
	}
	mutex_lock(&o->lock);
	e = o->cred->effective;
	p = o->cred->permitted;
	i = o->cred->inheritable;
	mutex_unlock(&o->lock);
	if (o != t)
		task_put(o);
	for (int w = 0; w < 2; w++)
		d[w] = (struct cap_data){ e >> (32 * w), p >> (32 * w), i >> (32 * w) };
	return a->a[1] ? copy_to_user(a->a[1], d, words * sizeof(d[0])) : 0;
}

long sys_capset(struct task *t, const struct syscall_args *a)
{
	struct cap_header h;
	struct cap_data d[2] = { 0 };
	int words;
	int r = cap_words(a->a[0], &h, &words);
	if (r)
		return r;
	if (h.pid && h.pid != task_tid(t, task_pid_ns(t)))
		return -EPERM;
	if (copy_from_user(d, a->a[1], words * sizeof(d[0])))
		return -EFAULT;
	const struct cred *c = t->cred;
	cap_set_t e = (d[0].effective | (cap_set_t)d[1].effective << 32) & CAP_FULL_SET;
	cap_set_t p = (d[0].permitted | (cap_set_t)d[1].permitted << 32) & CAP_FULL_SET;
	cap_set_t i = (d[0].inheritable | (cap_set_t)d[1].inheritable << 32) & CAP_FULL_SET;
	if (!cred_has_cap(c, CAP_SETPCAP) && (i & ~(c->inheritable | c->permitted)))
		return -EPERM;
	if (i & ~(c->inheritable | c->bounding))
		return -EPERM;
	if ((p & ~c->permitted) || (e & ~p))
		return -EPERM;
	struct cred *n = cred_dup(c);
	n->effective = e;
	n->permitted = p;
	n->inheritable = i;
	n->ambient &= p & i;
	return commit(t, n);
}
