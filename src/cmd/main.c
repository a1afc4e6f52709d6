/* SPDX-License-Identifier: Apache-2.0 */
/* main.c: the bailey command. */
#include "cmd/cmd.h"
#include "sandbox/sandbox.h"
#include "syscalls/syscalls.h"
#include <stdio.h>

static const struct { const char *name; int (*fn)(int, char **); const char *help; } commands[] = {
	{ "run", cmd_run, "run a program in a sandbox" },
	{ "exec", cmd_exec, "run a program in a sandbox that has a name" },
	{ "ps", cmd_ps, "list its processes, or the sandboxes that have names" },
	{ "kill", cmd_kill, "send a signal to its processes" },
	{ "pause", cmd_pause, "stop everything in it" },
	{ "resume", cmd_pause, "let it go on" },
	{ "kernel", cmd_kernel, NULL },
	{ "syscalls", cmd_syscalls, "list the system calls and how far each is supported" },
	{ "doctor", cmd_doctor, "check what this host offers" },
};

static void usage(FILE *f)
{
	fputs("usage: bailey COMMAND [ARGUMENT...]\n\n", f);
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].help)
			fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("\n`bailey COMMAND --help` tells more; `bailey --version` the version.\n", f);
}

int cmd_syscalls(int argc, char **argv)
{
	static const char *const levels[] = { [SUPPORT_NONE] = "none", [SUPPORT_PARTIAL] = "partial", [SUPPORT_FULL] = "full" };
	unsigned count[3] = { 0 };

	(void)argv;
	if (argc > 1) {
		fputs("usage: bailey syscalls\n", argc == 2 && !strcmp(argv[1], "--help") ? stdout : stderr);
		return argc == 2 && !strcmp(argv[1], "--help") ? 0 : EXIT_BAILEY;
	}
	for (unsigned nr = 0; nr < syscall_table_x86_64.count; nr++) {
		const struct syscall_row *r = &syscall_table_x86_64.rows[nr];
		if (!r->name)
			continue;
		unsigned level = r->fn ? r->support : SUPPORT_NONE;
		count[level]++;
		printf("%3u  %-24s %-8s %s\n", nr, r->name, levels[level], r->note ? r->note : "");
	}
	printf("%u full, %u partial, %u none\n", count[SUPPORT_FULL], count[SUPPORT_PARTIAL], count[SUPPORT_NONE]);
	return 0;
}

int cmd_doctor(int argc, char **argv)
{
	if (argc > 1) {
		fputs("usage: bailey doctor\n", stdout);
		return strcmp(argv[1], "--help") ? EXIT_BAILEY : 0;
	}
	return sandbox_doctor();
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		usage(stderr);
		return EXIT_BAILEY;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
		usage(stdout);
		return 0;
	}
	if (!strcmp(argv[1], "--version")) {
		puts("bailey " BAILEY_VERSION);
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].fn(argc - 1, argv + 1);
	fprintf(stderr, "bailey: %s: no such command (see `bailey --help`)\n", argv[1]);
	return EXIT_BAILEY;
}
