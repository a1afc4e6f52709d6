/* SPDX-License-Identifier: Apache-2.0 */
/* kcmp.c: kcmp(2). */
#include "fs/anon/epoll.h"
#include "kernel/task.h"
#include "syscalls/proto.h"
#include <linux/kcmp.h>

static struct task *find_task(struct task *t, int pid)
{
	struct task *o = pidns_task_with_id(task_pid_ns(t), pid);

	if (o && o->exit_state >= TASK_EXIT_ZOMBIE) {
		task_put(o);
		return NULL;
	}
	return o;
}

/* An address that says nothing: the order between two is kept within one kernel, and that is all that shows. */
static uint64_t blur(struct task *t, const void *p) { return ((uintptr_t)p ^ t->kernel->random_boot_id[0]) * (t->kernel->random_boot_id[1] | 1); }

static int order(struct task *t, const void *a, const void *b)
{
	uint64_t x = blur(t, a), y = blur(t, b);

	return x == y ? 0 : x < y ? 1 : 2;
}

static struct file *file_of(struct task *o, uint64_t fd)
{
	struct fd_table *fdt;
	struct file *f = NULL;

	mutex_lock(&o->lock);
	fdt = o->fdt;
	if (fdt)
		fd_table_get(fdt);
	mutex_unlock(&o->lock);
	if (!fdt)
		return NULL;
	if (fd <= INT32_MAX)
		f = fd_get_raw(fdt, (int)fd);
	fd_table_put(fdt);
	return f;
}

static long compare_files(struct task *t, struct task *a, struct task *b, uint64_t fd1, uint64_t fd2)
{
	__free(file) struct file *f1 = file_of(a, fd1), *f2 = file_of(b, fd2);

	return f1 && f2 ? order(t, f1, f2) : -EBADF;
}

static long compare_watched(struct task *t, struct task *a, struct task *b, uint64_t fd, uaddr_t uslot)
{
	struct { uint32_t efd, tfd, toff; } slot;
	const struct file *watched;
	long r;

	if (copy_from_user(&slot, uslot, sizeof(slot)))
		return -EFAULT;
	__free(file) struct file *f = file_of(a, fd), *ep = f ? file_of(b, slot.efd) : NULL;
	if (!ep)
		return -EBADF;
	r = epoll_watched(ep, (int)slot.tfd, slot.toff, &watched);
	return r ? r : order(t, f, watched);
}

static const void *part(struct task *o, int type)
{
	const void *p = NULL;

	mutex_lock(&o->lock);
	switch (type) {
	case KCMP_VM: p = o->mm; break;
	case KCMP_FILES: p = o->fdt; break;
	case KCMP_FS: p = o->fs; break;
	case KCMP_SIGHAND: p = READ_ONCE(o->tg->sighand); break;
	case KCMP_SYSVSEM: p = READ_ONCE(o->sem_undo); break;
	case KCMP_IO: break; /* nobody shares one: there are none */
	}
	mutex_unlock(&o->lock);
	return p;
}

static long compare(struct task *t, struct task *a, struct task *b, const struct syscall_args *args)
{
	int type = args->a[2];

	if ((a != t && !task_may_access(t, a)) || (b != t && !task_may_access(t, b)))
		return -EPERM;
	switch (type) {
	case KCMP_FILE: return compare_files(t, a, b, args->a[3], args->a[4]);
	case KCMP_VM:
	case KCMP_FILES:
	case KCMP_FS:
	case KCMP_SIGHAND:
	case KCMP_IO:
	case KCMP_SYSVSEM: return order(t, part(a, type), part(b, type));
	case KCMP_EPOLL_TFD: return compare_watched(t, a, b, args->a[3], args->a[4]);
	default: return -EINVAL;
	}
}

long sys_kcmp(struct task *t, const struct syscall_args *a)
{
	struct task *x = find_task(t, (int)a->a[0]), *y = x ? find_task(t, (int)a->a[1]) : NULL;
	long r = y ? compare(t, x, y, a) : -ESRCH;

	if (x)
		task_put(x);
	if (y)
		task_put(y);
	return r;
}
