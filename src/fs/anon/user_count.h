/* SPDX-License-Identifier: Apache-2.0 */
/* user_count.h: how many of a thing each user has, for what lives beside descriptors and would fill the kernel's memory: the limits of
 * /proc/sys/fs/inotify and /proc/sys/fs/epoll, as sysctl.c shows them. */
#ifndef BAILEY_FS_ANON_USER_COUNT_H
#define BAILEY_FS_ANON_USER_COUNT_H
#include "auth/cred.h"

enum user_count_kind { USER_INOTIFY_INSTANCES, USER_INOTIFY_WATCHES, USER_EPOLL_WATCHES, USER_COUNT_KINDS };
struct user_count *user_count_get(void); /* of the caller's effective user; counted */
void user_count_put(struct user_count *u);
bool user_count_charge(struct user_count *u, enum user_count_kind kind); /* false: the limit is reached */
void user_count_uncharge(struct user_count *u, enum user_count_kind kind);

#endif
