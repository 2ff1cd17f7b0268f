/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/policy/verdict.h"

#include <stdio.h>

static const struct {
    unsigned code;
    const char *enhanced;
    const char *why;
} kinds[VERDICT_KINDS] = {
    [VERDICT_REJECT] = {550, "5.7.1", "score"},
    [VERDICT_GREY] = {450, "4.7.1", "greylist"},
    [VERDICT_NEW_DOMAIN] = {450, "4.7.1", "new domain"},
    [VERDICT_SUSPECT_RATE] = {450, "4.7.1", "rate of a suspect domain"},
    [VERDICT_BAD_DOMAIN] = {550, "5.7.1", "bad domain"},
    [VERDICT_NULL_MX] = {550, "5.7.27", "null MX"},
    [VERDICT_NEW_FROM] = {450, "4.7.1", "new domain in From"},
    [VERDICT_BAD_FROM] = {550, "5.7.1", "bad domain in From"},
};

static void text(struct policy_verdict *verdict, enum verdict_kind kind,
                 const struct policy_sum *sum, const char *detail, uint64_t grey_wait_ms)
{
    char *to = verdict->text;
    size_t size = sizeof(verdict->text);

    switch (kind) {
    case VERDICT_REJECT:
        snprintf(to, size, "Refused by policy: %s; please %s [%s]", sum->by[sum->worst].words,
                 policy_judges[sum->worst].mend, verdict->trace);
        break;
    case VERDICT_GREY:
        snprintf(to, size, "Greylisted, try again in %llu minutes [%s]",
                 (unsigned long long)(grey_wait_ms + 59999) / 60000, verdict->trace);
        break;
    case VERDICT_NEW_DOMAIN:
        snprintf(to, size, "New sending domain, being checked, try again in 10 minutes [%s]",
                 verdict->trace);
        break;
    case VERDICT_SUSPECT_RATE:
        snprintf(to, size, "Too much mail from this domain in an hour: %.100s [%s]", detail,
                 verdict->trace);
        break;
    case VERDICT_NULL_MX:
        snprintf(to, size, "Sender's domain takes no mail: %.100s [%s]", detail,
                 verdict->trace);
        break;
    case VERDICT_NEW_FROM:
        snprintf(to, size, "New domain in From, being checked, try again in 10 minutes [%s]",
                 verdict->trace);
        break;
    case VERDICT_BAD_FROM:
        snprintf(to, size, "Domain in From is refused: %.100s [%s]", detail, verdict->trace);
        break;
    default:
        snprintf(to, size, "Sender's domain is refused: %.100s [%s]", detail, verdict->trace);
        break;
    }
}

void verdict_make(struct policy_verdict *verdict, enum verdict_kind kind,
                  const struct policy_sum *sum, const char *detail, uint64_t grey_wait_ms)
{
    verdict->refusal = (struct smtp_refusal){kinds[kind].code, kinds[kind].enhanced, "", false};
    verdict->why = kinds[kind].why;
    text(verdict, kind, sum, detail, grey_wait_ms);
}

void verdict_score(int64_t score, char text[VERDICT_SCORE_SIZE])
{
    int64_t whole = score < 0 ? -score : score;

    snprintf(text, VERDICT_SCORE_SIZE, "%s%lld.%02lld", score < 0 ? "-" : "",
             (long long)(whole / 100), (long long)(whole % 100));
}

void verdict_words(const struct policy_sum *sum, char words[VERDICT_WORDS_SIZE])
{
    size_t used = 0;

    words[0] = '\0';
    for (unsigned i = 0; i < policy_judge_count; i++) {
        const struct policy_judgement *by = &sum->by[i];
        if (by->words[0] == '\0')
            continue;
        char score[VERDICT_SCORE_SIZE];
        verdict_score(by->score, score);
        int wrote = snprintf(words + used, VERDICT_WORDS_SIZE - used, "%s%s=%s (%s)",
                             used > 0 ? " " : "", policy_judges[i].name, score, by->words);
        if (wrote < 0 || (size_t)wrote >= VERDICT_WORDS_SIZE - used)
            return;
        used += (size_t)wrote;
    }
}
