/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/relay/client_lab.h"

/* Conversations from greeting to QUIT, each whole and cut at every byte. */

#define HI "<ready>\nMAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\n"
#define TAKEN "<0 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n<done>\n"
#define BYE "<ready>\nQUIT\n<closed QUIT IDLE 0 2.0.0 \"\">\n"

static const struct smtp_client_recipient one[] = {{.address = BYTES_INIT("b@y.test")}};
static const struct smtp_client_recipient three[] = {
    {.address = BYTES_INIT("b@y.test")},
    {.address = BYTES_INIT("c@y.test")},
    {.address = BYTES_INIT("d@y.test")},
};
static const struct smtp_client_message plain[] = {
    {.sender = BYTES_INIT("a@x.test"), .recipients = one, .recipient_count = 1},
    {.sender = BYTES_INIT("a@x.test"), .recipients = one, .recipient_count = 1},
};
static const struct smtp_client_message to_three[] = {
    {.sender = BYTES_INIT("a@x.test"), .recipients = three, .recipient_count = 3},
    {.sender = BYTES_INIT("a@x.test"), .recipients = one, .recipient_count = 1},
};

#define BODY BYTES_INIT("S: t\r\n\r\nhi\r\n.\r\n..x\r\n")
#define SENT_DOTTED "S: t\n\nhi\n..\n...x\n.\n"
#define SENT_CHUNK "BDAT 20 LAST\nS: t\n\nhi\n.\n..x\n"
#define PIPE "PIPELINING\n"
#define THREE                                                                                  \
    "MAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\nRCPT TO:<c@y.test>\nRCPT TO:<d@y.test>\n"
#define THREE_TAKEN                                                                            \
    "<0 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n"                                      \
    "<1 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n"                                      \
    "<2 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n<done>\n"

static const struct lab_rule no_ehlo[] = {{"EHLO", "502 5.5.1 What?\r\n", 0}, {0}};
static const struct lab_rule second_refused[] = {
    {"RCPT TO:<c", "550-5.1.1 No\r\n550 5.1.1 such user\r\n", 0}, {0}};
static const struct lab_rule all_refused[] = {{"RCPT TO:<", "550 5.1.1 No\r\n", 0}, {0}};
static const struct lab_rule all_refused_354[] = {
    {"RCPT TO:<", "450 4.2.0 Later\r\n", 1}, {"RCPT TO:<", "550 5.1.1 No\r\n", 1},
    {"RCPT TO:<", "550 5.1.1 No\r\n", 1},    {"DATA", "354 Go all the same\r\n", 1},
    {".", "554 5.5.1 Nobody\r\n", 1},        {0}};
static const struct lab_rule mail_refused[] = {{"MAIL", "550 5.7.1 Not you\r\n", 1}, {0}};
static const struct lab_rule mail_refused_354[] = {
    {"MAIL", "450 4.7.1 Wait\r\n", 1}, {"DATA", "354 Go\r\n", 1}, {".", "250 Ok\r\n", 1}, {0}};
static const struct lab_rule data_refused[] = {{"DATA", "451 4.3.0 Not now\r\n", 1}, {0}};
static const struct lab_rule final_refused[] = {{".", "554 5.6.0 Spam\r\n", 1}, {0}};
static const struct lab_rule chunk_refused[] = {{"LAST", "452 4.3.1 Full\r\n", 1}, {0}};
static const struct lab_rule final_lost[] = {{".", LAB_LOST, 0}, {0}};
static const struct lab_rule final_timeout[] = {{"LAST", LAB_TIMEOUT, 0}, {0}};
static const struct lab_rule quit_lost[] = {{"QUIT", LAB_LOST, 0}, {0}};
static const struct lab_rule quit_silent[] = {{"QUIT", LAB_TIMEOUT, 0}, {0}};
static const struct lab_rule odd_ends[] = {
    {"greeting", "220-one\n220-two\n220 three\n", 0}, {"MAIL", "250\r\n", 0}, {0}};

static const struct conversation {
    const char *name;
    struct lab_setup setup;
    const char *want;
} conversations[] = {
    {"HELO, step by step",
     {.rules = no_ehlo, .messages = plain, .message_count = 1, .body = BODY},
     "EHLO us.test\nHELO us.test\n" HI "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"EHLO without anything, two messages",
     {.extensions = "", .messages = plain, .message_count = 2, .body = BODY},
     "EHLO us.test\n" HI "DATA\n<body>\n" SENT_DOTTED TAKEN HI
     "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"in one flight",
     {.extensions = PIPE, .messages = to_three, .message_count = 2, .body = BODY},
     "EHLO us.test\n<ready>\n" THREE "DATA\n<body>\n" SENT_DOTTED THREE_TAKEN HI
     "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"in chunks",
     {.extensions = PIPE "CHUNKING\n", .messages = to_three, .message_count = 1, .body = BODY},
     "EHLO us.test\n<ready>\n" THREE "<body>\n" SENT_CHUNK THREE_TAKEN BYE},
    {"chunks without pipelining are none",
     {.extensions = "CHUNKING\n", .messages = plain, .message_count = 1, .body = BODY},
     "EHLO us.test\n" HI "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"an empty body",
     {.extensions = PIPE, .messages = plain, .message_count = 1},
     "EHLO us.test\n" HI "DATA\n<body>\n.\n" TAKEN BYE},
    {"an empty body in chunks",
     {.extensions = PIPE "CHUNKING\n", .messages = plain, .message_count = 1},
     "EHLO us.test\n" HI "<body>\nBDAT 0 LAST\n" TAKEN BYE},
    {"a body without its last line end, from within body_wanted()",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 1,
      .body = BYTES_INIT("."),
      .flags = LAB_NESTED_BODY},
     "EHLO us.test\n" HI "DATA\n<body>\n..\n.\n" TAKEN BYE},
    {"leave to finish comes late",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 1,
      .body = BODY,
      .flags = LAB_LATE_LEAVE},
     "EHLO us.test\n" HI "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"leave to finish comes early",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 1,
      .body = BODY,
      .flags = LAB_EARLY_LEAVE},
     "EHLO us.test\n" HI "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"no leave to finish",
     {.extensions = PIPE "CHUNKING\n",
      .messages = plain,
      .message_count = 1,
      .body = BODY,
      .flags = LAB_NO_LEAVE},
     "EHLO us.test\n" HI "<body>\n<0 DEFERRED DATA 0 4.4.2 \"Lease ended\">\n<done>\n"
     "<closed LOST DATA 0 4.4.2 \"Lease ended\">\n"},
    {"no leave to finish in DATA",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 1,
      .body = BYTES_INIT("a"),
      .flags = LAB_NO_LEAVE},
     "EHLO us.test\n" HI "DATA\n<body>\na\n<0 DEFERRED DATA 0 4.4.2 \"Lease ended\">\n<done>\n"
     "<closed LOST DATA 0 4.4.2 \"Lease ended\">\n"},
    {"a recipient is refused, the others are not",
     {.extensions = PIPE,
      .messages = to_three,
      .message_count = 1,
      .rules = second_refused,
      .body = BODY},
     "EHLO us.test\n<ready>\n" THREE
     "DATA\n<1 FAILED RCPT 550 5.1.1 \"550 5.1.1 No such user\">\n<body>\n" SENT_DOTTED
     "<0 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n"
     "<2 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n<done>\n" BYE},
    {"none is taken, step by step: no DATA",
     {.extensions = "",
      .messages = to_three,
      .message_count = 1,
      .rules = all_refused,
      .body = BODY},
     "EHLO us.test\n<ready>\nMAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\n"
     "<0 FAILED RCPT 550 5.1.1 \"550 5.1.1 No\">\nRCPT TO:<c@y.test>\n"
     "<1 FAILED RCPT 550 5.1.1 \"550 5.1.1 No\">\nRCPT TO:<d@y.test>\n"
     "<2 FAILED RCPT 550 5.1.1 \"550 5.1.1 No\">\nRSET\n<done>\n" BYE},
    {"none is taken, in one flight",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 1,
      .rules = all_refused,
      .body = BODY},
     "EHLO us.test\n" HI
     "DATA\n<0 FAILED RCPT 550 5.1.1 \"550 5.1.1 No\">\nRSET\n<done>\n" BYE},
    {"none is taken, but DATA is",
     {.extensions = PIPE,
      .messages = to_three,
      .message_count = 2,
      .rules = all_refused_354,
      .body = BODY},
     "EHLO us.test\n<ready>\n" THREE "DATA\n<0 DEFERRED RCPT 450 4.2.0 \"450 4.2.0 Later\">\n"
     "<1 FAILED RCPT 550 5.1.1 \"550 5.1.1 No\">\n<2 FAILED RCPT 550 5.1.1 \"550 5.1.1 No\">\n"
     ".\n<done>\nRSET\n" HI "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"none is taken, with chunks: no chunk",
     {.extensions = PIPE "CHUNKING\n",
      .messages = plain,
      .message_count = 1,
      .rules = all_refused,
      .body = BODY},
     "EHLO us.test\n" HI "<0 FAILED RCPT 550 5.1.1 \"550 5.1.1 No\">\nRSET\n<done>\n" BYE},
    {"MAIL is refused, step by step",
     {.extensions = "",
      .messages = plain,
      .message_count = 2,
      .rules = mail_refused,
      .body = BODY},
     "EHLO us.test\n<ready>\nMAIL FROM:<a@x.test>\n"
     "<0 FAILED MAIL 550 5.7.1 \"550 5.7.1 Not you\">\nRSET\n<done>\n" HI
     "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"MAIL is refused, in one flight",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 2,
      .rules = mail_refused,
      .body = BODY},
     "EHLO us.test\n" HI
     "DATA\n<0 FAILED MAIL 550 5.7.1 \"550 5.7.1 Not you\">\nRSET\n<done>\n" HI
     "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"MAIL is refused, DATA is not",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 2,
      .rules = mail_refused_354,
      .body = BODY},
     "EHLO us.test\n" HI "DATA\n<0 DEFERRED MAIL 450 4.7.1 \"450 4.7.1 Wait\">\n.\n<done>\n"
     "RSET\n" HI "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"DATA is refused",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 2,
      .rules = data_refused,
      .body = BODY},
     "EHLO us.test\n" HI
     "DATA\n<0 DEFERRED DATA 451 4.3.0 \"451 4.3.0 Not now\">\nRSET\n<done>\n" HI
     "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"the message is refused",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 2,
      .rules = final_refused,
      .body = BODY},
     "EHLO us.test\n" HI "DATA\n<body>\n" SENT_DOTTED
     "<0 FAILED FINAL 554 5.6.0 \"554 5.6.0 Spam\">\nRSET\n<done>\n" HI
     "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"the last chunk is refused",
     {.extensions = PIPE "CHUNKING\n",
      .messages = plain,
      .message_count = 2,
      .rules = chunk_refused,
      .body = BODY},
     "EHLO us.test\n" HI "<body>\n" SENT_CHUNK
     "<0 DEFERRED FINAL 452 4.3.1 \"452 4.3.1 Full\">\nRSET\n<done>\n" HI
     "<body>\n" SENT_CHUNK TAKEN BYE},
    {"the reply to the final dot is lost",
     {.extensions = PIPE,
      .messages = to_three,
      .message_count = 2,
      .rules = final_lost,
      .body = BODY},
     "EHLO us.test\n<ready>\n" THREE "DATA\n<body>\n" SENT_DOTTED
     "<0 UNKNOWN FINAL 0 4.4.2 \"Connection reset\">\n"
     "<1 UNKNOWN FINAL 0 4.4.2 \"Connection reset\">\n"
     "<2 UNKNOWN FINAL 0 4.4.2 \"Connection reset\">\n<done>\n"
     "<closed LOST FINAL 0 4.4.2 \"Connection reset\">\n"},
    {"no reply to the last chunk",
     {.extensions = PIPE "CHUNKING\n",
      .messages = plain,
      .message_count = 1,
      .rules = final_timeout,
      .body = BODY},
     "EHLO us.test\n" HI "<body>\n" SENT_CHUNK
     "<0 UNKNOWN FINAL 0 4.4.2 \"Timed out while waiting for the reply to the message\">\n"
     "<done>\n<closed TIMED_OUT FINAL 0 4.4.2 "
     "\"Timed out while waiting for the reply to the message\">\n"},
    {"the body cannot be read",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 1,
      .body = BYTES_INIT("a\r\n"),
      .flags = LAB_BODY_FAILS},
     "EHLO us.test\n" HI "DATA\n<body>\na\n"
     "<0 DEFERRED DATA 0 4.3.0 \"The message cannot be read at present\">\n<done>\n"
     "<closed BODY_FAILED DATA 0 4.3.0 \"The message cannot be read at present\">\n"},
    {"the body cannot be read, in chunks",
     {.extensions = PIPE "CHUNKING\n",
      .messages = plain,
      .message_count = 1,
      .body = BYTES_INIT("a\r\n"),
      .flags = LAB_BODY_FAILS | LAB_NESTED_BODY},
     "EHLO us.test\n" HI "<body>\n"
     "<0 DEFERRED DATA 0 4.3.0 \"The message cannot be read at present\">\n<done>\n"
     "<closed BODY_FAILED DATA 0 4.3.0 \"The message cannot be read at present\">\n"},
    {"a bare LF",
     {.extensions = PIPE,
      .messages = plain,
      .message_count = 1,
      .body = BYTES_INIT("a\r\n\n.\r\n")},
     "EHLO us.test\n" HI "DATA\n<body>\n"
     "<0 FAILED DATA 0 5.6.0 \"The message has a line end that is not CR LF\">\n<done>\n"
     "<closed BODY_FAILED DATA 0 5.6.0 \"The message has a line end that is not CR LF\">\n"},
    {"a CR at the end",
     {.extensions = PIPE "CHUNKING\n",
      .messages = plain,
      .message_count = 1,
      .body = BYTES_INIT("a\r")},
     "EHLO us.test\n" HI "<body>\n"
     "<0 FAILED DATA 0 5.6.0 \"The message has a line end that is not CR LF\">\n<done>\n"
     "<closed BODY_FAILED DATA 0 5.6.0 \"The message has a line end that is not CR LF\">\n"},
    {"QUIT is never answered", {.extensions = "", .rules = quit_silent}, "EHLO us.test\n" BYE},
    {"QUIT loses the connection", {.extensions = "", .rules = quit_lost}, "EHLO us.test\n" BYE},
    {"LF for CR LF, and a reply without words",
     {.extensions = "", .rules = odd_ends, .messages = plain, .message_count = 1, .body = BODY},
     "EHLO us.test\n" HI "DATA\n<body>\n" SENT_DOTTED TAKEN BYE},
    {"MAILMAX",
     {.extensions = PIPE "LIMITS RCPTMAX=5 MAILMAX=1\n",
      .messages = plain,
      .message_count = 2,
      .body = BODY},
     "EHLO us.test\n" HI "DATA\n<body>\n" SENT_DOTTED
     "<0 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\nQUIT\n<done>\n"
     "<closed MAILS_MAX IDLE 0 2.0.0 \"\">\n"},
    {"RCPTMAX",
     {.extensions = PIPE "LIMITS MAILMAX=10 RCPTMAX=2\n",
      .messages = to_three,
      .message_count = 1,
      .body = BODY},
     "EHLO us.test\n<ready>\n"
     "<2 DEFERRED RCPT 0 4.5.3 many \"The server takes no more recipients at a time\">\n"
     "MAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\nRCPT TO:<c@y.test>\nDATA\n<body>\n" SENT_DOTTED
     "<0 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n"
     "<1 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n<done>\n" BYE},
};

static void test_conversations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
        struct lab_setup setup = conversations[i].setup;
        setup.config.hello = "us.test";
        lab_expect(conversations[i].name, &setup, conversations[i].want);
    }
}

/* Cut at each place, the body leaves as the same bytes. */
static void test_pieces_of_a_body(void **state)
{
    static const char *const kinds[] = {PIPE, PIPE "CHUNKING\n"};

    (void)state;
    for (unsigned kind = 0; kind < 2; kind++)
        for (size_t piece = 0; piece <= 21; piece++) {
            const struct lab_setup setup = {
                .config = {.hello = "us.test"},
                .extensions = kinds[kind],
                .messages = plain,
                .message_count = 1,
                .body = BODY,
                .body_piece = piece,
                .flags = piece % 2 == 0 ? LAB_NESTED_BODY : 0,
            };
            struct lab lab;
            lab_play(&lab, &setup, SIZE_MAX);
            assert_int_equal(lab.received_count, 1);
            assert_true(bytes_equal(buffer_bytes(&lab.received[0].body), setup.body));
            lab_fini(&lab);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_pieces_of_a_body),
    };

    return cmocka_run_group_tests_name("smtp/relay/client: conversations", tests, NULL, NULL);
}
