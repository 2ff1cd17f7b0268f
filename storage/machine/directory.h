/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_DIRECTORY_H
#define STORAGE_MACHINE_DIRECTORY_H

#include <protobuf-c/protobuf-c.h>

#include "node/base/arena.h"
#include "record.pb-c.h"
#include "storage/db/key.h"
#include "storage/machine/apply.h"

/* The rows of the directory's tables: packed messages of record.proto. */
enum {
    DIRECTORY_GROUP = 0,
    DIRECTORY_NAME_SIZE_MAX = 64,
    DIRECTORY_ENDPOINT_SIZE_MAX = 128,
    DIRECTORY_PEM_SIZE_MAX = 16 * 1024,
    DIRECTORY_HASH_SIZE = 32,
    DIRECTORY_PASSWORD_SIZE_MAX = 256,
    DIRECTORY_LOCAL_SIZE_MAX = 64,
    DIRECTORY_DOMAIN_SIZE_MAX = 253,
    DIRECTORY_MAIL_GROUPS_MAX = 64,
    DIRECTORY_TOKENS_MAX = 1000,
    DIRECTORY_REPLICAS_MAX = 1000,
    DIRECTORY_GROUPS_MAX = 1024,   /* of mail */
    DIRECTORY_GROUPS_ADD_MAX = 64, /* in one command */
    DIRECTORY_RECOVERIES_MAX = 16, /* remembered */
    DIRECTORY_GRACE_S_MAX = 86400,
};

/* The row's message in `arena`, NULL when there is no such row. */
void *directory_load(struct db_txn *txn, enum db_table table, struct bytes key,
                     const ProtobufCMessageDescriptor *descriptor, struct arena *arena);
/* A row's message; a row that cannot be read fails the transaction and gives NULL. */
void *directory_unpack(struct db_txn *txn, struct bytes row,
                       const ProtobufCMessageDescriptor *descriptor, struct arena *arena);
void directory_store(struct apply *apply, enum db_table table, struct bytes key,
                     const ProtobufCMessage *message);

/* All rows of a table, by key; `descriptor` is that of its messages. A row that cannot be read
 * ends the list and fails the transaction. */
struct directory_rows {
    void **at;
    size_t count;
};
struct directory_rows directory_load_all(struct apply *apply, enum db_table table,
                                         const ProtobufCMessageDescriptor *descriptor);

void directory_group_store(struct apply *apply, const Pr__GroupRecord *group);
/* NULL when there is none. */
Pr__GroupRecord *directory_group_load(struct apply *apply, uint32_t group);
Pr__NodeRecord *directory_node_load(struct apply *apply, uint64_t node_id);
void directory_node_store(struct apply *apply, const Pr__NodeRecord *node);
/* A group that nobody can have written to yet: its first node has not begun it. */
bool directory_group_unborn(const Pr__GroupRecord *group);

/* The cluster's record; refuses, and gives NULL, where there is no cluster yet. */
Pr__ClusterRecord *directory_cluster_load(struct apply *apply);
void directory_cluster_store(struct apply *apply, const Pr__ClusterRecord *cluster);

/* ASCII letters, digits, '-', '_', '.'; 1 to DIRECTORY_NAME_SIZE_MAX. */
bool directory_name_valid(struct bytes name);
/* Printable ASCII without spaces; 1 to DIRECTORY_ENDPOINT_SIZE_MAX. */
bool directory_endpoint_valid(struct bytes endpoint);
/* Lower-case labels of letters, digits and inner hyphens, at least two, the last not a number.
 */
bool directory_domain_valid(struct bytes domain);
/* Folded; words of RFC 5321 atoms, or of UTF-8, joined by single dots. */
bool directory_local_valid(struct bytes local);

#endif
