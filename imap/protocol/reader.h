/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_READER_H
#define IMAP_PROTOCOL_READER_H

#include "node/base/buffer.h"

/*
 * Cuts a client's bytes into commands (RFC 3501 section 2.2): lines that end with CRLF, joined
 * by literals (section 4.3, RFC 7888). A line that ends with "{n}" or "{n+}" is followed by a
 * literal whatever else it says: no valid line ends so without one, and a peer who disagrees
 * about that would read data as commands.
 *
 * The literals of a command are kept in place behind their headers, but for one that is
 * streamed.
 */
enum imap_reader_event {
    IMAP_READER_MORE,    /* everything was consumed */
    IMAP_READER_LITERAL, /* one is announced: answer with accept(), stream() or refuse() */
    IMAP_READER_STREAM,  /* *piece is a part of the streamed literal */
    IMAP_READER_COMMAND, /* imap_reader_text() is complete; follow with reset() */
    IMAP_READER_TOOLONG, /* text() is its beginning; what is left is read over by itself */
    IMAP_READER_BARE_LF, /* nothing can be read any more */
};

struct imap_reader {
    struct buffer text;
    size_t size_max;
    size_t line_at; /* where in `text` the line begins that is being read */
    uint64_t literal_left;
    unsigned literals;
    unsigned state;
    bool literal_waits; /* the client waits for "+" */
    bool wipes;         /* what was read may hold secrets: it is overwritten, not just freed */
    uint8_t tail_len;
    uint8_t tail[32]; /* of a line that is read over */
};

void imap_reader_init(struct imap_reader *reader, size_t size_max);
void imap_reader_fini(struct imap_reader *reader);

/* Reads until an event or the end of the input; returns how many bytes were consumed, which may
 * be none when there is an event. */
size_t imap_reader_feed(struct imap_reader *reader, struct bytes input,
                        enum imap_reader_event *event, struct bytes *piece);

/* After LITERAL. UINT64_MAX stands for all that is larger. */
static inline uint64_t imap_reader_literal_size(const struct imap_reader *reader)
{
    return reader->literal_left;
}
static inline bool imap_reader_literal_waits(const struct imap_reader *reader)
{
    return reader->literal_waits;
}

/* Whether the literal still fits into the command. */
bool imap_reader_fits(const struct imap_reader *reader);
void imap_reader_accept(struct imap_reader *reader);
void imap_reader_stream(struct imap_reader *reader);

/* The command is over, its answer is the caller's. What the client sends of it all the same is
 * read over. */
void imap_reader_refuse(struct imap_reader *reader);

/* The command so far, without the last CRLF. Valid until the next feed() or reset(). */
static inline struct bytes imap_reader_text(const struct imap_reader *reader)
{
    return buffer_bytes(&reader->text);
}

/* On to the next command. All memory is given back. */
void imap_reader_reset(struct imap_reader *reader);

#endif
