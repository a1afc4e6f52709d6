/* SPDX-License-Identifier: Apache-2.0 */
/* sysinfo.c: getrandom, uname, sethostname, setdomainname, sysinfo, syslog. */
#include "abi/version.h"
#include "fs/dev/dev.h"
#include "kernel/time_ns.h"
#include "mm/uaccess.h"
#include "syscalls/proto.h"
#include <sys/random.h>
#include <sys/sysinfo.h>

#ifndef GRND_INSECURE
#define GRND_INSECURE 4
#endif
#define CAP_SYS_ADMIN_ 21
#define CAP_SYSLOG_ 34

long sys_getrandom(struct task *t, const struct syscall_args *a)
{
	uaddr_t buf = a->a[0];
	uint64_t len = a->a[1];
	unsigned flags = a->a[2];
	uint64_t done = 0;
	char tmp[1024];

	if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if ((flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if (len > INT32_MAX)
		len = INT32_MAX;
	while (done < len) {
		size_t n = MIN(len - done, sizeof(tmp)), got;

		random_bytes(tmp, n);
		got = copy_to_user_partial(buf + done, tmp, n);
		done += got;
		if (got < n)
			break;
		if (done % (64 << 10) == 0) { /* it takes its time: others come in between */
			if (fiber_interrupted(PARK_INTERRUPTIBLE))
				break;
			fiber_yield();
		}
	}
	explicit_bzero(tmp, sizeof(tmp));
	return done || !len ? (long)done : -EFAULT;
}

struct utsname_k { char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65]; };
_Static_assert(sizeof(struct utsname_k) == 390, "struct new_utsname");

long sys_uname(struct task *t, const struct syscall_args *a)
{
	struct utsname_k u = { .sysname = UTS_SYSNAME, .release = UTS_RELEASE, .version = UTS_VERSION, .machine = UTS_MACHINE };

	mutex_lock(&t->uts->lock);
	memcpy(u.nodename, t->uts->nodename, sizeof(u.nodename));
	memcpy(u.domainname, t->uts->domainname, sizeof(u.domainname));
	mutex_unlock(&t->uts->lock);
	if ((t->personality & 0xff) == 0x08) /* PER_LINUX32 */
		strcpy(u.machine, "i686");
	return copy_to_user(a->a[0], &u, sizeof(u));
}

static long set_name(struct task *t, uaddr_t name, int len, char *dst)
{
	char tmp[65] = { 0 };

	if (!ns_capable(t->cred, t->uts->user_ns, CAP_SYS_ADMIN_))
		return -EPERM;
	if (len < 0 || len > 64)
		return -EINVAL;
	if (copy_from_user(tmp, name, len))
		return -EFAULT;
	mutex_lock(&t->uts->lock);
	memcpy(dst, tmp, sizeof(tmp));
	mutex_unlock(&t->uts->lock);
	return 0;
}

long sys_sethostname(struct task *t, const struct syscall_args *a)
{
	return set_name(t, a->a[0], (int)a->a[1], t->uts->nodename);
}

long sys_setdomainname(struct task *t, const struct syscall_args *a)
{
	return set_name(t, a->a[0], (int)a->a[1], t->uts->domainname);
}

long sys_sysinfo(struct task *t, const struct syscall_args *a)
{
	struct sysinfo host, si;
	struct kernel *k = t->kernel;

	if (sysinfo(&host) < 0)
		return -EAGAIN;
	memset(&si, 0, sizeof(si));
	si.uptime = (ktime_mono() - k->boot_time + time_ns_offset(t, CLOCK_BOOTTIME) + NSEC_PER_SEC - 1) / NSEC_PER_SEC;
	for (int i = 0; i < 3; i++)
		si.loads[i] = k->load[i] << (16 - LOAD_SHIFT);
	si.mem_unit = host.mem_unit;
	si.totalram = host.totalram;
	si.freeram = host.freeram;
	si.sharedram = host.sharedram;
	si.bufferram = host.bufferram;
	si.totalswap = host.totalswap;
	si.freeswap = host.freeswap;
	if (k->memory_limit && k->memory_limit / host.mem_unit < host.totalram) {
		si.totalram = k->memory_limit / host.mem_unit;
		si.freeram = MIN(si.freeram, si.totalram);
		si.sharedram = si.bufferram = si.totalswap = si.freeswap = 0;
	}
	mutex_lock(&k->tasks.lock);
	si.procs = k->tasks.ntasks > UINT16_MAX ? UINT16_MAX : k->tasks.ntasks;
	mutex_unlock(&k->tasks.lock);
	return copy_to_user(a->a[0], &si, sizeof(si));
}

/* There is a kernel log, and it is always empty: Bailey's own goes to the operator. */
long sys_syslog(struct task *t, const struct syscall_args *a)
{
	int type = a->a[0], len = a->a[2];
	struct wait_queue wq;

	if (type < 0 || type > 10)
		return -EINVAL;
	if (type != 3 && type != 10 && !cred_has_cap(t->cred, CAP_SYSLOG_) && !cred_has_cap(t->cred, CAP_SYS_ADMIN_))
		return -EPERM;
	switch (type) {
	case 2: /* SYSLOG_ACTION_READ: waits for a message */
		if (!a->a[1] || len < 0)
			return -EINVAL;
		if (!len)
			return 0;
		wait_queue_init(&wq);
		return task_wait(&wq, false, KTIME_MAX);
	case 3: /* READ_ALL */
	case 4: /* READ_CLEAR */
		return !a->a[1] || len < 0 ? -EINVAL : 0;
	case 8: /* CONSOLE_LEVEL */
		return len < 1 || len > 8 ? -EINVAL : 0;
	case 10: /* SIZE_BUFFER */
		return 1 << 14;
	}
	return 0;
}
