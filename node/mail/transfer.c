/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/transfer.h"
#include "node/mail/base64.h"
#include "node/mail/text.h"

/* Bytes outside the alphabet are passed over (RFC 2045 section 6.8); padding starts afresh. */
static void decode_base64(struct bytes body, struct buffer *decoded)
{
    uint8_t *out = buffer_reserve(decoded, body.len / 4 * 3 + 4);
    size_t len = 0;
    uint32_t group = 0;
    unsigned bits = 0;

    for (size_t i = 0; i < body.len; i++) {
        int value = base64_value(body.at[i]);
        if (value >= 0) {
            group = group << 6 | (uint32_t)value;
            bits += 6;
        } else if (body.at[i] == '=') {
            bits = 0;
        }
        if (bits >= 8) {
            bits -= 8;
            out[len++] = (uint8_t)(group >> bits);
        }
    }
    buffer_added(decoded, len);
}

static int hex_digit(uint8_t byte)
{
    byte = byte_lower(byte);
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

int transfer_hex_byte(struct bytes text)
{
    int high = text.len > 1 ? hex_digit(text.at[0]) : -1;
    int low = text.len > 1 ? hex_digit(text.at[1]) : -1;

    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* One line without its end. An equals sign that starts nothing stays. */
static void decode_quoted_line(struct bytes line, struct buffer *decoded)
{
    while (line.len > 0) {
        size_t plain = bytes_find(line, '=');
        buffer_add(decoded, bytes_from(line.at, plain));
        line = bytes_skip(line, plain);
        if (line.len == 0)
            return;
        int byte = transfer_hex_byte(bytes_skip(line, 1));
        buffer_add_byte(decoded, byte >= 0 ? (uint8_t)byte : '=');
        line = bytes_skip(line, byte >= 0 ? 3 : 1);
    }
}

/* RFC 2045 section 6.7. White space at the end of a line was added on the way. */
static void decode_quoted(struct bytes body, struct buffer *decoded)
{
    while (body.len > 0) {
        size_t len = bytes_find(body, '\n');
        size_t whole = len + (len < body.len);
        if (len < body.len && len > 0 && body.at[len - 1] == '\r')
            len--;
        struct bytes end = bytes_from(body.at + len, whole - len);
        while (len > 0 && (body.at[len - 1] == ' ' || body.at[len - 1] == '\t'))
            len--;
        bool is_soft = len > 0 && body.at[len - 1] == '=';
        decode_quoted_line(bytes_from(body.at, len - is_soft), decoded);
        if (!is_soft)
            buffer_add(decoded, end);
        body = bytes_skip(body, whole);
    }
}

void mail_decode_transfer(struct bytes encoding, struct bytes body, struct buffer *decoded)
{
    if (bytes_equal_nocase(encoding, BYTES("BASE64")))
        decode_base64(body, decoded);
    else if (bytes_equal_nocase(encoding, BYTES("QUOTED-PRINTABLE")))
        decode_quoted(body, decoded);
    else
        buffer_add(decoded, body);
}
