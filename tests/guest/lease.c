/* SPDX-License-Identifier: Apache-2.0 */
/* Leases and F_NOTIFY (fcntl(2)). */
#include "harness.h"

#ifndef F_CREATED_QUERY
#define F_CREATED_QUERY 1028
#endif

static volatile sig_atomic_t got, got_fd, got_code;
static void on_sig(int s, siginfo_t *si, void *u)
{
	got++;
	got_fd = si->si_fd;
	got_code = si->si_code;
}
static void catch(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_sig, .sa_flags = SA_SIGINFO };
	sigaction(sig, &sa, NULL);
}
static bool can_lease(int fd) /* natively the directory of the tests may be of a file system without leases */
{
	int r = fcntl(fd, F_SETLEASE, F_RDLCK);
	return !r && !fcntl(fd, F_SETLEASE, F_UNLCK);
}

TEST(lease_rules)
{
	int w = open("f", O_CREAT | O_RDWR, 0600);
	CHECK_ERRNO(fcntl(w, F_SETLEASE, F_RDLCK), EAGAIN); /* open for writing */
	int r = open("f", O_RDONLY);
	CHECK_ERRNO(fcntl(r, F_SETLEASE, F_RDLCK), EAGAIN);
	close(w);
	if (!can_lease(r))
		SKIP("no leases here");
	CHECK_ERRNO(fcntl(r, F_SETLEASE, F_UNLCK), EAGAIN);
	CHECK_ERRNO(fcntl(r, F_SETLEASE, 77), EINVAL);
	CHECK(fcntl(r, F_GETLEASE) == F_UNLCK && !fcntl(r, F_SETLEASE, F_WRLCK) && fcntl(r, F_GETLEASE) == F_WRLCK);
	CHECK(!fcntl(r, F_SETLEASE, F_RDLCK) && fcntl(r, F_GETLEASE) == F_RDLCK);
	int r2 = open("f", O_RDONLY); /* a read lease does not mind */
	CHECK(r2 >= 0 && !fcntl(r2, F_SETLEASE, F_RDLCK));
	CHECK_ERRNO(fcntl(r, F_SETLEASE, F_WRLCK), EAGAIN);
	close(r2);
	CHECK(!fcntl(r, F_SETLEASE, F_WRLCK));
	int d = open(".", O_RDONLY), p[2];
	CHECK_ERRNO(fcntl(d, F_SETLEASE, F_RDLCK), EINVAL);
	CHECK(!pipe(p));
	CHECK_ERRNO(fcntl(p[0], F_SETLEASE, F_RDLCK), EINVAL);
}
TEST(lease_break)
{
	catch(SIGIO);
	catch(SIGUSR1);
	close(open("g", O_CREAT | O_RDWR, 0600));
	int fd = open("g", O_RDONLY);
	if (!can_lease(fd))
		SKIP("no leases here");
	CHECK(!fcntl(fd, F_SETLEASE, F_RDLCK));
	CHECK_ERRNO(open("g", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	CHECK(got == 1 && fcntl(fd, F_GETLEASE) == F_UNLCK);
	CHECK_ERRNO(open("g", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	CHECK(got == 1); /* told once */
	CHECK(!fcntl(fd, F_SETLEASE, F_UNLCK));
	CHECK(!fcntl(fd, F_SETSIG, SIGUSR1) && !fcntl(fd, F_SETLEASE, F_WRLCK));
	got = 0;
	pid_t pid = fork();
	if (!pid) {
		close(fd);
		_exit(open("g", O_RDONLY) < 0); /* waits for the holder */
	}
	while (!got)
		usleep(1000);
	CHECK(got_fd == fd && fcntl(fd, F_GETLEASE) == F_RDLCK);
	CHECK(waitpid(pid, NULL, WNOHANG) == 0);
	CHECK(!fcntl(fd, F_SETLEASE, F_RDLCK));
	int st;
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	got = 0;
	pid = fork();
	if (!pid) {
		close(fd);
		_exit(truncate("g", 7));
	}
	while (!got)
		usleep(1000);
	close(fd); /* the lease goes with it */
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
}
TEST(lease_interrupted)
{
	close(open("h", O_CREAT | O_RDWR, 0600));
	signal(SIGIO, SIG_IGN);
	int fd = open("h", O_RDONLY);
	if (!can_lease(fd))
		SKIP("no leases here");
	CHECK(!fcntl(fd, F_SETLEASE, F_RDLCK));
	pid_t pid = fork();
	if (!pid) {
		struct sigaction sa = { .sa_sigaction = on_sig, .sa_flags = SA_SIGINFO };
		struct itimerval it = { { 0, 0 }, { 0, 50000 } };
		sigaction(SIGALRM, &sa, NULL);
		setitimer(ITIMER_REAL, &it, NULL);
		_exit(!(open("h", O_WRONLY) < 0 && errno == EINTR));
	}
	int st;
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
}
TEST(dnotify)
{
	int sig = SIGRTMIN + 1;
	catch(sig);
	mkdir("d", 0755);
	int fd = open("d", O_RDONLY), f = open("d", O_RDONLY);
	CHECK(!fcntl(fd, F_SETSIG, sig) && !fcntl(fd, F_NOTIFY, DN_CREATE | DN_RENAME | DN_MULTISHOT));
	close(open("d/a", O_CREAT | O_WRONLY, 0644));
	CHECK(got == 1 && got_fd == fd);
	CHECK(!rename("d/a", "d/b") && got >= 2);
	got = 0;
	CHECK(!unlink("d/b") && got == 0);
	CHECK(!fcntl(fd, F_NOTIFY, 0));
	close(open("d/a", O_CREAT | O_WRONLY, 0644));
	CHECK(got == 0);
	CHECK(!fcntl(f, F_SETSIG, sig) && !fcntl(f, F_NOTIFY, DN_ATTRIB)); /* once */
	CHECK(!chmod("d/a", 0600) && got == 1 && got_fd == f && !chmod("d/a", 0644) && got == 1);
	int r = open("d/a", O_RDONLY);
	CHECK_ERRNO(fcntl(r, F_NOTIFY, DN_CREATE), ENOTDIR);
	CHECK(!fcntl(f, F_NOTIFY, DN_DELETE | DN_MULTISHOT));
	close(f);
	CHECK(!unlink("d/a") && got == 1);
}
TEST(created_query)
{
	int fd = open("q", O_CREAT | O_RDWR, 0600), r = fcntl(fd, F_CREATED_QUERY);
	if (r < 0)
		SKIP("an older kernel");
	CHECK(r == 1);
	CHECK(fcntl(open("q", O_CREAT | O_RDWR, 0600), F_CREATED_QUERY) == 0);
}
