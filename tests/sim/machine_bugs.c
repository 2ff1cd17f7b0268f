/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/sim/machine_bugs.h"

#include "storage/db/key.h"
#include "storage/machine/account.h"
#include "storage/machine/machine.h"
#include "storage/schema/entry.h"
#include "tests/sim/mail.h"

enum { EXPUNGE_EVERY = 5, DRIFT_EVERY = 50 };

/* The uid behind the last message that is there. */
static uint32_t uid_behind(struct db_txn *txn, uint32_t group, uint64_t account,
                           uint32_t mailbox)
{
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_MESSAGE, key_mailbox(&prefix, group, account, mailbox));
    uint32_t uid = db_cursor_last(cursor, &key, &value) ? key_last_u32(key) + 1 : 1;

    db_cursor_close(&cursor);
    return uid;
}

/* A new leader takes UIDNEXT from the messages that it finds. */
static void uids_reuse(struct db_txn *txn, uint32_t group)
{
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_MAILBOX, key_group(&prefix, group));

    for (bool more = db_cursor_first(cursor, &key, &value); more;
         more = db_cursor_next(cursor, &key, &value)) {
        struct mailbox_record record;
        struct record row;
        uint32_t id = key_last_u32(key);
        uint32_t uid = uid_behind(txn, group, key_last_u64(bytes_from(key.at, 12)), id);
        if (id == 0 || !mailbox_decode(value, &record) || uid >= record.uid_next)
            continue;
        record.uid_next = uid;
        if (record.tail_first > uid)
            record.tail_first = uid;
        mailbox_encode(&record, &row);
        db_put(txn, TABLE_MAILBOX, key, record_bytes(&row));
    }
    db_cursor_close(&cursor);
}

static bool is_first_of_term(struct db_txn *txn, uint32_t group, uint64_t term)
{
    struct group_record record = {0};
    struct key key;
    struct bytes row;

    return db_get(txn, TABLE_META, key_group(&key, group), &row) == ERR_OK &&
           group_decode(row, &record) && record.term < term;
}

static bool is_expunge(struct bytes entry)
{
    struct arena arena;
    const Pr__Command *command;
    bool found;

    arena_init(&arena);
    command = entry.len > 0 ? entry_decode(entry, &arena) : NULL;
    found = command != NULL && command->call_case == PR__COMMAND__CALL_EXPUNGE;
    arena_fini(&arena);
    return found;
}

/* An account counts a byte that no message has. */
static void quota_drift(struct db_txn *txn, uint32_t group)
{
    struct account account;

    account_load(txn, group, 1, &account);
    if (account.state != ACCOUNT_THERE)
        return;
    account.record.size++;
    account_store(txn, &account);
}

void machine_bug_before(struct machine_sim *machine, struct db_txn *txn,
                        const struct machine_command *command, struct machine_bug *bug)
{
    uint32_t group = mail_group_number(command->group);

    *bug = (struct machine_bug){0};
    switch (machine->world->bug) {
    case BUG_UID_REUSED:
        if (is_first_of_term(txn, group, command->term))
            uids_reuse(txn, group);
        break;
    case BUG_EXPUNGE_RESURRECTED:
        if (command->index % EXPUNGE_EVERY == 0 && is_expunge(command->command))
            bug->point = db_memory_point_new(txn);
        break;
    case BUG_QUOTA_DRIFT:
        if (command->index % DRIFT_EVERY == 0)
            quota_drift(txn, group);
        break;
    default:
        break;
    }
}

/* The messages are back; that the entry was applied stays. */
static void expunge_undo(struct db_txn *txn, const struct machine_command *command,
                         struct machine_bug *bug)
{
    struct machine_events events = {0};
    struct arena arena;
    struct bytes reply;

    db_memory_point_return(txn, &bug->point);
    arena_init(&arena);
    machine_apply(txn, mail_group_number(command->group), command->index, command->term,
                  bytes_from(NULL, 0), &arena, &reply, &events);
    arena_fini(&arena);
}

void machine_bug_after(struct machine_sim *machine, struct db_txn *txn,
                       const struct machine_command *command, struct machine_bug *bug)
{
    (void)machine;
    if (bug->point != NULL)
        expunge_undo(txn, command, bug);
}
