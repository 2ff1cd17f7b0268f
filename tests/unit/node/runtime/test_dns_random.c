/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions, cancellations and answers in any order: everybody hears exactly once, or never
 * when he has cancelled; nothing is left at the end. The seed is printed when it fails.
 */
#include "tests/unit/node/runtime/until.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/base/check.h"
#include "node/runtime/dns.h"
#include "node/runtime/metrics.h"
#include "tests/unit/node/runtime/name_server.h"

enum { ASKERS = 3000, DONE_AT_ONCE = 24, SLOW_MS = 15, TIMEOUT_MS = 40, OUTSTANDING = 5 };

static const struct zone_row rows[] = {
    {"a.example.org", DNS_A, ANSWERS, BYTES_INIT("\xc0\0\2\1"), NULL, 0},
    {"slow.example.org", DNS_A, IS_SLOW, BYTES_INIT("\xc0\0\2\3"), NULL, 0},
    {"slow2.example.org", DNS_A, IS_SLOW, BYTES_INIT("\xc0\0\2\4"), NULL, 0},
    {"silent.example.org", DNS_A, IS_SILENT, BYTES_INIT(""), NULL, 0},
    {"silent2.example.org", DNS_A, IS_SILENT, BYTES_INIT(""), NULL, 0},
    {"fails.example.org", DNS_A, FAILS, BYTES_INIT(""), NULL, 0},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, IS_SLOW, BYTES_INIT("\4slow\7example\3org\0"), NULL, 0},
    {"1.2.0.192.in-addr.arpa", DNS_PTR, IS_SLOW, BYTES_INIT("\6silent\7example\3org\0"), NULL,
     0},
};

struct asker {
    struct world *world;
    uint64_t ticket;
    unsigned heard;
    bool cancelled;
};

struct world {
    struct loop *loop;
    struct dns *dns;
    struct asker askers[ASKERS];
    unsigned asked, open;
    uint64_t random;
};

static unsigned any(struct world *world, unsigned count)
{
    world->random = world->random * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(world->random >> 33) % count;
}

static void move(struct world *world);

static void over(struct asker *asker)
{
    struct world *world = asker->world;
    CHECK(!asker->cancelled && asker->heard++ == 0);
    world->open--;
    for (unsigned i = any(world, 4); i > 0; i--)
        move(world);
    if (world->asked == ASKERS && world->open == 0)
        loop_stop(world->loop);
}

static void on_answer(void *context, const struct dns_answer *answer)
{
    CHECK(answer->name != NULL && answer->target != NULL && answer->reason != NULL);
    over(context);
}

static void on_names(void *context, const struct dns_fcrdns *answer)
{
    CHECK(answer->count <= 1);
    over(context);
}

static void ask(struct world *world)
{
    static const char *const names[] = {
        "a.example.org",       "slow.example.org",  "slow2.example.org", "silent.example.org",
        "silent2.example.org", "fails.example.org", "b.example.org",     "no..name"};
    struct asker *asker = &world->askers[world->asked++];
    char fresh[64];
    asker->world = world;
    world->open++;
    unsigned kind = any(world, 10);
    if (kind < 8) {
        asker->ticket = dns_query(world->dns, names[kind], DNS_A, on_answer, asker);
    } else if (kind == 8) {
        snprintf(fresh, sizeof(fresh), "n%u.example.org", world->asked);
        asker->ticket = dns_query(world->dns, fresh, DNS_A, on_answer, asker);
    } else {
        struct address address;
        CHECK(address_parse(BYTES("192.0.2.1"), &address));
        asker->ticket = dns_fcrdns(world->dns, &address, any(world, 60), on_names, asker);
    }
    CHECK(asker->heard == 0);
}

static void cancel(struct world *world)
{
    unsigned recent = world->asked < 40 ? world->asked : 40;
    struct asker *asker = &world->askers[world->asked - 1 - any(world, recent)];
    dns_cancel(world->dns, asker->ticket); /* also when it is over */
    if (asker->heard > 0 || asker->cancelled)
        return;
    asker->cancelled = true;
    world->open--;
}

static void move(struct world *world)
{
    if (world->asked < ASKERS && world->open < DONE_AT_ONCE)
        ask(world);
    if (world->asked > 0 && any(world, 3) == 0)
        cancel(world);
}

static void on_tick(void *context)
{
    struct world *world = context;
    for (unsigned i = any(world, 8); i > 0; i--)
        move(world);
    if (world->asked == ASKERS && world->open == 0)
        loop_stop(world->loop);
}

static void everybody_hears_once(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct name_server *server = name_server_start(rows, sizeof(rows) / sizeof(*rows), SLOW_MS);
    const char *servers[] = {name_server_address(server)};
    const struct dns_config config = {.servers = servers,
                                      .servers_count = 1,
                                      .timeout_ms = TIMEOUT_MS,
                                      .outstanding_max = OUTSTANDING};
    const char *seed = getenv("SEED");
    (void)state;
    assert_non_null(world);
    world->random = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    fprintf(stderr, "SEED=%llu\n", (unsigned long long)world->random);
    world->loop = loop_new();
    world->dns = dns_new(world->loop, &config);
    struct loop_timer *tick = loop_timer_start(world->loop, 1, 1, on_tick, world);
    loop_run(world->loop);
    loop_timer_stop(&tick);
    for (unsigned i = 0; i < ASKERS; i++)
        assert_int_equal(world->askers[i].heard, !world->askers[i].cancelled);
    assert_true(metric_get(METRIC_DNS_OUTSTANDING) <= OUTSTANDING);
    assert_true(metric_get(METRIC_DNS_REFUSED) > 0 && metric_get(METRIC_DNS_TIMEOUTS) > 0 &&
                metric_get(METRIC_DNS_JOINED) > 0);
    dns_free(&world->dns);
    assert_int_equal(metric_get(METRIC_DNS_OUTSTANDING), 0);
    loop_free(&world->loop);
    name_server_stop(&server);
    free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(everybody_hears_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
