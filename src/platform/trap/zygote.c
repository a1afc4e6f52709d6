/* SPDX-License-Identifier: Apache-2.0 */
/* zygote.c: starting the zygote, and platform_create.
 *
 * The zygote is executed from the stub's image with nothing but three descriptors; it maps its slot area and the kernel page,
 * moves the host vDSO next to the stub, unmaps the rest, installs the signal handlers and the filter. It never runs guest code:
 * its one thread waits for orders to fork. */
#include "platform/trap/trap.h"
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, uint64_t)
#endif

int zygote_image(void)
{
	int fd = memfd_create("bailey-stub", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t len = stub_image_size, done = 0;

	if (fd < 0)
		return -errno;
	while (done < len) {
		ssize_t n = write(fd, stub_image + done, len - done);

		if (n <= 0) {
			close(fd);
			return -EIO;
		}
		done += (size_t)n;
	}
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
	return fd;
}

/* After fork, in the child: only async-signal-safe calls. */
static _Noreturn void zygote_exec(int image, int sock, int kpage, int area)
{
	static const struct { int what; rlim_t v; } limits[] = { { RLIMIT_CORE, 0 }, { RLIMIT_MEMLOCK, 0 }, { RLIMIT_NOFILE, 1024 } };
	char *argv[] = { "bailey-stub", NULL }, *envp[] = { NULL };
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	for (int sig = 1; sig < 65; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rlimit r = { limits[i].v, limits[i].v };

		setrlimit(limits[i].what, &r);
	}
	int fds[4] = { image, sock, kpage, area };

	for (int i = 0; i < 4; i++) { /* out of the way of 3, 4, 5, 6 */
		fds[i] = fcntl(fds[i], F_DUPFD, 64);
		if (fds[i] < 0)
			_exit(111);
	}
	if (dup2(fds[1], 3) < 0 || dup2(fds[2], 4) < 0 || dup2(fds[3], 5) < 0)
		_exit(112);
	dup2(fds[0], 6);
	fcntl(6, F_SETFD, FD_CLOEXEC);
	for (int i = 0; i < 3; i++)
		close(i);
	syscall(SYS_close_range, 7, ~0U, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	personality(ADDR_NO_RANDOMIZE);
	syscall(SYS_execveat, 6, "", argv, envp, AT_EMPTY_PATH);
	_exit(113);
}

/* What the fresh process has mapped: the stub and ours stay, vDSO and vvar move, the rest goes. */
static int read_layout(pid_t pid, struct zygote_layout *l)
{
	char path[64], line[512];
	uint64_t lo = 0;
	FILE *f;

	memset(l, 0, sizeof(*l));
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f)) {
		uint64_t a, b;

		if (sscanf(line, "%lx-%lx", &a, &b) != 2)
			continue;
		if (strstr(line, "[vsyscall]") || (a >= STUB_SLOTS && a < STUB_HOST_VDSO))
			continue;
		if (strstr(line, "[vdso]") || strstr(line, "[vvar")) {
			if (l->nmove == ARRAY_SIZE(l->move))
				break;
			if (!lo)
				lo = a;
			l->move[l->nmove].from = a;
			l->move[l->nmove].to = STUB_HOST_VDSO + (a - lo);
			l->move[l->nmove++].len = b - a;
		} else if (l->nunmap < ARRAY_SIZE(l->unmap)) {
			l->unmap[l->nunmap].addr = a;
			l->unmap[l->nunmap++].len = b - a;
		}
	}
	fclose(f);
	return l->nmove ? 0 : -ENOENT;
}

/* Function addresses in the moved vDSO: its image is the same in every process of this host. */
static void find_vdso(struct platform *p, const struct zygote_layout *l)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)base;
	const Elf64_Dyn *dyn = NULL;
	const Elf64_Sym *sym = NULL;
	const char *str = NULL;
	const uint32_t *hash = NULL, *gnu = NULL;
	uint64_t load = 0, at, nsym = 0;

	if (!base || !l->nmove)
		return;
	at = l->move[l->nmove - 1].to; /* [vdso] comes last */
	const Elf64_Phdr *ph = (const Elf64_Phdr *)(base + eh->e_phoff);

	for (int i = 0; i < eh->e_phnum; i++) {
		if (ph[i].p_type == PT_LOAD)
			load = ph[i].p_vaddr - ph[i].p_offset;
		if (ph[i].p_type == PT_DYNAMIC)
			dyn = (const Elf64_Dyn *)(base + ph[i].p_offset);
	}
	for (; dyn && dyn->d_tag; dyn++) {
		const char *v = base + (dyn->d_un.d_ptr - load);

		if (dyn->d_tag == DT_SYMTAB)
			sym = (const Elf64_Sym *)v;
		else if (dyn->d_tag == DT_STRTAB)
			str = v;
		else if (dyn->d_tag == DT_HASH)
			hash = (const uint32_t *)v;
		else if (dyn->d_tag == DT_GNU_HASH)
			gnu = (const uint32_t *)v;
	}
	if (!sym || !str)
		return;
	if (hash) {
		nsym = hash[1];
	} else if (gnu) { /* the last chain of the last bucket */
		const uint32_t *buckets = gnu + 4 + gnu[2] * 2, *chain = buckets + gnu[0];

		for (uint32_t i = 0; i < gnu[0]; i++)
			nsym = MAX(nsym, (uint64_t)buckets[i]);
		if (nsym >= gnu[1]) {
			while (!(chain[nsym - gnu[1]] & 1))
				nsym++;
			nsym++;
		}
	}
	for (uint64_t i = 0; i < nsym; i++) {
		const char *name = str + sym[i].st_name;
		uint64_t addr = at + sym[i].st_value - load;

		if (!sym[i].st_shndx)
			continue;
		if (!strcmp(name, "__vdso_clock_gettime"))
			p->vdso.clock_gettime = addr;
		else if (!strcmp(name, "__vdso_gettimeofday"))
			p->vdso.gettimeofday = addr;
		else if (!strcmp(name, "__vdso_time"))
			p->vdso.time = addr;
		else if (!strcmp(name, "__vdso_getcpu"))
			p->vdso.getcpu = addr;
		else if (!strcmp(name, "__vdso_clock_getres"))
			p->vdso.clock_getres = addr;
	}
}

static bool zygote_is_up(struct pl_thread *z) { return z->nid != 0; }

int zygote_start(struct platform *p, int image)
{
	struct pl_space *s = space_alloc(p);
	struct pl_thread *z;
	int sv[2], err = 0, pidfd;
	struct zygote_layout layout;
	char c;

	if (!s)
		return -ENOMEM;
	z = thread_alloc(p, s, 0);
	if (!z)
		return -ENOMEM;
	z->slot->handle = z->handle;
	z->slot->cookie = s->cookie;
	/* It ends with 114, or is killed in the exec, if the host put its stack or vDSO where the stub belongs. */
	pid_t pid = 0;

	for (int tries = 0;; tries++) {
		int st = 0;

		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv))
			return -errno;
		pid = fork();
		if (pid < 0)
			return -errno;
		if (!pid)
			zygote_exec(image, sv[1], p->kpage_fd, s->area_fd);
		close(sv[1]);
		if (read(sv[0], &c, 1) == 1)
			break;
		close(sv[0]);
		waitpid(pid, &st, 0);
		if (tries == 64 || (WIFEXITED(st) && WEXITSTATUS(st) != 114)) {
			log_error("starting the zygote: it ended with status %#x before it said a word%s", st,
				  WIFEXITED(st) && WEXITSTATUS(st) == 113 ? ": execveat of its image was refused" : "");
			return -EIO;
		}
	}
	p->zygote_pid = s->pid = z->tid = pid;
	err = read_layout(pid, &layout);
	if (err) {
		log_error("starting the zygote: /proc/%d/maps: %s", (int)pid, strerror(-err));
		goto fail;
	}
	layout.no_killable = p->no_killable;
	memcpy(z->slot->buf, &layout, sizeof(layout));
	find_vdso(p, &layout);
	if (write(sv[0], "", 1) != 1) {
		err = -EIO;
		goto fail;
	}
	close(sv[0]);
	sv[0] = -1;
	uint32_t boot = 0;

	for (int i = 0; i < 5000 && !(boot = __atomic_load_n(&z->slot->boot, __ATOMIC_ACQUIRE)); i++)
		usleep(i < 100 ? 20 : 1000);
	if ((int32_t)boot <= 0) {
		err = boot ? (int32_t)boot : -ETIMEDOUT;
		log_error("starting the zygote: installing its seccomp filter: %s", strerror(-err));
		goto fail;
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	p->listener = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, (int)boot - 1, 0);
	err = -errno;
	if (pidfd >= 0)
		close(pidfd);
	if (p->listener < 0) {
		log_error("starting the zygote: taking its seccomp listener (pidfd_getfd): %s", strerror(-err));
		goto fail;
	}
	fcntl(p->listener, F_SETFD, FD_CLOEXEC);
	p->sync_wake = !p->no_sync_wake && ioctl(p->listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, 1UL) == 0;
	p->sync_flag = p->sync_wake;
	if (!p->sync_wake)
		log_info("the host has no synchronous notification wake-up (Linux 6.6): system calls will be slower");
	__atomic_store_n(&z->slot->boot, 0, __ATOMIC_RELEASE);
	mutex_lock(&p->lock);
	space_hash_locked(s);
	mutex_unlock(&p->lock);
	p->zygote = z;
	err = await(z, zygote_is_up);
	if (err)
		log_error("starting the zygote: it did not report: %s", strerror(-err));
	return err;
fail:
	if (sv[0] >= 0)
		close(sv[0]);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return err;
}

static int kpage_create(struct platform *p)
{
	char path[64];
	int fd = memfd_create("bailey-kpage", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, STUB_KPAGE_FILE_LEN))
		return -errno;
	p->kpage = mmap(NULL, STUB_KPAGE_FILE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (p->kpage == MAP_FAILED)
		return -errno;
	/* Our mapping stays writable, no new one can be: a stub cannot mprotect its own to writable. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		/* Before Linux 5.1: a read-only descriptor does the same. */
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		p->kpage_fd = open(path, O_RDONLY | O_CLOEXEC);
		close(fd);
		return p->kpage_fd < 0 ? -errno : 0;
	}
	p->kpage_fd = fd;
	return 0;
}

static void xstate_probe(struct platform *p)
{
	uint64_t mask = 0;
	uint32_t eax, ebx, ecx, edx;

	/* What signal frames carry: AMX is there only after a process asked for it, which stubs cannot. */
	if (syscall(SYS_arch_prctl, 0x1022 /* ARCH_GET_XCOMP_PERM */, &mask) || !mask) {
		__asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
		mask = ((uint64_t)edx << 32 | eax) & ~(3UL << 17);
	} else {
		__asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
		mask &= (uint64_t)edx << 32 | eax;
	}
	p->xfeatures = mask;
	p->xsave_size = 576;
	for (int i = 2; i < 63; i++) {
		if (!(mask & 1UL << i))
			continue;
		__asm__("cpuid" : "=a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx) : "a"(0xd), "c"(i));
		p->xsave_size = MAX(p->xsave_size, (size_t)eax + ebx);
	}
	BUG_ON(p->xsave_size > SLOT_XSAVE_SIZE || p->xsave_size > sizeof(p->kpage->init_fp));
}

static void on_sigchld(int sig) {}

static void set_ids(struct platform *p)
{
	static const uint16_t nr[PL_NIDS] = {
		[PL_ID_PID] = SYS_getpid, [PL_ID_TID] = SYS_gettid, [PL_ID_UID] = SYS_getuid,
		[PL_ID_EUID] = SYS_geteuid, [PL_ID_GID] = SYS_getgid, [PL_ID_EGID] = SYS_getegid,
	};

	for (int i = 0; i < PL_NIDS; i++)
		p->kpage->prefetch[nr[i]][0].id = i + 1;
}

static bool is_without(const struct platform_options *o, const char *what)
{
	return o->without && strstr(o->without, what);
}

static void lane_destroy(struct platform *p)
{
	p->closing = true;
	direct_exit(p);
	if (p->zygote_pid > 0) {
		kill(-p->zygote_pid, SIGKILL); /* known or not */
		kill(p->zygote_pid, SIGKILL);
		while (waitpid(-p->zygote_pid, NULL, __WALL) > 0)
			;
	}
	if (p->listener >= 0)
		close(p->listener);
	if (p->kpage_fd >= 0)
		close(p->kpage_fd);
	if (p->kpage && p->kpage != MAP_FAILED)
		munmap(p->kpage, STUB_KPAGE_FILE_LEN);
	if (p->kick_fd >= 0)
		close(p->kick_fd);
	if (p->proc_fd >= 0)
		close(p->proc_fd);
	free(p->threads);
	free(p->free_handles);
	free(p->sites);
	free(p->active);
	free(p);
}

static int lane_create(const struct platform_options *o, int image, int worker, struct platform **lanes, unsigned nlanes)
{
	struct platform *p = lanes[worker] = new(struct platform);
	int err;

	p->worker = worker;
	p->lanes = lanes;
	p->nlanes = nlanes;
	p->sched = o->sched;
	p->no_patch = o->no_patch;
	p->write_at_once = o->write_at_once;
	p->listener = p->kpage_fd = -1;
	p->streak_needed = STREAK;
	p->hot_needed = 1;
	atomic_store(&p->watch_deadline, KTIME_MAX);
	p->fsgsbase = getauxval(AT_HWCAP2) & 2 && !is_without(o, "fsgsbase");
	p->no_sync_wake = is_without(o, "sync_wake");
	p->no_killable = is_without(o, "killable");
	p->no_addfd_send = is_without(o, "addfd_send");
	p->spread = is_without(o, "spread");
	p->has_rseq = syscall(SYS_rseq, NULL, 0, 0, 0) < 0 && errno != ENOSYS;
	p->batch = sched_getscheduler(0) == SCHED_OTHER;
	p->ncpu = !sched_getaffinity(0, sizeof(p->cpus), &p->cpus) ? (unsigned)CPU_COUNT(&p->cpus) : 1;
	p->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	TAILQ_INIT(&p->sleepers);
	mutex_init(&p->lock, RANK_PLATFORM);
	sleeplock_init(&p->zygote_lock, RANK_PLATFORM);
	p->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->kick_fd < 0) {
		err = -errno;
		log_error("eventfd: %s", strerror(-err));
		return err;
	}
	xstate_probe(p);
	err = kpage_create(p);
	if (err) {
		log_error("creating the kernel page: %s", strerror(-err));
		return err;
	}
	p->kpage->spin = p->ncpu > 1 ? 4000 : 0;
	p->kpage->fsgsbase = p->fsgsbase;
	p->kpage->xfeatures = p->xfeatures;
	set_ids(p);
	p->kpage->xsave_size = p->xsave_size;
	*(uint16_t *)(void *)p->kpage->init_fp = 0x37f;
	*(uint32_t *)(void *)(p->kpage->init_fp + 24) = 0x1f80;
	patch_init(p);
	return zygote_start(p, image);
}

int platform_create(const struct platform_options *o, struct platform **out)
{
	unsigned n = (unsigned)MIN(sched_nworkers(o->sched), LANES_MAX);
	struct platform **lanes = xcalloc(n, sizeof(*lanes));
	int err, image = o->zygote_fd > 0 ? o->zygote_fd : zygote_image();
	sigset_t chld;

	/* Blocked everywhere but in the idle wait, which it interrupts: see reap(). */
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = on_sigchld }, NULL);
	if (image < 0)
		log_error("the zygote's image: %s", strerror(-image));
	err = MIN(image, 0);
	for (unsigned i = 0; i < n && !err; i++)
		err = lane_create(o, image, (int)i, lanes, n);
	if (image >= 0 && image != o->zygote_fd)
		close(image);
	if (err) {
		if (lanes[0])
			platform_destroy(lanes[0]);
		else
			free(lanes);
		return err;
	}
	sched_set_idle(o->sched, &trap_idle_ops, lanes);
	*out = lanes[0];
	return 0;
}

void platform_destroy(struct platform *p)
{
	struct platform **lanes = p->lanes;

	for (unsigned i = p->nlanes; i-- > 0;)
		if (lanes[i])
			lane_destroy(lanes[i]);
	free(lanes);
}

const struct pl_host_vdso *platform_host_vdso(struct platform *p) { return &p->vdso; }
bool platform_has_rseq(struct platform *p) { return p->has_rseq; }
size_t pl_xsave_size(struct platform *p) { return p->xsave_size + 4; }
uint64_t pl_xfeatures(struct platform *p) { return p->xfeatures; }

void platform_set_prefetch(struct platform *p, unsigned nr, const struct pl_prefetch pf[2])
{
	if (nr >= KPAGE_NR_PREFETCH)
		return;
	for (unsigned lane = 0; lane < p->nlanes; lane++)
		for (int i = 0; i < 2; i++) {
			struct kpage_prefetch *k = &p->lanes[lane]->kpage->prefetch[nr][i];

			k->arg = pf[i].arg;
			k->len_arg = pf[i].len_arg;
			k->nargs = pf[i].nargs;
			k->size = pf[i].size;
			k->kind = pf[i].kind;
		}
}

void platform_dump_stats(struct platform *p)
{
	for (unsigned lane = 0; lane < p->nlanes; lane++) {
		const struct platform_stats *st = &p->lanes[lane]->stats;

		log_debug("platform %u: %lu events, %lu patched, %lu polled, %lu notifications, %lu answers woke a stub, polling entered %lu left %lu, "
			  "%lu faults, %lu kicks, %lu order batches, %lu spaces moved in, %lu forks, %lu threads, %lu sites patched, %lu windows for "
			  "%lu reads, %lu of them failed", lane, st->events, st->patched, st->polled, st->notifications,
			  st->answers, st->polls_entered, st->polls_left, st->faults, st->kicks, st->orders, st->moved, st->forks, st->clones, st->sites,
			  st->windows, st->window_copies, st->shorts);
	}
}
