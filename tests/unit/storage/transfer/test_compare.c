/* SPDX-License-Identifier: GPL-2.0-or-later */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
/* clang-format on */

#include "storage/db/key.h"
#include "storage/transfer/compare.h"
#include "tests/unit/storage/lab.h"

enum { GROUP = 4, ROWS = 400 };

static const struct transfer_limits small = {.leaf_bytes = 300, .read_bytes = 2000};

static void row_put(struct lab *lab, enum db_table table, uint32_t group, uint64_t number,
                    const char *value)
{
    struct db_txn *txn = db_write_begin(lab->db);
    struct key key;

    if (value != NULL)
        db_put(txn, table, key_number(&key, group, number), bytes_of(value));
    else
        db_delete(txn, table, key_number(&key, group, number));
    assert_int_equal(db_commit(&txn), ERR_OK);
}

static void fill(struct lab *lab)
{
    struct db_txn *txn = db_write_begin(lab->db);
    struct key key;

    for (uint64_t i = 0; i < ROWS; i++)
        db_put(txn, i % 2 == 0 ? TABLE_MESSAGE : TABLE_DEDUPE,
               key_number(&key, GROUP + (uint32_t)(i % 3 / 2), i),
               bytes_of("what lies in a row"));
    assert_int_equal(db_commit(&txn), ERR_OK);
}

/* All ranges, in steps. How many differ; *last is the last of those. */
static unsigned compare(struct lab *ours, struct lab *theirs, struct transfer_position *last)
{
    struct transfer_tables tables;
    struct transfer_position at = {0};
    unsigned different = 0;

    compare_tables(&tables);
    while (!transfer_position_is_end(&at)) {
        struct buffer question = BUFFER_EMPTY;
        struct buffer digests = BUFFER_EMPTY;
        struct compare_scope here = {db_read_begin(ours->db), &tables, GROUP, {7}};
        struct compare_scope there = {db_read_begin(theirs->db), &tables, GROUP, {7}};
        struct transfer_question asked;
        struct transfer_leaf leaf;
        compare_ask(&here, &small, &at, &question);
        assert_int_equal(compare_answer(&there, buffer_bytes(&question), &digests), ERR_OK);
        assert_int_equal(transfer_question_decode(buffer_bytes(&question), &asked), ERR_OK);
        struct bytes rest = buffer_bytes(&digests);
        struct transfer_position from = asked.from;
        while (transfer_leaf_next(&asked.leaves, &leaf) == ERR_OK) {
            assert_true(rest.len >= TRANSFER_DIGEST_SIZE);
            if (memcmp(rest.at, leaf.digest, TRANSFER_DIGEST_SIZE) != 0) {
                /* The same by a question about that range alone. */
                struct buffer once = BUFFER_EMPTY;
                struct transfer_leaf again = {.to = leaf.to};
                compare_ask_again(&here, &from, &again, &once);
                assert_int_equal(again.rows, leaf.rows);
                assert_memory_equal(again.digest, leaf.digest, TRANSFER_DIGEST_SIZE);
                buffer_fini(&once);
                different++;
                *last = leaf.to;
            }
            from = leaf.to;
            rest = bytes_skip(rest, TRANSFER_DIGEST_SIZE);
        }
        assert_int_equal(rest.len, 0);
        db_abort(&here.txn);
        db_abort(&there.txn);
        buffer_fini(&question);
        buffer_fini(&digests);
    }
    return different;
}

static void each_row_counts(void **state)
{
    struct lab ours;
    struct lab theirs;
    struct transfer_position at = {0};
    (void)state;

    lab_open(&ours);
    lab_open(&theirs);
    assert_int_equal(compare(&ours, &theirs, &at), 0);
    fill(&theirs);
    assert_int_equal(compare(&ours, &theirs, &at), 1); /* nothing here, all of it there */
    fill(&ours);
    assert_int_equal(compare(&ours, &theirs, &at), 0);
    row_put(&ours, TABLE_BLOCK, GROUP, 3, "a piece of a body"); /* has its own digest */
    row_put(&ours, TABLE_LOCAL, GROUP, 3, "of this node alone");
    row_put(&ours, TABLE_MESSAGE, GROUP + 2, 3, "of another group");
    assert_int_equal(compare(&ours, &theirs, &at), 0);
    for (uint64_t i = 0; i < ROWS; i += 37) {
        enum db_table table = i % 2 == 0 ? TABLE_MESSAGE : TABLE_DEDUPE;
        if (i % 3 == 2)
            continue;
        row_put(&theirs, table, GROUP, i, "what lies in a roW");
        assert_int_equal(compare(&ours, &theirs, &at), 1);
        row_put(&theirs, table, GROUP, i, NULL);
        assert_int_equal(compare(&ours, &theirs, &at), 1);
        assert_int_equal(compare(&theirs, &ours, &at), 1);
        row_put(&theirs, table, GROUP, i, "what lies in a row");
        assert_int_equal(compare(&ours, &theirs, &at), 0);
    }
    row_put(&theirs, TABLE_MESSAGE, GROUP, ROWS * 10, "one more, behind all");
    assert_int_equal(compare(&ours, &theirs, &at), 1);
    lab_close(&ours);
    lab_close(&theirs);
}

static void sample(struct compare_sample *made, const char *looks)
{
    *made = (struct compare_sample){0};
    for (; *looks != '\0'; looks += 2)
        compare_sample_add(made, (const uint8_t[TRANSFER_DIGEST_SIZE]){(uint8_t)looks[0]},
                           (uint64_t)(looks[1] - '0'));
}

/* A look is a digest (a letter) and the entry that had been applied (a digit). */
static void it_is_certain_or_open(void **state)
{
    static const struct {
        const char *ours;
        const char *theirs;
        enum compare_verdict verdict;
    } rows[] = {
        {"a3", "a3", COMPARE_EQUAL},
        {"a3", "b3", COMPARE_DIFFERENT},
        {"a3", "b4", COMPARE_OPEN},
        {"a5", "b4", COMPARE_OPEN},
        {"a3", "", COMPARE_OPEN},
        {"a3a5", "b4", COMPARE_DIFFERENT},
        {"a3c5", "b4", COMPARE_OPEN},
        {"a3c5", "b4b5", COMPARE_DIFFERENT},
        {"a3c5", "b4a6", COMPARE_OPEN},
        {"a3c5", "b4c6", COMPARE_EQUAL},
        {"a3a4a5", "b6b7", COMPARE_OPEN},
        {"a3a4a6", "b6b7", COMPARE_DIFFERENT},
        {"a1b2c3d4", "d5", COMPARE_EQUAL},
        {"a1b2c3d4", "e5", COMPARE_OPEN},
        {"a1a9", "b2c4d6", COMPARE_DIFFERENT},
    };
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct compare_sample ours;
        struct compare_sample theirs;
        sample(&ours, rows[i].ours);
        sample(&theirs, rows[i].theirs);
        if (compare_verdict(&ours, &theirs) != rows[i].verdict ||
            compare_verdict(&theirs, &ours) != rows[i].verdict)
            fail_msg("%s and %s", rows[i].ours, rows[i].theirs);
    }
}

static void the_majority_of_three(void **state)
{
    static const struct {
        const char *digests;
        char majority; /* 0: none */
    } rows[] = {{"aa", 0},  {"ab", 0},   {"aab", 'a'},  {"bab", 'b'},   {"abb", 'b'},
                {"abc", 0}, {"aabb", 0}, {"aaab", 'a'}, {"abbab", 'b'}, {"a", 0}};
    (void)state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t digests[5][TRANSFER_DIGEST_SIZE] = {{0}};
        unsigned count = 0;
        for (; rows[i].digests[count] != '\0'; count++)
            digests[count][0] = (uint8_t)rows[i].digests[count];
        const uint8_t *found =
            compare_majority((const uint8_t(*)[TRANSFER_DIGEST_SIZE])digests, count);
        if ((found != NULL ? found[0] : 0) != rows[i].majority)
            fail_msg("%s", rows[i].digests);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row_counts),
        cmocka_unit_test(it_is_certain_or_open),
        cmocka_unit_test(the_majority_of_three),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
