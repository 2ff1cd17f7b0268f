/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/message/binary_convert.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/mail/lexer.h"
#include "node/mail/text.h"
#include "smtp/message/base64_lines.h"

/*
 * A header is held by the walk until it is complete, so the encoding can be put in its place. A
 * text part is held here as well, with its header, while it may still be lines: only its end
 * tells.
 */
struct smtp_convert {
    struct mime_events events;
    struct mime_walk *walk;
    struct buffer *output; /* during a call */
    struct smtp_convert_report report;
    bool needs_crlf; /* a line of base64 is there that nothing has ended yet */

    enum {
        PASS,
        PASS_BINARY, /* a binary leaf that has to stay what it is */
        ENCODE,
        HOLD,             /* a text part that may be lines */
    } mode;               /* of the text of the innermost entity */
    uint8_t last_put;     /* of what passed */
    struct buffer header; /* HOLD */
    struct buffer text;
    size_t line_size; /* of the last line in `text`, CR included */
    struct base64_lines base64;
};

/* What is no message of lines, and what is 8-bit, among the bytes that pass. */
static void look_at(struct smtp_convert *convert, struct bytes text)
{
    struct smtp_convert_report *report = &convert->report;
    uint8_t last = convert->last_put;
    bool is_stray = false;

    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];
        is_stray |= byte == '\0' || (byte == '\n') != (last == '\r');
        report->is_8bit |= byte > 127;
        last = byte;
    }
    convert->last_put = last;
    if (is_stray && convert->mode != PASS_BINARY)
        report->is_stray = true;
}

static void pass(struct smtp_convert *convert, struct bytes text)
{
    look_at(convert, text);
    buffer_add(convert->output, text);
}

/* The header with another encoding in the place of the first, and without any further one. */
static void pass_header(struct smtp_convert *convert, struct bytes header,
                        struct bytes encoding)
{
    struct mail_field field;
    bool is_done = false;

    convert->report.converted++;
    while (header.len > 0) {
        if (!mail_field_next(&header, &field)) {
            struct bytes line = bytes_from(header.at, lexer_line_end(header, 0));
            pass(convert, line);
            header = bytes_skip(header, line.len);
        } else if (!bytes_equal_nocase(field.name, BYTES("Content-Transfer-Encoding"))) {
            pass(convert, field.whole);
        } else if (!is_done) {
            pass(convert, BYTES("Content-Transfer-Encoding: "));
            pass(convert, encoding);
            pass(convert, BYTES("\r\n"));
            is_done = true;
        }
    }
}

/* The text part is no lines, or too large to know. */
static void encode_held(struct smtp_convert *convert)
{
    convert->mode = ENCODE;
    pass_header(convert, buffer_bytes(&convert->header), BYTES("base64"));
    base64_lines_add(&convert->base64, buffer_bytes(&convert->text), convert->output);
    buffer_clear(&convert->header);
    buffer_clear(&convert->text);
}

static void on_header(void *context, const struct mime_entity *entity, struct bytes header)
{
    struct smtp_convert *convert = context;
    const struct mail_part *part = entity->part;
    bool is_multipart = bytes_equal(part->type, BYTES("MULTIPART"));
    bool is_open = entity->kind != MIME_LEAF;

    convert->mode = PASS;
    if (!bytes_equal(part->encoding, BYTES("BINARY"))) {
        pass(convert, header);
    } else if (entity->is_in_signed || !entity->is_header_whole || (is_multipart && !is_open)) {
        /* The bytes that were signed; or nobody knows what they are. */
        convert->report.is_signed_left |= entity->is_in_signed;
        convert->report.is_binary = true;
        pass(convert, header);
        convert->mode = is_open ? PASS : PASS_BINARY;
    } else if (is_open) {
        pass_header(convert, header, BYTES("8bit"));
    } else if (bytes_equal(part->type, BYTES("TEXT"))) {
        convert->mode = HOLD;
        convert->line_size = 0;
        buffer_add(&convert->header, header);
    } else {
        convert->mode = ENCODE;
        pass_header(convert, header, BYTES("base64"));
    }
}

/* Appends to the held text; returns whether all of it is lines so far. */
static bool hold(struct smtp_convert *convert, struct bytes text)
{
    size_t size = buffer_len(&convert->text);
    uint8_t last = size > 0 ? buffer_bytes(&convert->text).at[size - 1] : 0;

    if (text.len > SMTP_CONVERT_TEXT_SIZE_MAX - size)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t byte = text.at[i];
        if (byte == '\0' || (byte == '\n') != (last == '\r'))
            return false;
        convert->line_size = byte == '\n' ? 0 : convert->line_size + 1;
        if (convert->line_size > SMTP_CONVERT_LINE_SIZE_MAX + (byte == '\r'))
            return false;
        last = byte;
    }
    buffer_add(&convert->text, text);
    return true;
}

static void on_body(void *context, struct bytes text)
{
    struct smtp_convert *convert = context;

    if (convert->mode == HOLD) {
        if (hold(convert, text))
            return;
        encode_held(convert);
    }
    if (convert->mode == ENCODE)
        base64_lines_add(&convert->base64, text, convert->output);
    else
        pass(convert, text);
}

static void on_end(void *context)
{
    struct smtp_convert *convert = context;
    struct bytes held = buffer_bytes(&convert->text);

    if (convert->mode == HOLD && held.len > 0 && held.at[held.len - 1] == '\r')
        encode_held(convert);
    if (convert->mode == HOLD) {
        pass_header(convert, buffer_bytes(&convert->header), BYTES("8bit"));
        pass(convert, held);
        buffer_clear(&convert->header);
        buffer_clear(&convert->text);
    }
    if (convert->mode == ENCODE) {
        convert->needs_crlf = base64_lines_end(&convert->base64, convert->output);
    }
    if (convert->mode == ENCODE || convert->mode == PASS_BINARY)
        convert->last_put = 0;
    convert->mode = PASS;
}

static void on_boundary(void *context, struct bytes text)
{
    struct smtp_convert *convert = context;

    convert->needs_crlf = false; /* it came with the boundary */
    pass(convert, text);
}

struct smtp_convert *smtp_convert_new(void)
{
    struct smtp_convert *convert = calloc(1, sizeof(*convert));

    CHECK(convert != NULL);
    convert->events = (struct mime_events){.context = convert,
                                           .on_header = on_header,
                                           .on_body = on_body,
                                           .on_end = on_end,
                                           .on_boundary = on_boundary};
    convert->walk = mime_walk_new(&convert->events);
    return convert;
}

void smtp_convert_free(struct smtp_convert **convert)
{
    if (*convert == NULL)
        return;
    mime_walk_free(&(*convert)->walk);
    buffer_fini(&(*convert)->header);
    buffer_fini(&(*convert)->text);
    free(*convert);
    *convert = NULL;
}

void smtp_convert_feed(struct smtp_convert *convert, struct bytes piece, struct buffer *output)
{
    convert->output = output;
    mime_walk_feed(convert->walk, piece);
    convert->output = NULL;
}

struct smtp_convert_report smtp_convert_finish(struct smtp_convert *convert,
                                               struct buffer *output)
{
    struct smtp_convert_report *report = &convert->report;

    convert->output = output;
    mime_walk_finish(convert->walk);
    if (convert->needs_crlf)
        buffer_add(output, BYTES("\r\n"));
    if (convert->last_put == '\r')
        report->is_stray = true;
    report->is_binary |= report->is_stray;
    report->mime_faults = mime_walk_faults(convert->walk);
    convert->output = NULL;
    return *report;
}
