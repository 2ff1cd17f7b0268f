/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "storage/service/status.h"

/* Two groups on nodes 1 and 2, as each of them tells it. */
struct scene {
    struct arena arena;
    Pr__GroupRecord *records[2];
    struct status_answer answers[2];
    Pr__GroupStatus *words[2][2]; /* node, group */
    Pr__GroupStatus **merged;
};

static Pr__GroupStatus *words(struct arena *arena, uint32_t group, const char *state,
                              uint64_t leader, uint64_t term, uint64_t applied)
{
    Pr__GroupStatus *made = arena_alloc(arena, sizeof(*made));

    pr__group_status__init(made);
    made->group = group;
    made->state = arena_string(arena, bytes_of(state));
    made->leader = leader;
    made->term = term;
    made->applied_index = applied;
    made->n_members = 2;
    made->members = arena_alloc(arena, 2 * sizeof(*made->members));
    for (unsigned i = 0; i < 2; i++) {
        made->members[i] = arena_alloc(arena, sizeof(**made->members));
        pr__group_member__init(made->members[i]);
        made->members[i]->node_id = i + 1;
        made->members[i]->role = arena_string(arena, BYTES("voter"));
        made->members[i]->last_contact_ms = 100;
    }
    return made;
}

static int make_scene(void **state)
{
    static struct scene scene;
    struct arena *arena = &scene.arena;

    arena_init(arena);
    for (uint32_t g = 0; g < 2; g++) {
        Pr__GroupRecord *record = arena_alloc(arena, sizeof(*record));
        pr__group_record__init(record);
        record->group = g;
        record->accounts = 10 + g;
        record->n_replicas = 2;
        record->replicas = arena_alloc(arena, 2 * sizeof(*record->replicas));
        for (unsigned i = 0; i < 2; i++) {
            record->replicas[i] = arena_alloc(arena, sizeof(**record->replicas));
            pr__replica__init(record->replicas[i]);
            record->replicas[i]->node_id = i + 1;
        }
        scene.records[g] = record;
    }
    scene.words[0][0] = words(arena, 0, "leader", 1, 5, 100);
    scene.words[0][1] = words(arena, 1, "follower", 2, 3, 40);
    scene.words[1][0] = words(arena, 0, "follower", 1, 5, 99);
    scene.words[1][1] = words(arena, 1, "leader", 2, 3, 50);
    for (unsigned n = 0; n < 2; n++)
        scene.answers[n] = (struct status_answer){n + 1, true, scene.words[n], 2, NULL};
    *state = &scene;
    return 0;
}

static int drop_scene(void **state)
{
    struct scene *scene = *state;

    arena_fini(&scene->arena);
    return 0;
}

static void merge(struct scene *scene)
{
    status_merge(scene->records, 2, scene->answers, 2, &scene->arena, &scene->merged);
}

static void test_leaders_speak(void **state)
{
    struct scene *scene = *state;

    merge(scene);
    assert_int_equal(scene->merged[0]->leader, 1);
    assert_int_equal(scene->merged[0]->applied_index, 100);
    assert_string_equal(scene->merged[0]->kind, "directory");
    assert_int_equal(scene->merged[1]->leader, 2);
    assert_int_equal(scene->merged[1]->applied_index, 50);
    assert_string_equal(scene->merged[1]->kind, "mail");
    assert_int_equal(scene->merged[1]->accounts, 11);
    assert_true(status_healthy(scene->merged, 2));
}

/* A leader of an older term, cut off, still believes in itself. */
static void test_newer_term_wins(void **state)
{
    struct scene *scene = *state;

    scene->words[1][0] = words(&scene->arena, 0, "leader", 2, 6, 90);
    merge(scene);
    assert_int_equal(scene->merged[0]->leader, 2);
    assert_int_equal(scene->merged[0]->term, 6);
}

static void test_nobody_leads(void **state)
{
    struct scene *scene = *state;

    scene->answers[1] = (struct status_answer){.node_id = 2};
    merge(scene);
    assert_int_equal(scene->merged[1]->leader, 0); /* hearsay of node 1 does not count */
    assert_int_equal(scene->merged[1]->applied_index, 40);
    assert_false(status_healthy(scene->merged, 2));
}

static void test_unknown_group(void **state)
{
    struct scene *scene = *state;

    scene->answers[0].group_count = 1;
    scene->answers[1].group_count = 1;
    merge(scene);
    assert_int_equal(scene->merged[1]->leader, 0);
    assert_int_equal(scene->merged[1]->n_members, 0);
    assert_false(status_healthy(scene->merged, 2));
}

static Pr__ReplicaState *state_of(struct scene *scene, uint64_t node_id, const char *name)
{
    Pr__ReplicaState *made = arena_alloc(&scene->arena, sizeof(*made));

    pr__replica_state__init(made);
    made->node_id = node_id;
    made->state = arena_string(&scene->arena, bytes_of(name));
    return made;
}

/* Each node tells of its own replica; a copy under way is no health. */
static void test_states_of_all_nodes(void **state)
{
    struct scene *scene = *state;
    Pr__ReplicaState *states[2] = {state_of(scene, 1, "whole"), state_of(scene, 2, "partial")};

    for (unsigned n = 0; n < 2; n++) {
        scene->words[n][1]->states = &states[n];
        scene->words[n][1]->n_states = 1;
    }
    merge(scene);
    assert_int_equal(scene->merged[0]->n_states, 0);
    assert_int_equal(scene->merged[1]->n_states, 2);
    assert_int_equal(scene->merged[1]->states[0]->node_id, 1);
    assert_string_equal(scene->merged[1]->states[1]->state, "partial");
    assert_false(status_healthy(scene->merged, 2));
    states[1]->state = arena_string(&scene->arena, bytes_of("none"));
    assert_true(status_healthy(scene->merged, 2));
}

static void test_health_of_replicas(void **state)
{
    struct scene *scene = *state;
    Pr__GroupStatus *group = scene->words[0][0];

    group->members[1]->last_contact_ms = STATUS_CONTACT_MS + 1;
    merge(scene);
    assert_false(status_healthy(scene->merged, 2));
    group->members[1]->last_contact_ms = STATUS_CONTACT_MS;
    merge(scene);
    assert_true(status_healthy(scene->merged, 2));
    group->members[1]->role = arena_string(&scene->arena, BYTES("standby"));
    merge(scene);
    assert_false(status_healthy(scene->merged, 2));
    group->n_members = 1;
    merge(scene);
    assert_false(status_healthy(scene->merged, 2));
    assert_false(status_healthy(scene->merged, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_leaders_speak, make_scene, drop_scene),
        cmocka_unit_test_setup_teardown(test_newer_term_wins, make_scene, drop_scene),
        cmocka_unit_test_setup_teardown(test_nobody_leads, make_scene, drop_scene),
        cmocka_unit_test_setup_teardown(test_unknown_group, make_scene, drop_scene),
        cmocka_unit_test_setup_teardown(test_states_of_all_nodes, make_scene, drop_scene),
        cmocka_unit_test_setup_teardown(test_health_of_replicas, make_scene, drop_scene),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
