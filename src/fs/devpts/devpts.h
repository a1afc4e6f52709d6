/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BAILEY_FS_DEVPTS_H
#define BAILEY_FS_DEVPTS_H

void devpts_register(void); /* file system type "devpts" and /dev/ptmx; at start */

#endif
