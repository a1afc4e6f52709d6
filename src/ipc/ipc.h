/* SPDX-License-Identifier: Apache-2.0 */
/* ipc.h: IPC namespaces (ipc_namespaces(7)) and System V semaphores, message queues and shared memory (sysvipc(7)).
 *
 * The calls act on the running fiber's credentials and address space. They know no tasks: who calls is told by ipc_ops. */
#ifndef BAILEY_IPC_IPC_H
#define BAILEY_IPC_IPC_H
#include "auth/cred.h"
#include "lib/lib.h"
#include "mm/uaccess.h"
#include "sched/sched.h"

/* What the floors above lend: identities of processes, as counted handles, and the notice that a call is about to sleep. */
struct ipc_ops {
	void *(*self)(void);	     /* the running process: counted */
	void (*pid_put)(void *pid);  /* may be called with locks held up to RANK_FS */
	int (*pid_nr)(void *pid);    /* as the running task sees it; 0: not at all. pid may be NULL */
	void (*will_block)(void);
	uint64_t (*memlock_limit)(void); /* RLIMIT_MEMLOCK of the running task */
};

enum ipc_kind { IPC_SEM, IPC_MSG, IPC_SHM, IPC_KINDS };
#define IPC_IDX_BITS 15 /* an id is a slot and a sequence number above it, as Linux makes them */
#define IPC_IDX_MAX (1 << IPC_IDX_BITS)

struct ipc_object; /* the common head of the three kinds */
struct ipc_ids {
	struct mutex lock; /* RANK_FS: this table and everything in its objects */
	struct ipc_object **slot;
	unsigned nslots, in_use;
	int last_idx, next_idx;
	unsigned seq;
	int next_id; /* /proc/sys/kernel/..._next_id: -1: none wished */
};

struct ipc_namespace {
	struct refcount ref;	 /* users: tasks, descriptors. Its objects go with the last one */
	struct refcount mem_ref; /* one for all users, one for each segment: keeps the struct */
	const struct ipc_ops *ops; /* immutable */
	struct user_namespace *user_ns; /* counted, immutable */
	uint64_t ns_ino;
	struct ipc_ids ids[IPC_KINDS];
	/* ids[IPC_SHM].lock */
	uint64_t shmmax, shmall, shm_total; /* bytes; pages; pages */
	int shmmni, shm_rmid_forced;
	/* ids[IPC_SEM].lock */
	int semmsl, semmns, semopm, semmni;
	int used_sems;
	/* ids[IPC_MSG].lock */
	int msgmax, msgmnb, msgmni;
	uint64_t msg_bytes, msg_count;
	/* mq_lock */
	struct mutex mq_lock; /* RANK_LEAF */
	unsigned mq_queues, mq_queues_max, mq_msg_max, mq_msgsize_max, mq_msg_default, mq_msgsize_default;
	_Atomic(void *) mq_sb; /* the namespace's mqueue super block; fs/mqueue */
	void (*mq_release)(struct ipc_namespace *ns); /* set with it */
};
struct ipc_namespace *ipc_ns_create(const struct ipc_ops *ops, struct user_namespace *user_ns, uint64_t ns_ino);
void ipc_ns_get(struct ipc_namespace *ns);
void ipc_ns_put(struct ipc_namespace *ns);
void ipc_ns_mem_put(struct ipc_namespace *ns);

/* A process's (or a CLONE_SYSVSEM group's) list of SEM_UNDO adjustments. */
struct sem_undo_list;
void sem_undo_list_get(struct sem_undo_list *l);
void sem_undo_list_put(struct sem_undo_list *l); /* the last one applies the adjustments, as exit(2) does */
struct sem_undo_list *sem_undo_list_create(struct ipc_namespace *ns);

/* The calls. Pointers are the guest's. */
long ipc_semget(struct ipc_namespace *ns, int32_t key, int nsems, int flags);
/* *undo is made when the call is the first that needs it. */
long ipc_semtimedop(struct ipc_namespace *ns, struct sem_undo_list **undo, int semid, uaddr_t sops, unsigned nsops,
		    const struct timespec *timeout /* NULL: none */);
long ipc_semctl(struct ipc_namespace *ns, int semid, int semnum, int cmd, uint64_t arg);
long ipc_msgget(struct ipc_namespace *ns, int32_t key, int flags);
long ipc_msgsnd(struct ipc_namespace *ns, int msqid, uaddr_t msgp, size_t size, int flags);
long ipc_msgrcv(struct ipc_namespace *ns, int msqid, uaddr_t msgp, size_t size, int64_t type, int flags);
long ipc_msgctl(struct ipc_namespace *ns, int msqid, int cmd, uaddr_t buf);
long ipc_shmget(struct ipc_namespace *ns, int32_t key, size_t size, int flags);
long ipc_shmat(struct ipc_namespace *ns, int shmid, uaddr_t addr, int flags);
long ipc_shmdt(uaddr_t addr);
long ipc_shmctl(struct ipc_namespace *ns, int shmid, int cmd, uaddr_t buf);

/* The text of /proc/sysvipc's files */
void ipc_show_sem(struct ipc_namespace *ns, struct strbuf *b);
void ipc_show_msg(struct ipc_namespace *ns, struct strbuf *b);
void ipc_show_shm(struct ipc_namespace *ns, struct strbuf *b);
void ipc_shm_destroy_orphans(struct ipc_namespace *ns); /* shm_rmid_forced was set */

#endif
