/* SPDX-License-Identifier: Apache-2.0 */
/* execve's inputs: huge vectors, broken ELF files, hostile scripts. Each ends in an error or in the death of the one process. */
#include "evil.h"
#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
static void put(const char *path, const void *b, size_t n)
{
	unlink(path);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	(void)!write(fd, b, n);
	close(fd);
}
/* errno of the execve, 0 = it ran, -1 = killed */
static int try(const char *path, char **argv, char **envp)
{
	int p[2], e = 0, st;
	(void)!pipe2(p, O_CLOEXEC);
	pid_t c = fork();
	if (!c) {
		struct sigaction d = { .sa_handler = SIG_DFL };
		for (int s = 1; s < 32; s++)
			sigaction(s, &d, NULL);
		alarm(1);
		execve(path, argv, envp);
		e = errno;
		(void)!write(p[1], &e, sizeof e);
		_exit(0);
	}
	close(p[1]);
	if (c > 0) {
		for (int i = 0; i < 300 && waitpid(c, &st, WNOHANG) == 0; i++) {
			usleep(i < 20 ? 500 : 5000);
			if (i == 250)
				kill(c, SIGKILL);
		}
	}
	if (read(p[0], &e, sizeof e) != sizeof e)
		e = c > 0 && WIFSIGNALED(st) ? -1 : 0;
	close(p[0]);
	return e;
}
static void want(const char *what, int got, int expected)
{
	if (got != expected)
		printf("%s: %d (%s) instead of %d (%s)\nEVIL: as Linux does not\n", what, got, strerror(got), expected, strerror(expected));
}
int main(int argc, char **argv)
{
	char *small[] = { "x", NULL }, *none[] = { NULL };
	/* vectors */
	size_t n = 400000;
	char **many = calloc(n + 1, sizeof *many);
	for (size_t i = 0; i < n; i++)
		many[i] = "0123456789";
	want("400,000 words", try("/bin/true", many, none), E2BIG);
	many[1000] = NULL;
	want("1,000 words", try("/bin/true", many, none), 0);
	char *big = malloc(200000);
	memset(big, 'x', 199999);
	big[199999] = 0;
	char *one[] = { "x", big, NULL };
	want("a word of 200,000 bytes", try("/bin/true", one, none), E2BIG);
	want("the same in the environment", try("/bin/true", small, one), E2BIG);
	want("vectors from nowhere", try("/bin/true", (char **)8, none), EFAULT);
	char *wild[] = { "x", (char *)8, NULL };
	want("a word from nowhere", try("/bin/true", wild, none), EFAULT);
	char *kernel[] = { "x", (char *)0xffff800000000000, NULL };
	want("a word of the kernel's", try("/bin/true", kernel, none), EFAULT);
	char *stub[] = { "x", (char *)0x7fffb0000000, NULL };
	want("a word of the stub's", try("/bin/true", stub, none), EFAULT);
	/* scripts */
	mkdir("/tmp/exec-evil", 0755);
	chdir("/tmp/exec-evil");
	static const struct { const char *text; int e; } scripts[] = {
		{ "#!/tmp/exec-evil/s\n", ELOOP }, { "#!\n", ENOEXEC }, { "#! \t \n", ENOEXEC }, { "#", ENOEXEC }, { "", ENOEXEC },
		{ "#!/no/such\n", ENOENT }, { "#!/etc\n", EACCES }, { "#!/etc/passwd\n", EACCES }, { "#!/bin/true x y z\n", 0 }, { "#!true\n", ENOENT },
		{ "#!/bin/true", 0 }, { "echo x\n", ENOEXEC },
	};
	for (unsigned i = 0; i < sizeof scripts / sizeof *scripts; i++) {
		put("s", scripts[i].text, strlen(scripts[i].text));
		want(scripts[i].text, try("/tmp/exec-evil/s", small, none), scripts[i].e);
	}
	memset(big, 'y', 4096);
	memcpy(big, "#!/bin/", 7);
	put("s", big, 4096);
	want("a first line of 4,096 bytes", try("s", small, none), ENOEXEC);
	for (int i = 0; i < 8; i++) {
		char name[16], line[64];
		snprintf(name, sizeof name, "c%d", i);
		snprintf(line, sizeof line, i ? "#!/tmp/exec-evil/c%d\n" : "#!/bin/true\n", i - 1);
		put(name, line, strlen(line));
	}
	want("a chain of 4 scripts", try("c3", small, none), 0);
	want("a chain of 8 scripts", try("c7", small, none), ELOOP);
	/* ELF: a whole one of 200 bytes that exits, and the dynamic /bin/true, with bytes changed */
	struct { Elf64_Ehdr e; Elf64_Phdr p[2]; unsigned char code[16]; } tiny = {
		.e = { .e_ident = { 0x7f, 'E', 'L', 'F', 2, 1, 1 }, .e_type = ET_EXEC, .e_machine = EM_X86_64, .e_version = 1, .e_entry = 0x400000 + sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr),
		       .e_phoff = sizeof(Elf64_Ehdr), .e_ehsize = sizeof(Elf64_Ehdr), .e_phentsize = sizeof(Elf64_Phdr), .e_phnum = 2 },
		.p = { { .p_type = PT_LOAD, .p_flags = 5, .p_vaddr = 0x400000, .p_filesz = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr) + 16, .p_memsz = 0x1000, .p_align = 0x1000 },
		       { .p_type = PT_GNU_STACK, .p_flags = 6 } },
		.code = { 0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05 },
	};
	put("t", &tiny, sizeof tiny);
	want("the tiny program", try("t", small, none), 0);
	static unsigned char dyn[200000], m[200000];
	int fd = open("/bin/true", O_RDONLY);
	ssize_t len = read(fd, dyn, sizeof dyn);
	int ran = 0, refused = 0, killed = 0;
	for (int k = 0; k < 400; k++) {
		size_t size = k & 1 ? (size_t)len : sizeof tiny, head = k & 1 ? 1024 : sizeof tiny;
		memcpy(m, k & 1 ? (void *)dyn : (void *)&tiny, size);
		for (int i = 0, c = 1 + rnd() % 4; i < c; i++) {
			size_t at = 16 + rnd() % (head - 16);
			uint64_t v = rnd();
			if (v % 5 == 0 && at + 8 <= head) {
				uint64_t odd[] = { 0, ~0UL, 1UL << 63, 0x7ffffffff000, 0x7fffb0000000, 1UL << 47, (1UL << 47) - 4096, 0x7fff00000000, 4096, 1 };
				at &= ~7UL;
				memcpy(m + at, &odd[(v >> 8) % 10], 8);
			} else {
				m[at] = v >> 8;
			}
		}
		if (rnd() % 16 == 0)
			size = rnd() % size;
		put("f", m, size);
		int e = try("f", small, none);
		if (e > 0 && e != ENOEXEC && e != ENOMEM && e != EINVAL && e != EIO && e != ENOENT && e != EACCES && e != EPERM && e != ELIBBAD && e != EFAULT && e != ENAMETOOLONG &&
		    e != EOVERFLOW && e != ENOTDIR && e != EISDIR && e != ELOOP && e != E2BIG)
			printf("mutation %d: %s\n", k, strerror(e));
		if (argc > 1 && argv)
			printf("%d: %d\n", k, e);
		e ? e < 0 ? killed++ : refused++ : ran++;
	}
	printf("of 400 mutations %s ran, refused and were killed\n", ran && refused ? "some" : "ODDLY FEW");
	return 0;
}
