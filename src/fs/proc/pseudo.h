/* SPDX-License-Identifier: Apache-2.0 */
/* pseudo.h: file systems that are a table of names with a small function each: proc and sys. */
#ifndef BAILEY_FS_PSEUDO_H
#define BAILEY_FS_PSEUDO_H
#include "kernel/task.h"
#include "vfs/vfs.h"

struct pnode;
struct pentry {
	const char *name;
	uint32_t mode; /* type and permissions */
	const struct pentry *dir; /* a directory's table, ended by a NULL name */
	const char *text;	  /* constant content of a file, or a symlink's target */
	int (*show)(struct pnode *n, struct strbuf *b); /* content at the first read and at each read at offset 0 */
	ssize_t (*write)(struct pnode *n, char *s, size_t len); /* s: NUL-terminated copy. Bytes taken or -errno */
	ssize_t (*readlink)(struct pnode *n, char *buf, size_t size);
	int (*get_link)(struct pnode *n, struct path *out);
	/* Names behind the table: a counted inode by pseudo_inode(), or -errno */
	int (*lookup)(struct pnode *dir, const char *name, struct inode **out);
	/* Emit them; positions start at PSEUDO_DYN */
	int (*iterate)(struct pnode *dir, struct dir_context *c);
	int (*may)(struct pnode *n, int mask); /* further check at open and, for directories and links, at use */
	int (*open)(struct pnode *n, struct file *f); /* instead of the text file */
	/* A text file that is about what there was when it was opened: state of one open file, its text instead of show, its events, its end */
	int (*hold)(struct pnode *n, void **state);
	int (*show_held)(struct pnode *n, void *state, struct strbuf *b);
	unsigned (*poll)(void *state, struct file *f, struct poll_table *pt);
	void (*drop)(void *state);
	int (*fill)(struct pnode *n);		      /* after creation: attributes of the inode */
	uint64_t arg;
};
#define PSEUDO_DYN 0x10000

struct pnode { /* inode->private */
	const struct pentry *e;
	struct inode *inode;
	struct pid *pid; /* counted; NULL outside /proc/PID */
	bool thread;	 /* under /proc/PID/task */
	uint64_t n;	 /* a descriptor number, a CPU */
};
static inline struct pnode *pnode_of(struct inode *i) { return i->private; }
static inline struct pnode *file_pnode(struct file *f) { return f->inode->private; }
static inline struct kernel *pnode_kernel(struct pnode *n) { return n->inode->sb->kernel; }

/* An inode for e below dir (NULL: the root); pid: counted for it, may be NULL. */
struct inode *pseudo_inode(struct super_block *sb, struct pnode *dir, const struct pentry *e, const char *name, struct pid *pid, uint64_t n);
int pseudo_super(struct kernel *k, const char *type, uint32_t magic, const struct pentry *root, void *private,
		 const struct super_ops *ops, struct super_block **out);
struct statfs;
int pseudo_statfs(struct super_block *sb, struct statfs *st);

#define P_DIR(n, m, ...) { .name = n, .mode = S_IFDIR | (m), __VA_ARGS__ }
#define P_FILE(n, m, s, ...) { .name = n, .mode = S_IFREG | (m), .show = s, ##__VA_ARGS__ }
#define P_TEXT(n, m, t) { .name = n, .mode = S_IFREG | (m), .text = t }
#define P_LINK(n, t) { .name = n, .mode = S_IFLNK | 0777, .text = t }

#endif
