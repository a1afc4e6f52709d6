/* SPDX-License-Identifier: Apache-2.0 */
/* net.c: /proc/PID/net and /proc/sysvipc: directories whose files net/ and ipc/ bring. */
#include "fs/proc/proc_internal.h"
#include <dirent.h>

#define MAX_FILES 48
/* Filled at start, read-only afterwards. */
static struct pentry net_files[MAX_FILES + 1], sysvipc_files[8 + 1];
static int (*net_show[MAX_FILES])(struct task *, struct strbuf *);
static int (*sysvipc_show[8])(struct task *, struct strbuf *);

static int show_net(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);

	return t ? net_show[n->e->arg](t, b) : -ESRCH;
}

static int show_sysvipc(struct pnode *n, struct strbuf *b) { return sysvipc_show[n->e->arg](current, b); }

static void add(struct pentry *t, unsigned max, int (**shows)(struct task *, struct strbuf *), const char *name,
		int (*show)(struct task *, struct strbuf *), int (*text)(struct pnode *, struct strbuf *))
{
	unsigned i = 0;

	while (i < max && t[i].name && strcmp(t[i].name, name))
		i++;
	BUG_ON(i == max);
	shows[i] = show;
	memcpy(&t[i], &(struct pentry)P_FILE(name, 0444, text, .arg = i), sizeof(t[i]));
}

void proc_net_register(const char *name, int (*show)(struct task *t, struct strbuf *b))
{
	add(net_files, MAX_FILES, net_show, name, show, show_net);
}

void proc_sysvipc_register(const char *name, int (*show)(struct task *t, struct strbuf *b))
{
	add(sysvipc_files, 8, sysvipc_show, name, show, show_sysvipc);
}

static int table_lookup(const struct pentry *t, struct pnode *dir, const char *name, struct inode **out)
{
	for (; t->name; t++)
		if (!strcmp(t->name, name)) {
			*out = pseudo_inode(dir->inode->sb, dir, t, name, dir->pid, 0);
			return 0;
		}
	return -ENOENT;
}

static int table_iterate(const struct pentry *t, struct dir_context *c)
{
	for (int64_t i = 0; t[i].name; i++) {
		if (PSEUDO_DYN + i < c->pos)
			continue;
		if (!c->emit(c, t[i].name, strlen(t[i].name), 0x40000 + i, DT_REG, PSEUDO_DYN + i + 1))
			return 0;
		c->pos = PSEUDO_DYN + i + 1;
	}
	return 0;
}

/* A zombie has no network any more. */
static bool has_net(struct pnode *dir)
{
	struct task *t __free(task) = pnode_task(dir);
	if (!t)
		return false;
	guard(mutex)(&t->lock);
	return t->mnt_ns != NULL; /* all namespaces go at once */
}

int proc_net_lookup(struct pnode *dir, const char *name, struct inode **out)
{
	return has_net(dir) ? table_lookup(net_files, dir, name, out) : -ENOENT;
}

int proc_net_iterate(struct pnode *dir, struct dir_context *c) { return has_net(dir) ? table_iterate(net_files, c) : -EINVAL; }
int proc_sysvipc_lookup(struct pnode *dir, const char *name, struct inode **out) { return table_lookup(sysvipc_files, dir, name, out); }
int proc_sysvipc_iterate(struct pnode *dir, struct dir_context *c) { return table_iterate(sysvipc_files, c); }
