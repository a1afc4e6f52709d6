/* SPDX-License-Identifier: Apache-2.0 */
/* host.h: a directory tree of the host as a file system ("host"), and inherited descriptors as files. */
#ifndef BAILEY_FS_HOST_H
#define BAILEY_FS_HOST_H
#include "vfs/vfs.h"

/* The tree below dirfd (taken over; O_PATH is enough). Read-only trees are taken to be immutable: everything is cached. */
int host_fs_create(struct kernel *k, int dirfd, bool ro, const char *source, struct super_block **out);
void host_fs_register(void); /* type "host", data "fd=N[,ro]" (the descriptor is taken over) */

#endif
