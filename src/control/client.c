/* SPDX-License-Identifier: Apache-2.0 */
/* client.c: requests, replies, events. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "control/client.h"
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct ctl_pending { struct ctl_pending *next; uint32_t id; bool done; struct ctl_msg reply; };

int64_t ctl_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

int ctl_client_init(struct ctl_client *c, int sock)
{
	pthread_condattr_t a;

	*c = (struct ctl_client){ .sock = sock, .side = { -1, -1, -1 }, .next_id = 1 };
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	int r = -pthread_cond_init(&c->changed, &a);
	pthread_condattr_destroy(&a);
	return r;
}

void ctl_client_destroy(struct ctl_client *c)
{
	if (c->sock >= 0)
		close(c->sock);
	for (int i = 0; i < 3; i++)
		if (c->side[i] >= 0)
			close(c->side[i]);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
}

static void handle(struct ctl_client *c, struct ctl_msg *m)
{
	if (m->head.type == CTL_REPLY) {
		for (struct ctl_pending *p = c->pending; p; p = p->next)
			if (p->id == m->head.id && !p->done) {
				p->done = true;
				p->reply = *m;
				return;
			}
	} else if (c->event) {
		pthread_mutex_unlock(&c->lock);
		c->event(c->arg, m);
		pthread_mutex_lock(&c->lock);
	}
	ctl_msg_free(m);
}

static void read_lines(struct ctl_client *c, int side)
{
	char text[8192];
	ssize_t n;

	while ((n = recv(c->side[side], text, sizeof(text) - 1, MSG_DONTWAIT)) > 0) {
		while (n && (text[n - 1] == '\n' || text[n - 1] == '\r'))
			n--;
		text[n] = 0;
		if (c->line)
			c->line(c->arg, side, text, (size_t)n);
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) { /* its end */
		pthread_mutex_lock(&c->lock);
		close(c->side[side]);
		c->side[side] = -1;
		pthread_mutex_unlock(&c->lock);
	}
}

/* One look, by the one reader. The lock is given up meanwhile. Whether there was something. */
static bool look(struct ctl_client *c, int timeout)
{
	struct pollfd p[4] = { { .fd = c->sock, .events = POLLIN }, { .fd = c->side[0], .events = POLLIN }, { .fd = c->side[1], .events = POLLIN },
			       { .fd = c->side[2], .events = POLLIN } };
	struct ctl_msg m;
	int got = -EAGAIN;

	c->reading = true;
	pthread_mutex_unlock(&c->lock);
	int n = poll(p, 4, timeout);
	for (int i = 0; i < 3; i++)
		if (n > 0 && p[1 + i].revents)
			read_lines(c, i);
	if (n > 0 && p[0].revents)
		got = ctl_recv(c->sock, &m, false);
	bool end = got && got != -EAGAIN && got != -ENOMEM;
	for (int i = 0; end && i < 3; i++) /* its last words */
		if (c->side[i] >= 0)
			read_lines(c, i);
	pthread_mutex_lock(&c->lock);
	/* Before any handler runs: it may make requests of its own. */
	c->reading = false;
	pthread_cond_broadcast(&c->changed);
	if (!got) {
		handle(c, &m);
		pthread_cond_broadcast(&c->changed);
	} else if (end && !c->dead) {
		/* A message that is none of ours is as bad as none: nothing after it can be believed. */
		c->dead = true;
		pthread_mutex_unlock(&c->lock);
		if (c->event)
			c->event(c->arg, NULL);
		pthread_mutex_lock(&c->lock);
		pthread_cond_broadcast(&c->changed);
	}
	return n > 0;
}

static int wait_locked(struct ctl_client *c, bool (*done)(void *arg), void *arg, int64_t deadline)
{
	bool any = false, looked = false;

	for (;;) {
		if (done ? done(arg) : any)
			return 0;
		if (c->dead)
			return -EPIPE;
		int64_t left = deadline == CTL_FOREVER ? CTL_FOREVER : deadline - ctl_now();
		if (left <= 0 && looked)
			return -ETIMEDOUT;
		if (left < 0)
			left = 0;
		if (!c->reading) {
			/* Rounded up: not before the deadline. */
			int64_t ms = left == CTL_FOREVER ? -1 : (left + 999999) / 1000000;
			if (look(c, ms > INT_MAX ? INT_MAX : (int)ms)) {
				any = true;
				for (int i = 0; i < 1000 && !done && !c->dead && !c->reading && look(c, 0); i++)
					;
			} else {
				looked = true;
			}
			continue;
		}
		looked = true;
		if (left == CTL_FOREVER) {
			pthread_cond_wait(&c->changed, &c->lock);
		} else {
			int64_t at = ctl_now() + left;
			struct timespec ts = { at / 1000000000, at % 1000000000 };
			pthread_cond_timedwait(&c->changed, &c->lock, &ts);
		}
		any = true;
	}
}

int ctl_wait(struct ctl_client *c, bool (*done)(void *arg), void *arg, int64_t deadline)
{
	pthread_mutex_lock(&c->lock);
	int r = wait_locked(c, done, arg, deadline);
	pthread_mutex_unlock(&c->lock);
	return r;
}

static bool is_done(void *arg) { return ((struct ctl_pending *)arg)->done; }

int ctl_call(struct ctl_client *c, uint32_t type, const void *payload, size_t len, const int *fds, unsigned nfds, struct ctl_msg *reply)
{
	struct ctl_pending me = { 0 }, **p;
	int r;

	if (reply)
		*reply = (struct ctl_msg){ 0 };
	pthread_mutex_lock(&c->lock);
	if (c->dead) {
		pthread_mutex_unlock(&c->lock);
		return -EPIPE;
	}
	me.id = c->next_id++;
	if (!c->next_id)
		c->next_id = 1;
	me.next = c->pending;
	c->pending = &me;
	pthread_mutex_unlock(&c->lock);
	r = ctl_send(c->sock, type, me.id, 0, payload, len, fds, nfds, false);
	pthread_mutex_lock(&c->lock);
	if (!r)
		r = wait_locked(c, is_done, &me, CTL_FOREVER);
	for (p = &c->pending; *p != &me; p = &(*p)->next)
		;
	*p = me.next;
	pthread_mutex_unlock(&c->lock);
	if (!r)
		r = me.reply.head.result > 0 || me.reply.head.result < -4095 ? -EPROTO : me.reply.head.result;
	if (me.done && reply)
		*reply = me.reply;
	else if (me.done)
		ctl_msg_free(&me.reply);
	return r;
}

int ctl_post(struct ctl_client *c, uint32_t type, const void *payload, size_t len)
{
	return ctl_send(c->sock, type, 0, 0, payload, len, NULL, 0, true);
}
