/* SPDX-License-Identifier: Apache-2.0 */
/* timer.h: clocks, interval timers and POSIX timers of a process. */
#ifndef BAILEY_KERNEL_TIMER_H
#define BAILEY_KERNEL_TIMER_H
#include "kernel/task.h"

#define CLOCK_MAX_K 16
/* A clock's time as t sees it: 0 or -EINVAL. Takes task_set.lock for CPU-time clocks. */
int clock_read(struct task *t, int clock, ktime_t *now);
int clock_resolution(struct task *t, int clock, ktime_t *res);
/* What Linux knows about a clock: may it be slept on, may timers be made on it? 0, -EINVAL (no such clock), -EOPNOTSUPP. */
#define CLOCKFD_K 3 /* in the low three bits of a number below 0: a clock behind a descriptor */
bool clock_known(int clock); /* above 0 */
enum clock_use { CLOCK_USE_SLEEP, CLOCK_USE_TIMER };
int clock_usable(struct task *t, int clock, enum clock_use use);
bool clock_is_cpu(int clock);
/* A point of a clock that is not a CPU-time clock, on ktime_mono. */
ktime_t clock_to_mono(struct task *t, int clock, ktime_t v);
/* A point of a clock as t's time namespace has it, as the host has it. */
ktime_t clock_to_host(struct task *t, int clock, ktime_t v);

/* A CPU-time clock, resolved: whose it is. */
struct cpu_clock {
	struct pid *pid; /* counted */
	bool thread;
	uint8_t which; /* CPUCLOCK_PROF, VIRT, SCHED */
};
int cpu_clock_get(struct task *t, int clock, bool gettime, struct cpu_clock *c); /* 0 or -EINVAL */
void cpu_clock_put(struct cpu_clock *c);
ktime_t cpu_clock_read(struct kernel *k, const struct cpu_clock *c); /* -1: its thread or process is gone */

long task_nanosleep(struct task *t, int clock, bool absolute, ktime_t v, uaddr_t rmtp);

void tg_init_timers(struct thread_group *tg);
/* The soft or hard limit was set or inherited: SIGXCPU and SIGKILL are the CPU timer's. Any fiber, no locks. */
void tg_rlimit_cpu_changed(struct thread_group *tg);

struct itimer_k { ktime_t interval, value; };
long task_setitimer(struct task *t, int which, const struct itimer_k *set /* NULL: only ask */, struct itimer_k *old);

struct sigevent_k { uint64_t value; int32_t signo, notify, tid; int32_t pad[11]; };
_Static_assert(sizeof(struct sigevent_k) == 64, "struct sigevent");
long posix_timer_create(struct task *t, int clock, const struct sigevent_k *ev, int want /* its id, or -1 */); /* its id */
long posix_timer_settime(struct task *t, int id, bool absolute, const struct itimer_k *set, struct itimer_k *old);
long posix_timer_gettime(struct task *t, int id, struct itimer_k *cur);
long posix_timer_getoverrun(struct task *t, int id);
long posix_timer_delete(struct task *t, int id);

/* ---- between itimer.c and posix_timer.c ---- */
struct posix_timer;
struct tg_timers { /* thread_group.posix_timers: owned */
	struct posix_timer **table; /* by id; timer_lock */
	int size;
	struct ktimer cpu_tick; /* one for all CPU-time timers of the process */
	ktime_t cpu_seen;	/* usage at the last tick */
	ktime_t cpu_delay;	/* the last delay: grows while the process uses no CPU */
	_Atomic unsigned ncpu;	/* armed POSIX timers on CPU-time clocks */
	ktime_t real_expires;	/* ITIMER_REAL; 0: off; timer_lock */
	struct thread_group *tg;
};
static inline struct tg_timers *tg_timers(struct thread_group *tg) { return tg->posix_timers; }
void cpu_timers_kick(struct thread_group *tg); /* something was armed: look soon. timer_lock may be held */
ktime_t posix_cpu_timers_run(struct thread_group *tg); /* fires what is due; the least CPU time until the next, KTIME_MAX if none */
void posix_timers_delete_all(struct thread_group *tg);
struct strbuf;
void posix_timers_show(struct thread_group *tg, struct pid_namespace *ns, struct strbuf *b); /* /proc/PID/timers */
void tg_signal_lock(struct thread_group *tg);
void tg_signal_unlock(struct thread_group *tg);

#endif
