/* SPDX-License-Identifier: Apache-2.0 */
/* hostfd.c: inherited descriptors (pipes, sockets, regular files, /dev/null) as guest files.
 *
 * The open file description behind an inherited descriptor is shared with programs outside, so its flags are never
 * changed: O_NONBLOCK set here would surprise the shell that started us. Instead the host is asked first (poll), and no more is
 * transferred than cannot block: a readable pipe or socket gives what is there; a writable pipe takes at least PIPE_BUF;
 * sockets have MSG_DONTWAIT. Between poll and the call another process may still take the bytes or the room: such a call
 * would block, so all of them are bracketed for the worker.
 */
#include "fs/host/host_internal.h"
#include "fs/host/hostfd.h"
#include "kernel/task.h"
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Regular files: read and write go by the position that the host's description has, since `>log 2>&1` and the programs outside share
 * it. vfs passes file.pos for them, which is kept at this value for ever; any other offset came from pread or pwrite. */
#define POS_OF_HOST HOSTFD_POS

struct hostfd {
	struct refcount ref; /* the file, and its mappings */
	struct mappable m;
	int fd; /* owned */
	uint32_t type;
	bool pollable; /* readiness means something: pipes, sockets, ttys */
	struct wait_queue wq;
	struct host_poll hp;
	uint64_t id;
};

static int host_wait(struct file *f, struct hostfd *h, unsigned events)
{
	if (!h->pollable || host_poll_now(h->fd, events | EPOLLERR | EPOLLHUP))
		return 0;
	if (f->flags & O_NONBLOCK)
		return -EAGAIN;
	return task_wait(&h->wq, host_poll_now(h->fd, events | EPOLLERR | EPOLLHUP) != 0, KTIME_MAX);
}

static ssize_t hostfd_read(struct file *f, struct iov_iter *to, int64_t *pos)
{
	struct hostfd *h = f->private;
	ssize_t r;
	char *b;

	if (!to->count)
		return 0;
	for (;;) {
		size_t n = MIN(to->count, BOUNCE_SIZE);

		r = host_wait(f, h, EPOLLIN);
		if (r)
			return r;
		b = bounce_get();
		if (!b)
			return -ENOMEM;
		if (S_ISSOCK(h->type)) {
			r = recv(h->fd, b, n, MSG_DONTWAIT);
			if (r < 0)
				r = -errno;
		} else if (S_ISREG(h->type) || S_ISBLK(h->type)) {
			/* by the position that the host's programs share with us */
			worker_block_begin();
			r = *pos == POS_OF_HOST ? read(h->fd, b, n) : pread(h->fd, b, n, *pos);
			if (r < 0)
				r = -errno;
			worker_block_end();
		} else {
			struct iovec iov = { b, n };

			r = preadv2(h->fd, &iov, 1, -1, RWF_NOWAIT);
			if (r < 0)
				r = -errno;
			if (r == -EOPNOTSUPP || r == -ENOSYS || r == -ESPIPE) { /* poll said that this does not block */
				worker_block_begin();
				r = read(h->fd, b, n);
				if (r < 0)
					r = -errno;
				worker_block_end();
			}
		}
		if (r > 0) {
			size_t got = copy_to_iter(b, r, to);

			if (got < (size_t)r && S_ISREG(h->type) && *pos == POS_OF_HOST)
				(void)!lseek(h->fd, (off_t)got - r, SEEK_CUR);
			r = got ? (ssize_t)got : -EFAULT;
		}
		bounce_put(b);
		if (r == -EINTR)
			continue;
		if (r == -EAGAIN && !(f->flags & O_NONBLOCK) && h->pollable)
			continue;
		return r;
	}
}

static ssize_t hostfd_write(struct file *f, struct iov_iter *from, int64_t *pos)
{
	struct hostfd *h = f->private;
	ssize_t done = 0, r = 0;
	char *b;

	while (from->count) {
		/* A pipe that is writable has a free page: PIPE_BUF bytes go in without blocking and in one piece. */
		size_t n = MIN(from->count, S_ISFIFO(h->type) ? PIPE_BUF : BOUNCE_SIZE);
		struct iov_iter saved = *from;

		r = host_wait(f, h, EPOLLOUT);
		if (r)
			break;
		b = bounce_get();
		if (!b) {
			r = -ENOMEM;
			break;
		}
		n = copy_from_iter(b, n, from);
		if (!n) {
			bounce_put(b);
			r = -EFAULT;
			break;
		}
		if (S_ISSOCK(h->type)) {
			r = send(h->fd, b, n, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (r < 0)
				r = -errno;
		} else {
			struct iovec iov = { b, n };

			r = S_ISFIFO(h->type) ? pwritev2(h->fd, &iov, 1, -1, RWF_NOWAIT) : -1;
			if (r < 0 && (!S_ISFIFO(h->type) || errno == EOPNOTSUPP || errno == ENOSYS || errno == ESPIPE)) {
				worker_block_begin();
				if ((S_ISREG(h->type) || S_ISBLK(h->type)) && *pos != POS_OF_HOST)
					r = pwrite(h->fd, b, n, *pos + done);
				else
					r = write(h->fd, b, n);
				if (r < 0)
					r = -errno;
				worker_block_end();
			} else if (r < 0)
				r = -errno;
		}
		bounce_put(b);
		if (r < (ssize_t)n)
			iov_iter_revert(from, n - (r > 0 ? r : 0), &saved);
		if (r == -EINTR || (r == -EAGAIN && !(f->flags & O_NONBLOCK) && h->pollable))
			continue;
		if (r < 0)
			break;
		done += r;
		r = 0;
		if (!h->pollable && (size_t)done < n)
			break;
	}
	if (done)
		return done;
	if (r == -EPIPE) {
		siginfo_k info;

		siginfo_user(&info, SIGPIPE, SI_USER, current, current);
		task_send_signal(current, &info, false);
	}
	return r;
}

static unsigned hostfd_poll(struct file *f, struct poll_table *pt)
{
	struct hostfd *h = f->private;

	if (!h->pollable)
		return EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM;
	poll_wait(f, &h->wq, pt);
	return host_poll_now(h->fd, EPOLLIN | EPOLLOUT | EPOLLRDNORM | EPOLLWRNORM | EPOLLPRI | EPOLLRDHUP | EPOLLERR | EPOLLHUP);
}

static int64_t hostfd_llseek(struct file *f, int64_t off, int whence)
{
	struct hostfd *h = f->private;
	off_t r = lseek(h->fd, off, whence);

	return r < 0 ? -errno : r;
}

static int hostfd_fsync(struct file *f, bool datasync)
{
	struct hostfd *h = f->private;
	int r;

	worker_block_begin();
	r = (datasync ? fdatasync(h->fd) : fsync(h->fd)) < 0 ? -errno : 0;
	worker_block_end();
	return r;
}

static long hostfd_ioctl(struct file *f, unsigned cmd, uint64_t arg)
{
	struct hostfd *h = f->private;
	int n;

	if (cmd != FIONREAD)
		return -ENOIOCTLCMD;
	if (ioctl(h->fd, FIONREAD, &n) < 0)
		return errno == ENOTTY ? -ENOIOCTLCMD : -errno;
	return put_user(n, arg);
}

static void hostfd_put(struct hostfd *h)
{
	if (!refcount_put(&h->ref))
		return;
	if (h->pollable)
		host_poll_del(&h->hp);
	close(h->fd);
	free(h);
}

static void hostfd_release(struct file *f)
{
	hostfd_put(f->private);
}

/* ---- mappings of an inherited regular file ---- */
static void hm_get(struct mappable *m) { refcount_get(&container_of(m, struct hostfd, m)->ref); }
static void hm_put(struct mappable *m) { hostfd_put(container_of(m, struct hostfd, m)); }
static int hm_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared_write, int *fd, uint64_t *host_off)
{
	*fd = container_of(m, struct hostfd, m)->fd;
	*host_off = off;
	return 0;
}
static void hm_describe(struct mappable *m, char *buf, size_t size, uint64_t *dev, uint64_t *ino)
{
	struct stat st;

	*dev = *ino = 0;
	if (fstat(container_of(m, struct hostfd, m)->fd, &st) == 0)
		*ino = st.st_ino;
	snprintf(buf, size, "/host:[stdio]");
}
static uint64_t hm_id(struct mappable *m) { return container_of(m, struct hostfd, m)->id; }
static uint64_t hm_size(struct mappable *m)
{
	struct stat st;

	return fstat(container_of(m, struct hostfd, m)->fd, &st) == 0 ? st.st_size : 0;
}
static const struct mappable_ops hostfd_map_ops = {
	.get = hm_get, .put = hm_put, .host_fd = hm_host_fd, .describe = hm_describe, .id = hm_id, .size = hm_size
};

static int hostfd_mmap(struct file *f, struct vm_map *m)
{
	struct hostfd *h = f->private;

	refcount_get(&h->ref);
	m->mappable = &h->m;
	return 0;
}

static const struct file_ops hostfd_stream_ops = {
	.read = hostfd_read,
	.write = hostfd_write,
	.poll = hostfd_poll,
	.ioctl = hostfd_ioctl,
	.release = hostfd_release,
	.stream = true,
};
static const struct file_ops hostfd_reg_ops = {
	.read = hostfd_read,
	.write = hostfd_write,
	.llseek = hostfd_llseek,
	.ioctl = hostfd_ioctl,
	.fsync = hostfd_fsync,
	.mmap = hostfd_mmap,
	.release = hostfd_release,
};

/* ---- attributes: the host's type and size, asked each time ---- */

static int hostfd_getattr(struct inode *i, struct kstat *ks)
{
	int fd = (int)(intptr_t)i->private - 1;
	struct stat st;
	int r = generic_getattr(i, ks);

	if (r || fd < 0 || fstat(fd, &st) < 0)
		return r;
	ks->mode = st.st_mode;
	ks->ino = st.st_ino;
	ks->size = st.st_size;
	ks->blocks = st.st_blocks;
	ks->blksize = st.st_blksize;
	ks->rdev = st.st_rdev;
	ks->uid = st.st_uid;
	ks->gid = st.st_gid;
	ks->nlink = st.st_nlink;
	ks->atime = st.st_atim;
	ks->mtime = st.st_mtim;
	ks->ctime = st.st_ctim;
	return 0;
}

static int hostfd_setattr(struct inode *i, const struct iattr *a)
{
	int fd = (int)(intptr_t)i->private - 1;

	if (a->valid & ATTR_SIZE) {
		if (!S_ISREG(i->mode) || fd < 0)
			return -EINVAL;
		if (ftruncate(fd, a->size) < 0)
			return -errno;
	}
	return a->valid & (ATTR_MODE | ATTR_UID | ATTR_GID) ? -EPERM : 0; /* owner and mode are the host's affair */
}

static int hostfd_reopen(struct inode *i, struct file *f);
static const struct inode_ops hostfd_inode_ops = { .getattr = hostfd_getattr, .setattr = hostfd_setattr, .open = hostfd_reopen };

static int hostfd_setup(struct kernel *k, int fd, struct hostfd **out)
{
	struct hostfd *h;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	h = new(struct hostfd);
	refcount_init(&h->ref);
	h->m.ops = &hostfd_map_ops;
	h->fd = fd;
	h->type = st.st_mode & S_IFMT;
	h->id = (st.st_dev * 0x9e3779b97f4a7c15ULL ^ st.st_ino) * 0xbf58476d1ce4e5b9ULL;
	wait_queue_init(&h->wq);
	h->pollable = !S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode);
	if (h->pollable) {
		r = host_poll_add(&h->hp, k->sched, fd, &h->wq);
		if (r == -EPERM) /* /dev/null and its like are always ready */
			h->pollable = false;
		else if (r) {
			free(h);
			return r;
		}
	}
	*out = h;
	return 0;
}

/* open("/proc/self/fd/0"), /dev/stdin: a new file on a duplicate of the same description. */
static int hostfd_reopen(struct inode *i, struct file *f)
{
	int fd = (int)(intptr_t)i->private - 1, flags = fcntl(fd, F_GETFL), nfd, r;
	struct hostfd *h;

	if (flags < 0)
		return -ENXIO;
	if (((f->mode & FMODE_READ) && (flags & O_ACCMODE) == O_WRONLY) ||
	    ((f->mode & FMODE_WRITE) && (flags & O_ACCMODE) == O_RDONLY))
		return -EACCES;
	if (S_ISSOCK(i->mode))
		return -ENXIO;
	nfd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (nfd < 0)
		return -errno;
	r = hostfd_setup(current->kernel, nfd, &h);
	if (r) {
		close(nfd);
		return r;
	}
	f->private = h;
	f->ops = h->pollable || S_ISCHR(h->type) ? &hostfd_stream_ops : &hostfd_reg_ops;
	if (f->ops == &hostfd_reg_ops)
		f->pos = POS_OF_HOST;
	return 0;
}

static void hostfd_evict(struct inode *i)
{
	if (i->private)
		close((int)(intptr_t)i->private - 1);
}

int host_fd_file(struct kernel *k, int fd, struct file **out)
{
	static const struct inode_ops iops = { .getattr = hostfd_getattr, .setattr = hostfd_setattr, .open = hostfd_reopen,
					       .evict = hostfd_evict };
	struct hostfd *h;
	struct stat st;
	struct file *f;
	char name[64];
	int flags, r, ifd;

	/* Writing to a pipe without readers must give us EPIPE; the guest's SIGPIPE is ours to send. */
	signal(SIGPIPE, SIG_IGN);
	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	r = hostfd_setup(k, fd, &h);
	if (r)
		return r;
	snprintf(name, sizeof(name), S_ISFIFO(st.st_mode) ? "pipe:[%llu]" : S_ISSOCK(st.st_mode) ? "socket:[%llu]" : "host:[%llu]",
		 (unsigned long long)st.st_ino);
	r = anon_file(name, S_ISFIFO(st.st_mode) ? st.st_mode & 07777 : st.st_mode, S_ISREG(st.st_mode) || S_ISBLK(st.st_mode) ? &hostfd_reg_ops : &hostfd_stream_ops, h,
		      flags & (O_ACCMODE | O_APPEND), &f);
	if (r) {
		h->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0); /* the caller keeps fd on failure */
		hostfd_put(h);
		return r;
	}
	if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		f->pos = POS_OF_HOST;
	/* The inode keeps a descriptor of its own: it may outlive the file by a reopen. */
	ifd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	f->inode->ops = ifd >= 0 ? &iops : &hostfd_inode_ops;
	f->inode->private = (void *)(intptr_t)(ifd + 1);
	/* A fifo shows its type in stat only: by its mode vfs would open a pipe of the guest's when it is opened again. */
	f->inode->mode = S_ISFIFO(st.st_mode) ? st.st_mode & 07777 : st.st_mode;
	f->inode->rdev = st.st_rdev;
	f->inode->uid = st.st_uid;
	f->inode->gid = st.st_gid;
	*out = f;
	return 0;
}
