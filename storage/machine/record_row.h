/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_MACHINE_RECORD_ROW_H
#define STORAGE_MACHINE_RECORD_ROW_H

#include <endian.h>

#include "node/base/check.h"
#include "storage/machine/record.h"

/* How the fixed rows are written and read, for the files that know their fields. */

enum { VERSION = 1, VERSION_2 = 2, VERSION_3 = 3, VERSION_4 = 4 };

static inline void record_begin(struct record *record)
{
    record->at[0] = VERSION;
    record->len = 1;
}

static inline void put_bytes(struct record *record, const void *at, size_t len)
{
    CHECK(len <= sizeof(record->at) - record->len);
    if (len > 0)
        memcpy(record->at + record->len, at, len);
    record->len += len;
}

static inline void put_u8(struct record *record, uint8_t number)
{
    put_bytes(record, &number, 1);
}

static inline void put_u16(struct record *record, uint16_t number)
{
    uint16_t big = htobe16(number);
    put_bytes(record, &big, sizeof(big));
}

static inline void put_u32(struct record *record, uint32_t number)
{
    uint32_t big = htobe32(number);
    put_bytes(record, &big, sizeof(big));
}

static inline void put_u64(struct record *record, uint64_t number)
{
    uint64_t big = htobe64(number);
    put_bytes(record, &big, sizeof(big));
}

/* Reads from the front; what is not there reads as zero, and `short_row` is set. */
struct reader {
    struct bytes rest;
    bool short_row;
};

/* A row of any version up to `newest`; row.at[0] says which. */
static inline struct reader reader_begin_version(struct bytes row, uint8_t newest)
{
    struct reader reader = {row, row.len < 1 || row.at[0] < VERSION || row.at[0] > newest};

    reader.rest = bytes_skip(row, 1);
    return reader;
}

static inline struct reader reader_begin(struct bytes row)
{
    return reader_begin_version(row, VERSION);
}

static inline bool reader_done(const struct reader *reader)
{
    return !reader->short_row && reader->rest.len == 0;
}

static inline void get_bytes(struct reader *reader, void *to, size_t len)
{
    if (reader->rest.len < len) {
        reader->short_row = true;
        memset(to, 0, len);
        return;
    }
    memcpy(to, reader->rest.at, len);
    reader->rest = bytes_skip(reader->rest, len);
}

static inline uint8_t get_u8(struct reader *reader)
{
    uint8_t number;
    get_bytes(reader, &number, 1);
    return number;
}

static inline bool get_bool(struct reader *reader)
{
    return get_u8(reader) != 0;
}

static inline uint16_t get_u16(struct reader *reader)
{
    uint16_t big;
    get_bytes(reader, &big, sizeof(big));
    return be16toh(big);
}

static inline uint32_t get_u32(struct reader *reader)
{
    uint32_t big;
    get_bytes(reader, &big, sizeof(big));
    return be32toh(big);
}

static inline uint64_t get_u64(struct reader *reader)
{
    uint64_t big;
    get_bytes(reader, &big, sizeof(big));
    return be64toh(big);
}

#endif
