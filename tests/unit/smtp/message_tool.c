/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * smtp/message for message_oracle.py. Reads requests: a letter (what to do), four bytes (the
 * size, the most significant first), a message. Answers each with the size and the text of the
 * message that came out, and the size and the text of a report in lines.
 */
#include <stdio.h>
#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/message/binary_convert.h"
#include "smtp/message/header_edit.h"
#include "smtp/message/mime_guard.h"

static const struct bytes own_names[] = {BYTES_INIT("us.example")};

static const struct smtp_header_edit_config reception = {
    .drop = SMTP_DROP_ON_RECEPTION, .authserv_ids = own_names, .authserv_id_count = 1};
static const struct smtp_header_edit_config submission = {
    .drop = SMTP_DROP_ON_SUBMISSION,
    .authserv_ids = own_names,
    .authserv_id_count = 1,
    .date = BYTES_INIT("Sun, 22 Nov 2026 08:00:00 +0000"),
    .message_id = BYTES_INIT("<added@us.example>")};

/* Pieces of many sizes. */
static struct bytes next_piece(struct bytes *text)
{
    static size_t step = 1;

    step = step * 7 % 1009;
    struct bytes piece = bytes_from(text->at, step < text->len ? step : text->len);
    *text = bytes_skip(*text, piece.len);
    return piece;
}

static void edit(const struct smtp_header_edit_config *config, struct bytes text,
                 struct buffer *output, struct buffer *report)
{
    struct smtp_header_edit *header = smtp_header_edit_new(config);

    while (text.len > 0)
        smtp_header_edit_feed(header, next_piece(&text), output);
    smtp_header_edit_finish(header, output);
    const struct smtp_header_facts *facts = smtp_header_edit_facts(header);
    buffer_printf(report, "faults %u\n", facts->faults);
    for (size_t i = 0; i < facts->from.count; i++)
        if (facts->from.at[i].group == MAIL_ADDRESS_PLAIN)
            buffer_printf(report, "from %.*s@%.*s\n", BYTES_ARG(facts->from.at[i].local),
                          BYTES_ARG(facts->from.at[i].domain));
    buffer_printf(report, "subject %.*s\n", BYTES_ARG(facts->subject));
    smtp_header_edit_free(&header);
}

static void guard(struct bytes text, struct buffer *report)
{
    struct smtp_mime_guard *mime = smtp_mime_guard_new();

    while (text.len > 0)
        smtp_mime_guard_feed(mime, next_piece(&text));
    struct smtp_mime_report found = smtp_mime_guard_finish(mime);
    buffer_printf(report, "faults %u\nparts %zu\n", found.faults, found.parts);
    smtp_mime_guard_free(&mime);
}

static void convert(struct bytes text, struct buffer *output, struct buffer *report)
{
    struct smtp_convert *binary = smtp_convert_new();

    while (text.len > 0)
        smtp_convert_feed(binary, next_piece(&text), output);
    struct smtp_convert_report found = smtp_convert_finish(binary, output);
    buffer_printf(report, "converted %zu\nbinary %d\n", found.converted, found.is_binary);
    smtp_convert_free(&binary);
}

static bool read_request(uint8_t *kind, struct buffer *text)
{
    uint8_t head[5];

    if (fread(head, 1, sizeof(head), stdin) != sizeof(head))
        return false;
    *kind = head[0];
    size_t size =
        (size_t)head[1] << 24 | (size_t)head[2] << 16 | (size_t)head[3] << 8 | head[4];
    buffer_clear(text);
    uint8_t *at = buffer_reserve(text, size + 1);
    CHECK(fread(at, 1, size, stdin) == size);
    buffer_added(text, size);
    return true;
}

static void write_text(const struct buffer *text)
{
    size_t size = buffer_len(text);
    const uint8_t head[] = {(uint8_t)(size >> 24), (uint8_t)(size >> 16), (uint8_t)(size >> 8),
                            (uint8_t)size};

    fwrite(head, 1, sizeof(head), stdout);
    if (size > 0)
        fwrite(buffer_bytes(text).at, 1, size, stdout);
}

int main(void)
{
    struct buffer text = BUFFER_EMPTY;
    uint8_t kind;

    while (read_request(&kind, &text)) {
        struct buffer output = BUFFER_EMPTY;
        struct buffer report = BUFFER_EMPTY;
        if (kind == 'R' || kind == 'S')
            edit(kind == 'R' ? &reception : &submission, buffer_bytes(&text), &output, &report);
        else if (kind == 'M')
            guard(buffer_bytes(&text), &report);
        else if (kind == 'B')
            convert(buffer_bytes(&text), &output, &report);
        write_text(&output);
        write_text(&report);
        fflush(stdout);
        buffer_fini(&output);
        buffer_fini(&report);
    }
    buffer_fini(&text);
    return 0;
}
