/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Aliases and lists in the directory: each address has one owner. */
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

/* A command that says nothing. */
#define BARE(type, name, NAME)                                                                 \
    lab_apply(lab, 0,                                                                          \
              LAB_COMMAND(name, NAME,                                                          \
                          (&(Pr__##type){                                                      \
                              .base = PROTOBUF_C_MESSAGE_INIT(&pr__##name##__descriptor)})))

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

static size_t targets_of(const char *address)
{
    Pr__AliasRecord *alias = directory_lab_alias_of(lab, address);

    return alias != NULL ? alias->n_targets : SIZE_MAX;
}

static Pr__Outcome *change(const char *add, const char *remove)
{
    return RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("a@acme.example"),
               .n_add = add != NULL, .add = directory_lab_texts(lab, add != NULL, &add),
               .n_remove = remove != NULL,
               .remove = directory_lab_texts(lab, remove != NULL, &remove));
}

static void test_made_changed_removed(void **state)
{
    Pr__AliasRecord *alias;

    (void)state;
    WANT(OK, RUN(AliasAdd, alias_add, ALIAS_ADD, .address = TEXT("a@acme.example"),
                 LIST(targets, "b@acme.example", "c@other.example", "b@acme.example")));
    alias = directory_lab_alias_of(lab, "a@acme.example");
    assert_int_equal(alias->n_targets, 2);
    assert_string_equal(alias->targets[1], "c@other.example");
    assert_string_equal(alias->tenant, "acme");
    assert_int_not_equal(alias->group, 0);
    assert_int_equal(alias->created_ms, lab->now_ms);
    WANT(OK, change("d@other.example", "b@acme.example"));
    alias = directory_lab_alias_of(lab, "a@acme.example");
    assert_int_equal(alias->n_targets, 2);
    assert_string_equal(alias->targets[0], "c@other.example");
    assert_string_equal(alias->targets[1], "d@other.example");
    WANT(OK, change("d@other.example", "gone@other.example"));
    assert_int_equal(targets_of("a@acme.example"), 2);
    WANT(INVALID, change("a@acme.example", NULL));
    WANT(INVALID, change("Not Folded@acme.example", NULL));
    WANT(INVALID, change("nobody", NULL));
    WANT(OK, RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("a@acme.example"),
                 .disabled = CALL(BoolValue, bool_value, .on = true)));
    assert_true(directory_lab_alias_of(lab, "a@acme.example")->disabled);
    assert_int_equal(targets_of("a@acme.example"), 2);
    directory_lab_recount(lab);
    WANT(OK, RUN(AliasRemove, alias_remove, ALIAS_REMOVE, .address = TEXT("a@acme.example")));
    WANT(NOTFOUND,
         RUN(AliasRemove, alias_remove, ALIAS_REMOVE, .address = TEXT("a@acme.example")));
    WANT(NOTFOUND, change("x@acme.example", NULL));
    assert_int_equal(directory_lab_domain_of(lab, "acme.example")->aliases, 0);
}

static void test_of_a_domain_of_ours_only(void **state)
{
    (void)state;
    WANT(NOTFOUND, directory_lab_alias(lab, "a@other.example", "b@acme.example"));
    WANT(INVALID, directory_lab_alias(lab, "a", "b@acme.example"));
    WANT(INVALID, directory_lab_alias(lab, "postmaster@localhost2", "b@acme.example"));
    WANT(INVALID, directory_lab_alias(lab, "srs0=x@acme.example", "b@acme.example"));
    WANT(INVALID, directory_lab_account(lab, "srs1+x@acme.example"));
    WANT(INVALID, directory_lab_alias(lab, "a\xc2\x80@acme.example", "b@acme.example"));
    WANT(INVALID, directory_lab_alias(lab, "a\xff@acme.example", "b@acme.example"));
    WANT(OK, directory_lab_alias(lab, "\xc3\xbc@acme.example", "b@acme.example"));
    WANT(INVALID, directory_lab_alias(lab, "a@acme.example", "a@acme.example"));
}

static void test_an_address_has_one_owner(void **state)
{
    (void)state;
    WANT(OK, directory_lab_account(lab, "ann@acme.example"));
    WANT(EXISTS, directory_lab_alias(lab, "ann@acme.example", "b@acme.example"));
    WANT(OK, directory_lab_alias(lab, "a@acme.example", "b@acme.example"));
    WANT(EXISTS, directory_lab_account(lab, "a@acme.example"));
    WANT(EXISTS, directory_lab_alias(lab, "a@acme.example", "b@acme.example"));
    /* An account that was removed comes back only if its address is still free. */
    WANT(OK, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
                 .address = TEXT("ann@acme.example"), .keep_ms = 100000));
    WANT(OK, directory_lab_alias(lab, "ann@acme.example", "b@acme.example"));
    WANT(EXISTS, RUN(AccountRestore, account_restore, ACCOUNT_RESTORE,
                     .address = TEXT("ann@acme.example")));
    WANT(OK, RUN(AliasRemove, alias_remove, ALIAS_REMOVE, .address = TEXT("ann@acme.example")));
    WANT(OK, RUN(AccountRestore, account_restore, ACCOUNT_RESTORE,
                 .address = TEXT("ann@acme.example")));
}

static void test_a_list_keeps_its_other_addresses(void **state)
{
    (void)state;
    WANT(OK, directory_lab_list(lab, "news@acme.example", "m@acme.example", "o@acme.example"));
    WANT(EXISTS, directory_lab_account(lab, "news-owner@acme.example"));
    WANT(EXISTS, directory_lab_alias(lab, "news-bounces@acme.example", "b@acme.example"));
    WANT(OK, directory_lab_account(lab, "news-owner@sub.example"));
    WANT(OK, directory_lab_alias(lab, "plain@acme.example", "b@acme.example"));
    WANT(OK, directory_lab_account(lab, "plain-owner@acme.example"));
    WANT(EXISTS,
         directory_lab_list(lab, "news@sub.example", "m@acme.example", "o@acme.example"));
    WANT(OK, directory_lab_account(lab, "team-owner@acme.example"));
    WANT(EXISTS,
         directory_lab_list(lab, "team@acme.example", "m@acme.example", "o@acme.example"));
    WANT(OK, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
                 .address = TEXT("team-owner@acme.example"), .keep_ms = 100000));
    WANT(OK, directory_lab_list(lab, "team@acme.example", "m@acme.example", "o@acme.example"));
    WANT(EXISTS, RUN(AccountRestore, account_restore, ACCOUNT_RESTORE,
                     .address = TEXT("team-owner@acme.example")));
    WANT(OK,
         RUN(AliasRemove, alias_remove, ALIAS_REMOVE, .address = TEXT("news@acme.example")));
    WANT(OK, directory_lab_account(lab, "news-owner@acme.example"));
}

#define LIST_CHANGE(to, ...)                                                                   \
    RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT(to),                          \
        .list = CALL(ListSettings, list_settings, __VA_ARGS__))

static void test_settings_of_a_list(void **state)
{
    char local[] = "0123456789012345678901234567890123456789012345678901234567@acme.example";
    char *description = arena_alloc(&lab->arena, LIST_DESCRIPTION_SIZE_MAX + 2);

    (void)state;
    memset(description, 'x', LIST_DESCRIPTION_SIZE_MAX + 1);
    WANT(OK, directory_lab_list(lab, "news@acme.example", "m@acme.example", "o@acme.example"));
    WANT(OK, directory_lab_alias(lab, "a@acme.example", "b@acme.example"));
    WANT(OK, LIST_CHANGE("news@acme.example", .owner = TEXT("p@acme.example"),
                         .post = PR__LIST_SETTINGS__POST__OWNER));
    assert_int_equal(directory_lab_alias_of(lab, "news@acme.example")->list->post,
                     PR__LIST_SETTINGS__POST__OWNER);
    WANT(INVALID, LIST_CHANGE("a@acme.example", .owner = TEXT("p@acme.example")));
    WANT(INVALID, LIST_CHANGE("news@acme.example", .owner = TEXT("")));
    WANT(INVALID, LIST_CHANGE("news@acme.example", .owner = TEXT("news@acme.example")));
    WANT(INVALID, LIST_CHANGE("news@acme.example", .owner = TEXT("p@acme.example"),
                              .post = (Pr__ListSettings__Post)7));
    WANT(INVALID, LIST_CHANGE("news@acme.example", .owner = TEXT("p@acme.example"),
                              .description = TEXT("two\nlines")));
    WANT(INVALID, LIST_CHANGE("news@acme.example", .owner = TEXT("p@acme.example"),
                              .description = description));
    description[LIST_DESCRIPTION_SIZE_MAX] = '\0';
    WANT(OK, LIST_CHANGE("news@acme.example", .owner = TEXT("p@acme.example"),
                         .description = description));
    WANT(TOOBIG, directory_lab_list(lab, local, "m@acme.example", "o@acme.example"));
    WANT(OK, directory_lab_list(lab, local + 2, "m@acme.example", "o@acme.example"));
}

static char **many(size_t count, unsigned from)
{
    char **texts = arena_alloc(&lab->arena, count * sizeof(*texts));

    for (size_t i = 0; i < count; i++)
        texts[i] = arena_printf(&lab->arena, "m%zu@other.example", from + i);
    return texts;
}

static void test_number_of_targets(void **state)
{
    (void)state;
    WANT(TOOBIG,
         RUN(AliasAdd, alias_add, ALIAS_ADD, .address = TEXT("a@acme.example"),
             .n_targets = ALIAS_TARGETS_MAX + 1, .targets = many(ALIAS_TARGETS_MAX + 1, 0)));
    assert_int_equal(targets_of("a@acme.example"), SIZE_MAX);
    WANT(OK, RUN(AliasAdd, alias_add, ALIAS_ADD, .address = TEXT("a@acme.example"),
                 .n_targets = ALIAS_TARGETS_MAX, .targets = many(ALIAS_TARGETS_MAX, 0)));
    WANT(TOOBIG, change("one@other.example", NULL));
    assert_int_equal(targets_of("a@acme.example"), ALIAS_TARGETS_MAX);
    WANT(OK, change("one@other.example", "m0@other.example"));
    WANT(OK, change("m5@other.example", NULL));
    /* one@ stays: with a thousand others it would be one too many. */
    WANT(TOOBIG, RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("a@acme.example"),
                     .n_remove = ALIAS_TARGETS_MAX, .remove = many(ALIAS_TARGETS_MAX, 0),
                     .n_add = ALIAS_TARGETS_MAX, .add = many(ALIAS_TARGETS_MAX, 500)));
    WANT(OK, RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("a@acme.example"),
                 .n_remove = ALIAS_TARGETS_MAX, .remove = many(ALIAS_TARGETS_MAX, 0),
                 .n_add = ALIAS_TARGETS_MAX - 1, .add = many(ALIAS_TARGETS_MAX - 1, 500)));
    WANT(TOOBIG,
         RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = TEXT("a@acme.example"),
             .n_remove = ALIAS_TARGETS_MAX + 1, .remove = many(ALIAS_TARGETS_MAX + 1, 0)));
    assert_int_equal(targets_of("a@acme.example"), ALIAS_TARGETS_MAX);
    WANT(OK, RUN(AliasAdd, alias_add, ALIAS_ADD, .address = TEXT("empty@acme.example")));
    assert_int_equal(targets_of("empty@acme.example"), 0);
}

static void test_a_domain_with_aliases_stays(void **state)
{
    (void)state;
    WANT(OK, directory_lab_alias(lab, "a@sub.example", "b@acme.example"));
    WANT(INVALID, RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = TEXT("sub.example")));
    WANT(OK, RUN(AliasRemove, alias_remove, ALIAS_REMOVE, .address = TEXT("a@sub.example")));
    WANT(OK, RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = TEXT("sub.example")));
}

/* Below the format these commands are what they are for the release before: unknown. */
static void test_format(void **state)
{
    Pr__Outcome *outcome;

    (void)state;
    lab_close(lab);
    directory_lab_open(lab, FORMAT_SCOPES);
    outcome = directory_lab_alias(lab, "a@acme.example", "b@acme.example");
    WANT(UNSUPPORTED, outcome);
    assert_string_equal(outcome->text, "a command that this version does not know");
    WANT(UNSUPPORTED, directory_lab_role(lab));
    WANT(UNSUPPORTED,
         directory_lab_set(lab, PR__SETTING_SCOPE__SETTING_CLUSTER, "", "mail.outbound", "on"));
    WANT(UNSUPPORTED, BARE(AliasChange, alias_change, ALIAS_CHANGE));
    WANT(UNSUPPORTED, BARE(AliasRemove, alias_remove, ALIAS_REMOVE));
    WANT(UNSUPPORTED, BARE(DomainRoute, domain_route, DOMAIN_ROUTE));
    WANT(UNSUPPORTED, BARE(AccountAlter, account_alter, ACCOUNT_ALTER));
    WANT(UNSUPPORTED, BARE(CredentialsSet, credentials_set, CREDENTIALS_SET));
    WANT(UNSUPPORTED, BARE(AppPasswordAdd, app_password_add, APP_PASSWORD_ADD));
    WANT(UNSUPPORTED, BARE(AppPasswordRemove, app_password_remove, APP_PASSWORD_REMOVE));
    WANT(UNSUPPORTED, BARE(TotpUsed, totp_used, TOTP_USED));
    WANT(UNSUPPORTED, BARE(FirewallPut, firewall_put, FIREWALL_PUT));
    WANT(UNSUPPORTED, BARE(FirewallRemove, firewall_remove, FIREWALL_REMOVE));
    WANT(UNSUPPORTED, BARE(SenderDomainPut, sender_domain_put, SENDER_DOMAIN_PUT));
    /* What format 4 refuses, the one before took; and what it has stays. */
    WANT(OK, directory_lab_account(lab, "srs0=x@acme.example"));
    WANT(OK, directory_lab_account(lab, "c\xc2\x80@acme.example"));
    WANT(INVALID, directory_lab_account(lab, ROLE_ADDRESS));
    WANT(OK, RUN(AccountPassword, account_password, ACCOUNT_PASSWORD,
                 .address = TEXT("srs0=x@acme.example"), .password_hash = TEXT("$other")));
    assert_null(directory_lab_account_of(lab, "srs0=x@acme.example")->credentials);
    directory_lab_raise(lab, FORMAT_ADDRESSES);
    WANT(OK, RUN(AccountPassword, account_password, ACCOUNT_PASSWORD,
                 .address = TEXT("srs0=x@acme.example"), .password_hash = TEXT("$third")));
    assert_int_equal(
        directory_lab_account_of(lab, "srs0=x@acme.example")->credentials->changed_ms,
        lab->now_ms);
    WANT(OK, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE,
                 .address = TEXT("c\xc2\x80@acme.example")));
    WANT(INVALID, directory_lab_account(lab, "c\xc2\x80@acme.example"));
    WANT(OK, directory_lab_alias(lab, "a@acme.example", "b@acme.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_made_changed_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_of_a_domain_of_ours_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_address_has_one_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_list_keeps_its_other_addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_settings_of_a_list, setup, teardown),
        cmocka_unit_test_setup_teardown(test_number_of_targets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_domain_with_aliases_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_format, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
