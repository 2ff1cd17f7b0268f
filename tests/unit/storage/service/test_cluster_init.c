/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A cluster comes into being: what is there afterwards, what is refused, and that a beginning
 * that was interrupted anywhere is done again without a hand. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/check.h"
#include "storage/query/directory.h"
#include "storage/schema/format.h"
#include "storage/service/cluster.h"
#include "storage/service/identity.h"
#include "storage/service/join.h"
#include "tests/unit/storage/service/service_world.h"

enum { GROUPS_MAX = CLUSTER_GROUPS_MAX + 1 };

static struct place {
    struct lab lab;
    struct config config;
    char folder[64];
    enum err start; /* of the cluster */
    enum err bootstrap;
    bool begun[GROUPS_MAX];
    unsigned bootstraps;
    void (*done)(void *context, enum err err);
    bool marked; /* before the first byte of state */
    unsigned answers;
    enum err err;
    uint64_t id;
    char text[256];
} * place;

static const char *path_of(const char *name)
{
    static char path[160];

    snprintf(path, sizeof(path), "%s/%s", place->folder, name);
    return path;
}

/* ---- what stands around cluster.c ---- */

bool join_busy(const struct service *service)
{
    (void)service;
    return false;
}

const char *join_token_format(const struct join_token *token, struct arena *arena)
{
    (void)token;
    (void)arena;
    return "";
}

static void database_make(const char *name)
{
    char file[64];

    mkdir(path_of(name), 0700);
    snprintf(file, sizeof(file), "%s/data.mdb", name);
    FILE *data = fopen(path_of(file), "w");
    assert_non_null(data);
    fclose(data);
}

enum err service_start_cluster(struct service *service)
{
    assert_non_null(service->identity);
    place->marked = identity_file_exists(place->folder, IDENTITY_MARK);
    if (place->start != ERR_OK)
        return place->start;
    database_make("log");
    database_make("state-0");
    return ERR_OK;
}

static void bootstrapped(void *context)
{
    place->done(context, place->bootstrap);
}

/* Its answer never comes inside the call. */
void replicator_group_bootstrap(struct replicator *replicator, uint32_t group,
                                void (*done)(void *context, enum err err), void *context)
{
    (void)replicator;
    assert_true(group < GROUPS_MAX && !place->begun[group]);
    place->begun[group] = true;
    place->bootstraps++;
    place->done = done;
    loop_post(NULL, bootstrapped, context);
}

uint64_t service_self(const struct service *service)
{
    return service->identity->node_id;
}

struct service_node *service_node(const struct service *service, uint64_t node_id)
{
    (void)service;
    (void)node_id;
    return NULL;
}

static void answered(struct service_call *call, enum err err, const char *text)
{
    place->answers++;
    place->err = err;
    snprintf(place->text, sizeof(place->text), "%s", text != NULL ? text : "");
    arena_fini(&call->call_arena);
    free(call);
}

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    place->id = reply->outcome->id;
    answered(call, (enum err)reply->err, reply->text);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    answered(call, err, text);
}

void call_outcome(struct service_call *call, enum err err, const Pr__Outcome *outcome)
{
    (void)outcome;
    answered(call, err, "");
}

/* ---- a machine ---- */

/* A process begins: with the identity that is on the disk, and what the log has. */
static void life_begin(void)
{
    const char *problem = NULL;

    arena_init(&world.service.identity_arena);
    world.service.config = &place->config;
    world.service.identity = NULL;
    memset(place->begun, 0, sizeof(place->begun));
    place->bootstraps = 0;
    if (identity_load(place->folder, &world.service.identity_arena, &world.service.identity,
                      &problem) != ERR_OK)
        world.service.identity = NULL;
}

static void life_end(void)
{
    arena_fini(&world.service.identity_arena);
    world.service.identity = NULL;
}

static int begin(void **state)
{
    (void)state;
    place = calloc(1, sizeof(*place));
    assert_non_null(place);
    assert_true(sodium_init() >= 0);
    lab_open(&place->lab);
    world_begin(&place->lab);
    strcpy(place->folder, "/tmp/postraft-init-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    place->config = (struct config){.folder = place->folder,
                                    .cluster_raft = "127.0.0.1:7101",
                                    .cluster_rpc = "127.0.0.1:7102",
                                    .cluster_join = "127.0.0.1:7103"};
    life_begin();
    return 0;
}

static int end(void **state)
{
    char command[128];

    (void)state;
    life_end();
    world_run(world.now_ms + 1000); /* the stop that follows a failure */
    world_end();
    lab_close(&place->lab);
    snprintf(command, sizeof(command), "rm -r '%s'", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static void init_as(const char *cluster, const char *node, uint32_t mail_groups)
{
    struct service_call *call = calloc(1, sizeof(*call));
    Pr__ClusterInit *init;

    assert_non_null(call);
    arena_init(&call->call_arena);
    call->service = &world.service;
    call->deadline_ms = world.now_ms + 10000;
    call->request = arena_alloc(&call->call_arena, sizeof(*call->request));
    pr__request__init(call->request);
    init = arena_alloc(&call->call_arena, sizeof(*init));
    pr__cluster_init__init(init);
    init->cluster_name = arena_string(&call->call_arena, bytes_of(cluster));
    init->node_name = arena_string(&call->call_arena, bytes_of(node));
    init->data_center = arena_string(&call->call_arena, BYTES("dc1"));
    init->mail_groups = mail_groups;
    call->request->call_case = PR__REQUEST__CALL_CLUSTER_INIT;
    call->request->cluster_init = init;
    cluster_init_call(call);
    world_run(world.now_ms);
}

static void expect_end(enum err err, const char *words)
{
    assert_int_equal(place->answers, 1);
    assert_int_equal(place->err, err);
    if (strstr(place->text, words) == NULL)
        fail_msg("\"%s\" says nothing of \"%s\"", place->text, words);
    place->answers = 0;
}

static bool identity_there(void)
{
    return identity_file_exists(place->folder, IDENTITY_FILE);
}

static bool mark_there(void)
{
    return identity_file_exists(place->folder, IDENTITY_MARK);
}

static void cluster_is_made(void **state)
{
    Pr__Identity *identity = NULL;
    const char *problem = NULL;
    Pr__NodeRecord **nodes = NULL;
    size_t count = 0;

    (void)state;
    init_as("post", "mx1", 6);
    expect_end(ERR_OK, "6 mail groups");
    assert_int_equal(place->id, 1);
    assert_int_equal(place->bootstraps, 7);
    for (uint32_t group = 0; group <= 6; group++)
        assert_true(place->begun[group]);
    assert_true(place->marked);
    assert_false(mark_there());
    assert_int_equal(identity_load(place->folder, &place->lab.arena, &identity, &problem),
                     ERR_OK);
    assert_int_equal(identity->node_id, 1);
    struct db_txn *txn = db_read_begin(place->lab.db);
    const Pr__ClusterRecord *cluster = directory_cluster(txn, &place->lab.arena);
    directory_nodes(txn, &place->lab.arena, &nodes, &count);
    assert_int_equal(machine_format(txn, DIRECTORY_GROUP), FORMAT_NEWEST);
    db_abort(&txn);
    assert_string_equal(cluster->cluster_id, identity->cluster_id);
    assert_string_equal(cluster->name, "post");
    assert_true(cluster->authority_key.len > 0);
    assert_int_equal(count, 1);
    assert_string_equal(nodes[0]->name, "mx1");
    assert_string_equal(nodes[0]->raft_address, "127.0.0.1:7101");
    init_as("post", "mx1", 6);
    expect_end(ERR_EXISTS, "is node 1 of cluster");
}

static void number_of_groups_has_a_default(void **state)
{
    (void)state;
    init_as("post", "mx1", 0);
    expect_end(ERR_OK, "4 mail groups");
    assert_int_equal(place->bootstraps, 1 + CLUSTER_GROUPS_DEFAULT);
}

static void wrong_words_leave_nothing(void **state)
{
    (void)state;
    init_as("a post", "mx1", 4);
    expect_end(ERR_INVALID, "cluster's name");
    init_as("post", "", 4);
    expect_end(ERR_INVALID, "");
    init_as("post", "mx1", CLUSTER_GROUPS_MAX + 1);
    expect_end(ERR_INVALID, "64 mail groups");
    place->config.cluster_raft = "0.0.0.0:7101";
    init_as("post", "mx1", 4);
    expect_end(ERR_INVALID, "");
    assert_int_equal(world.writes, 0);
    assert_int_equal(rmdir(place->folder), 0); /* it is empty */
    assert_int_equal(mkdir(place->folder, 0700), 0);
}

/* State without an identity or a mark may be somebody's mail. */
static void state_of_unknown_origin_is_not_touched(void **state)
{
    (void)state;
    database_make("state-0");
    init_as("post", "mx1", 4);
    expect_end(ERR_EXISTS, "holds a log or mail but no identity");
    assert_int_equal(access(path_of("state-0/data.mdb"), F_OK), 0);
    assert_false(mark_there() || identity_there());
    assert_int_equal(world.writes, 0);
}

/* The node ends, and is started again; what it left is no obstacle. */
static void done_again(void)
{
    assert_true(mark_there());
    assert_false(identity_there());
    life_end();
    world_run(world.now_ms + 1000);
    lab_close(&place->lab);
    lab_open(&place->lab);
    life_begin();
    world.fate = NULL;
    place->start = place->bootstrap = ERR_OK;
    init_as("post", "mx1", 4);
    expect_end(ERR_OK, "");
    assert_true(identity_there());
    assert_false(mark_there());
}

static enum world_fate lost(struct service_world *in, uint32_t group,
                            const Pr__Command *command)
{
    (void)group;
    (void)command;
    return in->context == NULL ? WORLD_LOST : WORLD_UNKNOWN;
}

static void first_entry_is_not_written(void **state)
{
    (void)state;
    world.fate = lost;
    init_as("post", "mx1", 4);
    expect_end(ERR_UNAVAILABLE, "try again");
    done_again();
}

static void answer_of_the_first_entry_is_lost(void **state)
{
    (void)state;
    world.fate = lost;
    world.context = place;
    init_as("post", "mx1", 4);
    expect_end(ERR_UNAVAILABLE, "try again");
    done_again();
}

static void node_cannot_serve(void **state)
{
    (void)state;
    place->start = ERR_IO;
    init_as("post", "mx1", 4);
    expect_end(ERR_IO, "its log says why");
    assert_int_equal(place->bootstraps, 0);
    done_again();
}

static void log_is_not_written(void **state)
{
    (void)state;
    place->bootstrap = ERR_IO;
    init_as("post", "mx1", 4);
    expect_end(ERR_IO, "log was not written");
    assert_int_equal(world.writes, 0);
    done_again();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cluster_is_made),
        TEST(number_of_groups_has_a_default),
        TEST(wrong_words_leave_nothing),
        TEST(state_of_unknown_origin_is_not_touched),
        TEST(first_entry_is_not_written),
        TEST(answer_of_the_first_entry_is_lost),
        TEST(node_cannot_serve),
        TEST(log_is_not_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
