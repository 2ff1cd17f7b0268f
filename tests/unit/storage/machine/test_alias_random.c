/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Commands on addresses in any order, by seeds: what the directory counts is what there is,
 * each address has one owner, and every question about an address has an answer. Applied again
 * they give the same tables.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "node/base/check.h"
#include "storage/query/addresses.h"
#include "storage/query/directory.h"
#include "tests/unit/storage/directory_lab.h"

enum { SEEDS = 24, STEPS = 400, RECOUNT_EVERY = 20 };

static const char *const domains[] = {"acme.example", "sub.example", "bar.example"};
static const char *const names[] = {
    "a",          "b",     "a-owner", "a-bounces",     "b-owner", "a+x",
    "postmaster", "abuse", "c",       "c-owner-owner", "srs0=x"};
static const char *const remotes[] = {"x@other.example", "y@other.example"};

static uint64_t seed;
static unsigned taken[ERR_COUNT];

static uint32_t choose(uint32_t below)
{
    return lab_random(&seed, below);
}

static char *address(struct lab *lab)
{
    if (choose(12) == 0)
        return arena_string(&lab->arena, bytes_of(remotes[choose(2)]));
    return arena_printf(&lab->arena, "%s@%s", names[choose(sizeof(names) / sizeof(*names))],
                        domains[choose(3)]);
}

static char **addresses(struct lab *lab, size_t count)
{
    char **made = arena_alloc(&lab->arena, count * sizeof(*made));

    for (size_t i = 0; i < count; i++)
        made[i] = address(lab);
    return made;
}

static Pr__ListSettings *settings(struct lab *lab)
{
    Pr__ListSettings *made = arena_alloc(&lab->arena, sizeof(*made));

    if (choose(2) == 0)
        return NULL;
    pr__list_settings__init(made);
    made->owner = address(lab);
    made->post = (Pr__ListSettings__Post)choose(4);
    return made;
}

static Pr__Outcome *on_alias(struct lab *lab, unsigned which)
{
    size_t count = choose(4);
    size_t gone = choose(3);

    if (which == 0)
        return RUN(AliasAdd, alias_add, ALIAS_ADD, .address = address(lab), .n_targets = count,
                   .targets = addresses(lab, count), .list = settings(lab));
    if (which == 1)
        return RUN(AliasChange, alias_change, ALIAS_CHANGE, .address = address(lab),
                   .n_add = count, .add = addresses(lab, count), .n_remove = gone,
                   .remove = addresses(lab, gone), .list = settings(lab));
    return RUN(AliasRemove, alias_remove, ALIAS_REMOVE, .address = address(lab));
}

static Pr__Outcome *on_account(struct lab *lab, unsigned which)
{
    size_t count = choose(3);

    switch (which) {
    case 0:
        return directory_lab_account(lab, address(lab));
    case 1:
        return RUN(AccountRemove, account_remove, ACCOUNT_REMOVE, .address = address(lab),
                   .keep_ms = 1000);
    case 2:
        return RUN(AccountRestore, account_restore, ACCOUNT_RESTORE, .address = address(lab));
    case 3:
        return RUN(AccountPassword, account_password, ACCOUNT_PASSWORD, .address = address(lab),
                   .password_hash = TEXT("$..."));
    default:
        return RUN(AccountAlter, account_alter, ACCOUNT_ALTER, .address = address(lab),
                   .bars_set = choose(8), .bars_clear = choose(2),
                   .forward = choose(2) == 0 ? NULL
                                             : CALL(AccountForward, account_forward,
                                                    .keep = choose(2) == 0, .n_targets = count,
                                                    .targets = addresses(lab, count)));
    }
}

static Pr__Outcome *on_domain(struct lab *lab, unsigned which)
{
    char *name = arena_string(&lab->arena, bytes_of(domains[choose(3)]));
    char *other = arena_string(&lab->arena, bytes_of(domains[choose(3)]));
    size_t count = choose(2);

    switch (which) {
    case 0:
        return directory_lab_domain(lab, name, choose(2) == 0 ? "acme" : "bar");
    case 1:
        return RUN(DomainRemove, domain_remove, DOMAIN_REMOVE, .name = name);
    case 2:
        return RUN(DomainRoute, domain_route, DOMAIN_ROUTE, .name = name,
                   .routing = CALL(DomainRouting, domain_routing, .alias_of = other));
    case 3:
        return directory_lab_set(lab, (Pr__SettingScope)choose(4),
                                 choose(2) == 0 ? name : address(lab), "mail.outbound", "on");
    default:
        return RUN(DomainRoute, domain_route, DOMAIN_ROUTE, .name = name,
                   .routing = CALL(DomainRouting, domain_routing, .n_catch_all = count,
                                   .catch_all = addresses(lab, count)));
    }
}

static Pr__Outcome *step(struct lab *lab)
{
    uint32_t which = choose(30);

    lab->now_ms += choose(200);
    if (which < 12)
        return on_alias(lab, which % 3);
    if (which < 23)
        return on_account(lab, which % 5);
    if (which < 29)
        return on_domain(lab, which % 5);
    return directory_lab_role(lab);
}

/* Whatever the tables say, there is an answer, and it is the same for those who explain. */
static void ask(struct lab *lab)
{
    struct db_txn *txn = db_read_begin(lab->db);
    struct arena arena;
    struct addresses_question question = {.address = bytes_of(address(lab)),
                                          .sender = bytes_of(address(lab)),
                                          .now_s = (int64_t)(lab->now_ms / 1000),
                                          .any_sender = choose(2) == 0};
    struct addresses_answer answer;
    struct addresses_answer again;
    enum err err;

    arena_init(&arena);
    err = addresses_resolve(txn, &question, &arena, &answer);
    CHECK(err == ERR_OK || err == ERR_NOTFOUND || err == ERR_DENIED);
    CHECK((err == ERR_OK) == (answer.message.n_targets > 0));
    question.explain = true;
    CHECK(addresses_resolve(txn, &question, &arena, &again) == err);
    CHECK(again.message.n_targets == answer.message.n_targets);
    for (size_t i = 0; i < answer.message.n_targets; i++)
        for (size_t k = 0; k < i; k++) {
            const Pr__ResolvedTarget *a = answer.message.targets[i];
            const Pr__ResolvedTarget *b = answer.message.targets[k];
            CHECK(a->account_id != b->account_id || strcmp(a->remote, b->remote) != 0);
        }
    for (size_t i = 0; i < answer.account_count; i++)
        CHECK(answer.accounts[i].group == answer.accounts[i].record->group);
    arena_fini(&arena);
    CHECK(db_commit(&txn) == ERR_OK);
}

static void digest(struct lab *lab, uint8_t bytes[32])
{
    struct db_txn *txn = db_read_begin(lab->db);

    machine_digest(txn, 0, bytes);
    CHECK(db_commit(&txn) == ERR_OK);
}

static void applied_again(struct lab *lab)
{
    struct lab other;
    uint8_t here[32];
    uint8_t there[32];

    lab_open(&other);
    for (size_t i = 0; i < lab->entry_count; i++)
        lab_apply_entry(&other, lab->entries[i].group, lab->entries[i].entry);
    digest(lab, here);
    digest(&other, there);
    assert_memory_equal(here, there, sizeof(here));
    lab_close(&other);
}

static void test_random(void **state)
{
    (void)state;
    for (uint64_t first = 1; first <= SEEDS; first++) {
        struct lab lab;
        seed = first;
        directory_lab_open(&lab, FORMAT_ADDRESSES);
        for (unsigned i = 0; i < STEPS; i++) {
            taken[step(&lab)->err]++;
            ask(&lab);
            if (i % RECOUNT_EVERY == 0)
                directory_lab_recount(&lab);
        }
        directory_lab_recount(&lab);
        if (first % 8 == 0)
            applied_again(&lab);
        lab_close(&lab);
    }
    /* The commands do meet what they are about. */
    assert_true(taken[ERR_OK] > SEEDS * STEPS / 8);
    assert_true(taken[ERR_EXISTS] > SEEDS && taken[ERR_INVALID] > SEEDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
