/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/submit/sent_too_much.h"

#include <stdio.h>
#include <time.h>

/* The next full minute: seconds say nothing. */
static bool when(uint64_t time_ms, char *text, size_t size)
{
    time_t seconds = (time_t)(time_ms / 60000 * 60 + 60);
    struct tm at;

    return time_ms != 0 && time_ms != UINT64_MAX && gmtime_r(&seconds, &at) != NULL &&
           strftime(text, size, "%Y-%m-%d %H:%M UTC", &at) > 0;
}

const struct smtp_refusal *sent_too_much(const Pr__Outcome *outcome,
                                         struct sent_too_much *words)
{
    bool tenant = outcome != NULL && outcome->share != NULL &&
                  outcome->share->kind == PR__SCOPE_KIND__SCOPE_SENDING;
    const char *who = tenant ? "Your organization has" : "You have";
    char then[32];

    if (outcome != NULL && when(outcome->id, then, sizeof(then)))
        snprintf(words->text, sizeof(words->text),
                 "%s sent too much in this time, try again after %s", who, then);
    else
        snprintf(words->text, sizeof(words->text),
                 "%s sent too much in this time, try again later or to fewer recipients", who);
    words->refusal = tenant ? (struct smtp_refusal){450, "4.7.1", words->text, false}
                            : (struct smtp_refusal){452, "4.2.1", words->text, false};
    return &words->refusal;
}
