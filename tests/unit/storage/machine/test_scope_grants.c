/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The directory's side of limits of domains and tenants: who may use how much of them. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/query/directory.h"
#include "tests/unit/storage/machine/scope_lab.h"

#define CALL(type, name, ...)                                                                  \
    (&(Pr__##type){.base = PROTOBUF_C_MESSAGE_INIT(&pr__##name##__descriptor), __VA_ARGS__})
#define TEXT(text) ((char[]){text})
#define RUN(type, name, NAME, ...)                                                             \
    lab_apply(lab, 0, LAB_COMMAND(name, NAME, CALL(type, name, __VA_ARGS__)))
#define WANT(want, outcome) assert_int_equal((outcome)->err, ERR_##want)

static struct lab the_lab;
static struct lab *const lab = &the_lab;

static void directory_open(unsigned format)
{
    lab_open(lab);
    scope_lab_directory(lab, format);
}

static int setup(void **state)
{
    (void)state;
    directory_open(FORMAT_SCOPES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    lab_close(lab);
    return 0;
}

static Pr__Outcome *together(const char *tenant, const char *domain, uint64_t messages,
                             uint64_t bytes)
{
    return scope_lab_together(lab, tenant, domain, messages, bytes);
}

static Pr__DomainRecord *domain(void)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__DomainRecord *found = directory_domain(txn, BYTES("acme.example"), &lab->arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_non_null(found);
    return found;
}

static Pr__TenantRecord *tenant(void)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__TenantRecord *found = directory_tenant(txn, BYTES("acme"), &lab->arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_non_null(found);
    return found;
}

static Pr__ScopeRecord *record_of(Pr__ScopeKind kind, uint64_t id)
{
    struct db_txn *txn = db_read_begin(lab->db);
    Pr__ScopeRecord *found = scopes_record(txn, (struct scopes_place){kind, id}, &lab->arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return found;
}

static Pr__ScopeRecord *record(void)
{
    return record_of(OF_DOMAIN, domain()->id);
}

/* The domain's part of a group, of nothing when it has none. */
static Pr__ScopeShare part_of(uint32_t group)
{
    const Pr__ScopeRecord *scope = record();

    for (size_t i = 0; i < scope->n_shares; i++)
        if (scope->shares[i]->group == group)
            return *scope->shares[i];
    return (Pr__ScopeShare)PR__SCOPE_SHARE__INIT;
}

/* A share of the domain, of the limit as it is. */
static Pr__ScopeShare share(uint32_t group, uint64_t version, uint64_t messages, uint64_t bytes)
{
    Pr__ScopeShare made = PR__SCOPE_SHARE__INIT;

    made.kind = OF_DOMAIN;
    made.scope_id = domain()->id;
    made.limit = domain()->limit;
    made.group = group;
    made.version = version;
    made.used_messages = messages;
    made.used_bytes = bytes;
    return made;
}

static Pr__Outcome *ask(Pr__ScopeShare share, uint64_t need_messages, uint64_t need_bytes,
                        uint64_t want_messages, uint64_t want_bytes)
{
    return RUN(ScopeAsk, scope_ask, SCOPE_ASK, .share = &share, .need_messages = need_messages,
               .need_bytes = need_bytes, .want_messages = want_messages,
               .want_bytes = want_bytes);
}

static Pr__Outcome *returned(Pr__ScopeShare share, uint64_t messages, uint64_t bytes)
{
    share.granted_messages = messages;
    share.granted_bytes = bytes;
    return RUN(ScopeReturned, scope_returned, SCOPE_RETURNED, .share = &share);
}

static void expect_part(uint32_t group, uint64_t messages, uint64_t bytes)
{
    Pr__ScopeShare part = part_of(group);

    assert_int_equal(part.granted_messages, messages);
    assert_int_equal(part.granted_bytes, bytes);
}

/* ---- limits ---- */

static void a_limit_has_a_number(void **state)
{
    uint64_t first;

    (void)state;
    assert_int_not_equal(domain()->id, 0);
    WANT(OK, together("", "acme.example", 0, 100));
    assert_true(lab->events.scopes_changed);
    first = domain()->limit;
    assert_int_not_equal(first, 0);
    assert_int_equal(domain()->total->bytes, 100);
    assert_null(domain()->quota);
    assert_int_equal(record()->limit, first);
    assert_int_equal(record()->total->bytes, 100);
    assert_string_equal(record()->name, "acme.example");
    WANT(OK, together("", "acme.example", 0, 50)); /* another one, the same number */
    assert_int_equal(domain()->limit, first);
    assert_int_equal(record()->total->bytes, 50);
    WANT(OK, together("acme", "", 7, 0));
    assert_int_equal(tenant()->limit, first + 1);
    assert_int_equal(tenant()->total->messages, 7);
    assert_string_equal(record_of(OF_TENANT, tenant()->id)->name, "acme");
    WANT(OK, together("", "acme.example", 0, 0));
    assert_int_equal(domain()->limit, 0);
    assert_null(domain()->total);
    assert_null(record());
    WANT(OK, together("", "acme.example", 0, 50));
    assert_int_equal(domain()->limit, first + 2);
    WANT(OK, together("", "acme.example", 9, 50)); /* messages are limited for the first time */
    assert_int_equal(domain()->limit, first + 3);
    WANT(NOTFOUND, together("", "nobody.example", 0, 50));
    WANT(INVALID, together("acme", "acme.example", 0, 50));
    Pr__QuotaSet call = PR__QUOTA_SET__INIT;
    call.address = TEXT("ann@acme.example");
    call.together = true;
    WANT(INVALID, lab_apply(lab, 0, LAB_COMMAND(quota_set, QUOTA_SET, &call)));
}

static void what_is_removed_has_no_limit(void **state)
{
    uint64_t id = domain()->id;
    uint64_t tenant_id = tenant()->id;
    Pr__DomainRemove domain_gone = PR__DOMAIN_REMOVE__INIT;
    Pr__TenantRemove tenant_gone = PR__TENANT_REMOVE__INIT;

    (void)state;
    WANT(OK, together("", "acme.example", 0, 100));
    WANT(OK, together("acme", "", 0, 100));
    domain_gone.name = TEXT("acme.example");
    WANT(OK, lab_apply(lab, 0, LAB_COMMAND(domain_remove, DOMAIN_REMOVE, &domain_gone)));
    assert_null(record_of(OF_DOMAIN, id));
    tenant_gone.name = TEXT("acme");
    WANT(OK, lab_apply(lab, 0, LAB_COMMAND(tenant_remove, TENANT_REMOVE, &tenant_gone)));
    assert_null(record_of(OF_TENANT, tenant_id));
    WANT(OK, scope_lab_tenant(lab, "acme"));
    WANT(OK, scope_lab_domain(lab, "acme.example"));
    assert_true(domain()->id > id);
}

/* ---- parts ---- */

static void the_parts_are_never_more_than_the_limit(void **state)
{
    Pr__Outcome *outcome;

    (void)state;
    together("", "acme.example", 10, 100);
    outcome = ask(share(1, 0, 0, 0), 1, 10, 4, 40);
    WANT(OK, outcome);
    assert_int_equal(outcome->share->granted_messages, 4);
    assert_int_equal(outcome->share->granted_bytes, 40);
    assert_int_equal(outcome->share->version, 1);
    assert_int_equal(outcome->share->limit, domain()->limit);
    outcome = ask(share(2, 0, 0, 0), 1, 50, 50, 500); /* as far as there is room */
    WANT(OK, outcome);
    expect_part(2, 6, 60);
    assert_int_equal(outcome->share->version, 2);
    outcome = ask(share(3, 0, 0, 0), 1, 1, 1, 1);
    WANT(QUOTA, outcome);
    assert_non_null(strstr(outcome->text, "acme.example"));
    assert_int_equal(record()->wanted_ms, lab->now_ms);
    assert_int_equal(record()->wanted_bytes, 1);
    assert_int_equal(record()->wanted_messages, 1);
    assert_int_equal(record()->n_shares, 2);
    /* What is used is a fact. */
    WANT(QUOTA, ask(share(3, 0, 1, 5), 1, 1, 1, 1));
    expect_part(3, 1, 5);
    WANT(OK, ask(share(3, 0, 2, 6), 0, 0, 50, 50));
    expect_part(3, 2, 6);
    WANT(QUOTA, ask(share(2, 0, 6, 60), 1, 0, 1, 0)); /* messages and bytes by themselves */
    assert_int_equal(record()->wanted_bytes, 0);
    expect_part(1, 4, 40);
    expect_part(2, 6, 60);
}

static void what_is_given_back_can_be_granted_again(void **state)
{
    uint64_t version;

    (void)state;
    together("", "acme.example", 0, 100);
    WANT(OK, ask(share(1, 0, 0, 0), 1, 10, 0, 100));
    assert_int_equal(part_of(1).granted_messages, SCOPE_UNLIMITED);
    WANT(QUOTA, ask(share(2, 0, 0, 0), 1, 10, 0, 10));
    version = part_of(1).version;
    WANT(CONFLICT, returned(share(1, version - 1, 0, 0), SCOPE_UNLIMITED, 0));
    WANT(CONFLICT, returned(share(3, version, 0, 0), SCOPE_UNLIMITED, 0));
    WANT(OK, returned(share(1, version, 3, 30), SCOPE_UNLIMITED, 70));
    expect_part(1, SCOPE_UNLIMITED, 70);
    WANT(CONFLICT, returned(share(1, version, 3, 30), SCOPE_UNLIMITED, 50)); /* a late one */
    WANT(OK, ask(share(2, 0, 0, 0), 1, 10, 0, 10));
    /* Never less than what is used; nothing leaves the list. */
    WANT(OK, returned(share(1, part_of(1).version, 3, 30), 0, 20));
    expect_part(1, 3, 30);
    WANT(OK, returned(share(1, part_of(1).version, 0, 0), 0, 0));
    assert_int_equal(record()->n_shares, 1);
    /* What was granted to it before is older than what is from now on. */
    version = record()->version;
    WANT(OK, ask(share(1, 0, 0, 0), 1, 10, 0, 10));
    assert_true(part_of(1).version > version);
}

/* The group has said in its question that it gave something back. */
static void a_question_tells_what_was_given_back(void **state)
{
    Pr__ScopeShare told;

    (void)state;
    together("", "acme.example", 0, 100);
    WANT(OK, ask(share(1, 0, 0, 0), 1, 10, 0, 90));
    WANT(OK, ask(share(2, 0, 0, 0), 1, 10, 0, 10));
    told = share(1, part_of(1).version, 2, 20);
    told.granted_bytes = 30;
    told.granted_messages = SCOPE_UNLIMITED;
    WANT(OK, ask(told, 0, 0, 0, 0));
    expect_part(1, SCOPE_UNLIMITED, 30);
    WANT(OK, ask(share(2, 0, 0, 0), 1, 70, 0, 70));
    expect_part(2, SCOPE_UNLIMITED, 70);
    /* Of an older version nothing is heeded but what is used. */
    told.granted_bytes = 20;
    WANT(QUOTA, ask(told, 1, 20, 0, 20));
    expect_part(1, SCOPE_UNLIMITED, 30);
    /* A grant that did not arrive is made again, under a newer version. */
    uint64_t version = part_of(1).version;
    WANT(OK, ask(share(1, 0, 2, 20), 1, 10, 0, 10));
    expect_part(1, SCOPE_UNLIMITED, 30);
    assert_true(part_of(1).version > version);
}

static void limits_that_are_others(void **state)
{
    Pr__ScopeShare old;
    Pr__Outcome *outcome;

    (void)state;
    together("", "acme.example", 0, 100);
    old = share(1, 0, 0, 0);
    WANT(OK, ask(old, 1, 10, 0, 90));
    together("", "acme.example", 0, 0);
    outcome = ask(old, 1, 10, 0, 90);
    WANT(OK, outcome);
    assert_int_equal(outcome->share->limit, old.limit);
    assert_int_equal(outcome->share->version, SCOPE_ENDED);
    assert_int_equal(outcome->share->granted_bytes, SCOPE_UNLIMITED);
    assert_int_equal(outcome->share->granted_messages, SCOPE_UNLIMITED);
    WANT(CONFLICT, returned(old, 0, 0));
    together("", "acme.example", 0, 100);
    outcome = ask(old, 1, 10, 0, 90);
    WANT(CONFLICT, outcome);
    assert_int_equal(outcome->share->limit, domain()->limit);
    assert_int_equal(record()->n_shares, 0);
    WANT(OK, ask(share(1, 0, 0, 0), 1, 10, 0, 90));
    WANT(NOTFOUND, ask(share(SCOPE_MAIL_GROUPS + 1, 0, 0, 0), 1, 10, 0, 90));
    WANT(NOTFOUND, ask(share(0, 0, 0, 0), 1, 10, 0, 90));
    old.kind = PR__SCOPE_KIND__SCOPE_NONE;
    WANT(INVALID, ask(old, 1, 10, 0, 90));
}

static void a_limit_is_lowered_and_raised(void **state)
{
    (void)state;
    together("", "acme.example", 0, 100);
    WANT(OK, ask(share(1, 0, 0, 0), 1, 10, 0, 90));
    together("", "acme.example", 0, 60);
    assert_int_equal(record()->wanted_bytes, 30);
    WANT(QUOTA, ask(share(2, 0, 0, 0), 1, 1, 0, 1));
    WANT(OK, returned(share(1, part_of(1).version, 1, 20), SCOPE_UNLIMITED, 20));
    WANT(OK, ask(share(2, 0, 0, 0), 1, 1, 0, 500));
    expect_part(2, SCOPE_UNLIMITED, 40);
    together("", "acme.example", 0, 70);
    WANT(OK, ask(share(1, 0, 0, 20), 1, 10, 0, 500));
    expect_part(1, SCOPE_UNLIMITED, 30);
    /* Messages are limited too: what was granted of them was boundless. */
    uint64_t version = part_of(1).version;
    together("", "acme.example", 10, 70);
    expect_part(1, 0, 30);
    expect_part(2, 0, 40);
    assert_true(part_of(1).version > version);
    assert_int_equal(part_of(1).limit, domain()->limit);
    WANT(OK, ask(share(1, 0, 3, 20), 1, 10, 4, 10));
    expect_part(1, 7, 30);
}

/* ---- moves, numbers, formats ---- */

static void an_account_brings_its_room_along(void **state)
{
    Pr__AccountAdd add = PR__ACCOUNT_ADD__INIT;
    uint64_t id;

    (void)state;
    add.address = TEXT("ann@acme.example");
    add.password_hash = TEXT("hash");
    id = lab_apply(lab, 0, LAB_COMMAND(account_add, ACCOUNT_ADD, &add))->id;
    together("", "acme.example", 0, 100);
    together("acme", "", 10, 0);
    WANT(OK, ask(share(1, 0, 2, 60), 0, 0, 0, 40));
    WANT(OK, RUN(AccountMoveBegin, account_move_begin, ACCOUNT_MOVE_BEGIN,
                 .address = TEXT("ann@acme.example"), .group = 2));
    uint64_t attempt = RUN(AccountMoveClaim, account_move_claim, ACCOUNT_MOVE_CLAIM,
                           .account_id = id, .from = 1)
                           ->id;
    WANT(OK, RUN(AccountMoveDone, account_move_done, ACCOUNT_MOVE_DONE, .account_id = id,
                 .attempt = attempt, .messages = 2, .bytes = 60));
    expect_part(1, SCOPE_UNLIMITED, 40);
    expect_part(2, SCOPE_UNLIMITED, 60); /* it went along */
    assert_int_equal(record_of(OF_TENANT, tenant()->id)->shares[0]->granted_messages, 2);
    WANT(OK, returned(share(1, part_of(1).version, 0, 0), 0, 0));
    WANT(OK, ask(share(2, 0, 2, 60), 1, 40, 1, 40));
    WANT(QUOTA, ask(share(1, 0, 0, 0), 1, 1, 1, 1));
}

static Pr__Outcome *number(const char *from, uint32_t limit)
{
    Pr__DomainsNumber call = PR__DOMAINS_NUMBER__INIT;

    call.from = arena_string(&lab->arena, bytes_of(from));
    call.limit = limit;
    return lab_apply(lab, 0, LAB_COMMAND(domains_number, DOMAINS_NUMBER, &call));
}

static void old_domains_get_numbers(void **state)
{
    Pr__DomainRecord **domains;
    Pr__Outcome *outcome;
    size_t count;
    const char *from = "";
    unsigned numbered = 0;

    (void)state;
    directory_open(FORMAT_DEPTH);
    for (unsigned i = 0; i < 7; i++)
        WANT(OK, scope_lab_domain(lab, arena_printf(&lab->arena, "d%u.example", i)));
    assert_int_equal(domain()->id, 0);
    WANT(UNSUPPORTED, number("", 100));
    scope_lab_format(lab, 0, FORMAT_SCOPES);
    WANT(OK, together("", "d3.example", 0, 5)); /* it needs one at once */
    WANT(INVALID, number("", 0));
    do {
        outcome = number(from, 2);
        WANT(OK, outcome);
        assert_true(outcome->id <= 2);
        numbered += (unsigned)outcome->id;
        from = outcome->text;
    } while (from[0] != '\0');
    assert_int_equal(numbered, 7);
    outcome = number("", 100);
    assert_int_equal(outcome->id, 0);
    assert_string_equal(outcome->text, "");
    struct db_txn *txn = db_read_begin(lab->db);
    assert_false(
        directory_domains(txn, BYTES(""), BYTES(""), 100, &lab->arena, &domains, &count));
    assert_int_equal(db_commit(&txn), ERR_OK);
    assert_int_equal(count, 8);
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(domains[i]->id, 0);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(domains[i]->id, domains[j]->id);
    }
    lab_close(lab);
}

/* To a release without such limits, the words set the accounts' own. */
static void older_formats_know_no_such_limit(void **state)
{
    (void)state;
    directory_open(FORMAT_DEPTH);
    WANT(OK, together("", "acme.example", 0, 100));
    assert_int_equal(domain()->id, 0);
    assert_int_equal(domain()->limit, 0);
    assert_null(domain()->total);
    assert_int_equal(domain()->quota->bytes, 100);
    lab_close(lab);
}

static void accounts_know_their_scopes(void **state)
{
    Pr__AccountAdd add = PR__ACCOUNT_ADD__INIT;
    Pr__AccountRemove gone = PR__ACCOUNT_REMOVE__INIT;
    Pr__AccountScopes *scopes;
    Pr__ScopeRecord **records;
    size_t count;
    uint64_t id;

    (void)state;
    add.address = gone.address = TEXT("ann@acme.example");
    add.password_hash = TEXT("hash");
    id = lab_apply(lab, 0, LAB_COMMAND(account_add, ACCOUNT_ADD, &add))->id;
    together("", "acme.example", 0, 100);
    together("acme", "", 0, 100);
    for (unsigned i = 0; i < 2; i++) { /* also of an account that can be brought back */
        struct db_txn *txn = db_read_begin(lab->db);
        scopes = scopes_of_account_id(txn, id, &lab->arena);
        assert_null(scopes_of_account_id(txn, id + 1, &lab->arena));
        assert_true(
            scopes_records(txn, (struct scopes_place){0}, 1, &lab->arena, &records, &count));
        assert_int_equal(records[0]->kind, OF_DOMAIN);
        assert_false(scopes_records(txn, (struct scopes_place){OF_DOMAIN, records[0]->id}, 1,
                                    &lab->arena, &records, &count));
        assert_int_equal(db_commit(&txn), ERR_OK);
        assert_int_equal(count, 1);
        assert_int_equal(records[0]->kind, OF_TENANT);
        assert_int_equal(scopes->domain_id, domain()->id);
        assert_int_equal(scopes->domain_limit, domain()->limit);
        assert_int_equal(scopes->tenant_id, tenant()->id);
        assert_int_equal(scopes->tenant_limit, tenant()->limit);
        gone.keep_ms = 1000;
        lab_apply(lab, 0, LAB_COMMAND(account_remove, ACCOUNT_REMOVE, &gone));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_limit_has_a_number),
        TEST(what_is_removed_has_no_limit),
        TEST(the_parts_are_never_more_than_the_limit),
        TEST(what_is_given_back_can_be_granted_again),
        TEST(a_question_tells_what_was_given_back),
        TEST(limits_that_are_others),
        TEST(a_limit_is_lowered_and_raised),
        TEST(an_account_brings_its_room_along),
        cmocka_unit_test(old_domains_get_numbers),
        cmocka_unit_test(older_formats_know_no_such_limit),
        TEST(accounts_know_their_scopes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
