/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/base/hex.h"
#include "storage/auth/password_strength.h"

static const struct password_rule usual = {.characters_min = PASSWORD_CHARACTERS_MIN,
                                           .score_min = PASSWORD_SCORE_MIN};
static const struct password_owner alice = {.address =
                                                BYTES_INIT("alice.meyer@kranfeld.example"),
                                            .tenant = BYTES_INIT("Kranfeld GmbH")};

static void verdicts(void **unused)
{
    static const struct {
        const char *password;
        enum password_verdict verdict;
    } rows[] = {
        {"correct horse battery staple", PASSWORD_GOOD},
        {"xkcd-9fK2-lemon", PASSWORD_GOOD},
        {"Gr\xc3\xbc\xc3\x9f"
         "e aus Wien, Martha",
         PASSWORD_GOOD},
        {"", PASSWORD_SHORT},
        {"9fK2-lemon.", PASSWORD_SHORT},
        {"\xc3\xbc\xc3\xb6\xc3\xa4\xc3\x9f\xe2\x82\xac"
         "9fK2-",
         PASSWORD_SHORT}, /* 10 characters */
        {"passwordpassword", PASSWORD_GUESSABLE},
        {"qwertyuiop12", PASSWORD_GUESSABLE},
        {"aaaaaaaaaaaaaaaaaaaaaaaa", PASSWORD_GUESSABLE},
        {"123456789012", PASSWORD_GUESSABLE},
        {"alice.meyer@kranfeld.example", PASSWORD_OWN_NAME},
        {"ALICE-MEYER-2024!", PASSWORD_OWN_NAME},
        {"kranfeld.example", PASSWORD_OWN_NAME},
        {"KranfeldGmbH2024", PASSWORD_OWN_NAME},
        {"aliceAliceALICE", PASSWORD_OWN_NAME},
        {"a1ic3 m3y3r 12", PASSWORD_OWN_NAME},    /* in disguise */
        {"alice has 9fK2 lemons", PASSWORD_GOOD}, /* a name is fine beside enough else */
        {"tab\tin 9fK2 lemon", PASSWORD_NOT_TEXT},
        {"bytes \xff 9fK2 lemon", PASSWORD_NOT_TEXT},
        {"nul? \x7f 9fK2 lemon", PASSWORD_NOT_TEXT},
    };
    char why[PASSWORD_WHY_SIZE];
    enum err list;
    (void)unused;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum password_verdict verdict =
            password_strength_check(&usual, &alice, bytes_of(rows[i].password), why, &list);
        if (verdict != rows[i].verdict)
            print_error("%s\n", rows[i].password);
        assert_int_equal(verdict, rows[i].verdict);
        assert_int_equal(strlen(why) == 0, verdict == PASSWORD_GOOD);
        assert_int_equal(list, ERR_OK);
        if (strlen(rows[i].password) > 0)
            assert_null(strstr(why, rows[i].password));
    }
    assert_int_equal(
        password_strength_check(&usual, &alice, BYTES("a\0b correct horse"), why, NULL),
        PASSWORD_NOT_TEXT);
}

static void lengths(void **unused)
{
    static char text[AUTH_PASSWORD_SIZE_MAX + 1];
    char why[PASSWORD_WHY_SIZE];
    struct password_rule rule = usual;
    struct password_owner nobody = {.address = {NULL, 0}};
    (void)unused;
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[(i * 7 + i * i / 3) % 36];
    assert_int_equal(
        password_strength_check(&usual, &nobody, bytes_from(text, sizeof(text)), why, NULL),
        PASSWORD_LONG);
    assert_int_equal(
        password_strength_check(&usual, &nobody, bytes_from(text, sizeof(text) - 1), why, NULL),
        PASSWORD_GOOD);
    rule.characters_min = 20;
    assert_int_equal(password_strength_check(&rule, &nobody, bytes_from(text, 19), why, NULL),
                     PASSWORD_SHORT);
    assert_non_null(strstr(why, "at least 20 characters"));
    assert_int_equal(password_strength_check(&rule, &nobody, bytes_from(text, 20), why, NULL),
                     PASSWORD_GOOD);
    rule.characters_min = 0; /* never an empty one */
    rule.score_min = 0;
    assert_int_equal(password_strength_check(&rule, &nobody, bytes_from(text, 0), why, NULL),
                     PASSWORD_SHORT);
    assert_int_equal(password_strength_check(&rule, &nobody, bytes_from(text, 1), why, NULL),
                     PASSWORD_GOOD);
}

/* A list of the passwords "entry 0", "entry 2", ... in a file. */
enum { ENTRIES = 3000 };

struct list {
    char path[64];
    struct password_breached *breached;
};

static int order(const void *a, const void *b)
{
    return strcmp(a, b);
}

static enum err list_open(struct list *list, size_t digits, const char *counts, const char *end,
                          size_t entries)
{
    static char lines[ENTRIES][41];
    for (size_t i = 0; i < entries; i++) {
        char entry[32];
        uint8_t digest[20];
        int len = snprintf(entry, sizeof(entry), "entry %zu", 2 * i);
        assert_int_equal(EVP_Digest(entry, (size_t)len, digest, NULL, EVP_sha1(), NULL), 1);
        hex_encode(bytes_from(digest, sizeof(digest)), lines[i]);
    }
    qsort(lines, entries, sizeof(lines[0]), order);
    strcpy(list->path, "/tmp/postraft-breached-XXXXXX");
    int fd = mkstemp(list->path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "w");
    assert_non_null(file);
    for (size_t i = 0; i < entries; i++) {
        for (size_t k = 0; k < digits; k++) /* published lists are in upper case */
            fputc(i % 2 == 0 && lines[i][k] >= 'a' ? lines[i][k] - 32 : lines[i][k], file);
        fprintf(file, counts, (int)(i * i));
        if (i + 1 < entries || end[0] != '-') /* "-": the last line has no end */
            fputs(end[0] == '-' ? "\n" : end, file);
    }
    assert_int_equal(fclose(file), 0);
    return password_breached_open(list->path, &list->breached);
}

static void list_close(struct list *list)
{
    password_breached_close(&list->breached);
    unlink(list->path);
}

static void every_entry_is_found(void **unused)
{
    static const struct {
        size_t digits;
        const char *counts;
        const char *end;
        size_t entries;
    } rows[] = {
        {40, ":%d", "\r\n", ENTRIES}, {40, "", "\n", ENTRIES}, {16, "", "\n", ENTRIES},
        {20, ":%d", "-", ENTRIES},    {40, ":%d", "\r\n", 1},  {40, "", "-", 1},
        {40, ":%d", "\n", 2},         {40, ":%d", "\r\n", 7},
    };
    (void)unused;
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        struct list list;
        assert_int_equal(list_open(&list, rows[row].digits, rows[row].counts, rows[row].end,
                                   rows[row].entries),
                         ERR_OK);
        for (unsigned i = 0; i < 2 * rows[row].entries + 20; i++) {
            char entry[32];
            int len = snprintf(entry, sizeof(entry), "entry %u", i);
            bool there = i % 2 == 0 && i < 2 * rows[row].entries;
            assert_int_equal(
                password_breached_find(list.breached, bytes_from(entry, (size_t)len)),
                there ? ERR_OK : ERR_NOTFOUND);
        }
        list_close(&list);
    }
}

/* How many times the process has read from a file, by the kernel's count; 0 where there is
 * none. */
static unsigned long reads_so_far(void)
{
    FILE *file = fopen("/proc/self/io", "r");
    char line[128];
    unsigned long count = 0;
    if (file == NULL)
        return 0;
    while (fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "syscr: %lu", &count) == 1)
            break;
    fclose(file);
    return count;
}

static void look_ups_read_little(void **unused)
{
    struct list list;
    (void)unused;
    assert_int_equal(list_open(&list, 40, ":%d", "\n", ENTRIES), ERR_OK);
    unsigned long before = reads_so_far();
    unsigned long cost = reads_so_far() - before;
    before = reads_so_far();
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(password_breached_find(list.breached, BYTES("not there")),
                         ERR_NOTFOUND);
    unsigned long reads = reads_so_far() - before - cost;
    /* 2^17 bytes, halved down to nothing: 17 at most and a few; the end of the file costs one
     * more. */
    assert_true(reads <= 100 * 2 * 19);
    list_close(&list);
}

static void broken_lists(void **unused)
{
    static const char *const texts[] = {
        "",
        "\n",
        "hello\n",
        "0123456789A\n" /* 11 digits */,
        "0123456789ABCDEF0123456789ABCDEF0123456789\n" /* 42 */,
        "0123456789ABCDEF0123456789ABCDEF0123456G\n",
        "0123456789ABCDEF0123456789ABCDEF01234567:x\n",
        "0123456789ABCDEF0123456789ABCDEF01234567 5\n",
    };
    struct password_breached *breached;
    (void)unused;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char path[] = "/tmp/postraft-breached-XXXXXX";
        int fd = mkstemp(path);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
        close(fd);
        assert_int_equal(password_breached_open(path, &breached), ERR_MALFORMED);
        assert_null(breached);
        unlink(path);
    }
    assert_int_equal(password_breached_open("/nonexistent/list", &breached), ERR_NOTFOUND);
    assert_int_equal(password_breached_open("/tmp", &breached), ERR_MALFORMED);
}

/* A list that breaks in its middle refuses nobody, and says so. */
static void damage_inside(void **unused)
{
    struct list list;
    char why[PASSWORD_WHY_SIZE];
    char damage[600];
    enum err err;
    (void)unused;
    assert_int_equal(list_open(&list, 40, "", "\n", ENTRIES), ERR_OK);
    FILE *file = fopen(list.path, "r+");
    assert_non_null(file);
    fseek(file, 41L * ENTRIES / 2 - 300, SEEK_SET);
    memset(damage, 'x', sizeof(damage));
    fwrite(damage, 1, sizeof(damage), file);
    fclose(file);
    assert_int_equal(password_breached_find(list.breached, BYTES("entry 2")), ERR_MALFORMED);
    struct password_rule rule = usual;
    rule.breached = list.breached;
    assert_int_equal(password_strength_check(&rule, &alice,
                                             BYTES("correct horse battery staple"), why, &err),
                     PASSWORD_GOOD);
    assert_int_equal(err, ERR_MALFORMED);
    list_close(&list);
}

static void breached_passwords_are_refused(void **unused)
{
    struct list list;
    struct password_rule rule = {.characters_min = 5};
    char why[PASSWORD_WHY_SIZE];
    enum err err;
    (void)unused;
    assert_int_equal(list_open(&list, 40, ":%d", "\r\n", ENTRIES), ERR_OK);
    rule.breached = list.breached;
    assert_int_equal(password_strength_check(&rule, &alice, BYTES("entry 4"), why, &err),
                     PASSWORD_BREACHED);
    assert_non_null(strstr(why, "stolen"));
    assert_int_equal(password_strength_check(&rule, &alice, BYTES("entry 5"), why, &err),
                     PASSWORD_GOOD);
    assert_int_equal(err, ERR_OK);
    list_close(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts),
        cmocka_unit_test(lengths),
        cmocka_unit_test(every_entry_is_found),
        cmocka_unit_test(look_ups_read_little),
        cmocka_unit_test(broken_lists),
        cmocka_unit_test(damage_inside),
        cmocka_unit_test(breached_passwords_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
