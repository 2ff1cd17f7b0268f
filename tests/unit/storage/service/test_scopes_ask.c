/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/query/directory.h"
#include "storage/query/scopes.h"
#include "storage/schema/format.h"
#include "storage/service/limits.h"
#include "storage/service/scopes.h"
#include "storage/service/sending_tenants.h"

/*
 * Writes that were refused with GRANT, a directory and a group that the test speaks for, and
 * one timer. What is asked lies in `world` until it is answered.
 */
enum { GROUP = 3, SCOPE = 9, LIMIT = 5, WRITES_MAX = 400 };

static struct service service;
static struct {
    uint64_t now_ms;
    Pr__ScopeKind kind;
    Pr__Command__CallCase call; /* under way; one at a time */
    uint32_t group;
    Pr__ScopeAsk ask;
    Pr__ScopeShare share; /* of the ask, or of the grant */
    unsigned asks;
    unsigned grants;
    write_done *done;
    void *context;
    void (*fired)(void *context);
    void *timer_context;
    uint64_t timer_ms;
} world;
static struct {
    unsigned content;
    unsigned refused;
    unsigned held; /* that may not send more now */
    unsigned conflict;
    unsigned unavailable;
    char text[128];
} heard;

uint64_t clock_monotonic_ms(void)
{
    return world.now_ms;
}

struct db_txn *service_directory_begin(struct service *self)
{
    assert_ptr_equal(self, &service);
    return NULL;
}

void db_abort(struct db_txn **txn)
{
    (void)txn;
}

/* 1,000 bytes, of which 800 are granted, in a cluster of two mail groups: a chunk has 50. */
Pr__ScopeRecord *scopes_record(struct db_txn *txn, struct scopes_place scope,
                               struct arena *arena)
{
    static Pr__ScopeRecord record;
    static Pr__AccountQuota total;
    static Pr__ScopeShare part;
    static Pr__ScopeShare *parts[] = {&part};

    (void)txn;
    (void)arena;
    assert_int_equal(scope.kind, world.kind);
    assert_int_equal(scope.id, SCOPE);
    pr__scope_record__init(&record);
    pr__account_quota__init(&total);
    pr__scope_share__init(&part);
    record.limit = LIMIT;
    record.total = &total;
    total.bytes = 1000;
    part.granted_bytes = 800;
    record.shares = parts;
    record.n_shares = 1;
    return &record;
}

Pr__ClusterRecord *directory_cluster(struct db_txn *txn, struct arena *arena)
{
    static Pr__ClusterRecord cluster;

    (void)txn;
    (void)arena;
    pr__cluster_record__init(&cluster);
    cluster.next_group = 3;
    return &cluster;
}

void directory_groups(struct db_txn *txn, struct arena *arena, Pr__GroupRecord ***groups,
                      size_t *count)
{
    (void)txn;
    (void)arena;
    (void)groups;
    (void)count;
    fail();
}

unsigned machine_format(struct db_txn *txn, uint32_t group)
{
    (void)txn;
    (void)group;
    return FORMAT_NEWEST;
}

unsigned service_format(struct service *self, uint32_t group)
{
    (void)self;
    (void)group;
    return FORMAT_NEWEST;
}

bool read_is_local(const struct service *self, uint32_t group)
{
    (void)self;
    (void)group;
    return true;
}

Pr__AccountScopes *scopes_of_account_id(struct db_txn *txn, uint64_t account_id,
                                        struct arena *arena)
{
    (void)txn;
    (void)account_id;
    (void)arena;
    return NULL;
}

/* What the settings say. */
void sending_tenant_ask(struct db_txn *txn, Pr__ScopeAsk *ask, struct arena *arena)
{
    static Pr__AccountQuota total;

    (void)txn;
    (void)arena;
    assert_int_equal(ask->share->scope_id, SCOPE);
    pr__account_quota__init(&total);
    total.bytes = 1000;
    ask->total = &total;
}

void write_start(struct service *to, uint32_t group, Pr__Command *command, uint64_t deadline_ms,
                 write_done *done, void *context)
{
    assert_ptr_equal(to, &service);
    assert_true(deadline_ms > world.now_ms);
    assert_null(world.done);
    world.call = command->call_case;
    world.group = group;
    world.done = done;
    world.context = context;
    if (world.call == PR__COMMAND__CALL_SCOPE_ASK) {
        world.ask = *command->scope_ask;
        world.share = *command->scope_ask->share;
        world.asks++;
    } else {
        assert_int_equal(world.call, PR__COMMAND__CALL_SCOPE_GRANT);
        world.share = *command->scope_grant->share;
        world.grants++;
    }
}

struct loop_timer *loop_timer_start(struct loop *loop, uint64_t delay_ms, uint64_t repeat_ms,
                                    void (*fired)(void *context), void *context)
{
    (void)loop;
    assert_int_equal(repeat_ms, 0);
    assert_null(world.fired);
    world.fired = fired;
    world.timer_context = context;
    world.timer_ms = delay_ms;
    return (struct loop_timer *)(void *)&world;
}

void loop_timer_stop(struct loop_timer **timer)
{
    if (*timer != NULL)
        world.fired = NULL;
    *timer = NULL;
}

/* ---- what the test does ---- */

static void on_done(void *context, enum err err, const char *text)
{
    (void)context;
    heard.content += err == ERR_OK;
    heard.refused += err == ERR_QUOTA;
    heard.held += err == ERR_LIMIT;
    heard.conflict += err == ERR_CONFLICT;
    heard.unavailable += err == ERR_UNAVAILABLE;
    if (text != NULL)
        snprintf(heard.text, sizeof(heard.text), "%s", text);
}

/* A write that needs so much more than the group uses, which is what it was granted. */
static void refused_write(uint64_t used, uint64_t need, uint64_t deadline_ms)
{
    Pr__ScopeShare share = PR__SCOPE_SHARE__INIT;

    share.kind = world.kind;
    share.scope_id = SCOPE;
    share.limit = LIMIT;
    share.version = 4;
    share.group = GROUP;
    share.used_bytes = share.granted_bytes = used;
    share.used_messages = 3;
    share.granted_messages = UINT64_MAX;
    share.need_bytes = need;
    share.need_messages = 1;
    scopes_ask(&service, GROUP, &share, deadline_ms, on_done, NULL);
}

static void timer_fires(void)
{
    void (*fired)(void *context) = world.fired;

    assert_non_null(fired);
    world.fired = NULL;
    world.now_ms += world.timer_ms;
    fired(world.timer_context);
}

static void answer(enum err err, enum err outcome_err, uint64_t used, uint64_t granted)
{
    Pr__Outcome outcome = PR__OUTCOME__INIT;
    Pr__ScopeShare share = world.share;
    write_done *done = world.done;
    static char words[] = "domain example.test lacks 7 bytes";

    assert_non_null(done);
    world.done = NULL;
    outcome.err = outcome_err;
    outcome.text = words;
    outcome.share = &share;
    share.version = 5;
    share.used_bytes = used;
    share.granted_bytes = granted;
    share.granted_messages = UINT64_MAX;
    done(world.context, err, err == ERR_OK ? &outcome : NULL, 1);
}

/* The directory has given so much in all, and the group has heard of it. */
static void granted(uint64_t used, uint64_t bytes)
{
    answer(ERR_OK, ERR_OK, 0, bytes);
    assert_int_equal(world.call, PR__COMMAND__CALL_SCOPE_GRANT);
    assert_int_equal(world.group, GROUP);
    assert_int_equal(world.share.granted_bytes, bytes);
    answer(ERR_OK, ERR_OK, used, bytes);
}

static void asked(void)
{
    assert_int_equal(world.call, PR__COMMAND__CALL_SCOPE_ASK);
    assert_int_equal(world.group, DIRECTORY_GROUP);
}

static void refused_and_asked(void)
{
    refused_write(100, 20, 20000);
    timer_fires();
}

static void none_is_left(void)
{
    timer_fires();
    asked();
    answer(ERR_OK, ERR_QUOTA, 0, 100);
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof(world));
    memset(&heard, 0, sizeof(heard));
    world.now_ms = 1000;
    world.kind = PR__SCOPE_KIND__SCOPE_DOMAIN;
    service.scopes = scopes_new(&service);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    assert_null(world.done);
    scopes_free(&service.scopes);
    assert_null(world.fired);
    return 0;
}

static void one_question_serves_all_who_wait(void **state)
{
    (void)state;
    refused_write(100, 20, 20000);
    refused_write(100, 10, 20000);
    refused_write(100, 30, 20000);
    assert_int_equal(heard.content, 0); /* never from within */
    timer_fires();
    asked();
    assert_int_equal(world.ask.need_bytes, 110); /* the least, with what is used */
    assert_int_equal(world.ask.want_bytes, 100 + 60 + 50);
    assert_int_equal(world.share.used_bytes, 0);
    assert_int_equal(world.share.version, 4);
    refused_write(100, 5, 20000); /* while it is under way */
    assert_null(world.fired);
    granted(100, 210);
    assert_int_equal(heard.content, 4);
    assert_true(world.asks == 1 && world.grants == 1);
    assert_null(world.fired);
}

static void who_does_not_fit_asks_again(void **state)
{
    (void)state;
    refused_and_asked();
    granted(165, 170); /* as much as was wanted, but others have used it meanwhile */
    assert_int_equal(heard.content, 0);
    assert_int_equal(world.timer_ms, 0); /* that is no shortage */
    timer_fires();
    asked();
    assert_int_equal(world.ask.need_bytes, 185);
    granted(165, 240);
    assert_int_equal(heard.content, 1);
}

/* Of the refusal: an account that the write would bring along is not yet counted. */
static void what_is_used_is_not_less_than_was_refused(void **state)
{
    (void)state;
    refused_write(100, 20, 1100);
    timer_fires();
    granted(60, 119);
    assert_int_equal(heard.content, 0);
    world.now_ms = 1200; /* and there was no shortage */
    timer_fires();
    answer(ERR_OK, ERR_OK, 0, 170);
    answer(ERR_OK, ERR_OK, 170, 170);
    assert_int_equal(heard.unavailable, 1);
    assert_int_equal(heard.refused, 0);
}

static void what_others_give_back_is_waited_for(void **state)
{
    (void)state;
    refused_write(100, 20, 20000);
    none_is_left();
    assert_int_equal(heard.refused, 0);
    assert_int_equal(world.timer_ms, SCOPES_AGAIN_MS);
    timer_fires();
    granted(100, 120);
    assert_int_equal(heard.content, 1);
    assert_int_equal(heard.refused, 0);
}

static void no_room_is_said_after_a_while(void **state)
{
    uint64_t begun_ms = world.now_ms;

    (void)state;
    refused_write(100, 20, 20000);
    while (heard.refused == 0) {
        none_is_left();
        assert_true(world.now_ms <= begun_ms + SCOPES_WAIT_MS + SCOPES_AGAIN_MS);
    }
    assert_true(world.now_ms >= begun_ms + SCOPES_WAIT_MS);
    assert_string_equal(heard.text, "domain example.test lacks 7 bytes");
    assert_null(world.fired);
    memset(&heard, 0, sizeof(heard));
    refused_write(100, 20, world.now_ms + 50); /* no longer than the request may take */
    none_is_left();
    none_is_left();
    assert_int_equal(heard.refused, 1);
}

static void a_small_one_gets_what_a_large_one_cannot(void **state)
{
    (void)state;
    refused_write(100, 500, 20000);
    refused_write(100, 10, 20000);
    timer_fires();
    assert_int_equal(world.ask.need_bytes, 110);
    granted(100, 115);
    assert_int_equal(heard.content, 1);
    assert_int_equal(world.timer_ms, SCOPES_AGAIN_MS); /* it was less than wanted */
    for (unsigned i = 0; i < SCOPES_WAIT_MS / SCOPES_AGAIN_MS + 2 && heard.refused == 0; i++) {
        timer_fires();
        assert_int_equal(world.ask.need_bytes, 600);
        answer(ERR_OK, ERR_QUOTA, 0, 115);
    }
    assert_true(heard.refused == 1 && heard.content == 1);
}

static void not_all_may_wait(void **state)
{
    (void)state;
    /* Again and again: their places are free again. */
    for (unsigned round = 1; round < 2 * SCOPES_SHORT_TOTAL_MAX / SCOPES_SHORT_MAX; round++) {
        for (unsigned i = 0; i < SCOPES_SHORT_MAX + 10; i++)
            refused_write(100, 20, world.now_ms + 20000);
        none_is_left();
        assert_int_equal(heard.refused, 10 * round);
        timer_fires();
        granted(100, 100 + 20 * SCOPES_SHORT_MAX);
        assert_int_equal(heard.content, SCOPES_SHORT_MAX * round);
    }
}

static void without_a_majority_nobody_is_over_a_limit(void **state)
{
    (void)state;
    refused_and_asked();
    answer(ERR_UNAVAILABLE, ERR_OK, 0, 0);
    assert_int_equal(heard.unavailable, 1);
    refused_and_asked();
    answer(ERR_OK, ERR_OK, 0, 170);
    answer(ERR_UNAVAILABLE, ERR_OK, 0, 0); /* of the group */
    assert_int_equal(heard.unavailable, 2);
    refused_and_asked();
    answer(ERR_OK, ERR_CONFLICT, 0, 0);
    assert_int_equal(heard.conflict, 1);
    assert_null(world.fired);
}

static void who_waits_at_the_end_is_told(void **state)
{
    (void)state;
    refused_write(100, 20, 20000);
    none_is_left();
    scopes_free(&service.scopes);
    assert_true(heard.unavailable == 1 && service.scopes == NULL);
}

/* Whoever has sent all it may, and goes on trying, is not asked for each time. */
static void who_may_not_send_is_refused_unasked_for_a_while(void **state)
{
    unsigned asks;
    (void)state;
    world.kind = PR__SCOPE_KIND__SCOPE_SENDING;
    refused_write(100, 20, 20000);
    while (heard.held == 0)
        none_is_left();
    assert_true(world.ask.total->bytes == 1000 && heard.refused == 0);
    asks = world.asks;
    for (unsigned i = 0; i < 5; i++) {
        refused_write(100, 20 + i, world.now_ms + 20000);
        assert_int_equal(heard.held, 1 + i); /* never from within */
        timer_fires();
        assert_int_equal(heard.held, 2 + i);
    }
    assert_string_equal(heard.text, "domain example.test lacks 7 bytes");
    assert_int_equal(world.asks, asks);
    refused_write(100, 19, world.now_ms + 20000); /* there may be as much */
    timer_fires();
    granted(100, 119);
    assert_int_equal(heard.content, 1);
    assert_null(world.fired);
    refused_write(100, 20, world.now_ms + 50);
    none_is_left();
    none_is_left();
    assert_int_equal(world.timer_ms, SCOPES_CLOSED_MS);
    timer_fires(); /* it is over, and nobody waits */
    asks = world.asks;
    refused_write(100, 20, world.now_ms + 20000);
    none_is_left(); /* once, and not for as long as others may give something back */
    assert_true(world.asks == asks + 1 && world.timer_ms == SCOPES_CLOSED_MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_question_serves_all_who_wait),
        TEST(who_does_not_fit_asks_again),
        TEST(what_is_used_is_not_less_than_was_refused),
        TEST(what_others_give_back_is_waited_for),
        TEST(no_room_is_said_after_a_while),
        TEST(a_small_one_gets_what_a_large_one_cannot),
        TEST(not_all_may_wait),
        TEST(without_a_majority_nobody_is_over_a_limit),
        TEST(who_waits_at_the_end_is_told),
        TEST(who_may_not_send_is_refused_unasked_for_a_while),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
