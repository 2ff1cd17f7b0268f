/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/directory_sweep.h"

#include "storage/schema/entry.h"

unsigned directory_sweep(struct apply *apply, enum db_table table,
                         const ProtobufCMessageDescriptor *descriptor, sweep_expired *expired,
                         unsigned looks, ProtobufCBinaryData *at)
{
    uint64_t now_ms = apply_clock_ms(apply);
    struct bytes last = bytes_of_field(*at);
    struct key prefix;
    struct bytes key;
    struct bytes row;
    struct db_cursor *cursor =
        db_cursor_open(apply->txn, table, key_group(&prefix, DIRECTORY_GROUP));
    unsigned gone = 0;
    bool more = last.len > 0 ? db_cursor_seek(cursor, last, &key, &row)
                             : db_cursor_first(cursor, &key, &row);

    if (more && bytes_equal(key, last))
        more = db_cursor_next(cursor, &key, &row);
    last = bytes_from(NULL, 0);
    for (; more; more = db_cursor_next(cursor, &key, &row)) {
        const void *message;
        if (looks-- == 0)
            break;
        last = arena_copy(apply->arena, key);
        message = directory_unpack(apply->txn, row, descriptor, apply->arena);
        if (message == NULL)
            break;
        if (expired(message, now_ms)) {
            db_cursor_delete(cursor);
            gone++;
        }
    }
    db_cursor_close(&cursor);
    *at = field_of_bytes(more ? last : bytes_from(NULL, 0));
    return gone;
}
