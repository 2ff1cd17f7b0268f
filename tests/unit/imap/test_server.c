/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <poll.h>
#include <signal.h>
#include <stdlib.h>

#include "node/runtime/metrics.h"
#include "storage/schema/flags.h"
#include "tests/unit/imap/lab.h"

static void log_in(struct client *client)
{
    client_say(client, "a LOGIN ann@example.org secret\r\n");
    client_expect(client, "a OK ");
}

static void test_implicit_tls(void **state)
{
    struct lab lab;
    struct client client;

    (void)state;
    lab_start(&lab);
    client_open(&client, &lab, LAB_IMPLICIT);
    log_in(&client);
    client_say(&client, "b SELECT INBOX\r\nc FETCH 1 BODY.PEEK[]\r\nd LOGOUT\r\n");
    client_expect(&client, "b OK ");
    client_expect_bytes(&client, BYTES("* 1 FETCH (BODY[] {25}\r\nSubject: first\r\n\r\n"
                                       "hello\r\n)\r\n"));
    client_expect(&client, "d OK ");
    client_expect_end(&client);
    client_close(&client);
    lab_end(&lab);
    assert_int_equal(lab.logouts, 1);
}

/* The store is asked before the client has said anything. */
static void test_server_speaks_first(void **state)
{
    struct lab lab;
    struct client client;

    (void)state;
    lab_start(&lab);
    client_open(&client, &lab, LAB_IMPLICIT);
    client_say(&client, "a AUTHENTICATE LOGIN\r\n");
    client_expect(&client, "+ VXNlcm5hbWU6");
    client_say(&client, "YW5uQGV4YW1wbGUub3Jn\r\n");
    client_expect(&client, "+ UGFzc3dvcmQ6");
    client_say(&client, "c2VjcmV0\r\n");
    client_expect(&client, "a OK ");
    client_close(&client);
    lab_end(&lab);
}

static void test_starttls(void **state)
{
    struct lab lab;
    struct client client;

    (void)state;
    lab_start(&lab);
    client_open(&client, &lab, LAB_PLAIN);
    client_say(&client, "a LOGIN ann@example.org secret\r\n");
    client_expect(&client, "a NO [PRIVACYREQUIRED]");
    client_say(&client, "b STARTTLS\r\n");
    client_expect(&client, "b OK ");
    client_tls(&client);
    log_in(&client);
    client_close(&client);

    /* A command smuggled in behind STARTTLS is never carried out. */
    uint64_t commands = metric_get(METRIC_IMAP_COMMANDS);
    client_open(&client, &lab, LAB_PLAIN);
    client_say(&client, "a STARTTLS\r\nb NOOP\r\n");
    client_expect_end(&client);
    client_close(&client);
    lab_end(&lab);
    assert_int_equal(metric_get(METRIC_IMAP_COMMANDS), commands + 1);
}

/* Larger than a block: uploaded in several, and fetched back the same. */
static void test_large_message_there_and_back(void **state)
{
    struct lab lab;
    struct client client;
    struct buffer message = BUFFER_EMPTY;

    (void)state;
    buffer_add_string(&message, "Subject: large\r\n\r\n");
    for (unsigned i = 0; buffer_len(&message) < 5 * (size_t)BODY_BLOCK_SIZE; i++)
        buffer_printf(&message, "line %u of many\r\n", i * 2654435761u);
    lab_start(&lab);
    client_open(&client, &lab, LAB_IMPLICIT);
    log_in(&client);
    struct buffer command = BUFFER_EMPTY;
    buffer_printf(&command, "b APPEND INBOX (\\Seen) {%zu+}\r\n", buffer_len(&message));
    client_send(&client, buffer_bytes(&command));
    client_send(&client, buffer_bytes(&message));
    client_say(&client, "\r\nc SELECT INBOX\r\nd FETCH 2 (BODY[])\r\n");
    client_expect(&client, "b OK [APPENDUID 1001 2]");
    client_expect(&client, "c OK ");
    client_expect(&client, "* 2 FETCH (BODY[] {");
    client_expect_bytes(&client, buffer_bytes(&message));
    client_expect(&client, ")");
    client_expect(&client, "d OK ");
    client_close(&client);
    lab_end(&lab);
    buffer_fini(&command);
    buffer_fini(&message);
}

static bool watches(struct lab *lab)
{
    return lab->watch != NULL;
}

static void test_idle_is_told(void **state)
{
    struct lab lab;
    struct client client;

    (void)state;
    lab_start(&lab);
    client_open(&client, &lab, LAB_IMPLICIT);
    log_in(&client);
    client_say(&client, "b SELECT INBOX\r\nc IDLE\r\n");
    client_expect(&client, "+ ");
    for (unsigned i = 2; i < 5; i++) {
        char line[32];
        lab_wait(&lab, watches);
        lab_do(&lab, lab_deliver);
        snprintf(line, sizeof(line), "* %u EXISTS\r\n", i);
        client_expect_bytes(&client, bytes_of(line));
    }
    client_say(&client, "DONE\r\n");
    client_expect(&client, "c OK ");
    client_close(&client);
    lab_end(&lab);
}

static bool is_quiet(const struct client *client)
{
    struct pollfd poll_fd = {.fd = client->fd, .events = POLLIN};

    return buffer_len(&client->seen) == 0 && poll(&poll_fd, 1, 0) == 0;
}

/* Whoever guesses a password waits; nobody else does. */
static void test_failed_login_delays_only_itself(void **state)
{
    struct lab lab;
    struct client guesser;
    struct client other;

    (void)state;
    lab_start(&lab);
    client_open(&guesser, &lab, LAB_PLAIN);
    client_say(&guesser, "a STARTTLS\r\n");
    client_expect(&guesser, "a OK ");
    client_tls(&guesser);
    client_say(&guesser, "b NOOP\r\nc LOGIN ann@example.org wrong\r\n");
    client_expect(&guesser, "b OK ");
    client_open(&other, &lab, LAB_IMPLICIT);
    log_in(&other);
    client_say(&other, "b NOOP\r\n");
    client_expect(&other, "b OK ");
    assert_true(is_quiet(&guesser));
    client_expect(&guesser, "c NO [AUTHENTICATIONFAILED]");
    client_close(&guesser);
    client_close(&other);
    lab_end(&lab);
}

static void hold_logins(struct lab *lab)
{
    lab->holds_logins = true;
}

static bool holds_one(struct lab *lab)
{
    return lab->held != NULL;
}

static bool nobody_is_there(struct lab *lab)
{
    (void)lab;
    return conn_count() == 0;
}

static bool has_logged_out(struct lab *lab)
{
    return lab->logouts == 1;
}

/* A login that is answered when its client has gone leaves no session behind. */
static void test_client_gone_during_login(void **state)
{
    struct lab lab;
    struct client client;

    (void)state;
    lab_start(&lab);
    lab_do(&lab, hold_logins);
    client_open(&client, &lab, LAB_IMPLICIT);
    client_say(&client, "a LOGIN ann@example.org secret\r\n");
    lab_wait(&lab, holds_one);
    client_close(&client);
    lab_wait(&lab, nobody_is_there);
    lab_do(&lab, lab_release_login);
    lab_wait(&lab, has_logged_out);
    lab_end(&lab);
}

/* The list and the settings have been read: both are asked for again. */
static bool has_read_all(struct lab *lab)
{
    return lab->settings_calls >= 2 && lab->firewall_calls >= 2;
}

static bool has_reported(struct lab *lab)
{
    return lab->reports > 0;
}

static void test_firewall(void **state)
{
    struct lab lab;
    struct client client;

    (void)state;
    lab_start(&lab);
    lab_wait(&lab, has_read_all);
    client_open_for(&client, &lab, "192.0.2.66");
    client_expect(&client, "* BYE [CONTACTADMIN]");
    client_expect_end(&client);
    client_close(&client);
    client_open_for(&client, &lab, "192.0.2.67");
    client_expect(&client, "* OK ");
    client_say(&client, "a STARTTLS\r\n");
    client_expect(&client, "a OK ");
    client_tls(&client);
    log_in(&client);
    lab_wait(&lab, has_reported);
    client_close(&client);
    lab_end(&lab);
}

static void test_tokens_are_offered(void **state)
{
    struct lab lab;
    struct client client;

    (void)state;
    lab_start(&lab);
    lab_wait(&lab, has_read_all);
    client_open(&client, &lab, LAB_IMPLICIT);
    client_say(&client, "a CAPABILITY\r\n");
    client_expect(&client, "* CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ENABLE ID IDLE "
                           "AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1-PLUS "
                           "AUTH=SCRAM-SHA-1 AUTH=PLAIN AUTH=LOGIN AUTH=OAUTHBEARER\r\n");
    client_close(&client);
    lab_end(&lab);
}

static void test_store_lost(void **state)
{
    struct lab lab;
    struct client client;

    (void)state;
    lab_start(&lab);
    client_open(&client, &lab, LAB_IMPLICIT);
    log_in(&client);
    lab_do(&lab, lab_lose_store);
    client_expect(&client, "* BYE [UNAVAILABLE]");
    client_expect_end(&client);
    client_close(&client);
    lab_end(&lab);
}

static void test_stop_says_bye(void **state)
{
    struct lab lab;
    struct client client;

    (void)state;
    lab_start(&lab);
    client_open(&client, &lab, LAB_IMPLICIT);
    log_in(&client);
    client_say(&client, "b SELECT INBOX\r\nc IDLE\r\n");
    client_expect(&client, "+ ");
    lab_do(&lab, lab_stop);
    client_expect(&client, "* BYE ");
    client_expect_end(&client);
    client_close(&client);
    lab_end(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_implicit_tls),
        cmocka_unit_test(test_server_speaks_first),
        cmocka_unit_test(test_starttls),
        cmocka_unit_test(test_large_message_there_and_back),
        cmocka_unit_test(test_idle_is_told),
        cmocka_unit_test(test_failed_login_delays_only_itself),
        cmocka_unit_test(test_client_gone_during_login),
        cmocka_unit_test(test_firewall),
        cmocka_unit_test(test_tokens_are_offered),
        cmocka_unit_test(test_store_lost),
        cmocka_unit_test(test_stop_says_bye),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
