/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_SENDERS_H
#define SMTP_POLICY_SENDERS_H

#include "node/runtime/dns.h"
#include "smtp/policy/settings_cache.h"
#include "smtp/policy/zones.h"

/*
 * Domains that mail comes from. What the cluster knows of them lies in the directory; who asks
 * first for one that nobody knows checks it (sender_check.h), and its mail waits meanwhile. A
 * check that found nothing out is made again by whoever asks later; and nobody waits for longer
 * than newdomain.delay_max, or at all when the cluster has put down newdomain.day today. What
 * the findings mean is for the settings of each recipient's domain to say
 * (storage/schema/sender_findings.h).
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
    SENDERS_UNKNOWN, /* the store cannot say, or would put down no more today */
    SENDERS_GOOD,
    SENDERS_UNCHECKED, /* it has waited long enough */
    SENDERS_WAIT,
    SENDERS_SUSPECT,
    SENDERS_BAD,
};

struct senders_verdict {
    enum senders_answer answer;
    bool null_mx; /* RFC 7505, and it counts */
    int64_t score;
    char reason[SENDERS_REASON_SIZE];
};

struct senders_config {
    struct loop *loop;
    struct store_client *store;
    struct dns *dns;
    struct zones *zones;
    struct settings_cache *settings; /* the cluster's say which lists are asked */
    unsigned store_ms;
    unsigned check_ms;
};

struct senders *senders_new(const struct senders_config *config);
void senders_free(struct senders **senders);

/* The domain that was registered, by the list of public suffixes; the domain itself when it is
 * one of those. False: no domain that could be asked about. */
bool senders_organisation(struct bytes domain, char organisation[SENDERS_NAME_SIZE]);

/* What is known without asking, by these settings. `domain` is an organisation's. */
bool senders_known(const struct senders *senders, const char *domain,
                   const struct settings *settings, uint64_t now_ms,
                   struct senders_verdict *verdict);
/* Asks the store: store_cancel() with the ticket. What comes is given to senders_take(), once
 * or for the settings of several recipients. */
uint64_t senders_ask(struct senders *senders, const char *domain,
                     const struct settings *settings, store_done *done, void *context);
void senders_take(struct senders *senders, const char *domain, const struct settings *settings,
                  enum err err, const Pr__Reply *reply, struct senders_verdict *verdict);

/* Counts a message of a suspect domain. False: there have been `hour_max` in this hour. */
bool senders_count(struct senders *senders, const char *domain, uint64_t hour_max,
                   uint64_t now_ms);

#endif
