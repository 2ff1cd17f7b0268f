/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where mail for an address goes, within the cluster. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "tests/unit/storage/addresses_lab.h"

static int setup(void **state)
{
    (void)state;
    addresses_lab_open();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    directory_lab_recount(lab);
    lab_close(lab);
    return 0;
}

static void test_accounts(void **state)
{
    (void)state;
    GOES("ann@acme.example", "ann@acme.example");
    assert_int_equal(addresses_lab_last()->message.account_id,
                     directory_lab_account_of(lab, "ann@acme.example")->id);
    assert_int_equal(addresses_lab_last()->message.group,
                     directory_lab_account_of(lab, "ann@acme.example")->group);
    assert_int_equal(addresses_lab_last()->message.domain_id,
                     directory_lab_domain_of(lab, "acme.example")->id);
    assert_int_equal(addresses_lab_last()->message.tenant_id, 1);
    assert_true(addresses_lab_last()->message.domain_local);
    GOES("nobody@acme.example", "NOTFOUND");
    assert_true(addresses_lab_last()->message.domain_local);
    GOES("ann@other.example", "NOTFOUND");
    assert_false(addresses_lab_last()->message.domain_local);
    GOES("ann", "NOTFOUND");
    GOES("", "NOTFOUND");
    GOES("@", "NOTFOUND");
    GOES("ann@localhost", "NOTFOUND");
    assert_false(addresses_lab_last()->message.domain_local);
}

static void test_sub_addresses(void **state)
{
    (void)state;
    GOES("ann+lists@acme.example", "ann@acme.example");
    GOES("ann+a+b+@acme.example", "ann@acme.example");
    GOES("+ann@acme.example", "NOTFOUND");
    GOES("ann-lists@acme.example", "NOTFOUND");
    /* The longest name is meant. */
    WANT(OK, directory_lab_account(lab, "ann+work@acme.example"));
    GOES("ann+work+x@acme.example", "ann+work@acme.example");
    GOES("ann+works@acme.example", "ann@acme.example");
    WANT(OK, directory_lab_alias(lab, "sales@acme.example", "bob@acme.example"));
    GOES("sales+eu@acme.example", "bob@acme.example");
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_TENANT, "acme",
                               "mail.separators", "-="));
    GOES("ann+lists@acme.example", "NOTFOUND");
    GOES("ann-lists@acme.example", "ann@acme.example");
    GOES("ann=lists@acme.example", "ann@acme.example");
    ROUTE("acme.example", .separators = CALL(TextValue, text_value, .text = TEXT("#")));
    GOES("ann-lists@acme.example", "NOTFOUND");
    GOES("ann#lists@acme.example", "ann@acme.example");
    ROUTE("acme.example", .separators = CALL(TextValue, text_value, .text = TEXT("")));
    GOES("ann#lists@acme.example", "NOTFOUND");
    WANT(OK, RUN(DomainRoute, domain_route, DOMAIN_ROUTE, .name = TEXT("acme.example")));
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_DOMAIN, "acme.example",
                               "mail.separators", "none"));
    GOES("ann-lists@acme.example", "NOTFOUND");
}

static void test_a_domain_that_stands_for_another(void **state)
{
    (void)state;
    ROUTE("sub.example", .alias_of = TEXT("acme.example"));
    GOES("ann@sub.example", "ann@acme.example");
    GOES("ann+x@sub.example", "ann@acme.example");
    GOES("nobody@sub.example", "NOTFOUND");
    assert_true(addresses_lab_last()->message.domain_local);
    assert_int_equal(addresses_lab_last()->message.domain_id,
                     directory_lab_domain_of(lab, "acme.example")->id);
    GOES("abuse@sub.example", "postmaster@localhost");
    WANT(OK, directory_lab_alias(lab, "x@acme.example", "ann@sub.example"));
    GOES("x@sub.example", "ann@acme.example");
}

static void test_aliases(void **state)
{
    (void)state;
    ALIAS("team@acme.example", "ann@acme.example", "bob@acme.example", "ann+x@acme.example");
    GOES("team@acme.example", "ann@acme.example bob@acme.example");
    ALIAS("all@acme.example", "team@acme.example", "cid@bar.example", "bob@acme.example");
    GOES("all@acme.example", "cid@bar.example bob@acme.example ann@acme.example");
    /* Dead ends are passed over while anybody is left. */
    ALIAS("some@acme.example", "gone@acme.example", "bob@acme.example");
    GOES("some@acme.example", "bob@acme.example");
    ALIAS("none@acme.example", "gone@acme.example");
    GOES("none@acme.example", "NOTFOUND");
    WANT(OK, RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("team@acme.example"),
                 .disabled = CALL(BoolValue, bool_value, .on = true)));
    GOES("team@acme.example", "DISABLED for good");
    GOES("all@acme.example", "cid@bar.example bob@acme.example");
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_DOMAIN, "acme.example",
                               "mail.disabled", "temporary"));
    GOES("team@acme.example", "DISABLED");
    WANT(OK, RUN(AliasAdd, alias_add, ALIAS_ADD, .address = TEXT("empty@acme.example")));
    GOES("empty@acme.example", "DISABLED");
}

static void test_ways_that_lead_back(void **state)
{
    (void)state;
    ALIAS("a@acme.example", "b@acme.example");
    ALIAS("b@acme.example", "a@acme.example");
    GOES("a@acme.example", "LOOP for good");
    ALIAS("c@acme.example", "a@acme.example", "ann@acme.example");
    GOES("c@acme.example", "ann@acme.example");
    /* An account that forwards to itself by another way keeps its mail. */
    FORWARD("ann@acme.example", false, "bob@acme.example");
    GOES("ann@acme.example", "bob@acme.example");
    FORWARD("bob@acme.example", false, "ann@acme.example");
    GOES("ann@acme.example", "ann@acme.example");
    GOES("bob@acme.example", "bob@acme.example");
    FORWARD("ann@acme.example", false, "ann+self@acme.example", "bob@acme.example",
            "a@acme.example");
    GOES("ann@acme.example", "ann@acme.example");
    FORWARD("ann@acme.example", true, "bob@acme.example");
    GOES("ann@acme.example", "ann@acme.example");
}

static void test_forwards(void **state)
{
    (void)state;
    FORWARD("ann@acme.example", true, "bob@acme.example", "cid@bar.example");
    GOES("ann@acme.example", "ann@acme.example bob@acme.example cid@bar.example");
    FORWARD("ann@acme.example", false, "bob@acme.example");
    GOES("ann+x@acme.example", "bob@acme.example");
    ALIAS("both@acme.example", "ann@acme.example", "bob@acme.example");
    GOES("both@acme.example", "bob@acme.example");
    BAR("bob@acme.example", PR__ACCOUNT_BAR__BAR_RECEIVE);
    GOES("bob@acme.example", "DISABLED for good");
    GOES("ann@acme.example", "DISABLED for good");
    FORWARD("ann@acme.example", true, "bob@acme.example");
    GOES("ann@acme.example", "ann@acme.example");
    /* What an account may not do itself says nothing of its mail. */
    BAR("ann@acme.example", PR__ACCOUNT_BAR__BAR_LOGIN | PR__ACCOUNT_BAR__BAR_SEND);
    GOES("ann@acme.example", "ann@acme.example");
}

static void test_lists(void **state)
{
    Pr__ResolveAnswer *message = &addresses_lab_last()->message;

    (void)state;
    WANT(OK,
         directory_lab_list(lab, "news@acme.example", "ann@acme.example", "bob@acme.example"));
    GOES("news@acme.example", "ann@acme.example<news-bounces@acme.example");
    assert_string_equal(message->list, "news@acme.example");
    assert_string_equal(message->list_description, "A list");
    assert_string_equal(message->list_owner, "bob@acme.example");
    assert_true(message->targets[0]->from_list);
    GOES("news-owner@acme.example", "bob@acme.example");
    assert_string_equal(message->list, "");
    GOES("news-bounces@acme.example", "bob@acme.example");
    GOES("news-other@acme.example", "NOTFOUND");
    addresses_lab_sender("");
    GOES("news@acme.example", "LIST_CLOSED for good");
    GOES("news-bounces@acme.example", "bob@acme.example");
}

static void post(Pr__ListSettings__Post post)
{
    WANT(OK, RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("news@acme.example"),
                 .list = CALL(ListSettings, list_settings, .owner = TEXT("bob@acme.example"),
                              .post = post)));
}

static void may_post(const char *sender, bool may)
{
    addresses_lab_sender(sender);
    GOES("news@acme.example",
         may ? "ann@acme.example<news-bounces@acme.example" : "LIST_CLOSED for good");
}

static void test_who_may_write_to_a_list(void **state)
{
    (void)state;
    ROUTE("sub.example", .alias_of = TEXT("acme.example"));
    WANT(OK,
         directory_lab_list(lab, "news@acme.example", "ann@acme.example", "bob@acme.example"));
    may_post("x@other.example", true);
    post(PR__LIST_SETTINGS__POST__MEMBERS);
    may_post("x@other.example", false);
    may_post("ann@acme.example", true);
    may_post("ann+x@acme.example", true);
    may_post("ann@sub.example", true);
    may_post("bob@acme.example", true);
    may_post("cid@bar.example", false);
    post(PR__LIST_SETTINGS__POST__OWNER);
    may_post("ann@acme.example", false);
    may_post("bob@acme.example", true);
    addresses_lab_anybody();
    GOES("news@acme.example", "ann@acme.example<news-bounces@acme.example");
    addresses_lab_sender("x@other.example");
    ALIAS("a@acme.example", "news@acme.example", "cid@bar.example");
    GOES("a@acme.example", "cid@bar.example");
}

static void test_lists_in_lists(void **state)
{
    Pr__ResolveAnswer *message = &addresses_lab_last()->message;

    (void)state;
    WANT(OK,
         directory_lab_list(lab, "inner@acme.example", "ann@acme.example", "bob@acme.example"));
    WANT(OK, directory_lab_list(lab, "outer@acme.example", "inner@acme.example",
                                "bob@acme.example"));
    GOES("outer@acme.example", "ann@acme.example<inner-bounces@acme.example");
    assert_string_equal(message->list, "outer@acme.example");
    assert_true(message->targets[0]->from_list);
    /* The inner list is for its members: the outer one is none of them, then it is. */
    WANT(OK, RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("inner@acme.example"),
                 .list = CALL(ListSettings, list_settings, .owner = TEXT("bob@acme.example"),
                              .post = PR__LIST_SETTINGS__POST__MEMBERS)));
    GOES("outer@acme.example", "LIST_CLOSED for good");
    WANT(OK, RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("inner@acme.example"),
                 LIST(add, "outer@acme.example")));
    GOES("outer@acme.example", "ann@acme.example<inner-bounces@acme.example");
    /* Of two lists side by side the answer can tell of one. */
    WANT(OK,
         directory_lab_list(lab, "other@acme.example", "cid@bar.example", "bob@acme.example"));
    ALIAS("both@acme.example", "other@acme.example", "outer@acme.example", "bob@acme.example");
    GOES("both@acme.example", "bob@acme.example cid@bar.example<other-bounces@acme.example "
                              "ann@acme.example<inner-bounces@acme.example");
    assert_string_equal(message->list, "other@acme.example");
    assert_false(message->targets[0]->from_list);
    assert_true(message->targets[1]->from_list);
    assert_false(message->targets[2]->from_list);
}

static void test_what_is_not_known(void **state)
{
    (void)state;
    ROUTE("acme.example", LIST(catch_all, "bob@acme.example"));
    GOES("nobody@acme.example", "bob@acme.example");
    GOES("nobody+x@acme.example", "bob@acme.example");
    GOES("ann@acme.example", "ann@acme.example");
    GOES("abuse@acme.example", "postmaster@localhost");
    BAR("bob@acme.example", PR__ACCOUNT_BAR__BAR_RECEIVE);
    GOES("nobody@acme.example", "DISABLED for good");
    ROUTE("acme.example", LIST(catch_all, "also.nobody@acme.example"));
    GOES("nobody@acme.example", "LOOP for good");
}

static void test_who_must_answer(void **state)
{
    (void)state;
    GOES("postmaster", "postmaster@localhost");
    GOES("postmaster@localhost", "postmaster@localhost");
    GOES("abuse@localhost", "postmaster@localhost");
    GOES("postmaster@acme.example", "postmaster@localhost");
    assert_true(addresses_lab_last()->message.role);
    GOES("postmaster@other.example", "NOTFOUND");
    assert_false(addresses_lab_last()->message.role);
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.postmaster",
                               "cid@bar.example"));
    GOES("postmaster", "cid@bar.example");
    GOES("abuse@acme.example", "cid@bar.example");
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_TENANT, "acme",
                               "mail.postmaster", "bob@acme.example"));
    GOES("abuse@acme.example", "bob@acme.example");
    GOES("abuse@bar.example", "cid@bar.example");
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_DOMAIN, "acme.example",
                               "mail.postmaster", "ann@acme.example"));
    GOES("abuse@acme.example", "ann@acme.example");
    /* Who does not get mail any more does not answer. */
    BAR("ann@acme.example", PR__ACCOUNT_BAR__BAR_RECEIVE);
    GOES("abuse@acme.example", "bob@acme.example");
    BAR("bob@acme.example", PR__ACCOUNT_BAR__BAR_RECEIVE);
    BAR("cid@bar.example", PR__ACCOUNT_BAR__BAR_RECEIVE);
    GOES("abuse@acme.example", "postmaster@localhost");
    BAR("postmaster@localhost", PR__ACCOUNT_BAR__BAR_RECEIVE);
    GOES("abuse@acme.example", "postmaster@localhost");
    assert_true(addresses_lab_last()->message.role);
    WANT(OK, directory_lab_account(lab, "abuse@acme.example"));
    GOES("abuse@acme.example", "abuse@acme.example");
    assert_true(addresses_lab_last()->message.role);
    /* A list that nobody may write to, and settings that lead back. */
    WANT(OK, directory_lab_list(lab, "postmaster@acme.example", "cid@bar.example",
                                "bob@acme.example"));
    GOES("postmaster@acme.example", "postmaster@localhost");
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_DOMAIN, "bar.example",
                               "mail.postmaster", "abuse@bar.example"));
    GOES("abuse@bar.example", "postmaster@localhost");
    /* On the way too: what is for whoever answers goes there. */
    ALIAS("security@acme.example", "abuse@sub.example");
    GOES("security@acme.example", "DISABLED for good"); /* the cluster's own is barred */
    WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER,
                 .address = TEXT("postmaster@localhost"), .bars_clear = 7));
    GOES("security@acme.example", "postmaster@localhost");
    WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER, .address = TEXT("cid@bar.example"),
                 .bars_clear = 7));
    GOES("security@acme.example", "cid@bar.example");
}

static void test_without_an_account_of_the_cluster(void **state)
{
    (void)state;
    lab_close(lab);
    directory_lab_open(lab, FORMAT_ADDRESSES);
    GOES("abuse@acme.example", "NOTFOUND");
    GOES("postmaster@localhost", "NOTFOUND");
    assert_true(addresses_lab_last()->message.domain_local);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accounts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sub_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_domain_that_stands_for_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_aliases, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ways_that_lead_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forwards, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_may_write_to_a_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists_in_lists, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_who_must_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_an_account_of_the_cluster, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
