/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/position.h"

#include "node/base/check.h"

const struct transfer_position transfer_end = {.table = TRANSFER_TABLE_END};

void transfer_tables_own(struct transfer_tables *tables)
{
    tables->count = 0;
    for (unsigned table = 0; table < TABLE_COUNT; table++)
        if (table != TABLE_LOCAL)
            tables->at[tables->count++] = (enum db_table)table;
    CHECK(tables->count <= TRANSFER_TABLES_MAX);
}

void transfer_tables_encode(const struct transfer_tables *tables, struct buffer *names)
{
    for (unsigned i = 0; i < tables->count; i++) {
        struct bytes name = bytes_of(db_table_name(tables->at[i]));
        CHECK(name.len > 0 && name.len < 256);
        buffer_add_byte(names, (uint8_t)name.len);
        buffer_add(names, name);
    }
}

static enum db_table table_of_name(struct bytes name)
{
    for (unsigned i = 0; i < TABLE_COUNT; i++)
        if (i != TABLE_LOCAL && bytes_equal(name, bytes_of(db_table_name((enum db_table)i))))
            return (enum db_table)i;
    return TABLE_COUNT;
}

enum err transfer_tables_decode(struct bytes names, struct transfer_tables *tables)
{
    bool seen[TABLE_COUNT + 1] = {false};

    tables->count = 0;
    while (names.len > 0) {
        size_t len = names.at[0];
        if (names.len < 1 + len || tables->count == TRANSFER_TABLES_MAX)
            return ERR_MALFORMED;
        enum db_table table = table_of_name(bytes_from(names.at + 1, len));
        if (table != TABLE_COUNT && seen[table])
            return ERR_MALFORMED;
        seen[table] = true;
        tables->at[tables->count++] = table;
        names = bytes_skip(names, 1 + len);
    }
    return ERR_OK;
}

void transfer_position_set(struct transfer_position *position, unsigned table, struct bytes key)
{
    CHECK(key.len <= sizeof(position->key));
    position->table = table;
    position->len = key.len;
    if (key.len > 0)
        memcpy(position->key, key.at, key.len);
}

bool transfer_position_is_end(const struct transfer_position *position)
{
    return position->table == TRANSFER_TABLE_END;
}

int transfer_compare(unsigned table, struct bytes key, const struct transfer_position *position)
{
    size_t len = key.len < position->len ? key.len : position->len;
    int order;

    if (table != position->table)
        return table < position->table ? -1 : 1;
    order = len > 0 ? memcmp(key.at, position->key, len) : 0;
    if (order != 0 || key.len == position->len)
        return order;
    return key.len < position->len ? -1 : 1;
}

int transfer_position_compare(const struct transfer_position *a,
                              const struct transfer_position *b)
{
    return transfer_compare(a->table, bytes_from(a->key, a->len), b);
}
