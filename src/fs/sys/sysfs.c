/* SPDX-License-Identifier: Apache-2.0 */
/* sysfs.c: the "sysfs" file system: the little of sysfs(5) that programs look for. */
#include "fs/proc/proc.h"
#include "fs/proc/pseudo.h"
#include <dirent.h>
#include <stdio.h>

static int show_range(struct pnode *n, struct strbuf *b)
{
	int cpus = pnode_kernel(n)->ncpus;

	strbuf_printf(b, cpus > 1 ? "0-%d\n" : "0\n", cpus - 1);
	return 0;
}

static int show_kernel_max(struct pnode *n, struct strbuf *b)
{
	strbuf_printf(b, "%d\n", pnode_kernel(n)->ncpus - 1);
	return 0;
}

/* Every CPU is shown as a core of its own in one package: how they really share is the host's affair. */
static void show_mask(struct strbuf *b, int n, int first, int last)
{
	for (int w = (n + 31) / 32 - 1; w >= 0; w--) {
		uint32_t v = 0;

		for (int c = first; c <= last; c++)
			if (c / 32 == w)
				v |= 1u << c % 32;
		if (w == (n + 31) / 32 - 1)
			strbuf_printf(b, "%0*x", ((n - 1) % 32) / 4 + 1, v);
		else
			strbuf_printf(b, ",%08x", v);
	}
	strbuf_printf(b, "\n");
}

enum { T_CORE_ID, T_SELF_MASK, T_SELF_LIST, T_ALL_MASK, T_ALL_LIST };
static int show_topology(struct pnode *n, struct strbuf *b)
{
	int cpus = pnode_kernel(n)->ncpus, cpu = n->n;

	switch (n->e->arg) {
	case T_CORE_ID:
	case T_SELF_LIST: strbuf_printf(b, "%d\n", cpu); break;
	case T_SELF_MASK: show_mask(b, cpus, cpu, cpu); break;
	case T_ALL_MASK: show_mask(b, cpus, 0, cpus - 1); break;
	case T_ALL_LIST: return show_range(n, b);
	}
	return 0;
}

static const struct pentry topology_table[] = {
	P_FILE("core_id", 0444, show_topology, .arg = T_CORE_ID),
	P_TEXT("physical_package_id", 0444, "0\n"),
	P_TEXT("die_id", 0444, "0\n"),
	P_FILE("thread_siblings", 0444, show_topology, .arg = T_SELF_MASK),
	P_FILE("thread_siblings_list", 0444, show_topology, .arg = T_SELF_LIST),
	P_FILE("core_cpus", 0444, show_topology, .arg = T_SELF_MASK),
	P_FILE("core_cpus_list", 0444, show_topology, .arg = T_SELF_LIST),
	P_FILE("core_siblings", 0444, show_topology, .arg = T_ALL_MASK),
	P_FILE("core_siblings_list", 0444, show_topology, .arg = T_ALL_LIST),
	P_FILE("package_cpus", 0444, show_topology, .arg = T_ALL_MASK),
	P_FILE("package_cpus_list", 0444, show_topology, .arg = T_ALL_LIST),
	{ 0 },
};
static const struct pentry cpu_entry_table[] = {
	P_DIR("topology", 0755, .dir = topology_table),
	P_TEXT("online", 0444, "1\n"),
	{ 0 },
};
static const struct pentry cpu_entry = { .name = "", .mode = S_IFDIR | 0755, .dir = cpu_entry_table };

static int cpu_lookup(struct pnode *dir, const char *name, struct inode **out)
{
	char want[16];
	int n;

	if (sscanf(name, "cpu%d", &n) != 1 || n < 0 || n >= pnode_kernel(dir)->ncpus)
		return -ENOENT;
	snprintf(want, sizeof(want), "cpu%d", n);
	if (strcmp(want, name))
		return -ENOENT;
	*out = pseudo_inode(dir->inode->sb, dir, &cpu_entry, name, NULL, n);
	return 0;
}

static int cpu_iterate(struct pnode *dir, struct dir_context *c)
{
	char name[16];

	for (int i = c->pos - PSEUDO_DYN; i < pnode_kernel(dir)->ncpus; i++) {
		int n = snprintf(name, sizeof(name), "cpu%d", i);

		if (!c->emit(c, name, n, 0x1000 + i, DT_DIR, PSEUDO_DYN + i + 1))
			return 0;
		c->pos = PSEUDO_DYN + i + 1;
	}
	return 0;
}

static const struct pentry empty_table[] = { { 0 } };
static const struct pentry node0_table[] = {
	P_FILE("cpulist", 0444, show_range),
	P_FILE("cpumap", 0444, show_topology, .arg = T_ALL_MASK),
	P_TEXT("distance", 0444, "10\n"),
	{ 0 },
};
static const struct pentry node_table[] = {
	P_TEXT("online", 0444, "0\n"),
	P_TEXT("possible", 0444, "0\n"),
	P_TEXT("has_cpu", 0444, "0\n"),
	P_TEXT("has_memory", 0444, "0\n"),
	P_TEXT("has_normal_memory", 0444, "0\n"),
	P_DIR("node0", 0755, .dir = node0_table),
	{ 0 },
};
static const struct pentry cpu_table[] = {
	P_FILE("kernel_max", 0444, show_kernel_max),
	P_TEXT("offline", 0444, "\n"),
	P_TEXT("isolated", 0444, "\n"),
	P_FILE("online", 0444, show_range),
	P_FILE("possible", 0444, show_range),
	P_FILE("present", 0444, show_range),
	{ 0 },
};
static const struct pentry system_table[] = {
	P_DIR("cpu", 0755, .dir = cpu_table, .lookup = cpu_lookup, .iterate = cpu_iterate),
	P_DIR("node", 0755, .dir = node_table),
	{ 0 },
};
static const struct pentry lo_table[] = {
	P_TEXT("address", 0444, "00:00:00:00:00:00\n"),
	P_TEXT("addr_len", 0444, "6\n"),
	P_TEXT("broadcast", 0444, "00:00:00:00:00:00\n"),
	P_TEXT("carrier", 0444, "1\n"),
	P_TEXT("flags", 0444, "0x9\n"),
	P_TEXT("ifindex", 0444, "1\n"),
	P_TEXT("iflink", 0444, "1\n"),
	P_TEXT("mtu", 0444, "65536\n"),
	P_TEXT("operstate", 0444, "unknown\n"),
	P_TEXT("type", 0444, "772\n"),
	P_TEXT("tx_queue_len", 0444, "1000\n"),
	{ 0 },
};
static const struct pentry vnet_table[] = { P_DIR("lo", 0755, .dir = lo_table), { 0 } };
static const struct pentry virtual_table[] = { P_DIR("net", 0755, .dir = vnet_table), { 0 } };
static const struct pentry devices_table[] = {
	P_DIR("system", 0755, .dir = system_table),
	P_DIR("virtual", 0755, .dir = virtual_table),
	{ 0 },
};
static const struct pentry class_net_table[] = { P_LINK("lo", "../../devices/virtual/net/lo"), { 0 } };
static const struct pentry class_table[] = {
	P_DIR("net", 0755, .dir = class_net_table),
	P_DIR("block", 0755, .dir = empty_table),
	P_DIR("power_supply", 0755, .dir = empty_table),
	P_DIR("tty", 0755, .dir = empty_table),
	{ 0 },
};
/* Guest memory is the host's private memory: madvise(MADV_HUGEPAGE) reaches it. */
static const struct pentry thp_table[] = {
	P_TEXT("enabled", 0444, "always [madvise] never\n"),
	P_TEXT("defrag", 0444, "always defer defer+madvise [madvise] never\n"),
	P_TEXT("hpage_pmd_size", 0444, "2097152\n"),
	P_TEXT("shmem_enabled", 0444, "always within_size advise [never] deny force\n"),
	P_TEXT("use_zero_page", 0444, "1\n"),
	{ 0 },
};
static const struct pentry mm_table[] = { P_DIR("transparent_hugepage", 0755, .dir = thp_table), P_DIR("hugepages", 0755, .dir = empty_table), { 0 } };
static const struct pentry kernel_table[] = {
	P_DIR("mm", 0755, .dir = mm_table),
	P_DIR("debug", 0700, .dir = empty_table),
	P_DIR("security", 0755, .dir = empty_table),
	{ 0 },
};
static const struct pentry fs_table[] = { P_DIR("cgroup", 0755, .dir = empty_table), { 0 } };
static const struct pentry root_table[] = {
	P_DIR("block", 0755, .dir = empty_table),
	P_DIR("bus", 0755, .dir = empty_table),
	P_DIR("class", 0755, .dir = class_table),
	P_DIR("dev", 0755, .dir = empty_table),
	P_DIR("devices", 0755, .dir = devices_table),
	P_DIR("firmware", 0755, .dir = empty_table),
	P_DIR("fs", 0755, .dir = fs_table),
	P_DIR("kernel", 0755, .dir = kernel_table),
	P_DIR("module", 0755, .dir = empty_table),
	P_DIR("power", 0755, .dir = empty_table),
	{ 0 },
};

static const struct super_ops sys_super_ops = { .statfs = pseudo_statfs };

static int sys_mount(struct kernel *k, const char *source, unsigned long flags, const char *data, struct super_block **out)
{
	static const struct pentry root = { .name = "/", .mode = S_IFDIR | 0555, .dir = root_table };

	return pseudo_super(k, "sysfs", 0x62656572, &root, NULL, &sys_super_ops, out);
}

void sys_register(void)
{
	static const struct file_system_type t = { .name = "sysfs", .mount = sys_mount, .nodev = true };

	register_filesystem(&t);
}
