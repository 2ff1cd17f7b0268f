/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/machine/sending_tenants_lab.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/query/directory.h"

static const char *const names[TENANTS] = {"acme", "beta"};
struct tenants_world tenants_world;

uint32_t tenants_below(uint32_t number)
{
    return lab_random(&tenants_world.seed, number);
}

Pr__Outcome *tenants_apply(uint32_t group, Pr__Command *command)
{
    tenants_world.lab.now_ms = tenants_world.now_ms + tenants_world.ahead_ms[group];
    return lab_apply(&tenants_world.lab, group, command);
}

static void post(const struct letter *letter)
{
    if (tenants_world.letter_count == QUEUE_MAX) /* lost */
        tenants_world.letters[tenants_below(QUEUE_MAX)] = *letter;
    else
        tenants_world.letters[tenants_world.letter_count++] = *letter;
}

/* ---- looking ---- */

Pr__ScopeRecord *tenants_record_of(unsigned tenant)
{
    const struct scopes_place place = {OF_SENDING, tenants_world.tenants[tenant].id};
    struct db_txn *txn = db_read_begin(tenants_world.lab.db);
    Pr__ScopeRecord *record = scopes_record(txn, place, &tenants_world.lab.arena);

    assert_int_equal(db_commit(&txn), ERR_OK);
    return record;
}

/* As the group's next command would see it. */
Pr__ScopeShare *tenants_row_of(uint32_t group, unsigned tenant)
{
    const struct scopes_place place = {OF_SENDING, tenants_world.tenants[tenant].id};
    struct db_txn *txn = db_read_begin(tenants_world.lab.db);
    Pr__ScopeShare *share = scopes_share(txn, group, place, &tenants_world.lab.arena);

    scopes_sent_at(txn, group, tenants_world.now_ms + tenants_world.ahead_ms[group], share);
    assert_int_equal(db_commit(&txn), ERR_OK);
    return share;
}

const Pr__ScopeShare *tenants_part_of(const Pr__ScopeRecord *record, uint32_t group)
{
    for (size_t i = 0; record != NULL && i < record->n_shares; i++)
        if (record->shares[i]->group == group)
            return record->shares[i];
    return NULL;
}

uint64_t tenants_sent_since(const struct tenant *tenant, uint64_t span_ms)
{
    uint64_t sum = 0;

    for (unsigned i = tenant->count;
         i-- > 0 && tenant->times[i] + span_ms > tenants_world.now_ms;)
        sum += tenant->recipients[i];
    return sum;
}

/* ---- what must hold ---- */

void tenants_check(unsigned tenant)
{
    const struct tenant *of = &tenants_world.tenants[tenant];
    const Pr__ScopeRecord *record = tenants_record_of(tenant);
    uint64_t hour = 0;
    uint64_t day = 0;

    for (uint32_t group = 1; record != NULL && group <= GROUPS; group++) {
        const Pr__ScopeShare *row = tenants_row_of(group, tenant);
        const Pr__ScopeShare *part = tenants_part_of(record, group);
        assert_true(row->version <= record->version);
        assert_true(row->granted_messages <= (part != NULL ? part->granted_messages : 0));
        assert_true(row->granted_bytes <= (part != NULL ? part->granted_bytes : 0));
        assert_true(row->used_messages <= row->granted_messages);
        assert_true(row->used_bytes <= row->granted_bytes);
    }
    for (size_t i = 0; record != NULL && i < record->n_shares; i++) {
        hour += record->shares[i]->granted_messages;
        day += record->shares[i]->granted_bytes;
    }
    assert_true(hour <= of->hour_max && day <= of->day_max);
    /* A leader whose clock is ahead lets go so much earlier. */
    assert_true(tenants_sent_since(of, HOUR_MS - tenants_world.ahead_max_ms) <= of->hour_max);
    assert_true(tenants_sent_since(of, DAY_MS - tenants_world.ahead_max_ms) <= of->day_max);
}

/* ---- what happens ---- */

static Pr__SendingLimits limits_of(unsigned tenant, uint64_t account, uint32_t recipients)
{
    const Pr__ScopeRecord *record = tenants_record_of(tenant);
    Pr__SendingLimits limits = PR__SENDING_LIMITS__INIT;

    limits.account_id = account;
    limits.recipients = limits.tenant_recipients = recipients;
    limits.tenant_id = tenants_world.tenants[tenant].id;
    /* As a proposer knows it whose directory may be old. */
    limits.tenant_limit = record != NULL && tenants_below(4) != 0 ? record->limit : 1;
    return limits;
}

Pr__Outcome *tenants_submit(uint32_t group, unsigned tenant, uint32_t recipients,
                            ProtobufCBinaryData id)
{
    static char sender[] = "ann@acme.example";
    static char address[] = "x@far.example";
    /* The accounts of a tenant are now in this group, now in that one. */
    Pr__SendingLimits limits = limits_of(tenant, 10 + tenant, recipients);
    Pr__Envelope envelope = PR__ENVELOPE__INIT;
    Pr__QueueRecipient queued = PR__QUEUE_RECIPIENT__INIT;
    Pr__QueueRecipient *queue[] = {&queued};
    Pr__Deliver deliver = PR__DELIVER__INIT;
    Pr__Command *command = LAB_COMMAND(deliver, DELIVER, &deliver);

    envelope.sender = sender;
    queued.address = address;
    deliver.body = lab_body(&tenants_world.lab, BYTES("text"), 4);
    deliver.envelope = &envelope;
    deliver.queue = queue;
    deliver.n_queue = 1;
    deliver.limits = &limits;
    command->request_id = id;
    return tenants_apply(group, command);
}

static void refused(unsigned tenant, const Pr__ScopeShare *share, uint32_t need)
{
    struct letter letter = {.kind = ASK, .tenant = tenant, .share = *share, .need = need};

    assert_int_equal(share->kind, OF_SENDING);
    assert_int_equal(share->need_messages, need);
    assert_int_equal(share->need_bytes, need);
    letter.want = need + tenants_below(12);
    post(&letter);
    tenants_world.tenants[tenant].refused++;
}

/* A submission, sometimes said again: it counts once, and once refused it goes on when there is
 * room. */
enum err tenants_write_one(uint32_t group, unsigned tenant, uint32_t recipients)
{
    struct tenant *of = &tenants_world.tenants[tenant];
    ProtobufCBinaryData id = lab_id(&tenants_world.lab);
    Pr__Outcome *outcome = tenants_submit(group, tenant, recipients, id);

    if (outcome->err == ERR_GRANT) {
        refused(tenant, outcome->share, recipients);
        return ERR_GRANT;
    }
    assert_int_equal(outcome->err, ERR_OK);
    assert_true(of->count < SENT_MAX);
    of->times[of->count] = tenants_world.now_ms;
    of->recipients[of->count++] = recipients;
    if (tenants_below(5) == 0)
        assert_int_equal(tenants_submit(group, tenant, recipients, id)->err, ERR_OK);
    return ERR_OK;
}

Pr__Outcome *tenants_ask(const struct letter *letter)
{
    struct tenant *of = &tenants_world.tenants[letter->tenant];
    Pr__ScopeAsk call = PR__SCOPE_ASK__INIT;
    Pr__AccountQuota total = PR__ACCOUNT_QUOTA__INIT;
    Pr__ScopeShare share = letter->share;

    /* What is used is asked for (scopes_plan.h). */
    call.need_messages = letter->need != 0 ? share.used_messages + letter->need : 0;
    call.need_bytes = letter->need != 0 ? share.used_bytes + letter->need : 0;
    call.want_messages = share.used_messages + letter->want;
    call.want_bytes = share.used_bytes + letter->want;
    share.used_messages = share.used_bytes = 0;
    total.messages = of->hour_max;
    total.bytes = of->day_max;
    call.share = &share;
    call.total = &total;
    call.settings_version = tenants_world.settings_version;
    call.name = arena_string(&tenants_world.lab.arena, bytes_of(names[letter->tenant]));
    return tenants_apply(0, LAB_COMMAND(scope_ask, SCOPE_ASK, &call));
}

static void ask_deliver(const struct letter *letter)
{
    Pr__Outcome *outcome = tenants_ask(letter);
    struct letter grant = {.kind = GRANT, .tenant = letter->tenant};

    if (outcome->err == ERR_QUOTA) {
        assert_non_null(strstr(outcome->text, names[letter->tenant]));
        return;
    }
    assert_int_equal(outcome->err, ERR_OK);
    grant.share = *outcome->share;
    post(&grant);
}

static void return_deliver(const struct letter *letter)
{
    Pr__ScopeReturn call = PR__SCOPE_RETURN__INIT;
    Pr__Outcome *outcome;

    call.kind = letter->share.kind;
    call.scope_id = letter->share.scope_id;
    call.limit = letter->share.limit;
    call.version = letter->share.version;
    call.keep_messages = call.keep_bytes = letter->want;
    outcome =
        tenants_apply(letter->share.group, LAB_COMMAND(scope_return, SCOPE_RETURN, &call));
    if (outcome->err == ERR_OK) {
        struct letter told = {
            .kind = RETURNED, .tenant = letter->tenant, .share = *outcome->share};
        told.share.used_bytes = told.share.used_messages = 0;
        post(&told);
    }
}

void tenants_letter_deliver(struct letter letter)
{
    Pr__ScopeGrant grant = PR__SCOPE_GRANT__INIT;
    Pr__ScopeReturned returned = PR__SCOPE_RETURNED__INIT;

    grant.share = returned.share = &letter.share;
    if (letter.kind == ASK)
        ask_deliver(&letter);
    else if (letter.kind == GRANT)
        tenants_apply(letter.share.group, LAB_COMMAND(scope_grant, SCOPE_GRANT, &grant));
    else if (letter.kind == RETURN)
        return_deliver(&letter);
    else
        tenants_apply(0, LAB_COMMAND(scope_returned, SCOPE_RETURNED, &returned));
}

void tenants_all_letters(void)
{
    while (tenants_world.letter_count > 0) {
        struct letter letter = tenants_world.letters[--tenants_world.letter_count];
        tenants_letter_deliver(letter);
        tenants_check(letter.tenant);
    }
}

/* What a group's leader does about a row; `all`: others want what is not used. */
void tenants_duty(uint32_t group, unsigned tenant, bool all)
{
    const Pr__ScopeRecord *record = tenants_record_of(tenant);
    const Pr__ScopeShare *part = tenants_part_of(record, group);
    struct letter letter = {.tenant = tenant, .share = *tenants_row_of(group, tenant)};
    const Pr__ScopeShare *row = &letter.share;

    if (part == NULL)
        return;
    if (part->limit > row->limit || part->version > row->version) {
        letter.kind = GRANT;
        letter.share = *part;
    } else if (row->granted_bytes < part->granted_bytes ||
               row->granted_messages < part->granted_messages) {
        letter.kind = RETURNED;
        letter.share.used_bytes = letter.share.used_messages = 0;
    } else if (all || tenants_below(3) == 0) {
        letter.kind = RETURN;
        letter.want = all ? 0 : tenants_below(8);
    } else {
        return;
    }
    post(&letter);
}

/* Leaders see to it that the groups' clocks go on when nothing else happens (scopes_duty.h). */
void tenants_pass(uint64_t time_ms)
{
    Pr__Tick tick = PR__TICK__INIT;

    for (uint64_t at = 0; at < time_ms; at += 30 * MINUTE_MS) {
        tenants_world.now_ms += time_ms - at < 30 * MINUTE_MS ? time_ms - at : 30 * MINUTE_MS;
        for (uint32_t group = 1; group <= GROUPS; group++)
            tenants_apply(group, LAB_COMMAND(tick, TICK, &tick));
    }
}

void tenants_limit(unsigned tenant, uint64_t hour_max, uint64_t day_max)
{
    tenants_world.tenants[tenant].hour_max = hour_max;
    tenants_world.tenants[tenant].day_max = day_max;
}

void tenants_open(uint64_t seed, uint64_t ahead_max_ms)
{
    printf("seed %llu\n", (unsigned long long)seed);
    memset(&tenants_world, 0, sizeof(tenants_world));
    tenants_world.seed = seed;
    tenants_world.ahead_max_ms = ahead_max_ms;
    tenants_world.settings_version = 1;
    lab_open(&tenants_world.lab);
    tenants_world.now_ms = tenants_world.lab.now_ms;
    scope_lab_directory(&tenants_world.lab, FORMAT_ADDRESSES);
    assert_int_equal(scope_lab_tenant(&tenants_world.lab, "beta")->err, ERR_OK);
    for (uint32_t group = 1; group <= GROUPS; group++)
        scope_lab_format(&tenants_world.lab, group, FORMAT_ADDRESSES);
    for (unsigned i = 0; i < TENANTS; i++) {
        struct db_txn *txn = db_read_begin(tenants_world.lab.db);
        tenants_world.tenants[i].id =
            directory_tenant(txn, bytes_of(names[i]), &tenants_world.lab.arena)->id;
        assert_int_equal(db_commit(&txn), ERR_OK);
        tenants_limit(i, HOUR_MAX, DAY_MAX);
    }
}

void tenants_close(void)
{
    for (uint32_t group = 1; group <= GROUPS; group++)
        lab_invariants(&tenants_world.lab, group);
    lab_close(&tenants_world.lab);
}

/* Nothing is on its way any more, and the others have given back what they do not use. */
static void settle(unsigned tenant, uint32_t but)
{
    for (unsigned round = 0; round < 4; round++)
        for (uint32_t group = 1; group <= GROUPS; group++) {
            if (group != but)
                tenants_duty(group, tenant, true);
            tenants_all_letters();
        }
}

/* As the service does it; ERR_GRANT when the directory has no more. */
enum err tenants_write_until_refused(uint32_t group, unsigned tenant, uint32_t recipients)
{
    enum err err = ERR_GRANT;

    for (unsigned i = 0; i < 4 && err != ERR_OK; i++) {
        err = tenants_write_one(group, tenant, recipients);
        tenants_all_letters();
        if (err != ERR_OK)
            settle(tenant, group);
    }
    return err;
}
