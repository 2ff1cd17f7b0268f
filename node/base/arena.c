/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/check.h"

#define BLOCK_SIZE 4096

struct arena_block {
    struct arena_block *older;
    size_t used;
    size_t size;
    alignas(max_align_t) uint8_t data[];
};

void arena_init(struct arena *arena)
{
    arena->newest = NULL;
}

void arena_fini(struct arena *arena)
{
    while (arena->newest != NULL) {
        struct arena_block *block = arena->newest;
        arena->newest = block->older;
        free(block);
    }
}

void arena_wipe(struct arena *arena)
{
    for (struct arena_block *block = arena->newest; block != NULL; block = block->older)
        explicit_bzero(block->data, block->used);
    arena_fini(arena);
}

static struct arena_block *block_new(struct arena *arena, size_t size)
{
    struct arena_block *block = malloc(sizeof(*block) + size);
    CHECK(block != NULL);
    *block = (struct arena_block){.older = arena->newest, .size = size};
    arena->newest = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    CHECK(size <= SIZE_MAX / 2);
    size = (size + align - 1) / align * align;

    struct arena_block *block = arena->newest;
    if (block == NULL || block->size - block->used < size)
        block = block_new(arena, size > BLOCK_SIZE ? size : BLOCK_SIZE);
    void *memory = block->data + block->used;
    block->used += size;
    memset(memory, 0, size);
    return memory;
}

struct bytes arena_copy(struct arena *arena, struct bytes source)
{
    uint8_t *copy = arena_alloc(arena, source.len + 1);
    if (source.len > 0)
        memcpy(copy, source.at, source.len);
    return (struct bytes){copy, source.len};
}

char *arena_string(struct arena *arena, struct bytes source)
{
    char *copy = arena_alloc(arena, source.len + 1);
    if (source.len > 0)
        memcpy(copy, source.at, source.len);
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    CHECK(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    va_start(args, format);
    vsnprintf(text, (size_t)len + 1, format, args);
    va_end(args);
    return text;
}

void arena_reset(struct arena *arena)
{
    struct arena_block *kept = NULL;
    while (arena->newest != NULL) {
        struct arena_block *block = arena->newest;
        arena->newest = block->older;
        if (kept == NULL && block->size == BLOCK_SIZE)
            kept = block;
        else
            free(block);
    }
    if (kept != NULL)
        *kept = (struct arena_block){.size = kept->size};
    arena->newest = kept;
}
