/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/base/buffer.h"
#include "smtp/message/mime_guard.h"

static struct smtp_mime_report play(struct bytes text, size_t cut, size_t step)
{
    struct smtp_mime_guard *guard = smtp_mime_guard_new();

    for (size_t at = 0, len = cut; at < text.len; at += len, len = step) {
        len = len < text.len - at ? len : text.len - at;
        smtp_mime_guard_feed(guard, bytes_from(text.at + at, len));
    }
    struct smtp_mime_report report = smtp_mime_guard_finish(guard);
    smtp_mime_guard_free(&guard);
    return report;
}

static void check(const char *name, struct bytes text, unsigned faults, size_t parts,
                  size_t depth, size_t cut, size_t step)
{
    struct smtp_mime_report report = play(text, cut, step);

    if (report.faults != faults || report.parts != parts || report.depth != depth) {
        struct arena arena;
        arena_init(&arena);
        print_error("%s (cut at %zu): %.*s; %zu parts, depth %zu\n", name, cut,
                    BYTES_ARG(smtp_mime_faults_text(report.faults, &arena)), report.parts,
                    report.depth);
        arena_fini(&arena);
        fail();
    }
}

#define MIXED(boundary) "Content-Type: multipart/mixed; boundary=\"" boundary "\"\r\n"
#define NESTED "Content-Type: message/rfc822\r\n"

static const struct {
    const char *name;
    const char *text;
    unsigned faults;
    size_t parts;
    size_t depth;
} rows[] = {
    {"nothing", "", 0, 1, 1},
    {"plain", "Subject: x\r\n\r\nbody\r\n--b\r\n", 0, 1, 1},
    {"two parts", MIXED("b") "\r\n--b\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--\r\nend", 0, 3, 2},
    {"parts without a header", MIXED("b") "\r\n--b\r\n--b\r\n--b--", 0, 3, 2},
    {"trailing space", MIXED("b") "\r\n--b \t\r\n\r\nx\r\n--b-- \r\n", 0, 2, 2},
    {"no CRLF in front", MIXED("b") "\r\n--b\r\n\r\nx\n--b\r\ny\r--b\r\n--b--", 0, 2, 2},
    {"not in its own header", MIXED("b") "--b\r\n\r\n--b--\r\n", 0, 1, 1},
    {"space in front", MIXED("b") "\r\n --b\r\n--b\r\n --b\r\n --b--\r\n\r\n--b--", 0, 2, 2},
    {"in a header", MIXED("b") "\r\n--b\r\nX: y\r\n--b\r\n" NESTED "--b--\r\n", 0, 4, 3},
    {"alike", MIXED("b") "\r\n--bb\r\n--b-\r\n--b---\r\n -b\r\n--b\r\n\r\n---b\r\n--b--", 0, 2,
     2},
    {"message", NESTED "\r\nSubject: x\r\n\r\nbody", 0, 2, 2},
    {"message, encoded", NESTED "Content-Transfer-Encoding: base64\r\n\r\nSubject: x", 0, 1, 1},
    {"message in a digest",
     "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: "
     "x\r\n\r\ny\r\n--b--",
     0, 3, 3},
    {"message with parts", NESTED "\r\n" MIXED("b") "\r\n--b\r\n\r\n--b--\r\n", 0, 3, 3},
    {"nested", MIXED("b") "\r\n--b\r\n" MIXED("c") "\r\n--c\r\n\r\n--c--\r\n--b--", 0, 3, 3},
    {"the inner one has no end", MIXED("b") "\r\n--b\r\n" MIXED("c") "\r\n--c\r\n\r\n--b--",
     SMTP_MIME_UNENDED, 3, 3},
    {"no end", MIXED("b") "\r\n--b\r\n\r\nx", SMTP_MIME_UNENDED, 2, 2},
    {"no boundary", "Content-Type: multipart/mixed\r\n\r\n--\r\n\r\n--\r\n",
     SMTP_MIME_NO_BOUNDARY, 1, 1},
    {"empty boundary", MIXED("") "\r\n--\r\n\r\n----\r\n", SMTP_MIME_NO_BOUNDARY, 1, 1},
    {"two boundaries",
     "Content-Type: multipart/mixed; boundary=b; boundary=c\r\n\r\n--b\r\n\r\n--c\r\n--b--",
     SMTP_MIME_ODD_BOUNDARY, 2, 2},
    {"the same boundary", MIXED("b") "\r\n--b\r\n" MIXED("b") "\r\n--b\r\n\r\n--b--\r\n--b--",
     SMTP_MIME_ODD_BOUNDARY, 3, 3},
    {"begun by the outer one",
     MIXED("b") "\r\n--b\r\n" MIXED("bc") "\r\n--bc\r\n\r\n--bc--\r\n--b--",
     SMTP_MIME_ODD_BOUNDARY, 3, 3},
    {"begins the outer one",
     MIXED("bc") "\r\n--bc\r\n" MIXED("b") "\r\n--b\r\n\r\n--b--\r\n--bc--",
     SMTP_MIME_ODD_BOUNDARY, 3, 3},
    {"foreign characters", MIXED("b\x01") "\r\n--b\x01\r\n\r\n--b\x01--",
     SMTP_MIME_ODD_BOUNDARY, 2, 2},
    {"70 characters",
     MIXED(
         "0123456789012345678901234567890123456789012345678901234567890123456789") "\r\n--"
                                                                                   "01234567890"
                                                                                   "12345678901"
                                                                                   "23456789012"
                                                                                   "34567890123"
                                                                                   "45678901234"
                                                                                   "56789012345"
                                                                                   "6789--",
     0, 1, 1},
    {"71 characters",
     MIXED(
         "01234567890123456789012345678901234567890123456789012345678901234567890") "\r\n--"
                                                                                    "0123456789"
                                                                                    "0123456789"
                                                                                    "0123456789"
                                                                                    "0123456789"
                                                                                    "0123456789"
                                                                                    "0123456789"
                                                                                    "0123456789"
                                                                                    "0--",
     SMTP_MIME_ODD_BOUNDARY, 1, 1},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct bytes text = bytes_of(rows[i].text);
        for (size_t cut = 1; cut <= text.len + 1; cut++)
            check(rows[i].name, text, rows[i].faults, rows[i].parts, rows[i].depth, cut,
                  text.len + 1);
        check(rows[i].name, text, rows[i].faults, rows[i].parts, rows[i].depth, 1, 1);
    }
}

/* Row 22 of the list of attacks. */
static void test_limits(void **state)
{
    struct buffer text = BUFFER_EMPTY;
    (void)state;

    for (size_t depth = 99; depth <= 1000; depth = depth < 102 ? depth + 1 : depth * 3) {
        buffer_clear(&text); /* `depth` multiparts, and one part in the last */
        for (size_t i = 0; i < depth; i++)
            buffer_printf(&text, MIXED("b%zux") "\r\n--b%zux\r\n", i, i);
        for (size_t i = depth; i-- > 0;)
            buffer_printf(&text, "\r\n--b%zux--\r\n", i);
        bool is_fine = depth < SMTP_MIME_DEPTH_MAX;
        size_t want = is_fine ? depth + 1 : SMTP_MIME_DEPTH_MAX;
        check("multiparts", buffer_bytes(&text), is_fine ? 0 : SMTP_MIME_TOO_DEEP, want, want,
              997, 997);
        buffer_clear(&text);
        for (size_t i = 0; i < depth; i++)
            buffer_add_string(&text, NESTED "\r\n");
        check("messages", buffer_bytes(&text), is_fine ? 0 : SMTP_MIME_TOO_DEEP, want, want,
              997, 997);
    }
    for (size_t parts = 998; parts <= 1000000; parts = parts < 1001 ? parts + 1 : parts * 999) {
        buffer_clear(&text);
        buffer_add_string(&text, MIXED("b") "\r\n");
        for (size_t i = 0; i < parts; i++)
            buffer_add_string(&text, "--b\r\n\r\n\r\n");
        buffer_add_string(&text, "--b--");
        bool is_fine = parts < SMTP_MIME_PART_COUNT_MAX;
        check("parts", buffer_bytes(&text), is_fine ? 0 : SMTP_MIME_TOO_MANY_PARTS,
              is_fine ? parts + 1 : SMTP_MIME_PART_COUNT_MAX, 2, 997, 997);
    }
    for (size_t count = 100; count <= 100000; count = count < 101 ? count + 1 : count * 990) {
        buffer_clear(&text); /* continuations of RFC 2231 among them */
        buffer_add_string(&text, "Content-Type: text/plain");
        for (size_t i = 0; i < count && buffer_len(&text) < 200 * 1024; i++)
            buffer_printf(&text, ";\r\n name*%zu=(;);", i++);
        buffer_add_string(&text, "\r\n\r\n");
        check("parameters", buffer_bytes(&text),
              count == 100 ? 0 : SMTP_MIME_TOO_MANY_PARAMETERS, 1, 1, 997, 997);
    }
    buffer_clear(&text);
    buffer_add_string(&text, MIXED("b") "\r\n--b\r\n");
    for (size_t i = 0; i < 100000; i++)
        buffer_add_string(&text, "Content-Type: x\r\n");
    buffer_add_string(&text, "\r\n--b\r\n\r\n--b--\r\n");
    check("header", buffer_bytes(&text), SMTP_MIME_HEADER_TOO_LARGE, 3, 2, 997, 997);
    buffer_clear(&text);
    buffer_add_string(&text, MIXED("b"));
    while (buffer_len(&text) < MAIL_HEADER_SIZE_MAX)
        buffer_add_string(&text, "X: y\r\n");
    buffer_add_string(&text, "\r\n--b\r\n\r\n--b--\r\n");
    check("header of a multipart", buffer_bytes(&text), SMTP_MIME_HEADER_TOO_LARGE, 1, 1, 997,
          997);
    buffer_fini(&text);
}

static void test_verdicts(void **state)
{
    struct smtp_mime_report report;
    (void)state;
    report = play(BYTES("Subject: x\r\n\r\n"), 1, 1);
    assert_int_equal(report.verdict, SMTP_MIME_FINE);
    report = play(BYTES(MIXED("") "\r\n"), 1, 1);
    assert_int_equal(report.verdict, SMTP_MIME_ODD);
    struct buffer text = BUFFER_EMPTY;
    for (size_t i = 0; i < 101; i++)
        buffer_add_string(&text, NESTED "\r\n");
    report = play(buffer_bytes(&text), 1, 1);
    assert_int_equal(report.verdict, SMTP_MIME_EXCESSIVE);
    buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_verdicts),
    };
    return cmocka_run_group_tests_name("smtp/message/mime_guard", tests, NULL, NULL);
}
