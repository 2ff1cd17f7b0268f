/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "imap/session/view.h"

/* Random additions and removals, checked after each against a plain array of UIDs. */
enum { NAIVE_MAX = 4000, ROUNDS = 3000 };

struct naive {
    uint32_t uids[NAIVE_MAX];
    uint32_t count;
    uint32_t next_uid;
};

static uint32_t next_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

static void naive_add(struct naive *naive, uint32_t first, uint32_t last)
{
    for (uint32_t uid = first; uid <= last; uid++)
        naive->uids[naive->count++] = uid;
    naive->next_uid = last + 1;
}

static bool contains(const struct imap_ranges *ranges, uint32_t uid)
{
    for (size_t i = 0; i < ranges->count; i++)
        if (uid >= ranges->at[i].first && uid <= ranges->at[i].last)
            return true;
    return false;
}

static void naive_remove(struct naive *naive, const struct imap_ranges *ranges)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < naive->count; i++)
        if (!contains(ranges, naive->uids[i]))
            naive->uids[kept++] = naive->uids[i];
    naive->count = kept;
}

static void assert_same(const struct imap_view *view, const struct naive *naive)
{
    uint32_t upto = 0;

    assert_int_equal(imap_view_count(view), naive->count);
    for (uint32_t i = 0; i < naive->count; i++)
        assert_int_equal(imap_view_uid(view, i + 1), naive->uids[i]);
    assert_int_equal(imap_view_uid(view, 0), 0);
    assert_int_equal(imap_view_uid(view, naive->count + 1), 0);
    for (uint32_t uid = 0; uid < naive->next_uid + 2; uid++) {
        bool is_there = upto < naive->count && naive->uids[upto] == uid;
        upto += is_there;
        assert_int_equal(imap_view_number(view, uid), is_there ? upto : 0);
        assert_int_equal(imap_view_number_upto(view, uid), upto);
    }
    for (size_t i = 0, before = 0; i < view->count; i++) {
        const struct imap_view_range *range = &view->ranges[i];
        assert_true(range->first <= range->last);
        assert_true(i == 0 || range->first > range[-1].last + 1);
        assert_int_equal(range->before, before);
        before += range->last - range->first + 1;
        assert_int_equal(imap_view_run_end(view, range->before + 1), before);
    }
}

static void test_random_against_array(void **state)
{
    struct naive *naive = calloc(1, sizeof(*naive));
    struct imap_view view;
    uint64_t seed = 20261121;

    (void)state;
    naive->next_uid = 1;
    imap_view_init(&view);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t dice = next_random(&seed) % 10;
        if (dice < 4 && naive->count < 300 && naive->next_uid < NAIVE_MAX - 100) {
            uint32_t first = naive->next_uid + next_random(&seed) % 3;
            uint32_t last = first + next_random(&seed) % 8;
            assert_true(imap_view_add(&view, first, last));
            naive_add(naive, first, last);
        } else {
            struct imap_range at[6];
            struct imap_ranges ranges = {at, 1 + next_random(&seed) % 6};
            for (size_t i = 0; i < ranges.count; i++) {
                at[i].first = 1 + next_random(&seed) % (naive->next_uid + 5);
                at[i].last = at[i].first + next_random(&seed) % 4;
            }
            imap_ranges_normalise(&ranges);
            imap_view_remove(&view, &ranges);
            naive_remove(naive, &ranges);
        }
        assert_same(&view, naive);
    }
    imap_view_fini(&view);
    free(naive);
}

static void test_undisturbed_mailbox_is_one_range(void **state)
{
    struct imap_view view;

    (void)state;
    imap_view_init(&view);
    assert_true(imap_view_add(&view, 1, 1000000));
    for (uint32_t uid = 1000001; uid <= 1001000; uid++)
        assert_true(imap_view_add(&view, uid, uid));
    assert_int_equal(view.count, 1);
    assert_int_equal(view.room, 1);
    assert_int_equal(imap_view_count(&view), 1001000);
    imap_view_fini(&view);
}

static void test_uids_only_go_up(void **state)
{
    struct imap_view view;
    struct imap_range all = {1, UINT32_MAX};
    struct imap_ranges ranges = {&all, 1};

    (void)state;
    imap_view_init(&view);
    assert_true(imap_view_add(&view, 5, 9));
    assert_false(imap_view_add(&view, 9, 10));
    assert_false(imap_view_add(&view, 12, 11));
    imap_view_remove(&view, &ranges);
    assert_int_equal(imap_view_count(&view), 0);
    assert_false(imap_view_add(&view, 9, 9));
    assert_true(imap_view_add(&view, UINT32_MAX, UINT32_MAX));
    assert_int_equal(imap_view_number(&view, UINT32_MAX), 1);
    imap_view_remove(&view, &ranges);
    assert_int_equal(imap_view_count(&view), 0);
    imap_view_fini(&view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_against_array),
        cmocka_unit_test(test_undisturbed_mailbox_is_one_range),
        cmocka_unit_test(test_uids_only_go_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
