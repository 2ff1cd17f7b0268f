/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_ADDRESSES_EXPAND_H
#define STORAGE_QUERY_ADDRESSES_EXPAND_H

#include "storage/query/addresses_find.h"
#include "storage/schema/text_set.h"

/*
 * What sends a message on: an alias, a list, an account's forward, a domain. Its targets point
 * to it, so that the way back to the recipient is known. Invariants:
 * (1) A way has ADDRESSES_DEPTH_MAX origins at the most, behind the first, which is nobody.
 * (2) Each address is expanded once: all are in `seen`. ADDRESSES_LOOKS_MAX are looked at.
 */
struct origin {
    struct origin *before; /* NULL: the first */
    unsigned depth;
    struct bytes address;
    const Pr__DomainRecord *domain;
    const Pr__AccountRecord *forward; /* an account's, else NULL */
    bool keeps;                       /* that account has its copy */
    const Pr__AliasRecord *list;      /* the last list on the way */
    const Pr__AliasRecord *first_list;
    uint32_t group;
    /* Of mail to other hosts, when it was needed first. */
    bool asked;
    bool open;           /* it may leave */
    bool forwards;       /* and accounts may make it leave */
    struct bytes sender; /* that it leaves with; empty: the envelope's */
};

struct look {
    struct bytes address;
    struct origin *origin;
    const struct address_found *found; /* NULL: not yet */
};

struct resolver {
    struct db_txn *txn;
    struct arena *arena;
    const struct addresses_question *question;
    struct addresses_answer *answer;
    struct text_set seen;
    struct look *looks; /* a queue: those up to `looked` are done */
    size_t look_count;
    size_t looked;
    size_t looks_room;
    size_t steps_room;
    bool refused; /* whatever else is left */
};

/* What was wrong first is what is told. */
void resolver_trouble(struct resolver *resolver, Pr__ResolveAnswer__Trouble trouble,
                      bool permanent);
/* The whole message is refused. */
void resolver_refuse(struct resolver *resolver, Pr__ResolveAnswer__Trouble trouble);
void resolver_push(struct resolver *resolver, struct origin *origin, struct bytes address);
__attribute__((format(printf, 2, 3))) void resolver_step(struct resolver *resolver,
                                                         const char *format, ...);
struct origin *resolver_origin(struct resolver *resolver, struct origin *before,
                               const struct address_found *found);

/* One address of the queue. */
void resolver_look(struct resolver *resolver, const struct look *look);
void resolver_account_add(struct resolver *resolver, const struct origin *origin,
                          const Pr__AccountRecord *account);
/* An address on another host, or the reason why it cannot be. */
void resolver_remote_add(struct resolver *resolver, struct origin *origin,
                         struct bytes address);
/* The address that a rewritten sender was; false: it is none of ours, or too old. */
bool resolver_rewritten(struct resolver *resolver, const struct address_found *found,
                        struct bytes *address);
Pr__ResolvedTarget *resolver_target(struct resolver *resolver, const struct origin *origin);

#endif
