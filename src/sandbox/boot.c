/* SPDX-License-Identifier: Apache-2.0 */
/* boot.c: from a bare process to a running guest, in one order: jail, platform, kernel, file systems, closed jail, first process. */
#include "mm/mm.h"
#include "mm/uaccess.h"
#include "sandbox/control.h"
#include "sandbox/sandbox.h"
#include "fs/anon/epoll.h"
#include "fs/dev/dev.h"
#include "fs/devpts/devpts.h"
#include "fs/host/host.h"
#include "fs/host/hostfd.h"
#include "fs/mqueue/mqueue.h"
#include "fs/overlay/overlay.h"
#include "fs/pipe/pipe.h"
#include "fs/proc/proc.h"
#include "fs/tmpfs/tmpfs.h"
#include "kernel/kernel.h"
#include "kernel/trace.h"
#include "kernel/tty.h"
#include "net/socket.h"
#include "syscalls/syscalls.h"
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/sysinfo.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_CPUS 4096 /* of the host */

struct sandbox {
	struct sandbox_options *o;
	struct jail jail;
	struct sched *sched;
	struct platform *platform;
	struct kernel *kernel;
	struct tty *tty;
	struct mount_namespace *ns;
	int failed; /* exit status of a failed start */
};

/* Tells the command line, which prints it: its one line a failure. */
static int fail(const struct sandbox_options *o, int status, const char *fmt, ...)
{
	struct ctl_status m = { .type = CTL_FAILED, .status = status, .tier = (int)o->tier };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	if (send(o->control_fd, &m, sizeof(m), MSG_NOSIGNAL) < 0)
		log_error("%s", m.text);
	return status;
}

/* ---- the root file system ---- */

static int mount_at(struct sandbox *s, const char *target, const char *type, unsigned long flags, const char *data)
{
	int r;

	if (!get_fs_type(type)) {
		log_info("no file system \"%s\": %s stays without", type, target);
		return 0;
	}
	r = vfs_mkdir(AT_FDCWD_, target, 0755);
	if (r && r != -EEXIST)
		return r;
	r = vfs_mount(type, target, type, flags, data);
	if (r)
		fail(s->o, EXIT_BAILEY, "mounting %s on %s: %s", type, target, strerror(-r));
	return r;
}

/* What the root lacks of a bind's target is made in the overlay. */
static void make_target(const char *target, bool dir)
{
	char *p = xstrdup(target);

	for (char *c = p + 1; *c; c++)
		if (*c == '/') {
			*c = 0;
			vfs_mkdir(AT_FDCWD_, p, 0755);
			*c = '/';
		}
	if (dir)
		vfs_mkdir(AT_FDCWD_, p, 0755);
	else
		vfs_mknod(AT_FDCWD_, p, S_IFREG | 0644, 0, NULL);
	free(p);
}

#define NAME_BYTES 1250 /* a name of a host tree in the kernel process, with its inodes */
#define NAMES_MIN 8192
#define NAMES_MAX 131072

/* How many names of a host tree are kept that nobody uses: programs that walk trees come again. At most a 64th of the memory. */
static unsigned names_kept(const struct kernel *k)
{
	struct sysinfo si;
	uint64_t bytes = sysinfo(&si) ? 0 : (uint64_t)si.totalram * si.mem_unit;

	if (k->memory_limit)
		bytes = MIN(bytes, k->memory_limit);
	return MAX((uint64_t)NAMES_MIN, MIN((uint64_t)NAMES_MAX, bytes / 64 / NAME_BYTES));
}

static int mount_bind(struct kernel *k, const struct sandbox_bind *b)
{
	static const char *const aside = "/.bailey-bind"; /* where a tree is while one file of it is bound */
	struct super_block *sb;
	struct path p;
	int r = host_fs_create(k, b->fd, b->ro, b->source, &sb);

	if (r)
		return r;
	sb->dentry_limit = names_kept(k);
	make_target(b->target, !b->file);
	if (b->file)
		vfs_mkdir(AT_FDCWD_, aside, 0700);
	r = path_lookup(AT_FDCWD_, b->file ? aside : b->target, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);
	if (!r) {
		r = do_mount_at(&p, sb, b->ro ? MS_RDONLY : 0);
		path_put(&p);
	}
	super_put(sb);
	if (!b->file)
		return r;
	if (!r) {
		char *from = xasprintf("%s/%s", aside, b->file);
		r = vfs_mount(from, b->target, NULL, MS_BIND, NULL);
		if (!r && b->ro)
			r = vfs_mount(NULL, b->target, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
		free(from);
		int e = path_lookup(AT_FDCWD_, aside, 0, &p);
		if (!e) {
			e = vfs_umount(&p, MNT_DETACH);
			path_put(&p);
		}
		if (e)
			log_debug("unmounting %s: %s", aside, strerror(-e));
	}
	vfs_rmdir(AT_FDCWD_, aside);
	return r;
}

/* The sandbox's name leads to itself, as in other containers. Without a file of names, or if it is in there, nothing is done. */
static void name_in_hosts(struct sandbox *s)
{
	struct open_how_k how = { .flags = O_RDONLY };
	const char *name = s->o->hostname;
	size_t len = strlen(name), room = 65536;
	__free(mem) void *mem = xzalloc(room);
	char *text = mem;
	struct file *f;
	ssize_t n = -1;

	if (vfs_open(AT_FDCWD_, "/etc/hosts", &how, &f))
		return;
	if (S_ISREG(f->inode->mode))
		n = kernel_read(f, text, room - 1, 0);
	file_put(f);
	if (n < 0)
		return;
	text[n] = 0;
	for (const char *p = text; (p = strstr(p, name)); p += len)
		if (p > text && strchr(" \t", p[-1]) && strchr(" \t\n", p[len]))
			return;
	how = (struct open_how_k){ .flags = O_WRONLY | O_APPEND };
	if (vfs_open(AT_FDCWD_, "/etc/hosts", &how, &f))
		return;
	struct iov_iter from;
	int m = snprintf(text, room, "%s127.0.0.1\t%s\n", n && text[n - 1] != '\n' ? "\n" : "", name);
	iov_iter_kernel(&from, text, (size_t)m);
	n = vfs_write(f, &from, NULL);
	if (n < 0)
		log_debug("/etc/hosts: %s", strerror((int)-n));
	file_put(f);
}

static int setup_root(struct sandbox *s)
{
	struct super_block *lower, *upper, *root;
	struct sandbox_options *o = s->o;
	struct kernel *k = s->kernel;
	const struct file_system_type *tmpfs = get_fs_type("tmpfs");
	int r;

	if (!tmpfs)
		return fail(o, EXIT_BAILEY, "mounting the root file system: no tmpfs"), -ENODEV;
	r = host_fs_create(k, s->jail.root_fd, true, o->rootfs ? o->rootfs : "/", &lower);
	if (!r)
		r = tmpfs->mount(k, "upper", 0, "mode=0755", &upper);
	if (!r)
		r = overlay_create(k, lower, upper, &root);
	if (r)
		return fail(o, EXIT_BAILEY, "mounting the root file system: %s", strerror(-r)), r;
	super_put(lower);
	super_put(upper);
	root->dentry_limit = names_kept(k);
	s->ns = k->root_mnt_ns = mount_ns_create(root, 0);
	super_put(root);

	struct fiber_context *ctx = fiber_context();
	struct path p;
	ctx->cred = cred_create_root(k->root_user_ns);
	mount_ns_root(s->ns, &p);
	ctx->fs = fs_context_create(&p);
	path_put(&p);

	static const struct { const char *at, *type; unsigned long flags; const char *data; } mounts[] = {
		{ "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
		{ "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL },
#ifdef BAILEY_KCOV
		{ "/sys/kernel/debug", "debugfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
#endif
		{ "/dev", "devtmpfs", MS_NOSUID, NULL },
		{ "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "gid=5,mode=620,ptmxmode=666" },
		{ "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777" },
		{ "/dev/mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
	};
	for (unsigned i = 0; i < ARRAY_SIZE(mounts); i++) {
		r = mount_at(s, mounts[i].at, mounts[i].type, mounts[i].flags, mounts[i].data);
		if (r)
			return r;
	}
	if (!o->host_network)
		name_in_hosts(s);
	for (unsigned i = 0; i < o->nbinds; i++) {
		struct sandbox_bind *b = &o->binds[i];
		r = mount_bind(k, b);
		if (r)
			return fail(o, EXIT_BAILEY, "--bind %s:%s: %s", b->source, b->target, strerror(-r)), r;
	}
	return 0;
}

static void boot_fiber(void *arg)
{
	struct sandbox *s = arg;
	struct ctl_status m = { .type = CTL_READY, .tier = (int)s->o->tier };
	int r;

	if (setup_root(s)) {
		s->failed = EXIT_BAILEY;
		sched_stop(s->sched, 0);
		return;
	}
	snprintf(m.text, sizeof(m.text), "%s", s->o->tier_reason);
	(void)!send(s->o->control_fd, &m, sizeof(m), MSG_NOSIGNAL);
	r = control_start(s->kernel, s->ns, s->tty, s->o->control_fd);
	if (r) {
		log_error("serving the control socket: %s", strerror(-r));
		sched_stop(s->sched, SIGKILL);
	}
}

/* ---- all of it ---- */

static void register_all(struct kernel *k)
{
	tmpfs_register();
	host_fs_register();
	dev_register();
	devpts_register();
	proc_register();
	sys_register();
#ifdef BAILEY_KCOV
	debugfs_register();
#endif
	mqueue_register();
	pipe_init();
	epoll_init();
	tty_init(k);
}

/* Everything here, guests too, on the first n of the CPUs that we may use: 0 or -errno. */
static int bind_cpus(unsigned n, unsigned *out)
{
	size_t size = CPU_ALLOC_SIZE(MAX_CPUS);
	__free(mem) void *mem = xzalloc(size), *few = xzalloc(size);
	unsigned got = 0;

	*out = 0;
	if (!n)
		return 0;
	if (sched_getaffinity(0, size, mem) < 0)
		return -errno;
	for (unsigned cpu = 0; cpu < MAX_CPUS && got < n; cpu++)
		if (CPU_ISSET_S(cpu, size, (cpu_set_t *)mem)) {
			CPU_SET_S(cpu, size, (cpu_set_t *)few);
			got++;
		}
	if (sched_setaffinity(0, size, few))
		return -errno;
	*out = got;
	return 0;
}

int sandbox_run(struct sandbox_options *o)
{
	struct sandbox *s = new(struct sandbox);
	const char *step = "";
	int r;

	s->o = o;
	/* Signals of the host have no business here, but for the platform's SIGCHLD. */
	sigset_t all;
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGFPE);
	sigdelset(&all, SIGILL);
	sigdelset(&all, SIGSYS);
	sigdelset(&all, SIGABRT);
	sigdelset(&all, SIGTRAP);
	sigprocmask(SIG_SETMASK, &all, NULL);
	log_init(STDERR_FILENO, o->log_level);
	bool retry = false;
	r = jail_enter(o, &s->jail, &step, &retry);
	if (r && retry) {
		struct ctl_status m = { .type = CTL_RETRY, .error = -r, .tier = (int)o->tier };
		snprintf(m.text, sizeof(m.text), "%s: %s", step, strerror(-r));
		(void)!send(o->control_fd, &m, sizeof(m), MSG_NOSIGNAL);
		return EXIT_BAILEY;
	}
	if (r)
		return fail(o, EXIT_BAILEY, "%s: %s%s", step, strerror(-r), r == -EPERM ? " (see `bailey doctor`)" : "");
	log_info("jail: tier %d%s%s", o->tier, o->tier_reason[0] ? ": " : "", o->tier_reason);
	/* The log goes on when descriptor 2 is the guest's. */
	int log = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 64);
	if (log >= 0)
		log_init(log, o->log_level);
	if (o->tty && isatty(log))
		log_set_crlf();
	unsigned ncpus;
	r = bind_cpus(o->ncpus, &ncpus);
	if (r)
		return fail(o, EXIT_BAILEY, "--cpus: %s", strerror(-r));
	proc_read_host();
	net_open_host();
	struct watch *watch;
	r = memory_watch_prepare(o->memory_limit, &watch);
	if (r)
		return fail(o, EXIT_BAILEY, "--memory: %s", strerror(-r));
	const char *env = getenv("BAILEY_WORKERS");
	int workers = o->workers ? (int)o->workers : env ? atoi(env) : 1;
	s->sched = sched_create(MAX(1, MIN(workers, WORKERS_MAX)));
	struct platform_options po = { .sched = s->sched, .no_patch = o->no_patch, .write_at_once = o->strace_fd >= 0 || (o->events_fd >= 0 && o->calls),
				       .without = getenv("BAILEY_NO"), .zygote_fd = -1 };
	r = platform_create(&po, &s->platform);
	if (r)
		return fail(o, EXIT_BAILEY, "starting the platform: %s (see `bailey doctor`)", strerror(-r));
	if (!o->no_patch)
		mm_allow_patching(s->platform);
	struct kernel_options ko = { .sched = s->sched, .platform = s->platform, .syscalls = &syscall_table_x86_64, .hostname = o->hostname,
				     .max_pids = o->max_pids, .memory_limit = o->memory_limit, .ncpus = ncpus, .persistent = o->persistent };
	r = kernel_init(&ko, &s->kernel);
	if (r)
		return fail(o, EXIT_BAILEY, "initialising the kernel: %s", strerror(-r));
	syscall_table_prefetch(&syscall_table_x86_64, s->platform);
	uint64_t calls[TRACE_WORDS];
	const char *unknown = syscall_set_parse(o->calls, calls);
	if (unknown)
		return fail(o, EXIT_BAILEY, "there is no system call \"%s\"", unknown);
	if (o->strace_fd >= 0)
		strace_start(s->kernel, o->strace_fd, calls);
	if (o->events_fd >= 0)
		events_start(s->kernel, o->events_fd, o->calls ? calls : NULL);
	register_all(s->kernel);
	r = net_init(s->kernel);
	if (r)
		return fail(o, EXIT_BAILEY, "initialising the network: %s", strerror(-r));
	if (o->tty) {
		r = tty_create_host(s->kernel, isatty(STDIN_FILENO) ? STDIN_FILENO : STDOUT_FILENO, STDOUT_FILENO, &s->tty);
		if (r)
			return fail(o, EXIT_BAILEY, "setting up the terminal: %s", strerror(-r));
		tty_set_termios(s->tty, &o->termios);
	}
	r = jail_close(o, &s->jail, &step);
	if (r)
		return fail(o, EXIT_BAILEY, "%s: %s", step, strerror(-r));
	r = memory_watch_start(watch, s->kernel);
	if (r)
		return fail(o, EXIT_BAILEY, "--memory: %s", strerror(-r));
	struct fiber *boot = fiber_create(s->sched, 0, "boot", boot_fiber, s);
	if (!boot)
		return fail(o, EXIT_BAILEY, "starting the scheduler: out of memory");
	fiber_wake(boot);
	int status = sched_run(s->sched);
	platform_dump_stats(s->platform);
	if (s->failed)
		return s->failed;
	if (s->tty)
		tty_host_flush(s->tty, ktime_mono() + NSEC_PER_SEC);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}
