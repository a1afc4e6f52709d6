/* SPDX-License-Identifier: Apache-2.0 */
/* sysctl_ipc.c: the limits of the reader's IPC namespace in /proc/sys/kernel and /proc/sys/fs/mqueue; /proc/sys/fs/aio-*; /proc/sysvipc. */
#include "fs/proc/proc_internal.h"
#include "fs/proc/sysctl_ipc.h"
#include "kernel/ipc_ns.h"
#include <limits.h>
#include <linux/capability.h>

struct limit {
	size_t off;
	enum { INT, U64 } type;
	unsigned count;
	uint64_t min, max;
};
#define L(f, t, n, lo, hi) { offsetof(struct ipc_namespace, f), t, n, lo, hi }
static const struct limit limits[] = {
	[IPCCTL_SHMMAX] = L(shmmax, U64, 1, 0, UINT64_MAX),
	[IPCCTL_SHMALL] = L(shmall, U64, 1, 0, UINT64_MAX),
	[IPCCTL_SHMMNI] = L(shmmni, INT, 1, 0, IPC_IDX_MAX),
	[IPCCTL_SHM_RMID_FORCED] = L(shm_rmid_forced, INT, 1, 0, 1),
	[IPCCTL_SEM] = L(semmsl, INT, 4, 0, INT_MAX),
	[IPCCTL_MSGMAX] = L(msgmax, INT, 1, 0, INT_MAX),
	[IPCCTL_MSGMNB] = L(msgmnb, INT, 1, 0, INT_MAX),
	[IPCCTL_MSGMNI] = L(msgmni, INT, 1, 0, IPC_IDX_MAX),
	[IPCCTL_SEM_NEXT_ID] = L(ids[IPC_SEM].next_id, INT, 1, 0, INT_MAX),
	[IPCCTL_MSG_NEXT_ID] = L(ids[IPC_MSG].next_id, INT, 1, 0, INT_MAX),
	[IPCCTL_SHM_NEXT_ID] = L(ids[IPC_SHM].next_id, INT, 1, 0, INT_MAX),
	[IPCCTL_MQ_QUEUES_MAX] = L(mq_queues_max, INT, 1, 0, INT_MAX),
	[IPCCTL_MQ_MSG_MAX] = L(mq_msg_max, INT, 1, 1, 65536),
	[IPCCTL_MQ_MSGSIZE_MAX] = L(mq_msgsize_max, INT, 1, 128, 16 << 20),
	[IPCCTL_MQ_MSG_DEFAULT] = L(mq_msg_default, INT, 1, 1, 65536),
	[IPCCTL_MQ_MSGSIZE_DEFAULT] = L(mq_msgsize_default, INT, 1, 128, 16 << 20),
};

/* Words that calls read without a lock, or once under it: each is whole. */
int proc_show_ipc(struct pnode *n, struct strbuf *b)
{
	const struct limit *l = &limits[n->e->arg];
	const char *p = (const char *)task_ipc_ns(current) + l->off;

	for (unsigned i = 0; i < l->count; i++)
		if (l->type == U64)
			strbuf_printf(b, "%llu", (unsigned long long)READ_ONCE(((const uint64_t *)p)[i]));
		else
			strbuf_printf(b, i ? "\t%d" : "%d", READ_ONCE(((const int *)p)[i]));
	strbuf_printf(b, "\n");
	return 0;
}

ssize_t proc_write_ipc(struct pnode *n, char *s, size_t len)
{
	const struct limit *l = &limits[n->e->arg];
	struct ipc_namespace *ns = task_ipc_ns(current);
	char *p = (char *)ns + l->off, *end;
	uint64_t v[4];
	unsigned count = 0;

	for (; count < l->count; count++) {
		s += strspn(s, " \t\n");
		if (!*s)
			break;
		if (*s == '-')
			return -EINVAL;
		errno = 0;
		v[count] = strtoull(s, &end, 0);
		if (end == s || (*end && !strchr(" \t\n", *end)) || errno || v[count] < l->min || v[count] > l->max)
			return -EINVAL;
		s = end;
	}
	if (!count)
		return -EINVAL;
	if (n->e->arg == IPCCTL_SEM && count == 4 && v[3] > IPC_IDX_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++)
		if (l->type == U64)
			WRITE_ONCE(((uint64_t *)p)[i], v[i]);
		else
			WRITE_ONCE(((int *)p)[i], (int)v[i]);
	if (n->e->arg == IPCCTL_SHM_RMID_FORCED && v[0])
		ipc_shm_destroy_orphans(ns);
	return len;
}

int proc_show_aio(struct pnode *n, struct strbuf *b)
{
	struct kernel *k = pnode_kernel(n);

	strbuf_printf(b, "%llu\n", (unsigned long long)atomic_load(n->e->arg ? &k->aio_max_nr : &k->aio_nr));
	return 0;
}

ssize_t proc_write_aio(struct pnode *n, char *s, size_t len)
{
	char *end;
	uint64_t v;

	if (!cred_has_cap(current->cred, CAP_SYS_ADMIN))
		return -EPERM;
	s += strspn(s, " \t\n");
	errno = 0;
	v = strtoull(s, &end, 0);
	if (end == s || *s == '-' || (*end && !strchr(" \t\n", *end)) || errno)
		return -EINVAL;
	atomic_store(&pnode_kernel(n)->aio_max_nr, v);
	return len;
}

static int show_sem(struct task *t, struct strbuf *b)
{
	ipc_show_sem(t->ipc_ns, b);
	return 0;
}

static int show_msg(struct task *t, struct strbuf *b)
{
	ipc_show_msg(t->ipc_ns, b);
	return 0;
}

static int show_shm(struct task *t, struct strbuf *b)
{
	ipc_show_shm(t->ipc_ns, b);
	return 0;
}

void proc_sysvipc_init(void)
{
	proc_sysvipc_register("msg", show_msg);
	proc_sysvipc_register("sem", show_sem);
	proc_sysvipc_register("shm", show_shm);
}
