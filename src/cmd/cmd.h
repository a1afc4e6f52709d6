/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.h: the sub-commands. Each takes its own words (argv[0] is its name) and returns the exit status. */
#ifndef BAILEY_CMD_CMD_H
#define BAILEY_CMD_CMD_H

int cmd_run(int argc, char **argv);
int cmd_kernel(int argc, char **argv);
int cmd_syscalls(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif
