/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Replies that are easily taken for something else, texts made to be slow or to deceive, and
 * the guesses where no rule fits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/unit/egress/classify_lab.h"

/* What other rule sets get wrong, or has the words of one class and the meaning of another. */
static const struct expected traps[] = {
    /* no bounces: our address is meant */
    {"o365", CLASSIFY_AT_FINAL,
     "550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"yahoo", CLASSIFY_AT_MAIL,
     "421 4.7.1 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying "
     "will "
     "NOT succeed.",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"other", CLASSIFY_AT_CONNECT,
     "554 IP=192.0.2.1 - A problem occurred. (Ask your postmaster for help or to contact "
     "tosa@rx.t-online.de to clarify.)",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ROW, NULL},
    {"other", CLASSIFY_AT_RCPT,
     "550 5.7.1 Service unavailable; client [192.0.2.1] blocked using Spamhaus, "
     "https://www.spamhaus.org/query/ip/192.0.2.1",
     CLASSIFY_IP_BLOCK, CLASSIFY_SCOPE_ADDRESS, "spamhaus-zen"},
    /* no greylisting: waiting does not help */
    {"o365", CLASSIFY_AT_RCPT, "451 4.7.500 Server busy. Please try again later.",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    {"o365", CLASSIFY_AT_RCPT, "451 4.7.850 Access denied, please try again later",
     CLASSIFY_IP_RATE, CLASSIFY_SCOPE_ROW, NULL},
    /* not our address, although a list or our address is named: moving would burn a second one
     */
    {"outlook", CLASSIFY_AT_MAIL,
     "550 5.7.1 Service unavailable, MailFrom domain is listed in Spamhaus. To request removal "
     "from this list see https://www.spamhaus.org/query/ip/192.0.2.1 (S8002)",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "421-4.7.28 [192.0.2.1] Gmail has detected an unusual rate of unsolicited mail "
     "originating\n"
     "421 4.7.28 from your DKIM domain [example.com 36].",
     CLASSIFY_RATE_DOMAIN, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "550-5.7.1 [192.0.2.1 7] Gmail has detected that this message is likely unsolicited mail.",
     CLASSIFY_CONTENT, CLASSIFY_SCOPE_MESSAGE, NULL},
    {"google", CLASSIFY_AT_FINAL,
     "550-5.7.26 This mail has been blocked because the sender is unauthenticated.\n550-5.7.26 "
     "SPF [example.com] with ip: [192.0.2.1] = did not pass",
     CLASSIFY_AUTH, CLASSIFY_SCOPE_DOMAIN, NULL},
    {"o365", CLASSIFY_AT_RCPT,
     "550 5.7.513 Service unavailable, Client host [192.0.2.1] blocked by user@example.com "
     "using "
     "Customer Block list",
     CLASSIFY_POLICY, CLASSIFY_SCOPE_ROW_DOMAIN, NULL},
    {"other", CLASSIFY_AT_RCPT,
     "554 5.7.1 Service unavailable; Client host [198.51.100.9] blocked using zen.spamhaus.org",
     CLASSIFY_POLICY, CLASSIFY_SCOPE_RECIPIENT, NULL},
    {"other", CLASSIFY_AT_RCPT,
     "554 5.7.1 <user@example.com>: Sender address blocked using dbl.spamhaus.org; 192.0.2.1",
     CLASSIFY_REPUTATION_DOMAIN, CLASSIFY_SCOPE_DOMAIN, "spamhaus-dbl"},
    {"other", CLASSIFY_AT_RCPT,
     "550 5.1.1 <user@example.com>: Recipient address rejected by mx.example.com: User unknown",
     CLASSIFY_MAILBOX, CLASSIFY_SCOPE_RECIPIENT, ""},
    {"other", CLASSIFY_AT_RCPT, "550 5.7.1 Message rejected by mx.example.com from 192.0.2.1",
     CLASSIFY_POLICY, CLASSIFY_SCOPE_RECIPIENT, ""},
    {"other", CLASSIFY_AT_FINAL,
     "550 5.7.1 SPF: 192.0.2.1 is not allowed to send for example.com", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, ""},
    /* the provider is "google": what is said there means nothing elsewhere, and the reverse */
    {"gmail", CLASSIFY_AT_FINAL, "550 5.7.26 This mail has been blocked", CLASSIFY_AUTH,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    {"other", CLASSIFY_AT_FINAL, "550 5.7.27 Something", CLASSIFY_POLICY, CLASSIFY_SCOPE_DOMAIN,
     NULL},
    {"google", CLASSIFY_AT_FINAL, "550 5.7.1 (S3150)", CLASSIFY_POLICY, CLASSIFY_SCOPE_MESSAGE,
     NULL},
    /* a mailbox is not unknown because the sender is */
    {"other", CLASSIFY_AT_RCPT, "550 5.1.0 <a@example.com> sender rejected", CLASSIFY_POLICY,
     CLASSIFY_SCOPE_DOMAIN, NULL},
    /* words of a remote host that look like ours */
    {"other", CLASSIFY_AT_FINAL, "550 5.7.1 <sip> <iplist:spamhaus-zen> no", CLASSIFY_POLICY,
     CLASSIFY_SCOPE_MESSAGE, ""},
};

static void test_traps(void **state)
{
    lab_expect(*state, traps, sizeof(traps) / sizeof(traps[0]));
}

/* 5.7.1 means anything: no status by itself becomes a class for which mail is moved. */
static void test_status_never_blames_address(void **state)
{
    static const char *const providers[] = {"google", "o365", "yahoo", "other"};
    static const unsigned codes[] = {421, 550};
    char text[64];

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]) * 8; i++)
        for (unsigned detail = 0; detail < 1000; detail += detail < 60 ? 1 : 19) {
            snprintf(text, sizeof(text), "%u %u.%zu.%u Refused", codes[i % 2],
                     codes[i % 2] / 100, i / 2, detail);
            const char *provider = providers[(i / 2 + detail) % 4];
            struct classify_verdict verdict = lab_ask(*state, provider, CLASSIFY_AT_RCPT, text);
            if (verdict.class == CLASSIFY_IP_BLOCK || verdict.class == CLASSIFY_IP_RATE ||
                verdict.class == CLASSIFY_NETBLOCK)
                fail_msg("%s at %s: %s", text, provider, classify_class_name(verdict.class));
        }
}

static void test_guesses(void **state)
{
    struct classify_reply reply = {.phase = CLASSIFY_AT_CONNECT,
                                   .text = BYTES("using zen.spamhaus.org")};
    struct classify_verdict verdict;

    /* no reply at all */
    classify(*state, &reply, &verdict);
    assert_int_equal(verdict.class, CLASSIFY_TRANSIENT);
    assert_string_equal(verdict.list, "");
    assert_int_equal(verdict.basis, CLASSIFY_BY_CODE);
    verdict = lab_ask(*state, "other", CLASSIFY_AT_FINAL, "450 2.0.0 hm");
    assert_int_equal(verdict.basis, CLASSIFY_BY_CODE);
    verdict = lab_ask(*state, "other", CLASSIFY_AT_FINAL, "550 5.6.1 hm");
    assert_int_equal(verdict.basis, CLASSIFY_BY_STATUS);
    assert_int_equal(verdict.class, CLASSIFY_CONTENT);
    assert_null(verdict.rule);
    verdict = lab_ask(*state, "other", CLASSIFY_AT_FINAL, "550 (S3150) hm 192.0.2.0/25");
    assert_true(verdict.names_source);
}

/* A list that has no name here is told as it stands in the text. */
static void test_zone(void **state)
{
    struct classify_verdict verdict = lab_ask(
        *state, "other", CLASSIFY_AT_RCPT,
        "554 5.7.1 mx.example.com: Client host [192.0.2.1] blocked using Bl.Example.NET; "
        "see help.example.org");

    assert_true(verdict.list_is_zone);
    assert_string_equal(verdict.list, "bl.example.net");
    assert_false(verdict.list_of_domains);
    verdict = lab_ask(*state, "other", CLASSIFY_AT_RCPT, "550 5.7.1 see multi.surbl.org");
    assert_false(verdict.list_is_zone);
    assert_true(verdict.list_of_domains);
    assert_string_equal(verdict.list, "surbl");
}

/* ---- texts made to be slow ---- */

static const char *const slow[] = {
    "a",
    "1",
    ":",
    ".",
    "-",
    "a-",
    "a.",
    "1.",
    "1:",
    "a@",
    "www.",
    "http://",
    "<sip>",
    "192.0.2.1 ",
    "zen.spamhaus.org ",
    "1.2.0.192.zen.spamhaus.org",
    "rejected blocked listed ",
    "rejected 192.0.2.1 not listed ",
    "unusual rate of unsolicited mail ",
    "message has been rejected by spa ",
    "policy restrictions ",
    "mailbox user recipient exceeded ",
    "spf fail dkim violat dmarc ",
    "from domain listed ",
    "dnsbl:attrbl 521 ",
    "550-5.7.1 ",
    "550 ",
    "5.7.1 ",
    "\n550-",
    "(bl0000",
    "aup#i-13",
    "\xc3\xa9",
    "\\",
    "client host [198.51.100.9] ",
};

static double cpu_s(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/*
 * All rules on texts of full length. A matcher that starts anew at each byte needs a hundred
 * times longer than this bound, which is itself far above what is needed even under a
 * sanitizer.
 */
static void test_bounded_time(void **state)
{
    static char text[CLASSIFY_TEXT_MAX + 1];
    static const char *const providers[] = {"google", "o365", "yahoo", "gmx", "other"};
    enum { TEXT_S_MAX = 1 };

    memcpy(text, "550 ", 4);
    for (size_t i = 0; i < sizeof(slow) / sizeof(slow[0]); i++) {
        size_t len = strlen(slow[i]);
        for (size_t at = 4; at < CLASSIFY_TEXT_MAX; at++)
            text[at] = slow[i][(at - 4) % len];
        for (size_t p = 0; p < sizeof(providers) / sizeof(providers[0]); p++) {
            double before_s = cpu_s();
            lab_ask(*state, providers[p], CLASSIFY_AT_FINAL, text);
            double took_s = cpu_s() - before_s;
            if (took_s > TEXT_S_MAX)
                fail_msg("'%s' took %.3f s", slow[i], took_s);
        }
    }
    /* What the pieces make together. */
    srand(1);
    for (int round = 0; round < 50; round++) {
        for (size_t at = 4; at < CLASSIFY_TEXT_MAX;) {
            const char *piece = slow[(size_t)rand() % (sizeof(slow) / sizeof(slow[0]))];
            for (size_t j = 0; piece[j] != '\0' && at < CLASSIFY_TEXT_MAX; j++)
                text[at++] = piece[j];
        }
        double before_s = cpu_s();
        lab_ask(*state, "google", CLASSIFY_AT_RCPT, text);
        assert_true(cpu_s() - before_s < TEXT_S_MAX);
    }
    assert_int_equal(classify_failures(*state), 0);
}

static int set_up(void **state)
{
    *state = lab_rules();
    return 0;
}

static int tear_down(void **state)
{
    struct classify_rules *rules = *state;
    classify_free(&rules);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traps),        cmocka_unit_test(test_status_never_blames_address),
        cmocka_unit_test(test_guesses),      cmocka_unit_test(test_zone),
        cmocka_unit_test(test_bounded_time),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
