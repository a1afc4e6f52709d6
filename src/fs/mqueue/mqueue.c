/* SPDX-License-Identifier: Apache-2.0 */
/* mqueue.c: POSIX message queues.
 *
 * OVERVIEW: each IPC namespace has one super block of type "mqueue", a flat directory whose files are the queues. mq_open(2) and mq_unlink(2)
 * are open and unlink in a private mount of it, so that permissions, O_EXCL and the umask are vfs's; the same queues show wherever the
 * file system is mounted. A queue descriptor is an open file of it.
 * LIFECYCLE: a name holds the inode, open files hold it too; the queue goes with the inode. The super block keeps the memory of its
 * namespace; the namespace's end drops the private mount.
 * LOCKS: directory entries under the directory's inode.lock; a queue under queue.lock (RANK_FS); counts of the namespace under ns.mq_lock.
 * Signals are sent after queue.lock is dropped. */
#include "fs/mqueue/mqueue.h"
#include "ipc/ipc.h"
#include "kernel/ipc_ns.h"
#include "kernel/pid.h"
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#define MQUEUE_MAGIC 0x19800202
#define PRIO_MAX_K 32768
#define HARD_MSG_MAX 65536
#define HARD_MSGSIZE_MAX (16 << 20)
#define SI_MESGQ_K (-3)

struct mq_message { TAILQ_ENTRY(mq_message) link; unsigned prio; size_t len; char data[]; };
struct notice { /* whom to tell, once */
	struct pid *pid; /* counted; NULL: nobody */
	struct user_namespace *user_ns; /* counted */
	struct mq_notify_k n;
};
struct queue {
	struct mutex lock;
	TAILQ_HEAD(mq_messages, mq_message) msgs; /* highest priority first, then oldest */
	int64_t maxmsg, msgsize, count;
	uint64_t bytes; /* in messages */
	unsigned receivers; /* asleep */
	struct wait_queue can_send, can_receive;
	/* mq_notify(3) */
	struct notice notice;
	/* immutable */
	uint64_t charge;
	kuid_t owner;
};
struct entry { TAILQ_ENTRY(entry) link; struct inode *inode; int64_t off; char name[]; };
struct charge { LIST_ENTRY(charge) link; kuid_t uid; uint64_t bytes; };
struct wanted { LIST_ENTRY(wanted) link; struct fiber *fiber; const struct mq_attr_k *attr; };
struct mq_super {
	struct ipc_namespace *ns; /* memory counted */
	TAILQ_HEAD(, entry) entries; /* root's inode.lock */
	int64_t next_off;
	/* ns.mq_lock */
	LIST_HEAD(, charge) charges;
	LIST_HEAD(, wanted) wanted; /* attributes for the file that a fiber is about to create */
};
struct mq_mount { struct mount_namespace *mnt; struct super_block *sb; }; /* ns.mq_sb */

static const struct inode_ops queue_ops, root_ops;
static struct mq_super *super_of(struct inode *i) { return i->sb->private; }

/* ---- limits ---- */

static bool privileged(void) { return cred_has_cap(fiber_context()->cred, CAP_SYS_RESOURCE); }

static int check_attr(struct ipc_namespace *ns, const struct mq_attr_k *a)
{
	if (a->maxmsg <= 0 || a->msgsize <= 0)
		return -EINVAL;
	if (privileged())
		return a->maxmsg > HARD_MSG_MAX || a->msgsize > HARD_MSGSIZE_MAX ? -EINVAL : 0;
	return a->maxmsg > ns->mq_msg_max || a->msgsize > ns->mq_msgsize_max ? -EINVAL : 0;
}

/* What Linux counts against RLIMIT_MSGQUEUE: the messages with their heads and the tree by priority. */
static uint64_t cost(const struct mq_attr_k *a) { return a->maxmsg * (a->msgsize + 48) + MIN(a->maxmsg, (int64_t)PRIO_MAX_K) * 48; }

static struct charge *charge_of(struct mq_super *ms, kuid_t uid)
{
	struct charge *c;

	LIST_FOREACH(c, &ms->charges, link)
		if (c->uid == uid)
			return c;
	c = new(struct charge);
	c->uid = uid;
	LIST_INSERT_HEAD(&ms->charges, c, link);
	return c;
}

static int charge_queue(struct mq_super *ms, const struct mq_attr_k *attr, kuid_t uid)
{
	uint64_t limit = task_rlimit(current, RLIMIT_MSGQUEUE), n = cost(attr);

	guard(mutex)(&ms->ns->mq_lock);
	if (ms->ns->mq_queues >= ms->ns->mq_queues_max && !privileged())
		return -ENOSPC;
	struct charge *c = charge_of(ms, uid);
	if (c->bytes + n > limit)
		return -EMFILE;
	c->bytes += n;
	ms->ns->mq_queues++;
	return 0;
}

/* ---- directory ---- */

static struct entry *find(struct mq_super *ms, const char *name, size_t len)
{
	struct entry *e;

	TAILQ_FOREACH(e, &ms->entries, link)
		if (!strncmp(e->name, name, len) && !e->name[len])
			return e;
	return NULL;
}

static int mq_lookup(struct inode *dir, const char *name, size_t len, struct inode **out)
{
	struct entry *e = find(super_of(dir), name, len);

	if (!e)
		return -ENOENT;
	inode_get(e->inode);
	*out = e->inode;
	return 0;
}

static void touch_dir(struct inode *dir)
{
	mutex_lock(&dir->attr_lock);
	dir->mtime = dir->ctime = dir->atime = vfs_now();
	mutex_unlock(&dir->attr_lock);
}

static int mq_create(struct inode *dir, const char *name, uint32_t mode, struct inode **out)
{
	struct mq_super *ms = super_of(dir);
	struct ipc_namespace *ns = ms->ns;
	struct mq_attr_k attr = { .maxmsg = MIN(ns->mq_msg_max, ns->mq_msg_default), .msgsize = MIN(ns->mq_msgsize_max, ns->mq_msgsize_default) };
	struct wanted *w;
	bool given = false;
	int r;

	if (!refcount_read(&ns->ref)) /* a mount has outlived its namespace */
		return -EACCES;
	mutex_lock(&ns->mq_lock);
	LIST_FOREACH(w, &ms->wanted, link)
		if (w->fiber == fiber_self()) {
			attr = *w->attr;
			given = true;
		}
	mutex_unlock(&ns->mq_lock);
	r = given ? check_attr(ns, &attr) : 0;
	if (r)
		return r;
	r = charge_queue(ms, &attr, fiber_context()->cred->uid);
	if (r)
		return r;
	struct queue *q = new(struct queue);
	mutex_init(&q->lock, RANK_FS);
	TAILQ_INIT(&q->msgs);
	q->maxmsg = attr.maxmsg;
	q->msgsize = attr.msgsize;
	q->charge = cost(&attr);
	q->owner = fiber_context()->cred->uid;
	wait_queue_init(&q->can_send);
	wait_queue_init(&q->can_receive);
	struct inode *i = inode_new(dir->sb, S_IFREG | (mode & 07777), &queue_ops);
	i->private = q;
	i->size = 80; /* the text's size, as Linux says */
	struct entry *e = xzalloc(sizeof(*e) + strlen(name) + 1);
	strcpy(e->name, name);
	e->off = ms->next_off++;
	e->inode = i;
	inode_get(i);
	TAILQ_INSERT_TAIL(&ms->entries, e, link);
	touch_dir(dir);
	*out = i;
	return 0;
}

static int mq_unlink_op(struct inode *dir, const char *name, struct inode *target)
{
	struct mq_super *ms = super_of(dir);
	struct entry *e = find(ms, name, strlen(name));

	if (!e)
		return -ENOENT;
	TAILQ_REMOVE(&ms->entries, e, link);
	touch_dir(dir);
	mutex_lock(&target->attr_lock);
	target->nlink--;
	target->ctime = vfs_now();
	mutex_unlock(&target->attr_lock);
	inode_put(e->inode);
	free(e);
	return 0;
}

static int mq_iterate(struct file *f, struct dir_context *c)
{
	struct mq_super *ms = super_of(f->inode);
	struct entry *e;

	guard(sleeplock)(&f->inode->lock);
	for (; c->pos < 2; c->pos++)
		if (!c->emit(c, "..", c->pos + 1, f->inode->ino, 4, c->pos + 1))
			return 0;
	TAILQ_FOREACH(e, &ms->entries, link) {
		if (e->off < c->pos)
			continue;
		if (!c->emit(c, e->name, strlen(e->name), e->inode->ino, 8, e->off + 1))
			break;
		c->pos = e->off + 1;
	}
	return 0;
}

static ssize_t dir_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	(void)f, (void)to, (void)pos;
	return -EISDIR;
}

static const struct file_ops dir_file_ops = { .read = dir_read, .iterate = mq_iterate, .llseek = generic_llseek };

static int dir_open(struct inode *i, struct file *f)
{
	(void)i;
	f->ops = &dir_file_ops;
	return 0;
}

static const struct inode_ops root_ops = { .lookup = mq_lookup, .create = mq_create, .unlink = mq_unlink_op, .open = dir_open };

/* ---- a queue as a file ---- */

static struct queue *queue_of(struct file *f) { return f->inode->private; }

static struct notice take_notice_locked(struct queue *q)
{
	struct notice w = q->notice;

	q->notice = (struct notice){ 0 };
	return w;
}

static void drop_notice(struct notice *w, int why)
{
	if (w->n.sock) {
		w->n.cookie[MQ_COOKIE_LEN - 1] = (uint8_t)why;
		w->n.post(w->n.sock, w->n.cookie);
		file_put(w->n.sock);
	}
	if (w->pid)
		pid_put(w->pid);
	if (w->user_ns)
		user_ns_put(w->user_ns);
}

static ssize_t queue_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct queue *q = queue_of(f);
	char s[80];
	int len;

	mutex_lock(&q->lock);
	len = snprintf(s, sizeof(s), "QSIZE:%-10llu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6d\n", (unsigned long long)q->bytes,
		       q->notice.pid ? q->notice.n.how : 0, q->notice.pid && q->notice.n.how == SIGEV_SIGNAL ? q->notice.n.signo : 0,
		       q->notice.pid ? pid_nr(q->notice.pid, task_pid_ns(current)) : 0);
	mutex_unlock(&q->lock);
	if (*pos < 0 || *pos >= len)
		return 0;
	size_t n = copy_to_iter(s + *pos, MIN((size_t)(len - *pos), to->count), to);
	*pos += n;
	return n ? (ssize_t)n : to->count ? -EFAULT : 0;
}

static unsigned queue_poll(struct file *f, struct poll_table *pt)
{
	struct queue *q = queue_of(f);
	int64_t count;

	poll_wait(f, &q->can_receive, pt);
	poll_wait(f, &q->can_send, pt);
	mutex_lock(&q->lock);
	count = q->count;
	mutex_unlock(&q->lock);
	return (count ? EPOLLIN | EPOLLRDNORM : 0) | (count < q->maxmsg ? EPOLLOUT | EPOLLWRNORM : 0);
}

/* Any close by the process that is to be notified ends that. */
static int queue_flush(struct file *f)
{
	struct queue *q = queue_of(f);
	struct notice w = { 0 };

	if (!fiber_context()->task)
		return 0;
	mutex_lock(&q->lock);
	if (q->notice.pid == current->tg->pid)
		w = take_notice_locked(q);
	mutex_unlock(&q->lock);
	drop_notice(&w, MQ_REMOVED);
	return 0;
}

static const struct file_ops queue_file_ops = { .read = queue_read, .llseek = generic_llseek, .poll = queue_poll, .flush = queue_flush };

static int queue_open(struct inode *i, struct file *f)
{
	(void)i;
	f->ops = &queue_file_ops;
	return 0;
}

static void queue_evict(struct inode *i)
{
	struct queue *q = i->private;
	struct mq_super *ms = super_of(i);
	struct mq_message *m;

	while ((m = TAILQ_FIRST(&q->msgs))) {
		TAILQ_REMOVE(&q->msgs, m, link);
		free(m);
	}
	drop_notice(&q->notice, MQ_REMOVED);
	mutex_lock(&ms->ns->mq_lock);
	ms->ns->mq_queues--;
	charge_of(ms, q->owner)->bytes -= q->charge;
	mutex_unlock(&ms->ns->mq_lock);
	free(q);
}

static const struct inode_ops queue_ops = { .open = queue_open, .evict = queue_evict };

/* ---- the file system ---- */

static int mq_statfs(struct super_block *sb, struct statfs *st)
{
	(void)sb;
	*st = (struct statfs){ .f_type = MQUEUE_MAGIC, .f_bsize = GUEST_PAGE_SIZE, .f_frsize = GUEST_PAGE_SIZE, .f_namelen = 255 };
	return 0;
}

static void mq_put_super(struct super_block *sb)
{
	struct mq_super *ms = sb->private;
	struct charge *c;

	while ((c = LIST_FIRST(&ms->charges))) {
		LIST_REMOVE(c, link);
		free(c);
	}
	ipc_ns_mem_put(ms->ns);
	free(ms);
}

static const struct super_ops super_ops = { .statfs = mq_statfs, .put_super = mq_put_super };

static struct super_block *make_super(struct kernel *k, struct ipc_namespace *ns)
{
	struct super_block *sb = super_new(k, "mqueue", &super_ops);
	struct mq_super *ms = new(struct mq_super);

	ms->ns = ns;
	refcount_get(&ns->mem_ref);
	TAILQ_INIT(&ms->entries);
	ms->next_off = 2;
	sb->magic = MQUEUE_MAGIC;
	sb->blksize = GUEST_PAGE_SIZE;
	sb->private = ms;
	sb->root = inode_new(sb, S_IFDIR | S_ISVTX | 0777, &root_ops);
	sb->root->nlink = 2;
	sb->root->uid = make_kuid(ns->user_ns, 0);
	sb->root->gid = make_kgid(ns->user_ns, 0);
	return sb;
}

/* The names hold their inodes, which hold the super block: they must go for it to go. */
static void drop_entries(struct super_block *sb)
{
	struct mq_super *ms = sb->private;
	struct inode *root = sb->root;
	struct entry *e;

	sleeplock_lock(&root->lock);
	while ((e = TAILQ_FIRST(&ms->entries))) {
		TAILQ_REMOVE(&ms->entries, e, link);
		inode_put(e->inode);
		free(e);
	}
	sleeplock_unlock(&root->lock);
}

static void release(struct ipc_namespace *ns)
{
	struct mq_mount *m = atomic_exchange(&ns->mq_sb, NULL);

	if (!m)
		return;
	drop_entries(m->sb);
	mount_ns_put(m->mnt);
	super_put(m->sb);
	free(m);
}

/* The namespace's queues: made when they are first asked for. */
static struct mq_mount *mq_of(struct kernel *k, struct ipc_namespace *ns)
{
	struct mq_mount *m = atomic_load(&ns->mq_sb), *mine;
	void *none = NULL;

	if (m)
		return m;
	mine = new(struct mq_mount);
	mine->sb = make_super(k, ns);
	mine->mnt = mount_ns_create(mine->sb, MS_NOSUID | MS_NODEV | MS_NOEXEC);
	if (atomic_compare_exchange_strong(&ns->mq_sb, &none, mine)) {
		ns->mq_release = release;
		return mine;
	}
	mount_ns_put(mine->mnt);
	super_put(mine->sb);
	free(mine);
	return none;
}

static int mq_mount(struct kernel *k, const char *source, unsigned long flags, const char *data, struct super_block **out)
{
	struct ipc_namespace *ns = fiber_context()->task ? task_ipc_ns(current) : k->root_ipc;
	struct mq_mount *m = mq_of(k, ns);

	(void)source, (void)flags, (void)data;
	super_get(m->sb);
	*out = m->sb;
	return 0;
}

void mqueue_register(void)
{
	static const struct file_system_type t = { .name = "mqueue", .mount = mq_mount, .nodev = true, .user_ns_ok = true };

	register_filesystem(&t);
}

/* ---- the calls ---- */

/* Work on names in the namespace's own mount: the fiber's root and directory are there meanwhile. */
static struct fs_context *enter(struct mq_mount *m, struct fs_context **saved)
{
	struct fiber_context *ctx = fiber_context();
	struct fs_context *fs;
	struct path root;

	mount_ns_root(m->mnt, &root);
	fs = fs_context_create(&root);
	path_put(&root);
	fs->umask = ctx->fs->umask;
	*saved = ctx->fs;
	ctx->fs = fs;
	return fs;
}

static void leave(struct fs_context *fs, struct fs_context *saved)
{
	fiber_context()->fs = saved;
	fs_context_put(fs);
}

static int check_name(const char *name)
{
	if (!*name)
		return -ENOENT;
	return strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, "..") ? -EACCES : 0;
}

long mqueue_open(struct task *t, const char *name, int oflag, uint32_t mode, const struct mq_attr_k *attr)
{
	struct mq_mount *m = mq_of(t->kernel, t->ipc_ns);
	struct mq_super *ms = m->sb->private;
	struct open_how_k how = { .flags = (oflag & (O_ACCMODE | O_CREAT | O_EXCL | O_NONBLOCK)) | O_NOFOLLOW, .mode = mode & 07777 };
	struct wanted w = { .fiber = fiber_self(), .attr = attr };
	struct fs_context *fs, *saved;
	struct file *f;
	int r = check_name(name);

	if (r)
		return r;
	if ((oflag & O_ACCMODE) == O_ACCMODE && (oflag & O_CREAT))
		return -EINVAL;
	if (attr) {
		mutex_lock(&ms->ns->mq_lock);
		LIST_INSERT_HEAD(&ms->wanted, &w, link);
		mutex_unlock(&ms->ns->mq_lock);
	}
	fs = enter(m, &saved);
	r = vfs_open(AT_FDCWD, name, &how, &f);
	leave(fs, saved);
	if (attr) {
		mutex_lock(&ms->ns->mq_lock);
		LIST_REMOVE(&w, link);
		mutex_unlock(&ms->ns->mq_lock);
	}
	if (r)
		return r;
	if ((oflag & O_ACCMODE) == O_ACCMODE) { /* known only of one that is there */
		file_put(f);
		return -EINVAL;
	}
	r = fd_install(t->fdt, f, oflag & O_CLOEXEC);
	file_put(f);
	return r;
}

long mqueue_unlink(struct task *t, const char *name)
{
	struct mq_mount *m = mq_of(t->kernel, t->ipc_ns);
	struct fs_context *fs, *saved;
	long r = check_name(name);

	if (r)
		return r;
	fs = enter(m, &saved);
	r = vfs_unlink(AT_FDCWD, name);
	leave(fs, saved);
	return r;
}

static int get_queue(struct task *t, int fd, unsigned mode, struct file **out)
{
	struct file *f = fd_get(t->fdt, fd);

	if (!f)
		return -EBADF;
	if (f->ops != &queue_file_ops || (mode && !(f->mode & mode))) {
		file_put(f);
		return -EBADF;
	}
	*out = f;
	return 0;
}

static void insert(struct queue *q, struct mq_message *m)
{
	struct mq_message *at;

	TAILQ_FOREACH_REVERSE(at, &q->msgs, mq_messages, link)
		if (at->prio >= m->prio)
			break;
	if (at)
		TAILQ_INSERT_AFTER(&q->msgs, at, m, link);
	else
		TAILQ_INSERT_HEAD(&q->msgs, m, link);
	q->count++;
	q->bytes += m->len;
}

/* A message came to an empty queue that nobody waits on: tell who asked, once. */
static void notify(struct task *t, struct notice *w)
{
	const struct mq_notify_k *n = &w->n;
	struct task *to = NULL;

	if (w->pid && n->how == SIGEV_SIGNAL) {
		mutex_lock(&t->kernel->tasks.lock);
		to = w->pid->task;
		if (to)
			task_get(to);
		mutex_unlock(&t->kernel->tasks.lock);
	}
	if (to) {
		siginfo_k info = { .si_signo = n->signo, .si_code = SI_MESGQ_K };

		info.rt.pid = task_tgid(t, w->pid->numbers[w->pid->level].ns);
		info.rt.uid = from_kuid(w->user_ns, t->cred->uid);
		info.rt.u.value = n->value;
		if (n->signo)
			task_send_signal(to, &info, true);
		task_put(to);
	}
	drop_notice(w, MQ_WOKENUP);
}

static bool has_room(struct queue *q)
{
	guard(mutex)(&q->lock);
	return q->count < q->maxmsg;
}

long mqueue_send(struct task *t, int fd, uaddr_t msg, size_t len, unsigned prio, ktime_t deadline)
{
	__free(file) struct file *f = NULL;
	struct notice w = { 0 };
	struct mq_message *m;
	struct queue *q;
	long r;

	if (prio >= PRIO_MAX_K)
		return -EINVAL;
	r = get_queue(t, fd, FMODE_WRITE, &f);
	if (r)
		return r;
	q = queue_of(f);
	if (len > (uint64_t)q->msgsize)
		return -EMSGSIZE;
	m = kzalloc(sizeof(*m) + len);
	if (!m)
		return -ENOMEM;
	m->prio = prio;
	m->len = len;
	if (copy_from_user(m->data, msg, len)) {
		free(m);
		return -EFAULT;
	}
	for (;;) {
		mutex_lock(&q->lock);
		if (q->count < q->maxmsg)
			break;
		mutex_unlock(&q->lock);
		r = f->flags & O_NONBLOCK ? -EAGAIN : task_wait(&q->can_send, has_room(q), deadline);
		if (r) {
			free(m);
			return r;
		}
	}
	insert(q, m);
	if (q->count == 1 && !q->receivers && q->notice.pid)
		w = take_notice_locked(q);
	mutex_unlock(&q->lock);
	wait_queue_wake(&q->can_receive, EPOLLIN | EPOLLRDNORM);
	inode_touch(f->inode, ATTR_MTIME | ATTR_CTIME | ATTR_ATIME);
	notify(t, &w);
	return 0;
}

static bool has_message(struct queue *q)
{
	guard(mutex)(&q->lock);
	return q->count != 0;
}

long mqueue_receive(struct task *t, int fd, uaddr_t msg, size_t len, uaddr_t prio, ktime_t deadline)
{
	__free(file) struct file *f = NULL;
	struct mq_message *m;
	struct queue *q;
	long r = get_queue(t, fd, FMODE_READ, &f);

	if (r)
		return r;
	q = queue_of(f);
	if (len < (uint64_t)q->msgsize)
		return -EMSGSIZE;
	mutex_lock(&q->lock);
	while (!(m = TAILQ_FIRST(&q->msgs))) {
		if (f->flags & O_NONBLOCK) {
			mutex_unlock(&q->lock);
			return -EAGAIN;
		}
		q->receivers++;
		mutex_unlock(&q->lock);
		task_will_block(t);
		r = wait_event_exclusive(&q->can_receive, has_message(q), PARK_INTERRUPTIBLE, deadline);
		mutex_lock(&q->lock);
		q->receivers--;
		if (r) {
			bool more = q->count && q->receivers;

			mutex_unlock(&q->lock);
			if (more) /* the wake-up may have been ours */
				wait_queue_wake(&q->can_receive, EPOLLIN | EPOLLRDNORM);
			return r == -EINTR ? -ERESTARTSYS : r;
		}
	}
	TAILQ_REMOVE(&q->msgs, m, link);
	q->count--;
	q->bytes -= m->len;
	mutex_unlock(&q->lock);
	wait_queue_wake_all(&q->can_send, EPOLLOUT | EPOLLWRNORM);
	inode_touch(f->inode, ATTR_MTIME | ATTR_CTIME | ATTR_ATIME);
	r = m->len;
	if ((prio && put_user(m->prio, prio)) || copy_to_user(msg, m->data, m->len))
		r = -EFAULT;
	free(m);
	return r;
}

long mqueue_notify(struct task *t, int fd, const struct mq_notify_k *n)
{
	__free(file) struct file *f = NULL;
	struct notice w = { 0 };
	struct queue *q;
	long r = get_queue(t, fd, 0, &f);

	if (r)
		return r;
	q = queue_of(f);
	mutex_lock(&q->lock);
	if (!n) {
		if (q->notice.pid == t->tg->pid)
			w = take_notice_locked(q);
	} else if (q->notice.pid) {
		r = -EBUSY;
	} else {
		q->notice = (struct notice){ .pid = t->tg->pid, .user_ns = t->cred->user_ns, .n = *n };
		pid_get(q->notice.pid);
		user_ns_get(q->notice.user_ns);
	}
	mutex_unlock(&q->lock);
	drop_notice(&w, MQ_REMOVED);
	return r;
}

long mqueue_getsetattr(struct task *t, int fd, const struct mq_attr_k *set, struct mq_attr_k *old)
{
	__free(file) struct file *f = NULL;
	struct queue *q;
	long r;

	if (set && (set->flags & ~(int64_t)O_NONBLOCK))
		return -EINVAL;
	r = get_queue(t, fd, 0, &f);
	if (r)
		return r;
	q = queue_of(f);
	mutex_lock(&q->lock);
	*old = (struct mq_attr_k){ .flags = f->flags & O_NONBLOCK, .maxmsg = q->maxmsg, .msgsize = q->msgsize, .curmsgs = q->count };
	if (set) {
		if (set->flags & O_NONBLOCK)
			atomic_fetch_or(&f->flags, O_NONBLOCK);
		else
			atomic_fetch_and(&f->flags, ~O_NONBLOCK);
	}
	mutex_unlock(&q->lock);
	return 0;
}
