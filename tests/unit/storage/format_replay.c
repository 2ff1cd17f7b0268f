/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/storage/format_replay.h"

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include <stdio.h>

#include "storage/schema/format.h"
#include "tests/unit/fixture.h"
#include "tests/unit/storage/lab.h"

enum { DIGEST_SIZE = 32, GROUPS_MAX = 64, NAME_MAX_SIZE = 64 };

/* Where the reading of the record is. */
struct replay {
    const char *fixture;
    struct bytes rest;
    struct lab *lab;
    bool open;
    unsigned number;                          /* of the tables, from 1 */
    uint8_t digests[GROUPS_MAX][DIGEST_SIZE]; /* of these tables, */
    bool present[GROUPS_MAX];                 /* where there are any */
    void (*state)(struct replay *replay, const char *name);
    unsigned states;
};

static uint64_t number(struct replay *replay, unsigned size)
{
    uint64_t value = 0;

    assert_true(replay->rest.len >= size);
    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)replay->rest.at[i] << 8 * i;
    replay->rest = bytes_skip(replay->rest, size);
    return value;
}

static struct bytes take(struct replay *replay, size_t len)
{
    assert_true(replay->rest.len >= len);
    struct bytes taken = bytes_from(replay->rest.at, len);
    replay->rest = bytes_skip(replay->rest, len);
    return taken;
}

static void digest_make(struct lab *lab, uint32_t group, uint8_t digest[DIGEST_SIZE])
{
    struct db_txn *txn = db_read_begin(lab->db);

    machine_digest(txn, group, digest);
    assert_int_equal(db_commit(&txn), ERR_OK);
}

/* Commands of one transaction end here. */
static void settle(struct lab *lab)
{
    if (lab->txn != NULL)
        assert_int_equal(db_commit(&lab->txn), ERR_OK);
}

static void tables_end(struct replay *replay)
{
    if (replay->open)
        lab_close(replay->lab);
    replay->open = false;
}

static void tables_begin(struct replay *replay)
{
    tables_end(replay);
    lab_open(replay->lab);
    replay->open = true;
    replay->number++;
    memset(replay->present, 0, sizeof(replay->present));
}

static void entry_replay(struct replay *replay)
{
    uint32_t group = (uint32_t)number(replay, 4);
    uint64_t index = number(replay, 8);
    size_t len = (size_t)number(replay, 4);

    replay->lab->index = index - 1;
    if (replay->lab->txn == NULL)
        replay->lab->txn = db_write_begin(replay->lab->db);
    lab_apply_entry(replay->lab, group, take(replay, len));
}

static void replies_compare(struct replay *replay)
{
    settle(replay->lab);
    if (number(replay, 8) != replay->lab->replies)
        fail_msg("tables %u: other replies, up to index %llu", replay->number,
                 (unsigned long long)replay->lab->index);
}

static void digest_compare(struct replay *replay)
{
    uint32_t group = (uint32_t)number(replay, 4);
    struct bytes expected = take(replay, DIGEST_SIZE);
    uint8_t digest[DIGEST_SIZE];

    assert_true(group < GROUPS_MAX);
    settle(replay->lab);
    digest_make(replay->lab, group, digest);
    if (memcmp(digest, expected.at, DIGEST_SIZE) != 0)
        fail_msg("tables %u: other rows in group %u", replay->number, group);
    memcpy(replay->digests[group], digest, DIGEST_SIZE);
    replay->present[group] = true;
}

static void state_seen(struct replay *replay)
{
    struct bytes name = take(replay, (size_t)number(replay, 1));
    char path[NAME_MAX_SIZE];

    snprintf(path, sizeof(path), "%s/%.*s", replay->fixture, (int)name.len,
             (const char *)name.at);
    replay->states++;
    if (replay->state != NULL)
        replay->state(replay, path);
}

/* Applies all that was recorded, and compares on the way. */
static void replay_all(struct replay *replay)
{
    char path[NAME_MAX_SIZE];

    snprintf(path, sizeof(path), "%s/entries", replay->fixture);
    struct bytes all = fixture_read(path);
    replay->rest = all;
    while (replay->rest.len > 0) {
        char kind = (char)number(replay, 1);
        if (kind == 'L')
            tables_begin(replay);
        else if (kind == 'E')
            entry_replay(replay);
        else if (kind == 'R')
            replies_compare(replay);
        else if (kind == 'D')
            digest_compare(replay);
        else if (kind == 'S')
            state_seen(replay);
        else
            fail_msg("a record of kind %d", kind);
    }
    tables_end(replay);
    free((void *)(uintptr_t)all.at);
}

static void raise_to_newest(struct lab *lab, uint32_t group)
{
    Pr__FormatRaise call = PR__FORMAT_RAISE__INIT;

    call.format = FORMAT_NEWEST;
    assert_int_equal(lab_apply(lab, group, LAB_COMMAND(format_raise, FORMAT_RAISE, &call))->err,
                     ERR_OK);
}

/* Mail that comes in before and after the format is raised. */
static void go_on(struct lab *lab, uint32_t group)
{
    for (unsigned round = 0; round < 2; round++) {
        if (group != 0)
            for (uint64_t account = 1; account < 140; account++)
                lab_deliver(lab, group, account, BYTES("what comes later"));
        raise_to_newest(lab, group);
    }
    if (group != 0)
        lab_invariants(lab, group);
}

/* What the entries made here, and what the older release left on disk, go on alike. */
static void state_compare(struct replay *replay, const char *name)
{
    struct lab old;
    uint8_t one[DIGEST_SIZE];
    uint8_t two[DIGEST_SIZE];

    lab_open(&old);
    db_close(&old.db);
    fixture_write(name, old.folder, "data.mdb");
    assert_int_equal(db_open(old.folder, 1ULL << 30, &old.db), ERR_OK);
    old.index = replay->lab->index;
    old.now_ms = replay->lab->now_ms;
    for (uint32_t group = 0; group < GROUPS_MAX; group++) {
        if (!replay->present[group])
            continue;
        digest_make(&old, group, one);
        if (memcmp(one, replay->digests[group], DIGEST_SIZE) != 0)
            fail_msg("%s: other rows in group %u", name, group);
        uint64_t index = old.index;
        go_on(&old, group);
        replay->lab->index = index;
        go_on(replay->lab, group);
        digest_make(&old, group, one);
        digest_make(replay->lab, group, two);
        if (memcmp(one, two, DIGEST_SIZE) != 0)
            fail_msg("%s: group %u goes on differently", name, group);
    }
    lab_close(&old);
}

static void replay_run(const struct format_replay *expected,
                       void (*state)(struct replay *replay, const char *name))
{
    struct lab lab;
    struct replay replay = {.fixture = expected->fixture, .lab = &lab, .state = state};

    replay_all(&replay);
    assert_true(replay.number >= expected->tables_min);
    assert_int_equal(replay.states, expected->states);
}

void format_replay_compare(const struct format_replay *expected)
{
    replay_run(expected, NULL);
}

void format_replay_raise(const struct format_replay *expected)
{
    replay_run(expected, state_compare);
}
