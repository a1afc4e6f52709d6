/* SPDX-License-Identifier: Apache-2.0 */
/* pid_status.c: /proc/PID/{stat,statm,status,limits}. Formats: proc(5), Linux fs/proc/array.c. */
#include "fs/proc/proc_internal.h"
#include "kernel/seccomp.h"
#include "kernel/time_ns.h"
#include "kernel/tty.h"
#include <stdio.h>

char task_state_char(struct task *t)
{
	if (t == current)
		return 'R';
	if (t->exit_state == TASK_EXIT_DEAD)
		return 'X';
	if (t->exit_state == TASK_EXIT_ZOMBIE)
		return 'Z';
	switch (READ_ONCE(t->stop)) {
	case STOP_GROUP: return 'T';
	case STOP_PTRACE: return 't';
	case STOP_VFORK:
	case STOP_EXEC: return 'D';
	case STOP_NONE: break;
	}
	if (READ_ONCE(t->state) == &run_vfork_wait)
		return 'D';
	if (READ_ONCE(t->syscall_nr) < 0)
		return 'R';
	guard(mutex)(&t->lock); /* holds the fiber */
	return READ_ONCE(t->blocked_notice) || (t->fiber && fiber_is_parked(t->fiber)) ? 'S' : 'R';
}

static const char *state_name(char c)
{
	switch (c) {
	case 'R': return "R (running)";
	case 'S': return "S (sleeping)";
	case 'D': return "D (disk sleep)";
	case 'T': return "T (stopped)";
	case 't': return "t (tracing stop)";
	case 'Z': return "Z (zombie)";
	default: return "X (dead)";
	}
}

struct ids { int pid, tgid, ppid, pgrp, sid, tpgid, tracer, threads; unsigned tty; };

/* What hangs together under task_set.lock. */
static void get_ids(struct task *t, struct pid_namespace *ns, struct ids *o)
{
	struct thread_group *tg = t->tg;

	memset(o, 0, sizeof(*o));
	o->tpgid = -1;
	tty_proc_info(tg, ns, &o->tty, &o->tpgid); /* the tty's lock comes before task_set.lock */
	o->pid = task_tid(t, ns);
	o->tgid = task_tgid(t, ns);
	o->ppid = task_ppid(t, ns);
	guard(mutex)(&t->kernel->tasks.lock);
	o->threads = tg->ntasks;
	if (t->tracer && t->tracer->pid)
		o->tracer = pid_nr(t->tracer->pid, ns);
	if (!tg->pgrp)
		return;
	o->pgrp = pid_nr(tg->pgrp->pid, ns);
	if (!tg->pgrp->session)
		return;
	o->sid = pid_nr(tg->pgrp->session->pid, ns);
}

struct sigs { sigset_k pending, shared, blocked, ignored, caught; unsigned nr_queue; };

static void get_sigs(struct task *t, struct sigs *s)
{
	memset(s, 0, sizeof(*s));
	if (t->exit_state >= TASK_EXIT_ZOMBIE)
		return;
	signal_lock(t);
	s->pending = t->pending.set;
	s->shared = t->tg->pending.set;
	s->blocked = task_blocked_locked(t);
	s->nr_queue = sig_user_count(t);
	for (int n = 1; n <= NSIG_K; n++) {
		uint64_t h = t->tg->sighand->action[n].handler;

		if (h == 1)
			s->ignored |= SIGMASK(n);
		else if (h)
			s->caught |= SIGMASK(n);
	}
	signal_unlock(t);
}

static int show_stat(struct pnode *n, struct strbuf *b, bool whole)
{
	struct task *t __free(task) = pnode_task(n);
	struct mm *mm __free(mm) = NULL;
	struct mm_layout lay = { 0 };
	struct mm_stat ms = { 0 };
	struct task_usage u = { 0 }, cu = { 0 };
	struct kernel *k = pnode_kernel(n);
	struct thread_group *tg;
	struct sigs s;
	struct ids id;
	char comm[16];
	bool permitted;
	int nice, policy, rtprio, exit_code = 0, termsig;
	ktime_t start;

	if (!t)
		return -ESRCH;
	tg = t->tg;
	get_ids(t, pnode_ns(n), &id);
	if (!id.pid)
		return -ESRCH;
	get_sigs(t, &s);
	permitted = proc_may_access(t) == 0;
	mm = task_mm_get(t);
	if (mm) {
		mm_stat(mm, &ms);
		if (permitted)
			lay = *mm_layout(mm);
	}
	if (whole) {
		group_usage(tg, &u);
		mutex_lock(&k->tasks.lock);
		cu = tg->children;
		mutex_unlock(&k->tasks.lock);
		uint64_t minor, major;
		if (mm && pl_space_faults(mm_space(mm), &minor, &major)) {
			u.minflt += minor;
			u.majflt += major;
		}
	} else
		task_usage(t, &u);
	mutex_lock(&t->lock);
	memcpy(comm, t->comm, sizeof(comm));
	nice = t->nice;
	policy = t->sched_policy;
	rtprio = t->sched_priority;
	mutex_unlock(&t->lock);
	termsig = tg->leader == t ? tg->termination_signal : -1;
	if (permitted)
		exit_code = t->exit_state >= TASK_EXIT_ZOMBIE ? t->exit_code : 0;
	start = t->start_time - k->boot_time + time_ns_offset(current, CLOCK_BOOTTIME);
	strbuf_printf(b, "%d (%.15s) %c %d %d %d %u %d %u ", id.pid, comm, task_state_char(t), id.ppid, id.pgrp, id.sid, id.tty, id.tpgid,
		      0x400000u | (t->did_exec ? 0 : 0x40u));
	strbuf_printf(b, "%llu %llu %llu %llu ", (unsigned long long)u.minflt, (unsigned long long)cu.minflt, (unsigned long long)u.majflt,
		      (unsigned long long)cu.majflt);
	strbuf_printf(b, "%lld %lld %lld %lld ", (long long)(u.utime / NS_PER_TICK), (long long)(u.stime / NS_PER_TICK),
		      (long long)(cu.utime / NS_PER_TICK), (long long)(cu.stime / NS_PER_TICK));
	strbuf_printf(b, "%d %d %d 0 %lld ", policy == 1 || policy == 2 ? -1 - rtprio : 20 + nice, nice, id.threads,
		      (long long)(start / NS_PER_TICK));
	strbuf_printf(b, "%llu %llu %llu ", (unsigned long long)ms.total_vm, (unsigned long long)(ms.rss / 4096),
		      (unsigned long long)task_rlimit(t, RLIMIT_RSS));
	strbuf_printf(b, "%llu %llu %llu 0 0 ", (unsigned long long)(mm ? permitted ? lay.start_code : 1 : 0),
		      (unsigned long long)(mm ? permitted ? lay.end_code : 1 : 0), (unsigned long long)lay.start_stack);
	strbuf_printf(b, "%llu %llu %llu %llu ", (unsigned long long)((s.pending | s.shared) & 0x7fffffff),
		      (unsigned long long)(s.blocked & 0x7fffffff), (unsigned long long)(s.ignored & 0x7fffffff),
		      (unsigned long long)(s.caught & 0x7fffffff));
	strbuf_printf(b, "%d 0 0 %d %d %d %d 0 0 0 ", task_state_char(t) == 'S', termsig, 0, rtprio, policy);
	strbuf_printf(b, "%llu %llu %llu %llu %llu %llu %llu %d\n", (unsigned long long)lay.start_data, (unsigned long long)lay.end_data,
		      (unsigned long long)lay.start_brk, (unsigned long long)lay.arg_start, (unsigned long long)lay.arg_end,
		      (unsigned long long)lay.env_start, (unsigned long long)lay.env_end, exit_code);
	return 0;
}

int proc_show_stat(struct pnode *n, struct strbuf *b) { return show_stat(n, b, true); }
int proc_show_tid_stat(struct pnode *n, struct strbuf *b) { return show_stat(n, b, false); }

int proc_show_statm(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	struct mm *mm __free(mm) = NULL;
	struct mm_stat s = { 0 };
	struct mm_layout *l;
	uint64_t text = 0;

	if (!t)
		return -ESRCH;
	mm = task_mm_get(t);
	if (mm) {
		mm_stat(mm, &s);
		l = mm_layout(mm);
		text = (PAGE_UP(l->end_code) - PAGE_DOWN(l->start_code)) / 4096;
	}
	strbuf_printf(b, "%llu %llu %llu %llu 0 %llu 0\n", (unsigned long long)(s.total_vm / 4096), (unsigned long long)(s.rss / 4096),
		      (unsigned long long)(s.file_rss / 4096), (unsigned long long)text,
		      (unsigned long long)((s.data_vm + s.stack_vm) / 4096));
	return 0;
}

/* p's numbers in the namespaces of `of`, from ns down. */
static void show_nspids(struct strbuf *b, const char *label, struct pid *p, struct pid *of, struct pid_namespace *ns)
{
	strbuf_printf(b, "%s", label);
	for (int l = ns->level; l <= of->level; l++)
		strbuf_printf(b, "\t%d", pid_nr(p, of->numbers[l].ns));
	strbuf_printf(b, "\n");
}

static void show_kb(struct strbuf *b, const char *name, uint64_t bytes)
{
	strbuf_printf(b, "%s:\t%8llu kB\n", name, (unsigned long long)(bytes >> 10));
}

static void show_cpus(struct task *t, struct strbuf *b)
{
	int n = t->kernel->ncpus, words = (n + 31) / 32, first = -1;
	const uint32_t *m = (const uint32_t *)t->cpu_mask;
	bool comma = false;

	strbuf_printf(b, "Cpus_allowed:\t");
	for (int w = words - 1; w >= 0; w--) {
		uint32_t v = m[w];

		if (w == words - 1 && n % 32)
			v &= (1u << n % 32) - 1;
		strbuf_printf(b, w == words - 1 ? "%0*x" : ",%0*x", w == words - 1 ? ((n - 1) % 32) / 4 + 1 : 8, v);
	}
	strbuf_printf(b, "\nCpus_allowed_list:\t");
	for (int c = 0; c <= n; c++) {
		bool on = c < n && (t->cpu_mask[c / 64] >> (c % 64) & 1);

		if (on && first < 0)
			first = c;
		if (!on && first >= 0) {
			strbuf_printf(b, c - 1 > first ? "%s%d-%d" : "%s%d", comma ? "," : "", first, c - 1);
			comma = true;
			first = -1;
		}
	}
	strbuf_printf(b, "\n");
}

int proc_show_status(struct pnode *n, struct strbuf *b)
{
	struct task *t __free(task) = pnode_task(n);
	struct pid_namespace *ns = pnode_ns(n);
	struct cred *c __free(cred) = NULL;
	struct mm *mm __free(mm) = NULL;
	struct user_namespace *uns = current->cred->user_ns;
	struct sigs s;
	struct ids id;
	struct task_usage u = { 0 };
	unsigned fds = 0, slots = 64;
	int umask = -1;

	if (!t)
		return -ESRCH;
	get_ids(t, ns, &id);
	get_sigs(t, &s);
	task_usage(t, &u);
	c = task_cred_get(t);
	mm = task_mm_get(t);
	strbuf_printf(b, "Name:\t");
	for (int i = 0; i < 15 && t->comm[i]; i++) {
		if (t->comm[i] == '\n' || t->comm[i] == '\\')
			strbuf_printf(b, t->comm[i] == '\n' ? "\\n" : "\\\\");
		else
			strbuf_write(b, &t->comm[i], 1);
	}
	mutex_lock(&t->lock);
	if (t->fs)
		umask = t->fs->umask;
	mutex_unlock(&t->lock);
	struct fd_table *fdt __free(fdt) = task_fdt_get(t);
	if (fdt)
		for (int fd = -1; (fd = fd_next(fdt, fd + 1)) >= 0;)
			fds = fd + 1;
	while (slots < fds)
		slots *= 2;
	strbuf_printf(b, "\n");
	if (umask >= 0)
		strbuf_printf(b, "Umask:\t%#04o\n", umask);
	strbuf_printf(b, "State:\t%s\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t%d\n", state_name(task_state_char(t)), id.tgid,
		      id.pid, id.ppid, id.tracer);
	strbuf_printf(b, "Uid:\t%u\t%u\t%u\t%u\n", from_kuid(uns, c->uid), from_kuid(uns, c->euid), from_kuid(uns, c->suid),
		      from_kuid(uns, c->fsuid));
	strbuf_printf(b, "Gid:\t%u\t%u\t%u\t%u\n", from_kgid(uns, c->gid), from_kgid(uns, c->egid), from_kgid(uns, c->sgid),
		      from_kgid(uns, c->fsgid));
	strbuf_printf(b, "FDSize:\t%u\nGroups:\t", fdt ? slots : 0);
	for (unsigned i = 0; i < c->ngroups; i++)
		strbuf_printf(b, "%u ", from_kgid(uns, c->groups[i]));
	strbuf_printf(b, c->ngroups ? "\n" : " \n");
	mutex_lock(&t->kernel->tasks.lock);
	show_nspids(b, "NStgid:", t->tg->leader ? t->tg->leader->pid : t->pid, t->pid, ns);
	show_nspids(b, "NSpid:", t->pid, t->pid, ns);
	show_nspids(b, "NSpgid:", t->tg->pgrp ? t->tg->pgrp->pid : NULL, t->pid, ns);
	show_nspids(b, "NSsid:", t->tg->pgrp && t->tg->pgrp->session ? t->tg->pgrp->session->pid : NULL, t->pid, ns);
	mutex_unlock(&t->kernel->tasks.lock);
	strbuf_printf(b, "Kthread:\t0\n");
	if (mm) {
		struct mm_layout *l = mm_layout(mm);
		struct mm_stat m = { 0 };
		uint64_t exe;

		mm_stat(mm, &m);
		exe = PAGE_UP(l->end_code) - PAGE_DOWN(l->start_code);
		show_kb(b, "VmPeak", MAX(m.peak_vm, m.total_vm));
		show_kb(b, "VmSize", m.total_vm);
		show_kb(b, "VmLck", m.locked_vm);
		show_kb(b, "VmPin", 0);
		show_kb(b, "VmHWM", MAX(m.hiwater_rss, m.rss));
		show_kb(b, "VmRSS", m.rss);
		show_kb(b, "RssAnon", m.anon_rss);
		show_kb(b, "RssFile", m.file_rss - MIN(m.file_rss, m.shmem_rss));
		show_kb(b, "RssShmem", m.shmem_rss);
		show_kb(b, "VmData", m.data_vm);
		show_kb(b, "VmStk", m.stack_vm);
		show_kb(b, "VmExe", exe);
		show_kb(b, "VmLib", m.exec_vm > exe ? m.exec_vm - exe : 0);
		show_kb(b, "VmPTE", 0);
		show_kb(b, "VmSwap", 0);
		show_kb(b, "HugetlbPages", 0);
		strbuf_printf(b, "CoreDumping:\t0\nTHP_enabled:\t%d\nuntag_mask:\t0xffffffffffffffff\n", !t->tg->thp_disabled);
	}
	strbuf_printf(b, "Threads:\t%d\nSigQ:\t%u/%llu\n", id.threads, s.nr_queue, (unsigned long long)task_rlimit(t, RLIMIT_SIGPENDING));
	strbuf_printf(b, "SigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		      (unsigned long long)s.pending, (unsigned long long)s.shared, (unsigned long long)s.blocked,
		      (unsigned long long)s.ignored, (unsigned long long)s.caught);
	strbuf_printf(b, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\n",
		      (unsigned long long)c->inheritable, (unsigned long long)c->permitted, (unsigned long long)c->effective,
		      (unsigned long long)c->bounding, (unsigned long long)c->ambient);
	strbuf_printf(b, "NoNewPrivs:\t%d\nSeccomp:\t%d\nSeccomp_filters:\t%d\n", t->no_new_privs, t->seccomp_mode,
		      seccomp_filters(t));
	strbuf_printf(b, "Speculation_Store_Bypass:\t%s\nSpeculationIndirectBranch:\t%s\n", proc_host_status("Speculation_Store_Bypass", "unknown"),
		      proc_host_status("SpeculationIndirectBranch", "unknown"));
	show_cpus(t, b);
	strbuf_printf(b, "Mems_allowed:\t1\nMems_allowed_list:\t0\n");
	strbuf_printf(b, "voluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_switches:\t%llu\n", (unsigned long long)t->nvcsw,
		      (unsigned long long)t->nivcsw);
	if (*proc_host_status("x86_Thread_features", "") == 0 && proc_host_status("x86_Thread_features", NULL))
		strbuf_printf(b, "x86_Thread_features:\t\nx86_Thread_features_locked:\t\n");
	return 0;
}

int proc_show_limits(struct pnode *n, struct strbuf *b)
{
	static const struct { const char *name, *unit; } lim[RLIM_NLIMITS] = {
		[RLIMIT_CPU] = { "Max cpu time", "seconds" },
		[RLIMIT_FSIZE] = { "Max file size", "bytes" },
		[RLIMIT_DATA] = { "Max data size", "bytes" },
		[RLIMIT_STACK] = { "Max stack size", "bytes" },
		[RLIMIT_CORE] = { "Max core file size", "bytes" },
		[RLIMIT_RSS] = { "Max resident set", "bytes" },
		[RLIMIT_NPROC] = { "Max processes", "processes" },
		[RLIMIT_NOFILE] = { "Max open files", "files" },
		[RLIMIT_MEMLOCK] = { "Max locked memory", "bytes" },
		[RLIMIT_AS] = { "Max address space", "bytes" },
		[RLIMIT_LOCKS] = { "Max file locks", "locks" },
		[RLIMIT_SIGPENDING] = { "Max pending signals", "signals" },
		[RLIMIT_MSGQUEUE] = { "Max msgqueue size", "bytes" },
		[RLIMIT_NICE] = { "Max nice priority", NULL },
		[RLIMIT_RTPRIO] = { "Max realtime priority", NULL },
		[RLIMIT_RTTIME] = { "Max realtime timeout", "us" },
	};
	struct task *t __free(task) = pnode_task(n);

	if (!t)
		return -ESRCH;
	strbuf_printf(b, "Limit                     Soft Limit           Hard Limit           Units     \n");
	for (int i = 0; i < RLIM_NLIMITS; i++) {
		uint64_t v[2] = { task_rlimit(t, i), task_rlimit_max(t, i) };

		strbuf_printf(b, "%-25s ", lim[i].name);
		for (int j = 0; j < 2; j++) {
			if (v[j] == UINT64_MAX)
				strbuf_printf(b, "%-20s ", "unlimited");
			else
				strbuf_printf(b, "%-20llu ", (unsigned long long)v[j]);
		}
		strbuf_printf(b, lim[i].unit ? "%-10s\n" : "\n", lim[i].unit);
	}
	return 0;
}
