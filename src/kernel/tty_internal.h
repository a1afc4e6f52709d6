/* SPDX-License-Identifier: Apache-2.0 */
/* tty_internal.h: what the tty*.c files share. */
#ifndef BAILEY_KERNEL_TTY_INTERNAL_H
#define BAILEY_KERNEL_TTY_INTERNAL_H
#include "kernel/tty.h"
#include <asm/ioctls.h>
#include <asm/termbits.h>

#define N_TTY_BUF 4096u
#define TTY_OUT_BUF 16384u /* slave to master or host */
#define TTY_INQ_BUF 8192u  /* master to line discipline, while that is full */
#define TTY_ECHO_BUF 4096u /* echoes while output is stopped */
#define TTY_IN (EPOLLIN | EPOLLRDNORM)
#define TTY_OUT (EPOLLOUT | EPOLLWRNORM)

struct winsize_k { uint16_t row, col, xpixel, ypixel; };

struct tty_ring { /* size is a power of two; head and tail run freely */
	uint8_t *buf;
	unsigned size, head, tail;
};
static inline unsigned ring_used(const struct tty_ring *r) { return r->head - r->tail; }
static inline unsigned ring_room(const struct tty_ring *r) { return r->size - ring_used(r); }
static inline void ring_put(struct tty_ring *r, uint8_t c) { r->buf[r->head++ & (r->size - 1)] = c; }
static inline uint8_t ring_get(struct tty_ring *r) { return r->buf[r->tail++ & (r->size - 1)]; }

struct tty_host;
struct tty {
	/* immutable */
	struct refcount ref;
	struct kernel *kernel;
	struct tty_host *host; /* owned; NULL: a pseudo-terminal */

	struct mutex lock; /* RANK_TTY: what follows */
	int index;	   /* pts number; -1: none yet */
	struct devpts_hooks devpts;
	struct termios2 termios;
	struct termios locked; /* TIOCSLCKTRMIOS: bits and fields that nobody may change */
	struct winsize_k winsize;
	/* line discipline: free-running positions in `in`; a set delim bit ends a line there */
	uint8_t in[N_TTY_BUF];
	uint64_t delim[N_TTY_BUF / 64];
	unsigned head, tail, canon;
	unsigned column, canon_column;
	bool lnext, erasing;
	bool stopped;	  /* by VSTOP or TCOOFF */
	bool tco_stopped; /* by TCOOFF: only TCOON starts it */
	bool push;	  /* leaving raw mode made what was there a line */
	struct tty_ring out, inq, echo;
	/* ends */
	bool pt_locked, master_open, slave_opened, exclusive, packet, writing;
	unsigned slave_count;
	uint8_t pktstatus;
	unsigned nasync;
	struct file **async; /* O_ASYNC files of both ends, borrowed */
	int64_t gen; /* of open files: hang-ups so far; read without the lock */
	struct wait_queue read_wait, write_wait;	    /* slave's */
	struct wait_queue master_read_wait, master_write_wait; /* also the host pump's */

	struct session *session; /* whose controlling terminal; counted; task_set.lock */
};

#define I_FLAG(t, f) ((t)->termios.c_iflag & (f))
#define O_FLAG(t, f) ((t)->termios.c_oflag & (f))
#define L_FLAG(t, f) ((t)->termios.c_lflag & (f))
#define CC(t, c) ((t)->termios.c_cc[c])
static inline bool is_cc(const struct tty *t, int which, uint8_t c) { return c && t->termios.c_cc[which] == c; }
static inline bool tty_hung_up(struct file *f, struct tty *t) { return READ_ONCE(t->gen) != f->pos; }

struct tty *tty_alloc(struct kernel *k);
void tty_wake_output(struct tty *t); /* something is in t->out; lock held */
void tty_sigio(struct tty *t, bool master, int code); /* lock held */

/* tty_ldisc.c: lock held */
unsigned ldisc_receive(struct tty *t, const uint8_t *buf, unsigned n); /* bytes taken; then the buffer is full */
void ldisc_pull_inq(struct tty *t);				       /* after room came */
unsigned ldisc_output(struct tty *t, const uint8_t *buf, unsigned n); /* bytes processed into t->out */
void ldisc_flush_echoes(struct tty *t);
bool ldisc_input_available(struct tty *t, bool poll);
unsigned ldisc_inq_bytes(struct tty *t); /* FIONREAD */
void ldisc_termios_changed(struct tty *t, const struct termios2 *old);
void ldisc_flush_input(struct tty *t);
void tty_flush_output(struct tty *t);
void tty_stop(struct tty *t);
void tty_start(struct tty *t);
void tty_pkt(struct tty *t, uint8_t set, uint8_t clear);

/* tty_job.c: no locks, or the tty lock */
int tty_check_change(struct tty *t, int sig); /* may the running task's group do this from the background? 0, -EIO, -ERESTARTSYS */
void tty_signal_foreground(struct tty *t, int sig);
int tty_acquire(struct tty *t, struct task *me, bool steal, bool readable); /* TIOCSCTTY */
void tty_open_acquires(struct tty *t, struct file *f);
int tty_notty(struct tty *t, struct task *me);
int tty_get_pgrp(struct tty *t, struct task *me, bool master);
int tty_set_pgrp(struct tty *t, struct task *me, int nr);
int tty_get_sid(struct tty *t, struct task *me, bool master);
void tty_do_hangup(struct tty *t, bool exit_session);
void tty_job_init(struct kernel *k);
void tty_session_put(struct tty *t);

/* tty_ioctl.c */
long tty_ioctl_common(struct tty *t, struct file *f, unsigned cmd, uint64_t arg, bool master);

/* tty_host.c */
int tty_host_drain(struct tty *t, bool nonblock, ktime_t deadline); /* own fiber, no locks: until the output is written. 0 or -errno */
void tty_host_free(struct tty_host *h);

#endif
