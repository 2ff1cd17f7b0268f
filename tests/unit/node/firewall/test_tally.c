/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/node/firewall/tally_lab.h"

static void guesses_ban_at_the_limit(void **state)
{
    (void)state;
    guess(v4(0xC0000207), 7, 100, 15);
    assert_false(next_ban());
    guess(v4(0xC0000207), 7, 200, 1);
    check_ban(FIREWALL_CLUSTER_GUESSES, "192.0.2.7", 0);
    assert_string_equal(ban.evidence,
                        "16.0 guesses of secrets, limit 15 in 1 h, at 1.0 accounts");
    assert_int_equal(ban.exempt_count, 0);
    assert_false(next_ban());
    /* While the ban is in force there is no other. */
    guess(v4(0xC0000207), 7, 300, 16);
    assert_false(next_ban());
}

static void a_ban_takes_half_away(void **state)
{
    (void)state;
    guess(v4(1), 7, 100, 16);
    check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.0.1", 0);
    now_s += 601;
    guess(v4(1), 7, 200, 8);
    assert_false(next_ban());
    guess(v4(1), 7, 300, 2);
    check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.0.1", 1);
}

static void the_ladder_goes_up_and_is_forgotten(void **state)
{
    uint32_t secret = 100;

    (void)state;
    for (unsigned offence = 0; offence < 8; offence++) {
        unsigned level = offence < 4 ? offence : 4;
        guess(v4(1), 7, secret, 30);
        secret += 30;
        check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.0.1", level);
        assert_false(next_ban());
        now_s += firewall_ladder_s(level) + (offence == 6 ? 0 : 29 * DAY);
    }
    now_s += DAY; /* 30 days since the end of the last */
    guess(v4(1), 7, secret, 16);
    check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.0.1", 0);
    assert_int_equal(firewall_ladder_s(99), 7 * DAY);
}

static void slow_guesses_ban_too(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 200 && !next_ban(); i++, now_s += 1800) {
        assert_true(i < 199);
        guess(v4(1), 7, 100 + i, 1);
    }
    assert_int_equal(ban.rule, FIREWALL_CLUSTER_GUESSES_SLOW);
}

static void spray_bans_by_accounts(void **state)
{
    (void)state;
    for (uint64_t account = 1; account <= 10; account++)
        fail_at(v4(1), 0, account, (uint32_t)(0x5000 + account));
    assert_false(next_ban());
    fail_at(v4(1), 0, 11, 0x6000);
    check_ban(FIREWALL_CLUSTER_SPRAY, "0.0.0.1", 0);
}

static void a_secret_tried_everywhere_weighs_more(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 8; i++) /* different addresses, nets, accounts */
        fail_at(v4(i << 8), 0, i, 77);
    assert_false(next_ban());
    for (uint64_t account = 100; account < 103; account++)
        fail_at(v4(0xC0000207), 0, account, 77);
    assert_false(next_ban());
    fail_at(v4(0xC0000207), 0, 103, 77);
    check_ban(FIREWALL_CLUSTER_GUESSES, "192.0.2.7", 0);
    /* Another secret does not. */
    for (uint64_t account = 200; account < 204; account++)
        fail_at(v4(0xC0000307), 0, account, 78);
    assert_false(next_ban());
}

static void an_account_under_attack_makes_strangers_heavier(void **state)
{
    (void)state;
    for (uint32_t i = 1; i <= 10; i++)
        fail_at(v4(i << 8), 0, 7, 1000 + i);
    guess(v4(0xC0000207), 7, 2000, 5);
    assert_false(next_ban());
    guess(v4(0xC0000207), 7, 3000, 1);
    check_ban(FIREWALL_CLUSTER_GUESSES, "192.0.2.7", 0);
    /* The user, at a known address, does not feel it: no lock by account. */
    log_in(v4(0xC0000107), 0, 7);
    guess(v4(0xC0000107), 7, 4000, 100);
    assert_false(next_ban());
}

static void a_forgotten_password_bans_nobody(void **state)
{
    (void)state;
    for (unsigned minute = 0; minute < 7 * 1440; minute++, now_s += 60) {
        fail_at(v4(1), 64500, 7, 55);     /* the same secret */
        fail_at(v4(1 << 8), 64500, 8, 0); /* SCRAM: the secret is not seen */
        if (minute % 1440 == 0)
            log_in(v4(2 << 8), 64500, 9);
        fail_at(v4(2 << 8), 64500, 9, 0);
        assert_false(next_ban());
    }
    /* Nor does an office whose thirty clients all have yesterday's password. */
    for (unsigned minute = 0; minute < 1440; minute++, now_s += 60)
        for (uint64_t account = 100; account < 130; account++) {
            if (minute == 0)
                log_in(v4(3 << 8), 64500, account);
            else
                fail_at(v4(3 << 8), 64500, account, (uint32_t)account);
            assert_false(next_ban());
        }
}

static void credit_is_no_licence(void **state)
{
    (void)state;
    log_in(v4(1), 0, 7);
    guess(v4(1), 7, 100, 150);
    assert_false(next_ban());
    guess(v4(1), 7, 1000, 1);
    assert_false(!next_ban());
    assert_int_equal(ban.rule, FIREWALL_CLUSTER_GUESSES);
    /* At accounts of others: a third. */
    log_in(v4(0x100), 0, 7);
    for (uint64_t account = 100; account < 130; account++)
        fail_at(v4(0x100), 0, account, (uint32_t)account);
    assert_false(next_ban());
    fail_at(v4(0x100), 0, 130, 130);
    check_ban(FIREWALL_CLUSTER_SPRAY, "0.0.1.0", 0);
    /* Credit ends. */
    log_in(v4(0x200), 0, 7);
    now_s += FIREWALL_CREDIT_S;
    guess(v4(0x200), 7, 5000, 16);
    check_ban(FIREWALL_CLUSTER_GUESSES, "0.0.2.0", 0);
}

/* What only front ends say bans no address that has logged in lately; what the store sees does,
 * and hearsay bans anybody else. */
static void hearsay_bans_nobody_who_logged_in(void **state)
{
    static const struct {
        enum firewall_event event;
        uint32_t count; /* enough for one address, and not for its net */
    } hearsay[] = {{FIREWALL_RECIPIENT_UNKNOWN, 60},
                   {FIREWALL_PROTOCOL_ERROR, 210},
                   {FIREWALL_EARLY_TALK, 10}};

    (void)state;
    for (uint32_t i = 0; i < sizeof(hearsay) / sizeof(hearsay[0]); i++) {
        struct firewall_address known = v4(0x01000001 + (i << 16));
        struct firewall_address unknown = v4(0x02000001 + (i << 16));
        uint64_t withheld = firewall_tally_counts(tally)->bans_withheld;
        log_in(known, 0, 7 + i);
        tell_count(hearsay[i].event, known, hearsay[i].count);
        assert_false(next_ban());
        assert_true(firewall_tally_counts(tally)->bans_withheld > withheld);
        tell_count(hearsay[i].event, unknown, hearsay[i].count);
        assert_true(next_ban());
        assert_true(firewall_address_equal(&ban.place.prefix.address, &unknown));
        while (next_ban())
            ;
        /* Credit ends. */
        now_s += FIREWALL_CREDIT_S;
        tell_count(hearsay[i].event, known, hearsay[i].count);
        assert_true(next_ban());
        assert_true(firewall_address_equal(&ban.place.prefix.address, &known));
        while (next_ban())
            ;
    }
}

static void nets_are_banned_but_not_who_logged_in(void **state)
{
    (void)state;
    log_in(v4(0xC0000201), 64500, 7);
    log_in(v4(0xC00002FF), 64500, 8);
    log_in(v4(0xC0000301), 64500, 9); /* another net */
    for (uint32_t i = 10; i < 30; i++)
        guess(v4(0xC0000200 + i), 100 + i, 100 * i, 3);
    assert_false(next_ban());
    guess(v4(0xC0000220), 200, 9000, 1);
    check_ban(FIREWALL_CLUSTER_NET_GUESSES, "192.0.2.0/24", 0);
    assert_int_equal(ban.exempt_count, 2);
    assert_true(ban.exempt[0].low + ban.exempt[1].low ==
                v4(0xC0000201).low + v4(0xC00002FF).low);
    assert_false(next_ban());
    /* A /64 has the limit of one customer. */
    struct firewall_address six = {0x20010DB800000001, 0};
    for (six.low = 1; six.low <= 15; six.low++)
        guess(six, six.low, 10000 + (uint32_t)six.low, 1);
    assert_false(next_ban());
    guess(six, 16, 20000, 1);
    check_ban(FIREWALL_CLUSTER_NET_GUESSES, "2001:db8:0:1::/64", 0);
}

static void banned_addresses_add_up_to_their_net(void **state)
{
    char text[FIREWALL_PLACE_TEXT_SIZE];

    (void)state;
    for (uint32_t i = 1; i <= 6; i++) {
        tell_count(FIREWALL_EARLY_TALK, v4(0xC0000200 + i), 6);
        assert_true(next_ban());
        assert_int_equal(ban.rule, FIREWALL_CLUSTER_EARLY);
    }
    check_ban(FIREWALL_CLUSTER_NET_BANS, "192.0.2.0/24", 0);
    assert_int_equal(ban.scope, FIREWALL_SMTP);
    firewall_place_text(&ban.place, text);
    tell_count(FIREWALL_EARLY_TALK, v4(0xC0000207), 11);
    assert_false(next_ban());
    /* What the net's ban does not shut is another matter. */
    guess(v4(0xC0000208), 7, 100, 16);
    check_ban(FIREWALL_CLUSTER_GUESSES, "192.0.2.8", 0);
}

static void low_and_slow_by_network(void **state)
{
    (void)state;
    /* Two guesses from each of many addresses, far apart. */
    for (uint32_t i = 0; i < 101; i++, now_s += 60) {
        fail_at(v4(0x05000000 + (i << 8)), 64500, i + 1, 1000 + i);
        assert_int_equal(next_ban(), false);
    }
    for (uint32_t i = 0; i < 20; i++) {
        fail_at(v4(0x06000000 + (i << 8)), 64500, 200 + i, 2000 + i);
        if (next_ban())
            break;
    }
    assert_int_equal(ban.place.network, 64500);
    assert_int_equal(ban.rule, FIREWALL_CLUSTER_NETWORK_GUESSES);
    assert_int_equal(ban.exempt_count, 0);
    assert_int_equal(ban.scope, FIREWALL_LOGINS);
    /* A provider whose people log in is not banned for some of them. */
    for (uint32_t i = 0; i < 200; i++)
        log_in(v4(0x07000000 + (i << 8)), 64501, 1000 + i);
    for (uint32_t i = 0; i < 1000; i++)
        fail_at(v4(0x08000000 + (i << 8)), 64501, 3000 + i, 3000 + i);
    assert_false(next_ban());
    /* Nor one where too many have credit, though today they do not come. */
    for (uint32_t i = 0; i < 257; i++)
        log_in(v4(0x09000000 + (i << 8)), 64502, 5000 + i);
    now_s += 5 * DAY;
    for (uint32_t i = 0; i < 300; i++)
        fail_at(v4(0x0A000000 + (i << 8)), 64502, 7000 + i, 7000 + i);
    assert_false(next_ban());
    assert_true(firewall_tally_counts(tally)->bans_withheld > 0);
}

static void a_network_ban_exempts_credit(void **state)
{
    (void)state;
    log_in(v4(0x01000001), 64500, 1);
    log_in(v4(0x01000101), 64501, 1);
    now_s += 2 * DAY;
    for (uint32_t i = 0; i < 101; i++)
        fail_at(v4(0x05000000 + (i << 8)), 64500, i + 1, 1000 + i);
    assert_true(next_ban());
    assert_int_equal(ban.place.network, 64500);
    assert_int_equal(ban.exempt_count, 1);
    assert_true(ban.exempt[0].low == v4(0x01000001).low);
}

static void roaming_accounts_give_no_credit(void **state)
{
    struct firewall_credit credit;
    size_t cursor = 0;
    size_t count = 0;

    (void)state;
    for (uint32_t i = 0; i < 100; i++)
        log_in(v4(i << 8), 64500, 7);
    while (firewall_tally_credit_next(tally, &cursor, &credit))
        count++;
    assert_int_equal(count, 30);
    log_in(v4(0), 64500, 7); /* where it was known, it stays so */
    guess(v4(0), 7, 100, 100);
    assert_false(next_ban());
}

static void other_offences(void **state)
{
    static const struct {
        enum firewall_event event;
        enum firewall_rule_id rule;
    } cases[] = {
        {FIREWALL_EARLY_TALK, FIREWALL_CLUSTER_EARLY},
        {FIREWALL_PROTOCOL_ERROR, FIREWALL_CLUSTER_ERRORS},
        {FIREWALL_FLOOD, FIREWALL_CLUSTER_FLOODS},
        {FIREWALL_RECIPIENT_UNKNOWN, FIREWALL_CLUSTER_HARVEST},
    };

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t limit = firewall_rule(cases[i].rule)->limit;
        tell_count(cases[i].event, v4(0xC0000007 + (i << 8)), limit);
        assert_false(next_ban());
        tell_count(cases[i].event, v4(0xC0000007 + (i << 8)), 1);
        char place[32];
        snprintf(place, sizeof(place), "192.0.%u.7", i);
        check_ban(cases[i].rule, place, 0);
    }
}

static bool bans_no_later(const struct firewall_rule *cluster,
                          const struct firewall_rule *process)
{
    return cluster->ban_s == 0 && cluster->action == FIREWALL_BAN &&
           cluster->keyed == process->keyed && cluster->counted == process->counted &&
           cluster->limit <= process->limit && cluster->limit_v6 <= process->limit_v6 &&
           cluster->window_s >= process->window_s &&
           cluster->share_percent <= process->share_percent && cluster->scope == process->scope;
}

/* Or there would be bans that no operator can see or take back. */
static void whom_a_process_bans_the_cluster_bans(void **state)
{
    unsigned bans = 0;

    (void)state;
    for (unsigned id = 0; id < FIREWALL_RULE_COUNT; id++) {
        if (!firewall_rule_exists(id))
            continue;
        const struct firewall_rule *process = firewall_rule((enum firewall_rule_id)id);
        if (process->ban_s == 0)
            continue;
        assert_true(process->ban_s <= firewall_ladder_s(0));
        bool found = process->counted == FIREWALL_CONNECTIONS; /* those are told as floods */
        for (unsigned other = 0; other < FIREWALL_RULE_COUNT && !found; other++)
            found = firewall_rule_exists(other) &&
                    bans_no_later(firewall_rule((enum firewall_rule_id)other), process);
        if (!found)
            fail_msg("nothing in the cluster does what %s does", process->name);
        bans++;
    }
    assert_true(bans >= 5);
}

static void shares_tell_harvesters_and_backscatter(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++) { /* a forwarder with an old list */
        tell_count(FIREWALL_RECIPIENT, v4(1), 100);
        tell_count(FIREWALL_RECIPIENT_UNKNOWN, v4(1), 50);
    }
    assert_false(next_ban());
    for (unsigned i = 0; i < 4; i++) { /* a harvester that mixes some in */
        tell_count(FIREWALL_RECIPIENT, v4(0x100), 10);
        tell_count(FIREWALL_RECIPIENT_UNKNOWN, v4(0x100), 25);
    }
    check_ban(FIREWALL_CLUSTER_HARVEST, "0.0.1.0", 0);
    for (unsigned i = 0; i < 30; i++) { /* a large provider's bounces, and backscatter */
        tell_count(FIREWALL_RECIPIENT, v4(0x200), 200);
        tell_count(FIREWALL_NULL_SENDER, v4(0x200), 100);
        tell_count(FIREWALL_RECIPIENT, v4(0x300), 100);
        tell_count(FIREWALL_NULL_SENDER, v4(0x300), 100);
    }
    check_ban(FIREWALL_CLUSTER_NULLS, "0.0.3.0", 0);
    assert_false(next_ban());
    /* Many addresses of one net, each below its limit. */
    for (uint32_t i = 0; i < 9; i++)
        tell_count(FIREWALL_RECIPIENT_UNKNOWN, v4(0xC0000200 + i), 45);
    check_ban(FIREWALL_CLUSTER_NET_HARVEST, "192.0.2.0/24", 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(guesses_ban_at_the_limit),
        TEST(a_ban_takes_half_away),
        TEST(the_ladder_goes_up_and_is_forgotten),
        TEST(slow_guesses_ban_too),
        TEST(spray_bans_by_accounts),
        TEST(a_secret_tried_everywhere_weighs_more),
        TEST(an_account_under_attack_makes_strangers_heavier),
        TEST(a_forgotten_password_bans_nobody),
        TEST(credit_is_no_licence),
        TEST(hearsay_bans_nobody_who_logged_in),
        TEST(nets_are_banned_but_not_who_logged_in),
        TEST(banned_addresses_add_up_to_their_net),
        TEST(low_and_slow_by_network),
        TEST(a_network_ban_exempts_credit),
        TEST(roaming_accounts_give_no_credit),
        TEST(other_offences),
        TEST(whom_a_process_bans_the_cluster_bans),
        TEST(shares_tell_harvesters_and_backscatter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
