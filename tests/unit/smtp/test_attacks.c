/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/protocol/limits.h"
#include "unit/smtp/play.h"

/*
 * Known ways to make a mail server misbehave, each with what this one must do. Input is fed
 * whole, byte by byte, and in random pieces with late answers; the transcript is the same.
 */
#define UP_TO_DATA "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"
#define UP_TO_GO                                                                               \
    PLAY_HELLO "250 2.1.0 Sender OK\r\n"                                                       \
               "250 2.1.5 Recipient OK\r\n354 End data with <CR><LF>.<CR><LF>\r\n"
#define NOOP_OK "250 2.0.0 OK\r\n"

static void expect(const char *name, const struct smtp_config *config, struct bytes input,
                   const char *want)
{
    for (unsigned round = 0; round < 40; round++) {
        struct play play;
        play_init(&play, config, round < 2 ? PLAY_AT_ONCE : PLAY_RANDOM);
        play.random += round;
        if (round == 1)
            for (size_t i = 0; i < input.len; i++)
                play_feed(&play, bytes_from(input.at + i, 1));
        else
            play_feed(&play, input);
        const char *seen = play_take(&play);
        if (strcmp(seen, want) != 0)
            print_error("%s, round %u\n", name, round);
        assert_string_equal(seen, want);
        play_fini(&play);
    }
}

/* ---- smuggling: one message stays one message ---- */

#define SMUGGLED(name, sequence, refusal)                                                      \
    {                                                                                          \
        name,                                                                                  \
            BYTES_INIT(UP_TO_DATA "A: b\r\n\r\nfirst" sequence                                 \
                                  "MAIL FROM:<evil@a.test>\r\nRCPT TO:<z@here.test>\r\n"       \
                                  "DATA\r\nsecond\r\n.\r\nNOOP\r\n"),                          \
            UP_TO_GO "<abort 550>" refusal NOOP_OK                                             \
    }
#define BARE_LF "550 5.6.0 Message has a bare LF; lines end with CR LF id=T1\r\n"
#define BARE_CR "550 5.6.0 Message has a bare CR; lines end with CR LF id=T1\r\n"
#define NUL_BYTE "550 5.6.0 Message has a NUL byte id=T1\r\n"

static void test_smuggling_sequences(void **state)
{
    static const struct {
        const char *name;
        struct bytes input;
        const char *want;
    } cases[] = {
        SMUGGLED("LF . LF", "\n.\n", BARE_LF),
        SMUGGLED("LF . CRLF", "\n.\r\n", BARE_LF),
        SMUGGLED("CRLF . LF", "\r\n.\n", BARE_LF),
        SMUGGLED("CR . CR", "\r.\r", BARE_CR),
        SMUGGLED("CR . LF", "\r.\n", BARE_CR),
        SMUGGLED("LF . CR", "\n.\r", BARE_LF),
        SMUGGLED("CR . CRLF", "\r.\r\n", BARE_CR),
        SMUGGLED("CRLF . CR", "\r\n.\r", BARE_CR),
        SMUGGLED("CRLF NUL . CRLF", "\r\n\0.\r\n", NUL_BYTE),
        SMUGGLED("CRLF . NUL CRLF", "\r\n.\0\r\n", NUL_BYTE),
        SMUGGLED("CRLF . CR CRLF", "\r\n.\r\r\n", BARE_CR),
        SMUGGLED("CR CRLF . CR CRLF", "\r\r\n.\r\r\n", BARE_CR),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect(cases[i].name, &play_config, cases[i].input, cases[i].want);
}

static void test_bare_line_ends_in_commands(void **state)
{
    static const struct bytes lines[] = {
        BYTES_INIT("NOOP\nNOOP\r\n"),
        BYTES_INIT("NOOP\rNOOP\r\nNOOP\r\n"),
        BYTES_INIT("NOOP\r\r\nNOOP\r\n"),
        BYTES_INIT("\nNOOP\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect("bare line end", &play_config, lines[i],
               "220 mx.test ESMTP\r\n"
               "500 5.5.2 Lines end with CR LF, which occur nowhere else\r\n<close>");
}

/* ---- TLS ---- */

static void test_injection_behind_starttls_is_not_read(void **state)
{
    (void)state;
    static const struct bytes input =
        BYTES_INIT("EHLO a\r\nSTARTTLS\r\nMAIL FROM:<x@a.test>\r\n");
    struct play play;
    struct smtp_action action;

    play_init(&play, &play_config, PLAY_AT_ONCE);
    assert_int_equal(smtp_session_feed(play.session, input), 18);
    while (smtp_session_next(play.session, &action) && action.want != SMTP_WANT_START_TLS)
        ;
    assert_int_equal(action.want, SMTP_WANT_START_TLS);
    assert_int_equal(smtp_session_feed(play.session, bytes_skip(input, 18)), 0);
    play_fini(&play);
}

/* ---- synchronisation ---- */

static void expect_sync(const char *input, bool kept)
{
    struct smtp_config config = play_config;
    struct play play;

    config.sync_enforced = true;
    play_init(&play, &config, PLAY_LATE);
    play_feed(&play, bytes_of(input));
    bool closed = strstr(play_take(&play), "554 5.5.0 Wait for the reply") != NULL;
    if (closed == kept)
        print_error("%s\n", input);
    assert_int_equal(play.closed, !kept);
    assert_int_equal(closed, !kept);
    play_fini(&play);
}

static void test_input_ahead_of_the_reply(void **state)
{
    (void)state;
    expect_sync("EHLO a\r\nMAIL FROM:<>\r\n", false);
    expect_sync("HELO a\r\nQUIT\r\n", false);
    struct smtp_config config = play_config;
    struct play play;
    config.sync_enforced = true;
    for (unsigned early = 0; early < 2; early++) {
        play_init(&play, &config, PLAY_LATE);
        play_feed(&play, BYTES("EHLO a\r\n"));
        if (early)
            play_feed(&play, BYTES("MAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\nDATA\r\nx"));
        else
            play_feed(&play, BYTES("MAIL FROM:<>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"));
        assert_int_equal(play.closed, early);
        assert_int_equal(play.begins, !early);
        play_fini(&play);
    }
    expect_sync("NOOP\r\nRSET\r\nEHLO a\r\n", true);
}

/* ---- what speaks no SMTP ---- */

static void test_other_protocols_are_cut_off(void **state)
{
    static const struct bytes lines[] = {
        BYTES_INIT("GET / HTTP/1.1\r\nMAIL FROM:<>\r\n"),
        BYTES_INIT("POST /x HTTP/1.1\r\nEHLO a\r\n"),
        BYTES_INIT("CONNECT mx.test:25 HTTP/1.1\r\nEHLO a\r\n"),
        BYTES_INIT("Host: mx.test\r\nEHLO a\r\n"),
        BYTES_INIT("\xff\xfe\r\nEHLO a\r\n"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        expect("other protocol", &play_config, lines[i],
               "220 mx.test ESMTP\r\n502 5.5.2 This is a mail server\r\n<close>");
}

static void test_commands_for_strangers(void **state)
{
    struct smtp_config config = play_config;

    (void)state;
    config.errors_max = 20;
    expect("EXPN ETRN TURN AUTH XCLIENT PROXY", &config,
           BYTES("EXPN x\r\nETRN x\r\nTURN\r\nAUTH PLAIN AAAA\r\nVRFY y\r\n"
                 "XCLIENT ADDR=192.0.2.1\r\nPROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nNOOP\r\n"),
           "220 mx.test ESMTP\r\n502 5.5.1 Command is not offered here\r\n"
           "502 5.5.1 Command is not offered here\r\n502 5.5.1 Command is not offered here\r\n"
           "502 5.5.1 Command is not offered here\r\n"
           "252 2.5.0 Cannot verify, but will take mail and try to deliver it\r\n"
           "550 5.7.0 XCLIENT is not for you\r\n500 5.5.2 Unknown command\r\n" NOOP_OK);
}

/* ---- long lines ---- */

static void expect_line(size_t len, const char *start, const char *want)
{
    struct buffer input = BUFFER_EMPTY;

    buffer_add_string(&input, start);
    while (buffer_len(&input) < len - 2)
        buffer_add_byte(&input, 'x');
    buffer_add(&input, BYTES("\r\nNOOP\r\n"));
    expect(start, &play_config, buffer_bytes(&input), want);
    buffer_fini(&input);
}

static void test_long_command_lines(void **state)
{
    (void)state;
    const char *refused = "220 mx.test ESMTP\r\n500 5.5.2 Line is too long\r\n" NOOP_OK;
    expect_line(512, "NOOP ", "220 mx.test ESMTP\r\n" NOOP_OK NOOP_OK);
    expect_line(513, "NOOP ", refused);
    expect_line(2048, "NOOP ", refused);
    expect_line(2049, "NOOP ", refused);
    expect_line(4096, "NOOP ", refused);
    expect_line(2048, "MAIL ", "220 mx.test ESMTP\r\n503 5.5.1 Send EHLO first\r\n" NOOP_OK);
    expect_line(2049, "MAIL ", refused);
    expect_line(SMTP_COMMAND_DISCARD_MAX, "NOOP ", refused);
}

static void test_endless_command_line(void **state)
{
    (void)state;
    struct play play;
    uint8_t piece[1000];
    size_t sent = 0;

    memset(piece, 'x', sizeof(piece));
    play_init(&play, &play_config, PLAY_AT_ONCE);
    while (!play.closed) {
        play_feed(&play, bytes_from(piece, sizeof(piece)));
        sent += sizeof(piece);
        assert_true(sent <= SMTP_COMMAND_DISCARD_MAX + 4 * sizeof(piece));
    }
    assert_string_equal(play_take(&play),
                        "220 mx.test ESMTP\r\n500 5.5.2 Line is too long\r\n<close>");
    play_fini(&play);
}

static void message_of(struct buffer *input, const char *header, size_t line_len)
{
    buffer_add_string(input, UP_TO_DATA);
    buffer_add_string(input, header);
    for (size_t i = 0; i < line_len; i++)
        buffer_add_byte(input, 'x');
    buffer_add(input, BYTES("\r\n.\r\nNOOP\r\n"));
}

static void test_long_data_lines(void **state)
{
    static const size_t refused[] = {99, 100, 398};
    struct buffer input = BUFFER_EMPTY;

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        message_of(&input, "", refused[i]);
        expect("long line", &play_config, buffer_bytes(&input),
               UP_TO_GO
               "<abort 550>550 5.6.0 Message has a line that is too long id=T1\r\n" NOOP_OK);
        buffer_clear(&input);
    }
    message_of(&input, "", 98);
    struct play play;
    play_init(&play, &play_config, PLAY_AT_ONCE);
    play_feed(&play, buffer_bytes(&input));
    assert_int_equal(play.commits, 1);
    assert_int_equal(buffer_len(&play.body), 100);
    play_fini(&play);
    buffer_fini(&input);
}

/* ---- sizes ---- */

static void test_declared_sizes(void **state)
{
    static const char *const sizes[] = {"401", "4294967296", "18446744073709551616",
                                        "1000000000000000000000000000000"};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buffer input = BUFFER_EMPTY;
        buffer_printf(&input, "HELO a\r\nEHLO a\r\nMAIL FROM:<> SIZE=%s\r\nNOOP\r\n", sizes[i]);
        struct play play;
        play_init(&play, &play_config, PLAY_AT_ONCE);
        play_feed(&play, buffer_bytes(&input));
        assert_non_null(strstr(play_take(&play),
                               "552 5.3.4 Message is larger than SIZE allows\r\n" NOOP_OK));
        play_fini(&play);
        buffer_fini(&input);
    }
    expect("a negative size", &play_config, BYTES("EHLO\r\nHELO a\r\nMAIL FROM:<> SIZE=-1\r\n"),
           "220 mx.test ESMTP\r\n501 5.5.4 Give one domain or address literal\r\n"
           "250 mx.test\r\n555 5.5.4 Parameter is not known\r\n");
}

/* The limit is 400: it counts dots unstuffed and CRLF, not the final dot. */
static void test_message_sizes(void **state)
{
    struct buffer input = BUFFER_EMPTY;

    (void)state;
    for (unsigned over = 0; over < 3; over++) {
        buffer_add_string(&input, UP_TO_DATA "\r\n");
        for (unsigned i = 0; i < 39; i++)
            buffer_add(&input, BYTES("..2345678\r\n"));
        buffer_add(&input, bytes_from("123456789", 6 + over));
        buffer_add(&input, BYTES("\r\n.\r\nNOOP\r\n"));
        struct play play;
        for (unsigned answers = 0; answers < PLAY_ANSWERS_COUNT; answers++) {
            play_init(&play, &play_config, (enum play_answers)answers);
            play_feed(&play, buffer_bytes(&input));
            assert_int_equal(play.commits, over == 0);
            const char *want = over == 0 ? ">250 2.0.0 OK id=T1\r\n" NOOP_OK
                                         : "<abort 552>552 5.3.4 Message is larger than SIZE "
                                           "allows id=T1\r\n" NOOP_OK;
            assert_non_null(strstr(play_take(&play), want));
            play_fini(&play);
        }
        buffer_clear(&input);
    }
    buffer_fini(&input);
}

/* ---- headers ---- */

static void expect_header(const char *line, unsigned count, const char *want)
{
    struct smtp_config config = play_config;
    struct buffer input = BUFFER_EMPTY;
    struct play play;

    config.message_size_max = 100 * 1000 * 1000;
    config.data_line_size_max = SMTP_DATA_LINE_SIZE_MAX;
    buffer_add_string(&input, UP_TO_DATA);
    for (unsigned i = 0; i < count; i++)
        buffer_add_string(&input, line);
    buffer_add(&input, BYTES("\r\nbody\r\n.\r\nNOOP\r\n"));
    play_init(&play, &config, PLAY_AT_ONCE);
    play_feed(&play, buffer_bytes(&input));
    const char *seen = play_take(&play);
    assert_non_null(strstr(seen, want));
    assert_string_equal(seen + strlen(seen) - strlen(NOOP_OK), NOOP_OK);
    play_fini(&play);
    buffer_fini(&input);
}

static void test_header_limits(void **state)
{
    (void)state;
    expect_header("A: b\r\n", SMTP_HEADER_LINES_MAX, ">250 2.0.0 OK");
    expect_header("A: b\r\n", SMTP_HEADER_LINES_MAX + 1,
                  "<abort 554>554 5.6.0 Message header has too many lines");
    expect_header("A: b\r\n", 100 * 1000,
                  "<abort 554>554 5.6.0 Message header has too many lines");
    expect_header("A: 345678901234567890123456789012345678901234567890123456789012\r\n", 5000,
                  "<abort 552>552 5.3.4 Message header is too large");
    /* Lines of the body are no lines of the header, with an empty line between or not. */
    expect_header("\r\n", 100 * 1000, ">250 2.0.0 OK");
    expect_header("no field\r\n", 100 * 1000, ">250 2.0.0 OK");
}

static void test_received_loop(void **state)
{
    (void)state;
    expect_header("Received: a\r\n\tb\r\n", SMTP_RECEIVED_MAX, ">250 2.0.0 OK");
    expect_header("rEcEiVeD:a\r\n", SMTP_RECEIVED_MAX + 1,
                  "<abort 554>554 5.4.6 Message has passed too many hosts");
    expect_header("Received: a\r\n", 10 * 1000, "<abort 554>554 5.4.6");
    expect_header("Received-SPF: pass\r\n X\r\n", 60, ">250 2.0.0 OK");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_smuggling_sequences),
        cmocka_unit_test(test_bare_line_ends_in_commands),
        cmocka_unit_test(test_injection_behind_starttls_is_not_read),
        cmocka_unit_test(test_input_ahead_of_the_reply),
        cmocka_unit_test(test_other_protocols_are_cut_off),
        cmocka_unit_test(test_commands_for_strangers),
        cmocka_unit_test(test_long_command_lines),
        cmocka_unit_test(test_endless_command_line),
        cmocka_unit_test(test_long_data_lines),
        cmocka_unit_test(test_declared_sizes),
        cmocka_unit_test(test_message_sizes),
        cmocka_unit_test(test_header_limits),
        cmocka_unit_test(test_received_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
