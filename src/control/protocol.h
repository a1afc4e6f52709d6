/* SPDX-License-Identifier: Apache-2.0 */
/* protocol.h: what goes between a sandbox's kernel process and those who command it (`bailey run`, libbailey): one SOCK_SEQPACKET socket,
 * of which the kernel process holds one end and no guest can reach either.
 *
 * OVERVIEW. First the kernel process sends one struct ctl_status: it is up, or why not. From then on the commander sends requests and gets
 * one reply for each, in their order, with the request's id (a request with id 0 gets none); in between come events. A message is a struct
 * ctl_head and `len` bytes of payload, in the machine's own layout: both ends are one build of Bailey (CTL_VERSION says so at the start).
 * A payload that does not fit into a packet lies in a memfd, which comes as the last descriptor (CTL_IN_FD).
 * Neither end believes the other: the kernel process may have been taken over by its guest, and a commander may be somebody's broken
 * program. Everything is copied once, and read through struct ctl_reader, which cannot leave the payload.
 * This folder knows nothing of kernels: it is linked into libbailey, so it allocates with malloc, and never prints or ends the program.
 */
#ifndef BAILEY_CONTROL_PROTOCOL_H
#define BAILEY_CONTROL_PROTOCOL_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CTL_VERSION = 2 };

/* ---- how a start went ---- */
enum { CTL_READY = 'R', CTL_FAILED = 'E', CTL_RETRY = 'T' /* in the next tier */ };
struct ctl_status { int32_t type, status /* exit status */, error /* errno or 0 */, tier; char text[500]; };

/* ---- messages ---- */
enum ctl_type {
	/* requests; process: the id that CTL_CREATE's reply gave */
	CTL_CREATE = 1, /* struct ctl_process, descriptors -> struct ctl_created */
	CTL_START,	/* u32 process */
	CTL_RELEASE,	/* u32 process: nobody asks for it any more; it runs on. One that was not started is ended */
	CTL_SIGNAL,	/* u32 process, scope, signal */
	CTL_TERMINAL_SIGNAL, /* u32 signal, to the foreground group? : to the first process, as the user at the terminal would */
	CTL_WINSIZE,	/* u32 rows, columns */
	CTL_PAUSE,	/* u32 process, scope */
	CTL_UNPAUSE,	/* u32 process, scope */
	CTL_USAGE,	/* u32 process, scope -> struct ctl_usage */
	CTL_JOB,	/* u32 in the foreground of its terminal?, part of a shell's job control?; maybe the terminal's settings. Said again when it changes */
	CTL_TASKS,	/* u32 from: the lowest process number -> u32 next (0: that was all), then struct ctl_task each */
	/* from the kernel process */
	CTL_REPLY = 100, /* head.result: 0 or -errno */
	CTL_EXITED,	 /* struct ctl_exited */
	CTL_STOPPED,	 /* u32 process, signal: a process that was created (not: its children) has stopped */
};
struct ctl_head { uint32_t type, id; int32_t result; uint32_t len; };
#define CTL_IN_FD 0x80000000u /* in type */

#define CTL_PACKET 65536u /* head and payload */
#define CTL_INLINE (CTL_PACKET - (uint32_t)sizeof(struct ctl_head))
#define CTL_MAX (16u << 20) /* a payload: several times what exec takes */
#define CTL_MAX_FDS 250u    /* SCM_MAX_FD is 253; one may be the payload's */

enum ctl_scope { CTL_SCOPE_PROCESS, CTL_SCOPE_GROUP, CTL_SCOPE_SESSION, CTL_SCOPE_CONTAINER, CTL_SCOPE_ALL, CTL_SCOPE_COUNT,
		 CTL_SCOPE_TASK = CTL_SCOPE_COUNT /* pauses: of the thread, signals: to the process, that has the number `process` in the guest */ };

/* CTL_CREATE. Behind it: groups (u32), limits, descriptors, then strings: argv, environment, cwd; each ends with a NUL. The first descriptor is
 * the exit pipe's writing end, which is closed when the process has ended. */
enum { CTL_PROCESS_INIT = 1, CTL_PROCESS_CWD_OPTIONAL = 2, CTL_PROCESS_TTY = 4 /* its descriptor 0 is to become its controlling terminal */,
       CTL_PROCESS_SECOND = 8 /* with INIT: process 2, as below an init that only reaps */ };
struct ctl_process {
	uint32_t flags, uid, gid, umask;
	uint64_t ignored; /* signals: bit 0 is signal 1 */
	uint32_t argc, envc, ngroups, nlimits, nfds, pad;
};
struct ctl_limit { uint32_t resource, pad; uint64_t soft, hard; };
struct ctl_fd { int32_t guest, index; /* in the descriptors of the message; -1: the sandbox's terminal */ };
/* result < 0: status is the exit status that a shell would give, text says why */
struct ctl_created { uint64_t container; uint32_t process; int32_t pid, status; char text[500]; };

struct ctl_usage { uint64_t utime_ns, stime_ns, maxrss /* bytes */, memory_now, memory_peak, oom_kills; uint32_t tasks, pad; };
struct ctl_exited { uint32_t process; int32_t status /* as wait(2) has it */; struct ctl_usage usage; };
struct ctl_task {
	int32_t pid, ppid, pgid, sid;
	uint32_t uid, threads, paused, pad;
	uint64_t container;
	uint64_t utime_ns, stime_ns, start_ns /* after the kernel's */;
	char state, name[19];
};

/* The helper of libbailey is told by one message what to start: struct ctl_options, then binds (struct ctl_bind_flags), then strings: rootfs, hostname,
 * names of system calls ("" for none), and source and target of each bind. It answers with a struct ctl_status and, if that is CTL_READY, the control socket. */
struct ctl_options {
	uint32_t version, log_level, host_network, max_tasks, tier, nbinds, trace, no_patch, events, ncpus;
	uint64_t memory_limit;
};
struct ctl_bind_flags { uint32_t read_only, pad; };

/* ---- packing ---- */
struct ctl_buf { char *p; size_t len, cap; bool failed; };
void ctl_put(struct ctl_buf *b, const void *p, size_t n);
static inline void ctl_put_u32(struct ctl_buf *b, uint32_t v) { ctl_put(b, &v, sizeof(v)); }
void ctl_put_string(struct ctl_buf *b, const char *s);
void ctl_buf_free(struct ctl_buf *b);

/* What goes wrong stays wrong: one look at `bad` at the end is enough. */
struct ctl_reader { const char *p; size_t left; bool bad; };
void ctl_get(struct ctl_reader *r, void *to, size_t n); /* zeroes when it is not there */
static inline uint32_t ctl_get_u32(struct ctl_reader *r)
{
	uint32_t v;
	ctl_get(r, &v, sizeof(v));
	return v;
}
const char *ctl_get_string(struct ctl_reader *r);	    /* "" when there is none; lives as long as the payload */
bool ctl_fits(struct ctl_reader *r, uint32_t n, size_t each); /* n things of this size can be there; else bad */

/* ---- sending and receiving: 0 or -errno ---- */
/* Blocks unless dontwait (-EAGAIN). -EPIPE: nobody is there. fds are borrowed. */
int ctl_send(int sock, uint32_t type, uint32_t id, int32_t result, const void *payload, size_t len, const int *fds, unsigned nfds, bool dontwait);
struct ctl_msg {
	struct ctl_head head;
	char *payload; /* head.len bytes and a NUL; owned */
	int fds[CTL_MAX_FDS + 1];
	unsigned nfds; /* owned, close-on-exec */
};
/* One message. Never blocks for the message itself (-EAGAIN). -EPIPE: the end; -EBADMSG: not one of ours. */
int ctl_recv(int sock, struct ctl_msg *m, bool with_fds /* else they are dropped, and a payload cannot lie in one */);
void ctl_msg_free(struct ctl_msg *m);

#endif
