/* SPDX-License-Identifier: Apache-2.0 */
/* hostfd.h: inherited descriptors as guest files. (The implementation stands in fs/dev: it sleeps and signals as tasks do.) */
#ifndef BAILEY_FS_HOSTFD_H
#define BAILEY_FS_HOSTFD_H
#include <stdint.h>

#define HOSTFD_POS VFS_POS_HOST /* file.pos of one that goes by the host's position */
struct kernel;
struct file;

/* An inherited stdio descriptor (pipe, socket, regular file, /dev/null...; not a terminal) as a guest file, counted. The descriptor
 * is taken over on success. The flags of the description, which others share, are never changed. 0 or -errno */
int host_fd_file(struct kernel *k, int fd, struct file **out);

#endif
