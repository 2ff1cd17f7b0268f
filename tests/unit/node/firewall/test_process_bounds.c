/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/node/firewall/process_lab.h"

#define FLOOD 1000000u /* 10 million once by hand: the tables do not know the difference */

static void clocks_may_stand_or_jump(void **state)
{
    (void)state;
    now.ms = 1000ull * 86400 * 365;
    limit_only(FIREWALL_ADDRESS_EARLY, 5);
    open_at(&conns[0], v4(1), FIREWALL_SMTP);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(tell(&conns[0], FIREWALL_EARLY_TALK, 0, 0).action, FIREWALL_PASS);
    /* An hour back: nothing fades, and the ban's time does not grow. */
    pass_time(3600);
    pass_time(3600);
    open_at(&conns[0], v4(1), FIREWALL_SMTP);
    for (unsigned i = 0; i < 5; i++)
        tell(&conns[0], FIREWALL_EARLY_TALK, 0, 0);
    assert_int_equal(open_at(&conns[1], v4(1), FIREWALL_SMTP), FIREWALL_REFUSE);
    now.ms -= 3600 * 1000;
    assert_int_equal(open_at(&conns[1], v4(1), FIREWALL_SMTP), FIREWALL_REFUSE);
    pass_time(599);
    assert_int_equal(open_at(&conns[1], v4(1), FIREWALL_SMTP), FIREWALL_REFUSE);
    pass_time(2);
    assert_int_equal(open_at(&conns[1], v4(1), FIREWALL_SMTP), FIREWALL_PASS);
    /* To before the start, and a century ahead. */
    now.ms = 0;
    assert_int_equal(open_at(&conns[2], v4(2), FIREWALL_SMTP), FIREWALL_PASS);
    now.ms = 1000ull * 86400 * 36500;
    assert_int_equal(open_at(&conns[3], v4(3), FIREWALL_SMTP), FIREWALL_PASS);
    now.ms = UINT64_MAX;
    assert_int_equal(open_at(&conns[3], v4(3), FIREWALL_SMTP), FIREWALL_PASS);
}

static void a_flood_of_addresses_costs_nothing_more(void **state)
{
    size_t bytes = firewall_bytes(firewall);
    struct firewall_address attacker = v4(0xC0000201);

    (void)state;
    /* One with an open connection, one with credit, one banned: the flood moves none of them.
     */
    open_at(&conns[0], v4(1), FIREWALL_SMTP);
    open_at(&conns[1], v4(0x01000002), FIREWALL_IMAP);
    tell(&conns[1], FIREWALL_LOGIN, 7, 0);
    firewall_closed(firewall, &conns[1]);
    open_at(&conns[2], attacker, FIREWALL_SMTP);
    for (unsigned i = 0; i < 10; i++)
        tell(&conns[2], FIREWALL_EARLY_TALK, 0, 0);
    firewall_closed(firewall, &conns[2]);
    for (uint32_t i = 0; i < FLOOD; i++) {
        struct firewall_address address = {0x20010DB800000000 + (i << 4), i};
        now.ms += i % 1000 == 0;
        open_at(&conns[3], address, FIREWALL_SMTP);
        firewall_closed(firewall, &conns[3]);
    }
    assert_int_equal(firewall_bytes(firewall), bytes);
    assert_true(bytes < 16u << 20);
    assert_true(firewall_counts(firewall)->evicted > FLOOD / 10 * 9);
    assert_int_equal(open_at(&conns[4], attacker, FIREWALL_SMTP), FIREWALL_REFUSE);
    struct buffer text = BUFFER_EMPTY;
    struct firewall_address known = v4(0x01000002);
    firewall_explain(firewall, &known, now, &text);
    buffer_add_byte(&text, 0);
    assert_non_null(strstr((const char *)buffer_bytes(&text).at, "credit: 1.0.0.2"));
    buffer_fini(&text);
    for (unsigned i = 1; i < 50; i++)
        assert_int_equal(open_at(&conns[100 + i], v4(1), FIREWALL_SMTP), FIREWALL_PASS);
    assert_int_equal(open_at(&conns[200], v4(1), FIREWALL_SMTP), FIREWALL_DEFER);
    print_message("%zu bytes\n", bytes);
}

/* More open connections than there are slots: counts may be lost, never go wrong. */
static void connections_outnumber_slots(void **state)
{
    struct firewall_config config;

    tear_down(state);
    firewall_config_init(&config);
    config.addresses = config.nets = config.networks = config.accounts = 0;
    firewall = firewall_new(&config);
    for (unsigned round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 4096; i++) {
            assert_int_equal(open_at(&conns[i], v4(i << 8), FIREWALL_IMAP), FIREWALL_PASS);
            tell(&conns[i], FIREWALL_LOGIN, 1 + i, 0);
        }
        for (uint32_t i = 0; i < 4096; i++)
            tell(&conns[i], FIREWALL_COMMAND, 0, 0);
        for (uint32_t i = 0; i < 4096; i++)
            firewall_closed(firewall, &conns[(i * 31) % 4096]);
    }
    /* Who takes over a slot is not uncounted by those that had it before. */
    for (uint32_t i = 0; i < 2000; i++)
        open_at(&conns[i], v4(i << 8), FIREWALL_SMTP);
    for (uint32_t i = 0; i < 50; i++)
        assert_int_equal(open_at(&conns[2000 + i], v4(1), FIREWALL_SMTP), FIREWALL_PASS);
    for (uint32_t i = 0; i < 2000; i++)
        firewall_closed(firewall, &conns[i]);
    assert_int_equal(open_at(&conns[0], v4(1), FIREWALL_SMTP), FIREWALL_DEFER);
}

static void a_batch_says_what_happened(void **state)
{
    struct buffer wire = BUFFER_EMPTY;
    struct firewall_batch batch;

    (void)state;
    assert_false(firewall_take_batch(firewall, &wire));
    open_at(&conns[0], v4(1), FIREWALL_SUBMISSION);
    for (unsigned i = 0; i < 3; i++)
        tell(&conns[0], FIREWALL_LOGIN_FAILED, 7, 9);
    tell(&conns[0], FIREWALL_LOGIN, 7, 0);
    for (unsigned i = 0; i < 30; i++)
        tell(&conns[0], FIREWALL_COMMAND, 0, 0);
    assert_true(firewall_take_batch(firewall, &wire));
    assert_int_equal(firewall_batch_decode(buffer_bytes(&wire), &batch), ERR_OK);
    assert_int_equal(batch.count, 2);
    assert_int_equal(batch.records[0].event, FIREWALL_LOGIN_FAILED);
    assert_int_equal(batch.records[0].count, 3);
    assert_int_equal(batch.records[0].account, 7);
    assert_int_equal(batch.records[0].secret, 9);
    assert_int_equal(batch.records[0].network, 64500);
    assert_int_equal(batch.records[0].service, FIREWALL_SUBMISSION);
    assert_int_equal(batch.records[1].event, FIREWALL_LOGIN);
    assert_int_equal(batch.records[1].secret, 0);
    firewall_batch_fini(&batch);
    /* A full one leaves room for log-ins, and drops the rest. */
    for (uint32_t i = 0; i < 5000; i++) {
        open_at(&conns[1], v4(0x02000000 + (i << 8)), FIREWALL_SMTP);
        tell(&conns[1], FIREWALL_RECIPIENT, 0, 0);
        firewall_closed(firewall, &conns[1]);
    }
    assert_true(firewall_batch_is_due(firewall));
    assert_int_equal(firewall_counts(firewall)->dropped, 5000 - 4096 / 8 * 7);
    tell(&conns[0], FIREWALL_LOGIN_FAILED, 7, 10);
    assert_int_equal(firewall_counts(firewall)->dropped, 5000 - 4096 / 8 * 7);
    buffer_clear(&wire);
    assert_true(firewall_take_batch(firewall, &wire));
    assert_false(firewall_batch_is_due(firewall));
    assert_int_equal(firewall_batch_decode(buffer_bytes(&wire), &batch), ERR_OK);
    assert_int_equal(batch.count, 4096 / 8 * 7 + 1);
    firewall_batch_fini(&batch);
    buffer_fini(&wire);
}

static void a_flood_of_connections_is_told(void **state)
{
    struct buffer wire = BUFFER_EMPTY;
    struct firewall_batch batch;
    enum firewall_action action = FIREWALL_PASS;

    (void)state;
    for (unsigned i = 0; i < 4000 && action != FIREWALL_REFUSE; i++) {
        action = open_at(&conns[0], v4(1), FIREWALL_SMTP);
        firewall_closed(firewall, &conns[0]);
    }
    assert_int_equal(action, FIREWALL_REFUSE);
    assert_true(firewall_take_batch(firewall, &wire));
    assert_int_equal(firewall_batch_decode(buffer_bytes(&wire), &batch), ERR_OK);
    assert_int_equal(batch.count, 1);
    assert_int_equal(batch.records[0].event, FIREWALL_FLOOD);
    firewall_batch_fini(&batch);
    buffer_fini(&wire);
}

static void explains_in_words(void **state)
{
    struct firewall_address address = v4(0xC0000207);
    struct buffer text = BUFFER_EMPTY;

    (void)state;
    open_at(&conns[0], address, FIREWALL_IMAP);
    guess(&conns[0], 7, 1, 16);
    firewall_explain(firewall, &address, now, &text);
    buffer_add_byte(&text, 0);
    const char *words = (const char *)buffer_bytes(&text).at;
    print_message("%s", words != NULL ? words : "");
    assert_non_null(strstr(words, "banned by this process: 192.0.2.7, by rule address-guesses, "
                                  "10 min left\n"));
    assert_non_null(strstr(words, "rule address-failures: 16.0 failed log-ins by address "
                                  "192.0.2.7, limit 5 in 10 min (delay): "));
    assert_non_null(strstr(words, "rule net-guesses: 16.0 guesses of secrets by net "
                                  "192.0.2.0/24, limit 60 in 1 h (ban): "));
    assert_non_null(strstr(words, "rule network-open: 1.0 open connections by network AS64500, "
                                  "limit 3000 (defer): "));
    buffer_fini(&text);
}

static double cpu_seconds(void)
{
    struct timespec at;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* Figures to read, not a test: commands of 4,000 connections, and connections of ever new
 * addresses. */
static void how_fast_it_is(void **state)
{
    const uint32_t count = 1000000;

    (void)state;
    for (uint32_t i = 0; i < 4000; i++)
        open_at(&conns[i], v4(i * 7919), FIREWALL_SMTP);
    double start = cpu_seconds();
    for (uint32_t i = 0; i < count; i++) {
        now.ms += i % 1000 == 0;
        firewall_happened(firewall, &conns[i % 4000], FIREWALL_COMMAND, 0, 0, 1, now);
    }
    double commands = cpu_seconds();
    for (uint32_t i = 0; i < count; i++) {
        now.ms += i % 100 == 0;
        open_at(&conns[4000], v4(i * 2654435761u), FIREWALL_SMTP);
        firewall_closed(firewall, &conns[4000]);
    }
    double end = cpu_seconds();
    print_message("%.2f million commands a CPU second, %.2f million connections\n",
                  1 / (commands - start), 1 / (end - commands));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(clocks_may_stand_or_jump),
        TEST(a_flood_of_addresses_costs_nothing_more),
        TEST(connections_outnumber_slots),
        TEST(a_batch_says_what_happened),
        TEST(a_flood_of_connections_is_told),
        TEST(explains_in_words),
        TEST(how_fast_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
