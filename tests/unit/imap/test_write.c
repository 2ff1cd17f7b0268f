/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "imap/protocol/flags.h"
#include "imap/protocol/write.h"
#include "node/base/arena.h"
#include "storage/schema/flags.h"

/* The message of RFC 3501 section 8, whose body is `lines` lines of `size` bytes in all. */
static const char header[] = "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\n"
                             "From: Terry Gray <gray@cac.washington.edu>\r\n"
                             "Subject: IMAP4rev1 WG mtg summary and minutes\r\n"
                             "To: imap@cac.washington.edu\r\n"
                             "cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
                             "Message-Id: <B27397-0100000@cac.washington.edu>\r\n"
                             "MIME-Version: 1.0\r\n"
                             "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n";

static void add_body(struct buffer *text, size_t size, size_t lines)
{
    size_t last = size - (lines - 1) * 2;

    for (size_t i = 1; i < lines; i++)
        buffer_add_string(text, "\r\n");
    for (size_t i = 2; i < last; i++)
        buffer_add_byte(text, 'x');
    buffer_add_string(text, "\r\n");
}

static void scan(struct bytes text, struct arena *arena, struct mail_summary *summary)
{
    struct mail_scanner *scanner = mail_scanner_new();

    mail_scanner_feed(scanner, text);
    mail_scanner_finish(scanner, arena, summary);
    mail_scanner_free(&scanner);
}

static void check_text(struct buffer *out, const char *want)
{
    buffer_add_byte(out, '\0');
    assert_string_equal((const char *)buffer_bytes(out).at, want);
    buffer_clear(out);
}

static void test_rfc_example(void **state)
{
    struct arena arena;
    struct buffer text = BUFFER_EMPTY;
    struct buffer out = BUFFER_EMPTY;
    struct mail_summary summary;

    (void)state;
    arena_init(&arena);
    buffer_add_string(&text, header);
    assert_int_equal(buffer_len(&text), 342);
    add_body(&text, 3028, 92);
    scan(buffer_bytes(&text), &arena, &summary);
    imap_write_envelope(&out, &summary.envelope);
    check_text(&out, "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" "
                     "\"IMAP4rev1 WG mtg summary and minutes\" "
                     "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                     "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                     "((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) "
                     "((NIL NIL \"imap\" \"cac.washington.edu\")) "
                     "((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")"
                     "(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL "
                     "\"<B27397-0100000@cac.washington.edu>\")");
    imap_write_structure(&out, summary.root, false);
    check_text(&out,
               "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 3028 92)");
    buffer_fini(&text);
    buffer_fini(&out);
    arena_fini(&arena);
}

/* RFC 3501 section 7.4.2, "A two part message consisting of a text and a BASE64-encoded text".
 */
static void test_rfc_two_parts(void **state)
{
    struct arena arena;
    struct buffer text = BUFFER_EMPTY;
    struct buffer out = BUFFER_EMPTY;
    struct mail_summary summary;

    (void)state;
    arena_init(&arena);
    buffer_add_string(&text, "Content-Type: MULTIPART/MIXED; BOUNDARY=bb\r\n\r\n--bb\r\n"
                             "Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n");
    add_body(&text, 1152, 23);
    buffer_add_string(&text, "\r\n--bb\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII; "
                             "NAME=\"cc.diff\"\r\n"
                             "Content-ID: <960723163407.20117h@cac.washington.edu>\r\n"
                             "Content-Description: Compiler diff\r\n"
                             "Content-Transfer-Encoding: BASE64\r\n\r\n");
    add_body(&text, 4554, 73);
    buffer_add_string(&text, "\r\n--bb--\r\n");
    scan(buffer_bytes(&text), &arena, &summary);
    imap_write_structure(&out, summary.root, false);
    check_text(&out, "((\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\") NIL NIL \"7BIT\" 1152 23)"
                     "(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"US-ASCII\" \"NAME\" \"cc.diff\") "
                     "\"<960723163407.20117h@cac.washington.edu>\" \"Compiler diff\" "
                     "\"BASE64\" 4554 73) \"MIXED\")");
    buffer_fini(&text);
    buffer_fini(&out);
    arena_fini(&arena);
}

static void test_nested_and_extended(void **state)
{
    static const char message[] =
        "Content-Type: multipart/mixed; boundary=\"a b\"\r\n\r\n"
        "--a b\r\nContent-Type: message/rfc822\r\nContent-Language: en, de\r\n"
        "Content-Disposition: attachment; filename=x.eml\r\n\r\n"
        "Subject: In\r\nFrom: a@b\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
        "--i\r\n\r\none\r\n--i\r\nContent-Type: text/html\r\nContent-MD5: xyz\r\n"
        "Content-Language: fr\r\nContent-Location: http://x/\r\n\r\ntwo\r\n--i--\r\n"
        "--a b\r\nContent-Type: application/pdf\r\n\r\n%\r\n--a b--\r\n";
    struct arena arena;
    struct buffer out = BUFFER_EMPTY;
    struct mail_summary summary;

    (void)state;
    arena_init(&arena);
    scan(bytes_of(message), &arena, &summary);
    imap_write_structure(&out, summary.root, true);
    check_text(&out,
               "((\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 198 "
               "(NIL \"In\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
               "((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL) "
               "((\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 3 1 NIL NIL NIL NIL)"
               "(\"TEXT\" \"HTML\" NIL NIL NIL \"7BIT\" 3 1 \"xyz\" NIL \"fr\" \"http://x/\") "
               "\"ALTERNATIVE\" (\"boundary\" \"i\") NIL NIL NIL) 15 NIL "
               "(\"ATTACHMENT\" (\"filename\" \"x.eml\")) (\"en\" \"de\") NIL)"
               "(\"APPLICATION\" \"PDF\" NIL NIL NIL \"7BIT\" 1 NIL NIL NIL NIL) "
               "\"MIXED\" (\"boundary\" \"a b\") NIL NIL NIL)");
    buffer_fini(&out);
    arena_fini(&arena);
}

static void test_empty_multipart_and_message(void **state)
{
    struct mail_part inner = {.type = BYTES("MESSAGE"),
                              .subtype = BYTES("RFC822"),
                              .encoding = BYTES("7BIT"),
                              .body_len = 7,
                              .lines = 1};
    struct mail_part outer = {.type = BYTES("MULTIPART"), .subtype = BYTES("MIXED")};
    struct buffer out = BUFFER_EMPTY;

    (void)state;
    imap_write_structure(&out, &outer, false);
    check_text(&out, "((\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0) \"MIXED\")");
    imap_write_structure(&out, &inner, false);
    check_text(&out, "(\"MESSAGE\" \"RFC822\" NIL NIL NIL \"7BIT\" 7 "
                     "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL) "
                     "(\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 0 0) 1)");
    buffer_fini(&out);
}

/* RFC 3501 section 7.4.2: a group has NILs where a mailbox must never have one. */
static void test_groups_and_missing_parts(void **state)
{
    struct mail_address addresses[] = {
        {.local = BYTES("friends"), .group = MAIL_ADDRESS_GROUP_START},
        {.name = BYTES("A \"B\""), .local = BYTES("ab")},
        {.group = MAIL_ADDRESS_GROUP_END},
        {.route = BYTES("@x"), .domain = BYTES("y")},
    };
    struct mail_envelope envelope = {
        .date = BYTES(""),
        .subject = BYTES("\xc3\xa4"),
        .to = {addresses, 4},
    };
    struct buffer out = BUFFER_EMPTY;

    (void)state;
    imap_write_envelope(&out, &envelope);
    check_text(&out, "(\"\" {2}\r\n\xc3\xa4 NIL NIL NIL "
                     "((NIL NIL \"friends\" NIL)(\"A \\\"B\\\"\" NIL \"ab\" \"\")"
                     "(NIL NIL NIL NIL)(NIL \"@x\" \"\" \"y\")) NIL NIL NIL NIL)");
    buffer_fini(&out);
}

static void test_strings(void **state)
{
    struct buffer out = BUFFER_EMPTY;

    (void)state;
    imap_write_astring(&out, BYTES("atom"));
    imap_write_astring(&out, BYTES(" nil"));
    imap_write_astring(&out, BYTES("nil"));
    imap_write_astring(&out, BYTES(""));
    imap_write_astring(&out, BYTES("a\\b"));
    imap_write_astring(&out, BYTES("a\r\nb\0c"));
    check_text(&out, "atom\" nil\"\"nil\"\"\"\"a\\\\b\"{5}\r\na\r\nbc");
    imap_write_string(&out, BYTES("a\0b"));
    check_text(&out, "{2}\r\nab");
    imap_write_mailbox(&out, BYTES("B\xc3\xbc\x63her & co"));
    check_text(&out, "\"B&APw-cher &- co\"");
    buffer_fini(&out);
}

static void test_flags(void **state)
{
    char one[] = "$Forwarded", two[] = "x";
    char *names[] = {one, two};
    struct imap_keywords keywords = {NULL, 0};
    struct buffer out = BUFFER_EMPTY;

    (void)state;
    imap_keywords_set(&keywords, names, 2);
    imap_flags_write(FLAG_SEEN | 1 << 9 | 1ULL << 63, &keywords, &out);
    imap_known_flags_write(&keywords, true, &out);
    check_text(&out,
               "(\\Seen x)(\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded x \\*)");
    assert_true(imap_keywords_equal(&keywords, names, 2));
    assert_false(imap_keywords_equal(&keywords, names, 1));
    imap_keywords_fini(&keywords);
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_example),
        cmocka_unit_test(test_rfc_two_parts),
        cmocka_unit_test(test_nested_and_extended),
        cmocka_unit_test(test_empty_multipart_and_message),
        cmocka_unit_test(test_groups_and_missing_parts),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
