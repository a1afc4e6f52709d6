/* SPDX-License-Identifier: Apache-2.0 */
/* dev.h: memory devices and the "devtmpfs" file system. */
#ifndef BAILEY_FS_DEV_H
#define BAILEY_FS_DEV_H
#include "lib/lib.h"

/* Registers null, zero, full, random, urandom, kmsg and the file system type "devtmpfs" (a tmpfs with the usual names in it).
 * tty, console, ptmx and pts/ are registered by whoever owns terminals; here they are only names. */
void dev_register(void);
/* Host randomness: getrandom(2), /dev/random and /dev/urandom. */
void random_bytes(void *buf, size_t n);

#endif
