/* SPDX-License-Identifier: Apache-2.0 */
/* sysv_msg.c: System V message queues: msgget(2), msgop(2), msgctl(2).
 *
 * OVERVIEW: a message goes straight to the first waiting receiver that wants it, else to the queue's end. Senders without room wait in
 * order; each look at the queue after a message left wakes them, and they try again.
 * LOCKS: ids[IPC_MSG].lock. A waiter stands on its fiber's stack and is taken off its list before it is completed. */
#include "ipc/sysv.h"
#include <stdio.h>
#include <sys/msg.h>

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
#define MSG_MAX_BYTES (1UL << 24) /* whatever msgmax says */

struct msg { TAILQ_ENTRY(msg) link; int64_t type; size_t len; char data[]; };
enum search { ANY, EQUAL, NOT_EQUAL, LESS_EQUAL, NUMBER };
struct msg_receiver {
	struct ipc_waiter w;
	TAILQ_ENTRY(msg_receiver) link;
	int64_t type;
	enum search how;
	size_t size;
	bool truncate;
	struct msg *got;
};
DEFINE_FREE(msg, struct msg *, free(_p));
struct msg_sender { struct ipc_waiter w; TAILQ_ENTRY(msg_sender) link; };
struct msg_queue {
	struct ipc_object o;
	TAILQ_HEAD(, msg) msgs;
	TAILQ_HEAD(, msg_receiver) receivers;
	TAILQ_HEAD(, msg_sender) senders;
	uint64_t bytes, count, max_bytes;
	int64_t stime, rtime, ctime;
	void *lspid, *lrpid;
};
struct msqid64_ds_k {
	struct ipc64_perm_k perm;
	uint64_t stime, rtime, ctime, cbytes, qnum, qbytes;
	int32_t lspid, lrpid;
	uint64_t unused[2];
};
_Static_assert(sizeof(struct msqid64_ds_k) == 120, "msqid64_ds");

static struct msg_queue *find(struct ipc_namespace *ns, int id) { return (void *)ipc_find(&ns->ids[IPC_MSG], id); }

static bool matches(const struct msg *m, int64_t type, enum search how)
{
	switch (how) {
	case ANY:
	case NUMBER: return true;
	case EQUAL: return m->type == type;
	case NOT_EQUAL: return m->type != type;
	case LESS_EQUAL: return m->type <= type;
	}
	return false;
}

long ipc_msgget(struct ipc_namespace *ns, int32_t key, int flags)
{
	struct ipc_ids *ids = &ns->ids[IPC_MSG];
	struct msg_queue *q;
	bool create;
	long r;

	guard(mutex)(&ids->lock);
	r = ipc_get(ns, IPC_MSG, key, flags, NULL, 0, &create);
	if (!create)
		return r;
	q = new(struct msg_queue);
	TAILQ_INIT(&q->msgs);
	TAILQ_INIT(&q->receivers);
	TAILQ_INIT(&q->senders);
	q->max_bytes = ns->msgmnb;
	q->ctime = ipc_seconds();
	r = ipc_add(ids, &q->o, key, flags, ns->msgmni);
	if (r < 0)
		free(q);
	return r;
}

/* ---- send ---- */

static bool fits(const struct msg_queue *q, size_t len) { return len + q->bytes <= q->max_bytes && 1 + q->count <= q->max_bytes; }

/* To a receiver that waits for such a message: true. */
static bool hand_over(struct ipc_namespace *ns, struct msg_queue *q, struct msg *m)
{
	struct msg_receiver *r, *next;

	TAILQ_FOREACH_SAFE(r, &q->receivers, link, next) {
		if (!matches(m, r->type, r->how))
			continue;
		TAILQ_REMOVE(&q->receivers, r, link);
		if (r->size < m->len && !r->truncate) {
			ipc_complete(&r->w, -E2BIG);
			continue;
		}
		r->got = m;
		(void)ns;
		q->rtime = ipc_seconds();
		ipc_complete(&r->w, 0);
		return true;
	}
	return false;
}

static long send_locked(struct ipc_namespace *ns, int id, struct msg **m, int flags)
{
	struct ipc_ids *ids = &ns->ids[IPC_MSG];
	struct msg_queue *q = find(ns, id);
	long r;

	if (!q)
		return -EINVAL;
	for (;;) {
		struct msg_sender s = { .w = { .fiber = fiber_self(), .status = 1 } };

		r = ipc_permission(ns, &q->o, 0222);
		if (r)
			return r;
		if (fits(q, (*m)->len))
			break;
		if (flags & IPC_NOWAIT)
			return -EAGAIN;
		TAILQ_INSERT_TAIL(&q->senders, &s, link);
		r = ipc_wait(ns, &ids->lock, &s.w, KTIME_MAX);
		if (r) {
			TAILQ_REMOVE(&q->senders, &s, link);
			return -ERESTARTNOHAND;
		}
		q = find(ns, id);
		if (s.w.status || !q)
			return -EIDRM;
	}
	ipc_set_pid(ns, &q->lspid);
	q->stime = ipc_seconds();
	if (!hand_over(ns, q, *m)) {
		TAILQ_INSERT_TAIL(&q->msgs, *m, link);
		q->bytes += (*m)->len;
		q->count++;
		ns->msg_bytes += (*m)->len;
		ns->msg_count++;
	}
	*m = NULL;
	return 0;
}

long ipc_msgsnd(struct ipc_namespace *ns, int msqid, uaddr_t msgp, size_t size, int flags)
{
	struct msg *m __free(msg) = NULL;
	int64_t type;
	long r;

	if (get_user(type, msgp))
		return -EFAULT;
	if (size > (size_t)READ_ONCE(ns->msgmax) || size > MSG_MAX_BYTES || msqid < 0 || type < 1)
		return -EINVAL;
	m = kzalloc(sizeof(*m) + size);
	if (!m)
		return -ENOMEM;
	m->type = type;
	m->len = size;
	if (copy_from_user(m->data, msgp + 8, size))
		return -EFAULT;
	mutex_lock(&ns->ids[IPC_MSG].lock);
	r = send_locked(ns, msqid, &m, flags);
	mutex_unlock(&ns->ids[IPC_MSG].lock);
	return r;
}

/* ---- receive ---- */

static struct msg *search(struct msg_queue *q, int64_t type, enum search how)
{
	struct msg *m, *best = NULL;
	int64_t n = 0;

	TAILQ_FOREACH(m, &q->msgs, link) {
		if (how == NUMBER) {
			if (n++ == type)
				return m;
		} else if (how == LESS_EQUAL) {
			if (m->type <= type && (!best || m->type < best->type))
				best = m;
		} else if (matches(m, type, how)) {
			return m;
		}
	}
	return best;
}

static void wake_senders(struct msg_queue *q)
{
	struct msg_sender *s;

	while ((s = TAILQ_FIRST(&q->senders))) {
		TAILQ_REMOVE(&q->senders, s, link);
		ipc_complete(&s->w, 0);
	}
}

static struct msg *copy_msg(const struct msg *m)
{
	struct msg *c = kzalloc(sizeof(*c) + m->len);

	if (c) {
		c->type = m->type;
		c->len = m->len;
		memcpy(c->data, m->data, m->len);
	}
	return c;
}

static long receive_locked(struct ipc_namespace *ns, int id, struct msg_receiver *rc, int flags, struct msg **out)
{
	struct ipc_ids *ids = &ns->ids[IPC_MSG];
	struct msg_queue *q = find(ns, id);
	struct msg *m;
	long r;

	if (!q)
		return -EINVAL;
	r = ipc_permission(ns, &q->o, 0444);
	if (r)
		return r;
	m = search(q, rc->type, rc->how);
	if (m) {
		if (rc->size < m->len && !rc->truncate)
			return -E2BIG;
		if (flags & MSG_COPY) {
			*out = copy_msg(m);
			return *out ? 0 : -ENOMEM;
		}
		TAILQ_REMOVE(&q->msgs, m, link);
		q->count--;
		q->bytes -= m->len;
		ns->msg_count--;
		ns->msg_bytes -= m->len;
		q->rtime = ipc_seconds();
		ipc_set_pid(ns, &q->lrpid);
		wake_senders(q);
		*out = m;
		return 0;
	}
	if (flags & IPC_NOWAIT)
		return -ENOMSG;
	TAILQ_INSERT_TAIL(&q->receivers, rc, link);
	r = ipc_wait(ns, &ids->lock, &rc->w, KTIME_MAX);
	if (r) {
		TAILQ_REMOVE(&q->receivers, rc, link);
		return -ERESTARTNOHAND;
	}
	if (rc->w.status)
		return rc->w.status;
	if ((q = find(ns, id)))
		ipc_set_pid(ns, &q->lrpid);
	*out = rc->got;
	return 0;
}

long ipc_msgrcv(struct ipc_namespace *ns, int msqid, uaddr_t msgp, size_t size, int64_t type, int flags)
{
	struct msg_receiver rc = { .w = { .fiber = fiber_self(), .status = 1 }, .type = type, .size = size, .truncate = flags & MSG_NOERROR };
	struct msg *m __free(msg) = NULL;
	long r;

	if (msqid < 0 || (int64_t)size < 0)
		return -EINVAL;
	if (flags & MSG_COPY) {
		if ((flags & MSG_EXCEPT) || !(flags & IPC_NOWAIT))
			return -EINVAL;
		rc.how = NUMBER;
	} else if (!type) {
		rc.how = ANY;
	} else if (type < 0) {
		rc.how = LESS_EQUAL;
		rc.type = type == INT64_MIN ? INT64_MAX : -type;
	} else {
		rc.how = flags & MSG_EXCEPT ? NOT_EQUAL : EQUAL;
	}
	mutex_lock(&ns->ids[IPC_MSG].lock);
	r = receive_locked(ns, msqid, &rc, flags, &m);
	mutex_unlock(&ns->ids[IPC_MSG].lock);
	if (r)
		return r;
	size = MIN(size, m->len);
	if (put_user(m->type, msgp) || copy_to_user(msgp + 8, m->data, size))
		return -EFAULT;
	return size;
}

/* ---- msgctl ---- */

static void destroy(struct ipc_namespace *ns, struct msg_queue *q)
{
	struct msg_receiver *r;
	struct msg_sender *s;
	struct msg *m;

	while ((r = TAILQ_FIRST(&q->receivers))) {
		TAILQ_REMOVE(&q->receivers, r, link);
		ipc_complete(&r->w, -EIDRM);
	}
	while ((s = TAILQ_FIRST(&q->senders))) {
		TAILQ_REMOVE(&q->senders, s, link);
		ipc_complete(&s->w, -EIDRM);
	}
	while ((m = TAILQ_FIRST(&q->msgs))) {
		TAILQ_REMOVE(&q->msgs, m, link);
		ns->msg_bytes -= m->len;
		ns->msg_count--;
		free(m);
	}
	if (q->lspid)
		ns->ops->pid_put(q->lspid);
	if (q->lrpid)
		ns->ops->pid_put(q->lrpid);
	ipc_remove(&ns->ids[IPC_MSG], &q->o);
	free(q);
}

void ipc_msg_destroy_all(struct ipc_namespace *ns)
{
	struct msg_queue *q;

	guard(mutex)(&ns->ids[IPC_MSG].lock);
	ipc_for_each(q, &ns->ids[IPC_MSG])
		destroy(ns, q);
}

static long msg_info(struct ipc_namespace *ns, int cmd, uaddr_t buf)
{
	struct ipc_ids *ids = &ns->ids[IPC_MSG];
	struct msginfo i = { .msgssz = 16, .msgseg = 0xffff };
	int max;

	mutex_lock(&ids->lock);
	i.msgmni = ns->msgmni;
	i.msgmax = ns->msgmax;
	i.msgmnb = ns->msgmnb;
	if (cmd == MSG_INFO) {
		i.msgpool = ids->in_use;
		i.msgmap = (int)MIN(ns->msg_count, (uint64_t)INT32_MAX);
		i.msgtql = (int)MIN(ns->msg_bytes, (uint64_t)INT32_MAX);
	} else {
		i.msgmap = ns->msgmnb;
		i.msgpool = (int64_t)ns->msgmni * ns->msgmnb / 1024;
		i.msgtql = ns->msgmnb;
	}
	max = ipc_max_idx(ids);
	mutex_unlock(&ids->lock);
	return copy_to_user(buf, &i, sizeof(i)) ? -EFAULT : MAX(max, 0);
}

static long msg_stat(struct ipc_namespace *ns, int id, int cmd, uaddr_t buf)
{
	struct ipc_ids *ids = &ns->ids[IPC_MSG];
	struct msqid64_ds_k ds = { 0 };
	struct msg_queue *q;
	long r;

	mutex_lock(&ids->lock);
	q = (void *)(cmd == IPC_STAT ? ipc_find(ids, id) : ipc_find_idx(ids, id));
	r = !q ? -EINVAL : cmd == MSG_STAT_ANY ? 0 : ipc_permission(ns, &q->o, 0444);
	if (!r) {
		ipc_perm_out(&q->o, &ds.perm);
		ds.stime = q->stime;
		ds.rtime = q->rtime;
		ds.ctime = q->ctime;
		ds.cbytes = q->bytes;
		ds.qnum = q->count;
		ds.qbytes = q->max_bytes;
		ds.lspid = ns->ops->pid_nr(q->lspid);
		ds.lrpid = ns->ops->pid_nr(q->lrpid);
		r = cmd == IPC_STAT ? 0 : q->o.id;
	}
	mutex_unlock(&ids->lock);
	return r >= 0 && copy_to_user(buf, &ds, sizeof(ds)) ? -EFAULT : r;
}

static long msg_change(struct ipc_namespace *ns, int id, int cmd, uaddr_t buf)
{
	struct ipc_ids *ids = &ns->ids[IPC_MSG];
	struct msg_receiver *rc;
	struct msqid64_ds_k ds;
	struct msg_queue *q;
	int r;

	if (cmd == IPC_SET && copy_from_user(&ds, buf, sizeof(ds)))
		return -EFAULT;
	guard(mutex)(&ids->lock);
	q = find(ns, id);
	if (!q)
		return -EINVAL;
	if (!ipc_is_owner(ns, &q->o, CAP_SYS_ADMIN))
		return -EPERM;
	if (cmd == IPC_RMID) {
		destroy(ns, q);
		return 0;
	}
	if (ds.qbytes > (uint64_t)ns->msgmnb && !ns_capable(fiber_context()->cred, ns->user_ns, CAP_SYS_RESOURCE))
		return -EPERM;
	r = ipc_perm_set(&q->o, &ds.perm);
	if (r)
		return r;
	q->max_bytes = ds.qbytes;
	q->ctime = ipc_seconds();
	/* Who sleeps looks at the new permissions and room (Linux: EAGAIN makes receivers look again). */
	while ((rc = TAILQ_FIRST(&q->receivers))) {
		TAILQ_REMOVE(&q->receivers, rc, link);
		ipc_complete(&rc->w, -ERESTARTNOINTR);
	}
	wake_senders(q);
	return 0;
}

long ipc_msgctl(struct ipc_namespace *ns, int msqid, int cmd, uaddr_t buf)
{
	if (msqid < 0 || cmd < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case MSG_INFO: return msg_info(ns, cmd, buf);
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY: return msg_stat(ns, msqid, cmd, buf);
	case IPC_SET:
	case IPC_RMID: return msg_change(ns, msqid, cmd, buf);
	default: return -EINVAL;
	}
}

void ipc_show_msg(struct ipc_namespace *ns, struct strbuf *b)
{
	struct msg_queue *q;
	struct ipc64_perm_k p;

	strbuf_puts(b, "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime      ctime\n");
	guard(mutex)(&ns->ids[IPC_MSG].lock);
	ipc_for_each(q, &ns->ids[IPC_MSG]) {
		ipc_perm_out(&q->o, &p);
		strbuf_printf(b, "%10d %10d  %4o  %10llu %10llu %5d %5d %5u %5u %5u %5u %10lld %10lld %10lld\n", p.key, q->o.id, p.mode,
			      (unsigned long long)q->bytes, (unsigned long long)q->count, ns->ops->pid_nr(q->lspid), ns->ops->pid_nr(q->lrpid),
			      p.uid, p.gid, p.cuid, p.cgid, (long long)q->stime, (long long)q->rtime, (long long)q->ctime);
	}
}
