/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>

#include "node/runtime/proxy_header.h"

#define SIGNATURE "\x0D\x0A\x0D\x0A\x00\x0D\x0A\x51\x55\x49\x54\x0A"
#define TCP4_BODY "\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x00\x19" /* 192.0.2.7:4711 */
#define TCP6_BODY                                                                              \
    "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"     \
    "\xff\xff\x00\x19"
/* Computed elsewhere, over the header of the row with zeros in this place. */
#define CRC "\x35\x8a\x29\xe7"
#define ZEROS_54                                                                               \
    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" \
    "\0\0\0\0\0\0\0\0\0\0"
#define ZEROS_216 ZEROS_54 ZEROS_54 ZEROS_54 ZEROS_54

static const struct row {
    struct bytes input;
    enum proxy_outcome outcome;
    size_t len; /* with CLIENT and LOCAL */
    const char *client;
    unsigned port;
} rows[] = {
    /* Version 1. */
    {BYTES_INIT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\r\nEHLO x\r\n"), PROXY_CLIENT, 43,
     "192.0.2.7", 4711},
    {BYTES_INIT("PROXY TCP6 2001:db8::1 2001:db8::2 0 65535\r\n"), PROXY_CLIENT, 44,
     "2001:db8::1", 0},
    {BYTES_INIT("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n"), PROXY_CLIENT, 37, "192.0.2.7", 1},
    {BYTES_INIT("PROXY UNKNOWN\r\n\r\n"), PROXY_LOCAL, 15, NULL, 0},
    {BYTES_INIT("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n"), PROXY_LOCAL,
     59, NULL, 0},
    {BYTES_INIT("PROXY UNKNOWN 123456789012345678901234567890123456789012345678901234567890"
                "1234567890123456789012345678901\r\nx"),
     PROXY_LOCAL, 107, NULL, 0},
    {BYTES_INIT("PROXY UNKNOWN 123456789012345678901234567890123456789012345678901234567890"
                "12345678901234567890123456789012\r\n"),
     PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\n"), PROXY_MORE, 0, NULL, 0},
    {BYTES_INIT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25\rX"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 25 \r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY TCP4  192.0.2.7 198.51.100.1 4711 25\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY TCP4 192.0.2.7 198.51.100.1 65536 25\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY TCP4 192.0.2.7 198.51.100.1 04711 25\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY TCP4 192.0.2.7 198.51.100.1 4711 -1\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY TCP6 192.0.2.7 2001:db8::2 1 2\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY UNKNOWNS\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("PROXY  UNKNOWN\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("proxy UNKNOWN\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("EHLO mx.example\r\n"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("\x16\x03\x01"), PROXY_MALFORMED, 0, NULL, 0}, /* TLS */
    /* Version 2. */
    {BYTES_INIT(SIGNATURE "\x21\x11\x00\x0c" TCP4_BODY "EHLO x\r\n"), PROXY_CLIENT, 28,
     "192.0.2.7", 4711},
    {BYTES_INIT(SIGNATURE "\x21\x21\x00\x24" TCP6_BODY), PROXY_CLIENT, 52, "2001:db8::1",
     65535},
    {BYTES_INIT(SIGNATURE "\x21\x31\x00\xd8" ZEROS_216 "x"), PROXY_LOCAL, 232, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x21\x00\x00\x00"), PROXY_LOCAL, 16, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x21\x00\x00\x03wha"), PROXY_LOCAL, 19, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x20\x00\x00\x00"), PROXY_LOCAL, 16, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x20\x11\x00\x0c" TCP4_BODY), PROXY_LOCAL, 28, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x20\xff\x00\x02??"), PROXY_LOCAL, 18, NULL, 0},
    /* Fields: no operation, authority; then one that goes on too long, one that is cut. */
    {BYTES_INIT(SIGNATURE "\x21\x11\x00\x13" TCP4_BODY "\x04\x00\x00\x02\x00\x01m"),
     PROXY_CLIENT, 35, "192.0.2.7", 4711},
    {BYTES_INIT(SIGNATURE "\x21\x11\x00\x13" TCP4_BODY "\x04\x00\x00\x02\x00\x02m"),
     PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x21\x11\x00\x0e" TCP4_BODY "\x04\x00"), PROXY_MALFORMED, 0, NULL,
     0},
    /* CRC32c: right, wrong, and of a wrong size. */
    {BYTES_INIT(SIGNATURE "\x21\x11\x00\x13" TCP4_BODY "\x03\x00\x04" CRC), PROXY_CLIENT, 35,
     "192.0.2.7", 4711},
    {BYTES_INIT(SIGNATURE "\x21\x11\x00\x13" TCP4_BODY "\x03\x00\x04\0\0\0\0"), PROXY_MALFORMED,
     0, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x21\x11\x00\x12" TCP4_BODY "\x03\x00\x03\0\0\0"), PROXY_MALFORMED,
     0, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x21\x12\x00\x0c" TCP4_BODY), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x21\x11\x00\x0b" TCP4_BODY), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x21\x21\x00\x0c" TCP4_BODY), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x22"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x11"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x21\x11\x02\x08"), PROXY_MORE, 0, NULL, 0}, /* 536 */
    {BYTES_INIT(SIGNATURE "\x21\x11\x02\x09"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT(SIGNATURE "\x21\x11\xff\xff"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT("\r\n\r\nX"), PROXY_MALFORMED, 0, NULL, 0},
    {BYTES_INIT(""), PROXY_MORE, 0, NULL, 0},
};

static void check_whole(const struct row *row)
{
    char text[ADDRESS_TEXT_SIZE];
    struct proxy_header header;
    assert_int_equal(proxy_header_parse(row->input, &header), row->outcome);
    if (row->outcome == PROXY_CLIENT || row->outcome == PROXY_LOCAL)
        assert_int_equal(header.len, row->len);
    if (row->outcome != PROXY_CLIENT)
        return;
    address_text(&header.client, text);
    assert_string_equal(text, row->client);
    assert_int_equal(header.client_port, row->port);
}

static void headers_of_both_versions_are_understood(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        check_whole(&rows[i]);
}

/* From a copy of its own size, so that a read beyond the end is seen. */
static enum proxy_outcome parse_copy(struct bytes input)
{
    struct proxy_header header;
    uint8_t *exact = malloc(input.len + 1);
    memcpy(exact, input.at, input.len);
    enum proxy_outcome outcome = proxy_header_parse(bytes_from(exact, input.len), &header);
    free(exact);
    return outcome;
}

static void a_header_may_be_cut_at_every_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const struct row *row = &rows[i];
        bool good = row->outcome == PROXY_CLIENT || row->outcome == PROXY_LOCAL;
        for (size_t len = 0; len <= row->input.len; len++) {
            enum proxy_outcome outcome = parse_copy(bytes_from(row->input.at, len));
            if (good)
                assert_int_equal(outcome, len < row->len ? PROXY_MORE : row->outcome);
            else
                assert_true(outcome == PROXY_MORE || outcome == row->outcome);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_of_both_versions_are_understood),
        cmocka_unit_test(a_header_may_be_cut_at_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
