/* SPDX-License-Identifier: Apache-2.0 */
/* debugfs.c: the "debugfs" file system, which is there for kcov alone: in a build with -Dkcov=true. */
#include "fs/proc/proc.h"
#include "fs/proc/pseudo.h"
#include "kernel/kcov.h"

static int open_kcov(struct pnode *n, struct file *f) { return kcov_open(f); }

static int debugfs_mount(struct kernel *k, const char *source, unsigned long flags, const char *data, struct super_block **out)
{
	static const struct pentry table[] = { P_FILE("kcov", 0600, NULL, .open = open_kcov), { 0 } };
	static const struct pentry root = { .name = "/", .mode = S_IFDIR | 0700, .dir = table };
	static const struct super_ops ops = { .statfs = pseudo_statfs };

	return pseudo_super(k, "debugfs", 0x64626720, &root, NULL, &ops, out);
}

void debugfs_register(void)
{
	static const struct file_system_type t = { .name = "debugfs", .mount = debugfs_mount, .nodev = true };

	register_filesystem(&t);
}
