/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "node/base/check.h"
#include "storage/service/placement_plan.h"

/*
 * Clusters written as text. Nodes: "1a 2b 3c" are nodes 1, 2, 3 in data centers a, b, c.
 * A record: "1v 2v 3s >2": nodes 1 and 2 vote, 3 stands by, 2 is preferred.
 * A status: "1v 2v 3s": Raft's members; "!" behind one: not heard of lately; "~": far behind.
 */
enum { GROUPS_MAX = 65, NODES_MAX = 24 };

struct world {
    struct arena arena;
    struct placement_view view;
    struct placement_node nodes[NODES_MAX];
    char centers[NODES_MAX][2];
    Pr__GroupRecord *groups[GROUPS_MAX];
    struct placement_local local[GROUPS_MAX];
};

static void world_init(struct world *world, const char *nodes)
{
    memset(world, 0, sizeof(*world));
    arena_init(&world->arena);
    world->view = (struct placement_view){
        .self = 1,
        .now_ms = 100000,
        .nodes = world->nodes,
        .groups = world->groups,
        .local = world->local,
    };
    unsigned id = 0;
    char center = 0;
    int used = 0;
    for (const char *at = nodes; sscanf(at, "%u%c%n", &id, &center, &used) == 2; at += used) {
        size_t n = world->view.node_count++;
        CHECK(n < NODES_MAX);
        world->centers[n][0] = center;
        world->nodes[n] = (struct placement_node){id, world->centers[n]};
    }
}

static Pr__GroupRecord *read_record(struct arena *arena, uint32_t group, const char *text)
{
    Pr__GroupRecord *record = arena_alloc(arena, sizeof(*record));
    unsigned id = 0;
    char role = 0;
    int used = 0;

    pr__group_record__init(record);
    record->group = group;
    record->replicas = arena_alloc(arena, NODES_MAX * sizeof(*record->replicas));
    for (const char *at = text; sscanf(at, "%u%c%n", &id, &role, &used) == 2; at += used) {
        Pr__Replica *replica = arena_alloc(arena, sizeof(*replica));
        pr__replica__init(replica);
        replica->node_id = id;
        replica->standby = role == 's';
        record->replicas[record->n_replicas++] = replica;
    }
    const char *preferred = strchr(text, '>');
    if (preferred != NULL && sscanf(preferred, ">%u", &id) == 1)
        record->preferred_leader = id;
    return record;
}

static void add_group(struct world *world, const char *record)
{
    size_t g = world->view.group_count++;

    CHECK(g < GROUPS_MAX);
    world->groups[g] = read_record(&world->arena, (uint32_t)g, record);
}

/* The local replica of the last group, led by this node. */
static struct placement_local *lead(struct world *world, const char *members)
{
    struct placement_local *local = &world->local[world->view.group_count - 1];
    unsigned id = 0;
    char role = 0;
    int used = 0;

    local->present = true;
    local->status.state = REPLICATOR_LEADER;
    local->status.leader = world->view.self;
    local->status.last_index = 1000;
    for (const char *at = members; sscanf(at, "%u%c%n", &id, &role, &used) == 2; at += used) {
        unsigned m = local->status.member_count++;
        local->status.members[m].node_id = id;
        local->status.members[m].role = role == 'v' ? REPLICATOR_VOTER : REPLICATOR_STANDBY;
        local->status.match[m] = at[used] == '~' ? 900 : 1000;
        local->status.last_contact_ms[m] = at[used] == '!' ? 5000 : 100;
        if (at[used] == '~' || at[used] == '!')
            at++;
    }
    return local;
}

static const char *action_text(const struct placement_action *action, char text[64])
{
    switch (action->kind) {
    case PLACEMENT_JOIN:
        snprintf(text, 64, "join");
        break;
    case PLACEMENT_CHANGE:
        snprintf(text, 64, "%s %u",
                 action->remove                     ? "remove"
                 : action->role == REPLICATOR_VOTER ? "voter"
                                                    : "standby",
                 (unsigned)action->node_id);
        break;
    case PLACEMENT_TRANSFER:
        snprintf(text, 64, "transfer %u", (unsigned)action->node_id);
        break;
    case PLACEMENT_PUT:
        snprintf(text, 64, "put");
        break;
    }
    return text;
}

static void test_steps(void **state)
{
    static const struct {
        const char *what;
        const char *wanted;
        const char *members;
        const char *step; /* NULL: nothing to do */
    } rows[] = {
        {"all is well", "1v 2v 3v >1", "1v 2v 3v", NULL},
        {"a missing voter comes in without a vote", "1v 2v >1", "1v", "standby 2"},
        {"then it votes", "1v 2v >1", "1v 2s", "voter 2"},
        {"but not while it is away", "1v 2v >1", "1v 2s!", NULL},
        {"one away does not hold up the next", "1v 2v 3v >1", "1v 2s! 3s", "voter 3"},
        {"nor does the next one's absence", "1v 2v 3v >1", "1v 2s!", "standby 3"},
        {"a missing standby", "1v 2s >1", "1v", "standby 2"},
        {"voters come before standbys", "1v 2s 3v >1", "1v", "standby 3"},
        {"a surplus voter goes", "1v 2v >1", "1v 2v 3v", "remove 3"},
        {"but only when all wanted ones vote", "1v 2v >1", "1v 2s! 3v", NULL},
        {"a voter that shall stand by", "1v 2s 3v >1", "1v 2v 3v", "standby 2"},
        {"the leader that is not wanted hands over first", "2v 3v", "1v 2v 3v", "transfer 2"},
        {"to somebody who is there", "2v 3v", "1v 2v! 3v", "transfer 3"},
        {"and keeps up", "2v 3v", "1v 2v~ 3v", "transfer 3"},
        {"the leader that shall stand by hands over", "1s 2v", "1v 2v", "transfer 2"},
        {"a record without replicas takes nothing away", "", "1v 2v", NULL},
        {"the preferred one takes over", "1v 2v 3v >2", "1v 2v 3v", "transfer 2"},
        {"not when it lags", "1v 2v 3v >2", "1v 2v~ 3v", NULL},
        {"not when it is away", "1v 2v 3v >2", "1v 2v! 3v", NULL},
        {"not before it votes", "1v 2s 3v >2", "1v 2s 3v", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world world;
        struct placement_action action;
        char text[64];

        world_init(&world, "1a 2b 3c");
        add_group(&world, rows[i].wanted);
        struct placement_local *local = lead(&world, rows[i].members);
        if (placement_leader_ready(&world.view, 0))
            local->ready_since_ms = world.view.now_ms - PLACEMENT_STEADY_MS;
        bool found = placement_step(&world.view, 0, &action);
        if (found != (rows[i].step != NULL) ||
            (found && strcmp(action_text(&action, text), rows[i].step) != 0))
            fail_msg("%s: \"%s\", wanted \"%s\"", rows[i].what, found ? text : "nothing",
                     rows[i].step != NULL ? rows[i].step : "nothing");
        arena_fini(&world.arena);
    }
}

static void test_only_leaders_step(void **state)
{
    struct world world;
    struct placement_action action;

    (void)state;
    world_init(&world, "1a 2b");
    add_group(&world, "1v 2v");
    struct placement_local *local = lead(&world, "1v");
    local->status.state = REPLICATOR_FOLLOWER;
    assert_false(placement_step(&world.view, 0, &action));
    local->status.state = REPLICATOR_LEADER;
    local->changing = true;
    assert_false(placement_step(&world.view, 0, &action));
    local->changing = false;
    local->resting[local->resting_count++] = 2;
    assert_false(placement_step(&world.view, 0, &action));
    local->resting_count = 0;
    assert_true(placement_step(&world.view, 0, &action));
    arena_fini(&world.arena);
}

static void test_join_where_wanted(void **state)
{
    struct world world;
    struct placement_action action;

    (void)state;
    world_init(&world, "1a 2b 3c");
    add_group(&world, "1v 2v");
    assert_true(placement_step(&world.view, 0, &action));
    assert_int_equal(action.kind, PLACEMENT_JOIN);
    world.view.self = 3;
    assert_false(placement_step(&world.view, 0, &action));
    arena_fini(&world.arena);
}

static void test_transfers_wait(void **state)
{
    struct world world;
    struct placement_action *actions = NULL;
    size_t count = 0;

    (void)state;
    world_init(&world, "1a 2b");
    for (unsigned g = 0; g < 3; g++) {
        add_group(&world, "1v 2v >2");
        lead(&world, "1v 2v")->ready_since_ms = world.view.now_ms - PLACEMENT_STEADY_MS + 1;
    }
    world.local[0].status.state = REPLICATOR_FOLLOWER; /* the directory is led elsewhere */
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_int_equal(count, 0); /* not steady for long enough */
    world.view.now_ms++;
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_int_equal(count, 1); /* one at a time */
    assert_int_equal(actions[0].group, 1);
    world.view.transferred_ms = world.view.now_ms - PLACEMENT_TRANSFER_MS + 1;
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_int_equal(count, 0);
    arena_fini(&world.arena);
}

/* ---- the wanted records ---- */

static const char *record_text(const Pr__GroupRecord *record, char text[256])
{
    size_t len = 0;

    text[0] = '\0';
    for (size_t i = 0; i < record->n_replicas; i++)
        len += (size_t)snprintf(text + len, 256 - len, "%u%c ",
                                (unsigned)record->replicas[i]->node_id,
                                record->replicas[i]->standby ? 's' : 'v');
    snprintf(text + len, 256 - len, ">%u", (unsigned)record->preferred_leader);
    return text;
}

static void test_wants(void **state)
{
    static const struct {
        const char *what;
        const char *nodes;
        const char *groups[4]; /* before */
        size_t position;
        const char *record; /* NULL: nothing changes */
    } rows[] = {
        {"one node", "1a", {"1v >1", "1v >1"}, 0, NULL},
        {"a second node gets the directory", "1a 2b", {"1v >1", "1v >1"}, 0, "1v 2v >2"},
        {"then mail", "1a 2b", {"1v 2v >2", "1v >1"}, 1, "1v 2v >1"},
        {"three data centers", "1a 2a 3b 4c", {"1v 2v 3v 4v >1", "1v >2"}, 1, "1v 3v 4v >3"},
        {"the emptier node of a data center",
         "1a 2b 3b 4c",
         {"1v 2v 3v 4v >1", "1v 2v 4v >2", "1v 4v >4"},
         2,
         "1v 4v 3v >4"},
        {"replicas of nodes that are gone", "1a 2b", {"1v 2v >1", "1v 7v >7"}, 1, "1v 2v >2"},
        {"the sixth node stands by",
         "1a 2b 3c 4a 5b 6c",
         {"1v 2v 3v 4v 5v >1"},
         0,
         "1v 2v 3v 4v 5v 6s >1"},
        {"a voter of the directory moves to a new data center",
         "1a 2a 3a 4a 5a 6b",
         {"1v 2v 3v 4v 5v 6s >1"},
         0,
         "1v 2v 3v 4v 5s 6v >1"},
        {"and stays there", "1a 2a 3a 4a 5a 6b", {"1v 2v 3v 4v 5s 6v >1"}, 0, NULL},
        {"mail replicas stay where they are",
         "1a 2a 3a 4b",
         {"1v 2v 3v 4v >4", "1v 2v 3v >1"},
         0,
         NULL},
        {"preferred leaders spread", "1a 2b", {"1v 2v >1", "1v 2v >1"}, 0, "1v 2v >2"},
        {"no node known", "", {"1v >1"}, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world world;
        size_t position = 0;
        char text[256];

        world_init(&world, rows[i].nodes);
        for (size_t g = 0; g < 4 && rows[i].groups[g] != NULL; g++)
            add_group(&world, rows[i].groups[g]);
        Pr__GroupRecord *record = placement_want(&world.view, &world.arena, &position);
        const char *got = record != NULL ? record_text(record, text) : "nothing";
        const char *want = rows[i].record != NULL ? rows[i].record : "nothing";
        if (strcmp(got, want) != 0 || (record != NULL && position != rows[i].position))
            fail_msg("%s: \"%s\" for group %zu, wanted \"%s\"", rows[i].what, got, position,
                     want);
        arena_fini(&world.arena);
    }
}

static size_t voters(const Pr__GroupRecord *record)
{
    size_t count = 0;

    for (size_t i = 0; i < record->n_replicas; i++)
        count += !record->replicas[i]->standby;
    return count;
}

/* Data centers are ids modulo 3: the letters a, b, c. */
static size_t centers(const Pr__GroupRecord *record)
{
    bool seen[3] = {false};

    for (size_t i = 0; i < record->n_replicas; i++)
        if (!record->replicas[i]->standby)
            seen[record->replicas[i]->node_id % 3] = true;
    return (size_t)seen[0] + seen[1] + seen[2];
}

static size_t smallest(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Nodes come one by one, each waits until nothing changes any more. */
static void test_growth(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, "1b");
    for (unsigned g = 0; g < 13; g++)
        add_group(&world, "1v >1");
    for (unsigned node = 2; node <= 12; node++) {
        world.centers[node - 1][0] = "abc"[node % 3];
        world.nodes[node - 1] = (struct placement_node){node, world.centers[node - 1]};
        world.view.node_count = node;
        unsigned puts = 0;
        size_t position = 0;
        Pr__GroupRecord *record;
        while ((record = placement_want(&world.view, &world.arena, &position)) != NULL) {
            world.groups[position] = record;
            assert_true(++puts < 200);
        }
        size_t preferred[NODES_MAX] = {0};
        assert_int_equal(voters(world.groups[0]), smallest(node, PLACEMENT_DIRECTORY_VOTERS));
        assert_int_equal(world.groups[0]->n_replicas, node);
        for (size_t g = 0; g < world.view.group_count; g++) {
            size_t limit = g == 0 ? PLACEMENT_DIRECTORY_VOTERS : PLACEMENT_MAIL_VOTERS;
            assert_int_equal(voters(world.groups[g]), smallest(node, limit));
            assert_int_equal(centers(world.groups[g]), smallest(node, 3));
            preferred[world.groups[g]->preferred_leader]++;
        }
        if (node == 3) /* 13 groups over 3 nodes that all have all of them */
            for (unsigned n = 1; n <= 3; n++)
                assert_in_range(preferred[n], 4, 5);
    }
    arena_fini(&world.arena);
}

/* The directory cannot have more members than Raft takes; what does not fit is left out, and
 * the plan comes to rest. */
static void test_many_nodes(void **state)
{
    struct world world;
    size_t position = 0;

    (void)state;
    world_init(&world, "1a 2b 3c 4a 5b 6c 7a 8b 9c 10a 11b 12c 13a 14b 15c 16a 17b 18c");
    add_group(&world, "1v >1");
    world.groups[0] = placement_want(&world.view, &world.arena, &position);
    assert_non_null(world.groups[0]);
    assert_int_equal(world.groups[0]->n_replicas, REPLICATOR_MEMBERS_MAX);
    assert_null(placement_want(&world.view, &world.arena, &position));
    arena_fini(&world.arena);
}

static void test_only_the_directory_puts(void **state)
{
    struct world world;
    struct placement_action *actions = NULL;
    size_t count = 0;
    char text[64];

    (void)state;
    world_init(&world, "1a 2b");
    add_group(&world, "1v >1");
    lead(&world, "1v");
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_int_equal(count, 1);
    assert_string_equal(action_text(&actions[0], text), "put");
    world.local[0].status.state = REPLICATOR_FOLLOWER;
    placement_plan(&world.view, &world.arena, &actions, &count);
    assert_int_equal(count, 0);
    arena_fini(&world.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_only_leaders_step),
        cmocka_unit_test(test_join_where_wanted),
        cmocka_unit_test(test_transfers_wait),
        cmocka_unit_test(test_wants),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_many_nodes),
        cmocka_unit_test(test_only_the_directory_puts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
