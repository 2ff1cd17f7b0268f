/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a store does with news of front ends: it counts, and forgets what it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "node/firewall/batch.h"
#include "storage/service/firewall.h"
#include "storage/service/pool_jobs.h"
#include "tests/unit/storage/directory_lab.h"
#include "tests/unit/storage/service/service_world.h"

uint64_t service_self(const struct service *service)
{
    (void)service;
    return 1;
}

uint64_t replicator_leader(const struct replicator *replicator, uint32_t group)
{
    (void)replicator;
    (void)group;
    return 1;
}

struct pool_jobs *pool_jobs_new(struct loop *loop)
{
    (void)loop;
    return NULL;
}

void pool_jobs_end(struct pool_jobs **jobs)
{
    (void)jobs;
}

void pool_jobs_run(struct pool_jobs *jobs, void (*work)(void *context),
                   void (*done)(void *context), void *context)
{
    (void)jobs;
    (void)work;
    (void)done;
    (void)context;
}

static struct lab the_lab;
static struct buffer wire;

static struct firewall_address address(uint8_t last)
{
    const uint8_t bytes[16] = {[10] = 255, [11] = 255, [12] = 192, [14] = 2, [15] = last};
    return firewall_address_from(bytes);
}

static int begin(void **state)
{
    struct firewall_record records[] = {
        {.address = address(7),
         .count = 3,
         .event = FIREWALL_LOGIN_FAILED,
         .service = FIREWALL_SUBMISSION},
        {.address = address(8),
         .count = 3,
         .event = FIREWALL_LOGIN_FAILED,
         .service = FIREWALL_SUBMISSION},
    };
    const struct firewall_batch batch = {records, 2};

    (void)state;
    directory_lab_open(&the_lab, FORMAT_ADDRESSES);
    world_begin(&the_lab);
    world.service.firewall = firewalls_new(&world.service);
    buffer_init(&wire);
    firewall_batch_encode(&batch, &wire);
    return 0;
}

static int end(void **state)
{
    (void)state;
    firewalls_free(&world.service.firewall);
    buffer_fini(&wire);
    world_end();
    lab_close(&the_lab);
    return 0;
}

/* What is counted of the address itself. */
static bool is_counted(uint8_t last)
{
    const struct firewall_address of = address(last);
    struct buffer text = BUFFER_EMPTY;

    firewalls_explain(world.service.firewall, &of, &text);
    buffer_add_byte(&text, 0);
    const char *words = (const char *)buffer_bytes(&text).at;
    bool counted = strstr(words, "rule ") != NULL;
    buffer_fini(&text);
    return counted;
}

static void test_counted(void **state)
{
    (void)state;
    assert_false(is_counted(7));
    assert_int_equal(firewalls_news(&world.service, buffer_bytes(&wire), NULL, 0), ERR_OK);
    assert_true(is_counted(7));
    assert_true(is_counted(8));
}

/* One word of many may be no place at all; what is forgiven comes before what is new. */
static void test_forgiven(void **state)
{
    static char nothing[] = "nonsense";
    static char one[] = "192.0.2.7";
    static char net[] = "192.0.2.0/24";
    char *forgiven[] = {nothing, one};
    char *all[] = {net};

    (void)state;
    assert_int_equal(firewalls_news(&world.service, buffer_bytes(&wire), NULL, 0), ERR_OK);
    assert_int_equal(firewalls_news(&world.service, bytes_from(NULL, 0), forgiven, 2), ERR_OK);
    assert_int_equal(firewalls_news(&world.service, bytes_from(NULL, 0), all, 1), ERR_OK);
    assert_false(is_counted(7));
    assert_int_equal(firewalls_news(&world.service, buffer_bytes(&wire), all, 1), ERR_OK);
    assert_true(is_counted(7));
}

static void test_refused(void **state)
{
    struct firewalls *there = world.service.firewall;

    (void)state;
    assert_int_equal(firewalls_news(&world.service, BYTES("nonsense"), NULL, 0),
                     ERR_UNSUPPORTED);
    assert_int_not_equal(
        firewalls_news(&world.service,
                       bytes_from(buffer_bytes(&wire).at, buffer_len(&wire) - 1), NULL, 0),
        ERR_OK);
    assert_false(is_counted(7));
    world.service.firewall = NULL; /* the node is in no cluster */
    assert_int_equal(firewalls_news(&world.service, buffer_bytes(&wire), NULL, 0),
                     ERR_UNAVAILABLE);
    world.service.firewall = there;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_counted),
        TEST(test_forgiven),
        TEST(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
