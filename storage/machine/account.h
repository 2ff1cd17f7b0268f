/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_ACCOUNT_H
#define STORAGE_MACHINE_ACCOUNT_H

#include "storage/db/db.h"
#include "storage/machine/record.h"

/*
 * An account in its mail group and its mailboxes. An account comes into being with the first
 * command that writes to it, with the default mailboxes; until then loading shows what will be
 * made. A purged account stays gone for good.
 */
enum account_state {
    ACCOUNT_NEW,
    ACCOUNT_THERE, /* to be read; account_writable() says whether it takes commands */
    ACCOUNT_GONE,
    ACCOUNT_AWAY /* in another group: nothing of it counts here */
};

/* What an account holds for the scopes that it is counted in, as the rows of these (scope.h)
 * have it. */
struct account_counted {
    uint64_t domain_id;
    uint64_t tenant_id;
    uint64_t messages;
    uint64_t size;
};

struct account {
    uint32_t group;
    uint64_t id;
    enum account_state state;
    struct account_record record;
    struct account_counted counted;
};

struct mailbox {
    uint32_t id;
    struct mailbox_record record; /* its name is not set */
    size_t name_len;
    uint8_t name[MAILBOX_NAME_SIZE_MAX];
};

enum { DEFAULT_MAILBOX_COUNT = 6 };

void account_load(struct db_txn *txn, uint32_t group, uint64_t account_id,
                  struct account *account);
/* Before the first write to any of its rows: a new account gets its default mailboxes. Not for
 * one that is gone. */
void account_make(struct db_txn *txn, struct account *account);
/* Also moves what its domain and its tenant hold by what has changed since the last load or
 * store: the one place where they are counted. */
void account_store(struct db_txn *txn, struct account *account);

/* Returns false when there is none. Id 0 is the INBOX. */
bool mailbox_load(struct db_txn *txn, const struct account *account, uint32_t mailbox_id,
                  struct mailbox *mailbox);
void mailbox_store(struct db_txn *txn, const struct account *account,
                   const struct mailbox *mailbox);
/* Of a name as it lies in the table (mailbox_name.h). Returns false when the name has no row.
 */
bool mailbox_name_load(struct db_txn *txn, const struct account *account, struct bytes name,
                       struct name_record *record);
/* A record with no mailbox and no subscription removes the row. Keeps account->record.names. */
void mailbox_name_store(struct db_txn *txn, struct account *account, struct bytes name,
                        struct name_record record);

/* A mailbox that nothing was ever in. */
void mailbox_init(const struct account *account, uint32_t mailbox_id, uint8_t special,
                  struct bytes name, struct mailbox *mailbox);
/* The default mailbox of number 1 to DEFAULT_MAILBOX_COUNT. */
void mailbox_default(const struct account *account, uint32_t mailbox_id,
                     struct mailbox *mailbox);
struct bytes mailbox_name(const struct mailbox *mailbox);

#endif
