/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef STORAGE_QUERY_SEARCH_H
#define STORAGE_QUERY_SEARCH_H

#include "node/mail/summary.h"
#include "storage/query/view.h"

/* The parts of query_search(). */

/* What a key has to look at, from cheap to dear. */
enum search_cost { COST_RECORD, COST_SUMMARY, COST_HEADER, COST_BODY };

/* A SearchKey made ready: children in the order of their cost. */
struct search_node {
    const Pr__SearchKey *key;
    enum search_cost cost;
    struct search_node **children;
    size_t child_count;
    struct bytes text;        /* folded */
    uint64_t flags;           /* FLAGS_ALL, FLAGS_NONE and KEYWORD: the bits */
    bool never;               /* a keyword that the mailbox does not have */
    struct range_list ranges; /* UID */
};

/*
 * Checks the tree's depth and size before anything of it is followed. ERR_TOOBIG, ERR_INVALID.
 * `keywords` are the mailbox's.
 */
MUST_CHECK enum err search_prepare(struct arena *arena, const Pr__SearchKey *key,
                                   const struct bytes *keywords, unsigned keyword_count,
                                   struct search_node **root);

/* A message that is looked at; what is dear is loaded when a key asks for it. */
struct search_message {
    struct db_txn *txn;
    uint32_t group;
    uint32_t uid;
    struct message_record record;
    struct arena message_arena; /* emptied between messages */
    bool summary_loaded;
    bool summary_good;
    struct mail_summary summary;
    struct body_reader *reader; /* kept between messages */
    uint64_t work;              /* bytes looked at, of all messages */
};

bool search_match(struct search_message *message, const struct search_node *node);

/* The decoded summary, or NULL when it cannot be read. */
const struct mail_summary *search_summary(struct search_message *message);

/* Whether a field of that name (NULL: any) has the text in it. */
bool search_header(struct search_message *message, const char *name, struct bytes text);
/* Whether a part that is text has the text in it. */
bool search_body(struct search_message *message, struct bytes text);

/* Whether `text` contains `needle`, both folded. */
bool search_contains(struct bytes text, struct bytes needle);

#endif
