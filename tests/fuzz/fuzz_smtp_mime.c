/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/buffer.h"
#include "node/base/check.h"
#include "smtp/message/mime_guard.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Where an entity lies, from what was called back. */
struct place {
    uint64_t header_at;
    uint64_t body_at;
    uint64_t end;
    bool has_ended;
};

struct trace {
    struct buffer text; /* all of it: it has to be the message */
    struct buffer kinds;
    struct place places[SMTP_MIME_PART_COUNT_MAX];
    size_t count;
};

static void add(struct trace *trace, uint8_t kind, struct bytes text)
{
    buffer_add(&trace->text, text);
    for (size_t i = 0; i < text.len; i++)
        buffer_add_byte(&trace->kinds, kind);
}

static void on_header(void *context, const struct mime_entity *entity, struct bytes header)
{
    struct trace *trace = context;

    CHECK(trace->count < SMTP_MIME_PART_COUNT_MAX);
    CHECK(entity->depth >= 1 && entity->depth <= SMTP_MIME_DEPTH_MAX);
    struct place *place = &trace->places[trace->count++];
    *place = (struct place){.header_at = buffer_len(&trace->text)};
    add(trace, 'h', header);
    place->body_at = buffer_len(&trace->text);
}

static void on_body(void *context, struct bytes text)
{
    CHECK(text.len > 0);
    add(context, 'b', text);
}

static void on_boundary(void *context, struct bytes text)
{
    add(context, 'd', text);
}

static void on_end(void *context)
{
    struct trace *trace = context;
    size_t i = trace->count;

    while (i > 0 && trace->places[i - 1].has_ended)
        i--;
    CHECK(i > 0);
    trace->places[i - 1].end = buffer_len(&trace->text);
    trace->places[i - 1].has_ended = true;
}

static unsigned walk_through(struct bytes text, size_t step, struct trace *trace)
{
    const struct mime_events events = {.context = trace,
                                       .on_header = on_header,
                                       .on_body = on_body,
                                       .on_end = on_end,
                                       .on_boundary = on_boundary};
    struct mime_walk *walk = mime_walk_new(&events);

    while (text.len > 0) {
        struct bytes piece = bytes_from(text.at, step < text.len ? step : text.len);
        mime_walk_feed(walk, piece);
        text = bytes_skip(text, piece.len);
    }
    mime_walk_finish(walk);
    CHECK(mime_walk_parts(walk) == trace->count);
    unsigned faults = mime_walk_faults(walk);
    mime_walk_free(&walk);
    return faults;
}

/* In order, as the walk meets them. */
static void compare(const struct mail_part *part, const struct trace *trace, size_t *index)
{
    for (; part != NULL; part = part->next) {
        CHECK(*index < trace->count);
        const struct place *place = &trace->places[(*index)++];
        CHECK(place->has_ended);
        CHECK(place->header_at == part->header_at && place->body_at == part->body_at);
        CHECK(place->end - place->body_at == part->body_len);
        compare(part->children, trace, index);
    }
}

/* The walk sees the parts that a mailbox will show. */
static void check_scanner(struct bytes text, const struct trace *trace)
{
    struct mail_scanner *scanner = mail_scanner_new();
    struct mail_summary summary;
    struct arena arena;
    size_t index = 0;

    arena_init(&arena);
    mail_scanner_feed(scanner, text);
    mail_scanner_finish(scanner, &arena, &summary);
    if (!summary.truncated) {
        compare(summary.root, trace, &index);
        CHECK(index == trace->count);
    }
    mail_scanner_free(&scanner);
    arena_fini(&arena);
}

static void trace_free(struct trace *trace)
{
    buffer_fini(&trace->text);
    buffer_fini(&trace->kinds);
    free(trace);
}

/* A byte that chooses the size of the pieces, the message. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct bytes text = bytes_from(data + 1, size - 1);
    struct trace *whole = calloc(1, sizeof(*whole));
    struct trace *pieces = calloc(1, sizeof(*pieces));
    CHECK(whole != NULL && pieces != NULL);
    unsigned faults = walk_through(text, SIZE_MAX, whole);
    CHECK(walk_through(text, 1 + data[0] % 16, pieces) == faults);
    CHECK(bytes_equal(buffer_bytes(&whole->text), text));
    CHECK(bytes_equal(buffer_bytes(&pieces->text), text));
    CHECK(bytes_equal(buffer_bytes(&pieces->kinds), buffer_bytes(&whole->kinds)));
    if ((faults & (SMTP_MIME_TOO_DEEP | SMTP_MIME_TOO_MANY_PARTS |
                   SMTP_MIME_TOO_MANY_PARAMETERS | SMTP_MIME_HEADER_TOO_LARGE)) == 0)
        check_scanner(text, whole);
    trace_free(whole);
    trace_free(pieces);
    return 0;
}
