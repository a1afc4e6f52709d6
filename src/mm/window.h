/* SPDX-License-Identifier: Apache-2.0 */
/* window.h: file windows (window.c says what they are), for vfs. All act on the running fiber's address space. */
#ifndef BAILEY_MM_WINDOW_H
#define BAILEY_MM_WINDOW_H
#include "mm/mm.h"

/* file: a number of the open file description, never used again. object: what is mapped for it, an address that is its own as long as a
 * mappable of it is counted: another one after copy-up.
 * The stub will copy n bytes at off to dst when it is answered; the caller has made sure that the file has them. False: read them otherwise. */
bool mm_window_read(uint64_t file, const void *object, uint64_t off, uaddr_t dst, size_t n);
/* Make a window around off. Takes over m. table_users: of the descriptor table that file is in. May park. 0, -EAGAIN: not now, or -errno. */
int mm_window_open(uint64_t file, const void *object, struct mappable *m, uint64_t off, unsigned table_users);
void mm_window_close(uint64_t file); /* before guest code runs again. May park */
void mm_windows_close(struct mm *mm); /* all */
#endif
