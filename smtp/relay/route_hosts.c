/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From answers of DNS to hosts. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/route_guard.h"
#include "smtp/relay/route_internal.h"

enum { LABEL_MAX = 63, NAME_MAX_LEN = 253 };

void route_note(struct route_draft *draft, const char *format, ...)
{
    char text[ROUTE_TEXT_SIZE];
    va_list arguments;

    if (strlen(draft->notes) >= ROUTE_TEXT_SIZE)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    draft->notes = arena_printf(draft->arena, "%s%s%s", draft->notes,
                                draft->notes[0] != '\0' ? "; " : "", text);
}

static void take_ttl(struct route_draft *draft, const struct dns_answer *answer)
{
    if (dns_trouble(answer->result)) {
        draft->partial = true;
        draft->reason =
            arena_string(draft->arena,
                         bytes_of(answer->reason[0] != '\0' ? answer->reason
                                                            : dns_result_text(answer->result)));
    } else if (answer->ttl_s < draft->ttl_s) {
        draft->ttl_s = answer->ttl_s;
    }
}

/* ---- names ---- */

/* Letters, digits and hyphens, and the underscores that some use; the last label is no number,
 * so that no address looks like a name. */
static bool is_host_name(const char *name)
{
    size_t label = 0, len = strlen(name);
    bool numeric = true;

    if (len == 0 || len > NAME_MAX_LEN)
        return false;
    for (size_t i = 0; i < len; i++) {
        char byte = (char)byte_lower((uint8_t)name[i]);
        bool digit = byte >= '0' && byte <= '9';
        if (byte == '.') {
            if (label == 0)
                return false;
            label = 0;
            numeric = true;
            continue;
        }
        if (!digit && !(byte >= 'a' && byte <= 'z') && byte != '_' &&
            (byte != '-' || label == 0))
            return false;
        numeric = numeric && digit;
        if (++label > LABEL_MAX)
            return false;
    }
    return label > 0 && !numeric;
}

static bool is_own_name(const struct routes_config *config, const char *name)
{
    for (unsigned i = 0; i < config->own_name_count; i++)
        if (bytes_equal_nocase(bytes_of(config->own_names[i]), bytes_of(name)))
            return true;
    return false;
}

static void candidate_init(struct route_draft *draft, struct route_candidate *candidate,
                           const char *name, uint16_t preference)
{
    *candidate = (struct route_candidate){
        .name = arena_string(draft->arena, bytes_of(name)),
        .preference = preference,
        .tlsa = ROUTE_TLSA_INSECURE,
        .tlsa_base = "",
    };
    candidate->expanded = candidate->name;
}

/* ---- MX ---- */

/* Good names of an answer that is ordered by preference, each once. */
static unsigned select_hosts(struct route_draft *draft, const struct dns_answer *answer,
                             const struct dns_record **hosts)
{
    unsigned count = 0, same;

    for (unsigned i = 0; i < answer->count; i++) {
        const char *name = answer->records[i].mx.host;
        if (!is_host_name(name)) {
            route_note(draft, "MX \"%s\" is no host name", name);
            continue;
        }
        for (same = 0; same < count; same++)
            if (strcmp(hosts[same]->mx.host, name) == 0)
                break;
        if (same == count)
            hosts[count++] = &answer->records[i];
    }
    return count;
}

/* Hosts of one preference in any order, so that with more of them than are looked at it is not
 * always the same ones that are. */
static void shuffle(const struct dns_record **hosts, unsigned count, uint64_t *random)
{
    for (unsigned first = 0, end; first < count; first = end) {
        for (end = first;
             end < count && hosts[end]->mx.preference == hosts[first]->mx.preference;)
            end++;
        for (unsigned left = end - first; left > 1; left--) {
            unsigned pick = first + (unsigned)(route_random(random) % left);
            const struct dns_record *picked = hosts[pick];
            hosts[pick] = hosts[first + left - 1];
            hosts[first + left - 1] = picked;
        }
    }
}

static void find_provider(struct route_draft *draft, const struct routes_config *config,
                          const struct dns_record *const *hosts, unsigned count)
{
    const char **names = arena_alloc(draft->arena, count * sizeof(*names));
    char provider[ROUTE_PROVIDER_SIZE];
    unsigned best = 0;

    for (unsigned i = 0; i < count; i++) {
        names[i] = hosts[i]->mx.host;
        best += hosts[i]->mx.preference == hosts[0]->mx.preference;
    }
    route_provider_find(config, names, count, best, provider);
    draft->provider = arena_string(draft->arena, bytes_of(provider));
}

/* RFC 5321 section 5.1: a host that is ours leaves the list, and with it all that is not
 * better. How many are better. */
static unsigned cut_own(struct route_draft *draft, const struct routes_config *config,
                        const struct dns_record *const *hosts, unsigned count)
{
    unsigned own = 0, better = 0;

    while (own < count && !is_own_name(config, hosts[own]->mx.host))
        own++;
    if (own == count)
        return count;
    draft->cut = true;
    while (hosts[better]->mx.preference < hosts[own]->mx.preference)
        better++;
    route_note(draft, "%s is this host", hosts[own]->mx.host);
    return better;
}

static int by_preference_and_name(const void *a, const void *b)
{
    const struct route_candidate *left = a, *right = b;

    if (left->preference != right->preference)
        return left->preference < right->preference ? -1 : 1;
    return strcmp(left->name, right->name);
}

/* Domains with the same hosts have them in the same order. */
static void take_candidates(struct route_draft *draft, const struct dns_record *const *hosts,
                            unsigned count)
{
    draft->count = count < ROUTE_HOSTS_MAX ? count : ROUTE_HOSTS_MAX;
    draft->candidates = arena_alloc(draft->arena, draft->count * sizeof(*draft->candidates));
    for (unsigned i = 0; i < draft->count; i++)
        candidate_init(draft, &draft->candidates[i], hosts[i]->mx.host,
                       hosts[i]->mx.preference);
    qsort(draft->candidates, draft->count, sizeof(*draft->candidates), by_preference_and_name);
    if (count > draft->count)
        route_note(draft, "%u more MX hosts", count - draft->count);
}

void route_hosts_take(struct route_draft *draft, const struct routes_config *config,
                      const struct dns_answer *answer, uint64_t *random)
{
    take_ttl(draft, answer);
    draft->mx = answer->result;
    draft->secure = answer->secure;
    draft->target = arena_string(draft->arena, bytes_of(answer->target));
    if (answer->result != DNS_OK)
        return;
    CHECK(answer->count <= DNS_RECORDS_MAX);
    draft->null_mx = answer->count == 1 && answer->records[0].mx.host[0] == '\0';
    if (draft->null_mx)
        return;
    const struct dns_record **hosts = arena_alloc(draft->arena, answer->count * sizeof(*hosts));
    unsigned count = select_hosts(draft, answer, hosts);
    find_provider(draft, config, hosts, count);
    count = cut_own(draft, config, hosts, count);
    shuffle(hosts, count, random);
    take_candidates(draft, hosts, count);
}

void route_hosts_single(struct route_draft *draft, const struct routes_config *config,
                        const char *name)
{
    struct dns_record record = {.mx = {.host = name}};
    const struct dns_record *host = &record;

    draft->cut = !draft->fixed && is_own_name(config, name);
    draft->count = draft->cut ? 0 : 1;
    draft->candidates = arena_alloc(draft->arena, sizeof(*draft->candidates));
    candidate_init(draft, draft->candidates, name, 0);
    find_provider(draft, config, &host, 1);
}

/* ---- addresses ---- */

static bool is_own_address(const struct routes_config *config, const struct address *address)
{
    for (unsigned i = 0; i < config->own_address_count; i++)
        if (address_equal(&config->own_addresses[i], address))
            return true;
    return false;
}

static bool is_allowed(const struct routes_config *config, const struct address *address)
{
    for (unsigned i = 0; i < config->allowed_count; i++)
        if (address_in(address, &config->allowed[i]))
            return true;
    return false;
}

static void take_address(const struct route_draft *draft, const struct routes_config *config,
                         struct route_candidate *candidate, unsigned family,
                         const struct address *address)
{
    /* Where the operator sends mail by a rule, nobody else has to say that it may go. */
    const char *forbidden =
        draft->fixed || is_allowed(config, address) ? NULL : route_guard(address);

    if (!draft->fixed && is_own_address(config, address)) {
        candidate->own = true;
    } else if (forbidden != NULL) {
        candidate->forbidden = forbidden;
        candidate->forbidden_address = *address;
    } else if (candidate->counts[family] < ROUTE_FAMILY_ADDRESSES_MAX) {
        candidate->counts[family]++;
        candidate->addresses[candidate->address_count++] = *address;
    }
}

void route_hosts_address(struct route_draft *draft, const struct routes_config *config,
                         struct route_candidate *candidate, const struct dns_answer *answer)
{
    unsigned family = answer->type == DNS_AAAA;

    take_ttl(draft, answer);
    candidate->results[family] = answer->result;
    candidate->secure = candidate->secure || answer->secure;
    if (strcmp(candidate->expanded, candidate->name) == 0)
        candidate->expanded = arena_string(draft->arena, bytes_of(answer->target));
    for (unsigned i = 0; i < answer->count; i++)
        take_address(draft, config, candidate, family, &answer->records[i].address);
}

void route_hosts_literal(struct route_draft *draft, const struct routes_config *config,
                         const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];

    address_text(address, text);
    draft->count = 1;
    draft->candidates = arena_alloc(draft->arena, sizeof(*draft->candidates));
    candidate_init(draft, draft->candidates, text, 0);
    draft->candidates[0].literal = true;
    draft->provider = arena_printf(draft->arena, "[%s]", text);
    take_address(draft, config, draft->candidates, !address_is_v4(address), address);
}

/* ---- TLSA ---- */

void route_hosts_tlsa(struct route_draft *draft, struct route_candidate *candidate,
                      const struct dns_answer *answer, const char *base)
{
    size_t size = 0;

    take_ttl(draft, answer);
    if (dns_trouble(answer->result)) {
        candidate->tlsa = ROUTE_TLSA_TROUBLE;
        candidate->tlsa_result = answer->result;
        return;
    }
    /* What an unsigned zone says of keys proves nothing (RFC 7672 section 2.2). */
    if (!answer->secure)
        return;
    candidate->tlsa = answer->count > 0 ? ROUTE_TLSA_SECURE : ROUTE_TLSA_NONE;
    if (answer->count == 0)
        return;
    candidate->tlsa_base = base;
    candidate->tlsa_records =
        arena_alloc(draft->arena, ROUTE_TLSA_MAX * sizeof(*candidate->tlsa_records));
    for (unsigned i = 0; i < answer->count && i < ROUTE_TLSA_MAX; i++) {
        struct dns_record record = answer->records[i];
        size += record.tlsa.data.len;
        if (size > ROUTE_TLSA_SIZE_MAX) {
            candidate->tlsa = ROUTE_TLSA_TROUBLE;
            candidate->tlsa_result = DNS_SERVFAIL;
            draft->partial = true;
            draft->reason = "TLSA records are too large";
            return;
        }
        record.tlsa.data = arena_copy(draft->arena, record.tlsa.data);
        candidate->tlsa_records[candidate->tlsa_count++] = record;
    }
}
