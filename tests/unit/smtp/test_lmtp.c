/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unit/smtp/play.h"

/* LMTP (RFC 2033): LHLO, and a reply for each recipient at the end of a message. */
#define HELLO                                                                                  \
    "220 mx.test LMTP\r\n250-mx.test\r\n250-PIPELINING\r\n250-SIZE 400\r\n250-STARTTLS\r\n"    \
    "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 CHUNKING\r\n"
#define MAIL_OK "250 2.1.0 Sender OK\r\n"
#define RCPT_OK "250 2.1.5 Recipient OK\r\n"
#define NO_USER "550 5.1.1 No such user here\r\n"
#define GO "354 End data with <CR><LF>.<CR><LF>\r\n"
#define OK "250 2.0.0 OK\r\n"
#define ACCEPTED "250 2.0.0 OK id=T1\r\n"
#define FAILED "503 5.5.1 The message has failed, send RSET\r\n"
#define TWO                                                                                    \
    "LHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<y@here.test>\r\nRCPT TO:<no@here.test>\r\n"    \
    "RCPT TO:<y@here.test>\r\n"
#define TWO_READY HELLO MAIL_OK RCPT_OK NO_USER RCPT_OK
#define NONE "LHLO a\r\nMAIL FROM:<x@a.test>\r\nRCPT TO:<no@here.test>\r\n"
#define NONE_READY HELLO MAIL_OK NO_USER

static void test_conversations(void **state)
{
    static const struct {
        const char *name;
        const char *input;
        const char *want;
    } conversations[] = {
        {"a reply for each recipient", TWO "DATA\r\nA: b\r\n.\r\nQUIT\r\n",
         TWO_READY GO "<body 6:A: b\r\n>" ACCEPTED ACCEPTED "221 2.0.0 Bye\r\n<close>"},
        {"in chunks, too", TWO "BDAT 2\r\nA:BDAT 4 LAST\r\n b\r\nNOOP\r\n",
         TWO_READY "250 2.0.0 Chunk OK\r\n<body 6:A: b\r\n>" ACCEPTED ACCEPTED OK},
        {"what was wrong is said to each", TWO "DATA\r\nA: \nb\r\n.\r\nNOOP\r\n",
         TWO_READY GO
         "<abort 550>550 5.6.0 Message has a bare LF; lines end with CR LF id=T1\r\n"
         "550 5.6.0 Message has a bare LF; lines end with CR LF id=T1\r\n" OK},
        {"each has an outcome",
         "LHLO a\r\nMAIL FROM:<each@a.test>\r\nRCPT TO:<u1@here.test>\r\nRCPT "
         "TO:<u2@here.test>\r\nRCPT TO:<u3@here.test>\r\nDATA\r\nA: b\r\n.\r\nNOOP\r\n",
         HELLO MAIL_OK RCPT_OK RCPT_OK RCPT_OK GO
         "<body 6:A: b\r\n>" ACCEPTED "550 5.7.1 Not you id=T1\r\n"
         "452 4.2.2 Mailbox of a recipient is full, try again id=T1\r\n" OK},
        {"each has one, in chunks",
         "LHLO a\r\nMAIL FROM:<each@a.test>\r\nRCPT TO:<u3@here.test>\r\nRCPT "
         "TO:<u2@here.test>\r\nRCPT TO:<no@here.test>\r\nRCPT TO:<u1@here.test>\r\n"
         "BDAT 2\r\nA:BDAT 4 LAST\r\n b\r\nNOOP\r\n",
         HELLO MAIL_OK RCPT_OK RCPT_OK NO_USER RCPT_OK
         "250 2.0.0 Chunk OK\r\n<body 6:A: b\r\n>"
         "452 4.2.2 Mailbox of a recipient is full, try again id=T1\r\n"
         "550 5.7.1 Not you id=T1\r\n" ACCEPTED OK},
        {"a last chunk of no bytes",
         "LHLO a\r\nMAIL FROM:<each@a.test>\r\nRCPT TO:<u2@here.test>\r\nRCPT "
         "TO:<u1@here.test>\r\nBDAT 6\r\nA: b\r\nBDAT 0 LAST\r\nNOOP\r\n",
         HELLO MAIL_OK RCPT_OK RCPT_OK "250 2.0.0 Chunk OK\r\n<body 6:A: b\r\n>"
                                       "550 5.7.1 Not you id=T1\r\n" ACCEPTED OK},
        {"what nobody knows is not said",
         "LHLO a\r\nMAIL FROM:<each@a.test>\r\nRCPT TO:<u1@here.test>\r\nRCPT "
         "TO:<u4@here.test>\r\nRCPT TO:<u1@here.test>\r\nDATA\r\nA: b\r\n.\r\nNOOP\r\n",
         HELLO MAIL_OK RCPT_OK RCPT_OK RCPT_OK GO "<body 6:A: b\r\n>" ACCEPTED "<close>"},
        {"for its content",
         "LHLO a\r\nMAIL FROM:<virus@a.test>\r\nRCPT TO:<y@here.test>\r\nRCPT "
         "TO:<z@here.test>\r\nDATA\r\nA: b\r\n.\r\n",
         HELLO MAIL_OK RCPT_OK RCPT_OK GO "<body 6:A: b\r\n>554 5.7.1 Virus found id=T1\r\n"
                                          "554 5.7.1 Virus found id=T1\r\n"},
        {"refused before the message there is one reply",
         "LHLO a\r\nMAIL FROM:<nobegin@a.test>\r\nRCPT TO:<y@here.test>\r\nRCPT "
         "TO:<z@here.test>\r\nDATA\r\nNOOP\r\n",
         HELLO MAIL_OK RCPT_OK RCPT_OK "451 4.7.1 Not now\r\n" OK},
        {"refused at a chunk that is the last",
         "LHLO a\r\nMAIL FROM:<nobegin@a.test>\r\nRCPT TO:<y@here.test>\r\nRCPT "
         "TO:<z@here.test>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
         HELLO MAIL_OK RCPT_OK RCPT_OK "451 4.7.1 Not now\r\n451 4.7.1 Not now\r\n" OK},
        {"chunks that fail: one reply, the last one has one for each",
         TWO "BDAT 8\r\nA: b\nx\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
         TWO_READY
         "<abort 550>550 5.6.0 Message has a bare LF; lines end with CR LF id=T1\r\n" FAILED
             FAILED FAILED OK},
        {"no recipients: 503, and no reply to the last chunk",
         NONE
         "DATA\r\nBDAT 6 LAST\r\nQUIT\r\nBDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n",
         NONE_READY "503 5.5.1 Send RCPT first\r\n503 5.5.1 Send RCPT first\r\n" OK},
        {"neither HELO nor EHLO",
         "EHLO a\r\nHELO a\r\nMAIL FROM:<>\r\nAUTH PLAIN AAAA\r\nLHLO a\r\nMAIL FROM:<>\r\n",
         "220 mx.test LMTP\r\n502 5.5.1 Command is not offered here\r\n"
         "502 5.5.1 Command is not offered here\r\n503 5.5.1 Send LHLO first\r\n"
         "502 5.5.1 Command is not offered here\r\n250-mx.test\r\n250-PIPELINING\r\n"
         "250-SIZE 400\r\n250-STARTTLS\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
         "250 CHUNKING\r\n" MAIL_OK},
    };
    struct smtp_config config = play_config;

    (void)state;
    config.service = SMTP_SERVICE_LMTP;
    config.errors_max = 20;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++)
        play_expect(&config, conversations[i].name, bytes_of(conversations[i].input),
                    conversations[i].want);
}

static void test_elsewhere_there_is_no_lhlo(void **state)
{
    (void)state;
    play_expect(&play_config, "LHLO on port 25", BYTES("LHLO a\r\n"),
                PLAY_HI "502 5.5.1 Command is not offered here\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_elsewhere_there_is_no_lhlo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
