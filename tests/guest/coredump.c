/* SPDX-License-Identifier: Apache-2.0 */
/* Core files: whose registers are in them, when there is one, and its name. */
#include "harness.h"
#include <elf.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/procfs.h>
#include <sys/utsname.h>

#define FAULT ((volatile int *)0x1230)

static void limit(rlim_t n)
{
	struct rlimit r = { n, RLIM_INFINITY };
	CHECK(!setrlimit(RLIMIT_CORE, &r));
}
static int crash(void (*before)(void))
{
	return CHILD_STATUS({
		limit(RLIM_INFINITY);
		before();
		*FAULT = 1;
	});
}
static void nothing(void) { }

static int ready;
static __attribute__((noreturn)) void *spin(void *r15)
{
	register void *x __asm__("r15") = r15;
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	for (;;)
		__asm__ volatile("pause" : "+r"(x));
}
static void *sleeper(void *arg)
{
	__atomic_fetch_add(&ready, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
	return arg;
}
static void threads(void)
{
	pthread_t t;
	pthread_create(&t, NULL, spin, (void *)0x7007);
	pthread_create(&t, NULL, spin, (void *)0x7008);
	pthread_create(&t, NULL, sleeper, NULL);
	while (__atomic_load_n(&ready, __ATOMIC_SEQ_CST) != 3)
		usleep(1000);
}

static char *read_all(const char *name, size_t *n)
{
	static char b[1 << 20];
	int fd = open(name, O_RDONLY);
	CHECK(fd >= 0);
	*n = read(fd, b, sizeof(b));
	close(fd);
	return b;
}
struct seen { int status, fp, xstate, auxv, file, siginfo, psinfo, r15; unsigned first_sig; siginfo_t info; };
static void look(const char *name, struct seen *s)
{
	size_t n;
	char *b = read_all(name, &n);
	Elf64_Ehdr *e = (void *)b;
	Elf64_Phdr *p = (void *)(b + e->e_phoff);
	memset(s, 0, sizeof(*s));
	CHECK(!memcmp(b, ELFMAG, SELFMAG) && e->e_type == ET_CORE && e->e_machine == EM_X86_64 && p->p_type == PT_NOTE);
	char *q = b + p->p_offset, *end = q + p->p_filesz;
	CHECK(end <= b + n);
	while (q < end) {
		Elf64_Nhdr *h = (void *)q;
		char *d = q + 12 + ((h->n_namesz + 3) & ~3u);
		struct elf_prstatus *ps = (void *)d;
		switch (h->n_type) {
		case NT_PRSTATUS:
			CHECK(h->n_descsz == sizeof(*ps) && ps->pr_pid > 0);
			if (!s->status++)
				s->first_sig = ps->pr_cursig;
			s->r15 += ps->pr_reg[0] == 0x7007 || ps->pr_reg[0] == 0x7008;
			break;
		case NT_PRFPREG: s->fp++; break;
		case NT_X86_XSTATE: s->xstate++; break;
		case NT_AUXV: s->auxv++; break;
		case NT_FILE: s->file++; break;
		case NT_PRPSINFO: s->psinfo++; break;
		case NT_SIGINFO:
			s->siginfo++;
			memcpy(&s->info, d, sizeof(s->info));
			break;
		}
		q = d + ((h->n_descsz + 3) & ~3u);
	}
}
/* Where cores go here: in the working directory, or the case is left out. */
static void need_plain_pattern(void)
{
	char b[128] = "";
	int fd = open("/proc/sys/kernel/core_pattern", O_RDONLY);
	(void)read(fd, b, sizeof(b) - 1);
	close(fd);
	if (strcmp(b, "core\n"))
		SKIP("cores go elsewhere");
}

TEST(one_thread)
{
	struct seen s;
	struct stat st;
	need_plain_pattern();
	CHECK_EQ(crash(nothing), SIGSEGV | 0x80);
	look("core", &s);
	CHECK(s.status == 1 && s.fp == 1 && s.xstate == 1 && s.auxv == 1 && s.file == 1 && s.psinfo == 1 && s.siginfo == 1);
	CHECK(s.info.si_signo == SIGSEGV && s.info.si_code == SEGV_MAPERR && s.info.si_addr == FAULT);
	CHECK(!stat("core", &st) && st.st_mode == (S_IFREG | 0600));
	/* A link is replaced, not followed. */
	CHECK(!unlink("core") && !symlink("elsewhere", "core"));
	CHECK_EQ(crash(nothing), SIGSEGV | 0x80);
	CHECK(!lstat("core", &st) && S_ISREG(st.st_mode));
	CHECK_ERRNO(access("elsewhere", F_OK), ENOENT);
}

TEST(all_threads)
{
	struct seen s;
	need_plain_pattern();
	CHECK_EQ(crash(threads), SIGSEGV | 0x80);
	look("core", &s);
	CHECK_EQ(s.status, 4);
	CHECK_EQ(s.first_sig, SIGSEGV);
	CHECK(s.fp == 4 && s.xstate == 4 && s.r15 == 2);
}

static void not_dumpable(void) { prctl(PR_SET_DUMPABLE, 0); }
static void page_less(void) { limit(4095); }
static void hardly(void) { limit(5000); }
static void killed(void)
{
	struct sock_filter f[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog p = { 4, f };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	CHECK(!syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p));
	syscall(SYS_getppid);
}
TEST(when)
{
	struct stat st;
	need_plain_pattern();
	CHECK_EQ(crash(not_dumpable), SIGSEGV);
	CHECK_EQ(crash(page_less), SIGSEGV);
	CHECK_ERRNO(access("core", F_OK), ENOENT);
	CHECK_EQ(crash(hardly), SIGSEGV | 0x80); /* cut short */
	CHECK(!stat("core", &st) && st.st_size <= 5000);
	CHECK_EQ(crash(killed), SIGSYS | 0x80);
}

static void put(const char *name, const char *v)
{
	int fd = open(name, O_WRONLY);
	CHECK(fd >= 0 && write(fd, v, strlen(v)) == (ssize_t)strlen(v));
	close(fd);
}
static void named(void) { prctl(PR_SET_NAME, "a/b"); }
TEST(name)
{
	struct utsname u;
	char want[64];
	uname(&u);
	if (!strstr(u.release, "bailey"))
		SKIP("not the pattern of this machine");
	put("/proc/sys/kernel/core_pattern", "x.%e.%s.%%.%u.%q%");
	CHECK_EQ(crash(named), SIGSEGV | 0x80);
	CHECK(!access("x.a!b.11.%.0.", F_OK));
	put("/proc/sys/kernel/core_uses_pid", "1");
	put("/proc/sys/kernel/core_pattern", "c");
	pid_t p = fork();
	if (!p) {
		limit(RLIM_INFINITY);
		*FAULT = 1;
	}
	CHECK(waitpid(p, NULL, 0) == p);
	snprintf(want, sizeof(want), "c.%d", p);
	CHECK(!access(want, F_OK));
	put("/proc/sys/kernel/core_pattern", "|/bin/true");
	CHECK_EQ(crash(nothing), SIGSEGV);
	put("/proc/sys/kernel/core_uses_pid", "0");
	put("/proc/sys/kernel/core_pattern", "core");
}
