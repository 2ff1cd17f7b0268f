/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/protocol/limits.h"
#include "unit/smtp/play.h"

/* BDAT and BINARYMIME (RFC 3030). */
#define UP_TO_RCPT "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\n"
#define RCPT_OK "250 2.1.5 Recipient OK\r\n"
#define MAIL_OK "250 2.1.0 Sender OK\r\n"
#define READY PLAY_HELLO MAIL_OK RCPT_OK
#define OK "250 2.0.0 OK\r\n"
#define CHUNK_OK "250 2.0.0 Chunk OK\r\n"
#define ACCEPTED "250 2.0.0 OK id=T1\r\n"
#define TOO_LARGE "552 5.3.4 Message is larger than SIZE allows id=T1\r\n"
#define FAILED "503 5.5.1 The message has failed, send RSET\r\n"
#define MAIL_FIRST "503 5.5.1 Send MAIL first\r\n"
#define FIFTY "0123456789012345678901234567890123456789012345678\n"

static const struct conversation {
    const char *name;
    struct bytes input;
    const char *want;
} conversations[] = {
    {"one chunk", BYTES_INIT(UP_TO_RCPT "BDAT 12 LAST\r\nA: b\r\n\r\nhi\r\nNOOP\r\n"),
     READY "<body 12:A: b\r\n\r\nhi\r\n>" ACCEPTED OK},
    {"three chunks, cut within a line end",
     BYTES_INIT(UP_TO_RCPT
                "BDAT 5\r\nA: b\rBDAT 0\r\nbdat 2\r\n\nxBDAT 3 last\r\nyz\nNOOP\r\n"),
     READY CHUNK_OK CHUNK_OK CHUNK_OK
     "<abort 550>550 5.6.0 Message has a bare LF; lines end with CR LF id=T1\r\n" OK},
    {"chunks cut within a line end",
     BYTES_INIT(UP_TO_RCPT "BDAT 5\r\nA: b\rBDAT 2\r\n\nxBDAT 3 LAST\r\ny\r\nNOOP\r\n"),
     READY CHUNK_OK CHUNK_OK "<body 10:A: b\r\nxy\r\n>" ACCEPTED OK},
    {"BDAT 0 LAST ends a message",
     BYTES_INIT(UP_TO_RCPT "BDAT 6\r\nA: b\r\nBDAT 0 LAST\r\nQUIT\r\n"),
     READY CHUNK_OK "<body 6:A: b\r\n>" ACCEPTED "221 2.0.0 Bye\r\n<close>"},
    {"an empty message", BYTES_INIT(UP_TO_RCPT "BDAT 0 LAST\r\n"), READY "<body 0:>" ACCEPTED},
    {"a last line without its end gets one",
     BYTES_INIT(UP_TO_RCPT "BDAT 10\r\nA: b\r\n\r\nhiBDAT 3 LAST\r\nxyzNOOP\r\n"),
     READY CHUNK_OK "<body 15:A: b\r\n\r\nhixyz\r\n>" ACCEPTED OK},
    {"dots mean nothing",
     BYTES_INIT(UP_TO_RCPT "BDAT 16 LAST\r\nA: b\r\n.\r\n..x\r\n\r\nNOOP\r\n"),
     READY "<body 16:A: b\r\n.\r\n..x\r\n\r\n>" ACCEPTED OK},
    {"two messages, one in chunks",
     BYTES_INIT(UP_TO_RCPT "BDAT 6 LAST\r\nA: 1\r\nMAIL FROM:<>\r\nRCPT TO:<z@here.test>\r\n"
                           "DATA\r\nB: 2\r\n.\r\n"),
     READY "<body 6:A: 1\r\n>" ACCEPTED MAIL_OK RCPT_OK
           "354 End data with <CR><LF>.<CR><LF>\r\n<body 6:B: 2\r\n>250 2.0.0 OK id=T2\r\n"},
    {"commands within a message of chunks",
     BYTES_INIT(UP_TO_RCPT "BDAT 4\r\nA: bNOOP\r\nDATA\r\nRCPT TO:<z@here.test>\r\n"
                           "MAIL FROM:<>\r\nBDAT 2 LAST\r\n\r\n"),
     READY CHUNK_OK OK
     "503 5.5.1 BDAT has begun a message\r\n503 5.5.1 BDAT has begun a message\r\n"
     "503 5.5.1 BDAT has begun a message\r\n<body 6:A: b\r\n>" ACCEPTED},
    {"RSET between chunks",
     BYTES_INIT(UP_TO_RCPT "BDAT 4\r\nA: bRSET\r\nBDAT 2 LAST\r\n\r\nMAIL FROM:<>\r\n"),
     READY CHUNK_OK "<abort 451>" OK MAIL_FIRST MAIL_OK},
    {"EHLO between chunks", BYTES_INIT(UP_TO_RCPT "BDAT 4\r\nA: bEHLO a\r\nMAIL FROM:<>\r\n"),
     READY CHUNK_OK "<abort 451>" PLAY_EHLO("250-STARTTLS\r\n") MAIL_OK},
    {"QUIT between chunks", BYTES_INIT(UP_TO_RCPT "BDAT 4\r\nA: bQUIT\r\n"),
     READY CHUNK_OK "<abort 451>221 2.0.0 Bye\r\n<close>"},
    {"chunks before their time",
     BYTES_INIT("BDAT 6 LAST\r\nQUIT\r\nEHLO a\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<>\r\n"
                "BDAT 6 LAST\r\nQUIT\r\nNOOP\r\n"),
     PLAY_HI "503 5.5.1 Send EHLO first\r\n" PLAY_EHLO("250-STARTTLS\r\n") MAIL_FIRST MAIL_OK
     "503 5.5.1 Send RCPT first\r\n" OK},
    {"no recipient: pipelined chunks are thrown away, and are one error",
     BYTES_INIT("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<no@here.test>\r\nBDAT 6\r\nQUIT\r\n"
                "BDAT 6\r\nQUIT\r\nBDAT 6\r\nQUIT\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n"
                "RSET\r\n"),
     PLAY_HELLO MAIL_OK
     "550 5.1.1 No such user here\r\n554 5.5.1 No valid recipients\r\n" FAILED FAILED FAILED
         FAILED OK},
    {"a chunk over SIZE is read to its end",
     BYTES_INIT(UP_TO_RCPT "BDAT 401 LAST\r\n" FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY
                           "xNOOP\r\n"),
     READY "<abort 552>" TOO_LARGE OK},
    {"chunks over SIZE in all",
     BYTES_INIT(UP_TO_RCPT
                "BDAT 6\r\nA: b\r\nBDAT 399\r\n" FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY
                "0123456789012345678901234567890123456789012345678"
                "BDAT 2 LAST\r\nxxRSET\r\n"),
     READY CHUNK_OK "<abort 552>" TOO_LARGE FAILED OK},
    {"what is not binary is refused",
     BYTES_INIT(UP_TO_RCPT "BDAT 9\r\nA: b\r\nx\0yBDAT 2 LAST\r\nxxNOOP\r\n"),
     READY "<abort 550>550 5.6.0 Message has a NUL byte id=T1\r\n" FAILED OK},
    {"a CR at the very end", BYTES_INIT(UP_TO_RCPT "BDAT 7 LAST\r\nA: b\r\n\rNOOP\r\n"),
     READY "<abort 550>550 5.6.0 Message has a bare CR; lines end with CR LF id=T1\r\n" OK},
    {"BODY=BINARYMIME is not offered", BYTES_INIT("EHLO a\r\nMAIL FROM:<> BODY=BINARYMIME\r\n"),
     PLAY_HELLO "501 5.5.4 Parameter is malformed\r\n"},
    {"a line that is too long",
     BYTES_INIT(UP_TO_RCPT
                "BDAT 100 LAST\r\n"
                "0123456789012345678901234567890123456789012345678901234567890123456789"
                "012345678901234567890123456789NOOP\r\n"),
     READY "<abort 550>550 5.6.0 Message has a line that is too long id=T1\r\n" OK},
    {"a mailbox refused leaves chunks to the others",
     BYTES_INIT("EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<no@here.test>\r\nRCPT TO:<y@here.test>\r\n"
                "BDAT 6 LAST\r\nA: b\r\n"),
     PLAY_HELLO MAIL_OK "550 5.1.1 No such user here\r\n" RCPT_OK "<body 6:A: b\r\n>" ACCEPTED},
};

static void test_conversations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++)
        play_expect(&play_config, conversations[i].name, conversations[i].input,
                    conversations[i].want);
}

/* ---- BINARYMIME ---- */

#define BINARY_EHLO                                                                            \
    "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n250-STARTTLS\r\n"                        \
    "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"
#define UP_TO_BINARY "EHLO a\r\nMAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<y@here.test>\r\n"
#define BINARY_READY PLAY_HI BINARY_EHLO MAIL_OK RCPT_OK

static void test_binary_conversations(void **state)
{
    static const struct conversation cases[] = {
        {"anything behind the header, as it is",
         BYTES_INIT(UP_TO_BINARY "BDAT 13 LAST\r\nA: b\r\n\r\n\nx\ry\rNOOP\r\n"),
         BINARY_READY "<body 13:A: b\r\n\r\n\nx\ry\r>" ACCEPTED OK},
        {"but not in it",
         BYTES_INIT(UP_TO_BINARY "BDAT 14 LAST\r\nA: b\r\nB:\nx\r\n\r\nNOOP\r\n"),
         BINARY_READY
         "<abort 550>550 5.6.0 Message has a bare LF; lines end with CR LF id=T1\r\n" OK},
        {"a header alone gets its line end",
         BYTES_INIT(UP_TO_BINARY "BDAT 2\r\nA:BDAT 2 LAST\r\n bNOOP\r\n"),
         BINARY_READY CHUNK_OK "<body 6:A: b\r\n>" ACCEPTED OK},
        {"not with DATA", BYTES_INIT(UP_TO_BINARY "DATA\r\nBDAT 2 LAST\r\n\r\n"),
         BINARY_READY "503 5.5.1 A binary message needs BDAT\r\n<body 2:\r\n>" ACCEPTED},
        {"SIZE holds",
         BYTES_INIT(UP_TO_BINARY
                    "BDAT 2\r\n\r\nBDAT 399 LAST\r\n" FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY FIFTY
                    "0123456789012345678901234567890123456789012345678NOOP\r\n"),
         BINARY_READY CHUNK_OK "<abort 552>" TOO_LARGE OK},
    };
    struct smtp_config config = play_config;

    (void)state;
    config.binarymime = true;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        play_expect(&config, cases[i].name, cases[i].input, cases[i].want);
}

static void test_binary_bytes_are_kept(void **state)
{
    struct smtp_config config = play_config;
    struct play play;

    (void)state;
    config.binarymime = true;
    play_init(&play, &config, PLAY_AT_ONCE);
    play_feed(&play, BYTES(UP_TO_BINARY));
    assert_true(smtp_session_envelope(play.session)->body_binary);
    play_feed(&play, BYTES("BDAT 12 LAST\r\n\r\n\0\n.\n\0\xff\r.\r\nNOOP\r\n"));
    assert_int_equal(play.commits, 1);
    assert_true(bytes_equal(buffer_bytes(&play.body), BYTES("\r\n\0\n.\n\0\xff\r.\r\n")));
    play_fini(&play);
}

/* ---- sizes ---- */

static void test_begin_refused_discards_the_chunk(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, &play_config, PLAY_LATE);
    play.begin = ERR_BUSY;
    play_feed(&play,
              BYTES(UP_TO_RCPT "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<>\r\n"));
    assert_string_equal(
        play_take(&play),
        READY "452 4.3.1 No room for the message now, try again id=T1\r\n" FAILED MAIL_OK);
    play_fini(&play);
}

/* While the answer to BEGIN is out, the bytes wait where they are. */
static void test_nothing_is_kept_of_a_chunk_before_begin(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, &play_config, PLAY_LATE);
    play_feed(&play, BYTES(UP_TO_RCPT));
    assert_int_equal(smtp_session_feed(play.session, BYTES("BDAT 6 LAST\r\nA: b\r\n")), 13);
    play_drain(&play);
    assert_int_equal(smtp_session_feed(play.session, BYTES("A: b\r\n")), 0);
    assert_true(smtp_session_waiting(play.session));
    assert_true(smtp_session_in_message(play.session));
    play_answer(&play, 0);
    assert_int_equal(smtp_session_feed(play.session, BYTES("A: b\r\n")), 6);
    play_fini(&play);
}

static void test_time_out_and_end_between_chunks(void **state)
{
    struct play play;

    (void)state;
    play_init(&play, &play_config, PLAY_AT_ONCE);
    play_feed(&play, BYTES(UP_TO_RCPT "BDAT 4\r\nA: b"));
    play_take(&play);
    assert_true(smtp_session_in_message(play.session));
    smtp_session_time_out(play.session);
    play_drain(&play);
    assert_string_equal(play_take(&play), "<abort 421>421 4.4.2 Waited too long\r\n<close>");
    play_fini(&play);

    play_init(&play, &play_config, PLAY_AT_ONCE);
    play_feed(&play, BYTES(UP_TO_RCPT "BDAT 4\r\nA: b"));
    play_take(&play);
    smtp_session_go_down(play.session);
    play_feed(&play, BYTES("BDAT 2 LAST\r\n\r\nNOOP\r\n"));
    assert_string_equal(play_take(&play),
                        "<body 6:A: b\r\n>" ACCEPTED
                        "421 4.3.2 Service is going down, try again\r\n<close>");
    play_fini(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_binary_conversations),
        cmocka_unit_test(test_binary_bytes_are_kept),
        cmocka_unit_test(test_begin_refused_discards_the_chunk),
        cmocka_unit_test(test_nothing_is_kept_of_a_chunk_before_begin),
        cmocka_unit_test(test_time_out_and_end_between_chunks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
