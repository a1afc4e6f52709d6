/* SPDX-License-Identifier: Apache-2.0 */
/* Anonymous memory over the stub, by the stub's own instructions, and then code of our own at a stub address: it gains what the filter
 * lets the stub do (memory of its own), and nothing else. */
#include "stub_code.h"
static int allowed(long nr)
{
	static const int ok[] = { 3, 9, 10, 11, 15, 25, 28, 60, 131, 157, 158, 334 };
	for (unsigned i = 0; i < sizeof ok / sizeof *ok; i++)
		if (nr == ok[i])
			return 1;
	return 0;
}
static void body(void)
{
	for (long nr = 0; nr < 480; nr++) {
		pid_t c = fork();
		if (!c) {
			long v = call(nr, 0, 0, 0);
			if (!allowed(nr) && nr != 56 && v >= 0)
				printf("EVIL: %ld at a stub address gave %ld\n", nr, v), fflush(stdout);
			_exit(0);
		}
		int st;
		waitpid(c, &st, 0);
	}
	/* what is allowed in principle, with arguments that are not */
	static const long bad[][4] = {
		{ 157, 38, 1, 0 }, { 157, 1, 0, 0 }, { 157, 4, 1, 0 }, { 158, 0x1003, 0, 0 }, { 28, 0x10000, 4096, 12 }, { 56, 0x11, 0, 0 },
		{ 56, 0x10000000, 0, 0 }, { 0x4b01, 0, 0, 0 }, { 0x4b00, 0, 0, 0 }, { 0x4b00, 1, 2, 3 }, { 0x40000000 + 39, 0, 0, 0 },
	};
	for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
		pid_t c = fork();
		if (!c) {
			signal(SIGALRM, SIG_DFL);
			alarm(1);
			long v = call(bad[i][0], bad[i][1], bad[i][2], bad[i][3]);
			if (v >= 0 && bad[i][0] < 0x4b00)
				printf("EVIL: %ld(%#lx) at a stub address gave %ld\n", bad[i][0], bad[i][1], v), fflush(stdout);
			_exit(0);
		}
		int st;
		waitpid(c, &st, 0);
	}
}
int main(void)
{
	probe_init();
	with_stub_code(body);
	return 0;
}
