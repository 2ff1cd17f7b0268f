/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers to log-ins that are held back, and what a process forgets when an operator lifts a
 * ban. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/node/firewall/process_lab.h"

static void ban(struct firewall_address address)
{
    struct firewall_conn conn;

    open_at(&conn, address, FIREWALL_SMTP);
    for (unsigned i = 0; i < 6; i++)
        tell(&conn, FIREWALL_EARLY_TALK, 0, 0);
    firewall_closed(firewall, &conn);
}

static enum firewall_action looks(struct firewall_address address)
{
    struct firewall_conn conn;
    enum firewall_action action = open_at(&conn, address, FIREWALL_SMTP);

    firewall_closed(firewall, &conn);
    return action;
}

static void forgive(const char *text)
{
    struct firewall_place place;

    assert_int_equal(firewall_place_parse(bytes_of(text), &place), ERR_OK);
    firewall_forgive(firewall, &place);
}

/* What lies in the place, and nothing beside it; and it begins anew, not just under the limit.
 */
static void an_address_is_forgiven(void **state)
{
    (void)state;
    limit_only(FIREWALL_ADDRESS_EARLY, 5);
    ban(address_of("192.0.2.1"));
    ban(address_of("192.0.2.2"));
    ban(address_of("192.0.3.1"));
    ban(address_of("2001:db8::1"));
    assert_int_equal(looks(address_of("192.0.2.1")), FIREWALL_REFUSE);
    forgive("192.0.2.1");
    assert_int_equal(looks(address_of("192.0.2.1")), FIREWALL_PASS);
    assert_int_equal(looks(address_of("192.0.2.2")), FIREWALL_REFUSE);
    struct firewall_conn conn;
    open_at(&conn, address_of("192.0.2.1"), FIREWALL_SMTP);
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(tell(&conn, FIREWALL_EARLY_TALK, 0, 0).action, FIREWALL_PASS);
    tell(&conn, FIREWALL_EARLY_TALK, 0, 0);
    firewall_closed(firewall, &conn);
    assert_int_equal(looks(address_of("192.0.2.1")), FIREWALL_REFUSE);
    forgive("192.0.2.0/24");
    assert_int_equal(looks(address_of("192.0.2.1")), FIREWALL_PASS);
    assert_int_equal(looks(address_of("192.0.2.2")), FIREWALL_PASS);
    assert_int_equal(looks(address_of("192.0.3.1")), FIREWALL_REFUSE);
    assert_int_equal(looks(address_of("2001:db8::1")), FIREWALL_REFUSE);
    forgive("2001:db8::/64");
    assert_int_equal(looks(address_of("2001:db8::1")), FIREWALL_PASS);
    assert_int_equal(looks(address_of("192.0.3.1")), FIREWALL_REFUSE);
}

/* A network's addresses, and no other's: 10.0.0.0/8 is of none. */
static void a_network_is_forgiven(void **state)
{
    (void)state;
    limit_only(FIREWALL_ADDRESS_EARLY, 5);
    ban(address_of("192.0.2.1"));
    ban(address_of("10.0.0.1"));
    forgive("AS64501");
    assert_int_equal(looks(address_of("192.0.2.1")), FIREWALL_REFUSE);
    forgive("AS64500");
    assert_int_equal(looks(address_of("192.0.2.1")), FIREWALL_PASS);
    assert_int_equal(looks(address_of("10.0.0.1")), FIREWALL_REFUSE);
    forgive("0.0.0.0/0");
    assert_int_equal(looks(address_of("10.0.0.1")), FIREWALL_PASS);
}

/* Open connections stay counted: they close when their turn comes. */
static void connections_stay_counted(void **state)
{
    (void)state;
    limit_only(FIREWALL_ADDRESS_OPEN, 3);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(open_at(&conns[i], address_of("192.0.2.1"), FIREWALL_SMTP),
                         FIREWALL_PASS);
    forgive("192.0.2.0/24");
    assert_int_not_equal(looks(address_of("192.0.2.1")), FIREWALL_PASS);
    for (unsigned i = 0; i < 3; i++)
        firewall_closed(firewall, &conns[i]);
    assert_int_equal(looks(address_of("192.0.2.1")), FIREWALL_PASS);
}

static struct firewall_verdict fail_once(unsigned at)
{
    return firewall_happened(firewall, &conns[at], FIREWALL_LOGIN_FAILED, 7, at, 1, now);
}

/* Many attempts at one time: so many answers are held, the others are refused at once; who goes
 * away or was answered makes room for the next. */
static void held_answers_are_bounded(void **state)
{
    enum { MANY = 1000 };
    unsigned held = 0;

    (void)state;
    limit_only(FIREWALL_ADDRESS_FAILURES, 1);
    for (unsigned i = 0; i < MANY; i++) {
        struct firewall_verdict verdict;
        open_at(&conns[i], v4(0x0B000000 + 256 * i), FIREWALL_IMAP);
        fail_once(i);
        verdict = fail_once(i);
        held += verdict.action == FIREWALL_DELAY;
        assert_int_equal(verdict.action, i < 3 ? FIREWALL_DELAY : FIREWALL_DEFER);
        assert_int_equal(verdict.delay_ms > 0, i < 3);
    }
    assert_int_equal(held, 3);
    assert_int_equal(firewall_delayed(firewall), 3);
    assert_int_equal(fail_once(0).action, FIREWALL_DELAY); /* it is held already */
    assert_int_equal(firewall_delayed(firewall), 3);
    firewall_closed(firewall, &conns[0]);  /* gone while it waits */
    firewall_resumed(firewall, &conns[0]); /* the timer was on its way */
    assert_int_equal(firewall_delayed(firewall), 2);
    firewall_resumed(firewall, &conns[1]);
    assert_int_equal(firewall_delayed(firewall), 1);
    assert_int_equal(fail_once(1).action, FIREWALL_DELAY); /* it tries again, and waits again */
    assert_int_equal(firewall_delayed(firewall), 2);
    open_at(&conns[MANY], v4(0x0C000000), FIREWALL_IMAP);
    fail_once(MANY);
    assert_int_equal(fail_once(MANY).action, FIREWALL_DELAY);
    assert_int_equal(firewall_delayed(firewall), 3);
    for (unsigned i = 1; i <= MANY; i++)
        firewall_closed(firewall, &conns[i]);
    assert_int_equal(firewall_delayed(firewall), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_address_is_forgiven),
        TEST(a_network_is_forgiven),
        TEST(connections_stay_counted),
        TEST(held_answers_are_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
