/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Judges that look into lists: of DNS, and of networks. */
#include <stdio.h>

#include "smtp/policy/judges.h"
#include "storage/schema/net.h"

enum { HOSTILE_SCORE = 1000, ANONYMOUS_SCORE = 200 };

static bool is_listed(const struct policy_listing *listing, struct bytes codes)
{
    if (listing == NULL || !listing->known)
        return false;
    for (unsigned i = 0; i < listing->count; i++)
        if (settings_code_matches(codes, listing->answers[i]))
            return true;
    return false;
}

/* A zone may stand in a list several times, with other codes and weights. */
static void judge_zones(const struct policy_facts *facts, struct bytes list, int64_t weight,
                        struct policy_judgement *judgement)
{
    struct settings_zone zone;
    size_t used = 0;

    while (settings_zone_next(&list, &zone)) {
        if (!is_listed(policy_facts_listing(facts, zone.name), zone.codes))
            continue;
        judgement->score += policy_times(zone.weight, weight);
        int wrote = snprintf(judgement->words + used, sizeof(judgement->words) - used, "%s%.*s",
                             used > 0 ? " " : "listed by ",
                             (int)(zone.name.len < 100 ? zone.name.len : 100),
                             (const char *)zone.name.at);
        if (wrote > 0 && (size_t)wrote < sizeof(judgement->words) - used)
            used += (size_t)wrote;
    }
}

void policy_judge_dnsbl(const struct policy_facts *facts, const struct settings *settings,
                        int64_t weight, struct policy_judgement *judgement)
{
    judge_zones(facts, setting_text(settings, SETTING_DNSBL_ZONES), weight, judgement);
}

void policy_judge_dnswl(const struct policy_facts *facts, const struct settings *settings,
                        int64_t weight, struct policy_judgement *judgement)
{
    judge_zones(facts, setting_text(settings, SETTING_DNSWL_ZONES), weight, judgement);
}

static struct net net_of(const struct address *address)
{
    struct net net = {0};
    bool v4 = address_is_v4(address);

    net.kind = v4 ? NET_V4 : NET_V6;
    net.bits = v4 ? 32 : 128;
    memcpy(net.address, address->bytes + (v4 ? 12 : 0), v4 ? 4 : 16);
    return net;
}

/* The narrowest net that has the address; else its autonomous system. */
static bool find_network(const struct policy_facts *facts, struct bytes list,
                         struct settings_network *found)
{
    const struct net client = net_of(&facts->client);
    struct settings_network row;
    struct net net;
    int bits = -2;

    while (settings_network_next(&list, &row)) {
        if (!net_parse(row.net, &net))
            continue;
        if (net.kind == NET_AS) {
            if (bits == -2 && facts->network.asn != 0 && net.number == facts->network.asn) {
                *found = row;
                bits = -1;
            }
        } else if (net.kind == client.kind && net_covers(&net, &client) && net.bits > bits) {
            *found = row;
            bits = net.bits;
        }
    }
    return bits != -2;
}

void policy_judge_network(const struct policy_facts *facts, const struct settings *settings,
                          int64_t weight, struct policy_judgement *judgement)
{
    struct settings_network row;
    const char *map = "";

    if (facts->network.hostile) {
        judgement->score += policy_times(HOSTILE_SCORE, weight);
        map = ", hostile by the map";
    } else if (facts->network.anonymous) {
        judgement->score += policy_times(ANONYMOUS_SCORE, weight);
        map = ", hides its users";
    }
    if (find_network(facts, setting_text(settings, SETTING_NETWORK_LIST), &row)) {
        judgement->score += policy_times(row.weight, weight);
        snprintf(judgement->words, sizeof(judgement->words), "%.*s is in network.list%s",
                 BYTES_ARG(row.net), map);
    } else if (map[0] != '\0') {
        snprintf(judgement->words, sizeof(judgement->words), "AS%u%s", facts->network.asn, map);
    }
}
