/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/node/mail/scan.h"

#define MULTI "Content-Type: multipart/mixed; boundary=B\r\n"

/* Whole messages, and their trees with the bytes that the offsets of each part name. */
static const struct {
    const char *name;
    const char *message;
    const char *want;
} messages[] = {
    {"nothing", "", "1 TEXT/PLAIN 0 [][]\n"},
    {"only an empty line", "\r\n", "1 TEXT/PLAIN 0 [\r\n][]\n"},
    {"plain", "Subject: a\r\n\r\none\r\ntwo\r\n",
     "1 TEXT/PLAIN 2 [Subject: a\r\n\r\n][one\r\ntwo\r\n]\n"},
    {"no line end at the end", "Subject: a\r\n\r\none\r\ntwo",
     "1 TEXT/PLAIN 2 [Subject: a\r\n\r\n][one\r\ntwo]\n"},
    {"header alone", "Subject: a\r\n", "1 TEXT/PLAIN 0 [Subject: a\r\n][]\n"},
    {"header cut", "Subject: a", "1 TEXT/PLAIN 0 [Subject: a][]\n"},
    {"bare line feeds end nothing", "Subject: a\n\nb\r\n\r\nc\nd\r\n",
     "1 TEXT/PLAIN 1 [Subject: a\n\nb\r\n\r\n][c\nd\r\n]\n"},
    {"lines that are no header do not end it", "From x\r\nno colon\r\nA: b\r\n\r\nc",
     "1 TEXT/PLAIN 1 [From x\r\nno colon\r\nA: b\r\n\r\n][c]\n"},
    {"two parts with preamble and epilogue",
     MULTI "\r\npreamble\r\n--B\r\n\r\none\r\n--B\r\nContent-Type: text/html\r\n\r\ntwo\r\n\r\n"
           "--B--\r\nepilogue\r\n",
     "1 MULTIPART/MIXED 11 [" MULTI "\r\n]\n"
     "1.1 TEXT/PLAIN 1 [\r\n][one]\n"
     "1.2 TEXT/HTML 1 [Content-Type: text/html\r\n\r\n][two\r\n]\n"},
    {"an empty body", MULTI "\r\n--B\r\nA: b\r\n\r\n--B\r\nA: c\r\n\r\n\r\n--B--\r\n",
     "1 MULTIPART/MIXED 8 [" MULTI "\r\n]\n"
     "1.1 TEXT/PLAIN 0 [A: b\r\n\r\n][]\n"
     "1.2 TEXT/PLAIN 0 [A: c\r\n\r\n][]\n"},
    {"a boundary inside a header", MULTI "\r\n--B\r\nA: b\r\n--B\r\n--B--",
     "1 MULTIPART/MIXED 4 [" MULTI "\r\n]\n"
     "1.1 TEXT/PLAIN 0 [A: b\r\n][]\n"
     "1.2 TEXT/PLAIN 0 [][]\n"},
    {"no end boundary", MULTI "\r\n--B\r\n\r\none",
     "1 MULTIPART/MIXED 3 [" MULTI "\r\n]\n"
     "1.1 TEXT/PLAIN 1 [\r\n][one]\n"},
    {"white space behind boundaries, none before",
     MULTI "\r\n--B \t \r\n\r\none\r\n --B\r\n--Bx\r\n--B\r\r\n--B-- ",
     "1 MULTIPART/MIXED 7 [" MULTI "\r\n]\n"
     "1.1 TEXT/PLAIN 4 [\r\n][one\r\n --B\r\n--Bx\r\n--B\r]\n"},
    {"a boundary after a bare line feed is none", MULTI "\r\n--B\r\n\r\none\n--B\r\n--B--\r\n",
     "1 MULTIPART/MIXED 4 [" MULTI "\r\n]\n"
     "1.1 TEXT/PLAIN 1 [\r\n][one\n--B]\n"},
    {"nothing opens after the end", MULTI "\r\n--B\r\n\r\none\r\n--B--\r\n--B\r\n\r\ntwo\r\n",
     "1 MULTIPART/MIXED 7 [" MULTI "\r\n]\n"
     "1.1 TEXT/PLAIN 1 [\r\n][one]\n"},
    {"a boundary that starts like another",
     MULTI "\r\n--B\r\nContent-Type: multipart/alternative; boundary=BB\r\n\r\n"
           "--BB\r\n\r\none\r\n--BB--\r\n--B\r\n\r\ntwo\r\n--B--\r\n",
     "1 MULTIPART/MIXED 11 [" MULTI "\r\n]\n"
     "1.1 MULTIPART/ALTERNATIVE 4 [Content-Type: multipart/alternative; boundary=BB\r\n\r\n]\n"
     "1.1.1 TEXT/PLAIN 1 [\r\n][one]\n"
     "1.2 TEXT/PLAIN 1 [\r\n][two]\n"},
    {"an outer boundary ends inner parts",
     MULTI "\r\n--B\r\nContent-Type: multipart/alternative; boundary=\"c d\"\r\n\r\n"
           "--c d\r\n\r\none\r\n--B\r\n\r\ntwo\r\n--B--\r\n",
     "1 MULTIPART/MIXED 10 [" MULTI "\r\n]\n"
     "1.1 MULTIPART/ALTERNATIVE 3 [Content-Type: multipart/alternative; "
     "boundary=\"c d\"\r\n\r\n]\n"
     "1.1.1 TEXT/PLAIN 1 [\r\n][one]\n"
     "1.2 TEXT/PLAIN 1 [\r\n][two]\n"},
    {"a message inside",
     MULTI
     "\r\n--B\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\nbody\r\n--B--\r\n",
     "1 MULTIPART/MIXED 7 [" MULTI "\r\n]\n"
     "1.1 MESSAGE/RFC822 3 [Content-Type: message/rfc822\r\n\r\n]\n"
     "1.1.1 TEXT/PLAIN 1 [Subject: in\r\n\r\n][body]\n"},
    {"a message inside without a body",
     MULTI "\r\n--B\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n--B--\r\n",
     "1 MULTIPART/MIXED 5 [" MULTI "\r\n]\n"
     "1.1 MESSAGE/RFC822 1 [Content-Type: message/rfc822\r\n\r\n]\n"
     "1.1.1 TEXT/PLAIN 0 [Subject: in\r\n][]\n"},
    {"a message inside without anything",
     MULTI "\r\n--B\r\nContent-Type: message/rfc822\r\n--B--\r\n",
     "1 MULTIPART/MIXED 3 [" MULTI "\r\n]\n"
     "1.1 MESSAGE/RFC822 0 [Content-Type: message/rfc822\r\n]\n"
     "1.1.1 TEXT/PLAIN 0 [][]\n"},
    {"an encoded message stays closed",
     "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nQTogYg==\r\n",
     "1 MESSAGE/RFC822 1 [Content-Type: message/rfc822\r\nContent-Transfer-Encoding: "
     "base64\r\n\r\n][QTogYg==\r\n]\n"},
    {"a digest has messages",
     "Content-Type: multipart/digest; boundary=B\r\n\r\n--B\r\n\r\nA: b\r\n\r\nc\r\n"
     "--B\r\nContent-Type: text/plain\r\n\r\nd\r\n--B--\r\n",
     "1 MULTIPART/DIGEST 10 [Content-Type: multipart/digest; boundary=B\r\n\r\n]\n"
     "1.1 MESSAGE/RFC822 3 [\r\n]\n"
     "1.1.1 TEXT/PLAIN 1 [A: b\r\n\r\n][c]\n"
     "1.2 TEXT/PLAIN 1 [Content-Type: text/plain\r\n\r\n][d]\n"},
    {"no boundary, no parts", "Content-Type: multipart/mixed\r\n\r\n--\r\n\r\na\r\n",
     "1 MULTIPART/MIXED 3 [Content-Type: multipart/mixed\r\n\r\n][--\r\n\r\na\r\n]\n"},
    {"an empty boundary matches no signature",
     "Content-Type: multipart/mixed; boundary=\"\"\r\n\r\na\r\n-- \r\nb\r\n",
     "1 MULTIPART/MIXED 3 [Content-Type: multipart/mixed; boundary=\"\"\r\n\r\n]"
     "[a\r\n-- \r\nb\r\n]\n"},
    {"a boundary in continuations",
     "Content-Type: multipart/mixed; boundary*1=\"C\"; boundary*0=B\r\n\r\n--BC\r\n\r\na\r\n"
     "--BC--",
     "1 MULTIPART/MIXED 4 [Content-Type: multipart/mixed; boundary*1=\"C\"; "
     "boundary*0=B\r\n\r\n]\n"
     "1.1 TEXT/PLAIN 1 [\r\n][a]\n"},
    {"a broken type is plain text", "Content-Type: text\r\nContent-Type: text/html\r\n\r\na",
     "1 TEXT/PLAIN 1 [Content-Type: text\r\nContent-Type: text/html\r\n\r\n][a]\n"},
};

static void assert_inside(const struct mail_part *part, uint64_t at, uint64_t end)
{
    for (; part != NULL; part = part->next) {
        assert_true(part->header_at >= at);
        assert_int_equal(part->body_at, part->header_at + part->header_len);
        assert_true(part->body_at + part->body_len <= end);
        assert_inside(part->children, part->body_at, part->body_at + part->body_len);
        at = part->body_at + part->body_len;
    }
}

static void test_trees_and_offsets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct bytes message = bytes_of(messages[i].message);
        struct buffer text = BUFFER_EMPTY;
        struct mail_summary summary;
        struct arena arena;
        arena_init(&arena);
        scan(message, 0, 0, &arena, &summary);
        dump_parts(&text, message, summary.root, "");
        buffer_add_byte(&text, '\0');
        if (strcmp((const char *)text.memory, messages[i].want) != 0)
            print_error("%s\n", messages[i].name);
        assert_string_equal((const char *)text.memory, messages[i].want);
        assert_int_equal(summary.size, message.len);
        assert_false(summary.truncated);
        assert_inside(summary.root, 0, message.len);
        buffer_fini(&text);
        arena_fini(&arena);
    }
}

static void assert_equal_encoded(struct bytes message, size_t first, size_t piece,
                                 struct bytes want)
{
    struct mail_summary summary;
    struct arena arena;

    arena_init(&arena);
    scan(message, first, piece, &arena, &summary);
    struct bytes encoded = mail_summary_encode(&summary, &arena);
    assert_int_equal(encoded.len, want.len);
    assert_memory_equal(encoded.at, want.at, want.len);
    arena_fini(&arena);
}

static void test_cuts_do_not_matter(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        struct bytes message = bytes_of(messages[i].message);
        struct mail_summary summary;
        struct arena arena;
        arena_init(&arena);
        scan(message, 0, 0, &arena, &summary);
        struct bytes want = mail_summary_encode(&summary, &arena);
        for (size_t cut = 1; cut < message.len; cut++)
            assert_equal_encoded(message, cut, 0, want);
        assert_equal_encoded(message, 1, 1, want);
        assert_equal_encoded(message, 3, 7, want);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trees_and_offsets),
        cmocka_unit_test(test_cuts_do_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
