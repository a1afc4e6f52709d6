/* SPDX-License-Identifier: Apache-2.0 */
/* mm.h: guest address spaces. VMAs are kept here and carried out by the stub (platform.h orders).
 * mm maps any `struct mappable`: it does not know files. */
#ifndef BAILEY_MM_MM_H
#define BAILEY_MM_MM_H
#include "lib/lib.h"
#include "platform/platform.h"
#include "sched/sched.h"

/* Let the platform rewrite system call sites in private file text. Once, after platform_create (mm/patch.c). */
void mm_allow_patching(struct platform *p);

/* ---- what can be mapped ---- */
struct mappable;
struct mappable_ops {
	void (*get)(struct mappable *m);
	void (*put)(struct mappable *m);
	/* A host descriptor to map [off, off+len) from, borrowed while the caller holds the mappable: 0 or -errno.
	 * *host_off: the offset in it. shared_write: the mapping may be written through. May park. */
	int (*host_fd)(struct mappable *m, uint64_t off, uint64_t len, bool shared_write, int *fd, uint64_t *host_off);
	/* For /proc/PID/maps: the name (NUL-terminated into buf; "" for none), device and inode. */
	void (*describe)(struct mappable *m, char *buf, size_t size, uint64_t *dev, uint64_t *ino);
	/* Identity for futex keys of shared mappings and for learned call sites; unique while the object lives. */
	uint64_t (*id)(struct mappable *m);
	/* Size in bytes now, for mincore, SIGBUS checks and truncation. */
	uint64_t (*size)(struct mappable *m);
	int (*msync)(struct mappable *m, uint64_t off, uint64_t len, int flags);
	/* A shared mapping appeared or went (memfd seals, writable counts); may be NULL. One mapping may become several (a split, fork), which
	 * is told with a leaf lock held, as get is: neither takes a lock. */
	int (*mapped)(struct mappable *m, bool shared_write);
	void (*unmapped)(struct mappable *m, bool shared_write);
};
struct mappable { const struct mappable_ops *ops; };

/* ---- shared memory objects (as Linux's shmem): under tmpfs, memfd, System V segments, shared anonymous maps ---- */
struct shm_object; /* a growable run of bytes; on the heap while small and unmapped, in a memfd afterwards */
struct shm_object *shm_object_create(const char *name);
void shm_object_get(struct shm_object *o);
void shm_object_put(struct shm_object *o);
struct mappable *shm_object_mappable(struct shm_object *o);
struct shm_object *mappable_shm(struct mappable *m); /* borrowed; NULL: something else */
/* Let describe() show this (path, dev, ino) instead of the object's own name: called by the file system that owns it. */
void shm_object_set_describe(struct shm_object *o, void (*fn)(void *arg, char *, size_t, uint64_t *, uint64_t *), void *arg);
uint64_t shm_object_size(struct shm_object *o);
uint64_t shm_object_blocks(struct shm_object *o); /* 512-byte blocks really allocated */
/* Copies between kernel memory and the object: bytes or -errno (-ENOSPC, -ENOMEM). Reads stop at the size; writes extend it. */
ssize_t shm_object_read(struct shm_object *o, void *buf, size_t n, uint64_t off);
ssize_t shm_object_write(struct shm_object *o, const void *buf, size_t n, uint64_t off);
/* The same straight from or to a guest, without a bounce buffer while the object is on the heap. */
struct iov_iter;
ssize_t shm_object_read_iter(struct shm_object *o, struct iov_iter *to, uint64_t off);
ssize_t shm_object_write_iter(struct shm_object *o, struct iov_iter *from, uint64_t off);
/* The object, if it may be read through a mapping: without holes, which would be filled. *n: as far as there are bytes at off. */
const void *shm_object_window(struct shm_object *o, uint64_t off, size_t *n);
/* memfd's F_SEAL_WRITE: -EBUSY while shared writable mappings exist; afterwards new ones are -EPERM. (Writes are the file's to refuse.) */
int shm_object_seal_write(struct shm_object *o);
bool shm_object_has_writable_maps(struct shm_object *o);
int shm_object_truncate(struct shm_object *o, uint64_t size);
int shm_object_fallocate(struct shm_object *o, int mode, uint64_t off, uint64_t len);
int64_t shm_object_seek_data(struct shm_object *o, uint64_t off, bool hole);

/* ---- address spaces ---- */
enum { /* struct vma.flags */
	VMA_READ = 1, VMA_WRITE = 2, VMA_EXEC = 4, /* = PROT_ */
	VMA_SHARED = 8, VMA_MAYREAD = 16, VMA_MAYWRITE = 32, VMA_MAYEXEC = 64,
	VMA_GROWSDOWN = 128, VMA_LOCKED = 256, VMA_DONTFORK = 512, VMA_NORESERVE = 1024, VMA_STACK = 2048, VMA_HEAP = 4096,
	VMA_SPECIAL = 8192, /* vDSO, parameter page: not movable to core or checkpoint as memory */
	VMA_WIPEONFORK = 16384, VMA_DONTDUMP = 32768, VMA_RAND_READ = 65536, VMA_SEQ_READ = 131072,
	VMA_WRITTEN = 262144, /* private, of a file: has been writable */
};
struct vma; /* see vma.h for the layout; mm only */

struct mm; /* counted: users (tasks) and references */

/* Copies go to the host's idea of the memory, so what the kernel writes into a stub by copy_to_user() may still travel with the answer.
 * A task that will not return to its guest (exit's clear_child_tid, robust lists) writes with mm_write(), which is immediate. */

/* An empty address space around a fresh platform space. */
struct mm *mm_create(struct platform *p, struct pl_space *space);
/* fork: called before pl_space_fork with the map lock taken by mm_fork_begin (so that VMAs and host agree), and finished after. */
void mm_fork_begin(struct mm *mm);
struct mm *mm_fork_finish(struct mm *mm, struct pl_space *child); /* NULL child: failed, only unlocks */
void mm_get(struct mm *mm);
void mm_put(struct mm *mm);
struct pl_space *mm_space(struct mm *mm);

/* The current fiber's mm and thread (fiber_context) carry these out. Results as the system call's: address, 0 or -errno. May park. */
struct mm_limits { uint64_t as, data, stack, memlock; bool no_random; }; /* bytes; soft limits of the caller. no_random: ADDR_NO_RANDOMIZE */
void mm_set_limits(struct mm *mm, const struct mm_limits *l); /* the task layer calls it at exec, fork and setrlimit */
/* The caller has closed a descriptor: let go of the files that the stub keeps open to map from. Own fiber; may park. */
void mm_forget_files(struct mm *mm);
/* mm takes its own reference on m; the caller keeps his. exec maps the main stack with MAP_FIXED | MAP_GROWSDOWN | MAP_STACK: the first such
 * mapping gets address space for all of RLIMIT_STACK, and grows without faults. m == NULL with MAP_SHARED: shared anonymous. */
int64_t mm_mmap(struct mm *mm, uaddr_t addr, uint64_t len, int prot, int flags, struct mappable *m /* NULL = anonymous */,
		uint64_t off, bool may_write /* file open for writing */, bool may_exec);
int64_t mm_munmap(struct mm *mm, uaddr_t addr, uint64_t len);
int64_t mm_mprotect(struct mm *mm, uaddr_t addr, uint64_t len, int prot);
int64_t mm_mremap(struct mm *mm, uaddr_t old, uint64_t old_len, uint64_t new_len, int flags, uaddr_t new_addr);
int64_t mm_madvise(struct mm *mm, uaddr_t addr, uint64_t len, int advice);
/* shmdt(2): unmap the mapping, in all its pieces, that begins at addr and maps something with these ops from its offset 0. */
int64_t mm_detach(struct mm *mm, uaddr_t addr, const struct mappable_ops *ops);
/* What a mapping that begins at addr with offset 0 maps, if it has these ops: counted, or NULL. */
struct mappable *mm_mappable_at(struct mm *mm, uaddr_t addr, const struct mappable_ops *ops);
int64_t mm_remap_file_pages(struct mm *mm, uaddr_t start, uint64_t size, int prot, uint64_t pgoff, int flags);
int64_t mm_brk(struct mm *mm, uaddr_t brk);
int64_t mm_mincore(struct mm *mm, uaddr_t addr, uint64_t len, uaddr_t vec);
int64_t mm_msync(struct mm *mm, uaddr_t addr, uint64_t len, int flags);
int64_t mm_mlock(struct mm *mm, uaddr_t addr, uint64_t len, int flags, bool lock);
int64_t mm_mlockall(struct mm *mm, int flags);
/* A fault the host reported: true if mm repaired it (stack growth) and the guest may run on. */
bool mm_fault(struct mm *mm, uaddr_t addr, uint64_t err, int *si_code);
/* PL_ORDER came back: undo the VMAs that the failed order stood for, and set the result of the call, if it was one. False: it was exec's, and
 * the new image is not complete. */
bool mm_order_failed(struct mm *mm, uint32_t index, int error);

/* exec, own fiber: fill what this thread's orders map with src (NULL: zeroes), before it runs for the first time. 0 or -EFAULT. */
int mm_fill_new(uaddr_t dst, const void *src, size_t n);

/* exec: where things are, for /proc and auxv. Own fiber at exec, then immutable but for prctl(PR_SET_MM). */
struct mm_layout {
	uaddr_t start_code, end_code, start_data, end_data, start_brk, brk, start_stack, arg_start, arg_end, env_start, env_end,
		vdso, mmap_base;
	void *exe;		      /* struct file *, counted through exe_put */
	void (*exe_get)(void *exe);   /* set both: fork copies exe with it */
	void (*exe_put)(void *exe);
	uint64_t auxv[64];
	unsigned auxc;
	bool dumpable;
};
struct mm_layout *mm_layout(struct mm *mm);
bool mm_alive(struct mm *mm); /* somebody lives in it: else it is only looked at */
/* Choose an address (as mmap without a hint); 0 if none. mm.map_lock not held. */
uaddr_t mm_find_gap(struct mm *mm, uint64_t len);
/* Where exec puts the top of the stack: randomised as Linux's, above everything that mmap chooses. */
uaddr_t mm_random_stack_top(struct mm *mm);
/* Carry out the own thread's deferred orders now: before a ptrace stop, and before anybody looks at the memory from outside. May park. */
void mm_settle(struct mm *mm);
/* Map Bailey's vDSO and parameter page: 0 or -errno; layout.vdso is set. */
int mm_map_vdso(struct mm *mm);
/* Have the vDSO ask for the time by a call (time namespaces); own fiber. */
void mm_vdso_no_clocks(struct mm *mm);

/* /proc: calls fn for each VMA in order, map lock held. */
struct vma_info {
	uaddr_t start, end;
	unsigned flags;
	uint64_t off, dev, ino;
	const char *name; /* path, "[heap]", "[stack]", "[vdso]", "" */
};
void mm_for_each_vma(struct mm *mm, bool (*fn)(void *arg, const struct vma_info *v), void *arg);
/* Of a range of one mapping, from within mm_for_each_vma(): bytes. Zeroes when the platform does not say. */
struct mm_resident { uint64_t rss, anon, shared, private_clean, private_dirty, swap; };
void mm_range_resident(struct mm *mm, uint64_t start, uint64_t end, struct mm_resident *r);
size_t mm_pagemap(struct mm *mm, uint64_t addr, size_t n, uint64_t *words); /* /proc/PID/pagemap; n */
struct mm_stat { uint64_t total_vm, locked_vm, data_vm, stack_vm, exec_vm, shared_vm, rss, hiwater_rss, anon_rss, file_rss /* with shmem_rss */, shmem_rss, peak_vm; }; /* bytes */
void mm_stat(struct mm *mm, struct mm_stat *st);
void mm_reset_peak_rss(struct mm *mm); /* what is resident now is the most from now on */
uint64_t mm_peak_rss(struct mm *mm); /* the most that it had resident, bytes; cheap for small ones */

/* Key of a futex word: private (mm, addr) or shared (object, offset). 0 or -EFAULT. */
struct futex_key { uint64_t object; uint64_t offset; };
int mm_futex_key(struct mm *mm, uaddr_t addr, bool private_, struct futex_key *key);

#endif
