/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/receive/destination.h"

#include "node/base/check.h"
#include "storage/schema/flags.h"

void destinations_init(struct destinations *destinations)
{
    *destinations = (struct destinations){.count = 0};
    arena_init(&destinations->arena);
}

void destinations_fini(struct destinations *destinations)
{
    arena_fini(&destinations->arena);
}

void destinations_clear(struct destinations *destinations)
{
    if (destinations->room == 0)
        return;
    destinations_fini(destinations);
    destinations_init(destinations);
}

static struct bytes keep(struct destinations *destinations, const char *text)
{
    return arena_copy(&destinations->arena, bytes_of(text));
}

static void take_targets(struct destinations *destinations, struct destination *destination,
                         const Pr__ResolveAnswer *answer)
{
    destination->targets =
        arena_alloc(&destinations->arena, destination->count * sizeof(*destination->targets));
    if (answer->n_targets == 0)
        destination->targets[0] = (struct destination_target){.account_id = answer->account_id};
    for (size_t i = 0; i < answer->n_targets; i++) {
        const Pr__ResolvedTarget *target = answer->targets[i];
        destination->targets[i] = (struct destination_target){
            .account_id = target->account_id,
            .remote = keep(destinations, target->remote),
            .sender = keep(destinations, target->sender),
            .from_list = target->from_list,
            .named = target->keep_sender,
        };
    }
}

static struct destination *append(struct destinations *destinations)
{
    if (destinations->count == destinations->room) {
        size_t room = destinations->room == 0 ? 4 : destinations->room * 4;
        struct destination **grown = arena_alloc(&destinations->arena, room * sizeof(*grown));
        if (destinations->count > 0)
            memcpy(grown, destinations->at, destinations->count * sizeof(*grown));
        destinations->at = grown;
        destinations->room = room;
    }
    struct destination *made = arena_alloc(&destinations->arena, sizeof(*made));
    destinations->at[destinations->count++] = made;
    return made;
}

static bool list_is_new(const struct destinations *destinations, struct bytes list)
{
    for (size_t i = 0; i < destinations->count; i++)
        if (bytes_equal(destinations->at[i]->list, list))
            return false;
    return list.len > 0;
}

uint64_t destinations_add(struct destinations *destinations, struct bytes address,
                          const Pr__ResolveAnswer *answer)
{
    size_t count = answer->n_targets > 0 ? answer->n_targets : 1;
    size_t lists = destinations->lists + list_is_new(destinations, bytes_of(answer->list));

    if (count > DELIVER_RECIPIENTS_MAX - destinations->targets || lists > DESTINATION_LISTS_MAX)
        return 0;
    destinations->targets += count;
    destinations->lists = lists;
    struct destination *destination = append(destinations);
    *destination = (struct destination){
        .address = arena_copy(&destinations->arena, address),
        .count = count,
        .list = keep(destinations, answer->list),
        .list_description = keep(destinations, answer->list_description),
        .list_owner = keep(destinations, answer->list_owner),
        .group = answer->group,
        .forward_account_id = answer->forward_account_id,
        .role = answer->role,
    };
    take_targets(destinations, destination, answer);
    return destinations->count;
}

const struct destination *destinations_get(const struct destinations *destinations,
                                           uint64_t number)
{
    CHECK(number >= 1 && number <= destinations->count);
    return destinations->at[number - 1];
}
