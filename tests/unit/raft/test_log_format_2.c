/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A log that a release of format 2 wrote (fixtures/format_2/log, fixtures/make_log.c) is read,
 * and goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "raft/log_lmdb.h"
#include "tests/unit/fixture.h"
#include "tests/unit/raft/log_expect.h"

static void ignore_written(void *context, enum err err)
{
    (void)context;
    assert_int_equal(err, ERR_OK);
}

static void old_log_is_read(void **state)
{
    char folder[] = "/tmp/test_log_format_2.XXXXXX";
    char command[100];
    struct log_lmdb *log;
    struct log_lmdb_config config = {
        .folder = folder, .map_bytes = 64 << 20, .written = ignore_written};

    (void)state;
    assert_non_null(mkdtemp(folder));
    fixture_write("format_2/log", folder, "data.mdb");
    assert_int_equal(log_lmdb_open(&config, &log), ERR_OK);
    log_expect_groups(log_lmdb_interface(log));
    /* Closing waits for what is written, so the second opening sees it. */
    uint8_t data[LOG_FIXTURE_DATA_MAX];
    struct entry entry = log_fixture_entry(61, 5, data);
    struct log_write write = {.group = 2, .from = 61, .entries = &entry, .count = 1};
    log_lmdb_interface(log)->ops->write(log_lmdb_interface(log), &write, 1);
    log_lmdb_close(&log);
    assert_int_equal(log_lmdb_open(&config, &log), ERR_OK);
    log_expect_entries(log_lmdb_interface(log), 2, 30, 61, 5);
    log_lmdb_close(&log);
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_log_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
