/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/protocol/limits.h"
#include "unit/smtp/play.h"

/*
 * Known ways to make a mail server misbehave, by what is no message. Each test has the number
 * of a row in the list of attacks that the project keeps; those of addresses and parameters are
 * in test_arguments.c.
 */
#define NOOP_OK "250 2.0.0 OK\r\n"

static void test_attack_01_bare_line_ends_in_commands(void **state)
{
    static const struct bytes lines[] = {
        BYTES_INIT("NOOP\nNOOP\r\n"),
        BYTES_INIT("NOOP\rNOOP\r\nNOOP\r\n"),
        BYTES_INIT("NOOP\r\r\nNOOP\r\n"),
        BYTES_INIT("\nNOOP\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        play_expect(&play_config, "bare line end", lines[i],
                    "220 mx.test ESMTP\r\n"
                    "500 5.5.2 Lines end with CR LF, which occur nowhere else\r\n<close>");
}

/* ---- TLS ---- */

static void test_attack_04_injection_behind_starttls(void **state)
{
    (void)state;
    static const struct bytes input =
        BYTES_INIT("EHLO a\r\nSTARTTLS\r\nMAIL FROM:<x@a.test>\r\n");
    struct play play;
    struct smtp_action action;

    play_init(&play, &play_config, PLAY_AT_ONCE);
    assert_int_equal(smtp_session_feed(play.session, input), 18);
    while (smtp_session_next(play.session, &action) && action.want != SMTP_WANT_START_TLS)
        ;
    assert_int_equal(action.want, SMTP_WANT_START_TLS);
    assert_int_equal(smtp_session_feed(play.session, bytes_skip(input, 18)), 0);
    play_fini(&play);
}

/* All that was said before TLS is forgotten: greeting, transaction, log-in. */
static void test_attack_04_nothing_is_kept_from_before_tls(void **state)
{
    struct smtp_config config = play_config;

    (void)state;
    config.service = SMTP_SERVICE_SUBMISSION;
    config.auth_clear = "PLAIN";
    config.auth_tls = "PLAIN";
    config.auth_failures_max = 3;
    play_expect(&config, "STARTTLS",
                BYTES("EHLO a\r\nAUTH PLAIN AHkAc2VjcmV0\r\nSTARTTLS\r\nMAIL FROM:<>\r\n"
                      "EHLO a\r\nMAIL FROM:<>\r\n"),
                PLAY_HI "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n250-STARTTLS\r\n"
                        "250-AUTH PLAIN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
                        "250 CHUNKING\r\n235 2.7.0 Authentication succeeded\r\n"
                        "220 2.0.0 Ready to start TLS\r\n<tls>503 5.5.1 Send EHLO first\r\n"
                        "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n250-AUTH PLAIN\r\n"
                        "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 CHUNKING\r\n"
                        "530 5.7.0 Authentication required\r\n");
}

/* ---- AUTH ---- */

static void test_attack_06_auth_out_of_place(void **state)
{
    static const struct smtp_connection with_tls = {.tls = true};
    struct smtp_config config = play_config;

    (void)state;
    play_expect_connection(&config, &with_tls, "AUTH on port 25",
                           BYTES("EHLO a\r\nAUTH PLAIN AHkAc2VjcmV0\r\n"),
                           PLAY_HI PLAY_EHLO("") "502 5.5.1 Command is not offered here\r\n");
    config.service = SMTP_SERVICE_SUBMISSION;
    config.auth_tls = "PLAIN";
    config.auth_failures_max = 3;
    config.tls_required = true;
    play_expect(&config, "AUTH before TLS",
                BYTES("EHLO a\r\nAUTH PLAIN AHkAc2VjcmV0\r\nMAIL FROM:<>\r\n"),
                PLAY_HELLO "538 5.7.11 Encryption is required first\r\n"
                           "530 5.7.0 Must issue a STARTTLS command first\r\n");
    play_expect_connection(
        &config, &with_tls, "AUTH twice, and within a transaction",
        BYTES("EHLO a\r\nMAIL FROM:<>\r\nAUTH PLAIN AHkAc2VjcmV0\r\n"
              "AUTH PLAIN AHkAc2VjcmV0\r\nMAIL FROM:<x@a.test>\r\nAUTH PLAIN AHkAc2VjcmV0\r\n"),
        PLAY_HI "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n250-AUTH PLAIN\r\n"
                "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 CHUNKING\r\n"
                "530 5.7.0 Authentication required\r\n235 2.7.0 Authentication succeeded\r\n"
                "503 5.5.1 Authenticated already\r\n250 2.1.0 Sender OK\r\n"
                "503 5.5.1 Not within a mail transaction\r\n");
}

/* ---- synchronisation ---- */

static void expect_sync(const char *input, bool kept)
{
    struct smtp_config config = play_config;
    struct play play;

    config.sync_enforced = true;
    play_init(&play, &config, PLAY_LATE);
    play_feed(&play, bytes_of(input));
    bool closed = strstr(play_take(&play), "554 5.5.0 Wait for the reply") != NULL;
    if (closed == kept)
        print_error("%s\n", input);
    assert_int_equal(play.closed, !kept);
    assert_int_equal(closed, !kept);
    play_fini(&play);
}

static void test_attack_08_input_ahead_of_the_reply(void **state)
{
    (void)state;
    expect_sync("EHLO a\r\nMAIL FROM:<>\r\n", false);
    expect_sync("HELO a\r\nQUIT\r\n", false);
    struct smtp_config config = play_config;
    struct play play;
    config.sync_enforced = true;
    for (unsigned early = 0; early < 2; early++) {
        play_init(&play, &config, PLAY_LATE);
        play_feed(&play, BYTES("EHLO a\r\n"));
        if (early)
            play_feed(&play, BYTES("MAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\nDATA\r\nx"));
        else
            play_feed(&play, BYTES("MAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"));
        assert_int_equal(play.closed, early);
        assert_int_equal(play.begins, !early);
        play_fini(&play);
    }
    expect_sync("NOOP\r\nRSET\r\nEHLO a\r\n", true);
}

static void test_attack_08_early_talker(void **state)
{
    struct smtp_config config = play_config;

    (void)state;
    config.ask_greet = true;
    config.early_refused = true;
    for (unsigned late = 0; late < 2; late++) {
        struct play play;
        play_init(&play, &config, late ? PLAY_AT_ONCE : PLAY_LATE);
        play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"));
        assert_int_equal(play.closed, !late);
        assert_int_equal(smtp_session_early(play.session), !late);
        if (!late)
            assert_string_equal(play_take(&play),
                                "554 5.5.0 Wait for the greeting before you speak\r\n<close>");
        play_fini(&play);
    }
}

/* ---- what speaks no SMTP ---- */

static void test_attack_09_other_protocols(void **state)
{
    static const struct bytes lines[] = {
        BYTES_INIT("GET / HTTP/1.1\r\nMAIL FROM:<>\r\n"),
        BYTES_INIT("POST /x HTTP/1.1\r\nEHLO a\r\n"),
        BYTES_INIT("CONNECT mx.test:25 HTTP/1.1\r\nEHLO a\r\n"),
        BYTES_INIT("Host: mx.test\r\nEHLO a\r\n"),
        BYTES_INIT("\xff\xfe\r\nEHLO a\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        play_expect(&play_config, "other protocol", lines[i],
                    "220 mx.test ESMTP\r\n502 5.5.2 This is a mail server\r\n<close>");
}

static void test_attack_26_commands_for_strangers(void **state)
{
    struct smtp_config config = play_config;

    (void)state;
    config.errors_max = 20;
    play_expect(
        &config, "EXPN ETRN TURN AUTH XCLIENT PROXY",
        BYTES("EXPN x\r\nETRN x\r\nTURN\r\nAUTH PLAIN AAAA\r\nVRFY y\r\n"
              "XCLIENT ADDR=192.0.2.1\r\nPROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nNOOP\r\n"),
        "220 mx.test ESMTP\r\n502 5.5.1 Command is not offered here\r\n"
        "502 5.5.1 Command is not offered here\r\n502 5.5.1 Command is not offered here\r\n"
        "502 5.5.1 Command is not offered here\r\n"
        "252 2.5.0 Cannot verify, but will take mail and try to deliver it\r\n"
        "550 5.7.0 XCLIENT is not for you\r\n500 5.5.2 Unknown command\r\n" NOOP_OK);
}

/* ---- long lines ---- */

static void expect_line(size_t len, const char *start, const char *want)
{
    struct buffer input = BUFFER_EMPTY;

    buffer_add_string(&input, start);
    while (buffer_len(&input) < len - 2)
        buffer_add_byte(&input, 'x');
    buffer_add(&input, BYTES("\r\nNOOP\r\n"));
    play_expect(&play_config, start, buffer_bytes(&input), want);
    buffer_fini(&input);
}

static void test_attack_10_long_command_lines(void **state)
{
    (void)state;
    const char *refused = "220 mx.test ESMTP\r\n500 5.5.2 Line is too long\r\n" NOOP_OK;
    expect_line(512, "NOOP ", "220 mx.test ESMTP\r\n" NOOP_OK NOOP_OK);
    expect_line(513, "NOOP ", refused);
    expect_line(2048, "NOOP ", refused);
    expect_line(2049, "NOOP ", refused);
    expect_line(4096, "NOOP ", refused);
    expect_line(2048, "MAIL ", "220 mx.test ESMTP\r\n503 5.5.1 Send EHLO first\r\n" NOOP_OK);
    expect_line(2049, "MAIL ", refused);
    expect_line(SMTP_COMMAND_DISCARD_MAX, "NOOP ", refused);
}

static void test_attack_10_endless_command_line(void **state)
{
    (void)state;
    struct play play;
    uint8_t piece[1000];
    size_t sent = 0;

    memset(piece, 'x', sizeof(piece));
    play_init(&play, &play_config, PLAY_AT_ONCE);
    while (!play.closed) {
        play_feed(&play, bytes_from(piece, sizeof(piece)));
        sent += sizeof(piece);
        assert_true(sent <= SMTP_COMMAND_DISCARD_MAX + 4 * sizeof(piece));
    }
    assert_string_equal(play_take(&play),
                        "220 mx.test ESMTP\r\n500 5.5.2 Line is too long\r\n<close>");
    play_fini(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attack_01_bare_line_ends_in_commands),
        cmocka_unit_test(test_attack_04_injection_behind_starttls),
        cmocka_unit_test(test_attack_04_nothing_is_kept_from_before_tls),
        cmocka_unit_test(test_attack_06_auth_out_of_place),
        cmocka_unit_test(test_attack_08_input_ahead_of_the_reply),
        cmocka_unit_test(test_attack_08_early_talker),
        cmocka_unit_test(test_attack_09_other_protocols),
        cmocka_unit_test(test_attack_26_commands_for_strangers),
        cmocka_unit_test(test_attack_10_long_command_lines),
        cmocka_unit_test(test_attack_10_endless_command_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
