/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/base64.h"

#include "node/mail/text.h"

static const char letters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_value(uint8_t byte)
{
    if (byte >= 'A' && byte <= 'Z')
        return byte - 'A';
    if (byte >= 'a' && byte <= 'z')
        return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9')
        return byte - '0' + 52;
    return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

void mail_base64_encode(struct bytes bytes, struct buffer *text)
{
    uint8_t *out = buffer_reserve(text, bytes.len / 3 * 4 + 4);
    size_t len = 0;

    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t group = (uint32_t)bytes.at[i] << 16;
        if (left > 1)
            group |= (uint32_t)bytes.at[i + 1] << 8;
        if (left > 2)
            group |= bytes.at[i + 2];
        out[len++] = (uint8_t)letters[group >> 18];
        out[len++] = (uint8_t)letters[(group >> 12) & 63];
        out[len++] = left > 1 ? (uint8_t)letters[(group >> 6) & 63] : '=';
        out[len++] = left > 2 ? (uint8_t)letters[group & 63] : '=';
    }
    buffer_added(text, len);
}

bool mail_base64_decode(struct bytes text, struct buffer *bytes)
{
    size_t padding = 0;
    uint32_t group = 0;

    if (text.len % 4 != 0)
        return false;
    while (padding < 2 && padding < text.len && text.at[text.len - 1 - padding] == '=')
        padding++;
    uint8_t *out = buffer_reserve(bytes, text.len / 4 * 3 + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        bool is_padding = i >= text.len - padding;
        int value = is_padding ? 0 : base64_value(text.at[i]);
        if (value < 0)
            return false;
        group = group << 6 | (uint32_t)value;
        if (i % 4 != 3)
            continue;
        out[len++] = (uint8_t)(group >> 16);
        out[len++] = (uint8_t)(group >> 8);
        out[len++] = (uint8_t)group;
    }
    /* The bits behind the last byte must be zero: one text for each run of bytes. */
    for (size_t i = 0; i < padding; i++)
        if (out[--len] != 0)
            return false;
    buffer_added(bytes, len);
    return true;
}
