/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_BASE_ARENA_H
#define NODE_BASE_ARENA_H

#include <stddef.h>

#include "node/base/bytes.h"

/*
 * An arena owns every block handed out from it and frees them together. Name the
 * variable after its lifetime: conn_arena, command_arena, txn_arena.
 */
struct arena {
    struct arena_block *newest;
};

void arena_init(struct arena *arena);
void arena_fini(struct arena *arena);
/* The same of one that holds secrets: what lies there is overwritten first. */
void arena_wipe(struct arena *arena);

/* Zeroed memory, aligned for any type. Aborts when the machine has none left. `size` may be 0.
 */
void *arena_alloc(struct arena *arena, size_t size);

/* A copy that lives as long as the arena, with a NUL behind it that does not count. */
struct bytes arena_copy(struct arena *arena, struct bytes source);

/* The same as a C string. Bytes behind a NUL in `source` are there but not seen by str
 * functions. */
char *arena_string(struct arena *arena, struct bytes source);

__attribute__((format(printf, 2, 3))) char *arena_printf(struct arena *arena,
                                                         const char *format, ...);

/* Free everything allocated so far; the arena stays usable. Keeps one block of ordinary size.
 */
void arena_reset(struct arena *arena);

#endif
