/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_NODE_MAIL_SCAN_H
#define TESTS_UNIT_NODE_MAIL_SCAN_H

#include "node/base/buffer.h"
#include "node/mail/summary.h"

/* Feeds `message` in pieces of `piece` bytes, the first one of `first`; 0 is all. */
static inline void scan(struct bytes message, size_t first, size_t piece, struct arena *arena,
                        struct mail_summary *summary)
{
    struct mail_scanner *scanner = mail_scanner_new();
    size_t len = first;

    while (message.len > 0) {
        if (len == 0 || len > message.len)
            len = message.len;
        mail_scanner_feed(scanner, bytes_from(message.at, len));
        message = bytes_skip(message, len);
        len = piece;
    }
    mail_scanner_finish(scanner, arena, summary);
    mail_scanner_free(&scanner);
}

static inline void dump_slice(struct buffer *text, struct bytes message, uint64_t at,
                              uint64_t len)
{
    buffer_add_byte(text, '[');
    if (at <= message.len && len <= message.len - at)
        buffer_add(text, bytes_from(message.at + at, (size_t)len));
    else
        buffer_add_string(text, "OUTSIDE");
    buffer_add_byte(text, ']');
}

/* A line a part: its numbers from the root, type, line count, and the bytes that its offsets
 * name: the header, and of parts without children the body. */
static inline void dump_parts(struct buffer *text, struct bytes message,
                              const struct mail_part *part, const char *prefix)
{
    char path[1024];

    for (unsigned n = 1; part != NULL; part = part->next, n++) {
        snprintf(path, sizeof(path), "%s%u", prefix, n);
        buffer_printf(text, "%s %.*s/%.*s %llu ", path, BYTES_ARG(part->type),
                      BYTES_ARG(part->subtype), (unsigned long long)part->lines);
        dump_slice(text, message, part->header_at, part->header_len);
        if (part->children == NULL)
            dump_slice(text, message, part->body_at, part->body_len);
        buffer_add_string(text, "\n");
        size_t len = strlen(path);
        snprintf(path + len, sizeof(path) - len, ".");
        dump_parts(text, message, part->children, path);
    }
}

#endif
