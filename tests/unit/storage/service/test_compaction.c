/* SPDX-License-Identifier: GPL-2.0-or-later */
/* `storage compact`: a mark, a stop, and databases that are written anew before they are
 * opened; once. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "storage/db/compact.h"
#include "storage/service/compaction.h"
#include "storage/service/operator.h"
#include "tests/unit/storage/service/service_world.h"

enum { LANES = 2 };

static struct place {
    struct lab lab;
    struct config config;
    char folder[64];
    char done[8][64]; /* what was written anew, in this order */
    unsigned count;
    bool marked; /* while it was */
    enum err err;
    unsigned answers;
    enum err answer;
} * place;

static volatile sig_atomic_t stopped;
static jmp_buf process_ended;

_Noreturn void replication_disk_failed(const char *what, enum err err)
{
    (void)what;
    assert_int_equal(err, ERR_UNKNOWN);
    longjmp(process_ended, 1);
}

static void on_stop(int number)
{
    (void)number;
    stopped = 1;
}

enum err db_compact(const char *folder, uint64_t *before_bytes, uint64_t *after_bytes)
{
    char mark[128];

    snprintf(mark, sizeof(mark), "%s/compact", place->folder);
    place->marked = place->marked || access(mark, F_OK) == 0;
    assert_true(strncmp(folder, place->folder, strlen(place->folder)) == 0);
    snprintf(place->done[place->count++], sizeof(place->done[0]), "%s",
             folder + strlen(place->folder) + 1);
    *before_bytes = 2;
    *after_bytes = 1;
    return place->err;
}

static void answered(struct service_call *call, enum err err)
{
    place->answers++;
    place->answer = err;
    free(call);
}

void call_reply(struct service_call *call, Pr__Reply *reply)
{
    assert_true(reply->text[0] != '\0');
    answered(call, (enum err)reply->err);
}

void call_fail(struct service_call *call, enum err err, const char *text)
{
    assert_non_null(text);
    answered(call, err);
}

static const char *path_of(const char *name)
{
    static char path[160];

    snprintf(path, sizeof(path), "%s/%s", place->folder, name);
    return path;
}

static void database_make(const char *name)
{
    char file[64];

    assert_int_equal(mkdir(path_of(name), 0700), 0);
    snprintf(file, sizeof(file), "%s/data.mdb", name);
    FILE *data = fopen(path_of(file), "w");
    assert_non_null(data);
    fputs("pages", data);
    fclose(data);
}

static int begin(void **state)
{
    (void)state;
    place = calloc(1, sizeof(*place));
    assert_non_null(place);
    lab_open(&place->lab);
    world_begin(&place->lab);
    strcpy(place->folder, "/tmp/postraft-compaction-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    place->config.folder = place->folder;
    world.service.config = &place->config;
    database_make("log");
    database_make("state-0");
    database_make("state-1");
    stopped = 0;
    signal(SIGTERM, on_stop);
    return 0;
}

static int end(void **state)
{
    char command[128];

    (void)state;
    signal(SIGTERM, SIG_DFL);
    world_end();
    lab_close(&place->lab);
    snprintf(command, sizeof(command), "rm -r '%s'", place->folder);
    assert_int_equal(system(command), 0);
    free(place);
    return 0;
}

static void ask(void)
{
    struct service_call *call = calloc(1, sizeof(*call));

    assert_non_null(call);
    call->service = &world.service;
    storage_compact_call(call);
}

/* The answer first, then the stop; the next life does it, the one after that does not. */
static void the_next_life_writes_them_anew(void **state)
{
    (void)state;
    ask();
    assert_int_equal(place->answers, 1);
    assert_int_equal(place->answer, ERR_OK);
    assert_int_equal(stopped, 0);
    world_run(world.now_ms + 1000);
    assert_int_equal(stopped, 1);
    assert_int_equal(place->count, 0);
    compaction_run(&place->config);
    assert_int_equal(place->count, 1 + LANES);
    assert_string_equal(place->done[0], "log");
    assert_string_equal(place->done[1], "state-0");
    assert_string_equal(place->done[2], "state-1");
    assert_false(place->marked); /* who dies over it starts without */
    compaction_run(&place->config);
    assert_int_equal(place->count, 1 + LANES);
}

static void nobody_asked(void **state)
{
    (void)state;
    compaction_run(&place->config);
    assert_int_equal(place->count, 0);
}

/* One that cannot be written anew keeps none of the others from it, nor the node from starting.
 */
static void what_fails_is_left(void **state)
{
    (void)state;
    place->err = ERR_IO;
    ask();
    world_run(world.now_ms + 1000);
    compaction_run(&place->config);
    assert_int_equal(place->count, 1 + LANES);
}

/* After that nothing may be promised on what is written to it. */
static void what_may_come_back_ends_the_process(void **state)
{
    (void)state;
    place->err = ERR_UNKNOWN;
    ask();
    world_run(world.now_ms + 1000);
    if (setjmp(process_ended) == 0) {
        compaction_run(&place->config);
        fail_msg("it goes on");
    }
    assert_int_equal(place->count, 1);
}

static void folder_cannot_be_written(void **state)
{
    struct config nowhere = {.folder = "/nonexistent/postraft"};

    (void)state;
    world.service.config = &nowhere;
    ask();
    assert_int_equal(place->answer, ERR_IO);
    world_run(world.now_ms + 1000);
    assert_int_equal(stopped, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_next_life_writes_them_anew),
        TEST(nobody_asked),
        TEST(what_fails_is_left),
        TEST(what_may_come_back_ends_the_process),
        TEST(folder_cannot_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
