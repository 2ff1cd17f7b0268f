/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the commands share: refusals, events, lists of uids. */
#include "storage/machine/apply.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"

enum err apply_refuse(struct apply *apply, enum err err, const char *format, ...)
{
    char text[512]; /* longer texts are cut */
    va_list args;

    CHECK(err != ERR_OK);
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    apply->outcome->err = err;
    apply->outcome->text = arena_string(apply->arena, bytes_of(text));
    return err;
}

uint64_t apply_clock_ms(const struct apply *apply)
{
    return apply->record.seen_ms != 0 ? apply->record.clock_ms : apply->command->time_ms;
}

/* Room for one more in a list of the arena. Returns the list, moved when it has grown. */
static void *list_grow(struct arena *arena, void *list, size_t count, size_t *room, size_t size)
{
    void *grown;

    if (count < *room)
        return list;
    *room = *room == 0 ? 8 : *room * 2;
    grown = arena_alloc(arena, *room * size);
    if (count > 0)
        memcpy(grown, list, count * size);
    return grown;
}

void event_mailbox(struct apply *apply, uint64_t account_id, uint32_t mailbox_id,
                   uint64_t modseq, bool gone)
{
    struct machine_events *events = apply->events;
    size_t room = events->mailbox_room;

    events->mailboxes = list_grow(apply->arena, events->mailboxes, events->mailbox_count, &room,
                                  sizeof(*events->mailboxes));
    events->mailbox_room = (unsigned)room;
    events->mailboxes[events->mailbox_count++] = (struct machine_mailbox_event){
        .group = apply->group,
        .account_id = account_id,
        .mailbox_id = mailbox_id,
        .modseq = modseq,
        .gone = gone,
    };
}

void event_account_moved(struct apply *apply, uint64_t account_id, uint32_t group)
{
    struct machine_events *events = apply->events;
    size_t room = events->moved_room;

    events->accounts_moved =
        list_grow(apply->arena, events->accounts_moved, events->moved_count, &room,
                  sizeof(*events->accounts_moved));
    events->moved_room = (unsigned)room;
    events->accounts_moved[events->moved_count++] =
        (struct machine_moved_event){account_id, group};
}

void event_account_ended(struct apply *apply, uint64_t account_id)
{
    struct machine_events *events = apply->events;
    size_t room = events->ended_room;

    events->accounts_ended = list_grow(apply->arena, events->accounts_ended,
                                       events->ended_count, &room, sizeof(uint64_t));
    events->ended_room = (unsigned)room;
    events->accounts_ended[events->ended_count++] = account_id;
}

void range_add(struct arena *arena, struct range_list *list, uint32_t first, uint32_t last)
{
    Pr__UidRange *range;

    if (list->count > 0 && list->at[list->count - 1]->last + 1 == first && first != 0) {
        list->at[list->count - 1]->last = last;
        return;
    }
    list->at = list_grow(arena, list->at, list->count, &list->room, sizeof(*list->at));
    range = arena_alloc(arena, sizeof(*range));
    pr__uid_range__init(range);
    range->first = first;
    range->last = last;
    list->at[list->count++] = range;
}

static int range_compare(const void *a, const void *b)
{
    const Pr__UidRange *const *left = a;
    const Pr__UidRange *const *right = b;

    if ((*left)->first != (*right)->first)
        return (*left)->first < (*right)->first ? -1 : 1;
    return ((*left)->last > (*right)->last) - ((*left)->last < (*right)->last);
}

bool range_normal(struct arena *arena, Pr__UidRange *const *ranges, size_t count,
                  struct range_list *list)
{
    const Pr__UidRange **sorted = arena_alloc(arena, count * sizeof(*sorted));

    *list = (struct range_list){0};
    for (size_t i = 0; i < count; i++) {
        if (ranges[i]->first < 1 || ranges[i]->last < ranges[i]->first)
            return false;
        sorted[i] = ranges[i];
    }
    qsort(sorted, count, sizeof(*sorted), range_compare);
    for (size_t i = 0; i < count; i++) {
        Pr__UidRange *newest = list->count > 0 ? list->at[list->count - 1] : NULL;
        if (newest != NULL && sorted[i]->first <= newest->last) {
            if (sorted[i]->last > newest->last)
                newest->last = sorted[i]->last;
        } else {
            range_add(arena, list, sorted[i]->first, sorted[i]->last);
        }
    }
    return true;
}
