/* SPDX-License-Identifier: Apache-2.0 */
/* vma.c: the tree of VMAs.
 *
 * OVERVIEW: an AVL tree by address, threaded by a list in address order. Each node knows the hole below it and the largest hole in
 * its subtree, so that the search for free address space is logarithmic. Nodes have no parent pointers: what changes walks down
 * from the root, at most 24 levels for MM_MAX_MAP_COUNT. */
#include "mm/vma.h"

static inline int height(const struct vma *v) { return v ? v->height : 0; }
static inline uint64_t max_gap(const struct vma *v) { return v ? v->max_gap : 0; }

static void pull(struct vma *v)
{
	uint64_t m = v->gap;

	v->height = 1 + MAX(height(v->left), height(v->right));
	m = MAX(m, max_gap(v->left));
	v->max_gap = MAX(m, max_gap(v->right));
}

static struct vma *rotate_right(struct vma *v)
{
	struct vma *l = v->left;

	v->left = l->right;
	l->right = v;
	pull(v);
	pull(l);
	return l;
}

static struct vma *rotate_left(struct vma *v)
{
	struct vma *r = v->right;

	v->right = r->left;
	r->left = v;
	pull(v);
	pull(r);
	return r;
}

static struct vma *balance(struct vma *v)
{
	int d = height(v->left) - height(v->right);

	if (d > 1) {
		if (height(v->left->left) < height(v->left->right))
			v->left = rotate_left(v->left);
		return rotate_right(v);
	}
	if (d < -1) {
		if (height(v->right->right) < height(v->right->left))
			v->right = rotate_right(v->right);
		return rotate_left(v);
	}
	pull(v);
	return v;
}

static struct vma *insert(struct vma *root, struct vma *v)
{
	if (!root) {
		v->left = v->right = NULL;
		pull(v);
		return v;
	}
	if (v->start < root->start)
		root->left = insert(root->left, v);
	else
		root->right = insert(root->right, v);
	return balance(root);
}

static struct vma *take_min(struct vma *root, struct vma **min)
{
	if (!root->left) {
		*min = root;
		return root->right;
	}
	root->left = take_min(root->left, min);
	return balance(root);
}

static struct vma *erase(struct vma *root, struct vma *v)
{
	struct vma *m;

	BUG_ON(!root);
	if (root == v) {
		if (!v->right)
			return v->left;
		struct vma *right = take_min(v->right, &m);

		m->left = v->left;
		m->right = right;
		return balance(m);
	}
	if (v->start < root->start)
		root->left = erase(root->left, v);
	else
		root->right = erase(root->right, v);
	return balance(root);
}

static void refresh(struct vma *root, const struct vma *v)
{
	if (root != v)
		refresh(v->start < root->start ? root->left : root->right, v);
	pull(root);
}

static uint64_t gap_of(const struct vma *v)
{
	const struct vma *p = vma_prev(v);
	uint64_t from = p ? p->end : 0, to = vma_start_gap(v);

	return to > from ? to - from : 0;
}

/* The hole below v, if it is no longer what the tree says. */
static void update_gap(struct vma_tree *t, struct vma *v)
{
	uint64_t g = gap_of(v);

	if (g != v->gap) {
		v->gap = g;
		refresh(t->root, v);
	}
}

void vma_tree_init(struct vma_tree *t)
{
	t->root = NULL;
	t->count = 0;
	TAILQ_INIT(&t->list);
}

struct vma *vma_tree_find(const struct vma_tree *t, uint64_t addr)
{
	struct vma *v = t->root, *best = NULL;

	while (v) {
		if (v->end > addr) {
			best = v;
			if (v->start <= addr)
				break;
			v = v->left;
		} else {
			v = v->right;
		}
	}
	return best;
}

struct vma *vma_tree_find_intersection(const struct vma_tree *t, uint64_t start, uint64_t end)
{
	struct vma *v = vma_tree_find(t, start);

	return v && v->start < end ? v : NULL;
}

void vma_tree_insert(struct vma_tree *t, struct vma *v)
{
	struct vma *next = vma_tree_find(t, v->start);

	DEBUG_BUG_ON(next && next->start < v->end);
	if (next)
		TAILQ_INSERT_BEFORE(next, v, link);
	else
		TAILQ_INSERT_TAIL(&t->list, v, link);
	v->gap = gap_of(v);
	t->root = insert(t->root, v);
	t->count++;
	if (next)
		update_gap(t, next);
}

void vma_tree_remove(struct vma_tree *t, struct vma *v)
{
	struct vma *next = vma_next(v);

	t->root = erase(t->root, v);
	TAILQ_REMOVE(&t->list, v, link);
	t->count--;
	if (next)
		update_gap(t, next);
}

void vma_tree_resized(struct vma_tree *t, struct vma *v)
{
	update_gap(t, v);
	if (vma_next(v))
		update_gap(t, vma_next(v));
}

/* Holes are looked at from the top: right subtree, the hole below v, left subtree. */
static uint64_t topdown(const struct vma *v, uint64_t low, uint64_t high, uint64_t len)
{
	uint64_t r, from, to;

	if (!v || v->max_gap < len)
		return 0;
	/* Every hole in the right subtree begins at v->end or above. */
	if (v->end < high && high - v->end >= len) {
		r = topdown(v->right, low, high, len);
		if (r)
			return r;
	}
	if (v->gap >= len) {
		to = MIN(vma_start_gap(v), high);
		from = MAX(vma_start_gap(v) - v->gap, low);
		if (to > from && to - from >= len)
			return to - len;
	}
	/* Every hole in the left subtree ends at v->start or below. */
	if (v->start > low && v->start - low >= len)
		return topdown(v->left, low, high, len);
	return 0;
}

uint64_t vma_tree_gap_topdown(const struct vma_tree *t, uint64_t low, uint64_t high, uint64_t len)
{
	const struct vma *last = TAILQ_LAST(&t->list, vma_list);
	uint64_t from = last ? MAX(last->end, low) : low;

	if (high > from && high - from >= len)
		return high - len;
	return topdown(t->root, low, high, len);
}

static uint64_t bottomup(const struct vma *v, uint64_t low, uint64_t high, uint64_t len)
{
	uint64_t r, from, to;

	if (!v || v->max_gap < len)
		return 0;
	if (v->start > low && v->start - low >= len) {
		r = bottomup(v->left, low, high, len);
		if (r)
			return r;
	}
	if (v->gap >= len) {
		to = MIN(vma_start_gap(v), high);
		from = MAX(vma_start_gap(v) - v->gap, low);
		if (to > from && to - from >= len)
			return from;
	}
	if (v->end < high && high - v->end >= len)
		return bottomup(v->right, low, high, len);
	return 0;
}

uint64_t vma_tree_gap_bottomup(const struct vma_tree *t, uint64_t low, uint64_t high, uint64_t len)
{
	const struct vma *last = TAILQ_LAST(&t->list, vma_list);
	uint64_t r = bottomup(t->root, low, high, len), from;

	if (r)
		return r;
	from = last ? MAX(last->end, low) : low;
	return high > from && high - from >= len ? from : 0;
}

static struct vma *build(struct vma **next, unsigned n)
{
	struct vma *left, *v;

	if (!n)
		return NULL;
	left = build(next, n / 2);
	v = *next;
	*next = vma_next(v);
	v->left = left;
	v->right = build(next, n - n / 2 - 1);
	pull(v);
	return v;
}

void vma_tree_copy(struct vma_tree *t, const struct vma_tree *src, struct vma *(*dup)(void *arg, const struct vma *v), void *arg)
{
	const struct vma *v;
	struct vma *first;

	BUG_ON(t->count);
	TAILQ_FOREACH(v, &src->list, link) {
		struct vma *c = dup(arg, v);

		if (!c)
			continue;
		TAILQ_INSERT_TAIL(&t->list, c, link);
		c->gap = gap_of(c);
		t->count++;
	}
	first = TAILQ_FIRST(&t->list);
	t->root = build(&first, t->count);
}

static unsigned check(const struct vma *v)
{
	unsigned n;

	if (!v)
		return 0;
	n = 1 + check(v->left) + check(v->right);
	BUG_ON(v->left && v->left->start >= v->start);
	BUG_ON(v->right && v->right->start <= v->start);
	BUG_ON(abs(height(v->left) - height(v->right)) > 1);
	BUG_ON(v->height != 1 + MAX(height(v->left), height(v->right)));
	BUG_ON(v->gap != gap_of(v));
	BUG_ON(v->max_gap != MAX(v->gap, MAX(max_gap(v->left), max_gap(v->right))));
	return n;
}

void vma_tree_check(const struct vma_tree *t)
{
	const struct vma *v;
	uint64_t last = 0;
	unsigned n = 0;

	BUG_ON(check(t->root) != t->count);
	TAILQ_FOREACH(v, &t->list, link) {
		BUG_ON(v->start < last || v->start >= v->end || v->host_start > v->start || v->host_start < last);
		last = v->end;
		n++;
	}
	BUG_ON(n != t->count);
}
