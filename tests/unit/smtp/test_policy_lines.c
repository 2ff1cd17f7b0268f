/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What policy writes into the log of one client: who is refused for ever fills no log. */
#include "node/base/log.h"
#include "unit/smtp/policy_world.h"

enum { MORE = 7 };

static struct {
    unsigned refused;
    unsigned dry;
    unsigned further;
    uint64_t count;
    uint64_t conn_id;
} seen;

void __wrap_log_line(enum log_level level, const struct log_context *context, const char *event,
                     const struct log_field *fields);

void __wrap_log_line(enum log_level level, const struct log_context *context, const char *event,
                     const struct log_field *fields)
{
    (void)level;
    (void)context;
    seen.refused += strcmp(event, "policy refuses") == 0;
    seen.dry += strcmp(event, "policy would refuse") == 0;
    if (strcmp(event, "policy refuses further") != 0)
        return;
    seen.further++;
    for (; fields->kind != LOG_FIELD_END; fields++)
        if (strcmp(fields->key, "count") == 0)
            seen.count = fields->u64;
        else if (strcmp(fields->key, "conn") == 0)
            seen.conn_id = fields->u64;
}

/* Of a message, by the domain in From. */
static void refuse_from(struct world *world)
{
    struct mail_address one = {.local = BYTES("a"), .domain = BYTES("bad.example")};
    const struct mail_address_list addresses = {&one, 1};

    world->answered = false;
    assert_non_null(policy_from_try(world->client, &addresses, world_done, world));
    run_until(world->loop, is_answered, world);
}

static void begin(struct world *world)
{
    memset(&seen, 0, sizeof(seen));
    open_world(world, true);
    lab_set(0, 0, "judge.helo.enabled", "off");
    snprintf(lab_store.domains[0].name, sizeof(lab_store.domains[0].name), "good.example");
    snprintf(lab_store.domains[1].name, sizeof(lab_store.domains[1].name), "bad.example");
    lab_store.domains[0].verdict = 1;
    lab_store.domains[1].verdict = 3;
    lab_store.domain_count = 2;
    connect_from(world, "198.51.100.5");
}

static void test_bounded(void **state)
{
    struct world *world = *state;

    begin(world);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    for (unsigned i = 0; i < MORE; i++) {
        refuse_from(world);
        assert_int_equal(world->code, 550);
    }
    for (unsigned i = 0; i < POLICY_LINES_MAX; i++)
        assert_int_equal(verdict(world, "a@bad.example"), 550);
    assert_int_equal(seen.refused, POLICY_LINES_MAX);
    policy_client_mail(world->client);
    assert_int_equal(verdict(world, "a@good.example"), 250);
    refuse_from(world);
    assert_int_equal(seen.refused, POLICY_LINES_MAX);
    assert_int_equal(seen.further, 0);
    uint64_t conn_id = world->client->conn_id;
    connect_from(world, "198.51.100.5");
    assert_int_equal(seen.further, 1);
    assert_int_equal(seen.count, MORE + 1);
    assert_int_equal(seen.conn_id, conn_id);
    assert_int_equal(verdict(world, "a@bad.example"), 550); /* another client */
    assert_int_equal(seen.refused, POLICY_LINES_MAX + 1);
    close_world(world);
    assert_int_equal(seen.further, 1);
}

static void test_dry(void **state)
{
    struct world *world = *state;

    begin(world);
    lab_set(0, 0, "policy.dry_run", "on");
    connect_from(world, "198.51.100.5");
    for (unsigned i = 0; i < POLICY_LINES_MAX + MORE; i++)
        assert_int_equal(verdict(world, "a@bad.example"), 250);
    assert_int_equal(seen.dry, POLICY_LINES_MAX);
    close_world(world);
    assert_int_equal(seen.count, MORE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_bounded),
        WORLD_TEST(test_dry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
