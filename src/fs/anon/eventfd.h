/* SPDX-License-Identifier: Apache-2.0 */
/* eventfd.h: eventfd(2). */
#ifndef BAILEY_FS_ANON_EVENTFD_H
#define BAILEY_FS_ANON_EVENTFD_H
#include "vfs/vfs.h"

int eventfd_create(unsigned count, unsigned flags /* EFD_ */, struct file **out);
bool file_is_eventfd(struct file *f);
/* Add to the counter from inside the kernel (AIO); saturates. Takes the wait queue's lock only. */
void eventfd_signal(struct file *f, uint64_t n);

#endif
