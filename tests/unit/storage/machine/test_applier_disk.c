/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "storage/machine/applier.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 2, DEADLINE_S = 30 };

/* LMDB asks this of the system: the disk fails when the test says so. */
static atomic_int failure;

int fdatasync(int fd)
{
    errno = atomic_load(&failure);
    return errno != 0 ? -1 : fsync(fd);
}

struct driver {
    sem_t applied;
    sem_t failed;
    enum err applied_err;
    enum err failed_err;
};

static void on_applied(void *context, struct machine_batch *batch,
                       const struct machine_events *events, enum err err)
{
    struct driver *driver = context;

    (void)batch;
    (void)events;
    driver->applied_err = err;
    sem_post(&driver->applied);
}

static void on_failed(void *context, enum err err)
{
    struct driver *driver = context;

    driver->failed_err = err;
    sem_post(&driver->failed);
}

static void wait_for(sem_t *what)
{
    struct timespec deadline;

    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += DEADLINE_S;
    assert_int_equal(sem_timedwait(what, &deadline), 0);
}

static enum err apply(struct driver *driver, struct machine *machine, uint64_t index)
{
    struct machine_batch batch = {.count = 1};

    batch.commands[0] = (struct machine_command){
        .group = GROUP, .index = index, .term = 1, .command = BYTES("")};
    machine->ops->apply(machine, &batch);
    wait_for(&driver->applied);
    machine->ops->release(machine, &batch);
    return driver->applied_err;
}

/* The kernel tells of lost pages once: a commit behind that would be taken for good. */
static void test_a_disk_that_failed_is_not_asked_again(void **state)
{
    struct lab lab;
    struct driver driver = {.applied_err = ERR_OK};
    struct applier_config config = {.lanes = &lab.db,
                                    .lane_count = 1,
                                    .applied = on_applied,
                                    .failed = on_failed,
                                    .context = &driver};

    (void)state;
    assert_int_equal(sem_init(&driver.applied, 0, 0), 0);
    assert_int_equal(sem_init(&driver.failed, 0, 0), 0);
    lab_open(&lab);
    struct applier *applier = applier_new(&config);
    struct machine *machine = applier_interface(applier);
    assert_int_equal(apply(&driver, machine, 1), ERR_OK);
    atomic_store(&failure, EIO);
    wait_for(&driver.failed); /* the lane is idle, and would have all of it on disk */
    assert_int_equal(driver.failed_err, ERR_IO);
    atomic_store(&failure, 0);
    assert_int_equal(apply(&driver, machine, 2), ERR_IO);
    assert_int_equal(apply(&driver, machine, 3), ERR_IO);
    assert_int_equal(machine->ops->applied(machine, GROUP), 1);
    assert_int_equal(machine->ops->durable(machine, GROUP), 0);
    applier_free(&applier);
    lab_close(&lab);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_disk_that_failed_is_not_asked_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
