/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/smtp/play.h"

/*
 * A client that sends its message without waiting for 354 sends it also when DATA is refused.
 * Whoever wrote the message must not come to write commands.
 */
#define BAD_SEQUENCE "503 5.5.1 Send RCPT first\r\n"
#define CUT "554 5.5.0 Wait for 354 before you send a message\r\n<close>"
#define MAIL_OK "250 2.1.0 Sender OK\r\n"
#define RCPT_OK "250 2.1.5 Recipient OK\r\n"
#define NO_RCPT "EHLO a\r\nMAIL FROM:<x@a.test>\r\nDATA\r\n"
#define NO_RCPT_SAID PLAY_HELLO MAIL_OK BAD_SEQUENCE
#define EVIL "MAIL FROM:<evil@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\nA: b\r\n.\r\n"
#define LONG_30 "012345678901234567890123456789"
#define LONG_300 LONG_30 LONG_30 LONG_30 LONG_30 LONG_30 LONG_30 LONG_30 LONG_30 LONG_30 LONG_30
#define LONG_600 LONG_300 LONG_300

/* Wherever it is cut, and however late it comes: no line behind the first is looked at. */
static void test_text(void **state)
{
    static const char *const texts[] = {
        "Subject:x\r\nRSET\r\n" EVIL,
        "Subject: x\r\nRSET\r\n" EVIL,
        "\r\nRSET\r\n" EVIL,
        ".\r\nRSET\r\n" EVIL,
        "Dear all\r\nRSET\r\n" EVIL,
        "\tfolded\r\nRSET\r\n" EVIL,
        "Turn it off\r\nRSET\r\n" EVIL,
        "Quit smoking\r\nRSET\r\n" EVIL,
        "Data of yesterday\r\nRSET\r\n" EVIL,
        "Help " LONG_600 "\r\nRSET\r\n" EVIL,
        LONG_600 LONG_600 LONG_600 LONG_600 "\r\nRSET\r\n" EVIL,
    };
    struct buffer input = BUFFER_EMPTY;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        buffer_clear(&input);
        buffer_printf(&input, "%s%s", NO_RCPT, texts[i]);
        play_expect(&play_config, texts[i], buffer_bytes(&input), NO_RCPT_SAID CUT);
    }
    buffer_fini(&input);
}

/* Also when nobody could take the message, and when it needs BDAT. */
static void test_refusals(void **state)
{
    struct smtp_config binary = play_config;

    (void)state;
    binary.binarymime = true;
    play_expect(
        &play_config, "refused at BEGIN",
        BYTES("EHLO a\r\nMAIL FROM:<nobegin@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"
              "Subject:x\r\n" EVIL),
        PLAY_HELLO MAIL_OK RCPT_OK "451 4.7.1 Not now\r\n" CUT);
    play_expect(&binary, "binary",
                BYTES("EHLO a\r\nMAIL FROM:<x@a.test> BODY=BINARYMIME\r\n"
                      "RCPT TO:<y@here.test>\r\nDATA\r\nSubject:x\r\nRSET\r\n" EVIL),
                PLAY_HI "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n"
                        "250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
                        "250-CHUNKING\r\n250 BINARYMIME\r\n" MAIL_OK RCPT_OK
                        "503 5.5.1 A binary message needs BDAT\r\n" CUT);
}

/* Who has waited goes on as he likes, and is no suspect for ever. */
static void test_commands(void **state)
{
    (void)state;
    play_expect(&play_config, "goes on",
                BYTES(NO_RCPT "RCPT TO:<y@here.test>\r\nDATA\r\nA: b\r\n.\r\nFOO\r\nNOOP\r\n"),
                NO_RCPT_SAID RCPT_OK
                "354 End data with <CR><LF>.<CR><LF>\r\n<body 6:A: b\r\n>"
                "250 2.0.0 OK id=T1\r\n500 5.5.2 Unknown command\r\n250 2.0.0 OK\r\n");
    play_expect(&play_config, "begins anew",
                BYTES(NO_RCPT "RSET\r\nFOO\r\nMAIL FROM:<x@a.test>\r\n"),
                NO_RCPT_SAID "250 2.0.0 OK\r\n500 5.5.2 Unknown command\r\n" MAIL_OK);
    play_expect(&play_config, "asks again", BYTES(NO_RCPT "DATA\r\nQUIT\r\n"),
                NO_RCPT_SAID BAD_SEQUENCE "221 2.0.0 Bye\r\n<close>");
}

/* What is there before the refusal is no answer to it, even if it is a command. */
static void expect_early(const struct smtp_config *config, const char *before,
                         const char *message, enum play_answers answers)
{
    static const struct smtp_connection connection = {.tls = true};
    struct buffer whole = BUFFER_EMPTY;

    buffer_printf(&whole, "%s%s", before, message);
    for (unsigned early = 0; early < 2; early++) {
        struct play play;
        play_init_connection(&play, config, &connection, answers);
        if (early) {
            play_feed(&play, buffer_bytes(&whole));
        } else {
            play_feed(&play, bytes_of(before));
            play_feed(&play, bytes_of(message));
        }
        assert_int_equal(play.closed, early);
        assert_int_equal(strstr(play_take(&play), CUT) != NULL, early);
        assert_false(early && smtp_session_breached(play.session));
        play_fini(&play);
    }
    buffer_fini(&whole);
}

static void test_early(void **state)
{
    static const struct {
        enum smtp_service service;
        const char *before;
    } cases[] = {
        {SMTP_SERVICE_LMTP,
         "LHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<no@here.test>\r\nDATA\r\n"},
        {SMTP_SERVICE_LMTP,
         "LHLO a\r\nMAIL FROM:<nobegin@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"},
        {SMTP_SERVICE_SUBMISSION,
         "EHLO a\r\nAUTH PLAIN AHkAc2VjcmV0\r\nMAIL FROM:<x@a.test>\r\n"
         "RCPT TO:<no@here.test>\r\nDATA\r\n"},
        {SMTP_SERVICE_SUBMISSION,
         "EHLO a\r\nAUTH PLAIN AHkAc2VjcmV0\r\nMAIL FROM:<nobegin@a.test>\r\n"
         "RCPT TO:<y@here.test>\r\nDATA\r\n"},
    };
    struct smtp_config config = play_config;

    (void)state;
    config.data_sync_enforced = true;
    config.auth_tls = "PLAIN";
    config.auth_failures_max = 3;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (unsigned answers = 0; answers < PLAY_RANDOM; answers++) {
            config.service = cases[i].service;
            expect_early(&config, cases[i].before, "RSET\r\n" EVIL, (enum play_answers)answers);
        }
}

/* It arrives while the driver still looks whether it can take a message. */
static void test_early_at_begin(void **state)
{
    struct smtp_config config = play_config;
    static const struct smtp_refusal refusal = {451, "4.7.1", "Not now", false};
    struct smtp_action action;
    struct play play;

    (void)state;
    config.data_sync_enforced = true;
    play_init(&play, &config, PLAY_AT_ONCE);
    play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\n"));
    smtp_session_feed(play.session, BYTES("DATA\r\n"));
    assert_true(smtp_session_next(play.session, &action));
    assert_int_equal(action.want, SMTP_WANT_BEGIN);
    assert_int_equal(smtp_session_feed(play.session, BYTES("RSET\r\n" EVIL)), 0);
    smtp_session_refused(play.session, action.ticket, &refusal);
    play_drain(&play);
    assert_true(play.closed);
    assert_non_null(strstr(play_take(&play), "451 4.7.1 Not now\r\n" CUT));
    play_fini(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),           cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_commands),       cmocka_unit_test(test_early),
        cmocka_unit_test(test_early_at_begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
