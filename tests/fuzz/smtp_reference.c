/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "fuzz/smtp_run.h"
#include "node/base/check.h"

/* The line at the start of `text` without its CRLF; false when there is no end. */
static bool take_line(struct bytes *text, struct bytes *line)
{
    for (size_t i = 0; i + 1 < text->len; i++)
        if (text->at[i] == '\r' && text->at[i + 1] == '\n') {
            *line = bytes_from(text->at, i);
            *text = bytes_skip(*text, i + 2);
            return true;
        }
    *line = *text;
    *text = bytes_skip(*text, text->len);
    return false;
}

/* A header from which Return-Path is left out. */
struct header {
    bool over;
    bool dropping;
    bool first;
};

static void add_line(const struct smtp_config *config, struct header *header, struct bytes line,
                     struct buffer *body)
{
    bool folded = !header->first && line.len > 0 && (line.at[0] == ' ' || line.at[0] == '\t');
    /* A field has a name: a colon that is the first byte of the line counts for nothing. */
    bool field = line.len > 1 && bytes_find(bytes_skip(line, 1), ':') < line.len - 1;

    CHECK(bytes_find(line, '\r') == line.len && bytes_find(line, '\n') == line.len);
    CHECK(bytes_find(line, 0) == line.len && line.len <= config->data_line_size_max - 2);
    header->first = false;
    if (!folded)
        header->dropping = !header->over && bytes_start_nocase(line, BYTES("Return-Path:"));
    if (!header->dropping || header->over) {
        buffer_add(body, line);
        buffer_add(body, BYTES("\r\n"));
    }
    if (!folded && !field)
        header->over = true;
}

static void read_data(const struct smtp_config *config, struct bytes raw, struct buffer *body)
{
    struct header header = {.first = true};
    struct bytes line;

    for (;;) {
        CHECK(take_line(&raw, &line));
        if (bytes_equal(line, BYTES(".")))
            break;
        if (line.len > 0 && line.at[0] == '.')
            line = bytes_skip(line, 1);
        add_line(config, &header, line, body);
    }
    CHECK(raw.len == 0);
}

/* "BDAT size [LAST]" as the engine has taken it; false when it is another command. */
static bool read_bdat(struct bytes line, size_t *size, bool *last)
{
    char text[64];

    if (!bytes_start_nocase(line, BYTES("BDAT ")))
        return false;
    line = bytes_skip(line, 5);
    CHECK(line.len < sizeof(text));
    memcpy(text, line.at, line.len);
    text[line.len] = '\0';
    char *end;
    *size = strtoull(text, &end, 10);
    *last = strcasestr(end, "LAST") != NULL;
    return true;
}

/* The bytes of all chunks; `line` is the first command. */
static void read_chunks(struct bytes line, struct bytes raw, struct buffer *chunks)
{
    size_t size;
    bool last;

    while (true) {
        if (read_bdat(line, &size, &last)) {
            CHECK(size <= raw.len);
            buffer_add(chunks, bytes_from(raw.at, size));
            raw = bytes_skip(raw, size);
            if (last)
                break;
        }
        CHECK(take_line(&raw, &line));
    }
    CHECK(raw.len == 0);
}

static void read_counted(const struct smtp_config *config, struct bytes raw, bool binary,
                         struct buffer *body)
{
    struct header header = {.first = true};
    struct bytes line;

    while (raw.len > 0 && !(binary && header.over)) {
        take_line(&raw, &line);
        add_line(config, &header, line, body);
    }
    buffer_add(body, raw);
}

void smtp_reference_body(const struct smtp_config *config, struct bytes input, size_t start,
                         size_t end, bool binary, struct buffer *body)
{
    size_t from = start - 1;
    struct buffer chunks = BUFFER_EMPTY;
    size_t size;
    bool last;

    while (from > 0 && input.at[from - 1] != '\n')
        from--;
    struct bytes before = {input.at + from, start - from};
    struct bytes command;
    struct bytes raw = {input.at + start, end - start};
    CHECK(take_line(&before, &command));
    if (read_bdat(command, &size, &last)) {
        read_chunks(command, raw, &chunks);
        read_counted(config, buffer_bytes(&chunks), binary, body);
    } else {
        CHECK(!binary);
        read_data(config, raw, body);
    }
    buffer_fini(&chunks);
}
