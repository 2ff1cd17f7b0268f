/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/base/check.h"
#include "storage/service/recover.h"

/*
 * One mail group as text: "1a 5/100/90" is node 1 in data center a, whose log ends with entry
 * 100 of term 5, of which 90 are committed; "w" behind the data center: a witness; "-" instead
 * of numbers: it does not answer; "p" behind them: its state is partial; ">90": its log begins
 * there.
 */
enum { NODES_MAX = 8 };

struct scene {
    struct arena arena;
    struct recover_view view;
    Pr__NodeRecord *nodes[NODES_MAX];
    struct status_answer answers[NODES_MAX];
    Pr__GroupRecord record;
    uint64_t lost[NODES_MAX];
};

static char *copy(struct scene *scene, const char *text)
{
    return arena_string(&scene->arena, bytes_of(text));
}

static Pr__GroupStatus *read_words(struct scene *scene, uint64_t node_id, const char *numbers)
{
    struct arena *arena = &scene->arena;
    Pr__GroupStatus *words = arena_alloc(arena, sizeof(*words));
    unsigned term = 0;
    unsigned last = 0;
    unsigned commit = 0;
    char partial = 0;

    CHECK(sscanf(numbers, "%u/%u/%u%c", &term, &last, &commit, &partial) >= 3);
    pr__group_status__init(words);
    words->first_index = 1;
    if (strchr(numbers, '>') != NULL)
        words->first_index = strtoull(strchr(numbers, '>') + 1, NULL, 10);
    words->group = 1;
    words->last_term = term;
    words->last_index = last;
    words->commit_index = words->applied_index = commit;
    words->states = arena_alloc(arena, sizeof(*words->states));
    words->states[0] = arena_alloc(arena, sizeof(**words->states));
    pr__replica_state__init(words->states[0]);
    words->states[0]->node_id = node_id;
    words->states[0]->state = copy(scene, partial == 'p' ? "partial" : "whole");
    words->n_states = 1;
    return words;
}

/* All nodes are voters, as each of them knows. */
static void scene_init(struct scene *scene, const char *nodes)
{
    char center = 0;
    char rest[32];
    int used = 0;
    unsigned id = 0;

    memset(scene, 0, sizeof(*scene));
    arena_init(&scene->arena);
    pr__group_record__init(&scene->record);
    scene->record.group = 1;
    scene->record.accounts = 9;
    scene->record.replicas = arena_alloc(&scene->arena, NODES_MAX * sizeof(Pr__Replica *));
    for (; sscanf(nodes, "%u%c%31s %n", &id, &center, rest, &used) == 3; nodes += used) {
        size_t n = scene->view.node_count++;
        const char *numbers = rest[0] == 'w' ? "" : rest;
        scene->nodes[n] = arena_alloc(&scene->arena, sizeof(Pr__NodeRecord));
        pr__node_record__init(scene->nodes[n]);
        scene->nodes[n]->id = id;
        scene->nodes[n]->data_center = copy(scene, (char[]){center, '\0'});
        if (rest[0] == 'w') {
            scene->nodes[n]->witness = true;
            numbers = rest + 1;
        }
        scene->record.replicas[n] = arena_alloc(&scene->arena, sizeof(Pr__Replica));
        pr__replica__init(scene->record.replicas[n]);
        scene->record.replicas[n]->node_id = id;
        scene->record.n_replicas++;
        scene->answers[n].node_id = id;
        if (numbers[0] == '-')
            continue;
        scene->answers[n].reachable = true;
        scene->answers[n].groups = arena_alloc(&scene->arena, sizeof(Pr__GroupStatus *));
        scene->answers[n].groups[0] = read_words(scene, id, numbers);
        scene->answers[n].group_count = 1;
    }
    for (size_t n = 0; n < scene->view.node_count; n++) {
        if (!scene->answers[n].reachable)
            continue;
        Pr__GroupStatus *words = scene->answers[n].groups[0];
        words->members =
            arena_alloc(&scene->arena, scene->view.node_count * sizeof(*words->members));
        for (size_t m = 0; m < scene->view.node_count; m++) {
            words->members[m] = arena_alloc(&scene->arena, sizeof(**words->members));
            pr__group_member__init(words->members[m]);
            words->members[m]->node_id = scene->nodes[m]->id;
            words->members[m]->role = copy(scene, "voter");
            words->n_members++;
        }
    }
    scene->view.nodes = scene->nodes;
    scene->view.answers = scene->answers;
    for (size_t n = 0; n < scene->view.node_count; n++)
        if (!scene->answers[n].reachable)
            scene->lost[scene->view.lost_count++] = scene->nodes[n]->id;
    scene->view.lost = scene->lost;
}

static void check_members(const Pr__RecoverGroup *group, const char *what, const char *wanted)
{
    char members[64] = "";
    size_t len = 0;

    for (size_t i = 0; i < group->n_member_ids; i++)
        len += (size_t)snprintf(members + len, sizeof(members) - len, "%s%u", i > 0 ? " " : "",
                                (unsigned)group->member_ids[i]);
    for (size_t i = 0; i < group->n_given_up_ids; i++)
        len += (size_t)snprintf(members + len, sizeof(members) - len, " !%u",
                                (unsigned)group->given_up_ids[i]);
    if (strcmp(members, wanted) != 0)
        fail_msg("%s: goes on with \"%s\", not \"%s\"", what, members, wanted);
    assert_int_equal(group->log_node_id, group->n_member_ids > 0 ? group->member_ids[0] : 0);
}

static void test_choices(void **state)
{
    static const struct {
        const char *what;
        const char *nodes;
        bool majority;
        uint64_t best;
        const char *members; /* who has the log first; "!": who begins anew */
        const char *text;
    } rows[] = {
        {"one of three is lost", "1a 5/100/100 2b 5/100/99 3c -", true, 1, "1 2", ""},
        {"two are", "1a 5/100/100 2b - 3c -", false, 1, "1", "several data centers"},
        {"two of the same data center", "1a 5/100/100 2b - 3b -", false, 1, "1", "cross-dc"},
        {"the longer log", "1a 5/100/90 2b 5/101/90 3c - 4c - 5c -", false, 2, "2 1",
         "11 entries that may never"},
        {"a newer term beats a longer log", "1a 6/100/90 2b 5/200/90 3c - 4c - 5c -", false, 1,
         "1 2", "cross-dc"},
        {"a partial copy has more", "1a 5/100/90 2b 5/150/90p 3c - 4c - 5c -", false, 1, "2 1",
         "node 2 has more entries (to 150, node 1 to 100), but no whole state: it brings them"},
        {"a witness has more", "1a 5/100/90 2bw5/150/120 3c - 4c - 5c -", false, 1, "2 1",
         "it brings them to node 1"},
        {"two with mail and a witness that has more",
         "1a 5/100/90 2bw5/150/90 3c 5/95/80 4c - 5c - 6c - 7c -", false, 1, "2 1 3",
         "(to 150, node 1 to 100)"},
        {"a witness has less", "1a 5/100/90 2bw5/99/90 3c - 4c - 5c -", false, 1, "1 2",
         "cross-dc"},
        {"a witness whose log begins too late", "1a 5/100/90 2bw5/150/90>102 3c - 4c - 5c -",
         false, 1, "1 !2",
         "node 2 has more entries (102 to 150, here to 100), but no survivor"},
        {"such a copy of the state",
         "1a 5/100/90 2b 5/150/90p>102 3b 5/99/90 4c - 5c - 6c - 7c -", false, 1, "1 3 !2",
         "but no survivor"},
        {"and one that begins just in time", "1a 5/100/90 2bw5/150/90>101 3c - 4c - 5c -",
         false, 1, "2 1", "brings them"},
        {"a survivor that the log may not reach", "1a 5/100/90>80 2b 5/99/50 3c - 4c - 5c -",
         false, 1, "1", "cross-dc"},
        {"only a witness is left", "1a - 2b - 3cw5/100/90", false, 0, "", "the mail of its 9"},
        {"nobody is left", "1a - 2b -", false, 0, "", "is lost unless a lost node comes back"},
        {"all are there", "1a 5/100/100 2b 5/100/99", true, 1, "1 2", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene scene;
        scene_init(&scene, rows[i].nodes);
        const Pr__RecoverGroup *group = recover_group(&scene.view, &scene.record, &scene.arena);
        if (group->majority != rows[i].majority || group->best_node_id != rows[i].best ||
            strstr(group->text, rows[i].text) == NULL)
            fail_msg("%s: majority %d, from %u, \"%s\"", rows[i].what, (int)group->majority,
                     (unsigned)group->best_node_id, group->text);
        assert_int_equal(group->n_replicas, scene.view.node_count);
        check_members(group, rows[i].what, rows[i].members);
        arena_fini(&scene.arena);
    }
}

/* A member that the directory does not name any more was given up by a run that did not end. */
static void test_goes_on_after_an_unfinished_run(void **state)
{
    struct scene scene;

    (void)state;
    scene_init(&scene, "1a 5/100/100 2b - 3b -");
    scene.view.node_count = 1;
    scene.view.lost_count = 0;
    scene.record.n_replicas = 1;
    const Pr__RecoverGroup *group = recover_group(&scene.view, &scene.record, &scene.arena);
    assert_false(group->majority);
    assert_int_equal(group->best_node_id, 1);
    assert_true(recover_is_lost(&scene.view, 2));
    arena_fini(&scene.arena);
}

/* A group that lost everything in an earlier recovery needs none. */
static void test_what_is_given_up_stays_so(void **state)
{
    struct scene scene;

    (void)state;
    scene_init(&scene, "1a -");
    scene.record.n_replicas = 0;
    scene.record.version = 3;
    assert_true(recover_group(&scene.view, &scene.record, &scene.arena)->majority);
    arena_fini(&scene.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),
        cmocka_unit_test(test_goes_on_after_an_unfinished_run),
        cmocka_unit_test(test_what_is_given_up_stays_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
