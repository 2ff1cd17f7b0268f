/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/mail/text.h"

#define BAD "\xEF\xBF\xBD"

static struct arena arena;
static struct buffer buffer;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena);
    buffer_init(&buffer);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_fini(&arena);
    buffer_fini(&buffer);
    return 0;
}

#define assert_bytes(bytes, text) assert_string_equal(arena_string(&arena, bytes), text)

static void test_fields_in_order(void **state)
{
    struct bytes at = BYTES("A: 1\r\nB :\r\n 2\r\n\t3\r\nC:4\n5\r\n\r\nD: 6\r\n");
    struct mail_field field;

    (void)state;
    assert_true(mail_field_next(&at, &field));
    assert_bytes(field.name, "A");
    assert_bytes(field.value, " 1");
    assert_bytes(field.whole, "A: 1\r\n");
    assert_true(mail_field_next(&at, &field));
    assert_bytes(field.name, "B");
    assert_bytes(field.value, "\r\n 2\r\n\t3");
    assert_bytes(field.whole, "B :\r\n 2\r\n\t3\r\n");
    assert_true(mail_field_next(&at, &field));
    assert_bytes(field.value, "4\n5");
    assert_false(mail_field_next(&at, &field));
    assert_bytes(at, "\r\nD: 6\r\n");

    static const char *const none[] = {"", "no colon\r\n", " A: 1\r\n", ":x\r\n", "A b: 1\r\n"};
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        at = bytes_of(none[i]);
        assert_false(mail_field_next(&at, &field));
    }
    at = BYTES("A:cut\r");
    assert_true(mail_field_next(&at, &field));
    assert_bytes(field.value, "cut\r");
    assert_int_equal(at.len, 0);
    at = BYTES("A:\r\n");
    assert_true(mail_field_next(&at, &field));
    assert_int_equal(field.value.len, 0);
}

static void test_unfolding(void **state)
{
    (void)state;
    assert_bytes(mail_unfold(&arena, BYTES(" a\r\n b\0c\n\t")), "a bc");
    assert_non_null(mail_unfold(&arena, BYTES("")).at);
}

static void test_encoded_words(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"", ""},
        {"plain = ? text", "plain = ? text"},
        {"=?ISO-8859-1?Q?Andr=E9?= Pirard", "Andr\xC3\xA9 Pirard"},
        {"=?utf-8?B?w6TDtg==?=", "\xC3\xA4\xC3\xB6"},
        {"=?utf-8*en?q?a_b=2Cc?=", "a b,c"},
        {"(=?utf-8?q?a?=  =?utf-8?q?b?= c)", "(ab c)"},
        {"=?utf-8?q?a?=\r\n =?iso-8859-1?q?=E4?=", "a\xC3\xA4"},
        {"=?utf-8?q?=C3?= =?UTF-8?q?=A4?=", "\xC3\xA4"},
        {"=?utf-8?q?=C3?= x =?utf-8?q?=A4?=", BAD " x " BAD},
        {"=?utf-8?b?w6?= =?utf-8?b?Q=?=", BAD},
        {"=?utf-8?q?with space?=", "with space"},
        {"=?utf-8?x?a?= =?utf-8?q?b", "=?utf-8?x?a?= =?utf-8?q?b"},
        {"=?\?q?a?= =?utf-8?q?\?=|", "=?\?q?a?= |"},
        {"=?=?utf-8?q?a?=", "=?a"},
        {"=?utf-8?q?=0D=0AX:_y=00?=", "  X: y "},
        {"=?utf-8?q?=ZZ=4?=", "=ZZ=4"},
        {"\xE4\xC3\xA4", BAD "\xC3\xA4"},
        {"=?nowhere?q?a=E4?=", "a" BAD},
        {"=?iso-2022-jp?b?GyRCJCIbKEI=?=", "\xE3\x81\x82"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_bytes(mail_decode_words(&arena, bytes_of(rows[i].text)), rows[i].want);
}

static void test_transfer_encodings(void **state)
{
    static const struct {
        const char *encoding;
        const char *body;
        const char *want;
    } rows[] = {
        {"7BIT", "a=20\r\n", "a=20\r\n"},
        {"base64", "YWJj\r\nZGVm\r\n", "abcdef"},
        {"BASE64", "YQ==YmM=\r\n-!\r\nZA", "abcd"},
        {"BASE64", "Y", ""},
        {"Quoted-Printable", "a=3Db=C3=a4", "a=b\xC3\xA4"},
        {"quoted-printable", "soft =\r\nline = \t\r\nend \t\r\nx\t", "soft line end\r\nx"},
        {"quoted-printable", "a=zz=4=", "a=zz=4"},
        {"quoted-printable", "a  b =20\r\n", "a  b  \r\n"},
        {"quoted-printable", "a=\nb \nc", "ab\nc"},
        {"x-unknown", "a=20", "a=20"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buffer_clear(&buffer);
        mail_decode_transfer(bytes_of(rows[i].encoding), bytes_of(rows[i].body), &buffer);
        assert_bytes(buffer_bytes(&buffer), rows[i].want);
    }
}

static void test_charsets(void **state)
{
    static const struct {
        const char *charset;
        struct bytes text;
        const char *want;
    } rows[] = {
        {"utf-8", BYTES_INIT("\xC3\xA4\xED\xA0\x80\xF4\x90\x80\x80\xC0\x80\xE2\x82"),
         "\xC3\xA4" BAD BAD BAD BAD BAD BAD BAD BAD BAD BAD BAD},
        {"UTF8", BYTES_INIT("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80"},
        {"us-ascii", BYTES_INIT("a\xE4"), "a" BAD},
        {"ISO_8859-1", BYTES_INIT("\xE4\x80\x81"), "\xC3\xA4\xE2\x82\xAC" BAD},
        {"windows-1252", BYTES_INIT("\x93q\x94"), "\xE2\x80\x9Cq\xE2\x80\x9D"},
        {"iso-8859-15", BYTES_INIT("\xA4"), "\xE2\x82\xAC"},
        {"koi8-r", BYTES_INIT("\xC1"), "\xD0\xB0"},
        {"Windows-1251", BYTES_INIT("\xE0"), "\xD0\xB0"},
        {"gb2312", BYTES_INIT("\xC4\xE3"), "\xE4\xBD\xA0"},
        {"Shift_JIS", BYTES_INIT("\x82\xA0"), "\xE3\x81\x82"},
        {"euc-kr", BYTES_INIT("\xB0\xA1"), "\xEA\xB0\x80"},
        {"big5", BYTES_INIT("\xA7\x41"), "\xE4\xBD\xA0"},
        {"utf-16le", BYTES_INIT("\xE4\0x\0"), "\xC3\xA4x"},
        {"utf-7", BYTES_INIT("+AOQ-"), "\xC3\xA4"},
        {"shift_jis", BYTES_INIT("a\x82"), "a" BAD},
        {"euc-jp", BYTES_INIT("a\xFF\xFFz"), "a" BAD BAD "z"},
        {"UTF-8//TRANSLIT", BYTES_INIT("a\xE4"), "a" BAD},
        {"../../x", BYTES_INIT("a\xE4"), "a" BAD},
        {"", BYTES_INIT("a\xE4"), "a" BAD},
        {"a-name-that-is-far-too-long-to-be-any-charset", BYTES_INIT("\xE4"), BAD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buffer_clear(&buffer);
        mail_decode_charset(bytes_of(rows[i].charset), rows[i].text, &buffer);
        if (!bytes_equal(buffer_bytes(&buffer), bytes_of(rows[i].want)))
            print_error("%s\n", rows[i].charset);
        assert_bytes(buffer_bytes(&buffer), rows[i].want);
    }
}

/* In a child that can open no file: its exit status says whether a converter was there. */
static int decode_without_files(void)
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        struct buffer utf8 = BUFFER_EMPTY;
        if (setrlimit(RLIMIT_NOFILE, &none) != 0)
            _exit(2);
        mail_decode_charset(BYTES("koi8-r"), BYTES("\xC1"), &utf8);
        _exit(bytes_equal(buffer_bytes(&utf8), BYTES("\xD0\xB0")) ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Runs first: nothing has loaded a converter yet. */
static void test_converters_are_there_without_files(void **state)
{
    (void)state;
    assert_int_equal(decode_without_files(), 1);
    struct mail_charsets *charsets = mail_charsets_open();
    assert_int_equal(decode_without_files(), 0);
    mail_charsets_close(&charsets);
    assert_null(charsets);
    mail_charsets_close(&charsets);
}

/* Every row of the alias table is reached by its own name, and iconv knows it. */
static void test_charset_names_work(void **state)
{
    static const char *const names[] = {
        "866",         "big5-hkscs",  "cp1250",
        "cp1253",      "cp1254",      "cp1255",
        "cp1256",      "cp1257",      "cp1258",
        "cp437",       "cp850",       "cp852",
        "cp874",       "cp932",       "cp949",
        "euc-tw",      "gb18030",     "gbk",
        "iso-8859-10", "iso-8859-11", "iso-8859-13",
        "iso-8859-14", "iso-8859-16", "iso-8859-2",
        "iso-8859-3",  "iso-8859-4",  "iso-8859-5",
        "iso-8859-6",  "iso-8859-7",  "iso-8859-8-i",
        "iso-8859-9",  "koi8-u",      "ks_c_5601-1987",
        "latin2",      "macintosh",   "tis-620",
        "viscii",      "windows-31j", "windows-874",
        "windows-949", "x-gbk",       "x-sjis",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        buffer_clear(&buffer);
        /* At least one of the two is a character in all of them; as ASCII both are none. */
        mail_decode_charset(bytes_of(names[i]), BYTES("\xC4\xE3"), &buffer);
        struct bytes text = buffer_bytes(&buffer);
        if (bytes_equal(text, BYTES(BAD BAD)))
            fail_msg("%s is not known", names[i]);
    }
}

static void test_folding(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } rows[] = {
        {"", ""},
        {"Hello, World", "hello, world"},
        {"Gr\xC3\xBC\xC3\x9F"
         "E",
         "grusse"},
        {"gru\xCC\x88\xC3\x9F"
         "e",
         "grusse"},
        {"\xEF\xAC\x81", "fi"},
        {"\xEF\xBC\xA1", "a"},
        {"\xD0\x90\xCC\x81", "\xD0\xB0"},
        {"A\xFF", "a" BAD},
        {"\xED\xA0\x80", BAD BAD BAD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_bytes(mail_fold(&arena, bytes_of(rows[i].text)), rows[i].want);
    struct bytes nul = mail_fold(&arena, BYTES("A\0\xC3\x84"));
    assert_true(bytes_equal(nul, BYTES("a\0a")));
}

static void test_base64(void **state)
{
    static const struct {
        struct bytes bytes;
        const char *text;
    } rows[] = {
        {BYTES_INIT(""), ""},
        {BYTES_INIT("f"), "Zg=="},
        {BYTES_INIT("fo"), "Zm8="},
        {BYTES_INIT("foo"), "Zm9v"},
        {BYTES_INIT("foob"), "Zm9vYg=="},
        {BYTES_INIT("\xFB\xFF\0"), "+/8A"},
    };
    static const char *const wrong[] = {"Z",        "Zg",   "Zg=",  "Zg= =",   "Zh==",
                                        "Zm9=",     "====", "Z===", "Zm9v=",   "Zm=v",
                                        "Zm9v\r\n", "Zm-v", "=Zm9", "Zg==Zg=="};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        buffer_clear(&buffer);
        mail_base64_encode(rows[i].bytes, &buffer);
        assert_bytes(buffer_bytes(&buffer), rows[i].text);
        buffer_clear(&buffer);
        assert_true(mail_base64_decode(bytes_of(rows[i].text), &buffer));
        assert_true(bytes_equal(buffer_bytes(&buffer), rows[i].bytes));
    }
    buffer_clear(&buffer);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        if (mail_base64_decode(bytes_of(wrong[i]), &buffer))
            fail_msg("%s was taken", wrong[i]);
    assert_int_equal(buffer_len(&buffer), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_converters_are_there_without_files),
        cmocka_unit_test_setup_teardown(test_fields_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_unfolding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_encoded_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_transfer_encodings, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_charsets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_charset_names_work, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_folding, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_base64, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
