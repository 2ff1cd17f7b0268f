/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "imap/session/internal.h"

/*
 * From the last message to the first: so each EXPUNGE leaves the numbers of those that are
 * still to come as they are, and the view can drop all of them at once at the end.
 */
struct imap_expunging {
    struct imap_ranges ranges;
    void (*done)(struct imap_session *session);
    size_t left;     /* ranges that are not begun */
    uint32_t number; /* the next to tell, down to `lowest` */
    uint32_t lowest; /* 0: no range is begun */
};

static bool next_range(struct imap_expunging *expunging, const struct imap_view *view)
{
    while (expunging->left > 0) {
        const struct imap_range *range = &expunging->ranges.at[--expunging->left];
        expunging->number = imap_view_number_upto(view, range->last);
        expunging->lowest = imap_view_number_upto(view, range->first - 1) + 1;
        if (expunging->number >= expunging->lowest)
            return true;
    }
    return false;
}

static bool tell(struct imap_session *session)
{
    struct imap_expunging *expunging = session->expunging;
    struct imap_view *view = &session->selected.view;

    while (buffer_len(&session->output) < IMAP_OUTPUT_CHUNK) {
        if (expunging->lowest == 0 || expunging->number < expunging->lowest) {
            if (next_range(expunging, view))
                continue;
            imap_view_remove(view, &expunging->ranges);
            session->expunging = NULL;
            session->step = NULL;
            expunging->done(session);
            return true;
        }
        imap_say(session, "* %u EXPUNGE\r\n", expunging->number--);
    }
    return true;
}

void imap_expunging_start(struct imap_session *session, struct imap_ranges ranges,
                          void (*done)(struct imap_session *session))
{
    CHECK(session->expunging == NULL);
    session->expunging = imap_alloc(session, sizeof(*session->expunging));
    *session->expunging =
        (struct imap_expunging){.ranges = ranges, .done = done, .left = ranges.count};
    session->step = tell;
}
