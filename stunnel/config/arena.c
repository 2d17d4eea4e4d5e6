/* SPDX-License-Identifier: ISC */
#include "config/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sys/fnv.h"

#define CHUNK_BYTES 16384

struct arena_chunk {
	struct arena_chunk *next;
	size_t size, used; /* of the bytes behind this struct */
	alignas(max_align_t) unsigned char byte[];
};

struct arena_piece {
	struct arena_piece *next;
	size_t size;
	alignas(max_align_t) unsigned char byte[];
};

static bool add_chunk(struct arena *a, size_t wanted)
{
	size_t size = wanted < CHUNK_BYTES ? CHUNK_BYTES : wanted;
	struct arena_chunk *chunk;

	chunk = size > SIZE_MAX - sizeof *chunk ? NULL : calloc(1, sizeof *chunk + size);
	if (!chunk)
		return false;
	chunk->size = size;
	chunk->next = a->chunk;
	a->chunk = chunk;
	return true;
}

void *arena_alloc(struct arena *a, size_t size)
{
	const size_t align = alignof(max_align_t);
	size_t whole = size > SIZE_MAX - align ? SIZE_MAX : (size + align - 1) / align * align;
	void *block;

	if (!a->failed && (!a->chunk || a->chunk->size - a->chunk->used < whole))
		a->failed = !add_chunk(a, whole);
	if (a->failed)
		return NULL;
	block = a->chunk->byte + a->chunk->used;
	a->chunk->used += whole;
	return block;
}

const char *arena_text(struct arena *a, const char *text)
{
	return text ? arena_format(a, "%s", text) : NULL;
}

const char *arena_format(struct arena *a, const char *format, ...)
{
	va_list ap, again;
	char *text;
	int len;

	va_start(ap, format);
	va_copy(again, ap);
	len = vsnprintf(NULL, 0, format, ap);
	text = arena_alloc(a, len < 0 ? SIZE_MAX : (size_t)len + 1);
	if (text)
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	va_end(ap);
	return text;
}

void *arena_grown(struct arena *a, const void *array, size_t count, size_t size)
{
	void *copy = arena_alloc(a, (count + 1) * size);

	if (copy && count != 0)
		memcpy(copy, array, count * size);
	return copy;
}

void *arena_grow(struct arena *a, void *array, size_t count, size_t size)
{
	void *copy;

	if ((count & (count - 1)) != 0)
		return a->failed ? NULL : array;
	copy = arena_alloc(a, (count ? 2 * count : 1) * size);
	if (copy && count != 0)
		memcpy(copy, array, count * size);
	return copy;
}

static bool is_like(const struct arena_piece *piece, const void *block, size_t size)
{
	return piece->size == size && !memcmp(piece->byte, block, size);
}

/* By words, since blocks have tens of thousands of bytes, of which a word is as quick as a byte. */
static size_t hash_of(const void *block, size_t size)
{
	const unsigned char *p = block;
	uint64_t hash = size, word;

	for (; size >= sizeof word; p += sizeof word, size -= sizeof word) {
		memcpy(&word, p, sizeof word);
		hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 32;
	}
	return (size_t)fnv_add(hash, p, size);
}

const void *arena_share(struct arena *a, const void *block, size_t size)
{
	struct arena_piece **list = &a->shared[hash_of(block, size) % ARENA_LISTS], *piece = *list;

	while (piece && !is_like(piece, block, size))
		piece = piece->next;
	if (!piece) {
		piece = arena_alloc(a, sizeof *piece + size);
		if (!piece)
			return NULL;
		*piece = (struct arena_piece){*list, size};
		memcpy(piece->byte, block, size);
		*list = piece;
	}
	return piece->byte;
}

void arena_free(struct arena *a)
{
	while (a->chunk) {
		struct arena_chunk *next = a->chunk->next;

		free(a->chunk);
		a->chunk = next;
	}
	*a = (struct arena){0};
}
