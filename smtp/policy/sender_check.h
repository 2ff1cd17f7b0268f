/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_SENDER_CHECK_H
#define SMTP_POLICY_SENDER_CHECK_H

#include "address.pb-c.h"
#include "node/base/arena.h"
#include "node/runtime/dns.h"
#include "smtp/policy/zones.h"

/*
 * What DNS says about a domain that mail comes from and that nobody here knows: does it exist,
 * can it take mail, does it say who sends for it, and is it in lists of bad or young domains?
 */
enum { SENDER_LISTED_MAX = 8 /* zones that list it; more are left out */ };

enum sender_seen { SENDER_NOT_KNOWN, SENDER_ABSENT, SENDER_PRESENT };

struct sender_listed {
    bool young; /* of newdomain.age_zones */
    char zone[POLICY_NAME_SIZE];
    uint8_t answer[4];
};

struct sender_found {
    enum sender_seen soa;
    enum sender_seen ns;
    enum sender_seen mx;
    bool null_mx;                /* RFC 7505 */
    enum sender_seen address;    /* A or AAAA of the domain itself */
    enum sender_seen mx_address; /* of one of the first MX hosts */
    enum sender_seen spf;
    enum sender_seen dmarc;
    struct sender_listed listed[SENDER_LISTED_MAX];
    unsigned listed_count;
};

/*
 * What is wrong with it, in `arena`; what is not known speaks against nobody. False: nothing
 * is, but too little is known to call it good, since the resolver had trouble.
 */
bool sender_findings(const struct sender_found *found, struct arena *arena,
                     Pr__SenderFinding ***findings, size_t *count);

struct sender_check;

struct sender_check_config {
    struct loop *loop;
    struct dns *dns;
    struct zones *zones;
    struct bytes bad_zones;   /* as newdomain.zones; is copied */
    struct bytes young_zones; /* as newdomain.age_zones */
    uint64_t budget_ms;
};

/* `domain` in A-labels. done() comes once, never inside the call, after budget_ms at the
 * latest; the check is freed behind it. */
struct sender_check *
sender_check_start(const struct sender_check_config *config, const char *domain,
                   void (*done)(void *context, const struct sender_found *found),
                   void *context);
/* done() does not come. */
void sender_check_cancel(struct sender_check **check);

#endif
