/* SPDX-License-Identifier: Apache-2.0 */
/* patch.h: patched call sites: what the platform asks mm for.
 *
 * A system call site that trapped a few times is rewritten to jump into the stub, which costs a quarter of a trap. The guest's
 * VMAs do not change: the patched page is a private copy of the file's page in the same host mapping. Table and trampolines lie
 * in [PL_PATCH_START, PL_PATCH_END) of each space, where guests rarely map anything; an order that touches the range puts all
 * sites of the space back first, and the space is not patched again. mm need not know. */
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
