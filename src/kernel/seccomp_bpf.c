/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp_bpf.c: classic BPF as seccomp(2) allows it: a checker and an interpreter. A checked program cannot loop (jumps go forward
 * only), load outside of struct seccomp_data, or read scratch memory that it has not written. */
#include "kernel/seccomp.h"

#define SCRATCH BPF_MEMWORDS

/* Which instructions there are, whatever their operands. */
static bool known(uint16_t code)
{
	switch (code) {
	case BPF_LD | BPF_W | BPF_ABS:
	case BPF_LD | BPF_W | BPF_LEN:
	case BPF_LDX | BPF_W | BPF_LEN:
	case BPF_LD | BPF_IMM:
	case BPF_LDX | BPF_IMM:
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
	case BPF_MISC | BPF_TAX:
	case BPF_MISC | BPF_TXA:
	case BPF_RET | BPF_K:
	case BPF_RET | BPF_A:
	case BPF_ALU | BPF_NEG:
	case BPF_JMP | BPF_JA:
		return true;
	}
	switch (BPF_CLASS(code)) {
	case BPF_ALU:
		if (code & ~(BPF_ALU | 0xf0 | BPF_X))
			return false;
		switch (BPF_OP(code)) {
		case BPF_ADD: case BPF_SUB: case BPF_MUL: case BPF_DIV: case BPF_AND: case BPF_OR: case BPF_XOR: case BPF_LSH: case BPF_RSH:
			return true;
		}
		return false;
	case BPF_JMP:
		if (code & ~(BPF_JMP | 0xf0 | BPF_X))
			return false;
		return BPF_OP(code) == BPF_JEQ || BPF_OP(code) == BPF_JGT || BPF_OP(code) == BPF_JGE || BPF_OP(code) == BPF_JSET;
	}
	return false;
}

static bool operand_ok(const struct sock_filter *f, unsigned at, unsigned len)
{
	uint32_t k = f->k;

	switch (f->code) {
	case BPF_LD | BPF_W | BPF_ABS: return k < sizeof(struct seccomp_data) && k % 4 == 0;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX: return k < SCRATCH;
	case BPF_ALU | BPF_DIV | BPF_K: return k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K: return k < 32;
	case BPF_JMP | BPF_JA: return k < len - at - 1;
	}
	if (BPF_CLASS(f->code) == BPF_JMP)
		return (unsigned)f->jt + at + 1 < len && (unsigned)f->jf + at + 1 < len;
	return true;
}

int seccomp_bpf_check(const struct sock_filter *f, unsigned len)
{
	__free(mem) void *mem = NULL;
	uint16_t *written, now = 0; /* scratch words that are written on every way to an instruction */

	if (!len || len > BPF_MAXINSNS)
		return -EINVAL;
	written = mem = xcalloc(len, sizeof(*written));
	memset(written, 0xff, len * sizeof(*written));
	for (unsigned i = 0; i < len; i++) {
		if (!known(f[i].code) || !operand_ok(&f[i], i, len))
			return -EINVAL;
		now &= written[i];
		switch (f[i].code) {
		case BPF_ST:
		case BPF_STX:
			now |= (uint16_t)(1u << f[i].k);
			break;
		case BPF_LD | BPF_MEM:
		case BPF_LDX | BPF_MEM:
			if (!(now >> f[i].k & 1))
				return -EINVAL;
			break;
		case BPF_JMP | BPF_JA:
			written[i + 1 + f[i].k] &= now;
			now = 0xffff;
			break;
		default:
			if (BPF_CLASS(f[i].code) == BPF_JMP) {
				written[i + 1 + f[i].jt] &= now;
				written[i + 1 + f[i].jf] &= now;
				now = 0xffff;
			} else if (BPF_CLASS(f[i].code) == BPF_RET) {
				now = 0xffff;
			}
		}
	}
	return BPF_CLASS(f[len - 1].code) == BPF_RET ? 0 : -EINVAL;
}

/* How long Linux's own form of a checked program is: that is what its limit on all filters of a task counts. */
unsigned seccomp_bpf_cost(const struct sock_filter *f, unsigned len)
{
	unsigned n = 3; /* it clears two registers and moves one */

	for (unsigned i = 0; i < len; i++, f++) {
		if (f->code == (BPF_ALU | BPF_DIV | BPF_X)) {
			n += 5;
		} else if (f->code == (BPF_RET | BPF_K)) {
			n += 2;
		} else if (BPF_CLASS(f->code) == BPF_JMP && BPF_OP(f->code) != BPF_JA) {
			bool one = !f->jf || (!f->jt && BPF_OP(f->code) != BPF_JSET);

			n += (one ? 1 : 2) + (BPF_SRC(f->code) == BPF_K && (int32_t)f->k < 0);
		} else {
			n++;
		}
	}
	return n;
}

uint32_t seccomp_bpf_run(const struct sock_filter *f, const struct seccomp_data *d)
{
	uint32_t a = 0, x = 0, m[SCRATCH];

	for (;; f++) {
		uint32_t k = f->k, v = f->code & BPF_X ? x : k;

		switch (f->code) {
		case BPF_LD | BPF_W | BPF_ABS: memcpy(&a, (const char *)d + k, 4); break;
		case BPF_LD | BPF_W | BPF_LEN: a = sizeof(*d); break;
		case BPF_LDX | BPF_W | BPF_LEN: x = sizeof(*d); break;
		case BPF_LD | BPF_IMM: a = k; break;
		case BPF_LDX | BPF_IMM: x = k; break;
		case BPF_LD | BPF_MEM: a = m[k]; break;
		case BPF_LDX | BPF_MEM: x = m[k]; break;
		case BPF_ST: m[k] = a; break;
		case BPF_STX: m[k] = x; break;
		case BPF_MISC | BPF_TAX: x = a; break;
		case BPF_MISC | BPF_TXA: a = x; break;
		case BPF_RET | BPF_K: return k;
		case BPF_RET | BPF_A: return a;
		case BPF_ALU | BPF_NEG: a = -a; break;
		case BPF_ALU | BPF_ADD | BPF_K:
		case BPF_ALU | BPF_ADD | BPF_X: a += v; break;
		case BPF_ALU | BPF_SUB | BPF_K:
		case BPF_ALU | BPF_SUB | BPF_X: a -= v; break;
		case BPF_ALU | BPF_MUL | BPF_K:
		case BPF_ALU | BPF_MUL | BPF_X: a *= v; break;
		case BPF_ALU | BPF_DIV | BPF_K:
		case BPF_ALU | BPF_DIV | BPF_X:
			if (!v)
				return 0; /* the program ends: kill */
			a /= v;
			break;
		case BPF_ALU | BPF_AND | BPF_K:
		case BPF_ALU | BPF_AND | BPF_X: a &= v; break;
		case BPF_ALU | BPF_OR | BPF_K:
		case BPF_ALU | BPF_OR | BPF_X: a |= v; break;
		case BPF_ALU | BPF_XOR | BPF_K:
		case BPF_ALU | BPF_XOR | BPF_X: a ^= v; break;
		case BPF_ALU | BPF_LSH | BPF_K:
		case BPF_ALU | BPF_LSH | BPF_X: a <<= v & 31; break;
		case BPF_ALU | BPF_RSH | BPF_K:
		case BPF_ALU | BPF_RSH | BPF_X: a >>= v & 31; break;
		case BPF_JMP | BPF_JA: f += k; break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JEQ | BPF_X: f += a == v ? f->jt : f->jf; break;
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_X: f += a > v ? f->jt : f->jf; break;
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_X: f += a >= v ? f->jt : f->jf; break;
		case BPF_JMP | BPF_JSET | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_X: f += a & v ? f->jt : f->jf; break;
		default: BUG("seccomp: instruction %#x passed the check", f->code);
		}
	}
}
