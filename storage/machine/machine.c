/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "storage/machine/machine.h"

#include "node/base/check.h"
#include "storage/machine/apply.h"
#include "storage/machine/blob.h"
#include "storage/machine/dedupe.h"
#include "storage/machine/greylist.h"
#include "storage/schema/entry.h"
#include "storage/schema/format.h"

enum kind { IN_DIRECTORY = 1, IN_MAIL = 2 };

/* Which command may lie in which kind of group, since which format, and what carries it out. */
static const struct command {
    Pr__Command__CallCase call;
    unsigned kinds;
    unsigned format; /* from which on it is known */
    apply_command *run;
} commands[] = {
    {PR__COMMAND__CALL_CLUSTER_CREATE, IN_DIRECTORY, FORMAT_FIRST, apply_cluster_create},
    {PR__COMMAND__CALL_NODE_JOIN, IN_DIRECTORY, FORMAT_FIRST, apply_node_join},
    {PR__COMMAND__CALL_NODE_REMOVE, IN_DIRECTORY, FORMAT_FIRST, apply_node_remove},
    {PR__COMMAND__CALL_TOKEN_ADD, IN_DIRECTORY, FORMAT_FIRST, apply_token_add},
    {PR__COMMAND__CALL_GROUP_PUT, IN_DIRECTORY, FORMAT_FIRST, apply_group_put},
    {PR__COMMAND__CALL_TENANT_ADD, IN_DIRECTORY, FORMAT_FIRST, apply_tenant_add},
    {PR__COMMAND__CALL_TENANT_REMOVE, IN_DIRECTORY, FORMAT_FIRST, apply_tenant_remove},
    {PR__COMMAND__CALL_DOMAIN_ADD, IN_DIRECTORY, FORMAT_FIRST, apply_domain_add},
    {PR__COMMAND__CALL_DOMAIN_REMOVE, IN_DIRECTORY, FORMAT_FIRST, apply_domain_remove},
    {PR__COMMAND__CALL_ACCOUNT_ADD, IN_DIRECTORY, FORMAT_FIRST, apply_account_add},
    {PR__COMMAND__CALL_ACCOUNT_REMOVE, IN_DIRECTORY, FORMAT_FIRST, apply_account_remove},
    {PR__COMMAND__CALL_ACCOUNT_PASSWORD, IN_DIRECTORY, FORMAT_FIRST, apply_account_password},
    {PR__COMMAND__CALL_NODE_CHANGE, IN_DIRECTORY, FORMAT_DEPTH, apply_node_change},
    {PR__COMMAND__CALL_GROUPS_ADD, IN_DIRECTORY, FORMAT_DEPTH, apply_groups_add},
    {PR__COMMAND__CALL_GROUP_PLACED, IN_DIRECTORY, FORMAT_DEPTH, apply_group_placed},
    {PR__COMMAND__CALL_GROUPS_PLAN, IN_DIRECTORY, FORMAT_DEPTH, apply_groups_plan},
    {PR__COMMAND__CALL_REPLICATION_SET, IN_DIRECTORY, FORMAT_DEPTH, apply_replication_set},
    {PR__COMMAND__CALL_CLUSTER_RECOVER, IN_DIRECTORY, FORMAT_DEPTH, apply_cluster_recover},
    {PR__COMMAND__CALL_UPLOAD_BLOCK, IN_MAIL, FORMAT_FIRST, apply_upload_block},
    {PR__COMMAND__CALL_UPLOAD_DROP, IN_MAIL, FORMAT_FIRST, apply_upload_drop},
    {PR__COMMAND__CALL_DELIVER, IN_MAIL, FORMAT_FIRST, apply_deliver},
    {PR__COMMAND__CALL_HANDOVER_DONE, IN_MAIL, FORMAT_FIRST, apply_handover_done},
    {PR__COMMAND__CALL_APPEND, IN_MAIL, FORMAT_FIRST, apply_append},
    {PR__COMMAND__CALL_FLAGS_CHANGE, IN_MAIL, FORMAT_FIRST, apply_flags_change},
    {PR__COMMAND__CALL_COPY, IN_MAIL, FORMAT_FIRST, apply_copy},
    {PR__COMMAND__CALL_EXPUNGE, IN_MAIL, FORMAT_FIRST, apply_expunge},
    {PR__COMMAND__CALL_MAILBOX_CREATE, IN_MAIL, FORMAT_FIRST, apply_mailbox_create},
    {PR__COMMAND__CALL_MAILBOX_DELETE, IN_MAIL, FORMAT_FIRST, apply_mailbox_delete},
    {PR__COMMAND__CALL_MAILBOX_RENAME, IN_MAIL, FORMAT_FIRST, apply_mailbox_rename},
    {PR__COMMAND__CALL_MAILBOX_SUBSCRIBE, IN_MAIL, FORMAT_FIRST, apply_mailbox_subscribe},
    {PR__COMMAND__CALL_ACCOUNT_PURGE, IN_MAIL, FORMAT_FIRST, apply_account_purge},
    {PR__COMMAND__CALL_FORMAT_RAISE, IN_DIRECTORY | IN_MAIL, FORMAT_FIRST, apply_format_raise},
    {PR__COMMAND__CALL_TICK, IN_MAIL, FORMAT_DEPTH, apply_tick},
    {PR__COMMAND__CALL_EXPUNGED_PURGE, IN_MAIL, FORMAT_DEPTH, apply_expunged_purge},
    {PR__COMMAND__CALL_UNDELETE, IN_MAIL, FORMAT_DEPTH, apply_undelete},
    {PR__COMMAND__CALL_POLICY_SET, IN_DIRECTORY, FORMAT_DEPTH, apply_policy_set},
    {PR__COMMAND__CALL_QUOTA_SET, IN_DIRECTORY, FORMAT_DEPTH, apply_quota_set},
    {PR__COMMAND__CALL_ACCOUNT_RESTORE, IN_DIRECTORY, FORMAT_DEPTH, apply_account_restore},
    {PR__COMMAND__CALL_PURGE_DONE, IN_DIRECTORY, FORMAT_DEPTH, apply_purge_done},
    {PR__COMMAND__CALL_PURGE_NOW, IN_DIRECTORY, FORMAT_DEPTH, apply_purge_now},
    {PR__COMMAND__CALL_ACCOUNT_MOVE_BEGIN, IN_DIRECTORY, FORMAT_DEPTH,
     apply_account_move_begin},
    {PR__COMMAND__CALL_ACCOUNT_MOVE_CLAIM, IN_DIRECTORY, FORMAT_DEPTH,
     apply_account_move_claim},
    {PR__COMMAND__CALL_ACCOUNT_MOVE_DONE, IN_DIRECTORY, FORMAT_DEPTH, apply_account_move_done},
    {PR__COMMAND__CALL_ACCOUNT_MOVE_CANCEL, IN_DIRECTORY, FORMAT_DEPTH,
     apply_account_move_cancel},
    {PR__COMMAND__CALL_MOVE_START, IN_MAIL, FORMAT_DEPTH, apply_move_start},
    {PR__COMMAND__CALL_MOVE_FREEZE, IN_MAIL, FORMAT_DEPTH, apply_move_freeze},
    {PR__COMMAND__CALL_MOVE_END, IN_MAIL, FORMAT_DEPTH, apply_move_end},
    {PR__COMMAND__CALL_IMPORT_BEGIN, IN_MAIL, FORMAT_DEPTH, apply_import_begin},
    {PR__COMMAND__CALL_IMPORT_ROWS, IN_MAIL, FORMAT_DEPTH, apply_import_rows},
    {PR__COMMAND__CALL_IMPORT_END, IN_MAIL, FORMAT_DEPTH, apply_import_end},
    {PR__COMMAND__CALL_SCOPE_GRANT, IN_MAIL, FORMAT_SCOPES, apply_scope_grant},
    {PR__COMMAND__CALL_SCOPE_RETURN, IN_MAIL, FORMAT_SCOPES, apply_scope_return},
    {PR__COMMAND__CALL_SCOPE_ENROL, IN_MAIL, FORMAT_SCOPES, apply_scope_enrol},
    {PR__COMMAND__CALL_SCOPE_ASK, IN_DIRECTORY, FORMAT_SCOPES, apply_scope_ask},
    {PR__COMMAND__CALL_SCOPE_RETURNED, IN_DIRECTORY, FORMAT_SCOPES, apply_scope_returned},
    {PR__COMMAND__CALL_DOMAINS_NUMBER, IN_DIRECTORY, FORMAT_SCOPES, apply_domains_number},
    {PR__COMMAND__CALL_ALIAS_ADD, IN_DIRECTORY, FORMAT_ADDRESSES, apply_alias_add},
    {PR__COMMAND__CALL_ALIAS_CHANGE, IN_DIRECTORY, FORMAT_ADDRESSES, apply_alias_change},
    {PR__COMMAND__CALL_ALIAS_REMOVE, IN_DIRECTORY, FORMAT_ADDRESSES, apply_alias_remove},
    {PR__COMMAND__CALL_DOMAIN_ROUTE, IN_DIRECTORY, FORMAT_ADDRESSES, apply_domain_route},
    {PR__COMMAND__CALL_ACCOUNT_ALTER, IN_DIRECTORY, FORMAT_ADDRESSES, apply_account_alter},
    {PR__COMMAND__CALL_CREDENTIALS_SET, IN_DIRECTORY, FORMAT_ADDRESSES, apply_credentials_set},
    {PR__COMMAND__CALL_APP_PASSWORD_ADD, IN_DIRECTORY, FORMAT_ADDRESSES,
     apply_app_password_add},
    {PR__COMMAND__CALL_APP_PASSWORD_REMOVE, IN_DIRECTORY, FORMAT_ADDRESSES,
     apply_app_password_remove},
    {PR__COMMAND__CALL_TOTP_USED, IN_DIRECTORY, FORMAT_ADDRESSES, apply_totp_used},
    {PR__COMMAND__CALL_SETTING_PUT, IN_DIRECTORY, FORMAT_ADDRESSES, apply_setting_put},
    {PR__COMMAND__CALL_FIREWALL_PUT, IN_DIRECTORY, FORMAT_ADDRESSES, apply_firewall_put},
    {PR__COMMAND__CALL_FIREWALL_REMOVE, IN_DIRECTORY, FORMAT_ADDRESSES, apply_firewall_remove},
    {PR__COMMAND__CALL_SENDER_DOMAIN_PUT, IN_DIRECTORY, FORMAT_ADDRESSES,
     apply_sender_domain_put},
    {PR__COMMAND__CALL_ROLE_ACCOUNT_MAKE, IN_DIRECTORY, FORMAT_ADDRESSES,
     apply_role_account_make},
    {PR__COMMAND__CALL_QUEUE_CHANGE, IN_MAIL, FORMAT_ADDRESSES, apply_queue_change},
    {PR__COMMAND__CALL_QUEUE_LEASE, IN_MAIL, FORMAT_ADDRESSES, apply_queue_lease},
    {PR__COMMAND__CALL_QUEUE_REPORT, IN_MAIL, FORMAT_ADDRESSES, apply_queue_report},
    {PR__COMMAND__CALL_QUEUE_TOLD, IN_MAIL, FORMAT_ADDRESSES, apply_queue_told},
    {PR__COMMAND__CALL_GREYLIST_SEEN, IN_MAIL, FORMAT_ADDRESSES, apply_greylist_seen},
    {PR__COMMAND__CALL_CANCEL, IN_DIRECTORY | IN_MAIL, FORMAT_FIRST, apply_cancel},
};

static struct bytes outcome_pack(struct arena *arena, const Pr__Outcome *outcome)
{
    size_t size = pr__outcome__get_packed_size(outcome);
    uint8_t *packed = arena_alloc(arena, size);

    pr__outcome__pack(outcome, packed);
    return bytes_from(packed, size);
}

static void group_load(struct db_txn *txn, uint32_t group, struct group_record *record)
{
    struct key key;
    struct bytes row;

    *record = (struct group_record){0};
    if (db_get(txn, TABLE_META, key_group(&key, group), &row) == ERR_OK &&
        !group_decode(row, record))
        db_fail(txn, ERR_MALFORMED);
}

static void group_store(struct apply *apply)
{
    struct key key;
    struct record row;

    group_encode(&apply->record, &row);
    db_put(apply->txn, TABLE_META, key_group(&key, apply->group), record_bytes(&row));
}

static void command_run(struct apply *apply)
{
    unsigned kind = apply->group == 0 ? IN_DIRECTORY : IN_MAIL;

    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        if (commands[i].call != apply->command->call_case ||
            commands[i].format > apply_format(apply))
            continue;
        if (commands[i].kinds & kind)
            commands[i].run(apply);
        else
            apply_refuse(apply, ERR_INVALID, "no command for group %u", apply->group);
        return;
    }
    apply_refuse(apply, ERR_UNSUPPORTED, "a command that this version does not know");
}

/* apply_clock_ms() after a command of that time. */
static uint64_t clock_then(const struct group_record *record, uint64_t time_ms)
{
    uint64_t step;
    uint64_t lag;

    if (record->seen_ms == 0)
        return time_ms;
    if (time_ms <= record->seen_ms)
        return record->clock_ms;
    step = time_ms - record->seen_ms;
    lag = time_ms - record->clock_ms;
    step = 2 * (step < CLOCK_STEP_MAX_MS ? step : CLOCK_STEP_MAX_MS);
    return record->clock_ms + (step < lag ? step : lag);
}

static void clock_follow(struct apply *apply)
{
    struct group_record *record = &apply->record;
    uint64_t time_ms = apply->command->time_ms;

    if (apply_format(apply) < FORMAT_SCOPES || time_ms <= record->seen_ms)
        return;
    record->clock_ms = clock_then(record, time_ms);
    record->seen_ms = time_ms;
}

uint64_t machine_clock_ms(struct db_txn *txn, uint32_t group, uint64_t now_ms)
{
    struct group_record record;

    group_load(txn, group, &record);
    return clock_then(&record, now_ms);
}

uint64_t machine_seen_ms(struct db_txn *txn, uint32_t group)
{
    struct group_record record;

    group_load(txn, group, &record);
    return record.seen_ms;
}

/* Sets the reply of an entry that is not empty and was not applied before. */
static void entry_apply(struct apply *apply, struct bytes entry, struct bytes *reply)
{
    apply->command = entry_decode(entry, apply->arena);
    if (apply->command == NULL) {
        apply_refuse(apply, ERR_MALFORMED, "a log entry that cannot be read");
        *reply = outcome_pack(apply->arena, apply->outcome);
        return;
    }
    apply->request_id = bytes_of_field(apply->command->request_id);
    if (apply->request_id.len != 0 && apply->request_id.len != REQUEST_ID_SIZE) {
        apply_refuse(apply, ERR_INVALID, "a request id of %zu bytes", apply->request_id.len);
        *reply = outcome_pack(apply->arena, apply->outcome);
        return;
    }
    clock_follow(apply);
    if (apply->request_id.len != 0 &&
        dedupe_find(apply->txn, apply->group, apply->request_id, reply)) {
        *reply = arena_copy(apply->arena, *reply);
        return;
    }
    command_run(apply);
    *reply = outcome_pack(apply->arena, apply->outcome);
    if (apply->request_id.len != 0) {
        /* An account that is about to leave may stay after all, a group may be granted more:
         * the same request is for it then. Who goes elsewhere with it cancels it here first. */
        if (apply->outcome->err != ERR_MOVED && apply->outcome->err != ERR_GRANT)
            dedupe_remember(apply, apply->request_id, *reply);
        dedupe_expire(apply);
    }
    if (apply->record.doomed > 0)
        doom_step(apply);
    greylist_step(apply);
}

void machine_apply(struct db_txn *txn, uint32_t group, uint64_t index, uint64_t term,
                   struct bytes entry, struct arena *arena, struct bytes *reply,
                   struct machine_events *events)
{
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    struct apply apply = {
        .txn = txn,
        .arena = arena,
        .group = group,
        .outcome = &outcome,
        .events = events,
        .free_rows = APPLY_FREE_ROWS_MAX,
        .doomed_rows = APPLY_DOOMED_ROWS_MAX,
    };

    *reply = bytes_from(NULL, 0);
    group_load(txn, group, &apply.record);
    if (index <= apply.record.applied || db_error(txn) != ERR_OK)
        return;
    apply.record.applied = index;
    apply.record.term = term;
    if (entry.len > 0)
        entry_apply(&apply, entry, reply);
    group_store(&apply);
}

unsigned machine_format(struct db_txn *txn, uint32_t group)
{
    struct group_record record;

    group_load(txn, group, &record);
    return record.format < FORMAT_FIRST ? FORMAT_FIRST : record.format;
}

uint64_t machine_applied(struct db_txn *txn, uint32_t group)
{
    struct group_record record;

    group_load(txn, group, &record);
    return record.applied;
}

enum err apply_tick(struct apply *apply)
{
    uint32_t rows = apply->command->tick->rows;

    apply->doomed_rows = rows < APPLY_TICK_ROWS_MAX ? rows : APPLY_TICK_ROWS_MAX;
    return ERR_OK;
}

enum err apply_cancel(struct apply *apply)
{
    struct bytes cancelled = bytes_of_field(apply->command->cancel->cancelled_id);
    struct bytes known;

    if (cancelled.len != REQUEST_ID_SIZE)
        return apply_refuse(apply, ERR_INVALID, "a request id of %zu bytes", cancelled.len);
    if (dedupe_find(apply->txn, apply->group, cancelled, &known)) {
        ProtobufCAllocator allocator = arena_allocator(apply->arena);
        Pr__Outcome *outcome = pr__outcome__unpack(&allocator, known.len, known.at);
        if (outcome != NULL)
            apply->outcome = outcome;
        else
            db_fail(apply->txn, ERR_MALFORMED);
        return apply->outcome->err;
    }
    apply_refuse(apply, ERR_CANCELLED, "cancelled before it took effect");
    /* Who asks again sees that it was cancelled before. */
    apply->outcome->id = apply_format(apply) >= FORMAT_DEPTH;
    dedupe_remember(apply, cancelled, outcome_pack(apply->arena, apply->outcome));
    apply->outcome->id = 0;
    return ERR_CANCELLED;
}
