/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/message/sanitize.h"

#include "node/base/check.h"
#include "node/mail/domain.h"
#include "node/mail/utf8.h"

/* The length of the character at the start of `text`, or 0 when it may not be in a header. */
static size_t clean_character(struct bytes text)
{
    if (text.at[0] < 0x80)
        return text.at[0] >= ' ' && text.at[0] != 0x7F;
    return domain_utf8_character(text);
}

bool smtp_text_clean(struct bytes text)
{
    while (text.len > 0) {
        size_t len = clean_character(text);
        if (len == 0)
            return false;
        text = bytes_skip(text, len);
    }
    return true;
}

void smtp_text_add_clean(struct buffer *buffer, struct bytes text)
{
    while (text.len > 0) {
        size_t len = clean_character(text);
        if (len > 0)
            buffer_add(buffer, bytes_from(text.at, len));
        else
            buffer_add_byte(buffer, text.at[0] == '\t' ? ' ' : '?');
        text = bytes_skip(text, len > 0 ? len : 1);
    }
}

static bool is_name(struct bytes name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] <= ' ' || name.at[i] >= 127 || name.at[i] == ':')
            return false;
    return name.len > 0;
}

/* Spaces, and then the bytes up to the next space. */
static struct bytes take_word(struct bytes *rest)
{
    size_t len = 0;

    while (len < rest->len && rest->at[len] == ' ')
        len++;
    while (len < rest->len && rest->at[len] != ' ')
        len++;
    struct bytes word = bytes_from(rest->at, len);
    *rest = bytes_skip(*rest, len);
    return word;
}

/* A line break goes in front of the spaces: unfolded, the value is what it was. */
static bool add_folded(struct buffer *header, size_t column, struct bytes value)
{
    while (value.len > 0) {
        struct bytes word = take_word(&value);
        if (column + word.len > SMTP_FIELD_LINE_SIZE && word.at[0] == ' ') {
            buffer_add(header, BYTES("\r\n"));
            column = 0;
        }
        column += word.len;
        if (column > SMTP_FIELD_LINE_SIZE_MAX)
            return false;
        buffer_add(header, word);
    }
    return true;
}

enum err smtp_field_add(struct buffer *header, struct bytes name, struct bytes value)
{
    size_t before = buffer_len(header);

    CHECK(is_name(name));
    if (!smtp_text_clean(value))
        return ERR_MALFORMED;
    if (value.len > SMTP_FIELD_VALUE_SIZE_MAX)
        return ERR_TOOBIG;
    /* Space at the ends means nothing, and would make lines of nothing but space. */
    value = bytes_trim(value);
    buffer_add(header, name);
    buffer_add(header, BYTES(": "));
    if (!add_folded(header, name.len + 2, value)) {
        buffer_truncate(header, before);
        return ERR_TOOBIG;
    }
    buffer_add(header, BYTES("\r\n"));
    return ERR_OK;
}

static bool line_valid(struct bytes line, bool is_first)
{
    if (line.at[0] == ' ' || line.at[0] == '\t') {
        if (is_first || bytes_trim(line).len == 0)
            return false;
    } else {
        size_t colon = bytes_find(line, ':');
        if (colon == line.len || !is_name(bytes_from(line.at, colon)))
            return false;
    }
    for (size_t i = 0; i < line.len; i++)
        if ((line.at[i] < ' ' && line.at[i] != '\t') || line.at[i] == 127)
            return false;
    return true;
}

bool smtp_fields_valid(struct bytes text)
{
    bool is_first = true;

    while (text.len > 0) {
        size_t len = bytes_find(text, '\n');
        if (len == text.len || len < 2 || text.at[len - 1] != '\r' ||
            !line_valid(bytes_from(text.at, len - 1), is_first))
            return false;
        text = bytes_skip(text, len + 1);
        is_first = false;
    }
    return true;
}
