/* SPDX-License-Identifier: Apache-2.0 */
/* mount.c: mount(2), umount2(2), pivot_root(2), file handles. The descriptor-based mount calls (fsopen, open_tree, move_mount...) are
 * not here: callers fall back to mount(2) when they get ENOSYS. */
#include "kernel/pidfd.h"
#include "syscalls/names.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mount.h>

static int optional_name(struct name *n, uaddr_t addr) { return addr ? name_get(n, addr) : 0; }

long sys_mount(struct task *t, const struct syscall_args *a)
{
	DECLARE_NAME(source);
	DECLARE_NAME(target);
	DECLARE_NAME(type);
	char *data = NULL;
	int ret = optional_name(&type, a->a[2]);

	if (!ret)
		ret = optional_name(&source, a->a[0]);
	if (!ret && a->a[4]) {
		data = kzalloc(4096);
		if (!data)
			return -ENOMEM;
		/* a page, or as much of one as there is: binary data of other file systems is cut at its first NUL */
		ssize_t n = strncpy_from_user(data, a->a[4], 4096);
		if (n == -ENAMETOOLONG)
			data[4095] = 0;
		else if (n < 0)
			ret = n;
	}
	if (!ret)
		ret = name_get(&target, a->a[1]);
	if (!ret)
		ret = vfs_mount(a->a[0] ? source.s : NULL, target.s, a->a[2] ? type.s : NULL, a->a[3], data);
	free(data);
	return ret;
}

long sys_umount2(struct task *t, const struct syscall_args *a)
{
	int flags = a->a[1];
	struct path p;

	if (flags & ~(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
		return -EINVAL;
	if ((flags & MNT_EXPIRE) && (flags & (MNT_FORCE | MNT_DETACH)))
		return -EINVAL;
	int ret = user_path_at(AT_FDCWD, a->a[0], flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &p);
	if (ret)
		return ret;
	ret = vfs_umount(&p, flags);
	path_put(&p);
	return ret;
}

long sys_pivot_root(struct task *t, const struct syscall_args *a)
{
	DECLARE_NAME(n);
	DECLARE_NAME(o);
	int ret = name_get(&n, a->a[0]);

	if (!ret)
		ret = name_get(&o, a->a[1]);
	return ret ? ret : vfs_pivot_root(n.s, o.s);
}

/* struct file_handle of a file system that needs eight bytes. */
struct handle8 { uint32_t bytes; int32_t type; uint64_t handle; };
enum { FILEID_KERNFS_ = 0xfe, FILEID_INVALID_ = 0xff, FD_PIDFS_ROOT_ = -10002 };

static long put_handle(const struct syscall_args *a, uint64_t handle, int32_t mnt_id)
{
	struct handle8 h;

	if (copy_from_user(&h, a->a[2], 8))
		return -EFAULT;
	if (h.bytes > 128)
		return -EINVAL;
	bool room = h.bytes >= sizeof(h.handle);
	h = (struct handle8){ sizeof(h.handle), room ? FILEID_KERNFS_ : FILEID_INVALID_, handle };
	if (put_user(mnt_id, a->a[3]) || copy_to_user(a->a[2], &h, room ? sizeof(h) : 8))
		return -EFAULT;
	return room ? 0 : -EOVERFLOW;
}

long sys_name_to_handle_at(struct task *t, const struct syscall_args *a)
{
	int flags = a->a[4];
	struct path p;

	if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH | 0x200 /* AT_HANDLE_FID */))
		return -EINVAL;
	int ret = user_path_at((int)a->a[0], a->a[1], (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0), &p);
	if (ret)
		return ret;
	uint64_t handle;
	bool have = pidfd_handle(&p, &handle);
	struct kstat st;
	if (have)
		ret = vfs_stat(&p, &st);
	path_put(&p);
	if (ret)
		return ret;
	return have ? put_handle(a, handle, (int32_t)st.mnt_id) : -EOPNOTSUPP; /* no other file system here can find a file by handle */
}

long sys_open_by_handle_at(struct task *t, const struct syscall_args *a)
{
	const unsigned known = O_ACCMODE | O_NONBLOCK | O_CLOEXEC | O_EXCL;
	unsigned flags = (unsigned)a->a[2];
	struct handle8 h;
	struct file *f;
	uint64_t any;
	bool pidfs = (int)a->a[0] == FD_PIDFS_ROOT_;

	if (!pidfs) {
		f = fd_get_raw(t->fdt, (int)a->a[0]);
		if (!f && (int)a->a[0] != AT_FDCWD)
			return -EBADF;
		pidfs = f && pidfd_handle(&f->path, &any);
		if (f)
			file_put(f);
	}
	if (!pidfs)
		return cred_has_cap(t->cred, CAP_DAC_READ_SEARCH) ? -EOPNOTSUPP : -EPERM;
	if (copy_from_user(&h, a->a[1], sizeof(h)))
		return -EFAULT;
	if (h.bytes != sizeof(h.handle) || (flags & ~known))
		return -EINVAL;
	if (h.type != FILEID_KERNFS_)
		return -ESTALE;
	long ret = pidfd_by_handle(t, h.handle, flags, &f);
	if (ret)
		return ret;
	ret = fd_install(t->fdt, f, flags & O_CLOEXEC);
	file_put(f);
	return ret;
}
