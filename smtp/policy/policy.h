/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_POLICY_H
#define SMTP_POLICY_POLICY_H

#include "node/mail/summary.h"
#include "node/runtime/dns.h"
#include "node/runtime/network_map.h"
#include "smtp/protocol/reply.h"
#include "storage/client/client.h"

/*
 * Policy before content, of mail from the world: who is it that connects, and is its mail taken
 * for that recipient? What is known of a client is gathered from the moment it connects; the
 * verdict comes with RCPT, from judges (judges.h) that operators switch and weigh for the
 * cluster, a tenant or a domain.
 *
 *   score >= policy.reject_score     550 5.7.1, with what the client's host can mend
 *   a sender's domain nobody knows   450 4.7.1, until it is checked (senders.h)
 *   score >= policy.grey_score       450 4.7.1, until it has come twice (greylist)
 *
 * At the end of a message the domain in its From: is looked at as the sender's is (from.c).
 *
 * What cannot be found out in time counts for nothing, so mail flows while the resolver or the
 * store is away. Clients with loopback, private and link-local addresses are not judged, nor
 * asked about in DNS, unless the setting policy.local is on. All for the loop's thread.
 */
struct policy;
struct policy_client;
struct policy_trial;

struct policy_times {
    uint64_t greet_min_ms; /* who is not familiar waits for the greeting so long; */
    uint64_t greet_max_ms; /* and up to this while facts are missing */
    uint64_t facts_ms;     /* that a recipient waits for facts */
    unsigned store_ms;
    unsigned check_ms; /* the whole check of a sender's domain */
    uint64_t familiar_ms;
};
extern const struct policy_times policy_times_default;

struct policy_config {
    struct loop *loop;
    struct store_client *store;
    struct dns *dns;         /* NULL: nothing is asked */
    struct network_map *map; /* NULL: none */
    const char *hostname;
    const struct policy_times *times;
};

/* What `config` points to must outlive it. */
struct policy *policy_new(const struct policy_config *config);
/* When all clients are gone; before store client and resolver. */
void policy_free(struct policy **policy);
/* The cluster's own settings, as far as they are known; until the loop turns. */
const struct settings *policy_settings(const struct policy *policy);

/* Of one connection; `address` is copied. The log has a line, with `conn_id`, for each of its
 * first POLICY_LINES_MAX refusals, dry ones too; when it ends, how many there were beyond. */
enum { POLICY_LINES_MAX = 20 };
struct policy_client *policy_client_new(struct policy *policy, const struct address *address,
                                        uint64_t conn_id);
/* With all its trials; their done() does not come any more. */
void policy_client_free(struct policy_client **client);

/* Its mail was taken lately without any objection, or it is not judged. */
bool policy_client_is_familiar(const struct policy_client *client);

/* May it be greeted now? False: `greet` comes once, when it may, never inside a call. */
bool policy_client_greet(struct policy_client *client, void (*greet)(void *context),
                         void *context);

struct policy_question {
    struct bytes helo;
    struct bytes sender; /* of the envelope; empty: null sender */
    struct bytes recipient;
    uint64_t tenant_id;
    uint64_t domain_id;
    uint64_t account_id; /* 0: `group` says where the mail goes */
    uint32_t group;
    bool role; /* abuse@, postmaster@: never refused */
};

/*
 * NULL: accepted. Else done() comes once, never inside the call; `refusal` lives as long as it,
 * NULL: accepted. All that `question` points to is copied.
 */
typedef void policy_done(void *context, const struct smtp_refusal *refusal);
struct policy_trial *policy_try(struct policy_client *client,
                                const struct policy_question *question, policy_done *done,
                                void *context);
/* done() will not come; the trial is freed. NULL is none. */
void policy_cancel(struct policy_trial **trial);

/* A transaction begins: what recipients of the one before wanted is forgotten. */
void policy_client_mail(struct policy_client *client);

/*
 * At the end of a message, for the recipients that policy_try() accepted in this transaction:
 * the domains of the addresses in From. As policy_try(), but that policy_client_free() frees it
 * too. Refused only when the settings of every recipient's domain say so: nobody loses mail by
 * the policy of others.
 */
struct policy_from;
struct policy_from *policy_from_try(struct policy_client *client,
                                    const struct mail_address_list *addresses,
                                    policy_done *done, void *context);
void policy_from_cancel(struct policy_from **from);

/* What spoke against a message that is taken all the same, for filters of its content: the
 * highest sum of this transaction's recipients, and of From. Until the client's next MAIL. */
struct policy_note {
    int64_t score;   /* hundredths */
    char words[700]; /* "new_domain=3.00 (sender's domain is suspect)" */
};
const struct policy_note *policy_client_note(const struct policy_client *client);

#endif
