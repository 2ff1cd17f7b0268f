/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "storage/machine/queue.h"
#include "storage/schema/address.h"

static struct bytes domain_of(struct arena *arena, const Pr__QueueRecipient *recipient)
{
    struct bytes local;
    struct bytes domain = bytes_from(NULL, 0);
    uint8_t *folded;

    if (queue_is_told(recipient))
        return BYTES("");
    if (recipient->account_id != 0)
        return BYTES(QUEUE_DOMAIN_INWARD);
    address_split(bytes_of(recipient->address), &local, &domain);
    folded = arena_alloc(arena, domain.len);
    for (size_t i = 0; i < domain.len; i++)
        folded[i] = byte_lower(domain.at[i]);
    return bytes_from(folded, domain.len);
}

static int by_domain(const void *left, const void *right)
{
    const struct queue_sorted *one = left;
    const struct queue_sorted *other = right;
    size_t shorter = one->domain.len < other->domain.len ? one->domain.len : other->domain.len;
    int order = memcmp(one->domain.at, other->domain.at, shorter);

    if (order != 0)
        return order;
    if (one->domain.len != other->domain.len)
        return one->domain.len < other->domain.len ? -1 : 1;
    return (one->place > other->place) - (one->place < other->place);
}

/* How many there are of the domain that is at `first`. */
static size_t run_count(const struct queue_split *split, size_t first, size_t count)
{
    size_t end = first;

    while (end < count && bytes_equal(split->sorted[end].domain, split->sorted[first].domain))
        end++;
    return end - first;
}

void queue_split(struct arena *arena, Pr__QueueRecipient *const *recipients, size_t count,
                 struct queue_split *split)
{
    size_t begin = 0; /* of the record that is being filled */

    split->records = 0;
    split->sorted = arena_alloc(arena, count * sizeof(*split->sorted));
    split->ends = arena_alloc(arena, count * sizeof(*split->ends));
    for (size_t i = 0; i < count; i++)
        split->sorted[i] =
            (struct queue_sorted){domain_of(arena, recipients[i]), i, recipients[i]};
    qsort(split->sorted, count, sizeof(*split->sorted), by_domain);
    for (size_t at = 0; at < count;) {
        size_t run = run_count(split, at, count);
        if (at - begin + run > QUEUE_RECORD_RECIPIENTS_MAX && at > begin)
            split->ends[split->records++] = begin = at;
        at += run;
        while (at - begin > QUEUE_RECORD_RECIPIENTS_MAX) {
            begin += QUEUE_RECORD_RECIPIENTS_MAX;
            split->ends[split->records++] = begin;
        }
    }
    if (count > begin)
        split->ends[split->records++] = count;
}
