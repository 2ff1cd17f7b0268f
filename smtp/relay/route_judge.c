/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a draft amounts to. */
#include "node/base/check.h"
#include "smtp/relay/route_internal.h"

static const struct {
    const char *name;
    unsigned code;
    const char *status;
} kinds[ROUTE_KINDS] = {
    [ROUTE_GOOD] = {"good", 0, ""},
    [ROUTE_NULL_MX] = {"null-mx", 556, "5.1.10"},
    [ROUTE_NO_DOMAIN] = {"no-domain", 550, "5.1.2"},
    [ROUTE_NO_ADDRESS] = {"no-address", 550, "5.4.4"},
    [ROUTE_TROUBLE] = {"trouble", 451, "4.4.3"},
    [ROUTE_BOGUS] = {"bogus", 451, "4.4.3"},
    [ROUTE_LOOP] = {"loop", 550, "5.4.6"},
    [ROUTE_FORBIDDEN] = {"forbidden", 550, "5.4.4"},
};

const char *route_kind_text(enum route_kind kind)
{
    CHECK((unsigned)kind < ROUTE_KINDS);
    return kinds[kind].name;
}

/* ---- hosts ---- */

/* Hosts with one of our addresses go, and with them all that is not better (RFC 5321 section
 * 5.1); the candidates are by preference. */
static void cut_own(struct route_draft *draft)
{
    for (unsigned i = 0; i < draft->count; i++) {
        if (!draft->candidates[i].own)
            continue;
        draft->cut = true;
        route_note(draft, "%s is this host", draft->candidates[i].name);
        while (i > 0 && draft->candidates[i - 1].preference == draft->candidates[i].preference)
            i--;
        draft->count = i;
    }
}

static bool is_usable(const struct route_candidate *candidate)
{
    return candidate->address_count > 0 && candidate->tlsa != ROUTE_TLSA_TROUBLE;
}

static enum dns_result trouble_of(const struct route_candidate *candidate)
{
    if (candidate->tlsa == ROUTE_TLSA_TROUBLE)
        return candidate->tlsa_result;
    return dns_trouble(candidate->results[0]) ? candidate->results[0] : candidate->results[1];
}

static void note_unusable(struct route_draft *draft, const struct route_candidate *candidate)
{
    char text[ADDRESS_TEXT_SIZE];
    enum dns_result trouble = trouble_of(candidate);

    if (candidate->tlsa == ROUTE_TLSA_TROUBLE) {
        route_note(draft, "TLSA records of %s could not be looked up (%s)", candidate->name,
                   dns_result_text(trouble));
    } else if (dns_trouble(trouble)) {
        route_note(draft, "addresses of %s could not be looked up (%s)", candidate->name,
                   dns_result_text(trouble));
    } else if (candidate->forbidden != NULL) {
        address_text(&candidate->forbidden_address, text);
        route_note(draft, "%s is at %s (%s)", candidate->name, text, candidate->forbidden);
    } else {
        route_note(draft, "%s has no address", candidate->name);
    }
}

static unsigned take_hosts(struct route_draft *draft, struct route *route)
{
    struct route_host *hosts = arena_alloc(draft->arena, draft->count * sizeof(*hosts));
    unsigned count = 0;

    for (unsigned i = 0; i < draft->count; i++) {
        const struct route_candidate *candidate = &draft->candidates[i];
        if (!is_usable(candidate))
            note_unusable(draft, candidate);
        count += is_usable(candidate);
        hosts[i] = (struct route_host){.name = candidate->name,
                                       .expanded = candidate->expanded,
                                       .preference = candidate->preference,
                                       .port = draft->port,
                                       .literal = candidate->literal,
                                       .tlsa = candidate->tlsa,
                                       .tlsa_base = candidate->tlsa_base,
                                       .tlsa_records = candidate->tlsa_records,
                                       .tlsa_count = candidate->tlsa_count,
                                       .addresses = candidate->addresses,
                                       .address_count = candidate->address_count};
    }
    route->hosts = hosts;
    route->host_count = draft->count;
    return count;
}

/* ---- kinds ---- */

/* Nothing can be used: trouble comes before all that would be for good. */
static enum route_kind kind_of_none(const struct route_draft *draft)
{
    bool bogus = false, trouble = false, forbidden = false;

    for (unsigned i = 0; i < draft->count; i++) {
        const struct route_candidate *candidate = &draft->candidates[i];
        enum dns_result result = trouble_of(candidate);
        bogus = bogus || result == DNS_BOGUS;
        trouble = trouble || (dns_trouble(result) && result != DNS_BOGUS);
        forbidden = forbidden || candidate->forbidden != NULL;
    }
    if (trouble)
        return ROUTE_TROUBLE;
    if (bogus)
        return ROUTE_BOGUS;
    if (draft->cut)
        return ROUTE_LOOP;
    return forbidden ? ROUTE_FORBIDDEN : ROUTE_NO_ADDRESS;
}

static enum route_kind kind_of(const struct route_draft *draft, unsigned usable)
{
    if (draft->malformed || draft->mx == DNS_NXDOMAIN)
        return ROUTE_NO_DOMAIN;
    if (draft->null_mx)
        return ROUTE_NULL_MX;
    if (dns_trouble(draft->mx))
        return draft->mx == DNS_BOGUS ? ROUTE_BOGUS : ROUTE_TROUBLE;
    return usable > 0 ? ROUTE_GOOD : kind_of_none(draft);
}

static const char *words(const struct route_draft *draft, enum route_kind kind)
{
    switch (kind) {
    case ROUTE_NULL_MX:
        return "The domain does not accept mail (null MX)";
    case ROUTE_NO_DOMAIN:
        return draft->malformed ? "No address between the brackets"
                                : "The domain does not exist";
    case ROUTE_NO_ADDRESS:
        return draft->mx == DNS_NODATA ? "The domain has neither MX hosts nor an address"
                                       : "No mail server of the domain has an address";
    case ROUTE_TROUBLE:
        return "The mail servers of the domain could not be looked up";
    case ROUTE_BOGUS:
        return "Answers of DNS about the domain do not stand the test of DNSSEC";
    case ROUTE_LOOP:
        return "Mail for the domain would come back to this host";
    case ROUTE_FORBIDDEN:
        return "The mail servers of the domain are at addresses that mail is not sent to";
    default:
        return "";
    }
}

/* One line, all of it printable ASCII: names and reasons come from strangers. */
static const char *make_text(struct route_draft *draft, enum route_kind kind)
{
    const char *notes = draft->notes;

    if (notes[0] == '\0' && (kind == ROUTE_TROUBLE || kind == ROUTE_BOGUS))
        notes = draft->reason;
    char *text = arena_printf(draft->arena, "%s%s%s", words(draft, kind),
                              kind != ROUTE_GOOD && notes[0] != '\0' ? ": " : "", notes);
    for (char *at = text; *at != '\0'; at++)
        if (*at < ' ' || *at > '~')
            *at = '?';
    if (strlen(text) >= ROUTE_TEXT_SIZE)
        text[ROUTE_TEXT_SIZE - 1] = '\0';
    return text;
}

/*
 * Where a rule says the way, what fails is more likely the rule than the recipient: mail waits
 * for the operator.
 */
static void defer(const struct route_draft *draft, struct route *route)
{
    route->code = 451;
    route->status = arena_printf(draft->arena, "4%s", route->status + 1);
    route->permanent = false;
}

void route_judge(struct route_draft *draft, struct route *route)
{
    *route = (struct route){.domain = draft->domain, .target = draft->target, .provider = ""};
    cut_own(draft);
    unsigned usable = take_hosts(draft, route);
    route->kind = kind_of(draft, usable);
    route->code = kinds[route->kind].code;
    route->status = kinds[route->kind].status;
    route->text = make_text(draft, route->kind);
    if (route->kind == ROUTE_GOOD) {
        route->secure = draft->secure;
        route->fixed = draft->fixed;
        route->provider = draft->provider;
        return;
    }
    route->hosts = NULL;
    route->host_count = 0;
    route->permanent = route->status[0] == '5';
    if (draft->ruled && route->permanent)
        defer(draft, route);
}

uint32_t route_judge_s(const struct route_draft *draft, enum route_kind kind)
{
    bool good = kind == ROUTE_GOOD;
    uint32_t least = good ? ROUTE_GOOD_S_MIN : ROUTE_BAD_S_MIN;
    uint32_t most = good ? ROUTE_GOOD_S_MAX : ROUTE_BAD_S_MAX;

    if (draft->partial)
        return ROUTE_BAD_S_MIN;
    return draft->ttl_s < least ? least : draft->ttl_s > most ? most : draft->ttl_s;
}
