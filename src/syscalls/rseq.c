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

long sys_rseq(struct task *t, const struct syscall_args *a)
{
	struct pl_rseq now = pl_rseq_get(t->thread), r = { a->a[0], a->a[1], a->a[3] };
	uint64_t end, align = RSEQ_ORIG_SIZE;
	uint32_t flags = a->a[2];

	if (!platform_has_rseq(t->kernel->platform))
		return -ENOSYS;
	if (flags & ~RSEQ_UNREGISTER)
		return -EINVAL;
	if (now.len || flags) {
		if (!now.len || now.addr != r.addr || now.len != r.len)
			return -EINVAL;
		if (now.sig != r.sig)
			return -EPERM;
		if (!flags)
			return -EBUSY;
	} else {
		if (r.len != RSEQ_ORIG_SIZE)
			align = MAX(align, getauxval(AT_RSEQ_ALIGN));
		if (r.len < RSEQ_ORIG_SIZE || r.addr % align || r.len < getauxval(AT_RSEQ_FEATURE_SIZE))
			return -EINVAL;
		if (add_overflow(r.addr, (uint64_t)r.len, &end) || end > PL_TASK_SIZE || !user_writable(r.addr, r.len))
			return -EFAULT;
	}
	pl_rseq(t->thread, &r, flags);
	return 0;
}
