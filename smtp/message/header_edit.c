/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/message/header_edit.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "smtp/message/header_fields.h"
#include "smtp/message/header_octets.h"
#include "smtp/message/sanitize.h"

/*
 * Invariants:
 *  1. what was taken is either put out, left out, or in `held`;
 *  2. `held` has the start of a line until its colon, or a field of results until the name in
 *     it; so it is never over the limit of the header;
 *  3. what comes out and what is known never depend on how the text was cut: every decision is
 *     made at a byte, not at the end of a piece.
 */
struct smtp_header_edit {
    struct smtp_header_edit_config config;
    struct smtp_header_facts facts;
    struct arena arena;
    struct parse parse;
    struct header_octets octets;
    enum {
        AT_LINE, /* the next byte begins a line */
        IN_NAME, /* in `held` */
        IN_VALUE,
        OVER,
        FULL, /* a limit was met; within feed() only */
    } at;
    bool has_begun;
    bool has_gap;    /* white space behind the name */
    bool is_field;   /* some field is open */
    bool is_dropped; /* it is left out */
    bool is_held;    /* it is in `held` until it is known whether it is left out */
    bool is_cut;     /* `value` is not all of it */
    bool is_inside;  /* the last byte put out ended no line */
    uint8_t last_byte;
    uint8_t last_put;
    const struct header_row *row; /* of the open field, or NULL */
    size_t size;
    unsigned lines;
    struct buffer held;
    struct buffer value; /* of the open field as far as it is looked at */
};

struct smtp_header_edit *smtp_header_edit_new(const struct smtp_header_edit_config *config)
{
    struct smtp_header_edit *edit = calloc(1, sizeof(*edit));

    CHECK(edit != NULL);
    CHECK(smtp_fields_valid(config->prepend) && smtp_fields_valid(config->append));
    CHECK(smtp_text_clean(config->date) && smtp_text_clean(config->message_id));
    edit->config = *config;
    if (edit->config.size_max == 0)
        edit->config.size_max = SMTP_EDIT_HEADER_SIZE_MAX;
    if (edit->config.lines_max == 0)
        edit->config.lines_max = SMTP_EDIT_HEADER_LINES_MAX;
    arena_init(&edit->arena);
    parse_init(&edit->parse, &edit->arena);
    return edit;
}

void smtp_header_edit_free(struct smtp_header_edit **edit)
{
    if (*edit == NULL)
        return;
    parse_fini(&(*edit)->parse);
    arena_fini(&(*edit)->arena);
    buffer_fini(&(*edit)->held);
    buffer_fini(&(*edit)->value);
    free(*edit);
    *edit = NULL;
}

bool smtp_header_edit_over(const struct smtp_header_edit *edit)
{
    return edit->at == OVER;
}

const struct smtp_header_facts *smtp_header_edit_facts(const struct smtp_header_edit *edit)
{
    return &edit->facts;
}

static void put(struct smtp_header_edit *edit, struct bytes text, struct buffer *output)
{
    if (text.len == 0)
        return;
    uint8_t before = text.len > 1 ? text.at[text.len - 2] : edit->last_put;
    buffer_add(output, text);
    edit->last_put = text.at[text.len - 1];
    edit->is_inside = edit->last_put != '\n' || before != '\r';
}

static void put_held(struct smtp_header_edit *edit, struct buffer *output)
{
    put(edit, buffer_bytes(&edit->held), output);
    buffer_clear(&edit->held);
}

static void begin(struct smtp_header_edit *edit, struct buffer *output)
{
    if (edit->has_begun)
        return;
    edit->has_begun = true;
    put(edit, edit->config.prepend, output);
}

/* Of the field that is held: is it in our name? */
static void settle_results(struct smtp_header_edit *edit, struct buffer *output)
{
    bool ours = header_results_ours(&edit->config, buffer_bytes(&edit->value), edit->is_cut);

    edit->is_held = false;
    if (!ours) {
        put_held(edit, output);
        return;
    }
    edit->facts.counts[SMTP_COUNT_OWN_RESULTS]++;
    if ((edit->config.drop & SMTP_DROP_RESULTS) == 0) {
        put_held(edit, output);
        return;
    }
    buffer_clear(&edit->held);
    edit->is_dropped = true;
    edit->facts.dropped++;
}

static void end_field(struct smtp_header_edit *edit, struct buffer *output)
{
    struct bytes value = buffer_bytes(&edit->value);

    /* The last CRLF is no part of the value. */
    if (!edit->is_cut && value.len >= 2 && value.at[value.len - 1] == '\n' &&
        value.at[value.len - 2] == '\r')
        buffer_truncate(&edit->value, value.len - 2);
    if (edit->is_held)
        settle_results(edit, output);
    if (edit->row != NULL)
        header_read(edit->row, buffer_bytes(&edit->value), edit->is_cut, &edit->config,
                    &edit->parse, &edit->facts);
    buffer_clear(&edit->value);
    edit->row = NULL;
    edit->is_field = false;
    edit->is_dropped = false;
    edit->is_cut = false;
}

/* `held` has a name, perhaps a gap, and its colon. */
static void begin_field(struct smtp_header_edit *edit, struct buffer *output)
{
    struct bytes held = buffer_bytes(&edit->held);
    struct bytes name = bytes_trim(bytes_from(held.at, held.len - 1));

    edit->at = IN_VALUE;
    edit->is_field = true;
    edit->row = header_row_find(name);
    if (edit->row == NULL) {
        put_held(edit, output);
        return;
    }
    if (edit->row->count >= 0)
        edit->facts.counts[edit->row->count]++;
    edit->is_held = edit->row->kind == HEADER_RESULTS;
    if (edit->is_held)
        return;
    edit->is_dropped = (edit->row->drop & edit->config.drop) != 0;
    edit->facts.dropped += edit->is_dropped;
    if (edit->is_dropped)
        buffer_clear(&edit->held);
    else
        put_held(edit, output);
}

/* The line is no field. It passes, and so does what continues it. */
static void begin_other(struct smtp_header_edit *edit, struct buffer *output)
{
    edit->at = IN_VALUE;
    edit->is_field = true;
    edit->facts.faults |= SMTP_FAULT_NO_FIELD;
    put_held(edit, output);
}

static void put_missing(struct smtp_header_edit *edit, enum smtp_header_count count,
                        struct bytes name, struct bytes value, struct buffer *output)
{
    if (edit->facts.counts[count] > 0 || value.len == 0)
        return;
    put(edit, name, output);
    put(edit, value, output);
    put(edit, BYTES("\r\n"), output);
}

/* What belongs at the end of the header. */
static void put_end(struct smtp_header_edit *edit, struct buffer *output)
{
    const struct smtp_header_edit_config *config = &edit->config;

    header_judge(&edit->facts);
    put_missing(edit, SMTP_COUNT_DATE, BYTES("Date: "), config->date, output);
    put_missing(edit, SMTP_COUNT_MESSAGE_ID, BYTES("Message-ID: "), config->message_id, output);
    put(edit, config->append, output);
}

static bool is_name_byte(uint8_t byte)
{
    return byte > ' ' && byte < 127 && byte != ':';
}

static void take_name_byte(struct smtp_header_edit *edit, uint8_t byte, struct buffer *output)
{
    bool is_gap = byte == ' ' || byte == '\t';
    bool is_empty = buffer_len(&edit->held) == 0;

    buffer_add_byte(&edit->held, byte);
    if (is_empty && byte == '\r')
        return;
    if (byte == '\n' && bytes_equal(buffer_bytes(&edit->held), BYTES("\r\n"))) {
        put_end(edit, output);
        put_held(edit, output);
        edit->at = OVER;
        return;
    }
    if (byte == ':' && !is_empty && buffer_bytes(&edit->held).at[0] != '\r') {
        begin_field(edit, output);
        return;
    }
    bool goes_on = (is_gap && !is_empty) || (is_name_byte(byte) && !edit->has_gap);
    edit->has_gap = edit->has_gap || is_gap;
    if (!goes_on || (!edit->has_gap && buffer_len(&edit->held) > SMTP_EDIT_NAME_SIZE_MAX) ||
        buffer_bytes(&edit->held).at[0] == '\r')
        begin_other(edit, output);
}

/* Bytes of a field behind its colon. */
static void take_value(struct smtp_header_edit *edit, struct bytes run, struct buffer *output)
{
    if (edit->row != NULL) {
        size_t room = header_row_size_max(edit->row) - buffer_len(&edit->value);
        size_t kept = run.len < room ? run.len : room;
        buffer_add(&edit->value, bytes_from(run.at, kept));
        if (kept < run.len)
            edit->is_cut = true;
        if (edit->is_held) {
            buffer_add(&edit->held, bytes_from(run.at, kept));
            run = bytes_skip(run, kept);
            if (edit->is_cut)
                settle_results(edit, output);
        }
    }
    if (!edit->is_dropped)
        put(edit, run, output);
}

static void end_line(struct smtp_header_edit *edit)
{
    edit->lines++;
    if (edit->at == OVER)
        return;
    edit->at = edit->lines > edit->config.lines_max ? FULL : AT_LINE;
}

/* One run of bytes of one line; returns how many were taken. */
static size_t step(struct smtp_header_edit *edit, struct bytes text, struct buffer *output)
{
    struct bytes run = {text.at, bytes_find(text, '\n')};
    size_t room = edit->config.size_max - edit->size;

    if (edit->at == AT_LINE) {
        bool continues = text.at[0] == ' ' || text.at[0] == '\t';
        if (!continues || !edit->is_field) {
            end_field(edit, output);
            edit->has_gap = false;
            edit->at = IN_NAME;
        } else {
            edit->at = IN_VALUE;
        }
    }
    if (room == 0) {
        edit->at = FULL;
        return 0;
    }
    run.len += run.len < text.len;
    run.len = run.len < room ? run.len : room;
    if (edit->at == IN_NAME)
        run.len = 1;
    uint8_t before = run.len > 1 ? run.at[run.len - 2] : edit->last_byte;
    edit->size += run.len;
    edit->facts.faults |= header_octets_take(&edit->octets, run);
    edit->last_byte = run.at[run.len - 1];
    if (edit->at == IN_NAME)
        take_name_byte(edit, run.at[0], output);
    else
        take_value(edit, run, output);
    if (edit->last_byte == '\n' && before == '\r')
        end_line(edit);
    return run.len;
}

/*
 * A limit was met. Whoever does not refuse the message has at least all of it: the rest passes
 * unread.
 */
static void give_up(struct smtp_header_edit *edit, struct buffer *output)
{
    edit->facts.faults |= SMTP_FAULT_TOO_LARGE;
    edit->is_cut = true;
    end_field(edit, output);
    put_held(edit, output);
    header_judge(&edit->facts);
    edit->at = OVER;
}

void smtp_header_edit_feed(struct smtp_header_edit *edit, struct bytes text,
                           struct buffer *output)
{
    if (text.len == 0)
        return;
    begin(edit, output);
    while (text.len > 0 && edit->at != OVER && edit->at != FULL)
        text = bytes_skip(text, step(edit, text, output));
    if (edit->at == FULL)
        give_up(edit, output);
    if (edit->at == OVER)
        buffer_add(output, text);
}

void smtp_header_edit_finish(struct smtp_header_edit *edit, struct buffer *output)
{
    begin(edit, output);
    if (edit->at == OVER)
        return;
    if (edit->at == IN_NAME)
        begin_other(edit, output);
    end_field(edit, output);
    edit->facts.faults |= header_octets_end(&edit->octets) | SMTP_FAULT_UNENDED;
    /* Whatever is appended begins a line. */
    struct buffer end = BUFFER_EMPTY;
    bool was_inside = edit->is_inside;
    put_end(edit, &end);
    if (was_inside && buffer_len(&end) > 0)
        buffer_add(output, BYTES("\r\n"));
    buffer_add(output, buffer_bytes(&end));
    buffer_fini(&end);
    edit->at = OVER;
}
