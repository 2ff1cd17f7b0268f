/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/utf8.h"

size_t utf8_ascii_prefix(struct bytes text)
{
    size_t i = 0;

    for (uint64_t word; i + sizeof(word) <= text.len; i += sizeof(word)) {
        memcpy(&word, text.at + i, sizeof(word));
        if ((word & 0x8080808080808080U) != 0)
            break;
    }
    while (i < text.len && text.at[i] < 0x80)
        i++;
    return i;
}

static bool is_tail(struct bytes text, size_t i)
{
    return i < text.len && (text.at[i] & 0xC0) == 0x80;
}

size_t utf8_sequence(struct bytes text)
{
    if (text.len == 0)
        return 0;
    uint8_t first = text.at[0];
    uint8_t second = text.len > 1 ? text.at[1] : 0;
    if (first < 0x80)
        return 1;
    if (first < 0xC2 || first > 0xF4 || !is_tail(text, 1))
        return 0;
    if (first < 0xE0)
        return 2;
    if (first < 0xF0) {
        bool is_overlong = first == 0xE0 && second < 0xA0;
        bool is_surrogate = first == 0xED && second > 0x9F;
        return is_tail(text, 2) && !is_overlong && !is_surrogate ? 3 : 0;
    }
    bool is_overlong = first == 0xF0 && second < 0x90;
    bool is_too_large = first == 0xF4 && second > 0x8F;
    return is_tail(text, 2) && is_tail(text, 3) && !is_overlong && !is_too_large ? 4 : 0;
}

void utf8_add_clean(struct buffer *utf8, struct bytes text)
{
    while (text.len > 0) {
        size_t ascii = utf8_ascii_prefix(text);
        buffer_add(utf8, bytes_from(text.at, ascii));
        text = bytes_skip(text, ascii);
        if (text.len == 0)
            return;
        size_t len = utf8_sequence(text);
        if (len > 0)
            buffer_add(utf8, bytes_from(text.at, len));
        else
            buffer_add(utf8, BYTES("\xEF\xBF\xBD"));
        text = bytes_skip(text, len > 0 ? len : 1);
    }
}

void utf8_add_code_point(struct buffer *utf8, uint32_t code_point)
{
    if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF))
        code_point = 0xFFFD;
    if (code_point < 0x80) {
        buffer_add_byte(utf8, (uint8_t)code_point);
        return;
    }
    int tails = code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3;
    static const uint8_t leads[] = {0, 0xC0, 0xE0, 0xF0};
    buffer_add_byte(utf8, (uint8_t)(leads[tails] | (code_point >> (6 * tails))));
    while (tails-- > 0)
        buffer_add_byte(utf8, (uint8_t)(0x80 | ((code_point >> (6 * tails)) & 0x3F)));
}
