/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Invariants: (1) keys ascend from left to right; (2) no node has a higher priority than its
 * parent; (3) a node is changed only while it has one holder, and all nodes above it too.
 */
#include "tests/sim/db_tree.h"

#include <stdlib.h>

#include "node/base/check.h"

struct row {
    unsigned holders;
    size_t key_len;
    size_t value_len;
    uint64_t priority;
    uint8_t bytes[]; /* key, value */
};

struct tree {
    unsigned holders;
    struct tree *left;
    struct tree *right;
    struct row *row;
};

static struct bytes row_key(const struct row *row)
{
    return bytes_from(row->bytes, row->key_len);
}

static struct bytes row_value(const struct row *row)
{
    return bytes_from(row->bytes + row->key_len, row->value_len);
}

static uint64_t key_hash(struct bytes key)
{
    uint64_t hash = 0xcbf29ce484222325u;

    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ key.at[i]) * 0x100000001b3u;
    hash = (hash ^ hash >> 30) * 0xbf58476d1ce4e5b9u;
    hash = (hash ^ hash >> 27) * 0x94d049bb133111ebu;
    return hash ^ hash >> 31;
}

static int key_compare(struct bytes a, struct bytes b)
{
    size_t both = a.len < b.len ? a.len : b.len;
    int order = both > 0 ? memcmp(a.at, b.at, both) : 0;

    if (order != 0)
        return order;
    return (a.len > b.len) - (a.len < b.len);
}

static void row_drop(struct row *row)
{
    if (--row->holders == 0)
        free(row);
}

static struct row *row_new(struct bytes key, size_t value_len)
{
    struct row *row = malloc(sizeof(*row) + key.len + value_len);

    CHECK(row != NULL);
    *row = (struct row){.holders = 1, .key_len = key.len, .value_len = value_len};
    row->priority = key_hash(key);
    if (key.len > 0)
        memcpy(row->bytes, key.at, key.len);
    return row;
}

struct tree *tree_hold(struct tree *tree)
{
    if (tree != NULL)
        tree->holders++;
    return tree;
}

/* As deep as the tree: some three times the logarithm of its size. */
void tree_drop(struct tree *tree)
{
    if (tree == NULL || --tree->holders > 0)
        return;
    tree_drop(tree->left);
    tree_drop(tree->right);
    row_drop(tree->row);
    free(tree);
}

static struct tree *node_new(struct row *row, struct tree *left, struct tree *right)
{
    struct tree *node = malloc(sizeof(*node));

    CHECK(node != NULL);
    *node = (struct tree){.holders = 1, .left = left, .right = right, .row = row};
    return node;
}

/* The node, or a copy in its place, which the caller alone holds. */
static struct tree *node_own(struct tree *node)
{
    struct tree *copy;

    if (node->holders == 1)
        return node;
    node->row->holders++;
    copy = node_new(node->row, tree_hold(node->left), tree_hold(node->right));
    tree_drop(node);
    return copy;
}

static struct tree *rotate_right(struct tree *node)
{
    struct tree *left = node->left;

    node->left = left->right;
    left->right = node;
    return left;
}

static struct tree *rotate_left(struct tree *node)
{
    struct tree *right = node->right;

    node->right = right->left;
    right->left = node;
    return right;
}

/* Takes the row over. */
static struct tree *row_put(struct tree *node, struct row *row)
{
    int order;

    if (node == NULL)
        return node_new(row, NULL, NULL);
    node = node_own(node);
    order = key_compare(row_key(row), row_key(node->row));
    if (order == 0) {
        row_drop(node->row);
        node->row = row;
    } else if (order < 0) {
        node->left = row_put(node->left, row);
        if (node->left->row->priority > node->row->priority)
            return rotate_right(node);
    } else {
        node->right = row_put(node->right, row);
        if (node->right->row->priority > node->row->priority)
            return rotate_left(node);
    }
    return node;
}

struct tree *tree_put(struct tree *tree, struct bytes key, size_t value_len, uint8_t **value)
{
    struct row *row = row_new(key, value_len);

    *value = row->bytes + key.len;
    return row_put(tree, row);
}

/* All keys of `left` lie before all of `right`; takes both over. */
static struct tree *join(struct tree *left, struct tree *right)
{
    if (left == NULL)
        return right;
    if (right == NULL)
        return left;
    if (left->row->priority >= right->row->priority) {
        left = node_own(left);
        left->right = join(left->right, right);
        return left;
    }
    right = node_own(right);
    right->left = join(left, right->left);
    return right;
}

static struct tree *row_delete(struct tree *node, struct bytes key)
{
    int order = key_compare(key, row_key(node->row));
    struct tree *rest;

    if (order == 0) {
        rest = join(tree_hold(node->left), tree_hold(node->right));
        tree_drop(node);
        return rest;
    }
    node = node_own(node);
    if (order < 0)
        node->left = row_delete(node->left, key);
    else
        node->right = row_delete(node->right, key);
    return node;
}

struct tree *tree_delete(struct tree *tree, struct bytes key)
{
    struct bytes value;

    return tree_get(tree, key, &value) ? row_delete(tree, key) : tree;
}

bool tree_get(const struct tree *tree, struct bytes key, struct bytes *value)
{
    while (tree != NULL) {
        int order = key_compare(key, row_key(tree->row));
        if (order == 0) {
            *value = row_value(tree->row);
            return true;
        }
        tree = order < 0 ? tree->left : tree->right;
    }
    return false;
}

static bool found_set(const struct tree *node, struct bytes *found, struct bytes *value)
{
    if (node == NULL)
        return false;
    *found = row_key(node->row);
    *value = row_value(node->row);
    return true;
}

bool tree_seek(const struct tree *tree, struct bytes key, bool behind, struct bytes *found,
               struct bytes *value)
{
    const struct tree *best = NULL;

    while (tree != NULL) {
        int order = key_compare(key, row_key(tree->row));
        if (order < 0 || (order == 0 && !behind)) {
            best = tree;
            tree = order == 0 ? NULL : tree->left;
        } else {
            tree = tree->right;
        }
    }
    return found_set(best, found, value);
}

static void walk_push(struct tree_walk *walk, const struct tree *tree)
{
    CHECK(walk->depth < TREE_DEPTH_MAX);
    walk->path[walk->depth++] = tree;
}

void tree_walk_seek(struct tree_walk *walk, const struct tree *tree, struct bytes key)
{
    walk->depth = 0;
    while (tree != NULL) {
        if (key_compare(key, row_key(tree->row)) > 0) {
            tree = tree->right;
        } else {
            walk_push(walk, tree);
            tree = tree->left;
        }
    }
}

bool tree_walk_next(struct tree_walk *walk, struct bytes *found, struct bytes *value)
{
    const struct tree *node = walk->depth > 0 ? walk->path[--walk->depth] : NULL;

    for (const struct tree *next = node != NULL ? node->right : NULL; next != NULL;
         next = next->left)
        walk_push(walk, next);
    return found_set(node, found, value);
}

bool tree_before(const struct tree *tree, struct bytes key, struct bytes *found,
                 struct bytes *value)
{
    const struct tree *best = NULL;

    while (tree != NULL) {
        if (key_compare(key, row_key(tree->row)) > 0) {
            best = tree;
            tree = tree->right;
        } else {
            tree = tree->left;
        }
    }
    return found_set(best, found, value);
}

bool tree_last(const struct tree *tree, struct bytes *found, struct bytes *value)
{
    while (tree != NULL && tree->right != NULL)
        tree = tree->right;
    return found_set(tree, found, value);
}
