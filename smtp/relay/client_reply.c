/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/relay/client_reply.h"

#include "smtp/relay/client_limits.h"

/* Lines of replies. What they mean is in client_verdict.c. */

enum { CODE_LEN = 3 };

void smtp_client_reply_reader_init(struct smtp_client_reply_reader *reader)
{
    *reader = (struct smtp_client_reply_reader){.complete = true};
}

void smtp_client_reply_reader_fini(struct smtp_client_reply_reader *reader)
{
    buffer_fini(&reader->partial);
    buffer_fini(&reader->text);
}

bool smtp_client_reply_reader_is_within(const struct smtp_client_reply_reader *reader)
{
    return !reader->complete || (!reader->line_lent && buffer_len(&reader->partial) > 0);
}

/* "250", at the start of `line`; 0 for anything else. RFC 5321 knows no 1yz. */
static unsigned read_code(struct bytes line)
{
    unsigned code = 0;

    if (line.len < CODE_LEN || line.at[0] < '2' || line.at[0] > '5')
        return 0;
    for (size_t i = 0; i < CODE_LEN; i++) {
        if (line.at[i] < '0' || line.at[i] > '9')
            return 0;
        code = code * 10 + (unsigned)(line.at[i] - '0');
    }
    return code;
}

static void keep_text(struct smtp_client_reply_reader *reader, struct bytes line)
{
    size_t room = SMTP_CLIENT_REPLY_KEPT_MAX - buffer_len(&reader->text);

    if (reader->lines > 1 && room > 0) {
        buffer_add_byte(&reader->text, '\n');
        room--;
    }
    buffer_add(&reader->text, bytes_from(line.at, line.len < room ? line.len : room));
}

/* A whole line without its end. */
static enum smtp_client_reply_event take_line(struct smtp_client_reply_reader *reader,
                                              struct bytes line)
{
    unsigned code = read_code(line);
    bool last = line.len == CODE_LEN || (line.len > CODE_LEN && line.at[CODE_LEN] == ' ');

    if (code == 0 || (!last && line.at[CODE_LEN] != '-'))
        return SMTP_CLIENT_REPLY_MALFORMED;
    if (reader->complete) {
        reader->complete = false;
        reader->code = code;
        reader->lines = 0;
        buffer_clear(&reader->text);
    }
    if (code != reader->code)
        return SMTP_CLIENT_REPLY_MALFORMED;
    if (++reader->lines > SMTP_CLIENT_LINES_MAX)
        return SMTP_CLIENT_REPLY_FLOOD;
    reader->line = bytes_skip(line, CODE_LEN + 1);
    keep_text(reader, reader->line);
    reader->complete = last;
    return last ? SMTP_CLIENT_REPLY_COMPLETE : SMTP_CLIENT_REPLY_LINE;
}

enum smtp_client_reply_event smtp_client_reply_read(struct smtp_client_reply_reader *reader,
                                                    struct bytes *input)
{
    size_t len = bytes_find(*input, '\n');
    bool whole = len < input->len;

    if (reader->line_lent)
        buffer_clear(&reader->partial);
    reader->line_lent = false;
    if (buffer_len(&reader->partial) + len + whole > SMTP_CLIENT_LINE_SIZE_MAX)
        return SMTP_CLIENT_REPLY_FLOOD;
    buffer_add(&reader->partial, bytes_from(input->at, len));
    *input = bytes_skip(*input, len + whole);
    struct bytes line = buffer_bytes(&reader->partial);
    if (!whole) {
        /* What cannot become a reply is not waited for. */
        if (line.len >= CODE_LEN && read_code(line) == 0)
            return SMTP_CLIENT_REPLY_MALFORMED;
        return SMTP_CLIENT_REPLY_MORE;
    }
    if (line.len > 0 && line.at[line.len - 1] == '\r')
        line.len--;
    reader->line_lent = true;
    if (bytes_find(line, '\r') < line.len)
        return SMTP_CLIENT_REPLY_MALFORMED;
    return take_line(reader, line);
}
