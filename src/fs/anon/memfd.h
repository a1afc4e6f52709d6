/* SPDX-License-Identifier: Apache-2.0 */
/* memfd.h: memfd_create(2). */
#ifndef BAILEY_FS_ANON_MEMFD_H
#define BAILEY_FS_ANON_MEMFD_H
#include "vfs/vfs.h"

int memfd_create_file(const char *name, unsigned flags /* MFD_, checked */, struct file **out);

#endif
