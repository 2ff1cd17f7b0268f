/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/message/base64_lines.h"

#include "node/mail/text.h"

static void add_line(struct base64_lines *lines, struct bytes bytes, struct buffer *text)
{
    if (lines->has_line)
        buffer_add(text, BYTES("\r\n"));
    mail_base64_encode(bytes, text);
    lines->has_line = true;
}

void base64_lines_add(struct base64_lines *lines, struct bytes bytes, struct buffer *text)
{
    while (lines->size + bytes.len >= BASE64_LINE_BYTES) {
        size_t taken = BASE64_LINE_BYTES - lines->size;
        if (lines->size == 0) {
            add_line(lines, bytes_from(bytes.at, taken), text);
        } else {
            memcpy(lines->left + lines->size, bytes.at, taken);
            add_line(lines, bytes_from(lines->left, BASE64_LINE_BYTES), text);
            lines->size = 0;
        }
        bytes = bytes_skip(bytes, taken);
    }
    if (bytes.len > 0)
        memcpy(lines->left + lines->size, bytes.at, bytes.len);
    lines->size += bytes.len;
}

bool base64_lines_end(struct base64_lines *lines, struct buffer *text)
{
    if (lines->size > 0)
        add_line(lines, bytes_from(lines->left, lines->size), text);
    bool has_line = lines->has_line;
    *lines = (struct base64_lines){.size = 0};
    return has_line;
}
