/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_MESSAGE_HEADER_FIELDS_H
#define SMTP_MESSAGE_HEADER_FIELDS_H

#include "node/mail/parse.h"
#include "smtp/message/header_edit.h"

/* The fields that mean something to the editor, and what is read off them. */

enum header_kind {
    HEADER_PLAIN, /* counted or left out */
    HEADER_TEXT,
    HEADER_ADDRESSES,
    HEADER_DELIVERED_TO,
    HEADER_RESULTS,
    HEADER_ARC_RESULTS,
};

struct header_row {
    struct bytes name;
    bool is_prefix; /* of the names that are meant */
    bool is_single; /* may come once only */
    unsigned drop;  /* enum smtp_header_drop under which it is left out */
    int count;      /* enum smtp_header_count, or -1 */
    enum header_kind kind;
    size_t offset; /* of a text or addresses in the facts */
};

/* NULL for a name that means nothing. */
const struct header_row *header_row_find(struct bytes name);

/* How much of a field's value is looked at. */
size_t header_row_size_max(const struct header_row *row);

/* The value of a field, folded or not. `is_cut`: it went on. */
void header_read(const struct header_row *row, struct bytes value, bool is_cut,
                 const struct smtp_header_edit_config *config, struct parse *parse,
                 struct smtp_header_facts *facts);

/* What only the whole header can tell. */
void header_judge(struct smtp_header_facts *facts);

/*
 * Whether an Authentication-Results (RFC 8601 section 2.2) is in one of our names, or in none
 * that can be read: its whole value, or the start of one that `is_cut`.
 */
bool header_results_ours(const struct smtp_header_edit_config *config, struct bytes value,
                         bool is_cut);

#endif
