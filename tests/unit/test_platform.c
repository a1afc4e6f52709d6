/* SPDX-License-Identifier: Apache-2.0 */
/* platform_test.c: a kernel of a few calls around platform/: a guest (platform_guest.c) in spaces and threads of its own. */
#include "platform/patch.h"
#include "platform/platform.h"
#include "platform/trap/abi.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

extern const unsigned char guest_image[];
extern const size_t guest_image_size;

enum { THREAD = 1000, TIME, KICKME, POST, WAITS, READ1, FAULTOK, CMPX, REGSET, XTEST, ALT, READN, FSBASE };
struct proc {
	struct proc *parent;
	struct pl_space *s;
	int nthreads;
	uint64_t brk;
	struct wait_queue wq;
	int exited, status, texits;
};
struct thr {
	struct proc *p;
	struct pl_thread *t;
	struct fiber *f;
	uint64_t fault;
	int saw_kick;
};
static struct sched *S;
static struct platform *P;
static struct thr *spinner;
static int filefd;
static uint64_t flag_addr;
static struct {
	struct wait_queue wq;
	int n;
} sem[4];
static void run(void *arg);

static struct thr *start(struct proc *p, struct pl_thread *t)
{
	struct thr *th = new (struct thr);
	th->p = p;
	th->t = t;
	p->nthreads++;
	th->f = fiber_create(S, -1, "guest", run, th);
	fiber_wake(th->f);
	return th;
}
static struct proc *newproc(struct proc *parent, struct pl_space *s)
{
	struct proc *p = new (struct proc);
	p->parent = parent;
	p->s = s;
	p->brk = 0x10000000;
	wait_queue_init(&p->wq);
	return p;
}
static void run(void *arg)
{
	struct thr *th = arg;
	struct pl_thread *t = th->t;
	struct proc *p = th->p;
	struct pl_event ev;
	struct pl_regs r;
	char buf[8192];
	pl_thread_attach(t, fiber_self());
	for (;;) {
		pl_thread_run(t, &ev);
		if (ev.kind == PL_KICK) {
			if (th == spinner) {
				int one = 1;
				th->saw_kick++;
				pl_space_write(p->s, flag_addr, &one, 4);
			}
			continue;
		}
		if (ev.kind == PL_FAULT) {
			if (ev.addr == 0x123450) {
				th->fault = ev.addr;
				pl_get_regs(t, &r);
				r.rip += 11;
				pl_set_regs(t, &r);
				continue;
			}
			pl_get_regs(t, &r);
			printf("fault %d code %d addr %lx rip %lx rsp %lx rax %lx\n", ev.signo, ev.code, ev.addr, r.rip, r.rsp,
			       r.rax);
			sched_stop(S, 99);
			return;
		}
		if (ev.kind == PL_ORDER) {
			printf("order %u failed %d\n", ev.order_index, ev.order_error);
			pl_set_result(t, ev.order_error);
			continue;
		}
		if (ev.kind == PL_DEAD) {
			printf("dead %d\n", ev.signo);
			sched_stop(S, 98);
			return;
		}
		if (ev.compat) {
			pl_set_result(t, -38);
			continue;
		}
		uint64_t *a = ev.args;
		int64_t res = -38;
		switch (ev.nr) {
		case 110:
			res = 42;
			break;
		case 1: {
			size_t av;
			const void *x = pl_prefetched(t, a[1], a[2], &av);
			size_t n = a[2] > sizeof(buf) ? sizeof(buf) : a[2];
			if (!x) {
				size_t g = pl_space_read(p->s, buf, a[1], n);
				if (!g) {
					res = -14;
					break;
				}
				x = buf;
				n = g;
			}
			if (a[0] == 1) {
				fwrite(x, 1, n, stdout);
				fflush(stdout);
			}
			res = (int64_t)n;
			break;
		}
		case 9: {
			struct pl_order o = {.op = (int)a[4] == -1 ? PL_MMAP_ANON : PL_MMAP_FD,
					     .prot = (uint32_t)a[2],
					     .flags = (uint32_t)a[3],
					     .addr = p->brk,
					     .len = a[1],
					     .fd = a[4] == 3 ? filefd : 0};
			res = (int64_t)p->brk;
			pl_order(t, &o);
			break;
		}
		case 11: {
			struct pl_order o = {.op = PL_MUNMAP, .addr = a[0], .len = a[1]};
			pl_order(t, &o);
			res = 0;
			break;
		}
		case 57: {
			struct pl_space *cs;
			struct pl_thread *ct;
			int err = pl_space_fork(t, &cs, &ct);
			if (err) {
				res = err;
				break;
			}
			struct proc *c = newproc(p, cs);
			c->brk = p->brk;
			start(c, ct);
			p->exited = 0;
			res = 100;
			break;
		}
		case THREAD: {
			struct pl_thread *ct;
			int err = pl_thread_clone(t, &ct);
			if (err) {
				res = err;
				break;
			}
			pl_get_regs(t, &r);
			r.rip = a[0];
			r.rsp = a[1];
			pl_set_regs(ct, &r);
			spinner = start(p, ct);
			res = 1;
			break;
		}
		case 60: {
			struct proc *q = p;
			pl_thread_destroy(t);
			q->nthreads--;
			q->texits++;
			wait_queue_wake_all(&q->wq, 0);
			return;
		}
		case 231: {
			struct proc *q = p;
			int st = (int)a[0];
			pl_thread_destroy(t);
			if (!q->parent) {
				platform_dump_stats(P);
				sched_stop(S, st);
				return;
			}
			q->parent->status = st;
			q->parent->exited = 1;
			wait_queue_wake_all(&q->parent->wq, 0);
			return;
		}
		case 61:
			pl_thread_will_block(t);
			if (a[0] == 0) {
				wait_event(&p->wq, p->exited, PARK_UNINTERRUPTIBLE, KTIME_MAX);
				p->exited = 0;
				res = p->status;
			} else {
				wait_event(&p->wq, p->texits, PARK_UNINTERRUPTIBLE, KTIME_MAX);
				p->texits--;
				res = 0;
			}
			break;
		case TIME:
			res = ktime_mono();
			break;
		case KICKME: {
			flag_addr = a[0];
			ktime_t end = ktime_mono() + 1000000;
			pl_thread_will_block(t);
			while (ktime_mono() < end)
				fiber_park(PARK_UNINTERRUPTIBLE, end);
			pl_thread_kick(spinner->t, false);
			wait_event(&p->wq, p->texits, PARK_UNINTERRUPTIBLE, KTIME_MAX);
			res = 0;
			break;
		}
		case POST:
			sem[a[0]].n++;
			wait_queue_wake(&sem[a[0]].wq, 0);
			res = 0;
			break;
		case WAITS:
			if (!sem[a[0]].n) {
				pl_thread_will_block(t);
				wait_event(&sem[a[0]].wq, sem[a[0]].n, PARK_UNINTERRUPTIBLE, KTIME_MAX);
			}
			sem[a[0]].n--;
			res = 0;
			break;
		case READ1:
			buf[0] = 'x';
			res = pl_copy_out(t, a[1], buf, 1) ? 1 : -5;
			break;
		case READN:
			memset(buf, 'y', 4096);
			res = pl_copy_out(t, a[1], buf, 4096) ? 4096 : -5;
			break;
		case FAULTOK:
			res = (int64_t)th->fault;
			break;
		case CMPX: {
			uint32_t old = 0;
			int err = pl_cmpxchg32(t, a[0], (uint32_t)a[1], (uint32_t)a[2], &old);
			res = err ? (int64_t)err : (int64_t)old;
			break;
		}
		case REGSET: {
			struct pl_regs n;
			pl_get_regs(t, &r);
			n = r;
			n.rax = 0x77;
			pl_set_regs(t, &n);
			continue;
		}
		case FSBASE:
			pl_set_fs_base(t, a[0]);
			res = 0;
			break;
		case XTEST:
			if (a[0] == 1) {
				struct pl_space *cs;
				struct pl_thread *ct;
				int err = pl_space_create(P, &cs, &ct);
				if (!err)
					pl_thread_destroy(ct);
				res = err;
			}
			if (a[0] == 2) {
				size_t n = pl_xsave_size(P);
				char *x = malloc(n), *y = malloc(n);
				int e1 = pl_get_xsave(t, x, n), e2 = pl_set_xsave(t, x, n), e3 = pl_get_xsave(t, y, n);
				res = e1 != (int)n || e2 || e3 != (int)n || memcmp(x, y, 464);
				if (res)
					printf("xsave %d %d %d\n", e1, e2, e3);
				free(x);
				free(y);
			}
			if (a[0] == 3) {
				size_t n = pl_xsave_size(P);
				uint64_t v = 0x1122334455667788UL, bv;
				char *x = malloc(n);
				pl_get_xsave(t, x, n);
				memcpy(x + 160, &v, 8);
				memcpy(&bv, x + 512, 8);
				bv |= 2;
				memcpy(x + 512, &bv, 8);
				res = pl_set_xsave(t, x, n);
				free(x);
			}
			break;
		}
		pl_set_result(t, res);
	}
}
/* ---- hostile stubs ---- */

/* Living children but the zygote, the pool (two at most) and `but` more. */
static int strays(int but)
{
	char path[64], line[512], state;
	int n = 0, pid, ppid;
	FILE *c, *f;
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	c = fopen(path, "r");
	while (c && fscanf(c, "%d", &pid) == 1) {
		snprintf(path, sizeof(path), "/proc/%d/stat", pid);
		f = fopen(path, "r");
		if (f && fgets(line, sizeof(line), f) && sscanf(strrchr(line, ')') + 1, " %c %d", &state, &ppid) == 2 && state != 'Z' && state != 'X')
			n++;
		if (f)
			fclose(f);
	}
	if (c)
		fclose(c);
	return c ? n - 1 - but : -1;
}
/* A stub whose clone with these flags says `err`, and whose child stays where it is. */
static struct pl_thread *hostile(uint32_t flags, int8_t err)
{
	uint8_t text[8192], lie[] = {0x48, 0x85, 0xc0, 0x74, 9, 0x6a, (uint8_t)err, 0x58, 0x41, 0x5d, 0x41, 0x5c, 0x5b, 0xc3, 0xf3, 0x90, 0xeb, 0xfc};
	uint8_t set[5] = {0xbf}, call[] = {0xb8, 56, 0, 0, 0, 0x0f, 0x05}, *at;
	struct pl_space *s;
	struct pl_thread *t;
	char path[64];
	int fd;
	if (pl_space_create(P, &s, &t))
		return NULL;
	pl_thread_attach(t, fiber_self());
	memcpy(set + 1, &flags, 4);
	snprintf(path, sizeof(path), "/proc/%d/mem", pl_space_host_pid(s));
	fd = open(path, O_RDWR);
	ssize_t n = pread(fd, text, sizeof(text), STUB_TEXT);
	at = n > 0 ? memmem(text, (size_t)n, set, sizeof(set)) : NULL;
	at = at ? memmem(at, 64, call, sizeof(call)) : NULL;
	if (!at || pwrite(fd, lie, sizeof(lie), STUB_TEXT + (at - text) + (long)sizeof(call)) != sizeof(lie)) {
		printf("no clone in the stub's text: %zd\n", n);
		t = NULL;
	}
	close(fd);
	return t;
}
static bool all_gone(int but)
{
	for (int i = 0; i < 100; i++) {
		ktime_t end = ktime_mono() + 100 * NSEC_PER_MSEC;
		if (strays(but) <= 2)
			return true;
		while (ktime_mono() < end)
			fiber_park(PARK_UNINTERRUPTIBLE, end);
	}
	printf("%d stray processes are left\n", strays(but));
	return false;
}
static bool hostile_stubs(void)
{
	struct pl_space *s;
	struct pl_thread *c, *t = hostile(0x8011, -EAGAIN);
	int peak = 0, made, err = 0;
	for (made = 0; t && made < 10; made++)
		if (pl_space_fork(t, &s, &c) != -EAGAIN)
			return false;
	/* They are found without another fork, and the process goes on. */
	if (!t || strays(1) < 10 || !all_gone(1))
		return false;
	ktime_t start = ktime_mono();
	for (made = 0; made < 500 && (err = pl_space_fork(t, &s, &c)) == -EAGAIN; made++)
		peak = MAX(peak, strays(1));
	ktime_t took = ktime_mono() - start;
	printf("forks that lie: killed after %d in %ld us, error %d; at most %d processes at a time\n", made, (long)took / 1000, err, peak);
	/* On a machine that is too busy for 16 a second they are ended as they come. */
	if (peak < 8 || peak > 64 + 3 || (err == -EAGAIN && took < 30 * NSEC_PER_SEC))
		return false;
	pl_thread_destroy(t);
	if (!all_gone(0))
		return false;
	/* "Interrupted", time and again: no more than CLONES_MAX. */
	t = hostile(0x8011, -EINTR);
	err = t ? pl_space_fork(t, &s, &c) : 0;
	peak = strays(0);
	printf("a fork that is interrupted for ever: %d, %d processes\n", err, peak);
	if (!err || peak < 4 || peak > 16 + 3)
		return false;
	pl_thread_destroy(t);
	if (!all_gone(0))
		return false;
	t = hostile(0x50f00, -EAGAIN);
	for (made = 0; t && made < 40; made++) {
		err = pl_thread_clone(t, &c);
		if (err != -EAGAIN)
			break;
	}
	printf("threads that lie: killed after %d\n", made);
	if (!t || made < 8 || made > 20)
		return false;
	pl_thread_destroy(t);
	return all_gone(0);
}
static void first(void *arg)
{
	if (!hostile_stubs()) {
		printf("FAIL hostile stubs\n");
		sched_stop(S, 95);
		return;
	}
	struct pl_space *s;
	struct pl_thread *t;
	int err = pl_space_create(P, &s, &t);
	if (err) {
		printf("pl_space_create: %s\n", strerror(-err));
		sched_stop(S, 97);
		return;
	}
	struct pl_order o = {.op = PL_MMAP_ANON, .prot = 7, .addr = 0x400000, .len = 0x100000};
	pl_thread_attach(t, fiber_self());
	err = pl_order_sync(t, &o);
	size_t n = pl_space_write(s, 0x400000, guest_image, guest_image_size);
	struct pl_order st = {.op = PL_MMAP_ANON, .prot = 3, .addr = 0x7000000, .len = 0x100000};
	err |= pl_order(t, &st);
	if (err || n != guest_image_size) {
		printf("load: %d %zu\n", err, n);
		sched_stop(S, 96);
		return;
	}
	struct pl_regs r;
	pl_get_regs(t, &r);
	r.rip = 0x400000;
	r.rsp = 0x7100000 - 8;
	pl_set_regs(t, &r);
	start(newproc(NULL, s), t);
}
static bool text(void *arg, struct pl_thread *t, uaddr_t a, uint64_t *id, uint64_t *off)
{
	*id = 1;
	*off = a;
	return true;
}
static const struct patch_ops pops = {text};
/* The program ends with its platform and guests as they are: what they hold is no leak. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }

int main(int argc, char **argv)
{
	log_init(2, LOG_DEBUG);
	filefd = memfd_create("test", 0);
	if (write(filefd, "FILE", 4) != 4 || ftruncate(filefd, 8192))
		return 1;
	S = sched_create(1);
	struct platform_options o = {.sched = S, .no_patch = argc > 1, .zygote_fd = -1};
	for (int i = 0; i < 4; i++)
		wait_queue_init(&sem[i].wq);
	ktime_t t0 = ktime_mono();
	int err = platform_create(&o, &P);
	printf("platform_create: %d, %ld us\n", err, (long)(ktime_mono() - t0) / 1000);
	if (err)
		return 1;
	platform_set_patch_ops(P, &pops, NULL);
	struct pl_prefetch pf[2] = {{PL_PF_SIZED, 1, 2, 4096}};
	platform_set_prefetch(P, 1, pf);
	fiber_wake(fiber_create(S, 0, "first", first, NULL));
	int code = sched_run(S);
	printf("exit %d\n", code);
	platform_destroy(P);
	return code;
}
