/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What comes from another node in a copy of a group's state. The first byte says as what. */
#include "node/base/check.h"
#include "storage/transfer/sink.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t now_ms(void)
{
    return 1;
}

/* What was accepted is written as it came. */
static void answer(struct bytes packed)
{
    const struct transfer_sink_config config = {.group = 1, .now_ms = now_ms};
    struct transfer_sink *sink = transfer_sink_new(&config);
    struct buffer again = BUFFER_EMPTY;
    struct transfer_item item;
    struct bytes items;

    if (transfer_sink_receive(sink, packed) == ERR_OK) {
        CHECK(transfer_answer_open(packed, &items) == ERR_OK);
        transfer_answer_begin(&again);
        while (transfer_item_next(&items, &item) == ERR_OK) {
            if (item.kind == TRANSFER_LAST)
                transfer_answer_last(&again, item.index);
            else if (item.kind == TRANSFER_EQUAL || item.kind == TRANSFER_REPLACED)
                transfer_answer_position(&again, item.kind, &item.position);
            else
                transfer_answer_row(&again, item.kind, &item.row);
        }
        CHECK(bytes_equal(buffer_bytes(&again), packed));
    }
    buffer_fini(&again);
    transfer_sink_free(&sink);
}

static void question(struct bytes packed)
{
    struct transfer_question question;
    struct transfer_leaf leaf;
    struct buffer again = BUFFER_EMPTY;
    enum err err;

    if (transfer_question_decode(packed, &question) != ERR_OK)
        return;
    transfer_question_begin(&again, &question.from);
    while ((err = transfer_leaf_next(&question.leaves, &leaf)) == ERR_OK)
        transfer_question_leaf(&again, &leaf);
    CHECK(err == ERR_MALFORMED || bytes_equal(buffer_bytes(&again), packed));
    buffer_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes packed = bytes_skip(bytes_from(data, size), 1);
    struct transfer_tables tables;

    if (size == 0)
        return 0;
    if (data[0] == 'a')
        answer(packed);
    else if (data[0] == 'q')
        question(packed);
    else if (transfer_tables_decode(packed, &tables) == ERR_OK)
        CHECK(tables.count <= TRANSFER_TABLES_MAX);
    return 0;
}
