/* SPDX-License-Identifier: Apache-2.0 */
/* tty_flip.c: the bytes between the two ends of a pseudo-terminal that the reading end has no room for yet.
 * LOCKS  All under tty->lock.
 */
#include "kernel/tty_internal.h"

#define BLOCK_ROUND 256u
#define BLOCK_TAKE 1792u /* of a large write, block by block */

static unsigned capacity(const struct flip_block *b) { return 2 * b->size; }

static struct flip_block *new_block(struct tty_flip *f, unsigned n)
{
	unsigned size = (n + BLOCK_ROUND - 1) & ~(BLOCK_ROUND - 1);

	if (f->mem > FLIP_LIMIT)
		return NULL;
	struct flip_block *b = malloc(sizeof(*b) + 2 * size);
	if (!b)
		return NULL;
	*b = (struct flip_block){ .size = size };
	f->mem += size;
	if (f->tail)
		f->tail->next = b;
	else
		f->head = b;
	f->tail = b;
	return b;
}

static void drop_head(struct tty_flip *f)
{
	struct flip_block *b = f->head;

	f->head = b->next;
	if (!f->head)
		f->tail = NULL;
	f->mem -= b->size;
	free(b);
}

unsigned flip_insert(struct tty_flip *f, const uint8_t *buf, unsigned n)
{
	unsigned done = 0;

	while (done < n) {
		unsigned take = MIN(n - done, BLOCK_TAKE), left = f->tail ? capacity(f->tail) - f->tail->used : 0;
		if (left < take && !new_block(f, take))
			take = left;
		if (!take)
			break;
		memcpy(f->tail->data + f->tail->used, buf + done, take);
		f->tail->used += take;
		done += take;
	}
	return done;
}

int flip_space(const struct tty_flip *f) { return MAX(FLIP_LIMIT - f->mem, 0); }

/* The last block stays, even when all of it was received. */
unsigned flip_peek(struct tty_flip *f, uint8_t **p)
{
	while (f->head && f->head->read == f->head->used && f->head->next)
		drop_head(f);
	if (!f->head)
		return 0;
	*p = f->head->data + f->head->read;
	return f->head->used - f->head->read;
}

bool flip_empty(const struct tty_flip *f)
{
	for (const struct flip_block *b = f->head; b; b = b->next)
		if (b->read != b->used)
			return false;
	return true;
}

void flip_flush(struct tty_flip *f)
{
	while (f->head && f->head->next)
		drop_head(f);
	if (f->head)
		f->head->read = f->head->seen = f->head->used;
}

void flip_free(struct tty_flip *f)
{
	while (f->head)
		drop_head(f);
}
