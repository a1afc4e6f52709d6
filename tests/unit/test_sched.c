/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler alone, without a platform. Build with -Db_sanitize=thread to let TSan watch the stress cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fenv.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include "sched/sched.h"

static struct sched *S;
static _Atomic int live;

struct start { void (*fn)(void *); void *arg; };
static void run_counted(void *arg)
{
	struct start *st = arg;

	st->fn(st->arg);
	free(st);
	if (atomic_fetch_sub(&live, 1) == 1)
		sched_stop(S, 7);
}
static struct fiber *go(int worker, void (*fn)(void *), void *arg)
{
	struct start *st = new(struct start);

	*st = (struct start){ fn, arg };
	atomic_fetch_add(&live, 1);
	struct fiber *f = fiber_create(S, worker, "test", run_counted, st);
	assert_non_null(f);
	fiber_wake(f);
	return f;
}
static void run_all(int workers, void (*fn)(void *), void *arg)
{
	S = sched_create(workers);
	go(0, fn, arg);
	assert_int_equal(sched_run(S), 7);
	sched_destroy(S);
}

/* ---- park, wake, interrupt, deadline ---- */

static struct fiber *peer;
static int order[8], norder;
static void waker(void *arg)
{
	order[norder++] = 2;
	fiber_wake(peer);
	fiber_wake(peer); /* at most one token is kept */
	order[norder++] = 3;
}
static void parker(void *arg)
{
	peer = fiber_self();
	assert_non_null(fiber_context());
	go(-1, waker, NULL);
	order[norder++] = 1;
	assert_int_equal(fiber_park(PARK_UNINTERRUPTIBLE, KTIME_MAX), 0);
	order[norder++] = 4;
	assert_int_equal(fiber_park(PARK_INTERRUPTIBLE, ktime_mono() + NSEC_PER_MSEC), -ETIMEDOUT);
	ktime_t t0 = ktime_mono();
	assert_int_equal(fiber_park(PARK_INTERRUPTIBLE, t0 + 5 * NSEC_PER_MSEC), -ETIMEDOUT);
	assert_true(ktime_mono() - t0 >= 5 * NSEC_PER_MSEC);
	assert_int_equal(fiber_park(PARK_INTERRUPTIBLE, 0), -ETIMEDOUT);

	fiber_interrupt(fiber_self(), INTERRUPT_SIGNAL);
	assert_true(fiber_interrupted(PARK_INTERRUPTIBLE));
	assert_false(fiber_interrupted(PARK_KILLABLE));
	assert_int_equal(fiber_park(PARK_INTERRUPTIBLE, KTIME_MAX), -EINTR);
	assert_int_equal(fiber_park(PARK_KILLABLE, ktime_mono() + 1000), -ETIMEDOUT);
	fiber_clear_interrupt(fiber_self());
	assert_false(fiber_interrupted(PARK_INTERRUPTIBLE));
	fiber_interrupt(fiber_self(), INTERRUPT_KILL);
	fiber_clear_interrupt(fiber_self());
	assert_int_equal(fiber_park(PARK_KILLABLE, KTIME_MAX), -EINTR);
	assert_int_equal(fiber_park(PARK_INTERRUPTIBLE, KTIME_MAX), -EINTR);
	assert_int_equal(fiber_park(PARK_UNINTERRUPTIBLE, ktime_mono() + 1000), -ETIMEDOUT);
}
static void park_and_wake(void **state)
{
	norder = 0;
	run_all(1, parker, NULL);
	for (int i = 0; i < 4; i++)
		assert_int_equal(order[i], i + 1);
}

/* ---- FP control state is a fiber's own ---- */
static void fp_other(void *arg)
{
	assert_int_equal(fegetround(), FE_TONEAREST);
	fesetround(FE_DOWNWARD);
	fiber_wake(peer);
	fiber_yield();
	assert_int_equal(fegetround(), FE_DOWNWARD);
}
static void fp_main(void *arg)
{
	peer = fiber_self();
	fesetround(FE_UPWARD);
	go(-1, fp_other, NULL);
	assert_int_equal(fiber_park(PARK_UNINTERRUPTIBLE, KTIME_MAX), 0);
	assert_int_equal(fegetround(), FE_UPWARD);
	fesetround(FE_TONEAREST);
}
static void fp_control(void **state)
{
	run_all(1, fp_main, NULL);
}

/* ---- sleep locks and mutexes under stress, several workers ---- */
#define NSTRESS 24
static struct sleeplock sl;
static struct mutex mu;
static long counter, mcounter;
static int stress_rounds;
static void stress(void *arg)
{
	for (int i = 0; i < stress_rounds; i++) {
		sleeplock_lock(&sl);
		assert_true(sleeplock_is_held(&sl));
		long c = counter;
		if (i % 7 == 0)
			fiber_yield();
		if (i % 50 == 0)
			fiber_park(PARK_UNINTERRUPTIBLE, 1); /* 0 when the lock's hand-over left a token */
		counter = c + 1;
		sleeplock_unlock(&sl);
		mutex_lock(&mu);
		mcounter++;
		mutex_unlock(&mu);
	}
}
static void stress_start(void *arg)
{
	for (int i = 0; i < NSTRESS; i++)
		go(i, stress, NULL);
}
static void stress_locks(void **state)
{
	for (int workers = 1; workers <= 3; workers++) {
		sleeplock_init(&sl, RANK_FILE_POS);
		mutex_init(&mu, RANK_LEAF);
		counter = mcounter = 0;
		stress_rounds = 300;
		run_all(workers, stress_start, NULL);
		assert_int_equal(counter, NSTRESS * stress_rounds);
		assert_int_equal(mcounter, NSTRESS * stress_rounds);
	}
}

/* ---- wait queues: a bounded buffer between workers; no wake-up is lost ---- */
static struct wait_queue not_full, not_empty;
static struct mutex blk;
static int items;
static long taken;
#define ITEMS 4000
static bool try_put(void)
{
	guard(mutex)(&blk);
	if (items >= 4)
		return false;
	items++;
	return true;
}
static bool try_take(void)
{
	guard(mutex)(&blk);
	if (!items)
		return false;
	items--;
	taken++;
	return true;
}
static void producer(void *arg)
{
	for (int i = 0; i < ITEMS; i++) {
		assert_int_equal(wait_event(&not_full, try_put(), PARK_INTERRUPTIBLE, KTIME_MAX), 0);
		wait_queue_wake(&not_empty, EPOLLIN);
	}
}
static void consumer(void *arg)
{
	for (int i = 0; i < ITEMS; i++) {
		if (arg)
			assert_int_equal(wait_event_exclusive(&not_empty, try_take(), PARK_INTERRUPTIBLE, KTIME_MAX), 0);
		else
			assert_int_equal(wait_event(&not_empty, try_take(), PARK_INTERRUPTIBLE, KTIME_MAX), 0);
		wait_queue_wake(&not_full, EPOLLOUT);
	}
}
static void pc_start(void *arg)
{
	for (int i = 0; i < 4; i++) {
		go(i, producer, NULL);
		go(i + 1, consumer, arg);
	}
}
static void wait_queues(void **state)
{
	for (int workers = 1; workers <= 3; workers++)
		for (intptr_t exclusive = 0; exclusive < 2; exclusive++) {
			wait_queue_init(&not_full);
			wait_queue_init(&not_empty);
			mutex_init(&blk, RANK_LEAF);
			items = 0;
			taken = 0;
			run_all(workers, pc_start, (void *)exclusive);
			assert_int_equal(taken, 4 * ITEMS);
		}
}

/* ---- timers ---- */
static ktime_t fired[40];
static _Atomic int nfired;
static struct ktimer timers[40];
static void on_timer(struct ktimer *t)
{
	int i = (int)(t - timers);

	assert_true(ktime_mono() >= t->expires);
	fired[i] = ktime_mono();
	if (atomic_fetch_add(&nfired, 1) + 1 == 30)
		fiber_wake(peer);
}
static void timer_fiber(void *arg)
{
	peer = fiber_self();
	ktime_t now = ktime_mono();
	for (int i = 0; i < 40; i++) {
		ktimer_init(&timers[i], S, on_timer);
		ktimer_start(&timers[i], now + (ktime_t)((i * 7) % 40) * 200 * NSEC_PER_USEC + 1000);
	}
	for (int i = 0; i < 40; i++)
		if (timers[i].expires > now + 30 * 200 * NSEC_PER_USEC)
			assert_true(ktimer_cancel(&timers[i]));
	int left = 0;
	for (int i = 0; i < 40; i++)
		left += timers[i].index != 0;
	(void)left;
	ktimer_start(&timers[0], now + 29 * 200 * NSEC_PER_USEC + 500); /* rearm later */
	while (atomic_load(&nfired) < 30)
		assert_int_equal(fiber_park(PARK_UNINTERRUPTIBLE, ktime_mono() + NSEC_PER_SEC), 0);
	for (int i = 0; i < 40; i++) {
		assert_false(ktimer_cancel(&timers[i]));
		ktimer_cancel_sync(&timers[i]);
	}
}
static void timers_fire(void **state)
{
	atomic_store(&nfired, 0);
	run_all(1, timer_fiber, NULL);
	assert_int_equal(atomic_load(&nfired), 30);
}

/* ---- host descriptors ---- */
static int pfd[2];
static void *writer_thread(void *arg)
{
	for (int i = 0; i < 20; i++) {
		nanosleep(&(struct timespec){ 0, 300000 }, NULL);
		assert_int_equal(write(pfd[1], "x", 1), 1);
	}
	return NULL;
}
static void poll_fiber(void *arg)
{
	struct wait_queue wq;
	struct host_poll hp = { 0 };
	char c;

	wait_queue_init(&wq);
	assert_int_equal(host_poll_add(&hp, S, pfd[0], &wq), 0);
	assert_true(sched_has_host_waiters(S));
	for (int i = 0; i < 20; i++) {
		assert_int_equal(wait_event(&wq, host_poll_now(pfd[0], EPOLLIN) & EPOLLIN, PARK_INTERRUPTIBLE, ktime_mono() + NSEC_PER_SEC), 0);
		assert_int_equal(read(pfd[0], &c, 1), 1);
	}
	assert_int_equal(host_poll_now(pfd[0], EPOLLIN), 0);
	host_poll_del(&hp);
	host_poll_del(&hp);
	assert_false(sched_has_host_waiters(S));
	int fd = fileno(tmpfile());
	assert_int_equal(host_poll_add(&hp, S, fd, &wq), -EPERM);
	close(fd);
}
static void host_descriptors(void **state)
{
	pthread_t th;

	for (int workers = 1; workers <= 2; workers++) {
		assert_int_equal(pipe(pfd), 0);
		pthread_create(&th, NULL, writer_thread, NULL);
		run_all(workers, poll_fiber, NULL);
		pthread_join(th, NULL);
		close(pfd[0]);
		close(pfd[1]);
	}
}

/* ---- blocking sections: others run meanwhile, and the fiber comes back ---- */
static _Atomic int ticks, blocked;
static void ticker(void *arg)
{
	while (atomic_load(&blocked) > 0) {
		atomic_fetch_add(&ticks, 1);
		fiber_park(PARK_UNINTERRUPTIBLE, ktime_mono() + 200 * NSEC_PER_USEC);
	}
}
static void blocker(void *arg)
{
	for (int i = 0; i < 5; i++) {
		worker_block_begin();
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
		worker_block_end();
		assert_true(sched_worker_id() >= 0);
		fiber_yield();
	}
	for (int i = 0; i < 1000; i++) {
		worker_block_begin();
		worker_block_end();
	}
	atomic_fetch_sub(&blocked, 1);
}
static void block_start(void *arg)
{
	for (int i = 0; i < 3; i++)
		go(i, blocker, NULL);
	go(-1, ticker, NULL);
}
static void block_sections(void **state)
{
	for (int workers = 1; workers <= 2; workers++) {
		atomic_store(&ticks, 0);
		atomic_store(&blocked, 3);
		run_all(workers, block_start, NULL);
		assert_true(atomic_load(&ticks) > 20);
	}
}

/* ---- wake-ups from a foreign thread ---- */
static _Atomic int foreign_left;
static void *foreign(void *arg)
{
	while (atomic_load(&foreign_left) > 0) {
		fiber_wake(arg);
		if (atomic_load(&foreign_left) % 16 == 0)
			nanosleep(&(struct timespec){ 0, 1000 }, NULL);
	}
	return NULL;
}
static void foreign_fiber(void *arg)
{
	pthread_t th;

	atomic_store(&foreign_left, 5000);
	pthread_create(&th, NULL, foreign, fiber_self());
	while (atomic_fetch_sub(&foreign_left, 1) > 1)
		assert_int_equal(fiber_park(PARK_UNINTERRUPTIBLE, ktime_mono() + 5 * NSEC_PER_SEC), 0);
	worker_block_begin();
	pthread_join(th, NULL);
	worker_block_end();
}
static void foreign_wakes(void **state)
{
	run_all(1, foreign_fiber, NULL);
	run_all(2, foreign_fiber, NULL);
}

/* ---- many fibers: stacks are reused ---- */
static void tiny(void *arg)
{
	volatile char deep[20000];
	deep[0] = deep[19999] = 1;
	atomic_fetch_add((_Atomic int *)arg, 1);
}
static void many(void *arg)
{
	static _Atomic int n;

	atomic_store(&n, 0);
	for (int i = 0; i < 2000; i++) {
		go(i, tiny, &n);
		if (i % 10 == 0)
			fiber_yield();
	}
	while (atomic_load(&n) < 2000)
		fiber_yield();
}
static void many_fibers(void **state)
{
	run_all(1, many, NULL);
	run_all(2, many, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(park_and_wake), cmocka_unit_test(fp_control),	   cmocka_unit_test(stress_locks),
		cmocka_unit_test(wait_queues),	 cmocka_unit_test(timers_fire),	   cmocka_unit_test(host_descriptors),
		cmocka_unit_test(block_sections), cmocka_unit_test(foreign_wakes), cmocka_unit_test(many_fibers),
	};
	alarm(120); /* a failed assertion inside a fiber may leave the rest waiting */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
