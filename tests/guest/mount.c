/* SPDX-License-Identifier: Apache-2.0 */
/* Mounts and their propagation, in a mount namespace of the case's own. */
#include "harness.h"
#include <sys/mount.h>

static bool own_ns(void)
{
	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return false;
	mkdir("a", 0755);
	mkdir("b", 0755);
	mkdir("c", 0755);
	return !mount("t", "a", "tmpfs", 0, NULL) && !mkdir("a/sub", 0755) && !mkdir("a/two", 0755);
}
static bool is(const char *path) { return !access(path, F_OK); }
static int touch(const char *path) { return close(open(path, O_CREAT | O_WRONLY, 0644)); }
static bool info_has(const char *point, const char *word)
{
	char line[1024], want[300];
	bool r = false;
	FILE *f = fopen("/proc/self/mountinfo", "r");
	snprintf(want, sizeof want, "/%s ", point);
	while (fgets(line, sizeof line, f)) {
		char *dash = strstr(line, " - ");
		if (strstr(line, want) && strstr(line, word) && strstr(line, word) < dash)
			r = true;
	}
	fclose(f);
	return r;
}

TEST(peers)
{
	if (!own_ns())
		SKIP("no mount namespaces");
	CHECK(!mount("none", "a", NULL, MS_SHARED, NULL) && info_has("a", " shared:"));
	CHECK(!mount("a", "b", NULL, MS_BIND, NULL) && info_has("b", " shared:"));
	CHECK(!mount("t", "a/sub", "tmpfs", 0, NULL) && !touch("a/sub/x"));
	CHECK(is("b/sub/x") && info_has("b/sub", " shared:"));
	CHECK(!mount("t", "b/two", "tmpfs", 0, NULL) && !touch("b/two/y") && is("a/two/y"));
	CHECK(!umount("a/two") && !is("b/two/y"));
	CHECK_ERRNO(umount("b/two"), EINVAL);
	int d = open("b/sub", O_RDONLY);
	CHECK_ERRNO(umount("a/sub"), EBUSY); /* in use in the other place */
	close(d);
	CHECK(!umount("b/sub") && !is("a/sub/x"));
	CHECK(!mount("none", "b", NULL, MS_PRIVATE, NULL) && !info_has("b", " shared:"));
	CHECK(!mount("t", "a/sub", "tmpfs", 0, NULL) && !touch("a/sub/x") && !is("b/sub/x"));
	CHECK(!umount2("a", MNT_DETACH) && !umount("b"));
}
TEST(slave)
{
	if (!own_ns())
		SKIP("no mount namespaces");
	CHECK(!mount("none", "a", NULL, MS_SHARED, NULL) && !mount("a", "b", NULL, MS_BIND, NULL));
	CHECK(!mount("none", "b", NULL, MS_SLAVE, NULL) && info_has("b", " master:") && !info_has("b", " shared:"));
	CHECK(!mount("t", "a/sub", "tmpfs", 0, NULL) && !touch("a/sub/x") && is("b/sub/x"));
	CHECK(!mount("t", "b/two", "tmpfs", 0, NULL) && !touch("b/two/y") && !is("a/two/y"));
	/* a slave that is shared hands it on */
	CHECK(!mount("none", "b", NULL, MS_SHARED, NULL) && info_has("b", " shared:") && info_has("b", " master:"));
	CHECK(!mount("b", "c", NULL, MS_BIND, NULL));
	CHECK(!umount("a/sub") && !is("b/sub/x"));
	CHECK(!mount("t", "a/sub", "tmpfs", 0, NULL) && !touch("a/sub/z") && is("b/sub/z") && is("c/sub/z"));
	CHECK(!umount("a/sub") && !is("b/sub/z") && !is("c/sub/z"));
	CHECK(!mount("t", "c/sub", "tmpfs", 0, NULL) && !touch("c/sub/w") && is("b/sub/w") && !is("a/sub/w"));
}
TEST(unbindable)
{
	if (!own_ns())
		SKIP("no mount namespaces");
	CHECK(!mount("none", "a", NULL, MS_UNBINDABLE, NULL) && info_has("a", " unbindable"));
	CHECK_ERRNO(mount("a", "b", NULL, MS_BIND, NULL), EINVAL);
	CHECK_ERRNO(mount("none", "a", NULL, MS_SHARED | MS_PRIVATE, NULL), EINVAL);
	CHECK_ERRNO(mount("none", "c", NULL, MS_SHARED, NULL), EINVAL); /* no mount there */
	CHECK(!mount("none", "a", NULL, MS_PRIVATE, NULL) && !mount("a", "b", NULL, MS_BIND, NULL));
}
TEST(between_namespaces)
{
	if (!own_ns())
		SKIP("no mount namespaces");
	CHECK(!mount("none", "a", NULL, MS_SHARED, NULL));
	int p[2], q[2];
	char c;
	CHECK(!pipe(p) && !pipe(q));
	pid_t pid = fork();
	if (!pid) {
		bool ok = !unshare(CLONE_NEWNS);
		ok = write(p[1], "u", 1) == 1 && read(q[0], &c, 1) == 1 && ok;
		ok = is("a/sub/x") && !umount("a/sub") && ok;
		ok = !mount("none", "a", NULL, MS_SLAVE, NULL) && !mount("t", "a/two", "tmpfs", 0, NULL) && ok;
		_exit(!ok);
	}
	CHECK(read(p[0], &c, 1) == 1);
	CHECK(!mount("t", "a/sub", "tmpfs", 0, NULL) && !touch("a/sub/x") && write(q[1], "m", 1) == 1);
	int st;
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	CHECK(!is("a/sub/x") && !touch("a/two/mine") && is("a/two/mine"));
}
TEST(move)
{
	if (!own_ns())
		SKIP("no mount namespaces");
	CHECK(!mount("t", "a/sub", "tmpfs", 0, NULL) && !touch("a/sub/x"));
	CHECK(!mount("a/sub", "b", NULL, MS_MOVE, NULL) && is("b/x") && !is("a/sub/x"));
	CHECK(!mount("b", "a/sub", NULL, MS_MOVE, NULL) && !mount("none", "a", NULL, MS_SHARED, NULL));
	CHECK_ERRNO(mount("a/sub", "b", NULL, MS_MOVE, NULL), EINVAL); /* out of a shared mount */
	CHECK_ERRNO(mount("a", "a/two", NULL, MS_MOVE, NULL), ELOOP);
}
TEST(deep_in_proc)
{
	if (!own_ns())
		SKIP("no mount namespaces");
	CHECK(!mount("t", "/proc/sys/kernel", "tmpfs", 0, NULL));
	CHECK(!touch("/proc/sys/kernel/x") && is("/proc/sys/kernel/x") && !is("/proc/sys/kernel/ostype"));
	CHECK(is("/proc/sys/vm/overcommit_memory") && is("/proc/sys/kernel/x"));
	CHECK(!umount("/proc/sys/kernel") && !is("/proc/sys/kernel/x") && is("/proc/sys/kernel/ostype"));
}
