/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "smtp/protocol/session.h"
#include "unit/relay/client_lab.h"

/* What a server offers, what is made of it, and TLS. */

#define ALL                                                                                    \
    "PIPELINING\n8BITMIME\nSMTPUTF8\nDSN\nENHANCEDSTATUSCODES\nREQUIRETLS\nSIZE 1000\n"        \
    "DELIVERBY 60\nAUTH PLAIN\nX-ODD\n"
#define BODY BYTES_INIT("x\r\n")
#define REST "DATA\n<body>\nx\n.\n<0 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n<done>\n"
#define BYE "<ready>\nQUIT\n<closed QUIT IDLE 0 2.0.0 \"\">\n"
#define HELLO "EHLO us.test\n<ready>\n"
#define HELLO_TLS "EHLO us.test\nSTARTTLS\n<tls>\nEHLO us.test\n<ready>\n"
#define FAILED(status, text) "<0 FAILED MAIL 0 " status " \"" text "\">\n<done>\n" BYE

static const struct smtp_client_recipient plain[] = {{.address = BYTES_INIT("b@y.test")}};
static const struct smtp_client_recipient rich[] = {{
    .address = BYTES_INIT("\"b \\\" c>\"@y.test"),
    .notify = SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_FAILURE | SMTP_NOTIFY_DELAY,
    .orcpt = BYTES_INIT("rfc822;b+1=2 c@y.test"),
}};
static const struct smtp_client_recipient never[] = {{
    .address = BYTES_INIT("b@y.test"),
    .notify = SMTP_NOTIFY_NEVER | SMTP_NOTIFY_DELAY,
    .orcpt = BYTES_INIT("utf-8;\xc3\xa9+\\=@\xe2\x82\xac.test"),
}};
static const struct smtp_client_recipient odd_orcpt[] = {{
    .address = BYTES_INIT("b@y.test"),
    .orcpt = BYTES_INIT("rfc822;b\r\nRSET@y.test"),
}};
static const struct smtp_client_recipient two[] = {
    {.address = BYTES_INIT("b@y.test")},
    {.address = BYTES_INIT("\xc3\xa9@y.test")},
};
static const struct smtp_client_recipient bad[] = {
    {.address = BYTES_INIT("b@y.test>\r\nRSET")}, {.address = BYTES_INIT("b@y.test")},
    {.address = BYTES_INIT("b c@y.test")},        {.address = BYTES_INIT("\"b@y.test")},
    {.address = BYTES_INIT("b\xff@y.test")},      {.address = BYTES_INIT("")},
    {.address = BYTES_INIT("<b@y.test>")},
};

#define MESSAGE(...)                                                                           \
    {                                                                                          \
        .sender = BYTES_INIT("a@x.test"), .recipients = plain, .recipient_count = 1,           \
        __VA_ARGS__                                                                            \
    }

static const struct smtp_client_message rich_message[] = {
    {.sender = BYTES_INIT("a@x.test"),
     .size = 1000,
     .dsn_return = SMTP_CLIENT_RETURN_HEADERS,
     .envid = BYTES_INIT("id+1 =2"),
     .body_8bit = true,
     .utf8 = true,
     .by_mode = SMTP_CLIENT_BY_NOTIFY,
     .by_seconds = -5,
     .by_traced = true,
     .recipients = rich,
     .recipient_count = 1},
};
static const struct smtp_client_message never_message[] = {
    {.dsn_return = SMTP_CLIENT_RETURN_FULL,
     .size = 3,
     .by_mode = SMTP_CLIENT_BY_RETURN,
     .by_seconds = 60,
     .recipients = never,
     .recipient_count = 1},
};
static const struct smtp_client_message odd_message[] = {
    {.envid = BYTES_INIT("a\r\nb"), .recipients = odd_orcpt, .recipient_count = 1}};
static const struct smtp_client_message utf8_message[] = {MESSAGE(.utf8 = true)};
static const struct smtp_client_message utf8_sender[] = {
    {.sender = BYTES_INIT("\xc3\xa9@x.test"), .recipients = plain, .recipient_count = 1}};
static const struct smtp_client_message bad_sender[] = {
    {.sender = BYTES_INIT("a@x.test\r\n"), .recipients = plain, .recipient_count = 1}};
static const struct smtp_client_message eight_bit[] = {MESSAGE(.body_8bit = true)};
static const struct smtp_client_message large[] = {MESSAGE(.size = 1001)};
static const struct smtp_client_message tls_needed[] = {MESSAGE(.require_tls = true)};
static const struct smtp_client_message hasty[] = {
    MESSAGE(.by_mode = SMTP_CLIENT_BY_RETURN, .by_seconds = 59)};
static const struct smtp_client_message patient[] = {
    MESSAGE(.by_mode = SMTP_CLIENT_BY_NOTIFY, .by_seconds = 59)};
static const struct smtp_client_message to_two[] = {
    {.sender = BYTES_INIT("a@x.test"), .recipients = two, .recipient_count = 2}};
static const struct smtp_client_message to_bad[] = {
    {.sender = BYTES_INIT("a@x.test"), .recipients = bad, .recipient_count = 7}};
static const struct smtp_client_message simple[] = {MESSAGE(.size = 3)};

static const struct lab_rule tls_later[] = {{"STARTTLS", "454 4.7.0 Not now\r\n", 0}, {0}};
static const struct lab_rule ehlo_no[] = {{"EHLO", "500 What?\r\n", 0}, {0}};
static const struct lab_rule helo_no[] = {
    {"EHLO", "550 5.7.1 Away\r\n", 0}, {"HELO", "550 5.7.1 Go away\r\n", 0}, {0}};
static const struct lab_rule injected[] = {
    {"STARTTLS", "220 Go\r\n250-mx.test\r\n250 X-EVIL\r\n", 0}, {0}};
static const struct lab_rule tls_strange[] = {{"STARTTLS", "250 Ok\r\n", 0}, {0}};

static const struct conversation {
    const char *name;
    enum smtp_client_tls tls;
    struct lab_setup setup;
    const char *want;
} conversations[] = {
    {"everything is used",
     0,
     {.extensions = ALL, .messages = rich_message, .message_count = 1, .body = BODY},
     HELLO "MAIL FROM:<a@x.test> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id+2B1+20+3D2 "
           "BY=-5;NT\nRCPT TO:<\"b \\\" c>\"@y.test> NOTIFY=SUCCESS,FAILURE,DELAY "
           "ORCPT=rfc822;b+2B1+3D2+20c@y.test\n" REST BYE},
    {"the null sender, NEVER, a utf-8 address",
     0,
     {.extensions = ALL, .messages = never_message, .message_count = 1, .body = BODY},
     HELLO "MAIL FROM:<> SIZE=3 RET=FULL BY=60;R\nRCPT TO:<b@y.test> NOTIFY=NEVER "
           "ORCPT=utf-8;\\x{E9}\\x{2B}\\x{5C}\\x{3D}@\\x{20AC}.test\n" REST BYE},
    {"no DSN: nothing of it is said",
     0,
     {.extensions = "PIPELINING\nDELIVERBY\n",
      .messages = never_message,
      .message_count = 1,
      .body = BODY},
     HELLO "MAIL FROM:<> BY=60;R\nRCPT TO:<b@y.test>\n" REST BYE},
    {"what would break out of a parameter is left out",
     0,
     {.extensions = ALL, .messages = odd_message, .message_count = 1, .body = BODY},
     HELLO "MAIL FROM:<>\nRCPT TO:<b@y.test>\n" REST BYE},
    {"addresses that would break out of a command",
     0,
     {.extensions = ALL, .messages = to_bad, .message_count = 1, .body = BODY},
     HELLO "<0 FAILED RCPT 0 5.1.3 \"The recipient's address cannot be sent\">\n"
           "<2 FAILED RCPT 0 5.1.3 \"The recipient's address cannot be sent\">\n"
           "<3 FAILED RCPT 0 5.1.3 \"The recipient's address cannot be sent\">\n"
           "<4 FAILED RCPT 0 5.1.3 \"The recipient's address cannot be sent\">\n"
           "<5 FAILED RCPT 0 5.1.3 \"The recipient's address cannot be sent\">\n"
           "<6 FAILED RCPT 0 5.1.3 \"The recipient's address cannot be sent\">\n"
           "MAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\nDATA\n<body>\nx\n.\n"
           "<1 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n<done>\n" BYE},
    {"a sender that would",
     0,
     {.extensions = ALL, .messages = bad_sender, .message_count = 1, .body = BODY},
     HELLO FAILED("5.1.7", "The sender's address cannot be sent")},
    {"no SMTPUTF8",
     0,
     {.extensions = "8BITMIME\n", .messages = utf8_message, .message_count = 1, .body = BODY},
     HELLO FAILED("5.6.7", "The message needs SMTPUTF8, which the server does not offer")},
    {"no SMTPUTF8 for a sender",
     0,
     {.extensions = "8BITMIME\n", .messages = utf8_sender, .message_count = 1, .body = BODY},
     HELLO FAILED("5.6.7", "The message needs SMTPUTF8, which the server does not offer")},
    {"no SMTPUTF8 for one of two",
     0,
     {.extensions = "PIPELINING\n", .messages = to_two, .message_count = 1, .body = BODY},
     HELLO "<1 FAILED RCPT 0 5.6.7 \"The address needs SMTPUTF8, which the server does not "
           "offer\">\nMAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\n" REST BYE},
    {"SMTPUTF8 for one of two",
     0,
     {.extensions = "PIPELINING\nSMTPUTF8\n",
      .messages = to_two,
      .message_count = 1,
      .body = BODY},
     HELLO "MAIL FROM:<a@x.test> SMTPUTF8\nRCPT TO:<b@y.test>\nRCPT TO:<\xc3\xa9@y.test>\n"
           "DATA\n<body>\nx\n.\n<0 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n"
           "<1 DELIVERED FINAL 250 2.0.0 \"250 2.0.0 Taken\">\n<done>\n" BYE},
    {"no 8BITMIME",
     0,
     {.extensions = "SMTPUTF8\n", .messages = eight_bit, .message_count = 1, .body = BODY},
     HELLO FAILED("5.6.3", "The message needs 8BITMIME, which the server does not offer")},
    {"too large",
     0,
     {.extensions = "SIZE 1000\n", .messages = large, .message_count = 1, .body = BODY},
     HELLO FAILED("5.3.4", "The message is larger than the server takes")},
    {"SIZE without a limit",
     0,
     {.extensions = "size\n", .messages = large, .message_count = 1, .body = BODY},
     HELLO "MAIL FROM:<a@x.test> SIZE=1001\nRCPT TO:<b@y.test>\n" REST BYE},
    {"SIZE 0 is no limit",
     0,
     {.extensions = "Size 0\n", .messages = large, .message_count = 1, .body = BODY},
     HELLO "MAIL FROM:<a@x.test> SIZE=1001\nRCPT TO:<b@y.test>\n" REST BYE},
    {"REQUIRETLS in the clear",
     0,
     {.extensions = ALL, .messages = tls_needed, .message_count = 1, .body = BODY},
     HELLO FAILED("5.7.30", "REQUIRETLS is needed, and cannot be had with this server")},
    {"REQUIRETLS",
     SMTP_CLIENT_TLS_REQUIRED,
     {.extensions = "STARTTLS\n",
      .extensions_tls = ALL,
      .messages = tls_needed,
      .message_count = 1,
      .body = BODY},
     HELLO_TLS "MAIL FROM:<a@x.test> REQUIRETLS\nRCPT TO:<b@y.test>\n" REST BYE},
    {"REQUIRETLS without a policy",
     SMTP_CLIENT_TLS_OFFERED,
     {.extensions = "STARTTLS\n",
      .extensions_tls = ALL,
      .messages = tls_needed,
      .message_count = 1,
      .body = BODY,
      .flags = LAB_UNVERIFIED},
     HELLO_TLS FAILED("5.7.30", "REQUIRETLS is needed, and cannot be had with this server")},
    {"to be returned in time",
     0,
     {.extensions = ALL, .messages = hasty, .message_count = 1, .body = BODY},
     HELLO FAILED(
         "5.4.7",
         "The server cannot deliver, or return, the message in the time that is left")},
    {"to be returned in time, without DELIVERBY",
     0,
     {.extensions = "PIPELINING\n",
      .messages = never_message,
      .message_count = 1,
      .body = BODY},
     HELLO FAILED(
         "5.4.7",
         "The server cannot deliver, or return, the message in the time that is left")},
    {"to be told in time, without DELIVERBY",
     0,
     {.extensions = "PIPELINING\n", .messages = patient, .message_count = 1, .body = BODY},
     HELLO "MAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\n" REST BYE},
    {"all is forgotten after STARTTLS",
     SMTP_CLIENT_TLS_OFFERED,
     {.extensions = ALL "STARTTLS\n",
      .extensions_tls = "STARTTLS\n",
      .messages = simple,
      .message_count = 1,
      .body = BODY},
     HELLO_TLS "MAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\n" REST BYE},
    {"TLS is offered, and not wanted",
     SMTP_CLIENT_TLS_NEVER,
     {.extensions = "STARTTLS\n", .messages = simple, .message_count = 1, .body = BODY},
     HELLO "MAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\n" REST BYE},
    {"STARTTLS is refused, and not needed",
     SMTP_CLIENT_TLS_OFFERED,
     {.extensions = "STARTTLS\n",
      .messages = simple,
      .message_count = 1,
      .rules = tls_later,
      .body = BODY},
     "EHLO us.test\nSTARTTLS\n<ready>\nMAIL FROM:<a@x.test>\nRCPT TO:<b@y.test>\n" REST BYE},
    {"STARTTLS is refused, and needed",
     SMTP_CLIENT_TLS_REQUIRED,
     {.extensions = "STARTTLS\n", .messages = simple, .message_count = 1, .rules = tls_later},
     "EHLO us.test\nSTARTTLS\nQUIT\n<closed TLS_REFUSED TLS 454 4.7.0 \"454 4.7.0 Not "
     "now\">\n"},
    {"TLS is needed, and not offered",
     SMTP_CLIENT_TLS_REQUIRED,
     {.extensions = ALL, .messages = simple, .message_count = 1},
     "EHLO us.test\nQUIT\n<closed TLS_MISSING HELLO 0 4.7.10 "
     "\"TLS is required, and the server does not offer it\">\n"},
    {"TLS is needed, and there is not even EHLO",
     SMTP_CLIENT_TLS_REQUIRED,
     {.extensions = ALL, .messages = simple, .message_count = 1, .rules = ehlo_no},
     "EHLO us.test\nHELO us.test\nQUIT\n<closed TLS_MISSING HELLO 0 4.7.10 "
     "\"TLS is required, and the server does not offer it\">\n"},
    {"the handshake fails",
     SMTP_CLIENT_TLS_OFFERED,
     {.extensions = "STARTTLS\n", .messages = simple, .flags = LAB_TLS_FAILS},
     "EHLO us.test\nSTARTTLS\n<tls>\n<closed LOST TLS 0 4.4.2 \"Handshake failed\">\n"},
    {"STARTTLS gets a strange reply",
     SMTP_CLIENT_TLS_OFFERED,
     {.extensions = "STARTTLS\n", .messages = simple, .rules = tls_strange},
     "EHLO us.test\nSTARTTLS\n"
     "<closed PROTOCOL TLS 0 4.5.0 \"Unexpected reply: 250 Ok\">\n"},
    {"HELO is refused too",
     SMTP_CLIENT_TLS_NEVER,
     {.extensions = "", .messages = simple, .rules = helo_no},
     "EHLO us.test\nHELO us.test\nQUIT\n"
     "<closed HELLO_REFUSED HELLO 550 5.7.1 \"550 5.7.1 Go away\">\n"},
};

static void test_conversations(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(conversations) / sizeof(conversations[0]); i++) {
        struct lab_setup setup = conversations[i].setup;
        setup.config.hello = "us.test";
        setup.config.tls = conversations[i].tls;
        lab_expect(conversations[i].name, &setup, conversations[i].want);
    }
}

/* Behind the reply to STARTTLS, however it is cut: nothing of it is heard (RFC 3207). */
static void test_injection(void **state)
{
    const struct lab_setup setup = {
        .config = {.hello = "us.test", .tls = SMTP_CLIENT_TLS_OFFERED},
        .extensions = "STARTTLS\n",
        .rules = injected,
    };

    (void)state;
    for (size_t cut = 0; cut <= sizeof("220 mx.test ESMTP\r\n250-mx.test\r\n250 STARTTLS\r\n"
                                       "220 Go\r\n250-mx.test\r\n250 X-EVIL\r\n");
         cut++) {
        struct lab lab;
        lab_play(&lab, &setup, cut);
        assert_true(lab.closed && lab.end == SMTP_CLIENT_END_TLS_INJECTED);
        assert_int_equal(lab.end_verdict.phase, SMTP_CLIENT_PHASE_TLS);
        assert_null(strstr((const char *)buffer_bytes(&lab.transcript).at, "<ready>"));
        lab_fini(&lab);
    }
}

static void read_offers(const char *ehlo, struct smtp_client_offers *offers)
{
    const struct lab_setup setup = {.config = {.hello = "us.test"}, .message_count = 0};
    struct lab lab;

    lab_begin(&lab, &setup);
    lab_feed(&lab, "220 hi\r\n");
    lab_feed(&lab, ehlo);
    assert_non_null(lab.client);
    *offers = *smtp_client_offers(lab.client);
    lab_fini(&lab);
}

static void test_offers(void **state)
{
    struct smtp_client_offers offers;

    (void)state;
    read_offers("250-mx PIPELINING\r\n250-pipelining\r\n250-Limits RCPTMAX=5 MAILMAX=x "
                "RCPTDOMAINMAX=1 OTHER=2\r\n250-SIZE 99999999999999999999999\r\n"
                "250-DELIVERBY 30,x\r\n250 DSN   \r\n",
                &offers);
    assert_true(offers.extended && offers.pipelining && offers.size && offers.deliver_by);
    assert_true(offers.dsn);
    assert_int_equal(offers.recipients_max, 5);
    assert_int_equal(offers.mails_max, 0);
    assert_int_equal(offers.recipient_domains_max, 1);
    assert_int_equal(offers.size_max, 0);
    assert_int_equal(offers.deliver_by_min_s, 30);
    read_offers("250-PIPELINING\r\n250-8BITMIMES\r\n250-X DSN\r\n250 SMTPUTF\r\n", &offers);
    assert_true(offers.extended);
    assert_false(offers.pipelining || offers.eight_bit || offers.dsn || offers.smtputf8);
    read_offers("250 STARTTLS\r\n", &offers);
    assert_false(offers.starttls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_injection),
        cmocka_unit_test(test_offers),
    };

    return cmocka_run_group_tests_name("smtp/relay/client: extensions", tests, NULL, NULL);
}
