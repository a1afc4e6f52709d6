/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h: what the files of kernel/ share and nobody else calls. */
#ifndef BAILEY_KERNEL_INTERNAL_H
#define BAILEY_KERNEL_INTERNAL_H
#include "kernel/pidfd.h"
#include "kernel/systable.h"
#include "kernel/task.h"
#include <fcntl.h>

#define PIDFD_THREAD_FLAG O_EXCL /* as Linux has it */

/* A guest's wait status */
#define W_EXITCODE(code) (((code) & 0xff) << 8)
#define W_SIGNALED(status) (((status) & 0x7f) != 0)

/* ---- pid.c; task_set.lock for _locked ---- */
struct pid_namespace *pidns_create(struct kernel *k, struct pid_namespace *parent, struct user_namespace *user_ns);
/* A number in ns and in all its ancestors. set_tid: wanted numbers, innermost first. 0, -EAGAIN, -ENOMEM, -EEXIST, -EINVAL, -EPERM */
int pid_alloc_locked(struct pid_namespace *ns, const int *set_tid, unsigned nset_tid, struct pid **out);
/* Free the numbers once no thread, group or session uses them. */
void pid_maybe_unhash_locked(struct pid *p);
static inline struct pid_namespace *pid_ns_of(struct pid *p) { return p->numbers[p->level].ns; }

/* ---- task.c ---- */
struct task *task_alloc(struct kernel *k);
struct thread_group *tg_alloc(struct kernel *k, struct signal_handlers *sighand /* taken over */);
struct signal_handlers *sighand_alloc(void);
struct signal_handlers *sighand_dup(struct signal_handlers *s);
void sighand_put(struct signal_handlers *s);
void task_main(void *arg); /* the fiber of every task */
struct task *tg_live_task_locked(struct thread_group *tg); /* one that has not begun to exit, or NULL */
void task_signal_parent_stop_locked(struct task *t, struct thread_group *tg, int code, int status); /* CLD_STOPPED, CLD_CONTINUED */

struct vfork_done { struct refcount ref; _Atomic bool done; struct wait_queue wq; struct pid *pid /* counted: the child's */; };
void vfork_done_put(struct vfork_done *v);
void task_vfork_complete(struct task *t);
/* clear_child_tid, robust list, vfork: what both exit and exec do before they leave an address space. */
void task_mm_release(struct task *t, bool exec);
void task_abandon(struct task *t); /* one that was never linked into the tree: with all that it has */

/* ---- pgrp.c; task_set.lock ---- */
int pgrp_create_locked(struct thread_group *tg, struct session *s, struct process_group **out);
void pgrp_join_locked(struct thread_group *tg, struct process_group *pg);
void pgrp_leave_locked(struct thread_group *tg);
void session_create_locked(struct thread_group *tg);
/* SIGHUP and SIGCONT to groups that lose their last outside parent by what tg is about to do. Called before tg goes. */
void pgrp_check_orphans_locked(struct thread_group *tg, struct thread_group *parent);
void pgrp_signal_locked(struct process_group *pg, const siginfo_k *info);
int tg_send_outside_signal(struct thread_group *tg, const siginfo_k *info);
void session_leader_exit(struct thread_group *tg);

/* ---- exit.c ---- */
void task_reap_locked(struct task *t);	    /* zombie -> dead: frees its ids; drops the tree's reference */
void exit_notify_locked(struct task *t);
/* Tasks of a user, for RLIMIT_NPROC (task.c); task_set.lock */
uint64_t uid_count_locked(struct kernel *k, kuid_t uid);
void uid_count_add_locked(struct kernel *k, kuid_t uid, int delta);

/* ---- exec.c, elf.c ---- */
struct exec_args { /* strings packed one behind the other: argv, then envp */
	char *buf;
	size_t len, cap, limit;
	unsigned argc, envc;
	size_t envoff; /* where envp starts in buf */
};
void exec_args_free(struct exec_args *a);
int exec_args_reserve(struct exec_args *a, size_t more);
int exec_args_add(struct exec_args *a, const char *s);
int exec_args_from_user(struct task *t, struct exec_args *a, uaddr_t argv, uaddr_t envp);
long exec_prepare(struct task *t, int dfd, const char *name, int flags, struct exec_args *args /* taken over; NULL: from the guest */, uaddr_t argv, uaddr_t envp);
int exec_load_first(struct task *t); /* the first process: on its fiber, before it runs */

struct elf_image { /* a checked ELF file */
	struct file *file; /* counted */
	void *phdrs;
	unsigned phnum;
	uint64_t entry, phoff;
	bool pie;
};
struct exec_state {
	char *filename;		  /* AT_EXECFN */
	char *comm_from;	  /* whose last component becomes comm */
	struct exec_args args;
	struct elf_image elf, interp;
	bool have_interp, exec_stack, secure, path_inaccessible;
	const char *script_name; /* borrowed: what a #! interpreter gets as its argument */
	char *interp_name;	  /* owned: the last #! interpreter */
	struct cred *cred;	  /* new credentials, counted */
	struct pl_space *space;	  /* the new space, until it is installed */
	struct pl_thread *thread;
	struct mm *mm;
	uint64_t entry, sp;	  /* after loading */
};
void exec_state_free(struct exec_state *e);
int elf_read(struct file *f, const char head[256], bool interp, struct elf_image *img, char **interp_name, bool *exec_stack);
void elf_image_free(struct elf_image *img);
int elf_load(struct task *t, struct exec_state *e); /* into the fiber's (new) mm */


/* ---- loadavg.c ---- */
void loadavg_start(struct kernel *k);

/* ---- external.c ---- */
struct container *container_create(struct kernel *k);
void container_get(struct container *c);
void container_put(struct container *c);

/* ---- rlimit.c ---- */
void rlimits_apply(struct task *t); /* tell mm and fd table */

#endif
