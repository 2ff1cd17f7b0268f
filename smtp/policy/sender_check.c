/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/sender_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/schema/settings.h"

enum {
    MX_HOSTS_MAX = 2,
    ZONES_ASKED_MAX = 16,
    ZONES_WAIT_MS = 100, /* between looks at whether lists can be believed */
};

enum question {
    ASK_SOA,
    ASK_NS,
    ASK_MX,
    ASK_A,
    ASK_AAAA,
    ASK_SPF,
    ASK_DMARC,
    ASK_MX_FIRST, /* A and AAAA of each host */
    ASK_COUNT = ASK_MX_FIRST + 2 * MX_HOSTS_MAX,
};

struct sender_check {
    struct loop *loop;
    struct dns *dns;
    struct zones *zones;
    char domain[DNS_NAME_SIZE];
    struct sender_found found;
    struct asked {
        struct sender_check *check;
        enum question question;
        uint64_t ticket;
    } asked[ASK_COUNT];
    struct zone_look {
        struct sender_check *check;
        bool young;
        char zone[POLICY_NAME_SIZE];
        uint64_t ticket;
        bool listed;
        uint8_t answer[4];
    } looks[ZONES_ASKED_MAX];
    unsigned look_count;
    unsigned open;
    uint64_t end_ms;          /* of the budget */
    struct loop_timer *timer; /* of the budget, then of the end */
    void (*done)(void *context, const struct sender_found *found);
    void *context;
};

static void cancel_all(struct sender_check *check)
{
    for (unsigned i = 0; i < ASK_COUNT; i++)
        if (check->asked[i].ticket != 0)
            dns_cancel(check->dns, check->asked[i].ticket);
    for (unsigned i = 0; i < check->look_count; i++)
        if (check->looks[i].ticket != 0)
            dns_cancel(check->dns, check->looks[i].ticket);
}

void sender_check_cancel(struct sender_check **check)
{
    struct sender_check *ending = *check;

    if (ending == NULL)
        return;
    *check = NULL;
    cancel_all(ending);
    loop_timer_stop(&ending->timer);
    free(ending);
}

/* The better of what two questions found: PRESENT, then NOT_KNOWN, then ABSENT. */
static enum sender_seen join(enum sender_seen a, enum sender_seen b)
{
    if (a == SENDER_PRESENT || b == SENDER_PRESENT)
        return SENDER_PRESENT;
    return a == SENDER_NOT_KNOWN || b == SENDER_NOT_KNOWN ? SENDER_NOT_KNOWN : SENDER_ABSENT;
}

/* ---- lists ---- */

/* Lists that are not known to be sound say nothing. */
static void take_lists(struct sender_check *check)
{
    struct sender_found *found = &check->found;

    for (unsigned i = 0; i < check->look_count; i++) {
        const struct zone_look *look = &check->looks[i];
        if (!look->listed || found->listed_count == SENDER_LISTED_MAX ||
            zones_look(check->zones, ZONE_OF_NAMES, bytes_of(look->zone),
                       clock_monotonic_ms()) != ZONE_ALIVE)
            continue;
        struct sender_listed *listed = &found->listed[found->listed_count++];
        listed->young = look->young;
        memcpy(listed->zone, look->zone, sizeof(listed->zone));
        memcpy(listed->answer, look->answer, sizeof(listed->answer));
    }
}

static bool lists_are_checked(const struct sender_check *check)
{
    for (unsigned i = 0; i < check->look_count; i++)
        if (check->looks[i].listed &&
            zones_look(check->zones, ZONE_OF_NAMES, bytes_of(check->looks[i].zone),
                       clock_monotonic_ms()) == ZONE_CHECKING)
            return false;
    return true;
}

static void answered(struct sender_check *check);

static void on_listing(void *context, const struct dns_answer *answer)
{
    struct zone_look *look = context;
    struct sender_check *check = look->check;

    look->ticket = 0;
    for (unsigned i = 0; i < answer->count && !look->listed; i++) {
        const uint8_t *at = answer->records[i].address.bytes + 12;
        if (zones_answer_dead(at)) {
            zones_doubt(check->zones, ZONE_OF_NAMES, bytes_of(look->zone),
                        clock_monotonic_ms());
            break;
        }
        look->listed = true;
        memcpy(look->answer, at, sizeof(look->answer));
    }
    answered(check);
}

/* A zone may stand in a list several times, with other codes and weights. */
static bool is_asked(const struct sender_check *check, struct bytes zone, bool young)
{
    for (unsigned i = 0; i < check->look_count; i++)
        if (check->looks[i].young == young &&
            bytes_equal_nocase(bytes_of(check->looks[i].zone), zone))
            return true;
    return false;
}

static void ask_zones(struct sender_check *check, struct bytes list, bool young)
{
    struct settings_zone zone;
    char name[DNS_NAME_SIZE];

    while (settings_zone_next(&list, &zone) && check->look_count < ZONES_ASKED_MAX) {
        struct zone_look *look = &check->looks[check->look_count];
        if (zone.name.len >= sizeof(look->zone) || is_asked(check, zone.name, young) ||
            zones_look(check->zones, ZONE_OF_NAMES, zone.name, clock_monotonic_ms()) ==
                ZONE_DEAD)
            continue;
        *look = (struct zone_look){.check = check, .young = young};
        memcpy(look->zone, zone.name.at, zone.name.len);
        if (snprintf(name, sizeof(name), "%s.%s", check->domain, look->zone) > 253)
            continue;
        check->look_count++;
        check->open++;
        look->ticket = dns_query(check->dns, name, DNS_A, on_listing, look);
    }
}

/* ---- the end ---- */

static void on_end(void *context)
{
    struct sender_check *check = context;
    struct sender_found *found = &check->found;

    /* What has not come in time is not known. */
    for (unsigned i = 0; i < ASK_COUNT; i++) {
        if (check->asked[i].ticket == 0)
            continue;
        if (i == ASK_A || i == ASK_AAAA)
            found->address = join(found->address, SENDER_NOT_KNOWN);
        else if (i >= ASK_MX_FIRST)
            found->mx_address = join(found->mx_address, SENDER_NOT_KNOWN);
    }
    cancel_all(check);
    take_lists(check);
    check->done(check->context, &check->found);
    free(check);
}

/* All that was asked for is there, but perhaps not yet what lists are worth. */
static void on_looked(void *context)
{
    struct sender_check *check = context;

    check->timer = NULL;
    if (lists_are_checked(check) || clock_monotonic_ms() >= check->end_ms)
        on_end(check);
    else
        check->timer = loop_timer_start(check->loop, ZONES_WAIT_MS, 0, on_looked, check);
}

static void answered(struct sender_check *check)
{
    if (--check->open > 0)
        return;
    loop_timer_stop(&check->timer);
    check->timer = loop_timer_start(check->loop, 0, 0, on_looked, check);
}

/* ---- the domain itself ---- */

static bool has_text(const struct dns_answer *answer, struct bytes start)
{
    for (unsigned i = 0; i < answer->count; i++)
        if (bytes_start_nocase(answer->records[i].text, start))
            return true;
    return false;
}

static void on_answer(void *context, const struct dns_answer *answer);

static void ask(struct sender_check *check, enum question question, const char *name,
                enum dns_type type)
{
    struct asked *asked = &check->asked[question];

    asked->check = check;
    asked->question = question;
    asked->ticket = dns_query(check->dns, name, type, on_answer, asked);
    check->open++;
}

static void take_mx(struct sender_check *check, const struct dns_answer *answer)
{
    struct sender_found *found = &check->found;

    found->null_mx = answer->count == 1 && answer->records[0].mx.host[0] == '\0';
    if (found->null_mx || answer->count == 0)
        return;
    found->mx_address = SENDER_ABSENT; /* joined with what comes */
    for (unsigned i = 0; i < answer->count && i < MX_HOSTS_MAX; i++) {
        ask(check, ASK_MX_FIRST + 2 * i, answer->records[i].mx.host, DNS_A);
        ask(check, ASK_MX_FIRST + 2 * i + 1, answer->records[i].mx.host, DNS_AAAA);
    }
}

static void on_answer(void *context, const struct dns_answer *answer)
{
    struct asked *asked = context;
    struct sender_check *check = asked->check;
    struct sender_found *found = &check->found;
    enum sender_seen seen = answer->count > 0             ? SENDER_PRESENT
                            : dns_trouble(answer->result) ? SENDER_NOT_KNOWN
                                                          : SENDER_ABSENT;

    asked->ticket = 0;
    switch (asked->question) {
    case ASK_SOA:
        found->soa = seen;
        break;
    case ASK_NS:
        found->ns = seen;
        break;
    case ASK_MX:
        found->mx = seen;
        take_mx(check, answer);
        break;
    case ASK_A:
    case ASK_AAAA:
        found->address = join(found->address, seen);
        break;
    case ASK_SPF:
        if (seen == SENDER_PRESENT && !has_text(answer, BYTES("v=spf1")))
            seen = SENDER_ABSENT;
        found->spf = seen;
        break;
    case ASK_DMARC:
        if (seen == SENDER_PRESENT && !has_text(answer, BYTES("v=DMARC1")))
            seen = SENDER_ABSENT;
        found->dmarc = seen;
        break;
    default:
        found->mx_address = join(found->mx_address, seen);
        break;
    }
    answered(check);
}

struct sender_check *
sender_check_start(const struct sender_check_config *config, const char *domain,
                   void (*done)(void *context, const struct sender_found *found), void *context)
{
    struct sender_check *check = calloc(1, sizeof(*check));
    char name[DNS_NAME_SIZE + 8];

    CHECK(check != NULL && strlen(domain) < sizeof(check->domain));
    *check = (struct sender_check){.loop = config->loop,
                                   .dns = config->dns,
                                   .zones = config->zones,
                                   .end_ms = clock_monotonic_ms() + config->budget_ms,
                                   .done = done,
                                   .context = context};
    snprintf(check->domain, sizeof(check->domain), "%s", domain);
    snprintf(name, sizeof(name), "_dmarc.%s", domain);
    check->found.address = SENDER_ABSENT; /* joined with what comes */
    ask(check, ASK_SOA, domain, DNS_SOA);
    ask(check, ASK_NS, domain, DNS_NS);
    ask(check, ASK_MX, domain, DNS_MX);
    ask(check, ASK_A, domain, DNS_A);
    ask(check, ASK_AAAA, domain, DNS_AAAA);
    ask(check, ASK_SPF, domain, DNS_TXT);
    ask(check, ASK_DMARC, name, DNS_TXT);
    ask_zones(check, config->bad_zones, false);
    ask_zones(check, config->young_zones, true);
    check->timer = loop_timer_start(check->loop, config->budget_ms, 0, on_end, check);
    return check;
}
