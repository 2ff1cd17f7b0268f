/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef IMAP_SESSION_VIEW_H
#define IMAP_SESSION_VIEW_H

#include "imap/protocol/sequence.h"

/*
 * The messages of the selected mailbox as this client knows them: which UID has which sequence
 * number. Kept as ranges of UIDs that follow each other, so a mailbox from which nothing was
 * ever removed costs one range, whatever its size. Look-ups are logarithmic in the ranges.
 *
 * Invariants: ranges are ascending, with at least one UID missing between any two; `before` is
 * the number of messages in the ranges in front.
 */
struct imap_view_range {
    uint32_t first;
    uint32_t last;
    uint32_t before;
};

struct imap_view {
    struct imap_view_range *ranges;
    size_t count;
    size_t room;
    uint32_t last_uid; /* the highest that was ever in it: only later ones can be added */
};

void imap_view_init(struct imap_view *view);
void imap_view_fini(struct imap_view *view);

/* How many messages there are: EXISTS. */
uint32_t imap_view_count(const struct imap_view *view);

/* Messages behind all that there are. Returns false, and does nothing, for UIDs that are not
 * higher than all that ever were, or when there would be more than UINT32_MAX messages. */
bool imap_view_add(struct imap_view *view, uint32_t first, uint32_t last);

/* Removes what there is of `ranges`, in one pass. */
void imap_view_remove(struct imap_view *view, const struct imap_ranges *ranges);

/* 0 when there is no such message. */
uint32_t imap_view_uid(const struct imap_view *view, uint32_t number);
uint32_t imap_view_number(const struct imap_view *view, uint32_t uid);

/* The last message up to which UIDs follow each other without a gap from message `number`,
 * which exists. */
uint32_t imap_view_run_end(const struct imap_view *view, uint32_t number);

/* How many messages have a UID up to `uid`. */
uint32_t imap_view_number_upto(const struct imap_view *view, uint32_t uid);

#endif
