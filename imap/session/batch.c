/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/*
 * A write names at most so many messages, so that no log entry takes long to apply. What a
 * client asks for in one command becomes several writes where it is more.
 */
bool imap_batch_take(struct imap_session *session, struct imap_ranges *left,
                     struct imap_ranges *batch)
{
    const struct imap_view *view = &session->selected.view;
    uint32_t room = IMAP_BATCH_MESSAGES;
    size_t count = 0;

    *batch = (struct imap_ranges){imap_alloc(session, left->count * sizeof(batch->at[0])), 0};
    while (count < left->count && room > 0) {
        struct imap_range range = left->at[count];
        uint32_t before = imap_view_number_upto(view, range.first - 1);
        uint32_t messages = imap_view_number_upto(view, range.last) - before;
        if (messages > room) {
            range.last = imap_view_uid(view, before + room);
            batch->at[batch->count++] = range;
            /* Not in place: the caller may keep the whole. */
            struct imap_range *rest =
                imap_alloc(session, (left->count - count) * sizeof(rest[0]));
            memcpy(rest, left->at + count, (left->count - count) * sizeof(rest[0]));
            rest[0].first = range.last + 1;
            *left = (struct imap_ranges){rest, left->count - count};
            return true;
        }
        room -= messages;
        count++;
        if (messages > 0)
            batch->at[batch->count++] = range;
    }
    if (count > 0)
        *left = (struct imap_ranges){left->at + count, left->count - count};
    return batch->count > 0;
}
