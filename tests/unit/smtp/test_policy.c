/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/protocol/limits.h"
#include "unit/smtp/play.h"

/* Questions of policy: GREET, SENDER, and refusals in the driver's own words. */
#define MAIL_OK "250 2.1.0 Sender OK\r\n"
#define RCPT_OK "250 2.1.5 Recipient OK\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define OK "250 2.0.0 OK\r\n"

static struct smtp_config asking(void)
{
    struct smtp_config config = play_config;

    config.ask_sender = true;
    return config;
}

static void test_conversations(void **state)
{
    static const struct {
        const char *name;
        const char *input;
        const char *want;
    } conversations[] = {
        {"senders",
         "EHLO a\r\nMAIL FROM:<refused@a.test>\r\nMAIL FROM:<later@a.test>\r\n"
         "RCPT TO:<y@here.test>\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nRSET\r\n",
         PLAY_HELLO PLAY_REFUSED PLAY_LATER "503 5.5.1 Send MAIL first\r\n" MAIL_OK RCPT_OK OK},
        {"a sender who has to go",
         "EHLO a\r\nMAIL FROM:<cut@a.test>\r\nRCPT TO:<y@here.test>\r\n", PLAY_HELLO PLAY_CUT},
        {"recipients, in order",
         "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\n"
         "RCPT TO:<refused@here.test>\r\nRCPT TO:<z@here.test>\r\nRCPT TO:<later@here.test>\r\n"
         "RCPT TO:<no@here.test>\r\nDATA\r\nA: b\r\n.\r\n",
         PLAY_HELLO MAIL_OK RCPT_OK PLAY_REFUSED RCPT_OK PLAY_LATER
         "550 5.1.1 No such user here\r\n" GO "<body 6:A: b\r\n>250 2.0.0 OK id=T1\r\n"},
        {"a recipient that ends it",
         "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nRCPT "
         "TO:<cut@here.test>\r\n"
         "RCPT TO:<z@here.test>\r\nDATA\r\n",
         PLAY_HELLO MAIL_OK RCPT_OK PLAY_CUT},
        {"refused at DATA, and the next one goes",
         "EHLO a\r\nMAIL FROM:<nobegin@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"
         "MAIL FROM:<x@a.test>\r\n",
         PLAY_HELLO MAIL_OK RCPT_OK "451 4.7.1 Not now\r\n" MAIL_OK},
        {"refused at BDAT",
         "EHLO a\r\nMAIL FROM:<nobegin@a.test>\r\nRCPT TO:<y@here.test>\r\nBDAT 6\r\nQUIT\r\n"
         "BDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<x@a.test>\r\n",
         PLAY_HELLO MAIL_OK RCPT_OK
         "451 4.7.1 Not now\r\n503 5.5.1 The message has failed, send RSET\r\n" MAIL_OK},
        {"refused for its content",
         "EHLO a\r\nMAIL FROM:<virus@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\nA: b\r\n.\r\n"
         "MAIL FROM:<virus@a.test>\r\nRCPT TO:<y@here.test>\r\nBDAT 6 LAST\r\nA: b\r\nNOOP\r\n",
         PLAY_HELLO MAIL_OK RCPT_OK GO
         "<body 6:A: b\r\n>554 5.7.1 Virus found id=T1\r\n" MAIL_OK RCPT_OK
         "<body 6:A: b\r\n>554 5.7.1 Virus found id=T2\r\n" OK},
        {"refusals are errors, those that pass are not",
         "EHLO a\r\nMAIL FROM:<later@a.test>\r\nMAIL FROM:<later@a.test>\r\n"
         "MAIL FROM:<later@a.test>\r\nMAIL FROM:<refused@a.test>\r\n"
         "MAIL FROM:<refused@a.test>\r\nMAIL FROM:<refused@a.test>\r\n"
         "MAIL FROM:<refused@a.test>\r\nMAIL FROM:<refused@a.test>\r\nNOOP\r\n",
         PLAY_HELLO PLAY_LATER PLAY_LATER PLAY_LATER PLAY_REFUSED PLAY_REFUSED PLAY_REFUSED
             PLAY_REFUSED PLAY_REFUSED "421 4.7.0 Too many errors\r\n<close>"},
    };
    struct smtp_config config = asking();

    (void)state;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++)
        play_expect(&config, conversations[i].name, bytes_of(conversations[i].input),
                    conversations[i].want);
}

/* ---- the greeting ---- */

static void test_greeting(void **state)
{
    struct smtp_config config = play_config;
    struct play play;

    (void)state;
    config.ask_greet = true;
    play_init(&play, &config, PLAY_LATE);
    assert_string_equal(play_take(&play), "");
    assert_true(smtp_session_waiting(play.session));
    assert_false(smtp_session_early(play.session));
    smtp_session_time_out(play.session);
    play_feed(&play, BYTES(""));
    assert_string_equal(play_take(&play), PLAY_HI);
    assert_false(smtp_session_early(play.session));
    play_feed(&play, BYTES("EHLO a\r\n"));
    assert_string_equal(play_take(&play), PLAY_EHLO("250-STARTTLS\r\n"));
    play_fini(&play);

    config.hostname = "refuse.test";
    play_init(&play, &config, PLAY_LATE);
    play_feed(&play, BYTES(""));
    assert_string_equal(play_take(&play), "554 5.7.1 No service for you\r\n<close>");
    play_fini(&play);

    config.hostname = "mx.test";
    play_init(&play, &config, PLAY_LATE);
    smtp_session_go_down(play.session);
    play_drain(&play);
    play_answer(&play, 0);
    play_drain(&play);
    assert_string_equal(play_take(&play),
                        "421 4.3.2 Service is going down, try again\r\n<close>");
    play_fini(&play);
}

static void test_early_talkers(void **state)
{
    struct smtp_config config = play_config;
    struct play play;

    (void)state;
    config.ask_greet = true;
    play_init(&play, &config, PLAY_LATE);
    assert_int_equal(smtp_session_feed(play.session, BYTES("EHLO a\r\n")), 0);
    assert_true(smtp_session_early(play.session));
    play_drain(&play);
    assert_string_equal(play_take(&play), "");
    play_feed(&play, BYTES("EHLO a\r\n"));
    assert_string_equal(play_take(&play), PLAY_HELLO);
    assert_true(smtp_session_early(play.session));
    play_fini(&play);

    config.early_refused = true;
    play_init(&play, &config, PLAY_LATE);
    assert_int_equal(smtp_session_feed(play.session, BYTES("E")), 0);
    play_drain(&play);
    assert_string_equal(play_take(&play),
                        "554 5.5.0 Wait for the greeting before you speak\r\n<close>");
    play_answer(&play, 0);
    play_drain(&play);
    assert_string_equal(play_take(&play), "");
    play_fini(&play);
}

/* ---- while a question is out ---- */

static void test_nothing_is_consumed_while_the_sender_is_judged(void **state)
{
    struct smtp_config config = asking();
    struct play play;

    (void)state;
    play_init(&play, &config, PLAY_LATE);
    play_feed(&play, BYTES("EHLO a\r\n"));
    play_take(&play);
    assert_int_equal(smtp_session_feed(play.session, BYTES("MAIL FROM:<x@a.test>\r\nRCPT")),
                     22);
    play_drain(&play);
    assert_int_equal(play.outstanding_count, 1);
    assert_true(bytes_equal(smtp_session_envelope(play.session)->sender, BYTES("x@a.test")));
    assert_int_equal(smtp_session_feed(play.session, BYTES("RCPT")), 0);
    uint64_t ticket = play.outstanding[0].ticket;
    smtp_session_allowed(play.session, ticket + 1);
    smtp_session_begun(play.session, ticket, ERR_OK, "X");
    smtp_session_committed(play.session, ticket, ERR_OK);
    play_drain(&play);
    assert_string_equal(play_take(&play), "");
    play_answer(&play, 0);
    play_drain(&play);
    assert_string_equal(play_take(&play), MAIL_OK);
    smtp_session_allowed(play.session, ticket);
    play_drain(&play);
    assert_string_equal(play_take(&play), "");
    play_fini(&play);
}

/* ---- words ---- */

static void expect_refusal(const struct smtp_refusal *refusal, const char *want)
{
    struct buffer line = BUFFER_EMPTY;

    smtp_refusal_write(refusal, "", &line);
    buffer_add_byte(&line, '\0');
    assert_string_equal((const char *)buffer_bytes(&line).at, want);
    buffer_fini(&line);
}

static void test_words_are_made_harmless(void **state)
{
    static const struct {
        struct smtp_refusal refusal;
        const char *want;
    } cases[] = {
        {{550, "5.7.1", "Listed by zen.test", false}, "550 5.7.1 Listed by zen.test\r\n"},
        {{550, "5.7.1", "a\r\n250 OK\r\n", false}, "550 5.7.1 a??250 OK??\r\n"},
        {{450, "4.7.1", "tab\there \xc3\xa9 \x7f", false}, "450 4.7.1 tab?here ?? ?\r\n"},
        {{450, "5.7.1", "another class", false}, "450 another class\r\n"},
        {{450, "4.7", "x", false}, "450 x\r\n"},
        {{450, "4.7.1\r\n", "x", false}, "450 x\r\n"},
        {{450, "4.7.1.1", "x", false}, "450 x\r\n"},
        {{450, "", "x", false}, "450 x\r\n"},
        {{450, NULL, NULL, false}, "450 Refused\r\n"},
        {{554, "5.0.0", "", false}, "554 5.0.0 Refused\r\n"},
    };
    char text[2000];
    struct buffer line = BUFFER_EMPTY;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_refusal(&cases[i].refusal, cases[i].want);
    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    const struct smtp_refusal endless = {550, "5.255.255", text, false};
    smtp_refusal_write(&endless, "0123456789abcdef0123456789abcdef", &line);
    assert_in_range(buffer_len(&line), SMTP_REFUSAL_TEXT_MAX, 512);
    buffer_fini(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_greeting),
        cmocka_unit_test(test_early_talkers),
        cmocka_unit_test(test_nothing_is_consumed_while_the_sender_is_judged),
        cmocka_unit_test(test_words_are_made_harmless),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
