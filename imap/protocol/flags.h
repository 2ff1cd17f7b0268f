/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_PROTOCOL_FLAGS_H
#define IMAP_PROTOCOL_FLAGS_H

#include "imap/protocol/cursor.h"
#include "node/base/buffer.h"

/* Flags as a client names them (RFC 3501 section 2.3.2). */
struct imap_flags {
    uint64_t system; /* enum message_flag */
    struct bytes *keywords;
    size_t keyword_count;
};

/* "(\Seen $Forwarded)". \Recent is refused: only the server sets it. */
bool imap_take_flag_list(struct imap_cursor *cursor, struct imap_flags *flags);
/* STORE takes them without parentheses too. */
bool imap_take_flags(struct imap_cursor *cursor, struct imap_flags *flags);

/* A mailbox's keywords: `count` names, each with a NUL behind it. Bit KEYWORD_FIRST_BIT + n is
 * the n-th. */
struct imap_keywords {
    char *names;
    unsigned count;
};

/* Copies; frees what was there. NULL and 0 for none. */
void imap_keywords_set(struct imap_keywords *keywords, char *const *names, size_t count);
void imap_keywords_fini(struct imap_keywords *keywords);
bool imap_keywords_equal(const struct imap_keywords *keywords, char *const *names,
                         size_t count);

/* "(\Seen $Forwarded)" of a message's bits. Bits without a name are left out. */
void imap_flags_write(uint64_t flags, const struct imap_keywords *keywords, struct buffer *out);

/* "(\Answered ... $Forwarded)": all that are known, and "\*" when others may be made. */
void imap_known_flags_write(const struct imap_keywords *keywords, bool with_star,
                            struct buffer *out);

#endif
