/* SPDX-License-Identifier: Apache-2.0 */
/* Linux's vDSO carries its version; glibc reads it when it was built with a minimum. 6.1.0. */
	.section .note.Linux, "a", @note
	.balign 4
	.long 6, 4, 0
	.asciz "Linux"
	.balign 4
	.long 6 << 16 | 1 << 8 | 0
	.section .note.GNU-stack, "", @progbits
