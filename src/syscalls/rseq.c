/* SPDX-License-Identifier: Apache-2.0 */
/* rseq.c: restartable sequences (rseq(2)).
 *
 * Guest threads are threads of the host, which alone knows when it preempts or moves one: what the guest registers is registered with the host
 * by the stub. The host then writes the CPU's number, and aborts critical sections, also when it delivers the stub a signal; and inside one,
 * where the ABI forbids system calls, only a signal leads from guest code into the kernel: a fault or a kick. So the registers that a guest's
 * handler is given are those after the abort, as on Linux. Errors and their order are decided here. */
#include "syscalls/proto.h"
#include <sys/auxv.h>

#define RSEQ_UNREGISTER 1
#define RSEQ_ORIG_SIZE 32
#ifndef AT_RSEQ_FEATURE_SIZE
#define AT_RSEQ_FEATURE_SIZE 27
#define AT_RSEQ_ALIGN 28
#endif

static long unregister(struct task *t, uint64_t addr, uint32_t len, uint32_t sig)
{
	if (!t->rseq.addr || t->rseq.addr != addr || t->rseq.len != len)
		return -EINVAL;
	if (t->rseq.sig != sig)
		return -EPERM;
	memset(&t->rseq, 0, sizeof(t->rseq));
	pl_rseq(t->thread, addr, len, RSEQ_UNREGISTER, sig);
	return 0;
}

long sys_rseq(struct task *t, const struct syscall_args *a)
{
	uint64_t addr = a->a[0], end, align = RSEQ_ORIG_SIZE;
	uint32_t len = a->a[1], flags = a->a[2], sig = a->a[3];

	if (!platform_has_rseq(t->kernel->platform))
		return -ENOSYS;
	if (flags == RSEQ_UNREGISTER)
		return unregister(t, addr, len, sig);
	if (flags)
		return -EINVAL;
	if (t->rseq.addr) {
		if (t->rseq.addr != addr || t->rseq.len != len)
			return -EINVAL;
		return t->rseq.sig != sig ? -EPERM : -EBUSY;
	}
	if (len != RSEQ_ORIG_SIZE)
		align = MAX(align, getauxval(AT_RSEQ_ALIGN));
	if (len < RSEQ_ORIG_SIZE || addr % align || len < getauxval(AT_RSEQ_FEATURE_SIZE))
		return -EINVAL;
	if (add_overflow(addr, (uint64_t)len, &end) || end > PL_TASK_SIZE || !user_writable(addr, len))
		return -EFAULT;
	t->rseq.addr = addr;
	t->rseq.len = len;
	t->rseq.sig = sig;
	pl_rseq(t->thread, addr, len, 0, sig);
	return 0;
}
