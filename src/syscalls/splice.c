/* SPDX-License-Identifier: Apache-2.0 */
/* splice.c: sendfile(2), splice(2), tee(2), vmsplice(2), copy_file_range(2): all through kernel memory. */
#include "fs/host/hostfd.h"
#include "fs/pipe/pipe.h"
#include "syscalls/names.h"
#include <fcntl.h>
#include <sys/inotify.h>

#define F_NONBLOCK 2 /* SPLICE_F_ */
#define F_ALL 15
#define CHUNK 65536UL

struct two { struct file *in, *out; bool ic, oc; };

static int two_get(struct task *t, struct two *p, uint64_t in, uint64_t out)
{
	p->in = arg_file(t, in, &p->ic);
	if (!p->in)
		return -EBADF;
	p->out = arg_file(t, out, &p->oc);
	if (!p->out) {
		fd_put_light(p->in, p->ic);
		return -EBADF;
	}
	return 0;
}

static void two_put(struct two *p)
{
	fd_put_light(p->in, p->ic);
	fd_put_light(p->out, p->oc);
}

/* What can stand at the other end of a splice: not directories, event descriptors and the like. */
static bool spliceable(struct file *f) { return S_ISREG(f->inode->mode) || S_ISCHR(f->inode->mode) || S_ISBLK(f->inode->mode) || S_ISSOCK(f->inode->mode); }

static void count_copy(struct task *t, long n)
{
	t->io.syscr++;
	t->io.syscw++;
	if (n > 0) {
		t->io.rchar += (uint64_t)n;
		t->io.wchar += (uint64_t)n;
	}
}

long sys_sendfile(struct task *t, const struct syscall_args *a)
{
	struct two p;
	int64_t pos = 0;
	size_t count = a->a[3];

	if (a->a[2] && get_user(pos, a->a[2]))
		return -EFAULT;
	long n = two_get(t, &p, a->a[1], a->a[0]);
	if (n)
		return n;
	if (!(p.in->mode & FMODE_READ) || !(p.out->mode & FMODE_WRITE))
		n = -EBADF;
	else if (a->a[2] && p.in->ops->stream)
		n = -ESPIPE;
	else if (pos < 0 || (!S_ISREG(p.in->inode->mode) && !S_ISBLK(p.in->inode->mode)) || (p.out->flags & O_APPEND) ||
		 (!spliceable(p.out) && !file_is_pipe(p.out)))
		n = S_ISDIR(p.in->inode->mode) ? -EISDIR : -EINVAL;
	else
		count_copy(t, n = vfs_copy(p.in, a->a[2] ? &pos : NULL, p.out, NULL, count));
	two_put(&p);
	if (a->a[2] && put_user(pos, a->a[2]))
		return -EFAULT;
	return n;
}

/* A pipe's bytes into something: what that did not take goes back. */
static long from_pipe(struct file *in, struct file *out, int64_t *opos, size_t len, bool nonblock)
{
	char *buf = malloc(MIN(len, CHUNK));
	size_t done = 0;
	long ret = 0;

	if (!buf)
		return -ENOMEM;
	while (done < len) {
		ret = pipe_wait_readable(in, nonblock || done);
		if (ret <= 0)
			break;
		size_t n = pipe_pull(in, buf, MIN(len - done, CHUNK));
		if (!n)
			continue;
		struct iov_iter it;
		iov_iter_kernel(&it, buf, n);
		ret = vfs_write(out, &it, opos);
		iov_iter_done(&it);
		size_t w = ret > 0 ? ret : 0;
		if (w < n)
			pipe_unpull(in, buf + w, n - w);
		done += w;
		if (w < n)
			break;
	}
	free(buf);
	return done ? (long)done : ret;
}

static long to_pipe(struct file *in, int64_t *ipos, struct file *out, size_t len, bool nonblock)
{
	char *buf = malloc(MIN(len, CHUNK));
	size_t done = 0;
	long ret = 0;

	if (!buf)
		return -ENOMEM;
	while (done < len) {
		ret = pipe_wait_writable(out, nonblock || done);
		if (ret <= 0)
			break;
		struct iov_iter it;
		iov_iter_kernel(&it, buf, MIN(len - done, CHUNK));
		ret = vfs_read(in, &it, ipos);
		iov_iter_done(&it);
		if (ret <= 0)
			break;
		size_t n = ret, w = pipe_push(out, buf, n);
		if (w < n) {
			if (ipos)
				*ipos -= n - w;
			else if (!in->ops->stream)
				vfs_llseek(in, -(int64_t)(n - w), SEEK_CUR);
			else {
				/* a stream cannot take them back: they must go in */
				while (w < n) {
					ret = pipe_wait_writable(out, false);
					if (ret <= 0)
						break;
					w += pipe_push(out, buf + w, n - w);
				}
			}
			done += w;
			break;
		}
		done += n;
		if (in->ops->stream)
			break;
	}
	free(buf);
	return done ? (long)done : ret;
}

long sys_splice(struct task *t, const struct syscall_args *a)
{
	struct two p;
	int64_t ipos = 0, opos = 0;
	size_t len = MIN(a->a[4], 0x7ffff000UL);
	unsigned flags = a->a[5];

	if (!a->a[4])
		return 0;
	if (flags & ~F_ALL)
		return -EINVAL;
	long n = two_get(t, &p, a->a[0], a->a[2]);
	if (n)
		return n;
	bool ip = file_is_pipe(p.in), op = file_is_pipe(p.out);
	bool nonblock = flags & F_NONBLOCK;
	if ((ip && a->a[1]) || (op && a->a[3]))
		n = -ESPIPE;
	else if ((a->a[1] && get_user(ipos, a->a[1])) || (a->a[3] && get_user(opos, a->a[3])))
		n = -EFAULT;
	else if (!(p.in->mode & FMODE_READ) || !(p.out->mode & FMODE_WRITE))
		n = -EBADF;
	else if ((!ip && !op) || (!ip && (!spliceable(p.in) || !p.in->ops->read)) || (!op && (!spliceable(p.out) || !p.out->ops->write)))
		n = -EINVAL;
	else if ((a->a[1] && p.in->ops->stream) || (a->a[3] && p.out->ops->stream))
		n = -EINVAL;
	else if (ipos < 0 || opos < 0 || (!op && (p.out->flags & O_APPEND)))
		n = -EINVAL;
	else if (ip && op && pipe_is_same(p.in, p.out))
		n = -EINVAL;
	else if (ip)
		n = from_pipe(p.in, p.out, a->a[3] ? &opos : NULL, len, nonblock || (p.in->flags & O_NONBLOCK));
	else
		n = to_pipe(p.in, a->a[1] ? &ipos : NULL, p.out, len, nonblock || (p.out->flags & O_NONBLOCK));
	two_put(&p);
	if (n > 0 && ((a->a[1] && put_user(ipos, a->a[1])) || (a->a[3] && put_user(opos, a->a[3]))))
		return -EFAULT;
	return n;
}

long sys_tee(struct task *t, const struct syscall_args *a)
{
	struct two p;
	unsigned flags = a->a[3];

	if (flags & ~F_ALL)
		return -EINVAL;
	if (!a->a[2])
		return 0;
	long n = two_get(t, &p, a->a[0], a->a[1]);
	if (n)
		return n;
	if (!(p.in->mode & FMODE_READ) || !(p.out->mode & FMODE_WRITE))
		n = -EBADF;
	else if (!file_is_pipe(p.in) || !file_is_pipe(p.out) || pipe_is_same(p.in, p.out))
		n = -EINVAL;
	else
		n = pipe_tee(p.in, p.out, MIN(a->a[2], 0x7ffff000UL), flags & F_NONBLOCK);
	two_put(&p);
	return n;
}

/* As much as the pipe has room for; waits only for the first byte. */
static long push_iter(struct file *f, struct iov_iter *it, bool nonblock)
{
	char *buf = malloc(MIN(it->count, CHUNK));
	size_t done = 0;
	long ret = 0;

	if (!buf)
		return -ENOMEM;
	while (it->count) {
		ret = pipe_wait_writable(f, nonblock || done);
		if (ret <= 0)
			break;
		size_t n = copy_from_iter(buf, MIN(it->count, CHUNK), it);
		if (!n) {
			ret = -EFAULT;
			break;
		}
		size_t w = pipe_push(f, buf, n);
		done += w;
		if (w < n)
			break;
	}
	free(buf);
	return done ? (long)done : ret;
}

/* The bytes are copied, so a guest cannot see a gifted page change afterwards. */
long sys_vmsplice(struct task *t, const struct syscall_args *a)
{
	struct iov_iter it;
	unsigned flags = a->a[3];
	bool c;

	if (flags & ~F_ALL)
		return -EINVAL;
	struct file *f = arg_file(t, a->a[0], &c);
	if (!f)
		return -EBADF;
	long n = f->mode & (FMODE_READ | FMODE_WRITE) ? 0 : -EBADF;
	if (!n)
		n = iov_iter_import(&it, a->a[1], (uint32_t)a->a[2]);
	if (!n) {
		if (it.count && !file_is_pipe(f))
			n = -EBADF;
		else if (it.count && (f->mode & FMODE_WRITE))
			n = push_iter(f, &it, flags & F_NONBLOCK);
		else if (it.count && (flags & F_NONBLOCK) && !(vfs_poll(f, NULL) & (EPOLLIN | EPOLLHUP)))
			n = -EAGAIN;
		else if (it.count)
			n = vfs_read(f, &it, NULL);
		iov_iter_done(&it);
	}
	fd_put_light(f, c);
	return n;
}

long sys_copy_file_range(struct task *t, const struct syscall_args *a)
{
	struct two p;
	int64_t ipos = 0, opos = 0;
	size_t len = a->a[4];
	long n = two_get(t, &p, a->a[0], a->a[2]);

	if (n)
		return n;
	struct inode *ii = p.in->inode, *oi = p.out->inode;
	if ((a->a[1] && get_user(ipos, a->a[1])) || (a->a[3] && get_user(opos, a->a[3]))) {
		n = -EFAULT;
		goto out;
	}
	if (!a->a[1])
		ipos = p.in->pos;
	if (!a->a[3])
		opos = p.out->pos;
	int64_t iend, oend;
	if ((unsigned)a->a[5])
		n = -EINVAL;
	else if (S_ISDIR(ii->mode) || S_ISDIR(oi->mode))
		n = -EISDIR;
	else if (!S_ISREG(ii->mode) || !S_ISREG(oi->mode))
		n = -EINVAL;
	else if (!(p.in->mode & FMODE_READ) || !(p.out->mode & FMODE_WRITE) || (p.out->flags & O_APPEND))
		n = -EBADF;
	else if (ii->sb != oi->sb)
		n = -EXDEV;
	else if (ipos < 0 || opos < 0)
		n = -EINVAL;
	else if ((!a->a[1] && ipos >= HOSTFD_POS) || (!a->a[3] && opos >= HOSTFD_POS))
		n = -EXDEV; /* an inherited descriptor goes by the host's position: the caller reads and writes instead */
	else if (len > INT64_MAX || add_overflow(ipos, (int64_t)len, &iend) || add_overflow(opos, (int64_t)len, &oend))
		n = -EOVERFLOW;
	if (n)
		goto out;
	if (ii == oi) { /* only what is there counts towards the overlap */
		struct kstat st;
		if ((n = vfs_fstat(p.in, &st)))
			goto out;
		uint64_t rest = (uint64_t)ipos < st.size ? st.size - ipos : 0;
		int64_t l = MIN(len, rest);
		if (l && ipos < opos + l && opos < ipos + l) {
			n = -EINVAL;
			goto out;
		}
	}
	n = len ? vfs_copy(p.in, &ipos, p.out, &opos, len) : 0;
	if (len)
		count_copy(t, n);
	if (n > 0) {
		if (a->a[1] ? put_user(ipos, a->a[1]) : (p.in->pos = ipos, 0))
			n = -EFAULT;
		if (a->a[3] ? put_user(opos, a->a[3]) : (p.out->pos = opos, 0))
			n = -EFAULT;
	}
out:
	two_put(&p);
	return n;
}

long sys_readahead(struct task *t, const struct syscall_args *a)
{
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);
	long ret = 0;

	if (!f)
		return -EBADF;
	if (!(f->mode & FMODE_READ))
		ret = -EBADF;
	else if (!S_ISREG(f->inode->mode) && !S_ISBLK(f->inode->mode))
		ret = -EINVAL;
	fd_put_light(f, c);
	return ret;
}

long sys_fadvise64(struct task *t, const struct syscall_args *a)
{
	bool c;
	struct file *f = arg_file(t, a->a[0], &c);
	int advice = a->a[3];
	long ret = 0;

	if (!f)
		return -EBADF;
	if (S_ISFIFO(f->inode->mode))
		ret = -ESPIPE;
	else if ((int64_t)a->a[2] < 0 || advice < 0 || advice > 5)
		ret = -EINVAL;
	fd_put_light(f, c);
	return ret;
}
