/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_FIREWALL_FIREWALL_INTERNAL_H
#define NODE_FIREWALL_FIREWALL_INTERNAL_H

#include "node/firewall/counters.h"
#include "node/firewall/firewall.h"
#include "node/firewall/outbox.h"

enum { FIREWALL_TICKS_PER_S = 10, FIREWALL_TABLES = FIREWALL_BY_ACCOUNT + 1 };

struct firewall {
    struct firewall_config config;
    struct counters counters;
    struct table tables[FIREWALL_TABLES]; /* by enum firewall_keyed */
    struct seen seen;
    struct outbox outbox;
    const struct firewall_list *list;
    uint32_t list_round; /* counts up with each list */
    uint32_t delayed;
    uint64_t first_ms;
    uint32_t tick;
    bool is_started;
    struct firewall_counts counts;
};

/* Starts at 1. */
uint32_t firewall_tick(struct firewall *firewall, uint64_t now_ms);

struct firewall_address firewall_key_of(enum firewall_keyed keyed,
                                        const struct firewall_address *address,
                                        uint32_t network, uint64_t account);

/* The connection's slot, touched; NULL where there is none to count in (an unknown network, no
 * account). A slot that was lost meanwhile is made again. */
struct table_slot *firewall_slot(struct firewall *firewall, struct firewall_conn *conn,
                                 enum firewall_keyed keyed);

/* What one event adds: to each counter that counts it. */
struct firewall_change {
    struct firewall_conn *conn;
    enum firewall_counted counted;
    uint64_t account; /* whose slot the rules by account count in */
    float amount;
    bool has_credit; /* rules by net and network do not strike */
};

/* Counts, and makes `verdict` harder where a rule strikes. */
void firewall_count(struct firewall *firewall, const struct firewall_change *change,
                    struct firewall_verdict *verdict);
void firewall_harden(struct firewall_verdict *verdict, unsigned rule);
/* The last word: too many delays are a refusal. Counts it. */
struct firewall_verdict firewall_pronounce(struct firewall *firewall,
                                           struct firewall_conn *conn,
                                           struct firewall_verdict verdict);
/* What the list and bans of this process say of a connection before anything is counted. */
struct firewall_verdict firewall_standing(struct firewall *firewall, struct firewall_conn *conn,
                                          uint64_t now_s);

void firewall_count_failure(struct firewall *firewall, struct firewall_conn *conn,
                            uint64_t account, uint32_t secret, uint32_t count,
                            struct firewall_verdict *verdict);
void firewall_count_login(struct firewall *firewall, struct firewall_conn *conn,
                          uint64_t account, struct firewall_verdict *verdict);

#endif
