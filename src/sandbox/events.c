/* SPDX-License-Identifier: Apache-2.0 */
/* events.c: --events: a line of JSON for each point in the life of a task, and for chosen system calls before and after they are made. Names are
 * bytes: those above 127 are written as \u0080 to \u00ff. */
#include "kernel/trace.h"
#include "kernel/internal.h"
#include "mm/mm.h"
#include "sandbox/sandbox.h"
#include "syscalls/syscalls.h"
#include <sys/wait.h>
#include <unistd.h>

struct events { struct trace_sink sink; int fd; };

static void put_string(struct strbuf *b, const char *s, size_t n)
{
	strbuf_puts(b, "\"");
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s[i];
		if (c == '"' || c == '\\')
			strbuf_printf(b, "\\%c", c);
		else if (c < 32 || c > 126)
			strbuf_printf(b, "\\u%04x", c);
		else
			strbuf_write(b, &s[i], 1);
	}
	strbuf_puts(b, "\"");
}

#define ARGV_MAX 4096 /* bytes that are told */

static void put_program(struct strbuf *b, struct task *t, const struct exec_args *a)
{
	struct mm_layout *l = mm_layout(t->mm);
	__free(mem) void *mem = xzalloc(4096);
	char *s = mem;
	ssize_t n = l->exe ? file_d_path(l->exe, s, 4096) : 0;

	strbuf_puts(b, ",\"exe\":");
	put_string(b, s, n > 0 ? (size_t)n : 0);
	strbuf_puts(b, ",\"argv\":[");
	size_t len = MIN(a->envoff, (size_t)ARGV_MAX);
	for (size_t i = 0; i < len;) {
		size_t one = strnlen(a->buf + i, len - i);
		if (i)
			strbuf_puts(b, ",");
		put_string(b, a->buf + i, one);
		i += one + 1;
	}
	strbuf_puts(b, "]");
}

static void put_call(struct strbuf *b, const struct trace_event *e)
{
	const struct syscall_table *st = e->task->kernel->syscalls;

	strbuf_printf(b, ",\"nr\":%u,\"call\":\"%s\",\"args\":[", e->nr, e->nr < st->count && st->rows[e->nr].name ? st->rows[e->nr].name : "");
	for (int i = 0; i < 6; i++)
		strbuf_printf(b, i ? ",%llu" : "%llu", (unsigned long long)e->task->args.a[i]);
	strbuf_puts(b, "]");
	if (e->point == TRACE_CALL_EXIT) {
		struct strbuf text = { 0 };
		strbuf_printf(b, ",\"result\":%lld,\"text\":", (long long)e->result);
		syscall_format(&text, e->task, e->nr, &e->task->args, e->result);
		put_string(b, text.s, text.len);
		strbuf_free(&text);
	}
}

static void tell(struct trace_sink *s, const struct trace_event *e)
{
	static const char *const names[] = { [TRACE_START] = "start", [TRACE_CLONE] = "clone", [TRACE_EXEC] = "exec", [TRACE_EXIT] = "exit",
					     [TRACE_NO_CALL] = "unimplemented", [TRACE_CALL_ENTER] = "enter", [TRACE_CALL_EXIT] = "call" };
	struct task *t = e->task;
	struct pid_namespace *root = t->kernel->tasks.root;
	struct strbuf b = { 0 };
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	strbuf_printf(&b, "{\"time\":%lld.%09ld,\"event\":\"%s\",\"container\":%llu,\"pid\":%d,\"tid\":%d,\"ppid\":%d,\"uid\":%u,\"comm\":", (long long)now.tv_sec,
		      now.tv_nsec, names[e->point], (unsigned long long)t->tg->container->id, task_tgid(t, root), task_tid(t, root), task_ppid(t, root), t->cred->uid);
	put_string(&b, t->comm, strnlen(t->comm, sizeof(t->comm)));
	switch (e->point) {
	case TRACE_START:
	case TRACE_EXEC:
		put_program(&b, t, e->args);
		break;
	case TRACE_CLONE:
		strbuf_printf(&b, ",\"child\":%d,\"thread\":%s,\"flags\":%llu", task_tid(e->other, root), e->other->tg == t->tg ? "true" : "false",
			      (unsigned long long)e->flags);
		break;
	case TRACE_EXIT:
		if (WIFSIGNALED(e->status))
			strbuf_printf(&b, ",\"signal\":%d", WTERMSIG(e->status));
		else
			strbuf_printf(&b, ",\"status\":%d", WEXITSTATUS(e->status));
		strbuf_printf(&b, ",\"last\":%s", e->last ? "true" : "false");
		break;
	case TRACE_NO_CALL:
	case TRACE_CALL_ENTER:
	case TRACE_CALL_EXIT:
		put_call(&b, e);
		break;
	}
	strbuf_puts(&b, "}\n");
	/* As strace's: whoever does not read loses lines. */
	if (write(((struct events *)s)->fd, b.s, b.len) < 0)
		(void)0;
	strbuf_free(&b);
}

void events_start(struct kernel *k, int fd, const uint64_t *calls)
{
	struct events *ev = new(struct events);

	ev->fd = fd;
	ev->sink.points = 1u << TRACE_START | 1u << TRACE_CLONE | 1u << TRACE_EXEC | 1u << TRACE_EXIT | 1u << TRACE_NO_CALL;
	if (calls) {
		ev->sink.points |= 1u << TRACE_CALL_ENTER | 1u << TRACE_CALL_EXIT;
		memcpy(ev->sink.calls, calls, sizeof(ev->sink.calls));
	}
	ev->sink.tell = tell;
	trace_add(k, &ev->sink);
}
