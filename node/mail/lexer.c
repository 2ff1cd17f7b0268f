/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/lexer.h"

size_t lexer_line_end(struct bytes text, size_t from)
{
    while (from < text.len) {
        from += bytes_find(bytes_skip(text, from), '\n');
        if (from < text.len && from > 0 && text.at[from - 1] == '\r')
            return from + 1;
        from++;
    }
    return text.len;
}

static bool is_line_byte(uint8_t byte)
{
    return byte == '\r' || byte == '\n' || byte == '\0';
}

void lexer_add_unfolded(struct buffer *buffer, struct bytes text)
{
    size_t start = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (!is_line_byte(text.at[i]))
            continue;
        buffer_add(buffer, bytes_from(text.at + start, i - start));
        start = i + 1;
    }
    if (text.len > start)
        buffer_add(buffer, bytes_from(text.at + start, text.len - start));
}

/* `at` stands on the opening parenthesis. Inner parentheses belong to the text. */
static void skip_comment(struct bytes *at, struct buffer *comment)
{
    size_t depth = 0;
    size_t i = 0;

    if (comment != NULL)
        buffer_truncate(comment, 0);
    for (; i < at->len; i++) {
        uint8_t byte = at->at[i];
        bool quoted = byte == '\\' && i + 1 < at->len;
        if (quoted) {
            byte = at->at[++i];
        } else if (byte == '(') {
            if (depth++ == 0)
                continue;
        } else if (byte == ')' && --depth == 0) {
            i++;
            break;
        }
        if (comment != NULL && !is_line_byte(byte))
            buffer_add_byte(comment, byte);
    }
    *at = bytes_skip(*at, i);
}

bool lexer_skip(struct bytes *at, struct buffer *comment)
{
    size_t before = at->len;

    while (at->len > 0) {
        if (lexer_is_space(at->at[0]))
            *at = bytes_skip(*at, 1);
        else if (at->at[0] == '(')
            skip_comment(at, comment);
        else
            break;
    }
    return at->len != before;
}

void lexer_quoted(struct bytes *at, struct buffer *text)
{
    size_t i = 1;

    for (; i < at->len; i++) {
        uint8_t byte = at->at[i];
        if (byte == '"') {
            i++;
            break;
        }
        if (byte == '\\' && i + 1 < at->len)
            byte = at->at[++i];
        if (!is_line_byte(byte))
            buffer_add_byte(text, byte);
    }
    *at = bytes_skip(*at, i);
}

struct bytes lexer_run(struct bytes *at, bool (*belongs)(uint8_t byte))
{
    struct bytes run = {at->at, 0};

    while (run.len < at->len && belongs(at->at[run.len]))
        run.len++;
    *at = bytes_skip(*at, run.len);
    return run;
}

bool lexer_is_token(uint8_t byte)
{
    return byte > ' ' && byte < 127 && strchr("()<>@,;:\\\"/[]?=", byte) == NULL;
}
