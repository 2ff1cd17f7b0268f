/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/sender_check.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"

enum { MX_HOSTS_MAX = 2 };

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
    char domain[DNS_NAME_SIZE];
    struct sender_found found;
    struct asked {
        struct sender_check *check;
        enum question question;
        uint64_t ticket;
    } asked[ASK_COUNT];
    unsigned open;
    struct loop_timer *timer; /* of the budget, then of the end */
    void (*done)(void *context, const struct sender_found *found);
    void *context;
};

enum sender_verdict sender_judge(const struct sender_found *found, const char **reason)
{
    *reason = "";
    if (found->soa == SENDER_ABSENT && found->ns == SENDER_ABSENT) {
        *reason = "domain does not exist";
        return SENDER_VERDICT_BAD;
    }
    if (found->null_mx) {
        *reason = SENDER_NULL_MX;
        return SENDER_VERDICT_SUSPECT;
    }
    if (found->mx == SENDER_ABSENT && found->address == SENDER_ABSENT) {
        *reason = "domain has neither MX nor address";
        return SENDER_VERDICT_SUSPECT;
    }
    if (found->mx == SENDER_PRESENT && found->mx_address == SENDER_ABSENT) {
        *reason = "MX hosts of the domain have no address";
        return SENDER_VERDICT_SUSPECT;
    }
    if (found->spf == SENDER_ABSENT && found->dmarc == SENDER_ABSENT) {
        *reason = "domain has neither SPF nor DMARC";
        return SENDER_VERDICT_SUSPECT;
    }
    bool exists = found->soa == SENDER_PRESENT || found->ns == SENDER_PRESENT;
    bool takes = found->mx_address == SENDER_PRESENT || found->address == SENDER_PRESENT;
    bool says = found->spf == SENDER_PRESENT || found->dmarc == SENDER_PRESENT;
    return exists && takes && says ? SENDER_VERDICT_GOOD : SENDER_VERDICT_NONE;
}

static void cancel_all(struct sender_check *check)
{
    for (unsigned i = 0; i < ASK_COUNT; i++)
        if (check->asked[i].ticket != 0)
            dns_cancel(check->dns, check->asked[i].ticket);
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
    check->done(check->context, &check->found);
    free(check);
}

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
    check->open--;
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
    if (check->open > 0)
        return;
    loop_timer_stop(&check->timer);
    check->timer = loop_timer_start(check->loop, 0, 0, on_end, check);
}

struct sender_check *
sender_check_start(struct loop *loop, struct dns *dns, const char *domain, uint64_t budget_ms,
                   void (*done)(void *context, const struct sender_found *found), void *context)
{
    struct sender_check *check = calloc(1, sizeof(*check));
    char name[DNS_NAME_SIZE + 8];

    CHECK(check != NULL && strlen(domain) < sizeof(check->domain));
    *check = (struct sender_check){.loop = loop, .dns = dns, .done = done, .context = context};
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
    check->timer = loop_timer_start(loop, budget_ms, 0, on_end, check);
    return check;
}
