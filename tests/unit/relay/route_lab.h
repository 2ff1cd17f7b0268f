/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_RELAY_ROUTE_LAB_H
#define TESTS_UNIT_RELAY_ROUTE_LAB_H

#include "smtp/relay/route.h"
#include "unit/node/runtime/until.h"

/*
 * Routes over a DNS of the test's own: dns_query() and dns_cancel() are here. What no row knows
 * does not exist; a name that has a row has nothing of other types. The time that routes are
 * kept by is `clock_ms`, and the time-out of a look-up `lookup_ms` (link with
 * --wrap=clock_monotonic_ms and --wrap=loop_timer_start).
 */
enum row_how {
    PLAIN,
    SIGNED = 1,
    SILENT = 2, /* never answered */
    HELD = 4,   /* not before lab_let_go() */
};

void lab_row(const char *name, enum dns_type type, unsigned how, const char *data);
/* Absence or trouble. */
void lab_none(const char *name, enum dns_type type, unsigned how, enum dns_result result);
/* Of all rows from now on. */
void lab_ttl(uint32_t ttl_s);
/* `name` is an alias: answers come from the rows of `target`. */
void lab_alias(const char *name, const char *target);
void lab_forget(const char *name, enum dns_type type);
void lab_let_go(void);

extern struct lab {
    struct loop *loop;
    struct routes *routes;
    struct routes_config config;
    uint64_t clock_ms; /* 0: the real one */
    uint64_t lookup_ms;
    unsigned asked, open, open_most;
} lab;

/* How often a question came. */
unsigned lab_asked(const char *name, enum dns_type type);

/* Documentation addresses are allowed; mx.own.test and 192.0.2.99 are ours. */
int lab_setup(void **state);
int lab_teardown(void **state);
/* With what lab.config says now. */
void lab_routes_new(void);

/* Waits for the route, which the caller releases. */
const struct route *lab_find(const char *domain);
/* The same, and checks kind and status; returns whether the text holds `words`. */
void lab_expect(const char *domain, enum route_kind kind, const char *status,
                const char *words);
/* "mx1.test 192.0.2.1, mx2.test 2001:db8::1": hosts and addresses as they are in the route. */
const char *lab_hosts(const struct route *route);
/* The same of a plan. */
const char *lab_plan(const struct route *route, const struct route_wish *wish);

#endif
