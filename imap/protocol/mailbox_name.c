/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/mailbox_name.h"

#include "storage/schema/flags.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

static int digit_value(uint8_t byte)
{
    const char *found = byte != 0 ? strchr(digits, byte) : NULL;

    return found != NULL ? (int)(found - digits) : -1;
}

static void add_utf8(struct buffer *out, uint32_t point)
{
    if (point < 0x80) {
        buffer_add_byte(out, (uint8_t)point);
    } else if (point < 0x800) {
        buffer_add_byte(out, (uint8_t)(0xC0 | point >> 6));
        buffer_add_byte(out, (uint8_t)(0x80 | (point & 0x3F)));
    } else if (point < 0x10000) {
        buffer_add_byte(out, (uint8_t)(0xE0 | point >> 12));
        buffer_add_byte(out, (uint8_t)(0x80 | (point >> 6 & 0x3F)));
        buffer_add_byte(out, (uint8_t)(0x80 | (point & 0x3F)));
    } else {
        buffer_add_byte(out, (uint8_t)(0xF0 | point >> 18));
        buffer_add_byte(out, (uint8_t)(0x80 | (point >> 12 & 0x3F)));
        buffer_add_byte(out, (uint8_t)(0x80 | (point >> 6 & 0x3F)));
        buffer_add_byte(out, (uint8_t)(0x80 | (point & 0x3F)));
    }
}

/* The next code point of valid, shortest-form UTF-8; false for anything else. */
static bool next_point(struct bytes *text, uint32_t *point)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    uint8_t lead = text->at[0];
    size_t more = lead < 0x80 ? 0 : lead < 0xC0 ? 4 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;

    if (more > 3 || lead > 0xF4 || text->len <= more)
        return false;
    *point = more == 0 ? lead : lead & (0x3Fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((text->at[i] & 0xC0) != 0x80)
            return false;
        *point = *point << 6 | (text->at[i] & 0x3F);
    }
    *text = bytes_skip(*text, more + 1);
    return *point >= least[more] && *point <= 0x10FFFF && (*point < 0xD800 || *point > 0xDFFF);
}

/* UTF-16 units come in one after the other; half a pair waits in *high. */
static bool add_unit(struct buffer *out, uint32_t unit, uint32_t *high)
{
    bool is_low = unit >= 0xDC00 && unit <= 0xDFFF;

    if ((*high != 0) != is_low)
        return false;
    if (unit >= 0xD800 && unit <= 0xDBFF) {
        *high = unit;
        return true;
    }
    if (is_low)
        unit = 0x10000 + ((*high - 0xD800) << 10) + (unit - 0xDC00);
    *high = 0;
    if (unit >= 0x20 && unit <= 0x7E)
        return false; /* stands for itself */
    add_utf8(out, unit);
    return true;
}

/* One run of modified base64, behind its "&" and up to its "-". */
static bool decode_shifted(struct bytes run, struct buffer *out)
{
    uint32_t bits = 0;
    unsigned count = 0;
    uint32_t high = 0;

    for (size_t i = 0; i < run.len; i++) {
        int value = digit_value(run.at[i]);
        if (value < 0)
            return false;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count < 16)
            continue;
        count -= 16;
        if (!add_unit(out, bits >> count & 0xFFFF, &high))
            return false;
        bits &= (1u << count) - 1;
    }
    return high == 0 && count < 6 && bits == 0;
}

static bool decode(struct bytes text, struct buffer *out)
{
    bool was_shifted = false;

    while (text.len > 0) {
        if (text.at[0] != '&') {
            uint32_t point;
            if (!next_point(&text, &point))
                return false;
            add_utf8(out, point);
            was_shifted = false;
            continue;
        }
        text = bytes_skip(text, 1);
        size_t len = bytes_find(text, '-');
        if (len == text.len || (was_shifted && len > 0))
            return false;
        if (len == 0)
            buffer_add_byte(out, '&');
        else if (!decode_shifted(bytes_from(text.at, len), out))
            return false;
        was_shifted = len > 0;
        text = bytes_skip(text, len + 1);
    }
    return true;
}

bool imap_utf7_decode(struct bytes text, struct arena *arena, struct bytes *utf8)
{
    struct buffer out = BUFFER_EMPTY;
    bool good = decode(text, &out);

    if (good)
        *utf8 = arena_copy(arena, buffer_bytes(&out));
    buffer_fini(&out);
    return good;
}

static void add_unit_bits(struct buffer *text, uint32_t unit, uint32_t *bits, unsigned *count)
{
    *bits = *bits << 16 | unit;
    *count += 16;
    while (*count >= 6) {
        *count -= 6;
        buffer_add_byte(text, (uint8_t)digits[*bits >> *count & 0x3F]);
        *bits &= (1u << *count) - 1;
    }
}

void imap_utf7_encode(struct bytes utf8, struct buffer *text)
{
    while (utf8.len > 0) {
        uint32_t point = 0;
        if (utf8.at[0] >= 0x20 && utf8.at[0] <= 0x7E) {
            buffer_add_byte(text, utf8.at[0]);
            if (utf8.at[0] == '&')
                buffer_add_byte(text, '-');
            utf8 = bytes_skip(utf8, 1);
            continue;
        }
        uint32_t bits = 0;
        unsigned count = 0;
        buffer_add_byte(text, '&');
        while (utf8.len > 0 && (utf8.at[0] < 0x20 || utf8.at[0] > 0x7E)) {
            if (!next_point(&utf8, &point)) {
                utf8 = bytes_skip(utf8, 1);
                point = 0xFFFD;
            }
            if (point >= 0x10000) {
                add_unit_bits(text, 0xD800 + ((point - 0x10000) >> 10), &bits, &count);
                point = 0xDC00 + ((point - 0x10000) & 0x3FF);
            }
            add_unit_bits(text, point, &bits, &count);
        }
        if (count > 0)
            buffer_add_byte(text, (uint8_t)digits[bits << (6 - count) & 0x3F]);
        buffer_add_byte(text, '-');
    }
}

static bool level_valid(struct bytes level)
{
    return level.len > 0 && !bytes_equal(level, BYTES(".")) && !bytes_equal(level, BYTES(".."));
}

bool imap_mailbox_name_valid(struct bytes utf8)
{
    struct bytes rest = utf8;
    unsigned depth = 0;

    if (utf8.len == 0 || utf8.len > MAILBOX_NAME_SIZE_MAX)
        return false;
    while (rest.len > 0) {
        uint32_t point;
        if (!next_point(&rest, &point) || point < 0x20 || (point >= 0x7F && point < 0xA0) ||
            point == 0x2028 || point == 0x2029)
            return false;
    }
    for (rest = utf8;; depth++) {
        size_t len = bytes_find(rest, '/');
        if (!level_valid(bytes_from(rest.at, len)))
            return false;
        if (len == rest.len)
            break;
        rest = bytes_skip(rest, len + 1);
    }
    return depth < MAILBOX_DEPTH_MAX;
}

struct bytes imap_mailbox_canonical(struct bytes utf8, struct arena *arena)
{
    struct bytes first = {utf8.at, bytes_find(utf8, '/')};

    if (!bytes_equal_nocase(first, BYTES("INBOX")) || bytes_equal(first, BYTES("INBOX")))
        return utf8;
    uint8_t *copy = arena_alloc(arena, utf8.len);
    memcpy(copy, utf8.at, utf8.len);
    memcpy(copy, "INBOX", 5);
    return bytes_from(copy, utf8.len);
}

static bool finish_name(struct imap_cursor *cursor, struct bytes text, struct bytes *utf8)
{
    if (text.len > 4 * MAILBOX_NAME_SIZE_MAX || !imap_utf7_decode(text, cursor->arena, utf8) ||
        !imap_mailbox_name_valid(*utf8))
        return imap_fail_cannot(cursor, "This can be no mailbox's name");
    *utf8 = imap_mailbox_canonical(*utf8, cursor->arena);
    return true;
}

bool imap_take_mailbox(struct imap_cursor *cursor, struct bytes *utf8)
{
    struct bytes text;

    return imap_take_pattern(cursor, &text) && finish_name(cursor, text, utf8);
}

bool imap_take_new_mailbox(struct imap_cursor *cursor, struct bytes *utf8)
{
    struct bytes text;

    if (!imap_take_pattern(cursor, &text))
        return false;
    if (bytes_find(text, '*') < text.len || bytes_find(text, '%') < text.len)
        return imap_fail_cannot(cursor, "'*' and '%' cannot be in a mailbox's name");
    if (text.len > 0 && text.at[text.len - 1] == '/')
        text.len--;
    return finish_name(cursor, text, utf8);
}
