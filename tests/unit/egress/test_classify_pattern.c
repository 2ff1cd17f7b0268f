/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Patterns: what may be written, that they mean what POSIX's mean, and that texts cannot slow
 * them. */
#include <regex.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "smtp/egress/classify_pattern.h"

static struct pattern *compile(const char *text)
{
    char reason[512] = "";
    struct pattern *pattern = pattern_compile(bytes_of(text), reason, sizeof(reason));

    if (pattern == NULL)
        fail_msg("%s: %s", text, reason);
    return pattern;
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        const char *reason;
    } cases[] = {
        {"", "empty"},
        {"a*", "fits the empty text"},
        {"a|", "fits the empty text"},
        {"$", "fits the empty text"},
        {"(", "without a ')'"},
        {")", "without a '('"},
        {"[a", "without a ']'"},
        {"[]", "without a ']'"},
        {"[[:alpha:]]", "within [...]"},
        {"*a", "a repeat of nothing"},
        {"(*VERB)a", "a verb"},
        {"(|+)", "a repeat of nothing"},
        {"a\\", "at the end"},
        {"(a)\\1", "back reference"},
        {"(a)\\g1", "back reference"},
        {"a\\Kb", "back reference"},
        {"\\Qa", "back reference"},
        {"[\\1]", "back reference"},
        {"(?=a)b", "look-around"},
        {"(?!a)b", "look-around"},
        {"(?<=a)b", "look-around"},
        {"(?<n>a)b", "look-around"},
        {"(?>a)b", "look-around"},
        {"(?i)a", "look-around"},
        {"(?R)a", "look-around"},
        {"(?(1)a)b", "look-around"},
        {"(a+)+b", "within a repeat"},
        {"(a*b)*c", "within a repeat"},
        {"(a{3})*c", "within a repeat"},
        {"((a|b+)c){2}d", "within a repeat"},
        {"a**", "within a repeat"},
        {"a?*", "within a repeat"},
        {"a*+b", "possessive or lazy"},
        {"a+?b", "possessive or lazy"},
        {"a??b", "possessive or lazy"},
        {"a{2}?b", "possessive or lazy"},
        {"a{101}", "at most 100"},
        {"a{2,101}", "at most 100"},
        {"a{3,2}", "at most 100"},
        {"a{,2}", "at most 100"},
        {"a{}", "at most 100"},
        {"a{2", "at most 100"},
        {"a{x}", "at most 100"},
        {"a{99999999999999999999}", "at most 100"},
        {"(abcdefgh){100}", "too many states"},
        {"((((((((((a))))))))))", "too deeply"},
        {"a\tb", "control character"},
    };
    char reason[512];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pattern *pattern =
            pattern_compile(bytes_of(cases[i].text), reason, sizeof(reason));
        if (pattern != NULL || strstr(reason, cases[i].reason) == NULL)
            fail_msg("%s: %s, not %s", cases[i].text, pattern != NULL ? "taken" : reason,
                     cases[i].reason);
    }
    char large[PATTERN_LEN_MAX + 2];
    memset(large, 'a', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    assert_null(pattern_compile(bytes_of(large), reason, sizeof(reason)));
    assert_non_null(strstr(reason, "too long"));
    struct pattern *pattern = compile(large + sizeof(large) - 1 - PATTERN_STATES_MAX);
    pattern_free(&pattern);
    assert_null(pattern);
}

static void test_end(void **state)
{
    struct pattern_scratch *scratch = pattern_scratch_new();
    struct pattern *pattern = compile("b+c?(?:d|e)");
    size_t end = 0;

    (void)state;
    assert_true(pattern_find(pattern, scratch, BYTES("aabbdbbce"), &end));
    assert_int_equal(end, 5);
    assert_false(pattern_find(pattern, scratch, BYTES("aabb\nx"), &end));
    pattern_free(&pattern);
    pattern = compile("a.b");
    assert_true(pattern_find(pattern, scratch, BYTES("xa\nbx"), &end));
    assert_int_equal(end, 4);
    pattern_free(&pattern);
    pattern = compile("^a\\.b$");
    assert_true(pattern_find(pattern, scratch, BYTES("a.b"), &end));
    assert_false(pattern_find(pattern, scratch, BYTES("a.b\n"), &end));
    assert_false(pattern_find(pattern, scratch, BYTES("axb"), &end));
    pattern_free(&pattern);
    pattern_scratch_free(&scratch);
}

/* Of a small alphabet, so that they meet. */
static void random_text(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + rand() % 3);
    text[len] = '\0';
}

static void random_pattern(char *text)
{
    static const char *const pieces[] = {"a",      "b",     "c",  "[ab]",   "[^a]",    ".",
                                         "(ab|c)", "a*",    "b+", "c?",     ".*",      "a{2}",
                                         "b{1,3}", "(ab)?", "|",  "(a|b)*", "(ba+|c)", "c{2,}"};
    text[0] = '\0';
    for (int count = 1 + rand() % 6; count > 0; count--)
        strcat(text, pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))]);
}

/* Random patterns on random texts find as the C library's do. */
static void test_oracle(void **state)
{
    struct pattern_scratch *scratch = pattern_scratch_new();
    unsigned compared = 0, found = 0;
    char text[64], words[32], reason[512];

    (void)state;
    srand(7);
    for (int round = 0; round < 3000; round++) {
        random_pattern(text);
        struct pattern *pattern = pattern_compile(bytes_of(text), reason, sizeof(reason));
        regex_t oracle;
        if (pattern == NULL)
            continue;
        assert_int_equal(regcomp(&oracle, text, REG_EXTENDED | REG_NOSUB), 0);
        for (int times = 0; times < 5; times++) {
            size_t end;
            random_text(words, (size_t)rand() % 16);
            bool got = pattern_find(pattern, scratch, bytes_of(words), &end);
            if (got != (regexec(&oracle, words, 0, NULL, 0) == 0))
                fail_msg("%s on %s: %d", text, words, got);
            compared++;
            found += got;
        }
        regfree(&oracle);
        pattern_free(&pattern);
    }
    assert_true(compared > 3000 && found > 500 && compared - found > 500);
    assert_int_equal(pattern_failures(scratch), 0);
    pattern_scratch_free(&scratch);
}

/* The largest patterns that are taken, on texts that keep all their states. */
static void test_worst(void **state)
{
    /* Each wants a byte that is there, behind one that is not. */
    static const char *const worst[] = {
        "a{100}a{100}cb",
        "(a|a|a|a|a|a|a|a|a|a|a|a){18}cb",
        "a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*cb",
        "(a?){100}cb",
        "(aa|a){1,40}(a|aa){1,20}cb",
        ".*.*.*.*.*.*.*.*.*.*c{90,100}b",
        "[ab]{100}[be]{50}[ae]{50}cb",
        "(a?b?e?a?b?){40}cb",
        "\\w{1,100}\\s?\\w{1,99}cb",
        "(a|b)*(a|aa|aaa)*(.a|a.)*a{0,100}cb",
    };
    static uint8_t text[CLASSIFY_TEXT_MAX];
    struct pattern_scratch *scratch = pattern_scratch_new();
    struct timespec before, after;
    enum { TEXT_S_MAX = 2 };
    size_t end;

    (void)state;
    memset(text, 'a', sizeof(text));
    text[0] = 'b';
    for (size_t i = 0; i < sizeof(worst) / sizeof(worst[0]); i++) {
        struct pattern *pattern = compile(worst[i]);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
        assert_false(pattern_find(pattern, scratch, bytes_from(text, sizeof(text)), &end));
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
        double took_ms = (double)(after.tv_sec - before.tv_sec) * 1e3 +
                         (double)(after.tv_nsec - before.tv_nsec) / 1e6;
        print_message("%s: %.2f ms\n", worst[i], took_ms);
        assert_true(took_ms < TEXT_S_MAX * 1000);
        assert_int_equal(pattern_failures(scratch), 0);
        pattern_free(&pattern);
    }
    pattern_scratch_free(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_end),
        cmocka_unit_test(test_oracle),
        cmocka_unit_test(test_worst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
