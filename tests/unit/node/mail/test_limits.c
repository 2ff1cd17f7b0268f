/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages that are made to be expensive: every limit of summary.h, each in linear time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/node/mail/scan.h"

static struct arena arena;
static struct buffer message;
static struct mail_summary summary;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    buffer_init(&message);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    buffer_fini(&message);
    return 0;
}

static void add_times(const char *text, size_t times)
{
    for (size_t i = 0; i < times; i++)
        buffer_add_string(&message, text);
}

static void scan_message(void)
{
    scan(buffer_bytes(&message), 0, 4096, &arena, &summary);
    assert_int_equal(summary.size, buffer_len(&message));
    struct bytes encoded = mail_summary_encode(&summary, &arena);
    assert_in_range(encoded.len, 1, MAIL_SUMMARY_SIZE_MAX);
}

static size_t depth_of(const struct mail_part *part)
{
    size_t depth = 0;

    for (; part != NULL; part = part->children)
        depth++;
    return depth;
}

static size_t count_of(const struct mail_part *part)
{
    size_t count = 0;

    for (; part != NULL; part = part->next)
        count += 1 + count_of(part->children);
    return count;
}

static void test_many_header_lines(void **state)
{
    (void)state;
    add_times("X: y\r\n", 200000);
    add_times("Subject: late\r\n\r\nbody", 1);
    scan_message();
    assert_true(summary.truncated);
    assert_null(summary.envelope.subject.at);
    assert_int_equal(summary.root->header_len, 200000 * 6 + 17);
    assert_int_equal(summary.root->body_len, 4);
}

static void test_many_lines_that_are_no_header(void **state)
{
    (void)state;
    add_times(" \r\n", 80000);
    add_times("Subject: a\r\n\r\n", 1);
    scan_message();
    assert_false(summary.truncated);
    assert_non_null(summary.envelope.subject.at);
}

static void test_a_long_field(void **state)
{
    (void)state;
    add_times("Subject: ", 1);
    add_times("x", 100000);
    add_times("\r\nFrom: a@b\r\n\r\n", 1);
    scan_message();
    assert_true(summary.truncated);
    assert_in_range(summary.envelope.subject.len, MAIL_FIELD_SIZE_MAX - 20,
                    MAIL_FIELD_SIZE_MAX);
    assert_int_equal(summary.envelope.from.count, 1);
}

static void test_a_long_header_in_one_field(void **state)
{
    (void)state;
    add_times("Subject", 1);
    add_times(" ", 70000);
    add_times(": x\r\n\r\n", 1);
    scan_message();
    assert_true(summary.truncated);
    assert_int_equal(summary.envelope.subject.len, 0);
}

static void test_many_addresses(void **state)
{
    (void)state;
    add_times("To: g:", 1);
    add_times("a@b,", 10000);
    add_times(";\r\nCc: a@b\r\n\r\n", 1);
    scan_message();
    assert_true(summary.truncated);
    assert_int_equal(summary.envelope.to.count, MAIL_ADDRESS_COUNT_MAX);
    assert_int_equal(summary.envelope.to.at[MAIL_ADDRESS_COUNT_MAX - 1].group,
                     MAIL_ADDRESS_GROUP_END);
    assert_int_equal(summary.envelope.cc.count, 1);
}

static void test_nesting_in_addresses(void **state)
{
    (void)state;
    add_times("To: ", 1);
    add_times("(", 60000);
    add_times("\r\nCc: ", 1);
    add_times("<", 60000);
    add_times("\r\nBcc: ", 1);
    add_times("a:", 30000);
    add_times("\r\nFrom: ", 1);
    add_times("\\\"(", 20000);
    add_times("\r\n\r\n", 1);
    scan_message();
    assert_int_equal(summary.envelope.to.count, 0);
}

static void test_many_continuations(void **state)
{
    (void)state;
    add_times("Content-Type: text/plain", 1);
    for (unsigned i = 0; i < 5000; i++)
        buffer_printf(&message, ";n*%u=a", i);
    add_times("\r\n\r\n", 1);
    scan_message();
    assert_true(summary.truncated);
    assert_int_equal(summary.root->parameter_count, 1);
    assert_int_equal(summary.root->parameters[0].value.len, MAIL_PARAMETER_COUNT_MAX);
}

static void test_deep_multiparts(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++)
        buffer_printf(&message, "Content-Type: multipart/mixed; boundary=b%u\r\n\r\n--b%u\r\n",
                      i, i);
    scan_message();
    assert_true(summary.truncated);
    assert_int_equal(depth_of(summary.root), MAIL_PART_DEPTH_MAX);
}

static void test_deep_messages(void **state)
{
    (void)state;
    add_times("Content-Type: message/rfc822\r\n\r\n", 1000);
    scan_message();
    assert_true(summary.truncated);
    assert_int_equal(depth_of(summary.root), MAIL_PART_DEPTH_MAX);
}

static void test_many_parts(void **state)
{
    (void)state;
    add_times("Content-Type: multipart/mixed; boundary=B\r\n\r\n", 1);
    add_times("--B\r\n\r\n\r\n", 1000000);
    add_times("--B--\r\n", 1);
    scan_message();
    assert_true(summary.truncated);
    assert_int_equal(count_of(summary.root), MAIL_PART_COUNT_MAX);
}

static void test_long_boundaries(void **state)
{
    (void)state;
    for (size_t len = MAIL_BOUNDARY_SIZE_MAX; len <= MAIL_BOUNDARY_SIZE_MAX + 1; len++) {
        buffer_clear(&message);
        add_times("Content-Type: multipart/mixed; boundary=", 1);
        add_times("b", len);
        add_times("\r\n\r\n--", 1);
        add_times("b", len);
        add_times("\r\n\r\nx", 1);
        scan_message();
        bool fits = len <= MAIL_BOUNDARY_SIZE_MAX;
        assert_int_equal(summary.truncated, !fits);
        assert_int_equal(summary.root->children != NULL, fits);
    }
}

/* 49 open boundaries with one long start in common, and a body of lines that nearly match. */
static void test_boundaries_that_nearly_match(void **state)
{
    char start[MAIL_BOUNDARY_SIZE_MAX - 9];

    (void)state;
    memset(start, 'b', sizeof(start) - 1);
    start[sizeof(start) - 1] = '\0';
    for (unsigned i = 0; i < MAIL_PART_DEPTH_MAX - 1; i++)
        buffer_printf(&message,
                      "Content-Type: multipart/mixed; boundary=%s%02u\r\n\r\n--%s%02u\r\n",
                      start, i, start, i);
    add_times("\r\n", 1);
    for (unsigned i = 0; i < 20000; i++)
        buffer_printf(&message, "--%s99\r\n", start);
    scan_message();
    assert_int_equal(depth_of(summary.root), MAIL_PART_DEPTH_MAX);
    assert_false(summary.truncated);
}

/* More text than is kept: later parts are left out. What is kept is more than may be written:
 * the messages inside are left out with their envelopes, the parts that hold them stay. */
static void test_many_large_headers(void **state)
{
    (void)state;
    add_times("Subject: kept\r\nContent-Type: multipart/mixed; boundary=B\r\n\r\n", 1);
    for (unsigned i = 0; i < 200; i++) {
        add_times("--B\r\nContent-Type: message/rfc822\r\n\r\nSubject: ", 1);
        add_times("x", 60000);
        add_times("\r\n\r\nbody\r\n", 1);
    }
    add_times("--B--\r\n", 1);
    scan_message();
    assert_true(summary.truncated);
    assert_string_equal(arena_string(&arena, summary.envelope.subject), "kept");
    assert_in_range(count_of(summary.root), MAIL_SUMMARY_MEMORY_MAX / 61000,
                    MAIL_SUMMARY_MEMORY_MAX / 60000 + 2);
    assert_int_equal(depth_of(summary.root), 2);
    assert_null(summary.root->children->envelope);
}

/* The largest single header still fits, so the root and its envelope are never lost. */
static void test_the_largest_header_fits(void **state)
{
    static const char *const lists[] = {"From", "Sender", "Reply-To", "To", "Cc", "Bcc"};

    (void)state;
    add_times("Content-Type: text/plain; n*0=\"", 1);
    add_times("\xC3", 60000);
    add_times("\"; n*1*=a\r\nContent-Disposition: inline; n*0=\"", 1);
    add_times("\xC3", 60000);
    add_times("\"; n*1*=a\r\n", 1);
    for (size_t i = 0; i < 6; i++) {
        buffer_printf(&message, "%s: ", lists[i]);
        add_times("a,", 2000);
        add_times("\r\n", 1);
    }
    add_times("Subject: ", 1);
    add_times("x", 60000);
    add_times("\r\nMessage-ID: ", 1);
    add_times("x", 40000);
    add_times("\r\n\r\n", 1);
    scan_message();
    assert_int_equal(summary.envelope.subject.len, 60000);
    assert_int_equal(summary.envelope.bcc.count, MAIL_ADDRESS_COUNT_MAX - 1);
    assert_int_equal(summary.root->parameters[0].value.len, MAIL_FIELD_SIZE_MAX);
}

static void test_many_bare_line_feeds(void **state)
{
    (void)state;
    add_times("Content-Type: multipart/mixed; boundary=B\r\n\r\n", 1);
    add_times("\n--B\n\r-", 500000);
    scan_message();
    assert_int_equal(count_of(summary.root), 1);
    assert_int_equal(summary.root->lines, 1);
}

#define HARD_CASE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HARD_CASE(test_many_header_lines),    HARD_CASE(test_many_lines_that_are_no_header),
        HARD_CASE(test_a_long_field),         HARD_CASE(test_a_long_header_in_one_field),
        HARD_CASE(test_many_addresses),       HARD_CASE(test_nesting_in_addresses),
        HARD_CASE(test_many_continuations),   HARD_CASE(test_deep_multiparts),
        HARD_CASE(test_deep_messages),        HARD_CASE(test_many_parts),
        HARD_CASE(test_long_boundaries),      HARD_CASE(test_boundaries_that_nearly_match),
        HARD_CASE(test_many_large_headers),   HARD_CASE(test_the_largest_header_fits),
        HARD_CASE(test_many_bare_line_feeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
