/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/lexer.h"
#include "node/mail/text.h"
#include "node/mail/transfer.h"

/* Encoded words (RFC 2047). */

struct word {
    struct bytes charset;
    struct bytes text;
    bool is_base64;
    size_t len; /* of the whole, from "=?" to "?=" */
};

static bool is_charset(uint8_t byte)
{
    return lexer_is_token(byte);
}

/* The encoded word at the start of `at`. Spaces inside its text are forgiven. No byte is looked
 * at in more than a few tries, because each try ends at the fourth question mark. */
static bool read_word(struct bytes at, struct word *word)
{
    size_t before = at.len;

    if (!lexer_accept(&at, '=') || !lexer_accept(&at, '?'))
        return false;
    word->charset = lexer_run(&at, is_charset);
    if (word->charset.len == 0 || !lexer_accept(&at, '?') || at.len == 0)
        return false;
    uint8_t encoding = byte_lower(at.at[0]);
    at = bytes_skip(at, 1);
    if ((encoding != 'q' && encoding != 'b') || !lexer_accept(&at, '?'))
        return false;
    word->is_base64 = encoding == 'b';
    word->text = bytes_from(at.at, bytes_find(at, '?'));
    at = bytes_skip(at, word->text.len);
    if (!lexer_accept(&at, '?') || !lexer_accept(&at, '='))
        return false;
    word->len = before - at.len;
    return true;
}

static void add_q(struct buffer *raw, struct bytes text)
{
    for (size_t i = 0; i < text.len; i++) {
        int byte = text.at[i] == '=' ? transfer_hex_byte(bytes_skip(text, i + 1)) : -1;
        if (byte >= 0) {
            buffer_add_byte(raw, (uint8_t)byte);
            i += 2;
        } else {
            buffer_add_byte(raw, text.at[i] == '_' ? ' ' : text.at[i]);
        }
    }
}

/* The bytes of neighbouring words of one charset are joined before they are decoded: many
 * senders cut characters in two. */
struct decoder {
    struct buffer utf8;
    struct buffer raw;
    struct bytes charset; /* of what lies in `raw` */
};

static void flush(struct decoder *decoder)
{
    if (buffer_len(&decoder->raw) > 0)
        mail_decode_charset(decoder->charset, buffer_bytes(&decoder->raw), &decoder->utf8);
    buffer_truncate(&decoder->raw, 0);
}

static void add_word(struct decoder *decoder, const struct word *word)
{
    if (!bytes_equal_nocase(decoder->charset, word->charset))
        flush(decoder);
    decoder->charset = word->charset;
    if (word->is_base64)
        mail_decode_transfer(BYTES("BASE64"), word->text, &decoder->raw);
    else
        add_q(&decoder->raw, word->text);
}

static void add_plain(struct decoder *decoder, struct bytes text)
{
    if (text.len == 0)
        return;
    flush(decoder);
    mail_decode_charset(BYTES("UTF-8"), text, &decoder->utf8);
}

static bool is_blank(struct bytes text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!lexer_is_space(text.at[i]))
            return false;
    return true;
}

/* A decoded line end must not become one in whatever the text is written to. */
static struct bytes keep_one_line(struct arena *arena, const struct buffer *utf8)
{
    size_t len = buffer_len(utf8);
    uint8_t *text = arena_alloc(arena, len + 1);

    for (size_t i = 0; i < len; i++) {
        uint8_t byte = buffer_bytes(utf8).at[i];
        text[i] = byte == '\r' || byte == '\n' || byte == '\0' ? ' ' : byte;
    }
    return bytes_from(text, len);
}

struct bytes mail_decode_words(struct arena *arena, struct bytes text)
{
    struct decoder decoder = {BUFFER_EMPTY, BUFFER_EMPTY, {NULL, 0}};
    struct word word;
    size_t plain = 0; /* what is not yet added, in front of `i` */
    bool after_word = false;

    for (size_t i = 0; i < text.len;) {
        i += bytes_find(bytes_skip(text, i), '=');
        if (i == text.len)
            break;
        if (!read_word(bytes_skip(text, i), &word)) {
            i++;
            continue;
        }
        struct bytes between = bytes_from(text.at + plain, i - plain);
        if (!after_word || !is_blank(between))
            add_plain(&decoder, between);
        add_word(&decoder, &word);
        i += word.len;
        plain = i;
        after_word = true;
    }
    add_plain(&decoder, bytes_skip(text, plain));
    flush(&decoder);
    struct bytes decoded = keep_one_line(arena, &decoder.utf8);
    buffer_fini(&decoder.utf8);
    buffer_fini(&decoder.raw);
    return decoded;
}
