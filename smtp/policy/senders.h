/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_SENDERS_H
#define SMTP_POLICY_SENDERS_H

#include "node/runtime/dns.h"
#include "storage/client/client.h"

/*
 * Domains that mail comes from. What the cluster knows of them lies in the directory; who asks
 * first for one that nobody knows checks it (sender_check.h), and its mail waits meanwhile. A
 * check that found nothing out is made again by whoever asks later; and nobody waits for longer
 * than newdomain.delay_max, or at all when newdomain.day is used up.
 */
struct senders;

enum {
    SENDERS_KEPT_MAX = 4096,
    SENDERS_CHECKS_MAX = 256, /* at a time */
    SENDERS_GOOD_MS = 60 * 60 * 1000,
    SENDERS_OTHER_MS = 5 * 60 * 1000,
    SENDERS_AGAIN_MS = 60 * 1000, /* between the checks of one domain */
    SENDERS_NAME_SIZE = 256,
    SENDERS_REASON_SIZE = 200,
};

enum senders_answer {
    SENDERS_UNKNOWN, /* the store cannot say */
    SENDERS_GOOD,
    SENDERS_UNCHECKED, /* it has waited long enough */
    SENDERS_WAIT,
    SENDERS_SUSPECT,
    SENDERS_BAD,
};

struct senders_question {
    const char *domain; /* an organisation's */
    uint64_t wait_ms;   /* that a check may take */
    uint64_t delay_max_ms;
    uint64_t day_max;
};

struct senders *senders_new(struct loop *loop, struct store_client *store, struct dns *dns,
                            unsigned store_ms, unsigned check_ms);
void senders_free(struct senders **senders);

/* The domain that was registered, by the list of public suffixes; the domain itself when it is
 * one of those. False: no domain that could be asked about. */
bool senders_organisation(const struct senders *senders, struct bytes domain,
                          char organisation[SENDERS_NAME_SIZE]);

/* What is known without asking. */
bool senders_known(const struct senders *senders, const char *domain, uint64_t now_ms,
                   enum senders_answer *answer, char reason[SENDERS_REASON_SIZE]);
/* Asks the store: store_cancel() with the ticket. What comes is given to senders_take(). */
uint64_t senders_ask(struct senders *senders, const struct senders_question *question,
                     store_done *done, void *context);
enum senders_answer senders_take(struct senders *senders,
                                 const struct senders_question *question, enum err err,
                                 const Pr__Reply *reply, char reason[SENDERS_REASON_SIZE]);

/* Counts a message of a suspect domain. False: there have been `hour_max` in this hour. */
bool senders_count(struct senders *senders, const char *domain, uint64_t hour_max,
                   uint64_t now_ms);

#endif
