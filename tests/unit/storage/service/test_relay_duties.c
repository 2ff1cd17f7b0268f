/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A relay hears which groups its node leads, and when something has come into their queues: at
 * once, and never without news before its deadline. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "node/base/check.h"
#include "storage/service/relay_duties.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/calls_world.h"

enum { SELF = 7, OTHER = 8, GROUPS = 4, HERE = 6, THERE = 10 };

static struct lab the_lab;
static struct lab *const lab = &the_lab;
static uint64_t leaders[GROUPS];
static uint64_t terms[GROUPS];

uint64_t service_self(const struct service *service)
{
    (void)service;
    return SELF;
}

uint64_t replicator_leader(const struct replicator *replicator, uint32_t group)
{
    (void)replicator;
    return leaders[group];
}

bool replicator_status(const struct replicator *replicator, uint32_t group,
                       struct replicator_status *status)
{
    (void)replicator;
    *status = (struct replicator_status){.term = terms[group], .leader = leaders[group]};
    return true;
}

unsigned replicator_groups(const struct replicator *replicator, uint32_t *groups, unsigned max)
{
    (void)replicator;
    CHECK(max >= GROUPS);
    for (uint32_t i = 0; i < GROUPS; i++)
        groups[i] = i;
    return GROUPS;
}

#define duties world.service.relay_duties

static int begin(void **state)
{
    (void)state;
    directory_lab_open(lab, FORMAT_ADDRESSES);
    world_begin(lab);
    heard = (struct calls_heard){0, NULL};
    for (unsigned i = 0; i < GROUPS; i++) {
        leaders[i] = i < 3 ? SELF : OTHER; /* the directory too */
        terms[i] = 10 + i;
    }
    duties = relay_duties_new(&world.service);
    return 0;
}

static int end(void **state)
{
    (void)state;
    relay_duties_free(&duties);
    world_end();
    lab_close(lab);
    return 0;
}

static void ask(uint32_t connection, uint64_t version)
{
    Pr__Request *request = calls_request(PR__REQUEST__CALL_RELAY_DUTIES);

    request->relay_duties = CALL(RelayDuties, relay_duties, .version = version);
    calls_send(ROLE_RELAY, connection, request, relay_duties_call);
}

/* Of the last answer. */
static const Pr__RelayDuty *duty(uint32_t group)
{
    const Pr__RelayDutiesAnswer *answer = heard.reply->relay_duties;

    for (size_t i = 0; i < answer->n_groups; i++)
        if (answer->groups[i]->group == group)
            return answer->groups[i];
    return NULL;
}

static uint64_t version(void)
{
    return heard.reply->relay_duties->version;
}

static void lead(uint32_t group, uint64_t node, uint64_t term)
{
    leaders[group] = node;
    terms[group] = term;
    relay_duties_group_changed(duties, group);
}

static void test_first(void **state)
{
    (void)state;
    ask(HERE, 0);
    assert_int_equal(heard.count, 1);
    assert_int_equal(heard.reply->relay_duties->node_id, SELF);
    assert_int_equal(heard.reply->relay_duties->n_groups, 2); /* no directory, no other's */
    assert_int_equal(duty(1)->term, 11);
    assert_int_equal(duty(2)->term, 12);
    assert_int_not_equal(version(), 0);
    ask(HERE, version() + 1); /* of another life of this process */
    assert_int_equal(heard.count, 2);
}

static void test_leaders(void **state)
{
    uint64_t before;

    (void)state;
    ask(HERE, 0);
    before = version();
    ask(HERE, before);
    assert_int_equal(heard.count, 1);
    relay_duties_group_changed(duties, 1); /* nothing of interest did */
    relay_duties_group_changed(duties, 3);
    lead(3, 0, 14);
    assert_int_equal(heard.count, 1);
    lead(3, SELF, 15);
    assert_int_equal(heard.count, 2);
    assert_int_equal(duty(3)->term, 15);
    assert_int_not_equal(version(), before);
    ask(HERE, version());
    lead(1, SELF, 16); /* led anew */
    assert_int_equal(heard.count, 3);
    assert_int_equal(duty(1)->term, 16);
    ask(HERE, version());
    lead(1, OTHER, 17);
    assert_int_equal(heard.count, 4);
    assert_null(duty(1));
    assert_non_null(duty(2));
    lead(2, 0, 13); /* while nobody waits */
    ask(HERE, version());
    assert_int_equal(heard.count, 5);
    assert_null(duty(2));
    leaders[1] = SELF; /* and when nobody said so */
    ask(HERE, version());
    assert_int_equal(heard.count, 6);
    assert_non_null(duty(1));
}

static void applied(unsigned count, const uint32_t *groups)
{
    static struct machine_batch batch;

    batch.count = count;
    for (unsigned i = 0; i < count; i++)
        batch.commands[i].group = groups[i];
    relay_duties_applied(duties, &batch);
}

static void test_due(void **state)
{
    uint64_t changes;

    (void)state;
    ask(HERE, 0);
    changes = duty(1)->changes;
    ask(HERE, version());
    applied(2, (uint32_t[]){0, 3}); /* led elsewhere */
    assert_int_equal(heard.count, 1);
    applied(3, (uint32_t[]){3, 1, 1});
    assert_int_equal(heard.count, 2);
    assert_int_equal(duty(1)->changes, changes + 1);
    assert_int_equal(duty(2)->changes, 0);
    relay_duties_due(duties, 2); /* while the relay is busy */
    ask(HERE, version());
    assert_int_equal(heard.count, 3);
    assert_int_equal(duty(2)->changes, 1);
    lead(2, SELF, 20);
    ask(HERE, version());
    assert_int_equal(duty(2)->changes, 0); /* of that term */
}

static void test_waiting(void **state)
{
    (void)state;
    ask(HERE, 0);
    uint64_t known = version();
    ask(HERE, known);
    ask(THERE, known);
    world_run(world.now_ms + CALLS_MS - 1);
    assert_int_equal(heard.count, 1);
    world_run(world.now_ms + 1);
    assert_int_equal(heard.count, 3);
    assert_int_equal(version(), known);
    assert_int_equal(heard.reply->relay_duties->n_groups, 2);

    ask(HERE, known);
    ask(HERE, known); /* the newer one counts */
    assert_int_equal(heard.count, 4);
    ask(THERE, known);
    relay_duties_connection_closed(duties, THERE);
    assert_int_equal(heard.count, 5);
    assert_int_equal(heard.reply->err, ERR_CLOSED);
    relay_duties_connection_closed(duties, THERE);
    ask(THERE, known);
    relay_duties_due(duties, 1); /* both hear it */
    assert_int_equal(heard.count, 7);
    ask(HERE, version());
    relay_duties_free(&duties);
    assert_int_equal(heard.count, 8);
    assert_int_equal(heard.reply->err, ERR_CLOSED);
    relay_duties_due(duties, 1);
    relay_duties_group_changed(duties, 1);
    relay_duties_connection_closed(duties, HERE);
    applied(1, (uint32_t[]){1});
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_first),
        TEST(test_leaders),
        TEST(test_due),
        TEST(test_waiting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
