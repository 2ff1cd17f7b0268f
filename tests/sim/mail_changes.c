/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A client that remembers a mailbox and its HIGHESTMODSEQ (RFC 7162), and asks later what has
 * changed since: what it remembers, with what it is told, must be what is there.
 */
#include "storage/db/key.h"
#include "tests/sim/mail.h"

#define LLU(value) (unsigned long long)(value)

enum { RANGES_MAX = 256 };

/* Expunged ranges of the change rows since a modseq. */
struct vanished {
    unsigned count;
    bool too_many;
    struct {
        uint32_t first;
        uint32_t last;
    } ranges[RANGES_MAX];
};

static void vanished_read(struct db_txn *txn, uint32_t group, uint64_t account,
                          const struct mail_mailbox *mailbox, struct vanished *vanished)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(txn, TABLE_CHANGE, key_mailbox(&prefix, group, account, mailbox->id));

    vanished->count = 0;
    vanished->too_many = false;
    for (bool more = db_cursor_seek(
             cursor, key_change(&at, group, account, mailbox->id, mailbox->client_modseq + 1),
             &key, &value);
         more; more = db_cursor_next(cursor, &key, &value)) {
        struct change_record change;
        CHECK(change_decode(value, &change));
        if (!change.expunged)
            continue;
        if (vanished->count == RANGES_MAX) {
            vanished->too_many = true;
            break;
        }
        vanished->ranges[vanished->count].first = change.first;
        vanished->ranges[vanished->count++].last = change.last;
    }
    db_cursor_close(&cursor);
}

static bool is_vanished(const struct vanished *vanished, uint32_t uid)
{
    for (unsigned i = 0; i < vanished->count; i++)
        if (vanished->ranges[i].first <= uid && uid <= vanished->ranges[i].last)
            return true;
    return false;
}

static void message_check(struct world *world, const struct mail_mailbox *mailbox, uint32_t uid,
                          const struct mail_message *message, const struct vanished *vanished)
{
    bool there = message->there_at == world->mail->moment;

    if (message->client_has && !there && !vanished->too_many && !is_vanished(vanished, uid))
        sim_fail(world, "VANISHED: since %llu it does not name %u of mailbox %u",
                 LLU(mailbox->client_modseq), uid, mailbox->id);
    if (there && (!message->client_has || message->client_flags != message->there_flags) &&
        message->there_modseq <= mailbox->client_modseq)
        sim_fail(world, "CHANGEDSINCE: since %llu it does not name %u of mailbox %u",
                 LLU(mailbox->client_modseq), uid, mailbox->id);
    if (there && is_vanished(vanished, uid))
        sim_fail(world, "VANISHED: since %llu it names %u of mailbox %u, which is there",
                 LLU(mailbox->client_modseq), uid, mailbox->id);
}

void mail_changes_look(struct world *world, struct db_txn *txn, uint32_t group,
                       uint64_t account, struct mail_mailbox *mailbox,
                       const struct mailbox_record *row, uint64_t begun)
{
    struct vanished vanished;

    if (mailbox->client_at >= begun)
        return; /* asked before the client knew what it knows */
    if (mailbox->client_at != 0 && row->forgotten <= mailbox->client_modseq) {
        vanished_read(txn, group, account, mailbox, &vanished);
        for (uint32_t i = 0; i < mailbox->message_room; i++)
            message_check(world, mailbox, i + 1, &mailbox->messages[i], &vanished);
    }
    for (uint32_t i = 0; i < mailbox->message_room; i++) {
        struct mail_message *message = &mailbox->messages[i];
        message->client_has = message->there_at == world->mail->moment;
        message->client_flags = message->there_flags;
    }
    mailbox->client_modseq = row->modseq;
    mailbox->client_at = world->mail->moment;
}
