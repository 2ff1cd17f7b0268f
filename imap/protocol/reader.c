/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/protocol/reader.h"

#include "imap/protocol/limits.h"
#include "node/base/check.h"

enum {
    STATE_LINE,         /* in a line that is kept */
    STATE_ASKED,        /* a literal is announced, and not yet answered for */
    STATE_LITERAL,      /* in a literal that is kept */
    STATE_STREAM,       /* in a literal that is handed on */
    STATE_COMPLETE,     /* a command lies there */
    STATE_SKIP_LINE,    /* in a line that is read over */
    STATE_SKIP_LITERAL, /* in a literal that is read over */
    STATE_BROKEN,
};

void imap_reader_init(struct imap_reader *reader, size_t size_max)
{
    *reader = (struct imap_reader){.text = BUFFER_EMPTY, .size_max = size_max};
}

static void forget(const struct imap_reader *reader, struct buffer *text)
{
    if (reader->wipes && text->memory != NULL)
        explicit_bzero(text->memory, text->size);
    buffer_fini(text);
}

void imap_reader_fini(struct imap_reader *reader)
{
    forget(reader, &reader->text);
}

static void keep(struct imap_reader *reader, struct bytes bytes)
{
    struct buffer *text = &reader->text;

    if (text->size - text->end < bytes.len) {
        struct buffer grown = BUFFER_EMPTY;
        buffer_reserve(&grown, 2 * (buffer_len(text) + bytes.len));
        buffer_add(&grown, buffer_bytes(text));
        forget(reader, text);
        *text = grown;
    }
    buffer_add(text, bytes);
}

void imap_reader_reset(struct imap_reader *reader)
{
    forget(reader, &reader->text);
    reader->line_at = 0;
    reader->literals = 0;
    if (reader->state != STATE_BROKEN)
        reader->state = STATE_LINE;
}

/* A literal's header at the end of a line that has lost its CRLF. */
static bool literal_header(struct bytes line, uint64_t *size, bool *waits)
{
    size_t at = line.len;

    if (at < 3 || line.at[at - 1] != '}')
        return false;
    at--;
    *waits = line.at[at - 1] != '+';
    if (!*waits)
        at--;
    size_t end = at;
    while (at > 0 && line.at[at - 1] >= '0' && line.at[at - 1] <= '9')
        at--;
    if (at == end || at == 0 || line.at[at - 1] != '{')
        return false;
    if (!bytes_to_u64(bytes_from(line.at + at, end - at), size))
        *size = UINT64_MAX;
    return true;
}

/* Only CRLF ends a line. Whoever sends a bare LF may mean data by what follows, or stand behind
 * something that reads lines otherwise than we do. */
static bool ends_with_crlf(struct bytes line)
{
    return line.len >= 2 && line.at[line.len - 2] == '\r';
}

/* A line that is read over has ended: so has its command, unless a literal follows unasked. */
static enum imap_reader_event skipped_line(struct imap_reader *reader)
{
    struct bytes tail = {reader->tail, reader->tail_len};
    uint64_t size = 0;
    bool waits = false;

    if (!ends_with_crlf(tail)) {
        reader->state = STATE_BROKEN;
        return IMAP_READER_BARE_LF;
    }
    tail.len -= 2;
    reader->tail_len = 0;
    /* A header that is longer than the tail could have any size: all that follows is its. */
    bool too_long = tail.len >= sizeof(reader->tail) - 2 && tail.at[tail.len - 1] == '}';
    bool is_literal = literal_header(tail, &size, &waits);
    if (!is_literal && too_long)
        size = UINT64_MAX;
    if (is_literal ? !waits : too_long) {
        reader->literal_left = size;
        reader->state = size > 0 ? STATE_SKIP_LITERAL : STATE_SKIP_LINE;
    } else {
        reader->state = STATE_LINE;
        imap_reader_reset(reader);
    }
    return IMAP_READER_MORE;
}

static void keep_tail(struct imap_reader *reader, struct bytes text)
{
    size_t room = sizeof(reader->tail);

    if (text.len >= room) {
        memcpy(reader->tail, text.at + text.len - room, room);
        reader->tail_len = (uint8_t)room;
        return;
    }
    size_t kept = reader->tail_len;
    if (kept + text.len > room) {
        size_t dropped = kept + text.len - room;
        memmove(reader->tail, reader->tail + dropped, kept - dropped);
        kept -= dropped;
    }
    memcpy(reader->tail + kept, text.at, text.len);
    reader->tail_len = (uint8_t)(kept + text.len);
}

static size_t feed_skipped(struct imap_reader *reader, struct bytes input,
                           enum imap_reader_event *event)
{
    if (reader->state == STATE_SKIP_LITERAL) {
        size_t used = input.len < reader->literal_left ? input.len : reader->literal_left;
        reader->literal_left -= used;
        if (reader->literal_left == 0)
            reader->state = STATE_SKIP_LINE;
        return used;
    }
    size_t len = bytes_find(input, '\n');
    bool ends = len < input.len;
    size_t used = ends ? len + 1 : len;
    keep_tail(reader, bytes_from(input.at, used));
    if (ends)
        *event = skipped_line(reader);
    return used;
}

static enum imap_reader_event line_ended(struct imap_reader *reader)
{
    /* Without the literals before it, whose bytes may look like anything. */
    struct bytes line = bytes_skip(buffer_bytes(&reader->text), reader->line_at);

    if (!ends_with_crlf(line)) {
        reader->state = STATE_BROKEN;
        return IMAP_READER_BARE_LF;
    }
    line.len -= 2;
    if (literal_header(line, &reader->literal_left, &reader->literal_waits)) {
        reader->literals++;
        reader->state = STATE_ASKED;
        return IMAP_READER_LITERAL;
    }
    buffer_truncate(&reader->text, reader->line_at + line.len);
    reader->state = STATE_COMPLETE;
    return IMAP_READER_COMMAND;
}

static size_t feed_line(struct imap_reader *reader, struct bytes input,
                        enum imap_reader_event *event)
{
    size_t len = bytes_find(input, '\n');
    bool ends = len < input.len;
    size_t used = ends ? len + 1 : len;
    size_t room = reader->size_max - buffer_len(&reader->text);

    if (used > room) {
        keep(reader, bytes_from(input.at, room));
        reader->tail_len = 0;
        keep_tail(reader, bytes_skip(buffer_bytes(&reader->text), reader->line_at));
        reader->state = STATE_SKIP_LINE;
        *event = IMAP_READER_TOOLONG;
        return room;
    }
    keep(reader, bytes_from(input.at, used));
    if (ends)
        *event = line_ended(reader);
    return used;
}

/* What follows a literal is a line again. */
static void begin_line(struct imap_reader *reader)
{
    reader->line_at = buffer_len(&reader->text);
    reader->state = STATE_LINE;
}

static size_t feed_literal(struct imap_reader *reader, struct bytes input)
{
    size_t used = input.len < reader->literal_left ? input.len : reader->literal_left;

    keep(reader, bytes_from(input.at, used));
    reader->literal_left -= used;
    if (reader->literal_left == 0)
        begin_line(reader);
    return used;
}

static size_t feed_stream(struct imap_reader *reader, struct bytes input,
                          enum imap_reader_event *event, struct bytes *piece)
{
    size_t used = input.len < reader->literal_left ? input.len : reader->literal_left;

    *piece = bytes_from(input.at, used);
    reader->literal_left -= used;
    if (reader->literal_left == 0)
        begin_line(reader);
    *event = IMAP_READER_STREAM;
    return used;
}

size_t imap_reader_feed(struct imap_reader *reader, struct bytes input,
                        enum imap_reader_event *event, struct bytes *piece)
{
    size_t used = 0;

    *event = IMAP_READER_MORE;
    *piece = (struct bytes){NULL, 0};
    CHECK(reader->state != STATE_ASKED && reader->state != STATE_COMPLETE);
    while (used < input.len && *event == IMAP_READER_MORE) {
        struct bytes rest = bytes_skip(input, used);
        switch (reader->state) {
        case STATE_LINE:
            used += feed_line(reader, rest, event);
            break;
        case STATE_LITERAL:
            used += feed_literal(reader, rest);
            break;
        case STATE_STREAM:
            used += feed_stream(reader, rest, event, piece);
            break;
        case STATE_SKIP_LINE:
        case STATE_SKIP_LITERAL:
            used += feed_skipped(reader, rest, event);
            break;
        default:
            return input.len; /* broken: nothing of it means anything */
        }
    }
    return used;
}

bool imap_reader_fits(const struct imap_reader *reader)
{
    /* Two bytes for the CRLF that has to follow. */
    return reader->literals <= IMAP_LITERALS_MAX && reader->literal_left <= reader->size_max &&
           buffer_len(&reader->text) + reader->literal_left + 2 <= reader->size_max;
}

void imap_reader_accept(struct imap_reader *reader)
{
    CHECK(reader->state == STATE_ASKED && imap_reader_fits(reader));
    reader->state = STATE_LITERAL;
    if (reader->literal_left == 0)
        begin_line(reader);
}

void imap_reader_stream(struct imap_reader *reader)
{
    CHECK(reader->state == STATE_ASKED);
    reader->state = STATE_STREAM;
    if (reader->literal_left == 0)
        begin_line(reader);
}

void imap_reader_refuse(struct imap_reader *reader)
{
    CHECK(reader->state == STATE_ASKED);
    bool waits = reader->literal_waits;
    imap_reader_reset(reader);
    if (!waits) {
        reader->tail_len = 0;
        reader->state = reader->literal_left > 0 ? STATE_SKIP_LITERAL : STATE_SKIP_LINE;
    }
}
