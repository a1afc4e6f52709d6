/* SPDX-License-Identifier: Apache-2.0 */
/* launch.c: starting a kernel process in the best jail that the host allows, and what its launcher has to do when it ends. */
#include "sandbox/sandbox.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Tier 3: stubs that outlived the kernel process have become our children. */
static void kill_orphans(void)
{
	char path[64];
	int pid, n;

	for (int round = 0; round < 100; round++) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
		FILE *f = fopen(path, "re");
		n = 0;
		while (f && fscanf(f, "%d", &pid) == 1) {
			kill(pid, SIGKILL);
			n++;
		}
		if (f)
			fclose(f);
		while (waitpid(-1, NULL, __WALL | (n ? 0 : WNOHANG)) > 0)
			;
		if (!n)
			return;
	}
}

int sandbox_reap(const struct launch *l)
{
	int status = 0;

	while (waitpid(l->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (l->tier == TIER_BARE)
		kill_orphans();
	return status;
}

/* What the kernel process says of its start. */
static void wait_status(int ctl, int lifeline, struct ctl_status *st)
{
	struct pollfd p[2] = { { .fd = ctl, .events = POLLIN }, { .fd = lifeline } };
	ssize_t n;

	for (;;) {
		if (poll(p, lifeline >= 0 ? 2 : 1, -1) < 0)
			continue;
		n = recv(ctl, st, sizeof(*st), MSG_DONTWAIT);
		if (n == sizeof(*st))
			break;
		if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNRESET) && !(p[1].revents & POLLHUP))
			continue;
		*st = (struct ctl_status){ .type = CTL_FAILED, .status = EXIT_BAILEY, .text = "the kernel process ended before it was up" };
		break;
	}
	st->text[sizeof(st->text) - 1] = 0;
}

/* One attempt: CTL_READY, CTL_FAILED or CTL_RETRY in st. */
static void try_tier(struct sandbox_options *o, int lifeline, struct launch *l, struct ctl_status *st)
{
	int sv[2];

	*st = (struct ctl_status){ .type = CTL_FAILED, .status = EXIT_BAILEY };
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv)) {
		st->error = errno;
		snprintf(st->text, sizeof(st->text), "creating the control socket: %s", strerror(errno));
		return;
	}
	*l = (struct launch){ .control_fd = sv[0], .pid = jail_fork(o->tier), .tier = o->tier };
	if (l->pid == 0) {
		close(sv[0]);
		o->control_fd = sv[1];
		_exit(sandbox_run(o));
	}
	close(sv[1]);
	if (l->pid < 0) {
		close(sv[0]);
		st->error = -l->pid;
		if (o->tier != TIER_BARE)
			st->type = CTL_RETRY;
		snprintf(st->text, sizeof(st->text), o->tier != TIER_BARE ? "%s" : "starting the kernel process: %s", strerror(-l->pid));
		return;
	}
	wait_status(sv[0], lifeline, st);
	if (st->type == CTL_READY)
		return;
	close(sv[0]);
	kill(l->pid, SIGKILL);
	int status = sandbox_reap(l);
	if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL)
		snprintf(st->text, sizeof(st->text), "the kernel process was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
}

bool sandbox_launch(struct sandbox_options *o, int lifeline, struct launch *l, struct ctl_status *st)
{
	static char reason[1024];

	reason[0] = 0;
	o->tier_reason = reason;
	for (;; o->tier++) {
		try_tier(o, lifeline, l, st);
		if (st->type == CTL_READY)
			return true;
		if (st->type != CTL_RETRY || o->tier >= TIER_BARE)
			return false;
		size_t n = strlen(reason);
		snprintf(reason + n, sizeof(reason) - n, "%stier %d: %s", n ? "; " : "", o->tier, st->text);
	}
}
