/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/imap/fake_store.h"

/* News that cross each other on their way, and news that cannot be had. */
static void begin(struct fake_driver *driver)
{
    fake_driver_init(driver, true);
    fake_store_deliver(&driver->store, 1, BYTES("Subject: 1\r\n\r\n"), 0);
    fake_driver_feed(driver, BYTES("a LOGIN ann@example.org secret\r\nb SELECT INBOX\r\n"
                                   "c IDLE\r\n"));
    buffer_clear(&driver->seen);
    buffer_clear(&driver->calls);
}

static void arrive(struct fake_driver *driver)
{
    fake_store_deliver(&driver->store, 1, BYTES("Subject: 2\r\n\r\n"), 0);
    imap_session_changed(driver->session, driver->store.modseq);
}

/* The Changes call that the session wants now, answered as things are at this moment. */
static uint64_t take_call(struct fake_driver *driver, struct arena *arena, Pr__Reply **reply)
{
    struct imap_action action;

    assert_true(imap_session_next(driver->session, &action));
    assert_int_equal(action.want, IMAP_WANT_CALL);
    assert_int_equal(action.request->call_case, PR__REQUEST__CALL_CHANGES);
    *reply = fake_store_answer(&driver->store, action.request, arena);
    return action.ticket;
}

static void test_event_faster_than_answer(void **state)
{
    struct fake_driver driver;
    struct arena arena;
    Pr__Reply *reply;

    (void)state;
    arena_init(&arena);
    begin(&driver);
    arrive(&driver);
    uint64_t ticket = take_call(&driver, &arena, &reply);
    arrive(&driver); /* not in the answer that is on its way */
    imap_session_answered(driver.session, ticket, ERR_OK, reply);
    fake_driver_pump(&driver);
    assert_true(bytes_equal(buffer_bytes(&driver.seen), BYTES("* 2 EXISTS\r\n* 3 EXISTS\r\n")));
    assert_true(bytes_equal(buffer_bytes(&driver.calls), BYTES("changes ")));
    fake_driver_fini(&driver);
    arena_fini(&arena);
}

static void test_idle_asks_again(void **state)
{
    struct fake_driver driver;
    struct imap_action action;
    struct arena arena;
    Pr__Reply *reply;

    (void)state;
    arena_init(&arena);
    begin(&driver);
    arrive(&driver);
    driver.store.fail = ERR_UNAVAILABLE;
    uint64_t ticket = take_call(&driver, &arena, &reply);
    imap_session_answered(driver.session, ticket, ERR_OK, reply);
    assert_true(imap_session_next(driver.session, &action));
    assert_int_equal(action.want, IMAP_WANT_DELAY);
    imap_session_delayed(driver.session, action.ticket);
    fake_driver_pump(&driver);
    assert_true(bytes_equal(buffer_bytes(&driver.seen), BYTES("* 2 EXISTS\r\n")));

    /* DONE ends the waiting; a delay that fires after it is nobody's. */
    driver.store.fail = ERR_UNAVAILABLE;
    arrive(&driver);
    ticket = take_call(&driver, &arena, &reply);
    imap_session_answered(driver.session, ticket, ERR_OK, reply);
    assert_true(imap_session_next(driver.session, &action));
    assert_int_equal(action.want, IMAP_WANT_DELAY);
    buffer_clear(&driver.seen);
    fake_driver_feed(&driver, BYTES("DONE\r\n"));
    imap_session_delayed(driver.session, action.ticket);
    fake_driver_feed(&driver, BYTES("d NOOP\r\n"));
    assert_true(bytes_equal(buffer_bytes(&driver.seen),
                            BYTES("c OK Done\r\n* 3 EXISTS\r\nd OK Done\r\n")));
    fake_driver_fini(&driver);
    arena_fini(&arena);
}

static void test_old_events_are_nothing(void **state)
{
    struct fake_driver driver;

    (void)state;
    begin(&driver);
    imap_session_changed(driver.session, driver.store.modseq);
    imap_session_changed(driver.session, 1);
    fake_driver_pump(&driver);
    assert_int_equal(buffer_len(&driver.calls), 0);
    fake_driver_fini(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_faster_than_answer),
        cmocka_unit_test(test_idle_asks_again),
        cmocka_unit_test(test_old_events_are_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
