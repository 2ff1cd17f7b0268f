/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "node/mail/date.h"

static void test_header_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds;
        int zone;
    } rows[] = {
        {"Sat, 21 Nov 2026 21:09:30 +0100", 1795291770, 60},
        {"21 Nov 2026 20:09:30 GMT", 1795291770, 0},
        {" Sat , 21 nov 2026 12:09 -0800 (PST)", 1795291740, -480},
        {"Sat, 21 (a (b) \\) c) Nov 26 15:09:30 EST", 1795291770, -300},
        {"Fri, 1 Jan 70 00:00:00 Z", 0, 0},
        {"31 Dec 1969 23:59:59 UT", -1, 0},
        {"1 Jan 100 00:00:00 A", 946684800, 0},
        {"29 Feb 2000 12:00:00 XYZ", 951825600, 0},
        {"30 Jun 2015 23:59:60 +0000", 1435708800, 0},
        {"1 Jan 49 00:00:00 +0000", 2493072000, 0},
        {"Sat, 21 Nov 2026\r\n 20:09:30", 1795291770, 0},
        {"21 Nov 2026 20 : 09 : 30 -0000", 1795291770, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct mail_date date;
        assert_true(mail_date_parse(bytes_of(rows[i].text), &date));
        assert_int_equal(date.seconds, rows[i].seconds);
        assert_int_equal(date.zone_minutes, rows[i].zone);
    }
}

static void test_what_is_no_date(void **state)
{
    static const char *const texts[] = {
        "",
        "yesterday",
        "Sat, 21 Nov 2026",
        "Sat, 21 Nov 2026 21:09:30 +0100 x",
        "31 Feb 2026 00:00:00 +0000",
        "29 Feb 1900 00:00:00 +0000",
        "0 Jan 2026 00:00:00 +0000",
        "1 Foo 2026 00:00:00 +0000",
        "1 Jan 20261 00:00:00 +0000",
        "1 Jan 2 00:00:00 +0000",
        "1 Jan 2026 24:00:00 +0000",
        "1 Jan 2026 00:60:00 +0000",
        "1 Jan 2026 00:00:61 +0000",
        "1 Jan 2026 00:00:00 +0060",
        "1 Jan 2026 00:00:00 +2400",
        "1 Jan 2026 00:00:00 +100",
        "99999999999999999999999 Jan 2026 00:00:00 +0000",
    };
    struct mail_date date;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(mail_date_parse(bytes_of(texts[i]), &date));
}

static void test_forms_agree_with_the_library(void **state)
{
    (void)state;
    for (int64_t seconds = -30000000000; seconds < 100000000000; seconds += 86399999) {
        char text[MAIL_DATE_TEXT_SIZE];
        char want[64];
        struct tm tm;
        time_t local = (time_t)(seconds - 5400);
        struct mail_date date = {seconds, -90};
        struct mail_date again;
        gmtime_r(&local, &tm);
        strftime(want, sizeof(want), "%a, %d %b %Y %H:%M:%S -0130", &tm);
        mail_date_format(date, text);
        assert_string_equal(text, want);
        assert_true(mail_date_parse(bytes_of(text), &again));
        assert_int_equal(again.seconds, seconds);
        assert_int_equal(again.zone_minutes, -90);
        strftime(want, sizeof(want), "%d-%b-%Y %H:%M:%S -0130", &tm);
        mail_date_format_imap(date, text);
        assert_string_equal(text, want);
        assert_true(mail_date_parse_imap(bytes_of(text), &again));
        assert_int_equal(again.seconds, seconds);
    }
}

static void test_extremes_fit(void **state)
{
    char text[MAIL_DATE_TEXT_SIZE];

    (void)state;
    mail_date_format((struct mail_date){INT64_MAX, 1439}, text);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:58:59 +2359");
    mail_date_format((struct mail_date){INT64_MIN, -1439}, text);
    assert_string_equal(text, "Sat, 01 Jan 0000 00:01:00 -2359");
}

static void test_imap_forms(void **state)
{
    static const char *const wrong[] = {
        "1-Nov-2026 21:09:30 +0100",
        "  1-Nov-2026 21:09:30 +0100",
        " 21-Nov-2026 21:09:30 +0100",
        "21-Nov-26 21:09:30 +0100",
        "21-Nov-2026 21:09:30",
        "21-Nov-2026 21:09:30 GMT",
        "21-Nov-2026 21:09:30 +0100 ",
        "31-Nov-2026 21:09:30 +0100",
        "",
    };
    struct mail_date date;
    int64_t days;

    (void)state;
    assert_true(mail_date_parse_imap(BYTES(" 1-Nov-2026 21:09:30 +0100"), &date));
    assert_int_equal(date.seconds, 1793563770);
    assert_true(mail_date_parse_imap(BYTES("01-Nov-2026 21:09:30 +0100"), &date));
    assert_int_equal(date.seconds, 1793563770);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(mail_date_parse_imap(bytes_of(wrong[i]), &date));
    assert_true(mail_date_parse_imap_day(BYTES("1-Nov-2026"), &days));
    assert_int_equal(days, 20758);
    assert_true(mail_date_parse_imap_day(BYTES("31-dec-1969"), &days));
    assert_int_equal(days, -1);
    assert_false(mail_date_parse_imap_day(BYTES("1-Nov-2026 "), &days));
    assert_false(mail_date_parse_imap_day(BYTES("-Nov-2026"), &days));
    assert_false(mail_date_parse_imap_day(BYTES("30-Feb-2026"), &days));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_header_dates),
        cmocka_unit_test(test_what_is_no_date),
        cmocka_unit_test(test_forms_agree_with_the_library),
        cmocka_unit_test(test_extremes_fit),
        cmocka_unit_test(test_imap_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
