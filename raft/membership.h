/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef RAFT_MEMBERSHIP_H
#define RAFT_MEMBERSHIP_H

#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * The payload of a CHANGE entry, in libraft's encoding. Its own decoder trusts the bytes it is
 * given, so everything from a peer or the disk comes through here first. A member's address is
 * its id in decimal: libraft wants one, the driver resolves by id.
 */
enum {
    MEMBERSHIP_SIZE_MAX = 16 * 1024,
    MEMBERSHIP_ADDRESS_SIZE = 21,
    /* More than these need version 3 on the wire and in the log's states, and version 2 of its
     * records: nodes of the releases before read no more. */
    MEMBERSHIP_FEW = 16,
};

struct membership_member {
    uint64_t id;
    uint8_t role; /* as libraft numbers them: 0 standby, 1 voter, 2 spare */
};

struct membership {
    unsigned count;
    struct membership_member members[512]; /* REPLICATOR_MEMBERS_MAX */
};

/*
 * ERR_MALFORMED unless `payload` is exactly what libraft would encode: known version, 1 to
 * 512 members with different ids, known roles, the addresses above, at least one voter.
 */
MUST_CHECK enum err membership_decode(struct bytes payload, struct membership *membership);

/* Writes at most MEMBERSHIP_SIZE_MAX bytes and returns how many. */
size_t membership_encode(const struct membership *membership, uint8_t *payload);

/* Whether it names more than MEMBERSHIP_FEW. What is no membership does not. */
bool membership_is_wide(struct bytes payload);

/* The position of a member, or the count. */
unsigned membership_find(const struct membership *membership, uint64_t id);
unsigned membership_voters(const struct membership *membership);

void membership_address(uint64_t id, char text[MEMBERSHIP_ADDRESS_SIZE]);

#endif
