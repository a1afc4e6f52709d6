/* SPDX-License-Identifier: Apache-2.0 */
/* tty.h: terminals: line discipline, pseudo-terminals, the sandbox's own terminal, job control (tty_ioctl(4), pty(7), termios(3)). */
#ifndef BAILEY_KERNEL_TTY_H
#define BAILEY_KERNEL_TTY_H
#include "kernel/task.h"

struct tty;
struct termios; /* the C library's */

/* At start, after kernel_init's struct exists: hooks of controlling terminals, /dev/tty, and fasync_init(). */
void tty_init(struct kernel *k);
void tty_get(struct tty *t);
void tty_put(struct tty *t);

/* The sandbox's own terminal: in_fd and out_fd are the host's, in raw mode already; both stay the caller's. Shown to guests as the
 * first entry of the first devpts. Works without a running fiber; input is read once the scheduler runs. 0 or -errno. */
int tty_create_host(struct kernel *k, int in_fd, int out_fd, struct tty **out);
/* What the guest finds as the initial settings: the host's before raw mode. */
void tty_set_termios(struct tty *t, const struct termios *tio);
/* An open file on it, by its name in the guest's /dev where there is one. Own fiber. flags: O_RDWR and so on. */
int tty_file(struct tty *t, unsigned flags, struct file **out);
/* New size; SIGWINCH to the foreground group if it changed. Any fiber, or outside fibers. */
void tty_set_winsize(struct tty *t, unsigned rows, unsigned cols);
/* Write what guests have written to the host before the sandbox ends; waits at most until the deadline. */
void tty_host_flush(struct tty *t, ktime_t deadline);
/* Is the sandbox in the foreground of its terminal? If not, nothing is read from it, and who tries is stopped. Any fiber */
void tty_host_foreground(struct tty *t, bool yes);
bool tty_host_background(struct tty *t);
void tty_hangup(struct tty *t);

/* A process that has none takes t as its controlling terminal (kernel_create_process with foreground_tty). 0 or -EPERM */
int tty_set_controlling(struct thread_group *tg, struct tty *t);
struct tty *file_tty(struct file *f); /* borrowed; NULL if f is no terminal (the slave's for a master) */
/* Its terminal's foreground group (or NULL): borrowed; task_set.lock held */
struct process_group *tty_foreground_locked(struct thread_group *tg);
int tty_vhangup_current(struct task *t); /* vhangup(2) after its permission check */
/* For /proc/PID/stat: device number of the controlling terminal (0: none) and its foreground group in ns (-1: none). */
void tty_proc_info(struct thread_group *tg, struct pid_namespace *ns, unsigned *dev, int *pgrp);
/* isatty's device number */
unsigned tty_dev(struct tty *t);

/* ---- for fs/devpts ---- */
struct tty *tty_pty_create(struct kernel *k, int index);
int tty_open_master(struct tty *t, struct file *f); /* takes over a reference: f->private */
int tty_open_slave(struct tty *t, struct file *f);  /* takes one itself */
struct devpts_hooks {
	void (*master_closed)(struct tty *t, void *arg);
	int (*open_peer)(struct tty *t, struct file *master, unsigned flags, struct file **out);
	void *arg;
};
void tty_set_devpts(struct tty *t, const struct devpts_hooks *h, int index);
int tty_index(struct tty *t);
/* The host terminal waits here for the first devpts to show it; counted, NULL if there is none or it was taken. */
struct tty *tty_take_host(struct kernel *k);
/* The kernel's first devpts, where ptmx nodes of other file systems lead; `fresh` becomes it if there is none. */
void *tty_first_devpts(struct kernel *k, void *fresh, void (*place)(void *devpts, struct tty *t /* counted reference taken over */));
void tty_forget_devpts(struct kernel *k, void *devpts);

#endif
