/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "imap/protocol/arguments.h"
#include "imap/protocol/limits.h"
#include "imap/protocol/mailbox_name.h"
#include "imap/protocol/reader.h"
#include "imap/protocol/write.h"
#include "node/base/check.h"

/*
 * A client's bytes through the reader, whole and one by one: both must see the same commands.
 * Each command is given to every parser of arguments; what is parsed must keep its promises.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static imap_parse *const parsers[] = {
    imap_parse_nothing,  imap_parse_login,   imap_parse_authenticate, imap_parse_enable,
    imap_parse_id,       imap_parse_mailbox, imap_parse_select,       imap_parse_create,
    imap_parse_rename,   imap_parse_status,  imap_parse_list,         imap_parse_lsub,
    imap_parse_fetch,    imap_parse_store,   imap_parse_copy,         imap_parse_search,
    imap_parse_sequence, imap_parse_append,
};

static void check_sequence(const struct imap_sequence *sequence, struct arena *arena)
{
    CHECK(sequence->ranges.count <= IMAP_RANGES_MAX);
    struct imap_ranges ranges = imap_sequence_resolve(sequence, 1000, arena);
    for (size_t i = 0; i < ranges.count; i++) {
        CHECK(ranges.at[i].first > 0 && ranges.at[i].first <= ranges.at[i].last);
        CHECK(i == 0 || ranges.at[i].first > ranges.at[i - 1].last + 1);
    }
}

static void check_name(struct bytes name, struct arena *arena)
{
    struct buffer encoded = BUFFER_EMPTY;
    struct bytes again;

    CHECK(imap_mailbox_name_valid(name));
    imap_utf7_encode(name, &encoded);
    CHECK(imap_utf7_decode(buffer_bytes(&encoded), arena, &again));
    CHECK(bytes_equal(name, again));
    buffer_fini(&encoded);
}

/* Depth and number of keys; recursion ends where the parser's limits do. */
static unsigned count_keys(const Pr__SearchKey *key, unsigned depth)
{
    unsigned count = 1;

    CHECK(depth <= 16);
    for (size_t i = 0; i < key->n_keys; i++)
        count += count_keys(key->keys[i], depth + 1);
    return count;
}

static void check_arguments(imap_parse *parse, const struct imap_arguments *arguments,
                            struct arena *arena)
{
    if (parse == imap_parse_sequence)
        check_sequence(&arguments->sequence, arena);
    if (parse == imap_parse_fetch) {
        check_sequence(&arguments->fetch.sequence, arena);
        CHECK(arguments->fetch.items.count > 0 &&
              arguments->fetch.items.count <= IMAP_FETCH_ITEMS_MAX);
    }
    if (parse == imap_parse_copy)
        check_name(arguments->copy.name, arena);
    if (parse == imap_parse_mailbox || parse == imap_parse_create)
        check_name(arguments->mailbox.name, arena);
    if (parse == imap_parse_search)
        CHECK(count_keys(arguments->search.key, 1) <= 256);
    if (parse == imap_parse_list)
        for (size_t i = 0; i < arguments->list.pattern_count; i++)
            imap_pattern_matches(arguments->list.patterns[i], BYTES("Inbox/a&b/c"));
}

static void parse_all(struct bytes text)
{
    struct arena arena;
    struct bytes tag;
    struct bytes name;

    arena_init(&arena);
    struct imap_cursor start = imap_cursor_over(text, &arena);
    if (imap_take_tag(&start, &tag) && imap_take_space(&start) &&
        imap_take_atom(&start, &name)) {
        for (size_t i = 0; i < sizeof(parsers) / sizeof(parsers[0]); i++) {
            struct imap_cursor cursor = start;
            struct imap_arguments arguments;
            if (parsers[i](&cursor, &arguments)) {
                CHECK(imap_at_end(&cursor) || parsers[i] == imap_parse_append);
                check_arguments(parsers[i], &arguments, &arena);
            } else {
                CHECK(cursor.problem != NULL);
            }
        }
    }
    arena_fini(&arena);
}

/* All that the reader says, written down. Literals are accepted, streamed or refused by size.
 */
static void read_all(struct bytes input, size_t step, struct buffer *seen)
{
    struct imap_reader reader;

    imap_reader_init(&reader, 300);
    while (input.len > 0) {
        struct bytes offered = {input.at, step < input.len ? step : input.len};
        while (offered.len > 0) {
            enum imap_reader_event event;
            struct bytes piece;
            size_t used = imap_reader_feed(&reader, offered, &event, &piece);
            CHECK(used <= offered.len && (used > 0 || event != IMAP_READER_MORE));
            offered = bytes_skip(offered, used);
            input = bytes_skip(input, used);
            CHECK(buffer_len(&reader.text) <= 300);
            if (event == IMAP_READER_STREAM) {
                buffer_add(seen, piece);
                continue;
            }
            if (event != IMAP_READER_MORE)
                buffer_printf(seen, "<%d>", event);
            if (event == IMAP_READER_LITERAL && !imap_reader_fits(&reader))
                imap_reader_refuse(&reader);
            else if (event == IMAP_READER_LITERAL && imap_reader_literal_size(&reader) % 2 == 1)
                imap_reader_stream(&reader);
            else if (event == IMAP_READER_LITERAL)
                imap_reader_accept(&reader);
            if (event == IMAP_READER_COMMAND) {
                buffer_add(seen, imap_reader_text(&reader));
                imap_reader_reset(&reader);
            }
        }
    }
    imap_reader_fini(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = BUFFER_EMPTY;
    struct buffer single = BUFFER_EMPTY;
    struct bytes input = {data, size};

    parse_all(input);
    read_all(input, SIZE_MAX, &whole);
    read_all(input, 1, &single);
    CHECK(bytes_equal(buffer_bytes(&whole), buffer_bytes(&single)));
    buffer_fini(&whole);
    buffer_fini(&single);
    return 0;
}
