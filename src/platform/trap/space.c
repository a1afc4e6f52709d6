/* SPDX-License-Identifier: Apache-2.0 */
/* space.c: spaces and threads: how they come and go. See trap.h for the life cycle. */
#include "platform/trap/trap.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- tables ---- */

static unsigned pid_hash(pid_t pid) { return (unsigned)pid % SPACE_HASH; }

void space_hash_locked(struct pl_space *s)
{
	LIST_INSERT_HEAD(&s->p->hash[pid_hash(s->pid)], s, hash_link);
	s->hashed = true;
}

struct pl_space *space_by_pid_locked(struct platform *p, pid_t pid)
{
	struct pl_space *s;

	LIST_FOREACH(s, &p->hash[pid_hash(pid)], hash_link)
		if (s->pid == pid)
			return s;
	return NULL;
}

/* Handles are places in a table. */
static uint32_t handle_alloc_locked(struct platform *p, struct pl_thread *t)
{
	uint32_t h;

	if (p->nfree) {
		h = p->free_handles[--p->nfree];
	} else {
		if (p->nthreads % 256 == 0) {
			p->threads = xrealloc(p->threads, (p->nthreads + 256) * sizeof(*p->threads));
			p->free_handles = xrealloc(p->free_handles, (p->nthreads + 256) * sizeof(*p->free_handles));
		}
		h = p->nthreads++;
	}
	p->threads[h] = t;
	return h;
}

static void handle_free_locked(struct platform *p, uint32_t h)
{
	p->threads[h] = NULL;
	p->free_handles[p->nfree++] = h;
}

/* ---- allocation ---- */

/* The guest sees EAGAIN, as when its own limit is reached; the user is told once whose limit it is. */
static int host_refused(struct platform *p, const char *what, int err)
{
	if (!p->refused)
		log_warn("no more guest %s: the host says \"%s\"%s", what, strerror(err),
			 err == EMFILE ? " (RLIMIT_NOFILE: a process takes one descriptor)" : err == EAGAIN ? " (RLIMIT_NPROC, pid_max, or the pids limit of a cgroup)" : "");
	p->refused = true;
	return err == ENOMEM ? -ENOMEM : -EAGAIN;
}

struct pl_space *space_alloc(struct platform *p)
{
	struct pl_space *s = new(struct pl_space);

	s->p = p;
	LIST_INIT(&s->threads);
	LIST_INIT(&s->idle);
	sleeplock_init(&s->patch_lock, RANK_PLATFORM);
	s->area_fd = memfd_create("bailey-slots", MFD_CLOEXEC);
	if (s->area_fd < 0 || getrandom(&s->cookie, sizeof(s->cookie), 0) != sizeof(s->cookie)) {
		host_refused(p, "processes", errno);
		if (s->area_fd >= 0)
			close(s->area_fd);
		free(s);
		return NULL;
	}
	return s;
}

void space_free(struct pl_space *s)
{
	if (s->area_fd >= 0)
		close(s->area_fd);
	free(s->free_index);
	free(s->traps);
	free(s->patched);
	free(s);
}

/* A thread record with its slot mapped and cleared. index: which slot; UINT32_MAX = any. NULL: no room or no memory. */
struct pl_thread *thread_alloc(struct platform *p, struct pl_space *s, uint32_t index)
{
	struct pl_thread *t = new(struct pl_thread);
	uint32_t need;
	void *m;

	t->p = p;
	t->space = s;
	mutex_lock(&p->lock);
	if (index == UINT32_MAX) {
		index = s->next_index;
		/* A slot given back may be used again once its host thread is past its last touch of it. */
		if (s->nfree) {
			uint32_t cand = s->free_index[0];
			uint32_t state = 0;

			if (pread(s->area_fd, &state, sizeof(state), (off_t)cand << STUB_SLOT_SHIFT) == sizeof(state) && state == SLOT_GONE) {
				index = cand;
				s->nfree--;
				memmove(s->free_index, s->free_index + 1, s->nfree * sizeof(*s->free_index));
			}
		}
	}
	if (index >= STUB_MAX_SLOTS) {
		mutex_unlock(&p->lock);
		free(t);
		return NULL;
	}
	if (index >= s->next_index)
		s->next_index = index + 1;
	need = s->next_index;
	if (need > s->area_slots) {
		if (ftruncate(s->area_fd, (off_t)need << STUB_SLOT_SHIFT)) {
			mutex_unlock(&p->lock);
			free(t);
			return NULL;
		}
		s->area_slots = need;
	}
	t->index = index;
	m = mmap(NULL, SLOT_KERNEL_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, s->area_fd, (off_t)index << STUB_SLOT_SHIFT);
	if (m == MAP_FAILED) {
		mutex_unlock(&p->lock);
		free(t);
		return NULL;
	}
	t->slot = m;
	memset(t->slot, 0, offsetof(struct slot, orders));
	t->slot->actions_valid = 0;
	t->slot->line.state = SLOT_PARK;
	LIST_INSERT_HEAD(&s->threads, t, space_link);
	s->nthreads++;
	t->handle = handle_alloc_locked(p, t);
	t->slot->handle = t->handle;
	t->slot->cookie = s->cookie;
	mutex_unlock(&p->lock);
	return t;
}

static void record_free_locked(struct pl_thread *t)
{
	if (t->nid)
		sleeps_no_more(t);
	handle_free_locked(t->p, t->handle);
	LIST_REMOVE(t, space_link);
	munmap(t->slot, SLOT_KERNEL_LEN);
	free(t->snap);
	free(t);
}

/* Take the thread out of everything. The space goes with its last one. */
static void thread_free(struct pl_thread *t)
{
	struct platform *p = t->p;
	struct pl_space *s = t->space;
	struct pl_thread *i;
	bool last;

	mutex_lock(&p->lock);
	if (t->active_at) {
		p->active[t->active_at - 1] = p->active[p->nactive - 1];
		p->active[t->active_at - 1]->active_at = t->active_at;
		p->nactive--;
	}
	linger_end(t);
	set_awake(t, false);
	record_free_locked(t);
	last = --s->nthreads == 0;
	if (last) {
		while ((i = LIST_FIRST(&s->idle)))
			record_free_locked(i);
		if (s->pid && !s->dead && !s->killed) {
			space_end_locked(s);
		}
	}
	if (last && s->hashed)
		last = false; /* reap() frees it */
	mutex_unlock(&p->lock);
	if (last)
		space_free(s);
}

/* ---- new threads ---- */

static bool said_hello(struct pl_thread *t)
{
	return t->nid || thread_is_dead(t);
}

static int spawn_order(struct pl_thread *by, struct pl_thread *child, uint32_t how)
{
	uint64_t value = 0;
	int err;

	by->slot->child_handle = child->handle;
	by->slot->child_cookie = child->space->cookie;
	by->slot->child_slot = child->index;
	by->clone_ordered = how;
	by->clones_let = 0;
	child->cloned_by = by;
	child->fiber = fiber_self();
	/* The host puts a new process on an idle CPU, and its hello would have to come from there. What fills the pool is in nobody's way
	 * on another one. */
	if (how == ANS_FORK && by != by->p->zygote)
		wake_here(by, true);
	err = exchange(by, how, &value);
	if (how == ANS_FORK && by != by->p->zygote)
		wake_here(by, false);
	by->clone_ordered = 0;
	child->cloned_by = NULL;
	if (err)
		return err;
	if ((int64_t)value < 0 || !value)
		return (int64_t)value < 0 && (int64_t)value > -4096 ? host_refused(by->p, how == ANS_FORK ? "processes" : "threads", (int)-value) : -EAGAIN;
	child->expected = (pid_t)value;
	err = await(child, said_hello);
	if (err || thread_is_dead(child))
		return -EAGAIN;
	child->need_full = true;
	return 0;
}

/* Let `by` clone `child` (how: ANS_FORK or ANS_THREAD) and wait until it is there. */
static int spawn(struct pl_thread *by, struct pl_thread *child, uint32_t how)
{
	int err;

	if (how == ANS_FORK)
		by->fork_since = strays_clock();
	err = spawn_order(by, child, how);
	by->fork_since = 0;
	if (unlikely(by->clones_let > 1 || (by->clones_let && !child->tid)))
		strays_after_order(by, child, how);
	return err;
}

/* The child's registers: the parent's, with rax = 0. */
static void inherit(struct pl_thread *t, struct pl_thread *child)
{
	pl_get_regs(t, &child->regs);
	child->regs.rax = 0;
	child->regs.orig_rax = UINT64_MAX;
	child->fs_base = t->fs_base;
	child->gs_base = t->gs_base;
	child->regs_cached = child->regs_dirty = true;
	child->bound = t->bound;
	child->bound_to = t->bound_to;
}

/* A space forked from the zygote. */
static int space_spawn(struct platform *p, struct pl_thread **out)
{
	struct pl_space *s = space_alloc(p);
	struct pl_thread *t;
	int err;

	if (!s)
		return -EAGAIN;
	t = thread_alloc(p, s, p->zygote->index);
	if (!t) {
		space_free(s);
		return -ENOMEM;
	}
	if (fiber_self())
		sleeplock_lock(&p->zygote_lock);
	p->zygote->fiber = fiber_self();
	err = spawn(p->zygote, t, ANS_FORK);
	p->zygote->fiber = NULL;
	if (fiber_self())
		sleeplock_unlock(&p->zygote_lock);
	if (err) {
		thread_free(t);
		return err;
	}
	t->fiber = NULL;
	t->regs.cs = 0x33;
	t->regs.ss = 0x2b;
	t->regs.eflags = 0x202;
	t->regs_cached = t->regs_dirty = true;
	t->set_fs = true; /* the zygote's are nobody's business */
	*out = t;
	return 0;
}

void pool_fill(void *arg)
{
	struct platform *p = arg;

	for (;;) {
		struct pl_thread *t;

		while (!p->pool_wanted)
			fiber_park(PARK_UNINTERRUPTIBLE, KTIME_MAX);
		p->pool_wanted = false;
		while (atomic_load(&p->npool) < POOL_MAX && !p->pool_failed) {
			if (space_spawn(p, &t)) {
				p->pool_failed = true; /* until somebody finds out how things are for himself */
				break;
			}
			mutex_lock(&p->lock);
			p->pool[p->npool++] = t;
			mutex_unlock(&p->lock);
		}
	}
}

/* Where a new program is to run: here, with those whom it is likely to talk to, unless this lane has clearly more to do than another. */
static struct platform *pick_lane(struct platform *p)
{
	int here = sched_worker_id();
	struct platform *best;

	if (p->nlanes == 1 || here < 0 || !fiber_self())
		return p;
	if (p->lanes[0]->spread)
		return p->lanes[atomic_fetch_add(&p->lanes[0]->next_lane, 1) % p->nlanes];
	best = p->lanes[here];
	for (unsigned i = 0; i < p->nlanes; i++)
		if (p->lanes[i]->nactive < best->nactive)
			best = p->lanes[i];
	return p->lanes[here]->nactive >= best->nactive + LANE_MORE ? best : p->lanes[here];
}

/* The fiber's worker becomes that of p's lane; the number of the one it was. */
static int lane_enter(struct platform *p) { return p->nlanes > 1 && fiber_self() ? fiber_move(p->worker) : -1; }

static void lane_leave(int was)
{
	if (was >= 0)
		fiber_move(was);
}

static int space_create(struct platform *p, struct pl_space **space, struct pl_thread **thread)
{
	struct pl_thread *t = NULL;
	int err = 0;

	mutex_lock(&p->lock);
	while (!t && p->npool) {
		t = p->pool[--p->npool];
		if (thread_is_dead(t)) {
			mutex_unlock(&p->lock);
			thread_free(t);
			mutex_lock(&p->lock);
			t = NULL;
		}
	}
	mutex_unlock(&p->lock);
	if (!t)
		err = space_spawn(p, &t);
	if (err)
		return err;
	p->pool_failed = false;
	*space = t->space;
	*thread = t;
	return 0;
}

int pl_space_create(struct platform *p, struct pl_space **space, struct pl_thread **thread)
{
	struct platform *to = pick_lane(p);
	int was = lane_enter(to), err = space_create(to, space, thread);

	if (was >= 0 && was != to->worker)
		to->stats.moved++;
	lane_leave(was);
	return err;
}

int pl_space_fork(struct pl_thread *t, struct pl_space **space, struct pl_thread **thread)
{
	struct pl_space *s;
	struct pl_thread *c;
	int err = run_orders(t); /* the copy must be of what the VMAs say */

	if (err)
		return err;
	s = space_alloc(t->p);
	if (!s)
		return -EAGAIN;
	s->gs_used = t->space->gs_used;
	patch_inherit(s, t->space);
	c = thread_alloc(t->p, s, t->index);
	if (!c) {
		space_free(s);
		return -ENOMEM;
	}
	inherit(t, c);
	c->slot->rseq_addr = READ_ONCE(t->slot->rseq_addr);
	c->slot->rseq_len = READ_ONCE(t->slot->rseq_len);
	c->slot->rseq_sig = READ_ONCE(t->slot->rseq_sig);
	err = spawn(t, c, ANS_FORK);
	if (err) {
		thread_free(c);
		return err;
	}
	t->p->stats.forks++;
	*space = s;
	*thread = c;
	return 0;
}

/* A host thread whose guest thread has ended takes over: no host call is needed for it. */
static struct pl_thread *recycle(struct pl_thread *t)
{
	struct pl_space *s = t->space;
	struct pl_thread *c, clean = { 0 };
	size_t n = pl_xsave_size(t->p);
	ktime_t seen = 0;
	void *fp;

	if (!s->nidle || !(fp = malloc(n)))
		return NULL;
	if (pl_get_xsave(t, fp, n) < 0) {
		free(fp);
		return NULL;
	}
	mutex_lock(&t->p->lock);
	c = LIST_FIRST(&s->idle);
	if (c) {
		LIST_REMOVE(c, space_link);
		s->nidle--;
		clean.p = c->p;
		clean.space = s;
		clean.slot = c->slot;
		clean.index = c->index;
		clean.handle = c->handle;
		clean.dozing = c->dozing;
		clean.tid = c->tid;
		clean.placed = c->placed;
		bool bound = c->bound;
		clean.snap = c->snap;
		seen = c->cpu_seen;
		clean.orders_sent = c->orders_sent;
		clean.need_full = true;
		c->slot->actions_valid = c->slot->news = c->slot->sig.mask_lent = c->slot->ids_valid = 0;
		c->slot->rseq_lent = c->slot->rseq_len = 0;
		uint64_t nid = c->nid;

		if (nid)
			sleeps_no_more(c);
		*c = clean;
		if (nid)
			sleeps_in(c, nid);
		LIST_INSERT_HEAD(&s->threads, c, space_link);
		s->nthreads++;
		inherit(t, c);
		if (bound || c->bound)
			confine_stub(c);
	}
	mutex_unlock(&t->p->lock);
	if (c) {
		pl_set_fs_base(c, c->regs.fs_base);
		pl_set_xsave(c, fp, n);
		/* Its last life ended with this question. */
		c->cpu_base = seen ? seen : pl_thread_cpu_time(c);
	}
	free(fp);
	return c;
}

int pl_thread_clone(struct pl_thread *t, struct pl_thread **thread)
{
	struct pl_thread *c = recycle(t);
	int err;

	t->p->stats.clones++;
	if (c) {
		*thread = c;
		return 0;
	}
	c = thread_alloc(t->p, t->space, UINT32_MAX);
	if (!c)
		return -EAGAIN;
	inherit(t, c);
	err = spawn(t, c, ANS_THREAD);
	if (err) {
		thread_free(c);
		return err;
	}
	*thread = c;
	return 0;
}

void pl_thread_attach(struct pl_thread *t, struct fiber *f)
{
	(void)lane_enter(t->p);
	mutex_lock(&t->p->lock);
	t->fiber = f;
	mutex_unlock(&t->p->lock);
}

/* Of a thread that did not end by exit(2), where its stub does it. */
static void take_back_rseq(struct pl_thread *t)
{
	struct pl_rseq r = pl_rseq_get(t);
	struct pl_order o = { .op = PL_RSEQ, .addr = r.addr, .len = r.len, .flags = 1 /* RSEQ_FLAG_UNREGISTER */, .prot = r.sig };

	if (unlikely(r.len))
		(void)pl_order_sync(t, &o);
}

/* The host thread is kept asleep for the next guest thread; beyond a number of those it ends, but for the host's thread-group
 * leader, by which copies name the process. Either way the stub must first sleep in a notification that we know, lest it comes
 * with a handle that nobody knows any more. */
static void thread_destroy(struct pl_thread *t)
{
	struct pl_space *s = t->space;
	struct platform *p = t->p;

	if (s->nthreads > 1 && !thread_is_dead(t) && atomic_load(&t->phase) == PH_KERNEL)
		take_back_rseq(t);
	if (s->nthreads > 1 && !thread_is_dead(t) && atomic_load(&t->phase) == PH_KERNEL && want_nid(t) == 0) {
		mutex_lock(&p->lock);
		t->fiber = NULL;
		t->wanted = false;
		if (t->nid && !t->hello && s->nthreads > 1 && (s->nidle < IDLE_MAX || t->tid == s->pid)) {
			LIST_REMOVE(t, space_link);
			LIST_INSERT_HEAD(&s->idle, t, space_link);
			s->nthreads--;
			s->nidle++;
			mutex_unlock(&p->lock);
			return;
		}
		mutex_unlock(&p->lock);
		if (t->tid != s->pid) {
			thread_go(t, ANS_EXIT, 0);
			mutex_lock(&p->lock);
			s->free_index = xrealloc(s->free_index, (s->nfree + 1) * sizeof(*s->free_index));
			s->free_index[s->nfree++] = t->index;
			mutex_unlock(&p->lock);
		}
	}
	thread_free(t);
}

void pl_thread_destroy(struct pl_thread *t)
{
	int was = lane_enter(t->p);

	thread_destroy(t);
	lane_leave(was);
}

struct pl_space *pl_thread_space(struct pl_thread *t) { return t->space; }
int pl_space_host_pid(struct pl_space *s) { return s->pid; }
