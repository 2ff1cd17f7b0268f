/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of a reply patterns see: joined lines, and placeholders for what differs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "smtp/egress/classify_normal.h"

static struct list_entry entries[] = {
    {"zen", "zen.spamhaus.org", "", false},      {"zen", "spamhaus.org", "/query/ip", false},
    {"dbl", "spamhaus.org", "/query/dbl", true}, {"dbl", "dbl.spamhaus.org", "", true},
    {"short", "lists.example", "", false},       {"long", "lists.example", "/deep", false},
    {"sub", "a.lists.example", "", true},        {"front", "front.*", "", true},
};
static const struct lists lists = {entries, sizeof(entries) / sizeof(entries[0])};

static const struct {
    unsigned code;
    const char *text;
    const char *want;
    const char *status;
} cases[] = {
    {550, "No such user", "no such user", ""},
    {550, "550 5.1.1 No such user", "no such user", "5.1.1"},
    {550, "5.1.1: No such user", "no such user", "5.1.1"},
    {421, "421-4.7.28 Gmail has detected\r\n421-4.7.28 an unusual rate\n421 4.7.28 of mail.",
     "gmail has detected an unusual rate of mail.", "4.7.28"},
    /* joined by somebody else */
    {550, "550-5.7.1 one 550-5.7.1 two 550 5.7.1 three", "one two three", "5.7.1"},
    {550, "5.7.26 one 5.7.26 two", "one two", "5.7.26"},
    /* numbers that are no code of ours */
    {550, "550 see line 550 of 421 4 things", "see line 550 of 421 4 things", ""},
    {550, "5.7.1 see 5.7.2 too", "see 5.7.2 too", "5.7.1"},
    {550, "550", "", ""},
    {550, "", "", ""},
    /* addresses */
    {550, "Client host [192.0.2.1] blocked", "client host [<sip>] blocked", ""},
    {550, "Client host [192.0.2.10] blocked", "client host [<ip>] blocked", ""},
    {550, "ip=192.0.2.1.", "ip=<sip>.", ""},
    {550, "521< 192.0.2.1 >_is_blocked", "521 <sip> _is_blocked", ""},
    {550, "192.0.2.1:25 and ::ffff:192.0.2.1", "<sip>:25 and <sip>", ""},
    {550, "[IPv6:2001:db8::1]", "[<ip>]", ""},
    {550, "192.0.2.0/24 or 198.51.100.0/24", "<sip-net> or <ip-net>", ""},
    {550, "at 12:34:56 version 1.2.3 std::map", "at 12:34:56 version 1.2.3 std::map", ""},
    {550, "1.2.3.4.5 is none", "1.2.3.4.5 is none", ""},
    /* names */
    {550, "<user+tag@example.com> unknown", "<email> unknown", ""},
    {550, "postmaster@[192.0.2.1], x", "<email>, x", ""},
    {550, "see https://example.com/a?b=192.0.2.1&c. Bye", "see <url>. bye", ""},
    {550, "(www.example.com/x)", "(<url>)", ""},
    {550, "mx1.example.com says", "<domain> says", ""},
    {550, "help.example.com/reset now", "<url> now", ""},
    {550, "against our policy.Please see", "against our policy.please see", ""},
    {550, "Mail.Example.Com", "<domain>", ""},
    {550, "e.g. this", "e.g. this", ""},
    /* lists */
    {550, "using zen.spamhaus.org; x", "using <iplist:zen>; x", ""},
    {550, "1.2.0.192.zen.spamhaus.org", "<iplist:zen> <sip>", ""},
    {550, "9.2.0.192.zen.spamhaus.org", "<iplist:zen>", ""},
    {550, "https://www.spamhaus.org/query/ip/192.0.2.1", "<iplist:zen> <sip>", ""},
    {550, "http://www.spamhaus.org/query/dbl?domain=a", "<domainlist:dbl>", ""},
    {550, "https://www.spamhaus.org/faq", "<url>", ""},
    {550, "notzen.spamhaus.org", "<domain>", ""},
    {550, "lists.example/deep/x lists.example/x", "<iplist:long> <iplist:short>", ""},
    {550, "b.a.lists.example b.lists.example", "<domainlist:sub> <iplist:short>", ""},
    {550, "front.example.org frontal.example.org", "<domainlist:front> <domain>", ""},
    /* ids: those of messages go, those of providers stay */
    {451, "4.7.500 Server busy (AS77712344)", "server busy (as77712344)", "4.7.500"},
    {550, "(S3150) [TSS04] OFR006_102 BL000010 RP-001",
     "(s3150) [tss04] ofr006_102 bl000010 rp-001", ""},
    {450, "9B1F5C0123: try later", "<id>: try later", ""},
    {450, "a1-20020a05600c4511b0031f si1234567wrv.12 - gsmtp", "<id> <id>.12 - gsmtp", ""},
    {450, "id 4Q1lYx5rqSzKb 1rTq8a-0003Xy-Lm 123456789", "id <id> <id> <id>", ""},
    {450, "decade and/or SPF/DKIM within 300 seconds",
     "decade and/or spf/dkim within 300 seconds", ""},
    /* what a remote host would have us believe */
    {550, "<sip> is <iplist:zen>", "sip is iplist:zen", ""},
    {550, "a\tb\x01\x7f  c", "a b c", ""},
};

static void test_cases(void **state)
{
    struct normal normal;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        normal_make(&lists, cases[i].code, bytes_of(cases[i].text), BYTES("192.0.2.1"),
                    &normal);
        assert_string_equal(normal.text, cases[i].want);
        assert_string_equal(normal.status, cases[i].status);
        assert_int_equal(normal.len, strlen(normal.text));
    }
}

static void test_own_v6(void **state)
{
    struct normal normal;

    (void)state;
    normal_make(
        &lists, 550,
        BYTES(
            "[2001:DB8:0:0::25] 2001:db8::/32 2001:db8::26 "
            "5.2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.zen.spamhaus.org"),
        BYTES("2001:db8::25"), &normal);
    assert_string_equal(normal.text, "[<sip>] <sip-net> <ip> <iplist:zen> <sip>");
    normal_make(&lists, 550, BYTES("192.0.2.1 ::ffff:192.0.2.1"), BYTES(""), &normal);
    assert_string_equal(normal.text, "<ip> <ip>");
    normal_make(&lists, 550, BYTES("192.0.2.1"), BYTES("no address"), &normal);
    assert_string_equal(normal.text, "<ip>");
}

static uint64_t template_of(const char *text)
{
    struct normal normal;

    normal_make(&lists, 451, bytes_of(text), BYTES("192.0.2.1"), &normal);
    return normal.template_id;
}

/* Equal but for what differs from reply to reply. */
static void test_template(void **state)
{
    (void)state;
    uint64_t first =
        template_of("451 4.7.1 <a@example.com> from 192.0.2.1: wait 17 seconds, id 9B1F5C0123");
    assert_int_equal(first,
                     template_of("451-4.7.1 <bb@example.org>\n451 4.7.1 from 192.0.2.1: wait "
                                 "300 seconds, id 0A1F5C0124"));
    assert_int_not_equal(first, template_of("451 4.7.1 <a@example.com> from 192.0.2.9: wait 17 "
                                            "seconds, id 9B1F5C0123"));
    assert_int_not_equal(template_of("error S3150"), template_of("error S3140"));
    /* It is kept and compared by nodes of other versions: the number itself must stay. */
    assert_int_equal(template_of(""), 0xcbf29ce484222325u);
    assert_int_equal(template_of("451 a"), 0xaf63dc4c8601ec8cu);
}

static void test_domains_seen(void **state)
{
    struct normal normal;

    (void)state;
    normal_make(&lists, 550, BYTES("blocked using Bl.Example.net by mx.example.com"), BYTES(""),
                &normal);
    assert_string_equal(normal.text, "blocked using <domain> by <domain>");
    assert_int_equal(normal.domain_count, 2);
    assert_int_equal(normal.domains[0].end, strlen("blocked using <domain>"));
    assert_memory_equal(normal.joined + normal.domains[0].start_read, "Bl.Example.net",
                        normal.domains[0].len_read);
}

/* No text makes it longer than its limit, and nothing behind the limit counts. */
static void test_bounds(void **state)
{
    static uint8_t text[CLASSIFY_TEXT_MAX * 2];
    struct normal normal;

    (void)state;
    for (size_t i = 0; i + 17 < sizeof(text); i += 17)
        memcpy(text + i, "zen.spamhaus.org ", 17);
    normal_make(&lists, 550, bytes_from(text, sizeof(text)), BYTES(""), &normal);
    assert_true(normal.len <= NORMAL_TEXT_MAX && normal.joined_len <= NORMAL_TEXT_MAX);
    memset(text, 'a', sizeof(text));
    normal_make(&lists, 550, bytes_from(text, sizeof(text)), BYTES(""), &normal);
    assert_int_equal(normal.len, CLASSIFY_TEXT_MAX);
    for (size_t i = 0; i < CLASSIFY_TEXT_MAX; i++)
        text[i] = i % 2 == 0 ? ':' : '1';
    normal_make(&lists, 550, bytes_from(text, sizeof(text)), BYTES("::1"), &normal);
    assert_true(normal.len <= NORMAL_TEXT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),    cmocka_unit_test(test_own_v6),
        cmocka_unit_test(test_template), cmocka_unit_test(test_domains_seen),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
