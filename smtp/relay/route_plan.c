/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The order in which the addresses of a route are tried. */
#include "node/base/check.h"
#include "smtp/relay/route_internal.h"

struct planner {
    const struct route *route;
    const struct route_wish *wish;
    struct route_plan *plan;
    unsigned most;
    uint64_t random;
    bool missed[ROUTE_FAMILIES]; /* the first of the family for which there was no room */
    struct route_step late[ROUTE_FAMILIES];
};

static unsigned family_of(const struct address *address)
{
    return !address_is_v4(address);
}

static bool is_planned(const struct route_plan *plan, const struct address *address)
{
    for (unsigned i = 0; i < plan->count; i++)
        if (address_equal(&plan->steps[i].address, address))
            return true;
    return false;
}

static void add(struct planner *planner, unsigned host, const struct address *address)
{
    struct route_plan *plan = planner->plan;
    struct route_step step = {
        .address = *address, .port = planner->route->hosts[host].port, .host = host};
    unsigned family = family_of(address);

    if (is_planned(plan, address))
        return;
    if (plan->count < planner->most) {
        plan->steps[plan->count++] = step;
    } else if (!planner->missed[family]) {
        planner->missed[family] = true;
        planner->late[family] = step;
    }
}

/* Addresses of a family that may be used, in any order. */
static unsigned collect(struct planner *planner, const struct route_host *host, unsigned family,
                        const struct address *found[ROUTE_HOST_ADDRESSES_MAX])
{
    unsigned count = 0;

    if (family == 0 ? planner->wish->without_v4 : planner->wish->without_v6)
        return 0;
    for (unsigned i = 0; i < host->address_count; i++)
        if (family_of(&host->addresses[i]) == family)
            found[count++] = &host->addresses[i];
    for (unsigned left = count; left > 1; left--) {
        unsigned pick = (unsigned)(route_random(&planner->random) % left);
        const struct address *picked = found[pick];
        found[pick] = found[left - 1];
        found[left - 1] = picked;
    }
    return count;
}

/* The families take turns, so that a broken one costs one try a host. */
static void add_host(struct planner *planner, unsigned number)
{
    const struct route_host *host = &planner->route->hosts[number];
    const struct address *found[ROUTE_FAMILIES][ROUTE_HOST_ADDRESSES_MAX];
    unsigned counts[ROUTE_FAMILIES], first = planner->wish->v4_first ? 0 : 1;

    if (host->tlsa == ROUTE_TLSA_TROUBLE || planner->wish->without_hosts >> number & 1)
        return;
    for (unsigned family = 0; family < ROUTE_FAMILIES; family++)
        counts[family] = collect(planner, host, family, found[family]);
    for (unsigned turn = 0; turn < counts[0] || turn < counts[1]; turn++) {
        if (turn < counts[first])
            add(planner, number, found[first][turn]);
        if (turn < counts[1 - first])
            add(planner, number, found[1 - first][turn]);
    }
}

static void shuffle(unsigned *numbers, unsigned count, uint64_t *random)
{
    for (; count > 1; count--) {
        unsigned pick = (unsigned)(route_random(random) % count);
        unsigned picked = numbers[pick];
        numbers[pick] = numbers[count - 1];
        numbers[count - 1] = picked;
    }
}

/* When all that is planned is of one family, the first of the other one takes the last place:
 * where one family does not work at all, the mail still leaves. */
static void add_missed(struct planner *planner)
{
    struct route_plan *plan = planner->plan;
    unsigned counts[ROUTE_FAMILIES] = {0, 0};

    if (plan->count < 2)
        return;
    for (unsigned i = 0; i < plan->count; i++)
        counts[family_of(&plan->steps[i].address)]++;
    for (unsigned family = 0; family < ROUTE_FAMILIES; family++)
        if (counts[family] == 0 && planner->missed[family])
            plan->steps[plan->count - 1] = planner->late[family];
}

void route_plan(const struct route *route, const struct route_wish *wish,
                struct route_plan *plan)
{
    struct planner planner = {.route = route, .wish = wish, .plan = plan, .random = wish->seed};
    unsigned numbers[ROUTE_HOSTS_MAX], end;

    planner.most = wish->addresses_max > 0 ? wish->addresses_max : ROUTE_PLAN_DEFAULT;
    if (planner.most > ROUTE_PLAN_MAX)
        planner.most = ROUTE_PLAN_MAX;
    *plan = (struct route_plan){.count = 0};
    CHECK(route->host_count <= ROUTE_HOSTS_MAX);
    for (unsigned i = 0; i < route->host_count; i++)
        numbers[i] = i;
    for (unsigned first = 0; first < route->host_count; first = end) {
        for (end = first; end < route->host_count &&
                          route->hosts[end].preference == route->hosts[first].preference;)
            end++;
        shuffle(numbers + first, end - first, &planner.random);
    }
    for (unsigned i = 0; i < route->host_count; i++)
        add_host(&planner, numbers[i]);
    add_missed(&planner);
}
