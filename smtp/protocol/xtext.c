/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/xtext.h"

#include "node/base/buffer.h"
#include "node/mail/domain.h"
#include "node/mail/transfer.h"
#include "node/mail/utf8.h"

/* Neither form gets longer by being decoded. */
bool smtp_xtext_decode(struct bytes text, struct arena *arena, struct bytes *decoded)
{
    uint8_t *out = arena_alloc(arena, text.len + 1);
    size_t len = 0;

    for (; text.len > 0; text = bytes_skip(text, 1)) {
        int byte = text.at[0];
        if (byte == '+') {
            byte = transfer_hex_byte(bytes_skip(text, 1));
            text = bytes_skip(text, 2);
        } else if (byte <= ' ' || byte == '=') {
            return false;
        }
        if (byte < ' ' || byte > '~')
            return false;
        out[len++] = (uint8_t)byte;
    }
    *decoded = bytes_from(out, len);
    return true;
}

static int hex_value(uint8_t byte)
{
    byte = byte_lower(byte);
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* "\x{41}", of 2 to 6 digits, at the start of `text`. Returns its length, or 0. */
static size_t read_embedded(struct bytes text, uint32_t *code_point)
{
    enum { DIGITS_MIN = 2, DIGITS_MAX = 6 };
    struct bytes digits = bytes_skip(text, 3);

    if (!bytes_start_nocase(text, BYTES("\\x{")))
        return 0;
    digits.len = bytes_find(digits, '}');
    if (digits.len < DIGITS_MIN || digits.len > DIGITS_MAX || digits.len + 3 == text.len)
        return 0;
    *code_point = 0;
    for (size_t i = 0; i < digits.len; i++) {
        int value = hex_value(digits.at[i]);
        if (value < 0)
            return 0;
        *code_point = *code_point << 4 | (uint32_t)value;
    }
    return digits.len + 4;
}

/* What the address may hold, written in any way. */
static bool is_allowed(struct bytes character)
{
    if (character.at[0] < 0x80)
        return character.at[0] >= ' ' && character.at[0] <= '~';
    return domain_utf8_character(character) == character.len;
}

static bool take_embedded(struct bytes *text, struct buffer *utf8)
{
    uint32_t code_point;
    size_t len = read_embedded(*text, &code_point);
    struct buffer character = BUFFER_EMPTY;
    bool fine = false;

    /* What is no code point becomes another one, and is not to be taken for it. */
    if (len > 0 && code_point <= 0x10ffff && (code_point < 0xd800 || code_point > 0xdfff)) {
        utf8_add_code_point(&character, code_point);
        fine = is_allowed(buffer_bytes(&character));
        buffer_add(utf8, buffer_bytes(&character));
    }
    buffer_fini(&character);
    *text = bytes_skip(*text, len);
    return fine;
}

bool smtp_unitext_decode(struct bytes text, bool utf8_allowed, struct arena *arena,
                         struct bytes *decoded)
{
    struct buffer utf8 = BUFFER_EMPTY;
    bool fine = true;

    while (fine && text.len > 0) {
        uint8_t byte = text.at[0];
        size_t len = byte < 0x80 ? 1 : utf8_allowed ? domain_utf8_character(text) : 0;
        if (byte == '\\') {
            fine = take_embedded(&text, &utf8);
            continue;
        }
        fine = len > 0 && byte > ' ' && byte != 127 && byte != '+' && byte != '=';
        buffer_add(&utf8, bytes_from(text.at, len));
        text = bytes_skip(text, len);
    }
    *decoded = arena_copy(arena, buffer_bytes(&utf8));
    buffer_fini(&utf8);
    return fine;
}
