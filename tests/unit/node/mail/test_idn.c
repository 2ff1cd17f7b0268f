/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "node/mail/idn.h"

static void assert_text(struct bytes text, const char *want)
{
    if (!bytes_equal(text, bytes_of(want)))
        print_error("\"%.*s\", not \"%s\"\n", BYTES_ARG(text), want != NULL ? want : "none");
    assert_true(bytes_equal(text, bytes_of(want)));
}

/* Those that are not ASCII: Python's idna 3.13 with UTS 46 (not transitional, STD 3) says the
 * same of each, but of the characters that nobody sees, which it drops. */
static const struct {
    const char *domain;
    enum err want;
    const char *ascii;
} domains[] = {
    {"A.Example", ERR_OK, "a.example"},
    {"XN--BCHER-KVA.de", ERR_OK, "xn--bcher-kva.de"},
    {"r3---sn.example", ERR_OK, "r3---sn.example"},
    {"xn--53h.example", ERR_OK, "xn--53h.example"},
    {"r3---sn.\xC3\xBC", ERR_OK, "r3---sn.xn--tda"},
    {"", ERR_MALFORMED, NULL},
    {".", ERR_MALFORMED, NULL},
    {"a.", ERR_MALFORMED, NULL},
    {"a_b.example", ERR_MALFORMED, NULL},
    {"a b.example", ERR_MALFORMED, NULL},
    {"192.0.2.1", ERR_MALFORMED, NULL},
    {"\xEF\xBC\x91.\xEF\xBC\x92", ERR_MALFORMED, NULL},
    {"\xFC.example", ERR_MALFORMED, NULL},
    {"\xC0\xAE.example", ERR_MALFORMED, NULL},
    {"\xED\xA0\x80.example", ERR_MALFORMED, NULL},
    {"b\xC3\xBC"
     "cher.example",
     ERR_OK, "xn--bcher-kva.example"},
    {"B\xC3\x9C"
     "CHER.Example",
     ERR_OK, "xn--bcher-kva.example"},
    {"stra\xC3\x9F"
     "e.de",
     ERR_OK, "xn--strae-oqa.de"},
    {"fa\xC3\x9F.de", ERR_OK, "xn--fa-hia.de"},
    {"a.b\xE3\x80\x82\xC3\xBC", ERR_OK, "a.b.xn--tda"},
    {"\xD7\x99\xD7\x95\xD7\x9D.com", ERR_OK, "xn--9dbhn.com"},
    {"\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5\xD1\x82.xn--p1ai", ERR_OK,
     "xn--b1agh1afp.xn--p1ai"},
    {"\xE4\xB8\xAD\xE5\x9B\xBD\xE3\x80\x82\xE4\xB8\xAD\xE5\x9B\xBD", ERR_OK,
     "xn--fiqs8s.xn--fiqs8s"},
    {"\xE2\x85\xA7\xC3\xBC.com", ERR_OK, "xn--viii-3ra.com"},
    {"\xEF\xBC\x91\xEF\xBC\x92\xC3\xBC.com", ERR_OK, "xn--12-yka.com"},
    {"e\xCC\x81.com", ERR_OK, "xn--9ca.com"},
    {"\xD9\x86\xD8\xA7\xD9\x85\xD9\x87\xE2\x80\x8C\xD8\xA7\xDB\x8C.com", ERR_OK,
     "xn--mgba3gch31f060k.com"},
    {"\xE0\xB7\x81\xE0\xB7\x8A\xE2\x80\x8D\xE0\xB6\xBB\xE0\xB7\x93.com", ERR_OK,
     "xn--10cl1a0b660p.com"},
    {"\xCE\xA3\xCE\xAF\xCF\x83\xCF\x85\xCF\x86\xCE\xBF\xCF\x82.gr", ERR_OK,
     "xn--kxa6ajbbmh.gr"},
    {"\xEF\xAC\x81\xC3\xBC.de", ERR_OK, "xn--fi-yka.de"},
    {"\xC3\x85NGSTR\xC3\x96M.se", ERR_OK, "xn--ngstrm-hua5l.se"},
    {"\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E\xEF\xBD\xA1\xEF\xBC\xAA\xEF\xBC\xB0", ERR_OK,
     "xn--wgv71a119e.jp"},
    {"0\xD7\x90.com", ERR_MALFORMED, NULL},
    {"\xD7\x90"
     "a.com",
     ERR_MALFORMED, NULL},
    {"a\xE2\x80\x8D"
     "b.com",
     ERR_MALFORMED, NULL},
    {"\xE2\x98\x95.com", ERR_MALFORMED, NULL},
    {"\xCC\x81"
     "a.com",
     ERR_MALFORMED, NULL},
    {"a\xE2\x92\x88.ru", ERR_MALFORMED, NULL},
    {"\xC3\xBC_.com", ERR_MALFORMED, NULL},
    {"\xC3\xBC..com", ERR_MALFORMED, NULL},
    {"-\xC3\xBC.com", ERR_MALFORMED, NULL},
    {"\xD7\x90\xD9\xA1"
     "1.com",
     ERR_MALFORMED, NULL},
    {"x\xE3\x85\xA4\xC3\xBC.com", ERR_MALFORMED, NULL},
    {"1.\xD7\x90\xD7\x91.com", ERR_MALFORMED, NULL},
    {"a\xC2\xAD"
     "b.com",
     ERR_MALFORMED, NULL},
    {"a\xE2\x80\x8B"
     "b.com",
     ERR_MALFORMED, NULL},
    {"a\xE2\x80\xAE"
     "b.com",
     ERR_MALFORMED, NULL},
    {"\xC3\xBC\xEF\xB8\x8F.com", ERR_MALFORMED, NULL},
    {"\xC3\xBC\xC2\x85.com", ERR_MALFORMED, NULL},
    {"\xC3\xBC\xE3\x80\x80.com", ERR_MALFORMED, NULL},
    {"\xC3\xBC\x0A.com", ERR_MALFORMED, NULL},
    {"\xC3\xBC.com.", ERR_MALFORMED, NULL},
    {"\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
     "\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
     "\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
     "\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
     "\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC"
     "\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC\xC3\xBC.com",
     ERR_TOOBIG, NULL},
};

static void test_to_ascii(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++) {
        struct bytes ascii;
        struct bytes again;
        struct arena arena;
        arena_init(&arena);
        enum err err = mail_domain_to_ascii(bytes_of(domains[i].domain), &arena, &ascii);
        if (err != domains[i].want)
            print_error("%s: %s\n", domains[i].domain, err_name(err));
        assert_int_equal(err, domains[i].want);
        if (err == ERR_OK) {
            assert_text(ascii, domains[i].ascii);
            assert_true(mail_domain_valid(ascii));
            assert_int_equal(mail_domain_to_ascii(ascii, &arena, &again), ERR_OK);
            assert_true(bytes_equal(ascii, again));
        } else {
            assert_null(ascii.at);
        }
        arena_fini(&arena);
    }
}

static void test_limits(void **state)
{
    struct bytes ascii;
    struct arena arena;
    char text[MAIL_DOMAIN_UTF8_SIZE_MAX + 2];
    (void)state;
    arena_init(&arena);
    memset(text, 'a', sizeof(text));
    for (size_t i = 50; i < sizeof(text); i += 51)
        text[i] = '.';
    assert_int_equal(mail_domain_to_ascii(bytes_from(text, 255), &arena, &ascii),
                     ERR_MALFORMED);
    assert_int_equal(mail_domain_to_ascii(bytes_from(text, 254), &arena, &ascii), ERR_OK);
    assert_int_equal(mail_domain_to_ascii(bytes_from(text, 257), &arena, &ascii), ERR_TOOBIG);
    assert_int_equal(mail_domain_to_ascii(bytes_from(text, sizeof(text) - 1), &arena, &ascii),
                     ERR_TOOBIG);
    assert_int_equal(mail_domain_to_ascii(BYTES("a\0b.example"), &arena, &ascii),
                     ERR_MALFORMED);
    /* Few bytes of UTF-8, too many of A-labels. */
    size_t len = 0;
    for (size_t i = 0; i < 40; i++) {
        memcpy(text + len, "\xC3\xBC.", 3);
        len += 3;
    }
    assert_int_equal(mail_domain_to_ascii(bytes_from(text, len - 1), &arena, &ascii),
                     ERR_TOOBIG);
    arena_fini(&arena);
}

static void test_to_unicode(void **state)
{
    static const struct {
        const char *domain;
        const char *shown;
    } rows[] = {
        {"xn--bcher-kva.example", "b\xC3\xBC"
                                  "cher.example"},
        {"XN--BCHER-KVA.Example", "b\xC3\xBC"
                                  "cher.example"},
        {"B\xC3\x9C"
         "CHER.Example",
         "b\xC3\xBC"
         "cher.example"},
        {"plain.Example", "plain.example"},
        {"xn--53h.example", "xn--53h.example"},               /* not allowed */
        {"xn--bcher-kva-.example", "xn--bcher-kva-.example"}, /* decodes to nothing */
        {"xn--a.example", "xn--a.example"},
        {"xn--a-.example", "xn--a-.example"},
        {"xn--a-ecp.example", "xn--a-ecp.example"}, /* encodes to something else */
        {"xn--bcher-2pa.xn--tda",
         "xn--bcher-2pa.\xC3\xBC"}, /* a capital letter: nobody's name */
        {"xn--a-ecp.xn--bcher-kva.example", "xn--a-ecp.b\xC3\xBC"
                                            "cher.example"},
        {"1.xn--4dbcagdahymbxekheh6e0a7fei0b.example",
         "1.xn--4dbcagdahymbxekheh6e0a7fei0b.example"}, /* the Bidi rule */
        {"a.xn--9dbhn.example", "a.\xD7\x99\xD7\x95\xD7\x9D.example"},
        {"not a DOMAIN", "not a domain"},
        {"", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena arena;
        arena_init(&arena);
        assert_text(mail_domain_to_unicode(bytes_of(rows[i].domain), &arena), rows[i].shown);
        arena_fini(&arena);
    }
}

static const struct {
    const char *local;
    enum err want;
    const char *folded;
} locals[] = {
    {"Anna.B+Tag", ERR_OK, "anna.b+tag"},
    {"", ERR_OK, ""},
    {"A \"B\"", ERR_OK, "a \"b\""},
    {"\xC3\x84nne", ERR_OK, "\xC3\xA4nne"},
    {"A\xCC\x88nne", ERR_OK, "\xC3\xA4nne"}, /* NFC */
    {"STRA\xC3\x9F"
     "E",
     ERR_OK, "strasse"}, /* full case folding */
    {"\xCE\xA3\xCE\xAF\xCF\x83\xCF\x85\xCF\x86\xCE\xBF\xCF\x82", ERR_OK,
     "\xCF\x83\xCE\xAF\xCF\x83\xCF\x85\xCF\x86\xCE\xBF\xCF\x83"}, /* final sigma */
    {"\xEF\xBC\xA1", ERR_OK, "\xEF\xBD\x81"}, /* compatibility forms stay what they are */
    {"\xE4\xB8\xAD\xE5\x9B\xBD", ERR_OK, "\xE4\xB8\xAD\xE5\x9B\xBD"},
    {"\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D", ERR_OK, "\xD7\xA9\xD7\x9C\xD7\x95\xD7\x9D"},
    {"\xD7\xA9\xD7\x9C+news", ERR_OK, "\xD7\xA9\xD7\x9C+news"}, /* pieces by themselves */
    {"\xD7\xA9news", ERR_MALFORMED, NULL},
    {"1\xD7\xA9", ERR_MALFORMED, NULL},
    {"a\x01", ERR_MALFORMED, NULL},
    {"a\x7F", ERR_MALFORMED, NULL},
    {"a\r\nb", ERR_MALFORMED, NULL},
    {"\xC2\x85", ERR_MALFORMED, NULL},      /* C1 */
    {"\xE2\x80\xA8", ERR_MALFORMED, NULL},  /* line separator */
    {"a\xE2\x80\x8B", ERR_MALFORMED, NULL}, /* zero width space */
    {"a\xE2\x80\xAE"
     "b",
     ERR_MALFORMED, NULL}, /* right to left from here */
    {"a\xC2\xAD"
     "b",
     ERR_MALFORMED, NULL}, /* soft hyphen */
    {"a\xC2\xA0"
     "b",
     ERR_MALFORMED, NULL},                  /* no-break space */
    {"a\xEF\xB8\x8F", ERR_MALFORMED, NULL}, /* variation selector */
    {"\xE3\x85\xA4", ERR_MALFORMED, NULL},  /* Hangul filler */
    {"\xEE\x80\x80", ERR_MALFORMED, NULL},  /* private */
    {"\xCD\xB8", ERR_MALFORMED, NULL},      /* unassigned */
    {"a\xE2\x80\x8D"
     "b",
     ERR_MALFORMED, NULL}, /* joiners where nothing joins */
    {"a\xE2\x80\x8C", ERR_MALFORMED, NULL},
    {"\xE2\x80\x8D", ERR_MALFORMED, NULL},
    {"\xD9\x87\xE2\x80\x8C\xD8\xA7", ERR_OK, "\xD9\x87\xE2\x80\x8C\xD8\xA7"},
    {"\xD9\x87\xE2\x80\x8D\xD8\xA7", ERR_MALFORMED, NULL},
    {"\xE0\xB7\x81\xE0\xB7\x8A\xE2\x80\x8D\xE0\xB6\xBB", ERR_OK,
     "\xE0\xB7\x81\xE0\xB7\x8A\xE2\x80\x8D\xE0\xB6\xBB"},
    {"\xE0\xB7\x9C\xE0\xB7\x8A\xE2\x80\x8D\xE0\xB6\xBB", ERR_MALFORMED,
     NULL}, /* the virama goes into the vowel sign before it */
    {"\xFF", ERR_MALFORMED, NULL},
    {"\xC3", ERR_MALFORMED, NULL},
    {"\xD9\x87\xE2\x80\x8C\xFF", ERR_MALFORMED, NULL},
    {"\xED\xA0\x80", ERR_MALFORMED, NULL},
};

static void test_locals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(locals) / sizeof(locals[0]); i++) {
        struct bytes folded;
        struct bytes again;
        struct arena arena;
        arena_init(&arena);
        enum err err = mail_local_fold(bytes_of(locals[i].local), &arena, &folded);
        if (err != locals[i].want)
            print_error("row %zu \"%s\": %s\n", i, locals[i].local, err_name(err));
        assert_int_equal(err, locals[i].want);
        if (err == ERR_OK) {
            assert_text(folded, locals[i].folded);
            assert_int_equal(mail_local_fold(folded, &arena, &again), ERR_OK);
            assert_true(bytes_equal(folded, again));
        }
        arena_fini(&arena);
    }
}

static void test_local_limits(void **state)
{
    struct bytes folded;
    struct arena arena;
    char text[MAIL_LOCAL_UTF8_SIZE_MAX + 2];
    (void)state;
    arena_init(&arena);
    memset(text, 'x', sizeof(text));
    assert_int_equal(mail_local_fold(bytes_from(text, 64), &arena, &folded), ERR_OK);
    assert_int_equal(mail_local_fold(bytes_from(text, 65), &arena, &folded), ERR_TOOBIG);
    /* 64 bytes that fold to more: U+0390 has three code points, of two bytes each. */
    for (size_t i = 0; i < 32; i++)
        memcpy(text + 2 * i, "\xCE\x90", 2);
    assert_int_equal(mail_local_fold(bytes_from(text, 64), &arena, &folded), ERR_OK);
    for (size_t i = 0; i < 32; i++)
        memcpy(text + 2 * i, "\xC7\xB0", 2); /* U+01F0: composes again */
    assert_int_equal(mail_local_fold(bytes_from(text, 64), &arena, &folded), ERR_OK);
    for (size_t i = 0; i < 21; i++)
        memcpy(text + 3 * i, "\xE1\xBE\x80", 3); /* U+1F80: alpha with iota, five bytes */
    assert_int_equal(mail_local_fold(bytes_from(text, 63), &arena, &folded), ERR_TOOBIG);
    assert_int_equal(mail_local_fold(bytes_from(text, 36), &arena, &folded), ERR_OK);
    assert_int_equal(mail_local_fold(bytes_from(text, sizeof(text) - 1), &arena, &folded),
                     ERR_TOOBIG);
    arena_fini(&arena);
}

static void test_addresses(void **state)
{
    struct mail_path folded;
    struct arena arena;
    (void)state;
    arena_init(&arena);
    struct mail_path path = {.local = BYTES("\xC3\x84"
                                            "B"),
                             .domain = BYTES("B\xC3\x9C.example")};
    assert_true(mail_path_is_utf8(&path));
    assert_int_equal(mail_address_fold(&path, &arena, &folded), ERR_OK);
    assert_text(folded.local, "\xC3\xA4"
                              "b");
    assert_text(folded.domain, "xn--b-eha.example");
    assert_true(mail_path_is_utf8(&folded));
    path = (struct mail_path){.local = BYTES("Postmaster"), .domain = {NULL, 0}};
    assert_false(mail_path_is_utf8(&path));
    assert_int_equal(mail_address_fold(&path, &arena, &folded), ERR_OK);
    assert_text(folded.local, "postmaster");
    assert_int_equal(folded.domain.len, 0);
    path = (struct mail_path){.local = BYTES("a"), .domain = BYTES("[IPv6:2001:DB8::1]")};
    assert_int_equal(mail_address_fold(&path, &arena, &folded), ERR_OK);
    assert_text(folded.domain, "[ipv6:2001:db8::1]");
    path = (struct mail_path){.local = BYTES("a"), .domain = BYTES("[oops]")};
    assert_int_equal(mail_address_fold(&path, &arena, &folded), ERR_MALFORMED);
    path = (struct mail_path){.local = BYTES(""), .domain = BYTES(""), .is_null = true};
    assert_int_equal(mail_address_fold(&path, &arena, &folded), ERR_OK);
    assert_true(folded.is_null);
    arena_fini(&arena);
}

static void test_read(void **state)
{
    static const struct {
        const char *text;
        enum err want;
        const char *form;
    } cases[] = {
        {"Anna@A.example", ERR_OK, "anna@a.example"},
        {"\"A B\"@a.example", ERR_OK, "\"a b\"@a.example"},
        {"\xC3\x84@B\xC3\x9C.example", ERR_OK, "\xC3\xA4@xn--b-eha.example"},
        {"a@[192.0.2.1]", ERR_OK, "a@[192.0.2.1]"},
        {"a\xE2\x80\x8B@a.example", ERR_MALFORMED, NULL},
        {"a@a\xC2\xAD.example", ERR_MALFORMED, NULL},
        {"a@\xFF.example", ERR_MALFORMED, NULL},
        {"postmaster", ERR_MALFORMED, NULL},
        {"<a@b>", ERR_MALFORMED, NULL},
        {"a@b c", ERR_MALFORMED, NULL},
        {"", ERR_MALFORMED, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mail_path path;
        struct arena arena;
        arena_init(&arena);
        assert_int_equal(mail_address_read(bytes_of(cases[i].text), &arena, &path),
                         cases[i].want);
        if (cases[i].want == ERR_OK)
            assert_text(mail_path_format(&arena, &path), cases[i].form);
        arena_fini(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_ascii),     cmocka_unit_test(test_limits),
        cmocka_unit_test(test_to_unicode),   cmocka_unit_test(test_locals),
        cmocka_unit_test(test_local_limits), cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_read),
    };
    return cmocka_run_group_tests_name("node/mail/idn", tests, NULL, NULL);
}
