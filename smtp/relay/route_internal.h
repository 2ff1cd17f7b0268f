/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_ROUTE_INTERNAL_H
#define SMTP_RELAY_ROUTE_INTERNAL_H

#include "node/base/arena.h"
#include "node/base/list.h"
#include "node/base/map.h"
#include "smtp/relay/route.h"

/*
 * How routes are made inside; for the route*.c files only. A look-up asks DNS (route_lookup.c)
 * and writes what it hears into a draft (route_hosts.c); a draft is judged (route_judge.c),
 * which asks nobody, and the outcome is packed into one block (route_pack.c), which is kept
 * (route_cache.c) and shared.
 *
 * Invariants:
 * 1. An entry has a look-up that is under way, or a route, which then stands in `used` and is
 *    counted.
 * 2. A waiter is in the list of its look-up, or, with a route of its own, in `ready`.
 * 3. A question is in `waiting`, or has a ticket of DNS and is counted in `asked`.
 * 4. done() is called by the timer of `ready` alone.
 */
enum {
    ROUTE_FAMILIES = 2,
    ROUTE_FAMILY_ADDRESSES_MAX = ROUTE_HOST_ADDRESSES_MAX / ROUTE_FAMILIES,
    ROUTE_DOMAIN_SIZE = 260, /* what is longer than a name can be is cut, and no name either */
    ROUTE_LOOKUP_MS = 60 * 1000,
    ROUTE_QUERIES_MAX = 500,
};

/* A host that may become one of the route. */
struct route_candidate {
    const char *name;
    const char *expanded;
    uint16_t preference;
    bool literal;
    bool secure; /* one of the answers about its addresses was validated */
    bool own;    /* one of its addresses is ours */
    enum dns_result results[ROUTE_FAMILIES]; /* of A, AAAA */
    unsigned open;                           /* of these two */
    struct address addresses[ROUTE_HOST_ADDRESSES_MAX];
    unsigned counts[ROUTE_FAMILIES], address_count;
    const char *forbidden; /* what the guard said; NULL: nothing */
    struct address forbidden_address;
    enum route_tlsa tlsa;
    enum dns_result tlsa_result; /* with TLSA_TROUBLE */
    const char *tlsa_base;
    struct dns_record *tlsa_records;
    unsigned tlsa_count;
};

/* What DNS said about a domain, and the configuration. */
struct route_draft {
    struct arena *arena; /* all of it */
    const char *domain;
    const char *target;
    bool ruled;     /* a rule names the host, or whose MX are looked for */
    bool fixed;     /* a rule, without MX */
    bool malformed; /* a literal that is none */
    bool null_mx;
    bool cut; /* a host is ours by its name: it and what is not better was left out */
    bool secure;
    enum dns_result mx;
    const char *reason; /* of the last trouble, as DNS has it */
    uint16_t port;
    const char *provider;
    struct route_candidate *candidates; /* by preference */
    unsigned count;
    const char *notes; /* what was left out; "": nothing */
    uint32_t ttl_s;    /* the least of all answers */
    bool partial;      /* some answer is missing */
};

struct route_packed {
    struct route route;
    unsigned holders;
    size_t size;
};

struct route_entry {
    uint64_t hash;
    struct route_entry *same_hash;
    struct list used_node; /* of routes.used, the latest last */
    struct route_lookup *lookup;
    const struct route *route;
    uint64_t until_ms;
    char domain[];
};

struct route_waiter {
    struct list node;
    uint64_t ticket;
    const struct route *route;
    void (*done)(void *context, const struct route *route);
    void *context;
};

struct route_lookup {
    struct routes *routes;
    struct route_entry *entry;
    struct list node; /* of routes.lookups */
    struct list waiters;
    struct list questions;
    struct arena arena;
    struct route_draft draft;
    struct loop_timer *timer;
};

struct routes {
    struct arena arena; /* of the configuration */
    struct routes_config config;
    struct map entries; /* by hash */
    struct list used;
    struct list lookups;
    struct list waiting; /* questions */
    struct list ready;   /* waiters */
    struct map tickets;
    struct loop_timer *ready_timer;
    uint64_t last_ticket;
    uint64_t random;
    size_t kept_size;
    unsigned kept;
    unsigned asked;
};

/* The next of a sequence that begins with any number. */
static inline uint64_t route_random(uint64_t *state)
{
    uint64_t number = *state += 0x9e3779b97f4a7c15u;

    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    number = (number ^ number >> 27) * 0x94d049bb133111ebu;
    return number ^ number >> 31;
}

/* route_rule.c */
/* The rule for a domain in lower case; NULL: none, or one that says "as DNS says". */
const struct route_rule *route_rule_find(const struct routes_config *config,
                                         const char *domain);
/* "[192.0.2.1]", "[IPv6:2001:db8::1]" */
bool route_literal_parse(const char *literal, struct address *address);

/* route_hosts.c */
/* Hosts of an MX answer with records. */
void route_hosts_take(struct route_draft *draft, const struct routes_config *config,
                      const struct dns_answer *answer, uint64_t *random);
/* One host, in place of MX. */
void route_hosts_single(struct route_draft *draft, const struct routes_config *config,
                        const char *name);
/* `literal` was parsed. */
void route_hosts_literal(struct route_draft *draft, const struct routes_config *config,
                         const struct address *address);
void route_hosts_address(struct route_draft *draft, const struct routes_config *config,
                         struct route_candidate *candidate, const struct dns_answer *answer);
void route_hosts_tlsa(struct route_draft *draft, struct route_candidate *candidate,
                      const struct dns_answer *answer, const char *base);
__attribute__((format(printf, 2, 3))) void route_note(struct route_draft *draft,
                                                      const char *format, ...);

/* route_provider.c */
/* Of the names of all hosts, the first `best` of which have the best preference. */
void route_provider_find(const struct routes_config *config, const char *const *names,
                         unsigned count, unsigned best, char provider[ROUTE_PROVIDER_SIZE]);

/* route_judge.c */
/* In the draft's arena. */
void route_judge(struct route_draft *draft, struct route *route);
/* How long it may be kept. */
uint32_t route_judge_s(const struct route_draft *draft, enum route_kind kind);

/* route_pack.c */
/* A copy in one block, held once. */
const struct route *route_pack(const struct route *route);
size_t route_packed_size(const struct route *route);

/* route_cache.c */
/* In lower case, without the last dot. */
void route_domain_normal(const char *domain, char normal[ROUTE_DOMAIN_SIZE]);
/* Creates it when there is none. A route that is there may be used now. */
struct route_entry *route_entry_get(struct routes *routes, const char *domain);
/* Ends the look-up of the entry, which takes over `route`; what is used least goes. */
void route_entry_keep(struct routes *routes, struct route_entry *entry,
                      const struct route *route, uint32_t keep_s);
void route_entry_free(struct routes *routes, struct route_entry *entry);

/* route_lookup.c */
void route_lookup_start(struct routes *routes, struct route_entry *entry);
/* Behind the first waiter: asks; where there is nothing to ask, the look-up is over and gone.
 */
void route_lookup_go(struct route_lookup *lookup);
/* Its waiters must be gone. */
void route_lookup_free(struct route_lookup *lookup);

/* route.c */
/* The outcome for all who wait for the look-up; `route` is borrowed. */
void route_waiters_tell(struct routes *routes, struct list *waiters, const struct route *route);

#endif
