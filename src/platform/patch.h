/* SPDX-License-Identifier: Apache-2.0 */
/* patch.h: patched call sites: what the platform asks mm for.
 *
 * A system call site that trapped a few times is rewritten to jump into the stub, which costs a quarter of a trap. The guest's
 * VMAs do not change: the patched page is a private copy of the file's page in the same host mapping. Two ranges of each space, where
 * guests rarely map anything, hold what sites jump through (trap/abi.h); an order that touches one of them puts the sites back that need
 * it first, and from then on the space gets by with the other one. mm need not know. */
#ifndef BAILEY_PLATFORM_PATCH_H
#define BAILEY_PLATFORM_PATCH_H
#include "platform/platform.h"

struct patch_ops {
	/* On t's fiber, in a system call: is the page of addr private file-backed text, mapped PROT_READ | PROT_EXEC, and not
	 * writable? Then the identity of the file (mappable id) and the offset of addr in it. No map lock is held; may not park. */
	bool (*text)(void *arg, struct pl_thread *t, uaddr_t addr, uint64_t *id, uint64_t *off);
};
/* Without this call nothing is patched. Before the first guest runs. */
void platform_set_patch_ops(struct platform *p, const struct patch_ops *ops, void *arg);
void platform_patch_off(struct pl_space *s);
/* Own fiber, between an event and the next run: the space's code as the guest knows it, from now on. For tracers. */
void platform_patch_undo(struct pl_thread *t);

#endif
