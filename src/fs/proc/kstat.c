/* SPDX-License-Identifier: Apache-2.0 */
/* kstat.c: /proc/{meminfo,stat,uptime,loadavg,version,filesystems,interrupts,vmstat}. What Bailey does not know is 0. */
#include "fs/proc/proc_internal.h"
#include "kernel/time_ns.h"
#include <stdio.h>
#include <sys/sysinfo.h>

/* Live processes with the children that they reaped; what is gone is in some ancestor's children. */
void proc_cpu_totals(struct kernel *k, ktime_t *user, ktime_t *system)
{
	struct pid_namespace *ns = k->tasks.root;
	int nr = 0;

	*user = *system = 0;
	while ((nr = pidns_next_tgid(ns, nr + 1)) > 0) {
		struct task *t __free(task) = pidns_task_with_id(ns, nr);
		struct task_usage u;

		if (!t)
			continue;
		group_usage(t->tg, &u);
		*user += u.utime;
		*system += u.stime;
		mutex_lock(&k->tasks.lock);
		*user += t->tg->children.utime;
		*system += t->tg->children.stime;
		mutex_unlock(&k->tasks.lock);
	}
}

static void count_tasks(struct kernel *k, unsigned *running, unsigned *total)
{
	struct pid_namespace *ns = k->tasks.root;

	*running = *total = 0;
	guard(mutex)(&k->tasks.lock);
	for (int nr = 1; nr < ns->map_size; nr++) {
		struct task *t = ns->map[nr] ? ns->map[nr]->task : NULL;
		if (!t)
			continue;
		++*total;
		*running += t == current || task_is_active(t);
	}
}

int proc_show_meminfo(struct pnode *n, struct strbuf *b)
{
	struct kernel *k = pnode_kernel(n);
	struct sysinfo si;
	uint64_t total, freemem, shared, buffers, swap_total, swap_free;
	static const char *const zero1[] = { "SwapCached", "Active", "Inactive", "Active(anon)", "Inactive(anon)", "Active(file)",
					     "Inactive(file)", "Unevictable", "Mlocked" };
	static const char *const zero2[] = { "Zswap", "Zswapped", "Dirty", "Writeback", "AnonPages", "Mapped" };
	static const char *const zero3[] = { "KReclaimable", "Slab", "SReclaimable", "SUnreclaim", "KernelStack", "PageTables",
					     "SecPageTables", "NFS_Unstable", "Bounce", "WritebackTmp" };
	char name[24];

	if (sysinfo(&si) < 0)
		return -EIO;
	total = si.totalram * (uint64_t)si.mem_unit;
	freemem = si.freeram * (uint64_t)si.mem_unit;
	shared = si.sharedram * (uint64_t)si.mem_unit;
	buffers = si.bufferram * (uint64_t)si.mem_unit;
	swap_total = si.totalswap * (uint64_t)si.mem_unit;
	swap_free = si.freeswap * (uint64_t)si.mem_unit;
	if (k->memory_limit && k->memory_limit < total) {
		total = k->memory_limit;
		freemem = MIN(freemem, total);
		buffers = shared = swap_total = swap_free = 0;
	}
#define KB(nm, v) (snprintf(name, sizeof(name), "%s:", nm), strbuf_printf(b, "%-15s %8llu kB\n", name, (unsigned long long)(v) >> 10))
	KB("MemTotal", total);
	KB("MemFree", freemem);
	KB("MemAvailable", freemem + buffers);
	KB("Buffers", buffers);
	KB("Cached", 0);
	for (unsigned i = 0; i < ARRAY_SIZE(zero1); i++)
		KB(zero1[i], 0);
	KB("SwapTotal", swap_total);
	KB("SwapFree", swap_free);
	for (unsigned i = 0; i < ARRAY_SIZE(zero2); i++)
		KB(zero2[i], 0);
	KB("Shmem", shared);
	for (unsigned i = 0; i < ARRAY_SIZE(zero3); i++)
		KB(zero3[i], 0);
	KB("CommitLimit", total / 2 + swap_total);
	KB("Committed_AS", 0);
	strbuf_printf(b, "VmallocTotal:   34359738367 kB\n");
	KB("VmallocUsed", 0);
	KB("VmallocChunk", 0);
	KB("Percpu", 0);
	KB("AnonHugePages", 0);
	KB("ShmemHugePages", 0);
	KB("ShmemPmdMapped", 0);
	KB("FileHugePages", 0);
	KB("FilePmdMapped", 0);
	strbuf_printf(b, "HugePages_Total:   %5d\nHugePages_Free:    %5d\nHugePages_Rsvd:    %5d\nHugePages_Surp:    %5d\n", 0, 0, 0, 0);
	KB("Hugepagesize", 2048 << 10);
	KB("Hugetlb", 0);
#undef KB
	return 0;
}

int proc_show_kstat(struct pnode *n, struct strbuf *b)
{
	struct kernel *k = pnode_kernel(n);
	ktime_t user, sys, up = ktime_mono() - k->boot_time, idle;
	unsigned running, total;
	int cpus = k->ncpus > 0 ? k->ncpus : 1;

	proc_cpu_totals(k, &user, &sys);
	count_tasks(k, &running, &total);
	idle = up * cpus - user - sys;
	if (idle < 0)
		idle = 0;
	strbuf_printf(b, "cpu  %lld 0 %lld %lld 0 0 0 0 0 0\n", (long long)(user / NS_PER_TICK), (long long)(sys / NS_PER_TICK),
		      (long long)(idle / NS_PER_TICK));
	for (int i = 0; i < cpus; i++) /* which CPU it was is not known: an even share */
		strbuf_printf(b, "cpu%d %lld 0 %lld %lld 0 0 0 0 0 0\n", i, (long long)(user / cpus / NS_PER_TICK),
			      (long long)(sys / cpus / NS_PER_TICK), (long long)(idle / cpus / NS_PER_TICK));
	strbuf_printf(b, "intr 0\nctxt %llu\nbtime %lld\nprocesses %llu\nprocs_running %u\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
		      (unsigned long long)k->context_switches, (long long)((ktime_real() - up - time_ns_offset(current, CLOCK_BOOTTIME)) / NSEC_PER_SEC),
		      (unsigned long long)k->total_forks, running ? running : 1);
	return 0;
}

int proc_show_uptime(struct pnode *n, struct strbuf *b)
{
	struct kernel *k = pnode_kernel(n);
	ktime_t user, sys, up = ktime_mono() - k->boot_time, idle;

	proc_cpu_totals(k, &user, &sys);
	idle = up * (k->ncpus > 0 ? k->ncpus : 1) - user - sys;
	if (idle < 0)
		idle = 0;
	up += time_ns_offset(current, CLOCK_BOOTTIME);
	strbuf_printf(b, "%lld.%02lld %lld.%02lld\n", (long long)(up / NSEC_PER_SEC), (long long)(up / 10000000 % 100),
		      (long long)(idle / NSEC_PER_SEC), (long long)(idle / 10000000 % 100));
	return 0;
}

int proc_show_loadavg(struct pnode *n, struct strbuf *b)
{
	struct kernel *k = pnode_kernel(n);
	struct pid_namespace *ns = task_pid_ns(current);
	unsigned running, total;

	count_tasks(k, &running, &total);
	for (int i = 0; i < 3; i++) {
		uint64_t load = READ_ONCE(k->load[i]) + (1 << LOAD_SHIFT) / 200; /* to the nearest hundredth */
		strbuf_printf(b, "%llu.%02llu ", (unsigned long long)load >> LOAD_SHIFT,
			      (unsigned long long)(load & ((1 << LOAD_SHIFT) - 1)) * 100 >> LOAD_SHIFT);
	}
	strbuf_printf(b, "%u/%u %d\n", running, total, ns->last);
	return 0;
}

int proc_show_version(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "%s version %s (bailey@bailey) (gcc " __VERSION__ ") %s\n", UTS_SYSNAME, UTS_RELEASE, UTS_VERSION);
	return 0;
}

int proc_show_filesystems(struct pnode *n, struct strbuf *b)
{
	static const char *const known[] = { "sysfs", "tmpfs", "devtmpfs", "proc", "cgroup", "cgroup2", "devpts", "mqueue", "overlay", "ramfs", "debugfs" };

	for (unsigned i = 0; i < ARRAY_SIZE(known); i++)
		if (get_fs_type(known[i]))
			strbuf_printf(b, "nodev\t%s\n", known[i]);
	return 0;
}

int proc_show_interrupts(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "           ");
	for (int i = 0; i < pnode_kernel(n)->ncpus; i++)
		strbuf_printf(b, "CPU%-8d", i);
	strbuf_printf(b, "\n");
	return 0;
}

int proc_show_vmstat(struct pnode *n, struct strbuf *b)
{
	static const char *const zero[] = { "nr_zone_inactive_anon", "nr_zone_active_anon", "nr_zone_inactive_file", "nr_zone_active_file",
		"nr_mlock", "nr_inactive_anon", "nr_active_anon", "nr_inactive_file", "nr_active_file", "nr_anon_pages", "nr_mapped",
		"nr_file_pages", "nr_dirty", "nr_writeback", "nr_shmem", "pgpgin", "pgpgout", "pswpin", "pswpout", "pgfree", "pgactivate",
		"pgdeactivate", "pgfault", "pgmajfault", "oom_kill" };
	struct sysinfo si;

	strbuf_printf(b, "nr_free_pages %llu\n", sysinfo(&si) == 0 ? (unsigned long long)si.freeram * si.mem_unit / 4096 : 0ULL);
	for (unsigned i = 0; i < ARRAY_SIZE(zero); i++)
		strbuf_printf(b, "%s 0\n", zero[i]);
	return 0;
}
