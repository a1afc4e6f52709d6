/* SPDX-License-Identifier: Apache-2.0 */
/* strays.c: children of stubs that never say HELLO.
 *
 * OVERVIEW. A clone is let through when it was ordered, but only the stub sees what comes of it. One that a guest has taken over can lie
 * ("interrupted", "no more processes") and leave a child that nobody knows, which counts nowhere and computes on. Clones that may have
 * left one are counted: those asked for again within an order, and those of an order that ended without its child's HELLO. Most such
 * counts are wrong (a signal took the stub out of the call), so what is there is counted before anything follows from it:
 * - processes are children of this process in the zygote's group. One that no space has and that is older than every fork order that runs
 *   cannot be a child that is still on its way: it is killed. A fiber looks once a second until there have been none for a while.
 * - threads of a process: the host has more of them than this process knows. They end with their process only.
 */
#include "platform/trap/trap.h"
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define STRAYS_MAX 64
#define STRAYS_OF_ONE 16 /* where there are any, it is not by chance that so many may be a process's */
#define STRAY_THREADS_MAX 16 /* per process */
#define LOOK_EVERY NSEC_PER_SEC
#define CLEAN_LOOKS 10 /* before it stops looking */
#define TICK (NSEC_PER_SEC / 100) /* of a start time in /proc */

ktime_t strays_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (ktime_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

/* Is it a living stub process, and when did it start? */
static bool stub_process(struct platform *p, pid_t pid, ktime_t *start)
{
	char buf[512], state;
	unsigned long long ticks;
	const char *at;
	int ppid, pgrp, fd;
	ssize_t n;

	snprintf(buf, sizeof(buf), "%d/stat", (int)pid);
	fd = openat(p->proc_fd, buf, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = 0;
	at = strrchr(buf, ')');
	if (!at || sscanf(at + 1, " %c %d %d %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %llu", &state, &ppid, &pgrp, &ticks) != 4)
		return false;
	*start = (ktime_t)ticks * TICK;
	return ppid == getpid() && pgrp == p->zygote_pid && state != 'Z' && state != 'X';
}

/* Set p->strays right. A clone that was let through before an order is known to run has not happened: both need the lock. */
static void look_locked(struct platform *p)
{
	int fd = p->proc_fd < 0 ? -1 : openat(p->proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	uint32_t orders = 0, there = 0, killed = 0;
	ktime_t oldest = KTIME_MAX, start;
	struct dirent *e;
	struct pl_space *s;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return;
	}
	for (uint32_t i = 0; i < p->nthreads; i++)
		if (p->threads[i] && p->threads[i]->fork_since) {
			oldest = MIN(oldest, p->threads[i]->fork_since);
			orders++;
		}
	while ((e = readdir(d))) {
		pid_t pid = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? atoi(e->d_name) : 0;

		if (!pid || space_by_pid_locked(p, pid) || !stub_process(p, pid, &start))
			continue;
		there++;
		if (start + TICK <= oldest) {
			kill(pid, SIGKILL);
			killed++;
		}
	}
	closedir(d);
	if (killed)
		log_warn("%u processes that a guest process had made outside the stub protocol: killed", killed);
	/* Each order that runs may have one of them. Those that were killed count until they are gone. */
	p->strays = there > orders ? there - orders : there != 0;
	for (int i = 0; i < SPACE_HASH && (killed || !p->strays); i++)
		LIST_FOREACH(s, &p->hash[i], hash_link) {
			if (killed && s->strays >= STRAYS_OF_ONE && s != p->zygote->space && !s->killed && !s->dead) {
				log_warn("guest process %d of the host's broke the stub protocol (children that never said hello): killed", (int)s->pid);
				space_kill_locked(s);
			}
			if (!p->strays)
				s->strays = 0;
		}
}

static void watch(void *arg)
{
	struct platform *p = arg;

	/* A clone that was let through happens when its thread gets a CPU, while another thread may have ended the order in its name. */
	for (int clean = 0; clean < CLEAN_LOOKS;) {
		ktime_t until = ktime_mono() + LOOK_EVERY;
		bool any;

		while (ktime_mono() < until)
			fiber_park(PARK_UNINTERRUPTIBLE, until);
		mutex_lock(&p->lock);
		any = p->strays;
		look_locked(p);
		clean = any || p->strays ? 0 : clean + 1;
		if (clean == CLEAN_LOOKS)
			p->strays_watched = false;
		mutex_unlock(&p->lock);
	}
}

void stray_locked(struct pl_thread *t, uint32_t how)
{
	if (how == ANS_FORK) {
		t->p->strays++;
		t->space->strays++;
	} else {
		t->space->stray_threads++;
	}
}

bool strays_allow_locked(struct pl_thread *t, uint32_t how)
{
	struct platform *p = t->p;
	struct pl_space *s = t->space;

	if (how == ANS_FORK) {
		if (likely(p->strays < STRAYS_MAX))
			return true;
		look_locked(p);
		/* Whose they are is not to be seen: not those of one who has never left anything open. */
		return !s->killed && (p->strays < STRAYS_MAX || !s->strays || t == p->zygote);
	}
	if (likely(s->stray_threads < STRAY_THREADS_MAX))
		return true;

	char path[32];
	struct stat st;
	unsigned known = s->nthreads + s->nidle, there;

	snprintf(path, sizeof(path), "%d/task", (int)s->pid);
	if (p->proc_fd < 0 || fstatat(p->proc_fd, path, &st, 0) || st.st_nlink < 2)
		return true;
	there = (unsigned)st.st_nlink - 2;
	s->stray_threads = there > known ? there - known : 0;
	/* A slot given back: its host thread may still be on its way out. */
	return s->stray_threads < STRAY_THREADS_MAX + s->nfree;
}

void strays_after_order(struct pl_thread *by, struct pl_thread *child, uint32_t how)
{
	struct platform *p = by->p;
	bool start;

	mutex_lock(&p->lock);
	if (!child->tid)
		stray_locked(by, how);
	start = p->strays && !p->strays_watched && fiber_self();
	if (start)
		p->strays_watched = true;
	mutex_unlock(&p->lock);
	if (start)
		fiber_wake(fiber_create(p->sched, -1, "strays", watch, p));
}
