/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_IMAP_FAKE_INTERNAL_H
#define TESTS_UNIT_IMAP_FAKE_INTERNAL_H

#include "tests/unit/imap/fake_store.h"

struct fake_call {
    struct fake_store *store;
    const Pr__Request *request;
    struct arena *arena;
    Pr__Reply *reply;
    Pr__Outcome *outcome; /* of writes */
};

struct fake_uids {
    Pr__UidRange **at;
    size_t count;
    struct arena *arena;
};

struct fake_uids fake_uids_new(struct arena *arena);
void fake_uids_add(struct fake_uids *uids, uint32_t uid);
bool fake_uids_have(Pr__UidRange *const *ranges, size_t count, uint32_t uid);

struct fake_mailbox *fake_mailbox_add(struct fake_store *store, const char *name);
struct fake_mailbox *fake_mailbox_named(struct fake_store *store, const char *name);
struct fake_mailbox *fake_mailbox_of(struct fake_store *store, uint32_t id);
struct fake_message *fake_message_of(struct fake_store *store, uint32_t mailbox, uint32_t uid);
uint64_t fake_keyword_bit(struct fake_store *store, const char *name);

/* fake_reads.c; false: it is no such call. */
bool fake_answer_read(struct fake_call *call);
/* fake_auth.c */
void fake_answer_auth(struct fake_call *call);
/* fake_writes.c */
bool fake_answer_write(struct fake_call *call);

#endif
