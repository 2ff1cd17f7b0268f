/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/notice_text.h"

#include "node/base/check.h"
#include "node/mail/domain.h"
#include "node/mail/utf8.h"

enum {
    FORCED_SIZE = 900, /* of a line without a space to break it at */
    SPACES_MAX = 100,  /* in a row, in a field: an ENVID may have as many */
};

static const struct bytes replacement = BYTES_INIT("\xEF\xBF\xBD");
static const struct bytes cut_mark = BYTES_INIT(" [...]");

/* U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069, U+FEFF: they change how the text around
 * them is read. */
static bool is_direction(struct bytes character)
{
    const uint8_t *at = character.at;

    if (character.len != 3)
        return false;
    if (at[0] == 0xE2 && at[1] == 0x80)
        return at[2] == 0x8E || at[2] == 0x8F || (at[2] >= 0xAA && at[2] <= 0xAE);
    if (at[0] == 0xE2 && at[1] == 0x81)
        return at[2] >= 0xA6 && at[2] <= 0xA9;
    return at[0] == 0xEF && at[1] == 0xBB && at[2] == 0xBF;
}

/* The start of `text` of at most `size_max` bytes that cuts no character. */
static struct bytes cut(struct bytes text, size_t size_max)
{
    if (text.len <= size_max)
        return text;
    size_t len = size_max;
    for (unsigned i = 0; i < 3 && len > 0 && (text.at[len] & 0xC0) == 0x80; i++)
        len--;
    return bytes_from(text.at, len);
}

/* Appends what the character at the start of `text` becomes; returns its length. */
static size_t add_character(struct buffer *clean, struct bytes text,
                            enum notice_charset charset)
{
    uint8_t byte = text.at[0];

    if (byte < 128) {
        buffer_add_byte(clean, byte < ' ' || byte == 127 ? ' ' : byte);
        return 1;
    }
    size_t len = utf8_sequence(text);
    size_t used = len == 0 ? 1 : len;
    struct bytes character = bytes_from(text.at, used);
    if (charset == NOTICE_ASCII)
        buffer_add_byte(clean, '?');
    else if (domain_utf8_character(text) == 0 || is_direction(character))
        buffer_add(clean, replacement);
    else
        buffer_add(clean, character);
    return used;
}

void notice_text_add(struct buffer *clean, struct bytes text, size_t size_max,
                     enum notice_charset charset)
{
    struct bytes start = cut(text, size_max);

    for (size_t i = 0; i < start.len;)
        i += add_character(clean, bytes_skip(start, i), charset);
    if (start.len < text.len)
        buffer_add(clean, cut_mark);
}

void notice_line_add(struct buffer *clean, struct bytes text, size_t size_max,
                     enum notice_charset charset)
{
    struct bytes start = cut(text, size_max);
    bool pending = false; /* a space, once something follows */
    bool any = false;

    for (size_t i = 0; i < start.len;) {
        if (start.at[i] <= ' ' || start.at[i] == 127) {
            pending = any;
            i++;
            continue;
        }
        if (pending)
            buffer_add_byte(clean, ' ');
        pending = false;
        any = true;
        i += add_character(clean, bytes_skip(start, i), charset);
    }
    if (start.len < text.len)
        buffer_add(clean, cut_mark);
}

static uint32_t code_point(struct bytes character)
{
    uint32_t value = character.at[0];

    if (character.len > 1)
        value &= 0x7FU >> character.len;
    for (size_t i = 1; i < character.len; i++)
        value = value << 6 | (character.at[i] & 0x3FU);
    return value;
}

void notice_unitext_add(struct buffer *clean, struct bytes text, size_t size_max)
{
    text = cut(text, size_max);
    for (size_t i = 0; i < text.len;) {
        struct bytes rest = bytes_skip(text, i);
        size_t len = utf8_sequence(rest);
        uint8_t byte = rest.at[0];
        if (len == 0)
            buffer_add_byte(clean, '?');
        else if (len > 1 || byte <= ' ' || byte == 127 || byte == '\\' || byte == '+' ||
                 byte == '=')
            buffer_printf(clean, "\\x{%02X}", code_point(bytes_from(rest.at, len)));
        else
            buffer_add_byte(clean, byte);
        i += len == 0 ? 1 : len;
    }
}

/* A line under way. */
struct line {
    struct buffer *text;
    size_t column;
};

static void line_break(struct line *line, unsigned indent)
{
    buffer_add_string(line->text, "\r\n");
    for (unsigned i = 0; i < indent; i++)
        buffer_add_byte(line->text, ' ');
    line->column = indent;
}

/* What is too long for a line is broken by force. */
static void line_add(struct line *line, struct bytes token, unsigned indent)
{
    while (token.len > 0) {
        size_t room = line->column < FORCED_SIZE ? FORCED_SIZE - line->column : 0;
        struct bytes piece = cut(token, room);
        buffer_add(line->text, piece);
        line->column += piece.len;
        token = bytes_skip(token, piece.len);
        if (token.len > 0)
            line_break(line, indent);
    }
}

static size_t count_spaces(struct bytes text)
{
    size_t spaces = 0;

    while (spaces < text.len && text.at[spaces] == ' ')
        spaces++;
    return spaces;
}

static void check_clean(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        CHECK(text.at[i] >= ' ' && text.at[i] != 127);
}

/* A line is broken in front of the spaces before a word: so unfolding gives the value back, and
 * no line is of spaces alone, which would be taken for the end of the fields. */
void notice_field_add(struct buffer *fields, const char *name, struct bytes value)
{
    struct line line = {fields, strlen(name) + 2};

    check_clean(value);
    buffer_printf(fields, "%s: ", name);
    for (bool first = true; value.len > 0; first = false) {
        size_t spaces = count_spaces(value);
        struct bytes word = bytes_skip(value, spaces);
        word.len = bytes_find(word, ' ');
        value = bytes_skip(value, spaces + word.len);
        if (word.len == 0 && line.column + spaces > NOTICE_LINE_SIZE)
            break; /* at the end */
        if (!first && line.column + spaces + word.len > NOTICE_LINE_SIZE)
            line_break(&line, 0);
        if (spaces > SPACES_MAX)
            spaces = SPACES_MAX;
        for (size_t i = 0; i < spaces; i++)
            buffer_add_byte(fields, ' ');
        line.column += spaces;
        line_add(&line, word, 1);
    }
    buffer_add_string(fields, "\r\n");
}

void notice_wrap(struct buffer *lines, struct bytes text, unsigned indent)
{
    struct line line = {lines, indent};

    check_clean(text);
    for (unsigned i = 0; i < indent; i++)
        buffer_add_byte(lines, ' ');
    for (bool first = true;; first = false) {
        text = bytes_skip(text, count_spaces(text));
        if (text.len == 0)
            break;
        struct bytes word = bytes_from(text.at, bytes_find(text, ' '));
        text = bytes_skip(text, word.len);
        if (!first && line.column + 1 + word.len > NOTICE_LINE_SIZE) {
            line_break(&line, indent);
        } else if (!first) {
            buffer_add_byte(lines, ' ');
            line.column++;
        }
        line_add(&line, word, indent);
    }
    buffer_add_string(lines, "\r\n");
}

bool notice_is_ascii(struct bytes text)
{
    return utf8_ascii_prefix(text) == text.len;
}

bool notice_is_utf8(struct bytes text)
{
    for (size_t i = 0; i < text.len;) {
        size_t len = utf8_sequence(bytes_skip(text, i));
        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

bool notice_is_plain(struct bytes text)
{
    size_t column = 0;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];
        bool ends = byte == '\r' && i + 1 < text.len && text.at[i + 1] == '\n';
        if (byte == '\0' || byte == '\n' || (byte == '\r' && !ends))
            return false;
        if (ends) {
            column = 0;
            i++;
        } else if (++column > NOTICE_LINE_SIZE_MAX) {
            return false;
        }
    }
    return true;
}
