/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/lexer.h"
#include "node/mail/parse.h"
#include "node/mail/text.h"
#include "node/mail/utf8.h"

/* HTML is not parsed, only made readable: tags go, the commonest entities become characters. */

static const struct bytes hidden_elements[] = {BYTES_INIT("head"), BYTES_INIT("style"),
                                               BYTES_INIT("script"), BYTES_INIT("title")};
static const struct bytes inline_elements[] = {
    BYTES_INIT("a"), BYTES_INIT("b"),    BYTES_INIT("i"),      BYTES_INIT("u"),
    BYTES_INIT("s"), BYTES_INIT("em"),   BYTES_INIT("strong"), BYTES_INIT("span"),
    BYTES_INIT("q"), BYTES_INIT("font"), BYTES_INIT("small"),  BYTES_INIT("big"),
};
static const struct {
    struct bytes name;
    struct bytes text;
} entities[] = {
    {BYTES_INIT("&amp;"), BYTES_INIT("&")},  {BYTES_INIT("&lt;"), BYTES_INIT("<")},
    {BYTES_INIT("&gt;"), BYTES_INIT(">")},   {BYTES_INIT("&quot;"), BYTES_INIT("\"")},
    {BYTES_INIT("&apos;"), BYTES_INIT("'")}, {BYTES_INIT("&nbsp;"), BYTES_INIT(" ")},
};

static bool is_among(struct bytes name, const struct bytes *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (bytes_equal_nocase(name, names[i]))
            return true;
    return false;
}

static bool is_name(uint8_t byte)
{
    byte = byte_lower(byte);
    return (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');
}

/* Behind the next "</name", or the end. */
static struct bytes skip_element(struct bytes at, struct bytes name)
{
    while (at.len > 0) {
        at = bytes_skip(at, bytes_find(at, '<'));
        struct bytes rest = bytes_skip(at, 2);
        if (at.len > 1 && at.at[1] == '/' && bytes_start_nocase(rest, name))
            return at;
        at = bytes_skip(at, 1);
    }
    return at;
}

static struct bytes skip_markup_comment(struct bytes at)
{
    at = bytes_skip(at, 4);
    while (at.len > 0 && !bytes_start_nocase(at, BYTES("-->"))) {
        at = bytes_skip(at, 1);
        at = bytes_skip(at, bytes_find(at, '-'));
    }
    return bytes_skip(at, 3);
}

/* `at` stands on "<". */
static struct bytes skip_tag(struct bytes at, struct buffer *text)
{
    const size_t hidden_count = sizeof(hidden_elements) / sizeof(hidden_elements[0]);
    const size_t inline_count = sizeof(inline_elements) / sizeof(inline_elements[0]);

    if (bytes_start_nocase(at, BYTES("<!--")))
        return skip_markup_comment(at);
    struct bytes rest = bytes_skip(at, 1);
    bool is_end = lexer_accept(&rest, '/');
    struct bytes name = lexer_run(&rest, is_name);
    at = bytes_skip(at, bytes_find(at, '>') + 1);
    if (!is_end && is_among(name, hidden_elements, hidden_count))
        at = skip_element(at, name);
    if (!is_among(name, inline_elements, inline_count))
        buffer_add_byte(text, ' ');
    return at;
}

/* "&#8211;" or "&#x2013;": at most seven digits, and a semicolon. */
static struct bytes add_number(struct bytes at, struct buffer *text)
{
    struct bytes rest = bytes_skip(at, 2);
    bool is_hex = lexer_accept(&rest, 'x') || lexer_accept(&rest, 'X');
    struct bytes digits = bytes_from(rest.at, rest.len < 8 ? rest.len : 8);
    uint32_t number = 0;

    digits.len = bytes_find(digits, ';');
    bool is_valid = digits.len > 0 && digits.len <= 7 && digits.len < rest.len;

    for (size_t i = 0; is_valid && i < digits.len; i++) {
        uint8_t byte = byte_lower(digits.at[i]);
        uint32_t digit = byte <= '9' ? (uint32_t)byte - '0' : (uint32_t)byte - 'a' + 10;
        is_valid = is_name(byte) && digit < (is_hex ? 16 : 10);
        number = number * (is_hex ? 16 : 10) + digit;
    }
    if (!is_valid) {
        buffer_add_byte(text, '&');
        return bytes_skip(at, 1);
    }
    utf8_add_code_point(text, number);
    return bytes_skip(rest, digits.len + 1);
}

/* `at` stands on "&". */
static struct bytes add_entity(struct bytes at, struct buffer *text)
{
    if (at.len > 1 && at.at[1] == '#')
        return add_number(at, text);
    for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++) {
        if (bytes_start_nocase(at, entities[i].name)) {
            buffer_add(text, entities[i].text);
            return bytes_skip(at, entities[i].name.len);
        }
    }
    buffer_add_byte(text, '&');
    return bytes_skip(at, 1);
}

static bool is_text(uint8_t byte)
{
    return byte != '<' && byte != '&';
}

static void add_html(struct bytes at, struct buffer *text)
{
    while (at.len > 0) {
        buffer_add(text, lexer_run(&at, is_text));
        if (at.len > 0)
            at = at.at[0] == '<' ? skip_tag(at, text) : add_entity(at, text);
    }
}

/* The first characters of `utf8`, control characters as spaces, runs of spaces as one. */
static struct bytes fold_space(struct arena *arena, struct bytes utf8)
{
    uint8_t *text = arena_alloc(arena, PREVIEW_CHARACTERS_MAX * 4 + 1);
    size_t len = 0;
    size_t count = 0;
    bool gap = false;

    while (utf8.len > 0) {
        size_t size = utf8_sequence(utf8);
        size_t step = size > 0 ? size : 1;
        bool is_no_break = size == 2 && utf8.at[0] == 0xC2 && utf8.at[1] == 0xA0;
        if (utf8.at[0] <= ' ' || utf8.at[0] == 127 || size == 0 || is_no_break) {
            gap = len > 0;
        } else {
            if (count + gap + 1 > PREVIEW_CHARACTERS_MAX)
                break;
            if (gap)
                text[len++] = ' ';
            memcpy(text + len, utf8.at, size);
            len += size;
            count += 1 + gap;
            gap = false;
        }
        utf8 = bytes_skip(utf8, step);
    }
    return bytes_from(text, len);
}

struct bytes preview_make(struct arena *arena, const struct mail_part *part,
                          struct bytes sample)
{
    struct buffer decoded = BUFFER_EMPTY;
    struct buffer utf8 = BUFFER_EMPTY;
    struct bytes charset = BYTES("US-ASCII");

    for (size_t i = 0; i < part->parameter_count; i++)
        if (bytes_equal_nocase(part->parameters[i].name, BYTES("charset")))
            charset = part->parameters[i].value;
    mail_decode_transfer(part->encoding, sample, &decoded);
    mail_decode_charset(charset, buffer_bytes(&decoded), &utf8);
    if (bytes_equal(part->subtype, BYTES("HTML"))) {
        buffer_truncate(&decoded, 0);
        add_html(buffer_bytes(&utf8), &decoded);
        struct buffer text = decoded;
        decoded = utf8;
        utf8 = text;
    }
    struct bytes preview = fold_space(arena, buffer_bytes(&utf8));
    buffer_fini(&decoded);
    buffer_fini(&utf8);
    return preview;
}
