/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "raft/frame.h"
#include "raft/log_record.h"
#include "tests/unit/raft/log_model.h"

static char text[200];

static const char *differs(const struct log_state *state, const char *what, uint64_t index)
{
    snprintf(text, sizeof(text), "group %u (%llu..%llu): %s %llu", state->group,
             (unsigned long long)state->first_index, (unsigned long long)state->last_index,
             what, (unsigned long long)index);
    return text;
}

static const char *state_differs(const struct model_group *group, const struct log_state *got)
{
    const struct log_state *state = &group->state;

    if (got->group != state->group || got->dropped != state->dropped)
        return differs(state, "another group, or dropped:", got->group);
    if (got->term != state->term || got->vote != state->vote)
        return differs(state, "term or vote; term", got->term);
    if (got->first_index != state->first_index)
        return differs(state, "first index", got->first_index);
    if (got->last_index != state->last_index)
        return differs(state, "last index", got->last_index);
    if (got->base_term != state->base_term ||
        got->base_members_index != state->base_members_index)
        return differs(state, "base term", got->base_term);
    if (!bytes_equal(got->base_members, bytes_from(group->members, state->base_members.len)))
        return differs(state, "members of length", got->base_members.len);
    if (got->promised_term != state->promised_term ||
        got->promised_index != state->promised_index)
        return differs(state, "promised term", got->promised_term);
    return NULL;
}

static const char *entry_differs(const struct log_state *state, uint64_t index,
                                 const struct model_entry *expected, const struct entry *entry,
                                 bool with_data)
{
    if (entry->term != expected->term || entry->type != expected->type)
        return differs(state, "term or type of entry", index);
    if (!with_data)
        return entry->data.len == 0 && entry->owner == NULL ? NULL
                                                            : differs(state, "data at", index);
    uint8_t *data = malloc((size_t)expected->len + 1);
    CHECK(data != NULL);
    model_data(expected->stamp, data, expected->len);
    bool equal = bytes_equal(entry->data, bytes_from(data, expected->len));
    free(data);
    return equal ? NULL : differs(state, "bytes of entry", index);
}

static unsigned readable(const struct model_group *group, uint64_t first, unsigned count,
                         size_t bytes_max)
{
    size_t bytes = 0;
    unsigned got = 0;

    while (got < count && first + got <= group->state.last_index &&
           (got == 0 || bytes < bytes_max))
        bytes += group->entries[first + got++ - group->state.first_index].len;
    return got;
}

static const char *piece_differs(const struct model_group *group, struct entry_log *log,
                                 struct model_random *random, uint64_t first, unsigned *got)
{
    static const size_t limits[] = {1, 100, 3000, 70000, SIZE_MAX};
    struct entry entries[MODEL_ENTRIES_MAX];
    const struct log_state *state = &group->state;
    unsigned count = 1 + (unsigned)model_random(random, MODEL_ENTRIES_MAX);
    bool scan = model_random(random, 3) == 0;
    size_t limit = scan ? SIZE_MAX : limits[model_random(random, 5)];
    const char *what = NULL;

    *got = scan ? log->ops->scan(log, state->group, first, count, entries)
                : log->ops->read(log, state->group, first, count, limit, entries);
    if (*got != readable(group, first, count, limit))
        what = differs(state, scan ? "scanned from" : "read from", first);
    for (unsigned i = 0; i < *got; i++) {
        const struct model_entry *expected = &group->entries[first + i - state->first_index];
        if (what == NULL)
            what = entry_differs(state, first + i, expected, &entries[i],
                                 !scan || expected->type == ENTRY_CHANGE);
        frame_unref(entries[i].owner);
    }
    return what;
}

static const char *entries_differ(const struct model_group *group, struct entry_log *log,
                                  struct model_random *random)
{
    const struct log_state *state = &group->state;
    const char *what = NULL;
    uint64_t bytes = 0;
    struct entry entry;

    for (uint64_t at = state->first_index; at <= state->last_index && what == NULL;) {
        unsigned got;
        what = piece_differs(group, log, random, at, &got);
        at += got;
    }
    if (what == NULL &&
        (log->ops->read(log, state->group, state->first_index - 1, 1, 1, &entry) != 0 ||
         log->ops->read(log, state->group, state->last_index + 1, 1, 1, &entry) != 0))
        what = differs(state, "an entry outside of it,", 0);
    for (uint64_t at = state->first_index; at <= state->last_index; at++)
        bytes += group->entries[at - state->first_index].len + LOG_RECORD_ENTRY_SIZE;
    if (what == NULL && log->ops->bytes(log, state->group) != bytes)
        what = differs(state, "bytes are", log->ops->bytes(log, state->group) - bytes);
    return what;
}

static const char *readable_differ(const struct model_group *group, struct entry_log *log)
{
    const struct log_state *state = &group->state;
    const char *what = NULL;

    for (uint64_t at = state->first_index; at <= state->last_index && what == NULL; at++) {
        struct entry entry;
        if (log->ops->read(log, state->group, at, 1, 1, &entry) != 1)
            continue;
        what = entry_differs(state, at, &group->entries[at - state->first_index], &entry, true);
        frame_unref(entry.owner);
    }
    return what;
}

/* `random`: NULL: an entry may be unreadable. */
static const char *groups_differ(const struct model *model, struct entry_log *log,
                                 struct model_random *random)
{
    struct log_state states[MODEL_GROUPS + 1];
    unsigned count = log->ops->groups(log, states, MODEL_GROUPS + 1);
    unsigned at = 0;
    const char *what = NULL;

    for (unsigned i = 0; i < MODEL_GROUPS && what == NULL; i++) {
        const struct model_group *group = &model->groups[i];
        if (!group->exists)
            continue;
        if (at == count)
            return differs(&group->state, "is missing; groups:", count);
        what = state_differs(group, &states[at++]);
        if (what == NULL)
            what = random != NULL ? entries_differ(group, log, random)
                                  : readable_differ(group, log);
    }
    if (what == NULL && at != count)
        what = differs(&states[at], "is there, of groups:", count);
    return what;
}

const char *model_differs(const struct model *model, struct entry_log *log,
                          struct model_random *random)
{
    return groups_differ(model, log, random);
}

const char *model_differs_readable(const struct model *model, struct entry_log *log)
{
    return groups_differ(model, log, NULL);
}
