/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/sequence.h"

#include <stdlib.h>

#include "imap/protocol/limits.h"
#include "node/base/check.h"

static bool take_number(struct imap_cursor *cursor, uint32_t *number)
{
    if (imap_take_byte(cursor, '*')) {
        *number = 0;
        return true;
    }
    return imap_take_nz_u32(cursor, number);
}

static size_t count_commas(struct bytes text)
{
    size_t commas = 0;

    for (size_t i = 0; i < text.len && strchr("0123456789*:,", text.at[i]) != NULL; i++)
        commas += text.at[i] == ',';
    return commas;
}

bool imap_take_sequence(struct imap_cursor *cursor, struct imap_sequence *sequence)
{
    *sequence = (struct imap_sequence){.is_saved = imap_take_byte(cursor, '$')};
    if (sequence->is_saved)
        return true;
    size_t room = count_commas(cursor->rest) + 1;
    if (room > IMAP_RANGES_MAX)
        return imap_fail_limit(cursor, "The set has too many ranges");
    struct imap_ranges *ranges = &sequence->ranges;
    ranges->at = arena_alloc(cursor->arena, room * sizeof(ranges->at[0]));
    do {
        struct imap_range range;
        CHECK(ranges->count < room);
        if (!take_number(cursor, &range.first))
            return false;
        range.last = range.first;
        if (imap_take_byte(cursor, ':') && !take_number(cursor, &range.last))
            return false;
        ranges->at[ranges->count++] = range;
    } while (imap_take_byte(cursor, ','));
    return true;
}

uint32_t imap_sequence_highest(const struct imap_sequence *sequence)
{
    uint32_t highest = 0;

    for (size_t i = 0; i < sequence->ranges.count; i++) {
        const struct imap_range *range = &sequence->ranges.at[i];
        highest = range->first > highest ? range->first : highest;
        highest = range->last > highest ? range->last : highest;
    }
    return highest;
}

bool imap_sequence_has_star(const struct imap_sequence *sequence)
{
    for (size_t i = 0; i < sequence->ranges.count; i++)
        if (sequence->ranges.at[i].first == 0 || sequence->ranges.at[i].last == 0)
            return true;
    return false;
}

static int compare(const void *a, const void *b)
{
    const struct imap_range *one = a;
    const struct imap_range *other = b;

    return (one->first > other->first) - (one->first < other->first);
}

void imap_ranges_normalise(struct imap_ranges *ranges)
{
    size_t used = 0;

    if (ranges->count == 0)
        return;
    qsort(ranges->at, ranges->count, sizeof(ranges->at[0]), compare);
    for (size_t i = 1; i < ranges->count; i++) {
        struct imap_range *last = &ranges->at[used];
        const struct imap_range *range = &ranges->at[i];
        if (last->last == UINT32_MAX || range->first <= last->last + 1) {
            if (range->last > last->last)
                last->last = range->last;
        } else {
            ranges->at[++used] = *range;
        }
    }
    ranges->count = used + 1;
}

struct imap_ranges imap_sequence_resolve(const struct imap_sequence *sequence, uint32_t star,
                                         struct arena *arena)
{
    size_t count = sequence->ranges.count;
    struct imap_ranges ranges = {arena_alloc(arena, count * sizeof(struct imap_range)), count};

    CHECK(star != 0);
    for (size_t i = 0; i < count; i++) {
        struct imap_range range = sequence->ranges.at[i];
        range.first = range.first != 0 ? range.first : star;
        range.last = range.last != 0 ? range.last : star;
        if (range.first > range.last)
            range = (struct imap_range){range.last, range.first};
        ranges.at[i] = range;
    }
    imap_ranges_normalise(&ranges);
    return ranges;
}

uint64_t imap_ranges_total(const struct imap_ranges *ranges)
{
    uint64_t total = 0;

    for (size_t i = 0; i < ranges->count; i++)
        total += (uint64_t)ranges->at[i].last - ranges->at[i].first + 1;
    return total;
}

void imap_ranges_add(struct imap_ranges *ranges, size_t *room, struct imap_range range,
                     struct arena *arena)
{
    if (ranges->count > 0) {
        struct imap_range *last = &ranges->at[ranges->count - 1];
        CHECK(range.first > last->last);
        if (range.first == last->last + 1) {
            last->last = range.last;
            return;
        }
    }
    if (ranges->count == *room) {
        size_t wanted = *room > 0 ? *room * 2 : 8;
        struct imap_range *grown = arena_alloc(arena, wanted * sizeof(grown[0]));
        if (ranges->count > 0)
            memcpy(grown, ranges->at, ranges->count * sizeof(grown[0]));
        ranges->at = grown;
        *room = wanted;
    }
    ranges->at[ranges->count++] = range;
}

void imap_ranges_write(const struct imap_ranges *ranges, struct buffer *out)
{
    for (size_t i = 0; i < ranges->count; i++) {
        const struct imap_range *range = &ranges->at[i];
        buffer_printf(out, "%s%u", i > 0 ? "," : "", range->first);
        if (range->last > range->first)
            buffer_printf(out, ":%u", range->last);
    }
}
