/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_FIREWALL_TALLY_LAB_H
#define TESTS_UNIT_NODE_FIREWALL_TALLY_LAB_H

#include "node/firewall/tally.h"

#define START 1800000000u
#define DAY 86400u

static struct firewall_tally *tally;
static uint64_t now_s;
static struct firewall_ban ban; /* the last one that next_ban() gave */

static inline int set_up(void **state)
{
    struct firewall_tally_config config;

    (void)state;
    firewall_tally_config_init(&config);
    config.seed = (struct firewall_key){3, 4};
    tally = firewall_tally_new(&config);
    firewall_tally_set_leading(tally, true);
    now_s = START;
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    firewall_tally_free(&tally);
    assert_null(tally);
    firewall_tally_free(&tally);
    return 0;
}

static inline struct firewall_address v4(uint32_t number)
{
    return (struct firewall_address){0, 0xFFFFull << 32 | number};
}

static inline struct firewall_record record_of(enum firewall_event event,
                                               struct firewall_address address)
{
    return (struct firewall_record){
        .address = address, .count = 1, .event = (uint8_t)event, .service = FIREWALL_SMTP};
}

static inline void tell(struct firewall_record record)
{
    struct firewall_batch batch = {&record, 1};

    firewall_tally_merge(tally, &batch, now_s);
}

static inline void tell_count(enum firewall_event event, struct firewall_address address,
                              uint32_t count)
{
    struct firewall_record record = record_of(event, address);

    record.count = count;
    tell(record);
}

static inline void fail_at(struct firewall_address address, uint32_t network, uint64_t account,
                           uint32_t secret)
{
    struct firewall_record record = record_of(FIREWALL_LOGIN_FAILED, address);

    record.service = FIREWALL_IMAP;
    record.network = network;
    record.account = account;
    record.secret = secret;
    tell(record);
}

static inline void log_in(struct firewall_address address, uint32_t network, uint64_t account)
{
    struct firewall_record record = record_of(FIREWALL_LOGIN, address);

    record.service = FIREWALL_IMAP;
    record.network = network;
    record.account = account;
    tell(record);
}

/* Different secrets at one account. */
static inline void guess(struct firewall_address address, uint64_t account, uint32_t first,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        fail_at(address, 0, account, first + i);
}

static inline bool next_ban(void)
{
    return firewall_tally_next(tally, now_s, &ban);
}

static inline void check_ban(enum firewall_rule_id rule, const char *place, unsigned level)
{
    char text[FIREWALL_PLACE_TEXT_SIZE];

    assert_true(next_ban());
    firewall_place_text(&ban.place, text);
    print_message("%s, %s: %s\n", text, firewall_rule(ban.rule)->name, ban.evidence);
    assert_string_equal(text, place);
    assert_int_equal(ban.rule, rule);
    assert_int_equal(ban.level, level);
    assert_int_equal(ban.since_s, now_s);
    assert_int_equal(ban.until_s, now_s + firewall_ladder_s(level));
    if (firewall_rule(rule)->scope != 0)
        assert_int_equal(ban.scope, firewall_rule(rule)->scope);
    assert_true(strlen(ban.evidence) > 10);
}

#endif
