/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_BASE_LIST_H
#define NODE_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/*
 * A ring of nodes that lie in what they list: constant time, no memory of its own. A node is in
 * one list at most; one that is in none points at itself.
 */
struct list {
    struct list *next;
    struct list *previous;
};

/* What holds the node: LIST_ENTRY(node, struct job, site_node). */
#define LIST_ENTRY(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

/* Of a list, and of a node before its first use. */
static inline void list_init(struct list *list)
{
    list->next = list->previous = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

/* Also of a node: whether it is in a list. */
static inline bool list_has_node(const struct list *node)
{
    return !list_is_empty(node);
}

/* At the end. The node must be in no list. */
static inline void list_append(struct list *list, struct list *node)
{
    node->next = list;
    node->previous = list->previous;
    list->previous->next = node;
    list->previous = node;
}

/* In front. */
static inline void list_prepend(struct list *list, struct list *node)
{
    list_append(list->next, node);
}

/* For a node that is in no list, nothing happens. */
static inline void list_remove(struct list *node)
{
    node->next->previous = node->previous;
    node->previous->next = node->next;
    list_init(node);
}

/* NULL when it is empty. */
static inline struct list *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->next;
}

/* Takes the first out of the list; NULL when it is empty. */
static inline struct list *list_take(struct list *list)
{
    struct list *node = list_first(list);

    if (node != NULL)
        list_remove(node);
    return node;
}

#endif
