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
            .forward_account_id = target->forward_account_id,
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

bool destination_target_marked(const struct destination_target *target)
{
    return target->account_id == 0 && !target->from_list && !target->named;
}

static bool list_is_new(const struct destinations *destinations, struct bytes list)
{
    for (size_t i = 0; i < destinations->count; i++)
        if (bytes_equal(destinations->at[i]->list, list))
            return false;
    return list.len > 0;
}

static bool is_marked(const Pr__ResolvedTarget *target)
{
    return target->account_id == 0 && !target->from_list && !target->keep_sender;
}

/* One of the same account is there, behind the same address. */
static bool mark_is_there(const struct destinations *destinations, struct bytes address,
                          uint64_t account_id)
{
    for (size_t i = 0; i < destinations->count; i++) {
        const struct destination *other = destinations->at[i];
        for (size_t j = 0; bytes_equal(other->address, address) && j < other->count; j++)
            if (destination_target_marked(&other->targets[j]) &&
                other->targets[j].forward_account_id == account_id)
                return true;
    }
    return false;
}

/* How many wordings the address needs that those before it do not; more than there can be is
 * enough to know. */
static size_t count_wordings(const struct destinations *destinations, struct bytes address,
                             const Pr__ResolveAnswer *answer)
{
    uint64_t accounts[DESTINATION_WORDINGS_MAX];
    size_t count = 0;
    bool list = list_is_new(destinations, bytes_of(answer->list));

    for (size_t i = 0; i < answer->n_targets; i++) {
        uint64_t account_id = answer->targets[i]->forward_account_id;
        size_t known = 0;
        while (known < count && accounts[known] != account_id)
            known++;
        if (!is_marked(answer->targets[i]) || known < count ||
            mark_is_there(destinations, address, account_id))
            continue;
        if (count == DESTINATION_WORDINGS_MAX)
            return count + 1;
        accounts[count++] = account_id;
    }
    return count + list;
}

uint64_t destinations_add(struct destinations *destinations, struct bytes address,
                          const Pr__ResolveAnswer *answer)
{
    size_t count = answer->n_targets > 0 ? answer->n_targets : 1;

    if (count > DELIVER_RECIPIENTS_MAX - destinations->targets)
        return 0;
    size_t wordings = destinations->wordings + count_wordings(destinations, address, answer);
    if (wordings > DESTINATION_WORDINGS_MAX)
        return 0;
    destinations->targets += count;
    destinations->wordings = wordings;
    struct destination *destination = append(destinations);
    *destination = (struct destination){
        .address = arena_copy(&destinations->arena, address),
        .count = count,
        .list = keep(destinations, answer->list),
        .list_description = keep(destinations, answer->list_description),
        .list_owner = keep(destinations, answer->list_owner),
        .group = answer->group,
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
