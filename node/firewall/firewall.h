/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_FIREWALL_H
#define NODE_FIREWALL_FIREWALL_H

#include "node/firewall/batch.h"
#include "node/firewall/digest.h"
#include "node/firewall/firewall_list.h"
#include "node/firewall/rules.h"

/*
 * The firewall of one front-end process: told what its clients do, it answers with verdicts,
 * and collects what the cluster should know (firewall_take_batch). No socket, clock, thread or
 * random source. Memory is allocated at the start and does not grow: tables of fixed size, in
 * which what was not seen for longest makes room, addresses with open connections, bans or
 * credit last. With the sizes of firewall_config_init(): see firewall_bytes(), under 16 MB.
 *
 * Time: `now_ms` is monotonic, from any start. It may stand still; where it goes back it counts
 * as standing still, and where it jumps ahead counters fade and local bans end. `now_s` is Unix
 * time, for the list.
 *
 * Credit: an address that logged in during the last FIREWALL_CREDIT_S, as this process saw, or
 * that the list calls EXEMPT. Rules by net and network do not strike it, delays of log-ins at
 * an attacked account do not either, it may have ten times as many connections, and its guesses
 * weigh less: a tenth at the account that it logged in to, a third elsewhere. Locks are per
 * source; no rule locks an account.
 */
struct firewall;

struct firewall_config {
    struct firewall_key seed; /* random, of this process; not the digests' key */
    /* Entries of the tables: 64..16,777,216, rounded up to a power of two. */
    uint32_t addresses; /* several times the connections that can be open */
    uint32_t nets;
    uint32_t networks;
    uint32_t accounts;
    uint32_t secrets_seen; /* (address, account, secret) that count once; 8 bytes each */
    uint32_t delayed_max;  /* answers held back at a time; beyond it DELAY becomes DEFER */
    /* The autonomous system of an address, 0: not known. May be NULL. Called once a connection.
     */
    uint32_t (*network_of)(void *context, const struct firewall_address *address);
    void *context;
};

/* All but the seed and the callback. */
void firewall_config_init(struct firewall_config *config);

/* `config` is copied. */
struct firewall *firewall_new(const struct firewall_config *config);
void firewall_free(struct firewall **firewall);
size_t firewall_bytes(const struct firewall *firewall);

/* Copied. They must be valid. */
void firewall_set_settings(struct firewall *firewall, const struct firewall_settings *settings);

/* Borrowed until the next call; NULL: none. Open connections meet the new list at their next
 * event. */
void firewall_set_list(struct firewall *firewall, const struct firewall_list *list);

/* An operator lifted a ban: what was counted and banned here of the place, and of what lies in
 * it, begins anew. Looks at all entries. */
void firewall_forgive(struct firewall *firewall, const struct firewall_place *place);

struct firewall_now {
    uint64_t ms; /* monotonic */
    uint64_t s;  /* Unix time */
};

struct firewall_verdict {
    enum firewall_action action; /* PASS, DELAY, DEFER or REFUSE */
    uint32_t delay_ms; /* how long the answer is to be held back; over 0 for DELAY only */
    enum firewall_rule_id rule; /* what struck; FIREWALL_NO_RULE: the list, or nothing */
    bool close;    /* close after the reply: all DEFER and REFUSE but those of one recipient */
    unsigned code; /* SMTP: 421, 450, 554; 0 for PASS and DELAY */
    const char *status; /* enhanced code (RFC 3463), "4.7.0"; "" for PASS and DELAY */
    const char *reply;  /* text for the client, a constant; "" for PASS and DELAY */
};

/*
 * A client's connection, in the caller's memory; nobody else looks inside. From
 * firewall_opened(), whatever it answers, to firewall_closed().
 */
struct firewall_conn {
    struct firewall_address address;
    uint64_t account;
    uint32_t network;
    uint32_t list_round;
    uint32_t slot[4];       /* by address, net, network, account */
    uint32_t generation[4]; /* of that slot; 0: none */
    uint8_t service;
    uint8_t kind;   /* what the list says of it, enum firewall_entry_kind or 0 */
    uint8_t action; /* DEFER or REFUSE once it was refused; what follows is not counted */
    uint8_t rule;   /* the reason */
    bool is_counted;
    bool is_delayed;
};

struct firewall_verdict firewall_opened(struct firewall *firewall, struct firewall_conn *conn,
                                        const struct firewall_address *address,
                                        enum firewall_service service, struct firewall_now now);
void firewall_closed(struct firewall *firewall, struct firewall_conn *conn);

/* Its address is allowed by hand, or has credit. */
bool firewall_conn_has_credit(struct firewall *firewall, struct firewall_conn *conn);

/*
 * `event` happened `count` (1 or more) times. `account` and `secret` are digests, or 0. The
 * verdict is about the answer to what just happened. FIREWALL_LOGIN binds the connection to its
 * account (open connections by account), once.
 */
struct firewall_verdict firewall_happened(struct firewall *firewall, struct firewall_conn *conn,
                                          enum firewall_event event, uint64_t account,
                                          uint32_t secret, uint32_t count,
                                          struct firewall_now now);

/*
 * Before a password is looked at: may this client try at this account now? PASS; DELAY where
 * sources without credit have to wait because the account or their network is under attack;
 * DEFER or REFUSE for who has guessed too much. Counts nothing.
 */
struct firewall_verdict firewall_may_log_in(struct firewall *firewall,
                                            struct firewall_conn *conn, uint64_t account,
                                            struct firewall_now now);

/* The answer of a DELAY was sent. Each DELAY is to be followed by this or firewall_closed();
 * the next DELAY of the same connection before that counts once. */
void firewall_resumed(struct firewall *firewall, struct firewall_conn *conn);
uint32_t firewall_delayed(const struct firewall *firewall);

/*
 * What happened since the last call, for the stores. `wire` gets one encoded batch (batch.h);
 * false, and nothing, if there was nothing. firewall_batch_is_due(): over half full, call
 * before the next few seconds are over. What does not fit is dropped and counted.
 */
bool firewall_take_batch(struct firewall *firewall, struct buffer *wire);
bool firewall_batch_is_due(const struct firewall *firewall);

struct firewall_counts { /* since the start */
    uint64_t passed;
    uint64_t struck[FIREWALL_RULE_COUNT]; /* verdicts other than PASS, by rule */
    uint64_t listed;                      /* refusals by the list */
    uint64_t undelayed; /* DELAY that became DEFER since too many were held back */
    uint64_t evicted;   /* entries that made room for others */
    uint64_t dropped;   /* records that found no room in the batch */
};
/* Valid until the next call on the firewall. */
const struct firewall_counts *firewall_counts(struct firewall *firewall);

/* In words, a line each: what the list has of the address, and each rule that has counted it
 * (also its net and network), with counter and limit. */
void firewall_explain(struct firewall *firewall, const struct firewall_address *address,
                      struct firewall_now now, struct buffer *text);

#endif
