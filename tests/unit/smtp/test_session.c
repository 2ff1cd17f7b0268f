/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "smtp/protocol/limits.h"
#include "unit/smtp/play.h"

#define HI PLAY_HI
#define EHLO_REPLY PLAY_EHLO
#define HELLO PLAY_HELLO
#define MAIL_OK "250 2.1.0 Sender OK\r\n"
#define RCPT_OK "250 2.1.5 Recipient OK\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define OK "250 2.0.0 OK\r\n"
#define BYE "221 2.0.0 Bye\r\n<close>"
#define UP_TO_DATA "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"
#define UP_TO_GO HELLO MAIL_OK RCPT_OK GO

static const struct conversation {
    const char *name;
    const char *input;
    const char *want;
} conversations[] = {
    {"one message", UP_TO_DATA "A: b\r\n\r\nhi\r\n..dot\r\n.\r\nQUIT\r\n",
     UP_TO_GO "<body 18:A: b\r\n\r\nhi\r\n.dot\r\n>250 2.0.0 OK id=T1\r\n" BYE},
    {"two messages, pipelined",
     UP_TO_DATA
     "A: 1\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<z@here.test>\r\nDATA\r\nB: 2\r\n.\r\nQUIT\r\n",
     UP_TO_GO "<body 6:A: 1\r\n>250 2.0.0 OK id=T1\r\n" MAIL_OK RCPT_OK GO
              "<body 6:B: 2\r\n>250 2.0.0 OK id=T2\r\n" BYE},
    {"an empty message", UP_TO_DATA ".\r\n", UP_TO_GO "<body 0:>250 2.0.0 OK id=T1\r\n"},
    {"replies keep the order of RCPT",
     "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<nobody@here.test>\r\nRCPT TO:<y@here.test>\r\n"
     "RCPT TO:<x@else.test>\r\nRCPT TO:<bad\r\nRCPT TO:<down@here.test>\r\n"
     "RCPT TO:<Z@HERE.test>\r\nDATA\r\nA: b\r\n.\r\n",
     HELLO MAIL_OK "550 5.1.1 No such user here\r\n" RCPT_OK "550 5.7.1 Relaying denied\r\n"
                   "553 5.1.3 Recipient address is malformed\r\n"
                   "451 4.4.3 Recipient cannot be looked up now\r\n" RCPT_OK GO
                   "<body 6:A: b\r\n>250 2.0.0 OK id=T1\r\n"},
    {"full mailboxes",
     "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<full@here.test>\r\nRCPT TO:<y@here.test>\r\n"
     "RCPT TO:<over@here.test>\r\nDATA\r\nA: b\r\n.\r\n",
     HELLO MAIL_OK "452 4.2.2 Mailbox is full, try again later\r\n" RCPT_OK
                   "552 5.2.2 Mailbox is full\r\n" GO
                   "<body 6:A: b\r\n>250 2.0.0 OK id=T1\r\n"},
    {"too many recipients",
     "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<u1@here.test>\r\nRCPT TO:<no@here.test>\r\n"
     "RCPT TO:<u2@here.test>\r\nRCPT TO:<u3@here.test>\r\nRCPT TO:<u4@here.test>\r\n"
     "RCPT TO:<u5@here.test>\r\nRSET\r\n",
     HELLO MAIL_OK RCPT_OK
     "550 5.1.1 No such user here\r\n" RCPT_OK RCPT_OK
     "452 4.5.3 Too many recipients\r\n452 4.5.3 Too many recipients\r\n" OK},
    {"no command out of its turn",
     "MAIL FROM:<x@a.test>\r\nEHLO a\r\nRCPT TO:<y@here.test>\r\nDATA\r\n"
     "MAIL FROM:<x@a.test>\r\nMAIL FROM:<x@a.test>\r\n",
     HI "503 5.5.1 Send EHLO first\r\n" EHLO_REPLY(
         "250-STARTTLS\r\n") "503 5.5.1 Send MAIL first\r\n503 5.5.1 Send MAIL "
                             "first\r\n" MAIL_OK "503 5.5.1 Not within a mail transaction\r\n"},
    {"data without recipients", "EHLO a\r\nMAIL FROM:<x@a.test>\r\nDATA\r\nQUIT\r\n",
     HELLO MAIL_OK "503 5.5.1 Send RCPT first\r\n" BYE},
    {"data when all recipients were refused",
     "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<no@here.test>\r\nDATA\r\n",
     HELLO MAIL_OK "550 5.1.1 No such user here\r\n554 5.5.1 No valid recipients\r\n"},
    {"rset forgets the transaction",
     "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nRSET\r\nDATA\r\n",
     HELLO MAIL_OK RCPT_OK OK "503 5.5.1 Send MAIL first\r\n"},
    {"ehlo forgets the transaction",
     "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nEHLO b\r\nDATA\r\n",
     HELLO MAIL_OK RCPT_OK EHLO_REPLY("250-STARTTLS\r\n") "503 5.5.1 Send MAIL first\r\n"},
    {"helo", "HELO [192.0.2.1]\r\nmail from:<x@a.test>\r\nMAIL FROM:<x@a.test> SIZE=1\r\n",
     HI "250 mx.test\r\n" MAIL_OK "503 5.5.1 Not within a mail transaction\r\n"},
    {"helo has no parameters", "HELO a\r\nMAIL FROM:<x@a.test> SIZE=1\r\n",
     HI "250 mx.test\r\n555 5.5.4 Parameter is not known\r\n"},
    {"small commands",
     "NOOP\r\nNOOP a b\r\nVRFY x\r\nHELP\r\nRSET\r\nVRFY\r\nQUIT x\r\nQUIT\r\n",
     HI OK OK "252 2.5.0 Cannot verify, but will take mail and try to deliver it\r\n"
              "214 2.0.0 See RFC 5321\r\n" OK
              "501 5.5.4 Give a name\r\n501 5.5.4 No arguments are allowed\r\n" BYE},
    {"postmaster needs no domain",
     "EHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<Postmaster>\r\nRCPT TO:<root>\r\n",
     HELLO MAIL_OK RCPT_OK "553 5.1.3 Recipient address is malformed\r\n"},
    {"parameters of MAIL",
     "EHLO a\r\nMAIL FROM:<x@a.test> SIZE=399 BODY=8BITMIME\r\nRSET\r\n"
     "MAIL FROM: <x@a.test>  body=7bit\r\nRSET\r\nMAIL FROM:<> SIZE=400\r\nRSET\r\n",
     HELLO MAIL_OK OK MAIL_OK OK MAIL_OK OK},
    {"wrong parameters of MAIL",
     "EHLO a\r\nMAIL FROM:<x@a.test> SIZE=\r\nMAIL FROM:<x@a.test> BODY=BINARYMIME\r\n"
     "MAIL FROM:<x@a.test> FOO=1\r\nMAIL FROM:<x@a.test> SIZE=1 SIZE=1\r\nDATA\r\n",
     HELLO "501 5.5.4 Parameter is malformed\r\n501 5.5.4 Parameter is malformed\r\n"
           "555 5.5.4 Parameter is not known\r\n501 5.5.4 Parameter is malformed\r\n"
           "503 5.5.1 Send MAIL first\r\n421 4.7.0 Too many errors\r\n<close>"},
    {"wrong addresses",
     "EHLO a\r\nMAIL FROM:x@a.test\r\nMAIL TO:<x@a.test>\r\nMAIL FROM:<x@a.test>x\r\n"
     "MAIL FROM:<x@a..test>\r\nQUIT\r\n",
     HELLO
     "553 5.1.7 Sender address is malformed\r\n501 5.5.4 Syntax: MAIL FROM:<address>\r\n"
     "501 5.5.4 Syntax: MAIL FROM:<address>\r\n553 5.1.7 Sender address is malformed\r\n" BYE},
    {"parameters of RCPT", "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<y@here.test> NOTIFY=NEVER\r\n",
     HELLO MAIL_OK "555 5.5.4 Parameter is not known\r\n"},
    {"starttls forgets everything",
     "EHLO a\r\nSTARTTLS\r\nMAIL FROM:<>\r\nEHLO a\r\nSTARTTLS\r\nQUIT\r\n",
     HELLO "220 2.0.0 Ready to start TLS\r\n<tls>503 5.5.1 Send EHLO first\r\n" EHLO_REPLY(
         "") "503 5.5.1 TLS is active already\r\n" BYE},
    {"starttls in its place",
     "STARTTLS\r\nEHLO a\r\nSTARTTLS x\r\nMAIL FROM:<>\r\nSTARTTLS\r\n",
     HI "503 5.5.1 Send EHLO first\r\n" EHLO_REPLY(
         "250-STARTTLS\r\n") "501 5.5.4 No arguments are allowed\r\n" MAIL_OK
                             "503 5.5.1 Not within a mail transaction\r\n"},
    {"errors are counted", "A\r\nB\r\nC\r\nNOOP\r\nD\r\nE\r\nNOOP\r\n",
     HI "500 5.5.2 Unknown command\r\n500 5.5.2 Unknown command\r\n"
        "500 5.5.2 Unknown command\r\n" OK "500 5.5.2 Unknown command\r\n"
        "500 5.5.2 Unknown command\r\n421 4.7.0 Too many errors\r\n<close>"},
    {"a message makes up for errors",
     "A\r\nB\r\nC\r\n" UP_TO_DATA ".\r\nA\r\nB\r\nC\r\nD\r\nNOOP\r\n",
     HI "500 5.5.2 Unknown command\r\n500 5.5.2 Unknown command\r\n"
        "500 5.5.2 Unknown command\r\n" EHLO_REPLY("250-STARTTLS\r\n") MAIL_OK RCPT_OK GO
     "<body 0:>250 2.0.0 OK id=T1\r\n"
     "500 5.5.2 Unknown command\r\n500 5.5.2 Unknown command\r\n"
     "500 5.5.2 Unknown command\r\n500 5.5.2 Unknown command\r\n" OK},
    {"errors between look-ups end the session in their turn",
     "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@here.test>\r\nRCPT TO:<y@here.test>\r\n"
     "RCPT TO:<b@b.test>\r\nRCPT TO:<b\r\nFOO\r\nRCPT TO:<c@here.test>\r\nRCPT "
     "TO:<z@here.test>\r\n",
     HELLO MAIL_OK "550 5.1.1 No such user here\r\n" RCPT_OK "550 5.7.1 Relaying denied\r\n"
                   "553 5.1.3 Recipient address is malformed\r\n500 5.5.2 Unknown command\r\n"
                   "550 5.1.1 No such user here\r\n421 4.7.0 Too many errors\r\n<close>"},
};

static void test_conversations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++)
        play_expect(&play_config, conversations[i].name, bytes_of(conversations[i].input),
                    conversations[i].want);
}

static void test_lookups_go_out_together(void **state)
{
    (void)state;
    struct smtp_config config = play_config;
    struct play play;

    config.recipients_max = 1000;
    play_init(&play, &config, PLAY_LATE);
    play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<>\r\n"));
    for (unsigned i = 0; i < 100; i++) {
        char line[64];
        int len = snprintf(line, sizeof(line), "RCPT TO:<u%u@here.test>\r\n", i);
        size_t used = smtp_session_feed(play.session, bytes_from(line, (size_t)len));
        play_drain(&play);
        if (used == 0)
            break;
    }
    assert_int_equal(play.outstanding_count, SMTP_LOOKUPS_MAX);
    assert_true(smtp_session_waiting(play.session));
    play_feed(&play, BYTES(""));
    assert_false(smtp_session_waiting(play.session));
    assert_int_equal(smtp_session_envelope(play.session)->recipient_count,
                     SMTP_LOOKUPS_MAX + 1);
    for (unsigned i = 0; i < SMTP_LOOKUPS_MAX; i++)
        assert_int_equal(smtp_session_envelope(play.session)->recipients[i].account_id,
                         100 + i);
    play_fini(&play);
}

static void test_envelope(void **state)
{
    (void)state;
    struct play play;

    play_init(&play, &play_config, PLAY_LATE);
    play_feed(&play, BYTES("EHLO [IPv6:2001:db8::1]\r\n"
                           "MAIL FROM:<\"a b\"@A.test> SIZE=7 BODY=8BITMIME\r\n"
                           "RCPT TO:<Y@Here.test>\r\nRCPT TO:<z@here.test>\r\n"));
    size_t used = smtp_session_feed(play.session, BYTES("DATA\r\n"));
    assert_int_equal(used, 6);
    const struct smtp_envelope *envelope = smtp_session_envelope(play.session);
    assert_true(bytes_equal(envelope->helo, BYTES("[IPv6:2001:db8::1]")));
    assert_true(bytes_equal(envelope->sender, BYTES("\"a b\"@a.test")));
    assert_true(envelope->extended && envelope->body_8bit && !envelope->tls);
    assert_int_equal(envelope->size, 7);
    assert_int_equal(envelope->recipient_count, 2);
    assert_true(bytes_equal(envelope->recipients[0].address, BYTES("y@here.test")));
    assert_true(bytes_equal(envelope->recipients[0].path, BYTES("Y@here.test")));
    assert_int_equal(envelope->recipients[0].account_id, 1);
    assert_int_equal(envelope->recipients[1].account_id, 2);
    play_fini(&play);
}

static void expect_message_reply(enum err commit, const char *want)
{
    struct play play;

    play_init(&play, &play_config, PLAY_LATE);
    play.commit = commit;
    play_feed(&play, BYTES(UP_TO_DATA));
    play_take(&play);
    play_feed(&play, BYTES("A: b\r\n.\r\n"));
    assert_int_equal(play.commits, 1);
    assert_non_null(strstr(play_take(&play), want));
    play_feed(&play, BYTES("NOOP\r\n"));
    assert_string_equal(play_take(&play), OK);
    play_fini(&play);
}

static void test_outcomes_of_commit(void **state)
{
    (void)state;
    expect_message_reply(ERR_OK, ">250 2.0.0 OK id=T1\r\n");
    expect_message_reply(ERR_UNAVAILABLE, ">451 4.3.2 Cannot promise");
    expect_message_reply(ERR_TIMEOUT, ">451 4.3.2 Cannot promise");
    expect_message_reply(ERR_CLOSED, ">451 4.3.2 Cannot promise");
    expect_message_reply(ERR_FULL, ">452 4.3.1 No room");
    expect_message_reply(ERR_BUSY, ">452 4.3.1 No room");
    expect_message_reply(ERR_QUOTA, ">452 4.2.2 Mailbox of a recipient");
    expect_message_reply(ERR_NOTFOUND, ">451 4.3.0 Message was not taken");
    expect_message_reply(ERR_IO, ">451 4.3.0 Message was not taken");
}

/* Neither 250 nor 451 would be true. */
static void test_unknown_outcome_closes_without_a_reply(void **state)
{
    (void)state;
    struct play play;

    play_init(&play, &play_config, PLAY_LATE);
    play.commit = ERR_UNKNOWN;
    play_feed(&play, BYTES(UP_TO_DATA));
    play_take(&play);
    play_feed(&play, BYTES("A: b\r\n.\r\n"));
    assert_int_equal(play.commits, 1);
    const char *seen = play_take(&play);
    assert_null(strstr(seen, ">2"));
    assert_null(strstr(seen, ">4"));
    assert_null(strstr(seen, ">5"));
    assert_true(play.closed);
    play_feed(&play, BYTES("NOOP\r\n"));
    assert_string_equal(play_take(&play), "");
    play_fini(&play);
}

static void test_begin_refused(void **state)
{
    (void)state;
    struct play play;

    play_init(&play, &play_config, PLAY_LATE);
    play.begin = ERR_BUSY;
    play_feed(&play, BYTES(UP_TO_DATA "MAIL FROM:<>\r\n"));
    assert_string_equal(play_take(&play), HELLO MAIL_OK RCPT_OK
                        "452 4.3.1 No room for the message now, try again id=T1\r\n" MAIL_OK);
    assert_int_equal(play.commits, 0);
    play_fini(&play);
}

/* The promise of the interface: nothing but committed() leads to 250, and once. */
static void test_nothing_is_consumed_while_a_commit_is_outstanding(void **state)
{
    (void)state;
    struct play play;
    struct smtp_action action;

    play_init(&play, &play_config, PLAY_AT_ONCE);
    play_feed(&play, BYTES(UP_TO_DATA));
    play_take(&play);
    play.answers = PLAY_LATE;
    assert_int_equal(smtp_session_feed(play.session, BYTES("A: b\r\n.\r\nNOOP\r\n")), 9);
    assert_int_equal(smtp_session_feed(play.session, BYTES("NOOP\r\n")), 0);
    play_drain(&play);
    assert_int_equal(play.outstanding_count, 1);
    assert_int_equal(smtp_session_feed(play.session, BYTES("NOOP\r\n")), 0);
    assert_false(smtp_session_next(play.session, &action));
    uint64_t ticket = play.outstanding[0].ticket;
    smtp_session_committed(play.session, ticket + 1, ERR_OK);
    smtp_session_begun(play.session, ticket, ERR_OK, "X");
    smtp_session_resolved(play.session, ticket, ERR_OK, 9);
    smtp_session_time_out(play.session);
    assert_false(smtp_session_next(play.session, &action));
    play_answer(&play, 0);
    play_drain(&play);
    assert_string_equal(play_take(&play), "<body 6:A: b\r\n>250 2.0.0 OK id=T1\r\n");
    smtp_session_committed(play.session, ticket, ERR_OK);
    assert_false(smtp_session_next(play.session, &action));
    play_fini(&play);
}

static void test_starttls_leaves_what_follows(void **state)
{
    (void)state;
    struct play play;

    play_init(&play, &play_config, PLAY_AT_ONCE);
    size_t used = smtp_session_feed(play.session, BYTES("EHLO a\r\nSTARTTLS\r\nNOOP\r\n"));
    assert_int_equal(used, 18);
    assert_int_equal(smtp_session_feed(play.session, BYTES("NOOP\r\n")), 0);
    play_fini(&play);
}

static void test_time_out(void **state)
{
    (void)state;
    struct play play;

    play_init(&play, &play_config, PLAY_AT_ONCE);
    play_feed(&play, BYTES(UP_TO_DATA "A: b\r\n"));
    play_take(&play);
    smtp_session_time_out(play.session);
    play_drain(&play);
    assert_string_equal(play_take(&play), "<abort 421>421 4.4.2 Waited too long\r\n<close>");
    smtp_session_time_out(play.session);
    play_drain(&play);
    assert_string_equal(play_take(&play), "");
    play_fini(&play);

    /* Not while the client waits for us. */
    play_init(&play, &play_config, PLAY_LATE);
    play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<>\r\n"));
    play_take(&play);
    smtp_session_feed(play.session, BYTES("RCPT TO:<y@here.test>\r\n"));
    play_drain(&play);
    smtp_session_time_out(play.session);
    play_drain(&play);
    assert_string_equal(play_take(&play), "");
    play_fini(&play);
}

static void test_going_down(void **state)
{
    (void)state;
    struct play play;

    play_init(&play, &play_config, PLAY_AT_ONCE);
    play_take(&play);
    smtp_session_go_down(play.session);
    play_drain(&play);
    assert_string_equal(play_take(&play),
                        "421 4.3.2 Service is going down, try again\r\n<close>");
    play_fini(&play);

    /* A message under way ends first. */
    play_init(&play, &play_config, PLAY_AT_ONCE);
    play_feed(&play, BYTES(UP_TO_DATA "A: b\r\n"));
    play_take(&play);
    smtp_session_go_down(play.session);
    play_drain(&play);
    assert_string_equal(play_take(&play), "");
    play_feed(&play, BYTES(".\r\nQUIT\r\n"));
    assert_string_equal(play_take(&play),
                        "<body 6:A: b\r\n>250 2.0.0 OK id=T1\r\n"
                        "421 4.3.2 Service is going down, try again\r\n<close>");
    play_fini(&play);
}

/* Look-ups that are under way when the service ends are answered to nobody. */
static void test_late_answers(void **state)
{
    (void)state;
    struct play play;

    play_init(&play, &play_config, PLAY_LATE);
    play_feed(&play, BYTES("EHLO a\r\nMAIL FROM:<>\r\n"));
    smtp_session_feed(play.session,
                      BYTES("RCPT TO:<y@here.test>\r\nRCPT TO:<z@here.test>\r\n"));
    play_drain(&play);
    assert_int_equal(play.outstanding_count, 2);
    play_take(&play);
    smtp_session_go_down(play.session);
    play_answer(&play, 1);
    play_answer(&play, 0);
    play_drain(&play);
    assert_string_equal(play_take(&play),
                        "421 4.3.2 Service is going down, try again\r\n<close>");
    assert_int_equal(smtp_session_feed(play.session, BYTES("NOOP\r\n")), 0);
    play_fini(&play);
}

static void test_large_body_comes_in_pieces(void **state)
{
    (void)state;
    struct smtp_config config = play_config;
    struct play play;
    enum { SIZE = 1000 * 1000 };
    struct buffer message = BUFFER_EMPTY;

    config.message_size_max = SIZE;
    play_init(&play, &config, PLAY_AT_ONCE);
    play_feed(&play, BYTES(UP_TO_DATA));
    play_take(&play);
    for (unsigned i = 0; buffer_len(&message) < SIZE; i++)
        buffer_printf(&message, "%s%07u\r\n", i == 0 ? "\r\n" : "", i);
    buffer_truncate(&message, SIZE - 2);
    buffer_add(&message, BYTES("\r\n"));
    struct buffer input = BUFFER_EMPTY;
    buffer_add(&input, buffer_bytes(&message));
    buffer_add(&input, BYTES(".\r\n"));
    size_t used = smtp_session_feed(play.session, buffer_bytes(&input));
    assert_in_range(used, SMTP_BODY_PIECE_MAX / 2, SMTP_BODY_PIECE_MAX);
    play_drain(&play);
    play_feed(&play, bytes_skip(buffer_bytes(&input), used));
    assert_int_equal(play.commits, 1);
    assert_true(bytes_equal(buffer_bytes(&play.body), buffer_bytes(&message)));
    buffer_fini(&input);
    buffer_fini(&message);
    play_fini(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_lookups_go_out_together),
        cmocka_unit_test(test_envelope),
        cmocka_unit_test(test_outcomes_of_commit),
        cmocka_unit_test(test_unknown_outcome_closes_without_a_reply),
        cmocka_unit_test(test_begin_refused),
        cmocka_unit_test(test_nothing_is_consumed_while_a_commit_is_outstanding),
        cmocka_unit_test(test_starttls_leaves_what_follows),
        cmocka_unit_test(test_time_out),
        cmocka_unit_test(test_going_down),
        cmocka_unit_test(test_late_answers),
        cmocka_unit_test(test_large_body_comes_in_pieces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
