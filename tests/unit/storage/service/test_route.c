/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/entry.h"
#include "storage/schema/request_id.h"
#include "storage/service/route.h"

/*
 * route.c against a directory of one account, and groups that the test speaks for. What it
 * sends is a list of "group: call, id"; one is under way at a time.
 */
enum { ACCOUNT = 7, OLD = 2, NEW = 3, LATER = 4, FORMER_MAX = 4 };
#define NOW_MS ((uint64_t)1800000000000)

static struct service service;
static struct {
    bool gone;
    uint32_t group;
    Pr__FormerGroup former[FORMER_MAX];
    Pr__FormerGroup *former_list[FORMER_MAX];
    size_t former_count;
} directory;
static struct {
    uint64_t now_ms;
    uint32_t group;
    Pr__Command__CallCase call;
    uint8_t id[REQUEST_ID_SIZE];
    bool cancellable; /* the write has the request's id */
    unsigned sent;
    write_done *done;
    void *context;
    replicator_done *fresh_done;
    void *fresh_context;
    void (*fired)(void *context);
    void *timer_context;
    uint32_t account_moved_to;
} world;
static struct {
    unsigned count;
    enum err err;
    uint32_t outcome_err;
    uint64_t outcome_id;
    uint32_t group;
} seen;

uint64_t clock_monotonic_ms(void)
{
    return world.now_ms;
}

uint64_t clock_wall_ms(void)
{
    return NOW_MS + world.now_ms;
}

struct db_txn *service_directory_begin(struct service *self)
{
    (void)self;
    return NULL;
}

enum err db_error(const struct db_txn *txn)
{
    (void)txn;
    return ERR_OK;
}

void db_abort(struct db_txn **txn)
{
    (void)txn;
}

bool directory_account_by_id(struct db_txn *txn, uint64_t account_id, struct arena *arena,
                             struct bytes *address, uint32_t *group)
{
    (void)txn;
    (void)arena;
    assert_int_equal(account_id, ACCOUNT);
    *address = BYTES("somebody@example.test");
    *group = directory.group;
    return !directory.gone;
}

Pr__AccountRecord *directory_account(struct db_txn *txn, struct bytes address,
                                     struct arena *arena)
{
    Pr__AccountRecord *account = arena_alloc(arena, sizeof(*account));

    (void)txn;
    (void)address;
    pr__account_record__init(account);
    account->group = directory.group;
    account->former = directory.former_list;
    account->n_former = directory.former_count;
    return account;
}

static void sent(uint32_t group, const Pr__Command *command, bool cancellable, write_done *done,
                 void *context)
{
    ProtobufCBinaryData id = command->call_case == PR__COMMAND__CALL_CANCEL
                                 ? command->cancel->cancelled_id
                                 : command->request_id;

    assert_null(world.done);
    world.group = group;
    world.call = command->call_case;
    memset(world.id, 0, sizeof(world.id));
    if (id.len > 0)
        memcpy(world.id, id.data, REQUEST_ID_SIZE);
    world.cancellable = cancellable;
    world.sent++;
    world.done = done;
    world.context = context;
}

void write_start(struct service *to, uint32_t group, Pr__Command *command, uint64_t deadline_ms,
                 write_done *done, void *context)
{
    assert_ptr_equal(to, &service);
    assert_true(deadline_ms > world.now_ms);
    assert_int_equal(command->call_case, PR__COMMAND__CALL_CANCEL);
    sent(group, command, false, done, context);
}

void write_entry(struct service *to, uint32_t group, struct bytes entry,
                 struct bytes request_id, uint64_t deadline_ms, write_done *done, void *context)
{
    struct arena arena;

    assert_ptr_equal(to, &service);
    assert_true(deadline_ms > world.now_ms);
    arena_init(&arena);
    sent(group, entry_decode(entry, &arena), request_id.len > 0, done, context);
    arena_fini(&arena);
}

void replicator_read(struct replicator *replicator, uint32_t group, uint64_t deadline_ms,
                     replicator_done *done, void *context)
{
    (void)replicator;
    (void)deadline_ms;
    assert_int_equal(group, DIRECTORY_GROUP);
    assert_null(world.fresh_done);
    world.fresh_done = done;
    world.fresh_context = context;
}

struct loop_timer *loop_timer_start(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                                    void (*fired)(void *context), void *context)
{
    (void)loop;
    (void)repeat_ms;
    world.now_ms += delay_ms;
    world.fired = fired;
    world.timer_context = context;
    return (struct loop_timer *)(void *)&world;
}

void loop_timer_stop(struct loop_timer **timer)
{
    if (*timer != NULL)
        world.fired = NULL;
    *timer = NULL;
}

void route_account_moved(struct service *self, uint64_t account_id, uint32_t group)
{
    (void)self;
    assert_int_equal(account_id, ACCOUNT);
    world.account_moved_to = group;
}

/* ---- what the test does ---- */

static uint8_t request_id[REQUEST_ID_SIZE];

static void on_done(void *context, enum err err, const Pr__Outcome *outcome, uint64_t index,
                    uint32_t group)
{
    (void)context;
    (void)index;
    seen.count++;
    seen.err = err;
    seen.outcome_err = outcome != NULL ? outcome->err : 0;
    seen.outcome_id = outcome != NULL ? outcome->id : 0;
    seen.group = group;
}

static void former_add(uint32_t group, uint64_t until_ms)
{
    size_t at = directory.former_count++;

    pr__former_group__init(&directory.former[at]);
    directory.former[at].group = group;
    directory.former[at].until_ms = until_ms;
    directory.former_list[at] = &directory.former[at];
}

static Pr__MailboxCreate create = PR__MAILBOX_CREATE__INIT;
static Pr__Command command;

static void begin(uint64_t made_ms, bool must_arrive)
{
    struct request_id id = request_id_make(made_ms, (const uint8_t[10]){1, 2, 3});
    const struct route_request request = {
        .service = &service,
        .account_id = ACCOUNT,
        .request_id = bytes_from(request_id, sizeof(request_id)),
        .deadline_ms = world.now_ms + 10000,
        .command = &command,
        .must_arrive = must_arrive,
        .done = on_done,
    };

    memcpy(request_id, id.bytes, sizeof(request_id));
    pr__command__init(&command);
    command.call_case = PR__COMMAND__CALL_MAILBOX_CREATE;
    command.mailbox_create = &create;
    route_write(&request);
}

static bool is_step(unsigned step)
{
    uint8_t id[REQUEST_ID_SIZE];

    route_id(bytes_from(request_id, sizeof(request_id)), 0, step, id);
    return memcmp(id, world.id, sizeof(id)) == 0;
}

static void expect(uint32_t group, Pr__Command__CallCase call, unsigned step)
{
    assert_non_null(world.done);
    assert_int_equal(world.group, group);
    assert_int_equal(world.call, call);
    assert_true(is_step(step));
}

static void answer(enum err err, enum err outcome_err, uint64_t id)
{
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    write_done *done = world.done;

    world.done = NULL;
    outcome.err = outcome_err;
    outcome.id = id;
    done(world.context, err, err == ERR_OK ? &outcome : NULL, 9);
}

static void directory_is_fresh(void)
{
    replicator_done *done = world.fresh_done;

    assert_non_null(done);
    world.fresh_done = NULL;
    done(world.fresh_context, ERR_OK, 1, bytes_from(NULL, 0));
}

static void timer_fires(void)
{
    void (*fired)(void *context) = world.fired;

    assert_non_null(fired);
    world.fired = NULL;
    fired(world.timer_context);
}

static int set_up(void **state)
{
    (void)state;
    memset(&directory, 0, sizeof(directory));
    memset(&world, 0, sizeof(world));
    memset(&seen, 0, sizeof(seen));
    world.now_ms = 1000;
    directory.group = OLD;
    service.routes = routes_new();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_null(world.done);
    routes_free(&service.routes);
    return 0;
}

#define CREATE PR__COMMAND__CALL_MAILBOX_CREATE
#define CANCEL PR__COMMAND__CALL_CANCEL

static void a_write_goes_to_its_group_and_nowhere_else(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    expect(OLD, CREATE, 0);
    assert_true(world.cancellable);
    answer(ERR_OK, ERR_OK, 5);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.group, OLD);
    assert_int_equal(seen.outcome_id, 5);
    assert_int_equal(world.sent, 1);
    begin(NOW_MS, false);
    answer(ERR_OK, ERR_CANCELLED, 0); /* it never moved: this is what is true */
    assert_int_equal(seen.outcome_err, ERR_CANCELLED);
    directory.gone = true;
    begin(NOW_MS, false);
    assert_int_equal(seen.count, 2); /* never from within */
    timer_fires();
    assert_int_equal(seen.err, ERR_NOTFOUND);
}

static void a_frozen_account_is_waited_for(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    for (unsigned i = 0; i < 3; i++) {
        expect(OLD, CREATE, 0);
        answer(ERR_OK, ERR_MOVED, 0);
        directory_is_fresh();
        timer_fires();
    }
    answer(ERR_OK, ERR_OK, 1);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.group, OLD);
    begin(NOW_MS, false);
    answer(ERR_OK, ERR_MOVED, 0);
    world.now_ms += 20000;
    directory_is_fresh();
    timer_fires();
    assert_int_equal(seen.err, ERR_UNAVAILABLE); /* time is up, and it was never applied */
}

static void a_write_follows_and_is_cancelled_behind(void **state)
{
    (void)state;
    begin(NOW_MS, false);
    answer(ERR_OK, ERR_MOVED, 0);
    directory.group = NEW;
    former_add(OLD, NOW_MS - 3600 * 1000); /* long ago: this node's directory was old */
    directory_is_fresh();
    assert_int_equal(world.account_moved_to, NEW);
    timer_fires();
    expect(OLD, CANCEL, 0);
    answer(ERR_OK, ERR_CANCELLED, 0);
    expect(NEW, CREATE, 0);
    answer(ERR_OK, ERR_MOVED, 0); /* and on */
    directory.group = LATER;
    former_add(NEW, NOW_MS);
    directory_is_fresh();
    timer_fires();
    expect(NEW, CANCEL, 0);
    answer(ERR_OK, ERR_CANCELLED, 0);
    expect(LATER, CREATE, 0);
    answer(ERR_OK, ERR_OK, 4);
    assert_int_equal(seen.group, LATER);
}

static void an_old_request_is_settled_where_it_was(void **state)
{
    (void)state;
    directory.group = NEW;
    former_add(OLD, NOW_MS);
    begin(NOW_MS - 1000, false);
    expect(OLD, CANCEL, 0);
    answer(ERR_OK, ERR_OK, 17); /* it took effect there */
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.group, OLD);
    assert_int_equal(seen.outcome_id, 17);
    begin(NOW_MS - 1000, false);
    answer(ERR_UNAVAILABLE, ERR_OK, 0); /* nobody can say: it must not go elsewhere */
    assert_int_equal(seen.err, ERR_UNAVAILABLE);
    assert_int_equal(world.sent, 2);
    begin(NOW_MS + 3600 * 1000, false); /* made after the move */
    expect(NEW, CREATE, 0);
    answer(ERR_OK, ERR_OK, 0);
}

/* Two moves, and back: the request's own id lies cancelled in the group that it returns to. */
static void a_row_of_ids_leads_past_cancels(void **state)
{
    (void)state;
    directory.group = OLD;
    former_add(OLD, NOW_MS - 2000);
    former_add(NEW, NOW_MS - 1000);
    begin(NOW_MS - 5000, false);
    expect(NEW, CANCEL, 0);
    answer(ERR_OK, ERR_CANCELLED, 1); /* cancelled before: somebody may have gone on there */
    expect(NEW, CANCEL, 1);
    answer(ERR_OK, ERR_CANCELLED, 0);
    expect(OLD, CREATE, 0);
    answer(ERR_OK, ERR_CANCELLED, 0);
    expect(OLD, CREATE, 1);
    assert_true(world.cancellable);
    answer(ERR_OK, ERR_OK, 3);
    assert_int_equal(seen.count, 1);
    assert_int_equal(seen.group, OLD);
}

/* The blocks that it needs are in the group before: no refusal for good. */
static void a_lost_upload_is_to_be_sent_again(void **state)
{
    static Pr__UploadBlock block = PR__UPLOAD_BLOCK__INIT;

    (void)state;
    for (unsigned moved = 0; moved < 2; moved++) {
        struct route_request request = {
            .service = &service,
            .account_id = ACCOUNT,
            .deadline_ms = world.now_ms + 10000,
            .command = &command,
            .done = on_done,
        };
        pr__command__init(&command);
        command.call_case = PR__COMMAND__CALL_UPLOAD_BLOCK;
        command.upload_block = &block;
        directory.group = moved ? NEW : OLD;
        if (moved)
            former_add(OLD, NOW_MS - 60 * 1000);
        route_write(&request);
        answer(ERR_OK, ERR_INVALID, 0);
        assert_int_equal(seen.err, moved ? ERR_UNAVAILABLE : ERR_OK);
    }
    assert_int_equal(seen.count, 2);
}

static void what_must_arrive_is_never_settled(void **state)
{
    (void)state;
    begin(NOW_MS, true);
    expect(OLD, CREATE, 0);
    assert_false(world.cancellable);
    answer(ERR_OK, ERR_OK, 0);
    assert_int_equal(seen.count, 1);
}

static void ids_of_a_row_differ_and_keep_their_time(void **state)
{
    uint8_t ids[4][REQUEST_ID_SIZE];
    struct request_id made = request_id_make(NOW_MS, (const uint8_t[10]){9});
    struct bytes own = bytes_from(made.bytes, sizeof(made.bytes));

    (void)state;
    route_id(own, 0, 0, ids[0]);
    route_id(own, 0, 1, ids[1]);
    route_id(own, ACCOUNT, 0, ids[2]);
    route_id(own, ACCOUNT + 1, 0, ids[3]);
    assert_memory_equal(ids[0], made.bytes, REQUEST_ID_SIZE);
    for (unsigned i = 0; i < 4; i++) {
        assert_memory_equal(ids[i], made.bytes, 6);
        for (unsigned k = 0; k < i; k++)
            assert_memory_not_equal(ids[i], ids[k], REQUEST_ID_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_goes_to_its_group_and_nowhere_else, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_frozen_account_is_waited_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_follows_and_is_cancelled_behind, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_old_request_is_settled_where_it_was, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_row_of_ids_leads_past_cancels, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lost_upload_is_to_be_sent_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_must_arrive_is_never_settled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(ids_of_a_row_differ_and_keep_their_time, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
