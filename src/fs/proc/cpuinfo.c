/* SPDX-License-Identifier: Apache-2.0 */
/* cpuinfo.c: /proc/cpuinfo: the host's, read before the jail closed, without what guests cannot use. Where the host has none
 * to read, a short one from the CPUID instruction. */
#include "fs/proc/proc_internal.h"
#include <cpuid.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static char *host_cpuinfo; /* set before the first worker starts, immutable afterwards */

/* Filled before the jail closes, read-only afterwards. */
static char host_status[8192];

const char *proc_host_status(const char *name, const char *otherwise)
{
	size_t n = strlen(name);

	/* Lines end with NULs, the last with two. */
	for (const char *p = host_status; *p; p += strlen(p) + 1)
		if (!strncmp(p, name, n) && p[n] == ':' && p[n + 1] == '\t')
			return p + n + 2;
	return otherwise;
}

static void read_status(void)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	ssize_t n = read(fd, host_status, sizeof(host_status) - 2);
	close(fd);
	for (ssize_t i = 0; i < n; i++)
		if (host_status[i] == '\n')
			host_status[i] = 0;
}

void proc_read_host(void)
{
	read_status();
	size_t len = 0, cap = 0;
	ssize_t n;
	int fd = open("/proc/cpuinfo", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	for (;;) {
		if (cap - len < 65536) {
			cap = cap * 2 + 131072;
			host_cpuinfo = xrealloc(host_cpuinfo, cap);
		}
		n = read(fd, host_cpuinfo + len, cap - len - 1);
		if (n <= 0)
			break;
		len += n;
	}
	host_cpuinfo[len] = 0;
	close(fd);
}

/* The host's flags are true for guests, which run on the bare CPU; but fsgsbase is hidden (AT_HWCAP2): the stub needs GS. */
static bool flag_hidden(const char *s, size_t len)
{
	return len == 8 && !memcmp(s, "fsgsbase", 8);
}

static void copy_line(struct strbuf *b, const char *s, size_t len)
{
	const char *end = s + len, *colon = memchr(s, ':', len);

	if (!colon || strncmp(s, "flags", 5)) {
		strbuf_write(b, s, len);
		strbuf_write(b, "\n", 1);
		return;
	}
	strbuf_write(b, s, colon + 1 - s);
	for (s = colon + 1; s < end;) {
		const char *w;

		while (s < end && *s == ' ')
			s++;
		w = s;
		while (s < end && *s != ' ')
			s++;
		if (s > w && !flag_hidden(w, s - w)) {
			strbuf_write(b, " ", 1);
			strbuf_write(b, w, s - w);
		}
	}
	strbuf_write(b, "\n", 1);
}

static void from_cpuid(struct strbuf *b, int ncpus)
{
	unsigned a, x, c, d, family, model, step;
	char vendor[13] = "", brand[49] = "";

	__cpuid(0, a, x, c, d);
	memcpy(vendor, &x, 4);
	memcpy(vendor + 4, &d, 4);
	memcpy(vendor + 8, &c, 4);
	__cpuid(1, a, x, c, d);
	step = a & 15;
	model = a >> 4 & 15;
	family = a >> 8 & 15;
	if (family == 6 || family == 15)
		model |= a >> 12 & 0xf0;
	if (family == 15)
		family += a >> 20 & 0xff;
	for (unsigned i = 0; i < 3 && __get_cpuid_max(0x80000000, NULL) >= 0x80000004; i++) {
		unsigned r[4];

		__cpuid(0x80000002 + i, r[0], r[1], r[2], r[3]);
		memcpy(brand + 16 * i, r, 16);
	}
	for (int i = 0; i < ncpus; i++)
		strbuf_printf(b,
			      "processor\t: %d\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: %s\nstepping\t: %u\n"
			      "physical id\t: 0\nsiblings\t: %d\ncore id\t\t: %d\ncpu cores\t: %d\napicid\t\t: %d\ninitial apicid\t: %d\n"
			      "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\n\n",
			      i, vendor, family, model, brand, step, ncpus, i, ncpus, i, i, __get_cpuid_max(0, NULL));
}

int proc_show_cpuinfo(struct pnode *n, struct strbuf *b)
{
	int ncpus = pnode_kernel(n)->ncpus, cpus = 0;

	if (!host_cpuinfo || !host_cpuinfo[0]) {
		from_cpuid(b, ncpus);
		return 0;
	}
	for (const char *s = host_cpuinfo; *s;) {
		const char *e = strchrnul(s, '\n');

		if (!strncmp(s, "processor", 9) && cpus++ >= ncpus)
			break;
		copy_line(b, s, e - s);
		s = *e ? e + 1 : e;
	}
	return 0;
}
