/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_MAIL_H
#define STORAGE_QUERY_MAIL_H

#include "node/base/arena.h"
#include "storage/db/db.h"
#include "store.pb-c.h"

/*
 * Reads of an account's mail, in one read transaction each. The answers are the messages of
 * store.proto, in `arena` (values in them may point into the transaction). ERR_NOTFOUND: no
 * such mailbox (or message). Thread-safe.
 */
enum {
    QUERY_ANSWER_BYTES_DEFAULT = 256 * 1024,
    QUERY_ANSWER_BYTES_MAX = 4 * 1024 * 1024,
    QUERY_SEARCH_WORK_BYTES =
        64 * 1024 * 1024, /* of bodies and summaries looked at in one call */
    QUERY_SEARCH_KEYS_MAX = 256,
    QUERY_SEARCH_DEPTH_MAX = 16,
};

struct query_account {
    uint32_t group;
    uint64_t account_id;
};

/* An account that nothing was ever written to has the default mailboxes too, with ids as they
 * will be made. */
enum err query_mailbox_list(struct db_txn *txn, struct query_account account,
                            const Pr__MailboxList *call, struct arena *arena,
                            Pr__MailboxListAnswer *answer);
enum err query_mailbox_open(struct db_txn *txn, struct query_account account,
                            const Pr__MailboxOpen *call, struct arena *arena,
                            Pr__MailboxOpenAnswer *answer);
enum err query_changes(struct db_txn *txn, struct query_account account,
                       const Pr__Changes *call, struct arena *arena, Pr__ChangesAnswer *answer);
enum err query_fetch(struct db_txn *txn, struct query_account account, const Pr__Fetch *call,
                     struct arena *arena, Pr__FetchAnswer *answer);
enum err query_body_read(struct db_txn *txn, struct query_account account,
                         const Pr__BodyRead *call, struct arena *arena,
                         Pr__BodyReadAnswer *answer);
enum err query_search(struct db_txn *txn, struct query_account account, const Pr__Search *call,
                      struct arena *arena, Pr__SearchAnswer *answer);
/* Messages and bytes of the whole account. */
void query_account_usage(struct db_txn *txn, struct query_account account, uint64_t *messages,
                         uint64_t *size);
/* `quota` is the directory's to say and stays as it is. */
enum err query_quota(struct db_txn *txn, struct query_account account,
                     Pr__QuotaReadAnswer *answer);
/* A page of what can be brought back: as much as one Undelete takes. */
enum err query_expunged(struct db_txn *txn, struct query_account account,
                        const Pr__ExpungedList *call, struct arena *arena,
                        Pr__ExpungedListAnswer *answer);
/* 0 when there is no such mailbox. */
uint64_t query_highest_modseq(struct db_txn *txn, struct query_account account,
                              uint32_t mailbox_id);

/* For the leader's duties: hand-overs by id behind `after`, the entry to push (a packed log
 * entry each). */
struct query_handover {
    uint64_t now_ms; /* set by the caller: the clock of the entries; 0: the delivery's time */
    uint64_t id;
    uint32_t group;
    struct bytes *entries; /* UploadBlock commands if the body is large, then the Deliver */
    size_t entry_count;
};
bool query_handover_next(struct db_txn *txn, uint32_t group, uint64_t after,
                         struct arena *arena, struct query_handover *handover);
/* Whether there are uploads begun before that. */
bool query_uploads_stale(struct db_txn *txn, uint32_t group, uint64_t before_ms);
/* Whether something is doomed, and whether messages were expunged before that: of the account
 * *from, perhaps of others behind it. */
bool query_tick_due(struct db_txn *txn, uint32_t group);
bool query_expunged_due(struct db_txn *txn, uint32_t group, uint64_t before_ms, uint64_t *from);

#endif
