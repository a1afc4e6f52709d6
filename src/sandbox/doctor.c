/* SPDX-License-Identifier: Apache-2.0 */
/* doctor.c: `bailey doctor`: what this host offers, a line each. */
#include "sandbox/sandbox.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#endif

static bool missing;
static void line(bool ok, bool needed, const char *what, const char *why)
{
	printf("%-4s %s%s%s%s\n", ok ? "ok" : needed ? "FAIL" : "-", what, why && why[0] ? ": " : "", why ? why : "",
	       ok || !needed ? "" : " (needed)");
	if (!ok && needed)
		missing = true;
}

/* Runs fn in a child, so that what it changes stays there: its errno, 0 if it worked. */
static int in_child(int (*fn)(void))
{
	int p[2], err = -1;

	fflush(stdout);
	if (pipe(p))
		return errno;
	pid_t pid = fork();
	if (!pid) {
		err = fn();
		(void)!write(p[1], &err, sizeof(err));
		_exit(0);
	}
	close(p[1]);
	if (pid < 0 || read(p[0], &err, sizeof(err)) != sizeof(err))
		err = EIO;
	close(p[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return err;
}

static int listener(unsigned long flags)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { 1, &allow };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &prog);
}
static int try_notify(void) { return listener(0) < 0 ? errno : 0; }
static int try_killable(void) { return listener(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) < 0 ? errno : 0; }
static int try_sync_wake(void)
{
	int fd = listener(0);

	return fd < 0 || ioctl(fd, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1UL) ? errno : 0;
}
static int try_root_ns(void) { return unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) ? errno : 0; }
static int try_userns(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWPID) || unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) ? errno : 0;
}
static int try_memfd(void) { return memfd_create("doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING) < 0 ? errno : 0; }
static int try_vm_readv(void)
{
	static int word = 42;
	int got = 0;
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	struct iovec l = { &got, sizeof(got) }, r = { &word, sizeof(word) };
	ssize_t n = process_vm_readv(pid, &l, 1, &r, 1, 0);
	int e = n == sizeof(got) && got == 42 ? 0 : n < 0 ? errno : EIO;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return e;
}
static int try_pidfd(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd < 0 || syscall(SYS_pidfd_getfd, fd, 0, 0) < 0 ? errno : 0;
}
static int try_open_tree(void)
{
	if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
		return errno;
	return syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */ | O_CLOEXEC | 0x8000 /* AT_RECURSIVE */) < 0 ? errno : 0;
}

int sandbox_doctor(void)
{
	static const struct { int (*fn)(void); bool needed; const char *what, *without; } checks[] = {
		{ try_notify, true, "seccomp user notification (Linux 5.0)", NULL },
		{ try_killable, false, "seccomp notifications that only a kill interrupts (Linux 5.19)", "a stray signal can delay a call" },
		{ try_sync_wake, false, "synchronous notification wake-up (Linux 6.6)", "system calls are slower" },
		{ try_memfd, true, "memfd with seals", NULL },
		{ try_vm_readv, true, "process_vm_readv of a child", "Yama or a container's filter forbids it" },
		{ try_pidfd, true, "pidfd_open and pidfd_getfd (Linux 5.6)", NULL },
		{ try_open_tree, false, "open_tree of a detached tree (Linux 5.2)", "needed by the namespace jails" },
	};
	struct utsname u;

	uname(&u);
	printf("bailey " BAILEY_VERSION " on Linux %s, %s\n", u.release, u.machine);
	line(!strcmp(u.machine, "x86_64"), true, "x86-64", NULL);
	for (unsigned i = 0; i < ARRAY_SIZE(checks); i++) {
		int e = in_child(checks[i].fn);
		char why[200] = "";
		if (e)
			snprintf(why, sizeof(why), "%s%s%s", strerror(e), checks[i].without ? "; " : "", checks[i].without ? checks[i].without : "");
		line(!e, checks[i].needed, checks[i].what, why);
	}
	line(getauxval(AT_HWCAP2) & 2, false, "FSGSBASE instructions", getauxval(AT_HWCAP2) & 2 ? NULL : "no patched call sites");
	line(sysconf(_SC_NPROCESSORS_ONLN) > 1, false, "more than one CPU", sysconf(_SC_NPROCESSORS_ONLN) > 1 ? NULL : "no polling");
	int root = in_child(try_root_ns), user = root ? in_child(try_userns) : 0;
	if (!root)
		printf("jail tier 1: private mount, PID, network, IPC and UTS namespaces\n");
	else if (!user)
		printf("jail tier 2: the same through a user namespace (by privilege: %s)\n", strerror(root));
	else
		printf("jail tier 3: the seccomp filter alone (namespaces by privilege: %s; through a user namespace: %s)\n", strerror(root), strerror(user));
	return missing ? EXIT_BAILEY : 0;
}
