/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/node/mail/scan.h"

static struct arena arena;
static struct mail_summary summary;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

#define assert_bytes(bytes, text)                                                              \
    do {                                                                                       \
        assert_non_null((bytes).at);                                                           \
        assert_string_equal(arena_string(&arena, bytes), text);                                \
    } while (0)

/* name|route|local|domain, groups as "local:" and ";" */
static const char *addresses(const struct mail_address_list *list)
{
    struct buffer text = BUFFER_EMPTY;

    for (size_t i = 0; i < list->count; i++) {
        const struct mail_address *address = &list->at[i];
        if (address->group == MAIL_ADDRESS_GROUP_START)
            buffer_printf(&text, "%.*s: ", BYTES_ARG(address->local));
        else if (address->group == MAIL_ADDRESS_GROUP_END)
            buffer_printf(&text, "; ");
        else
            buffer_printf(&text, "%.*s|%.*s|%.*s|%.*s, ", BYTES_ARG(address->name),
                          BYTES_ARG(address->route), BYTES_ARG(address->local),
                          BYTES_ARG(address->domain));
    }
    const char *result = arena_string(&arena, buffer_bytes(&text));
    buffer_fini(&text);
    return result;
}

static void test_address_lists(void **state)
{
    static const struct {
        const char *value;
        const char *want;
    } rows[] = {
        {"a@b", "||a|b, "},
        {" a@b , <c@d>", "||a|b, ||c|d, "},
        {"Ann Bee <a@b>", "Ann Bee||a|b, "},
        {"\"Bee, Ann \\\"X\\\"\" <a@b>", "Bee, Ann \"X\"||a|b, "},
        {"John Q. Public <j@x>", "John Q. Public||j|x, "},
        {"a@b (Ann (the) Bee)", "Ann (the) Bee||a|b, "},
        {"<@x,@y:a@b>", "|@x,@y|a|b, "},
        {"\"odd local\"@b", "||odd local|b, "},
        {"john . doe @ b . c", "||john.doe|b.c, "},
        {"a@[192.0.2.1]", "||a|[192.0.2.1], "},
        {"Friends: a@b, c@d;, e@f", "Friends: ||a|b, ||c|d, ; ||e|f, "},
        {"undisclosed-recipients:;", "undisclosed-recipients: ; "},
        {"open group: a@b", "open group: ||a|b, ; "},
        {",, ,a@b,,", "||a|b, "},
        {"root", "||root|, "},
        {"just some words", "just some words|||, "},
        {"Daemon <>", "Daemon|||, "},
        {"=?utf-8?q?=C3=84?= <a@b>", "=?utf-8?q?=C3=84?=||a|b, "},
        {"folded\r\n name <a\r\n @b>", "folded name||a|b, "},
        {"[list] x <a@b> behind it", "[list] x||a|b, "},
        {"\"never closed <a@b>, c@d", "||never closed <a@b>, c@d|, "},
        {"(never closed <a@b>", ""},
        {"<a@b, c@d", "||a|b, ||c|d, "},
        {"a@b;c@d", "||a|b, ||c|d, "},
        {"@", "|||, "},
        {")>\\", ""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *message = arena_printf(&arena, "To: %s\r\n\r\n", rows[i].value);
        scan(bytes_of(message), 0, 0, &arena, &summary);
        assert_string_equal(addresses(&summary.envelope.to), rows[i].want);
    }
    (void)state;
}

static void test_envelope(void **state)
{
    static const char message[] = "Received: from a\r\n by b\r\n"
                                  "RECEIVED: from c\r\n"
                                  "Date : Sat, 21 Nov 2026 21:09:30 +0100\r\n"
                                  "Subject:\r\n =?utf-8?q?x?=\r\n\t y \r\n"
                                  "Subject: second\r\n"
                                  "From: a@b\r\nTo: c@d\r\nTo: e@f\r\n"
                                  "Message-ID: <1@x>\r\n"
                                  "In-Reply-To:\r\n\r\n"
                                  "  Gr\xC3\xBC\xC3\x9F"
                                  "e\r\n";

    (void)state;
    scan(bytes_of(message), 0, 0, &arena, &summary);
    assert_int_equal(summary.received_count, 2);
    assert_int_equal(summary.sent, 1795291770);
    assert_true(summary.has_8bit);
    assert_bytes(summary.envelope.date, "Sat, 21 Nov 2026 21:09:30 +0100");
    assert_bytes(summary.envelope.subject, "=?utf-8?q?x?=\t y");
    assert_string_equal(addresses(&summary.envelope.from), "||a|b, ");
    assert_string_equal(addresses(&summary.envelope.to), "||c|d, ||e|f, ");
    assert_int_equal(summary.envelope.cc.count, 0);
    assert_bytes(summary.envelope.message_id, "<1@x>");
    assert_bytes(summary.envelope.in_reply_to, "");
    assert_null(summary.root->id.at);
    assert_bytes(summary.root->encoding, "7BIT");
    /* No charset is named, so the bytes mean nothing. */
    assert_bytes(summary.preview, "Gr\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
                                  "e");
}

static const char *parameters(const struct mail_parameter *at, size_t count)
{
    struct buffer text = BUFFER_EMPTY;

    for (size_t i = 0; i < count; i++)
        buffer_printf(&text, "%.*s=%.*s|", BYTES_ARG(at[i].name), BYTES_ARG(at[i].value));
    const char *result = arena_string(&arena, buffer_bytes(&text));
    buffer_fini(&text);
    return result;
}

static void test_parameters(void **state)
{
    static const struct {
        const char *value;
        const char *want;
    } rows[] = {
        {"text/x; charset=UTF-8", "charset=UTF-8|"},
        {"text/x (c) ; charset = us-ascii (Plain text) ; a=\"b \\\"c\\\";d\"",
         "charset=us-ascii|a=b \"c\";d|"},
        {"text/x; name=my file.pdf ;x", "name=my file.pdf|"},
        {"text/x;;; =a; b; c=;d=1", "c=|d=1|"},
        {"text/x; n*0=a; n*1=\"b c\"; n*2=d", "n=ab cd|"},
        {"text/x; n*1=b; n*0=a; m=1", "n=ab|m=1|"},
        {"text/x; n*0*=utf-8''%C3%A4; n*1=\" b\"; n*2*=%20c", "n*=utf-8''%C3%A4%20b%20c|"},
        {"text/x; n*0=a; n*1*=%20", "n*=''a%20|"},
        {"text/x; n*=utf-8'en'%C3%A4", "n*=utf-8'en'%C3%A4|"},
        {"text/x; n*1=b; n*2=c", "n*1=b|n*2=c|"},
        {"text/x; n*x=b; n*99999999999999999999=c", "n*x=b|n*99999999999999999999=c|"},
        {"text/x;\r\n name=\"a\r\n b\"", "name=a b|"},
        {"text/x; name=\"never closed; a=b", "name=never closed; a=b|"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char *message =
            arena_printf(&arena, "Content-Type: %s\r\nContent-Disposition: inline%s\r\n\r\n",
                         rows[i].value, strpbrk(rows[i].value, ";("));
        scan(bytes_of(message), 0, 0, &arena, &summary);
        const struct mail_part *part = summary.root;
        assert_bytes(part->subtype, "X");
        assert_bytes(part->disposition, "INLINE");
        assert_string_equal(parameters(part->parameters, part->parameter_count), rows[i].want);
        assert_string_equal(
            parameters(part->disposition_parameters, part->disposition_parameter_count),
            rows[i].want);
    }
}

static void test_part_fields(void **state)
{
    static const char message[] = "content-type: Image/Png\r\n"
                                  "Content-Transfer-Encoding: (x) Base64 \r\n"
                                  "Content-ID: <i@x>\r\nContent-Description: a\r\n b\r\n"
                                  "Content-MD5: Q2hlY2s=\r\nContent-Language: de, en\r\n"
                                  "Content-Location: http://x/\r\n\r\n";

    (void)state;
    scan(bytes_of(message), 0, 0, &arena, &summary);
    assert_bytes(summary.root->type, "IMAGE");
    assert_bytes(summary.root->subtype, "PNG");
    assert_bytes(summary.root->encoding, "BASE64");
    assert_bytes(summary.root->id, "<i@x>");
    assert_bytes(summary.root->description, "a b");
    assert_bytes(summary.root->md5, "Q2hlY2s=");
    assert_bytes(summary.root->language, "de, en");
    assert_bytes(summary.root->location, "http://x/");
    assert_null(summary.root->disposition.at);
    assert_null(summary.preview.at);
}

static void test_previews(void **state)
{
    static const struct {
        const char *message;
        const char *want;
    } rows[] = {
        {"\r\n  two\r\n\r\n words \t\r\n", "two words"},
        {"\r\n", ""},
        {"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xFC\xDF"
         "e",
         "Gr\xC3\xBC\xC3\x9F"
         "e"},
        {"Content-Transfer-Encoding: base64\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
         "w6RiYw==\r\n",
         "\xC3\xA4"
         "bc"},
        {"Content-Type: text/html\r\n\r\n<head><title>t</title></head><style>p{}</style>"
         "<!-- no > --><p>A&amp;B<b>C</b></p>&#8364;&#x20;&nope;&lt;<br>d<unclosed",
         "A&BC \xE2\x82\xAC &nope;< d"},
        {"Content-Type: multipart/alternative; boundary=B\r\n\r\n--B\r\n"
         "Content-Type: text/html\r\n\r\nhtml\r\n--B\r\nContent-Type: image/png\r\n\r\nx\r\n"
         "--B\r\n\r\nplain\r\n--B\r\n\r\nlater\r\n--B--\r\n",
         "plain"},
        {"Content-Type: multipart/mixed; boundary=B\r\n\r\n--B\r\n"
         "Content-Disposition: attachment\r\n\r\nfile\r\n--B\r\n"
         "Content-Type: message/rfc822\r\n\r\n\r\ninner\r\n--B\r\n"
         "Content-Type: text/html\r\n\r\nhtml\r\n--B--\r\n",
         "html"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        scan(bytes_of(rows[i].message), 0, 0, &arena, &summary);
        assert_bytes(summary.preview, rows[i].want);
    }
    struct buffer text = BUFFER_EMPTY;
    buffer_add_string(&text, "Content-Type: text/plain; charset=utf-8\r\n\r\n");
    for (unsigned i = 0; i < 300; i++)
        buffer_add_string(&text, "\xC3\xA4");
    scan(buffer_bytes(&text), 0, 0, &arena, &summary);
    assert_int_equal(summary.preview.len, 400);
    buffer_fini(&text);
}

static const char nested[] =
    "Content-Type: multipart/mixed; boundary=A\r\n\r\n"
    "--A\r\n\r\nfirst\r\n"
    "--A\r\nContent-Type: message/rfc822\r\n\r\n"
    "From: x@y\r\nSubject: inside\r\nContent-Type: multipart/alternative; boundary=B\r\n\r\n"
    "--B\r\n\r\nplain\r\n--B\r\nContent-Type: text/html\r\n\r\nrich\r\n--B--\r\n"
    "--A\r\nContent-Type: message/rfc822\r\n\r\nSubject: simple\r\n\r\ntext\r\n--A--\r\n";

static void test_part_numbers(void **state)
{
    static const struct {
        uint32_t numbers[4];
        size_t count;
        const char *want; /* the body's first bytes, or NULL */
    } rows[] = {
        {{0}, 0, "--A"},      {{1}, 1, "first"},       {{2}, 1, "From: x"},
        {{2, 1}, 2, "plain"}, {{2, 2}, 2, "rich"},     {{3}, 1, "Subject: simple"},
        {{3, 1}, 2, "text"},  {{0}, 1, NULL},          {{4}, 1, NULL},
        {{1, 1}, 2, NULL},    {{2, 3}, 2, NULL},       {{3, 2}, 2, NULL},
        {{3, 1, 1}, 3, NULL}, {{2, 1, 1, 1}, 4, NULL}, {{UINT32_MAX}, 1, NULL},
    };

    (void)state;
    scan(bytes_of(nested), 0, 0, &arena, &summary);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct mail_part *part = mail_part_find(&summary, rows[i].numbers, rows[i].count);
        if (rows[i].want == NULL)
            assert_null(part);
        else
            assert_memory_equal(nested + part->body_at, rows[i].want, strlen(rows[i].want));
    }
    assert_bytes(summary.root->children->next->envelope->subject, "inside");
    /* The one part of a message that is no multipart is the message's text. */
    scan(BYTES("\r\ntext"), 0, 0, &arena, &summary);
    assert_ptr_equal(mail_part_find(&summary, (const uint32_t[]){1}, 1), summary.root);
    assert_null(mail_part_find(&summary, (const uint32_t[]){1, 1}, 2));
}

static void test_encoding_is_read_back(void **state)
{
    struct mail_summary decoded;

    (void)state;
    scan(bytes_of(nested), 0, 0, &arena, &summary);
    summary.sent = -5;
    struct bytes encoded = mail_summary_encode(&summary, &arena);
    assert_true(mail_summary_decode(encoded, &arena, &decoded));
    assert_int_equal(decoded.sent, -5);
    struct bytes again = mail_summary_encode(&decoded, &arena);
    assert_int_equal(again.len, encoded.len);
    assert_memory_equal(again.at, encoded.at, encoded.len);

    struct buffer a = BUFFER_EMPTY;
    struct buffer b = BUFFER_EMPTY;
    dump_parts(&a, bytes_of(nested), summary.root, "");
    dump_parts(&b, bytes_of(nested), decoded.root, "");
    assert_true(bytes_equal(buffer_bytes(&a), buffer_bytes(&b)));
    buffer_fini(&a);
    buffer_fini(&b);
}

static void test_what_no_encoder_wrote_is_refused(void **state)
{
    struct mail_summary decoded;

    (void)state;
    scan(bytes_of(nested), 0, 0, &arena, &summary);
    struct bytes encoded = mail_summary_encode(&summary, &arena);
    assert_false(mail_summary_decode((struct bytes){NULL, 0}, &arena, &decoded));
    unsigned accepted = 0;
    for (size_t len = 0; len < encoded.len; len++)
        accepted += mail_summary_decode(bytes_from(encoded.at, len), &arena, &decoded);
    /* Only where it was cut between two parts, and not in front of the message that the part
     * before holds. */
    assert_int_equal(accepted, 5);
    for (size_t i = 0; i < encoded.len; i++) {
        uint8_t *copy = (uint8_t *)arena_string(&arena, encoded);
        copy[i] ^= 0xFF;
        bool is_read = mail_summary_decode(bytes_from(copy, encoded.len), &arena, &decoded);
        assert_true(i > 0 || !is_read);
    }
    /* A tag of later days is passed over, as a number and as bytes. */
    struct buffer later = BUFFER_EMPTY;
    buffer_add(&later, encoded);
    buffer_add(&later, BYTES("\x7E\x05\x7F\x03xyz"));
    assert_true(mail_summary_decode(buffer_bytes(&later), &arena, &decoded));
    assert_int_equal(decoded.size, sizeof(nested) - 1);
    buffer_fini(&later);
}

/* A part as it is written, with or without an empty envelope. */
static void add_raw_part(struct buffer *encoded, char depth, const char *type,
                         bool has_envelope)
{
    struct buffer part = BUFFER_EMPTY;

    buffer_printf(&part,
                  "\x02%c\x0B%c%s\x0D\x01S\x13\x01"
                  "E",
                  depth, (int)strlen(type), type);
    if (has_envelope)
        buffer_add(&part, BYTES("\x09\0"));
    buffer_printf(encoded, "\x0F%c", (int)buffer_len(&part));
    buffer_add(encoded, buffer_bytes(&part));
    buffer_fini(&part);
}

/* What readers rely on: an envelope comes with one child, only multiparts have more. */
static void test_impossible_trees_are_refused(void **state)
{
    static const struct {
        struct {
            char depth;
            const char *type;
            bool has_envelope;
        } parts[4];
        bool is_possible;
    } rows[] = {
        {{{1, "TEXT", false}}, true},
        {{{1, "MESSAGE", true}, {2, "TEXT", false}}, true},
        {{{1, "MULTIPART", false}, {2, "MESSAGE", true}, {3, "X", false}, {2, "X", false}},
         true},
        {{{2, "TEXT", false}}, false},
        {{{1, "TEXT", false}, {1, "TEXT", false}}, false},
        {{{1, "TEXT", false}, {2, "TEXT", false}}, false},
        {{{1, "MULTIPART", false}, {3, "TEXT", false}}, false},
        {{{1, "MESSAGE", true}}, false},
        {{{1, "MESSAGE", true}, {2, "TEXT", false}, {2, "TEXT", false}}, false},
        {{{1, "MULTIPART", false}, {2, "MESSAGE", true}, {2, "X", false}}, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buffer encoded = BUFFER_EMPTY;
        buffer_add_byte(&encoded, 1);
        for (size_t k = 0; k < 4 && rows[i].parts[k].type != NULL; k++)
            add_raw_part(&encoded, rows[i].parts[k].depth, rows[i].parts[k].type,
                         rows[i].parts[k].has_envelope);
        bool is_read = mail_summary_decode(buffer_bytes(&encoded), &arena, &summary);
        if (is_read != rows[i].is_possible)
            print_error("row %zu\n", i);
        assert_int_equal(is_read, rows[i].is_possible);
        /* The size that offsets are checked against may not come behind the parts. */
        buffer_add(&encoded, BYTES("\x02\x05"));
        assert_false(mail_summary_decode(buffer_bytes(&encoded), &arena, &summary));
        buffer_fini(&encoded);
    }
}

static bool is_read_back(void)
{
    struct mail_summary decoded;
    struct bytes encoded = mail_summary_encode(&summary, &arena);

    return mail_summary_decode(encoded, &arena, &decoded);
}

/* Counts at their limit are read, one more is not, whoever wrote it. */
static void test_counts_are_limited(void **state)
{
    struct mail_address *addresses_at =
        arena_alloc(&arena, (MAIL_ADDRESS_COUNT_MAX + 1) * sizeof(*addresses_at));
    struct mail_parameter *parameters_at =
        arena_alloc(&arena, (MAIL_PARAMETER_COUNT_MAX + 1) * sizeof(*parameters_at));
    struct mail_part *parts = arena_alloc(&arena, MAIL_PART_COUNT_MAX * sizeof(*parts));

    (void)state;
    scan(BYTES("Content-Type: multipart/x\r\n\r\n"), 0, 0, &arena, &summary);
    summary.envelope.cc = (struct mail_address_list){addresses_at, MAIL_ADDRESS_COUNT_MAX};
    assert_true(is_read_back());
    summary.envelope.cc.count++;
    assert_false(is_read_back());
    summary.envelope.cc.count = 0;
    summary.root->parameters = parameters_at;
    summary.root->parameter_count = MAIL_PARAMETER_COUNT_MAX;
    assert_true(is_read_back());
    summary.root->parameter_count++;
    assert_false(is_read_back());
    summary.root->parameter_count = 0;
    for (size_t i = 0; i < MAIL_PART_COUNT_MAX; i++) {
        parts[i] = *summary.root;
        parts[i].next = i + 2 < MAIL_PART_COUNT_MAX ? &parts[i + 1] : NULL;
    }
    summary.root->children = parts;
    assert_true(is_read_back());
    parts[MAIL_PART_COUNT_MAX - 2].next = &parts[MAIL_PART_COUNT_MAX - 1];
    assert_false(is_read_back());
    summary.root->children = NULL;
    summary.root->body_len = summary.size - summary.root->body_at + 1;
    assert_false(is_read_back());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_address_lists, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_envelope, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parameters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_part_fields, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_previews, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_part_numbers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_encoding_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_no_encoder_wrote_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_impossible_trees_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_counts_are_limited, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
