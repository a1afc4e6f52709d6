/* SPDX-License-Identifier: Apache-2.0 */
/* client.h: the commander's end of the control socket, for any number of threads and without one of its own: whoever waits reads, the
 * others sleep until he has something for them. */
#ifndef BAILEY_CONTROL_CLIENT_H
#define BAILEY_CONTROL_CLIENT_H
#include "control/protocol.h"
#include <pthread.h>

struct ctl_pending;
struct ctl_client {
	int sock;    /* owned */
	int side[3]; /* packets of text, a line each (log, trace, events); owned; -1: none */
	void *arg;
	/* No lock held; by whichever thread reads. m NULL: the other end is gone; once. */
	void (*event)(void *arg, const struct ctl_msg *m);
	void (*line)(void *arg, int side, char *text, size_t len);
	pthread_mutex_t lock;
	pthread_cond_t changed; /* with every message, and when the reader leaves */
	/* lock */
	bool reading, dead;
	uint32_t next_id;
	struct ctl_pending *pending;
};
#define CTL_FOREVER INT64_MAX
int64_t ctl_now(void); /* CLOCK_MONOTONIC, ns */
int ctl_client_init(struct ctl_client *c, int sock /* taken over, also on failure */);
void ctl_client_destroy(struct ctl_client *c); /* no thread may be in it */
/* A request and its reply: what the reply's result says, or -errno. *reply may be NULL; free it in any case. */
int ctl_call(struct ctl_client *c, uint32_t type, const void *payload, size_t len, const int *fds, unsigned nfds, struct ctl_msg *reply);
/* One that nobody answers, and that is dropped rather than waited for. */
int ctl_post(struct ctl_client *c, uint32_t type, const void *payload, size_t len);
/* Reads until done(arg) (called with the lock held), or the deadline: 0, -ETIMEDOUT, -EPIPE (the other end is gone). done NULL: until
 * something was handled; then everything that is there is. */
int ctl_wait(struct ctl_client *c, bool (*done)(void *arg), void *arg, int64_t deadline);

#endif
