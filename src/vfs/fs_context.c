/* SPDX-License-Identifier: Apache-2.0 */
/* fs_context.c: what a task calls root, working directory and umask (Linux: fs_struct). */
#include "vfs/internal.h"

struct fs_context *fs_context_create(const struct path *root)
{
	struct fs_context *fs = new(struct fs_context);

	refcount_init(&fs->ref);
	mutex_init(&fs->lock, RANK_FS_CONTEXT);
	fs->root = fs->cwd = *root;
	path_get(root);
	path_get(root);
	fs->umask = 022;
	return fs;
}

struct fs_context *fs_context_dup(struct fs_context *o)
{
	struct fs_context *fs = new(struct fs_context);

	refcount_init(&fs->ref);
	mutex_init(&fs->lock, RANK_FS_CONTEXT);
	guard(mutex)(&o->lock);
	fs->root = o->root;
	fs->cwd = o->cwd;
	path_get(&fs->root);
	path_get(&fs->cwd);
	fs->umask = o->umask;
	return fs;
}

void fs_context_get(struct fs_context *fs) { refcount_get(&fs->ref); }

void fs_context_put(struct fs_context *fs)
{
	if (!fs || !refcount_put(&fs->ref))
		return;
	path_put(&fs->cwd);
	path_put(&fs->root);
	free(fs);
}

static void set_path(struct fs_context *fs, struct path *which, const struct path *p)
{
	struct path old;

	path_get(p);
	mutex_lock(&fs->lock);
	old = *which;
	*which = *p;
	mutex_unlock(&fs->lock);
	path_put(&old);
}

void fs_context_set_root(struct fs_context *fs, const struct path *p) { set_path(fs, &fs->root, p); }
void fs_context_set_cwd(struct fs_context *fs, const struct path *p) { set_path(fs, &fs->cwd, p); }

void fs_context_enter(struct fs_context *fs, struct mount_namespace *ns)
{
	struct path root, was_root, was_cwd;

	mount_ns_root(ns, &root);
	path_get(&root);
	mutex_lock(&fs->lock);
	was_root = fs->root;
	was_cwd = fs->cwd;
	fs->root = fs->cwd = root;
	mutex_unlock(&fs->lock);
	path_put(&was_root);
	path_put(&was_cwd);
}

void fs_get_root(struct path *out)
{
	struct fs_context *fs = fiber_context()->fs;
	guard(mutex)(&fs->lock);
	*out = fs->root;
	path_get(out);
}

void fs_get_pwd(struct path *out)
{
	struct fs_context *fs = fiber_context()->fs;
	guard(mutex)(&fs->lock);
	*out = fs->cwd;
	path_get(out);
}
