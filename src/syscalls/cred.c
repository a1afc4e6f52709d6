/* SPDX-License-Identifier: Apache-2.0 */
/* cred.c: user and group ids, supplementary groups, capabilities: credentials(7), capabilities(7).
 * Each change works on a copy, which replaces the task's credentials when everything was checked. */
#include "kernel/user_ns.h"
#include "syscalls/names.h"
#include <linux/capability.h>
#include <linux/securebits.h>

#define KEEP ((uint32_t)-1)

static bool capable(struct task *t, int cap) { return ns_capable(t->cred, t->cred->user_ns, cap); }

static long own_uid(struct task *t, uint32_t id)
{
	task_lend_ids(t);
	return from_kuid(t->cred->user_ns, id);
}

static long own_gid(struct task *t, uint32_t id)
{
	task_lend_ids(t);
	return from_kgid(t->cred->user_ns, id);
}

long sys_getuid(struct task *t, const struct syscall_args *a) { return own_uid(t, t->cred->uid); }
long sys_geteuid(struct task *t, const struct syscall_args *a) { return own_uid(t, t->cred->euid); }
long sys_getgid(struct task *t, const struct syscall_args *a) { return own_gid(t, t->cred->gid); }
long sys_getegid(struct task *t, const struct syscall_args *a) { return own_gid(t, t->cred->egid); }

static long put_three(uaddr_t a, uaddr_t b, uaddr_t c, uint32_t x, uint32_t y, uint32_t z)
{
	if (put_user(x, a) || put_user(y, b) || put_user(z, c))
		return -EFAULT;
	return 0;
}

long sys_getresuid(struct task *t, const struct syscall_args *a)
{
	struct cred *c = t->cred;
	struct user_namespace *ns = c->user_ns;

	return put_three(a->a[0], a->a[1], a->a[2], from_kuid(ns, c->uid), from_kuid(ns, c->euid), from_kuid(ns, c->suid));
}

long sys_getresgid(struct task *t, const struct syscall_args *a)
{
	struct cred *c = t->cred;
	struct user_namespace *ns = c->user_ns;

	return put_three(a->a[0], a->a[1], a->a[2], from_kgid(ns, c->gid), from_kgid(ns, c->egid), from_kgid(ns, c->sgid));
}

static long install_uid(struct task *t, struct cred *n)
{
	cred_fix_setuid(n, t->cred);
	task_set_cred(t, n);
	return 0;
}

long sys_setuid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	kuid_t uid = make_kuid(o->user_ns, a->a[0]);

	if (uid == KID_INVALID || (uint32_t)a->a[0] == KEEP)
		return -EINVAL;
	bool priv = capable(t, CAP_SETUID);
	if (!priv && uid != o->uid && uid != o->suid)
		return -EPERM;
	struct cred *n = cred_dup(o);
	if (priv)
		n->uid = n->suid = uid;
	n->euid = n->fsuid = uid;
	return install_uid(t, n);
}

long sys_setgid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	kgid_t gid = make_kgid(o->user_ns, a->a[0]);

	if (gid == KID_INVALID || (uint32_t)a->a[0] == KEEP)
		return -EINVAL;
	bool priv = capable(t, CAP_SETGID);
	if (!priv && gid != o->gid && gid != o->sgid)
		return -EPERM;
	struct cred *n = cred_dup(o);
	if (priv)
		n->gid = n->sgid = gid;
	n->egid = n->fsgid = gid;
	task_set_cred(t, n);
	return 0;
}

/* An argument of setre*id: the mapped id, or `old` for -1. false: unmapped. */
static bool want_uid(struct user_namespace *ns, uint32_t arg, kuid_t old, kuid_t *out)
{
	*out = arg == KEEP ? old : make_kuid(ns, arg);
	return *out != KID_INVALID;
}

static bool want_gid(struct user_namespace *ns, uint32_t arg, kgid_t old, kgid_t *out)
{
	*out = arg == KEEP ? old : make_kgid(ns, arg);
	return *out != KID_INVALID;
}

long sys_setreuid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	uint32_t ra = a->a[0], ea = a->a[1];
	kuid_t r, e;

	if (!want_uid(o->user_ns, ra, o->uid, &r) || !want_uid(o->user_ns, ea, o->euid, &e))
		return -EINVAL;
	if (!capable(t, CAP_SETUID)) {
		if (ra != KEEP && r != o->uid && r != o->euid)
			return -EPERM;
		if (ea != KEEP && e != o->uid && e != o->euid && e != o->suid)
			return -EPERM;
	}
	struct cred *n = cred_dup(o);
	n->uid = r;
	n->euid = n->fsuid = e;
	if (ra != KEEP || (ea != KEEP && e != o->uid))
		n->suid = e;
	return install_uid(t, n);
}

long sys_setregid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	uint32_t ra = a->a[0], ea = a->a[1];
	kgid_t r, e;

	if (!want_gid(o->user_ns, ra, o->gid, &r) || !want_gid(o->user_ns, ea, o->egid, &e))
		return -EINVAL;
	if (!capable(t, CAP_SETGID)) {
		if (ra != KEEP && r != o->gid && r != o->egid)
			return -EPERM;
		if (ea != KEEP && e != o->gid && e != o->egid && e != o->sgid)
			return -EPERM;
	}
	struct cred *n = cred_dup(o);
	n->gid = r;
	n->egid = n->fsgid = e;
	if (ra != KEEP || (ea != KEEP && e != o->gid))
		n->sgid = e;
	task_set_cred(t, n);
	return 0;
}

long sys_setresuid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	kuid_t r, e, s;

	if (!want_uid(o->user_ns, a->a[0], o->uid, &r) || !want_uid(o->user_ns, a->a[1], o->euid, &e) ||
	    !want_uid(o->user_ns, a->a[2], o->suid, &s))
		return -EINVAL;
	kuid_t v[3] = { r, e, s };
	for (int i = 0; i < 3; i++)
		if ((uint32_t)a->a[i] != KEEP && v[i] != o->uid && v[i] != o->euid && v[i] != o->suid && !capable(t, CAP_SETUID))
			return -EPERM;
	struct cred *n = cred_dup(o);
	n->uid = r;
	n->euid = n->fsuid = e;
	n->suid = s;
	return install_uid(t, n);
}

long sys_setresgid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	kgid_t r, e, s;

	if (!want_gid(o->user_ns, a->a[0], o->gid, &r) || !want_gid(o->user_ns, a->a[1], o->egid, &e) ||
	    !want_gid(o->user_ns, a->a[2], o->sgid, &s))
		return -EINVAL;
	kgid_t v[3] = { r, e, s };
	for (int i = 0; i < 3; i++)
		if ((uint32_t)a->a[i] != KEEP && v[i] != o->gid && v[i] != o->egid && v[i] != o->sgid && !capable(t, CAP_SETGID))
			return -EPERM;
	struct cred *n = cred_dup(o);
	n->gid = r;
	n->egid = n->fsgid = e;
	n->sgid = s;
	task_set_cred(t, n);
	return 0;
}

#define CAP_FS_SET (CAP_BIT(CAP_CHOWN) | CAP_BIT(CAP_MKNOD) | CAP_BIT(CAP_DAC_OVERRIDE) | CAP_BIT(CAP_DAC_READ_SEARCH) | \
		    CAP_BIT(CAP_FOWNER) | CAP_BIT(CAP_FSETID) | CAP_BIT(CAP_LINUX_IMMUTABLE) | CAP_BIT(CAP_MAC_OVERRIDE))

/* These two cannot fail: they return the old id, whatever happened. */
long sys_setfsuid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	long old = from_kuid(o->user_ns, o->fsuid);
	kuid_t uid = make_kuid(o->user_ns, a->a[0]);

	if (uid == KID_INVALID || uid == o->fsuid)
		return old;
	if (uid == o->uid || uid == o->euid || uid == o->suid || capable(t, CAP_SETUID)) {
		struct cred *n = cred_dup(o);
		n->fsuid = uid;
		/* Here alone it is the file system's user that counts. */
		kuid_t root = make_kuid(n->user_ns, 0);
		if (!(n->securebits & SECBIT_NO_SETUID_FIXUP)) {
			if (o->fsuid == root && uid != root)
				n->effective &= ~CAP_FS_SET;
			if (o->fsuid != root && uid == root)
				n->effective |= n->permitted & CAP_FS_SET;
		}
		task_set_cred(t, n);
	}
	return old;
}

long sys_setfsgid(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	long old = from_kgid(o->user_ns, o->fsgid);
	kgid_t gid = make_kgid(o->user_ns, a->a[0]);

	if (gid == KID_INVALID || gid == o->fsgid)
		return old;
	if (gid == o->gid || gid == o->egid || gid == o->sgid || capable(t, CAP_SETGID)) {
		struct cred *n = cred_dup(o);
		n->fsgid = gid;
		task_set_cred(t, n);
	}
	return old;
}

/* ---- supplementary groups ---- */

#define NGROUPS 65536

long sys_getgroups(struct task *t, const struct syscall_args *a)
{
	const struct cred *c = t->cred;
	int size = a->a[0];

	if (size < 0)
		return -EINVAL;
	if (!size)
		return c->ngroups;
	if ((unsigned)size < c->ngroups)
		return -EINVAL;
	for (unsigned i = 0; i < c->ngroups; i++) {
		uint32_t g = from_kgid(c->user_ns, c->groups[i]);
		if (put_user(g, a->a[1] + 4UL * i))
			return -EFAULT;
	}
	return c->ngroups;
}

static int gid_cmp(const void *x, const void *y)
{
	kgid_t a = *(const kgid_t *)x, b = *(const kgid_t *)y;
	return (a > b) - (a < b);
}

long sys_setgroups(struct task *t, const struct syscall_args *a)
{
	const struct cred *o = t->cred;
	unsigned n = a->a[0];

	if (!capable(t, CAP_SETGID) || !user_ns_may_setgroups(o->user_ns))
		return -EPERM;
	if (n > NGROUPS)
		return -EINVAL;
	kgid_t *g = kzalloc(n * sizeof(*g));
	if (!g)
		return -ENOMEM;
	if (n && copy_from_user(g, a->a[1], n * sizeof(*g))) {
		free(g);
		return -EFAULT;
	}
	for (unsigned i = 0; i < n; i++) {
		g[i] = make_kgid(o->user_ns, g[i]);
		if (g[i] == KID_INVALID) {
			free(g);
			return -EINVAL;
		}
	}
	qsort(g, n, sizeof(*g), gid_cmp);
	struct cred *c = cred_dup(o);
	free(c->groups);
	c->groups = g;
	c->ngroups = n;
	task_set_cred(t, c);
	return 0;
}

/* ---- capabilities ---- */

/* The header's version decides how many words follow. 0, or -EINVAL with the version we like written back. */
static int cap_header(uaddr_t hdr, unsigned *words)
{
	struct __user_cap_header_struct h;

	if (get_user(h.version, hdr))
		return -EFAULT;
	switch (h.version) {
	case _LINUX_CAPABILITY_VERSION_1:
		*words = 1;
		break;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		*words = 2;
		break;
	default:
		h.version = _LINUX_CAPABILITY_VERSION_3;
		return copy_to_user(hdr, &h.version, sizeof(h.version)) ? -EFAULT : -EINVAL;
	}
	return 0;
}

/* After the version: 0 or -EFAULT. */
static int cap_pid(uaddr_t hdr, int *pid) { return get_user(*pid, hdr + 4); }

long sys_capget(struct task *t, const struct syscall_args *a)
{
	struct __user_cap_data_struct d[2] = { 0 };
	cap_set_t e, p, i;
	unsigned words;
	int pid, ret = cap_header(a->a[0], &words);

	if (!a->a[1] && (!ret || ret == -EINVAL))
		return 0; /* a probe for the version */
	if (ret || (ret = cap_pid(a->a[0], &pid)))
		return ret;
	if (pid < 0)
		return -EINVAL;
	if (pid && pid != task_tid(t, task_pid_ns(t))) {
		struct task *o = pidns_task_with_id(task_pid_ns(t), pid);
		if (!o)
			return -ESRCH;
		{
			guard(mutex)(&o->lock);
			e = o->cred->effective;
			p = o->cred->permitted;
			i = o->cred->inheritable;
		}
		task_put(o);
	} else {
		e = t->cred->effective;
		p = t->cred->permitted;
		i = t->cred->inheritable;
	}
	for (unsigned w = 0; w < 2; w++) {
		d[w].effective = e >> (32 * w);
		d[w].permitted = p >> (32 * w);
		d[w].inheritable = i >> (32 * w);
	}
	return copy_to_user(a->a[1], d, words * sizeof(d[0]));
}

long sys_capset(struct task *t, const struct syscall_args *a)
{
	struct __user_cap_data_struct d[2] = { 0 };
	const struct cred *o = t->cred;
	unsigned words;
	int pid, ret = cap_header(a->a[0], &words);

	if (!ret)
		ret = cap_pid(a->a[0], &pid);

	if (ret)
		return ret;
	if (pid && pid != task_tid(t, task_pid_ns(t)))
		return -EPERM;
	if (copy_from_user(d, a->a[1], words * sizeof(d[0])))
		return -EFAULT;
	cap_set_t e = (d[0].effective | (uint64_t)d[1].effective << 32) & CAP_FULL_SET;
	cap_set_t p = (d[0].permitted | (uint64_t)d[1].permitted << 32) & CAP_FULL_SET;
	cap_set_t i = (d[0].inheritable | (uint64_t)d[1].inheritable << 32) & CAP_FULL_SET;
	/* inheritable: within the old one and the permitted set (or anything bounded, with CAP_SETPCAP) */
	if (!capable(t, CAP_SETPCAP) && (i & ~(o->inheritable | o->permitted)))
		return -EPERM;
	if (i & ~(o->inheritable | o->bounding))
		return -EPERM;
	if ((p & ~o->permitted) || (e & ~p))
		return -EPERM;
	struct cred *n = cred_dup(o);
	n->effective = e;
	n->permitted = p;
	n->inheritable = i;
	n->ambient &= p & i;
	task_set_cred(t, n);
	return 0;
}
