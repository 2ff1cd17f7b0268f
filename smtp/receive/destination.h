/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RECEIVE_DESTINATION_H
#define SMTP_RECEIVE_DESTINATION_H

#include "node/base/arena.h"
#include "store.pb-c.h"

/*
 * Where the recipients of one transaction lead: an address may stand for many, here and on
 * other hosts (aliases, lists, forwards). The engine keeps a number for each recipient; this
 * keeps what is behind it.
 */
enum {
    /* In one transaction, beside the message as it came: what each list makes of it, and what
     * each address that sends it on to other hosts does (copies.h). */
    DESTINATION_WORDINGS_MAX = 15,
};

struct destination_target {
    uint64_t account_id; /* 0: on another host */
    struct bytes remote;
    struct bytes sender;         /* that it leaves with; empty: the envelope's */
    uint64_t forward_account_id; /* whose forward it is; 0: an alias's */
    bool from_list;
    bool named; /* by the client itself: as it wrote it, with its own sender */
};

struct destination {
    struct bytes address; /* of RCPT, folded */
    struct destination_target *targets;
    size_t count;
    struct bytes list; /* through whose list some targets come; empty: none */
    struct bytes list_description;
    struct bytes list_owner;
    uint32_t group; /* takes a message without any account */
    bool role;      /* abuse@, postmaster@ */
};

struct destinations {
    struct arena arena;
    struct destination **at;
    size_t count;
    size_t room;
    size_t targets;  /* of all */
    size_t wordings; /* that they need, beside the message as it came */
};

void destinations_init(struct destinations *destinations);
void destinations_fini(struct destinations *destinations);
/* Another transaction begins. */
void destinations_clear(struct destinations *destinations);

/* Leaves the cluster through an address of ours: it gets the message with a mark by which that
 * address knows it again. What the client itself named is no such thing. */
bool destination_target_marked(const struct destination_target *target);

/*
 * Keeps what the store said of an address and returns its number, from 1 on; 0 when the
 * transaction would have more than DELIVER_RECIPIENTS_MAX targets, or need more than
 * DESTINATION_WORDINGS_MAX wordings. A store that names an
 * account and no targets (it knows no others yet) means that account.
 */
uint64_t destinations_add(struct destinations *destinations, struct bytes address,
                          const Pr__ResolveAnswer *answer);
const struct destination *destinations_get(const struct destinations *destinations,
                                           uint64_t number);

#endif
