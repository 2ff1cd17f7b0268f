/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_FIREWALL_PROCESS_LAB_H
#define TESTS_UNIT_NODE_FIREWALL_PROCESS_LAB_H

#include "node/firewall/firewall.h"

#define UNIX_NOW 1800000000u

static struct firewall *firewall;
static struct firewall_now now;
static struct firewall_conn conns[4096];

static inline uint32_t network_of(void *context, const struct firewall_address *address)
{
    (void)context;
    /* 10.0.0.0/8 and IPv6 are of no known network. */
    return !firewall_address_is_v4(address) || (uint32_t)address->low >> 24 == 10 ? 0 : 64500;
}

static inline int set_up(void **state)
{
    struct firewall_config config;

    (void)state;
    firewall_config_init(&config);
    config.seed = (struct firewall_key){1, 2};
    config.network_of = network_of;
    config.delayed_max = 3;
    firewall = firewall_new(&config);
    now = (struct firewall_now){5000000, UNIX_NOW};
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    firewall_free(&firewall);
    assert_null(firewall);
    firewall_free(&firewall);
    return 0;
}

static inline struct firewall_address address_of(const char *text)
{
    struct firewall_place place;

    assert_int_equal(firewall_place_parse(bytes_of(text), &place), ERR_OK);
    return place.prefix.address;
}

static inline struct firewall_address v4(uint32_t number)
{
    return (struct firewall_address){0, 0xFFFFull << 32 | number};
}

static inline void pass_time(uint64_t seconds)
{
    now.ms += seconds * 1000;
    now.s += seconds;
}

static inline enum firewall_action open_at(struct firewall_conn *conn,
                                           struct firewall_address address,
                                           enum firewall_service service)
{
    return firewall_opened(firewall, conn, &address, service, now).action;
}

static inline struct firewall_verdict
tell(struct firewall_conn *conn, enum firewall_event event, uint64_t account, uint32_t secret)
{
    struct firewall_verdict verdict =
        firewall_happened(firewall, conn, event, account, secret, 1, now);

    firewall_resumed(firewall, conn);
    return verdict;
}

static inline void limit_only(enum firewall_rule_id id, uint32_t limit)
{
    struct firewall_settings settings;

    firewall_settings_init(&settings);
    for (unsigned i = 1; i < FIREWALL_RULE_COUNT; i++)
        settings.of[i].limit = settings.of[i].limit_v6 = i == id ? limit : 0;
    firewall_set_settings(firewall, &settings);
}

static inline void guess(struct firewall_conn *conn, uint64_t account, uint32_t first,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        tell(conn, FIREWALL_LOGIN_FAILED, account, first + i);
}

#endif
