/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c: one kernel: its start, and processes that do not come from others. */
#include "kernel/internal.h"
#include "ipc/futex.h"
#include "kernel/ipc_ns.h"
#include "kernel/namespace.h"
#include "kernel/rlimit.h"
#include "kernel/time_ns.h"
#include "kernel/timer.h"
#include "kernel/tty.h"
#include <stdio.h>
#include <sys/random.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

uint64_t kernel_new_ns_ino(struct kernel *k) { return 0xf0000000UL + atomic_fetch_add(&k->next_ns_ino, 1); }

/* A PI futex's owner by the number in the guest's word, for ipc/, which does not know tasks. */
static uint64_t futex_owner_id(uint32_t tid)
{
	struct task *t = current, *o;
	uint64_t id = 0;
	mutex_lock(&t->kernel->tasks.lock);
	struct pid *p = pidns_find_locked(task_pid_ns(t), tid);
	o = p ? p->task : NULL;
	if (o && o->exit_state == TASK_EXIT_NONE)
		id = p->unique;
	mutex_unlock(&t->kernel->tasks.lock);
	return id;
}

static int futex_priority(void) { return READ_ONCE(current->sched_priority); }

int kernel_init(const struct kernel_options *o, struct kernel **out)
{
	struct kernel *k = new(struct kernel);
	k->sched = o->sched;
	k->platform = o->platform;
	k->syscalls = o->syscalls;
	mutex_init(&k->tasks.lock, RANK_TASK_SET);
	k->tasks.max_tasks = o->max_pids;
	k->sig_users = sig_users_create();
	struct timespec boot;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	k->start_time = ktime_mono();
	k->boot_time = k->start_time - timespec_to_ktime(&boot);
	k->start_ticks = __builtin_ia32_rdtsc();
	k->memory_limit = o->memory_limit;
	k->persistent = o->persistent;
	k->ended = new(struct task_usage);
	k->yama_scope = 0;
	strcpy(k->core_pattern, "core");
	long n = o->ncpus ? (long)o->ncpus : sysconf(_SC_NPROCESSORS_ONLN);
	k->ncpus = n < 1 ? 1 : n > 1024 ? 1024 : n;
	k->nice = getpriority(PRIO_PROCESS, 0);
	for (size_t i = 0; i < ARRAY_SIZE(k->speculation); i++)
		k->speculation[i] = prctl(PR_GET_SPECULATION_CTRL, i, 0, 0, 0);
	if (getrandom(k->random_boot_id, sizeof(k->random_boot_id), GRND_NONBLOCK) != sizeof(k->random_boot_id))
		k->random_boot_id[0] = ktime_mono();
	k->root_user_ns = user_ns_create_root();
	k->root_uts = uts_ns_create(k, NULL, k->root_user_ns);
	k->aio_max_nr = 65536;
	k->root_ipc = ipc_ns_new(k, k->root_user_ns);
	k->root_time_ns = time_ns_create(k, NULL, k->root_user_ns);
	k->pidfs = nameless_mount("pidfs", 0x50494446);
	k->nsfs = nameless_mount("nsfs", 0x6e736673);
	k->root_cgroup_ns = cgroup_ns_create(k, k->root_user_ns);
	k->hostname = xstrdup(o->hostname ? o->hostname : "bailey");
	strncpy(k->root_uts->nodename, k->hostname, sizeof(k->root_uts->nodename) - 1);
	strncpy(k->root_uts->domainname, "(none)", sizeof(k->root_uts->domainname) - 1);
	k->tasks.root = pidns_create(k, NULL, k->root_user_ns);
	loadavg_start(k);
	k->futexes = futex_table_create(futex_owner_id, futex_priority);
	*out = k;
	return 0;
}

/* Set up t's files, directory and namespaces, borrowed things counted. */
static int first_context(struct kernel *k, struct task *t, const struct process_options *o)
{
	struct path root, cwd;
	t->fdt = o->fdt;
	mount_ns_get(o->mnt_ns);
	t->mnt_ns = o->mnt_ns;
	uts_ns_get(k->root_uts);
	t->uts = k->root_uts;
	ipc_ns_get(k->root_ipc);
	t->ipc_ns = k->root_ipc;
	time_ns_get(k->root_time_ns);
	time_ns_get(k->root_time_ns);
	t->time_ns = t->time_ns_for_children = k->root_time_ns;
	cgroup_ns_get(k->root_cgroup_ns);
	t->cgroup_ns = k->root_cgroup_ns;
	pidns_get(k->tasks.root);
	t->pid_ns_for_children = k->tasks.root;
	t->cred = cred_get(o->cred);
	mount_ns_root(o->mnt_ns, &root);
	t->fs = fs_context_create(&root);
	path_put(&root);
	t->fs->umask = o->umask;
	task_set_fiber_context(t, fiber_self());
	if (o->cwd) {
		int r = path_lookup(AT_FDCWD_, o->cwd, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &cwd);
		if (r)
			return r;
		mutex_lock(&t->fs->lock);
		struct path old = t->fs->cwd;
		t->fs->cwd = cwd;
		mutex_unlock(&t->fs->lock);
		path_put(&old);
	}
	return 0;
}

/* Its place and number in the root namespace. */
static int first_number_locked(struct kernel *k, struct task *t, bool init, bool second)
{
	struct pid_namespace *ns = k->tasks.root;
	if (init && ns->last)
		return -EBUSY;
	if (k->tasks.max_tasks && k->tasks.ntasks >= k->tasks.max_tasks)
		return -EAGAIN;
	if (ns->dying)
		return -ESRCH;
	if ((!init || second) && !ns->last)
		ns->last = 1;
	int r = pid_alloc_locked(ns, NULL, 0, &t->pid);
	if (r)
		return r;
	k->tasks.ntasks++;
	t->counted = true;
	uid_count_add_locked(k, t->cred->uid, 1);
	t->counted_uid = t->cred->uid;
	t->uid_counted = true;
	t->tg->pid = t->pid;
	pid_get(t->pid);
	t->tg->is_init = init;
	return 0;
}

/* Everything was there but the place for it. */
static int unstart(struct task *t, int r)
{
	exec_state_free(t->exec);
	t->exec = NULL;
	if (t->fiber) { /* it ends by itself */
		refcount_get(&t->ref);
		t->start.abandoned = true;
		fiber_wake(t->fiber);
	}
	task_abandon(t);
	return r;
}

int kernel_create_process(struct kernel *k, const struct process_options *o, struct thread_group **out)
{
	struct fiber_context *ctx = fiber_context(), saved = *ctx;
	struct task *t = task_alloc(k);
	struct thread_group *tg = tg_alloc(k, sighand_alloc());
	t->tg = tg;
	for (int sig = 1; sig <= 64; sig++)
		if (o->ignored >> (sig - 1) & 1)
			tg->sighand->action[sig].handler = (uint64_t)(uintptr_t)SIG_IGN;
	tg->container = container_create(k);
	rlimits_default(tg);
	for (int i = 0; i < RLIM_NLIMITS; i++)
		if (o->rlimits_set >> i & 1)
			tg->limits[i] = (struct rlimit64){ o->rlimits[i][0], o->rlimits[i][1] };
	for (int cpu = 0; cpu < k->ncpus; cpu++)
		t->cpu_mask[cpu / 64] |= 1ULL << (cpu % 64);
	t->timer_slack = t->timer_slack_default = 50000;
	t->sas_ss_flags = 2; /* SS_DISABLE */
	t->nice = k->nice;
	int r = first_context(k, t, o);
	if (!r)
		r = task_execve(t, NULL, AT_FDCWD_, o->filename, (char **)o->argv, (char **)o->envv, 0);
	*ctx = saved;
	if (r) {
		task_abandon(t);
		return r;
	}
	t->after_syscall = NULL;
	t->thread = t->exec->thread;
	t->mm = t->exec->mm;
	t->exec->thread = NULL;
	t->exec->mm = NULL;
	t->start.exec = true;
	snprintf(t->comm, sizeof(t->comm), "bailey-init");
	t->fiber = fiber_create(k->sched, -1, t->comm, task_main, t);
	r = t->fiber ? 0 : -EAGAIN;
	mutex_lock(&k->tasks.lock);
	if (!r)
		r = first_number_locked(k, t, o->init, o->second);
	if (r) {
		mutex_unlock(&k->tasks.lock);
		return unstart(t, r);
	}
	tg->immune = o->immune;
	tg->leader = t;
	tg->termination_signal = SIGCHLD;
	tg->watch = o->watch;
	TAILQ_INSERT_TAIL(&tg->tasks, t, tg_link);
	tg->ntasks = tg->nlive = tg->nactive = 1;
	t->pid->task = t;
	k->tasks.root->ntasks++;
	if (tg->is_init) {
		k->tasks.root->init = t;
		k->init = tg;
	}
	session_create_locked(tg);
	refcount_get(&t->ref); /* the fiber's */
	tg_get(tg);
	mutex_unlock(&k->tasks.lock);
	task_set_fiber_context(t, t->fiber);
	if (o->foreground_tty) {
		struct file *f = fd_get(t->fdt, 0);
		struct tty *tty = f ? file_tty(f) : NULL;
		if (tty)
			(void)tty_set_controlling(tg, tty);
		if (f)
			file_put(f);
	}
	*out = tg;
	return 0;
}

void kernel_start_process(struct thread_group *tg)
{
	tg_rlimit_cpu_changed(tg);
	guard(mutex)(&tg->kernel->tasks.lock);
	struct task *t = tg->ntasks ? tg->leader : NULL;
	if (!t) /* it ended with its namespace */
		return;
	if (task_external_stopped(t))
		atomic_store(&t->work_pending, true);
	mutex_lock(&t->lock);
	if (t->fiber)
		fiber_wake(t->fiber);
	mutex_unlock(&t->lock);
}
