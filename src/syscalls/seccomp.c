/* SPDX-License-Identifier: Apache-2.0 */
/* seccomp.c: seccomp(2). */
#include "kernel/seccomp.h"
#include "syscalls/proto.h"

long sys_seccomp(struct task *t, const struct syscall_args *a)
{
	unsigned op = (unsigned)a->a[0], flags = (unsigned)a->a[1];
	uint32_t action;

	switch (op) {
	case SECCOMP_SET_MODE_STRICT:
		return flags || a->a[2] ? -EINVAL : seccomp_set_strict(t);
	case SECCOMP_SET_MODE_FILTER:
		return seccomp_set_filter(t, flags, a->a[2]);
	case SECCOMP_GET_ACTION_AVAIL:
		if (flags)
			return -EINVAL;
		if (get_user(action, a->a[2]))
			return -EFAULT;
		return seccomp_action_avail(action);
	case SECCOMP_GET_NOTIF_SIZES: {
		struct seccomp_notif_sizes s = { sizeof(struct seccomp_notif), sizeof(struct seccomp_notif_resp), sizeof(struct seccomp_data) };

		return flags ? -EINVAL : copy_to_user(a->a[2], &s, sizeof(s));
	}
	default:
		return -EINVAL;
	}
}
