/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef NODE_MAIL_PARSE_H
#define NODE_MAIL_PARSE_H

#include "node/base/arena.h"
#include "node/base/buffer.h"
#include "node/mail/summary.h"

/*
 * What the readers of header fields share: where kept text goes, how much there is of it, and
 * scratch that is used again from field to field.
 */
struct parse {
    struct arena *arena;
    size_t kept;    /* bytes taken from the arena */
    bool truncated; /* some limit was met */
    struct buffer word;
    struct buffer phrase;
    struct buffer comment;
};

void parse_init(struct parse *parse, struct arena *arena);
void parse_fini(struct parse *parse);

/* Zeroed. */
void *parse_alloc(struct parse *parse, size_t size);

/* A copy with a non-NULL `at`. */
struct bytes parse_keep(struct parse *parse, struct bytes text);

/* The copy in ASCII upper case. */
struct bytes parse_keep_upper(struct parse *parse, struct bytes text);

/* Appends the addresses of one field. Past MAIL_ADDRESS_COUNT_MAX they are left out. */
void parse_addresses(struct parse *parse, struct bytes value, struct mail_address_list *list);

/*
 * `;name=value` pairs. RFC 2231 continuations are joined under the plain name, or under
 * `name*` when some piece was in the extended form. Returns the count.
 */
size_t parse_parameters(struct parse *parse, struct bytes value,
                        struct mail_parameter **parameters);

/*
 * A header block: fills the part's fields that it has and, when not NULL, the envelope, and
 * counts the Received fields. Lines that are no header field are passed over.
 */
void parse_header(struct parse *parse, struct bytes block, struct mail_part *part,
                  struct mail_envelope *envelope, unsigned *received_count);

/* The list with one more; `at` grows in powers of two. */
void mail_address_list_add(struct arena *arena, struct mail_address_list *list,
                           struct mail_address address);

/* The start of a text part's body, as it stands in the message, as a preview. */
struct bytes preview_make(struct arena *arena, const struct mail_part *part,
                          struct bytes sample);

enum {
    PREVIEW_SAMPLE_SIZE_MAX = 16 * 1024, /* as much of a text part is looked at */
    PREVIEW_CHARACTERS_MAX = 200,
};

#endif
