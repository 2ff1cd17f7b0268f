/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_DB_DB_H
#define STORAGE_DB_DB_H

#include "node/base/bytes.h"
#include "node/base/err.h"

/*
 * The ordered tables of one LMDB environment. Above this header there is no LMDB. A transaction
 * remembers its first error; after that every call on it does nothing, and commit reports it,
 * so that a run of writes reads straight down. NOTFOUND from db_get() is not such an error: it
 * is the answer.
 */
struct db;
struct db_txn;
struct db_cursor;

/* A row a table. Keys begin with the group (db/key.h). Numbers are this process's own, names
 * are persisted. */
#define DB_TABLES(X)                                                                           \
    X(META, "meta")       /* name -> applied index and term, format, clock */                  \
    X(LOCAL, "local")     /* this node's own: a copy under way; on no other, in no digest */   \
    X(CLUSTER, "cluster") /* the directory's one ClusterRecord */                              \
    X(NODE, "node")                                                                            \
    X(TOKEN, "token")                                                                          \
    X(GROUP, "group")                                                                          \
    X(TENANT, "tenant")                                                                        \
    X(DOMAIN, "domain")                                                                        \
    X(ADDRESS, "address")           /* domain, local part -> AccountRecord */                  \
    X(ACCOUNT, "account")           /* account -> its folded address (directory) */            \
    X(MAILBOX, "mailbox")           /* account, mailbox -> record; 0: the account's own */     \
    X(MAILBOX_NAME, "mailbox_name") /* account, name -> mailbox, subscribed */                 \
    X(KEYWORD, "keyword")           /* account, mailbox, number -> keyword */                  \
    X(MESSAGE, "message")           /* account, mailbox, uid -> fixed record */                \
    X(UID_RANGE, "uid_range")       /* account, mailbox, first uid -> last uid: those alive */ \
    X(DELETED, "deleted")           /* account, mailbox, uid: messages with \\Deleted */       \
    X(CHANGE, "change")             /* account, mailbox, modseq -> uid or expunged range */    \
    X(BLOB, "blob")                 /* blob -> references, size, blocks, digest */             \
    X(BLOCK, "block")               /* blob, block, piece -> at most 4,080 bytes of a frame */ \
    X(SUMMARY, "summary")           /* blob -> node/mail/summary.h */                          \
    X(UPLOAD, "upload")             /* upload id -> blob, begun, next block */                 \
    X(HANDOVER, "handover")         /* handover id -> delivery id, group, recipients, blob */  \
    X(DOOMED, "doomed")             /* blobs and mailboxes that are freed step by step */      \
    X(DEDUPE, "dedupe")             /* request id -> time, Outcome */                          \
    X(EXPUNGED, "expunged")         /* account, time, mailbox, uid -> what can come back */    \
    X(PURGE_DUE, "purge_due")       /* account -> PurgeDueRecord (directory) */                \
    X(ACCOUNT_MOVE, "account_move") /* account -> MoveRecord (directory) */                    \
    X(MOVING, "moving")             /* account -> how far it has moved, out or in */           \
    X(IMPORT, "import")             /* account, blob of the group that it leaves -> blob */    \
    X(SCOPE, "scope")               /* kind, scope -> used here, granted to the group */       \
    X(SCOPE_GRANT, "scope_grant")   /* kind, scope -> ScopeRecord (directory) */               \
    X(ALIAS, "alias")               /* domain, local part -> AliasRecord (directory) */        \
    X(SETTING, "setting")           /* scope, id, name -> value (directory) */                 \
    X(FIREWALL, "firewall")         /* net -> FirewallEntry (directory) */                     \
    X(SENDER_DOMAIN, "sender_domain") /* name -> SenderDomain (directory) */                   \
    X(QUEUE, "queue")                 /* queue id -> QueueRecord */                            \
    X(QUEUE_LANE, "queue_lane")       /* lane, due time, queue id, destination; empty */       \
    X(QUEUE_DUE, "queue_due")         /* due time of its first, lane; empty */                 \
    X(SENDING, "sending")             /* account, or kind, scope -> what was sent lately */    \
    X(GREYLIST, "greylist")           /* key -> first and last seen */

#define DB_TABLE_ENUM(name, text) TABLE_##name,
enum db_table { DB_TABLES(DB_TABLE_ENUM) TABLE_COUNT };
#undef DB_TABLE_ENUM

/* The persisted name. */
const char *db_table_name(enum db_table table);

enum {
    DB_KEY_SIZE_MAX = 511,
    DB_READERS_MAX = 512,
};

/*
 * Opens or makes the folder (0700). MDB_NOMETASYNC: after a power loss the last transaction may
 * be missing, never part of one; the replication log has what is missing.
 */
MUST_CHECK enum err db_open(const char *folder, uint64_t map_bytes, struct db **db);
/* No transaction may be open. */
void db_close(struct db **db);
/* Everything committed so far is on disk when it returns; or ERR_IO: the process must end. */
MUST_CHECK enum err db_sync(struct db *db);

/* A read transaction may move between threads but is used by one at a time; keep it short, it
 * pins old pages. */
struct db_txn *db_read_begin(struct db *db);
/* One writer at a time: waits for the other. */
struct db_txn *db_write_begin(struct db *db);
MUST_CHECK enum err db_commit(struct db_txn **txn);
void db_abort(struct db_txn **txn);
enum err db_error(const struct db_txn *txn);
/* What the caller found wrong with the data, unless an error came before it. */
void db_fail(struct db_txn *txn, enum err err);
/* A read transaction sees what transactions up to this number have written; a write transaction
 * has its own. */
uint64_t db_txn_number(const struct db_txn *txn);

/*
 * Tells of each key of a group that is written or deleted, from now on, with the number of its
 * transaction; in the writer's thread and before the commit, so also what is then aborted.
 * `changed` must not use the database. Both calls wait for the writer; a thread that has a
 * write transaction open must not make them. What commits after watch_new() has returned is
 * told of.
 */
struct db_watch;
typedef void db_watch_changed(void *context, uint64_t txn_number, enum db_table table,
                              struct bytes key);
MUST_CHECK enum err db_watch_new(struct db *db, uint32_t group, db_watch_changed *changed,
                                 void *context, struct db_watch **watch);
/* Accepts NULL; `changed` is not called any more when it returns. */
void db_watch_free(struct db_watch **watch);

/* ERR_OK, ERR_NOTFOUND, or the transaction's error. `value` is valid until the next write or
 * the end of the txn. */
enum err db_get(struct db_txn *txn, enum db_table table, struct bytes key, struct bytes *value);
void db_put(struct db_txn *txn, enum db_table table, struct bytes key, struct bytes value);
/* As put, and the caller writes `len` bytes to *room before the next call on the transaction.
 * NULL after an error. */
void db_reserve(struct db_txn *txn, enum db_table table, struct bytes key, size_t len,
                uint8_t **room);
/* Returns whether it was there. */
bool db_delete(struct db_txn *txn, enum db_table table, struct bytes key);

/*
 * Keys in order. seek() goes to the first key at or behind `key`; all of next/seek return false
 * when there is no key that begins with `prefix` any more. `key` and `value` as with db_get().
 * The prefix is borrowed while the cursor lives.
 */
struct db_cursor *db_cursor_open(struct db_txn *txn, enum db_table table, struct bytes prefix);
void db_cursor_close(struct db_cursor **cursor);
bool db_cursor_first(struct db_cursor *cursor, struct bytes *key, struct bytes *value);
bool db_cursor_last(struct db_cursor *cursor, struct bytes *key, struct bytes *value);
bool db_cursor_seek(struct db_cursor *cursor, struct bytes at, struct bytes *key,
                    struct bytes *value);
bool db_cursor_next(struct db_cursor *cursor, struct bytes *key, struct bytes *value);
/* The last key before `at` (with the prefix). */
bool db_cursor_before(struct db_cursor *cursor, struct bytes at, struct bytes *key,
                      struct bytes *value);
/* Deletes where the cursor stands (after a call that returned true); next() then goes to the
 * one behind. Other writes may come between the two. */
void db_cursor_delete(struct db_cursor *cursor);

struct db_statistics {
    uint64_t map_bytes;
    uint64_t used_bytes; /* of the file, pages free again included */
    uint64_t readers;
    uint64_t free_bytes;     /* pages in it that can be used again */
    uint64_t reading;        /* read transactions under way */
    uint64_t oldest_read_ms; /* how long the first of them has been: it pins old pages */
};
void db_statistics(struct db *db, struct db_statistics *statistics);
/* How many rows a table has, of all groups, and the bytes of its pages. */
void db_table_statistics(struct db *db, enum db_table table, uint64_t *rows, uint64_t *bytes);

#endif
