/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sodium.h>

#include "storage/service/promises.h"

static struct promises *promises;

static int begin(void **state)
{
    (void)state;
    assert_true(sodium_init() >= 0);
    promises = promises_new();
    return 0;
}

static int end(void **state)
{
    (void)state;
    promises_free(&promises);
    return 0;
}

static struct promise_target target(const char *remote, const char *sender,
                                    const char *envelope, uint64_t account_id)
{
    return (struct promise_target){bytes_of(remote), bytes_of(sender), bytes_of(envelope),
                                   account_id};
}

static bool has(uint32_t connection, const char *remote, const char *sender,
                const char *envelope, uint64_t account_id)
{
    struct promise_target asked = target(remote, sender, envelope, account_id);

    return promises_has_remote(promises, connection, &asked, 0);
}

static void test_each_field_counts(void **state)
{
    struct promise_target own = target("a@b", "s@t", "e@f", 7);
    struct promise_target plain = target("c@d", "", "e@f", 0);

    (void)state;
    promises_remote(promises, 1, &own, 0);
    promises_remote(promises, 1, &plain, 0);
    assert_true(has(1, "a@b", "s@t", "e@f", 7));
    assert_true(has(1, "a@b", "s@t", "other", 7)); /* it leaves with its own */
    assert_false(has(2, "a@b", "s@t", "e@f", 7));
    assert_false(has(1, "a@b", "s@t", "e@f", 0));
    assert_false(has(1, "a@b", "", "s@t", 7));
    assert_false(has(1, "a@b", "", "e@f", 7));
    assert_false(has(1, "a@", "bs@t", "e@f", 7));
    assert_true(has(1, "c@d", "", "e@f", 0));
    assert_false(has(1, "c@d", "", "", 0));
    assert_false(has(1, "c@d", "e@f", "", 0));
    promises_account(promises, 1, 9, 0);
    assert_true(promises_has_account(promises, 1, 9, 0));
    assert_false(promises_has_account(promises, 2, 9, 0));
    assert_false(promises_has_account(promises, 1, 10, 0));
    promises_connection_closed(promises, 1);
    assert_false(promises_has_account(promises, 1, 9, 0));
}

static void test_time(void **state)
{
    (void)state;
    promises_account(promises, 1, 9, 1000);
    assert_true(promises_has_account(promises, 1, 9, 1000 + PROMISES_MS));
    assert_false(promises_has_account(promises, 1, 9, 1000 + 2 * PROMISES_MS));
    promises_account(promises, 1, 9, 1000 + 100 * (uint64_t)PROMISES_MS);
    assert_true(promises_has_account(promises, 1, 9, 1000 + 100 * (uint64_t)PROMISES_MS + 1));
}

/* One that is asked for more than anybody needs forgets its own, not those of others. */
static void test_room(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        promises_account(promises, 2, i, 0);
    for (uint64_t i = 1; i <= PROMISES_MAX + 10; i++)
        promises_account(promises, 1, i, 0);
    assert_true(promises_has_account(promises, 1, PROMISES_MAX + 10, 0));
    assert_false(promises_has_account(promises, 1, 1, 0));
    for (uint64_t i = 1; i <= 100; i++)
        assert_true(promises_has_account(promises, 2, i, 0));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_field_counts),
        TEST(test_time),
        TEST(test_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
