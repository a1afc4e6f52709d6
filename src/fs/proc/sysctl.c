/* SPDX-License-Identifier: Apache-2.0 */
/* sysctl.c: /proc/sys. Constants say how Bailey is; what can be written is what has an effect. */
#include "fs/proc/proc_internal.h"
#include "fs/proc/sysctl_ipc.h"
#include "vfs/locks.h"
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/utsname.h>

static struct uts_namespace *uts(void) { return current->uts; }

static int show_hostname(struct pnode *n, struct strbuf *b)
{
	struct uts_namespace *u = uts();
	char s[65];

	mutex_lock(&u->lock);
	memcpy(s, n->e->arg ? u->domainname : u->nodename, sizeof(s));
	mutex_unlock(&u->lock);
	strbuf_printf(b, "%.64s\n", s);
	return 0;
}

static ssize_t write_hostname(struct pnode *n, char *s, size_t len)
{
	struct uts_namespace *u = uts();
	size_t l = strcspn(s, "\n");

	if (!ns_capable(current->cred, u->user_ns, 21 /* CAP_SYS_ADMIN */))
		return -EPERM;
	if (l > 64)
		l = 64;
	mutex_lock(&u->lock);
	memset(n->e->arg ? u->domainname : u->nodename, 0, 65);
	memcpy(n->e->arg ? u->domainname : u->nodename, s, l);
	mutex_unlock(&u->lock);
	return len;
}

static int parse_int(const char *s, long min, long max, long *out)
{
	char *end;

	while (*s == ' ' || *s == '\t')
		s++;
	errno = 0;
	*out = strtol(s, &end, 10);
	while (*end == '\n' || *end == ' ' || *end == '\t')
		end++;
	return end == s || *end || errno || *out < min || *out > max ? -EINVAL : 0;
}

static int show_pid_max(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "%d\n", pnode_ns(n)->max);
	return 0;
}

static ssize_t write_pid_max(struct pnode *n, char *s, size_t len)
{
	long v;

	if (!cred_has_cap(current->cred, 21))
		return -EPERM;
	if (parse_int(s, 301, 4194304, &v))
		return -EINVAL;
	mutex_lock(&pnode_kernel(n)->tasks.lock);
	pnode_ns(n)->max = v;
	mutex_unlock(&pnode_kernel(n)->tasks.lock);
	return len;
}

static int show_last_pid(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "%d\n", task_pid_ns(current)->last);
	return 0;
}

/* The next process gets the number after it, or the next that is free. */
static ssize_t write_last_pid(struct pnode *n, char *s, size_t len)
{
	struct pid_namespace *ns = task_pid_ns(current);
	long v;

	if (!ns_capable(current->cred, ns->user_ns, 40 /* CAP_CHECKPOINT_RESTORE */) && !ns_capable(current->cred, ns->user_ns, 21))
		return -EPERM;
	if (parse_int(s, 0, ns->max, &v))
		return -EINVAL;
	mutex_lock(&pnode_kernel(n)->tasks.lock);
	ns->last = v;
	mutex_unlock(&pnode_kernel(n)->tasks.lock);
	return len;
}

static int show_threads_max(struct pnode *n, struct strbuf *b)
{
	unsigned m = pnode_kernel(n)->tasks.max_tasks;

	strbuf_printf(b, "%u\n", m ? m : 4194304u);
	return 0;
}

static int show_ptrace_scope(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "%u\n", pnode_kernel(n)->yama_scope);
	return 0;
}

static ssize_t write_ptrace_scope(struct pnode *n, char *s, size_t len)
{
	struct kernel *k = pnode_kernel(n);
	long v;

	if (!cred_has_cap(current->cred, 19 /* CAP_SYS_PTRACE */))
		return -EPERM;
	if (parse_int(s, 0, 3, &v) || (k->yama_scope == 3 && v != 3))
		return -EINVAL;
	k->yama_scope = v;
	return len;
}

static int show_core_pattern(struct pnode *n, struct strbuf *b)
{
	struct kernel *k = pnode_kernel(n);

	guard(mutex)(&k->tasks.lock);
	strbuf_printf(b, "%s\n", k->core_pattern);
	return 0;
}

static ssize_t write_core_pattern(struct pnode *n, char *s, size_t len)
{
	struct kernel *k = pnode_kernel(n);
	size_t l = MIN(strcspn(s, "\n"), sizeof(k->core_pattern) - 1);

	guard(mutex)(&k->tasks.lock);
	memset(k->core_pattern, 0, sizeof(k->core_pattern));
	memcpy(k->core_pattern, s, l);
	return len;
}

static int show_core_uses_pid(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "%d\n", (int)pnode_kernel(n)->core_uses_pid);
	return 0;
}

static ssize_t write_core_uses_pid(struct pnode *n, char *s, size_t len)
{
	long v;

	if (parse_int(s, INT32_MIN, INT32_MAX, &v))
		return -EINVAL;
	pnode_kernel(n)->core_uses_pid = (uint32_t)v;
	return len;
}

static void show_uuid_bytes(const uint8_t *u, struct strbuf *b)
{
	for (int i = 0; i < 16; i++)
		strbuf_printf(b, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", u[i]);
	strbuf_printf(b, "\n");
}

static int show_uuid(struct pnode *n, struct strbuf *b)
{
	uint8_t u[16];

	if (n->e->arg)
		memcpy(u, pnode_kernel(n)->random_boot_id, 16);
	else if (getrandom(u, 16, 0) != 16)
		return -EIO;
	u[6] = (u[6] & 0x0f) | 0x40;
	u[8] = (u[8] & 0x3f) | 0x80;
	show_uuid_bytes(u, b);
	return 0;
}

static int show_file_nr(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "0\t0\t9223372036854775807\n");
	return 0;
}

static int show_lease_break(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "%d\n", atomic_load(&lease_break_time));
	return 0;
}

static ssize_t write_lease_break(struct pnode *n, char *s, size_t len)
{
	long v;

	if (parse_int(s, INT32_MIN, INT32_MAX, &v))
		return -EINVAL;
	atomic_store(&lease_break_time, (int)v);
	return len;
}

#define V(n, t) P_TEXT(n, 0444, t "\n")

static const struct pentry random_table[] = {
	P_FILE("boot_id", 0444, show_uuid, .arg = 1),
	V("entropy_avail", "256"),
	V("poolsize", "256"),
	V("urandom_min_reseed_secs", "60"),
	P_FILE("uuid", 0444, show_uuid),
	V("write_wakeup_threshold", "256"),
	{ 0 },
};
static _Atomic int *tty_knob(struct pnode *n)
{
	struct kernel *k = pnode_kernel(n);

	switch (n->e->arg) {
	case 0: return &k->pty_max;
	case 1: return &k->pty_reserve;
	case 2: return &k->pty_count;
	case 3: return &k->ldisc_autoload;
	default: return &k->legacy_tiocsti;
	}
}

static int show_tty_knob(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "%d\n", atomic_load(tty_knob(n)));
	return 0;
}

static ssize_t write_tty_knob(struct pnode *n, char *s, size_t len)
{
	long v;

	if (!cred_has_cap(current->cred, 21))
		return -EPERM;
	if (parse_int(s, 0, n->e->arg < 2 ? (n->e->arg ? 1 << 20 : INT_MAX) : 1, &v))
		return -EINVAL;
	atomic_store(tty_knob(n), (int)v);
	return len;
}

#define P_TTY(n, m, a, ...) P_FILE(n, m, show_tty_knob, .arg = a, ##__VA_ARGS__)
static const struct pentry pty_table[] = {
	P_TTY("max", 0644, 0, .write = write_tty_knob),
	P_TTY("nr", 0444, 2),
	P_TTY("reserve", 0644, 1, .write = write_tty_knob),
	{ 0 },
};
static const struct pentry dev_tty_table[] = {
	P_TTY("ldisc_autoload", 0644, 3, .write = write_tty_knob),
	P_TTY("legacy_tiocsti", 0644, 4, .write = write_tty_knob),
	{ 0 },
};
static const struct pentry dev_table[] = { P_DIR("tty", 0555, .dir = dev_tty_table), { 0 } };
static const struct pentry yama_table[] = { P_FILE("ptrace_scope", 0644, show_ptrace_scope, .write = write_ptrace_scope), { 0 } };
static const struct pentry seccomp_table[] = {
	V("actions_avail", "kill_process kill_thread trap errno user_notif trace log allow"),
	V("actions_logged", "kill_process kill_thread trap errno user_notif trace log"),
	{ 0 },
};
static const struct pentry kernel_table[] = {
	V("arch", "x86_64"),
	V("auto_msgmni", "0"),
	V("cap_last_cap", "40"),
	P_FILE("core_pattern", 0644, show_core_pattern, .write = write_core_pattern),
	V("core_pipe_limit", "0"),
	P_FILE("core_uses_pid", 0644, show_core_uses_pid, .write = write_core_uses_pid),
	V("ctrl-alt-del", "0"),
	V("dmesg_restrict", "0"),
	P_FILE("domainname", 0644, show_hostname, .write = write_hostname, .arg = 1),
	P_FILE("hostname", 0644, show_hostname, .write = write_hostname),
	V("io_uring_disabled", "2"),
	V("kptr_restrict", "0"),
	P_IPC("msg_next_id", IPCCTL_MSG_NEXT_ID),
	P_IPC("msgmax", IPCCTL_MSGMAX),
	P_IPC("msgmnb", IPCCTL_MSGMNB),
	P_IPC("msgmni", IPCCTL_MSGMNI),
	V("ngroups_max", "65536"),
	V("nmi_watchdog", "0"),
	P_FILE("ns_last_pid", 0666, show_last_pid, .write = write_last_pid),
	V("osrelease", UTS_RELEASE),
	V("ostype", UTS_SYSNAME),
	V("numa_balancing", "0"),
	V("overflowgid", "65534"),
	V("overflowuid", "65534"),
	V("panic", "0"),
	V("panic_on_oops", "0"),
	V("panic_on_warn", "0"),
	V("perf_event_max_sample_rate", "100000"),
	V("perf_event_mlock_kb", "516"),
	V("perf_event_paranoid", "3"),
	P_FILE("pid_max", 0644, show_pid_max, .write = write_pid_max),
	V("print-fatal-signals", "0"),
	V("printk", "4\t4\t1\t7"),
	P_DIR("pty", 0555, .dir = pty_table),
	P_DIR("random", 0555, .dir = random_table),
	V("randomize_va_space", "2"),
	V("sched_autogroup_enabled", "1"),
	V("sched_deadline_period_max_us", "4194304"),
	V("sched_deadline_period_min_us", "100"),
	V("sched_rr_timeslice_ms", "100"),
	V("sched_rt_period_us", "1000000"),
	V("sched_rt_runtime_us", "950000"),
	P_DIR("seccomp", 0555, .dir = seccomp_table),
	P_IPC("sem", IPCCTL_SEM),
	P_IPC("sem_next_id", IPCCTL_SEM_NEXT_ID),
	P_IPC("shm_next_id", IPCCTL_SHM_NEXT_ID),
	P_IPC("shm_rmid_forced", IPCCTL_SHM_RMID_FORCED),
	P_IPC("shmall", IPCCTL_SHMALL),
	P_IPC("shmmax", IPCCTL_SHMMAX),
	P_IPC("shmmni", IPCCTL_SHMMNI),
	V("sysctl_writes_strict", "1"),
	V("sysrq", "0"),
	V("tainted", "0"),
	P_FILE("threads-max", 0444, show_threads_max),
	V("timer_migration", "1"),
	V("unprivileged_bpf_disabled", "2"),
	V("version", UTS_VERSION),
	V("watchdog", "0"),
	P_DIR("yama", 0555, .dir = yama_table),
	{ 0 },
};
static const struct pentry vm_table[] = {
	V("compact_memory", "0"),
	V("dirty_background_bytes", "0"),
	V("dirty_background_ratio", "10"),
	V("dirty_bytes", "0"),
	V("dirty_expire_centisecs", "3000"),
	V("dirty_ratio", "20"),
	V("dirty_writeback_centisecs", "500"),
	V("drop_caches", "0"),
	V("laptop_mode", "0"),
	V("legacy_va_layout", "0"),
	V("max_map_count", "65530"),
	V("memfd_noexec", "0"),
	V("mmap_min_addr", "65536"),
	V("mmap_rnd_bits", "28"),
	V("nr_hugepages", "0"),
	V("nr_overcommit_hugepages", "0"),
	V("oom_dump_tasks", "1"),
	V("oom_kill_allocating_task", "0"),
	V("overcommit_kbytes", "0"),
	V("overcommit_memory", "1"), /* nothing is refused for being promised: the host decides */
	V("overcommit_ratio", "50"),
	V("page-cluster", "3"),
	V("panic_on_oom", "0"),
	V("swappiness", "60"),
	V("unprivileged_userfaultfd", "0"),
	V("vfs_cache_pressure", "100"),
	V("zone_reclaim_mode", "0"),
	{ 0 },
};
static const struct pentry epoll_table[] = { V("max_user_watches", "3633920"), { 0 } };
static const struct pentry inotify_table[] = { V("max_queued_events", "16384"), V("max_user_instances", "128"), V("max_user_watches", "65536"), { 0 } };
static const struct pentry mqueue_table[] = {
	P_IPC("msg_default", IPCCTL_MQ_MSG_DEFAULT),
	P_IPC("msg_max", IPCCTL_MQ_MSG_MAX),
	P_IPC("msgsize_default", IPCCTL_MQ_MSGSIZE_DEFAULT),
	P_IPC("msgsize_max", IPCCTL_MQ_MSGSIZE_MAX),
	P_IPC("queues_max", IPCCTL_MQ_QUEUES_MAX),
	{ 0 },
};
static const struct pentry binfmt_table[] = { { 0 } };
static const struct pentry fs_table[] = {
	P_FILE("aio-max-nr", 0644, proc_show_aio, .write = proc_write_aio, .arg = 1),
	P_FILE("aio-nr", 0444, proc_show_aio),
	P_DIR("binfmt_misc", 0555, .dir = binfmt_table),
	V("dentry-state", "0\t0\t45\t0\t0\t0"),
	V("dir-notify-enable", "1"),
	P_DIR("epoll", 0555, .dir = epoll_table),
	V("file-max", "9223372036854775807"),
	P_FILE("file-nr", 0444, show_file_nr),
	V("inode-nr", "0\t0"),
	V("inode-state", "0\t0\t0\t0\t0\t0\t0"),
	P_DIR("inotify", 0555, .dir = inotify_table),
	P_FILE("lease-break-time", 0644, show_lease_break, .write = write_lease_break),
	V("leases-enable", "1"),
	V("dir-notify-enable", "1"),
	V("mount-max", "100000"),
	P_DIR("mqueue", 0555, .dir = mqueue_table),
	V("nr_open", "1048576"),
	V("overflowgid", "65534"),
	V("overflowuid", "65534"),
	V("pipe-max-size", "1048576"),
	V("pipe-user-pages-hard", "0"),
	V("pipe-user-pages-soft", "16384"),
	V("protected_fifos", "0"),
	V("protected_hardlinks", "0"),
	V("protected_regular", "0"),
	V("protected_symlinks", "0"),
	V("suid_dumpable", "0"),
	{ 0 },
};
static const struct pentry net_core_table[] = {
	V("netdev_max_backlog", "1000"), V("optmem_max", "131072"), V("rmem_default", "212992"), V("rmem_max", "212992"),
	V("somaxconn", "4096"), V("wmem_default", "212992"), V("wmem_max", "212992"), { 0 },
};
static const struct pentry net_ipv4_table[] = {
	V("icmp_echo_ignore_all", "0"),
	V("ip_default_ttl", "64"),
	V("ip_forward", "0"),
	V("ip_local_port_range", "32768\t60999"),
	V("ip_local_reserved_ports", ""),
	V("ip_nonlocal_bind", "0"),
	V("ip_unprivileged_port_start", "1024"),
	V("ping_group_range", "1\t0"),
	V("tcp_congestion_control", "cubic"),
	V("tcp_available_congestion_control", "reno cubic"),
	V("tcp_fin_timeout", "60"),
	V("tcp_keepalive_intvl", "75"),
	V("tcp_keepalive_probes", "9"),
	V("tcp_keepalive_time", "7200"),
	V("tcp_max_syn_backlog", "1024"),
	V("tcp_rmem", "4096\t131072\t6291456"),
	V("tcp_sack", "1"),
	V("tcp_syncookies", "1"),
	V("tcp_timestamps", "1"),
	V("tcp_tw_reuse", "2"),
	V("tcp_window_scaling", "1"),
	V("tcp_wmem", "4096\t16384\t4194304"),
	{ 0 },
};
static const struct pentry net_unix_table[] = { V("max_dgram_qlen", "512"), { 0 } };
static const struct pentry net_ipv6_all_table[] = { V("disable_ipv6", "0"), V("forwarding", "0"), { 0 } };
static const struct pentry net_ipv6_conf_table[] = { P_DIR("all", 0555, .dir = net_ipv6_all_table), P_DIR("default", 0555, .dir = net_ipv6_all_table), { 0 } };
static const struct pentry net_ipv6_table[] = { V("bindv6only", "0"), P_DIR("conf", 0555, .dir = net_ipv6_conf_table), { 0 } };
static const struct pentry net_table[] = {
	P_DIR("core", 0555, .dir = net_core_table),
	P_DIR("ipv4", 0555, .dir = net_ipv4_table),
	P_DIR("ipv6", 0555, .dir = net_ipv6_table),
	P_DIR("unix", 0555, .dir = net_unix_table),
	{ 0 },
};
static const struct pentry user_table[] = {
	V("max_cgroup_namespaces", "32768"), V("max_inotify_instances", "128"), V("max_inotify_watches", "65536"), V("max_ipc_namespaces", "32768"),
	V("max_mnt_namespaces", "32768"), V("max_net_namespaces", "0"), V("max_pid_namespaces", "32768"), V("max_time_namespaces", "32768"),
	V("max_user_namespaces", "32768"), V("max_uts_namespaces", "32768"), { 0 },
};
const struct pentry proc_sys_table[] = {
	P_DIR("dev", 0555, .dir = dev_table),
	P_DIR("fs", 0555, .dir = fs_table),
	P_DIR("kernel", 0555, .dir = kernel_table),
	P_DIR("net", 0555, .dir = net_table),
	P_DIR("user", 0555, .dir = user_table),
	P_DIR("vm", 0555, .dir = vm_table),
	{ 0 },
};
