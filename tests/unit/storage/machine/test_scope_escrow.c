/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A limit that groups share, with commands between them and the directory that come late, twice
 * or never: what a group was granted is never more than its part, and all together never hold
 * more than the limit.
 */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/query/directory.h"
#include "tests/unit/storage/machine/scope_lab.h"

enum {
    SEEDS = 16,
    STEPS = 5000,
    GROUPS = 3,   /* 1 to 3 */
    ACCOUNTS = 1, /* of a group: all of it may go */
    QUEUE_MAX = 24,
    LIMIT_BYTES = 400,   /* of the domain */
    LIMIT_MESSAGES = 90, /* of the tenant */
};

enum letter_kind { ASK, GRANT, RETURN, RETURNED };

/* A command that is on its way. */
struct letter {
    enum letter_kind kind;
    Pr__ScopeShare share;
    uint64_t messages[2]; /* ASK: needed, wanted; RETURN: kept */
    uint64_t bytes[2];
};

struct world {
    struct lab lab;
    uint64_t seed;
    bool strict; /* the limit was there before the first message, and never changes */
    struct letter letters[QUEUE_MAX];
    unsigned letter_count;
    Pr__AccountScopes known[2]; /* what proposers know: now, and a while ago */
    struct scopes_place scopes[2];
    unsigned refused;
    unsigned accepted;
};

static uint32_t below(struct world *world, uint32_t number)
{
    return lab_random(&world->seed, number);
}

static void post(struct world *world, const struct letter *letter)
{
    if (world->letter_count == QUEUE_MAX) /* lost */
        world->letters[below(world, QUEUE_MAX)] = *letter;
    else
        world->letters[world->letter_count++] = *letter;
}

/* ---- looking ---- */

static Pr__ScopeRecord *record_of(struct world *world, struct scopes_place scope)
{
    struct db_txn *txn = db_read_begin(world->lab.db);
    Pr__ScopeRecord *record = scopes_record(txn, scope, &world->lab.arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return record;
}

static Pr__ScopeShare *row_of(struct world *world, uint32_t group, struct scopes_place scope)
{
    struct db_txn *txn = db_read_begin(world->lab.db);
    Pr__ScopeShare *share = scopes_share(txn, group, scope, &world->lab.arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return share;
}

static const Pr__ScopeShare *part_of(const Pr__ScopeRecord *record, uint32_t group)
{
    for (size_t i = 0; record != NULL && i < record->n_shares; i++)
        if (record->shares[i]->group == group)
            return record->shares[i];
    return NULL;
}

static void scopes_learn(struct world *world)
{
    struct db_txn *txn = db_read_begin(world->lab.db);
    const Pr__DomainRecord *domain =
        directory_domain(txn, BYTES("acme.example"), &world->lab.arena);
    const Pr__TenantRecord *tenant = directory_tenant(txn, BYTES("acme"), &world->lab.arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    pr__account_scopes__init(&world->known[0]);
    world->known[0].domain_id = domain->id;
    world->known[0].domain_limit = domain->limit;
    world->known[0].tenant_id = tenant->id;
    world->known[0].tenant_limit = tenant->limit;
    if (world->strict || below(world, 3) == 0)
        world->known[1] = world->known[0];
}

/* ---- what must hold ---- */

static void group_check(struct world *world, const Pr__ScopeRecord *record, uint32_t group,
                        const Pr__ScopeShare *row)
{
    const Pr__ScopeShare *part = part_of(record, group);

    if (record == NULL || row->limit != record->limit)
        return;
    assert_true(row->version <= record->version);
    if (record->total->bytes != 0)
        assert_true(row->granted_bytes <= (part != NULL ? part->granted_bytes : 0));
    if (record->total->messages != 0)
        assert_true(row->granted_messages <= (part != NULL ? part->granted_messages : 0));
    if (world->strict && record->total->bytes != 0)
        assert_true(row->used_bytes <= row->granted_bytes);
    if (world->strict && record->total->messages != 0)
        assert_true(row->used_messages <= row->granted_messages);
}

static void scope_check_all(struct world *world, struct scopes_place scope)
{
    const Pr__ScopeRecord *record = record_of(world, scope);
    uint64_t bytes = 0;
    uint64_t messages = 0;

    for (uint32_t group = 1; group <= GROUPS; group++)
        group_check(world, record, group, row_of(world, group, scope));
    for (size_t i = 0; record != NULL && i < record->n_shares; i++) {
        bytes += record->shares[i]->granted_bytes;
        messages += record->shares[i]->granted_messages;
        assert_true(record->shares[i]->version <= record->version);
        assert_int_equal(record->shares[i]->limit, record->limit);
    }
    if (!world->strict)
        return;
    assert_true(record->total->bytes == 0 || bytes <= record->total->bytes);
    assert_true(record->total->messages == 0 || messages <= record->total->messages);
}

static void world_check(struct world *world)
{
    for (unsigned i = 0; i < 2; i++)
        scope_check_all(world, world->scopes[i]);
}

/* ---- what happens ---- */

static void refused(struct world *world, const Pr__ScopeShare *share)
{
    struct letter letter = {.kind = ASK, .share = *share};

    letter.messages[0] = share->need_messages;
    letter.messages[1] = share->need_messages + below(world, 12);
    letter.bytes[0] = share->need_bytes;
    letter.bytes[1] = share->need_bytes + below(world, 60);
    post(world, &letter);
    world->refused++;
}

static enum err write_one(struct world *world, uint32_t group, uint64_t account, uint32_t size)
{
    Pr__Append call = PR__APPEND__INIT;
    Pr__AccountScopes scopes = world->known[below(world, 8) == 0];
    Pr__Outcome *outcome;

    if (!world->strict && below(world, 8) == 0)
        scopes.domain_limit = scopes.tenant_limit = 0;
    call.account_id = account;
    call.mailbox_id = INBOX;
    call.body = lab_body(&world->lab, bytes_from((const uint8_t *)"abcdefghij", size), size);
    call.scopes = &scopes;
    outcome = lab_apply(&world->lab, group, LAB_COMMAND(append, APPEND, &call));
    if (outcome->err == ERR_GRANT)
        refused(world, outcome->share);
    else
        assert_int_equal(outcome->err, ERR_OK);
    world->accepted += outcome->err == ERR_OK;
    return (enum err)outcome->err;
}

static void expunge_some(struct world *world, uint32_t group, uint64_t account)
{
    Pr__FlagsChange flags = PR__FLAGS_CHANGE__INIT;
    Pr__Expunge call = PR__EXPUNGE__INIT;
    bool all = below(world, 3) == 0; /* then the group may have nothing left */
    uint32_t first = all ? 1 : 1 + below(world, 200);

    flags.account_id = call.account_id = account;
    flags.mailbox_id = call.mailbox_id = INBOX;
    flags.uids = lab_ranges(&world->lab, 1, (uint32_t[]){first, all ? UINT32_MAX : first + 60});
    flags.n_uids = 1;
    flags.flags = FLAG_DELETED;
    lab_apply(&world->lab, group, LAB_COMMAND(flags_change, FLAGS_CHANGE, &flags));
    lab_apply(&world->lab, group, LAB_COMMAND(expunge, EXPUNGE, &call));
}

static void ask_deliver(struct world *world, struct letter *letter)
{
    Pr__ScopeAsk call = PR__SCOPE_ASK__INIT;
    Pr__Outcome *outcome;

    call.share = &letter->share;
    call.need_messages = letter->messages[0];
    call.want_messages = letter->messages[1];
    call.need_bytes = letter->bytes[0];
    call.want_bytes = letter->bytes[1];
    outcome = lab_apply(&world->lab, 0, LAB_COMMAND(scope_ask, SCOPE_ASK, &call));
    if (outcome->err == ERR_OK) {
        struct letter grant = {.kind = GRANT, .share = *outcome->share};
        post(world, &grant);
    } else if (outcome->err == ERR_CONFLICT) {
        letter->share.limit = outcome->share->limit;
        letter->share.version = 0;
        letter->share.granted_bytes = letter->share.granted_messages = 0;
        post(world, letter);
    } else {
        assert_int_equal(outcome->err, ERR_QUOTA);
    }
}

static void return_deliver(struct world *world, const struct letter *letter)
{
    Pr__ScopeReturn call = PR__SCOPE_RETURN__INIT;
    Pr__Outcome *outcome;

    call.kind = letter->share.kind;
    call.scope_id = letter->share.scope_id;
    call.limit = letter->share.limit;
    call.version = letter->share.version;
    call.keep_messages = letter->messages[0];
    call.keep_bytes = letter->bytes[0];
    outcome = lab_apply(&world->lab, letter->share.group,
                        LAB_COMMAND(scope_return, SCOPE_RETURN, &call));
    if (outcome->err == ERR_OK) {
        struct letter told = {.kind = RETURNED, .share = *outcome->share};
        post(world, &told);
    }
}

static void letter_deliver(struct world *world, struct letter letter)
{
    Pr__ScopeGrant grant = PR__SCOPE_GRANT__INIT;
    Pr__ScopeReturned returned = PR__SCOPE_RETURNED__INIT;

    switch (letter.kind) {
    case ASK:
        ask_deliver(world, &letter);
        break;
    case GRANT:
        grant.share = &letter.share;
        lab_apply(&world->lab, letter.share.group,
                  LAB_COMMAND(scope_grant, SCOPE_GRANT, &grant));
        break;
    case RETURN:
        return_deliver(world, &letter);
        break;
    case RETURNED:
        returned.share = &letter.share;
        lab_apply(&world->lab, 0, LAB_COMMAND(scope_returned, SCOPE_RETURNED, &returned));
        break;
    }
}

/* One letter, out of order; sometimes it is lost, sometimes it comes again. */
static void letter_next(struct world *world)
{
    unsigned at;
    struct letter letter;

    if (world->letter_count == 0)
        return;
    at = below(world, world->letter_count);
    letter = world->letters[at];
    if (below(world, 5) != 0)
        world->letters[at] = world->letters[--world->letter_count];
    if (below(world, 6) != 0)
        letter_deliver(world, letter);
}

/* What a group's leader does about one of its rows. False: nothing. */
static bool duty(struct world *world, uint32_t group, struct scopes_place scope, bool all)
{
    const Pr__ScopeRecord *record = record_of(world, scope);
    const Pr__ScopeShare *part = part_of(record, group);
    struct letter letter = {.kind = ASK, .share = *row_of(world, group, scope)};
    Pr__ScopeShare *row = &letter.share;

    if (record == NULL) {
        if (row->limit == 0 || row->version == SCOPE_ENDED)
            return false;
    } else if (part == NULL || row->limit > record->limit) {
        if (row->used_messages == 0)
            return false;
        if (row->limit < record->limit)
            row->version = row->granted_bytes = row->granted_messages = 0;
        row->limit = record->limit;
    } else if (part->limit > row->limit || part->version > row->version) {
        letter = (struct letter){.kind = GRANT, .share = *part};
    } else if (row->granted_bytes < part->granted_bytes ||
               row->granted_messages < part->granted_messages) {
        letter.kind = RETURNED;
    } else if (row->used_bytes <= part->granted_bytes &&
               row->used_messages <= part->granted_messages) {
        if (!all && below(world, 3) != 0)
            return false;
        all = all || below(world, 3) == 0;
        letter.kind = RETURN;
        letter.bytes[0] = all ? 0 : below(world, 20);
        letter.messages[0] = all ? 0 : below(world, 5);
    }
    post(world, &letter);
    return true;
}

static void limit_change(struct world *world)
{
    uint64_t bytes = below(world, 3) == 0 ? 0 : 1 + below(world, LIMIT_BYTES);
    uint64_t messages = below(world, 3) == 0 ? 0 : 1 + below(world, LIMIT_MESSAGES);
    bool tenant = below(world, 2) == 0;

    assert_int_equal(scope_lab_together(&world->lab, tenant ? "acme" : "",
                                        tenant ? "" : "acme.example", messages, bytes)
                         ->err,
                     ERR_OK);
    scopes_learn(world);
}

static void step(struct world *world)
{
    uint32_t group = 1 + below(world, GROUPS);
    uint64_t account = group * 10 + below(world, ACCOUNTS);
    uint32_t what = below(world, 100);

    if (what < 40)
        write_one(world, group, account, 1 + below(world, 9));
    else if (what < 46)
        expunge_some(world, group, account);
    else if (what < 80)
        letter_next(world);
    else if (what < 98 || world->strict)
        duty(world, group, world->scopes[below(world, 2)], false);
    else
        limit_change(world);
}

/* ---- the tests ---- */

static void world_open(struct world *world, uint64_t seed, bool strict)
{
    printf("seed %llu\n", (unsigned long long)seed);
    *world = (struct world){.seed = seed, .strict = strict};
    lab_open(&world->lab);
    scope_lab_directory(&world->lab, FORMAT_SCOPES);
    for (uint32_t group = 1; group <= GROUPS; group++)
        scope_lab_format(&world->lab, group, FORMAT_SCOPES);
    if (strict) {
        scope_lab_together(&world->lab, "", "acme.example", 0, LIMIT_BYTES);
        scope_lab_together(&world->lab, "acme", "", LIMIT_MESSAGES, 0);
    }
    scopes_learn(world);
    world->known[1] = world->known[0];
    world->scopes[0] = (struct scopes_place){OF_DOMAIN, world->known[0].domain_id};
    world->scopes[1] = (struct scopes_place){OF_TENANT, world->known[0].tenant_id};
}

static void world_close(struct world *world)
{
    for (uint32_t group = 1; group <= GROUPS; group++)
        lab_invariants(&world->lab, group);
    assert_true(world->refused > 20 && world->accepted > 20);
    lab_close(&world->lab);
}

static void all_letters(struct world *world)
{
    while (world->letter_count > 0) {
        struct letter letter = world->letters[--world->letter_count];
        letter_deliver(world, letter);
        world_check(world);
    }
}

/* Nothing is on its way any more, and the other groups have given back what they do not use. */
static void settle(struct world *world, uint32_t but)
{
    for (unsigned round = 0; round < 6; round++)
        for (uint32_t group = 1; group <= GROUPS; group++)
            for (unsigned i = 0; i < 2; i++) {
                if (group != but)
                    duty(world, group, world->scopes[i], true);
                all_letters(world);
            }
}

static uint64_t used(struct world *world, bool messages)
{
    uint64_t sum = 0;

    for (uint32_t group = 1; group <= GROUPS; group++) {
        const Pr__ScopeShare *row = row_of(world, group, world->scopes[messages]);
        sum += messages ? row->used_messages : row->used_bytes;
    }
    return sum;
}

/* Until the end of time nobody goes beyond the limit; then one group can use what is left, to
 * the last byte. */
static void nobody_goes_beyond_the_limit(void **state)
{
    static struct world world;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        unsigned refusals = 0;

        world_open(&world, seed, true);
        for (unsigned i = 0; i < STEPS; i++) {
            step(&world);
            world_check(&world);
        }
        all_letters(&world);
        settle(&world, 2);
        while (refusals < 8)
            if (write_one(&world, 2, 20, 1) == ERR_OK) {
                refusals = 0;
            } else {
                refusals++;
                all_letters(&world);
                settle(&world, 2);
            }
        assert_true(used(&world, false) == LIMIT_BYTES || used(&world, true) == LIMIT_MESSAGES);
        world_close(&world);
    }
}

/* Limits come, change and go, and not everybody knows. */
static void grants_are_never_more_than_parts(void **state)
{
    static struct world world;

    (void)state;
    for (uint64_t seed = 101; seed <= 100 + SEEDS; seed++) {
        world_open(&world, seed, false);
        for (unsigned i = 0; i < STEPS; i++) {
            step(&world);
            world_check(&world);
            if (i % 500 == 0)
                scopes_learn(&world);
        }
        world_close(&world);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_goes_beyond_the_limit),
        cmocka_unit_test(grants_are_never_more_than_parts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
