/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Names of an address that lead back to it. */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/runtime/dns_internal.h"

struct candidate {
    struct dns_reverse *reverse;
    uint64_t ticket; /* 0: over */
    char name[DNS_TEXT_MAX + 1];
    bool confirmed, secure;
};

struct dns_reverse {
    struct dns_ticket ticket; /* first */
    struct dns *dns;
    struct loop_timer *timer;
    struct address address;
    uint64_t asking; /* for the names; 0: over */
    struct candidate candidates[DNS_FCRDNS_NAMES_MAX];
    unsigned count, open;
    enum dns_result result;
    bool trouble, secure;
    void (*done)(void *context, const struct dns_fcrdns *answer);
    void *context;
};

void dns_reverse_free(struct dns_ticket *ticket)
{
    struct dns_reverse *reverse = (struct dns_reverse *)ticket;

    loop_timer_stop(&reverse->timer);
    dns_cancel(reverse->dns, reverse->asking);
    for (unsigned i = 0; i < reverse->count; i++)
        dns_cancel(reverse->dns, reverse->candidates[i].ticket);
    free(reverse);
}

/* Names that are confirmed come in the order in which the address has them. */
static void finish(struct dns_reverse *reverse)
{
    struct dns_fcrdns answer = {
        .result = reverse->result, .trouble = reverse->trouble, .claimed = ""};

    if (reverse->count > 0)
        answer.claimed = reverse->candidates[0].name;
    for (unsigned i = 0; i < reverse->count; i++) {
        const struct candidate *candidate = &reverse->candidates[i];
        if (!candidate->confirmed)
            continue;
        if (answer.count == 0)
            answer.secure = reverse->secure && candidate->secure;
        answer.names[answer.count++] = candidate->name;
    }
    map_remove(&reverse->dns->tickets, reverse->ticket.number);
    reverse->done(reverse->context, &answer);
    dns_reverse_free(&reverse->ticket);
}

static void on_budget_over(void *context)
{
    struct dns_reverse *reverse = context;

    reverse->timer = NULL; /* it fires once */
    reverse->trouble = true;
    if (reverse->asking != 0)
        reverse->result = DNS_TIMEOUT;
    finish(reverse);
}

static void on_addresses(void *context, const struct dns_answer *answer)
{
    struct candidate *candidate = context;
    struct dns_reverse *reverse = candidate->reverse;

    candidate->ticket = 0;
    candidate->secure = answer->secure;
    if (dns_trouble(answer->result))
        reverse->trouble = true;
    for (unsigned i = 0; i < answer->count && i < DNS_FCRDNS_RECORDS_MAX; i++)
        if (address_equal(&answer->records[i].address, &reverse->address))
            candidate->confirmed = true;
    if (--reverse->open == 0)
        finish(reverse);
}

/* Letters, digits, "-" and "_", with a dot at least. */
static bool is_host_name(const char *name)
{
    return name[0] != '\0' && strlen(name) <= DNS_TEXT_MAX && strchr(name, '\\') == NULL &&
           strchr(name, '.') != NULL;
}

static bool is_known(const struct dns_reverse *reverse, const char *name)
{
    for (unsigned i = 0; i < reverse->count; i++)
        if (strcmp(reverse->candidates[i].name, name) == 0)
            return true;
    return false;
}

static void on_names(void *context, const struct dns_answer *answer)
{
    struct dns_reverse *reverse = context;
    enum dns_type type = address_is_v4(&reverse->address) ? DNS_A : DNS_AAAA;

    reverse->asking = 0;
    reverse->result = answer->result;
    reverse->secure = answer->secure;
    reverse->trouble = dns_trouble(answer->result);
    for (unsigned i = 0; i < answer->count && reverse->count < DNS_FCRDNS_NAMES_MAX; i++) {
        const char *name = answer->records[i].name;
        if (!is_host_name(name) || is_known(reverse, name))
            continue;
        struct candidate *candidate = &reverse->candidates[reverse->count++];
        candidate->reverse = reverse;
        memcpy(candidate->name, name, strlen(name) + 1);
    }
    reverse->open = reverse->count;
    for (unsigned i = 0; i < reverse->count; i++)
        reverse->candidates[i].ticket = dns_query(reverse->dns, reverse->candidates[i].name,
                                                  type, on_addresses, &reverse->candidates[i]);
    if (reverse->count == 0)
        finish(reverse);
}

uint64_t dns_fcrdns(struct dns *dns, const struct address *address, unsigned budget_ms,
                    void (*done)(void *context, const struct dns_fcrdns *answer), void *context)
{
    struct dns_reverse *reverse = calloc(1, sizeof(*reverse));
    char name[DNS_NAME_SIZE];

    CHECK(reverse != NULL);
    reverse->dns = dns;
    reverse->address = *address;
    reverse->done = done;
    reverse->context = context;
    reverse->ticket.reverse = true;
    dns_reverse_name(address, name);
    reverse->timer = loop_timer_start(
        dns->loop, budget_ms > 0 ? budget_ms : 2 * dns->timeout_ms, 0, on_budget_over, reverse);
    reverse->asking = dns_query(dns, name, DNS_PTR, on_names, reverse);
    return dns_ticket_new(dns, &reverse->ticket);
}
