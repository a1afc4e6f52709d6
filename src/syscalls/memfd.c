/* SPDX-License-Identifier: Apache-2.0 */
/* memfd.c: memfd_create(2). */
#include "fs/anon/memfd.h"
#include "syscalls/proto.h"
#include <sys/mman.h>

#define MFD_NAME_MAX 249
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#define MFD_EXEC 0x10U
#endif

long sys_memfd_create(struct task *t, const struct syscall_args *a)
{
	unsigned flags = (unsigned)a->a[1];
	char name[MFD_NAME_MAX + 1];
	struct file *f;

	if (flags & MFD_HUGETLB) /* no huge pages are set aside for guests */
		return flags & ~(0x3fu << 26 | MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL | MFD_EXEC) ? -EINVAL : -ENOSYS;
	if (flags & ~(MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL | MFD_EXEC))
		return -EINVAL;
	if ((flags & MFD_EXEC) && (flags & MFD_NOEXEC_SEAL))
		return -EINVAL;
	ssize_t n = strncpy_from_user(name, a->a[0], sizeof(name));
	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : n;
	int r = memfd_create_file(name, flags, &f);
	if (r)
		return r;
	r = fd_install(t->fdt, f, flags & MFD_CLOEXEC);
	file_put(f);
	return r;
}
