/* SPDX-License-Identifier: Apache-2.0 */
/* root.c: the super block of proc, its root directory with the process directories, and /proc/PID's tables. */
#include "fs/proc/proc_internal.h"
#include "kernel/user_ns.h"
#include "fs/proc/sysctl_ipc.h"
#include "kernel/pidfd.h"
#include "kernel/time_ns.h"
#include <dirent.h>
#include <stdio.h>

#define PROC_MAGIC 0x9fa0

/* ---- tasks behind nodes ---- */

struct task *pnode_task(struct pnode *n)
{
	struct kernel *k = pnode_kernel(n);
	struct task *t;

	if (!n->pid) {
		task_get(current);
		return current;
	}
	mutex_lock(&k->tasks.lock);
	t = n->pid->task;
	if (t)
		task_get(t);
	mutex_unlock(&k->tasks.lock);
	return t;
}

struct mm *task_mm_get(struct task *t)
{
	guard(mutex)(&t->lock);
	if (t->mm)
		mm_get(t->mm);
	return t->mm;
}

struct fd_table *task_fdt_get(struct task *t)
{
	guard(mutex)(&t->lock);
	if (t->fdt)
		fd_table_get(t->fdt);
	return t->fdt;
}

struct cred *task_cred_get(struct task *t)
{
	guard(mutex)(&t->lock);
	return cred_get(t->cred);
}

int proc_may_access(struct task *t)
{
	struct cred *c = current->cred;
	struct cred *tc __free(cred) = NULL;
	struct mm *mm __free(mm) = NULL;
	bool cap;

	if (t->tg == current->tg)
		return 0;
	tc = task_cred_get(t);
	cap = ns_capable(c, tc->user_ns, 19 /* CAP_SYS_PTRACE */);
	if (cap)
		return 0;
	if (c->fsuid != tc->euid || c->fsuid != tc->suid || c->fsuid != tc->uid || c->fsgid != tc->egid || c->fsgid != tc->sgid ||
	    c->fsgid != tc->gid)
		return -EACCES;
	if (c->user_ns != tc->user_ns || (tc->permitted & ~c->effective))
		return -EACCES;
	mm = task_mm_get(t);
	return mm && !mm_layout(mm)->dumpable ? -EACCES : 0;
}

/* ---- /proc/PID ---- */

/* Owner: the task's effective ids; root if its memory is not to be dumped. */
static int pid_fill(struct pnode *n)
{
	struct task *t __free(task) = pnode_task(n);
	struct cred *c __free(cred) = NULL;
	struct mm *mm __free(mm) = NULL;

	if (!t)
		return 0;
	c = task_cred_get(t);
	mm = task_mm_get(t);
	if ((n->inode->mode & (S_IFMT | 0777)) == (S_IFDIR | 0555) || !mm || mm_layout(mm)->dumpable) {
		n->inode->uid = c->euid;
		n->inode->gid = c->egid;
	}
	return 0;
}

/* May the running task see, or enter, the folder of t, as hidepid says? level: from which on that is asked. */
static bool hidepid_allows(struct super_block *sb, struct task *t, uint32_t level)
{
	struct proc_super *s = proc_super(sb);
	uint32_t hide = s->hidepid;

	if (likely(hide < level))
		return true;
	if (hide != HIDEPID_NOT_PTRACEABLE && cred_in_group(current->cred, s->gid))
		return true;
	return proc_may_access(t) == 0;
}

static int pid_dir_may(struct pnode *n, int mask)
{
	if (likely(proc_super(n->inode->sb)->hidepid == HIDEPID_OFF))
		return 0;
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	return hidepid_allows(n->inode->sb, t, HIDEPID_NO_ACCESS) ? 0 : proc_super(n->inode->sb)->hidepid == HIDEPID_INVISIBLE ? -ENOENT : -EPERM;
}

static int access_may(struct pnode *n, int mask)
{
	struct task *t __free(task) = pnode_task(n);

	return t ? proc_may_access(t) : -ESRCH;
}

static int show_comm(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	char comm[16];

	if (!t)
		return -ESRCH;
	mutex_lock(&t->lock);
	memcpy(comm, t->comm, sizeof(comm));
	mutex_unlock(&t->lock);
	strbuf_printf(b, "%.15s\n", comm);
	return 0;
}

static ssize_t write_comm(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	size_t l = MIN(len, 15u);

	if (!t)
		return -ESRCH;
	if (t->tg != current->tg)
		return -EINVAL;
	if (l && s[l - 1] == '\n' && l == len)
		l--;
	mutex_lock(&t->lock);
	memset(t->comm, 0, sizeof(t->comm));
	memcpy(t->comm, s, l);
	mutex_unlock(&t->lock);
	return len;
}

/* ---- mounts: of the namespace, and below the root, that the process had at open ---- */

struct mounts_state { struct mount_namespace *ns; struct path root; unsigned event; };

static int mounts_hold(struct pnode *n, void **state)
{
	struct task *t __free(task) = pnode_task(n);
	struct mounts_state *s;
	struct wait_queue *wq;

	if (!t)
		return -ESRCH;
	guard(mutex)(&t->lock);
	if (!t->mnt_ns || !t->fs)
		return -EINVAL;
	*state = s = new(struct mounts_state);
	s->ns = t->mnt_ns;
	mount_ns_get(s->ns);
	mutex_lock(&t->fs->lock);
	s->root = t->fs->root;
	path_get(&s->root);
	mutex_unlock(&t->fs->lock);
	s->event = mount_ns_event(s->ns, &wq);
	return 0;
}

static unsigned mounts_poll(void *state, struct file *f, struct poll_table *pt)
{
	struct mounts_state *s = state;
	struct wait_queue *wq;
	unsigned e;

	mount_ns_event(s->ns, &wq);
	poll_wait(f, wq, pt);
	e = mount_ns_event(s->ns, &wq);
	if (e == s->event)
		return EPOLLIN | EPOLLRDNORM;
	s->event = e;
	return EPOLLIN | EPOLLRDNORM | EPOLLERR | EPOLLPRI;
}

static void mounts_drop(void *state)
{
	struct mounts_state *s = state;

	path_put(&s->root);
	mount_ns_put(s->ns);
	free(s);
}

static int mounts_show(struct pnode *n, void *state, struct strbuf *b)
{
	struct mounts_state *s = state;

	mount_ns_show(s->ns, &s->root, b, (int)n->e->arg);
	return 0;
}
#define MOUNTS(nm, m, kind) \
	P_FILE(nm, m, NULL, F, .hold = mounts_hold, .show_held = mounts_show, .poll = mounts_poll, .drop = mounts_drop, .arg = kind)

static int show_io(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	struct task_usage u;

	if (!t)
		return -ESRCH;
	if (n->e->arg) {
		task_usage(t, &u);
	} else { /* with the children that were waited for */
		group_usage(t->tg, &u);
		guard(mutex)(&t->kernel->tasks.lock);
		usage_add(&u, &t->tg->children);
	}
	/* What storage does the host knows. */
	strbuf_printf(b, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
		      (unsigned long long)u.io.rchar, (unsigned long long)u.io.wchar, (unsigned long long)u.io.syscr, (unsigned long long)u.io.syscw);
	return 0;
}

static int show_oom_adj(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	int v;

	if (!t)
		return -ESRCH;
	v = t->tg->oom_score_adj;
	if (!n->e->arg) /* the old scale: -17..15 */
		v = v == 1000 ? 15 : v * 17 / 1000;
	strbuf_printf(b, "%d\n", v);
	return 0;
}

static ssize_t write_oom_adj(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	long v;
	char *end;

	if (!t)
		return -ESRCH;
	while (*s == ' ' || *s == '\n')
		s++;
	v = strtol(s, &end, 10);
	while (*end == ' ' || *end == '\n')
		end++;
	if (end == s || *end)
		return -EINVAL;
	if (n->e->arg ? v < -1000 || v > 1000 : v < -17 || v > 15)
		return -EINVAL;
	if (!n->e->arg)
		v = v == 15 ? 1000 : v * 1000 / 17;
	if (v < t->tg->oom_score_adj && !cred_has_cap(current->cred, 24 /* CAP_SYS_RESOURCE */))
		return -EACCES;
	t->tg->oom_score_adj = v;
	return len;
}

static int show_personality(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	strbuf_printf(b, "%08x\n", t->personality);
	return 0;
}

static int show_syscall(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	if (t == current || t->syscall_nr < 0 || !t->blocked_notice)
		strbuf_printf(b, "running\n");
	else
		strbuf_printf(b, "%lld 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x%llx 0x0 0x0\n", (long long)t->syscall_nr,
			      (unsigned long long)t->args.a[0], (unsigned long long)t->args.a[1], (unsigned long long)t->args.a[2],
			      (unsigned long long)t->args.a[3], (unsigned long long)t->args.a[4], (unsigned long long)t->args.a[5]);
	return 0;
}

/* ---- user namespaces: the one that the process had at open ---- */

static int user_ns_hold(struct pnode *n, void **state)
{
	struct task *t __free(task) = pnode_task(n);
	struct cred *c __free(cred) = t ? task_cred_get(t) : NULL;

	if (!t)
		return -ESRCH;
	user_ns_get(c->user_ns);
	*state = c->user_ns;
	return 0;
}

static void user_ns_drop(void *state) { user_ns_put(state); }

static int show_id_map(struct pnode *n, void *state, struct strbuf *b)
{
	struct user_namespace *ns = state, *lower = current->cred->user_ns;
	__free(mem) void *mem = NULL;
	struct id_map_extent *e;
	unsigned cnt;

	if (lower == ns && ns->parent)
		lower = ns->parent;
	e = mem = xcalloc(ARRAY_SIZE(ns->uid_map), sizeof(*e));
	mutex_lock(&ns->lock);
	cnt = n->e->arg ? ns->ngid : ns->nuid;
	memcpy(e, n->e->arg ? ns->gid_map : ns->uid_map, cnt * sizeof(*e));
	mutex_unlock(&ns->lock);
	for (unsigned i = 0; i < cnt; i++) /* as the reader knows those ids */
		strbuf_printf(b, "%10u %10u %10u\n", e[i].first,
			      n->e->arg ? from_kgid(lower, e[i].lower_first) : from_kuid(lower, e[i].lower_first), e[i].count);
	return 0;
}

/* Nothing here has a project id: the first namespace maps all, the others none, and none can be set. */
static int show_projid_map(struct pnode *n, void *state, struct strbuf *b)
{
	if (!((struct user_namespace *)state)->parent)
		strbuf_printf(b, "%10u %10u %10u\n", 0, 0, UINT32_MAX);
	return 0;
}

static ssize_t write_projid_map(struct pnode *n, char *s, size_t len) { return -EPERM; }

static ssize_t write_id_map(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	struct cred *c __free(cred) = t ? task_cred_get(t) : NULL;
	int r;

	if (!t)
		return -ESRCH;
	if (len >= GUEST_PAGE_SIZE)
		return -EINVAL;
	r = user_ns_write_map(current, c->user_ns, n->e->arg, s);
	return r ? r : (ssize_t)len;
}

static ssize_t write_setgroups(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	struct cred *c __free(cred) = t ? task_cred_get(t) : NULL;
	int r;

	if (!t)
		return -ESRCH;
	if (len > 7)
		return -EINVAL;
	r = user_ns_write_setgroups(current, c->user_ns, s);
	return r ? r : (ssize_t)len;
}

static int show_setgroups(struct pnode *n, void *state, struct strbuf *b)
{
	strbuf_printf(b, ((struct user_namespace *)state)->setgroups_denied ? "deny\n" : "allow\n");
	return 0;
}
#define USER_NS(nm, show, w, ...) \
	P_FILE(nm, 0644, NULL, F, .hold = user_ns_hold, .drop = user_ns_drop, .show_held = show, .write = w, ##__VA_ARGS__)

static int show_children(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n), *c;

	if (!t)
		return 0;
	mutex_lock(&t->kernel->tasks.lock);
	TAILQ_FOREACH(c, &t->children, sibling)
		if (c->tg && c->tg->leader == c && c->pid)
			strbuf_printf(b, "%d ", pid_nr(c->pid, pnode_ns(n)));
	mutex_unlock(&t->kernel->tasks.lock);
	return 0;
}

static int show_timens(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);

	return t ? time_ns_show_offsets(t, b) : -ESRCH;
}

static ssize_t write_timens(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	int r = t ? time_ns_write_offsets(current, t, s) : -ESRCH;

	return r ? r : (ssize_t)len;
}

/* There is no security module. */
static int show_einval(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	return t ? -EINVAL : -ESRCH;
}

static ssize_t write_einval(struct pnode *n, char *s, size_t len)
{
	struct task *t __free(task) = pnode_task(n);
	return !t ? -ESRCH : t != current ? -EACCES : -EINVAL;
}

/* ---- tasks of a process ---- */

static bool parse_nr(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s || (*s == '0' && s[1]))
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		v = v * 10 + (*s - '0');
		if (v > max)
			return false;
	}
	*out = v;
	return true;
}

static int task_lookup(struct pnode *dir, const char *name, struct inode **out)
{
	struct kernel *k = pnode_kernel(dir);
	struct pid *p;
	uint64_t nr;
	bool ok;

	if (!parse_nr(name, INT32_MAX, &nr) || !(p = pidns_find(k, pnode_ns(dir), nr)))
		return -ENOENT;
	mutex_lock(&k->tasks.lock);
	ok = p->task && dir->pid->task && p->task->tg == dir->pid->task->tg;
	mutex_unlock(&k->tasks.lock);
	if (ok) {
		*out = pseudo_inode(dir->inode->sb, dir, &proc_tid_entry, name, p, 0);
		pnode_of(*out)->thread = true;
	}
	pid_put(p);
	return ok ? 0 : -ENOENT;
}

static int task_iterate(struct pnode *dir, struct dir_context *c)
{
	struct task *t __free(task) = pnode_task(dir);
	char name[16];
	int tid;

	if (!t)
		return -ENOENT;
	while ((tid = task_next_tid(t->tg, pnode_ns(dir), c->pos - PSEUDO_DYN)) > 0) {
		int n = snprintf(name, sizeof(name), "%d", tid);

		if (!c->emit(c, name, n, tid + 0x10000ULL, DT_DIR, PSEUDO_DYN + tid + 1))
			return 0;
		c->pos = PSEUDO_DYN + tid + 1;
	}
	return 0;
}

/* ---- tables ---- */

#define F .fill = pid_fill
#define ACC .may = access_may
#define P_MM(nm, m, s) P_FILE(nm, m, NULL, F, ACC, .hold = proc_mm_hold, .show_held = s, .drop = proc_mm_drop)

#define COMMON_ENTRIES \
	P_DIR("fd", 0500, .fill = proc_fd_dir_fill, .lookup = proc_fd_lookup, .iterate = proc_fd_iterate, .may = proc_fd_may), \
	P_DIR("fdinfo", 0555, F, .lookup = proc_fdinfo_lookup, .iterate = proc_fd_iterate, .may = proc_fd_may), \
	P_DIR("ns", 0511, F, .dir = proc_ns_table), \
	P_DIR("net", 0555, F, .lookup = proc_net_lookup, .iterate = proc_net_iterate), \
	P_DIR("attr", 0555, F, .dir = attr_table), \
	P_MM("environ", 0400, proc_show_environ), \
	P_MM("auxv", 0400, proc_show_auxv), \
	P_FILE("status", 0444, proc_show_status, F), \
	P_FILE("personality", 0400, show_personality, F, ACC), \
	P_FILE("limits", 0444, proc_show_limits, F), \
	P_FILE("comm", 0644, show_comm, F, .write = write_comm), \
	P_FILE("syscall", 0400, show_syscall, F, ACC), \
	P_FILE("cmdline", 0444, proc_show_cmdline, F), \
	P_FILE("statm", 0444, proc_show_statm, F), \
	P_FILE("maps", 0444, proc_show_maps, F, ACC), \
	P_FILE("mem", 0600, NULL, F, .open = proc_open_mem), \
	P_FILE("pagemap", 0400, NULL, F, .open = proc_open_pagemap), \
	{ .name = "cwd", .mode = S_IFLNK | 0777, F, .get_link = proc_cwd_link, .readlink = proc_path_readlink }, \
	{ .name = "root", .mode = S_IFLNK | 0777, F, .get_link = proc_root_link, .readlink = proc_path_readlink }, \
	{ .name = "exe", .mode = S_IFLNK | 0777, F, .get_link = proc_exe_link, .readlink = proc_path_readlink }, \
	MOUNTS("mounts", 0444, 0), \
	MOUNTS("mountinfo", 0444, 1), \
	P_FILE("smaps", 0444, proc_show_smaps, F, ACC), \
	P_MM("smaps_rollup", 0444, proc_show_smaps_rollup), \
	P_FILE("wchan", 0444, proc_show_wchan, F), \
	{ .name = "cgroup", .mode = S_IFREG | 0444, F, .text = "0::/\n" }, \
	P_FILE("oom_score", 0444, proc_show_oom_score, F), \
	P_TEXT("cpuset", 0444, "/\n"), \
	P_FILE("oom_adj", 0644, show_oom_adj, F, .write = write_oom_adj), \
	P_FILE("oom_score_adj", 0644, show_oom_adj, F, .write = write_oom_adj, .arg = 1), \
	P_FILE("loginuid", 0644, proc_show_loginuid, F, .write = proc_write_loginuid), \
	P_FILE("sessionid", 0444, proc_show_loginuid, F, .arg = 1), \
	USER_NS("uid_map", show_id_map, write_id_map), \
	USER_NS("gid_map", show_id_map, write_id_map, .arg = 1), \
	USER_NS("projid_map", show_projid_map, write_projid_map), \
	USER_NS("setgroups", show_setgroups, write_setgroups), \
	P_DIR("map_files", 0500, F, .lookup = proc_map_files_lookup, .iterate = proc_map_files_iterate, .may = access_may), \
	P_FILE("numa_maps", 0444, proc_show_numa_maps, F, ACC), \
	P_FILE("clear_refs", 0200, NULL, F, .write = proc_write_clear_refs), \
	P_FILE("sched", 0644, proc_show_sched, F, .write = proc_write_sched), \
	P_FILE("schedstat", 0444, proc_show_schedstat, F), \
	P_FILE("stack", 0400, proc_show_stack, F, ACC), \
	P_FILE("ksm_merging_pages", 0400, proc_show_ksm, F, ACC), \
	P_FILE("ksm_stat", 0400, proc_show_ksm, F, ACC, .arg = 1), \
	P_TEXT("arch_status", 0444, "AVX512_elapsed_ms:\t-1\n")

static const struct pentry attr_table[] = {
	P_FILE("current", 0666, show_einval, F, .write = write_einval),
	P_FILE("prev", 0444, show_einval, F),
	P_FILE("exec", 0666, show_einval, F, .write = write_einval),
	P_FILE("fscreate", 0666, show_einval, F, .write = write_einval),
	P_FILE("keycreate", 0666, show_einval, F, .write = write_einval),
	P_FILE("sockcreate", 0666, show_einval, F, .write = write_einval),
	{ 0 },
};

const struct pentry proc_tgid_table[] = {
	P_DIR("task", 0555, F, .lookup = task_lookup, .iterate = task_iterate),
	COMMON_ENTRIES,
	P_FILE("stat", 0444, proc_show_stat, F),
	P_FILE("io", 0400, show_io, F, ACC),
	MOUNTS("mountstats", 0400, 2),
	P_FILE("coredump_filter", 0644, proc_show_coredump_filter, F, .write = proc_write_coredump_filter),
	P_FILE("autogroup", 0644, proc_show_autogroup, F, .write = proc_write_autogroup),
	P_FILE("timers", 0444, proc_show_timers, F),
	P_FILE("timens_offsets", 0644, show_timens, F, .write = write_timens),
	P_FILE("timerslack_ns", 0666, proc_show_timerslack, F, .write = proc_write_timerslack),
	{ 0 },
};
const struct pentry proc_tid_table[] = {
	COMMON_ENTRIES,
	P_FILE("stat", 0444, proc_show_tid_stat, F),
	P_FILE("io", 0400, show_io, F, ACC, .arg = 1),
	P_FILE("children", 0444, show_children, F),
	{ 0 },
};
const struct pentry proc_tgid_entry = { .name = "", .mode = S_IFDIR | 0555, .dir = proc_tgid_table, F, .may = pid_dir_may };
const struct pentry proc_tid_entry = { .name = "", .mode = S_IFDIR | 0555, .dir = proc_tid_table, F };

/* ---- the root ---- */

static ssize_t self_readlink(struct pnode *n, char *buf, size_t size)
{
	struct pid_namespace *ns = pnode_ns(n);
	int tgid = task_tgid(current, ns), tid = task_tid(current, ns), len;
	char s[64];

	if (!tgid || !tid)
		return -ENOENT;
	if (n->e->arg == 1)
		len = snprintf(s, sizeof(s), "%d/task/%d", tgid, tid);
	else
		len = snprintf(s, sizeof(s), "%d", tgid);
	len = MIN((size_t)len, size);
	memcpy(buf, s, len);
	return len;
}

static int root_lookup(struct pnode *dir, const char *name, struct inode **out)
{
	struct kernel *k = pnode_kernel(dir);
	struct pid *p;
	uint64_t nr;
	bool ok;

	if (!parse_nr(name, INT32_MAX, &nr) || !(p = pidns_find(k, pnode_ns(dir), nr)))
		return -ENOENT;
	mutex_lock(&k->tasks.lock);
	struct task *t __free(task) = p->task; /* threads too, though readdir does not show them, as on Linux */
	if (t)
		task_get(t);
	mutex_unlock(&k->tasks.lock);
	ok = t && hidepid_allows(dir->inode->sb, t, HIDEPID_INVISIBLE);
	if (ok)
		*out = pseudo_inode(dir->inode->sb, dir, &proc_tgid_entry, name, p, 0);
	pid_put(p);
	return ok ? 0 : -ENOENT;
}

static int root_iterate(struct pnode *dir, struct dir_context *c)
{
	char name[16];
	int tgid;

	while ((tgid = pidns_next_tgid(pnode_ns(dir), c->pos - PSEUDO_DYN)) > 0) {
		int n = snprintf(name, sizeof(name), "%d", tgid);

		if (proc_super(dir->inode->sb)->hidepid >= HIDEPID_INVISIBLE) {
			struct task *t __free(task) = pidns_task_with_id(pnode_ns(dir), tgid);
			if (!t || !hidepid_allows(dir->inode->sb, t, HIDEPID_INVISIBLE)) {
				c->pos = PSEUDO_DYN + tgid + 1;
				continue;
			}
		}
		if (!c->emit(c, name, n, tgid + 0x10000ULL, DT_DIR, PSEUDO_DYN + tgid + 1))
			return 0;
		c->pos = PSEUDO_DYN + tgid + 1;
	}
	return 0;
}

static int show_cmdline(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "bailey\n");
	return 0;
}

#define P_SELF { .name = "self", .mode = S_IFLNK | 0777, .readlink = self_readlink }, \
	{ .name = "thread-self", .mode = S_IFLNK | 0777, .readlink = self_readlink, .arg = 1 }

const struct pentry proc_root_table[] = {
	P_SELF,
	P_FILE("buddyinfo", 0444, proc_show_buddyinfo),
	P_TEXT("cgroups", 0444, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"),
	P_FILE("cmdline", 0444, show_cmdline),
	P_FILE("config.gz", 0444, proc_show_config, .fill = proc_config_fill),
	P_TEXT("consoles", 0444, ""),
	P_FILE("cpuinfo", 0444, proc_show_cpuinfo),
	P_TEXT("devices", 0444, "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n128 ptm\n136 pts\n\nBlock devices:\n"),
	P_TEXT("diskstats", 0444, ""),
	P_TEXT("execdomains", 0444, "0-0\tLinux           \t[kernel]\n"),
	P_FILE("filesystems", 0444, proc_show_filesystems),
	P_DIR("fs", 0555, .dir = NULL),
	P_FILE("interrupts", 0444, proc_show_interrupts),
	P_FILE("loadavg", 0444, proc_show_loadavg),
	P_TEXT("kallsyms", 0444, ""),
	P_FILE("locks", 0444, proc_show_locks),
	P_FILE("meminfo", 0444, proc_show_meminfo),
	P_TEXT("misc", 0444, ""),
	P_TEXT("modules", 0444, ""),
	P_LINK("mounts", "self/mounts"),
	P_LINK("net", "self/net"),
	P_TEXT("partitions", 0444, "major minor  #blocks  name\n\n"),
	P_FILE("softirqs", 0444, proc_show_softirqs),
	P_FILE("stat", 0444, proc_show_kstat),
	P_TEXT("swaps", 0444, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
	P_DIR("sys", 0555, .dir = proc_sys_table),
	P_DIR("sysvipc", 0555, .lookup = proc_sysvipc_lookup, .iterate = proc_sysvipc_iterate),
	P_DIR("tty", 0555, .dir = proc_tty_table),
	P_FILE("uptime", 0444, proc_show_uptime),
	P_FILE("version", 0444, proc_show_version),
	P_FILE("vmstat", 0444, proc_show_vmstat),
	P_FILE("zoneinfo", 0444, proc_show_zoneinfo),
	{ 0 },
};

/* ---- mounting ---- */

static int parse_options(struct proc_super *s, const char *data, bool mounting)
{
	static const struct { const char *name; uint32_t v; } hide[] = {
		{ "0", 0 }, { "1", 1 }, { "2", 2 }, { "4", 4 }, { "off", 0 }, { "noaccess", 1 }, { "invisible", 2 }, { "ptraceable", 4 },
	};
	__free(mem) void *copy = xstrdup(data ? data : "");
	char *save = NULL;

	for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
		uint64_t v;
		if (!strncmp(o, "hidepid=", 8)) {
			unsigned i = 0;
			while (i < ARRAY_SIZE(hide) && strcmp(o + 8, hide[i].name))
				i++;
			if (i == ARRAY_SIZE(hide))
				return -EINVAL;
			s->hidepid = hide[i].v;
		} else if (!strncmp(o, "gid=", 4)) {
			if (!parse_nr(o + 4, UINT32_MAX - 1, &v))
				return -EINVAL;
			kgid_t g = make_kgid(fiber_context()->cred->user_ns, (uint32_t)v);
			if (g == KID_INVALID)
				return -EINVAL;
			s->gid = g;
		} else if (!strcmp(o, "subset=pid") && (mounting || s->subset_pid)) {
			s->subset_pid = true;
		} else {
			return -EINVAL;
		}
	}
	return 0;
}

static int proc_show_options(struct super_block *sb, char *buf, size_t size)
{
	static const char *const names[] = { NULL, "noaccess", "invisible", NULL, "ptraceable" };
	struct proc_super *s = proc_super(sb);
	size_t n = 0;

	buf[0] = 0;
	if (s->gid)
		n += snprintf(buf, size, ",gid=%u", from_kgid(current->cred->user_ns, s->gid));
	if (s->hidepid)
		n += snprintf(buf + n, size - n, ",hidepid=%s", names[s->hidepid]);
	if (s->subset_pid)
		snprintf(buf + n, size - n, ",subset=pid");
	return 0;
}

static int proc_remount(struct super_block *sb, const char *data) { return parse_options(proc_super(sb), data, false); }

static void proc_put_super(struct super_block *sb)
{
	pidns_put(proc_super(sb)->ns);
	free(proc_super(sb));
}

static const struct super_ops proc_super_ops = { .statfs = pseudo_statfs, .put_super = proc_put_super, .show_options = proc_show_options,
						 .remount = proc_remount };

static int proc_mount(struct kernel *k, const char *source, unsigned long flags, const char *data, struct super_block **out)
{
	static const struct pentry root = { .name = "/", .mode = S_IFDIR | 0555, .dir = proc_root_table, .lookup = root_lookup,
					    .iterate = root_iterate };
	static const struct pentry subset_table[] = { P_SELF, { 0 } };
	static const struct pentry subset = { .name = "/", .mode = S_IFDIR | 0555, .dir = subset_table, .lookup = root_lookup,
					      .iterate = root_iterate };
	struct fiber_context *fc = fiber_self() ? fiber_context() : NULL;
	struct proc_super *s = new(struct proc_super);
	int r = parse_options(s, data, true);

	if (r) {
		free(s);
		return r;
	}
	s->ns = fc && fc->task ? task_pid_ns(fc->task) : k->tasks.root;
	pidns_get(s->ns);
	return pseudo_super(k, "proc", PROC_MAGIC, s->subset_pid ? &subset : &root, s, &proc_super_ops, out);
}

/* pidfd_send_signal(2) takes an open /proc/PID directory as well. */
static struct pid *pid_of_dir(struct file *f)
{
	if (f->inode->sb->magic != PROC_MAGIC || !S_ISDIR(f->inode->mode) || file_pnode(f)->e != &proc_tgid_entry)
		return NULL;
	struct pid *p = file_pnode(f)->pid;
	pid_get(p);
	return p;
}

void proc_register(void)
{
	static const struct file_system_type t = { .name = "proc", .mount = proc_mount, .nodev = true, .user_ns_ok = true };

	register_filesystem(&t);
	proc_sysvipc_init();
	pidfd_proc_hook = pid_of_dir;
}
