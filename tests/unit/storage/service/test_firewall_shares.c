/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/service/firewall_shares.h"

static struct firewall_shares *shares;

static int begin(void **state)
{
    (void)state;
    shares = firewall_shares_new();
    return 0;
}

static int end(void **state)
{
    (void)state;
    firewall_shares_free(&shares);
    return 0;
}

/* How many of so many events are believed. */
static uint32_t tell(uint32_t connection, uint64_t address, enum firewall_event event,
                     uint32_t count, uint64_t now_ms)
{
    struct firewall_record records[2] = {
        {.address = {0, address}, .event = (uint8_t)event, .count = count, .account = 9},
        {.address = {0, 4}, .event = FIREWALL_RECIPIENT, .count = 7},
    };
    struct firewall_batch batch = {records, 2};
    uint64_t refused = firewall_shares_take(shares, connection, &batch, now_ms);
    uint32_t taken = count - (uint32_t)refused;

    assert_int_equal(batch.count, taken > 0 ? 2 : 1);
    if (taken > 0)
        assert_int_equal(records[0].count, taken);
    assert_int_equal(records[batch.count - 1].event, FIREWALL_RECIPIENT);
    assert_int_equal(records[batch.count - 1].count, 7);
    return taken;
}

static void login(uint32_t connection, uint64_t address, bool good, uint64_t now_ms)
{
    const struct firewall_address from = {0, address};

    firewall_shares_login(shares, connection, &from, good, now_ms);
}

/* Nobody's log-in is invented: what the store has not seen is not counted. */
static void test_logins(void **state)
{
    (void)state;
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN_FAILED, 100, 1000), 0);
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN, 1, 1000), 0);
    login(1, 5, false, 1000);
    login(1, 5, false, 1000);
    login(1, 5, true, 1000);
    assert_int_equal(tell(2, 5, FIREWALL_LOGIN_FAILED, 1, 1000), 0);
    assert_int_equal(tell(1, 6, FIREWALL_LOGIN_FAILED, 1, 1000), 0);
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN_FAILED, UINT32_MAX, 1000), 2);
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN_FAILED, 1, 1000), 0);
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN, 2, 1000), 1);
    login(1, 5, false, 2000);
    login(1, 5, false, 2000 + FIREWALL_SHARES_LOGIN_MS);
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN_FAILED, 3, 2001 + FIREWALL_SHARES_LOGIN_MS), 2);
    login(1, 5, false, 2000 + FIREWALL_SHARES_LOGIN_MS);
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN_FAILED, 1, 9000 + 3 * FIREWALL_SHARES_LOGIN_MS),
                     0);
}

/* Each is counted once, of one address, and forgotten when nobody tells of it for long. */
static void test_logins_one_by_one(void **state)
{
    const uint64_t later_ms = 1000 + FIREWALL_SHARES_LOGIN_MS;
    const struct firewall_address high = {1, 5};

    (void)state;
    for (unsigned i = 0; i < 3; i++)
        login(1, 5, false, 1000);
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN_FAILED, 1, 1000), 1);
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN_FAILED, 3, 1000), 2);
    firewall_shares_login(shares, 1, &high, false, 1000);
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN_FAILED, 1, 1000), 0);
    login(1, 5, false, 1000);
    login(1, 6, false, later_ms);
    login(1, 6, false, later_ms + FIREWALL_SHARES_LOGIN_MS);
    assert_int_equal(tell(1, 5, FIREWALL_LOGIN_FAILED, 1, later_ms + FIREWALL_SHARES_LOGIN_MS),
                     0);
    assert_int_equal(tell(1, 6, FIREWALL_LOGIN_FAILED, 9, later_ms + FIREWALL_SHARES_LOGIN_MS),
                     2);
}

/* Beyond the most that are remembered no other address is; those that are go on. */
static void test_logins_most(void **state)
{
    const uint64_t beyond = 100 + FIREWALL_SHARES_LOGINS_MAX;

    (void)state;
    for (uint64_t address = 100; address <= beyond; address++)
        login(1, address, false, 1000);
    login(1, 100, false, 1000);
    assert_int_equal(tell(1, 100, FIREWALL_LOGIN_FAILED, 3, 1000), 2);
    assert_int_equal(tell(1, beyond - 1, FIREWALL_LOGIN_FAILED, 3, 1000), 1);
    assert_int_equal(tell(1, beyond, FIREWALL_LOGIN_FAILED, 3, 1000), 0);
}

/* So many at once, then so many a second; of each kind and connection by itself. */
static void test_share(void **state)
{
    (void)state;
    assert_int_equal(tell(1, 5, FIREWALL_EARLY_TALK, UINT32_MAX, 1000), 200);
    assert_int_equal(tell(1, 6, FIREWALL_EARLY_TALK, 1, 1000), 0);
    assert_int_equal(tell(1, 6, FIREWALL_EARLY_TALK, 100, 3000), 10);
    assert_int_equal(tell(1, 6, FIREWALL_EARLY_TALK, 100, 3000), 0);
    assert_int_equal(tell(1, 6, FIREWALL_FLOOD, 100, 3000), 60);
    assert_int_equal(tell(2, 6, FIREWALL_EARLY_TALK, 100, 3000), 100);
    assert_int_equal(tell(1, 6, FIREWALL_EARLY_TALK, 1000, 3000 + 3600 * 1000), 200);
    assert_int_equal(tell(1, 5, FIREWALL_NULL_SENDER, UINT32_MAX, 3000), 20000);
    assert_int_equal(tell(1, 5, FIREWALL_RECIPIENT_UNKNOWN, UINT32_MAX, 3000), 5000);
    firewall_shares_connection_closed(NULL, 1);
    firewall_shares_connection_closed(shares, 1);
    assert_int_equal(tell(1, 6, FIREWALL_PROTOCOL_ERROR, 100000, 3000), 2000);
    assert_int_equal(tell(1, 6, FIREWALL_MESSAGE, 100000, 3000), 100000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_logins),
        TEST(test_logins_one_by_one),
        TEST(test_logins_most),
        TEST(test_share),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
