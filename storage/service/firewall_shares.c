/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/service/firewall_shares.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/map.h"

/* Events a second, and at once, that one connection may tell of. 0: there is no share. A real
 * flood may be larger; what is beyond it each process bans by itself. */
static const struct {
    uint32_t a_second;
    uint32_t at_once;
} rates[FIREWALL_EVENT_COUNT] = {
    [FIREWALL_RECIPIENT_UNKNOWN] = {100, 5000},
    [FIREWALL_NULL_SENDER] = {500, 20000},
    [FIREWALL_PROTOCOL_ERROR] = {50, 2000},
    [FIREWALL_EARLY_TALK] = {5, 200},
    [FIREWALL_FLOOD] = {2, 60},
};

struct link {
    uint64_t at_ms; /* of `left` */
    double left[FIREWALL_EVENT_COUNT];
    struct map logins; /* by address and outcome: how many are not told of yet */
    struct map logins_before;
    uint64_t logins_ms; /* since when */
};

struct firewall_shares {
    struct map links; /* by connection */
};

struct firewall_shares *firewall_shares_new(void)
{
    struct firewall_shares *shares = calloc(1, sizeof(*shares));

    CHECK(shares != NULL);
    map_init(&shares->links);
    return shares;
}

static void link_free(struct link *link)
{
    map_fini(&link->logins);
    map_fini(&link->logins_before);
    free(link);
}

void firewall_shares_connection_closed(struct firewall_shares *shares, uint32_t connection)
{
    struct link *link = shares != NULL ? map_remove(&shares->links, connection) : NULL;

    if (link != NULL)
        link_free(link);
}

void firewall_shares_free(struct firewall_shares **shares)
{
    size_t at = 0;
    uint64_t connection;
    void *link;

    if (*shares == NULL)
        return;
    while (map_next(&(*shares)->links, &at, &connection, &link))
        link_free(link);
    map_fini(&(*shares)->links);
    free(*shares);
    *shares = NULL;
}

static void refill(struct link *link, uint64_t now_ms)
{
    double seconds = (double)(now_ms - link->at_ms) / 1000;

    for (unsigned i = 0; i < FIREWALL_EVENT_COUNT; i++) {
        link->left[i] += seconds * rates[i].a_second;
        if (link->left[i] > rates[i].at_once)
            link->left[i] = rates[i].at_once;
    }
    link->at_ms = now_ms;
    if (now_ms - link->logins_ms >= 2 * FIREWALL_SHARES_LOGIN_MS)
        map_fini(&link->logins);
    if (now_ms - link->logins_ms < FIREWALL_SHARES_LOGIN_MS)
        return;
    map_fini(&link->logins_before);
    link->logins_before = link->logins;
    map_init(&link->logins);
    link->logins_ms = now_ms;
}

static struct link *link_of(struct firewall_shares *shares, uint32_t connection,
                            uint64_t now_ms)
{
    struct link *link = map_get(&shares->links, connection);

    if (link == NULL) {
        link = calloc(1, sizeof(*link));
        CHECK(link != NULL);
        for (unsigned i = 0; i < FIREWALL_EVENT_COUNT; i++)
            link->left[i] = rates[i].at_once;
        map_init(&link->logins);
        map_init(&link->logins_before);
        link->at_ms = link->logins_ms = now_ms;
        map_put(&shares->links, connection, link);
    }
    refill(link, now_ms);
    return link;
}

/* Two addresses that meet lend each other their log-ins, no more. */
static uint64_t login_key(const struct firewall_address *address, bool good)
{
    return (address->high * 0x9e3779b97f4a7c15 ^ address->low) * 2 + good;
}

void firewall_shares_login(struct firewall_shares *shares, uint32_t connection,
                           const struct firewall_address *address, bool good, uint64_t now_ms)
{
    struct link *link = link_of(shares, connection, now_ms);
    uint64_t key = login_key(address, good);
    uintptr_t count = (uintptr_t)map_get(&link->logins, key);

    if (count > 0 || link->logins.count < FIREWALL_SHARES_LOGINS_MAX)
        map_put(&link->logins, key, (void *)(count + 1));
}

static uint32_t take_from(struct map *logins, uint64_t key, uint32_t asked)
{
    uintptr_t there = (uintptr_t)map_get(logins, key);
    uint32_t taken = there < asked ? (uint32_t)there : asked;

    if (taken > 0 && there == taken)
        map_remove(logins, key);
    else if (taken > 0)
        map_put(logins, key, (void *)(there - taken));
    return taken;
}

/* How many of the record's events are believed. */
static uint32_t believed(struct link *link, const struct firewall_record *record)
{
    if (record->event == FIREWALL_LOGIN || record->event == FIREWALL_LOGIN_FAILED) {
        uint64_t key = login_key(&record->address, record->event == FIREWALL_LOGIN);
        uint32_t taken = take_from(&link->logins_before, key, record->count);
        return taken + take_from(&link->logins, key, record->count - taken);
    }
    if (record->event >= FIREWALL_EVENT_COUNT || rates[record->event].at_once == 0)
        return record->count;
    double *left = &link->left[record->event];
    uint32_t taken = *left < record->count ? (uint32_t)*left : record->count;
    *left -= taken;
    return taken;
}

uint64_t firewall_shares_take(struct firewall_shares *shares, uint32_t connection,
                              struct firewall_batch *batch, uint64_t now_ms)
{
    struct link *link = link_of(shares, connection, now_ms);
    uint64_t refused = 0;
    size_t kept = 0;

    for (size_t i = 0; i < batch->count; i++) {
        struct firewall_record record = batch->records[i];
        uint32_t taken = believed(link, &record);
        refused += record.count - taken;
        record.count = taken;
        if (taken > 0)
            batch->records[kept++] = record;
    }
    batch->count = kept;
    return refused;
}
