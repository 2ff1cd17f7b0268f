/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Addresses that stand for very many; explanations; who may send as what; pages. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/directory_addresses.h"
#include "storage/query/addresses_list.h"
#include "storage/query/directory.h"
#include "storage/schema/flags.h"
#include "tests/unit/storage/addresses_lab.h"

static int setup(void **state)
{
    (void)state;
    addresses_lab_open();
    WANT(OK,
         directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.outbound", "on"));
    addresses_lab_sender("");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    directory_lab_recount(lab);
    lab_close(lab);
    return 0;
}

/* An alias of `count` addresses from `form`, with numbers from `from` on. */
static void alias_of_many(const char *alias, const char *domain, unsigned from, unsigned count)
{
    char **targets = arena_alloc(&lab->arena, count * sizeof(*targets));

    for (unsigned i = 0; i < count; i++)
        targets[i] = arena_printf(&lab->arena, "t%u@%s", from + i, domain);
    WANT(OK, RUN(AliasAdd, alias_add, ALIAS_ADD,
                 .address = arena_string(&lab->arena, bytes_of(alias)), .n_targets = count,
                 .targets = targets));
}

static size_t targets(void)
{
    return addresses_lab_last()->message.n_targets;
}

static void test_a_long_way(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ADDRESSES_DEPTH_MAX; i++)
        WANT(OK,
             directory_lab_alias(lab, arena_printf(&lab->arena, "step%u@acme.example", i),
                                 i + 1 < ADDRESSES_DEPTH_MAX
                                     ? arena_printf(&lab->arena, "step%u@acme.example", i + 1)
                                     : "ann@acme.example"));
    GOES("step0@acme.example", "ann@acme.example");
    ALIAS("more@acme.example", "step0@acme.example", "bob@acme.example");
    GOES("more@acme.example", "LOOP for good");
}

static void test_many_targets(void **state)
{
    (void)state;
    alias_of_many("most@acme.example", "other.example", 0, ALIAS_TARGETS_MAX);
    addresses_lab_ask("most@acme.example");
    assert_int_equal(targets(), DELIVER_RECIPIENTS_MAX);
    assert_string_equal(addresses_lab_last()->message.targets[999]->remote,
                        "t999@other.example");
    ALIAS("twice@acme.example", "most@acme.example", "t7@other.example");
    addresses_lab_ask("twice@acme.example");
    assert_int_equal(targets(), DELIVER_RECIPIENTS_MAX);
    ALIAS("more@acme.example", "most@acme.example", "one.more@other.example");
    GOES("more@acme.example", "LOOP for good");
}

/* As many aliases as there may be, each of as many: no more is looked at than there may be. */
static void test_very_many(void **state)
{
    (void)state;
    alias_of_many("top@acme.example", "acme.example", 0, 8);
    for (unsigned i = 0; i < 8; i++)
        alias_of_many(arena_printf(&lab->arena, "t%u@acme.example", i), "sub.example", 1000 * i,
                      1000);
    GOES("top@acme.example", "LOOP for good");
    assert_true(addresses_lab_last()->step_count < 2 * ADDRESSES_LOOKS_MAX);
    /* Dead ends are no targets, but they are looked at. */
    alias_of_many("dead@acme.example", "sub.example", 0, ALIAS_TARGETS_MAX);
    GOES("dead@acme.example", "NOTFOUND");
}

static bool explained(const char *what)
{
    for (size_t i = 0; i < addresses_lab_last()->step_count; i++)
        if (strcmp(addresses_lab_last()->steps[i], what) == 0)
            return true;
    return false;
}

static void test_explained(void **state)
{
    (void)state;
    ROUTE("sub.example", .alias_of = TEXT("acme.example"));
    ALIAS("team@acme.example", "ann@acme.example", "gone@acme.example", "far@other.example");
    GOES("team+x@sub.example", "ann@acme.example far@other.example");
    assert_true(explained("team+x@sub.example: the same as team+x@acme.example"));
    assert_true(explained("team+x@sub.example: a sub-address of team@acme.example"));
    assert_true(explained("team@acme.example: an alias of 3 addresses"));
    assert_true(explained("ann@acme.example gets it"));
    assert_true(explained("gone@acme.example: nobody has that address, passed over"));
    assert_true(explained("far@other.example gets it, on another host"));
    GOES("nobody@acme.example", "NOTFOUND");
    assert_true(explained("nobody@acme.example: nobody has that address"));
    ALIAS("one@acme.example", "ann@acme.example");
    GOES("one@acme.example", "ann@acme.example");
    assert_true(explained("one@acme.example: an alias of 1 address"));
    WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.postmaster",
                               "gone@acme.example"));
    GOES("abuse@acme.example", "postmaster@localhost");
    unsigned said = 0;
    for (size_t i = 0; i < addresses_lab_last()->step_count; i++)
        said +=
            strcmp(addresses_lab_last()->steps[i], "mail.postmaster: gone@acme.example") == 0;
    assert_int_equal(said, 1);
}

/* ---- who may send as what ---- */

static bool may_send(const char *account, const char *address)
{
    struct db_txn *txn = db_read_begin(lab->db);
    bool may = addresses_may_send(txn, directory_account(txn, bytes_of(account), &lab->arena),
                                  bytes_of(address), &lab->arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return may;
}

#define ANN "ann@acme.example"

static void test_may_send(void **state)
{
    (void)state;
    ROUTE("sub.example", .alias_of = TEXT("acme.example"));
    assert_true(may_send(ANN, ANN));
    assert_true(may_send(ANN, "ann+x@acme.example"));
    assert_true(may_send(ANN, "ann@sub.example"));
    assert_true(may_send(ANN, "ann+x@sub.example"));
    assert_false(may_send(ANN, "bob@acme.example"));
    assert_false(may_send(ANN, "ann@bar.example"));
    assert_false(may_send(ANN, "ann@other.example"));
    assert_false(may_send(ANN, "nobody@acme.example"));
    assert_false(may_send(ANN, ""));
    assert_false(may_send(ANN, "postmaster@acme.example"));
    ALIAS("sales@acme.example", "bob@acme.example", ANN);
    assert_true(may_send(ANN, "sales@acme.example"));
    assert_true(may_send(ANN, "sales+x@acme.example"));
    assert_true(may_send(ANN, "sales@sub.example"));
    assert_false(may_send("cid@bar.example", "sales@acme.example"));
    /* Not by an alias of an alias, a list, or one that is disabled. */
    ALIAS("all@acme.example", "sales@acme.example");
    assert_false(may_send(ANN, "all@acme.example"));
    WANT(OK, directory_lab_list(lab, "news@acme.example", ANN, ANN));
    assert_false(may_send(ANN, "news@acme.example"));
    assert_false(may_send(ANN, "news-owner@acme.example"));
    WANT(OK, RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("sales@acme.example"),
                 .disabled = CALL(BoolValue, bool_value, .on = true)));
    assert_false(may_send(ANN, "sales@acme.example"));
    ROUTE("bar.example", LIST(catch_all, ANN));
    assert_false(may_send(ANN, "anybody@bar.example"));
}

static void test_may_send_by_right(void **state)
{
    (void)state;
    ROUTE("sub.example", .alias_of = TEXT("acme.example"));
    WANT(OK, RUN(AccountAlter, account_alter, ACCOUNT_ALTER, .address = TEXT(ANN),
                 .send_as_add = CALL(
                     TextList, text_list,
                     LIST(texts, "bob@acme.example", "me@other.example", "@bar.example"))));
    assert_true(may_send(ANN, "bob@acme.example"));
    assert_true(may_send(ANN, "bob+x@sub.example"));
    assert_true(may_send(ANN, "me@other.example"));
    assert_false(may_send(ANN, "me+x@other.example"));
    assert_true(may_send(ANN, "anybody@bar.example"));
    assert_false(may_send(ANN, "anybody@x.bar.example"));
    assert_false(may_send("bob@acme.example", ANN));
}

/* ---- pages ---- */

static const char *page(const char *domain, unsigned limit, bool lists)
{
    struct db_txn *txn = db_read_begin(lab->db);
    char *text = arena_string(&lab->arena, BYTES(""));
    struct bytes after = BYTES("");
    bool more = true;

    while (more) {
        Pr__AliasRecord **found;
        size_t count;
        more = directory_aliases(txn, bytes_of(domain), after, limit, lists, &lab->arena,
                                 &found, &count, &after);
        for (size_t i = 0; i < count; i++)
            text = arena_printf(&lab->arena, "%s%s ", text, found[i]->address);
    }
    assert_int_equal(db_commit(&txn), ERR_OK);
    return text;
}

static void test_pages_of_aliases(void **state)
{
    (void)state;
    ALIAS("b@acme.example", ANN);
    ALIAS("a@acme.example", ANN);
    ALIAS("c@bar.example", ANN);
    WANT(OK, directory_lab_list(lab, "l@acme.example", ANN, ANN));
    WANT(OK, directory_lab_list(lab, "m@bar.example", ANN, ANN));
    for (unsigned limit = 1; limit < 5; limit++) {
        assert_string_equal(page("", limit, false),
                            "a@acme.example b@acme.example c@bar.example ");
        assert_string_equal(page("acme.example", limit, false),
                            "a@acme.example b@acme.example ");
        assert_string_equal(page("", limit, true), "l@acme.example m@bar.example ");
        assert_string_equal(page("bar.example", limit, true), "m@bar.example ");
        assert_string_equal(page("other.example", limit, true), "");
    }
}

static void test_full_for_good(void **state)
{
    struct db_txn *txn;
    static const struct {
        const char *value;
        bool policy;
        bool want;
    } rows[] = {{"", false, false},         {"", true, true},
                {"policy", true, true},     {"permanent", false, true},
                {"temporary", true, false}, {"temporary", false, false}};

    (void)state;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        WANT(OK, directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_DOMAIN, "acme.example",
                                   "mail.full", rows[i].value));
        WANT(OK, RUN(PolicySet, policy_set, POLICY_SET,
                     .policy = CALL(MailPolicy, mail_policy,
                                    .over_quota_permanent = rows[i].policy)));
        txn = db_read_begin(lab->db);
        assert_int_equal(addresses_full_permanent(
                             txn, directory_account(txn, BYTES(ANN), &lab->arena), &lab->arena),
                         rows[i].want);
        assert_int_equal(db_commit(&txn), ERR_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_long_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_targets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_very_many, setup, teardown),
        cmocka_unit_test_setup_teardown(test_explained, setup, teardown),
        cmocka_unit_test_setup_teardown(test_may_send, setup, teardown),
        cmocka_unit_test_setup_teardown(test_may_send_by_right, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages_of_aliases, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_for_good, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
