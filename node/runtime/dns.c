/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <sys/random.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "node/runtime/dns_internal.h"
#include "node/runtime/log_pause.h"
#include "node/runtime/metrics.h"

enum { TIMEOUT_MS = 5000, OUTSTANDING_MAX = 2000 };

/* The questions that are under way. */

static uint64_t hash_of(const struct dns *dns, const char *name, enum dns_type type)
{
    uint64_t hash = dns->seed ^ (uint64_t)type * 0x9e3779b97f4a7c15u;

    for (; *name != '\0'; name++) {
        hash = (hash ^ (uint8_t)*name) * 0xd6e8feb86659fd93u;
        hash ^= hash >> 32;
    }
    return hash;
}

static struct dns_question *find(const struct dns *dns, uint64_t hash, const char *name,
                                 enum dns_type type)
{
    struct dns_question *question = map_get(&dns->questions, hash);

    while (question != NULL && (question->type != type || strcmp(question->name, name) != 0))
        question = question->same_hash;
    return question;
}

static void abandon(struct dns *dns, struct dns_question *question)
{
    question->older = dns->newest;
    question->newer = NULL;
    *(dns->newest != NULL ? &dns->newest->newer : &dns->oldest) = question;
    dns->newest = question;
}

static void unabandon(struct dns *dns, struct dns_question *question)
{
    *(question->older != NULL ? &question->older->newer : &dns->oldest) = question->newer;
    *(question->newer != NULL ? &question->newer->older : &dns->newest) = question->older;
    question->older = question->newer = NULL;
}

/* Out of the table: who asks the same now asks anew. */
static void forget(struct dns *dns, struct dns_question *question)
{
    struct dns_question *first = map_remove(&dns->questions, question->hash);

    CHECK(first != NULL);
    if (first == question) {
        first = question->same_hash;
    } else {
        struct dns_question *before = first;
        while (before->same_hash != question)
            before = before->same_hash;
        before->same_hash = question->same_hash;
    }
    if (first != NULL)
        map_put(&dns->questions, question->hash, first);
    dns->outstanding--;
    metric_sub(METRIC_DNS_OUTSTANDING, 1);
}

/* Room for one more, if need be at the cost of one that nobody waits for any more. */
static bool make_room(struct dns *dns)
{
    struct dns_question *question = dns->oldest;

    if (dns->outstanding < dns->outstanding_max)
        return true;
    if (question == NULL)
        return false;
    ub_cancel(dns->unbound, question->id);
    unabandon(dns, question);
    forget(dns, question);
    free(question);
    return true;
}

static void on_answer(void *context, int error, struct ub_result *result);

static struct dns_question *ask(struct dns *dns, uint64_t hash, const char *name,
                                enum dns_type type)
{
    struct dns_question *question = calloc(1, sizeof(*question));
    const char *text = name[0] != '\0' ? name : ".";

    CHECK(question != NULL);
    question->dns = dns;
    question->hash = hash;
    question->type = type;
    memcpy(question->name, name, strlen(name) + 1);
    if (ub_resolve_async(dns->unbound, text, (int)type, 1, question, on_answer,
                         &question->id) != 0) {
        free(question);
        return NULL;
    }
    question->same_hash = map_remove(&dns->questions, hash);
    map_put(&dns->questions, hash, question);
    dns->outstanding++;
    metric_add(METRIC_DNS_OUTSTANDING, 1);
    return question;
}

/* Those who wait. */

static void on_deadline(void *context);

static void set_timer(struct dns *dns)
{
    if (dns->first == NULL || dns->timer != NULL)
        return;
    uint64_t now_ms = clock_monotonic_ms();
    uint64_t delay_ms = dns->first->deadline_ms > now_ms ? dns->first->deadline_ms - now_ms : 0;
    dns->timer = loop_timer_start(dns->loop, delay_ms, 0, on_deadline, dns);
}

static void leave_deadlines(struct dns *dns, struct dns_waiter *waiter)
{
    *(waiter->earlier != NULL ? &waiter->earlier->later : &dns->first) = waiter->later;
    *(waiter->later != NULL ? &waiter->later->earlier : &dns->last) = waiter->earlier;
}

static void leave_question(struct dns *dns, struct dns_waiter *waiter)
{
    struct dns_question *question = waiter->question;
    struct dns_waiter **link = &question->waiters;

    while (*link != waiter)
        link = &(*link)->next;
    *link = waiter->next;
    if (question->waiters == NULL && !question->answered)
        abandon(dns, question);
}

/* The waiter has left its lists; it is freed. */
static void tell(struct dns *dns, struct dns_waiter *waiter, const struct dns_answer *answer)
{
    struct dns_answer own = *answer;

    map_remove(&dns->tickets, waiter->ticket.number);
    own.name = waiter->name;
    if (own.target == NULL)
        own.target = waiter->name;
    waiter->done(waiter->context, &own);
    free(waiter);
}

static void count_answer(const struct dns_answer *answer)
{
    static _Atomic uint64_t logged_ms;

    if (answer->result == DNS_SERVFAIL)
        metric_add(METRIC_DNS_SERVFAILS, 1);
    if (answer->result == DNS_BOGUS)
        metric_add(METRIC_DNS_BOGUS, 1);
    if (answer->result == DNS_BOGUS && log_pause_over(&logged_ms))
        log_warn(NULL, "bogus answer of DNS",
                 LOG_FIELDS(LOG_TEXT("name", answer->name), LOG_U64("type", answer->type),
                            LOG_TEXT("reason", answer->reason)));
}

static void on_answer(void *context, int error, struct ub_result *result)
{
    struct dns_question *question = context;
    struct dns *dns = question->dns;
    struct dns_answer answer = {.type = question->type,
                                .result = DNS_SERVFAIL,
                                .name = question->name,
                                .target = question->name,
                                .reason = ""};
    struct arena arena;

    arena_init(&arena);
    if (question->waiters == NULL)
        unabandon(dns, question);
    forget(dns, question);
    question->answered = true;
    if (error == 0 && result != NULL)
        dns_answer_fill(result, &arena, &answer);
    else
        answer.reason = ub_strerror(error);
    ub_resolve_free(result);
    count_answer(&answer);
    /* Whoever is told may cancel others: each is taken from what is left. */
    while (question->waiters != NULL) {
        struct dns_waiter *waiter = question->waiters;
        question->waiters = waiter->next;
        leave_deadlines(dns, waiter);
        tell(dns, waiter, &answer);
    }
    arena_fini(&arena);
    free(question);
}

static void on_readable(void *context)
{
    struct dns *dns = context;

    ub_process(dns->unbound);
}

static void on_deadline(void *context)
{
    struct dns *dns = context;
    uint64_t now_ms = clock_monotonic_ms();

    dns->timer = NULL; /* it fires once */
    while (dns->first != NULL && dns->first->deadline_ms <= now_ms) {
        struct dns_waiter *waiter = dns->first;
        const struct dns_answer answer = {
            .type = waiter->type, .result = DNS_TIMEOUT, .reason = "no answer in time"};
        leave_deadlines(dns, waiter);
        leave_question(dns, waiter);
        metric_add(METRIC_DNS_TIMEOUTS, 1);
        tell(dns, waiter, &answer);
    }
    set_timer(dns);
}

static void on_instant(void *context)
{
    struct dns *dns = context;
    unsigned due = 0;

    dns->instant_timer = NULL; /* it fires once */
    /* Those who come meanwhile have their turn next time. */
    for (const struct dns_waiter *waiter = dns->instant; waiter != NULL; waiter = waiter->next)
        due++;
    for (; due > 0 && dns->instant != NULL; due--) {
        struct dns_waiter *waiter = dns->instant;
        const struct dns_answer answer = {
            .type = waiter->type, .result = waiter->result, .reason = waiter->reason};
        dns->instant = waiter->next;
        tell(dns, waiter, &answer);
    }
    if (dns->instant != NULL && dns->instant_timer == NULL)
        dns->instant_timer = loop_timer_start(dns->loop, 0, 0, on_instant, dns);
}

static void answer_soon(struct dns *dns, struct dns_waiter *waiter, enum dns_result result,
                        const char *reason)
{
    struct dns_waiter **link = &dns->instant;

    while (*link != NULL)
        link = &(*link)->next;
    *link = waiter;
    waiter->result = result;
    waiter->reason = reason;
    if (dns->instant_timer == NULL)
        dns->instant_timer = loop_timer_start(dns->loop, 0, 0, on_instant, dns);
}

static void wait_for(struct dns *dns, struct dns_waiter *waiter, struct dns_question *question)
{
    waiter->question = question;
    waiter->next = question->waiters;
    question->waiters = waiter;
    waiter->deadline_ms = clock_monotonic_ms() + dns->timeout_ms;
    waiter->earlier = dns->last;
    *(dns->last != NULL ? &dns->last->later : &dns->first) = waiter;
    dns->last = waiter;
    set_timer(dns);
}

uint64_t dns_ticket_new(struct dns *dns, struct dns_ticket *ticket)
{
    ticket->number = ++dns->last_ticket;
    map_put(&dns->tickets, ticket->number, ticket);
    return ticket->number;
}

uint64_t dns_query(struct dns *dns, const char *name, enum dns_type type,
                   void (*done)(void *context, const struct dns_answer *answer), void *context)
{
    size_t len = strlen(name);
    struct dns_waiter *waiter = calloc(1, sizeof(*waiter) + len + 1);
    char normal[DNS_TEXT_MAX + 1];

    CHECK(waiter != NULL);
    memcpy(waiter->name, name, len + 1);
    waiter->type = type;
    waiter->done = done;
    waiter->context = context;
    uint64_t ticket = dns_ticket_new(dns, &waiter->ticket);
    metric_add(METRIC_DNS_QUERIES, 1);
    if (!dns_name_normal(name, normal)) {
        answer_soon(dns, waiter, DNS_NXDOMAIN, "no name that DNS can hold");
        return ticket;
    }
    uint64_t hash = hash_of(dns, normal, type);
    struct dns_question *question = find(dns, hash, normal, type);
    if (question != NULL) {
        metric_add(METRIC_DNS_JOINED, 1);
        if (question->waiters == NULL)
            unabandon(dns, question);
    } else if (make_room(dns)) {
        question = ask(dns, hash, normal, type);
    }
    if (question != NULL) {
        wait_for(dns, waiter, question);
    } else {
        metric_add(METRIC_DNS_REFUSED, 1);
        answer_soon(dns, waiter, DNS_SERVFAIL, "too many questions are under way");
    }
    return ticket;
}

void dns_cancel(struct dns *dns, uint64_t number)
{
    struct dns_ticket *ticket = map_remove(&dns->tickets, number);

    if (ticket == NULL)
        return;
    if (ticket->reverse) {
        dns_reverse_free(ticket);
        return;
    }
    struct dns_waiter *waiter = (struct dns_waiter *)ticket;
    if (waiter->question != NULL) {
        leave_deadlines(dns, waiter);
        leave_question(dns, waiter);
    } else {
        struct dns_waiter **link = &dns->instant;
        while (*link != waiter)
            link = &(*link)->next;
        *link = waiter->next;
    }
    free(waiter);
}

struct dns *dns_new(struct loop *loop, const struct dns_config *config)
{
    struct ub_ctx *unbound = dns_unbound_new(config);

    if (unbound == NULL)
        return NULL;
    struct dns *dns = calloc(1, sizeof(*dns));
    CHECK(dns != NULL);
    CHECK(getrandom(&dns->seed, sizeof(dns->seed), 0) == sizeof(dns->seed));
    dns->loop = loop;
    dns->unbound = unbound;
    dns->timeout_ms = config->timeout_ms > 0 ? config->timeout_ms : TIMEOUT_MS;
    dns->outstanding_max =
        config->outstanding_max > 0 ? config->outstanding_max : OUTSTANDING_MAX;
    map_init(&dns->tickets);
    map_init(&dns->questions);
    dns->watch = loop_watch_start(loop, ub_fd(unbound), on_readable, dns);
    return dns;
}

static void free_questions(struct dns *dns)
{
    uint64_t hash;
    size_t at = 0;
    void *first;

    while (map_next(&dns->questions, &at, &hash, &first)) {
        for (struct dns_question *question = first, *next; question != NULL; question = next) {
            next = question->same_hash;
            metric_sub(METRIC_DNS_OUTSTANDING, 1);
            free(question);
        }
    }
    map_fini(&dns->questions);
}

void dns_free(struct dns **pointer)
{
    struct dns *dns = *pointer;
    uint64_t number;
    void *ticket;

    if (dns == NULL)
        return;
    *pointer = NULL;
    loop_watch_stop(&dns->watch);
    loop_timer_stop(&dns->timer);
    loop_timer_stop(&dns->instant_timer);
    /* Look-ups of addresses take what they asked with them, so each start is from the front. */
    for (size_t at = 0; map_next(&dns->tickets, &at, &number, &ticket); at = 0)
        dns_cancel(dns, number);
    ub_ctx_delete(dns->unbound); /* ends its thread */
    free_questions(dns);
    map_fini(&dns->tickets);
    free(dns);
}
