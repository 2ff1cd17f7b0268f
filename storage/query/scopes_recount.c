/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether the rows of scopes hold what the accounts hold that are counted there. */
#include <stdlib.h>

#include "node/base/check.h"
#include "storage/machine/scope.h"
#include "storage/query/scopes.h"

struct part {
    struct scopes_place scope;
    uint64_t messages;
    uint64_t bytes;
};

struct counting {
    struct part *parts; /* of accounts, then of scopes: sorted, one each */
    size_t count;
    size_t room;
    struct scopes_difference *difference;
};

static void part_add(struct counting *counting, Pr__ScopeKind kind, uint64_t id,
                     const struct account_record *account)
{
    if (id == 0)
        return;
    if (counting->count == counting->room) {
        counting->room = counting->room == 0 ? 256 : 2 * counting->room;
        counting->parts = realloc(counting->parts, counting->room * sizeof(*counting->parts));
        CHECK(counting->parts != NULL);
    }
    counting->parts[counting->count++] =
        (struct part){{kind, id}, account->messages, account->size};
}

static int place_compare(struct scopes_place a, struct scopes_place b)
{
    if (a.kind != b.kind)
        return a.kind < b.kind ? -1 : 1;
    return (a.id > b.id) - (a.id < b.id);
}

static int part_compare(const void *a, const void *b)
{
    const struct part *left = a;
    const struct part *right = b;

    return place_compare(left->scope, right->scope);
}

/* One account's own row a step: its other rows are passed by. */
static enum err accounts_count(struct db_txn *txn, uint32_t group, uint64_t accounts_max,
                               struct counting *counting)
{
    struct key prefix;
    struct key at;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_MAILBOX, key_group(&prefix, group));
    enum err err = ERR_OK;

    for (uint64_t from = 0; from != UINT64_MAX &&
                            db_cursor_seek(cursor, key_number(&at, group, from), &key, &row);) {
        struct account_record account;

        if (counting->difference->accounts == accounts_max) {
            err = ERR_TOOBIG;
            break;
        }
        counting->difference->accounts++;
        if (key_last_u32(key) != 0 || !account_decode(row, &account)) {
            err = ERR_MALFORMED;
            break;
        }
        if (!account.gone && account.place < PLACE_IMPORTED) {
            part_add(counting, PR__SCOPE_KIND__SCOPE_DOMAIN, account.domain_id, &account);
            part_add(counting, PR__SCOPE_KIND__SCOPE_TENANT, account.tenant_id, &account);
        }
        from = key_last_u64(bytes_from(key.at, 12)) + 1;
    }
    db_cursor_close(&cursor);
    return err;
}

/* Sorts the parts, and makes one of all of a scope. */
static void parts_join(struct counting *counting)
{
    size_t joined = 0;

    if (counting->count > 0)
        qsort(counting->parts, counting->count, sizeof(*counting->parts), part_compare);
    for (size_t i = 0; i < counting->count; i++) {
        struct part *last = joined > 0 ? &counting->parts[joined - 1] : NULL;
        if (last != NULL && place_compare(last->scope, counting->parts[i].scope) == 0) {
            last->messages += counting->parts[i].messages;
            last->bytes += counting->parts[i].bytes;
        } else {
            counting->parts[joined++] = counting->parts[i];
        }
    }
    counting->count = joined;
}

static void compare(struct counting *counting, struct scopes_place scope,
                    const struct part *counted, const struct scope_record *record)
{
    struct scopes_difference *difference = counting->difference;
    uint64_t messages = counted != NULL ? counted->messages : 0;
    uint64_t bytes = counted != NULL ? counted->bytes : 0;
    uint64_t row_messages = record != NULL ? record->used_messages : 0;
    uint64_t row_bytes = record != NULL ? record->used_bytes : 0;
    bool idle = record != NULL && messages == 0 && bytes == 0 &&
                (record->limit == 0 || record->version == SCOPE_ENDED);

    difference->scopes++;
    if (messages == row_messages && bytes == row_bytes && !idle)
        return;
    if (difference->different++ > 0)
        return;
    difference->first = scope;
    difference->row_messages = row_messages;
    difference->row_bytes = row_bytes;
    difference->counted_messages = messages;
    difference->counted_bytes = bytes;
}

/* Rows and parts side by side, in the same order. */
static enum err rows_compare(struct db_txn *txn, uint32_t group, struct counting *counting)
{
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor = db_cursor_open(txn, TABLE_SCOPE, key_group(&prefix, group));
    size_t at = 0;
    enum err err = ERR_OK;

    for (bool more = db_cursor_first(cursor, &key, &row); more;
         more = db_cursor_next(cursor, &key, &row)) {
        struct scope_record record;
        struct scopes_place scope;
        int order = -1;

        if (key.len != 4 + 1 + 8 || !scope_decode(row, &record)) {
            err = ERR_MALFORMED;
            break;
        }
        scope = (struct scopes_place){(Pr__ScopeKind)key.at[4], key_last_u64(key)};
        if (scope.kind == PR__SCOPE_KIND__SCOPE_SENDING)
            continue; /* no account's record says what was sent */
        while (at < counting->count &&
               (order = place_compare(counting->parts[at].scope, scope)) < 0) {
            compare(counting, counting->parts[at].scope, &counting->parts[at], NULL);
            at++;
        }
        compare(counting, scope,
                at < counting->count && order == 0 ? &counting->parts[at++] : NULL, &record);
    }
    for (; at < counting->count; at++)
        compare(counting, counting->parts[at].scope, &counting->parts[at], NULL);
    db_cursor_close(&cursor);
    return err;
}

enum err scopes_recount(struct db_txn *txn, uint32_t group, uint64_t accounts_max,
                        struct scopes_difference *difference)
{
    struct counting counting = {.difference = difference};
    enum err err;

    *difference = (struct scopes_difference){0};
    err = accounts_count(txn, group, accounts_max, &counting);
    if (err == ERR_OK) {
        parts_join(&counting);
        err = rows_compare(txn, group, &counting);
    }
    free(counting.parts);
    return err != ERR_OK ? err : db_error(txn);
}
