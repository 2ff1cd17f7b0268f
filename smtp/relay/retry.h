/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_RETRY_H
#define SMTP_RELAY_RETRY_H

#include "node/base/bytes.h"

/*
 * When to try again, when to give up, when to tell of a delay; BY of RFC 2852. Pure: times and
 * random numbers are arguments. Times are milliseconds since 1970, of one clock.
 */

enum { RETRY_STEPS_MAX = 16, RETRY_DELAYS_MAX = 16 };

struct retry_config {
    uint64_t steps_ms[RETRY_STEPS_MAX];   /* behind the first, second, ... attempt; the last one
                                             holds for all that follow */
    unsigned step_count;                  /* at least 1 */
    unsigned jitter_percent;              /* of a step, up or down; 0 to 50 */
    uint64_t expire_ms;                   /* of waiting in all */
    uint64_t expire_null_ms;              /* with the null sender */
    uint64_t delays_ms[RETRY_DELAYS_MAX]; /* the sender is told that it waits; ascending */
    unsigned delay_count;
    uint64_t hint_least_ms; /* greylisting, and "try again in N seconds" */
    uint64_t hint_most_ms;
    unsigned hint_attempts; /* from this attempt on hints are not heeded */
};

/*
 * 2, 5, 10, 20, 40, 60 min, 2 h, then 4 h; jitter 20 %; 5 days, null sender 2 days; the sender
 * is told after 4 h and 24 h; hints 5 to 15 min, heeded behind the first four attempts.
 */
extern const struct retry_config retry_defaults;

/* NULL, or what is wrong with a configuration, in words. */
const char *retry_config_fault(const struct retry_config *config);

/*
 * From when a recipient's age counts. A message of FUTURERELEASE (RFC 4865) is sent as if it
 * had been submitted at its release: the time that it was held is no delay and uses nothing up.
 * BY is not moved: the sender gave it for the message as submitted (RFC 2852).
 */
uint64_t retry_begin_ms(uint64_t accepted_ms, uint64_t hold_until_ms);

/* How long to wait behind the `attempts`th attempt (from 1), by the table alone. */
uint64_t retry_after_ms(const struct retry_config *config, unsigned attempts, uint64_t random);

/*
 * What a reply asks for: 0 where it is no 4xx or asks for nothing; else within the bounds of
 * the configuration. Of the text the first RETRY_HINT_SIZE_MAX bytes are read, once.
 */
enum { RETRY_HINT_SIZE_MAX = 1024 };
uint64_t retry_hint_ms(const struct retry_config *config, unsigned code, struct bytes text,
                       uint64_t random);

/* What is given up then, and Will-Retry-Until. */
uint64_t retry_expires_ms(const struct retry_config *config, uint64_t begin_ms,
                          bool null_sender);
bool retry_expired(const struct retry_config *config, uint64_t begin_ms, bool null_sender,
                   uint64_t now_ms);

/*
 * Whether a notice of delay is due for a recipient that still waits. `told`: how many it has
 * had (QueueRecipient.delays_told). `by_ms`: BY with mode N, which is one more time to tell at
 * (RFC 2852: once, and sending goes on); 0: none. Whether it is owed: notice_owed().
 */
bool retry_delay_due(const struct retry_config *config, uint64_t begin_ms, uint64_t by_ms,
                     unsigned told, uint64_t now_ms);

/* ---- BY (RFC 2852) ---- */

enum retry_by_mode { RETRY_BY_NONE, RETRY_BY_NOTIFY, RETRY_BY_RETURN }; /* Envelope.ByMode */

struct retry_by {
    enum retry_by_mode mode; /* RETRY_BY_NONE: nothing was said */
    uint64_t until_ms;
};

/* Mode R, and its time is over: it is not tried any more, and has failed with 5.4.7. */
bool retry_by_over(struct retry_by by, uint64_t now_ms);

enum retry_by_verdict {
    RETRY_BY_UNSAID,  /* no BY is said */
    RETRY_BY_SAY,     /* BY=`seconds`;mode, with the trace modifier as it came */
    RETRY_BY_RELAYED, /* mode N to a host without DELIVERBY: it is sent without BY, and when the
                         host takes it, NOTICE_EVENT_BY_LOST */
    RETRY_BY_REFUSED, /* mode R: the host does not offer DELIVERBY, wants more time than is left
                         (its min-by-time), or the time is over: failed with 5.4.7 */
};

struct retry_by_hop {
    enum retry_by_verdict verdict;
    int32_t seconds; /* of BY; negative only with mode N; -999999999 to 999999999 */
};

/* What to say to the next host. `offered`: DELIVERBY in its EHLO reply; `least_s`: the number
 * behind it, 0 where there is none. */
struct retry_by_hop retry_by_hop(struct retry_by by, bool offered, uint32_t least_s,
                                 uint64_t now_ms);

/* ---- all of it, for one recipient whose attempt has failed for now ---- */

struct retry_facts {
    uint64_t begin_ms; /* retry_begin_ms() */
    bool null_sender;
    unsigned attempts; /* with the one that has just failed; at least 1 */
    unsigned delays_told;
    struct retry_by by;
    unsigned code;      /* of the reply; 0: there was none */
    struct bytes reply; /* its text */
};

enum retry_verdict {
    RETRY_AGAIN,
    RETRY_EXPIRED,  /* failed; its status stays 4.x.x, or is 4.4.7 when it has none */
    RETRY_BY_FAILED /* failed with 5.4.7 */
};

struct retry_plan {
    enum retry_verdict verdict;
    uint64_t after_ms; /* RETRY_AGAIN: from now; never 0 */
    bool delay_due;    /* RETRY_AGAIN: NOTICE_EVENT_DELAYED */
};

/* The next attempt is not later than the end of the waiting, nor than BY: then it is decided.
 */
struct retry_plan retry_plan(const struct retry_config *config, const struct retry_facts *facts,
                             uint64_t now_ms, uint64_t random);

#endif
