/* SPDX-License-Identifier: Apache-2.0 */
/* patience.c: how long the kernel waits for a stub.
 *
 * OVERVIEW. Stubs come in within microseconds, or when a host call that was ordered is done. A guest that has taken its stub over may never
 * come, and then its process is killed. A busy host may let any of them wait for as long as it likes, so what counts is not the clock but
 * what the host thread did since the wait began: time that it computed for, or looks at which it was found asleep. While it stands in
 * a CPU's queue, waits for a disk or is stopped, nothing counts. A look is taken twice a second: the usual wait ends before the first. */
#include "platform/trap/trap.h"
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TICK (NSEC_PER_SEC / 100) /* of the times in /proc */

static const struct {
	ktime_t step, user, all, asleep, blind; /* all: populating memory, or giving it back, is host time */
} limits[2] = {
	{ NSEC_PER_SEC / 2, 2 * NSEC_PER_SEC, 60 * NSEC_PER_SEC, 10 * NSEC_PER_SEC, 30 * NSEC_PER_SEC },
	/* All that use its memory end anyway. */
	{ NSEC_PER_SEC / 20, NSEC_PER_SEC / 10, NSEC_PER_SEC / 2, NSEC_PER_SEC / 2, NSEC_PER_SEC },
};

struct look { char state; ktime_t user, all; };

/* False: there is nothing to look at. state is 'X' if the thread is no more. */
static bool look_at(struct pl_thread *t, struct look *l)
{
	pid_t pid = t->space->pid ? t->space->pid : t->expected, tid = t->tid ? t->tid : t->expected;
	unsigned long long user, sys;
	char buf[512];
	const char *at;
	ssize_t n;
	int fd;

	*l = (struct look){ .state = 'X' };
	if (!pid || !tid || t->p->proc_fd < 0)
		return false;
	snprintf(buf, sizeof(buf), "%d/task/%d/stat", (int)pid, (int)tid);
	fd = openat(t->p->proc_fd, buf, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return n < 0 && errno == ESRCH;
	buf[n] = 0;
	at = strrchr(buf, ')');
	if (!at || sscanf(at + 1, " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu %llu", &l->state, &user, &sys) != 3)
		return false;
	l->user = (ktime_t)user * TICK;
	l->all = l->user + (ktime_t)sys * TICK;
	return true;
}

/* A process dies with one that does not come in: others that share its memory must not be struck before their time. */
static bool all_die(struct pl_thread *t)
{
	struct pl_thread *o;
	bool all = true;

	mutex_lock(&t->p->lock);
	LIST_FOREACH(o, &t->space->threads, space_link)
		all = all && atomic_load(&o->dies);
	mutex_unlock(&t->p->lock);
	return all;
}

/* Whoever waits for t asks this when it has been woken, and sleeps until step_end at most. While everything stood still (a host that
 * froze, a SIGSTOP to all) a step at most goes by. */
bool patience_ends(struct pl_thread *t, struct patience *w)
{
	bool dies = atomic_load(&t->dies), begun = w->step_end != 0;
	ktime_t now = ktime_mono(), step = limits[dies].step, end = now + step;
	struct look l;

	if (now < w->step_end) {
		w->step_end = MIN(w->step_end, end);
		return false;
	}
	w->step_end = end;
	if (!begun)
		return false;
	dies = dies && all_die(t);
	if (!look_at(t, &l))
		return (w->blind += step) >= limits[dies].blind;
	if (l.state == 'X' || l.state == 'Z')
		return true;
	if (!w->looked) {
		w->looked = true;
		w->user = l.user;
		w->all = l.all;
	}
	if (l.state == 'S')
		w->asleep += step;
	return l.user - w->user >= limits[dies].user || l.all - w->all >= limits[dies].all || w->asleep >= limits[dies].asleep;
}
