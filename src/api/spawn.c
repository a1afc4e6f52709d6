/* SPDX-License-Identifier: Apache-2.0 */
/* spawn.c: starting the helper, from a program with threads and habits of its own. As posix_spawn() does it, with a pidfd from the start:
 * whoever reaps our child by accident, its number is never used again for something else. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "api/api.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct spawn { const char *path; int null, log, lifeline, trace, events; volatile int error; };

/* In the child, which shares our memory: system calls and nothing else. */
static int child(void *arg)
{
	struct spawn *s = arg;
	char *argv[] = { (char *)"bailey", (char *)"kernel", NULL }, *envp[] = { NULL };

	if (dup2(s->null, 0) < 0 || dup2(s->null, 1) < 0 || dup2(s->log, 2) < 0 || dup2(s->lifeline, 3) < 0 ||
	    dup2(s->trace, 4) < 0 || dup2(s->events, 5) < 0) {
		s->error = errno;
		_exit(127);
	}
	syscall(SYS_close_range, 6, ~0U, 0);
	execve(s->path, argv, envp);
	s->error = errno;
	_exit(127);
}

#define STACK (64 << 10)

int api_spawn(const char *path, int lifeline, int log, int trace, int events, pid_t *pid, int *pidfd)
{
	struct spawn s = { .path = path, .null = -1, .log = -1, .lifeline = -1, .trace = -1, .events = -1 };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), r = 0, state;
	char *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
	sigset_t all, old;

	/* Above the numbers that the child puts them to. */
	if (null >= 0)
		s.null = fcntl(null, F_DUPFD_CLOEXEC, 10);
	s.log = fcntl(log >= 0 ? log : null, F_DUPFD_CLOEXEC, 10);
	s.lifeline = fcntl(lifeline, F_DUPFD_CLOEXEC, 10);
	s.trace = fcntl(trace >= 0 ? trace : null, F_DUPFD_CLOEXEC, 10);
	s.events = fcntl(events >= 0 ? events : null, F_DUPFD_CLOEXEC, 10);
	if (stack == MAP_FAILED || s.null < 0 || s.log < 0 || s.lifeline < 0 || s.trace < 0 || s.events < 0) {
		r = errno ? -errno : -EMFILE;
	} else {
		/* No handler of the program may run in the child. */
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
		*pid = clone(child, stack + STACK, CLONE_VM | CLONE_VFORK | CLONE_PIDFD | SIGCHLD, &s, pidfd);
		r = *pid < 0 ? -errno : -s.error;
		pthread_setcancelstate(state, NULL);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
		if (*pid >= 0 && r) {
			siginfo_t si;
			waitid(P_PIDFD, (id_t)*pidfd, &si, WEXITED);
			close(*pidfd);
		}
	}
	if (stack != MAP_FAILED)
		munmap(stack, STACK);
	int fds[] = { null, s.null, s.log, s.lifeline, s.trace, s.events };
	for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return r;
}
