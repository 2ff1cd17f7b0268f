/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/mta_sts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the record ---- */

static const struct {
    const char *text;
    enum err err;
    const char *id;
} records[] = {
    {"v=STSv1; id=20160831085700Z;", ERR_OK, "20160831085700Z"},
    {"v=STSv1;id=1", ERR_OK, "1"},
    {"v=STSv1 ; id=a1 ; x-more=b", ERR_OK, "a1"},
    {"v=STSv1; x=y; id=a; id=b;", ERR_OK, "a"},
    {"v=STSv1; id=12345678901234567890123456789012;", ERR_OK,
     "12345678901234567890123456789012"},
    {"v=STSv1; id=123456789012345678901234567890123;", ERR_MALFORMED, ""},
    {"v=STSv1; id=;", ERR_MALFORMED, ""},
    {"v=STSv1; id=a-b;", ERR_MALFORMED, ""},
    {"v=STSv1; id=a b;", ERR_MALFORMED, ""},
    {"v=STSv1;", ERR_MALFORMED, ""},
    {"v=STSv1; ID=1;", ERR_MALFORMED, ""},
    {"v=STSv1; id=1; ; x=y", ERR_MALFORMED, ""},
    {"v=STSv1; id=1; x", ERR_MALFORMED, ""},
    {"v=STSv1; id=1; x=a=b", ERR_MALFORMED, ""},
    {"v=STSv1; id=1; -x=a", ERR_MALFORMED, ""},
    {"v=STSv1", ERR_NOTFOUND, ""},
    {"v=STSv10; id=1", ERR_NOTFOUND, ""},
    {"V=STSv1; id=1", ERR_NOTFOUND, ""},
    {" v=STSv1; id=1", ERR_NOTFOUND, ""},
    {"id=1; v=STSv1;", ERR_NOTFOUND, ""},
    {"", ERR_NOTFOUND, ""},
};

static void test_records(void **state)
{
    char id[MTA_STS_ID_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof(records) / sizeof(*records); i++) {
        const struct bytes text = bytes_of(records[i].text);
        enum err err = mta_sts_record_choose(&text, 1, id);
        if (err != records[i].err || strcmp(id, records[i].id) != 0)
            fail_msg("\"%s\": %s \"%s\"", records[i].text, err_name(err), id);
    }
}

static void test_several_records(void **state)
{
    const struct bytes texts[] = {BYTES_INIT("v=spf1 -all"), BYTES_INIT("v=STSv1; id=1;"),
                                  BYTES_INIT("v=STSv1; broken")};
    char id[MTA_STS_ID_SIZE];

    (void)state;
    assert_int_equal(mta_sts_record_choose(texts, 2, id), ERR_OK);
    assert_string_equal(id, "1");
    assert_int_equal(mta_sts_record_choose(texts, 3, id), ERR_NOTFOUND);
    assert_string_equal(id, "");
    assert_int_equal(mta_sts_record_choose(texts, 0, id), ERR_NOTFOUND);
}

/* ---- the policy ---- */

#define HEAD "version: STSv1\nmode: enforce\nmax_age: 604800\n"

/* "enforce 604800 mx.test *.test", or the error. */
static const char *parse(struct bytes body)
{
    static char text[1024];
    struct arena arena;
    struct mta_sts_policy policy;
    char *copy = malloc(body.len > 0 ? body.len : 1);

    assert_non_null(copy);
    if (body.len > 0)
        memcpy(copy, body.at, body.len);
    arena_init(&arena);
    enum err err = mta_sts_policy_parse(bytes_from(copy, body.len), &arena, &policy);
    free(copy);
    size_t used = (size_t)snprintf(text, sizeof(text), "%s %u", mta_sts_mode_text(policy.mode),
                                   policy.max_age_s);
    for (unsigned i = 0; i < policy.pattern_count && used < sizeof(text); i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, " %.*s",
                                 BYTES_ARG(policy.patterns[i]));
    arena_fini(&arena);
    return err == ERR_OK ? text : err_name(err);
}

static const struct {
    const char *body;
    const char *want;
} policies[] = {
    {"version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.Example.net\r\n"
     "max_age: 604800\r\n",
     "enforce 604800 mail.example.com *.example.net"},
    {HEAD "mx:a.test", "enforce 604800 a.test"},
    {HEAD "mx: \t a.test \t\n\n", "enforce 604800 a.test"},
    {"version: STSv1\nmode: none\nmax_age: 0\n", "none 0"},
    {"max_age: 1\nmx: a\nmode: testing\nversion: STSv1", "testing 1 a"},
    {"version: STSv1\nmode: testing\nmax_age: 31557600\nmx: a\n", "testing 31557600 a"},
    {"version: STSv1\nmode: testing\nmax_age: 9999999999\nmx: a\n", "testing 31557600 a"},
    {HEAD "mode: none\nmax_age: 1\nmx: a.test\n", "enforce 604800 a.test"},
    {HEAD "mx: a.test\nx-new: \xc3\xa4 b: c\n", "enforce 604800 a.test"},
    {HEAD "mx: a.test.\n", "enforce 604800 a.test"},
    {HEAD, "MALFORMED"},
    {"version: STSv1\nmode: enforce\nmx: a\n", "MALFORMED"},
    {"mode: enforce\nmax_age: 1\nmx: a\n", "MALFORMED"},
    {"version: STSv1\nmax_age: 1\nmx: a\n", "MALFORMED"},
    {"version: STSv2\nmode: enforce\nmax_age: 1\nmx: a\n", "MALFORMED"},
    {"version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a\n", "MALFORMED"},
    {"version: STSv1\nmode: enforce\nmax_age: -1\nmx: a\n", "MALFORMED"},
    {"version: STSv1\nmode: enforce\nmax_age: 1d\nmx: a\n", "MALFORMED"},
    {"version: STSv1\nmode: enforce\nmax_age: 10000000000\nmx: a\n", "MALFORMED"},
    {"version: STSv1\nmode: enforce\nmax_age:\nmx: a\n", "MALFORMED"},
    {HEAD "mx: *\n", "MALFORMED"},
    {HEAD "mx: *.\n", "MALFORMED"},
    {HEAD "mx: *.*.test\n", "MALFORMED"},
    {HEAD "mx: mx*.test\n", "MALFORMED"},
    {HEAD "mx: a..test\n", "MALFORMED"},
    {HEAD "mx: .test\n", "MALFORMED"},
    {HEAD "mx:\n", "MALFORMED"},
    {HEAD "mx: a.test b.test\n", "MALFORMED"},
    {HEAD "mx: a.test\nnonsense\n", "MALFORMED"},
    {HEAD "mx: a.test\nmx : b.test\n", "MALFORMED"},
    {HEAD "mx: a.test\rmx: b.test\n", "MALFORMED"},
    {HEAD "mx: a.test\nx: \x01\n", "MALFORMED"},
    {HEAD "mx: a.test\nx:\n", "MALFORMED"},
    {"<html></html>", "MALFORMED"},
    {"", "MALFORMED"},
};

static void test_policies(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(policies) / sizeof(*policies); i++) {
        const char *got = parse(bytes_of(policies[i].body));
        if (strcmp(got, policies[i].want) != 0)
            fail_msg("\"%s\": %s, not %s", policies[i].body, got, policies[i].want);
    }
    assert_string_equal(parse(BYTES(HEAD "mx: a\0b\n")), "MALFORMED");
}

static void test_sizes(void **state)
{
    static char body[MTA_STS_POLICY_SIZE_MAX + 1];
    char label[80];
    size_t head = strlen(HEAD "mx: a.test\n");

    (void)state;
    memcpy(body, HEAD "mx: a.test\n", head);
    memset(body + head, '\n', sizeof(body) - head);
    assert_string_equal(parse(bytes_from(body, sizeof(body) - 1)), "enforce 604800 a.test");
    assert_string_equal(parse(bytes_from(body, sizeof(body))), "TOOBIG");

    size_t used = (size_t)snprintf(body, sizeof(body), "%s", HEAD);
    for (unsigned i = 0; i < MTA_STS_MX_MAX; i++)
        used += (size_t)snprintf(body + used, sizeof(body) - used, "mx: m%u.test\n", i);
    assert_string_not_equal(parse(bytes_from(body, used)), "TOOBIG");
    used += (size_t)snprintf(body + used, sizeof(body) - used, "mx: more.test\n");
    assert_string_equal(parse(bytes_from(body, used)), "TOOBIG");

    memset(label, 'a', sizeof(label));
    used = (size_t)snprintf(body, sizeof(body), "%smx: %.63s.test\n", HEAD, label);
    assert_string_not_equal(parse(bytes_from(body, used)), "MALFORMED");
    used = (size_t)snprintf(body, sizeof(body), "%smx: %.64s.test\n", HEAD, label);
    assert_string_equal(parse(bytes_from(body, used)), "MALFORMED");
}

/* ---- hosts ---- */

static const struct {
    const char *host;
    bool allowed;
} hosts[] = {
    {"mail.example.com", true},
    {"MAIL.Example.com.", true},
    {"example.com", false},
    {"x.mail.example.com", false},
    {"mx1.example.net", true},
    {"MX1.EXAMPLE.NET", true},
    {"a.mx1.example.net", false},
    {"example.net", false},
    {".example.net", false},
    {"notexample.net", false},
    {"mx1.example.net.evil", false},
    {"", false},
    {".", false},
};

static void test_hosts(void **state)
{
    struct arena arena;
    struct mta_sts_policy policy;

    (void)state;
    arena_init(&arena);
    assert_int_equal(
        mta_sts_policy_parse(BYTES(HEAD "mx: Mail.example.com\nmx: *.example.net\n"), &arena,
                             &policy),
        ERR_OK);
    for (size_t i = 0; i < sizeof(hosts) / sizeof(*hosts); i++)
        if (mta_sts_policy_allows(&policy, hosts[i].host) != hosts[i].allowed)
            fail_msg("%s", hosts[i].host);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records),  cmocka_unit_test(test_several_records),
        cmocka_unit_test(test_policies), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
