/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/query/search.h"

#include "storage/query/body_reader.h"

/* So many ranges fit into an answer. */
enum { RANGES_MAX = QUERY_ANSWER_BYTES_MAX / 16 };

/* The uids worth looking at: those of a UID key that must hold. */
static struct range_list candidates(struct arena *arena, const struct search_node *root,
                                    uint32_t from_uid)
{
    static const struct range_list none;
    const struct range_list *ranges = &none;
    struct range_list list = {0};

    if (root->key->kind == PR__SEARCH_KEY__KIND__UID)
        ranges = &root->ranges;
    for (size_t i = 0; root->key->kind == PR__SEARCH_KEY__KIND__AND && i < root->child_count;
         i++)
        if (root->children[i]->key->kind == PR__SEARCH_KEY__KIND__UID)
            ranges = &root->children[i]->ranges;
    if (from_uid == 0)
        from_uid = 1;
    if (ranges == &none) {
        range_add(arena, &list, from_uid, UINT32_MAX);
        return list;
    }
    for (size_t i = 0; i < ranges->count; i++) {
        const Pr__UidRange *range = ranges->at[i];
        if (range->last >= from_uid)
            range_add(arena, &list, range->first > from_uid ? range->first : from_uid,
                      range->last);
    }
    return list;
}

struct search {
    struct db_cursor *cursor;
    const struct search_node *root;
    struct search_message message;
    struct range_list found;
    uint64_t highest_modseq;
    uint32_t next_uid; /* 0: not cut short */
};

/* Looks at the messages of one range. Returns false when none are behind it. */
static bool search_range(struct search *search, struct query_account account,
                         uint32_t mailbox_id, const Pr__UidRange *range, struct arena *arena)
{
    struct search_message *message = &search->message;
    struct key at;
    struct bytes key;
    struct bytes row;
    bool more = db_cursor_seek(
        search->cursor,
        key_uid(&at, account.group, account.account_id, mailbox_id, range->first), &key, &row);

    for (; more && key_last_u32(key) <= range->last;
         more = db_cursor_next(search->cursor, &key, &row)) {
        message->uid = key_last_u32(key);
        if (message->work >= QUERY_SEARCH_WORK_BYTES || search->found.count >= RANGES_MAX) {
            search->next_uid = message->uid;
            return false;
        }
        if (!message_decode(row, &message->record)) {
            db_fail(message->txn, ERR_MALFORMED);
            return false;
        }
        message->summary_loaded = false;
        if (search_match(message, search->root)) {
            range_add(arena, &search->found, message->uid, message->uid);
            if (message->record.modseq > search->highest_modseq)
                search->highest_modseq = message->record.modseq;
        }
        arena_reset(&message->message_arena);
    }
    return more;
}

enum err query_search(struct db_txn *txn, struct query_account account, const Pr__Search *call,
                      struct arena *arena, Pr__SearchAnswer *answer)
{
    struct account loaded;
    struct mailbox mailbox;
    struct search_node *root;
    struct range_list among;
    struct bytes *keywords;
    struct key prefix;
    struct search search = {.message = {.txn = txn, .group = account.group}};
    enum err err;

    if (call->key == NULL)
        return ERR_INVALID;
    if (!query_load(txn, account, call->mailbox_id, &loaded, &mailbox))
        return query_error(txn, false);
    keyword_list(txn, &loaded, mailbox.id, mailbox.record.keywords, arena, &keywords);
    err = search_prepare(arena, call->key, keywords, mailbox.record.keywords, &root);
    if (err != ERR_OK)
        return err;
    among = candidates(arena, root, call->from_uid);
    search.root = root;
    search.message.reader = body_reader_new();
    arena_init(&search.message.message_arena);
    search.cursor = db_cursor_open(
        txn, TABLE_MESSAGE,
        key_mailbox(&prefix, account.group, account.account_id, call->mailbox_id));
    for (size_t i = 0; i < among.count; i++)
        if (!search_range(&search, account, call->mailbox_id, among.at[i], arena))
            break;
    db_cursor_close(&search.cursor);
    arena_fini(&search.message.message_arena);
    body_reader_free(&search.message.reader);
    answer->uids = search.found.at;
    answer->n_uids = search.found.count;
    answer->next_uid = search.next_uid;
    answer->highest_modseq = search.highest_modseq;
    return query_error(txn, true);
}
