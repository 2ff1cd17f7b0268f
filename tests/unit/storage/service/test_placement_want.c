/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "storage/schema/format.h"
#include "tests/unit/storage/service/placement_world.h"

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

static const struct {
    const char *what;
    const char *nodes;
    const char *groups[4]; /* before */
    size_t position;
    const char *record; /* NULL: nothing changes */
} want_rows[] = {
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
    {"a draining node stands by in the directory",
     "1a 2b 3c 4ad",
     {"1v 2v 3v 4v >1"},
     0,
     "1v 2v 3v 4s >1"},
    {"one that is removed leaves it", "1a 2b 3c 4ar", {"1v 2v 3v 4s >1"}, 0, "1v 2v 3v >1"},
    {"a draining node gives its mail to another",
     "1a 2b 3c 4a 5bd",
     {"1v 2v 3v 4v 5s >1", "1v 3v 5v >3"},
     1,
     "1v 3v 2v >3"},
    {"and leads nothing", "1ad 2b 3c 4a", {"1s 2v 3v 4v >2", "2v 3v 4v >1"}, 1, "2v 3v 4v >3"},
    {"without another the group is smaller",
     "1a 2b 3cd",
     {"1v 2v 3s >1", "1v 2v 3v >3"},
     1,
     "1v 2v >2"},
    {"the successor takes over, though others have less",
     "1a 2b 3c 4br5 5a 6b",
     {"1v 2v 3v 5v 6v >1", "1v 3v 4v >3", "1v 2v 5v >5"},
     1,
     "1v 3v 5v >3"},
    {"nobody is left: nothing moves", "1ad 2bd", {"1v 2s >1", "1v 2v >1"}, 0, NULL},
    {"two data nodes and a witness", "1a 2b 3cw", {"1v 2v 3v >1", "1v >2"}, 1, "1v 2v 3v >2"},
    {"one data node needs no witness", "1a 2bw", {"1v 2v >1", "1v >1"}, 0, NULL},
    {"a third data node ends the witness' vote",
     "1a 2b 3cw 4c",
     {"1v 2v 3v 4v >1", "1v 2v 3v >2"},
     1,
     "1v 2v 4v >2"},
    {"two data centers and a witness in a third",
     "1a 2a 3b 4b 5cw",
     {"1v 2v 3v 4v 5v >1", "1v 2v 3v >2"},
     1,
     "1v 3v 5v >3"},
    {"a witness in one of two data centers is no third",
     "1a 2a 3b 4bw",
     {"1v 2v 3v 4v >1", "1v 2v 3v >2"},
     1,
     NULL},
    {"three nodes in one data center need no witness",
     "1a 2a 3a 4bw",
     {"1v 2v 3v 4v >1", "1v 2v 3v >2"},
     1,
     NULL},
    {"never two witnesses",
     "1a 2b 3cw 4dw",
     {"1v 2v 3v 4v >1", "1v 2v 3v 4v >2"},
     1,
     "1v 2v 3v >2"},
    {"another witness takes over",
     "1a 2b 3cwr 4dw",
     {"1v 2v 4v >1", "1v 2v 3v >2"},
     1,
     "1v 2v 4v >2"},
    {"witnesses do not lead", "1a 2b 3cw", {"1v 2v 3v >3", "1v 2v 3v >2"}, 0, "1v 2v 3v >1"},
};

static void test_wants(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(want_rows) / sizeof(want_rows[0]); i++) {
        struct world world;
        size_t position = 0;
        char text[256];

        world_init(&world, want_rows[i].nodes);
        for (size_t g = 0; g < 4 && want_rows[i].groups[g] != NULL; g++)
            add_group(&world, want_rows[i].groups[g]);
        Pr__GroupRecord *record = want(&world, &position);
        const char *got = record != NULL ? record_text(record, text) : "nothing";
        const char *want = want_rows[i].record != NULL ? want_rows[i].record : "nothing";
        if (strcmp(got, want) != 0 || (record != NULL && position != want_rows[i].position))
            fail_msg("%s: \"%s\" for group %zu, wanted \"%s\"", want_rows[i].what, got,
                     position, want);
        arena_fini(&world.arena);
    }
}

static void test_policy(void **state)
{
    static const struct {
        const char *what;
        const char *nodes;
        uint32_t replicas;
        uint32_t min_dcs;
        const char *record; /* of the mail group */
        const char *want;
    } rows[] = {
        {"five replicas", "1a 2b 3c 4a 5b 6c", 5, 0, "1v 2v 3v >2", "1v 2v 3v 4v 5v >2"},
        {"three again", "1a 2b 3c 4a 5b 6c", 3, 0, "1v 2v 3v 4v 5v >2", "1v 2v 3v >2"},
        {"five of four nodes", "1a 2b 3c 4a", 5, 0, "1v 2v 3v >2", "1v 2v 3v 4v >2"},
        {"four and a witness", "1a 2b 3c 4a 5dw", 5, 0, "1v 2v 3v 4v >2", "1v 2v 3v 4v 5v >2"},
        {"two and two and a witness", "1a 2a 3a 4b 5b 6cw", 5, 0, "1v 2v 3v 4v 5v >4",
         "1v 2v 4v 5v 6v >4"},
        {"two of three and a witness", "1a 2a 3b 4cw", 5, 0, "1v 2v 3v >2", "1v 3v 4v >3"},
        {"without demand replicas stay", "1a 2a 3a 4b 5c", 3, 0, "1v 2v 3v >2", NULL},
        {"two data centers at least", "1a 2a 3a 4b 5c", 3, 2, "1v 2v 3v >2", "1v 2v 4v >2"},
        {"three data centers at least", "1a 2a 3a 4b 5c", 3, 3, "1v 2v 3v >1", "1v 4v 5v >4"},
        {"as many as there are", "1a 2a 3a 4b", 3, 3, "1v 2v 3v >1", "1v 2v 4v >2"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct world world;
        size_t position = 0;
        char text[256];

        world_init(&world, rows[i].nodes);
        world.policy.replicas = rows[i].replicas;
        world.policy.min_dcs = rows[i].min_dcs;
        add_group(&world, "1v >1");
        world.groups[0] = want(&world, &position);
        Pr__GroupRecord *again = want(&world, &position);
        if (again != NULL && position == 0)
            world.groups[0] = again;
        add_group(&world, rows[i].record);
        world.groups[0]->preferred_leader = 1;
        world.groups[0]->leader_pinned = true;
        Pr__GroupRecord *record = want(&world, &position);
        const char *got =
            record != NULL && position == 1 ? record_text(record, text) : "nothing";
        const char *wanted = rows[i].want != NULL ? rows[i].want : "nothing";
        if (strcmp(got, wanted) != 0)
            fail_msg("%s: \"%s\", wanted \"%s\"", rows[i].what, got, wanted);
        arena_fini(&world.arena);
    }
}

static size_t smallest(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes what is wanted, counting versions as the machine does; returns how many replicas moved.
 */
static size_t play_wants(struct world *world)
{
    size_t position = 0;
    size_t moved = 0;
    unsigned puts = 0;
    Pr__GroupRecord *record;

    while ((record = want(world, &position)) != NULL) {
        const Pr__GroupRecord *before = world->groups[position];
        bool same = record->n_replicas == before->n_replicas;
        for (size_t r = 0; r < before->n_replicas && same; r++)
            same = record->replicas[r]->node_id == before->replicas[r]->node_id;
        record->version += !same;
        moved += !same;
        world->groups[position] = record;
        assert_true(++puts < 200);
    }
    return moved;
}

/* A drain moves few groups at a time, and each only once. */
static void test_drain_is_bounded(void **state)
{
    struct world world;
    size_t moved = 0;

    (void)state;
    world_init(&world, "1a 2b 3cd 4c");
    add_group(&world, "1v 2v 4v 3s >1");
    for (unsigned g = 1; g <= 10; g++)
        add_group(&world, g % 2 ? "1v 2v 3v >2" : "1v 2v 3v >1");
    for (unsigned round = 1; round <= 3; round++) {
        moved += play_wants(&world);
        assert_int_equal(moved, smallest(10, round * PLACEMENT_MOVES_MAX));
        for (unsigned g = 1; g <= 10; g++)
            world.groups[g]->placed_version = world.groups[g]->version;
    }
    for (unsigned g = 1; g <= 10; g++)
        for (size_t r = 0; r < world.groups[g]->n_replicas; r++)
            assert_int_not_equal(world.groups[g]->replicas[r]->node_id, 3);
    arena_fini(&world.arena);
}

static void test_groups_begin_once(void **state)
{
    struct world world;
    struct placement_action action;
    size_t position = 0;
    char text[64];

    (void)state;
    world_init(&world, "1a 2b 3c");
    add_group(&world, "1v 2v 3v >2");
    add_group(&world, "1v >1");
    world.groups[1]->version = 1;
    world.groups[1]->birth_node_id = 1;
    assert_null(want(&world, &position)); /* nobody joins what is not there */
    assert_true(placement_step(&world.view, 1, &action));
    assert_string_equal(action_text(&action, text), "begin");
    world.view.self = 2;
    assert_false(placement_step(&world.view, 1, &action));
    world.view.self = 1;
    lead(&world, "1v");
    assert_true(placement_step(&world.view, 1, &action));
    assert_string_equal(action_text(&action, text), "placed");
    world.groups[1]->placed_version = 1;
    assert_non_null(want(&world, &position)); /* now it grows */
    assert_int_equal(position, 1);
    arena_fini(&world.arena);
}

static void test_pinned_leader_stays(void **state)
{
    struct world world;
    size_t position = 0;

    (void)state;
    world_init(&world, "1a 2b");
    add_group(&world, "1v 2v >1");
    for (unsigned g = 1; g < 4; g++) {
        add_group(&world, "1v 2v >1");
        world.groups[g]->leader_pinned = true;
    }
    Pr__GroupRecord *record = want(&world, &position);
    assert_int_equal(position, 0);
    world.groups[0] = record;
    assert_null(want(&world, &position));
    world.nodes[0].leaving = true;
    record = want(&world, &position);
    while (record != NULL && position == 0) {
        world.groups[0] = record;
        record = want(&world, &position);
    }
    assert_int_equal(record->preferred_leader, 2);
    assert_false(record->leader_pinned);
    arena_fini(&world.arena);
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

/* ---- rebalancing ---- */

/* Plays the moves through want(), as the directory's leader does. */
static void play_plans(struct world *world, const struct placement_rebalance *plan)
{
    size_t position = 0;
    bool plan_taken = false;
    unsigned puts = 0;
    Pr__GroupRecord *record;

    for (size_t i = 0; i < plan->plan_count; i++) {
        Pr__GroupRecord *group = world->groups[plan->plans[i]->group];
        group->planned = plan->plans[i]->replicas;
        group->n_planned = plan->plans[i]->n_replicas;
    }
    while ((record = placement_want(&world->view, &world->arena, &position, &plan_taken)) !=
           NULL) {
        assert_true(++puts < 200);
        assert_true(!plan_taken || !placement_moving(world->groups[position]));
        world->groups[position] = record; /* placed at once: the versions stay the same */
    }
}

static void count_load(const struct world *world, unsigned load[NODES_MAX])
{
    memset(load, 0, NODES_MAX * sizeof(*load));
    for (size_t g = 1; g < world->view.group_count; g++)
        for (size_t r = 0; r < world->groups[g]->n_replicas; r++)
            load[world->groups[g]->replicas[r]->node_id]++;
}

static void test_rebalance(void **state)
{
    struct world world;
    unsigned load[NODES_MAX];

    (void)state;
    world_init(&world, "1a 2b 3c 4a 5b 6c");
    add_group(&world, "1v 2v 3v 4v 5v 6s >1");
    for (unsigned g = 1; g <= 12; g++)
        add_group(&world, "1v 2v 3v >1");
    struct placement_rebalance plan = placement_rebalance(&world.view, &world.arena);
    assert_int_equal(plan.move_count, 18); /* half of 36, no more */
    for (size_t i = 0; i < plan.move_count; i++)
        assert_int_equal(plan.moves[i].from + 3, plan.moves[i].to); /* in its data center */
    play_plans(&world, &plan);
    count_load(&world, load);
    for (unsigned n = 1; n <= 6; n++)
        assert_int_equal(load[n], 6);
    for (size_t g = 1; g < world.view.group_count; g++)
        assert_int_equal(centers(world.groups[g]), 3);
    plan = placement_rebalance(&world.view, &world.arena);
    assert_int_equal(plan.move_count, 0);
    arena_fini(&world.arena);
}

/* A full node is not relieved where a group would stand in fewer data centers. */
static void test_rebalance_keeps_centers(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, "1a 2b 3c 4a 5a");
    add_group(&world, "1v 2v 3v 4v 5v >1");
    for (unsigned g = 1; g <= 6; g++)
        add_group(&world, "1v 2v 3v >1");
    struct placement_rebalance plan = placement_rebalance(&world.view, &world.arena);
    assert_int_equal(plan.move_count, 4);
    for (size_t i = 0; i < plan.move_count; i++)
        assert_int_equal(plan.moves[i].from, 1);
    arena_fini(&world.arena);
}

static void test_rebalance_spreads(void **state)
{
    struct world world;

    (void)state;
    world_init(&world, "1a 2a 3a 4b 5cw 6bd");
    add_group(&world, "1v 2v 3v 4v 5v 6s >1");
    add_group(&world, "1v 2v 3v >1");
    struct placement_rebalance plan = placement_rebalance(&world.view, &world.arena);
    assert_int_equal(plan.move_count,
                     1); /* to the data center that has none, no leaving node */
    assert_int_equal(plan.moves[0].to, 4);
    arena_fini(&world.arena);
}

static size_t voters(const Pr__GroupRecord *record)
{
    size_t count = 0;

    for (size_t i = 0; i < record->n_replicas; i++)
        count += !record->replicas[i]->standby;
    return count;
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
        world.nodes[node - 1].id = node;
        world.nodes[node - 1].data_center = world.centers[node - 1];
        world.view.node_count = node;
        unsigned puts = 0;
        size_t position = 0;
        Pr__GroupRecord *record;
        while ((record = want(&world, &position)) != NULL) {
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

/* The directory cannot have more members than Raft takes, and before an upgrade is finished
 * than the release before did; what does not fit is left out, and the plan comes to rest. Never
 * do more vote than few. */
static void test_many_nodes(void **state)
{
    struct world world;
    size_t position = 0;

    (void)state;
    world_init(&world, "");
    for (uint64_t id = 1; id <= REPLICATOR_MEMBERS_MAX + 2; id++) {
        world.centers[id - 1][0] = "abc"[id % 3];
        world.nodes[id - 1].id = id;
        world.nodes[id - 1].data_center = world.centers[id - 1];
    }
    world.view.node_count = REPLICATOR_MEMBERS_MAX + 2;
    add_group(&world, "1v >1");
    add_group(&world, "1v >1");
    for (unsigned format = FORMAT_DEPTH; format <= FORMAT_SCOPES; format++) {
        world.view.members_max = placement_members_max(format);
        world.groups[0] = want(&world, &position);
        assert_non_null(world.groups[0]);
        assert_int_equal(world.groups[0]->n_replicas,
                         format == FORMAT_DEPTH ? 16 : REPLICATOR_MEMBERS_MAX);
        assert_int_equal(voters(world.groups[0]), PLACEMENT_DIRECTORY_VOTERS);
        assert_int_equal(centers(world.groups[0]), 3);
        if (format == FORMAT_DEPTH)
            world.groups[1] = want(&world, &position);
        assert_int_equal(world.groups[1]->n_replicas, PLACEMENT_MAIL_VOTERS);
        assert_null(want(&world, &position));
    }
    arena_fini(&world.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wants),
        cmocka_unit_test(test_policy),
        cmocka_unit_test(test_drain_is_bounded),
        cmocka_unit_test(test_groups_begin_once),
        cmocka_unit_test(test_pinned_leader_stays),
        cmocka_unit_test(test_rebalance),
        cmocka_unit_test(test_rebalance_keeps_centers),
        cmocka_unit_test(test_rebalance_spreads),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_many_nodes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
