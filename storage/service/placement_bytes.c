/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Nodes with about equally many replicas may have very different amounts of mail. A replica
 * moves from the node that has most to one that has little, and another one back if they have
 * as many replicas; always what makes the two most alike, and only if that is worth the copy.
 * What a group weighs is an estimate (weight_estimate.h), so small differences are left alone.
 */
#include <stdlib.h>

#include "storage/service/placement_balance.h"

#define LEAST_BYTES ((uint64_t)1 << 30) /* nodes that differ by less are alike */

enum {
    ALIKE_SHARE = 4, /* and those that differ by less than this part of the average */
    WORTH_SHARE = 4, /* what moves must make the difference less by this part of it */
};

/* A replica that goes, and one that comes back for it. */
struct exchange {
    size_t group;
    size_t replica;
    bool back;
    size_t back_group;
    size_t back_replica;
    uint64_t gain; /* how much the heavier of the two gets lighter, as far as that helps */
};

/* What is gained when nodes that differ by `difference` exchange these; 0: not worth it. */
static uint64_t gain_of(uint64_t difference, uint64_t there, uint64_t back)
{
    if (there <= back || there - back >= difference)
        return 0;
    uint64_t change = there - back;
    uint64_t gain = change < difference - change ? change : difference - change;
    return gain >= (there + back) / WORTH_SHARE ? gain : 0;
}

static void best_back(struct balance *balance, size_t from, size_t to, struct exchange *found,
                      struct exchange *best)
{
    const struct held *held = &balance->held[to];
    uint64_t difference = balance->held[from].bytes - held->bytes;

    for (size_t i = 0; i < held->count; i++) {
        size_t back = held->groups[i];
        uint64_t gain = gain_of(difference, balance->bytes[found->group], balance->bytes[back]);
        if (gain <= best->gain)
            continue;
        size_t replica = balance_movable(balance, back, to, from);
        if (replica == balance->groups[back]->n_replicas)
            continue;
        *best = *found;
        best->back = true;
        best->back_group = back;
        best->back_replica = replica;
        best->gain = gain;
    }
}

/* The best exchange between the two; gain 0: none. */
static struct exchange best_between(struct balance *balance, size_t from, size_t to)
{
    const struct held *held = &balance->held[from];
    bool fuller = held->count > balance->held[to].count;
    uint64_t difference = held->bytes - balance->held[to].bytes;
    struct exchange best = {0};

    for (size_t i = 0; i < held->count; i++) {
        struct exchange found = {.group = held->groups[i]};
        found.gain = gain_of(difference, balance->bytes[found.group], 0);
        found.replica = balance_movable(balance, found.group, from, to);
        if (found.replica == balance->groups[found.group]->n_replicas)
            continue;
        if (fuller && found.gain > best.gain)
            best = found;
        best_back(balance, from, to, &found, &best);
    }
    return best;
}

struct place {
    size_t node;
    uint64_t bytes;
};

static int by_bytes(const void *a, const void *b)
{
    const struct place *first = a;
    const struct place *second = b;

    if (first->bytes != second->bytes)
        return first->bytes > second->bytes ? -1 : 1;
    return first->node > second->node ? 1 : -1;
}

/* Nodes that take mail, those with the most bytes first. */
static size_t places_fill(const struct balance *balance, struct place *places, uint64_t *sum)
{
    size_t count = 0;

    *sum = 0;
    for (size_t n = 0; n < balance->view->node_count; n++)
        if (placement_takes_mail(&balance->view->nodes[n])) {
            places[count++] = (struct place){n, balance->held[n].bytes};
            *sum += balance->held[n].bytes;
        }
    qsort(places, count, sizeof(*places), by_bytes);
    return count;
}

static void exchange_make(struct balance *balance, const struct exchange *exchange, size_t from,
                          size_t to)
{
    balance_move(balance, exchange->group, exchange->replica, to);
    if (exchange->back)
        balance_move(balance, exchange->back_group, exchange->back_replica, from);
}

bool balance_level_bytes(struct balance *balance)
{
    size_t nodes = balance->view->node_count;
    struct place *places = arena_alloc(balance->arena, (nodes + 1) * sizeof(*places));
    uint64_t sum = 0;
    size_t count = places_fill(balance, places, &sum);
    uint64_t alike = count > 0 ? sum / count / ALIKE_SHARE : 0;

    if (alike < LEAST_BYTES)
        alike = LEAST_BYTES;
    for (size_t from = 0; from < count; from++)
        for (size_t to = count; to-- > from + 1;) {
            if (places[from].bytes - places[to].bytes <= alike)
                break;
            struct exchange best = best_between(balance, places[from].node, places[to].node);
            if (best.gain == 0)
                continue;
            exchange_make(balance, &best, places[from].node, places[to].node);
            return true;
        }
    return false;
}

uint64_t placement_rebalance_seconds(const struct placement_rebalance *plan, uint64_t rate)
{
    uint64_t sum = 0;
    uint64_t most = 0;

    for (size_t i = 0; i < plan->move_count; i++) {
        uint64_t there = 0;
        sum += plan->moves[i].bytes;
        for (size_t k = 0; k < plan->move_count; k++)
            there += plan->moves[k].to == plan->moves[i].to ? plan->moves[k].bytes : 0;
        most = there > most ? there : most;
    }
    if (most < sum / PLACEMENT_MOVES_MAX)
        most = sum / PLACEMENT_MOVES_MAX;
    return (most + rate - 1) / rate;
}
