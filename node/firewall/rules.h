/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_RULES_H
#define NODE_FIREWALL_RULES_H

#include <stdbool.h>

#include "node/base/bytes.h"
#include "node/firewall/event.h"

/*
 * The rules of the firewall, one table for both halves: those of a process (firewall.h), which
 * answer at once, and those of the cluster (tally.h), which ban. A rule counts one thing for
 * one kind of key. Its counter fades: what was counted t seconds ago weighs exp(-t / window).
 * It strikes when the counter passes the limit: `limit` events in a row are free, and after
 * that about `limit` in each window.
 */
enum firewall_keyed {
    FIREWALL_BY_ADDRESS,
    FIREWALL_BY_NET,     /* IPv4 /24, IPv6 /64 */
    FIREWALL_BY_NETWORK, /* autonomous system; addresses whose system is unknown are not counted
                          */
    FIREWALL_BY_ACCOUNT,
    FIREWALL_BY_SECRET, /* one secret, tried anywhere; in the cluster only */
    FIREWALL_KEYED_COUNT
};

enum firewall_counted {
    FIREWALL_OPEN,        /* connections that are open now; does not fade, has no window */
    FIREWALL_CONNECTIONS, /* that were opened */
    FIREWALL_COMMANDS,
    FIREWALL_MESSAGES,
    FIREWALL_RECIPIENTS,
    FIREWALL_UNKNOWNS,  /* recipients that do not exist; good ones: all others */
    FIREWALL_NULLS,     /* recipients of messages from <>; good ones: other recipients */
    FIREWALL_FAILURES,  /* failed log-ins, each one */
    FIREWALL_GUESSES,   /* failed log-ins with a secret that this address has not tried at this
                           account within a day. By what is known of address, account and secret
                           it weighs more or less than 1: see credit in firewall.h and tally.h */
    FIREWALL_ACCOUNTS,  /* different accounts at which guesses were made */
    FIREWALL_ADDRESSES, /* different addresses without credit that made guesses; good ones:
                           addresses that logged in */
    FIREWALL_ERRORS,    /* of protocol */
    FIREWALL_EARLY,     /* early talks */
    FIREWALL_FLOODS,    /* local bans, by any process */
    FIREWALL_ARRIVALS,  /* different addresses that logged in to an account */
    FIREWALL_BANS,      /* addresses that the cluster banned */
    FIREWALL_COUNTED_COUNT
};

/* In the order of severity. */
enum firewall_action {
    FIREWALL_PASS,
    FIREWALL_WEIGH, /* the cluster's guesses here weigh more (a table's row only, no verdict) */
    FIREWALL_DELAY, /* the answer is held back for delay_ms */
    FIREWALL_DEFER, /* refused for now: 421 4.7.0, or 450 where only a recipient is refused */
    FIREWALL_REFUSE, /* refused: 554 5.7.1, and closed */
    FIREWALL_BAN,    /* a table's row only; the verdict is REFUSE. Of a process: for so long in
                        that process; of the cluster: proposed to the directory, escalating */
};

/* Stable numbers, since bans in the directory name their rule: add at the end of a half only.
 */
enum firewall_rule_id {
    FIREWALL_NO_RULE,
    /* of a process */
    FIREWALL_ADDRESS_OPEN,
    FIREWALL_NET_OPEN,
    FIREWALL_NETWORK_OPEN,
    FIREWALL_ACCOUNT_OPEN,
    FIREWALL_ADDRESS_CONNECTIONS,
    FIREWALL_NET_CONNECTIONS,
    FIREWALL_NETWORK_CONNECTIONS,
    FIREWALL_ADDRESS_CONNECTION_FLOOD,
    FIREWALL_ADDRESS_COMMANDS,
    FIREWALL_ADDRESS_MESSAGES,
    FIREWALL_NET_MESSAGES,
    FIREWALL_ADDRESS_RECIPIENTS,
    FIREWALL_NET_RECIPIENTS,
    FIREWALL_ADDRESS_UNKNOWNS,
    FIREWALL_ADDRESS_HARVEST,
    FIREWALL_ADDRESS_NULLS,
    FIREWALL_ACCOUNT_NULLS,
    FIREWALL_ADDRESS_FAILURES,
    FIREWALL_ADDRESS_GUESSES,
    FIREWALL_NET_GUESSES,
    FIREWALL_NETWORK_GUESSES,
    FIREWALL_ACCOUNT_GUESSES,
    FIREWALL_ADDRESS_ERRORS,
    FIREWALL_ADDRESS_ERROR_FLOOD,
    FIREWALL_ADDRESS_EARLY,
    /* of the cluster; the numbers before are kept for more of a process */
    FIREWALL_CLUSTER_FIRST = 64,
    FIREWALL_CLUSTER_GUESSES = FIREWALL_CLUSTER_FIRST,
    FIREWALL_CLUSTER_GUESSES_SLOW,
    FIREWALL_CLUSTER_SPRAY,
    FIREWALL_CLUSTER_NET_GUESSES,
    FIREWALL_CLUSTER_NET_BANS,
    FIREWALL_CLUSTER_NETWORK_GUESSES,
    FIREWALL_CLUSTER_ACCOUNT_ATTACKED,
    FIREWALL_CLUSTER_SECRET_SPRAYED,
    FIREWALL_CLUSTER_HARVEST,
    FIREWALL_CLUSTER_NET_HARVEST,
    FIREWALL_CLUSTER_NULLS,
    FIREWALL_CLUSTER_EARLY,
    FIREWALL_CLUSTER_ERRORS,
    FIREWALL_CLUSTER_FLOODS,
    FIREWALL_CLUSTER_ACCOUNT_ROAMING,
    FIREWALL_RULE_COUNT
};

struct firewall_rule {
    const char *name; /* "address-open": for the CLI and the directory; never changed */
    enum firewall_keyed keyed;
    enum firewall_counted counted;
    enum firewall_action action;
    uint32_t limit;    /* strikes above it; 0: the rule is off */
    uint32_t limit_v6; /* of a rule by net, for an IPv6 /64; else 0 */
    uint32_t window_s;
    uint32_t
        share_percent; /* strikes only if so much of good and bad together is bad; 0: always */
    uint32_t delay_ms; /* DELAY */
    uint32_t ban_s;    /* BAN of a process; the cluster's bans go by the ladder of tally.h */
    unsigned
        scope; /* BAN: the enum firewall_service bits that it shuts; 0: those of the cause */
    const char *reply; /* for the client, one line of ASCII, no code in front */
    const char *help;  /* for the operator: what it counts and why */
};

/* Not every number below FIREWALL_RULE_COUNT is a rule. */
bool firewall_rule_exists(unsigned id);
/* A constant. `id` must exist. */
const struct firewall_rule *firewall_rule(enum firewall_rule_id id);
/* By name; FIREWALL_NO_RULE if there is none. */
enum firewall_rule_id firewall_rule_find(struct bytes name);
bool firewall_rule_is_cluster(enum firewall_rule_id id);
const char *firewall_action_name(enum firewall_action action);
const char *firewall_keyed_name(enum firewall_keyed keyed);
const char *firewall_counted_name(enum firewall_counted counted);

/* How long a successful log-in speaks for its address. */
#define FIREWALL_CREDIT_S (14u * 86400)

/* The limits in force: the table's, where the directory says nothing else. */
struct firewall_settings {
    struct {
        uint32_t limit;    /* 0: off */
        uint32_t limit_v6; /* of a rule by net; 0: off for IPv6 */
        uint32_t window_s; /* 1..FIREWALL_WINDOW_MAX_S; not of rules that count FIREWALL_OPEN */
    } of[FIREWALL_RULE_COUNT];
};

#define FIREWALL_LIMIT_MAX 10000000u
#define FIREWALL_WINDOW_MAX_S (7u * 86400)

void firewall_settings_init(struct firewall_settings *settings);
/* Whether each number is within its range. Settings from outside are asked before they are
 * used. */
bool firewall_settings_are_valid(const struct firewall_settings *settings);

#endif
