/* SPDX-License-Identifier: Apache-2.0 */
/* inotify.h: inotify(7). */
#ifndef BAILEY_FS_ANON_INOTIFY_H
#define BAILEY_FS_ANON_INOTIFY_H
#include "vfs/vfs.h"

void inotify_register(void); /* at start: vfs_hooks.notify, notify_file, watches_release */
int inotify_create(unsigned flags /* IN_NONBLOCK */, struct file **out);
bool file_is_inotify(struct file *f);
int inotify_add(struct file *f, struct inode *inode, uint32_t mask); /* the watch descriptor, or -errno */
int inotify_rm(struct file *f, int wd);
/* fcntl(2)'s F_NOTIFY, for the descriptor fd of f in the table `owner`. mask: DN_; 0 takes it back. 0, -ENOTDIR, -ENOMEM */
int dnotify_set(struct file *f, int fd, void *owner, uint32_t mask);
void dnotify_flush(struct file *f, void *owner); /* vfs_hooks.dnotify_flush */

#endif
