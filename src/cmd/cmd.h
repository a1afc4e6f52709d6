/* SPDX-License-Identifier: Apache-2.0 */
/* cmd.h: the sub-commands. Each takes its own words (argv[0] is its name) and returns the exit status. */
#ifndef BAILEY_CMD_CMD_H
#define BAILEY_CMD_CMD_H
#include "control/client.h"
#include <sys/types.h>

int cmd_run(int argc, char **argv);
int cmd_kernel(int argc, char **argv);
int cmd_syscalls(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
/* remote.c: what is done to a sandbox that has a name */
int cmd_exec(int argc, char **argv);
int cmd_ps(int argc, char **argv);
int cmd_kill(int argc, char **argv);
int cmd_pause(int argc, char **argv); /* resume too */

/* ---- process.c: the words that say how a program starts, and its creation ---- */
struct program {
	char **argv, **env;
	unsigned nenv;
	const char *cwd;
	uint32_t uid, gid, *groups;
	unsigned ngroups;
	bool user_given, cwd_given;
	uint64_t ignored;
	unsigned umask, closed_fds;
};
/* What is wrong with the words of the command, in one line; the exit status is 125. */
_Noreturn void wrong(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void program_inherit(struct program *p); /* from whoever starts us: environment, ignored signals, umask, closed descriptors */
void program_env(struct program *p, const char *command, char *arg);
void program_user(struct program *p, const char *command, char *arg);
void program_cwd(struct program *p, const char *command, char *arg);
void program_finish(struct program *p, bool own_root); /* groups and folder that were not given */
uint32_t parse_u32(const char *command, const char *arg, char **end, const char *what);
/* Creates it: its descriptors are ours, or where tty says so and they are terminals, the sandbox's. exit_fd is closed at its end. 0 and *process, or
 * the exit status with the reason in `text` (500 bytes). *lost: the sandbox is gone, which is no failure of the program's. */
int program_create(const struct program *p, struct ctl_client *c, uint32_t flags, bool tty, int exit_fd, uint32_t *process, char *text);

/* ---- serve.c: a sandbox with a name hears other processes of its owner ---- */
struct serve;
/* 0 and a listening server, or the exit status with a line in text (500 bytes). */
int serve_start(const char *name, struct serve **out, char *text);
void serve_client(struct serve *s, struct ctl_client *c);	 /* the sandbox is up */
void serve_event(struct serve *s, const struct ctl_msg *m); /* an event of the sandbox's */
struct pollfd;
unsigned serve_poll(struct serve *s, struct pollfd *p, unsigned room); /* how many it has set; SERVE_POLLS at most */
void serve_handle(struct serve *s, const struct pollfd *p, unsigned n);
void serve_stop(struct serve *s); /* NULL is fine */
enum { SERVE_CONNECTIONS = 32, SERVE_POLLS = SERVE_CONNECTIONS + 1 };
/* The other end: a connected socket, or -errno. -EACCES: the folder is somebody else's. */
int serve_connect(const char *name);
int serve_dir(bool make); /* the folder of the sockets, open; or -errno */
bool serve_name_ok(const char *name);

#endif
