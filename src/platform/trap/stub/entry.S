/* SPDX-License-Identifier: Apache-2.0 */
/* entry.S: the ways into and out of the stub, and the few instructions that may fault. */
#include "../abi.h"

	.globl stub_fixups
	.section .fixup, "a"
stub_fixups:
	.section .text.entry, "ax"

/* ---- zygote start: the host's initial stack is in rsp ---- */
	.globl _start
_start:
	xor %ebp, %ebp
	mov %rsp, %rdi
	and $-16, %rsp
	call zygote_start
	ud2

/* switch_stack(slot, fn): fn(slot) on the slot's stack, never returns */
	.globl switch_stack
switch_stack:
	lea STUB_SLOT_SIZE(%rdi), %rsp
	xor %ebp, %ebp
	call *%rsi
	ud2

/* ---- a patched call site: rcx = return address, rax = number, r11 free, everything else is the guest's ----
 * Flags are dead by the choice of the sites that get patched, but for the direction flag, which the ABI keeps clear. GS base
 * is the slot, unless the guest moved it: the ud2 then arrives in the signal handler, which serves it like a trap. */
	.org STUB_PATCHED - STUB_TEXT
	.globl patched_entry
patched_entry:
	rdgsbase %r11
	shr $31, %r11
	cmp $(STUB_SLOTS >> 31), %r11
	jne patched_trap
	rdgsbase %r11
	mov %r15, R_R15(%r11)
	mov %r14, R_R14(%r11)
	mov %r13, R_R13(%r11)
	mov %r12, R_R12(%r11)
	mov %rbp, R_RBP(%r11)
	mov %rbx, R_RBX(%r11)
	mov %r10, R_R10(%r11)
	mov %r9, R_R9(%r11)
	mov %r8, R_R8(%r11)
	mov %rax, R_RAX(%r11)
	mov %rcx, R_RCX(%r11)
	mov %rdx, R_RDX(%r11)
	mov %rsi, R_RSI(%r11)
	mov %rdi, R_RDI(%r11)
	mov %rcx, R_RIP(%r11)
	mov %rsp, R_RSP(%r11)
	lea STUB_SLOT_SIZE - 8(%r11), %rsp
	mov %r11, %rdi
	cld
	jmp stub_patched /* no call that never returns on the way: the CPU would guess the guest's next returns wrong */
	.globl patched_trap
patched_trap:
	ud2

/* ---- exits: rdi = slot ----
 * A signal that lands in [exit_start, exit_end) is served as if it had hit the first guest instruction, with the registers
 * in the slot: FP state is in the CPU already, and nothing in the slot changes here. */
	.balign 64
	.globl exit_start, exit_fast, exit_fast_flags, exit_full, exit_end
exit_start:
exit_fast_flags:
	cmpl $0, SLOT_OFF_KICK(%rdi)
	jne exit_kick
	pushq R_EFLAGS(%rdi)
	popfq
	jmp 1f
	.balign 32
exit_fast:
	cmpl $0, SLOT_OFF_KICK(%rdi)
	jne exit_kick
1:	mov R_R15(%rdi), %r15
	mov R_R14(%rdi), %r14
	mov R_R13(%rdi), %r13
	mov R_R12(%rdi), %r12
	mov R_RBP(%rdi), %rbp
	mov R_RBX(%rdi), %rbx
	mov R_R11(%rdi), %r11
	mov R_R10(%rdi), %r10
	mov R_R9(%rdi), %r9
	mov R_R8(%rdi), %r8
	mov R_RAX(%rdi), %rax
	mov R_RIP(%rdi), %rcx
	mov R_RDX(%rdi), %rdx
	mov R_RSI(%rdi), %rsi
	mov R_RSP(%rdi), %rsp
	mov R_RDI(%rdi), %rdi
	jmp *%rcx
exit_full:
	cmpl $0, SLOT_OFF_KICK(%rdi)
	jne exit_kick
	pushq R_SS(%rdi)
	pushq R_RSP(%rdi)
	pushq R_EFLAGS(%rdi)
	pushq R_CS(%rdi)
	pushq R_RIP(%rdi)
	mov R_R15(%rdi), %r15
	mov R_R14(%rdi), %r14
	mov R_R13(%rdi), %r13
	mov R_R12(%rdi), %r12
	mov R_RBP(%rdi), %rbp
	mov R_RBX(%rdi), %rbx
	mov R_R11(%rdi), %r11
	mov R_R10(%rdi), %r10
	mov R_R9(%rdi), %r9
	mov R_R8(%rdi), %r8
	mov R_RAX(%rdi), %rax
	mov R_RCX(%rdi), %rcx
	mov R_RDX(%rdi), %rdx
	mov R_RSI(%rdi), %rsi
	mov R_RDI(%rdi), %rdi
	iretq
exit_end:
	/* The kick flag was up: an event of its own. Registers are in the slot. */
exit_kick:
	lea STUB_SLOT_SIZE(%rdi), %rsp
	call stub_kicked
	ud2

	.globl stub_restorer
stub_restorer:
	mov $15, %eax
	syscall
	ud2

/* End this host thread. The slot is not touched after it was given up: the kernel may hand it to a new thread at once. */
	.globl stub_exit_thread
stub_exit_thread:
	movl $3, SLOT_OFF_STATE(%rdi) /* SLOT_GONE */
1:	xor %edi, %edi
	mov $60, %eax
	syscall
	jmp 1b

/* ---- stub_fork(slot, handle, cookie): in the parent clone's result; the child continues in stub_child.
 * The child runs on registers alone until it has mapped its own slot area over its parent's. */
	.globl stub_fork
stub_fork:
	push %rbx
	push %r12
	push %r13
	mov %rdi, %rbx
	mov %esi, %r12d
	mov %rdx, %r13
	mov $0x8011, %edi	/* CLONE_PARENT | SIGCHLD: a child of the kernel process */
	mov SLOT_OFF_HANDLE(%rbx), %edx /* who asks; the host ignores both with these flags */
	mov SLOT_OFF_COOKIE(%rbx), %r10
	xor %esi, %esi
	xor %r8d, %r8d
	mov $56, %eax
	syscall
	test %rax, %rax
	jz 1f
	pop %r13
	pop %r12
	pop %rbx
	ret
1:	mov %r12d, %edi
	mov %r13, %rsi
	mov $STUB_NR_HELLO, %eax
	syscall
	cmp $-4, %rax		/* EINTR */
	je 1b
	test %rax, %rax
	jz 1b
	test %rax, %rax
	js 3f
	mov %rax, %r14
	mov $STUB_SLOTS, %rdi
	mov $STUB_SLOTS_LEN, %esi
	mov $3, %edx
	mov $0x11, %r10d	/* MAP_SHARED | MAP_FIXED */
	mov %r14, %r8
	xor %r9d, %r9d
	mov $9, %eax
	syscall
	mov %rax, %r15
	mov %r14, %rdi
	mov $3, %eax
	syscall
	test %r15, %r15
	js 3f
	mov $1, %edi		/* PR_SET_PDEATHSIG, SIGKILL */
	mov $9, %esi
	mov $157, %eax
	syscall
	mov %rbx, %rdi
	lea stub_child(%rip), %rsi
	jmp switch_stack
3:	xor %edi, %edi
	mov $60, %eax
	syscall
	jmp 3b

/* ---- stub_clone(new slot, own slot): as above for a thread of this process ---- */
	.globl stub_clone
stub_clone:
	push %rbx
	push %r12
	push %r13
	mov %rdi, %rbx
	mov %rsi, %r12
	lea STUB_SLOT_SIZE(%rbx), %rsi
	mov $0x50f00, %edi	/* CLONE_VM | FS | FILES | SIGHAND | THREAD | SYSVSEM */
	mov SLOT_OFF_HANDLE(%r12), %edx
	mov SLOT_OFF_COOKIE(%r12), %r10
	xor %r8d, %r8d
	mov $56, %eax
	syscall
	test %rax, %rax
	jz 1f
	pop %r13
	pop %r12
	pop %rbx
	ret
1:	mov %rbx, %rdi
	call stub_thread
	ud2

/* ---- instructions that may fault on guest addresses: the handler moves rip to the fix-up ---- */
	.macro FIXUP from, to, target
	.pushsection .fixup, "a"
	.quad \from, \to, \target
	.popsection
	.endm

/* long stub_copy(dst, src, n): bytes that could not be copied */
	.globl stub_copy
stub_copy:
	mov %rdx, %rcx
	cmp $256, %rdx		/* rep takes long to get going, and what follows waits for it */
	ja 10f
	sub $8, %rcx
	jb 2f
1:	mov (%rsi), %rax
	mov %rax, (%rdi)
	add $8, %rsi
	add $8, %rdi
	sub $8, %rcx
	jae 1b
2:	add $8, %rcx
	jz 11f
3:	mov (%rsi), %al
	mov %al, (%rdi)
	inc %rsi
	inc %rdi
	dec %ecx
	jnz 3b
	jmp 11f
4:	add $8, %rcx
	jmp 11f
10:	rep movsb
11:	mov %rcx, %rax
	ret
	FIXUP 1b, 2b, 4b
	FIXUP 3b, 11b, 11b

/* long stub_strcopy(dst, src, n): bytes copied, with the NUL if it was found; ends at a fault */
	.globl stub_strcopy
stub_strcopy:
	xor %eax, %eax
1:	cmp %rdx, %rax
	jae 13f
12:	movzbl (%rsi,%rax), %ecx
	mov %cl, (%rdi,%rax)
	inc %rax
	test %cl, %cl
	jnz 1b
13:	ret
	FIXUP 12b, 13b, 13b

/* long stub_cmpxchg(addr, expect, val): what was there, or bit 63 */
	.globl stub_cmpxchg
stub_cmpxchg:
	mov %esi, %eax
14:	lock cmpxchg %edx, (%rdi)
	ret
15:	mov $1, %eax
	shl $63, %rax
	ret
	FIXUP 14b, 15b, 15b

/* long stub_xrstor(area, features): 0, or -1 if the CPU refused the image. Only features that signal frames carry may be
 * named: CPUs refuse AMX, which stubs have no permission for. */
	.globl stub_xrstor
stub_xrstor:
	mov %esi, %eax
	mov %rsi, %rdx
	shr $32, %rdx
16:	xrstor64 (%rdi)
	xor %eax, %eax
	ret
17:	mov $-1, %rax
	ret
	FIXUP 16b, 17b, 17b

/* long stub_xsave(area, features): 0, or -1 at a fault */
	.globl stub_xsave
stub_xsave:
	mov %esi, %eax
	mov %rsi, %rdx
	shr $32, %rdx
18:	xsave64 (%rdi)
	xor %eax, %eax
	ret
19:	mov $-1, %rax
	ret
	FIXUP 18b, 19b, 19b

/* long stub_fxrstor(area): 0, or -1 if the CPU refused the image */
	.globl stub_fxrstor
stub_fxrstor:
20:	fxrstor64 (%rdi)
	xor %eax, %eax
	ret
21:	mov $-1, %rax
	ret
	FIXUP 20b, 21b, 21b

