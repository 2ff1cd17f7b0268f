/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/firewall/batch.h"

static const struct firewall_record samples[] = {
    {.address = {0, 0xFFFFC0000207}, .count = 1, .event = FIREWALL_EARLY_TALK, .service = 1},
    {.address = {0x20010DB800000000, 7},
     .account = 0x0123456789ABCDEF,
     .secret = 0xFFFFFF,
     .network = UINT32_MAX,
     .count = UINT32_MAX,
     .event = FIREWALL_LOGIN_FAILED,
     .service = FIREWALL_IMAP},
    {.address = {0, 0xFFFFC0000209},
     .account = 1,
     .count = 3,
     .event = FIREWALL_LOGIN,
     .service = FIREWALL_HTTP},
    {.address = {0, 1}, .network = 7, .count = 3, .event = FIREWALL_FLOOD, .service = 1},
};
enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

static struct buffer wire;

static void encode_samples(void)
{
    struct firewall_record records[SAMPLES];
    struct firewall_batch batch = {records, SAMPLES};

    memcpy(records, samples, sizeof(samples));
    buffer_clear(&wire);
    firewall_batch_encode(&batch, &wire);
}

static void check_same(const struct firewall_record *a, const struct firewall_record *b)
{
    assert_true(firewall_address_equal(&a->address, &b->address));
    assert_true(a->account == b->account);
    assert_int_equal(a->secret, b->secret);
    assert_int_equal(a->network, b->network);
    assert_int_equal(a->count, b->count);
    assert_int_equal(a->event, b->event);
    assert_int_equal(a->service, b->service);
}

static void what_is_written_is_read(void **state)
{
    struct firewall_batch batch;

    (void)state;
    encode_samples();
    assert_int_equal(firewall_batch_decode(buffer_bytes(&wire), &batch), ERR_OK);
    assert_int_equal(batch.count, SAMPLES);
    for (unsigned i = 0; i < SAMPLES; i++)
        check_same(&batch.records[i], &samples[i]);
    firewall_batch_fini(&batch);
}

static void the_largest_batch_fits(void **state)
{
    struct firewall_record *records = calloc(FIREWALL_BATCH_RECORDS_MAX, sizeof(*records));
    struct firewall_batch batch = {records, FIREWALL_BATCH_RECORDS_MAX};

    (void)state;
    assert_non_null(records);
    for (unsigned i = 0; i < FIREWALL_BATCH_RECORDS_MAX; i++)
        records[i] = samples[1];
    buffer_clear(&wire);
    firewall_batch_encode(&batch, &wire);
    assert_true(buffer_len(&wire) <= FIREWALL_BATCH_SIZE_MAX);
    assert_int_equal(firewall_batch_decode(buffer_bytes(&wire), &batch), ERR_OK);
    assert_int_equal(batch.count, FIREWALL_BATCH_RECORDS_MAX);
    firewall_batch_fini(&batch);
    free(records);
}

static enum err decode(const void *at, size_t len)
{
    struct firewall_batch batch;
    /* Exactly as large as the input, so that a read past its end is seen. */
    uint8_t *copy = malloc(len + (len == 0));
    assert_non_null(copy);
    memcpy(copy, at, len);
    enum err err = firewall_batch_decode(bytes_from(copy, len), &batch);

    if (err != ERR_OK) {
        assert_null(batch.records);
        assert_int_equal(batch.count, 0);
    }
    firewall_batch_fini(&batch);
    free(copy);
    return err;
}

static void what_is_broken_is_refused(void **state)
{
    (void)state;
    encode_samples();
    struct bytes whole = buffer_bytes(&wire);
    for (size_t len = 0; len < whole.len; len++)
        assert_int_equal(decode(whole.at, len), ERR_MALFORMED);
    buffer_add_byte(&wire, 0);
    assert_int_equal(decode(buffer_bytes(&wire).at, buffer_len(&wire)), ERR_MALFORMED);
    assert_int_equal(decode("\2\0\0", 3), ERR_UNSUPPORTED);
    assert_int_equal(decode("\1\0\0", 3), ERR_OK);
    assert_int_equal(decode("\1\x10\1", 3), ERR_TOOBIG);    /* 4097 records */
    assert_int_equal(decode("\1\x10\0", 3), ERR_MALFORMED); /* 4096, that are not there */
    assert_int_equal(decode("\1\0\1\x0B\1\1\0\0\0\0\0\1\2\3\4", 15), ERR_MALFORMED); /* none */
    uint8_t *long_one = calloc(1, FIREWALL_BATCH_SIZE_MAX + 1);
    assert_non_null(long_one);
    assert_int_equal(decode(long_one, FIREWALL_BATCH_SIZE_MAX + 1), ERR_TOOBIG);
    free(long_one);
}

static void what_is_newer_is_passed_over(void **state)
{
    /* An event 99, then an early talk whose record has two bytes more. */
    static const char newer[] = "\1\0\2"
                                "\x0B\x63\1\0\0\0\0\1\1\2\3\4"
                                "\x0D\x09\1\0\0\0\0\5\xC0\0\2\7\xEE\xEE";
    struct firewall_batch batch;

    (void)state;
    assert_int_equal(firewall_batch_decode(bytes_from(newer, sizeof(newer) - 1), &batch),
                     ERR_OK);
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.records[0].event, FIREWALL_EARLY_TALK);
    assert_int_equal(batch.records[0].count, 5);
    assert_true(batch.records[0].address.low == 0xFFFFC0000207);
    firewall_batch_fini(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(the_largest_batch_fits),
        cmocka_unit_test(what_is_broken_is_refused),
        cmocka_unit_test(what_is_newer_is_passed_over),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    buffer_fini(&wire);
    return failed;
}
