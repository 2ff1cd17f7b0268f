/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes of the log change, and files of it are missing, one at a time: it does not open, or has
 * what it had. Only rot within the last batch may look like a write that power loss undid. An
 * entry that is read is right. TEST_SEED, TEST_SEEDS: the first seed and how many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/base/check.h"
#include "raft/journal.h"
#include "tests/unit/raft/disk.h"
#include "tests/unit/raft/log_model.h"

enum { STEPS = 150, SEGMENT = 64 * 1024, FLIPS = 150, FILES_MAX = 200, NAME_SIZE = 32 };

struct world {
    uint64_t seed;
    char folder[64];
    char copy[80];
    struct model before; /* the last write */
    struct model model;
    struct model_random random;
    struct log_waiter waiter;
    char last_file[NAME_SIZE]; /* where the last write lies: */
    uint64_t last_from;
    uint64_t last_to;
};

static enum err opened(struct world *world, const char *folder, struct journal **journal)
{
    struct journal_config config = {.folder = folder,
                                    .segment_bytes = SEGMENT,
                                    .written = log_waiter_written,
                                    .context = &world->waiter};
    return journal_open(&config, journal);
}

static unsigned files_list(const char *folder, char names[FILES_MAX][NAME_SIZE])
{
    DIR *dir = opendir(folder);
    const struct dirent *file;
    unsigned count = 0;

    CHECK(dir != NULL);
    while ((file = readdir(dir)) != NULL) {
        if (file->d_name[0] == '.')
            continue;
        CHECK(count < FILES_MAX);
        snprintf(names[count++], NAME_SIZE, "%.30s", file->d_name);
    }
    closedir(dir);
    return count;
}

static uint8_t *content(const char *folder, const char *name, size_t *len)
{
    char path[200];
    struct stat status;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL && fstat(fileno(file), &status) == 0);
    *len = (size_t)status.st_size;
    uint8_t *bytes = malloc(*len + 1);
    CHECK(bytes != NULL && fread(bytes, 1, *len, file) == *len);
    fclose(file);
    return bytes;
}

static void write_one(struct world *world, struct journal *journal)
{
    struct model_writes *writes = calloc(1, sizeof(*writes));

    CHECK(writes != NULL);
    world->before = world->model;
    model_writes_make(&world->model, &world->random, writes);
    assert_int_equal(log_waiter_write(&world->waiter, journal_interface(journal),
                                      writes->writes, writes->count),
                     ERR_OK);
    model_apply(&world->model, writes);
    model_writes_free(writes);
    free(writes);
}

/* Which bytes the last write changed; false: of more than one file. */
static bool last_find(struct world *world)
{
    char names[FILES_MAX][NAME_SIZE];
    unsigned count = files_list(world->folder, names);
    unsigned changed = 0;

    for (unsigned i = 0; i < count; i++) {
        char path[200];
        size_t old_len = 0;
        size_t len;
        snprintf(path, sizeof(path), "%s/%.30s", world->copy, names[i]);
        if (access(path, F_OK) != 0)
            return false;
        uint8_t *old = content(world->copy, names[i], &old_len);
        uint8_t *bytes = content(world->folder, names[i], &len);
        uint64_t from = 0;
        while (from < len && len == old_len && bytes[from] == old[from])
            from++;
        if (from < len && len == old_len) {
            changed++;
            snprintf(world->last_file, sizeof(world->last_file), "%.30s", names[i]);
            world->last_from = from / 8 * 8;
            for (world->last_to = len; bytes[world->last_to - 1] == old[world->last_to - 1];)
                world->last_to--;
        }
        free(old);
        free(bytes);
        if (len != old_len)
            return false;
    }
    return changed == 1;
}

/* The log closed, and known where its last batch lies. */
static void world_make(struct world *world, unsigned steps)
{
    struct journal *journal = NULL;

    assert_int_equal(opened(world, world->folder, &journal), ERR_OK);
    for (unsigned i = 0; i < steps; i++)
        write_one(world, journal);
    do {
        journal_close(&journal);
        folder_copy(world->folder, world->copy);
        assert_int_equal(opened(world, world->folder, &journal), ERR_OK);
        write_one(world, journal);
        journal_close(&journal);
        bool found = last_find(world);
        if (found)
            break;
        assert_int_equal(opened(world, world->folder, &journal), ERR_OK);
    } while (true);
}

static void flip_check(struct world *world, const char *name, uint64_t at, uint8_t bits)
{
    struct journal *journal = NULL;
    char path[200];
    bool in_last = strcmp(name, world->last_file) == 0 && at >= world->last_from &&
                   at < world->last_to + 8;
    uint8_t byte;

    folder_copy(world->folder, world->copy);
    snprintf(path, sizeof(path), "%s/%s", world->copy, name);
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL && fseek(file, (long)at, SEEK_SET) == 0);
    CHECK(fread(&byte, 1, 1, file) == 1);
    byte ^= bits;
    CHECK(fseek(file, (long)at, SEEK_SET) == 0 && fwrite(&byte, 1, 1, file) == 1);
    fclose(file);
    enum err err = opened(world, world->copy, &journal);
    if (err == ERR_MALFORMED)
        return;
    assert_int_equal(err, ERR_OK);
    struct entry_log *log = journal_interface(journal);
    const char *what = model_differs_readable(&world->model, log);
    if (what != NULL && in_last)
        what = model_differs_readable(&world->before, log);
    journal_close(&journal);
    if (what != NULL)
        fail_msg("seed %llu, %s: byte %llu ^ %#x%s: %s", (unsigned long long)world->seed, name,
                 (unsigned long long)at, bits, in_last ? " (last batch)" : "", what);
}

static void flips_check(struct world *world)
{
    char names[FILES_MAX][NAME_SIZE];
    unsigned count = files_list(world->folder, names);

    for (unsigned i = 0; i < FLIPS; i++) {
        const char *name = names[model_random(&world->random, count)];
        size_t len;
        uint8_t *bytes = content(world->folder, name, &len);
        uint64_t at = model_random(&world->random, len);
        /* Not where nothing lies. */
        for (unsigned j = 0; j < 1000 && bytes[at] == 0; j++)
            at = model_random(&world->random, j % 4 != 0 ? len : 48);
        free(bytes);
        flip_check(world, name, at, (uint8_t)(1U << model_random(&world->random, 8)));
    }
    for (unsigned i = 0; i < FLIPS / 3; i++) {
        uint64_t at = world->last_from + model_random(&world->random, 200);
        flip_check(world, world->last_file, at,
                   (uint8_t)(1 + model_random(&world->random, 255)));
    }
}

static void missing_check(struct world *world)
{
    char names[FILES_MAX][NAME_SIZE];
    unsigned count = files_list(world->folder, names);
    unsigned refused = 0;

    /* Without its one file (the next is not always made by then) it is an empty folder: a lost
     * disk, which the node knows by its identity. */
    if (count == 1)
        return;
    for (unsigned i = 0; i < count; i++) {
        struct journal *journal = NULL;
        char path[200];
        folder_copy(world->folder, world->copy);
        snprintf(path, sizeof(path), "%s/%.30s", world->copy, names[i]);
        CHECK(unlink(path) == 0);
        enum err err = opened(world, world->copy, &journal);
        refused += err == ERR_MALFORMED;
        if (err == ERR_MALFORMED)
            continue;
        assert_int_equal(err, ERR_OK);
        const char *what =
            model_differs(&world->model, journal_interface(journal), &world->random);
        journal_close(&journal);
        if (what != NULL)
            fail_msg("seed %llu, without %s: %s", (unsigned long long)world->seed, names[i],
                     what);
    }
    assert_true(refused > 0);
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void seeds_run(unsigned count, unsigned steps, void (*check)(struct world *world))
{
    uint64_t first = number_of("TEST_SEED", 1);

    count = (unsigned)number_of("TEST_SEEDS", count);
    printf("seeds %llu..%llu\n", (unsigned long long)first,
           (unsigned long long)(first + count - 1));
    for (uint64_t seed = first; seed < first + count; seed++) {
        struct world *world = calloc(1, sizeof(*world));
        CHECK(world != NULL);
        world->seed = world->random.state = seed;
        world->random.large_of = 300;
        world->waiter = (struct log_waiter)LOG_WAITER_INIT;
        snprintf(world->folder, sizeof(world->folder), "/tmp/test_journal_rot.XXXXXX");
        CHECK(mkdtemp(world->folder) != NULL);
        snprintf(world->copy, sizeof(world->copy), "%s.copy", world->folder);
        world_make(world, (unsigned)(steps + seed % 7));
        check(world);
        folder_remove(world->folder);
        folder_remove(world->copy);
        free(world);
    }
}

static void test_bytes(void **state)
{
    (void)state;
    seeds_run(8, STEPS, flips_check);
}

static void test_files(void **state)
{
    (void)state;
    seeds_run(24, STEPS, missing_check);
}

/* Of a log so small that all lies in its first segment. */
static void test_files_of_few(void **state)
{
    (void)state;
    seeds_run(5, 2, missing_check);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_files_of_few),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
