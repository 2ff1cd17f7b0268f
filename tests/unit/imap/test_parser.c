/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "imap/protocol/arguments.h"
#include "imap/protocol/limits.h"
#include "imap/protocol/mailbox_name.h"

/* What stands behind a command's name, and what becomes of it: "ok", or the kind of problem. */
static const struct row {
    imap_parse *parse;
    const char *text;
    const char *want;
} rows[] = {
    {imap_parse_nothing, "", "ok"},
    {imap_parse_nothing, " ", "bad"},
    {imap_parse_login, " ann secret", "ok"},
    {imap_parse_login, " \"a\\\\b\\\"\" {3}\r\nx y", "ok"},
    {imap_parse_login, " {3+}\r\nabc \"\"", "ok"},
    {imap_parse_login, " ann", "bad"},
    {imap_parse_login, " ann secret more", "bad"},
    {imap_parse_login, " \"an\rn\" x", "bad"},
    {imap_parse_login, " \"ann x", "bad"},
    {imap_parse_login, " \"a\\nn\" x", "bad"},
    {imap_parse_login, " {4}\r\nabc", "bad"},
    {imap_parse_login, " {-1}\r\n x", "bad"},
    {imap_parse_login, " {99999999999999999999}\r\nx x", "bad"},
    {imap_parse_login, " a%b x", "bad"},
    {imap_parse_fetch, " 1:*,4 (FLAGS BODY.PEEK[1.2.MIME]<3.4>)", "ok"},
    {imap_parse_fetch, " 1 body[header.fields (from \"to\" {2}\r\ncc)]", "ok"},
    {imap_parse_fetch, " $ FLAGS", "ok"},
    {imap_parse_fetch, " 1 ALL", "ok"},
    {imap_parse_fetch, " 1 (ALL)", "bad"},
    {imap_parse_fetch, " 1, FLAGS", "bad"},
    {imap_parse_fetch, " ,1 FLAGS", "bad"},
    {imap_parse_fetch, " 1:: FLAGS", "bad"},
    {imap_parse_fetch, " 01 FLAGS", "ok"},
    {imap_parse_fetch, " 1 ()", "bad"},
    {imap_parse_fetch, " 1 BODY[TEXT", "bad"},
    {imap_parse_fetch,
     " 1 BODY[1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1."
     "1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1.1]",
     "limit"},
    {imap_parse_fetch, " 1 BODY[HEADER.FIELDS ()]", "bad"},
    {imap_parse_fetch, " 1 BODY[]<1>", "bad"},
    {imap_parse_store, " 1 +FLAGS.SILENT (\\Seen a b)", "ok"},
    {imap_parse_store, " 1 FLAGS \\Seen", "ok"},
    {imap_parse_store, " 1 -FLAGS ()", "ok"},
    {imap_parse_store, " 1 *FLAGS ()", "bad"},
    {imap_parse_store, " 1 FLAGS (\\)", "bad"},
    {imap_parse_store, " 1 FLAGS (a  b)", "bad"},
    {imap_parse_store,
     " 1 FLAGS (aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)",
     "limit"},
    {imap_parse_search, " ALL", "ok"},
    {imap_parse_search, " (OR (FROM a) (NOT TO b)) 1:3 UID * SINCE 1-Jan-2026", "ok"},
    {imap_parse_search, " RETURN () CHARSET UTF-8 SUBJECT \xc3\xa4", "bad"},
    {imap_parse_search, " RETURN () CHARSET utf-8 SUBJECT \"\xc3\xa4\"", "ok"},
    {imap_parse_search, " RETURN (FROB) ALL", "bad"},
    {imap_parse_search, " SINCE \"1-Feb-2026\"", "ok"},
    {imap_parse_search, " SINCE 32-Jan-2026", "bad"},
    {imap_parse_search, " LARGER 99999999999999999999", "bad"},
    {imap_parse_search, " CHARSET LATIN-1 ALL", "charset"},
    {imap_parse_search, " ((((((((((((((((((ALL))))))))))))))))))", "limit"},
    {imap_parse_search, " NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT NOT ALL",
     "limit"},
    {imap_parse_search, " ()", "bad"},
    {imap_parse_list, " \"\" *", "ok"},
    {imap_parse_list, " (SUBSCRIBED) \"\" (a b) RETURN (CHILDREN STATUS (UNSEEN))", "ok"},
    {imap_parse_list, " () \"\" a", "ok"},
    {imap_parse_list, " (FROB) \"\" a", "bad"},
    {imap_parse_list, " \"\" a RETURN", "bad"},
    {imap_parse_status, " INBOX (MESSAGES UIDNEXT)", "ok"},
    {imap_parse_status, " INBOX MESSAGES", "bad"},
    {imap_parse_mailbox, " &AOQ-", "ok"},
    {imap_parse_mailbox, " &AGE-", "cannot"},      /* 'a' stands for itself */
    {imap_parse_mailbox, " &AOQ", "cannot"},       /* no end */
    {imap_parse_mailbox, " &AOQ-&AOQ-", "cannot"}, /* a superfluous shift */
    {imap_parse_mailbox, " &2D0-", "cannot"},      /* half a pair */
    {imap_parse_mailbox, " &AOR-", "cannot"},      /* bits left over */
    {imap_parse_mailbox, " \"a\xff\"", "cannot"},
    {imap_parse_mailbox, " \"a\xc0\xaf\"", "cannot"},
    {imap_parse_mailbox, " a//b", "cannot"},
    {imap_parse_mailbox, " ../x", "cannot"},
    {imap_parse_mailbox, " {3}\r\na\r\n", "cannot"},
    {imap_parse_mailbox, " \"\"", "cannot"},
    {imap_parse_create, " x (USE (\\Sent))", "ok"},
    {imap_parse_create, " x (USE ())", "ok"},
    {imap_parse_create, " x (USE (\\Inbox))", "cannot"},
    {imap_parse_create, " x/", "ok"},
    {imap_parse_create, " \"a%\"", "cannot"},
    {imap_parse_append, " INBOX (\\Seen) \"21-Nov-2026 10:00:00 +0100\" {5}\r\n", "ok"},
    {imap_parse_append, " INBOX {5+}\r\n", "ok"},
    {imap_parse_append, " INBOX \"21-Nov-2026\" {5+}\r\n", "bad"},
    {imap_parse_append, " INBOX \"x\"", "bad"},
    {imap_parse_id, " NIL", "ok"},
    {imap_parse_id, " (\"a\" \"b\" \"c\" NIL)", "ok"},
    {imap_parse_id, " (\"a\")", "bad"},
    {imap_parse_enable, " A B", "ok"},
    {imap_parse_enable, "", "bad"},
    {imap_parse_authenticate, " PLAIN =", "ok"},
};

static const char *outcome(bool good, const struct imap_cursor *cursor)
{
    static const char *const kinds[] = {"bad", "limit", "cannot", "charset"};

    return good ? "ok" : kinds[cursor->kind];
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena;
        struct imap_arguments arguments;
        arena_init(&arena);
        struct imap_cursor cursor = imap_cursor_over(bytes_of(rows[i].text), &arena);
        bool good = rows[i].parse(&cursor, &arguments);
        if (!good && cursor.problem == NULL)
            fail_msg("\"%s\" has no problem", rows[i].text);
        if (strcmp(outcome(good, &cursor), rows[i].want) != 0)
            fail_msg("\"%s\": %s, not %s", rows[i].text, outcome(good, &cursor), rows[i].want);
        arena_fini(&arena);
    }
}

static void test_limits(void **state)
{
    struct arena arena;
    struct buffer text = BUFFER_EMPTY;
    struct imap_arguments arguments;

    (void)state;
    arena_init(&arena);
    buffer_add_string(&text, " 1");
    for (unsigned i = 2; i <= IMAP_RANGES_MAX + 1; i++)
        buffer_printf(&text, ",%u", i);
    buffer_add_string(&text, " FLAGS");
    struct imap_cursor cursor = imap_cursor_over(buffer_bytes(&text), &arena);
    assert_false(imap_parse_fetch(&cursor, &arguments));
    assert_int_equal(cursor.kind, IMAP_PROBLEM_LIMIT);

    buffer_clear(&text);
    for (unsigned i = 0; i <= IMAP_SEARCH_KEYS_MAX; i++)
        buffer_add_string(&text, " ALL");
    cursor = imap_cursor_over(buffer_bytes(&text), &arena);
    assert_false(imap_parse_search(&cursor, &arguments));
    assert_int_equal(cursor.kind, IMAP_PROBLEM_LIMIT);
    buffer_fini(&text);
    arena_fini(&arena);
}

static void check_resolved(const char *text, uint32_t star, const char *want)
{
    struct arena arena;
    struct imap_sequence sequence;
    struct buffer written = BUFFER_EMPTY;

    arena_init(&arena);
    struct imap_cursor cursor = imap_cursor_over(bytes_of(text), &arena);
    assert_true(imap_take_sequence(&cursor, &sequence));
    struct imap_ranges ranges = imap_sequence_resolve(&sequence, star, &arena);
    imap_ranges_write(&ranges, &written);
    buffer_add_byte(&written, '\0');
    assert_string_equal((const char *)buffer_bytes(&written).at, want);
    buffer_fini(&written);
    arena_fini(&arena);
}

static void test_sequences(void **state)
{
    (void)state;
    check_resolved("1", 9, "1");
    check_resolved("*", 9, "9");
    check_resolved("*:4", 9, "4:9");
    check_resolved("12:*", 9, "9:12");
    check_resolved("5,1:3,4,9,2:8", 9, "1:9");
    check_resolved("7,3,5", 9, "3,5,7");
    check_resolved("4294967295,4294967294:4294967295", 9, "4294967294:4294967295");
}

/* Both directions, and the RFC's examples (RFC 3501 section 5.1.3). */
static const struct name_row {
    const char *utf7;
    const char *utf8;
} names[] = {
    {"plain", "plain"},
    {"a&-b", "a&b"},
    {"~peter/mail/&U,BTFw-/&ZeVnLIqe-",
     "~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
    {"&Jjo-!", "\xe2\x98\xba!"},
    {"&U,BTF2XlZyyKng-", "\xe5\x8f\xb0\xe5\x8c\x97\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"},
    {"&2D3cSw-", "\xf0\x9f\x91\x8b"},
};

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct arena arena;
        struct buffer encoded = BUFFER_EMPTY;
        struct bytes utf8;
        arena_init(&arena);
        assert_true(imap_utf7_decode(bytes_of(names[i].utf7), &arena, &utf8));
        assert_true(bytes_equal(utf8, bytes_of(names[i].utf8)));
        imap_utf7_encode(utf8, &encoded);
        assert_true(bytes_equal(buffer_bytes(&encoded), bytes_of(names[i].utf7)));
        buffer_fini(&encoded);
        arena_fini(&arena);
    }
}

static const struct pattern_row {
    const char *pattern;
    const char *name;
    bool matches;
} patterns[] = {
    {"*", "a/b", true},
    {"%", "a/b", false},
    {"%", "a", true},
    {"a/%", "a/b", true},
    {"a/%", "a/b/c", false},
    {"a*c", "a/b/c", true},
    {"%/%", "a/b", true},
    {"a", "A", false},
    {"inbox", "INBOX", true},
    {"In*", "INBOX", true},
    {"inbox/a", "INBOX/a", true},
    {"inbox/a", "INBOX/A", false},
    {"inbo", "INBOX", false},
    {"", "a", false},
    {"a%b", "aab", true},
    {"in*", "Inner", false},
    {"*%*%*%*%*%*%x", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
};

static void test_patterns(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        if (imap_pattern_matches(bytes_of(patterns[i].pattern), bytes_of(patterns[i].name)) !=
            patterns[i].matches)
            fail_msg("%s against %s", patterns[i].pattern, patterns[i].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),      cmocka_unit_test(test_limits),
        cmocka_unit_test(test_sequences), cmocka_unit_test(test_names),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
