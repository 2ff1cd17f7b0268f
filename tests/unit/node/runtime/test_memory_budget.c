/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "node/runtime/loop.h"
#include "node/runtime/memory_budget.h"
#include "node/runtime/process.h"

#define MIB (UINT64_C(1024) * 1024)
enum { WAIT_MS = 20000 };

/* What a process has grown by without its budget's knowing beforehand. */
struct block {
    void *at;
    size_t size;
};

static struct block take(size_t size)
{
    struct block block = {mmap(NULL, size, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0),
                          size};
    assert_ptr_not_equal(block.at, MAP_FAILED);
    return block;
}

static void give(struct block *block)
{
    assert_int_equal(munmap(block->at, block->size), 0);
}

static void wait_for(struct memory_budget *budget, bool near, bool over)
{
    uint64_t end_ms = clock_monotonic_ms() + WAIT_MS;
    while (memory_budget_near(budget) != near || memory_budget_over(budget) != over) {
        assert_true(clock_monotonic_ms() < end_ms);
        usleep(5000);
    }
}

static uint64_t used_now(void)
{
    struct memory_budget *budget = memory_budget_new(0);
    uint64_t used = memory_budget_used(budget);
    memory_budget_free(&budget);
    assert_true(used > 0);
    return used;
}

/* 200 MiB of room above what is used: 85 % and the rest are far apart. */
static void near_and_over_come_and_go(void **state)
{
    uint64_t base = used_now(), total = base + 200 * MIB;
    struct memory_budget *budget = memory_budget_new(total);
    (void)state;
    assert_int_equal(memory_budget_bytes(budget), total);
    wait_for(budget, false, false);
    struct block much = take((size_t)(total / 100 * 87 - base));
    wait_for(budget, true, false);
    struct block more = take((size_t)(total / 100 * 15));
    wait_for(budget, true, true);
    give(&more); /* 87 % */
    wait_for(budget, true, false);
    give(&much);
    wait_for(budget, false, false);
    memory_budget_free(&budget);
    assert_null(budget);
}

/* Between the two bounds all stays as it was. */
static void it_does_not_flutter(void **state)
{
    uint64_t base = used_now(), total = base + 200 * MIB;
    struct memory_budget *budget = memory_budget_new(total);
    (void)state;
    struct block much = take((size_t)(total / 100 * 93 - base));
    wait_for(budget, true, false); /* 93 % from below: not over */
    struct block more = take((size_t)(total / 100 * 9));
    wait_for(budget, true, true);
    give(&more);
    uint64_t end_ms = clock_monotonic_ms() + 250; /* two looks */
    while (clock_monotonic_ms() < end_ms)
        assert_true(memory_budget_over(budget)); /* 93 % from above */
    assert_true(memory_budget_used(budget) < total / 100 * 95);
    give(&much);
    wait_for(budget, false, false);
    memory_budget_free(&budget);
}

/* What free() keeps for later is not counted for ever. */
static void what_is_free_is_given_back(void **state)
{
#ifdef PROCESS_UNFENCED
    skip(); /* a sanitizer keeps it for reasons of its own */
#endif
    enum { PIECES = 200 * 1024, PIECE_SIZE = 1024 };
    char **pieces = calloc(PIECES, sizeof(*pieces));
    (void)state;
    assert_non_null(pieces);
    uint64_t base = used_now();
    struct memory_budget *budget = memory_budget_new(base + 100 * MIB);
    for (size_t i = 0; i < PIECES; i++) {
        pieces[i] = malloc(PIECE_SIZE);
        assert_non_null(pieces[i]);
        memset(pieces[i], 1, PIECE_SIZE);
    }
    wait_for(budget, true, true);
    for (size_t i = 0; i + 1 < PIECES; i++) /* the last one keeps the heap's end up */
        free(pieces[i]);
    wait_for(budget, false, false);
    free(pieces[PIECES - 1]);
    free(pieces);
    memory_budget_free(&budget);
}

static void the_kernel_is_asked_rarely(void **state)
{
    struct memory_budget *budget = memory_budget_new(0);
    (void)state;
    assert_true(memory_budget_bytes(budget) >= 64 * MIB);
    uint64_t before = memory_budget_used(budget);
    struct block block = take(64 * MIB);
    uint64_t began_ms = clock_monotonic_ms();
    uint64_t after = memory_budget_used(budget);
    if (clock_monotonic_ms() - began_ms < 50)
        assert_true(after == before || after > before + 60 * MIB);
    give(&block);
    memory_budget_free(&budget);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_and_over_come_and_go),
        cmocka_unit_test(it_does_not_flutter),
        cmocka_unit_test(what_is_free_is_given_back),
        cmocka_unit_test(the_kernel_is_asked_rarely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
