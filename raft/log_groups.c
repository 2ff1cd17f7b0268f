/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "raft/log_groups.h"

#include <stdlib.h>

#include "node/base/check.h"

static unsigned position_of(const struct log_groups *groups, uint32_t group)
{
    unsigned low = 0;
    unsigned high = groups->count;

    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        if (groups->items[middle]->state.group < group)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void log_groups_fini(struct log_groups *groups)
{
    for (unsigned i = 0; i < groups->count; i++) {
        log_index_fini(groups->items[i]);
        free(groups->items[i]);
    }
    free(groups->items);
    *groups = (struct log_groups){0};
}

struct log_index *log_groups_find(const struct log_groups *groups, uint32_t group)
{
    unsigned at = position_of(groups, group);

    return at < groups->count && groups->items[at]->state.group == group ? groups->items[at]
                                                                         : NULL;
}

struct log_index *log_groups_add(struct log_groups *groups, const struct log_state *state)
{
    unsigned at = position_of(groups, state->group);
    struct log_index *index = calloc(1, sizeof(*index));

    groups->items = realloc(groups->items, (groups->count + 1) * sizeof(*groups->items));
    CHECK(index != NULL && groups->items != NULL);
    log_index_state(index, state);
    index->state.last_index = state->first_index - 1;
    memmove(groups->items + at + 1, groups->items + at,
            (groups->count - at) * sizeof(*groups->items));
    groups->items[at] = index;
    groups->count++;
    return index;
}

struct log_state log_state_after(const struct log_state *before, const struct log_write *write)
{
    struct log_state state = *before;

    if (write->drop)
        return (struct log_state){.group = write->group,
                                  .term = before->term,
                                  .vote = before->vote,
                                  .first_index = 1,
                                  .dropped = true,
                                  .promised_term = write->promised_term,
                                  .promised_index = write->promised_index};
    state.dropped = false;
    CHECK(!write->reset || write->trim_before != 0);
    if (write->set_term) {
        state.term = write->term;
        state.vote = write->vote;
    }
    if (write->trim_before != 0) {
        CHECK(write->base_members.len <= LOG_MEMBERS_SIZE_MAX);
        state.first_index = write->trim_before;
        state.base_term = write->base_term;
        state.base_members_index = write->base_members_index;
        state.base_members = write->base_members;
    }
    return state;
}

struct log_index *log_groups_write(struct log_groups *groups, const struct log_write *write,
                                   const struct log_position *positions)
{
    struct log_index *index = log_groups_find(groups, write->group);

    if (index == NULL)
        index = log_groups_add(groups,
                               &(struct log_state){.group = write->group, .first_index = 1});
    struct log_state after = log_state_after(&index->state, write);
    if (write->from != 0) {
        log_index_truncate(index, write->from);
        for (unsigned i = 0; i < write->count; i++)
            log_index_append(index, &positions[i]);
    }
    if (write->drop)
        log_index_reset(index, 1);
    else if (write->reset)
        log_index_reset(index, write->trim_before);
    else if (write->trim_before != 0)
        log_index_trim(index, write->trim_before);
    after.last_index = index->state.last_index;
    log_index_state(index, &after);
    return index;
}
