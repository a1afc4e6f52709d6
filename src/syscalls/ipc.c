/* SPDX-License-Identifier: Apache-2.0 */
/* ipc.c: System V semaphores, message queues and shared memory. */
#include "ipc/ipc.h"
#include "kernel/ipc_ns.h"
#include "syscalls/proto.h"

long sys_semget(struct task *t, const struct syscall_args *a) { return ipc_semget(t->ipc_ns, a->a[0], a->a[1], a->a[2]); }

long sys_semop(struct task *t, const struct syscall_args *a)
{
	return ipc_semtimedop(t->ipc_ns, &t->sem_undo, a->a[0], a->a[1], (unsigned)a->a[2], NULL);
}

long sys_semtimedop(struct task *t, const struct syscall_args *a)
{
	struct timespec ts;

	if (a->a[3] && get_user(ts, a->a[3]))
		return -EFAULT;
	return ipc_semtimedop(t->ipc_ns, &t->sem_undo, a->a[0], a->a[1], (unsigned)a->a[2], a->a[3] ? &ts : NULL);
}

long sys_semctl(struct task *t, const struct syscall_args *a) { return ipc_semctl(t->ipc_ns, a->a[0], a->a[1], a->a[2], a->a[3]); }
long sys_msgget(struct task *t, const struct syscall_args *a) { return ipc_msgget(t->ipc_ns, a->a[0], a->a[1]); }
long sys_msgsnd(struct task *t, const struct syscall_args *a) { return ipc_msgsnd(t->ipc_ns, a->a[0], a->a[1], a->a[2], a->a[3]); }
long sys_msgrcv(struct task *t, const struct syscall_args *a) { return ipc_msgrcv(t->ipc_ns, a->a[0], a->a[1], a->a[2], a->a[3], a->a[4]); }
long sys_msgctl(struct task *t, const struct syscall_args *a) { return ipc_msgctl(t->ipc_ns, a->a[0], a->a[1], a->a[2]); }
long sys_shmget(struct task *t, const struct syscall_args *a) { return ipc_shmget(t->ipc_ns, a->a[0], a->a[1], a->a[2]); }
long sys_shmat(struct task *t, const struct syscall_args *a) { return ipc_shmat(t->ipc_ns, a->a[0], a->a[1], a->a[2]); }

long sys_shmdt(struct task *t, const struct syscall_args *a)
{
	(void)t;
	return ipc_shmdt(a->a[0]);
}

long sys_shmctl(struct task *t, const struct syscall_args *a) { return ipc_shmctl(t->ipc_ns, a->a[0], a->a[1], a->a[2]); }

long sys_remap_file_pages(struct task *t, const struct syscall_args *a)
{
	return mm_remap_file_pages(t->mm, a->a[0], a->a[1], a->a[2], a->a[3], a->a[4]);
}
