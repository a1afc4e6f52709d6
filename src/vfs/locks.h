/* SPDX-License-Identifier: Apache-2.0 */
/* locks.h: locks on files, for fcntl(2) and flock(2). Ranges are absolute, ends inclusive (INT64_MAX: to the end of the file). */
#ifndef BAILEY_VFS_LOCKS_H
#define BAILEY_VFS_LOCKS_H
#include "vfs/vfs.h"

enum lock_kind { LOCK_KIND_POSIX, LOCK_KIND_OFD, LOCK_KIND_FLOCK };
struct lock_info { int type, pid; int64_t start, end; }; /* pid: as given to vfs_setlk; -1 for OFD locks */

int vfs_flock(struct file *f, int op, int pid /* shown */); /* LOCK_SH, EX, UN, with LOCK_NB; -ERESTARTSYS when interrupted */
/* type: F_RDLCK, F_WRLCK, F_UNLCK. -EAGAIN, -EDEADLK, -ERESTARTSYS */
int vfs_setlk(struct file *f, enum lock_kind kind, void *owner, int pid, int type, int64_t start, int64_t end, bool wait);
bool vfs_getlk(struct file *f, enum lock_kind kind, void *owner, int type, int64_t start, int64_t end, struct lock_info *out);
/* fcntl(2)'s leases. type: F_RDLCK, F_WRLCK, F_UNLCK; fd: for si_fd. 0, -EACCES, -EINVAL, -EAGAIN, -ENOMEM */
int vfs_setlease(struct file *f, int fd, int type);
int vfs_getlease(struct file *f); /* what the holder has, or must come down to while it is being broken */
extern _Atomic int lease_break_time; /* seconds; /proc/sys/fs/lease-break-time */
/* Lines of /proc/locks, or with owners (a file, a table; NULL: all) of /proc/PID/fdinfo; nr counts them. */
void locks_show(struct inode *i, const void *const owners[2], const char *prefix, int *nr, struct strbuf *b);

#endif
