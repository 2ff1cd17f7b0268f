/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/protocol/limits.h"
#include "unit/smtp/play.h"

/* What clients put into the arguments of commands to be taken for something else, and floods.
 * Each test has the number of a row in the list of attacks that the project keeps. */
/* ---- addresses and parameters ---- */

static void test_attack_13_addresses(void **state)
{
    static const struct {
        struct bytes path;
        const char *want;
    } cases[] = {
        {BYTES_INIT("<\"y\"@here.test>"), "250"},
        {BYTES_INIT("<@a.test,@b.test:y@here.test>"), "250"},
        {BYTES_INIT("<y%else.test@here.test>"), "550 5.1.1"},
        {BYTES_INIT("<else.test!y@here.test>"), "550 5.1.1"},
        {BYTES_INIT("<\"y@else.test\"@here.test>"), "550 5.1.1"},
        {BYTES_INIT("<y@[192.0.2.1]>"), "550 5.7.1"},
        {BYTES_INIT("<y@here.test@else.test>"), "553 5.1.3"},
        {BYTES_INIT("<y@\xc3\xa9.test>"), "553 5.6.7"},
        {BYTES_INIT("<(((((y)))))@here.test>"), "553 5.1.3"},
        {BYTES_INIT("<>"), "553 5.1.3"},
        {BYTES_INIT("<y@here.test\0>"), "500 5.5.2"},
        {BYTES_INIT("<y@here.test>\v"), "500 5.5.2"},
        {BYTES_INIT("<\"y\tx\"@here.test>"), "500 5.5.2"},
        {BYTES_INIT("<y@here.test> ORCPT=rfc822;y%0ax"), "555 5.5.4"},
        {BYTES_INIT("<y@here.test>\xe2\x80\xa8X"), "501 5.5.4"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer input = BUFFER_EMPTY;
        struct play play;
        play_init(&play, &play_config, PLAY_LATE);
        play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<>\r\n"));
        play_take(&play);
        buffer_add_string(&input, "RCPT TO:");
        buffer_add(&input, cases[i].path);
        buffer_add(&input, BYTES("\r\n"));
        play_feed(&play, buffer_bytes(&input));
        const char *seen = play_take(&play);
        if (strncmp(seen, cases[i].want, strlen(cases[i].want)) != 0)
            print_error("case %zu: %s", i, seen);
        assert_memory_equal(seen, cases[i].want, strlen(cases[i].want));
        play_fini(&play);
        buffer_fini(&input);
    }
}

/* Nesting of any depth: the parser has none. */
static void test_attack_13_deep_nesting(void **state)
{
    static const char *const openers[] = {"(", "<",        "[", "\"", "\\",
                                          "@", "@a.test,", ".", ":",  "x:"};

    (void)state;
    for (size_t i = 0; i < sizeof(openers) / sizeof(openers[0]); i++)
        for (unsigned verb = 0; verb < 2; verb++) {
            struct buffer input = BUFFER_EMPTY;
            struct play play;
            buffer_add_string(&input, verb ? "RCPT TO:<" : "MAIL FROM:<");
            while (buffer_len(&input) < 1900)
                buffer_add_string(&input, openers[i]);
            buffer_add_string(&input, "y@here.test>\r\nNOOP\r\n");
            play_init(&play, &play_config, PLAY_AT_ONCE);
            play_feed(&play, BYTES("EHLO a\r\n"));
            play_feed(&play, verb ? BYTES("MAIL FROM:<>\r\n") : BYTES(""));
            play_take(&play);
            play_feed(&play, buffer_bytes(&input));
            assert_string_equal(
                play_take(&play),
                verb ? "553 5.1.3 Recipient address is malformed\r\n250 2.0.0 OK\r\n"
                     : "553 5.1.7 Sender address is malformed\r\n250 2.0.0 OK\r\n");
            buffer_fini(&input);
            play_fini(&play);
        }
}

/* Line ends and NUL, in every disguise that a parameter has. */
static void test_attack_14_line_breaks_in_parameters(void **state)
{
    static const struct {
        struct bytes line;
        const char *want;
    } cases[] = {
        {BYTES_INIT("MAIL FROM:<x@a.test> ENVID=a+0D+0ARCPT"), "501"},
        {BYTES_INIT("MAIL FROM:<x@a.test> ENVID=a\rb"), "500"},
        {BYTES_INIT("MAIL FROM:<x@a.test> ENVID=a\0b"), "500"},
        {BYTES_INIT("MAIL FROM:<x@a.test> ENVID=\xe2\x80\xa8"), "501"},
        {BYTES_INIT("MAIL FROM:<x@a.test> AUTH=a+0Ab@a.test"), "501"},
        {BYTES_INIT("MAIL FROM:<x@a.test> AUTH=a\0@a.test"), "500"},
        {BYTES_INIT("MAIL FROM:<x\xe2\x80\xa8@a.test> SMTPUTF8"), "553"},
        {BYTES_INIT("MAIL FROM:<x\xc2\x85@a.test> SMTPUTF8"), "553"},
        {BYTES_INIT("MAIL FROM:<\"x\\\r\"@a.test> SMTPUTF8"), "500"},
        {BYTES_INIT("MAIL FROM:<x%0a@a.test>"), "250"}, /* text like any other */
    };
    static const struct smtp_connection trusted = {.trusted = true};
    struct smtp_config config = play_config;

    (void)state;
    config.dsn = true;
    config.smtputf8 = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct play play;
        struct buffer input = BUFFER_EMPTY;
        play_init_connection(&play, &config, &trusted, PLAY_AT_ONCE);
        play_feed(&play, BYTES("EHLO a\r\n"));
        play_take(&play);
        buffer_add(&input, cases[i].line);
        buffer_add(&input, BYTES("\r\n"));
        play_feed(&play, buffer_bytes(&input));
        const char *seen = play_take(&play);
        if (strncmp(seen, cases[i].want, 3) != 0)
            print_error("case %zu: %s", i, seen);
        assert_memory_equal(seen, cases[i].want, 3);
        buffer_fini(&input);
        play_fini(&play);
    }
}

static void test_attack_14_helo_arguments(void **state)
{
    static const struct {
        struct bytes name;
        const char *want;
    } cases[] = {
        {BYTES_INIT("mail.example.org"), "250"},
        {BYTES_INIT("WIN_HOST-7"), "250"},
        {BYTES_INIT("[IPv6:2001:db8::1]"), "250"},
        {BYTES_INIT(""), "501"},
        {BYTES_INIT("two names"), "501"},
        {BYTES_INIT("a(b)"), "501"},
        {BYTES_INIT("a;b"), "501"},
        {BYTES_INIT("a<b>"), "501"},
        {BYTES_INIT("a\x01"), "500"},
        {BYTES_INIT("a\0b"), "500"},
        {BYTES_INIT("\xc3\xa9.test"), "501"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer input = BUFFER_EMPTY;
        struct play play;
        play_init(&play, &play_config, PLAY_LATE);
        play_take(&play);
        buffer_add_string(&input, "EHLO ");
        buffer_add(&input, cases[i].name);
        buffer_add(&input, BYTES("\r\n"));
        play_feed(&play, buffer_bytes(&input));
        const char *seen = play_take(&play);
        assert_memory_equal(seen, cases[i].want, strlen(cases[i].want));
        play_fini(&play);
        buffer_fini(&input);
    }
}

/* ---- floods ---- */

static void test_attack_15_recipient_flood(void **state)
{
    struct smtp_config config = play_config;
    struct play play;
    struct buffer input = BUFFER_EMPTY;

    (void)state;
    config.recipients_max = 1000;
    for (unsigned i = 0; i < 10 * 1000; i++)
        buffer_printf(&input, "RCPT TO:<u%03u@here.test>\r\n", i % 1000);
    for (unsigned answers = 0; answers < PLAY_ANSWERS_COUNT; answers++) {
        play_init(&play, &config, (enum play_answers)answers);
        play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<>\r\n"));
        play_take(&play);
        play_feed(&play, buffer_bytes(&input));
        assert_int_equal(smtp_session_envelope(play.session)->recipient_count, 1000);
        unsigned accepted = 0;
        unsigned refused = 0;
        for (const char *at = play_take(&play); *at != '\0'; at = strchr(at, '\n') + 1) {
            accepted += strncmp(at, "250", 3) == 0;
            refused += strncmp(at, "452 4.5.3", 9) == 0;
        }
        assert_int_equal(accepted, 1000);
        assert_int_equal(refused, 9000);
        play_fini(&play);
    }
    buffer_fini(&input);
}

static void test_attack_15_harvest(void **state)
{
    struct smtp_config config = play_config;
    struct play play;
    struct buffer input = BUFFER_EMPTY;

    (void)state;
    config.errors_max = SMTP_ERRORS_MAX;
    for (unsigned i = 0; i < 1000; i++)
        buffer_printf(&input, "RCPT TO:<name%u@here.test>\r\nNOOP\r\n", i);
    play_init(&play, &config, PLAY_LATE);
    play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<>\r\n"));
    play_take(&play);
    play_feed(&play, buffer_bytes(&input));
    assert_true(play.closed);
    unsigned unknown = 0;
    const char *last = NULL;
    for (const char *at = play_take(&play); *at != '<'; at = strchr(at, '\n') + 1) {
        unknown += strncmp(at, "550", 3) == 0;
        last = at;
    }
    assert_int_equal(unknown, SMTP_ERRORS_MAX);
    assert_memory_equal(last, "421 4.7.0", 9);
    play_fini(&play);
    buffer_fini(&input);
}

/* ---- the null sender ---- */

static void test_attack_16_null_sender_to_many(void **state)
{
    struct smtp_config config = play_config;

    (void)state;
    config.null_sender_single = true;
    play_expect(
        &config, "a bounce to many",
        BYTES("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<no@here.test>\r\nRCPT TO:<y@here.test>\r\n"
              "RCPT TO:<z@here.test>\r\nRCPT TO:<u1@here.test>\r\nRSET\r\n"
              "MAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nRCPT TO:<z@here.test>\r\n"),
        PLAY_HELLO "250 2.1.0 Sender OK\r\n550 5.1.1 No such user here\r\n"
                   "250 2.1.5 Recipient OK\r\n"
                   "452 4.5.3 A message from <> is for one recipient\r\n"
                   "452 4.5.3 A message from <> is for one recipient\r\n"
                   "250 2.0.0 OK\r\n250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n"
                   "250 2.1.5 Recipient OK\r\n");
    play_expect(
        &play_config, "where it is allowed",
        BYTES("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\nRCPT TO:<z@here.test>\r\n"),
        PLAY_HELLO "250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n"
                   "250 2.1.5 Recipient OK\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attack_13_addresses),
        cmocka_unit_test(test_attack_13_deep_nesting),
        cmocka_unit_test(test_attack_14_line_breaks_in_parameters),
        cmocka_unit_test(test_attack_14_helo_arguments),
        cmocka_unit_test(test_attack_15_recipient_flood),
        cmocka_unit_test(test_attack_15_harvest),
        cmocka_unit_test(test_attack_16_null_sender_to_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
