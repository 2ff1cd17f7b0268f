/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/notice_text.h"

enum { QUOTED_LINE_SIZE_MAX = 76 };

static bool is_line_end(struct bytes at)
{
    return at.len >= 2 && at.at[0] == '\r' && at.at[1] == '\n';
}

/* White space in front of a line's end would be lost. */
static bool stands_for_itself(struct bytes at)
{
    uint8_t byte = at.at[0];

    if (byte == ' ' || byte == '\t')
        return at.len > 1 && !is_line_end(bytes_skip(at, 1));
    return byte > ' ' && byte < 127 && byte != '=';
}

void notice_quoted_add(struct buffer *quoted, struct bytes bytes)
{
    size_t column = 0;

    while (bytes.len > 0) {
        if (is_line_end(bytes)) {
            buffer_add_string(quoted, "\r\n");
            bytes = bytes_skip(bytes, 2);
            column = 0;
            continue;
        }
        bool plain = stands_for_itself(bytes);
        size_t size = plain ? 1 : 3;
        if (column + size > QUOTED_LINE_SIZE_MAX - 1) { /* one is for the "=" */
            buffer_add_string(quoted, "=\r\n");
            column = 0;
        }
        if (plain)
            buffer_add_byte(quoted, bytes.at[0]);
        else
            buffer_printf(quoted, "=%02X", bytes.at[0]);
        column += size;
        bytes = bytes_skip(bytes, 1);
    }
}
