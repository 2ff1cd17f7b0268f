/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What an account holds, and what of it can be brought back. */
#include "storage/machine/expunged.h"

#include "storage/machine/mailbox_name.h"
#include "storage/query/view.h"
#include "storage/schema/entry.h"

enum { EXPUNGED_LOOKS_MAX = 20000 }; /* rows that one answer passes */

enum err query_quota(struct db_txn *txn, struct query_account account,
                     Pr__QuotaReadAnswer *answer)
{
    struct account loaded;

    account_load(txn, account.group, account.account_id, &loaded);
    if (loaded.state == ACCOUNT_GONE)
        return query_error(txn, false);
    answer->messages = loaded.record.messages;
    answer->size = loaded.record.size;
    answer->expunged = loaded.record.expunged;
    answer->expunged_size = loaded.record.expunged_size;
    return query_error(txn, true);
}

static Pr__ExpungedId *id_make(struct arena *arena, const struct expunged *expunged)
{
    Pr__ExpungedId *id = arena_alloc(arena, sizeof(*id));

    pr__expunged_id__init(id);
    id->time_ms = expunged->time_ms;
    id->mailbox_id = expunged->mailbox_id;
    id->uid = expunged->uid;
    return id;
}

static Pr__ExpungedInfo *info_make(struct arena *arena, const struct expunged *expunged)
{
    Pr__ExpungedInfo *info = arena_alloc(arena, sizeof(*info));

    pr__expunged_info__init(info);
    info->id = id_make(arena, expunged);
    info->mailbox = arena_string(arena, expunged->name);
    info->size = expunged->record.size;
    info->internal_s = expunged->record.internal_s;
    return info;
}

/* At most UNDELETE_MAILBOXES_MAX mailboxes in a page: what one command can bring back. */
static bool mailbox_known(uint32_t *known, size_t *count, uint32_t mailbox_id)
{
    for (size_t i = 0; i < *count; i++)
        if (known[i] == mailbox_id)
            return true;
    if (*count == UNDELETE_MAILBOXES_MAX)
        return false;
    known[(*count)++] = mailbox_id;
    return true;
}

/* The key to go on with: behind `after`, and not before `since_ms`. */
static struct bytes start_key(struct key *key, struct query_account account,
                              const Pr__ExpungedList *call)
{
    const Pr__ExpungedId *after = call->after;

    if (after == NULL || after->time_ms < call->since_ms)
        return key_expunged(key, account.group, account.account_id, call->since_ms, 0, 0);
    /* A uid is at most 2^32 - 2. */
    return key_expunged(key, account.group, account.account_id, after->time_ms,
                        after->mailbox_id, after->uid + (after->uid < UINT32_MAX));
}

enum err query_expunged(struct db_txn *txn, struct query_account account,
                        const Pr__ExpungedList *call, struct arena *arena,
                        Pr__ExpungedListAnswer *answer)
{
    size_t limit = call->limit != 0 && call->limit < UNDELETE_MESSAGES_MAX
                       ? call->limit
                       : UNDELETE_MESSAGES_MAX;
    struct bytes name = mailbox_name_normal(arena, bytes_of(call->mailbox));
    uint32_t known[UNDELETE_MAILBOXES_MAX];
    size_t known_count = 0;
    struct expunged last = {.time_ms = 0};
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(
        txn, TABLE_EXPUNGED, key_number(&prefix, account.group, account.account_id));
    bool more = db_cursor_seek(cursor, start_key(&at, account, call), &key, &row);

    answer->messages = arena_alloc(arena, limit * sizeof(*answer->messages));
    for (unsigned looks = 0; more; looks++, more = db_cursor_next(cursor, &key, &row)) {
        struct expunged expunged;
        bool wanted;

        if (!expunged_decode(key, row, &expunged)) {
            db_fail(txn, ERR_MALFORMED);
            break;
        }
        wanted = name.len == 0 || bytes_equal(expunged.name, name);
        if (looks == EXPUNGED_LOOKS_MAX || answer->n_messages == limit ||
            (wanted && !mailbox_known(known, &known_count, expunged.mailbox_id))) {
            answer->next = id_make(arena, &last);
            break;
        }
        if (wanted)
            answer->messages[answer->n_messages++] = info_make(arena, &expunged);
        last = expunged;
    }
    db_cursor_close(&cursor);
    return query_error(txn, true);
}

bool query_tick_due(struct db_txn *txn, uint32_t group)
{
    struct key key;
    struct bytes row;
    struct group_record record;

    return db_get(txn, TABLE_META, key_group(&key, group), &row) == ERR_OK &&
           group_decode(row, &record) && record.doomed > 0;
}

bool query_expunged_due(struct db_txn *txn, uint32_t group, uint64_t before_ms, uint64_t *from)
{
    uint64_t next = 1;
    uint64_t found = 0;

    while (found == 0 && next != 0 && db_error(txn) == ERR_OK)
        found = expunged_due(txn, group, next, before_ms, APPLY_PURGE_LOOKS_MAX, &next);
    *from = found;
    return found != 0;
}
