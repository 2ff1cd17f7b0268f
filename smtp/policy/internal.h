/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_INTERNAL_H
#define SMTP_POLICY_INTERNAL_H

#include "smtp/policy/familiar.h"
#include "smtp/policy/judges.h"
#include "smtp/policy/policy.h"
#include "smtp/policy/senders.h"
#include "smtp/policy/settings_cache.h"
#include "smtp/policy/zones.h"

/* What the files of this folder share. Nobody else includes it. */

struct policy {
    struct policy_config config;
    struct settings_cache *settings;
    struct zones *zones;     /* NULL without resolver */
    struct senders *senders; /* likewise */
    struct familiar *familiar;
    struct policy_client *clients;
};

/* A question about the client that is under way, or was answered. */
struct listing_look {
    struct policy_client *client;
    unsigned index; /* of facts.listings */
    uint64_t ticket;
    bool answered;
};

struct helo_look {
    char name[POLICY_NAME_SIZE]; /* "": none was asked for */
    uint64_t tickets[2];         /* A, AAAA */
    bool found;
    bool fits;
    bool trouble;
};

/* Where mail of this transaction goes, each tenant and domain once. */
struct policy_place {
    uint64_t tenant_id;
    uint64_t domain_id;
    struct settings_of *settings;
    /* of the recipient that came first */
    uint64_t account_id;
    uint32_t group;
    struct bytes recipient; /* in mail_arena */
};
enum { POLICY_PLACES_MAX = 8 };

struct policy_client {
    struct policy *policy;
    struct policy_client *next;
    struct policy_client **self;
    uint64_t conn_id;
    uint64_t refusals; /* by policy, also dry ones */
    bool exempt;
    uint64_t began_ms;
    struct policy_facts facts;
    bool reverse_asked;
    uint64_t fcrdns_ticket;
    struct helo_look helo;
    struct listing_look *looks[POLICY_LISTINGS_MAX];
    struct loop_timer *greet_timer;
    void (*greet)(void *context);
    void *greet_context;
    struct policy_trial *trials;
    /* of this transaction: */
    struct arena mail_arena;
    struct policy_place places[POLICY_PLACES_MAX]; /* more are left out */
    unsigned place_count;
    bool spared;                          /* somebody gets it whatever it is */
    char organisation[SENDERS_NAME_SIZE]; /* of the envelope's sender */
    struct policy_note note;
    struct policy_from *from;
};

/* client.c: asks what settings want to know and was not asked yet. */
void client_gather(struct policy_client *client, const struct settings *settings,
                   struct bytes helo);
/* Something of it is still under way. */
bool client_is_gathering(const struct policy_client *client, const struct settings *settings);
/* To judge by: what lists say counts as far as they can be believed now. */
void client_settle(struct policy_client *client, struct bytes helo);
/* from.c: policy_try() accepted. Settings may be NULL: nobody can say. */
void client_accepted(struct policy_client *client, const struct policy_question *question,
                     struct settings_of *settings, const char *organisation,
                     const struct policy_sum *sum);
/* Who has shown a good name, or names a host of an exempt domain as its own, and is it. */
bool client_skips_greylist(const struct policy_client *client, const struct settings *settings,
                           struct bytes sender_domain);
/* Counts a refusal, dry or not; false when the log has enough of this client. */
bool client_refusal_shows(struct policy_client *client);
/* trial.c: facts have come. */
void trials_look(struct policy_client *client);
/* How long the greeting is to be kept back from now on; 0: no longer. */
uint64_t policy_greet_wait_ms(const struct policy_times *times, uint64_t waited_ms,
                              bool gathering);

/* greylist.c: the key under which a group keeps it. Not secret: the store keys it anew. */
void greylist_key(const struct address *client, struct bytes sender_domain,
                  struct bytes recipient, uint8_t key[16]);
struct greylist_question {
    struct bytes sender_domain;
    struct bytes recipient;
    uint64_t account_id;
    uint32_t group;
};
/* Returns the store's ticket. */
uint64_t greylist_ask(const struct policy_client *client,
                      const struct greylist_question *question, const struct settings *settings,
                      store_done *done, void *context);
/* What the store says; true as well when it cannot say. */
bool greylist_passed(enum err err, const Pr__Reply *reply);

#endif
