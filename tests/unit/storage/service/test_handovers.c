/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/check.h"
#include "node/base/log.h"
#include "storage/schema/entry.h"
#include "storage/service/handover_follow.h"
#include "storage/service/handovers.h"

/*
 * handovers.c against a state of a list, and writes that the test answers one by one, in any
 * order. Entry k of hand-over n is the text "n.k".
 */
enum { SOURCE = 3, LIST_MAX = 64, ENTRIES = 2 };

static struct service service;
static struct handovers *handovers;
static uint64_t now_ms;
static uint64_t leader;

static struct {
    uint64_t id;
    uint32_t group;
    size_t entry_len; /* 0: its text */
} list[LIST_MAX];
static size_t list_count;

struct pending {
    char text[32]; /* "7.0>2": entry 0 of hand-over 7 to group 2; "7 done" */
    write_done *done;
    void *context;
};
static struct pending writes[LIST_MAX];
static size_t write_count;
static struct read_job *reading;
static unsigned reads;

uint64_t clock_monotonic_ms(void)
{
    return now_ms;
}

uint64_t clock_wall_ms(void)
{
    return 1000000 + now_ms;
}

uint64_t service_self(const struct service *self)
{
    (void)self;
    return 1;
}

uint64_t replicator_leader(const struct replicator *replicator, uint32_t group)
{
    (void)replicator;
    assert_int_equal(group, SOURCE);
    return leader;
}

void read_start(struct read_job *job)
{
    assert_null(reading);
    assert_int_equal(job->group, SOURCE);
    reading = job;
    reads++;
}

bool query_handover_next(struct db_txn *txn, uint32_t group, uint64_t after,
                         struct arena *arena, struct query_handover *handover)
{
    (void)txn;
    assert_int_equal(group, SOURCE);
    assert_int_equal(handover->now_ms, clock_wall_ms());
    for (size_t i = 0; i < list_count; i++) {
        if (list[i].id <= after)
            continue;
        handover->id = list[i].id;
        handover->group = list[i].group;
        handover->entry_count = ENTRIES;
        handover->entries = arena_alloc(arena, ENTRIES * sizeof(*handover->entries));
        for (unsigned k = 0; k < ENTRIES; k++) {
            const char *text = arena_printf(arena, "%u.%u", (unsigned)list[i].id, k);
            handover->entries[k] =
                bytes_from(text, list[i].entry_len > 0 ? list[i].entry_len : strlen(text));
        }
        return true;
    }
    return false;
}

static struct pending *add_write(write_done *done, void *context)
{
    CHECK(write_count < LIST_MAX);
    writes[write_count] = (struct pending){.done = done, .context = context};
    return &writes[write_count++];
}

void write_entry(struct service *to, uint32_t group, struct bytes entry,
                 struct bytes request_id, uint64_t deadline_ms, write_done *done, void *context)
{
    assert_ptr_equal(to, &service);
    /* With one, a write that ran out of time would be settled: the mail would never arrive. */
    assert_int_equal(request_id.len, 0);
    assert_true(deadline_ms > now_ms);
    struct pending *write = add_write(done, context);
    size_t len = bytes_find(entry, '.') + 2;
    snprintf(write->text, sizeof(write->text), "%.*s>%u", (int)len, (const char *)entry.at,
             (unsigned)group);
}

void write_start(struct service *to, uint32_t group, Pr__Command *command, uint64_t deadline_ms,
                 write_done *done, void *context)
{
    assert_ptr_equal(to, &service);
    assert_int_equal(group, SOURCE);
    assert_int_equal(command->call_case, PR__COMMAND__CALL_HANDOVER_DONE);
    assert_true(deadline_ms > now_ms);
    snprintf(add_write(done, context)->text, sizeof(writes[0].text), "%u done",
             (unsigned)command->handover_done->handover_id);
}

/* Whom it is brought after, instead of a write's outcome. */
static struct {
    unsigned count;
    uint32_t group;
    size_t entry_count;
    handover_follow_done *done;
    void *context;
} followed;

void handover_follow(struct service *to, uint32_t group, const struct bytes *entries,
                     size_t entry_count, handover_follow_done *done, void *context)
{
    assert_ptr_equal(to, &service);
    assert_non_null(entries);
    followed.count++;
    followed.group = group;
    followed.entry_count = entry_count;
    followed.done = done;
    followed.context = context;
}

/* ---- what the test does ---- */

static void add(uint64_t id, uint32_t group)
{
    list[list_count].id = id;
    list[list_count].group = group;
    list[list_count++].entry_len = 0;
}

static void drop(uint64_t id)
{
    for (size_t i = 0; i < list_count; i++)
        if (list[i].id == id) {
            memmove(&list[i], &list[i + 1], (list_count - i - 1) * sizeof(list[0]));
            list_count--;
            return;
        }
    fail();
}

static void answer_read(enum err err)
{
    struct read_job *job = reading;

    assert_non_null(job);
    reading = NULL;
    if (err == ERR_OK)
        job->work(job, NULL);
    job->done(job, err, 1);
}

/* Looks until a look finds nothing more. */
static void look_all(void)
{
    handovers_look(handovers);
    for (unsigned i = 0; reading != NULL; i++) {
        assert_true(i < 100);
        answer_read(ERR_OK);
    }
}

static size_t find_write(const char *text)
{
    for (size_t i = 0; i < write_count; i++)
        if (strcmp(writes[i].text, text) == 0)
            return i;
    return write_count;
}

static void answer(const char *text, enum err err, enum err refusal)
{
    size_t at = find_write(text);
    Pr__Outcome outcome = PR__OUTCOME__INIT;

    if (at == write_count)
        fail_msg("nobody writes %s", text);
    struct pending write = writes[at];
    memmove(&writes[at], &writes[at + 1], (write_count - at - 1) * sizeof(writes[0]));
    write_count--;
    outcome.err = refusal;
    write.done(write.context, err, err == ERR_OK ? &outcome : NULL, 1);
}

static int set_up(void **state)
{
    (void)state;
    list_count = 0;
    write_count = 0;
    reading = NULL;
    reads = 0;
    now_ms = 100000;
    leader = 1;
    handovers = handovers_new(&service, SOURCE);
    log_init("test", LOG_LEVEL_ERROR, false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    handovers_free(&handovers);
    if (reading != NULL)
        answer_read(ERR_CLOSED);
    while (write_count > 0)
        answer(writes[0].text, ERR_UNAVAILABLE, ERR_OK);
    assert_null(reading);
    return 0;
}

static void test_in_order(void **state)
{
    (void)state;
    add(7, 2);
    look_all();
    assert_int_equal(write_count, 1);
    answer("7.0>2", ERR_OK, ERR_OK);
    answer("7.1>2", ERR_OK, ERR_OK);
    assert_int_equal(write_count, 1);
    answer("7 done", ERR_OK, ERR_OK);
    drop(7);
    look_all();
    assert_int_equal(write_count, 0);
}

static void test_tried_again(void **state)
{
    (void)state;
    add(7, 2);
    look_all();
    answer("7.0>2", ERR_OK, ERR_OK);
    answer("7.1>2", ERR_UNAVAILABLE, ERR_OK);
    look_all();
    assert_int_equal(write_count, 0); /* the group rests */
    now_ms += HANDOVERS_REST_MS + 1;
    look_all();
    answer("7.0>2", ERR_OK, ERR_OK);
    answer("7.1>2", ERR_OK, ERR_OK);
    answer("7 done", ERR_UNAVAILABLE, ERR_OK);
    now_ms += HANDOVERS_REST_MS + 1;
    look_all(); /* from its beginning: the target knows the delivery id */
    assert_int_not_equal(find_write("7.0>2"), write_count);
}

static void test_refusals(void **state)
{
    (void)state;
    add(7, 2);
    add(8, 4);
    look_all();
    answer("7.0>2", ERR_OK, ERR_NOTFOUND); /* its accounts are gone */
    answer("7 done", ERR_OK, ERR_OK);
    drop(7);
    answer("8.0>4", ERR_OK, ERR_FULL); /* never given up */
    look_all();
    assert_int_equal(write_count, 0);
    now_ms += HANDOVERS_REST_MS + 1;
    look_all();
    assert_int_not_equal(find_write("8.0>4"), write_count);
}

/* One group that cannot be reached does not hold up the others. */
static void test_other_groups_go_on(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 20; id++)
        add(id, 2);
    add(21, 4);
    look_all();
    assert_int_equal(write_count, HANDOVERS_UNDER_WAY_MAX);
    assert_int_equal(find_write("21.0>4"), write_count);
    answer("1.0>2", ERR_UNAVAILABLE, ERR_OK);
    while (reading != NULL)
        answer_read(ERR_OK);
    assert_int_not_equal(find_write("21.0>4"), write_count);
}

static void test_limit(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 40; id++)
        add(id, 2);
    look_all();
    assert_int_equal(write_count, HANDOVERS_UNDER_WAY_MAX);
    look_all();
    assert_int_equal(write_count, HANDOVERS_UNDER_WAY_MAX); /* each once */
    answer("5.0>2", ERR_OK, ERR_OK);
    answer("5.1>2", ERR_OK, ERR_OK);
    answer("5 done", ERR_OK, ERR_OK);
    drop(5);
    while (reading != NULL)
        answer_read(ERR_OK);
    assert_int_equal(write_count, HANDOVERS_UNDER_WAY_MAX);
    assert_int_not_equal(find_write("17.0>2"), write_count);
}

static void test_large_ones(void **state)
{
    (void)state;
    for (uint64_t id = 1; id <= 3; id++)
        add(id, 2);
    list[0].entry_len = HANDOVERS_BYTES_MAX; /* more than the limit: alone */
    look_all();
    answer("1.0>2", ERR_OK, ERR_OK);
    answer("1.1>2", ERR_OK, ERR_OK);
    answer("1 done", ERR_OK, ERR_OK);
    drop(1);
    while (reading != NULL)
        answer_read(ERR_OK);
    assert_int_not_equal(find_write("2.0>2"), write_count);
    assert_int_not_equal(find_write("3.0>2"), write_count);
}

static void test_only_the_leader_looks(void **state)
{
    (void)state;
    add(7, 2);
    leader = 2;
    handovers_look(handovers);
    assert_null(reading);
    leader = 1;
    handovers_look(handovers);
    handovers_look(handovers); /* remembered */
    assert_int_equal(reads, 1);
    add(8, 2);
    answer_read(ERR_UNAVAILABLE);
    assert_int_equal(reads, 2);
    answer_read(ERR_OK);
    assert_int_not_equal(find_write("8.0>2"), write_count);
}

/* It was freed while a look and writes were under way; tear_down() answers them. */
static void test_freed_under_way(void **state)
{
    (void)state;
    add(7, 2);
    add(8, 2);
    look_all();
    answer("8.0>2", ERR_OK, ERR_OK);
    handovers_look(handovers);
    handovers_free(&handovers);
    assert_null(handovers);
}

/* An account has moved away: the message follows its recipients, and is done with when all have
 * it; if that fails it is found again. */
static void test_accounts_that_moved(void **state)
{
    (void)state;
    followed.count = 0;
    add(7, 2);
    look_all();
    answer("7.0>2", ERR_OK, ERR_OK);
    answer("7.1>2", ERR_OK, ERR_MOVED);
    assert_int_equal(write_count, 0);
    assert_int_equal(followed.count, 1);
    assert_int_equal(followed.group, 2);
    assert_int_equal(followed.entry_count, ENTRIES);
    followed.done(followed.context, ERR_UNAVAILABLE);
    assert_int_equal(write_count, 0);
    now_ms += HANDOVERS_REST_MS + 1;
    look_all();
    answer("7.0>2", ERR_OK, ERR_OK);
    answer("7.1>2", ERR_OK, ERR_CANCELLED); /* by the one who followed before */
    assert_int_equal(followed.count, 2);
    followed.done(followed.context, ERR_OK);
    answer("7 done", ERR_OK, ERR_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accounts_that_moved, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refusals, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_groups_go_on, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_large_ones, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_only_the_leader_looks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_freed_under_way, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
