/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table of wordings for which there is no rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "smtp/egress/classify_unknown.h"

#define HOUR_MS UNKNOWN_TELL_MS

static const struct classify_unknown_entry *count(struct classify_unknown *unknown,
                                                  const char *provider, uint64_t template_id,
                                                  uint64_t now_ms)
{
    struct classify_reply reply = {.provider = bytes_of(provider),
                                   .phase = CLASSIFY_AT_RCPT,
                                   .code = 451,
                                   .text = BYTES("4.7.1 wait\n a bit")};
    struct classify_verdict verdict = {.basis = CLASSIFY_BY_CODE, .template_id = template_id};
    return classify_unknown_count(unknown, &reply, &verdict, now_ms);
}

static size_t size_of(const struct classify_unknown *unknown)
{
    size_t at = 0, size = 0;

    while (classify_unknown_next(unknown, &at) != NULL)
        size++;
    return size;
}

static const struct classify_unknown_entry *entry_of(const struct classify_unknown *unknown,
                                                     uint64_t template_id)
{
    const struct classify_unknown_entry *entry;
    size_t at = 0;

    while ((entry = classify_unknown_next(unknown, &at)) != NULL)
        if (entry->template_id == template_id)
            return entry;
    return NULL;
}

static void test_told_at_twenty(void **state)
{
    struct classify_unknown *unknown = classify_unknown_new();
    const struct classify_unknown_entry *told;

    (void)state;
    for (uint64_t i = 0; i < 19; i++) {
        assert_null(count(unknown, "google", 7, 1000 + i));
        assert_null(count(unknown, "yahoo", 7, 1000 + i));
    }
    told = count(unknown, "google", 7, 1000 + HOUR_MS - 1);
    assert_non_null(told);
    assert_string_equal(told->provider, "google");
    assert_string_equal(told->sample, "4.7.1 wait? a bit");
    assert_int_equal(told->template_id, 7);
    assert_int_equal(told->phase, CLASSIFY_AT_RCPT);
    assert_int_equal(told->code, 451);
    assert_int_equal(told->count, 20);
    assert_int_equal(told->hour_count, 20);
    assert_int_equal(told->first_ms, 1000);
    /* once an hour */
    for (uint64_t i = 0; i < 100; i++)
        assert_null(count(unknown, "google", 7, 1000 + HOUR_MS + i));
    assert_non_null(count(unknown, "google", 7, 1000 + HOUR_MS - 1 + HOUR_MS - 1 + 1));
    classify_unknown_free(&unknown);
    assert_null(unknown);
}

/* 19 an hour is not told, wherever the hours are cut. */
static void test_slow_is_not_told(void **state)
{
    struct classify_unknown *unknown = classify_unknown_new();

    (void)state;
    for (uint64_t i = 0; i < 400; i++)
        assert_null(count(unknown, "google", 7, i * (HOUR_MS / 19 + 1)));
    assert_int_equal(entry_of(unknown, 7)->count, 400);
    classify_unknown_free(&unknown);
}

static void test_known_is_not_counted(void **state)
{
    struct classify_unknown *unknown = classify_unknown_new();
    struct classify_reply reply = {.code = 451, .text = BYTES("x")};
    struct classify_verdict verdict = {.basis = CLASSIFY_BY_RULE};

    (void)state;
    for (int i = 0; i < 30; i++)
        assert_null(classify_unknown_count(unknown, &reply, &verdict, 1));
    verdict.basis = CLASSIFY_BY_CODE;
    reply.text = BYTES("");
    assert_null(classify_unknown_count(unknown, &reply, &verdict, 1));
    reply = (struct classify_reply){.code = 0, .text = BYTES("x")};
    assert_null(classify_unknown_count(unknown, &reply, &verdict, 1));
    assert_int_equal(size_of(unknown), 0);
    classify_unknown_free(&unknown);
}

/* A flood of templates displaces none that is seen often; what is long gone makes room. */
static void test_bounded(void **state)
{
    struct classify_unknown *unknown = classify_unknown_new();
    const struct classify_unknown_entry *told = NULL;
    char provider[400];

    (void)state;
    count(unknown, "google", 1, 1);
    count(unknown, "google", 1, 2);
    for (uint64_t i = 0; i < 10000; i++)
        assert_null(count(unknown, "google", 100 + i, 10 + i));
    assert_int_equal(size_of(unknown), UNKNOWN_TEMPLATES_MAX);
    assert_non_null(entry_of(unknown, 1));
    assert_non_null(entry_of(unknown, 10099));
    assert_null(entry_of(unknown, 100));
    /* All are frequent, and a day old. */
    for (uint64_t i = 0; i < UNKNOWN_TEMPLATES_MAX; i++)
        for (int times = 0; times < 30; times++)
            count(unknown, "google", 20000 + i, 20000);
    uint64_t later_ms = 20000 + UNKNOWN_KEEP_MS;
    for (uint64_t i = 0; i < 20; i++) {
        assert_true((count(unknown, "yahoo", 2, later_ms + i) != NULL) == (i == 19));
        told = count(unknown, "yahoo", 1, later_ms + i);
    }
    assert_non_null(told);
    memset(provider, 'a', sizeof(provider) - 1);
    provider[sizeof(provider) - 1] = '\0';
    count(unknown, provider, 5, later_ms + 100);
    assert_int_equal(strlen(entry_of(unknown, 5)->provider), UNKNOWN_PROVIDER_MAX);
    classify_unknown_free(&unknown);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told_at_twenty),
        cmocka_unit_test(test_slow_is_not_told),
        cmocka_unit_test(test_known_is_not_counted),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
