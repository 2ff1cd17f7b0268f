/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_VIEW_H
#define STORAGE_QUERY_VIEW_H

#include "node/base/buffer.h"
#include "storage/db/key.h"
#include "storage/machine/keyword.h"
#include "storage/machine/message.h"
#include "storage/query/mail.h"

/* What the files of this folder share. */

/* The account and one of its mailboxes; false when there is no such mailbox. */
bool query_load(struct db_txn *txn, struct query_account account, uint32_t mailbox_id,
                struct account *loaded, struct mailbox *mailbox);

/* All live uids: the closed ranges, then the tail. */
void query_live(struct db_txn *txn, const struct account *account,
                const struct mailbox *mailbox, struct arena *arena, struct range_list *uids);

/* What a query returns: an error of the transaction before all. */
enum err query_error(struct db_txn *txn, bool found);

Pr__MailboxInfo *query_info(struct arena *arena, const struct mailbox *mailbox,
                            bool subscribed);
void query_keywords(struct db_txn *txn, const struct account *account,
                    const struct mailbox *mailbox, struct arena *arena, char ***keywords,
                    size_t *count);

/* A list of messages that grows in an arena. */
struct info_list {
    Pr__MessageInfo **at;
    size_t count;
    size_t room;
};
/* Adds the fixed fields. The room that a message takes in an answer is at most about
 * INFO_SIZE_MAX, without summary and blocks. */
enum { INFO_SIZE_MAX = 80 };
Pr__MessageInfo *query_message_info(struct arena *arena, struct info_list *list, uint32_t uid,
                                    const struct message_record *message);

/* One block of a body, appended as it is stored. Returns false when it is not there. */
bool query_block(struct db_txn *txn, uint32_t group, uint64_t blob, uint32_t block,
                 struct buffer *frame);

#endif
