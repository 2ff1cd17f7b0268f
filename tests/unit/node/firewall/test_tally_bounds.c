/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/node/firewall/tally_lab.h"

static struct firewall_entry entry_of(const struct firewall_ban *from)
{
    return (struct firewall_entry){.place = from->place,
                                   .kind = FIREWALL_ENTRY_BAN,
                                   .scope = from->scope,
                                   .rule = (uint16_t)from->rule,
                                   .level = from->level,
                                   .since_s = from->since_s,
                                   .until_s = from->until_s};
}

static void a_new_leader_knows(void **state)
{
    struct firewall_credit credits[2];
    size_t cursor = 0;

    guess(v4(1), 7, 100, 16);
    check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.0.1", 0);
    struct firewall_entry entry = entry_of(&ban);
    log_in(v4(0x102), 64500, 9);
    log_in(v4(0x103), 64500, 9);
    for (unsigned i = 0; i < 2; i++)
        assert_true(firewall_tally_credit_next(tally, &cursor, &credits[i]));
    tear_down(state);
    set_up(state);
    firewall_tally_learn(tally, &entry);
    for (unsigned i = 0; i < 2; i++)
        firewall_tally_credit_put(tally, &credits[i], now_s + i * FIREWALL_CREDIT_S);
    now_s = START;
    guess(v4(1), 7, 100, 16); /* in force */
    assert_false(next_ban());
    guess(credits[0].address, 9, 100, 100);
    assert_false(next_ban());
    now_s += 2 * DAY;
    guess(v4(1), 7, 1000, 16);
    check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.0.1", 1);
    /* The second had been too old. */
    now_s = START + FIREWALL_CREDIT_S;
    guess(credits[1].address, 9, 2000, 16);
    assert_true(next_ban());
    assert_true(firewall_address_equal(&ban.place.prefix.address, &credits[1].address));
}

static void only_the_leader_proposes(void **state)
{
    (void)state;
    guess(v4(0x100), 7, 100, 16); /* waits */
    firewall_tally_set_leading(tally, false);
    guess(v4(1), 7, 100, 30);
    assert_false(next_ban());
    firewall_tally_set_leading(tally, true);
    assert_false(next_ban());
    guess(v4(1), 7, 200, 1);
    check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.0.1", 0);
    guess(v4(0x100), 7, 300, 16);
    check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.1.0", 0);
}

static void an_operator_forgives_and_allows(void **state)
{
    struct firewall_place place;
    struct firewall_entry entry = {.kind = FIREWALL_ENTRY_ALLOW,
                                   .scope = FIREWALL_ALL_SERVICES};
    struct firewall_list *list;

    (void)state;
    guess(v4(0xC0000207), 7, 100, 16);
    check_ban(FIREWALL_CLUSTER_GUESSES, "192.0.2.7", 0);
    guess(v4(0xC0000208), 7, 100, 16); /* waits */
    assert_int_equal(firewall_place_parse(BYTES("192.0.2.0/24"), &place), ERR_OK);
    firewall_tally_forgive(tally, &place);
    assert_false(next_ban());
    guess(v4(0xC0000207), 7, 200, 15);
    assert_false(next_ban());
    guess(v4(0xC0000207), 7, 300, 1);
    check_ban(FIREWALL_CLUSTER_GUESSES, "192.0.2.7", 0);
    entry.place = place;
    assert_int_equal(firewall_list_new(&entry, 1, &list), ERR_OK);
    firewall_tally_set_list(tally, list);
    guess(v4(0xC0000209), 7, 400, 100);
    assert_false(next_ban());
    firewall_tally_set_list(tally, NULL);
    firewall_list_free(&list);
    for (uint32_t i = 0; i < 101; i++)
        fail_at(v4(0x05000000 + (i << 8)), 64500, i + 1, 1000 + i);
    assert_int_equal(firewall_place_parse(BYTES("AS64500"), &place), ERR_OK);
    firewall_tally_forgive(tally, &place);
    assert_false(next_ban());
    for (uint32_t i = 0; i < 50; i++)
        fail_at(v4(0x06000000 + (i << 8)), 64500, 500 + i, 9000 + i);
    assert_false(next_ban());
}

static void clocks_may_stand_or_jump(void **state)
{
    (void)state;
    guess(v4(1), 7, 100, 15);
    now_s -= 10 * DAY; /* back: nothing fades */
    guess(v4(1), 7, 200, 1);
    check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.0.1", 0);
    now_s -= 10 * DAY; /* back: the ban lasts no longer than it would have */
    guess(v4(1), 7, 300, 16);
    assert_false(next_ban());
    now_s += 601;
    guess(v4(1), 7, 400, 16);
    check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.0.1", 1);
    now_s = UINT64_MAX; /* beyond what can be counted */
    guess(v4(2), 7, 500, 16);
    assert_true(next_ban());
    assert_true(ban.until_s > ban.since_s);
    now_s = 0;
    guess(v4(0x100), 7, 600, 16);
    assert_true(next_ban());
    now_s = START;
    log_in(v4(0x200), 0, 7);
    now_s = START - 100 * DAY;
    guess(v4(0x200), 7, 700, 100);
    assert_false(next_ban());
    now_s += FIREWALL_CREDIT_S;
    guess(v4(0x200), 7, 900, 16);
    assert_true(next_ban());
}

static void memory_and_proposals_are_bounded(void **state)
{
    size_t bytes = firewall_tally_bytes(tally);
    unsigned count = 0;

    (void)state;
    log_in(v4(0xC0000201), 64500, 7);
    for (uint32_t i = 0; i < 10000; i++)
        tell_count(FIREWALL_EARLY_TALK, v4(i << 8), 11);
    while (next_ban())
        count++;
    assert_int_equal(count, FIREWALL_PROPOSALS_MAX);
    assert_int_equal(firewall_tally_counts(tally)->bans_dropped, 10000 - count);
    for (uint32_t i = 0; i < 1000000; i++) {
        struct firewall_address address = {0x20010DB800000000 + i, i};
        fail_at(address, 1 + i % 60000, i + 1, 1 + i % FIREWALL_SECRET_MAX);
        while (i % 1000 == 0 && next_ban())
            count++;
    }
    assert_int_equal(firewall_tally_bytes(tally), bytes);
    assert_true(bytes < 40u << 20);
    guess(v4(0xC0000201), 7, 100, 50); /* its credit outlived them */
    assert_false(next_ban());
    print_message("%zu bytes, %u bans\n", bytes, count);
}

static void credit_chains_survive_eviction(void **state)
{
    struct firewall_tally_config config = {.seed = {5, 6}};
    size_t cursor = 0;
    size_t count = 0;
    struct firewall_credit credit;

    tear_down(state);
    tally = firewall_tally_new(&config);
    firewall_tally_set_leading(tally, true);
    for (uint32_t i = 0; i < 20000; i++, now_s++)
        log_in(v4(0xC0000000 + (i * 37) % 8192), 64500, 1 + i);
    while (firewall_tally_credit_next(tally, &cursor, &credit))
        count++;
    assert_true(count > 40 && count <= 64);
    for (uint32_t net = 0; net < 32; net++) {
        for (uint32_t i = 0; i < 61; i++)
            guess(v4(0xC0000000 + (net << 8) + i), 30000 + 100 * net + i, 100 * i + 1, 3);
        while (next_ban() && ban.rule != FIREWALL_CLUSTER_NET_GUESSES)
            ;
        assert_int_equal(ban.rule, FIREWALL_CLUSTER_NET_GUESSES);
        cursor = 0;
        count = 0;
        while (firewall_tally_credit_next(tally, &cursor, &credit))
            count += firewall_prefix_holds(&ban.place.prefix, &credit.address);
        assert_int_equal(ban.exempt_count, count);
    }
}

static void explains_in_words(void **state)
{
    struct firewall_address address = v4(0xC0000207);
    struct buffer text = BUFFER_EMPTY;

    (void)state;
    log_in(v4(0xC0000207), 64500, 8);
    now_s += 7200;
    for (uint32_t i = 0; i < 60; i++)
        fail_at(v4(0xC0000207), 64500, 7, 100 + i);
    assert_true(next_ban());
    firewall_tally_explain(tally, &address, 64500, now_s, &text);
    buffer_add_byte(&text, 0);
    const char *words = (const char *)buffer_bytes(&text).at;
    print_message("%s", words != NULL ? words : "");
    assert_non_null(strstr(words, "credit: 192.0.2.7 logged in 2 h ago, to 1 of the last"));
    assert_non_null(strstr(words, "ban: 192.0.2.7, level 0, at submission, imap, http, by rule "
                                  "cluster-guesses, 10 min left\n"));
    assert_non_null(strstr(words, "rule cluster-net-guesses: 20.0 guesses of secrets by net "
                                  "192.0.2.0/24, limit 60 in 1 d (ban): "));
    buffer_clear(&text);
    for (uint32_t i = 0; i < 5; i++)
        fail_at(v4(i << 8), 0, 7, 100 + i);
    firewall_tally_explain_account(tally, 7, now_s, &text);
    buffer_add_byte(&text, 0);
    assert_non_null(strstr((const char *)buffer_bytes(&text).at,
                           "rule cluster-account-attacked: 5.0 addresses that guess"));
    buffer_fini(&text);
}

static double cpu_seconds(void)
{
    struct timespec at;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

/* Figures to read, not a test: records of ever new guesses, the dearest there are, and log-ins.
 */
static void how_fast_it_is(void **state)
{
    static struct firewall_record records[FIREWALL_BATCH_RECORDS_MAX];
    struct firewall_batch batch = {records, FIREWALL_BATCH_RECORDS_MAX};
    const uint32_t rounds = 250;
    double at[4] = {cpu_seconds()};

    (void)state;
    for (unsigned part = 0; part < 2; part++) {
        for (uint32_t i = 0; i < rounds * FIREWALL_BATCH_RECORDS_MAX; i++) {
            struct firewall_record *record = &records[i % FIREWALL_BATCH_RECORDS_MAX];
            *record = record_of(part == 0 ? FIREWALL_LOGIN_FAILED : FIREWALL_LOGIN,
                                v4((i % 100000) * 2654435761u));
            record->account = 1 + i % 50021;
            record->network = 1 + i % 1009;
            record->secret = part == 0 ? 1 + i % FIREWALL_SECRET_MAX : 0;
            if (i % FIREWALL_BATCH_RECORDS_MAX != FIREWALL_BATCH_RECORDS_MAX - 1)
                continue;
            firewall_tally_merge(tally, &batch, ++now_s);
            while (next_ban())
                ;
        }
        at[part + 1] = cpu_seconds();
    }
    for (uint32_t i = 0; i < rounds; i++)
        firewall_tally_merge(tally, &batch, now_s);
    at[3] = cpu_seconds();
    double records_m = rounds * FIREWALL_BATCH_RECORDS_MAX / 1e6;
    print_message(
        "%.2f million new guesses, %.2f million new log-ins, %.2f million known log-ins "
        "a CPU second\n",
        records_m / (at[1] - at[0]), records_m / (at[2] - at[1]), records_m / (at[3] - at[2]));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_leader_knows),
        TEST(only_the_leader_proposes),
        TEST(an_operator_forgives_and_allows),
        TEST(clocks_may_stand_or_jump),
        TEST(memory_and_proposals_are_bounded),
        TEST(credit_chains_survive_eviction),
        TEST(explains_in_words),
        TEST(how_fast_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
