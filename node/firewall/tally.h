/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_TALLY_H
#define NODE_FIREWALL_TALLY_H

#include "node/firewall/batch.h"
#include "node/firewall/digest.h"
#include "node/firewall/firewall_list.h"
#include "node/firewall/rules.h"

/*
 * The firewall of the cluster: merges the batches of all processes of all nodes, counts by
 * address, net, network, account and secret, and proposes bans to the directory. No clock,
 * thread or random source; fixed memory as in firewall.h (firewall_tally_bytes(), about 36 MB).
 *
 * It lives in the store. Only the one that leads the directory proposes; the others may be fed
 * as well, so that a new leader knows what the old one knew.
 *
 * Time is Unix time in seconds. Where it goes back it counts as standing still.
 *
 * Credit: an address from which an account logged in during the last FIREWALL_CREDIT_S. Bans of
 * nets and networks exempt it (firewall_proposal.exempt); its guesses weigh a tenth at the
 * accounts that it logged in to (the last four are known), a third elsewhere. Repeats of a
 * secret at an account weigh nothing, so a client that retries a forgotten password for days
 * bans nobody. An account that gains addresses faster than a person does gives no credit.
 * Guesses from addresses without credit weigh three times as much at accounts under attack from
 * many addresses, and five times with a secret that is being tried at many accounts.
 *
 * The ladder: 10 minutes, 1 hour, 6 hours, 1 day, 7 days. Who offends again within 30 days of a
 * ban's end is banned for the next longer time; after 30 days it begins anew.
 */
struct firewall_tally;

#define FIREWALL_LADDER_STEPS 5
#define FIREWALL_LADDER_MEMORY_S (30u * 86400)
/* How long a ban of this level (0..FIREWALL_LADDER_STEPS - 1, higher counts as the last) lasts.
 */
uint32_t firewall_ladder_s(unsigned level);

struct firewall_tally_config {
    struct firewall_key seed; /* random; not the digests' key */
    /* Entries of the tables: 64..16,777,216, rounded up to a power of two. */
    uint32_t addresses;
    uint32_t nets;
    uint32_t networks;
    uint32_t accounts;
    uint32_t secrets;
    uint32_t seen;    /* what counts once; 8 bytes each */
    uint32_t credits; /* addresses that logged in */
    uint32_t bans;    /* past and present, for the ladder */
};

/* All but the seed. */
void firewall_tally_config_init(struct firewall_tally_config *config);

struct firewall_tally *firewall_tally_new(const struct firewall_tally_config *config);
void firewall_tally_free(struct firewall_tally **tally);
size_t firewall_tally_bytes(const struct firewall_tally *tally);

/* Copied. They must be valid. */
void firewall_tally_set_settings(struct firewall_tally *tally,
                                 const struct firewall_settings *settings);
/* Borrowed until the next call; NULL: none. What it allows is not counted. */
void firewall_tally_set_list(struct firewall_tally *tally, const struct firewall_list *list);
/* Proposes nothing until told that it leads. Losing the lead forgets what was not yet pulled.
 */
void firewall_tally_set_leading(struct firewall_tally *tally, bool is_leading);

void firewall_tally_merge(struct firewall_tally *tally, const struct firewall_batch *batch,
                          uint64_t now_s);

enum { FIREWALL_EXEMPT_MAX = 256, FIREWALL_PROPOSALS_MAX = 4096 };

struct firewall_ban {
    struct firewall_place place;
    enum firewall_rule_id rule; /* the reason */
    unsigned scope;             /* enum firewall_service bits that are shut */
    uint8_t level;              /* 0..FIREWALL_LADDER_STEPS - 1 */
    uint64_t since_s;
    uint64_t until_s;
    char evidence[FIREWALL_NOTE_SIZE_MAX + 1]; /* "16.0 guesses ..., limit 15 in 1 h" */
    /* Addresses with credit inside, to be entered as EXEMPT with the ban's times: 0 for the ban
     * of an address. They lie in the tally, until the next call on it. */
    const struct firewall_address *exempt;
    size_t
        exempt_count; /* at most FIREWALL_EXEMPT_MAX: where more have credit, no ban is made */
};

/*
 * The next ban to be written into the directory; false if there is none. The tally counts it as
 * made. At most FIREWALL_PROPOSALS_MAX wait; who finds no room is proposed at the next offence.
 */
bool firewall_tally_next(struct firewall_tally *tally, uint64_t now_s,
                         struct firewall_ban *ban);

/* A ban that is, or was, in the directory: of another leader, of before the start, or by hand.
 * Level and end count for the ladder, so the directory keeps bans for FIREWALL_LADDER_MEMORY_S
 * behind their end. */
void firewall_tally_learn(struct firewall_tally *tally, const struct firewall_entry *entry);

/* An operator lifted a ban: all that was counted and banned of the place and of the addresses
 * in it begins anew. Credit stays. */
void firewall_tally_forgive(struct firewall_tally *tally, const struct firewall_place *place);

/* Credit, to outlive the process: written and read by the store as it likes. */
struct firewall_credit {
    struct firewall_address address;
    uint32_t network;
    uint32_t accounts[4]; /* short digests of the digests; 0: none */
    uint64_t at_s;        /* the last log-in */
};

/* Start with *cursor == 0; false at the end. */
bool firewall_tally_credit_next(const struct firewall_tally *tally, size_t *cursor,
                                struct firewall_credit *credit);
/* Ignores what is older than FIREWALL_CREDIT_S. */
void firewall_tally_credit_put(struct firewall_tally *tally,
                               const struct firewall_credit *credit, uint64_t now_s);

struct firewall_tally_counts { /* since the start */
    uint64_t records;
    uint64_t events;
    uint64_t bans;
    uint64_t bans_dropped; /* found no room among the proposals */
    uint64_t
        bans_withheld; /* of nets and networks, where too many have credit or log in well */
    uint64_t evicted;
};
/* Valid until the next call on the tally. */
const struct firewall_tally_counts *firewall_tally_counts(struct firewall_tally *tally);

/* In words, a line each: credit, bans past and present, and each rule that has counted the
 * address (also its net and network), with counter and limit. `network` may be 0. */
void firewall_tally_explain(struct firewall_tally *tally,
                            const struct firewall_address *address, uint32_t network,
                            uint64_t now_s, struct buffer *text);
/* The same of an account, by its digest. */
void firewall_tally_explain_account(struct firewall_tally *tally, uint64_t account,
                                    uint64_t now_s, struct buffer *text);

#endif
