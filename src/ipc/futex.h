/* SPDX-License-Identifier: Apache-2.0 */
/* futex.h: futexes of one kernel. Calls act on the running fiber's address space. Results as futex(2)'s, but that an interrupted wait
 * gives -EINTR: the caller makes it a restart. Deadlines are ktime_mono. */
#ifndef BAILEY_IPC_FUTEX_H
#define BAILEY_IPC_FUTEX_H
#include "lib/lib.h"
#include "mm/mm.h"
#include "sched/sched.h"

struct futex_table;
/* owner_id: a never reused identity of the thread with this id (in the running task's PID namespace), 0 if there is none. priority: the running
 * task's, 1 to 99, if it has a real-time policy, else 0: those are woken first, the highest first. */
struct futex_table *futex_table_create(uint64_t (*owner_id)(uint32_t tid), int (*priority)(void));
void futex_table_destroy(struct futex_table *ft);

#define FUTEX_BITSET_ANY 0xffffffffU
long futex_wait(struct futex_table *ft, uaddr_t addr, bool private_, uint32_t val, uint32_t bitset, ktime_t deadline);
long futex_wake(struct futex_table *ft, uaddr_t addr, bool private_, int nr, uint32_t bitset);
/* cmp: NULL for FUTEX_REQUEUE. Woken plus moved, or -errno. */
long futex_requeue(struct futex_table *ft, uaddr_t addr1, bool private1, uaddr_t addr2, bool private2, int nr_wake, int nr_requeue,
		   const uint32_t *cmp);
long futex_wake_op(struct futex_table *ft, uaddr_t addr1, uaddr_t addr2, bool private_, int nr_wake, int nr_wake2, uint32_t op);
struct futex_waitv_k { uint64_t val, uaddr; uint32_t flags, reserved; };
struct futex_vec { uaddr_t addr; uint32_t val; bool private_; };
long futex_wait_multiple(struct futex_table *ft, const struct futex_vec *v, unsigned n, ktime_t deadline); /* which one was woken */

/* Priority inheritance: who = the caller's thread id, as it stands in the word, and its identity. */
struct futex_self { uint32_t tid; uint64_t id; };
long futex_lock_pi(struct futex_table *ft, uaddr_t addr, bool private_, const struct futex_self *who, bool try, ktime_t deadline);
long futex_unlock_pi(struct futex_table *ft, uaddr_t addr, bool private_, const struct futex_self *who);
long futex_wait_requeue_pi(struct futex_table *ft, uaddr_t addr1, uaddr_t addr2, bool private_, uint32_t val, uint32_t bitset,
			   const struct futex_self *who, ktime_t deadline);
long futex_cmp_requeue_pi(struct futex_table *ft, uaddr_t addr1, uaddr_t addr2, bool private_, int nr_wake, int nr_requeue, uint32_t cmp);

/* A thread ends: walk its robust list (0: none), then let waiters of the PI futexes that it held have them. */
void futex_exit(struct futex_table *ft, uaddr_t robust_head, const struct futex_self *who);

#endif
