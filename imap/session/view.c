/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/view.h"

#include <stdlib.h>

#include "node/base/check.h"

void imap_view_init(struct imap_view *view)
{
    *view = (struct imap_view){.ranges = NULL};
}

void imap_view_fini(struct imap_view *view)
{
    free(view->ranges);
    imap_view_init(view);
}

static uint32_t length(const struct imap_view_range *range)
{
    return range->last - range->first + 1;
}

uint32_t imap_view_count(const struct imap_view *view)
{
    if (view->count == 0)
        return 0;
    const struct imap_view_range *last = &view->ranges[view->count - 1];
    return last->before + length(last);
}

static void set_room(struct imap_view *view, size_t room)
{
    view->ranges = realloc(view->ranges, room * sizeof(view->ranges[0]));
    CHECK(view->ranges != NULL);
    view->room = room;
}

bool imap_view_add(struct imap_view *view, uint32_t first, uint32_t last)
{
    uint32_t count = imap_view_count(view);

    if (first <= view->last_uid || last < first || last - first >= UINT32_MAX - count)
        return false;
    view->last_uid = last;
    if (view->count > 0 && view->ranges[view->count - 1].last + 1 == first) {
        view->ranges[view->count - 1].last = last;
        return true;
    }
    if (view->count == view->room)
        set_room(view, view->room == 0 ? 1 : view->room * 2);
    view->ranges[view->count++] = (struct imap_view_range){first, last, count};
    return true;
}

/* The first range that ends at or behind `uid`, or the count. */
static size_t find_uid(const struct imap_view *view, uint32_t uid)
{
    size_t low = 0;
    size_t high = view->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (view->ranges[middle].last < uid)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t imap_view_number(const struct imap_view *view, uint32_t uid)
{
    size_t at = find_uid(view, uid);

    if (uid == 0 || at == view->count || view->ranges[at].first > uid)
        return 0;
    return view->ranges[at].before + (uid - view->ranges[at].first) + 1;
}

uint32_t imap_view_number_upto(const struct imap_view *view, uint32_t uid)
{
    size_t at = find_uid(view, uid);

    if (at == view->count)
        return imap_view_count(view);
    const struct imap_view_range *range = &view->ranges[at];
    return range->before + (range->first > uid ? 0 : uid - range->first + 1);
}

/* The range of message `number`, which exists: the last with fewer messages in front. */
static const struct imap_view_range *find_number(const struct imap_view *view, uint32_t number)
{
    size_t low = 0;
    size_t high = view->count;

    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (view->ranges[middle].before < number)
            low = middle;
        else
            high = middle;
    }
    return &view->ranges[low];
}

uint32_t imap_view_uid(const struct imap_view *view, uint32_t number)
{
    if (number == 0 || number > imap_view_count(view))
        return 0;
    const struct imap_view_range *range = find_number(view, number);
    return range->first + (number - range->before) - 1;
}

uint32_t imap_view_run_end(const struct imap_view *view, uint32_t number)
{
    CHECK(number > 0 && number <= imap_view_count(view));
    const struct imap_view_range *range = find_number(view, number);
    return range->before + length(range);
}

struct kept {
    struct imap_view_range *ranges;
    size_t count;
    size_t room;
    uint32_t total;
};

static void keep(struct kept *kept, uint32_t first, uint32_t last)
{
    if (kept->count == kept->room) {
        kept->room = kept->room == 0 ? 4 : kept->room * 2;
        kept->ranges = realloc(kept->ranges, kept->room * sizeof(kept->ranges[0]));
        CHECK(kept->ranges != NULL);
    }
    kept->ranges[kept->count++] = (struct imap_view_range){first, last, kept->total};
    kept->total += last - first + 1;
}

/* What is left of one range, when the removals from *at on are taken out. */
static void keep_rest(struct kept *kept, struct imap_view_range range,
                      const struct imap_ranges *removed, size_t *at)
{
    while (*at < removed->count && removed->at[*at].last < range.first)
        (*at)++;
    for (size_t i = *at; i < removed->count && removed->at[i].first <= range.last; i++) {
        if (removed->at[i].first > range.first)
            keep(kept, range.first, removed->at[i].first - 1);
        if (removed->at[i].last >= range.last)
            return;
        range.first = removed->at[i].last + 1;
    }
    keep(kept, range.first, range.last);
}

void imap_view_remove(struct imap_view *view, const struct imap_ranges *ranges)
{
    struct kept kept = {.ranges = NULL};
    size_t at = 0;

    if (ranges->count == 0)
        return;
    for (size_t i = 0; i < view->count; i++)
        keep_rest(&kept, view->ranges[i], ranges, &at);
    free(view->ranges);
    view->ranges = kept.ranges;
    view->count = kept.count;
    view->room = kept.room;
    if (kept.count > 0 && kept.room > 2 * kept.count)
        set_room(view, kept.count);
}
