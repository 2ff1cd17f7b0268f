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

/* The length of the white space and line end at the start of `text`, or 0 when no line ends
 * there. The end of the text ends a line. */
static size_t blank_line_end(struct bytes text)
{
    size_t i = 0;

    while (i < text.len && (text.at[i] == ' ' || text.at[i] == '\t'))
        i++;
    if (i + 1 < text.len && text.at[i] == '\r' && text.at[i + 1] == '\n')
        return i + 2;
    return i < text.len && text.at[i] == '\n' ? i + 1 : 0;
}

/* RFC 2045 section 6.7. An equals sign that starts nothing stays. */
static void decode_quoted(struct bytes body, struct buffer *decoded)
{
    while (body.len > 0) {
        size_t plain = 0;
        while (plain < body.len && body.at[plain] != '=' && body.at[plain] != ' ' &&
               body.at[plain] != '\t')
            plain++;
        buffer_add(decoded, bytes_from(body.at, plain));
        body = bytes_skip(body, plain);
        if (body.len == 0)
            return;
        if (body.at[0] == '=') {
            struct bytes rest = bytes_skip(body, 1);
            int byte = transfer_hex_byte(rest);
            size_t soft = blank_line_end(rest);
            if (byte >= 0) {
                buffer_add_byte(decoded, (uint8_t)byte);
                body = bytes_skip(body, 3);
                continue;
            }
            if (soft == 0 && rest.len > 0)
                buffer_add_byte(decoded, '=');
            body = bytes_skip(rest, soft);
            continue;
        }
        /* White space at the end of a line was added on the way. */
        size_t blank = 0;
        while (blank < body.len && (body.at[blank] == ' ' || body.at[blank] == '\t'))
            blank++;
        bool ends =
            blank == body.len || body.at[blank] == '\n' ||
            (body.at[blank] == '\r' && blank + 1 < body.len && body.at[blank + 1] == '\n');
        if (!ends)
            buffer_add(decoded, bytes_from(body.at, blank));
        body = bytes_skip(body, blank);
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
