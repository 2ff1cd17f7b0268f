/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks at an account as it lies in a node's tables, and at whether it can be so. */
#include "storage/db/key.h"
#include "storage/machine/account.h"
#include "storage/machine/blob.h"
#include "storage/machine/expunged.h"
#include "tests/sim/mail.h"

#define LLU(value) (unsigned long long)(value)

struct look {
    struct world *world;
    unsigned node;
    unsigned group;
    unsigned account;
    uint64_t begun;
    bool bodies;
    struct db_txn *txn;
    struct account row;
    uint64_t messages; /* of all mailboxes */
    uint64_t size;
};

uint64_t mail_moment(struct world *world)
{
    return ++world->mail->moment;
}

static void look_begin(struct look *look, struct world *world, unsigned node, unsigned group,
                       unsigned account, uint64_t begun)
{
    *look = (struct look){
        .world = world, .node = node, .group = group, .account = account, .begun = begun};
    look->txn = db_read_begin(machine_lane(&world->nodes[node].machine, group));
    account_load(look->txn, mail_group_number(group), account + 1, &look->row);
}

static void look_end(struct look *look)
{
    if (db_error(look->txn) != ERR_OK)
        sim_fail(look->world, "node %u cannot read group %u: %s", look->node + 1, look->group,
                 err_text(db_error(look->txn)));
    db_abort(&look->txn);
}

/* The operation whose body the message has. */
static struct mail_op *look_body(struct look *look, uint64_t blob)
{
    struct mail *mail = look->world->mail;
    struct blob_record record;
    uint64_t token;

    if (!blob_load(look->txn, look->row.group, blob, &record))
        return NULL;
    memcpy(&token, record.digest, sizeof(token));
    return token >= 1 && token <= mail->op_count ? mail->ops[token - 1] : NULL;
}

static void look_modseq(struct look *look, struct mail_mailbox *mailbox, uint32_t uid,
                        struct mail_message *message, const struct message_record *row)
{
    if (message->modseq_at != 0 && message->modseq_at < look->begun &&
        row->modseq < message->modseq)
        sim_fail(look->world, "MODSEQ: of %u of mailbox %u falls from %llu to %llu", uid,
                 mailbox->id, LLU(message->modseq), LLU(row->modseq));
    if (row->modseq == message->modseq && row->flags != message->modseq_flags)
        sim_fail(look->world, "MODSEQ: %u of mailbox %u has flags %llx and %llx at %llu", uid,
                 mailbox->id, LLU(message->modseq_flags), LLU(row->flags), LLU(row->modseq));
    if (row->modseq > message->modseq) {
        message->modseq = row->modseq;
        message->modseq_flags = row->flags;
        message->modseq_at = look->world->mail->moment;
    }
}

static void look_message(struct look *look, struct mail_mailbox *mailbox, uint32_t uid,
                         const struct message_record *row)
{
    struct world *world = look->world;
    struct mail_message *message = mail_message(mailbox, uid);
    struct mail_op *body;

    if (message->known && message->blob == row->blob && !look->bodies)
        body = world->mail->ops[message->token - 1];
    else
        body = look_body(look, row->blob);
    if (body == NULL) {
        sim_fail(world, "node %u: %u of mailbox %u has a body that nobody sent", look->node + 1,
                 uid, mailbox->id);
        return;
    }
    if (!mail_message_is(world, body, look->group, look->account, mailbox, uid))
        return;
    message->blob = row->blob;
    if (message->gone_end < look->begun)
        sim_fail(world, "RESURRECTED: node %u shows %u of mailbox %u of account %u of group %u",
                 look->node + 1, uid, mailbox->id, look->account, look->group);
    if (message->added_end == MAIL_LATER)
        message->added_end = world->mail->moment;
    if (!mail_flags_possible(message, row->flags, look->begun))
        sim_fail(world, "FLAGS: node %u shows %llx at %u of mailbox %u, which cannot be",
                 look->node + 1, LLU(row->flags), uid, mailbox->id);
    look_modseq(look, mailbox, uid, message, row);
    message->there_at = world->mail->moment;
    message->there_flags = row->flags;
    message->there_modseq = row->modseq;
}

/* Messages between two that are there: none of them may have to be there. */
static void look_missing(struct look *look, const struct mail_mailbox *mailbox, uint32_t from,
                         uint32_t to)
{
    const struct mail_account *account =
        &look->world->mail->groups[look->group].accounts[look->account];

    for (uint32_t uid = from; uid < to && uid <= mailbox->message_room; uid++) {
        const struct mail_message *message = &mailbox->messages[uid - 1];
        if (message->known && mail_message_stayed(account, mailbox, message, look->begun))
            sim_fail(look->world,
                     "LOST: node %u does not show message %llu, %u of mailbox %u of account %u "
                     "of group %u",
                     look->node + 1, LLU(message->token), uid, mailbox->id, look->account,
                     look->group);
    }
}

static void look_messages(struct look *look, struct mail_mailbox *mailbox,
                          const struct mailbox_record *row)
{
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor =
        db_cursor_open(look->txn, TABLE_MESSAGE,
                       key_mailbox(&prefix, look->row.group, look->row.id, mailbox->id));
    uint32_t next = 1;
    uint64_t messages = 0;
    uint64_t size = 0;

    for (bool more = db_cursor_first(cursor, &key, &value); more;
         more = db_cursor_next(cursor, &key, &value)) {
        struct message_record message;
        uint32_t uid = key_last_u32(key);
        CHECK(message_decode(value, &message));
        if (uid >= row->uid_next || message.modseq > row->modseq)
            sim_fail(look->world, "mailbox %u: UIDNEXT %u and HIGHESTMODSEQ %llu are below %u",
                     mailbox->id, row->uid_next, LLU(row->modseq), uid);
        look_message(look, mailbox, uid, &message);
        look_missing(look, mailbox, next, uid);
        next = uid + 1;
        messages++;
        size += message.size;
    }
    db_cursor_close(&cursor);
    look_missing(look, mailbox, next, UINT32_MAX);
    if (messages != row->messages || size != row->size)
        sim_fail(look->world,
                 "QUOTA: mailbox %u counts %u messages of %llu bytes, has %llu/%llu",
                 mailbox->id, row->messages, LLU(row->size), LLU(messages), LLU(size));
    look->messages += messages;
    look->size += size;
}

static void look_mailbox(struct look *look, struct mail_mailbox *mailbox,
                         const struct mailbox_record *row)
{
    struct world *world = look->world;

    if (mailbox->uid_validity != 0 && mailbox->uid_validity != row->uid_validity)
        sim_fail(world, "UIDVALIDITY: of mailbox %u was %u and is %u", mailbox->id,
                 mailbox->uid_validity, row->uid_validity);
    if (mailbox->gone_end < look->begun)
        sim_fail(world, "RESURRECTED: node %u shows mailbox %u of account %u of group %u",
                 look->node + 1, mailbox->id, look->account, look->group);
    if (row->uid_next < mail_floor(&mailbox->uid_next, look->begun))
        sim_fail(world, "UIDNEXT: of mailbox %u is %u after %llu", mailbox->id, row->uid_next,
                 LLU(mail_floor(&mailbox->uid_next, look->begun)));
    if (row->modseq < mail_floor(&mailbox->modseq, look->begun))
        sim_fail(world, "MODSEQ: of mailbox %u is %llu after %llu", mailbox->id,
                 LLU(row->modseq), LLU(mail_floor(&mailbox->modseq, look->begun)));
    mailbox->uid_validity = row->uid_validity;
    mailbox->known = true;
    if (mailbox->made_end == MAIL_LATER)
        mailbox->made_end = world->mail->moment;
    mail_floor_raise(&mailbox->uid_next, world->mail->moment, row->uid_next);
    mail_floor_raise(&mailbox->modseq, world->mail->moment, row->modseq);
    look_messages(look, mailbox, row);
    mail_changes_look(world, look->txn, look->row.group, look->row.id, mailbox, row,
                      look->begun);
}

/* Mailboxes between two that are there. */
static void look_missing_mailboxes(struct look *look, struct mail_account *account,
                                   uint32_t from, uint32_t to)
{
    for (uint32_t id = from; id < to && id <= account->mailbox_count; id++) {
        const struct mail_mailbox *mailbox = mail_mailbox(account, id);
        if (mailbox->made_end < look->begun && mailbox->removers == 0 &&
            mailbox->gone_end == MAIL_LATER && account->gone_begin == MAIL_LATER)
            sim_fail(look->world, "LOST: node %u does not show mailbox %u of account %u",
                     look->node + 1, id, look->account);
    }
}

/* Two mailboxes never have one UIDVALIDITY. */
static void look_validities(struct look *look, const struct mail_account *account)
{
    for (unsigned i = 0; i < account->mailbox_count; i++)
        for (unsigned j = 0; j < i; j++)
            if (account->mailboxes[i].uid_validity != 0 &&
                account->mailboxes[i].uid_validity == account->mailboxes[j].uid_validity)
                sim_fail(look->world, "UIDVALIDITY: mailboxes %u and %u share %u", i + 1, j + 1,
                         account->mailboxes[i].uid_validity);
}

static void look_mailboxes(struct look *look)
{
    struct mail_account *account =
        &look->world->mail->groups[look->group].accounts[look->account];
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor = db_cursor_open(
        look->txn, TABLE_MAILBOX, key_number(&prefix, look->row.group, look->row.id));
    uint32_t next = 1;

    for (bool more = db_cursor_first(cursor, &key, &value); more;
         more = db_cursor_next(cursor, &key, &value)) {
        struct mailbox_record row;
        uint32_t id = key_last_u32(key);
        if (id == 0)
            continue; /* the account's own */
        CHECK(mailbox_decode(value, &row));
        look_mailbox(look, mail_mailbox(account, id), &row);
        look_missing_mailboxes(look, account, next, id);
        next = id + 1;
    }
    db_cursor_close(&cursor);
    look_missing_mailboxes(look, account, next, UINT32_MAX);
    look_validities(look, account);
}

void mail_account_look(struct world *world, unsigned node, unsigned group, unsigned account,
                       uint64_t begun, bool bodies)
{
    struct mail_account *known = &world->mail->groups[group].accounts[account];
    struct look look;

    mail_moment(world);
    look_begin(&look, world, node, group, account, begun);
    look.bodies = bodies;
    if (look.row.state == ACCOUNT_GONE && known->gone_begin == MAIL_LATER)
        sim_fail(world, "LOST: account %u of group %u is gone", account, group);
    if (look.row.state != ACCOUNT_GONE && known->gone_end < begun)
        sim_fail(world, "RESURRECTED: account %u of group %u", account, group);
    if (look.row.state == ACCOUNT_THERE)
        look_mailboxes(&look);
    if (look.row.state == ACCOUNT_NEW)
        look_missing_mailboxes(&look, known, MAIL_DEFAULT_MAILBOXES + 1, UINT32_MAX);
    if (look.row.state != ACCOUNT_GONE &&
        (look.messages != look.row.record.messages || look.size != look.row.record.size))
        sim_fail(world,
                 "QUOTA: node %u counts %llu messages of %llu bytes in account %u of group %u, "
                 "there are %llu of %llu",
                 node + 1, LLU(look.row.record.messages), LLU(look.row.record.size), account,
                 group, LLU(look.messages), LLU(look.size));
    look_end(&look);
}

void mail_look(struct world *world, unsigned node, unsigned group, uint64_t begun)
{
    mail_account_look(world, node, group, (unsigned)sim_below(world, MAIL_ACCOUNTS), begun,
                      false);
}

struct mail_mailbox *mail_mailbox_find(struct world *world, unsigned node,
                                       const struct mail_op *op, uint32_t uid_validity)
{
    struct mail_account *account = mail_account(world, op);
    struct mail_mailbox *found = mail_mailbox_of(account, uid_validity);
    struct look look;
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor;

    if (found != NULL)
        return found;
    look_begin(&look, world, node, op->group, op->account, op->begun);
    cursor = db_cursor_open(look.txn, TABLE_MAILBOX,
                            key_number(&prefix, look.row.group, look.row.id));
    for (bool more = db_cursor_first(cursor, &key, &value); more;
         more = db_cursor_next(cursor, &key, &value)) {
        struct mailbox_record row;
        if (key_last_u32(key) == 0)
            continue;
        CHECK(mailbox_decode(value, &row));
        if (row.uid_validity == uid_validity) {
            found = mail_mailbox(account, key_last_u32(key));
            found->known = true;
            found->uid_validity = uid_validity;
        }
    }
    db_cursor_close(&cursor);
    look_end(&look);
    return found;
}

void mail_expunged_find(struct world *world, struct mail_op *op)
{
    const struct node *node = client_node(world, op->group, true);
    struct mail_account *account = mail_account(world, op);
    struct look look;
    struct key prefix;
    struct bytes key;
    struct bytes value;
    struct db_cursor *cursor;

    if (node == NULL)
        return;
    look_begin(&look, world, node->number, op->group, op->account, 0);
    cursor = db_cursor_open(look.txn, TABLE_EXPUNGED,
                            key_number(&prefix, look.row.group, look.row.id));
    for (bool more = db_cursor_first(cursor, &key, &value);
         more && op->uid_count < MAIL_UIDS_MAX; more = db_cursor_next(cursor, &key, &value)) {
        struct expunged expunged;
        CHECK(expunged_decode(key, value, &expunged));
        if (op->uid_count > 0 && expunged.mailbox_id != op->mailbox)
            continue;
        if (!mail_message(mail_mailbox(account, expunged.mailbox_id), expunged.uid)->known)
            continue; /* it went with its mailbox before anybody had seen it */
        op->mailbox = expunged.mailbox_id;
        op->expunged_ms[op->uid_count] = expunged.time_ms;
        op->uids[op->uid_count++] = expunged.uid;
    }
    db_cursor_close(&cursor);
    look_end(&look);
}
