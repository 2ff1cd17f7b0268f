/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A process that dies where one segment follows the other. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/check.h"
#include "raft/journal.h"
#include "raft/journal_format.h"

enum { SEGMENT = 64 * 1024, WRITES = 100, DATA = 4000, AHEAD_MS = 300, DIED = 7 };

static sem_t written;
static enum err written_err;

static void on_written(void *context, enum err err)
{
    (void)context;
    written_err = err;
    sem_post(&written);
}

/* The process dies before so many first batches of a segment; 0: it lives. */
static atomic_int dies_at;

/* Files that were used again, and whether such a one's new name is not on disk yet. */
static atomic_int reused;
static atomic_bool renamed;

/* What the next fsync() says; of a segment that is being made, since batches need none. */
static atomic_int failure;

/* A folder that is to be flushed; 0: it was. */
static _Atomic ino_t awaited;

int renameat(int from, const char *old, int to, const char *new)
{
    if (strcmp(new, "ahead.tmp") == 0) {
        atomic_store(&renamed, true);
        atomic_fetch_add(&reused, 1);
    }
    return (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

int fsync(int fd)
{
    struct stat status;

    CHECK(fstat(fd, &status) == 0);
    if (S_ISDIR(status.st_mode))
        atomic_store(&renamed, false);
    if (status.st_ino == atomic_load(&awaited))
        atomic_store(&awaited, 0);
    errno = atomic_exchange(&failure, 0);
    if (errno != 0)
        return -1;
    return (int)syscall(SYS_fsync, fd);
}

/* The process dies in the flush of a batch; of those that are not its last one, how many bytes
 * behind heads of files were written and not flushed. */
static atomic_bool dies_in_flush;
static atomic_size_t unflushed;
static atomic_size_t batch_bytes;

int fdatasync(int fd)
{
    if (atomic_load(&dies_in_flush))
        _exit(DIED);
    atomic_store(&unflushed, 0);
    return (int)syscall(SYS_fdatasync, fd);
}

/* Nobody pauses here. */
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock,
                           const struct timespec *until)
{
    (void)condition;
    (void)until;
    pthread_mutex_unlock(lock);
    pthread_mutex_lock(lock);
    return ETIMEDOUT;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    if (at == 0)
        CHECK(!atomic_load(&renamed));
    if (at == JOURNAL_SEGMENT_HEAD_SIZE && atomic_load(&dies_at) > 0 &&
        atomic_fetch_sub(&dies_at, 1) == 1) {
        usleep(AHEAD_MS * 1000); /* what the other threads have to do they do */
        _exit(DIED);
    }
    if (at > JOURNAL_SEGMENT_HEAD_SIZE)
        atomic_fetch_add(&unflushed, len);
    atomic_fetch_add(&batch_bytes, at >= JOURNAL_SEGMENT_HEAD_SIZE ? len : 0);
    return (ssize_t)syscall(SYS_pwrite64, fd, bytes, len, at);
}

static enum err open_it(const char *folder, struct journal **journal)
{
    const struct journal_config config = {
        .folder = folder, .segment_bytes = SEGMENT, .written = on_written};

    return journal_open(&config, journal);
}

static enum err write_try(struct journal *journal, const struct log_write *write)
{
    journal_interface(journal)->ops->write(journal_interface(journal), write, 1);
    CHECK(sem_wait(&written) == 0);
    return written_err;
}

static void write_one(struct journal *journal, const struct log_write *write)
{
    CHECK(write_try(journal, write) == ERR_OK);
}

/* Entries until the process dies; those below the newest ten may go, so that files are used
 * again. */
static void write_on(const char *folder, int dies)
{
    static uint8_t data[DATA];
    static uint8_t members[8];
    struct entry entry = {.term = 1, .type = ENTRY_COMMAND, .data = {data, sizeof(data)}};
    struct log_write create = {.group = 3, .create = true, .set_term = true, .term = 1};
    struct journal *journal;

    CHECK(open_it(folder, &journal) == ERR_OK);
    write_one(journal, &create);
    atomic_store(&dies_at, dies);
    for (uint64_t at = 1; at <= WRITES; at++) {
        struct log_write write = {.group = 3, .from = at, .entries = &entry, .count = 1};
        if (at > 10 && at % 4 == 0) {
            write.trim_before = at - 10;
            write.base_term = 1;
            write.base_members = bytes_from(members, sizeof(members));
            write.base_members_index = 1;
        }
        write_one(journal, &write);
    }
    journal_close(&journal);
}

static void test_there_is_one_successor(void **state)
{
    (void)state;
    assert_int_equal(sem_init(&written, 0, 0), 0);
    for (int dies = 1; dies <= 4; dies++) {
        char folder[] = "/tmp/test_journal_next.XXXXXX";
        struct journal *journal = NULL;
        int status = 0;

        assert_non_null(mkdtemp(folder));
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            write_on(folder, dies);
            _exit(0);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), DIED);
        assert_int_equal(open_it(folder, &journal), ERR_OK);
        struct log_state group;
        assert_int_equal(
            journal_interface(journal)->ops->groups(journal_interface(journal), &group, 1), 1);
        assert_true(group.last_index >= 10);
        journal_close(&journal);
        journal_files_remove(folder);
    }
}

/* Should only one of the two reach the disk, a head that is not the name's would be damage. */
static void test_a_file_has_its_new_name_before_its_new_head(void **state)
{
    char folder[] = "/tmp/test_journal_next.XXXXXX";

    (void)state;
    assert_non_null(mkdtemp(folder));
    atomic_store(&reused, 0);
    write_on(folder, 0);
    assert_true(atomic_load(&reused) > 0);
    journal_files_remove(folder);
}

/* Else a node that has promised something comes back without a log. */
static void test_the_name_of_a_new_folder_is_on_disk(void **state)
{
    char parent[] = "/tmp/test_journal_next.XXXXXX";
    char folder[64];
    struct stat status;
    struct journal *journal = NULL;

    (void)state;
    assert_non_null(mkdtemp(parent));
    snprintf(folder, sizeof(folder), "%s/journal", parent);
    assert_int_equal(stat(parent, &status), 0);
    atomic_store(&awaited, status.st_ino);
    assert_int_equal(open_it(folder, &journal), ERR_OK);
    assert_int_equal(atomic_load(&awaited), 0);
    journal_close(&journal);
    journal_files_remove(folder);
    assert_int_equal(rmdir(parent), 0);
}

/* What was to be flushed is lost, and a second flush may say that it is there. */
static void test_a_disk_that_failed_is_not_asked_for_another_file(void **state)
{
    static uint8_t data[DATA];
    char folder[] = "/tmp/test_journal_next.XXXXXX";
    struct entry entry = {.term = 1, .type = ENTRY_COMMAND, .data = {data, sizeof(data)}};
    struct log_write create = {.group = 3, .create = true, .set_term = true, .term = 1};
    struct journal *journal = NULL;
    bool failed = false;
    enum err err = ERR_OK;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(open_it(folder, &journal), ERR_OK);
    write_one(journal, &create);
    for (uint64_t at = 1; at <= WRITES && err == ERR_OK; at++) {
        struct log_write write = {.group = 3, .from = at, .entries = &entry, .count = 1};
        if (at == 1) {
            usleep(AHEAD_MS * 1000);     /* the next segment is there, */
            atomic_store(&failure, EIO); /* that behind it is to fail */
        } else if (!failed && atomic_load(&failure) == 0) {
            failed = true;
            usleep(AHEAD_MS * 1000); /* time to try again */
        }
        err = write_try(journal, &write);
    }
    assert_int_equal(err, ERR_IO);
    assert_int_equal(atomic_load(&failure), 0);
    journal_close(&journal);
    journal_files_remove(folder);
}

/* It lies in the page cache, as if it had been promised. */
static void test_what_a_killed_process_left_is_flushed(void **state)
{
    static uint8_t data[DATA];
    char folder[] = "/tmp/test_journal_next.XXXXXX";
    struct entry entry = {.term = 1, .type = ENTRY_COMMAND, .data = {data, sizeof(data)}};
    struct log_write create = {.group = 3, .create = true, .set_term = true, .term = 1};
    struct log_write write = {.group = 3, .from = 1, .entries = &entry, .count = 1};
    struct journal *journal = NULL;
    struct log_state group;
    int status = 0;

    (void)state;
    assert_non_null(mkdtemp(folder));
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        CHECK(open_it(folder, &journal) == ERR_OK);
        write_one(journal, &create);
        usleep(AHEAD_MS * 1000);
        atomic_store(&dies_in_flush, true);
        write_one(journal, &write);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), DIED);
    atomic_store(&batch_bytes, 0);
    assert_int_equal(open_it(folder, &journal), ERR_OK);
    assert_int_equal(
        journal_interface(journal)->ops->groups(journal_interface(journal), &group, 1), 1);
    assert_int_equal(group.last_index, 1);
    assert_true(atomic_load(&batch_bytes) > DATA);
    assert_int_equal(atomic_load(&unflushed), 0);
    journal_close(&journal);
    journal_files_remove(folder);
}

/* Entries first..last of the group; with `base` its log begins behind that entry. */
static void append(struct journal *journal, uint32_t group, uint64_t base, uint64_t first,
                   uint64_t last, bool trims)
{
    static uint8_t data[DATA];
    static uint8_t members[8];
    struct entry entry = {.term = 1, .type = ENTRY_COMMAND, .data = {data, sizeof(data)}};
    struct log_write begin = {.group = group, .create = true, .set_term = true, .term = 1};

    if (base > 0) {
        begin.reset = true;
        begin.trim_before = base + 1;
        begin.base_term = begin.base_members_index = 1;
        begin.base_members = bytes_from(members, sizeof(members));
    }
    if (first == base + 1)
        write_one(journal, &begin);
    for (uint64_t at = first; at <= last; at++) {
        struct log_write write = {.group = group, .from = at, .entries = &entry, .count = 1};
        if (trims && at > first + 1) {
            write.trim_before = at - 1;
            write.base_term = write.base_members_index = 1;
            write.base_members = bytes_from(members, sizeof(members));
        }
        write_one(journal, &write);
    }
}

/* Its entries lie in a segment that is kept, that they went lay in one that is gone. */
static void test_a_group_that_came_back_begins_anew(void **state)
{
    char folder[] = "/tmp/test_journal_next.XXXXXX";
    struct log_write drop = {.group = 4, .drop = true};
    struct log_write begin = {.group = 4, .create = true, .set_term = true, .term = 1};
    struct log_state groups[3];
    struct journal *journal = NULL;

    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(open_it(folder, &journal), ERR_OK);
    append(journal, 3, 0, 1, 1, false);
    append(journal, 4, 400, 401, 403, false);
    append(journal, 5, 0, 1, WRITES / 5, true); /* into the second segment, */
    write_one(journal, &drop);
    write_one(journal, &begin);
    append(journal, 5, 0, WRITES / 5 + 1, WRITES / 2, true); /* and beyond */
    journal_close(&journal);
    assert_int_equal(open_it(folder, &journal), ERR_OK);
    assert_int_equal(
        journal_interface(journal)->ops->groups(journal_interface(journal), groups, 3), 3);
    assert_int_equal(groups[1].first_index, 1);
    assert_int_equal(groups[1].last_index, 0);
    assert_int_equal(journal_interface(journal)->ops->bytes(journal_interface(journal), 4), 0);
    append(journal, 4, 1000, 1, 5, false); /* it goes on where it was */
    assert_int_equal(
        journal_interface(journal)->ops->groups(journal_interface(journal), groups, 3), 3);
    assert_int_equal(groups[1].last_index, 5);
    journal_close(&journal);
    journal_files_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_there_is_one_successor),
        cmocka_unit_test(test_the_name_of_a_new_folder_is_on_disk),
        cmocka_unit_test(test_a_disk_that_failed_is_not_asked_for_another_file),
        cmocka_unit_test(test_what_a_killed_process_left_is_flushed),
        cmocka_unit_test(test_a_group_that_came_back_begins_anew),
        cmocka_unit_test(test_a_file_has_its_new_name_before_its_new_head),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
