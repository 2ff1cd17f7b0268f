/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/transfer/format.h"

#include "node/base/check.h"

const struct transfer_limits transfer_limits = {
    .leaf_bytes = (size_t)16 << 10, /* 0.3 % of it is what its digest costs on the way */
    .read_bytes = (size_t)16 << 20,
    .rows_bytes = (size_t)3 << 20,
    .changes_bytes = (size_t)1 << 20,
    .last_bytes = (size_t)4 << 20,
    .write_bytes = (size_t)2 << 20,
    .keys_bytes = (size_t)64 << 20,
    .read_ms = 500,
};

static void add_number(struct buffer *buffer, uint64_t number, unsigned size)
{
    for (unsigned i = size; i > 0; i--)
        buffer_add_byte(buffer, (uint8_t)(number >> (8 * (i - 1))));
}

static void add_position(struct buffer *buffer, unsigned table, struct bytes key)
{
    buffer_add_byte(buffer, (uint8_t)table);
    add_number(buffer, key.len, 2);
    buffer_add(buffer, key);
}

/* Reads on; the first thing that does not fit makes all that follow fail. */
struct reader {
    struct bytes rest;
    bool bad;
};

static struct bytes take(struct reader *reader, size_t len)
{
    struct bytes taken = {reader->rest.at, len};

    if (reader->bad || reader->rest.len < len) {
        reader->bad = true;
        return bytes_from(NULL, 0);
    }
    reader->rest = bytes_skip(reader->rest, len);
    return taken;
}

static uint64_t take_number(struct reader *reader, unsigned size)
{
    struct bytes bytes = take(reader, size);
    uint64_t number = 0;

    for (size_t i = 0; i < bytes.len; i++)
        number = number << 8 | bytes.at[i];
    return number;
}

static struct bytes take_key(struct reader *reader, unsigned *table)
{
    *table = (unsigned)take_number(reader, 1);
    size_t len = (size_t)take_number(reader, 2);
    if (len > DB_KEY_SIZE_MAX)
        reader->bad = true;
    return take(reader, len);
}

static void take_position(struct reader *reader, struct transfer_position *position)
{
    unsigned table;
    struct bytes key = take_key(reader, &table);

    transfer_position_set(position, table, key);
    if (table == TRANSFER_TABLE_END && key.len > 0)
        reader->bad = true;
}

static void take_version(struct reader *reader)
{
    if (take_number(reader, 1) != TRANSFER_FORMAT_VERSION)
        reader->bad = true;
}

/* ---- questions ---- */

void transfer_question_begin(struct buffer *question, const struct transfer_position *from)
{
    buffer_add_byte(question, TRANSFER_FORMAT_VERSION);
    add_position(question, from->table, bytes_from(from->key, from->len));
}

void transfer_question_leaf(struct buffer *question, const struct transfer_leaf *leaf)
{
    add_position(question, leaf->to.table, bytes_from(leaf->to.key, leaf->to.len));
    add_number(question, leaf->rows, 4);
    buffer_add(question, bytes_from(leaf->digest, sizeof(leaf->digest)));
}

enum err transfer_question_decode(struct bytes packed, struct transfer_question *question)
{
    struct reader reader = {packed, false};

    take_version(&reader);
    take_position(&reader, &question->from);
    question->leaves = reader.rest;
    return reader.bad ? ERR_MALFORMED : ERR_OK;
}

enum err transfer_leaf_next(struct bytes *leaves, struct transfer_leaf *leaf)
{
    struct reader reader = {*leaves, false};
    struct bytes digest;

    if (leaves->len == 0)
        return ERR_NOTFOUND;
    take_position(&reader, &leaf->to);
    leaf->rows = (uint32_t)take_number(&reader, 4);
    digest = take(&reader, sizeof(leaf->digest));
    if (reader.bad)
        return ERR_MALFORMED;
    memcpy(leaf->digest, digest.at, sizeof(leaf->digest));
    *leaves = reader.rest;
    return ERR_OK;
}

/* ---- answers ---- */

void transfer_answer_begin(struct buffer *answer)
{
    buffer_add_byte(answer, TRANSFER_FORMAT_VERSION);
}

void transfer_answer_row(struct buffer *answer, enum transfer_item_kind kind,
                         const struct transfer_row *row)
{
    CHECK(kind == TRANSFER_ROW || kind == TRANSFER_PUT || kind == TRANSFER_GONE);
    buffer_add_byte(answer, (uint8_t)kind);
    add_position(answer, row->table, row->key);
    if (kind == TRANSFER_GONE)
        return;
    CHECK(row->value.len <= TRANSFER_ROW_SIZE_MAX);
    add_number(answer, row->value.len, 4);
    buffer_add(answer, row->value);
}

void transfer_answer_position(struct buffer *answer, enum transfer_item_kind kind,
                              const struct transfer_position *position)
{
    CHECK(kind == TRANSFER_EQUAL || kind == TRANSFER_REPLACED);
    buffer_add_byte(answer, (uint8_t)kind);
    add_position(answer, position->table, bytes_from(position->key, position->len));
}

void transfer_answer_last(struct buffer *answer, uint64_t index)
{
    buffer_add_byte(answer, TRANSFER_LAST);
    add_number(answer, index, 8);
}

enum err transfer_answer_open(struct bytes packed, struct bytes *items)
{
    struct reader reader = {packed, packed.len > TRANSFER_ANSWER_SIZE_MAX};

    take_version(&reader);
    *items = reader.rest;
    return reader.bad ? ERR_MALFORMED : ERR_OK;
}

enum err transfer_item_next(struct bytes *items, struct transfer_item *item)
{
    struct reader reader = {*items, false};
    size_t len;

    if (items->len == 0)
        return ERR_NOTFOUND;
    item->kind = (enum transfer_item_kind)take_number(&reader, 1);
    item->row = (struct transfer_row){0};
    switch (item->kind) {
    case TRANSFER_ROW:
    case TRANSFER_PUT:
        item->row.key = take_key(&reader, &item->row.table);
        len = (size_t)take_number(&reader, 4);
        if (len > TRANSFER_ROW_SIZE_MAX)
            reader.bad = true;
        item->row.value = take(&reader, len);
        break;
    case TRANSFER_GONE:
        item->row.key = take_key(&reader, &item->row.table);
        break;
    case TRANSFER_EQUAL:
    case TRANSFER_REPLACED:
        take_position(&reader, &item->position);
        break;
    case TRANSFER_LAST:
        item->index = take_number(&reader, 8);
        break;
    default:
        reader.bad = true;
    }
    if (reader.bad)
        return ERR_MALFORMED;
    *items = reader.rest;
    return ERR_OK;
}
