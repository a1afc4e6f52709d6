/* SPDX-License-Identifier: Apache-2.0 */
/* name.c: names of AF_UNIX sockets: paths, abstract names, automatic ones. */
#include "net/unix/unix.h"
#include <stdio.h>

/* The length of a valid address, normalised; a path gets a NUL. -EINVAL otherwise. */
int unix_check_name(const struct sockaddr_storage *a, socklen_t len, struct sockaddr_un *un)
{
	if (len <= (socklen_t)SUN_PATH_AT || len > sizeof(*un) || a->ss_family != AF_UNIX)
		return -EINVAL;
	memset(un, 0, sizeof(*un));
	memcpy(un, a, len);
	if (len > (socklen_t)SUN_PATH_AT && un->sun_path[0])
		len = SUN_PATH_AT + strnlen(un->sun_path, len - SUN_PATH_AT) + 1;
	return len;
}

static unsigned unix_hash(const struct sockaddr_un *un, int len)
{
	uint32_t h = 2166136261u;
	for (int i = SUN_PATH_AT; i < len; i++)
		h = (h ^ ((const uint8_t *)un)[i]) * 16777619u;
	return h % UNIX_HASH_SIZE;
}

/* Kinds of socket have name spaces of their own. */
static struct unix_sock *abstract_find_locked(struct net_namespace *net, const struct sockaddr_un *un, int len, int type)
{
	struct unix_sock *u;
	LIST_FOREACH(u, &net->unix_names[unix_hash(un, len)], abstract_link)
		if (u->name_len == len && u->type == type && !memcmp(&u->name, un, len))
			return u;
	return NULL;
}

static void abstract_add_locked(struct unix_sock *u, const struct sockaddr_un *un, int len)
{
	u->name = *un;
	u->name_len = len;
	u->abstract = true;
	LIST_INSERT_HEAD(&u->net->unix_names[unix_hash(un, len)], u, abstract_link);
}

int unix_find(struct net_namespace *net, const struct sockaddr_un *un, int len, int type, struct unix_sock **out)
{
	struct unix_sock *u = NULL;
	if (len <= SUN_PATH_AT)
		return -ECONNREFUSED; /* unnamed */
	if (!un->sun_path[0]) {
		guard(mutex)(&net->unix_lock);
		u = abstract_find_locked(net, un, len, type);
		if (!u || !refcount_try_get(&u->ref))
			return -ECONNREFUSED;
	} else {
		char name[sizeof(un->sun_path) + 1] = { 0 };
		struct path p;
		memcpy(name, un->sun_path, sizeof(un->sun_path));
		int r = path_lookup(AT_FDCWD_, name, LOOKUP_FOLLOW, &p);
		if (r)
			return r;
		struct inode *i = unix_path_inode(&p);
		r = inode_permission(i, MAY_WRITE);
		if (!r) {
			guard(mutex)(&net->unix_lock);
			u = S_ISSOCK(i->mode) ? atomic_load(&i->unix_sock) : NULL;
			if (!u || u->net != net || !refcount_try_get(&u->ref))
				r = -ECONNREFUSED;
		}
		path_put(&p);
		if (r)
			return r;
	}
	if (u->type != type) {
		unix_sock_put(u);
		return -EPROTOTYPE;
	}
	*out = u;
	return 0;
}

int unix_autobind(struct unix_sock *u)
{
	guard(mutex)(&u->net->unix_lock);
	if (u->name_len || u->binding)
		return 0;
	for (int tries = 0; tries < 0x100000; tries++) {
		struct sockaddr_un un = { .sun_family = AF_UNIX };
		char num[8];
		snprintf(num, sizeof(num), "%05x", u->net->unix_next++ & 0xfffff);
		memcpy(un.sun_path + 1, num, 5);
		if (abstract_find_locked(u->net, &un, SUN_PATH_AT + 6, u->type))
			continue;
		abstract_add_locked(u, &un, SUN_PATH_AT + 6);
		return 0;
	}
	return -ENOSPC;
}

static int bind_path(struct unix_sock *u, const struct sockaddr_un *un, int len)
{
	char name[sizeof(un->sun_path) + 1] = { 0 };
	struct path p;
	mutex_lock(&u->net->unix_lock);
	bool taken = u->name_len || u->binding;
	if (!taken)
		u->binding = true;
	mutex_unlock(&u->net->unix_lock);
	if (taken)
		return -EINVAL;
	memcpy(name, un->sun_path, sizeof(un->sun_path));
	int r = vfs_mknod(AT_FDCWD_, name, S_IFSOCK | apply_umask(0777), 0, &p);
	guard(mutex)(&u->net->unix_lock);
	u->binding = false;
	if (r)
		return r == -EEXIST ? -EADDRINUSE : r;
	u->name = *un;
	u->name_len = len;
	u->bound = p;
	atomic_store(&unix_path_inode(&p)->unix_sock, u);
	return 0;
}

int unix_bind(struct socket *s, const struct sockaddr_storage *a, socklen_t alen)
{
	struct unix_sock *u = s->private;
	struct sockaddr_un un;
	if (alen == (socklen_t)SUN_PATH_AT && a->ss_family == AF_UNIX)
		return unix_autobind(u);
	int len = unix_check_name(a, alen, &un);
	if (len < 0)
		return len;
	if (un.sun_path[0])
		return bind_path(u, &un, len);
	guard(mutex)(&u->net->unix_lock);
	if (u->name_len || u->binding)
		return -EINVAL;
	if (abstract_find_locked(u->net, &un, len, u->type))
		return -EADDRINUSE;
	abstract_add_locked(u, &un, len);
	return 0;
}

void unix_unname(struct unix_sock *u)
{
	struct path bound = { NULL, NULL };
	mutex_lock(&u->net->unix_lock);
	if (u->abstract) {
		LIST_REMOVE(u, abstract_link);
		u->abstract = false;
	}
	if (u->bound.dentry) {
		bound = u->bound;
		u->bound = (struct path){ NULL, NULL };
		if (atomic_load(&unix_path_inode(&bound)->unix_sock) == u)
			atomic_store(&unix_path_inode(&bound)->unix_sock, NULL);
	}
	mutex_unlock(&u->net->unix_lock);
	if (bound.dentry)
		path_put(&bound);
}

int unix_copy_name(struct unix_sock *u, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	out->ss_family = AF_UNIX;
	if (!READ_ONCE(u->name_len))
		return SUN_PATH_AT;
	guard(mutex)(&u->net->unix_lock);
	memcpy(out, &u->name, sizeof(u->name));
	return u->name_len;
}

int unix_getname(struct socket *s, struct sockaddr_storage *a, bool peer)
{
	struct unix_sock *u = s->private;
	if (!peer)
		return unix_copy_name(u, a);
	struct unix_sock *p = unix_peer_get(u);
	if (!p)
		return -ENOTCONN;
	int len = unix_copy_name(p, a);
	unix_sock_put(p);
	return len;
}
