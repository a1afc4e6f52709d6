/* SPDX-License-Identifier: Apache-2.0 */
/* tty_internal.h: what the tty*.c files share. */
#ifndef BAILEY_KERNEL_TTY_INTERNAL_H
#define BAILEY_KERNEL_TTY_INTERNAL_H
#include "kernel/tty.h"
#include <asm/ioctls.h>
#include <asm/termbits.h>

#define N_TTY_BUF 4096u
#define TTY_HOST_OUT 16384u /* to the host's terminal */
#define FLIP_LIMIT 8192	    /* what a pseudo-terminal's flip buffer counts, not what it holds */
#define TTY_WAKE_BELOW 128u /* a writer is woken when the other end's reader has left no more than this */
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

/* Bytes on their way to an end whose reader's buffer is full. Linux keeps them in a list of blocks and counts the blocks: how much a
 * full terminal takes depends on the sizes of the writes, so that the same is done here. */
struct flip_block {
	struct flip_block *next;
	unsigned size; /* as counted; twice that fits */
	unsigned used, read, seen; /* seen: looked through for flow control already */
	uint8_t data[];
};
struct tty_flip {
	struct flip_block *head, *tail;
	int mem;
};

/* What each end has of its own. */
struct tty_end {
	struct tty_flip flip; /* written by the other end (or the host's keyboard), not received yet */
	bool stopped;	      /* its output: by VSTOP or TCOOFF */
	bool tco_stopped;     /* by TCOOFF: only TCOON starts it */
	bool writing, reading; /* somebody is */
	bool exclusive;
	bool other_closed;    /* the slave: the master is closed; the master: the last open slave was closed */
	bool want_out;	      /* an O_ASYNC writer found it full */
	unsigned opens;
	struct wait_queue read_wait, write_wait;
};

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
	unsigned lookahead; /* so many of the next bytes were looked through for flow control already */
	bool lnext, erasing, receiving;
	bool io_error; /* the slave cannot be used: not opened, or its last opening failed */
	/* Echoes: bytes, and operations after 0377 (tty_ldisc.c). [tail, commit) may be written, [commit, mark) soon, up to head at the end */
	uint8_t echo[N_TTY_BUF];
	unsigned echo_head, echo_mark, echo_commit, echo_tail;
	struct tty_ring out; /* what the master can read, or the host has to write */
	/* ends */
	struct tty_end slave, master;
	bool pt_locked, packet;
	uint8_t pktstatus;
	unsigned nasync;
	struct file **async; /* O_ASYNC files of both ends, borrowed */
	int64_t gen; /* of the slave's open files: hang-ups so far; read without the lock */
	int64_t master_gen;

	/* task_set.lock: whose controlling terminal, and its foreground group (any number's identity may be one). Counted */
	struct session *session;
	struct pid *pgrp;
};

#define I_FLAG(t, f) ((t)->termios.c_iflag & (f))
#define O_FLAG(t, f) ((t)->termios.c_oflag & (f))
#define L_FLAG(t, f) ((t)->termios.c_lflag & (f))
#define CC(t, c) ((t)->termios.c_cc[c])
static inline bool is_cc(const struct tty *t, int which, uint8_t c) { return c && t->termios.c_cc[which] == c; }
/* Lines are read: no raw mode, and nobody at the other end makes them (EXTPROC). */
static inline bool lines(const struct tty *t) { return (t->termios.c_lflag & (ICANON | EXTPROC)) == ICANON; }

extern const struct termios2 tty_default_termios;
extern const struct file_ops tty_slave_ops, tty_master_ops;
static inline bool tty_is_master(struct file *f) { return f->ops == &tty_master_ops; }
static inline bool tty_hung_up(struct file *f, struct tty *t)
{
	return (tty_is_master(f) ? READ_ONCE(t->master_gen) : READ_ONCE(t->gen)) != f->pos;
}

struct tty *tty_alloc(struct kernel *k, bool host);
void tty_sigio(struct tty *t, bool master, int code); /* lock held */

/* tty_flip.c: lock held */
unsigned flip_insert(struct tty_flip *f, const uint8_t *buf, unsigned n); /* bytes taken */
int flip_space(const struct tty_flip *f);	  /* what poll(2) and output processing go by */
unsigned flip_peek(struct tty_flip *f, uint8_t **p); /* bytes that can be received at *p */
bool flip_empty(const struct tty_flip *f);
void flip_flush(struct tty_flip *f);
void flip_free(struct tty_flip *f);

/* tty_ldisc.c: lock held */
void slave_receive(struct tty *t);  /* what its flip buffer has, as far as there is room */
void master_receive(struct tty *t); /* the same for the master */
unsigned ldisc_receive(struct tty *t, const uint8_t *buf, unsigned n); /* bytes taken; then the buffer is full */
unsigned ldisc_output(struct tty *t, const uint8_t *buf, unsigned n); /* bytes processed */
unsigned tty_driver_write(struct tty *t, const uint8_t *buf, unsigned n); /* the slave's, without processing */
void ldisc_process_echoes(struct tty *t);
bool ldisc_input_available(struct tty *t, bool poll);
unsigned ldisc_inq_bytes(struct tty *t); /* FIONREAD */
void ldisc_termios_changed(struct tty *t, const struct termios2 *old);
void ldisc_flush_input(struct tty *t); /* then slave_receive() */
void ldisc_reset(struct tty *t); /* as new, after a hang-up */
void tty_flush_output(struct tty *t); /* what the other end has not received yet */
void tty_stop(struct tty *t);
void tty_start(struct tty *t);
void tty_pkt(struct tty *t, uint8_t set, uint8_t clear);
int tty_write_space(struct tty *t);

/* tty_job.c: no locks, or the tty lock */
int tty_check_change(struct tty *t, int sig); /* may the running task's group do this from the background? 0, -EIO, -ERESTARTSYS */
void tty_signal_foreground(struct tty *t, int sig);
int tty_acquire(struct tty *t, struct task *me, bool steal, bool readable); /* TIOCSCTTY */
void tty_open_acquires(struct tty *t, struct file *f);
int tty_notty(struct tty *t, struct task *me);
int tty_get_pgrp(struct tty *t, struct task *me, bool master);
int tty_set_pgrp(struct tty *t, struct task *me, int nr);
int tty_get_sid(struct tty *t, struct task *me, bool master);
void tty_do_hangup(struct tty *t);
void tty_hangup_master(struct tty *t);
void tty_hangup_settings(struct tty *t); /* as new; lock held */
struct pid *tty_get_foreground(struct tty *t); /* counted; NULL if there is none */
void tty_job_init(struct kernel *k);
void tty_session_put(struct tty *t);

/* tty_ioctl.c */
long tty_ioctl_common(struct tty *t, struct file *f, unsigned cmd, uint64_t arg, bool master);

/* tty_host.c */
int tty_host_drain(struct tty *t, bool nonblock, ktime_t deadline); /* own fiber, no locks: until the output is written. 0 or -errno */
void tty_host_free(struct tty_host *h);

#endif
