/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_STORAGE_SERVICE_ROUTE_WORLD_H
#define TESTS_UNIT_STORAGE_SERVICE_ROUTE_WORLD_H

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
#include "storage/service/scopes.h"

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
    scopes_done *done;
    void *context;
    uint32_t group;
    uint64_t need_bytes;
    unsigned asked;
} room;
static struct {
    unsigned count;
    enum err err;
    uint32_t outcome_err;
    uint64_t outcome_id;
    Pr__ScopeKind share_kind; /* of the outcome's */
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

static inline void sent(uint32_t group, const Pr__Command *command, bool cancellable,
                        write_done *done, void *context)
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

void scopes_ask(struct service *of, uint32_t group, const Pr__ScopeShare *refusal,
                uint64_t deadline_ms, scopes_done *done, void *context)
{
    assert_ptr_equal(of, &service);
    assert_true(deadline_ms > 0);
    assert_null(room.done);
    room.group = group;
    room.need_bytes = refusal->need_bytes;
    room.done = done;
    room.context = context;
    room.asked++;
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

static inline void on_done(void *context, enum err err, const Pr__Outcome *outcome,
                           uint64_t index, uint32_t group)
{
    (void)context;
    (void)index;
    seen.count++;
    seen.err = err;
    seen.outcome_err = outcome != NULL ? outcome->err : 0;
    seen.outcome_id = outcome != NULL ? outcome->id : 0;
    seen.share_kind = outcome != NULL && outcome->share != NULL ? outcome->share->kind
                                                                : PR__SCOPE_KIND__SCOPE_NONE;
    seen.group = group;
}

static inline void former_add(uint32_t group, uint64_t until_ms)
{
    size_t at = directory.former_count++;

    pr__former_group__init(&directory.former[at]);
    directory.former[at].group = group;
    directory.former[at].until_ms = until_ms;
    directory.former_list[at] = &directory.former[at];
}

static Pr__MailboxCreate create = PR__MAILBOX_CREATE__INIT;
static Pr__Command command;

static inline void begin(uint64_t made_ms, bool must_arrive)
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

static inline bool is_step(unsigned step)
{
    uint8_t id[REQUEST_ID_SIZE];

    route_id(bytes_from(request_id, sizeof(request_id)), 0, step, id);
    return memcmp(id, world.id, sizeof(id)) == 0;
}

static inline void expect(uint32_t group, Pr__Command__CallCase call, unsigned step)
{
    assert_non_null(world.done);
    assert_int_equal(world.group, group);
    assert_int_equal(world.call, call);
    assert_true(is_step(step));
}

static inline void answer(enum err err, enum err outcome_err, uint64_t id)
{
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    write_done *done = world.done;

    world.done = NULL;
    outcome.err = outcome_err;
    outcome.id = id;
    done(world.context, err, err == ERR_OK ? &outcome : NULL, 9);
}

/* Refused for the group's part of a limit. */
enum { FREE_MS = 777 }; /* when the group would have room by itself */

static inline void answer_grant(uint64_t need_bytes)
{
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;
    write_done *done = world.done;

    world.done = NULL;
    share.need_bytes = need_bytes;
    share.free_ms = FREE_MS;
    outcome.err = ERR_GRANT;
    outcome.share = &share;
    done(world.context, ERR_OK, &outcome, 9);
}

static inline void room_is(enum err err, const char *text)
{
    scopes_done *done = room.done;

    assert_non_null(done);
    room.done = NULL;
    done(room.context, err, text);
}

static inline void directory_is_fresh(void)
{
    replicator_done *done = world.fresh_done;

    assert_non_null(done);
    world.fresh_done = NULL;
    done(world.fresh_context, ERR_OK, 1, bytes_from(NULL, 0));
}

static inline void timer_fires(void)
{
    void (*fired)(void *context) = world.fired;

    assert_non_null(fired);
    world.fired = NULL;
    fired(world.timer_context);
}

static inline int set_up(void **state)
{
    (void)state;
    memset(&directory, 0, sizeof(directory));
    memset(&world, 0, sizeof(world));
    memset(&seen, 0, sizeof(seen));
    memset(&room, 0, sizeof(room));
    service.replicator = (struct replicator *)(void *)&world;
    world.now_ms = 1000;
    directory.group = OLD;
    service.routes = routes_new();
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    assert_null(world.done);
    routes_free(&service.routes);
    return 0;
}

#define CREATE PR__COMMAND__CALL_MAILBOX_CREATE
#define CANCEL PR__COMMAND__CALL_CANCEL

#endif
