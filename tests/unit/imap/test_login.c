/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/imap/fake_store.h"

/* What whoever guards the server hears of log-ins, and limits of their messages. */

static void feed(struct fake_driver *driver, const char *text)
{
    fake_driver_feed(driver, bytes_of(text));
}

static void assert_attempts(struct fake_driver *driver, const char *want)
{
    buffer_add_byte(&driver->attempts, '\0');
    assert_string_equal((const char *)buffer_bytes(&driver->attempts).at, want);
    buffer_truncate(&driver->attempts, 0);
}

static void assert_seen(const struct fake_driver *driver, const char *text)
{
    struct bytes seen = buffer_bytes(&driver->seen);

    assert_non_null(memmem(seen.at, seen.len, text, strlen(text)));
}

static void test_each_attempt_is_judged(void **state)
{
    struct fake_driver driver;

    (void)state;
    fake_driver_init(&driver, true);
    /* A password that was seen has a digest, one hidden by SCRAM has none. */
    feed(&driver, "a LOGIN ann@example.org wrong\r\n");
    assert_attempts(&driver, "try; wrong 4711 secret; ");
    feed(&driver, "b AUTHENTICATE SCRAM-SHA-256 "
                  "biwsbj1hbm5AZXhhbXBsZS5vcmcscj1jY2NjY2NjY2NjY2NjY2Nj\r\n");
    assert_true(imap_session_logs_in(driver.session));
    feed(&driver, "Yz1iaXdzLHI9Y2NjY2NjY2NjY2NjY2NjY0FBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQSxwPWFhYWE="
                  "\r\n");
    assert_attempts(&driver, "try; try; wrong 4711; ");
    assert_false(imap_session_logs_in(driver.session));
    feed(&driver, "c LOGIN ann@example.org secret\r\n");
    assert_attempts(&driver, "try; right 4711; ");
    assert_true(driver.logged_in && driver.breaches == 0);
    fake_driver_fini(&driver);
}

static void test_nothing_shown_is_nothing_tried(void **state)
{
    struct fake_driver driver;

    (void)state;
    fake_driver_init(&driver, true);
    feed(&driver, "a AUTHENTICATE PLAIN\r\n*\r\nb AUTHENTICATE LOGIN\r\n*\r\n");
    assert_attempts(&driver, "try; "); /* LOGIN's, where the store begins */
    feed(&driver, "c AUTHENTICATE LOGIN YW5uQGV4YW1wbGUub3Jn\r\n");
    assert_true(imap_session_logs_in(driver.session));
    feed(&driver, "*\r\n");
    assert_attempts(&driver, "try; wrong 0; ");
    assert_false(imap_session_logs_in(driver.session));
    assert_int_equal(driver.breaches, 0);
    fake_driver_fini(&driver);
}

static void test_turned_away_after_the_right_password(void **state)
{
    struct fake_driver driver;

    (void)state;
    fake_driver_init(&driver, true);
    driver.verdict = (struct imap_verdict){.code = "LIMIT", .text = "Too many connections"};
    driver.judged = IMAP_ATTEMPT_RIGHT;
    feed(&driver, "a LOGIN ann@example.org secret\r\nb SELECT INBOX\r\n");
    assert_int_equal(driver.turned_away, 1);
    assert_true(driver.closed && !driver.logged_in);
    assert_true(imap_session_store_id(driver.session) == 0);
    fake_driver_fini(&driver);
}

static void test_breaches(void **state)
{
    struct fake_driver driver;

    (void)state;
    fake_driver_init(&driver, true);
    feed(&driver, "GET / HTTP/1.1\r\n\r\na AUTHENTICATE PLAIN %\r\nb AUTHENTICATE PLAIN\r\n"
                  "!\r\n");
    assert_int_equal(driver.breaches, 4);
    feed(&driver, "c LOGIN ann@example.org secret\r\n");
    /* Who is in may try what we do not know, within reason. */
    feed(&driver, "d FROB\r\ne FROB\r\n");
    assert_int_equal(driver.breaches, 4);
    feed(&driver, "f NOOP\n");
    assert_int_equal(driver.breaches, 5);
    assert_true(driver.closed);
    fake_driver_fini(&driver);
}

static void feed_letters(struct fake_driver *driver, size_t count)
{
    for (size_t i = 0; i < count; i++)
        feed(driver, "A");
}

static void test_long_messages(void **state)
{
    struct fake_driver driver;

    (void)state;
    fake_driver_init(&driver, true);
    feed(&driver, "a AUTHENTICATE PLAIN\r\n");
    feed_letters(&driver, 12 * 1024);
    feed(&driver, "\r\n");
    assert_seen(&driver, "a NO [AUTHENTICATIONFAILED]"); /* read, and asked of the store */
    feed(&driver, "b AUTHENTICATE PLAIN\r\n");
    feed_letters(&driver, 12 * 1024 + 4);
    feed(&driver, "\r\n");
    assert_seen(&driver, "b BAD The message is too long");
    feed(&driver, "c AUTHENTICATE PLAIN\r\n");
    feed_letters(&driver, 64 * 1024);
    feed(&driver, "\r\nd NOOP\r\n");
    assert_seen(&driver, "c BAD The command is too long");
    assert_seen(&driver, "d OK");
    assert_true(driver.memory_max < 64 * 1024);
    fake_driver_fini(&driver);
}

/* Nothing is read of who has not been greeted, and BYE can take the greeting's place. */
static void test_greeting(void **state)
{
    struct fake_driver driver;

    (void)state;
    fake_driver_init(&driver, true);
    imap_session_free(&driver.session);
    driver.session = imap_session_new(&driver.config, &driver, "192.0.2.1", true, false);
    assert_false(imap_session_reads(driver.session));
    assert_int_equal(imap_session_feed(driver.session, BYTES("a NOOP\r\n")), 0);
    imap_session_bye(driver.session, "[CONTACTADMIN] Banned");
    imap_session_greet(driver.session);
    fake_driver_pump(&driver);
    buffer_add_byte(&driver.seen, '\0');
    assert_string_equal((const char *)buffer_bytes(&driver.seen).at,
                        "* BYE [CONTACTADMIN] Banned\r\n<CLOSE>");
    fake_driver_fini(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_attempt_is_judged),
        cmocka_unit_test(test_nothing_shown_is_nothing_tried),
        cmocka_unit_test(test_turned_away_after_the_right_password),
        cmocka_unit_test(test_breaches),
        cmocka_unit_test(test_long_messages),
        cmocka_unit_test(test_greeting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
