/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/mail/text.h"
#include "smtp/message/binary_convert.h"

static struct smtp_convert_report play(struct bytes text, size_t cut, size_t step,
                                       struct buffer *output)
{
    struct smtp_convert *convert = smtp_convert_new();

    for (size_t at = 0, len = cut; at < text.len; at += len, len = step) {
        len = len < text.len - at ? len : text.len - at;
        smtp_convert_feed(convert, bytes_from(text.at + at, len), output);
    }
    struct smtp_convert_report report = smtp_convert_finish(convert, output);
    smtp_convert_free(&convert);
    return report;
}

#define CTE(encoding) "Content-Transfer-Encoding: " encoding "\r\n"
#define MIXED(boundary) "Content-Type: multipart/mixed; boundary=" boundary "\r\n"
#define SIGNED "Content-Type: multipart/signed; boundary=s\r\n"
#define IMAGE "Content-Type: image/png\r\n"
#define SAME ""

enum { SIGNED_LEFT = 1, STRAY = 2, HAS_8BIT = 4, BINARY = 8 };

static const struct row {
    const char *name;
    struct bytes input;
    struct bytes want; /* SAME: what came in */
    size_t converted;
    unsigned flags;
} rows[] = {
    {"nothing", BYTES_INIT(""), BYTES_INIT(SAME), 0, 0},
    {"nothing binary", BYTES_INIT(IMAGE CTE("8bit") "\r\nx\xFF\r\n"), BYTES_INIT(SAME), 0,
     HAS_8BIT},
    {"image", BYTES_INIT("A: b\r\n" IMAGE CTE("binary") "C: d\r\n\r\n\0\n\r\xFF"),
     BYTES_INIT("A: b\r\n" IMAGE CTE("base64") "C: d\r\n\r\nAAoN/w==\r\n"), 1, 0},
    {"image without content", BYTES_INIT(IMAGE CTE("binary") "\r\n"),
     BYTES_INIT(IMAGE CTE("base64") "\r\n"), 1, 0},
    {"field with a comment, twice, folded",
     BYTES_INIT("content-transfer-encoding :\r\n (x)BINARY(y)\r\n" CTE("8bit") IMAGE "\r\nx"),
     BYTES_INIT(CTE("base64") IMAGE "\r\neA==\r\n"), 1, 0},
    {"the first field counts", BYTES_INIT(CTE("8bit") CTE("binary") IMAGE "\r\nx\r\n"),
     BYTES_INIT(SAME), 0, 0},
    {"text of lines", BYTES_INIT(CTE("binary") "\r\nx\xC3\xA4\r\n"),
     BYTES_INIT(CTE("8bit") "\r\nx\xC3\xA4\r\n"), 1, HAS_8BIT},
    {"text with NUL", BYTES_INIT(CTE("binary") "\r\nx\0\r\n"),
     BYTES_INIT(CTE("base64") "\r\neAANCg==\r\n"), 1, 0},
    {"text with LF", BYTES_INIT(CTE("binary") "\r\nx\ny"),
     BYTES_INIT(CTE("base64") "\r\neAp5\r\n"), 1, 0},
    {"text with CR", BYTES_INIT(CTE("binary") "\r\nx\ry"),
     BYTES_INIT(CTE("base64") "\r\neA15\r\n"), 1, 0},
    {"text with CR at its end", BYTES_INIT(CTE("binary") "\r\nx\r"),
     BYTES_INIT(CTE("base64") "\r\neA0=\r\n"), 1, 0},
    {"parts",
     BYTES_INIT(
         MIXED("b")
             CTE("binary") "\r\npre\r\n--b\r\n" IMAGE CTE("binary") "\r\n\r\n\0\r\n--b\r\n" CTE(
                 "binary") "\r\nx\r\n--b\r\n" IMAGE CTE("8bit") "\r\ny\r\n--b--\r\npost\r\n"),
     BYTES_INIT(
         MIXED("b")
             CTE("8bit") "\r\npre\r\n--b\r\n" IMAGE CTE("base64") "\r\nDQoA\r\n--b\r\n" CTE(
                 "8bit") "\r\nx\r\n--b\r\n" IMAGE CTE("8bit") "\r\ny\r\n--b--\r\npost\r\n"),
     3, 0},
    {"part without content",
     BYTES_INIT(MIXED("b") "\r\n--b\r\n" IMAGE CTE("binary") "\r\n--b--"),
     BYTES_INIT(MIXED("b") "\r\n--b\r\n" IMAGE CTE("base64") "\r\n--b--"), 1, 0},
    {"part without an end of its header",
     BYTES_INIT(MIXED("b") "\r\n--b\r\n" IMAGE CTE("binary") "--b--"),
     BYTES_INIT(MIXED("b") "\r\n--b\r\n" IMAGE CTE("base64") "--b--"), 1, 0},
    {"parts without an end", BYTES_INIT(MIXED("b") "\r\n--b\r\n" IMAGE CTE("binary") "\r\n\r"),
     BYTES_INIT(MIXED("b") "\r\n--b\r\n" IMAGE CTE("base64") "\r\nDQ==\r\n"), 1, 0},
    {"almost a boundary",
     BYTES_INIT(MIXED("b") "\r\n--b\r\n" IMAGE CTE("binary") "\r\n\n--b\r\r\n--bx\r\n--b--"),
     BYTES_INIT(MIXED("b") "\r\n--b\r\n" IMAGE CTE("base64") "\r\nCi0tYg0NCi0tYng=\r\n--b--"),
     1, 0},
    {"message inside",
     BYTES_INIT("Content-Type: message/rfc822\r\n" CTE("binary") "\r\nSubject: x\r\n" IMAGE CTE(
         "binary") "\r\n\0"),
     BYTES_INIT("Content-Type: message/rfc822\r\n" CTE("8bit") "\r\nSubject: x\r\n" IMAGE CTE(
         "base64") "\r\nAA==\r\n"),
     2, 0},
    {"signed",
     BYTES_INIT(SIGNED CTE("binary") "\r\n--s\r\n" IMAGE CTE("binary") "\r\n\0\r\n--s\r\n" CTE(
         "7bit") "\r\nsig\r\n--s--\r\n"),
     BYTES_INIT(SIGNED CTE("8bit") "\r\n--s\r\n" IMAGE CTE("binary") "\r\n\0\r\n--s\r\n" CTE(
         "7bit") "\r\nsig\r\n--s--\r\n"),
     1, SIGNED_LEFT | BINARY},
    {"deep in a signed one",
     BYTES_INIT(SIGNED "\r\n--s\r\n" MIXED("b")
                    CTE("binary") "\r\n--b\r\n" CTE("binary") "\r\nx\r\r\n--b--\r\n--s--\r\n"),
     BYTES_INIT(SAME), 0, SIGNED_LEFT | BINARY},
    {"signed, nothing binary in it",
     BYTES_INIT(SIGNED CTE("binary") "\r\n--s\r\n\r\nx\r\n--s\r\n\r\nsig\r\n--s--\r\n"),
     BYTES_INIT(SIGNED CTE("8bit") "\r\n--s\r\n\r\nx\r\n--s\r\n\r\nsig\r\n--s--\r\n"), 1, 0},
    {"beside a signed one",
     BYTES_INIT(MIXED("b") "\r\n--b\r\n" SIGNED
                           "\r\n--s--\r\n--b\r\n" IMAGE CTE("binary") "\r\n\0\r\n--b--"),
     BYTES_INIT(MIXED("b") "\r\n--b\r\n" SIGNED
                           "\r\n--s--\r\n--b\r\n" IMAGE CTE("base64") "\r\nAA==\r\n--b--"),
     1, 0},
    {"multipart without a boundary",
     BYTES_INIT("Content-Type: multipart/mixed\r\n" CTE("binary") "\r\nx\r\n"),
     BYTES_INIT(SAME), 0, BINARY},
    {"NUL where nothing is binary", BYTES_INIT(IMAGE "\r\n\0"), BYTES_INIT(SAME), 0,
     STRAY | BINARY},
    {"LF where nothing is binary", BYTES_INIT("A: b\n\r\n\r\nx\r\n"), BYTES_INIT(SAME), 0,
     STRAY | BINARY},
    {"CR where nothing is binary", BYTES_INIT("A: b\r\n\r\nx\r"), BYTES_INIT(SAME), 0,
     STRAY | BINARY},
};

static unsigned flags_of(const struct smtp_convert_report *report)
{
    return (report->is_signed_left ? SIGNED_LEFT : 0U) | (report->is_stray ? STRAY : 0U) |
           (report->is_8bit ? HAS_8BIT : 0U) | (report->is_binary ? BINARY : 0U);
}

static void check(const struct row *row, size_t cut, size_t step)
{
    struct buffer output = BUFFER_EMPTY;
    struct smtp_convert_report report = play(row->input, cut, step, &output);
    struct bytes want = row->want.len == 0 ? row->input : row->want;

    if (!bytes_equal(buffer_bytes(&output), want) || report.converted != row->converted ||
        flags_of(&report) != row->flags) {
        print_error("%s (cut at %zu): %zu converted, flags %u\n%.*s\n", row->name, cut,
                    report.converted, flags_of(&report), BYTES_ARG(buffer_bytes(&output)));
        fail();
    }
    buffer_fini(&output);
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = rows[i].input.len;
        for (size_t cut = 1; cut <= len + 1; cut++)
            check(&rows[i], cut, len + 1);
        check(&rows[i], 1, 1);
    }
}

/* What a part of the given length becomes, and back. */
static void test_sizes(void **state)
{
    (void)state;
    for (size_t size = 0; size < 400; size = size < 130 ? size + 1 : size * 2) {
        struct buffer text = BUFFER_EMPTY;
        struct buffer output = BUFFER_EMPTY;
        struct buffer decoded = BUFFER_EMPTY;
        buffer_add_string(&text, IMAGE CTE("binary") "\r\n");
        size_t header = buffer_len(&text);
        for (size_t i = 0; i < size; i++)
            buffer_add_byte(&text, (uint8_t)(i * 37));
        play(buffer_bytes(&text), 7, 11, &output);
        struct bytes body = bytes_skip(buffer_bytes(&output), header);
        mail_decode_transfer(BYTES("BASE64"), body, &decoded);
        assert_true(
            bytes_equal(buffer_bytes(&decoded), bytes_skip(buffer_bytes(&text), header)));
        assert_int_equal(body.len, (size + 2) / 3 * 4 + (size + 56) / 57 * 2);
        for (struct bytes line = body; line.len > 0;) {
            size_t len = bytes_find(line, '\n');
            assert_true(len < line.len && len <= 77 && line.at[len - 1] == '\r');
            line = bytes_skip(line, len + 1);
        }
        buffer_fini(&text);
        buffer_fini(&output);
        buffer_fini(&decoded);
    }
}

static bool is_8bit(struct bytes output)
{
    return output.len > 31 && memcmp(output.at, CTE("8bit"), 31) == 0;
}

static void test_text_limits(void **state)
{
    struct buffer text = BUFFER_EMPTY;
    (void)state;
    for (size_t extra = 0; extra < 2; extra++) {
        struct buffer output = BUFFER_EMPTY;
        buffer_clear(&text); /* a line */
        buffer_add_string(&text, CTE("binary") "\r\n");
        for (size_t i = 0; i < SMTP_CONVERT_LINE_SIZE_MAX + extra; i++)
            buffer_add_byte(&text, 'x');
        buffer_add_string(&text, "\r\nx\r\n");
        play(buffer_bytes(&text), 3, 5, &output);
        assert_int_equal(is_8bit(buffer_bytes(&output)), extra == 0);
        buffer_clear(&output);
        buffer_clear(&text); /* all of them */
        buffer_add_string(&text, CTE("binary") "\r\n");
        for (size_t i = 0; i < SMTP_CONVERT_TEXT_SIZE_MAX + extra; i++)
            buffer_add_byte(&text, i % 16 == 14 ? '\r' : i % 16 == 15 ? '\n' : 'x');
        play(buffer_bytes(&text), 1000, 77, &output);
        assert_int_equal(is_8bit(buffer_bytes(&output)), extra == 0);
        buffer_fini(&output);
    }
    buffer_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_text_limits),
    };
    return cmocka_run_group_tests_name("smtp/message/binary_convert", tests, NULL, NULL);
}
