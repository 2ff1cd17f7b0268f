/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_SESSION_FETCH_H
#define IMAP_SESSION_FETCH_H

#include "imap/session/internal.h"

/*
 * A FETCH under way. Messages come from the store in pages, and are written one item after the
 * other as the client takes them; bodies are read block by block, so at most a page, one block
 * and one header lie in memory, whatever is fetched.
 *
 * fetch.c gets the pages, fetch_items.c writes the items, fetch_body.c the sections of bodies.
 */
enum {
    IMAP_FETCH_PAGE_BYTES = 128 * 1024,
};

struct imap_fetched {
    uint32_t uid;
    uint64_t flags;
    bool flags_changed; /* \Seen was set by this FETCH */
    int64_t internal_s;
    int internal_zone;
    uint64_t size;
    struct bytes summary; /* encoded */
    struct bytes block;   /* compressed, if the body is only one */
};

struct imap_fetch {
    struct imap_ranges uids;
    const struct imap_fetch_items *items;
    const char *text;  /* of the final OK */
    bool failed;       /* something could not be read */
    uint32_t next_uid; /* of the next page; 0: there is none */

    struct arena page_arena;
    struct imap_fetched *messages;
    size_t count;
    size_t at;

    /* the message that is being written */
    struct arena message_arena;
    struct mail_summary summary;
    bool is_begun; /* its line */
    bool has_summary;
    size_t item;

    /* the section that is being written: a literal from `from` to `to` of the body */
    bool in_section;
    uint64_t from;
    uint64_t to;
    bool in_header; /* a header is being gathered, to be filtered */
    struct buffer header;

    /* the one block that is there */
    struct buffer plain;
    uint32_t plain_uid; /* 0: none */
    uint32_t plain_block;
    uint32_t asked_block;
    bool block_failed;
    imap_step *step; /* to go on with when the block is there */
};

static inline struct imap_fetch *imap_fetch_of(struct imap_session *session)
{
    return session->running->work;
}

static inline const struct imap_fetched *imap_fetch_message(const struct imap_fetch *fetch)
{
    return &fetch->messages[fetch->at];
}

enum imap_progress {
    IMAP_PROGRESS_DONE,
    IMAP_PROGRESS_MORE, /* call again */
    IMAP_PROGRESS_WAIT, /* call again when the store has answered */
};

/* fetch_items.c: the whole line of the message. */
enum imap_progress imap_fetch_write_message(struct imap_session *session);
/* The message's summary, or one with nothing in it. */
const struct mail_summary *imap_fetch_summary(struct imap_fetch *fetch);

/* fetch_body.c: label and value of a section. */
enum imap_progress imap_fetch_write_section(struct imap_session *session,
                                            const struct imap_fetch_item *item);

#endif
