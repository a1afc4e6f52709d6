/* SPDX-License-Identifier: Apache-2.0 */
/* api.h: what the files of libbailey share. Nothing here may print, end the program, or touch its signals. */
#ifndef BAILEY_API_API_H
#define BAILEY_API_API_H
#include "bailey.h"
#include "control/client.h"
#include <sys/types.h>

struct bailey_kernel {
	struct ctl_client c; /* c.lock guards what says so */
	int lifeline;	     /* to the helper; it ends when this is shut down */
	int pidfd;
	int epoll;
	enum bailey_tier tier;
	void (*log)(void *arg, const char *line);
	void (*trace)(void *arg, const char *line);
	void (*event)(void *arg, const char *line);
	void *arg;
	struct bailey_process *processes; /* c.lock */
};
struct bailey_process {
	struct bailey_kernel *k;
	struct bailey_process *next; /* c.lock */
	uint32_t id;
	int pid, exit_fd;
	uint64_t container;
	void (*exited)(void *arg, bailey_process *p, const struct bailey_exit *e);
	void *arg;
	/* c.lock */
	unsigned refs; /* the handle, and callbacks that run */
	bool ended;
	struct bailey_exit exit;
};

/* The text of bailey_error(); returns err. */
int api_fail(int err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Replies are whatever a kernel process that was taken over makes of them: no bytes that drive a terminal. */
void api_clean_text(char *s);
/* An options structure of a caller's size into ours: 0 or -errno. */
int api_take_options(void *ours, size_t size, const void *theirs);
/* spawn.c: starts the helper. 0 or -errno; descriptors are borrowed, -1: none. */
int api_spawn(const char *path, int lifeline, int log, int trace, int events, pid_t *pid, int *pidfd);

/* process.c */
void api_event(void *arg, const struct ctl_msg *m); /* of a ctl_client */
void api_process_put(bailey_process *p);
int api_wait(struct bailey_kernel *k, bool (*done)(void *), void *arg, int timeout_ms);
int api_usage(struct bailey_kernel *k, uint32_t id, enum ctl_scope scope, struct bailey_usage *u);

#endif
