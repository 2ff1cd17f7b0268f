/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log-ins that the client ends itself. Who has sent a message has seen what became of it, a
 * token that is not taken or a salt, and may have learnt from it: so it counts as a failure,
 * with the firewall and with the connection, whether the client says so or goes away.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/runtime/conn.h"
#include "storage/client/guard.h"
#include "unit/smtp/fake_store.h"
#include "unit/smtp/submit_client.h"

#define MECHANISM "AUTH LOGIN\r\n"
#define NAME "YW5uQGhlcmUudGVzdA==\r\n"
#define PASSWORD "d3Jvbmc=\r\n"

static _Atomic unsigned failures;
static _Atomic unsigned successes;

struct firewall_verdict __wrap_guard_tell(struct guard *guard, enum firewall_event event,
                                          uint64_t account, uint32_t secret);

struct firewall_verdict __wrap_guard_tell(struct guard *guard, enum firewall_event event,
                                          uint64_t account, uint32_t secret)
{
    (void)guard;
    (void)account;
    (void)secret;
    failures += event == FIREWALL_LOGIN_FAILED;
    successes += event == FIREWALL_LOGIN;
    return (struct firewall_verdict){.action = FIREWALL_PASS};
}

static bool nobody_is_here(void)
{
    return conn_count() == 0;
}

static void start(struct server *server, struct submit_client *client)
{
    failures = successes = 0;
    submit_begin(server);
    server_run(server);
    submit_enter(client, server);
}

static void end(struct server *server, struct submit_client *client)
{
    submit_leave(client);
    submit_wait(nobody_is_here);
    server_stop(server);
}

static void test_words(void **state)
{
    static const struct {
        const char *word;
        const char *want;
    } cases[] = {{"*\r\n", "501 5.7.0"}, {"!\r\n", "501 5.5.2"}};
    struct server *server = *state;
    struct submit_client client;

    start(server, &client);
    for (unsigned i = 0; i < 2; i++) {
        submit_say(&client, MECHANISM, "334 ");
        submit_say(&client, cases[i].word, cases[i].want); /* it has learnt nothing */
        assert_int_equal(failures, i);
        submit_say(&client, MECHANISM, "334 ");
        submit_say(&client, NAME, "334 ");
        submit_say(&client, cases[i].word, cases[i].want);
        assert_int_equal(failures, i + 1);
    }
    submit_say(&client, MECHANISM, "334 ");
    submit_say(&client, NAME, "334 ");
    submit_say(&client, "*\r\n", "421 4.7.0"); /* the third */
    submit_expect(&client, "");
    end(server, &client);
    assert_int_equal(failures, 3);
    assert_int_equal(successes, 0);
}

/* What else may come: it works all the same, and is not counted twice. */
static void test_goes_on(void **state)
{
    struct server *server = *state;
    struct submit_client client;

    start(server, &client);
    submit_say(&client, MECHANISM, "334 ");
    submit_say(&client, NAME, "334 ");
    submit_say(&client, "*\r\n", "501 ");
    submit_say(&client, MECHANISM, "334 ");
    submit_say(&client, NAME, "334 ");
    submit_say(&client, PASSWORD, "535 ");
    assert_int_equal(failures, 2);
    submit_say(&client, submit_plain("right"), "235 ");
    submit_say(&client, TO_Y, "354 ");
    submit_say(&client, FROM_ANN, "250 2.0.0");
    end(server, &client);
    assert_int_equal(failures, 2);
    assert_int_equal(successes, 1);
}

/* Without a word. */
static void test_leaves(void **state)
{
    static const struct {
        const char *lines[3];
        bool counts;
    } cases[] = {
        {{NULL}, false},
        {{MECHANISM}, false},
        {{MECHANISM, NAME}, true},
        {{MECHANISM, NAME, "*\r\n"}, true},
        {{MECHANISM, NAME, PASSWORD}, true},
    };
    struct server *server = *state;
    struct submit_client client;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start(server, &client);
        for (unsigned line = 0; line < 3 && cases[i].lines[line] != NULL; line++)
            submit_say(&client, cases[i].lines[line], line < 2 ? "334 " : "5");
        end(server, &client);
        assert_int_equal(failures, cases[i].counts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SERVER_TEST(test_words),
        SERVER_TEST(test_goes_on),
        SERVER_TEST(test_leaves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
