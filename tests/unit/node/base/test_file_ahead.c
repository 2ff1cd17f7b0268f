/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/file_ahead.h"

static uint64_t size_of(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    return (uint64_t)status.st_size;
}

static void test_blocks_are_written_ahead_and_what_is_used_stays(void **state)
{
    (void)state;
    char path[] = "/tmp/test_file_ahead.XXXXXX";
    char byte = 0;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    unlink(path);
    for (uint64_t used = 5000; used < 3 * (uint64_t)FILE_AHEAD_STEP; used += 1500000) {
        assert_int_equal(pwrite(fd, "x", 1, (off_t)used - 1), 1);
        uint64_t before = size_of(fd);
        file_ahead(fd, used);
        uint64_t after = size_of(fd);
        assert_true(after >= used + FILE_AHEAD_LEAST);
        assert_true(after < used + FILE_AHEAD_STEP + 65536 || after == before);
        assert_int_equal(pread(fd, &byte, 1, (off_t)used - 1), 1);
        assert_int_equal(byte, 'x');
        assert_int_equal(pread(fd, &byte, 1, (off_t)after - 1), 1);
        assert_int_equal(byte, 0);
    }
    close(fd);
    file_ahead(fd, 1); /* an error is nobody's business here */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_written_ahead_and_what_is_used_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
