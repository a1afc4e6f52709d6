/* SPDX-License-Identifier: Apache-2.0 */
/* scm.c: control messages of AF_UNIX: descriptors and credentials. */
#include "net/unix/unix.h"
#include "kernel/pidfd.h"

#ifndef SCM_PIDFD
#define SCM_PIDFD 4
#endif

struct ucred_k { int32_t pid; uint32_t uid, gid; };

void unix_scm_free(struct unix_core *c, struct scm *scm)
{
	if (scm->files)
		unix_files_free(c, scm->files);
	if (scm->pid)
		pid_put(scm->pid);
	memset(scm, 0, sizeof(*scm));
}

void unix_scm_add_creds(struct scm *scm)
{
	scm->pid = current->tg->pid;
	pid_get(scm->pid);
	scm->uid = current->cred->uid;
	scm->gid = current->cred->gid;
}

static int add_rights(struct unix_core *core, struct scm *scm, const uint8_t *data, size_t len)
{
	unsigned n = MIN(len / sizeof(int), (size_t)SCM_MAX_FD_K + 1), have = scm->files ? scm->files->n : 0;
	(void)core;
	if (!n)
		return 0;
	if (n + have > SCM_MAX_FD_K)
		return -EINVAL;
	struct scm_files *fs = xzalloc(sizeof(*fs) + (n + have) * sizeof(fs->f[0]));
	if (have) {
		memcpy(fs->f, scm->files->f, have * sizeof(fs->f[0]));
		free(scm->files);
	}
	fs->n = have;
	scm->files = fs;
	for (unsigned i = 0; i < n; i++) {
		int fd;
		memcpy(&fd, data + i * sizeof(int), sizeof(fd));
		struct file *f = fd_get_raw(fiber_context()->fdt, fd);
		if (!f)
			return -EBADF;
		fs->f[fs->n++] = f;
	}
	return 0;
}

static int add_creds(struct scm *scm, const uint8_t *data, size_t len)
{
	struct task *t = current;
	struct cred *c = t->cred;
	struct ucred_k uc;
	if (len != sizeof(uc))
		return -EINVAL;
	memcpy(&uc, data, sizeof(uc));
	kuid_t ku = make_kuid(c->user_ns, uc.uid);
	kgid_t kg = make_kgid(c->user_ns, uc.gid);
	if (ku == KID_INVALID || kg == KID_INVALID)
		return -EINVAL;
	bool own = uc.pid == pid_nr(t->tg->pid, task_pid_ns(t));
	if ((!own && !cred_has_own_cap(c, CAP_SYS_ADMIN_)) ||
	    (ku != c->uid && ku != c->euid && ku != c->suid && !cred_has_own_cap(c, CAP_SETUID_)) ||
	    (kg != c->gid && kg != c->egid && kg != c->sgid && !cred_has_own_cap(c, CAP_SETGID_)))
		return -EPERM;
	struct pid *pid = pidns_find(t->kernel, task_pid_ns(t), uc.pid);
	if (!pid)
		return -ESRCH;
	if (scm->pid)
		pid_put(scm->pid);
	scm->pid = pid;
	scm->uid = ku;
	scm->gid = kg;
	return 0;
}

int unix_scm_send(struct unix_sock *u, struct kmsg *m, struct scm *scm)
{
	size_t at = 0;
	int r = 0;
	memset(scm, 0, sizeof(*scm));
	while (m->control_len - at >= sizeof(struct cmsghdr)) {
		struct cmsghdr h;
		memcpy(&h, m->control + at, sizeof(h));
		if (h.cmsg_len < sizeof(h) || h.cmsg_len > m->control_len - at) {
			r = -EINVAL;
			break;
		}
		const uint8_t *data = m->control + at + sizeof(h);
		size_t len = h.cmsg_len - sizeof(h), step = ALIGN_UP(h.cmsg_len, sizeof(size_t));
		if (h.cmsg_level == SOL_SOCKET) {
			if (h.cmsg_type == SCM_RIGHTS)
				r = add_rights(u->net->unix_core, scm, data, len);
			else if (h.cmsg_type == SCM_CREDENTIALS)
				r = add_creds(scm, data, len);
			else
				r = -EINVAL;
			if (r)
				break;
		}
		if (step > m->control_len - at)
			break;
		at += step;
	}
	if (r)
		unix_scm_free(u->net->unix_core, scm);
	return r;
}

/* The barrier makes sure that the collector does not count these files' references half-way: whoever reads it knows them reachable. */
struct scm_files *unix_scm_files_dup(struct unix_core *c, struct skb *b)
{
	struct scm_files *from = b->scm.files, *fs = xzalloc(sizeof(*fs) + from->n * sizeof(fs->f[0]));
	unix_gc_barrier_lock(c);
	for (unsigned i = 0; i < from->n; i++) {
		file_get(from->f[i]);
		fs->f[i] = from->f[i];
	}
	fs->n = from->n;
	unix_gc_barrier_unlock(c);
	return fs;
}

static void put_rights(struct kmsg *m, struct scm_files *fs)
{
	size_t at = ALIGN_UP(m->control_len, sizeof(size_t));
	size_t room = m->control_cap > at + sizeof(struct cmsghdr) ? (m->control_cap - at - sizeof(struct cmsghdr)) / sizeof(int) : 0;
	int fds[SCM_MAX_FD_K];
	unsigned n = 0;
	while (n < fs->n && n < room) {
		int fd = fd_install(fiber_context()->fdt, fs->f[n], m->flags & MSG_CMSG_CLOEXEC);
		if (fd < 0)
			break;
		fds[n++] = fd;
	}
	if (n < fs->n)
		m->out_flags |= MSG_CTRUNC;
	if (n)
		kmsg_put_cmsg(m, SOL_SOCKET, SCM_RIGHTS, fds, n * sizeof(int));
}

static void put_pidfd(struct kmsg *m, struct pid *pid)
{
	struct file *f;
	int fd = -ESRCH;
	if (m->control_cap < m->control_len + CMSG_LEN(sizeof(int))) {
		m->out_flags |= MSG_CTRUNC;
		return;
	}
	if (pid && !(fd = pidfd_file(pid, 0, &f))) {
		fd = fd_install(fiber_context()->fdt, f, true);
		file_put(f);
	}
	kmsg_put_cmsg(m, SOL_SOCKET, SCM_PIDFD, &fd, sizeof(fd));
}

/* Hand what came with a message to the receiver. */
void unix_scm_recv(struct unix_sock *u, struct kmsg *m, struct scm *scm)
{
	struct task *t = current;
	bool cred = READ_ONCE(u->passcred), pidfd = READ_ONCE(u->passpidfd);
	if (!cred && !pidfd && !scm->files)
		return;
	if (!m->control_cap) {
		m->out_flags |= MSG_CTRUNC;
		return;
	}
	if (cred) {
		struct ucred_k uc = { 0, OVERFLOW_ID, OVERFLOW_ID };
		if (scm->pid) {
			uc.pid = pid_nr(scm->pid, task_pid_ns(t));
			uc.uid = from_kuid(t->cred->user_ns, scm->uid);
			uc.gid = from_kgid(t->cred->user_ns, scm->gid);
		}
		kmsg_put_cmsg(m, SOL_SOCKET, SCM_CREDENTIALS, &uc, sizeof(uc));
	}
	if (scm->files)
		put_rights(m, scm->files);
	if (pidfd)
		put_pidfd(m, scm->pid);
}
