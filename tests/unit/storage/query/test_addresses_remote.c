/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mail that leaves the cluster: whether it may, from whom, and how its bounces come back. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "tests/unit/storage/addresses_lab.h"

#define CLUSTER PR__SETTING_SCOPE__SETTING_CLUSTER
#define DOMAIN PR__SETTING_SCOPE__SETTING_DOMAIN
#define ACCOUNT PR__SETTING_SCOPE__SETTING_ACCOUNT

static int setup(void **state)
{
    (void)state;
    addresses_lab_open();
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "mail.outbound", "on"));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lab_close(lab);
    return 0;
}

/* The sender that the first target gets the message from. */
static char *sender(const char *address)
{
    addresses_lab_ask(address);
    assert_int_equal(addresses_lab_last()->message.n_targets, 1);
    return addresses_lab_last()->message.targets[0]->sender;
}

static void test_rewritten_and_back(void **state)
{
    char *once;
    char *twice;
    char *forged;

    (void)state;
    ALIAS("x@acme.example", "far@other.example");
    once = sender("x@acme.example");
    assert_int_equal(strncmp(once, "SRS0=", 5), 0);
    assert_string_equal(strchr(once, '@'), "@acme.example");
    assert_non_null(strstr(once, "=far.example=mia@"));
    assert_int_equal(addresses_lab_last()->message.forward_account_id, 0);
    assert_int_equal(addresses_lab_last()->message.group,
                     directory_lab_alias_of(lab, "x@acme.example")->group);
    /* The bounce, from nobody, goes to the first sender as it is. */
    addresses_lab_sender("");
    for (char *at = once; *at != '\0'; at++)
        *at = (char)byte_lower((uint8_t)*at);
    GOES(once, "mia@far.example");
    addresses_lab_days_later(29);
    GOES(once, "mia@far.example");
    addresses_lab_days_later(10);
    GOES(once, "NOTFOUND");
    addresses_lab_days_later(-39);
    forged = arena_string(&lab->arena, bytes_of(once));
    forged[6] = forged[6] == 'a' ? 'b' : 'a';
    GOES(forged, "NOTFOUND");
    GOES("srs0=x@acme.example", "NOTFOUND");
    /* Forwarded again, by another domain. */
    ALIAS("y@bar.example", "far@other.example");
    addresses_lab_sender(once);
    twice = sender("y@bar.example");
    assert_int_equal(strncmp(twice, "SRS1=", 5), 0);
    addresses_lab_sender("");
    for (char *at = twice; *at != '\0'; at++)
        *at = (char)byte_lower((uint8_t)*at);
    GOES(twice, "mia@far.example");
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "mail.outbound", "off"));
    GOES(once, "OUTBOUND_OFF for good");
}

static void test_bounces_to_one_of_ours(void **state)
{
    char *once;

    (void)state;
    ALIAS("x@acme.example", "far@other.example");
    addresses_lab_sender("cid@bar.example");
    once = sender("x@acme.example");
    for (char *at = once; *at != '\0'; at++)
        *at = (char)byte_lower((uint8_t)*at);
    addresses_lab_sender("");
    GOES(once, "cid@bar.example");
}

static void test_senders_that_stay(void **state)
{
    (void)state;
    ALIAS("x@acme.example", "far@other.example");
    addresses_lab_sender("");
    GOES("x@acme.example", "far@other.example");
    addresses_lab_sender("ann@acme.example");
    GOES("x@acme.example", "far@other.example");
    addresses_lab_anybody();
    GOES("x@acme.example", "far@other.example");
    addresses_lab_sender("bell\a@far.example");
    GOES("x@acme.example", "far@other.example");
    addresses_lab_sender("nobody");
    GOES("x@acme.example", "far@other.example");
    addresses_lab_sender(
        "a-local-part-with-so-many-characters-that-no-other-has-room@far-away.example");
    GOES("x@acme.example", "far@other.example");
}

static void test_of_a_list(void **state)
{
    (void)state;
    WANT(OK, directory_lab_list(lab, "news@acme.example", "far@other.example",
                                "boss@other.example"));
    GOES("news@acme.example", "far@other.example<news-bounces@acme.example");
    /* An alias that is a member is still on the way of the list. */
    ALIAS("more@acme.example", "near@other.example");
    WANT(OK, RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("news@acme.example"),
                 LIST(add, "more@acme.example")));
    GOES("news@acme.example", "far@other.example<news-bounces@acme.example "
                              "near@other.example<news-bounces@acme.example");
    addresses_lab_sender("");
    GOES("news-bounces@acme.example", "boss@other.example");
    addresses_lab_sender("mia@far.example");
    assert_int_equal(strncmp(sender("news-owner@acme.example"), "SRS0=", 5), 0);
}

static void test_whether_it_may(void **state)
{
    (void)state;
    addresses_lab_sender("");
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "mail.outbound", "off"));
    ALIAS("x@acme.example", "far@other.example", "ann@acme.example");
    ALIAS("all@acme.example", "x@acme.example", "cid@bar.example");
    ALIAS("y@bar.example", "far@other.example");
    /* Not even for those who could get it: nobody would know of the others. */
    GOES("x@acme.example", "OUTBOUND_OFF for good");
    GOES("all@acme.example", "OUTBOUND_OFF for good");
    GOES("far@other.example", "NOTFOUND");
    FORWARD("ann@acme.example", false, "far@other.example");
    GOES("ann@acme.example", "OUTBOUND_OFF for good");
    FORWARD("ann@acme.example", true, "far@other.example");
    GOES("ann@acme.example", "ann@acme.example");
    WANT(OK, directory_lab_set(lab, DOMAIN, "acme.example", "mail.outbound", "on"));
    GOES("ann@acme.example", "ann@acme.example far@other.example");
    assert_int_equal(addresses_lab_last()->message.forward_account_id,
                     directory_lab_account_of(lab, "ann@acme.example")->id);
    assert_int_equal(addresses_lab_last()->message.targets[0]->forward_account_id, 0);
    assert_int_equal(addresses_lab_last()->message.targets[1]->forward_account_id,
                     directory_lab_account_of(lab, "ann@acme.example")->id);
    GOES("y@bar.example", "OUTBOUND_OFF for good");
    WANT(OK, directory_lab_set(lab, ACCOUNT, "ann@acme.example", "mail.outbound", "off"));
    GOES("ann@acme.example", "ann@acme.example");
    GOES("x@acme.example", "far@other.example ann@acme.example");
}

static void test_who_may_forward(void **state)
{
    (void)state;
    addresses_lab_sender("");
    ALIAS("x@acme.example", "far@other.example");
    FORWARD("ann@acme.example", false, "far@other.example", "further@other.example");
    GOES("ann@acme.example", "far@other.example further@other.example");
    assert_int_equal(addresses_lab_last()->message.group,
                     directory_lab_account_of(lab, "ann@acme.example")->group);
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "mail.forward", "operators"));
    GOES("ann@acme.example", "ann@acme.example");
    FORWARD("ann@acme.example", true, "far@other.example", "bob@acme.example");
    GOES("ann@acme.example", "ann@acme.example bob@acme.example");
    GOES("x@acme.example", "far@other.example");
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "mail.forward", "nobody"));
    GOES("ann@acme.example", "ann@acme.example bob@acme.example");
    GOES("x@acme.example", "OUTBOUND_OFF for good");
}

static void test_what_is_not_known_here(void **state)
{
    (void)state;
    addresses_lab_sender("");
    ROUTE("acme.example", .forward_to = TEXT("old.example"));
    GOES("nobody+x@acme.example", "nobody+x@old.example");
    assert_int_equal(addresses_lab_last()->message.group,
                     directory_lab_domain_of(lab, "acme.example")->routing->group);
    GOES("ann+x@acme.example", "ann@acme.example");
    GOES("abuse@acme.example", "postmaster@localhost");
    addresses_lab_sender("mia@far.example");
    assert_non_null(strstr(sender("nobody@acme.example"), "@acme.example"));
    /* The host has come to us since: its own addresses count. */
    WANT(OK, directory_lab_domain(lab, "old.example", "acme"));
    GOES("nobody@acme.example", "NOTFOUND");
    WANT(OK, directory_lab_account(lab, "nobody@old.example"));
    GOES("nobody@acme.example", "nobody@old.example");
}

static void test_who_answers_elsewhere(void **state)
{
    (void)state;
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "mail.postmaster", "noc@other.example"));
    addresses_lab_sender("");
    GOES("abuse@acme.example", "noc@other.example");
    GOES("postmaster@localhost", "noc@other.example");
    addresses_lab_sender("mia@far.example");
    assert_non_null(strstr(sender("abuse@acme.example"), "@acme.example"));
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "mail.outbound", "off"));
    GOES("abuse@acme.example", "postmaster@localhost");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rewritten_and_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounces_to_one_of_ours, setup, teardown),
        cmocka_unit_test_setup_teardown(test_senders_that_stay, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_a_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whether_it_may, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_may_forward, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_known_here, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_answers_elsewhere, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
