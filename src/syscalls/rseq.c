/* SPDX-License-Identifier: Apache-2.0 */
/* rseq.c: restartable sequences are refused.
 *
 * rseq(2) promises that a critical section which was preempted or migrated does not run on. Guest threads are threads of the host, which
 * preempts and migrates them without telling this kernel: a cpu_id given out from here could be shared by two running threads, and
 * allocators that trust it would corrupt their memory. Programs and libraries cope with ENOSYS; it is a function of its own so that
 * every new thread of every C library does not write a line to the log. */
#include "syscalls/proto.h"

long sys_rseq(struct task *t, const struct syscall_args *a)
{
	return -ENOSYS;
}
