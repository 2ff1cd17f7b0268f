/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_SMTP_POLICY_WORLD_H
#define TESTS_UNIT_SMTP_POLICY_WORLD_H

#include "tests/unit/node/runtime/until.h"

#include <stdio.h>
#include <stdlib.h>

#include "smtp/policy/internal.h"
#include "smtp/policy/sender_check.h"
#include "tests/unit/node/runtime/name_server.h"
#include "unit/smtp/policy_lab.h"

/* One client before the policy, over a resolver and a name server, with a store in memory. */
struct world {
    struct loop *loop;
    struct store_client *store;
    struct dns *dns;
    struct name_server *server;
    struct policy_times times;
    struct policy *policy;
    struct policy_client *client;
    bool answered;
    unsigned answers;
    unsigned code;
    char text[500];
    bool greeted;
};

void open_world(struct world *world, bool with_dns);
void close_world(struct world *world);
/* For cmocka: *state is a world. */
int setup(void **state);
int teardown(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* Another client takes the place of the one before. */
void connect_from(struct world *world, const char *text);
struct policy_trial *try_from(struct world *world, const char *sender, bool role);
/* For a recipient of another domain. */
struct policy_trial *try_other(struct world *world, const char *sender, uint64_t domain_id);
void world_done(void *context, const struct smtp_refusal *refusal);
bool is_answered(void *context);
/* The code that a recipient is answered with; world->text has the words. */
unsigned verdict(struct world *world, const char *sender);

#endif
