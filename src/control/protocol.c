/* SPDX-License-Identifier: Apache-2.0 */
/* protocol.c: packing, and whole messages. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "control/protocol.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* ---- packing ---- */

void ctl_put(struct ctl_buf *b, const void *p, size_t n)
{
	if (b->failed || n > CTL_MAX || b->len + n > CTL_MAX) {
		b->failed = true;
		return;
	}
	if (b->cap - b->len < n) {
		size_t cap = (b->len + n) * 2;
		char *q = realloc(b->p, cap);
		if (!q) {
			b->failed = true;
			return;
		}
		b->p = q;
		b->cap = cap;
	}
	if (n)
		memcpy(b->p + b->len, p, n);
	b->len += n;
}

void ctl_put_string(struct ctl_buf *b, const char *s) { ctl_put(b, s, strlen(s) + 1); }

void ctl_buf_free(struct ctl_buf *b)
{
	free(b->p);
	*b = (struct ctl_buf){ 0 };
}

void ctl_get(struct ctl_reader *r, void *to, size_t n)
{
	if (r->bad || r->left < n) {
		r->bad = true;
		memset(to, 0, n);
		return;
	}
	memcpy(to, r->p, n);
	r->p += n;
	r->left -= n;
}

const char *ctl_get_string(struct ctl_reader *r)
{
	const char *s = r->p, *nul = r->bad || !r->left ? NULL : memchr(s, 0, r->left);

	if (!nul) {
		r->bad = true;
		return "";
	}
	r->left -= (size_t)(nul + 1 - s);
	r->p = nul + 1;
	return s;
}

bool ctl_fits(struct ctl_reader *r, uint32_t n, size_t each)
{
	if (n > r->left / each)
		r->bad = true;
	return !r->bad;
}

/* ---- messages ---- */

union cmsg_room { struct cmsghdr align; char room[CMSG_SPACE((CTL_MAX_FDS + 1) * sizeof(int))]; };

/* A payload too large for a packet. */
static int payload_fd(const void *payload, size_t len)
{
	int fd = memfd_create("bailey-message", MFD_CLOEXEC);
	size_t done = 0;

	if (fd < 0)
		return -errno;
	while (done < len) {
		ssize_t n = pwrite(fd, (const char *)payload + done, len - done, (off_t)done);
		if (n <= 0) {
			int e = n < 0 ? -errno : -EIO;
			close(fd);
			return e;
		}
		done += (size_t)n;
	}
	return fd;
}

int ctl_send(int sock, uint32_t type, uint32_t id, int32_t result, const void *payload, size_t len, const int *fds, unsigned nfds, bool dontwait)
{
	struct ctl_head h = { type, id, result, (uint32_t)len };
	struct iovec iov[2] = { { &h, sizeof(h) }, { (void *)payload, len } };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 2 };
	union cmsg_room c;
	int all[CTL_MAX_FDS + 1], large = -1, r = 0;

	if (len > CTL_MAX || nfds > CTL_MAX_FDS)
		return -E2BIG;
	if (nfds)
		memcpy(all, fds, nfds * sizeof(int));
	if (len > CTL_INLINE) {
		large = payload_fd(payload, len);
		if (large < 0)
			return large;
		all[nfds++] = large;
		h.type |= CTL_IN_FD;
		m.msg_iovlen = 1;
	}
	if (nfds) {
		memset(&c, 0, sizeof(c));
		m.msg_control = &c;
		m.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		struct cmsghdr *cm = CMSG_FIRSTHDR(&m);
		cm->cmsg_level = SOL_SOCKET;
		cm->cmsg_type = SCM_RIGHTS;
		cm->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cm), all, nfds * sizeof(int));
	}
	while (sendmsg(sock, &m, MSG_NOSIGNAL | (dontwait ? MSG_DONTWAIT : 0)) < 0) {
		if (errno == EINTR)
			continue;
		r = errno == ECONNRESET ? -EPIPE : -errno;
		break;
	}
	if (large >= 0)
		close(large);
	return r;
}

static void take_fds(struct msghdr *h, struct ctl_msg *m)
{
	for (struct cmsghdr *cm = CMSG_FIRSTHDR(h); cm; cm = CMSG_NXTHDR(h, cm)) {
		if (cm->cmsg_level != SOL_SOCKET || cm->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (cm->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;
			memcpy(&fd, CMSG_DATA(cm) + i * sizeof(int), sizeof(int));
			if (m->nfds < CTL_MAX_FDS + 1)
				m->fds[m->nfds++] = fd;
			else
				close(fd);
		}
	}
}

static int read_payload_fd(struct ctl_msg *m)
{
	int fd = m->nfds ? m->fds[--m->nfds] : -1;
	uint32_t done = 0;
	struct stat st;
	int r = 0;

	if (fd < 0)
		return -EBADMSG;
	/* Only a regular file is sure not to make us wait. */
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || m->head.len > CTL_MAX)
		r = -EBADMSG;
	m->payload = r ? NULL : malloc((size_t)m->head.len + 1);
	if (!r && !m->payload)
		r = -ENOMEM;
	while (!r && done < m->head.len) {
		ssize_t n = pread(fd, m->payload + done, m->head.len - done, done);
		if (n <= 0)
			r = -EBADMSG;
		else
			done += (uint32_t)n;
	}
	close(fd);
	return r;
}

int ctl_recv(int sock, struct ctl_msg *m, bool with_fds)
{
	union cmsg_room c;
	char *packet = malloc(CTL_PACKET + 1);
	struct iovec iov = { packet, CTL_PACKET };
	struct msghdr h = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = with_fds ? &c : NULL, .msg_controllen = with_fds ? sizeof(c) : 0 };
	int resets = 0;
	ssize_t n;
	int r = 0;

	m->payload = NULL;
	m->nfds = 0;
	m->head = (struct ctl_head){ 0 };
	if (!packet)
		return -ENOMEM;
	do /* ECONNRESET: it ended with a message of ours unread. That is said once; its own last words come behind. */
		n = recvmsg(sock, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ < 3)));
	if (n <= 0) {
		r = n == 0 || errno == ECONNRESET ? -EPIPE : -errno;
		goto out;
	}
	if (with_fds)
		take_fds(&h, m);
	if ((size_t)n < sizeof(m->head) || h.msg_flags & MSG_TRUNC || (with_fds && h.msg_flags & MSG_CTRUNC)) {
		r = -EBADMSG;
		goto out;
	}
	memcpy(&m->head, packet, sizeof(m->head));
	if (m->head.type & CTL_IN_FD) {
		m->head.type &= ~CTL_IN_FD;
		r = read_payload_fd(m);
	} else if (m->head.len != (size_t)n - sizeof(m->head)) {
		r = -EBADMSG;
	} else {
		memmove(packet, packet + sizeof(m->head), m->head.len);
		m->payload = packet;
		packet = NULL;
	}
	if (!r)
		m->payload[m->head.len] = 0;
out:
	free(packet);
	if (r)
		ctl_msg_free(m);
	return r;
}

void ctl_msg_free(struct ctl_msg *m)
{
	for (unsigned i = 0; i < m->nfds; i++)
		close(m->fds[i]);
	m->nfds = 0;
	free(m->payload);
	m->payload = NULL;
}
