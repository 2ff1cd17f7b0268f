/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "storage/service/members.h"
#include "tests/unit/storage/service/placement_world.h"

/* Records and statuses beside a placement world's nodes and groups. */
struct scene {
    struct world world;
    Pr__NodeRecord *nodes[NODES_MAX];
    Pr__GroupStatus *groups[GROUPS_MAX];
    struct members_texts texts;
};

static void scene_init(struct scene *scene, const char *nodes)
{
    memset(scene, 0, sizeof(*scene));
    world_init(&scene->world, nodes);
    for (size_t i = 0; i < scene->world.view.node_count; i++) {
        struct arena *arena = &scene->world.arena;
        scene->nodes[i] = arena_alloc(arena, sizeof(**scene->nodes));
        pr__node_record__init(scene->nodes[i]);
        scene->nodes[i]->name = arena_string(
            arena, bytes_of(arena_printf(arena, "n%u", (unsigned)scene->world.nodes[i].id)));
    }
}

static void scene_group(struct scene *scene, const char *record, uint64_t leader)
{
    add_group(&scene->world, record);
    size_t g = scene->world.view.group_count - 1;
    scene->groups[g] = arena_alloc(&scene->world.arena, sizeof(**scene->groups));
    pr__group_status__init(scene->groups[g]);
    scene->groups[g]->group = scene->world.groups[g]->group;
    scene->groups[g]->leader = leader;
    scene->groups[g]->accounts = 7;
    scene->groups[g]->wanted = scene->world.groups[g]->replicas;
    scene->groups[g]->n_wanted = scene->world.groups[g]->n_replicas;
}

static void test_risks(void **state)
{
    static const struct {
        const char *what;
        const char *nodes;
        const char *mail;
        uint64_t leader;
        uint64_t node;
        uint64_t by;
        bool reachable;
        uint32_t min_dcs;
        size_t count;
        const char *text;
    } rows[] = {
        {"another takes over", "1a 2b 3c 4a", "1v 2v 3v", 1, 2, 0, true, 0, 0, NULL},
        {"nobody can", "1a 2b 3c", "1v 2v 3v", 1, 2, 0, true, 0, 1, "2 replicas, not 3"},
        {"a named one does", "1a 2b 3c 4dd", "1v 2v 3v", 1, 2, 4, true, 0, 0, NULL},
        {"the witness stays without use", "1a 2b 3cw", "1v 2v 3v", 1, 2, 0, true, 0, 1,
         "1 replicas, not 2 and a witness"},
        {"the witness goes", "1a 2b 3cw", "1v 2v 3v", 1, 3, 0, true, 0, 1,
         "2 replicas, not 2 and a witness"},
        {"a witness takes its place", "1a 2b 3c 4dw", "1v 2v 3v", 1, 3, 0, true, 0, 1,
         "2 replicas and a witness, not 3"},
        {"the last one of a data center", "1a 2b 3c 4a", "1v 2v 3v", 1, 3, 0, true, 3, 1,
         "in 2 data centers, the policy wants 3: n3 is the last node in c"},
        {"it leaves already", "1a 2b 3cd", "1v 2v", 1, 3, 0, true, 0, 0, NULL},
        {"dead, with the only replica", "1a 2b 3c 4d", "2v", 0, 2, 0, false, 0, 1,
         "the mail of its 7 accounts is lost"},
        {"dead, and nobody leads", "1a 2b 3c 4d", "1v 2v 3v", 0, 2, 0, false, 0, 1,
         "cluster recover"},
        {"alive, and nobody leads", "1a 2b 3c 4d", "1v 2v 3v", 0, 2, 0, true, 0, 0, NULL},
        {"dead, of no group", "1a 2b 3c 4d", "1v 3v 4v", 0, 2, 0, false, 0, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene scene;
        scene_init(&scene, rows[i].nodes);
        scene.world.policy.min_dcs = rows[i].min_dcs;
        scene_group(&scene, "1v", 1);
        scene_group(&scene, rows[i].mail, rows[i].leader);
        members_risks(&scene.world.view, scene.nodes, scene.groups, rows[i].node, rows[i].by,
                      rows[i].reachable, &scene.world.arena, &scene.texts);
        if (scene.texts.count != rows[i].count ||
            (rows[i].text != NULL && strstr(scene.texts.at[0], rows[i].text) == NULL))
            fail_msg("%s: %zu, \"%s\"", rows[i].what, scene.texts.count,
                     scene.texts.count > 0 ? scene.texts.at[0] : "");
        arena_fini(&scene.world.arena);
    }
}

static void test_replicas_left(void **state)
{
    struct scene scene;

    (void)state;
    scene_init(&scene, "1a 2b 3cd 4c");
    scene_group(&scene, "1v 2v 4v 3s", 1);
    scene_group(&scene, "1v 2v 4v", 1);
    assert_int_equal(members_replicas(&scene.world.view, 3), 0);
    scene.world.groups[1]->version = 2; /* its members may not have followed */
    assert_int_equal(members_replicas(&scene.world.view, 3), 1);
    scene.world.groups[1]->placed_version = 2;
    scene_group(&scene, "1v 2v 3v", 1);
    assert_int_equal(members_replicas(&scene.world.view, 3), 1);
    arena_fini(&scene.world.arena);
}

static void test_policy_warnings(void **state)
{
    struct scene scene;

    (void)state;
    scene_init(&scene, "1a 2a 3b 4c");
    scene_group(&scene, "1v 2v 3v 4v", 1);
    scene_group(&scene, "1v 2v 3v", 1);
    members_policy_warnings(&scene.world.view, &scene.world.arena, &scene.texts);
    assert_int_equal(scene.texts.count, 0);
    scene.world.policy.min_dcs = 3;
    members_policy_warnings(&scene.world.view, &scene.world.arena, &scene.texts);
    assert_int_equal(scene.texts.count, 1);
    assert_string_equal(scene.texts.at[0],
                        "group 1 stands in 2 data centers, the policy wants 3");
    scene.world.policy.min_dcs = 0;
    scene.world.policy.replicas = 5;
    scene.texts.count = 0;
    members_policy_warnings(&scene.world.view, &scene.world.arena, &scene.texts);
    assert_non_null(strstr(scene.texts.at[0], "5 replicas of each mail group, but 4"));
    arena_fini(&scene.world.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_risks),
        cmocka_unit_test(test_replicas_left),
        cmocka_unit_test(test_policy_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
