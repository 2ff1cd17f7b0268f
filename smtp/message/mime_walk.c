/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "smtp/message/mime_walk.h"

#include <stdlib.h>

#include "node/base/check.h"
#include "node/mail/lexer.h"
#include "node/mail/parse.h"
#include "smtp/message/mime_field.h"

/*
 * Invariants:
 *  1. the top entity is the one whose header or body the current byte belongs to;
 *  2. `boundaries` of the open entities have a boundary that is looked for; at none, and
 * outside of a header, nothing is looked for any more;
 *  3. in a body, `held` has what may still turn out as a boundary's line: the CRLF in front,
 * and the line as far as it has come. In a header it has the current line's start.
 */
struct entity {
    bool is_digest;       /* its children are messages unless they say otherwise */
    bool is_signed;       /* it is in, or is itself, a multipart/signed */
    size_t boundary_size; /* 0: none, or its end has come */
    uint8_t boundary[MAIL_BOUNDARY_SIZE_MAX];
};

enum {
    /* "--", the boundary, "--", some white space that was added on the way, CRLF. A longer line
       is no boundary. */
    LINE_SIZE_MAX = 256,
    STACK_SIZE_FIRST = 4,
};

struct mime_walk {
    const struct mime_events *events;
    struct entity *stack;
    size_t stack_size;
    size_t depth;
    size_t depth_most;
    size_t boundaries;
    size_t parts;
    unsigned faults;

    bool in_header;
    bool is_line_long; /* of a header: not all of it in `held` */
    struct buffer header;

    enum {
        IN_TEXT, /* no boundary's line can begin here */
        IN_CR,   /* a CR is held */
        IN_LINE, /* at, or behind, the start of a line */
    } at;
    size_t front; /* of `held`: the CRLF in front of the line */
    size_t held_size;
    uint8_t held[2 + LINE_SIZE_MAX];

    struct arena header_arena; /* until on_header() is over */
    struct parse parse;
};

static struct entity *top(struct mime_walk *walk)
{
    return &walk->stack[walk->depth - 1];
}

static bool has_room(const struct mime_walk *walk)
{
    return walk->depth < SMTP_MIME_DEPTH_MAX && walk->parts < SMTP_MIME_PART_COUNT_MAX;
}

static void note_no_room(struct mime_walk *walk)
{
    walk->faults |=
        walk->depth == SMTP_MIME_DEPTH_MAX ? SMTP_MIME_TOO_DEEP : SMTP_MIME_TOO_MANY_PARTS;
}

/* Opens an entity whose header comes now. */
static void push(struct mime_walk *walk)
{
    bool is_signed = walk->depth > 0 && top(walk)->is_signed;

    if (walk->depth == walk->stack_size) {
        walk->stack_size = walk->stack_size > 0 ? 2 * walk->stack_size : STACK_SIZE_FIRST;
        walk->stack = realloc(walk->stack, walk->stack_size * sizeof(*walk->stack));
        CHECK(walk->stack != NULL);
    }
    walk->depth++;
    *top(walk) = (struct entity){.is_signed = is_signed};
    walk->parts++;
    if (walk->depth > walk->depth_most)
        walk->depth_most = walk->depth;
    walk->in_header = true;
    walk->is_line_long = false;
    walk->held_size = 0;
    buffer_clear(&walk->header);
}

struct mime_walk *mime_walk_new(const struct mime_events *events)
{
    struct mime_walk *walk = calloc(1, sizeof(*walk));

    CHECK(walk != NULL);
    walk->events = events;
    arena_init(&walk->header_arena);
    parse_init(&walk->parse, &walk->header_arena);
    push(walk);
    return walk;
}

void mime_walk_free(struct mime_walk **walk)
{
    if (*walk == NULL)
        return;
    parse_fini(&(*walk)->parse);
    arena_fini(&(*walk)->header_arena);
    buffer_fini(&(*walk)->header);
    free((*walk)->stack);
    free(*walk);
    *walk = NULL;
}

unsigned mime_walk_faults(const struct mime_walk *walk)
{
    return walk->faults;
}

size_t mime_walk_parts(const struct mime_walk *walk)
{
    return walk->parts;
}

size_t mime_walk_depth_most(const struct mime_walk *walk)
{
    return walk->depth_most;
}

bool mime_walk_settled(const struct mime_walk *walk)
{
    return !walk->in_header && walk->boundaries == 0;
}

static void tell_body(struct mime_walk *walk, struct bytes text)
{
    if (text.len > 0 && walk->events->on_body != NULL)
        walk->events->on_body(walk->events->context, text);
}

static void tell_held(struct mime_walk *walk, size_t size)
{
    tell_body(walk, bytes_from(walk->held, size));
    walk->held_size -= size;
    memmove(walk->held, walk->held + size, walk->held_size);
}

/* One that begins another is told apart here, and perhaps not elsewhere. */
static void compare_boundaries(struct mime_walk *walk, struct bytes boundary)
{
    for (size_t i = 0; i + 1 < walk->depth; i++) {
        const struct entity *outer = &walk->stack[i];
        size_t common =
            outer->boundary_size < boundary.len ? outer->boundary_size : boundary.len;
        if (common > 0 && memcmp(outer->boundary, boundary.at, common) == 0)
            walk->faults |= SMTP_MIME_ODD_BOUNDARY;
    }
}

static bool open_multipart(struct mime_walk *walk, const struct mail_part *part)
{
    struct entity *entity = top(walk);
    struct bytes boundary = mime_part_boundary(part, &walk->faults);

    entity->is_digest = bytes_equal(part->subtype, BYTES("DIGEST"));
    entity->is_signed |= bytes_equal(part->subtype, BYTES("SIGNED"));
    if (boundary.len == 0)
        return false;
    compare_boundaries(walk, boundary);
    entity->boundary_size = boundary.len;
    memcpy(entity->boundary, boundary.at, boundary.len);
    walk->boundaries++;
    return true;
}

static enum mime_kind open_entity(struct mime_walk *walk, const struct mail_part *part)
{
    if (buffer_len(&walk->header) == MAIL_HEADER_SIZE_MAX)
        return MIME_LEAF;
    if (bytes_equal(part->type, BYTES("MULTIPART")))
        return open_multipart(walk, part) ? MIME_MULTIPART : MIME_LEAF;
    if (!mime_part_is_message(part))
        return MIME_LEAF;
    if (has_room(walk))
        return MIME_MESSAGE;
    note_no_room(walk);
    return MIME_LEAF;
}

/* The top entity's header is complete, or full. A message begins with a header again. */
static void end_header(struct mime_walk *walk)
{
    struct mail_part part = {.id = {NULL, 0}};
    unsigned received_count = 0;
    bool in_digest = walk->depth > 1 && walk->stack[walk->depth - 2].is_digest;
    struct bytes header = buffer_bytes(&walk->header);

    walk->parse.kept = 0;
    parse_header(&walk->parse, header, &part, NULL, &received_count);
    mime_part_defaults(&part, in_digest);
    walk->faults |= mime_header_faults(header);
    struct mime_entity entity = {
        .part = &part,
        .depth = walk->depth,
        .is_in_signed = walk->depth > 1 && walk->stack[walk->depth - 2].is_signed,
        .is_header_whole = header.len < MAIL_HEADER_SIZE_MAX,
    };
    entity.kind = open_entity(walk, &part);
    walk->in_header = false;
    walk->at = IN_LINE;
    walk->front = 0;
    walk->held_size = 0;
    if (!entity.is_header_whole)
        walk->faults |= SMTP_MIME_HEADER_TOO_LARGE;
    if (walk->events->on_header != NULL)
        walk->events->on_header(walk->events->context, &entity, header);
    buffer_clear(&walk->header);
    arena_reset(&walk->header_arena);
    if (entity.kind == MIME_MESSAGE)
        push(walk);
}

static void close_entities(struct mime_walk *walk, size_t kept)
{
    while (walk->depth > kept) {
        if (top(walk)->boundary_size > 0) {
            walk->faults |= SMTP_MIME_UNENDED;
            walk->boundaries--;
        }
        if (walk->events->on_end != NULL)
            walk->events->on_end(walk->events->context);
        walk->depth--;
    }
}

/* Innermost first: of two equal boundaries the inner one is meant. */
static bool line_is_boundary(const struct mime_walk *walk, struct bytes line, size_t *index,
                             bool *is_last)
{
    if (line.len >= 2 && line.at[line.len - 1] == '\n' && line.at[line.len - 2] == '\r')
        line.len -= 2;
    if (line.len < 3 || line.at[0] != '-' || line.at[1] != '-')
        return false;
    line = bytes_trim(line);
    line = bytes_skip(line, 2);
    for (size_t i = walk->depth; i-- > 0;) {
        const struct entity *entity = &walk->stack[i];
        size_t size = entity->boundary_size;
        bool has_end = line.len == size + 2 && line.at[size] == '-' && line.at[size + 1] == '-';
        if (size == 0 || (line.len != size && !has_end) ||
            memcmp(line.at, entity->boundary, size) != 0)
            continue;
        *index = i;
        *is_last = has_end;
        return true;
    }
    return false;
}

/* Behind the last boundary: its line's CRLF belongs to the next boundary, if one follows. */
static void end_multipart(struct mime_walk *walk, struct entity *entity, bool has_crlf)
{
    entity->boundary_size = 0;
    walk->boundaries--;
    if (!has_crlf)
        return;
    memcpy(walk->held, "\r\n", 2);
    walk->held_size = walk->front = 2;
    if (walk->boundaries == 0)
        tell_held(walk, 2);
}

/* `text` is the line, with the CRLF in front. */
static void take_boundary(struct mime_walk *walk, size_t index, bool is_last, struct bytes text)
{
    bool has_crlf = text.at[text.len - 1] == '\n' && text.at[text.len - 2] == '\r';

    close_entities(walk, index + 1);
    if (is_last && has_crlf)
        text.len -= 2;
    if (walk->events->on_boundary != NULL)
        walk->events->on_boundary(walk->events->context, text);
    walk->held_size = 0;
    walk->front = 0;
    walk->at = IN_LINE;
    if (is_last)
        end_multipart(walk, &walk->stack[index], has_crlf);
    else if (has_room(walk))
        push(walk);
    else
        note_no_room(walk);
}

/* Of a body: is what is held a boundary's line? */
static bool try_held(struct mime_walk *walk)
{
    struct bytes held = {walk->held, walk->held_size};
    size_t index;
    bool is_last;

    if (!line_is_boundary(walk, bytes_skip(held, walk->front), &index, &is_last))
        return false;
    uint8_t copy[sizeof(walk->held)];
    memcpy(copy, held.at, held.len);
    take_boundary(walk, index, is_last, bytes_from(copy, held.len));
    return true;
}

/* Of a header: the line that `held` has is in `header` as well, at its end. */
static bool try_header_line(struct mime_walk *walk)
{
    struct bytes line = {walk->held, walk->held_size};
    size_t index;
    bool is_last;

    if (walk->is_line_long || !line_is_boundary(walk, line, &index, &is_last))
        return false;
    uint8_t copy[sizeof(walk->held)];
    memcpy(copy, line.at, line.len);
    line.at = copy;
    buffer_truncate(&walk->header, buffer_len(&walk->header) - line.len);
    while (walk->in_header)
        end_header(walk);
    take_boundary(walk, index, is_last, line);
    return true;
}

/* The bytes of one line of a header, or as many as there is room for. */
static size_t take_header(struct mime_walk *walk, struct bytes piece)
{
    size_t size = buffer_len(&walk->header);
    size_t room = MAIL_HEADER_SIZE_MAX - size;
    struct bytes run = {piece.at, bytes_find(piece, '\n')};

    if (room == 0) {
        end_header(walk);
        walk->at = IN_TEXT;
        return 0;
    }
    run.len += run.len < piece.len;
    run.len = run.len < room ? run.len : room;
    uint8_t before = size > 0 ? buffer_bytes(&walk->header).at[size - 1] : 0;
    before = run.len > 1 ? run.at[run.len - 2] : before;
    buffer_add(&walk->header, run);
    if (run.len > LINE_SIZE_MAX - walk->held_size)
        walk->is_line_long = true;
    if (!walk->is_line_long) {
        memcpy(walk->held + walk->held_size, run.at, run.len);
        walk->held_size += run.len;
    }
    if (run.at[run.len - 1] != '\n' || before != '\r')
        return run.len;
    if (!walk->is_line_long && walk->held_size == 2) {
        end_header(walk);
        return run.len;
    }
    if (walk->boundaries > 0 && try_header_line(walk))
        return run.len;
    walk->held_size = 0;
    walk->is_line_long = false;
    return run.len;
}

/* What is held is no boundary's line. */
static void release(struct mime_walk *walk, size_t size)
{
    tell_held(walk, size);
    walk->front = walk->held_size;
    walk->at = walk->held_size == 0 ? IN_TEXT : walk->held_size == 1 ? IN_CR : IN_LINE;
}

/* Up to a CRLF that a boundary may follow. */
static size_t take_text(struct mime_walk *walk, struct bytes piece)
{
    size_t at = 0;

    while ((at += bytes_find(bytes_skip(piece, at), '\n')) < piece.len) {
        bool is_line = at > 0 && piece.at[at - 1] == '\r';
        at++;
        if (!is_line || (at < piece.len && piece.at[at] != '-'))
            continue;
        tell_body(walk, bytes_from(piece.at, at - 2));
        memcpy(walk->held, "\r\n", 2);
        walk->held_size = walk->front = 2;
        walk->at = IN_LINE;
        return at;
    }
    size_t is_cr = piece.at[piece.len - 1] == '\r';
    tell_body(walk, bytes_from(piece.at, piece.len - is_cr));
    if (is_cr > 0) {
        walk->held[0] = '\r';
        walk->held_size = walk->front = 1;
        walk->at = IN_CR;
    }
    return piece.len;
}

/* The bytes of a line as long as it may be a boundary's. */
static size_t take_line(struct mime_walk *walk, struct bytes piece)
{
    size_t line_size = walk->held_size - walk->front;
    struct bytes run = {piece.at, 1};

    if (line_size < 2 && piece.at[0] != '-') {
        release(walk, walk->held_size);
        return 0;
    }
    if (line_size >= 2) {
        run.len = bytes_find(piece, '\n');
        run.len += run.len < piece.len;
        run.len = run.len < LINE_SIZE_MAX - line_size ? run.len : LINE_SIZE_MAX - line_size;
    }
    memcpy(walk->held + walk->held_size, run.at, run.len);
    walk->held_size += run.len;
    const uint8_t *end = walk->held + walk->held_size;
    if (line_size >= 2 && end[-1] == '\n' && end[-2] == '\r') {
        if (!try_held(walk))
            release(walk, walk->held_size - 2);
    } else if (line_size + run.len == LINE_SIZE_MAX) {
        release(walk, walk->held_size - (end[-1] == '\r'));
    }
    return run.len;
}

static size_t take_body(struct mime_walk *walk, struct bytes piece)
{
    if (walk->boundaries == 0) {
        CHECK(walk->held_size == 0);
        tell_body(walk, piece);
        return piece.len;
    }
    if (walk->at == IN_TEXT)
        return take_text(walk, piece);
    if (walk->at == IN_LINE)
        return take_line(walk, piece);
    if (piece.at[0] != '\n') {
        release(walk, walk->held_size);
        return 0;
    }
    walk->held[1] = '\n';
    walk->held_size = walk->front = 2;
    walk->at = IN_LINE;
    return 1;
}

void mime_walk_feed(struct mime_walk *walk, struct bytes piece)
{
    while (piece.len > 0)
        piece = bytes_skip(piece,
                           walk->in_header ? take_header(walk, piece) : take_body(walk, piece));
}

void mime_walk_finish(struct mime_walk *walk)
{
    if (walk->in_header && walk->held_size > 0)
        try_header_line(walk);
    else if (!walk->in_header && (walk->held_size == walk->front || !try_held(walk)))
        release(walk, walk->held_size);
    while (walk->in_header)
        end_header(walk);
    close_entities(walk, 0);
}
