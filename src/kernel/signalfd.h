/* SPDX-License-Identifier: Apache-2.0 */
/* signalfd.h: signalfd(2). */
#ifndef BAILEY_KERNEL_SIGNALFD_H
#define BAILEY_KERNEL_SIGNALFD_H
#include "kernel/task.h"

int signalfd_create(sigset_k mask, unsigned flags /* SFD_ */, struct file **out);
int signalfd_set_mask(struct file *f, sigset_k mask); /* -EINVAL: not a signalfd */

#endif
