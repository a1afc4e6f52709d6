/* SPDX-License-Identifier: Apache-2.0 */
/* Both ends of the control socket against the other's worst: a kernel process that was taken over by its guest, and a broken commander. */
#include "api_test.h"
#include "api/api.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

static unsigned rnd(void)
{
	static unsigned long s = 88172645463325252UL;
	s ^= s << 13;
	s ^= s >> 7;
	s ^= s << 17;
	return (unsigned)(s >> 11);
}

/* ---- a kernel process that lies ---- */

enum lie { SHORT, LONG, NO_FD, WITH_FD, WRONG_ID, BAD_RESULT, NOT_OURS, TASKS_LOOP, TASKS_HALF, TEXT_WITHOUT_END, STRANGE_EXITS, FLOOD, HANG_UP, LIES };

static void lie_to(int sock, enum lie what, struct ctl_head *h)
{
	static char big[200000];
	uint32_t id = h->id;

	switch (what) {
	case SHORT: send(sock, "abc", 3, MSG_NOSIGNAL); break;
	case LONG: memset(big, 0xff, sizeof(big)); ctl_send(sock, CTL_REPLY, id, 0, big, CTL_INLINE, NULL, 0, false); break;
	case NO_FD: ctl_send(sock, CTL_REPLY | CTL_IN_FD, id, 0, NULL, 0, NULL, 0, false); break;
	case WITH_FD: ctl_send(sock, CTL_REPLY, id, 0, big, 150000, (int[]){ 0, 1, 2 }, 3, false); break; /* in a memfd, and more */
	case WRONG_ID: ctl_send(sock, CTL_REPLY, id + 77, 0, NULL, 0, NULL, 0, false); ctl_send(sock, CTL_REPLY, 0, 0, NULL, 0, NULL, 0, false); shutdown(sock, SHUT_WR); break;
	case BAD_RESULT: ctl_send(sock, CTL_REPLY, id, rnd() & 1 ? 5 : -100000, NULL, 0, NULL, 0, false); break;
	case NOT_OURS: ctl_send(sock, rnd(), id, 0, big, rnd() % 1000, NULL, 0, false); ctl_send(sock, CTL_REPLY, id, 0, big, rnd() % 1000, NULL, 0, false); break;
	case TASKS_LOOP: ctl_send(sock, CTL_REPLY, id, 0, &(uint32_t){ 1 }, 4, NULL, 0, false); break;
	case TASKS_HALF: ctl_send(sock, CTL_REPLY, id, 0, big, 4 + sizeof(struct ctl_task) / 2, NULL, 0, false); break;
	case TEXT_WITHOUT_END: {
		struct ctl_created c;
		memset(&c, 0x1b, sizeof(c));
		ctl_send(sock, CTL_REPLY, id, -ENOENT, &c, sizeof(c), NULL, 0, false);
		break;
	}
	case STRANGE_EXITS:
		for (unsigned i = 0; i < 20; i++) {
			struct ctl_exited e = { .process = i, .status = (int32_t)(rnd() << 5 ^ rnd()) };
			ctl_send(sock, CTL_EXITED, 0, 0, &e, rnd() & 1 ? sizeof(e) : rnd() % sizeof(e), NULL, 0, false);
		}
		ctl_send(sock, CTL_REPLY, id, 0, big, 500, NULL, 0, false);
		break;
	case FLOOD:
		for (unsigned i = 0; i < 50; i++)
			ctl_send(sock, CTL_REPLY, id, 0, big, rnd() % 60000, NULL, 0, false);
		break;
	default: shutdown(sock, SHUT_RDWR); break;
	}
}

struct liar { int sock; enum lie what; };
static void *liar(void *arg)
{
	struct liar *l = arg;
	struct ctl_msg m;
	struct pollfd p = { .fd = l->sock, .events = POLLIN };

	for (;;) {
		poll(&p, 1, -1);
		int r = ctl_recv(l->sock, &m, true);
		if (r == -EAGAIN)
			continue;
		if (r)
			break;
		lie_to(l->sock, l->what, &m.head);
		ctl_msg_free(&m);
	}
	return NULL;
}

static void test_liar(enum lie what)
{
	struct bailey_kernel *k = calloc(1, sizeof(*k));
	struct bailey_process_options o = BAILEY_PROCESS_OPTIONS_INIT;
	const char *argv[] = { "x", NULL };
	struct bailey_usage u;
	struct bailey_task *list;
	bailey_process *p = NULL, *q;
	pthread_t t;
	size_t n;
	int sv[2], fds = count_fds();

	CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
	struct liar l = { sv[1], what };
	CHECK_INT(ctl_client_init(&k->c, sv[0]), 0);
	k->c.arg = k;
	k->c.event = api_event;
	pthread_create(&t, NULL, liar, &l);
	o.argv = argv;
	/* Whatever they say: they return, and texts have an end. */
	if (!bailey_process_create(k, &o, &p)) {
		bailey_process_start(p);
		bailey_process_signal(p, 9, BAILEY_PROCESS);
		bailey_process_wait(p, 10, NULL);
	}
	CHECK(strlen(bailey_error()) < 600 && !strchr(bailey_error(), 0x1b));
	if (!bailey_kernel_tasks(k, &list, &n)) {
		CHECK(n < 100000);
		for (size_t i = 0; i < n; i++)
			CHECK(strlen(list[i].name) < sizeof(list[i].name));
		bailey_tasks_free(list);
	}
	bailey_kernel_usage(k, &u);
	bailey_kernel_dispatch(k, 5);
	if (!bailey_process_create(k, &o, &q))
		bailey_process_free(q);
	bailey_process_free(p);
	ctl_client_destroy(&k->c);
	pthread_join(t, NULL);
	close(sv[1]);
	free(k);
	CHECK_INT(count_fds(), fds);
}

/* ---- a commander that talks nonsense ---- */

static void post(int sock, uint32_t type, uint32_t id, const void *payload, size_t len, const int *fds, unsigned nfds)
{
	while (ctl_send(sock, type, id, 0, payload, len, fds, nfds, true) == -EAGAIN)
		msleep(1);
}

/* Reads what has come; false: the kernel is gone. */
static bool drain(int sock)
{
	struct ctl_msg m;
	int r;
	while (!(r = ctl_recv(sock, &m, false)))
		ctl_msg_free(&m);
	return r != -EPIPE;
}

static void test_nonsense(void)
{
	bailey_kernel *k = make_kernel();
	int sock = k->c.sock, files[3] = { open("/dev/null", O_RDWR), open("/", O_RDONLY), open("/etc/passwd", O_RDONLY) };
	struct bailey_usage u;

	for (int i = 0; i < 3000; i++) {
		char junk[600];
		struct ctl_process p = { .argc = 1, .envc = 1, .nfds = 1, .nlimits = 1, .ngroups = 1 };
		struct ctl_limit l = { .resource = 7, .soft = 1, .hard = 2 };
		struct ctl_fd f = { 1, 1 };
		struct ctl_buf b = { 0 };
		for (unsigned j = 0; j < sizeof(junk); j++)
			junk[j] = (char)(rnd() % 8 ? rnd() % 3 : rnd());
		/* a request of any type with any payload */
		post(sock, rnd() % 16, 100000 + rnd() % 1000, junk, rnd() % sizeof(junk), files, rnd() % 4);
		/* a request to create with one thing wrong */
		if (rnd() % 2)
			((uint32_t *)&p)[rnd() % (sizeof(p) / 4)] = rnd() % 3 ? rnd() % 5 : ~0u >> rnd() % 32;
		if (rnd() % 4 == 0)
			f = (struct ctl_fd){ (int)rnd(), (int)(rnd() % 7) - 2 };
		if (rnd() % 4 == 0)
			l = (struct ctl_limit){ .resource = rnd() % 20, .soft = rnd(), .hard = rnd() };
		ctl_put(&b, &p, sizeof(p));
		ctl_put_u32(&b, 5);
		ctl_put(&b, &l, sizeof(l));
		ctl_put(&b, &f, sizeof(f));
		ctl_put_string(&b, "/bin/true");
		ctl_put_string(&b, "A=1");
		ctl_put_string(&b, "/");
		if (rnd() % 3 == 0)
			b.len = rnd() % (b.len + 1);
		post(sock, CTL_CREATE, 100000, b.p, b.len, files, rnd() % 4);
		/* a payload that is said to lie in a file which is none, or shorter */
		if (i % 16 == 0)
			post(sock, CTL_CREATE | CTL_IN_FD, 100000, NULL, 0, &files[rnd() % 3], 1);
		ctl_buf_free(&b);
		bool alive = drain(sock);
		CHECK(alive);
		if (!alive)
			break;
		if (i % 100 == 99) { /* what was made is not to fill the sandbox */
			uint32_t all[3] = { 0, CTL_SCOPE_ALL, SIGKILL };
			post(sock, CTL_SIGNAL, 0, all, sizeof(all), NULL, 0);
			for (uint32_t id = 1; id < 3000; id++)
				post(sock, CTL_RELEASE, 0, &id, sizeof(id), NULL, 0);
		}
	}
	/* It may be paused by now, as often as asked. */
	while (!bailey_kernel_unpause(k))
		;
	CHECK_INT(bailey_kernel_usage(k, &u), 0);
	CHECK_OUTPUT(k, "echo still here", NULL, "still here\n");
	for (int i = 0; i < 3; i++)
		close(files[i]);
	bailey_kernel_free(k);
}

/* The helper, started by hand and told nonsense. */
static void test_helper(void)
{
	const char *path = getenv("BAILEY_HELPER");

	for (int i = 0; i < 60; i++) {
		int life[2], pidfd;
		pid_t pid;
		char junk[300];
		struct ctl_options o = { .version = CTL_VERSION, .tier = 1, .nbinds = rnd() };
		for (unsigned j = 0; j < sizeof(junk); j++)
			junk[j] = (char)rnd();
		CHECK_INT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, life), 0);
		CHECK_INT(api_spawn(path, life[1], -1, -1, -1, &pid, &pidfd), 0);
		close(life[1]);
		if (i % 3 == 1)
			ctl_send(life[0], CTL_CREATE, 0, 0, junk, rnd() % sizeof(junk), NULL, 0, false);
		else if (i % 3 == 2)
			ctl_send(life[0], CTL_CREATE, 0, 0, &o, sizeof(o), NULL, 0, false);
		if (i & 1)
			shutdown(life[0], SHUT_WR);
		if (i % 3 == 0)
			close(life[0]);
		struct pollfd p = { .fd = pidfd, .events = POLLIN };
		CHECK_INT(poll(&p, 1, 10000), 1); /* it ends by itself */
		waitpid(pid, NULL, 0);
		close(pidfd);
		if (i % 3)
			close(life[0]);
	}
}

int main(void)
{
	for (int i = 0; i < LIES; i++)
		test_liar((enum lie)i);
	test_helper();
	test_nonsense();
	return done();
}
