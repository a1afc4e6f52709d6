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
#include <net/route.h>
#include <netinet/in.h>
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
#define MS_MOVE_ 8192
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

/* fork(), but into namespaces: the command line itself stays where it is, so that it can try the next tier. */
static pid_t fork_with(unsigned long flags)
{
	int *tid = NULL;

	fflush(NULL);
	/* Where the libc keeps the thread id: for abort() in the child. */
	prctl(40 /* PR_GET_TID_ADDRESS */, &tid, 0, 0, 0);
	if (tid)
		flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID;
	long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, tid, 0);
	return pid < 0 ? -errno : (pid_t)pid;
}

/* In the child: it may name itself in its own user namespace, nobody else. */
static int map_ids(unsigned uid, unsigned gid)
{
	char map[64];
	int r = write_file("/proc/self/setgroups", "deny");

	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (!r || r == -ENOENT)
		r = write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return r ? r : write_file("/proc/self/gid_map", map);
}

pid_t jail_fork(enum jail_tier tier)
{
	if (tier == TIER_BARE) /* nothing ends the stubs with the kernel process but ourselves: see cmd/run.c */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	return fork_with(tier == TIER_ROOT ? CLONE_NEWPID : tier == TIER_USERNS ? CLONE_NEWUSER | CLONE_NEWPID : 0);
}

static int set_attributes(int fd, const char *path, bool ro)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (ro ? MOUNT_ATTR_RDONLY : 0) };

	/* Belt and braces: Bailey does not write to a read-only tree anyway. */
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)))
		log_debug("mount_setattr(%s): %s", path, strerror(errno));
	return fd;
}

static int clone_tree(const char *path)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	return fd < 0 ? -errno : fd;
}

/* A tree of the host that outlives the root it was seen from. */
static int tree_open(const struct jail *j, const char *path, bool ro)
{
	struct stat st;

	if (stat(path, &st))
		return -errno;
	if (!S_ISDIR(st.st_mode))
		return -ENOTDIR;
	int fd = j->mount_ns ? clone_tree(path) : open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return j->mount_ns ? fd : -errno;
	return j->mount_ns ? set_attributes(fd, path, ro) : fd;
}

/* A tree with nothing in it but one file of the host: a small tmpfs with the file mounted in it. Without a mount namespace it is the
 * file's directory, of which the guest is shown the file alone. */
static int file_tree_open(const struct jail *j, const struct sandbox_bind *b)
{
	if (!j->mount_ns) {
		char *dir = xstrdup(b->source), *slash = strrchr(dir, '/');
		if (slash)
			slash[slash == dir] = 0;
		int fd = open(slash ? dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
		free(dir);
		return fd < 0 ? -errno : fd;
	}
	int r, tree = -1, src = clone_tree(b->source);
	if (src < 0)
		return src;
	if (mount("bailey", "/proc", "tmpfs", MS_NOSUID_ | MS_NODEV_, "size=4k,nr_inodes=3,mode=0755")) {
		r = -errno;
		close(src);
		return r;
	}
	char *at = xasprintf("/proc/%s", b->file);
	int fd = open(at, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	r = fd < 0 || syscall(SYS_move_mount, src, "", AT_FDCWD, at, 4 /* MOVE_MOUNT_F_EMPTY_PATH */) ? -errno : 0;
	if (!r)
		r = tree = clone_tree("/proc");
	if (fd >= 0)
		close(fd);
	close(src);
	free(at);
	umount2("/proc", MNT_DETACH_);
	return r < 0 ? r : set_attributes(tree, b->source, b->ro);
}

static int bind_open(const struct jail *j, struct sandbox_bind *b)
{
	struct stat st;
	const char *name;

	if (stat(b->source, &st))
		return -errno;
	if (S_ISDIR(st.st_mode)) {
		b->fd = tree_open(j, b->source, b->ro);
	} else {
		name = strrchr(b->source, '/');
		b->file = xstrdup(name ? name + 1 : b->source);
		b->fd = file_tree_open(j, b);
	}
	return b->fd < 0 ? b->fd : 0;
}

/* What root may do and the kernel process, without capabilities, does for it: Bailey checks the guest's own. */
static void net_sysctl(const char *name, const char *value)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		log_debug("%s: %s", name, strerror(errno));
	if (fd >= 0)
		close(fd);
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
	net_sysctl("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0");
	net_sysctl("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
	/* Multicast among the sandbox's own processes: without a route it is refused. */
	struct rtentry rt = { .rt_flags = RTF_UP, .rt_dev = (char *)"lo" };
	((struct sockaddr_in *)&rt.rt_dst)->sin_family = ((struct sockaddr_in *)&rt.rt_genmask)->sin_family = AF_INET;
	((struct sockaddr_in *)&rt.rt_dst)->sin_addr.s_addr = htonl(0xe0000000);
	((struct sockaddr_in *)&rt.rt_genmask)->sin_addr.s_addr = htonl(0xf0000000);
	if (ioctl(s, SIOCADDRT, &rt))
		log_debug("multicast route: %s", strerror(errno));
	close(s);
}

/* Everything above stderr but what we were given on purpose. */
static void close_strays(const struct sandbox_options *o)
{
	int keep[3] = { o->control_fd, o->strace_fd, o->events_fd };

	for (int i = 0; i < 3; i++)
		for (int j = i + 1; j < 3; j++)
			if (keep[i] > keep[j]) {
				int t = keep[i];
				keep[i] = keep[j];
				keep[j] = t;
			}
	int from = 3;
	for (int i = 0; i < 3; i++) {
		if (keep[i] < from)
			continue;
		if (keep[i] > from)
			syscall(SYS_close_range, from, keep[i] - 1, 0);
		from = keep[i] + 1;
	}
	syscall(SYS_close_range, from, ~0U, 0);
}

static int enter_namespaces(struct sandbox_options *o, struct jail *j, const char **step)
{
	int r;

	*step = "entering the namespaces of the kernel process";
	if (o->tier == TIER_USERNS) {
		r = map_ids(o->host_uid, o->host_gid);
		if (r)
			return r;
	}
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS))
		return -errno;
	j->mount_ns = true;
	if (!o->host_network) {
		if (unshare(CLONE_NEWNET))
			return -errno;
		j->net_ns = true;
		loopback_up();
	}
	*step = "making the mounts private";
	if (mount(NULL, "/", NULL, MS_REC_ | MS_PRIVATE_, NULL))
		return -errno;
	/* Where /proc is masked (containers), a new one is refused. */
	*step = "mounting /proc of the private PID namespace";
	r = mount("proc", "/proc", "proc", MS_NOSUID_ | MS_NODEV_ | MS_NOEXEC_, NULL) ? -errno : 0;
	if (!r && umount2("/proc", MNT_DETACH_))
		r = -errno;
	return r;
}

int jail_enter(struct sandbox_options *o, struct jail *j, const char **step, bool *retry)
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
		int r = enter_namespaces(o, j, step);
		*retry = r != 0;
		if (r)
			return r;
	}
	*step = o->rootfs ? xasprintf("--rootfs %s", o->rootfs) : "opening the root file system";
	j->root_fd = tree_open(j, o->rootfs ? o->rootfs : "/", true);
	if (j->root_fd < 0)
		return j->root_fd;
	for (unsigned i = 0; i < o->nbinds; i++) {
		int r = bind_open(j, &o->binds[i]);
		if (r) {
			*step = xasprintf("--bind %s:%s", o->binds[i].source, o->binds[i].target);
			return r;
		}
	}
	*step = "mounting /proc of the private PID namespace";
	if (j->pid_ns && mount("proc", "/proc", "proc", MS_NOSUID_ | MS_NODEV_ | MS_NOEXEC_, NULL))
		return -errno;
	return 0;
}

static int empty_root(void)
{
	if (mount("bailey", "/proc", "tmpfs", MS_NOSUID_ | MS_NODEV_ | MS_NOEXEC_, "size=4k,nr_inodes=2,mode=0555"))
		return -errno;
	if (chdir("/proc"))
		return -errno;
	/* An initial ramdisk cannot be left by pivot_root. */
	if (syscall(SYS_pivot_root, ".", ".") ? mount(".", "/", NULL, MS_MOVE_, NULL) || chroot(".") : umount2(".", MNT_DETACH_))
		return -errno;
	if (chdir("/"))
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
