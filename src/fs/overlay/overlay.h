/* SPDX-License-Identifier: Apache-2.0 */
/* overlay.h: a writable tree over a read-only one. */
#ifndef BAILEY_FS_OVERLAY_H
#define BAILEY_FS_OVERLAY_H
#include "vfs/vfs.h"

/* `lower` is only read and must never change; its inodes must be unique per object. `upper` (tmpfs: an O_TMPFILE-like
 * tmpfile operation is all that is asked of it) holds the data of written files. Both are counted by the overlay. */
int overlay_create(struct kernel *k, struct super_block *lower, struct super_block *upper, struct super_block **out);

#endif
