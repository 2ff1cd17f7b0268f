/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "smtp/protocol/header.h"
#include "smtp/protocol/trace.h"

static void expect_trace(const struct smtp_trace *trace, const char *want)
{
    struct buffer header = BUFFER_EMPTY;

    smtp_trace_write(trace, &header);
    buffer_add_byte(&header, '\0');
    assert_string_equal((const char *)buffer_bytes(&header).at, want);
    buffer_fini(&header);
}

static void test_trace_headers(void **state)
{
    struct smtp_recipient recipients[] = {
        {.address = BYTES("y@here.test"), .path = BYTES("Y@here.test")},
        {.address = BYTES("z@here.test"), .path = BYTES("z@here.test")},
    };
    struct smtp_envelope envelope = {
        .helo = BYTES("client.test"),
        .extended = true,
        .sender = BYTES("x@a.test"),
        .recipients = recipients,
        .recipient_count = 1,
    };
    struct smtp_trace trace = {
        .envelope = &envelope,
        .hostname = "mx.test",
        .peer_address = "192.0.2.7",
        .tls_text = "",
        .trace_id = "0123abc",
        .seconds = 784111777, /* Sun, 06 Nov 1994 08:49:37 GMT */
    };

    (void)state;
    expect_trace(&trace, "Return-Path: <x@a.test>\r\n"
                         "Received: from client.test ([192.0.2.7])\r\n"
                         "\tby mx.test with ESMTP id 0123abc\r\n"
                         "\tfor <Y@here.test>;\r\n"
                         "\tSun, 06 Nov 1994 08:49:37 +0000\r\n");
    envelope.tls = true;
    envelope.sender = BYTES("");
    envelope.recipient_count = 2;
    envelope.helo = BYTES("[IPv6:2001:db8::7]");
    trace.tls_text = "TLSv1.3 TLS_AES_256_GCM_SHA384";
    trace.peer_address = "2001:db8::7";
    expect_trace(&trace, "Return-Path: <>\r\n"
                         "Received: from [IPv6:2001:db8::7] ([IPv6:2001:db8::7])\r\n"
                         "\tby mx.test with ESMTPS id 0123abc\r\n"
                         "\t(TLSv1.3 TLS_AES_256_GCM_SHA384);\r\n"
                         "\tSun, 06 Nov 1994 08:49:37 +0000\r\n");
    envelope.tls = false;
    envelope.extended = false;
    trace.tls_text = "";
    expect_trace(&trace, "Return-Path: <>\r\n"
                         "Received: from [IPv6:2001:db8::7] ([IPv6:2001:db8::7])\r\n"
                         "\tby mx.test with SMTP id 0123abc;\r\n"
                         "\tSun, 06 Nov 1994 08:49:37 +0000\r\n");
}

static void expect_protocol(const struct smtp_envelope *envelope, const char *want)
{
    const struct smtp_trace trace = {
        .envelope = envelope,
        .hostname = "mx.test",
        .peer_address = "192.0.2.7",
        .tls_text = "",
        .trace_id = "1",
    };
    struct buffer header = BUFFER_EMPTY;
    char with[40];

    snprintf(with, sizeof(with), " with %s id ", want);
    smtp_trace_write(&trace, &header);
    buffer_add_byte(&header, '\0');
    if (strstr((const char *)buffer_bytes(&header).at, with) == NULL)
        print_error("%s", (const char *)buffer_bytes(&header).at);
    assert_non_null(strstr((const char *)buffer_bytes(&header).at, with));
    buffer_fini(&header);
}

/* RFC 3848 and RFC 6531 section 4.3. */
static void test_names_of_protocols(void **state)
{
    static const struct {
        struct smtp_envelope envelope;
        const char *want;
    } cases[] = {
        {{.service = SMTP_SERVICE_MX}, "SMTP"},
        {{.service = SMTP_SERVICE_MX, .extended = true}, "ESMTP"},
        {{.service = SMTP_SERVICE_MX, .tls = true}, "ESMTPS"},
        {{.service = SMTP_SERVICE_MX, .extended = true, .utf8 = true}, "UTF8SMTP"},
        {{.service = SMTP_SERVICE_SUBMISSION, .extended = true, .authenticated = true},
         "ESMTPA"},
        {{.service = SMTP_SERVICE_SUBMISSION,
          .extended = true,
          .tls = true,
          .authenticated = true},
         "ESMTPSA"},
        {{.service = SMTP_SERVICE_SUBMISSION, .tls = true, .authenticated = true, .utf8 = true},
         "UTF8SMTPSA"},
        {{.service = SMTP_SERVICE_LMTP, .extended = true}, "LMTP"},
        {{.service = SMTP_SERVICE_LMTP, .extended = true, .tls = true}, "LMTPS"},
        {{.service = SMTP_SERVICE_LMTP, .extended = true, .utf8 = true}, "UTF8LMTP"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect_protocol(&cases[i].envelope, cases[i].want);
}

/* A header that comes in is passed on but for Return-Path, wherever it is cut. */
static void test_return_path_is_left_out(void **state)
{
    static const struct {
        const char *text;
        const char *want;
    } cases[] = {
        {"Return-Path: <e@evil.test>\r\nA: b\r\n\r\nReturn-Path: x\r\n",
         "A: b\r\n\r\nReturn-Path: x\r\n"},
        {"A: b\r\nRETURN-path:\r\n\t<e@\r\n evil.test>\r\nC: d\r\n\r\n",
         "A: b\r\nC: d\r\n\r\n"},
        {"A: b\r\n Return-Path: x\r\nReturn-Pathx: y\r\nReturn: z\r\nR: z\r\n\r\n",
         "A: b\r\n Return-Path: x\r\nReturn-Pathx: y\r\nReturn: z\r\nR: z\r\n\r\n"},
        {"Return-Path: x\r\nReturn-Path: y\r\n", ""},
        {"no field\r\nReturn-Path: x\r\n", "no field\r\nReturn-Path: x\r\n"},
        {"Return-Path\r\nReturn-Path: x\r\n", "Return-Path\r\nReturn-Path: x\r\n"},
        {"\r\nReturn-Path: x\r\n", "\r\nReturn-Path: x\r\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bytes text = bytes_of(cases[i].text);
        for (size_t cut = 0; cut <= text.len; cut++) {
            struct smtp_header header;
            struct buffer output = BUFFER_EMPTY;
            if (cut > 0 && text.at[cut - 1] == '\r')
                continue;
            smtp_header_init(&header);
            assert_int_equal(smtp_header_feed(&header, bytes_from(text.at, cut), &output), 0);
            assert_int_equal(smtp_header_feed(&header, bytes_skip(text, cut), &output), 0);
            buffer_add_byte(&output, '\0');
            assert_string_equal((const char *)buffer_bytes(&output).at, cases[i].want);
            buffer_fini(&output);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trace_headers),
        cmocka_unit_test(test_names_of_protocols),
        cmocka_unit_test(test_return_path_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
