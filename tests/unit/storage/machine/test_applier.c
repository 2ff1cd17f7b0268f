/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "storage/machine/applier.h"
#include "storage/machine/local.h"
#include "storage/schema/entry.h"
#include "tests/unit/storage/lab.h"

enum { LANES = 2, BATCHES = 40, DEADLINE_S = 30 };

/* Stands for the replicator: one batch outstanding a lane. */
struct driver {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned done[LANES];
    enum err err;
    unsigned events;
};

static void on_applied(void *context, struct machine_batch *batch,
                       const struct machine_events *events, enum err err)
{
    struct driver *driver = context;

    pthread_mutex_lock(&driver->lock);
    driver->done[batch->lane]++;
    if (err != ERR_OK)
        driver->err = err;
    driver->events += events->mailbox_count;
    pthread_cond_signal(&driver->changed);
    pthread_mutex_unlock(&driver->lock);
}

static void wait_done(struct driver *driver, unsigned lane, unsigned count)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_S;
    pthread_mutex_lock(&driver->lock);
    while (driver->done[lane] < count)
        assert_int_equal(pthread_cond_timedwait(&driver->changed, &driver->lock, &deadline), 0);
    pthread_mutex_unlock(&driver->lock);
}

static struct bytes delivery(struct lab *lab, uint64_t account_id)
{
    Pr__Deliver deliver = PR__DELIVER__INIT;
    Pr__Recipient recipient = PR__RECIPIENT__INIT;
    Pr__Recipient *recipients[] = {&recipient};
    Pr__Command *command = LAB_COMMAND(deliver, DELIVER, &deliver);
    struct buffer entry = BUFFER_EMPTY;
    struct bytes kept;

    recipient.account_id = account_id;
    deliver.recipients = recipients;
    deliver.n_recipients = 1;
    deliver.body = lab_body(lab, BYTES("text"), 4);
    command->time_ms = lab->now_ms;
    command->request_id = lab_id(lab);
    entry_encode(command, &entry);
    kept = arena_copy(&lab->arena, buffer_bytes(&entry));
    buffer_fini(&entry);
    return kept;
}

/* Group g lives in lane g % 2: groups 2 and 4 in lane 0, 3 in lane 1. */
static void batch_fill(struct lab *lab, struct machine_batch *batch, unsigned lane,
                       unsigned number)
{
    *batch = (struct machine_batch){.lane = lane, .count = 10};
    for (unsigned i = 0; i < batch->count; i++)
        batch->commands[i] = (struct machine_command){
            .group = lane == 1 ? 3
                     : i < 5   ? 2
                               : 4,
            .index = lane == 1 ? number * 10 + i + 1 : number * 5 + i % 5 + 1,
            .term = 1,
            .command = i == 0 ? BYTES("") : delivery(lab, 7),
            .want_reply = true,
        };
}

static void wait_durable(struct machine *machine, uint32_t group, uint64_t index)
{
    const struct timespec pause = {.tv_nsec = 5000000};

    for (unsigned i = 0; i < DEADLINE_S * 200; i++) {
        if (machine->ops->durable(machine, group) == index)
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("group %u never became durable", group);
}

static void lanes_apply_side_by_side(void **state)
{
    struct lab labs[LANES];
    struct db *lanes[LANES];
    struct driver driver = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER};
    struct applier_config config = {
        .lanes = lanes, .lane_count = LANES, .applied = on_applied, .context = &driver};
    struct machine_batch *batches = calloc(LANES, sizeof(*batches));

    (void)state;
    assert_non_null(batches);
    for (unsigned i = 0; i < LANES; i++) {
        lab_open(&labs[i]);
        lanes[i] = labs[i].db;
    }
    struct applier *applier = applier_new(&config);
    struct machine *machine = applier_interface(applier);
    assert_int_equal(machine->ops->applied(machine, 3), 0);
    for (unsigned number = 0; number < BATCHES; number++) {
        for (unsigned lane = 0; lane < LANES; lane++) {
            batch_fill(&labs[lane], &batches[lane], lane, number);
            assert_int_equal(machine->ops->lane_of(machine, batches[lane].commands[9].group),
                             lane);
            machine->ops->apply(machine, &batches[lane]);
        }
        for (unsigned lane = 0; lane < LANES; lane++) {
            wait_done(&driver, lane, number + 1);
            assert_int_equal(batches[lane].commands[0].reply.len, 0);
            Pr__Outcome *outcome = pr__outcome__unpack(
                NULL, batches[lane].commands[9].reply.len, batches[lane].commands[9].reply.at);
            assert_int_equal(outcome->err, ERR_OK);
            pr__outcome__free_unpacked(outcome, NULL);
            machine->ops->release(machine, &batches[lane]);
        }
        assert_int_equal(machine->ops->applied(machine, 3), (number + 1) * 10);
        assert_int_equal(machine->ops->applied(machine, 2), (number + 1) * 5);
        uint64_t durable = machine->ops->durable(machine, 3);
        assert_true(durable <= (number + 1) * 10 && durable >= number * 10);
    }
    assert_int_equal(driver.err, ERR_OK);
    assert_int_equal(driver.events, BATCHES * 18);
    wait_durable(machine, 3, BATCHES * 10); /* without another batch */
    wait_durable(machine, 4, BATCHES * 5);
    applier_free(&applier);

    applier = applier_new(&config); /* reads what is there */
    machine = applier_interface(applier);
    assert_int_equal(machine->ops->applied(machine, 3), BATCHES * 10);
    assert_int_equal(machine->ops->durable(machine, 2), BATCHES * 5);
    /* A batch that was applied before changes nothing and gives no reply. */
    batch_fill(&labs[1], &batches[1], 1, 3);
    machine->ops->apply(machine, &batches[1]);
    wait_done(&driver, 1, BATCHES + 1);
    assert_int_equal(batches[1].commands[5].reply.len, 0);
    machine->ops->release(machine, &batches[1]);
    assert_int_equal(machine->ops->applied(machine, 3), BATCHES * 10);
    applier_free(&applier);
    for (unsigned i = 0; i < LANES; i++)
        lab_close(&labs[i]);
    free(batches);
}

/* A lane that cannot write says so, and its groups have not moved. */
static void full_disk_is_reported(void **state)
{
    struct lab lab;
    struct db *small;
    char folder[96];
    struct driver driver = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER};
    struct applier_config config = {
        .lanes = &small, .lane_count = 1, .applied = on_applied, .context = &driver};
    struct machine_batch *batch = calloc(1, sizeof(*batch));
    unsigned number = 0;
    uint64_t before = 0;

    (void)state;
    assert_non_null(batch);
    lab_open(&lab);
    snprintf(folder, sizeof(folder), "%s/small", lab.folder);
    assert_int_equal(db_open(folder, 400 * 1024, &small), ERR_OK);
    struct applier *applier = applier_new(&config);
    struct machine *machine = applier_interface(applier);
    for (; driver.err == ERR_OK && number < 1000; number++) {
        before = machine->ops->applied(machine, 2);
        batch_fill(&lab, batch, 0, number);
        machine->ops->apply(machine, batch);
        wait_done(&driver, 0, number + 1);
        machine->ops->release(machine, batch);
    }
    assert_int_equal(driver.err, ERR_FULL);
    assert_int_equal(machine->ops->applied(machine, 2), before);
    applier_free(&applier);
    db_close(&small);
    char path[128];
    snprintf(path, sizeof(path), "rm -r %s", folder);
    assert_int_equal(system(path), 0);
    lab_close(&lab);
    free(batch);
}

/* What a copy has come to is known over restarts; what the rows say meanwhile counts for
 * nothing. */
static void a_partial_state_is_known_as_one(void **state)
{
    struct lab lab;
    struct driver driver = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .changed = PTHREAD_COND_INITIALIZER};
    struct applier_config config = {
        .lanes = &lab.db, .lane_count = 1, .applied = on_applied, .context = &driver};
    const struct local_copy copy = {.source = 3};

    (void)state;
    lab_open(&lab);
    for (unsigned i = 0; i < 5; i++) {
        lab_deliver(&lab, 7, 1, BYTES("rows of group 7"));
        lab_deliver(&lab, 8, 1, BYTES("rows of group 8"));
    }
    struct db_txn *txn = db_write_begin(lab.db);
    local_partial_set(txn, 7, &copy);
    assert_int_equal(db_commit(&txn), ERR_OK);
    struct applier *applier = applier_new(&config);
    struct machine *machine = applier_interface(applier);
    assert_int_equal(machine->ops->state(machine, 7), MACHINE_PARTIAL);
    assert_int_equal(machine->ops->applied(machine, 7), 0);
    assert_int_equal(machine->ops->durable(machine, 7), 0);
    assert_int_equal(machine->ops->state(machine, 8), MACHINE_WHOLE);
    assert_int_equal(machine->ops->applied(machine, 8), 10);
    applier_whole(applier, 7, 9);
    assert_int_equal(machine->ops->state(machine, 7), MACHINE_WHOLE);
    assert_int_equal(machine->ops->applied(machine, 7), 9);
    assert_int_equal(machine->ops->durable(machine, 7), 9);
    applier_partial(applier, 8);
    assert_int_equal(machine->ops->state(machine, 8), MACHINE_PARTIAL);
    applier_forgotten(applier, 8);
    assert_int_equal(machine->ops->state(machine, 8), MACHINE_WHOLE);
    assert_int_equal(machine->ops->applied(machine, 8), 0);
    applier_free(&applier);
    config.witness = true;
    applier = applier_new(&config);
    machine = applier_interface(applier);
    assert_int_equal(machine->ops->state(machine, 7), MACHINE_NONE);
    assert_int_equal(machine->ops->state(machine, 0), MACHINE_WHOLE);
    applier_free(&applier);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lanes_apply_side_by_side),
        cmocka_unit_test(full_disk_is_reported),
        cmocka_unit_test(a_partial_state_is_known_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
