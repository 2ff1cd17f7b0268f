/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A journal that a release of format 3 wrote (fixtures/format_3/log_N, fixtures/make_log.c) is
 * read, and goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "raft/journal.h"
#include "tests/unit/fixture.h"
#include "tests/unit/raft/log_expect.h"

enum { SEGMENTS = 3, SEGMENT_BYTES = 1 << 20 };

static void ignore_written(void *context, enum err err)
{
    (void)context;
    assert_int_equal(err, ERR_OK);
}

static void old_journal_is_read(void **state)
{
    char folder[] = "/tmp/test_log_format_3.XXXXXX";
    char command[100];
    struct journal *journal;
    struct journal_config config = {
        .folder = folder, .segment_bytes = SEGMENT_BYTES, .written = ignore_written};

    (void)state;
    assert_non_null(mkdtemp(folder));
    for (unsigned number = 1; number <= SEGMENTS; number++) {
        char name[40];
        char as[40];
        snprintf(name, sizeof(name), "format_3/log_%u", number);
        snprintf(as, sizeof(as), "%016x.log", number);
        fixture_write(name, folder, as);
    }
    assert_int_equal(journal_open(&config, &journal), ERR_OK);
    log_expect_groups(journal_interface(journal));
    /* Closing waits for what is written, so the second opening sees it. */
    uint8_t data[LOG_FIXTURE_DATA_MAX];
    struct entry entry = log_fixture_entry(61, 5, data);
    struct log_write write = {.group = 2, .from = 61, .entries = &entry, .count = 1};
    journal_interface(journal)->ops->write(journal_interface(journal), &write, 1);
    journal_close(&journal);
    assert_int_equal(journal_open(&config, &journal), ERR_OK);
    log_expect_entries(journal_interface(journal), 2, 30, 61, 5);
    log_expect_entries(journal_interface(journal), 3, 400, 700, 3);
    journal_close(&journal);
    snprintf(command, sizeof(command), "rm -r '%s'", folder);
    assert_int_equal(system(command), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_journal_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
