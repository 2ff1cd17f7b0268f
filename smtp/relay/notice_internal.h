/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_RELAY_NOTICE_INTERNAL_H
#define SMTP_RELAY_NOTICE_INTERNAL_H

#include "smtp/relay/notice.h"
#include "smtp/relay/notice_text.h"

/* The three parts of a notice, each made by a file of its own. */

enum notice_encoding { NOTICE_7BIT, NOTICE_8BIT, NOTICE_QUOTED };

struct notice_part {
    const char *type; /* of Content-Type, with its parameters; NULL: there is no such part */
    const char *description;
    enum notice_encoding encoding;
    struct buffer content; /* encoded; empty or ended by CRLF */
};

/* notice_words.c: the text for people. */
void notice_words_make(const struct notice *notice, struct notice_part *part);

/* notice_status.c: the one for programs. `utf8_passes`: the notice goes by SMTPUTF8. */
void notice_status_make(const struct notice *notice, bool utf8_passes,
                        struct notice_part *part);

/* notice_original.c: what comes back of the message, and its Message-ID, or nothing; in `id`,
 * cleared first. */
void notice_original_make(const struct notice *notice, bool utf8_passes,
                          struct notice_part *part);
void notice_original_id(const struct notice *notice, struct buffer *id);

/* Whether any recipient is said to have become that. */
bool notice_has(const struct notice *notice, enum notice_action action);

/* The status to write: "5.1.1", or X.0.0 where what came cannot be one of that action. */
struct bytes notice_status(const struct notice_recipient *recipient);

/* "Sun, 22 Nov 2026 13:00:00 +0000", appended. */
void notice_date_add(struct buffer *text, int64_t seconds);

#endif
