/* SPDX-License-Identifier: Apache-2.0 */
/* abi.h: what the stub and the kernel process share: addresses, the slot, the kernel page, the protocol.
 *
 * OVERVIEW
 * A slot belongs to one guest thread. Its first cache line (struct slot_line) is the whole conversation of a plain system
 * call: the stub writes number and arguments and publishes SLOT_EVENT; the kernel writes the result into the same line and
 * publishes SLOT_RUN. Everything else in the slot is touched only when an event or an answer needs it.
 *
 * The stub side is hostile from the kernel's point of view: every field is read once into kernel memory and then checked.
 * Constants only: this file is also included by the stub's assembly.
 */
#ifndef BAILEY_PLATFORM_TRAP_ABI_H
#define BAILEY_PLATFORM_TRAP_ABI_H

/* The guest's task size ends at 0x7fff00000000; the host's own exec mappings (stack, vDSO) start at 0x7ffff7000000. */
#define STUB_SLOTS 0x7fff00000000 /* aligned to its length: one compare tells a slot address */
#define STUB_SLOT_SHIFT 16
#define STUB_SLOT_SIZE 0x10000
#define STUB_MAX_SLOTS 0x8000
#define STUB_SLOTS_LEN 0x80000000
#define STUB_WINDOWS 0x7fff80000000 /* parts of files, read-only: mm/window.c */
#define STUB_WINDOW_SHIFT 26
#define STUB_NWINDOWS 8
#define STUB_TEXT 0x7fffb0000000
#define STUB_TEXT_END 0x7fffb0010000
#define STUB_KPAGE 0x7fffb0100000
#define STUB_KPAGE_LEN 0x3000
#define STUB_HOST_VDSO 0x7fffb0200000
#define STUB_PATCHED 0x7fffb0000080 /* where patched call sites come in */

#define PATCH_TRAMP 0x7fffb0400000
#define PATCH_TRAMP_SIZE 32
#define PATCH_TRAMP_LEN 0x40000

/* Patched call sites jump through a table in low memory (`jmp *table+8*k`), whose entry k is the address of trampoline k. It is there
 * twice. The upper half of the first address reads `0f 05`: see patch.c. The second one is where neither images and their heaps, which grow
 * from below, nor MAP_32BIT, which begins at 1 GiB, nor what is fixed right under 2 GiB (the shadow memory of sanitizers) are likely to come. */
#define PATCH_TABLE_MOV 0x050f0000
#define PATCH_TABLE_HOP 0x7efe0000
#define PATCH_TABLE_LEN 0x10000
#define PATCH_SITES 0x2000 /* entry 0 is not used */
#define STUB_KPAGE_FILE_LEN 0x13000 /* the kernel page, then the table */

/* Reserved system call numbers: no host kernel has them; the filter hands them to the kernel process. */
#define STUB_NR_WAIT 0x4b00  /* (handle, cookie): serve my slot */
#define STUB_NR_HELLO 0x4b01 /* (handle, cookie): a new thread or process is there; answered with the descriptor of its slot area */

/* Under this number a forked process gets its slot area. A HELLO that returns without it is said again: a stop of the kernel process in the
 * midst of its answer can lose the descriptor. */
#define STUB_HELLO_FD 63

#define STUB_SIGKICK 10 /* a standard signal: several kicks coalesce */

/* Offsets in a slot, for assembly; checked against the structs below. */
#define SLOT_OFF_STATE 0x00
#define SLOT_OFF_NR 0x04
#define SLOT_OFF_INFO 0x08
#define SLOT_OFF_KICK 0x0c
#define SLOT_OFF_ARGS 0x10
#define SLOT_OFF_COOKIE 0x40
#define SLOT_OFF_HANDLE 0x48
#define SLOT_OFF_FLAGSLIVE 0x8c
#define SLOT_OFF_REGS 0xc0
#define SLOT_OFF_BUF 0x1000
#define SLOT_BUF_SIZE 0x2000
#define SLOT_OFF_XSAVE 0x3000
#define SLOT_XSAVE_SIZE 0x2000
#define SLOT_OFF_STACK 0x6000
/* The kernel process maps a slot up to its signal stack. */
#define SLOT_KERNEL_LEN 0x6000

/* In struct slot_regs, which is struct user_regs_struct. */
#define R_R15 0xc0
#define R_R14 0xc8
#define R_R13 0xd0
#define R_R12 0xd8
#define R_RBP 0xe0
#define R_RBX 0xe8
#define R_R11 0xf0
#define R_R10 0xf8
#define R_R9 0x100
#define R_R8 0x108
#define R_RAX 0x110
#define R_RCX 0x118
#define R_RDX 0x120
#define R_RSI 0x128
#define R_RDI 0x130
#define R_ORIG 0x138
#define R_RIP 0x140
#define R_CS 0x148
#define R_EFLAGS 0x150
#define R_RSP 0x158
#define R_SS 0x160
#define R_FSBASE 0x168

#ifndef __ASSEMBLER__
#include <stddef.h>
#include <stdint.h>

/* SLOT_DOZE: the event has been taken; sleep on this word until it changes. */
enum slot_state { SLOT_RUN, SLOT_EVENT, SLOT_PARK, SLOT_GONE, SLOT_DOZE };

/* slot_line.info of an event: a kind and flags. */
enum {
	EV_SYSCALL = 1,
	EV_FAULT,
	EV_KICK,
	EV_ORDER, /* args[0] index, args[1] -errno: the rest of the orders was not executed */
	EV_DONE,  /* an answer with ANS_STAY was carried out; args[0] = its value */
	EV_SHORT, /* a copy from a file window was not (fully) made */
	EV_FRAME, /* ANS_FPLOAD or ANS_FRAME met a fault: args[0] trap, args[1] its error code, args[2] address */
	EV_KIND = 0xff,
	EV_COMPAT = 0x100,   /* the system call came by int 0x80 or from 32-bit code */
	EV_PREFETCH = 0x200, /* buf has what the table says that the call's pointers stand for: info >> 16 bytes, then, aligned, nr >> 16 */
	EV_INLINE = 0x2000,  /* of EV_PREFETCH: not buf, but the arguments that the call does not have, from PREFETCH_INLINE(its table entry) on */
	EV_FP_LIVE = 0x400,  /* FP state is in the CPU (patched path), not in a frame */
	EV_ACTIONS = 0x800,  /* the stub changed signal actions: slot.actions_changed */
	EV_MASK = 0x1000,    /* the stub changed the signal mask: slot.sig.mask */
};
/* slot_line.info of an answer; 0 = load args[0] into rax and go on. Carried out in this order. */
enum {
	ANS_EXIT = 1,	    /* end the host thread */
	ANS_XSAVE = 2,	    /* write FP state to the slot's xsave area */
	ANS_XRSTOR = 4,	    /* load it from there */
	ANS_FSBASE = 8,
	ANS_GSBASE = 0x10,
	ANS_ORDERS = 0x20,
	ANS_CMPXCHG = 0x40, /* value: old, or bit 63 set on a fault */
	ANS_THREAD = 0x80,  /* clone a thread; value: clone's result */
	ANS_FORK = 0x100,   /* clone a process; value: clone's result */
	ANS_COPYOUT = 0x200,
	ANS_STAY = 0x400,   /* then EV_DONE instead of guest code */
	ANS_FULL = 0x800,   /* all registers come from slot.regs */
	ANS_RESULT = 0x1000, /* with other flags: rax = args[0] */
	ANS_COPY1 = 0x4000, /* one copy to guest memory: to args[1], the low half of args[2] bytes, from buf + the high half; unless that is 0, the
			       first SLOT_INLINE of them come from args[3] and up instead. SLOT_COPY_WINDOW: all from the address in args[3] */
	ANS_PATCH = 0x2000,  /* write patch_len of patch_bytes over text; value: 0 or -errno */
	ANS_FPLOAD = 0x8000, /* load the FP state of the signal frame at sig.fp_at, as rt_sigreturn does; 0: the initial one */
	ANS_FRAME = 0x10000, /* write slot.frame to sig.frame_at, save the FP state at sig.frame_fp as signal frames have it, load the initial one */
};

struct slot_line {
	uint32_t state;
	uint32_t nr;
	uint32_t info;
	uint32_t kick;
	uint64_t args[6];
};

struct slot_regs { /* struct user_regs_struct */
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss,
		fs_base, gs_base, ds, es, fs, gs;
};

enum { ORD_MMAP_ANON, ORD_MMAP_FD, ORD_MUNMAP, ORD_MPROTECT, ORD_MADVISE, ORD_MREMAP, ORD_CLOSE, ORD_RSEQ };
#define SLOT_MAX_ORDERS 32
struct slot_order {
	uint32_t op, prot, flags;
	int32_t fd;
	uint64_t addr, len, new_addr, new_len, off;
	uint64_t keep; /* a later order maps from the same descriptor: it stays open */
};

#define SLOT_MAX_COPIES 8
#define SLOT_NIDS 6
#define SLOT_INLINE 24 /* so many bytes travel in the line itself */
#define SLOT_COPY_WINDOW 0xfffffff0U
#define SLOT_COPY1_AT 40 /* in buf; with SLOT_INLINE, the start of a cache line */
struct slot_copy {
	uint64_t addr; /* guest */
	uint32_t off, len; /* in the slot's buffer */
};

struct slot_action { uint64_t handler, flags, restorer, mask; }; /* the kernel's struct sigaction */

/* All kernel to stub, but for the mask. While the mask is lent the stub changes it by itself: it writes the mask, then looks at `busy`;
 * the kernel writes busy when a signal is pending, then reads the mask. The stub that sees it takes its change back and asks. */
struct slot_sig {
	uint32_t mask_lent, busy;
	uint64_t mask;
	uint64_t sas_sp, sas_size; /* the alternate stack: while the mask is lent */
	uint32_t sas_flags;
	uint32_t frame_len;
	uint64_t frame_at, frame_fp, fp_at;
};
#define SLOT_FRAME_SIZE 512

struct slot {
	struct slot_line line;

	/* 0x40: kernel to stub */
	uint64_t cookie;
	uint32_t handle;
	uint32_t norders;
	uint32_t ncopies;
	uint32_t pad0;
	uint64_t fs_base, gs_base;
	uint32_t orders_done; /* stub to kernel: how many batches of orders it has carried out */
	uint32_t boot;	      /* zygote only: 1 + listener, or -errno */
	uint64_t child_cookie; /* of ANS_FORK and ANS_THREAD */
	uint32_t child_handle;
	uint32_t child_slot;

	/* 0x80: the stub's own */
	uint64_t fp;	      /* address of the FP state to load before guest code; 0 = it is in the CPU */
	uint32_t news;	      /* EV_ACTIONS, EV_MASK: go with the next system call */
	uint32_t flags_live;  /* eflags must be restored at a fast exit (came by a signal) */
	uint64_t xstate_size;
	uint64_t rseq_addr; /* what the host thread has registered: rseq_len != 0 */
	uint32_t rseq_len, rseq_sig;
	uint32_t rseq_lent; /* kernel to stub: it may answer rseq(2) */
	uint32_t here; /* stub to kernel: this is its own slot area, and signals find their stack in it */
	uint64_t pad2[2];

	/* 0xc0 */
	struct slot_regs regs;
	uint64_t pad3[5];

	/* 0x1c0: fault */
	int32_t signo, code;
	uint64_t fault_addr, trapno, err;
	uint64_t pad4[4];

	/* 0x200: compare-and-exchange */
	uint64_t cx_addr;
	uint32_t cx_expect, cx_val;
	uint64_t patch_addr;
	uint64_t patch_bytes;
	uint32_t patch_len, pad5;
	uint64_t pad6[3];

	struct slot_copy copies[SLOT_MAX_COPIES]; /* 0x240 */
	struct slot_sig sig; /* 0x2c0 */
	uint32_t ids_valid;	 /* 0x300: and while the mask is lent, the stub answers what asks for one */
	uint32_t ids[SLOT_NIDS]; /* enum pl_id */
	uint32_t pad7[57];
	struct slot_order orders[SLOT_MAX_ORDERS]; /* 0x400 */
	uint16_t wait[512]; /* the stub's own: what is known of the answer to a call, by number: see handoff() */
	uint8_t buf[SLOT_BUF_SIZE];
	uint8_t xsave[SLOT_XSAVE_SIZE] __attribute__((aligned(64)));

	/* 0x5000: signal actions, lent by the kernel: while they are valid the stub answers for itself what asks for one, or sets what a
	 * default action does not look at. */
	uint64_t actions_valid;
	uint64_t actions_changed; /* by signal number - 1 */
	struct slot_action actions[64];
	uint64_t pad9[6];
	uint8_t frame[SLOT_FRAME_SIZE]; /* of ANS_FRAME */
	uint64_t pad10[184];
	uint8_t stack[STUB_SLOT_SIZE - SLOT_OFF_STACK];
};
_Static_assert(sizeof(struct slot_line) == 64, "the hot line is one cache line");
_Static_assert(offsetof(struct slot, cookie) == SLOT_OFF_COOKIE && offsetof(struct slot, handle) == SLOT_OFF_HANDLE, "");
_Static_assert(offsetof(struct slot, flags_live) == SLOT_OFF_FLAGSLIVE, "");
_Static_assert(offsetof(struct slot, regs) == SLOT_OFF_REGS, "");
_Static_assert(offsetof(struct slot, regs.rip) == R_RIP && offsetof(struct slot, regs.fs_base) == R_FSBASE, "");
_Static_assert(offsetof(struct slot, regs.rax) == R_RAX && offsetof(struct slot, regs.rsp) == R_RSP, "");
_Static_assert(offsetof(struct slot, signo) == 0x1c0 && offsetof(struct slot, copies) == 0x240, "");
_Static_assert(offsetof(struct slot, sig) == 0x2c0 && sizeof(struct slot_sig) == 64 && offsetof(struct slot, frame) % 64 == 0, "");
_Static_assert(offsetof(struct slot, orders) == 0x400 && offsetof(struct slot, buf) == SLOT_OFF_BUF, "");
_Static_assert(offsetof(struct slot, xsave) == SLOT_OFF_XSAVE && offsetof(struct slot, stack) == SLOT_OFF_STACK, "");
_Static_assert(sizeof(struct slot) == STUB_SLOT_SIZE, "");

#define KPAGE_NR_PREFETCH 512
struct kpage_prefetch {
	uint8_t kind, arg, len_arg, nargs;
	uint16_t size;
	uint8_t id, pad2; /* id: 1 + the one that the call asks for */
};
#define PREFETCH_INLINE(nargs) ((nargs) > 3 ? (nargs) : 3)
struct kpage {
	uint32_t polling; /* a worker watches the slots */
	uint32_t pad0[15];
	uint32_t spin;	  /* how many turns a stub spins at most */
	uint32_t fsgsbase; /* the instructions are there */
	uint64_t xfeatures;
	uint64_t xsave_size; /* without MAGIC2 */
	uint64_t pad1[5];
	uint8_t init_fp[3968]; /* initial FP state; all of it, because CPUs look at the end of what they need not read */
	struct kpage_prefetch prefetch[KPAGE_NR_PREFETCH][2];
};
_Static_assert(sizeof(struct kpage) <= STUB_KPAGE_LEN, "");

/* What the zygote moves and unmaps at its start; in slot.buf. */
struct zygote_layout {
	uint32_t nmove, nunmap, no_killable;
	struct { uint64_t from, to, len; } move[8];
	struct { uint64_t addr, len; } unmap[16];
};
#endif
#endif
