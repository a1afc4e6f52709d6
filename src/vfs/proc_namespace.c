/* SPDX-License-Identifier: Apache-2.0 */
/* proc_namespace.c: the text of /proc/PID/mounts, mountinfo and mountstats. */
#include "vfs/internal.h"
#include <sys/mount.h>

static void show_escaped(struct strbuf *b, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (strchr(" \t\n\\#", s[i]) && s[i])
			strbuf_printf(b, "\\%03o", (unsigned char)s[i]);
		else
			strbuf_write(b, &s[i], 1);
	}
}

static void show_flags(struct strbuf *b, unsigned f)
{
	strbuf_printf(b, "%s%s%s%s%s%s%s", f & MS_RDONLY ? "ro" : "rw", f & MS_NOSUID ? ",nosuid" : "", f & MS_NODEV ? ",nodev" : "",
		      f & MS_NOEXEC ? ",noexec" : "", f & MS_NOATIME ? ",noatime" : "", f & MS_NODIRATIME ? ",nodiratime" : "",
		      f & MS_RELATIME && !(f & MS_NOATIME) ? ",relatime" : "");
}

static void show_propagation(struct strbuf *b, struct mount *m)
{
	mutex_lock(&mount_lock);
	unsigned group = m->group, master = m->master ? m->master->group : 0;
	bool unbindable = m->unbindable;
	mutex_unlock(&mount_lock);
	if (group)
		strbuf_printf(b, " shared:%u", group);
	if (master)
		strbuf_printf(b, " master:%u", master);
	if (unbindable)
		strbuf_printf(b, " unbindable");
}

static char *dentry_string(struct dentry *d, struct dentry *stop, char *buf, size_t size)
{
	char *p = buf + size - 1;

	*p = 0;
	guard(mutex)(&d->sb->dcache->lock);
	for (; d != stop && d->parent != d; d = d->parent) {
		if ((size_t)(p - buf) < d->len + 1)
			break;
		p -= d->len;
		memcpy(p, d->name, d->len);
		*--p = '/';
	}
	if (!*p)
		*--p = '/';
	return p;
}

void mount_ns_show(struct mount_namespace *ns, const struct path *root, struct strbuf *b, int kind)
{
	unsigned n = 0, i = 0;
	struct mount *m, **v;

	mutex_lock(&mount_lock);
	v = xcalloc(ns->nmounts + 1, sizeof(*v));
	TAILQ_FOREACH(m, &ns->mounts, ns_link) {
		mnt_get(m);
		v[n++] = m;
	}
	mutex_unlock(&mount_lock);
	char *buf = xzalloc(PATH_MAX), *buf2 = xzalloc(PATH_MAX);
	for (i = 0; i < n; i++) {
		struct path_string_info info = { 0 };
		struct path p = { v[i], v[i]->root };
		m = v[i];
		char *s = path_string(&p, root, buf, PATH_MAX, &info);
		if (s && info.reached_root) {
			const char *src = m->sb->source ? m->sb->source : "none";
			uint64_t parent = 0;
			mutex_lock(&mount_lock);
			parent = m->parent ? m->parent->id : m->id;
			mutex_unlock(&mount_lock);
			char opts[512] = "";
			if (m->sb->ops && m->sb->ops->show_options)
				m->sb->ops->show_options(m->sb, opts, sizeof(opts));
			const char *o = opts[0] == ',' ? opts + 1 : opts;
			if (kind == 1) {
				strbuf_printf(b, "%lu %lu %lu:%lu ", (unsigned long)m->id, (unsigned long)parent, (unsigned long)(m->sb->dev >> 8 & 0xfff),
					      (unsigned long)((m->sb->dev & 0xff) | (m->sb->dev >> 12 & ~0xfful)));
				char *r = dentry_string(m->root, NULL, buf2, PATH_MAX);
				show_escaped(b, r, strlen(r));
				strbuf_printf(b, " ");
				show_escaped(b, s, strlen(s));
				strbuf_printf(b, " ");
				show_flags(b, m->flags);
				show_propagation(b, m);
				strbuf_printf(b, " - %s ", m->sb->type);
				show_escaped(b, src, strlen(src));
				strbuf_printf(b, " %s%s%s\n", m->sb->flags & MS_RDONLY ? "ro" : "rw", *o ? "," : "", o);
			} else if (kind == 2) {
				strbuf_printf(b, "device ");
				show_escaped(b, src, strlen(src));
				strbuf_printf(b, " mounted on ");
				show_escaped(b, s, strlen(s));
				strbuf_printf(b, " with fstype %s\n", m->sb->type);
			} else {
				show_escaped(b, src, strlen(src));
				strbuf_printf(b, " ");
				show_escaped(b, s, strlen(s));
				strbuf_printf(b, " %s ", m->sb->type);
				show_flags(b, m->flags | (m->sb->flags & MS_RDONLY));
				strbuf_printf(b, "%s%s 0 0\n", *o ? "," : "", o);
			}
		}
		mnt_put(m);
	}
	free(v);
	free(buf);
	free(buf2);
}
