/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which of the two logs a node opens, and how one becomes the other. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "raft/frame.h"
#include "storage/schema/format.h"
#include "storage/service/node_log.h"
#include "tests/unit/raft/log_model.h"

enum { GROUP = 5 };

struct place {
    char folder[64];
    struct log_waiter waiter;
    struct node_log log;
};

static bool has(const struct place *place, const char *name)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/%s", place->folder, name);
    return access(path, F_OK) == 0;
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    snprintf(place->folder, sizeof(place->folder), "/tmp/test-node-log-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    pthread_mutex_init(&place->waiter.lock, NULL);
    pthread_cond_init(&place->waiter.done, NULL);
    *state = place;
    return 0;
}

static int teardown(void **state)
{
    struct place *place = *state;

    node_log_close(&place->log);
    pthread_cond_destroy(&place->waiter.done);
    pthread_mutex_destroy(&place->waiter.lock);
    static const char *const folders[] = {"/journal", "/log", ""};
    for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", place->folder, folders[i]);
        if (access(path, F_OK) == 0)
            folder_remove(path);
    }
    free(place);
    return 0;
}

static enum err opened(struct place *place, unsigned format)
{
    struct node_log_config config = {.folder = place->folder,
                                     .map_bytes = 64 << 20,
                                     .format = format,
                                     .written = log_waiter_written,
                                     .context = &place->waiter};

    node_log_close(&place->log);
    return node_log_open(&config, &place->log);
}

static void write_entry(struct place *place, uint64_t index)
{
    struct entry entry = {.term = 1, .type = ENTRY_COMMAND, .data = BYTES("entry")};
    struct log_write write = {.group = GROUP,
                              .create = index == 1,
                              .set_term = true,
                              .term = 1,
                              .vote = 2,
                              .from = index,
                              .entries = &entry,
                              .count = 1};

    assert_int_equal(
        log_waiter_write(&place->waiter, node_log_interface(&place->log), &write, 1), ERR_OK);
}

static void expect_entries(const struct place *place, uint64_t last)
{
    struct entry_log *log = node_log_interface(&place->log);
    struct log_state state;
    struct entry entry;

    assert_int_equal(log->ops->groups(log, &state, 1), 1);
    assert_int_equal(state.group, GROUP);
    assert_int_equal(state.vote, 2);
    assert_int_equal(state.last_index, last);
    assert_int_equal(log->ops->read(log, GROUP, last, 1, 1, &entry), 1);
    assert_true(bytes_equal(entry.data, BYTES("entry")));
    frame_unref(entry.owner);
}

static void a_new_node_has_the_log_of_its_cluster(void **state)
{
    struct place *place = *state;

    assert_int_equal(opened(place, FORMAT_SCOPES), ERR_OK);
    assert_true(has(place, "journal"));
    assert_false(has(place, "log"));
    write_entry(place, 1);
    assert_int_equal(opened(place, FORMAT_SCOPES), ERR_OK);
    expect_entries(place, 1);
}

static void the_log_becomes_a_journal_after_the_upgrade(void **state)
{
    struct place *place = *state;

    assert_int_equal(opened(place, FORMAT_DEPTH), ERR_OK);
    assert_true(has(place, "log"));
    write_entry(place, 1);
    write_entry(place, 2);
    assert_int_equal(opened(place, FORMAT_DEPTH), ERR_OK);
    assert_false(has(place, "journal"));
    assert_int_equal(opened(place, FORMAT_SCOPES), ERR_OK);
    assert_true(has(place, "journal"));
    assert_false(has(place, "log"));
    expect_entries(place, 2);
    write_entry(place, 3);
    assert_int_equal(opened(place, FORMAT_SCOPES), ERR_OK);
    expect_entries(place, 3);
}

/* A node must come up, whatever its disk has room for. */
static void without_room_the_log_stays(void **state)
{
    struct place *place = *state;
    struct rlimit before;
    struct rlimit small;

    assert_int_equal(opened(place, FORMAT_DEPTH), ERR_OK);
    write_entry(place, 1);
    node_log_close(&place->log);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){1 << 20, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum err err = opened(place, FORMAT_SCOPES);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, ERR_OK);
    assert_true(has(place, "log"));
    assert_false(has(place, "journal"));
    assert_false(has(place, "journal.tmp"));
    expect_entries(place, 1);
    write_entry(place, 2);
    assert_int_equal(opened(place, FORMAT_SCOPES), ERR_OK);
    assert_true(has(place, "journal"));
    expect_entries(place, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_node_has_the_log_of_its_cluster, setup, teardown),
        cmocka_unit_test_setup_teardown(the_log_becomes_a_journal_after_the_upgrade, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_room_the_log_stays, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
