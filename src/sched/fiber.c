/* SPDX-License-Identifier: Apache-2.0 */
/* fiber.c: stacks, the context switch, park and wake. */
#include "sched/internal.h"
#include <sys/mman.h>
#include <stdio.h>

/* void fiber_switch(void **save_sp, void *load_sp): callee-saved registers and the control bits of x87 and SSE, as the ABI wants.
 * The two sides of a switch resume by an indirect jump: the return-stack predictor knows neither. */
__asm__(".text\n"
	".p2align 4\n"
	".globl bailey_fiber_switch\n"
	".hidden bailey_fiber_switch\n"
	".type bailey_fiber_switch,@function\n"
	"bailey_fiber_switch:\n"
	"	pushq %rbp\n"
	"	pushq %rbx\n"
	"	pushq %r12\n"
	"	pushq %r13\n"
	"	pushq %r14\n"
	"	pushq %r15\n"
	"	subq $8,%rsp\n"
	"	stmxcsr (%rsp)\n"
	"	fnstcw 4(%rsp)\n"
	"	movq %rsp,(%rdi)\n"
	"	movq %rsi,%rsp\n"
	"	ldmxcsr (%rsp)\n"
	"	fldcw 4(%rsp)\n"
	"	addq $8,%rsp\n"
	"	popq %r15\n"
	"	popq %r14\n"
	"	popq %r13\n"
	"	popq %r12\n"
	"	popq %rbx\n"
	"	popq %rbp\n"
	"	popq %rcx\n"
	"	jmpq *%rcx\n"
	".size bailey_fiber_switch,.-bailey_fiber_switch\n"
	/* First frame of a fiber: the debugger's unwinder stops here. */
	".globl bailey_fiber_start\n"
	".hidden bailey_fiber_start\n"
	".type bailey_fiber_start,@function\n"
	"bailey_fiber_start:\n"
	"	.cfi_startproc\n"
	"	.cfi_undefined rip\n"
	"	xorl %ebp,%ebp\n"
	"	movq %r12,%rdi\n"
	"	call bailey_fiber_main\n"
	"	ud2\n"
	"	.cfi_endproc\n"
	".size bailey_fiber_start,.-bailey_fiber_start\n");
void bailey_fiber_switch(void **save_sp, void *load_sp);
void bailey_fiber_start(void);
void bailey_fiber_main(struct fiber *f) __attribute__((used, visibility("hidden")));

/* A fiber may continue on another host thread: the address of a thread-local must not be kept across a switch, hence calls. */
static __thread struct thread *this_thread __attribute__((tls_model("initial-exec")));

__attribute__((noinline)) struct thread *thread_self(void)
{
	__asm__ volatile("");
	return this_thread;
}

void thread_set_self(struct thread *t);
__attribute__((noinline)) void thread_set_self(struct thread *t)
{
	__asm__ volatile("");
	this_thread = t;
}

__attribute__((noinline)) struct fiber *fiber_self(void)
{
	__asm__ volatile("");
	struct thread *t = this_thread;
	return t ? t->fiber : NULL;
}

__attribute__((noinline)) struct fiber_context *fiber_context(void)
{
	__asm__ volatile("");
	struct thread *t = this_thread;
	if (likely(t && t->fiber))
		return &t->fiber->ctx;
	/* Outside fibers (start-up, timers, tests): a context of the host thread, so that callers need no check. */
	static __thread struct fiber_context none;
	return &none;
}

struct fiber_context *fiber_context_of(struct fiber *f)
{
	return &f->ctx;
}

/* ---- stacks ---- */

static struct fiber *fiber_alloc(struct sched *s)
{
	mutex_lock(&s->cache_lock);
	struct fiber *f = s->cache;
	if (f) {
		s->cache = f->next;
		s->ncached--;
		char *stack = f->stack;
		mutex_unlock(&s->cache_lock);
		*f = (struct fiber){ .stack = stack };
		return f;
	}
	mutex_unlock(&s->cache_lock);

	char *m = mmap(NULL, FIBER_STACK_SIZE + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	if (m == MAP_FAILED || mprotect(m, 4096, PROT_NONE)) {
		log_error("fiber stack: %s", strerror(errno));
		if (m != MAP_FAILED)
			munmap(m, FIBER_STACK_SIZE + 4096);
		return NULL;
	}
	f = aligned_alloc(64, ALIGN_UP(sizeof(*f), 64));
	if (!f) {
		munmap(m, FIBER_STACK_SIZE + 4096);
		return NULL;
	}
	*f = (struct fiber){ .stack = m + 4096 };
	return f;
}

static void fiber_destroy(struct fiber *f)
{
	munmap(f->stack - 4096, FIBER_STACK_SIZE + 4096);
	free(f);
}

void fiber_free(struct fiber *f)
{
	struct sched *s = f->sched;

#ifdef BAILEY_TSAN
	__tsan_destroy_fiber(f->tsan);
#endif
	ktimer_cancel(&f->deadline);
	mutex_lock(&s->cache_lock);
	if (s->ncached < FIBER_CACHE_MAX) {
		f->next = s->cache;
		s->cache = f;
		s->ncached++;
		f = NULL;
	}
	mutex_unlock(&s->cache_lock);
	if (f)
		fiber_destroy(f);
}

void fiber_cache_drain(struct sched *s)
{
	while (s->cache) {
		struct fiber *f = s->cache;
		s->cache = f->next;
		fiber_destroy(f);
	}
	s->ncached = 0;
}

struct fiber *fiber_create(struct sched *s, int worker, const char *name, void (*fn)(void *), void *arg)
{
	struct fiber *f = fiber_alloc(s);

	if (!f)
		return NULL;
	struct thread *t = thread_self();
	if (worker < 0)
		worker = t && t->sched == s ? (t->worker ? t->worker->id : t->section_worker ? t->section_worker->id : 0) : 0;
	f->worker = &s->workers[worker % s->nworkers];
	f->sched = s;
	f->fn = fn;
	f->arg = arg;
	snprintf(f->name, sizeof(f->name), "%s", name ? name : "");
	ktimer_init(&f->deadline, s, fiber_deadline);
	atomic_init(&f->state, FS_PARKED);
#ifdef BAILEY_TSAN
	f->tsan = __tsan_create_fiber(0);
#endif
	/* Stacks lie a multiple of the page size apart: without a colour their hot ends would share the same few cache sets. */
	static _Atomic unsigned colour;
	uintptr_t top = (uintptr_t)f->stack + FIBER_STACK_SIZE - (atomic_fetch_add_explicit(&colour, 1, memory_order_relaxed) & 15) * 192;
	uint64_t *sp = (uint64_t *)(top & ~63UL);
	*--sp = 0;
	*--sp = 0; /* the ABI: rsp is a multiple of 16 before a call */
	*--sp = (uintptr_t)bailey_fiber_start;
	*--sp = 0;		/* rbp */
	*--sp = 0;		/* rbx */
	*--sp = (uintptr_t)f;	/* r12 */
	sp -= 3;
	sp[0] = sp[1] = sp[2] = 0;
	*--sp = 0x037fULL << 32 | 0x1f80; /* x87 control word, mxcsr: the ABI's defaults */
	f->sp = sp;
	return f;
}

/* ---- switching ---- */

static inline void asan_leave(void **save, const void *bottom, size_t size)
{
#ifdef BAILEY_ASAN
	__sanitizer_start_switch_fiber(save, bottom, size);
#else
	(void)save, (void)bottom, (void)size;
#endif
}

void fiber_run(struct thread *t, struct fiber *f)
{
	t->fiber = f;
	t->action = ACT_NONE;
#ifdef BAILEY_TSAN
	t->tsan = __tsan_get_current_fiber();
	__tsan_switch_to_fiber(f->tsan, 0);
#endif
#ifdef BAILEY_ASAN
	asan_leave(&t->fake_stack, f->stack, FIBER_STACK_SIZE);
#endif
	bailey_fiber_switch(&t->sp, f->sp);
#ifdef BAILEY_ASAN
	__sanitizer_finish_switch_fiber(t->fake_stack, NULL, NULL);
#endif
	t->fiber = NULL;
}

/* From the fiber to its thread's loop. Returns when the fiber is resumed, perhaps on another thread: t is stale then. */
void fiber_leave(struct thread *t, struct fiber *f, enum fiber_action action)
{
	t->action = action;
#ifdef BAILEY_TSAN
	__tsan_switch_to_fiber(t->tsan, 0);
#endif
#ifdef BAILEY_ASAN
	asan_leave(action == ACT_EXIT ? NULL : &f->fake_stack, t->stack_bottom, t->stack_size);
#endif
	bailey_fiber_switch(&f->sp, t->sp);
#ifdef BAILEY_ASAN
	__sanitizer_finish_switch_fiber(f->fake_stack, NULL, NULL);
#endif
}

void bailey_fiber_main(struct fiber *f)
{
#ifdef BAILEY_ASAN
	struct thread *t = thread_self();
	__sanitizer_finish_switch_fiber(NULL, &t->stack_bottom, &t->stack_size);
#endif
	atomic_fetch_and(&f->state, ~(uint32_t)FS_TOKEN);
	f->fn(f->arg);
	fiber_exit();
}

void fiber_exit(void)
{
	struct thread *t = thread_self();

	BUG_ON(!t || !t->fiber);
	held_check_park("fiber_exit");
	fiber_leave(t, t->fiber, ACT_EXIT);
	__builtin_unreachable();
}

void fiber_yield(void)
{
	struct thread *t = thread_self();

	held_check_park("fiber_yield");
	fiber_leave(t, t->fiber, ACT_YIELD);
}

int fiber_move(int worker)
{
	struct thread *t = thread_self();
	struct fiber *f = t->fiber;
	int was = f->worker->id;

	held_check_park("fiber_move");
	if (worker == was)
		return was;
	/* It is not parked: nobody queues it before the loop does, which then finds it off its stack. */
	f->worker = &f->sched->workers[worker];
	fiber_leave(t, f, ACT_MOVE);
	return was;
}

/* ---- park and wake ---- */

static const uint32_t mode_bits[] = {
	[PARK_INTERRUPTIBLE] = FS_ON_SIGNAL | FS_ON_KILL,
	[PARK_KILLABLE] = FS_ON_KILL,
	[PARK_UNINTERRUPTIBLE] = 0,
};
static inline bool interrupts(uint32_t state, uint32_t on)
{
	return state & (on >> 2); /* FS_ON_x is FS_x << 2 */
}
_Static_assert(FS_ON_SIGNAL == FS_SIGNAL << 2 && FS_ON_KILL == FS_KILL << 2, "bits");

int fiber_park(enum park_mode mode, ktime_t deadline)
{
	struct thread *t = thread_self();

	BUG_ON(!t || !t->fiber);
	DEBUG_BUG_ON(t->section_worker);
	held_check_park("fiber_park");
	struct fiber *f = t->fiber;
	uint32_t on = mode_bits[mode];
	uint32_t s = atomic_load_explicit(&f->state, memory_order_acquire);
	bool timer = false;
	int ret;

	for (;;) {
		if (s & FS_TOKEN) {
			atomic_fetch_and(&f->state, ~(uint32_t)FS_TOKEN);
			ret = 0;
			break;
		}
		if (interrupts(s, on)) {
			ret = -EINTR;
			break;
		}
		if (s & FS_TIMEDOUT) {
			ret = -ETIMEDOUT;
			break;
		}
		if (deadline != KTIME_MAX && !timer) {
			if (deadline <= 0 || deadline <= ktime_mono()) {
				ret = -ETIMEDOUT;
				break;
			}
			timer = true;
			ktimer_start(&f->deadline, deadline);
		}
		if (atomic_compare_exchange_weak(&f->state, &s, s | FS_PARKED | on)) {
			uint64_t since = unlikely(f->ctx.timed) ? tsc() : 0;

			fiber_leave(t, f, ACT_NONE);
			if (unlikely(since))
				f->ctx.parked_ticks += tsc() - since;
			t = thread_self();
			s = atomic_load_explicit(&f->state, memory_order_acquire);
		}
	}
	if (timer) {
		ktimer_cancel(&f->deadline);
		atomic_fetch_and(&f->state, ~(uint32_t)FS_TIMEDOUT);
	}
	return ret;
}

void fiber_wake(struct fiber *f)
{
	uint32_t s = atomic_load_explicit(&f->state, memory_order_relaxed), n;

	do {
		n = s | FS_TOKEN;
		if (s & FS_PARKED)
			n &= ~(uint32_t)(FS_PARKED | FS_ON_SIGNAL | FS_ON_KILL);
	} while (!atomic_compare_exchange_weak(&f->state, &s, n));
	if (s & FS_PARKED)
		fiber_enqueue(f);
}

void fiber_interrupt(struct fiber *f, enum fiber_interrupt how)
{
	uint32_t bit = how == INTERRUPT_KILL ? FS_KILL | FS_SIGNAL : FS_SIGNAL;
	uint32_t s = atomic_load_explicit(&f->state, memory_order_relaxed), n;
	bool run;

	do {
		n = s | bit;
		run = (s & FS_PARKED) && interrupts(n, s & (FS_ON_SIGNAL | FS_ON_KILL));
		if (run)
			n &= ~(uint32_t)(FS_PARKED | FS_ON_SIGNAL | FS_ON_KILL);
	} while (!atomic_compare_exchange_weak(&f->state, &s, n));
	if (run)
		fiber_enqueue(f);
}

/* Under timer_lock, so that a cancelled deadline never strikes the fiber's next park. */
bool fiber_deadline_locked(struct ktimer *t)
{
	if (t->fn != fiber_deadline)
		return false;
	struct fiber *f = container_of(t, struct fiber, deadline);
	uint32_t s = atomic_load_explicit(&f->state, memory_order_relaxed), n;

	do {
		n = s | FS_TIMEDOUT;
		if (s & FS_PARKED)
			n &= ~(uint32_t)(FS_PARKED | FS_ON_SIGNAL | FS_ON_KILL);
	} while (!atomic_compare_exchange_weak(&f->state, &s, n));
	if (s & FS_PARKED)
		fiber_enqueue(f);
	return true;
}

void fiber_deadline(struct ktimer *t)
{
	(void)t;
	BUG("a fiber's deadline ran outside the timer lock");
}

void fiber_clear_interrupt(struct fiber *f)
{
	uint32_t s = atomic_load_explicit(&f->state, memory_order_relaxed);

	/* KILL implies SIGNAL and stays. */
	while ((s & FS_SIGNAL) && !(s & FS_KILL) && !atomic_compare_exchange_weak(&f->state, &s, s & ~(uint32_t)FS_SIGNAL))
		;
}

void fiber_clear_kill(struct fiber *f) { atomic_fetch_and(&f->state, ~(uint32_t)(FS_KILL | FS_SIGNAL)); }

bool fiber_is_parked(struct fiber *f)
{
	return atomic_load_explicit(&f->state, memory_order_relaxed) & FS_PARKED;
}

bool fiber_interrupted(enum park_mode mode)
{
	struct fiber *f = fiber_self();

	return f && interrupts(atomic_load_explicit(&f->state, memory_order_acquire), mode_bits[mode]);
}
