/* SPDX-License-Identifier: Apache-2.0 */
/* hostpoll.c: host descriptors that become ready. One epoll set; its data is a place in a table and a generation, never a pointer,
 * so that an event that was fetched before host_poll_del finds nothing. */
#include "sched/internal.h"
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

struct poll_slot {
	struct host_poll *p; /* NULL: free */
	uint32_t gen, next_free;
};

void host_poll_init(struct sched *s)
{
	s->epfd = epoll_create1(EPOLL_CLOEXEC);
	if (s->epfd < 0)
		BUG("epoll_create1: %s", strerror(errno));
	mutex_init(&s->poll_lock, RANK_HOST_POLL);
	s->free_slot = UINT32_MAX;
}

void host_poll_exit(struct sched *s)
{
	close(s->epfd);
	free(s->slots);
}

int host_poll_add(struct host_poll *p, struct sched *s, int fd, struct wait_queue *wq)
{
	mutex_lock(&s->poll_lock);
	if (s->free_slot == UINT32_MAX) {
		uint32_t n = s->nslots ? s->nslots * 2 : 16;
		s->slots = xrealloc(s->slots, n * sizeof(*s->slots));
		for (uint32_t i = n; i-- > s->nslots;) {
			s->slots[i] = (struct poll_slot){ .gen = 1, .next_free = s->free_slot };
			s->free_slot = i;
		}
		s->nslots = n;
	}
	uint32_t i = s->free_slot;
	struct poll_slot *sl = &s->slots[i];
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLERR | EPOLLHUP | EPOLLET,
				  .data.u64 = (uint64_t)sl->gen << 32 | i };
	if (epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev)) {
		int e = errno;
		mutex_unlock(&s->poll_lock);
		atomic_store(&p->gen, 0);
		return -e;
	}
	s->free_slot = sl->next_free;
	sl->p = p;
	p->fd = fd;
	p->wq = wq;
	p->sched = s;
	p->slot = i;
	atomic_store(&p->gen, sl->gen);
	atomic_fetch_add(&s->npolled, 1);
	mutex_unlock(&s->poll_lock);
	return 0;
}

void host_poll_del(struct host_poll *p)
{
	struct sched *s = p->sched;

	if (!s || !atomic_load(&p->gen))
		return;
	mutex_lock(&s->poll_lock);
	struct poll_slot *sl = &s->slots[p->slot];
	BUG_ON(sl->p != p);
	epoll_ctl(s->epfd, EPOLL_CTL_DEL, p->fd, NULL);
	sl->p = NULL;
	sl->gen = sl->gen == UINT32_MAX ? 1 : sl->gen + 1;
	sl->next_free = s->free_slot;
	s->free_slot = p->slot;
	atomic_store(&p->gen, 0);
	atomic_fetch_sub(&s->npolled, 1);
	mutex_unlock(&s->poll_lock);
}

int sched_poll_host(struct sched *s)
{
	struct epoll_event ev[32];
	int n = epoll_wait(s->epfd, ev, ARRAY_SIZE(ev), 0);

	if (n <= 0)
		return 0;
	mutex_lock(&s->poll_lock);
	for (int i = 0; i < n; i++) {
		uint32_t slot = (uint32_t)ev[i].data.u64, gen = (uint32_t)(ev[i].data.u64 >> 32);
		struct poll_slot *sl = &s->slots[slot];
		if (sl->p && sl->gen == gen) {
			if (sl->p->ready)
				atomic_fetch_or(sl->p->ready, ev[i].events);
			wait_queue_wake_all(sl->p->wq, ev[i].events);
		}
	}
	mutex_unlock(&s->poll_lock);
	return n;
}

int sched_look_at_host(void)
{
	struct thread *t = thread_self();
	return t && t->worker && sched_has_host_waiters(t->worker->sched) ? sched_poll_host(t->worker->sched) : 0;
}

void sched_expect_host(void)
{
	struct thread *t = thread_self();
	if (t && !atomic_load_explicit(&t->sched->expect_host, memory_order_relaxed))
		atomic_store_explicit(&t->sched->expect_host, true, memory_order_relaxed);
}

bool sched_expects_host(struct sched *s)
{
	return atomic_load_explicit(&s->expect_host, memory_order_relaxed) && sched_has_host_waiters(s);
}

bool sched_has_host_waiters(struct sched *s)
{
	return atomic_load_explicit(&s->npolled, memory_order_relaxed) != 0;
}

int sched_epoll_fd(struct sched *s)
{
	return s->epfd;
}

unsigned host_poll_now(int fd, unsigned events)
{
	/* EPOLL* and POLL* bits are the same numbers (epoll_ctl(2) defines them by poll(2)'s). */
	struct pollfd p = { .fd = fd, .events = (short)events };

	return poll(&p, 1, 0) > 0 ? (unsigned)(uint16_t)p.revents : 0;
}
