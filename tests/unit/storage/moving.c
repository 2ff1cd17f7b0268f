/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/moving.h"

#include "node/base/check.h"
#include "storage/machine/account.h"
#include "storage/machine/blob.h"
#include "storage/machine/moving.h"
#include "storage/schema/format.h"

static void format_raise(struct lab *lab, uint32_t group)
{
    Pr__FormatRaise raise = PR__FORMAT_RAISE__INIT;

    raise.format = FORMAT_NEWEST;
    CHECK(lab_apply(lab, group, LAB_COMMAND(format_raise, FORMAT_RAISE, &raise))->err ==
          ERR_OK);
}

static char *address_of(struct model *model, const struct model_account *account)
{
    return arena_printf(&model->lab.arena, "user%d@example.org",
                        (int)(account - model->accounts));
}

static void directory_make(struct lab *lab)
{
    Pr__ClusterCreate create = PR__CLUSTER_CREATE__INIT;
    Pr__NodeJoin node = PR__NODE_JOIN__INIT;
    Pr__TenantAdd tenant = PR__TENANT_ADD__INIT;
    Pr__DomainAdd domain = PR__DOMAIN_ADD__INIT;

    create.cluster_id = arena_string(&lab->arena, BYTES("00112233445566778899aabbccddeeff"));
    create.name = arena_string(&lab->arena, BYTES("test"));
    create.authority = lab_field(lab, BYTES("pem"));
    create.authority_key = lab_field(lab, BYTES("pem"));
    node.name = arena_string(&lab->arena, BYTES("one"));
    node.data_center = arena_string(&lab->arena, BYTES("dc1"));
    node.raft_address = node.rpc_address = node.join_address =
        arena_string(&lab->arena, BYTES("127.0.0.1:1"));
    create.node = &node;
    create.mail_groups = MOVING_OTHER_GROUP;
    create.format = FORMAT_NEWEST;
    CHECK(lab_apply(lab, 0, LAB_COMMAND(cluster_create, CLUSTER_CREATE, &create))->err ==
          ERR_OK);
    tenant.name = arena_string(&lab->arena, BYTES("tenant"));
    CHECK(lab_apply(lab, 0, LAB_COMMAND(tenant_add, TENANT_ADD, &tenant))->err == ERR_OK);
    domain.name = arena_string(&lab->arena, BYTES("example.org"));
    domain.tenant = tenant.name;
    CHECK(lab_apply(lab, 0, LAB_COMMAND(domain_add, DOMAIN_ADD, &domain))->err == ERR_OK);
}

void moving_open(struct model *model)
{
    struct lab *lab = &model->lab;

    directory_make(lab);
    format_raise(lab, 0);
    for (uint32_t group = 1; group <= MOVING_OTHER_GROUP; group++)
        format_raise(lab, group);
    for (unsigned i = 0; i < MODEL_ACCOUNTS; i++) {
        struct model_account *account = &model->accounts[i];
        Pr__AccountAdd add = PR__ACCOUNT_ADD__INIT;
        add.address = address_of(model, account);
        add.password_hash = arena_string(&lab->arena, BYTES("hash"));
        Pr__Outcome *outcome = lab_apply(lab, 0, LAB_COMMAND(account_add, ACCOUNT_ADD, &add));
        struct db_txn *txn = db_read_begin(lab->db);
        struct move_truth truth;
        CHECK(outcome->err == ERR_OK);
        account->id = outcome->id;
        moves_truth(txn, account->id, &truth);
        account->group = truth.group;
        db_abort(&txn);
    }
    model->keep = true;
    lab->scopes = true;
}

enum err moving_ask(struct model *model, const struct model_account *account, uint32_t to)
{
    Pr__AccountMoveBegin begin = PR__ACCOUNT_MOVE_BEGIN__INIT;

    begin.address = address_of(model, account);
    begin.group = to;
    return (enum err)lab_apply(&model->lab, 0,
                               LAB_COMMAND(account_move_begin, ACCOUNT_MOVE_BEGIN, &begin))
        ->err;
}

void moving_begin(struct mover *mover, struct model *model, struct model_account *account,
                  uint64_t seed)
{
    *mover = (struct mover){.model = model, .account = account, .seed = seed};
    moving_recover(mover);
}

void moving_crash(struct mover *mover)
{
    account_copy_free(&mover->copy);
    mover->step = MOVING_IDLE;
}

static Pr__Outcome *apply(struct mover *mover, uint32_t group, Pr__Command *command)
{
    mover->commands++;
    return lab_apply(&mover->model->lab, group, command);
}

/* Whether it was accepted; who was replaced gives up when it was not. */
static bool accepted(struct mover *mover, const Pr__Outcome *outcome)
{
    if (outcome->err == ERR_OK)
        return true;
    CHECK(mover->replaced);
    moving_crash(mover);
    return false;
}

/* ---- the steps ---- */

static void claim(struct mover *mover)
{
    Pr__AccountMoveClaim call = PR__ACCOUNT_MOVE_CLAIM__INIT;

    call.account_id = mover->account->id;
    call.from = mover->from;
    Pr__Outcome *outcome =
        apply(mover, 0, LAB_COMMAND(account_move_claim, ACCOUNT_MOVE_CLAIM, &call));
    if (!accepted(mover, outcome))
        return;
    CHECK(!mover->replaced && outcome->id > mover->attempt);
    mover->attempt = outcome->id;
    mover->step = MOVING_START;
}

static void start(struct mover *mover)
{
    Pr__MoveStart call = PR__MOVE_START__INIT;

    call.account_id = mover->account->id;
    call.to = mover->to;
    call.attempt = mover->attempt;
    if (!accepted(mover, apply(mover, mover->from, LAB_COMMAND(move_start, MOVE_START, &call))))
        return;
    mover->account->frozen = false;
    mover->step = MOVING_BEGIN;
}

static void begin(struct mover *mover)
{
    Pr__ImportBegin call = PR__IMPORT_BEGIN__INIT;

    call.account_id = mover->account->id;
    call.from = mover->from;
    call.attempt = mover->attempt;
    call.limit = 1 + lab_random(&mover->seed, 60);
    Pr__Outcome *outcome =
        apply(mover, mover->to, LAB_COMMAND(import_begin, IMPORT_BEGIN, &call));
    if (outcome->err == ERR_BUSY || !accepted(mover, outcome))
        return;
    struct account_copy_config config = {
        .db = mover->model->lab.db,
        .group = mover->from,
        .account_id = mover->account->id,
        .attempt = mover->attempt,
        .seed = {(uint8_t)mover->seed},
        .command_bytes = 1 + lab_random(&mover->seed, 20000),
    };
    CHECK(account_copy_new(&config, &mover->copy) == ERR_OK);
    mover->look = (struct account_copy_look){0};
    mover->step = MOVING_COPY;
}

static void nothing_comes_in(struct mover *mover, uint32_t group)
{
    CHECK(lab_deliver(&mover->model->lab, group, mover->account->id, BYTES("late"))->err ==
          ERR_MOVED);
}

static void freeze(struct mover *mover)
{
    Pr__MoveFreeze call = PR__MOVE_FREEZE__INIT;

    call.account_id = mover->account->id;
    call.attempt = mover->attempt;
    Pr__Outcome *outcome =
        apply(mover, mover->from, LAB_COMMAND(move_freeze, MOVE_FREEZE, &call));
    if (outcome->err != ERR_BUSY && !accepted(mover, outcome))
        return;
    mover->account->frozen = outcome->err == ERR_OK;
    if (outcome->err == ERR_BUSY) {
        Pr__Tick tick = PR__TICK__INIT;
        tick.rows = 20;
        apply(mover, mover->from, LAB_COMMAND(tick, TICK, &tick));
    } else {
        nothing_comes_in(mover, mover->from);
    }
}

static void copy(struct mover *mover)
{
    Pr__Command command;
    enum err err;

    if (mover->look.through && !mover->account->frozen && mover->look.left < 40 &&
        lab_random(&mover->seed, 5) == 0) {
        freeze(mover);
        return;
    }
    err = account_copy_next(mover->copy, &mover->model->lab.arena, &command, &mover->look);
    CHECK(err == ERR_OK || err == ERR_NOTFOUND);
    if (err == ERR_OK) {
        mover->frozen_commands += mover->account->frozen;
        if (!accepted(mover, apply(mover, mover->to, &command)))
            return;
        if (lab_random(&mover->seed, 4) == 0) /* once more, by another way */
            CHECK(apply(mover, mover->to, &command)->err == ERR_OK);
    } else if (mover->look.frozen) {
        account_copy_free(&mover->copy);
        mover->step = MOVING_DONE;
    }
}

static void end(struct mover *mover, Pr__ImportEnd__Kind kind, enum moving_step next)
{
    Pr__ImportEnd call = PR__IMPORT_END__INIT;

    call.account_id = mover->account->id;
    call.attempt = mover->attempt;
    call.kind = kind;
    call.sequence = mover->look.sequence;
    if (accepted(mover, apply(mover, mover->to, LAB_COMMAND(import_end, IMPORT_END, &call))))
        mover->step = next;
}

static void flip(struct mover *mover)
{
    Pr__AccountMoveDone call = PR__ACCOUNT_MOVE_DONE__INIT;

    call.account_id = mover->account->id;
    call.attempt = mover->attempt;
    if (!accepted(mover,
                  apply(mover, 0, LAB_COMMAND(account_move_done, ACCOUNT_MOVE_DONE, &call))))
        return;
    CHECK(!mover->replaced);
    mover->account->group = mover->to; /* frozen there, too, until it is settled */
    mover->step = MOVING_SETTLE;
}

static void settle(struct mover *mover)
{
    end(mover, PR__IMPORT_END__KIND__SETTLED, MOVING_END);
    if (!mover->replaced)
        mover->account->frozen = false;
}

static void move_end(struct mover *mover, bool moved)
{
    Pr__MoveEnd call = PR__MOVE_END__INIT;

    call.account_id = mover->account->id;
    call.attempt = mover->attempt;
    call.moved = moved;
    if (!accepted(mover, apply(mover, mover->from, LAB_COMMAND(move_end, MOVE_END, &call))))
        return;
    mover->step = MOVING_IDLE;
}

bool moving_next(struct mover *mover)
{
    switch (mover->step) {
    case MOVING_IDLE:
        return false;
    case MOVING_CLAIM:
        claim(mover);
        break;
    case MOVING_START:
        start(mover);
        break;
    case MOVING_BEGIN:
        begin(mover);
        break;
    case MOVING_COPY:
        copy(mover);
        break;
    case MOVING_DONE:
        end(mover, PR__IMPORT_END__KIND__DONE, MOVING_FLIP);
        if (!mover->replaced) {
            moving_rows_equal(mover->model, mover->account->id, mover->from, mover->to);
            nothing_comes_in(mover, mover->to);
        }
        break;
    case MOVING_FLIP:
        flip(mover);
        break;
    case MOVING_SETTLE:
        settle(mover);
        break;
    case MOVING_END:
        move_end(mover, true);
        break;
    }
    return mover->step != MOVING_IDLE;
}

/* ---- a new leader ---- */

static void drop(struct mover *mover, uint32_t group, const struct moving_record *moving)
{
    Pr__ImportEnd call = PR__IMPORT_END__INIT;

    call.account_id = mover->account->id;
    call.attempt = moving->attempt;
    call.kind = PR__IMPORT_END__KIND__DROPPED;
    call.limit = 50;
    while (apply(mover, group, LAB_COMMAND(import_end, IMPORT_END, &call))->err == ERR_BUSY)
        ;
}

static void duty_do(struct mover *mover, uint32_t group)
{
    struct db_txn *txn = db_read_begin(mover->model->lab.db);
    struct moving_record moving;
    struct move_truth truth;
    bool there = moving_load(txn, group, mover->account->id, &moving);

    moves_truth(txn, mover->account->id, &truth);
    db_abort(&txn);
    if (!there)
        return;
    mover->attempt = moving.attempt;
    mover->from = group;
    switch (moves_duty(group, &moving, &truth)) {
    case MOVE_DUTY_MOVED:
        move_end(mover, true);
        break;
    case MOVE_DUTY_STAYS:
        move_end(mover, false);
        mover->account->frozen = false;
        break;
    case MOVE_DUTY_SETTLE:
        mover->to = group;
        settle(mover);
        break;
    case MOVE_DUTY_DROP:
        drop(mover, group, &moving);
        break;
    default:
        break;
    }
}

void moving_recover(struct mover *mover)
{
    struct arena arena;
    struct db_txn *txn;
    Pr__MoveRecord *wanted;

    for (uint32_t group = 1; group <= MOVING_OTHER_GROUP; group++)
        duty_do(mover, group);
    mover->step = MOVING_IDLE;
    arena_init(&arena);
    txn = db_read_begin(mover->model->lab.db);
    wanted = moves_of(txn, mover->account->id, &arena);
    if (wanted != NULL) {
        mover->from = wanted->from;
        mover->to = wanted->to;
        mover->attempt = wanted->attempt;
        mover->step = MOVING_CLAIM;
    }
    db_abort(&txn);
    arena_fini(&arena);
}

/* ---- rows of both groups ---- */

static void value_without_place(enum db_table table, struct bytes key, struct bytes value,
                                struct record *plain)
{
    struct message_record message;
    struct account_record account;
    struct bytes name;

    CHECK(value.len <= sizeof(plain->at));
    plain->len = value.len;
    if (value.len > 0)
        memcpy(plain->at, value.at, value.len);
    if (table == TABLE_MESSAGE) {
        CHECK(message_decode(value, &message));

        message.blob = 0;
        message_encode(&message, plain);
    } else if (table == TABLE_EXPUNGED) {
        CHECK(expunged_row_decode(value, &message, &name));
        message.blob = 0;
        expunged_encode(&message, name, plain);
    } else if (table == TABLE_MAILBOX && key_last_u32(key) == 0) {
        CHECK(account_decode(value, &account));
        account.place = PLACE_HERE;
        account.peer = 0;
        account_encode(&account, plain);
    }
}

static void table_equal(struct db_txn *txn, enum db_table table, uint64_t account_id,
                        uint32_t from, uint32_t to)
{
    struct key prefix[2];
    struct bytes key[2];
    struct bytes value[2];
    struct db_cursor *left =
        db_cursor_open(txn, table, key_number(&prefix[0], from, account_id));
    struct db_cursor *right =
        db_cursor_open(txn, table, key_number(&prefix[1], to, account_id));
    bool more = db_cursor_first(left, &key[0], &value[0]);

    CHECK(db_cursor_first(right, &key[1], &value[1]) == more);
    while (more) {
        struct record plain[2];
        CHECK(bytes_equal(key_behind_account(key[0]), key_behind_account(key[1])));
        value_without_place(table, key[0], value[0], &plain[0]);
        value_without_place(table, key[1], value[1], &plain[1]);
        CHECK(bytes_equal(record_bytes(&plain[0]), record_bytes(&plain[1])));
        more = db_cursor_next(left, &key[0], &value[0]);
        CHECK(db_cursor_next(right, &key[1], &value[1]) == more);
    }
    db_cursor_close(&left);
    db_cursor_close(&right);
}

void moving_rows_equal(struct model *model, uint64_t account_id, uint32_t from, uint32_t to)
{
    static const enum db_table tables[] = {TABLE_MAILBOX, TABLE_MAILBOX_NAME, TABLE_KEYWORD,
                                           TABLE_MESSAGE, TABLE_UID_RANGE,    TABLE_DELETED,
                                           TABLE_CHANGE,  TABLE_EXPUNGED,     TABLE_SENDING};
    struct db_txn *txn = db_read_begin(model->lab.db);

    for (unsigned i = 0; i < sizeof(tables) / sizeof(*tables); i++)
        table_equal(txn, tables[i], account_id, from, to);
    CHECK(db_commit(&txn) == ERR_OK);
}
