/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_POLICY_FACTS_H
#define SMTP_POLICY_FACTS_H

#include "node/base/bytes.h"
#include "node/runtime/address.h"
#include "node/runtime/network_map.h"

/*
 * What is known of a client when its mail is judged. Whatever could not be found out is UNKNOWN
 * and counts for nothing: trouble of the resolver is never the sender's fault.
 */
enum {
    POLICY_NAME_SIZE = 256,
    POLICY_LISTINGS_MAX = 64, /* zones that a connection is looked up in */
    POLICY_LISTED_MAX = 8,    /* answers of one zone that are looked at */
};

enum policy_reverse {
    POLICY_REVERSE_UNKNOWN,
    POLICY_REVERSE_NONE,        /* the address has no name */
    POLICY_REVERSE_UNCONFIRMED, /* it has, but the name does not lead back */
    POLICY_REVERSE_CONFIRMED,
};

/* What DNS knows of the name in HELO. */
enum policy_helo_name {
    POLICY_HELO_UNKNOWN,
    POLICY_HELO_MISSING, /* no address */
    POLICY_HELO_THERE,   /* other addresses */
    POLICY_HELO_FITS,    /* the client's address */
};

struct policy_listing {
    char zone[POLICY_NAME_SIZE];
    bool known; /* the zone has answered, and is one that can be believed */
    uint8_t answers[POLICY_LISTED_MAX][4];
    unsigned count; /* 0: not listed */
};

enum policy_sender {
    POLICY_SENDER_UNKNOWN,
    POLICY_SENDER_GOOD,
    POLICY_SENDER_UNCHECKED, /* its checks took too long: taken all the same */
    POLICY_SENDER_SUSPECT,
};

struct policy_facts {
    struct address client;
    bool unasked;  /* there are no name servers: what they would have said is not known */
    bool familiar; /* its mail was taken here before, without objections */
    enum policy_reverse reverse;
    char name[POLICY_NAME_SIZE]; /* of the client, confirmed or claimed; "": none */
    struct network_facts network;
    const char *hostname; /* ours */
    struct bytes helo;
    enum policy_helo_name helo_name;
    struct policy_listing *listings;
    unsigned listing_count;
    enum policy_sender sender;
};

/* NULL: it was not asked. Zones are in lower case. */
const struct policy_listing *policy_facts_listing(const struct policy_facts *facts,
                                                  struct bytes zone);

#endif
