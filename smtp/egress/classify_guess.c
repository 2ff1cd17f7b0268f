/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a reply is likely to be about when no rule fits. Never our address: a status does not
 * tell (5.7.1 means anything), so nothing is redirected on a guess.
 */
#include "smtp/egress/classify_internal.h"

enum {
    SURE = 80,
    LIKELY = 60,
    PERHAPS = 30,
};

/* RFC 3463, RFC 5248's registry. */
static const struct {
    unsigned subject;
    unsigned first;
    unsigned last;
    enum classify_class class;
    enum classify_scope scope;
    unsigned confidence;
} by_status[] = {
    {1, 0, 1, CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT, SURE},
    {1, 2, 6, CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT, LIKELY},
    {1, 7, 8, CLASSIFY_POLICY, CLASSIFY_SCOPE_DOMAIN, LIKELY}, /* the sender's address */
    {1, 9, 9, CLASSIFY_PROTOCOL, CLASSIFY_SCOPE_MESSAGE, LIKELY},
    {1, 10, 10, CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT, SURE},
    {2, 0, 1, CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT, LIKELY},
    {2, 2, 2, CLASSIFY_MBOX_FULL, CLASSIFY_SCOPE_RECIPIENT, SURE},
    {2, 3, 3, CLASSIFY_POLICY, CLASSIFY_SCOPE_MESSAGE, LIKELY},
    {2, 4, 4, CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT, LIKELY},
    {3, 4, 4, CLASSIFY_POLICY, CLASSIFY_SCOPE_MESSAGE, SURE}, /* too large */
    {3, 0, 999, CLASSIFY_TRANSIENT, CLASSIFY_SCOPE_PROVIDER, LIKELY},
    {4, 0, 999, CLASSIFY_TRANSIENT, CLASSIFY_SCOPE_PROVIDER, LIKELY},
    {5, 0, 999, CLASSIFY_PROTOCOL, CLASSIFY_SCOPE_ROW_DOMAIN, LIKELY},
    {6, 0, 999, CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, LIKELY},
    {7, 10, 11, CLASSIFY_CONFIG, CLASSIFY_SCOPE_PROVIDER, LIKELY}, /* encryption is needed */
    {7, 20, 24, CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, LIKELY},     /* RFC 7372: DKIM, SPF */
    {7, 25, 25, CLASSIFY_CONFIG, CLASSIFY_SCOPE_ADDRESS, LIKELY},  /* reverse DNS */
    {7, 26, 26, CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, LIKELY},
    {7, 27, 27, CLASSIFY_POLICY, CLASSIFY_SCOPE_DOMAIN,
     LIKELY},                                                  /* RFC 7505: sender's null MX */
    {7, 29, 29, CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, LIKELY}, /* RFC 8617: ARC */
    {7, 30, 30, CLASSIFY_CONFIG, CLASSIFY_SCOPE_PROVIDER, LIKELY}, /* RFC 8689: REQUIRETLS */
};

static enum classify_scope scope_of_phase(enum classify_phase phase)
{
    switch (phase) {
    case CLASSIFY_AT_RCPT:
        return CLASSIFY_SCOPE_RECIPIENT;
    case CLASSIFY_AT_DATA:
    case CLASSIFY_AT_FINAL:
        return CLASSIFY_SCOPE_MESSAGE;
    default:
        return CLASSIFY_SCOPE_ROW_DOMAIN;
    }
}

static void set(struct classify_verdict *verdict, enum classify_class class,
                enum classify_scope scope, unsigned confidence, enum classify_basis basis)
{
    verdict->class = class;
    verdict->scope = scope;
    verdict->confidence = confidence;
    verdict->basis = basis;
}

static bool names_greylisting(const struct normal *normal)
{
    static const char *const words[] = {"greylist",  "graylist",  "grey list",
                                        "gray list", "grey-list", "gray-list"};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (strstr(normal->text, words[i]) != NULL)
            return true;
    return false;
}

static void guess_by_code(const struct classify_reply *reply, struct classify_verdict *verdict)
{
    enum classify_scope scope = scope_of_phase(reply->phase);
    unsigned code = reply->code;

    if (code < 400 || code == 421 || code == 451)
        set(verdict, CLASSIFY_TRANSIENT, CLASSIFY_SCOPE_PROVIDER, PERHAPS, CLASSIFY_BY_CODE);
    else if (code >= 500 && code <= 504)
        set(verdict, CLASSIFY_PROTOCOL, CLASSIFY_SCOPE_ROW_DOMAIN, LIKELY, CLASSIFY_BY_CODE);
    else if (code == 521 || code == 556) /* RFC 7504: takes no mail */
        set(verdict, CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT, LIKELY, CLASSIFY_BY_CODE);
    else if (code == 552 || code == 452)
        set(verdict, reply->phase == CLASSIFY_AT_RCPT ? CLASSIFY_MBOX_FULL : CLASSIFY_POLICY,
            scope, PERHAPS, CLASSIFY_BY_CODE);
    else if ((code == 551 || code == 553) && reply->phase == CLASSIFY_AT_RCPT)
        set(verdict, CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT, PERHAPS, CLASSIFY_BY_CODE);
    else if (code < 500)
        set(verdict, CLASSIFY_TRANSIENT, scope, PERHAPS, CLASSIFY_BY_CODE);
    else
        set(verdict, CLASSIFY_POLICY, scope, PERHAPS, CLASSIFY_BY_CODE);
}

void classify_guess(const struct classify_reply *reply, const struct normal *normal,
                    const unsigned status[3], struct classify_verdict *verdict)
{
    if (reply->code >= 400 && reply->code < 500 && names_greylisting(normal)) {
        set(verdict, CLASSIFY_GREYLIST, CLASSIFY_SCOPE_ROW_DOMAIN, SURE, CLASSIFY_BY_WORDS);
        return;
    }
    for (size_t i = 0; status != NULL && i < sizeof(by_status) / sizeof(by_status[0]); i++)
        if (by_status[i].subject == status[1] && status[2] >= by_status[i].first &&
            status[2] <= by_status[i].last) {
            set(verdict, by_status[i].class, by_status[i].scope, by_status[i].confidence,
                CLASSIFY_BY_STATUS);
            return;
        }
    guess_by_code(reply, verdict);
}
