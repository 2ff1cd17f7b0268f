/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>

#include "node/base/check.h"
#include "node/mail/date.h"
#include "node/mail/lexer.h"
#include "node/mail/parse.h"
#include "node/mail/text.h"
#include "node/mail/utf8.h"

/*
 * The message is read line by line. An open entity is one whose end has not come yet; they are
 * stacked, the message at the bottom. Invariants:
 *  1. the top entity is the one whose header or body the current line belongs to;
 *  2. a part lies inside the body of its parent, because ends only grow from the top down;
 *  3. at most MAIL_PART_DEPTH_MAX entities are open, and `boundary_count` of them have a
 *     boundary that is still looked for.
 */
struct entity {
    struct mail_part *part;
    struct mail_part **tail;        /* where its next child goes */
    struct mail_envelope *envelope; /* that its header fills, or NULL */
    struct bytes boundary;          /* of a multipart until its end boundary, else empty */
    uint64_t lines_before_body;
    bool is_digest;     /* its children are messages unless they say otherwise */
    bool is_message_in; /* it is a message, or inside one, below the root */
};

/* "--", the boundary, "--", some white space that was added on the way, CRLF. A longer line is
 * no boundary. */
#define LINE_HEAD_SIZE 256

struct mail_scanner {
    struct arena arena;
    struct parse parse;
    struct mail_summary summary;
    struct entity stack[MAIL_PART_DEPTH_MAX];
    size_t depth;
    size_t boundary_count;
    size_t part_count;

    uint64_t at;      /* offset of the next byte */
    uint64_t line_at; /* offset of the current line */
    uint64_t lines;   /* line ends so far */
    uint8_t last_byte;
    bool last_line_empty;

    bool in_header;
    struct buffer header; /* the block so far, up to its limit */

    bool is_candidate; /* the current line may be a boundary and is in `head` so far */
    size_t head_len;
    uint8_t head[LINE_HEAD_SIZE];

    struct mail_part *sampled; /* the part that the preview is made of */
    bool is_sampling;
    struct buffer sample;
};

static struct entity *top(struct mail_scanner *scanner)
{
    return &scanner->stack[scanner->depth - 1];
}

static bool has_room(const struct mail_scanner *scanner)
{
    return scanner->depth < MAIL_PART_DEPTH_MAX && scanner->part_count < MAIL_PART_COUNT_MAX &&
           scanner->parse.kept < MAIL_SUMMARY_MEMORY_MAX;
}

/* Opens an entity on top whose header starts at the next line. */
static void push(struct mail_scanner *scanner, struct mail_envelope *envelope,
                 bool is_message_in)
{
    struct mail_part *part = parse_alloc(&scanner->parse, sizeof(*part));

    part->header_at = scanner->at;
    if (scanner->depth > 0) {
        *top(scanner)->tail = part;
        top(scanner)->tail = &part->next;
    } else {
        scanner->summary.root = part;
    }
    scanner->stack[scanner->depth++] = (struct entity){.part = part,
                                                       .tail = &part->children,
                                                       .envelope = envelope,
                                                       .is_message_in = is_message_in};
    scanner->part_count++;
    scanner->in_header = true;
    buffer_clear(&scanner->header);
}

struct mail_scanner *mail_scanner_new(void)
{
    struct mail_scanner *scanner = calloc(1, sizeof(*scanner));

    CHECK(scanner != NULL);
    arena_init(&scanner->arena);
    parse_init(&scanner->parse, &scanner->arena);
    push(scanner, &scanner->summary.envelope, false);
    return scanner;
}

void mail_scanner_free(struct mail_scanner **scanner)
{
    if (*scanner == NULL)
        return;
    parse_fini(&(*scanner)->parse);
    buffer_fini(&(*scanner)->header);
    buffer_fini(&(*scanner)->sample);
    arena_fini(&(*scanner)->arena);
    free(*scanner);
    *scanner = NULL;
}

static bool type_is(const struct mail_part *part, struct bytes type, struct bytes subtype)
{
    return bytes_equal(part->type, type) && bytes_equal(part->subtype, subtype);
}

static void set_defaults(struct mail_scanner *scanner, struct mail_part *part)
{
    bool in_digest = scanner->depth > 1 && scanner->stack[scanner->depth - 2].is_digest;

    if (part->type.at == NULL) {
        part->type = parse_keep(&scanner->parse, in_digest ? BYTES("MESSAGE") : BYTES("TEXT"));
        part->subtype =
            parse_keep(&scanner->parse, in_digest ? BYTES("RFC822") : BYTES("PLAIN"));
    }
    if (part->encoding.at == NULL)
        part->encoding = parse_keep(&scanner->parse, BYTES("7BIT"));
}

/* Trailing white space does not count, neither here nor on the line. An empty boundary would
 * match the line above a signature. */
static struct bytes find_boundary(struct mail_scanner *scanner, const struct mail_part *part)
{
    for (size_t i = 0; i < part->parameter_count; i++) {
        if (!bytes_equal_nocase(part->parameters[i].name, BYTES("boundary")))
            continue;
        struct bytes boundary = part->parameters[i].value;
        while (boundary.len > 0 && lexer_is_space(boundary.at[boundary.len - 1]))
            boundary.len--;
        if (boundary.len <= MAIL_BOUNDARY_SIZE_MAX)
            return boundary;
        scanner->parse.truncated = true;
        break;
    }
    return (struct bytes){NULL, 0};
}

static void open_multipart(struct mail_scanner *scanner)
{
    struct entity *entity = top(scanner);
    struct bytes boundary = find_boundary(scanner, entity->part);

    if (boundary.len == 0)
        return;
    if (scanner->depth == MAIL_PART_DEPTH_MAX) {
        scanner->parse.truncated = true;
        return;
    }
    entity->boundary = boundary;
    entity->is_digest = bytes_equal(entity->part->subtype, BYTES("DIGEST"));
    scanner->boundary_count++;
}

/* What is encoded is no message yet (RFC 2046 section 5.2.1 forbids it). */
static void open_message(struct mail_scanner *scanner)
{
    struct mail_part *part = top(scanner)->part;

    if (bytes_equal(part->encoding, BYTES("BASE64")) ||
        bytes_equal(part->encoding, BYTES("QUOTED-PRINTABLE")))
        return;
    if (!has_room(scanner)) {
        scanner->parse.truncated = true;
        return;
    }
    part->envelope = parse_alloc(&scanner->parse, sizeof(*part->envelope));
    push(scanner, part->envelope, true);
}

static void open_text(struct mail_scanner *scanner)
{
    const struct entity *entity = top(scanner);
    struct mail_part *part = entity->part;
    bool is_plain = bytes_equal(part->subtype, BYTES("PLAIN"));
    bool is_better = scanner->sampled == NULL ||
                     (is_plain && !bytes_equal(scanner->sampled->subtype, BYTES("PLAIN")));

    if (entity->is_message_in || !is_better ||
        (!is_plain && !bytes_equal(part->subtype, BYTES("HTML"))) ||
        bytes_equal(part->disposition, BYTES("ATTACHMENT")))
        return;
    buffer_truncate(&scanner->sample, 0);
    scanner->sampled = part;
    scanner->is_sampling = true;
}

/* The top entity's header is complete, its body begins at `scanner->at`, or, when a boundary
 * came instead of an empty line, at that line. A message begins with a header again. */
static void end_header(struct mail_scanner *scanner, uint64_t body_at)
{
    struct entity *entity = top(scanner);
    struct mail_part *part = entity->part;
    unsigned received_count = 0;

    parse_header(&scanner->parse, buffer_bytes(&scanner->header), part, entity->envelope,
                 &received_count);
    buffer_clear(&scanner->header);
    if (scanner->depth == 1)
        scanner->summary.received_count = received_count;
    set_defaults(scanner, part);
    part->header_len = body_at - part->header_at;
    part->body_at = body_at;
    entity->lines_before_body = scanner->lines;
    scanner->in_header = false;
    if (bytes_equal(part->type, BYTES("MULTIPART")))
        open_multipart(scanner);
    else if (type_is(part, BYTES("MESSAGE"), BYTES("RFC822")) ||
             type_is(part, BYTES("MESSAGE"), BYTES("GLOBAL")))
        open_message(scanner);
    else if (bytes_equal(part->type, BYTES("TEXT")))
        open_text(scanner);
    if (scanner->in_header)
        top(scanner)->part->header_at = body_at;
}

/*
 * Ends all entities above the `kept` lowest. `end` is where the innermost body ends; `behind`
 * is the start of the line that ended it, two bytes further when its CRLF belongs to a
 * boundary.
 */
static void close_entities(struct mail_scanner *scanner, size_t kept, uint64_t end,
                           uint64_t behind)
{
    bool has_partial_line = scanner->at > scanner->line_at && end == scanner->at;

    while (scanner->depth > kept) {
        struct entity *entity = top(scanner);
        struct mail_part *part = entity->part;
        if (end < part->body_at)
            end = part->body_at;
        part->body_len = end - part->body_at;
        part->lines = scanner->lines - entity->lines_before_body + has_partial_line;
        if (part->body_len == 0)
            part->lines = 0;
        /* Without its last CRLF an empty last line is none. */
        if (end < behind && scanner->last_line_empty && part->lines > 0)
            part->lines--;
        if (part == scanner->sampled) {
            scanner->is_sampling = false;
            if (buffer_len(&scanner->sample) > part->body_len)
                buffer_truncate(&scanner->sample, (size_t)part->body_len);
        }
        scanner->boundary_count -= entity->boundary.len > 0;
        scanner->depth--;
    }
}

/* The whole current line is a boundary of the entity at `index`. */
static void take_boundary(struct mail_scanner *scanner, size_t index, bool is_last)
{
    uint64_t line_at = scanner->line_at;
    struct entity *entity = &scanner->stack[index];

    /* The boundary is in a header's block too. No field that is read starts with "--". */
    while (scanner->in_header)
        end_header(scanner, line_at);
    close_entities(scanner, index + 1, line_at - 2, line_at);
    if (is_last) {
        entity->boundary = (struct bytes){NULL, 0};
        scanner->boundary_count--;
    } else if (has_room(scanner)) {
        push(scanner, NULL, entity->is_message_in);
    } else {
        scanner->parse.truncated = true;
    }
}

/* Innermost first: of two equal boundaries the inner one is meant. */
static bool line_is_boundary(const struct mail_scanner *scanner, size_t *index, bool *is_last)
{
    struct bytes line = bytes_from(scanner->head, scanner->head_len);

    if (line.len >= 2 && line.at[line.len - 1] == '\n' && line.at[line.len - 2] == '\r')
        line.len -= 2;
    line = bytes_trim(line);
    if (line.len < 3 || line.at[0] != '-' || line.at[1] != '-')
        return false;
    line = bytes_skip(line, 2);
    for (size_t i = scanner->depth; i-- > 0;) {
        struct bytes boundary = scanner->stack[i].boundary;
        size_t tail = line.len - boundary.len;
        if (boundary.len == 0 || line.len < boundary.len || (tail != 0 && tail != 2) ||
            !bytes_equal(bytes_from(line.at, boundary.len), boundary))
            continue;
        *index = i;
        *is_last = tail == 2;
        if (tail == 0 || bytes_equal(bytes_skip(line, boundary.len), BYTES("--")))
            return true;
    }
    return false;
}

/* Does what the current line asks for when it is a boundary; returns whether it is. */
static bool try_boundary(struct mail_scanner *scanner)
{
    size_t index;
    bool is_last;

    if (!scanner->is_candidate || scanner->boundary_count == 0 ||
        !line_is_boundary(scanner, &index, &is_last))
        return false;
    take_boundary(scanner, index, is_last);
    return true;
}

/* Bytes of the current line. */
static void take(struct mail_scanner *scanner, struct bytes run)
{
    if (scanner->in_header) {
        size_t room = MAIL_HEADER_SIZE_MAX - buffer_len(&scanner->header);
        if (run.len > room)
            scanner->parse.truncated = true;
        buffer_add(&scanner->header, bytes_from(run.at, run.len < room ? run.len : room));
    } else if (scanner->is_sampling) {
        size_t room = PREVIEW_SAMPLE_SIZE_MAX - buffer_len(&scanner->sample);
        buffer_add(&scanner->sample, bytes_from(run.at, run.len < room ? run.len : room));
        scanner->is_sampling = run.len < room;
    }
    if (scanner->at == scanner->line_at) {
        scanner->head_len = 0;
        scanner->is_candidate = run.at[0] == '-' && scanner->boundary_count > 0;
    }
    if (scanner->is_candidate) {
        if (run.len > sizeof(scanner->head) - scanner->head_len) {
            scanner->is_candidate = false;
        } else {
            memcpy(scanner->head + scanner->head_len, run.at, run.len);
            scanner->head_len += run.len;
        }
    }
    scanner->at += run.len;
    scanner->last_byte = run.at[run.len - 1];
}

static void end_line(struct mail_scanner *scanner)
{
    bool is_empty = scanner->at - scanner->line_at == 2;

    if (try_boundary(scanner)) {
        scanner->lines++;
    } else {
        scanner->lines++;
        if (scanner->in_header && is_empty)
            end_header(scanner, scanner->at);
    }
    scanner->line_at = scanner->at;
    scanner->last_line_empty = is_empty;
}

/* The rest of the message has no boundary: only line ends matter. */
static void take_all(struct mail_scanner *scanner, struct bytes piece)
{
    const uint8_t *at = piece.at;
    const uint8_t *end = piece.at + piece.len;
    const uint8_t *line = NULL;

    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        uint8_t before = at > piece.at ? at[-1] : scanner->last_byte;
        at++;
        if (before != '\r')
            continue;
        scanner->lines++;
        line = at;
    }
    if (line != NULL)
        scanner->line_at = scanner->at + (uint64_t)(line - piece.at);
    scanner->at += piece.len;
    scanner->last_byte = end[-1];
}

void mail_scanner_feed(struct mail_scanner *scanner, struct bytes piece)
{
    if (!scanner->summary.has_8bit)
        scanner->summary.has_8bit = utf8_ascii_prefix(piece) < piece.len;
    while (piece.len > 0) {
        if (!scanner->in_header && !scanner->is_sampling && scanner->boundary_count == 0) {
            take_all(scanner, piece);
            return;
        }
        size_t len = bytes_find(piece, '\n');
        bool has_newline = len < piece.len;
        len += has_newline;
        bool is_line =
            has_newline && (len > 1 ? piece.at[len - 2] : scanner->last_byte) == '\r';
        take(scanner, bytes_from(piece.at, len));
        if (is_line)
            end_line(scanner);
        piece = bytes_skip(piece, len);
    }
}

void mail_scanner_finish(struct mail_scanner *scanner, struct arena *arena,
                         struct mail_summary *summary)
{
    struct mail_summary *read = &scanner->summary;
    struct mail_date date;

    if (scanner->at > scanner->line_at)
        try_boundary(scanner);
    while (scanner->in_header)
        end_header(scanner, scanner->at);
    close_entities(scanner, 0, scanner->at, scanner->at);
    read->size = scanner->at;
    read->truncated = scanner->parse.truncated;
    if (read->envelope.date.at != NULL && mail_date_parse(read->envelope.date, &date))
        read->sent = date.seconds;
    if (scanner->sampled != NULL)
        read->preview =
            preview_make(&scanner->arena, scanner->sampled, buffer_bytes(&scanner->sample));
    /* Handed over in its stored form: one copy, bounded, and equal to what will be read. */
    struct bytes encoded = mail_summary_encode(read, arena);
    bool is_valid = mail_summary_decode(encoded, arena, summary);
    CHECK(is_valid);
}
