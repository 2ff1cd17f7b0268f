/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/protocol/limits.h"
#include "unit/smtp/play.h"

/*
 * Known ways to make a mail server misbehave, by what is in a message. Each test has the number
 * of a row in the list of attacks that the project keeps.
 */
#define UP_TO_DATA "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"
#define UP_TO_RCPT "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\n"
#define READY PLAY_HELLO "250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n"
#define UP_TO_GO READY "354 End data with <CR><LF>.<CR><LF>\r\n"
#define NOOP_OK "250 2.0.0 OK\r\n"

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

static void test_attack_01_smuggling_sequences(void **state)
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
        play_expect(&play_config, cases[i].name, cases[i].input, cases[i].want);
}

/* What an account has sent is held to the same: nothing of it reaches another host as two. */
static void test_attack_02_smuggling_in_submission(void **state)
{
    static const struct {
        struct bytes sequence;
        const char *refusal;
    } cases[] = {
        {BYTES_INIT("\n.\n"), BARE_LF},        {BYTES_INIT("\n.\r\n"), BARE_LF},
        {BYTES_INIT("\r\n.\n"), BARE_LF},      {BYTES_INIT("\r.\r"), BARE_CR},
        {BYTES_INIT("\r.\n"), BARE_CR},        {BYTES_INIT("\n.\r"), BARE_LF},
        {BYTES_INIT("\r.\r\n"), BARE_CR},      {BYTES_INIT("\r\n.\r"), BARE_CR},
        {BYTES_INIT("\r\n\0.\r\n"), NUL_BYTE}, {BYTES_INIT("\r\n.\0\r\n"), NUL_BYTE},
        {BYTES_INIT("\r\n.\r\r\n"), BARE_CR},  {BYTES_INIT("\r\r\n.\r\r\n"), BARE_CR},
    };
    static const struct smtp_connection with_tls = {.tls = true};
    struct smtp_config config = play_config;

    (void)state;
    config.service = SMTP_SERVICE_SUBMISSION;
    config.auth_tls = "PLAIN";
    config.auth_failures_max = 3;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buffer input = BUFFER_EMPTY;
        struct buffer want = BUFFER_EMPTY;
        buffer_add_string(&input,
                          "EHLO a\r\nAUTH PLAIN AHkAc2VjcmV0\r\nMAIL FROM:<x@a.test>\r\n"
                          "RCPT TO:<y@here.test>\r\nDATA\r\nA: b\r\n\r\nfirst");
        buffer_add(&input, cases[i].sequence);
        buffer_add_string(&input, "MAIL FROM:<z@a.test>\r\nDATA\r\nsecond\r\n.\r\nNOOP\r\n");
        buffer_printf(&want,
                      PLAY_HI "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n"
                              "250-AUTH PLAIN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
                              "250 CHUNKING\r\n235 2.7.0 Authentication succeeded\r\n"
                              "250 2.1.0 Sender OK\r\n250 2.1.5 Recipient OK\r\n"
                              "354 End data with <CR><LF>.<CR><LF>\r\n<abort 550>%s" NOOP_OK
                              "%c",
                      cases[i].refusal, '\0');
        play_expect_connection(&config, &with_tls, "smuggled", buffer_bytes(&input),
                               (const char *)buffer_bytes(&want).at);
        buffer_fini(&input);
        buffer_fini(&want);
    }
}

/* ---- chunks ---- */

/* The next host may get the message with DATA: a bare line end is refused, a dot alone in its
 * line is nothing but a dot, which whoever sends it on has to stuff. */
static void test_attack_03_dots_and_line_ends_in_chunks(void **state)
{
    static const struct {
        struct bytes body; /* 14 bytes */
        bool early;        /* the fault is in the first nine of them */
        const char *want;
    } cases[] = {
        {BYTES_INIT("A: b\r\n\r\n.\r\nx\r\n"), false,
         "<body 14:A: b\r\n\r\n.\r\nx\r\n>250 2.0.0 OK id=T1\r\n"},
        {BYTES_INIT("A: b\r\n\r\n..\r\nx\r"), false, "<abort 550>" BARE_CR},
        {BYTES_INIT("A: b\r\n\r\n.\n.\r\nx"), false, "<abort 550>" BARE_LF},
        {BYTES_INIT("A: b\r\n\n.\r\nx\r\ny"), true, "<abort 550>" BARE_LF},
        {BYTES_INIT("A: b\r\n\r.\rx\r\ny\r"), true, "<abort 550>" BARE_CR},
        {BYTES_INIT("A: b\r\n\r\n\0.\r\ny"), true, "<abort 550>" NUL_BYTE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        for (unsigned split = 0; split < 2; split++) {
            struct buffer input = BUFFER_EMPTY;
            struct buffer want = BUFFER_EMPTY;
            size_t len = cases[i].body.len;
            buffer_add_string(&input, UP_TO_RCPT);
            if (split) {
                buffer_add_string(&input, "BDAT 9\r\n");
                buffer_add(&input, bytes_from(cases[i].body.at, 9));
                len -= 9;
            }
            buffer_printf(&input, "BDAT %zu LAST\r\n", len);
            buffer_add(&input, bytes_from(cases[i].body.at + cases[i].body.len - len, len));
            buffer_add_string(&input, "NOOP\r\n");
            bool early = split && cases[i].early;
            buffer_printf(&want, READY "%s%s%s" NOOP_OK "%c",
                          split && !early ? "250 2.0.0 Chunk OK\r\n" : "", cases[i].want,
                          early ? "503 5.5.1 The message has failed, send RSET\r\n" : "", '\0');
            /* What is wrong within the first nine bytes is said behind them. */
            play_expect(&play_config, "chunk", buffer_bytes(&input),
                        (const char *)buffer_bytes(&want).at);
            buffer_fini(&input);
            buffer_fini(&want);
        }
}

static void test_attack_19_sizes_of_chunks(void **state)
{
    static const char *const refused[] = {
        "9223372036854775808",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "340282366920938463463374607431768211456",
        "1099511627777",
        "-1",
        "+1",
        "0x10",
        "1e3",
        "",
        "LAST",
        "1 FIRST",
        "1 LAST LAST",
        "1,000",
        " 1",
        "99999999999999999999999999999999999999999999999999999999999999999999999999999",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        struct buffer input = BUFFER_EMPTY;
        buffer_printf(&input, UP_TO_RCPT "BDAT %s\r\nQUIT\r\n", refused[i]);
        play_expect(&play_config, refused[i], buffer_bytes(&input),
                    READY "501 5.5.4 Syntax: BDAT size [LAST]\r\n<close>");
        buffer_fini(&input);
    }
    play_expect(&play_config, "control characters",
                BYTES(UP_TO_RCPT "BDAT\t1\r\nBDAT 1\x01\r\n"),
                READY "500 5.5.2 Control characters are not allowed\r\n"
                      "501 5.5.4 Syntax: BDAT size [LAST]\r\n<close>");
    play_expect(&play_config, "no LAST", BYTES(UP_TO_RCPT "BDAT 2\r\n\r\nDATA\r\nRSET\r\n"),
                READY "250 2.0.0 Chunk OK\r\n503 5.5.1 BDAT has begun a message\r\n"
                      "<abort 451>" NOOP_OK);
    play_expect(&play_config, "no LAST, and a message",
                BYTES(UP_TO_RCPT "BDAT 2\r\n\r\nDATA\r\n.\r\nRSET\r\n"),
                READY "250 2.0.0 Chunk OK\r\n503 5.5.1 BDAT has begun a message\r\n"
                      "<abort 554>554 5.5.0 Wait for 354 before you send a message\r\n"
                      "<close>");
    play_expect(
        &play_config, "BDAT 0 without end",
        BYTES(UP_TO_RCPT "BDAT 0\r\nBDAT 0\r\nBDAT 0\r\nBDAT 0 LAST\r\nBDAT 0 LAST\r\n"),
        READY "250 2.0.0 Chunk OK\r\n250 2.0.0 Chunk OK\r\n250 2.0.0 Chunk OK\r\n<body 0:>"
              "250 2.0.0 OK id=T1\r\n503 5.5.1 Send MAIL first\r\n");
}

/* A command whose bytes nobody can count ends the connection, however long it is. */
static void test_attack_19_endless_command(void **state)
{
    static const size_t sizes[] = {513, 2048, 2049, 70000};

    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buffer input = BUFFER_EMPTY;
        buffer_add_string(&input, UP_TO_RCPT "bdat 4 LAST");
        for (size_t n = 0; n < sizes[i]; n++)
            buffer_add_byte(&input, ' ');
        buffer_add_string(&input, "\r\nQUIT\r\n");
        play_expect(&play_config, "endless", buffer_bytes(&input),
                    READY "501 5.5.4 Syntax: BDAT size [LAST]\r\n<close>");
        buffer_fini(&input);
    }
}

/* Nothing of a chunk that is far too large is kept, and the session goes on behind it. */
static void test_attack_19_large_chunk_is_not_kept(void **state)
{
    enum { SIZE = 10 * 1000 * 1000, PIECE = 1000 };
    uint8_t piece[PIECE];
    struct play play;

    (void)state;
    memset(piece, 'x', sizeof(piece));
    play_init(&play, &play_config, PLAY_AT_ONCE);
    play_feed(&play, BYTES(UP_TO_RCPT "BDAT 10000000 LAST\r\n"));
    for (size_t sent = 0; sent < SIZE; sent += sizeof(piece)) {
        play_feed(&play, bytes_from(piece, sizeof(piece)));
        assert_int_equal(buffer_len(&play.body), 0);
    }
    play_feed(&play, BYTES("NOOP\r\n"));
    assert_string_equal(
        play_take(&play),
        READY "<abort 552>552 5.3.4 Message is larger than SIZE allows id=T1\r\n" NOOP_OK);
    play_fini(&play);
}

/* A million chunks of one byte cost a million times the same. */
static void test_attack_19_chunks_of_one_byte(void **state)
{
    enum { COUNT = 1000 * 1000, BATCH = 1000 };
    struct smtp_config config = play_config;
    struct buffer input = BUFFER_EMPTY;
    struct play play;

    (void)state;
    config.message_size_max = COUNT;
    config.data_line_size_max = COUNT + 2;
    for (unsigned i = 0; i < BATCH; i++)
        buffer_add_string(&input, "BDAT 1\r\nx");
    play_init(&play, &config, PLAY_AT_ONCE);
    play_feed(&play, BYTES(UP_TO_RCPT "BDAT 2\r\n\r\n"));
    for (unsigned sent = 0; sent < COUNT - 4; sent += BATCH) {
        size_t left = COUNT - 4 - sent < BATCH ? COUNT - 4 - sent : BATCH;
        play_feed(&play, bytes_from(buffer_bytes(&input).at, left * 9));
        play_take(&play);
    }
    play_feed(&play, BYTES("BDAT 0 LAST\r\n"));
    assert_int_equal(play.begins, 1);
    assert_int_equal(play.commits, 1);
    assert_int_equal(buffer_len(&play.body), COUNT);
    buffer_fini(&input);
    play_fini(&play);
}

/* TLS ends in the middle of a chunk, and its connection with it: at whatever byte, and whatever
 * the driver still answers. */
static void test_attack_20_connection_ends_within_a_chunk(void **state)
{
    static const struct smtp_connection with_tls = {.tls = true};
    static const char input[] =
        UP_TO_RCPT "BDAT 6\r\nA: b\r\nBDAT 8 LAST\r\n\r\nhello!NOOP\r\n";

    (void)state;
    for (size_t cut = 0; cut < sizeof(input); cut++)
        for (unsigned answers = 0; answers < 2; answers++) {
            struct play play;
            play_init_connection(&play, &play_config, &with_tls,
                                 answers ? PLAY_LATE : PLAY_AT_ONCE);
            play_feed(&play, bytes_from(input, cut));
            bool in_message = smtp_session_in_message(play.session);
            smtp_session_time_out(play.session);
            play_drain(&play);
            assert_true(play.closed);
            assert_int_equal(smtp_session_feed(play.session, BYTES("x")), 0);
            const char *seen = play_take(&play);
            assert_int_equal(in_message && play.commits == 0,
                             strstr(seen, "<abort 421>") != NULL);
            play_fini(&play);
        }
}

static void message_of(struct buffer *input, const char *header, size_t line_len)
{
    buffer_add_string(input, UP_TO_DATA);
    buffer_add_string(input, header);
    for (size_t i = 0; i < line_len; i++)
        buffer_add_byte(input, 'x');
    buffer_add(input, BYTES("\r\n.\r\nNOOP\r\n"));
}

static void test_attack_11_long_data_lines(void **state)
{
    static const size_t refused[] = {99, 100, 398};
    struct buffer input = BUFFER_EMPTY;

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        message_of(&input, "", refused[i]);
        play_expect(
            &play_config, "long line", buffer_bytes(&input),
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

static void test_attack_21_declared_sizes(void **state)
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
    play_expect(&play_config, "a negative size",
                BYTES("EHLO\r\nHELO a\r\nMAIL FROM:<> SIZE=-1\r\n"),
                "220 mx.test ESMTP\r\n501 5.5.4 Give one domain or address literal\r\n"
                "250 mx.test\r\n555 5.5.4 Parameter is not known\r\n");
}

/* The limit is 400: it counts dots unstuffed and CRLF, not the final dot. */
static void test_attack_21_message_sizes(void **state)
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

static void test_attack_12_header_limits(void **state)
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

static void test_attack_18_received_loop(void **state)
{
    (void)state;
    expect_header("Received: a\r\n\tb\r\n", SMTP_RECEIVED_MAX, ">250 2.0.0 OK");
    expect_header("rEcEiVeD:a\r\n", SMTP_RECEIVED_MAX + 1,
                  "<abort 554>554 5.4.6 Message has passed too many hosts");
    expect_header("Received: a\r\n", 10 * 1000, "<abort 554>554 5.4.6");
    expect_header("Received-SPF: pass\r\n X\r\n", 60, ">250 2.0.0 OK");
}

static void test_attack_12_one_large_field(void **state)
{
    enum { SIZE = 10 * 1000 * 1000 };
    struct smtp_config config = play_config;
    struct buffer input = BUFFER_EMPTY;
    struct play play;

    (void)state;
    config.message_size_max = 2 * SIZE;
    config.data_line_size_max = SMTP_DATA_LINE_SIZE_MAX;
    buffer_add_string(&input, UP_TO_DATA "To: a@a.test");
    while (buffer_len(&input) < SIZE)
        buffer_add_string(&input, ",\r\n name@very-long-domain-name.test");
    buffer_add_string(&input, "\r\n\r\nbody\r\n.\r\nNOOP\r\n");
    play_init(&play, &config, PLAY_AT_ONCE);
    play_feed(&play, buffer_bytes(&input));
    assert_non_null(strstr(play_take(&play), "<abort 554>554 5.6.0 Message header has too many "
                                             "lines id=T1\r\n" NOOP_OK));
    assert_true(buffer_len(&play.body) <= SMTP_HEADER_SIZE_MAX);
    buffer_fini(&input);
    play_fini(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attack_01_smuggling_sequences),
        cmocka_unit_test(test_attack_02_smuggling_in_submission),
        cmocka_unit_test(test_attack_03_dots_and_line_ends_in_chunks),
        cmocka_unit_test(test_attack_19_sizes_of_chunks),
        cmocka_unit_test(test_attack_19_endless_command),
        cmocka_unit_test(test_attack_19_large_chunk_is_not_kept),
        cmocka_unit_test(test_attack_19_chunks_of_one_byte),
        cmocka_unit_test(test_attack_20_connection_ends_within_a_chunk),
        cmocka_unit_test(test_attack_11_long_data_lines),
        cmocka_unit_test(test_attack_21_declared_sizes),
        cmocka_unit_test(test_attack_21_message_sizes),
        cmocka_unit_test(test_attack_12_header_limits),
        cmocka_unit_test(test_attack_18_received_loop),
        cmocka_unit_test(test_attack_12_one_large_field),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
