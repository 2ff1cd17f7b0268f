/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_RUNTIME_DNS_INTERNAL_H
#define NODE_RUNTIME_DNS_INTERNAL_H

#include <unbound.h>

#include "node/base/arena.h"
#include "node/base/map.h"
#include "node/runtime/dns.h"

/*
 * How the resolver is made inside; for the dns_*.c files only.
 *
 * A question is what libunbound is asked, a waiter is somebody who wants to know. Invariants:
 * 1. A question that has waiters is in no list; one that has none, and no answer yet, is among
 *    the abandoned, the oldest first: libunbound goes on with it anyway, and whoever asks the
 * same again joins it.
 * 2. Both are counted against outstanding_max.
 * 3. `waiting` is ordered by deadline, since all wait equally long.
 * 4. No callback runs inside dns_query() or dns_cancel().
 */
enum { DNS_TEXT_MAX = 253 }; /* of a name, without the last dot */

/* What a ticket stands for; the first member of a waiter and of a dns_reverse. */
struct dns_ticket {
    uint64_t number;
    bool reverse;
};

struct dns_waiter {
    struct dns_ticket ticket;
    struct dns_question *question; /* NULL: answered without asking */
    struct dns_waiter *next;       /* of the question, or of `instant` */
    struct dns_waiter *later, *earlier;
    uint64_t deadline_ms;
    enum dns_type type;
    enum dns_result result; /* of one that is answered without asking */
    const char *reason;
    void (*done)(void *context, const struct dns_answer *answer);
    void *context;
    char name[]; /* as it was asked, for the same */
};

struct dns_question {
    struct dns *dns;
    struct dns_question *same_hash;
    struct dns_question *newer, *older; /* among the abandoned */
    struct dns_waiter *waiters;
    uint64_t hash;
    enum dns_type type;
    int id;        /* libunbound's */
    bool answered; /* its waiters are being told: it is in no list any more */
    char name[DNS_TEXT_MAX + 1];
};

struct dns {
    struct loop *loop;
    struct ub_ctx *unbound;
    struct loop_watch *watch;
    struct loop_timer *timer; /* for the first deadline */
    struct loop_timer *instant_timer;
    struct map tickets;
    struct map questions;                 /* by hash */
    struct dns_question *oldest, *newest; /* abandoned */
    struct dns_waiter *first, *last;      /* waiting */
    struct dns_waiter *instant;           /* answered without asking, when the loop turns */
    uint64_t last_ticket;
    uint64_t seed;
    unsigned timeout_ms;
    unsigned outstanding, outstanding_max;
};

/* dns_unbound.c */
/* NULL, with the reason logged. */
struct ub_ctx *dns_unbound_new(const struct dns_config *config);

/* dns_answer.c */
/* From what libunbound says; all of it in `arena`. */
void dns_answer_fill(const struct ub_result *result, struct arena *arena,
                     struct dns_answer *answer);
/* The same for records alone: `data` ends with NULL. */
void dns_answer_records(enum dns_type type, char *const *data, const int *len,
                        struct arena *arena, struct dns_answer *answer);

/* dns_name.c */
/* In lower case, without the last dot; false for what is no name. */
bool dns_name_normal(const char *name, char normal[DNS_TEXT_MAX + 1]);
/* Takes an uncompressed name off the front of `wire`; NULL when there is none. */
const char *dns_name_take(struct bytes *wire, struct arena *arena);

/* dns_reverse.c */
void dns_reverse_free(struct dns_ticket *ticket);

/* dns.c */
uint64_t dns_ticket_new(struct dns *dns, struct dns_ticket *ticket);

#endif
