/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_ADDRESSES_FIND_H
#define STORAGE_QUERY_ADDRESSES_FIND_H

#include "storage/query/addresses.h"
#include "storage/schema/address.h"

/* Whose an address is: one step, without what it stands for. */
enum address_kind {
    ADDRESS_REMOTE,    /* its domain is not ours */
    ADDRESS_ACCOUNT,   /* `account` */
    ADDRESS_ALIAS,     /* `alias`, plain or a list */
    ADDRESS_OF_LIST,   /* `alias` is the list; mail for its owner */
    ADDRESS_REWRITTEN, /* of the form of rewritten senders */
    ADDRESS_UNKNOWN,   /* of our domain, and nobody's */
};

struct address_found {
    enum address_kind kind;
    /* Of the account, alias or list; else as it was asked for, at the domain that its domain
     * stands for. */
    struct bytes address;
    struct bytes local;             /* as it was asked for, with its sub-address */
    const Pr__DomainRecord *domain; /* NULL: not ours, or the cluster's own account */
    const Pr__AccountRecord *account;
    const Pr__AliasRecord *alias;
    bool by_domain; /* its domain stands for another */
    bool by_sub_address;
};

/* False: it is no address. */
bool address_find(struct db_txn *txn, struct bytes address, struct arena *arena,
                  struct address_found *found);

#endif
