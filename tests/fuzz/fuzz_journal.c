/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A segment of the log from anywhere. An input is a byte (1: the first segment, else the
 * second), a byte that says how large its size is, then batches, each: length of the table u16,
 * length of the data u16, records u8, table, data. Heads and checks are made here, and those of
 * each entry's data if the table asks for none, so that what lies behind them is met. Whatever
 * it says, the log opens or does not; what it has then can be read, written to and opened
 * again.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "raft/coding.h"
#include "raft/frame.h"
#include "raft/journal.h"
#include "raft/journal_format.h"

enum { SIZE = 64 * 1024, SALT = 77, GROUPS = 64, ENTRIES = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[64];

static void folder_remove(void)
{
    journal_files_remove(folder);
}

static void on_written(void *context, enum err err)
{
    (void)context;
    (void)err;
}

/* The checks of the entries' data, as far as the table can be read. */
static void data_checks(uint8_t *table, size_t table_len, struct bytes data)
{
    struct bytes rest = bytes_from(table, table_len);
    struct journal_record record;

    while (rest.len > 0 && journal_record_read(&rest, &record) == ERR_OK) {
        for (unsigned i = 0; i < record.count; i++) {
            struct log_position entry = journal_record_position(&record, i, 0, 0);
            size_t at = (size_t)(record.heads.at - table) + (size_t)i * JOURNAL_ENTRY_SIZE;
            if (entry.len > data.len)
                return;
            if (entry.check == 0)
                put_le32(table + at + 12,
                         journal_data_check(bytes_from(data.at, entry.len), SALT));
            data = bytes_skip(data, entry.len);
        }
    }
}

static size_t batch_put(uint8_t *at, size_t room, struct bytes *input, uint64_t segment,
                        uint64_t number, uint64_t *previous)
{
    if (input->len < 5)
        return 0;
    size_t table_len = (size_t)((input->at[0] | input->at[1] << 8) & ~7);
    size_t data_len = (size_t)(input->at[2] | input->at[3] << 8);
    uint8_t records = input->at[4];
    *input = bytes_skip(*input, 5);
    if (table_len > input->len)
        table_len = input->len & ~(size_t)7;
    if (data_len > input->len - table_len)
        data_len = input->len - table_len;
    size_t whole = (JOURNAL_BATCH_HEAD_SIZE + table_len + data_len + 7) & ~(size_t)7;
    if (whole > room)
        return 0;
    uint8_t *table = at + JOURNAL_BATCH_HEAD_SIZE;
    if (table_len + data_len > 0)
        memcpy(table, input->at, table_len + data_len);
    *input = bytes_skip(*input, table_len + data_len);
    data_checks(table, table_len, bytes_from(table + table_len, data_len));
    put_le32(at, UINT32_C(0x42525250));
    at[4] = 1;
    put_le64(at + 8, segment);
    put_le64(at + 16, number);
    put_le64(at + 24, *previous);
    put_le32(at + 32, (uint32_t)table_len);
    put_le32(at + 36, (uint32_t)data_len);
    put_le32(at + 40, records);
    *previous = XXH3_64bits_withSeed(table, table_len, XXH3_64bits_withSeed(at, 48, SALT));
    put_le64(at + 48, *previous);
    CHECK(journal_batch_check(bytes_from(at, JOURNAL_BATCH_HEAD_SIZE + table_len), SALT));
    return whole;
}

static void segment_put(struct bytes input)
{
    static uint8_t bytes[SIZE];
    static const uint64_t sizes[] = {SIZE, SIZE, 0, 100, JOURNAL_SEGMENT_HEAD_SIZE, SIZE * 2};
    uint64_t segment = input.at[0] == 1 ? 1 : 2;
    uint64_t previous = 0;
    size_t at = JOURNAL_SEGMENT_HEAD_SIZE;
    char path[120];

    memset(bytes, 0, sizeof(bytes));
    journal_segment_head_write(
        bytes, &(struct journal_segment_head){
                   .number = segment, .salt = SALT, .size = sizes[input.at[1] % 6]});
    input = bytes_skip(input, 2);
    for (uint64_t number = 1;; number++) {
        size_t len =
            batch_put(bytes + at, sizeof(bytes) - at, &input, segment, number, &previous);
        if (len == 0)
            break;
        at += len;
    }
    CHECK(mkdir(folder, 0700) == 0);
    snprintf(path, sizeof(path), "%s/%016x.log", folder, (unsigned)segment);
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL && fwrite(bytes, 1, sizeof(bytes), file) == sizeof(bytes));
    CHECK(fclose(file) == 0);
}

static bool opens(void)
{
    struct journal_config config = {
        .folder = folder, .segment_bytes = SIZE, .written = on_written};
    static struct log_state states[GROUPS];
    struct journal *journal = NULL;

    if (journal_open(&config, &journal) != ERR_OK)
        return false;
    struct entry_log *log = journal_interface(journal);
    unsigned count = log->ops->groups(log, states, GROUPS);
    for (unsigned i = 0; i < count && i < GROUPS; i++) {
        struct entry entries[ENTRIES];
        unsigned got =
            log->ops->read(log, states[i].group, states[i].first_index, ENTRIES, SIZE, entries);
        for (unsigned j = 0; j < got; j++)
            frame_unref(entries[j].owner);
        CHECK(states[i].last_index + 1 >= states[i].first_index);
    }
    journal_close(&journal);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    if (folder[0] == 0) {
        log_init("fuzz", LOG_LEVEL_ERROR + 1, false);
        snprintf(folder, sizeof(folder), "/tmp/fuzz_journal.%d", (int)getpid());
        atexit(folder_remove);
    }
    folder_remove();
    segment_put(bytes_from(data, size));
    if (opens())
        CHECK(opens());
    return 0;
}
