/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What happened in a mailbox since a modseq. New messages have no change rows: the modseq they
 * came in with ascends with their uid, so they are a run of uids at the end. Both runs are
 * walked side by side in the order of modseqs, so that an answer that is full ends at one.
 */
#include <stdlib.h>

#include "storage/query/view.h"

struct walk {
    struct db_txn *txn;
    struct query_account account;
    uint32_t mailbox_id;
    struct arena *arena;
    struct db_cursor *messages; /* those that are new */
    struct key messages_prefix;
    bool message_more;
    uint32_t uid;
    struct message_record message;
    struct db_cursor *changes;
    struct key changes_prefix;
    bool change_more;
    uint64_t modseq;
    struct change_record change;
    uint64_t since;
    struct info_list infos;
    struct range_list vanished;
};

static void message_taken(struct walk *walk, bool more, struct bytes key, struct bytes row)
{
    walk->message_more = more;
    if (!more)
        return;
    walk->uid = key_last_u32(key);
    if (!message_decode(row, &walk->message))
        db_fail(walk->txn, ERR_MALFORMED);
}

static void change_taken(struct walk *walk, bool more, struct bytes key, struct bytes row)
{
    walk->change_more = more;
    if (!more)
        return;
    walk->modseq = key_last_u64(key);
    if (!change_decode(row, &walk->change))
        db_fail(walk->txn, ERR_MALFORMED);
}

static void message_seek(struct walk *walk, uint32_t uid)
{
    struct key at;
    struct bytes key;
    struct bytes row;
    bool more = db_cursor_seek(
        walk->messages,
        key_uid(&at, walk->account.group, walk->account.account_id, walk->mailbox_id, uid),
        &key, &row);

    message_taken(walk, more, key, row);
}

/* Goes to the first message that came in behind `since`: a search by halves over the uids. */
static void messages_begin(struct walk *walk, uint32_t uid_next)
{
    uint32_t low = 1;
    uint32_t high = uid_next;

    walk->messages = db_cursor_open(walk->txn, TABLE_MESSAGE,
                                    key_mailbox(&walk->messages_prefix, walk->account.group,
                                                walk->account.account_id, walk->mailbox_id));
    while (low < high && db_error(walk->txn) == ERR_OK) {
        uint32_t middle = low + (high - low) / 2;
        message_seek(walk, middle);
        if (walk->message_more && walk->message.made <= walk->since)
            low = walk->uid + 1;
        else
            high = middle;
    }
    message_seek(walk, low);
}

static void changes_begin(struct walk *walk)
{
    struct key at;
    struct bytes key = {NULL, 0};
    struct bytes row = {NULL, 0};
    bool more;

    walk->changes = db_cursor_open(walk->txn, TABLE_CHANGE,
                                   key_mailbox(&walk->changes_prefix, walk->account.group,
                                               walk->account.account_id, walk->mailbox_id));
    more = walk->since < UINT64_MAX &&
           db_cursor_seek(walk->changes,
                          key_change(&at, walk->account.group, walk->account.account_id,
                                     walk->mailbox_id, walk->since + 1),
                          &key, &row);
    change_taken(walk, more, key, row);
}

/* The message of a change of flags as it is now. New ones come, or came, on their own. */
static void changed_add(struct walk *walk)
{
    struct message_record message;
    struct key key;
    struct bytes row;

    if (db_get(walk->txn, TABLE_MESSAGE,
               key_uid(&key, walk->account.group, walk->account.account_id, walk->mailbox_id,
                       walk->change.first),
               &row) != ERR_OK)
        return;
    if (!message_decode(row, &message))
        db_fail(walk->txn, ERR_MALFORMED);
    else if (message.made <= walk->since)
        query_message_info(walk->arena, &walk->infos, walk->change.first, &message);
}

/* Takes the one of the two runs that comes first. Returns its modseq. */
static uint64_t walk_step(struct walk *walk)
{
    struct bytes key;
    struct bytes row;
    uint64_t modseq;
    bool more;

    if (walk->message_more && (!walk->change_more || walk->message.made < walk->modseq)) {
        modseq = walk->message.made;
        query_message_info(walk->arena, &walk->infos, walk->uid, &walk->message);
        more = db_cursor_next(walk->messages, &key, &row);
        message_taken(walk, more, key, row);
        return modseq;
    }
    modseq = walk->modseq;
    if (walk->change.expunged)
        range_add(walk->arena, &walk->vanished, walk->change.first, walk->change.last);
    else
        changed_add(walk);
    more = db_cursor_next(walk->changes, &key, &row);
    change_taken(walk, more, key, row);
    return modseq;
}

static int info_compare(const void *a, const void *b)
{
    const Pr__MessageInfo *const *left = a;
    const Pr__MessageInfo *const *right = b;

    return ((*left)->uid > (*right)->uid) - ((*left)->uid < (*right)->uid);
}

static void walk_all(struct walk *walk, uint32_t uid_next, Pr__ChangesAnswer *answer)
{
    uint64_t modseq = walk->since;
    struct range_list vanished;

    messages_begin(walk, uid_next);
    changes_begin(walk);
    while ((walk->message_more || walk->change_more) && db_error(walk->txn) == ERR_OK) {
        size_t entries = walk->infos.count + walk->vanished.count;
        if (entries >= QUERY_ANSWER_BYTES_MAX / 4 / INFO_SIZE_MAX) {
            answer->info->highest_modseq = modseq;
            answer->more = true;
            break;
        }
        modseq = walk_step(walk);
    }
    db_cursor_close(&walk->messages);
    db_cursor_close(&walk->changes);
    if (walk->infos.count > 0)
        qsort(walk->infos.at, walk->infos.count, sizeof(*walk->infos.at), info_compare);
    range_normal(walk->arena, walk->vanished.at, walk->vanished.count, &vanished);
    answer->messages = walk->infos.at;
    answer->n_messages = walk->infos.count;
    answer->vanished = vanished.at;
    answer->n_vanished = vanished.count;
}

/*
 * The change rows of that time are no longer there: all uids that are not alive, of which the
 * client knows some (RFC 7162 section 3.2.10.2 allows more than was asked for).
 */
static void dead_list(struct db_txn *txn, const struct account *account,
                      const struct mailbox *mailbox, struct arena *arena,
                      Pr__ChangesAnswer *answer)
{
    struct range_list live = {0};
    struct range_list dead = {0};
    uint32_t next = 1;

    query_live(txn, account, mailbox, arena, &live);
    for (size_t i = 0; i < live.count; i++) {
        if (live.at[i]->first > next)
            range_add(arena, &dead, next, live.at[i]->first - 1);
        next = live.at[i]->last + 1;
    }
    if (next < mailbox->record.uid_next)
        range_add(arena, &dead, next, mailbox->record.uid_next - 1);
    answer->vanished = dead.at;
    answer->n_vanished = dead.count;
}

enum err query_changes(struct db_txn *txn, struct query_account account,
                       const Pr__Changes *call, struct arena *arena, Pr__ChangesAnswer *answer)
{
    struct account loaded;
    struct mailbox mailbox;
    struct walk walk = {
        .txn = txn,
        .account = account,
        .mailbox_id = call->mailbox_id,
        .arena = arena,
        .since = call->since_modseq,
    };

    if (!query_load(txn, account, call->mailbox_id, &loaded, &mailbox)) {
        answer->info = arena_alloc(arena, sizeof(*answer->info));
        pr__mailbox_info__init(answer->info);
        answer->info->id = call->mailbox_id;
        return query_error(txn, true);
    }
    answer->info = query_info(arena, &mailbox, false);
    walk_all(&walk, mailbox.record.uid_next, answer);
    if (call->since_modseq < mailbox.record.forgotten)
        dead_list(txn, &loaded, &mailbox, arena, answer);
    query_keywords(txn, &loaded, &mailbox, arena, &answer->keywords, &answer->n_keywords);
    return query_error(txn, true);
}
