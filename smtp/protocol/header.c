/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/protocol/header.h"

#include "node/base/check.h"
#include "smtp/protocol/limits.h"

enum kind { KIND_RECEIVED, KIND_DROPPED };

/* Names that mean something here, with their colon; each fits into smtp_header.held. */
static const struct name {
    struct bytes text;
    enum kind kind;
} names[] = {
    {BYTES_INIT("received:"), KIND_RECEIVED},
    {BYTES_INIT("return-path:"), KIND_DROPPED},
};

static void release_held(struct smtp_header *header, struct buffer *output)
{
    buffer_add(output, bytes_from(header->held, header->held_len));
    header->held_len = 0;
    header->matching = false;
}

/* The start of a line has grown: is it one of the names, or can it still become one? */
static void match(struct smtp_header *header, struct buffer *output)
{
    struct bytes held = {header->held, header->held_len};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct name *name = &names[i];
        if (!bytes_start_nocase(name->text, held))
            continue;
        if (held.len < name->text.len)
            return;
        if (name->kind == KIND_DROPPED) {
            header->dropping = true;
            header->held_len = 0;
            header->matching = false;
            return;
        }
        header->received++;
        break;
    }
    release_held(header, output);
}

static void line_start(struct smtp_header *header, uint8_t byte)
{
    header->continued = header->lines > 0 && (byte == ' ' || byte == '\t');
    header->named = false;
    if (!header->continued) {
        header->dropping = false;
        header->matching = true;
    }
}

static enum smtp_header_fault line_end(struct smtp_header *header, struct buffer *output)
{
    bool empty = header->column == 2;

    if (header->matching)
        release_held(header, output);
    header->lines++;
    header->column = 0;
    /* The header ends at the empty line; without one, at the first line that is no field. */
    if (empty || (!header->continued && !header->named)) {
        header->over = true;
        header->dropping = false;
        return SMTP_HEADER_FINE;
    }
    if (header->received > SMTP_RECEIVED_MAX)
        return SMTP_HEADER_LOOP;
    if (header->lines > SMTP_HEADER_LINES_MAX)
        return SMTP_HEADER_TOO_MANY_LINES;
    return SMTP_HEADER_FINE;
}

void smtp_header_init(struct smtp_header *header)
{
    *header = (struct smtp_header){.over = false};
}

/* The rest of a line that is known to be kept or dropped, as far as it is here. */
static struct bytes take_run(struct smtp_header *header, struct bytes text,
                             struct buffer *output)
{
    size_t room = SMTP_HEADER_SIZE_MAX - header->size;
    size_t len = bytes_find(text, '\n');
    struct bytes run = {text.at, len < text.len ? len + 1 : len};

    if (run.len > room)
        run.len = room;
    if (!header->named && bytes_find(run, ':') < run.len)
        header->named = true;
    if (!header->dropping)
        buffer_add(output, run);
    return run;
}

static struct bytes take_matched(struct smtp_header *header, struct bytes text,
                                 struct buffer *output)
{
    CHECK(header->held_len < sizeof(header->held));
    if (text.at[0] == ':' && header->column > 0)
        header->named = true;
    header->held[header->held_len++] = text.at[0];
    match(header, output);
    return bytes_from(text.at, 1);
}

enum smtp_header_fault smtp_header_feed(struct smtp_header *header, struct bytes text,
                                        struct buffer *output)
{
    while (text.len > 0 && !header->over) {
        struct bytes taken;
        if (header->column == 0)
            line_start(header, text.at[0]);
        if (header->size == SMTP_HEADER_SIZE_MAX)
            return SMTP_HEADER_TOO_LARGE;
        if (header->matching)
            taken = take_matched(header, text, output);
        else
            taken = take_run(header, text, output);
        header->column += taken.len;
        header->size += taken.len;
        text = bytes_skip(text, taken.len);
        if (taken.at[taken.len - 1] == '\n') {
            enum smtp_header_fault fault = line_end(header, output);
            if (fault != SMTP_HEADER_FINE)
                return fault;
        }
    }
    buffer_add(output, text);
    return SMTP_HEADER_FINE;
}
