/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "storage/schema/address.h"
#include "storage/schema/entry.h"
#include "storage/schema/request_id.h"
#include "storage/schema/search_depth.h"
#include "store.pb-c.h"

static void test_addresses_fold_and_split(void **state)
{
    (void)state;
    struct arena arena;
    struct bytes local;
    struct bytes domain;

    arena_init(&arena);
    struct bytes folded = address_fold(&arena, BYTES("Ann@Home"), BYTES("Example.TEST"));
    assert_true(bytes_equal(folded, BYTES("ann@home@example.test")));
    assert_true(address_split(folded, &local, &domain));
    assert_true(bytes_equal(local, BYTES("ann@home")));
    assert_true(bytes_equal(domain, BYTES("example.test")));
    assert_false(address_split(BYTES("ann"), &local, &domain));
    assert_false(address_split(BYTES("@example.test"), &local, &domain));
    assert_false(address_split(BYTES("ann@"), &local, &domain));
    assert_false(address_split(BYTES(""), &local, &domain));
    arena_fini(&arena);
}

static void test_request_ids_sort_by_time_as_bytes_and_as_text(void **state)
{
    (void)state;
    const uint8_t low[10] = {0};
    const uint8_t high[10] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    struct request_id earlier = request_id_make(1763750000123, high);
    struct request_id later = request_id_make(1763750000124, low);
    char earlier_text[REQUEST_ID_TEXT_SIZE];
    char later_text[REQUEST_ID_TEXT_SIZE];

    assert_true(request_id_time_ms(&earlier) == 1763750000123);
    assert_true(memcmp(earlier.bytes, later.bytes, REQUEST_ID_SIZE) < 0);
    request_id_format(&earlier, earlier_text);
    request_id_format(&later, later_text);
    assert_int_equal(strlen(earlier_text), 26);
    assert_true(strcmp(earlier_text, later_text) < 0);
    /* 130 bits, the first two zero: the last digit holds the last five bits. */
    assert_int_equal(earlier_text[25], 'z');
    assert_int_equal(later_text[25], '0');
}

static void test_request_ids_are_read_again(void **state)
{
    const uint8_t random[10] = {0, 255, 1, 254, 2, 128, 127, 9, 77, 31};
    struct request_id id = request_id_make(1763750000123, random);
    struct request_id read;
    char text[REQUEST_ID_TEXT_SIZE];

    (void)state;
    request_id_format(&id, text);
    assert_true(request_id_parse(bytes_of(text), &read));
    assert_memory_equal(read.bytes, id.bytes, REQUEST_ID_SIZE);
    assert_true(request_id_parse(BYTES("7ZZZZZZZZZzzzzzzzzzzzzzzzz"), &read));
    assert_int_equal(read.bytes[0] & read.bytes[15], 255);
    assert_true(request_id_parse(BYTES("0000000000000000000000OoIL"), &read));
    assert_int_equal(read.bytes[15], 33);
    assert_false(request_id_parse(BYTES("8zzzzzzzzzzzzzzzzzzzzzzzzz"), &read));
    assert_false(request_id_parse(BYTES("0000000000000000000000000u"), &read));
    assert_false(request_id_parse(BYTES("000000000000000000000000 0"), &read));
    assert_false(request_id_parse(BYTES("000000000000000000000000"), &read));
    assert_false(request_id_parse(BYTES(""), &read));
}

static void test_entries_come_back_and_nonsense_does_not(void **state)
{
    (void)state;
    Pr__Command command = PR__COMMAND__INIT;
    Pr__TenantAdd add = PR__TENANT_ADD__INIT;
    struct buffer entry = BUFFER_EMPTY;
    struct arena arena;

    arena_init(&arena);
    add.name = "tenant";
    command.time_ms = 17;
    command.call_case = PR__COMMAND__CALL_TENANT_ADD;
    command.tenant_add = &add;
    entry_encode(&command, &entry);
    Pr__Command *back = entry_decode(buffer_bytes(&entry), &arena);
    assert_non_null(back);
    assert_int_equal(back->time_ms, 17);
    assert_string_equal(back->tenant_add->name, "tenant");
    struct bytes cut = buffer_bytes(&entry);
    cut.len--;
    assert_null(entry_decode(cut, &arena));
    assert_null(entry_decode(BYTES(""), &arena));
    assert_null(entry_decode(BYTES("\x02whatever"), &arena));
    buffer_fini(&entry);
    arena_fini(&arena);
}

static void pack_nested_search(unsigned depth, struct buffer *packed)
{
    static Pr__SearchKey keys[80];
    static Pr__SearchKey *children[80];
    Pr__Request request = PR__REQUEST__INIT;
    Pr__Search search = PR__SEARCH__INIT;

    for (unsigned i = 0; i < depth; i++) {
        pr__search_key__init(&keys[i]);
        keys[i].kind = PR__SEARCH_KEY__KIND__NOT;
        keys[i].text = "x";
        keys[i].number = -1;
        children[i] = &keys[i];
        if (i > 0) {
            keys[i].n_keys = 1;
            keys[i].keys = &children[i - 1];
        }
    }
    search.key = &keys[depth - 1];
    request.session = 99;
    request.call_case = PR__REQUEST__CALL_SEARCH;
    request.search = &search;
    message_pack(&request.base, packed);
}

static void test_search_keys_are_measured_before_they_are_unpacked(void **state)
{
    (void)state;
    for (unsigned depth = 1; depth <= 40; depth++) {
        struct buffer packed = BUFFER_EMPTY;
        pack_nested_search(depth, &packed);
        assert_int_equal(search_depth_within(buffer_bytes(&packed), 16), depth <= 16);
        /* Whatever is cut off, it ends. */
        for (size_t len = 0; len < buffer_len(&packed); len++)
            (void)search_depth_within(bytes_from(buffer_bytes(&packed).at, len), 16);
        buffer_fini(&packed);
    }
    assert_true(search_depth_within(BYTES(""), 16));
    assert_true(search_depth_within(BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 16));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses_fold_and_split),
        cmocka_unit_test(test_request_ids_sort_by_time_as_bytes_and_as_text),
        cmocka_unit_test(test_request_ids_are_read_again),
        cmocka_unit_test(test_entries_come_back_and_nonsense_does_not),
        cmocka_unit_test(test_search_keys_are_measured_before_they_are_unpacked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
