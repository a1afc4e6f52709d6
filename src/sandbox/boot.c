/* SPDX-License-Identifier: Apache-2.0 */
/* boot.c: from a bare process to a running guest, in one order: jail, platform, kernel, file systems, closed jail, first process. */
#include "mm/mm.h"
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
#include "kernel/tty.h"
#include "net/socket.h"
#include "syscalls/syscalls.h"
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct sandbox {
	struct sandbox_options *o;
	struct jail jail;
	struct sched *sched;
	struct platform *platform;
	struct kernel *kernel;
	struct tty *tty;
	struct host_poll control;
	struct wait_queue control_wq;
	int failed; /* exit status of a failed start */
};

/* Tells the command line, which prints it: its one line a failure. */
static int fail(const struct sandbox_options *o, int status, const char *fmt, ...)
{
	struct ctl_status m = { .type = CTL_FAILED, .status = status };
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(m.text, sizeof(m.text), fmt, ap);
	va_end(ap);
	if (send(o->control_fd, &m, sizeof(m), MSG_NOSIGNAL) < 0)
		log_error("%s", m.text);
	return status;
}

/* ---- the control socket ---- */

static void control_fiber(void *arg)
{
	struct sandbox *s = arg;
	struct ctl_msg m;

	for (;;) {
		ssize_t n = recv(s->o->control_fd, &m, sizeof(m), MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
			wait_event(&s->control_wq, host_poll_now(s->o->control_fd, EPOLLIN), PARK_UNINTERRUPTIBLE, KTIME_MAX);
			continue;
		}
		if (n <= 0) { /* nobody is there to take the status */
			sched_stop(s->sched, SIGKILL);
			return;
		}
		if (n != sizeof(m))
			continue;
		if (m.type == CTL_SIGNAL && m.a > 0 && m.a <= 64)
			kernel_send_external_signal(s->kernel, m.a, m.b);
		else if (m.type == CTL_WINSIZE && s->tty)
			tty_set_winsize(s->tty, (unsigned)m.a, (unsigned)m.b);
	}
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

static int mount_bind(struct kernel *k, const struct sandbox_bind *b)
{
	static const char *const aside = "/.bailey-bind"; /* where a tree is while one file of it is bound */
	struct super_block *sb;
	struct path p;
	int r = host_fs_create(k, b->fd, b->ro, b->source, &sb);

	if (r)
		return r;
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

static int setup_root(struct sandbox *s, struct mount_namespace **ns)
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
	*ns = mount_ns_create(root, 0);
	super_put(root);
	k->root_mnt_ns = *ns;

	struct fiber_context *ctx = fiber_context();
	struct path p;
	ctx->cred = cred_create_root(k->root_user_ns);
	mount_ns_root(*ns, &p);
	ctx->fs = fs_context_create(&p);
	path_put(&p);

	static const struct { const char *at, *type; unsigned long flags; const char *data; } mounts[] = {
		{ "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL },
		{ "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL },
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
	for (unsigned i = 0; i < o->nbinds; i++) {
		struct sandbox_bind *b = &o->binds[i];
		r = mount_bind(k, b);
		if (r)
			return fail(o, EXIT_BAILEY, "--bind %s:%s: %s", b->source, b->target, strerror(-r)), r;
	}
	return 0;
}

/* ---- the first process ---- */

static int can_exec(const char *path)
{
	struct path p;
	struct kstat st;
	int r = path_lookup(AT_FDCWD_, path, LOOKUP_FOLLOW, &p);

	if (r)
		return r;
	r = vfs_stat(&p, &st);
	if (!r && !S_ISREG(st.mode))
		r = -EACCES;
	struct file *f;
	if (!r && !(r = vfs_open_path(&p, O_PATH, &f))) {
		r = inode_permission(f->inode, MAY_EXEC);
		file_put(f);
	}
	path_put(&p);
	return r;
}

/* CMD as a shell would look it up: 0 and an owned path, or the errno of the best candidate. */
static int find_command(const struct sandbox_options *o, char **out)
{
	const char *cmd = o->argv[0], *path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
	int best = -ENOENT;

	if (strchr(cmd, '/')) {
		*out = xstrdup(cmd);
		return can_exec(cmd);
	}
	for (char **e = o->envv; *e; e++)
		if (!strncmp(*e, "PATH=", 5))
			path = *e + 5;
	while (*cmd) {
		size_t n = strcspn(path, ":");
		char *name = n ? xasprintf("%.*s/%s", (int)n, path, cmd) : xasprintf("./%s", cmd);
		int r = can_exec(name);
		if (!r) {
			*out = name;
			return 0;
		}
		free(name);
		if (r != -ENOENT && r != -ENOTDIR)
			best = r;
		if (!path[n])
			break;
		path += n + 1;
	}
	return best;
}

/* Descriptors 0 to 2; the host's own stay open for the log. */
static int setup_stdio(struct sandbox *s, struct fd_table *fdt)
{
	for (int fd = 0; fd < 3; fd++) {
		struct file *f = NULL;
		int r, copy;

		if (s->o->closed_fds >> fd & 1 || fcntl(fd, F_GETFD) < 0)
			continue; /* closed for us, closed for the guest */
		if (s->tty && isatty(fd)) {
			r = tty_file(s->tty, O_RDWR, &f);
		} else {
			copy = fcntl(fd, F_DUPFD_CLOEXEC, 10);
			r = copy < 0 ? -errno : host_fd_file(s->kernel, copy, &f);
			if (r && copy >= 0)
				close(copy);
		}
		if (r)
			return fail(s->o, EXIT_BAILEY, "handing descriptor %d to the guest: %s", fd, strerror(-r)), r;
		r = fd_install_from(fdt, f, fd, 3, false);
		file_put(f);
		if (r < 0)
			return r;
	}
	return 0;
}

static struct cred *first_cred(const struct sandbox_options *o, struct kernel *k)
{
	struct cred *c = cred_create_root(k->root_user_ns);

	c->uid = c->euid = c->suid = c->fsuid = o->uid;
	c->gid = c->egid = c->sgid = c->fsgid = o->gid;
	if (o->uid)
		c->permitted = c->effective = c->inheritable = c->ambient = 0;
	if (o->ngroups) {
		c->groups = xcalloc(o->ngroups, sizeof(*c->groups));
		memcpy(c->groups, o->groups, o->ngroups * sizeof(*c->groups));
		c->ngroups = o->ngroups;
	}
	return c;
}

static int start_guest(struct sandbox *s)
{
	struct sandbox_options *o = s->o;
	struct kernel *k = s->kernel;
	struct mount_namespace *ns;
	struct fiber_context *ctx = fiber_context();
	int r = setup_root(s, &ns);

	if (r)
		return EXIT_BAILEY;
	struct cred *root = ctx->cred;
	struct cred *c = first_cred(o, k);
	struct fd_table *fdt = fd_table_create();
	if (setup_stdio(s, fdt))
		return EXIT_BAILEY;
	ctx->cred = c;
	/* Without --cwd the host's directory, if the guest has it. */
	const char *cwd = o->cwd ? o->cwd : "/";
	struct path p;
	r = path_lookup(AT_FDCWD_, cwd, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &p);
	if (r && o->cwd_must_exist)
		return fail(o, EXIT_BAILEY, "--cwd %s: %s", cwd, strerror(-r));
	if (!r) {
		mutex_lock(&ctx->fs->lock);
		struct path old = ctx->fs->cwd;
		ctx->fs->cwd = p;
		mutex_unlock(&ctx->fs->lock);
		path_put(&old);
	} else {
		cwd = "/";
	}
	char *cmd = NULL;
	r = find_command(o, &cmd);
	if (r)
		return fail(o, r == -ENOENT || r == -ENOTDIR ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC, "%s: %s", o->argv[0],
			    r == -ENOENT && !strchr(o->argv[0], '/') ? "command not found" : strerror(-r));
	ctx->cred = root;
	struct process_options po = {
		.filename = cmd, .argv = o->argv, .envv = o->envv, .cwd = cwd, .cred = c, .fdt = fdt, .mnt_ns = ns, .foreground_tty = s->tty != NULL,
		.ignored = o->ignored, .umask = o->umask,
	};
	struct thread_group *tg;
	r = kernel_create_process(k, &po, &tg);
	if (r)
		return fail(o, r == -ENOENT ? EXIT_NOT_FOUND : r == -EACCES || r == -ENOEXEC || r == -EPERM || r == -ELIBBAD ? EXIT_CANNOT_EXEC : EXIT_BAILEY,
			    "%s: %s%s", o->argv[0], strerror(-r), r == -ENOENT ? " (its interpreter is not in the root file system?)" : "");
	free(cmd);
	struct ctl_status m = { .type = CTL_READY };
	(void)!send(o->control_fd, &m, sizeof(m), MSG_NOSIGNAL);
	kernel_start(k);
	return 0;
}

static void boot_fiber(void *arg)
{
	struct sandbox *s = arg;

	s->failed = start_guest(s);
	if (s->failed) {
		sched_stop(s->sched, 0);
		return;
	}
	/* Not before there is a process for the signals that wait in the socket. */
	wait_queue_init(&s->control_wq);
	if (host_poll_add(&s->control, s->sched, s->o->control_fd, &s->control_wq) == 0)
		fiber_wake(fiber_create(s->sched, 0, "control", control_fiber, s));
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
	mqueue_register();
	pipe_init();
	epoll_init();
	tty_init(k);
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
		struct ctl_status m = { .type = CTL_RETRY };
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
	proc_read_host();
	net_open_host();
	struct watch *watch;
	r = memory_watch_prepare(o->memory_limit, &watch);
	if (r)
		return fail(o, EXIT_BAILEY, "--memory: %s", strerror(-r));
	s->sched = sched_create(1);
	struct platform_options po = { .sched = s->sched, .no_patch = o->no_patch, .zygote_fd = -1 };
	r = platform_create(&po, &s->platform);
	if (r)
		return fail(o, EXIT_BAILEY, "starting the platform: %s (see `bailey doctor`)", strerror(-r));
	if (!o->no_patch)
		mm_allow_patching(s->platform);
	struct kernel_options ko = { .sched = s->sched, .platform = s->platform, .syscalls = &syscall_table_x86_64, .hostname = o->hostname,
				     .max_pids = o->max_pids, .memory_limit = o->memory_limit, .strace_fd = o->strace_fd };
	r = kernel_init(&ko, &s->kernel);
	if (r)
		return fail(o, EXIT_BAILEY, "initialising the kernel: %s", strerror(-r));
	syscall_table_prefetch(&syscall_table_x86_64, s->platform);
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
