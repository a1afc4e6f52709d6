/* SPDX-License-Identifier: Apache-2.0 */
/* copy.c: guest memory from the kernel's side, and what the stub copies along with a call; CPU times. */
#include "platform/trap/trap.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Guest addresses end below the stub: it is no way to read or write slots. */
static size_t clip(uaddr_t a, size_t n)
{
	if (a >= PL_TASK_SIZE)
		return 0;
	return n > PL_TASK_SIZE - a ? PL_TASK_SIZE - a : n;
}

bool pl_space_alive(struct pl_space *s) { return s->nthreads && !s->dead; }

size_t pl_space_read(struct pl_space *s, void *dst, uaddr_t src, size_t n)
{
	struct iovec l = { dst, clip(src, n) }, r = { (void *)src, l.iov_len };
	ssize_t got;

	if (!l.iov_len)
		return 0;
	got = process_vm_readv(s->pid, &l, 1, &r, 1, 0);
	return got < 0 ? 0 : (size_t)got;
}

size_t pl_space_write(struct pl_space *s, uaddr_t dst, const void *src, size_t n)
{
	struct iovec l = { (void *)src, clip(dst, n) }, r = { (void *)dst, l.iov_len };
	ssize_t got;

	if (!l.iov_len)
		return 0;
	got = process_vm_writev(s->pid, &l, 1, &r, 1, 0);
	return got < 0 ? 0 : (size_t)got;
}

static size_t vec(struct pl_space *s, void *buf, const struct iovec *guest, int cnt, bool write)
{
	size_t done = 0;

	while (cnt > 0) {
		struct iovec r[64], l;
		int n = 0;
		size_t want = 0;
		bool end = false;
		ssize_t got;

		while (n < cnt && n < 64 && !end) {
			size_t len = guest[n].iov_len, ok = len ? clip((uaddr_t)guest[n].iov_base, len) : 0;

			r[n] = (struct iovec){ guest[n].iov_base, ok };
			want += ok;
			end = ok < len;
			n++;
		}
		l = (struct iovec){ (uint8_t *)buf + done, want };
		if (want) {
			got = write ? process_vm_writev(s->pid, &l, 1, r, (unsigned long)n, 0) :
				      process_vm_readv(s->pid, &l, 1, r, (unsigned long)n, 0);
			if (got > 0)
				done += (size_t)got;
			if (got != (ssize_t)want)
				return done;
		}
		if (end)
			return done;
		guest += n;
		cnt -= n;
	}
	return done;
}

size_t pl_space_readv(struct pl_space *s, void *dst, const struct iovec *guest, int cnt) { return vec(s, dst, guest, cnt, false); }
size_t pl_space_writev(struct pl_space *s, const struct iovec *guest, int cnt, const void *src)
{
	return vec(s, (void *)src, guest, cnt, true);
}

const void *pl_prefetched(struct pl_thread *t, uaddr_t src, size_t n, size_t *avail)
{
	for (uint32_t i = 0; i < t->nsnap; i++) {
		const struct slot_copy *c = &t->snap_at[i];

		if (src >= c->addr && src - c->addr <= c->len && n <= c->len - (src - c->addr)) {
			if (avail)
				*avail = c->len - (src - c->addr);
			return t->snap + c->off + (src - c->addr);
		}
	}
	return NULL;
}

bool platform_writes_at_once(struct platform *p) { return p->write_at_once; }

bool pl_copy_out(struct pl_thread *t, uaddr_t dst, const void *src, size_t n)
{
	struct slot_copy *c;

	uint32_t kind = t->line.info & EV_KIND;

	bool split = t->ncopies == 0 && n <= SLOT_BUF_SIZE - SLOT_COPY1_AT;

	if (t->ncopies == 0)
		t->zero_len = 0;
	if (t->ncopies == SLOT_MAX_COPIES || (t->ncopies && t->copies[0].off == SLOT_COPY_WINDOW) || clip(dst, n) != n || (kind && (kind != EV_SYSCALL || t->regs_dirty)))
		return false;
	if (!src && n <= t->zero_len) {
		t->copies[t->ncopies++] = (struct slot_copy){ dst, t->zero_at, (uint32_t)n };
		return true;
	}
	if (n > SLOT_BUF_SIZE - t->copy_used)
		return false;
	if (split)
		t->copy_used = SLOT_COPY1_AT;
	c = &t->copies[t->ncopies++];
	c->addr = dst;
	c->off = t->copy_used;
	c->len = (uint32_t)n;
	if (!src) {
		t->zero_at = t->copy_used;
		t->zero_len = (uint32_t)n;
		memset(t->slot->buf + t->copy_used, 0, n);
		if (split)
			memset(t->small, 0, sizeof(t->small));
	} else if (split) {
		/* The stub read them last: ask for all at once. */
		for (size_t at = 0; n > 256 && at < n - SLOT_INLINE; at += 64)
			__asm__ volatile("prefetchw %0" : : "m"(t->slot->buf[SLOT_COPY1_AT + SLOT_INLINE + at]));
		memcpy(t->small, src, MIN(n, SLOT_INLINE));
		if (n > SLOT_INLINE)
			memcpy(t->slot->buf + SLOT_COPY1_AT + SLOT_INLINE, (const uint8_t *)src + SLOT_INLINE, n - SLOT_INLINE);
	} else {
		memcpy(t->slot->buf + t->copy_used, src, n);
	}
	t->copy_used = (t->copy_used + (uint32_t)n + 15) & ~15u;
	if (t->copy_used > SLOT_BUF_SIZE)
		t->copy_used = SLOT_BUF_SIZE;
	return true;
}

bool pl_copies_wait(struct pl_thread *t) { return t->ncopies; }

bool pl_copies_flush(struct pl_thread *t)
{
	bool ok = true;

	for (uint32_t i = 0; i < t->ncopies; i++) {
		const struct slot_copy *c = &t->copies[i];
		uint32_t head = i || !c->off ? 0 : MIN(c->len, SLOT_INLINE);
		struct iovec l[2] = { { t->small, head }, { t->slot->buf + c->off + head, c->len - head } }, r = { (void *)c->addr, c->len };

		if (c->len && process_vm_writev(t->space->pid, l, 2, &r, 1, 0) != (ssize_t)c->len)
			ok = false;
	}
	t->ncopies = t->copy_used = t->zero_len = 0;
	return ok;
}

/* ---- residency ---- */

static uint64_t status_kb(const char *text, const char *name)
{
	const char *p = strstr(text, name);

	return p ? strtoull(p + strlen(name), NULL, 10) << 10 : 0;
}

bool pl_space_rss(struct pl_space *s, struct pl_rss *r)
{
	char buf[2048];
	ssize_t n;
	int fd;

	if (!s->pid || s->p->proc_fd < 0)
		return false;
	snprintf(buf, sizeof(buf), "%d/status", (int)s->pid);
	fd = openat(s->p->proc_fd, buf, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = 0;
	*r = (struct pl_rss){ status_kb(buf, "\nRssAnon:"), status_kb(buf, "\nRssFile:"), status_kb(buf, "\nRssShmem:"), status_kb(buf, "\nVmHWM:") };
	return r->peak != 0; /* a process that is ending has no memory any more */
}

bool pl_space_faults(struct pl_space *s, uint64_t *minor, uint64_t *major)
{
	char buf[1024], *p;
	unsigned long long min, max;
	ssize_t n;
	int fd;

	if (!s->pid || s->p->proc_fd < 0)
		return false;
	snprintf(buf, sizeof(buf), "%d/stat", (int)s->pid);
	fd = openat(s->p->proc_fd, buf, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = 0;
	p = strrchr(buf, ')'); /* behind it: state, ids, flags, then these */
	if (!p || sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %llu %*u %llu", &min, &max) != 2)
		return false;
	*minor = min;
	*major = max;
	return true;
}

size_t pl_space_pagemap(struct pl_space *s, uaddr_t addr, size_t n, uint64_t *words)
{
	char path[32];
	ssize_t r;
	int fd;

	if (!s->pid || s->p->proc_fd < 0)
		return 0;
	snprintf(path, sizeof(path), "%d/pagemap", (int)s->pid);
	fd = openat(s->p->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	r = pread(fd, words, n * sizeof(*words), (off_t)(addr / GUEST_PAGE_SIZE * sizeof(*words)));
	close(fd);
	return r < 0 ? 0 : (size_t)r / sizeof(*words);
}

/* ---- CPU time ---- */

ktime_t pl_space_cpu_time(struct pl_space *s)
{
	struct timespec ts;

	if (!s->pid || clock_gettime((clockid_t)((~(unsigned)s->pid) << 3 | 2), &ts))
		return s->cpu_time;
	return s->cpu_time = (ktime_t)ts.tv_sec * NSEC_PER_SEC + ts.tv_nsec;
}

ktime_t pl_thread_cpu_time(struct pl_thread *t)
{
	char path[64], buf[128];
	unsigned long ns;
	ssize_t n;
	int fd;

	t->cpu_seen = 0;
	if (t->space->nthreads == 1 || t->p->proc_fd < 0)
		return pl_space_cpu_time(t->space) / (t->space->nthreads ? t->space->nthreads : 1);
	snprintf(path, sizeof(path), "%d/task/%d/schedstat", (int)t->space->pid, (int)t->tid);
	fd = openat(t->p->proc_fd, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return pl_space_cpu_time(t->space) / t->space->nthreads;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return 0;
	buf[n] = 0;
	if (sscanf(buf, "%lu", &ns) != 1)
		return 0;
	t->cpu_seen = (ktime_t)ns;
	return t->cpu_seen - t->cpu_base;
}
