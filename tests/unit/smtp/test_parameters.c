/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/base/arena.h"
#include "smtp/protocol/xtext.h"
#include "unit/smtp/play.h"

/* Parameters of MAIL and RCPT: DSN (RFC 3461), SMTPUTF8 (RFC 6531), AUTH= (RFC 4954). */
#define MAIL_OK "250 2.1.0 Sender OK\r\n"
#define RCPT_OK "250 2.1.5 Recipient OK\r\n"
#define OK "250 2.0.0 OK\r\n"
#define UNKNOWN "555 5.5.4 Parameter is not known\r\n"
#define MALFORMED "501 5.5.4 Parameter is malformed\r\n"
#define UTF8_NEEDED "553 5.6.7 Address needs SMTPUTF8\r\n"
#define SENDER_BAD "553 5.1.7 Sender address is malformed\r\n"
#define EHLO                                                                                   \
    "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n250-STARTTLS\r\n"                        \
    "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-CHUNKING\r\n250-DSN\r\n250 SMTPUTF8\r\n"

static struct smtp_config config_of_all(void)
{
    struct smtp_config config = play_config;

    config.dsn = true;
    config.smtputf8 = true;
    config.errors_max = 100;
    return config;
}

/* Each line goes into sessions of its own; `want` is the reply to it. */
struct row {
    const char *line;
    const char *want;
};

static void expect_rows(const struct smtp_config *config,
                        const struct smtp_connection *connection, const char *before,
                        const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        play_expect_line(config, connection, before, rows[i].line, rows[i].want);
}

#define EXPECT_ROWS(config, connection, before, rows)                                          \
    expect_rows(config, connection, before, rows, sizeof(rows) / sizeof((rows)[0]))

static const struct smtp_connection stranger = {.tls = false};
static const struct smtp_connection trusted = {.trusted = true};

#define HUNDRED                                                                                \
    "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567" \
    "890123456789"

static void test_mail_parameters(void **state)
{
    static const struct row rows[] = {
        {"MAIL FROM:<x@a.test> RET=FULL ENVID=QQ314159", MAIL_OK},
        {"MAIL FROM:<x@a.test> ret=hdrs", MAIL_OK},
        {"MAIL FROM:<x@a.test> RET=", MALFORMED},
        {"MAIL FROM:<x@a.test> RET", MALFORMED},
        {"MAIL FROM:<x@a.test> RET=BODY", MALFORMED},
        {"MAIL FROM:<x@a.test> RET=FULL RET=FULL", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=a+2Bb+20c", MAIL_OK},
        {"MAIL FROM:<x@a.test> ENVID=a+0Ab", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=a+0Db", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=a+00b", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=a+7Fb", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=a+E9b", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=a+", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=a+2", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=a+2G", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=a=b", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=\xc3\xa9", MALFORMED},
        {"MAIL FROM:<x@a.test> ENVID=" HUNDRED, MAIL_OK},
        {"MAIL FROM:<x@a.test> ENVID=" HUNDRED "1", MALFORMED},
        {"MAIL FROM:<x@a.test> NOTIFY=NEVER", UNKNOWN},
        {"MAIL FROM:<x@a.test> AUTH=<>", UNKNOWN},
        {"MAIL FROM:<x@a.test> SMTPUTF8", MAIL_OK},
        {"MAIL FROM:<x@a.test> SMTPUTF8=1", MALFORMED},
        {"MAIL FROM:<x@a.test> SMTPUTF8 SMTPUTF8", MALFORMED},
        {"MAIL FROM:<\xc3\xa9@a.test>", UTF8_NEEDED},
        {"MAIL FROM:<x@\xc3\xa9.test>", UTF8_NEEDED},
        {"MAIL FROM:<\xc3\xa9@\xc3\xa9.test> SMTPUTF8", MAIL_OK},
        {"MAIL FROM:<\"\xc3\xa9 x\"@a.test> SIZE=3 SMTPUTF8 BODY=8BITMIME", MAIL_OK},
        {"MAIL FROM:<\xc3@a.test> SMTPUTF8", SENDER_BAD},
        {"MAIL FROM:<\xff\xfe@a.test> SMTPUTF8", SENDER_BAD},
        {"MAIL FROM:<x\xe2\x80\xa8@a.test> SMTPUTF8", SENDER_BAD},
        {"MAIL FROM:<x\xc2\x85@a.test> SMTPUTF8", SENDER_BAD},
        {"MAIL FROM:<x\xed\xa0\x80@a.test> SMTPUTF8", SENDER_BAD},
    };
    struct smtp_config config = config_of_all();

    (void)state;
    EXPECT_ROWS(&config, &stranger, "EHLO a\r\n", rows);
}

static void test_not_offered(void **state)
{
    static const struct row rows[] = {
        {"MAIL FROM:<x@a.test> RET=FULL", UNKNOWN},
        {"MAIL FROM:<x@a.test> ENVID=a", UNKNOWN},
        {"MAIL FROM:<x@a.test> SMTPUTF8", UNKNOWN},
        {"MAIL FROM:<\xc3\xa9@a.test> SMTPUTF8", UNKNOWN},
        {"MAIL FROM:<\xc3\xa9@a.test>", UTF8_NEEDED},
        {"VRFY \xc3\xa9 SMTPUTF8", UTF8_NEEDED},
    };
    static const struct row helo[] = {
        {"MAIL FROM:<x@a.test> RET=FULL", UNKNOWN},
        {"MAIL FROM:<\xc3\xa9@a.test> SMTPUTF8", UNKNOWN},
    };
    struct smtp_config config = config_of_all();

    (void)state;
    EXPECT_ROWS(&play_config, &stranger, "EHLO a\r\n", rows);
    EXPECT_ROWS(&config, &stranger, "HELO a\r\n", helo);
}

static void test_rcpt_parameters(void **state)
{
    static const struct row rows[] = {
        {"RCPT TO:<y@here.test> NOTIFY=NEVER", RCPT_OK},
        {"RCPT TO:<y@here.test> NOTIFY=SUCCESS,FAILURE,DELAY", RCPT_OK},
        {"RCPT TO:<y@here.test> notify=failure,failure ORCPT=RFC822;y@a.test", RCPT_OK},
        {"RCPT TO:<y@here.test> NOTIFY=", MALFORMED},
        {"RCPT TO:<y@here.test> NOTIFY", MALFORMED},
        {"RCPT TO:<y@here.test> NOTIFY=,", MALFORMED},
        {"RCPT TO:<y@here.test> NOTIFY=SUCCESS,", MALFORMED},
        {"RCPT TO:<y@here.test> NOTIFY=NEVER,SUCCESS", MALFORMED},
        {"RCPT TO:<y@here.test> NOTIFY=SUCCESS,NEVER", MALFORMED},
        {"RCPT TO:<y@here.test> NOTIFY=NEVER NOTIFY=NEVER", MALFORMED},
        {"RCPT TO:<y@here.test> RET=FULL", UNKNOWN},
        {"RCPT TO:<y@here.test> ORCPT=rfc822;a+2Bb@a.test", RCPT_OK},
        {"RCPT TO:<y@here.test> ORCPT=rfc822;", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=;y", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=rfc822", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=rfc@822;y", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=rfc822;y+0Ax", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=rfc822;y+00x", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=rfc822;\xc3\xa9@a.test", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=utf-8;\\x{E9}@a.test", RCPT_OK},
        {"RCPT TO:<y@here.test> ORCPT=utf-8;\xc3\xa9@a.test", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=utf-8;\\x{0A}@a.test", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=utf-8;\\x{2028}@a.test", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=utf-8;\\x{D800}@a.test", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=utf-8;\\x{110000}@a.test", MALFORMED},
        {"RCPT TO:<\xc3\xa9@here.test>", UTF8_NEEDED},
        {"RCPT TO:<y@here.test> ORCPT=rfc822;" HUNDRED HUNDRED HUNDRED HUNDRED
         "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
         "56789012",
         RCPT_OK},
        {"RCPT TO:<y@here.test> ORCPT=rfc822;" HUNDRED HUNDRED HUNDRED HUNDRED
         "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234"
         "567890123",
         MALFORMED},
    };
    static const struct row utf8[] = {
        {"RCPT TO:<y@here.test> ORCPT=utf-8;\xc3\xa9@a.test", RCPT_OK},
        {"RCPT TO:<y@here.test> ORCPT=utf-8;\xc3@a.test", MALFORMED},
        {"RCPT TO:<y@here.test> ORCPT=utf-8;x\xe2\x80\xa8@a.test", MALFORMED},
        {"RCPT TO:<\xc3\xa9@else.test>", "550 5.7.1 Relaying denied\r\n"},
    };
    struct smtp_config config = config_of_all();

    (void)state;
    EXPECT_ROWS(&config, &stranger, "EHLO a\r\nMAIL FROM:<>\r\n", rows);
    EXPECT_ROWS(&config, &stranger, "EHLO a\r\nMAIL FROM:<> SMTPUTF8\r\n", utf8);
}

static void test_kept_in_the_envelope(void **state)
{
    struct smtp_config config = config_of_all();
    struct play play;

    (void)state;
    play_init(&play, &config, PLAY_LATE);
    play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<x@a.test> RET=HDRS ENVID=a+2Bb SMTPUTF8\r\n"
                           "RCPT TO:<y@here.test> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\\x{E9}\xc3"
                           "\xa8@b.test\r\nRCPT TO:<z@here.test> ORCPT=x400;a+20b "
                           "NOTIFY=NEVER\r\nRCPT TO:<u1@here.test>\r\n"));
    const struct smtp_envelope *envelope = smtp_session_envelope(play.session);
    assert_int_equal(envelope->recipient_count, 3);
    assert_true(envelope->utf8);
    assert_int_equal(envelope->dsn_return, SMTP_RETURN_HEADERS);
    assert_true(bytes_equal(envelope->envelope_id, BYTES("a+b")));
    const struct smtp_recipient *recipients = envelope->recipients;
    assert_int_equal(recipients[0].notify, SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY);
    assert_true(bytes_equal(recipients[0].original_type, BYTES("utf-8")));
    assert_true(bytes_equal(recipients[0].original_address, BYTES("\xc3\xa9\xc3\xa8@b.test")));
    assert_int_equal(recipients[1].notify, SMTP_NOTIFY_NEVER);
    assert_true(bytes_equal(recipients[1].original_type, BYTES("x400")));
    assert_true(bytes_equal(recipients[1].original_address, BYTES("a b")));
    assert_int_equal(recipients[2].notify, 0);
    assert_int_equal(recipients[2].original_type.len, 0);

    /* And of the next transaction nothing is left. */
    play_feed(&play, BYTES("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\n"));
    assert_false(envelope->utf8);
    assert_int_equal(envelope->dsn_return, SMTP_RETURN_UNSAID);
    assert_int_equal(envelope->envelope_id.len, 0);
    assert_int_equal(envelope->recipients[0].notify, 0);
    play_fini(&play);
}

static void test_refused_mail_leaves_nothing(void **state)
{
    struct smtp_config config = config_of_all();
    struct play play;

    (void)state;
    play_init(&play, &config, PLAY_AT_ONCE);
    play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<> SMTPUTF8 RET=FULL ENVID=+\r\n"
                           "MAIL FROM:<\xc3\xa9@a.test>\r\n"));
    assert_string_equal(play_take(&play), PLAY_HI EHLO MALFORMED UTF8_NEEDED);
    assert_false(smtp_session_envelope(play.session)->utf8);
    play_fini(&play);
}

static void test_auth_identity(void **state)
{
    static const struct row rows[] = {
        {"MAIL FROM:<x@a.test> AUTH=<>", MAIL_OK},
        {"MAIL FROM:<x@a.test> AUTH=e+3Dmc2@a.test", MAIL_OK},
        {"MAIL FROM:<x@a.test> AUTH=e+0Amc2@a.test", MALFORMED},
        {"MAIL FROM:<x@a.test> AUTH=x", MALFORMED},
        {"MAIL FROM:<x@a.test> AUTH=", MALFORMED},
        {"MAIL FROM:<x@a.test> AUTH", MALFORMED},
    };
    struct play play;

    (void)state;
    EXPECT_ROWS(&play_config, &trusted, "EHLO a\r\n", rows);
    play_init_connection(&play, &play_config, &trusted, PLAY_AT_ONCE);
    play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<x@a.test> AUTH=e+3Dmc2@a.test\r\n"));
    assert_true(
        bytes_equal(smtp_session_envelope(play.session)->auth_identity, BYTES("e=mc2@a.test")));
    play_fini(&play);
}

static void test_conversations(void **state)
{
    struct smtp_config config = config_of_all();

    (void)state;
    play_expect(
        &config, "internationalised message",
        BYTES("EHLO a\r\nVRFY \xc3\xa9 smtputf8\r\nVRFY \xc3\xa9\r\n"
              "MAIL FROM:<\xc3\xa9@a.test> SMTPUTF8 ENVID=1 RET=FULL\r\n"
              "RCPT TO:<y@here.test> NOTIFY=SUCCESS\r\n"
              "RCPT TO:<y\xc3\xa9@here.test> ORCPT=utf-8;\\x{E9}\r\n"
              "RCPT TO:<z@here.test> NOTIFY=NO\r\nRSET\r\n"),
        PLAY_HI EHLO
        "252 2.5.0 Cannot verify, but will take mail and try to deliver it\r\n" UTF8_NEEDED
            MAIL_OK RCPT_OK "550 5.1.1 No such user here\r\n" MALFORMED OK);
}

static void test_decoders(void **state)
{
    static const struct {
        const char *text;
        const char *unitext; /* NULL: refused */
        const char *xtext;
    } cases[] = {
        {"a@b", "a@b", "a@b"},
        {"", "", ""},
        {"\\x{20}\\x{2B}\\x{3d}\\x{5C}", " +=\\", "\\x{20}\\x{2B}\\x{3d}\\x{5C}"},
        {"\\x{1F600}", "\xf0\x9f\x98\x80", "\\x{1F600}"},
        {"\\x{1}", NULL, "\\x{1}"},
        {"\\x{0000041}", NULL, "\\x{0000041}"},
        {"\\x{41", NULL, "\\x{41"},
        {"\\x", NULL, "\\x"},
        {"\\", NULL, "\\"},
        {"a+2Bb", NULL, "a+b"},
        {"a=b", NULL, NULL},
        {"a b", NULL, NULL},
        {"+41", NULL, "A"},
        {"+4", NULL, NULL},
        {"\\x{7F}", NULL, "\\x{7F}"},
        {"\\x{80}", NULL, "\\x{80}"},
    };
    struct arena command_arena;

    (void)state;
    arena_init(&command_arena);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes text = bytes_of(cases[i].text);
        struct bytes decoded;
        bool fine = smtp_unitext_decode(text, false, &command_arena, &decoded);
        if (fine != (cases[i].unitext != NULL))
            print_error("%s\n", cases[i].text);
        assert_int_equal(fine, cases[i].unitext != NULL);
        if (fine)
            assert_true(bytes_equal(decoded, bytes_of(cases[i].unitext)));
        fine = smtp_xtext_decode(text, &command_arena, &decoded);
        assert_int_equal(fine, cases[i].xtext != NULL);
        if (fine)
            assert_true(bytes_equal(decoded, bytes_of(cases[i].xtext)));
    }
    arena_fini(&command_arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mail_parameters),
        cmocka_unit_test(test_not_offered),
        cmocka_unit_test(test_rcpt_parameters),
        cmocka_unit_test(test_kept_in_the_envelope),
        cmocka_unit_test(test_refused_mail_leaves_nothing),
        cmocka_unit_test(test_auth_identity),
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_decoders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
