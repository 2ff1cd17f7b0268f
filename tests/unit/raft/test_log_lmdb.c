/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/base/check.h"
#include "raft/frame.h"
#include "raft/log_lmdb.h"

struct fixture {
    char folder[100];
    struct log_lmdb *log;
    struct entry_log *interface;
    pthread_mutex_t lock;
    pthread_cond_t done;
    unsigned written;
    enum err err;
};

static void on_written(void *context, enum err err)
{
    struct fixture *fixture = context;
    pthread_mutex_lock(&fixture->lock);
    fixture->written++;
    fixture->err = err;
    pthread_cond_signal(&fixture->done);
    pthread_mutex_unlock(&fixture->lock);
}

static void log_open(struct fixture *fixture, uint64_t map_bytes)
{
    struct log_lmdb_config config = {.folder = fixture->folder,
                                     .map_bytes = map_bytes,
                                     .written = on_written,
                                     .context = fixture};
    enum err err = log_lmdb_open(&config, &fixture->log);
    CHECK(err == ERR_OK);
    fixture->interface = log_lmdb_interface(fixture->log);
}

static void log_reopen(struct fixture *fixture)
{
    log_lmdb_close(&fixture->log);
    log_open(fixture, 64 << 20);
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    CHECK(fixture != NULL);
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/test_log_lmdb.XXXXXX");
    CHECK(mkdtemp(fixture->folder) != NULL);
    pthread_mutex_init(&fixture->lock, NULL);
    pthread_cond_init(&fixture->done, NULL);
    log_open(fixture, 64 << 20);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[200];
    log_lmdb_close(&fixture->log);
    snprintf(command, sizeof(command), "rm -r '%s'", fixture->folder);
    CHECK(system(command) == 0);
    pthread_mutex_destroy(&fixture->lock);
    pthread_cond_destroy(&fixture->done);
    free(fixture);
    return 0;
}

static enum err writes_wait(struct fixture *fixture, const struct log_write *writes,
                            unsigned count)
{
    pthread_mutex_lock(&fixture->lock);
    unsigned before = fixture->written;
    pthread_mutex_unlock(&fixture->lock);
    fixture->interface->ops->write(fixture->interface, writes, count);
    pthread_mutex_lock(&fixture->lock);
    while (fixture->written == before)
        pthread_cond_wait(&fixture->done, &fixture->lock);
    enum err err = fixture->err;
    pthread_mutex_unlock(&fixture->lock);
    return err;
}

/* Entry `index` of term `term`: its length and bytes follow from both. */
static size_t pattern(uint64_t index, uint64_t term, uint8_t *data)
{
    size_t len = 1 + (size_t)(index * 7919 + term * 104729) % 9000;
    memset(data, (int)(index * 31 + term), len);
    return len;
}

static void append(struct fixture *fixture, uint32_t group, uint64_t from, uint64_t to,
                   uint64_t term)
{
    unsigned count = (unsigned)(to + 1 - from);
    struct entry *entries = calloc(count, sizeof(*entries));
    uint8_t *memory = malloc((size_t)count * 9001);
    CHECK(entries != NULL && memory != NULL);
    for (unsigned i = 0; i < count; i++) {
        uint8_t *data = memory + (size_t)i * 9001;
        entries[i] = (struct entry){.term = term, .type = ENTRY_COMMAND};
        entries[i].data = bytes_from(data, pattern(from + i, term, data));
    }
    struct log_write write = {.group = group,
                              .create = true,
                              .set_term = true,
                              .term = term,
                              .vote = 3,
                              .from = from,
                              .entries = entries,
                              .count = count};
    assert_int_equal(writes_wait(fixture, &write, 1), ERR_OK);
    free(entries);
    free(memory);
}

static void expect(struct fixture *fixture, uint32_t group, uint64_t from, uint64_t to,
                   uint64_t term)
{
    uint8_t data[9001];
    for (uint64_t i = from; i <= to; i++) {
        struct entry entry;
        assert_int_equal(
            fixture->interface->ops->read(fixture->interface, group, i, 1, 1, &entry), 1);
        assert_int_equal(entry.term, term);
        assert_true(bytes_equal(entry.data, bytes_from(data, pattern(i, term, data))));
        frame_unref(entry.owner);
    }
}

static struct log_state state_of(struct fixture *fixture, uint32_t group)
{
    struct log_state states[8];
    unsigned count = fixture->interface->ops->groups(fixture->interface, states, 8);
    for (unsigned i = 0; i < count; i++)
        if (states[i].group == group)
            return states[i];
    fail_msg("no group %u", group);
    return states[0];
}

static void test_write_reopen_read(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, 5, 1, 300, 2);
    append(fixture, 6, 1, 10, 4);
    for (unsigned round = 0; round < 2; round++) {
        struct log_state got = state_of(fixture, 5);
        assert_int_equal(got.term, 2);
        assert_int_equal(got.vote, 3);
        assert_int_equal(got.first_index, 1);
        assert_int_equal(got.last_index, 300);
        assert_int_equal(state_of(fixture, 6).last_index, 10);
        expect(fixture, 5, 1, 300, 2);
        expect(fixture, 6, 1, 10, 4);
        log_reopen(fixture);
    }
}

static void test_read_limits(void **state)
{
    struct fixture *fixture = *state;
    struct entry entries[300];
    append(fixture, 1, 1, 300, 1);
    unsigned count =
        fixture->interface->ops->read(fixture->interface, 1, 10, 300, 20000, entries);
    size_t bytes = 0;
    for (unsigned i = 0; i < count; i++) {
        bytes += entries[i].data.len;
        frame_unref(entries[i].owner);
    }
    assert_true(count >= 1 && bytes >= 20000 && bytes < 20000 + 9000);
    assert_int_equal(fixture->interface->ops->read(fixture->interface, 1, 301, 1, 1, entries),
                     0);
    assert_int_equal(fixture->interface->ops->read(fixture->interface, 2, 1, 1, 1, entries), 0);
    assert_int_equal(fixture->interface->ops->scan(fixture->interface, 1, 1, 300, entries),
                     300);
    assert_int_equal(entries[299].term, 1);
    assert_null(entries[299].owner);
}

/* Cuts in the middle of a record, above it, and again below: the newest word counts. */
static void test_truncate(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, 1, 1, 100, 1);
    append(fixture, 1, 101, 200, 1);
    append(fixture, 1, 50, 60, 2);
    append(fixture, 1, 55, 70, 3);
    append(fixture, 1, 40, 45, 4);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(state_of(fixture, 1).last_index, 45);
        expect(fixture, 1, 1, 39, 1);
        expect(fixture, 1, 40, 45, 4);
        log_reopen(fixture);
    }
    append(fixture, 1, 46, 150, 4);
    log_reopen(fixture);
    expect(fixture, 1, 40, 150, 4);
}

static void test_trim(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t i = 0; i < 20; i++)
        append(fixture, 1, i * 100 + 1, i * 100 + 100, 1);
    uint64_t before = fixture->interface->ops->bytes(fixture->interface, 1);
    struct log_write write = {.group = 1,
                              .trim_before = 1051,
                              .base_term = 1,
                              .base_members = BYTES("the members"),
                              .base_members_index = 17};
    assert_int_equal(writes_wait(fixture, &write, 1), ERR_OK);
    assert_true(fixture->interface->ops->bytes(fixture->interface, 1) <
                before / 2 + before / 20);
    for (unsigned round = 0; round < 2; round++) {
        struct log_state got = state_of(fixture, 1);
        struct entry entry;
        assert_int_equal(got.first_index, 1051);
        assert_int_equal(got.last_index, 2000);
        assert_int_equal(got.base_term, 1);
        assert_int_equal(got.base_members_index, 17);
        assert_true(bytes_equal(got.base_members, BYTES("the members")));
        expect(fixture, 1, 1051, 2000, 1);
        assert_int_equal(
            fixture->interface->ops->read(fixture->interface, 1, 1050, 1, 1, &entry), 0);
        log_reopen(fixture);
    }
    append(fixture, 1, 1900, 1950, 2);
    log_reopen(fixture);
    expect(fixture, 1, 1051, 1899, 1);
    expect(fixture, 1, 1900, 1950, 2);
}

/* A log that begins anew behind an entry that it never had; and what other groups have stays.
 */
static void test_reset(void **state)
{
    struct fixture *fixture = *state;
    append(fixture, 1, 1, 300, 1);
    append(fixture, 2, 1, 50, 1);
    struct log_write write = {.group = 1,
                              .reset = true,
                              .set_term = true,
                              .term = 7,
                              .vote = 2,
                              .trim_before = 5001,
                              .base_term = 6,
                              .base_members = BYTES("the members"),
                              .base_members_index = 4000};
    assert_int_equal(writes_wait(fixture, &write, 1), ERR_OK);
    assert_int_equal(fixture->interface->ops->bytes(fixture->interface, 1), 0);
    for (unsigned round = 0; round < 2; round++) {
        struct log_state got = state_of(fixture, 1);
        struct entry entry;
        assert_int_equal(got.first_index, 5001);
        assert_int_equal(got.last_index, 5000);
        assert_int_equal(got.base_term, 6);
        assert_int_equal(got.base_members_index, 4000);
        assert_int_equal(got.term, 7);
        assert_int_equal(got.vote, 2);
        assert_int_equal(
            fixture->interface->ops->read(fixture->interface, 1, 300, 1, 1, &entry), 0);
        log_reopen(fixture);
    }
    for (unsigned round = 0; round < 2; round++) {
        append(fixture, 1, 5001 + round * 100, 5100 + round * 100, 7);
        log_reopen(fixture);
        expect(fixture, 1, 5001, 5100 + round * 100, 7);
        expect(fixture, 2, 1, 50, 1);
    }
}

static void test_drop(void **state)
{
    struct fixture *fixture = *state;
    struct log_write write = {
        .group = 1, .drop = true, .promised_term = 1, .promised_index = 300};
    struct log_state states[3];
    append(fixture, 1, 1, 300, 1);
    append(fixture, 2, 1, 50, 1);
    assert_int_equal(writes_wait(fixture, &write, 1), ERR_OK);
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(fixture->interface->ops->groups(fixture->interface, states, 3), 2);
        assert_true(states[0].dropped);
        assert_int_equal(states[0].term, 1);
        assert_int_equal(states[0].vote, 3);
        assert_int_equal(states[0].promised_term, 1);
        assert_int_equal(states[0].promised_index, 300);
        assert_int_equal(states[0].last_index, 0);
        assert_int_equal(fixture->interface->ops->bytes(fixture->interface, 1), 0);
        expect(fixture, 2, 1, 50, 1);
        log_reopen(fixture);
    }
    append(fixture, 1, 1, 20, 9);
    log_reopen(fixture);
    expect(fixture, 1, 1, 20, 9);
    assert_int_equal(state_of(fixture, 1).last_index, 20);
    assert_false(state_of(fixture, 1).dropped);
    assert_int_equal(state_of(fixture, 1).promised_index, 300);
}

/* Over and over in an environment that holds a fraction of what passes through it. */
static void test_space_is_used_again(void **state)
{
    struct fixture *fixture = *state;
    for (uint64_t i = 0; i < 300; i++) {
        append(fixture, 1, i * 100 + 1, i * 100 + 100, 1);
        if (i < 10)
            continue;
        struct log_write write = {.group = 1,
                                  .trim_before = (i - 9) * 100 + 1,
                                  .base_term = 1,
                                  .base_members = BYTES("m"),
                                  .base_members_index = 1};
        assert_int_equal(writes_wait(fixture, &write, 1), ERR_OK);
    }
    expect(fixture, 1, 29101, 30000, 1);
}

static void test_full_is_reported(void **state)
{
    struct fixture *fixture = *state;
    log_lmdb_close(&fixture->log);
    log_open(fixture, 1 << 20);
    static uint8_t data[4 << 20];
    struct entry entry = {.term = 1, .type = ENTRY_COMMAND, .data = {data, sizeof(data)}};
    struct log_write write = {
        .group = 1, .create = true, .from = 1, .entries = &entry, .count = 1};
    assert_int_equal(writes_wait(fixture, &write, 1), ERR_FULL);
    /* And nothing is ever written after it. */
    entry.data.len = 10;
    assert_int_equal(writes_wait(fixture, &write, 1), ERR_IO);
    log_reopen(fixture);
    struct log_state states[1];
    assert_int_equal(fixture->interface->ops->groups(fixture->interface, states, 1), 0);
}

/* A child appends, says what is durable, and is killed: that much must be there. */
static void child_run(struct fixture *fixture, int pipe_fd, uint64_t last)
{
    log_open(fixture, 64 << 20);
    for (;; last += 7) {
        append(fixture, 9, last + 1, last + 7, 1);
        uint64_t durable = last + 7;
        if (write(pipe_fd, &durable, sizeof(durable)) != sizeof(durable))
            _exit(1);
    }
}

static void test_killed_while_writing(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = 0;
    for (unsigned round = 0; round < 8; round++) {
        int fds[2];
        uint64_t durable = last;
        log_lmdb_close(&fixture->log);
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            close(fds[0]);
            child_run(fixture, fds[1], last);
        }
        close(fds[1]);
        for (unsigned i = 0; i < 5 + round * 3; i++)
            assert_int_equal(read(fds[0], &durable, sizeof(durable)), sizeof(durable));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        while (read(fds[0], &durable, sizeof(durable)) == sizeof(durable))
            ;
        close(fds[0]);
        log_open(fixture, 64 << 20);
        assert_true(state_of(fixture, 9).last_index >= durable);
        last = state_of(fixture, 9).last_index;
        assert_int_equal(last % 7, 0);
        expect(fixture, 9, 1, last, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_write_reopen_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_truncate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trim, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_space_is_used_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_full_is_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_while_writing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
