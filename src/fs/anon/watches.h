/* SPDX-License-Identifier: Apache-2.0 */
/* watches.h: who is told what happens to an inode: inode.watches, shared by inotify.c and dnotify.c. */
#ifndef BAILEY_FS_ANON_WATCHES_H
#define BAILEY_FS_ANON_WATCHES_H
#include "vfs/vfs.h"

struct watch;
struct dnotify;
LIST_HEAD(watch_list, watch);
struct inode_watches {
	struct mutex lock; /* RANK_MAPPING */
	struct watch_list list;
	LIST_HEAD(, dnotify) dnotify;
};
struct inode_watches *watches_of(struct inode *i); /* made when there is none; NULL: no memory */
void dnotify_deliver(struct inode *dir, uint32_t mask);

#endif
