/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_SIM_DB_TREE_H
#define TESTS_SIM_DB_TREE_H

/*
 * An ordered map from bytes to bytes as a persistent treap: who holds a root holds all of the
 * map as it was. A change copies the path to it, unless nobody else holds that path. Priorities
 * are hashes of the keys, so the shape depends on the keys alone. NULL is the empty map.
 */
#include "node/base/bytes.h"

struct tree;

struct tree *tree_hold(struct tree *tree);
void tree_drop(struct tree *tree);

/* Both take over the caller's hold on `tree` and return the changed one, held. */
struct tree *tree_put(struct tree *tree, struct bytes key, size_t value_len, uint8_t **value);
struct tree *tree_delete(struct tree *tree, struct bytes key);

/* A row, where there is one; borrowed from the tree. `key` and `found` may be the same. */
bool tree_get(const struct tree *tree, struct bytes key, struct bytes *value);
/* The first row at or behind `key`, or, with `behind`, behind it. */
bool tree_seek(const struct tree *tree, struct bytes key, bool behind, struct bytes *found,
               struct bytes *value);
/*
 * Goes through a tree that does not change meanwhile, without looking for each row. The path
 * holds the nodes whose row is still to come, the next one on top.
 */
enum { TREE_DEPTH_MAX = 200 }; /* usually three times the logarithm */
struct tree_walk {
    unsigned depth;
    const struct tree *path[TREE_DEPTH_MAX];
};
void tree_walk_seek(struct tree_walk *walk, const struct tree *tree, struct bytes key);
bool tree_walk_next(struct tree_walk *walk, struct bytes *found, struct bytes *value);

/* The last row before `key`. */
bool tree_before(const struct tree *tree, struct bytes key, struct bytes *found,
                 struct bytes *value);
bool tree_last(const struct tree *tree, struct bytes *found, struct bytes *value);

#endif
