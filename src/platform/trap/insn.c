/* SPDX-License-Identifier: Apache-2.0 */
/* insn.c: where x86-64 instructions end, and where text is padding that nothing executes. */
#include "platform/trap/trap.h"

enum { M = 1, I8 = 2, I16 = 4, IZ = 8, BAD = 128 }; /* ModRM; immediates: one, two, and two or four bytes */

/* One-byte opcodes, a nibble of them a row. f6, f7, b8, a0 and the escapes are handled by hand. */
static const uint8_t one[256] = {
	M, M, M, M, I8, IZ, BAD, BAD, M, M, M, M, I8, IZ, BAD, BAD,
	M, M, M, M, I8, IZ, BAD, BAD, M, M, M, M, I8, IZ, BAD, BAD,
	M, M, M, M, I8, IZ, BAD, BAD, M, M, M, M, I8, IZ, BAD, BAD,
	M, M, M, M, I8, IZ, BAD, BAD, M, M, M, M, I8, IZ, BAD, BAD,
	BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD, BAD,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	BAD, BAD, BAD, M, BAD, BAD, BAD, BAD, IZ, M | IZ, I8, M | I8, 0, 0, 0, 0,
	I8, I8, I8, I8, I8, I8, I8, I8, I8, I8, I8, I8, I8, I8, I8, I8,
	M | I8, M | IZ, BAD, M | I8, M, M, M, M, M, M, M, M, M, M, M, BAD,
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0, BAD, 0, 0, 0, 0, 0,
	BAD, BAD, BAD, BAD, 0, 0, 0, 0, I8, IZ, 0, 0, 0, 0, 0, 0,
	I8, I8, I8, I8, I8, I8, I8, I8, IZ, IZ, IZ, IZ, IZ, IZ, IZ, IZ,
	M | I8, M | I8, I16, 0, BAD, BAD, M | I8, M | IZ, I16 | I8, 0, I16, 0, 0, I8, BAD, 0,
	M, M, M, M, BAD, BAD, BAD, 0, M, M, M, M, M, M, M, M,
	I8, I8, I8, I8, I8, I8, I8, I8, IZ, IZ, BAD, I8, 0, 0, 0, 0,
	BAD, 0, BAD, BAD, 0, 0, M, M, 0, 0, 0, 0, 0, 0, M, M,
};

static uint8_t two_byte(uint8_t op)
{
	if (op >= 0x80 && op < 0x90)
		return IZ;
	if ((op >= 0x70 && op < 0x74) || op == 0xa4 || op == 0xac || op == 0xba || op == 0xc2 || (op >= 0xc4 && op < 0xc7))
		return M | I8;
	if (op == 0x05 || op == 0x0b || op == 0x31 || op == 0x77 || op == 0xa2 || (op >= 0xc8 && op < 0xd0))
		return 0;
	if (op == 0x04 || op == 0x0a || op == 0x0c || op == 0x0e || op == 0x0f || (op >= 0x20 && op < 0x28) || (op >= 0x30 && op < 0x40) ||
	    op < 0x0b || op == 0x36 || op == 0xa0 || op == 0xa1 || op == 0xa8 || op == 0xa9 || op == 0xaa)
		return BAD;
	return M;
}

/* The instruction at b, of which n bytes are there: its length, 0 = not known. */
unsigned insn_length(const uint8_t *b, size_t n, enum insn_kind *kind)
{
	bool p66 = false, rexw = false;
	uint8_t flags, op;
	size_t i = 0;

	*kind = INSN_OTHER;
	if (n > 15)
		n = 15;
	while (i < n && (b[i] == 0x66 || b[i] == 0x2e || b[i] == 0x36 || b[i] == 0x3e || b[i] == 0x26 || b[i] == 0x64 || b[i] == 0x65 ||
			 b[i] == 0xf0 || b[i] == 0xf2 || b[i] == 0xf3)) {
		p66 |= b[i] == 0x66;
		i++;
	}
	if (i < n && (b[i] & 0xf0) == 0x40)
		rexw = b[i++] & 8;
	if (i + 1 >= n) {
		if (i >= n || b[i] != 0xc3)
			return i < n && (b[i] == 0x90 || b[i] == 0xcc) ? (*kind = INSN_PADDING, (unsigned)i + 1) : 0;
	}
	op = b[i++];
	if (op == 0xc4 || op == 0xc5 || op == 0x62) { /* VEX, EVEX */
		unsigned map = op == 0xc5 ? 1 : b[i] & (op == 0x62 ? 7 : 31);

		i += op == 0xc5 ? 1 : op == 0xc4 ? 2 : 3;
		if (i >= n || map < 1 || map > 3)
			return 0;
		op = b[i++];
		flags = map == 3 ? M | I8 : map == 2 ? M : two_byte(op);
	} else if (op == 0x0f) {
		op = b[i++];
		if (op == 0x38 || op == 0x3a) {
			flags = op == 0x3a ? M | I8 : M;
			i++;
		} else {
			flags = two_byte(op);
			if (op == 0x1f)
				*kind = INSN_PADDING;
			else if (op == 0x0b)
				*kind = INSN_LEAVES;
		}
	} else {
		flags = one[op];
		if (op == 0xc3 || op == 0xc2 || op == 0xe9 || op == 0xeb)
			*kind = INSN_LEAVES;
		else if (op == 0x90 || op == 0xcc)
			*kind = INSN_PADDING;
		else if (op >= 0xb8 && op < 0xc0 && rexw) {
			flags = 0;
			i += 8;
		} else if (i < n && (op == 0xf6 || op == 0xf7) && (b[i] & 0x38) < 0x10)
			flags |= op == 0xf6 ? I8 : IZ;
		else if (i < n && op == 0xff && (b[i] & 0x38) == 0x20)
			*kind = INSN_LEAVES;
		if (p66 && (op == 0xe8 || op == 0xe9))
			return 0;
	}
	if (flags & BAD)
		return 0;
	if (flags & M) {
		uint8_t mod, rm;

		if (i >= n)
			return 0;
		mod = b[i] >> 6;
		rm = b[i++] & 7;
		if (mod != 3) {
			if (rm == 4) {
				if (i >= n)
					return 0;
				if (mod == 0 && (b[i] & 7) == 5)
					i += 4;
				i++;
			} else if (mod == 0 && rm == 5) {
				i += 4;
			}
			i += mod == 1 ? 1 : mod == 2 ? 4 : 0;
		}
	}
	i += (flags & I8 ? 1 : 0) + (flags & I16 ? 2 : 0) + (flags & IZ ? (p66 ? 2 : 4) : 0);
	return i <= n ? (unsigned)i : 0;
}

/* Code of n bytes, from an instruction boundary on, at address `at`: the offset of `need` bytes of padding between functions or in front
 * of a loop, entered neither by falling into it nor by a jump; at most `reach` away. -1 = none. Padding is what lies between an
 * instruction that never goes on to the next one and an address that is a multiple of 16. */
int insn_find_padding(const uint8_t *b, size_t n, uint64_t at, size_t need, size_t reach)
{
	bool dead = false;
	size_t i = 0, from = 0;
	enum insn_kind kind;

	while (i < n && (dead ? from : i) <= reach) {
		unsigned len = insn_length(b + i, n - i, &kind);

		if (!len)
			return -1;
		if (dead && kind != INSN_PADDING) {
			if (i - from >= need && (at + i) % 16 == 0)
				return (int)from;
			dead = false;
		}
		i += len;
		if (kind == INSN_LEAVES) {
			dead = true;
			from = i;
		}
	}
	return -1;
}
