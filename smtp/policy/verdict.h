/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_VERDICT_H
#define SMTP_POLICY_VERDICT_H

#include "smtp/policy/judges.h"
#include "smtp/protocol/reply.h"
#include "storage/schema/request_id.h"

/* What a client hears, in words that tell its postmaster what to mend. */
enum { VERDICT_TEXT_SIZE = 400, VERDICT_WORDS_SIZE = 700, VERDICT_SCORE_SIZE = 24 };

enum verdict_kind {
    VERDICT_REJECT,
    VERDICT_GREY,
    VERDICT_NEW_DOMAIN,
    VERDICT_SUSPECT_RATE,
    VERDICT_BAD_DOMAIN,
    VERDICT_NULL_MX,
    VERDICT_NEW_FROM, /* the same of the domain in From */
    VERDICT_BAD_FROM,
    VERDICT_KINDS,
};

struct policy_verdict {
    struct smtp_refusal refusal; /* its code is 0: accepted; its text lies in `text` */
    char text[VERDICT_TEXT_SIZE];
    char trace[REQUEST_ID_TEXT_SIZE]; /* in the text, and in the log */
    const char *why;                  /* "greylist": for the log */
};

/* verdict->trace is set. `detail`: of the sender's domain. */
void verdict_make(struct policy_verdict *verdict, enum verdict_kind kind,
                  const struct policy_sum *sum, const char *detail, uint64_t grey_wait_ms);

/* "2.50": hundredths, as settings and logs say them. */
void verdict_score(int64_t score, char text[VERDICT_SCORE_SIZE]);

/* "fcrdns=2.50 (address without a name) dnsbl=...": the judges that had something to say. */
void verdict_words(const struct policy_sum *sum, char words[VERDICT_WORDS_SIZE]);

#endif
