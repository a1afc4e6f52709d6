/* SPDX-License-Identifier: Apache-2.0 */
/* sysctl_ipc.h: the entries of sysctl.c's tables that belong to the IPC namespace: proc_show_ipc and proc_write_ipc with .arg. */
#ifndef BAILEY_FS_PROC_SYSCTL_IPC_H
#define BAILEY_FS_PROC_SYSCTL_IPC_H
#include "fs/proc/pseudo.h"

enum { IPCCTL_SHMMAX, IPCCTL_SHMALL, IPCCTL_SHMMNI, IPCCTL_SHM_RMID_FORCED, IPCCTL_SEM, IPCCTL_MSGMAX, IPCCTL_MSGMNB, IPCCTL_MSGMNI,
       IPCCTL_SEM_NEXT_ID, IPCCTL_MSG_NEXT_ID, IPCCTL_SHM_NEXT_ID, IPCCTL_MQ_QUEUES_MAX, IPCCTL_MQ_MSG_MAX, IPCCTL_MQ_MSGSIZE_MAX,
       IPCCTL_MQ_MSG_DEFAULT, IPCCTL_MQ_MSGSIZE_DEFAULT };
int proc_show_ipc(struct pnode *n, struct strbuf *b);
ssize_t proc_write_ipc(struct pnode *n, char *s, size_t len);
int proc_show_aio(struct pnode *n, struct strbuf *b);
ssize_t proc_write_aio(struct pnode *n, char *s, size_t len);
void proc_sysvipc_init(void);
#define P_IPC(n, a) P_FILE(n, 0644, proc_show_ipc, .write = proc_write_ipc, .arg = a)

#endif
