/* SPDX-License-Identifier: Apache-2.0 */
/* machine.c: files of /proc that tell of the kernel and the machine: config.gz, locks, softirqs, buddyinfo, zoneinfo, tty/. Guests have no
 * hardware: what lists devices, interrupts or the addresses of either is short or not there. */
#include "fs/proc/proc_internal.h"
#include "vfs/locks.h"
#include <stdio.h>
#include <sys/sysinfo.h>

/* ---- config.gz: what a kernel with Bailey's abilities would have been made with ---- */

static const char config[] =
	"#\n# Bailey " BAILEY_VERSION ", as Linux/x86 " UTS_RELEASE "\n#\n"
	"CONFIG_64BIT=y\nCONFIG_X86_64=y\nCONFIG_X86=y\nCONFIG_MMU=y\nCONFIG_SMP=y\nCONFIG_MULTIUSER=y\nCONFIG_HZ=100\n"
	"# CONFIG_IA32_EMULATION is not set\n# CONFIG_X86_X32_ABI is not set\n# CONFIG_MODULES is not set\n"
	"CONFIG_SYSVIPC=y\nCONFIG_SYSVIPC_SYSCTL=y\nCONFIG_POSIX_MQUEUE=y\nCONFIG_POSIX_MQUEUE_SYSCTL=y\nCONFIG_CROSS_MEMORY_ATTACH=y\n"
	"CONFIG_NAMESPACES=y\nCONFIG_UTS_NS=y\nCONFIG_TIME_NS=y\nCONFIG_IPC_NS=y\nCONFIG_USER_NS=y\nCONFIG_PID_NS=y\n# CONFIG_NET_NS is not set\n"
	"CONFIG_CHECKPOINT_RESTORE=y\nCONFIG_KCMP=y\nCONFIG_SCHED_AUTOGROUP=y\nCONFIG_POSIX_TIMERS=y\nCONFIG_HIGH_RES_TIMERS=y\nCONFIG_PRINTK=y\n"
	"CONFIG_FUTEX=y\nCONFIG_FUTEX_PI=y\nCONFIG_EPOLL=y\nCONFIG_SIGNALFD=y\nCONFIG_TIMERFD=y\nCONFIG_EVENTFD=y\nCONFIG_SHMEM=y\nCONFIG_AIO=y\n"
	"CONFIG_ADVISE_SYSCALLS=y\nCONFIG_MEMBARRIER=y\nCONFIG_RSEQ=y\nCONFIG_MEMFD_CREATE=y\nCONFIG_NUMA=y\nCONFIG_TASK_IO_ACCOUNTING=y\n"
	"CONFIG_SECCOMP=y\nCONFIG_SECCOMP_FILTER=y\nCONFIG_SECURITY_YAMA=y\nCONFIG_BINFMT_ELF=y\nCONFIG_BINFMT_SCRIPT=y\nCONFIG_COREDUMP=y\nCONFIG_ELF_CORE=y\n"
	"CONFIG_TTY=y\nCONFIG_UNIX98_PTYS=y\nCONFIG_NET=y\nCONFIG_UNIX=y\nCONFIG_INET=y\nCONFIG_IPV6=y\n"
	"CONFIG_TMPFS=y\nCONFIG_TMPFS_XATTR=y\nCONFIG_PROC_FS=y\nCONFIG_PROC_SYSCTL=y\nCONFIG_PROC_PAGE_MONITOR=y\nCONFIG_PROC_CHILDREN=y\nCONFIG_SYSFS=y\n"
	"CONFIG_DEVTMPFS=y\nCONFIG_INOTIFY_USER=y\nCONFIG_DNOTIFY=y\nCONFIG_FILE_LOCKING=y\nCONFIG_IKCONFIG=y\nCONFIG_IKCONFIG_PROC=y\n"
#ifdef BAILEY_KCOV
	"CONFIG_KCOV=y\nCONFIG_DEBUG_FS=y\n"
#else
	"# CONFIG_KCOV is not set\n"
#endif
	"# CONFIG_CGROUPS is not set\n# CONFIG_KEYS is not set\n# CONFIG_BPF_SYSCALL is not set\n# CONFIG_IO_URING is not set\n# CONFIG_USERFAULTFD is not set\n"
	"# CONFIG_FANOTIFY is not set\n# CONFIG_PERF_EVENTS is not set\n# CONFIG_PSI is not set\n# CONFIG_QUOTA is not set\n# CONFIG_SWAP is not set\n"
	"# CONFIG_KSM is not set\n# CONFIG_MEM_SOFT_DIRTY is not set\n# CONFIG_SCHED_CORE is not set\n# CONFIG_HUGETLBFS is not set\n";

static void put_le(struct strbuf *b, uint32_t v, int bytes)
{
	for (int i = 0; i < bytes; i++, v >>= 8)
		strbuf_write(b, &(char){ (char)v }, 1);
}

/* gzip (RFC 1952) around one stored block. */
int proc_show_config(struct pnode *n, struct strbuf *b)
{
	uint32_t crc = ~0u, len = sizeof(config) - 1;

	_Static_assert(sizeof(config) < 65536, "one block");
	strbuf_write(b, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
	put_le(b, 1, 1);
	put_le(b, len, 2);
	put_le(b, ~len, 2);
	strbuf_write(b, config, len);
	for (uint32_t i = 0; i < len; i++) {
		crc ^= (unsigned char)config[i];
		for (int k = 0; k < 8; k++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
	}
	put_le(b, ~crc, 4);
	put_le(b, len, 4);
	return 0;
}

int proc_config_fill(struct pnode *n)
{
	n->inode->size = sizeof(config) - 1 + 10 + 5 + 8;
	return 0;
}

/* ---- locks: they belong to open files, so all are found through those ---- */

struct seen { struct inode **v; size_t n, cap; };

static bool first_time(struct seen *s, struct inode *i)
{
	for (size_t k = 0; k < s->n; k++)
		if (s->v[k] == i)
			return false;
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 16;
		s->v = xrealloc(s->v, s->cap * sizeof(struct inode *));
	}
	inode_get(i);
	s->v[s->n++] = i;
	return true;
}

int proc_show_locks(struct pnode *n, struct strbuf *b)
{
	struct pid_namespace *ns = pnode_ns(n);
	struct seen seen = { 0 };
	int k = 0;

	for (int nr = 0; (nr = pidns_next_tgid(ns, nr + 1)) > 0;) {
		struct task *t __free(task) = pidns_task_with_id(ns, nr);
		struct fd_table *fdt __free(fdt) = t ? task_fdt_get(t) : NULL;
		for (int fd = -1; fdt && (fd = fd_next(fdt, fd + 1)) >= 0;) {
			struct file *f = fd_get_raw(fdt, fd);
			if (f && f->inode && atomic_load(&f->inode->locks) && first_time(&seen, f->inode))
				locks_show(f->inode, NULL, "", &k, b);
			if (f)
				file_put(f);
		}
	}
	while (seen.n)
		inode_put(seen.v[--seen.n]);
	free(seen.v);
	return 0;
}

/* ---- interrupts that there are not ---- */

int proc_show_softirqs(struct pnode *n, struct strbuf *b)
{
	static const char *const names[] = { "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER", "RCU" };

	strbuf_puts(b, "                    ");
	for (int i = 0; i < pnode_kernel(n)->ncpus; i++)
		strbuf_printf(b, "CPU%-8d", i);
	strbuf_puts(b, "\n");
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		strbuf_printf(b, "%12s:", names[i]);
		for (int c = 0; c < pnode_kernel(n)->ncpus; c++)
			strbuf_printf(b, " %10d", 0);
		strbuf_puts(b, "\n");
	}
	return 0;
}

/* ---- memory: one zone ---- */

static uint64_t pages_of(struct kernel *k, uint64_t *total)
{
	struct sysinfo si;

	if (sysinfo(&si))
		return *total = 0;
	uint64_t all = (uint64_t)si.totalram * si.mem_unit, free_bytes = (uint64_t)si.freeram * si.mem_unit;
	if (k->memory_limit && k->memory_limit < all) {
		all = k->memory_limit;
		free_bytes = MIN(free_bytes, all - MIN(all, atomic_load(&k->memory_used)));
	}
	*total = all / 4096;
	return free_bytes / 4096;
}

int proc_show_buddyinfo(struct pnode *n, struct strbuf *b)
{
	uint64_t total, left = pages_of(pnode_kernel(n), &total);

	strbuf_puts(b, "Node 0, zone   Normal ");
	for (int order = 0; order < 11; order++)
		strbuf_printf(b, "%6llu ", (unsigned long long)(order == 10 ? left >> 10 : left >> order & 1));
	strbuf_puts(b, "\n");
	return 0;
}

int proc_show_zoneinfo(struct pnode *n, struct strbuf *b)
{
	uint64_t total, left = pages_of(pnode_kernel(n), &total);

	strbuf_printf(b, "Node 0, zone   Normal\n  pages free     %llu\n        min      0\n        low      0\n        high     0\n        spanned  %llu\n"
			 "        present  %llu\n        managed  %llu\n  start_pfn:           0\n",
		      (unsigned long long)left, (unsigned long long)total, (unsigned long long)total, (unsigned long long)total);
	return 0;
}

/* ---- tty ---- */

static const struct pentry none[] = { { 0 } };
const struct pentry proc_tty_table[] = {
	P_DIR("driver", 0555, .dir = none),
	P_TEXT("drivers", 0444,
	       "/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
	       "/dev/console         /dev/console    5       1 system:console\n"
	       "/dev/ptmx            /dev/ptmx       5       2 system\n"
	       "pty_slave            /dev/pts      136 0-1048575 pty:slave\n"
	       "pty_master           /dev/ptm      128 0-1048575 pty:master\n"),
	P_DIR("ldisc", 0555, .dir = none),
	P_TEXT("ldiscs", 0444, "n_tty       0\n"),
	{ 0 },
};
