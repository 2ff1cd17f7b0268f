/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_ZONES_H
#define SMTP_POLICY_ZONES_H

#include "node/runtime/dns.h"
#include "smtp/policy/facts.h"

/*
 * Whether lists of DNS (RFC 5782) can be believed. A list that is given up often answers for
 * every address, and one that does not like who asks answers 127.255.255.x: both would refuse
 * the world. So each is asked now and then for 127.0.0.1, or for the name "invalid", which no
 * list may have (section 5).
 */
struct zones;

enum {
    ZONES_MAX = 128,                /* beyond: those that come later are not asked */
    ZONE_ALIVE_MS = 60 * 60 * 1000, /* how long an answer holds */
    ZONE_DEAD_MS = 10 * 60 * 1000,  /* and one of a list that is not to be believed */
    ZONE_TROUBLE_MS = 60 * 1000,    /* and when nobody could answer */
};

/* What a list has; one that has both counts as two. */
enum zone_kind { ZONE_OF_ADDRESSES, ZONE_OF_NAMES };

enum zone_state { ZONE_CHECKING, ZONE_ALIVE, ZONE_DEAD };

/* `changed` comes when a check has ended, never inside a call. */
struct zones *zones_new(struct dns *dns, void (*changed)(void *context), void *context);
void zones_free(struct zones **zones);

/* Begins a check when there is need of one; while one that was alive is checked again it stays
 * alive. */
enum zone_state zones_look(struct zones *zones, enum zone_kind kind, struct bytes zone,
                           uint64_t now_ms);

/* An answer of the list shows that it is not to be believed: 127.255.255.x, or
 * nothing of 127.0.0.0/8. It is dead from now on. */
void zones_doubt(struct zones *zones, enum zone_kind kind, struct bytes zone, uint64_t now_ms);
bool zones_answer_dead(const uint8_t answer[4]);

#endif
