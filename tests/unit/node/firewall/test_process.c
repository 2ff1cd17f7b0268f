/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/node/firewall/process_lab.h"

/* One more of what the rule counts; each of `step` differs in what may differ for the rule's
 * key to stay the same. */
static struct firewall_verdict one_more(enum firewall_rule_id id, uint32_t step)
{
    const struct firewall_rule *rule = firewall_rule(id);
    struct firewall_conn *conn = &conns[step];
    uint32_t number = 0xC0000207;
    uint64_t account = 1000;
    static const enum firewall_event events[FIREWALL_COUNTED_COUNT] = {
        [FIREWALL_COMMANDS] = FIREWALL_COMMAND,
        [FIREWALL_MESSAGES] = FIREWALL_MESSAGE,
        [FIREWALL_RECIPIENTS] = FIREWALL_RECIPIENT,
        [FIREWALL_UNKNOWNS] = FIREWALL_RECIPIENT_UNKNOWN,
        [FIREWALL_NULLS] = FIREWALL_NULL_SENDER,
        [FIREWALL_FAILURES] = FIREWALL_LOGIN_FAILED,
        [FIREWALL_GUESSES] = FIREWALL_LOGIN_FAILED,
        [FIREWALL_ERRORS] = FIREWALL_PROTOCOL_ERROR,
        [FIREWALL_EARLY] = FIREWALL_EARLY_TALK,
    };

    if (rule->keyed != FIREWALL_BY_ADDRESS)
        number = (number & 0xFFFFFF00) + step;
    if (rule->keyed == FIREWALL_BY_NETWORK || rule->keyed == FIREWALL_BY_ACCOUNT)
        number += step << 8;
    if (rule->keyed != FIREWALL_BY_ACCOUNT)
        account += step;
    struct firewall_address address = v4(number);
    struct firewall_verdict verdict =
        firewall_opened(firewall, conn, &address, FIREWALL_SUBMISSION, now);
    if (rule->counted == FIREWALL_CONNECTIONS ||
        (rule->counted == FIREWALL_OPEN && rule->keyed != FIREWALL_BY_ACCOUNT))
        return verdict;
    if (rule->counted == FIREWALL_OPEN)
        return tell(conn, FIREWALL_LOGIN, account, 0);
    if (rule->counted == FIREWALL_NULLS)
        tell(conn, FIREWALL_RECIPIENT, 0, 0);
    return tell(conn, events[rule->counted], account,
                events[rule->counted] == FIREWALL_LOGIN_FAILED ? 1 + step : 0);
}

static void check_words(const struct firewall_verdict *verdict)
{
    if (verdict->action == FIREWALL_DELAY) {
        assert_true(verdict->delay_ms > 0 && verdict->code == 0 && !verdict->close);
        return;
    }
    bool is_of_recipient = verdict->rule == FIREWALL_ACCOUNT_NULLS;
    assert_int_equal(verdict->code, verdict->action == FIREWALL_REFUSE ? 554
                                    : is_of_recipient                  ? 450
                                                                       : 421);
    assert_string_equal(verdict->status,
                        verdict->action == FIREWALL_REFUSE ? "5.7.1" : "4.7.0");
    assert_int_equal(verdict->close, !is_of_recipient);
    assert_int_equal(verdict->delay_ms, 0);
    assert_true(strlen(verdict->reply) > 10);
}

/* Each rule alone: so many pass, the next does not, and a window later it is open again. */
static void each_rule_strikes_above_its_limit(void **state)
{
    const uint32_t limit = 7;

    tear_down(state);
    for (unsigned i = 1; i < FIREWALL_CLUSTER_FIRST; i++) {
        if (!firewall_rule_exists(i))
            continue;
        enum firewall_rule_id id = (enum firewall_rule_id)i;
        const struct firewall_rule *rule = firewall_rule(id);
        print_message("%s\n", rule->name);
        set_up(state);
        limit_only(id, limit);
        for (uint32_t step = 0; step < limit; step++)
            assert_int_equal(one_more(id, step).action, FIREWALL_PASS);
        struct firewall_verdict verdict = one_more(id, limit);
        assert_int_equal(verdict.action,
                         rule->action == FIREWALL_BAN ? FIREWALL_REFUSE : rule->action);
        assert_int_equal(verdict.rule, id);
        check_words(&verdict);
        assert_int_equal(firewall_counts(firewall)->struck[id], 1);
        for (uint32_t step = 0; step <= limit; step++)
            firewall_closed(firewall, &conns[step]);
        pass_time(rule->window_s * 3 + rule->ban_s);
        assert_int_equal(one_more(id, limit + 1).action, FIREWALL_PASS);
        tear_down(state);
    }
    set_up(state);
}

static void rules_are_sound(void **state)
{
    struct firewall_settings settings;

    (void)state;
    firewall_settings_init(&settings);
    assert_true(firewall_settings_are_valid(&settings));
    for (unsigned i = 1; i < FIREWALL_RULE_COUNT; i++) {
        if (!firewall_rule_exists(i))
            continue;
        const struct firewall_rule *rule = firewall_rule((enum firewall_rule_id)i);
        bool is_cluster = firewall_rule_is_cluster((enum firewall_rule_id)i);
        assert_int_equal(firewall_rule_find(bytes_of(rule->name)), i);
        assert_true(strlen(rule->help) > 20 && rule->limit > 0);
        assert_int_equal(rule->keyed == FIREWALL_BY_NET, rule->limit_v6 > 0);
        assert_int_equal(rule->action == FIREWALL_DELAY, rule->delay_ms > 0);
        assert_int_equal(rule->action == FIREWALL_BAN && !is_cluster, rule->ban_s > 0);
        assert_int_equal(rule->counted == FIREWALL_OPEN, rule->window_s == 0);
    }
    assert_int_equal(firewall_rule_find(BYTES("no-such")), FIREWALL_NO_RULE);
    assert_int_equal(firewall_rule_find(BYTES("")), FIREWALL_NO_RULE);
    settings.of[FIREWALL_ADDRESS_ERRORS].window_s = FIREWALL_WINDOW_MAX_S + 1;
    assert_false(firewall_settings_are_valid(&settings));
    settings.of[FIREWALL_ADDRESS_ERRORS].window_s = 0;
    assert_false(firewall_settings_are_valid(&settings));
    firewall_settings_init(&settings);
    settings.of[FIREWALL_NET_OPEN].limit_v6 = FIREWALL_LIMIT_MAX + 1;
    assert_false(firewall_settings_are_valid(&settings));
}

static void a_net_of_v6_has_its_own_limit(void **state)
{
    struct firewall_address address = address_of("2001:db8::");
    struct firewall_conn *conn = conns;
    uint32_t limit = firewall_rule(FIREWALL_NET_OPEN)->limit_v6;

    (void)state;
    for (uint32_t i = 0; i < limit; i++) {
        address.low = i;
        assert_int_equal(open_at(conn++, address, FIREWALL_SMTP), FIREWALL_PASS);
    }
    address.low = limit;
    assert_int_equal(open_at(conn, address, FIREWALL_SMTP), FIREWALL_DEFER);
    address.high++;
    assert_int_equal(open_at(conn, address, FIREWALL_SMTP), FIREWALL_PASS);
}

static void what_was_refused_is_not_counted(void **state)
{
    uint32_t limit = firewall_rule(FIREWALL_ADDRESS_OPEN)->limit;

    (void)state;
    for (uint32_t i = 0; i < limit; i++)
        assert_int_equal(open_at(&conns[i], v4(1), FIREWALL_SMTP), FIREWALL_PASS);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(open_at(&conns[limit], v4(1), FIREWALL_SMTP), FIREWALL_DEFER);
        assert_int_equal(tell(&conns[limit], FIREWALL_COMMAND, 0, 0).action, FIREWALL_DEFER);
        firewall_closed(firewall, &conns[limit]);
        firewall_closed(firewall, &conns[limit]);
    }
    firewall_closed(firewall, &conns[0]);
    assert_int_equal(open_at(&conns[0], v4(1), FIREWALL_SMTP), FIREWALL_PASS);
}

/* Mail clients of many people, behind one address, stay connected. */
static void an_office_stays_connected(void **state)
{
    uint32_t limit = firewall_rule(FIREWALL_ADDRESS_OPEN)->limit;

    (void)state;
    assert_int_equal(open_at(conns, v4(1), FIREWALL_IMAP), FIREWALL_PASS);
    assert_int_equal(tell(conns, FIREWALL_LOGIN, 7, 0).action, FIREWALL_PASS);
    for (uint32_t i = 1; i < 10 * limit; i++, pass_time(1))
        assert_int_equal(open_at(&conns[i], v4(1), FIREWALL_IMAP), FIREWALL_PASS);
    assert_int_equal(open_at(&conns[10 * limit], v4(1), FIREWALL_IMAP), FIREWALL_DEFER);
}

static void a_forgotten_password_bans_nobody(void **state)
{
    (void)state;
    assert_int_equal(open_at(conns, v4(1), FIREWALL_IMAP), FIREWALL_PASS);
    for (unsigned minute = 0; minute < 3 * 24 * 60; minute++, pass_time(60)) {
        /* Two clients of one household: one tells its secret, one by SCRAM does not. */
        assert_int_not_equal(tell(conns, FIREWALL_LOGIN_FAILED, 7, 55).action, FIREWALL_REFUSE);
        assert_int_not_equal(tell(conns, FIREWALL_LOGIN_FAILED, 8, 0).action, FIREWALL_REFUSE);
    }
    assert_int_equal(open_at(&conns[1], v4(1), FIREWALL_IMAP), FIREWALL_PASS);
    guess(&conns[1], 7, 100, 40);
    assert_int_equal(open_at(&conns[2], v4(1), FIREWALL_IMAP), FIREWALL_REFUSE);
    assert_int_equal(open_at(&conns[2], v4(1), FIREWALL_SMTP), FIREWALL_PASS);
}

static void neighbours_do_not_shut_out_who_logged_in(void **state)
{
    struct firewall_conn *good = &conns[0];

    (void)state;
    open_at(good, v4(0xC0000201), FIREWALL_IMAP);
    assert_int_equal(tell(good, FIREWALL_LOGIN, 7, 0).action, FIREWALL_PASS);
    for (uint32_t i = 2; i < 102; i++) {
        open_at(&conns[i], v4(0xC0000200 + i), FIREWALL_IMAP);
        guess(&conns[i], i, 100, 10);
    }
    /* The net is banned: for others, not for who logged in, new or there already. */
    assert_int_equal(open_at(&conns[200], v4(0xC00002C8), FIREWALL_IMAP), FIREWALL_REFUSE);
    assert_int_equal(open_at(&conns[201], v4(0xC0000201), FIREWALL_IMAP), FIREWALL_PASS);
    assert_int_equal(tell(good, FIREWALL_COMMAND, 0, 0).action, FIREWALL_PASS);
    /* And forgives it mistakes of its own. */
    guess(&conns[201], 7, 100, 100);
    assert_int_equal(open_at(&conns[202], v4(0xC0000201), FIREWALL_IMAP), FIREWALL_PASS);
    guess(&conns[202], 7, 1000, 100);
    assert_int_equal(open_at(&conns[203], v4(0xC0000201), FIREWALL_IMAP), FIREWALL_REFUSE);
    /* A session that is logged in goes on even then. */
    assert_int_equal(tell(good, FIREWALL_COMMAND, 0, 0).action, FIREWALL_PASS);
    pass_time(FIREWALL_CREDIT_S);
    open_at(&conns[204], v4(0xC0000202), FIREWALL_IMAP);
    for (uint32_t i = 0; i < 100; i++) {
        open_at(&conns[300 + i], v4(0xC0000202 + i), FIREWALL_IMAP);
        guess(&conns[300 + i], i, 2000, 10);
    }
    assert_int_equal(open_at(&conns[205], v4(0xC0000201), FIREWALL_IMAP), FIREWALL_REFUSE);
}

static void an_attacked_account_is_slow_for_strangers_alone(void **state)
{
    (void)state;
    open_at(&conns[0], v4(1), FIREWALL_IMAP);
    tell(&conns[0], FIREWALL_LOGIN, 7, 0);
    assert_int_equal(firewall_may_log_in(firewall, &conns[0], 7, now).action, FIREWALL_PASS);
    for (uint32_t i = 0; i < 30; i++) {
        open_at(&conns[1], v4(0x0A000000 + (i << 8)), FIREWALL_IMAP);
        guess(&conns[1], 7, 100 + i, 1);
        firewall_closed(firewall, &conns[1]);
    }
    open_at(&conns[1], v4(2), FIREWALL_IMAP);
    struct firewall_verdict verdict = firewall_may_log_in(firewall, &conns[1], 7, now);
    assert_int_equal(verdict.action, FIREWALL_DELAY);
    assert_int_equal(verdict.rule, FIREWALL_ACCOUNT_GUESSES);
    firewall_resumed(firewall, &conns[1]);
    assert_int_equal(firewall_may_log_in(firewall, &conns[1], 8, now).action, FIREWALL_PASS);
    assert_int_equal(firewall_may_log_in(firewall, &conns[0], 7, now).action, FIREWALL_PASS);
}

static void harvesters_are_told_from_old_lists(void **state)
{
    (void)state;
    open_at(&conns[0], v4(1), FIREWALL_SMTP);
    open_at(&conns[1], v4(0x01000001), FIREWALL_SMTP);
    for (unsigned i = 0; i < 2000; i++) { /* every tenth is gone */
        assert_int_equal(
            tell(&conns[0], i % 10 == 0 ? FIREWALL_RECIPIENT_UNKNOWN : FIREWALL_RECIPIENT, 0, 0)
                .action,
            FIREWALL_PASS);
    }
    enum firewall_action last = FIREWALL_PASS;
    for (unsigned i = 0; i < 80 && last != FIREWALL_REFUSE; i++)
        last =
            tell(&conns[1], i % 10 == 9 ? FIREWALL_RECIPIENT : FIREWALL_RECIPIENT_UNKNOWN, 0, 0)
                .action;
    assert_int_equal(last, FIREWALL_REFUSE);
    assert_int_equal(open_at(&conns[2], v4(0x01000001), FIREWALL_SMTP), FIREWALL_REFUSE);
    assert_int_equal(open_at(&conns[2], v4(0x01000001), FIREWALL_IMAP), FIREWALL_PASS);
}

/* However many there were: the share of what a counter keeps is the share of all. */
static void a_harvester_stays_one(void **state)
{
    (void)state;
    limit_only(FIREWALL_ADDRESS_UNKNOWNS, 10);
    open_at(&conns[0], v4(1), FIREWALL_SMTP);
    for (unsigned i = 0; i < 2000; i++)
        tell(&conns[0], FIREWALL_RECIPIENT_UNKNOWN, 0, 0);
    assert_int_equal(tell(&conns[0], FIREWALL_RECIPIENT_UNKNOWN, 0, 0).action, FIREWALL_DELAY);
}

static void credit_weighs_less_elsewhere(void **state)
{
    (void)state;
    open_at(&conns[0], v4(1), FIREWALL_IMAP);
    tell(&conns[0], FIREWALL_LOGIN, 7, 0);
    open_at(&conns[1], v4(1), FIREWALL_IMAP);
    for (uint32_t i = 0; i < 45; i++)
        guess(&conns[1], 100 + i, i + 1, 1);
    assert_int_equal(open_at(&conns[2], v4(1), FIREWALL_IMAP), FIREWALL_PASS);
    guess(&conns[1], 200, 1000, 1);
    assert_int_equal(open_at(&conns[2], v4(1), FIREWALL_IMAP), FIREWALL_REFUSE);
}

static void only_so_many_are_delayed(void **state)
{
    struct firewall_verdict verdict = {.action = FIREWALL_PASS};

    (void)state;
    limit_only(FIREWALL_ADDRESS_FAILURES, 1);
    for (unsigned i = 0; i < 4; i++) {
        open_at(&conns[i], v4(i), FIREWALL_IMAP);
        for (unsigned k = 0; k < 3; k++) /* the same connection counts once */
            verdict =
                firewall_happened(firewall, &conns[i], FIREWALL_LOGIN_FAILED, 7, 1, 1, now);
        assert_int_equal(verdict.action, i < 3 ? FIREWALL_DELAY : FIREWALL_DEFER);
    }
    assert_int_equal(verdict.code, 421);
    assert_true(strlen(verdict.reply) > 0);
    assert_int_equal(firewall_delayed(firewall), 3);
    assert_int_equal(firewall_counts(firewall)->undelayed, 1);
    firewall_resumed(firewall, &conns[0]);
    firewall_resumed(firewall, &conns[0]);
    firewall_closed(firewall, &conns[1]);
    assert_int_equal(firewall_delayed(firewall), 1);
}

static struct firewall_list *list_of(const char *place, enum firewall_entry_kind kind)
{
    struct firewall_entry entry = {
        .kind = kind, .scope = FIREWALL_ALL_SERVICES, .rule = FIREWALL_CLUSTER_SPRAY};
    struct firewall_list *list;

    assert_int_equal(firewall_place_parse(bytes_of(place), &entry.place), ERR_OK);
    assert_int_equal(firewall_list_new(&entry, 1, &list), ERR_OK);
    return list;
}

static void the_list_is_heard(void **state)
{
    struct firewall_list *bans = list_of("192.0.2.0/24", FIREWALL_ENTRY_BAN);
    struct firewall_list *allows = list_of("192.0.2.7", FIREWALL_ENTRY_ALLOW);
    struct firewall_list *exempts = list_of("192.0.2.7", FIREWALL_ENTRY_EXEMPT);

    (void)state;
    open_at(&conns[0], address_of("192.0.2.7"), FIREWALL_SMTP);
    open_at(&conns[1], address_of("192.0.2.8"), FIREWALL_IMAP);
    tell(&conns[1], FIREWALL_LOGIN, 7, 0);
    firewall_set_list(firewall, bans);
    struct firewall_verdict verdict = tell(&conns[0], FIREWALL_COMMAND, 0, 0);
    assert_int_equal(verdict.action, FIREWALL_REFUSE);
    assert_int_equal(verdict.rule, FIREWALL_CLUSTER_SPRAY);
    assert_int_equal(verdict.code, 554);
    assert_true(strlen(verdict.reply) > 0);
    assert_int_equal(tell(&conns[1], FIREWALL_COMMAND, 0, 0).action, FIREWALL_PASS);
    assert_int_equal(open_at(&conns[2], address_of("192.0.2.8"), FIREWALL_IMAP),
                     FIREWALL_REFUSE);
    assert_int_equal(firewall_counts(firewall)->listed, 2);
    firewall_set_list(firewall, allows);
    for (unsigned i = 0; i < 500; i++) {
        assert_int_equal(open_at(&conns[3], address_of("192.0.2.7"), FIREWALL_SMTP),
                         FIREWALL_PASS);
        assert_int_equal(tell(&conns[3], FIREWALL_EARLY_TALK, 0, 0).action, FIREWALL_PASS);
    }
    struct buffer wire = BUFFER_EMPTY;
    firewall_take_batch(firewall, &wire); /* the log-in */
    assert_false(firewall_take_batch(firewall, &wire));
    buffer_fini(&wire);
    firewall_set_list(firewall, exempts);
    limit_only(FIREWALL_NET_CONNECTIONS, 5);
    for (uint32_t i = 0; i < 10; i++)
        open_at(&conns[10 + i], v4(0xC0000280 + i), FIREWALL_SMTP);
    assert_int_equal(open_at(&conns[4], address_of("192.0.2.9"), FIREWALL_SMTP),
                     FIREWALL_DEFER);
    assert_int_equal(open_at(&conns[4], address_of("192.0.2.7"), FIREWALL_SMTP), FIREWALL_PASS);
    firewall_set_list(firewall, NULL);
    firewall_list_free(&bans);
    firewall_list_free(&allows);
    firewall_list_free(&exempts);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_rule_strikes_above_its_limit),
        TEST(rules_are_sound),
        TEST(a_net_of_v6_has_its_own_limit),
        TEST(what_was_refused_is_not_counted),
        TEST(an_office_stays_connected),
        TEST(a_forgotten_password_bans_nobody),
        TEST(neighbours_do_not_shut_out_who_logged_in),
        TEST(an_attacked_account_is_slow_for_strangers_alone),
        TEST(harvesters_are_told_from_old_lists),
        TEST(a_harvester_stays_one),
        TEST(credit_weighs_less_elsewhere),
        TEST(only_so_many_are_delayed),
        TEST(the_list_is_heard),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
