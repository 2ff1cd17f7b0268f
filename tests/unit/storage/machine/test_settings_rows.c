/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of settings in the directory: whose they are, and that they go with whom they are of.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/machine/directory_settings.h"
#include "storage/query/settings.h"
#include "tests/unit/storage/directory_lab.h"

static struct lab the_lab;
static struct lab *const lab = &the_lab;

#define CLUSTER PR__SETTING_SCOPE__SETTING_CLUSTER
#define TENANT PR__SETTING_SCOPE__SETTING_TENANT
#define DOMAIN PR__SETTING_SCOPE__SETTING_DOMAIN
#define ACCOUNT PR__SETTING_SCOPE__SETTING_ACCOUNT
#define ANN "ann@acme.example"

static int setup(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    WANT(OK, directory_lab_account(lab, ANN));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    directory_lab_recount(lab);
    lab_close(lab);
    return 0;
}

static uint64_t version(void)
{
    struct db_txn *txn = db_read_begin(lab->db);
    uint64_t found = settings_version(txn);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return found;
}

/* What counts for the account of ann, and for others of her domain, and so on. */
static const char *counts(Pr__SettingScope scope, enum setting_id id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct settings_place place =
        settings_place_account(txn, directory_lab_account_of(lab, ANN), &lab->arena);
    struct settings *settings = arena_alloc(&lab->arena, sizeof(*settings));
    struct bytes text;

    if (scope < ACCOUNT)
        place.account_id = 0;
    if (scope < DOMAIN)
        place.domain_id = 0;
    if (scope < TENANT)
        place.tenant_id = 0;
    text = settings_text(txn, place, id, &lab->arena);
    settings_load(txn, place, &lab->arena, settings);
    assert_true(bytes_equal(text, setting_text(settings, id)));
    assert_int_equal(settings_number(txn, place, id), setting_number(settings, id));
    assert_int_equal(db_commit(&txn), ERR_OK);
    return arena_string(&lab->arena, text);
}

static void test_the_narrower_scope_wins(void **state)
{
    (void)state;
    assert_int_equal(version(), 1);
    assert_string_equal(counts(ACCOUNT, SETTING_SENDING_CLASS), "normal");
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "sending.class", "new"));
    assert_true(lab->events.settings_changed);
    assert_int_equal(version(), 2);
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "sending.class", "new"));
    assert_false(lab->events.settings_changed);
    assert_int_equal(version(), 2);
    WANT(OK, directory_lab_set(lab, TENANT, "acme", "sending.class", "mass"));
    WANT(OK, directory_lab_set(lab, DOMAIN, "acme.example", "sending.class", "custom"));
    WANT(OK, directory_lab_set(lab, ACCOUNT, ANN, "sending.class", "normal"));
    assert_int_equal(version(), 5);
    assert_string_equal(counts(CLUSTER, SETTING_SENDING_CLASS), "new");
    assert_string_equal(counts(TENANT, SETTING_SENDING_CLASS), "mass");
    assert_string_equal(counts(DOMAIN, SETTING_SENDING_CLASS), "custom");
    assert_string_equal(counts(ACCOUNT, SETTING_SENDING_CLASS), "normal");
    /* What nobody understands counts for nothing. */
    WANT(OK, directory_lab_set(lab, ACCOUNT, ANN, "sending.class", "gold"));
    assert_string_equal(counts(ACCOUNT, SETTING_SENDING_CLASS), "custom");
    WANT(OK, directory_lab_set(lab, ACCOUNT, ANN, "no.such_setting", "x"));
    WANT(OK, directory_lab_set(lab, ACCOUNT, ANN, "sending.class", ""));
    WANT(OK, directory_lab_set(lab, DOMAIN, "acme.example", "sending.class", ""));
    assert_string_equal(counts(ACCOUNT, SETTING_SENDING_CLASS), "mass");
    assert_int_equal(version(), 9);
    WANT(OK, directory_lab_set(lab, DOMAIN, "acme.example", "sending.class", ""));
    assert_int_equal(version(), 9);
}

static void test_whose_it_is(void **state)
{
    (void)state;
    WANT(NOTFOUND, directory_lab_set(lab, TENANT, "none", "mail.outbound", "on"));
    WANT(NOTFOUND, directory_lab_set(lab, DOMAIN, "other.example", "mail.outbound", "on"));
    WANT(NOTFOUND, directory_lab_set(lab, ACCOUNT, "bob@acme.example", "mail.outbound", "on"));
    WANT(INVALID, directory_lab_set(lab, ACCOUNT, "bob", "mail.outbound", "on"));
    WANT(INVALID, directory_lab_set(lab, CLUSTER, "acme", "mail.outbound", "on"));
    WANT(INVALID, directory_lab_set(lab, (Pr__SettingScope)9, "", "mail.outbound", "on"));
    assert_int_equal(version(), 1);
}

static size_t rows(Pr__SettingScope scope, uint64_t id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__Setting **found;
    size_t count;

    settings_rows(txn, scope, id, &lab->arena, &found, &count);
    for (size_t i = 1; i < count; i++)
        assert_true(strcmp(found[i - 1]->name, found[i]->name) < 0);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return count;
}

static void test_goes_with_its_owner(void **state)
{
    uint64_t account = directory_lab_account_of(lab, ANN)->id;
    uint64_t domain = directory_lab_domain_of(lab, "sub.example")->id;

    (void)state;
    WANT(OK, directory_lab_set(lab, ACCOUNT, ANN, "mail.outbound", "on"));
    WANT(OK, directory_lab_set(lab, ACCOUNT, ANN, "sending.class", "mass"));
    WANT(OK, directory_lab_set(lab, DOMAIN, "sub.example", "mail.outbound", "on"));
    WANT(OK, directory_lab_set(lab, DOMAIN, "acme.example", "mail.outbound", "on"));
    WANT(OK, directory_lab_set(lab, TENANT, "bar", "mail.outbound", "on"));
    assert_int_equal(rows(ACCOUNT, account), 2);
    assert_int_equal(version(), 6);
    /* An account can come back, with what was set for it, until its mail is purged. */
    WANT(OK, RUN(AccountRemove, account_remove, ACCOUNT_REMOVE, .address = TEXT(ANN),
                 .keep_ms = 1000));
    assert_int_equal(rows(ACCOUNT, account), 2);
    WANT(OK, RUN(PurgeDone, purge_done, PURGE_DONE, .account_id = account));
    assert_int_equal(rows(ACCOUNT, account), 0);
    assert_int_equal(version(), 7);
    assert_int_equal(rows(DOMAIN, domain), 1);
    WANT(OK, RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = TEXT("sub.example")));
    assert_true(lab->events.settings_changed);
    assert_int_equal(rows(DOMAIN, domain), 0);
    assert_int_equal(rows(DOMAIN, directory_lab_domain_of(lab, "acme.example")->id), 1);
    WANT(OK, RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = TEXT("bar.example")));
    WANT(OK, RUN(TenantRemove, tenant_remove, TENANT_REMOVE, .name = TEXT("bar")));
    assert_int_equal(version(), 9);
    /* Who comes later under the same name begins anew. */
    WANT(OK, directory_lab_domain(lab, "sub.example", "acme"));
    assert_int_equal(rows(DOMAIN, directory_lab_domain_of(lab, "sub.example")->id), 0);
}

static void test_form_and_number(void **state)
{
    char name[SETTING_NAME_SIZE_MAX + 2];
    char *value = arena_alloc(&lab->arena, SETTING_VALUE_SIZE_MAX + 2);

    (void)state;
    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    memset(value, 'v', SETTING_VALUE_SIZE_MAX + 1);
    WANT(INVALID, directory_lab_set(lab, CLUSTER, "", "", "v"));
    WANT(INVALID, directory_lab_set(lab, CLUSTER, "", "Upper", "v"));
    WANT(INVALID, directory_lab_set(lab, CLUSTER, "", "with blank", "v"));
    WANT(INVALID, directory_lab_set(lab, CLUSTER, "", name, "v"));
    name[SETTING_NAME_SIZE_MAX] = '\0';
    WANT(OK, directory_lab_set(lab, CLUSTER, "", name, "v"));
    WANT(TOOBIG, directory_lab_set(lab, CLUSTER, "", "x", value));
    value[SETTING_VALUE_SIZE_MAX] = '\0';
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "x", value));
    WANT(INVALID, directory_lab_set(lab, CLUSTER, "", "x", "\xff"));
    WANT(INVALID, RUN(SettingPut, setting_put, SETTING_PUT, .scope = CLUSTER));
    for (unsigned i = 2; i < SETTINGS_MAX; i++)
        WANT(OK,
             directory_lab_set(lab, CLUSTER, "", arena_printf(&lab->arena, "many.%u", i), "v"));
    WANT(TOOBIG, directory_lab_set(lab, CLUSTER, "", "one.more", "v"));
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "many.7", "w"));
    WANT(OK, directory_lab_set(lab, TENANT, "acme", "one.more", "v"));
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "many.7", ""));
    WANT(OK, directory_lab_set(lab, CLUSTER, "", "one.more", "v"));
}

/* A domain of a release before format 3 gets its number with its first setting. */
static void test_a_domain_without_a_number(void **state)
{
    (void)state;
    lab_close(lab);
    directory_lab_open(lab, FORMAT_DEPTH);
    assert_int_equal(directory_lab_domain_of(lab, "acme.example")->id, 0);
    directory_lab_raise(lab, FORMAT_ADDRESSES);
    WANT(OK, directory_lab_set(lab, DOMAIN, "acme.example", "mail.outbound", "on"));
    WANT(OK, directory_lab_set(lab, DOMAIN, "sub.example", "mail.outbound", "on"));
    assert_int_not_equal(directory_lab_domain_of(lab, "acme.example")->id, 0);
    assert_int_not_equal(directory_lab_domain_of(lab, "acme.example")->id,
                         directory_lab_domain_of(lab, "sub.example")->id);
    assert_int_equal(rows(DOMAIN, directory_lab_domain_of(lab, "acme.example")->id), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_narrower_scope_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whose_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(test_goes_with_its_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_form_and_number, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_domain_without_a_number, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
