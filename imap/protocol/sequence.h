/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_SEQUENCE_H
#define IMAP_PROTOCOL_SEQUENCE_H

#include "imap/protocol/cursor.h"
#include "node/base/buffer.h"

/* Both ends inclusive. In a sequence set as it was read, 0 stands for "*". */
struct imap_range {
    uint32_t first;
    uint32_t last;
};

/* Ascending and disjoint, with room between any two, unless it says otherwise. */
struct imap_ranges {
    struct imap_range *at;
    size_t count;
};

/* A sequence set as it was read (RFC 3501 section 9): any order, any overlap. */
struct imap_sequence {
    struct imap_ranges ranges;
    bool is_saved; /* "$": the result of the last SEARCH RETURN (SAVE) (RFC 5182) */
};

bool imap_take_sequence(struct imap_cursor *cursor, struct imap_sequence *sequence);

/* The highest number named, "*" left out; 0 for none. */
uint32_t imap_sequence_highest(const struct imap_sequence *sequence);
bool imap_sequence_has_star(const struct imap_sequence *sequence);

/* With `star` (not 0) in the place of "*", sorted and merged, in the arena. */
struct imap_ranges imap_sequence_resolve(const struct imap_sequence *sequence, uint32_t star,
                                         struct arena *arena);

/* Sorts and merges in place; each range has first <= last. */
void imap_ranges_normalise(struct imap_ranges *ranges);

/* How many numbers there are. */
uint64_t imap_ranges_total(const struct imap_ranges *ranges);

/* Grows in an arena: `room` is the caller's, 0 at first. Numbers come in ascending order. */
void imap_ranges_add(struct imap_ranges *ranges, size_t *room, struct imap_range range,
                     struct arena *arena);

/* "1:3,5" */
void imap_ranges_write(const struct imap_ranges *ranges, struct buffer *out);

#endif
