/* SPDX-License-Identifier: Apache-2.0 */
/* version.h: what uname(2) and /proc/version say. */
#ifndef BAILEY_ABI_VERSION_H
#define BAILEY_ABI_VERSION_H

#define UTS_SYSNAME "Linux"
#define UTS_RELEASE "6.12.0-bailey"
#define UTS_VERSION "#1 SMP PREEMPT_DYNAMIC Bailey"
#define UTS_MACHINE "x86_64"

#endif
