/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c: --memory.
 *
 * OVERVIEW. Guest memory is ordinary memory of stub processes, so nothing asks the kernel process for it. A thread of its own adds up what the
 * host says: anonymous memory of the stubs and of the kernel process, and every memfd (tmpfs, shared memory). Beyond the bound the biggest
 * guest process is killed, as the host's own OOM killer would do it; if that is not enough at once (the memory is in files, or a call
 * that cannot be interrupted goes on allocating), the sandbox ends.
 * How often it looks depends on what is left: guests cannot fill it faster than the host clears pages.
 * It needs no cgroup, which an ordinary user cannot make and somebody would have to remove.
 * It runs beside the workers, not on one: no guest can keep it from running.
 */
#include "sandbox/sandbox.h"
#include "kernel/internal.h"
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILL_RATE (6UL << 30) /* bytes a second that one CPU can fill */
#define SLOWEST (200 * NSEC_PER_MSEC)
#define FASTEST (2 * NSEC_PER_MSEC)

struct process { pid_t host; int nr; uint64_t bytes; };
struct watch {
	struct kernel *k;
	uint64_t limit;
	int proc_fd;
	dev_t shmem; /* of memfds */
	unsigned ncpus;
	struct process *procs;
	size_t nprocs, room;
	pid_t victim; /* the last */
	uint64_t others_cpu, resident, memfd_sum; /* at the last look at memory files, which cannot have changed much while these two have not */
};

static ssize_t read_at(int dir, const char *name, char *buf, size_t size)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, buf, size - 1);
	close(fd);
	buf[n < 0 ? 0 : n] = 0;
	return n;
}

/* all: resident pages are added to it, shared ones too. */
static uint64_t anon_bytes(struct watch *w, const char *pid, bool exact, uint64_t *all)
{
	char name[64], buf[2048];
	unsigned long size, resident, shared;

	snprintf(name, sizeof(name), "%s/%s", pid, exact ? "smaps_rollup" : "statm");
	if (read_at(w->proc_fd, name, buf, sizeof(buf)) <= 0)
		return 0;
	if (exact) {
		const char *p = strstr(buf, "\nPss_Anon:");
		return p ? strtoul(p + 10, NULL, 10) << 10 : anon_bytes(w, pid, false, all);
	}
	if (sscanf(buf, "%lu %lu %lu", &size, &resident, &shared) != 3)
		return 0;
	*all += resident;
	return resident > shared ? (resident - shared) << 12 : 0;
}

/* Nanoseconds of CPU that the other threads of this process have used. */
static uint64_t cpu_of_others(void)
{
	struct timespec all, own;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &all);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &own);
	return (uint64_t)(all.tv_sec - own.tv_sec) * NSEC_PER_SEC + (uint64_t)(all.tv_nsec - own.tv_nsec);
}

static uint64_t memfd_bytes(struct watch *w)
{
	uint64_t sum = 0;
	int fd = openat(w->proc_fd, "self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	struct stat st;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((e = readdir(d)))
		/* A memory file may be open for reading as well: counted once. */
		if (e->d_name[0] != '.' && (fcntl(atoi(e->d_name), F_GETFL) & O_ACCMODE) == O_RDWR && !fstat(atoi(e->d_name), &st) && S_ISREG(st.st_mode) && st.st_dev == w->shmem && !st.st_nlink)
			sum += (uint64_t)st.st_blocks * 512;
	closedir(d);
	return sum;
}

static void list_processes(struct watch *w)
{
	struct pid_namespace *ns = w->k->tasks.root;

	w->nprocs = 0;
	guard(mutex)(&w->k->tasks.lock);
	for (int nr = 1; nr < ns->map_size; nr++) {
		struct task *t = ns->map[nr] ? ns->map[nr]->task : NULL, *th;
		if (!t || t != t->tg->leader)
			continue;
		pid_t host = 0;
		TAILQ_FOREACH(th, &t->tg->tasks, tg_link) {
			mutex_lock(&th->lock);
			if (th->thread)
				host = pl_space_host_pid(pl_thread_space(th->thread));
			mutex_unlock(&th->lock);
			if (host)
				break;
		}
		if (!host)
			continue;
		if (w->nprocs == w->room) {
			w->room = w->room ? w->room * 2 : 64;
			w->procs = xrealloc(w->procs, w->room * sizeof(*w->procs));
		}
		w->procs[w->nprocs++] = (struct process){ .host = host, .nr = nr };
	}
}

static uint64_t add_up(struct watch *w, bool exact)
{
	uint64_t resident = 0, own = 0, others = cpu_of_others(), sum = anon_bytes(w, "self", exact, &own);
	char pid[16];

	for (size_t i = 0; i < w->nprocs; i++) {
		snprintf(pid, sizeof(pid), "%d", (int)w->procs[i].host);
		w->procs[i].bytes = anon_bytes(w, pid, exact, &resident);
		sum += w->procs[i].bytes;
	}
	/* They grow by calls, which other threads serve, and by pages that guests touch. */
	if (exact || others > w->others_cpu + 20 * NSEC_PER_USEC || resident != w->resident) {
		w->memfd_sum = memfd_bytes(w);
		w->others_cpu = others;
		w->resident = resident;
	}
	return sum + w->memfd_sum;
}

static void kill_biggest(struct watch *w, uint64_t sum)
{
	struct process *big = NULL;

	for (size_t i = 0; i < w->nprocs; i++)
		if (!big || w->procs[i].bytes > big->bytes)
			big = &w->procs[i];
	if (!big)
		return;
	siginfo_k info = { .si_signo = SIGKILL, .si_code = SI_KERNEL };
	guard(mutex)(&w->k->tasks.lock);
	struct pid *p = pidns_find_locked(w->k->tasks.root, big->nr);
	if (!p || !p->task)
		return;
	if (w->victim != big->host) /* it may be long in dying */
		atomic_fetch_add(&w->k->oom_kills, 1);
	if (w->victim != big->host)
		log_warn("out of memory: process %d (%s) with %lu MiB is killed; %lu of %lu MiB are in use", big->nr, p->task->comm, big->bytes >> 20,
			 sum >> 20, w->limit >> 20);
	w->victim = big->host;
	tg_send_signal(p->task->tg, &info);
}

static void *watch_thread(void *arg)
{
	struct watch *w = arg;
	ktime_t killed = 0;

	for (;;) {
		list_processes(w);
		uint64_t sum = add_up(w, false);
		bool exact = sum > w->limit;
		if (exact) /* forked processes share pages: only the proportional figures tell */
			sum = add_up(w, true);
		atomic_store(&w->k->memory_used, sum);
		if (sum > atomic_load(&w->k->memory_peak))
			atomic_store(&w->k->memory_peak, sum);
		ktime_t now = ktime_mono();
		if (sum > w->limit) {
			if (sum - w->limit > MAX(w->limit / 4, 64UL << 20) && killed && now - killed > 20 * NSEC_PER_MSEC) {
				log_error("out of memory: %lu MiB are in use where %lu MiB are allowed, and killing did not help", sum >> 20, w->limit >> 20);
				_exit(128 + SIGKILL);
			}
			if (!killed || now - killed > 100 * NSEC_PER_MSEC) {
				kill_biggest(w, sum);
				killed = now;
			}
		} else {
			killed = 0;
		}
		uint64_t left = sum < w->limit ? w->limit - sum : 0;
		ktime_t wait = (ktime_t)(left / (FILL_RATE / NSEC_PER_SEC * w->ncpus)); /* bytes a nanosecond */
		/* The exact figures cost a walk over all page tables. */
		wait = MAX(wait, exact ? 10 * FASTEST : FASTEST);
		wait = MIN(wait, SLOWEST);
		nanosleep(&(struct timespec){ 0, wait }, NULL);
	}
	return NULL;
}

int memory_watch_prepare(uint64_t limit, struct watch **out)
{
	struct watch *w;
	struct stat st;

	*out = NULL;
	if (!limit)
		return 0;
	w = new(struct watch);
	w->limit = limit;
	w->proc_fd = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int fd = memfd_create("bailey-probe", MFD_CLOEXEC);
	if (w->proc_fd < 0 || fd < 0 || fstat(fd, &st))
		return -errno;
	close(fd);
	w->shmem = st.st_dev;
	*out = w;
	return 0;
}

int memory_watch_start(struct watch *w, struct kernel *k)
{
	pthread_attr_t a;
	pthread_t t;

	if (!w)
		return 0;
	w->k = k;
	w->ncpus = (unsigned)k->ncpus;
	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 64 << 10);
	int r = pthread_create(&t, &a, watch_thread, w);
	pthread_attr_destroy(&a);
	return -r;
}
