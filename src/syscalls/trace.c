/* SPDX-License-Identifier: Apache-2.0 */
/* trace.c: --strace: one line a call, in strace's manner, decoded by the table's argument formats. */
#include "kernel/trace.h"
#include "syscalls/proto.h"
#include "syscalls/syscalls.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define STR_SHOWN 64

struct name { uint64_t bit; const char *name; };
#define N(x) { x, #x }

static void put_flags(struct strbuf *b, uint64_t v, const struct name *n, size_t cnt, const char *zero)
{
	bool any = false;
	for (size_t i = 0; i < cnt; i++)
		if (n[i].bit && (v & n[i].bit) == n[i].bit) {
			strbuf_printf(b, "%s%s", any ? "|" : "", n[i].name);
			v &= ~n[i].bit;
			any = true;
		}
	if (v)
		strbuf_printf(b, "%s%#lx", any ? "|" : "", (unsigned long)v);
	else if (!any)
		strbuf_printf(b, "%s", zero);
}

static void put_quoted(struct strbuf *b, const char *s, size_t n, bool more)
{
	strbuf_printf(b, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = s[i];
		if (c == '\n')
			strbuf_printf(b, "\\n");
		else if (c == '\t')
			strbuf_printf(b, "\\t");
		else if (c == '\r')
			strbuf_printf(b, "\\r");
		else if (c == '"' || c == '\\')
			strbuf_printf(b, "\\%c", c);
		else if (c >= 32 && c < 127)
			strbuf_printf(b, "%c", c);
		else if (i + 1 < n && s[i + 1] >= '0' && s[i + 1] <= '9')
			strbuf_printf(b, "\\%03o", c);
		else
			strbuf_printf(b, "\\%o", c);
	}
	strbuf_printf(b, "\"%s", more ? "..." : "");
}

static void put_string(struct strbuf *b, uaddr_t p, size_t max)
{
	char buf[256];
	if (!p) {
		strbuf_printf(b, "NULL");
		return;
	}
	max = MIN(max, sizeof(buf) - 1);
	ssize_t n = strncpy_from_user(buf, p, max + 1);
	if (n == -ENAMETOOLONG) {
		n = copy_from_user_partial(buf, p, max);
		put_quoted(b, buf, n, true);
	} else if (n < 0) {
		strbuf_printf(b, "%#lx", p);
	} else {
		put_quoted(b, buf, n, false);
	}
}

static void put_buffer(struct strbuf *b, uaddr_t p, int64_t len)
{
	char buf[STR_SHOWN];
	if (!p || len < 0) {
		strbuf_printf(b, p ? "%#lx" : "NULL", p);
		return;
	}
	size_t n = copy_from_user_partial(buf, p, MIN((size_t)len, sizeof(buf)));
	if (!n && len)
		strbuf_printf(b, "%#lx", p);
	else
		put_quoted(b, buf, n, (size_t)len > n);
}

static void put_strv(struct strbuf *b, uaddr_t p)
{
	strbuf_printf(b, "[");
	for (int i = 0; p; i++) {
		uint64_t s;
		if (get_user(s, p + i * 8)) {
			strbuf_printf(b, "?");
			break;
		}
		if (!s)
			break;
		if (i == 16) {
			strbuf_printf(b, ", ...");
			break;
		}
		if (i)
			strbuf_printf(b, ", ");
		put_string(b, s, STR_SHOWN);
	}
	strbuf_printf(b, "]");
}

static void put_open_flags(struct strbuf *b, uint64_t v)
{
	static const char *const acc[] = { "O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE" };
	static const struct name n[] = { N(O_CREAT), N(O_EXCL), N(O_NOCTTY), N(O_TRUNC), N(O_APPEND), N(O_NONBLOCK), N(O_SYNC), N(O_DSYNC),
		N(O_CLOEXEC), N(O_TMPFILE), N(O_DIRECTORY), N(O_NOFOLLOW), N(O_PATH), N(O_NOATIME), N(O_DIRECT), { 0100000, "O_LARGEFILE" } };
	strbuf_printf(b, "%s", acc[v & 3]);
	if (v & ~3ULL) {
		strbuf_printf(b, "|");
		put_flags(b, v & ~3ULL, n, ARRAY_SIZE(n), "");
	}
}

static const char *signal_name(int s)
{
	const char *n = s > 0 && s < 32 ? sigabbrev_np(s) : NULL;
	return n;
}

static void put_sockaddr(struct strbuf *b, uaddr_t p, int len)
{
	uint8_t sa[128] = { 0 };
	if (!p || len < 2 || copy_from_user(sa, p, MIN((size_t)len, sizeof(sa)))) {
		strbuf_printf(b, p ? "%#lx" : "NULL", p);
		return;
	}
	uint16_t af;
	memcpy(&af, sa, 2);
	if (af == AF_UNIX) {
		size_t n = MIN((size_t)len, sizeof(sa)) - 2;
		strbuf_printf(b, "{AF_UNIX, ");
		put_quoted(b, (char *)sa + 2, sa[2] ? strnlen((char *)sa + 2, n) : n, false);
		strbuf_printf(b, "}");
	} else if (af == AF_INET && len >= 8) {
		strbuf_printf(b, "{AF_INET, %u.%u.%u.%u:%u}", sa[4], sa[5], sa[6], sa[7], sa[2] << 8 | sa[3]);
	} else {
		strbuf_printf(b, "{family %u, length %d}", af, len);
	}
}

static void put_arg(struct strbuf *b, struct task *t, unsigned i, uint8_t fmt, const struct syscall_args *a, int64_t result)
{
	static const struct name prot[] = { N(PROT_READ), N(PROT_WRITE), N(PROT_EXEC) };
	static const struct name mapf[] = { N(MAP_SHARED), N(MAP_PRIVATE), N(MAP_FIXED), N(MAP_ANONYMOUS), N(MAP_GROWSDOWN), N(MAP_DENYWRITE),
		N(MAP_NORESERVE), N(MAP_POPULATE), N(MAP_NONBLOCK), N(MAP_STACK), N(MAP_HUGETLB), N(MAP_FIXED_NOREPLACE) };
	static const struct name clonef[] = { N(CLONE_VM), N(CLONE_FS), N(CLONE_FILES), N(CLONE_SIGHAND), N(CLONE_PIDFD), N(CLONE_PTRACE),
		N(CLONE_VFORK), N(CLONE_PARENT), N(CLONE_THREAD), N(CLONE_NEWNS), N(CLONE_SYSVSEM), N(CLONE_SETTLS), N(CLONE_PARENT_SETTID),
		N(CLONE_CHILD_CLEARTID), N(CLONE_CHILD_SETTID), N(CLONE_NEWUTS), N(CLONE_NEWIPC), N(CLONE_NEWUSER), N(CLONE_NEWPID), N(CLONE_NEWNET) };
	static const char *const whence[] = { "SEEK_SET", "SEEK_CUR", "SEEK_END", "SEEK_DATA", "SEEK_HOLE" };
	uint64_t v = a->a[i], next = i < 5 ? a->a[i + 1] : 0;
	(void)t;
	switch (fmt) {
	case ARG_INT:
	case ARG_FD:
	case ARG_PID:
		strbuf_printf(b, "%d", (int)v);
		break;
	case ARG_DIRFD:
		if ((int)v == AT_FDCWD)
			strbuf_printf(b, "AT_FDCWD");
		else
			strbuf_printf(b, "%d", (int)v);
		break;
	case ARG_LONG:
		strbuf_printf(b, "%ld", (long)v);
		break;
	case ARG_UNSIGNED:
		strbuf_printf(b, "%u", (unsigned)v);
		break;
	case ARG_OCTAL:
		strbuf_printf(b, "0%o", (unsigned)v);
		break;
	case ARG_PATH:
		put_string(b, v, 255);
		break;
	case ARG_STRV:
		put_strv(b, v);
		break;
	case ARG_BUF_IN:
		put_buffer(b, v, MIN(next, (uint64_t)INT64_MAX));
		break;
	case ARG_BUF_OUT:
		if (result >= 0)
			put_buffer(b, v, result);
		else
			strbuf_printf(b, "%#lx", (unsigned long)v);
		break;
	case ARG_OPEN_FLAGS:
		put_open_flags(b, (unsigned)v);
		break;
	case ARG_MMAP_PROT:
		put_flags(b, v, prot, ARRAY_SIZE(prot), "PROT_NONE");
		break;
	case ARG_MMAP_FLAGS:
		put_flags(b, v, mapf, ARRAY_SIZE(mapf), "0");
		break;
	case ARG_CLONE_FLAGS: {
		const char *sig = signal_name(v & 0xff);
		put_flags(b, v & ~0xffULL, clonef, ARRAY_SIZE(clonef), "0");
		if (sig)
			strbuf_printf(b, "|SIG%s", sig);
		break;
	}
	case ARG_SIGNAL: {
		const char *sig = signal_name((int)v);
		if (sig)
			strbuf_printf(b, "SIG%s", sig);
		else
			strbuf_printf(b, "%d", (int)v);
		break;
	}
	case ARG_SIGSET: {
		uint64_t m;
		if (v && !get_user(m, v))
			strbuf_printf(b, "[%#lx]", m);
		else
			strbuf_printf(b, v ? "%#lx" : "NULL", (unsigned long)v);
		break;
	}
	case ARG_WHENCE:
		if (v < ARRAY_SIZE(whence))
			strbuf_printf(b, "%s", whence[v]);
		else
			strbuf_printf(b, "%d", (int)v);
		break;
	case ARG_TIMESPEC_IN:
	case ARG_TIMEVAL_IN: {
		int64_t ts[2];
		if (v && !copy_from_user(ts, v, sizeof(ts)))
			strbuf_printf(b, "{%ld, %ld}", ts[0], ts[1]);
		else
			strbuf_printf(b, v ? "%#lx" : "NULL", (unsigned long)v);
		break;
	}
	case ARG_SOCKADDR_IN:
		put_sockaddr(b, v, (int)next);
		break;
	case ARG_EPOLL_EVENT_IN: {
		struct epoll_event e;
		if (v && !copy_from_user(&e, v, sizeof(e)))
			strbuf_printf(b, "{events=%#x, data=%#lx}", e.events, (unsigned long)e.data.u64);
		else
			strbuf_printf(b, v ? "%#lx" : "NULL", (unsigned long)v);
		break;
	}
	case ARG_FUTEX_OP: {
		static const char *const ops[] = { "WAIT", "WAKE", "FD", "REQUEUE", "CMP_REQUEUE", "WAKE_OP", "LOCK_PI", "UNLOCK_PI", "TRYLOCK_PI",
			"WAIT_BITSET", "WAKE_BITSET", "WAIT_REQUEUE_PI", "CMP_REQUEUE_PI", "LOCK_PI2" };
		unsigned op = v & FUTEX_CMD_MASK;
		if (op < ARRAY_SIZE(ops))
			strbuf_printf(b, "FUTEX_%s", ops[op]);
		else
			strbuf_printf(b, "%u", op);
		if (v & FUTEX_PRIVATE_FLAG)
			strbuf_printf(b, "|FUTEX_PRIVATE_FLAG");
		if (v & FUTEX_CLOCK_REALTIME)
			strbuf_printf(b, "|FUTEX_CLOCK_REALTIME");
		break;
	}
	case ARG_AF: {
		static const struct name af[] = { { AF_UNIX, "AF_UNIX" }, { AF_INET, "AF_INET" }, { AF_INET6, "AF_INET6" }, { AF_NETLINK, "AF_NETLINK" } };
		const char *s = NULL;
		for (size_t k = 0; k < ARRAY_SIZE(af); k++)
			if (af[k].bit == v)
				s = af[k].name;
		if (s)
			strbuf_printf(b, "%s", s);
		else
			strbuf_printf(b, "%d", (int)v);
		break;
	}
	default:
		if (v)
			strbuf_printf(b, "%#lx", (unsigned long)v);
		else
			strbuf_printf(b, fmt == ARG_HEX || fmt == ARG_IOCTL ? "0" : "NULL");
	}
}

/* As strace(1) writes it, without a line's end. */
void syscall_format(struct strbuf *b, struct task *t, uint32_t nr, const struct syscall_args *a, int64_t result)
{
	const struct syscall_table *st = t->kernel->syscalls;
	const struct syscall_row *row = nr < st->count && st->rows[nr].name ? &st->rows[nr] : NULL;

	if (row)
		strbuf_printf(b, "%s(", row->name);
	else
		strbuf_printf(b, "syscall_%u(", nr);
	for (unsigned i = 0; i < 6; i++) {
		uint8_t fmt = row ? row->args[i] : ARG_HEX;
		if (fmt == ARG_NONE)
			break;
		if (i)
			strbuf_printf(b, ", ");
		put_arg(b, t, i, fmt, a, result);
	}
	if (nr == 60 || nr == 231)
		strbuf_printf(b, ") = ?");
	else if (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK)
		strbuf_printf(b, ") = ? %s", result == -ERESTARTSYS ? "ERESTARTSYS" : result == -ERESTARTNOINTR ? "ERESTARTNOINTR" :
			      result == -ERESTARTNOHAND ? "ERESTARTNOHAND" : "ERESTART_RESTARTBLOCK");
	else if (result < 0 && result >= -4095)
		strbuf_printf(b, ") = -1 %s (%s)", strerrorname_np(-result) ? strerrorname_np(-result) : "?", strerrordesc_np(-result) ? strerrordesc_np(-result) : "?");
	else if (nr == 9 || nr == 12 || nr == 25)
		strbuf_printf(b, ") = %#lx", (unsigned long)result);
	else
		strbuf_printf(b, ") = %ld", (long)result);
}

struct strace { struct trace_sink sink; int fd; };

static void strace_tell(struct trace_sink *s, const struct trace_event *e)
{
	struct strbuf b = { 0 };

	strbuf_printf(&b, "[%5d] ", task_tid(e->task, e->task->kernel->tasks.root));
	syscall_format(&b, e->task, e->nr, &e->task->args, e->result);
	strbuf_printf(&b, "\n");
	/* Best effort: a full pipe loses the line rather than stop the kernel. */
	if (b.s && write(((struct strace *)s)->fd, b.s, b.len) < 0)
		(void)0;
	strbuf_free(&b);
}

void strace_start(struct kernel *k, int fd, const uint64_t *calls)
{
	struct strace *s = new(struct strace);

	s->fd = fd;
	s->sink.points = 1u << TRACE_CALL_EXIT;
	memcpy(s->sink.calls, calls, sizeof(s->sink.calls));
	s->sink.tell = strace_tell;
	trace_add(k, &s->sink);
}

const char *syscall_set_parse(const char *list, uint64_t *set)
{
	static __thread char bad[64];
	const struct syscall_table *st = &syscall_table_x86_64;

	memset(set, 0, TRACE_WORDS * sizeof(*set));
	if (!list) {
		memset(set, 0xff, TRACE_WORDS * sizeof(*set));
		return NULL;
	}
	for (const char *end; ; list = end + 1) {
		size_t n = strcspn(list, ",");
		unsigned nr = 0;

		end = list + n;
		while (nr < st->count && (!st->rows[nr].name || strlen(st->rows[nr].name) != n || memcmp(st->rows[nr].name, list, n)))
			nr++;
		if (nr == st->count) {
			snprintf(bad, sizeof(bad), "%.*s", (int)MIN(n, sizeof(bad) - 1), list);
			return bad;
		}
		set[nr / 64] |= 1ULL << nr % 64;
		if (!*end)
			return NULL;
	}
}
