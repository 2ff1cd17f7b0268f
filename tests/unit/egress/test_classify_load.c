/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a rules file may say, and why one is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "smtp/egress/classify.h"

#define RULE(name, lines) "rule " name "\n source x\n" lines
#define GOOD                                                                                   \
    RULE("good",                                                                               \
         " match good\n class ip-block\n scope row\n action suspend 2h\n test 550 good\n")

static const struct {
    const char *text;
    unsigned line;
    const char *reason; /* a part of it */
} refused[] = {
    {"", 0, "no rule"},
    {"# nothing\n\n", 0, "no rule"},
    {"rules x\n", 1, "no such keyword"},
    {" class auth\n", 1, "before the first rule"},
    {"rule\n", 1, "no name"},
    {"rule Big\n", 1, "no name"},
    {"rule a-name-that-is-longer-than-forty-seven-letters-of-it\n", 1, "no name"},
    {GOOD GOOD, 8, "of this name"},
    {GOOD " colour red\n", 8, "no such keyword"},
    {GOOD " class\n", 8, "no value"},
    {GOOD " class blue\n", 8, "no such class"},
    {GOOD " scope everything\n", 8, "no such scope"},
    {GOOD " phase lunch\n", 8, "no such phase"},
    {GOOD " provider Google\n", 8, "no name"},
    {GOOD " provider a b c d e f g h i\n", 8, "more than 8"},
    {GOOD " code 250\n", 8, "neither"},
    {GOOD " code 3xx\n", 8, "neither"},
    {GOOD " code 421 422 423 424 425 426 427 428 429\n", 8, "more than 8"},
    {GOOD " status 2.1.5\n", 8, "no status"},
    {GOOD " status 4.7\n", 8, "no status"},
    {GOOD " status 4.7.9-3\n", 8, "no status"},
    {GOOD " also auth\n", 8, "a class and a scope"},
    {GOOD " confidence 2\n", 8, "not from"},
    {GOOD " confidence 0\n", 8, "not from"},
    {GOOD " confidence 0.0\n", 8, "not from"},
    {GOOD " action dance\n", 8, "no such action"},
    {GOOD " action suspend\n", 8, "without a time"},
    {GOOD " action suspend 31d\n", 8, "without a time"},
    {GOOD " action suspend 0h\n", 8, "without a time"},
    {GOOD " action suspend 5y\n", 8, "without a time"},
    {GOOD " action throttle fast\n", 8, "without a time"},
    {GOOD " action throttle 1h slowly 1\n", 8, "throttle knows"},
    {GOOD " action throttle 1h connections 0\n", 8, "throttle knows"},
    {GOOD " action throttle 1h rate 10\n", 8, "throttle knows"},
    {GOOD " action alert 1h\n", 8, "have a time"},
    {GOOD " action retry soon\n", 8, "without a time"},
    {GOOD " threshold 0/1h\n", 8, "a number and a time"},
    {GOOD " threshold 5\n", 8, "a number and a time"},
    {GOOD " list Zen\n", 8, "no name of a list"},
    {GOOD " list zen\n", 1, "not defined"},
    {GOOD " zone here\n", 8, "in-text"},
    {GOOD " match (good\n", 8, "without a ')'"},
    {GOOD " match (?=good)\n", 8, "look-around"},
    {GOOD " match (g+)+\n", 8, "a repeat within a repeat"},
    {GOOD " match (g)\\1\n", 8, "back reference"},
    {GOOD " match (x)\n match (x)\n match (x)\n match (x)\n match (x)\n match (x)\n match (x)\n"
          " match (x)\n",
     15, "too many patterns"},
    {GOOD " test good\n", 8, "begins with a reply code"},
    {GOOD " test 250 good\n", 8, "begins with a reply code"},
    {GOOD " test @lunch 550 good\n", 8, "no such phase"},
    {GOOD " test 550 bad\n", 8,
     "becomes policy by rule none at connect; its text is read as: bad"},
    {GOOD "guess auth 550 bad\n", 8, "not auth without a rule"},
    {GOOD "guess ip-block 550 good\n", 8, "by rule good"},
    {GOOD "guess blue 550 good\n", 8, "no such class"},
    {"list zen address zen.example.org\n" GOOD, 1, "kind ip or domain"},
    {"list zen ip\n" GOOD, 1, "no host"},
    {"list zen ip org\n" GOOD, 1, "no host"},
    {"list zen ip zen.Example.org\n" GOOD, 1, "lower-case"},
    {"list ZEN ip zen.example.org\n" GOOD, 1, "no name of a list"},
    /* rules that lack something */
    {"rule a\n match a\n class auth\n scope domain\n test 550 a\n", 1, "and a source"},
    {"rule a\n source x\n match a\n scope domain\n test 550 a\n", 1, "has a class"},
    {"rule a\n source x\n match a\n class auth\n test 550 a\n", 1, "a scope"},
    {RULE("a", " match a\n class auth\n scope domain\n"), 1, "an example"},
    {RULE("a", " class auth\n scope domain\n test 550 a\n"), 1, "a pattern or a status"},
    {RULE("a", " class auth\n scope domain\n test 550 a\n") GOOD, 1, "a pattern or a status"},
    /* a status alone does not speak of our address, and content does not slow it down */
    {RULE("a", " status 5.7.1\n class ip-block\n scope row\n test 550 5.7.1 a\n"), 1,
     "a pattern"},
    {RULE("a", " match a\n class content\n scope row\n action suspend 1h\n test 550 a\n"), 1,
     "must not be slowed"},
    {RULE("a", " match a\n class auth\n scope row\n action disable\n test 550 a\n"), 1,
     "must not be slowed"},
    {RULE("a", " match a\n class ip-block\n scope row\n threshold 2/1h\n test 550 a\n"), 1,
     "without `action suspend`"},
    /* shadows */
    {GOOD RULE("better", " match good\n class ip-block\n scope row\n test 550 good\n"), 8,
     "rule better is shadowed by rule good"},
    {GOOD RULE("better", " match good|better\n class ip-block\n scope row\n test 550 better\n"
                         " test 550 good\n"),
     14, "by rule good"},
    {RULE("any", " match x\n class auth\n scope domain\n test @rcpt 550 x\n")
         RULE("named", " provider p\n phase rcpt\n match x\n class auth\n scope domain\n"
                       " test @data 550 x\n"),
     7, "rule named is shadowed by rule any"},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct classify_rules *rules;
        struct classify_error error;
        enum err err = classify_load(bytes_of(refused[i].text), &rules, &error);
        if (err != ERR_MALFORMED || error.line != refused[i].line ||
            strstr(error.reason, refused[i].reason) == NULL)
            fail_msg("case %zu: %s, line %u, %s; wanted line %u, %s", i, err_name(err),
                     error.line, error.reason, refused[i].line, refused[i].reason);
        assert_null(rules);
    }
}

static struct classify_rules *load(const char *text)
{
    struct classify_rules *rules;
    struct classify_error error;

    if (classify_load(bytes_of(text), &rules, &error) != ERR_OK)
        fail_msg("line %u: %s", error.line, error.reason);
    return rules;
}

static struct classify_verdict ask(struct classify_rules *rules, const char *provider,
                                   enum classify_phase phase, unsigned code, const char *text)
{
    struct classify_reply reply = {.provider = bytes_of(provider),
                                   .phase = phase,
                                   .code = code,
                                   .text = bytes_of(text),
                                   .source = BYTES("192.0.2.1")};
    struct classify_verdict verdict;
    classify(rules, &reply, &verdict);
    return verdict;
}

/* Each field of a rule arrives. */
static void test_fields(void **state)
{
    struct classify_rules *rules =
        load("# a comment\r\n"
             "list zen ip zen.example.org\r\n"
             "rule full\r\n"
             "\tprovider google yahoo\r\n"
             "  phase rcpt final\r\n  code 421 5xx\r\n  status x.7.1 5.7.100-199 5.1.x\r\n"
             "  match ^no\\b.*good$\r\n  match bad\r\n  unless really\r\n"
             "  class ip-rate\r\n  scope prefix\r\n  also auth tenant\r\n  confidence 0.75\r\n"
             "  action throttle 90s connections 1 messages 2 rate 10/1m\r\n"
             "  action suspend 2h\r\n  action hold 1d\r\n  action retry 5m\r\n"
             "  action recheck\r\n  action alert\r\n  threshold 5/1h\r\n  list zen\r\n"
             "  source here and there\r\n"
             "  test 550-5.7.1 no\\n550 5.7.1 good\r\n  test @rcpt 421 4.7.1 bad\r\n"
             "guess greylist 451 greylisted\r\n");
    struct classify_verdict verdict =
        ask(rules, "yahoo", CLASSIFY_AT_FINAL, 550, "5.7.142 not in 192.0.2.0/24, bad");
    const struct classify_rule *rule = verdict.rule;

    (void)state;
    assert_non_null(rule);
    assert_int_equal(classify_rule_count(rules), 1);
    assert_string_equal(rule->name, "full");
    assert_int_equal(rule->line, 3);
    assert_int_equal(verdict.class, CLASSIFY_IP_RATE);
    assert_int_equal(verdict.scope, CLASSIFY_SCOPE_PREFIX);
    assert_int_equal(verdict.confidence, 75);
    assert_int_equal(verdict.basis, CLASSIFY_BY_RULE);
    assert_string_equal(verdict.list, "zen");
    assert_false(verdict.list_is_zone);
    assert_true(verdict.names_source);
    assert_true(rule->has_also);
    assert_int_equal(rule->also_class, CLASSIFY_AUTH);
    assert_int_equal(rule->also_scope, CLASSIFY_SCOPE_TENANT);
    const struct classify_action *action = &rule->action;
    assert_int_equal(action->throttle_ms, 90 * 1000);
    assert_int_equal(action->connections, 1);
    assert_int_equal(action->messages, 2);
    assert_int_equal(action->rate_count, 10);
    assert_int_equal(action->rate_ms, 60 * 1000);
    assert_int_equal(action->suspend_ms, 2 * 3600 * 1000);
    assert_int_equal(action->threshold_count, 5);
    assert_int_equal(action->threshold_ms, 3600 * 1000);
    assert_int_equal(action->hold_ms, 24 * 3600 * 1000);
    assert_true(action->retry);
    assert_int_equal(action->retry_ms, 300 * 1000);
    assert_int_equal(action->flags, 1u << CLASSIFY_FLAG_HOLD | 1u << CLASSIFY_FLAG_RECHECK |
                                        1u << CLASSIFY_FLAG_ALERT);
    /* and each condition counts */
    assert_null(ask(rules, "apple", CLASSIFY_AT_FINAL, 550, "5.7.1 bad").rule);
    assert_null(ask(rules, "", CLASSIFY_AT_FINAL, 550, "5.7.1 bad").rule);
    assert_null(ask(rules, "yahoo", CLASSIFY_AT_MAIL, 550, "5.7.1 bad").rule);
    assert_null(ask(rules, "yahoo", CLASSIFY_AT_FINAL, 450, "4.7.1 bad").rule);
    assert_null(ask(rules, "yahoo", CLASSIFY_AT_FINAL, 550, "5.7.2 bad").rule);
    assert_null(ask(rules, "yahoo", CLASSIFY_AT_FINAL, 550, "bad").rule);
    assert_null(ask(rules, "yahoo", CLASSIFY_AT_FINAL, 421, "4.7.150 bad").rule);
    assert_null(ask(rules, "yahoo", CLASSIFY_AT_FINAL, 550, "4.7.1 bad").rule);
    assert_null(ask(rules, "yahoo", CLASSIFY_AT_FINAL, 550, "5.7.1 ugly").rule);
    assert_null(ask(rules, "yahoo", CLASSIFY_AT_FINAL, 550, "5.7.1 really bad").rule);
    assert_null(ask(rules, "yahoo", CLASSIFY_AT_FINAL, 0, "550 5.7.1 bad").rule);
    assert_null(ask(rules, "yahoo", CLASSIFY_AT_FINAL, 250, "5.7.1 bad").rule);
    assert_non_null(ask(rules, "yahoo", CLASSIFY_AT_FINAL, 550, "5.1.77 bad").rule);
    classify_free(&rules);
    assert_null(rules);
}

/* Those of named providers come first, wherever they stand. */
static void test_order(void **state)
{
    struct classify_rules *rules =
        load(RULE("any", " match x\n class auth\n scope domain\n test 550 x\n") RULE(
            "named", " provider p\n match x\n class content\n scope message\n test 550 x\n")
                 RULE("late", " match x|y\n class policy\n scope message\n test 550 y\n"));

    (void)state;
    assert_string_equal(ask(rules, "p", CLASSIFY_AT_RCPT, 550, "x").rule->name, "named");
    assert_string_equal(ask(rules, "q", CLASSIFY_AT_RCPT, 550, "x").rule->name, "any");
    assert_string_equal(ask(rules, "p", CLASSIFY_AT_RCPT, 550, "y").rule->name, "late");
    classify_free(&rules);
}

/* The status that stands in the text is the host's; the caller's counts where there is none. */
static void test_status(void **state)
{
    struct classify_rules *rules = load(
        RULE("a", " status 5.7.9\n match x\n class auth\n scope domain\n test 550 5.7.9 x\n"));
    struct classify_reply reply = {.code = 550, .status = BYTES("5.7.9"), .text = BYTES("x")};
    struct classify_verdict verdict;

    (void)state;
    classify(rules, &reply, &verdict);
    assert_non_null(verdict.rule);
    reply.text = BYTES("550 5.0.0 x");
    classify(rules, &reply, &verdict);
    assert_null(verdict.rule);
    reply = (struct classify_reply){.code = 450, .status = BYTES("5.7.9"), .text = BYTES("x")};
    classify(rules, &reply, &verdict);
    assert_null(verdict.rule);
    classify_free(&rules);
}

static void test_files(void **state)
{
    struct classify_rules *rules = NULL;
    struct classify_error error;
    char path[] = "/tmp/postraft-rules-XXXXXX";
    int fd = mkstemp(path);
    uint8_t *large = calloc(1, CLASSIFY_FILE_MAX + 1);

    (void)state;
    assert_true(fd >= 0 && large != NULL);
    /* no file: the built-in copy */
    assert_int_equal(classify_open(NULL, &rules, &error), ERR_OK);
    size_t count = classify_rule_count(rules);
    assert_true(count > 100);
    classify_free(&rules);
    assert_int_equal(classify_open("/nonexistent/replies.rules", &rules, &error), ERR_OK);
    assert_int_equal(classify_rule_count(rules), count);
    classify_free(&rules);
    /* one that is there counts, right or wrong */
    assert_int_equal(write(fd, GOOD, strlen(GOOD)), strlen(GOOD));
    assert_int_equal(classify_open(path, &rules, &error), ERR_OK);
    assert_int_equal(classify_rule_count(rules), 1);
    classify_free(&rules);
    assert_int_equal(write(fd, "x", 1), 1);
    assert_int_equal(classify_open(path, &rules, &error), ERR_MALFORMED);
    assert_int_equal(error.line, 8);
    assert_int_equal(pwrite(fd, large, CLASSIFY_FILE_MAX + 1, 0), CLASSIFY_FILE_MAX + 1);
    assert_int_equal(classify_open(path, &rules, &error), ERR_TOOBIG);
    assert_int_equal(classify_open("/tmp", &rules, &error), ERR_IO);
    assert_null(rules);
    assert_non_null(strstr(classify_installed(), "share/postraft/replies.rules"));
    classify_free(&rules);
    free(large);
    close(fd);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused), cmocka_unit_test(test_fields),
        cmocka_unit_test(test_order),   cmocka_unit_test(test_status),
        cmocka_unit_test(test_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
