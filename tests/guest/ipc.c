/* SPDX-License-Identifier: Apache-2.0 */
/* ipc.c: System V IPC, POSIX message queues, Linux AIO, namespaces as files. */
#include "harness.h"
#include <sys/socket.h>
#include <linux/aio_abi.h>
#include <mqueue.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

union semun { int val; struct semid_ds *buf; unsigned short *array; };
struct mbuf { long type; char text[64]; };

TEST(shm_basics)
{
	int id = shmget(IPC_PRIVATE, 5000, IPC_CREAT | 0600);
	struct shmid_ds ds;
	CHECK(id >= 0);
	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
	CHECK(a != (void *)-1 && b != (void *)-1 && a != b);
	strcpy(a, "hello");
	CHECK(!strcmp(b, "hello"));
	CHECK(!shmctl(id, IPC_STAT, &ds) && ds.shm_nattch == 2 && ds.shm_segsz == 5000 && ds.shm_cpid == getpid());
	CHECK_ERRNO(mprotect(b, 4096, PROT_READ | PROT_WRITE), EACCES);
	int st = CHILD_STATUS({
		CHECK(!shmctl(id, IPC_STAT, &ds) && ds.shm_nattch == 4);
		CHECK(!shmdt(a));
		CHECK(!shmctl(id, IPC_STAT, &ds) && ds.shm_nattch == 3 && ds.shm_lpid == getpid());
		b[0];
	});
	CHECK_EQ(st, 0);
	CHECK(!shmctl(id, IPC_STAT, &ds) && ds.shm_nattch == 2);
	CHECK_ERRNO(shmdt(a + 4096), EINVAL);
	CHECK_ERRNO(shmat(id, a, 0) == (void *)-1 ? -1 : 0, EINVAL);
	CHECK(shmat(id, a, SHM_REMAP) == a);
	/* Removed while it is attached: there until the last detach. */
	CHECK(!shmctl(id, IPC_RMID, NULL));
	CHECK(!shmctl(id, IPC_STAT, &ds) && (ds.shm_perm.mode & SHM_DEST));
	CHECK(!strcmp(a, "hello") && !shmdt(a) && !shmdt(b));
	CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EINVAL);
	CHECK_ERRNO(shmget(IPC_PRIVATE, 0, IPC_CREAT | 0600), EINVAL);
	CHECK_ERRNO(shmget(0x7fffff01, 10, 0600), ENOENT);
}

TEST(shm_key_and_exec)
{
	int key = 0x62000000 | getpid(), id = shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0640);
	struct shmid_ds ds;
	CHECK(id >= 0);
	CHECK_EQ(shmget(key, 4096, 0600), id);
	CHECK_ERRNO(shmget(key, 4096, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
	CHECK_ERRNO(shmget(key, 4097, 0600), EINVAL);
	CHECK(shmat(id, NULL, 0) != (void *)-1);
	pid_t c = fork();
	if (!c) {
		execl("/bin/true", "true", NULL);
		_exit(9);
	}
	int st;
	CHECK(waitpid(c, &st, 0) == c && !st);
	CHECK(!shmctl(id, IPC_STAT, &ds) && ds.shm_nattch == 1);
	CHECK(!shmctl(id, IPC_RMID, NULL));
	CHECK_ERRNO(shmget(key, 4096, 0600), ENOENT);
}

TEST(sem_basics)
{
	int id = semget(IPC_PRIVATE, 3, IPC_CREAT | 0600);
	struct sembuf up = { 0, 1, 0 }, down = { 0, -1, 0 }, try = { 0, -1, IPC_NOWAIT }, zero = { 1, 0, IPC_NOWAIT }, far = { 3, 1, 0 };
	unsigned short v[3] = { 1, 2, 3 };
	CHECK(id >= 0);
	CHECK_ERRNO(semop(id, &try, 1), EAGAIN);
	CHECK_ERRNO(semop(id, &far, 1), EFBIG);
	CHECK(!semop(id, &zero, 1) && !semop(id, &up, 1) && !semop(id, &down, 1));
	CHECK(!semctl(id, 0, SETALL, (union semun){ .array = v }));
	CHECK_EQ(semctl(id, 2, GETVAL), 3);
	CHECK_ERRNO(semctl(id, 0, SETVAL, (union semun){ .val = 40000 }), ERANGE);
	/* All or nothing */
	struct sembuf both[2] = { { 0, -1, IPC_NOWAIT }, { 1, -5, IPC_NOWAIT } };
	CHECK_ERRNO(semop(id, both, 2), EAGAIN);
	CHECK_EQ(semctl(id, 0, GETVAL), 1);
	/* A waiter, seen and woken */
	pid_t c = fork();
	if (!c) {
		struct sembuf d = { 0, -2, 0 };
		_exit(semop(id, &d, 1) != 0);
	}
	while (semctl(id, 0, GETNCNT) != 1)
		msleep(1);
	CHECK(!semop(id, &up, 1));
	int st;
	CHECK(waitpid(c, &st, 0) == c && !st);
	CHECK_EQ(semctl(id, 0, GETVAL), 0);
	CHECK_EQ(semctl(id, 0, GETPID), c);
	struct timespec ts = { 0, 20000000 };
	double t0 = now_s();
	CHECK_ERRNO(semtimedop(id, &down, 1, &ts), EAGAIN);
	CHECK(now_s() - t0 >= 0.019);
	c = fork();
	if (!c) {
		int r = semop(id, &down, 1);
		_exit(!(r == -1 && errno == EIDRM));
	}
	while (semctl(id, 0, GETNCNT) != 1)
		msleep(1);
	CHECK(!semctl(id, 0, IPC_RMID));
	CHECK(waitpid(c, &st, 0) == c && !st);
	CHECK_ERRNO(semctl(id, 0, GETVAL), EINVAL);
}

TEST(sem_undo)
{
	int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	CHECK(!semctl(id, 0, SETVAL, (union semun){ .val = 5 }));
	CHECK_EQ(CHILD_STATUS({
		struct sembuf d = { 0, -3, SEM_UNDO };
		CHECK(!semop(id, &d, 1));
		CHECK_EQ(semctl(id, 0, GETVAL), 2);
		/* not inherited by fork */
		CHECK_EQ(CHILD_STATUS(_exit(0)), 0);
		CHECK_EQ(semctl(id, 0, GETVAL), 2);
	}), 0);
	CHECK_EQ(semctl(id, 0, GETVAL), 5);
	CHECK_EQ(CHILD_STATUS({
		struct sembuf d = { 0, -3, SEM_UNDO };
		CHECK(!semop(id, &d, 1));
		kill(getpid(), SIGKILL);
	}), SIGKILL);
	CHECK_EQ(semctl(id, 0, GETVAL), 5);
	CHECK(!semctl(id, 0, IPC_RMID));
}

static void nothing(int s) { (void)s; }

TEST(sem_interrupted)
{
	int id = semget(IPC_PRIVATE, 1, IPC_CREAT | 0600);
	struct sembuf down = { 0, -1, 0 };
	struct sigaction sa = { .sa_handler = nothing, .sa_flags = SA_RESTART };
	sigaction(SIGALRM, &sa, NULL);
	ualarm(20000, 0);
	CHECK_ERRNO(semop(id, &down, 1), EINTR); /* whatever SA_RESTART says */
	CHECK(!semctl(id, 0, IPC_RMID));
}

TEST(msg_basics)
{
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);
	struct mbuf m = { 3, "three" }, n = { 1, "one" }, r;
	struct msqid_ds ds;
	CHECK(id >= 0);
	CHECK(!msgsnd(id, &m, 6, 0) && !msgsnd(id, &n, 4, 0));
	CHECK(!msgctl(id, IPC_STAT, &ds) && ds.msg_qnum == 2 && ds.__msg_cbytes == 10 && ds.msg_lspid == getpid());
	CHECK(msgrcv(id, &r, sizeof r.text, -5, 0) == 4 && r.type == 1 && !strcmp(r.text, "one"));
	CHECK_ERRNO(msgrcv(id, &r, 3, 0, 0), E2BIG);
	CHECK(msgrcv(id, &r, 3, 0, MSG_NOERROR) == 3 && r.type == 3);
	CHECK_ERRNO(msgrcv(id, &r, 3, 0, IPC_NOWAIT), ENOMSG);
	m.type = 0;
	CHECK_ERRNO(msgsnd(id, &m, 6, 0), EINVAL);
	m.type = 7;
	/* A receiver that waits for its type */
	pid_t c = fork();
	if (!c)
		_exit(!(msgrcv(id, &r, sizeof r.text, 7, 0) == 6 && r.type == 7));
	msleep(20);
	CHECK(!msgsnd(id, &n, 4, 0) && !msgsnd(id, &m, 6, 0));
	int st;
	CHECK(waitpid(c, &st, 0) == c && !st);
	CHECK(!msgctl(id, IPC_STAT, &ds) && ds.msg_qnum == 1 && ds.msg_lrpid == c);
	/* A full queue */
	ds.msg_qbytes = 20;
	CHECK(!msgctl(id, IPC_SET, &ds) && !msgsnd(id, &m, 16, 0));
	CHECK_ERRNO(msgsnd(id, &m, 6, IPC_NOWAIT), EAGAIN);
	c = fork();
	if (!c)
		_exit(msgsnd(id, &m, 6, 0) != 0);
	msleep(20);
	CHECK(msgrcv(id, &r, sizeof r.text, 7, 0) == 16);
	CHECK(waitpid(c, &st, 0) == c && !st);
	c = fork();
	if (!c)
		_exit(!(msgrcv(id, &r, sizeof r.text, 99, 0) == -1 && errno == EIDRM));
	msleep(20);
	CHECK(!msgctl(id, IPC_RMID, NULL));
	CHECK(waitpid(c, &st, 0) == c && !st);
}

TEST(ipc_namespace)
{
	int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600), fd = open("/proc/self/ns/ipc", O_RDONLY);
	struct shmid_ds ds;
	CHECK(id >= 0 && fd >= 0);
	if (geteuid())
		SKIP("needs root");
	CHECK_EQ(CHILD_STATUS({
		if (unshare(CLONE_NEWIPC))
			_exit(errno == EPERM ? 0 : 1);
		CHECK_ERRNO(shmctl(id, IPC_STAT, &ds), EINVAL);
		CHECK(!setns(fd, CLONE_NEWIPC));
		CHECK(!shmctl(id, IPC_STAT, &ds));
		CHECK_ERRNO(setns(fd, CLONE_NEWUTS), EINVAL);
	}), 0);
	CHECK(!shmctl(id, IPC_RMID, NULL));
}

static volatile int notes;
static siginfo_t note;
static void noted(int s, siginfo_t *i, void *u)
{
	(void)s, (void)u;
	note = *i;
	notes++;
}

/* SIGEV_THREAD as the C library does it: a cookie comes by a netlink socket. */
/* What is mounted of an IPC namespace's message queues outlives it: they can be listed, not made. */
TEST(mqueue_mount_outlives_namespace)
{
	char dir[] = "/tmp/mqueueXXXXXX", path[64];
	int st;
	pid_t p;

	if (geteuid() || unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return;
	CHECK(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/later", dir);
	p = fork();
	if (!p)
		_exit(unshare(CLONE_NEWIPC) || mount("mqueue", dir, "mqueue", 0, NULL));
	CHECK_EQ(waitpid(p, &st, 0), p);
	CHECK_EQ(st, 0);
	for (int i = 0; i < 200 && (st = open(path, O_CREAT | O_RDWR, 0600)) >= 0; i++) { /* the host lets it go a little later */
		close(st);
		unlink(path);
		usleep(20000);
	}
	CHECK(st == -1 && errno == EACCES);
	CHECK(!umount(dir));
	rmdir(dir);
}

TEST(mq_notify_by_socket)
{
	char name[32], b[16], cookie[32], got[64];
	struct mq_attr at = { .mq_maxmsg = 3, .mq_msgsize = 16 };
	int s = socket(AF_NETLINK, SOCK_RAW, 0), u = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(name, sizeof name, "/bailey-n%d", getpid());
	mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &at);
	CHECK(q >= 0 && s >= 0);
	for (int i = 0; i < 32; i++)
		cookie[i] = (char)(i + 1);
	struct sigevent e = { .sigev_notify = SIGEV_THREAD, .sigev_signo = s, .sigev_value.sival_ptr = cookie };
	struct pollfd pf = { .fd = s, .events = POLLIN };
	for (int round = 0; round < 3; round++) {
		CHECK(!syscall(SYS_mq_notify, q, &e));
		CHECK_ERRNO(syscall(SYS_mq_notify, q, &e), EBUSY);
		pid_t p = 0;
		if (round == 2) {
			if (!(p = fork())) {
				msleep(50); /* its parent sleeps in recv by then */
				_exit(mq_send(q, "x", 1, 0));
			}
		} else {
			CHECK(poll(&pf, 1, 0) == 0);
			CHECK(!mq_send(q, "x", 1, 0));
			CHECK(poll(&pf, 1, 1000) == 1 && pf.revents == POLLIN);
		}
		CHECK(recv(s, got, sizeof got, 0) == 32 && !memcmp(got, cookie, 31) && got[31] == 1);
		CHECK(recv(s, got, sizeof got, MSG_DONTWAIT) < 0 && errno == EAGAIN);
		CHECK(mq_receive(q, b, 16, NULL) == 1);
		if (p)
			waitpid(p, NULL, 0);
	}
	CHECK(!syscall(SYS_mq_notify, q, &e) && !syscall(SYS_mq_notify, q, NULL)); /* taken back */
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	CHECK(recvfrom(s, got, sizeof got, 0, (void *)&from, &len) == 32 && got[31] == 2 && len == 12 && from.ss_family == AF_NETLINK);
	CHECK(!syscall(SYS_mq_notify, q, &e) && !mq_close(q)); /* closed */
	CHECK(recv(s, got, 8, MSG_TRUNC) == 32);
	e.sigev_signo = u;
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &e), EINVAL);
	e.sigev_signo = open("/dev/null", O_RDONLY);
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &e), ENOTSOCK);
	e.sigev_signo = 1234;
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &e), EBADF);
	e.sigev_value.sival_ptr = (void *)8;
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &e), EFAULT);
	mq_unlink(name);
}

TEST(mq_basics)
{
	struct mq_attr at = { .mq_maxmsg = 3, .mq_msgsize = 16 }, got;
	char name[32], b[16];
	unsigned prio;
	snprintf(name, sizeof name, "/bailey-%d", getpid());
	CHECK_ERRNO(mq_open(name, O_RDWR), ENOENT);
	mqd_t q = mq_open(name, O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &at);
	CHECK(q >= 0);
	CHECK_ERRNO(mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &at), EEXIST);
	CHECK(!mq_getattr(q, &got) && got.mq_maxmsg == 3 && got.mq_msgsize == 16 && got.mq_flags == O_NONBLOCK && !got.mq_curmsgs);
	CHECK_ERRNO(mq_receive(q, b, 16, &prio), EAGAIN);
	CHECK_ERRNO(mq_receive(q, b, 15, &prio), EMSGSIZE);
	CHECK_ERRNO(mq_send(q, b, 17, 0), EMSGSIZE);
	CHECK_ERRNO(mq_send(q, b, 1, 32768), EINVAL);
	CHECK(!mq_send(q, "low", 4, 1) && !mq_send(q, "high", 5, 9) && !mq_send(q, "low2", 5, 1));
	CHECK_ERRNO(mq_send(q, "x", 1, 0), EAGAIN);
	struct pollfd p = { q, POLLIN | POLLOUT, 0 };
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN);
	CHECK(mq_receive(q, b, 16, &prio) == 5 && prio == 9 && !strcmp(b, "high"));
	CHECK(mq_receive(q, b, 16, &prio) == 4 && prio == 1 && !strcmp(b, "low"));
	CHECK(mq_receive(q, b, 16, &prio) == 5 && !strcmp(b, "low2"));
	/* Told once when a message comes to the empty queue */
	struct sigaction sa = { .sa_sigaction = noted, .sa_flags = SA_SIGINFO | SA_RESTART };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42 };
	sigaction(SIGUSR1, &sa, NULL);
	CHECK(!mq_notify(q, &ev));
	CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	CHECK_EQ(CHILD_STATUS(CHECK(!mq_send(q, "n", 1, 0))), 0);
	CHECK(notes == 1 && note.si_code == SI_MESGQ && note.si_value.sival_int == 42 && note.si_pid != getpid());
	CHECK(!mq_send(q, "n", 1, 0) && notes == 1);
	while (mq_receive(q, b, 16, NULL) >= 0)
		;
	/* Blocking, with a deadline */
	at.mq_flags = 0;
	CHECK(!mq_setattr(q, &at, NULL));
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 30000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	CHECK_ERRNO(mq_timedreceive(q, b, 16, NULL, &ts), ETIMEDOUT);
	pid_t c = fork();
	if (!c)
		_exit(mq_receive(q, b, 16, NULL) != 3);
	msleep(20);
	CHECK(!mq_send(q, "abc", 3, 0));
	int st;
	CHECK(waitpid(c, &st, 0) == c && !st);
	CHECK(!mq_unlink(name));
	CHECK_ERRNO(mq_unlink(name), ENOENT);
	CHECK(!mq_send(q, "still", 5, 0) && !mq_close(q));
}

TEST(aio)
{
	aio_context_t ctx = 0;
	struct iocb a = { 0 }, b = { 0 }, *v[2] = { &a, &b };
	struct io_event ev[2];
	char buf[8] = "";
	struct timespec ts = { 0, 10000000 };
	int fd = open("f", O_RDWR | O_CREAT, 0600), e = eventfd(0, 0);
	CHECK_ERRNO(syscall(SYS_io_setup, 0, &ctx), EINVAL);
	if (syscall(SYS_io_setup, 8, &ctx))
		SKIP("no AIO here");
	a = (struct iocb){ .aio_data = 1, .aio_lio_opcode = IOCB_CMD_PWRITE, .aio_fildes = fd, .aio_buf = (uintptr_t) "hello", .aio_nbytes = 5,
			   .aio_flags = IOCB_FLAG_RESFD, .aio_resfd = e };
	CHECK_EQ(syscall(SYS_io_submit, ctx, 1, v), 1);
	CHECK_EQ(syscall(SYS_io_getevents, ctx, 1, 2, ev, NULL), 1);
	CHECK(ev[0].data == 1 && ev[0].obj == (uintptr_t)&a && ev[0].res == 5);
	uint64_t n;
	CHECK(read(e, &n, 8) == 8 && n == 1);
	a = (struct iocb){ .aio_data = 2, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd, .aio_buf = (uintptr_t)buf, .aio_nbytes = 8 };
	b = (struct iocb){ .aio_data = 3, .aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = -1, .aio_buf = (uintptr_t)buf, .aio_nbytes = 8 };
	CHECK_EQ(syscall(SYS_io_submit, ctx, 2, v), 1);
	CHECK_EQ(syscall(SYS_io_getevents, ctx, 1, 2, ev, NULL), 1);
	CHECK(ev[0].data == 2 && ev[0].res == 5 && !strcmp(buf, "hello"));
	CHECK_ERRNO(syscall(SYS_io_submit, ctx, 1, v + 1), EBADF);
	CHECK_EQ(syscall(SYS_io_getevents, ctx, 1, 2, ev, &ts), 0);
	CHECK_ERRNO(syscall(SYS_io_getevents, ctx, 3, 2, ev, &ts), EINVAL);
	CHECK_EQ(CHILD_STATUS(CHECK_ERRNO(syscall(SYS_io_submit, ctx, 0, v), EINVAL)), 0);
	CHECK(!syscall(SYS_io_destroy, ctx));
	CHECK_ERRNO(syscall(SYS_io_destroy, ctx), EINVAL);
}

TEST(remap_file_pages)
{
	char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 3; i++)
		p[i * 4096] = '0' + i;
	CHECK(!syscall(SYS_remap_file_pages, p, 4096, 0, 2, 0));
	CHECK(p[0] == '2' && p[4096] == '1' && p[2 * 4096] == '2');
	p[0] = 'x';
	CHECK(p[2 * 4096] == 'x');
	CHECK_ERRNO(syscall(SYS_remap_file_pages, p, 4096, PROT_READ, 2, 0), EINVAL);
}

TEST(kcmp_and_ns_files)
{
	int a = open("/dev/null", O_RDONLY), b = dup(a), c = open("/dev/null", O_RDONLY);
	pid_t me = getpid();
	if (syscall(SYS_kcmp, me, me, 1, 0, 0) < 0)
		SKIP("no kcmp here");
	CHECK_EQ(syscall(SYS_kcmp, me, me, 0, a, b), 0);
	CHECK(syscall(SYS_kcmp, me, me, 0, a, c) > 0);
	CHECK_ERRNO(syscall(SYS_kcmp, me, me, 0, a, 999), EBADF);
	CHECK_ERRNO(syscall(SYS_kcmp, me, me, 99, a, b), EINVAL);
	int ep = epoll_create1(0), ev1 = eventfd(0, 0), ev2 = eventfd(0, 0);
	struct epoll_event ee = { .events = EPOLLIN };
	struct { uint32_t efd, tfd, toff; } slot = { ep, ev1, 0 };
	CHECK_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, ev1, &ee), 0);
	CHECK_EQ(syscall(SYS_kcmp, me, me, 7 /* KCMP_EPOLL_TFD */, ev1, &slot), 0);
	CHECK(syscall(SYS_kcmp, me, me, 7, ev2, &slot) > 0);
	slot.toff = 1;
	CHECK_ERRNO(syscall(SYS_kcmp, me, me, 7, ev1, &slot), ENOENT);
	slot.efd = a;
	CHECK_ERRNO(syscall(SYS_kcmp, me, me, 7, ev1, &slot), EINVAL);
	slot.efd = 999;
	CHECK_ERRNO(syscall(SYS_kcmp, me, me, 7, ev1, &slot), EBADF);
	CHECK_ERRNO(syscall(SYS_kcmp, me, me, 7, ev1, 8), EFAULT);
	struct stat s1, s2;
	int ns = open("/proc/self/ns/uts", O_RDONLY);
	CHECK(ns >= 0 && !fstat(ns, &s1) && !stat("/proc/self/ns/uts", &s2) && s1.st_ino == s2.st_ino);
	CHECK_EQ(ioctl(ns, _IO(0xb7, 3)), CLONE_NEWUTS);
	CHECK_ERRNO(ioctl(ns, _IO(0xb7, 2)), EINVAL);
	char l[64] = "", want[64];
	CHECK(readlink("/proc/self/ns/uts", l, sizeof l - 1) > 0);
	snprintf(want, sizeof want, "uts:[%lu]", (unsigned long)s1.st_ino);
	CHECK(!strcmp(l, want));
	CHECK_ERRNO(setns(a, 0), EINVAL);
}
