/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where domains and accounts send mail on to; bars and rights of accounts. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/directory_addresses.h"
#include "tests/unit/storage/directory_lab.h"

static struct lab the_lab;
static struct lab *const lab = &the_lab;

static int setup(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    directory_lab_recount(lab);
    lab_close(lab);
    return 0;
}

#define ROUTE(domain, ...)                                                                     \
    RUN(DomainRoute, domain_route, DOMAIN_ROUTE, .name = TEXT(domain),                         \
        .routing = CALL(DomainRouting, domain_routing, __VA_ARGS__))
#define ALTER(...)                                                                             \
    RUN(AccountAlter, account_alter, ACCOUNT_ALTER, .address = TEXT("ann@acme.example"),       \
        __VA_ARGS__)
#define REMOVE(domain) RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = TEXT(domain))

static uint64_t alias_domains(const char *name)
{
    return directory_lab_domain_of(lab, name)->alias_domains;
}

static void test_a_domain_stands_for_another(void **state)
{
    (void)state;
    WANT(OK, directory_lab_domain(lab, "third.example", "acme"));
    WANT(OK, ROUTE("sub.example", .alias_of = TEXT("acme.example")));
    assert_int_equal(alias_domains("acme.example"), 1);
    WANT(OK, ROUTE("sub.example", .alias_of = TEXT("acme.example")));
    assert_int_equal(alias_domains("acme.example"), 1);
    WANT(OK, ROUTE("third.example", .alias_of = TEXT("acme.example")));
    assert_int_equal(alias_domains("acme.example"), 2);
    WANT(INVALID, REMOVE("acme.example"));
    WANT(INVALID, directory_lab_account(lab, "ann@sub.example"));
    WANT(INVALID, directory_lab_alias(lab, "a@sub.example", "b@acme.example"));
    /* No chains, from either end. */
    WANT(INVALID, ROUTE("acme.example", .alias_of = TEXT("sub.example")));
    WANT(INVALID, ROUTE("third.example", .alias_of = TEXT("sub.example")));
    WANT(OK, RUN(DomainRoute, domain_route, DOMAIN_ROUTE, .name = TEXT("third.example")));
    WANT(INVALID, ROUTE("acme.example", .alias_of = TEXT("third.example")));
    assert_int_equal(alias_domains("acme.example"), 1);
    WANT(OK, REMOVE("sub.example"));
    assert_int_equal(alias_domains("acme.example"), 0);
    WANT(OK, ROUTE("acme.example", .alias_of = TEXT("third.example")));
    WANT(OK, REMOVE("acme.example"));
    WANT(OK, REMOVE("third.example"));
}

static void test_what_a_domain_cannot_stand_for(void **state)
{
    (void)state;
    WANT(NOTFOUND, ROUTE("sub.example", .alias_of = TEXT("bar.example")));
    WANT(NOTFOUND, ROUTE("sub.example", .alias_of = TEXT("other.example")));
    WANT(NOTFOUND, ROUTE("other.example", .alias_of = TEXT("acme.example")));
    WANT(INVALID, ROUTE("sub.example", .alias_of = TEXT("sub.example")));
    WANT(INVALID, ROUTE("sub.example", .alias_of = TEXT("acme.example"),
                        LIST(catch_all, "a@acme.example")));
    WANT(OK, directory_lab_alias(lab, "a@sub.example", "b@acme.example"));
    WANT(INVALID, ROUTE("sub.example", .alias_of = TEXT("acme.example")));
    WANT(OK, RUN(AliasRemove, alias_remove, ALIAS_REMOVE, .address = TEXT("a@sub.example")));
    WANT(OK, directory_lab_account(lab, "ann@sub.example"));
    WANT(INVALID, ROUTE("sub.example", .alias_of = TEXT("acme.example")));
    WANT(OK, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
                 .address = TEXT("ann@sub.example"), .keep_ms = 1000000));
    WANT(OK, ROUTE("sub.example", .alias_of = TEXT("acme.example")));
    WANT(INVALID, RUN(AccountRestore, account_restore, ACCOUNT_RESTORE,
                      .address = TEXT("ann@sub.example")));
}

static void test_what_is_not_known(void **state)
{
    char *many[CATCH_ALL_TARGETS_MAX + 1];
    Pr__DomainRouting *routing;

    (void)state;
    for (unsigned i = 0; i <= CATCH_ALL_TARGETS_MAX; i++)
        many[i] = arena_printf(&lab->arena, "c%u@acme.example", i);
    WANT(OK, ROUTE("acme.example", LIST(catch_all, "a@acme.example", "b@other.example"),
                   .separators = CALL(TextValue, text_value, .text = TEXT("-+"))));
    routing = directory_lab_domain_of(lab, "acme.example")->routing;
    assert_int_equal(routing->n_catch_all, 2);
    assert_string_equal(routing->separators->text, "-+");
    assert_int_not_equal(routing->group, 0);
    WANT(INVALID, ROUTE("acme.example", LIST(catch_all, "nobody")));
    WANT(INVALID, ROUTE("acme.example", LIST(catch_all, "a@acme.example"),
                        .forward_to = TEXT("other.example")));
    WANT(INVALID, ROUTE("acme.example", .forward_to = TEXT("sub.example")));
    WANT(INVALID, ROUTE("acme.example", .forward_to = TEXT("no host")));
    WANT(INVALID,
         ROUTE("acme.example", .separators = CALL(TextValue, text_value, .text = TEXT("a"))));
    WANT(INVALID,
         ROUTE("acme.example", .separators = CALL(TextValue, text_value, .text = TEXT("++"))));
    WANT(TOOBIG,
         ROUTE("acme.example", .n_catch_all = CATCH_ALL_TARGETS_MAX + 1, .catch_all = many));
    assert_int_equal(directory_lab_domain_of(lab, "acme.example")->routing->n_catch_all, 2);
    WANT(OK, ROUTE("acme.example", .n_catch_all = CATCH_ALL_TARGETS_MAX, .catch_all = many));
    WANT(OK, ROUTE("acme.example", .forward_to = TEXT("other.example")));
    assert_int_equal(directory_lab_domain_of(lab, "acme.example")->routing->n_catch_all, 0);
    WANT(OK, RUN(DomainRoute, domain_route, DOMAIN_ROUTE, .name = TEXT("acme.example")));
    assert_null(directory_lab_domain_of(lab, "acme.example")->routing);
}

static void test_forwards(void **state)
{
    char *many[FORWARD_TARGETS_MAX + 1];
    Pr__AccountRecord *ann;

    (void)state;
    for (unsigned i = 0; i <= FORWARD_TARGETS_MAX; i++)
        many[i] = arena_printf(&lab->arena, "f%u@other.example", i);
    WANT(NOTFOUND, ALTER(.bars_set = 1));
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    WANT(OK, ALTER(.forward = CALL(AccountForward, account_forward, .keep = true,
                                   LIST(targets, "x@other.example", "x@other.example"))));
    ann = directory_lab_account_of(lab, "ann@acme.example");
    assert_int_equal(ann->forward->n_targets, 1);
    assert_true(ann->forward->keep);
    WANT(OK, ALTER(.bars_set = PR__ACCOUNT_BAR__BAR_SEND));
    assert_non_null(directory_lab_account_of(lab, "ann@acme.example")->forward);
    WANT(INVALID, ALTER(.forward = CALL(AccountForward, account_forward,
                                        LIST(targets, "ann@acme.example"))));
    WANT(TOOBIG, ALTER(.forward = CALL(AccountForward, account_forward,
                                       .n_targets = FORWARD_TARGETS_MAX + 1, .targets = many)));
    WANT(OK, ALTER(.forward = CALL(AccountForward, account_forward,
                                   .n_targets = FORWARD_TARGETS_MAX, .targets = many)));
    WANT(OK, ALTER(.forward = CALL(AccountForward, account_forward, .keep = true)));
    assert_null(directory_lab_account_of(lab, "ann@acme.example")->forward);
    assert_int_equal(directory_lab_account_of(lab, "ann@acme.example")->bars,
                     PR__ACCOUNT_BAR__BAR_SEND);
}

static void test_bars(void **state)
{
    (void)state;
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    WANT(OK, ALTER(.bars_set = PR__ACCOUNT_BAR__BAR_LOGIN));
    assert_int_equal(lab->events.ended_count, 1);
    WANT(OK, ALTER(.bars_set = PR__ACCOUNT_BAR__BAR_LOGIN));
    assert_int_equal(lab->events.ended_count, 0);
    WANT(OK, ALTER(.bars_set = PR__ACCOUNT_BAR__BAR_RECEIVE,
                   .bars_clear = PR__ACCOUNT_BAR__BAR_LOGIN));
    assert_int_equal(directory_lab_account_of(lab, "ann@acme.example")->bars,
                     PR__ACCOUNT_BAR__BAR_RECEIVE);
    assert_int_equal(lab->events.ended_count, 0);
    WANT(INVALID, ALTER(.bars_set = 8));
    WANT(INVALID, ALTER(.bars_clear = 16));
    WANT(INVALID, ALTER(.bars_set = 1, .bars_clear = 1));
}

static size_t rights(void)
{
    return directory_lab_account_of(lab, "ann@acme.example")->n_send_as;
}

static void test_rights(void **state)
{
    char *many[SEND_AS_MAX + 1];

    (void)state;
    for (unsigned i = 0; i <= SEND_AS_MAX; i++)
        many[i] = arena_printf(&lab->arena, "r%u@other.example", i);
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    WANT(OK, ALTER(.send_as_add = CALL(
                       TextList, text_list,
                       LIST(texts, "x@other.example", "@sub.example", "x@other.example"))));
    assert_int_equal(rights(), 2);
    WANT(INVALID, ALTER(.send_as_add = CALL(TextList, text_list, LIST(texts, "@nothing"))));
    WANT(INVALID, ALTER(.send_as_add = CALL(TextList, text_list, LIST(texts, "@"))));
    WANT(INVALID, ALTER(.send_as_add = CALL(TextList, text_list, LIST(texts, ""))));
    WANT(OK, ALTER(.send_as_remove = CALL(TextList, text_list, LIST(texts, "x@other.example")),
                   .send_as_add =
                       CALL(TextList, text_list, LIST(texts, "@sub.example", "y@a.example"))));
    assert_int_equal(rights(), 2);
    WANT(TOOBIG, ALTER(.send_as_add = CALL(TextList, text_list, .n_texts = SEND_AS_MAX + 1,
                                           .texts = many)));
    WANT(TOOBIG, ALTER(.send_as_add =
                           CALL(TextList, text_list, .n_texts = SEND_AS_MAX, .texts = many)));
    assert_int_equal(rights(), 2);
    WANT(OK, ALTER(.send_as_add =
                       CALL(TextList, text_list, .n_texts = SEND_AS_MAX - 2, .texts = many)));
    assert_int_equal(rights(), SEND_AS_MAX);
}

/* What an account has goes with it, and comes back. */
static void test_comes_back_as_it_was(void **state)
{
    Pr__AccountRecord *ann;

    (void)state;
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    WANT(OK, ALTER(.forward =
                       CALL(AccountForward, account_forward, LIST(targets, "x@other.example")),
                   .bars_set = PR__ACCOUNT_BAR__BAR_SEND,
                   .send_as_add = CALL(TextList, text_list, LIST(texts, "@sub.example"))));
    WANT(OK, RUN(CredentialsSet, credentials_set, CREDENTIALS_SET,
                 .address = TEXT("ann@acme.example"), .password_hash = TEXT("$new")));
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_ACCOUNT, "ann@acme.example",
                               "sending.class", "mass"));
    WANT(OK, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
                 .address = TEXT("ann@acme.example"), .keep_ms = 100000));
    WANT(OK, RUN(AccountRestore, account_restore, ACCOUNT_RESTORE,
                 .address = TEXT("ann@acme.example")));
    ann = directory_lab_account_of(lab, "ann@acme.example");
    assert_string_equal(ann->forward->targets[0], "x@other.example");
    assert_int_equal(ann->bars, PR__ACCOUNT_BAR__BAR_SEND);
    assert_int_equal(ann->n_send_as, 1);
    assert_int_not_equal(ann->credentials->changed_ms, 0);
    /* Another group of the cluster takes it: the record stays as it is. */
    uint32_t to = ann->group % DIRECTORY_LAB_GROUPS + 1;
    WANT(OK, RUN(AccountMoveBegin, account_move_begin, ACCOUNT_MOVE_BEGIN,
                 .address = TEXT("ann@acme.example"), .group = to));
    Pr__Outcome *claim = RUN(AccountMoveClaim, account_move_claim, ACCOUNT_MOVE_CLAIM,
                             .account_id = ann->id, .from = ann->group);
    WANT(OK, claim);
    WANT(OK, RUN(AccountMoveDone, account_move_done, ACCOUNT_MOVE_DONE, .account_id = ann->id,
                 .attempt = claim->id));
    ann = directory_lab_account_of(lab, "ann@acme.example");
    assert_int_equal(ann->group, to);
    assert_string_equal(ann->forward->targets[0], "x@other.example");
    assert_int_not_equal(ann->credentials->changed_ms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_domain_stands_for_another, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_a_domain_cannot_stand_for, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forwards, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bars, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_comes_back_as_it_was, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
