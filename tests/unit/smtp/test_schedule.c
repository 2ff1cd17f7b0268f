/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/protocol/schedule.h"
#include "unit/smtp/play.h"

/* FUTURERELEASE, DELIVERBY, REQUIRETLS and LIMITS. */
#define MAIL_OK "250 2.1.0 Sender OK\r\n"
#define MALFORMED "501 5.5.4 Parameter is malformed\r\n"
#define UNKNOWN "555 5.5.4 Parameter is not known\r\n"
#define TOO_LONG "501 5.5.4 Message cannot be held so long\r\n"
#define LOGIN "EHLO a\r\nAUTH PLAIN AHkAc2VjcmV0\r\n"
#define LOGGED_IN "235 2.7.0 Authentication succeeded\r\n"
/* 2026-11-22T08:00:00Z */
#define NOW 1795334400

static const struct smtp_connection with_tls = {.tls = true, .now_s = NOW};

static struct smtp_config submission(void)
{
    struct smtp_config config = play_config;

    config.service = SMTP_SERVICE_SUBMISSION;
    config.auth_tls = "PLAIN";
    config.auth_failures_max = 3;
    config.hold_max_s = 3600;
    config.deliver_by = true;
    config.requiretls = true;
    return config;
}

static void test_announced(void **state)
{
    struct smtp_config config = submission();
    struct play play;

    (void)state;
    config.limits_announced = true;
    config.mails_max = 5;
    config.recipients_max = 2000000;
    config.recipient_domains_max = 7;
    play_expect_connection(
        &config, &with_tls, "announced", BYTES("EHLO a\r\n"),
        PLAY_HI "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n250-AUTH PLAIN\r\n"
                "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-REQUIRETLS\r\n"
                "250-LIMITS MAILMAX=5 RCPTMAX=999999 RCPTDOMAINMAX=7\r\n"
                "250-FUTURERELEASE 3600 2026-11-22T09:00:00Z\r\n250 DELIVERBY\r\n");
    /* Neither of users' extensions on port 25, nor REQUIRETLS in the clear. */
    config.service = SMTP_SERVICE_MX;
    config.mails_max = 0;
    config.recipient_domains_max = 0;
    play_init(&play, &config, PLAY_AT_ONCE);
    play_feed(&play, BYTES("EHLO a\r\n"));
    const char *seen = play_take(&play);
    assert_null(strstr(seen, "FUTURERELEASE"));
    assert_null(strstr(seen, "DELIVERBY"));
    assert_null(strstr(seen, "REQUIRETLS"));
    assert_non_null(strstr(seen, "250 LIMITS RCPTMAX=999999\r\n"));
    play_feed(&play, BYTES("MAIL FROM:<> HOLDFOR=1\r\nMAIL FROM:<> BY=1;R\r\n"
                           "MAIL FROM:<> REQUIRETLS\r\nMAIL FROM:<>\r\n"));
    assert_string_equal(play_take(&play), UNKNOWN UNKNOWN UNKNOWN MAIL_OK);
    play_fini(&play);
}

static void expect_mail(const char *parameters, const char *want,
                        struct smtp_envelope *envelope)
{
    struct smtp_config config = submission();
    struct buffer input = BUFFER_EMPTY;
    struct play play;

    play_init_connection(&play, &config, &with_tls, PLAY_AT_ONCE);
    play_feed(&play, BYTES(LOGIN));
    play_take(&play);
    buffer_printf(&input, "MAIL FROM:<x@a.test> %s%c", parameters, '\0');
    play_expect_line(&config, &with_tls, LOGIN, (const char *)buffer_bytes(&input).at, want);
    buffer_truncate(&input, buffer_len(&input) - 1);
    buffer_add_string(&input, "\r\n");
    play_feed(&play, buffer_bytes(&input));
    const char *seen = play_take(&play);
    if (strcmp(seen, want) != 0)
        print_error("%s\n", parameters);
    assert_string_equal(seen, want);
    *envelope = *smtp_session_envelope(play.session);
    buffer_fini(&input);
    play_fini(&play);
}

static void test_parameters(void **state)
{
    static const struct {
        const char *parameters;
        const char *want;
        uint32_t hold_for_s;
        int64_t hold_until_s;
        int32_t by_s;
    } cases[] = {
        {"HOLDFOR=60", MAIL_OK, 60, 0, 0},
        {"HOLDFOR=3600", MAIL_OK, 3600, 0, 0},
        {"HOLDFOR=3601", TOO_LONG, 0, 0, 0},
        {"HOLDFOR=999999999", TOO_LONG, 0, 0, 0},
        {"HOLDFOR=1000000000", MALFORMED, 0, 0, 0},
        {"HOLDFOR=0", MALFORMED, 0, 0, 0},
        {"HOLDFOR=-1", MALFORMED, 0, 0, 0},
        {"HOLDFOR=", MALFORMED, 0, 0, 0},
        {"HOLDUNTIL=2026-11-22T08:30:00Z", MAIL_OK, 0, NOW + 1800, 0},
        {"HOLDUNTIL=2026-11-22T09:30:00.5+01:00", MAIL_OK, 0, NOW + 1800, 0},
        {"HOLDUNTIL=2026-11-22T09:00:01Z", TOO_LONG, 0, 0, 0},
        {"HOLDUNTIL=2026-11-22T08:00:00Z", MALFORMED, 0, 0, 0},
        {"HOLDUNTIL=1999-11-22T08:00:00Z", MALFORMED, 0, 0, 0},
        {"HOLDUNTIL=tomorrow", MALFORMED, 0, 0, 0},
        {"HOLDFOR=60 HOLDUNTIL=2026-11-22T08:30:00Z", MALFORMED, 0, 0, 0},
        {"HOLDUNTIL=2026-11-22T08:30:00Z HOLDFOR=60", MALFORMED, 0, 0, 0},
        {"BY=120;R", MAIL_OK, 0, 0, 120},
        {"BY=120;R HOLDFOR=119", MAIL_OK, 119, 0, 120}, /* else it is late before it leaves */
        {"BY=120;R HOLDFOR=120", TOO_LONG, 0, 0, 0},
        {"HOLDFOR=120 BY=119;RT", TOO_LONG, 0, 0, 0},
        {"BY=1800;R HOLDUNTIL=2026-11-22T08:30:00Z", TOO_LONG, 0, 0, 0},
        {"BY=1801;R HOLDUNTIL=2026-11-22T08:30:00Z", MAIL_OK, 0, NOW + 1800, 1801},
        {"BY=+120;rt", MAIL_OK, 0, 0, 120},
        {"BY=-120;N", MAIL_OK, 0, 0, -120},
        {"BY=0;NT HOLDFOR=60", MAIL_OK, 60, 0, 0},
        {"BY=0;R", MALFORMED, 0, 0, 0},
        {"BY=-1;R", MALFORMED, 0, 0, 0},
        {"BY=1", MALFORMED, 0, 0, 0},
        {"BY=1;", MALFORMED, 0, 0, 0},
        {"BY=;R", MALFORMED, 0, 0, 0},
        {"BY=1;X", MALFORMED, 0, 0, 0},
        {"BY=1;RX", MALFORMED, 0, 0, 0},
        {"BY=1;TR", MALFORMED, 0, 0, 0},
        {"BY=1000000000;R", MALFORMED, 0, 0, 0},
        {"BY=--1;N", MALFORMED, 0, 0, 0},
        {"REQUIRETLS", MAIL_OK, 0, 0, 0},
        {"REQUIRETLS=1", MALFORMED, 0, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct smtp_envelope envelope;
        expect_mail(cases[i].parameters, cases[i].want, &envelope);
        assert_int_equal(envelope.hold_for_s, cases[i].hold_for_s);
        assert_int_equal(envelope.hold_until_s, cases[i].hold_until_s);
        assert_int_equal(envelope.deliver_by.seconds, cases[i].by_s);
        assert_int_equal(envelope.requiretls, strcmp(cases[i].parameters, "REQUIRETLS") == 0);
    }
    struct smtp_envelope envelope;
    expect_mail("BY=120;RT", MAIL_OK, &envelope);
    assert_true(envelope.deliver_by.given && envelope.deliver_by.returns &&
                envelope.deliver_by.traced);
    expect_mail("BY=0;N", MAIL_OK, &envelope);
    assert_true(envelope.deliver_by.given && !envelope.deliver_by.returns &&
                !envelope.deliver_by.traced);
}

static void test_conversations(void **state)
{
    struct smtp_config config = play_config;

    (void)state;
    config.mails_max = 2;
    play_expect(&config, "MAILMAX",
                BYTES("EHLO a\r\nMAIL FROM:<bad\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\n"
                      "RSET\r\nNOOP\r\nMAIL FROM:<>\r\nQUIT\r\n"),
                PLAY_HELLO "553 5.1.7 Sender address is malformed\r\n" MAIL_OK
                           "250 2.0.0 OK\r\n" MAIL_OK "250 2.0.0 OK\r\n250 2.0.0 OK\r\n"
                           "421 4.7.0 Too many messages, connect again\r\n<close>");
    config = submission();
    play_expect_connection(
        &config, &with_tls, "hold and deliver by",
        BYTES(LOGIN "MAIL FROM:<x@a.test> HOLDFOR=60 BY=120;R REQUIRETLS\r\nRSET\r\n"
                    "MAIL FROM:<x@a.test> BY=0;R\r\nMAIL FROM:<x@a.test> HOLDFOR=9999\r\n"),
        PLAY_HI
        "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n250-AUTH PLAIN\r\n"
        "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-REQUIRETLS\r\n"
        "250-FUTURERELEASE 3600 2026-11-22T09:00:00Z\r\n250 DELIVERBY\r\n" LOGGED_IN MAIL_OK
        "250 2.0.0 OK\r\n" MALFORMED TOO_LONG);
}

static void test_date_times(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* -1: malformed */
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-22T08:00:00Z", NOW},
        {"2026-11-22t08:00:00z", NOW},
        {"2026-11-22T08:00:00.123456789Z", NOW},
        {"2026-11-21T20:30:00-11:30", NOW},
        {"2024-02-29T00:00:00Z", 1709164800},
        {"2016-12-31T23:59:60Z", 1483228800},
        {"9999-12-31T23:59:59Z", 253402300799},
        {"2026-02-29T00:00:00Z", -1},
        {"2026-04-31T00:00:00Z", -1},
        {"2026-13-01T00:00:00Z", -1},
        {"2026-00-01T00:00:00Z", -1},
        {"2026-01-00T00:00:00Z", -1},
        {"2026-01-01T24:00:00Z", -1},
        {"2026-01-01T00:60:00Z", -1},
        {"2026-01-01T00:00:61Z", -1},
        {"2026-01-01T00:00:00", -1},
        {"2026-01-01T00:00:00.Z", -1},
        {"2026-01-01T00:00:00ZZ", -1},
        {"2026-01-01T00:00:00+0100", -1},
        {"2026-01-01T00:00:00+24:00", -1},
        {"2026-01-01T00:00:00+01:60", -1},
        {"2026-01-01 00:00:00Z", -1},
        {"26-01-01T00:00:00Z", -1},
        {"2026-1-1T00:00:00Z", -1},
        {"1969-12-31T23:59:59Z", -1},
        {"", -1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t seconds = -1;
        bool fine = smtp_date_time_parse(bytes_of(cases[i].text), &seconds);
        if (fine != (cases[i].seconds >= 0))
            print_error("%s\n", cases[i].text);
        assert_int_equal(fine, cases[i].seconds >= 0);
        if (fine)
            assert_int_equal(seconds, cases[i].seconds);
    }
    char text[SMTP_DATE_TIME_SIZE];
    smtp_date_time_format(253402300799, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    smtp_date_time_format(INT64_MAX, text);
    assert_string_equal(text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_announced),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_date_times),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
