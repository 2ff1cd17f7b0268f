/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_SCHEMA_SENDER_FINDINGS_H
#define STORAGE_SCHEMA_SENDER_FINDINGS_H

#include "address.pb-c.h"
#include "storage/schema/settings.h"

/*
 * What the findings about a sender's domain weigh, by settings: of the cluster for operators to
 * see, of a recipient's domain when its mail is judged. Each kind has a judge with a switch and
 * a weight; lists have weights of zones besides. All scores are hundredths.
 */
enum { SENDER_WORDS_SIZE = 200, SENDER_FINDINGS_MAX = 16 };

struct sender_sum {
    int64_t score;
    Pr__SenderDomainVerdict verdict;
    bool null_mx;                  /* and that counts */
    char words[SENDER_WORDS_SIZE]; /* "looks like acme.example, in bl.example"; "": nothing */
};

void sender_findings_judge(const struct settings *settings, Pr__SenderFinding *const *findings,
                           size_t count, struct sender_sum *sum);

#endif
