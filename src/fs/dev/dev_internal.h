/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_FS_DEV_INTERNAL_H
#define BAILEY_FS_DEV_INTERNAL_H
#include "fs/dev/dev.h"
#include "vfs/vfs.h"

void mem_register(void);

#endif
