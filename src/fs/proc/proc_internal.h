/* SPDX-License-Identifier: Apache-2.0 */
/* proc_internal.h: shared by the files of fs/proc only. */
#ifndef BAILEY_FS_PROC_INTERNAL_H
#define BAILEY_FS_PROC_INTERNAL_H
#include "abi/version.h"
#include "fs/proc/proc.h"
#include "fs/proc/pseudo.h"
#include "mm/mm.h"
#include "mm/uaccess.h"

#define USER_HZ 100
#define NS_PER_TICK (NSEC_PER_SEC / USER_HZ)

enum { HIDEPID_OFF, HIDEPID_NO_ACCESS, HIDEPID_INVISIBLE, HIDEPID_NOT_PTRACEABLE = 4 };
struct proc_super {
	struct pid_namespace *ns; /* counted; immutable */
	bool subset_pid;	  /* immutable */
	_Atomic uint32_t hidepid; /* proc(5) */
	_Atomic kgid_t gid;	  /* who sees all the same */
};
static inline struct proc_super *proc_super(struct super_block *sb) { return sb->private; }
static inline struct pid_namespace *pnode_ns(struct pnode *n) { return proc_super(n->inode->sb)->ns; }

/* The task that an entry of /proc/PID is about: counted, NULL when it is gone. */
struct task *pnode_task(struct pnode *n);
struct mm *task_mm_get(struct task *t);	      /* counted or NULL; mm_put */
struct fd_table *task_fdt_get(struct task *t); /* counted or NULL */
struct cred *task_cred_get(struct task *t);    /* counted */
DEFINE_FREE(task, struct task *, if (_p) task_put(_p));
DEFINE_FREE(mm, struct mm *, if (_p) mm_put(_p));
DEFINE_FREE(cred, struct cred *, if (_p) cred_put(_p));
DEFINE_FREE(fdt, struct fd_table *, if (_p) fd_table_put(_p));
/* ptrace(2)'s access check with file system ids (PTRACE_MODE_READ_FSCREDS): may the running task look into t? 0 or -EACCES */
int proc_may_access(struct task *t);

extern const struct pentry proc_tgid_table[], proc_tid_table[], proc_root_table[], proc_sys_table[];
extern const struct pentry proc_tgid_entry, proc_tid_entry;

/* pid_status.c */
int proc_show_stat(struct pnode *n, struct strbuf *b);
int proc_show_tid_stat(struct pnode *n, struct strbuf *b);
int proc_show_statm(struct pnode *n, struct strbuf *b);
int proc_show_status(struct pnode *n, struct strbuf *b);
int proc_show_limits(struct pnode *n, struct strbuf *b);
/* pid_mem.c */
int proc_show_maps(struct pnode *n, struct strbuf *b);
int proc_show_smaps(struct pnode *n, struct strbuf *b);
int proc_show_smaps_rollup(struct pnode *n, void *mm, struct strbuf *b);
int proc_show_cmdline(struct pnode *n, struct strbuf *b);
int proc_show_environ(struct pnode *n, void *mm, struct strbuf *b);
int proc_show_auxv(struct pnode *n, void *mm, struct strbuf *b);
int proc_mm_hold(struct pnode *n, void **state); /* the address space at open; -ESRCH: it has none any more */
void proc_mm_drop(void *state);
int proc_show_numa_maps(struct pnode *n, struct strbuf *b);
ssize_t proc_write_clear_refs(struct pnode *n, char *s, size_t len);
int proc_map_files_lookup(struct pnode *dir, const char *name, struct inode **out);
int proc_map_files_iterate(struct pnode *dir, struct dir_context *c);
int proc_show_ksm(struct pnode *n, struct strbuf *b);
/* pid_sched.c */
int proc_show_sched(struct pnode *n, struct strbuf *b);
ssize_t proc_write_sched(struct pnode *n, char *s, size_t len);
int proc_show_schedstat(struct pnode *n, struct strbuf *b);
int proc_show_stack(struct pnode *n, struct strbuf *b);
int proc_show_wchan(struct pnode *n, struct strbuf *b);
int proc_open_mem(struct pnode *n, struct file *f);
int proc_open_pagemap(struct pnode *n, struct file *f);
/* pid_fd.c */
int proc_fd_lookup(struct pnode *dir, const char *name, struct inode **out);
int proc_fdinfo_lookup(struct pnode *dir, const char *name, struct inode **out);
int proc_fd_iterate(struct pnode *dir, struct dir_context *c);
int proc_fd_dir_fill(struct pnode *n);
int proc_fd_may(struct pnode *n, int mask);
int proc_exe_link(struct pnode *n, struct path *out);
int proc_cwd_link(struct pnode *n, struct path *out);
int proc_root_link(struct pnode *n, struct path *out);
ssize_t proc_path_readlink(struct pnode *n, char *buf, size_t size); /* by get_link */
extern const struct pentry proc_ns_table[];
/* kstat.c, cpuinfo.c, net.c */
int proc_show_meminfo(struct pnode *n, struct strbuf *b);
int proc_show_kstat(struct pnode *n, struct strbuf *b);
int proc_show_uptime(struct pnode *n, struct strbuf *b);
int proc_show_loadavg(struct pnode *n, struct strbuf *b);
int proc_show_version(struct pnode *n, struct strbuf *b);
int proc_show_filesystems(struct pnode *n, struct strbuf *b);
int proc_show_interrupts(struct pnode *n, struct strbuf *b);
int proc_show_vmstat(struct pnode *n, struct strbuf *b);
const char *proc_host_status(const char *name, const char *otherwise); /* a line of the host's /proc/PID/status, as it was at start */
int proc_show_cpuinfo(struct pnode *n, struct strbuf *b);
/* machine.c */
int proc_show_config(struct pnode *n, struct strbuf *b);
int proc_config_fill(struct pnode *n);
int proc_show_locks(struct pnode *n, struct strbuf *b);
int proc_show_softirqs(struct pnode *n, struct strbuf *b);
int proc_show_buddyinfo(struct pnode *n, struct strbuf *b);
int proc_show_zoneinfo(struct pnode *n, struct strbuf *b);
extern const struct pentry proc_tty_table[];
extern const struct pentry proc_net_entry, proc_sysvipc_entry;
int proc_net_lookup(struct pnode *dir, const char *name, struct inode **out);
int proc_net_iterate(struct pnode *dir, struct dir_context *c);
int proc_sysvipc_lookup(struct pnode *dir, const char *name, struct inode **out);
int proc_sysvipc_iterate(struct pnode *dir, struct dir_context *c);
/* Totals of all tasks that ever ran, ns */
void proc_cpu_totals(struct kernel *k, ktime_t *user, ktime_t *system);

/* ---- pid_misc.c ---- */
int proc_show_oom_score(struct pnode *n, struct strbuf *b);
int proc_show_loginuid(struct pnode *n, struct strbuf *b); /* arg: sessionid */
ssize_t proc_write_loginuid(struct pnode *n, char *s, size_t len);
int proc_show_coredump_filter(struct pnode *n, struct strbuf *b);
ssize_t proc_write_coredump_filter(struct pnode *n, char *s, size_t len);
int proc_show_timerslack(struct pnode *n, struct strbuf *b);
ssize_t proc_write_timerslack(struct pnode *n, char *s, size_t len);
int proc_show_autogroup(struct pnode *n, struct strbuf *b);
ssize_t proc_write_autogroup(struct pnode *n, char *s, size_t len);
int proc_show_timers(struct pnode *n, struct strbuf *b);

#endif
