/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SERVICE_SCOPES_PLAN_H
#define STORAGE_SERVICE_SCOPES_PLAN_H

#include <stdbool.h>

#include "record.pb-c.h"

/*
 * How much of the limit of a domain or tenant a group asks for, and what it gives back: numbers
 * in, a decision out. What is sound whatever is decided here, is in the machine: the directory
 * never grants more than there is, and a group never takes more than it was granted.
 *
 * A group asks for a chunk more than it needs, so that the next messages wait for nobody. The
 * chunk shrinks with what is left to be granted: never more than an equal share of half of it.
 * So what lies unused in groups is at most about as much as the directory still has, and near
 * the limit hardly anything has to be given back before the last byte can be used.
 *
 * What is sent (SCOPE_SENDING) counts for an hour, or a day, and is not used any more then,
 * without a command: a group keeps what it was granted until somebody else wants it.
 */

enum {
    SCOPES_CHUNK_BYTES_MIN = 1024 * 1024,
    SCOPES_CHUNK_BYTES_MAX = 64 * 1024 * 1024,
    SCOPES_CHUNK_MESSAGES_MIN = 100,
    SCOPES_CHUNK_MESSAGES_MAX = 10000,
    SCOPES_CHUNK_SENDING_MIN = 10, /* recipients */
    SCOPES_CHUNK_SENDING_MAX = 1000,
    SCOPES_CHUNK_PARTS = 64, /* of the limit */
    /* Below that nobody asks ahead of need: it would be asked again at once. */
    SCOPES_AHEAD_BYTES_MIN = 64 * 1024,
    SCOPES_AHEAD_MESSAGES_MIN = 16,
    SCOPES_AHEAD_SENDING_MIN = 4,
};

struct scopes_amount {
    uint64_t bytes;
    uint64_t messages;
};

/* What a chunk of the scope is now, for one of `groups`; 0 where there is no limit. */
struct scopes_amount scopes_plan_chunk(const Pr__ScopeRecord *record, unsigned groups);

/* The sums and differences of amounts stop at the ends of their range. */
uint64_t scopes_plan_add(uint64_t a, uint64_t b);
uint64_t scopes_plan_less(uint64_t a, uint64_t b);

/* Whether the share has room for so much more than it uses. */
bool scopes_plan_fits(const Pr__ScopeShare *share, struct scopes_amount need);

/*
 * Fills a question of a group whose command was refused: `share` as the refusal told it, what
 * `need` and `want` are beyond what is used. `ask->share` is set, and filled.
 *
 * What is used is not told as a fact, which would count even beyond the limit, but asked for
 * like anything else: a question that is late must never give a group what it has given back.
 */
void scopes_plan_ask(const Pr__ScopeShare *share, struct scopes_amount need,
                     struct scopes_amount want, Pr__ScopeAsk *ask);
/* The same for who needs nothing now: what is used, and `want` beyond it, as far as there is
 * room; of the limit of that number. */
void scopes_plan_tell(const Pr__ScopeShare *row, uint64_t limit, struct scopes_amount want,
                      Pr__ScopeAsk *ask);

enum scopes_duty {
    SCOPES_DUTY_NONE,
    SCOPES_DUTY_GRANT,  /* tell the group what the directory has granted: `share` */
    SCOPES_DUTY_TOLD,   /* tell the directory what the group has given back */
    SCOPES_DUTY_RETURN, /* the group keeps `amount` beyond what it uses, and then TOLD */
    SCOPES_DUTY_ASK,    /* scopes_plan_tell() the directory, and the group what it answers */
};

struct scopes_step {
    enum scopes_duty duty;
    struct scopes_amount amount;
    const Pr__ScopeShare *share; /* into the record */
};

struct scopes_look {
    const Pr__ScopeShare *row;     /* the group's own */
    const Pr__ScopeRecord *record; /* what the directory here says; NULL: no limit */
    unsigned groups;
    bool wanted; /* somebody has asked for more than there was, and this group has not given
                    anything back since */
};

/* What the group's leader has to do about one row. */
struct scopes_step scopes_plan_duty(const struct scopes_look *look);

#endif
