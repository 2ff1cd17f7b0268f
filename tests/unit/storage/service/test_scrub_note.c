/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "storage/service/scrubs_internal.h"

enum { GROUPS = 4 };

struct scene {
    char folder[64];
    struct config config;
    struct service service;
    struct scrubs scrubs;
    uint32_t groups[GROUPS];
};

static unsigned written; /* by "pool threads" */

/* The pool: at once. */
void pool_jobs_run(struct pool_jobs *jobs, void (*work)(void *context),
                   void (*done)(void *context), void *context)
{
    (void)jobs;
    written++;
    work(context);
    done(context);
}

static void on_done(void *context)
{
    (void)context;
}

static void scene_init(struct scene *scene)
{
    *scene = (struct scene){.folder = "/tmp/test-scrub-note-XXXXXX", .groups = {0, 3, 7, 8}};
    assert_non_null(mkdtemp(scene->folder));
    scene->config.folder = scene->folder;
    scene->service.config = &scene->config;
    scene->scrubs.service = &scene->service;
    scene->scrubs.groups = scene->groups;
    scene->scrubs.group_count = GROUPS;
    written = 0;
}

static void scene_fini(struct scene *scene)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/scrub", scene->folder);
    unlink(path);
    assert_int_equal(rmdir(scene->folder), 0);
}

static void a_pass_goes_on_where_it_was(void **state)
{
    struct scene scene;
    Pr__ScrubNote note;
    (void)state;

    scene_init(&scene);
    assert_false(scrub_note_read(&scene.service, &note));
    scene.scrubs.begun_wall_ms = 1700000000000;
    scene.scrubs.group_at = 2;
    scene.scrubs.scrub = scrub_new(7, 41);
    scene.scrubs.counts.groups_done = 2;
    scene.scrubs.counts.bodies = 900;
    scene.scrubs.counts.damaged = 3;
    scene.scrubs.counts.repaired = 2;
    scene.scrubs.counts.lost = 1;
    assert_true(scrub_note_start(&scene.scrubs, on_done));
    scene.scrubs.counts.bodies = 901;
    assert_false(scrub_note_start(&scene.scrubs, on_done)); /* not again so soon */
    assert_int_equal(written, 1);
    scrub_free(&scene.scrubs.scrub);

    uint32_t now[] = {0, 3, 7, 8};
    struct scrubs again = {.service = &scene.service, .groups = now, .group_count = GROUPS};
    assert_true(scrub_note_read(&scene.service, &note));
    assert_int_equal(note.ended_ms, 0);
    scrub_note_resume(&again, &note);
    assert_int_equal(again.group_at, 2);
    assert_int_equal(again.from, 41);
    assert_int_equal(again.begun_wall_ms, 1700000000000);
    assert_int_equal(again.counts.bodies, 900);
    assert_int_equal(again.counts.damaged, 3);
    assert_int_equal(again.counts.repaired, 2);
    assert_int_equal(again.counts.lost, 1);

    /* The group has left this node: the next one begins with its first body. */
    uint32_t fewer[] = {0, 3, 8};
    struct scrubs other = {.service = &scene.service, .groups = fewer, .group_count = 3};
    scrub_note_resume(&other, &note);
    assert_int_equal(other.group_at, 2);
    assert_int_equal(other.from, 0);
    scene_fini(&scene);
}

static void a_stop_notes_all_of_it(void **state)
{
    struct scene scene;
    Pr__ScrubNote note;
    (void)state;

    scene_init(&scene);
    scene.scrubs.noted_ms = clock_monotonic_ms();
    scene.scrubs.group_at = 1;
    scene.scrubs.from = 5; /* resumed itself, and not gone on yet */
    scrub_note_save(&scene.scrubs);
    assert_true(scrub_note_read(&scene.service, &note));
    assert_int_equal(note.group, 3);
    assert_int_equal(note.blob, 5);
    scene.scrubs.group_at = GROUPS;
    scene.scrubs.ended_wall_ms = 77;
    scrub_note_save(&scene.scrubs);
    assert_true(scrub_note_read(&scene.service, &note));
    assert_int_equal(note.ended_ms, 77);
    scrub_note_resume(&scene.scrubs, &note);
    assert_int_equal(scene.scrubs.group_at, GROUPS);
    scene_fini(&scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pass_goes_on_where_it_was),
        cmocka_unit_test(a_stop_notes_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
