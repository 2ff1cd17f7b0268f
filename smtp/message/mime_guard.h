/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SMTP_MESSAGE_MIME_GUARD_H
#define SMTP_MESSAGE_MIME_GUARD_H

#include "smtp/message/mime_walk.h"

/*
 * Looks at the MIME structure of a message that passes by, and says whether it is one that
 * every reader can be given: not too deep, not too many parts or parameters. Nothing is changed
 * or held back. What to do with a verdict is the caller's matter: refuse (554 5.6.0), or flag.
 */
enum smtp_mime_verdict {
    SMTP_MIME_FINE,
    SMTP_MIME_ODD,       /* boundaries that readers may understand differently */
    SMTP_MIME_EXCESSIVE, /* a limit was met */
};

struct smtp_mime_report {
    enum smtp_mime_verdict verdict;
    unsigned faults; /* enum smtp_mime_fault_bit, joined */
    size_t parts;    /* the message itself is one; at most SMTP_MIME_PART_COUNT_MAX */
    size_t depth;    /* at most SMTP_MIME_DEPTH_MAX */
};

struct smtp_mime_guard;

struct smtp_mime_guard *smtp_mime_guard_new(void);
void smtp_mime_guard_free(struct smtp_mime_guard **guard);
void smtp_mime_guard_feed(struct smtp_mime_guard *guard, struct bytes piece);

/* Ends the message. Call once. */
struct smtp_mime_report smtp_mime_guard_finish(struct smtp_mime_guard *guard);

/* The verdict so far: a caller may stop at SMTP_MIME_EXCESSIVE. */
enum smtp_mime_verdict smtp_mime_guard_verdict(const struct smtp_mime_guard *guard);

/* The names of the faults, for a log line. */
struct bytes smtp_mime_faults_text(unsigned faults, struct arena *arena);

#endif
