/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs.h: the in-memory file system. */
#ifndef BAILEY_FS_TMPFS_H
#define BAILEY_FS_TMPFS_H
#include "vfs/vfs.h"

void tmpfs_register(void); /* at start: "tmpfs" for mount(2) */
/* A super block without mount(2): options as in mount -o ("mode=1777,size=64m"), or NULL. */
int tmpfs_create(struct kernel *k, const char *options, struct super_block **out);

#endif
