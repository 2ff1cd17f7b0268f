/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "unit/relay/client_lab.h"

/* What recipients hear: any reply to any command, its status and its words. */

static const struct smtp_client_recipient two[] = {{.address = BYTES_INIT("b@y.test")},
                                                   {.address = BYTES_INIT("c@y.test")}};
static const struct smtp_client_message message = {
    .sender = BYTES_INIT("a@x.test"), .recipients = two, .recipient_count = 2};

static void play(struct lab *lab, const char *extensions, const char *command,
                 const char *reply, size_t cut)
{
    const struct lab_rule rules[] = {{command, reply, 1}, {0}};
    const struct lab_setup setup = {
        .config = {.hello = "us.test"},
        .extensions = extensions,
        .rules = rules,
        .messages = &message,
        .message_count = 1,
        .body = BYTES("x\r\n"),
    };

    lab_play(lab, &setup, cut);
    lab->setup = NULL;
}

/* ---- words ---- */

static const struct words {
    const char *name;
    const char *reply; /* to the second RCPT */
    const char *status;
    bool said;
    const char *text;
} words[] = {
    {"one line", "550 5.1.1 No such user\r\n", "5.1.1", true, "550 5.1.1 No such user"},
    {"many lines", "550-5.1.1 No such user.\r\n550-5.1.1  See\r\n550 5.1.1 https://x.test\r\n",
     "5.1.1", true, "550 5.1.1 No such user. See https://x.test"},
    {"another status in the second line stays", "550-5.1.1 a\r\n550 5.7.1 b\r\n", "5.1.1", true,
     "550 5.1.1 a 5.7.1 b"},
    {"no status", "550 No such user\r\n", "5.0.0", false, "550 No such user"},
    {"a status of another class", "550 4.2.2 Full\r\n", "5.0.0", false, "550 4.2.2 Full"},
    {"a success that is none", "450 2.0.0 OK\r\n", "4.0.0", false, "450 2.0.0 OK"},
    {"a status as the code has it", "503 What?\r\n", "5.5.1", false, "503 What?"},
    {"a version is no status", "554 5.1.1.1 x\r\n", "5.0.0", false, "554 5.1.1.1 x"},
    {"a long number is no status", "554 5.1111.1 x\r\n", "5.0.0", false, "554 5.1111.1 x"},
    {"a status alone", "554 5.7.26\r\n", "5.7.26", true, "554 5.7.26"},
    {"the largest status", "554 5.999.999 x\r\n", "5.999.999", true, "554 5.999.999 x"},
    {"no words", "554\r\n", "5.0.0", false, "554"},
    {"no words in two lines", "554-\r\n554 \r\n", "5.0.0", false, "554"},
    {"control characters",
     "554 a\x01\x1b[31mb\tc\x7f \xc2\x85"
     "d\r\n",
     "5.0.0", false, "554 a [31mb c d"},
    {"no UTF-8", "554 a\xff\xc3(\xe2\x82\r\n", "5.0.0", false,
     "554 a\xef\xbf\xbd\xef\xbf\xbd(\xef\xbf\xbd\xef\xbf\xbd"},
    {"UTF-8", "554 \xe2\x82\xac\r\n", "5.0.0", false, "554 \xe2\x82\xac"},
};

static void test_words(void **state)
{
    struct lab lab;

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        for (size_t cut = 0; cut < 200; cut++) {
            play(&lab, "PIPELINING\nCHUNKING\n", "RCPT TO:<c", words[i].reply,
                 cut == 199 ? SIZE_MAX : cut);
            const char *found = strstr((const char *)buffer_bytes(&lab.transcript).at, "<1 ");
            assert_non_null(found);
            char want[600];
            snprintf(want, sizeof(want), "<1 %s RCPT %.3s %s \"%s\">\n",
                     words[i].reply[0] == '5' ? "FAILED" : "DEFERRED", words[i].reply,
                     words[i].status, words[i].text);
            if (strncmp(found, want, strlen(want)) != 0)
                fail_msg("%s:\n%s\n-- wanted: %s", words[i].name, found, want);
            lab_fini(&lab);
        }
}

static void test_status_said(void **state)
{
    struct lab lab;

    (void)state;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        play(&lab, "", "MAIL", words[i].reply, SIZE_MAX);
        assert_int_equal(lab.last.status_said, words[i].said);
        assert_string_equal(lab.last.text, words[i].text);
        lab_fini(&lab);
    }
}

/* As long as may be: cut, and between two characters. */
static void test_long_text(void **state)
{
    struct buffer reply = BUFFER_EMPTY;
    struct lab lab;

    (void)state;
    for (unsigned line = 0; line < 100; line++) {
        buffer_printf(&reply, "550%c5.7.1 ", line < 99 ? '-' : ' ');
        for (unsigned i = 0; i < 600; i++)
            buffer_add_string(&reply, "\xe2\x82\xac");
        buffer_add_string(&reply, "\r\n");
    }
    buffer_add_byte(&reply, '\0');
    play(&lab, "", "MAIL", (const char *)buffer_bytes(&reply).at, SIZE_MAX);
    assert_int_equal(lab.end, SMTP_CLIENT_END_QUIT);
    assert_int_equal(strlen(lab.last.text), 10 + 337 * 3);
    assert_string_equal(lab.last.text + 10 + 336 * 3, "\xe2\x82\xac");
    lab_fini(&lab);
    buffer_fini(&reply);
}

/* RFC 5321 section 4.5.3.1.10. */
static void test_too_many(void **state)
{
    static const struct {
        const char *reply;
        enum smtp_client_result result;
        const char *status;
        bool too_many;
    } cases[] = {
        {"452 4.5.3 Too many\r\n", SMTP_CLIENT_DEFERRED, "4.5.3", true},
        {"552 5.5.3 Too many\r\n", SMTP_CLIENT_DEFERRED, "4.5.3", true},
        {"552 5.2.2 Full\r\n", SMTP_CLIENT_FAILED, "5.2.2", false},
        {"452 4.2.2 Full\r\n", SMTP_CLIENT_DEFERRED, "4.2.2", false},
        {"550 5.5.3 Too many\r\n", SMTP_CLIENT_FAILED, "5.5.3", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct lab_rule rules[] = {{"RCPT TO:<", cases[i].reply, 0}, {0}};
        const struct lab_setup setup = {.config = {.hello = "us.test"},
                                        .extensions = "PIPELINING\n",
                                        .rules = rules,
                                        .messages = &message,
                                        .message_count = 1};
        struct lab lab;
        lab_play(&lab, &setup, SIZE_MAX);
        assert_int_equal(lab.last.result, cases[i].result);
        assert_string_equal(lab.last.status, cases[i].status);
        assert_int_equal(lab.last.too_many, cases[i].too_many);
        lab_fini(&lab);
    }
}

/* ---- any reply to any command ---- */

enum kind { STEPS, FLIGHT, CHUNKS, KINDS };
static const char *const extensions[KINDS] = {"", "PIPELINING\n", "PIPELINING\nCHUNKING\n"};

static const struct {
    const char *command;
    enum smtp_client_phase phase;
    unsigned kinds;
    char fine; /* the class of the reply that goes on */
} commands[] = {
    {"greeting", SMTP_CLIENT_PHASE_GREETING, 7, '2'}, {"EHLO", SMTP_CLIENT_PHASE_HELLO, 7, '2'},
    {"MAIL", SMTP_CLIENT_PHASE_MAIL, 7, '2'},         {"RCPT", SMTP_CLIENT_PHASE_RCPT, 7, '2'},
    {"DATA", SMTP_CLIENT_PHASE_DATA, 3, '3'},         {".", SMTP_CLIENT_PHASE_FINAL, 3, '2'},
    {"LAST", SMTP_CLIENT_PHASE_FINAL, 4, '2'},
};

static const struct {
    const char *reply;
    enum smtp_client_end end; /* QUIT: the connection stays good */
} replies[] = {
    {"421 4.3.2 Bye\r\n", SMTP_CLIENT_END_SERVICE_CLOSED},
    {"221 2.0.0 Bye\r\n", SMTP_CLIENT_END_SERVICE_CLOSED},
    {"450 4.2.0 Later\r\n", SMTP_CLIENT_END_QUIT},
    {"550 5.2.0 Never\r\n", SMTP_CLIENT_END_QUIT},
    {"250 2.0.0 Fine\r\n", SMTP_CLIENT_END_PROTOCOL},
    {"354 Go\r\n", SMTP_CLIENT_END_PROTOCOL},
    {"334 Go\r\n", SMTP_CLIENT_END_PROTOCOL},
    {"199 Hm\r\n", SMTP_CLIENT_END_PROTOCOL},
    {"650 Hm\r\n", SMTP_CLIENT_END_PROTOCOL},
    {"HTTP/1.1 400 Bad Request\r\n", SMTP_CLIENT_END_PROTOCOL},
    {"250-a\r\n251 b\r\n", SMTP_CLIENT_END_PROTOCOL},
    {"250_a\r\n", SMTP_CLIENT_END_PROTOCOL},
    {"250 a\rb\r\n", SMTP_CLIENT_END_PROTOCOL},
    {"250 a\r\r\n", SMTP_CLIENT_END_PROTOCOL},
    {"\r\n", SMTP_CLIENT_END_PROTOCOL},
    {LAB_LOST, SMTP_CLIENT_END_LOST},
    {LAB_TIMEOUT, SMTP_CLIENT_END_TIMED_OUT},
};

static enum smtp_client_result result_wanted(enum smtp_client_phase phase, const char *reply)
{
    bool refusal =
        reply[1] != '\0' && (memcmp(reply, "42", 2) == 0 || memcmp(reply, "45", 2) == 0);

    if (memcmp(reply, "55", 2) == 0)
        return SMTP_CLIENT_FAILED;
    return phase == SMTP_CLIENT_PHASE_FINAL && !refusal ? SMTP_CLIENT_UNKNOWN
                                                        : SMTP_CLIENT_DEFERRED;
}

static void check_host(const struct lab *lab, enum smtp_client_phase phase, const char *reply,
                       enum smtp_client_end end)
{
    assert_int_equal(lab->verdict_count, 0);
    if (reply[0] == '5' && phase == SMTP_CLIENT_PHASE_HELLO)
        return; /* HELO; it is taken, and there is a message */
    if ((reply[0] == '4') &&
        (end == SMTP_CLIENT_END_QUIT || phase == SMTP_CLIENT_PHASE_GREETING))
        end = phase == SMTP_CLIENT_PHASE_HELLO ? SMTP_CLIENT_END_HELLO_REFUSED
                                               : SMTP_CLIENT_END_GREETING_REFUSED;
    if (reply[0] == '5')
        end = SMTP_CLIENT_END_GREETING_REFUSED;
    assert_int_equal(lab->end, end);
    assert_int_equal(lab->end_verdict.phase, phase);
}

static void check_message(const struct lab *lab, enum smtp_client_phase phase,
                          const char *reply, enum smtp_client_end end)
{
    bool first_alone = phase == SMTP_CLIENT_PHASE_RCPT && end == SMTP_CLIENT_END_QUIT;

    assert_int_equal(lab->end, end);
    assert_int_equal(lab->verdict_count, 2);
    assert_int_equal(lab->done_count, 1);
    /* The second was taken when the first was refused at RCPT. */
    if (first_alone) {
        assert_int_equal(lab->last.result, SMTP_CLIENT_DELIVERED);
        return;
    }
    assert_int_equal(lab->last.result, result_wanted(phase, reply));
    assert_int_equal(lab->last.phase, phase);
    if (reply[0] == '4' || reply[0] == '5')
        assert_memory_equal(lab->last.text, reply, strlen(reply) - 2);
    else
        assert_int_equal(lab->last.code, 0);
}

static void test_any_reply(void **state)
{
    enum { CUTS = 250 };
    unsigned plays = 0;

    (void)state;
    for (unsigned c = 0; c < sizeof(commands) / sizeof(commands[0]); c++)
        for (unsigned r = 0; r < sizeof(replies) / sizeof(replies[0]); r++)
            for (unsigned kind = 0; kind < KINDS; kind++) {
                const char *reply = replies[r].reply;
                bool goes_on = reply[0] == commands[c].fine &&
                               replies[r].end == SMTP_CLIENT_END_PROTOCOL &&
                               memcmp(reply + 3, " ", 1) == 0 && strchr(reply, '\r')[1] == '\n';
                if (!(commands[c].kinds & 1U << kind) || goes_on)
                    continue;
                if (commands[c].phase == SMTP_CLIENT_PHASE_HELLO && reply[0] == '5')
                    continue; /* HELO follows */
                for (size_t cut = 0; cut <= CUTS; cut++) {
                    struct lab lab;
                    play(&lab, extensions[kind], commands[c].command, reply,
                         cut == CUTS ? SIZE_MAX : cut);
                    assert_true(lab.closed);
                    if (commands[c].phase <= SMTP_CLIENT_PHASE_TLS)
                        check_host(&lab, commands[c].phase, reply, replies[r].end);
                    else
                        check_message(&lab, commands[c].phase, reply, replies[r].end);
                    lab_fini(&lab);
                    plays++;
                }
            }
    assert_true(plays > 50000);
}

/* RSET is refused: what was said before stands, and the connection is of no use. */
static void test_reset_refused(void **state)
{
    static const struct lab_rule rules[] = {
        {"MAIL", "450 4.7.1 Wait\r\n", 0}, {"RSET", "500 What?\r\n", 0}, {0}};
    const struct lab_setup setup = {.config = {.hello = "us.test"},
                                    .extensions = "",
                                    .rules = rules,
                                    .messages = &message,
                                    .message_count = 1};

    (void)state;
    lab_expect("RSET refused", &setup,
               "EHLO us.test\n<ready>\nMAIL FROM:<a@x.test>\n"
               "<0 DEFERRED MAIL 450 4.7.1 \"450 4.7.1 Wait\">\n"
               "<1 DEFERRED MAIL 450 4.7.1 \"450 4.7.1 Wait\">\nRSET\n<done>\n"
               "<closed RESET_REFUSED IDLE 500 5.5.2 \"500 What?\">\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),     cmocka_unit_test(test_status_said),
        cmocka_unit_test(test_long_text), cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_any_reply), cmocka_unit_test(test_reset_refused),
    };

    return cmocka_run_group_tests_name("smtp/relay/client: verdicts", tests, NULL, NULL);
}
