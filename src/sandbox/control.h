/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_SANDBOX_CONTROL_H
#define BAILEY_SANDBOX_CONTROL_H
#include "kernel/kernel.h"

/* Serve the control socket on a fiber of its own, until the other end goes: then the scheduler is stopped. 0 or -errno */
int control_start(struct kernel *k, struct mount_namespace *ns, struct tty *tty /* NULL: none */, int sock);

#endif
