/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/check.h"
#include "storage/service/passwords.h"

/* With real threads and real hashes. */
struct asked {
    enum err err;
    char hash[crypto_pwhash_STRBYTES];
    bool done;
};

static struct loop *loop;
static struct passwords *passwords;
static unsigned outstanding;

static void hashed(void *context, enum err err, struct bytes hash)
{
    struct asked *asked = context;

    assert_false(asked->done);
    asked->done = true;
    asked->err = err;
    assert_true(hash.len < sizeof(asked->hash));
    if (hash.len > 0)
        memcpy(asked->hash, hash.at, hash.len);
    if (--outstanding == 0)
        loop_stop(loop);
}

static void ask(struct asked *asked, const char *password)
{
    memset(asked, 0, sizeof(*asked));
    outstanding++;
    passwords_hash(passwords, bytes_of(password), hashed, asked);
}

static int set_up(void **state)
{
    (void)state;
    outstanding = 0;
    loop = loop_new();
    passwords = passwords_new(loop);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    passwords_free(&passwords);
    loop_free(&loop);
    return 0;
}

static bool opens(const struct asked *asked, const char *password)
{
    return crypto_pwhash_str_verify(asked->hash, password, strlen(password)) == 0;
}

static void test_hashes(void **state)
{
    struct asked first;
    struct asked second;

    (void)state;
    ask(&first, "one password");
    ask(&second, "another");
    loop_run(loop);
    assert_int_equal(first.err, ERR_OK);
    assert_memory_equal(first.hash, "$argon2id$v=19$m=19456,t=2,p=1$", 31);
    assert_true(opens(&first, "one password"));
    assert_false(opens(&first, "another"));
    assert_true(opens(&second, "another"));
}

/* Those that wait together with the same password share a hash; who comes later gets his own.
 */
static void test_shared(void **state)
{
    enum { COUNT = 200 };
    static struct asked all[COUNT];
    struct asked other;
    struct asked later;

    (void)state;
    ask(&other, "other password");
    for (unsigned i = 0; i < COUNT; i++)
        ask(&all[i], "one password");
    loop_run(loop);
    for (unsigned i = 1; i < COUNT; i++)
        assert_string_equal(all[0].hash, all[i].hash);
    assert_true(opens(&all[0], "one password"));
    assert_true(opens(&other, "other password"));
    ask(&later, "one password");
    loop_run(loop);
    assert_string_not_equal(later.hash, all[0].hash);
}

static void test_too_many(void **state)
{
    static struct asked all[PASSWORDS_WAITING_MAX + 1];

    (void)state;
    for (unsigned i = 0; i <= PASSWORDS_WAITING_MAX; i++)
        ask(&all[i], "one password");
    assert_true(all[PASSWORDS_WAITING_MAX].done);
    assert_int_equal(all[PASSWORDS_WAITING_MAX].err, ERR_BUSY);
    loop_run(loop);
    assert_int_equal(all[0].err, ERR_OK);
}

/* Two hashes are being made, one waits. */
static void test_freed(void **state)
{
    struct asked all[3];

    (void)state;
    ask(&all[0], "one password");
    ask(&all[1], "two passwords");
    ask(&all[2], "three passwords");
    passwords_free(&passwords);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(all[i].err, ERR_CLOSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hashes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_too_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_freed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
