/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_TABLE_H
#define NODE_FIREWALL_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "node/firewall/digest.h"
#include "node/firewall/prefix.h"

/*
 * Inside the firewall: a table of fixed size, eight slots to a set. A key that finds its set
 * full takes the slot that matters least: without open connections, credit or ban, not seen
 * twice, not seen for longest. A slot that was taken over has another generation, so who
 * remembers slot and generation notices.
 */
enum { TABLE_WAYS = 8, TABLE_SIZE_MIN = 64, TABLE_SIZE_MAX = 1 << 24, TABLE_KNOWN = 4 };

struct table_slot {
    struct firewall_address key;
    uint32_t generation; /* 0: free */
    uint32_t tick;       /* when it was touched last */
    uint32_t open;       /* connections */
    uint32_t network;
    uint32_t ban_until;          /* a tick */
    uint32_t credit_at;          /* a tick; 0: none */
    uint32_t known[TABLE_KNOWN]; /* accounts of the credit, newest first */
    uint8_t kind;                /* part of the key */
    uint8_t rule;                /* that banned */
    uint8_t flags;
    uint8_t ladder; /* 1 + level of the last ban */
    float levels[];
};

enum { SLOT_SEEN_TWICE = 1, SLOT_PENDING = 2 };

struct table {
    uint8_t *memory;
    uint32_t *marks; /* a digest of each slot's key, 0: free: a set's lie in one cache line */
    size_t slot_size;
    uint32_t size; /* a power of two */
    uint32_t generation;
    uint32_t credit_ticks; /* how long credit protects a slot */
    uint64_t evicted;
    struct firewall_key seed;
};

/* `size` is rounded up. */
void table_init(struct table *table, uint32_t size, unsigned level_count, uint32_t credit_ticks,
                const struct firewall_key *seed);
void table_fini(struct table *table);
size_t table_bytes(const struct table *table);

struct table_slot *table_at(const struct table *table, uint32_t index);
uint32_t table_index(const struct table *table, const struct table_slot *slot);

/* NULL if it is not there. */
struct table_slot *table_find(const struct table *table, const struct firewall_address *key,
                              uint8_t kind);
/* The slot that the key would get: its own, a free one, or the one to be lost. */
struct table_slot *table_victim(const struct table *table, const struct firewall_address *key,
                                uint8_t kind, uint32_t tick);
/* Empties the victim and gives it to the key. */
void table_take(struct table *table, struct table_slot *slot,
                const struct firewall_address *key, uint8_t kind, uint32_t tick);
/* Both, if it is not there. The slot still has to be touched. */
struct table_slot *table_put(struct table *table, const struct firewall_address *key,
                             uint8_t kind, uint32_t tick);

/* Where the clock has gone back, the slot's times go back with it, so that what was to last a
 * while lasts no longer. Returns whether it has. */
bool table_rewind(struct table_slot *slot, uint32_t tick);

/*
 * What was seen within a while: a set of 32-bit marks of fixed size, eight to a set, the oldest
 * makes room. It errs once in some hundred million look-ups.
 */
struct seen {
    struct seen_mark *marks;
    uint32_t size;
    uint32_t ticks; /* how long it remembers */
    struct firewall_key seed;
};

void seen_init(struct seen *seen, uint32_t size, uint32_t ticks,
               const struct firewall_key *seed);
void seen_fini(struct seen *seen);
size_t seen_bytes(const struct seen *seen);
/* Whether it is new; it is not from now on. */
bool seen_add(struct seen *seen, uint64_t first, uint64_t second, uint64_t third,
              uint32_t tick);

#endif
