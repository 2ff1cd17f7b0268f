/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What is gathered about a client, from the moment it connects. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/mail/path.h"
#include "smtp/policy/internal.h"

/* Trials look by themselves, so that nothing is freed under whoever brings an answer. */
static void progress(struct policy_client *client)
{
    trials_look(client);
}

/* ---- the address's name ---- */

static void on_fcrdns(void *context, const struct dns_fcrdns *answer)
{
    struct policy_client *client = context;
    struct policy_facts *facts = &client->facts;

    client->fcrdns_ticket = 0;
    snprintf(facts->name, sizeof(facts->name), "%s",
             answer->count > 0 ? answer->names[0] : answer->claimed);
    if (answer->count > 0)
        facts->reverse = POLICY_REVERSE_CONFIRMED;
    else if (answer->trouble || dns_trouble(answer->result))
        facts->reverse = POLICY_REVERSE_UNKNOWN;
    else
        facts->reverse =
            facts->name[0] != '\0' ? POLICY_REVERSE_UNCONFIRMED : POLICY_REVERSE_NONE;
    progress(client);
}

/* ---- lists ---- */

static void on_listing(void *context, const struct dns_answer *answer)
{
    struct listing_look *look = context;
    struct policy_client *client = look->client;
    struct policy_listing *listing = &client->facts.listings[look->index];

    look->ticket = 0;
    look->answered = !dns_trouble(answer->result);
    for (unsigned i = 0; i < answer->count && listing->count < POLICY_LISTED_MAX; i++) {
        const uint8_t *at = answer->records[i].address.bytes + 12;
        if (zones_answer_dead(at)) {
            zones_doubt(client->policy->zones, ZONE_OF_ADDRESSES, bytes_of(listing->zone),
                        clock_monotonic_ms());
            continue;
        }
        memcpy(listing->answers[listing->count++], at, 4);
    }
    progress(client);
}

static void look_up_zone(struct policy_client *client, struct bytes zone)
{
    struct policy_facts *facts = &client->facts;
    char name[DNS_NAME_SIZE];

    if (policy_facts_listing(facts, zone) != NULL || zone.len >= POLICY_NAME_SIZE ||
        facts->listing_count == POLICY_LISTINGS_MAX)
        return;
    facts->listings =
        realloc(facts->listings, (facts->listing_count + 1) * sizeof(*facts->listings));
    struct listing_look *look = calloc(1, sizeof(*look));
    CHECK(facts->listings != NULL && look != NULL);
    struct policy_listing *listing = &facts->listings[facts->listing_count];
    memset(listing, 0, sizeof(*listing));
    for (size_t i = 0; i < zone.len; i++)
        listing->zone[i] = (char)byte_lower(zone.at[i]);
    *look = (struct listing_look){.client = client, .index = facts->listing_count};
    client->looks[facts->listing_count++] = look;
    if (dns_list_name(&facts->client, listing->zone, name))
        look->ticket = dns_query(client->policy->config.dns, name, DNS_A, on_listing, look);
}

static const struct {
    enum setting_id enabled;
    enum setting_id zones;
} lists[] = {
    {SETTING_JUDGE_DNSBL_ENABLED, SETTING_DNSBL_ZONES},
    {SETTING_JUDGE_DNSWL_ENABLED, SETTING_DNSWL_ZONES},
};

/* Calls for each zone that settings name; ends when it returns true. */
static bool each_zone(struct policy_client *client, const struct settings *settings,
                      bool (*call)(struct policy_client *client, struct bytes zone))
{
    struct settings_zone zone;

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        struct bytes list = setting_text(settings, lists[i].zones);
        while (setting_on(settings, lists[i].enabled) && settings_zone_next(&list, &zone))
            if (call(client, zone.name))
                return true;
    }
    return false;
}

static bool gather_zone(struct policy_client *client, struct bytes zone)
{
    if (zones_look(client->policy->zones, ZONE_OF_ADDRESSES, zone, clock_monotonic_ms()) !=
        ZONE_DEAD)
        look_up_zone(client, zone);
    return false;
}

static bool zone_is_open(struct policy_client *client, struct bytes zone)
{
    return zones_look(client->policy->zones, ZONE_OF_ADDRESSES, zone, clock_monotonic_ms()) ==
           ZONE_CHECKING;
}

/* ---- HELO ---- */

static void on_helo(struct policy_client *client, const struct dns_answer *answer)
{
    struct helo_look *helo = &client->helo;

    helo->trouble = helo->trouble || dns_trouble(answer->result);
    helo->found = helo->found || answer->count > 0;
    for (unsigned i = 0; i < answer->count; i++)
        if (address_equal(&answer->records[i].address, &client->facts.client))
            helo->fits = true;
    progress(client);
}

static void on_helo_a(void *context, const struct dns_answer *answer)
{
    struct policy_client *client = context;

    client->helo.tickets[0] = 0;
    on_helo(client, answer);
}

static void on_helo_aaaa(void *context, const struct dns_answer *answer)
{
    struct policy_client *client = context;

    client->helo.tickets[1] = 0;
    on_helo(client, answer);
}

static void helo_forget(struct policy_client *client)
{
    for (unsigned i = 0; i < 2 && client->policy->config.dns != NULL; i++)
        dns_cancel(client->policy->config.dns, client->helo.tickets[i]);
    memset(&client->helo, 0, sizeof(client->helo));
}

static void look_up_helo(struct policy_client *client, struct bytes name)
{
    struct helo_look *helo = &client->helo;
    struct dns *dns = client->policy->config.dns;

    if (bytes_equal(bytes_of(helo->name), name))
        return;
    helo_forget(client);
    if (name.len >= sizeof(helo->name) || !mail_domain_valid(name) ||
        bytes_find(name, '.') + 1 >= name.len)
        return;
    memcpy(helo->name, name.at, name.len);
    helo->tickets[0] = dns_query(dns, helo->name, DNS_A, on_helo_a, client);
    helo->tickets[1] = dns_query(dns, helo->name, DNS_AAAA, on_helo_aaaa, client);
}

static enum policy_helo_name helo_known(const struct policy_client *client, struct bytes helo)
{
    const struct helo_look *look = &client->helo;

    if (look->name[0] == '\0' || !bytes_equal(bytes_of(look->name), helo))
        return POLICY_HELO_UNKNOWN;
    if (look->fits)
        return POLICY_HELO_FITS;
    if (look->found)
        return POLICY_HELO_THERE;
    return look->trouble || look->tickets[0] != 0 || look->tickets[1] != 0
               ? POLICY_HELO_UNKNOWN
               : POLICY_HELO_MISSING;
}

/* ---- all of it ---- */

void client_gather(struct policy_client *client, const struct settings *settings,
                   struct bytes helo)
{
    struct policy *policy = client->policy;

    if (policy->config.dns == NULL)
        return;
    if (!client->reverse_asked && (setting_on(settings, SETTING_JUDGE_FCRDNS_ENABLED) ||
                                   setting_on(settings, SETTING_JUDGE_GENERIC_NAME_ENABLED))) {
        client->reverse_asked = true;
        client->fcrdns_ticket =
            dns_fcrdns(policy->config.dns, &client->facts.client, 0, on_fcrdns, client);
    }
    each_zone(client, settings, gather_zone);
    if (helo.len > 0 && setting_on(settings, SETTING_JUDGE_HELO_ENABLED))
        look_up_helo(client, helo);
}

bool client_is_gathering(const struct policy_client *client, const struct settings *settings)
{
    if (client->policy->config.dns == NULL)
        return false;
    if (client->fcrdns_ticket != 0 || client->helo.tickets[0] != 0 ||
        client->helo.tickets[1] != 0)
        return true;
    for (unsigned i = 0; i < client->facts.listing_count; i++)
        if (client->looks[i]->ticket != 0)
            return true;
    /* Looking at zones may begin their checks, it changes nothing of the client. */
    return each_zone((struct policy_client *)(uintptr_t)client, settings, zone_is_open);
}

void client_settle(struct policy_client *client, struct bytes helo)
{
    struct policy_facts *facts = &client->facts;
    uint64_t now_ms = clock_monotonic_ms();

    for (unsigned i = 0; i < facts->listing_count; i++)
        facts->listings[i].known =
            client->looks[i]->answered &&
            zones_look(client->policy->zones, ZONE_OF_ADDRESSES,
                       bytes_of(facts->listings[i].zone), now_ms) == ZONE_ALIVE;
    facts->helo = helo;
    facts->helo_name = helo_known(client, helo);
}

struct policy_client *policy_client_new(struct policy *policy, const struct address *address,
                                        uint64_t conn_id)
{
    const struct settings *settings = settings_cache_cluster(policy->settings);
    struct policy_client *client = calloc(1, sizeof(*client));
    uint64_t now_ms = clock_monotonic_ms();

    CHECK(client != NULL);
    arena_init(&client->mail_arena);
    client->policy = policy;
    client->next = policy->clients;
    client->self = &policy->clients;
    client->conn_id = conn_id;
    client->facts.client = *address;
    client->facts.unasked = policy->config.dns == NULL;
    client->facts.hostname = policy->config.hostname;
    client->facts.familiar = familiar_knows(policy->familiar, address, now_ms);
    client->exempt = policy_is_local(address) && !setting_on(settings, SETTING_POLICY_LOCAL);
    if (client->next != NULL)
        client->next->self = &client->next;
    policy->clients = client;
    if (!client->exempt) {
        if (policy->config.map != NULL)
            network_map_look_up(policy->config.map, address, &client->facts.network);
        client_gather(client, settings, bytes_from(NULL, 0));
    }
    client->began_ms = now_ms;
    return client;
}

bool client_refusal_shows(struct policy_client *client)
{
    return ++client->refusals <= POLICY_LINES_MAX;
}

static void log_further(const struct policy_client *client)
{
    char peer[ADDRESS_TEXT_SIZE];

    if (client->refusals <= POLICY_LINES_MAX)
        return;
    address_text(&client->facts.client, peer);
    log_info(NULL, "policy refuses further",
             LOG_FIELDS(LOG_U64("conn", client->conn_id), LOG_TEXT("peer", peer),
                        LOG_U64("count", client->refusals - POLICY_LINES_MAX)));
}

void policy_client_free(struct policy_client **client)
{
    struct policy_client *leaving = *client;

    if (leaving == NULL)
        return;
    *client = NULL;
    log_further(leaving);
    while (leaving->trials != NULL) {
        struct policy_trial *trial = leaving->trials;
        policy_cancel(&trial);
    }
    policy_from_cancel(&leaving->from);
    policy_client_mail(leaving);
    arena_fini(&leaving->mail_arena);
    loop_timer_stop(&leaving->greet_timer);
    helo_forget(leaving);
    if (leaving->fcrdns_ticket != 0)
        dns_cancel(leaving->policy->config.dns, leaving->fcrdns_ticket);
    for (unsigned i = 0; i < leaving->facts.listing_count; i++) {
        dns_cancel(leaving->policy->config.dns, leaving->looks[i]->ticket);
        free(leaving->looks[i]);
    }
    free(leaving->facts.listings);
    *leaving->self = leaving->next;
    if (leaving->next != NULL)
        leaving->next->self = leaving->self;
    free(leaving);
}

/* ---- the greeting ---- */

enum { GREET_LOOK_MS = 200 };

uint64_t policy_greet_wait_ms(const struct policy_times *times, uint64_t waited_ms,
                              bool gathering)
{
    if (waited_ms < times->greet_min_ms)
        return times->greet_min_ms - waited_ms;
    if (!gathering || waited_ms >= times->greet_max_ms)
        return 0;
    return times->greet_max_ms - waited_ms < GREET_LOOK_MS ? times->greet_max_ms - waited_ms
                                                           : GREET_LOOK_MS;
}

bool policy_client_is_familiar(const struct policy_client *client)
{
    return client->exempt || client->facts.familiar;
}

static uint64_t greet_wait(const struct policy_client *client)
{
    const struct policy *policy = client->policy;

    if (policy_client_is_familiar(client) || policy->config.dns == NULL)
        return 0;
    return policy_greet_wait_ms(
        policy->config.times, clock_monotonic_ms() - client->began_ms,
        client_is_gathering(client, settings_cache_cluster(policy->settings)));
}

static void on_greet(void *context)
{
    struct policy_client *client = context;
    uint64_t wait_ms = greet_wait(client);

    client->greet_timer = NULL;
    if (wait_ms > 0)
        client->greet_timer =
            loop_timer_start(client->policy->config.loop, wait_ms, 0, on_greet, client);
    else
        client->greet(client->greet_context);
}

bool policy_client_greet(struct policy_client *client, void (*greet)(void *context),
                         void *context)
{
    uint64_t wait_ms = greet_wait(client);

    if (wait_ms == 0)
        return true;
    client->greet = greet;
    client->greet_context = context;
    client->greet_timer =
        loop_timer_start(client->policy->config.loop, wait_ms, 0, on_greet, client);
    return false;
}
