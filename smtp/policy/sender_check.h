/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_SENDER_CHECK_H
#define SMTP_POLICY_SENDER_CHECK_H

#include "node/runtime/dns.h"

/*
 * What DNS says about a domain that mail comes from and that nobody here knows: does it exist,
 * can it take mail, does it say who sends for it?
 */
enum sender_seen { SENDER_NOT_KNOWN, SENDER_ABSENT, SENDER_PRESENT };

struct sender_found {
    enum sender_seen soa;
    enum sender_seen ns;
    enum sender_seen mx;
    bool null_mx;                /* RFC 7505 */
    enum sender_seen address;    /* A or AAAA of the domain itself */
    enum sender_seen mx_address; /* of one of the first MX hosts */
    enum sender_seen spf;
    enum sender_seen dmarc;
};

enum sender_verdict {
    SENDER_VERDICT_NONE, /* too little is known: the resolver had trouble */
    SENDER_VERDICT_GOOD,
    SENDER_VERDICT_SUSPECT,
    SENDER_VERDICT_BAD,
};
#define SENDER_NULL_MX "null MX (RFC 7505)"

/* `reason` is a constant. What is not known speaks against nobody. */
enum sender_verdict sender_judge(const struct sender_found *found, const char **reason);

struct sender_check;

/* `domain` in A-labels. done() comes once, never inside the call, after budget_ms at the
 * latest; the check is freed behind it. */
struct sender_check *
sender_check_start(struct loop *loop, struct dns *dns, const char *domain, uint64_t budget_ms,
                   void (*done)(void *context, const struct sender_found *found),
                   void *context);
/* done() does not come. */
void sender_check_cancel(struct sender_check **check);

#endif
