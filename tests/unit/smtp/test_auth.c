/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/protocol/limits.h"
#include "unit/smtp/play.h"

/* AUTH (RFC 4954) and what submission asks for before MAIL (RFC 6409). */
#define EHLO(auth)                                                                             \
    "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n" auth "250-ENHANCEDSTATUSCODES\r\n"     \
    "250-8BITMIME\r\n250 CHUNKING\r\n"
#define OFFERED "250-AUTH PLAIN LOGIN FINAL RESULT\r\n"
#define START "EHLO a\r\n"
#define READY PLAY_HI EHLO(OFFERED)
#define LOGGED_IN "235 2.7.0 Authentication succeeded\r\n"
#define REFUSED "535 5.7.8 Authentication credentials invalid\r\n"
#define MALFORMED "501 5.5.2 Response is malformed\r\n"
#define CANCELLED "501 5.7.0 Authentication was cancelled\r\n"
#define TOO_MANY "421 4.7.0 Too many failed authentications\r\n<close>"
#define OK "250 2.0.0 OK\r\n"
#define MAIL_OK "250 2.1.0 Sender OK\r\n"
#define AUTH_FIRST "530 5.7.0 Authentication required\r\n"
/* base64 of NUL y NUL secret, of NUL y NUL wrong; of the words */
#define GOOD "AHkAc2VjcmV0"
#define BAD "AHkAd3Jvbmc="
#define CHALLENGE_USER "334 VXNlcm5hbWU6\r\n"
#define CHALLENGE_PASSWORD "334 UGFzc3dvcmQ6\r\n"

static const struct smtp_connection with_tls = {.tls = true};
static const struct smtp_connection in_clear = {.tls = false};

static struct smtp_config submission(void)
{
    struct smtp_config config = play_config;

    config.service = SMTP_SERVICE_SUBMISSION;
    config.auth_tls = "PLAIN LOGIN FINAL RESULT";
    config.auth_failures_max = 3;
    config.errors_max = 20;
    return config;
}

struct conversation {
    const char *name;
    struct bytes input;
    const char *want;
};

static void expect_all(const struct smtp_config *config,
                       const struct smtp_connection *connection,
                       const struct conversation *conversations, size_t count)
{
    for (size_t i = 0; i < count; i++)
        play_expect_connection(config, connection, conversations[i].name,
                               conversations[i].input, conversations[i].want);
}

#define EXPECT_ALL(config, connection, conversations)                                          \
    expect_all(config, connection, conversations,                                              \
               sizeof(conversations) / sizeof((conversations)[0]))

static void test_exchanges(void **state)
{
    static const struct conversation conversations[] = {
        {"with an initial response",
         BYTES_INIT(START "AUTH PLAIN " GOOD "\r\nMAIL FROM:<x@a.test>\r\n"),
         READY LOGGED_IN MAIL_OK},
        {"without one", BYTES_INIT(START "auth plain\r\n" GOOD "\r\nMAIL FROM:<x@a.test>\r\n"),
         READY "334 \r\n" LOGGED_IN MAIL_OK},
        {"an initial response that is empty is one",
         BYTES_INIT(START "AUTH LOGIN =\r\nc2VjcmV0\r\nAUTH PLAIN " GOOD "\r\n"),
         READY CHALLENGE_PASSWORD REFUSED LOGGED_IN},
        {"several steps", BYTES_INIT(START "AUTH LOGIN\r\neQ==\r\nc2VjcmV0\r\nNOOP\r\n"),
         READY CHALLENGE_USER CHALLENGE_PASSWORD LOGGED_IN OK},
        {"the last word is the mechanism's",
         BYTES_INIT(START "AUTH FINAL Zmlyc3Q=\r\nc2Vjb25k\r\n\r\nMAIL FROM:<x@a.test>\r\n"),
         READY "334 bW9yZQ==\r\n334 bGFzdA==\r\n" LOGGED_IN MAIL_OK},
        {"the last word is not taken",
         BYTES_INIT(START
                    "AUTH FINAL Zmlyc3Q=\r\nc2Vjb25k\r\n*\r\nMAIL FROM:<x@a.test>\r\n"
                    "AUTH FINAL Zmlyc3Q=\r\nc2Vjb25k\r\neQ==\r\nMAIL FROM:<x@a.test>\r\n"),
         READY "334 bW9yZQ==\r\n334 bGFzdA==\r\n" CANCELLED AUTH_FIRST
               "334 bW9yZQ==\r\n334 bGFzdA==\r\n" MALFORMED AUTH_FIRST},
        {"cancelled",
         BYTES_INIT(START "AUTH LOGIN\r\n*\r\nMAIL FROM:<x@a.test>\r\nAUTH LOGIN\r\neQ==\r\n"
                          "*\r\nAUTH PLAIN " GOOD "\r\n"),
         READY CHALLENGE_USER CANCELLED AUTH_FIRST CHALLENGE_USER CHALLENGE_PASSWORD CANCELLED
             LOGGED_IN},
        {"giving up counts when a message was sent",
         BYTES_INIT(START "AUTH LOGIN\r\n*\r\nAUTH LOGIN eQ==\r\n*\r\nAUTH LOGIN\r\n!\r\n"
                          "AUTH LOGIN\r\neQ==\r\n!\r\nAUTH LOGIN eQ==\r\n*\r\nNOOP\r\n"),
         READY CHALLENGE_USER CANCELLED CHALLENGE_PASSWORD CANCELLED CHALLENGE_USER MALFORMED
             CHALLENGE_USER CHALLENGE_PASSWORD MALFORMED CHALLENGE_PASSWORD CANCELLED TOO_MANY},
        {"no base64",
         BYTES_INIT(START "AUTH PLAIN !\r\nAUTH PLAIN AHkA\x01\r\nAUTH PLAIN AHk\r\n"
                          "AUTH PLAIN AHkAc2VjcmV0 x\r\nAUTH LOGIN\r\ne\r\nAUTH LOGIN\r\n"
                          "eQ==\r\nQUIT\r\nNOOP\r\n"),
         READY MALFORMED "500 5.5.2 Control characters are not allowed\r\n" MALFORMED MALFORMED
             CHALLENGE_USER MALFORMED CHALLENGE_USER CHALLENGE_PASSWORD REFUSED OK},
        {"how an exchange ends",
         BYTES_INIT(START
                    "AUTH RESULT dGVtcG9yYXJ5\r\nAUTH RESULT d2Vhaw==\r\nAUTH RESULT dGxz\r\n"
                    "AUTH RESULT dHJhbnNpdGlvbg==\r\nAUTH RESULT bWFsZm9ybWVk\r\n"
                    "AUTH RESULT bG9ja2Vk\r\nMAIL FROM:<>\r\nAUTH RESULT bWFueQ==\r\nNOOP\r\n"),
         READY "454 4.7.0 Cannot authenticate now, try again\r\n"
               "534 5.7.9 Mechanism is too weak\r\n538 5.7.11 Encryption is required first\r\n"
               "432 4.7.12 A password transition is needed\r\n" MALFORMED
               "550 5.7.1 Account is locked\r\n" AUTH_FIRST TOO_MANY},
        {"failures have a limit",
         BYTES_INIT(START "AUTH PLAIN " BAD "\r\nNOOP\r\nAUTH PLAIN " BAD
                          "\r\nRSET\r\nEHLO a\r\n"
                          "AUTH PLAIN " BAD "\r\nAUTH PLAIN " GOOD "\r\n"),
         READY REFUSED OK REFUSED OK EHLO(OFFERED) REFUSED TOO_MANY},
        {"out of turn",
         BYTES_INIT("AUTH PLAIN " GOOD "\r\nEHLO a\r\nAUTH\r\nAUTH CRAM-MD5\r\nMAIL FROM:<>\r\n"
                    "AUTH PLAIN " GOOD "\r\nAUTH PLAIN " GOOD "\r\nMAIL FROM:<x@a.test>\r\n"
                    "AUTH PLAIN " GOOD "\r\nRSET\r\nEHLO a\r\nAUTH PLAIN\r\n"),
         PLAY_HI "503 5.5.1 Send EHLO first\r\n" EHLO(
             OFFERED) "504 5.5.4 Mechanism is not offered\r\n"
                      "504 5.5.4 Mechanism is not offered\r\n" AUTH_FIRST LOGGED_IN
                      "503 5.5.1 Authenticated already\r\n" MAIL_OK
                      "503 5.5.1 Not within a mail transaction\r\n" OK EHLO(
                          "") "503 5.5.1 Authenticated already\r\n"},
        {"not after HELO", BYTES_INIT("HELO a\r\nAUTH PLAIN " GOOD "\r\nMAIL FROM:<>\r\n"),
         PLAY_HI "250 mx.test\r\n503 5.5.1 Send EHLO first\r\n" AUTH_FIRST},
        {"nothing without authentication",
         BYTES_INIT(START "MAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"
                          "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
         READY AUTH_FIRST "503 5.5.1 Send MAIL first\r\n503 5.5.1 Send MAIL first\r\n"
                          "503 5.5.1 Send MAIL first\r\n" OK},
        {"a bare line end within an exchange", BYTES_INIT(START "AUTH LOGIN\r\neQ==\nNOOP\r\n"),
         READY CHALLENGE_USER
         "500 5.5.2 Lines end with CR LF, which occur nowhere else\r\n<close>"},
    };
    struct smtp_config config = submission();

    (void)state;
    EXPECT_ALL(&config, &with_tls, conversations);
}

static void test_in_the_clear(void **state)
{
    static const struct conversation conversations[] = {
        {"nothing is offered", BYTES_INIT(START "AUTH PLAIN " GOOD "\r\nAUTH OTHER\r\n"),
         PLAY_HELLO "538 5.7.11 Encryption is required first\r\n"
                    "504 5.5.4 Mechanism is not offered\r\n"},
        {"TLS first, and everything anew",
         BYTES_INIT(START "STARTTLS\r\nMAIL FROM:<>\r\nAUTH PLAIN " GOOD "\r\nEHLO a\r\n"
                          "AUTH PLAIN " GOOD "\r\nMAIL FROM:<x@a.test>\r\n"),
         PLAY_HELLO "220 2.0.0 Ready to start TLS\r\n<tls>503 5.5.1 Send EHLO first\r\n"
                    "503 5.5.1 Send EHLO first\r\n" EHLO(OFFERED) LOGGED_IN MAIL_OK},
    };
    static const struct conversation required[] = {
        {"MAIL and AUTH need TLS",
         BYTES_INIT(START "MAIL FROM:<>\r\nAUTH PLAIN " GOOD "\r\nAUTH OTHER\r\n"),
         PLAY_HELLO "530 5.7.0 Must issue a STARTTLS command first\r\n"
                    "538 5.7.11 Encryption is required first\r\n"
                    "538 5.7.11 Encryption is required first\r\n"},
    };
    static const struct conversation tests_only[] = {
        {"what is learnt in the clear is forgotten with TLS",
         BYTES_INIT(START "AUTH PLAIN " GOOD "\r\nSTARTTLS\r\nEHLO a\r\nMAIL FROM:<>\r\n"),
         PLAY_HI EHLO("250-STARTTLS\r\n250-AUTH PLAIN\r\n") LOGGED_IN
         "220 2.0.0 Ready to start TLS\r\n<tls>" EHLO(OFFERED) AUTH_FIRST},
    };
    struct smtp_config config = submission();

    (void)state;
    EXPECT_ALL(&config, &in_clear, conversations);
    config.tls_required = true;
    EXPECT_ALL(&config, &in_clear, required);
    config.tls_required = false;
    config.auth_clear = "PLAIN";
    EXPECT_ALL(&config, &in_clear, tests_only);
}

static void test_who_is_logged_in(void **state)
{
    struct smtp_config config = submission();
    struct play play;

    (void)state;
    play_init_connection(&play, &config, &with_tls, PLAY_LATE);
    play_feed(&play, BYTES(START "AUTH FINAL Zmlyc3Q=\r\nc2Vjb25k\r\n"));
    const struct smtp_envelope *envelope = smtp_session_envelope(play.session);
    assert_false(envelope->authenticated);
    assert_int_equal(envelope->account_id, 0);
    play_feed(&play, BYTES("\r\nMAIL FROM:<x@a.test>\r\nRSET\r\nMAIL FROM:<x@a.test>\r\n"));
    assert_true(envelope->authenticated);
    assert_int_equal(envelope->account_id, 1);
    assert_true(bytes_equal(envelope->login, BYTES("y@here.test")));
    assert_int_equal(play.auths, 1);
    play_fini(&play);
}

static void long_line(struct buffer *input, const char *start, size_t len)
{
    size_t from = buffer_len(input);

    buffer_add_string(input, start);
    while (buffer_len(input) - from < len - 2)
        buffer_add_byte(input, 'A');
    buffer_add_string(input, "\r\n");
}

/* In pieces, too: the limit is one of lines, and memory has one. */
static void expect_long(size_t command_len, size_t line_len, const char *want)
{
    struct smtp_config config = submission();
    struct buffer input = BUFFER_EMPTY;

    buffer_add_string(&input, START);
    if (command_len > 0)
        long_line(&input, "AUTH PLAIN ", command_len);
    if (line_len > 0) {
        buffer_add_string(&input, "AUTH PLAIN\r\n");
        long_line(&input, "", line_len);
    }
    buffer_add_string(&input, "NOOP\r\n");
    for (size_t step = 1; step <= 4096; step *= 8) {
        struct play play;
        play_init_connection(&play, &config, &with_tls, PLAY_LATE);
        for (size_t at = 0; at < buffer_len(&input); at += step) {
            struct bytes rest = bytes_skip(buffer_bytes(&input), at);
            play_feed(&play, bytes_from(rest.at, rest.len < step ? rest.len : step));
        }
        assert_string_equal(play_take(&play), want);
        play_fini(&play);
    }
    buffer_fini(&input);
}

static void test_long_lines(void **state)
{
    (void)state;
    /* "AUTH PLAIN " and CRLF are 13 bytes, and base64 comes in fours. */
    expect_long(SMTP_AUTH_LINE_SIZE_MAX - 3, 0, READY REFUSED OK);
    expect_long(SMTP_AUTH_LINE_SIZE_MAX + 1, 0, READY "500 5.5.2 Line is too long\r\n" OK);
    expect_long(0, SMTP_AUTH_LINE_SIZE_MAX - 2, READY "334 \r\n" REFUSED OK);
    expect_long(0, SMTP_AUTH_LINE_SIZE_MAX + 1,
                READY "334 \r\n500 5.5.6 Response is too long\r\n" OK);
    expect_long(0, SMTP_COMMAND_DISCARD_MAX,
                READY "334 \r\n500 5.5.6 Response is too long\r\n" OK);
}

static void test_time_out_and_end_within_an_exchange(void **state)
{
    struct smtp_config config = submission();
    struct play play;

    (void)state;
    for (unsigned down = 0; down < 2; down++) {
        play_init_connection(&play, &config, &with_tls, PLAY_AT_ONCE);
        play_feed(&play, BYTES(START "AUTH LOGIN\r\n"));
        play_take(&play);
        assert_false(smtp_session_waiting(play.session));
        if (down)
            smtp_session_go_down(play.session);
        else
            smtp_session_time_out(play.session);
        play_drain(&play);
        assert_string_equal(play_take(&play),
                            down ? "421 4.3.2 Service is going down, try again\r\n<close>"
                                 : "421 4.4.2 Waited too long\r\n<close>");
        play_fini(&play);
    }
    /* It is the driver's turn: the client is not to blame; then the service ends. */
    play_init_connection(&play, &config, &with_tls, PLAY_LATE);
    smtp_session_feed(play.session, BYTES(START "AUTH PLAIN " GOOD "\r\n"));
    play_drain(&play);
    play_take(&play);
    assert_true(smtp_session_waiting(play.session));
    smtp_session_time_out(play.session);
    play_drain(&play);
    assert_string_equal(play_take(&play), "");
    smtp_session_go_down(play.session);
    play_answer(&play, 0);
    play_drain(&play);
    assert_string_equal(play_take(&play),
                        "421 4.3.2 Service is going down, try again\r\n<close>");
    play_fini(&play);
}

/* Not on port 25 and not with LMTP. */
static void test_other_services(void **state)
{
    struct smtp_config config = submission();
    struct play play;

    (void)state;
    config.service = SMTP_SERVICE_MX;
    play_init_connection(&play, &config, &with_tls, PLAY_AT_ONCE);
    play_feed(&play, BYTES(START "AUTH PLAIN " GOOD "\r\n"));
    assert_string_equal(play_take(&play),
                        PLAY_HI PLAY_EHLO("") "502 5.5.1 Command is not offered here\r\n");
    play_fini(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_in_the_clear),
        cmocka_unit_test(test_who_is_logged_in),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_time_out_and_end_within_an_exchange),
        cmocka_unit_test(test_other_services),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
