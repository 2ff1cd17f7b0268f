/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "unit/smtp/policy_world.h"

#define MX(host) BYTES_INIT("\0\12" host)
#define NOBODY BYTES_INIT("\x7f\0\0\2")
#define HOST(n) BYTES_INIT("\xc6\x33\x64" n)
#define SOA                                                                                    \
    BYTES_INIT("\2ns\4good\7example\0\2ns\4good\7example\0\0\0\0\1\0\0\1\0\0\0\1\0\0\0\1\0\0"  \
               "\0\0\1")

static const struct zone_row rows[] = {
    {"7.100.51.198.in-addr.arpa", DNS_PTR, ANSWERS, BYTES_INIT("\4mail\4good\7example\0"), NULL,
     0},
    {"mail.good.example", DNS_A, ANSWERS, HOST("\7"), NULL, 0},
    {"8.100.51.198.in-addr.arpa", DNS_PTR, IS_SLOW, BYTES_INIT("\4mail\4good\7example\0"), NULL,
     0},
    {"9.100.51.198.in-addr.arpa", DNS_PTR, FAILS, BYTES_INIT(""), NULL, 0},
    {"5.100.51.198.bl.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"7.100.51.198.bl.example", DNS_A, ANSWERS, BYTES_INIT("\x7f\xff\xff\xfe"), NULL, 0},
    {"5.100.51.198.all.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"1.0.0.127.all.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"5.100.51.198.out.example", DNS_A, FAILS, BYTES_INIT(""), NULL, 0},
    {"1.0.0.127.out.example", DNS_A, FAILS, BYTES_INIT(""), NULL, 0},
    {"5.100.51.198.wl.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"5.100.51.198.slow.example", DNS_A, IS_SLOW, NOBODY, NULL, 0},
    {"good.example", DNS_SOA, ANSWERS, SOA, NULL, 0},
    {"good.example", DNS_NS, ANSWERS, BYTES_INIT("\2ns\4good\7example\0"), NULL, 0},
    {"good.example", DNS_MX, ANSWERS, MX("\4mail\4good\7example\0"), NULL, 0},
    {"good.example", DNS_TXT, ANSWERS, BYTES_INIT("\13v=spf1 -all"), NULL, 0},
    {"spam.example", DNS_SOA, ANSWERS, SOA, NULL, 0},
    {"spam.example", DNS_NS, ANSWERS, BYTES_INIT("\2ns\4good\7example\0"), NULL, 0},
    {"spam.example", DNS_MX, ANSWERS, MX("\4mail\4good\7example\0"), NULL, 0},
    {"spam.example", DNS_TXT, ANSWERS, BYTES_INIT("\13v=spf1 -all"), NULL, 0},
    {"spam.example.dbl.example", DNS_A, ANSWERS, BYTES_INIT("\x7f\0\1\2"), NULL, 0},
    {"spam.example.young.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"spam.example.deaf.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"invalid.deaf.example", DNS_A, ANSWERS, NOBODY, NULL, 0},
    {"lonely.example", DNS_SOA, ANSWERS, SOA, NULL, 0},
    {"sentinel.example", DNS_A, IS_SLOW, NOBODY, NULL, 0},
    {"broken.example", DNS_SOA, FAILS, BYTES_INIT(""), NULL, 0},
    {"broken.example", DNS_NS, FAILS, BYTES_INIT(""), NULL, 0},
    {"broken.example", DNS_MX, FAILS, BYTES_INIT(""), NULL, 0},
    {"broken.example", DNS_A, FAILS, BYTES_INIT(""), NULL, 0},
    {"broken.example", DNS_AAAA, FAILS, BYTES_INIT(""), NULL, 0},
    {"broken.example", DNS_TXT, FAILS, BYTES_INIT(""), NULL, 0},
    {"_dmarc.broken.example", DNS_TXT, FAILS, BYTES_INIT(""), NULL, 0},
};

void open_world(struct world *world, bool with_dns)
{
    const char *servers[] = {name_server_address(world->server)};
    const struct dns_config dns_config = {
        .servers = servers, .servers_count = 1, .timeout_ms = 2000};

    world->times = policy_times_default;
    world->times.greet_min_ms = 30;
    world->times.greet_max_ms = 300;
    world->times.facts_ms = 3000;
    world->loop = loop_new();
    world->store = lab_store_open(world->loop);
    world->dns = with_dns ? dns_new(world->loop, &dns_config) : NULL;
    const struct policy_config config = {
        .loop = world->loop,
        .store = world->store,
        .dns = world->dns,
        .hostname = "mx.test",
        .times = &world->times,
    };
    world->policy = policy_new(&config);
}

void close_world(struct world *world)
{
    policy_client_free(&world->client);
    policy_free(&world->policy);
    dns_free(&world->dns);
    store_client_free(&world->store);
    loop_free(&world->loop);
    assert_int_equal(lab_store.open, 0);
}

int setup(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->server = name_server_start(rows, sizeof(rows) / sizeof(*rows), 400);
    *state = world;
    return 0;
}

int teardown(void **state)
{
    struct world *world = *state;

    name_server_stop(&world->server);
    free(world);
    return 0;
}

void connect_from(struct world *world, const char *text)
{
    struct address address;

    policy_client_free(&world->client);
    run_until(world->loop, lab_is_polled, NULL);
    assert_true(address_parse(bytes_of(text), &address));
    world->client = policy_client_new(world->policy, &address, 1);
}

void world_done(void *context, const struct smtp_refusal *refusal)
{
    struct world *world = context;

    world->answered = true;
    world->answers++;
    world->code = refusal != NULL ? refusal->code : 250;
    snprintf(world->text, sizeof(world->text), "%s %s",
             refusal != NULL ? refusal->enhanced : "", refusal != NULL ? refusal->text : "");
}

bool is_answered(void *context)
{
    return ((struct world *)context)->answered;
}

static struct policy_trial *try_at(struct world *world, const char *sender, bool role,
                                   uint64_t domain_id)
{
    const struct policy_question question = {
        .helo = BYTES("[198.51.100.5]"),
        .sender = bytes_of(sender),
        .recipient = BYTES("y@here.test"),
        .tenant_id = 3,
        .domain_id = domain_id,
        .account_id = 5,
        .role = role,
    };
    world->answered = false;
    world->text[0] = '\0';
    return policy_try(world->client, &question, world_done, world);
}

struct policy_trial *try_from(struct world *world, const char *sender, bool role)
{
    return try_at(world, sender, role, 4);
}

struct policy_trial *try_other(struct world *world, const char *sender, uint64_t domain_id)
{
    return try_at(world, sender, false, domain_id);
}

unsigned verdict(struct world *world, const char *sender)
{
    run_until(world->loop, lab_is_polled, NULL);
    if (try_from(world, sender, false) == NULL)
        return 250;
    run_until(world->loop, is_answered, world);
    return world->code;
}
