/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_MESSAGE_H
#define STORAGE_MACHINE_MESSAGE_H

#include "storage/machine/account.h"
#include "storage/machine/apply.h"

/*
 * Messages in mailboxes. These keep, in the caller's account and mailbox records (which the
 * caller stores at the end): counts, sizes, modseqs, uid_next and the tail of live uids; and in
 * the tables: messages, deleted, changes and closed uid ranges.
 */

/* The uids are used up, or the mailbox has room. */
bool message_fits(const struct mailbox *mailbox, uint64_t count);

/* A new message of flags, blob, size, dates and email id; gives it uid, modseq and `made`.
 * Returns the uid. The reference to the blob is the caller's work. */
uint32_t message_add(struct apply *apply, struct account *account, struct mailbox *mailbox,
                     struct message_record *message);

/* Writes new flags and a new modseq, and the change row. */
void message_flags_set(struct apply *apply, struct account *account, struct mailbox *mailbox,
                       uint32_t uid, struct message_record *message, uint64_t flags);

/* A message as found. */
struct message {
    uint32_t uid;
    struct message_record record;
};

/* The live messages among the ranges, ascending, in the arena. Returns false when
 * they are more than `max`. */
bool message_collect(struct apply *apply, const struct account *account, uint32_t mailbox_id,
                     const struct range_list *ranges, size_t max, struct message **messages,
                     size_t *count);

/*
 * Takes messages, ascending, out of a mailbox; with `keep` they can be brought back
 * (expunged.h), else their bodies are released. Where no live message lies between two of them,
 * one change row does for both (it then names dead uids too). Appends to `removed`.
 */
void message_remove(struct apply *apply, struct account *account, struct mailbox *mailbox,
                    const struct message *messages, size_t count, bool keep,
                    struct range_list *removed);

/* Drops the oldest change rows of expunged messages while there are more than a mailbox keeps;
 * a client that asks for changes from before then is told all dead uids. */
void change_trim(struct apply *apply, const struct account *account, struct mailbox *mailbox);

/* Whether there is a live message with first <= uid <= last. */
bool uid_any(struct db_txn *txn, const struct account *account, uint32_t mailbox_id,
             uint32_t first, uint32_t last);
/* Takes uids out of the live ranges. */
void uid_remove(struct apply *apply, const struct account *account, struct mailbox *mailbox,
                uint32_t first, uint32_t last);

#endif
