/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_TEXT_SET_H
#define STORAGE_SCHEMA_TEXT_SET_H

#include "node/base/arena.h"
#include "node/base/bytes.h"

/* Texts, each once. Borrows them; its memory, which grows with their number, is the arena's. */
struct text_set {
    struct arena *arena;
    struct bytes *at;
    size_t room; /* a power of two, more than twice the number */
    size_t count;
};

void text_set_init(struct text_set *set, struct arena *arena);
/* Returns false when it was there already. */
bool text_set_add(struct text_set *set, struct bytes text);
bool text_set_has(const struct text_set *set, struct bytes text);

#endif
