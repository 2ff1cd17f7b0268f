/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One look-up: MX, then addresses of all hosts at once, then TLSA of those that are signed. */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/relay/route_internal.h"

struct question {
    struct list node;      /* of lookup.questions */
    struct list wait_node; /* of routes.waiting, until it is asked */
    struct route_lookup *lookup;
    struct route_candidate *candidate; /* NULL: of the domain */
    const char *base;                  /* of TLSA */
    const char *name;
    enum dns_type type;
    uint64_t ticket; /* 0: not asked yet */
};

static void on_answer(void *context, const struct dns_answer *answer);

/* Only so many at a time: DNS refuses what is over its own limit. */
static void pump(struct routes *routes)
{
    while (routes->asked < routes->config.queries_max) {
        struct list *node = list_take(&routes->waiting);
        if (node == NULL)
            return;
        struct question *question = LIST_ENTRY(node, struct question, wait_node);
        routes->asked++;
        question->ticket =
            dns_query(routes->config.dns, question->name, question->type, on_answer, question);
    }
}

static void ask(struct route_lookup *lookup, struct route_candidate *candidate,
                const char *name, enum dns_type type, const char *base)
{
    struct question *question = arena_alloc(&lookup->arena, sizeof(*question));

    *question = (struct question){
        .lookup = lookup, .candidate = candidate, .base = base, .name = name, .type = type};
    list_init(&question->node);
    list_init(&question->wait_node);
    list_append(&lookup->questions, &question->node);
    list_append(&lookup->routes->waiting, &question->wait_node);
}

/* Out of all lists; DNS does not answer it any more. */
static void take_back(struct question *question)
{
    struct routes *routes = question->lookup->routes;

    if (question->ticket != 0) {
        dns_cancel(routes->config.dns, question->ticket);
        routes->asked--;
    }
    list_remove(&question->wait_node);
    list_remove(&question->node);
}

/* ---- what follows from answers ---- */

static void ask_addresses(struct route_lookup *lookup)
{
    struct route_draft *draft = &lookup->draft;

    for (unsigned i = 0; i < draft->count; i++) {
        struct route_candidate *candidate = &draft->candidates[i];
        candidate->open = ROUTE_FAMILIES;
        ask(lookup, candidate, candidate->name, DNS_A, NULL);
        ask(lookup, candidate, candidate->name, DNS_AAAA, NULL);
    }
}

static void take_mx(struct route_lookup *lookup, const struct dns_answer *answer)
{
    struct route_draft *draft = &lookup->draft;
    struct routes *routes = lookup->routes;

    route_hosts_take(draft, &routes->config, answer, &routes->random);
    /* The domain is its own host only where it is known to have no MX (RFC 5321 section 5.1).
     */
    if (answer->result == DNS_NODATA)
        route_hosts_single(draft, &routes->config, answer->name);
    ask_addresses(lookup);
}

static void ask_tlsa(struct route_lookup *lookup, struct route_candidate *candidate,
                     const char *base)
{
    const char *name =
        arena_printf(&lookup->arena, "_%u._tcp.%s", (unsigned)lookup->draft.port, base);

    ask(lookup, candidate, name, DNS_TLSA, base);
}

/*
 * Only where the way to the addresses is signed: elsewhere TLSA would prove nothing, and
 * servers of unsigned zones are known to fail on such questions (RFC 7672 section 2.2.2). One
 * of both families is enough: both are in the same zone, and keys do not depend on addresses.
 */
static void take_address(struct route_lookup *lookup, struct route_candidate *candidate,
                         const struct dns_answer *answer)
{
    struct route_draft *draft = &lookup->draft;

    route_hosts_address(draft, &lookup->routes->config, candidate, answer);
    if (--candidate->open == 0 && draft->secure && candidate->secure && !candidate->own &&
        candidate->address_count > 0)
        ask_tlsa(lookup, candidate, candidate->expanded);
}

/* The name that CNAMEs lead to comes first, then the one of the MX record. */
static void take_tlsa(struct route_lookup *lookup, struct route_candidate *candidate,
                      const struct dns_answer *answer, const char *base)
{
    route_hosts_tlsa(&lookup->draft, candidate, answer, base);
    if ((candidate->tlsa == ROUTE_TLSA_NONE || candidate->tlsa == ROUTE_TLSA_INSECURE) &&
        strcmp(base, candidate->name) != 0)
        ask_tlsa(lookup, candidate, candidate->name);
}

static void take(struct question *question, const struct dns_answer *answer)
{
    struct route_lookup *lookup = question->lookup;

    if (question->candidate == NULL)
        take_mx(lookup, answer);
    else if (question->type == DNS_TLSA)
        take_tlsa(lookup, question->candidate, answer, question->base);
    else
        take_address(lookup, question->candidate, answer);
}

/* ---- the end ---- */

/* The look-up is gone after it. */
static void finish(struct route_lookup *lookup)
{
    struct routes *routes = lookup->routes;
    struct route_entry *entry = lookup->entry;
    struct route judged;

    route_judge(&lookup->draft, &judged);
    uint32_t keep_s = route_judge_s(&lookup->draft, judged.kind);
    const struct route *route = route_pack(&judged);
    route_waiters_tell(routes, &lookup->waiters, route);
    route_lookup_free(lookup);
    route_entry_keep(routes, entry, route, keep_s);
}

static void on_answer(void *context, const struct dns_answer *answer)
{
    struct question *question = context;
    struct route_lookup *lookup = question->lookup;
    struct routes *routes = lookup->routes;

    question->ticket = 0;
    routes->asked--;
    list_remove(&question->node);
    take(question, answer);
    if (list_is_empty(&lookup->questions))
        finish(lookup);
    pump(routes);
}

/* All that is asked, and would follow from it, is not answered any more. */
static void give_up(struct route_lookup *lookup, enum dns_result result, const char *reason)
{
    struct list *node;

    while ((node = list_first(&lookup->questions)) != NULL) {
        struct question *question = LIST_ENTRY(node, struct question, node);
        const struct dns_answer answer = {.type = question->type,
                                          .result = result,
                                          .name = question->name,
                                          .target = question->name,
                                          .reason = reason};
        take_back(question);
        take(question, &answer);
    }
}

/* What has not been answered by now was not in time; what would follow from it neither. */
static void on_deadline(void *context)
{
    struct route_lookup *lookup = context;
    struct routes *routes = lookup->routes;

    lookup->timer = NULL; /* it fires once */
    give_up(lookup, DNS_TIMEOUT, "no answer in time");
    finish(lookup);
    pump(routes);
}

/* ---- the beginning ---- */

static void begin_literal(struct route_lookup *lookup, const char *literal)
{
    struct address address;

    if (route_literal_parse(literal, &address))
        route_hosts_literal(&lookup->draft, &lookup->routes->config, &address);
    else
        lookup->draft.malformed = true;
}

static void begin(struct route_lookup *lookup)
{
    struct routes *routes = lookup->routes;
    struct route_draft *draft = &lookup->draft;
    const struct route_rule *rule = route_rule_find(&routes->config, draft->domain);
    const char *name = rule != NULL ? rule->host : draft->domain;

    draft->ruled = rule != NULL;
    draft->fixed = rule != NULL && !rule->mx;
    draft->port = rule != NULL && rule->port != 0 ? rule->port : routes->config.port;
    if (name[0] == '[') {
        begin_literal(lookup, name);
    } else if (draft->fixed) {
        draft->secure = true;
        route_hosts_single(draft, &routes->config, name);
        ask_addresses(lookup);
    } else {
        ask(lookup, NULL, name, DNS_MX, NULL);
    }
}

void route_lookup_start(struct routes *routes, struct route_entry *entry)
{
    struct route_lookup *lookup = calloc(1, sizeof(*lookup));

    CHECK(lookup != NULL);
    lookup->routes = routes;
    lookup->entry = entry;
    entry->lookup = lookup;
    arena_init(&lookup->arena);
    list_init(&lookup->waiters);
    list_init(&lookup->questions);
    list_init(&lookup->node);
    list_append(&routes->lookups, &lookup->node);
    lookup->draft = (struct route_draft){.arena = &lookup->arena,
                                         .domain = entry->domain,
                                         .target = entry->domain,
                                         .mx = DNS_OK,
                                         .reason = "",
                                         .provider = "",
                                         .notes = "",
                                         .ttl_s = UINT32_MAX};
    lookup->timer =
        loop_timer_start(routes->config.loop, ROUTE_LOOKUP_MS, 0, on_deadline, lookup);
    begin(lookup);
}

void route_lookup_go(struct route_lookup *lookup)
{
    struct routes *routes = lookup->routes;

    if (routes->config.dns == NULL)
        give_up(lookup, DNS_SERVFAIL, "no name server is asked here (dns.enabled)");
    if (list_is_empty(&lookup->questions))
        finish(lookup);
    pump(routes);
}

void route_lookup_free(struct route_lookup *lookup)
{
    struct list *node;

    while ((node = list_first(&lookup->questions)) != NULL)
        take_back(LIST_ENTRY(node, struct question, node));
    CHECK(list_is_empty(&lookup->waiters));
    list_remove(&lookup->node);
    lookup->entry->lookup = NULL;
    loop_timer_stop(&lookup->timer);
    arena_fini(&lookup->arena);
    free(lookup);
}
