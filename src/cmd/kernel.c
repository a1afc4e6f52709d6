/* SPDX-License-Identifier: Apache-2.0 */
/* kernel.c: `bailey kernel`: libbailey's helper, not a command for people. It starts a kernel process as the library asks over descriptor 3,
 * hands it the control socket, and stays to end what is left when either of them ends. */
#include "cmd/cmd.h"
#include "sandbox/sandbox.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LIFELINE = 3, TRACE = 4, EVENTS = 5 };

static int fail(struct ctl_status *st, const char *text)
{
	*st = (struct ctl_status){ .type = CTL_FAILED, .status = EXIT_BAILEY, .error = EINVAL };
	snprintf(st->text, sizeof(st->text), "%s", text);
	return -EINVAL;
}

/* Strings are copied: the message may go. */
static int read_options(const struct ctl_msg *m, struct sandbox_options *o, struct ctl_status *st)
{
	struct ctl_reader r = { m->payload, m->head.len, false };
	struct ctl_options c;

	ctl_get(&r, &c, sizeof(c));
	if (r.bad || c.version != CTL_VERSION)
		return fail(st, "the library and its helper are of different versions");
	if (c.log_level > LOG_DEBUG || c.tier < TIER_ROOT || c.tier > TIER_BARE || !ctl_fits(&r, c.nbinds, sizeof(struct ctl_bind_flags)))
		return fail(st, "malformed options");
	o->log_level = (enum log_level)c.log_level;
	o->tier = (enum jail_tier)c.tier;
	o->host_network = c.host_network;
	o->no_patch = c.no_patch;
	o->max_pids = c.max_tasks;
	o->memory_limit = c.memory_limit;
	o->strace_fd = c.trace ? TRACE : -1;
	o->events_fd = c.events ? EVENTS : -1;
	o->ncpus = c.ncpus;
	o->binds = xcalloc(c.nbinds + 1, sizeof(*o->binds));
	for (uint32_t i = 0; i < c.nbinds; i++) {
		struct ctl_bind_flags f;
		ctl_get(&r, &f, sizeof(f));
		o->binds[i].ro = f.read_only;
		o->binds[i].fd = -1;
	}
	const char *rootfs = ctl_get_string(&r), *hostname = ctl_get_string(&r), *calls = ctl_get_string(&r);
	o->rootfs = *rootfs ? xstrdup(rootfs) : NULL;
	o->hostname = *hostname ? xstrdup(hostname) : "bailey";
	o->calls = *calls ? xstrdup(calls) : NULL;
	for (o->nbinds = 0; o->nbinds < c.nbinds; o->nbinds++) {
		o->binds[o->nbinds].source = xstrdup(ctl_get_string(&r));
		o->binds[o->nbinds].target = xstrdup(ctl_get_string(&r));
	}
	if (r.bad || r.left || strlen(o->hostname) > 64)
		return fail(st, "malformed options");
	return 0;
}

static int receive(struct ctl_msg *m)
{
	struct pollfd p = { .fd = LIFELINE, .events = POLLIN };
	int r;

	do {
		if (poll(&p, 1, -1) < 0 && errno != EINTR)
			return -errno;
		r = ctl_recv(LIFELINE, m, true);
	} while (r == -EAGAIN);
	return r;
}

static int answer(const struct ctl_status *st, int fd)
{
	return ctl_send(LIFELINE, CTL_REPLY, 0, 0, st, sizeof(*st), &fd, fd >= 0, false);
}

/* Until the kernel process or the program that uses the library is gone. */
static void wait_end(struct launch *l, pid_t parent)
{
	int pidfd = (int)syscall(SYS_pidfd_open, l->pid, 0);
	/* A child that it forked may hold the lifeline's other end for longer than it lives. */
	int program = (int)syscall(SYS_pidfd_open, parent, 0);
	struct pollfd p[3] = { { .fd = LIFELINE }, { .fd = pidfd, .events = POLLIN }, { .fd = program, .events = POLLIN } };

	while (pidfd >= 0 && getppid() == parent && !p[0].revents && !p[1].revents && !p[2].revents)
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			break;
	kill(l->pid, SIGKILL);
	sandbox_reap(l);
}

int cmd_kernel(int argc, char **argv)
{
	struct sandbox_options o = { .host_uid = geteuid(), .host_gid = getegid() };
	struct ctl_status st = { 0 };
	struct ctl_msg m;
	struct launch l;
	pid_t parent = getppid();
	sigset_t all;

	(void)argv;
	if (argc != 1 || fcntl(LIFELINE, F_GETFD) < 0) {
		fputs("bailey: kernel: this is started by libbailey, not by hand\n", stderr);
		return EXIT_BAILEY;
	}
	/* What the program does with its own signals is nothing to us: only the lifeline ends this. */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	signal(SIGCHLD, SIG_DFL);
	setsid();
	fcntl(LIFELINE, F_SETFD, FD_CLOEXEC);
	prctl(PR_SET_NAME, "bailey-helper", 0, 0, 0);
	int r = receive(&m);
	if (r)
		return EXIT_BAILEY;
	o.persistent = true;
	r = read_options(&m, &o, &st);
	ctl_msg_free(&m);
	log_init(STDERR_FILENO, o.log_level);
	if (r || !sandbox_launch(&o, LIFELINE, &l, &st)) {
		answer(&st, -1);
		return EXIT_BAILEY;
	}
	r = answer(&st, l.control_fd);
	close(l.control_fd); /* the library alone has it now */
	if (r)
		kill(l.pid, SIGKILL);
	wait_end(&l, parent);
	return 0;
}
