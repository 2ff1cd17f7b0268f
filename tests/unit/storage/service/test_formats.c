/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mail groups follow the directory's format at once, and not only at the next look. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/schema/format.h"
#include "storage/service/formats.h"
#include "storage/service/limits.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/calls_world.h"

enum { SELF = 1, OTHER = 2, FIRST_GROUP = 1, SECOND_GROUP = 2 };

static struct lab the_lab;
static struct lab *const lab = &the_lab;
static uint64_t leader;

unsigned replicator_groups(const struct replicator *replicator, uint32_t *groups, unsigned room)
{
    (void)replicator;
    assert_true(room >= 3);
    for (uint32_t i = 0; i < 3; i++)
        groups[i] = i;
    return 3;
}

uint64_t replicator_leader(const struct replicator *replicator, uint32_t group)
{
    (void)replicator;
    (void)group;
    return leader;
}

uint64_t service_self(const struct service *service)
{
    (void)service;
    return SELF;
}

struct rpc_client *service_peer(const struct service *service, uint64_t node_id)
{
    (void)service;
    (void)node_id;
    return NULL;
}

uint64_t rpc_call(struct rpc_client *client, struct bytes body, uint64_t deadline_ms,
                  rpc_done *done, void *context)
{
    (void)client;
    (void)body;
    (void)deadline_ms;
    (void)done;
    (void)context;
    fail_msg("nobody is asked here");
    return 0;
}

static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    world_begin(lab);
    leader = OTHER;
    world.service.formats = formats_new(&world.service);
    world_run(world.now_ms);
    return 0;
}

static int end(void **state)
{
    (void)state;
    formats_free(&world.service.formats);
    world_run(world.now_ms);
    world_end();
    lab_close(lab);
    return 0;
}

static unsigned format_of(uint32_t group)
{
    return service_format(&world.service, group);
}

static void groups_follow_at_once(void **state)
{
    (void)state;
    assert_int_equal(world.writes, 0); /* others lead them */
    leader = SELF;
    uint64_t then_ms = world.now_ms;
    formats_look_soon(world.service.formats);
    formats_look_soon(world.service.formats);
    assert_int_equal(world.writes, 0); /* not inside of who tells it */
    world_run(world.now_ms);
    assert_int_equal(world.now_ms, then_ms);
    assert_int_equal(format_of(FIRST_GROUP), FORMAT_ADDRESSES);
    assert_int_equal(format_of(SECOND_GROUP), FORMAT_ADDRESSES);
    assert_int_equal(world.writes, 2);
    formats_look_soon(world.service.formats);
    world_run(world.now_ms + 2 * FORMATS_LOOK_MS);
    assert_int_equal(world.writes, 2);
    formats_look_soon(NULL);
}

/* Nobody said anything: the look that is due anyway. */
static void groups_follow_by_themselves(void **state)
{
    (void)state;
    leader = SELF;
    world_run(world.now_ms + FORMATS_LOOK_MS);
    assert_int_equal(format_of(SECOND_GROUP), FORMAT_ADDRESSES);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(groups_follow_at_once),
        TEST(groups_follow_by_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
