/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_ADDRESSES_H
#define STORAGE_QUERY_ADDRESSES_H

#include "node/base/arena.h"
#include "record.pb-c.h"
#include "storage/db/db.h"
#include "store.pb-c.h"

/*
 * Where mail for an address goes, by the directory. An address of ours is looked for in this
 * order: as it is (account, alias, list); as an address of a list's owner or for its bounces;
 * as a rewritten sender (node/mail/srs.h); without what is behind a separator, the longest name
 * first; abuse@ and postmaster@ as the setting mail.postmaster says, else the cluster's own
 * account; the domain's catch-all, or the host that gets what is not known. A domain that
 * stands for another has the addresses of that one.
 *
 * What an address stands for is expanded until only accounts and addresses of other hosts are
 * left, each once. Ends that are dead (a removed account, a disabled alias, a list within a
 * list that the sender may not write to, a way back to where it came from) are passed over as
 * long as anything is left; the answer then is what was wrong first. An account whose forward
 * leads back to itself keeps the message. But nothing is lost because of a limit, and what
 * would have to leave the cluster and must not is refused as a whole, unless the account that
 * forwards it keeps it as well.
 */
enum {
    ADDRESSES_DEPTH_MAX = 10,
    ADDRESSES_LOOKS_MAX = 5000, /* addresses that are looked at for one question */
};

struct addresses_question {
    struct bytes address; /* folded */
    struct bytes sender;  /* of the envelope, folded; empty: the null sender */
    bool any_sender; /* nobody in particular: all may write to lists, nothing is rewritten */
    int64_t now_s;   /* since 1970 */
    bool explain;
};

/* An account that gets it, in the order of those targets that are accounts. */
struct addresses_account {
    const Pr__AccountRecord *record;
    uint32_t group;
};

struct addresses_answer {
    /* Ready to be sent, but for what depends on the usage of accounts (QUOTA, permanent). With
     * DENIED: trouble and permanent. */
    Pr__ResolveAnswer message;
    struct addresses_account *accounts;
    size_t account_count;
    char **steps; /* when it was asked to explain; words for operators */
    size_t step_count;
};

/*
 * ERR_OK: there are targets. ERR_NOTFOUND: nobody has the address (message.domain_local says
 * whether the domain is ours). ERR_DENIED. Else the transaction's error. Everything lives in
 * `arena`. Linear in what is looked at.
 */
enum err addresses_resolve(struct db_txn *txn, const struct addresses_question *question,
                           struct arena *arena, struct addresses_answer *answer);

/*
 * Whether the account may send as an address (folded): its own, with a sub-address or by a
 * domain that stands for its own too; an alias, but no list, that has the account's address
 * among its targets; what it was given the right to (AccountRecord.send_as). Not who is barred
 * from sending. Errors are the transaction's.
 */
bool addresses_may_send(struct db_txn *txn, const Pr__AccountRecord *account,
                        struct bytes address, struct arena *arena);

/* Whether mail to a full account is refused for good: the setting mail.full, else the mail
 * policy. */
bool addresses_full_permanent(struct db_txn *txn, const Pr__AccountRecord *account,
                              struct arena *arena);

#endif
