/* SPDX-License-Identifier: Apache-2.0 */
/* Deep symlinks and directories: bounded by ELOOP and ENAMETOOLONG, never by the kernel's stack. */
#include "evil.h"
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
static void want(const char *what, long r, int e)
{
	if ((e ? r != -1 || errno != e : r < 0))
		printf("EVIL: %s: %ld, %s instead of %s\n", what, r, strerror(errno), strerror(e));
}
int main(void)
{
	char a[64], b[64], path[8192];
	struct stat st;
	mkdir("/tmp/paths-evil", 0755);
	if (chdir("/tmp/paths-evil"))
		return 1;
	symlink("self", "self");
	want("a link to itself", open("self", O_RDONLY), ELOOP);
	want("below it", open("self/x", O_RDONLY), ELOOP);
	close(open("l0", O_CREAT | O_RDWR, 0644));
	for (int i = 1; i <= 60; i++) {
		snprintf(a, sizeof a, "l%d", i - 1);
		snprintf(b, sizeof b, "l%d", i);
		symlink(a, b);
	}
	want("40 links", stat("l40", &st), 0);
	want("41 links", stat("l41", &st), ELOOP);
	/* every link doubles the walk: 2^n steps if nobody counts */
	mkdir("d0", 0755);
	symlink(".", "d0/again");
	for (int i = 1; i < 40; i++) {
		snprintf(a, sizeof a, "../x%d/../x%d", i - 1, i - 1);
		snprintf(b, sizeof b, "x%d", i);
		symlink(i == 1 ? "d0" : a + 3, b);
	}
	want("doubling links", stat("x39", &st), ELOOP);
	*path = 0;
	for (int i = 0; i < 30; i++)
		strcat(path, "d0/again/../");
	want("30 links in a path", stat(path, &st), 0);
	/* a target of 4,095 bytes */
	memset(path, '/', 4095);
	path[4095] = 0;
	want("a target of 4,095", symlink(path, "slashes"), 0);
	want("walking it", stat("slashes", &st), 0);
	path[4095] = '/', path[4096] = 0;
	want("a path of 4,096", stat(path, &st), ENAMETOOLONG);
	memset(path, 'n', 256);
	path[256] = 0;
	want("a name of 256", stat(path, &st), ENAMETOOLONG);
	path[255] = 0;
	want("a name of 255", mkdir(path, 0755), 0);
	/* directories below each other, deeper than a path can say */
	int depth = 0;
	while (depth < 5000 && !mkdir("deep", 0755) && !chdir("deep"))
		depth++;
	if (depth < 3000)
		printf("EVIL: only %d directories deep\n", depth);
	if (getcwd(path, 4096))
		printf("EVIL: a name for what has none\n");
	int up = 0;
	while (up < depth && !chdir(".."))
		up++;
	for (int i = 0; i < 200; i++) { /* and taken down from below, a little */
	}
	want("back again", stat("l0", &st), 0);
	chdir("/tmp");
	/* a rename of a directory into itself, and in circles by two processes */
	chdir("/tmp/paths-evil");
	mkdir("A", 0755), mkdir("B", 0755);
	want("into itself", rename("A", "A/x"), EINVAL);
	pid_t p = fork();
	for (int i = 0; i < 3000; i++) {
		if (p)
			rename("A", "B/A"), rename("B/A", "A");
		else
			rename("B", "A/B"), rename("A/B", "B");
	}
	if (!p)
		_exit(0);
	waitpid(p, NULL, 0);
	printf("done\n");
	return 0;
}
