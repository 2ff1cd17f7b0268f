/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_EGRESS_CLASSIFY_UNKNOWN_H
#define SMTP_EGRESS_CLASSIFY_UNKNOWN_H

#include "smtp/egress/classify.h"

/*
 * Replies for which there is no rule, counted by provider and template: a wording that one
 * provider uses often is shown to the operator, with a sample to write a rule from. The table
 * is bounded; when it is full, the template that was seen least goes, of these the one that was
 * seen longest ago. So a host that never says the same thing twice displaces only its like.
 *
 * `now_ms` is any clock that does not go back.
 */
enum {
    UNKNOWN_TEMPLATES_MAX = 256,
    UNKNOWN_TELL_COUNT = 20,          /* so many */
    UNKNOWN_TELL_MS = 60 * 60 * 1000, /* in so long are told, and again after as long */
    UNKNOWN_KEEP_MS = 24 * 60 * 60 * 1000,
    UNKNOWN_SAMPLE_MAX = 512,
    UNKNOWN_PROVIDER_MAX = CLASSIFY_ZONE_MAX, /* a site's key may be long: it is cut */
};

struct classify_unknown_entry {
    char provider[UNKNOWN_PROVIDER_MAX + 1];
    uint64_t template_id;
    enum classify_phase phase; /* of the sample */
    unsigned code;
    char sample[UNKNOWN_SAMPLE_MAX + 1]; /* the first reply seen; control characters as '?' */
    uint64_t count;                      /* since first_ms */
    uint64_t first_ms;
    uint64_t last_ms;
    unsigned hour_count; /* in the hour before last_ms, at most UNKNOWN_TELL_COUNT */
};

struct classify_unknown;

struct classify_unknown *classify_unknown_new(void);
void classify_unknown_free(struct classify_unknown **unknown);

/*
 * One more. Returns the entry when it is to be told now, NULL otherwise. A reply that a rule
 * fits, or without text, is not counted. The entry is valid until the next call.
 */
const struct classify_unknown_entry *
classify_unknown_count(struct classify_unknown *unknown, const struct classify_reply *reply,
                       const struct classify_verdict *verdict, uint64_t now_ms);

/* Start with *at == 0; NULL at the end. No order. Valid until the next count. */
const struct classify_unknown_entry *
classify_unknown_next(const struct classify_unknown *unknown, size_t *at);

#endif
