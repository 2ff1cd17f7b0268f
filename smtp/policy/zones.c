/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/zones.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"

struct zone {
    struct zones *zones;
    enum zone_kind kind;
    char name[POLICY_NAME_SIZE];
    enum zone_state state;
    uint64_t until_ms; /* then it is checked again */
    uint64_t ticket;   /* of the check under way; 0: none */
};

struct zones {
    struct dns *dns;
    void (*changed)(void *context);
    void *context;
    struct zone *at[ZONES_MAX];
    unsigned count;
};

struct zones *zones_new(struct dns *dns, void (*changed)(void *context), void *context)
{
    struct zones *zones = calloc(1, sizeof(*zones));

    CHECK(zones != NULL);
    *zones = (struct zones){.dns = dns, .changed = changed, .context = context};
    return zones;
}

void zones_free(struct zones **zones)
{
    struct zones *ending = *zones;

    if (ending == NULL)
        return;
    *zones = NULL;
    for (unsigned i = 0; i < ending->count; i++) {
        dns_cancel(ending->dns, ending->at[i]->ticket);
        free(ending->at[i]);
    }
    free(ending);
}

bool zones_answer_dead(const uint8_t answer[4])
{
    return answer[0] != 127 || (answer[1] == 255 && answer[2] == 255);
}

static void declare(struct zone *zone, enum zone_state state, uint64_t until_ms)
{
    if (zone->state != state && state == ZONE_DEAD)
        log_warn(NULL, "a list of DNS is not to be believed, it does not count",
                 LOG_FIELDS(LOG_TEXT("zone", zone->name)));
    else if (zone->state == ZONE_DEAD && state == ZONE_ALIVE)
        log_info(NULL, "a list of DNS counts again", LOG_FIELDS(LOG_TEXT("zone", zone->name)));
    zone->state = state;
    zone->until_ms = until_ms;
}

static void on_checked(void *context, const struct dns_answer *answer)
{
    struct zone *zone = context;
    uint64_t now_ms = clock_monotonic_ms();

    zone->ticket = 0;
    if (dns_trouble(answer->result))
        declare(zone, zone->state == ZONE_DEAD ? ZONE_DEAD : ZONE_ALIVE,
                now_ms + ZONE_TROUBLE_MS);
    else if (answer->result == DNS_OK)
        declare(zone, ZONE_DEAD, now_ms + ZONE_DEAD_MS);
    else
        declare(zone, ZONE_ALIVE, now_ms + ZONE_ALIVE_MS);
    zone->zones->changed(zone->zones->context);
}

/* Of what no list may have. False: too long. */
static bool test_name(const struct zone *zone, char name[DNS_NAME_SIZE])
{
    struct address nobody;

    if (zone->kind == ZONE_OF_NAMES)
        return snprintf(name, DNS_NAME_SIZE, "invalid.%s", zone->name) < 254;
    CHECK(address_parse(BYTES("127.0.0.1"), &nobody));
    return dns_list_name(&nobody, zone->name, name);
}

static void check(struct zone *zone)
{
    char name[DNS_NAME_SIZE];

    if (!test_name(zone, name)) {
        declare(zone, ZONE_DEAD, UINT64_MAX);
        return;
    }
    zone->ticket = dns_query(zone->zones->dns, name, DNS_A, on_checked, zone);
}

static struct zone *find(struct zones *zones, enum zone_kind kind, struct bytes name)
{
    for (unsigned i = 0; i < zones->count; i++)
        if (zones->at[i]->kind == kind &&
            bytes_equal_nocase(bytes_of(zones->at[i]->name), name))
            return zones->at[i];
    if (zones->count == ZONES_MAX || name.len >= POLICY_NAME_SIZE)
        return NULL;
    struct zone *zone = calloc(1, sizeof(*zone));
    CHECK(zone != NULL);
    zone->zones = zones;
    zone->kind = kind;
    memcpy(zone->name, name.at, name.len);
    zones->at[zones->count++] = zone;
    return zone;
}

enum zone_state zones_look(struct zones *zones, enum zone_kind kind, struct bytes name,
                           uint64_t now_ms)
{
    struct zone *zone = find(zones, kind, name);

    if (zone == NULL)
        return ZONE_DEAD;
    if (now_ms >= zone->until_ms && zone->ticket == 0)
        check(zone);
    return zone->state;
}

void zones_doubt(struct zones *zones, enum zone_kind kind, struct bytes name, uint64_t now_ms)
{
    struct zone *zone = find(zones, kind, name);

    if (zone != NULL)
        declare(zone, ZONE_DEAD, now_ms + ZONE_DEAD_MS);
}
