/* SPDX-License-Identifier: Apache-2.0 */
/* rank.h: the lock order of the whole kernel, outermost first. A thread may only take a lock whose rank is greater than
 * the ranks that it holds; debug builds check it at run time. Two locks of one rank are only taken through
 * mutex_lock_nested(), where the caller states the order. Sleep locks rank like the others, but may be held across a park. */
#ifndef BAILEY_SCHED_RANK_H
#define BAILEY_SCHED_RANK_H

enum lock_rank {
	RANK_NONE,
	RANK_KERNEL_EXT,	 /* kernel.ext_lock */
	RANK_EXEC,		 /* thread_group.exec_lock (sleep) */
	RANK_FILE_POS,		 /* file.pos_lock (sleep): held around read, write and readdir, which take inode locks */
	RANK_VFS_RENAME,	 /* filesystem.rename_lock (sleep) */
	RANK_VFS_INODE,		 /* inode.lock (sleep): parent before child; two of a kind nested by address */
	RANK_SEQ_FILE,		 /* the text of an open file of proc or sys (sleep) */
	RANK_OVERLAY,		 /* overlay: copy-up of one file (sleep) */
	RANK_OVERLAY_UPPER,	 /* locks of the inodes that an overlay keeps data in (sleep) */
	RANK_MM_MAP,		 /* mm.map_lock (sleep) */
	RANK_EPOLL,		 /* epoll instance (mutex), nested by depth */
	RANK_SOCKET,		 /* socket and unix-socket locks (mutex) */
	RANK_PIPE,		 /* pipe.lock (sleep) */
	RANK_TTY,		 /* tty.lock */
	RANK_TG_TIMER,		 /* thread_group.timer_lock */
	RANK_KTIMER,		 /* posix timer */
	RANK_TASK_SET,		 /* task_set.lock: the process tree */
	RANK_SIGNAL,		 /* signal_handlers.lock, "the signal lock" */
	RANK_TASK,		 /* task.lock */
	RANK_RUNNING_TASKS,	 /* kernel.running_tasks_lock */
	RANK_MOUNT,		 /* mount namespace lock */
	RANK_DENTRY,		 /* dentry tree (mutex, short) */
	RANK_FS,		 /* a file system's own leaf lock */
	RANK_MAPPING,		 /* file mapping, shared memory object */
	RANK_FS_CONTEXT,	 /* fs_context.lock */
	RANK_FD_TABLE,		 /* fd_table.lock */
	RANK_FUTEX,		 /* futex bucket */
	RANK_HOST_POLL,		 /* the table of watched host descriptors: held while their wait queues are woken */
	RANK_WAITQ,		 /* wait_queue.lock */
	RANK_EPOLL_READY,	 /* epoll ready list: taken from wake-up callbacks */
	RANK_PLATFORM,		 /* platform internals */
	RANK_SCHED,		 /* run queue, timers, poller */
	RANK_LEAF,
};

#endif
