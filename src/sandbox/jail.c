/* SPDX-License-Identifier: Apache-2.0 */
/* jail.c: what the kernel process takes away from itself.
 *
 * OVERVIEW. Tier 1 (root) and 2 (a user namespace) put it into empty mount, PID, network, IPC and UTS namespaces; it is process 1 of the
 * PID namespace, so that every stub dies with it. All it keeps of the host's tree are descriptors of detached, read-only mount trees,
 * taken before its root became empty. Tier 3 has none of that: no_new_privs and the seccomp filter alone. docs/security.md has the whole list.
 */
#include "sandbox/sandbox.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* <sys/mount.h> and <linux/mount.h> do not go together in this libc. */
int mount(const char *source, const char *target, const char *type, unsigned long flags, const void *data);
int umount2(const char *target, int flags);
#define MS_RDONLY_ 1
#define MS_NOSUID_ 2
#define MS_NODEV_ 4
#define MS_NOEXEC_ 8
#define MS_REMOUNT_ 32
#define MS_REC_ 16384
#define MS_PRIVATE_ (1 << 18)
#define MNT_DETACH_ 2

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t n = write(fd, text, strlen(text));
	int r = n < 0 ? -errno : 0;
	close(fd);
	return r;
}

enum jail_tier jail_prepare(char *reason, size_t size)
{
	char map[64];
	unsigned uid = geteuid(), gid = getegid();

	reason[0] = 0;
	if (unshare(CLONE_NEWPID) == 0)
		return TIER_ROOT;
	snprintf(reason, size, "no privilege for namespaces: %s", strerror(errno));
	if (unshare(CLONE_NEWUSER | CLONE_NEWPID)) {
		size_t n = strlen(reason);
		snprintf(reason + n, size - n, "; no user namespace: %s", strerror(errno));
		/* Nothing ends the stubs with the kernel process but ourselves: see cmd/run.c. */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		return TIER_BARE;
	}
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	int r = write_file("/proc/self/setgroups", "deny");
	if (!r)
		r = write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	if (!r)
		r = write_file("/proc/self/gid_map", map);
	if (r)
		log_warn("the user namespace's maps could not be written: %s", strerror(-r));
	return TIER_USERNS;
}

/* A tree of the host that outlives the root it was seen from. */
static int tree_open(const struct jail *j, const char *path, bool ro)
{
	if (!j->mount_ns) {
		int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0)
		return -errno;
	struct mount_attr a = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (ro ? MOUNT_ATTR_RDONLY : 0) };
	/* Belt and braces: Bailey does not write to a read-only tree anyway. */
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)))
		log_debug("mount_setattr(%s): %s", path, strerror(errno));
	return fd;
}

static void loopback_up(void)
{
	struct ifreq r = { .ifr_name = "lo" };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0)
		return;
	if (ioctl(s, SIOCGIFFLAGS, &r) == 0) {
		r.ifr_flags |= IFF_UP | IFF_RUNNING;
		if (ioctl(s, SIOCSIFFLAGS, &r))
			log_warn("loopback: %s", strerror(errno));
	}
	close(s);
}

/* Everything above stderr but what we were given on purpose. */
static void close_strays(const struct sandbox_options *o)
{
	int keep[2] = { o->control_fd, o->strace_fd };

	if (keep[0] > keep[1]) {
		int t = keep[0];
		keep[0] = keep[1];
		keep[1] = t;
	}
	int from = 3;
	for (int i = 0; i < 2; i++) {
		if (keep[i] < from)
			continue;
		if (keep[i] > from)
			syscall(SYS_close_range, from, keep[i] - 1, 0);
		from = keep[i] + 1;
	}
	syscall(SYS_close_range, from, ~0U, 0);
}

int jail_enter(struct sandbox_options *o, struct jail *j, const char **step)
{
	*j = (struct jail){ .tier = o->tier, .root_fd = -1, .pid_ns = o->tier != TIER_BARE };

	*step = "preparing the kernel process";
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid(); /* the terminal's signals are for the command line, which passes them on */
	umask(0); /* modes come from the guest, whose umask Bailey applies itself */
	close_strays(o);
	struct rlimit rl;
	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });

	if (o->tier != TIER_BARE) {
		*step = "entering the namespaces of the kernel process";
		if (unshare(CLONE_NEWNS)) {
			/* A user namespace without powers (some distributions' policy): carry on without. */
			log_info("no mount namespace: %s; the jail is the seccomp filter alone", strerror(errno));
			if (o->tier == TIER_ROOT)
				return -errno;
			return -errno;
		}
		j->mount_ns = true;
		if (unshare(CLONE_NEWIPC | CLONE_NEWUTS))
			return -errno;
		if (!o->host_network) {
			if (unshare(CLONE_NEWNET))
				return -errno;
			j->net_ns = true;
			loopback_up();
		}
		*step = "making the mounts private";
		if (mount(NULL, "/", NULL, MS_REC_ | MS_PRIVATE_, NULL))
			return -errno;
	}
	*step = "opening the root file system";
	j->root_fd = tree_open(j, o->rootfs ? o->rootfs : "/", true);
	if (j->root_fd < 0)
		return j->root_fd;
	*step = "opening a tree for --bind";
	for (unsigned i = 0; i < o->nbinds; i++) {
		struct sandbox_bind *b = &o->binds[i];
		b->fd = tree_open(j, b->source, b->ro);
		if (b->fd < 0)
			return b->fd;
	}
	if (j->pid_ns) {
		*step = "mounting /proc of the private PID namespace";
		if (mount("proc", "/proc", "proc", MS_NOSUID_ | MS_NODEV_ | MS_NOEXEC_, NULL))
			return -errno;
	}
	return 0;
}

static int empty_root(void)
{
	if (mount("bailey", "/proc", "tmpfs", MS_NOSUID_ | MS_NODEV_ | MS_NOEXEC_, "size=4k,nr_inodes=2,mode=0555"))
		return -errno;
	if (chdir("/proc") || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH_) || chdir("/"))
		return -errno;
	/* A tmpfs of a user namespace may refuse; it is empty and two inodes large. */
	mount(NULL, "/", NULL, MS_REMOUNT_ | MS_RDONLY_ | MS_NOSUID_ | MS_NODEV_ | MS_NOEXEC_, NULL);
	return 0;
}

static int drop_capabilities(const struct sandbox_options *o)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { 0 };
	uint32_t keep = 1U << CAP_DAC_READ_SEARCH;

	/* Root without it could not read what other users' files allow root to read. Writable trees need what writing as root means. */
	for (unsigned i = 0; i < o->nbinds; i++)
		if (!o->binds[i].ro)
			keep |= 1U << CAP_DAC_OVERRIDE | 1U << CAP_CHOWN | 1U << CAP_FOWNER | 1U << CAP_FSETID;
	if (syscall(SYS_capget, &h, d))
		return -errno;
	d[0].permitted &= keep;
	d[0].effective = d[0].permitted;
	d[1].permitted = d[1].effective = d[0].inheritable = d[1].inheritable = 0;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int c = 0; c < 64; c++)
		if (!(keep >> (c & 31) & 1) || c > 31)
			prctl(PR_CAPBSET_DROP, c, 0, 0, 0);
	if (syscall(SYS_capset, &h, d))
		return -errno;
	return 0;
}

int jail_close(const struct sandbox_options *o, struct jail *j, const char **step)
{
	int r;

	if (j->mount_ns) {
		*step = "changing to an empty root";
		r = empty_root();
		if (r)
			return r;
	}
	*step = "dropping capabilities";
	r = drop_capabilities(o);
	if (r)
		return r;
	*step = "setting no_new_privs";
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return jail_filter_load(o->host_network, step);
}
