/* SPDX-License-Identifier: Apache-2.0 */
/* workers.c: processes that were made by exec, so that a kernel with several workers may have each on another, at everything that they share. */
#include "harness.h"
#include <dirent.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#define N 4 /* processes */
#define SHARED_FD 100
#define FD 101 /* first descriptor of a test's own */

struct shared {
	_Atomic int arrived, go, stop;
	_Atomic int word, waiters, count[16];
	pid_t pid[N];
	int id;
	char dir[64];
	pthread_mutex_t pi, robust;
	long plain;
};
static struct shared *S;

static void map_shared(void)
{
	S = mmap(NULL, sizeof(*S), PROT_READ | PROT_WRITE, MAP_SHARED, SHARED_FD, 0);
	CHECK(S != MAP_FAILED);
}

static void prepare(void)
{
	int fd = memfd_create("shared", 0);
	CHECK(fd >= 0 && !ftruncate(fd, sizeof(*S)) && dup2(fd, SHARED_FD) == SHARED_FD);
	map_shared();
	snprintf(S->dir, sizeof(S->dir), "/tmp/workers.%d", getpid());
}

static void start_one(const char *role, int i)
{
	pid_t p = fork();
	char arg[64];
	CHECK(p >= 0);
	if (p) {
		S->pid[i] = p;
		return;
	}
	snprintf(arg, sizeof(arg), "%s:%d", role, i);
	setenv("ROLE", arg, 1);
	execl("/proc/self/exe", "workers", NULL);
	_exit(99);
}

/* Starts them, and says go when all are there. */
static void start(const char *role)
{
	for (int i = 0; i < N; i++)
		start_one(role, i);
	while (S->arrived < N)
		usleep(200);
	S->go = 1;
}

static void finish(void)
{
	for (int i = 0; i < N; i++) {
		int st = -1;
		CHECK(waitpid(S->pid[i], &st, 0) == S->pid[i]);
		CHECK_EQ(st, 0);
	}
}

static void go(void)
{
	S->arrived++;
	while (!S->go)
		usleep(50);
}

static long futex(_Atomic int *w, int op, int v, const struct timespec *ts) { return syscall(SYS_futex, w, op, v, ts, NULL, 0); }

/* ---- a ring of pipes ---- */

static void ring_role(int i)
{
	int v;
	go();
	if (!i)
		for (int k = 0; k < 3; k++)
			CHECK(write(FD + 1, &k, 4) == 4);
	for (int n = 0; n < 300; n++) {
		CHECK(read(FD + 2 * i, &v, 4) == 4);
		v += N;
		CHECK(write(FD + 2 * ((i + 1) % N) + 1, &v, 4) == 4);
	}
}

TEST_TIMEOUT(ring, 60)
{
	prepare();
	for (int i = 0; i < N; i++) {
		int p[2];
		CHECK(!pipe(p) && dup2(p[0], FD + 2 * i) > 0 && dup2(p[1], FD + 2 * i + 1) > 0 && !close(p[0]) && !close(p[1]));
	}
	start("ring");
	finish();
}

/* ---- futexes in shared memory ---- */

static void futex_role(int i)
{
	go();
	for (int n = 0; n < 400; n++) {
		int mine = n * N + i;
		for (int v; (v = S->word) != mine;) {
			struct timespec ts = { 20, 0 };
			CHECK(!futex(&S->word, FUTEX_WAIT, v, n & 1 ? &ts : NULL) || errno == EAGAIN || errno == EINTR);
		}
		S->word = mine + 1;
		futex(&S->word, FUTEX_WAKE, INT32_MAX, NULL);
	}
	for (int n = 0; n < 300; n++) {
		CHECK(!pthread_mutex_lock(&S->pi));
		S->plain++;
		CHECK(!pthread_mutex_unlock(&S->pi));
	}
	for (int n = 0; n < 30; n++) {
		pid_t p = fork();
		if (!p) {
			int r = pthread_mutex_lock(&S->robust);
			if (r == EOWNERDEAD)
				pthread_mutex_consistent(&S->robust);
			else
				CHECK(!r);
			S->plain++;
			_exit(0); /* with the lock */
		}
		int st;
		CHECK(waitpid(p, &st, 0) == p && !st);
	}
}

TEST_TIMEOUT(futexes, 60)
{
	pthread_mutexattr_t a;
	prepare();
	pthread_mutexattr_init(&a);
	pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT);
	CHECK(!pthread_mutex_init(&S->pi, &a));
	pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_NONE);
	pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
	CHECK(!pthread_mutex_init(&S->robust, &a));
	start("futex");
	finish();
	CHECK_EQ(S->plain, N * 330);
}

/* ---- signals ---- */

static volatile sig_atomic_t got_usr, got_rt;
static void on_usr(int sig) { got_usr++; }
static void on_rt(int sig, siginfo_t *si, void *c) { got_rt++; }

static void signal_role(int i)
{
	enum { EACH = 60 };
	signal(SIGUSR1, on_usr);
	sigaction(SIGRTMIN, &(struct sigaction){ .sa_sigaction = on_rt, .sa_flags = SA_SIGINFO }, NULL);
	go();
	for (int n = 0; n < EACH; n++)
		for (int k = 0; k < N; k++) {
			union sigval v = { .sival_int = n };
			if (k == i)
				continue;
			CHECK(!kill(S->pid[k], SIGUSR1));
			while (sigqueue(S->pid[k], SIGRTMIN, v))
				CHECK(errno == EAGAIN && !usleep(100));
			(void)getppid();
		}
	S->count[0]++;
	while (got_rt < EACH * (N - 1) || S->count[0] < N)
		usleep(500);
	CHECK(got_rt == EACH * (N - 1) && got_usr > 0);
	/* and all the same with a mask, by sigwaitinfo */
	sigset_t set;
	siginfo_t si;
	int sum = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	S->count[1]++;
	while (S->count[1] < N)
		usleep(100);
	for (int n = 0; n < EACH; n++)
		for (int k = 0; k < N; k++)
			if (k != i)
				while (sigqueue(S->pid[k], SIGRTMIN + 1, (union sigval){ .sival_int = 1 }))
					CHECK(errno == EAGAIN && !usleep(100));
	while (sum < EACH * (N - 1)) {
		int r = sigwaitinfo(&set, &si);
		CHECK(r == SIGRTMIN + 1 || errno == EINTR);
		sum += r > 0;
	}
	S->count[2]++;
	while (S->count[2] < N)
		usleep(100);
}

TEST_TIMEOUT(signals, 60)
{
	prepare();
	start("signal");
	finish();
}

/* ---- names, appending, record locks ---- */

static void names_role(int i)
{
	char a[128], b[128], buf[64];
	struct stat st;
	int log, counter, won = 0, same;
	go();
	CHECK(!chdir(S->dir));
	log = open("log", O_WRONLY | O_APPEND | O_CREAT, 0600);
	counter = open("counter", O_RDWR | O_CREAT, 0600);
	close(open("linked", O_WRONLY | O_CREAT, 0600));
	CHECK(log >= 0 && counter >= 0);
	for (int n = 0; n < 60; n++) {
		snprintf(a, sizeof(a), "excl.%d", n);
		int fd = open(a, O_CREAT | O_EXCL | O_WRONLY, 0600);
		CHECK(fd >= 0 || errno == EEXIST);
		if (fd >= 0)
			won++, close(fd);
		snprintf(buf, sizeof(buf), "%d %05d..............\n", i, n);
		CHECK(write(log, buf, 22) == 22);
		/* all at the same names */
		snprintf(a, sizeof(a), "n%d", n % 5);
		snprintf(b, sizeof(b), "n%d", (n + i) % 5);
		fd = open(a, O_CREAT | O_RDWR, 0600);
		CHECK(fd >= 0 || errno == ENOENT);
		if (fd >= 0) {
			CHECK(write(fd, a, 2) == 2 && !fstat(fd, &st) && !ftruncate(fd, 0));
			close(fd);
		}
		CHECK(!rename(a, b) || errno == ENOENT);
		CHECK(!stat(b, &st) || errno == ENOENT);
		CHECK(!unlink(b) || errno == ENOENT);
		CHECK(!link("linked", a) || errno == EEXIST);
		snprintf(a, sizeof(a), "d%d", n % 3);
		CHECK(!mkdir(a, 0700) || errno == EEXIST);
		snprintf(b, sizeof(b), "%s/f%d", a, i);
		fd = open(b, O_CREAT | O_WRONLY, 0600);
		CHECK(fd >= 0 || errno == ENOENT);
		if (fd >= 0)
			close(fd);
		CHECK(!unlink(b) || errno == ENOENT);
		CHECK(!rmdir(a) || errno == ENOENT || errno == ENOTEMPTY);
		DIR *d = opendir(".");
		CHECK(d);
		while (readdir(d))
			;
		closedir(d);
		/* a number under a lock */
		struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1 };
		if (n & 1)
			CHECK(!fcntl(counter, F_SETLKW, &fl));
		else
			CHECK(!flock(log, LOCK_EX));
		same = 0;
		CHECK(pread(counter, &same, 4, n & 1 ? 0 : 4) >= 0);
		same++;
		CHECK(pwrite(counter, &same, 4, n & 1 ? 0 : 4) == 4);
		fl.l_type = F_UNLCK;
		if (n & 1)
			CHECK(!fcntl(counter, F_SETLK, &fl));
		else
			CHECK(!flock(log, LOCK_UN));
	}
	S->count[0] += won;
}

static void remove_dir(void)
{
	char cmd[128];
	snprintf(cmd, sizeof(cmd), "rm -rf %s", S->dir);
	CHECK(!system(cmd));
}

TEST_TIMEOUT(names, 60)
{
	char path[128], line[24];
	int v[2], fd;
	prepare();
	CHECK(!mkdir(S->dir, 0700));
	start("names");
	finish();
	CHECK_EQ(S->count[0], 60);
	snprintf(path, sizeof(path), "%s/counter", S->dir);
	fd = open(path, O_RDONLY);
	CHECK(read(fd, v, 8) == 8 && v[0] == N * 30 && v[1] == N * 30);
	snprintf(path, sizeof(path), "%s/log", S->dir);
	FILE *f = fopen(path, "r");
	int lines = 0;
	while (fgets(line, sizeof(line), f)) {
		CHECK(strlen(line) == 22 && line[21] == '\n');
		lines++;
	}
	CHECK_EQ(lines, N * 60);
	remove_dir();
}

/* ---- the process tree: children, groups, proc, exec again and again ---- */

static void tree_role(int i)
{
	go();
	for (int n = 0; n < 25; n++) {
		pid_t p = fork(), q = fork();
		int st;
		if (!q) {
			if (n % 3 == 0)
				pause();
			if (n % 3 == 1)
				execl("/bin/true", "true", NULL);
			_exit(0);
		}
		if (!p) {
			setpgid(0, 0);
			kill(q, SIGKILL);
			CHECK(waitpid(q, &st, 0) == q);
			_exit(7);
		}
		if (n % 3 == 0)
			kill(q, SIGKILL);
		CHECK(waitpid(q, &st, 0) == q && waitpid(p, &st, 0) == p && WEXITSTATUS(st) == 7);
		char path[64], buf[4096];
		static const char *const files[] = { "stat", "status", "maps", "cmdline", "limits", "comm", "wchan" };
		for (int k = 0; k < N; k++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", S->pid[k], files[n % 7]);
			int fd = open(path, O_RDONLY);
			if (fd >= 0) {
				while (read(fd, buf, sizeof(buf)) > 0)
					;
				close(fd);
			}
			snprintf(path, sizeof(path), "/proc/%d/exe", S->pid[k]);
			(void)!readlink(path, buf, sizeof(buf));
			getpgid(S->pid[k]);
			getsid(S->pid[k]);
			getpriority(PRIO_PROCESS, S->pid[k]);
			kill(S->pid[k], 0);
			struct rlimit rl;
			prlimit(S->pid[k], RLIMIT_NOFILE, NULL, &rl);
			clockid_t c;
			struct timespec ts;
			if (!clock_getcpuclockid(S->pid[k], &c))
				clock_gettime(c, &ts);
		}
		DIR *d = opendir("/proc");
		while (readdir(d))
			;
		closedir(d);
	}
}

TEST_TIMEOUT(tree, 60)
{
	prepare();
	start("tree");
	finish();
}

static void again_role(int i)
{
	const char *left = getenv("LEFT");
	char buf[16];
	int n = left ? atoi(left) : 12;
	if (!left)
		go();
	for (int k = 0; k < N; k++)
		kill(S->pid[k], SIGCONT);
	if (!n)
		return;
	snprintf(buf, sizeof(buf), "%d", n - 1);
	setenv("LEFT", buf, 1);
	execl("/proc/self/exe", "workers", NULL);
	_exit(98);
}

TEST_TIMEOUT(exec_again, 60)
{
	prepare();
	start("again");
	finish();
}

/* ---- sockets: all accept from one listener, and connect to it; descriptors are passed round ---- */

static struct sockaddr_un unix_name(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	snprintf(a.sun_path + 1, sizeof(a.sun_path) - 1, "%s", S->dir);
	return a;
}

static void *acceptor(void *arg)
{
	int l = (int)(long)arg;
	for (;;) {
		char b[64];
		ssize_t n;
		int s = accept(l, NULL, NULL);
		CHECK(s >= 0);
		while ((n = read(s, b, sizeof(b))) > 0)
			CHECK(write(s, b, n) == n);
		close(s);
		if (n == 0 && S->stop)
			return NULL;
	}
}

static void socket_role(int i)
{
	struct sockaddr_un u = unix_name();
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = S->id, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	pthread_t t[2];
	go();
	for (long k = 0; k < 2; k++)
		CHECK(!pthread_create(&t[k], NULL, acceptor, (void *)(FD + k)));
	for (int n = 0; n < 40; n++) {
		int tcp = n & 1, s = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM, 0);
		char b[64];
		CHECK(s >= 0);
		CHECK(!connect(s, tcp ? (void *)&in : (void *)&u, tcp ? sizeof(in) : sizeof(u)));
		for (int k = 0; k < 5; k++) {
			CHECK(write(s, "0123456789", 10 - k) == 10 - k);
			CHECK(recv(s, b, 10 - k, MSG_WAITALL) == 10 - k && !memcmp(b, "0123456789", 10 - k));
		}
		if (n % 8 < 2)
			shutdown(s, SHUT_WR);
		close(s);
	}
	/* all are through: each sends the acceptors one last connection until everybody's have gone */
	if (++S->count[0] == N)
		S->stop = 1;
	while (!S->stop)
		usleep(500);
	while (S->count[1] < 2 * N) {
		for (int tcp = 0; tcp < 2; tcp++) {
			int s = socket(tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
			(void)!connect(s, tcp ? (void *)&in : (void *)&u, tcp ? sizeof(in) : sizeof(u));
			close(s);
		}
		for (int k = 0; k < 2; k++)
			if (t[k] && !pthread_tryjoin_np(t[k], NULL)) {
				S->count[1]++;
				t[k] = 0;
			}
		usleep(300);
	}
}

TEST_TIMEOUT(sockets, 60)
{
	struct sockaddr_un u;
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(in);
	prepare();
	u = unix_name();
	int l = socket(AF_UNIX, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(!bind(l, (void *)&u, sizeof(u)) && !listen(l, 64) && dup2(l, FD) == FD);
	CHECK(!bind(t, (void *)&in, sizeof(in)) && !listen(t, 64) && !getsockname(t, (void *)&in, &len) && dup2(t, FD + 1) == FD + 1);
	S->id = in.sin_port;
	start("socket");
	finish();
}

static void pass_role(int i)
{
	go();
	for (int n = 0; n < 100; n++) {
		int p[2], fd = -1;
		char c, space[CMSG_SPACE(sizeof(int))] = "";
		struct iovec io = { &c, 1 };
		struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space) };
		struct cmsghdr *h = CMSG_FIRSTHDR(&m);
		CHECK(n % 4 ? !pipe(p) : !socketpair(AF_UNIX, SOCK_DGRAM, 0, p));
		CHECK(write(p[1], &i, sizeof(i)) == sizeof(i));
		*h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
		memcpy(CMSG_DATA(h), p, sizeof(int));
		CHECK(sendmsg(FD + 2 * ((i + 1) % N) + 1, &m, 0) == 1);
		close(p[0]);
		close(p[1]);
		m.msg_controllen = sizeof(space);
		CHECK(recvmsg(FD + 2 * i, &m, 0) == 1 && (h = CMSG_FIRSTHDR(&m)));
		memcpy(&fd, CMSG_DATA(h), sizeof(int));
		int v = -1;
		CHECK(read(fd, &v, sizeof(v)) == sizeof(v) && v == (i + N - 1) % N);
		close(fd);
		if (n % 20 == 0) { /* and a loop, for the collector */
			CHECK(!socketpair(AF_UNIX, SOCK_DGRAM, 0, p));
			memcpy(CMSG_DATA(h), &p[0], sizeof(int));
			m.msg_controllen = sizeof(space);
			CHECK(sendmsg(p[1], &m, 0) == 1);
			close(p[0]);
			close(p[1]);
		}
	}
}

TEST_TIMEOUT(descriptors, 60)
{
	prepare();
	for (int i = 0; i < N; i++) {
		int p[2];
		CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, p) && dup2(p[0], FD + 2 * i) > 0 && dup2(p[1], FD + 2 * i + 1) > 0 && !close(p[0]) && !close(p[1]));
	}
	start("pass");
	finish();
}

/* ---- epoll, eventfd, System V and POSIX IPC, timers, inotify ---- */

static void ready_role(int i)
{
	uint64_t v = 1, sum = 0;
	struct epoll_event ev = { .events = EPOLLIN | EPOLLET };
	int own = epoll_create1(0), tfd = inotify_init1(IN_NONBLOCK);
	CHECK(own >= 0 && !epoll_ctl(own, EPOLL_CTL_ADD, FD, &ev) && inotify_add_watch(tfd, S->dir, IN_CREATE | IN_DELETE) >= 0);
	go();
	struct sigevent se = { .sigev_notify = SIGEV_NONE };
	timer_t tm;
	CHECK(!timer_create(CLOCK_MONOTONIC, &se, &tm));
	CHECK(!timer_settime(tm, 0, &(struct itimerspec){ { 0, 300000 }, { 0, 300000 } }, NULL));
	for (int n = 0; n < 150; n++) {
		v = 1;
		CHECK(write(FD, &v, 8) == 8);
		CHECK(epoll_wait(n & 1 ? own : FD + 1, &ev, 1, n % 3) >= 0);
		struct pollfd pf = { FD, POLLIN, 0 };
		CHECK(poll(&pf, 1, 0) >= 0);
		if (read(FD, &v, 8) == 8)
			sum += v;
		else
			CHECK_EQ(errno, EAGAIN);
		struct sembuf up = { 0, 1, 0 }, down = { 0, -1, SEM_UNDO };
		CHECK(!semop(S->id, &down, 1));
		S->plain++;
		up.sem_flg = SEM_UNDO;
		CHECK(!semop(S->id, &up, 1));
		struct { long type; int v; } m = { 1 + (i + 1) % N, n };
		CHECK(!msgsnd(S->count[8], &m, sizeof(int), 0));
		CHECK(msgrcv(S->count[8], &m, sizeof(int), 1 + i, 0) == sizeof(int) && m.v == n);
		CHECK(!mq_send(FD + 2, (char *)&n, sizeof(n), 0));
		char b[64];
		CHECK(mq_receive(FD + 2, b, sizeof(b), NULL) == sizeof(n));
		char path[128];
		snprintf(path, sizeof(path), "%s/%d", S->dir, i);
		close(open(path, O_CREAT | O_WRONLY, 0600));
		unlink(path);
		if (n % 16 == 0)
			while (read(tfd, path, sizeof(path)) > 0)
				;
		struct timespec ts = { 0, 1000 };
		if (n % 10 == 0)
			nanosleep(&ts, NULL);
	}
	timer_delete(tm);
	S->count[0] += sum;
	if (++S->count[1] == N) {
		while (read(FD, &v, 8) == 8)
			S->count[0] += v;
	}
}

TEST_TIMEOUT(ready, 60)
{
	char name[64];
	struct epoll_event ev = { .events = EPOLLIN };
	struct mq_attr attr = { .mq_maxmsg = 8, .mq_msgsize = 64 };
	prepare();
	CHECK(!mkdir(S->dir, 0700));
	CHECK(dup2(eventfd(0, EFD_NONBLOCK), FD) == FD && dup2(epoll_create1(0), FD + 1) == FD + 1 && !epoll_ctl(FD + 1, EPOLL_CTL_ADD, FD, &ev));
	snprintf(name, sizeof(name), "/workers.%d", getpid());
	mqd_t q = mq_open(name, O_CREAT | O_RDWR, 0600, &attr);
	if (q < 0)
		SKIP("no message queues");
	CHECK(dup2(q, FD + 2) == FD + 2 && !mq_unlink(name));
	S->id = semget(IPC_PRIVATE, 1, 0600);
	S->count[8] = msgget(IPC_PRIVATE, 0600);
	CHECK(S->id >= 0 && S->count[8] >= 0 && !semctl(S->id, 0, SETVAL, 1));
	start("ready");
	finish();
	CHECK(!semctl(S->id, 0, IPC_RMID) && !msgctl(S->count[8], IPC_RMID, NULL));
	CHECK_EQ(S->plain, N * 150);
	CHECK_EQ(S->count[0], N * 150);
	remove_dir();
}

/* ---- files that all read, write, map and cut ---- */

static void data_role(int i)
{
	static char buf[65536], page[4096];
	go();
	CHECK(!chdir(S->dir));
	int fd = open("data", O_RDWR), big = open("/proc/self/exe", O_RDONLY);
	char *m = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(fd >= 0 && m != MAP_FAILED && big >= 0);
	for (int n = 0; n < 120; n++) {
		/* each in its own page, by turns through the mapping and the file */
		memset(page, 'a' + n % 26, sizeof(page));
		if (n & 1)
			memcpy(m + i * 4096, page, 4096);
		else
			CHECK(pwrite(fd, page, 4096, i * 4096) == 4096);
		CHECK(pread(fd, buf, 4096, i * 4096) == 4096 && !memcmp(buf, page, 4096) && !memcmp(m + i * 4096, page, 4096));
		CHECK(pread(big, buf, 16384, n % 3 * 4096) > 0);
		/* the end moves, beyond what is mapped */
		CHECK(!ftruncate(fd, 65536 + n % 5 * 4096));
		CHECK(pread(fd, buf, sizeof(buf), 65536 - 4096) >= 4096);
		if (n % 10 == 0) {
			char *x = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
			CHECK(x != MAP_FAILED);
			x[0] = 1;
			CHECK(!munmap(x, 8192));
		}
		struct iovec l = { buf, 64 }, r = { S, 64 };
		if (n % 4 == 0) /* another's memory, in case it may be read */
			(void)!process_vm_readv(S->pid[(i + 1) % N], &l, 1, &r, 1, 0);
	}
}

TEST_TIMEOUT(data, 60)
{
	char path[128];
	prepare();
	CHECK(!mkdir(S->dir, 0700));
	snprintf(path, sizeof(path), "%s/data", S->dir);
	int fd = open(path, O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0 && !ftruncate(fd, 65536));
	start("data");
	finish();
	remove_dir();
}

/* ---- tracing a process on another worker, stops and continuations, pidfds ---- */

static void traced_role(int i)
{
	if (i)
		prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
	go();
	while (!S->stop) {
		if (i == 3 && !(S->count[5]++ % 16)) {
			pid_t p = vfork();
			if (!p)
				_exit(0);
			waitpid(p, NULL, 0);
		}
		getppid();
	}
}

TEST_TIMEOUT(traced, 60)
{
	prepare();
	start("traced");
	for (int n = 0; n < 20; n++)
		for (int i = 0; i < N; i++) {
			int st, pfd = syscall(SYS_pidfd_open, S->pid[i], 0);
			CHECK(pfd >= 0);
			if (n & 1) {
				CHECK(!ptrace(PTRACE_ATTACH, S->pid[i], NULL, NULL));
				CHECK(waitpid(S->pid[i], &st, 0) == S->pid[i] && WIFSTOPPED(st));
				errno = 0;
				(void)ptrace(PTRACE_PEEKDATA, S->pid[i], (void *)S, NULL);
				for (int k = 0; k < 4; k++) {
					CHECK(!ptrace(PTRACE_SYSCALL, S->pid[i], NULL, NULL));
					CHECK(waitpid(S->pid[i], &st, 0) == S->pid[i] && WIFSTOPPED(st));
				}
				CHECK(!ptrace(PTRACE_DETACH, S->pid[i], NULL, NULL));
			} else {
				CHECK(!syscall(SYS_pidfd_send_signal, pfd, SIGSTOP, NULL, 0));
				CHECK(waitpid(S->pid[i], &st, WUNTRACED) == S->pid[i] && WIFSTOPPED(st));
				CHECK(!kill(S->pid[i], SIGCONT));
				CHECK(waitpid(S->pid[i], &st, WCONTINUED) == S->pid[i] && WIFCONTINUED(st));
			}
			struct pollfd p = { pfd, POLLIN, 0 };
			CHECK(poll(&p, 1, 0) == 0);
			close(pfd);
		}
	S->stop = 1;
	finish();
}

/* Killed in the middle of everything. */
static void busy_role(int i)
{
	go();
	for (;;) {
		int p[2];
		(void)!pipe(p);
		pid_t k = fork();
		if (!k) {
			if (i & 1)
				execl("/bin/true", "true", NULL);
			_exit(0);
		}
		(void)!write(p[1], "x", 1);
		close(p[0]);
		close(p[1]);
		if (i & 2)
			waitpid(k, NULL, 0);
		else
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
	}
}

TEST_TIMEOUT(killed, 60)
{
	prepare();
	for (int n = 0; n < 6; n++) {
		S->arrived = S->go = 0;
		start("busy");
		usleep(n * 3000);
		for (int i = 0; i < N; i++)
			CHECK(!kill(S->pid[i], SIGKILL));
		for (int i = 0; i < N; i++) {
			int st;
			CHECK(waitpid(S->pid[i], &st, 0) == S->pid[i] && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL);
		}
	}
}

/* ---- roles ---- */

static const struct { const char *name; void (*fn)(int); } roles[] = {
	{ "ring", ring_role }, { "futex", futex_role }, { "signal", signal_role }, { "names", names_role }, { "tree", tree_role },
	{ "again", again_role }, { "socket", socket_role }, { "pass", pass_role }, { "ready", ready_role }, { "data", data_role },
	{ "traced", traced_role }, { "busy", busy_role },
};

static void __attribute__((constructor)) maybe_role(void)
{
	const char *r = getenv("ROLE"), *colon = r ? strchr(r, ':') : NULL;
	if (!colon)
		return;
	alarm(50);
	map_shared();
	for (unsigned k = 0; k < sizeof(roles) / sizeof(roles[0]); k++)
		if (!strncmp(roles[k].name, r, colon - r) && !roles[k].name[colon - r]) {
			roles[k].fn(atoi(colon + 1));
			_exit(0);
		}
	_exit(97);
}
