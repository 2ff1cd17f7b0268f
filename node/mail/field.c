/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "node/mail/lexer.h"
#include "node/mail/text.h"

bool mail_field_next(struct bytes *at, struct mail_field *field)
{
    size_t name_len = 0;
    size_t colon;
    size_t end = 0;

    while (name_len < at->len && at->at[name_len] > ' ' && at->at[name_len] < 127 &&
           at->at[name_len] != ':')
        name_len++;
    for (colon = name_len; colon < at->len; colon++)
        if (at->at[colon] != ' ' && at->at[colon] != '\t')
            break;
    if (name_len == 0 || colon == at->len || at->at[colon] != ':')
        return false;
    do
        end = lexer_line_end(*at, end);
    while (end < at->len && (at->at[end] == ' ' || at->at[end] == '\t'));
    field->whole = bytes_from(at->at, end);
    field->name = bytes_from(at->at, name_len);
    field->value = bytes_skip(field->whole, colon + 1);
    if (field->value.len >= 2 && at->at[end - 1] == '\n' && at->at[end - 2] == '\r')
        field->value.len -= 2;
    *at = bytes_skip(*at, end);
    return true;
}

struct bytes mail_unfold(struct arena *arena, struct bytes value)
{
    uint8_t *text = arena_alloc(arena, value.len + 1);
    size_t len = 0;

    for (size_t i = 0; i < value.len; i++)
        if (value.at[i] != '\r' && value.at[i] != '\n' && value.at[i] != '\0')
            text[len++] = value.at[i];
    return bytes_trim(bytes_from(text, len));
}
