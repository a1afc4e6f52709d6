/* SPDX-License-Identifier: Apache-2.0 */
/* uaccess.h: the only ways between guest memory and the kernel. They act on the running fiber's mm (fiber_context()->mm),
 * never fault, and may cost a host call. What was copied in is not read again from the guest. None parks. */
#ifndef BAILEY_MM_UACCESS_H
#define BAILEY_MM_UACCESS_H
#include "mm/mm.h"
#include <sys/uio.h>

int copy_from_user(void *dst, uaddr_t src, size_t n);	  /* 0 or -EFAULT, all or nothing */
int copy_to_user(uaddr_t dst, const void *src, size_t n); /* 0 or -EFAULT (a prefix may have been written, as on Linux) */
size_t copy_from_user_partial(void *dst, uaddr_t src, size_t n); /* bytes copied */
size_t copy_to_user_partial(uaddr_t dst, const void *src, size_t n);
int clear_user(uaddr_t dst, size_t n);
bool user_writable(uaddr_t a, size_t n); /* as the mappings say */
/* A NUL-terminated string of at most size-1 bytes: its length, -EFAULT, or -ENAMETOOLONG when there is no NUL in size bytes. */
ssize_t strncpy_from_user(char *dst, uaddr_t src, size_t size);
#define get_user(var, addr) copy_from_user(&(var), (addr), sizeof(var))
#define put_user(val, addr) ({ __auto_type pu_ = (val); copy_to_user((addr), &pu_, sizeof(pu_)); })
/* clone3-style extensible structs (Linux copy_struct_from_user): -E2BIG if unknown bytes are not zero. */
int copy_struct_from_user(void *dst, size_t ksize, uaddr_t src, size_t usize);
/* Another task's memory (ptrace, /proc/PID/mem, process_vm_*): bytes copied. */
size_t mm_read(struct mm *mm, void *dst, uaddr_t src, size_t n);
size_t mm_write(struct mm *mm, uaddr_t dst, const void *src, size_t n);

/* A run of bytes on one side of a copy: guest iovecs or kernel memory. */
struct iov_iter {
	bool kernel;
	bool direct; /* of a read: one piece of guest memory, and the system call's result is how much of it is filled */
	int8_t append; /* of a write: RWF_APPEND (1) or RWF_NOAPPEND (-1) for this one; 0: as the file says */
	struct iovec *iov; /* guest addresses in iov_base when !kernel; inline_iov or heap */
	unsigned nr;
	size_t iov_off; /* in iov[0] */
	size_t count;	/* bytes left */
	struct iovec inline_iov[8];
	struct iovec *heap; /* owned, NULL if inline */
};
void iov_iter_user(struct iov_iter *it, uaddr_t buf, size_t n);
void iov_iter_kernel(struct iov_iter *it, void *buf, size_t n);
/* readv's argument: -EFAULT, -EINVAL (count > 1024, length sum > SSIZE_MAX). Free with iov_iter_done. */
int iov_iter_import(struct iov_iter *it, uaddr_t vec, unsigned long vlen);
void iov_iter_done(struct iov_iter *it);
size_t copy_to_iter(const void *src, size_t n, struct iov_iter *it);  /* bytes copied, iterator advanced by them */
size_t copy_from_iter(void *dst, size_t n, struct iov_iter *it);
size_t iov_iter_zero(size_t n, struct iov_iter *it);
void iov_iter_advance(struct iov_iter *it, size_t n);
void iov_iter_revert(struct iov_iter *it, size_t n, const struct iov_iter *saved);

#endif
