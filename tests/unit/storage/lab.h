/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_LAB_H
#define TESTS_UNIT_STORAGE_LAB_H

#include "command.pb-c.h"
#include "node/base/arena.h"
#include "storage/db/db.h"
#include "storage/machine/machine.h"
#include "storage/query/mail.h"

/* A state in a folder of its own, to which tests apply commands. */
struct lab {
    char folder[64];
    struct db *db;
    struct arena arena; /* everything a test makes */
    struct machine_events events;
    uint64_t index; /* of the last entry, of all groups */
    uint64_t now_ms;
    unsigned ids;       /* request ids given out */
    struct db_txn *txn; /* commands go into this one while it is open */
    bool scopes;        /* most commands that need room say whose mail it is: made-up domains */
    /* Every entry that was applied, to be applied again elsewhere. */
    struct lab_entry {
        uint32_t group;
        uint64_t index;
        struct bytes entry;
        uint64_t replies; /* a hash over those up to here, lab_hash() */
    } * entries;
    size_t entry_count;
    size_t entry_room;
    uint64_t replies;
};

void lab_open(struct lab *lab);
/* When the environment names a folder in LAB_RECORD, what was applied and the tables stay there
 * (tests/fixtures/README.md). */
void lab_close(struct lab *lab);
/* Closes the state and opens it again. */
void lab_reopen(struct lab *lab);

/* Applies the command with the lab's time, in a transaction of its own unless one is open. */
Pr__Outcome *lab_apply(struct lab *lab, uint32_t group, Pr__Command *command);
Pr__Outcome *lab_apply_entry(struct lab *lab, uint32_t group, struct bytes entry);
/* A fresh request id of the lab's time. */
ProtobufCBinaryData lab_id(struct lab *lab);

/* Commands of a call: LAB_COMMAND(deliver, DELIVER, &deliver). */
#define LAB_COMMAND(name, NAME, call)                                                          \
    (&(Pr__Command){.base = PROTOBUF_C_MESSAGE_INIT(&pr__command__descriptor),                 \
                    .call_case = PR__COMMAND__CALL_##NAME,                                     \
                    .name = (call)})

/* A body of one block: the text as it is stands for its frame. */
Pr__Body *lab_body(struct lab *lab, struct bytes frame, uint64_t size);
ProtobufCBinaryData lab_field(struct lab *lab, struct bytes bytes);
Pr__UidRange **lab_ranges(struct lab *lab, size_t count, const uint32_t *pairs);
Pr__Outcome *lab_deliver(struct lab *lab, uint32_t group, uint64_t account_id,
                         struct bytes frame);

/* FNV-1a over more bytes; begins with 0. */
uint64_t lab_hash(uint64_t hash, struct bytes bytes);

/* A number below `below` from a seed: the same everywhere. */
uint32_t lab_random(uint64_t *seed, uint32_t below);

/* Checks every promise between the tables of a group; aborts on the first that is broken. */
void lab_invariants(struct lab *lab, uint32_t group);

#endif
