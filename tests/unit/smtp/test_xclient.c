/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "unit/smtp/play.h"

/* XCLIENT, from those who may. */
#define EHLO                                                                                   \
    "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n250-STARTTLS\r\n"                        \
    "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-CHUNKING\r\n"                              \
    "250 XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT REVERSE_NAME\r\n"
#define MAIL_OK "250 2.1.0 Sender OK\r\n"
#define OK "250 2.0.0 OK\r\n"
#define MALFORMED "501 5.5.4 Attribute is malformed\r\n"

static const struct smtp_connection proxy = {.xclient = true};

static void test_conversations(void **state)
{
    static const struct {
        const char *name;
        const char *input;
        const char *want;
    } conversations[] = {
        {"everything is said, and begins anew",
         "EHLO a\r\nXCLIENT NAME=spike.test ADDR=192.0.2.7 PORT=25 PROTO=ESMTP HELO=spike "
         "DESTADDR=IPV6:2001:db8::1 DESTPORT=587 REVERSE_NAME=[UNAVAILABLE]\r\n"
         "MAIL FROM:<x@a.test>\r\nEHLO b\r\nMAIL FROM:<x@a.test>\r\n",
         PLAY_HI EHLO "<xclient 0:1:spike.test 1:1:192.0.2.7 2:1:25 3:1:ESMTP 4:1:spike "
                      "6:1:IPV6:2001:db8::1 7:1:587 8:2:>" PLAY_HI
                      "503 5.5.1 Send EHLO first\r\n" EHLO MAIL_OK},
        {"before EHLO, twice",
         "xclient name=[tempunavail]\r\nXCLIENT ADDR=192.0.2.7\r\nNOOP\r\n",
         PLAY_HI "<xclient 0:3:>" PLAY_HI "<xclient 1:1:192.0.2.7>" PLAY_HI OK},
        {"what is encoded", "XCLIENT LOGIN=a+40b.test\r\nNOOP\r\n",
         PLAY_HI "<xclient 5:1:a@b.test>" PLAY_HI OK},
        {"not within a transaction",
         "EHLO a\r\nMAIL FROM:<>\r\nXCLIENT ADDR=192.0.2.7\r\nRCPT TO:<y@here.test>\r\n",
         PLAY_HI EHLO MAIL_OK "503 5.5.1 Not within a mail transaction\r\n"
                              "250 2.1.5 Recipient OK\r\n"},
        {"refused, and nothing has happened",
         "XCLIENT ADDR=192.0.2.66\r\nEHLO a\r\nXCLIENT ADDR=192.0.2.66\r\nMAIL FROM:<>\r\n",
         PLAY_HI "<xclient 1:1:192.0.2.66>" PLAY_REFUSED EHLO
                 "<xclient 1:1:192.0.2.66>" PLAY_REFUSED MAIL_OK},
    };
    struct smtp_config config = play_config;

    (void)state;
    config.errors_max = 100;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++)
        play_expect_connection(&config, &proxy, conversations[i].name,
                               bytes_of(conversations[i].input), conversations[i].want);
}

static void test_malformed(void **state)
{
    static const char *const arguments[] = {
        "",
        " ",
        " ADDR",
        " ADDR=",
        " ADDR=192.0.2",
        " ADDR=192.0.2.7.8",
        " ADDR=2001:db8::1",
        " ADDR=IPV6:192.0.2.7",
        " ADDR=IPV6:",
        " ADDR=IPV6:2001:db8::1:::::::::::::::::::::::::::::::::::::::::::",
        " ADDR=192.0.2.7 ADDR=192.0.2.7",
        " PORT=0",
        " PORT=65536",
        " PORT=-1",
        " PROTO=HTTP",
        " HELO=a+20b",
        " HELO=a+0Ab",
        " NAME=a+0D+0Ab",
        " NAME=a+00",
        " NAME=+E9",
        " NAME=+20",
        " LOGIN=",
        " LOGIN=a+0Ab",
        " SHOE=1",
        " NAME=a SHOE=1",
    };
    struct smtp_config config = play_config;

    (void)state;
    config.errors_max = 100;
    for (size_t i = 0; i < sizeof(arguments) / sizeof(arguments[0]); i++) {
        char line[200];
        snprintf(line, sizeof(line), "XCLIENT%s\r\nNOOP", arguments[i]);
        play_expect_line(&config, &proxy, "", line, MALFORMED OK);
    }
}

/* The new client is judged like any other: GREET is asked again. */
static void test_greets_anew(void **state)
{
    struct smtp_config config = play_config;
    struct play play;

    (void)state;
    config.ask_greet = true;
    play_init_connection(&play, &config, &proxy, PLAY_LATE);
    play_feed(&play, BYTES(""));
    play_take(&play);
    assert_int_equal(smtp_session_feed(play.session, BYTES("XCLIENT ADDR=192.0.2.7\r\n")), 24);
    play_drain(&play);
    assert_int_equal(play.outstanding[0].want, SMTP_WANT_XCLIENT);
    play_answer(&play, 0);
    play_drain(&play);
    assert_int_equal(play.outstanding_count, 1);
    assert_int_equal(play.outstanding[0].want, SMTP_WANT_GREET);
    /* What the client had sent behind it is not early. */
    assert_int_equal(smtp_session_feed(play.session, BYTES("EHLO a\r\n")), 0);
    assert_false(smtp_session_early(play.session));
    play.greet_refused = true;
    play_answer(&play, 0);
    play_drain(&play);
    assert_string_equal(play_take(&play), "<xclient 1:1:192.0.2.7>"
                                          "554 5.7.1 No service for you\r\n<close>");
    play_fini(&play);
}

/* Who was logged in is not any more; who is said to be, is. */
static void test_logins(void **state)
{
    static const struct smtp_connection tls_proxy = {.xclient = true, .tls = true};
    struct smtp_config config = play_config;
    struct play play;

    (void)state;
    config.service = SMTP_SERVICE_SUBMISSION;
    config.auth_tls = "PLAIN";
    config.auth_failures_max = 3;
    play_init_connection(&play, &config, &tls_proxy, PLAY_AT_ONCE);
    play_feed(&play, BYTES("EHLO a\r\nAUTH PLAIN AHkAc2VjcmV0\r\nXCLIENT ADDR=192.0.2.7\r\n"
                           "EHLO a\r\nMAIL FROM:<x@a.test>\r\n"));
    assert_non_null(strstr(play_take(&play), "530 5.7.0 Authentication required\r\n"));
    assert_false(smtp_session_envelope(play.session)->authenticated);
    play_feed(&play, BYTES("XCLIENT LOGIN=z\r\nEHLO a\r\nMAIL FROM:<x@a.test>\r\n"));
    assert_non_null(strstr(play_take(&play), MAIL_OK));
    const struct smtp_envelope *envelope = smtp_session_envelope(play.session);
    assert_true(envelope->authenticated && envelope->tls);
    assert_int_equal(envelope->account_id, 7);
    assert_true(bytes_equal(envelope->login, BYTES("z")));
    play_fini(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_greets_anew),
        cmocka_unit_test(test_logins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
