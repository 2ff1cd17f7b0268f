/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/runtime/metrics.h"
#include "storage/machine/local.h"
#include "storage/machine/machine.h"
#include "storage/service/service.h"
#include "storage/service/space.h"

/* Which groups this node, number 1, reads by itself. */

enum { SELF = 1, OTHER = 2, GROUP = 3, NOT_HERE = 1000000 };

static struct service service;
static struct {
    enum replicator_role role;
    enum machine_state state;
    uint64_t leader;
    bool current;
    bool is_short;
} here;

bool replicator_own_role(const struct replicator *replicator, uint32_t group,
                         enum replicator_role *role)
{
    (void)replicator;
    *role = here.role;
    return group == GROUP;
}

enum machine_state service_state(const struct service *of, uint32_t group)
{
    (void)of;
    assert_int_equal(group, GROUP); /* the machine takes no others */
    return here.state;
}

uint64_t replicator_leader(const struct replicator *replicator, uint32_t group)
{
    (void)replicator;
    assert_int_equal(group, GROUP);
    return here.leader;
}

bool replicator_current(const struct replicator *replicator, uint32_t group)
{
    (void)replicator;
    assert_int_equal(group, GROUP);
    return here.current;
}

uint64_t service_self(const struct service *of)
{
    (void)of;
    return SELF;
}

const char *space_problem(const struct space *space)
{
    (void)space;
    return here.is_short ? "no room" : NULL;
}

void replicator_read(struct replicator *replicator, uint32_t group, uint64_t deadline_ms,
                     replicator_done *done, void *context)
{
    (void)replicator;
    (void)group;
    (void)deadline_ms;
    (void)done;
    (void)context;
    fail();
}

void replicator_wait_applied(struct replicator *replicator, uint32_t group, uint64_t index,
                             uint64_t deadline_ms, replicator_done *done, void *context)
{
    (void)replicator;
    (void)group;
    (void)index;
    (void)deadline_ms;
    (void)done;
    (void)context;
    fail();
}

void loop_work(struct loop *loop, void (*work)(void *context), void (*done)(void *context),
               void *context)
{
    (void)loop;
    (void)work;
    (void)done;
    (void)context;
    fail();
}

struct db *service_db(const struct service *of, uint32_t group)
{
    (void)of;
    (void)group;
    fail();
    return NULL;
}

struct db_txn *db_read_begin(struct db *db)
{
    (void)db;
    fail();
    return NULL;
}

enum err db_error(const struct db_txn *txn)
{
    (void)txn;
    return ERR_OK;
}

void db_fail(struct db_txn *txn, enum err err)
{
    (void)txn;
    (void)err;
}

void db_abort(struct db_txn **txn)
{
    (void)txn;
}

uint64_t machine_applied(struct db_txn *txn, uint32_t group)
{
    (void)txn;
    (void)group;
    fail();
    return 0;
}

bool local_partial(struct db_txn *txn, uint32_t group, struct local_copy *copy)
{
    (void)txn;
    (void)group;
    (void)copy;
    return false;
}

uint64_t clock_monotonic_ms(void)
{
    return 1000;
}

void metric_add(enum metric metric, uint64_t count)
{
    (void)metric;
    (void)count;
}

void metric_raise(enum metric metric, uint64_t value)
{
    (void)metric;
    (void)value;
}

static int setup(void **state)
{
    (void)state;
    memset(&here, 0, sizeof(here));
    here.role = REPLICATOR_VOTER;
    here.state = MACHINE_WHOLE;
    here.leader = OTHER;
    return 0;
}

static void test_a_voter_with_a_whole_state(void **state)
{
    (void)state;
    assert_true(read_is_local(&service, GROUP));
    here.state = MACHINE_PARTIAL;
    assert_false(read_is_local(&service, GROUP));
}

static void test_a_standby_that_is_current(void **state)
{
    (void)state;
    here.role = REPLICATOR_STANDBY;
    assert_false(read_is_local(&service, GROUP));
    here.current = true;
    assert_true(read_is_local(&service, GROUP));
}

static void test_any_number_may_be_asked_for(void **state)
{
    (void)state;
    assert_false(read_is_local(&service, NOT_HERE));
}

/* Without room nothing new comes here. */
static void test_a_disk_without_room_leaves_reads_to_others(void **state)
{
    (void)state;
    here.is_short = true;
    assert_false(read_is_local(&service, GROUP));
    here.leader = 0; /* nobody has more */
    assert_true(read_is_local(&service, GROUP));
    here.leader = SELF; /* nobody else could lead */
    assert_true(read_is_local(&service, GROUP));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_voter_with_a_whole_state, setup),
        cmocka_unit_test_setup(test_a_standby_that_is_current, setup),
        cmocka_unit_test_setup(test_any_number_may_be_asked_for, setup),
        cmocka_unit_test_setup(test_a_disk_without_room_leaves_reads_to_others, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
