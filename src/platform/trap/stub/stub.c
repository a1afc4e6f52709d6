/* SPDX-License-Identifier: Apache-2.0 */
/* stub.c: what runs in every guest process above the guest's task size. Freestanding, no data, general registers only.
 *
 * OVERVIEW
 * Guest code comes in by a signal (stub_signal) or from a patched call site (stub_patched); registers are put into the slot,
 * the event into its first line; serve() hands it over, carries the answer out and goes back to guest code through one of
 * the exits in entry.S. Nothing here is trusted by the kernel process: a guest may overwrite all of it.
 *
 * Signals nest on the slot's stack: a kick that lands in the stub returns at once (the stub is on its way to the kernel, or
 * will see the kick flag in the exit); a fault in one of the copy routines moves on to its fix-up; a signal inside the exit
 * window is served with the registers in the slot, as if guest code had been hit.
 */
#include "../abi.h"
#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>
#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/mman.h>
#include <asm-generic/mman-common.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <stdbool.h>

#define KPAGE ((const volatile struct kpage *)STUB_KPAGE)
#define WAIT_UNIT 16 /* of slot.wait: to a pause */
#define WAIT_MISS 16
#define WAIT_MAX 800
#define WAIT_TIME 0xfff /* the upper bits: how many cache lines of the buffer the last answer had */
#define WAIT_LINES 12
#define WAIT_NEAR 32 /* turns: later than that after the first look, it was another kind of call */
#define NO_CALL 511 /* slot.wait of everything that is not a system call */
#define noreturn __attribute__((noreturn))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#pragma GCC visibility push(hidden) /* addresses relative to rip, no table */
noreturn void switch_stack(struct slot *s, void (*fn)(struct slot *));
/* No return from these either, but the compiler is not told: it jumps to them, as to other functions at the end of one. */
void exit_fast(struct slot *s);
void exit_fast_flags(struct slot *s);
void exit_full(struct slot *s);
noreturn void stub_exit_thread(struct slot *s);
void stub_restorer(void);
long stub_fork(struct slot *s, uint32_t handle, uint64_t cookie);
long stub_clone(struct slot *child, struct slot *s);
long stub_copy(uint64_t dst, uint64_t src, long n);
long stub_strcopy(uint64_t dst, uint64_t src, long n);
long stub_cmpxchg(uint64_t addr, uint32_t expect, uint32_t val);
long stub_xrstor(uint64_t area, uint64_t features);
long stub_xsave(uint64_t area, uint64_t features);
long stub_fxrstor(uint64_t area);
extern const char exit_start[], exit_end[], patched_trap[];
struct fixup { uint64_t from, to, target; };
extern const struct fixup stub_fixups[], stub_fixups_end[];

noreturn void zygote_start(const uint64_t *sp);
noreturn void stub_signal(int sig, siginfo_t *info, struct ucontext *uc);
void stub_patched(struct slot *s);
noreturn void stub_kicked(struct slot *s);
noreturn void stub_child(struct slot *s);
noreturn void stub_thread(struct slot *s);

#pragma GCC visibility pop

static inline long sys(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall" : "=a"(ret) : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9) : "rcx", "r11", "memory");
	return ret;
}

/* ---- hand-off ---- */

static inline uint16_t *wait_of(struct slot *s, uint32_t kind) { return &s->wait[kind % (sizeof(s->wait) / sizeof(s->wait[0]))]; }

/* Publish the event in the slot's line and return when the kernel has answered. A look at the line before the answer is there takes the
 * line away from the kernel, which then has to fetch it back to answer: that costs as much as the hand-off itself. So the first look is
 * put off for as long as this kind of call was last seen to take, found out by trying a little less after each success. The lines of the
 * buffer that the last answer used are fetched with it: their addresses are in the line, and to wait for it first takes twice as long. */
static inline __attribute__((always_inline)) void handoff(struct slot *s, uint32_t kind)
{
	uint16_t *wait = wait_of(s, kind);
	uint32_t n = KPAGE->spin, time = *wait & WAIT_TIME, lines = *wait >> WAIT_LINES;

	/* A plain store, which leaves with those before it. A worker that withdraws the polling flag and looks at the slots once more may
	 * miss it; then the flag is seen here, and *wait* tells the worker. */
	__atomic_store_n(&s->line.state, SLOT_EVENT, __ATOMIC_RELEASE);
	if (likely(__atomic_load_n(&KPAGE->polling, __ATOMIC_RELAXED))) {
		for (uint32_t i = time / WAIT_UNIT; i; i--)
			__builtin_ia32_pause();
		for (uint32_t i = 0; i < lines; i++)
			__builtin_prefetch(&s->buf[SLOT_COPY1_AT + SLOT_INLINE + 64 * i]);
		if (likely(__atomic_load_n(&s->line.state, __ATOMIC_ACQUIRE) == SLOT_RUN)) {
			*wait -= time != 0;
			return;
		}
	}
	while (__atomic_load_n(&KPAGE->polling, __ATOMIC_RELAXED) && n--) {
		uint32_t st;

		__builtin_ia32_pause();
		st = __atomic_load_n(&s->line.state, __ATOMIC_ACQUIRE);
		if (likely(st == SLOT_RUN)) {
			if (KPAGE->spin - n < WAIT_NEAR && time < WAIT_MAX)
				*wait += WAIT_MISS;
			return;
		}
		if (st == SLOT_PARK)
			break;
	}
	for (;;) {
		uint32_t st = __atomic_load_n(&s->line.state, __ATOMIC_ACQUIRE);

		if (st == SLOT_RUN)
			return;
		if (st == SLOT_DOZE)
			sys(__NR_futex, (long)&s->line.state, 0 /* FUTEX_WAIT */, SLOT_DOZE, 0, 0, 0);
		else if (sys(STUB_NR_WAIT, s->handle, (long)s->cookie, 0, 0, 0, 0) == -38 /* ENOSYS: the kernel process is gone */)
			stub_exit_thread(s);
	}
}

/* FP state of the guest into the CPU. */
static inline bool load_fp(struct slot *s)
{
	uint64_t fp = s->fp;

	s->fp = 0;
	return !fp || stub_xrstor(fp, KPAGE->xfeatures) == 0;
}

/* ---- signal frames ---- */

#define FP_MAGIC1 0x46505853U
#define FP_MAGIC2 0x46505845U
#define FP_SW_OFF 464 /* the software bytes, in the FXSAVE part */
#define FP_HEADER_OFF 512
struct fp_sw {
	uint32_t magic1, extended_size;
	uint64_t xfeatures;
	uint32_t xstate_size, pad[7];
};

static inline long load_init(uint64_t features) { return features ? stub_xrstor((uint64_t)KPAGE->init_fp, features) : 0; }

/* rt_sigreturn's: with the software bytes in order all that the frame says, without them x87 and SSE; the rest initial. */
static bool fp_from_frame(uint64_t fp)
{
	uint64_t all = KPAGE->xfeatures, mine;
	struct fp_sw sw;
	uint32_t magic2;

	if (!fp)
		return !load_init(all);
	if (stub_copy((uint64_t)&sw, fp + FP_SW_OFF, 24))
		return false;
	if (sw.magic1 == FP_MAGIC1 && sw.xstate_size >= 576 && sw.xstate_size <= KPAGE->xsave_size && sw.xstate_size <= sw.extended_size) {
		if (stub_copy((uint64_t)&magic2, fp + sw.xstate_size, 4))
			return false;
		if (magic2 == FP_MAGIC2) {
			mine = sw.xfeatures & all;
			return !load_init(all & ~mine) && !stub_xrstor(fp, mine);
		}
	}
	return !load_init(all & ~3UL) && !stub_fxrstor(fp); /* first: it loads MXCSR too */
}

static bool fp_to_frame(uint64_t fp)
{
	uint64_t used, size = KPAGE->xsave_size;
	struct fp_sw sw = { .magic1 = FP_MAGIC1, .extended_size = (uint32_t)size + 4, .xfeatures = KPAGE->xfeatures, .xstate_size = (uint32_t)size };
	uint32_t magic2 = FP_MAGIC2;

	/* The header: xsave leaves parts of it alone. Handlers may change x87 and SSE state without looking at what is in use. */
	if (stub_copy(fp + FP_HEADER_OFF, (uint64_t)KPAGE->init_fp + FP_HEADER_OFF, 64) || stub_xsave(fp, sw.xfeatures) ||
	    stub_copy(fp + FP_SW_OFF, (uint64_t)&sw, sizeof(sw)) || stub_copy((uint64_t)&used, fp + FP_HEADER_OFF, 8))
		return false;
	used |= 3;
	return !stub_copy(fp + FP_HEADER_OFF, (uint64_t)&used, 8) && !stub_copy(fp + size, (uint64_t)&magic2, 4);
}

static void set_fs_base(uint64_t v)
{
	if (KPAGE->fsgsbase)
		__asm__ volatile("wrfsbase %0" : : "r"(v));
	else
		sys(__NR_arch_prctl, 0x1002 /* ARCH_SET_FS */, (long)v, 0, 0, 0, 0);
}

static void set_gs_base(uint64_t v)
{
	if (KPAGE->fsgsbase)
		__asm__ volatile("wrgsbase %0" : : "r"(v));
	else
		sys(__NR_arch_prctl, 0x1001 /* ARCH_SET_GS */, (long)v, 0, 0, 0, 0);
}

static inline void save_fs_base(struct slot *s)
{
	if (KPAGE->fsgsbase) {
		uint64_t v;

		__asm__ volatile("rdfsbase %0" : "=r"(v));
		s->regs.fs_base = v;
	}
}

static long do_rseq(struct slot *s, uint64_t addr, uint32_t len, uint32_t flags, uint32_t sig)
{
	long r = sys(__NR_rseq, (long)addr, len, flags, sig, 0, 0);

	if (!r) {
		s->rseq_addr = addr;
		s->rseq_len = flags ? 0 : len;
		s->rseq_sig = sig;
	}
	return r;
}

static long run_order(struct slot *s, const struct slot_order *o)
{
	long r;

	switch (o->op) {
	case ORD_MMAP_ANON:
		r = sys(__NR_mmap, (long)o->addr, (long)o->len, o->prot, o->flags, -1, 0);
		return r < 0 ? r : 0;
	case ORD_MMAP_FD:
		r = sys(__NR_mmap, (long)o->addr, (long)o->len, o->prot, o->flags, o->fd, (long)o->off);
		if (!o->keep)
			sys(__NR_close, o->fd, 0, 0, 0, 0, 0);
		return r < 0 ? r : 0;
	case ORD_MUNMAP:
		return sys(__NR_munmap, (long)o->addr, (long)o->len, 0, 0, 0, 0);
	case ORD_MPROTECT:
		return sys(__NR_mprotect, (long)o->addr, (long)o->len, o->prot, 0, 0, 0);
	case ORD_MADVISE:
		return sys(__NR_madvise, (long)o->addr, (long)o->len, o->flags, 0, 0, 0);
	case ORD_MREMAP:
		r = sys(__NR_mremap, (long)o->addr, (long)o->len, (long)o->new_len, o->flags, (long)o->new_addr, 0);
		return r < 0 ? r : 0;
	case ORD_RSEQ:
		return do_rseq(s, o->addr, (uint32_t)o->len, o->flags, o->prot);
	case ORD_CLOSE:
		sys(__NR_close, o->fd, 0, 0, 0, 0, 0);
		return 0;
	}
	return -22;
}

/* Up to seven bytes of text. Other threads may be executing them: they lie in one aligned block of 16, which CPUs fetch at once, or the kernel
 * knows that nobody is there. */
static long patch(uint64_t addr, uint64_t bytes, uint32_t len)
{
	unsigned __int128 *block = (unsigned __int128 *)(addr & ~15UL), old, new, mask;
	uint64_t page = addr & ~4095UL, shift = (addr & 15) * 8;
	bool done = false;
	long r;

	if (len > 7 || (addr & 4095) + len > 4096)
		return -22;
	r = sys(__NR_mprotect, (long)page, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, 0, 0, 0);
	if (r)
		return r;
	if (shift <= 128 - 8 * len) {
		mask = (unsigned __int128)((1UL << 8 * len) - 1) << shift;
		old = *block;
		while (!done) {
			uint64_t lo = (uint64_t)old, hi = (uint64_t)(old >> 64);

			new = (old & ~mask) | (unsigned __int128)bytes << shift;
			__asm__ volatile("lock cmpxchg16b %1" : "=@ccz"(done), "+m"(*block), "+a"(lo), "+d"(hi) : "b"((uint64_t)new), "c"((uint64_t)(new >> 64)));
			old = (unsigned __int128)hi << 64 | lo;
		}
	} else {
		for (uint32_t i = 0; i < len; i++)
			((volatile uint8_t *)addr)[i] = (uint8_t)(bytes >> 8 * i);
	}
	return sys(__NR_mprotect, (long)page, 4096, PROT_READ | PROT_EXEC, 0, 0, 0);
}

static inline void post(struct slot *s, uint32_t info, uint64_t a0, uint64_t a1)
{
	s->line.info = info;
	s->line.args[0] = a0;
	s->line.args[1] = a1;
}

/* Most answers with data: nothing but the line is touched if they are short. The loads of the rest do not wait for anything, so that
 * their lines come at the same time. False: from a file window, and not all of it; a new event is in the line. */
static inline bool copy_one(struct slot *s, uint32_t ans, uint32_t kind)
{
	uint32_t len = (uint32_t)s->line.args[2], off = (uint32_t)(s->line.args[2] >> 32), here = !off ? 0 : len < SLOT_INLINE ? len : SLOT_INLINE;
	uint64_t to = s->line.args[1];
	uint16_t *wait = wait_of(s, kind);

	if (unlikely(off == SLOT_COPY_WINDOW)) {
		*wait &= WAIT_TIME;
		if (likely(!stub_copy(to, s->line.args[3], len)))
			return true;
		post(s, EV_SHORT, 0, 0);
		return false;
	}
	*wait = (uint16_t)((*wait & WAIT_TIME) | (here && len < 64 * 15 ? (len - here + 63) / 64 : 0) << WAIT_LINES);
	if (unlikely(stub_copy(to, (uint64_t)&s->line.args[3], here) ||
		     (len > here && stub_copy(to + here, (uint64_t)s->buf + off + here, len - here))) &&
	    (ans & ANS_RESULT))
		s->regs.rax = (uint64_t)-14;
	return true;
}

/* What an answer says of signal frames. False: at a fault, which is in the line. */
static bool frames(struct slot *s, uint32_t ans)
{
	if (ans & ANS_FPLOAD) {
		s->fp = 0;
		if (!fp_from_frame(s->sig.fp_at)) {
			load_init(KPAGE->xfeatures);
			goto fault;
		}
	}
	if (ans & ANS_FRAME) {
		load_fp(s);
		if (stub_copy(s->sig.frame_at, (uint64_t)s->frame, s->sig.frame_len) || !fp_to_frame(s->sig.frame_fp))
			goto fault;
		load_init(KPAGE->xfeatures);
	}
	return true;
fault:
	s->line.args[2] = s->fault_addr;
	post(s, EV_FRAME, s->trapno, s->err);
	return false;
}

/* True: the answer is carried out and guest code goes on. False: a new event is in the line. */
static bool carry_out(struct slot *s, uint32_t ans)
{
	uint64_t value = 0;

	if (ans & ANS_EXIT)
		stub_exit_thread(s);
	if (ans & ANS_XSAVE) {
		load_fp(s);
		for (unsigned i = 0; i < 64; i++) /* the header: xsave leaves parts of it alone */
			s->xsave[512 + i] = 0;
		stub_xsave((uint64_t)s->xsave, KPAGE->xfeatures);
	}
	if (ans & ANS_XRSTOR) {
		s->fp = 0;
		if (stub_xrstor((uint64_t)s->xsave, KPAGE->xfeatures))
			value = (uint64_t)-22;
	}
	if (ans & ANS_FSBASE)
		set_fs_base(s->fs_base);
	if (ans & ANS_GSBASE)
		set_gs_base(s->gs_base);
	if (ans & ANS_RESULT)
		s->regs.rax = s->line.args[0];
	if (ans & ANS_ORDERS) {
		uint32_t n = s->norders;

		for (uint32_t i = 0; i < n && i < SLOT_MAX_ORDERS; i++) {
			long r = run_order(s, &s->orders[i]);

			if (r < 0) {
				for (uint32_t k = i; k < n && k < SLOT_MAX_ORDERS; k++)
					if (s->orders[k].op == ORD_MMAP_FD && !s->orders[k].keep)
						sys(__NR_close, s->orders[k].fd, 0, 0, 0, 0, 0);
				post(s, EV_ORDER, i, (uint64_t)r);
				return false;
			}
		}
		__atomic_store_n(&s->orders_done, s->orders_done + 1, __ATOMIC_RELEASE);
	}
	if (ans & ANS_CMPXCHG)
		value = (uint64_t)stub_cmpxchg(s->cx_addr, s->cx_expect, s->cx_val);
	if (ans & ANS_PATCH)
		value = (uint64_t)patch(s->patch_addr, s->patch_bytes, s->patch_len);
	if (ans & ANS_THREAD) {
		struct slot *n = (struct slot *)(STUB_SLOTS + ((uint64_t)s->child_slot << STUB_SLOT_SHIFT));

		load_fp(s);
		do /* -EINTR: a kick came before the kernel process saw the call */
			value = (uint64_t)stub_clone(n, s);
		while ((int64_t)value == -4);
	}
	if (ans & ANS_FORK) {
		load_fp(s);
		do
			value = (uint64_t)stub_fork(s, s->child_handle, s->child_cookie);
		while ((int64_t)value == -4);
	}
	if (ans & ANS_COPYOUT)
		for (uint32_t i = 0; i < s->ncopies && i < SLOT_MAX_COPIES; i++) {
			const struct slot_copy *c = &s->copies[i];

			if (stub_copy(c->addr, (uint64_t)s->buf + c->off, c->len) && (ans & ANS_RESULT))
				s->regs.rax = (uint64_t)-14;
		}
	if ((ans & ANS_COPY1) && !copy_one(s, ans, NO_CALL))
		return false;
	if (ans & (ANS_FPLOAD | ANS_FRAME) && !frames(s, ans))
		return false;
	if (ans & ANS_STAY) {
		post(s, EV_DONE, value, 0);
		return false;
	}
	return true;
}

static inline void resume(struct slot *s, uint32_t ans)
{
	load_fp(s);
	if (ans & ANS_FULL)
		return exit_full(s);
	if (likely(!s->flags_live))
		return exit_fast(s);
	if (unlikely(s->regs.eflags & 0x100)) { /* single-stepping: the trap must not come before the first guest instruction */
		s->regs.rcx = s->regs.rip;
		return exit_full(s);
	}
	return exit_fast_flags(s);
}

static __attribute__((noinline)) void answered_more(struct slot *s);

/* The line holds an answer. */
static inline void answered(struct slot *s, uint32_t kind)
{
	uint32_t ans = s->line.info;

	if (likely(!ans)) {
		s->regs.rax = s->line.args[0];
		return resume(s, 0);
	}
	if (likely(ans == (ANS_RESULT | ANS_COPY1))) {
		s->regs.rax = s->line.args[0];
		if (likely(copy_one(s, ans, kind)))
			return resume(s, 0);
		handoff(s, NO_CALL);
	}
	return answered_more(s);
}

static void answered_more(struct slot *s)
{
	for (;;) {
		uint32_t ans = s->line.info;

		if (!ans)
			ans = ANS_RESULT;
		if (carry_out(s, ans))
			return resume(s, ans);
		handoff(s, NO_CALL);
	}
}

static inline void serve(struct slot *s, uint32_t kind)
{
	handoff(s, kind);
	answered(s, kind);
}

static __attribute__((noinline)) noreturn void serve_signal(struct slot *s, uint32_t kind)
{
	serve(s, kind);
	__builtin_unreachable();
}

/* ---- system calls ---- */

/* Copy in what the table says that this call's pointers stand for; how much: see EV_PREFETCH. */
static void prefetch(struct slot *s, uint32_t nr, uint32_t lens[2])
{
	const uint64_t args[8] = { s->regs.rdi, s->regs.rsi, s->regs.rdx, s->regs.r10, s->regs.r8, s->regs.r9, s->regs.rsp, 0 };
	uint32_t used = 0;

	lens[0] = lens[1] = 0;

	for (int i = 0; i < 2; i++) {
		const volatile struct kpage_prefetch *p = &KPAGE->prefetch[nr][i];
		uint32_t room = SLOT_BUF_SIZE - used;
		uint64_t len, addr;

		if (!p->kind)
			break;
		addr = args[p->arg & 7];
		if (addr < 4096 || addr >= STUB_SLOTS)
			continue;
		if (p->kind == 1) {
			len = (uint64_t)stub_strcopy((uint64_t)s->buf + used, addr, room < 4096 ? room : 4096);
		} else {
			uint64_t want = p->kind == 2 ? args[p->len_arg & 7] : p->size;

			if (want > (p->kind == 2 && p->size ? p->size : room))
				continue;
			if (want > room)
				continue;
			/* The poller read them last: ask for all at once. */
			if (want > 256 && KPAGE->polling)
				for (uint64_t at = 0; at < want; at += 64)
					__asm__ volatile("prefetchw %0" : : "m"(s->buf[used + at]));
			len = want - (uint64_t)stub_copy((uint64_t)s->buf + used, addr, (long)want);
		}
		lens[i] = (uint32_t)len;
		used += (uint32_t)(len + 15) & ~15u;
		if (used >= SLOT_BUF_SIZE)
			break;
	}
}

/* What is short travels in place of arguments that the call does not have. */
static uint32_t prefetch_inline(struct slot *s, const volatile struct kpage_prefetch *p, uint64_t last[3])
{
	const uint64_t args[6] = { s->regs.rdi, s->regs.rsi, s->regs.rdx, s->regs.r10, s->regs.r8, s->regs.r9 };
	uint32_t nargs = p->nargs, first = PREFETCH_INLINE(nargs) - 3, room = (3 - first) * 8, len;
	uint64_t addr, in[3];

	if (!nargs || nargs == 6 || p->arg >= nargs)
		return 0;
	addr = args[p->arg];
	if (addr < 4096 || addr >= STUB_SLOTS)
		return 0;
	if (p->kind == 1) {
		len = (uint32_t)stub_strcopy((uint64_t)in, addr, room);
		if (!len || ((char *)in)[len - 1])
			return 0;
	} else {
		uint64_t want = p->kind == 2 ? args[p->len_arg & 7] : p->size;

		if (!want || want > room || p->len_arg >= nargs || stub_copy((uint64_t)in, addr, (long)want))
			return 0;
		len = (uint32_t)want;
	}
	for (uint32_t i = first; i < 3; i++)
		last[i] = in[i - first];
	return len;
}

/* The line is written in one go, last: a worker that watches it takes it away between two stores that are far apart. */
static inline void syscall_line(struct slot *s, uint32_t nr, uint32_t info)
{
	uint64_t rdi = s->regs.rdi, rsi = s->regs.rsi, rdx = s->regs.rdx, last[3] = { s->regs.r10, s->regs.r8, s->regs.r9 };

	info |= EV_SYSCALL;
	/* The host thread may outlive the guest's, whose memory somebody unmaps. */
	if (unlikely(nr == __NR_exit) && s->rseq_len)
		do_rseq(s, s->rseq_addr, s->rseq_len, 1 /* RSEQ_FLAG_UNREGISTER */, s->rseq_sig);
	if (unlikely(s->news)) {
		info |= s->news;
		s->news = 0;
	}
	if (!(info & EV_COMPAT) && nr < KPAGE_NR_PREFETCH && KPAGE->prefetch[nr][0].kind) {
		uint32_t lens[2] = { prefetch_inline(s, &KPAGE->prefetch[nr][0], last), 0 };

		if (lens[0])
			info |= EV_INLINE;
		else
			prefetch(s, nr, lens);
		if (lens[0] | lens[1]) {
			info |= EV_PREFETCH | lens[0] << 16;
			nr |= lens[1] << 16;
		}
	}
	s->line.args[0] = rdi;
	s->line.args[1] = rsi;
	s->line.args[2] = rdx;
	s->line.args[3] = last[0];
	s->line.args[4] = last[1];
	s->line.args[5] = last[2];
	s->line.nr = nr;
	s->line.info = info;
}

/* rseq(addr, len, flags, sig): every new thread does it, and the host knows best. */
static __attribute__((noinline)) bool own_rseq(struct slot *s)
{
	if (!s->rseq_lent || s->regs.rdi >= STUB_SLOTS - 4096 || (uint32_t)s->regs.rsi > 4096)
		return false;
	s->regs.rax = (uint64_t)do_rseq(s, s->regs.rdi, (uint32_t)s->regs.rsi, (uint32_t)s->regs.rdx, (uint32_t)s->regs.r10);
	return true;
}

/* rt_sigaction(signo, act, old, size), where it needs nobody's leave: it asks, or it replaces a default action by one that says the
 * same with other flags (posix_spawn does both for every signal). Not where a default action means to ignore: that drops signals. */
static __attribute__((noinline)) bool own_action(struct slot *s)
{
	const uint64_t not_here = 1UL << 8 | 1UL << 18 | 1UL << 16 | 1UL << 17 | 1UL << 22 | 1UL << 27; /* KILL STOP CHLD CONT URG WINCH */
	uint64_t act = s->regs.rsi, old = s->regs.rdx;
	uint32_t i = (uint32_t)s->regs.rdi - 1;
	struct slot_action *a, new;

	if (!s->actions_valid || i >= 64 || s->regs.r10 != 8 || act >= STUB_SLOTS || old >= STUB_SLOTS)
		return false;
	a = &s->actions[i];
	if (act && (a->handler || not_here >> i & 1 || stub_copy((uint64_t)&new, act, sizeof(new)) || new.handler))
		return false;
	if (old && stub_copy(old, (uint64_t)a, sizeof(*a)))
		return false;
	if (act) {
		a->flags = new.flags & 0xdc000807; /* SA_ flags that Linux knows */
		a->restorer = new.restorer;
		a->mask = new.mask & ~(1UL << 8 | 1UL << 18);
		s->actions_changed |= 1UL << i;
		s->news |= EV_ACTIONS;
	}
	s->regs.rax = 0;
	return true;
}

/* The mask is the stub's while it is lent: true, or somebody may want to know of the change. */
static bool own_mask(struct slot *s, uint64_t mask)
{
	uint64_t old = s->sig.mask;

	if (mask == old)
		return true;
	__atomic_store_n(&s->sig.mask, mask & ~(1UL << 8 | 1UL << 18), __ATOMIC_SEQ_CST);
	if (likely(!__atomic_load_n(&s->sig.busy, __ATOMIC_SEQ_CST))) {
		s->news |= EV_MASK;
		return true;
	}
	__atomic_store_n(&s->sig.mask, old, __ATOMIC_SEQ_CST);
	return false;
}

/* rt_sigprocmask(how, set, old, size) */
static __attribute__((noinline)) bool own_sigprocmask(struct slot *s)
{
	uint64_t set = s->regs.rsi, to = s->regs.rdx, old = s->sig.mask, new;

	if (!s->sig.mask_lent || s->sig.busy || s->regs.r10 != 8 || set >= STUB_SLOTS || to >= STUB_SLOTS)
		return false;
	if (set) {
		if (stub_copy((uint64_t)&new, set, 8))
			return false;
		switch ((uint32_t)s->regs.rdi) {
		case 0: /* SIG_BLOCK */
			new |= old;
			break;
		case 1: /* SIG_UNBLOCK */
			new = old & ~new;
			break;
		case 2: /* SIG_SETMASK */
			break;
		default:
			return false;
		}
		if (!own_mask(s, new))
			return false;
	}
	s->regs.rax = to && stub_copy(to, (uint64_t)&old, 8) ? (uint64_t)-14 : 0;
	return true;
}

void stub_patched(struct slot *s)
{
	uint64_t nr = s->regs.rax;

	s->fp = 0;
	s->flags_live = 0;
	s->regs.r11 = s->regs.eflags = 0x246;
	s->regs.cs = 0x33;
	s->regs.ss = 0x2b;
	if (nr < KPAGE_NR_PREFETCH && unlikely(KPAGE->prefetch[nr][0].id) && s->sig.mask_lent && s->ids_valid) {
		s->regs.rax = s->ids[(KPAGE->prefetch[nr][0].id - 1) % SLOT_NIDS];
		return resume(s, 0);
	}
	if (s->regs.rax == __NR_rt_sigaction && own_action(s))
		return resume(s, 0);
	if (s->regs.rax == __NR_rt_sigprocmask && own_sigprocmask(s))
		return resume(s, 0);
	if (s->regs.rax == __NR_rseq && own_rseq(s))
		return resume(s, 0);
	save_fs_base(s);
	syscall_line(s, (uint32_t)s->regs.rax, EV_FP_LIVE);
	return serve(s, (uint32_t)s->regs.rax);
}

/* ---- signals ---- */

static void save_regs(struct slot *s, const struct sigcontext *m)
{
	struct slot_regs *r = &s->regs;

	r->r15 = m->r15; r->r14 = m->r14; r->r13 = m->r13; r->r12 = m->r12;
	r->rbp = m->rbp; r->rbx = m->rbx; r->r11 = m->r11; r->r10 = m->r10;
	r->r9 = m->r9; r->r8 = m->r8; r->rax = m->rax; r->rcx = m->rcx;
	r->rdx = m->rdx; r->rsi = m->rsi; r->rdi = m->rdi;
	r->rip = m->rip; r->rsp = m->rsp; r->eflags = m->eflags;
	r->cs = m->cs; r->ss = m->ss;
	save_fs_base(s);
	s->fp = (uint64_t)m->fpstate;
	s->flags_live = 1;
}

#define FIX_EFLAGS 0x50dd5UL /* what rt_sigreturn takes from a frame: RF AC OF DF TF SF ZF AF PF CF */

/* rt_sigreturn, where the kernel process has nothing to say: the mask is lent and the alternate stack stays. m: the state at the call. */
static void own_sigreturn(struct slot *s, const struct sigcontext *m)
{
	struct { uint64_t flags, link; struct { uint64_t sp; uint32_t flags, pad; uint64_t size; } sas; struct sigcontext mc; uint64_t mask; } uc;
	struct slot_regs *r = &s->regs;
	const struct sigcontext *c = &uc.mc;

	_Static_assert(sizeof(uc) == 304, "struct ucontext");
	if (!s->sig.mask_lent || s->sig.busy || m->rsp - 8 >= STUB_SLOTS - sizeof(uc) || stub_copy((uint64_t)&uc, m->rsp, sizeof(uc)))
		return;
	if (uc.sas.sp != s->sig.sas_sp || uc.sas.size != s->sig.sas_size || uc.sas.flags != s->sig.sas_flags || c->rip >= STUB_SLOTS ||
	    c->rsp >= STUB_SLOTS || (c->cs | 3) == 0x23 || (uint64_t)c->fpstate >= STUB_SLOTS)
		return;
	/* A frame that turns out to be bad, or comes too late, is the kernel process's to judge, from the beginning. */
	if (!fp_from_frame((uint64_t)c->fpstate) || !own_mask(s, uc.mask))
		return;
	r->r15 = c->r15; r->r14 = c->r14; r->r13 = c->r13; r->r12 = c->r12;
	r->rbp = c->rbp; r->rbx = c->rbx; r->r11 = c->r11; r->r10 = c->r10;
	r->r9 = c->r9; r->r8 = c->r8; r->rax = c->rax; r->rcx = c->rcx;
	r->rdx = c->rdx; r->rsi = c->rsi; r->rdi = c->rdi;
	r->rip = c->rip; r->rsp = c->rsp;
	r->eflags = ((m->eflags & ~FIX_EFLAGS) | (c->eflags & FIX_EFLAGS)) & ~0x10000UL;
	r->cs = 0x33;
	r->ss = 0x2b;
	s->fp = 0;
	s->flags_live = 1;
	exit_full(s);
}

static void fault_event(struct slot *s, int sig, const siginfo_t *info, const struct sigcontext *m)
{
	s->signo = sig;
	s->code = info->si_code;
	s->fault_addr = (uint64_t)info->si_addr;
	s->trapno = m->trapno;
	s->err = m->err;
	if (sig == SIGSEGV || sig == SIGBUS)
		s->fault_addr = m->trapno == 14 ? m->cr2 : (uint64_t)info->si_addr;
	s->line.info = EV_FAULT;
}

static noreturn void serve_event(struct slot *s) { serve_signal(s, NO_CALL); }

/* Returns to the restorer when the interrupted stub code is to go on. */
__attribute__((used)) static void signal_c(int sig, siginfo_t *info, struct ucontext *uc)
{
	struct slot *s = (struct slot *)((uint64_t)__builtin_frame_address(0) & ~(uint64_t)(STUB_SLOT_SIZE - 1));
	struct sigcontext *m = &uc->uc_mcontext;

	if (likely(sig == SIGSYS)) {
		uint32_t compat = info->si_arch == AUDIT_ARCH_X86_64 && m->cs == 0x33 ? 0 : EV_COMPAT;

		if (info->si_syscall == __NR_rt_sigreturn && !compat)
			own_sigreturn(s, m);
		save_regs(s, m);
		if (info->si_syscall == __NR_rseq && !compat && own_rseq(s)) {
			resume(s, 0);
			__builtin_unreachable();
		}
		syscall_line(s, (uint32_t)info->si_syscall, compat);
		serve_signal(s, (uint32_t)info->si_syscall);
	}
	if (m->rip >= STUB_TEXT && m->rip < STUB_TEXT_END) {
		if (m->rip >= (uint64_t)exit_start && m->rip < (uint64_t)exit_end) {
			/* All but the flags that a fast exit need not restore is in the slot; the live FP state is in the frame. It is loaded
			 * and the frame left behind: each could come on top of the last one's otherwise, until there is no stack. */
			stub_xrstor((uint64_t)m->fpstate, KPAGE->xfeatures);
			s->fp = 0;
			if (!s->flags_live)
				s->regs.eflags = 0x246;
			s->flags_live = 1;
			if (sig == STUB_SIGKICK)
				s->line.info = EV_KICK | EV_FP_LIVE;
			else
				fault_event(s, sig, info, m);
			switch_stack(s, serve_event);
		}
		if (sig == STUB_SIGKICK)
			return;
		if (sig == SIGILL && m->rip == (uint64_t)patched_trap) {
			save_regs(s, m);
			s->regs.rip = s->regs.rcx;
			s->regs.r11 = s->regs.eflags = 0x246;
			syscall_line(s, (uint32_t)s->regs.rax, 0);
			serve_signal(s, (uint32_t)s->regs.rax);
		}
		if (sig == SIGSEGV || sig == SIGBUS)
			for (const struct fixup *f = stub_fixups; f < stub_fixups_end; f++)
				if (m->rip >= f->from && m->rip < f->to) {
					s->trapno = m->trapno;
					s->err = m->err;
					s->fault_addr = m->cr2;
					m->rip = f->target;
					return;
				}
		stub_exit_thread(s);
	}
	save_regs(s, m);
	if (sig == STUB_SIGKICK)
		s->line.info = EV_KICK;
	else
		fault_event(s, sig, info, m);
	serve_event(s);
}

/* The host enters handlers with an aligned stack, as after a call. */
__asm__(".globl stub_signal\nstub_signal: jmp signal_c");

void stub_kicked(struct slot *s)
{
	if (!s->flags_live)
		s->regs.eflags = 0x246;
	s->line.info = EV_KICK | EV_FP_LIVE;
	serve_event(s);
}

/* ---- new threads and processes ---- */

static void set_altstack(struct slot *s)
{
	stack_t ss = { .ss_sp = s->stack, .ss_size = sizeof(s->stack) };

	sys(__NR_sigaltstack, (long)&ss, 0, 0, 0, 0, 0);
}

/* A forked process, its own slots mapped; alternate stack, GS base and FP state are its parent's, which is right. */
void stub_child(struct slot *s)
{
	__atomic_store_n(&s->here, 1, __ATOMIC_SEQ_CST);
	answered_more(s);
	__builtin_unreachable();
}

void stub_thread(struct slot *s)
{
	set_altstack(s);
	if (KPAGE->fsgsbase)
		set_gs_base((uint64_t)s);
	__atomic_store_n(&s->here, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&s->line.state, __ATOMIC_ACQUIRE) != SLOT_RUN)
		if (sys(STUB_NR_HELLO, s->handle, (long)s->cookie, 0, 0, 0, 0) == -38)
			stub_exit_thread(s);
	answered_more(s);
	__builtin_unreachable();
}

/* ---- the zygote ---- */

#define LD(off) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, off)
#define DATA(f) __builtin_offsetof(struct seccomp_data, f)
#define ARG(n) (DATA(args) + 8 * (n))
#define JEQ(k, t, f) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, t, f)
#define JGE(k, t, f) BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, k, t, f)
#define JSET(k, t, f) BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, k, t, f)
#define RET(v) BPF_STMT(BPF_RET | BPF_K, v)
/* A block: if the loaded number is nr, the n instructions that follow decide. */
#define ON(nr, n) JEQ(nr, 0, n)

#define MMAP_ANON_FLAGS                                                                                                \
	(MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE | MAP_STACK | MAP_POPULATE | MAP_DENYWRITE)
#define MMAP_FD_FLAGS (MAP_PRIVATE | MAP_SHARED | MAP_FIXED | MAP_NORESERVE | MAP_FIXED_NOREPLACE | MAP_POPULATE | MAP_DENYWRITE)

/* The whole host kernel surface of a guest. Guest code can jump to any stub instruction with any registers, and map code of
 * its own over the stub: the filter judges addresses, numbers and arguments, never the code behind them. Reasons:
 *  - rt_sigreturn, exit, munmap, mprotect, mremap, close, sigaltstack: act on the caller's own memory, state and descriptors
 *    only, and all arguments but one stack_t and the frame are scalars. A process holds no descriptors but those that the
 *    kernel installs for one order.
 *  - mmap without a descriptor: private anonymous memory. With one: whatever the kernel installed for this process to map.
 *  - madvise: advice that only concerns the caller; not MERGEABLE (a side channel), HWPOISON or the like.
 *  - rseq: the host writes what CPU it is into memory of the caller, and moves the caller to a place that it names, if it wants that.
 *  - arch_prctl(ARCH_SET_FS, ARCH_SET_GS): hosts without FSGSBASE. prctl(PR_SET_PDEATHSIG, SIGKILL): forked children.
 *  - futex(FUTEX_WAIT), on words above the guest's memory only and without a time-out: a long sleep.
 *  - clone: each one is checked by the kernel process. */
static const struct sock_filter filter[] = {
	LD(DATA(instruction_pointer) + 4),
	JEQ(STUB_TEXT >> 32, 1, 0),
	RET(SECCOMP_RET_TRAP),
	LD(DATA(instruction_pointer)),
	JGE(STUB_TEXT & 0xffffffff, 1, 0),
	RET(SECCOMP_RET_TRAP),
	JGE(STUB_TEXT_END & 0xffffffff, 0, 1),
	RET(SECCOMP_RET_TRAP),
	LD(DATA(arch)),
	JEQ(AUDIT_ARCH_X86_64, 1, 0),
	RET(SECCOMP_RET_KILL_PROCESS),
	LD(DATA(nr)),
	ON(STUB_NR_WAIT, 1),
	RET(SECCOMP_RET_USER_NOTIF),
	ON(__NR_munmap, 1),
	RET(SECCOMP_RET_ALLOW),
	ON(__NR_mprotect, 1),
	RET(SECCOMP_RET_ALLOW),
	ON(__NR_rt_sigreturn, 1),
	RET(SECCOMP_RET_ALLOW),
	ON(__NR_mmap, 15),
	LD(ARG(4)),
	JEQ(0xffffffff, 0, 6),
	LD(ARG(3)),
	JSET(~(uint32_t)MMAP_ANON_FLAGS, 3, 0),
	JSET(MAP_ANONYMOUS, 0, 2),
	JSET(MAP_PRIVATE, 0, 1),
	RET(SECCOMP_RET_ALLOW),
	RET(SECCOMP_RET_KILL_PROCESS),
	JGE(0x10000, 5, 0), /* a descriptor that the kernel process installed */
	LD(ARG(3)),
	JSET(~(uint32_t)MMAP_FD_FLAGS, 3, 0),
	LD(ARG(3) + 4),
	JEQ(0, 0, 1),
	RET(SECCOMP_RET_ALLOW),
	RET(SECCOMP_RET_KILL_PROCESS),
	ON(__NR_madvise, 10),
	LD(ARG(2)),
	JGE(5, 0, 6),	 /* NORMAL, RANDOM, SEQUENTIAL, WILLNEED, DONTNEED */
	JGE(8, 0, 6),
	JGE(12, 0, 4),	 /* FREE, REMOVE, DONTFORK, DOFORK */
	JGE(14, 0, 4),
	JGE(26, 0, 2),	 /* HUGEPAGE .. COLLAPSE */
	JEQ(102, 1, 0),	 /* GUARD_INSTALL, GUARD_REMOVE */
	JEQ(103, 0, 1),
	RET(SECCOMP_RET_ALLOW),
	RET(SECCOMP_RET_ERRNO | 22),
	ON(__NR_mremap, 1),
	RET(SECCOMP_RET_ALLOW),
	ON(__NR_close, 1),
	RET(SECCOMP_RET_ALLOW),
	ON(__NR_clone, 1),
	RET(SECCOMP_RET_USER_NOTIF),
	ON(__NR_futex, 10),
	LD(ARG(1)),
	JEQ(0, 0, 7), /* FUTEX_WAIT */
	LD(ARG(3)),
	JEQ(0, 0, 5),
	LD(ARG(3) + 4),
	JEQ(0, 0, 3),
	LD(ARG(0) + 4),
	JEQ(STUB_SLOTS >> 32, 0, 1),
	RET(SECCOMP_RET_ALLOW),
	RET(SECCOMP_RET_KILL_PROCESS),
	ON(STUB_NR_HELLO, 1),
	RET(SECCOMP_RET_USER_NOTIF),
	ON(__NR_exit, 1),
	RET(SECCOMP_RET_ALLOW),
	ON(__NR_rseq, 1),
	RET(SECCOMP_RET_ALLOW),
	ON(__NR_sigaltstack, 1),
	RET(SECCOMP_RET_ALLOW),
	ON(__NR_arch_prctl, 5),
	LD(ARG(0)),
	JEQ(0x1001, 1, 0),
	JEQ(0x1002, 0, 1),
	RET(SECCOMP_RET_ALLOW),
	RET(SECCOMP_RET_KILL_PROCESS),
	ON(__NR_prctl, 6),
	LD(ARG(0)),
	JEQ(PR_SET_PDEATHSIG, 0, 2),
	LD(ARG(1)),
	JEQ(9, 1, 0),
	RET(SECCOMP_RET_KILL_PROCESS),
	RET(SECCOMP_RET_ALLOW),
	RET(SECCOMP_RET_KILL_PROCESS),
};

/* A guest may speculate in its own process as it likes. */
#define FILTER_FLAGS (SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW)

static noreturn void zygote_main(struct slot *s)
{
	struct zygote_layout *l = (struct zygote_layout *)s->buf;
	static const uint8_t sigs[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, STUB_SIGKICK };
	struct sock_fprog prog = { .len = sizeof(filter) / sizeof(filter[0]), .filter = (struct sock_filter *)filter };
	long r;
	char c = 'Z';

	/* The kernel process reads this process's map meanwhile, and fills the layout in. */
	if (sys(__NR_write, 3, (long)&c, 1, 0, 0, 0) != 1 || sys(__NR_read, 3, (long)&c, 1, 0, 0, 0) != 1)
		stub_exit_thread(s);
	for (uint32_t i = 0; i < l->nmove; i++) {
		r = sys(__NR_mremap, (long)l->move[i].from, (long)l->move[i].len, (long)l->move[i].len, 3 /* MAYMOVE | FIXED */,
			(long)l->move[i].to, 0);
		if (r < 0)
			goto fail;
	}
	for (uint32_t i = 0; i < l->nunmap; i++)
		sys(__NR_munmap, (long)l->unmap[i].addr, (long)l->unmap[i].len, 0, 0, 0, 0);

	r = sys(__NR_mmap, PATCH_TABLE_MOV, PATCH_TABLE_LEN, PROT_READ, MAP_SHARED | MAP_FIXED, 4, STUB_KPAGE_LEN);
	if (r < 0)
		goto fail;
	r = sys(__NR_mmap, PATCH_TABLE_HOP, PATCH_TABLE_LEN, PROT_READ, MAP_SHARED | MAP_FIXED, 4, STUB_KPAGE_LEN);
	if (r < 0)
		goto fail;
	r = sys(__NR_mmap, PATCH_TRAMP, PATCH_TRAMP_LEN, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (r < 0)
		goto fail;
	for (unsigned i = 0; i < sizeof(sigs); i++) {
		struct { void (*fn)(int, siginfo_t *, struct ucontext *); unsigned long flags; void (*restorer)(void); unsigned long mask; } sa = {
			stub_signal, SA_SIGINFO | SA_ONSTACK | SA_NODEFER | 0x04000000 /* SA_RESTORER */, stub_restorer, 0 };

		r = sys(__NR_rt_sigaction, sigs[i], (long)&sa, 0, 8, 0, 0);
		if (r)
			goto fail;
	}
	set_altstack(s);
	if (KPAGE->fsgsbase)
		set_gs_base((uint64_t)s);
	for (int fd = 0; fd < 8; fd++)
		sys(__NR_close, fd, 0, 0, 0, 0, 0);
	/* Not before the exec: root would get them back then, and for that the host turns address randomisation on again. */
	struct { uint32_t version; int pid; } cap = { 0x20080522, 0 };
	uint32_t caps[6] = { 0 };

	r = sys(__NR_capset, (long)&cap, (long)caps, 0, 0, 0, 0);
	if (!r)
		r = sys(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	if (r)
		goto fail;
	r = -22;
	if (!l->no_killable)
		r = sys(__NR_seccomp, SECCOMP_SET_MODE_FILTER, FILTER_FLAGS | 1u << 5 /* WAIT_KILLABLE_RECV */, (long)&prog, 0, 0, 0);
	if (r == -22)
		r = sys(__NR_seccomp, SECCOMP_SET_MODE_FILTER, FILTER_FLAGS, (long)&prog, 0, 0, 0);
	if (r < 0)
		goto fail;
	/* The kernel process takes the listener out of this process's table, then lets it be closed here. */
	__atomic_store_n(&s->boot, (uint32_t)r + 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&s->boot, __ATOMIC_ACQUIRE))
		__builtin_ia32_pause();
	sys(__NR_close, r, 0, 0, 0, 0, 0);
	post(s, EV_DONE, 0, 0);
	serve_signal(s, NO_CALL);
fail:
	__atomic_store_n(&s->boot, (uint32_t)r, __ATOMIC_RELEASE);
	stub_exit_thread(s);
}

/* Descriptors: 3 a socket to the kernel process, 4 the kernel page, 5 the slot area. */
void zygote_start(const uint64_t *sp)
{
	(void)sp;
	/* Where personality() is forbidden, stack and vDSO may lie in the way: the kernel process tries again. */
	if (sys(__NR_mmap, STUB_SLOTS, STUB_SLOTS_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, 5, 0) != STUB_SLOTS ||
	    sys(__NR_mmap, STUB_KPAGE, STUB_KPAGE_LEN, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, 4, 0) != STUB_KPAGE)
		for (;;)
			sys(__NR_exit, 114, 0, 0, 0, 0, 0);
	switch_stack((struct slot *)STUB_SLOTS, zygote_main);
}
