/* SPDX-License-Identifier: Apache-2.0 */
/* restart.h: what a system call returns, inside the kernel only, when a signal interrupted it. As Linux's include/linux/errno.h. */
#ifndef BAILEY_LIB_RESTART_H
#define BAILEY_LIB_RESTART_H

#define ERESTARTSYS 512		  /* restart if SA_RESTART, else EINTR; always if no handler runs */
#define ERESTARTNOINTR 513	  /* restart always */
#define ERESTARTNOHAND 514	  /* EINTR if a handler runs, else restart */
#define ENOIOCTLCMD 515		  /* no such ioctl here: becomes ENOTTY */
#define ERESTART_RESTARTBLOCK 516 /* restart through task->restart_block, EINTR if a handler runs */

#endif
