/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_ROUTE_H
#define SMTP_RELAY_ROUTE_H

#include "node/runtime/dns.h"

/*
 * Where mail for a domain goes: its MX hosts with their addresses and TLSA records (RFC 5321
 * section 5, 7505, 7672), or why it goes nowhere. Asks DNS, keeps what it learns as long as the
 * records may be kept, and asks equal questions once. All calls are for the loop's thread.
 *
 * A route that is found does not change any more and is shared: what differs from attempt to
 * attempt, the order of addresses, is made by route_plan().
 */
struct routes;

enum {
    ROUTE_HOSTS_MAX = 20, /* whose addresses are asked for; the least preferred are not */
    ROUTE_HOST_ADDRESSES_MAX = 16, /* of one host; the rest is left out */
    ROUTE_TLSA_MAX = 16,           /* records of one host; the rest is left out */
    ROUTE_TLSA_SIZE_MAX = 16384,   /* of all data of one host; more: TROUBLE */
    ROUTE_TEXT_SIZE = 256,
    ROUTE_PROVIDER_SIZE = 128,
    ROUTE_PLAN_MAX = 16, /* addresses that may be tried in all */
    ROUTE_PLAN_DEFAULT = 5,
    ROUTE_PORT_DEFAULT = 25,
    ROUTE_GOOD_S_MIN = 30, /* how long a route is kept: as its records say, within these */
    ROUTE_GOOD_S_MAX = 60 * 60,
    ROUTE_BAD_S_MIN =
        60, /* any other kind; and a GOOD one of which a part could not be asked */
    ROUTE_BAD_S_MAX = 10 * 60,
    ROUTE_CACHE_ENTRIES = 10000,
    ROUTE_CACHE_SIZE = 64 * 1024 * 1024, /* bytes */
};

/*
 * NO_DOMAIN is for good at once: the negative answer is kept by resolvers for as long as its
 * zone says, so asking again after a minute would not be a second opinion, and whoever mistyped
 * a name wants to know now.
 */
enum route_kind {
    ROUTE_GOOD,
    ROUTE_NULL_MX,    /* 556 5.1.10: the domain takes no mail (RFC 7505) */
    ROUTE_NO_DOMAIN,  /* 550 5.1.2: NXDOMAIN */
    ROUTE_NO_ADDRESS, /* 550 5.4.4: neither MX nor address, or no MX host has one */
    ROUTE_TROUBLE,    /* 451 4.4.3: SERVFAIL or time-out, and nothing else is left to try */
    ROUTE_BOGUS,      /* 451 4.4.3: the same, since signatures do not fit */
    ROUTE_LOOP,       /* 550 5.4.6: the best host that is left is this one */
    ROUTE_FORBIDDEN,  /* 550 5.4.4: only addresses where no mail server of the internet is */
    ROUTE_KINDS,
};

/* Whether DANE (RFC 7672) applies to a host. */
enum route_tlsa {
    ROUTE_TLSA_INSECURE, /* DNSSEC does not cover it: nothing was asked, or the answer is worth
                            nothing */
    ROUTE_TLSA_NONE,     /* it is proven that there are none */
    ROUTE_TLSA_SECURE,   /* `tlsa`; TLS is a must, even when none of them is usable */
    ROUTE_TLSA_TROUBLE,  /* could not be asked: the host must not be used (section 2.1.2) */
};

struct route_host {
    const char *name;     /* as the MX record has it; a literal: "192.0.2.1", "2001:db8::1" */
    const char *expanded; /* where CNAMEs of it lead; else as `name` */
    uint16_t preference;
    uint16_t port;
    bool literal; /* an address: there is no name for a certificate */
    enum route_tlsa tlsa;
    const char *tlsa_base; /* SECURE: whose records they are, `expanded` or `name`; else "" */
    const struct dns_record *tlsa_records; /* .tlsa of each */
    unsigned tlsa_count;
    const struct address *addresses; /* that may be used; 0 of them: left out of plans */
    unsigned address_count;
};

struct route {
    enum route_kind kind;
    unsigned code;      /* of the reply that it stands for: 550; GOOD: 0 */
    const char *status; /* RFC 3463, "5.4.6"; GOOD: "" */
    const char *text;   /* one line for logs and DSNs; of GOOD: what was left out, or "" */
    bool permanent;     /* not GOOD: trying again is no use */
    const char *domain; /* in lower case */
    const char *target; /* where CNAMEs of the domain lead; else as `domain` */
    bool secure; /* the way to the hosts' names was validated, or is the operator's word */
    bool fixed;  /* by a rule of the configuration, without MX */
    const char *provider; /* who runs the hosts (provider roll-up); GOOD only, else "" */
    const struct route_host *hosts; /* by preference, then by name; GOOD only */
    unsigned host_count;
};

/* A rule in place of DNS. The narrowest pattern counts, the first of equal ones. */
struct route_rule {
    const char *pattern; /* "example.com", ".example.com" (all below it), "*" */
    const char *host; /* "mx.example", "[192.0.2.1]", "[IPv6:2001:db8::1]"; "": as DNS says */
    uint16_t port;    /* 0: as the configuration says */
    bool mx;          /* look for MX of `host`; else its addresses, without any guard */
};

/* Whose hosts have names that end in one of these. */
struct route_provider {
    const char *name;
    const char *suffixes; /* ".google.com .googlemail.com": of every MX host one */
};
extern const struct route_provider route_providers[];
extern const unsigned route_provider_count;

struct routes_config {
    struct loop *loop;
    struct dns *dns;              /* NULL: nobody is asked; what would have to be is TROUBLE */
    const char *const *own_names; /* this mail system's MX hosts: mail does not go back there */
    unsigned own_name_count;
    const struct address *own_addresses;
    unsigned own_address_count;
    const struct address_prefix
        *allowed; /* in spite of the guard: laboratories, inner relays */
    unsigned allowed_count;
    const struct route_rule *rules;
    unsigned rule_count;
    const struct route_provider *providers; /* NULL: the built-in ones */
    unsigned provider_count;
    uint16_t port;        /* 0: 25 */
    unsigned entries_max; /* of the cache; 0: ROUTE_CACHE_ENTRIES */
    unsigned queries_max; /* to DNS at the same time; others wait; 0: 500 */
    uint64_t seed;        /* random */
};

/* Everything is copied. */
struct routes *routes_new(const struct routes_config *config);
/* Before dns_free(), never inside done(). What is under way is forgotten; routes that are held
 * stay. */
void routes_free(struct routes **routes);

/*
 * `domain`: A-labels or an address literal, in any case. done() is called once, never inside
 * the call; with DNS in trouble after a minute at the latest. `route` lives as long as the
 * call, or as it is held. Returns a ticket.
 */
uint64_t route_find(struct routes *routes, const char *domain,
                    void (*done)(void *context, const struct route *route), void *context);
/* done() will not be called. For a ticket that is unknown, or over, nothing happens. */
void route_cancel(struct routes *routes, uint64_t ticket);

const struct route *route_hold(const struct route *route);
/* Sets NULL and accepts it. */
void route_release(const struct route **route);

/* "good", "null-mx": for logs. */
const char *route_kind_text(enum route_kind kind);

/* What one attempt wants. Zeroed but for the seed is a good choice. */
struct route_wish {
    uint64_t seed; /* random: the order of hosts of one preference, of addresses of one host */
    bool without_v4; /* the source address is of the other family */
    bool without_v6;
    bool v4_first;          /* else IPv6 */
    unsigned addresses_max; /* 0: ROUTE_PLAN_DEFAULT; up to ROUTE_PLAN_MAX */
    uint32_t without_hosts; /* bits, by index in route.hosts: not to be used (MTA-STS) */
};

struct route_plan {
    struct route_step {
        struct address address;
        uint16_t port;
        unsigned host; /* index in route.hosts */
    } steps[ROUTE_PLAN_MAX];
    unsigned count; /* 0: nothing is left of the route for this wish */
};

/*
 * Hosts by preference, in any order where it is equal; of each its addresses, the families in
 * turns. One address of each family is among them where there is one. Hosts with TLSA_TROUBLE
 * are left out, and no address comes twice.
 */
void route_plan(const struct route *route, const struct route_wish *wish,
                struct route_plan *plan);

#endif
