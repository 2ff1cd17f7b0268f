/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "storage/db/compact.h"
#include "storage/db/db.h"

/* What LMDB and we ask of the system: the disk fails when the test says so. */
static int failure;
static int folder_failure;

int fdatasync(int fd)
{
    errno = failure;
    return failure != 0 ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    errno = S_ISDIR(status.st_mode) ? folder_failure : failure;
    return errno != 0 ? -1 : (int)syscall(SYS_fsync, fd);
}

/*
 * What was in the page cache when a sync fails is lost, and the next one may say that all is
 * well: whatever the reason, the disk is not asked again.
 */
static void test_a_sync_that_fails_is_the_end(void **state)
{
    static const int reasons[] = {EIO, ENOSPC, EDQUOT};
    static const char *const files[] = {"data.mdb", "lock.mdb"};
    char folder[] = "/tmp/postraft-sync-XXXXXX";
    char path[64];
    uint64_t before;
    uint64_t after;
    struct db *db;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(db_open(folder, 1 << 20, &db), ERR_OK);
    assert_int_equal(db_sync(db), ERR_OK);
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        failure = reasons[i];
        assert_int_equal(db_sync(db), ERR_IO);
    }
    failure = 0;
    db_close(&db);
    assert_int_equal(db_compact(folder, &before, &after), ERR_OK);
    failure = EIO; /* the copy: what was there is as good as ever */
    assert_int_equal(db_compact(folder, &before, &after), ERR_IO);
    failure = 0;
    folder_failure = EIO; /* which of the two the name stands for is not known */
    assert_int_equal(db_compact(folder, &before, &after), ERR_UNKNOWN);
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_sync_that_fails_is_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
