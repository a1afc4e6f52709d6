/* SPDX-License-Identifier: Apache-2.0 */
/* run.c: the answer of a thread is put together here between two events, sent, and the next event decoded. */
#include "platform/trap/trap.h"
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- waiting for the stub ---- */

static bool in_kernel(struct pl_thread *t) { return atomic_load_explicit(&t->phase, memory_order_acquire) == PH_KERNEL; }

static bool event_or_dead(struct pl_thread *t)
{
	return in_kernel(t) || thread_is_dead(t);
}

static bool asleep_or_dead(struct pl_thread *t)
{
	return t->nid || thread_is_dead(t);
}

static void give_up(struct pl_thread *t, const char *what)
{
	if (!atomic_load(&t->dies))
		log_warn("a guest thread %s: its process is killed", what);
	mutex_lock(&t->p->lock);
	space_kill_locked(t->space);
	mutex_unlock(&t->p->lock);
}

void tell_to_sleep(struct pl_thread *t)
{
	t->parked = true;
	set_awake(t, false);
	__atomic_store_n(&t->slot->line.state, SLOT_PARK, __ATOMIC_SEQ_CST);
}

/* The stub must sleep in a notification (descriptors, or the call blocks). 0 or -EIO. */
int want_nid(struct pl_thread *t)
{
	t->streak = t->p->hot = 0;
	t->wanted = true;
	if (t->nid)
		return 0;
	linger_end(t);
	tell_to_sleep(t);
	wake_dozing(t);
	if (await(t, asleep_or_dead)) {
		give_up(t, "did not come in");
		return -EIO;
	}
	return thread_is_dead(t) ? -EIO : 0;
}

bool orders_need_fd(const struct pl_thread *t)
{
	for (uint32_t i = 0; i < t->norders; i++)
		if (t->orders[i].op == PL_MMAP_FD && !t->orders[i].kept)
			return true;
	return false;
}

/* Queued orders into the slot. */
static void put_orders(struct pl_thread *t)
{
	struct slot *s = t->slot;

	for (uint32_t i = 0; i < t->norders; i++) {
		const struct pl_order *o = &t->orders[i];
		struct slot_order *d = &s->orders[i];

		d->op = o->op;
		d->prot = o->prot;
		d->flags = o->op == PL_MMAP_ANON ? o->flags | MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS :
			   o->op == PL_MMAP_FD	 ? o->flags | MAP_FIXED :
			   o->op == PL_MREMAP	 ? o->new_addr == o->addr ? 0 : (uint32_t)(MREMAP_MAYMOVE | MREMAP_FIXED) | o->flags :
						   o->flags;
		d->addr = o->addr;
		d->len = o->len;
		d->new_addr = o->new_addr;
		d->new_len = o->new_len;
		d->off = o->off;
		d->keep = o->place != 0;
		d->fd = o->op == PL_CLOSE || o->kept ? kept_number(o) : -1;
	}
	s->norders = t->norders;
	t->p->stats.orders++;
}

/* One answer after which the stub stays: STAY is added. The event that the thread is in remains as it was. */
int exchange(struct pl_thread *t, uint32_t ans, uint64_t *value)
{
	struct slot_line event = t->line, done;

	if (thread_is_dead(t))
		return -EIO;
	thread_go(t, ans | ANS_STAY, 0);
	if (await(t, event_or_dead)) {
		give_up(t, "did not carry out an order");
		return -EIO;
	}
	if (!in_kernel(t))
		return -EIO;
	done = t->line;
	t->line = event;
	if (value)
		*value = done.args[0];
	if ((done.info & EV_KIND) == EV_DONE)
		return 0;
	if ((done.info & EV_KIND) == EV_ORDER && (int64_t)done.args[1] < 0 && (int64_t)done.args[1] > -4096)
		return (int)done.args[1];
	if ((done.info & EV_KIND) == EV_FRAME && ans & (ANS_FPLOAD | ANS_FRAME)) {
		t->fault = (struct pl_fault){ .trapno = done.args[0], .err = done.args[1], .addr = done.args[2] };
		return -EFAULT;
	}
	log_warn("stub process %d answered an order with event %#x", (int)t->space->pid, done.info);
	mutex_lock(&t->p->lock);
	space_kill_locked(t->space);
	mutex_unlock(&t->p->lock);
	return -EIO;
}

/* Carry out everything queued, now. On an error the failed order is dropped and the ones behind it stay queued. */
int run_orders(struct pl_thread *t)
{
	int first = 0;

	while (t->norders) {
		uint64_t index = 0;
		int err;

		if (thread_is_dead(t) || (orders_need_fd(t) && want_nid(t)))
			return -EIO;
		put_orders(t);
		err = exchange(t, ANS_ORDERS, &index);
		if (err == -EIO && thread_is_dead(t))
			return err;
		if (!err) {
			t->orders_sent++;
			t->norders = 0;
			break;
		}
		if (index >= t->norders)
			index = t->norders - 1;
		if (!first)
			first = err;
		t->norders -= (uint32_t)index + 1;
		memmove(t->orders, t->orders + index + 1, t->norders * sizeof(t->orders[0]));
	}
	t->order_base = 0;
	return first;
}

/* ---- the run ---- */

static bool canonical(uint64_t a) { return a < 1UL << 47 || a >= ~0UL << 47; }

static void put_regs(struct pl_thread *t)
{
	struct slot_regs *d = &t->slot->regs;
	uint64_t fs = d->fs_base, gs = d->gs_base;

	_Static_assert(sizeof(struct slot_regs) == sizeof(struct pl_regs), "same layout");
	memcpy(d, &t->regs, sizeof(*d));
	d->fs_base = fs;
	d->gs_base = gs;
}

static uint32_t prepare(struct pl_thread *t, uint64_t *result)
{
	uint32_t ans = t->pend;

	*result = 0;
	t->pend = 0;
	if (t->have_result) {
		*result = (uint64_t)t->result;
		ans |= ANS_RESULT;
	} else {
		ans |= ANS_FULL;
	}
	if (t->regs_dirty) {
		if (t->have_result)
			t->regs.rax = (uint64_t)t->result;
		put_regs(t);
		ans |= ANS_FULL;
	}
	if (t->need_full)
		ans |= ANS_FULL;
	if (unlikely(atomic_load_explicit(&t->serialize, memory_order_relaxed)) && atomic_exchange(&t->serialize, false))
		ans |= ANS_FULL;
	if (t->set_fs) {
		t->slot->fs_base = t->fs_base;
		ans |= ANS_FSBASE;
	}
	if (t->set_gs) {
		t->slot->gs_base = t->gs_base;
		ans |= ANS_GSBASE;
	}
	if (t->set_xsave)
		ans |= ANS_XRSTOR;
	ans |= t->frame;
	if (t->norders) {
		put_orders(t);
		ans |= ANS_ORDERS;
	}
	if (t->ncopies == 1) {
		ans |= ANS_COPY1;
	} else if (t->ncopies) {
		if (t->copies[0].off)
			memcpy(t->slot->buf + t->copies[0].off, t->small, MIN(t->copies[0].len, SLOT_INLINE));
		memcpy(t->slot->copies, t->copies, t->ncopies * sizeof(t->copies[0]));
		t->slot->ncopies = t->ncopies;
		ans |= ANS_COPYOUT;
	}
	return ans == ANS_RESULT ? 0 : ans;
}

static void snapshot(struct pl_thread *t)
{
	struct slot_line *l = &t->line;
	const uint32_t lens[2] = { l->info >> 16, l->nr >> 16 };
	uint32_t off = 0;

	l->nr &= 0xffff;
	if (l->nr >= KPAGE_NR_PREFETCH)
		return;
	if (!t->snap)
		t->snap = xzalloc(SLOT_BUF_SIZE);
	if (likely(l->info & EV_INLINE)) {
		const struct kpage_prefetch *k = &t->p->kpage->prefetch[l->nr][0];
		uint32_t at = PREFETCH_INLINE(k->nargs);

		if (!k->kind || !k->nargs || k->arg >= at || at >= 6 || lens[0] > (6 - at) * sizeof(l->args[0]))
			return;
		memcpy(t->snap, &l->args[at], lens[0]);
		t->snap_at[t->nsnap++] = (struct slot_copy){ .addr = l->args[k->arg], .len = lens[0] };
		return;
	}
	for (int i = 0; i < 2; i++) {
		const struct kpage_prefetch *k = &t->p->kpage->prefetch[l->nr][i];
		uint32_t len = lens[i];

		if (!k->kind || off > SLOT_BUF_SIZE || len > SLOT_BUF_SIZE - off)
			return;
		if (len && k->arg <= PL_PF_ARG_SP) {
			memcpy(t->snap + off, t->slot->buf + off, len);
			t->snap_at[t->nsnap++] = (struct slot_copy){
				.addr = k->arg == PL_PF_ARG_SP ? READ_ONCE(t->slot->regs.rsp) : l->args[k->arg], .off = off, .len = len };
		}
		off += (len + 15) & ~15u;
	}
}

/* The event in t->line. False: the stub talks nonsense. */
static bool decode(struct pl_thread *t, struct pl_event *ev, uint32_t sent)
{
	const struct slot_line *l = &t->line;

	t->regs_cached = t->regs_dirty = t->have_result = t->set_fs = t->set_gs = t->set_xsave = t->need_full = false;
	t->nsnap = t->frame = 0;
	atomic_store_explicit(&t->window, 0, memory_order_relaxed);
	if (likely((l->info & EV_KIND) == EV_SYSCALL)) {
		ev->kind = PL_SYSCALL;
		if (l->info & EV_PREFETCH)
			snapshot(t);
		ev->nr = l->nr;
		ev->compat = l->info & EV_COMPAT;
		ev->inlined = l->info & EV_INLINE;
		ev->lent = l->info & (EV_ACTIONS | EV_MASK);
		memcpy(ev->args, l->args, sizeof(ev->args));
		if (l->info & EV_FP_LIVE)
			t->p->stats.patched++;
		t->streak++;
		t->norders = t->order_base = t->ncopies = t->copy_used = 0;
		if (!(l->info & (EV_FP_LIVE | EV_COMPAT)) && t->p->patch_ops)
			patch_trapped(t);
		return true;
	}
	t->streak = 0;
	switch (l->info & EV_KIND) {
	case EV_FAULT:
		ev->kind = PL_FAULT;
		ev->signo = READ_ONCE(t->slot->signo);
		ev->code = READ_ONCE(t->slot->code);
		ev->addr = READ_ONCE(t->slot->fault_addr);
		ev->trapno = READ_ONCE(t->slot->trapno);
		ev->err = READ_ONCE(t->slot->err);
		t->p->stats.faults++;
		t->need_full = true;
		if (ev->signo != SIGSEGV && ev->signo != SIGBUS && ev->signo != SIGFPE && ev->signo != SIGILL && ev->signo != SIGTRAP)
			return false;
		break;
	case EV_KICK:
		ev->kind = PL_KICK;
		t->p->stats.kicks++;
		t->need_full = true;
		break;
	case EV_SHORT:
		if (!(sent & ANS_COPY1) || t->ncopies != 1 || t->copies[0].off != SLOT_COPY_WINDOW)
			return false;
		ev->kind = PL_SHORT;
		t->p->stats.shorts++;
		break;
	case EV_ORDER:
		if (l->args[0] >= t->norders || !((int64_t)l->args[1] < 0 && (int64_t)l->args[1] > -4096))
			return false;
		ev->kind = PL_ORDER;
		ev->order_index = t->order_base + (uint32_t)l->args[0];
		ev->order_error = (int32_t)l->args[1];
		t->order_base += (uint32_t)l->args[0] + 1;
		t->norders -= (uint32_t)l->args[0] + 1;
		memmove(t->orders, t->orders + l->args[0] + 1, t->norders * sizeof(t->orders[0]));
		t->pend = sent & (ANS_COPYOUT | ANS_FULL);
		t->frame = sent & (ANS_FPLOAD | ANS_FRAME);
		t->need_full = true; /* with the result that the slot's registers hold already */
		return true;
	case EV_FRAME:
		if (!(sent & (ANS_FPLOAD | ANS_FRAME)))
			return false;
		ev->kind = PL_FRAME;
		t->fault = (struct pl_fault){ .trapno = l->args[0], .err = l->args[1], .addr = l->args[2] };
		t->need_full = true;
		break;
	default:
		return false;
	}
	t->norders = t->order_base = t->ncopies = t->copy_used = 0;
	return true;
}

static void dead_event(struct pl_thread *t, struct pl_event *ev)
{
	t->died = true;
	ev->kind = PL_DEAD;
	ev->signo = t->space->dead ? t->space->dead_signal : 0;
}

static void force_in(struct pl_thread *t)
{
	__atomic_store_n(&t->slot->line.kick, 1, __ATOMIC_SEQ_CST);
	/* A forked process still has its parent's slots, on whose stack a signal would strike. Its way out of the stub leads past line.kick. */
	if (!__atomic_load_n(&t->slot->here, __ATOMIC_SEQ_CST))
		return;
	if (syscall(SYS_tgkill, t->space->pid, t->tid, STUB_SIGKICK) && errno == ESRCH)
		t->died = true; /* it ended itself: exit is among the calls that a guest can reach */
}

void pl_thread_run(struct pl_thread *t, struct pl_event *ev)
{
	struct platform *p = t->p;
	uint64_t result;
	uint32_t ans;
	bool polled;
	struct patience w = { 0 };

	if (unlikely(thread_is_dead(t)))
		return dead_event(t, ev);
	if (unlikely(atomic_load_explicit(&t->kick, memory_order_acquire)) && atomic_exchange(&t->kick, false)) {
		ev->kind = PL_KICK;
		return;
	}
	if (unlikely(t->norders) && orders_need_fd(t)) {
		if (want_nid(t))
			return dead_event(t, ev);
		t->streak = 0; /* a thread that maps files has to sleep each time: polling would only cost two more wake-ups */
	}
	ans = prepare(t, &result);
	if (unlikely(ans & ANS_ORDERS))
		t->orders_sent++;
	polled = thread_go_polled(t, ans, result);
	if (!polled)
		thread_go(t, ans, result);
	if (atomic_load_explicit(&p->mode, memory_order_relaxed) == MODE_POLL && atomic_load_explicit(&p->nactive, memory_order_relaxed) == 1)
		spin_for_event(t);
	if (!in_kernel(t)) {
		full_fence(); /* whoever kicked just now may have seen the phase before */
		if (unlikely(atomic_load(&t->kick)))
			force_in(t);
	}
	for (;;) {
		if (in_kernel(t))
			break;
		if (unlikely(thread_is_dead(t)))
			return dead_event(t, ev);
		if (unlikely(atomic_load(&t->kick))) {
			ktime_t step_end = w.step_end;

			if (late(t, &w, event_or_dead)) {
				give_up(t, "did not answer a kick");
				return dead_event(t, ev);
			}
			if (unlikely(step_end && step_end != w.step_end && !in_kernel(t)))
				force_in(t);
			fiber_park(PARK_UNINTERRUPTIBLE, w.step_end);
		} else {
			fiber_park(PARK_UNINTERRUPTIBLE, KTIME_MAX);
		}
	}
	if (unlikely(atomic_load_explicit(&t->kick, memory_order_relaxed)))
		atomic_store(&t->kick, false);
	if (unlikely(!decode(t, ev, ans))) {
		log_warn("stub process %d sent event %#x: killed", (int)t->space->pid, t->line.info);
		mutex_lock(&p->lock);
		space_kill_locked(t->space);
		mutex_unlock(&p->lock);
		dead_event(t, ev);
	}
}

void pl_thread_kick(struct pl_thread *t, bool dies)
{
	/* One signal is enough: whoever asked first sends it, or leaves it to the answer that is on its way. */
	bool force = !atomic_exchange(&t->kick, true) && atomic_load(&t->phase) == PH_GUEST;
	struct fiber *f;

	if (unlikely(dies))
		atomic_store(&t->dies, true);
	if (force)
		force_in(t);
	f = force || dies ? atomic_load(&t->fiber) : NULL;
	if (f)
		fiber_wake(f); /* to wait with a deadline from now on, or a shorter one */
}

void pl_thread_serialize(struct pl_thread *t)
{
	atomic_store(&t->serialize, true);
	pl_thread_kick(t, false);
}

bool pl_thread_serialized(struct pl_thread *t) { return !atomic_load(&t->serialize) || atomic_load(&t->phase) != PH_GUEST; }

bool pl_thread_in_guest(struct pl_thread *t) { return atomic_load(&t->phase) == PH_GUEST; }

/* ---- registers ---- */

void pl_set_result(struct pl_thread *t, int64_t result)
{
	t->result = result;
	t->have_result = true;
	if (t->regs_cached)
		t->regs.rax = (uint64_t)result;
}

/* Only what user code could have put there itself. */
static void sanitise(struct pl_regs *r)
{
	r->eflags = (r->eflags & 0x240dd5) | 0x202; /* CF PF AF ZF SF TF DF OF AC ID */
	r->cs = r->cs == 0x23 ? 0x23 : 0x33;
	r->ss = 0x2b;
	r->ds = r->es = r->fs = r->gs = 0;
	if (!canonical(r->rip))
		r->rip = 0; /* faults in the guest, as it must */
}

static void cache_regs(struct pl_thread *t)
{
	if (t->regs_cached)
		return;
	for (size_t i = 0; i < sizeof(t->regs) / 8; i++)
		((uint64_t *)&t->regs)[i] = ((const volatile uint64_t *)&t->slot->regs)[i];
	sanitise(&t->regs);
	if ((t->line.info & EV_KIND) != EV_SYSCALL && (t->line.info & EV_KIND) != EV_SHORT && t->space->npatched)
		t->regs.rip = patch_canonical_rip(t, t->regs.rip);
	t->regs.orig_rax = (t->line.info & EV_KIND) == EV_SYSCALL ? (uint64_t)(int32_t)t->line.nr : UINT64_MAX;
	t->regs.gs_base = t->gs_base;
	if (!t->p->fsgsbase)
		t->regs.fs_base = t->fs_base;
	if (t->have_result)
		t->regs.rax = (uint64_t)t->result;
	t->regs_cached = true;
}

void pl_get_regs(struct pl_thread *t, struct pl_regs *r)
{
	cache_regs(t);
	*r = t->regs;
	if (t->set_fs)
		r->fs_base = t->fs_base;
}

void pl_set_regs(struct pl_thread *t, const struct pl_regs *r)
{
	cache_regs(t);
	if (r->fs_base != t->regs.fs_base)
		pl_set_fs_base(t, r->fs_base);
	if (r->gs_base != t->regs.gs_base)
		pl_set_gs_base(t, r->gs_base);
	t->regs = *r;
	sanitise(&t->regs);
	t->regs_dirty = true;
	t->have_result = false;
}

void pl_set_fs_base(struct pl_thread *t, uint64_t v)
{
	if (!canonical(v) || v >= STUB_SLOTS)
		v = 0;
	t->fs_base = v;
	t->set_fs = true;
	if (t->regs_cached)
		t->regs.fs_base = v;
}

int pl_set_gs_base(struct pl_thread *t, uint64_t v)
{
	if (v >= STUB_SLOTS)
		return -EPERM;
	t->gs_base = v;
	t->set_gs = true;
	t->space->gs_used = true;
	if (t->regs_cached)
		t->regs.gs_base = v;
	return 0;
}

/* ---- signal actions ---- */

_Static_assert(sizeof(struct pl_action) == sizeof(struct slot_action), "same layout");

void pl_actions_lend(struct pl_thread *t, const struct pl_action a[64])
{
	memcpy(t->slot->actions, a, sizeof(t->slot->actions));
	t->slot->actions_changed = 0;
	WRITE_ONCE(t->slot->actions_valid, 1);
}

void pl_mask_lend(struct pl_thread *t, uint64_t mask, bool busy)
{
	struct slot_sig *s = &t->slot->sig;

	s->mask = mask;
	s->busy = busy;
	__atomic_store_n(&s->mask_lent, 1, __ATOMIC_RELEASE);
}

void pl_ids_lend(struct pl_thread *t, const uint32_t ids[PL_NIDS])
{
	_Static_assert(PL_NIDS == SLOT_NIDS, "");
	memcpy(t->slot->ids, ids, sizeof(t->slot->ids));
	__atomic_store_n(&t->slot->ids_valid, 1, __ATOMIC_RELEASE);
}

void pl_ids_recall(struct pl_thread *t) { WRITE_ONCE(t->slot->ids_valid, 0); }

void pl_mask_recall(struct pl_thread *t) { WRITE_ONCE(t->slot->sig.mask_lent, 0); }
void pl_mask_busy(struct pl_thread *t, bool busy) { __atomic_store_n(&t->slot->sig.busy, busy, __ATOMIC_SEQ_CST); }
void pl_mask_set(struct pl_thread *t, uint64_t mask) { WRITE_ONCE(t->slot->sig.mask, mask); }
uint64_t pl_mask_get(struct pl_thread *t) { return __atomic_load_n(&t->slot->sig.mask, __ATOMIC_SEQ_CST); }

void pl_mask_sas(struct pl_thread *t, uint64_t sp, uint64_t size, uint32_t flags)
{
	t->slot->sig.sas_sp = sp;
	t->slot->sig.sas_size = size;
	t->slot->sig.sas_flags = flags;
}

void pl_actions_recall(struct pl_thread *t) { WRITE_ONCE(t->slot->actions_valid, 0); }

void pl_actions_set(struct pl_thread *t, int signo, const struct pl_action *a)
{
	memcpy(&t->slot->actions[signo - 1], a, sizeof(*a));
}

uint64_t pl_actions_take(struct pl_thread *t, struct pl_action a[64])
{
	uint64_t which = READ_ONCE(t->slot->actions_changed), left = which;

	WRITE_ONCE(t->slot->actions_changed, 0);
	for (; left; left &= left - 1) {
		int i = __builtin_ctzll(left);
		const volatile struct slot_action *s = &t->slot->actions[i];

		a[i] = (struct pl_action){ s->handler, s->flags, s->restorer, s->mask };
	}
	return which;
}

/* ---- signal frames ---- */

void pl_frame_put(struct pl_thread *t, uaddr_t at, const void *data, size_t n, uaddr_t fp)
{
	BUG_ON(n > SLOT_FRAME_SIZE);
	if (data)
		memcpy(t->slot->frame, data, n);
	t->slot->sig.frame_at = at;
	t->slot->sig.frame_len = (uint32_t)n;
	t->slot->sig.frame_fp = fp;
	t->frame |= ANS_FRAME;
}

void pl_frame_fp(struct pl_thread *t, uaddr_t fp)
{
	t->slot->sig.fp_at = fp;
	t->set_xsave = false;
	t->frame |= ANS_FPLOAD;
}

bool pl_frame_waits(struct pl_thread *t) { return t->frame != 0; }

int pl_frame_flush(struct pl_thread *t)
{
	uint32_t ans = t->frame | (t->set_xsave ? ANS_XRSTOR : 0);

	if (!t->frame)
		return 0;
	t->frame = 0;
	t->set_xsave = false;
	return exchange(t, ans, NULL);
}

void pl_frame_fault(struct pl_thread *t, struct pl_fault *f) { *f = t->fault; }

/* ---- FP state ---- */

#define FP_XSTATE_MAGIC1_ 0x46505853U
#define FP_XSTATE_MAGIC2_ 0x46505845U

int pl_get_xsave(struct pl_thread *t, void *buf, size_t size)
{
	struct platform *p = t->p;
	size_t len = p->xsave_size;
	uint8_t *b = buf;
	uint32_t sw[12] = { 0 }, magic2 = FP_XSTATE_MAGIC2_;
	int err;

	if (size < len + 4)
		return -EINVAL;
	if (!t->set_xsave) { /* else the slot has what was set last */
		err = exchange(t, ANS_XSAVE, NULL);
		if (err)
			return err;
	}
	memcpy(b, t->slot->xsave, len);
	sw[0] = FP_XSTATE_MAGIC1_;
	sw[1] = (uint32_t)len + 4;
	memcpy(&sw[2], &p->xfeatures, 8);
	sw[4] = (uint32_t)len;
	memcpy(b + 464, sw, 48);
	uint64_t bv;

	memcpy(&bv, b + 512, 8);
	bv &= p->xfeatures;
	memcpy(b + 512, &bv, 8);
	memset(b + 520, 0, 56);
	memcpy(b + len, &magic2, 4);
	return (int)(len + 4);
}

/* As the host's rt_sigreturn: with the software bytes the whole state, without them the legacy part and the rest initial. */
int pl_set_xsave(struct pl_thread *t, const void *buf, size_t size)
{
	struct platform *p = t->p;
	uint8_t *x = t->slot->xsave;
	uint64_t bv = 3;
	uint32_t mxcsr, sw[2];

	if (size < 512)
		return -EINVAL;
	memcpy(&mxcsr, (const uint8_t *)buf + 24, 4);
	if (mxcsr & ~0xffffU)
		return -EINVAL;
	memset(x, 0, p->xsave_size);
	memcpy(x, buf, 512);
	memcpy(sw, x + 464, 8);
	if (sw[0] == FP_XSTATE_MAGIC1_ && size >= 576) {
		uint64_t features;
		size_t len = MIN(size, p->xsave_size);

		memcpy(&features, x + 464 + 8, 8);
		memcpy(x + 512, (const uint8_t *)buf + 512, len - 512);
		memcpy(&bv, x + 512, 8);
		bv &= features & p->xfeatures;
	}
	memset(x + 464, 0, 48);
	memcpy(x + 512, &bv, 8);
	memset(x + 520, 0, 56);
	t->set_xsave = true;
	return 0;
}

/* ---- orders ---- */

static bool order_ok(const struct pl_order *o)
{
	uint64_t end;

	if (add_overflow(o->addr, o->len, &end) || end > PL_TASK_SIZE)
		return false;
	if (o->op == PL_MREMAP && (add_overflow(o->new_addr, o->new_len, &end) || end > PL_TASK_SIZE))
		return false;
	return true;
}

int pl_order(struct pl_thread *t, const struct pl_order *o)
{
	int err = 0;

	if (!order_ok(o))
		return -EINVAL;
	patch_order(t, o);
	if (t->norders == SLOT_MAX_ORDERS)
		err = run_orders(t);
	t->orders[t->norders++] = *o;
	return err;
}

void pl_rseq(struct pl_thread *t, const struct pl_rseq *r, uint32_t flags)
{
	struct pl_order o = { .op = PL_RSEQ, .addr = r->addr, .len = r->len, .flags = flags, .prot = r->sig };

	(void)pl_order(t, &o);
}

struct pl_rseq pl_rseq_get(struct pl_thread *t)
{
	const volatile struct slot *s = t->slot;

	return (struct pl_rseq){ s->rseq_addr, s->rseq_len, s->rseq_sig };
}

void pl_rseq_lend(struct pl_thread *t, bool lend) { WRITE_ONCE(t->slot->rseq_lent, lend && t->p->has_rseq); }

int pl_order_sync(struct pl_thread *t, const struct pl_order *o)
{
	int err = pl_order(t, o), err2 = run_orders(t);

	return err ? err : err2;
}

static bool orders_are_done(struct pl_thread *t)
{
	return event_or_dead(t) || __atomic_load_n(&t->slot->orders_done, __ATOMIC_ACQUIRE) == t->orders_sent;
}

unsigned pl_orders_queued(struct pl_thread *t)
{
	return t->norders;
}

int pl_orders_drain(struct pl_thread *t)
{
	struct patience w = { 0 };

	if (t->fiber == fiber_self() && in_kernel(t))
		return run_orders(t);
	/* It is on its way through the stub: a matter of microseconds, unless it is not running at all. */
	for (int turn = 0; !orders_are_done(t); turn++) {
		if (turn >= 200 && late(t, &w, orders_are_done)) {
			give_up(t, "did not carry out its orders");
			return -EIO;
		}
		if (turn < 200)
			__builtin_ia32_pause();
		else
			fiber_park(PARK_UNINTERRUPTIBLE, ktime_mono() + 50 * NSEC_PER_USEC);
	}
	return thread_is_dead(t) ? -EIO : 0;
}

int pl_cmpxchg32(struct pl_thread *t, uaddr_t addr, uint32_t expect, uint32_t val, uint32_t *old)
{
	uint64_t value = 0;
	int err;

	if (addr % 4 || addr > PL_TASK_SIZE - 4)
		return -EFAULT;
	err = run_orders(t);
	if (err)
		return -EFAULT;
	t->slot->cx_addr = addr;
	t->slot->cx_expect = expect;
	t->slot->cx_val = val;
	err = exchange(t, ANS_CMPXCHG, &value);
	if (err || value >> 63)
		return -EFAULT;
	*old = (uint32_t)value;
	return 0;
}
