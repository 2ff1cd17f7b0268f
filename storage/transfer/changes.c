/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/changes.h"

#include <stdlib.h>

#include "node/base/check.h"

/* In front of each key in the pool. */
struct head {
    uint64_t txn_number;
    uint16_t key_len;
    uint8_t table;
};

/*
 * 1. The pool holds heads and keys, one behind the other, in the order in which they came.
 * 2. A slot is 0, or 1 + where in the pool its head begins; at most half of them are taken.
 */
struct transfer_changes {
    uint8_t key[crypto_shorthash_KEYBYTES];
    uint8_t *pool;
    size_t pool_len;
    size_t pool_size;
    uint32_t *slots;
    size_t slot_count; /* a power of two */
    size_t count;
};

enum { SLOTS_FIRST = 1024, POOL_FIRST = 64 * 1024 };

_Static_assert((int)crypto_shorthash_KEYBYTES == (int)TRANSFER_SEED_SIZE,
               "the seed is the key");

struct transfer_changes *transfer_changes_new(const uint8_t seed[TRANSFER_SEED_SIZE])
{
    struct transfer_changes *changes = calloc(1, sizeof(*changes));

    CHECK(changes != NULL);
    memcpy(changes->key, seed, sizeof(changes->key));
    return changes;
}

void transfer_changes_free(struct transfer_changes **changes)
{
    if (*changes == NULL)
        return;
    free((*changes)->pool);
    free((*changes)->slots);
    free(*changes);
    *changes = NULL;
}

static struct head head_at(const struct transfer_changes *changes, size_t at)
{
    struct head head;

    memcpy(&head, changes->pool + at, sizeof(head));
    return head;
}

static size_t slot_of(const struct transfer_changes *changes, unsigned table, struct bytes key)
{
    uint8_t named[1 + DB_KEY_SIZE_MAX] = {(uint8_t)table};
    uint64_t hash;

    CHECK(key.len <= DB_KEY_SIZE_MAX);
    if (key.len > 0)
        memcpy(named + 1, key.at, key.len);
    crypto_shorthash((uint8_t *)&hash, named, 1 + key.len, changes->key);
    return (size_t)hash & (changes->slot_count - 1);
}

/* The slot of the key, or the free one where it belongs. */
static uint32_t *slot_find(struct transfer_changes *changes, unsigned table, struct bytes key)
{
    for (size_t i = slot_of(changes, table, key);; i = (i + 1) & (changes->slot_count - 1)) {
        uint32_t *slot = &changes->slots[i];
        if (*slot == 0)
            return slot;
        struct head head = head_at(changes, *slot - 1);
        if (head.table == table &&
            bytes_equal(bytes_from(changes->pool + *slot - 1 + sizeof(head), head.key_len),
                        key))
            return slot;
    }
}

static void slots_grow(struct transfer_changes *changes)
{
    free(changes->slots);
    changes->slot_count = changes->slot_count > 0 ? changes->slot_count * 2 : SLOTS_FIRST;
    changes->slots = calloc(changes->slot_count, sizeof(*changes->slots));
    CHECK(changes->slots != NULL);
    for (size_t at = 0; at < changes->pool_len;) {
        struct head head = head_at(changes, at);
        struct bytes key = {changes->pool + at + sizeof(head), head.key_len};
        *slot_find(changes, head.table, key) = (uint32_t)at + 1;
        at += sizeof(head) + head.key_len;
    }
}

static void pool_grow(struct transfer_changes *changes, size_t more)
{
    while (changes->pool_size < changes->pool_len + more)
        changes->pool_size = changes->pool_size > 0 ? changes->pool_size * 2 : POOL_FIRST;
    CHECK(changes->pool_size < UINT32_MAX);
    changes->pool = realloc(changes->pool, changes->pool_size);
    CHECK(changes->pool != NULL);
}

void transfer_changes_add(struct transfer_changes *changes,
                          const struct transfer_change *change)
{
    struct head head = {change->txn_number, (uint16_t)change->key.len, (uint8_t)change->table};
    uint32_t *slot;

    if ((changes->count + 1) * 2 > changes->slot_count)
        slots_grow(changes);
    slot = slot_find(changes, change->table, change->key);
    if (*slot != 0) {
        struct head known = head_at(changes, *slot - 1);
        if (known.txn_number < head.txn_number)
            memcpy(changes->pool + *slot - 1, &head, sizeof(head));
        return;
    }
    if (changes->pool_len + sizeof(head) + change->key.len > changes->pool_size)
        pool_grow(changes, sizeof(head) + change->key.len);
    *slot = (uint32_t)changes->pool_len + 1;
    memcpy(changes->pool + changes->pool_len, &head, sizeof(head));
    memcpy(changes->pool + changes->pool_len + sizeof(head), change->key.at, change->key.len);
    changes->pool_len += sizeof(head) + change->key.len;
    changes->count++;
}

size_t transfer_changes_count(const struct transfer_changes *changes)
{
    return changes->count;
}

size_t transfer_changes_bytes(const struct transfer_changes *changes)
{
    return changes->pool_size + changes->slot_count * sizeof(*changes->slots);
}

static int compare(const void *one, const void *two)
{
    const struct transfer_change *a = one;
    const struct transfer_change *b = two;
    size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order;

    if (a->table != b->table)
        return a->table < b->table ? -1 : 1;
    order = len > 0 ? memcmp(a->key.at, b->key.at, len) : 0;
    if (order != 0 || a->key.len == b->key.len)
        return order;
    return a->key.len < b->key.len ? -1 : 1;
}

struct transfer_change *transfer_changes_sorted(const struct transfer_changes *changes)
{
    struct transfer_change *list = calloc(changes->count + 1, sizeof(*list));
    size_t count = 0;

    CHECK(list != NULL);
    for (size_t at = 0; at < changes->pool_len;) {
        struct head head = head_at(changes, at);
        list[count++] = (struct transfer_change){
            head.txn_number, head.table, {changes->pool + at + sizeof(head), head.key_len}};
        at += sizeof(head) + head.key_len;
    }
    CHECK(count == changes->count);
    qsort(list, count, sizeof(*list), compare);
    return list;
}
